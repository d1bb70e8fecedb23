//! Ledger entries: typed bodies, signed as COSE_Sign1 (RFC 9052) with Ed25519.
//!
//! The protected header ([`keys::cose::protected_header`]) binds an [`EntryHeader`]: network, entry
//! type, signer's key id, last valid height. The unprotected header is empty, the external data is
//! the tag of [`Domain::EntrySignature`]. The payload is the encoded [`Entry`], `[type, body]`.
//!
//! [`SignedEntry::decode`] is strict: at most [`ENTRY_MAX_BYTES`], exactly one encoding. It does
//! not know the signer's key; [`SignedEntry::verify`] does, and the state machine resolves it.

mod custody;
mod governance;
mod research;
mod subject;

pub use custody::{DeviceEnrol, DeviceRevoke, DisclosurePeriod, RecordBatch};
pub use governance::{
    Candidate, Change, InstitutionPropose, InstitutionVote, MalformedClaim, ProposeTerms, Rotation,
    SetValidator, ValidatorClaim, VoteTerms, candidate_sign, governance_sign,
};
pub(crate) use governance::{candidate_verify, governance_verify};
pub use research::{StudyOpen, StudyRelease};
pub use subject::{
    OpenTerms, RecoverTerms, SLOTS, Slot, SubjectClose, SubjectOpen, SubjectRecover, SubjectUpdate,
    UpdateTerms,
};

use bytes::Bytes;
use codec::{Decode, Digest, Domain, Encode, EntryId, NetworkId, Reader, Writer, choice, record};
use keys::cose::{Sign1, protected_application, protected_header};
use keys::{PublicKey, Signature, SigningKey};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most bytes of a signed entry.
pub const ENTRY_MAX_BYTES: usize = 65_535;

choice! {
    /// What a member says.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Entry {
        /// Proposes a change of the network.
        1 => InstitutionPropose(Box<InstitutionPropose>),
        /// Votes on a proposal.
        2 => InstitutionVote(Box<InstitutionVote>),
        /// Opens a compartment.
        3 => SubjectOpen(Box<SubjectOpen>),
        /// Replaces a consent state.
        4 => SubjectUpdate(Box<SubjectUpdate>),
        /// Replaces a subject's controllers after a delay.
        5 => SubjectRecover(Box<SubjectRecover>),
        /// Closes a compartment.
        6 => SubjectClose(SubjectClose),
        /// Commits to records.
        7 => RecordBatch(RecordBatch),
        /// Commits to a period's disclosures.
        8 => DisclosurePeriod(DisclosurePeriod),
        /// Enrols a device.
        9 => DeviceEnrol(DeviceEnrol),
        /// Revokes a device.
        10 => DeviceRevoke(DeviceRevoke),
        /// Opens a study.
        11 => StudyOpen(StudyOpen),
        /// Releases a data set.
        12 => StudyRelease(StudyRelease),
    }
}

/// Tags of the entries whose id covers their terms only.
pub(crate) mod tags {
    pub(crate) const INSTITUTION_PROPOSE: u64 = 1;
    pub(crate) const INSTITUTION_VOTE: u64 = 2;
    pub(crate) const SUBJECT_OPEN: u64 = 3;
    pub(crate) const SUBJECT_UPDATE: u64 = 4;
    pub(crate) const SUBJECT_RECOVER: u64 = 5;
}

