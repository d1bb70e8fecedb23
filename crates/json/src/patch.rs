//! JSON Patch (RFC 6902), by spans: what no operation touches stays as it was written.
//!
//! In: a document and a list of at most [`MAX_OPERATIONS`] operations, both as bytes. Out: the bytes
//! of the changed document. The operations apply in order, all or none. Values come into the
//! document as they are written in the operations, digits and escapes included.

use crate::document::{Document, Kind, Value};
use crate::edit::{Edits, Overlap};
use crate::error::Error;
use crate::{Limits, parse};
use std::borrow::Cow;

/// The most operations of a patch.
pub const MAX_OPERATIONS: usize = 100;

/// Why a patch was refused: what is wrong and what to do, never a value. Operations count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document, or what the operations make of it, is not the JSON that is accepted.
    #[error("the document with the patch applied: {0}")]
    Document(#[source] Error),
    /// The operations are not the JSON that is accepted.
    #[error("the patch: {0}")]
    Operations(#[source] Error),
    /// The operations are not a list.
    #[error("the patch is not a list of operations; send an array of objects (RFC 6902)")]
    NotAList,
    /// More operations than are taken at once.
    #[error("the patch has more than {MAX_OPERATIONS} operations; send it in parts")]
    TooMany,
    /// An operation that is not written as RFC 6902 has it.
    #[error("operation {at} of the patch: {expected}")]
    Malformed {
        /// Which operation.
        at: usize,
        /// What is expected.
        expected: &'static str,
    },
    /// A place that the document does not have.
    #[error("operation {0} of the patch names a place that is not in the document; correct it")]
    NotFound(usize),
    /// A `test` that does not hold.
    #[error("the test of operation {0} of the patch does not hold; read the document again")]
    TestFailed(usize),
}

/// The document with the operations applied.
///
/// # Errors
/// [`PatchError`]; the document is not changed then.
pub fn patch(source: &[u8], operations: &[u8], limits: &Limits) -> Result<Vec<u8>, PatchError> {
    let operations = parse(operations, limits).map_err(PatchError::Operations)?;
    if operations.root().kind() != Kind::Array {
        return Err(PatchError::NotAList);
    }
    let mut steps = Vec::new();
    for (at, operation) in operations.root().children().enumerate() {
        if at == MAX_OPERATIONS {
            return Err(PatchError::TooMany);
        }
        steps.push(Operation::read(at, operation)?);
    }
    let mut text = source.to_vec();
    for step in &steps {
        text = step.apply(&text, limits)?;
    }
    // An operation could have made a text that is no longer accepted, such as one nested too deep.
    document(&text, limits)?;
    Ok(text)
}

fn document<'t>(text: &'t [u8], limits: &Limits) -> Result<Document<'t>, PatchError> {
    parse(text, limits).map_err(PatchError::Document)
}

/// The names on the way to a value.
type Pointer = Vec<String>;

struct Operation<'p> {
    at: usize,
    path: Pointer,
    action: Action<'p>,
}

