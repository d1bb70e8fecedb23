//! The order of matches, and places in it.

use crate::parsed::Parsed;
use crate::search::query::QueryError;
use crate::search::table::{Kind, Parameter, Searched};
use crate::search::text::normalised;
use crate::search::value::{IndexValue, Interval};
use crate::search::walk::collect;
use std::cmp::Ordering;
use std::fmt;

/// The most parameters of a `_sort`.
const MAX_SORTS: usize = 4;

/// How much of a text counts in the order, in bytes.
const MAX_TEXT: usize = 64;

/// A parameter to sort by.
pub(super) struct Sort {
    pub(super) parameter: &'static Parameter,
    pub(super) descending: bool,
}

/// Reads `-date,status`.
pub(super) fn parse(
    of: &'static Searched,
    modifier: Option<&str>,
    value: &str,
) -> Result<Vec<Sort>, QueryError> {
    let refuse = |message: &str| Err(QueryError::new("_sort", message));
    if modifier.is_some() {
        return refuse("it has no modifiers; write - before a parameter to turn its order around");
    }
    let mut sorts = Vec::new();
    for name in value.split(',') {
        let (name, descending) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        match of.parameter(name) {
            Some(parameter) if parameter.kind != Kind::Composite => {
                sorts.push(Sort {
                    parameter,
                    descending,
                });
            }
            _ => return refuse("name parameters of the searched type, with commas between"),
        }
    }
    match sorts.len() > MAX_SORTS {
        true => refuse("sort by at most 4 parameters"),
        false => Ok(sorts),
    }
}

/// A place in the order of a query. Missing values come last, whichever way the order goes; what
/// is equal is ordered by id. Of long texts the first 64 bytes count.
#[derive(Clone, PartialEq, Eq)]
pub struct SortKey {
    parts: Vec<(bool, Option<Vec<u8>>)>,
    id: String,
}

impl SortKey {
    pub(super) fn of(
        sorts: &[Sort],
        of: &'static Searched,
        resource: &Parsed<'_>,
        last_updated_ms: u64,
    ) -> Self {
        let mut parts: Vec<(bool, Option<Vec<u8>>)> =
            sorts.iter().map(|sort| (sort.descending, None)).collect();
        let mut keep = |parameter: &Parameter, key: Vec<u8>| {
            for (sort, (descending, best)) in sorts.iter().zip(&mut parts) {
                if sort.parameter.number == parameter.number {
                    let better = match &*best {
                        None => true,
                        Some(known) if *descending => key > *known,
                        Some(known) => key < *known,
                    };
                    if better {
                        *best = Some(key.clone());
                    }
                }
            }
        };
        let wanted = |p: &Parameter| sorts.iter().any(|s| s.parameter.number == p.number);
        if !sorts.is_empty() {
            collect(of, resource, &wanted, &mut |parameter, value| {
                if parameter.name != "_lastUpdated"
                    && let Some(key) = key(&value)
                {
                    keep(parameter, key);
                }
            });
        }
        let updated = sorts.iter().find(|s| s.parameter.name == "_lastUpdated");
        if let Some(updated) = updated {
            keep(updated.parameter, last_updated_ms.to_be_bytes().to_vec());
        }
        Self {
            parts,
            id: resource.id().unwrap_or_default().into_owned(),
        }
    }

    /// The id of the resource.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The place as a text of ASCII letters, digits, `-` and `.`, at most 700 bytes. It holds values
    /// of the resource: it is as confidential as the resource.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (descending, part) in &self.parts {
            text.push(if *descending { 'd' } else { 'a' });
            match part {
                None => text.push('-'),
                Some(bytes) => bytes.iter().for_each(|byte| push_hex(*byte, &mut text)),
            }
            text.push('.');
        }
        text.push('i');
        text.push_str(&self.id);
        text
    }

    /// Reads what [`SortKey::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.starts_with('i') {
            let (part, after) = rest.split_once('.')?;
            let (way, bytes) = part.split_at_checked(1)?;
            let descending = match way {
                "a" => false,
                "d" => true,
                _ => return None,
            };
            parts.push((
                descending,
                if bytes == "-" {
                    None
                } else {
                    Some(unhex(bytes)?)
                },
            ));
            if parts.len() > MAX_SORTS {
                return None;
            }
            rest = after;
        }
        let id = rest.strip_prefix('i')?;
        (id.is_empty() || crate::table::is_id(id)).then(|| Self {
            parts,
            id: id.to_owned(),
        })
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        for ((descending, one), (_, two)) in self.parts.iter().zip(&other.parts) {
            let order = match (one, two) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(two)) if *descending => two.cmp(one),
                (Some(one), Some(two)) => one.cmp(two),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        self.id.cmp(&other.id)
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SortKey(<redacted>)")
    }
}

/// Bytes in whose order values are.
fn key(value: &IndexValue<'_>) -> Option<Vec<u8>> {
    let text = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.truncate(MAX_TEXT);
        bytes
    };
    match value {
        IndexValue::Token(token) => {
            let shown = token.code.as_deref().or(token.text.as_deref())?;
            Some(text(&normalised(shown)))
        }
        IndexValue::Text(of) => Some(text(&normalised(of))),
        IndexValue::Date(span) => Some((span.from_ms ^ i64::MIN).to_be_bytes().to_vec()),
        IndexValue::Number(number) => interval(number),
        IndexValue::Quantity(quantity) => interval(&quantity.number),
        IndexValue::Reference(reference) => Some(text(&reference.target.as_ref()?.text())),
        IndexValue::Uri(uri) => Some(text(uri)),
        IndexValue::Composite(_) => None,
    }
}

fn interval(number: &Interval) -> Option<Vec<u8>> {
    let bits = number.low.or(number.high)?.approximate().to_bits();
    // Negative numbers have the sign bit set and grow downwards.
    let ordered = match bits >> 63 {
        0 => bits | (1 << 63),
        _ => !bits,
    };
    Some(ordered.to_be_bytes().to_vec())
}

fn push_hex(byte: u8, out: &mut String) {
    for digit in [byte >> 4, byte & 15] {
        out.extend(char::from_digit(u32::from(digit), 16));
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * MAX_TEXT || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    pairs.map(byte).collect()
}
