//! The asking side: a signed request, and an answer that is believed part by part.

use super::wire::{
    Answer, Ask, Claimed, Outcome, Permitted, Sent, request_digest, seal_info, seal_place, sign,
};
use super::{
    ANSWER_MAX_BYTES, REQUEST_LIFE_MS, REQUEST_MAX_BYTES, SKEW_MS, ShareAccept, ShareAsk,
    ShareRefused, ShareRequest, Shared, SharedPart, SharedRecord,
};
use crate::custodian::Custodian;
use crate::disclosure::log::{Logging, office};
use crate::error::Error;
use crate::record::Content;
use codec::Domain;
use codec::id::{DisclosureId, RecordId, SubjectId};
use consent::{Basis, Because, Denial, Records, Request, Role};
use keys::HybridSecretKey;
use keys::commitment::Label;
use ledger::finality::Boundary;
use ledger::receipt::{Receipt, verify_from};
use std::collections::BTreeSet;
use store::Store;

/// The most bases that an answer rests on.
const BASES_MAX: usize = 64;
/// Who asks other institutions.
const ASKERS: [Role; 5] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Researcher,
];

impl<S: Store> Custodian<S> {
    pub(crate) async fn share_prepare(&self, input: ShareAsk) -> Result<ShareRequest, Error> {
        input.caller.needs("asking another institution", &ASKERS)?;
        self.own_staff(&input.caller)?;
        if input.caller.subject.is_some() {
            return Err(Error::OutOfScope);
        }
        self.in_service()?;
        if input.custodian == self.id {
            return Err(Error::invalid(
                "request",
                "custodian",
                "the records are here; fetch them",
            ));
        }
        self.member(&input.custodian)?;
        let issued = self.facts().at();
        let expires = issued.saturating_add(REQUEST_LIFE_MS);
        let ask = Ask {
            network: self.network,
            custodian: input.custodian,
            request: Request {
                actor: input.caller.actor,
                purpose: input.purpose,
                subject: input.subject,
                selection: input.selection,
                study: input.study,
                partial: input.partial,
            },
            nonce: self.ambient.random(),
            issued,
            expires,
            epoch: self.ledger.epoch(),
        };
        let bytes = sign(
            Domain::ShareRequest,
            &self.network,
            &ask,
            &self.signers().signing,
        );
        if bytes.len() > REQUEST_MAX_BYTES {
            return Err(Error::invalid(
                "request",
                "records",
                "it names too many records; ask for fewer at once",
            ));
        }
        // Whoever asks elsewhere is known here, answered or not, before the request leaves.
        let by_office = vault::Outcome::Permitted(vec![Because {
            basis: Basis::Policy(office()?),
            categories: BTreeSet::new(),
        }]);
        self.visit_log(&ask, "ask", by_office, Vec::new()).await?;
        Ok(ShareRequest { bytes, expires })
    }

    pub(crate) async fn share_accept(&self, input: ShareAccept) -> Result<Shared, Error> {
        self.own_staff(&input.caller)?;
        let ask = self.own_request(&input)?;
        let answer = self.answer_read(&ask, &input)?;
        let outcome = self.answer_open(&ask, &answer)?;
        let permitted = match outcome {
            Outcome::Permitted(permitted) => permitted,
            Outcome::Refused(missing) if missing.is_empty() => {
                return Err(ShareRefused::Malformed.into());
            }
            Outcome::Refused(missing) => {
                let refused = vault::Outcome::Refused(missing.clone());
                self.visit_log(&ask, "visit", refused, Vec::new()).await?;
                return Err(Error::Denied {
                    disclosure: answer.disclosure,
                    denial: Denial { missing },
                });
            }
        };
        let records = self.believed(&ask, &permitted).await?;
        let asked = &ask.request.selection.categories;
        let is_plain = |because: &Because| because.categories.is_subset(asked);
        if permitted.because.len() > BASES_MAX || !permitted.because.iter().all(is_plain) {
            return Err(ShareRefused::Malformed.into());
        }
        let read = vault::Outcome::Permitted(permitted.because.clone());
        let shown = records.iter().map(|shared| shared.record).collect();
        let (visitor, logged) = self.visit_log(&ask, "visit", read, shown).await?;
        // INVARIANT: nothing is shown before this line.
        self.counters.fetches.up();
        Ok(Shared {
            disclosure: answer.disclosure,
            logged,
            visitor,
            because: permitted.because,
            until: permitted.until,
            records,
        })
    }

    /// The request that is answered: this institution's own, by this caller.
    fn own_request(&self, input: &ShareAccept) -> Result<Ask, Error> {
        let claimed = Claimed::<Ask>::read(Domain::ShareRequest, &input.request)?;
        // By whichever of its keys is good: one may have been rotated since.
        let key = self.member_key(&self.id, &claimed.signer)?;
        let ask = claimed.believed(&self.network, &key)?;
        if ask.request.actor != input.caller.actor {
            return Err(ShareRefused::Asker.into());
        }
        let late = ask.expires.saturating_add(SKEW_MS);
        if self.facts().at() > late {
            return Err(ShareRefused::Expired.into());
        }
        Ok(ask)
    }

    /// The answer, if the custodian signed it for this request.
    fn answer_read(&self, ask: &Ask, input: &ShareAccept) -> Result<Answer, Error> {
        if input.answer.len() > ANSWER_MAX_BYTES {
            return Err(ShareRefused::Malformed.into());
        }
        let claimed = Claimed::<Answer>::read(Domain::ShareAnswer, &input.answer)?;
        let key = self.member_key(&ask.custodian, &claimed.signer)?;
        let answer = claimed.believed(&self.network, &key)?;
        let is_for = answer.network == self.network
            && answer.custodian == ask.custodian
            && answer.request == request_digest(&input.request);
        if is_for {
            Ok(answer)
        } else {
            Err(ShareRefused::Mismatch.into())
        }
    }

