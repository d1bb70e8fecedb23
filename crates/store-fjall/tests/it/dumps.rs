use std::{fs, io, path::Path};

use futures::executor::block_on;
use store::{Batch, DumpError, Order, Range, Store, Table};
use store_fjall::FjallStore;

use crate::rows::{all, small, value};

const TABLES: [Table; 3] = [Table::new("a"), Table::new("b"), Table::new("bb")];

fn filled(folder: &Path) -> FjallStore {
    let store = FjallStore::open(folder, &small()).unwrap();
    for n in 0..120u32 {
        let batch = TABLES.iter().fold(Batch::new(), |batch, &table| {
            let key = n.to_be_bytes();
            batch.put(table, key, value(table, &key, (n as usize % 7) * 1_500))
        });
        block_on(store.commit(batch)).unwrap();
    }
    block_on(store.commit(Batch::new().delete_range(TABLES[1], Range::from([0, 0, 0, 50]))))
        .unwrap();
    store
}

#[test]
fn a_dump_makes_the_same_store() {
    let folders = tempfile::tempdir().unwrap();
    let store = filled(&folders.path().join("one"));
    let (dump, written) = block_on(store.export(Vec::new())).unwrap();
    assert_eq!(written.rows, 120 + 50 + 120);

    let two = folders.path().join("two");
    let read = FjallStore::import(&two, &small(), dump.as_slice()).unwrap();
    assert_eq!(read, written);
    let copy = FjallStore::open(&two, &small()).unwrap();
    for table in TABLES {
        assert!(all(&copy, table) == all(&store, table));
    }
    let (again, _) = block_on(copy.export(Vec::new())).unwrap();
    assert!(again == dump, "the same rows make the same dump");
    // The copy is a store like any other.
    block_on(copy.commit(Batch::new().put(TABLES[0], "new", "row"))).unwrap();
    drop(copy);
    let copy = FjallStore::open(&two, &small()).unwrap();
    assert!(block_on(copy.get(TABLES[0], b"new")).unwrap().is_some());
    assert!(matches!(
        FjallStore::import(&two, &small(), dump.as_slice()),
        Err(DumpError::NotEmpty)
    ));
}

#[test]
fn a_bad_dump_makes_no_store() {
    let folders = tempfile::tempdir().unwrap();
    let store = filled(&folders.path().join("one"));
    let (dump, _) = block_on(store.export(Vec::new())).unwrap();
    let two = folders.path().join("two");
    let check = |bad: &[u8]| {
        let refusal = FjallStore::import(&two, &small(), bad);
        assert!(refusal.is_err());
        let left: Vec<_> = fs::read_dir(folders.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(left, [folders.path().join("one")], "nothing is left behind");
    };
    check(b"");
    check(&dump[..dump.len() - 1]);
    check(&dump[..dump.len() / 2]);
    let mut altered = dump.clone();
    altered[dump.len() / 3] ^= 4;
    check(&altered);
    check(&[&dump[..], b"more"].concat());
}

/// A dump is of one instant, while commits go on.
#[test]
fn a_dump_is_consistent_while_commits_go_on() {
    struct Committing(FjallStore, u32, Vec<u8>);
    impl io::Write for Committing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 < 50 {
                let key = self.1.to_be_bytes();
                let batch = Batch::new()
                    .put(TABLES[2], key, "later")
                    .delete(TABLES[0], key);
                block_on(self.0.commit(batch)).map_err(io::Error::other)?;
                self.1 += 1;
            }
            self.2.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let before = TABLES.map(|table| all(&store, table).unwrap());
    let (sink, _) = block_on(store.export(Committing(store.clone(), 0, Vec::new()))).unwrap();
    assert_eq!(sink.1, 50);
    assert!(all(&store, TABLES[0]).unwrap() != before[0]);
    let mut found: [Vec<(Vec<u8>, Vec<u8>)>; 3] = Default::default();
    store::dump::read(sink.2.as_slice(), |row| {
        let at = TABLES
            .iter()
            .position(|table| table.name() == row.table)
            .unwrap();
        found[at].push((row.key.to_vec(), row.value.to_vec()));
        Ok(())
    })
    .unwrap();
    assert!(found == before);
}

#[test]
fn a_failing_sink_ends_the_dump_only() {
    struct Refusing;
    impl io::Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    assert!(matches!(
        block_on(store.export(Refusing)),
        Err(DumpError::Stream(_))
    ));
    let rows = block_on(store.range(TABLES[0], Range::all(), 5, Order::Ascending)).unwrap();
    assert_eq!(rows.len(), 5);
}

/// The caller of a dump goes away, and with its sink the last handle to the store.
#[test]
fn an_abandoned_dump_may_hold_the_last_handle() {
    struct Holding(Option<FjallStore>, std::sync::mpsc::Sender<()>);
    impl io::Write for Holding {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.1.send(());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Holding {
        fn drop(&mut self) {
            drop(self.0.take());
            let _ = self.1.send(());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let (sender, receiver) = std::sync::mpsc::channel();
    let sink = Holding(Some(store.clone()), sender);
    {
        let mut export = Box::pin(store.export(sink));
        let _ = block_on(async { futures::poll!(&mut export) });
    }
    drop(store);
    // Ends once the sink, and with it the store, is gone.
    for () in receiver {}
    FjallStore::open(folder.path(), &small()).unwrap();
}
