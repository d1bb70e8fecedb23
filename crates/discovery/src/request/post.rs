//! Requests as documents: `beaconRequestBody`.

use super::{
    MAX_BODY_BYTES, MAX_SCHEMAS, Page, Received, Request, RequestedSchema, bounded,
    filter::{self, Operator, Sent},
    is_genomic, version,
};
use crate::{
    query::{Filter, MAX_FILTERS, Query},
    refusal::{Part, Refusal},
    term::Terms,
};
use json::{Kind, Limits, Value};
use std::str::FromStr;

/// The most values of a body, containers included.
const MAX_VALUES: usize = 2_000;

/// Reads a body.
///
/// # Errors
/// [`Refusal`].
pub fn parse_post(body: &[u8], terms: &impl Terms) -> Result<Request, Refusal> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Refusal::TooLong(MAX_BODY_BYTES));
    }
    let limits = Limits {
        size_bytes: MAX_BODY_BYTES,
        values: MAX_VALUES,
        shown: |_| false,
    };
    let document = json::parse(body, &limits).map_err(Refusal::NotJson)?;
    let root = object(document.root(), "body")?;
    understood(root, &["$schema", "meta", "query"])?;
    let mut received = Received::default();
    let meta = object(
        member(root, "meta").ok_or(Refusal::Malformed("meta"))?,
        "meta",
    )?;
    let asked = member(meta, "apiVersion").and_then(Value::text);
    received.api_version = version(&asked.ok_or(Refusal::Malformed("apiVersion"))?)?;
    if let Some(schemas) = member(meta, "requestedSchemas") {
        received.schemas = requested_schemas(schemas)?;
    }
    let filters = match member(root, "query") {
        Some(query) => self::query(object(query, "query")?, &mut received, terms)?,
        None => Vec::new(),
    };
    let query = Query::new(&filters, terms)?;
    Ok(Request { query, received })
}

fn query(
    query: Value<'_, '_>,
    received: &mut Received,
    terms: &impl Terms,
) -> Result<Vec<Filter>, Refusal> {
    understood(
        query,
        &[
            "$schema",
            "filters",
            "includeResultsetResponses",
            "pagination",
            "requestParameters",
            "requestedGranularity",
            "testMode",
        ],
    )?;
    if let Some(parameters) = member(query, "requestParameters") {
        request_parameters(object(parameters, "requestParameters")?)?;
    }
    if let Some(granularity) = member(query, "requestedGranularity") {
        received.granularity = word(granularity, "requestedGranularity")?;
    }
    if let Some(include) = member(query, "includeResultsetResponses") {
        received.include = word(include, "includeResultsetResponses")?;
    }
    if let Some(page) = member(query, "pagination") {
        received.page = pagination(object(page, "pagination")?)?;
    }
    if let Some(test) = member(query, "testMode") {
        received.test_mode = test.boolean().ok_or(Refusal::Malformed("testMode"))?;
    }
    let Some(filters) = member(query, "filters") else {
        return Ok(Vec::new());
    };
    if filters.kind() != Kind::Array {
        return Err(Refusal::Malformed("filters"));
    }
    if filters.children().count() > MAX_FILTERS {
        return Err(Refusal::TooManyFilters);
    }
    let numbered = filters.children().zip(1..);
    numbered
        .map(|(filter, number)| self::filter(filter, number, terms))
        .collect()
}

fn filter(sent: Value<'_, '_>, number: usize, terms: &impl Terms) -> Result<Filter, Refusal> {
    const MEMBERS: [&str; 6] = [
        "id",
        "includeDescendantTerms",
        "operator",
        "scope",
        "similarity",
        "value",
    ];
    let sent = object(sent, "filters")?;
    understood(sent, &MEMBERS).map_err(|_| Refusal::NotUnderstood(Part::OfFilter(number)))?;
    let text = |name: &'static str| match member(sent, name) {
        Some(value) => value.text().map(Some).ok_or(Refusal::Malformed(name)),
        None => Ok(None),
    };
    let id = text("id")?.ok_or(Refusal::Malformed("id"))?;
    let below = match member(sent, "includeDescendantTerms") {
        Some(value) => value
            .boolean()
            .ok_or(Refusal::Malformed("includeDescendantTerms"))?,
        None => true,
    };
    let (value, operator) = (text("value")?, text("operator")?);
    let compared = match (&operator, &value) {
        (None, None) => None,
        // "=" is what the schema takes for granted.
        (None, Some(value)) => Some((Operator::Equal, &**value)),
        (Some(_), None) => return Err(Refusal::Malformed("value")),
        (Some(operator), Some(value)) => {
            let operator = Operator::of(operator).ok_or(Refusal::Operator(number))?;
            Some((operator, &**value))
        }
    };
    let (similarity, scope) = (text("similarity")?, text("scope")?);
    let sent = Sent {
        number,
        id: &id,
        compared,
        below,
        similarity: similarity.as_deref(),
        scope: scope.as_deref(),
    };
    filter::read(&sent, terms)
}

fn request_parameters(parameters: Value<'_, '_>) -> Result<(), Refusal> {
    for parameter in parameters.children() {
        let name = parameter.key().unwrap_or_default();
        if is_genomic(&name) {
            return Err(Refusal::GenomicVariation);
        }
        if name != "$schema" {
            return Err(Refusal::NotUnderstood(Part::of(&name)));
        }
    }
    Ok(())
}

fn requested_schemas(list: Value<'_, '_>) -> Result<Vec<RequestedSchema>, Refusal> {
    const WHAT: &str = "requestedSchemas";
    if list.kind() != Kind::Array || list.children().count() > MAX_SCHEMAS {
        return Err(Refusal::Malformed(WHAT));
    }
    let text = |schema, name| match member(schema, name) {
        Some(value) => {
            let text = value.text().ok_or(Refusal::Malformed(WHAT))?;
            bounded(&text, WHAT).map(Some)
        }
        None => Ok(None),
    };
    list.children()
        .map(|schema| {
            let schema = object(schema, WHAT)?;
            Ok(RequestedSchema {
                entity_type: text(schema, "entityType")?,
                schema: text(schema, "schema")?,
            })
        })
        .collect()
}

fn pagination(page: Value<'_, '_>) -> Result<Page, Refusal> {
    let number = |name, otherwise| match member(page, name) {
        Some(value) => value
            .integer()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or(Refusal::Malformed("pagination")),
        None => Ok(otherwise),
    };
    let usual = Page::default();
    Ok(Page {
        skip: number("skip", usual.skip)?,
        limit: number("limit", usual.limit)?,
    })
}

/// A member that is there and not null.
fn member<'d, 'a>(object: Value<'d, 'a>, name: &str) -> Option<Value<'d, 'a>> {
    object.get(name).filter(|value| !value.is_null())
}

fn object<'d, 'a>(value: Value<'d, 'a>, what: &'static str) -> Result<Value<'d, 'a>, Refusal> {
    if value.kind() == Kind::Object {
        Ok(value)
    } else {
        Err(Refusal::Malformed(what))
    }
}

fn understood(object: Value<'_, '_>, members: &[&str]) -> Result<(), Refusal> {
    for child in object.children() {
        let name = child.key().unwrap_or_default();
        if !members.contains(&&*name) {
            return Err(Refusal::NotUnderstood(Part::of(&name)));
        }
    }
    Ok(())
}

fn word<T: FromStr>(value: Value<'_, '_>, what: &'static str) -> Result<T, Refusal> {
    value
        .text()
        .and_then(|text| text.parse().ok())
        .ok_or(Refusal::Malformed(what))
}
