//! Changing a text by span, so that every other byte stays as it was received.

use crate::document::{Document, Kind, Value};
use crate::text::quote;
use std::fmt;
use std::ops::Range;

/// Two edits touch the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two edits of one document overlap; make each change once")]
pub struct Overlap;

/// Edits of one document, applied together by [`Edits::apply`].
#[derive(Default)]
pub struct Edits {
    edits: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// No edits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `json` in the place of a value.
    pub fn replace(&mut self, value: Value<'_, '_>, json: impl Into<String>) {
        self.edits.push((value.span(), json.into()));
    }

    /// Puts `json` in the place of some bytes; an empty span inserts.
    pub fn replace_span(&mut self, span: Range<usize>, json: impl Into<String>) {
        self.edits.push((span, json.into()));
    }

    /// Gives the members of an object new values, given as JSON. Members that the object does not
    /// have are inserted together, in the order given and laid out like their neighbour: after the
    /// member `after` when the object has it, otherwise first. Does nothing to other values.
    pub fn set_members(
        &mut self,
        object: Value<'_, '_>,
        after: Option<&str>,
        members: &[(&str, String)],
    ) {
        if object.kind() != Kind::Object {
            return;
        }
        let mut missing = Vec::new();
        for (name, json) in members {
            match object.get(name) {
                Some(value) => self.replace(value, json.clone()),
                None => missing.push((*name, json.as_str())),
            }
        }
        if missing.is_empty() {
            return;
        }
        let neighbour = after.and_then(|name| object.get(name));
        let insertion = match (neighbour, object.children().next()) {
            (Some(member), _) => {
                let (space, colon) = layout(member);
                let mut text = String::new();
                for (name, json) in missing {
                    text.push_str(&format!(",{space}{}{colon}{json}", quote(name)));
                }
                (member.span().end, text)
            }
            (None, Some(first)) => {
                let (space, colon) = layout(first);
                let mut text = String::new();
                for (name, json) in missing {
                    text.push_str(&format!("{}{colon}{json},{space}", quote(name)));
                }
                let start = first.key_span().map_or(0, |span| span.start);
                (start, text)
            }
            (None, None) => {
                let list: Vec<String> = missing
                    .iter()
                    .map(|(name, json)| format!("{}:{json}", quote(name)))
                    .collect();
                (object.span().start + 1, list.join(","))
            }
        };
        self.edits.push((insertion.0..insertion.0, insertion.1));
    }

    /// The text of the document with all edits made.
    pub fn apply(mut self, document: &Document<'_>) -> Result<Vec<u8>, Overlap> {
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        let source = document.source();
        let grown: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(source.len() + grown);
        let mut at = 0;
        for (span, text) in self.edits {
            let kept = source.get(at..span.start).ok_or(Overlap)?;
            out.extend_from_slice(kept.as_bytes());
            out.extend_from_slice(text.as_bytes());
            at = span.end;
        }
        let kept = source.get(at..).ok_or(Overlap)?;
        out.extend_from_slice(kept.as_bytes());
        Ok(out)
    }
}

impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edits({} <redacted>)", self.edits.len())
    }
}

/// The white space before a member, and what stands between its name and its value.
fn layout<'a>(member: Value<'_, 'a>) -> (&'a str, &'a str) {
    let source = member.document().source();
    let key = member.key_span().unwrap_or_default();
    let before = source.get(..key.start).unwrap_or_default();
    let space = before.trim_end_matches([' ', '\n', '\r', '\t']).len();
    (
        before.get(space..).unwrap_or_default(),
        source.get(key.end..member.span().start).unwrap_or_default(),
    )
}
