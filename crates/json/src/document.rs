//! A checked text and cursors over its values.

use crate::error::{Place, path_of};
use crate::text::unescape;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number; its digits are [`Value::raw`].
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One value: spans in the source, and the index after its last descendant. Nodes stand in the
/// order of the text, so the children of node `i` are `i + 1`, then each child's `next`.
#[derive(Clone, Copy)]
pub(crate) struct Node {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The name with its quotes; empty when the value is not a member.
    pub(crate) key_start: u32,
    pub(crate) key_end: u32,
    pub(crate) next: u32,
    pub(crate) kind: Kind,
    pub(crate) escaped: bool,
    pub(crate) key_escaped: bool,
}

/// A text that was checked as a whole.
// INVARIANT: `nodes` is not empty, spans lie within `source` on character boundaries, and
// `next` is greater than the node's own index.
pub struct Document<'a> {
    source: &'a str,
    nodes: Vec<Node>,
    shown: fn(&str) -> bool,
    spaced: bool,
    /// For a detached part: the text it was taken from, its offset there and its path.
    origin: Option<(&'a str, usize, String)>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(
        source: &'a str,
        nodes: Vec<Node>,
        shown: fn(&str) -> bool,
        spaced: bool,
    ) -> Self {
        Self {
            source,
            nodes,
            shown,
            spaced,
            origin: None,
        }
    }

    /// The text, byte for byte as it was given.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_, 'a> {
        self.value_at(0)
    }

    /// How many values there are, containers included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Always false: a document holds at least its root.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether there is no white space between values, so that each stands as it would be written.
    pub(crate) fn is_compact(&self) -> bool {
        !self.spaced
    }

    /// Every value, the last one first: children before their container.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer values than bytes, under 4 GiB"
    )]
    pub(crate) fn values_backwards(&self) -> impl Iterator<Item = Value<'_, 'a>> {
        let count = self.nodes.len() as u32;
        (0..count).rev().map(|index| self.value_at(index))
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn shown(&self) -> fn(&str) -> bool {
        self.shown
    }

    #[inline]
    pub(crate) fn value_at(&self, index: u32) -> Value<'_, 'a> {
        Value {
            document: self,
            index,
        }
    }

    #[inline]
    pub(crate) fn slice(&self, start: u32, end: u32) -> &'a str {
        self.source
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(<redacted>)")
    }
}

/// A value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: u32,
}

impl<'d, 'a> Value<'d, 'a> {
    #[inline]
    fn node(self) -> Node {
        const NOTHING: Node = Node {
            start: 0,
            end: 0,
            key_start: 0,
            key_end: 0,
            next: u32::MAX,
            kind: Kind::Null,
            escaped: false,
            key_escaped: false,
        };
        let node = self.document.nodes.get(self.index as usize);
        node.copied().unwrap_or(NOTHING)
    }

    /// What the value is.
    #[inline]
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// The document the value stands in.
    pub fn document(self) -> &'d Document<'a> {
        self.document
    }

