//! The rules of subject entries.

use super::execute::Work;
use super::leaf::{Recovery, SubjectLeaf};
use super::rules::{custodian_is_member, custodian_signs, member_key, verify};
use super::{Refusal, StateKey};
use crate::entry::{
    KeyId, SLOTS, SignedEntry, Slot, SubjectClose, SubjectOpen, SubjectRecover, SubjectUpdate,
    UpdateTerms, inner_verify,
};
use codec::{Domain, InstitutionId, SubjectId};
use keys::PublicKey;

/// Who signed an entry about a compartment.
enum Controller {
    /// A live slot key.
    Slot,
    /// The custodian.
    Custodian,
}

impl SubjectLeaf {
    /// The slot whose key has this id, and its index.
    pub fn slot_of(&self, key: &KeyId) -> Option<(usize, &Slot)> {
        let mut slots = self.slots.iter().flatten().enumerate();
        slots.find(|(_, slot)| KeyId::of(&slot.key) == *key)
    }
}

pub(super) fn open(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &SubjectOpen,
) -> Result<(), Refusal> {
    let terms = &entry.terms;
    let key = custodian_signs(work, signed, &terms.custodian)?;
    let at = StateKey::Subject((terms.custodian, terms.subject));
    if work.read::<SubjectLeaf>(&at).is_some() {
        return Err(Refusal::SubjectExists);
    }
    let slot = slot_at(&terms.slots, terms.slot)?;
    // INVARIANT: the slots and their signature depend on the entry's bytes alone, so that what was found
    // once holds in every block.
    let coherent = signed.is_coherent();
    if !coherent {
        slots_are_keys((0..).zip(&terms.slots))?;
    }
    if slot.last_valid < work.height {
        return Err(Refusal::SlotExpired {
            last_valid: slot.last_valid,
        });
    }
    verify(signed, &key)?;
    if !coherent {
        let id = signed.entry_id();
        if !inner_verify(Domain::SlotSignature, &id, &slot.key, &entry.slot_signature) {
            return Err(Refusal::InnerSignature("controller slot"));
        }
        signed.mark_coherent();
    }
    let leaf = SubjectLeaf {
        sequence: 0,
        consent: terms.consent,
        slots: Some(terms.slots),
        assisted: terms.assisted,
        recovery: None,
    };
    work.put(at, &leaf);
    Ok(())
}

pub(super) fn update(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &SubjectUpdate,
) -> Result<(), Refusal> {
    let terms = &entry.terms;
    let (at, mut leaf) = compartment(work, &terms.custodian, &terms.subject)?;
    let expected = leaf.sequence.saturating_add(1);
    if terms.sequence != expected {
        return Err(Refusal::Sequence {
            expected,
            found: terms.sequence,
        });
    }
    let (controller, key) = controller(work, signed, &terms.custodian, &leaf)?;
    if matches!(controller, Controller::Custodian) {
        if !leaf.assisted {
            return Err(Refusal::NotAssisted);
        }
        if !terms.slots.is_empty() && terms.enrols.is_none() {
            return Err(Refusal::DeskSlots);
        }
    }
    let mut slots = leaf.slots.ok_or(Refusal::SubjectClosed)?;
    for (index, slot) in &terms.slots {
        *slots
            .get_mut(usize::from(*index))
            .ok_or(Refusal::Slot(*index))? = *slot;
    }
    slots_are_keys(terms.slots.iter().map(|(index, slot)| (*index, slot)))?;
    if terms.enrols.is_some() && !replaces_every_slot(terms, &leaf) {
        return Err(Refusal::EnrolmentIncomplete);
    }
    verify(signed, &key)?;
    verify_enrolment(work, signed, entry, &slots)?;
    leaf.sequence = terms.sequence;
    leaf.consent = terms.consent;
    leaf.slots = Some(slots);
    leaf.assisted &= terms.enrols.is_none();
    if matches!(controller, Controller::Slot) || terms.enrols.is_some() {
        // Whoever holds a slot key is there.
        leaf.recovery = None;
    }
    work.put(at, &leaf);
    Ok(())
}

