//! What is read out of a phenopacket.

use crate::sample;
use phenopacket::{Parsed, Pathogenicity, Progress, Sex, Status, Time};

#[test]
fn the_facts_of_the_sample_are_found() {
    let source = sample::full().to_string();
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    assert_eq!(parsed.id(), "packet 1");
    assert_eq!(parsed.created().unwrap(), "2021-05-14T10:35:00Z");
    let subject = parsed.subject().unwrap();
    assert_eq!(subject.id, "patient 1");
    assert_eq!(subject.sex, Sex::Female);
    assert!(subject.last_encounter == Some(Time::Age("P4Y6M".into())));
    assert_eq!(subject.born.unwrap(), "2016-01-01T00:00:00Z");

    let findings = parsed.findings();
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].term.id, "HP:0001250");
    assert_eq!(findings[0].term.label, "label of HP:0001250");
    assert!(findings[0].excluded && !findings[1].excluded);
    assert!(findings[0].onset == Some(Time::Age("P4Y6M".into())));
    assert_eq!(findings[0].severity.as_ref().unwrap().id, "HP:0012828");
    assert_eq!(findings[0].modifiers.len(), 2);
    assert!(findings[1].onset.is_none() && findings[1].severity.is_none());

    let diseases = parsed.diseases();
    assert_eq!(diseases[0].term.id, "OMIM:613454");
    assert!(matches!(&diseases[0].onset, Some(Time::Class(class)) if class.id == "HP:0003577"));
    let diagnoses = parsed.diagnoses();
    assert_eq!(diagnoses[0].progress, Progress::Solved);
    assert_eq!(diagnoses[0].disease.as_ref().unwrap().id, "OMIM:613454");

    let variants = parsed.variants();
    assert_eq!(variants.len(), 2);
    assert_eq!(variants[0].status, Status::Causative);
    assert_eq!(variants[0].pathogenicity, Pathogenicity::Pathogenic);
    assert_eq!(variants[0].gene.as_ref().unwrap().symbol, "FOXG1");
    assert_eq!(variants[0].expressions[0].1, "NM_005249.5:c.694A>T");
    assert_eq!(variants[0].zygosity.as_ref().unwrap().id, "GENO:0000135");
    let vcf = variants[0].vcf.as_ref().unwrap();
    assert_eq!(
        (&*vcf.chrom, &*vcf.pos, &*vcf.alternate),
        ("chr14", "28767973", "T")
    );
    assert_eq!(variants[1].status, Status::Candidate);
    assert_eq!(variants[1].gene.as_ref().unwrap().id, "HGNC:3811");
    assert!(variants[1].id.is_empty() && variants[1].vcf.is_none());
    assert_eq!(parsed.publications()[0].id, "PMID:1");
}

#[test]
fn defaults_spellings_and_enum_numbers_mean_the_same() {
    let source =
        br#"{"id": "x", "subject": {"sex": 2, "time_at_last_encounter": {"gestational_age":
        {"weeks": "33"}}}, "phenotypic_features": [{"type": {"id": "HP:1"}, "excluded": null}],
        "interpretations": [{"progress_status": 4, "diagnosis": {"genomic_interpretations":
        [{"interpretation_status": 1, "variant_interpretation": {"variation_descriptor":
        {"vcf_record": {"pos": "123456789012"}}}}]}}], "diseases": null, "meta_data": {}}"#;
    let parsed = Parsed::parse(source).unwrap();
    let subject = parsed.subject().unwrap();
    assert!(subject.id.is_empty());
    assert_eq!(subject.sex, Sex::Male);
    let age = Time::GestationalAge { weeks: 33, days: 0 };
    assert!(subject.last_encounter == Some(age));
    assert!(!parsed.findings()[0].excluded);
    assert_eq!(parsed.diagnoses()[0].progress, Progress::Unsolved);
    assert!(parsed.diagnoses()[0].disease.is_none());
    let variants = parsed.variants();
    assert_eq!(variants[0].status, Status::Rejected);
    assert_eq!(variants[0].vcf.as_ref().unwrap().pos, "123456789012");
    assert!(parsed.diseases().is_empty() && parsed.created().is_none());
}

#[test]
fn terms_carry_the_code_systems_of_fhir() {
    let source = br#"{"id": "x", "subject": {"id": "y", "sex": "FEMALE"},
        "phenotypicFeatures": [{"type": {"id": "HP:0001250"}}, {"type": {"id": "HP:0001250"}},
          {"type": {"id": "hp:0001263"}, "excluded": true}, {"type": {"id": "seizures"}}],
        "diseases": [{"term": {"id": "ORPHA:1"}}, {"term": {"id": "ICD10:A"}, "excluded": true}],
        "interpretations": [{"diagnosis": {"disease": {"id": "OMIM:2"}, "genomicInterpretations": [
          {"gene": {"valueId": "HGNC:3"}},
          {"gene": {"valueId": "HGNC:4"}, "interpretationStatus": "REJECTED"}]}},
          {"progressStatus": "UNSOLVED", "diagnosis": {"disease": {"id": "OMIM:5"}}}]}"#;
    let parsed = Parsed::parse(source).unwrap();
    let terms: Vec<_> = parsed
        .terms()
        .into_iter()
        .map(|t| format!("{}={}|{}", t.parameter, t.system, t.code))
        .collect();
    assert_eq!(
        terms,
        [
            "disease=http://www.omim.org|2",
            "disease=http://www.orpha.net|1",
            "disease-excluded=ICD10|ICD10:A",
            "gene=http://www.genenames.org/geneId|HGNC:3",
            "identifier=|x",
            "identifier=|y",
            "phenotype=|seizures",
            "phenotype=http://human-phenotype-ontology.org|HP:0001250",
            "phenotype-excluded=http://human-phenotype-ontology.org|HP:0001263",
            "sex=|female",
        ]
    );
}

#[test]
fn debug_shows_no_content() {
    let source = sample::full().to_string();
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    let shown = format!(
        "{parsed:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        parsed.subject(),
        parsed.findings(),
        parsed.diseases(),
        parsed.diagnoses(),
        parsed.variants(),
        parsed.publications(),
        parsed.terms(),
    );
    for secret in ["patient", "HP:", "OMIM", "FOXG1", "PMID", "label", "2016"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
