//! Many documents of one person: split Bundles, projections, and what each says of the others.

use crate::corpus::{sample, shipped, with_ranges};
use crate::laboratory::interpreted;
use crate::resources::{HPO, bundle, condition};
use crate::{ONTOLOGY, id, of};
use findings::{
    Basis, Case, Decision, Document, Error, Format, LeftOut, MAX_DOCUMENTS, MAX_DOCUMENTS_BYTES,
    MAX_FINDINGS, MAX_GENES, Place, State, When, Why,
};
use ontology::Sex;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Documents with names.
type Records = Vec<(String, Vec<u8>)>;

fn try_all(records: &[(String, Vec<u8>)]) -> Result<Case, Error> {
    let documents: Vec<Document<'_>> = records
        .iter()
        .map(|(name, bytes)| Document { name, bytes })
        .collect();
    findings::read_all(&documents, &ONTOLOGY)
}

fn read_all(records: &[(String, Vec<u8>)]) -> Case {
    let case = try_all(records).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(case.format, Format::Records);
    case
}

/// Documents with the names `r0`, `r1`, and so on.
fn numbered(documents: impl IntoIterator<Item = Value>) -> Records {
    let named = documents.into_iter().enumerate();
    named
        .map(|(at, document)| (format!("r{at}"), document.to_string().into_bytes()))
        .collect()
}

fn patient(gender: &str, born: &str) -> Value {
    json!({"resourceType": "Patient", "id": "p", "gender": gender, "birthDate": born})
}

fn seizure(id: &str, status: &str, date: &str) -> Value {
    condition(id, HPO, "HP:0001250", status, date)
}

/// A phenopacket of findings with onsets, each `id` or `id@P1Y`; `!` before an exclusion.
fn packet(findings: &[&str]) -> Value {
    let feature = |finding: &&str| {
        let (id, onset) = finding.split_once('@').unwrap_or((finding, ""));
        let bare = id.trim_start_matches('!');
        let mut feature = json!({"type": {"id": bare}, "excluded": bare != id});
        if !onset.is_empty() {
            feature["onset"] = json!({"age": {"iso8601duration": onset}});
        }
        feature
    };
    let features: Vec<Value> = findings.iter().map(feature).collect();
    json!({"id": "made-up", "phenotypicFeatures": features})
}

/// What must be the same however a case is cut into documents, in an order of its own.
#[derive(PartialEq, Debug)]
struct Essence {
    findings: BTreeSet<String>,
    person: (Option<Sex>, Option<When>, Option<When>),
    genes: BTreeSet<String>,
    variants: BTreeSet<String>,
    diagnoses: BTreeSet<String>,
    unresolved: BTreeSet<(String, bool, Why)>,
    contradictions: BTreeSet<String>,
    left_out: Vec<(LeftOut, usize)>,
}

fn essence(case: &Case) -> Essence {
    let when = |when: Option<When>| match when {
        None => String::new(),
        Some(When::Class(term)) => id(term),
        Some(When::Days { from, to }) => format!("{from}-{to}"),
    };
    let finding = |f: &findings::Finding| {
        let modifiers: Vec<String> = f.modifiers.iter().map(|&m| id(m)).collect();
        let dates: Vec<String> = f
            .sources
            .iter()
            .map(|s| s.date.map_or_else(String::new, |date| date.to_string()))
            .collect();
        let (state, basis, count) = (f.state, f.basis, f.source_count);
        let (term, onset) = (id(f.term), when(f.onset));
        format!("{term} {state:?} {basis:?} {onset} {modifiers:?} {count} {dates:?}")
    };
    let gene = |g: &findings::CandidateGene| {
        let (status, class) = (g.status, g.pathogenicity);
        format!("{} {} {status:?} {class:?}", g.symbol, g.id)
    };
    let variant = |v: &findings::Variant| {
        let (status, class) = (v.status, v.pathogenicity);
        format!(
            "{} {} {:?} {:?} {:?} {status:?} {class:?}",
            v.symbol, v.id, v.expressions, v.vcf, v.zygosity
        )
    };
    let diagnosis = |d: &findings::RecordedDiagnosis| {
        format!("{} {} {} {:?}", d.id, d.label, d.excluded, d.progress)
    };
    let contradiction = |c: &findings::Contradiction| {
        let (present, absent) = (id(c.present), id(c.absent));
        format!("{present} {absent} {:?}", c.decision)
    };
    Essence {
        findings: case.findings.iter().map(finding).collect(),
        person: (case.sex, case.age, case.onset),
        genes: case.genes.iter().map(gene).collect(),
        variants: case.variants.iter().map(variant).collect(),
        diagnoses: case.recorded_diagnoses.iter().map(diagnosis).collect(),
        unresolved: case
            .unresolved
            .iter()
            .map(|u| (u.as_given.clone(), u.excluded, u.why))
            .collect(),
        contradictions: case.contradictions.iter().map(contradiction).collect(),
        left_out: case.left_out.iter().map(|(&w, &n)| (w, n)).collect(),
    }
}

