//! Studies, their beacons and releases; what research holds of a subject.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Ask, At, Json, Raw, Who, answer},
};
use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use codec::{Category, Digest, hex};
use consent::{
    Condition, DataUse, Label, Limits, Match, Reason, Study, StudyAct, StudyStatus, StudyStep,
    StudyUse,
};
use discovery::{Kind, Method};
use node::research::{
    BeaconAsk, CANNOT_RECALL, Recontact, ReleaseCertify, ReleaseCohort, ReleasePrepare,
    ReleaseQuery, ReleaseRead, ReleaseStanding, ReleaseView, ResearchQuery, Spent, StudyPropose,
    StudyQuery, StudyTake, StudyView,
};
use node::{Purpose, StudyId, SubjectId};
use release::{Certificate, Format, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest question to a beacon, in bytes.
const QUESTION_BYTES: usize = discovery::MAX_BODY_BYTES;

/// Proposes a study.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StudyPropose")]
pub(crate) struct Propose {
    /// What it is called.
    #[schemars(with = "String")]
    title: Label,
    /// What it is for, in words for everybody.
    #[schemars(with = "String")]
    summary: Reason,
    /// What it declares about its use of data; docs/studies.md says how. Its id is made by the node.
    #[schemars(with = "serde_json::Map<String, Value>")]
    declared: serde_json::Map<String, Value>,
    /// HL7 v3 PurposeOfUse codes; all research.
    #[schemars(with = "Vec<String>")]
    purposes: BTreeSet<Purpose>,
    /// What it asks for.
    #[schemars(with = "Vec<String>")]
    categories: BTreeSet<Category>,
    /// `k`: the fewest people in a group of a release; `linked_per_mille`: the most of them that attacks may link.
    #[schemars(with = "Value")]
    limits: Limits,
}

/// Takes a step with a study.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StudyStep")]
pub(crate) struct Take {
    /// `"approve"`, `{"refuse": WHY}`, `{"agree": DIGEST}`, `"open"`, `{"end": WHY}`, `{"withdraw": WHY}`.
    #[schemars(with = "Value")]
    step: StudyStep,
    /// With an approval: what the committee accepts of what only a person can judge, as `matching` gives it.
    #[serde(default)]
    #[schemars(with = "Vec<Value>")]
    accepted: BTreeSet<Condition>,
}

/// A study.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Study")]
pub(crate) struct Shown {
    id: String,
    /// How far it is: proposed, approved, refused, agreed, open, ended, withdrawn.
    #[schemars(with = "String")]
    status: StudyStatus,
    /// Its title, summary, declaration, purposes, categories, limits, approvals and agreement.
    #[schemars(with = "Value")]
    study: Study,
    /// What was done to it, in order.
    #[schemars(with = "Vec<Value>")]
    acts: Vec<StudyAct>,
    /// What the committee accepted; only for the committee.
    #[schemars(with = "Vec<Value>")]
    accepted: BTreeSet<Condition>,
    /// Digest of its policy, as the ledger has it once it is open.
    #[schemars(with = "String")]
    policy: Digest,
    on_ledger: bool,
    /// Releases on the ledger.
    releases: u64,
}

impl From<StudyView> for Shown {
    fn from(view: StudyView) -> Self {
        Self {
            id: view.case.study.id().to_string(),
            status: view.status,
            study: view.case.study,
            acts: view.case.acts,
            accepted: view.accepted,
            policy: view.policy,
            on_ledger: view.on_ledger,
            releases: view.releases,
        }
    }
}

/// How a study matches what families agreed to. Numbers of people are rounded down to multiples of five.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Matching {
    permitted: u64,
    for_a_person: u64,
    denied: u64,
    none: u64,
    conditions: Vec<Matched>,
    says: &'static str,
}

/// A set of conditions that somebody gave, and how the study keeps it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Matched {
    /// As DUO codes.
    #[schemars(with = "Value")]
    conditions: DataUse,
    #[schemars(with = "Value")]
    result: Match,
}

/// What was spent of a privacy budget, in epsilon.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Budgeted {
    budget: f64,
    spent: f64,
    left: f64,
    /// When it is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    renews: Option<String>,
}

