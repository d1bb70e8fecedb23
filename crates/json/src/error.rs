//! What can be wrong with a text, and where.

use crate::document::{Document, Node};
use std::fmt;

/// Why a text was refused and where: one sentence, and never a value of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at {place}; {}", problem.advice())]
pub struct Error {
    problem: Problem,
    place: Place,
}

impl Error {
    pub(crate) fn new(problem: Problem, place: Place) -> Self {
        Self { problem, place }
    }

    /// What is wrong.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// The ways in which a text is not the JSON that is accepted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Longer than the limit, in bytes.
    #[error("the text is longer than {0} bytes")]
    TooLarge(usize),
    /// More values than the limit.
    #[error("the text holds more than {0} values")]
    TooManyValues(usize),
    /// Nested deeper than [`crate::MAX_DEPTH`].
    #[error("objects and arrays are nested more than {} deep", crate::MAX_DEPTH)]
    TooDeep,
    /// The text starts with a byte order mark.
    #[error("the text starts with a byte order mark")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// Nothing but white space.
    #[error("the text is empty")]
    Empty,
    /// The text ends inside a value.
    #[error("the text ends before its value is complete")]
    Truncated,
    /// A character that cannot stand here.
    #[error("a character stands where JSON does not allow it")]
    Unexpected,
    /// A number that is not written as JSON numbers are.
    #[error("a number is not written as JSON writes numbers")]
    BadNumber,
    /// An unknown escape in a string.
    #[error("a string holds an escape that JSON does not have")]
    BadEscape,
    /// Half of a surrogate pair in a string.
    #[error("a string holds half of a surrogate pair")]
    LoneSurrogate,
    /// A raw control character in a string.
    #[error("a string holds a raw control character")]
    ControlCharacter,
    /// The same name twice in one object.
    #[error("a member name stands twice in one object")]
    DuplicateName,
    /// Something after the value.
    #[error("something follows the end of the value")]
    TrailingData,
}

impl Problem {
    fn advice(self) -> &'static str {
        match self {
            Self::TooLarge(_) | Self::TooManyValues(_) => "send it in smaller documents",
            Self::TooDeep => "send a flatter document",
            Self::ByteOrderMark => "send the same text without the mark",
            Self::NotUtf8 => "send the text encoded as UTF-8",
            Self::Empty => "send a JSON document",
            Self::Truncated => "send the whole document",
            Self::Unexpected | Self::BadNumber => "correct the JSON and send it again",
            Self::BadEscape => "use only the escapes of RFC 8259, section 7",
            Self::LoneSurrogate => "write the character as a whole pair or as UTF-8",
            Self::ControlCharacter => "escape it, such as \\n for a line feed",
            Self::DuplicateName => "send each member once",
            Self::TrailingData => "send exactly one JSON document",
        }
    }
}

/// A position in a text: line and column (characters) counted from 1, and a path such as
/// `$.entry[2].resource` in which names that may not be shown stand as `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
    path: String,
}

impl Place {
    /// The place of a byte offset; `source` need not be UTF-8.
    pub(crate) fn new(source: &[u8], offset: usize, path: String) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        let on_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: before.iter().filter(|&&b| b == b'\n').count() + 1,
            column: on_line.iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1,
            path,
        }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The path from the root `$`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {} ({})",
            self.line, self.column, self.path
        )
    }
}

/// Appends the step from container `parent` to its child that starts the node range `child`.
pub(crate) fn push_step(
    path: &mut String,
    shown: fn(&str) -> bool,
    key: Option<&str>,
    position: usize,
) {
    match key {
        Some(name) if shown(name) => {
            path.push('.');
            path.push_str(name);
        }
        Some(_) => path.push_str(".*"),
        None => {
            path.push('[');
            path.push_str(&position.to_string());
            path.push(']');
        }
    }
}

/// The path of node `index` of a document, after `prefix`.
pub(crate) fn path_of(document: &Document<'_>, prefix: &str, index: u32) -> String {
    let mut path = prefix.to_owned();
    let mut at = 0;
    while at != index {
        let Some((child, position)) = child_holding(document.nodes(), at, index) else {
            break;
        };
        let key = document.value_at(child).key();
        push_step(&mut path, document.shown(), key.as_deref(), position);
        at = child;
    }
    path
}

fn child_holding(nodes: &[Node], parent: u32, index: u32) -> Option<(u32, usize)> {
    let end = nodes.get(parent as usize)?.next;
    let mut child = parent + 1;
    let mut position = 0;
    while child < end {
        let next = nodes.get(child as usize)?.next;
        if index < next {
            return Some((child, position));
        }
        child = next;
        position += 1;
    }
    None
}
