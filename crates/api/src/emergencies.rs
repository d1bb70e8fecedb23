//! Break-glass and legal holds.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Json, Who, answer, one},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use consent::{Reason, RuleName, break_glass::Verdict};
use node::{
    Millis, SubjectId,
    break_glass::{BreakGlassOpen, BreakGlassQuery, BreakGlassReview, BreakGlassView, SessionId},
    hold::{HoldClear, HoldSet},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Opens a session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BreakGlassOpen")]
pub(crate) struct Open {
    /// Why, in the clinician's words; kept with the log.
    #[schemars(with = "String")]
    reason: Reason,
    /// At most 240.
    minutes: u16,
}

/// An opened session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BreakGlassOpened")]
pub(crate) struct Opened {
    session: String,
    until: String,
    review_due: String,
    says: &'static str,
}

/// A session.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    session: String,
    subject: String,
    opened_by: String,
    opened: String,
    until: String,
    reason: String,
    /// What the controllers are told.
    notice: String,
    review_due: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<Reviewed>,
}

/// A second person's judgement.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Reviewed {
    by: String,
    at: String,
    #[schemars(with = "String")]
    verdict: Verdict,
    note: String,
}

/// Reviews a session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Review {
    /// `justified` or `not-justified`.
    #[schemars(with = "String")]
    verdict: Verdict,
    /// The grounds.
    #[schemars(with = "String")]
    note: Reason,
}

/// Which sessions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    subject: Option<String>,
}

/// A legal hold.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    /// RFC 3339.
    #[schemars(with = "String")]
    until: Millis,
    /// A code, not a story.
    #[schemars(with = "String")]
    reason_code: RuleName,
}

impl From<BreakGlassView> for Session {
    fn from(view: BreakGlassView) -> Self {
        Self {
            session: view.session.to_string(),
            subject: view.opened.subject.to_string(),
            opened_by: view.opened.opened_by.to_string(),
            opened: view.opened.opened.to_rfc3339(),
            until: view.opened.until.to_rfc3339(),
            reason: view.opened.reason.to_string(),
            notice: view.notice,
            review_due: view.review_due.to_rfc3339(),
            review: view.review.map(|review| Reviewed {
                by: review.reviewed_by.to_string(),
                at: review.reviewed.to_rfc3339(),
                verdict: review.verdict,
                note: review.note.to_string(),
            }),
        }
    }
}

pub(crate) async fn open(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(body): Json<Open>,
) -> Result<Response, Problem> {
    let opened = edge
        .node
        .break_glass_open(BreakGlassOpen {
            caller,
            subject,
            reason: body.reason,
            minutes: body.minutes,
        })
        .await?;
    Ok(answer(
        StatusCode::CREATED,
        &Opened {
            session: opened.session.to_string(),
            until: opened.until.to_rfc3339(),
            review_due: opened.review_due.to_rfc3339(),
            says: "Read with purpose BTG while it lasts. Each read is logged, the family is told, and a second person reviews it.",
        },
    ))
}

pub(crate) async fn list(
    State(edge): State<Edge>,
    Who(caller): Who,
    Ask(which): Ask<Which>,
) -> Result<Response, Problem> {
    let subject = which.subject.map(|s| one(&s, "subject")).transpose()?;
    let sessions = edge
        .node
        .break_glass_list(BreakGlassQuery { caller, subject })
        .await?;
    let sessions: Vec<_> = sessions.into_iter().map(Session::from).collect();
    Ok(answer(StatusCode::OK, &sessions))
}

pub(crate) async fn review(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, session)): At<(SubjectId, SessionId)>,
    Json(body): Json<Review>,
) -> Result<Response, Problem> {
    let reviewed = edge
        .node
        .break_glass_review(BreakGlassReview {
            caller,
            subject,
            session,
            verdict: body.verdict,
            note: body.note,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Session::from(reviewed)))
}

pub(crate) async fn hold(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(body): Json<Hold>,
) -> Result<Response, Problem> {
    let hold = edge
        .node
        .hold_set(HoldSet {
            caller,
            subject,
            until: body.until,
            reason_code: body.reason_code,
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Hold {
            until: hold.until,
            reason_code: hold.reason_code,
        },
    ))
}

pub(crate) async fn hold_clear(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    edge.node.hold_clear(HoldClear { caller, subject }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
