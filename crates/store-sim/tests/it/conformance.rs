use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use futures::{FutureExt as _, poll};
use store::{Batch, Store, Table};
use store_sim::SimStore;

const T: Table = Table::new("t");

#[test]
fn conforms() {
    for seed in 0..3 {
        deterministic::Runner::seeded(seed).start(|context| async move {
            let open = async || {
                SimStore::open(context.child("store"), "store")
                    .await
                    .unwrap()
            };
            store::conformance::run(open).await;
        });
    }
}

#[test]
fn two_partitions_are_two_stores_and_one_is_opened_once() {
    deterministic::Runner::default().start(|context| async move {
        let one = SimStore::open(context.child("one"), "one").await.unwrap();
        let two = SimStore::open(context.child("two"), "two").await.unwrap();
        one.commit(Batch::new().put(T, "k", "one")).await.unwrap();
        assert_eq!(two.get(T, b"k").await.unwrap(), None);
        assert!(SimStore::open(context.child("again"), "one").await.is_err());
        let clone = one.clone();
        drop(one);
        assert!(SimStore::open(context.child("again"), "one").await.is_err());
        drop(clone);
        let one = SimStore::open(context.child("again"), "one").await.unwrap();
        assert_eq!(
            one.get(T, b"k").await.unwrap().as_deref(),
            Some(&b"one"[..])
        );
    });
}

/// Going away while a commit is under way neither stops it nor breaks the store.
#[test]
fn abandoned_commits_hold_nobody_up() {
    deterministic::Runner::default().start(|context| async move {
        let store = SimStore::open(context.child("store"), "store")
            .await
            .unwrap();
        for n in 0..50u8 {
            let mut abandoned = store.commit(Batch::new().put(T, [n, 0], "v")).boxed();
            let _ = poll!(&mut abandoned);
            drop(abandoned);
            store
                .commit(Batch::new().put(T, [n, 1], "v"))
                .await
                .unwrap();
            assert!(store.get(T, &[n, 0]).await.unwrap().is_some());
        }
    });
}