enum Action<'p> {
    Add(&'p str),
    Remove,
    Replace(&'p str),
    Move(Pointer),
    Copy(Pointer),
    Test(Value<'p, 'p>),
}

impl<'p> Operation<'p> {
    fn read(at: usize, operation: Value<'p, 'p>) -> Result<Self, PatchError> {
        let malformed = |expected| PatchError::Malformed { at, expected };
        let text = |name| operation.get(name).and_then(Value::text);
        let pointer = |name, expected| {
            let text = text(name).ok_or(malformed(expected))?;
            pointer(&text).ok_or(malformed("write paths as JSON Pointers (RFC 6901)"))
        };
        let op = text("op").ok_or(malformed("name it by the member op, a string"))?;
        let value = || {
            let value = operation.get("value");
            value.ok_or(malformed("give its value by the member value"))
        };
        let from = || pointer("from", "say by the member from where the value is");
        let action = match &*op {
            "add" => Action::Add(value()?.raw()),
            "remove" => Action::Remove,
            "replace" => Action::Replace(value()?.raw()),
            "move" => Action::Move(from()?),
            "copy" => Action::Copy(from()?),
            "test" => Action::Test(value()?),
            _ => return Err(malformed("use add, remove, replace, move, copy or test")),
        };
        let path = pointer("path", "say by the member path what it changes")?;
        if let Action::Move(from) = &action
            && path.len() > from.len()
            && path.starts_with(from)
        {
            return Err(malformed("a value cannot move into itself"));
        }
        if path.is_empty() && matches!(action, Action::Remove) {
            return Err(malformed(
                "the whole document cannot be removed; replace it",
            ));
        }
        Ok(Self { at, path, action })
    }

    fn apply(&self, text: &[u8], limits: &Limits) -> Result<Vec<u8>, PatchError> {
        let document = document(text, limits)?;
        match &self.action {
            Action::Add(value) => self.add(&document, value),
            Action::Replace(value) => {
                let mut edits = Edits::new();
                edits.replace(self.find(&document, &self.path)?, *value);
                self.edited(&document, edits)
            }
            Action::Remove => self.remove(&document, &self.path),
            Action::Copy(from) => self.add(&document, self.find(&document, from)?.raw()),
            Action::Move(from) => {
                let value = self.find(&document, from)?.raw();
                if *from == self.path {
                    return Ok(text.to_vec());
                }
                if from.is_empty() {
                    return Err(PatchError::NotFound(self.at));
                }
                let without = self.remove(&document, from)?;
                self.add(&self::document(&without, limits)?, value)
            }
            Action::Test(value) => match is_equal(self.find(&document, &self.path)?, *value) {
                true => Ok(text.to_vec()),
                false => Err(PatchError::TestFailed(self.at)),
            },
        }
    }

    fn find<'d, 'a>(
        &self,
        document: &'d Document<'a>,
        path: &[String],
    ) -> Result<Value<'d, 'a>, PatchError> {
        let mut at = document.root();
        for name in path {
            let next = match at.kind() {
                Kind::Object => at.get(name),
                Kind::Array => position(name).and_then(|position| at.children().nth(position)),
                _ => None,
            };
            at = next.ok_or(PatchError::NotFound(self.at))?;
        }
        Ok(at)
    }

    fn add(&self, document: &Document<'_>, value: &str) -> Result<Vec<u8>, PatchError> {
        let mut edits = Edits::new();
        let Some((last, parents)) = self.path.split_last() else {
            edits.replace(document.root(), value);
            return self.edited(document, edits);
        };
        let parent = self.find(document, parents)?;
        match parent.kind() {
            Kind::Object => {
                let neighbour = parent.children().last().and_then(Value::key);
                let members = [(last.as_str(), value.to_owned())];
                edits.set_members(parent, neighbour.as_deref(), &members);
            }
            Kind::Array => {
                let count = parent.children().count();
                let position = match last.as_str() {
                    "-" => Some(count),
                    name => position(name).filter(|position| *position <= count),
                };
                let position = position.ok_or(PatchError::NotFound(self.at))?;
                insert(parent, position, value, &mut edits);
            }
            _ => return Err(PatchError::NotFound(self.at)),
        }
        self.edited(document, edits)
    }

    fn remove(&self, document: &Document<'_>, path: &[String]) -> Result<Vec<u8>, PatchError> {
        let value = self.find(document, path)?;
        let parents = path.split_last().map(|(_, parents)| parents);
        let parent = self.find(document, parents.unwrap_or_default())?;
        let is_after = |child: &Value<'_, '_>| child.index() > value.index();
        let is_before = |child: &Value<'_, '_>| child.index() < value.index();
        let next = parent.children().find(is_after);
        let previous = parent.children().take_while(is_before).last();
        let span = match (next, previous) {
            (Some(next), _) => start(value)..start(next),
            (None, Some(previous)) => previous.span().end..value.span().end,
            (None, None) => start(value)..value.span().end,
        };
        let mut edits = Edits::new();
        edits.replace_span(span, "");
        self.edited(document, edits)
    }

    fn edited(&self, document: &Document<'_>, edits: Edits) -> Result<Vec<u8>, PatchError> {
        let applied = edits.apply(document);
        applied.map_err(|Overlap| PatchError::NotFound(self.at))
    }
}

/// Puts an item into an array, laid out like its neighbour.
fn insert(array: Value<'_, '_>, position: usize, value: &str, edits: &mut Edits) {
    if let Some(next) = array.children().nth(position) {
        let at = next.span().start;
        return edits.replace_span(at..at, format!("{value},{}", space_before(next)));
    }
    match array.children().last() {
        Some(last) => {
            let at = last.span().end;
            edits.replace_span(at..at, format!(",{}{value}", space_before(last)));
        }
        None => {
            let at = array.span().start + 1;
            edits.replace_span(at..at, value);
        }
    }
}

fn space_before<'a>(value: Value<'_, 'a>) -> &'a str {
    let before = value.document().source().get(..value.span().start);
    let before = before.unwrap_or_default();
    let kept = before.trim_end_matches([' ', '\n', '\r', '\t']).len();
    before.get(kept..).unwrap_or_default()
}

/// Where a member, with its name, or an item starts.
fn start(value: Value<'_, '_>) -> usize {
    let key = value.key_span();
    key.map_or(value.span().start, |key| key.start)
}

/// Reads a JSON Pointer (RFC 6901).
fn pointer(text: &str) -> Option<Pointer> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let name = |name: &str| {
        let mut pieces = name.split('~');
        let mut read = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (escape, rest) = piece.split_at_checked(1)?;
            read.push(match escape {
                "0" => '~',
                "1" => '/',
                _ => return None,
            });
            read.push_str(rest);
        }
        Some(read)
    };
    text.strip_prefix('/')?.split('/').map(name).collect()
}

