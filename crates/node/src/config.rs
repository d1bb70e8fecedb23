//! What an operator sets for one node. Durations in milliseconds, sizes in bytes.

use consent::Policy;
use std::net::SocketAddr;

/// Configuration of a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the engine listens for its peers.
    pub listen: SocketAddr,
    /// The other validators: consensus public key and address.
    pub peers: Vec<(keys::PublicKey, SocketAddr)>,
    /// Prefix of the engine's storage partitions.
    pub partition: String,
    /// The institution's own rules for care and law.
    pub policy: Policy,
    /// How long records must be kept after their last version, and under which law.
    pub retention: Retention,
    /// Limits.
    pub limits: Limits,
}

/// The retention period of the institution's law; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Milliseconds after a record's latest version before the subject may be erased. 0: no period.
    pub keep_ms: u64,
    /// The law, as shown to who asks for erasure ("BGB 630f", "GDPR 17(3)(b)").
    pub law: String,
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
    /// Heights for which a signed entry stays valid.
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
            validity_heights: 5_000,
        }
    }
}

impl Config {
    /// A node that listens there, with no peers and the default policy.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            peers: Vec::new(),
            partition: "ithaca".to_owned(),
            policy: Policy::default(),
            retention: Retention::default(),
            limits: Limits::default(),
        }
    }
}
