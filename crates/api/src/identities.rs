//! The queue of Patients that carry one identifier.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Json, Who, answer, one},
};
use axum::{extract::State, http::StatusCode, response::Response};
use consent::Reason;
use node::{
    SubjectId,
    identity::{
        Identity, IdentityDecide, IdentityList, IdentityState, IdentityUndo, IdentityVerdict,
        ItemId, PAGE_MAX,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which items.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    state: Option<String>,
    after: Option<String>,
}

/// A page of items.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IdentityPage")]
pub(crate) struct Page {
    items: Vec<Item>,
    /// For `after`, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many items wait in all.
    waiting: u64,
}

/// Two Patients that carry one identifier.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Identity")]
pub(crate) struct Item {
    item: String,
    patients: Vec<Patient>,
    found: String,
    /// `open`, `same` or `different`.
    state: &'static str,
    /// The subject whose Patient replaces the other's.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<String>,
    /// The merge was taken back, and its links stay in the Patients, which were changed since: edit them there.
    links_stay: bool,
}

/// One of the two, by ids alone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IdentityPatient")]
pub(crate) struct Patient {
    subject: String,
    /// The FHIR id.
    patient: String,
}

/// Whether two Patients are one person.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "IdentityVerdict")]
pub(crate) enum Verdict {
    /// They are.
    Same {
        /// The subject whose Patient replaces the other's.
        #[schemars(with = "String")]
        keep: SubjectId,
        /// Why; kept with the new versions.
        #[schemars(with = "String")]
        note: Reason,
    },
    /// They are two; it is not asked again.
    Different {},
}

impl From<Identity> for Item {
    fn from(identity: Identity) -> Self {
        let (state, kept) = match identity.state {
            IdentityState::Open => ("open", None),
            IdentityState::Same { kept } => ("same", Some(kept.to_string())),
            IdentityState::Different => ("different", None),
        };
        let patients = identity.patients.into_iter().map(|one| Patient {
            subject: one.subject.to_string(),
            patient: one.id,
        });
        let (by, at) = identity.decided.unzip();
        Self {
            item: identity.item.to_string(),
            patients: patients.collect(),
            found: identity.found.to_rfc3339(),
            state,
            kept,
            decided_by: by.map(|actor| actor.practitioner.to_string()),
            decided: at.map(|at| at.to_rfc3339()),
            links_stay: identity.links_stay,
        }
    }
}

pub(crate) async fn list(
    State(edge): State<Edge>,
    Who(caller): Who,
    Ask(which): Ask<Which>,
) -> Result<Response, Problem> {
    let decided = match which.state.as_deref() {
        None | Some("open") => false,
        Some("decided") => true,
        Some(_) => {
            return Err(Problem::bad_request(
                "the query has a state that does not exist; it is `open` or `decided`",
            ));
        }
    };
    let after = which.after.map(|item| one(&item, "after")).transpose()?;
    let page = edge
        .node
        .identity_list(IdentityList {
            caller,
            decided,
            after,
            count: PAGE_MAX,
        })
        .await?;
    let page = Page {
        items: page.items.into_iter().map(Item::from).collect(),
        next: page.next.map(|item| item.to_string()),
        waiting: page.waiting,
    };
    Ok(answer(StatusCode::OK, &page))
}

pub(crate) async fn decide(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(item): At<ItemId>,
    Json(body): Json<Verdict>,
) -> Result<Response, Problem> {
    let verdict = match body {
        Verdict::Same { keep, note } => IdentityVerdict::Same { keep, note },
        Verdict::Different {} => IdentityVerdict::Different,
    };
    let decided = edge
        .node
        .identity_decide(IdentityDecide {
            caller,
            item,
            verdict,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Item::from(decided)))
}

pub(crate) async fn undo(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(item): At<ItemId>,
) -> Result<Response, Problem> {
    let undone = edge
        .node
        .identity_undo(IdentityUndo { caller, item })
        .await?;
    Ok(answer(StatusCode::OK, &Item::from(undone)))
}
