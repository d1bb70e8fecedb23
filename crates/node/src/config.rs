//! What an operator sets for one node. Durations in milliseconds, sizes in bytes.

use crate::differential::Knowledge;
use crate::fhir::Subscriptions;
use crate::research::Research;
use codec::id::InstitutionId;
use consensus::network::{PeerList, PeerSource};
use consent::Policy;
use ledger::Genesis;
use std::net::SocketAddr;
use std::sync::Arc;

/// Configuration of a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// The network.
    pub genesis: Genesis,
    /// Which of its institutions this is.
    pub institution: InstitutionId,
    /// Where the engine listens for its peers.
    pub listen: SocketAddr,
    /// The other validators: consensus public key and address.
    pub peers: PeerList,
    /// Asked for them again at each epoch's start.
    pub peers_again: Option<PeerSource>,
    /// Prefix of the engine's storage partitions.
    pub partition: String,
    /// Time after which an empty block is made.
    pub idle_block_ms: u64,
    /// With several validators: how long a leader may take before it is the next one's turn.
    pub leader_timeout_ms: u64,
    /// The institution's own rules for care and law.
    pub policy: Policy,
    /// What it lets its people do, beside consent; without one, what their roles allow.
    pub institution_policy: Option<Arc<institution_policy::Policy>>,
    /// Limits.
    pub limits: Limits,
    /// What is known of diseases; without it the node makes no differentials.
    pub knowledge: Option<Arc<Knowledge>>,
    /// Budgets and limits of research.
    pub research: Research,
    /// How FHIR Subscriptions are delivered; without it none are taken.
    pub subscriptions: Option<Subscriptions>,
}

/// Bounds on what a node takes and keeps in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Use cases in flight; more are refused as busy.
    pub in_flight: usize,
    /// One payload.
    pub payload_bytes: usize,
    /// Resources in one bundle.
    pub bundle_entries: usize,
    /// Records in one answer.
    pub fetch_records: usize,
    /// Longest wait for finality a caller may ask for.
    pub wait_ms: u64,
    /// Commitments in one record batch.
    pub batch_records: usize,
    /// Subject entries in one shuffled group.
    pub group_entries: usize,
    /// Events a slow subscriber may be behind before it is cut off.
    pub event_backlog: usize,
    /// Heights for which a signed entry stays valid: for so long every validator remembers its id.
    pub validity_heights: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            payload_bytes: 16 << 20,
            bundle_entries: 1_000,
            fetch_records: 10_000,
            wait_ms: 30_000,
            batch_records: 4_096,
            group_entries: 256,
            event_backlog: 1_024,
            validity_heights: 1_000,
        }
    }
}

impl Config {
    /// A node of that institution in that network, listening there, with no peers and the default policy.
    pub fn new(genesis: Genesis, institution: InstitutionId, listen: SocketAddr) -> Self {
        Self {
            genesis,
            institution,
            listen,
            peers: Vec::new(),
            peers_again: None,
            partition: "ithaca".to_owned(),
            idle_block_ms: 10_000,
            leader_timeout_ms: 1_000,
            policy: Policy::default(),
            institution_policy: None,
            limits: Limits::default(),
            knowledge: None,
            research: Research::default(),
            subscriptions: None,
        }
    }
}
