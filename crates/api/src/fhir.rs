//! The FHIR R4 edge: REST, search, batch and transaction under `/fhir`.
//!
//! Every path comes to [`serve`]: method and path are read into one [`ask::Ask`], the same for a request of its
//! own and for an entry of a batch; it is done by one use case of the node and answered by the rules of RESTful
//! FHIR (`ETag`, `Location`, `Last-Modified`, `Prefer`, conditions). Scopes are checked here, consent in the node.
//!
//! Every error is an OperationOutcome. XML is not spoken: 406 and 415.

mod ask;
mod batch;
mod capability;
mod done;
pub(crate) mod export;
mod headers;
mod outcome;
mod perform;
mod subscribe;

pub(crate) use outcome::as_outcome;

use crate::{edge::Edge, problem::Problem, session::Session};
use ask::Ask;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use headers::{Prefer, Wanted};
use node::{
    Content, Purpose,
    fhir::{FhirAsker, MAX_PAGE},
};
use smart::Interaction;

/// What FHIR is served as.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";
/// Where it is served.
pub(crate) const ROOT: &str = "/fhir";

/// Whether a path is under it.
pub(crate) fn is_path(path: &str) -> bool {
    let rest = path.strip_prefix(ROOT);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A request with what its handling needs.
pub(crate) struct Asked {
    pub(crate) edge: Edge,
    pub(crate) session: Option<Session>,
    /// Where this server is, as the client sees it: `http://host/fhir`.
    pub(crate) base: String,
    pub(crate) prefer: Prefer,
    pub(crate) purpose: Option<Purpose>,
    /// The system that a write comes from.
    pub(crate) source: String,
}

/// Answers every request under `/fhir`.
pub(crate) async fn serve(State(edge): State<Edge>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let session = parts.extensions.get::<Session>().cloned();
    let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let pairs: Vec<(String, String)> = pairs.into_owned().collect();
    let answered = answered(
        edge,
        session,
        &parts.method,
        parts.uri.path(),
        pairs,
        &parts.headers,
        body,
    );
    match answered.await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answered(
    edge: Edge,
    session: Option<Session>,
    method: &Method,
    path: &str,
    mut pairs: Vec<(String, String)>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(headers, &mut pairs)?;
    let asked = Asked::of(edge, session, headers)?;
    let path = path.strip_prefix(ROOT).unwrap_or_default();
    let conditions = headers::conditions(headers)?;
    let content = if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        let limit = asked.edge.limits.payload_bytes;
        let held = asked.edge.body(headers, body, limit).await?;
        if headers::is_form(headers) {
            pairs.extend(form_urlencoded::parse(&held.bytes).into_owned());
            None
        } else {
            Some(Content::new(held.bytes))
        }
    } else {
        None
    };
    let ask = Ask::parse(method, path, pairs)?;
    headers::check_media(&ask, headers, content.as_ref())?;
    let is_head = *method == Method::HEAD;
    let done = perform::perform(&asked, ask, content, &conditions).await?;
    Ok(done.response(&asked, &wanted, is_head))
}

impl Asked {
    fn of(edge: Edge, session: Option<Session>, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            base: headers::base(headers),
            prefer: Prefer::of(headers),
            purpose: headers::purpose(headers)?,
            source: crate::read::text(headers, "ithaca-source")?
                .unwrap_or("fhir")
                .to_owned(),
            session,
            edge,
        })
    }

    /// Who asks, as far as the scopes reach.
    fn asker(&self, interaction: Interaction, kind: &str) -> Result<FhirAsker, Problem> {
        let session = self.session.as_ref().ok_or_else(Problem::unauthenticated)?;
        let reach = session
            .scopes
            .permits(interaction, kind)
            .ok_or_else(|| insufficient(kind))?;
        let patient = match reach.patient_only {
            false => None,
            // A token that is bound to a subject is confined by that.
            true if session.caller.subject.is_some() => None,
            true => Some(session.patient.clone().ok_or_else(|| insufficient(kind))?),
        };
        Ok(FhirAsker {
            caller: session.caller.clone(),
            purpose: self.purpose,
            base: self.base.clone(),
            patient,
            scopes: session.scopes.clone(),
            interaction,
            launched: session.patient.clone(),
        })
    }
}

fn insufficient(kind: &str) -> Problem {
    let detail = format!("the token's scopes do not reach this on {kind}; ask for one that does");
    Problem::new(StatusCode::FORBIDDEN, "insufficient-scope", detail)
}

/// How many entries a page has when the client does not say, and at most.
fn count(pairs: &[(String, String)], usual: usize) -> Result<usize, Problem> {
    let given = pairs.iter().find(|(name, _)| name == "_count");
    match given {
        None => Ok(usual),
        Some((_, text)) => text
            .parse::<usize>()
            .map(|count| count.clamp(1, MAX_PAGE))
            .map_err(|_| Problem::bad_request("_count is a whole number")),
    }
}

/// A JSON body.
fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let media = [(header::CONTENT_TYPE, "application/fhir+json;charset=utf-8")];
    (status, media, body).into_response()
}
