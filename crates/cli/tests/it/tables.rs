//! `ithaca table`: what it prints of a made-up table, what it writes, what it refuses, and that no cell is in a message.

use crate::binary::{Ran, run};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// In every cell that names somebody or is out of place, so that it is found wherever it is shown.
const CANARY: &str = "Xanthippe";

const COLUMNS: &str = r#"
[columns]
name = { role = "identifying" }
age = { role = "quasi-identifying", intervals = [5, 20], below = 90 }
sex = { role = "quasi-identifying" }
place = { role = "quasi-identifying", hierarchy = "places.csv" }
diagnosis = { role = "sensitive", l = 2 }
visits = { role = "insensitive" }
[models]
k = 4
left_out = 0.1
"#;

/// A table of 80 people, its columns, and a hierarchy, in a folder.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let mut table = "name,age,sex,place,diagnosis,visits\n".to_owned();
        for n in 0..80_u32 {
            let (age, place) = (n * n % 97, n * 7 % 10);
            let sex = if n % 3 == 0 { "f" } else { "m" };
            let diagnosis = ["\"Marfan, classic\"", "Ehlers", "Loeys"][(n % 7 % 3) as usize];
            table += &format!("{CANARY} {n},{age},{sex},p{place},{diagnosis},{n}\n");
        }
        desk.put("people.csv", &table);
        let places = (0..10).map(|n| format!("p{n};district {};*\n", n / 4));
        desk.put("places.csv", &places.collect::<String>());
        desk.put("columns.toml", COLUMNS);
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn run(&self, what: &str, file: &str, more: &[&str]) -> Ran {
        let (file, columns) = (self.at(file), self.at("columns.toml"));
        let mut words = vec!["table".into(), what.into(), file.into_os_string()];
        words.extend(["--columns".into(), columns.into_os_string()]);
        words.extend(more.iter().map(Into::into));
        run(words)
    }

    fn recode(&self, more: &[&str]) -> Ran {
        let out = self.at("out.csv");
        let words: Vec<&str> = ["--out", out.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.run("recode", "people.csv", &words)
    }

    fn columns(&self, change: (&str, &str)) {
        let text = COLUMNS.replace(change.0, change.1);
        assert_ne!(text, COLUMNS, "nothing was changed");
        self.put("columns.toml", &text);
    }

    fn names(&self) -> Vec<String> {
        let each = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = each
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// By age, sex and place: how many rows, and which diagnoses. Diagnoses are as the file quotes them.
fn classes(file: &Path) -> BTreeMap<String, (u64, Vec<String>)> {
    let mut classes = BTreeMap::<String, (u64, Vec<String>)>::new();
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("age,sex,place,diagnosis,visits"));
    for line in lines {
        let mut cells = line.splitn(4, ',');
        let key: Vec<&str> = cells.by_ref().take(3).collect();
        let (diagnosis, _visits) = cells.next().unwrap().rsplit_once(',').unwrap();
        let (rows, diagnoses) = classes.entry(key.join(",")).or_default();
        *rows += 1;
        diagnoses.push(diagnosis.to_owned());
    }
    for (_, diagnoses) in classes.values_mut() {
        diagnoses.sort();
        diagnoses.dedup();
    }
    classes
}

#[test]
fn a_table_is_recoded_until_its_models_hold() {
    let desk = Desk::new();
    for way in ["local", "global"] {
        desk.columns((
            "left_out = 0.1",
            &format!("left_out = 0.1\nrecoding = '{way}'"),
        ));
        let said = desk.recode(&["--json"]).succeeded().out;
        let said: Value = serde_json::from_str(&said).unwrap();
        let (before, after) = (&said["before"], &said["after"]);
        let found = classes(&desk.at("out.csv"));
        assert!(found.values().all(|(rows, of)| *rows >= 4 && of.len() >= 2));
        let rows: u64 = found.values().map(|(rows, _)| rows).sum();
        assert_eq!(after["records"], rows);
        assert_eq!(after["classes"], found.len());
        assert_eq!(
            after["k"].as_u64(),
            found.values().map(|(rows, _)| *rows).min()
        );
        assert_eq!(said["left_out"], 80 - rows);
        assert!(rows >= 72);
        let average = |of: &Value| of["prosecutor"]["average"].as_f64().unwrap();
        assert!((average(after) - found.len() as f64 / rows as f64).abs() < 1e-12);
        assert!(average(before) > average(after));
        assert_eq!(before["records"], 80);
        let granularity = said["granularity"].as_f64().unwrap();
        assert!(granularity > 0.0 && granularity < 1.0);
        assert_eq!(said["proven_best"], way == "global");
        let text = fs::read_to_string(desk.at("out.csv")).unwrap();
        assert!(!text.contains(CANARY));
        // What was written can be measured as it is, and says the same.
        let columns = COLUMNS.replace("name = { role = \"identifying\" }\n", "");
        desk.put("columns.toml", &columns);
        let again = desk.run("risk", "out.csv", &["--json"]).succeeded().out;
        let again: Value = serde_json::from_str(&again).unwrap();
        for figure in ["records", "classes", "k", "prosecutor", "sizes", "marketer"] {
            assert_eq!(again[figure], after[figure], "{figure}");
        }
        assert_eq!(again["sensitive"][0]["l"], after["sensitive"][0]["l"]);
        fs::remove_file(desk.at("out.csv")).unwrap();
    }
}

#[test]
fn people_read_what_was_made() {
    let desk = Desk::new();
    let said = desk.run("risk", "people.csv", &[]).succeeded().out;
    for part in [
        "80 records in ",
        "holds: k = 1; diagnosis: l = 1",
        "prosecutor",
        "marketer",
        "█",
    ] {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
    assert!(
        !said.contains("journalist") && !said.contains(CANARY),
        "{said}"
    );
    let said = desk.recode(&[]).succeeded().out;
    for part in [
        "before\n",
        "after\n",
        "granularity 0.",
        "left out: ",
        "not anonymous",
    ] {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
    assert!(!said.contains(CANARY), "{said}");
    assert_eq!(
        desk.names(),
        ["columns.toml", "out.csv", "people.csv", "places.csv"]
    );
}

#[test]
fn a_population_and_a_sample_tell_the_journalists_risk() {
    let desk = Desk::new();
    desk.columns(("k = 4", "k = 4\nsampled = 0.1"));
    let said = desk.run("risk", "people.csv", &["--json"]).succeeded().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    let average = |of: &Value| of["average"].as_f64().unwrap();
    assert!(average(&said["journalist"]) < average(&said["prosecutor"]));

    // Everybody of the table twice, and columns in another order.
    let own = fs::read_to_string(desk.at("people.csv")).unwrap();
    let mut people = "place,age,sex\n".to_owned();
    for line in own.lines().skip(1).chain(own.lines().skip(1)) {
        let cells: Vec<&str> = line.split(',').collect();
        people += &format!("{},{},{}\n", cells[3], cells[1], cells[2]);
    }
    desk.put("all.csv", &people);
    desk.columns((
        "k = 4",
        "k_map = 6\nrecoding = 'global'\npopulation = 'all.csv'",
    ));
    let said = desk.run("risk", "people.csv", &["--json"]).succeeded().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    let half = average(&said["prosecutor"]) / 2.0;
    assert!((average(&said["journalist"]) - half).abs() < 1e-12);
    let said = desk.recode(&["--json"]).succeeded().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["after"]["k_map"].as_u64().unwrap() >= 6, "{said}");
    // Half of those who match are in it.
    for (presence, met) in [("0.5", true), ("0.4", false)] {
        let models = format!("presence = {presence}\nrecoding = 'global'\npopulation = 'all.csv'");
        desk.columns(("k = 4", &models));
        let out = desk.at("present.csv");
        let ran = desk.run("recode", "people.csv", &["--out", out.to_str().unwrap()]);
        assert_eq!((ran.code == 0, out.exists()), (met, met), "{ran:?}");
        let _ = fs::remove_file(out);
    }
    // With one level a column, whoever matches a class is one of it, twice.
    let found = classes(&desk.at("out.csv"));
    assert!(found.values().all(|(rows, _)| *rows >= 3));
}

/// A refusal names what, where and what to do, shows no cell, and leaves nothing behind.
#[test]
fn what_cannot_be_is_refused() {
    let desk = Desk::new();
    let own = fs::read_to_string(desk.at("people.csv")).unwrap();
    let check = |ran: Ran, parts: &[&str]| {
        let sentence = ran.refused();
        for part in parts {
            assert!(sentence.contains(part), "'{part}' is not in: {sentence}");
        }
        assert!(!sentence.contains(CANARY), "{sentence}");
        assert!(!desk.at("out.csv").exists());
        assert!(desk.names().iter().all(|name| !name.contains("part")));
    };
    let declared = |from: &str, to: &str, parts: &[&str]| {
        desk.columns((from, to));
        check(desk.recode(&[]), parts);
        desk.put("columns.toml", COLUMNS);
    };
    declared(
        "visits = { role = \"insensitive\" }\n",
        "",
        &["column 6 ", "has no role"],
    );
    declared(
        "insensitive\" }",
        "insensitive\" }\nheight = { role = 'insensitive' }",
        &["no column 'height'"],
    );
    declared(
        "insensitive\" }",
        "insensitive\", l = 2 }",
        &["line 8", "unknown field `l`"],
    );
    declared("l = 2", "l = 9", &["cannot be recoded", "ask for less"]);
    declared("k = 4", "k = 400", &["80 records are fewer than the 400"]);
    declared("k = 4", "k = 0", &["k is out of range"]);
    declared("k = 4", "k = 4\nk_map = 3", &["the population needs"]);
    declared("k = 4", "k = 4\npresence = 0.3", &["the population needs"]);
    declared("k = 4", "k = 4\nsampled = 2.0", &["models.sampled is 2"]);
    declared("[5, 20]", "[5, 12]", &["column 'age'", "12 is no multiple"]);
    declared("places.csv", "people.csv", &["row 1, column 'place'"]);
    desk.put(
        "broken.csv",
        &format!("{CANARY};x;*\np1;x;*\n{CANARY};y;*\n"),
    );
    declared(
        "places.csv",
        "broken.csv",
        &["the hierarchy ", "line 3", "line 1 already"],
    );
    declared("places.csv", "nowhere.csv", &["cannot read the hierarchy "]);
    desk.put(
        "columns.toml",
        "[columns]\nage = { role = 'quasi-identifying' }",
    );
    check(desk.recode(&[]), &["asks for nothing", "[models]"]);
    // Files mistaken for each other.
    desk.put("columns.toml", &own);
    check(desk.recode(&[]), &["columns.toml, line 1: "]);
    desk.put("columns.toml", COLUMNS);

    let table = |text: String, parts: &[&str]| {
        desk.put("people.csv", &text);
        check(desk.recode(&[]), parts);
        desk.put("people.csv", &own);
    };
    let rows = own.split_once('\n').unwrap().1.to_owned();
    table(rows.clone(), &["column 1 of the table ", "has no role"]);
    table(
        own.replace(",p3,", &format!(",{CANARY},")),
        &["row ", "column 'place'", "add it to the hierarchy"],
    );
    table(own.replace(",p3,", ",p3,,"), &["7 fields for 6 columns"]);
    table(
        own.replace(",p3,", &format!(",\"{CANARY},")),
        &["line ", "a quoted field"],
    );
    table(String::new(), &["is empty"]);
    table(
        "name,age,sex,place,diagnosis,visits\n".into(),
        &["has no rows"],
    );
    table(
        own.replace("visits\n", "name\n"),
        &["column 6 ", "the name of one before it"],
    );
    fs::write(desk.at("people.csv"), b"name\n\xff\n").unwrap();
    check(desk.recode(&[]), &["not in UTF-8"]);
    desk.put("people.csv", &own);

    desk.put("out.csv", "mine");
    let sentence = desk.recode(&[]).refused();
    assert!(
        sentence.contains("out.csv exists: name another file"),
        "{sentence}"
    );
    assert_eq!(fs::read_to_string(desk.at("out.csv")).unwrap(), "mine");
}
