//! Receipts: proof that a record is committed to in a finalised block.
//!
//! The chain: content -> leaf -> commitment -> batch -> signed entry -> custodian's key in the
//! state -> log -> header -> certificate -> epoch boundaries -> genesis. [`verify`] checks it with
//! nothing but the genesis and names the first broken link.
//!
//! The certified header may be a later one than that of the entry's own block, as long as its log
//! includes the entry. An older header, itself a leaf of that log, then dates the entry: it was
//! final no later than at that header's height and time.

use crate::batch::BatchPath;
use crate::entry::{Entry, SignedEntry};
use crate::finality::{Anchor, BrokenLink, CertificateCheck, Finality};
use crate::genesis::Genesis;
use crate::header::Header;
use crate::log::{leaf_hash, verify_inclusion};
use crate::state::{KeyLeaf, StateKey, StateProof};
use codec::{Digest, EntryId, InstitutionId, record};
use keys::commitment::{self, Label};

record! {
    /// A record's receipt.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Receipt {
        /// Openings of leaves of the commitment, for those who hold their content. None: the receipt proves
        /// that the commitment is on the ledger, and tells nothing that content could be guessed with.
        1 => pub leaves: Vec<LeafOpening>,
        /// The record's commitment.
        2 => pub commitment: Digest,
        /// Where it lies in the batch.
        3 => pub batch: BatchPath,
        /// The batch's entry in the log.
        4 => pub logged: LoggedEntry,
    }
}

record! {
    /// What turns the content of a leaf into a step towards the commitment.
    #[derive(Clone, PartialEq, Eq)]
    pub struct LeafOpening {
        /// What the leaf holds.
        1 => pub label: Label,
        /// Version of the rule that made the projection; 0 for the stored form.
        2 => pub rule_version: u16,
        /// The leaf's salt.
        3 => pub salt: [u8; 32],
        /// Its place among the leaves.
        4 => pub index: u32,
        /// How many leaves there are.
        5 => pub count: u32,
        /// The path to the commitment.
        6 => pub path: Vec<Digest>,
    }
}

record! {
    /// A custodian's entry in a finalised log.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LoggedEntry {
        /// Its exact bytes.
        1 => pub entry: Vec<u8>,
        /// Its place in the log.
        2 => pub log_index: u64,
        /// The path to the log's root in the first header of `finality`.
        3 => pub log_path: Vec<Digest>,
        /// Header of the entry's own block, unless that is the first header of `finality`.
        4 => pub block: Option<LoggedHeader>,
        /// Whose key signed it.
        5 => pub signer: KeyLeaf,
        /// Proof of that in the state of the first header of `finality`.
        6 => pub signer_proof: StateProof,
        /// Proof that the header is final.
        7 => pub finality: Finality,
    }
}

record! {
    /// A header in a finalised log. Its place there is its own `log_size`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LoggedHeader {
        /// The header.
        1 => pub header: Header,
        /// The path to the log's root in the first header of `finality`.
        2 => pub log_path: Vec<Digest>,
    }
}

/// What a verified receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who holds the record.
    pub custodian: InstitutionId,
    /// The record's commitment.
    pub commitment: Digest,
    /// What the given content is, if content was given.
    pub label: Option<Label>,
    /// The batch's entry.
    pub entry: EntryId,
    /// The entry was final no later than at this height,
    pub height: u64,
    /// and this time, in Unix milliseconds.
    pub time_ms: u64,
}

/// Checks a receipt against a genesis, and the content of one of its leaves if given.
///
/// # Errors
/// The first broken link.
pub fn verify(
    receipt: &Receipt,
    genesis: &Genesis,
    check: &dyn CertificateCheck,
    leaf: Option<&[u8]>,
) -> Result<Verified, BrokenLink> {
    verify_from(receipt, &Anchor::genesis(genesis), check, leaf)
}

