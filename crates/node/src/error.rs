//! What can go wrong in a use case, in one sentence a user can act on. Never patient data.
//!
//! Edges map [`Kind`] to their own codes (HTTP status, exit code); the sentence is for people.

use codec::id::{DisclosureId, RecordId};
use codec::time::Millis;
use consent::Denial;
use std::io::ErrorKind;

/// Why a use case did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No compartment of that id at this custodian.
    #[error("no such subject at this institution; check the id or open the subject first")]
    SubjectUnknown,
    /// The subject was closed: reading goes on, nothing new is taken.
    #[error("the subject is closed at this institution; no new data or change is taken")]
    SubjectClosed,
    /// The subject's data was erased here.
    #[error("the subject's data was erased at this institution; only its disclosure list remains")]
    SubjectErased,
    /// No such record, or none this caller may know of.
    #[error("no record {0} of this subject at this institution")]
    RecordUnknown(RecordId),
    /// No such version.
    #[error("record {record} has no version {version}")]
    VersionUnknown {
        /// The record.
        record: RecordId,
        /// The version asked for.
        version: u32,
    },
    /// No such thing of another kind (session, disclosure, grant, request).
    #[error("no such {0}")]
    Unknown(&'static str),
    /// A FHIR resource that was deleted: its versions can be read, it is no more.
    #[error("the resource was deleted; its earlier versions can be read by their version")]
    Deleted,
    /// A condition that several resources meet where one was meant.
    #[error("{matches} resources match {what}; make it narrower")]
    SeveralMatch {
        /// What is to match.
        what: String,
        /// How many do.
        matches: usize,
    },
    /// A condition that somebody may meet whom the caller may not see.
    #[error(
        "whether one Patient matches {what} cannot be told: this caller may not see all of them; name the Patient by \
         its id, or ask the desk"
    )]
    MatchUnclear {
        /// What is to match.
        what: String,
    },
    /// A search that is not understood or too wide.
    #[error("the search parameter {parameter} is refused: {message}")]
    Query {
        /// The parameter.
        parameter: String,
        /// Why, and what to do. No values.
        message: String,
    },
    /// A period that has no proof and never will.
    #[error("there is no proof of period {period}: {why}")]
    PeriodUnknown {
        /// Its number.
        period: u64,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The caller's role does not allow this use case at all.
    #[error("{action} needs one of the roles {needs}; this caller has none of them")]
    Forbidden {
        /// The use case, as a gerund: "depositing a record".
        action: &'static str,
        /// The roles that would do.
        needs: String,
    },
    /// The caller is scoped to another subject, or has a role that needs a scope and has none.
    #[error("this caller may act for one subject only, and not for this one")]
    OutOfScope,
    /// The scopes of the caller's software do not let it do this with resources of a type.
    #[error("the token's scopes do not reach {interaction} on {kind}; ask for one that does")]
    ScopeLacks {
        /// What.
        interaction: &'static str,
        /// The type.
        kind: String,
    },
    /// The caller is another institution's.
    #[error("only this institution's own people and controllers may do this here")]
    Elsewhere,
    /// The controller's time is over, or the slot is nobody's.
    #[error(
        "the caller no longer controls this subject: the guardianship ended or the slot is vacant"
    )]
    ControlEnded,
    /// The institution's own policy does not let this caller do that.
    #[error(
        "the institution's policy does not let this caller {action} this{}",
        if by.is_empty() { String::new() } else { format!(" ({by})") }
    )]
    PolicyForbids {
        /// What.
        action: &'static str,
        /// The policies that forbid it; none: no policy permits it.
        by: String,
    },
    /// Consent refused; the refusal is logged.
    #[error("refused: {} (logged as disclosure {disclosure})", sentences(denial))]
    Denied {
        /// The log row of the refusal.
        disclosure: DisclosureId,
        /// What was missing.
        denial: Denial,
    },
    /// A message between institutions is not acted on.
    #[error(transparent)]
    Share(#[from] crate::share::ShareRefused),
    /// Something else was there first.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The input is not acceptable.
    #[error("{what} refused: {}", problems(problems_found))]
    Invalid {
        /// What was refused: "phenopacket", "FHIR bundle", "consent change".
        what: &'static str,
        /// Where and why; paths and rules, never values.
        problems_found: Vec<Problem>,
    },
    /// Too large.
    #[error("{what} of {size_bytes} bytes refused; the limit is {limit_bytes} bytes")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Erasure must wait.
    #[error("erasure must wait until {} because of {because}", until.to_rfc3339())]
    Held {
        /// When it ends.
        until: Millis,
        /// A legal hold or a retention law, with its code.
        because: String,
    },
    /// A consent change that the law of change refuses.
    #[error("consent change refused: {0}")]
    ChangeRefused(String),
    /// A signature or key that does not fit.
    #[error("{what} refused: {why}")]
    Signature {
        /// What was signed.
        what: &'static str,
        /// Why it is refused.
        why: &'static str,
    },
    /// A privacy budget has not that much left.
    #[error("{0}")]
    Spent(String),
    /// What was asked for will not be done, for a reason that does not pass.
    #[error("{0}")]
    Refused(String),
    /// Too many requests in flight.
    #[error("the node is busy ({in_flight} requests in flight); try again in a moment")]
    Busy {
        /// How many are in flight.
        in_flight: usize,
    },
    /// Cannot be done now: the node is stopping, catching up, or lacks quorum.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The store or the key custody failed; nothing was acknowledged.
    #[error("storage failed: {what}; nothing was acknowledged")]
    Storage {
        /// The failure, without any stored byte.
        what: String,
    },
    /// No room: what can wait is refused first.
    #[error(
        "the disk of this node is full; nothing was acknowledged: free some space, then send it again"
    )]
    DiskFull,
    /// Stored bytes that do not check: do not serve, restore or repair.
    #[error("stored data is damaged ({0}); it is not served; restore it from a backup or a peer")]
    Damaged(String),
    /// Our own bug.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}

