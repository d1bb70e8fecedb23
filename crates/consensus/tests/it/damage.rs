//! Damage to a stored ledger is found and named, row by row, and a ledger that was removed comes back.

use std::collections::BTreeSet;

use bytes::Bytes;
use commonware_runtime::{Runner, deterministic};
use consensus::check::{LedgerCheck, check, ledger_remove, replay};
use ledger::Genesis;
use ledger::log::leaf_hash;

use crate::cluster::{Cluster, Context};
use crate::fixture::Fixture;
use crate::memory::Memory;

/// A ledger of some epochs on a disk of its own.
async fn written(context: &Context, cluster: &Cluster) -> Memory {
    let store = Memory::default();
    let node = cluster.start(0, &store).await;
    for number in 0..30 {
        let id = node.submit(&cluster.fixture.entry(0, number)).await;
        node.wait_for(&id, context).await;
    }
    let height = node.ledger.tip().height;
    node.wait_height(height + 1, context).await;
    node.crash().await;
    store
}

async fn found(store: &Memory, genesis: &Genesis) -> LedgerCheck {
    check(store, genesis, |_, _| {}).await.unwrap()
}

fn names(check: &LedgerCheck) -> BTreeSet<&'static str> {
    check
        .faults
        .iter()
        .map(|fault| fault.table.name())
        .collect()
}

#[test]
fn what_is_whole_is_whole() {
    deterministic::Runner::seeded(31).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = Memory::default();
        let nothing = found(&store, &genesis).await;
        assert_eq!(nothing, LedgerCheck::default());
        let store = written(&context, &cluster).await;
        let whole = found(&store, &genesis).await;
        assert_eq!(whole.faults, []);
        assert_eq!(whole.entries, 30);
        assert!(whole.blocks > 6 && whole.certificates >= whole.blocks / 5);

        let mut blocks = Vec::new();
        let replayed = replay(&store, &genesis, |block| blocks.push(block))
            .await
            .unwrap();
        assert_eq!(replayed.check.faults, []);
        assert_eq!(replayed.check.entries, 30);
        assert_eq!(blocks.len() as u64, whole.blocks);
        assert!(blocks.iter().map(|block| block.height).eq(0..whole.blocks));
        let batches: u64 = blocks
            .iter()
            .filter_map(|b| b.entries.get("RecordBatch"))
            .sum();
        assert_eq!(batches, 30, "{:?}", blocks[1].entries);
        assert!(replayed.final_height + 1 >= replayed.height);
        assert_eq!(replayed.log_size, 30 + whole.blocks);

        // Another network's ledger is not this one's.
        let other = Fixture::new(2, 1, 5).genesis;
        assert!(names(&found(&store, &other).await).contains("ledger-headers"));
        let replayed = replay(&store, &other, |_| {}).await.unwrap();
        assert!(names(&replayed.check).contains("ledger-headers"));
    });
}

#[test]
fn every_changed_or_missing_row_is_named() {
    deterministic::Runner::seeded(32).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = written(&context, &cluster).await;
        let rows = store.rows();
        let tip = found(&store, &genesis).await.blocks - 1;
        let mut tables = BTreeSet::new();
        for ((table, key), value) in rows {
            let name = table.name();
            tables.insert(name);
            let flipped = |at: usize| {
                let mut bytes = value.to_vec();
                bytes[at] ^= 1;
                Some(Bytes::from(bytes))
            };
            let height = || u64::from_be_bytes(key[..].try_into().unwrap());
            for change in [
                flipped(0),
                flipped(value.len() - 1),
                flipped(value.len() / 2),
                None,
            ] {
                // Few blocks must have a certificate of their own: a later one makes them final.
                let is_optional = name == "ledger-certificates"
                    && (height() == tip || !genesis.parameters.is_epoch_last(height()));
                if change.is_none() && is_optional {
                    continue;
                }
                let is_gone = change.is_none();
                store.set(table, &key, change);
                let check = found(&store, &genesis).await;
                let what = format!("{name} {key:?}: {:?}", check.faults);
                // Of the last header nothing but the log and the state tell, and they may be the wrong ones.
                let is_last = name == "ledger-headers" && height() == tip && !is_gone;
                let blamed = names(&check);
                assert!(
                    blamed.contains(name) || is_last && !blamed.is_empty(),
                    "{what}"
                );
                assert!(check.faults.len() < 40, "{what}");
                // The rest of the ledger is not blamed, where one row says it all.
                if matches!(
                    name,
                    "ledger-tiles" | "ledger-certificates" | "ledger-index"
                ) {
                    assert_eq!(names(&check).len(), 1, "{what}");
                }
                let replayed = replay(&store, &genesis, |_| {}).await.unwrap();
                let read = matches!(name, "ledger-headers" | "ledger-entries");
                let signed = name == "ledger-certificates" && !is_gone;
                if read || signed {
                    assert!(!replayed.check.faults.is_empty(), "{what}");
                }
            }
            store.set(table, &key, Some(value));
        }
        assert_eq!(tables.len(), consensus::TABLES.len());
        assert_eq!(found(&store, &genesis).await.faults, []);
    });
}