#[track_caller]
fn same(name: &str, whole: &[u8], parts: &[(String, Vec<u8>)]) {
    let whole = findings::read(whole, &ONTOLOGY).unwrap();
    assert_eq!(essence(&read_all(parts)), essence(&whole), "{name}");
}

/// The resources of a Bundle, last first.
fn resources(source: &[u8]) -> Vec<Value> {
    let document: Value = serde_json::from_slice(source).unwrap();
    let entries = document["entry"].as_array().unwrap().iter().rev();
    entries.map(|entry| entry["resource"].clone()).collect()
}

/// Each category of each resource of a Bundle as a document of its own.
fn resource_projections(source: &[u8]) -> Records {
    let mut parts = Vec::new();
    for (at, resource) in resources(source).iter().enumerate() {
        let bytes = resource.to_string().into_bytes();
        for (category, part) in fhir::Parsed::parse(&bytes).unwrap().projections() {
            parts.push((format!("{category} of {at}"), part));
        }
    }
    parts
}

fn packet_projections(source: &[u8]) -> Records {
    let parsed = phenopacket::Parsed::parse(source).unwrap();
    let named = |(category, part): (codec::Category, Vec<u8>)| (category.to_string(), part);
    parsed.projections().into_iter().map(named).collect()
}

/// Cuts a patient's Bundle in both ways; how many findings it has.
fn check_patient(name: &str, source: &[u8]) -> usize {
    let (ranged, _) = with_ranges(source);
    for whole in [source, &ranged] {
        same(name, whole, &numbered(resources(whole)));
        same(name, whole, &resource_projections(whole));
        same(name, whole, &[("all".to_owned(), whole.to_vec())]);
    }
    read_all(&numbered(resources(&ranged))).findings.len()
}

/// Cuts a phenopacket; what only its phenotype says.
fn check_packet(name: &str, source: &[u8]) {
    let parts = packet_projections(source);
    assert!(parts.len() > 1, "{name}");
    same(name, source, &parts);
    same(name, source, &[("all".to_owned(), source.to_vec())]);
    let whole = essence(&findings::read(source, &ONTOLOGY).unwrap());
    let phenotype: Records = parts
        .into_iter()
        .filter(|(category, _)| *category == codec::Category::Phenotype.to_string())
        .collect();
    let case = read_all(&phenotype);
    let (genes, left_out) = (case.genes.len(), case.left_out.get(&LeftOut::Unreadable));
    assert_eq!((genes, left_out), (0, None), "{name}");
    let part = essence(&case);
    assert_eq!(part.findings, whole.findings, "{name}");
    assert_eq!(part.diagnoses, whole.diagnoses, "{name}");
}

#[test]
fn a_bundle_and_its_resources_say_the_same() {
    let patients = shipped("fhir");
    let with_findings = patients
        .iter()
        .filter(|(name, source)| check_patient(name, source) > 0);
    assert!(with_findings.count() > 0);
    let packed = include_bytes!("../../testdata/Bundle-ghp.json.zst");
    let source = zstd::decode_all(packed.as_slice()).unwrap();
    assert!(check_patient("ghp", &source) > 5);
}

#[test]
fn a_phenopacket_and_its_projections_say_the_same() {
    for (name, source) in shipped("phenopackets") {
        check_packet(&name, &source);
    }
}

#[test]
fn the_development_samples_say_the_same() {
    if let Some(files) = sample("phenopackets/phenopacket-store-dev.tar.zst") {
        for (name, source) in files.iter().filter(|(name, _)| !name.ends_with("LICENSE")) {
            check_packet(name, source);
        }
    }
    for (name, source) in sample("fhir/synthea-dev.tar.zst").unwrap_or_default() {
        check_patient(&name, &source);
    }
}

