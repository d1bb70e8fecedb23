//! Every path of every resource type of R4, from its definitions.

use super::{Counted, DIGITS, WORD, plants, search};
use crate::examples;
use deident::Rules;
use fhir::{Definition, ElementDefinition, Holds};
use serde_json::{Map, Value, json};

/// How deep data types are entered, each once on a way.
const DEPTH: usize = 8;

/// A step from an object to what stands in it.
type Way = Vec<String>;

/// An object of a type with a valid value in every element, all types of a choice beside each other. `ways` gets
/// the way to each primitive with its type, `objects` that to each object.
struct Full {
    ways: Vec<(Way, String)>,
    objects: Vec<Way>,
}

impl Full {
    fn object(&mut self, of: Definition, way: &Way, on: &[&'static str]) -> Value {
        self.objects.push(way.clone());
        let mut members = Map::new();
        for element in of.elements() {
            let deep = match element.holds() {
                Holds::Object(inner) => {
                    inner.name() == "Extension" || on.contains(&inner.name()) || on.len() > DEPTH
                }
                Holds::Resource => true,
                Holds::Primitive(_) => false,
            };
            if deep || element.name() == "implicitRules" {
                continue;
            }
            let value = self.element(of, element, way, on);
            members.insert(element.name().to_owned(), value);
        }
        Value::Object(members)
    }

    fn element(
        &mut self,
        of: Definition,
        element: ElementDefinition,
        way: &Way,
        on: &[&'static str],
    ) -> Value {
        let mut way = way.clone();
        way.push(element.name().to_owned());
        if element.repeats() {
            way.push("0".to_owned());
        }
        let value = match element.holds() {
            Holds::Object(inner) => {
                let mut on = on.to_vec();
                on.push(inner.name());
                let mut value = self.object(inner, &way, &on);
                fit(element, inner, &mut value);
                value
            }
            Holds::Primitive(primitive) => {
                self.ways.push((way, primitive.to_owned()));
                primitive_value(of, element, primitive)
            }
            Holds::Resource => unreachable!("not entered"),
        };
        match element.repeats() {
            true => json!([value]),
            false => value,
        }
    }
}

/// Makes an object one that would be kept.
fn fit(element: ElementDefinition, of: Definition, value: &mut Value) {
    match of.name() {
        "CodeableConcept" => {
            let coded = element.bound_codes().next();
            if let Some((system, code)) = coded {
                value["coding"][0]["system"] = json!(system);
                value["coding"][0]["code"] = json!(code);
            }
        }
        "Reference" => {
            let target = [
                "Patient",
                "Observation",
                "Encounter",
                "Condition",
                "Device",
                "Specimen",
                "Procedure",
            ];
            let target = target
                .iter()
                .find(|name| element.may_name(name))
                .unwrap_or(&"Practitioner");
            value["reference"] = json!(format!("{target}/p1"));
        }
        _ => {}
    }
}

fn primitive_value(of: Definition, element: ElementDefinition, primitive: &str) -> Value {
    if let Some((_, code)) = element.bound_codes().next() {
        return json!(code);
    }
    match (of.name(), element.name(), primitive) {
        ("Coding", "system", _) => json!("http://loinc.org"),
        ("Coding", "code", _) => json!("8302-2"),
        ("Age", "unit" | "code", _) => json!("a"),
        (_, "unit" | "code", "string" | "code") => json!("mg"),
        (_, "system", "uri") => json!("http://unitsofmeasure.org"),
        (_, "country", _) => json!("DE"),
        (_, "id", "id") => json!("p1"),
        (_, _, "boolean") => json!(true),
        (_, _, "decimal" | "integer" | "positiveInt" | "unsignedInt") => json!(7),
        (_, "birthDate", _) => json!("1980-01-02"),
        (_, _, "date") => json!("2020-03-04"),
        (_, _, "dateTime" | "instant") => json!("2020-03-04T05:06:07Z"),
        (_, _, "time") => json!("05:06:07"),
        (_, _, "base64Binary") => json!("AAAA"),
        _ => json!("plain"),
    }
}

fn at<'v>(value: &'v mut Value, way: &[String]) -> &'v mut Value {
    way.iter()
        .fold(value, |value, step| match step.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[step.as_str()],
        })
}

/// De-identifies and searches; gives the release. Not validated: what is planted is often not valid, and must not
/// survive for that reason alone.
fn run(counted: &mut Counted, place: &str, document: &Value) -> Option<Value> {
    let bytes = serde_json::to_vec(document).unwrap();
    let out = Rules::shipped().resource_unvalidated(
        &examples::cloak(),
        examples::at(),
        &bytes,
        &mut counted.0,
    );
    search(place, &out);
    out.ok().map(|out| serde_json::from_slice(&out).unwrap())
}

