//! Doing one interaction: one use case of the node each.

use super::{
    Asked,
    ask::{Ask, Pairs, Which},
    batch, capability, count,
    done::Done,
    headers::Conditions,
    subscribe,
};
use crate::problem::Problem;
use axum::http::StatusCode;
use fhir::search::{Handling, Query};
use mirror::{Found, Head, History, Mode, Response, Searchset, Version, bundle};
use mirror::{Issue, IssueType, Severity, outcome};
use node::{
    Content, Millis,
    fhir::{
        FhirAct, FhirAsker, FhirEverything, FhirHistory, FhirOutcome, FhirPage, FhirRead,
        FhirResource, FhirSearch, FhirTarget, FhirTransact, FhirValidate, FhirWrite, FhirWritten,
    },
    subject::Wait,
};
use smart::Interaction;

/// Versions of a page of history when the client does not say.
const HISTORY_PAGE: usize = 100;
/// Resources of a page of `$everything` when the client does not say.
const EVERYTHING_PAGE: usize = 1_000;

/// Does what is asked for.
pub(crate) async fn perform(
    asked: &Asked,
    ask: Ask,
    content: Option<Content>,
    conditions: &Conditions,
) -> Result<Done, Problem> {
    match ask {
        Ask::Capability => Ok(Done::plain(capability::statement(asked))),
        Ask::Batch => batch::run(asked, need(content)?).await,
        Ask::Search { kind, pairs } => search(asked, &kind, pairs).await,
        Ask::Compartment {
            patient,
            kind,
            mut pairs,
        } => {
            let parameters = fhir::search::compartment_parameters(&kind);
            let Some(parameter) = parameters.first() else {
                return Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    "not-supported",
                    "that type is not in the compartment of a Patient",
                ));
            };
            pairs.push(((*parameter).to_owned(), format!("Patient/{patient}")));
            search(asked, &kind, pairs).await
        }
        Ask::Read { kind, id, pairs } => read(asked, kind, id, None, &pairs).await,
        Ask::Vread {
            kind,
            id,
            version,
            pairs,
        } => read(asked, kind, id, Some(version), &pairs).await,
        Ask::History { kind, id, pairs } => history(asked, kind, id, &pairs).await,
        Ask::Everything { patient, pairs } => everything(asked, patient, &pairs).await,
        Ask::Validate { kind, .. } => validate(asked, kind, need(content)?).await,
        Ask::Create { .. } | Ask::Update { .. } | Ask::Patch { .. } | Ask::Delete { .. } => {
            let write = write_of(ask, content, conditions, None)?;
            let written = match write.kind.as_str() {
                "Subscription" => subscribe::subscribe(asked, write).await?,
                _ => {
                    let written = transact(asked, vec![write], false).await?;
                    let first = written.into_iter().next();
                    first.ok_or_else(|| Problem::bad_request("nothing was to be done"))?
                }
            };
            Ok(written_done(written).preferred(asked.prefer.answer))
        }
    }
}

/// A write, as the node takes it.
pub(crate) fn write_of(
    ask: Ask,
    content: Option<Content>,
    conditions: &Conditions,
    full_url: Option<String>,
) -> Result<FhirWrite, Problem> {
    let if_match = conditions.if_match;
    let target = |which| match which {
        Which::Id(id) => Ok(FhirTarget::Id(id)),
        Which::Matching(pairs) if pairs.is_empty() => Err(Problem::bad_request(
            "name the resource, or give a search that one matches",
        )),
        Which::Matching(pairs) => Ok(FhirTarget::Matching(pairs)),
    };
    let (kind, act) = match ask {
        Ask::Create { kind } => {
            let act = FhirAct::Create {
                content: need(content)?,
                if_none_exist: conditions.if_none_exist.clone(),
            };
            (kind, act)
        }
        Ask::Update {
            kind,
            target: which,
        } => {
            let act = FhirAct::Update {
                content: need(content)?,
                target: target(which)?,
                if_match,
            };
            (kind, act)
        }
        Ask::Patch {
            kind,
            target: which,
        } => {
            let act = FhirAct::Patch {
                operations: need(content)?,
                target: target(which)?,
                if_match,
            };
            (kind, act)
        }
        Ask::Delete {
            kind,
            target: which,
        } => {
            let act = FhirAct::Delete {
                target: target(which)?,
                if_match,
            };
            (kind, act)
        }
        _ => return Err(Problem::bad_request("this is no write")),
    };
    Ok(FhirWrite {
        kind,
        act,
        full_url,
    })
}

