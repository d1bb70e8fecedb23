//! One pass over the text: checks RFC 8259 and the limits, and records where each value stands.

use crate::document::{Document, Kind, Node};
use crate::error::{Error, Place, Problem, push_step};
use crate::text::{escape, unescape};
use crate::{Limits, MAX_DEPTH};
use std::borrow::Cow;

pub(crate) fn parse<'a>(source: &'a [u8], limits: &Limits) -> Result<Document<'a>, Error> {
    let outermost =
        |problem, offset| Error::new(problem, Place::new(source, offset, "$".to_owned()));
    // INVARIANT: an accepted text is shorter than 4 GiB, so that spans fit in 32 bits.
    let longest = limits.size_bytes.min(u32::MAX as usize - 1);
    if source.len() > longest {
        return Err(outermost(Problem::TooLarge(longest), 0));
    }
    if source.starts_with(b"\xEF\xBB\xBF") {
        return Err(outermost(Problem::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(source)
        .map_err(|error| outermost(Problem::NotUtf8, error.valid_up_to()))?;
    let mut parser = Parser {
        text,
        source,
        limits,
        at: 0,
        nodes: Vec::with_capacity(source.len() / 24 + 1),
        open: Vec::with_capacity(MAX_DEPTH),
        key: NO_KEY,
        names: Vec::new(),
        spaced: false,
    };
    match parser.document() {
        Ok(()) => Ok(Document::new(
            text,
            parser.nodes,
            limits.shown,
            parser.spaced,
        )),
        Err(problem) => Err(parser.error(problem)),
    }
}

struct Parser<'a, 'l> {
    text: &'a str,
    source: &'a [u8],
    limits: &'l Limits,
    at: usize,
    nodes: Vec<Node>,
    /// The containers that are not closed yet, outermost first.
    open: Vec<u32>,
    /// The name of the member whose value comes next.
    key: Key,
    /// Whether there is white space between values.
    spaced: bool,
    /// Scratch space for finding names that stand twice.
    names: Vec<(u32, u32, bool)>,
}

#[derive(Clone, Copy)]
struct Key {
    start: u32,
    end: u32,
    escaped: bool,
}

const NO_KEY: Key = Key {
    start: 0,
    end: 0,
    escaped: false,
};

/// Up to this many members, comparing each pair is faster than sorting.
const FEW_MEMBERS: usize = 12;

impl<'a> Parser<'a, '_> {
    fn document(&mut self) -> Result<(), Problem> {
        self.skip_space();
        if self.at == self.source.len() {
            return Err(Problem::Empty);
        }
        self.value()?;
        while let Some(&container) = self.open.last() {
            self.skip_space();
            match self.kind_of(container) {
                Kind::Object => self.object_step(container)?,
                _ => self.array_step(container)?,
            }
        }
        self.skip_space();
        if self.at != self.source.len() {
            return Err(Problem::TrailingData);
        }
        Ok(())
    }

    fn object_step(&mut self, container: u32) -> Result<(), Problem> {
        let first = self.is_childless(container);
        match self.peek()? {
            b'}' => {
                self.check_names(container)?;
                self.close(container);
                return Ok(());
            }
            b',' if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(Problem::Unexpected),
        }
        if self.peek()? != b'"' {
            return Err(Problem::Unexpected);
        }
        let (start, escaped) = self.string()?;
        self.key = Key {
            start,
            end: self.offset(),
            escaped,
        };
        self.skip_space();
        if self.peek()? != b':' {
            return Err(Problem::Unexpected);
        }
        self.at += 1;
        self.skip_space();
        self.value()
    }

    fn array_step(&mut self, container: u32) -> Result<(), Problem> {
        let first = self.is_childless(container);
        match self.peek()? {
            b']' => {
                self.close(container);
                return Ok(());
            }
            b',' if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(Problem::Unexpected),
        }
        self.value()
    }

    /// Reads a scalar whole, or only opens a container.
    fn value(&mut self) -> Result<(), Problem> {
        let start = self.offset();
        let (kind, escaped) = match self.peek()? {
            b'{' => return self.open(Kind::Object),
            b'[' => return self.open(Kind::Array),
            b'"' => (Kind::String, self.string()?.1),
            b'-' | b'0'..=b'9' => {
                self.number()?;
                (Kind::Number, false)
            }
            b't' => (Kind::Bool, self.word(b"true")?),
            b'f' => (Kind::Bool, self.word(b"false")?),
            b'n' => (Kind::Null, self.word(b"null")?),
            _ => return Err(Problem::Unexpected),
        };
        self.push(kind, start, escaped)
    }

    fn open(&mut self, kind: Kind) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        let index = self.next_index();
        self.push(kind, self.offset(), false)?;
        self.open.push(index);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, container: u32) {
        self.at += 1;
        let (end, next) = (self.offset(), self.next_index());
        if let Some(node) = self.nodes.get_mut(container as usize) {
            node.end = end;
            node.next = next;
        }
        self.open.pop();
        self.key = NO_KEY;
    }

    fn push(&mut self, kind: Kind, start: u32, escaped: bool) -> Result<(), Problem> {
        if self.nodes.len() >= self.limits.values {
            return Err(Problem::TooManyValues(self.limits.values));
        }
        self.nodes.push(Node {
            start,
            end: self.offset(),
            key_start: self.key.start,
            key_end: self.key.end,
            next: self.next_index() + 1,
            kind,
            escaped,
            key_escaped: self.key.escaped,
        });
        self.key = NO_KEY;
        Ok(())
    }

    /// Reads a string; returns where it starts and whether it holds escapes.
    fn string(&mut self) -> Result<(u32, bool), Problem> {
        let start = self.offset();
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok((start, escaped));
                }
                b'\\' => {
                    escaped = true;
                    let rest = self.source.get(self.at..).unwrap_or_default();
                    let Some((_, length)) = escape(rest) else {
                        return Err(escape_problem(rest));
                    };
                    self.at += length;
                }
                0..0x20 => return Err(Problem::ControlCharacter),
                _ => {
                    let rest = self.source.get(self.at..).unwrap_or_default();
                    self.at += plain_length(rest);
                }
            }
        }
    }

    fn number(&mut self) -> Result<(), Problem> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.next_is(b".") {
            self.at += 1;
            self.digits()?;
        }
        if self.next_is(b"eE") {
            self.at += 1;
            if self.next_is(b"+-") {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.next_is(b"0123456789.+-eE") {
            return Err(Problem::BadNumber);
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Problem> {
        if !self.peek()?.is_ascii_digit() {
            return Err(Problem::BadNumber);
        }
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|b| !b.is_ascii_digit());
        self.at += length.unwrap_or(rest.len());
        Ok(())
    }

    /// Reads `true`, `false` or `null`; returns false, for it holds no escape.
    fn word(&mut self, word: &[u8]) -> Result<bool, Problem> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(false);
        }
        if word.starts_with(rest) {
            self.at = self.source.len();
            return Err(Problem::Truncated);
        }
        Err(Problem::Unexpected)
    }

    fn skip_space(&mut self) {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let space = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t');
        let length = rest.iter().position(|b| !space(b)).unwrap_or(rest.len());
        self.spaced |= length > 0;
        self.at += length;
    }

    fn peek(&self) -> Result<u8, Problem> {
        self.source.get(self.at).copied().ok_or(Problem::Truncated)
    }

    fn next_is(&self, any_of: &[u8]) -> bool {
        self.source.get(self.at).is_some_and(|b| any_of.contains(b))
    }

    #[expect(clippy::cast_possible_truncation, reason = "texts are under 4 GiB")]
    fn offset(&self) -> u32 {
        self.at as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer values than bytes")]
    fn next_index(&self) -> u32 {
        self.nodes.len() as u32
    }

    fn kind_of(&self, container: u32) -> Kind {
        let node = self.nodes.get(container as usize);
        node.map_or(Kind::Null, |node| node.kind)
    }

    fn is_childless(&self, container: u32) -> bool {
        self.nodes.len() == container as usize + 1
    }

    /// Refuses an object in which a name stands twice; moves back to the second one for the error.
    fn check_names(&mut self, container: u32) -> Result<(), Problem> {
        self.names.clear();
        let mut child = container as usize + 1;
        while let Some(node) = self.nodes.get(child) {
            self.names
                .push((node.key_start, node.key_end, node.key_escaped));
            child = node.next as usize;
        }
        let twice = if self.names.len() <= FEW_MEMBERS {
            self.twice_among_few()
        } else {
            self.twice_among_many()
        };
        let Some(name) = twice else {
            return Ok(());
        };
        self.at = name.0 as usize;
        self.key = Key {
            start: name.0,
            end: name.1,
            escaped: name.2,
        };
        Err(Problem::DuplicateName)
    }

    fn twice_among_few(&self) -> Option<(u32, u32, bool)> {
        for (position, &name) in self.names.iter().enumerate() {
            let earlier = self.names.iter().take(position);
            for &other in earlier {
                let same = if name.2 || other.2 {
                    self.name(name) == self.name(other)
                } else {
                    name.1 - name.0 == other.1 - other.0 && self.name(name) == self.name(other)
                };
                if same {
                    return Some(name);
                }
            }
        }
        None
    }

    fn twice_among_many(&self) -> Option<(u32, u32, bool)> {
        let mut sorted: Vec<_> = self.names.iter().map(|&n| (self.name(n), n)).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.0.cmp(&b.1.0)));
        let twice = sorted.windows(2).filter_map(|pair| match pair {
            [first, second] if first.0 == second.0 => Some(second.1),
            _ => None,
        });
        twice.min_by_key(|name| name.0)
    }

    fn name(&self, (start, end, escaped): (u32, u32, bool)) -> Cow<'a, str> {
        let inner = start as usize + 1..end as usize - 1;
        unescape(self.text.get(inner).unwrap_or_default(), escaped)
    }

    fn error(&self, problem: Problem) -> Error {
        let mut path = "$".to_owned();
        for (depth, &container) in self.open.iter().enumerate() {
            let child = self.open.get(depth + 1).copied();
            let key = match child.and_then(|child| self.nodes.get(child as usize)) {
                Some(node) => (node.key_start, node.key_end, node.key_escaped),
                None => (self.key.start, self.key.end, self.key.escaped),
            };
            if self.kind_of(container) == Kind::Array {
                let position = self.children_before(container, child);
                push_step(&mut path, self.limits.shown, None, position);
            } else if key.1 > key.0 {
                let name = self.name(key);
                push_step(&mut path, self.limits.shown, Some(&name), 0);
            }
        }
        Error::new(problem, Place::new(self.source, self.at, path))
    }

    /// How many finished children of a container stand before the one that is being read.
    fn children_before(&self, container: u32, child: Option<u32>) -> usize {
        let end = child.map_or(self.nodes.len(), |child| child as usize);
        let mut at = container as usize + 1;
        let mut count = 0;
        while at < end {
            at = self.nodes.get(at).map_or(end, |node| node.next as usize);
            count += 1;
        }
        count
    }
}

/// Whether a byte can stand in a string as it is and needs no look of its own.
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// How many bytes at the start of `rest` are plain, eight at a time.
fn plain_length(rest: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // The high bit of each byte below `limit`; above the first such byte it may be set wrongly.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let (words, tail) = rest.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = below(word, 0x20) | quote | backslash;
        if found != 0 {
            return position * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let plain = tail.iter().position(|&byte| !is_plain(byte));
    words.len() * 8 + plain.unwrap_or(tail.len())
}

/// Why the escape at the start of `rest` is refused.
fn escape_problem(rest: &[u8]) -> Problem {
    let hex = |range| crate::text::hex4(rest.get(range).unwrap_or_default());
    match (rest.get(1), rest.get(2..6)) {
        (None, _) | (Some(b'u'), None) => Problem::Truncated,
        (Some(b'u'), Some(_)) if hex(2..6).is_some() => Problem::LoneSurrogate,
        _ => Problem::BadEscape,
    }
}
