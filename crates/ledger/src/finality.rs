//! Finality offline: from the network's genesis, over epoch boundaries, to a certified header.
//!
//! At each epoch's last block the header names the next epoch's validators. A verifier that trusts
//! the validators of some epoch (an [`Anchor`]; the genesis is one) checks each boundary's
//! certificate and moves on to the next epoch, until it reaches the epoch of the certified header.
//! Not every header has a certificate of its own: a [`Finality`] walks from a header to its first
//! certified descendant.
//!
//! It does not know what a certificate is: [`CertificateCheck`] does.

use crate::genesis::{Genesis, Parameters, Validators};
use crate::header::Header;
use codec::{Digest, NetworkId, record};
use keys::PublicKey;

/// Checks certificates; implemented by the consensus engine's side.
pub trait CertificateCheck {
    /// Whether `certificate` makes the header with this digest final, by the validators of `epoch`
    /// (their keys ascending by bytes).
    fn check(
        &self,
        validators: &[PublicKey],
        epoch: u64,
        header_digest: &Digest,
        certificate: &[u8],
    ) -> bool;
}

record! {
    /// Proof that a header is final.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Finality {
        /// The header, then its descendants up to one with a certificate, all of one epoch.
        1 => pub headers: Vec<Header>,
        /// Certificate of the last of them.
        2 => pub certificate: Vec<u8>,
        /// The ends of the epochs between the verifier's anchor and theirs.
        3 => pub boundaries: Vec<Boundary>,
    }
}

record! {
    /// The end of an epoch.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Boundary {
        /// Header of the epoch's last block.
        1 => pub header: Header,
        /// Its certificate.
        2 => pub certificate: Vec<u8>,
        /// The next epoch's validators, whose digest the header names.
        3 => pub next: Validators,
    }
}

/// Validators that a verifier trusts, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    network: NetworkId,
    parameters: Parameters,
    epoch: u64,
    validators: Validators,
    keys: Vec<PublicKey>,
}

impl Anchor {
    /// The validators that the genesis names, for epoch 0.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self {
            network: genesis.network_id(),
            parameters: genesis.parameters,
            epoch: 0,
            keys: genesis.validators.keys(),
            validators: genesis.validators.clone(),
        }
    }

    /// The validators of an epoch that the caller knows to be those of this network, for example
    /// from an anchor that it advanced before.
    pub fn trusted(genesis: &Genesis, epoch: u64, validators: Validators) -> Self {
        Self {
            epoch,
            keys: validators.keys(),
            validators,
            ..Self::genesis(genesis)
        }
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The network's parameters at its genesis; the epoch's and the period's length are fixed.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The epoch whose validators are trusted.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The trusted validators.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// Moves on to the next epoch.
    ///
    /// # Errors
    /// [`BrokenLink::Boundary`] with this anchor's epoch.
    pub fn advance(
        &mut self,
        boundary: &Boundary,
        check: &dyn CertificateCheck,
    ) -> Result<(), BrokenLink> {
        let header = &boundary.header;
        let holds = header.network == self.network
            && self.parameters.epoch(header.height) == self.epoch
            && self.parameters.is_epoch_last(header.height)
            && header.next_validators == Some(boundary.next.digest())
            && self.certifies(header, &boundary.certificate, check);
        if !holds {
            return Err(BrokenLink::Boundary(self.epoch));
        }
        self.epoch = self.epoch.saturating_add(1);
        self.keys = boundary.next.keys();
        self.validators = boundary.next.clone();
        Ok(())
    }

    fn certifies(&self, header: &Header, certificate: &[u8], check: &dyn CertificateCheck) -> bool {
        check.check(&self.keys, self.epoch, &header.digest(), certificate)
    }
}

impl Finality {
    /// The header that this proves final.
    pub fn header(&self) -> Option<&Header> {
        self.headers.first()
    }

    /// Checks everything from `anchor` to the header and returns it. Boundaries of epochs before
    /// the anchor's are skipped.
    ///
    /// # Errors
    /// The first broken link.
    pub fn verify(
        &self,
        anchor: &Anchor,
        check: &dyn CertificateCheck,
    ) -> Result<&Header, BrokenLink> {
        let (Some(header), Some(certified)) = (self.headers.first(), self.headers.last()) else {
            return Err(BrokenLink::Header);
        };
        if header.network != anchor.network {
            return Err(BrokenLink::Network);
        }
        let epoch = |header: &Header| anchor.parameters.epoch(header.height);
        for pair in self.headers.windows(2) {
            if let [parent, child] = pair
                && !(child.follows(parent) && epoch(child) == epoch(parent))
            {
                return Err(BrokenLink::Header);
            }
        }
        let mut at = anchor.clone();
        for boundary in &self.boundaries {
            if epoch(&boundary.header) >= anchor.epoch {
                at.advance(boundary, check)?;
            }
        }
        if epoch(certified) != at.epoch {
            return Err(BrokenLink::Boundary(at.epoch));
        }
        if at.certifies(certified, &self.certificate, check) {
            Ok(header)
        } else {
            Err(BrokenLink::Certificate)
        }
    }
}

/// The link of a proof that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLink {
    /// The proof's bytes.
    #[error("The proof is not well-formed.")]
    Malformed,
    /// The network.
    #[error("The proof is of another network than the genesis.")]
    Network,
    /// From the given bytes to a leaf of the commitment.
    #[error("The given content is not among those that the record's commitment covers.")]
    Leaf,
    /// No leaf to compare the given content with.
    #[error(
        "The receipt opens no leaf, so it does not tell what content its commitment covers; ask for one that does."
    )]
    Unopened,
    /// From a leaf to the record's commitment.
    #[error("A leaf of the proof does not lead to the record's commitment.")]
    Commitment,
    /// From the commitment to the batch's root.
    #[error("The record's commitment is not in the batch that the entry commits to.")]
    Batch,
    /// From the subject's key to the period's root.
    #[error("The answer for this subject is not in the period's map that the entry commits to.")]
    Map,
    /// The entry itself.
    #[error("The entry is malformed or not of the type that the proof needs.")]
    Entry,
    /// From the entry's signer to the custodian.
    #[error("The key that the entry names as its signer is not the custodian's in the state.")]
    Signer,
    /// The entry's signature.
    #[error("The entry is not signed by the custodian's key.")]
    EntrySignature,
    /// From the entry to the log.
    #[error("The entry is not in the log that the header names.")]
    Inclusion,
    /// From the header that dates the entry to the log.
    #[error("The header of the entry's block is not in the log behind the entry.")]
    Block,
    /// From the value to the state.
    #[error("The consent state, or its absence, does not lead to the state that the header names.")]
    State,
    /// From the release or its study to the state.
    #[error("The release, or its study, does not lead to the state that the header names.")]
    Release,
    /// From the header to a certified one.
    #[error("The headers do not follow one another up to a certified one.")]
    Header,
    /// The certificate.
    #[error("The validators' certificate does not make the header final.")]
    Certificate,
    /// An epoch's end.
    #[error("The end of epoch {0} is missing or does not hand over to the next validators.")]
    Boundary(u64),
}
