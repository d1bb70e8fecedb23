//! Receipts, disclosure proofs, consent openings: what they prove, and which link breaks.

use crate::golden::{Proofs, proofs};
use crate::support::{Chain, START_MS, Signatures, digest, subject_id};
use keys::commitment::Label;
use ledger::entry::{Entry, StudyOpen, StudyRelease};
use ledger::receipt::{LoggedEntry, LoggedHeader, verify, verify_from};
use ledger::release::{self, ReleaseProof};
use ledger::{Anchor, BrokenLink, Receipt, SignedEntry, StateKey, disclosure, opening};
use proptest::prelude::*;

fn broken(proofs: &Proofs, receipt: &Receipt) -> BrokenLink {
    let leaf = Some(proofs.content.as_slice());
    verify(receipt, &proofs.chain.genesis, &Signatures, leaf).unwrap_err()
}

#[test]
fn a_receipt_proves_the_record() {
    let proofs = proofs();
    let genesis = &proofs.chain.genesis;
    let receipt = Receipt::decode(&proofs.receipt.encode()).unwrap();
    let verified = verify(&receipt, genesis, &Signatures, Some(&proofs.content)).unwrap();
    assert_eq!(verified.custodian, proofs.chain.members[0].id);
    assert_eq!(verified.commitment, proofs.receipt.commitment);
    assert_eq!(verified.label, Some(Label::Stored));
    assert_eq!((verified.height, verified.time_ms), (5, START_MS + 5_000));
    // Without the content, the commitment alone.
    let verified = verify(&receipt, genesis, &Signatures, None).unwrap();
    assert_eq!(verified.label, None);
    // And without any opening, the same.
    let mut closed = receipt;
    closed.leaves.clear();
    assert_eq!(verify(&closed, genesis, &Signatures, None), Ok(verified));
}

#[test]
fn each_broken_link_is_named() {
    let proofs = proofs();
    let good = &proofs.receipt;
    let with = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        broken(&proofs, &receipt)
    };
    assert_eq!(with(&|r| r.leaves.clear()), BrokenLink::Unopened);
    assert_eq!(with(&|r| r.leaves[0].salt = [9; 32]), BrokenLink::Leaf);
    assert_eq!(with(&|r| r.batch.index ^= 1), BrokenLink::Batch);
    assert_eq!(
        with(&|r| assert!(r.logged.entry.pop().is_some())),
        BrokenLink::Entry
    );
    assert_eq!(with(&|r| r.logged.log_index += 1), BrokenLink::Inclusion);
    assert_eq!(with(&|r| r.logged.signer.since += 1), BrokenLink::Signer);
    assert_eq!(
        with(&|r| r.logged.signer.institution = proofs.chain.members[1].id),
        BrokenLink::Signer
    );
    assert_eq!(
        with(&|r| r.logged.finality.headers.clear()),
        BrokenLink::Header
    );
    assert_eq!(
        with(&|r| r.logged.finality.headers[0].network = codec::NetworkId::new([1; 32])),
        BrokenLink::Network
    );
    assert_eq!(
        with(&|r| r.logged.finality.headers[0].time_ms += 1),
        BrokenLink::Certificate
    );
    assert_eq!(
        with(&|r| assert!(r.logged.finality.certificate.pop().is_some())),
        BrokenLink::Certificate
    );
    assert_eq!(
        with(&|r| r.logged.finality.boundaries.clear()),
        BrokenLink::Boundary(0)
    );
    assert_eq!(
        with(&|r| assert!(r.logged.finality.boundaries[0].certificate.pop().is_some())),
        BrokenLink::Boundary(0)
    );
    let other = b"other content".as_slice();
    let refused = verify(good, &proofs.chain.genesis, &Signatures, Some(other));
    assert_eq!(refused.unwrap_err(), BrokenLink::Leaf);
    let mut genesis = proofs.chain.genesis.clone();
    genesis.nonce = [1; 32];
    let refused = verify(good, &genesis, &Signatures, None);
    assert_eq!(refused.unwrap_err(), BrokenLink::Network);
    assert_eq!(
        Receipt::decode(&good.encode()[1..]),
        Err(BrokenLink::Malformed)
    );
    for link in [
        BrokenLink::Leaf,
        BrokenLink::Unopened,
        BrokenLink::Boundary(7),
        BrokenLink::EntrySignature,
    ] {
        let sentence = link.to_string();
        assert!(sentence.ends_with('.') && sentence.matches('.').count() == 1);
    }
}

