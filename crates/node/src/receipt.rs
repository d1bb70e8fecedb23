//! Receipts: proof, checkable offline with nothing but the network's genesis, that a record's commitment
//! is in a finalised block.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Category;
use codec::id::{Digest, EntryId, RecordId, SubjectId};
use consent::Role;
use ledger::receipt::{LeafOpening, Receipt};
use std::collections::BTreeSet;
use store::Store;
use vault::{CommitmentState, Parts};

/// Asks for a receipt.
#[derive(Debug, Clone)]
pub struct ReceiptQuery {
    /// Staff of the custodian, the source, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The record.
    pub record: RecordId,
    /// The version; none for the latest.
    pub version: Option<u32>,
    /// Which leaf the receipt is to open.
    pub leaf: ReceiptLeaf,
}

/// What a receipt is for. The leaf's bytes themselves come from a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptLeaf {
    /// The stored form.
    Stored,
    /// The projection of one category.
    Projection(Category),
}

/// A receipt, or why there is none yet.
#[derive(Clone, PartialEq, Eq)]
pub enum ReceiptAnswer {
    /// The record is durable and on its way to the ledger.
    Pending,
    /// Final.
    Ready(ReceiptBundle),
}

/// A receipt.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptBundle {
    /// For [`crate::verify::receipt`] and `ithaca verify`. Holds the leaf's salt: keep it with the record.
    pub bytes: Vec<u8>,
    /// The record's commitment.
    pub commitment: Digest,
    /// The batch entry.
    pub entry: EntryId,
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
}

impl std::fmt::Debug for ReceiptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pending => f.write_str("Pending"),
            Self::Ready(bundle) => bundle.fmt(f),
        }
    }
}

impl std::fmt::Debug for ReceiptBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptBundle")
            .field("entry", &self.entry)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn receipt(&self, input: ReceiptQuery) -> Result<ReceiptAnswer, Error> {
        input.caller.needs("asking for a receipt", &HOLDERS)?;
        input.caller.reaches(&input.subject)?;
        self.own_staff(&input.caller)?;
        self.still_controls(&input.caller, &input.subject).await?;
        let subject = &input.subject;
        // The salt alone is opened: it tells nothing without the content.
        let parts = match input.leaf {
            ReceiptLeaf::Stored => Parts::Stored,
            ReceiptLeaf::Projection(category) => Parts::Projections(BTreeSet::from([category])),
        };
        let meta = self
            .vault
            .record_meta(subject, &input.record, input.version)
            .await?;
        let state = self
            .vault
            .commitment_state(subject, &meta.record, meta.version)
            .await?;
        let CommitmentState::Final { entry, position } = state else {
            return Ok(ReceiptAnswer::Pending);
        };
        let opened = self
            .vault
            .record_get(subject, &meta.record, Some(meta.version), &parts)
            .await?;
        let part = opened
            .parts
            .first()
            .ok_or(Error::Unknown("part of that record"))?;
        let (index, path) = meta
            .leaf_path(part.label)
            .ok_or(Error::Internal("a part without a leaf"))?;
        let tree = self.vault.batch_tree(&entry).await?;
        let receipt = Receipt {
            leaves: vec![LeafOpening {
                label: part.label,
                rule_version: part.rule_version,
                salt: part.salt,
                index: small(index)?,
                count: small(meta.parts.len())?,
                path,
            }],
            commitment: meta.commitment,
            batch: tree
                .path(&meta.commitment)
                .ok_or(Error::Damaged("a batch without its record".to_owned()))?,
            logged: self
                .proved(self.ledger.logged_entry(position.log_index))
                .await?,
        };
        self.counters.receipts.up();
        Ok(ReceiptAnswer::Ready(ReceiptBundle {
            bytes: receipt.encode(),
            commitment: meta.commitment,
            entry,
            height: position.height,
            time_ms: position.time.get(),
        }))
    }
}

/// Who may have receipts: they hold ids, salts and proofs, no data.
const HOLDERS: [Role; 10] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Device,
    Role::Desk,
    Role::PrivacyOfficer,
    Role::Auditor,
    Role::Controller,
];

fn small(number: usize) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::Internal("a record with too many parts"))
}
