//! Disclosures: who looked, the proofs, and delays for safeguarding.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Json, Who, answer, one},
    records::{cbor, pending},
};
use axum::{extract::State, http::StatusCode, response::Response};
use consent::{
    Reason,
    safeguarding::{Audience, Ground},
};
use node::{
    Category, DisclosureId, Millis, Missing, SubjectId,
    disclosure::{DisclosureProofQuery, DisclosureQuery, DisclosureView, Outcome, PeriodProof},
    safeguarding::{
        Safeguarding, SafeguardingApprove, SafeguardingLift, SafeguardingPropose, SafeguardingQuery,
    },
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
    /// For which study, if it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<String>,
    #[schemars(with = "Vec<String>")]
    categories: Vec<Category>,
    records: Vec<String>,
    permitted: bool,
    /// The basis, or everything that was missing.
    because: Vec<String>,
    /// The break-glass session it was made under.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// What was done, where it was no read of records.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<String>,
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
            study: view.study.map(|study| study.to_string()),
            categories: view.categories,
            records: view.records.iter().map(ToString::to_string).collect(),
            permitted,
            because,
            session: view.session.map(|session| session.to_string()),
            act: view.act,
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
    /// From whom it is withheld: `guardians` or `everyone`.
    #[schemars(with = "String")]
    audience: Audience,
    /// `suspected-abuse`, `serious-harm` or `investigation`.
    #[schemars(with = "String")]
    ground: Ground,
    /// Kept with the log.
    #[schemars(with = "String")]
    reason: Reason,
    /// For how many days from now; the policy bounds it.
    days: u16,
}

/// A delay, proposed or approved.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Delay {
    disclosure: String,
    #[schemars(with = "String")]
    audience: Audience,
    #[schemars(with = "String")]
    ground: Ground,
    until: String,
    proposed_by: String,
    /// None yet: no effect.
    approved_by: Option<String>,
    /// When it was ended early.
    lifted: Option<String>,
}

impl From<Safeguarding> for Delay {
    fn from(safeguarding: Safeguarding) -> Self {
        let (proposal, approved_by, lifted) = match safeguarding {
            Safeguarding::Proposed(proposal) => (proposal, None, None),
            Safeguarding::Approved(delay) => (
                delay.proposal,
                Some(delay.approved_by.to_string()),
                delay.lifted.map(|lift| lift.at.to_rfc3339()),
            ),
        };
        Self {
            disclosure: proposal.wish.disclosure.to_string(),
            audience: proposal.wish.audience,
            ground: proposal.wish.ground,
            until: proposal.wish.until.to_rfc3339(),
            proposed_by: proposal.proposed_by.to_string(),
            approved_by,
            lifted,
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
            audience: body.audience,
            ground: body.ground,
            reason: body.reason,
            days: body.days,
        })
        .await?;
    Ok(answer(StatusCode::CREATED, &Delay::from(delay)))
}

pub(crate) async fn approve(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, disclosure)): At<(SubjectId, DisclosureId)>,
) -> Result<Response, Problem> {
    let delay = edge
        .node
        .safeguarding_approve(SafeguardingApprove {
            caller,
            subject,
            disclosure,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Delay::from(delay)))
}

pub(crate) async fn lift(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, disclosure)): At<(SubjectId, DisclosureId)>,
) -> Result<Response, Problem> {
    let delay = edge
        .node
        .safeguarding_lift(SafeguardingLift {
            caller,
            subject,
            disclosure,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Delay::from(delay)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::{Basis, PractitionerId};
    use node::{InstitutionId, Purpose, StudyId};

    #[test]
    fn a_disclosure_names_its_study() {
        let view = |study| DisclosureView {
            id: DisclosureId::new([1; 16]),
            at: Millis::new(0),
            period: 0,
            institution: InstitutionId::new([2; 16]),
            practitioner: PractitionerId::new("dr-karras").unwrap(),
            purpose: Purpose::Hresch,
            study,
            categories: Vec::new(),
            records: Vec::new(),
            outcome: Outcome::Permitted(Basis::SystemProjection),
            session: None,
            act: None,
            delayed: false,
        };
        let shown = |study| serde_json::to_value(Disclosure::from(view(study))).unwrap();
        let study = StudyId::new([7; 16]);
        assert_eq!(shown(Some(study))["study"], study.to_string());
        assert!(shown(None).get("study").is_none());
    }
}