/// What stands in one projection and is needed in another.
#[test]
fn dates_and_descriptions_are_in_another_projection() {
    let source = json!({"id": "made-up", "subject": {"id": "x", "sex": "MALE", "dateOfBirth": "2010-01-01T00:00:00Z",
            "timeAtLastEncounter": {"timestamp": "2012-01-01T00:00:00Z"}},
        "phenotypicFeatures": [{"type": {"id": "HP:0001250"}, "description": "a note", "onset": {"timestamp": "2011-01-01T00:00:00Z"}},
            {"description": "another note", "type": {"id": "SNOMEDCT:271737000", "label": "Anemia"}}],
        "interpretations": [{"id": "i", "summary": "a text", "diagnosis": {"disease": {"id": "OMIM:607208"}, "genomicInterpretations": [
            {"subjectOrBiosampleId": "x", "interpretationStatus": "CANDIDATE", "gene": {"valueId": "HGNC:10585", "symbol": "SCN1A"}}]}}]})
    .to_string()
    .into_bytes();
    let parts = packet_projections(&source);
    assert_eq!(parts.len(), 3);
    same("dates", &source, &parts);
    let case = read_all(&parts);
    assert_eq!(case.onset, When::age(365));
    assert_eq!(case.age, When::age(730));
    assert_eq!(case.unresolved.len(), 1);
    // The part that says who it is has no finding, and nothing that is not understood.
    let identity: Records = parts
        .into_iter()
        .filter(|(name, _)| *name == codec::Category::Identity.to_string())
        .collect();
    let case = read_all(&identity);
    assert!(case.findings.is_empty() && case.unresolved.is_empty() && case.left_out.is_empty());
}

#[test]
fn the_parts_of_an_observation_without_its_codes_say_nothing() {
    let mut observation = interpreted("1", "2020-01-01", "L");
    observation["category"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}]);
    observation["subject"] = json!({"reference": "Patient/p", "display": "Somebody"});
    observation["note"] = json!([{"text": "a note"}]);
    let bytes = observation.to_string().into_bytes();
    let parsed = fhir::Parsed::parse(&bytes).unwrap();
    let (category, _) = (parsed.category(), parsed.projections());
    assert_eq!(category, codec::Category::Laboratory);
    let part = |category| vec![("o".to_owned(), parsed.select(&[category]).unwrap())];
    let case = read_all(&part(codec::Category::Identity));
    assert!(case.findings.is_empty() && case.unresolved.is_empty() && case.left_out.is_empty());
    let case = read_all(&part(codec::Category::Laboratory));
    assert_eq!(of(&case, State::Candidate), ["HP:0020062"]);
}

#[test]
fn a_value_of_another_record_and_day_confirms() {
    let basis = |records: &Records| {
        let case = read_all(records);
        assert_eq!(case.findings.len(), 1);
        (case.findings[0].state, case.findings[0].basis)
    };
    let once = numbered([interpreted("1", "2020-01-01", "L")]);
    assert_eq!(basis(&once), (State::Candidate, Basis::Laboratory));
    let same_day = numbered([
        interpreted("1", "2020-01-01", "L"),
        interpreted("2", "2020-01-01", "LL"),
    ]);
    assert_eq!(basis(&same_day), (State::Candidate, Basis::Laboratory));
    // Of the same id as well: they may be of different systems.
    for second in ["1", "2"] {
        let twice = numbered([
            interpreted("1", "2020-01-01", "L"),
            interpreted(second, "2020-02-01", "L"),
        ]);
        assert_eq!(basis(&twice), (State::Observed, Basis::LaboratoryRepeated));
    }
    let stated = numbered([
        interpreted("1", "2020-01-01", "L"),
        condition("c", HPO, "HP:0020062", "confirmed", "2019"),
    ]);
    assert_eq!(
        basis(&stated),
        (State::Observed, Basis::LaboratoryConfirmed)
    );
    let packet = numbered([interpreted("1", "2020-01-01", "L"), packet(&["HP:0020062"])]);
    assert_eq!(
        basis(&packet),
        (State::Observed, Basis::LaboratoryConfirmed)
    );
}

