//! Crashes between durable steps: nothing acknowledged is lost, nothing happens twice.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use commonware_runtime::{Runner as _, Supervisor, deterministic};
use consensus::network::Lookup;
use node::consent_change::{ConsentChange, ConsentDesk};
use node::disclosure::PeriodProof;
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::Fetch;
use node::subject::{SubjectQuery, Wait};
use node::{
    Category, DisclosureId, Error, Handle, Node, Purpose, RecordId, Selection, SubjectId, verify,
};
use store::{Batch, DumpError, Order, Range, Store as Port, Table, dump};

use crate::disclosures::{proof, trail};
use crate::world::{Context, STORED, Store, World, config, phenopacket, run};

/// A store that dies at its n-th commit: done or not, the caller does not learn it, and nothing more works.
#[derive(Clone)]
struct Mortal {
    inner: Store,
    left: Arc<AtomicU64>,
    applies: bool,
}

const DEAD: u64 = 0;

impl Mortal {
    fn alive(&self) -> Result<(), store::Error> {
        match self.left.load(Ordering::SeqCst) {
            DEAD => Err(store::Error::Closed),
            _ => Ok(()),
        }
    }
}

impl Port for Mortal {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, store::Error> {
        self.alive()?;
        self.inner.get(table, key).await
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, store::Error> {
        self.alive()?;
        self.inner.range(table, range, limit, order).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), store::Error> {
        self.alive()?;
        if self.left.fetch_sub(1, Ordering::SeqCst) > 1 {
            return self.inner.commit(batch).await;
        }
        if self.applies {
            self.inner.commit(batch).await?;
        }
        Err(store::Error::Closed)
    }

    fn export<W: Write + Send + 'static>(
        &self,
        sink: W,
    ) -> impl Future<Output = Result<(W, dump::Summary), DumpError>> + Send {
        self.inner.export(sink)
    }
}

/// A world whose node dies at a commit and is started again.
pub(crate) struct Fragile {
    pub(crate) world: World,
    pub(crate) left: Arc<AtomicU64>,
    pub(crate) deaths: u64,
    starts: u64,
}

pub(crate) const FOREVER: u64 = 1 << 60;

impl Fragile {
    /// A node that dies at its n-th commit.
    pub(crate) async fn new(context: Context, nth: u64, applies: bool) -> Self {
        Self::of(World::founded(context).await, nth, applies).await
    }

    /// The same around a world that was founded and not started.
    pub(crate) async fn of(world: World, nth: u64, applies: bool) -> Self {
        let mut fragile = Self {
            world,
            left: Arc::new(AtomicU64::new(nth)),
            deaths: 0,
            starts: 0,
        };
        fragile.start(applies).await;
        fragile
    }

