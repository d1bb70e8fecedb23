//! Compartments: who may change what.

use crate::support::{Chain, Member, digest, hospitals, key, slot_key, slots, subject_id};
use keys::{PublicKey, SigningKey};
use ledger::entry::{
    DeviceEnrol, DeviceRevoke, OpenTerms, RecoverTerms, Slot, StudyOpen, StudyRelease,
    SubjectClose, SubjectOpen, SubjectRecover, SubjectUpdate, UpdateTerms,
};
use ledger::state::{SubjectLeaf, admissible};
use ledger::{Entry, Kind, Refusal, SignedEntry};
use std::collections::BTreeMap;

fn leaf(chain: &Chain, n: u64) -> SubjectLeaf {
    let view = chain.state.view();
    view.subject(&chain.members[0].id, &subject_id(n)).unwrap()
}

fn refusal(chain: &Chain, entry: &SignedEntry) -> Refusal {
    admissible(&chain.state.view(), entry).unwrap_err()
}

fn update_terms(chain: &Chain, n: u64, sequence: u64) -> UpdateTerms {
    UpdateTerms {
        custodian: chain.members[0].id,
        subject: subject_id(n),
        sequence,
        consent: digest(n * 100 + sequence),
        slots: BTreeMap::new(),
        enrols: None,
    }
}

fn update(terms: UpdateTerms) -> Entry {
    Entry::SubjectUpdate(Box::new(SubjectUpdate {
        terms,
        enrolment_signature: None,
    }))
}

fn enrolment(chain: &Chain, terms: UpdateTerms, by: &SigningKey) -> Entry {
    Entry::SubjectUpdate(Box::new(SubjectUpdate {
        enrolment_signature: Some(terms.sign(&chain.network, by)),
        terms,
    }))
}

fn new_slots(n: u64) -> BTreeMap<u8, Slot> {
    (0..).zip(slots(n, u64::MAX)).collect()
}

fn recover(chain: &Chain, n: u64, witness: usize) -> Entry {
    let terms = RecoverTerms {
        custodian: chain.members[0].id,
        subject: subject_id(n),
        slots: slots(n + 50, u64::MAX),
        witness: chain.members[witness].id,
    };
    Entry::SubjectRecover(Box::new(SubjectRecover {
        witness_signature: terms.sign(&chain.network, &chain.members[witness].signing),
        terms,
    }))
}

fn close(chain: &Chain, n: u64) -> Entry {
    Entry::SubjectClose(SubjectClose {
        custodian: chain.members[0].id,
        subject: subject_id(n),
    })
}

#[test]
fn opening_needs_the_custodian_and_a_slot_key() {
    let mut chain = Chain::new();
    let terms = OpenTerms {
        custodian: chain.members[0].id,
        subject: subject_id(1),
        slots: slots(1, u64::MAX),
        assisted: false,
        consent: digest(1),
        slot: 2,
    };
    let open = |terms: &OpenTerms, by: &SigningKey| {
        Entry::SubjectOpen(Box::new(SubjectOpen {
            slot_signature: terms.sign(&chain.network, by),
            terms: terms.clone(),
        }))
    };
    let wrong_slot = chain.sign(0, &open(&terms, &slot_key(1, 1)));
    let inner = Refusal::InnerSignature("controller slot");
    assert_eq!(refusal(&chain, &wrong_slot), inner);
    let not_custodian = chain.sign(1, &open(&terms, &slot_key(1, 2)));
    assert_eq!(refusal(&chain, &not_custodian), Refusal::NotEntitled);
    let out_of_range = OpenTerms {
        slot: 4,
        ..terms.clone()
    };
    let entry = chain.sign(0, &open(&out_of_range, &slot_key(1, 2)));
    assert_eq!(refusal(&chain, &entry), Refusal::Slot(4));
    let mut no_key = terms.clone();
    no_key.slots[3].key = PublicKey::from_bytes([2; 32]);
    assert!(!no_key.slots[3].key.is_point());
    let entry = chain.sign(0, &open(&no_key, &slot_key(1, 2)));
    assert_eq!(refusal(&chain, &entry), Refusal::SlotKey(3));
    let mut stale = terms.clone();
    stale.slots[2].last_valid = 0;
    let entry = chain.sign(0, &open(&stale, &slot_key(1, 2)));
    assert_eq!(
        refusal(&chain, &entry),
        Refusal::SlotExpired { last_valid: 0 }
    );
    let good = chain.sign(0, &open(&terms, &slot_key(1, 2)));
    let other = OpenTerms {
        consent: digest(2),
        ..terms
    };
    let second = chain.sign(0, &open(&other, &slot_key(1, 2)));
    chain.push(&[good]);
    assert_eq!(refusal(&chain, &second), Refusal::SubjectExists);
    let leaf = leaf(&chain, 1);
    assert_eq!(
        (leaf.sequence, leaf.consent, leaf.assisted),
        (0, digest(1), false)
    );
}