/// The position that a name in a pointer stands for in an array.
fn position(name: &str) -> Option<usize> {
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let plain = name == "0" || !name.starts_with('0');
    (digits && plain).then(|| name.parse().ok())?
}

/// Whether two values are equal: numbers by what they are worth, objects in any order. Recursion is
/// bounded by [`crate::MAX_DEPTH`].
fn is_equal(one: Value<'_, '_>, two: Value<'_, '_>) -> bool {
    if one.kind() != two.kind() {
        return false;
    }
    match one.kind() {
        Kind::Null => true,
        Kind::Bool => one.boolean() == two.boolean(),
        Kind::Number => worth(one.raw()) == worth(two.raw()),
        Kind::String => one.text() == two.text(),
        Kind::Array => {
            one.children().count() == two.children().count()
                && one
                    .children()
                    .zip(two.children())
                    .all(|(a, b)| is_equal(a, b))
        }
        Kind::Object => {
            let same = |member: Value<'_, '_>| {
                let name = member.key().unwrap_or(Cow::Borrowed(""));
                two.get(&name).is_some_and(|other| is_equal(member, other))
            };
            one.children().count() == two.children().count() && one.children().all(same)
        }
    }
}

/// What a number is worth: its sign, its digits without zeros at the ends, and the power of ten of
/// the last of them.
fn worth(number: &str) -> (bool, String, i128) {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{decimals}");
    let digits = all.trim_end_matches('0');
    let dropped = all.len() - digits.len();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return (false, String::new(), 0);
    }
    // An exponent that fits no i128 has more digits than a document could do with.
    let exponent: i128 = exponent.parse().unwrap_or(i128::MAX / 2);
    let length = |length: usize| i128::try_from(length).unwrap_or_default();
    let power = exponent + length(dropped) - length(decimals.len());
    (negative, digits.to_owned(), power)
}
