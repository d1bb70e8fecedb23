//! How the node does: for operators and probes. Counts and heights, no patient data.

use codec::id::{InstitutionId, NetworkId};

/// What an operator sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The network.
    pub network: NetworkId,
    /// This institution.
    pub institution: InstitutionId,
    /// Its name, from the ledger.
    pub name: String,
    /// Whether this node is a validator.
    pub validator: bool,
    /// The ledger's tip as seen here.
    pub tip: TipView,
    /// What waits for the ledger.
    pub outbox: OutboxView,
    /// Whether decisions are refused because this node was restored and does not match the ledger yet.
    pub restored: bool,
    /// What needs an operator's attention, in sentences.
    pub warnings: Vec<String>,
}

/// The ledger's tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TipView {
    /// Height of the last finalised block.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
    /// Entries and headers in the log.
    pub log_size: u64,
    /// How old this view is.
    pub age_ms: u64,
}

/// Durable things that wait for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxView {
    /// Commitments in no batch yet.
    pub commitments: u64,
    /// Entries (batches, subjects, periods) not final yet.
    pub entries: u64,
    /// The oldest of them was accepted so long ago.
    pub oldest_ms: u64,
}

/// Whether the node can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Own care can be served.
    pub ready: bool,
    /// Sharing and research can be served too: the ledger's view is fresh.
    pub fresh: bool,
    /// Why not, in sentences.
    pub because: Vec<String>,
}

/// Counters since the start, and gauges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Name, help and value; names end in `_total` for counters.
    pub samples: Vec<Sample>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// "ithaca_deposits_total".
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}
