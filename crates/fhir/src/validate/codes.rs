//! Codes that a required binding allows.

use super::{IssueCode, Validator};
use crate::bindings::{BINDINGS, ValueSet};
use crate::table::Element;
use json::Value;

impl Validator<'_, '_> {
    /// A `code`.
    pub(super) fn code(&mut self, value: Value<'_, '_>, element: &Element) {
        let Some(set) = element.binding.and_then(|id| BINDINGS.get(id)) else {
            return;
        };
        if !value.text().is_some_and(|code| set.has(&code)) {
            self.error(
                IssueCode::CodeInvalid,
                &format!("a code of the value set {} is required", set.name),
            );
        }
    }

    /// A `CodeableConcept`: one of its codings is in the set, unless an extension says why there is none.
    pub(super) fn concept(&mut self, value: Value<'_, '_>, element: &Element) {
        let Some(set) = element.binding.and_then(|id| BINDINGS.get(id)) else {
            return;
        };
        let codings = value.get("coding");
        let explained = codings.is_none() && value.get("extension").is_some();
        let mut codings = codings.into_iter().flat_map(Value::children);
        if !explained && !codings.any(|coding| is_in(set, coding)) {
            let message = format!("a coding of the value set {} is required", set.name);
            self.error(IssueCode::CodeInvalid, &message);
        }
    }
}

fn is_in(set: &ValueSet, coding: Value<'_, '_>) -> bool {
    let text = |name| coding.get(name).and_then(Value::text);
    match (text("system"), text("code")) {
        (Some(system), Some(code)) => set.has_coded(&system, &code),
        _ => false,
    }
}
