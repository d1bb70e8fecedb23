//! Institutions vouch for each other's view of the log, without anybody asking them to.

use crate::{
    institution::As,
    sharing::{found, id_of},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const LONGEST: Duration = Duration::from_secs(120);

#[test]
fn nodes_that_run_cosign_each_others_checkpoints() {
    let below = tempfile::tempdir().unwrap();
    let institutions = found(below.path());
    let servers = [institutions[0].start(), institutions[1].start()];
    for (server, other) in [
        (&servers[0], &institutions[1]),
        (&servers[1], &institutions[0]),
    ] {
        let witness = format!("/{} ", id_of(other));
        let since = Instant::now();
        let note = loop {
            let note = server
                .get("/tlog/checkpoint/cosigned", As::Desk)
                .is(200)
                .text();
            // One line with each of its two keys.
            let lines = note.lines().filter(|line| line.contains(&witness));
            if lines.count() == 2 {
                break note;
            }
            assert!(since.elapsed() < LONGEST, "{note}");
            thread::sleep(Duration::from_millis(300));
        };
        let size = note.lines().nth(1).unwrap();
        assert!(size.parse::<u64>().unwrap() > 0, "{note}");
    }
}
