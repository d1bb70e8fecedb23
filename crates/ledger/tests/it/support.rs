//! A small network in memory: members, a chain of blocks, certificates of Ed25519 signatures.

use codec::{Digest, InstitutionId, NetworkId, SubjectId};
use keys::{Entropy, HybridSecretKey, PqSigningKey, PublicKey, Secret, Signature, SigningKey};
use ledger::entry::{OpenTerms, RecordBatch, Slot, SubjectOpen};
use ledger::finality::Boundary;
use ledger::log::{Frontier, TileUpdate, Tiles, inclusion_proof};
use ledger::receipt::LoggedEntry;
use ledger::state::{Detached, LoadError};
use ledger::{
    CertificateCheck, Entry, Finality, Genesis, Header, Institution, KeyId, Kind, Parameters,
    Rejection, SignedEntry, State, StateKey, Validators, block,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// Seeded randomness.
pub(crate) struct Seeded {
    seed: [u8; 32],
    count: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: keys::sha256(&[b"test", &seed.to_be_bytes()]).into_bytes(),
            count: 0,
        }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.count += 1;
            let block = keys::sha256(&[&self.seed, &self.count.to_be_bytes()]).into_bytes();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// A digest of a number.
pub(crate) fn digest(n: u64) -> Digest {
    keys::sha256(&[b"digest", &n.to_be_bytes()])
}

pub(crate) fn subject_id(n: u64) -> SubjectId {
    SubjectId::new(keys::sha256(&[b"subject", &n.to_be_bytes()]).into_bytes())
}

pub(crate) fn key(label: &str, n: u64) -> SigningKey {
    let seed = keys::sha256(&[label.as_bytes(), &n.to_be_bytes()]).into_bytes();
    SigningKey::from_seed(Secret::from_bytes(seed))
}

/// Keys of an institution.
pub(crate) struct Member {
    pub(crate) id: InstitutionId,
    pub(crate) kind: Kind,
    pub(crate) signing: SigningKey,
    pub(crate) governance: PqSigningKey,
    pub(crate) sealing: HybridSecretKey,
    pub(crate) validator: SigningKey,
}

impl Member {
    pub(crate) fn new(n: u8, kind: Kind) -> Self {
        let mut entropy = Seeded::new(1_000 + u64::from(n));
        Self {
            id: InstitutionId::new([n; 16]),
            kind,
            signing: SigningKey::generate(&mut entropy),
            governance: PqSigningKey::generate(&mut entropy),
            sealing: HybridSecretKey::generate(&mut entropy),
            validator: SigningKey::generate(&mut entropy),
        }
    }

    pub(crate) fn institution(&self) -> Institution {
        Institution {
            id: self.id,
            name: format!("Institution {}", self.id.as_bytes()[0]),
            kind: self.kind,
            signing: self.signing.public(),
            governance: self.governance.public(),
            sealing: self.sealing.public(),
        }
    }
}

pub(crate) fn hospitals(count: u8) -> Vec<Member> {
    (1..=count)
        .map(|n| Member::new(n, Kind::Hospital))
        .collect()
}

/// Short epochs and a recovery delay of a minute.
pub(crate) fn parameters() -> Parameters {
    Parameters {
        epoch_blocks: 4,
        recover_delay_ms: 60_000,
        ..Parameters::default()
    }
}

pub(crate) fn genesis(members: &[Member], validators: usize) -> Genesis {
    let keys = members.iter().take(validators);
    Genesis {
        institutions: members.iter().map(Member::institution).collect(),
        validators: Validators::new(keys.map(|m| (m.id, m.validator.public())).collect()),
        parameters: parameters(),
        time_ms: START_MS,
        nonce: [7; 32],
    }
}

/// A chain of blocks and everything that proofs need.
pub(crate) struct Chain {
    pub(crate) members: Vec<Member>,
    pub(crate) genesis: Genesis,
    pub(crate) network: NetworkId,
    pub(crate) state: State,
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) log: Frontier,
    pub(crate) tiles: Tiles,
    pub(crate) stored: BTreeMap<(u8, u64), Vec<Digest>>,
    pub(crate) headers: Vec<Header>,
    pub(crate) validators: Vec<Validators>,
}