#[test]
fn a_refutation_of_another_record_takes_back() {
    let case = read_all(&numbered([
        seizure("1", "refuted", "2020"),
        seizure("2", "confirmed", "2018"),
    ]));
    assert_eq!(of(&case, State::Excluded), ["HP:0001250"]);
    assert_eq!(case.contradictions[0].decision, Decision::Retracted);
    let place = &case.contradictions[0].not_followed[0].place;
    assert_eq!(place.to_string(), "r1: Condition/2");
    assert_eq!(place.document(), Some("r1"));
    // Phenopackets have no dates: what was once seen was there.
    let case = read_all(&numbered([
        packet(&["!HP:0001250"]),
        packet(&["HP:0001250"]),
    ]));
    assert_eq!(of(&case, State::Observed), ["HP:0001250"]);
    assert_eq!(case.contradictions[0].decision, Decision::Observed);
    let place = &case.contradictions[0].not_followed[0].place;
    assert_eq!(place.to_string(), "r0: phenotypicFeatures[0]");
    assert!(matches!(place, Place::Within(..)));
}

/// Haemoglobin against a range for women of an age.
fn ranged() -> Value {
    let unit = |value: f64| json!({"value": value, "unit": "g/dL"});
    json!({"resourceType": "Observation", "id": "o", "status": "final", "effectiveDateTime": "2020-01-01",
        "subject": {"reference": "Patient/as-another-system-names-them"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}, "valueQuantity": unit(9.0),
        "referenceRange": [{"low": unit(12.0), "appliesTo": [{"coding": [{"code": "female"}]}],
            "age": {"low": {"value": 10, "code": "a"}}}]})
}

#[test]
fn the_person_of_one_record_serves_the_others() {
    let case = read_all(&numbered([ranged()]));
    assert_eq!(case.left_out.get(&LeftOut::NotInterpreted), Some(&1));
    let mut began = seizure("1", "confirmed", "2019");
    began["onsetDateTime"] = json!("2002-01-01");
    let case = read_all(&numbered([
        ranged(),
        began,
        patient("female", "2000-01-01"),
    ]));
    assert_eq!(of(&case, State::Candidate), ["HP:0020062"]);
    assert_eq!(case.sex, Some(Sex::Female));
    assert_eq!(case.age, When::age(7305));
    assert_eq!(case.onset, When::age(731));
    assert!(case.left_out.is_empty());
    // A phenopacket knows the person as well.
    let mut known = packet(&[]);
    known["subject"] = json!({"id": "x", "sex": "FEMALE", "dateOfBirth": "2000-01-01T00:00:00Z"});
    let case = read_all(&numbered([known, ranged()]));
    assert_eq!(of(&case, State::Candidate), ["HP:0020062"]);
    // What is about a group is still not about the person.
    let mut group = seizure("1", "confirmed", "2020");
    group["subject"]["reference"] = json!("Group/g");
    let case = read_all(&numbered([group]));
    assert_eq!(case.left_out.get(&LeftOut::NotThePatient), Some(&1));
}

#[test]
fn who_it_is_when_documents_disagree() {
    let case = |others: &[(&str, &str)]| {
        let patients = others.iter().map(|(sex, born)| patient(sex, born));
        let with_ids = patients.enumerate().map(|(at, mut patient)| {
            patient["id"] = json!(format!("p{at}"));
            patient
        });
        read_all(&numbered(with_ids.chain([ranged()])))
    };
    let agreed = case(&[
        ("female", "2000"),
        ("unknown", "2000-01-01"),
        ("female", ""),
    ]);
    assert_eq!(
        (agreed.sex, agreed.age),
        (Some(Sex::Female), When::age(7305))
    );
    assert!(agreed.left_out.is_empty());
    let sexes = case(&[("female", "2000-01-01"), ("male", "2000"), ("other", "")]);
    assert_eq!((sexes.sex, sexes.age), (None, When::age(7305)));
    assert_eq!(sexes.left_out.get(&LeftOut::SexDiffers), Some(&2));
    assert_eq!(sexes.left_out.get(&LeftOut::NotInterpreted), Some(&1));
    let births = case(&[
        ("female", "2000-01-01"),
        ("female", "2000-02"),
        ("", "2000"),
    ]);
    assert_eq!((births.sex, births.age), (Some(Sex::Female), None));
    assert_eq!(births.left_out.get(&LeftOut::BirthDiffers), Some(&3));
}

