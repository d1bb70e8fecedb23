//! Receipts: proof, checkable offline with nothing but the network's genesis, that a record's commitment
//! is in a finalised block.

use crate::caller::Caller;
use codec::Category;
use codec::id::{Digest, EntryId, RecordId, SubjectId};

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
