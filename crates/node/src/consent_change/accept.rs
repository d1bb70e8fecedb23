//! Showing consent, preparing changes, accepting signed ones, changes by the desk.

use super::apply::{Applied, allowed, applied, refused};
use super::{
    ChangeSignature, ConsentAccepted, ConsentBundle, ConsentDesk, ConsentPrepare, ConsentQuery,
    ConsentShown, ConsentSubmit, Draft, Effect, SignedChange, UpdateDraft,
};
use crate::caller::Caller;
use crate::custodian::{Custodian, Standing};
use crate::error::{Conflict, Error};
use crate::subject::Wait;
use crate::subject::open::SLOT_LAST_VALID;
use crate::verify::OpeningBundle;
use codec::id::{DisclosureId, GrantId, InstitutionId, StudyId, SubjectId};
use consent::listing::{self, Names};
use consent::{ChangeBy, ConsentState, Opening, PractitionerAt, Purpose, Role};
use keys::{PublicKey, SigningKey};
use ledger::entry::{Entry, SLOTS, Slot, SubjectUpdate, UpdateTerms};
use ledger::{SignedEntry, StateKey, View};
use std::collections::BTreeMap;
use store::Store;
use vault::{ConsentOpening, Signed};

/// How often a desk change is put on top of a newer state when it does not say which one it saw.
const REBASES: usize = 4;

impl<S: Store> Custodian<S> {
    pub(crate) async fn consent_show(&self, input: ConsentQuery) -> Result<ConsentShown, Error> {
        let (standing, _) = self.consent_seen(&input).await?;
        let names = LedgerNames(self.ledger.state_view());
        let effective = standing.effective();
        let grants = listing::grants(&effective, &standing.facts, &names);
        let notes = listing::notes(&effective, &standing.facts);
        drop(names);
        Ok(ConsentShown {
            grants,
            notes,
            latest: standing.latest().clone(),
            opening_matches: standing.facts.opening == Opening::Matches,
            opening: self.opening_proof(&input.subject, &standing).await?,
            finalised: standing
                .view
                .finalised
                .position
                .map(|_| standing.view.finalised.state.clone()),
            pending: standing.pending,
        })
    }

    /// Lets a caller see a subject's consent; who is no controller is logged before anything is shown.
    pub(crate) async fn consent_seen(
        &self,
        input: &ConsentQuery,
    ) -> Result<(Standing, Option<DisclosureId>), Error> {
        let roles = [
            Role::Desk,
            Role::PrivacyOfficer,
            Role::Auditor,
            Role::Controller,
        ];
        input.caller.needs("reading a consent state", &roles)?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.still_controls(&input.caller, &input.subject).await?;
        let standing = self.standing(&input.subject).await?;
        let logged = match input.caller.has(Role::Controller) {
            true => None,
            false => {
                let (caller, subject) = (&input.caller, &input.subject);
                let act = self.act_log(caller, subject, Purpose::Patadmin, "consent-show");
                Some(act.await?)
            }
        };
        Ok((standing, logged))
    }

