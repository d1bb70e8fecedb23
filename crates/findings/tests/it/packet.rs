//! Phenopackets.

use crate::{ONTOLOGY, id, of, read, refusal};
use findings::{Note, Pathogenicity, Progress, State, Status, When, Why};
use ontology::Sex;
use serde_json::{Value, json};

fn packet() -> Value {
    json!({
        "id": "made-up", "subject": {"id": "x", "sex": "FEMALE", "dateOfBirth": "2010-01-01T00:00:00Z",
            "timeAtLastEncounter": {"age": {"iso8601duration": "P8Y6M"}}},
        "phenotypicFeatures": [
            {"type": {"id": "HP:0001250", "label": "Seizure"}, "onset": {"age": {"iso8601duration": "P3M"}},
                "severity": {"id": "HP:0012828", "label": "Severe"}, "modifiers": [{"id": "HP:0000006"}]},
            {"type": {"id": "HP:0001252", "label": "Microcephaly"}, "onset": {"ontologyClass": {"id": "HP:0003577"}}},
            {"type": {"id": "HP:0000252", "label": "Microcephaly"}, "excluded": true},
            {"type": {"id": "SNOMEDCT:271737000", "label": "Anemia"}},
        ],
        "interpretations": [{"id": "i", "progressStatus": "SOLVED", "diagnosis": {
            "disease": {"id": "OMIM:607208", "label": "Dravet syndrome"},
            "genomicInterpretations": [
                {"subjectOrBiosampleId": "x", "interpretationStatus": "CANDIDATE", "variantInterpretation": {
                    "acmgPathogenicityClassification": "LIKELY_PATHOGENIC", "variationDescriptor": {"id": "v1",
                        "geneContext": {"valueId": "HGNC:10585", "symbol": "SCN1A"},
                        "expressions": [{"syntax": "hgvs.c", "value": "NM_001165963.4:c.1A>G"}],
                        "allelicState": {"id": "GENO:0000135", "label": "heterozygous"}}}},
                {"subjectOrBiosampleId": "x", "interpretationStatus": "CAUSATIVE", "gene": {"valueId": "HGNC:10585", "symbol": "SCN1A"}},
                {"subjectOrBiosampleId": "x", "interpretationStatus": "REJECTED", "gene": {"valueId": "HGNC:3603", "symbol": "FBN1"}},
            ]}}],
        "diseases": [{"term": {"id": "OMIM:154700", "label": "Marfan syndrome"}, "excluded": true}],
        "metaData": {"created": "2020-01-01T00:00:00Z", "createdBy": "x", "resources": [], "phenopacketSchemaVersion": "2.0"},
    })
}

#[test]
fn all_that_it_says_is_read() {
    let case = read(&packet().to_string());
    assert_eq!(of(&case, State::Observed), ["HP:0001250", "HP:0001252"]);
    assert_eq!(of(&case, State::Excluded), ["HP:0000252"]);
    assert_eq!(case.sex, Some(Sex::Female));
    assert_eq!(
        case.age,
        Some(When::Days {
            from: 3104,
            to: 3104
        })
    );
    assert_eq!(
        case.findings[0].onset,
        Some(When::Days { from: 91, to: 91 })
    );
    assert_eq!(
        case.findings[0]
            .modifiers
            .iter()
            .map(|&m| id(m))
            .collect::<Vec<_>>(),
        ["HP:0012828"]
    );
    assert_eq!(
        case.findings[0].sources[0].place.to_string(),
        "phenotypicFeatures[0]"
    );
    assert_eq!(
        case.left_out.get(&findings::LeftOut::UnknownModifier),
        Some(&1)
    );
    // The label beside the second id is another term's.
    let Some(Note::LabelNames(other)) = case.findings[1].note else {
        panic!("no note");
    };
    assert_eq!(id(other), "HP:0000252");
    assert_eq!(
        case.onset
            .and_then(|o| o.onset_term(&ONTOLOGY))
            .map(id)
            .unwrap(),
        "HP:0003577"
    );
    let [other] = case.unresolved.as_slice() else {
        panic!()
    };
    assert_eq!(
        (other.why, id(other.suggestions[0]).as_str()),
        (Why::OtherSystem, "HP:0001903")
    );
}

