//! A made-up phenopacket that uses every message of the schema.

use serde_json::{Value, json};

fn class(id: &str) -> Value {
    json!({"id": id, "label": format!("label of {id}")})
}

fn quantity() -> Value {
    json!({
        "unit": class("UO:0000316"),
        "value": 13.5,
        "referenceRange": {"unit": class("UO:0000316"), "low": 1, "high": 20}
    })
}

fn measurement(assay: &str) -> Value {
    json!({
        "description": "free text",
        "assay": class(assay),
        "value": {"quantity": quantity()},
        "complexValue": {"typedQuantities": [{"type": class("LOINC:1-1"), "quantity": quantity()}]},
        "timeObserved": {"timestamp": "2020-01-02T03:04:05Z"},
        "procedure": procedure(),
    })
}

fn procedure() -> Value {
    json!({
        "code": class("NCIT:C1"),
        "bodySite": class("UBERON:1"),
        "performed": {"interval": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}}
    })
}

fn reference() -> Value {
    json!({"id": "PMID:1", "reference": "https://example.org/1", "description": "a title"})
}

fn finding() -> Value {
    json!({
        "description": "free text",
        "type": class("HP:0001250"),
        "excluded": true,
        "severity": class("HP:0012828"),
        "modifiers": [class("HP:0031796"), class("HP:0025280")],
        "onset": {"age": {"iso8601duration": "P4Y6M"}},
        "resolution": {"ageRange": {"start": {"iso8601duration": "P5Y"}, "end": {"iso8601duration": "P6Y"}}},
        "evidence": [{"evidenceCode": class("ECO:1"), "reference": reference()}],
    })
}

fn gene() -> Value {
    json!({
        "valueId": "HGNC:3811", "symbol": "FOXG1", "description": "free text",
        "alternateIds": ["ncbigene:2290"], "alternateSymbols": ["BF1"], "xrefs": ["ENSG1"],
    })
}

fn file() -> Value {
    json!({
        "uri": "file:///data/genome.vcf.gz",
        "individualToFileIdentifiers": {"patient 1": "sample 1"},
        "fileAttributes": {"fileFormat": "VCF", "genomeAssembly": "GRCh38", "operator": "someone"},
    })
}

fn variant() -> Value {
    json!({
        "acmgPathogenicityClassification": "PATHOGENIC",
        "therapeuticActionability": 2,
        "variationDescriptor": {
            "id": "c694AtoT", "label": "c.694A>T", "description": "free text",
            "variation": {"allele": {
                "_id": "ga4gh:VA.1",
                "sequenceLocation": {"sequence_id": "ga4gh:SQ.1", "sequenceInterval": {
                    "startNumber": {"value": "28767972"}, "endNumber": {"value": "28767973"}}},
                "literalSequenceExpression": {"sequence": "T"},
                "sampleOwner": {"value": "unknown to VRS"},
            }},
            "geneContext": gene(),
            "expressions": [{"syntax": "hgvs.c", "value": "NM_005249.5:c.694A>T", "version": "1"}],
            "vcfRecord": {"genomeAssembly": "hg38", "chrom": "chr14", "pos": 28767973, "id": ".",
                "ref": "A", "alt": "T", "qual": "100", "filter": "PASS", "info": "DP=30"},
            "xrefs": ["clinvar:1"], "alternateLabels": ["p.Asn232Tyr"],
            "extensions": [{"name": "mosaicism", "value": "25 %"}],
            "moleculeContext": "genomic",
            "structuralType": class("SO:1"),
            "vrsRefAlleleSeq": "A",
            "allelicState": class("GENO:0000135"),
        }
    })
}

