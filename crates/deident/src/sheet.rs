//! What is written of one document, and what became of its elements.

use crate::fates::Fate;
use crate::tree::PlaceId;

/// The text that leaves, and the journal that will be counted when it does.
pub(crate) struct Sheet {
    pub(crate) out: String,
    /// What became of each element that was met, unless the object around it was dropped.
    pub(crate) journal: Vec<(PlaceId, Fate)>,
}

/// Where to go back to when an object is dropped.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) out: usize,
    journal: usize,
}

impl Sheet {
    /// For a document of so many bytes.
    pub(crate) fn new(size_bytes: usize) -> Self {
        Self {
            out: String::with_capacity(size_bytes / 2 + 256),
            journal: Vec::with_capacity(64),
        }
    }

    /// The name of a member, with a comma where one came before.
    pub(crate) fn name(&mut self, name: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// A member that is a string.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    /// A string; most of what is written has no character to escape.
    pub(crate) fn quoted(&mut self, text: &str) {
        let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        if text.bytes().any(escaped) {
            self.out.push_str(&json::quote(text));
        } else {
            self.out.push('"');
            self.out.push_str(text);
            self.out.push('"');
        }
    }

    /// Notes what became of an element.
    pub(crate) fn log(&mut self, place: PlaceId, fate: Fate) {
        self.journal.push((place, fate));
    }

    /// Here.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            out: self.out.len(),
            journal: self.journal.len(),
        }
    }

    /// Takes back what was written and noted since.
    pub(crate) fn back(&mut self, mark: Mark) {
        self.out.truncate(mark.out);
        self.journal.truncate(mark.journal);
    }
}
