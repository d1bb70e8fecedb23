//! Governing the network: how matters stand, proposals, applications and votes.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, Json, Raw, Who, answer, wait},
    subjects::Standing,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use node::{
    Caller, EntryId, InstitutionId,
    governance::{
        Application, MalformedClaim, MemberView, NetworkChange, NetworkEntry, NetworkPropose,
        NetworkVote, OwnKey, ParameterChange, ProposalView,
    },
    subject::Wait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network as this node sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Network {
    network: String,
    height: u64,
    epoch: u64,
    /// The epoch's last height, at which votes are counted.
    epoch_last: u64,
    /// The key by which peers know this node.
    node_key: String,
    /// The claim of this node's validator's key, with which any member can propose that it validates for
    /// its institution.
    validator_claim: String,
    /// Approvals that a proposal needs.
    approvals_needed: usize,
    parameters: Parameters,
    members: Vec<Member>,
    /// The open proposals, the oldest first.
    proposals: Vec<Proposal>,
}

/// The rules in force.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NetworkParameters")]
pub(crate) struct Parameters {
    epoch_blocks: u64,
    batch_interval_ms: u64,
    disclosure_period_ms: u64,
    subject_release_ms: u64,
    max_validity_heights: u64,
    recover_delay_ms: u64,
}

/// A member of the network.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Member {
    institution: String,
    name: String,
    kind: String,
    /// Its key in the consensus engine, if it is a validator in this epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    validator: Option<String>,
}

/// An open proposal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Proposal {
    proposal: String,
    proposed_by: String,
    says: String,
    /// Last epoch at whose end it may pass.
    expires_epoch: u64,
    approve: Vec<String>,
    reject: Vec<String>,
}

/// Proposes a change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NetworkPropose")]
pub(crate) struct Propose {
    change: Change,
    /// Epochs after this one at whose end it may still pass; 10 when left out.
    open_epochs: Option<u64>,
}

/// A change of the network.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "NetworkChange")]
pub(crate) enum Change {
    /// A member validates, under the key of this claim: 192 hexadecimal digits, the key and its signature,
    /// which the member's node shows as `validator_claim`.
    Validator {
        #[schemars(with = "String")]
        institution: InstitutionId,
        claim: String,
    },
    /// A member validates no longer.
    RemoveValidator {
        #[schemars(with = "String")]
        institution: InstitutionId,
    },
    /// This institution's node validates.
    Validate {},
    /// A member leaves; it must not be a validator.
    Retire {
        #[schemars(with = "String")]
        institution: InstitutionId,
    },
    /// New keys take the place of these of this institution; `validator` alone.
    Rotate { keys: Vec<Key> },
    /// Other parameters; those left out stay.
    Parameters {
        batch_interval_ms: Option<u64>,
        subject_release_ms: Option<u64>,
        max_validity_heights: Option<u64>,
        recover_delay_ms: Option<u64>,
    },
}

/// A key of this institution.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "InstitutionKey")]
pub(crate) enum Key {
    /// Signs entries.
    Signing,
    /// Signs governance.
    Governance,
    /// What other institutions seal to.
    Sealing,
    /// Votes in the consensus engine.
    Validator,
}

/// Votes on a proposal.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NetworkVote")]
pub(crate) struct Vote {
    approve: bool,
}

/// A proposal or vote that was accepted here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NetworkEntry")]
pub(crate) struct Accepted {
    /// The entry; of a proposal, its name.
    entry: String,
    /// The change, in a sentence.
    says: String,
    finality: Standing,
}

pub(crate) async fn show(State(edge): State<Edge>, Who(caller): Who) -> Result<Response, Problem> {
    let view = edge.node.network_show(caller).await?;
    let rules = view.parameters;
    let shown = Network {
        network: view.network.to_string(),
        height: view.height,
        epoch: view.epoch,
        epoch_last: view.epoch_last,
        node_key: view.node.to_string(),
        validator_claim: view.claim.to_string(),
        approvals_needed: view.approvals_needed,
        parameters: Parameters {
            epoch_blocks: rules.epoch_blocks,
            batch_interval_ms: rules.batch_interval_ms,
            disclosure_period_ms: rules.disclosure_period_ms,
            subject_release_ms: rules.subject_release_ms,
            max_validity_heights: rules.max_validity_heights,
            recover_delay_ms: rules.recover_delay_ms,
        },
        members: view.members.into_iter().map(Member::from).collect(),
        proposals: view.proposals.into_iter().map(Proposal::from).collect(),
    };
    Ok(answer(StatusCode::OK, &shown))
}