/// A resource with no more than what must be there, and its id.
fn least(of: Definition) -> Value {
    let mut document = json!({"resourceType": of.name(), "id": "p1"});
    let mut full = Full {
        ways: Vec::new(),
        objects: Vec::new(),
    };
    let mut slots = Vec::new();
    for element in of.elements() {
        let subject =
            matches!(element.name(), "subject" | "patient") && element.may_name("Patient");
        if (element.required() && !slots.contains(&element.slot_name())) || subject {
            slots.push(element.slot_name());
            document[element.name()] = full.element(of, element, &Vec::new(), &[]);
        }
    }
    document
}

/// Elements that are not planted into a document with others: without them the rest is refused.
const REFUSED: [&str; 3] = ["focus", "modifierExtension", "implicitRules"];

/// Primitives that can hold words.
const TEXTS: [&str; 10] = [
    "string",
    "markdown",
    "xhtml",
    "code",
    "id",
    "uri",
    "url",
    "canonical",
    "oid",
    "uuid",
];

#[test]
fn nothing_planted_in_a_ruled_type_survives() {
    let (mut planted, mut released) = (0, 0);
    for name in Rules::shipped().resource_types() {
        let of = Definition::named(name).unwrap();
        let mut counted = Counted::new();
        let least = least(of);
        assert!(run(&mut counted, name, &least).is_some(), "{name}: {least}");
        for element in of.elements() {
            let mut full = Full {
                ways: Vec::new(),
                objects: Vec::new(),
            };
            let entered = match element.holds() {
                Holds::Object(inner) => inner.name() != "Extension",
                Holds::Primitive(_) => true,
                Holds::Resource => false,
            };
            if !entered || element.name() == "implicitRules" {
                continue;
            }
            let mut base = least.clone();
            base[element.name()] = full.element(of, element, &Vec::new(), &[]);
            let whole = run(&mut counted, name, &base);
            assert_eq!(
                whole.is_none(),
                REFUSED.contains(&element.name()),
                "{name}.{} {base}",
                element.name()
            );
            for (way, primitive) in &full.ways {
                for plant in plants::of(primitive) {
                    let place = format!("{name}.{} {plant}", way.join("."));
                    let mut document = base.clone();
                    *at(&mut document, way) = plant;
                    released += usize::from(run(&mut counted, &place, &document).is_some());
                    planted += 1;
                }
                // Beside the primitive, with its value and without.
                let (last, parents) = match way.split_last() {
                    Some((last, parents)) if last == "0" => {
                        (parents.last().unwrap(), &parents[..parents.len() - 1])
                    }
                    Some((last, parents)) => (last, parents),
                    None => unreachable!(),
                };
                for alone in [false, true] {
                    let place = format!("{name}._{}", way.join("."));
                    let mut document = base.clone();
                    let parent = at(&mut document, parents);
                    let beside = json!({"id": WORD, "extension": [plants::extension()]});
                    let list = parent[last.as_str()].is_array();
                    if alone {
                        parent.as_object_mut().unwrap().remove(last);
                    }
                    parent[format!("_{last}")] = if list { json!([beside]) } else { beside };
                    run(&mut counted, &place, &document);
                    planted += 1;
                }
            }
            for way in &full.objects {
                planted += plant_in_object(&mut counted, name, &base, way);
            }
        }
        planted += plant_in_object(&mut counted, name, &least, &Vec::new());
        planted += plant_other_systems(&mut counted, name, &least);
    }
    eprintln!("{planted} planted, {released} of them in what was released");
    assert!(
        planted > 30_000 && released > 20_000,
        "{planted} {released}"
    );
}

/// Documents of a type with one text each that stands nowhere else, and the path that it stands at.
pub(crate) fn texts_planted(name: &str) -> Vec<(String, Value)> {
    let of = Definition::named(name).unwrap();
    let mut least = least(of);
    if name == "Patient" {
        // FHIR-Diet stops at what none of its rules match.
        least["birthDate"] = json!("1980-01-02");
    }
    let mut planted = Vec::new();
    for element in of.elements() {
        let entered = match element.holds() {
            Holds::Object(inner) => inner.name() != "Extension",
            Holds::Primitive(_) => true,
            Holds::Resource => false,
        };
        if !entered || REFUSED.contains(&element.name()) {
            continue;
        }
        let mut full = Full {
            ways: Vec::new(),
            objects: Vec::new(),
        };
        let mut base = least.clone();
        base[element.name()] = full.element(of, element, &Vec::new(), &[]);
        for (way, primitive) in &full.ways {
            if !TEXTS.contains(&primitive.as_str()) {
                continue;
            }
            let mut document = base.clone();
            *at(&mut document, way) = match primitive.as_str() {
                "xhtml" => json!(format!("<div>{WORD}</div>")),
                _ => json!(WORD),
            };
            let steps = way.iter().filter(|step| step.parse::<usize>().is_err());
            let steps: Vec<&str> = steps.map(String::as_str).collect();
            planted.push((format!(".{}", steps.join(".")), document));
        }
    }
    planted
}

