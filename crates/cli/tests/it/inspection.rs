//! `ithaca fsck` and `ithaca audit` on a folder in which a node lived: whole, damaged, repaired.

use crate::{
    binary::{Ran, ended, ithaca},
    institution::{As, Institution},
};
use futures::executor::block_on;
use serde_json::Value;
use std::path::Path;
use store::{Batch, Order, Range, Store as _, Table};
use store_fjall::FjallStore;

const RECORD: &[u8] = b"what must never be printed";

fn fsck(institution: &Institution, more: &[&str]) -> Ran {
    let mut command = ithaca();
    command.arg("fsck").arg(institution.data()).args(more);
    ended(command.output().unwrap())
}

fn fsck_all(institution: &Institution, more: &[&str]) -> Ran {
    let passphrase = institution.passphrase().display().to_string();
    let ran = fsck(
        institution,
        &[&["--passphrase-file", &passphrase], more].concat(),
    );
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains("never be printed"), "{ran:?}");
    }
    ran
}

fn audit(institution: &Institution, more: &[&str]) -> Ran {
    let mut command = ithaca();
    command
        .args(["audit", "--data"])
        .arg(institution.data())
        .args(more);
    ended(command.output().unwrap())
}

/// Flips a bit in the value of a table's middle row, with a checksum that fits.
fn damage(folder: &Path, table: &'static str) {
    let config = store_fjall::Config::default();
    let store = FjallStore::open(folder.join("store"), &config).unwrap();
    let table = Table::new(table);
    let rows = store.range(table, Range::all(), 1_000, Order::Ascending);
    let rows = block_on(rows).unwrap();
    let (key, value) = &rows[rows.len() / 2];
    let mut bytes = value.to_vec();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    block_on(store.commit(Batch::new().put(table, key, bytes))).unwrap();
}

#[test]
fn damage_is_named_and_a_ledger_comes_back() {
    let below = tempfile::tempdir().unwrap();
    let institution = Institution::found(below.path());
    // A folder in which no node ran yet is whole.
    let fresh = fsck_all(&institution, &[]);
    assert_eq!(fresh.code, 0, "{fresh:?}");
    let server = institution.start();
    let subject = server.open();
    let record = server.deposit(&subject, RECORD).is(201).value();
    let record = record["record"].as_str().unwrap().to_owned();
    server.receipt(&subject, &record);
    let busy = fsck(&institution, &["--ledger-only"]);
    assert_eq!(busy.code, 1, "{busy:?}");
    assert!(busy.err.contains("in use"), "{busy:?}");
    server.stop("-TERM");

    let whole = fsck_all(&institution, &[]);
    assert_eq!(whole.code, 0, "{whole:?}");
    assert!(
        whole.out.contains("1 versions of records opened"),
        "{whole:?}"
    );
    assert!(!whole.out.contains("FAULT"), "{whole:?}");
    assert!(whole.err.contains("ledger: block"), "{whole:?}");
    let shut = fsck(&institution, &[]);
    assert_eq!(shut.code, 0, "{shut:?}");
    assert!(shut.out.contains("NOT CHECKED"), "{shut:?}");
    check_audit(&institution);

    damage(&institution.data(), "ledger-entries");
    let refused = audit(&institution, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("REFUSED"), "{refused:?}");
    let found = fsck_all(&institution, &[]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found.out.contains("FAULT ledger-entries, log index"),
        "{found:?}"
    );
    assert!(found.out.contains("--repair"), "{found:?}");
    let repaired = fsck_all(&institution, &["--repair"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(repaired.err.contains("was removed"), "{repaired:?}");

    let server = institution.start();
    // It serves while it builds the ledger again from the engine's blocks.
    let receipt = format!("{subject}/records/{record}/receipt");
    let proved = server.wait_for("the ledger", || {
        let answer = server.get(&receipt, As::Desk);
        assert!(matches!(answer.status, 200 | 202 | 503), "{answer:?}");
        (answer.status == 200).then_some(answer.body)
    });
    let file = below.path().join("receipt");
    std::fs::write(&file, proved).unwrap();
    let genesis = institution.genesis();
    let verify = [
        "verify".as_ref(),
        file.as_os_str(),
        "--genesis".as_ref(),
        genesis.as_os_str(),
    ];
    ended(ithaca().args(verify).output().unwrap()).succeeded();
    assert_eq!(server.read(&subject, &record).is(200).body, RECORD);
    server.get("/tlog/checkpoint", As::Desk).is(200);
    server.stop("-TERM");
    assert_eq!(fsck_all(&institution, &[]).code, 0);

    // What nobody else has is named, and stays.
    damage(&institution.data(), "records");
    for more in [[].as_slice(), &["--repair"]] {
        let found = fsck_all(&institution, more);
        assert_eq!(found.code, 1, "{found:?}");
        assert!(
            found
                .out
                .contains(&format!("FAULT index, version 1 of record {record}")),
            "{found:?}"
        );
        assert!(found.out.contains("restore it from a backup"), "{found:?}");
        assert!(!found.err.contains("was removed"), "{found:?}");
    }
}

fn check_audit(institution: &Institution) {
    let all = audit(institution, &[]).succeeded().out;
    assert!(all.contains("1 SubjectOpen"), "{all}");
    assert!(all.contains("1 RecordBatch"), "{all}");
    assert!(all.contains("executed, certified"), "{all}");
    let document = audit(institution, &["--json"]).succeeded().out;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["verdict"], "holds");
    let height = document["height"].as_u64().unwrap();
    let blocks = document["blocks"].as_array().unwrap();
    assert_eq!(blocks.len() as u64, height + 1);
    let opened: u64 = blocks
        .iter()
        .filter_map(|block| block["entries"]["SubjectOpen"].as_u64())
        .sum();
    assert_eq!(opened, 1);
    for (block, expected) in blocks.iter().zip(0_u64..) {
        assert_eq!(block["height"], expected);
        assert_eq!(block["proofs"]["executed"], true);
    }
    let two = audit(institution, &["--from", "1", "--to", "2", "--json"]);
    let two: Value = serde_json::from_str(&two.succeeded().out).unwrap();
    assert_eq!(two["blocks"].as_array().unwrap(), &blocks[1..3]);
    // Everything is verified, whatever is printed.
    assert_eq!(two["blocks_verified"], height + 1);
    let beyond = audit(institution, &["--from", "1", "--to", "1000000"]);
    assert_eq!(beyond.code, 1);
    assert!(beyond.err.contains("ends at height"), "{beyond:?}");
    assert!(
        audit(institution, &["--from", "2", "--to", "1"])
            .refused()
            .contains("below --from")
    );
}