/// The receipt for an entry that a dishonest quorum let into a log.
fn let_in(proofs: &Proofs, entry: &SignedEntry) -> Receipt {
    let mut chain = Chain::small();
    let mut header = chain.push(&[]);
    let mut log = ledger::block::genesis_log(&chain.headers[0]);
    log.append(entry.leaf_hash());
    header.log_size = log.size();
    header.log_root = log.root();
    chain.headers[1] = header;
    let view = chain.state.view();
    let signer = entry.header().signer;
    let at = ledger::StateKey::InstitutionKey(signer);
    let logged = LoggedEntry {
        entry: entry.bytes().to_vec(),
        log_index: 1,
        log_path: vec![ledger::log::leaf_hash(&chain.headers[0].leaf())],
        block: None,
        signer: view.institution_by_key(&signer).unwrap(),
        signer_proof: view.prove(&at),
        finality: chain.finality(1, 1),
    };
    Receipt {
        logged,
        ..proofs.receipt.clone()
    }
}

#[test]
fn not_even_a_quorum_forges_a_custodian() {
    let proofs = proofs();
    let good = SignedEntry::decode(&proofs.receipt.logged.entry).unwrap();
    let leaf = Some(proofs.content.as_slice());
    let honest = let_in(&proofs, &good);
    assert!(verify(&honest, &proofs.chain.genesis, &Signatures, leaf).is_ok());
    let mut bytes = good.bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forged = let_in(&proofs, &SignedEntry::decode(&bytes).unwrap());
    assert_eq!(broken(&proofs, &forged), BrokenLink::EntrySignature);
    // Another member's signature, with a proof that the key is that member's.
    let other = let_in(&proofs, &proofs.chain.sign(1, good.entry()));
    assert_eq!(broken(&proofs, &other), BrokenLink::Signer);
}

#[test]
fn any_changed_byte_of_a_proof_breaks_it() {
    let proofs = proofs();
    let genesis = &proofs.chain.genesis;
    let anchor = Anchor::genesis(genesis);
    let leaf = Some(proofs.content.as_slice());
    let receipt = |bytes: &[u8]| verify_from(&Receipt::decode(bytes)?, &anchor, &Signatures, leaf);
    let disclosed = |bytes: &[u8]| {
        let proof = disclosure::DisclosureProof::decode(bytes)?;
        disclosure::verify_from(&proof, &anchor, &Signatures)
    };
    let opened = |bytes: &[u8]| {
        let opening = opening::ConsentOpening::decode(bytes)?;
        opening::verify_from(&opening, &anchor, &Signatures)
    };
    // What proves one absence may prove another: the key is all that can change.
    assert_eq!(mutations_that_hold(&proofs.receipt.encode(), &receipt), 0);
    assert_eq!(mutations_that_hold(&proofs.present.encode(), &disclosed), 0);
    assert_eq!(mutations_that_hold(&proofs.opening.encode(), &opened), 0);
    assert!(mutations_that_hold(&proofs.absent.encode(), &disclosed) <= 32);
    assert!(mutations_that_hold(&proofs.no_opening.encode(), &opened) <= 48);
}

