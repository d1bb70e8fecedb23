//! Bulk export: `$export` and what comes of it, by the rules of FHIR Bulk Data Access 2.0.
//!
//! A request begins an export and is told where to ask how far it is; once planned, a manifest lists the files, and
//! each is streamed as `application/fhir+ndjson` while the node reads it, page by page. Scopes are looked at twice:
//! when an export begins, for the types that it lists, and at each download, for the type of that file. Scopes for
//! one patient (`patient/`) reach no export.

use super::{Asked, ROOT, headers, insufficient, json as fhir_json, perform};
use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, insert, media_type},
    session::Session,
};
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::stream;
use mirror::outcome;
use node::{
    Handle, Millis,
    fhir::{
        FhirAsker, FhirExport, FhirExportMark, FhirExportOf, FhirExportPage, FhirExportPlan,
        FhirExportQuery, FhirExportRead, FhirExportState,
    },
};
use serde_json::{Value, json};
use smart::Interaction;
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

/// What files are served as.
pub(crate) const NDJSON: &str = "application/fhir+ndjson";
const PROGRESS: HeaderName = HeaderName::from_static("x-progress");
/// Forms of [`NDJSON`] that a client may ask for.
const FORMATS: [&str; 3] = [NDJSON, "application/ndjson", "ndjson"];

/// What is wanted of an export.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Types; none: all.
    kinds: Option<BTreeSet<String>>,
    since_ms: Option<u64>,
    /// Names of parameters that were not looked at.
    ignored: Vec<String>,
}

/// Begins an export.
pub(crate) async fn begin(State(edge): State<Edge>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let begun = begun(edge, parts, body).await;
    begun.unwrap_or_else(Problem::into_response)
}

async fn begun(edge: Edge, parts: Parts, body: Body) -> Result<Response, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    headers::Wanted::of(&parts.headers, &mut pairs)?;
    let session = parts.extensions.get::<Session>().cloned();
    let asked = Asked::of(edge, session, &parts.headers)?;
    let media = crate::read::media_type(&parts.headers);
    let is_post = parts.method == Method::POST;
    if is_post && media.is_some_and(|media| !headers::RESOURCE.contains(&media.as_str())) {
        return Err(headers::unsupported(headers::RESOURCE));
    }
    if !asked.prefer.background {
        return Err(Problem::bad_request(
            "an export answers later: send Prefer: respond-async",
        ));
    }
    if parts.method == Method::POST {
        let limit = asked.edge.limits.json_bytes;
        let held = asked.edge.body(&parts.headers, body, limit).await?;
        if !held.bytes.is_empty() {
            pairs.extend(parameters(&parts.headers, &held.bytes)?);
        }
    } else if parts.method != Method::GET {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "an export begins with GET or POST",
        ));
    }
    let path = parts.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let of = whose(path)?;
    let wanted = Wanted::read(pairs, asked.prefer.strict.unwrap_or(true))?;
    let kinds = reached(&asked, wanted.kinds.as_ref())?;
    let asker = match (&of, kinds.first()) {
        (FhirExportOf::Group(_), _) => reader(&asked, "Group")?,
        (_, Some(kind)) => reader(&asked, kind)?,
        (_, None) => return Err(insufficient("any type of resource")),
    };
    let mut address = format!("{}{path}", asked.base);
    if !query.is_empty() {
        address = format!("{address}?{query}");
    }
    let job = asked.edge.node.fhir_export(FhirExport {
        asker,
        of,
        kinds,
        since_ms: wanted.since_ms,
        request: address,
    });
    let place = format!("{}/$export-status/{}", asked.base, job.await?);
    let said = perform::ignored(&wanted.ignored).unwrap_or_else(|| outcome(&[]));
    let mut response = fhir_json(StatusCode::ACCEPTED, said);
    insert(&mut response, header::CONTENT_LOCATION, &place);
    Ok(response)
}

/// Whose resources a path asks for.
fn whose(path: &str) -> Result<FhirExportOf, Problem> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["$export"] => Ok(FhirExportOf::Everything),
        ["Patient", "$export"] => Ok(FhirExportOf::Patients),
        ["Group", id, "$export"] => Ok(FhirExportOf::Group((*id).to_owned())),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not-supported",
            "exports are of everything, of Patient, or of one Group",
        )),
    }
}