#[expect(clippy::cast_precision_loss, reason = "millionths, far below 2^52")]
fn epsilon(epsilon: discovery::Epsilon) -> f64 {
    epsilon.micro() as f64 / 1e6
}

impl From<Spent> for Budgeted {
    fn from(spent: Spent) -> Self {
        Self {
            budget: epsilon(spent.budget.epsilon),
            spent: epsilon(spent.spent),
            left: epsilon(spent.left),
            renews: spent.renews.map(|at| at.to_rfc3339()),
        }
    }
}

/// What was spent for a study.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Spending {
    /// By the caller, if it researches.
    #[serde(skip_serializing_if = "Option::is_none")]
    researcher: Option<Budgeted>,
    /// By all of the study.
    study: Budgeted,
}

/// Asks for a release.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReleasePrepare")]
pub(crate) struct Prepare {
    /// `T2`: aggregates of the whole cohort. `T3`: groups of at least `k` subjects.
    #[schemars(with = "String")]
    tier: Tier,
    k: u32,
    /// OMIM or ORPHA ids: whoever has one of these. `[]`: everybody with a diagnosis. Left out: everybody.
    #[serde(default)]
    diseases: Option<BTreeSet<String>>,
    /// `parquet`, `fhir`, `phenopackets`.
    #[schemars(with = "Vec<String>")]
    formats: BTreeSet<Format>,
    /// Whether measurements are in it.
    #[serde(default)]
    measurements: bool,
}

/// The committee's word.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReleaseCertify")]
pub(crate) struct Certify {
    approve: bool,
}

/// A release.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Release")]
pub(crate) struct Released {
    study: String,
    number: u64,
    #[schemars(with = "String")]
    tier: Tier,
    k: u32,
    cohort: String,
    asked: String,
    /// preparing, prepared, refused, publishing, released.
    status: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// While it is made: what is done, how far, of how much (0: not known yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// Height of its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    /// The attacks that were tried and what they achieved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    certificate: Option<Certificate>,
    /// Name and length of each file.
    files: Vec<File>,
}

/// How far a release is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseProgress")]
pub(crate) struct Progress {
    phase: &'static str,
    done: u64,
    of: u64,
}

/// A file of a release.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseFile")]
pub(crate) struct File {
    name: String,
    bytes: u64,
}

impl From<ReleaseView> for Released {
    fn from(view: ReleaseView) -> Self {
        let (mut why, mut progress, mut height) = (None, None, None);
        let status = match view.standing {
            ReleaseStanding::Preparing { phase, done, of } => {
                progress = Some(Progress { phase, done, of });
                "preparing"
            }
            ReleaseStanding::Prepared => "prepared",
            ReleaseStanding::Refused(because) => {
                why = Some(because);
                "refused"
            }
            ReleaseStanding::Publishing => "publishing",
            ReleaseStanding::Released { height: at } => {
                height = Some(at);
                "released"
            }
        };
        let files = view.files.into_iter();
        Self {
            study: view.study.to_string(),
            number: view.number,
            tier: view.tier,
            k: view.k,
            cohort: view.cohort,
            asked: view.asked.to_rfc3339(),
            status,
            why,
            progress,
            height,
            certificate: view.certificate,
            files: files.map(|(name, bytes)| File { name, bytes }).collect(),
        }
    }
}

/// What a repeated attack found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseReplayed")]
pub(crate) struct Replayed {
    subjects: u64,
    gone: u64,
    /// What differs from the certificate; empty: nothing.
    differs: Vec<String>,
}

/// Which part of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    #[serde(default)]
    offset: u64,
}

/// A re-contact token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Recontact")]
pub(crate) struct Token {
    /// As the release has it, in hexadecimal.
    token: String,
}

/// That a request was taken.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecontactTaken")]
pub(crate) struct Taken {
    says: &'static str,
}

/// What research holds of a subject.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResearchHeld")]
pub(crate) struct Held {
    releases: Vec<HeldRelease>,
    /// What counts have learnt of the subject, by everybody.
    counts: Budgeted,
    /// Studies that may use its data now.
    studies: Vec<HeldStudy>,
    says: &'static str,
}

