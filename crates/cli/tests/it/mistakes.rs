//! What a person can get wrong at the command line: each is told in one sentence what, where and what to do.

use crate::{
    binary::{Ran, ended, run},
    institution::{Institution, PASSPHRASE},
};
use std::{ffi::OsString, fs, net::TcpListener, path::Path};

#[track_caller]
fn check(ran: Ran, parts: &[&str]) {
    let sentence = ran.refused();
    for part in parts {
        assert!(sentence.contains(part), "'{part}' is not in: {sentence}");
    }
    assert!(!sentence.contains(PASSPHRASE), "{sentence}");
}

/// The words of a command; `{}` stands for each path in turn.
fn words(line: &str, paths: &[&Path]) -> Vec<OsString> {
    let mut paths = paths.iter();
    let words = line.split(' ').map(|word| match word {
        "{}" => paths.next().unwrap().as_os_str().to_owned(),
        word => word.into(),
    });
    words.collect()
}

fn tree(folder: &Path) -> Vec<(OsString, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        found.push((entry.path().into(), entry.metadata().unwrap().len()));
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn configurations() {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    let refused = |text: &str, parts: &[&str]| {
        fs::write(institution.data().join("node.toml"), text).unwrap();
        check(ended(institution.up().output().unwrap()), parts);
        check(
            ended(institution.up().output().unwrap()),
            &["the configuration ", "node.toml is refused: "],
        );
    };
    refused("[http]\nlisen = 1", &["line 2: unknown field `lisen`"]);
    refused(
        "[http]\n\nlisten = \"nowhere\"",
        &["line 3: ", "socket address"],
    );
    refused("x = [", &["line 1: "]);
    refused(
        "[http]\nconnections = 0",
        &["http.connections is 0; it takes 1 to "],
    );
    refused(
        "[http]\nlisten = \"0.0.0.0:80\"",
        &["others can reach", "allow_remote = true"],
    );
    refused("[policy.retention]\nyears = 1", &["line 1: ", "rule"]);

    institution.configure("");
    let nowhere = folder.path().join("nowhere.toml");
    let mut up = institution.up();
    check(
        ended(up.arg("--config").arg(&nowhere).output().unwrap()),
        &["cannot read the configuration ", "nowhere.toml"],
    );
    let mut up = institution.up();
    check(
        ended(up.args(["--listen", "0.0.0.0:0"]).output().unwrap()),
        &["--listen 0.0.0.0:0", "allow_remote = true"],
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut up = institution.up();
    let ran = ended(up.args(["--listen", &address]).output().unwrap());
    let last = ran.err.lines().last().unwrap().to_owned();
    assert_eq!(ran.code, 1);
    assert!(
        last.starts_with(&format!(
            "ithaca: cannot listen on {address}; is another node running there?"
        )),
        "{last}"
    );
}

#[test]
fn passphrases_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name);
    let institution = Institution::found(folder.path());
    let data = institution.data();
    let up = |data: &Path, passphrase: &Path| {
        run(words(
            "up --data {} --passphrase-file {}",
            &[data, passphrase],
        ))
    };
    check(
        up(&data, &below("nowhere")),
        &["cannot read the passphrase file ", "nowhere: No such file"],
    );
    fs::write(below("wrong"), "wrong passphrase").unwrap();
    check(
        up(&data, &below("wrong")),
        &["the passphrase is wrong, or the file is damaged"],
    );
    fs::write(below("short"), "short").unwrap();
    check(up(&data, &below("short")), &["shorter than 8 characters"]);
    fs::write(below("large"), [b'x'; 5_000]).unwrap();
    check(
        up(&data, &below("large")),
        &["larger than 4096 bytes", "right file?"],
    );
    fs::write(below("bytes"), [0xff; 20]).unwrap();
    check(
        up(&data, &below("bytes")),
        &["cannot read the passphrase file ", "UTF-8"],
    );
    check(
        run(words("up --data {}", &[&data])),
        &["no passphrase: ", "--passphrase-file FILE"],
    );
    let right = institution.passphrase();
    for no_folder in [below("nowhere"), right.clone()] {
        let told = ["is no data folder; make one with `ithaca init`"];
        check(up(&no_folder, &right), &told);
        let token = words(
            "token --data {} --role desk --practitioner x",
            &[&no_folder],
        );
        check(run(token), &told);
        let backup = "backup --data {} --out {} --passphrase-file {} --backup-passphrase-file {}";
        let out = below("backup");
        check(
            run(words(backup, &[&no_folder, &out, &right, &below("wrong")])),
            &told,
        );
    }
    let init = "init {} --name x --passphrase-file {}";
    check(
        run(words(init, &[&data, &right])),
        &["belongs to a network already; choose another folder"],
    );
    check(
        run(
            words("init {} --name = --passphrase-file {}", &[&data, &right])
                .into_iter()
                .map(|w| if w == "=" { OsString::new() } else { w }),
        ),
        &["--name takes 1 to 128 bytes"],
    );
    let role = run(words(
        "token --data {} --role doctor --practitioner x",
        &[&data],
    ));
    assert_eq!(role.code, 2);
    assert!(
        role.err.contains("it is none of: clinician "),
        "{}",
        role.err
    );

    let server = institution.start();
    check(
        up(&data, &right),
        &["in use by another process; stop that one first"],
    );
    server.stop("-TERM");

    fs::write(data.join("tokens.json"), "{").unwrap();
    check(
        run(words(
            "token --data {} --role desk --practitioner x",
            &[&data],
        )),
        &["tokens.json is damaged (line 1", "restore it or delete it"],
    );
    fs::write(data.join("institution"), "x").unwrap();
    check(up(&data, &right), &["institution is damaged"]);
}