/// The types, of those that are wanted, that the scopes reach for more than one patient.
fn reached(asked: &Asked, wanted: Option<&BTreeSet<String>>) -> Result<Vec<String>, Problem> {
    let all = || fhir::resource_types().map(str::to_owned).collect();
    let wanted: Vec<String> = wanted.map_or_else(all, |kinds| kinds.iter().cloned().collect());
    let mut refused = None;
    let mut kinds = Vec::new();
    for kind in wanted {
        match reader(asked, &kind) {
            Ok(_) => kinds.push(kind),
            Err(problem) => refused = Some(problem),
        }
    }
    match refused {
        Some(problem) if kinds.is_empty() => Err(problem),
        _ => Ok(kinds),
    }
}

/// Who asks, if the scopes reach resources of that type of more than one patient.
fn reader(asked: &Asked, kind: &str) -> Result<FhirAsker, Problem> {
    let session = asked
        .session
        .as_ref()
        .ok_or_else(Problem::unauthenticated)?;
    let reach = session.scopes.permits(Interaction::Read, kind);
    if reach.is_none_or(|reach| reach.patient_only) {
        return Err(insufficient(kind));
    }
    asked.asker(Interaction::Read, kind)
}

impl Wanted {
    /// Reads the parameters of an export.
    fn read(pairs: Vec<(String, String)>, strict: bool) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "_outputFormat" => {
                    // A `+` in a query that was not escaped is a space by now.
                    let format = value.trim().replace(' ', "+");
                    if !FORMATS.contains(&format.as_str()) {
                        return Err(Problem::bad_request(format!(
                            "_outputFormat is one of {}",
                            FORMATS.join(", ")
                        )));
                    }
                }
                "_since" => {
                    let at = value.trim().replace(' ', "+").parse::<Millis>();
                    let at = at.map_err(|_| {
                        Problem::bad_request("_since is an instant, such as 2026-01-31T12:00:00Z")
                    })?;
                    wanted.since_ms = Some(at.get());
                }
                "_type" => {
                    let kinds = wanted.kinds.get_or_insert_default();
                    for kind in value.split(',').map(str::trim) {
                        match fhir::is_resource_type(kind) {
                            true => {
                                kinds.insert(kind.to_owned());
                            }
                            false if strict => {
                                return Err(Problem::bad_request(
                                    "_type names a type that R4 does not have",
                                ));
                            }
                            false => {}
                        }
                    }
                }
                // Without it more would be exported than was asked for.
                "patient" => return Err(not_supported(&name)),
                _ if strict => return Err(not_supported(&name)),
                _ => wanted.ignored.push(name),
            }
        }
        if wanted.kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Problem::bad_request("_type names no type that R4 has"));
        }
        Ok(wanted)
    }
}

fn not_supported(name: &str) -> Problem {
    const KNOWN: [&str; 6] = [
        "patient",
        "_typeFilter",
        "_elements",
        "_until",
        "includeAssociatedData",
        "organizeOutputBy",
    ];
    // What a client sends is not sent back, but for names that the guide has.
    let name = KNOWN.iter().find(|known| **known == name);
    let name = name.map_or("a parameter", |name| name);
    let why = format!("{name} is not supported; exports take _outputFormat, _since and _type");
    Problem::new(StatusCode::BAD_REQUEST, "not-supported", why)
}

/// The parameters in a body.
fn parameters(headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    if !media_type(headers).is_some_and(|media| super::headers::is_json(&media)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "send a Parameters resource as Content-Type: application/fhir+json",
        ));
    }
    let bad = || Problem::bad_request("the body is a Parameters resource, each with a value");
    let body: Value = serde_json::from_slice(body).map_err(|_| bad())?;
    let given = body.get("parameter").and_then(Value::as_array);
    if body.get("resourceType") != Some(&json!("Parameters")) {
        return Err(bad());
    }
    let mut pairs = Vec::new();
    for parameter in given.into_iter().flatten() {
        let parameter = parameter.as_object().ok_or_else(bad)?;
        let name = parameter.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(bad)?.to_owned();
        let mut values = parameter.iter();
        let value = values.find(|(member, _)| member.starts_with("value"));
        let text = value.and_then(|(_, value)| value.as_str());
        pairs.push((name, text.unwrap_or_default().to_owned()));
    }
    Ok(pairs)
}