#[test]
fn operators_hold_no_data() {
    let mut members = hospitals(3);
    members.push(Member::new(4, Kind::Operator));
    let chain = Chain::with(members, 3);
    let open = chain.subject_open(3, 1, true);
    assert_eq!(refusal(&chain, &open), Refusal::Operator);
    let batch = chain.record_batch(3, 1);
    assert_eq!(refusal(&chain, &batch), Refusal::Operator);
}

#[test]
fn consent_follows_in_sequence() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, false)]);
    let slot = slot_key(1, 3);
    for found in [0, 2, 3] {
        let entry = chain.sign_with(&slot, &update(update_terms(&chain, 1, found)));
        let gap = Refusal::Sequence { expected: 1, found };
        assert_eq!(refusal(&chain, &entry), gap);
        assert_eq!(gap.may_pass(), found > 1);
    }
    let one = chain.sign_with(&slot, &update(update_terms(&chain, 1, 1)));
    let two = chain.sign_with(&slot_key(1, 0), &update(update_terms(&chain, 1, 2)));
    // Two in one block, in order.
    chain.push(&[one, two]);
    let leaf = leaf(&chain, 1);
    assert_eq!((leaf.sequence, leaf.consent), (2, digest(102)));
    let desk = chain.sign(0, &update(update_terms(&chain, 1, 3)));
    assert_eq!(refusal(&chain, &desk), Refusal::NotAssisted);
    let other = chain.sign(1, &update(update_terms(&chain, 1, 3)));
    assert_eq!(refusal(&chain, &other), Refusal::NotEntitled);
    let stranger = chain.sign_with(&key("stranger", 1), &update(update_terms(&chain, 1, 3)));
    assert_eq!(refusal(&chain, &stranger), Refusal::UnknownSigner);
    let unknown = chain.sign_with(&slot, &update(update_terms(&chain, 9, 1)));
    assert_eq!(refusal(&chain, &unknown), Refusal::UnknownSubject);
}

#[test]
fn a_slot_key_rotates_slots_and_expires() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, false)]);
    let mut terms = update_terms(&chain, 1, 1);
    let replaced = Slot {
        key: slot_key(70, 0).public(),
        last_valid: 4,
    };
    terms.slots.insert(1, replaced);
    let mut outside = terms.clone();
    outside.slots.insert(4, replaced);
    let entry = chain.sign_with(&slot_key(1, 1), &update(outside));
    assert_eq!(refusal(&chain, &entry), Refusal::Slot(4));
    chain.push(&[chain.sign_with(&slot_key(1, 1), &update(terms))]);
    assert_eq!(leaf(&chain, 1).slots.unwrap()[1], replaced);
    // The old key is gone, the new one serves up to height 4.
    let entry = chain.sign_with(&slot_key(1, 1), &update(update_terms(&chain, 1, 2)));
    assert_eq!(refusal(&chain, &entry), Refusal::UnknownSigner);
    chain.push(&[chain.sign_with(&slot_key(70, 0), &update(update_terms(&chain, 1, 2)))]);
    chain.advance_to(4);
    let late = chain.sign_with(&slot_key(70, 0), &update(update_terms(&chain, 1, 3)));
    assert_eq!(
        refusal(&chain, &late),
        Refusal::SlotExpired { last_valid: 4 }
    );
    let close = chain.sign_with(&slot_key(70, 0), &close(&chain, 1));
    assert_eq!(
        refusal(&chain, &close),
        Refusal::SlotExpired { last_valid: 4 }
    );
}

