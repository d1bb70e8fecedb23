//! What the ledger's log shows to others, in the shapes of C2SP tlog-tiles.
//!
//! Checkpoints and tiles of hashes go to everyone. Entry bundles tell the rough activity of each
//! custodian, so they go to members and auditors only: auditors of anywhere, and operators and privacy
//! officers of the network's members.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use consent::Role;
use ledger::log::{paths, tiles::TILE_WIDTH};
use store::Store;

/// A tile of hashes.
#[derive(Debug, Clone)]
pub struct LogTile {
    /// Its level.
    pub level: u8,
    /// Position and width as in a path: `x001/x234/067` or `067.p/8`.
    pub index: String,
}

/// A bundle of entries.
#[derive(Debug, Clone)]
pub struct LogBundle {
    /// An auditor, or an operator or privacy officer of a member.
    pub caller: Caller,
    /// As of [`LogTile`].
    pub index: String,
}

impl<S: Store> Custodian<S> {
    /// At most 8 KiB.
    pub(crate) async fn log_tile(&self, input: LogTile) -> Result<Vec<u8>, Error> {
        let (index, width) = place(&input.index)?;
        let tile = self.ledger.log_tile(input.level, index, width).await;
        Ok(paths::tile_bytes(&tile.map_err(absent)?))
    }

    /// At most 256 leaves of at most 64 KiB.
    pub(crate) async fn log_bundle(&self, input: LogBundle) -> Result<Vec<u8>, Error> {
        self.sees_entries(&input.caller)?;
        let (index, width) = place(&input.index)?;
        let tile_width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        let first = index.checked_mul(tile_width).ok_or(NO_TILE)?;
        let end = first.checked_add(width).ok_or(NO_TILE)?;
        let leaves = self.ledger.log_leaves(first, end).await.map_err(absent)?;
        paths::bundle_bytes(leaves.iter().map(AsRef::as_ref))
            .ok_or(Error::Internal("a leaf of the log is too long"))
    }

    fn sees_entries(&self, caller: &Caller) -> Result<(), Error> {
        let roles = [Role::Auditor, Role::Operator, Role::PrivacyOfficer];
        caller.needs("reading the ledger's entries", &roles)?;
        if caller.has(Role::Auditor) || self.is_member(caller) {
            Ok(())
        } else {
            Err(Error::Elsewhere)
        }
    }

    /// Whether the caller is of a member of the network.
    pub(crate) fn is_member(&self, caller: &Caller) -> bool {
        let members = self.ledger.state_view().roster().members;
        members.contains_key(&caller.actor.institution)
    }
}

const NO_TILE: Error = Error::Unknown("tile of this log");

fn place(index: &str) -> Result<(u64, usize), Error> {
    paths::parse_index(index).ok_or(NO_TILE)
}

/// Beyond the log there is nothing, and nothing to wait for.
fn absent(error: consensus::ReadError) -> Error {
    match error {
        consensus::ReadError::NotFinal => NO_TILE,
        error => error.into(),
    }
}
