//! What a resource can be found by.

use crate::parsed::Parsed;
use std::collections::BTreeSet;
use std::fmt;

/// One index term: the search parameter, the code system, and the code in it.
///
/// The parameters are the token parameters of FHIR R4 that most types share: `_id`, `_tag`,
/// `_security`, `identifier`, and those that [`PARAMETERS`] names by element. Codings in contained
/// resources and extensions are no terms.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// What is searched.
    pub parameter: &'static str,
    /// The code system; empty when there is none.
    pub system: String,
    /// The code.
    pub code: String,
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Term({}, <redacted>)", self.parameter)
    }
}

/// Elements that hold codings, and the search parameter that finds them.
const PARAMETERS: &[(&str, &str)] = &[
    ("bodySite", "body-site"),
    ("category", "category"),
    ("class", "class"),
    ("clinicalStatus", "clinical-status"),
    ("code", "code"),
    ("component.code", "component-code"),
    ("component.valueCodeableConcept", "component-value-concept"),
    ("condition.code", "code"),
    ("meta.security", "_security"),
    ("meta.tag", "_tag"),
    ("medicationCodeableConcept", "code"),
    ("reasonCode", "reason-code"),
    ("type", "type"),
    ("vaccineCode", "vaccine-code"),
    ("valueCodeableConcept", "value-concept"),
    ("verificationStatus", "verification-status"),
];

/// Elements that are codes without a system.
const PLAIN: &[(&str, &str)] = &[("gender", "gender"), ("status", "status")];

pub(crate) fn of(resource: &Parsed<'_>) -> Vec<Term> {
    let mut terms = BTreeSet::new();
    let mut add = |parameter, system: &str, code: &str| {
        if !code.is_empty() {
            terms.insert(Term {
                parameter,
                system: system.to_owned(),
                code: code.to_owned(),
            });
        }
    };
    for coding in resource.codes() {
        let named = PARAMETERS.iter().find(|(path, _)| *path == coding.path);
        if let Some((_, parameter)) = named {
            add(parameter, &coding.system, &coding.code);
        }
    }
    let root = resource.root();
    let text = |of: json::Value<'_, '_>, name| {
        let value = of.get(name).and_then(json::Value::text);
        value.unwrap_or_default().into_owned()
    };
    for (element, parameter) in PLAIN {
        add(parameter, "", &text(root, element));
    }
    add("_id", "", &text(root, "id"));
    if let Some(identifiers) = root.get("identifier") {
        let several = identifiers.kind() == json::Kind::Array;
        let one = (!several).then_some(identifiers);
        let listed = several.then(|| identifiers.children());
        for identifier in one.into_iter().chain(listed.into_iter().flatten()) {
            let system = text(identifier, "system");
            add("identifier", &system, &text(identifier, "value"));
        }
    }
    terms.into_iter().collect()
}