pub(super) fn recover(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &SubjectRecover,
) -> Result<(), Refusal> {
    let terms = &entry.terms;
    let key = custodian_signs(work, signed, &terms.custodian)?;
    let (at, mut leaf) = compartment(work, &terms.custodian, &terms.subject)?;
    if leaf.recovery.is_some() {
        return Err(Refusal::RecoveryPending);
    }
    slots_are_keys((0..).zip(&terms.slots))?;
    if terms.witness == terms.custodian {
        return Err(Refusal::Witness);
    }
    let witness = member_key(work, &terms.witness).ok_or(Refusal::Witness)?;
    verify(signed, &key)?;
    if !inner_verify(
        Domain::RecoverySignature,
        &signed.entry_id(),
        &witness,
        &entry.witness_signature,
    ) {
        return Err(Refusal::InnerSignature("second institution"));
    }
    leaf.recovery = Some(Recovery {
        slots: terms.slots,
        effective_ms: work
            .time_ms
            .saturating_add(work.parameters.recover_delay_ms),
        witness: terms.witness,
    });
    work.put(at, &leaf);
    Ok(())
}

pub(super) fn close(
    work: &mut Work<'_>,
    signed: &SignedEntry,
    entry: &SubjectClose,
) -> Result<(), Refusal> {
    let (at, mut leaf) = compartment(work, &entry.custodian, &entry.subject)?;
    let (_, key) = controller(work, signed, &entry.custodian, &leaf)?;
    verify(signed, &key)?;
    leaf.slots = None;
    leaf.assisted = false;
    leaf.recovery = None;
    work.put(at, &leaf);
    Ok(())
}

/// An open compartment of a member.
fn compartment(
    work: &Work<'_>,
    custodian: &InstitutionId,
    subject: &SubjectId,
) -> Result<(StateKey, SubjectLeaf), Refusal> {
    custodian_is_member(work, custodian)?;
    let at = StateKey::Subject((*custodian, *subject));
    let leaf: SubjectLeaf = work.read(&at).ok_or(Refusal::UnknownSubject)?;
    if leaf.is_closed() {
        return Err(Refusal::SubjectClosed);
    }
    Ok((at, leaf))
}

/// Whose key the entry names as its signer, and the key.
fn controller(
    work: &Work<'_>,
    signed: &SignedEntry,
    custodian: &InstitutionId,
    leaf: &SubjectLeaf,
) -> Result<(Controller, PublicKey), Refusal> {
    let Some((_, slot)) = leaf.slot_of(&signed.header().signer) else {
        let key = custodian_signs(work, signed, custodian)?;
        return Ok((Controller::Custodian, key));
    };
    if slot.last_valid < work.height {
        return Err(Refusal::SlotExpired {
            last_valid: slot.last_valid,
        });
    }
    Ok((Controller::Slot, slot.key))
}

/// Whether all four slots get keys that the compartment did not have.
fn replaces_every_slot(terms: &UpdateTerms, leaf: &SubjectLeaf) -> bool {
    let old: Vec<_> = leaf.slots.iter().flatten().map(|slot| slot.key).collect();
    terms.slots.len() == SLOTS && terms.slots.values().all(|slot| !old.contains(&slot.key))
}

fn verify_enrolment(
    work: &Work<'_>,
    signed: &SignedEntry,
    entry: &SubjectUpdate,
    slots: &[Slot; SLOTS],
) -> Result<(), Refusal> {
    let bad = Refusal::InnerSignature("enrolled key");
    match (entry.terms.enrols, &entry.enrolment_signature) {
        (None, None) => Ok(()),
        (Some(index), Some(signature)) => {
            let slot = slot_at(slots, index)?;
            if slot.last_valid < work.height {
                return Err(Refusal::SlotExpired {
                    last_valid: slot.last_valid,
                });
            }
            let id = signed.entry_id();
            if inner_verify(Domain::SlotSignature, &id, &slot.key, signature) {
                Ok(())
            } else {
                Err(bad)
            }
        }
        _ => Err(bad),
    }
}

fn slot_at(slots: &[Slot; SLOTS], index: u8) -> Result<&Slot, Refusal> {
    slots.get(usize::from(index)).ok_or(Refusal::Slot(index))
}

fn slots_are_keys<'a>(slots: impl IntoIterator<Item = (u8, &'a Slot)>) -> Result<(), Refusal> {
    for (index, slot) in slots {
        if !slot.key.is_point() {
            return Err(Refusal::SlotKey(index));
        }
    }
    Ok(())
}
