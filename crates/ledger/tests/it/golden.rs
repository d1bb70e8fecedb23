//! Golden bytes of every wire format. A changed line is a changed network.

use crate::support::{Chain, Member, Seeded, digest, key, slot_key, slots, subject_id};
use codec::{DeviceId, Domain, Encode, StudyId};
use keys::{PqSignature, SigningKey};
use ledger::batch::{PeriodMap, PeriodValue, RecordTree};
use ledger::disclosure::DisclosureProof;
use ledger::entry::{
    Change, DeviceEnrol, DeviceRevoke, DisclosurePeriod, InstitutionPropose, InstitutionVote,
    OpenTerms, ProposeTerms, RecordBatch, RecoverTerms, SetValidator, StudyOpen, StudyRelease,
    SubjectClose, SubjectOpen, SubjectRecover, SubjectUpdate, UpdateTerms, ValidatorClaim,
    VoteTerms, candidate_sign, governance_sign,
};
use ledger::log::Checkpoint;
use ledger::opening::ConsentOpening;
use ledger::receipt::{LeafOpening, Receipt};
use ledger::{Entry, Kind, SignedEntry, StateKey};
use std::collections::BTreeMap;

/// A chain, and one entry of each type that could follow.
pub(crate) fn signed_entries() -> (Chain, Vec<SignedEntry>) {
    let mut chain = Chain::new();
    let proposal = {
        let terms = ProposeTerms {
            institution: chain.members[0].id,
            change: Change::SetValidator(SetValidator {
                institution: chain.members[1].id,
                key: None,
            }),
            expires_epoch: 3,
        };
        let id = terms.id(&chain.network);
        let governance_signature = governance_sign(&id, &chain.members[0].governance);
        let candidate = None;
        let entry = InstitutionPropose {
            terms,
            governance_signature,
            candidate,
        };
        chain.sign(0, &Entry::InstitutionPropose(Box::new(entry)))
    };
    let enrol = Entry::DeviceEnrol(DeviceEnrol {
        institution: chain.members[0].id,
        device: DeviceId::new([2; 16]),
        key: key("device", 2).public(),
        commitment: digest(2),
    });
    let study = Entry::StudyOpen(StudyOpen {
        institution: chain.members[0].id,
        study: StudyId::new([2; 16]),
        policy: digest(2),
    });
    let setup = [
        proposal.clone(),
        chain.subject_open(0, 2, true),
        chain.sign(0, &enrol),
        chain.sign(0, &study),
    ];
    chain.push(&setup);
    let mut entries = governance_entries(&chain, proposal.entry_id());
    entries.extend(subject_entries(&chain));
    entries.extend(custody_entries(&chain));
    (chain, entries)
}

fn governance_entries(chain: &Chain, proposal: codec::EntryId) -> Vec<SignedEntry> {
    let fifth = Member::new(5, Kind::Laboratory);
    let terms = ProposeTerms {
        institution: chain.members[0].id,
        change: Change::Admit(Box::new(fifth.institution())),
        expires_epoch: 3,
    };
    let id = terms.id(&chain.network);
    let propose = InstitutionPropose {
        governance_signature: governance_sign(&id, &chain.members[0].governance),
        candidate: Some(candidate_sign(&id, &fifth.signing, &fifth.governance)),
        terms,
    };
    let institution = chain.members[3].id;
    let claim = ValidatorClaim::sign(&chain.network, &institution, &key("validator", 1));
    let terms = ProposeTerms {
        institution: chain.members[0].id,
        change: Change::SetValidator(SetValidator {
            institution,
            key: Some(claim),
        }),
        expires_epoch: 3,
    };
    let id = terms.id(&chain.network);
    let validator = InstitutionPropose {
        governance_signature: governance_sign(&id, &chain.members[0].governance),
        candidate: None,
        terms,
    };
    let terms = VoteTerms {
        institution: chain.members[1].id,
        proposal,
        approve: true,
    };
    let id = terms.id(&chain.network);
    let vote = InstitutionVote {
        governance_signature: governance_sign(&id, &chain.members[1].governance),
        terms,
    };
    vec![
        chain.sign(0, &Entry::InstitutionPropose(Box::new(propose))),
        chain.sign(0, &Entry::InstitutionPropose(Box::new(validator))),
        chain.sign(1, &Entry::InstitutionVote(Box::new(vote))),
    ]
}

fn subject_entries(chain: &Chain) -> Vec<SignedEntry> {
    let custodian = chain.members[0].id;
    let subject = subject_id(2);
    let open = OpenTerms {
        custodian,
        subject: subject_id(3),
        slots: slots(3, 5_000),
        assisted: false,
        consent: digest(3),
        slot: 1,
    };
    let open = SubjectOpen {
        slot_signature: open.sign(&chain.network, &slot_key(3, 1)),
        terms: open,
    };
    let update = UpdateTerms {
        custodian,
        subject,
        sequence: 1,
        consent: digest(4),
        slots: (0..).zip(slots(4, 5_000)).collect(),
        enrols: Some(2),
    };
    let update = SubjectUpdate {
        enrolment_signature: Some(update.sign(&chain.network, &slot_key(4, 2))),
        terms: update,
    };
    let recover = RecoverTerms {
        custodian,
        subject,
        slots: slots(5, 5_000),
        witness: chain.members[1].id,
    };
    let recover = SubjectRecover {
        witness_signature: recover.sign(&chain.network, &chain.members[1].signing),
        terms: recover,
    };
    let close = Entry::SubjectClose(SubjectClose { custodian, subject });
    vec![
        chain.sign(0, &Entry::SubjectOpen(Box::new(open))),
        chain.sign(0, &Entry::SubjectUpdate(Box::new(update))),
        chain.sign(0, &Entry::SubjectRecover(Box::new(recover))),
        chain.sign_with(&slot_key(2, 0), &close),
    ]
}

