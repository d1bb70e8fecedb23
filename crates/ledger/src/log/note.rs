//! Checkpoint texts: the body of a C2SP signed note (tlog-checkpoint).
//!
//! Three lines, each ended by a newline: the log's origin, its size in decimal, its root in base64.
//! No extension lines, because post-quantum cosignatures do not cover them. Signatures are not part
//! of this text.

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
            root: decode(root).ok_or(BadCheckpoint(3))?,
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
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, encode(&self.root))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648 section 4).
fn encode(digest: &Digest) -> String {
    let mut text = String::with_capacity(44);
    for chunk in digest.as_bytes().chunks(3) {
        let mut group = [0; 4];
        for (to, from) in group[1..].iter_mut().zip(chunk) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(group);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// The digest whose base64 this is, up to bits that [`encode`] never sets.
fn decode(text: &str) -> Option<Digest> {
    let letters = text.strip_suffix('=')?;
    let mut bytes = Vec::with_capacity(33);
    for chunk in letters.as_bytes().chunks(4) {
        let mut bits = 0;
        for letter in chunk {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Digest::try_from(bytes.as_slice()).ok()
}