    /// The position of the value in the order of the text, the root being 0.
    #[inline]
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// Where the value stands in the source, in bytes.
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The value as it is written: a number's digits, a string with its quotes and escapes.
    #[inline]
    pub fn raw(self) -> &'a str {
        let node = self.node();
        self.document.slice(node.start, node.end)
    }

    /// The member name of the value, when it is a member of an object.
    #[inline]
    pub fn key(self) -> Option<Cow<'a, str>> {
        let node = self.node();
        if node.key_end == node.key_start {
            return None;
        }
        let inner = self.document.slice(node.key_start + 1, node.key_end - 1);
        Some(unescape(inner, node.key_escaped))
    }

    /// Where the member name stands in the source, with its quotes.
    pub fn key_span(self) -> Option<Range<usize>> {
        let node = self.node();
        let span = node.key_start as usize..node.key_end as usize;
        (!span.is_empty()).then_some(span)
    }

    /// The member name as it is written, with its quotes.
    pub(crate) fn key_raw(self) -> Option<&'a str> {
        self.document.source.get(self.key_span()?)
    }

    /// The index after the last value inside this one.
    #[inline]
    pub(crate) fn next_index(self) -> usize {
        self.node().next as usize
    }

    /// The text of a string.
    #[inline]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let node = self.node();
        if node.kind != Kind::String {
            return None;
        }
        let inner = self.document.slice(node.start + 1, node.end - 1);
        Some(unescape(inner, node.escaped))
    }

    /// The digits of a number.
    pub fn digits(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// A number that is written as a whole number and fits.
    pub fn integer(self) -> Option<i64> {
        self.digits()?.parse().ok()
    }

    /// A boolean.
    pub fn boolean(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// Whether the value is `null`.
    #[inline]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether the value has no child: a scalar, or an empty object or array.
    #[inline]
    pub fn is_leaf(self) -> bool {
        self.node().next == self.index + 1
    }

    /// The members of an object or the items of an array, in the order of the text; nothing for
    /// any other value.
    #[inline]
    pub fn children(self) -> Children<'d, 'a> {
        Children {
            document: self.document,
            at: self.index + 1,
            end: self.node().next,
        }
    }

    /// The member of an object with this name.
    pub fn get(self, name: &str) -> Option<Value<'d, 'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        self.children().find(|child| child.is_named(name))
    }

    /// Whether the value is a member with this name.
    #[inline]
    pub fn is_named(self, name: &str) -> bool {
        let node = self.node();
        if node.key_escaped {
            return self.key().is_some_and(|key| key == name);
        }
        node.key_end > node.key_start
            && self.document.slice(node.key_start + 1, node.key_end - 1) == name
    }

    /// Where the value stands, for a message.
    pub fn place(self) -> Place {
        let start = self.span().start;
        match &self.document.origin {
            None => {
                let path = path_of(self.document, "$", self.index);
                Place::new(self.document.source.as_bytes(), start, path)
            }
            Some((whole, offset, prefix)) => {
                let path = path_of(self.document, prefix, self.index);
                Place::new(whole.as_bytes(), offset + start, path)
            }
        }
    }

    /// The value as a document of its own, whose source is exactly the value's bytes. Places in it
    /// still name positions in the whole text.
    pub fn detach(self) -> Document<'a> {
        let node = self.node();
        let shift = |at: u32| at.saturating_sub(node.start);
        let range = self.index as usize..node.next as usize;
        let nodes = self.document.nodes.get(range).unwrap_or_default();
        let mut nodes: Vec<Node> = nodes
            .iter()
            .map(|inner| Node {
                start: shift(inner.start),
                end: shift(inner.end),
                key_start: shift(inner.key_start),
                key_end: shift(inner.key_end),
                next: inner.next - self.index,
                ..*inner
            })
            .collect();
        if let Some(root) = nodes.first_mut() {
            (root.key_start, root.key_end, root.key_escaped) = (0, 0, false);
        }
        let (whole, offset, prefix) = match &self.document.origin {
            None => (self.document.source, 0, "$"),
            Some((whole, offset, prefix)) => (*whole, *offset, prefix.as_str()),
        };
        Document {
            source: self.raw(),
            nodes,
            shown: self.document.shown,
            spaced: self.document.spaced,
            origin: Some((
                whole,
                offset + node.start as usize,
                path_of(self.document, prefix, self.index),
            )),
        }
    }
}

impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(<redacted>)", self.kind())
    }
}

/// The children of a value.
#[derive(Clone)]
pub struct Children<'d, 'a> {
    document: &'d Document<'a>,
    at: u32,
    end: u32,
}

impl<'d, 'a> Iterator for Children<'d, 'a> {
    type Item = Value<'d, 'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let child = self.document.value_at(self.at);
        self.at = child.node().next;
        Some(child)
    }
}