    /// Starts the node; if it dies while it starts, it is started again, for good.
    pub(crate) async fn start(&mut self, applies: bool) {
        loop {
            let world = &self.world;
            let keychain = world.keychain();
            let seed = keychain.identity().validator_seed;
            let config = world.node_config();
            let network = Lookup::new(&seed, config.listen, Vec::new()).unwrap();
            let store = Mortal {
                inner: world.store.clone(),
                left: self.left.clone(),
                applies,
            };
            self.starts += 1;
            let context = world
                .context
                .child("fragile")
                .with_attribute("n", self.starts);
            let node =
                Node::start_with(world.ambient(), context, config, network, store, keychain).await;
            match node {
                Ok(node) => {
                    self.world.node = Some(node);
                    return;
                }
                Err(_) if self.is_dead() => self.revive(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == DEAD
    }

    fn revive(&mut self) {
        self.deaths += 1;
        self.left.store(FOREVER, Ordering::SeqCst);
    }

    pub(crate) async fn recover(&mut self) {
        self.world.node.take().unwrap().crash().await;
        self.revive();
        self.start(true).await;
    }

    /// Does something until it is acknowledged, over the death of the node.
    pub(crate) async fn acknowledged<T, F>(&mut self, act: impl Fn(&World, Handle) -> F) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        for _ in 0..100 {
            let done = act(&self.world, self.world.handle()).await;
            match done {
                Ok(done) => return done,
                Err(_) if self.is_dead() => self.recover().await,
                // The pump's own death is noticed a moment later.
                Err(Error::Storage { .. } | Error::Unavailable(_)) => {
                    self.world.sleep_ms(100).await
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("never acknowledged");
    }

    pub(crate) async fn sleep_ms(&mut self, duration_ms: u64) {
        for _ in 0..duration_ms / 500 {
            self.world.sleep_ms(500).await;
            if self.is_dead() {
                self.recover().await;
            }
        }
    }
}

/// What was acknowledged.
struct Acknowledged {
    subject: SubjectId,
    records: Vec<(RecordId, &'static str)>,
    disclosures: Vec<DisclosureId>,
    sequence: u64,
}

const CASES: [&str; 2] = ["case-1", "case-2"];

async fn story(fragile: &mut Fragile) -> Acknowledged {
    let opened = fragile
        .acknowledged(|world, handle| {
            let mut opening = world.opening(Wait::Durable);
            opening.client_key = Some("family".to_owned());
            async move { handle.subject_open(opening).await }
        })
        .await;
    let subject = opened.subject;
    let mut records = Vec::new();
    for case in CASES {
        let deposited = fragile
            .acknowledged(|world, handle| {
                let submission = world.phenopacket(subject, case);
                async move { handle.record_deposit(submission).await }
            })
            .await;
        records.push((deposited.records[0].record, case));
        fragile.sleep_ms(1_500).await;
    }
    let changed = fragile
        .acknowledged(|world, handle| {
            let change = ConsentDesk {
                caller: world.desk(),
                subject,
                expect_sequence: None,
                // Idempotent by what it says, not by a key: done twice it is still opted out.
                changes: vec![ConsentChange::OptOut(Purpose::Hqualimp)],
                wait: Wait::Durable,
            };
            async move { handle.consent_desk(change).await }
        })
        .await;
    let mut disclosures = Vec::new();
    let fetched = fragile
        .acknowledged(|world, handle| {
            let fetch = Fetch {
                caller: world.clinician(),
                purpose: Purpose::Treat,
                subject,
                selection: Selection::all([Category::Phenotype]),
                study: None,
                partial: false,
                version: None,
            };
            async move { handle.record_fetch(fetch).await }
        })
        .await;
    disclosures.push(fetched.disclosure);
    fragile.sleep_ms(45_000).await;
    Acknowledged {
        subject,
        records,
        disclosures,
        sequence: changed.sequence,
    }
}

/// Everything acknowledged is there, provable, and there once.
async fn check(fragile: &Fragile, acknowledged: &Acknowledged) {
    let (world, handle) = (&fragile.world, fragile.world.handle());
    let subject = acknowledged.subject;
    let query = SubjectQuery {
        caller: world.desk(),
        subject,
    };
    let status = handle.subject_status(query).await.unwrap();
    assert_eq!(status.records, CASES.len() as u64, "each deposit once");
    assert!(status.opening_matches);
    assert_eq!(status.final_sequence, Some(status.accepted_sequence));
    // A change that died before its answer may have been made twice; it was never lost.
    assert!(
        (acknowledged.sequence..=acknowledged.sequence + 1).contains(&status.accepted_sequence)
    );
    for (record, case) in &acknowledged.records {
        let query = ReceiptQuery {
            caller: world.clinician(),
            subject,
            record: *record,
            version: None,
            leaf: Some(STORED),
        };
        let ReceiptAnswer::Ready(receipt) = handle.receipt(query).await.unwrap() else {
            panic!("an acknowledged record has no receipt");
        };
        let content = phenopacket(case);
        verify::receipt(&receipt.bytes, &world.genesis, Some(&content)).unwrap();
    }
    let seen = trail(world, world.parent(subject, 1), subject).await;
    for disclosure in &acknowledged.disclosures {
        let found = seen.iter().find(|view| view.id == *disclosure).unwrap();
        let found = proof(world, world.parent(subject, 1), subject, found.period).await;
        assert!(
            matches!(found, PeriodProof::Ready { count, .. } if count > 0),
            "{found:?}"
        );
    }
    let metrics = handle.metrics(()).await.unwrap();
    let gauge = |name: &str| {
        metrics
            .samples
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .value
    };
    assert_eq!(gauge("ithaca_outbox_commitments"), 0);
    assert_eq!(gauge("ithaca_entries_dropped_total"), 0);
}

async fn dies_at(context: Context, nth: u64, applies: bool) -> u64 {
    let mut fragile = Fragile::new(context, nth, applies).await;
    let acknowledged = story(&mut fragile).await;
    // Who checks is logged: nothing dies of that.
    if !fragile.is_dead() {
        fragile.left.store(FOREVER, Ordering::SeqCst);
    }
    check(&fragile, &acknowledged).await;
    fragile.deaths
}

/// Commits that the story takes when nothing dies.
fn commits() -> u64 {
    run(80, |context| async move {
        let mut fragile = Fragile::new(context, FOREVER, true).await;
        let acknowledged = story(&mut fragile).await;
        let commits = FOREVER - fragile.left.load(Ordering::SeqCst);
        check(&fragile, &acknowledged).await;
        assert_eq!(fragile.deaths, 0);
        commits
    })
}

#[test]
fn a_death_at_any_commit_loses_and_doubles_nothing() {
    let commits = commits();
    assert!(commits > 20, "{commits}");
    let mut deaths = 0;
    for nth in 1..=commits {
        // Done and not answered, or not done: in turn.
        deaths += run(81 + nth, |context| dies_at(context, nth, nth % 2 == 0));
    }
    assert!(deaths + 3 >= commits, "{deaths} of {commits}");
}

#[test]
fn unsynced_bytes_may_vanish_with_the_machine() {
    let (left, checkpoint) =
        deterministic::Runner::new(config(500)).start_and_recover(|context| async move {
            let world = World::new(context).await;
            let subject = world.subject().await;
            let record = world.deposit(subject, "case-1").await.records[0].record;
            // The machine dies here: the deposit was answered, no batch was made of it.
            (
                world.genesis.clone(),
                world.id,
                world.custody.clone(),
                subject,
                record,
            )
        });
    let (genesis, id, custody, subject, record) = left;
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let world = World::reopened(context, genesis, id, custody).await;
        let again = world.deposit(subject, "case-1").await;
        assert!(!again.records[0].created && again.records[0].record == record);
        world.sleep_ms(30_000).await;
        let query = ReceiptQuery {
            caller: world.clinician(),
            subject,
            record,
            version: None,
            leaf: Some(STORED),
        };
        let answer = world.handle().receipt(query).await.unwrap();
        assert!(matches!(answer, ReceiptAnswer::Ready(_)));
    });
}