/// Writes, all or none. What the scopes reach is the least of what they reach for each.
pub(crate) async fn transact(
    asked: &Asked,
    writes: Vec<FhirWrite>,
    is_bundle: bool,
) -> Result<Vec<FhirWritten>, Problem> {
    let mut asker = None;
    for write in &writes {
        let this = writer(asked, write)?;
        let before = asker.get_or_insert_with(|| this.clone());
        if before.patient.is_none() {
            before.patient = this.patient;
        }
    }
    let asker = asker.ok_or_else(|| Problem::bad_request("nothing was to be done"))?;
    let is_confined = asker.patient.is_some() || asker.caller.subject.is_some();
    let written = asked.edge.node.fhir_transact(FhirTransact {
        asker,
        writes,
        // Elements that R4 does not know are refused, unless the client says that they do not matter.
        strict: asked.prefer.strict.unwrap_or(true),
        bundle: is_bundle,
        wait: match asked.prefer.wait {
            true => Wait::Final {
                timeout_ms: asked.edge.limits.request_ms / 2,
            },
            false => Wait::Durable,
        },
        source: asked.source.clone(),
    });
    let mut written = written.await?;
    for one in &mut written {
        tell(asked, one, is_confined);
    }
    Ok(written)
}

/// What the software may write and not read it is not told.
pub(crate) fn tell(asked: &Asked, written: &mut FhirWritten, is_confined: bool) {
    if let Some(resource) = &mut written.resource
        && !shows(asked, &resource.kind, is_confined)
    {
        resource.content = None;
    }
}

/// Whether a write finds its resource by a search.
fn is_conditional(act: &FhirAct) -> bool {
    match act {
        FhirAct::Create { if_none_exist, .. } => if_none_exist.is_some(),
        FhirAct::Update { target, .. }
        | FhirAct::Patch { target, .. }
        | FhirAct::Delete { target, .. } => matches!(target, FhirTarget::Matching(_)),
    }
}

/// Whether a JSON Patch asks what a resource holds, or cannot be read.
fn tests(operations: &Content) -> bool {
    let operations = serde_json::from_slice::<Vec<serde_json::Value>>(operations.as_bytes());
    operations.map_or(true, |all| {
        all.iter()
            .any(|one| ["test", "copy", "move"].contains(&one["op"].as_str().unwrap_or("test")))
    })
}

/// Whether what was written may be shown to who wrote it. A write that was not confined to the patient may be
/// about another one.
fn shows(asked: &Asked, kind: &str, is_confined: bool) -> bool {
    let reader = asked.asker(Interaction::Read, kind).ok();
    let reach = reader.and_then(|reader| reader.scopes.permits(Interaction::Read, kind));
    reach.is_some_and(|reach| reach.filters.is_empty() && (is_confined || !reach.patient_only))
}

/// Who writes, as far as the scopes reach.
pub(crate) fn writer(asked: &Asked, write: &FhirWrite) -> Result<FhirAsker, Problem> {
    let interaction = match &write.act {
        FhirAct::Create { .. } => Interaction::Create,
        FhirAct::Update { .. } | FhirAct::Patch { .. } => Interaction::Update,
        FhirAct::Delete { .. } => Interaction::Delete,
    };
    let asker = asked.asker(interaction, &write.kind)?;
    if is_conditional(&write.act) {
        asked.asker(Interaction::Search, &write.kind)?;
    }
    if let FhirAct::Patch { operations, .. } = &write.act
        && tests(operations)
    {
        asked.asker(Interaction::Read, &write.kind)?;
    }
    let reach = asker.scopes.permits(interaction, &write.kind);
    if reach.is_none_or(|reach| !reach.filters.is_empty()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "insufficient-scope",
            "the token's scopes reach only some resources of this type, which allows reading alone",
        ));
    }
    Ok(asker)
}

