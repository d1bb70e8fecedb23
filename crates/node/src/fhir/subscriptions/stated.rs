//! What a `Subscription` says, read and checked; and what the server says in it.
//!
//! Pure. Taken is a rest-hook whose criteria is one search of one type that can be told of one resource by itself.
//! Source: FHIR R4, Subscription.

use super::{SUBSCRIPTION, SubscriptionId, invalid};
use crate::error::Error;
use ::fhir::search::{Handling, Query};
use ::fhir::{Assigned, Parsed};
use codec::time::Millis;
use json::{Document, Edits, Value, quote};

/// The largest Subscription, bytes.
const MAX_BYTES: usize = 16 << 10;
/// The longest criteria, bytes.
const MAX_CRITERIA_BYTES: usize = 2_000;
/// The longest endpoint, bytes.
const MAX_ENDPOINT_BYTES: usize = 1_000;
/// Headers that are sent with a notification.
const MAX_HEADERS: usize = 8;
/// The longest header, bytes.
const MAX_HEADER_BYTES: usize = 2_048;
/// What a payload is sent as.
const PAYLOAD: &str = "application/fhir+json";
/// Headers of the connection and of the payload, which are not the subscriber's.
const OWN_HEADERS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Parameters that ask for an answer of many, and not whether one resource matches.
const OF_ANSWERS: [&str; 15] = [
    "_after",
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_format",
    "_include",
    "_pretty",
    "_revinclude",
    "_score",
    "_sort",
    "_summary",
    "_total",
    "_type",
    "_has",
];
/// What the node tells itself, and so never writes.
const MADE: [&str; 4] = ["AuditEvent", "Consent", "Provenance", SUBSCRIPTION];

/// What a subscription asks for.
pub(super) struct Stated {
    pub(super) wanted: Wanted,
    pub(super) criteria: Criteria,
    pub(super) endpoint: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) with_payload: bool,
    pub(super) end: Option<Millis>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    On,
    Off,
}

/// A search for resources of one type.
pub(super) struct Criteria {
    pub(super) kind: String,
    pub(super) pairs: Vec<(String, String)>,
}

impl Stated {
    /// Reads a Subscription that is valid R4. `base` is this server's.
    pub(super) fn read(content: &[u8], base: &str) -> Result<Self, Error> {
        if content.len() > MAX_BYTES {
            return Err(crate::record::deposit::too_large(
                "a Subscription",
                content.len(),
                MAX_BYTES,
            ));
        }
        let document = parsed(content)?;
        let root = document.root();
        let text = |of: Option<Value<'_, '_>>, name: &str| {
            let value = of.and_then(|value| value.get(name)?.text());
            value.map(|text| text.trim().to_owned())
        };
        let wanted = match text(Some(root), "status").as_deref() {
            Some("requested" | "active") => Wanted::On,
            Some("off") => Wanted::Off,
            _ => return Err(invalid("status", "send requested, or off to end it")),
        };
        let channel = root.get("channel");
        if text(channel, "type").as_deref() != Some("rest-hook") {
            return Err(invalid(
                "channel.type",
                "only rest-hook is supported: no websocket, email, sms or message",
            ));
        }
        let payload = text(channel, "payload");
        if payload.as_deref().is_some_and(|payload| payload != PAYLOAD) {
            let said = "it is application/fhir+json, or left out for a notification without a body";
            return Err(invalid("channel.payload", said));
        }
        let endpoint = text(channel, "endpoint").unwrap_or_default();
        if endpoint.is_empty() || endpoint.len() > MAX_ENDPOINT_BYTES {
            let said =
                format!("a rest-hook has an endpoint, of at most {MAX_ENDPOINT_BYTES} bytes");
            return Err(invalid("channel.endpoint", said));
        }
        if payload.is_some() && endpoint.contains(['?', '#']) {
            let said = "resources are put below it: it has no query";
            return Err(invalid("channel.endpoint", said));
        }
        let end = match text(Some(root), "end") {
            None => None,
            Some(end) => {
                let end = end.parse::<Millis>();
                Some(end.map_err(|_| invalid("end", "it is an instant after 1970"))?)
            }
        };
        let criteria = text(Some(root), "criteria").unwrap_or_default();
        Ok(Self {
            wanted,
            criteria: Criteria::read(&criteria, base)?,
            endpoint,
            headers: headers(channel)?,
            with_payload: payload.is_some(),
            end,
        })
    }
}

