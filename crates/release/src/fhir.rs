//! Groups as FHIR R4: a Group each, and an Observation for whatever is said of it.
//!
//! A characteristic of a Group is shared by all its members; what only a share of them has is an Observation
//! about the Group, with the share as a component.

use crate::group::{Group, Measure, Sexes, Share};
use serde_json::{Value, json};

/// What is said of whom, one resource a line.
pub(crate) const FILES: [(&str, &str); 2] = [
    ("Group.ndjson", "FHIR R4 Group, one a group of subjects."),
    (
        "Observation.ndjson",
        "FHIR R4 Observation about a Group: features (code: the term of HPO; valueBoolean: seen, or looked for and not there; component HP:0040279: of how many of them, in per cent), sex, ages, diagnoses, measurements (components average and std-dev).",
    ),
];

const HPO: &str = "http://human-phenotype-ontology.org";
const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";
const STATISTICS: &str = "http://terminology.hl7.org/CodeSystem/observation-statistics";
const GENDER: &str = "http://hl7.org/fhir/administrative-gender";

/// The resources of a group: (file, lines).
pub(crate) fn lines(group: &Group) -> [(&'static str, Vec<u8>); 2] {
    let [(groups, _), (observations, _)] = FILES;
    let mut written = Observations {
        group,
        count: 0,
        lines: Vec::new(),
    };
    written.all();
    [
        (groups, line(&of_group(group))),
        (observations, written.lines),
    ]
}

fn of_group(group: &Group) -> Value {
    let of_all = group.diagnoses.iter().filter(|diagnosis| diagnosis.all);
    let characteristics: Vec<Value> = of_all
        .map(|diagnosis| {
            json!({
                "code": concept(LOINC, "29308-4", "Diagnosis"),
                "valueCodeableConcept": disease(&diagnosis.id, &diagnosis.label),
                "exclude": false,
            })
        })
        .collect();
    let mut resource = json!({
        "resourceType": "Group",
        "id": group.id,
        "type": "person",
        "actual": true,
        "quantity": group.at_least,
    });
    if let (Some(fields), false) = (resource.as_object_mut(), characteristics.is_empty()) {
        fields.insert("characteristic".to_owned(), Value::Array(characteristics));
    }
    resource
}

struct Observations<'a> {
    group: &'a Group,
    count: usize,
    lines: Vec<u8>,
}

impl Observations<'_> {
    fn all(&mut self) {
        let group = self.group;
        for sex in &group.sex {
            let code = match sex {
                Sexes::Female => "female",
                Sexes::Male => "male",
            };
            let value = concept(GENDER, code, code);
            self.put(
                concept(LOINC, "46098-0", "Sex"),
                "valueCodeableConcept",
                value,
                None,
            );
        }
        if let Some(ages) = group.ages {
            let years =
                |years: u32| json!({"value": years, "unit": "a", "system": UCUM, "code": "a"});
            let mut range = json!({"low": years(ages.from)});
            if let (Some(to), Some(fields)) = (ages.to, range.as_object_mut()) {
                fields.insert("high".to_owned(), years(to));
            }
            self.put(concept(LOINC, "30525-0", "Age"), "valueRange", range, None);
        }
        for diagnosis in group.diagnoses.iter().filter(|diagnosis| !diagnosis.all) {
            let value = disease(&diagnosis.id, &diagnosis.label);
            let code = concept(LOINC, "29308-4", "Diagnosis");
            self.put(code, "valueCodeableConcept", value, None);
        }
        let observed = group.observed.iter().map(|feature| (true, feature));
        let excluded = group.excluded.iter().map(|feature| (false, feature));
        for (seen, feature) in observed.chain(excluded) {
            let code = concept(HPO, &feature.term.to_string(), &feature.label);
            let (from, to) = percent(feature.share);
            let part =
                |percent: u32| json!({"value": percent, "unit": "%", "system": UCUM, "code": "%"});
            let share = json!([{
                "code": concept(HPO, "HP:0040279", "Frequency"),
                "valueRange": {"low": part(from), "high": part(to)},
            }]);
            self.put(code, "valueBoolean", Value::Bool(seen), Some(share));
        }
        for measure in &group.measured {
            self.measure(measure);
        }
    }

    fn measure(&mut self, measure: &Measure) {
        let code = json!({"coding": [{"system": measure.system, "code": measure.code}]});
        let quantity = |value: f64| {
            json!({
                "value": value,
                "unit": measure.unit,
                "system": UCUM,
                "code": measure.unit,
            })
        };
        let components = json!([
            {
                "code": concept(STATISTICS, "average", "Average"),
                "valueQuantity": quantity(measure.mean),
            },
            {
                "code": concept(STATISTICS, "std-dev", "Standard Deviation"),
                "valueQuantity": quantity(measure.deviation),
            },
            {
                "code": concept(STATISTICS, "count", "Count"),
                "valueInteger": measure.at_least,
            },
        ]);
        let resource = self.resource(code);
        self.push(with(resource, "component", components));
    }

    fn put(&mut self, code: Value, key: &str, value: Value, component: Option<Value>) {
        let mut resource = with(self.resource(code), key, value);
        if let Some(component) = component {
            resource = with(resource, "component", component);
        }
        self.push(resource);
    }

    fn resource(&mut self, code: Value) -> Value {
        self.count += 1;
        json!({
            "resourceType": "Observation",
            "id": format!("{}-{}", self.group.id, self.count),
            "status": "final",
            "code": code,
            "subject": {"reference": format!("Group/{}", self.group.id)},
        })
    }

    fn push(&mut self, resource: Value) {
        self.lines.extend(line(&resource));
    }
}

/// The share of the subjects of whom a feature is stated, in per cent, both in it.
pub(crate) const fn percent(share: Share) -> (u32, u32) {
    match share {
        Share::NearlyAll => (80, 100),
        Share::Many => (50, 79),
        Share::Some => (1, 49),
    }
}

/// A share in HPO's words, where they have one: 80 to 99 % are very frequent, 30 to 79 % frequent.
pub(crate) const fn frequency(share: Share) -> Option<(&'static str, &'static str)> {
    match share {
        Share::NearlyAll => Some(("HP:0040281", "Very frequent")),
        Share::Many => Some(("HP:0040282", "Frequent")),
        // From k subjects on: HPO's bands are narrower.
        Share::Some => None,
    }
}

fn with(mut resource: Value, key: &str, value: Value) -> Value {
    if let Some(fields) = resource.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    resource
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}]})
}

fn disease(id: &str, label: &str) -> Value {
    let (system, code) = match id.split_once(':') {
        Some(("OMIM", number)) => ("http://www.omim.org", number),
        Some(("ORPHA", number)) => ("http://www.orpha.net", number),
        _ => return json!({"text": id}),
    };
    let mut coding = json!({"system": system, "code": code});
    if let (Some(fields), false) = (coding.as_object_mut(), label.is_empty()) {
        fields.insert("display".to_owned(), Value::String(label.to_owned()));
    }
    json!({"coding": [coding]})
}

/// A value as a line.
pub(crate) fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}
