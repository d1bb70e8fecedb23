//! The walk that checks a document against the path table and deals its leaves to categories.

use crate::error::Error;
use crate::fields::{Field, Message, Role, Shape, field, spells};
use crate::part;
use crate::table::{MESSAGES, PHENOPACKET, VITAL_SIGNS, VRS};
use codec::Category::{self, Identity, Vitals};
use json::{Assignment, Kind, Value};

/// Whether a document is a phenopacket or may be a projection of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It has an id, and its findings have terms.
    Whole,
    /// Any leaf may be in another projection.
    Part,
}

/// Checks a document against the schema and moves every leaf at a known path to its category.
pub(crate) fn check(
    root: Value<'_, '_>,
    extent: Extent,
    assignment: &mut Assignment,
) -> Result<(), Error> {
    if root.kind() != Kind::Object {
        return Err(Error::NotAnObject(root.place()));
    }
    if root.get("resourceType").is_some() {
        return Err(Error::Fhir(root.place()));
    }
    for several in ["proband", "members", "relatives"] {
        if let Some(value) = field(root, several) {
            return Err(Error::SeveralPeople(value.place()));
        }
    }
    check_version(root)?;
    Walk { extent, assignment }.message(root, &PHENOPACKET, Identity)?;
    let id = field(root, "id").and_then(Value::text);
    if extent == Extent::Whole && id.is_none_or(|id| id.is_empty()) {
        return Err(Error::NoId(root.place()));
    }
    Ok(())
}

/// Whether a name is one of the schema's, and so can be shown in a message.
pub(crate) fn is_field_name(name: &str) -> bool {
    MESSAGES.iter().any(|(_, message)| {
        let mut fields = message.fields.iter();
        fields.any(|field| spells(name, field.name))
    }) || VRS.iter().any(|word| spells(name, word))
}

fn check_version(root: Value<'_, '_>) -> Result<(), Error> {
    let version = field(root, "metaData").and_then(|meta| field(meta, "phenopacketSchemaVersion"));
    if let Some(version) = version
        && version.text().is_some_and(|text| text.starts_with('1'))
    {
        return Err(Error::VersionOne(version.place()));
    }
    let findings = field(root, "phenotypicFeatures").map(Value::children);
    for finding in findings.into_iter().flatten() {
        if let Some(negated) = finding.get("negated").filter(|value| !value.is_null()) {
            return Err(Error::VersionOne(negated.place()));
        }
    }
    Ok(())
}

struct Walk<'p> {
    extent: Extent,
    assignment: &'p mut Assignment,
}

impl Walk<'_> {
    /// Recursion is bounded by the depth of the table.
    fn message(
        &mut self,
        object: Value<'_, '_>,
        message: &Message,
        category: Category,
    ) -> Result<(), Error> {
        if object.kind() != Kind::Object {
            return Err(wrong_kind("an object", object));
        }
        let category = match message.role {
            Role::Measurement if is_vital_sign(object) => Vitals,
            Role::Finding if self.extent == Extent::Whole => {
                check_term(object).map(|()| category)?
            }
            _ => category,
        };
        let mut seen = 0_u64;
        for member in object.children() {
            let name = member.key().unwrap_or_default();
            let position = message.fields.iter().position(|f| spells(&name, f.name));
            let Some((position, field)) =
                position.zip(position.and_then(|at| message.fields.get(at)))
            else {
                continue;
            };
            if seen & (1 << position) != 0 {
                return Err(Error::TwoSpellings(member.place()));
            }
            seen |= 1 << position;
            self.field(member, field, field.category.unwrap_or(category))?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        value: Value<'_, '_>,
        field: &Field,
        category: Category,
    ) -> Result<(), Error> {
        if value.is_null() {
            self.assign(value, category);
            return Ok(());
        }
        if !field.repeated {
            return self.item(value, field, category);
        }
        if value.kind() != Kind::Array {
            return Err(wrong_kind("a list", value));
        }
        if value.is_leaf() {
            self.assign(value, category);
        }
        for item in value.children() {
            self.item(item, field, category)?;
        }
        Ok(())
    }

    fn item(
        &mut self,
        value: Value<'_, '_>,
        field: &Field,
        category: Category,
    ) -> Result<(), Error> {
        let kind = value.kind();
        match field.shape {
            Shape::Text if kind != Kind::String => return Err(wrong_kind("a text", value)),
            Shape::Flag if kind != Kind::Bool => return Err(wrong_kind("true or false", value)),
            Shape::Number if !matches!(kind, Kind::Number | Kind::String) => {
                return Err(wrong_kind("a number", value));
            }
            Shape::Choice(words) => {
                chosen(value, words)?;
            }
            Shape::Message(message) => self.message(value, message, category)?,
            Shape::Open(names) => self.open(value, names, category),
            _ => {}
        }
        if value.is_leaf() {
            self.assign(value, category);
        }
        Ok(())
    }

    /// Recursion is bounded by [`json::MAX_DEPTH`].
    fn open(&mut self, value: Value<'_, '_>, names: &[&str], category: Category) {
        for child in value.children() {
            let known = match child.key() {
                Some(name) => names.iter().any(|known| spells(&name, known)),
                None => true,
            };
            if !known {
                continue;
            }
            if child.is_leaf() {
                self.assign(child, category);
            } else {
                self.open(child, names, category);
            }
        }
    }

    fn assign(&mut self, value: Value<'_, '_>, category: Category) {
        self.assignment.assign(value, part(category));
    }
}

/// The number of an enum value that is written as a word or a number.
pub(crate) fn chosen(value: Value<'_, '_>, words: &[&str]) -> Result<usize, Error> {
    let number = match value.text() {
        Some(word) => words.iter().position(|known| *known == word),
        None => value
            .integer()
            .and_then(|number| usize::try_from(number).ok()),
    };
    match number {
        Some(number) if number < words.len() => Ok(number),
        _ => Err(Error::UnknownChoice(value.place())),
    }
}

fn check_term(finding: Value<'_, '_>) -> Result<(), Error> {
    let id = finding.get("type").and_then(|term| term.get("id"));
    match id.and_then(Value::text) {
        Some(id) if !id.is_empty() => Ok(()),
        _ => Err(Error::NoTerm(finding.place())),
    }
}

fn is_vital_sign(measurement: Value<'_, '_>) -> bool {
    let assay = field(measurement, "assay").and_then(|assay| field(assay, "id"));
    let code = assay.and_then(Value::text);
    let code = code.as_deref().and_then(|id| id.strip_prefix("LOINC:"));
    code.is_some_and(|code| VITAL_SIGNS.contains(&code))
}

fn wrong_kind(expected: &'static str, value: Value<'_, '_>) -> Error {
    Error::WrongKind {
        expected,
        place: value.place(),
    }
}
