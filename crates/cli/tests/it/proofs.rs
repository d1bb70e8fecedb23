//! `ithaca verify`: good proofs hold; of any other, one sentence names the link that is broken.

use crate::{
    binary::{Ran, run},
    institution::{As, Institution, PERIOD_MS},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::PathBuf,
    sync::LazyLock,
    time::SystemTime,
};
use tempfile::TempDir;

const RECORD: &[u8] = b"a letter to the family";

/// What one institution handed out, in files.
struct Handed {
    folder: TempDir,
    record: String,
}

static HANDED: LazyLock<Handed> = LazyLock::new(Handed::out);

impl Handed {
    fn out() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let institution = Institution::found(folder.path());
        let server = institution.start();
        let (subject, unread) = (server.open(), server.open());
        let deposited = server.deposit(&subject, RECORD).is(201).value();
        let record = deposited["record"].as_str().unwrap().to_owned();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("genesis", &fs::read(institution.genesis()).unwrap());
        write("receipt", &server.receipt(&subject, &record));
        // Once it is read within one period, it is known in which.
        let period = loop {
            let from = period_now();
            write("leaf", &server.read(&subject, &record).is(200).body);
            if period_now() == from {
                break from;
            }
        };
        let consent = server
            .get(&format!("{subject}/consent"), As::Desk)
            .is(200)
            .value();
        write("consent", &unhex(consent["opening"].as_str().unwrap()));
        for (name, subject) in [("read", &subject), ("unread", &unread)] {
            let path = format!("{subject}/disclosures/proof?period={period}");
            write(name, &server.ready_at(&path, As::Officer));
            let erased = server
                .call("DELETE", subject, As::Officer, &[], None)
                .is(200)
                .value();
            let key = erased["audit_key"].as_str().unwrap();
            write(&format!("audit-key of {name}"), key.as_bytes());
        }
        server.stop("-TERM");
        let other = tempfile::tempdir().unwrap();
        write(
            "other genesis",
            &fs::read(Institution::found(other.path()).genesis()).unwrap(),
        );
        Self { folder, record }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ithaca verify` with these words; what starts with `@` is a file here.
    fn verify(&self, line: &[&str]) -> Ran {
        let words = line.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into(),
            None => OsString::from(word),
        });
        run(std::iter::once("verify".into()).chain(words))
    }

    /// The name of a new file like another with one bit changed.
    fn flipped(&self, of: &str, at: usize) -> String {
        let mut bytes = fs::read(self.path(of)).unwrap();
        bytes[at] ^= 1;
        let name = format!("{of} {at}");
        fs::write(self.path(&name), bytes).unwrap();
        name
    }

    /// Verifies a file with one bit changed at many places in turn; how often which sentence came.
    fn tampered(&self, of: &str, options: &[&str]) -> BTreeMap<String, usize> {
        let size = fs::read(self.path(of)).unwrap().len();
        let mut told = BTreeMap::new();
        for at in (0..size).step_by(STEP) {
            let name = self.flipped(of, at);
            let file = format!("@{name}");
            let line = [&[&*file, "--genesis", "@genesis"], options].concat();
            let sentence = self.verify(&line).refused();
            let (_, link) = sentence
                .split_once(&format!("{name} is REFUSED: "))
                .unwrap_or_else(|| panic!("byte {at}: {sentence}"));
            assert_eq!(
                link.matches(". ").count(),
                0,
                "more than a sentence: {link}"
            );
            assert!(link.ends_with('.'), "{link}");
            *told.entry(link.to_owned()).or_default() += 1;
        }
        told
    }
}

/// Of each so many bytes one is changed; no field of a hash or key escapes.
const STEP: usize = 13;

fn period_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap() / PERIOD_MS
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[track_caller]
fn names(told: &BTreeMap<String, usize>, links: &[&str]) {
    let missing: BTreeSet<_> = links
        .iter()
        .filter(|link| !told.keys().any(|sentence| sentence.contains(**link)))
        .collect();
    assert!(
        missing.is_empty(),
        "never named: {missing:?}; named: {told:#?}"
    );
}

#[test]
fn receipts() {
    let handed = &*HANDED;
    let good = handed
        .verify(&["@receipt", "--genesis", "@genesis"])
        .succeeded();
    assert!(
        good.out.starts_with("HOLDS  committed at height "),
        "{}",
        good.out
    );
    assert!(
        good.out.contains("the record itself was not checked"),
        "{}",
        good.out
    );
    let good = handed.verify(&[
        "@receipt",
        "--genesis",
        "@genesis",
        "--leaf",
        "@leaf",
        "--json",
    ]);
    let verdict: Value = serde_json::from_str(&good.succeeded().out).unwrap();
    assert_eq!(
        (&verdict["verdict"], &verdict["leaf_checked"]),
        (&"holds".into(), &true.into())
    );

    let refused = |line: &[&str], part: &str| {
        let sentence = handed.verify(line).refused();
        assert!(sentence.contains(part), "{sentence}");
    };
    let leaf = format!("@{}", handed.flipped("leaf", 3));
    refused(
        &["@receipt", "--genesis", "@genesis", "--leaf", &leaf],
        "receipt is REFUSED: The given content is not among those that the record's commitment covers.",
    );
    refused(
        &["@receipt", "--genesis", "@other genesis"],
        "of another network than the genesis",
    );
    let genesis = format!("@{}", handed.flipped("genesis", 60));
    refused(&["@receipt", "--genesis", &genesis], "REFUSED");
    refused(
        &["@receipt", "--genesis", "@leaf"],
        "leaf is REFUSED: The file is not a network's genesis.",
    );
    refused(
        &["@leaf", "--genesis", "@genesis"],
        "leaf is REFUSED: The proof is not well-formed.",
    );
    refused(
        &["@consent", "--genesis", "@genesis"],
        "The proof is not well-formed.",
    );
    // What is not there says nothing about the receipt.
    for line in [
        ["@nowhere", "--genesis", "@genesis", "--leaf", "@leaf"],
        ["@receipt", "--genesis", "@nowhere", "--leaf", "@leaf"],
        ["@receipt", "--genesis", "@genesis", "--leaf", "@nowhere"],
    ] {
        let sentence = handed.verify(&line).refused();
        assert!(sentence.starts_with("cannot read "), "{sentence}");
        assert!(sentence.contains("nowhere: No such file"), "{sentence}");
    }
    assert!(!handed.record.is_empty());
}

#[test]
fn tampered_receipts() {
    let told = HANDED.tampered("receipt", &["--leaf", "@leaf"]);
    names(
        &told,
        &[
            "not well-formed",
            "another network",
            "the record's commitment",
            "not in the batch",
            "names as its signer is not the custodian's",
            "not in the log",
            "certificate",
        ],
    );
}

#[test]
fn consent() {
    let handed = &*HANDED;
    let consent = ["--proof", "consent"];
    let good = handed
        .verify(&["@consent", "--genesis", "@genesis", "--proof", "consent"])
        .succeeded();
    assert!(
        good.out.contains("this was the whole consent:"),
        "{}",
        good.out
    );
    assert!(good.out.contains("mother"), "{}", good.out);
    let other = handed.verify(&[
        "@consent",
        "--genesis",
        "@other genesis",
        "--proof",
        "consent",
    ]);
    assert!(
        other
            .refused()
            .contains("of another network than the genesis")
    );
    let told = handed.tampered("consent", &consent);
    names(
        &told,
        &[
            "not well-formed",
            "another network",
            "beside the proof is not the one on the ledger",
            "does not lead to the state",
            "certificate",
        ],
    );
}

#[test]
fn disclosures() {
    let handed = &*HANDED;
    let verify = |file: &str, more: &[&str]| {
        let line = [
            &[file, "--genesis", "@genesis", "--proof", "disclosure"],
            more,
        ]
        .concat();
        handed.verify(&line)
    };
    let count = |name: &str| {
        let key = format!("@audit-key of {name}");
        let proof = format!("@{name}");
        let ran = verify(&proof, &["--json", "--audit-key-file", &key]);
        let verdict: Value = serde_json::from_str(&ran.succeeded().out).unwrap();
        assert_eq!(verdict["subject_checked"], true);
        verdict["count"].as_u64().unwrap()
    };
    assert!(count("read") > 0);
    assert_eq!(count("unread"), 0, "absence, proved");
    fs::write(handed.path("other key"), "00".repeat(32)).unwrap();
    let other = verify("@read", &["--audit-key-file", "@other key"]).refused();
    assert!(other.contains("about another subject or period"), "{other}");
    let none = verify("@read", &["--audit-key-file", "@leaf"]).refused();
    assert!(
        none.contains("leaf is no audit key: 64 hexadecimal digits"),
        "{none}"
    );
    let key = [
        "--proof",
        "disclosure",
        "--audit-key-file",
        "@audit-key of read",
    ];
    let told = handed.tampered("read", &key);
    names(
        &told,
        &[
            "not well-formed",
            "another network",
            "beside the proof are not those",
            "the period's map",
            "certificate",
        ],
    );
    let key = [
        "--proof",
        "disclosure",
        "--audit-key-file",
        "@audit-key of unread",
    ];
    let told = handed.tampered("unread", &key);
    names(&told, &["not well-formed", "the period's map"]);
}
