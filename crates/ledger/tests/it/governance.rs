//! Members decide about members, keys, validators and parameters.

use crate::support::{Chain, Member, Signatures, hospitals, key, key_id, parameters};
use codec::{EntryId, InstitutionId, NetworkId};
use ledger::entry::{
    Change, InstitutionPropose, InstitutionVote, MalformedClaim, ProposeTerms, Rotation,
    SetValidator, ValidatorClaim, VoteTerms, candidate_sign, governance_sign,
};
use ledger::state::{ChangeFault, admissible};
use ledger::{Anchor, Entry, Kind, Parameters, Refusal, SignedEntry};

fn propose_with(chain: &Chain, by: usize, change: Change, keys: Option<&Member>) -> SignedEntry {
    let terms = ProposeTerms {
        institution: chain.members[by].id,
        change,
        expires_epoch: chain.genesis.parameters.epoch(chain.height() + 1) + 2,
    };
    let id = terms.id(&chain.network);
    let entry = InstitutionPropose {
        governance_signature: governance_sign(&id, &chain.members[by].governance),
        candidate: keys.map(|m| candidate_sign(&id, &m.signing, &m.governance)),
        terms,
    };
    chain.sign(by, &Entry::InstitutionPropose(Box::new(entry)))
}

fn propose(chain: &Chain, by: usize, change: Change) -> SignedEntry {
    propose_with(chain, by, change, None)
}

fn vote(chain: &Chain, by: usize, proposal: EntryId, approve: bool) -> SignedEntry {
    let terms = VoteTerms {
        institution: chain.members[by].id,
        proposal,
        approve,
    };
    let id = terms.id(&chain.network);
    let entry = InstitutionVote {
        governance_signature: governance_sign(&id, &chain.members[by].governance),
        terms,
    };
    chain.sign(by, &Entry::InstitutionVote(Box::new(entry)))
}

/// Proposes with the approval of the first `approvals` members, in one block.
fn pass(chain: &mut Chain, change: Change, keys: Option<&Member>, approvals: usize) -> EntryId {
    let proposal = propose_with(chain, 0, change, keys);
    let id = proposal.entry_id();
    let mut entries = vec![proposal];
    entries.extend((1..approvals).map(|by| vote(chain, by, id, true)));
    chain.push(&entries);
    id
}

fn pass_validator(chain: &mut Chain, member: usize, key: Option<u64>, approvals: usize) -> EntryId {
    let change = validator(chain, member, key);
    pass(chain, change, None, approvals)
}

fn refusal(chain: &Chain, entry: &SignedEntry) -> Refusal {
    admissible(&chain.state.view(), entry).unwrap_err()
}

