//! What of subscriptions lies in the store, and who can read it.

use super::net::*;
use crate::crash::{FOREVER, Fragile};
use crate::world::{PASSPHRASE, World, run};
use bytes::Bytes;
use codec::{Domain, Reader, Value};
use keys::Secret;
use node::erase::Erase;
use node::fhir::SubscriptionId;
use node::record::{Content, Payload, Submission};
use node::subject::Wait;
use node::{Category, Millis, RecordId, SubjectId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{Store as _, dump};
use vault::custody::CustodyFile;
use vault::{Custody as _, Form, Projector, Settings, Vault};

/// Table, key and value, sealed or opened.
type Rows = Vec<(String, Bytes, Vec<u8>)>;

async fn rows(world: &World) -> Rows {
    let (bytes, _) = world.store.export(Vec::new()).await.unwrap();
    let mut rows = Rows::new();
    let read = dump::read(bytes.as_slice(), |row| {
        rows.push((row.table.to_owned(), row.key, row.value.to_vec()));
        Ok(())
    });
    read.unwrap();
    rows
}

/// Keys and plain values of all rows that open under the node's key.
fn opened_by_the_node(world: &World, rows: &Rows) -> Rows {
    let file = |name| world.custody.read(name).unwrap().unwrap();
    let root = keys::password_open(PASSPHRASE, &file(CustodyFile::RootKey)).unwrap();
    let root = Secret::from_bytes(root.as_slice().try_into().unwrap());
    let seal = root.derive(Domain::RootKey, b"identity");
    let identity = file(CustodyFile::Identity);
    let identity = keys::open(&seal, Domain::IdentitySeal.tag(), &identity).unwrap();
    let value: Value = codec::Decode::decode(&mut Reader::new(&identity)).unwrap();
    let seeds = match value {
        Value::Array(seeds) => seeds,
        Value::Map(seeds) => seeds.into_iter().map(|(_, seed)| seed).collect(),
        _ => panic!("an identity has seeds"),
    };
    let seeds = seeds.into_iter().filter_map(|seed| match seed {
        Value::Bytes(seed) => <[u8; 32]>::try_from(seed).ok(),
        _ => None,
    });
    let mut keys = Vec::new();
    for seed in seeds.map(Secret::from_bytes) {
        keys.push((seed.derive(Domain::RootKey, b"rows"), Domain::NodeSeal));
        keys.push((seed.derive(Domain::RootKey, b"outbox"), Domain::OutboxSeal));
    }
    let open = |(table, key, value): &(String, Bytes, Vec<u8>)| {
        let place = [world.id.as_bytes().as_slice(), table.as_bytes(), key];
        keys.iter().find_map(|(secret, domain)| {
            let plain = keys::open(secret, &keys::aad(*domain, &place), value).ok()?;
            Some((table.clone(), key.clone(), plain.to_vec()))
        })
    };
    rows.iter().filter_map(open).collect()
}

/// In which rows of which tables something is named.
fn naming(rows: &Rows, needle: &[u8]) -> Vec<String> {
    let hex = codec::hex::encode(needle);
    let holds = |bytes: &[u8]| {
        let is_at = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        is_at(needle) || is_at(hex.as_bytes())
    };
    rows.iter()
        .filter(|(_, key, plain)| holds(key) || holds(plain))
        .map(|(table, key, _)| format!("{table} {}", String::from_utf8_lossy(key)))
        // A commitment on its way to the ledger, and the subject's opening there, for every record alike.
        .filter(|row| {
            !["outbox ", "entries ", "receipts "]
                .iter()
                .any(|of| row.starts_with(of))
        })
        .collect()
}

fn of_table<'r>(rows: &'r Rows, table: &str) -> Vec<&'r (String, Bytes, Vec<u8>)> {
    rows.iter().filter(|(of, ..)| of == table).collect()
}

#[derive(Debug)]
struct NoProjector;

impl Projector for NoProjector {
    fn project(
        &self,
        _: &Form<'_>,
        _: &[(Category, u16)],
    ) -> Option<Vec<keys::Zeroizing<Vec<u8>>>> {
        None
    }
}

/// The vault beside a node that was stopped.
async fn vault(world: &World) -> Vault<crate::world::Store> {
    let settings = Settings::new(world.id, Arc::new(NoProjector));
    let opened = Vault::open(world.store.clone(), world.keychain(), settings);
    opened.await.unwrap()
}

codec::record! {
    struct OldDue {
        1 => items: Vec<OldNoted>,
    }
}

codec::record! {
    struct OldNoted {
        1 => item: OldItem,
        2 => of: BTreeSet<SubscriptionId>,
    }
}

codec::record! {
    struct OldItem {
        1 => subject: SubjectId,
        2 => record: RecordId,
        3 => version: u32,
    }
}

fn old_item(subject: SubjectId, record: &str) -> OldItem {
    OldItem {
        subject,
        record: record.parse().unwrap(),
        version: 1,
    }
}