impl Entry {
    /// The entry's id: the digest of the network and of what the entry means, without signatures
    /// and validity.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        match self {
            Self::InstitutionPropose(e) => e.terms.id(network),
            Self::InstitutionVote(e) => e.terms.id(network),
            Self::SubjectOpen(e) => e.terms.id(network),
            Self::SubjectUpdate(e) => e.terms.id(network),
            Self::SubjectRecover(e) => e.terms.id(network),
            Self::SubjectClose(e) => entry_id(network, self.tag(), e),
            Self::RecordBatch(e) => entry_id(network, self.tag(), e),
            Self::DisclosurePeriod(e) => entry_id(network, self.tag(), e),
            Self::DeviceEnrol(e) => entry_id(network, self.tag(), e),
            Self::DeviceRevoke(e) => entry_id(network, self.tag(), e),
            Self::StudyOpen(e) => entry_id(network, self.tag(), e),
            Self::StudyRelease(e) => entry_id(network, self.tag(), e),
        }
    }

    /// The entry type's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InstitutionPropose(_) => "InstitutionPropose",
            Self::InstitutionVote(_) => "InstitutionVote",
            Self::SubjectOpen(_) => "SubjectOpen",
            Self::SubjectUpdate(_) => "SubjectUpdate",
            Self::SubjectRecover(_) => "SubjectRecover",
            Self::SubjectClose(_) => "SubjectClose",
            Self::RecordBatch(_) => "RecordBatch",
            Self::DisclosurePeriod(_) => "DisclosurePeriod",
            Self::DeviceEnrol(_) => "DeviceEnrol",
            Self::DeviceRevoke(_) => "DeviceRevoke",
            Self::StudyOpen(_) => "StudyOpen",
            Self::StudyRelease(_) => "StudyRelease",
        }
    }
}

/// The digest of an institution's or a slot's public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id of this key.
    pub fn of(key: &PublicKey) -> Self {
        Self(key.id())
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for KeyId {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for KeyId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, codec::Error> {
        Digest::decode(r).map(Self)
    }
}

record! {
    /// What a signed entry binds beside its body.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EntryHeader {
        /// The network.
        1 => pub network: NetworkId,
        /// The entry's tag ([`Entry::tag`]).
        2 => pub entry_type: u64,
        /// The signer's key.
        3 => pub signer: KeyId,
        /// Last height at which the entry may be included.
        4 => pub last_valid: u64,
    }
}

/// An entry as it travels and is logged. Clones share memory.
#[derive(Clone)]
pub struct SignedEntry(Arc<Parts>);

struct Parts {
    bytes: Bytes,
    header: EntryHeader,
    entry: Entry,
    id: EntryId,
    signature: Signature,
    /// Whether the signature was found to hold under the key that `header.signer` names.
    verified: AtomicBool,
    /// Whether what the body alone decides was found to hold: that its keys are keys, and a signature in
    /// it by one of them.
    coherent: AtomicBool,
}

impl SignedEntry {
    /// Signs an entry for a network; it may be included up to height `last_valid`.
    ///
    /// # Errors
    /// [`EntryError::TooLong`].
    pub fn sign(
        network: &NetworkId,
        entry: &Entry,
        last_valid: u64,
        key: &SigningKey,
    ) -> Result<Self, EntryError> {
        let header = EntryHeader {
            network: *network,
            entry_type: entry.tag(),
            signer: KeyId::of(&key.public()),
            last_valid,
        };
        let signed = Sign1::sign(
            protected_header(&header),
            codec::to_vec(entry),
            Domain::EntrySignature.tag(),
            key,
        );
        Self::decode(&signed.encode())
    }

