//! Subjects: opening, status, enrolling and recovering keys, closing, erasing.

use crate::{
    consents,
    disclosures::Disclosure,
    edge::Edge,
    problem::Problem,
    read::{At, Json, Raw, Who, answer, insert, text, wait},
    records::cbor,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use keys::PublicKey;
use node::{
    Controller, Grant, Millis, SubjectId,
    erase::Erase,
    subject::{
        Finality, Keyholder, RecoveryDraft, RecoveryEndorse, RecoverySubmit, SubjectClose,
        SubjectEnrolPrepare, SubjectNotice, SubjectOpen, SubjectOpenPrepare, SubjectOpenSubmit,
        SubjectOpened, SubjectQuery, SubjectRecover,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Opens a compartment for which the desk acts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubjectOpen")]
pub(crate) struct Open {
    /// Must be true: a family with its own keys opens through `/v1/subjects/prepare`.
    assisted: bool,
    /// Who may read the record as its controllers: `{"slot", "role", "label", "until"}`. May be empty.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    controllers: Vec<Controller>,
    /// When the subject comes of age (RFC 3339).
    #[schemars(with = "Option<String>")]
    matures: Option<Millis>,
}

/// Controllers with keys of their own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keyholders {
    /// At most four.
    controllers: Vec<ControllerKey>,
    /// The slot whose key will sign.
    slot: u8,
    /// When the subject comes of age (RFC 3339); only for an opening.
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
}

fn keyholders(controllers: Vec<ControllerKey>) -> Result<Vec<Keyholder>, Problem> {
    controllers
        .into_iter()
        .map(|held| {
            Ok(Keyholder {
                controller: held.controller,
                key: key(&held.key)?,
            })
        })
        .collect()
}

fn key(text: &str) -> Result<PublicKey, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("a controller's key is not 64 hexadecimal digits"))
}

/// Lost keys and who will countersign their replacement.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubjectRecovery")]
pub(crate) struct Recovery {
    /// The new keys, at most four; slots left out get keys that nobody holds.
    keys: Vec<SlotKey>,
    /// The other member institution that will countersign, hexadecimal.
    witness: String,
}

/// A slot's new key, made by `ithaca subject keygen`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlotKey {
    slot: u8,
    /// Ed25519 public key, hexadecimal.
    key: String,
}

/// An opened compartment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SubjectOpened")]
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

/// Something that the controllers are told.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Notice {
    sentence: String,
    /// When they are told at the latest.
    due: String,
    /// The disclosure or break-glass session it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    /// When a controller first saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<String>,
}

impl From<SubjectNotice> for Notice {
    fn from(notice: SubjectNotice) -> Self {
        Self {
            sentence: notice.sentence,
            due: notice.due.to_rfc3339(),
            about: notice.about.map(|about| about.to_string()),
            told: notice.told.map(Millis::to_rfc3339),
        }
    }
}

/// An entry on its way to the ledger.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Entry {
    entry: String,
    finality: Standing,
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
    if !body.assisted {
        return Err(Problem::bad_request(
            "a family with its own keys opens through /v1/subjects/prepare; otherwise say \"assisted\": true",
        ));
    }
    let opened = edge
        .node
        .subject_open(SubjectOpen {
            caller,
            controllers: body.controllers,
            matures: body.matures,
            client_key: text(&headers, "idempotency-key")?.map(str::to_owned),
            wait: wait(&headers, &edge),
        })
        .await?;
    Ok(opened_answer(&opened))
}

fn opened_answer(opened: &SubjectOpened) -> Response {
    let status = if opened.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = answer(
        status,
        &Opened {
            subject: opened.subject.to_string(),
            entry: opened.entry.to_string(),
            sequence: opened.sequence,
            assisted: opened.assisted,
            finality: opened.finality.into(),
        },
    );
    let location = format!("/v1/subjects/{}", opened.subject);
    insert(&mut response, header::LOCATION, &location);
    response
}

pub(crate) async fn open_prepare(
    State(edge): State<Edge>,
    Who(caller): Who,
    Json(body): Json<Keyholders>,
) -> Result<Response, Problem> {
    let bundle = edge
        .node
        .subject_open_prepare(SubjectOpenPrepare {
            caller,
            controllers: keyholders(body.controllers)?,
            slot: body.slot,
            matures: body.matures,
        })
        .await?;
    Ok(cbor(bundle.encode()))
}

pub(crate) async fn open_submit(
    State(edge): State<Edge>,
    Who(caller): Who,
    raw: Raw,
) -> Result<Response, Problem> {
    let wait = wait(&raw.headers, &edge);
    let signed = consents::signed(&edge, raw).await?;
    let opened = edge
        .node
        .subject_open_submit(SubjectOpenSubmit {
            caller,
            signed,
            wait,
        })
        .await?;
    Ok(opened_answer(&opened))
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

pub(crate) async fn notices(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let notices = edge
        .node
        .subject_notices(SubjectQuery { caller, subject })
        .await?;
    let notices: Vec<_> = notices.into_iter().map(Notice::from).collect();
    Ok(answer(StatusCode::OK, &notices))
}

pub(crate) async fn enrol_prepare(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(body): Json<Keyholders>,
) -> Result<Response, Problem> {
    if body.matures.is_some() {
        return Err(Problem::bad_request(
            "an enrolment does not set when the subject comes of age",
        ));
    }
    let bundle = edge
        .node
        .subject_enrol_prepare(SubjectEnrolPrepare {
            caller,
            subject,
            controllers: keyholders(body.controllers)?,
            slot: body.slot,
        })
        .await?;
    Ok(cbor(bundle.encode()))
}

pub(crate) async fn recover(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(body): Json<Recovery>,
) -> Result<Response, Problem> {
    let mut keys = BTreeMap::new();
    for held in &body.keys {
        if keys.insert(held.slot, key(&held.key)?).is_some() {
            return Err(Problem::bad_request("a slot is there twice"));
        }
    }
    let witness = body.witness.parse().map_err(|_| {
        Problem::bad_request("the witness is not an institution's id: 32 hexadecimal digits")
    })?;
    let draft = edge
        .node
        .subject_recover(SubjectRecover {
            caller,
            subject,
            keys,
            witness,
        })
        .await?;
    Ok(cbor(draft.bytes))
}

/// A recovery draft from a request's body.
async fn draft(edge: &Edge, raw: Raw) -> Result<RecoveryDraft, Problem> {
    let held = edge
        .body(&raw.headers, raw.body, edge.limits.json_bytes)
        .await?;
    Ok(RecoveryDraft {
        bytes: held.bytes.to_vec(),
    })
}

pub(crate) async fn recover_endorse(
    State(edge): State<Edge>,
    Who(caller): Who,
    raw: Raw,
) -> Result<Response, Problem> {
    let draft = draft(&edge, raw).await?;
    let endorsed = edge
        .node
        .subject_recover_endorse(RecoveryEndorse { caller, draft })
        .await?;
    Ok(cbor(endorsed.bytes))
}

pub(crate) async fn recover_submit(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    raw: Raw,
) -> Result<Response, Problem> {
    let wait = wait(&raw.headers, &edge);
    let draft = draft(&edge, raw).await?;
    let submitted = edge
        .node
        .subject_recover_submit(RecoverySubmit {
            caller,
            subject,
            draft,
            wait,
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Entry {
            entry: submitted.entry.to_string(),
            finality: submitted.finality.into(),
        },
    ))
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
