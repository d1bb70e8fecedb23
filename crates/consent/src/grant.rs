//! Grants: who may see what, why, from when until when, except what.

use crate::{Actor, DataUse, InvalidDataUse, PractitionerId, Purpose, RecordKind};
use codec::{Category, GrantId, InstitutionId, Millis, RecordId, StudyId, choice, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

record! {
    /// A practitioner at an institution.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PractitionerAt {
        /// Where.
        1 => pub institution: InstitutionId,
        /// Who.
        2 => pub practitioner: PractitionerId,
    }
}

choice! {
    /// Who a grant is given to.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Grantee {
        /// Everyone at an institution whose role fits the purpose.
        1 => Institution(InstitutionId),
        /// One practitioner, at one institution.
        2 => Practitioner(PractitionerAt),
        /// A study, while it is open; for research only.
        3 => Study(StudyId),
        /// Any study that the custodian's committee approved and whose use these conditions allow, while it is
        /// open; for research only.
        4 => Research(DataUse),
    }
}

choice! {
    /// What a grant leaves out.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Exception {
        /// One record.
        1 => Record(RecordId),
        /// Every record of a kind.
        2 => Kind(RecordKind),
        /// Whoever goes by this id.
        3 => Practitioner(PractitionerId),
    }
}

record! {
    /// One thing the controllers agreed to.
    ///
    /// Permits what its purposes and categories name, in `from <= t < until`, less its exceptions.
    /// Exceptions bind this grant alone: what another grant permits stays permitted.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Grant {
        /// Random, unique in the state.
        1 => pub id: GrantId,
        /// To whom.
        2 => pub grantee: Grantee,
        /// For what.
        3 => pub purposes: BTreeSet<Purpose>,
        /// What.
        4 => pub categories: BTreeSet<Category>,
        /// The first instant.
        5 => pub from: Millis,
        /// The first instant after the period.
        6 => pub until: Millis,
        /// Less what.
        7 => pub exceptions: BTreeSet<Exception>,
    }
}

/// Why a grant cannot be part of a consent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// It permits nothing.
    #[error("a grant names at least one purpose")]
    NoPurpose,
    /// It permits nothing.
    #[error("a grant names at least one category")]
    NoCategory,
    /// A purpose that is not the controllers' to grant.
    #[error("{0} cannot be granted")]
    Purpose(Purpose),
    /// A study may only do research.
    #[error("a grant to a study is for research; {0} is not")]
    StudyPurpose(Purpose),
    /// Conditions that are none.
    #[error("the conditions of use are not valid")]
    DataUse(#[source] InvalidDataUse),
    /// The period holds no instant.
    #[error("a grant ends after it starts")]
    EmptyPeriod,
    /// The period ends too late to be written as a date.
    #[error("a grant ends before the year 10000")]
    EndlessPeriod,
    /// Too many exceptions.
    #[error("a grant has at most {max} exceptions", max = Grant::MAX_EXCEPTIONS)]
    TooManyExceptions,
}

impl Grant {
    /// The most exceptions of one grant.
    pub const MAX_EXCEPTIONS: usize = 64;

    /// Whether this can be part of a consent state.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidGrant> {
        if self.purposes.is_empty() {
            return Err(InvalidGrant::NoPurpose);
        }
        if self.categories.is_empty() {
            return Err(InvalidGrant::NoCategory);
        }
        if let Some(purpose) = self.purposes.iter().find(|p| !p.is_grantable()) {
            return Err(InvalidGrant::Purpose(*purpose));
        }
        if let Grantee::Research(data_use) = &self.grantee {
            data_use.validate().map_err(InvalidGrant::DataUse)?;
        }
        if matches!(self.grantee, Grantee::Study(_) | Grantee::Research(_))
            && let Some(purpose) = self.purposes.iter().find(|p| !p.is_research())
        {
            return Err(InvalidGrant::StudyPurpose(*purpose));
        }
        if self.until <= self.from {
            return Err(InvalidGrant::EmptyPeriod);
        }
        if self.until.date().is_none() {
            return Err(InvalidGrant::EndlessPeriod);
        }
        if self.exceptions.len() > Self::MAX_EXCEPTIONS {
            return Err(InvalidGrant::TooManyExceptions);
        }
        Ok(())
    }

    /// Whether everything this permits, `other` permits too (identity and display aside).
    pub fn is_within(&self, other: &Self) -> bool {
        self.grantee.is_within(&other.grantee)
            && self.purposes.is_subset(&other.purposes)
            && self.categories.is_subset(&other.categories)
            && self.from >= other.from
            && self.until <= other.until
            && other
                .exceptions
                .iter()
                .all(|e| self.exceptions.contains(e) || self.grantee.is_beyond(e))
    }
}

impl Grantee {
    /// Whether this names the asker, whatever else the grant says. Conditions of research name nobody: whether
    /// a study keeps them is for [`crate::decide`].
    pub fn names(&self, actor: &Actor, study: Option<&StudyId>) -> bool {
        match self {
            Self::Institution(institution) => *institution == actor.institution,
            Self::Practitioner(at) => {
                at.institution == actor.institution && at.practitioner == actor.practitioner
            }
            Self::Study(named) => study == Some(named),
            Self::Research(_) => false,
        }
    }

    /// Whether everyone this names, `other` names too.
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Practitioner(at), Self::Institution(institution)) => {
                at.institution == *institution
            }
            (Self::Research(data_use), Self::Research(other)) => data_use.is_within(other),
            _ => self == other,
        }
    }

    /// Whether an exception cannot touch this grantee: it leaves out another practitioner.
    fn is_beyond(&self, exception: &Exception) -> bool {
        matches!((self, exception),
            (Self::Practitioner(at), Exception::Practitioner(other)) if at.practitioner != *other)
    }
}