impl Chain {
    /// Four hospitals, all validators.
    pub(crate) fn new() -> Self {
        Self::with(hospitals(4), 4)
    }

    /// Two hospitals, one a validator: cheap to verify.
    pub(crate) fn small() -> Self {
        Self::with(hospitals(2), 1)
    }

    pub(crate) fn with(members: Vec<Member>, validators: usize) -> Self {
        let genesis = genesis(&members, validators);
        let (state, header) = State::genesis(&genesis).unwrap();
        let mut chain = Self {
            network: genesis.network_id(),
            validators: vec![genesis.validators.clone()],
            members,
            genesis,
            rows: BTreeMap::new(),
            log: block::genesis_log(&header),
            tiles: Tiles::new(),
            stored: BTreeMap::new(),
            headers: Vec::new(),
            state,
        };
        for row in chain.state.rows() {
            chain.rows.insert(row.key, row.value.unwrap());
        }
        chain.finish(header, &[]);
        chain
    }

    pub(crate) fn height(&self) -> u64 {
        self.state.view().tip().height
    }

    pub(crate) fn tip(&self) -> &Header {
        self.headers.last().unwrap()
    }

    /// Signs with a member's key, valid for a hundred heights.
    pub(crate) fn sign(&self, member: usize, entry: &Entry) -> SignedEntry {
        self.sign_with(&self.members[member].signing, entry)
    }

    pub(crate) fn sign_with(&self, key: &SigningKey, entry: &Entry) -> SignedEntry {
        SignedEntry::sign(&self.network, entry, self.height() + 100, key).unwrap()
    }

    /// Finalises a block one second after the last.
    pub(crate) fn push(&mut self, entries: &[SignedEntry]) -> Header {
        let time_ms = self.tip().time_ms + 1_000;
        self.push_at(time_ms, entries).unwrap()
    }

    pub(crate) fn push_at(
        &mut self,
        time_ms: u64,
        entries: &[SignedEntry],
    ) -> Result<Header, Rejection> {
        let view = self.state.view();
        let made = block::extend(self.tip(), &self.log, &view, time_ms, entries)?;
        drop(view);
        self.log = made.log;
        self.apply(Arc::new(made.executed)).unwrap();
        self.finish(made.header.clone(), entries);
        Ok(made.header)
    }

    pub(crate) fn apply(&mut self, executed: Arc<ledger::Executed>) -> Result<(), Detached> {
        let rows = executed.rows();
        self.state.apply(executed)?;
        for row in rows {
            match row.value {
                Some(value) => self.rows.insert(row.key, value),
                None => self.rows.remove(&row.key),
            };
        }
        Ok(())
    }

    fn finish(&mut self, header: Header, entries: &[SignedEntry]) {
        let leaves = block::log_leaves(&header, entries);
        for TileUpdate {
            level,
            index,
            hashes,
        } in self.tiles.append(leaves)
        {
            self.stored.insert((level, index), hashes);
        }
        if self.genesis.parameters.is_epoch_last(header.height) {
            let next = self.genesis.parameters.epoch(header.height) + 1;
            self.validators
                .push(self.state.view().validators(next).unwrap());
        }
        self.headers.push(header);
    }

    /// Empty blocks up to a height.
    pub(crate) fn advance_to(&mut self, height: u64) {
        while self.height() < height {
            self.push(&[]);
        }
    }

    pub(crate) fn reload(&self) -> Result<State, LoadError> {
        let rows = self.rows.iter().map(|(k, v)| (k.clone(), v.clone()));
        State::load(self.tip(), rows)
    }

    pub(crate) fn log_path(&self, index: u64, size: u64) -> Vec<Digest> {
        let read = |level, index| self.stored.get(&(level, index)).cloned();
        inclusion_proof(index, size, &read).unwrap()
    }

    /// Signatures of all validators of the header's epoch.
    pub(crate) fn certificate(&self, header: &Header) -> Vec<u8> {
        let epoch = self.genesis.parameters.epoch(header.height);
        let set = &self.validators[usize::try_from(epoch).unwrap()];
        let message = certified(epoch, &header.digest());
        let signature = |key: &PublicKey| {
            let member = self.members.iter().find(|m| m.validator.public() == *key);
            member.map(|m| m.validator.sign(&message))
        };
        let signatures: Vec<Option<Signature>> = set.keys().iter().map(signature).collect();
        codec::to_vec(&signatures)
    }

