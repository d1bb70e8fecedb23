//! Examples of every resource type, each made wrong in one place by rules of the table's own text: the
//! issue names the place.

use crate::examples::{errors, shipped};
use fhir::{IssueCode, Limits, Severity, Strictness};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// At most so many places of an example are made wrong in the same way.
const PLACES: usize = 8;

/// An element, read from the table by this test's own reader.
struct Element {
    name: String,
    stem: String,
    choice: bool,
    required: bool,
    repeats: bool,
    of: String,
    bound: bool,
    targets: Vec<String>,
}

struct Definitions(BTreeMap<String, Vec<Element>>);

impl Definitions {
    fn read() -> Self {
        let open: BTreeSet<&str> = include_str!("../../src/bindings.txt")
            .lines()
            .filter_map(|line| line.strip_suffix(" open"))
            .filter(|line| !line.contains(' '))
            .collect();
        let lines = include_str!("../../src/elements.txt").lines();
        let lines: BTreeMap<&str, Vec<&str>> = lines
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .map(|words| (words[1], words[2..].to_vec()))
            .collect();
        let mut all = BTreeMap::new();
        for name in lines.keys() {
            let mut tokens: Vec<&str> = Vec::new();
            let mut at = Some(name);
            while let Some(words) = at.and_then(|name| lines.get(name)) {
                tokens.extend(&words[1..]);
                at = lines.keys().find(|base| **base == words[0]);
            }
            let elements = tokens.iter().flat_map(|token| Element::read(token, &open));
            all.insert((*name).to_owned(), elements.collect());
        }
        Self(all)
    }

    fn element(&self, of: &str, name: &str) -> Option<&Element> {
        self.0.get(of)?.iter().find(|element| element.name == name)
    }
}