    fn answer_open(&self, ask: &Ask, answer: &Answer) -> Result<Outcome, Error> {
        let identity = self.vault.keychain().identity();
        let plain = keys::hybrid_open(
            &HybridSecretKey::from_seed(identity.hybrid_seed),
            &seal_info(&self.network, &ask.custodian, &self.id),
            &seal_place(&answer.request, &answer.disclosure),
            &answer.sealed,
        );
        let plain = plain.map_err(|_| ShareRefused::Sealed)?;
        codec::from_slice(&plain).map_err(|_| ShareRefused::Malformed.into())
    }

    /// What was sent, if it is what was asked for and what the ledger says it is.
    async fn believed(&self, ask: &Ask, permitted: &Permitted) -> Result<Vec<SharedRecord>, Error> {
        let selection = &ask.request.selection;
        let mut seen: BTreeSet<RecordId> = BTreeSet::new();
        let mut commitments = BTreeSet::new();
        let mut records = Vec::with_capacity(permitted.records.len());
        // What this institution itself adds to each receipt.
        let before = self.ledger.boundaries(0, ask.epoch).await?;
        let added = codec::to_vec(&before).len();
        if added.saturating_mul(permitted.records.len()) > ANSWER_MAX_BYTES {
            return Err(Error::invalid(
                "request",
                "records",
                "the receipts of so many records are too large together; ask for fewer at once",
            ));
        }
        for sent in &permitted.records {
            let asked = match &selection.records {
                Records::All => true,
                Records::Only(records) => records.contains(&sent.record),
            };
            if !asked || !seen.insert(sent.record) {
                return Err(ShareRefused::Widened.into());
            }
            let receipt = self.receipt_check(ask, sent, &before)?;
            if !commitments.insert(receipt.commitment) {
                return Err(ShareRefused::Record.into());
            }
            let mut parts = Vec::with_capacity(sent.parts.len());
            for (part, opening) in sent.parts.iter().zip(&receipt.leaves) {
                let category = match part.label {
                    Label::Projection(category) if selection.categories.contains(&category) => {
                        category
                    }
                    _ => return Err(ShareRefused::Widened.into()),
                };
                if opening.label != part.label || !opening.leads(&part.bytes, &receipt.commitment) {
                    return Err(ShareRefused::Record.into());
                }
                parts.push(SharedPart {
                    category,
                    rule_version: opening.rule_version,
                    bytes: Content::new(part.bytes.clone()),
                });
            }
            records.push(SharedRecord {
                record: sent.record,
                version: sent.version,
                kind: sent.kind.clone(),
                deposited: sent.deposited,
                parts,
                receipt: receipt.encode(),
            });
        }
        Ok(records)
    }

    /// The receipt of a sent record: it holds, is the custodian's, and opens one leaf for each part. It comes
    /// back whole: anyone can verify it with the genesis alone.
    fn receipt_check(&self, ask: &Ask, sent: &Sent, before: &[Boundary]) -> Result<Receipt, Error> {
        let record = |_| ShareRefused::Record;
        let mut receipt = Receipt::decode(&sent.receipt).map_err(record)?;
        let finality = &receipt.logged.finality;
        let certified = finality.headers.last().ok_or(ShareRefused::Record)?;
        // INVARIANT: this institution validated or verified every block up to its own epoch itself.
        let epoch = self.ledger.genesis().parameters.epoch(certified.height);
        let known = epoch.min(ask.epoch);
        let anchor = self.ledger.anchor(known).ok_or(ShareRefused::Record)?;
        let check = self.ledger.certificates();
        let verified = verify_from(&receipt, &anchor, &check, None).map_err(record)?;
        let labels: BTreeSet<Label> = sent.parts.iter().map(|part| part.label).collect();
        let is_whole = verified.custodian == ask.custodian
            && receipt.leaves.len() == sent.parts.len()
            && labels.len() == sent.parts.len()
            && !sent.parts.is_empty();
        if !is_whole {
            return Err(ShareRefused::Record.into());
        }
        let boundaries = &mut receipt.logged.finality.boundaries;
        boundaries.retain(|end| self.ledger.genesis().parameters.epoch(end.header.height) >= known);
        let before = before.iter().cloned();
        let parameters = &self.ledger.genesis().parameters;
        boundaries.splice(
            0..0,
            before.take_while(|end| parameters.epoch(end.header.height) < known),
        );
        Ok(receipt)
    }

    /// Logs what this institution's practitioner did in the visitor compartment: durable when it returns.
    async fn visit_log(
        &self,
        ask: &Ask,
        channel: &'static str,
        outcome: vault::Outcome,
        records: Vec<RecordId>,
    ) -> Result<(SubjectId, DisclosureId), Error> {
        let visitor = self
            .vault
            .visitor_ensure(
                &ask.custodian,
                &ask.request.subject,
                self.now(),
                &mut self.ambient.entropy(),
            )
            .await?;
        let logging = Logging {
            request: Request {
                subject: visitor,
                ..ask.request.clone()
            },
            outcome,
            records,
            stale: false,
            session: None,
            channel: Some(channel),
            asked: None,
        };
        Ok((visitor, self.disclosure_log(logging).await?))
    }
}
