//! Signed entries made before the clock starts, and their way to finality at a steady rate.

use super::site::{Site, World};
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use codec::{EntryId, InstitutionId, SubjectId};
use consensus::SubmitError;
use futures::executor::block_on;
use keys::SigningKey;
use ledger::{
    Entry, SignedEntry,
    batch::RecordTree,
    entry::{OpenTerms, RecordBatch, SLOTS, Slot, SubjectOpen, SubjectUpdate, UpdateTerms},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Commitments in a record batch.
const BATCH: usize = 1_024;
/// How long entries are valid, in heights: what a node gives its own.
const VALIDITY_HEIGHTS: u64 = 1_000;
/// How long entries in flight may take to become final once the last is submitted.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a submitter waits when the pool is full.
const BACK_OFF: Duration = Duration::from_millis(5);
/// How long a listener waits for a block before it looks whether there is anything to wait for.
const LISTEN: Duration = Duration::from_millis(500);

/// A subject and who signs its consent changes.
struct Subject {
    custodian: usize,
    id: SubjectId,
    /// The family's own key; none where the desk assists.
    key: Option<SigningKey>,
    sequence: u64,
}

/// Makes entries that follow each other.
pub(super) struct Author<'a> {
    world: &'a World,
    validators: usize,
    subjects: Vec<Subject>,
    /// The next subject to be updated: in turn, so that an update is final before the next one.
    turn: usize,
    number: u64,
}

/// An entry and where it is submitted.
pub(super) struct Ready {
    id: EntryId,
    bytes: Bytes,
}

impl Ready {
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// Entries by the node where they are submitted, in the order of submission.
pub(super) type Load = Vec<Vec<Ready>>;

impl<'a> Author<'a> {
    pub(super) fn new(world: &'a World, validators: usize) -> Self {
        Self {
            world,
            validators,
            subjects: Vec::new(),
            turn: 0,
            number: 0,
        }
    }

    /// Subjects to be opened before anything else, in turn at each node.
    pub(super) fn opens(&mut self, count: usize, tip: u64) -> Result<Load> {
        self.load(count, tip, |author, at, until| author.open(at, until))
    }

    /// 70 % consent changes, 20 % openings, 10 % record batches, in turn at each node.
    pub(super) fn mix(&mut self, count: usize, tip: u64) -> Result<Load> {
        let mut place = 0_usize;
        let mut opened = Vec::new();
        let known = self.subjects.len();
        ensure!(known > 0, "no subject is open");
        let load = self.load(count, tip, |author, at, until| {
            place += 1;
            match place % 10 {
                0 => author.batch(at, until),
                3 | 7 => {
                    let ready = author.open(at, until)?;
                    // Not updated in this load: only what was open before it is.
                    opened.extend(author.subjects.pop());
                    Ok(ready)
                }
                _ => author.update(until),
            }
        })?;
        self.subjects.extend(opened);
        Ok(load)
    }

    /// As the mix, with consent changes in the place of openings: what is open stays as many.
    pub(super) fn changes(&mut self, count: usize, tip: u64) -> Result<Load> {
        ensure!(!self.subjects.is_empty(), "no subject is open");
        let mut place = 0_usize;
        self.load(count, tip, |author, at, until| {
            place += 1;
            match place % 10 {
                0 => author.batch(at, until),
                _ => author.update(until),
            }
        })
    }

    /// Record batches alone.
    pub(super) fn batches(&mut self, count: usize, tip: u64) -> Result<Load> {
        self.load(count, tip, |author, at, until| {
            author.batch_small(at, until)
        })
    }

    fn load(
        &mut self,
        count: usize,
        tip: u64,
        mut make: impl FnMut(&mut Self, usize, u64) -> Result<SignedEntry>,
    ) -> Result<Load> {
        let until = tip.saturating_add(VALIDITY_HEIGHTS);
        let mut load: Load = (0..self.validators).map(|_| Vec::new()).collect();
        for turn in 0..count {
            let at = turn % self.validators;
            let signed = make(self, at, until)?;
            if let Some(load) = load.get_mut(at) {
                load.push(Ready {
                    id: signed.entry_id(),
                    bytes: signed.bytes().clone(),
                });
            }
        }
        Ok(load)
    }

    fn custodian(&self, at: usize) -> Result<(InstitutionId, &'a SigningKey)> {
        let key = self.world.signing.get(at).context("a member's key")?;
        Ok((self.world.institution(at)?, key))
    }

    fn sign(&self, entry: &Entry, until: u64, key: &SigningKey) -> Result<SignedEntry> {
        let network = self.world.genesis.network_id();
        SignedEntry::sign(&network, entry, until, key).map_err(|e| anyhow!("signing: {e}"))
    }

    /// Every second family has a key of its own; the desk assists the others.
    fn open(&mut self, at: usize, until: u64) -> Result<SignedEntry> {
        let (custodian, signing) = self.custodian(at)?;
        let mut entropy = |out: &mut [u8]| {
            // Only ever out of reach where nothing at all works.
            let _ = crate::entropy::fill(out);
        };
        let key = SigningKey::generate(&mut entropy);
        let mut slots: [Slot; SLOTS] =
            std::array::from_fn(|_| Slot::unused(u64::MAX, &mut entropy));
        if let Some(first) = slots.first_mut() {
            first.key = key.public();
        }
        let mut id = [0_u8; 32];
        crate::entropy::fill(&mut id)?;
        let assisted = self.number.is_multiple_of(2);
        let terms = OpenTerms {
            custodian,
            subject: SubjectId::new(id),
            slots,
            assisted,
            consent: self.digest(),
            slot: 0,
        };
        let slot_signature = terms.sign(&self.world.genesis.network_id(), &key);
        self.subjects.push(Subject {
            custodian: at,
            id: terms.subject,
            key: (!assisted).then_some(key),
            sequence: 0,
        });
        let entry = Entry::SubjectOpen(Box::new(SubjectOpen {
            terms,
            slot_signature,
        }));
        self.sign(&entry, until, signing)
    }