impl Element {
    fn read(token: &str, open: &BTreeSet<&str>) -> Vec<Self> {
        let (name, types) = token.split_once(':').unwrap();
        let full = name.trim_end_matches(['!', '*', '+']);
        let sign = &name[full.len()..];
        let stem = full.trim_end_matches("[x]");
        let read = |spelled: &str| {
            let (spelled, targets) = spelled.split_once('>').unwrap_or((spelled, ""));
            let (of, set) = spelled.split_once('@').unwrap_or((spelled, ""));
            let capital = format!("{}{}", of[..1].to_uppercase(), &of[1..]);
            Self {
                name: if stem == full {
                    full.to_owned()
                } else {
                    format!("{stem}{capital}")
                },
                stem: stem.to_owned(),
                choice: stem != full,
                required: matches!(sign, "!" | "+"),
                repeats: matches!(sign, "*" | "+"),
                of: of.to_owned(),
                bound: of == "code" && !set.is_empty() && !open.contains(set),
                targets: targets
                    .split('|')
                    .filter(|t| !t.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }
        };
        types.split(',').map(read).collect()
    }

    fn is_primitive(&self) -> bool {
        self.of.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

/// What is done to the object at a pointer, and the element that the issue names.
struct Mutant {
    kind: &'static str,
    object: String,
    change: Change,
    expect: String,
}

impl Mutant {
    /// Whether an issue is the one that is expected: the kind of rule, and the element.
    fn is_told_by(&self, issue: &fhir::Issue) -> bool {
        let code = match self.kind {
            "missing" => IssueCode::Required,
            "bad code" => IssueCode::CodeInvalid,
            "bad date" | "bad month" | "bad number" | "bad base64" | "bad uri" | "bad target"
            | "empty text" | "script" => IssueCode::Value,
            _ => IssueCode::Structure,
        };
        // Which of two choices is named depends on their order.
        let named = match self.kind {
            "double choice" => {
                issue.message.starts_with("only one of")
                    && issue.expression.starts_with(&self.expect)
            }
            _ => issue.expression == self.expect,
        };
        issue.code == code && named
    }
}

enum Change {
    Set(String, Value),
    Remove(String),
}

/// Collects mutants of an object of a type.
fn mutate(
    all: &Definitions,
    of: &str,
    object: &Map<String, Value>,
    at: &str,
    path: &str,
    out: &mut Vec<Mutant>,
) {
    let mut add = |kind, change, expect: String| {
        let object = at.to_owned();
        out.push(Mutant {
            kind,
            object,
            change,
            expect,
        });
    };
    add(
        "unknown element",
        Change::Set("unheardOf".into(), json!("x")),
        path.to_owned(),
    );
    for (name, value) in object {
        let Some(element) = all.element(of, name) else {
            continue;
        };
        let here = format!("{path}.{name}");
        let (first, listed): (_, fn(Value) -> Value) = match element.repeats {
            true => (format!("{here}[0]"), |value| json!([value])),
            false => (here.clone(), |value| value),
        };
        let mut set = |kind, value, expect: &str| {
            add(kind, Change::Set(name.clone(), value), expect.to_owned());
        };
        let companion = format!("_{name}");
        if !object.contains_key(&companion) {
            match element.repeats {
                true => {
                    set("single for a list", value[0].clone(), &here);
                    set("empty list", json!([]), &here);
                    set("null in a list", json!([null]), &first);
                }
                false => {
                    set("list for a single", json!([value, value]), &here);
                    set("null", json!(null), &here);
                }
            }
            if element.required {
                add(
                    "missing",
                    Change::Remove(name.clone()),
                    format!("{path}.{}", element.stem),
                );
            }
        }
        let mut set = |kind, value, expect: &str| {
            add(kind, Change::Set(name.clone(), value), expect.to_owned());
        };
        if element.is_primitive() && !object.contains_key(&companion) {
            let wrong = if value.is_string() || value[0].is_string() {
                json!(17.5)
            } else {
                json!("x")
            };
            set("wrong type", listed(wrong), &first);
            set("object for a primitive", listed(json!({"id": "x"})), &first);
            for (kind, value) in wrong_contents(element) {
                set(kind, listed(value), &first);
            }
        } else if !element.is_primitive() {
            set("primitive for an object", listed(json!("x")), &first);
            set("empty object", listed(json!({})), &first);
            if element.of == "Reference"
                && !element.targets.is_empty()
                && !element.targets.contains(&"Basic".into())
            {
                let wrong = json!({"reference": "Basic/x"});
                set("bad target", listed(wrong), &format!("{first}.reference"));
            }
        }
        if element.choice {
            let other = all.0[of]
                .iter()
                .find(|other| other.stem == element.stem && other.name != element.name);
            if let Some(other) = other {
                let value = if other.is_primitive() {
                    json!("x")
                } else {
                    json!({"id": "x"})
                };
                // The later member is named; a new one comes last or first, by its name.
                add(
                    "double choice",
                    Change::Set(other.name.clone(), value),
                    format!("{path}.{}", element.stem),
                );
            }
        }
    }
}

/// Contents that the type of a primitive does not allow.
fn wrong_contents(element: &Element) -> Vec<(&'static str, Value)> {
    match element.of.as_str() {
        "date" | "dateTime" | "instant" => vec![
            ("bad date", json!("2021-02-29T10:00:00Z")),
            ("bad month", json!("2021-13-01")),
        ],
        "code" if element.bound => vec![("bad code", json!("unheard-of"))],
        "positiveInt" => vec![("bad number", json!(0))],
        "integer" | "unsignedInt" => vec![("bad number", json!(1.5))],
        "base64Binary" => vec![("bad base64", json!("abc"))],
        "uri" | "url" | "canonical" | "id" => vec![("bad uri", json!("a b"))],
        "string" | "markdown" => vec![("empty text", json!(""))],
        "xhtml" => vec![("script", json!("<div><script>x</script></div>"))],
        _ => Vec::new(),
    }
}

/// Collects mutants of an object of a type and of all below it.
fn collect(
    all: &Definitions,
    of: &str,
    object: &Map<String, Value>,
    at: &str,
    path: &str,
    out: &mut Vec<Mutant>,
) {
    mutate(all, of, object, at, path, out);
    for (name, value) in object {
        let Some(element) = all.element(of, name) else {
            continue;
        };
        let here = format!("{path}.{name}");
        let items: Vec<(String, String, &Value)> = match value {
            Value::Array(items) => (0..)
                .zip(items)
                .map(|(i, item): (usize, _)| {
                    (format!("{at}/{name}/{i}"), format!("{here}[{i}]"), item)
                })
                .collect(),
            other => vec![(format!("{at}/{name}"), here, other)],
        };
        for (at, path, item) in items {
            if let Value::Object(inner) = item {
                let own = inner.get("resourceType").and_then(Value::as_str);
                collect(all, own.unwrap_or(&element.of), inner, &at, &path, out);
            }
        }
    }
}

fn apply(document: &Value, mutant: &Mutant) -> Value {
    let mut document = document.clone();
    let object = document
        .pointer_mut(&mutant.object)
        .unwrap()
        .as_object_mut()
        .unwrap();
    match &mutant.change {
        Change::Set(name, value) => object.insert(name.clone(), value.clone()),
        Change::Remove(name) => object.remove(name),
    };
    document
}

/// The smallest example of each type.
fn smallest() -> BTreeMap<String, Value> {
    let mut found: BTreeMap<String, (usize, Value)> = BTreeMap::new();
    for (_, source) in shipped() {
        let document: Value = serde_json::from_slice(&source).unwrap();
        let of = document["resourceType"].as_str().unwrap().to_owned();
        let known = found.get(&of).map_or(usize::MAX, |(size, _)| *size);
        if source.len() < known {
            found.insert(of, (source.len(), document));
        }
    }
    found
        .into_iter()
        .map(|(of, (_, document))| (of, document))
        .collect()
}

#[test]
fn every_mutant_is_refused_where_it_is_wrong() {
    let all = Definitions::read();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut survivors = Vec::new();
    for (of, document) in smallest() {
        let mut mutants = Vec::new();
        collect(
            &all,
            &of,
            document.as_object().unwrap(),
            "",
            &of,
            &mut mutants,
        );
        let before = errors(document.to_string().as_bytes(), Strictness::Strict);
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for mutant in mutants {
            let place = places.entry(mutant.kind).or_default();
            *place += 1;
            let already = before.iter().any(|issue| mutant.is_told_by(issue));
            if *place > PLACES || already {
                continue;
            }
            *counts.entry(mutant.kind).or_default() += 1;
            let source = apply(&document, &mutant).to_string();
            let found = errors(source.as_bytes(), Strictness::Strict);
            if !found.iter().any(|issue| mutant.is_told_by(issue)) {
                survivors.push(format!(
                    "{of}: {} at {}: {found:?}",
                    mutant.kind, mutant.expect
                ));
            }
        }
    }
    assert!(
        survivors.is_empty(),
        "{} of {counts:?}:\n{}",
        survivors.len(),
        survivors.join("\n")
    );
    println!("{} mutants: {counts:?}", counts.values().sum::<usize>());
    let rare = counts.iter().filter(|(_, count)| **count < 4).count();
    assert_eq!((counts.len(), rare), (21, 0), "{counts:?}");
}

/// Under lenient handling an unknown element is told, and is no error.
#[test]
fn unknown_elements_are_kept_under_lenient_handling() {
    for (of, document) in smallest() {
        let before = errors(document.to_string().as_bytes(), Strictness::Lenient).len();
        let mut document = document;
        document["unheardOf"] = json!({"deep": ["x"]});
        let source = document.to_string();
        assert_eq!(
            errors(source.as_bytes(), Strictness::Lenient).len(),
            before,
            "{of}"
        );
        assert_eq!(
            errors(source.as_bytes(), Strictness::Strict).len(),
            before + 1,
            "{of}"
        );
        let issues =
            fhir::validate_bytes(source.as_bytes(), &Limits::default(), Strictness::Lenient);
        let told = issues.unwrap().into_iter().filter(|issue| {
            issue.severity == Severity::Warning && issue.code == fhir::IssueCode::Structure
        });
        assert_eq!(told.count(), 1, "{of}");
    }
}

/// The examples as values, read once.
static EXAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| smallest().into_values().collect());

/// The pointers of all values.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                pointers(member, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{position}"), out);
            }
        }
        _ => {}
    }
}

