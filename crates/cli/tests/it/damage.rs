//! A changed byte in what a node keeps: it does not start, and says why, or answers with what was deposited
//! or not at all. Never with anything else.

use crate::{
    binary::ended,
    institution::{Institution, Server},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const RECORDS: usize = 3;
/// Places tried in each file, spread over what is written in it.
const PLACES: usize = 2;

fn record(number: usize) -> Vec<u8> {
    format!("letter {number} ").repeat(1_000).into_bytes()
}

/// Files with what is written in them; trailing zeros are room for more.
fn files(folder: &Path) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            found.push((path, last + 1));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What became of one changed byte.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It did not start.
    Refused,
    /// It served some and refused some.
    Withheld,
    /// Nothing that matters was changed.
    Harmless,
}

fn served(server: &Server<'_>, subject: &str, ids: &[String], place: &str) -> Outcome {
    let mut outcome = Outcome::Harmless;
    for (number, id) in ids.iter().enumerate() {
        let answer = server.read(subject, id);
        match answer.status {
            200 => assert!(
                answer.body == record(number),
                "{place}: record {number} changed"
            ),
            // Not even whose it is can be told any more.
            404 | 500 | 503 => outcome = Outcome::Withheld,
            status => panic!("{place}: {status} {}", answer.text()),
        }
    }
    outcome
}

#[test]
fn a_changed_byte_is_noticed_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    let server = institution.start();
    let subject = server.open();
    let mut ids = Vec::new();
    for number in 0..RECORDS {
        let deposited = server.deposit(&subject, &record(number)).is(201).value();
        let id = deposited["record"].as_str().unwrap().to_owned();
        server.receipt(&subject, &id);
        ids.push(id);
    }
    server.stop("-TERM");
    let (data, good) = (institution.data(), folder.path().join("good"));
    fs::rename(&data, &good).unwrap();

    let mut outcomes = Vec::new();
    for part in ["store", "custody", "key-tables", "genesis.cbor"] {
        let live = good.join(part);
        let found = match live.is_dir() {
            true => files(&live),
            false => vec![(live.clone(), fs::read(&live).unwrap().len())],
        };
        for (path, size) in found {
            let relative = path.strip_prefix(&good).unwrap();
            for place in 1..=PLACES {
                copy(&good, &data);
                let at = (size - 1) * place / (PLACES + 1);
                let mut bytes = fs::read(data.join(relative)).unwrap();
                bytes[at] ^= 0x10;
                fs::write(data.join(relative), bytes).unwrap();
                let shown = format!("{} byte {at} of {size}", relative.display());
                let outcome = match institution.try_start(institution.up()) {
                    Ok(server) => served(&server, &subject, &ids, &shown),
                    Err(output) => {
                        let _sentence = ended(output).refused_after_log();
                        Outcome::Refused
                    }
                };
                outcomes.push((outcome, shown));
                fs::remove_dir_all(&data).unwrap();
            }
        }
    }
    let of = |wanted: &Outcome| {
        outcomes
            .iter()
            .filter(|(outcome, _)| outcome == wanted)
            .count()
    };
    assert!(of(&Outcome::Refused) > 0, "{outcomes:#?}");
    // Key files are checked whole.
    for (outcome, place) in &outcomes {
        if place.starts_with("custody/root.key") || place.starts_with("custody/table-keys") {
            assert_eq!(*outcome, Outcome::Refused, "{place}");
        }
    }
    fs::rename(&good, &data).unwrap();
    let server = institution.start();
    assert_eq!(
        served(&server, &subject, &ids, "unchanged"),
        Outcome::Harmless
    );
    server.stop("-TERM");
}
