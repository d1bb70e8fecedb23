//! Writing JSON members in the order in which they are asked for.
//!
//! FHIR has no empty strings, lists or objects: what is empty is left out with its name.

use codec::{Millis, base64};

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

/// A resource of its own, as bytes.
pub(crate) fn resource(of: &str, fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    object(&mut out, |resource| {
        resource.text("resourceType", of);
        fill(resource);
    });
    out
}

/// Appends an object.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let start = out.len();
    fill(&mut Object { out, start });
    out.push(b'}');
}

impl Object<'_> {
    /// A string, without the control characters that FHIR does not allow in one.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        self.name(name);
        string(self.out, text);
    }

    pub(crate) fn text_if(&mut self, name: &str, text: Option<&str>) {
        self.text(name, text.unwrap_or_default());
    }

    pub(crate) fn base64(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &base64::encode(bytes));
    }

    pub(crate) fn instant(&mut self, name: &str, at: Millis) {
        self.text(name, &at.to_rfc3339());
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.raw(name, if value { b"true" } else { b"false" });
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.raw(name, value.to_string().as_bytes());
    }

    /// JSON that is there already.
    pub(crate) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let before = self.out.len();
        self.name(name);
        self.out.push(b'{');
        let start = self.out.len();
        fill(&mut Object {
            out: self.out,
            start,
        });
        if self.out.len() == start {
            self.out.truncate(before);
        } else {
            self.out.push(b'}');
        }
    }

    /// A list with one object for each item.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.items(name, items, |out, item| {
            object(out, |object| fill(object, item));
        });
    }

    /// A list of strings.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let items = items.into_iter();
        let filled = items.filter(|text| !text.as_ref().trim().is_empty());
        self.items(name, filled, |out, text| string(out, text.as_ref()));
    }

    fn items<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.name(name);
        self.out.push(b'[');
        for (position, item) in items.enumerate() {
            if position > 0 {
                self.out.push(b',');
            }
            write(self.out, item);
        }
        self.out.push(b']');
    }

    fn name(&mut self, name: &str) {
        if self.out.len() > self.start {
            self.out.push(b',');
        }
        self.out.extend_from_slice(json::quote(name).as_bytes());
        self.out.push(b':');
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    let is_refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let quoted = match text.contains(is_refused) {
        true => json::quote(&text.replace(is_refused, "\u{fffd}")),
        false => json::quote(text),
    };
    out.extend_from_slice(quoted.as_bytes());
}
