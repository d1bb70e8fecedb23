//! The demo, as a person runs it: its whole story over four processes, and what it leaves behind.

use crate::{
    binary::{ended, ithaca, run},
    institution::wait_for,
    releases::{checks_itself, comes_in_pieces},
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The acts in their order.
const ACTS: [&str; 20] = [
    "findings arrive",
    "who reads",
    "reopened",
    "wrong",
    "founded",
    "a child",
    "deposits",
    "before the grant",
    "grant",
    "specialist",
    "laboratory",
    "front door",
    "refusals",
    "who looked",
    "revocation",
    "one dies",
    "no quorum",
    "quorum back",
    "research",
    "farewell",
];

/// The nodes that run from folders below this one.
fn nodes(below: &Path) -> usize {
    let below = below.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines
        .filter(|line| line.contains(&below) && line.contains("\0node\0"))
        .count()
}

#[test]
fn the_whole_story_is_told_and_kept() {
    let below = tempfile::tempdir().unwrap();
    let kept = below.path().join("kept");
    let shown = kept.display().to_string();
    let told = run(["demo", "--json", "--keep", &shown]).succeeded();
    assert_eq!(nodes(below.path()), 0);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let acts = told["acts"].as_array().unwrap();
    let names: Vec<&str> = acts.iter().map(|a| a["act"].as_str().unwrap()).collect();
    assert_eq!(names[..ACTS.len()], ACTS);
    assert_eq!(names[ACTS.len()..], ["proofs"]);
    let seen = |name: &str| {
        let act = acts.iter().find(|act| act["act"] == name).unwrap();
        act["seen"].clone()
    };
    diagnosis_is_shown(&seen);
    assert_eq!(seen("specialist")["categories"], "phenotype");
    assert!(seen("laboratory")["variants"][0].as_str().unwrap().len() > 5);
    let front = seen("front door");
    assert_eq!(
        (&front["patients"], &front["sent"]),
        (&3.into(), &front["read_back"])
    );
    assert!(front["sent"].as_u64().unwrap() > 200 && front["found"].as_u64().unwrap() > 10);
    assert_eq!(
        front["kinds"],
        serde_json::json!(["Observation", "Patient"])
    );
    assert_eq!(front["provenances"], 1);
    assert_eq!(seen("refusals").as_array().unwrap().len(), 4);
    let why = seen("no quorum")["because"].clone();
    assert!(
        why.as_str().unwrap().contains("waits for the ledger"),
        "{why}"
    );
    assert!(seen("no quorum")["waiting"].as_u64().unwrap() >= 2);
    assert!(seen("quorum back")["disclosures_proved"].as_u64().unwrap() >= 1);
    research_is_told(&seen("research"));

    // All of it is there, and proves itself: also what was taken while one node, or two, were dead.
    let genesis = kept.join("genesis.cbor").display().to_string();
    for number in ["01", "26", "27"] {
        let file = |ending: &str| format!("{shown}/receipts/{number}.{ending}");
        let (receipt, case) = (file("cbor"), file("json"));
        let said = run(["verify", &receipt, "--genesis", &genesis, "--leaf", &case]).succeeded();
        assert!(said.out.starts_with("HOLDS"), "{}", said.out);
    }
    checks_itself(&kept.join("release"), &kept.join("genesis.cbor"));
    comes_in_pieces(&kept.join("release"));
    let folders = fs::read_dir(kept.join("network")).unwrap().filter(|entry| {
        let entry = entry.as_ref().unwrap().path();
        entry.join("node.toml").exists() && entry.join("custody").exists()
    });
    assert_eq!(folders.count(), 4);
    let again = run(["demo", "--keep", &shown]).refused();
    assert!(
        again.contains("is not empty; give --keep a new folder"),
        "{again}"
    );
}

/// What left was measured, what was refused was measured to be too much, and a family is told.
fn research_is_told(seen: &Value) {
    let verdict = |of: &str, name: &str| {
        let verdicts = seen[of]["verdicts"].as_array().unwrap();
        let found = verdicts.iter().find(|verdict| verdict["attack"] == name);
        found.unwrap().clone()
    };
    let exceeded = seen["refused"]["exceeded"].as_array().unwrap();
    assert!(!exceeded.is_empty(), "{}", seen["refused"]);
    for name in exceeded {
        let verdict = verdict("refused", name.as_str().unwrap());
        assert_eq!(verdict["held"], false);
        assert!(verdict["measured"].as_f64().unwrap() >= verdict["limit"].as_f64().unwrap());
    }
    let linked = verdict("certified", "linkage-three-terms");
    assert_eq!(linked["held"], true);
    assert!(linked["measured"].as_f64().unwrap() < linked["limit"].as_f64().unwrap());
    assert_eq!(seen["certified"]["height"], seen["checked"]["height"]);
    assert!(seen["certified"]["released_at_least"].as_u64().unwrap() >= 5);
    assert!(seen["agreed"].as_u64() < seen["families"].as_u64());
    let releases = seen["family"]["releases"].as_array().unwrap();
    assert_eq!(releases.len(), 1, "{releases:?}");
    assert!(releases[0]["linked_percent"].as_f64().unwrap() > 0.0);
    let says = seen["family"]["says"].as_str().unwrap();
    assert!(says.contains("cannot be recalled"), "{says}");
    assert!((seen["counted"]["cost"].as_f64().unwrap() - 0.5).abs() < 1e-9);
}

/// The opening is what the nodes themselves said, and it is one to show.
fn diagnosis_is_shown(seen: &impl Fn(&str) -> Value) {
    let arrived = seen("findings arrive");
    let (truth, readings) = (&arrived["truth"], arrived["readings"].as_array().unwrap());
    assert_eq!(readings[0]["abstained"], true);
    let told: Vec<&Value> = readings.iter().filter(|r| !r["event"].is_null()).collect();
    assert!(told.iter().any(|reading| reading["first"] != *truth));
    assert_eq!(told.last().unwrap()["first"], *truth);
    assert_eq!(readings.last().unwrap()["first"], *truth);
    let statement = arrived["statement"].as_str().unwrap();
    assert!(statement.contains("not for clinical use"), "{statement}");

    let looked = seen("who reads");
    let family = looked["family"].as_str().unwrap();
    assert!(family.contains("clinician"), "{family}");
    let rows = looked["disclosures"].as_array().unwrap();
    let times = |who: &str, act: &str| {
        let is_it = |row: &&Value| row[0] == who && row[3].as_str().unwrap().starts_with(act);
        let row = rows.iter().find(is_it).unwrap();
        row[1].as_str().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(times("dr-ferrari", "differential:"), readings.len());
    assert!(times("node", "phenotype-profile:") >= readings.len());
    // That she was told of news is in the log too, once for each time.
    assert_eq!(times("dr-ferrari", "differential-changes:"), told.len());

    let reopened = seen("reopened");
    assert_eq!(reopened["first_after"], reopened["truth"]);
    assert_ne!(reopened["first_before"], reopened["truth"]);
    assert_eq!(reopened["cause"], "knowledge");
    assert_eq!(reopened["since"], reopened["findable_since"]);
    assert!(reopened["annotations_left_out"].as_u64().unwrap() > 0);

    let wrong = seen("wrong");
    assert_ne!(wrong["said"], wrong["truth"]);
    assert!(wrong["rank"].as_u64().unwrap() > 1);
}

/// A demo whose four nodes run.
fn started(below: &Path) -> Child {
    let demo = ithaca()
        .arg("demo")
        .env("TMPDIR", below)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("four nodes", || (nodes(below) == 4).then_some(()));
    demo
}

fn signal(child: &Child, signal: &str) {
    let told = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
}

#[test]
fn told_to_stop_it_leaves_neither_process_nor_folder() {
    let below = tempfile::tempdir().unwrap();
    let demo = started(below.path());
    signal(&demo, "-TERM");
    let mut output = demo.wait_with_output().unwrap();
    output.stdout.clear();
    let said = ended(output).refused();
    assert!(said.contains("its nodes are ended"), "{said}");
    assert_eq!(nodes(below.path()), 0);
    assert_eq!(fs::read_dir(below.path()).unwrap().count(), 0);
}

#[test]
fn killed_it_leaves_no_process() {
    let below = tempfile::tempdir().unwrap();
    let mut demo = started(below.path());
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_for("the nodes to end", || {
        (nodes(below.path()) == 0).then_some(())
    });
}