/// What became of a write.
pub(crate) fn written_done(written: FhirWritten) -> Done {
    let status = match written.outcome {
        FhirOutcome::Created => StatusCode::CREATED,
        FhirOutcome::Updated | FhirOutcome::Unchanged => StatusCode::OK,
        FhirOutcome::Deleted => StatusCode::NO_CONTENT,
    };
    let mut resource = written.resource;
    let content = resource
        .as_mut()
        .and_then(|resource| resource.content.take());
    Done {
        status,
        body: content.map(|content| content.as_bytes().to_vec()),
        is_written: true,
        disclosure: None,
        resource,
    }
}

async fn read(
    asked: &Asked,
    kind: String,
    id: String,
    version: Option<u32>,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let asker = asked.asker(Interaction::Read, &kind)?;
    let shaping = shaping(&kind, pairs)?;
    let read = asked
        .edge
        .node
        .fhir_read(FhirRead {
            asker,
            kind,
            id,
            version,
        })
        .await?;
    let mut resource = read.resource;
    let body = resource.content.take();
    let body = body.map(|content| shaped(&content, shaping.as_ref()));
    Ok(Done {
        status: StatusCode::OK,
        resource: Some(resource),
        body,
        is_written: false,
        disclosure: read.disclosure.map(|disclosure| disclosure.to_string()),
    })
}

/// A query that says how resources are to be cut down, if they are.
fn shaping(kind: &str, pairs: &Pairs) -> Result<Option<Query>, Problem> {
    let shapes = |(name, _): &&(String, String)| name == "_summary" || name == "_elements";
    let pairs: Pairs = pairs.iter().filter(shapes).cloned().collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let query = Query::parse(kind, &pairs, Handling::Strict, "");
    query
        .map(Some)
        .map_err(|error| Problem::bad_request(format!("{}: {}", error.parameter, error.message)))
}

/// A resource, cut down if that is wanted.
fn shaped(content: &Content, shaping: Option<&Query>) -> Vec<u8> {
    let whole = || content.as_bytes().to_vec();
    let Some(subset) = shaping.and_then(|query| query.results().subset()) else {
        return whole();
    };
    match fhir::Parsed::parse(content.as_bytes()) {
        Ok(parsed) => fhir::search::subset(&parsed, &subset),
        Err(_) => whole(),
    }
}

async fn search(asked: &Asked, kind: &str, mut pairs: Pairs) -> Result<Done, Problem> {
    let asker = asked.asker(Interaction::Search, kind)?;
    let after = taken(&mut pairs, "_after");
    let shaping = shaping(kind, &pairs)?;
    let strict = asked.prefer.strict.unwrap_or(false);
    let page = asked
        .edge
        .node
        .fhir_search(FhirSearch {
            asker,
            kind: kind.to_owned(),
            query: pairs,
            strict,
            after: after.clone(),
        })
        .await?;
    let path = format!("{}/{kind}", asked.base);
    let query = page.understood.clone();
    Ok(searchset(
        asked,
        &page,
        &path,
        &query,
        after,
        shaping.as_ref(),
    ))
}

