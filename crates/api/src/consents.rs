//! Consent: showing, preparing, signing at home, the desk's changes, grants.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, Json, Raw, Who, answer, entity_tag, tag, wait},
    records::cbor,
    subjects::{Standing, hex},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use node::{
    Caller, Category, ConsentState, Controller, Exception, Grant, GrantId, Grantee, Millis,
    Purpose, SubjectId,
    consent_change::{
        ConsentAccepted, ConsentChange, ConsentDesk, ConsentPrepare, ConsentQuery, ConsentShown,
        ConsentSubmit, Effect, GrantDraft, SignedChange,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One change. Several may be made together.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Change {
    /// Adds a grant.
    GrantAdd(Draft),
    /// Revokes a grant.
    GrantRevoke(#[schemars(with = "String")] GrantId),
    /// Adds a controller, or changes the one in that slot.
    ControllerSet(ControllerSet),
    /// Removes the controller of a slot.
    ControllerRemove(u8),
    /// When the subject comes of age.
    MaturitySet(#[schemars(with = "Option<String>")] Option<Millis>),
    /// Opts out of a purpose that needs no agreement.
    OptOut(#[schemars(with = "String")] Purpose),
    /// Takes an opt-out back.
    OptIn(#[schemars(with = "String")] Purpose),
    /// Restricts processing, or lifts the restriction.
    Restrict(bool),
}

/// A controller, and the slot's new key if it changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ControllerSet {
    #[schemars(with = "serde_json::Value")]
    controller: Controller,
    /// Ed25519 public key, hexadecimal.
    key: Option<String>,
}

/// A grant to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// `{"institution": ID}`, `{"practitioner": {"institution": ID, "practitioner": NAME}}` or `{"study": ID}`.
    #[schemars(with = "serde_json::Value")]
    grantee: Grantee,
    /// HL7 v3 PurposeOfUse codes.
    #[schemars(with = "Vec<String>")]
    purposes: BTreeSet<Purpose>,
    #[schemars(with = "Vec<String>")]
    categories: BTreeSet<Category>,
    /// RFC 3339.
    #[schemars(with = "String")]
    from: Millis,
    /// RFC 3339; the first instant after the period.
    #[schemars(with = "String")]
    until: Millis,
    /// `{"record": ID}`, `{"kind": NAME}` or `{"practitioner": NAME}`.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    exceptions: BTreeSet<Exception>,
}

/// Changes by the desk.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    changes: Vec<Change>,
}

/// Changes for a controller to sign.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepare {
    /// The slot whose key will sign.
    slot: u8,
    changes: Vec<Change>,
}

/// Whether processing is restricted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restriction {
    restricted: bool,
}

/// An accepted change.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Accepted {
    sequence: u64,
    entry: String,
    /// `narrowing` binds now, `widening` when final, `mixed` each for its part.
    effect: &'static str,
    /// Grants that this change made.
    grants: Vec<String>,
    finality: Standing,
}

impl From<ConsentAccepted> for Accepted {
    fn from(accepted: ConsentAccepted) -> Self {
        Self {
            sequence: accepted.sequence,
            entry: accepted.entry.to_string(),
            effect: match accepted.effect {
                Effect::Narrowing => "narrowing",
                Effect::Widening => "widening",
                Effect::Mixed => "mixed",
            },
            grants: accepted.grants.iter().map(ToString::to_string).collect(),
            finality: accepted.finality.into(),
        }
    }
}

/// A grant that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Granted {
    grant: String,
    #[serde(flatten)]
    accepted: Accepted,
}

/// The consent state.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Shown {
    /// None while the opening is pending.
    #[schemars(with = "Option<serde_json::Value>")]
    finalised: Option<ConsentState>,
    #[schemars(with = "Vec<serde_json::Value>")]
    pending: Vec<ConsentState>,
    #[schemars(with = "serde_json::Value")]
    latest: ConsentState,
    /// In plain words.
    says: Vec<String>,
    opening_matches: bool,
    /// Proof for `ithaca verify`, hexadecimal: these are all the grants.
    opening: Option<String>,
}

/// Grants in force or to come.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Grants {
    sequence: u64,
    #[schemars(with = "Vec<serde_json::Value>")]
    grants: Vec<Grant>,
    /// In plain words.
    says: Vec<String>,
}

fn draft(draft: Draft) -> GrantDraft {
    GrantDraft {
        grantee: draft.grantee,
        purposes: draft.purposes,
        categories: draft.categories,
        from: draft.from,
        until: draft.until,
        exceptions: draft.exceptions,
    }
}

