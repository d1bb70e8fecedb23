//! Opening a compartment, enrolling a family's keys, status, closing.

use super::{
    Keyholder, SubjectClose, SubjectEnrolPrepare, SubjectEntry, SubjectOpen, SubjectOpenPrepare,
    SubjectOpenSubmit, SubjectOpened, SubjectQuery, SubjectStatus, Wait,
};
use crate::consent_change::apply::{allowed, refused, sentence};
use crate::consent_change::{ChangeSignature, ConsentBundle, Draft, SignedChange};
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Domain;
use codec::id::{EntryId, SubjectId};
use codec::time::Millis;
use consent::{ChangeBy, ConsentState, Controller, Opening, Purpose, Role, Terms};
use keys::SigningKey;
use ledger::entry::{self, Entry, OpenTerms, SLOTS, Slot, UpdateTerms};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{ClientKey, CompartmentOpen};

/// Height up to which a controller's key serves: until it is replaced.
pub(crate) const SLOT_LAST_VALID: u64 = u64::MAX;

/// Longest key of a client's own, in bytes.
pub(crate) const CLIENT_KEY_MAX_BYTES: usize = 128;

impl<S: Store> Custodian<S> {
    pub(crate) async fn subject_open(&self, input: SubjectOpen) -> Result<SubjectOpened, Error> {
        input.caller.needs("opening a subject", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        let subject = SubjectId::new(self.ambient.random());
        let received = codec::to_vec(&(input.controllers.clone(), input.matures));
        let open = self.opening(subject, input.controllers, input.matures)?;
        let client = client_key(input.client_key.as_deref(), b"subject-open", &received)?;
        let open = CompartmentOpen { client, ..open };
        self.compartment_open(open, input.wait).await
    }

    /// An opening for which the desk acts, by the institution's key.
    pub(crate) fn opening(
        &self,
        subject: SubjectId,
        controllers: Vec<Controller>,
        matures: Option<Millis>,
    ) -> Result<CompartmentOpen, Error> {
        let state = first_state(subject, true, controllers, matures)?;
        let salt = self.ambient.random();
        // The slot keys serve this opening alone, and the family's enrolment replaces all of them.
        let desk = SigningKey::generate(&mut self.ambient.entropy());
        let terms = OpenTerms {
            custodian: self.id,
            subject,
            slots: self.slots(&BTreeMap::from([(0, desk.public())])),
            assisted: true,
            consent: state.commitment(&salt),
            slot: 0,
        };
        let signed = self.sign(&Entry::SubjectOpen(Box::new(entry::SubjectOpen {
            slot_signature: terms.sign(&self.network, &desk),
            terms,
        })))?;
        Ok(CompartmentOpen {
            client: None,
            state,
            salt,
            signed,
        })
    }

    pub(crate) async fn subject_open_prepare(
        &self,
        input: SubjectOpenPrepare,
    ) -> Result<ConsentBundle, Error> {
        input.caller.needs("opening a subject", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        let subject = SubjectId::new(self.ambient.random());
        let (controllers, keys) = keyholders(&input.controllers, input.slot)?;
        let state = first_state(subject, false, controllers, input.matures)?;
        let salt = self.ambient.random();
        let terms = OpenTerms {
            custodian: self.id,
            subject,
            slots: self.slots(&keys),
            assisted: false,
            consent: state.commitment(&salt),
            slot: input.slot,
        };
        Ok(ConsentBundle {
            network: self.network,
            previous: None,
            state,
            salt,
            slot: input.slot,
            draft: Draft::Open(terms),
        })
    }

    pub(crate) async fn subject_open_submit(
        &self,
        input: SubjectOpenSubmit,
    ) -> Result<SubjectOpened, Error> {
        input.caller.needs("opening a subject", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        self.change_checked(&input.signed)?;
        let SignedChange {
            bundle, signature, ..
        } = input.signed;
        let (Draft::Open(terms), ChangeSignature::Inner(slot_signature)) =
            (bundle.draft, signature)
        else {
            return Err(refused("this is no opening; submit it as a consent change"));
        };
        if !bundle.state.grants.is_empty() {
            return Err(refused(
                "an opening grants nothing; change the consent afterwards",
            ));
        }
        let signed = self.sign(&Entry::SubjectOpen(Box::new(entry::SubjectOpen {
            terms,
            slot_signature,
        })))?;
        let open = CompartmentOpen {
            client: None,
            state: bundle.state,
            salt: bundle.salt,
            signed,
        };
        self.compartment_open(open, input.wait).await
    }

    async fn compartment_open(
        &self,
        open: CompartmentOpen,
        wait: Wait,
    ) -> Result<SubjectOpened, Error> {
        let proposed = open.signed.id;
        let own = open.state.subject;
        let opened = self
            .vault
            .compartment_open(&open, self.now(), &mut self.ambient.entropy())
            .await;
        let (subject, created) = match opened {
            Ok(opened) => (opened.subject, opened.created),
            // The same signed opening sent again.
            Err(vault::Error::Conflict(vault::Conflict::SubjectOpen))
                if self.vault.entry(&proposed).await.is_ok() =>
            {
                (own, false)
            }
            Err(error) => return Err(error.into()),
        };
        if created {
            self.counters.subjects_opened.up();
            self.wakes.courier.wake();
        }
        let standing = self.standing(&subject).await?;
        let entry = match created {
            true => proposed,
            false => self.opening_entry(&subject, &standing.view).await?,
        };
        Ok(SubjectOpened {
            subject,
            entry,
            sequence: standing.latest().sequence,
            assisted: standing.latest().assisted,
            finality: self.entry_wait(&entry, wait).await?,
            created,
        })
    }

    /// The entry that opened a subject.
    async fn opening_entry(
        &self,
        subject: &SubjectId,
        view: &vault::ConsentView,
    ) -> Result<EntryId, Error> {
        if view.finalised.state.sequence == 0 {
            return Ok(view.finalised.entry);
        }
        let history = self.vault.consent_history(subject, 0, 1).await?;
        history
            .first()
            .map(|first| first.entry)
            .ok_or(Error::Internal("a subject without its first consent state"))
    }

    pub(crate) async fn subject_enrol_prepare(
        &self,
        input: SubjectEnrolPrepare,
    ) -> Result<ConsentBundle, Error> {
        input
            .caller
            .needs("enrolling a family's keys", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.in_service()?;
        let standing = self.standing(&input.subject).await?;
        let old = standing.latest();
        let (controllers, keys) = keyholders(&input.controllers, input.slot)?;
        let state = old
            .next(|terms| {
                terms.assisted = false;
                terms.controllers = controllers;
            })
            .map_err(|error| refused(&sentence(&error)))?;
        allowed(old, &state, ChangeBy::Desk, &standing.facts)?;
        let (caller, subject) = (&input.caller, &input.subject);
        self.act_log(caller, subject, Purpose::Patadmin, "enrol-prepare")
            .await?;
        let salt = self.ambient.random();
        let slots = (0..).zip(self.slots(&keys)).collect();
        Ok(ConsentBundle {
            network: self.network,
            previous: Some(old.clone()),
            slot: input.slot,
            draft: Draft::Enrol(UpdateTerms {
                custodian: self.id,
                subject: input.subject,
                sequence: state.sequence,
                consent: state.commitment(&salt),
                slots,
                enrols: Some(input.slot),
            }),
            state,
            salt,
        })
    }

    /// A subject's status. Who asks by office is logged, for the grants tell with whom a family shares. Its
    /// own controllers are not, as with the consent state and the trail: it is theirs, it tells nothing of
    /// any record but their number, and an app that asks every minute would bury what they look for.
    pub(crate) async fn subject_status(&self, input: SubjectQuery) -> Result<SubjectStatus, Error> {
        let roles = [
            Role::Desk,
            Role::PrivacyOfficer,
            Role::Auditor,
            Role::Controller,
        ];
        input.caller.needs("a subject's status", &roles)?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.still_controls(&input.caller, &input.subject).await?;
        let subject = input.subject;
        let standing = match self.standing(&subject).await {
            Ok(standing) => Some(standing),
            Err(Error::SubjectErased) => None,
            Err(error) => return Err(error),
        };
        if !input.caller.has(Role::Controller) {
            let caller = &input.caller;
            self.act_log(caller, &subject, Purpose::Patadmin, "subject-status")
                .await?;
        }
        let Some(standing) = standing else {
            return self.erased_status(subject).await;
        };
        let latest = standing.latest();
        let held = self.erasure_held(&subject).await?;
        Ok(SubjectStatus {
            subject,
            assisted: latest.assisted,
            final_sequence: standing
                .view
                .finalised
                .position
                .map(|_| standing.view.finalised.state.sequence),
            accepted_sequence: latest.sequence,
            restricted: standing.effective().states().any(|state| state.restricted),
            closed: standing.facts.closed,
            erased: false,
            held_until: held.map(|refused| refused.until()),
            grants: latest.grants.clone(),
            records: u64::try_from(self.vault.record_count(&subject).await?).unwrap_or(u64::MAX),
            opening_matches: standing.facts.opening == Opening::Matches,
        })
    }

    async fn erased_status(&self, subject: SubjectId) -> Result<SubjectStatus, Error> {
        let leaf = self.ledger.state_view().subject(&self.id, &subject);
        let sequence = leaf.as_ref().map(|leaf| leaf.sequence);
        let holds = self.vault.holds(&subject).await?;
        Ok(SubjectStatus {
            subject,
            assisted: false,
            final_sequence: sequence,
            accepted_sequence: sequence.unwrap_or(0),
            restricted: false,
            closed: true,
            erased: true,
            held_until: holds.holds.iter().map(|hold| hold.until).max(),
            grants: Vec::new(),
            records: 0,
            opening_matches: false,
        })
    }

    pub(crate) async fn subject_close(&self, input: SubjectClose) -> Result<SubjectEntry, Error> {
        let roles = [Role::Desk, Role::PrivacyOfficer];
        input.caller.needs("closing a subject", &roles)?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.in_service()?;
        // What is not there cannot be closed, and is not logged as if it were.
        self.standing(&input.subject).await?;
        let (caller, subject) = (&input.caller, &input.subject);
        self.act_log(caller, subject, Purpose::Patadmin, "subject-close")
            .await?;
        let entry = self.close(subject).await?;
        Ok(SubjectEntry {
            entry,
            finality: self.entry_wait(&entry, input.wait).await?,
            custodian: self.id,
        })
    }

    /// Closes a subject, once.
    pub(crate) async fn close(&self, subject: &SubjectId) -> Result<EntryId, Error> {
        let standing = self.standing(subject).await?;
        if let Some(closing) = &standing.view.closing {
            return Ok(closing.entry);
        }
        let signed = self.sign(&Entry::SubjectClose(entry::SubjectClose {
            custodian: self.id,
            subject: *subject,
        }))?;
        let closed = self
            .vault
            .compartment_close(subject, &signed, self.now(), &mut self.ambient.entropy())
            .await;
        match closed {
            Ok(()) => self.wakes.courier.wake(),
            // Somebody else closed it first: with the same entry, for there is only one meaning.
            Err(vault::Error::Conflict(vault::Conflict::Done(_))) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(signed.id)
    }

    /// Checks a signed change as far as it is about this custodian.
    pub(crate) fn change_checked(&self, signed: &SignedChange) -> Result<(), Error> {
        signed
            .check()
            .map_err(|error| refused(&error.to_string()))?;
        if signed.bundle.network != self.network {
            return Err(refused("it was made for another network"));
        }
        if signed.bundle.custodian() != self.id {
            return Err(refused("it is for another custodian"));
        }
        Ok(())
    }

    /// Four slots: the keys that are given, and for the rest keys that nobody holds.
    pub(crate) fn slots(&self, keys: &BTreeMap<u8, keys::PublicKey>) -> [Slot; SLOTS] {
        let mut entropy = self.ambient.entropy();
        std::array::from_fn(|index| {
            let held = u8::try_from(index).ok().and_then(|slot| keys.get(&slot));
            Slot {
                key: held
                    .copied()
                    .unwrap_or_else(|| SigningKey::generate(&mut entropy).public()),
                last_valid: SLOT_LAST_VALID,
            }
        })
    }
}

fn first_state(
    subject: SubjectId,
    assisted: bool,
    controllers: Vec<Controller>,
    matures: Option<Millis>,
) -> Result<ConsentState, Error> {
    ConsentState::new(Terms {
        subject,
        sequence: 0,
        assisted,
        controllers,
        matures,
        grants: Vec::new(),
        restricted: false,
        opted_out: BTreeSet::new(),
    })
    .map_err(|error| refused(&sentence(&error)))
}

/// Controllers and their keys by slot; the slot that signs must be among them.
fn keyholders(
    holders: &[Keyholder],
    slot: u8,
) -> Result<(Vec<Controller>, BTreeMap<u8, keys::PublicKey>), Error> {
    let keys: BTreeMap<_, _> = holders
        .iter()
        .map(|holder| (holder.controller.slot, holder.key))
        .collect();
    let distinct: BTreeSet<_> = holders.iter().map(|holder| holder.key).collect();
    if keys.len() < holders.len() || distinct.len() < holders.len() {
        return Err(refused("each controller has a slot and a key of their own"));
    }
    if !keys.contains_key(&slot) {
        return Err(refused("the slot that is to sign has no key"));
    }
    if !keys.values().all(keys::PublicKey::is_point) {
        return Err(Error::Signature {
            what: "a controller's key",
            why: "it is no Ed25519 public key",
        });
    }
    let controllers = holders.iter().map(|holder| holder.controller.clone());
    Ok((controllers.collect(), keys))
}

/// A client's own key for what it sends, with the digest of that.
pub(crate) fn client_key(
    key: Option<&str>,
    what: &[u8],
    received: &[u8],
) -> Result<Option<ClientKey>, Error> {
    let Some(key) = key else {
        return Ok(None);
    };
    if key.is_empty() || key.len() > CLIENT_KEY_MAX_BYTES {
        return Err(Error::invalid(
            "idempotency key",
            "",
            "it has 1 to 128 bytes",
        ));
    }
    Ok(Some(ClientKey {
        key: key.as_bytes().to_vec(),
        received: keys::digest(Domain::IdempotencyKey, &[what, received]),
    }))
}