/// A release that holds a subject's data.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HeldRelease {
    study: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    number: u64,
    at: String,
    /// The largest share of its people, in per cent, that an attack linked.
    linked_percent: f64,
    #[schemars(with = "String")]
    certificate: Digest,
}

/// A study that may use a subject's data.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HeldStudy {
    study: String,
    title: String,
}

pub(crate) async fn propose(
    State(edge): State<Edge>,
    Who(caller): Who,
    Json(mut body): Json<Propose>,
) -> Result<Response, Problem> {
    // The node makes the id.
    let unmade = StudyId::new([0; 16]).to_string();
    body.declared
        .insert("study".to_owned(), Value::String(unmade));
    let declared: StudyUse = serde_json::from_value(Value::Object(body.declared)).map_err(|_| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "declared cannot be read: a field is missing, unknown or of the wrong kind; docs/studies.md shows its form"
                .to_owned(),
        )
    })?;
    let view = edge
        .node
        .study_propose(StudyPropose {
            caller,
            title: body.title,
            summary: body.summary,
            declared,
            purposes: body.purposes,
            categories: body.categories,
            limits: body.limits,
        })
        .await?;
    Ok(answer(StatusCode::CREATED, &Shown::from(view)))
}

pub(crate) async fn list(State(edge): State<Edge>, Who(caller): Who) -> Result<Response, Problem> {
    let views = edge.node.study_list(caller).await?;
    let shown: Vec<Shown> = views.into_iter().map(Shown::from).collect();
    Ok(answer(StatusCode::OK, &shown))
}

pub(crate) async fn show(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
) -> Result<Response, Problem> {
    let view = edge.node.study_show(StudyQuery { caller, study }).await?;
    Ok(answer(StatusCode::OK, &Shown::from(view)))
}

pub(crate) async fn take(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
    Json(body): Json<Take>,
) -> Result<Response, Problem> {
    let view = edge
        .node
        .study_take(StudyTake {
            caller,
            study,
            step: body.step,
            accepted: body.accepted,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Shown::from(view)))
}

pub(crate) async fn matching(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
) -> Result<Response, Problem> {
    let found = edge
        .node
        .study_matching(StudyQuery { caller, study })
        .await?;
    let conditions = found.conditions.into_iter();
    Ok(answer(
        StatusCode::OK,
        &Matching {
            permitted: found.permitted,
            for_a_person: found.for_a_person,
            denied: found.denied,
            none: found.none,
            conditions: conditions
                .map(|(conditions, result)| Matched { conditions, result })
                .collect(),
            says: "A match is computed; the committee decides.",
        },
    ))
}

pub(crate) async fn spending(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
) -> Result<Response, Problem> {
    let spent = edge
        .node
        .study_spending(StudyQuery { caller, study })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Spending {
            researcher: spent.researcher.map(Budgeted::from),
            study: spent.study.into(),
        },
    ))
}

pub(crate) async fn prepare(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
    Json(body): Json<Prepare>,
) -> Result<Response, Problem> {
    let cohort = match body.diseases {
        None => ReleaseCohort::Everybody,
        Some(diseases) if diseases.is_empty() => ReleaseCohort::Diagnosed,
        Some(diseases) => ReleaseCohort::Diseases(diseases),
    };
    let view = edge
        .node
        .release_prepare(ReleasePrepare {
            caller,
            study,
            tier: body.tier,
            k: body.k,
            cohort,
            formats: body.formats,
            measurements: body.measurements,
        })
        .await?;
    Ok(answer(StatusCode::CREATED, &Released::from(view)))
}

pub(crate) async fn releases(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
) -> Result<Response, Problem> {
    let views = edge.node.release_list(StudyQuery { caller, study }).await?;
    let shown: Vec<Released> = views.into_iter().map(Released::from).collect();
    Ok(answer(StatusCode::OK, &shown))
}

pub(crate) async fn release(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, number)): At<(StudyId, u64)>,
) -> Result<Response, Problem> {
    let view = edge
        .node
        .release_show(ReleaseQuery {
            caller,
            study,
            number,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Released::from(view)))
}

