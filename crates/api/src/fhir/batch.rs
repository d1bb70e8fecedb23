//! Batches and transactions: the interactions of a Bundle's entries.
//!
//! A transaction's writes are one call of the node, all or nothing, which goes on to its end whoever waits for
//! it; its reads come after them. The entries of a batch are done one after the other, each for itself.

use super::{
    Asked,
    ask::Ask,
    done::Done,
    headers::{Answer, Conditions, query_pairs, tag_version},
    outcome::as_outcome,
    perform::{perform, transact, write_of, written_done},
};
use crate::problem::Problem;
use axum::http::{Method, StatusCode};
use fhir::{Bundle, BundleKind, Entry};
use mirror::{Answered, BatchResponse, Head, Response, TransactionResponse, bundle};
use node::{Content, Millis};

/// One entry, read.
struct Task {
    ask: Ask,
    content: Option<Content>,
    conditions: Conditions,
    full_url: Option<String>,
    not_version: Option<u32>,
}

pub(crate) async fn run(asked: &Asked, content: Content) -> Result<Done, Problem> {
    if asked.session.is_none() {
        return Err(Problem::unauthenticated());
    }
    let parsed = Bundle::parse(content.as_bytes())
        .map_err(|error| invalid(format!("the Bundle cannot be read: {error}")))?;
    let limit = fhir::MAX_ENTRIES;
    let count = parsed.entries().len();
    if count > limit {
        return Err(invalid(format!("{count} entries; the limit is {limit}")));
    }
    let kind = parsed.kind();
    let tasks: Vec<Result<Task, Problem>> = parsed
        .entries()
        .iter()
        .map(|entry| task(asked, entry))
        .collect();
    let answered = match kind {
        BundleKind::Transaction => transaction(asked, tasks).await?,
        BundleKind::Batch => batch(asked, tasks).await,
        BundleKind::Collection => {
            return Err(invalid(
                "a Bundle posted here is a transaction or a batch".to_owned(),
            ));
        }
    };
    let entries = answered.iter().map(OneAnswer::entry);
    let head = Head {
        at: Some(Millis::new(asked.edge.ambient.now_ms())),
        ..Head::default()
    };
    Ok(Done::plain(match kind {
        BundleKind::Transaction => bundle::<TransactionResponse>(&head, entries),
        _ => bundle::<BatchResponse>(&head, entries),
    }))
}

fn task(asked: &Asked, entry: &Entry<'_>) -> Result<Task, Problem> {
    let request = entry
        .request()
        .ok_or_else(|| invalid("an entry has no request".to_owned()))?;
    let method = match request.method {
        fhir::Method::Get => Method::GET,
        fhir::Method::Head => Method::HEAD,
        fhir::Method::Post => Method::POST,
        fhir::Method::Put => Method::PUT,
        fhir::Method::Delete => Method::DELETE,
        fhir::Method::Patch => Method::PATCH,
    };
    let ask = Ask::of_entry(&method, &request.url, &asked.base)?;
    if ask == Ask::Batch {
        return Err(invalid("a Bundle holds no Bundle to be done".to_owned()));
    }
    let content = match (&ask, entry.resource()) {
        (Ask::Patch { .. }, Some(resource)) => Some(Content::new(patch_of(resource)?)),
        (_, Some(resource)) => Some(Content::new(resource.received().to_vec())),
        (_, None) => None,
    };
    let if_match = match request.if_match.as_deref() {
        None => None,
        Some(tag) => Some(
            tag_version(tag)
                .ok_or_else(|| invalid("ifMatch is no ETag, such as W/\"3\"".to_owned()))?,
        ),
    };
    Ok(Task {
        ask,
        content,
        conditions: Conditions {
            if_match,
            if_none_exist: request.if_none_exist.as_deref().map(query_pairs),
        },
        full_url: entry.full_url().map(str::to_owned),
        not_version: request.if_none_match.as_deref().and_then(tag_version),
    })
}

/// The operations in a Binary.
fn patch_of(resource: &fhir::Parsed<'_>) -> Result<Vec<u8>, Problem> {
    let refused =
        || invalid("a patch is a Binary with contentType application/json-patch+json".to_owned());
    let document = json::parse(resource.received(), &json::Limits::default());
    let document = document.map_err(|_| refused())?;
    let member = |name| document.root().get(name).and_then(json::Value::text);
    let is_patch = member("contentType").as_deref() == Some("application/json-patch+json");
    let data = member("data").filter(|_| is_patch && resource.resource_type() == "Binary");
    codec::base64::decode(&data.ok_or_else(refused)?).ok_or_else(refused)
}

