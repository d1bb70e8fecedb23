//! `ithaca diagnose`: a case in, one answer out, as a page, as JSON and as HTML.

use crate::binary::{Ran, ended, ithaca, run};
use ontology::{Ontology, Shipped};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

const STATEMENT: &str = "Research and evaluation build. Not a diagnosis; not for clinical use; not CE-marked \
                         or FDA-cleared; for professionals who can review its basis.";

fn shipped(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/phenopackets");
    format!("{folder}/{name}.json.zst")
}

fn piped(input: &[u8], arguments: &[&str]) -> Ran {
    let mut child = ithaca()
        .args(["diagnose", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    ended(child.wait_with_output().unwrap())
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.succeeded().out).unwrap()
}

/// The statement and the rest are wrapped: words in one line.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_published_case_is_answered_by_its_findings_alone() {
    // CHARGE syndrome; its gene is in the case, and left out here.
    let case = shipped("PMID_17661815_Patient_B_III_3");
    let page = run(["diagnose", &case, "--without-genes"]).succeeded().out;
    let words = unwrapped(&page);
    assert!(words.starts_with(STATEMENT), "{page}");
    assert_eq!(words.matches("Not a diagnosis").count(), 1, "{page}");
    assert!(
        words.contains("Most probable by these findings: Charge syndrome (OMIM:214800),"),
        "{page}"
    );
    assert!(words.contains("recorded in the case, not used"), "{page}");
    assert!(words.contains("CHD7 (left out as asked)"), "{page}");
    assert!(words.contains("HPO 2025-01-16"), "{page}");
    for line in page.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(
        !page.contains('\x1b'),
        "no colour but on a terminal: {page}"
    );

    let alone = json(run(["diagnose", &case, "--without-genes", "--json"]));
    let with = json(run(["diagnose", &case, "--json"]));
    let first = |answer: &Value| {
        let first = &answer["candidates"][0];
        assert_eq!(first["id"], "OMIM:214800");
        first["probability"].as_f64().unwrap()
    };
    assert!(first(&with) > first(&alone) && first(&with) < 1.0);
}

#[test]
fn where_little_speaks_for_anything_it_abstains_first_of_all() {
    // Xia-Gibbs syndrome, which the findings alone do not give.
    let case = shipped("PMID_42136190_Case_5");
    let page = run(["diagnose", &case, "--without-genes"]).succeeded().out;
    let words = unwrapped(&page);
    let verdict = words.find("No diagnosis is suggested: the best candidate has");
    let ranked = words.find("CANDIDATES");
    assert!(verdict.is_some() && verdict < ranked, "{page}");
    let answer = json(run(["diagnose", &case, "--without-genes", "--json"]));
    assert_eq!(answer["abstained"]["reason"], "undecided");
    let best = answer["abstained"]["best"].as_f64().unwrap();
    assert!(best < answer["abstained"]["suggested_from"].as_f64().unwrap());
    assert_eq!(answer["candidates"][0]["probability"], best);
}