#[test]
fn enrolment_ends_assistance_for_good() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, true)]);
    chain.push(&[chain.sign(0, &update(update_terms(&chain, 1, 1)))]);
    // The desk may not plant slots of its own.
    let mut planted = update_terms(&chain, 1, 2);
    planted.slots = new_slots(60);
    let entry = chain.sign(0, &update(planted.clone()));
    assert_eq!(refusal(&chain, &entry), Refusal::DeskSlots);
    let mut terms = planted;
    terms.enrols = Some(2);
    let family = slot_key(60, 2);
    let unsigned = chain.sign(0, &update(terms.clone()));
    let inner = Refusal::InnerSignature("enrolled key");
    assert_eq!(refusal(&chain, &unsigned), inner);
    let by_desk = chain.sign(
        0,
        &enrolment(&chain, terms.clone(), &chain.members[0].signing),
    );
    assert_eq!(refusal(&chain, &by_desk), inner);
    // No key of before may survive, in its place or another.
    let mut partial = terms.clone();
    partial.slots.remove(&0);
    let entry = chain.sign(0, &enrolment(&chain, partial, &family));
    assert_eq!(refusal(&chain, &entry), Refusal::EnrolmentIncomplete);
    let mut moved = terms.clone();
    moved.slots.get_mut(&0).unwrap().key = slot_key(1, 3).public();
    let entry = chain.sign(0, &enrolment(&chain, moved, &family));
    assert_eq!(refusal(&chain, &entry), Refusal::EnrolmentIncomplete);
    let mut outside = terms.clone();
    outside.enrols = Some(7);
    let entry = chain.sign(0, &enrolment(&chain, outside, &family));
    assert_eq!(refusal(&chain, &entry), Refusal::Slot(7));
    chain.push(&[chain.sign(0, &enrolment(&chain, terms, &family))]);
    assert!(!leaf(&chain, 1).assisted);
    let desk = chain.sign(0, &update(update_terms(&chain, 1, 3)));
    assert_eq!(refusal(&chain, &desk), Refusal::NotAssisted);
    let old_slot = chain.sign_with(&slot_key(1, 1), &update(update_terms(&chain, 1, 3)));
    assert_eq!(refusal(&chain, &old_slot), Refusal::UnknownSigner);
    chain.push(&[chain.sign_with(&family, &update(update_terms(&chain, 1, 3)))]);
    assert_eq!(leaf(&chain, 1).sequence, 3);
    // An enrolment's signature is not accepted where nothing is enrolled.
    let stray = Entry::SubjectUpdate(Box::new(SubjectUpdate {
        terms: update_terms(&chain, 1, 4),
        enrolment_signature: Some(update_terms(&chain, 1, 4).sign(&chain.network, &family)),
    }));
    let entry = chain.sign_with(&family, &stray);
    assert_eq!(refusal(&chain, &entry), inner);
}

