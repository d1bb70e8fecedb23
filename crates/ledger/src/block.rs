//! Making a block: the header that follows from a parent, its log, its state, a time and entries.
//!
//! A proposer and every verifier call [`extend`]; a proposed header is right if it equals the one
//! that [`extend`] makes from the same time and entries.

use crate::entry::SignedEntry;
use crate::header::Header;
use crate::log::{Frontier, leaf_hash};
use crate::state::{BlockContext, Executed, Rejection, View, execute};
use codec::Digest;

/// A block over its parent.
pub struct Extension {
    /// The header.
    pub header: Header,
    /// What the block does to the state.
    pub executed: Executed,
    /// The log after the block: its entries and its header's own leaf.
    pub log: Frontier,
}

/// Builds the block of these entries over a parent.
///
/// `log` is the log after the parent, the parent's own leaf included; `view` the state after it.
///
/// # Errors
/// [`Rejection`]: no such block can follow.
pub fn extend(
    parent: &Header,
    log: &Frontier,
    view: &View,
    time_ms: u64,
    entries: &[SignedEntry],
) -> Result<Extension, Rejection> {
    let context = BlockContext {
        height: view.tip().height.saturating_add(1),
        time_ms,
    };
    let executed = execute(view, &context, entries)?;
    seal(parent, log, view, executed, entries)
}

/// Builds the block of entries that were executed already ([`crate::state::select`]).
///
/// # Errors
/// [`Rejection::Parent`].
pub fn seal(
    parent: &Header,
    log: &Frontier,
    view: &View,
    executed: Executed,
    entries: &[SignedEntry],
) -> Result<Extension, Rejection> {
    let tip = view.tip();
    let belongs = parent.network == view.network()
        && parent.height == tip.height
        && parent.time_ms == tip.time_ms
        && parent.state_root == tip.state_root
        && parent.log_size.checked_add(1) == Some(log.size());
    if !belongs || !executed.follows(view) {
        return Err(Rejection::Parent);
    }
    let leaves: Vec<Digest> = entries.iter().map(SignedEntry::leaf_hash).collect();
    let mut log = log.clone();
    for leaf in &leaves {
        log.append(*leaf);
    }
    let header = Header {
        network: parent.network,
        height: executed.tip().height,
        parent: parent.digest(),
        time_ms: executed.tip().time_ms,
        entries_root: keys::merkle::root(&leaves),
        log_size: log.size(),
        log_root: log.root(),
        state_root: executed.state_root(),
        next_validators: executed.next_validators(),
    };
    log.append(leaf_hash(&header.leaf()));
    Ok(Extension {
        header,
        executed,
        log,
    })
}

/// The log after block 0.
pub fn genesis_log(header: &Header) -> Frontier {
    let mut log = Frontier::new();
    log.append(leaf_hash(&header.leaf()));
    log
}

/// The hashes of a block's log leaves, in order: its entries, then its header.
pub fn log_leaves(header: &Header, entries: &[SignedEntry]) -> Vec<Digest> {
    let mut leaves: Vec<_> = entries.iter().map(SignedEntry::leaf_hash).collect();
    leaves.push(leaf_hash(&header.leaf()));
    leaves
}
