//! What is refused, and what is left out.

use super::{BASE, pairs};
use fhir::search::{Handling, Query};

#[test]
fn queries_that_are_not_understood_are_refused() {
    let refused = [
        ("unheard-of=x", "no such parameter"),
        ("code:unheard-of=x", "no such modifier"),
        ("code:in=http://set", "list the codes"),
        ("code:exact=x", "no such modifier"),
        ("date=yesterday", "write a date"),
        ("date=2020-13", "write a date"),
        ("date=2020-02-30", "write a date"),
        ("date=2020-01-01T25:00", "write a date"),
        ("date:exact=2020", "no such modifier"),
        ("value-quantity=much", "write a number"),
        ("value-quantity=1|mg", "number|system|code"),
        ("component-code-value-quantity=8480-6", "with $ between"),
        ("subject:Medication=x", "does not point"),
        ("subject:Patient=Group/x", "differ"),
        ("code=", "no value"),
        ("code=|", "write a code"),
        ("status:missing=perhaps", "true or false"),
        ("identifier:of-type=a|b", "type-system|type-code|value"),
        ("subject.organization.name=x", "one hop"),
        ("code.name=x", "only references"),
        ("subject:Patient.unheard-of=x", "no such parameter"),
        ("subject:Medication.code=x", "does not point"),
        ("focus.code=x", "points at any type"),
        ("_has:Observation:patient:code=x", "does not point"),
        ("_has:Nothing:patient:code=x", "no resource type"),
        ("_has:Observation=x", "write it as"),
        (
            "_has:Observation:has-member:_has:Observation:has-member:code=x",
            "one hop",
        ),
        ("_count=many", "whole number"),
        ("_count=-1", "whole number"),
        ("_summary=short", "write true"),
        ("_total=all", "write none"),
        ("_sort=unheard-of", "name parameters"),
        ("_sort=code,status,date,_id,category", "at most 4"),
        ("_include=Observation", "write it as"),
        ("_include=Observation:code", "no such reference"),
        (
            "_include=Patient:organization",
            "not the one that is searched",
        ),
        ("_include:sometimes=Observation:subject", ":iterate"),
        ("_include=Observation:subject:Medication", "does not point"),
        ("_revinclude=Patient:organization", "does not point"),
        ("_type=Nothing", "resource types"),
        ("_filter=code eq x", "no such parameter"),
    ];
    for (asked, expect) in refused {
        let error = Query::parse("Observation", &pairs(asked), Handling::Strict, BASE);
        let error = error.err().unwrap_or_else(|| panic!("{asked} is taken"));
        assert!(error.message.contains(expect), "{asked}: {error}");
        assert!(!error.to_string().contains("yesterday"), "{error}");
    }
    assert!(Query::parse("Nothing", &[], Handling::Lenient, BASE).is_err());
}

#[test]
fn queries_are_bounded() {
    let many = |count: usize| vec![("code".to_owned(), "x".to_owned()); count];
    let parse =
        |pairs: &[(String, String)]| Query::parse("Observation", pairs, Handling::Strict, BASE);
    assert!(parse(&many(64)).is_ok());
    assert!(parse(&many(65)).is_err());
    let alternatives = |count: usize| vec![("code".to_owned(), vec!["x"; count].join(","))];
    assert!(parse(&alternatives(128)).is_ok());
    assert!(parse(&alternatives(129)).is_err());
}

#[test]
fn lenient_handling_leaves_out_what_is_unknown() {
    let asked = pairs("code=x&unheard-of=y&subject:Patient.unheard-of=z&_format=json&status=");
    let query = Query::parse("Observation", &asked, Handling::Lenient, BASE).unwrap();
    assert_eq!(
        query.ignored(),
        ["unheard-of", "subject:Patient.unheard-of", "status"]
    );
    assert_eq!(query.canonical(), pairs("code=x&_format=json"));
    for wrong in ["code:unheard-of=x", "date=x", "_count=x"] {
        let query = Query::parse("Observation", &pairs(wrong), Handling::Lenient, BASE);
        assert!(query.is_err(), "{wrong}");
    }
}

proptest::proptest! {
    #[test]
    fn noise_is_read_or_refused(
        name in "(_has:|Observation|patient|subject|code|date|value-quantity|_sort|_include|:|[.]|[a-z_*\\PC]){0,6}",
        value in "(ge|lt|[0-9]|-|T|:|[|]|,|[$]|\\\\|Patient/|http://|e|[.]|\\PC){0,12}",
    ) {
        let asked = [(name, value)];
        for handling in [Handling::Strict, Handling::Lenient] {
            if let Ok(query) = Query::parse("Observation", &asked, handling, BASE) {
                let known = query.canonical().len() + query.ignored().len();
                proptest::prop_assert_eq!(known, 1);
                let _ = (query.plan(), query.ids(), query.patients());
            }
        }
    }
}

#[test]
fn names_of_parameters_are_shown_harmless() {
    let name = format!("<b>{}", "x".repeat(200));
    let asked = [(name, "x".to_owned())];
    let error = Query::parse("Observation", &asked, Handling::Strict, BASE).unwrap_err();
    assert_eq!(error.parameter.len(), 80);
    assert!(error.parameter.starts_with("*b*x"));
}