pub(crate) async fn certify(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, number)): At<(StudyId, u64)>,
    Json(body): Json<Certify>,
) -> Result<Response, Problem> {
    let view = edge
        .node
        .release_certify(ReleaseCertify {
            caller,
            study,
            number,
            approve: body.approve,
        })
        .await?;
    Ok(answer(StatusCode::OK, &Released::from(view)))
}

pub(crate) async fn replay(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, number)): At<(StudyId, u64)>,
) -> Result<Response, Problem> {
    let replayed = edge
        .node
        .release_replay(ReleaseQuery {
            caller,
            study,
            number,
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Replayed {
            subjects: replayed.subjects,
            gone: replayed.gone,
            differs: replayed.differs,
        },
    ))
}

pub(crate) async fn file(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, number, file)): At<(StudyId, u64, String)>,
    Ask(from): Ask<Part>,
) -> Result<Response, Problem> {
    let piece = edge
        .node
        .release_read(ReleaseRead {
            caller,
            study,
            number,
            file,
            offset: from.offset,
        })
        .await?;
    let length = piece.length.to_string();
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/octet-stream"),
        ("ithaca-length", length.as_str()),
    ];
    Ok((StatusCode::OK, headers, piece.bytes).into_response())
}

pub(crate) async fn recontact(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
    Json(body): Json<Token>,
) -> Result<Response, Problem> {
    let token = hex::decode(&body.token)
        .map_err(|_| Problem::bad_request("the token is not hexadecimal"))?;
    edge.node
        .recontact(Recontact {
            caller,
            study,
            token,
        })
        .await?;
    Ok(answer(
        StatusCode::ACCEPTED,
        &Taken {
            says: "The request was taken. If the person's consent permits it, they are told; nothing more is told here.",
        },
    ))
}

pub(crate) async fn held(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
) -> Result<Response, Problem> {
    let held = edge
        .node
        .research_held(ResearchQuery { caller, subject })
        .await?;
    let releases = held.releases.into_iter().map(|held| HeldRelease {
        study: held.study.to_string(),
        title: held.title,
        summary: held.summary,
        number: held.number,
        at: held.at.to_rfc3339(),
        linked_percent: f64::from(held.risk_ppm) / 10_000.0,
        certificate: held.certificate,
    });
    let studies = held.studies.into_iter().map(|(study, title)| HeldStudy {
        study: study.to_string(),
        title,
    });
    Ok(answer(
        StatusCode::OK,
        &Held {
            releases: releases.collect(),
            counts: held.spent.into(),
            studies: studies.collect(),
            says: CANNOT_RECALL,
        },
    ))
}

pub(crate) async fn beacon(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, what)): At<(StudyId, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    asked(&edge, caller, study, &what, Method::Get, &uri, None).await
}

pub(crate) async fn beacon_root(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(study): At<StudyId>,
    uri: Uri,
) -> Result<Response, Problem> {
    asked(&edge, caller, study, "", Method::Get, &uri, None).await
}

pub(crate) async fn beacon_post(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((study, what)): At<(StudyId, String)>,
    uri: Uri,
    raw: Raw,
) -> Result<Response, Problem> {
    let held = edge.body(&raw.headers, raw.body, QUESTION_BYTES).await?;
    let body = Some(held.bytes.to_vec());
    asked(&edge, caller, study, &what, Method::Post, &uri, body).await
}

async fn asked(
    edge: &Edge,
    caller: node::Caller,
    study: StudyId,
    what: &str,
    method: Method,
    uri: &Uri,
    body: Option<Vec<u8>>,
) -> Result<Response, Problem> {
    let path = format!("/{what}");
    let endpoint = discovery::ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.method == method && endpoint.path == path);
    let kind: Kind = endpoint
        .ok_or_else(|| Problem::from(node::Error::Unknown("endpoint of this beacon")))?
        .kind;
    let answered = edge
        .node
        .beacon(BeaconAsk {
            caller,
            study,
            method,
            kind,
            query: uri.query().unwrap_or_default().to_owned(),
            body,
            root: format!("/v1/studies/{study}/beacon/v2"),
        })
        .await?;
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    Ok(answer(status, &answered.body))
}
