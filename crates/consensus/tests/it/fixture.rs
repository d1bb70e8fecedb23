//! Institutions, a genesis and entries for tests.

use std::collections::BTreeMap;

use bytes::Bytes;
use codec::{Digest, InstitutionId};
use keys::{HybridSecretKey, PqSigningKey, Secret, SigningKey};
use ledger::batch::RecordTree;
use ledger::entry::RecordBatch;
use ledger::{Entry, Genesis, Institution, Kind, Parameters, SignedEntry, Validators};

/// A member and its keys.
pub(crate) struct Member {
    pub(crate) id: InstitutionId,
    pub(crate) signing: SigningKey,
    pub(crate) governance: PqSigningKey,
    pub(crate) validator: Secret,
}

/// Members, the first of which validate.
pub(crate) struct Fixture {
    pub(crate) members: Vec<Member>,
    pub(crate) genesis: Genesis,
}

impl Fixture {
    /// `members` members, of which `validators` validate; epochs of `epoch_blocks`.
    pub(crate) fn new(members: u8, validators: u8, epoch_blocks: u64) -> Self {
        let members: Vec<Member> = (0..members).map(member).collect();
        let institutions = members
            .iter()
            .map(|member| Institution {
                id: member.id,
                name: format!("Institution {}", member.id),
                kind: Kind::Hospital,
                signing: member.signing.public(),
                governance: member.governance.public(),
                sealing: HybridSecretKey::from_seed(secret(4, member.id.as_bytes()[0])).public(),
            })
            .collect();
        let validators: BTreeMap<_, _> = members
            .iter()
            .take(usize::from(validators))
            .map(|member| (member.id, public(&member.validator)))
            .collect();
        let genesis = Genesis {
            institutions,
            validators: Validators::new(validators),
            parameters: Parameters {
                epoch_blocks,
                ..Parameters::default()
            },
            time_ms: 0,
            nonce: [3; 32],
        };
        Self { members, genesis }
    }

    /// A record batch of member `by`, different for every `number`.
    pub(crate) fn entry(&self, by: usize, number: u64) -> Bytes {
        self.batch(by, number).1
    }

    /// A record batch and the tree behind it.
    pub(crate) fn batch(&self, by: usize, number: u64) -> (RecordTree, Bytes) {
        let commitment = keys::sha256(&[&number.to_be_bytes()]);
        let mut entropy = |out: &mut [u8]| out.fill(9);
        let tree = RecordTree::build(&[commitment], &mut entropy);
        let member = &self.members[by];
        let entry = Entry::RecordBatch(RecordBatch {
            custodian: member.id,
            root: tree.root(),
        });
        (tree, self.sign(by, &entry))
    }

    /// The commitment that [`Self::batch`] commits to.
    pub(crate) fn commitment(number: u64) -> Digest {
        keys::sha256(&[&number.to_be_bytes()])
    }

    /// An entry signed by member `by`.
    pub(crate) fn sign(&self, by: usize, entry: &Entry) -> Bytes {
        self.sign_until(by, entry, 9_000)
    }

    /// A record batch that is valid up to a height.
    pub(crate) fn entry_until(&self, by: usize, number: u64, last_valid: u64) -> Bytes {
        let signed = SignedEntry::decode(&self.entry(by, number)).unwrap();
        self.sign_until(by, signed.entry(), last_valid)
    }

    fn sign_until(&self, by: usize, entry: &Entry, last_valid: u64) -> Bytes {
        let network = self.genesis.network_id();
        let key = &self.members[by].signing;
        let signed = SignedEntry::sign(&network, entry, last_valid, key).unwrap();
        signed.bytes().clone()
    }
}

fn member(index: u8) -> Member {
    Member {
        id: InstitutionId::new([index; 16]),
        signing: SigningKey::from_seed(secret(1, index)),
        governance: PqSigningKey::from_seed(secret(2, index)),
        validator: secret(3, index),
    }
}

fn secret(kind: u8, index: u8) -> Secret {
    let mut bytes = [kind; 32];
    bytes[31] = index;
    Secret::from_bytes(bytes)
}

/// The public key of a validator seed.
pub(crate) fn public(seed: &Secret) -> keys::PublicKey {
    SigningKey::from_seed(seed.clone()).public()
}
