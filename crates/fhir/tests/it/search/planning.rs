//! That the index finds everything that matches.

use super::{BASE, is_candidate, query};
use crate::{corpus, sample};
use fhir::Parsed;
use fhir::search::{
    Handling, IndexValue, Indexed, MAX_TERM_BYTES, MAX_TERMS, Query, Target, index, overflow_term,
    terms, type_term,
};
use serde_json::json;

/// Queries made of the values of a resource, each of which it has to match.
fn questions(values: &[Indexed<'_>]) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for found in values {
        let name = found.parameter.to_owned();
        let mut ask = |suffix: &str, value: String| {
            if !value.is_empty() {
                asked.push((format!("{name}{suffix}"), value));
            }
        };
        let escaped = |text: &str| {
            let text = text.replace('\\', "\\\\").replace('|', "\\|");
            text.replace(',', "\\,").replace('$', "\\$")
        };
        match &found.value {
            IndexValue::Token(token) => {
                if let Some(code) = token.code.as_deref().filter(|code| !code.is_empty()) {
                    ask("", escaped(code));
                    let system = token.system.as_deref().unwrap_or_default();
                    ask("", format!("{}|{}", escaped(system), escaped(code)));
                    ask("", format!("nothing,{}", escaped(code)));
                }
                if let Some(text) = token.text.as_deref().filter(|text| !text.trim().is_empty()) {
                    ask(":text", escaped(text));
                }
            }
            IndexValue::Text(text) if !text.trim().is_empty() => {
                ask("", escaped(text));
                ask("", escaped(&text.chars().take(4).collect::<String>()));
                ask(":exact", escaped(text));
                ask(
                    ":contains",
                    escaped(&text.chars().skip(1).collect::<String>()),
                );
            }
            IndexValue::Reference(reference) => {
                if let Some(target) = &reference.target {
                    ask("", escaped(&target.text()));
                    ask("", escaped(target.key()));
                }
            }
            IndexValue::Uri(uri) => ask("", uri.replace(',', "\\,")),
            _ => {}
        }
        ask(":missing", "false".to_owned());
    }
    asked
}

/// The dates of a resource, in each precision and with each prefix.
fn date_questions(resource: &Parsed<'_>) -> Vec<Vec<(String, String)>> {
    let mut asked = Vec::new();
    let dates = resource.dates();
    for found in index(resource) {
        if !matches!(found.value, IndexValue::Date(_)) {
            continue;
        }
        for date in dates.iter().take(4) {
            for length in [4, 7, 10] {
                let Some(text) = date.text.get(..length) else {
                    continue;
                };
                let one = |prefix: &str| (found.parameter.to_owned(), format!("{prefix}{text}"));
                for prefix in ["", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"] {
                    asked.push(vec![one(prefix)]);
                }
                asked.push(vec![one("ge"), one("le")]);
                asked.push(vec![one("gt"), one("lt")]);
                asked.push(vec![
                    one("ge"),
                    (found.parameter.to_owned(), "le2999".to_owned()),
                ]);
            }
        }
    }
    asked
}

