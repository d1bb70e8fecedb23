//! The invariants of the definitions, read once from `invariants.txt`.
//!
//! All are checked: by FHIRPath, or by the validator's own code ([`BY_HAND`]). Where a rule looks outside
//! the document (`resolve()` in `ctm-1`) nothing is found, and it holds.

use crate::fhirpath::{Evaluator, Expression, Node, Stop};
use crate::table::{TABLE, TypeId};
use crate::validate::Severity;
use json::Value;
use std::sync::LazyLock;

pub(crate) use crate::fhirpath::Scope;

/// The official invariants as text; see its first lines.
const INVARIANTS_TEXT: &str = include_str!("invariants.txt");

pub(crate) static INVARIANTS: LazyLock<Invariants> = LazyLock::new(Invariants::read);

/// Invariants that the validator checks by its own code: `ele-1` at every element, `dom-3` and `ref-1`
/// as links are met, `txt-1` and `txt-2` with the narrative.
const BY_HAND: &[&str] = &["dom-3", "ele-1", "ref-1", "txt-1", "txt-2"];

/// A rule between elements.
pub(crate) struct Invariant {
    pub(crate) key: &'static str,
    pub(crate) severity: Severity,
    /// What it says.
    pub(crate) human: &'static str,
    /// The element of the type that it is about; otherwise the type itself.
    pub(crate) element: Option<&'static str>,
    expression: Expression,
}

/// What an invariant says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Broken,
    TooCostly,
}

/// All invariants.
pub(crate) struct Invariants {
    /// By type; those of its bases come first.
    of_types: Vec<Vec<Invariant>>,
    /// Key, type and reason of those that are not checked.
    unchecked: Vec<(&'static str, &'static str, String)>,
}

/// How many steps the invariants of a document with so many values may take: twice what the official
/// examples need, and some more for small ones.
pub(crate) fn budget(values: usize) -> u64 {
    let values = u64::try_from(values).unwrap_or(u64::MAX);
    values.saturating_mul(128).saturating_add(100_000)
}

impl Invariants {
    fn read() -> Self {
        let mut found = Self {
            of_types: (0..TABLE.len()).map(|_| Vec::new()).collect(),
            unchecked: Vec::new(),
        };
        for line in INVARIANTS_TEXT
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let mut fields = line.split('\t');
            let (Some(owner), Some(key), Some(severity), Some(source), Some(human)) = (
                fields.next(),
                fields.next(),
                fields.next(),
                fields.next(),
                fields.next(),
            ) else {
                continue;
            };
            if BY_HAND.contains(&key) {
                continue;
            }
            if let Err(reason) = found.add(owner, key, severity, source, human) {
                found.unchecked.push((key, owner, reason));
            }
        }
        found
    }

    fn add(
        &mut self,
        owner: &'static str,
        key: &'static str,
        severity: &str,
        source: &str,
        human: &'static str,
    ) -> Result<(), String> {
        let (type_name, element) = match owner.split_once('#') {
            Some((type_name, element)) => (type_name, Some(element.trim_end_matches("[x]"))),
            None => (owner, None),
        };
        let source = match element {
            Some(element) => format!("{element}.all({source})"),
            None => source.to_owned(),
        };
        let of = TABLE.named(type_name).ok_or("no such type")?;
        let expression = Expression::parse(&source).map_err(|unknown| unknown.to_string())?;
        if let Some(list) = self.of_types.get_mut(of.index()) {
            list.push(Invariant {
                key,
                severity: match severity {
                    "warning" => Severity::Warning,
                    _ => Severity::Error,
                },
                human,
                element,
                expression,
            });
        }
        Ok(())
    }

    /// The invariants of a type and of its bases.
    pub(crate) fn of(&'static self, of: TypeId) -> impl Iterator<Item = &'static Invariant> {
        let next = |of: &TypeId| TABLE.get(*of)?.base;
        let types = std::iter::successors(Some(of), next);
        types.flat_map(|of| self.of_types.get(of.index()).into_iter().flatten())
    }
}

impl Invariant {
    /// Whether the invariant holds of an object. What cannot be compared (dates of different
    /// precision, quantities of different units) is not held against it.
    pub(crate) fn judge<'d, 'a>(
        &'static self,
        value: Value<'d, 'a>,
        of: TypeId,
        scope: &Scope<'d, 'a>,
        steps: &mut u64,
    ) -> Verdict {
        let mut evaluator = Evaluator::new(scope, Node::object(value, of), steps);
        match evaluator.holds(&self.expression) {
            Ok(Some(false)) | Err(Stop::Several) => Verdict::Broken,
            Ok(_) => Verdict::Holds,
            Err(Stop::TooCostly) => Verdict::TooCostly,
        }
    }
}

/// The invariants that are not checked, as key, type and what is not known of their expression.
pub fn unchecked_invariants() -> &'static [(&'static str, &'static str, String)] {
    &INVARIANTS.unchecked
}
