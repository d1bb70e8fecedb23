//! Subjects: opening, status, enrolling a key, closing, erasing.

use crate::{
    consents::{self, Accepted},
    disclosures::Disclosure,
    edge::Edge,
    problem::Problem,
    read::{At, Json, Who, answer, text, wait},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use node::{
    Controller, Grant, Millis, SubjectId,
    erase::Erase,
    subject::{Control, Finality, SlotKey, SubjectClose, SubjectEnrol, SubjectOpen, SubjectQuery},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Opens a compartment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// The desk acts for the family until it enrols a key.
    #[serde(default)]
    assisted: bool,
    /// Or: controllers with their own keys, at most four.
    #[serde(default)]
    controllers: Vec<ControllerKey>,
    /// When the subject comes of age (RFC 3339).
    #[schemars(with = "Option<String>")]
    matures: Option<Millis>,
}

/// A controller and a fresh key, made by `ithaca subject keygen`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ControllerKey {
    /// Slot, role, label and end.
    #[schemars(with = "serde_json::Value")]
    controller: Controller,
    /// Ed25519 public key, hexadecimal.
    key: String,
    /// Proof of possession, hexadecimal.
    possession: String,
}

impl ControllerKey {
    fn parse(self) -> Result<SlotKey, Problem> {
        let bad =
            |what| Problem::bad_request(format!("{what} is not hexadecimal of the right length"));
        Ok(SlotKey {
            controller: self.controller,
            key: self.key.parse().map_err(|_| bad("the controller's key"))?,
            possession: self
                .possession
                .parse()
                .map_err(|_| bad("the proof of possession"))?,
        })
    }
}

/// An opened compartment.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Opened {
    subject: String,
    entry: String,
    sequence: u64,
    assisted: bool,
    finality: Standing,
}

/// Where something stands on the ledger.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Standing {
    /// `durable`: kept here and on its way; `final`: in a finalised block.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

impl From<Finality> for Standing {
    fn from(finality: Finality) -> Self {
        match finality {
            Finality::Pending => Self {
                state: "durable",
                height: None,
                time: None,
            },
            Finality::Final { height, time_ms } => Self {
                state: "final",
                height: Some(height),
                time: Some(Millis::new(time_ms).to_rfc3339()),
            },
        }
    }
}

/// What is known of a subject.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Status {
    subject: String,
    assisted: bool,
    /// Sequence of the finalised consent state.
    final_sequence: Option<u64>,
    /// Sequence of the latest accepted change.
    sequence: u64,
    restricted: bool,
    closed: bool,
    erased: bool,
    /// Legal hold or retention.
    held_until: Option<String>,
    #[schemars(with = "Vec<serde_json::Value>")]
    grants: Vec<Grant>,
    records: u64,
    /// Whether the consent state kept here opens the leaf on the ledger.
    opening_matches: bool,
}

/// An entry on its way to the ledger.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Entry {
    entry: String,
    finality: Standing,
}

/// Enrols a key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrol {
    #[serde(flatten)]
    key: ControllerKey,
    /// The sequence the caller saw.
    expect_sequence: u64,
}

/// What outlives an erasure, for the subject to keep.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Erased {
    entry: Option<String>,
    finality: Standing,
    /// An earlier request did it.
    already: bool,
    /// Finds the subject's line in every disclosure period of this custodian, and its absence.
    audit_key: String,
    disclosures: Vec<Disclosure>,
    /// Proofs for `ithaca verify`, hexadecimal.
    proofs: Vec<String>,
    says: &'static str,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) async fn open(
    State(edge): State<Edge>,
    Who(caller): Who,
    headers: HeaderMap,
    Json(body): Json<Open>,
) -> Result<Response, Problem> {
    let control = match (body.assisted, body.controllers.is_empty()) {
        (true, true) => Control::Assisted,
        (false, false) => Control::Family(
            body.controllers
                .into_iter()
                .map(ControllerKey::parse)
                .collect::<Result<_, _>>()?,
        ),
        _ => {
            return Err(Problem::bad_request(
                "say either \"assisted\": true, or name the controllers with their keys",
            ));
        }
    };
    let opened = edge
        .node
        .subject_open(SubjectOpen {
            caller,
            control,
            maturity: body.matures,
            client_key: text(&headers, "idempotency-key")?.map(str::to_owned),
            wait: wait(&headers, &edge),
        })
        .await?;
    let status = if opened.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(answer(
        status,
        &Opened {
            subject: opened.subject.to_string(),
            entry: opened.entry.to_string(),
            sequence: opened.sequence,
            assisted: opened.assisted,
            finality: opened.finality.into(),
        },
    ))
}

pub(crate) async fn status(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let status = edge
        .node
        .subject_status(SubjectQuery { caller, subject })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Status {
            subject: status.subject.to_string(),
            assisted: status.assisted,
            final_sequence: status.final_sequence,
            sequence: status.accepted_sequence,
            restricted: status.restricted,
            closed: status.closed,
            erased: status.erased,
            held_until: status.held_until.map(Millis::to_rfc3339),
            grants: status.grants,
            records: status.records,
            opening_matches: status.opening_matches,
        },
    ))
}

pub(crate) async fn enrol(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    headers: HeaderMap,
    Json(body): Json<Enrol>,
) -> Result<Response, Problem> {
    let accepted = edge
        .node
        .subject_enrol(SubjectEnrol {
            caller,
            subject,
            slot: body.key.parse()?,
            expect_sequence: body.expect_sequence,
            wait: wait(&headers, &edge),
        })
        .await?;
    Ok(answer(StatusCode::OK, &Accepted::from(accepted)))
}

pub(crate) async fn close(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let closed = edge
        .node
        .subject_close(SubjectClose {
            caller,
            subject,
            wait: wait(&headers, &edge),
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Entry {
            entry: closed.entry.to_string(),
            finality: closed.finality.into(),
        },
    ))
}

pub(crate) async fn erase(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let erased = edge.node.erase(Erase { caller, subject }).await?;
    Ok(answer(
        StatusCode::OK,
        &Erased {
            entry: erased.entry.map(|e| e.to_string()),
            finality: erased.finality.into(),
            already: erased.already,
            audit_key: hex(&erased.handover.audit_key),
            disclosures: erased
                .handover
                .disclosures
                .into_iter()
                .map(Disclosure::from)
                .collect(),
            proofs: erased.handover.proofs.iter().map(|p| hex(p)).collect(),
            says: "The key is destroyed at this institution. Copies that were disclosed before cannot be recalled; they are listed.",
        },
    ))
}

/// An entity tag holding a number: `"7"` or `W/"7"`.
pub(crate) fn entity_tag(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = text(headers, name)? else {
        return Ok(None);
    };
    consents::entity_number(value).map(Some).ok_or_else(|| {
        Problem::bad_request(format!(
            "{name} takes an entity tag with a number, like \"3\""
        ))
    })
}