#[test]
fn recovery_waits_and_then_replaces_the_slots() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, false)]);
    let alone = chain.sign(0, &recover(&chain, 1, 0));
    assert_eq!(refusal(&chain, &alone), Refusal::Witness);
    let Entry::SubjectRecover(mut forged) = recover(&chain, 1, 1) else {
        unreachable!()
    };
    forged.witness_signature = forged.terms.sign(&chain.network, &chain.members[0].signing);
    let entry = chain.sign(0, &Entry::SubjectRecover(forged));
    let inner = Refusal::InnerSignature("second institution");
    assert_eq!(refusal(&chain, &entry), inner);
    let by_witness = chain.sign(1, &recover(&chain, 1, 1));
    assert_eq!(refusal(&chain, &by_witness), Refusal::NotEntitled);

    let header = chain.push(&[chain.sign(0, &recover(&chain, 1, 1))]);
    let due_ms = header.time_ms + 60_000;
    assert_eq!(leaf(&chain, 1).recovery.unwrap().effective_ms, due_ms);
    let second = chain.sign(0, &recover(&chain, 1, 2));
    assert_eq!(refusal(&chain, &second), Refusal::RecoveryPending);
    let before = slots(1, u64::MAX);
    chain.push_at(due_ms - 1, &[]).unwrap();
    assert_eq!(leaf(&chain, 1).slots, Some(before));
    let restarted = chain.reload().unwrap();
    chain.push_at(due_ms, &[]).unwrap();
    let after = leaf(&chain, 1);
    assert_eq!(
        (after.slots, after.recovery),
        (Some(slots(51, u64::MAX)), None)
    );
    // The same after a restart in between.
    let context = ledger::BlockContext {
        height: chain.height(),
        time_ms: due_ms,
    };
    let executed = ledger::state::execute(&restarted.view(), &context, &[]).unwrap();
    assert_eq!(executed.state_root(), chain.tip().state_root);
    let old = chain.sign_with(&slot_key(1, 1), &update(update_terms(&chain, 1, 1)));
    assert_eq!(refusal(&chain, &old), Refusal::UnknownSigner);
    chain.push(&[chain.sign_with(&slot_key(51, 3), &update(update_terms(&chain, 1, 1)))]);
}

#[test]
fn any_old_slot_cancels_a_recovery_and_the_desk_does_not() {
    let mut chain = Chain::new();
    chain.push(&[
        chain.subject_open(0, 1, true),
        chain.subject_open(0, 2, true),
    ]);
    let entries = [
        chain.sign(0, &recover(&chain, 1, 1)),
        chain.sign(0, &recover(&chain, 2, 1)),
    ];
    let header = chain.push(&entries);
    let by_slot = chain.sign_with(&slot_key(1, 0), &update(update_terms(&chain, 1, 1)));
    let by_desk = chain.sign(0, &update(update_terms(&chain, 2, 1)));
    chain.push(&[by_slot, by_desk]);
    assert_eq!(leaf(&chain, 1).recovery, None);
    assert!(leaf(&chain, 2).recovery.is_some());
    chain.push_at(header.time_ms + 60_000, &[]).unwrap();
    assert_eq!(leaf(&chain, 1).slots, Some(slots(1, u64::MAX)));
    assert!(leaf(&chain, 1).assisted);
    assert_eq!(leaf(&chain, 2).slots, Some(slots(52, u64::MAX)));
    assert!(!leaf(&chain, 2).assisted);
}

#[test]
fn an_enrolment_outlives_a_waiting_recovery() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, true)]);
    let header = chain.push(&[chain.sign(0, &recover(&chain, 1, 1))]);
    let mut terms = update_terms(&chain, 1, 1);
    terms.slots = new_slots(60);
    terms.enrols = Some(0);
    chain.push(&[chain.sign(0, &enrolment(&chain, terms, &slot_key(60, 0)))]);
    chain.push_at(header.time_ms + 90_000, &[]).unwrap();
    assert_eq!(leaf(&chain, 1).slots, Some(slots(60, u64::MAX)));
}

#[test]
fn a_closed_compartment_stays_closed() {
    let mut chain = Chain::new();
    chain.push(&[
        chain.subject_open(0, 1, false),
        chain.subject_open(0, 2, false),
    ]);
    let stranger = chain.sign(1, &close(&chain, 1));
    assert_eq!(refusal(&chain, &stranger), Refusal::NotEntitled);
    let by_slot = chain.sign_with(&slot_key(1, 2), &close(&chain, 1));
    let by_custodian = chain.sign(0, &close(&chain, 2));
    chain.push(&[by_slot, by_custodian]);
    for n in [1, 2] {
        assert!(leaf(&chain, n).is_closed());
        let entry = chain.sign_with(&slot_key(n, 2), &update(update_terms(&chain, n, 1)));
        assert_eq!(refusal(&chain, &entry), Refusal::SubjectClosed);
        let entry = chain.sign(0, &recover(&chain, n, 1));
        assert_eq!(refusal(&chain, &entry), Refusal::SubjectClosed);
    }
    // Opening it again, even with other terms, is refused too.
    let terms = OpenTerms {
        custodian: chain.members[0].id,
        subject: subject_id(1),
        slots: slots(9, u64::MAX),
        assisted: false,
        consent: digest(9),
        slot: 0,
    };
    let open = Entry::SubjectOpen(Box::new(SubjectOpen {
        slot_signature: terms.sign(&chain.network, &slot_key(9, 0)),
        terms,
    }));
    assert_eq!(
        refusal(&chain, &chain.sign(0, &open)),
        Refusal::SubjectExists
    );
}

