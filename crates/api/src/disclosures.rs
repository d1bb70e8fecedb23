//! Disclosures: who looked, the proofs, and delays for safeguarding.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Json, Who, answer, one},
    records::{cbor, pending},
};
use axum::{extract::State, http::StatusCode, response::Response};
use node::{
    Category, DisclosureId, Millis, Missing, SubjectId,
    disclosure::{DisclosureProofQuery, DisclosureQuery, DisclosureView, Outcome, PeriodProof},
    safeguarding::{Safeguarding, SafeguardingConfirm, SafeguardingPropose, SafeguardingQuery},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One access or refusal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Disclosure {
    disclosure: String,
    at: String,
    /// The period it is proved in.
    period: u64,
    institution: String,
    practitioner: String,
    purpose: String,
    #[schemars(with = "Vec<String>")]
    categories: Vec<Category>,
    records: Vec<String>,
    permitted: bool,
    /// The basis, or what was missing.
    because: Vec<String>,
    /// Its showing was delayed for safeguarding.
    delayed: bool,
}

impl From<DisclosureView> for Disclosure {
    fn from(view: DisclosureView) -> Self {
        let (permitted, because) = match &view.outcome {
            Outcome::Permitted(basis) => (true, vec![basis.to_string()]),
            Outcome::Refused(missing) => (false, missing.iter().map(Missing::to_string).collect()),
        };
        Self {
            disclosure: view.id.to_string(),
            at: view.at.to_rfc3339(),
            period: view.period,
            institution: view.institution.to_string(),
            practitioner: view.practitioner.to_string(),
            purpose: view.purpose.to_string(),
            categories: view.categories,
            records: view.records.iter().map(ToString::to_string).collect(),
            permitted,
            because,
            delayed: view.delayed,
        }
    }
}

/// Disclosures, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct List {
    disclosures: Vec<Disclosure>,
    /// There are more: ask again from the last one's time.
    truncated: bool,
}

/// From when until when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    from: Option<String>,
    until: Option<String>,
}

/// Which period.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Period {
    period: u64,
}

/// Asks for a delay.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Propose {
    /// RFC 3339; the policy bounds it.
    #[schemars(with = "String")]
    until: Millis,
    reason: String,
}

/// A delay.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Delay {
    disclosure: String,
    until: String,
    proposed_by: String,
    /// None yet: no effect.
    confirmed_by: Option<String>,
    reason: String,
}

impl From<Safeguarding> for Delay {
    fn from(delay: Safeguarding) -> Self {
        Self {
            disclosure: delay.disclosure.to_string(),
            until: delay.until.to_rfc3339(),
            proposed_by: delay.proposed_by.to_string(),
            confirmed_by: delay.confirmed_by.map(|p| p.to_string()),
            reason: delay.reason,
        }
    }
}

pub(crate) async fn list(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Ask(window): Ask<Window>,
) -> Result<Response, Problem> {
    let time = |text: Option<String>, default| text.map_or(Ok(default), |t| one(&t, "time"));
    let list = edge
        .node
        .disclosure_list(DisclosureQuery {
            caller,
            subject,
            from: time(window.from, Millis::new(0))?,
            until: time(window.until, Millis::new(u64::MAX))?,
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &List {
            disclosures: list.disclosures.into_iter().map(Disclosure::from).collect(),
            truncated: list.truncated,
        },
    ))
}

pub(crate) async fn proof(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Ask(Period { period }): Ask<Period>,
) -> Result<Response, Problem> {
    let proof = edge
        .node
        .disclosure_proof(DisclosureProofQuery {
            caller,
            subject,
            period,
        })
        .await?;
    Ok(match proof {
        PeriodProof::Pending => pending(),
        PeriodProof::Ready { bytes, .. } => cbor(bytes),
    })
}

pub(crate) async fn delays(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let delays = edge
        .node
        .safeguarding_list(SafeguardingQuery { caller, subject })
        .await?;
    let delays: Vec<_> = delays.into_iter().map(Delay::from).collect();
    Ok(answer(StatusCode::OK, &delays))
}

pub(crate) async fn propose(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, disclosure)): At<(SubjectId, DisclosureId)>,
    Json(body): Json<Propose>,
) -> Result<Response, Problem> {
    let delay = edge
        .node
        .safeguarding_propose(SafeguardingPropose {
            caller,
            subject,
            disclosure,
            until: body.until,
            reason: body.reason,
        })
        .await?;
    Ok(answer(StatusCode::CREATED, &Delay::from(delay)))
}

pub(crate) async fn confirm(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, disclosure)): At<(SubjectId, DisclosureId)>,
) -> Result<Response, Problem> {
    let delay = edge
        .node
        .safeguarding_confirm(SafeguardingConfirm {
            caller,
            subject,
            disclosure,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Delay::from(delay)))
}
