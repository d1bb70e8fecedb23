//! What headers say: formats, preferences, conditions, and where this server is.

use super::ask::Ask;
use crate::{
    problem::Problem,
    read::{media_type, text},
};
use axum::http::{HeaderMap, StatusCode, header};
use node::{Content, Purpose};
use std::time::SystemTime;

/// How resources come.
pub(crate) const RESOURCE: &[&str] = &["application/fhir+json", "application/json"];

/// How an answer is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// `If-None-Match`: a version that need not be sent again.
    pub(crate) not_version: Option<u32>,
    /// `If-Modified-Since`, Unix milliseconds.
    pub(crate) since_ms: Option<u64>,
}

/// `Prefer`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prefer {
    pub(crate) answer: Answer,
    /// `handling=strict` or `handling=lenient`, if either was asked for.
    pub(crate) strict: Option<bool>,
    /// `wait=final`.
    pub(crate) wait: bool,
    /// `respond-async`.
    pub(crate) background: bool,
}

/// What a write answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    Minimal,
    #[default]
    Representation,
    Outcome,
}

/// On what a write depends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<u32>,
    pub(crate) if_none_exist: Option<Vec<(String, String)>>,
}

impl Wanted {
    /// Reads `Accept`, `_format` and the conditions of a read; takes `_format` and `_pretty` away.
    pub(crate) fn of(
        headers: &HeaderMap,
        pairs: &mut Vec<(String, String)>,
    ) -> Result<Self, Problem> {
        let format = pairs.iter().find(|(name, _)| name == "_format");
        let accepted = match format {
            Some((_, format)) => is_json(format),
            None => headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_none_or(|accept| accept.split(',').any(is_json)),
        };
        if !accepted {
            return Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "only JSON is served; accept application/fhir+json",
            ));
        }
        pairs.retain(|(name, _)| name != "_format" && name != "_pretty");
        Ok(Self {
            not_version: version(headers, "if-none-match"),
            since_ms: headers
                .get(header::IF_MODIFIED_SINCE)
                .and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok())
                .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
                .and_then(|since| u64::try_from(since.as_millis()).ok()),
        })
    }
}

pub(crate) fn is_json(media: &str) -> bool {
    // A `+` in a query that was not escaped is a space by now.
    let media = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .replace(' ', "+");
    matches!(
        media.to_ascii_lowercase().as_str(),
        "" | "*/*"
            | "application/*"
            | "application/fhir+json"
            | "application/json"
            | "application/json+fhir"
            | "json"
            | "text/json"
    )
}

impl Prefer {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter();
        for part in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
        {
            match part.trim() {
                "return=minimal" => prefer.answer = Answer::Minimal,
                "return=representation" => prefer.answer = Answer::Representation,
                "return=OperationOutcome" => prefer.answer = Answer::Outcome,
                "handling=strict" => prefer.strict = Some(true),
                "handling=lenient" => prefer.strict = Some(false),
                "wait=final" => prefer.wait = true,
                "respond-async" => prefer.background = true,
                _ => {}
            }
        }
        prefer
    }
}

/// `If-Match` and `If-None-Exist`.
pub(crate) fn conditions(headers: &HeaderMap) -> Result<Conditions, Problem> {
    let if_match = match text(headers, "if-match")? {
        None => None,
        Some(tag) => Some(tag_version(tag).ok_or_else(|| {
            Problem::bad_request("If-Match takes the ETag of a version, such as W/\"3\"")
        })?),
    };
    let if_none_exist = text(headers, "if-none-exist")?.map(query_pairs);
    Ok(Conditions {
        if_match,
        if_none_exist,
    })
}

/// The pairs of a search as it is written in a header or an entry.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let query = query.split_once('?').map_or(query, |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The version in an entity tag, weak or strong.
pub(crate) fn tag_version(tag: &str) -> Option<u32> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

fn version(headers: &HeaderMap, name: &str) -> Option<u32> {
    tag_version(headers.get(name)?.to_str().ok()?)
}

/// Where this server is, as the client sees it.
pub(crate) fn base(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            host.len() <= 255 && host.bytes().all(fits)
        })
        .unwrap_or("localhost");
    // TLS for people's HTTP ends before the node: who ends it says so.
    let proto = headers.get("x-forwarded-proto");
    let scheme = match proto.map(|proto| proto.as_bytes()) {
        Some(b"https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}{}", super::ROOT)
}

/// `Ithaca-Purpose`: what the request is for.
pub(crate) fn purpose(headers: &HeaderMap) -> Result<Option<Purpose>, Problem> {
    let Some(code) = text(headers, "ithaca-purpose")? else {
        return Ok(None);
    };
    code.trim().parse().map(Some).map_err(|_| {
        Problem::bad_request("Ithaca-Purpose takes an HL7 v3 PurposeOfUse code, such as TREAT")
    })
}

pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).as_deref() == Some("application/x-www-form-urlencoded")
}

/// The body is of a type that this interaction takes.
pub(crate) fn check_media(
    ask: &Ask,
    headers: &HeaderMap,
    content: Option<&Content>,
) -> Result<(), Problem> {
    let takes = match ask {
        Ask::Batch | Ask::Create { .. } | Ask::Update { .. } | Ask::Validate { .. } => RESOURCE,
        Ask::Patch { .. } => &["application/json-patch+json"],
        Ask::Search { .. } if content.is_some_and(|content| !content.is_empty()) => {
            &["application/x-www-form-urlencoded"]
        }
        // A search or an operation may come as a form, or with nothing.
        _ => return Ok(()),
    };
    let plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding == "identity");
    let known = media_type(headers).is_some_and(|media| takes.contains(&media.as_str()));
    if plain && known && content.is_some() {
        return Ok(());
    }
    Err(unsupported(takes))
}

/// A body of a type that is not taken.
pub(crate) fn unsupported(takes: &[&str]) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!(
            "send the body uncompressed, as Content-Type: {}",
            takes.join(" or ")
        ),
    )
}
