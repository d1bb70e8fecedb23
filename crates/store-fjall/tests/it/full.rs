//! Running out of disk, by a limit on the size of files.

use std::{env, io::Write, process::Command};

use futures::executor::block_on;
use store::{Batch, Error, Store, Table};
use store_fjall::{Config, FjallStore};

use crate::{
    CHILD_FOLDER,
    rows::{all, value},
};

const T: Table = Table::new("t");
const VALUE_BYTES: usize = 1 << 20;
/// The engine starts a journal at 64 MiB; with this in-memory table it does not rotate it before it
/// meets the limit, which is given in blocks of 512 bytes.
const MEMTABLE_BYTES: u64 = 48 << 20;
const FILE_LIMIT_BLOCKS: u64 = (66 << 20) / 512;

fn config() -> Config {
    Config {
        memtable_bytes: MEMTABLE_BYTES,
        ..Config::default()
    }
}

/// Runs in the child: writes until the limit, then checks that nothing more is accepted.
#[test]
#[ignore = "the child of `a_full_disk_stops_acknowledging_and_restarts_clean`"]
fn child() {
    let Some(folder) = env::var_os(CHILD_FOLDER) else {
        return;
    };
    let store = FjallStore::open(folder, &config()).unwrap();
    let commit = |n: u64| {
        let key = n.to_be_bytes();
        block_on(store.commit(Batch::new().put(T, key, value(T, &key, VALUE_BYTES))))
    };
    let mut acked = 0;
    let refusal = loop {
        match commit(acked) {
            Ok(()) => acked += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, Error::Full);
    for n in 0..3 {
        assert_eq!(commit(acked + n), Err(Error::Poisoned));
    }
    // What was acknowledged stays readable.
    assert_eq!(all(&store, T).unwrap().len() as u64, acked);
    std::io::stdout()
        .write_all(format!("\nacked {acked}\n").as_bytes())
        .unwrap();
}

#[test]
#[cfg(unix)]
fn a_full_disk_stops_acknowledging_and_restarts_clean() {
    let folder = tempfile::tempdir().unwrap();
    let limited = format!("trap '' XFSZ; ulimit -f {FILE_LIMIT_BLOCKS}; exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &limited])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "full::child", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    let errors = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{output}\n{errors}");
    let acked = output.lines().find_map(|line| line.strip_prefix("acked "));
    let acked: u64 = acked.unwrap().parse().unwrap();
    assert!(acked > 10, "{acked}");

    let store = FjallStore::open(folder.path(), &config()).unwrap();
    let rows = all(&store, T).unwrap();
    assert_eq!(
        rows.len() as u64,
        acked,
        "nothing unacknowledged, for it was cut short"
    );
    for (n, (key, stored)) in (0u64..).zip(rows) {
        assert_eq!(key, n.to_be_bytes());
        assert!(stored == value(T, &key, VALUE_BYTES));
    }
    block_on(store.commit(Batch::new().put(T, "after", "restart"))).unwrap();
}
