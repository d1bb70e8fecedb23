//! Laboratory results: candidates, repetitions, confirmations.

use crate::resources::{HPO, bundle, condition};
use crate::{id, of, read};
use findings::{Basis, Case, Decision, LeftOut, State};
use serde_json::{Value, json};

/// Haemoglobin; the terms for low and for a normal one.
const HEMOGLOBIN: &str = "718-7";
const LOW: &str = "HP:0020062";
const ABNORMAL: &str = "HP:0020061";

fn result(id: &str, loinc: &str, date: &str, rest: Value) -> Value {
    let mut observation = json!({"resourceType": "Observation", "id": id, "status": "final", "effectiveDateTime": date,
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]}});
    for (name, value) in rest.as_object().unwrap() {
        observation[name] = value.clone();
    }
    observation
}

pub(crate) fn interpreted(id: &str, date: &str, code: &str) -> Value {
    result(
        id,
        HEMOGLOBIN,
        date,
        json!({"interpretation": interpretation(code)}),
    )
}

fn interpretation(code: &str) -> Value {
    json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": code}]}])
}

fn shown(case: &Case) -> Vec<(String, State, Basis)> {
    case.findings
        .iter()
        .map(|f| (id(f.term), f.state, f.basis))
        .collect()
}

#[track_caller]
fn check(resources: Vec<Value>, expect: &[(&str, State, Basis)]) -> Case {
    let case = read(&bundle(resources));
    let found = shown(&case);
    let found: Vec<_> = found
        .iter()
        .map(|(id, state, basis)| (id.as_str(), *state, *basis))
        .collect();
    assert_eq!(found, expect);
    case
}

const ONCE: (&str, State, Basis) = (LOW, State::Candidate, Basis::Laboratory);
const TWICE: (&str, State, Basis) = (LOW, State::Observed, Basis::LaboratoryRepeated);

#[test]
fn one_value_is_a_candidate_and_another_day_repeats_it() {
    let case = check(vec![interpreted("1", "2020-01-01", "L")], &[ONCE]);
    assert_eq!(case.findings[0].as_given, "LOINC 718-7 low");
    assert_eq!(
        case.findings[0].sources[0].place.to_string(),
        "Observation/1"
    );
    assert_eq!(
        case.findings[0].sources[0].date.unwrap().to_string(),
        "2020-01-01"
    );
    let second = |date| {
        vec![
            interpreted("1", "2020-01-01", "L"),
            interpreted("2", date, "LL"),
        ]
    };
    check(second("2020-01-02T08:00:00Z"), &[TWICE]);
    check(second("2019"), &[TWICE]);
    // The same day, perhaps the same day, or no day at all does not.
    for date in ["2020-01-01T23:00:00Z", "2020-01", "2020", "unknown"] {
        check(second(date), &[ONCE]);
    }
    // Nor does the same Observation sent again, nor another direction.
    check(
        vec![
            interpreted("1", "2020-01-01", "L"),
            interpreted("1", "2020-01-02", "L"),
        ],
        &[ONCE],
    );
    let high = ("HP:0001900", State::Candidate, Basis::Laboratory);
    check(
        vec![
            interpreted("1", "2020-01-01", "L"),
            interpreted("2", "2020-01-02", "H"),
        ],
        &[ONCE, high],
    );
    let newest_first = read(&bundle(second("2021-01-01")));
    let dates = newest_first.findings[0]
        .sources
        .iter()
        .map(|s| s.date.unwrap().to_string());
    assert_eq!(dates.collect::<Vec<_>>(), ["2021-01-01", "2020-01-01"]);
}

#[test]
fn a_person_confirms() {
    let low = || interpreted("1", "2020-01-01", "L");
    let stated = |code, status| condition("c", HPO, code, status, "2020-01-01");
    let confirmed = (LOW, State::Observed, Basis::LaboratoryConfirmed);
    check(vec![low(), stated(LOW, "confirmed")], &[confirmed]);
    check(vec![low(), stated(LOW, "provisional")], &[ONCE]);
    // A wider statement confirms no direction.
    check(
        vec![low(), stated(ABNORMAL, "confirmed")],
        &[ONCE, (ABNORMAL, State::Observed, Basis::Stated)],
    );
    // A narrower one confirms what it is a kind of: hyponatremia of a wider "abnormal sodium".
    let sodium = result(
        "1",
        "2951-2",
        "2020-01-01",
        json!({"interpretation": interpretation("A")}),
    );
    let expect = [
        ("HP:0010931", State::Observed, Basis::LaboratoryConfirmed),
        ("HP:0002902", State::Observed, Basis::Stated),
    ];
    check(vec![sodium, stated("HP:0002902", "confirmed")], &expect);
    // Excluded by a person, low once: open.
    let case = check(vec![low(), stated(LOW, "refuted")], &[ONCE]);
    assert_eq!(case.contradictions[0].decision, Decision::Open);
    let case = check(
        vec![low(), stated(ABNORMAL, "refuted")],
        &[ONCE, (ABNORMAL, State::CandidateExcluded, Basis::Stated)],
    );
    assert_eq!(case.contradictions.len(), 1);
}