/// Flips one bit of each byte, a different one each time. Returns how many of the results verify;
/// none of these may say the same as the original.
fn mutations_that_hold<T: PartialEq + std::fmt::Debug>(
    good: &[u8],
    verify: &dyn Fn(&[u8]) -> Result<T, BrokenLink>,
) -> usize {
    let says = verify(good).unwrap();
    let mut bytes = good.to_vec();
    let mut hold = 0;
    for at in 0..good.len() {
        bytes[at] ^= 1 << (at % 8);
        if let Ok(other) = verify(&bytes) {
            assert_ne!(other, says, "byte {at}");
            hold += 1;
        }
        bytes[at] = good[at];
        assert!(verify(&good[..at]).is_err(), "cut at {at}");
    }
    hold
}

#[test]
fn an_older_header_dates_the_entry() {
    let mut proofs = proofs();
    let entry = SignedEntry::decode(&proofs.receipt.logged.entry).unwrap();
    let own = proofs.chain.tip().clone();
    let index = proofs.receipt.logged.log_index;
    let chain = &mut proofs.chain;
    chain.push(&[chain.record_batch(1, 77)]);
    chain.advance_to(10);
    let tip = chain.tip().clone();
    let mut receipt = proofs.receipt.clone();
    receipt.logged = chain.logged(&entry, index);
    let genesis = &chain.genesis;
    let verified = verify(&receipt, genesis, &Signatures, None).unwrap();
    assert_eq!(verified.height, 10);
    let header = |header: &ledger::Header| LoggedHeader {
        log_path: chain.log_path(header.log_size, tip.log_size),
        header: header.clone(),
    };
    receipt.logged.block = Some(header(&own));
    let verified = verify(&receipt, genesis, &Signatures, None).unwrap();
    assert_eq!((verified.height, verified.time_ms), (5, own.time_ms));
    // A header of before the entry, or of another chain, dates nothing.
    receipt.logged.block = Some(header(&chain.headers[4]));
    let refused = verify(&receipt, genesis, &Signatures, None);
    assert_eq!(refused.unwrap_err(), BrokenLink::Block);
    let mut lie = header(&own);
    lie.header.time_ms -= 1;
    receipt.logged.block = Some(lie);
    let refused = verify(&receipt, genesis, &Signatures, None);
    assert_eq!(refused.unwrap_err(), BrokenLink::Block);
}

#[test]
fn a_header_is_final_by_its_certified_descendant() {
    let mut chain = Chain::new();
    chain.advance_to(11);
    let anchor = Anchor::genesis(&chain.genesis);
    let finality = chain.finality(8, 11);
    assert_eq!(finality.headers.len(), 4);
    let header = finality.verify(&anchor, &Signatures).unwrap();
    assert_eq!(header.height, 8);
    let mut gap = finality.clone();
    gap.headers.remove(1);
    assert_eq!(gap.verify(&anchor, &Signatures), Err(BrokenLink::Header));
    let mut forged = finality;
    forged.headers[0].time_ms += 1;
    assert_eq!(forged.verify(&anchor, &Signatures), Err(BrokenLink::Header));
    // Headers of two epochs are not walked: the older has a certificate of its own.
    assert_eq!(
        chain.finality(7, 8).verify(&anchor, &Signatures),
        Err(BrokenLink::Header)
    );
}

#[test]
fn disclosures_and_their_absence_are_proved() {
    let proofs = proofs();
    let genesis = &proofs.chain.genesis;
    let present = disclosure::verify(&proofs.present, genesis, &Signatures).unwrap();
    assert_eq!(
        present.value.map(|v| (v.root, v.count)),
        Some((digest(21), 2))
    );
    assert_eq!(
        (present.key, present.period),
        (digest(20), START_MS / 60_000)
    );
    assert!(present.from_ms <= START_MS && START_MS < present.until_ms);
    assert_eq!(present.until_ms - present.from_ms, 60_000);
    let absent = disclosure::verify(&proofs.absent, genesis, &Signatures).unwrap();
    assert_eq!(
        (absent.value, absent.custodian),
        (None, proofs.chain.members[0].id)
    );
    let mut lie = proofs.absent.clone();
    lie.key = digest(20);
    let refused = disclosure::verify(&lie, genesis, &Signatures);
    assert_eq!(refused.unwrap_err(), BrokenLink::Map);
    // A batch is no period.
    let mut wrong = proofs.present.clone();
    wrong.logged = proofs.receipt.logged.clone();
    let refused = disclosure::verify(&wrong, genesis, &Signatures);
    assert_eq!(refused.unwrap_err(), BrokenLink::Entry);
}

