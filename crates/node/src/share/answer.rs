//! The custodian's side: believe the asker, decide, log, open, seal.

use super::wire::{
    Answer, Ask, Claimed, Outcome, Permitted, Sent, SentPart, request_digest, seal_info,
    seal_place, sign,
};
use super::{
    ANSWER_MAX_BYTES, AT_ONCE, NAMED_MAX, REQUEST_LIFE_MS, REQUEST_MAX_BYTES, SKEW_MS, ShareAnswer,
    ShareQuery, ShareRefused,
};
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::fetch::Plan;
use crate::witness::COSIGN;
use codec::Domain;
use codec::id::{DisclosureId, InstitutionId, SubjectId};
use codec::time::Millis;
use consent::{Grant, Missing, Records, Request, Role};
use keys::{PublicKey, Zeroizing};
use ledger::KeyId;
use ledger::state::InstitutionLeaf;
use store::Store;
use vault::Parts;

/// Roles that no institution can vouch for at another: who controls a subject here is known here.
const NOBODY_ELSEWHERE: [Role; 4] = [Role::Controller, Role::Device, Role::Desk, Role::System];
/// How many of them are forgotten at a time, once they have expired.
const FORGOTTEN: usize = 16;
/// Where they are remembered.
const ASKED: &[u8] = b"asked/";

impl<S: Store> Custodian<S> {
    pub(crate) async fn share_answer(&self, input: ShareQuery) -> Result<ShareAnswer, Error> {
        let busy = Error::Busy { in_flight: AT_ONCE };
        let _place = self.shares.take(input.peer).ok_or(busy)?;
        if let Some(note) = input.bytes.strip_prefix(COSIGN) {
            let lines = self.peer_cosign(input.peer, note).await?;
            let bytes = lines.into_bytes();
            return Ok(ShareAnswer { bytes });
        }
        let at = self.facts().at();
        let (ask, asker) = self.ask_read(&input, at)?;
        self.ask_once(&ask, at).await?;
        let trace = Trace {
            channel: Some("share"),
            asked: Some(input.bytes.clone()),
        };
        let (disclosure, outcome) = match self.permitted_now(&ask.request, None, &trace).await {
            Ok((permit, disclosure, plans)) => {
                let mut records = Vec::with_capacity(plans.len());
                let mut size = 0_usize;
                // INVARIANT: nothing is opened before the disclosure is durable, which it is here.
                for plan in plans {
                    let sent = self.sent(&ask, &plan).await?;
                    size = size.saturating_add(sent.size_bytes());
                    if size > ANSWER_MAX_BYTES {
                        return Err(too_large());
                    }
                    records.push(sent);
                }
                let permitted = Permitted {
                    because: permit.because,
                    until: permit.until,
                    records,
                };
                (disclosure, Outcome::Permitted(permitted))
            }
            Err(Error::Denied { disclosure, denial }) => {
                let told = match self.is_named(&ask.request).await? {
                    true => denial.missing,
                    // Whom no grant names learns nothing of the subject, not even whether it is one.
                    false => vec![Missing::NoGrant],
                };
                (disclosure, Outcome::Refused(told))
            }
            // Like a subject that has granted nothing: who is here is not for strangers to find out.
            Err(Error::SubjectUnknown) => (
                self.unknown_log(&ask, &trace).await?,
                Outcome::Refused(vec![Missing::NoGrant]),
            ),
            Err(error) => return Err(error),
        };
        let bytes = self.sealed(&input, &asker, disclosure, &outcome)?;
        self.counters.fetches.up();
        Ok(ShareAnswer { bytes })
    }

    /// Logs a request about nobody who is here, in one audit compartment for each institution that makes such
    /// requests: they leave a trace too, and cannot make compartments without end.
    async fn unknown_log(&self, ask: &Ask, trace: &Trace) -> Result<DisclosureId, Error> {
        const NOBODY: SubjectId = SubjectId::new([0; 32]);
        let asker = ask.request.actor.institution;
        let entropy = &mut self.ambient.entropy();
        let vault = &self.vault;
        let compartment = vault.visitor_ensure(&asker, &NOBODY, self.now(), entropy);
        let logging = Logging {
            request: Request {
                subject: compartment.await?,
                ..ask.request.clone()
            },
            outcome: vault::Outcome::Refused(vec![Missing::NoGrant]),
            records: Vec::new(),
            stale: false,
            session: None,
            channel: trace.channel,
            asked: trace.asked.clone(),
        };
        self.disclosure_log(logging).await
    }

    /// Whether a grant that stands names the asker, even if it permits nothing of this.
    async fn is_named(&self, request: &Request) -> Result<bool, Error> {
        let standing = match self.standing(&request.subject).await {
            Ok(standing) => standing,
            Err(Error::SubjectErased) => return Ok(false),
            Err(error) => return Err(error),
        };
        let names = |grant: &Grant| grant.grantee.names(&request.actor, request.study.as_ref());
        Ok(standing.latest().grants.iter().any(names))
    }