impl Criteria {
    fn read(text: &str, base: &str) -> Result<Self, Error> {
        let refused = |said: String| invalid("criteria", said);
        if text.len() > MAX_CRITERIA_BYTES {
            let said = format!("it has at most {MAX_CRITERIA_BYTES} bytes");
            return Err(refused(said));
        }
        let relative = match text.strip_prefix(base) {
            Some(rest) if !base.is_empty() => rest.trim_start_matches('/'),
            _ => text.trim_start_matches('/'),
        };
        let (kind, query) = relative.split_once('?').unwrap_or((relative, ""));
        if !::fhir::is_resource_type(kind) {
            let said = "it is a search for one type of R4, such as Observation?code=718-7";
            return Err(refused(said.to_owned()));
        }
        if MADE.contains(&kind) {
            let said = "resources of this type are made when they are asked for; search for them";
            return Err(refused(said.to_owned()));
        }
        let pairs = form_urlencoded::parse(query.as_bytes());
        let criteria = Self {
            kind: kind.to_owned(),
            pairs: pairs.into_owned().collect(),
        };
        for (name, _) in &criteria.pairs {
            let name = name.split(':').next().unwrap_or_default();
            if OF_ANSWERS.contains(&name) {
                let said = format!("{name} cannot be told of one resource by itself");
                return Err(refused(said));
            }
        }
        let query = criteria.query(base);
        let query = query.map_err(|error| refused(error.to_string()))?;
        if !query.chains().is_empty() || !query.has().is_empty() {
            let said = "chains cannot be told of one resource by itself; name what they lead to";
            return Err(refused(said.to_owned()));
        }
        Ok(criteria)
    }

    pub(super) fn query(&self, base: &str) -> Result<Query, ::fhir::search::QueryError> {
        Query::parse(&self.kind, &self.pairs, Handling::Strict, base)
    }
}

/// Names and values of the headers of a channel.
fn headers(channel: Option<Value<'_, '_>>) -> Result<Vec<(String, String)>, Error> {
    let listed = channel.and_then(|channel| channel.get("header"));
    let mut headers = Vec::new();
    for header in listed.iter().flat_map(|listed| listed.children()) {
        let refused = |said: &str| Err(invalid("channel.header", said));
        let text = header.text().unwrap_or_default();
        if headers.len() >= MAX_HEADERS || text.len() > MAX_HEADER_BYTES {
            return refused("at most 8 headers, of at most 2048 bytes each");
        }
        let Some((name, value)) = text.split_once(':') else {
            return refused("a header is a name, a colon and a value");
        };
        let (name, value) = (name.trim(), value.trim());
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_plain) {
            return refused("a header is a name, a colon and a value, in printable ASCII");
        }
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("proxy-") {
            return refused("it names a header of the connection, which is the server's");
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(headers)
}

/// What the server says in a Subscription.
pub(super) struct Said<'s> {
    pub(super) id: &'s SubscriptionId,
    pub(super) version: u32,
    pub(super) updated: Millis,
    pub(super) status: &'s str,
    /// Why it was given up; none: it was not.
    pub(super) error: Option<&'s str>,
    pub(super) end: Millis,
}

impl Said<'_> {
    /// A Subscription with that in it; the rest stays to the byte.
    pub(super) fn in_content(&self, content: &[u8]) -> Result<Vec<u8>, Error> {
        let damaged = |_| Error::Damaged("a Subscription".to_owned());
        let (id, version) = (self.id.to_string(), self.version.to_string());
        let assigned = Assigned {
            id: &id,
            version_id: &version,
            last_updated: self.updated,
        };
        let parsed = Parsed::parse(content).map_err(damaged)?;
        let content = parsed.stored_form(&assigned, &|_| None).map_err(damaged)?;
        let document = json::parse(&content, &json::Limits::default()).map_err(|_| overlap())?;
        let root = document.root();
        let mut edits = Edits::new();
        let mut members = vec![
            ("status", quote(self.status)),
            ("end", quote(&self.end.to_rfc3339())),
        ];
        match (self.error, root.get("error")) {
            (Some(error), _) => members.push(("error", quote(error))),
            (None, Some(_)) => remove(&mut edits, root, "error"),
            (None, None) => {}
        }
        edits.set_members(root, Some("meta"), &members);
        edits.apply(&document).map_err(|_| overlap())
    }
}

/// Takes a member away that the server wrote behind another one.
fn remove(edits: &mut Edits, object: Value<'_, '_>, name: &str) {
    let members: Vec<Value<'_, '_>> = object.children().collect();
    let Some(at) = members.iter().position(|member| member.is_named(name)) else {
        return;
    };
    let end = |member: &Value<'_, '_>| member.span().end;
    let before = at.checked_sub(1).and_then(|before| members.get(before));
    let after = members.get(at.saturating_add(1));
    match (members.get(at), before, after) {
        (Some(member), Some(before), _) => edits.replace_span(end(before)..end(member), ""),
        (Some(member), None, Some(after)) => {
            let start = member.key_span().map(|span| span.start);
            let next = after.key_span().map(|span| span.start);
            if let (Some(start), Some(next)) = (start, next) {
                edits.replace_span(start..next, "");
            }
        }
        _ => {}
    }
}