#[test]
fn consent_and_its_absence_are_proved() {
    let proofs = proofs();
    let genesis = &proofs.chain.genesis;
    let opened = opening::verify(&proofs.opening, genesis, &Signatures).unwrap();
    let leaf = opened.leaf.unwrap();
    assert_eq!(
        (leaf.sequence, leaf.consent, opened.height),
        (0, digest(1), 5)
    );
    let nothing = opening::verify(&proofs.no_opening, genesis, &Signatures).unwrap();
    assert_eq!(nothing.leaf, None);
    let mut lie = proofs.no_opening.clone();
    lie.subject = subject_id(1);
    let refused = opening::verify(&lie, genesis, &Signatures);
    assert_eq!(refused.unwrap_err(), BrokenLink::State);
    let mut lie = proofs.opening.clone();
    lie.leaf.as_mut().unwrap().assisted = false;
    let refused = opening::verify(&lie, genesis, &Signatures);
    assert_eq!(refused.unwrap_err(), BrokenLink::State);
}

#[test]
fn a_release_is_proved_with_its_study() {
    let mut chain = Chain::new();
    let study = codec::StudyId::new([6; 16]);
    let institution = chain.members[1].id;
    let open = Entry::StudyOpen(StudyOpen {
        institution,
        study,
        policy: digest(1),
    });
    chain.push(&[chain.sign(1, &open)]);
    for n in [10, 20] {
        let release = Entry::StudyRelease(StudyRelease {
            institution,
            study,
            content: digest(n),
            certificate: digest(n + 1),
        });
        chain.push(&[chain.sign(1, &release)]);
    }
    let view = chain.state.view();
    let proof = ReleaseProof {
        study,
        number: 1,
        study_leaf: view.study(&study).unwrap(),
        study_proof: view.prove(&StateKey::Study(study)),
        release_leaf: view.release(&study, 1).unwrap(),
        release_proof: view.prove(&StateKey::Release((study, 1))),
        finality: chain.finality(chain.height(), chain.height()),
    };
    let read = ReleaseProof::decode(&proof.encode()).unwrap();
    let verified = release::verify(&read, &chain.genesis, &Signatures).unwrap();
    assert_eq!((verified.institution, verified.number), (institution, 1));
    assert_eq!(
        (verified.policy, verified.content, verified.certificate),
        (digest(1), digest(20), digest(21))
    );
    let lies: [&dyn Fn(&mut ReleaseProof); 5] = [
        &|lie| lie.number = 0,
        &|lie| lie.study = codec::StudyId::new([7; 16]),
        &|lie| lie.release_leaf.content = digest(10),
        &|lie| lie.study_leaf.policy = digest(2),
        &|lie| std::mem::swap(&mut lie.study_proof, &mut lie.release_proof),
    ];
    for lie in lies {
        let mut proof = proof.clone();
        lie(&mut proof);
        let refused = release::verify(&proof, &chain.genesis, &Signatures);
        assert_eq!(refused.unwrap_err(), BrokenLink::Release);
    }
    let mut early = proof;
    early.finality = chain.finality(chain.height() - 1, chain.height());
    let refused = release::verify(&early, &chain.genesis, &Signatures);
    assert_eq!(refused.unwrap_err(), BrokenLink::Release);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Junk is refused, never a panic.
    #[test]
    fn junk_is_malformed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Receipt::decode(&bytes).is_err());
        prop_assert!(disclosure::DisclosureProof::decode(&bytes).is_err());
        prop_assert!(opening::ConsentOpening::decode(&bytes).is_err());
        prop_assert!(ReleaseProof::decode(&bytes).is_err());
        prop_assert!(SignedEntry::decode(&bytes).is_err());
    }
}
