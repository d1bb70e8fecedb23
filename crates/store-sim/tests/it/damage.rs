use std::collections::BTreeMap;

use bytes::Bytes;
use commonware_runtime::{
    Blob as _, ReadOptions, Runner as _, Storage as _, Supervisor as _, WriteOptions,
    deterministic::{Context, Runner},
};
use store::{Batch, Order, Range, Store, Table};
use store_sim::SimStore;

const T: Table = Table::new("t");

async fn open(context: &Context) -> Option<SimStore<Context>> {
    SimStore::open(context.child("store"), "store").await.ok()
}

async fn rows(store: &SimStore<Context>) -> Option<BTreeMap<Bytes, Bytes>> {
    let rows = store
        .range(T, Range::all(), usize::MAX, Order::Ascending)
        .await
        .ok()?;
    Some(rows.into_iter().collect())
}

async fn log_bytes(context: &Context, name: &[u8]) -> Vec<u8> {
    let (blob, size) = context.open("store", name).await.unwrap();
    let length = usize::try_from(size).unwrap();
    blob.read_at(0, length, ReadOptions::default())
        .await
        .unwrap()
        .freeze()
        .coalesce()
        .into()
}

async fn write(context: &Context, name: &[u8], bytes: Vec<u8>) {
    let (blob, _) = context.open("store", name).await.unwrap();
    blob.resize(0).await.unwrap();
    blob.write_at(0, bytes, WriteOptions::default())
        .await
        .unwrap();
    blob.sync().await.unwrap();
}

/// A few rows, some written before a compaction and some after; the rows after each commit since
/// then, the newest last.
async fn fill(context: &Context, compacted: bool) -> Vec<BTreeMap<Bytes, Bytes>> {
    let store = open(context).await.unwrap();
    if compacted {
        // Dead weight, so that the next commit rewrites the log.
        store
            .commit(Batch::new().put(T, "big", vec![7; 300_000]))
            .await
            .unwrap();
        store
            .commit(Batch::new().put(T, "big", "small"))
            .await
            .unwrap();
        store
            .commit(Batch::new().put(T, "other", "row"))
            .await
            .unwrap();
    }
    let mut states = Vec::new();
    for n in 0..6u8 {
        let batch = Batch::new()
            .put(T, [n], vec![n; 40])
            .delete(T, [n.wrapping_sub(3)]);
        store.commit(batch).await.unwrap();
        states.push(rows(&store).await.unwrap());
    }
    states
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless() {
    for compacted in [false, true] {
        Runner::default().start(|context| async move {
            let states = fill(&context, compacted).await;
            let names = context.scan("store").await.unwrap();
            assert_eq!(names.len(), 1, "older generations are removed");
            let generation = u64::from_be_bytes(names[0].as_slice().try_into().unwrap());
            assert_eq!(generation > 0, compacted);
            let name = names[0].clone();
            let intact = log_bytes(&context, &name).await;
            assert!(intact.len() < 5_000);
            let last_record = intact
                .windows(8)
                .rposition(|bytes| bytes == b"ithlog1\n")
                .unwrap();
            let mut refused = 0;
            for at in 0..intact.len() {
                let mut flipped = intact.clone();
                flipped[at] ^= 0x20;
                write(&context, &name, flipped).await;
                let Some(store) = open(&context).await else {
                    assert!(at < last_record);
                    refused += 1;
                    write(&context, &name, intact.clone()).await;
                    continue;
                };
                // Damage to the last record cannot be told from a torn write.
                let expected = if at < last_record {
                    &states[5]
                } else {
                    &states[4]
                };
                assert!(rows(&store).await.as_ref() == Some(expected), "byte {at}");
                drop(store);
                write(&context, &name, intact.clone()).await;
            }
            assert_eq!(refused, last_record, "every other byte matters");
            let store = open(&context).await.unwrap();
            assert_eq!(rows(&store).await.as_ref(), states.last());
        });
    }
}
