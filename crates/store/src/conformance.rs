//! The suite every implementation of the port passes.
//!
//! `run` takes a function that opens the store: the first call finds it empty, each later call
//! opens the same store again after every handle to it was dropped. It needs no runtime beyond
//! the one it is polled on. Failures panic, as tests do.

#![expect(
    clippy::unwrap_used,
    reason = "this module is test code, offered to other crates' tests"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;

use crate::{
    BATCH_MAX_BYTES, Batch, Error, Expect, KEY_MAX_BYTES, Order, Range, Store, Table, dump,
};

/// Runs every check.
///
/// # Panics
/// If the implementation breaks a promise of the port.
pub async fn run<S: Store>(mut open: impl AsyncFnMut() -> S) {
    let store = open().await;
    values(&store).await;
    expectations(&store).await;
    atomicity(&store).await;
    ranges(&store).await;
    deleted_ranges(&store).await;
    limits(&store).await;
    concurrent_increments(&store).await;
    concurrent_claims(&store).await;
    random_history(&store).await;
    let before = everything(&store).await;
    drop(store);

    let store = open().await;
    assert_eq!(
        everything(&store).await,
        before,
        "reopening changes nothing"
    );
    after_reopen(&store).await;
    let before = everything(&store).await;
    drop(store);

    let store = open().await;
    assert!(
        everything(&store).await == before,
        "nor does doing so twice"
    );
    dumps(&store).await;
}

const VALUES: Table = Table::new("values");
const EXPECTED: Table = Table::new("expected");
const ATOMIC: Table = Table::new("atomic");
const RANGED: Table = Table::new("ranged");
// Names that are prefixes of each other, so that tables cannot run into each other.
const RANGED_LESS: Table = Table::new("range");
const RANGED_MORE: Table = Table::new("ranged0");
const CUT: Table = Table::new("cut");
const LIMITS: Table = Table::new("limits");
const COUNTER: Table = Table::new("counter");
const CLAIMS: Table = Table::new("claims");
const HISTORY: Table = Table::new("history");
const TABLES: [Table; 11] = [
    VALUES,
    EXPECTED,
    ATOMIC,
    RANGED,
    RANGED_LESS,
    RANGED_MORE,
    CUT,
    LIMITS,
    COUNTER,
    CLAIMS,
    HISTORY,
];

async fn values(store: &impl Store) {
    let large: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    for value in [&b""[..], b"v", &[0; 5_000], &large] {
        assert_eq!(get(store, VALUES, b"k").await, None);
        commit(store, Batch::new().put(VALUES, b"k", value.to_vec())).await;
        assert!(
            get(store, VALUES, b"k").await.as_deref() == Some(value),
            "the value put"
        );
        commit(store, Batch::new().delete(VALUES, b"k")).await;
    }
    assert_eq!(get(store, VALUES, b"k").await, None);
    commit(store, Batch::new()).await;
    commit(store, Batch::new().delete(VALUES, b"never there")).await;

    // The last write to a key wins, whatever came before it in the batch.
    let batch = Batch::new()
        .put(VALUES, b"a", "1")
        .put(VALUES, b"a", "2")
        .delete(VALUES, b"b");
    commit(
        store,
        batch
            .put(VALUES, b"b", "3")
            .put(VALUES, b"c", "4")
            .delete(VALUES, b"c"),
    )
    .await;
    assert_eq!(get(store, VALUES, b"a").await.as_deref(), Some(&b"2"[..]));
    assert_eq!(get(store, VALUES, b"b").await.as_deref(), Some(&b"3"[..]));
    assert_eq!(get(store, VALUES, b"c").await, None);
}