fn searchset(
    asked: &Asked,
    page: &FhirPage,
    path: &str,
    query: &Pairs,
    after: Option<String>,
    shaping: Option<&Query>,
) -> Done {
    let this = link(path, query, after.as_deref());
    let next = page.next.as_deref();
    let next = next.map(|after| link(path, query, Some(after)));
    let mut links = vec![("self", this.as_str())];
    if let Some(next) = &next {
        links.push(("next", next.as_str()));
    }
    let bodies: Vec<(String, Vec<u8>, Mode)> = page
        .found
        .iter()
        .filter_map(|found| {
            let resource = &found.resource;
            let content = resource.content.as_ref()?;
            let mode = match found.is_include {
                true => Mode::Include,
                false => Mode::Match,
            };
            let url = format!("{}/{}/{}", asked.base, resource.kind, resource.id);
            Some((url, shaped(content, shaping), mode))
        })
        .collect();
    let ignored = ignored(&page.ignored);
    let mut entries: Vec<Found<'_>> = bodies
        .iter()
        .map(|(url, resource, mode)| Found {
            full_url: Some(url),
            resource,
            mode: *mode,
        })
        .collect();
    if let Some(ignored) = &ignored {
        entries.push(Found {
            full_url: None,
            resource: ignored,
            mode: Mode::Outcome,
        });
    }
    let head = Head {
        id: None,
        at: Some(Millis::new(asked.edge.ambient.now_ms())),
        total: page.total,
        links: &links,
    };
    Done::plain(bundle::<Searchset>(&head, entries))
}

/// What is said of parameters that were not understood.
pub(crate) fn ignored(names: &[String]) -> Option<Vec<u8>> {
    if names.is_empty() {
        return None;
    }
    let known: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte);
            name.len() <= 64 && name.bytes().all(fits)
        })
        .collect();
    let issue = Issue {
        severity: Severity::Warning,
        code: IssueType::NotSupported,
        details: None,
        diagnostics: Some(format!(
            "these parameters are not known and were not looked at: {}",
            known.join(", ")
        )),
        expression: Vec::new(),
    };
    Some(outcome(&[issue]))
}

/// A link of a Bundle.
fn link(path: &str, query: &Pairs, after: Option<&str>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        text.append_pair(name, value);
    }
    if let Some(after) = after {
        text.append_pair("_after", after);
    }
    match text.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn taken(pairs: &mut Pairs, name: &str) -> Option<String> {
    let at = pairs.iter().position(|(other, _)| other == name)?;
    Some(pairs.remove(at).1)
}

/// `_since`, as Unix milliseconds.
fn since(pairs: &mut Pairs) -> Result<Option<u64>, Problem> {
    let Some(text) = taken(pairs, "_since") else {
        return Ok(None);
    };
    let at = text.parse::<Millis>();
    at.map(|at| Some(at.get()))
        .map_err(|_| Problem::bad_request("_since is an instant, such as 2026-01-31T12:00:00Z"))
}

async fn history(
    asked: &Asked,
    kind: String,
    id: Option<String>,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let interaction = match &id {
        Some(_) => Interaction::Read,
        // As SMART names it: what there is of a type is found by it.
        None => Interaction::Search,
    };
    let asker = asked.asker(interaction, &kind)?;
    let mut pairs = pairs.clone();
    let count = count(&pairs, HISTORY_PAGE)?;
    let after = taken(&mut pairs, "_after");
    let since_ms = since(&mut pairs)?;
    let page = asked
        .edge
        .node
        .fhir_history(FhirHistory {
            asker,
            kind: kind.clone(),
            id: id.clone(),
            since_ms,
            count,
            after: after.clone(),
        })
        .await?;
    let path = match &id {
        Some(id) => format!("{}/{kind}/{id}/_history", asked.base),
        None => format!("{}/{kind}/_history", asked.base),
    };
    let mut query = vec![("_count".to_owned(), count.to_string())];
    if let Some(since_ms) = since_ms {
        query.push(("_since".to_owned(), Millis::new(since_ms).to_rfc3339()));
    }
    let this = link(&path, &query, after.as_deref());
    let next = page.next.as_deref();
    let next = next.map(|after| link(&path, &query, Some(after)));
    let mut links = vec![("self", this.as_str())];
    if let Some(next) = &next {
        links.push(("next", next.as_str()));
    }
    let texts: Vec<VersionTexts> = page
        .found
        .iter()
        .map(|found| VersionTexts::of(asked, &found.resource))
        .collect();
    let entries = texts.iter().zip(&page.found).map(|(texts, found)| {
        let resource = &found.resource;
        Version {
            full_url: &texts.full_url,
            resource: resource.content.as_ref().map(Content::as_bytes),
            method: texts.method,
            url: &texts.url,
            response: Response {
                status: texts.status,
                location: None,
                etag: Some(&texts.tag),
                last_modified: Some(Millis::new(resource.updated_ms)),
                outcome: None,
            },
        }
    });
    let head = Head {
        id: None,
        at: Some(Millis::new(asked.edge.ambient.now_ms())),
        total: match (&after, &page.next) {
            (None, None) => u64::try_from(page.found.len()).ok(),
            _ => None,
        },
        links: &links,
    };
    Ok(Done::plain(bundle::<History>(&head, entries)))
}