#[test]
fn backups() {
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name);
    let institution = Institution::found(folder.path());
    let (data, right) = (institution.data(), institution.passphrase());
    let own = below("own");
    fs::write(&own, "the backup's own").unwrap();
    let full = below("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("kept"), "kept").unwrap();
    let backup = |out: &Path, own: &Path, more: &str| {
        let line = format!(
            "backup --data {{}} --out {{}} --passphrase-file {{}} --backup-passphrase-file {{}}{more}"
        );
        run(words(&line, &[&data, out, &right, own]))
    };
    check(
        backup(&full, &own, ""),
        &["full is not empty; choose a new folder"],
    );
    check(backup(&right, &own, ""), &["it must be a new folder"]);
    check(
        backup(&below("backup"), &right, ""),
        &["needs a passphrase of its own"],
    );
    check(
        backup(&below("backup"), &own, " --days 0"),
        &["--days takes 1 to 366, not 0"],
    );
    assert!(!below("backup").exists());
    assert_eq!(backup(&below("backup"), &own, "").code, 0);

    let restore = |from: &Path, to: &Path, genesis: &Path, own: &Path, more: &[&Path]| {
        let line = "restore --backup {} --data {} --genesis {} --backup-passphrase-file {} --passphrase-file {}";
        let mut words = words(line, &[from, to, genesis, own, &right]);
        if let [erased] = more {
            words.extend(["--erased".into(), erased.as_os_str().to_owned()]);
        }
        run(words)
    };
    let (from, genesis, to) = (below("backup"), institution.genesis(), below("restored"));
    let before = tree(&data);
    check(
        restore(&from, &data, &genesis, &own, &[]),
        &["data is not empty; choose a new folder"],
    );
    check(
        restore(&from, &full, &genesis, &own, &[]),
        &["full is not empty; choose a new folder"],
    );
    assert_eq!(tree(&data), before);
    check(
        restore(&below("nowhere"), &to, &genesis, &own, &[]),
        &["nowhere is no backup; give the folder"],
    );
    check(
        restore(&from, &to, &below("nowhere"), &own, &[]),
        &["cannot read the genesis "],
    );
    check(
        restore(&from, &to, &own, &own, &[]),
        &["own is refused: The file is not a network's genesis."],
    );
    check(
        restore(&from, &to, &genesis, &right, &[]),
        &["does not open: the passphrase is wrong"],
    );
    fs::write(below("erased"), "\nnobody\n").unwrap();
    check(
        restore(&from, &to, &genesis, &own, &[&below("erased")]),
        &["erased line 2 is no subject id"],
    );
    assert!(!to.exists(), "a refusal leaves nothing behind");
    assert_eq!(restore(&from, &to, &genesis, &own, &[]).code, 0);
}
