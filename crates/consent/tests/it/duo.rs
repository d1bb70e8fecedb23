//! The vocabulary is DUO's, and the truth cases of another matcher hold.

use crate::studies::{curie, study_use};
use consent::duo::{MODIFIER, PERMISSION};
use consent::{
    Curie, DataUse, Duo, EthicsApproval, Label, Modifier, Organisation, Outcome, Permission,
    ResearchType, Sensitive, StudyUse, Topic, match_use,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/duo");
    std::fs::read(path.join(name)).unwrap()
}

/// The first three fields of a line: none of them holds a comma unless it is quoted.
fn fields(line: &str) -> [String; 3] {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields.truncate(3);
    fields.try_into().unwrap()
}

#[test]
fn every_term_is_there_with_its_shorthand_and_label() {
    let csv = zstd::decode_all(&*data("duo.csv.zst")).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let mut seen = BTreeSet::new();
    let mut headings = BTreeSet::new();
    for line in csv.lines().skip(1).filter(|line| line.starts_with("DUO:")) {
        let [id, shorthand, label] = fields(line);
        if shorthand.is_empty() {
            headings.insert(id);
            continue;
        }
        let term = Duo::from_id(&id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(
            (term.id(), term.as_str(), term.label()),
            (id.clone(), &*shorthand, &*label)
        );
        assert_eq!(shorthand.parse::<Duo>().unwrap(), term);
        assert_eq!(Duo::from_id(&id.replace(':', "_")), Some(term));
        assert!(seen.insert(term));
    }
    assert_eq!(seen, Duo::ALL.iter().copied().collect());
    assert_eq!(
        headings,
        [PERMISSION.to_owned(), MODIFIER.to_owned()].into()
    );
    for not in [
        "DUO:42",
        "DUO:0000001",
        "DUO:00000042",
        "duo:0000042",
        "0000042",
        "DUO:+000042",
    ] {
        assert_eq!(Duo::from_id(not), None, "{not}");
    }
}

#[test]
fn permissions_and_modifiers_are_what_duo_calls_so() {
    // DUO:0000001 and DUO:0000017, by the definitions in the file.
    let csv = String::from_utf8(zstd::decode_all(&*data("duo.csv.zst")).unwrap()).unwrap();
    for term in Duo::ALL {
        let line = csv.lines().find(|l| l.starts_with(&term.id())).unwrap();
        let says = line.contains("This data use permission");
        assert_eq!(term.is_permission(), says, "{term}");
        assert!(term.meaning().ends_with('.'), "{term}");
    }
}

#[test]
fn the_page_has_every_term() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/studies.md");
    let page = std::fs::read_to_string(page).unwrap();
    let told: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `DUO:"))
        .map(|line| line.split(" | ").take(2).collect::<Vec<_>>().join(" | "))
        .collect();
    let row = |term: &Duo| format!("| `{}` | {term}", term.id());
    assert_eq!(told, Duo::ALL.iter().map(row).collect());
}

/// What the other matcher's data set says, as conditions of use. Where it names no permission, it is the wider
/// question that is asked: whether its other conditions hold.
fn data_use(case: &Value) -> DataUse {
    let mut permission = Permission::GeneralResearch;
    let mut modifiers = Vec::new();
    for (key, value) in case["data"].as_object().unwrap() {
        match (&**key, value) {
            ("generalUse", Value::Bool(true)) => permission = Permission::GeneralResearch,
            ("hmbResearch", Value::Bool(true)) => permission = Permission::HealthResearch,
            ("populationOriginsAncestry", Value::Bool(true)) => permission = Permission::Ancestry,
            ("diseaseRestrictions", terms) => permission = Permission::Diseases(curies(terms)),
            ("nonProfitUse", Value::Bool(true)) => modifiers.push(Modifier::NonProfitOrganisation),
            ("commercialUse", Value::Bool(false)) => modifiers.push(Modifier::NonCommercial),
            ("nonProfitUse", Value::Bool(false)) | ("commercialUse", Value::Bool(true)) => {}
            other => panic!("{other:?}"),
        }
    }
    DataUse::of(permission, modifiers)
}

/// What the other matcher's research purpose says, as a study's declaration. One that says nothing but whether
/// it is for profit is taken for research of any kind.
fn declared(case: &Value) -> StudyUse {
    let mut study = StudyUse {
        research: BTreeSet::new(),
        sensitive: BTreeSet::new(),
        collaborates: false,
        ethics: None,
        ..study_use()
    };
    let purpose = case["purpose"].as_object().unwrap();
    for (key, value) in purpose {
        let yes = value == &Value::Bool(true);
        let sensitive = match &**key {
            "generalUse" if yes => {
                study.research.insert(ResearchType::General);
                None
            }
            "hmbResearch" if yes => {
                study.research.insert(ResearchType::Health);
                None
            }
            "populationOriginsAncestry" if yes => {
                study.research.insert(ResearchType::Ancestry);
                None
            }
            "methodsResearch" if yes => {
                study.research.insert(ResearchType::Methods);
                None
            }
            "diseaseRestrictions" => {
                study.research.insert(ResearchType::Disease);
                study.diseases = curies(value);
                None
            }
            "nonProfitUse" => {
                study.research.insert(ResearchType::General);
                if !yes {
                    study.organisation = Organisation::ForProfit;
                }
                None
            }
            // "By a commercial entity" is meant too.
            "commercialUse" if yes => {
                study.research.insert(ResearchType::General);
                study.commercial = true;
                study.organisation = Organisation::ForProfit;
                None
            }
            "collaboratorRequired" if yes => {
                study.collaborates = true;
                None
            }
            "ethicsApprovalRequired" if yes => {
                study.ethics = Some(EthicsApproval {
                    committee: Label::new("board").unwrap(),
                    reference: Label::new("1").unwrap(),
                });
                None
            }
            "other" | "secondaryOther" => {
                study.other = Some(Topic::new(value.as_str().unwrap()).unwrap());
                None
            }
            "controls" if yes => Some(Sensitive::Controls),
            "population" if yes => Some(Sensitive::Population),
            "gender" => Some(Sensitive::OneSex),
            "pediatric" if yes => Some(Sensitive::Children),
            "vulnerablePopulations" if yes => Some(Sensitive::Vulnerable),
            "illegalBehavior" if yes => Some(Sensitive::IllegalBehaviour),
            "sexualDiseases" if yes => Some(Sensitive::SexualHealth),
            "psychologicalTraits" if yes => Some(Sensitive::PsychologicalTraits),
            "notHealth" if yes => Some(Sensitive::NotHealth),
            "stigmatizeDiseases" if yes => Some(Sensitive::Stigma),
            other => panic!("{other}"),
        };
        study.sensitive.extend(sensitive);
    }
    study
}

fn curies(list: &Value) -> BTreeSet<Curie> {
    let list = list.as_array().unwrap().iter();
    list.map(|term| curie(term.as_str().unwrap())).collect()
}

#[test]
fn the_truth_cases_of_another_matcher_hold() {
    let cases: Vec<Value> = serde_json::from_slice(&data("matching-cases.json")).unwrap();
    let mut count = BTreeMap::new();
    for case in &cases {
        let ancestors: BTreeMap<Curie, BTreeSet<Curie>> = case
            .get("ancestors")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(term, above)| (curie(term), curies(above)))
            .collect();
        let lookup = |term: &Curie| ancestors.get(term).cloned();
        let expected = match case["expected"].as_str().unwrap() {
            "approve" => Outcome::Permitted,
            "deny" => Outcome::Denied,
            "abstain" => Outcome::ForAPerson,
            other => panic!("{other}"),
        };
        let matched = match_use(&data_use(case), &declared(case), &lookup);
        assert_eq!(matched.outcome, expected, "{case}: {matched:#?}");
        *count.entry(expected).or_insert(0) += 1;
    }
    let expected = [
        (Outcome::Permitted, 23),
        (Outcome::ForAPerson, 28),
        (Outcome::Denied, 15),
    ];
    assert_eq!(count, expected.into());
}