/// The same without the values of headers, which may be secrets of the subscriber's.
pub(super) fn without_headers(content: &[u8]) -> Result<Vec<u8>, Error> {
    let document = parsed(content)?;
    let mut edits = Edits::new();
    let channel = document.root().get("channel");
    let listed = channel.and_then(|channel| channel.get("header"));
    for header in listed.iter().flat_map(|listed| listed.children()) {
        edits.replace(header, quote("(withheld)"));
    }
    edits.apply(&document).map_err(|_| overlap())
}

fn parsed(content: &[u8]) -> Result<Document<'_>, Error> {
    let document = json::parse(content, &json::Limits::default());
    document.map_err(|error| invalid("", error.to_string()))
}

fn overlap() -> Error {
    Error::Internal("edits of a Subscription that overlap")
}

#[cfg(test)]
mod tests {
    use super::{Said, Stated, SubscriptionId, Wanted, without_headers};
    use codec::time::Millis;

    const BASE: &str = "https://node.example/fhir";

    fn subscription(criteria: &str, channel: &str) -> String {
        format!(
            r#"{{"resourceType":"Subscription","status":"requested","reason":"r","criteria":"{criteria}","channel":{{{channel}}}}}"#
        )
    }

    const HOOK: &str = r#""type":"rest-hook","endpoint":"https://ehr.example/hook""#;

    fn refused(criteria: &str, channel: &str, expect: &str) {
        let content = subscription(criteria, channel);
        let error = Stated::read(content.as_bytes(), BASE).err();
        let said = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expect), "{criteria} {channel}: {said:?}");
    }

    #[test]
    fn what_can_be_told_of_one_resource_is_taken() {
        for criteria in [
            "Observation",
            "Observation?code=718-7&patient=Patient/1",
            "/Patient?identifier=http://example.org/mrn|7",
            "https://node.example/fhir/Condition?_lastUpdated=gt2026-01-01",
        ] {
            let content = subscription(criteria, HOOK);
            let stated = Stated::read(content.as_bytes(), BASE).unwrap();
            assert!(stated.wanted == Wanted::On && !stated.with_payload);
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_place() {
        for (criteria, expect) in [
            ("", "one type"),
            ("Nonsense?a=b", "one type"),
            ("Observation/7", "one type"),
            ("Observation?nonsense=1", "criteria"),
            ("Observation?subject.name=x", "chains"),
            ("Observation?_sort=date", "_sort"),
            ("Patient?_has:Observation:subject:code=1", "_has"),
            ("Observation?_include=Observation:subject", "_include"),
            ("Consent?patient=1", "made"),
        ] {
            refused(criteria, HOOK, expect);
        }
        refused(
            &format!("Observation?code={}", "1".repeat(2_000)),
            HOOK,
            "2000",
        );
        for (channel, expect) in [
            (r#""type":"websocket""#, "rest-hook"),
            (
                r#""type":"email","endpoint":"mailto:a@b.example""#,
                "rest-hook",
            ),
            (r#""type":"rest-hook""#, "endpoint"),
            (
                r#""type":"rest-hook","endpoint":"https://a.example","payload":"application/fhir+xml""#,
                "payload",
            ),
            (
                r#""type":"rest-hook","endpoint":"https://a.example?x","payload":"application/fhir+json""#,
                "query",
            ),
            (
                r#""type":"rest-hook","endpoint":"https://a.example","header":["Host: b.example"]"#,
                "connection",
            ),
            (
                r#""type":"rest-hook","endpoint":"https://a.example","header":["A: b\r\nHost: c"]"#,
                "printable",
            ),
        ] {
            refused("Observation", channel, expect);
        }
    }

    #[test]
    fn what_the_server_says_comes_and_goes() {
        let content = subscription("Observation", HOOK);
        let id = SubscriptionId::new([7; 16]);
        let said = |error| Said {
            id: &id,
            version: 2,
            updated: Millis::new(1_000),
            status: if error { "error" } else { "active" },
            error: error.then_some("it did not answer"),
            end: Millis::new(2_000),
        };
        let failed = said(true).in_content(content.as_bytes()).unwrap();
        let text = String::from_utf8(failed.clone()).unwrap();
        assert!(text.contains(r#""status":"error""#), "{text}");
        assert!(text.contains(r#""error":"it did not answer""#), "{text}");
        assert!(text.contains(r#""end":"1970-01-01T00:00:02"#), "{text}");
        let again = said(false).in_content(&failed).unwrap();
        let text = String::from_utf8(again).unwrap();
        assert!(text.contains(r#""status":"active""#), "{text}");
        assert!(!text.contains("it did not answer"), "{text}");
        assert!(text.contains(r#""criteria":"Observation""#), "{text}");
    }

    #[test]
    fn secrets_are_withheld() {
        let channel = format!(r#"{HOOK},"header":["Authorization: Bearer secret"]"#);
        let content = subscription("Observation", &channel);
        let shown = without_headers(content.as_bytes()).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("(withheld)") && !shown.contains("secret"));
    }
}