/// What was there first, with what a caller needs to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The same client id was used with other bytes.
    #[error(
        "record {record} exists with other content; send a new version with the expected version {version}"
    )]
    OtherBytes {
        /// The record first made under that id.
        record: RecordId,
        /// Its latest version.
        version: u32,
    },
    /// The expected version is not the latest one.
    #[error("record {record} is at version {version}; read it again before changing it")]
    Version {
        /// The record.
        record: RecordId,
        /// Its latest version, 0 when it does not exist.
        version: u32,
    },
    /// Another consent change won.
    #[error("the consent state is at sequence {sequence}; prepare the change again on top of it")]
    Sequence {
        /// The latest accepted sequence.
        sequence: u64,
    },
    /// The subject id is taken.
    #[error("the subject is open already")]
    SubjectOpen,
    /// The thing was done already, by someone else or otherwise.
    #[error("{0}")]
    Done(&'static str),
}

/// One thing wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON path without values, or empty for the whole.
    pub path: String,
    /// The rule that was broken.
    pub message: String,
}

/// The class of an error, for edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 404.
    NotFound,
    /// 410.
    Gone,
    /// 403: role or scope.
    Forbidden,
    /// 403 with a logged consent decision.
    Denied,
    /// 409.
    Conflict,
    /// 412: an expected version or sequence is not the current one.
    PreconditionFailed,
    /// 422 (or 400).
    Invalid,
    /// 400: a search.
    Query,
    /// 413.
    TooLarge,
    /// 423: legal hold or retention.
    Locked,
    /// 429.
    Busy,
    /// 503.
    Unavailable,
    /// 507.
    DiskFull,
    /// 500.
    Internal,
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::SubjectUnknown
            | Self::RecordUnknown(_)
            | Self::VersionUnknown { .. }
            | Self::PeriodUnknown { .. }
            | Self::Unknown(_) => Kind::NotFound,
            Self::SubjectErased | Self::SubjectClosed | Self::Deleted => Kind::Gone,
            Self::SeveralMatch { .. } | Self::MatchUnclear { .. } => Kind::PreconditionFailed,
            Self::Query { .. } => Kind::Query,
            Self::Forbidden { .. }
            | Self::PolicyForbids { .. }
            | Self::OutOfScope
            | Self::ScopeLacks { .. }
            | Self::Elsewhere
            | Self::ControlEnded => Kind::Forbidden,
            Self::Denied { .. } => Kind::Denied,
            Self::Conflict(Conflict::Version { .. } | Conflict::Sequence { .. }) => {
                Kind::PreconditionFailed
            }
            Self::Conflict(_) | Self::Refused(_) => Kind::Conflict,
            Self::Spent(_) => Kind::Busy,
            Self::Share(refused) => refused.kind(),
            Self::Invalid { .. } | Self::ChangeRefused(_) | Self::Signature { .. } => Kind::Invalid,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Held { .. } => Kind::Locked,
            Self::Busy { .. } => Kind::Busy,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::DiskFull => Kind::DiskFull,
            Self::Storage { .. } | Self::Damaged(_) | Self::Internal(_) => Kind::Internal,
        }
    }

    pub(crate) fn invalid(what: &'static str, path: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            what,
            problems_found: vec![Problem {
                path: path.to_owned(),
                message: message.into(),
            }],
        }
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        use vault::Error as E;
        match error {
            E::SubjectUnknown => Self::SubjectUnknown,
            E::SubjectErased => Self::SubjectErased,
            E::RecordUnknown(record) => Self::RecordUnknown(record),
            E::VersionUnknown { record, version } => Self::VersionUnknown { record, version },
            E::Unknown(what) => Self::Unknown(what),
            E::Conflict(conflict) => Self::Conflict(conflict.into()),
            E::Store(store::Error::Full) => Self::DiskFull,
            E::Custody(vault::CustodyError::Io {
                kind: ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge,
                ..
            }) => Self::DiskFull,
            E::Full { .. }
            | E::Busy
            | E::Store(store::Error::Poisoned | store::Error::Closed)
            | E::Custody(vault::CustodyError::Poisoned) => Self::Unavailable(error.to_string()),
            E::Held { until, reason_code } => Self::Held {
                until,
                because: reason_code,
            },
            E::Store(store::Error::Corrupt { .. }) | E::Damaged { .. } | E::KeyLost => {
                Self::Damaged(error.to_string())
            }
            E::Invalid { what, why } => Self::invalid(what, "", why),
            error => Self::Storage {
                what: error.to_string(),
            },
        }
    }
}