fn changes(changes: Vec<Change>) -> Result<Vec<ConsentChange>, Problem> {
    changes
        .into_iter()
        .map(|change| {
            Ok(match change {
                Change::GrantAdd(grant) => ConsentChange::GrantAdd(draft(grant)),
                Change::GrantRevoke(grant) => ConsentChange::GrantRevoke(grant),
                Change::ControllerSet(set) => {
                    let key = set.key.map(|k| k.parse()).transpose().map_err(|_| {
                        Problem::bad_request("a controller's key is not 64 hexadecimal digits")
                    })?;
                    ConsentChange::ControllerSet(set.controller, key)
                }
                Change::ControllerRemove(slot) => ConsentChange::ControllerRemove { slot },
                Change::MaturitySet(at) => ConsentChange::MaturitySet(at),
                Change::OptOut(purpose) => ConsentChange::OptOut(purpose),
                Change::OptIn(purpose) => ConsentChange::OptIn(purpose),
                Change::Restrict(on) => ConsentChange::Restrict(on),
            })
        })
        .collect()
}

fn says(shown: &ConsentShown) -> Vec<String> {
    let grants = shown.grants.iter().map(|grant| grant.sentence.clone());
    grants.chain(shown.notes.iter().cloned()).collect()
}

pub(crate) async fn show(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let shown = edge
        .node
        .consent_show(ConsentQuery { caller, subject })
        .await?;
    let sequence = shown.latest.sequence;
    let mut response = answer(
        StatusCode::OK,
        &Shown {
            says: says(&shown),
            finalised: shown.finalised,
            pending: shown.pending,
            latest: shown.latest,
            opening_matches: shown.opening_matches,
            opening: shown.opening.map(|o| hex(&o)),
        },
    );
    tag(&mut response, sequence);
    Ok(response)
}

pub(crate) async fn grants(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let shown = edge
        .node
        .consent_show(ConsentQuery { caller, subject })
        .await?;
    let sequence = shown.latest.sequence;
    let mut response = answer(
        StatusCode::OK,
        &Grants {
            sequence,
            grants: shown.latest.grants.clone(),
            says: says(&shown),
        },
    );
    tag(&mut response, sequence);
    Ok(response)
}

pub(crate) async fn prepare(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(body): Json<Prepare>,
) -> Result<Response, Problem> {
    let bundle = edge
        .node
        .consent_prepare(ConsentPrepare {
            caller,
            subject,
            slot: body.slot,
            changes: changes(body.changes)?,
        })
        .await?;
    Ok(cbor(bundle.encode()))
}

/// A signed change from a request's body.
pub(crate) async fn signed(edge: &Edge, raw: Raw) -> Result<SignedChange, Problem> {
    let held = edge
        .body(&raw.headers, raw.body, edge.limits.json_bytes)
        .await?;
    SignedChange::decode(&held.bytes).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            error.to_string(),
        )
    })
}

pub(crate) async fn submit(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    raw: Raw,
) -> Result<Response, Problem> {
    let wait = wait(&raw.headers, &edge);
    let change = signed(&edge, raw).await?;
    if change.bundle.subject() != subject {
        return Err(Problem::bad_request(
            "the signed change is for another subject than the path names",
        ));
    }
    let accepted = edge
        .node
        .consent_submit(ConsentSubmit {
            caller,
            change,
            wait,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Accepted::from(accepted)))
}

pub(crate) async fn change(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    headers: HeaderMap,
    Json(body): Json<Changes>,
) -> Result<Response, Problem> {
    let accepted = desk(&edge, caller, subject, &headers, changes(body.changes)?).await?;
    Ok(answer(StatusCode::OK, &Accepted::from(accepted)))
}

pub(crate) async fn grant_add(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    headers: HeaderMap,
    Json(body): Json<Draft>,
) -> Result<Response, Problem> {
    let change = ConsentChange::GrantAdd(draft(body));
    let accepted = desk(&edge, caller, subject, &headers, vec![change]).await?;
    let grant = accepted
        .grants
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    Ok(answer(
        StatusCode::CREATED,
        &Granted {
            grant,
            accepted: accepted.into(),
        },
    ))
}

pub(crate) async fn grant_revoke(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, grant)): At<(SubjectId, GrantId)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let change = ConsentChange::GrantRevoke(grant);
    let accepted = desk(&edge, caller, subject, &headers, vec![change]).await?;
    Ok(answer(StatusCode::OK, &Accepted::from(accepted)))
}

pub(crate) async fn restrict(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    headers: HeaderMap,
    Json(body): Json<Restriction>,
) -> Result<Response, Problem> {
    let change = ConsentChange::Restrict(body.restricted);
    let accepted = desk(&edge, caller, subject, &headers, vec![change]).await?;
    Ok(answer(StatusCode::OK, &Accepted::from(accepted)))
}

async fn desk(
    edge: &Edge,
    caller: Caller,
    subject: SubjectId,
    headers: &HeaderMap,
    changes: Vec<ConsentChange>,
) -> Result<ConsentAccepted, Problem> {
    Ok(edge
        .node
        .consent_desk(ConsentDesk {
            caller,
            subject,
            expect_sequence: entity_tag(headers, "if-match")?,
            changes,
            wait: wait(headers, edge),
        })
        .await?)
}
