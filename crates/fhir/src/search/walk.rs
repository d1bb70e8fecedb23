//! Following the paths of a type through a resource, all together in one walk.

use crate::parsed::Parsed;
use crate::search::table::{Kind as Of, Parameter, Searched, Step, Trie, table};
use crate::search::value::{self, IndexValue};
use json::{Kind, Value};

/// One value by which a resource is found.
#[derive(Clone, Debug)]
pub struct Indexed<'a> {
    /// The parameter that finds it.
    pub parameter: &'static str,
    /// The value.
    pub value: IndexValue<'a>,
}

/// Every value by which a resource is found. Values in contained resources and extensions are none.
pub fn index<'a>(resource: &Parsed<'a>) -> Vec<Indexed<'a>> {
    let Some(of) = table().searched(resource.resource_type()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect(of, resource, &|_| true, &mut |parameter, value| {
        let parameter = parameter.name;
        found.push(Indexed { parameter, value });
    });
    found
}

/// The values of those parameters that are wanted.
pub(super) fn collect<'a>(
    of: &'static Searched,
    resource: &Parsed<'a>,
    wanted: &dyn Fn(&Parameter) -> bool,
    found: &mut dyn FnMut(&'static Parameter, IndexValue<'a>),
) {
    let root = resource.root();
    walk(
        &of.values,
        0,
        root,
        &mut |&(parameter, pattern), element| {
            let Some(parameter) = of.parameters.get(parameter) else {
                return;
            };
            let pattern = parameter.patterns.get(pattern);
            let Some(pattern) = pattern.filter(|_| wanted(parameter)) else {
                return;
            };
            value::read(parameter.kind, pattern, element, &mut |value| {
                found(parameter, value);
            });
        },
    );
    let composites = of.parameters.iter().filter(|p| p.kind == Of::Composite);
    for parameter in composites.filter(|parameter| wanted(parameter)) {
        for base in &parameter.bases {
            follow(base, root, &mut |element| {
                if let Some(value) = composite(parameter, root, element) {
                    found(parameter, value);
                }
            });
        }
    }
}

/// The values of the parts of a composite; `None` when a part has none.
fn composite<'a>(
    parameter: &Parameter,
    root: Value<'_, 'a>,
    element: Value<'_, 'a>,
) -> Option<IndexValue<'a>> {
    let mut parts = Vec::with_capacity(parameter.parts.len());
    for part in &parameter.parts {
        let mut values = Vec::new();
        let below = part.patterns.iter().map(|pattern| (pattern, element));
        for (pattern, start) in below.chain(part.from_root.iter().map(|p| (p, root))) {
            follow(&pattern.steps, start, &mut |element| {
                value::read(part.kind, pattern, element, &mut |value| values.push(value));
            });
        }
        if values.is_empty() {
            return None;
        }
        parts.push(values);
    }
    Some(IndexValue::Composite(parts))
}

/// Calls `found` for each element that a leaf of the trie is for. Recursion is bounded by the depth
/// of the trie.
pub(super) fn walk<'d, 'a, L>(
    trie: &Trie<L>,
    node: usize,
    object: Value<'d, 'a>,
    found: &mut dyn FnMut(&L, Value<'d, 'a>),
) {
    let Some(node) = trie.nodes.get(node) else {
        return;
    };
    if object.kind() != Kind::Object {
        return;
    }
    for member in object.children() {
        let Some(name) = member.key() else {
            continue;
        };
        for (step, next) in &node.children {
            if step.name.len() != name.len() || step.name != name {
                continue;
            }
            if member.kind() == Kind::Array {
                for item in member.children() {
                    enter(trie, *next, step, item, found);
                }
            } else {
                enter(trie, *next, step, member, found);
            }
        }
    }
}

fn enter<'d, 'a, L>(
    trie: &Trie<L>,
    node: usize,
    step: &Step,
    element: Value<'d, 'a>,
    found: &mut dyn FnMut(&L, Value<'d, 'a>),
) {
    let Some(there) = trie.nodes.get(node) else {
        return;
    };
    if element.is_null() || !is_kept(step, element) {
        return;
    }
    for leaf in &there.leaves {
        found(leaf, element);
    }
    if !there.children.is_empty() {
        walk(trie, node, element, found);
    }
}

fn is_kept(step: &Step, element: Value<'_, '_>) -> bool {
    step.with.is_none_or(|(member, value)| {
        let there = element.get(member).and_then(Value::text);
        there.is_some_and(|there| there == value)
    })
}

/// Calls `found` for each element at a path.
fn follow<'d, 'a>(steps: &[Step], start: Value<'d, 'a>, found: &mut dyn FnMut(Value<'d, 'a>)) {
    let Some((step, rest)) = steps.split_first() else {
        return found(start);
    };
    let Some(member) = start.get(step.name) else {
        return;
    };
    let mut enter = |element: Value<'d, 'a>| {
        if !element.is_null() && is_kept(step, element) {
            follow(rest, element, found);
        }
    };
    match member.kind() {
        Kind::Array => member.children().for_each(enter),
        _ => enter(member),
    }
}