async fn transaction(
    asked: &Asked,
    tasks: Vec<Result<Task, Problem>>,
) -> Result<Vec<OneAnswer>, Problem> {
    let mut answers: Vec<Option<OneAnswer>> = Vec::new();
    let mut writes = Vec::new();
    let mut written_at = Vec::new();
    let mut reads = Vec::new();
    for (at, task) in tasks.into_iter().enumerate() {
        let task = task.map_err(|problem| of_entry(problem, at))?;
        answers.push(None);
        match task.ask {
            Ask::Create { .. } | Ask::Update { .. } | Ask::Patch { .. } | Ask::Delete { .. } => {
                let write = write_of(task.ask, task.content, &task.conditions, task.full_url);
                writes.push(write.map_err(|problem| of_entry(problem, at))?);
                written_at.push(at);
            }
            _ => reads.push((at, task)),
        }
    }
    if !writes.is_empty() {
        let written = transact(asked, writes, true).await?;
        for (at, written) in written_at.into_iter().zip(written) {
            let answer = match asked.prefer.answer {
                Answer::Representation => Answer::Minimal,
                other => other,
            };
            let done = written_done(written).preferred(answer);
            if let Some(place) = answers.get_mut(at) {
                *place = Some(OneAnswer::of(asked, done, None));
            }
        }
    }
    for (at, task) in reads {
        let not_version = task.not_version;
        let done = Box::pin(perform(asked, task.ask, task.content, &task.conditions)).await;
        // What was written is written: a read that fails says so in its own entry.
        let answer = match done {
            Ok(done) => OneAnswer::of(asked, done, not_version),
            Err(problem) => OneAnswer::refused(&problem),
        };
        if let Some(place) = answers.get_mut(at) {
            *place = Some(answer);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

async fn batch(asked: &Asked, tasks: Vec<Result<Task, Problem>>) -> Vec<OneAnswer> {
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let done = match task {
            Ok(task) => {
                let not_version = task.not_version;
                let done = perform(asked, task.ask, task.content, &task.conditions);
                Box::pin(done).await.map(|done| (done, not_version))
            }
            Err(problem) => Err(problem),
        };
        answers.push(match done {
            Ok((done, not_version)) => OneAnswer::of(asked, done, not_version),
            Err(problem) => OneAnswer::refused(&problem),
        });
    }
    answers
}

/// What one entry was answered.
struct OneAnswer {
    status: String,
    full_url: Option<String>,
    location: Option<String>,
    tag: Option<String>,
    modified: Option<Millis>,
    body: Option<Vec<u8>>,
    outcome: Option<Vec<u8>>,
}

impl OneAnswer {
    fn of(asked: &Asked, mut done: Done, not_version: Option<u32>) -> Self {
        let known = done.resource.as_ref().map(|resource| resource.version);
        if not_version.is_some() && not_version == known {
            done.status = StatusCode::NOT_MODIFIED;
            done.body = None;
        }
        let url = |resource: &node::fhir::FhirResource| {
            format!("{}/{}/{}", asked.base, resource.kind, resource.id)
        };
        let is_outcome = done.is_written && asked.prefer.answer == Answer::Outcome;
        let (body, outcome) = match is_outcome {
            true => (None, done.body.take()),
            false => (done.body.take(), None),
        };
        Self {
            status: status_text(done.status),
            full_url: done.resource.as_ref().map(url),
            location: done.place().filter(|_| done.is_written),
            tag: done.tag(),
            modified: done.modified(),
            body,
            outcome,
        }
    }

    fn refused(problem: &Problem) -> Self {
        let status = StatusCode::from_u16(problem.document().status);
        Self {
            status: status_text(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
            full_url: None,
            location: None,
            tag: None,
            modified: None,
            body: None,
            outcome: Some(as_outcome(problem)),
        }
    }

    fn entry(&self) -> Answered<'_> {
        Answered {
            full_url: self.full_url.as_deref(),
            resource: self.body.as_deref(),
            response: Response {
                status: &self.status,
                location: self.location.as_deref(),
                etag: self.tag.as_deref(),
                last_modified: self.modified,
                outcome: self.outcome.as_deref(),
            },
        }
    }
}

fn status_text(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16())
        .trim_end()
        .to_owned()
}

/// A transaction that cannot begin because of one entry.
fn of_entry(problem: Problem, at: usize) -> Problem {
    let document = problem.document();
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::BAD_REQUEST);
    let name = document.kind.rsplit('#').next().unwrap_or_default();
    Problem::new(
        status,
        name,
        format!("Bundle.entry[{at}]: {}", document.detail),
    )
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
}