    /// Proof that the state kept here is the complete one on the ledger; none while it is not there.
    async fn opening_proof(
        &self,
        subject: &SubjectId,
        standing: &Standing,
    ) -> Result<Option<Vec<u8>>, Error> {
        if standing.facts.opening != Opening::Matches {
            return Ok(None);
        }
        let key = StateKey::Subject((self.id, *subject));
        let proved = match self.proved(self.ledger.state_proof(&key)).await {
            Ok(proved) => proved,
            // The state is shown without its proof while the ledger stands still.
            Err(Error::Unavailable(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let leaf = match &proved.value {
            Some(value) => codec::from_slice::<ledger::state::SubjectLeaf>(value)
                .map_err(|_| Error::Internal("a leaf of the state does not decode"))?,
            None => return Ok(None),
        };
        let mut held = std::iter::once(&standing.view.finalised).chain(&standing.view.pending);
        let Some(opens) = held.find(|held| held.commitment() == leaf.consent) else {
            return Ok(None);
        };
        let bundle = OpeningBundle {
            state: opens.state.clone(),
            salt: opens.salt,
            opening: ledger::opening::ConsentOpening {
                custodian: self.id,
                subject: *subject,
                leaf: Some(leaf),
                proof: proved.proof,
                finality: proved.finality,
            },
        };
        Ok(Some(codec::to_vec(&bundle)))
    }

    pub(crate) async fn consent_prepare(
        &self,
        input: ConsentPrepare,
    ) -> Result<ConsentBundle, Error> {
        let roles = [Role::Desk, Role::Controller];
        input.caller.needs("preparing a consent change", &roles)?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.still_controls(&input.caller, &input.subject).await?;
        let standing = self.standing(&input.subject).await?;
        self.in_service_for(&standing)?;
        let old = standing.latest();
        let applied = applied(old, &input.changes, || self.grant_id())?;
        allowed(
            old,
            &applied.state,
            ChangeBy::Slot(input.slot),
            &standing.facts,
        )?;
        // The bundle holds the whole consent state. The family's own preparing is logged too, as its reads
        // are: it shows that somebody acts with a family's token.
        self.consent_act_log(&input.caller, &input.subject, "consent-prepare")
            .await?;
        let salt = self.ambient.random();
        let limit = self.ledger.state_view().parameters().max_validity_heights;
        let draft = UpdateDraft {
            terms: self.update_terms(&applied, &salt),
            // A family takes its time; the longest validity there is.
            last_valid: self.ledger.tip().height.saturating_add(limit),
        };
        Ok(ConsentBundle {
            network: self.network,
            previous: Some(old.clone()),
            state: applied.state,
            salt,
            slot: input.slot,
            draft: Draft::Update(draft),
        })
    }

    pub(crate) async fn consent_submit(
        &self,
        input: ConsentSubmit,
    ) -> Result<ConsentAccepted, Error> {
        let roles = [Role::Desk, Role::Controller];
        input.caller.needs("submitting a consent change", &roles)?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.change.bundle.subject())?;
        self.change_checked(&input.change)?;
        let standing = self.standing(&input.change.bundle.subject()).await?;
        self.in_service_for(&standing)?;
        let signed = self.change_signed(&input.change)?;
        let bundle = input.change.bundle.clone();
        if let Some(accepted) = self.accepted_before(&standing, &bundle, &signed).await? {
            return self.accepted(accepted, input.wait).await;
        }
        // Only now: a controller who gave up control is answered again about the change that did it.
        self.still_controls(&input.caller, &bundle.subject())
            .await?;
        let old = standing.latest();
        if bundle.previous.as_ref() != Some(old) {
            return Err(sequence_conflict(old));
        }
        let effect = match &bundle.draft {
            Draft::Open(_) => return Err(refused("it is an opening, not a change")),
            Draft::Enrol(_) => {
                let effect = allowed(old, &bundle.state, ChangeBy::Desk, &standing.facts)?;
                input
                    .caller
                    .needs("enrolling a family's keys", &[Role::Desk])?;
                effect
            }
            Draft::Update(draft) => {
                let by = ChangeBy::Slot(bundle.slot);
                let effect = allowed(old, &bundle.state, by, &standing.facts)?;
                self.slot_key_fits(&standing, &input.change).await?;
                slot_changes_fit(old, &bundle.state, &draft.terms, bundle.slot)?;
                effect
            }
        };
        self.consent_act_log(&input.caller, &bundle.subject(), "consent-submit")
            .await?;
        self.accept(
            &standing,
            bundle.state,
            bundle.salt,
            signed,
            effect,
            Vec::new(),
            input.wait,
        )
        .await
    }

    pub(crate) async fn consent_desk(&self, input: ConsentDesk) -> Result<ConsentAccepted, Error> {
        input
            .caller
            .needs("changing consent for a family", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        let mut rebases = 0;
        let mut logged = false;
        loop {
            let accepted = self.consent_desk_once(&input, &mut logged).await;
            match accepted {
                Err(Error::Conflict(Conflict::Sequence { .. }))
                    if input.expect_sequence.is_none() && rebases < REBASES =>
                {
                    rebases += 1;
                }
                accepted => return accepted,
            }
        }
    }

    async fn consent_desk_once(
        &self,
        input: &ConsentDesk,
        logged: &mut bool,
    ) -> Result<ConsentAccepted, Error> {
        let standing = self.standing(&input.subject).await?;
        self.in_service_for(&standing)?;
        let old = standing.latest();
        if input
            .expect_sequence
            .is_some_and(|seen| seen != old.sequence)
        {
            return Err(sequence_conflict(old));
        }
        let mut applied = applied(old, &input.changes, || self.grant_id())?;
        if applied.keys.values().any(Option::is_some) {
            return Err(refused(
                "the desk sets no controller's key; enrol the family's keys instead",
            ));
        }
        // While assisted no slot's key is anybody's, so none needs to be taken away.
        applied.keys.clear();
        let effect = allowed(old, &applied.state, ChangeBy::Desk, &standing.facts)?;
        if !*logged {
            self.consent_act_log(&input.caller, &input.subject, "consent-change")
                .await?;
            *logged = true;
        }
        let salt = self.ambient.random();
        let signed = self.sign(&Entry::SubjectUpdate(Box::new(SubjectUpdate {
            terms: self.update_terms(&applied, &salt),
            enrolment_signature: None,
        })))?;
        self.accept(
            &standing,
            applied.state,
            salt,
            signed,
            effect,
            applied.grants,
            input.wait,
        )
        .await
    }

    /// Logs who prepares or makes a change of consent: durable before it is made.
    async fn consent_act_log(
        &self,
        caller: &Caller,
        subject: &SubjectId,
        act: &'static str,
    ) -> Result<(), Error> {
        let purpose = match caller.has(Role::Controller) {
            true => Purpose::Patrqt,
            false => Purpose::Patadmin,
        };
        self.act_log(caller, subject, purpose, act).await?;
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one accepted change in its parts"
    )]
    async fn accept(
        &self,
        standing: &Standing,
        state: ConsentState,
        salt: [u8; 32],
        signed: Signed,
        effect: Effect,
        grants: Vec<GrantId>,
        wait: Wait,
    ) -> Result<ConsentAccepted, Error> {
        let entry = signed.id;
        let (subject, sequence) = (state.subject, state.sequence);
        let made = match grants.is_empty() {
            true => grants_made(standing.latest(), &state),
            false => grants,
        };
        let change = vault::ConsentChange {
            state,
            salt,
            signed,
        };
        self.vault
            .consent_accept(&change, self.now(), &mut self.ambient.entropy())
            .await?;
        self.counters.consents_changed.up();
        self.wakes.courier.wake();
        // What narrows binds at once, and what is counted for others with it.
        self.differential_due(&subject);
        let accepted = ConsentAccepted {
            sequence,
            entry,
            effect,
            grants: made,
            finality: crate::subject::Finality::Pending,
        };
        self.accepted(accepted, wait).await
    }

    async fn accepted(
        &self,
        accepted: ConsentAccepted,
        wait: Wait,
    ) -> Result<ConsentAccepted, Error> {
        let finality = self.entry_wait(&accepted.entry, wait).await?;
        Ok(ConsentAccepted {
            finality,
            ..accepted
        })
    }

    /// What was answered when the same signed change came before.
    async fn accepted_before(
        &self,
        standing: &Standing,
        bundle: &ConsentBundle,
        signed: &Signed,
    ) -> Result<Option<ConsentAccepted>, Error> {
        let subject = bundle.subject();
        let sequence = bundle.state.sequence;
        let mut held = std::iter::once(&standing.view.finalised).chain(&standing.view.pending);
        let is_it = |held: &ConsentOpening| held.entry == signed.id && held.salt == bundle.salt;
        if !held.any(is_it) {
            let history = self.vault.consent_history(&subject, sequence, 1).await?;
            if !history.first().is_some_and(is_it) {
                return Ok(None);
            }
        }
        let Some(previous) = &bundle.previous else {
            return Ok(None);
        };
        Ok(Some(ConsentAccepted {
            sequence,
            entry: signed.id,
            effect: match consent::change_kind(previous, &bundle.state) {
                consent::ChangeKind::Narrowing => Effect::Narrowing,
                consent::ChangeKind::Widening => Effect::Widening,
                consent::ChangeKind::Mixed => Effect::Mixed,
            },
            grants: grants_made(previous, &bundle.state),
            finality: crate::subject::Finality::Pending,
        }))
    }

    /// The entry of a signed change: as the slot's key signed it, or with this institution's signature
    /// around the family's.
    fn change_signed(&self, change: &SignedChange) -> Result<Signed, Error> {
        match (&change.bundle.draft, &change.signature) {
            (Draft::Update(_), ChangeSignature::Entry(bytes)) => {
                let entry = SignedEntry::decode(bytes).map_err(|_| refused("it is malformed"))?;
                Ok(Signed::from(&entry))
            }
            (Draft::Enrol(terms), ChangeSignature::Inner(signature)) => {
                self.sign(&Entry::SubjectUpdate(Box::new(SubjectUpdate {
                    terms: terms.clone(),
                    enrolment_signature: Some(*signature),
                })))
            }
            _ => Err(refused("it is an opening, not a change")),
        }
    }

    /// Refuses a signature by a key that does not control the subject now.
    async fn slot_key_fits(&self, standing: &Standing, change: &SignedChange) -> Result<(), Error> {
        let slots = self.slots_expected(standing).await?;
        let slot = slots.get(usize::from(change.bundle.slot));
        let serves = slot.is_some_and(|slot| {
            slot.key == change.key && slot.last_valid > self.ledger.tip().height
        });
        if !serves {
            return Err(Error::Signature {
                what: "the consent change",
                why: "its key does not control this subject in that slot",
            });
        }
        let (height, last_valid) = match &change.bundle.draft {
            Draft::Update(draft) => (self.ledger.tip().height, draft.last_valid),
            _ => return Ok(()),
        };
        if last_valid <= height {
            return Err(Error::Signature {
                what: "the consent change",
                why: "it was signed too long ago; prepare it again",
            });
        }
        Ok(())
    }

    /// The slots as they will be when everything accepted is final.
    async fn slots_expected(&self, standing: &Standing) -> Result<[Slot; SLOTS], Error> {
        let view = &standing.view;
        let on_ledger = standing.leaf.as_ref().and_then(|leaf| leaf.slots);
        let mut slots = match on_ledger {
            Some(slots) => slots,
            None => match self.entry_decoded(&view.finalised.entry).await?.entry() {
                Entry::SubjectOpen(open) => open.terms.slots,
                _ => return Err(Error::SubjectClosed),
            },
        };
        let known = standing.leaf.as_ref().map(|leaf| leaf.sequence);
        for pending in &view.pending {
            if known.is_some_and(|known| pending.state.sequence <= known) {
                continue;
            }
            if let Entry::SubjectUpdate(update) = self.entry_decoded(&pending.entry).await?.entry()
            {
                for (index, slot) in &update.terms.slots {
                    if let Some(place) = slots.get_mut(usize::from(*index)) {
                        *place = *slot;
                    }
                }
            }
        }
        Ok(slots)
    }

    async fn entry_decoded(&self, id: &codec::EntryId) -> Result<SignedEntry, Error> {
        let row = self.vault.entry(id).await?;
        SignedEntry::decode(&row.bytes)
            .map_err(|_| Error::Damaged("an entry in the outbox".to_owned()))
    }

    fn update_terms(&self, applied: &Applied, salt: &[u8; 32]) -> UpdateTerms {
        let slot = |key: &Option<PublicKey>| Slot {
            key: key.unwrap_or_else(|| SigningKey::generate(&mut self.ambient.entropy()).public()),
            last_valid: SLOT_LAST_VALID,
        };
        UpdateTerms {
            custodian: self.id,
            subject: applied.state.subject,
            sequence: applied.state.sequence,
            consent: applied.state.commitment(salt),
            slots: applied
                .keys
                .iter()
                .map(|(index, key)| (*index, slot(key)))
                .collect::<BTreeMap<_, _>>(),
            enrols: None,
        }
    }

    fn grant_id(&self) -> GrantId {
        GrantId::new(self.ambient.random())
    }
}

/// Names of institutions, from the ledger.
struct LedgerNames(View);

impl Names for LedgerNames {
    fn institution(&self, id: &InstitutionId) -> Option<String> {
        self.0.institution(id).map(|leaf| leaf.institution.name)
    }

    fn practitioner(&self, _: &PractitionerAt) -> Option<String> {
        None
    }

    fn study(&self, _: &StudyId) -> Option<String> {
        None
    }
}

/// A controller's change of keys must follow its change of controllers: nobody takes another's key away.
fn slot_changes_fit(
    old: &ConsentState,
    new: &ConsentState,
    terms: &UpdateTerms,
    own: u8,
) -> Result<(), Error> {
    for index in terms.slots.keys() {
        let same = old.controller(*index) == new.controller(*index);
        if *index != own && same && old.controller(*index).is_some() {
            return Err(refused("it changes the key of another controller"));
        }
    }
    Ok(())
}

/// The grants of a state that the one before did not have.
fn grants_made(old: &ConsentState, new: &ConsentState) -> Vec<GrantId> {
    let made = new.grants.iter().map(|grant| grant.id);
    made.filter(|id| old.grant(id).is_none()).collect()
}

fn sequence_conflict(latest: &ConsentState) -> Error {
    Conflict::Sequence {
        sequence: latest.sequence,
    }
    .into()
}
