//! Index terms: short byte strings by which a blind index finds a resource.
//!
//! A term is `type 0 parameter 0 form value`, at most 200 bytes, longer ones cut. Forms: a token
//! posts its code (`c`) and, unless the code is bound to an element, system and code (`s`); a text
//! posts the prefixes of its normalised form with the lengths of [`PREFIXES`] (`p`); a date posts
//! the years, months and days it meets (`d`); a reference posts the id of its target (`r`) and the
//! value of its identifier (`i`); a URI posts itself without its version (`u`). Numbers, quantities
//! and composites post nothing. Several parameters that read the same path post once, under one of
//! them.
//!
//! A change of this that changes the terms of any resource is a new [`TERMS_VERSION`]: an index of
//! another version must be made anew.

use crate::parsed::Parsed;
use crate::search::date::{self, Bucket};
use crate::search::table::{Post, Shape, table};
use crate::search::text::normalised;
use crate::search::value::{self, IndexValue};
use crate::search::walk::walk;
use std::collections::BTreeSet;

/// The version of the terms.
pub const TERMS_VERSION: u16 = 1;

/// The longest term, in bytes.
pub const MAX_TERM_BYTES: usize = 200;

/// The most terms of a resource.
pub const MAX_TERMS: usize = 512;

/// The lengths of the prefixes of a text that are posted, in characters.
pub(super) const PREFIXES: [usize; 5] = [1, 2, 3, 5, 8];

/// The terms of a resource: its type's, its id's and those of its values, at most [`MAX_TERMS`].
///
/// When it has more, terms of URIs, then texts, then dates, tokens and references are left out, and
/// it posts the term [`overflow_term`], which every plan includes.
pub fn terms(resource: &Parsed<'_>) -> BTreeSet<Vec<u8>> {
    let name = resource.resource_type();
    let mut terms = BTreeSet::from([type_term(name)]);
    if let Some(id) = resource.id() {
        terms.insert(id_term(name, &id));
    }
    let Some(of) = table().searched(name) else {
        return terms;
    };
    let mut counts = vec![0_u32; of.posts.len()];
    let mut overflow = false;
    walk(&of.posted, 0, resource.root(), &mut |&number, element| {
        let Some(post) = of.posts.get(number) else {
            return;
        };
        if let Some(count) = counts.get_mut(number) {
            *count += 1;
        }
        value::read(post.kind, &post.pattern, element, &mut |value| {
            add(name, post, &value, &mut terms);
        });
    });
    // Plans trust that these have one value.
    let several = |owner: &str| {
        let of_owner = of
            .posts
            .iter()
            .zip(&counts)
            .filter(|(post, _)| post.owner == owner);
        of_owner.map(|(_, count)| count).sum::<u32>() > 1
    };
    overflow |= of.posts.iter().any(|post| post.one && several(post.owner));
    if overflow {
        terms.insert(overflow_term(name));
    }
    match terms.len() > MAX_TERMS {
        true => cut(name, terms),
        false => terms,
    }
}

/// The term that every resource of a type posts.
pub fn type_term(resource_type: &str) -> Vec<u8> {
    resource_type.as_bytes().to_vec()
}

/// The term that every resource with an id posts.
pub fn id_term(resource_type: &str, id: &str) -> Vec<u8> {
    term(resource_type, "_id", b'c', &[id])
}

/// Whether a term is that of an identifier with system and value by which resources of a type are told apart.
pub fn is_identifier_term(resource_type: &str, term: &[u8]) -> bool {
    let rest = term.strip_prefix(term_head(resource_type, "identifier").as_slice());
    rest.is_some_and(|rest| rest.first() == Some(&b's'))
}

/// The term of a resource whose other terms do not tell all: every plan includes it.
pub fn overflow_term(resource_type: &str) -> Vec<u8> {
    term(resource_type, "", b'!', &[])
}

/// The order in which forms are kept when there are too many terms.
const FORMS: &[u8] = b"!rcsidpu";

fn cut(name: &str, terms: BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let rank = |term: &Vec<u8>| {
        let form = term
            .splitn(3, |&byte| byte == 0)
            .nth(2)
            .and_then(<[u8]>::first);
        form.map_or(0, |form| {
            FORMS.iter().position(|f| f == form).unwrap_or(FORMS.len())
        })
    };
    let always = [type_term(name), overflow_term(name)];
    let mut ranked: Vec<Vec<u8>> = terms.into_iter().filter(|t| !always.contains(t)).collect();
    let is_id = |term: &Vec<u8>| term.starts_with(&term_head(name, "_id"));
    ranked.sort_by_key(|term| (!is_id(term), rank(term)));
    ranked.truncate(MAX_TERMS - always.len());
    ranked.into_iter().chain(always).collect()
}

