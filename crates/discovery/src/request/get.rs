//! Requests as query strings.
//!
//! `filters=HP:0001250,NCIT:C16576,age>=P18Y&requestedGranularity=count`, percent-encoded; `filters` may
//! come several times. `includeDescendantTerms` and `similarity` are for all filters.

use super::{
    Include, MAX_QUERY_BYTES, MAX_SCHEMAS, Page, Received, Request, RequestedSchema, bounded,
    filter::{self, Operator, Sent},
    is_genomic, version,
};
use crate::{
    query::{MAX_FILTERS, Query},
    refusal::{Part, Refusal},
    term::Terms,
};
use std::str::FromStr;

/// Reads a query string, without its question mark.
///
/// # Errors
/// [`Refusal`].
pub fn parse_get(query: &str, terms: &impl Terms) -> Result<Request, Refusal> {
    let (mut received, mut seen) = (Received::default(), Vec::new());
    let (mut filters, mut below, mut similarity) = (Vec::new(), true, None);
    for (name, value) in pairs(query)? {
        if !matches!(&*name, "filters" | "requestedSchema" | "requestedSchemas") {
            once(&name, &mut seen)?;
        }
        match &*name {
            "filters" => {
                for text in value
                    .split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                {
                    if filters.len() == MAX_FILTERS {
                        return Err(Refusal::TooManyFilters);
                    }
                    filters.push(text.to_owned());
                }
            }
            "includeDescendantTerms" => below = word(&value, "includeDescendantTerms")?,
            "similarity" => similarity = Some(value.into_owned()),
            "requestedSchema" | "requestedSchemas" => {
                if received.schemas.len() == MAX_SCHEMAS {
                    return Err(Refusal::Malformed("requestedSchemas"));
                }
                received.schemas.push(RequestedSchema {
                    entity_type: None,
                    schema: Some(bounded(&value, "requestedSchemas")?),
                });
            }
            _ => other(&name, &value, &mut received)?,
        }
    }
    let filters: Vec<_> = filters
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let (id, compared) = split(text);
            let sent = Sent {
                number: index + 1,
                id,
                compared,
                below,
                similarity: similarity.as_deref(),
                scope: None,
            };
            filter::read(&sent, terms)
        })
        .collect::<Result<_, _>>()?;
    let query = Query::new(&filters, terms)?;
    Ok(Request { query, received })
}

/// Reads the page of a list from a query string that says nothing else.
///
/// # Errors
/// [`Refusal`].
pub fn parse_page(query: &str) -> Result<Page, Refusal> {
    let (mut page, mut seen) = (Page::default(), Vec::new());
    for (name, value) in pairs(query)? {
        once(&name, &mut seen)?;
        match &*name {
            "skip" => page.skip = word(&value, "skip")?,
            "limit" => page.limit = word(&value, "limit")?,
            _ => return Err(Refusal::NotUnderstood(Part::of(&name))),
        }
    }
    Ok(page)
}

fn other(name: &str, value: &str, received: &mut Received) -> Result<(), Refusal> {
    match name {
        "apiVersion" => received.api_version = version(value)?,
        "requestedGranularity" => received.granularity = word(value, "requestedGranularity")?,
        "includeResultsetResponses" => {
            received.include = word::<Include>(value, "includeResultsetResponses")?;
        }
        "testMode" => received.test_mode = word(value, "testMode")?,
        "skip" => received.page.skip = word(value, "skip")?,
        "limit" => received.page.limit = word(value, "limit")?,
        genomic if is_genomic(genomic) => return Err(Refusal::GenomicVariation),
        _ => return Err(Refusal::NotUnderstood(Part::of(name))),
    }
    Ok(())
}

fn pairs(query: &str) -> Result<form_urlencoded::Parse<'_>, Refusal> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(Refusal::TooLong(MAX_QUERY_BYTES));
    }
    Ok(form_urlencoded::parse(query.as_bytes()))
}

/// A second value would have to be dropped or believed.
fn once(name: &str, seen: &mut Vec<String>) -> Result<(), Refusal> {
    if seen.iter().any(|before| before == name) {
        return Err(Refusal::NotUnderstood(Part::of(name)));
    }
    seen.push(name.to_owned());
    Ok(())
}

fn word<T: FromStr>(value: &str, what: &'static str) -> Result<T, Refusal> {
    value.parse().map_err(|_| Refusal::Malformed(what))
}

/// `age>=P18Y` -> the field, and what it is compared with.
fn split(text: &str) -> (&str, Option<(Operator, &str)>) {
    let first = text.find(['=', '<', '>', '!']);
    let Some(at) = first else {
        return (text, None);
    };
    let (id, rest) = text.split_at(at);
    let found = Operator::ALL
        .into_iter()
        .find_map(|(sign, operator)| Some((operator, rest.strip_prefix(sign)?)));
    (id, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_sign_is_read_first() {
        let check =
            |text, expect: (&str, Option<(Operator, &str)>)| assert_eq!(split(text), expect);
        check("HP:0001250", ("HP:0001250", None));
        check("age>=P18Y", ("age", Some((Operator::AtLeast, "P18Y"))));
        check("age>18", ("age", Some((Operator::Greater, "18"))));
        check("age<=17", ("age", Some((Operator::AtMost, "17"))));
        check("sex=male", ("sex", Some((Operator::Equal, "male"))));
        check("!HP:0001250", ("", Some((Operator::Not, "HP:0001250"))));
    }
}