    fn update(&mut self, until: u64) -> Result<SignedEntry> {
        let consent = self.digest();
        let count = self.subjects.len().max(1);
        let subject = self.subjects.get_mut(self.turn % count);
        let subject = subject.context("an open subject")?;
        self.turn += 1;
        subject.sequence += 1;
        let (at, key) = (subject.custodian, subject.key.clone());
        let (id, sequence) = (subject.id, subject.sequence);
        let (custodian, signing) = self.custodian(at)?;
        let terms = UpdateTerms {
            custodian,
            subject: id,
            sequence,
            consent,
            slots: BTreeMap::new(),
            enrols: None,
        };
        let entry = Entry::SubjectUpdate(Box::new(SubjectUpdate {
            terms,
            enrolment_signature: None,
        }));
        self.sign(&entry, until, key.as_ref().unwrap_or(signing))
    }

    fn batch(&mut self, at: usize, until: u64) -> Result<SignedEntry> {
        let commitments: Vec<_> = (0..BATCH).map(|_| self.digest()).collect();
        self.batch_of(&commitments, at, until)
    }

    fn batch_small(&mut self, at: usize, until: u64) -> Result<SignedEntry> {
        let commitment = self.digest();
        self.batch_of(&[commitment], at, until)
    }

    fn batch_of(
        &self,
        commitments: &[codec::Digest],
        at: usize,
        until: u64,
    ) -> Result<SignedEntry> {
        let (custodian, signing) = self.custodian(at)?;
        let root = RecordTree::build(commitments, &mut |out: &mut [u8]| out.fill(3)).root();
        let entry = Entry::RecordBatch(RecordBatch { custodian, root });
        self.sign(&entry, until, signing)
    }

    fn digest(&mut self) -> codec::Digest {
        self.number += 1;
        keys::sha256(&[b"bench", &self.number.to_be_bytes()])
    }
}

/// What became of a load.
#[derive(Default)]
pub(super) struct Passed {
    /// From the moment an entry was due until it was final at the node that took it.
    pub(super) millis: Vec<f64>,
    pub(super) elapsed: Duration,
}

/// Submits a load at a steady rate over all nodes, and waits until every entry is final where it was
/// submitted. An entry's time counts from when it was due, so that a node that falls behind pays for it.
pub(super) fn pass(sites: &[Site], load: Load, per_second: f64) -> Result<Passed> {
    let each = Duration::from_secs_f64(f64::from(u32::try_from(sites.len())?) / per_second);
    let from = Instant::now() + Duration::from_millis(50);
    let outcomes = thread::scope(|scope| {
        let hands: Vec<_> = sites
            .iter()
            .zip(&load)
            .zip(0_u32..)
            .map(|((site, entries), place)| {
                // Not all nodes at the same moment.
                let from = from + each * place / u32::try_from(sites.len()).unwrap_or(1).max(1);
                let listener = site.ledger.subscribe();
                scope.spawn(move || {
                    let failed = AtomicBool::new(false);
                    thread::scope(|scope| {
                        let hearing = scope.spawn(|| hear(listener, entries, from, each, &failed));
                        let submitted = submit(site, entries, from, each);
                        if submitted.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        let heard = hearing.join().map_err(|_| anyhow!("a listener panicked"))?;
                        submitted.and(heard)
                    })
                })
            })
            .collect();
        hands
            .into_iter()
            .map(|hand| hand.join().map_err(|_| anyhow!("a submitter panicked"))?)
            .collect::<Result<Vec<Vec<f64>>>>()
    })?;
    Ok(Passed {
        millis: outcomes.concat(),
        elapsed: from.elapsed(),
    })
}

fn submit(site: &Site, entries: &[Ready], from: Instant, each: Duration) -> Result<()> {
    let mut due = from;
    for entry in entries {
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        loop {
            match block_on(site.ledger.submit(entry.bytes.clone())) {
                Ok(_) => break,
                Err(SubmitError::Full) => thread::sleep(BACK_OFF),
                Err(error) => return Err(anyhow!("submitting: {error}")),
            }
            ensure!(
                due.elapsed() < PATIENCE,
                "the pool stayed full for {PATIENCE:?}"
            );
        }
        due += each;
    }
    Ok(())
}

/// Milliseconds from due to final, for every entry.
fn hear(
    mut blocks: consensus::Subscription,
    entries: &[Ready],
    from: Instant,
    each: Duration,
    failed: &AtomicBool,
) -> Result<Vec<f64>> {
    let places: HashMap<EntryId, u32> = entries.iter().map(|entry| entry.id).zip(0..).collect();
    let count = u32::try_from(entries.len())?;
    let last_due = from + each * count;
    let mut millis = Vec::with_capacity(entries.len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    while millis.len() < entries.len() {
        let heard = runtime.block_on(async { timeout(LISTEN, blocks.recv()).await });
        let Ok(block) = heard else {
            ensure!(!failed.load(Ordering::Relaxed), "submitting failed");
            ensure!(
                Instant::now() < last_due + PATIENCE,
                "{} of {count} entries were final after {PATIENCE:?}",
                millis.len()
            );
            continue;
        };
        let block = block.context("the ledger stopped")?;
        let now = Instant::now();
        for (id, _) in &block.entries {
            if let Some(place) = places.get(id) {
                let due = from + each * *place;
                millis.push(now.saturating_duration_since(due).as_secs_f64() * 1e3);
            }
        }
    }
    Ok(millis)
}
