//! Deliberate damage to a stopped node's store: each is named, and nothing but the ledger is ever removed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use node::break_glass::BreakGlassOpen;
use node::consent_change::ConsentChange;
use node::erase::Erase;
use node::fsck::{self, Remedy, Report};
use node::{Category, Purpose};
use store::{Batch, Order, Range, Store as _, Table};

use crate::members::Network;
use crate::world::{World, final_wait, run};

const VAULT: [&str; 20] = [
    "node",
    "consents",
    "consent-history",
    "index",
    "records",
    "idempotency",
    "openings",
    "index-generations",
    "postings",
    "outbox",
    "batches",
    "receipts",
    "entries",
    "entry-queue",
    "disclosures",
    "period-subjects",
    "periods",
    "audit",
    "worklist",
    "erasures",
];

type Rows = Vec<(Table, Bytes, Bytes)>;

async fn rows(world: &World, tables: impl IntoIterator<Item = Table>) -> Rows {
    let mut found = Vec::new();
    for table in tables {
        let all = world
            .store
            .range(table, Range::all(), 10_000, Order::Ascending);
        let all = all.await.unwrap().into_iter();
        found.extend(all.map(|(key, value)| (table, key, value)));
    }
    found
}

async fn put(world: &World, table: Table, key: &Bytes, value: Option<Bytes>) {
    let batch = match value {
        Some(value) => Batch::new().put(table, key, value),
        None => Batch::new().delete(table, key),
    };
    world.store.commit(batch).await.unwrap();
}

async fn check(world: &World) -> Report {
    let keychain = Some(world.keychain());
    let report = fsck::check(&world.store, &world.genesis, world.id, keychain, |_| {});
    report.await.unwrap()
}

/// A node that lived: families, records, reads, a grant, broken glass and an erasure; then it stopped.
async fn lived(world: &mut World) {
    let (kept, erased) = (world.subject().await, world.subject().await);
    for case in ["a", "b"] {
        world.deposit_final(kept, case).await;
        world.deposit_final(erased, case).await;
    }
    let grant = ConsentChange::GrantAdd(world.grant());
    world.consent(kept, grant, final_wait()).await.unwrap();
    let read = world.fetch(
        world.clinician(),
        Purpose::Treat,
        kept,
        &[Category::Phenotype],
    );
    read.await.unwrap();
    let broken = BreakGlassOpen {
        caller: world.emergency(),
        subject: kept,
        reason: node::Reason::new("unconscious").unwrap(),
        minutes: 30,
    };
    world.handle().break_glass_open(broken).await.unwrap();
    let erase = Erase {
        caller: world.officer(),
        subject: erased,
    };
    // The law keeps records of some; the rest is erased as families ask.
    world.handle().erase(erase).await.ok();
    world.sleep_ms(30_000).await;
    // This one is on its way still.
    world.deposit(kept, "c").await;
    world.node.take().unwrap().crash().await;
}

#[test]
fn what_lived_is_whole() {
    run(41, async |context| {
        let mut world = World::new(context).await;
        lived(&mut world).await;
        let report = check(&world).await;
        assert_eq!(report.faults, []);
        assert!(report.blocks > 5 && report.entries > 5 && report.records >= 3);
        assert!(report.rows.is_some_and(|rows| rows > 20));
        // Without the keys it says what it did not look at.
        let shut = fsck::check(&world.store, &world.genesis, world.id, None, |_| {});
        let shut = shut.await.unwrap();
        assert_eq!(
            (shut.rows, shut.records, shut.faults),
            (None, 0, Vec::new())
        );
        // Looking changes nothing.
        let tables = VAULT.map(Table::new).into_iter().chain(consensus::TABLES);
        let before = rows(&world, tables.clone()).await;
        check(&world).await;
        assert_eq!(before, rows(&world, tables).await);
    });
}