async fn old_row(vault: &Vault<crate::world::Store>, name: &[&[u8]], value: &[u8]) {
    let mut entropy = |bytes: &mut [u8]| bytes.fill(7);
    let name = name.concat();
    let put = vault.node_row_put(&name, None, value, &mut entropy);
    put.await.unwrap();
}

#[test]
fn the_nodes_key_opens_nothing_of_what_waits() {
    run(316, |context| async move {
        let net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[DOWN; 4]);
        let record: RecordId = net.observe(&patient, "718-7", 41).await.parse().unwrap();
        // As it was noted, and as it waits after it was tried.
        for came in 0..3 {
            net.tried(came).await;
            let all = rows(&net.world).await;
            let opened = opened_by_the_node(&net.world, &all);
            assert!(opened.iter().any(|(_, _, plain)| {
                let plain = String::from_utf8_lossy(plain);
                plain.contains("Observation?code=718-7")
            }));
            assert_eq!(naming(&opened, record.as_bytes()), [""; 0]);
            assert_eq!(naming(&opened, subject.as_bytes()), [""; 0]);
            let waits = [of_table(&all, "noted"), of_table(&all, "waiting")].concat();
            assert_eq!(waits.len(), 1);
            assert!(waits[0].1.starts_with(subject.as_bytes()));
            // Nothing but whose it is can be told from its name.
            let names: Rows = waits.iter().map(|row| (*row).clone()).collect();
            assert_eq!(naming(&names, record.as_bytes()), [""; 0]);
            let id: SubscriptionId = id.parse().unwrap();
            assert_eq!(naming(&names, id.as_bytes()), [""; 0]);
        }

        // As it was in the former version: this search would have found it.
        let vault = vault(&net.world).await;
        let item = codec::to_vec(&old_item(subject, &record.to_string()));
        old_row(&vault, &[b"subscription/x/", &[1; 36]], &item).await;
        let opened = opened_by_the_node(&net.world, &rows(&net.world).await);
        assert_eq!(naming(&opened, record.as_bytes()).len(), 1);
        assert_eq!(naming(&opened, subject.as_bytes()).len(), 1);
    });
}

