//! Members of an object and what they have to be.

use crate::{Error, Uuid};
use json::{Document, Kind, Limits, Value};
use std::borrow::Cow;

/// Member names that errors may show.
const SHOWN: &[&str] = &[
    "acceptedSuggestions",
    "card",
    "code",
    "coding",
    "conditions",
    "context",
    "draftOrders",
    "encounterId",
    "entry",
    "feedback",
    "fhirAuthorization",
    "fhirServer",
    "fullUrl",
    "hook",
    "hookInstance",
    "id",
    "observations",
    "outcome",
    "outcomeTimestamp",
    "overrideReason",
    "patient",
    "patientId",
    "prefetch",
    "resource",
    "resourceType",
    "userId",
];

/// Reads a text whose outermost value must be an object.
pub(crate) fn object<'a>(
    source: &'a [u8],
    size_bytes: usize,
    name: &'static str,
) -> Result<Document<'a>, Error> {
    let limits = Limits {
        size_bytes,
        shown: |name| SHOWN.contains(&name),
        ..Limits::default()
    };
    let document = json::parse(source, &limits)?;
    of_kind(document.root(), Kind::Object, name, "an object")?;
    Ok(document)
}

/// A member that is there and not null.
pub(crate) fn optional<'d, 'a>(object: Value<'d, 'a>, name: &str) -> Option<Value<'d, 'a>> {
    object.get(name).filter(|value| !value.is_null())
}

/// A member that must be there.
pub(crate) fn required<'d, 'a>(
    object: Value<'d, 'a>,
    name: &'static str,
) -> Result<Value<'d, 'a>, Error> {
    optional(object, name).ok_or_else(|| Error::Missing {
        name,
        place: object.place(),
    })
}

pub(crate) fn wrong(value: Value<'_, '_>, name: &'static str, shape: &'static str) -> Error {
    Error::Shape {
        name,
        shape,
        place: value.place(),
    }
}

pub(crate) fn of_kind<'d, 'a>(
    value: Value<'d, 'a>,
    kind: Kind,
    name: &'static str,
    shape: &'static str,
) -> Result<Value<'d, 'a>, Error> {
    if value.kind() == kind {
        Ok(value)
    } else {
        Err(wrong(value, name, shape))
    }
}

/// A required text.
pub(crate) fn text<'a>(
    object: Value<'_, 'a>,
    name: &'static str,
    shape: &'static str,
) -> Result<Cow<'a, str>, Error> {
    let value = required(object, name)?;
    value.text().ok_or_else(|| wrong(value, name, shape))
}

/// A required UUID.
pub(crate) fn uuid(object: Value<'_, '_>, name: &'static str) -> Result<Uuid, Error> {
    let value = required(object, name)?;
    let read = value.text().and_then(|text| Uuid::parse(&text));
    read.ok_or_else(|| wrong(value, name, "a UUID"))
}

/// The type of a FHIR resource.
pub(crate) fn resource_type<'a>(
    value: Value<'_, 'a>,
    name: &'static str,
) -> Result<Cow<'a, str>, Error> {
    const SHAPE: &str = "a FHIR R4 resource";
    let kind = value.get("resourceType").and_then(Value::text);
    let kind = kind.filter(|kind| fhir::is_resource_type(kind));
    kind.ok_or_else(|| wrong(value, name, SHAPE))
}

/// The entries of a Bundle.
pub(crate) fn entries<'d, 'a>(
    bundle: Value<'d, 'a>,
) -> Result<impl Iterator<Item = Value<'d, 'a>>, Error> {
    let list = optional(bundle, "entry");
    if let Some(list) = list {
        of_kind(list, Kind::Array, "entry", "a list of entries")?;
        for entry in list.children() {
            of_kind(entry, Kind::Object, "entry", "a list of objects")?;
            if let Some(resource) = optional(entry, "resource") {
                resource_type(resource, "resource")?;
            }
        }
    }
    Ok(list.into_iter().flat_map(Value::children))
}