/// Whether a resource has to match a question made of one of its values. The only ones that do not
/// find it are the ids alone of resources of another server.
fn is_own(values: &[Indexed<'_>], name: &str, value: &str) -> bool {
    let plain = name.split(':').next().unwrap_or_default();
    let elsewhere =
        |target: &Target<'_>| !matches!(target, Target::Local { .. }) && target.key() == value;
    !values.iter().any(|found| match &found.value {
        IndexValue::Reference(reference) => {
            found.parameter == plain && reference.target.as_ref().is_some_and(elsewhere)
        }
        _ => false,
    })
}

#[test]
fn what_matches_is_a_candidate() {
    let (mut asked, mut resources) = (0, 0);
    corpus::each(&mut |name, resource| {
        // The time of this grows with the square of the size.
        if resource.received().len() > 40_000 {
            return;
        }
        resources += 1;
        let values = index(resource);
        let terms = terms(resource);
        assert!(terms.len() <= MAX_TERMS, "{name}");
        assert!(
            terms.iter().all(|term| term.len() <= MAX_TERM_BYTES),
            "{name}"
        );
        assert!(terms.contains(&type_term(resource.resource_type())));
        let candidate = |query: &Query| {
            let plan = query.plan();
            plan.iter()
                .all(|list| list.iter().any(|term| terms.contains(term)))
        };
        for (parameter, value) in questions(&values) {
            let pair = [(parameter.clone(), value.clone())];
            let Ok(query) = Query::parse(resource.resource_type(), &pair, Handling::Strict, BASE)
            else {
                panic!("{name}: {parameter}={value}");
            };
            let matches = query.matches(resource, 0);
            if is_own(&values, &parameter, &value) {
                assert!(matches, "{name}: {parameter}={value} does not match");
            }
            assert!(
                !matches || candidate(&query),
                "{name}: {parameter}={value} is lost"
            );
            asked += 1;
        }
        for pairs in date_questions(resource) {
            let query = Query::parse(resource.resource_type(), &pairs, Handling::Strict, BASE);
            let query = query.unwrap_or_else(|error| panic!("{name}: {error}"));
            let matches = query.matches(resource, 0);
            assert!(!matches || candidate(&query), "{name}: {pairs:?} is lost");
            asked += 1;
        }
    });
    assert!(
        resources > 200 && asked > 10 * resources,
        "{asked} questions, {resources} resources"
    );
}

#[test]
fn the_terms_of_an_observation_are_few() {
    let (resource, _) = sample::all().swap_remove(1);
    let source = resource.to_string();
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    let terms = terms(&parsed);
    assert!(terms.len() < 60, "{}", terms.len());
    assert!(!terms.contains(&overflow_term("Observation")));
}

#[test]
fn too_many_terms_overflow_and_are_found_still() {
    let codes: Vec<_> = (0..600)
        .map(|n| json!({"system": "s", "code": format!("c{n}")}))
        .collect();
    let source = json!({"resourceType": "Observation", "id": "x", "code": {"coding": codes}});
    let text = source.to_string();
    let resource = Parsed::parse(text.as_bytes()).unwrap();
    let posted = terms(&resource);
    assert_eq!(posted.len(), MAX_TERMS);
    assert!(posted.contains(&overflow_term("Observation")));
    for asked in ["code=c0", "code=s|c599", "code=c300&_id=x", "_id=x"] {
        let query = query("Observation", asked);
        assert!(
            query.matches(&resource, 0) && is_candidate(&resource, &query),
            "{asked}"
        );
    }
}

#[test]
fn an_element_twice_where_one_is_expected_is_found_still() {
    let source = json!({"resourceType": "Observation", "id": "x", "effectiveDateTime": "2010",
        "effectivePeriod": {"start": "2020", "end": "2020"}});
    let text = source.to_string();
    let resource = Parsed::parse(text.as_bytes()).unwrap();
    let query = query("Observation", "date=ge2012-01-01&date=le2012-01-03");
    assert!(query.matches(&resource, 0));
    assert!(is_candidate(&resource, &query));
}

#[test]
fn plans_tell_apart() {
    let text = json!({"resourceType": "Observation", "id": "x", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": "Patient/a"}, "effectiveDateTime": "2020-05-06"})
    .to_string();
    let resource = Parsed::parse(text.as_bytes()).unwrap();
    let others = [
        "code=718-8",
        "code=http://other|718-7",
        "combo-code=x",
        "subject=Patient/b",
        "patient=b",
        "date=2020-05-07",
        "date=2019",
        "date=ge2020-01-01&date=lt2020-05-01",
        "status=preliminary",
        "_id=y",
        "code-value-quantity=718-8$5",
        "subject=Patient/a&code=other",
    ];
    for asked in others {
        assert!(
            !is_candidate(&resource, &query("Observation", asked)),
            "{asked}"
        );
    }
}