proptest! {
    /// Pieces of examples put into others at random are judged, in bounded issues that start at the
    /// resource, the same way each time; what is lenient has no more errors than what is strict.
    #[test]
    fn grafted_examples_are_judged(into: Index, from: Index, place: Index, piece: Index) {
        let mut document = into.get(&EXAMPLES).clone();
        let of = document["resourceType"].as_str().unwrap().to_owned();
        let donor = from.get(&EXAMPLES);
        let (mut places, mut pieces) = (Vec::new(), Vec::new());
        pointers(&document, "", &mut places);
        pointers(donor, "", &mut pieces);
        let place = place.get(&places[1..]).as_str();
        let graft = donor.pointer(piece.get(pieces.as_slice()).as_str()).unwrap().clone();
        prop_assume!(place != "/resourceType");
        *document.pointer_mut(place).unwrap() = graft;
        let source = document.to_string();
        let judge = |strictness| {
            fhir::validate_bytes(source.as_bytes(), &Limits::default(), strictness).unwrap()
        };
        let strict = judge(Strictness::Strict);
        prop_assert_eq!(&strict, &judge(Strictness::Strict));
        prop_assert!(strict.len() <= fhir::MAX_ISSUES);
        for issue in &strict {
            prop_assert!(issue.expression.starts_with(&of));
        }
        let errors = |issues: &[fhir::Issue]| {
            issues.iter().filter(|issue| issue.severity == Severity::Error).count()
        };
        prop_assert!(errors(&judge(Strictness::Lenient)) <= errors(&strict));
    }
}
