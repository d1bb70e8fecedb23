//! Block headers and the rule for block time.
//!
//! A header binds its parent, its entries, the whole log before it and the state after it. Its
//! digest is the block id. The encoded header is then appended to the log as the block's last leaf.

use codec::{Digest, Domain, NetworkId, record};

/// How far a block's time may lie ahead of a verifier's clock before the verifier waits.
pub const AHEAD_LIMIT_MS: u64 = 15 * 60 * 1_000;

record! {
    /// The header of a block.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Header {
        /// The network.
        1 => pub network: NetworkId,
        /// Blocks since the genesis, whose height is 0.
        2 => pub height: u64,
        /// Digest of the header before; zeros at height 0.
        3 => pub parent: Digest,
        /// Unix milliseconds, later than the parent's.
        4 => pub time_ms: u64,
        /// RFC 6962 root over the exact bytes of the block's entries.
        5 => pub entries_root: Digest,
        /// Leaves of the log before this header's own, the block's entries included.
        6 => pub log_size: u64,
        /// RFC 6962 root over those leaves.
        7 => pub log_root: Digest,
        /// Root of the state after this block.
        8 => pub state_root: Digest,
        /// At an epoch's last block, the digest of the next epoch's validators.
        9 => pub next_validators: Option<Digest>,
    }
}

impl Header {
    /// The block id.
    pub fn digest(&self) -> Digest {
        keys::digest(Domain::Header, &[&codec::to_vec(self)])
    }

    /// The bytes of the block's last log leaf.
    pub fn leaf(&self) -> Vec<u8> {
        codec::to_vec(self)
    }

    /// Whether this block follows `parent` directly.
    pub fn follows(&self, parent: &Self) -> bool {
        self.network == parent.network
            && parent.height.checked_add(1) == Some(self.height)
            && self.parent == parent.digest()
            && self.time_ms > parent.time_ms
            && self.log_size > parent.log_size
    }
}

/// The time of a new block: the proposer's clock, but later than the parent.
pub fn block_time(parent_ms: u64, clock_ms: u64) -> u64 {
    parent_ms.saturating_add(1).max(clock_ms)
}

/// What a verifier makes of a block's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Acceptable now.
    Now,
    /// Acceptable after this long; until then the block stays pending, it is never rejected.
    Later {
        /// Milliseconds to wait by the verifier's clock.
        wait_ms: u64,
    },
    /// Never: not later than the parent.
    Never,
}

/// Judges a block's time by its parent's time and the verifier's clock.
///
/// The earliest time that can follow is always acceptable: when clocks were ahead and are set right, no
/// proposer could do better, and waiting would only hold the ledger up.
pub fn timing(parent_ms: u64, time_ms: u64, clock_ms: u64) -> Timing {
    if time_ms <= parent_ms {
        return Timing::Never;
    }
    if time_ms == parent_ms.saturating_add(1) {
        return Timing::Now;
    }
    match time_ms.saturating_sub(clock_ms.saturating_add(AHEAD_LIMIT_MS)) {
        0 => Timing::Now,
        wait_ms => Timing::Later { wait_ms },
    }
}