    /// The request, if it is this institution's to answer now, and its asker.
    fn ask_read(&self, input: &ShareQuery, at: Millis) -> Result<(Ask, InstitutionLeaf), Error> {
        if input.bytes.len() > REQUEST_MAX_BYTES {
            return Err(ShareRefused::Malformed.into());
        }
        let claimed = Claimed::<Ask>::read(Domain::ShareRequest, &input.bytes)?;
        let asker = claimed.message.request.actor.institution;
        if claimed.message.network != self.network {
            return Err(ShareRefused::Network.into());
        }
        if claimed.message.custodian != self.id {
            return Err(ShareRefused::Addressee.into());
        }
        let leaf = self.member(&asker)?;
        let key = self.member_key(&asker, &claimed.signer)?;
        let ask = claimed.believed(&self.network, &key)?;
        if input.peer.is_some_and(|peer| peer != asker) {
            return Err(ShareRefused::Peer.into());
        }
        let actor = &ask.request.actor;
        let is_own = asker == self.id;
        if is_own || actor.slot.is_some() || NOBODY_ELSEWHERE.iter().any(|role| actor.is(*role)) {
            return Err(ShareRefused::Asker.into());
        }
        if matches!(&ask.request.selection.records, Records::Only(named) if named.len() > NAMED_MAX)
        {
            return Err(ShareRefused::Malformed.into());
        }
        let life = ask.expires.get().checked_sub(ask.issued.get());
        if at >= ask.expires || life.is_none_or(|life| life > REQUEST_LIFE_MS) {
            return Err(ShareRefused::Expired.into());
        }
        if ask.issued > at.saturating_add(SKEW_MS) {
            return Err(ShareRefused::Early.into());
        }
        Ok((ask, leaf))
    }

    /// Remembers a request until it has expired, durably; refuses it the second time.
    async fn ask_once(&self, ask: &Ask, at: Millis) -> Result<(), Error> {
        let asker = ask.request.actor.institution;
        let entropy = &mut self.ambient.entropy();
        let rows = self.vault.node_rows(ASKED, None, FORGOTTEN).await?;
        // Well after: clocks are set back, too.
        let is_over =
            |expires: &[u8; 8]| u64::from_be_bytes(*expires).saturating_add(SKEW_MS) <= at.get();
        let over: Vec<Vec<u8>> = rows
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| {
                let expires = name.get(ASKED.len()..).and_then(|rest| rest.first_chunk());
                expires.is_some_and(is_over)
            })
            .collect();
        // Together: under load every request finds some, and a write for each would cost more than all else.
        // Another request may have forgotten them meanwhile.
        self.vault.node_rows_remove(&over).await?;
        let name = [
            ASKED,
            &ask.expires.get().to_be_bytes(),
            asker.as_bytes(),
            &ask.nonce,
        ]
        .concat();
        match self.vault.node_row_put(&name, None, &[], entropy).await {
            Ok(()) => Ok(()),
            Err(vault::Error::Conflict(_)) => Err(ShareRefused::Replayed.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The permitted projections of a version, with the receipt that opens their leaves.
    async fn sent(&self, ask: &Ask, plan: &Plan) -> Result<Sent, Error> {
        let subject = &ask.request.subject;
        let meta = &plan.meta;
        let parts = Parts::Projections(plan.permitted.clone());
        let opened = self
            .vault
            .record_get(subject, &meta.record, Some(meta.version), &parts)
            .await?;
        let receipt = self.receipt_of(subject, meta, &opened.parts, ask.epoch);
        let receipt = receipt.await?;
        let (receipt, _) = receipt.ok_or_else(|| {
            Error::Unavailable(
                "a record that was asked for is not final on the ledger yet; ask again".to_owned(),
            )
        })?;
        Ok(Sent {
            record: meta.record,
            version: meta.version,
            kind: meta.kind.clone(),
            deposited: meta.deposited,
            receipt: receipt.encode(),
            parts: opened
                .parts
                .into_iter()
                .map(|part| SentPart {
                    label: part.label,
                    bytes: part.into_bytes().to_vec(),
                })
                .collect(),
        })
    }

    fn sealed(
        &self,
        input: &ShareQuery,
        asker: &InstitutionLeaf,
        disclosure: DisclosureId,
        outcome: &Outcome,
    ) -> Result<Vec<u8>, Error> {
        let request = request_digest(&input.bytes);
        let plain = Zeroizing::new(codec::to_vec(outcome));
        let sealed = keys::hybrid_seal(
            &asker.institution.sealing,
            &seal_info(&self.network, &self.id, &asker.institution.id),
            &seal_place(&request, &disclosure),
            &plain,
            &mut self.ambient.entropy(),
        );
        let answer = Answer {
            network: self.network,
            custodian: self.id,
            request,
            disclosure,
            sealed,
        };
        let bytes = sign(
            Domain::ShareAnswer,
            &self.network,
            &answer,
            &self.signers().signing,
        );
        if bytes.len() > ANSWER_MAX_BYTES {
            return Err(too_large());
        }
        Ok(bytes)
    }

    /// A member of the network as it is now.
    pub(crate) fn member(&self, id: &InstitutionId) -> Result<InstitutionLeaf, Error> {
        let leaf = self.ledger.state_view().institution(id);
        let leaf = leaf.filter(|leaf| leaf.retired.is_none());
        leaf.ok_or_else(|| ShareRefused::Stranger.into())
    }

    /// A key that may sign for a member now.
    pub(crate) fn member_key(&self, id: &InstitutionId, key: &KeyId) -> Result<PublicKey, Error> {
        let height = self.ledger.tip().height;
        let leaf = self.ledger.state_view().institution_by_key(key);
        let leaf = leaf.filter(|leaf| {
            leaf.institution == *id
                && leaf.since <= height
                && leaf.until.is_none_or(|until| height < until)
        });
        Ok(leaf.ok_or(ShareRefused::Key)?.key)
    }
}

fn too_large() -> Error {
    Error::invalid(
        "request",
        "records",
        "the answer would be too large; ask for fewer records at once",
    )
}