    /// Finality of the header at `height`, certified at `certified`.
    pub(crate) fn finality(&self, height: u64, certified: u64) -> Finality {
        let at = |height: u64| self.headers[usize::try_from(height).unwrap()].clone();
        let epochs = self.genesis.parameters;
        let boundaries = (0..epochs.epoch(height)).map(|epoch| {
            let header = at((epoch + 1) * epochs.epoch_blocks - 1);
            Boundary {
                certificate: self.certificate(&header),
                next: self.validators[usize::try_from(epoch).unwrap() + 1].clone(),
                header,
            }
        });
        Finality {
            boundaries: boundaries.collect(),
            headers: (height..=certified).map(at).collect(),
            certificate: self.certificate(&at(certified)),
        }
    }

    /// Index in the log of an entry of the block at the tip.
    pub(crate) fn log_index(&self, position: u64) -> u64 {
        self.headers[self.headers.len() - 2].log_size + 1 + position
    }

    /// An entry proved against the tip.
    pub(crate) fn logged(&self, entry: &SignedEntry, log_index: u64) -> LoggedEntry {
        let header = self.tip();
        let at = StateKey::InstitutionKey(entry.header().signer);
        let view = self.state.view();
        LoggedEntry {
            entry: entry.bytes().to_vec(),
            log_index,
            log_path: self.log_path(log_index, header.log_size),
            block: None,
            signer: view.institution_by_key(&entry.header().signer).unwrap(),
            signer_proof: view.prove(&at),
            finality: self.finality(header.height, header.height),
        }
    }

    // Entries.

    pub(crate) fn record_batch(&self, member: usize, n: u64) -> SignedEntry {
        let batch = RecordBatch {
            custodian: self.members[member].id,
            root: digest(n),
        };
        self.sign(member, &Entry::RecordBatch(batch))
    }

    /// Opens subject `n` at a member; slot `s` has key `slot_key(n, s)`.
    pub(crate) fn subject_open(&self, member: usize, n: u64, assisted: bool) -> SignedEntry {
        let terms = OpenTerms {
            custodian: self.members[member].id,
            subject: subject_id(n),
            slots: slots(n, u64::MAX),
            assisted,
            consent: digest(n),
            slot: 1,
        };
        let entry = SubjectOpen {
            slot_signature: terms.sign(&self.network, &slot_key(n, 1)),
            terms,
        };
        self.sign(member, &Entry::SubjectOpen(Box::new(entry)))
    }
}

pub(crate) fn slot_key(n: u64, slot: u64) -> SigningKey {
    key("slot", n * 10 + slot)
}

pub(crate) fn slots(n: u64, last_valid: u64) -> [Slot; 4] {
    [0, 1, 2, 3].map(|slot| Slot {
        key: slot_key(n, slot).public(),
        last_valid,
    })
}

pub(crate) fn key_id(key: &SigningKey) -> KeyId {
    KeyId::of(&key.public())
}

/// Certificates of Ed25519 signatures of more than two thirds of the validators.
pub(crate) struct Signatures;

impl CertificateCheck for Signatures {
    fn check(
        &self,
        validators: &[PublicKey],
        epoch: u64,
        header_digest: &Digest,
        certificate: &[u8],
    ) -> bool {
        let Ok(signatures) = codec::from_slice::<Vec<Option<Signature>>>(certificate) else {
            return false;
        };
        let message = certified(epoch, header_digest);
        let good = validators
            .iter()
            .zip(&signatures)
            .filter(|(key, signature)| {
                signature.is_some_and(|signature| key.verify(&message, &signature).is_ok())
            });
        let given = signatures.iter().flatten().count();
        signatures.len() == validators.len()
            && good.count() == given
            && given * 3 > validators.len() * 2
    }
}

fn certified(epoch: u64, digest: &Digest) -> Vec<u8> {
    keys::aad(
        codec::Domain::CertificateNamespace,
        &[&epoch.to_be_bytes(), digest.as_bytes()],
    )
}