fn custody_entries(chain: &Chain) -> Vec<SignedEntry> {
    let institution = chain.members[0].id;
    let batch = RecordBatch {
        custodian: institution,
        root: digest(6),
    };
    let period = DisclosurePeriod {
        custodian: institution,
        period: crate::support::START_MS / 60_000,
        root: digest(7),
    };
    let enrol = DeviceEnrol {
        institution,
        device: DeviceId::new([3; 16]),
        key: key("device", 3).public(),
        commitment: digest(8),
    };
    let revoke = DeviceRevoke {
        institution,
        device: DeviceId::new([2; 16]),
    };
    let study = StudyOpen {
        institution,
        study: StudyId::new([3; 16]),
        policy: digest(9),
    };
    let release = StudyRelease {
        institution,
        study: StudyId::new([2; 16]),
        content: digest(10),
        certificate: digest(11),
    };
    let entries = [
        Entry::RecordBatch(batch),
        Entry::DisclosurePeriod(period),
        Entry::DeviceEnrol(enrol),
        Entry::DeviceRevoke(revoke),
        Entry::StudyOpen(study),
        Entry::StudyRelease(release),
    ];
    entries.iter().map(|entry| chain.sign(0, entry)).collect()
}

/// The same entry with ML-DSA signatures that do not depend on randomness.
fn with_fixed_signatures(chain: &Chain, entry: &SignedEntry, key: &SigningKey) -> SignedEntry {
    let fixed = |byte| PqSignature::from_bytes(&[byte; keys::PQ_SIGNATURE_LEN]).unwrap();
    let entry = match entry.entry().clone() {
        Entry::InstitutionPropose(mut e) => {
            e.governance_signature = fixed(1);
            if let Some(candidate) = &mut e.candidate {
                candidate.governance_signature = fixed(2);
            }
            Entry::InstitutionPropose(e)
        }
        Entry::InstitutionVote(mut e) => {
            e.governance_signature = fixed(3);
            Entry::InstitutionVote(e)
        }
        other => other,
    };
    SignedEntry::sign(&chain.network, &entry, 101, key).unwrap()
}

/// A chain whose tip has a batch of a record and a period of a subject, and proofs of both.
pub(crate) struct Proofs {
    pub(crate) chain: Chain,
    pub(crate) receipt: Receipt,
    pub(crate) content: Vec<u8>,
    pub(crate) present: DisclosureProof,
    pub(crate) absent: DisclosureProof,
    pub(crate) opening: ConsentOpening,
    pub(crate) no_opening: ConsentOpening,
}

pub(crate) fn proofs() -> Proofs {
    let mut chain = Chain::small();
    let content = b"{\"resourceType\":\"Observation\"}".to_vec();
    let (leaves, commitment) = commitment_of(&content);
    let tree = RecordTree::build(&[digest(1), commitment, digest(2)], &mut Seeded::new(4));
    let values = BTreeMap::from([(
        digest(20),
        PeriodValue {
            root: digest(21),
            count: 2,
        },
    )]);
    let map = PeriodMap::build(&values, &mut Seeded::new(5));
    chain.push(&[chain.subject_open(0, 1, true)]);
    chain.advance_to(4);
    let custodian = chain.members[0].id;
    let batch = Entry::RecordBatch(RecordBatch {
        custodian,
        root: tree.root(),
    });
    let period = Entry::DisclosurePeriod(DisclosurePeriod {
        custodian,
        period: crate::support::START_MS / 60_000,
        root: map.root(),
    });
    let (batch, period) = (chain.sign(0, &batch), chain.sign(0, &period));
    chain.push(&[chain.record_batch(1, 9), batch.clone(), period.clone()]);
    let receipt = Receipt {
        leaves,
        commitment,
        batch: tree.path(&commitment).unwrap(),
        logged: chain.logged(&batch, chain.log_index(1)),
    };
    let disclosure = |key| DisclosureProof {
        key,
        lookup: map.lookup(&key).unwrap(),
        logged: chain.logged(&period, chain.log_index(2)),
    };
    let height = chain.height();
    let view = chain.state.view();
    let opening = |subject| ConsentOpening {
        custodian,
        subject,
        leaf: view.subject(&custodian, &subject),
        proof: view.prove(&StateKey::Subject((custodian, subject))),
        finality: chain.finality(height, height),
    };
    Proofs {
        receipt,
        content,
        present: disclosure(digest(20)),
        absent: disclosure(digest(30)),
        opening: opening(subject_id(1)),
        no_opening: opening(subject_id(2)),
        chain,
    }
}