struct VersionTexts {
    full_url: String,
    method: &'static str,
    url: String,
    status: &'static str,
    tag: String,
}

impl VersionTexts {
    fn of(asked: &Asked, resource: &FhirResource) -> Self {
        let path = format!("{}/{}", resource.kind, resource.id);
        let (method, status) = match (&resource.content, resource.version) {
            (None, _) => ("DELETE", "204 No Content"),
            (Some(_), 1) => ("POST", "201 Created"),
            (Some(_), _) => ("PUT", "200 OK"),
        };
        Self {
            full_url: format!("{}/{path}", asked.base),
            method,
            url: match method {
                "POST" => resource.kind.clone(),
                _ => path,
            },
            status,
            tag: format!("W/\"{}\"", resource.version),
        }
    }
}

async fn everything(asked: &Asked, patient: String, pairs: &Pairs) -> Result<Done, Problem> {
    let asker = asked.asker(Interaction::Read, "Patient")?;
    let mut pairs = pairs.clone();
    let count = count(&pairs, EVERYTHING_PAGE)?;
    let after = taken(&mut pairs, "_after");
    let since_ms = since(&mut pairs)?;
    let kinds: Vec<String> = taken(&mut pairs, "_type")
        .iter()
        .flat_map(|kinds| kinds.split(','))
        .map(str::to_owned)
        .collect();
    let page = asked
        .edge
        .node
        .fhir_everything(FhirEverything {
            asker,
            patient: patient.clone(),
            kinds: kinds.clone(),
            since_ms,
            count,
            after: after.clone(),
        })
        .await?;
    let path = format!("{}/Patient/{patient}/$everything", asked.base);
    let mut query = vec![("_count".to_owned(), count.to_string())];
    if !kinds.is_empty() {
        query.push(("_type".to_owned(), kinds.join(",")));
    }
    if let Some(since_ms) = since_ms {
        query.push(("_since".to_owned(), Millis::new(since_ms).to_rfc3339()));
    }
    Ok(searchset(asked, &page, &path, &query, after, None))
}

async fn validate(asked: &Asked, kind: String, content: Content) -> Result<Done, Problem> {
    let session = asked
        .session
        .as_ref()
        .ok_or_else(Problem::unauthenticated)?;
    let issues = asked
        .edge
        .node
        .fhir_validate(FhirValidate {
            caller: session.caller.clone(),
            kind,
            content,
            strict: asked.prefer.strict.unwrap_or(true),
        })
        .await?;
    let issues: Vec<Issue> = issues
        .into_iter()
        .map(|problem| {
            let issue = Issue::error(IssueType::Invalid, problem.message);
            match problem.path.as_str() {
                "" => issue,
                path => issue.at(path.to_owned()),
            }
        })
        .collect();
    Ok(Done::plain(outcome(&issues)))
}

fn need(content: Option<Content>) -> Result<Content, Problem> {
    content.ok_or_else(|| Problem::bad_request("the body is missing"))
}