#[test]
fn everything_is_in_the_json_under_stable_names() {
    let answer = json(run([
        "diagnose",
        "--json",
        "--limit",
        "4",
        "--list",
        "Ectopia lentis, HP:0002616, arachnodactyly, tall stature, no microcephaly",
    ]));
    assert_eq!(answer["format"], "ithaca-differential/1");
    assert_eq!(answer["statement"], STATEMENT);
    assert_eq!(answer["abstained"], Value::Null);
    assert_eq!(
        answer["versions"]["sources"].as_array().map(Vec::len),
        Some(7)
    );
    let understood = &answer["understood"];
    assert_eq!(understood["format"], "list");
    assert_eq!(understood["observed"].as_array().map(Vec::len), Some(4));
    assert_eq!(understood["observed"][0]["id"], "HP:0001083");
    assert_eq!(understood["excluded"][0]["label"], "Microcephaly");
    let candidates = answer["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 4);
    let mut sum = answer["others"].as_f64().unwrap();
    for (at, candidate) in candidates.iter().enumerate() {
        assert_eq!(candidate["rank"], at + 1);
        sum += candidate["probability"].as_f64().unwrap();
    }
    assert!((sum - 1.0).abs() < 1e-9, "fractions of one: {sum}");
    let evidence = &candidates[0]["evidence"];
    for list in ["for", "against", "missing"] {
        assert!(evidence[list].is_array(), "{evidence}");
    }
    let first = &evidence["for"][0];
    assert!(first["log_likelihood_ratio"].as_f64().unwrap() > 0.0);
    assert!(first["matched"]["frequency"].as_f64().unwrap() <= 1.0);
    for next in answer["next"].as_array().unwrap() {
        assert!(["examine", "ask", "test"].contains(&next["way"].as_str().unwrap()));
        assert!((0.0..=1.0).contains(&next["gain_bits"].as_f64().unwrap()));
    }
}

#[test]
fn a_laboratory_value_is_a_candidate_and_ranks_nothing() {
    let bundle = br#"{"resourceType":"Bundle","type":"collection","entry":[
        {"resource":{"resourceType":"Patient","id":"p","gender":"female"}},
        {"resource":{"resourceType":"Observation","id":"k","status":"final","subject":{"reference":"Patient/p"},
         "code":{"coding":[{"system":"http://loinc.org","code":"2823-3"}]},
         "interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"H"}]}]}}]}"#;
    let answer = json(piped(bundle, &["--json"]));
    let understood = &answer["understood"];
    assert_eq!(
        understood["suggested"][0]["id"], "HP:0002153",
        "{understood}"
    );
    assert_eq!(understood["suggested"][0]["basis"], "laboratory");
    assert_eq!(understood["observed"], Value::Array(Vec::new()));
    assert_eq!(answer["abstained"]["reason"], "no_findings");
    let page = unwrapped(&piped(bundle, &[]).succeeded().out);
    assert!(
        page.contains("not ranked by until repeated or confirmed"),
        "{page}"
    );
}

#[test]
fn standard_input_may_be_a_list_or_a_phenopacket() {
    let list = piped(b"Seizure\n-Microcephaly\nsex: female\n", &["--json"]);
    let list = json(list);
    assert_eq!(list["understood"]["sex"], "female");
    assert_eq!(list["understood"]["excluded"][0]["id"], "HP:0000252");
    let packed = fs::read(shipped("PMID_17661815_Patient_B_III_3")).unwrap();
    let packet = zstd::decode_all(packed.as_slice()).unwrap();
    let packet = json(piped(&packet, &["--json"]));
    assert_eq!(packet["understood"]["format"], "phenopacket");
    assert_eq!(packet["candidates"][0]["id"], "OMIM:214800");
}

#[test]
fn the_html_stands_alone_and_what_it_shows_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let write = |more: &[&str]| {
        let list = "Ectopia lentis\nArachnodactyly\n<script>alert('x')</script>\n\"&<b>\n";
        let mut words = vec!["--html", file.to_str().unwrap()];
        words.extend(more);
        piped(list.as_bytes(), &words)
    };
    write(&[]).succeeded();
    let html = fs::read_to_string(&file).unwrap();
    assert!(
        html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"),
        "{html}"
    );
    assert!(
        html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
        "{html}"
    );
    assert!(
        html.contains(STATEMENT) && html.contains("scope=\"col\""),
        "{html}"
    );
    for forbidden in ["<script", "<b>", "http://", "https://", "src=", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    balanced(&html);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    // Not written over, unless that is asked for.
    fs::write(&file, "mine").unwrap();
    let sentence = write(&[]).refused();
    assert!(
        sentence.contains("exists") && sentence.contains("--force"),
        "{sentence}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    write(&["--force"]).succeeded();
    assert_eq!(fs::read_to_string(&file).unwrap(), html);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Every element that is opened is closed, in order.
#[track_caller]
fn balanced(html: &str) {
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.starts_with('!') {
            let name = tag.split(' ').next().unwrap();
            if name != "meta" {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_is_not_understood_is_said_with_suggestions() {
    let ran = piped(b"HP:9999999\nseizur\nArachnodactyly\n", &[]).succeeded();
    let page = unwrapped(&ran.out);
    assert!(page.contains("Not understood 2"), "{page}");
    assert!(
        page.contains("line 1: \"HP:9999999\": no term has this id"),
        "{page}"
    );
    assert!(page.contains("Perhaps: Seizure (HP:0001250)"), "{page}");
    assert!(page.contains("Observed 1 Arachnodactyly"), "{page}");
    // Nothing but that: an answer all the same, which says so.
    let none = unwrapped(&piped(b"HP:9999999\n", &[]).succeeded().out);
    assert!(
        none.contains("there is no observed finding to rank by"),
        "{none}"
    );
}

#[test]
fn a_contradiction_is_said_with_how_it_was_decided() {
    let list = b"Focal-onset seizure\nno seizures\nMicrocephaly\n-Microcephaly\n";
    let answer = json(piped(list, &["--json"]));
    let said = answer["understood"]["contradictions"].as_array().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said.iter().all(|one| one["decision"] == "observed"),
        "{said:?}"
    );
    assert_eq!(answer["understood"]["excluded"], Value::Array(Vec::new()));
    let page = unwrapped(&piped(list, &[]).succeeded().out);
    assert!(
        page.contains("Microcephaly was said both ways: it was seen"),
        "{page}"
    );
}

#[test]
fn what_cannot_be_read_is_refused_without_repeating_it() {
    for (input, expect) in [
        (&b""[..], "there is nothing in the input"),
        (b" \n ", "there is nothing in the input"),
        (b"{\"id\": \"Jane Roe\", ", "line 1"),
        (b"[1]", "list in JSON"),
        (b"\xff\xfe", "not text"),
        (b"{\"resourceType\": \"Jane\"}", ""),
    ] {
        let sentence = piped(input, &[]).refused();
        assert!(sentence.contains(expect), "{expect}: {sentence}");
        assert!(!sentence.contains("Jane"), "{sentence}");
    }
    let sentence = run(["diagnose", "/nowhere/case.json"]).refused();
    assert!(
        sentence.contains("cannot read /nowhere/case.json"),
        "{sentence}"
    );
    // Neither a case nor a list; both.
    assert_eq!(run(["diagnose"]).code, 2);
    assert_eq!(run(["diagnose", "-", "--list", "Seizure"]).code, 2);
    // A case without findings is read, and answered.
    let answer = json(piped(
        b"{\"id\": \"x\", \"subject\": {\"id\": \"y\"}}",
        &["--json"],
    ));
    assert_eq!(answer["abstained"]["reason"], "no_findings");
    assert_eq!(answer["others"], 1.0);
}

#[test]
fn five_thousand_findings_are_answered_and_one_more_is_refused() {
    let ontology = Ontology::from_sources(&Shipped::unpack().sources()).unwrap();
    let below = ontology.descendants(ontology.roots().phenotypic_abnormality);
    let ids: Vec<String> = below[1..]
        .iter()
        .map(|&(term, _)| ontology.term(term).id().to_string())
        .collect();
    let answer = json(piped(ids[..5_000].join("\n").as_bytes(), &["--json"]));
    assert_eq!(
        answer["understood"]["observed"].as_array().map(Vec::len),
        Some(5_000)
    );
    assert_eq!(answer["candidates"].as_array().map(Vec::len), Some(10));
    // So many were never fitted on: that is said.
    let note = answer["understood"]["notes"][0].as_str().unwrap();
    assert!(note.contains("do not rely on them"), "{note}");
    let sentence = piped(ids[..5_001].join("\n").as_bytes(), &[]).refused();
    assert!(sentence.contains("5000"), "{sentence}");
}

#[test]
fn whoever_stops_reading_has_read_enough() {
    let mut child = ithaca()
        .args([
            "diagnose",
            "--json",
            "--limit",
            "60",
            "--list",
            "Seizure, Microcephaly",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(status.success() && said.is_empty(), "{status}: {said}");
}

#[test]
fn another_index_is_named_in_the_answer_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let damaged: PathBuf = folder.path().join("index");
    fs::write(&damaged, b"no index").unwrap();
    let arguments = |index: &Path| {
        let index = index.display().to_string();
        ["diagnose", "--list", "Seizure", "--index"]
            .map(str::to_owned)
            .into_iter()
            .chain([index])
            .collect::<Vec<_>>()
    };
    let sentence = run(arguments(&damaged)).refused();
    assert!(sentence.contains("is refused"), "{sentence}");
    let made = folder.path().join("made");
    let made_with = ["ontology", "import", "--out"].map(str::to_owned);
    let loinc = folder.path().join("loinc.tsv");
    let header = "loincId\tloincScale\toutcome\thpoTermId\tsupplementalTermId\tcuration\tcomment\n";
    fs::write(
        &loinc,
        format!("{header}704-7\tQn\tH\tHP:0001250\t.\tHPO:x[2018-05-10]\t.\n"),
    )
    .unwrap();
    let import = made_with.into_iter().chain([
        made.display().to_string(),
        "--loinc".to_owned(),
        loinc.display().to_string(),
    ]);
    run(import).succeeded();
    let mut words = arguments(&made);
    words.push("--json".to_owned());
    let own = json(run(["diagnose", "--list", "Seizure", "--json"]));
    let other = json(run(words));
    let digest = |answer: &Value| answer["versions"]["sources"][6]["xxh3_128"].clone();
    assert_ne!(digest(&own), digest(&other));
}
