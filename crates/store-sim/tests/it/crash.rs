//! Crashes at any point of a run whose writes and syncs fail now and then.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use commonware_runtime::{
    Runner as _, Spawner as _, Supervisor as _,
    deterministic::{
        Checkpoint, Config, Context, FaultConfig, PartialWriteMode, Runner, WriteConfig,
    },
};
use commonware_utils::{Probability, probability};
use futures::future::join_all;
use store::{Batch, Error, Expect, Order, Range, Store, Table};
use store_sim::SimStore;

const DATA: Table = Table::new("data");
const TWIN: Table = Table::new("twin");
const COMMITTERS: u8 = 5;
const ROUNDS: u64 = 5;

/// The last commit each committer saw acknowledged.
type Acked = Arc<Mutex<BTreeMap<u8, u64>>>;

fn value(committer: u8, n: u64) -> Vec<u8> {
    let length = usize::try_from(n * 397 % 9_000).unwrap();
    vec![committer ^ n.to_le_bytes()[0]; length]
}

/// A committer's `n`th commit: its rows share one fate. Old rows go, so that the log is compacted.
fn batch(committer: u8, n: u64) -> Batch {
    let slot = [committer, (n % 4).to_le_bytes()[0]];
    let count = |n: u64| n.to_be_bytes().to_vec();
    let expected = if n == 0 {
        Expect::Absent
    } else {
        Expect::Equals(count(n - 1).into())
    };
    Batch::new()
        .put(DATA, slot, value(committer, n))
        .expect(TWIN, [committer], expected)
        .put(TWIN, [committer], count(n))
}

async fn last(store: &SimStore<Context>, committer: u8) -> Option<u64> {
    let count = store.get(TWIN, &[committer]).await.unwrap()?;
    Some(u64::from_be_bytes(count.as_ref().try_into().unwrap()))
}

/// Every acknowledged commit is there, and nothing but whole commits.
async fn check(store: &SimStore<Context>, acked: &Acked, seed: u64) {
    let acked = acked.lock().unwrap().clone();
    let mut rows = 0;
    for committer in 0..COMMITTERS {
        let last = last(store, committer).await;
        let acked = acked.get(&committer).copied();
        assert!(
            last == acked || last == acked.map_or(Some(0), |n| Some(n + 1)),
            "seed {seed}: committer {committer} saw {acked:?}, found {last:?}"
        );
        for n in last.map_or(0..0, |last| last.saturating_sub(3)..last + 1) {
            let slot = [committer, (n % 4).to_le_bytes()[0]];
            let found = store.get(DATA, &slot).await.unwrap();
            assert!(
                found.as_deref() == Some(&value(committer, n)[..]),
                "seed {seed}: {slot:?}, {n}"
            );
            rows += 1;
        }
    }
    let found = store
        .range(DATA, Range::all(), usize::MAX, Order::Ascending)
        .await
        .unwrap();
    assert_eq!(found.len(), rows, "seed {seed}");
}

/// Commits until told that the storage failed; no commit succeeds after one failed.
async fn run(store: SimStore<Context>, committer: u8, acked: Acked, commits: u64) -> bool {
    let mut next = last(&store, committer).await.map_or(0, |last| last + 1);
    let mut failed = false;
    for _ in 0..commits {
        match store.commit(batch(committer, next)).await {
            Ok(()) => {
                assert!(!failed, "acknowledged after a failure");
                acked.lock().unwrap().insert(committer, next);
                next += 1;
            }
            Err(Error::Poisoned | Error::Io { .. }) => failed = true,
            Err(error) => panic!("{error}"),
        }
    }
    failed
}

fn faults(seed: u64, rate: Probability) -> FaultConfig {
    let mode = if seed.is_multiple_of(2) {
        PartialWriteMode::Prefix
    } else {
        PartialWriteMode::Subset
    };
    let retention_rate = match seed % 3 {
        0 => probability!(0.5),
        1 => Probability::new(99, 100).unwrap(),
        _ => Probability::new(999, 1_000).unwrap(),
    };
    FaultConfig::default()
        .write(WriteConfig {
            failure_rate: rate,
            retention_rate,
            mode,
        })
        .sync(rate)
}

#[test]
fn nothing_acknowledged_is_lost() {
    let mut failures = 0;
    for seed in 0..60 {
        let acked = Acked::default();
        let never = probability!(0.0);
        let config = || {
            let config = Config::default().with_seed(seed);
            config.with_storage_fault_config(faults(seed, never))
        };
        let mut checkpoint: Option<Checkpoint> = None;
        for round in 0..ROUNDS {
            let runner = match checkpoint.take() {
                Some(checkpoint) => Runner::from(checkpoint),
                None => Runner::new(config()),
            };
            let acked = Arc::clone(&acked);
            let (failed, next) = runner.start_and_recover(|context| async move {
                let store = SimStore::open(context.child("store"), "store")
                    .await
                    .unwrap();
                check(&store, &acked, seed).await;
                // After this storage fails now and then, until the crash.
                let rate = Probability::new(1 + seed % 5, 300).unwrap();
                *context.storage_fault_config().write() = faults(seed, rate);
                let committers = (0..COMMITTERS).map(|committer| {
                    let (store, acked) = (store.clone(), Arc::clone(&acked));
                    let commits = 10 + (seed * 7 + round * 13) % 120;
                    context
                        .child("committer")
                        .spawn(move |_| run(store, committer, acked, commits))
                });
                let failed = join_all(committers)
                    .await
                    .into_iter()
                    .any(|failed| failed.unwrap());
                *context.storage_fault_config().write() = faults(seed, probability!(0.0));
                failed
            });
            failures += u32::from(failed);
            checkpoint = Some(next);
        }
        Runner::from(checkpoint.unwrap()).start(|context| async move {
            let store = SimStore::open(context.child("store"), "store")
                .await
                .unwrap();
            check(&store, &acked, seed).await;
            assert!(
                !acked.lock().unwrap().is_empty(),
                "seed {seed} acknowledged nothing"
            );
        });
    }
    assert!(failures > 60, "only {failures} rounds met a failure");
}

/// The same seed makes the same run, byte for byte.
#[test]
fn a_seed_reproduces_its_run() {
    let audit = |seed| {
        Runner::seeded(seed).start(|context| async move {
            let store = SimStore::open(context.child("store"), "store")
                .await
                .unwrap();
            let committers = (0..COMMITTERS).map(|committer| {
                let store = store.clone();
                let acked = Acked::default();
                context
                    .child("committer")
                    .spawn(move |_| run(store, committer, acked, 40))
            });
            join_all(committers).await;
            (context.auditor().state(), context.storage_audit())
        })
    };
    assert_eq!(audit(7), audit(7));
}