/// Says how far an export is, or lists its files.
pub(crate) async fn state(
    State(edge): State<Edge>,
    session: Session,
    headers: HeaderMap,
    At(job): At<String>,
) -> Result<Response, Problem> {
    let asked = Asked::of(edge, Some(session.clone()), &headers)?;
    let query = FhirExportQuery {
        caller: session.caller,
        job: job.clone(),
    };
    Ok(match asked.edge.node.fhir_export_state(query).await? {
        FhirExportState::Planning { subjects } => {
            let mut response = StatusCode::ACCEPTED.into_response();
            let progress = format!("planning; {subjects} patients so far");
            insert(&mut response, PROGRESS, &progress);
            insert(&mut response, header::RETRY_AFTER, "1");
            response
        }
        FhirExportState::Planned(plan) => {
            let manifest = manifest(&asked.base, &job, &plan).to_string();
            let media = [(header::CONTENT_TYPE, "application/json")];
            let mut response = (media, manifest).into_response();
            let until = SystemTime::UNIX_EPOCH + Duration::from_millis(plan.until_ms);
            let until = httpdate::fmt_http_date(until);
            insert(&mut response, header::EXPIRES, &until);
            response
        }
    })
}

fn manifest(base: &str, job: &str, plan: &FhirExportPlan) -> Value {
    let mut output = Vec::new();
    for kind in &plan.kinds {
        for file in 0..plan.files {
            let url = format!("{base}/$export-file/{job}/{kind}.{file}.ndjson");
            output.push(json!({"type": kind, "url": url}));
        }
    }
    json!({
        "transactionTime": Millis::new(plan.at_ms).to_rfc3339(),
        "request": plan.request,
        "requiresAccessToken": true,
        "output": output,
        "deleted": [],
        "error": [],
    })
}

/// Ends an export.
pub(crate) async fn end(
    State(edge): State<Edge>,
    session: Session,
    At(job): At<String>,
) -> Result<Response, Problem> {
    let caller = session.caller;
    edge.node
        .fhir_export_end(FhirExportQuery { caller, job })
        .await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Streams a file.
pub(crate) async fn file(
    State(edge): State<Edge>,
    session: Session,
    headers: HeaderMap,
    At((job, name)): At<(String, String)>,
) -> Result<Response, Problem> {
    let unknown = || {
        let why = "no such file of an export; its manifest lists them";
        Problem::new(StatusCode::NOT_FOUND, "not-found", why)
    };
    let asked = Asked::of(edge, Some(session), &headers)?;
    let mut parts = name.split('.');
    let (kind, number) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(number), Some("ndjson"), None) => (kind, number),
        _ => return Err(unknown()),
    };
    if !fhir::is_resource_type(kind) {
        return Err(unknown());
    }
    let mut reading = Download {
        node: asked.edge.node.clone(),
        asker: reader(&asked, kind)?,
        job,
        kind: kind.to_owned(),
        file: number.parse().map_err(|_| unknown())?,
        page: None,
        next: None,
    };
    // What fails at once is told with a status.
    let first = reading.page(None).await?;
    reading.next = first.next;
    reading.page = Some(first);
    let body = Body::from_stream(stream::try_unfold(reading, Download::step));
    Ok(([(header::CONTENT_TYPE, NDJSON)], body).into_response())
}

/// A file while it is read: one page of it at a time is in memory.
struct Download {
    node: Handle,
    asker: FhirAsker,
    job: String,
    kind: String,
    file: usize,
    /// Read, and not sent yet.
    page: Option<FhirExportPage>,
    next: Option<FhirExportMark>,
}

impl Download {
    async fn page(&self, after: Option<FhirExportMark>) -> Result<FhirExportPage, node::Error> {
        let read = self.node.fhir_export_read(FhirExportRead {
            asker: self.asker.clone(),
            job: self.job.clone(),
            kind: self.kind.clone(),
            file: self.file,
            after,
        });
        read.await
    }

    /// The next lines; none at the end. An error cuts the answer off, so that nobody takes a part for the whole.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, node::Error> {
        loop {
            let page = match (self.page.take(), self.next) {
                (Some(page), _) => page,
                (None, Some(after)) => self.page(Some(after)).await?,
                (None, None) => return Ok(None),
            };
            self.next = page.next;
            if !page.lines.is_empty() {
                let lines = Bytes::copy_from_slice(page.lines.as_bytes());
                return Ok(Some((lines, self)));
            }
        }
    }
}
