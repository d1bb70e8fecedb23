//! The category of a resource, from its type and, for observations and reports, from what it is about.
//!
//! Default deny: a type that is not listed, and an observation that does not say what it is about,
//! are identity.

use codec::Category::{self, Documents, Genomic, Identity, Laboratory, Phenotype, Vitals};
use json::Value;
use std::borrow::Cow;

/// The category of a resource of a type.
pub(crate) fn category_of(resource_type: &str, resource: Value<'_, '_>) -> Category {
    match resource_type {
        "Observation" => observation(resource),
        "DiagnosticReport" => report(resource),
        "MolecularSequence" => Genomic,
        "Specimen" => Laboratory,
        "AdverseEvent"
        | "AllergyIntolerance"
        | "BodyStructure"
        | "CarePlan"
        | "ClinicalImpression"
        | "Condition"
        | "DetectedIssue"
        | "DeviceRequest"
        | "DeviceUseStatement"
        | "Encounter"
        | "EpisodeOfCare"
        | "FamilyMemberHistory"
        | "Flag"
        | "Goal"
        | "Immunization"
        | "ImmunizationEvaluation"
        | "ImmunizationRecommendation"
        | "Medication"
        | "MedicationAdministration"
        | "MedicationDispense"
        | "MedicationRequest"
        | "MedicationStatement"
        | "NutritionOrder"
        | "Procedure"
        | "RiskAssessment"
        | "ServiceRequest"
        | "VisionPrescription" => Phenotype,
        "Binary"
        | "Composition"
        | "DocumentManifest"
        | "DocumentReference"
        | "ImagingStudy"
        | "Media"
        | "QuestionnaireResponse" => Documents,
        _ => Identity,
    }
}

/// The most sensitive of what an observation says it is about.
fn observation(resource: Value<'_, '_>) -> Category {
    if is_genetic(resource) {
        return Genomic;
    }
    let mut category = None;
    for (system, code) in codings(resource, "category") {
        let known = CATEGORY_SYSTEMS.contains(&&*system) || system.is_empty();
        category = match &*code {
            _ if !known => category,
            "laboratory" => return Laboratory,
            "vital-signs" => Some(Vitals),
            "activity" | "exam" | "imaging" | "procedure" | "social-history" | "survey"
            | "therapy" => category.or(Some(Phenotype)),
            _ => category,
        };
    }
    let by_code = || {
        codings(resource, "code")
            .into_iter()
            .find_map(|(system, code)| match &*system {
                LOINC if VITAL_SIGNS.contains(&&*code) => Some(Vitals),
                HPO => Some(Phenotype),
                _ => None,
            })
    };
    category.or_else(by_code).unwrap_or(Identity)
}

/// A report is a document, unless it is one of genetics or of a laboratory.
fn report(resource: Value<'_, '_>) -> Category {
    if is_genetic(resource) {
        return Genomic;
    }
    let sections = codings(resource, "category");
    let of_laboratory = |(system, code): &(Cow<'_, str>, Cow<'_, str>)| {
        is_section(system) && LABORATORY_SECTIONS.contains(&&**code)
    };
    match sections.iter().any(of_laboratory) {
        true => Laboratory,
        false => Documents,
    }
}

fn is_genetic(resource: Value<'_, '_>) -> bool {
    let components = resource
        .get("component")
        .filter(|list| list.kind() == json::Kind::Array);
    let components = components.into_iter().flat_map(Value::children);
    let mut codes = codings(resource, "code");
    codes.extend(components.flat_map(|component| codings(component, "code")));
    let by_code = |(system, code): &(Cow<'_, str>, Cow<'_, str>)| {
        system == LOINC && GENETIC.contains(&&**code)
    };
    let by_section = |(system, code): &(Cow<'_, str>, Cow<'_, str>)| {
        is_section(system) && GENETIC_SECTIONS.contains(&&**code)
    };
    codes.iter().any(by_code)
        || codings(resource, "category").iter().any(by_section)
        || names_genetics(resource)
}

/// Whether a profile or extension of a resource is one of those for genetics.
fn names_genetics(resource: Value<'_, '_>) -> bool {
    let profiles = resource.get("meta").and_then(|meta| meta.get("profile"));
    let profiles = profiles.into_iter().flat_map(Value::children);
    let extensions = resource.get("extension");
    let extensions = extensions.into_iter().flat_map(Value::children);
    let mut urls = profiles.chain(extensions.filter_map(|extension| extension.get("url")));
    urls.any(|url| {
        url.text().is_some_and(|url| {
            let genetic = |word: &str| url.contains(word);
            genetic("genetics") || genetic("genomics-reporting")
        })
    })
}

fn is_section(system: &str) -> bool {
    SECTION_SYSTEMS.contains(&system) || system.is_empty()
}

/// System and code of the codings of an element that holds one CodeableConcept or several.
fn codings<'a>(of: Value<'_, 'a>, name: &str) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let Some(element) = of.get(name) else {
        return Vec::new();
    };
    let concepts: Vec<_> = match element.kind() {
        json::Kind::Array => element.children().collect(),
        _ => vec![element],
    };
    let text = |coding: Value<'_, 'a>, name| {
        let value = coding.get(name).and_then(Value::text);
        value.unwrap_or_default()
    };
    concepts
        .into_iter()
        .filter_map(|concept| concept.get("coding"))
        .flat_map(Value::children)
        .map(|coding| (text(coding, "system"), text(coding, "code")))
        .collect()
}

pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const HPO: &str = "http://human-phenotype-ontology.org";

/// Code systems of `Observation.category`, in R4 and as older senders still write it.
const CATEGORY_SYSTEMS: &[&str] = &[
    "http://terminology.hl7.org/CodeSystem/observation-category",
    "http://hl7.org/fhir/observation-category",
];

/// Code systems of `DiagnosticReport.category` (HL7 v2 table 0074).
const SECTION_SYSTEMS: &[&str] = &[
    "http://terminology.hl7.org/CodeSystem/v2-0074",
    "http://hl7.org/fhir/v2/0074",
];

const GENETIC_SECTIONS: &[&str] = &["CG", "GE"];

const LABORATORY_SECTIONS: &[&str] = &[
    "BG", "BLB", "CH", "CP", "HM", "IMM", "LAB", "MB", "MCB", "MYC", "OSL", "PAR", "SP", "SR",
    "TX", "URN", "VR",
];

/// The LOINC codes of the FHIR R4 vital signs profiles, and of oxygen saturation by pulse oximetry.
const VITAL_SIGNS: &[&str] = &[
    "85353-1", "9279-1", "8867-4", "2708-6", "59408-5", "8310-5", "8302-2", "9843-4", "29463-7",
    "39156-5", "85354-9", "8480-6", "8462-4",
];

/// LOINC codes of the HL7 Genomics Reporting guide: panels and reports, variants, and what they
/// are made of.
const GENETIC: &[&str] = &[
    "51969-4", "81247-9", "55233-1", "51968-6", "69548-6", "84413-4", "84414-2", "82155-3",
    "48018-6", "48004-6", "48005-3", "81252-9", "81290-9", "51958-7", "48013-7", "62374-4",
    "53034-5", "53037-8", "48002-0", "69547-8", "69551-0", "81254-5", "81258-6", "48001-2",
    "48019-4", "48003-8", "48006-1", "51963-7", "51964-5", "93044-6",
];
