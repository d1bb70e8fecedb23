//! Checkpoint texts: the body of a C2SP signed note (tlog-checkpoint).
//!
//! Three lines, each ended by a newline: the log's origin, its size in decimal, its root in base64.
//! No extension lines, because post-quantum cosignatures do not cover them. Signatures are not part
//! of this text: [`super::signed`] has them.

use codec::base64;
use codec::{Digest, NetworkId};
use std::fmt;

/// A log at some size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Digest,
}

/// Text that is not a checkpoint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} of the checkpoint is malformed")]
pub struct BadCheckpoint(pub u8);

impl Checkpoint {
    /// A network's log at a finalised block's end.
    pub fn new(network: &NetworkId, size: u64, root: Digest) -> Self {
        Self {
            origin: origin(network),
            size,
            root,
        }
    }

    /// The name of the log: `ithaca/` and the network id.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their RFC 6962 root.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Reads a text; every checkpoint has exactly one.
    ///
    /// # Errors
    /// [`BadCheckpoint`].
    pub fn parse(text: &str) -> Result<Self, BadCheckpoint> {
        let mut lines = text
            .split_inclusive('\n')
            .map(|line| line.strip_suffix('\n'));
        let mut line = |number| lines.next().flatten().ok_or(BadCheckpoint(number));
        let (origin, size, root) = (line(1)?, line(2)?, line(3)?);
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| BadCheckpoint(2))?,
            root: digest(root).ok_or(BadCheckpoint(3))?,
        };
        let named = origin.strip_prefix("ithaca/");
        if named.is_none_or(|id| id.parse::<NetworkId>().is_err()) {
            return Err(BadCheckpoint(1));
        }
        if checkpoint.to_string() == text {
            Ok(checkpoint)
        } else {
            Err(BadCheckpoint(if lines.next().is_some() { 4 } else { 2 }))
        }
    }
}

/// The name of a network's log.
pub fn origin(network: &NetworkId) -> String {
    format!("ithaca/{network}")
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            base64::encode(self.root.as_bytes())
        )
    }
}

fn digest(text: &str) -> Option<Digest> {
    Digest::try_from(base64::decode(text)?.as_slice()).ok()
}