fn fault(chain: &Chain, change: Change) -> ChangeFault {
    match refusal(chain, &propose(chain, 0, change)) {
        Refusal::Change(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn validator(chain: &Chain, member: usize, key: Option<u64>) -> Change {
    let institution = chain.members[member].id;
    Change::SetValidator(SetValidator {
        institution,
        key: key.map(|n| claim(chain, &institution, n)),
    })
}

fn claim(chain: &Chain, institution: &InstitutionId, n: u64) -> ValidatorClaim {
    ValidatorClaim::sign(&chain.network, institution, &key("validator", n))
}

#[test]
fn two_thirds_admit_a_member_with_the_next_epoch() {
    // Epochs of four blocks; four members: three approvals are needed.
    let mut chain = Chain::new();
    let fifth = Member::new(5, Kind::Laboratory);
    let admit = Change::Admit(Box::new(fifth.institution()));
    pass(&mut chain, admit.clone(), Some(&fifth), 2);
    chain.advance_to(4);
    assert!(chain.state.view().institution(&fifth.id).is_none());
    let id = *chain.state.view().agenda().open.keys().next().unwrap();
    chain.push(&[vote(&chain, 3, id, true)]);
    chain.advance_to(7);
    let view = chain.state.view();
    assert!(view.institution(&fifth.id).is_none());
    assert_eq!(view.agenda().passed, [id]);
    drop(view);
    let batch = Entry::RecordBatch(ledger::entry::RecordBatch {
        custodian: fifth.id,
        root: crate::support::digest(1),
    });
    // It may sign from the epoch's first block on, and that block's own state says so.
    chain.members.push(fifth);
    let entry = chain.sign(4, &batch);
    chain.push(&[entry]);
    let view = chain.state.view();
    let leaf = view.institution(&chain.members[4].id).unwrap();
    assert_eq!((leaf.since, leaf.retired), (8, None));
    assert_eq!(view.roster().members.len(), 5);
    assert!(view.agenda().passed.is_empty() && view.agenda().open.is_empty());
    assert_eq!(view.proposal(&id), None);
    drop(view);
    assert_eq!(
        fault(
            &chain,
            Change::Admit(Box::new(chain.members[4].institution()))
        ),
        ChangeFault::KeyUsed
    );
    assert!(chain.reload().is_ok());
}

#[test]
fn a_proposal_without_enough_votes_expires() {
    let mut chain = Chain::new();
    let id = pass_validator(&mut chain, 0, Some(1), 2);
    chain.push(&[vote(&chain, 2, id, false), vote(&chain, 3, id, true)]);
    // A vote can be changed, but not repeated.
    let again = vote(&chain, 1, id, true);
    assert!(matches!(refusal(&chain, &again), Refusal::Duplicate { .. }));
    chain.push(&[vote(&chain, 3, id, false), vote(&chain, 1, id, false)]);
    let ballot = chain.state.view().agenda().open[&id].clone();
    assert_eq!((ballot.approve.len(), ballot.reject.len()), (1, 3));
    chain.advance_to(8);
    assert!(chain.state.view().agenda().open.contains_key(&id));
    chain.advance_to(11);
    assert!(chain.state.view().agenda().open.is_empty());
    assert_eq!(chain.state.view().proposal(&id), None);
    let late = vote(&chain, 2, id, true);
    assert_eq!(refusal(&chain, &late), Refusal::UnknownProposal(id));
}

#[test]
fn a_vote_that_says_the_same_is_refused() {
    let mut chain = Chain::new();
    let id = pass_validator(&mut chain, 0, Some(1), 1);
    let proposer = vote(&chain, 0, id, true);
    assert_eq!(refusal(&chain, &proposer), Refusal::AlreadyVoted(id));
}

#[test]
fn governance_needs_the_ml_dsa_signature() {
    let chain = Chain::new();
    let terms = ProposeTerms {
        institution: chain.members[0].id,
        change: validator(&chain, 0, Some(1)),
        expires_epoch: 1,
    };
    let id = terms.id(&chain.network);
    let entry = InstitutionPropose {
        governance_signature: governance_sign(&id, &chain.members[1].governance),
        candidate: None,
        terms,
    };
    let entry = chain.sign(0, &Entry::InstitutionPropose(Box::new(entry)));
    let inner = Refusal::InnerSignature("member's governance key");
    assert_eq!(refusal(&chain, &entry), inner);
}

#[test]
fn new_keys_sign_too() {
    let chain = Chain::new();
    let fifth = Member::new(5, Kind::Hospital);
    let admit = Change::Admit(Box::new(fifth.institution()));
    let inner = Refusal::InnerSignature("new keys");
    assert_eq!(refusal(&chain, &propose(&chain, 0, admit.clone())), inner);
    let other = Member::new(6, Kind::Hospital);
    let entry = propose_with(&chain, 0, admit, Some(&other));
    assert_eq!(refusal(&chain, &entry), inner);
    let stray = propose_with(&chain, 0, validator(&chain, 0, Some(1)), Some(&other));
    assert_eq!(refusal(&chain, &stray), inner);
}

#[test]
fn keys_rotate_at_the_epoch() {
    let mut chain = Chain::new();
    let new = Member::new(77, Kind::Hospital);
    let rotation = Rotation {
        signing: new.signing.public(),
        governance: new.governance.public(),
        sealing: new.sealing.public(),
    };
    pass(
        &mut chain,
        Change::Rotate(Box::new(rotation)),
        Some(&new),
        3,
    );
    chain.advance_to(2);
    // In the epoch's last block the old key still serves, in the next block only the new one.
    chain.push(&[chain.record_batch(0, 1)]);
    let old = chain.record_batch(0, 2);
    let Member {
        signing,
        governance,
        ..
    } = new;
    let old_id = key_id(&chain.members[0].signing);
    chain.members[0].signing = signing;
    chain.members[0].governance = governance;
    let refused = chain.push_at(chain.tip().time_ms + 1, std::slice::from_ref(&old));
    assert!(refused.is_err());
    chain.push(&[chain.record_batch(0, 2)]);
    assert_eq!(
        refusal(&chain, &old),
        Refusal::Duplicate {
            id: old.entry_id(),
            height: 4
        }
    );
    let view = chain.state.view();
    let leaf = view.institution_by_key(&old_id).unwrap();
    assert_eq!((leaf.since, leaf.until), (0, Some(4)));
    let leaf = view
        .institution_by_key(&key_id(&chain.members[0].signing))
        .unwrap();
    assert_eq!((leaf.since, leaf.until), (4, None));
    drop(view);
    // Governance too, and a retired key never serves again.
    pass_validator(&mut chain, 0, Some(9), 1);
    assert!(chain.reload().is_ok());
}

#[test]
fn one_key_rotates_and_the_others_stay() {
    let mut chain = Chain::new();
    let now = chain.members[0].institution();
    let new = Member::new(78, Kind::Hospital);
    let same = Rotation {
        signing: now.signing,
        governance: now.governance.clone(),
        sealing: now.sealing.clone(),
    };
    let change = |rotation: &Rotation| Change::Rotate(Box::new(rotation.clone()));
    let nothing = propose_with(&chain, 0, change(&same), Some(&chain.members[0]));
    assert_eq!(
        refusal(&chain, &nothing),
        Refusal::Change(ChangeFault::Nothing)
    );
    let sealing = Rotation {
        sealing: new.sealing.public(),
        ..same.clone()
    };
    // Keys that stay sign as holders all the same; another's key cannot be taken.
    let stranger = propose_with(&chain, 0, change(&sealing), Some(&new));
    assert_eq!(
        refusal(&chain, &stranger),
        Refusal::InnerSignature("new keys")
    );
    let taken = Rotation {
        signing: chain.members[1].signing.public(),
        ..same.clone()
    };
    let taken = propose_with(&chain, 0, change(&taken), Some(&chain.members[1]));
    assert_eq!(
        refusal(&chain, &taken),
        Refusal::Change(ChangeFault::KeyUsed)
    );

    let own = Member::new(1, Kind::Hospital);
    assert_eq!(own.signing.public(), now.signing);
    pass(&mut chain, change(&sealing), Some(&own), 3);
    chain.advance_to(4);
    let view = chain.state.view();
    let leaf = view.institution(&now.id).unwrap().institution;
    assert_eq!(leaf.sealing, new.sealing.public());
    assert_eq!(
        (leaf.signing, &leaf.governance),
        (now.signing, &now.governance)
    );
    let key = view.institution_by_key(&key_id(&own.signing)).unwrap();
    assert_eq!(
        (key.since, key.until),
        (0, None),
        "the signing key serves on"
    );
    drop(view);
    chain.push(&[chain.record_batch(0, 1)]);
    assert!(chain.reload().is_ok());
}

#[test]
fn one_validator_change_an_epoch() {
    let mut chain = Chain::new();
    let first = pass_validator(&mut chain, 1, None, 3);
    let second = pass_validator(&mut chain, 2, Some(1), 3);
    chain.advance_to(2);
    assert_eq!(chain.tip().next_validators, None);
    let last = chain.push(&[]);
    let view = chain.state.view();
    let next = view.validators(1).unwrap();
    assert_eq!(last.next_validators, Some(next.digest()));
    assert_eq!(next.len(), 3);
    assert!(!next.by_institution().contains_key(&chain.members[1].id));
    assert_eq!(view.validators(0), Some(chain.genesis.validators.clone()));
    assert_eq!(view.validators(2), None);
    assert!(!view.agenda().open.contains_key(&first));
    assert!(view.agenda().open.contains_key(&second));
    drop(view);
    chain.advance_to(7);
    let view = chain.state.view();
    let after = view.validators(2).unwrap();
    assert_eq!(chain.tip().next_validators, Some(after.digest()));
    let replaced = after.by_institution()[&chain.members[2].id];
    assert_eq!(replaced, key("validator", 1).public());
    assert_eq!(view.validators(1).unwrap(), next);
    drop(view);
    chain.advance_to(11);
    assert_eq!(chain.tip().next_validators, Some(after.digest()));
    assert!(chain.reload().is_ok());
}

#[test]
fn a_validators_key_claims_its_place_itself() {
    let mut chain = Chain::new();
    let [owner, other] = [1, 2].map(|member: usize| chain.members[member].id);
    let set = |claim| {
        Change::SetValidator(SetValidator {
            institution: owner,
            key: Some(claim),
        })
    };
    let good = claim(&chain, &owner, 1);
    // Nobody asked the holder of the key: another key's signature stands for it, or a changed one.
    let stranger = claim(&chain, &owner, 2);
    let forged = ValidatorClaim {
        key: good.key,
        ..stranger
    };
    let mut bytes = *good.signature.as_bytes();
    bytes[40] ^= 1;
    let changed = ValidatorClaim {
        signature: keys::Signature::from_bytes(bytes),
        ..good
    };
    // The holder asked for something else.
    let elsewhere = claim(&chain, &other, 1);
    let network = NetworkId::new([9; 32]);
    let foreign = ValidatorClaim::sign(&network, &owner, &key("validator", 1));
    for wrong in [forged, changed, elsewhere, foreign] {
        assert_eq!(fault(&chain, set(wrong)), ChangeFault::Claim);
    }
    assert!(elsewhere.verify(&chain.network, &other).is_ok());
    assert!(foreign.verify(&network, &owner).is_ok());
    let refused = chain.push_at(chain.tip().time_ms + 1, &[propose(&chain, 0, set(forged))]);
    assert!(refused.is_err(), "nor in another's block");

    // The same claim serves whoever proposes it, and again after the key was removed: by vote.
    for by in [0, 3] {
        let proposal = propose(&chain, by, set(good));
        chain.push(std::slice::from_ref(&proposal));
        let votes = (0..4).filter(|voter| *voter != by);
        let votes: Vec<_> = votes
            .map(|voter| vote(&chain, voter, proposal.entry_id(), true))
            .collect();
        chain.push(&votes);
        chain.advance_to(chain.height() + 4);
        let validators = |chain: &Chain| {
            let view = chain.state.view();
            let epoch = chain.genesis.parameters.epoch(chain.height());
            view.validators(epoch).unwrap().by_institution().clone()
        };
        assert_eq!(validators(&chain).get(&owner), Some(&good.key));
        assert_eq!(fault(&chain, set(good)), ChangeFault::Nothing);
        pass_validator(&mut chain, 1, None, 3);
        chain.advance_to(chain.height() + 4);
        assert_eq!(validators(&chain).get(&owner), None);
    }
    assert!(chain.reload().is_ok());
}

#[test]
fn a_claim_is_one_line_of_text() {
    let chain = Chain::new();
    let claim = claim(&chain, &chain.members[1].id, 1);
    let text = claim.to_string();
    assert_eq!(text.len(), 192);
    assert_eq!(text, format!("{}{}", claim.key, claim.signature));
    assert_eq!(text.parse(), Ok(claim));
    assert_eq!(codec::from_slice(&codec::to_vec(&claim)), Ok(claim));
    let key_alone = claim.key.to_string();
    for wrong in [
        "",
        &key_alone,
        &text[1..],
        &text[..191],
        &format!("{text}0"),
        &format!(" {}", &text[1..]),
        &text.replace(|digit: char| digit.is_ascii_lowercase(), "g"),
        &text.to_uppercase(),
        // A character of two bytes across the border of key and signature.
        &format!("{}é{}", &text[..63], &text[65..]),
    ] {
        let error = wrong.parse::<ValidatorClaim>();
        assert_eq!(error, Err(MalformedClaim), "{wrong}");
    }
    let says = MalformedClaim.to_string();
    assert!(says.contains("192 lowercase hexadecimal digits"), "{says}");
}

#[test]
fn an_anchor_follows_the_validators() {
    let mut chain = Chain::new();
    pass_validator(&mut chain, 1, None, 3);
    chain.advance_to(13);
    let finality = chain.finality(13, 13);
    let mut anchor = Anchor::genesis(&chain.genesis);
    assert!(finality.verify(&anchor, &Signatures).is_ok());
    for boundary in &finality.boundaries {
        anchor.advance(boundary, &Signatures).unwrap();
    }
    assert_eq!((anchor.epoch(), anchor.validators().len()), (3, 3));
    assert!(finality.verify(&anchor, &Signatures).is_ok());
    let kept = Anchor::trusted(&chain.genesis, 3, anchor.validators().clone());
    assert_eq!(kept, anchor);
    // An anchor of a later epoch proves nothing about an earlier one.
    assert!(chain.finality(6, 6).verify(&anchor, &Signatures).is_err());
}

#[test]
fn changes_that_cannot_be_made_are_refused() {
    let mut members = hospitals(4);
    members.push(Member::new(5, Kind::Operator));
    let chain = Chain::with(members, 2);
    let id = |member: usize| chain.members[member].id;
    let operator = Member::new(6, Kind::Operator);
    let admit = |member: &Member| Change::Admit(Box::new(member.institution()));
    // Two operators of six members are a third.
    assert_eq!(fault(&chain, admit(&operator)), ChangeFault::Operators);
    let mut nameless = Member::new(6, Kind::Hospital).institution();
    nameless.name = String::new();
    assert_eq!(
        fault(&chain, Change::Admit(Box::new(nameless))),
        ChangeFault::Name
    );
    let mut copied = Member::new(6, Kind::Hospital).institution();
    copied.signing = chain.members[1].signing.public();
    assert_eq!(
        fault(&chain, Change::Admit(Box::new(copied))),
        ChangeFault::KeyUsed
    );
    let mut again = Member::new(7, Kind::Hospital).institution();
    again.id = id(1);
    assert_eq!(
        fault(&chain, Change::Admit(Box::new(again))),
        ChangeFault::Member
    );
    assert_eq!(
        fault(&chain, Change::Retire(operator.id)),
        ChangeFault::NotMember
    );
    assert_eq!(fault(&chain, Change::Retire(id(0))), ChangeFault::Validator);
    // An operator among three validators is a third.
    assert_eq!(
        fault(&chain, validator(&chain, 4, Some(1))),
        ChangeFault::Operators
    );
    let stranger = Change::SetValidator(SetValidator {
        institution: operator.id,
        key: Some(claim(&chain, &operator.id, 1)),
    });
    assert_eq!(fault(&chain, stranger), ChangeFault::NotMember);
    assert_eq!(
        fault(&chain, validator(&chain, 3, None)),
        ChangeFault::NotValidator
    );
    let shared = Change::SetValidator(SetValidator {
        institution: id(3),
        key: Some(ValidatorClaim::sign(
            &chain.network,
            &id(3),
            &chain.members[0].validator,
        )),
    });
    assert_eq!(fault(&chain, shared), ChangeFault::KeyUsed);
    let not_a_key = Change::SetValidator(SetValidator {
        institution: id(3),
        key: Some(ValidatorClaim {
            key: keys::PublicKey::from_bytes([2; 32]),
            ..claim(&chain, &id(3), 1)
        }),
    });
    assert_eq!(fault(&chain, not_a_key), ChangeFault::NotAKey);
    for wrong in [
        Parameters {
            epoch_blocks: 5,
            ..parameters()
        },
        Parameters {
            disclosure_period_ms: 1_000,
            ..parameters()
        },
        Parameters {
            max_validity_heights: 10_001,
            ..parameters()
        },
    ] {
        assert_eq!(
            fault(&chain, Change::SetParameters(wrong)),
            ChangeFault::Parameters
        );
    }
    assert_eq!(
        fault(&chain, Change::SetParameters(parameters())),
        ChangeFault::Nothing
    );
}

#[test]
fn the_last_validator_stays() {
    let chain = Chain::with(hospitals(3), 1);
    assert_eq!(fault(&chain, validator(&chain, 0, None)), ChangeFault::Last);
}

#[test]
fn a_retired_member_neither_speaks_nor_votes() {
    let chain = &mut Chain::with(hospitals(4), 2);
    chain.push(&[chain.subject_open(3, 1, true)]);
    let retire = Change::Retire(chain.members[3].id);
    pass(chain, retire, None, 3);
    chain.advance_to(4);
    assert_eq!(chain.state.view().roster().members.len(), 3);
    assert_eq!(
        refusal(chain, &chain.record_batch(3, 1)),
        Refusal::RetiredKey
    );
    let close = Entry::SubjectClose(ledger::entry::SubjectClose {
        custodian: chain.members[3].id,
        subject: crate::support::subject_id(1),
    });
    let entry = chain.sign_with(&crate::support::slot_key(1, 1), &close);
    assert_eq!(refusal(chain, &entry), Refusal::UnknownCustodian);
    // It can come back, with new keys.
    let mut back = Member::new(44, Kind::Hospital);
    back.id = chain.members[3].id;
    pass(
        chain,
        Change::Admit(Box::new(back.institution())),
        Some(&back),
        2,
    );
    chain.advance_to(8);
    chain.members[3] = back;
    chain.push(&[chain.record_batch(3, 1)]);
    let leaf = chain
        .state
        .view()
        .institution(&chain.members[3].id)
        .unwrap();
    assert_eq!((leaf.since, leaf.retired), (8, None));
}

#[test]
fn parameters_change_with_the_next_epoch() {
    let mut chain = Chain::new();
    let new = Parameters {
        max_validity_heights: 50,
        ..parameters()
    };
    pass(&mut chain, Change::SetParameters(new), None, 3);
    chain.advance_to(3);
    assert_eq!(chain.state.view().parameters(), parameters());
    let too_long = chain.record_batch(0, 1);
    chain.push(&[]);
    assert_eq!(chain.state.view().parameters(), new);
    let refused = refusal(&chain, &too_long);
    assert!(matches!(refused, Refusal::TooFarAhead { limit: 50, .. }));
}

#[test]
fn a_change_that_became_impossible_is_dropped() {
    // Both admissions pass, of the same key.
    let mut chain = Chain::new();
    let fifth = Member::new(5, Kind::Hospital);
    let mut twin = Member::new(5, Kind::Hospital);
    twin.id = codec::InstitutionId::new([99; 16]);
    pass(
        &mut chain,
        Change::Admit(Box::new(fifth.institution())),
        Some(&fifth),
        3,
    );
    pass(
        &mut chain,
        Change::Admit(Box::new(twin.institution())),
        Some(&twin),
        3,
    );
    chain.advance_to(4);
    let view = chain.state.view();
    let admitted = [fifth.id, twin.id].map(|id| view.institution(&id).is_some());
    assert_eq!(admitted, [true, false]);
    assert!(view.agenda().passed.is_empty());
}

#[test]
fn proposals_are_bounded() {
    let mut chain = Chain::new();
    let open = |chain: &Chain, n| propose(chain, 0, validator(chain, 1, Some(n)));
    let entries: Vec<_> = (0..64).map(|n| open(&chain, n)).collect();
    chain.push(&entries);
    let one_more = open(&chain, 64);
    assert_eq!(refusal(&chain, &one_more), Refusal::TooManyProposals(64));
    let mut terms = match entries[0].entry() {
        Entry::InstitutionPropose(entry) => (**entry).clone(),
        _ => unreachable!(),
    };
    terms.terms.expires_epoch = 10_001;
    let far = Chain::new();
    let entry = far.sign(0, &Entry::InstitutionPropose(Box::new(terms)));
    assert_eq!(refusal(&far, &entry), Refusal::ProposalExpiry(10_001));
}
