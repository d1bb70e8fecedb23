//! The use cases of an institution's node: the only place where consent, vault and ledger meet.
//!
//! An edge (HTTP, command line, portal) authenticates a caller, builds one request value and calls one
//! method of [`Handle`]. The use case authorises, decides, makes every effect durable in the right
//! order and answers. Background pumps carry durable outboxes to the ledger and the ledger's answers
//! back, so that a crash at any instruction loses nothing and doubles nothing.
//!
//! Inputs and outputs: plain values of this crate, of `consent` (re-exported) and of `codec::id`. Times
//! are Unix milliseconds. Errors: one [`Error`], whose [`Error::kind`] an edge maps to its own codes and
//! whose sentences never carry patient data.
//!
//! What it does not know: HTTP, tokens, tokio, files other than an institution's data folder. Clock,
//! randomness and tasks come from the engine's runtime context, so that the same code runs under its
//! deterministic simulator.

pub mod ambient;
pub mod backup;
pub mod break_glass;
pub mod caller;
pub mod config;
pub mod consent_change;
pub mod differential;
pub mod disclosure;
pub mod erase;
pub mod error;
pub mod event;
pub mod fhir;
pub mod fsck;
pub mod governance;
pub mod handle;
pub mod hold;
pub mod identity;
pub mod institution;
pub mod publication;
pub mod receipt;
pub mod record;
pub mod research;
pub mod safeguarding;
pub mod share;
pub mod status;
pub mod subject;
pub mod verify;
pub mod witness;

mod custodian;
mod house;
mod pump;
mod start;
mod wait;

pub use ambient::Ambient;
pub use caller::{BOUND, Caller};
pub use config::Config;
pub use error::{Conflict, Error, Kind, Problem};
pub use handle::Handle;
pub use record::Content;
pub use start::{Node, Runtime, StartError};

pub use codec::Category;
pub use codec::id::{
    DeviceId, Digest, DisclosureId, EntryId, GrantId, InstitutionId, NetworkId, RecordId, StudyId,
    SubjectId,
};
pub use codec::time::{Date, Millis};
pub use consent::{
    Actor, Basis, ConsentState, Controller, ControllerRole, Denial, Exception, Grant, Grantee,
    Label, Missing, Permit, Policy, PractitionerAt, PractitionerId, Purpose, Reason, RecordKind,
    Records, Role, RuleName, Selection,
};