#[test]
fn normal_excludes_the_wider_term_once_it_is_repeated() {
    let normal = |id, date| interpreted(id, date, "N");
    check(
        vec![normal("1", "2020-01-01")],
        &[(ABNORMAL, State::CandidateExcluded, Basis::Laboratory)],
    );
    check(
        vec![normal("1", "2020-01-01"), normal("2", "2020-01-02")],
        &[(ABNORMAL, State::Excluded, Basis::LaboratoryRepeated)],
    );
    // Low on one day and normal on two: open. Low on two days: it is there.
    let two = || {
        vec![
            normal("1", "2020-01-01"),
            normal("2", "2020-01-02"),
            interpreted("3", "2020-01-03", "L"),
        ]
    };
    let case = check(
        two(),
        &[
            (
                ABNORMAL,
                State::CandidateExcluded,
                Basis::LaboratoryRepeated,
            ),
            ONCE,
        ],
    );
    assert_eq!(case.contradictions[0].decision, Decision::Open);
    let mut three = two();
    three.push(interpreted("4", "2020-01-04", "L"));
    let case = check(three, &[TWICE]);
    assert_eq!(
        (
            case.contradictions[0].decision,
            id(case.contradictions[0].absent).as_str()
        ),
        (Decision::Observed, ABNORMAL)
    );
    assert_eq!(case.contradictions[0].not_followed.len(), 2);
}

#[test]
fn interpretations_of_every_kind() {
    let says = |loinc: &str, code: &str| {
        let case = read(&bundle(vec![result(
            "1",
            loinc,
            "2020",
            json!({"interpretation": interpretation(code)}),
        )]));
        shown(&case)
            .first()
            .map(|(id, state, _)| (id.clone(), *state))
    };
    let is = |id: &str, state| Some((id.to_owned(), state));
    for high in ["H", "HH", "HU"] {
        assert_eq!(says("2951-2", high), is("HP:0003228", State::Candidate));
    }
    for low in ["L", "LL", "LU"] {
        assert_eq!(says("2951-2", low), is("HP:0002902", State::Candidate));
    }
    assert_eq!(says("2951-2", "AA"), is("HP:0010931", State::Candidate));
    assert_eq!(
        says("2951-2", "NEG"),
        is("HP:0010931", State::CandidateExcluded)
    );
    // Not detected of an amount may be too little; abnormal GGT has no wider term than high.
    for (loinc, code) in [
        ("2951-2", "ND"),
        ("2324-2", "A"),
        ("2951-2", "POS"),
        ("21000-5", "L"),
        ("2951-2", "B"),
        ("8302-2", "H"),
    ] {
        assert_eq!(says(loinc, code), None, "{loinc} {code}");
    }
    for (code, state) in [
        ("POS", State::Candidate),
        ("NEG", State::CandidateExcluded),
        ("N", State::CandidateExcluded),
    ] {
        assert_eq!(says("600-7", code), is("HP:0031864", state));
    }
    let several = json!({"interpretation": [interpretation("N")[0], interpretation("L")[0]]});
    let case = read(&bundle(vec![result("1", HEMOGLOBIN, "2020", several)]));
    assert_eq!(case.left_out.get(&LeftOut::InterpretationsDiffer), Some(&1));
    let several = json!({"interpretation": [interpretation("A")[0], interpretation("L")[0]]});
    check(vec![result("1", HEMOGLOBIN, "2020", several)], &[ONCE]);
}

