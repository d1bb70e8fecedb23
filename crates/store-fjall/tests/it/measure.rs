//! Measurements, by hand: `cargo test --release -p ithaca-store-fjall -- --ignored --nocapture measure`.

use std::{fs, io::Write, thread, time::Instant};

use futures::executor::block_on;
use store::{Batch, Store, Table};
use store_fjall::{Config, FjallStore};

use crate::rows::value;

const T: Table = Table::new("t");
const COMMITTERS: usize = 16;

#[test]
#[ignore = "a measurement"]
fn commits_and_reads() {
    measure("1 kB", 1_000, 1_500);
    measure("100 kB", 100_000, 100);
    measure_alone(1_000, 500);
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn measure(name: &str, value_bytes: usize, commits: usize) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = FjallStore::open(folder.path(), &Config::default()).unwrap();
    let start = Instant::now();
    let committers: Vec<_> = (0..COMMITTERS)
        .map(|committer| {
            let store = store.clone();
            thread::spawn(move || {
                let mut times = Vec::with_capacity(commits);
                for n in 0..commits {
                    let key = [committer.to_be_bytes(), n.to_be_bytes()].concat();
                    let batch = Batch::new().put(T, &key, value(T, &key, value_bytes));
                    let start = Instant::now();
                    block_on(store.commit(batch)).unwrap();
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times: Vec<_> = committers
        .into_iter()
        .flat_map(|t| t.join().unwrap())
        .collect();
    let total = start.elapsed().as_secs_f64();
    times.sort();
    let count = times.len();
    let at = |share: usize| times[(count - 1) * share / 100].as_secs_f64() * 1e3;
    say(&format!(
        "{name}: {:.0} commits/s, {:.1} MB/s; p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms; peak memory {}",
        count as f64 / total,
        (count * value_bytes) as f64 / total / 1e6,
        at(50),
        at(99),
        at(100),
        peak_memory(),
    ));

    let start = Instant::now();
    for committer in 0..COMMITTERS {
        for n in 0..commits {
            let key = [committer.to_be_bytes(), n.to_be_bytes()].concat();
            assert!(block_on(store.get(T, &key)).unwrap().is_some());
        }
    }
    say(&format!(
        "{name}: {:.1} us per get",
        start.elapsed().as_secs_f64() * 1e6 / count as f64
    ));
    let start = Instant::now();
    drop(store);
    say(&format!(
        "{name}: closed in {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    ));
    let start = Instant::now();
    drop(FjallStore::open(folder.path(), &Config::default()).unwrap());
    say(&format!(
        "{name}: reopened in {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    ));
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn measure_alone(value_bytes: usize, commits: usize) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = FjallStore::open(folder.path(), &Config::default()).unwrap();
    let start = Instant::now();
    for n in 0..commits {
        let key = n.to_be_bytes();
        block_on(store.commit(Batch::new().put(T, key, value(T, &key, value_bytes)))).unwrap();
    }
    let each = start.elapsed().as_secs_f64() * 1e3 / commits as f64;
    say(&format!("one committer: {each:.2} ms per commit"));

    // What the disk itself takes for the same.
    let mut file = fs::File::create(folder.path().join("plain")).unwrap();
    let start = Instant::now();
    for n in 0..commits {
        file.write_all(&value(T, &n.to_be_bytes(), value_bytes))
            .unwrap();
        file.sync_data().unwrap();
    }
    let each = start.elapsed().as_secs_f64() * 1e3 / commits as f64;
    say(&format!("plain write and fdatasync: {each:.2} ms"));
}

fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap_or("unknown").trim().to_owned()
}

fn say(line: &str) {
    println!("{line}");
}