impl From<vault::Conflict> for Conflict {
    fn from(conflict: vault::Conflict) -> Self {
        use vault::Conflict as C;
        match conflict {
            C::OtherBytes { record, version } => Self::OtherBytes { record, version },
            C::Version { record, version } => Self::Version { record, version },
            C::Sequence { sequence } => Self::Sequence { sequence },
            C::SubjectOpen => Self::SubjectOpen,
            C::Done(what) => Self::Done(what),
        }
    }
}

impl From<consensus::ReadError> for Error {
    fn from(error: consensus::ReadError) -> Self {
        use consensus::ReadError as E;
        match error {
            E::NotFinal => Self::Unavailable("the ledger does not hold that yet".to_owned()),
            E::Stopped(_) => Self::Unavailable(
                "the ledger has stopped at this node; restart it, and look at its log".to_owned(),
            ),
            error => Self::Damaged(error.to_string()),
        }
    }
}

const SENTENCES_MAX: usize = 5;

fn sentences(denial: &Denial) -> String {
    let sentence =
        |missing: &consent::Missing| missing.to_string().trim_end_matches('.').to_owned();
    joined(denial.missing.iter().map(sentence))
}

fn problems(found: &[Problem]) -> String {
    joined(found.iter().map(|p| match p.path.as_str() {
        "" => p.message.clone(),
        path => format!("{path}: {}", p.message),
    }))
}

fn joined(all: impl ExactSizeIterator<Item = String>) -> String {
    let count = all.len();
    let mut text = all.take(SENTENCES_MAX).collect::<Vec<_>>().join("; ");
    if count > SENTENCES_MAX {
        text.push_str(&format!("; and {} more", count - SENTENCES_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind};

    /// Whatever a full disk broke half way: nobody's fault, and over after a restart.
    #[test]
    fn what_a_restart_recovers_is_unavailable_until_then() {
        for broken in [
            vault::Error::Store(store::Error::Poisoned),
            vault::Error::Custody(vault::CustodyError::Poisoned),
        ] {
            let error = Error::from(broken);
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.to_string().contains("restart"), "{error}");
        }
    }
}