#[test]
fn a_flipped_byte_anywhere_is_named() {
    run(42, async |context| {
        let mut world = World::new(context).await;
        lived(&mut world).await;
        let tables = VAULT.map(Table::new).into_iter().chain(consensus::TABLES);
        let all = rows(&world, tables).await;
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (table, key, value) in all {
            let count = seen.entry(table.name()).or_default();
            *count += 1;
            // A few of each are enough; some rows hold nothing but their key.
            if *count > 6 || value.is_empty() {
                continue;
            }
            for at in [0, value.len() / 2, value.len() - 1] {
                let mut bytes = value.to_vec();
                bytes[at] ^= 0x10;
                // With a checksum that fits: the store itself finds nothing.
                put(&world, table, &key, Some(Bytes::from(bytes))).await;
                let keychain = Some(world.keychain());
                let report = fsck::check(&world.store, &world.genesis, world.id, keychain, |_| {});
                let report = match report.await {
                    Ok(report) => report,
                    // The row that says whose store it is.
                    Err(error) => {
                        assert!(table.name() == "node", "{table}: {error}");
                        continue;
                    }
                };
                let named: BTreeSet<&str> = report
                    .faults
                    .iter()
                    .map(|fault| fault.table.as_str())
                    .collect();
                let what = format!("{table} byte {at}: {:?}", report.faults);
                let related = match table.name() {
                    // What a row leads to is where it shows.
                    "records" => named.contains("index"),
                    "batches" => named.contains("index") || named.contains("batches"),
                    "ledger-headers" | "ledger-tip" => {
                        named.iter().any(|name| name.starts_with("ledger-"))
                    }
                    name => named.contains(name),
                };
                assert!(related, "{what}");
                let fetched = table.name().starts_with("ledger-");
                assert_eq!(report.needs_fetch(), fetched, "{what}");
                let remedy = if fetched {
                    Remedy::Fetch
                } else {
                    Remedy::Backup
                };
                assert!(
                    report.faults.iter().all(|fault| fault.remedy == remedy),
                    "{what}"
                );
                for fault in &report.faults {
                    let sentence = fault.to_string();
                    assert!(sentence.contains("; "), "{sentence}");
                    for secret in [crate::world::NAME, crate::world::FINDING] {
                        assert!(!sentence.contains(secret), "{sentence}");
                    }
                }
            }
            put(&world, table, &key, Some(value)).await;
        }
        for table in [
            "records",
            "index",
            "receipts",
            "batches",
            "entries",
            "disclosures",
            "periods",
        ] {
            assert!(
                seen.contains_key(table),
                "{table} was never tried: {seen:?}"
            );
        }
        assert_eq!(check(&world).await.faults, []);
    });
}

#[test]
fn what_is_missing_is_named() {
    run(43, async |context| {
        let mut world = World::new(context).await;
        lived(&mut world).await;
        for (gone, named) in [
            ("records", "index"),
            ("index", "records"),
            ("batches", "index"),
            ("receipts", "index"),
            ("entries", "batches"),
            ("consents", "index"),
        ] {
            let all = rows(&world, [Table::new(gone)]).await;
            assert!(!all.is_empty(), "{gone}");
            for (table, key, _) in &all {
                put(&world, *table, key, None).await;
            }
            let report = check(&world).await;
            let names: BTreeSet<&str> = report
                .faults
                .iter()
                .map(|fault| fault.table.as_str())
                .collect();
            assert!(names.contains(named), "{gone}: {names:?}");
            for (table, key, value) in all {
                put(&world, table, &key, Some(value)).await;
            }
        }
        assert_eq!(check(&world).await.faults, []);
    });
}

#[test]
fn a_damaged_ledger_is_removed_and_comes_back() {
    run(44, async |context| {
        let mut world = World::new(context).await;
        lived(&mut world).await;
        let headers = || rows(&world, [Table::new("ledger-headers")]);
        let before = headers().await;
        let vault = rows(&world, VAULT.map(Table::new)).await;
        let (table, key, _) = before[before.len() / 2].clone();
        put(&world, table, &key, Some(Bytes::from_static(b"damage"))).await;
        assert!(check(&world).await.needs_fetch());
        fsck::repair(&world.store).await.unwrap();
        assert_eq!(rows(&world, consensus::TABLES).await, []);
        assert_eq!(rows(&world, VAULT.map(Table::new)).await, vault);
        world.start().await;
        world.sleep_ms(20_000).await;
        // The same ledger, and the institution goes on signing for it.
        world.handle().log_checkpoint(()).await.unwrap();
        world.node.take().unwrap().crash().await;
        assert_eq!(check(&world).await.faults, []);
        let after = rows(&world, [Table::new("ledger-headers")]).await;
        assert_eq!(after[..before.len()], before);
    });
}

#[test]
fn a_member_whose_ledger_was_removed_gets_what_it_missed_from_its_peers() {
    run(45, async |context| {
        let mut network = Network::new(context).await;
        network.sleep_ms(20_000).await;
        network.members[3].node.take().unwrap().crash().await;
        let store = network.members[3].store.clone();
        fsck::repair(&store).await.unwrap();
        network.sleep_ms(60_000).await;
        network.start(3).await;
        network.sleep_ms(30_000).await;
        for index in [0, 3] {
            network.members[index].node.take().unwrap().crash().await;
        }
        let mut headers = Vec::new();
        for index in [0, 3] {
            let member = &network.members[index];
            let table = Table::new("ledger-headers");
            let rows = member
                .store
                .range(table, Range::all(), 10_000, Order::Ascending);
            headers.push(rows.await.unwrap());
            let id = member.card.institution.id;
            let report = fsck::check(&member.store, &network.genesis, id, None, |_| {});
            assert_eq!(report.await.unwrap().faults, []);
        }
        let shorter = headers[0].len().min(headers[1].len());
        assert!(shorter > 12, "{shorter}");
        assert!(headers[0].len() - shorter < 3 && headers[1].len() - shorter < 3);
        assert_eq!(headers[0][..shorter], headers[1][..shorter]);
    });
}
