//! Expressions on a made-up resource.

use super::{Evaluator, Expression, Node, Scope, Stop};
use crate::fhirpath::item::Item;
use crate::table::TABLE;
use json::Limits;

const OBSERVATION: &str = r#"{
  "resourceType": "Observation", "id": "o1", "status": "final",
  "contained": [{"resourceType": "Patient", "id": "p", "birthDate": "1990-05"}],
  "code": {"coding": [{"system": "http://loinc.org", "code": "1"}, {"system": "http://loinc.org", "code": "2"}]},
  "effectivePeriod": {"start": "2020-01-31T23:30:00-01:00", "end": "2020-02-01T00:30:00Z"},
  "valueQuantity": {"value": 13.50, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
  "_status": {"extension": [{"url": "http://x", "valueBoolean": true}]},
  "component": [
    {"code": {"coding": [{"code": "2", "system": "http://loinc.org"}]}, "valueInteger": 3},
    {"code": {"text": "b"}, "valueString": "text", "_valueString": {"id": "i"}},
    {"code": {"text": "c"}, "valueRange": {"low": {"value": 1, "unit": "a"}, "high": {"value": 0.9, "unit": "a"}}}
  ],
  "referenceRange": [{"text": "to 5"}]
}"#;

/// The items of a result as one text.
fn run(source: &str, steps: &mut u64) -> Result<String, Stop> {
    let expression = Expression::parse(source).unwrap();
    let document = json::parse(OBSERVATION.as_bytes(), &Limits::default()).unwrap();
    let of = TABLE.resource("Observation").unwrap();
    let scope = Scope {
        resource: (document.root(), of),
        root: (document.root(), of),
    };
    let node = Node::object(document.root(), of);
    let shown = |item: Item<'_, '_>| match item.scalar() {
        Some(Item::Text(text)) => text.into_owned(),
        Some(Item::Bool(truth)) => truth.to_string(),
        Some(Item::Number(amount)) => amount.plain(),
        Some(Item::Date(_)) => "date".to_owned(),
        Some(Item::Node(_) | Item::Nothing) | None => "object".to_owned(),
    };
    let found = Evaluator::new(&scope, node, steps).run(&expression)?;
    Ok(found.into_iter().map(shown).collect::<Vec<_>>().join(" "))
}

fn check(source: &str, expect: &str) {
    assert_eq!(run(source, &mut 10_000).unwrap(), expect, "{source}");
}

#[test]
fn paths_and_choices() {
    check("status", "final");
    check("Observation.status", "final");
    check("Patient.status", "");
    check("valueQuantity", "");
    check("value.value", "135e-1");
    check("component.value", "3e-0 text object");
    check("component[1].value", "text");
    check("component[7]", "");
    check("component.code.coding.code", "2");
    check("%resource.component.count()", "3e-0");
    check("contained.birthDate", "date");
    check("status.extension.value", "true");
    check("status.extension('http://x').exists()", "true");
    check("status.extension('http://y').exists()", "false");
    check("component.value.id", "i");
    check("`status`", "final");
}

#[test]
fn filters_and_collections() {
    check("component.where(code.text = 'b').value", "text");
    check("component.all(code.exists())", "true");
    check("component.all(code.text.exists())", "false");
    check("component.exists(value is integer)", "true");
    check("component.select(code.text)", "b c");
    check("code.coding.system.isDistinct()", "false");
    check("code.coding.isDistinct()", "true");
    check("code.coding.system.distinct()", "http://loinc.org");
    check(
        "component.code.coding.intersect(code.coding).exists()",
        "true",
    );
    check("code.coding.exclude(component.code.coding).code", "1");
    check("code.coding.code | component.code.coding.code", "1 2");
    check(
        "code.coding.code.combine(component.code.coding.code)",
        "1 2 2",
    );
    check("code.coding.first().code", "1");
    check("code.coding.tail().code", "2");
    check(
        "component.descendants().where($this is Quantity).count()",
        "2e-0",
    );
    check("contained.children().count()", "2e-0");
    check("focus.resolve().empty()", "true");
    check("focus.iif(empty(), 'none', 'some')", "none");
    check("status.iif(empty(), 'none', 'some')", "some");
}