async fn expectations(store: &impl Store) {
    let put = |value: &'static str| Batch::new().put(EXPECTED, b"k", value);
    let equals = |value: &'static str| Expect::Equals(Bytes::from_static(value.as_bytes()));
    let conflict = Err(Error::Conflict { table: EXPECTED });

    let refused = put("1").expect(EXPECTED, b"k", Expect::Present);
    assert_eq!(store.commit(refused).await, conflict);
    assert_eq!(
        store
            .commit(put("1").expect(EXPECTED, b"k", equals("1")))
            .await,
        conflict
    );
    assert_eq!(get(store, EXPECTED, b"k").await, None);

    commit(store, put("1").expect(EXPECTED, b"k", Expect::Absent)).await;
    assert_eq!(
        store
            .commit(put("2").expect(EXPECTED, b"k", Expect::Absent))
            .await,
        conflict
    );
    assert_eq!(
        store
            .commit(put("2").expect(EXPECTED, b"k", equals("0")))
            .await,
        conflict
    );
    assert_eq!(get(store, EXPECTED, b"k").await.as_deref(), Some(&b"1"[..]));

    commit(store, put("2").expect(EXPECTED, b"k", equals("1"))).await;
    commit(store, put("3").expect(EXPECTED, b"k", Expect::Present)).await;
    // Expectations see the state before the batch, wherever they stand in it.
    let own = Batch::new()
        .delete(EXPECTED, b"k")
        .expect(EXPECTED, b"k", equals("3"));
    commit(store, own).await;
    let own = put("4").expect(EXPECTED, b"k", Expect::Absent);
    commit(store, own).await;

    // A batch may only expect; all its expectations must hold.
    let all = Batch::new().expect(EXPECTED, b"k", equals("4"));
    commit(store, all.clone().expect(EXPECTED, b"none", Expect::Absent)).await;
    let one_fails = all.expect(EXPECTED, b"none", Expect::Present);
    assert_eq!(store.commit(one_fails).await, conflict);
    // The conflict names the table of the expectation that failed.
    let other = Batch::new().expect(EXPECTED, b"k", Expect::Present);
    let other = other.expect(ATOMIC, b"none", Expect::Present);
    assert_eq!(
        store.commit(other).await,
        Err(Error::Conflict { table: ATOMIC })
    );
}

async fn atomicity(store: &impl Store) {
    let mut batch = Batch::new();
    for i in 0..100u8 {
        batch = batch.put(ATOMIC, [i], vec![i; 100]);
    }
    let refused = batch.clone().expect(ATOMIC, b"missing", Expect::Present);
    assert_eq!(
        store.commit(refused).await,
        Err(Error::Conflict { table: ATOMIC })
    );
    assert!(
        rows(store, ATOMIC).await.is_empty(),
        "a refused batch leaves nothing behind"
    );

    // No reader ever sees a part of a batch.
    let reader = async {
        for _ in 0..50 {
            let seen = rows(store, ATOMIC).await.len();
            assert!(
                seen == 0 || seen == 100,
                "saw {seen} rows of a batch of 100"
            );
        }
    };
    let ((), ()) = futures::join!(commit(store, batch), reader);
    assert_eq!(rows(store, ATOMIC).await.len(), 100);
}

async fn ranges(store: &impl Store) {
    let keys: [&[u8]; 8] = [
        b"\0",
        b"a",
        b"a\0",
        b"a\xff",
        b"a\xff\xff",
        b"b",
        b"\xff",
        b"\xff\xff",
    ];
    let mut batch = Batch::new();
    for key in keys {
        batch = batch.put(RANGED, key, key.to_vec());
        batch = batch
            .put(RANGED_LESS, key, "other")
            .put(RANGED_MORE, key, "other");
    }
    commit(store, batch).await;

    let check = async |range: Range, expected: &[&[u8]]| {
        let mut expected: Vec<&[u8]> = expected.to_vec();
        for order in [Order::Ascending, Order::Descending] {
            let found = store
                .range(RANGED, range.clone(), 100, order)
                .await
                .unwrap();
            let found_keys: Vec<&[u8]> = found.iter().map(|(key, _)| key.as_ref()).collect();
            assert_eq!(found_keys, expected, "{order:?}");
            assert!(found.iter().all(|(key, value)| key == value));
            for limit in 0..=expected.len() {
                let some = store
                    .range(RANGED, range.clone(), limit, order)
                    .await
                    .unwrap();
                assert_eq!(some, found[..limit], "{order:?}, limit {limit}");
            }
            expected.reverse();
        }
    };
    check(Range::all(), &keys).await;
    check(Range::prefix(b""), &keys).await;
    check(Range::prefix(b"a"), &keys[1..5]).await;
    check(Range::prefix(b"a\xff"), &keys[3..5]).await;
    check(Range::prefix(b"\xff"), &keys[6..]).await;
    check(Range::prefix(b"c"), &[]).await;
    check(Range::from(b"b"), &keys[5..]).await;
    check(Range::between(b"a", b"b"), &keys[1..5]).await;
    check(Range::between(b"b", b"a"), &[]).await;
    check(Range::between(b"a", b"a"), &[]).await;
    check(Range::all().after(b"a").before(b"\xff"), &keys[2..6]).await;
    check(Range::all().after(b"\xff\xff"), &[]).await;

    // Pages in both orders meet every row once.
    for order in [Order::Ascending, Order::Descending] {
        let mut range = Range::all();
        let mut seen = Vec::new();
        loop {
            let page = store.range(RANGED, range.clone(), 3, order).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            range = match order {
                Order::Ascending => range.after(last),
                Order::Descending => range.before(last),
            };
            seen.extend(page.into_iter().map(|(key, _)| key));
        }
        if order == Order::Descending {
            seen.reverse();
        }
        assert_eq!(seen, keys);
    }
}