#[test]
fn an_erasure_takes_what_waits_with_it() {
    run(317, |context| async move {
        let mut net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let (_, other) = net.patient().await;
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[DOWN; 3]);
        net.observe(&patient, "718-7", 41).await;
        net.observe(&other, "718-7", 42).await;
        net.observe(&patient, "718-7", 43).await;
        net.tried(1).await;
        let erase = Erase {
            caller: net.world.officer(),
            subject,
        };
        net.world.handle().erase(erase).await.unwrap();
        let all = rows(&net.world).await;
        let left = [of_table(&all, "noted"), of_table(&all, "waiting")].concat();
        assert!(
            left.iter()
                .all(|(_, key, _)| !key.starts_with(subject.as_bytes()))
        );
        assert_eq!(left.len(), 1);
        // What others are told of goes on, over a restart too.
        net.restart().await;
        net.settled(4).await;
        assert!(net.fake.texts()[3].contains(r#""valueInteger":42"#));
        let texts = net.fake.texts().concat();
        assert!(!texts.contains(r#""valueInteger":43"#), "{texts}");
        assert!(net.read(&id).await.contains(r#""status":"active""#));
        assert_eq!(of_table(&rows(&net.world).await, "waiting").len(), 0);
    });
}

#[test]
fn what_waits_is_told_in_the_order_of_writing_after_a_restart() {
    run(318, |context| async move {
        let mut net = Net::new(context).await;
        let mut patients = Vec::new();
        for _ in 0..3 {
            patients.push(net.patient().await.1);
        }
        net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[DOWN]);
        for value in 0..7 {
            let patient = &patients[usize::try_from(value).unwrap() % 3];
            net.observe(patient, "718-7", 40 + value).await;
        }
        net.tried(1).await;
        net.restart().await;
        net.settled(8).await;
        for (value, text) in (40..).zip(&net.fake.texts()[1..]) {
            assert!(
                text.contains(&format!(r#""valueInteger":{value}"#)),
                "{text}"
            );
        }
    });
}

#[test]
fn what_waits_goes_with_its_subscription() {
    run(319, |context| async move {
        let mut net = Net::new(context).await;
        let (_, patient) = net.patient().await;
        let ends = net.subscribed("Observation?code=718-7", true).await;
        let stays = net.subscribed("Observation?code=718-7", true).await;
        net.fake.answers(&[DOWN, DOWN]);
        net.observe(&patient, "718-7", 41).await;
        net.tried(2).await;
        assert_eq!(of_table(&rows(&net.world).await, "waiting").len(), 2);
        net.subscribe(net.world.clinician(), delete(&ends))
            .await
            .unwrap();
        // At once, or when it is met at the start.
        net.restart().await;
        net.settled(3).await;
        let all = rows(&net.world).await;
        assert_eq!(of_table(&all, "waiting").len(), 0);
        assert_eq!(of_table(&all, "noted").len(), 0);
        assert!(net.read(&stays).await.contains(r#""status":"active""#));
    });
}

#[test]
fn what_waits_by_rows_of_the_former_version_is_told() {
    run(320, |context| async move {
        let mut net = Net::new(context).await;
        let (subject, patient) = net.patient().await;
        let (gone, erased) = net.patient().await;
        // Before anybody subscribes: nothing is noted of these.
        let mut records = Vec::new();
        for value in 41..44 {
            records.push(net.observe(&patient, "718-7", value).await);
        }
        let of_erased = observation(&erased, "718-7", 44);
        let of_erased = net.deposit(gone, &of_erased, Wait::Durable).await;
        let erase = Erase {
            caller: net.world.officer(),
            subject: gone,
        };
        net.world.handle().erase(erase).await.unwrap();
        let id = net.subscribed("Observation?code=718-7", true).await;
        net.settled(0).await;

        net.world.node.take().unwrap().crash().await;
        let vault = vault(&net.world).await;
        let id: SubscriptionId = id.parse().unwrap();
        let at = Millis::new(1_000).get().to_be_bytes();
        // One batch of three, of which the first was sorted, and the erased subject's.
        let queue: &[&[u8]] = &[b"subscription/q/", id.as_bytes(), &at, &[1; 8]];
        let place = (u32::MAX - 3).to_be_bytes();
        let item = codec::to_vec(&old_item(subject, &records[0]));
        old_row(&vault, &[&queue.concat(), &place], &item).await;
        let earlier = (u32::MAX - 4).to_be_bytes();
        let item = codec::to_vec(&old_item(gone, &of_erased));
        old_row(&vault, &[&queue.concat(), &earlier], &item).await;
        let items = records[1..].iter().map(|record| OldNoted {
            item: old_item(subject, record),
            of: BTreeSet::from([id]),
        });
        let due = OldDue {
            items: items.collect(),
        };
        let due = codec::to_vec(&due);
        old_row(&vault, &[b"subscription/d/", &at, &[1; 8]], &due).await;
        old_row(&vault, &[b"subscription/t/", id.as_bytes()], b"tried").await;
        drop(vault);

        let config = config(&net.world, &net.fake);
        net.world.start_with(config).await;
        net.settled(3).await;
        for (value, text) in (41..).zip(&net.fake.texts()) {
            assert!(
                text.contains(&format!(r#""valueInteger":{value}"#)),
                "{text}"
            );
        }
        let opened = opened_by_the_node(&net.world, &rows(&net.world).await);
        for old in ["d", "q", "t"] {
            let name = format!("nsubscription/{old}/");
            let left = opened
                .iter()
                .filter(|(_, key, _)| key.starts_with(name.as_bytes()));
            assert_eq!(left.count(), 0, "{name}");
        }
    });
}

/// Noted, sorted, logged, told and removed: whichever commit the node dies at, done or not, what was acknowledged is
/// told, and nothing is left of it.
#[test]
fn a_crash_at_any_commit_forgets_no_notification() {
    let mut deaths = 0;
    for (nth, applies) in (1..=12).flat_map(|nth| [(nth, true), (nth, false)]) {
        deaths += run(330 + nth, |context| async move {
            let net = Net::new(context).await;
            let (subject, patient) = net.patient().await;
            net.subscribed("Observation?code=718-7", true).await;
            net.settled(0).await;
            let mut world = net.world;
            world.node.take().unwrap().crash().await;
            world.subscriptions = config(&world, &net.fake).subscriptions;
            let mut fragile = Fragile::of(world, FOREVER, applies).await;
            fragile.left.store(nth, Ordering::SeqCst);
            let content = observation(&patient, "718-7", 41);
            let deposit = |world: &World, handle: node::Handle| {
                let submission = Submission {
                    caller: world.clinician(),
                    subject,
                    payload: Payload::FhirResource(Content::new(content.as_bytes().to_vec())),
                    record: None,
                    client_key: Some("one".to_owned()),
                    expect_version: None,
                    provenance: Default::default(),
                    wait: Wait::Durable,
                };
                async move { handle.record_deposit(submission).await }
            };
            fragile.acknowledged(deposit).await;
            fragile.sleep_ms(20_000).await;
            let texts = net.fake.texts();
            let told = texts
                .iter()
                .filter(|text| text.contains(r#""valueInteger":41"#));
            assert!(
                (1..=2).contains(&told.count()),
                "{nth} {applies}: {texts:?}"
            );
            let all = rows(&fragile.world).await;
            let left = [of_table(&all, "noted"), of_table(&all, "waiting")].concat();
            assert_eq!(left.len(), 0, "{nth} {applies}");
            fragile.deaths
        });
    }
    assert!(deaths >= 12, "{deaths}");
}