#[test]
fn ages_and_onsets_of_several_documents() {
    let aged = |findings: &[&str], age: &str, disease: &str| {
        let mut packet = packet(findings);
        packet["subject"] = json!({"timeAtLastEncounter": {"age": {"iso8601duration": age}}});
        if !disease.is_empty() {
            packet["diseases"] =
                json!([{"term": {"id": "OMIM:1"}, "onset": {"age": {"iso8601duration": disease}}}]);
        }
        packet
    };
    let seen = "HP:0001250@P8D";
    let later = "HP:0001250@P9D";
    for records in [
        [aged(&[seen], "P3Y", ""), aged(&[later], "P5Y", "")],
        [aged(&[later], "P5Y", ""), aged(&[seen], "P3Y", "")],
    ] {
        let case = read_all(&numbered(records));
        assert_eq!((case.age, case.onset), (When::age(1826), When::age(8)));
        assert_eq!(case.findings[0].onset, When::age(8));
    }
    let ill = [
        aged(&[seen], "P3Y", "P12D"),
        aged(&[], "P2Y", "P10D"),
        aged(&[], "P1Y", ""),
    ];
    let case = read_all(&numbered(ill));
    assert_eq!((case.age, case.onset), (When::age(1095), When::age(10)));
}

#[test]
fn genes_variants_and_diagnoses_once_each() {
    let of_gene = |symbol: &str, status: &str, variant: &str| {
        let mut packet = packet(&[]);
        packet["interpretations"] = json!([{"id": "i", "diagnosis": {"disease": {"id": "OMIM:607208"}, "genomicInterpretations": [
            {"interpretationStatus": status, "variantInterpretation": {"variationDescriptor": {"id": variant, "geneContext": {"symbol": symbol}}}}]}}]);
        packet
    };
    let case = read_all(&numbered([
        of_gene("SCN1A", "CANDIDATE", "v1"),
        of_gene("FBN1", "CANDIDATE", "v2"),
        of_gene("SCN1A", "CANDIDATE", "v1"),
        of_gene("SCN1A", "CAUSATIVE", "v3"),
        condition("c", "http://www.omim.org", "607208", "confirmed", "2020"),
        condition("d", "http://www.omim.org", "607208", "confirmed", "2021"),
        condition("e", "http://www.omim.org", "607208", "refuted", "2021"),
    ]));
    let genes: Vec<_> = case
        .genes
        .iter()
        .map(|g| (g.symbol.as_str(), g.status))
        .collect();
    let expect = [
        ("SCN1A", findings::Status::Causative),
        ("FBN1", findings::Status::Candidate),
    ];
    assert_eq!(genes, expect);
    let variants: Vec<_> = case.variants.iter().map(|v| v.id.as_str()).collect();
    assert_eq!(variants, ["v1", "v2", "v3"]);
    let diagnoses: Vec<_> = case
        .recorded_diagnoses
        .iter()
        .map(|d| (d.id.as_str(), d.excluded))
        .collect();
    assert_eq!(diagnoses, [("OMIM:607208", false), ("OMIM:607208", true)]);
    assert_eq!(
        case.variants[1].place.to_string(),
        "r1: genomicInterpretations[0]"
    );
}

/// The newest counts; where none is newer, both do.
#[test]
fn a_resource_that_comes_again() {
    let version = |status, updated: &str| {
        let mut condition = seizure("1", status, "2020");
        condition["meta"] = json!({"lastUpdated": updated});
        condition
    };
    let old = version("confirmed", "2020-01-01T00:00:00Z");
    let new = version("entered-in-error", "2021-01-01T00:00:00Z");
    for records in [[old.clone(), new.clone()], [new, old.clone()]] {
        let case = read_all(&numbered(records));
        assert!(case.findings.is_empty());
        assert_eq!(case.left_out.get(&LeftOut::OlderVersion), Some(&1));
    }
    let case = read_all(&numbered([old.clone(), old]));
    assert_eq!(case.findings[0].source_count, 1);
    let case = read_all(&numbered([
        seizure("1", "confirmed", "2020"),
        seizure("1", "confirmed", "2021"),
    ]));
    assert_eq!(case.findings[0].source_count, 2);
    assert!(case.left_out.is_empty());
}