fn commitment_of(content: &[u8]) -> (Vec<LeafOpening>, codec::Digest) {
    use keys::commitment::{Label, Leaf, leaf_hash, path, root};
    let salts = [[1; 32], [2; 32], [3; 32]];
    let projection = Label::Projection(codec::Category::Phenotype);
    let leaves = [
        Leaf {
            label: Label::Stored,
            rule_version: 0,
            salt: &salts[0],
            bytes: content,
        },
        Leaf {
            label: projection,
            rule_version: 3,
            salt: &salts[1],
            bytes: b"HP:0001250",
        },
        Leaf {
            label: Label::Projection(codec::Category::Identity),
            rule_version: 3,
            salt: &salts[2],
            bytes: b"name",
        },
    ];
    let hashes = leaves.map(|leaf| leaf_hash(&leaf));
    let open = |index: usize| LeafOpening {
        label: leaves[index].label,
        rule_version: leaves[index].rule_version,
        salt: salts[index],
        index: u32::try_from(index).unwrap(),
        count: 3,
        path: path(&hashes, index).unwrap(),
    };
    (vec![open(0)], root(&hashes))
}

fn lines() -> String {
    let mut lines = String::new();
    let mut line = |name: &str, bytes: &[u8]| {
        lines += &format!("{name} {}\n", hex::encode(bytes));
    };
    let (chain, entries) = signed_entries();
    line("network id", chain.network.as_bytes());
    let small = {
        let mut genesis = chain.genesis.clone();
        genesis.institutions.truncate(1);
        genesis
    };
    line("genesis of one", &codec::to_vec(&small));
    for entry in &entries {
        let signer = match entry.entry() {
            Entry::InstitutionVote(_) => &chain.members[1].signing,
            Entry::SubjectClose(_) => &slot_key(2, 0),
            _ => &chain.members[0].signing,
        };
        let entry = with_fixed_signatures(&chain, entry, signer);
        line(entry.entry().name(), entry.bytes());
        line("entry id", entry.entry_id().as_bytes());
    }
    let Proofs {
        chain,
        receipt,
        present,
        absent,
        opening,
        no_opening,
        ..
    } = proofs();
    line("header", &codec::to_vec(chain.tip()));
    line("header digest", chain.tip().digest().as_bytes());
    line("last header of an epoch", &codec::to_vec(&chain.headers[3]));
    let checkpoint = Checkpoint::new(&chain.network, chain.log.size(), chain.log.root());
    line("checkpoint", checkpoint.to_string().as_bytes());
    for row in chain.state.rows().into_iter().take(5) {
        line("row key", &row.key);
        line("row value", &row.value.unwrap());
    }
    line("receipt", &receipt.encode());
    line("disclosure proof", &present.encode());
    line("proof of no disclosure", &absent.encode());
    line("consent opening", &opening.encode());
    line("opening of nothing", &no_opening.encode());
    line("state keys", &state_keys());
    lines
}

fn state_keys() -> Vec<u8> {
    let (institution, id) = (codec::InstitutionId::new([1; 16]), digest(1));
    let entry = codec::EntryId::new(id.into_bytes());
    let keys = [
        StateKey::Parameters,
        StateKey::Validators,
        StateKey::Roster,
        StateKey::Agenda,
        StateKey::Institution(institution),
        StateKey::InstitutionKey(crate::support::key_id(&key("golden", 1))),
        StateKey::Proposal(entry),
        StateKey::Subject((institution, subject_id(1))),
        StateKey::Seen(7),
        StateKey::Period(institution),
        StateKey::Device((institution, DeviceId::new([1; 16]))),
        StateKey::Study(StudyId::new([1; 16])),
        StateKey::Release((StudyId::new([1; 16]), 7)),
    ];
    let mut w = codec::Writer::new();
    for key in keys {
        key.encode(&mut w);
        key.digest().encode(&mut w);
    }
    w.into_vec()
}

#[test]
fn golden_bytes() {
    let found = lines();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden.txt");
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, &found).unwrap();
    }
    let golden = include_str!("../../testdata/golden.txt");
    for (number, (found, golden)) in found.lines().zip(golden.lines()).enumerate() {
        let name = found.rsplit_once(' ').map_or(found, |(name, _)| name);
        assert_eq!(found, golden, "line {}: {name}", number + 1);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

#[test]
fn entries_survive_their_encoding() {
    let (_, entries) = signed_entries();
    for entry in entries {
        let again = SignedEntry::decode(entry.bytes()).unwrap();
        assert_eq!(again, entry);
        assert_eq!(again.entry(), entry.entry());
        assert_eq!(again.entry_id(), entry.entry_id());
        assert!(!again.is_verified());
        let sign1 = keys::cose::Sign1::decode(entry.bytes()).unwrap();
        let aad = Domain::EntrySignature.tag();
        assert_eq!(sign1.encode(), entry.bytes().to_vec());
        assert!(!sign1.to_be_signed(aad).is_empty());
    }
}
