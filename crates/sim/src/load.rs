//! The people: one client at each honest member, and the book of what was acknowledged to them.
//!
//! A client does one thing at a time and tries it again under the same key until it is told that it is
//! done: what happened on the way (a crash, a full disk) must not make it happen twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commonware_macros::select;
use commonware_runtime::{
    Clock as _, Handle as Task, Spawner as _, Supervisor as _, deterministic,
};
use ledger::Genesis;
use ledger::receipt::Receipt;
use node::consent_change::{ConsentChange, ConsentDesk};
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::{Content, Payload, Submission};
use node::subject::{SubjectOpen, Wait};
use node::{Digest, Error, Handle, InstitutionId, Kind, RecordId, Role, SubjectId, verify};

use sim_world::dice::Dice;
use sim_world::world::{Door, World, staff};

/// Longest that a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Deposits for one subject at most.
const PER_SUBJECT: usize = 6;

/// A record whose deposit was acknowledged.
#[derive(Clone, Debug)]
pub struct Deposited {
    /// The record.
    pub record: RecordId,
    /// What the ledger is to hold.
    pub commitment: Digest,
    /// What was put in.
    pub bytes: Vec<u8>,
}

/// A subject whose opening was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Acknowledged deposits.
    pub records: Vec<Deposited>,
    /// Deposits tried; at most one of them more than was acknowledged.
    pub tried: usize,
    /// The last acknowledged consent sequence.
    pub sequence: u64,
    /// Whether one more change may have been accepted.
    pub changing: bool,
}

/// What was acknowledged, by member, and what receipts said was final.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    known: BTreeMap<usize, BTreeMap<SubjectId, Known>>,
    promised: BTreeSet<(u64, Digest)>,
}

impl Book {
    /// The subjects known at a member.
    #[must_use]
    pub fn of(&self, member: usize) -> BTreeMap<SubjectId, Known> {
        self.lock().known.get(&member).cloned().unwrap_or_default()
    }

    /// Heights and digests of headers that a receipt called final at some time.
    #[must_use]
    pub fn promised(&self) -> BTreeSet<(u64, Digest)> {
        self.lock().promised.clone()
    }

    /// Everything acknowledged: openings, deposits and changes.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        let book = self.lock();
        let known = book.known.values().flat_map(BTreeMap::values);
        known
            .map(|known| 1 + known.records.len() as u64 + known.sequence)
            .sum()
    }

    fn write(&self, member: usize, subject: SubjectId, note: impl FnOnce(&mut Known)) {
        note(
            self.lock()
                .known
                .entry(member)
                .or_default()
                .entry(subject)
                .or_default(),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<Task<()>>,
}

impl Crowd {
    /// A client at each honest member.
    #[must_use]
    pub fn start(world: &World, book: &Book, dice: &mut Dice) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = world.honest().into_iter().map(|member| {
            let client = Client {
                context: world.context.child("client"),
                member,
                id: world.members[member].id,
                door: world.members[member].door.clone(),
                genesis: world.genesis.clone(),
                book: book.clone(),
                dice: dice.fork(),
                stop: stop.clone(),
                number: 0,
                subjects: Vec::new(),
            };
            world.context.child("crowd").spawn(move |_| client.live())
        });
        Self {
            clients: clients.collect(),
            stop: stop.clone(),
        }
    }

    /// Sends everybody home; nothing is in flight afterwards.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client found something wrong");
        }
    }
}

struct Client {
    context: deterministic::Context,
    member: usize,
    id: InstitutionId,
    door: Door,
    genesis: Genesis,
    book: Book,
    dice: Dice,
    stop: Arc<AtomicBool>,
    number: u64,
    subjects: Vec<SubjectId>,
}

