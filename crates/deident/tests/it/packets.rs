//! Phenopackets.

use crate::{examples, sample};
use deident::{Fate, Fates, Refusal, Rules};
use phenopacket::Parsed;
use serde_json::{Value, json};
use std::fs;

fn run(packet: &Value) -> (Result<Value, Refusal>, Fates) {
    let mut fates = Rules::shipped().fates();
    let bytes = serde_json::to_vec(packet).unwrap();
    let out = Rules::shipped().phenopacket(&examples::cloak(), examples::at(), &bytes, &mut fates);
    (out.map(|out| serde_json::from_slice(&out).unwrap()), fates)
}

#[test]
fn a_phenopacket_keeps_its_terms() {
    let packet = json!({"id": "case 7 of Ann", "subject": {"id": "Ann", "sex": 1, "date_of_birth": "1990-01-02T00:00:00Z",
            "timeAtLastEncounter": {"age": {"iso8601duration": "P34Y5M"}}},
        "phenotypicFeatures": [
            {"type": {"id": "HP:0001250", "label": "Seizure of Ann"}, "excluded": true, "description": "Ann says"},
            {"type": {"id": "MRN:12345"}}],
        "interpretations": [{"id": "i", "progressStatus": "SOLVED", "diagnosis": {"disease": {"id": "OMIM:154700"},
            "genomicInterpretations": [{"subjectOrBiosampleId": "Ann", "interpretationStatus": "CAUSATIVE",
                "variantInterpretation": {"acmgPathogenicityClassification": "PATHOGENIC", "variationDescriptor": {
                    "id": "v", "geneContext": {"valueId": "HGNC:3603", "symbol": "FBN1"},
                    "expressions": [{"syntax": "hgvs.c", "value": "NM_000138.5:c.1A>G"}]}}},
                {"subjectOrBiosampleId": "mother", "interpretationStatus": "REJECTED"}]}}],
        "metaData": {"created": "2021-05-14T10:35:00Z", "createdBy": "Dr. Who", "phenopacketSchemaVersion": "2.0.2",
            "resources": [{"id": "hp", "namespacePrefix": "HP"}, {"namespacePrefix": "ACME"}]}});
    let (out, fates) = run(&packet);
    let mut out = out.unwrap();
    let pseudonym = examples::cloak().pseudonym().to_string();
    assert_eq!(out["subject"]["id"], pseudonym);
    for at in ["/id", "/interpretations/0/id", "/metaData/created"] {
        assert_ne!(out.pointer(at), packet.pointer(at));
        *out.pointer_mut(at).unwrap() = json!("x");
    }
    assert_eq!(
        out,
        json!({"id": "x",
        "subject": {"id": pseudonym, "sex": "FEMALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P34Y"}}},
        "phenotypicFeatures": [{"type": {"id": "HP:0001250"}, "excluded": true}],
        "interpretations": [{"id": "x", "progressStatus": "SOLVED", "diagnosis": {"disease": {"id": "OMIM:154700"},
            "genomicInterpretations": [{"subjectOrBiosampleId": pseudonym, "interpretationStatus": "CAUSATIVE",
                "variantInterpretation": {"acmgPathogenicityClassification": "PATHOGENIC",
                    "variationDescriptor": {"geneContext": {"valueId": "HGNC:3603"}}}}]}}],
        "metaData": {"created": "x", "phenopacketSchemaVersion": "2.0.2", "resources": [{"namespacePrefix": "HP"}]}})
    );
    assert_eq!(
        fates.count("Phenopacket.phenotypicFeatures.type.label", Fate::Dropped),
        1
    );
    assert_eq!(
        fates.count("Phenopacket.phenotypicFeatures", Fate::Dropped),
        1
    );
    assert_eq!(
        fates.count(
            "Phenopacket.subject.timeAtLastEncounter.age.iso8601duration",
            Fate::Banded
        ),
        1
    );
}

/// Every shipped case: it stays a phenopacket, with the same terms where they are of known terminologies.
#[test]
fn shipped_cases_keep_their_findings() {
    let mut count = 0;
    for entry in fs::read_dir(sample::root().join("testdata/phenopackets")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "zst") {
            continue;
        }
        let source = sample::unpacked(&path);
        let before = Parsed::parse(&source).unwrap();
        let mut fates = Rules::shipped().fates();
        let out = Rules::shipped()
            .phenopacket(&examples::cloak(), examples::at(), &source, &mut fates)
            .unwrap();
        let after = Parsed::parse(&out).unwrap();
        let findings = |parsed: &Parsed<'_>| {
            let each = parsed.findings().into_iter();
            each.map(|f| (f.term.id.to_string(), f.excluded))
                .collect::<Vec<_>>()
        };
        assert_eq!(findings(&before), findings(&after), "{}", path.display());
        assert_eq!(
            before.diseases().len(),
            after.diseases().len(),
            "{}",
            path.display()
        );
        assert!(
            !String::from_utf8(out).unwrap().contains("PMID"),
            "{}",
            path.display()
        );
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn what_is_no_phenopacket_is_refused() {
    for (packet, reason) in [
        (json!({"resourceType": "Patient"}), "not a phenopacket"),
        (
            json!({"id": "f", "proband": {"id": "p"}}),
            "not a phenopacket",
        ),
        (json!([1]), "not a phenopacket"),
    ] {
        let (out, fates) = run(&packet);
        assert_eq!(out.unwrap_err().reason(), reason);
        assert_eq!(fates.refused().collect::<Vec<_>>(), [(reason, 1)]);
    }
}