#[test]
fn what_cannot_be_read_is_counted_and_stops_nothing() {
    let unreadable: &[&[u8]] = &[
        b"",
        b" \n",
        b"Seizure\nHypotonia",
        b"HP:0001250",
        b"[{\"id\": \"a\"}]",
        b"{\"id\": ",
        b"{\"resourceType\": \"Nonsense\"}",
        b"{\"resourceType\": \"Condition\", \"id\": \"not an id\"}",
        b"{\"id\": \"f\", \"proband\": {}}",
        b"{\"id\":\"x\",\"phenotypicFeatures\":[{\"type\":{\"id\":\"HP:0001250\"},\"negated\":true}]}",
        b"%PDF-1.7 \xff\xfe",
        b"\xff\xfe\x00",
    ];
    let mut records = numbered([
        seizure("1", "confirmed", "2020"),
        // Read, but nothing of it is.
        json!({"resourceType": "Immunization", "id": "i", "status": "completed"}),
    ]);
    let damaged = unreadable.iter().enumerate();
    records.extend(damaged.map(|(at, bytes)| (format!("damaged {at}"), bytes.to_vec())));
    let case = read_all(&records);
    assert_eq!(of(&case, State::Observed), ["HP:0001250"]);
    let expect = [(LeftOut::Unreadable, unreadable.len())];
    assert_eq!(case.left_out.into_iter().collect::<Vec<_>>(), expect);
    assert!(case.unresolved.is_empty());
    for (at, bytes) in unreadable.iter().enumerate() {
        let one = read_all(&[(at.to_string(), bytes.to_vec())]);
        assert_eq!(one.left_out.get(&LeftOut::Unreadable), Some(&1), "{at}");
    }
}

#[test]
fn no_document_is_a_case_without_findings() {
    let case = read_all(&[]);
    assert!(case.findings.is_empty() && case.unresolved.is_empty() && case.left_out.is_empty());
    assert_eq!((case.sex, case.age, case.onset), (None, None, None));
}

#[test]
fn very_many_documents() {
    let status = |at: usize| {
        if at.is_multiple_of(2) {
            "confirmed"
        } else {
            "refuted"
        }
    };
    let observation = |at: usize| {
        // No refutation is later than what it would take back: they are of the same year.
        let date = format!("{}-01-01", 2000 + at % 2);
        match at % 3 {
            0 => interpreted(&format!("o{at}"), &date, "L"),
            1 => seizure(&format!("c{at}"), status(at), "2020"),
            _ => packet(&["HP:0000252"]),
        }
    };
    let records = numbered((0..MAX_DOCUMENTS).map(observation));
    let case = read_all(&records);
    assert_eq!(case.findings.len(), 3);
    let counts: usize = case.findings.iter().map(|f| f.source_count).sum();
    let refuted = (0..MAX_DOCUMENTS).filter(|at| at % 3 == 1 && at % 2 == 1);
    assert_eq!(counts, MAX_DOCUMENTS - refuted.count());
    let too_many = numbered((0..=MAX_DOCUMENTS).map(observation));
    assert_eq!(
        try_all(&too_many).unwrap_err().to_string(),
        "the case has 10001 documents, and at most 10000 are read; send those that matter"
    );
}

#[test]
fn genes_of_all_documents_are_bounded_together() {
    let genes = |from: usize| {
        let named = (from..from + MAX_GENES / 2 + 1).map(|at| json!({"interpretationStatus": "CANDIDATE", "gene": {"symbol": format!("NO{at}GENE")}}));
        let named: Vec<Value> = named.collect();
        let mut packet = packet(&[]);
        packet["interpretations"] = json!([{"diagnosis": {"genomicInterpretations": named}}]);
        packet
    };
    let again = read_all(&numbered([genes(0), genes(0)]));
    assert_eq!(again.genes.len(), MAX_GENES / 2 + 1);
    let error = try_all(&numbered([genes(0), genes(MAX_GENES)])).unwrap_err();
    let given = MAX_GENES + 2;
    assert_eq!(error, Error::TooManyGenes { given });
}