#[test]
fn devices_are_enrolled_once_and_revoked_for_good() {
    let mut chain = Chain::new();
    let device = codec::DeviceId::new([5; 16]);
    let enrol = |member: usize, n| {
        let institution = chain.members[member].id;
        Entry::DeviceEnrol(DeviceEnrol {
            institution,
            device,
            key: key("device", n).public(),
            commitment: digest(n),
        })
    };
    let revoke = Entry::DeviceRevoke(DeviceRevoke {
        institution: chain.members[0].id,
        device,
    });
    let (first, again, elsewhere) = (enrol(0, 1), enrol(0, 2), enrol(1, 1));
    assert_eq!(
        refusal(&chain, &chain.sign(0, &revoke)),
        Refusal::UnknownDevice
    );
    assert_eq!(
        refusal(&chain, &chain.sign(1, &first)),
        Refusal::NotEntitled
    );
    chain.push(&[chain.sign(0, &first), chain.sign(1, &elsewhere)]);
    assert_eq!(
        refusal(&chain, &chain.sign(0, &again)),
        Refusal::DeviceExists
    );
    chain.push(&[chain.sign(0, &revoke)]);
    let view = chain.state.view();
    assert_eq!(
        view.device(&chain.members[0].id, &device).unwrap().revoked,
        Some(2)
    );
    assert_eq!(
        view.device(&chain.members[1].id, &device).unwrap().revoked,
        None
    );
    assert_eq!(
        refusal(&chain, &chain.sign(0, &again)),
        Refusal::DeviceExists
    );
    let key = &chain.members[0].signing;
    let later = SignedEntry::sign(&chain.network, &revoke, 500, key).unwrap();
    assert!(matches!(refusal(&chain, &later), Refusal::Duplicate { .. }));
    chain.advance_to(110);
    let later = SignedEntry::sign(&chain.network, &revoke, 500, &chain.members[0].signing);
    assert_eq!(refusal(&chain, &later.unwrap()), Refusal::DeviceRevoked);
}

#[test]
fn a_study_releases_in_order_by_its_institution() {
    let mut chain = Chain::new();
    let study = codec::StudyId::new([6; 16]);
    let open = |member: usize, n| {
        Entry::StudyOpen(StudyOpen {
            institution: chain.members[member].id,
            study,
            policy: digest(n),
        })
    };
    let release = |member: usize, n| {
        Entry::StudyRelease(StudyRelease {
            institution: chain.members[member].id,
            study,
            content: digest(n),
            certificate: digest(n + 100),
        })
    };
    let (first, second) = (open(2, 1), open(3, 2));
    let releases = [release(2, 1), release(2, 2), release(3, 3)];
    assert_eq!(
        refusal(&chain, &chain.sign(2, &releases[0])),
        Refusal::UnknownStudy
    );
    chain.push(&[chain.sign(2, &first)]);
    assert_eq!(
        refusal(&chain, &chain.sign(3, &second)),
        Refusal::StudyExists
    );
    chain.push(&[chain.sign(2, &releases[0]), chain.sign(2, &releases[1])]);
    assert_eq!(
        refusal(&chain, &chain.sign(3, &releases[2])),
        Refusal::NotEntitled
    );
    let view = chain.state.view();
    assert_eq!(view.study(&study).unwrap().releases, 2);
    assert_eq!(view.release(&study, 0).unwrap().content, digest(1));
    assert_eq!(view.release(&study, 1).unwrap().certificate, digest(102));
    assert_eq!(view.release(&study, 2), None);
}