/// Checks a receipt against validators that are trusted already, and the content of one of its
/// leaves if given.
///
/// # Errors
/// The first broken link.
pub fn verify_from(
    receipt: &Receipt,
    anchor: &Anchor,
    check: &dyn CertificateCheck,
    leaf: Option<&[u8]>,
) -> Result<Verified, BrokenLink> {
    let label = match leaf {
        Some(bytes) => Some(open_leaf(receipt, bytes)?),
        None => None,
    };
    let signed = receipt.logged.decode(anchor)?;
    let Entry::RecordBatch(batch) = signed.entry() else {
        return Err(BrokenLink::Entry);
    };
    if !receipt.batch.verify(&receipt.commitment, &batch.root) {
        return Err(BrokenLink::Batch);
    }
    let custodian = batch.custodian;
    let header = receipt.logged.verify(&signed, &custodian, anchor, check)?;
    Ok(Verified {
        custodian,
        commitment: receipt.commitment,
        label,
        entry: signed.entry_id(),
        height: header.height,
        time_ms: header.time_ms,
    })
}

impl Receipt {
    /// Reads a receipt; every receipt has exactly one encoding.
    ///
    /// # Errors
    /// [`BrokenLink::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenLink> {
        codec::from_slice(bytes).map_err(|_| BrokenLink::Malformed)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }
}

impl LoggedEntry {
    pub(crate) fn decode(&self, anchor: &Anchor) -> Result<SignedEntry, BrokenLink> {
        let signed = SignedEntry::decode(&self.entry).map_err(|_| BrokenLink::Entry)?;
        if signed.header().network == anchor.network() {
            Ok(signed)
        } else {
            Err(BrokenLink::Network)
        }
    }

    /// Checks that the entry is signed by the custodian and in a final log. Returns the header that
    /// dates it.
    pub(crate) fn verify(
        &self,
        signed: &SignedEntry,
        custodian: &InstitutionId,
        anchor: &Anchor,
        check: &dyn CertificateCheck,
    ) -> Result<&Header, BrokenLink> {
        let header = self.finality.verify(anchor, check)?;
        let included = |leaf: &Digest, index, path: &[Digest]| {
            verify_inclusion(leaf, index, header.log_size, path, &header.log_root)
        };
        if !included(&signed.leaf_hash(), self.log_index, &self.log_path) {
            return Err(BrokenLink::Inclusion);
        }
        let dated = match &self.block {
            None => header,
            Some(block) => {
                let leaf = leaf_hash(&block.header.leaf());
                let index = block.header.log_size;
                if self.log_index >= index || !included(&leaf, index, &block.log_path) {
                    return Err(BrokenLink::Block);
                }
                &block.header
            }
        };
        let at = StateKey::InstitutionKey(signed.header().signer);
        let value = codec::to_vec(&self.signer);
        if self.signer.institution != *custodian
            || self
                .signer_proof
                .verify(&header.state_root, &at, Some(&value))
                .is_err()
        {
            return Err(BrokenLink::Signer);
        }
        signed
            .verify(&self.signer.key)
            .map_err(|_| BrokenLink::EntrySignature)?;
        Ok(dated)
    }
}

/// Which leaf of the commitment has this content.
fn open_leaf(receipt: &Receipt, bytes: &[u8]) -> Result<Label, BrokenLink> {
    if receipt.leaves.is_empty() {
        return Err(BrokenLink::Unopened);
    }
    for opening in &receipt.leaves {
        if opening.leads(bytes, &receipt.commitment) {
            return Ok(opening.label);
        }
    }
    Err(BrokenLink::Leaf)
}

impl LeafOpening {
    /// Whether this content leads to the commitment.
    pub fn leads(&self, bytes: &[u8], commitment: &Digest) -> bool {
        let leaf = commitment::leaf_hash(&commitment::Leaf {
            label: self.label,
            rule_version: self.rule_version,
            salt: &self.salt,
            bytes,
        });
        let (Ok(index), Ok(count)) = (usize::try_from(self.index), usize::try_from(self.count))
        else {
            return false;
        };
        commitment::verify_path(&leaf, index, count, &self.path, commitment)
    }
}

impl std::fmt::Debug for LeafOpening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The salt protects the content from being guessed.
        f.debug_struct("LeafOpening")
            .field("label", &self.label)
            .field("salt", &"<redacted>")
            .finish_non_exhaustive()
    }
}