#[test]
fn findings_and_bytes_of_all_documents_are_bounded_together() {
    let root = ONTOLOGY.roots().phenotypic_abnormality;
    let below = ONTOLOGY.descendants(root).iter().map(|&(term, _)| id(term));
    let terms: Vec<String> = below.take(MAX_FINDINGS + 1).collect();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    let (first, second) = terms.split_at(MAX_FINDINGS / 2);
    // Excluded, so that none is a kind of another that is there.
    let packets = |second: &[&str]| {
        let excluded = |terms: &[&str]| -> Vec<String> {
            terms.iter().map(|term| format!("!{term}")).collect()
        };
        let halves = [excluded(first), excluded(second)];
        let halves = halves.iter().map(|half| {
            let half: Vec<&str> = half.iter().map(String::as_str).collect();
            packet(&half)
        });
        numbered(halves)
    };
    let most = read_all(&packets(&second[1..]));
    assert_eq!(most.findings.len(), MAX_FINDINGS);
    let error = try_all(&packets(second)).unwrap_err();
    let given = MAX_FINDINGS + 1;
    assert_eq!(error, Error::TooManyFindings { given });
    let space = vec![0; MAX_DOCUMENTS_BYTES / 4];
    let five: Records = (0..5).map(|at| (at.to_string(), space.clone())).collect();
    let limit = MAX_DOCUMENTS_BYTES;
    assert_eq!(try_all(&five).unwrap_err(), Error::TooLarge { limit });
    let four = read_all(&five[..4]);
    assert_eq!(four.left_out.get(&LeftOut::Unreadable), Some(&4));
}

#[test]
fn debug_shows_nothing_of_a_document() {
    let document = Document {
        name: "somebody",
        bytes: b"Seizure",
    };
    assert_eq!(format!("{document:?}"), "Document(<redacted>)");
}

/// Documents that agree, disagree, come again and cannot be read; two have the same name.
fn mixed() -> Records {
    let mut detailed = packet(&["HP:0001250@P2Y", "!HP:0000252", "HP:9999999"]);
    detailed["subject"] =
        json!({"sex": "FEMALE", "timeAtLastEncounter": {"ontologyClass": {"id": "HP:0003593"}}});
    detailed["interpretations"] = json!([{"progressStatus": "SOLVED", "diagnosis": {"disease": {"id": "OMIM:607208"}, "genomicInterpretations": [
        {"interpretationStatus": "CANDIDATE", "variantInterpretation": {"variationDescriptor": {"id": "v", "geneContext": {"symbol": "SCN1A"}}}}]}}]);
    let mut causative = detailed.clone();
    causative["interpretations"][0]["diagnosis"]["genomicInterpretations"][0]["interpretationStatus"] =
        json!("CAUSATIVE");
    causative["phenotypicFeatures"][0]["onset"] = json!({"age": {"iso8601duration": "P1Y"}});
    let mut updated = seizure("1", "provisional", "2020");
    updated["meta"] = json!({"versionId": "2"});
    let mut records = numbered([
        detailed,
        causative,
        patient("female", "2015-03-04"),
        seizure("1", "confirmed", "2019"),
        updated,
        seizure("2", "refuted", "2021"),
        seizure("2", "confirmed", "2020"),
        interpreted("o", "2020-01-01", "L"),
        interpreted("o", "2020-02-02", "L"),
        interpreted("n", "", "N"),
        condition(
            "s",
            "http://snomed.info/sct",
            "271737000",
            "confirmed",
            "2020",
        ),
        condition("d", "http://www.omim.org", "607208", "provisional", "2020"),
        ranged(),
        packet(&["HP:0007359", "HP:0012531", "HP:0000118"]),
    ]);
    let both = vec![seizure("b", "confirmed", "2018"), ranged()];
    records.push(("bundle".to_owned(), bundle(both).into_bytes()));
    records.push(("r3".to_owned(), b"no document".to_vec()));
    records.push((
        "r2".to_owned(),
        packet(&["HP:0000252@P3D"]).to_string().into_bytes(),
    ));
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_does_not_matter(records in Just(mixed()).prop_shuffle()) {
        let expect = read_all(&mixed());
        prop_assert!(expect.findings.len() >= 4 && !expect.contradictions.is_empty());
        prop_assert!(read_all(&records) == expect);
    }

    #[test]
    fn damaged_documents_stop_nothing(which in 0..17usize, edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut records = mixed();
        let bytes = &mut records[which].1;
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        crate::damaged::sound(&read_all(&records));
    }
}
