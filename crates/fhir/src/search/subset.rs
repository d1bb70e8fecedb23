//! A part of a resource: `_summary` and `_elements`.

use crate::parsed::Parsed;
use crate::search::results::{Results, Summary};
use crate::search::table::{Table, table};
use crate::table::{Element, TABLE, Target, TypeId};
use json::{Kind, Value};

/// Which elements of a resource are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subset {
    /// Those that R4 marks as summary, in groups and data types as well.
    Summary,
    /// The narrative.
    Text,
    /// All but the narrative.
    Data,
    /// These of the root; a choice by its stem, `value` for `valueQuantity`.
    Elements(Vec<String>),
}

impl Results {
    /// Which part of each resource is asked for; `None` for all of it. `_summary=count` asks for no
    /// resource at all and is no subset.
    pub fn subset(&self) -> Option<Subset> {
        match self.summary {
            Summary::True => Some(Subset::Summary),
            Summary::Text => Some(Subset::Text),
            Summary::Data => Some(Subset::Data),
            Summary::False | Summary::Count if self.elements.is_empty() => None,
            Summary::False | Summary::Count => Some(Subset::Elements(self.elements.clone())),
        }
    }
}

/// The bytes of a resource with only some elements, and the tag SUBSETTED in its `meta`. `id`,
/// `meta`, mandatory elements and modifiers are kept always, contained resources when something
/// that is kept refers to them. Values stay as they are written; white space between members goes
/// where members are left out.
pub fn subset(resource: &Parsed<'_>, by: &Subset) -> Vec<u8> {
    let write = |contained| {
        let mut writer = Writer {
            by,
            of: resource.type_id(),
            table: table(),
            contained,
            out: Vec::new(),
        };
        writer.root(resource.root());
        writer.out
    };
    let out = write(false);
    match out.windows(2).any(|pair| pair == b"\"#") {
        true => write(true),
        false => out,
    }
}

const TAG: &str = "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\
                   \"code\":\"SUBSETTED\"}";

struct Writer<'s> {
    by: &'s Subset,
    of: TypeId,
    table: &'static Table,
    contained: bool,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn root(&mut self, root: Value<'_, '_>) {
        self.out.push(b'{');
        let mut tagged = root.get("meta").is_some();
        for member in root.children() {
            let name = member.key().unwrap_or_default();
            if name == "meta" {
                self.key(member);
                self.meta(member);
            } else if name == "resourceType" || name == "id" {
                self.whole(member);
            } else {
                self.member(member, self.of, true);
            }
            let last_of_head = match root.get("id") {
                Some(_) => name == "id",
                None => name == "resourceType",
            };
            if last_of_head && !tagged {
                tagged = true;
                self.out
                    .extend_from_slice(format!(",\"meta\":{{\"tag\":[{TAG}]}}").as_bytes());
            }
        }
        self.out.push(b'}');
    }

    /// `meta` with the tag, whatever it holds already.
    fn meta(&mut self, meta: Value<'_, '_>) {
        self.out.push(b'{');
        let mut tagged = false;
        for member in meta.children() {
            if !member.is_named("tag") || member.kind() != Kind::Array {
                self.whole(member);
                continue;
            }
            tagged = true;
            let known = |tag: Value<'_, '_>| {
                let code = tag.get("code").and_then(Value::text);
                code.is_some_and(|code| code == "SUBSETTED")
            };
            self.key(member);
            self.out.push(b'[');
            for tag in member.children() {
                self.separate();
                self.out.extend_from_slice(tag.raw().as_bytes());
            }
            if !member.children().any(known) {
                self.separate();
                self.out.extend_from_slice(TAG.as_bytes());
            }
            self.out.push(b']');
        }
        if !tagged {
            self.separate();
            self.out
                .extend_from_slice(format!("\"tag\":[{TAG}]").as_bytes());
        }
        self.out.push(b'}');
    }

    /// A member, or nothing of it. Recursion is bounded by [`json::MAX_DEPTH`].
    fn member(&mut self, member: Value<'_, '_>, of: TypeId, at_root: bool) {
        let name = member.key().unwrap_or_default();
        let plain = name.strip_prefix('_').unwrap_or(&name);
        let Some(element) = TABLE.element(of, plain) else {
            if *self.by == Subset::Data {
                self.whole(member);
            }
            return;
        };
        if !self.keeps(of, element, at_root) {
            return;
        }
        let inner = match element.target {
            Target::Object(inner) if *self.by == Subset::Summary && self.is_divided(inner) => inner,
            _ => return self.whole(member),
        };
        let start = self.out.len();
        self.key(member);
        let from = self.out.len();
        match member.kind() {
            Kind::Object => self.object(member, inner),
            Kind::Array => {
                self.out.push(b'[');
                for item in member.children() {
                    self.separate();
                    self.object(item, inner);
                }
                self.out.push(b']');
            }
            _ => self.out.extend_from_slice(member.raw().as_bytes()),
        }
        // An object must not be empty. Where nothing of one is kept, all of it is if it has to be
        // there; else the member goes.
        let written = self.out.get(from..).unwrap_or_default();
        if written.windows(2).any(|pair| pair == b"{}") || written == b"[]" {
            self.out.truncate(start);
            if self.table.is_always(TABLE.name(of), element.name) {
                self.whole(member);
            }
        }
    }

    fn object(&mut self, object: Value<'_, '_>, of: TypeId) {
        if object.kind() != Kind::Object {
            return self.out.extend_from_slice(object.raw().as_bytes());
        }
        self.out.push(b'{');
        for member in object.children() {
            self.member(member, of, false);
        }
        self.out.push(b'}');
    }

    fn keeps(&self, of: TypeId, element: &Element, at_root: bool) -> bool {
        let (owner, name) = (TABLE.name(of), element.name);
        if at_root && name == "contained" {
            return self.contained || *self.by == Subset::Data;
        }
        let always = self.table.is_always(owner, name);
        match self.by {
            Subset::Summary => always || self.table.is_summary(owner, name),
            Subset::Text => always || name == "text",
            Subset::Data => always || !at_root || name != "text",
            Subset::Elements(names) => {
                always || names.iter().any(|asked| is_asked(of, asked, name))
            }
        }
    }

    /// Whether a summary leaves parts of such an object out: extensions are kept or left as a whole.
    fn is_divided(&self, of: TypeId) -> bool {
        let name = TABLE.name(of);
        name != "Extension" && self.table.has_summary(name)
    }

    fn whole(&mut self, member: Value<'_, '_>) {
        self.key(member);
        self.out.extend_from_slice(member.raw().as_bytes());
    }

    fn key(&mut self, member: Value<'_, '_>) {
        self.separate();
        let span = member.key_span().unwrap_or_default();
        let key = member.document().source().get(span).unwrap_or_default();
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b':');
    }

    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }
}

/// Whether an element is the one asked for, or a choice of it.
fn is_asked(of: TypeId, asked: &str, name: &str) -> bool {
    let asked = asked.strip_suffix("[x]").unwrap_or(asked);
    if asked == name || TABLE.element(of, asked).is_some() {
        return asked == name;
    }
    let rest = name.strip_prefix(asked);
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}
