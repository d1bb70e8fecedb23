//! Groups as GA4GH phenopackets: the profile of a group in the form of one person's.

use crate::fhir::{frequency, line};
use crate::group::{Ages, Group};
use crate::header::Header;
use ontology::Sex;
use serde_json::{Value, json};

pub(crate) const FILE: (&str, &str) = (
    "phenopackets.ndjson",
    "GA4GH phenopackets, version 2, one on each line: the profile of a group of subjects in the form of one person's. The frequency of a feature in the group is its modifier: very frequent from 80 %, frequent from half; without one, fewer.",
);

/// A group's phenopacket, as a line.
pub(crate) fn lines(header: &Header, group: &Group) -> Vec<u8> {
    let mut subject = json!({"id": group.id});
    if let Some(fields) = subject.as_object_mut() {
        if let Some(sex) = group.one_sex() {
            let sex = match sex {
                Sex::Female => "FEMALE",
                Sex::Male => "MALE",
            };
            fields.insert("sex".to_owned(), json!(sex));
        }
        if let Some(Ages { from, to: Some(to) }) = group.ages {
            let age = |years: u32| json!({"iso8601duration": format!("P{years}Y")});
            // The oldest have not had their next birthday.
            let range = json!({"ageRange": {"start": age(from), "end": age(to.saturating_add(1))}});
            fields.insert("timeAtLastEncounter".to_owned(), range);
        }
    }
    let observed = group.observed.iter().map(|feature| (false, feature));
    let excluded = group.excluded.iter().map(|feature| (true, feature));
    let features: Vec<Value> = observed
        .chain(excluded)
        .map(|(excluded, feature)| {
            let term = json!({"id": feature.term.to_string(), "label": feature.label});
            match frequency(feature.share) {
                Some((id, label)) => json!({
                    "type": term,
                    "excluded": excluded,
                    "modifiers": [{"id": id, "label": label}],
                }),
                None => json!({"type": term, "excluded": excluded}),
            }
        })
        .collect();
    let of_all = group.diagnoses.iter().filter(|diagnosis| diagnosis.all);
    let diseases: Vec<Value> = of_all
        .map(|diagnosis| json!({"term": {"id": diagnosis.id, "label": diagnosis.label}}))
        .collect();
    let version = header
        .versions
        .iter()
        .find(|(name, _)| name == "HPO")
        .map_or("", |(_, version)| version.as_str());
    line(&json!({
        "id": group.id,
        "subject": subject,
        "phenotypicFeatures": features,
        "diseases": diseases,
        "metaData": {
            "created": header.made.to_rfc3339(),
            "createdBy": format!("institution {}", header.study.institution),
            "resources": [{
                "id": "hp",
                "name": "Human Phenotype Ontology",
                "url": "http://purl.obolibrary.org/obo/hp.owl",
                "version": version,
                "namespacePrefix": "HP",
                "iriPrefix": "http://purl.obolibrary.org/obo/HP_",
            }],
            "phenopacketSchemaVersion": "2.0",
        },
    }))
}
