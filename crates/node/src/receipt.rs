//! Receipts: proof, checkable offline with nothing but the network's genesis, that a record's commitment
//! is in a finalised block.
//!
//! A receipt may open a leaf: then it also proves which content was committed to. The opening holds the
//! leaf's salt, with which a small content (a yes or no, one code out of thousands) can be guessed. So a
//! leaf is opened for those alone who may read it now: decided and logged as a fetch of it. All others
//! who work with records get receipts without a leaf; those tell nothing but that the record was
//! committed to and when, and are not logged, so that whoever deposited may ask until it is final.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Category;
use codec::id::{Digest, DisclosureId, EntryId, RecordId, SubjectId};
use consent::{Purpose, Role};
use ledger::receipt::{LeafOpening, Receipt};
use std::collections::BTreeSet;
use store::Store;
use vault::{CommitmentState, OpenedPart, Parts, RecordMeta};

/// Asks for a receipt.
#[derive(Debug, Clone)]
pub struct ReceiptQuery {
    /// Without a leaf: staff of the custodian, the source, or the subject's controller. With one: whoever
    /// may read it, also elsewhere.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The record.
    pub record: RecordId,
    /// The version; none for the latest.
    pub version: Option<u32>,
    /// The leaf that the receipt is to open; none for a receipt of the commitment alone.
    pub leaf: Option<LeafAsked>,
}

/// Asks to open a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafAsked {
    /// Which.
    pub leaf: ReceiptLeaf,
    /// What for: decided as if the leaf were fetched.
    pub purpose: Purpose,
}

/// A leaf of a record's commitment. Its bytes themselves come from a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptLeaf {
    /// The stored form: for those who may read every category that the record has.
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
    /// For [`crate::verify::receipt`] and `ithaca verify`. One that opens a leaf holds its salt: keep it
    /// with the record.
    pub bytes: Vec<u8>,
    /// The log row of opening the leaf, if one was opened.
    pub disclosure: Option<DisclosureId>,
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
        let subject = &input.subject;
        input.caller.reaches(subject)?;
        let (meta, disclosure) = match input.leaf {
            Some(asked) => match self.leaf_read(&input, asked).await? {
                Some((meta, disclosure)) => (meta, Some(disclosure)),
                None => return Ok(ReceiptAnswer::Pending),
            },
            None => {
                input.caller.needs("asking for a receipt", &HOLDERS)?;
                self.own_staff(&input.caller)?;
                self.still_controls(&input.caller, subject).await?;
                let meta = self
                    .vault
                    .record_meta(subject, &input.record, input.version);
                (meta.await?, None)
            }
        };
        // INVARIANT: no leaf is opened without its disclosure.
        let opened = match (input.leaf, disclosure) {
            (Some(asked), Some(_)) => {
                let parts = match asked.leaf {
                    ReceiptLeaf::Stored => Parts::Stored,
                    ReceiptLeaf::Projection(category) => {
                        Parts::Projections(BTreeSet::from([category]))
                    }
                };
                let opened = self
                    .vault
                    .record_get(subject, &meta.record, Some(meta.version), &parts)
                    .await?;
                if opened.parts.is_empty() {
                    return Err(Error::Unknown("part of that record"));
                }
                opened.parts
            }
            _ => Vec::new(),
        };
        let Some((receipt, position)) = self.receipt_of(subject, &meta, &opened, 0).await? else {
            return Ok(ReceiptAnswer::Pending);
        };
        self.counters.receipts.up();
        Ok(ReceiptAnswer::Ready(ReceiptBundle {
            bytes: receipt.encode(),
            disclosure,
            commitment: meta.commitment,
            entry: position.entry,
            height: position.height,
            time_ms: position.time_ms,
        }))
    }

    /// The receipt of a version, which opens the leaves of these parts; `None` while it is not final.
    pub(crate) async fn receipt_of(
        &self,
        subject: &SubjectId,
        meta: &RecordMeta,
        opened: &[OpenedPart],
        since: u64,
    ) -> Result<Option<(Receipt, Placed)>, Error> {
        let state = self
            .vault
            .commitment_state(subject, &meta.record, meta.version)
            .await?;
        let CommitmentState::Final { entry, position } = state else {
            return Ok(None);
        };
        let logged = async {
            match self
                .ledger
                .logged_entry_since(position.log_index, since)
                .await
            {
                // The block is stored, and the view that proofs are made of is not there yet: in a moment it is.
                Err(consensus::ReadError::NotFinal) => Ok(None),
                proved => proved.map(Some),
            }
        };
        let Some(logged) = self.proved(logged).await? else {
            return Ok(None);
        };
        let leaves = opened.iter().map(|part| leaf_opening(meta, part));
        let tree = self.vault.batch_tree(&entry).await?;
        let receipt = Receipt {
            leaves: leaves.collect::<Result<_, _>>()?,
            commitment: meta.commitment,
            batch: tree
                .path(&meta.commitment)
                .ok_or(Error::Damaged("a batch without its record".to_owned()))?,
            logged,
        };
        let placed = Placed {
            entry,
            height: position.height,
            time_ms: position.time.get(),
        };
        Ok(Some((receipt, placed)))
    }
}

/// Where a record's batch is on the ledger.
pub(crate) struct Placed {
    entry: EntryId,
    height: u64,
    pub(crate) time_ms: u64,
}

fn leaf_opening(meta: &RecordMeta, part: &OpenedPart) -> Result<LeafOpening, Error> {
    let (index, path) = meta
        .leaf_path(part.label)
        .ok_or(Error::Internal("a part without a leaf"))?;
    Ok(LeafOpening {
        label: part.label,
        rule_version: part.rule_version,
        salt: part.salt,
        index: small(index)?,
        count: small(meta.parts.len())?,
        path,
    })
}

/// Who may have receipts without a leaf: they hold ids and proofs, no data and no salt.
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