#[test]
fn logic_has_three_values() {
    check("issued = issued", "");
    check("true and {}", "");
    check("false and {}", "false");
    check("true or {}", "true");
    check("{} implies false", "");
    check("false implies {}", "true");
    check("true xor true", "false");
    check("status.exists().not()", "false");
    check("{}.not()", "");
    check("status = 'final' and component.count() > 2", "true");
    check("status in ('draft' | 'final')", "true");
    check("('draft' | 'final') contains 'amended'", "false");
    check("1 = 1 implies 2 != 2", "false");
}

#[test]
fn amounts_and_moments_are_compared_exactly() {
    check("value.value = 13.5", "true");
    check("13.49999999999999999999999 < value.value", "true");
    check("2 + 3 * 4 - 1 = 13", "true");
    check("-1 < 0", "true");
    // The same moment but for an hour's offset: 00:30 in UTC.
    check("effective.start = effective.end", "true");
    check("effective.start <= effective.end", "true");
    check("effective.start > effective.end", "false");
    check("contained.birthDate <= contained.birthDate", "true");
    check("@1990-05 <= @1990-05-02", "");
    check("@1990-04-30 <= @1990-05", "true");
    check(
        "@2019-12-31T23:30:00-01:00 < @2020-01-01T00:29:59.5Z",
        "false",
    );
    check("@T10:30 < @T10:30:01", "");
    check("contained.birthDate != @T10:30", "true");
    check("component[2].value.low <= component[2].value.high", "false");
    check("component[2].value.low <= value", "");
}

#[test]
fn texts() {
    check("status.startsWith('fin') and status.endsWith('al')", "true");
    check("status.contains('x')", "false");
    check("status.matches('^[a-z]{5}$')", "true");
    check("status.matches('^[A-Z]')", "false");
    check("'a.b.c'.replaceMatches('\\\\..*', '')", "a");
    check("status.substring(1, 3)", "ina");
    check("status.substring(9)", "");
    check("status.length()", "5e-0");
    check("status & '-' & issued & 'x'", "final-x");
    check("'12'.toInteger() > 11", "true");
    check("'x'.toInteger()", "");
    check("1.50.toString() & (-3).toString()", "1.50-3");
    check("1.0.is(Decimal) and 1.is(Integer)", "true");
    check("status.replace('f', 'F')", "Final");
    check("status.replace('f', {})", "");
    check("value.value.toString()", "13.50");
    check("'it\\'s'", "it's");
}

#[test]
fn types() {
    check("value is Quantity", "true");
    check("(value as Quantity).unit", "mg");
    check("component.value.ofType(string)", "text");
    check("contained is DomainResource", "true");
    check("contained is Patient", "true");
    check("id is string", "true");
    check("component[0].value is Integer", "true");
    check("component[0] is BackboneElement", "true");
    check("issued is instant", "");
}

#[test]
fn evaluation_ends() {
    assert_eq!(
        run("component.descendants().count()", &mut 20),
        Err(Stop::TooCostly)
    );
    assert_eq!(run("component.value + 1", &mut 1000), Err(Stop::Several));
    assert_eq!(
        run("component.code.text = 'b' and component", &mut 1000),
        Ok("false".into())
    );
}

#[test]
fn what_is_not_known_is_refused() {
    let deep = "(".repeat(5_000) + "1" + &")".repeat(5_000);
    let sources = [
        "code.memberOf('http://x')",
        "status.matches(code)",
        "5 'mg'",
        "%unheard",
        "a b",
        "(a",
        "a.",
        "'x",
        "a.where()",
        "$index",
        "status.matches('(')",
        "now()",
        "",
        &deep,
    ];
    for source in sources {
        assert!(Expression::parse(source).is_err(), "{source}");
    }
}