async fn deleted_ranges(store: &impl Store) {
    let fill = |prefix: &str| {
        (0..10u8).fold(Batch::new(), |batch, i| {
            batch.put(CUT, format!("{prefix}{i}"), vec![i])
        })
    };
    commit(store, fill("a").and(fill("b")).and(fill("c"))).await;
    commit(store, Batch::new().delete_range(CUT, Range::prefix("b"))).await;
    let kept = rows(store, CUT).await;
    assert_eq!(kept.len(), 20);
    assert!(kept.keys().all(|key| !key.starts_with(b"b")));

    // It takes what the batch itself wrote before it, and leaves what comes after.
    let batch = fill("d")
        .delete_range(CUT, Range::from("c5"))
        .put(CUT, b"d7", "kept");
    commit(store, batch).await;
    let kept = rows(store, CUT).await;
    assert_eq!(kept.len(), 16);
    assert_eq!(kept.get(&b"d7"[..]).map(AsRef::as_ref), Some(&b"kept"[..]));

    commit(
        store,
        Batch::new().delete_range(CUT, Range::between("z", "a")),
    )
    .await;
    assert_eq!(rows(store, CUT).await.len(), 16);
    let refused = Batch::new().delete_range(CUT, Range::all());
    let refused = refused.expect(CUT, b"none", Expect::Present);
    assert_eq!(
        store.commit(refused).await,
        Err(Error::Conflict { table: CUT })
    );
    assert_eq!(rows(store, CUT).await.len(), 16);
}

async fn limits(store: &impl Store) {
    let longest = vec![7; KEY_MAX_BYTES];
    commit(store, Batch::new().put(LIMITS, &longest, "v")).await;
    assert_eq!(
        get(store, LIMITS, &longest).await.as_deref(),
        Some(&b"v"[..])
    );

    let too_long = vec![7; KEY_MAX_BYTES + 1];
    let refused = [
        Batch::new().put(LIMITS, b"", "v"),
        Batch::new().put(LIMITS, &too_long, "v"),
        Batch::new().delete(LIMITS, &too_long),
        Batch::new().expect(LIMITS, &too_long, Expect::Absent),
        Batch::new().put(LIMITS, b"k", vec![0; BATCH_MAX_BYTES]),
    ];
    for batch in refused {
        let refusal = store.commit(batch.put(LIMITS, b"with", "it")).await;
        assert!(
            matches!(refusal, Err(Error::TooLarge { .. })),
            "{refusal:?}"
        );
    }
    assert_eq!(rows(store, LIMITS).await.len(), 1);
    assert_eq!(get(store, LIMITS, b"").await, None);
    assert_eq!(get(store, LIMITS, &too_long).await, None);
}

