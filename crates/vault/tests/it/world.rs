//! A vault with subjects and records in it.

use crate::memory::MemoryStore;
use codec::{Category, Digest, DisclosureId, EntryId, InstitutionId, Millis, RecordId, SubjectId};
use consent::{
    Actor, ConsentState, Missing, PractitionerId, Purpose, Records, Request, Role, Selection, Terms,
};
use keys::{Entropy, PasswordParams, Zeroizing};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::Store;
use vault::{
    CompartmentOpen, Custody, Disclosure, Error, Form, Identity, Keychain, MemoryCustody,
    NewRecord, Outcome, Parts, Projection, Projector, RecordPut, Settings, Signed, Vault,
};

pub use futures::executor::block_on as run;

pub const PASSPHRASE: &[u8] = b"correct horse battery staple";
pub const CUSTODIAN: InstitutionId = InstitutionId::new([7; 16]);
pub const FAST: PasswordParams = PasswordParams::INSECURE_FAST;

/// Seeded randomness.
#[derive(Clone)]
pub struct Rng {
    seed: keys::Secret,
    drawn: u64,
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        let digest = keys::sha256(&[&seed.to_be_bytes()]);
        Self {
            seed: keys::Secret::from_bytes(digest.into_bytes()),
            drawn: 0,
        }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = u64::from_be_bytes(self.bytes());
        usize::try_from(drawn % u64::try_from(bound).unwrap()).unwrap()
    }
}

impl Entropy for Rng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.drawn += 1;
            let block = self
                .seed
                .mac(codec::Domain::SimulationSeed, &[&self.drawn.to_be_bytes()]);
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

pub fn ms(n: u64) -> Millis {
    Millis::new(n)
}

/// A subject whose keys are in the shard `shard`.
pub fn subject(shard: u8, n: u8) -> SubjectId {
    let mut bytes = [n; 32];
    bytes[0] = shard;
    SubjectId::new(bytes)
}

pub fn record(n: u8) -> RecordId {
    RecordId::new([n; 16])
}

pub fn disclosure_id(n: u8) -> DisclosureId {
    DisclosureId::new([n; 16])
}

pub fn digest(bytes: &[u8]) -> Digest {
    keys::sha256(&[bytes])
}

pub fn create(custody: Arc<dyn Custody>, rng: &mut Rng) -> Keychain {
    let identity = Identity::generate(rng);
    Keychain::create(custody, PASSPHRASE, FAST, identity, rng).unwrap()
}

pub async fn open<S: Store>(store: S, custody: Arc<dyn Custody>) -> Result<Vault<S>, Error> {
    let keychain = Keychain::open(custody, PASSPHRASE)?;
    Vault::open(store, keychain, settings()).await
}

/// A vault in memory.
pub struct World {
    pub store: MemoryStore,
    pub custody: MemoryCustody,
    pub vault: Vault<MemoryStore>,
    pub rng: Rng,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, MemoryStore::new(), settings())
    }

    pub fn with(seed: u64, store: MemoryStore, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let custody = MemoryCustody::new();
        let keychain = create(Arc::new(custody.clone()), &mut rng);
        let vault = run(Vault::open(store.clone(), keychain, settings)).unwrap();
        Self {
            store,
            custody,
            vault,
            rng,
        }
    }

    /// The same vault after a restart.
    pub fn reopened(&self) -> Vault<MemoryStore> {
        run(open(self.store.clone(), Arc::new(self.custody.clone()))).unwrap()
    }

    pub fn open(&mut self, subject: SubjectId) {
        let opening = opening(subject, &mut self.rng);
        let opened = run(self
            .vault
            .compartment_open(&opening, ms(1_000), &mut self.rng));
        assert!(opened.unwrap().created);
    }

    pub fn put(&mut self, subject: SubjectId, new: NewRecord) -> vault::Put {
        let put = one(subject, new);
        run(self.vault.record_put(&put, ms(2_000), &mut self.rng)).unwrap()
    }
}

