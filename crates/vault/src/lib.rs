//! The vault: a custodian's records, consents and disclosures, sealed at rest.
//!
//! ```text
//! passphrase -> root key -> ring of table keys -> key tables -> compartment key -> data key -> record
//!                                                            -> audit key -> disclosures
//! ```
//! - [`custody`]: the port to the few files that hold keys, outside the key-value store.
//! - [`Keychain`]: the opened keys. [`Vault`]: store and keys together, with one method for each act:
//!   `compartment_*`, `consent_*`, `record_*`, `search`, `outbox_*`, `batch_*`, `entry_*`,
//!   `disclosure_*`, `period_*`, `session_*`, `notice_*`, `delay_*`, `holds_*`, `erase`, `audit_*`,
//!   `derived*`, `derive_*`, `note*`, `research_*`, `node_row*`; [`backup`] writes and restores.
//! - What a subject's compartment key opens: records, metadata, consent states, answers to client
//!   keys, what the node derives, what waits to be told. What its audit key opens: disclosures, sessions, notices, holds, what research took. What the node's key opens:
//!   outbox, entries, batches, periods (ids and salted commitments). Index postings open under a key
//!   that changes with every erasure in their shard.
//!
//! Inputs and outputs are values of this crate, of `consent` and of `codec`; times are Unix
//! milliseconds; randomness and time come in as arguments. Everything that a method acknowledges is
//! durable. Errors: one [`Error`], which never carries a stored byte.
//!
//! INVARIANT: a write is one atomic batch whose expectations hold all it relies on; nothing is locked
//! across an await but the one erasure at a time.
//!
//! It decides nothing: who may read is `consent`'s, when to do what is `node`'s. It knows no record
//! formats (a [`Projector`] does) and sends nothing anywhere.

mod audit;
pub mod backup;
mod cache;
pub mod check;
mod consents;
pub mod custody;
mod derived;
mod disclosures;
mod entries;
mod erasure;
mod error;
mod filter;
mod keychain;
mod layout;
mod node_rows;
mod notes;
mod outbox;
mod periods;
mod postings;
mod projector;
mod record;
mod record_meta;
mod research;
mod sealing;
mod transaction;
mod vault;
mod visitors;

pub use audit::{AuditId, DelayState, Due, Holds, MAX_HOLDS, Notice, Session};
pub use backup::BackupError;
pub use consents::{
    Closing, CompartmentOpen, CompartmentOpened, ConsentChange, ConsentOpening, ConsentView,
    MAX_PENDING,
};
pub use custody::{Custody, CustodyError, CustodyFile, FileCustody, MemoryCustody};
pub use derived::{DERIVED_MAX_BYTES, Derived, DerivedPut, DueMark};
pub use disclosures::{
    Disclosure, LoggedDisclosure, MAX_DISCLOSED, Outcome, disclosures_root, map_key,
};
pub use entries::{EntryPurpose, EntryRow, EntryState, FinalEntry, Position, Signed};
pub use erasure::Erasure;
pub use error::{Conflict, Error};
pub use keychain::{Identity, Keychain, Restored};
pub use node_rows::NodeRow;
pub use notes::{NOTE_MAX_BYTES, NewNote, Note, NotePlace};
pub use outbox::{BATCH_MAX_LEAVES, CommitmentState, QueuedCommitment, RecordBatch};
pub use periods::{ClosedPeriod, PeriodOutlook, PeriodProof};
pub use postings::Posting;
pub use projector::{Form, Projector};
pub use record::{
    ClientKey, MAX_KEY_BYTES, MAX_KIND_BYTES, MAX_TOKENS, NewRecord, PUT_MAX_BYTES,
    PUT_MAX_RECORDS, Projection, Put, PutRecord, RecordPut,
};
pub use record_meta::{Opened, OpenedPart, PartMeta, Parts, RecordMeta};
pub use research::{AccountPut, RELEASED_MAX_BYTES, ReleaseHeld, ReleasePut};
pub use transaction::Transaction;
pub use vault::{Settings, Vault};
