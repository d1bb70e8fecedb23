//! Every path of a phenopacket, from its schema.

use super::{Counted, DIGITS, WORD, plants, search};
use crate::examples;
use deident::Rules;
use phenopacket::{Definition, FieldDefinition, Holds};
use serde_json::{Map, Value, json};

/// A message with every field, and the ways to its texts and objects.
#[derive(Default)]
struct Full {
    texts: Vec<String>,
    objects: Vec<String>,
}

impl Full {
    fn message(&mut self, of: Definition, way: &str) -> Value {
        self.objects.push(way.to_owned());
        let mut members = Map::new();
        for field in of.fields() {
            let list = if field.repeats() { "/0" } else { "" };
            let own = format!("{way}/{}{list}", field.name());
            let value = self.field(of, field, &own);
            let value = if field.repeats() {
                json!([value])
            } else {
                value
            };
            members.insert(field.name().to_owned(), value);
        }
        Value::Object(members)
    }

    fn field(&mut self, of: Definition, field: FieldDefinition, way: &str) -> Value {
        match field.holds() {
            Holds::Text => {
                self.texts.push(way.to_owned());
                json!(text(of, field))
            }
            Holds::Flag => json!(false),
            Holds::Number => json!(7),
            Holds::Choice(words) => json!(words[1]),
            Holds::Message(inner) => self.message(inner, way),
            Holds::Open(names) => {
                let mut open = Map::new();
                for name in names.iter().chain(&["other"]) {
                    self.texts.push(format!("{way}/{name}"));
                    open.insert((*name).to_owned(), json!("plain"));
                }
                Value::Object(open)
            }
        }
    }
}

fn text(of: Definition, field: FieldDefinition) -> &'static str {
    match (of.name(), field.name()) {
        ("OntologyClass", "id") => "HP:0001250",
        ("GeneDescriptor", "valueId") => "HGNC:3603",
        ("Age", _) => "P34Y",
        ("TimeElement" | "TimeInterval", _) | ("MetaData", "created") => "2020-03-04T05:06:07Z",
        ("MetaData", "phenopacketSchemaVersion") => "2.0.2",
        ("Resource", "namespacePrefix") => "HP",
        (_, "id" | "individualId" | "subjectOrBiosampleId") => "p1",
        _ => "plain",
    }
}

fn run(counted: &mut Counted, place: &str, document: &Value) -> bool {
    let bytes = serde_json::to_vec(document).unwrap();
    let out =
        Rules::shipped().phenopacket(&examples::cloak(), examples::at(), &bytes, &mut counted.0);
    search(place, &out);
    if let Ok(out) = &out {
        phenopacket::Parsed::parse(out).unwrap();
    }
    out.is_ok()
}

#[test]
fn nothing_planted_in_a_phenopacket_survives() {
    let mut counted = Counted::new();
    let mut full = Full::default();
    let base = full.message(Definition::named("Phenopacket").unwrap(), "");
    assert!(run(&mut counted, "base", &base));
    let (mut planted, mut released) = (0, 0);
    for way in &full.texts {
        let as_timestamp = plants::of("dateTime");
        let ages = [
            format!("P{DIGITS}Y"),
            format!("P3Y{WORD}"),
            format!("P1YT{DIGITS}S"),
        ];
        let curies = ["HP", "LOINC", "OMIM", "UCUM", "HGNC", "NCIT", "MONDO"]
            .map(|prefix| format!("{prefix}:{DIGITS}"));
        let texts = ages.into_iter().chain(curies).map(Value::String);
        for plant in plants::of("string")
            .into_iter()
            .chain(as_timestamp)
            .chain(texts)
        {
            let mut document = base.clone();
            *document.pointer_mut(way).unwrap() = plant;
            released += usize::from(run(&mut counted, way, &document));
            planted += 1;
        }
    }
    for way in &full.objects {
        for (name, value) in [
            (WORD, json!(WORD)),
            (DIGITS, json!([{WORD: DIGITS}])),
            ("unknown", json!(WORD)),
            ("extension", json!([plants::extension()])),
        ] {
            let mut document = base.clone();
            document.pointer_mut(way).unwrap()[name] = value;
            released += usize::from(run(&mut counted, way, &document));
            planted += 1;
        }
    }
    eprintln!("{planted} planted, {released} of them in what was released");
    assert!(
        planted > 10_000 && released > planted * 9 / 10,
        "{planted} {released}"
    );
}