fn term_head(name: &str, owner: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(96);
    head.extend_from_slice(name.as_bytes());
    head.push(0);
    head.extend_from_slice(owner.as_bytes());
    head.push(0);
    head
}

/// A term; of several parts, joined by `|`.
fn term(name: &str, owner: &str, form: u8, parts: &[&str]) -> Vec<u8> {
    let mut term = term_head(name, owner);
    term.push(form);
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            term.push(b'|');
        }
        term.extend_from_slice(part.as_bytes());
    }
    term.truncate(MAX_TERM_BYTES);
    term
}

fn add(name: &str, post: &Post, value: &IndexValue<'_>, terms: &mut BTreeSet<Vec<u8>>) {
    let owner = post.owner;
    match value {
        IndexValue::Token(token) => {
            let Some(code) = &token.code else {
                return;
            };
            terms.insert(code_term(name, owner, code));
            if has_systems(post.pattern.shape)
                && let Some(system) = &token.system
            {
                terms.insert(system_term(name, owner, system, code));
            }
        }
        IndexValue::Text(text) => {
            let text = normalised(text);
            for length in PREFIXES {
                let prefix = prefix(&text, length);
                terms.insert(prefix_term(name, owner, prefix));
                if prefix.len() == text.len() {
                    break;
                }
            }
        }
        IndexValue::Date(span) => {
            let buckets = date::posted(*span).into_iter();
            terms.extend(buckets.map(|bucket| date_term(name, owner, bucket)));
        }
        IndexValue::Reference(reference) => {
            if let Some(target) = &reference.target {
                terms.insert(reference_term(name, owner, target.key()));
            }
            if let Some((_, value)) = &reference.identifier {
                terms.insert(identifier_term(name, owner, value));
            }
        }
        IndexValue::Uri(uri) => {
            terms.insert(uri_term(name, owner, uri));
        }
        IndexValue::Number(_) | IndexValue::Quantity(_) | IndexValue::Composite(_) => {}
    }
}

/// Whether tokens of a shape name their system.
pub(super) fn has_systems(shape: Shape) -> bool {
    matches!(shape, Shape::Concept | Shape::Coding | Shape::Identifier)
}

/// The first characters of a text.
pub(super) fn prefix(text: &str, length: usize) -> &str {
    let end = text
        .char_indices()
        .nth(length)
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

pub(super) fn code_term(name: &str, owner: &str, code: &str) -> Vec<u8> {
    let from = name.len() + owner.len() + 3;
    lowered(term(name, owner, b'c', &[code]), from)
}

pub(super) fn system_term(name: &str, owner: &str, system: &str, code: &str) -> Vec<u8> {
    let from = name.len() + owner.len() + 3;
    // The end of a long system and the code tell more than the start of the system.
    let skipped = (system.len() + code.len()).saturating_sub(MAX_TERM_BYTES - from - 1);
    let system = (skipped..=system.len())
        .find_map(|at| system.get(at..))
        .unwrap_or_default();
    lowered(term(name, owner, b's', &[system, code]), from)
}

pub(super) fn prefix_term(name: &str, owner: &str, prefix: &str) -> Vec<u8> {
    term(name, owner, b'p', &[prefix])
}

pub(super) fn date_term(name: &str, owner: &str, bucket: Bucket) -> Vec<u8> {
    term(name, owner, b'd', &[&bucket.text()])
}

pub(super) fn reference_term(name: &str, owner: &str, key: &str) -> Vec<u8> {
    term(name, owner, b'r', &[key])
}

pub(super) fn identifier_term(name: &str, owner: &str, value: &str) -> Vec<u8> {
    term(name, owner, b'i', &[value])
}

pub(super) fn uri_term(name: &str, owner: &str, uri: &str) -> Vec<u8> {
    let uri = uri.split('|').next().unwrap_or_default();
    term(name, owner, b'u', &[uri])
}

/// With the ASCII letters from a position on in lower case: codes are compared without case.
fn lowered(mut term: Vec<u8>, from: usize) -> Vec<u8> {
    if let Some(rest) = term.get_mut(from..) {
        rest.make_ascii_lowercase();
    }
    term
}