/// Extensions, members that R4 does not have, names of members, resources within.
fn plant_in_object(counted: &mut Counted, name: &str, base: &Value, way: &Way) -> usize {
    let members = [
        ("extension", json!([plants::extension()])),
        ("modifierExtension", json!([plants::extension()])),
        ("id", json!(WORD)),
        (
            "unknown",
            json!({"value": WORD, "list": [DIGITS, {WORD: DIGITS}]}),
        ),
        (WORD, json!(true)),
        (DIGITS, json!({DIGITS: [WORD]})),
        (
            "contained",
            json!([{"resourceType": "Patient", "id": WORD, "name": [{"text": WORD}]}]),
        ),
        (
            "text",
            json!({"status": "generated", "div": format!("<div>{WORD}</div>")}),
        ),
        (
            "meta",
            json!({"profile": [format!("http://{WORD}")], "tag": [{"system": WORD, "code": DIGITS}],
            "security": [{"system": "http://loinc.org", "code": WORD}], "source": WORD, "versionId": DIGITS}),
        ),
        ("language", json!(WORD)),
        ("implicitRules", json!(format!("http://{WORD}"))),
    ];
    for (member, value) in &members {
        let mut document = base.clone();
        let object = at(&mut document, way);
        // Its own id is not the person's: that Patient is refused, as another's.
        object[*member] = value.clone();
        run(
            counted,
            &format!("{name}.{}.{member}", way.join(".")),
            &document,
        );
    }
    members.len()
}

/// A record number as a code of every system that the rules know.
fn plant_other_systems(counted: &mut Counted, name: &str, least: &Value) -> usize {
    let rules = Rules::shipped_text();
    let systems: Vec<&str> = rules
        .split('"')
        .filter(|text| text.contains("://"))
        .collect();
    assert!(systems.len() > 60);
    let mut planted = 0;
    for element in [
        "code",
        "vaccineCode",
        "type",
        "relationship",
        "medicationCodeableConcept",
    ] {
        for system in &systems {
            for plant in plants::of("code") {
                let mut document = least.clone();
                document[element] = json!({"coding": [{"system": system, "code": plant}]});
                run(
                    counted,
                    &format!("{name}.{element} {system} {plant}"),
                    &document,
                );
                planted += 1;
            }
        }
    }
    planted
}

/// Types without rules give nothing, wherever they stand.
#[test]
fn nothing_of_another_type_survives() {
    let mut types = 0;
    let mut counted = Counted::new();
    for name in fhir::resource_types() {
        if Rules::shipped().resource_types().any(|ruled| ruled == name) {
            continue;
        }
        let of = Definition::named(name).unwrap();
        let mut full = Full {
            ways: Vec::new(),
            objects: Vec::new(),
        };
        let mut document = full.object(of, &Vec::new(), &[]);
        for (way, primitive) in &full.ways {
            *at(&mut document, way) = plants::of(primitive).swap_remove(0);
        }
        document["resourceType"] = json!(name);
        assert!(run(&mut counted, name, &document).is_none());
        let inside = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": document}]});
        assert!(run(&mut counted, name, &inside).is_none());
        let contained = json!({"resourceType": "Patient", "id": "p1", "contained": [document]});
        assert!(run(&mut counted, name, &contained).is_some());
        types += 1;
    }
    assert!(types > 130, "{types}");
}

/// What is no resource says nothing of itself either.
#[test]
fn errors_do_not_tell() {
    let broken = [
        format!("{{\"resourceType\": \"{WORD}\"}}"),
        format!("{{\"resourceType\": \"Patient\", \"{WORD}\": 1, \"{WORD}\": 2}}"),
        format!("{{\"resourceType\": \"Patient\", \"name\": {WORD}}}"),
        format!("{{\"{WORD}\": {{\"{DIGITS}\": tru}}}}"),
        format!("\"{WORD}\""),
        WORD.to_owned(),
        format!("{{\"resourceType\": [\"{WORD}\"]}}"),
        "[".repeat(100) + WORD,
    ];
    for text in broken {
        let mut counted = Counted::new();
        let bytes = text.as_bytes();
        let out =
            Rules::shipped().resource(&examples::cloak(), examples::at(), bytes, &mut counted.0);
        assert!(out.is_err());
        search(&text, &out);
        let out =
            Rules::shipped().phenopacket(&examples::cloak(), examples::at(), bytes, &mut counted.0);
        assert!(out.is_err());
        search(&text, &out);
    }
}
