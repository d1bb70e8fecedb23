//! What references name, and which contained resources are named.

use super::{IssueCode, Validator};
use crate::table::{Element, TABLE, TypeId, is_id};
use json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

impl Validator<'_, '_> {
    /// A `Reference`: `Type/id` of a type that may stand here, `#id` of a contained resource, or
    /// something that is not judged here (a URN, an absolute URL).
    pub(super) fn reference(&mut self, value: Value<'_, '_>, element: &Element) {
        let Some(text) = value.get("reference").and_then(Value::text) else {
            return;
        };
        let problem = match named(&text) {
            Named::Contained(id) => (!self.frame.contained.has(id)).then_some((
                IssueCode::Invariant,
                "ref-1: a reference with # names a contained resource",
            )),
            Named::Type(of) => {
                let allowed = element.targets.is_empty() || element.targets.contains(&of);
                (!allowed).then_some((
                    IssueCode::Value,
                    "a resource of this type cannot be named here",
                ))
            }
            Named::Elsewhere => None,
            Named::Nothing => Some((
                IssueCode::Value,
                "a reference is Type/id, #id, a URN or an absolute URL",
            )),
        };
        if let Some((code, message)) = problem {
            self.way.push("reference");
            self.error(code, message);
            self.way.pop();
        }
    }
}

enum Named<'t> {
    Contained(&'t str),
    Type(TypeId),
    Elsewhere,
    Nothing,
}

fn named(text: &str) -> Named<'_> {
    if let Some(id) = text.strip_prefix('#') {
        return Named::Contained(id);
    }
    let (name, rest) = match text.find(['/', '?', ':']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    if rest.starts_with(':') {
        return Named::Elsewhere;
    }
    let Some(of) = TABLE.resource(name) else {
        return Named::Nothing;
    };
    // A conditional reference names what a search finds.
    let fits = match rest.strip_prefix('/') {
        Some(rest) => match rest.split_once('/') {
            None => is_id(rest),
            Some((id, version)) => {
                is_id(id) && version.strip_prefix("_history/").is_some_and(is_id)
            }
        },
        None => rest.len() > 1,
    };
    match fits {
        true => Named::Type(of),
        false => Named::Nothing,
    }
}

/// The contained resources of a resource, and which of them are named.
pub(super) struct Contained<'a> {
    /// Each with where it stands in the source.
    inner: Vec<(Cow<'a, str>, usize)>,
    ids: BTreeSet<Cow<'a, str>>,
    named: BTreeSet<Cow<'a, str>>,
    /// Where those stand that name the resource around them.
    naming: BTreeSet<usize>,
}

impl<'a> Contained<'a> {
    pub(super) fn of(resource: Value<'_, 'a>) -> Self {
        let list = resource.get("contained");
        let of = |value: Value<'_, 'a>| {
            let id = value.get("id").and_then(Value::text).unwrap_or_default();
            (id, value.span().start)
        };
        let inner: Vec<_> = list.into_iter().flat_map(Value::children).map(of).collect();
        Self {
            ids: inner.iter().map(|(id, _)| id.clone()).collect(),
            inner,
            named: BTreeSet::new(),
            naming: BTreeSet::new(),
        }
    }

    /// Whether `#id` names one; `#` alone names the resource around them.
    fn has(&self, id: &str) -> bool {
        id.is_empty() || self.ids.contains(id)
    }

    /// Notes a link that is in a resource.
    pub(super) fn note(&mut self, link: Value<'_, 'a>, within: Value<'_, 'a>) {
        if self.inner.is_empty() || !link.raw().starts_with("\"#") {
            return;
        }
        let text = link.text().unwrap_or_default();
        match text.as_ref() {
            "#" => self.naming.insert(within.span().start),
            _ => self.named.insert(text),
        };
    }

    /// The positions of those that nothing names.
    pub(super) fn unreferenced(&self) -> Vec<usize> {
        let is_named = |id: &str, start: &usize| {
            self.naming.contains(start) || self.named.contains(format!("#{id}").as_str())
        };
        let inner = self.inner.iter().enumerate();
        let lost = inner.filter(|(_, (id, start))| !is_named(id, start));
        lost.map(|(position, _)| position).collect()
    }
}