    /// Reads a signed entry. The signature is not checked.
    ///
    /// # Errors
    /// Anything but the one encoding of a COSE_Sign1 with an entry's header and body.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_MAX_BYTES {
            return Err(EntryError::TooLong {
                size_bytes: bytes.len(),
            });
        }
        let sign1 = Sign1::decode(bytes).map_err(|_| EntryError::Envelope)?;
        let header: EntryHeader =
            protected_application(&sign1.protected).map_err(EntryError::Header)?;
        let entry: Entry = codec::from_slice(&sign1.payload).map_err(EntryError::Body)?;
        if header.entry_type != entry.tag() {
            return Err(EntryError::Type {
                header: header.entry_type,
                body: entry.tag(),
            });
        }
        Ok(Self(Arc::new(Parts {
            bytes: Bytes::copy_from_slice(bytes),
            header,
            id: entry.id(&header.network),
            entry,
            signature: sign1.signature,
            verified: AtomicBool::new(false),
            coherent: AtomicBool::new(false),
        })))
    }

    /// The exact bytes: what is sent, logged and hashed.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// What the signature binds beside the body.
    pub fn header(&self) -> &EntryHeader {
        &self.0.header
    }

    /// The body.
    pub fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// The entry's id.
    pub fn entry_id(&self) -> EntryId {
        self.0.id
    }

    /// The entry's leaf hash in the log.
    pub fn leaf_hash(&self) -> Digest {
        keys::merkle::leaf_hash(&self.0.bytes)
    }

    /// Checks the signature under the signer's key, once: all clones remember that it holds.
    ///
    /// # Errors
    /// [`EntryError::Signer`] if the header names another key, [`EntryError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), EntryError> {
        // INVARIANT: a key id is a collision-resistant digest, so `verified` concerns this key.
        if KeyId::of(key) != self.0.header.signer {
            return Err(EntryError::Signer);
        }
        if self.0.verified.load(Ordering::Relaxed) {
            return Ok(());
        }
        key.verify(&self.to_be_signed(), &self.0.signature)
            .map_err(|_| EntryError::Signature)?;
        self.0.verified.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the signature was already found to hold.
    pub fn is_verified(&self) -> bool {
        self.0.verified.load(Ordering::Relaxed)
    }

    /// What a batch verification needs: the signed message and the signature.
    pub(crate) fn signature_parts(&self) -> (Vec<u8>, Signature) {
        (self.to_be_signed(), self.0.signature)
    }

    /// Made again from the bytes: a pending entry is checked once and may be held for long.
    fn to_be_signed(&self) -> Vec<u8> {
        // INVARIANT: the bytes are those of the envelope that `decode` read.
        Sign1::decode(&self.0.bytes)
            .map(|sign1| sign1.to_be_signed(Domain::EntrySignature.tag()))
            .unwrap_or_default()
    }

    /// Whether what the body alone decides was already found to hold.
    pub(crate) fn is_coherent(&self) -> bool {
        self.0.coherent.load(Ordering::Relaxed)
    }

    /// Remembers that what the body alone decides holds, for all clones.
    pub(crate) fn mark_coherent(&self) {
        self.0.coherent.store(true, Ordering::Relaxed);
    }

    /// Remembers that the signature holds under the key that the header names.
    pub(crate) fn mark_verified(&self) {
        self.0.verified.store(true, Ordering::Relaxed);
    }
}

impl PartialEq for SignedEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for SignedEntry {}

impl fmt::Debug for SignedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedEntry")
            .field("type", &self.0.entry.name())
            .field("id", &self.0.id)
            .field("last_valid", &self.0.header.last_valid)
            .finish_non_exhaustive()
    }
}

/// Why bytes are not a signed entry, or not one of this key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// More bytes than an entry may have.
    #[error("an entry of {size_bytes} bytes exceeds the limit of 65,535")]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// Not a COSE_Sign1 in its one encoding.
    #[error("the entry is not a strictly encoded COSE_Sign1")]
    Envelope,
    /// The protected header is malformed.
    #[error("the entry's protected header is malformed")]
    Header(#[source] codec::Error),
    /// The body is malformed.
    #[error("the entry's body is malformed")]
    Body(#[source] codec::Error),
    /// Header and body name different types.
    #[error("the entry's header names type {header}, its body is of type {body}")]
    Type {
        /// In the header.
        header: u64,
        /// In the body.
        body: u64,
    },
    /// The header names another key.
    #[error("the entry names another key as its signer")]
    Signer,
    /// The signature does not hold.
    #[error("the entry's signature does not hold")]
    Signature,
}

pub(crate) fn entry_id<T: Encode>(network: &NetworkId, tag: u64, terms: &T) -> EntryId {
    let meaning = codec::to_vec(&(tag, terms));
    let digest = keys::digest(Domain::EntryId, &[network.as_bytes(), &meaning]);
    EntryId::new(digest.into_bytes())
}

/// What a signature inside an entry is made over.
pub(crate) fn inner_message(domain: Domain, id: &EntryId) -> Digest {
    keys::digest(domain, &[id.as_bytes()])
}

pub(crate) fn inner_sign(domain: Domain, id: &EntryId, key: &SigningKey) -> Signature {
    key.sign(inner_message(domain, id).as_bytes())
}

pub(crate) fn inner_verify(
    domain: Domain,
    id: &EntryId,
    key: &PublicKey,
    signature: &Signature,
) -> bool {
    key.verify(inner_message(domain, id).as_bytes(), signature)
        .is_ok()
}
