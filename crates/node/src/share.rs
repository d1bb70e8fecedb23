//! Sharing between institutions: one asks for its practitioner, the custodian decides, and what is
//! permitted travels sealed.
//!
//! ```text
//! B share_prepare   the asking is logged; signed request
//! A share_answer    signature, freshness, once; decide; disclosure durable; permitted leaves with their
//!                   receipts, sealed to B, signed
//! B share_accept    every leaf checked against the ledger; B's own read logged
//! ```
//! A is the custodian. Nothing of an answer is kept at B but the log of the read, in a *visitor
//! compartment*: an audit compartment for the pair of A and A's subject, under an id of B's own. A's
//! data keys never leave A.
//!
//! The edge carries the bytes; it is not trusted with them. A request is good once, for a short time, for
//! one custodian; an answer opens for the asker alone and for that request alone. What consent refuses is
//! sealed too; only the length of an answer, and the sentence of an error that is no decision, tell more.

use crate::caller::Caller;
use crate::error::Kind;
use codec::Category;
use codec::id::{DisclosureId, InstitutionId, RecordId, StudyId, SubjectId};
use codec::time::Millis;
use consent::{Because, Purpose, Selection};

mod answer;
mod ask;
mod peer;
mod places;
mod pointer;
pub(crate) mod wire;

pub use peer::PeerKeys;
pub use places::{Place, Places};
pub use pointer::{PointerRead, SharePoint};
pub use wire::SharePointer;

/// Longest life of a request, in ms.
pub const REQUEST_LIFE_MS: u64 = 60_000;
/// How far the clocks of two institutions may be apart, in ms.
pub const SKEW_MS: u64 = 30_000;
/// Largest request, in bytes: it is kept with the disclosure.
pub const REQUEST_MAX_BYTES: usize = 32 * 1024;
/// The most records that a request names.
pub const NAMED_MAX: usize = 1_000;
/// Largest answer, in bytes.
pub const ANSWER_MAX_BYTES: usize = 48 * 1024 * 1024;
/// The most requests of others that are worked on at a time, so that they cannot keep this institution's own
/// people waiting.
pub const AT_ONCE: usize = 32;
/// Of those, the most of one institution.
pub const AT_ONCE_EACH: usize = 24;

/// Asks another institution for records.
#[derive(Debug, Clone)]
pub struct ShareAsk {
    /// A practitioner of this institution.
    pub caller: Caller,
    /// Who holds the records.
    pub custodian: InstitutionId,
    /// Whose they are, by the custodian's id.
    pub subject: SubjectId,
    /// What for.
    pub purpose: Purpose,
    /// Which categories of which records.
    pub selection: Selection,
    /// For which study, if for one.
    pub study: Option<StudyId>,
    /// Whether less than the selection will do.
    pub partial: bool,
}

/// A request, to be sent to the custodian as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareRequest {
    /// Signed by this institution.
    pub bytes: Vec<u8>,
    /// When it is no longer answered.
    pub expires: Millis,
}

/// A request of another institution, as it came.
#[derive(Clone)]
pub struct ShareQuery {
    /// Whom the connection authenticated, if it did.
    pub peer: Option<InstitutionId>,
    /// The request.
    pub bytes: Vec<u8>,
}

/// An answer, to be sent back as it is. It does not tell whether the request was permitted.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareAnswer {
    /// Signed by this institution, sealed to the asker.
    pub bytes: Vec<u8>,
}

/// An answer as it came, with the request it is for.
#[derive(Clone)]
pub struct ShareAccept {
    /// The practitioner who asked.
    pub caller: Caller,
    /// The request.
    pub request: Vec<u8>,
    /// The answer.
    pub answer: Vec<u8>,
}

/// What another institution shared. Show it; do not keep it.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The custodian's log row of this disclosure.
    pub disclosure: DisclosureId,
    /// This institution's log row of the read.
    pub logged: DisclosureId,
    /// The visitor compartment that it is in.
    pub visitor: SubjectId,
    /// Why it was permitted.
    pub because: Vec<Because>,
    /// Until when something of it is permitted, if that ends.
    pub until: Option<Millis>,
    /// The records, as far as they are permitted; each part was found in the commitment on the ledger.
    pub records: Vec<SharedRecord>,
}

/// A shared record.
#[derive(Debug, Clone)]
pub struct SharedRecord {
    /// Its id.
    pub record: RecordId,
    /// Its version.
    pub version: u32,
    /// What it is.
    pub kind: String,
    /// When the custodian took it.
    pub deposited: Millis,
    /// The permitted parts.
    pub parts: Vec<SharedPart>,
    /// The receipt, which opens exactly these parts.
    pub receipt: Vec<u8>,
}

/// A permitted part of a shared record.
#[derive(Debug, Clone)]
pub struct SharedPart {
    /// Its category.
    pub category: Category,
    /// The rule that made it.
    pub rule_version: u16,
    /// JSON.
    pub bytes: crate::record::Content,
}

/// Why a message of another institution is not acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareRefused {
    /// Not what it should be.
    #[error("the message is malformed")]
    Malformed,
    /// Of another ledger.
    #[error("the message is of another network")]
    Network,
    /// For somebody else.
    #[error("the message is for another institution")]
    Addressee,
    /// The named institution is no member.
    #[error("the institution is no member of this network, or no longer")]
    Stranger,
    /// The key may not sign for that institution now.
    #[error("the key is not a current key of the institution that is named")]
    Key,
    /// The signature is not of that key.
    #[error("the signature does not hold")]
    Signature,
    /// The connection is another institution's.
    #[error("the connection is not of the institution that signed")]
    Peer,
    /// The practitioner is of another institution than the one that signed, or has a role that nobody
    /// shares under.
    #[error("the asker is not a practitioner of the institution that signed")]
    Asker,
    /// Its time is over, or too long.
    #[error("the request has expired; ask again")]
    Expired,
    /// Its time has not come.
    #[error("the request is from the future; check the clocks")]
    Early,
    /// It came before.
    #[error("the request was answered before; ask again")]
    Replayed,
    /// The answer is for another request, or another asker.
    #[error("the answer is not for this request")]
    Mismatch,
    /// The answer does not open.
    #[error("the answer does not open")]
    Sealed,
    /// More than was asked for.
    #[error("the answer holds more than was asked for")]
    Widened,
    /// A part that is not what the ledger's commitment covers, or a receipt that does not hold.
    #[error("a record of the answer is not the one on the ledger")]
    Record,
}

impl ShareRefused {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Malformed | Self::Network | Self::Addressee => Kind::Invalid,
            Self::Stranger | Self::Key | Self::Signature | Self::Peer | Self::Asker => {
                Kind::Forbidden
            }
            Self::Expired | Self::Early | Self::Replayed => Kind::Conflict,
            Self::Mismatch | Self::Sealed | Self::Widened | Self::Record => Kind::Invalid,
        }
    }
}

impl std::fmt::Debug for ShareRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShareRequest")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ShareQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShareQuery")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ShareAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShareAnswer(<sealed>)")
    }
}

impl std::fmt::Debug for ShareAccept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShareAccept(<redacted>)")
    }
}