impl Client {
    async fn live(mut self) {
        while !self.is_over() {
            self.number += 1;
            let newest = self.subjects.last().copied();
            match (self.dice.below(12), newest) {
                (10..=11, Some(subject)) => self.prove(subject).await,
                (3..=8, Some(subject)) if self.has_room(subject) => self.deposit(subject).await,
                (9, Some(subject)) => self.change(subject).await,
                _ => self.open().await,
            }
            self.pause(self.dice.clone().between(800, 3_500)).await;
            self.dice.next();
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    async fn pause(&self, ms: u64) {
        self.context.sleep(Duration::from_millis(ms)).await;
    }

    fn has_room(&self, subject: SubjectId) -> bool {
        let known = self.book.of(self.member);
        known
            .get(&subject)
            .is_some_and(|known| known.tried < PER_SUBJECT)
    }

    fn key(&self) -> String {
        format!("client-{}-{}", self.member, self.number)
    }

    /// Calls until it is answered; none if the day ends before.
    async fn until_done<T, F>(&mut self, call: impl Fn(Handle) -> F) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        while !self.is_over() {
            if let Some(handle) = self.door.handle() {
                let answer = call(handle);
                let answer = select! {
                    answer = answer => Some(answer),
                    () = self.context.sleep(PATIENCE) => None,
                };
                match answer {
                    Some(Ok(value)) => return Some(Ok(value)),
                    Some(Err(error)) if !may_pass(&error) => return Some(Err(error)),
                    // It may have been done: it is asked again under the same key.
                    Some(Err(_)) | None => {}
                }
            }
            let ms = self.dice.between(200, 900);
            self.pause(ms).await;
        }
        None
    }

    async fn open(&mut self) {
        let (id, key) = (self.id, self.key());
        let opened = self.until_done(move |handle| {
            handle.subject_open(SubjectOpen {
                caller: staff(id, Role::Desk),
                controllers: Vec::new(),
                matures: None,
                client_key: Some(key.clone()),
                wait: Wait::Durable,
            })
        });
        if let Some(opened) = opened.await {
            let subject = opened.expect("opening a subject").subject;
            assert!(!self.subjects.contains(&subject), "opened twice");
            self.subjects.push(subject);
            self.book.write(self.member, subject, |_| {});
        }
    }

    async fn deposit(&mut self, subject: SubjectId) {
        let (id, key) = (self.id, self.key());
        let bytes = phenopacket(&key);
        self.book
            .write(self.member, subject, |known| known.tried += 1);
        let content = bytes.clone();
        let deposited = self.until_done(move |handle| {
            handle.record_deposit(Submission {
                caller: staff(id, Role::Clinician),
                subject,
                payload: Payload::Phenopacket(Content::new(content.clone())),
                record: None,
                client_key: Some(key.clone()),
                expect_version: None,
                provenance: node::record::Provenance::default(),
                wait: Wait::Durable,
            })
        });
        if let Some(deposited) = deposited.await {
            let deposited = deposited.expect("depositing a record");
            let record = &deposited.records[0];
            let (record, commitment) = (record.record, record.commitment);
            self.book.write(self.member, subject, |known| {
                known.records.push(Deposited {
                    record,
                    commitment,
                    bytes,
                });
            });
        }
    }

    /// Asks for a receipt of something, and remembers what it says is final: it must be so for ever.
    async fn prove(&mut self, subject: SubjectId) {
        let known = self.book.of(self.member);
        let records = known.get(&subject).map(|known| known.records.as_slice());
        let Some(records) = records.filter(|records| !records.is_empty()) else {
            return;
        };
        let record = records[self.dice.below(records.len())].record;
        let Some(handle) = self.door.handle() else {
            return;
        };
        let answer = handle.receipt(ReceiptQuery {
            caller: staff(self.id, Role::Clinician),
            subject,
            record,
            version: None,
            leaf: None,
        });
        let answer = select! {
            answer = answer => answer,
            () = self.context.sleep(PATIENCE) => return,
        };
        if let Ok(ReceiptAnswer::Ready(receipt)) = answer {
            verify::receipt(&receipt.bytes, &self.genesis, None).expect("a receipt that was given");
            let receipt: Receipt = codec::from_slice(&receipt.bytes).expect("a receipt");
            let logged = receipt.logged;
            let block = logged.block.map(|block| block.header);
            let headers = logged.finality.headers.into_iter().chain(block);
            let promised = headers.map(|header| (header.height, header.digest()));
            self.book.lock().promised.extend(promised);
        }
    }

    async fn change(&mut self, subject: SubjectId) {
        let id = self.id;
        let known = self.book.of(self.member);
        let before = known.get(&subject).map_or(0, |known| known.sequence);
        self.book
            .write(self.member, subject, |known| known.changing = true);
        let changed = self.until_done(move |handle| {
            handle.consent_desk(ConsentDesk {
                caller: staff(id, Role::Desk),
                subject,
                expect_sequence: Some(before),
                changes: vec![ConsentChange::Restrict(before.is_multiple_of(2))],
                wait: Wait::Durable,
            })
        });
        if let Some(changed) = changed.await {
            let after = match changed {
                Ok(accepted) => accepted.sequence,
                // An earlier try of this one change was accepted without an answer.
                Err(error) if error.kind() == Kind::PreconditionFailed => before + 1,
                Err(error) => panic!("changing consent: {error}"),
            };
            assert_eq!(after, before + 1, "a change was accepted twice");
            self.book.write(self.member, subject, |known| {
                known.sequence = after;
                known.changing = false;
            });
            // A restricted subject takes nothing new: the next one is another's turn.
            if !after.is_multiple_of(2) {
                self.subjects.retain(|other| *other != subject);
            }
        }
    }
}

/// Whether trying again may help.
pub(crate) fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Busy | Kind::Unavailable | Kind::DiskFull | Kind::Internal
    )
}

fn phenopacket(id: &str) -> Vec<u8> {
    format!(
        r#"{{"id": "{id}", "subject": {{"id": "proband", "sex": "FEMALE"}},
"phenotypicFeatures": [{{"type": {{"id": "HP:0001250", "label": "Seizure"}}}}],
"metaData": {{"created": "2026-01-01T00:00:00Z", "createdBy": "sim", "phenopacketSchemaVersion": "2.0",
"resources": []}}}}"#
    )
    .into_bytes()
}