pub(crate) async fn propose(
    State(edge): State<Edge>,
    Who(caller): Who,
    headers: HeaderMap,
    Json(body): Json<Propose>,
) -> Result<Response, Problem> {
    const OPEN_EPOCHS: u64 = 10;
    let open_epochs = body.open_epochs.unwrap_or(OPEN_EPOCHS);
    let change = body.change.read()?;
    put(&edge, caller, change, open_epochs, wait(&headers, &edge)).await
}

pub(crate) async fn admit(
    State(edge): State<Edge>,
    Who(caller): Who,
    raw: Raw,
) -> Result<Response, Problem> {
    // Whose operator it is, the node knows: another's is told nothing of what was sent.
    edge.node.network_show(caller.clone()).await?;
    let wait = wait(&raw.headers, &edge);
    let held = edge
        .body(&raw.headers, raw.body, edge.limits.json_bytes)
        .await?;
    let application = Application::decode(&held.bytes).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            error.to_string(),
        )
    })?;
    let change = NetworkChange::Admit(Box::new(application));
    put(&edge, caller, change, 0, wait).await
}

async fn put(
    edge: &Edge,
    caller: Caller,
    change: NetworkChange,
    open_epochs: u64,
    wait: Wait,
) -> Result<Response, Problem> {
    let proposed = edge.node.network_propose(NetworkPropose {
        caller,
        change,
        open_epochs,
        wait,
    });
    Ok(answer(
        StatusCode::CREATED,
        &Accepted::from(proposed.await?),
    ))
}

pub(crate) async fn vote(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(proposal): At<EntryId>,
    headers: HeaderMap,
    Json(body): Json<Vote>,
) -> Result<Response, Problem> {
    let voted = edge.node.network_vote(NetworkVote {
        caller,
        proposal,
        approve: body.approve,
        wait: wait(&headers, &edge),
    });
    Ok(answer(StatusCode::OK, &Accepted::from(voted.await?)))
}

impl Change {
    fn read(self) -> Result<NetworkChange, Problem> {
        Ok(match self {
            Self::Validator { institution, claim } => {
                NetworkChange::Validator {
                    institution,
                    claim: Some(claim.parse().map_err(|error: MalformedClaim| {
                        Problem::bad_request(error.to_string())
                    })?),
                }
            }
            Self::RemoveValidator { institution } => NetworkChange::Validator {
                institution,
                claim: None,
            },
            Self::Validate {} => NetworkChange::Validate,
            Self::Retire { institution } => NetworkChange::Retire(institution),
            Self::Rotate { keys } => {
                NetworkChange::Rotate(keys.into_iter().map(OwnKey::from).collect())
            }
            Self::Parameters {
                batch_interval_ms,
                subject_release_ms,
                max_validity_heights,
                recover_delay_ms,
            } => NetworkChange::Parameters(ParameterChange {
                batch_interval_ms,
                subject_release_ms,
                max_validity_heights,
                recover_delay_ms,
            }),
        })
    }
}

impl From<Key> for OwnKey {
    fn from(key: Key) -> Self {
        match key {
            Key::Signing => Self::Signing,
            Key::Governance => Self::Governance,
            Key::Sealing => Self::Sealing,
            Key::Validator => Self::Validator,
        }
    }
}

impl From<MemberView> for Member {
    fn from(member: MemberView) -> Self {
        Self {
            institution: member.id.to_string(),
            name: member.name,
            kind: member.kind.to_string(),
            validator: member.validator.map(|key| key.to_string()),
        }
    }
}

impl From<ProposalView> for Proposal {
    fn from(proposal: ProposalView) -> Self {
        let names = |ids: &std::collections::BTreeSet<InstitutionId>| {
            ids.iter().map(ToString::to_string).collect()
        };
        Self {
            proposal: proposal.proposal.to_string(),
            proposed_by: proposal.proposed_by.to_string(),
            says: proposal.says,
            expires_epoch: proposal.expires_epoch,
            approve: names(&proposal.approve),
            reject: names(&proposal.reject),
        }
    }
}

impl From<NetworkEntry> for Accepted {
    fn from(entry: NetworkEntry) -> Self {
        Self {
            entry: entry.entry.to_string(),
            says: entry.says,
            finality: entry.finality.into(),
        }
    }
}
