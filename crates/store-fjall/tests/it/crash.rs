//! Killing the process in the middle of commits.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use futures::executor::block_on;
use store::{Batch, Expect, Store, Table};
use store_fjall::FjallStore;

use crate::{
    CHILD_FOLDER,
    rows::{all, small, value},
};

const COMMITTERS: u8 = 8;
const DATA: Table = Table::new("data");
const TWIN: Table = Table::new("twin");

fn length(n: u64) -> usize {
    if n.is_multiple_of(16) { 100_000 } else { 1_000 }
}

fn key(committer: u8, n: u64) -> Vec<u8> {
    [&[committer][..], &n.to_be_bytes()].concat()
}

/// What a committer writes as its `n`th commit: three rows that must share one fate.
fn batch(committer: u8, n: u64) -> Batch {
    let key = key(committer, n);
    let count = |n: u64| n.to_be_bytes().to_vec();
    let expected = if n == 0 {
        Expect::Absent
    } else {
        Expect::Equals(count(n - 1).into())
    };
    Batch::new()
        .put(DATA, &key, value(DATA, &key, length(n)))
        .put(TWIN, &key, value(TWIN, &key, 10))
        .expect(TWIN, [committer], expected)
        .put(TWIN, [committer], count(n))
}

/// Runs in the child: commits until killed, printing each acknowledgement.
#[test]
#[ignore = "the child of `nothing_acknowledged_is_lost_by_kill`"]
fn child() {
    let Some(folder) = env::var_os(CHILD_FOLDER) else {
        return;
    };
    let store = FjallStore::open(folder, &small()).unwrap();
    thread::scope(|scope| {
        for committer in 0..COMMITTERS {
            let store = store.clone();
            scope.spawn(move || {
                let last = block_on(store.get(TWIN, &[committer])).unwrap();
                let next = last.map_or(0, |n| {
                    u64::from_be_bytes(n.as_ref().try_into().unwrap()) + 1
                });
                for n in next.. {
                    block_on(store.commit(batch(committer, n))).unwrap();
                    std::io::stdout()
                        .write_all(format!("ack {committer} {n}\n").as_bytes())
                        .unwrap();
                }
            });
        }
    });
}

/// Lets a child commit, kills it after `acks` acknowledgements; the last of each committer.
fn run_and_kill(folder: &Path, acks: usize) -> BTreeMap<u8, u64> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acked = BTreeMap::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut count = 0;
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        // The last line may be cut short.
        let ("ack", Some(committer), Some(n)) =
            (words.next().unwrap_or_default(), words.next(), words.next())
        else {
            continue;
        };
        let (Ok(committer), Ok(n)) = (committer.parse::<u8>(), n.parse::<u64>()) else {
            continue;
        };
        let before = acked.insert(committer, n);
        assert!(before.is_none_or(|before| before + 1 == n || n < before));
        count += 1;
        if count == acks {
            // SIGKILL; what is still in the pipe was acknowledged too and is read on.
            child.kill().unwrap();
        }
    }
    assert!(count >= acks, "the child stopped by itself after {count}");
    child.wait().unwrap();
    acked
}

#[test]
fn nothing_acknowledged_is_lost_by_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for acks in [1, 40, 7, 150, 90] {
        let acked = run_and_kill(folder.path(), acks);
        let store = FjallStore::open(folder.path(), &small()).unwrap();
        let (data, twins) = (all(&store, DATA).unwrap(), all(&store, TWIN).unwrap());
        let data: BTreeMap<Vec<u8>, Vec<u8>> = data.into_iter().collect();
        let twins: BTreeMap<Vec<u8>, Vec<u8>> = twins.into_iter().collect();
        let mut rows = 0;
        for committer in 0..COMMITTERS {
            let Some(last) = twins.get(&vec![committer]) else {
                continue;
            };
            let last = u64::from_be_bytes(last.as_slice().try_into().unwrap());
            if let Some(&acked) = acked.get(&committer) {
                // One more may have happened without its acknowledgement being seen.
                assert!(
                    last == acked || last == acked + 1,
                    "{committer}: {acked} acked, {last}"
                );
            }
            for n in 0..=last {
                let key = key(committer, n);
                assert!(data.get(&key) == Some(&value(DATA, &key, length(n))));
                assert_eq!(twins.get(&key), Some(&value(TWIN, &key, 10)));
                rows += 1;
            }
        }
        // No part of a commit stands alone.
        assert_eq!(data.len(), rows);
        assert!(rows > written);
        written = rows;
        let found = block_on(store.verify_all(|_| ())).unwrap();
        assert!(found.is_intact(), "{found:?}");
    }
}
