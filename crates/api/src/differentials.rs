//! Differential diagnoses: of a subject, of a case that is nobody's, and the terms they are asked in.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Raw, Who, answer, one},
};
use axum::{extract::State, http::StatusCode, response::Response};
use consent::Permit;
use node::{
    SubjectId,
    differential::{
        ChangeShown, Course, Diagnose, DifferentialChanges, DifferentialNews, DifferentialQuery,
        DifferentialShown, TermFound, TermQuery,
    },
    record::Content,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Candidates of an answer that does not say how many it wants.
const CANDIDATES: usize = 10;
/// Terms likewise.
const TERMS: usize = 10;

/// A subject's differential diagnosis, made of what the caller may see.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SubjectDifferential")]
pub(crate) struct Shown {
    /// The log row of this reading.
    disclosure: String,
    /// The basis, how far it goes, until when, and whether the view of consent may be out of date.
    #[schemars(with = "serde_json::Value")]
    permit: Permit,
    /// What the records say, the ranked diseases with their evidence, what to look for next, the genes, the
    /// versions and the statement: `ithaca-differential/1`.
    #[schemars(with = "serde_json::Value")]
    differential: ::answer::Answer,
    /// What became of it until now; null for who may not see all that it rests on.
    course: Option<CourseShown>,
}

/// The course of a differential.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DifferentialCourse")]
pub(crate) struct CourseShown {
    /// The disease that the records give as the diagnosis.
    solved: Option<String>,
    /// Since when which disease could be found here.
    findable: Vec<Findable>,
    /// The changes that were worth telling, oldest first.
    changes: Vec<Change>,
}

/// A disease that can be found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Findable {
    disease: String,
    /// RFC 3339.
    since: String,
}

/// A change of the differential.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DifferentialChange")]
pub(crate) struct Change {
    /// RFC 3339.
    at: String,
    /// `findable`, `leads` or `doubtful`.
    kind: &'static str,
    disease: String,
    /// Its probability before, 0 to 1.
    before: f64,
    /// And after.
    probability: f64,
    /// `records`, `knowledge` or `cases`.
    cause: &'static str,
    /// Whether no clinician had looked at it before this reading.
    news: bool,
}

/// The subjects whose differentials have news, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DifferentialChanges")]
pub(crate) struct Changes {
    changes: Vec<News>,
    /// Whether there is more, or may be: those that are read make room.
    truncated: bool,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DifferentialNews")]
pub(crate) struct News {
    subject: String,
    /// RFC 3339.
    since: String,
}

/// Terms of HPO, best first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Terms {
    terms: Vec<Term>,
}

/// A term that was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Term {
    id: String,
    label: String,
    /// What of it was found.
    matched: String,
    /// `id`, `label`, `synonym`, `layperson` or `everyday`.
    kind: &'static str,
    /// Whether the text was taken for a slip of it.
    corrected: bool,
}

/// The query of a differential.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    purpose: String,
    limit: Option<usize>,
}

/// The query of an answer to a case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitQuery {
    limit: Option<usize>,
}

/// The query of a search.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    q: String,
    limit: Option<usize>,
}

impl From<DifferentialShown> for Shown {
    fn from(shown: DifferentialShown) -> Self {
        Self {
            disclosure: shown.disclosure.to_string(),
            permit: shown.permit,
            differential: shown.answer,
            course: shown.course.map(CourseShown::from),
        }
    }
}

impl From<Course> for CourseShown {
    fn from(course: Course) -> Self {
        let findable = course.findable.into_iter();
        Self {
            solved: course.solved,
            findable: findable
                .map(|(disease, since)| Findable {
                    disease,
                    since: since.to_rfc3339(),
                })
                .collect(),
            changes: course.changes.into_iter().map(Change::from).collect(),
        }
    }
}

impl From<ChangeShown> for Change {
    fn from(change: ChangeShown) -> Self {
        Self {
            at: change.at.to_rfc3339(),
            kind: change.kind.as_str(),
            disease: change.disease,
            before: f64::from(change.before_ppm) / 1e6,
            probability: f64::from(change.ppm) / 1e6,
            cause: change.cause.as_str(),
            news: change.is_news,
        }
    }
}

impl From<DifferentialNews> for News {
    fn from(news: DifferentialNews) -> Self {
        Self {
            subject: news.subject.to_string(),
            since: news.since.to_rfc3339(),
        }
    }
}

impl From<TermFound> for Term {
    fn from(found: TermFound) -> Self {
        Self {
            id: found.id,
            label: found.label,
            matched: found.matched,
            kind: found.kind,
            corrected: found.corrected,
        }
    }
}

pub(crate) async fn read(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Ask(query): Ask<ReadQuery>,
) -> Result<Response, Problem> {
    let shown = edge
        .node
        .differential(DifferentialQuery {
            caller,
            purpose: one(&query.purpose, "purpose")?,
            subject,
            limit: query.limit.unwrap_or(CANDIDATES),
            is_look: true,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Shown::from(shown)))
}

pub(crate) async fn changes(
    State(edge): State<Edge>,
    Who(caller): Who,
) -> Result<Response, Problem> {
    let listed = edge
        .node
        .differential_changes(DifferentialChanges { caller });
    let listed = listed.await?;
    let changes = Changes {
        changes: listed.news.into_iter().map(News::from).collect(),
        truncated: listed.truncated,
    };
    Ok(answer(StatusCode::OK, &changes))
}

pub(crate) async fn diagnose(
    State(edge): State<Edge>,
    Who(caller): Who,
    Ask(query): Ask<LimitQuery>,
    Raw { headers, body }: Raw,
) -> Result<Response, Problem> {
    let held = edge.body(&headers, body, edge.limits.payload_bytes).await?;
    let given = edge
        .node
        .diagnose(Diagnose {
            caller,
            case: Content::new(held.bytes),
            limit: query.limit.unwrap_or(CANDIDATES),
        })
        .await?;
    Ok(answer(StatusCode::OK, &given))
}

pub(crate) async fn terms(
    State(edge): State<Edge>,
    Who(caller): Who,
    Ask(query): Ask<SearchQuery>,
) -> Result<Response, Problem> {
    let found = edge
        .node
        .term_search(TermQuery {
            caller,
            text: query.q,
            limit: query.limit.unwrap_or(TERMS),
        })
        .await?;
    let terms = found.into_iter().map(Term::from).collect();
    Ok(answer(StatusCode::OK, &Terms { terms }))
}