/// What a haemoglobin value with these ranges says: -1, 0, 1 or nothing.
fn ranged(value: Value, ranges: Value) -> Option<i8> {
    let patient = json!({"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "2010-01-01"});
    let case = read(&bundle(vec![
        patient,
        result(
            "1",
            HEMOGLOBIN,
            "2020-01-01",
            json!({"valueQuantity": value, "referenceRange": ranges}),
        ),
    ]));
    let [finding] = case.findings.as_slice() else {
        assert_eq!(case.left_out.get(&LeftOut::NotInterpreted), Some(&1));
        return None;
    };
    assert!(matches!(
        finding.state,
        State::Candidate | State::CandidateExcluded
    ));
    Some(match id(finding.term).as_str() {
        LOW => -1,
        ABNORMAL => 0,
        _ => 1,
    })
}

#[test]
fn a_value_against_its_own_range() {
    let g = |value: f64| json!({"value": value, "unit": "g/dL", "code": "g/dL"});
    let usual = || json!([{"low": g(12.0), "high": g(16.0)}]);
    for (value, expect) in [(11.9, -1), (12.0, 0), (16.0, 0), (16.1, 1), (-1e300, -1)] {
        assert_eq!(ranged(g(value), usual()), Some(expect), "{value}");
    }
    let mut below = g(12.0);
    below["comparator"] = json!("<");
    assert_eq!(ranged(below.clone(), usual()), Some(-1));
    below["value"] = json!(13);
    assert_eq!(ranged(below.clone(), usual()), None);
    assert_eq!(ranged(below, json!([{"high": g(16.0)}])), Some(0));
    assert_eq!(
        ranged(json!({"value": 119, "unit": "g/L"}), usual()),
        None,
        "another unit"
    );
    assert_eq!(
        ranged(
            g(11.0),
            json!([{"low": {"value": 12}, "high": {"value": 16}}])
        ),
        Some(-1),
        "no unit"
    );
    assert_eq!(ranged(g(11.0), json!([{"text": "12 - 16"}])), None);
    assert_eq!(
        ranged(
            g(11.0),
            json!([{"low": g(12.0), "type": {"coding": [{"code": "treatment"}]}}])
        ),
        None
    );
    let of_sex =
        |sex: &str, low| json!({"low": g(low), "appliesTo": [{"coding": [{"code": sex}]}]});
    assert_eq!(
        ranged(
            g(12.5),
            json!([of_sex("male", 13.0), of_sex("female", 12.0)])
        ),
        Some(0)
    );
    let of_age = |low, high, from| json!({"low": g(from), "age": {"low": {"value": low, "code": "a"}, "high": {"value": high, "code": "a"}}});
    assert_eq!(
        ranged(g(12.5), json!([of_age(5, 15, 11.5), of_age(16, 99, 13.0)])),
        Some(0)
    );
    assert_eq!(
        ranged(g(12.5), json!([{"low": g(12.0)}, {"low": g(13.0)}])),
        None,
        "ranges differ"
    );
    assert_eq!(ranged(json!({"unit": "g/dL"}), usual()), None);
}

fn example(name: &str) -> String {
    let path = format!("{}/testdata/{name}.json.zst", env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::read(path).unwrap();
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

#[test]
fn official_examples() {
    let case = read(&example("Observation-f005"));
    assert_eq!(of(&case, State::Candidate), [LOW]);
    assert_eq!(
        of(&read(&example("Observation-f206")), State::Candidate),
        ["HP:0031864"]
    );
    let case = read(&example("Observation-f202"));
    assert_eq!(case.left_out.get(&LeftOut::EnteredInError), Some(&1));
}

#[test]
fn a_blood_count_and_chemistry_of_one_day() {
    let case = read(&example("Bundle-ghp"));
    let mut candidates: Vec<_> = case
        .findings
        .iter()
        .filter(|f| f.state == State::Candidate)
        .map(|f| (f.as_given.as_str(), id(f.term)))
        .collect();
    candidates.sort_unstable();
    // Read off the document by hand: interpreted, and basophils 0.92 over 0.21.
    let expect = [
        ("LOINC 14933-6 high", "HP:0002149"), // hyperuricemia
        ("LOINC 1742-6 high", "HP:0031964"),  // elevated ALT
        ("LOINC 4544-3 high", "HP:0001899"),  // increased hematocrit
        ("LOINC 704-7 high", "HP:0031807"),   // increased basophils
        ("LOINC 711-2 high", "HP:0001880"),   // eosinophilia
        ("LOINC 731-0 low", "HP:0001888"),    // lymphopenia
        ("LOINC 751-8 low", "HP:0001875"),    // neutropenia
        ("LOINC 785-6 high", "HP:0025548"),   // increased MCH
        ("LOINC 787-2 high", "HP:0005518"),   // increased MCV
    ];
    let found: Vec<_> = candidates
        .iter()
        .map(|(given, id)| (*given, id.as_str()))
        .collect();
    assert_eq!(found, expect);
    let normal = of(&case, State::CandidateExcluded);
    for term in ["HP:0020061", "HP:0010931", "HP:0011042", "HP:0004363"] {
        assert!(normal.iter().any(|id| id == term), "{term}");
    }
    assert!(of(&case, State::Observed).is_empty() && of(&case, State::Excluded).is_empty());
}
