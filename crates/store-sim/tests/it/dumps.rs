use commonware_runtime::{Runner as _, Supervisor as _, deterministic::Runner};
use store::{Batch, DumpError, Order, Range, Store, Table};
use store_sim::SimStore;

const TABLES: [Table; 2] = [Table::new("a"), Table::new("b")];

#[test]
fn a_dump_makes_the_same_store_and_a_bad_one_an_empty_store() {
    Runner::default().start(|context| async move {
        let one = SimStore::open(context.child("one"), "one").await.unwrap();
        for n in 0..200u32 {
            let key = n.to_be_bytes();
            let length = usize::try_from(n * 61).unwrap();
            let batch = Batch::new()
                .put(TABLES[0], key, vec![1; length])
                .put(TABLES[1], key, "v");
            one.commit(batch.delete(TABLES[1], (n / 2).to_be_bytes()))
                .await
                .unwrap();
        }
        let (dump, written) = one.export(Vec::new()).await.unwrap();

        let import =
            async |bytes: &[u8]| SimStore::import(context.child("import"), "two", bytes).await;
        assert!(matches!(
            import(&dump[..dump.len() - 1]).await,
            Err(DumpError::Truncated)
        ));
        let mut altered = dump.clone();
        altered[dump.len() / 2] ^= 1;
        assert!(import(&altered).await.is_err());
        assert_eq!(import(&dump).await.unwrap(), written);
        assert!(matches!(import(&dump).await, Err(DumpError::NotEmpty)));

        let two = SimStore::open(context.child("two"), "two").await.unwrap();
        for table in TABLES {
            let all = async |store: &SimStore<_>| {
                store
                    .range(table, Range::all(), usize::MAX, Order::Ascending)
                    .await
                    .unwrap()
            };
            assert!(all(&one).await == all(&two).await);
        }
        let (again, _) = two.export(Vec::new()).await.unwrap();
        assert!(again == dump);
    });
}