#[test]
fn rows_of_no_block_are_named() {
    deterministic::Runner::seeded(33).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = written(&context, &cluster).await;
        for table in consensus::TABLES {
            let key = match table.name() {
                "ledger-tip" => continue,
                "ledger-tiles" => Bytes::from(vec![1, 0, 0, 0, 0, 0, 0, 0, 9]),
                "ledger-index" => Bytes::from(vec![7; 32]),
                _ => Bytes::copy_from_slice(&1_000_000_u64.to_be_bytes()),
            };
            store.set(table, &key, Some(Bytes::from_static(b"something of a row")));
            let check = found(&store, &genesis).await;
            assert_eq!(names(&check), [table.name()].into(), "{:?}", check.faults);
            store.set(table, &key, None);
        }
    });
}

/// A number that is damaged sends nobody through what never was.
#[test]
fn impossible_numbers_end() {
    deterministic::Runner::seeded(36).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = written(&context, &cluster).await;
        for ((table, key), value) in store.rows() {
            let change = match table.name() {
                "ledger-tip" => Bytes::copy_from_slice(&(u64::MAX - 1).to_be_bytes()),
                "ledger-headers" => {
                    let mut header: ledger::Header = codec::from_slice(&value).unwrap();
                    header.log_size = u64::MAX - 1;
                    Bytes::from(header.leaf())
                }
                _ => continue,
            };
            store.set(table, &key, Some(change));
            assert!(names(&found(&store, &genesis).await).contains(table.name()));
            let replayed = replay(&store, &genesis, |_| {}).await.unwrap();
            assert!(!replayed.check.faults.is_empty());
            store.set(table, &key, Some(value));
        }
    });
}

/// Whoever can write the disk can make entries, tiles and header agree; the certificate does not.
#[test]
fn a_rewritten_tip_is_found() {
    deterministic::Runner::seeded(34).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = written(&context, &cluster).await;
        let rows = store.rows();
        let ((table, key), value) = rows
            .iter()
            .rfind(|((table, _), _)| table.name() == "ledger-headers")
            .unwrap();
        let mut header: ledger::Header = codec::from_slice(value).unwrap();
        header.time_ms += 1;
        store.set(*table, key, Some(Bytes::from(header.leaf())));
        // The log's last leaf, in the last part of the only tile.
        let ((tiles, place), hashes) = rows
            .iter()
            .rfind(|((table, _), _)| table.name() == "ledger-tiles")
            .unwrap();
        let mut hashes = hashes.to_vec();
        let at = hashes.len() - 32;
        hashes[at..].copy_from_slice(leaf_hash(&header.leaf()).as_bytes());
        store.set(*tiles, place, Some(Bytes::from(hashes)));
        let check = found(&store, &genesis).await;
        assert_eq!(
            names(&check),
            ["ledger-certificates"].into(),
            "{:?}",
            check.faults
        );
    });
}

#[test]
fn a_removed_ledger_is_built_again() {
    deterministic::Runner::seeded(35).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(1, 1, 5)).await;
        let genesis = cluster.fixture.genesis.clone();
        let store = written(&context, &cluster).await;
        let before = found(&store, &genesis).await;
        let header = |store: &Memory| {
            let rows = store.rows();
            let headers = rows
                .iter()
                .filter(|((table, _), _)| table.name() == "ledger-headers");
            headers.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let headers = header(&store);
        ledger_remove(&store).await.unwrap();
        assert_eq!(store.rows().len(), 0);
        let node = cluster.start(0, &store).await;
        node.wait_height(before.blocks - 1, &context).await;
        node.crash().await;
        let after = found(&store, &genesis).await;
        assert_eq!(after.faults, []);
        assert!(after.entries >= before.entries);
        assert!(header(&store).starts_with(&headers));
    });
}