fn medical_actions() -> Value {
    json!([
        {"procedure": procedure(), "treatmentTarget": class("MONDO:1"),
         "treatmentIntent": class("NCIT:C2"), "responseToTreatment": class("NCIT:C3"),
         "adverseEvents": [class("HP:0002017")], "treatmentTerminationReason": class("NCIT:C4")},
        {"treatment": {"agent": class("DrugCentral:1"), "routeOfAdministration": class("NCIT:C5"),
         "doseIntervals": [{"quantity": quantity(), "scheduleFrequency": class("NCIT:C6"),
            "interval": {"start": "2020-03-20T00:00:00Z", "end": "2020-03-30T00:00:00Z"}}],
         "drugType": "PRESCRIPTION", "cumulativeDose": quantity()}},
        {"radiationTherapy": {"modality": class("NCIT:C7"), "bodySite": class("UBERON:2"),
         "dosage": 2, "fractions": 5}},
        {"therapeuticRegimen": {"externalReference": reference(), "startTime": {"ontologyClass": class("HP:1")},
         "endTime": {"gestationalAge": {"weeks": 33, "days": 2}}, "regimenStatus": 2}},
        {"therapeuticRegimen": {"ontologyClass": class("NCIT:C8")}},
    ])
}

fn biosample() -> Value {
    json!({
        "id": "sample 1", "individualId": "patient 1", "derivedFromId": "sample 0",
        "description": "free text", "sampledTissue": class("UBERON:3"), "sampleType": class("EFO:1"),
        "phenotypicFeatures": [finding()], "measurements": [measurement("LOINC:2-2")],
        "taxonomy": class("NCBITaxon:9606"), "timeOfCollection": {"age": {"iso8601duration": "P5Y"}},
        "histologicalDiagnosis": class("NCIT:C9"), "tumorProgression": class("NCIT:C10"),
        "tumorGrade": class("NCIT:C11"), "pathologicalStage": class("NCIT:C12"),
        "pathologicalTnmFinding": [class("NCIT:C13")], "diagnosticMarkers": [class("NCIT:C14")],
        "procedure": procedure(), "files": [file()], "materialSample": class("EFO:2"),
        "sampleProcessing": class("EFO:3"), "sampleStorage": class("EFO:4"),
    })
}

/// The whole sample.
pub(crate) fn full() -> Value {
    json!({
        "id": "packet 1",
        "subject": {
            "id": "patient 1", "alternateIds": ["MRN 1"], "dateOfBirth": "2016-01-01T00:00:00Z",
            "timeAtLastEncounter": {"age": {"iso8601duration": "P4Y6M"}, "timestamp": "2020-06-01T00:00:00Z"},
            "vitalStatus": {"status": "DECEASED", "causeOfDeath": class("HP:2"), "survivalTimeInDays": 30,
                "timeOfDeath": {"interval": {"start": "2020-06-01T00:00:00Z"}}},
            "sex": "FEMALE", "karyotypicSex": "XX", "gender": class("GSSO:1"),
            "taxonomy": class("NCBITaxon:9606"),
        },
        "phenotypicFeatures": [finding(), {"type": class("HP:0001263")}],
        "measurements": [measurement("LOINC:2-2"), measurement("LOINC:8302-2")],
        "biosamples": [biosample()],
        "interpretations": [{
            "id": "interpretation 1", "progressStatus": "SOLVED", "summary": "free text",
            "diagnosis": {"disease": class("OMIM:613454"), "genomicInterpretations": [
                {"subjectOrBiosampleId": "patient 1", "interpretationStatus": "CAUSATIVE",
                 "variantInterpretation": variant()},
                {"subjectOrBiosampleId": "sample 1", "interpretationStatus": "CANDIDATE", "gene": gene()},
            ]},
        }],
        "diseases": [{
            "term": class("OMIM:613454"), "excluded": false, "onset": {"ontologyClass": class("HP:0003577")},
            "resolution": {"timestamp": "2020-06-01T00:00:00Z"}, "diseaseStage": [class("NCIT:C15")],
            "clinicalTnmFinding": [class("NCIT:C16")], "primarySite": class("UBERON:4"),
            "laterality": class("HP:0012834"),
        }],
        "medicalActions": medical_actions(),
        "files": [file()],
        "metaData": {
            "created": "2021-05-14T10:35:00Z", "createdBy": "someone", "submittedBy": "someone else",
            "resources": [{"id": "hp", "name": "human phenotype ontology", "url": "http://x", "version": "1",
                "namespacePrefix": "HP", "iriPrefix": "http://x/HP_"}],
            "updates": [{"timestamp": "2021-05-15T10:35:00Z", "updatedBy": "someone", "comment": "free text"}],
            "phenopacketSchemaVersion": "2.0", "externalReferences": [reference()],
        },
        "pedigree": {"note": "not a field of a phenopacket"},
    })
}
