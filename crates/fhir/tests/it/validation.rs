//! Single rules of the validator.

use crate::examples::errors;
use fhir::{Issue, IssueCode, Limits, MAX_ISSUES, Strictness};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Checks that a resource has exactly these errors, as code and expression.
fn check(resource: &Value, expect: &[(&str, &str)]) {
    let resource = sorted(resource);
    let found = errors(resource.to_string().as_bytes(), Strictness::Strict);
    let found: Vec<_> = found
        .iter()
        .map(|issue| (issue.code.as_str(), issue.expression.as_str()))
        .collect();
    assert_eq!(found, expect, "{resource}");
}

/// The same with its members in the order of their names, in whatever order `serde_json` keeps them here.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let member = |name: &String| (name.clone(), sorted(&members[name]));
            names.into_iter().map(member).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// An Observation with more members.
fn observation(more: Value) -> Value {
    let mut resource =
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    for (name, value) in more.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

fn patient(more: Value) -> Value {
    let mut resource = more;
    resource["resourceType"] = json!("Patient");
    resource
}

#[test]
fn primitive_types() {
    let dates = [
        ("2020", true),
        ("2020-02", true),
        ("2020-02-29", true),
        ("2021-02-29", false),
        ("1900-02-29", false),
        ("2000-02-29", true),
        ("2020-00-01", false),
        ("2020-04-31", false),
        ("0000", false),
        ("20", false),
        ("2020-2-1", false),
        ("2020-01-01T10:00:00Z", false),
        ("2020-01-01 ", false),
    ];
    for (text, fits) in dates {
        let expect: &[_] = if fits {
            &[]
        } else {
            &[("value", "Patient.birthDate")]
        };
        check(&patient(json!({"birthDate": text})), expect);
    }
    let times = [
        ("2020-01-01T10:00:00Z", true),
        ("2020-01-01T10:00:00.123456789+14:00", true),
        ("2016-12-31T23:59:60Z", true),
        ("2020-01-01", true),
        ("2020-01", true),
        ("2020-01-01T10:00:00", false),
        ("2020-01-01T10:00Z", false),
        ("2020-01-01T24:00:00Z", false),
        ("2020-01-01T10:00:00+14:30", false),
        ("2020-01T10:00:00Z", false),
        ("2020-01-01T10:00:00.Z", false),
    ];
    for (text, fits) in times {
        let expect: &[_] = if fits {
            &[]
        } else {
            &[("value", "Observation.effectiveDateTime")]
        };
        check(&observation(json!({"effectiveDateTime": text})), expect);
        let instant = fits && text.len() > 10;
        let expect: &[_] = if instant {
            &[]
        } else {
            &[("value", "Observation.issued")]
        };
        check(&observation(json!({"issued": text})), expect);
    }
    for (text, fits) in [
        ("YWJj", true),
        ("YQ==", true),
        ("YW Jj", false),
        ("YWJj YWJj", true),
        ("YQ=", false),
        ("=AAA", false),
    ] {
        let photo = json!({"photo": [{"contentType": "x/y", "data": text}]});
        let expect: &[_] = if fits {
            &[]
        } else {
            &[("value", "Patient.photo[0].data")]
        };
        check(&patient(photo), expect);
    }
    let extension = |value: Value| patient(json!({"extension": [value]}));
    let wrong = |name: &str| format!("Patient.extension[0].{name}");
    let cases = [
        ("valueOid", json!("urn:oid:1.2.840"), true),
        ("valueOid", json!("urn:oid:1.02"), false),
        ("valueOid", json!("urn:oid:3.1"), false),
        ("valueOid", json!("1.2.3"), false),
        (
            "valueUuid",
            json!("urn:uuid:0a1b2c3d-0000-4000-8000-0123456789ab"),
            true,
        ),
        (
            "valueUuid",
            json!("urn:uuid:0A1b2c3d-0000-4000-8000-0123456789ab"),
            false,
        ),
        ("valueTime", json!("10:00:00"), true),
        ("valueTime", json!("10:00"), false),
        ("valueCode", json!("a b"), true),
        ("valueCode", json!("a  b"), false),
        ("valueCode", json!(" a"), false),
        ("valueInteger", json!(-2_147_483_648_i64), true),
        ("valueInteger", json!(2_147_483_648_i64), false),
        ("valueUnsignedInt", json!(0), true),
        ("valueUnsignedInt", json!(-1), false),
        ("valuePositiveInt", json!(1), true),
        ("valuePositiveInt", json!(0), false),
        ("valueId", json!("a.b-1"), true),
        ("valueId", json!("a_b"), false),
    ];
    for (name, value, fits) in cases {
        let resource = extension(json!({"url": "http://x", name: value}));
        let at = wrong(name);
        let expect: &[_] = if fits { &[] } else { &[("value", at.as_str())] };
        check(&resource, expect);
    }
}

#[test]
fn codes_of_required_bindings() {
    check(&patient(json!({"gender": "female"})), &[]);
    check(
        &patient(json!({"gender": "Female"})),
        &[("code-invalid", "Patient.gender")],
    );
    let allergy = |system: &str, code: &str| {
        json!({"resourceType": "AllergyIntolerance", "patient": {"display": "x"},
            "clinicalStatus": {"coding": [{"system": system, "code": code}]}})
    };
    let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    check(&allergy(system, "active"), &[]);
    let wrong = &[("code-invalid", "AllergyIntolerance.clinicalStatus")];
    check(&allergy(system, "acitve"), wrong);
    check(&allergy("http://x", "active"), wrong);
    // A value set that is not enumerable takes any code.
    check(
        &patient(json!({"photo": [{"contentType": "x/unheard-of"}]})),
        &[],
    );
}

#[test]
fn choices_are_made_once() {
    let both = json!({"valueString": "x", "valueInteger": 1});
    check(
        &observation(both),
        &[("structure", "Observation.valueString")],
    );
    let both = json!({"valueString": "x", "_valueInteger": {"extension": [{"url": "http://x", "valueCode": "y"}]}});
    check(
        &observation(both),
        &[("structure", "Observation.valueString")],
    );
    check(
        &observation(json!({"valueString": "x", "_valueString": {"id": "a"}})),
        &[],
    );
    check(
        &observation(json!({"valueUrl": "http://x"})),
        &[("structure", "Observation.valueUrl")],
    );
}

#[test]
fn ids_and_extensions_of_primitives() {
    let name = |more: Value| patient(json!({"name": [more]}));
    let extension = json!({"extension": [{"url": "http://x", "valueCode": "y"}]});
    check(
        &name(json!({"given": ["a", null], "_given": [null, extension]})),
        &[],
    );
    check(&name(json!({"_given": [extension]})), &[]);
    check(
        &name(json!({"given": ["a", null]})),
        &[("structure", "Patient.name[0].given[1]")],
    );
    let short = json!({"given": ["a", null], "_given": [null]});
    let found = [
        ("structure", "Patient.name[0].given"),
        ("structure", "Patient.name[0].given[1]"),
    ];
    check(&name(short), &found);
    check(
        &name(json!({"family": null})),
        &[("structure", "Patient.name[0].family")],
    );
    check(&name(json!({"_family": extension})), &[]);
    check(&name(json!({"_family": {"id": "a"}, "family": "x"})), &[]);
    check(
        &name(json!({"_given": [{"id": "a"}, {"id": "b"}], "given": ["x", null]})),
        &[("structure", "Patient.name[0].given[1]")],
    );
    check(
        &name(json!({"_family": [extension]})),
        &[("structure", "Patient.name[0].family")],
    );
    check(
        &name(json!({"_period": {}, "text": "x"})),
        &[("structure", "Patient.name[0]._period")],
    );
    // A required element of which only an extension is known is there.
    let mut resource = observation(json!({}));
    resource.as_object_mut().unwrap().remove("status");
    resource["_status"] = extension;
    check(&resource, &[]);
}

#[test]
fn references_name_what_may_stand_there() {
    let subject = |text: &str| observation(json!({"subject": {"reference": text}}));
    for fits in [
        "Patient/1",
        "Patient/1/_history/2",
        "Device/x.y",
        "http://example.org/Practitioner/1",
        "urn:uuid:0a1b2c3d-0000-4000-8000-0123456789ab",
        "Patient?identifier=1",
    ] {
        check(&subject(fits), &[]);
    }
    for wrong in [
        "Practitioner/1",
        "Patient",
        "Patient/",
        "Patient/a b",
        "Patient/1/2",
        "Unheard/1",
        "1",
        "Patient/1/_history/",
    ] {
        check(
            &subject(wrong),
            &[("value", "Observation.subject.reference")],
        );
    }
    check(
        &subject("#p"),
        &[("invariant", "Observation.subject.reference")],
    );
    let contained = |reference: &str| {
        observation(
            json!({"contained": [{"resourceType": "Patient", "id": "p"}], "subject": {"reference": reference}}),
        )
    };
    check(&contained("#p"), &[]);
    check(
        &contained("Patient/1"),
        &[("invariant", "Observation.contained[0]")],
    );
}

#[test]
fn invariants() {
    check(
        &observation(json!({"valueString": "x", "dataAbsentReason": {"text": "y"}})),
        &[("invariant", "Observation")],
    );
    check(
        &observation(json!({"referenceRange": [{"id": "x", "appliesTo": [{"text": "y"}]}]})),
        &[("invariant", "Observation.referenceRange[0]")],
    );
    let period = |start: &str, end: &str| {
        observation(json!({"effectivePeriod": {"start": start, "end": end}}))
    };
    check(
        &period("2020", "2019-12-31"),
        &[("invariant", "Observation.effectivePeriod")],
    );
    check(&period("2020", "2020-06"), &[]);
    check(
        &period("2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00Z"),
        &[],
    );
    let quantity = json!({"valueQuantity": {"value": 1, "code": "mg"}});
    check(
        &observation(quantity),
        &[("invariant", "Observation.valueQuantity")],
    );
    let extension = json!({"extension": [{"url": "http://x"}]});
    check(
        &patient(extension),
        &[("invariant", "Patient.extension[0]")],
    );
    let organization = json!({"resourceType": "Organization", "name": "x", "telecom": [{"use": "home", "value": "1", "system": "phone"}]});
    check(&organization, &[("invariant", "Organization.telecom")]);
    check(
        &patient(json!({"contact": [{"gender": "male"}]})),
        &[("invariant", "Patient.contact[0]")],
    );
    assert!(
        fhir::unchecked_invariants().is_empty(),
        "{:?}",
        fhir::unchecked_invariants()
    );
}

#[test]
fn narratives_hold_text_only() {
    let text = |div: &str| patient(json!({"text": {"status": "generated", "div": div}}));
    for fits in [
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
        "<div><p>a<br/>b</p><!-- c --></div>",
        "<div><img src='#a' alt=\"a > b\"/></div>",
        "<div>&lt;script&gt;&#160;</div>",
        "<div><a href=\"http://x/?a=1&amp;b=2\" title=\"a: &quot;\">x</a></div>",
        " <div>x</div> ",
    ] {
        check(&text(fits), &[]);
    }
    for wrong in [
        "<div></div>",
        "<div>  </div>",
        "x",
        "<p>x</p>",
        "<div>x",
        "<div>x</div><div>y</div>",
        "<div><p>x</div></p>",
        "<div><script>x</script></div>",
        "<div onclick=\"x\">x</div>",
        "<div><a href=\"JavaScript:x\">x</a></div>",
        "<div><a href=\" java\nscript:x\">x</a></div>",
        "<div><iframe src='x'/>x</div>",
        "<div><p class=x>y</p></div>",
        "<div><a href=\"j&#97;vascript:x\">x</a></div>",
        "<div><a HREF=\"javascript:x\">x</a></div>",
        "<div><a id=\"y\"/href=\"javascript:x\">x</a></div>",
        "<div><p id=\"y\"onclick=\"x\">x</p></div>",
        "<div>a & b</div>",
        "<div>a &amp b</div>",
    ] {
        check(&text(wrong), &[("value", "Patient.text.div")]);
    }
}

#[test]
fn bundles_of_every_type() {
    let entry = json!({"fullUrl": "http://x/Patient/1", "resource": {"resourceType": "Patient", "gender": "x"}});
    for kind in ["collection", "searchset"] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
        check(
            &bundle,
            &[("code-invalid", "Bundle.entry[0].resource.gender")],
        );
    }
    let history = json!({"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "GET", "url": "x"}}]});
    check(&history, &[("invariant", "Bundle")]);
}

#[test]
fn unknown_names_are_not_repeated() {
    let source = patient(json!({"anna-schmidt": 1})).to_string();
    let issues = errors(source.as_bytes(), Strictness::Strict);
    assert_eq!(issues[0].expression, "Patient");
    assert!(!issues[0].to_string().contains("anna"));
    let source = patient(json!({"valueString": "x"})).to_string();
    assert_eq!(
        errors(source.as_bytes(), Strictness::Strict)[0].expression,
        "Patient.valueString"
    );
}

#[test]
fn the_number_of_issues_and_steps_is_bounded() {
    let names = vec![json!({"x": 1}); 500];
    assert_eq!(
        errors(
            patient(json!({"name": names})).to_string().as_bytes(),
            Strictness::Strict
        )
        .len(),
        MAX_ISSUES
    );
    // Warnings never hide an error.
    let mut entries: Vec<Value> = (0..2 * MAX_ISSUES)
        .map(|i| json!({"fullUrl": format!("http://x/{i}"), "resource": {"resourceType": "Patient"}}))
        .collect();
    entries[2 * MAX_ISSUES - 1]["resource"]["gender"] = json!("x");
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
    check(
        &bundle,
        &[("code-invalid", "Bundle.entry[99].resource.gender")],
    );
    // Every element of a definition looks at all of them.
    let mut elements = vec![json!({"path": "x"})];
    elements.extend((0..3_000).map(|_| json!({"path": "x.y", "id": "y"})));
    let definition = json!({"resourceType": "StructureDefinition", "type": "x",
        "snapshot": {"element": elements}});
    let issues = errors(definition.to_string().as_bytes(), Strictness::Strict);
    let costly = |issue: &&Issue| issue.code == IssueCode::TooCostly;
    assert_eq!(issues.iter().filter(costly).count(), 1, "{issues:#?}");
}

proptest! {
    /// Whatever stands in it, a resource is judged, and no issue repeats a value of it.
    #[test]
    fn issues_never_hold_values(text in "[a-z]{3} secret [a-z]{1,9}", number in any::<i32>(), name in "secret[a-z]{4}") {
        let resource = json!({
            "resourceType": "Observation", "status": text, "code": text, "subject": {"reference": text, &name: number},
            "effectiveDateTime": text, "value": number, "valueQuantity": {"value": text, "unit": number},
            "component": [text, {"code": {"coding": [{"code": text, "system": text}]}, "valueString": {"id": text}}],
            "text": {"status": text, "div": text}, &name: {"secret": text},
        });
        let source = resource.to_string();
        let issues = fhir::validate_bytes(source.as_bytes(), &Limits::default(), Strictness::Strict).unwrap();
        prop_assert!(issues.len() > 8);
        for issue in issues {
            let told = format!("{issue:?}");
            prop_assert!(!told.contains("secret"));
        }
    }
}
