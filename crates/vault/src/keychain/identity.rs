//! The institution's own keys: seeds to sign, cosign, open what is sealed to it, and validate.

use super::codec_error;
use crate::custody::{CustodyError, CustodyFile};
use codec::{Decode, Domain, Encode, Millis, Reader, SubjectId, Writer, record};
use keys::{Entropy, Secret, Zeroizing};
use std::fmt;

const FORMAT: u64 = 1;
const CAPACITY: usize = 256;

record! {
    /// The keys were restored from a backup: what came after it is on the ledger but not here.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Restored {
        /// When they were restored.
        1 => pub at: Millis,
        /// When the backup was made.
        2 => pub backup_at: Millis,
        /// Subjects erased since: their keys were left out, their rows are still to be removed.
        3 => pub tombstones: Vec<SubjectId>,
    }
}

/// The seeds of an institution's keys. What is made of them is the caller's business.
#[derive(Clone)]
pub struct Identity {
    /// Ed25519: signs the institution's entries.
    pub signing_seed: Secret,
    /// ML-DSA-44: signs governance and cosigns checkpoints.
    pub pq_signing_seed: Secret,
    /// X-Wing: opens what other institutions seal to this one.
    pub hybrid_seed: Secret,
    /// Ed25519: votes in consensus. Never restored from a backup.
    pub validator_seed: Secret,
    /// Seals the node's own rows in the store: outbox, entries, periods, accounts.
    pub(crate) node_key: Secret,
    /// Set by a restore until the vault is in step with the ledger again.
    pub(crate) restored: Option<Restored>,
}

impl Identity {
    /// Fresh seeds.
    pub fn generate(entropy: &mut impl Entropy) -> Self {
        Self {
            signing_seed: Secret::generate(entropy),
            pq_signing_seed: Secret::generate(entropy),
            hybrid_seed: Secret::generate(entropy),
            validator_seed: Secret::generate(entropy),
            node_key: Secret::generate(entropy),
            restored: None,
        }
    }

    pub(crate) fn seal(&self, root: &Secret, entropy: &mut impl Entropy) -> Vec<u8> {
        let plain = self.encode();
        keys::seal(&key(root), Domain::IdentitySeal.tag(), &plain, entropy)
    }

    pub(crate) fn open(root: &Secret, sealed: &[u8]) -> Result<Self, CustodyError> {
        let damaged = || CustodyError::Damaged {
            file: CustodyFile::Identity,
        };
        let plain =
            keys::open(&key(root), Domain::IdentitySeal.tag(), sealed).map_err(|_| damaged())?;
        Self::decode(&plain).map_err(|_| damaged())
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let restored = codec::to_vec(&self.restored);
        let mut w = Writer::with_capacity(CAPACITY.saturating_add(restored.len()));
        w.array(7);
        w.uint(FORMAT);
        for seed in [
            &self.signing_seed,
            &self.pq_signing_seed,
            &self.hybrid_seed,
            &self.validator_seed,
            &self.node_key,
        ] {
            w.bytes(seed.expose());
        }
        self.restored.encode(&mut w);
        Zeroizing::new(w.into_vec())
    }

    pub(crate) fn decode(plain: &[u8]) -> Result<Self, codec::Error> {
        let mut r = Reader::new(plain);
        r.array_exact(7)?;
        codec_error(r.uint()? == FORMAT, "unknown format of an identity")?;
        let identity = Self {
            signing_seed: Secret::from_bytes(r.bytes_exact()?),
            pq_signing_seed: Secret::from_bytes(r.bytes_exact()?),
            hybrid_seed: Secret::from_bytes(r.bytes_exact()?),
            validator_seed: Secret::from_bytes(r.bytes_exact()?),
            node_key: Secret::from_bytes(r.bytes_exact()?),
            restored: Option::decode(&mut r)?,
        };
        r.finish()?;
        Ok(identity)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(<redacted>)")
    }
}

fn key(root: &Secret) -> Secret {
    root.derive(Domain::RootKey, b"identity")
}