/// Sixteen committers increment one counter by compare-and-set: none is lost.
async fn concurrent_increments(store: &impl Store) {
    commit(
        store,
        Batch::new().put(COUNTER, b"n", 0u64.to_be_bytes().to_vec()),
    )
    .await;
    join_all((0..16u8).map(|me| async move {
        let mut done = 0u8;
        while done < 5 {
            let seen = get(store, COUNTER, b"n").await.unwrap();
            let next = u64::from_be_bytes(seen.as_ref().try_into().unwrap()) + 1;
            let batch = Batch::new()
                .expect(COUNTER, b"n", Expect::Equals(seen))
                .put(COUNTER, b"n", next.to_be_bytes().to_vec())
                .put(COUNTER, [b'd', me, done], next.to_be_bytes().to_vec());
            match store.commit(batch).await {
                Ok(()) => done += 1,
                Err(Error::Conflict { table: COUNTER }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }))
    .await;
    let n = get(store, COUNTER, b"n").await.unwrap();
    assert_eq!(n.as_ref(), 80u64.to_be_bytes());
    let mut taken: Vec<Bytes> = rows(store, COUNTER).await.into_values().collect();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 80, "every increment took its own number");
}

/// Of many batches that expect the same key to be absent, exactly one happens.
async fn concurrent_claims(store: &impl Store) {
    for round in 0..10u8 {
        let claims = (0..16u8).map(|me| {
            let batch =
                Batch::new()
                    .put(CLAIMS, [round], vec![me])
                    .put(CLAIMS, [round, me], "mine");
            store.commit(batch.expect(CLAIMS, [round], Expect::Absent))
        });
        let outcomes = join_all(claims).await;
        let won: Vec<usize> = (0..16).filter(|&me| outcomes[me].is_ok()).collect();
        assert_eq!(won.len(), 1);
        let lost = Err(Error::Conflict { table: CLAIMS });
        assert_eq!(
            outcomes.iter().filter(|&outcome| *outcome == lost).count(),
            15
        );
        let owner = get(store, CLAIMS, &[round]).await.unwrap();
        assert_eq!(usize::from(owner[0]), won[0]);
        let range = Range::prefix([round]).after([round]);
        let marks = store
            .range(CLAIMS, range, 100, Order::Ascending)
            .await
            .unwrap();
        assert_eq!(marks.len(), 1);
        assert_eq!(usize::from(marks[0].0[1]), won[0]);
    }
}

/// A long random history leaves what the same history leaves in an ordered map.
async fn random_history(store: &impl Store) {
    let mut model = BTreeMap::new();
    let mut state = 0x5eed_u64;
    let mut next = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..300 {
        let mut batch = Batch::new();
        for _ in 0..next(6) {
            let key = next(200).to_be_bytes();
            if next(3) == 0 {
                batch = batch.delete(HISTORY, key);
                model.remove(&key);
            } else {
                let length = usize::try_from(next(2) * next(9_000)).unwrap();
                let value = Bytes::from(vec![u8::try_from(next(256)).unwrap(); length]);
                batch = batch.put(HISTORY, key, value.clone());
                model.insert(key, value);
            }
        }
        commit(store, batch).await;
    }
    let expected: BTreeMap<Bytes, Bytes> = model
        .into_iter()
        .map(|(key, value)| (Bytes::copy_from_slice(&key), value))
        .collect();
    assert!(
        rows(store, HISTORY).await == expected,
        "the history left other rows"
    );
}

async fn after_reopen(store: &impl Store) {
    let claim = Batch::new()
        .put(CLAIMS, [0], "again")
        .expect(CLAIMS, [0], Expect::Absent);
    assert_eq!(
        store.commit(claim).await,
        Err(Error::Conflict { table: CLAIMS })
    );
    commit(
        store,
        Batch::new()
            .put(VALUES, b"after", "reopening")
            .delete(VALUES, b"a"),
    )
    .await;
    assert_eq!(
        get(store, VALUES, b"after").await.as_deref(),
        Some(&b"reopening"[..])
    );
    assert_eq!(get(store, VALUES, b"a").await, None);
}

async fn dumps(store: &impl Store) {
    let (bytes, summary) = store.export(Vec::new()).await.unwrap();
    let mut found: BTreeMap<String, BTreeMap<Bytes, Bytes>> = BTreeMap::new();
    let read = dump::read(bytes.as_slice(), |row| {
        let table = found.entry(row.table.to_owned()).or_default();
        assert!(
            table.insert(row.key, row.value).is_none(),
            "a row occurs once"
        );
        Ok(())
    });
    assert_eq!(read.unwrap(), summary);
    let expected = everything(store).await;
    let expected: BTreeMap<String, BTreeMap<Bytes, Bytes>> = expected
        .into_iter()
        .map(|(table, rows)| (table.name().to_owned(), rows))
        .collect();
    assert!(found == expected, "the dump holds other rows");
}

async fn commit(store: &impl Store, batch: Batch) {
    store.commit(batch).await.unwrap();
}

async fn get(store: &impl Store, table: Table, key: &[u8]) -> Option<Bytes> {
    store.get(table, key).await.unwrap()
}

async fn rows(store: &impl Store, table: Table) -> BTreeMap<Bytes, Bytes> {
    let rows = store
        .range(table, Range::all(), usize::MAX, Order::Ascending)
        .await
        .unwrap();
    rows.into_iter().collect()
}

async fn everything(store: &impl Store) -> BTreeMap<Table, BTreeMap<Bytes, Bytes>> {
    let mut found = BTreeMap::new();
    for table in TABLES {
        let rows = rows(store, table).await;
        assert!(!rows.is_empty(), "{table}");
        found.insert(table, rows);
    }
    found
}