/// The first, assisted consent state.
pub fn state(subject: SubjectId, sequence: u64) -> ConsentState {
    ConsentState::new(Terms {
        subject,
        sequence,
        assisted: true,
        controllers: Vec::new(),
        matures: None,
        grants: Vec::new(),
        restricted: false,
        opted_out: BTreeSet::new(),
    })
    .unwrap()
}

pub fn signed(rng: &mut Rng) -> Signed {
    Signed {
        id: EntryId::new(rng.bytes()),
        bytes: rng.bytes::<200>().to_vec(),
        last_valid: 100,
    }
}

pub fn opening(subject: SubjectId, rng: &mut Rng) -> CompartmentOpen {
    CompartmentOpen {
        client: None,
        state: state(subject, 1),
        salt: rng.bytes(),
        signed: signed(rng),
    }
}

/// What every vault here is told.
pub fn settings() -> Settings {
    Settings::new(CUSTODIAN, Arc::new(Words))
}

/// Projects a stored form to its category's name and itself.
#[derive(Debug)]
pub struct Words;

/// The rule version that [`Words`] has forgotten.
pub const FORGOTTEN_RULE: u16 = 99;

pub fn projected(category: Category, stored: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([category.to_string().as_bytes(), b" of ", stored].concat())
}

impl Projector for Words {
    fn project(
        &self,
        form: &Form<'_>,
        rules: &[(Category, u16)],
    ) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let known = |(category, rule): &(Category, u16)| {
            (*rule != FORGOTTEN_RULE).then(|| projected(*category, form.bytes))
        };
        rules.iter().map(known).collect()
    }
}

/// A record whose content and tokens follow from a text.
pub fn new_record(n: u8, text: &str) -> NewRecord {
    let stored = format!("stored form of {text}").into_bytes();
    NewRecord {
        record: record(n),
        expect_version: 0,
        kind: "phenopacket".to_owned(),
        media_type: "text/plain".to_owned(),
        received: Some(digest(text.as_bytes())),
        projections: [Category::Phenotype, Category::Identity]
            .into_iter()
            .map(|category| Projection {
                category,
                rule_version: 3,
                bytes: projected(category, &stored),
            })
            .collect(),
        stored_form: Zeroizing::new(stored),
        provenance: Zeroizing::new(format!("provenance of {text}").into_bytes()),
        tokens: text
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect(),
    }
}

pub fn one(subject: SubjectId, new: NewRecord) -> RecordPut {
    RecordPut {
        subject,
        client: None,
        records: vec![new],
    }
}

/// Whether a record reads back as it was put in.
pub async fn reads<S: Store>(vault: &Vault<S>, subject: &SubjectId, n: u8, text: &str) -> bool {
    let opened = vault
        .record_get(subject, &record(n), None, &Parts::All)
        .await;
    opened.is_ok_and(|opened| {
        let stored = opened.stored_form().unwrap().bytes();
        stored == format!("stored form of {text}").as_bytes() && opened.parts.len() == 3
    })
}

pub fn request(subject: SubjectId) -> Request {
    Request {
        actor: Actor {
            institution: CUSTODIAN,
            practitioner: PractitionerId::new("dr-who").unwrap(),
            roles: BTreeSet::from([Role::Clinician]),
            slot: None,
        },
        purpose: Purpose::Treat,
        subject,
        selection: Selection {
            categories: BTreeSet::from([Category::Phenotype]),
            records: Records::All,
        },
        study: None,
        partial: false,
    }
}

pub fn refusal(subject: SubjectId, id: DisclosureId, at: u64) -> Disclosure {
    Disclosure {
        id,
        at: ms(at),
        request: request(subject),
        outcome: Outcome::Refused(vec![Missing::NoGrant]),
        records: Vec::new(),
        stale: false,
        session: None,
        channel: None,
        asked: None,
    }
}