#[test]
fn genes_are_gathered_and_diagnoses_kept_apart() {
    let case = read(&packet().to_string());
    let [gene] = case.genes.as_slice() else {
        panic!()
    };
    assert_eq!(ONTOLOGY.gene(gene.gene.unwrap()).symbol(), "SCN1A");
    assert_eq!(
        (gene.status, gene.pathogenicity),
        (Status::Causative, Pathogenicity::LikelyPathogenic)
    );
    let [variant] = case.variants.as_slice() else {
        panic!()
    };
    assert_eq!(variant.zygosity.as_ref().unwrap().1, "heterozygous");
    let recorded: Vec<_> = case
        .recorded_diagnoses
        .iter()
        .map(|d| (d.id.as_str(), d.excluded, d.progress))
        .collect();
    assert_eq!(
        recorded,
        [
            ("OMIM:154700", true, Progress::Unknown),
            ("OMIM:607208", false, Progress::Solved)
        ]
    );
    // Without them the case says the same of its findings.
    let mut bare = packet();
    bare["diseases"] = json!([]);
    bare["interpretations"] = json!([]);
    let bare = read(&bare.to_string());
    assert!(bare.findings == case.findings && bare.genes.is_empty());
}

#[test]
fn times_of_every_kind() {
    let mut source = packet();
    let mut onset = |time: Value| {
        source["phenotypicFeatures"] = json!([{"type": {"id": "HP:0001250"}, "onset": time}]);
        let case = read(&source.to_string());
        case.onset
            .and_then(|o| o.onset_term(&ONTOLOGY))
            .map(id)
            .unwrap_or_default()
    };
    assert_eq!(
        onset(json!({"gestationalAge": {"weeks": 20}})),
        "HP:0030674"
    );
    assert_eq!(
        onset(json!({"timestamp": "2010-01-11T00:00:00Z"})),
        "HP:0003623"
    );
    assert_eq!(
        onset(
            json!({"interval": {"start": "2016-01-11T00:00:00Z", "end": "2017-01-11T00:00:00Z"}})
        ),
        "HP:0003621"
    );
    assert_eq!(
        onset(
            json!({"ageRange": {"start": {"iso8601duration": "P16Y"}, "end": {"iso8601duration": "P20Y"}}})
        ),
        "HP:0011462"
    );
    assert_eq!(
        onset(json!({"age": {"iso8601duration": "P0D"}})),
        "HP:0003577"
    );
    assert_eq!(
        onset(json!({"age": {"iso8601duration": "PT5H"}})),
        "HP:0003577"
    );
    assert_eq!(onset(json!({"age": {"iso8601duration": "soon"}})), "");
    assert_eq!(onset(json!({"timestamp": "2009-01-11T00:00:00Z"})), "");
}

#[test]
fn refusals_say_where_and_what_to_do() {
    assert_eq!(
        refusal(b"{\"id\": "),
        "the text ends before its value is complete, at line 1, column 8 ($.id); send the whole document"
    );
    assert_eq!(
        refusal(b"{\"a\": 1}"),
        "the JSON has no resourceType, so it was read as a phenopacket, but: the phenopacket at line 1, column 1 ($) has no id; give it one"
    );
    let mut many = packet();
    many["phenotypicFeatures"] = json!(vec![json!({"type": {"id": "HP:0001250"}}); 5001]);
    assert_eq!(
        refusal(many.to_string().as_bytes()),
        "the case has 5001 findings, and at most 5000 are read; send those that matter"
    );
    // A resourceType that stands deeper does not make it FHIR.
    let mut deeper = packet();
    deeper["subject"]["resourceType"] = json!("Patient");
    assert_eq!(read(&deeper.to_string()).findings.len(), 3);
}

#[test]
fn debug_shows_nothing_of_the_person() {
    let case = read(&packet().to_string());
    let shown = format!(
        "{case:?} {:?} {:?} {:?} {:?} {:?}",
        case.findings, case.genes, case.variants, case.unresolved, case.recorded_diagnoses
    );
    for secret in ["0001250", "SCN1A", "Dravet", "271737000", "c.1A>G", "3104"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("<redacted>"));
}

#[test]
fn publications_about_the_person_are_kept_apart() {
    let packet = r#"{"id": "x", "phenotypicFeatures": [{"type": {"id": "HP:0001250", "label": "Seizure"}}],
        "metaData": {"created": "2026-01-01T00:00:00Z", "phenopacketSchemaVersion": "2.0", "externalReferences":
        [{"id": "PMID:2", "description": "A case"}, {"id": "PMID:1"}, {"id": ""}]}}"#;
    let case = read(packet);
    let publications: Vec<_> = case.publications.iter().map(String::as_str).collect();
    assert_eq!(publications, ["PMID:1", "PMID:2"]);
}
