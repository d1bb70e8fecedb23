//! What may be done with data in research, as DUO says it: any of some clauses, each a permission and the
//! conditions that it is bound to.
//!
//! DUO's modifiers take their arguments here: a disease-specific permission its diseases, a geographical
//! restriction its countries. [`Modifier::ClinicalCare`] is the one that adds a use instead of binding one.
//! As DUO has it, developing methods is allowed by every permission unless [`Modifier::NoMethods`] says
//! otherwise, whatever the disease.

mod order;
mod words;

use crate::duo::Duo;
use crate::{Country, Curie, PractitionerAt, Topic};
use codec::{InstitutionId, Millis, StudyId, choice, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

record! {
    /// What may be done: whatever any of the clauses permits.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct DataUse {
        /// In order and without repetition: alternatives.
        1 => pub clauses: BTreeSet<Clause>,
    }
}

record! {
    /// One thing that may be done: all of it holds together.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Clause {
        /// For what.
        1 => pub permission: Permission,
        /// On what conditions; one of a kind.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        2 => pub modifiers: BTreeSet<Modifier>,
    }
}

choice! {
    /// For what data may be used.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Permission {
        /// NRES: anything. Takes no modifier.
        1 => NoRestriction,
        /// GRU: any research.
        2 => GeneralResearch,
        /// HMB: research into health, not into ancestry.
        3 => HealthResearch,
        /// DS: research into one of these diseases or one within them.
        4 => Diseases(BTreeSet<Curie>),
        /// POA: research into origins and ancestry.
        5 => Ancestry,
    }
}

record! {
    /// A period: `from <= t < until`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Period {
        /// The first instant.
        1 => pub from: Millis,
        /// The first instant after it.
        2 => pub until: Millis,
    }
}

choice! {
    /// On what condition data may be used.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Modifier {
        /// RS: research of this topic alone. A person judges whether a study's is.
        1 => Topic(Topic),
        /// NMDS: no development of methods.
        2 => NoMethods,
        /// GSO: studies that work with genetic data, alone or not.
        3 => GeneticOnly,
        /// NPU: organisations that make no profit.
        4 => NonProfitOrganisation,
        /// PUB: results are made available.
        5 => Publication,
        /// COL: together with those who collected the data.
        6 => Collaboration,
        /// IRB: with an ethics committee's approval.
        7 => EthicsApproval,
        /// GS: in these countries only.
        8 => Countries(BTreeSet<Country>),
        /// MOR: nothing is published before this instant.
        9 => Moratorium(Millis),
        /// TS: a study that lies within this period.
        10 => Within(Period),
        /// US: by these people only.
        11 => Users(BTreeSet<PractitionerAt>),
        /// PS: in these studies only.
        12 => Studies(BTreeSet<StudyId>),
        /// IS: at these institutions only.
        13 => Institutions(BTreeSet<InstitutionId>),
        /// RTN: what is derived is given back.
        14 => Return,
        /// CC: use in clinical care is allowed too.
        15 => ClinicalCare,
        /// NCU: nothing commercial.
        16 => NonCommercial,
        /// NPUNCU: [`Self::NonProfitOrganisation`] and [`Self::NonCommercial`].
        17 => NonProfitNonCommercial,
        /// NPOA: no research into origins and ancestry.
        18 => NoAncestry,
    }
}

/// Why conditions cannot be part of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDataUse {
    /// It permits nothing.
    #[error("conditions of use have at least one clause")]
    NoClause,
    /// Too many clauses.
    #[error("conditions of use have at most {max} clauses", max = DataUse::MAX_CLAUSES)]
    TooManyClauses,
    /// A list that permits nothing.
    #[error("{0} ({label}) names at least one", label = .0.label())]
    Empty(Duo),
    /// A list that is too long.
    #[error("{0} ({label}) names at most {max}", label = .0.label(), max = DataUse::MAX_LIST)]
    TooMany(Duo),
    /// Two of a kind.
    #[error("a clause has {0} ({label}) once", label = .0.label())]
    Twice(Duo),
    /// Nothing fulfils both.
    #[error("{0} and {1} contradict each other")]
    Contradiction(Duo, Duo),
    /// A period without an instant, or too late to be written as a date.
    #[error("{0} ({label}) has a period that ends after it starts and before the year 10000", label = .0.label())]
    Period(Duo),
}

impl DataUse {
    /// The most clauses.
    pub const MAX_CLAUSES: usize = 5;
    /// The most members of a list in a clause.
    pub const MAX_LIST: usize = 32;

    /// One clause.
    pub fn of(permission: Permission, modifiers: impl IntoIterator<Item = Modifier>) -> Self {
        let modifiers = modifiers.into_iter().collect();
        let clause = Clause {
            permission,
            modifiers,
        };
        Self {
            clauses: BTreeSet::from([clause]),
        }
    }

    /// Whether this can be part of a grant.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidDataUse> {
        if self.clauses.is_empty() {
            return Err(InvalidDataUse::NoClause);
        }
        if self.clauses.len() > Self::MAX_CLAUSES {
            return Err(InvalidDataUse::TooManyClauses);
        }
        self.clauses.iter().try_for_each(Clause::validate)
    }
}

impl Clause {
    fn validate(&self) -> Result<(), InvalidDataUse> {
        if let Permission::Diseases(diseases) = &self.permission {
            bounded(Duo::Ds, diseases.len())?;
        }
        // The order of modifiers is first that of their kinds.
        let mut before = None;
        for modifier in &self.modifiers {
            let duo = modifier.duo();
            if before == Some(duo) {
                return Err(InvalidDataUse::Twice(duo));
            }
            before = Some(duo);
            modifier.validate()?;
            let permission = self.permission.duo();
            let contradicts = match permission {
                Duo::Nres => true,
                Duo::Poa => duo == Duo::Npoa,
                _ => false,
            };
            if contradicts {
                return Err(InvalidDataUse::Contradiction(permission, duo));
            }
        }
        Ok(())
    }
}

impl Permission {
    /// The term of DUO.
    pub const fn duo(&self) -> Duo {
        match self {
            Self::NoRestriction => Duo::Nres,
            Self::GeneralResearch => Duo::Gru,
            Self::HealthResearch => Duo::Hmb,
            Self::Diseases(_) => Duo::Ds,
            Self::Ancestry => Duo::Poa,
        }
    }
}

impl Modifier {
    /// The term of DUO.
    pub const fn duo(&self) -> Duo {
        match self {
            Self::Topic(_) => Duo::Rs,
            Self::NoMethods => Duo::Nmds,
            Self::GeneticOnly => Duo::Gso,
            Self::NonProfitOrganisation => Duo::Npu,
            Self::Publication => Duo::Pub,
            Self::Collaboration => Duo::Col,
            Self::EthicsApproval => Duo::Irb,
            Self::Countries(_) => Duo::Gs,
            Self::Moratorium(_) => Duo::Mor,
            Self::Within(_) => Duo::Ts,
            Self::Users(_) => Duo::Us,
            Self::Studies(_) => Duo::Ps,
            Self::Institutions(_) => Duo::Is,
            Self::Return => Duo::Rtn,
            Self::ClinicalCare => Duo::Cc,
            Self::NonCommercial => Duo::Ncu,
            Self::NonProfitNonCommercial => Duo::Npuncu,
            Self::NoAncestry => Duo::Npoa,
        }
    }

    fn validate(&self) -> Result<(), InvalidDataUse> {
        match self {
            Self::Countries(countries) => bounded(Duo::Gs, countries.len()),
            Self::Users(users) => bounded(Duo::Us, users.len()),
            Self::Studies(studies) => bounded(Duo::Ps, studies.len()),
            Self::Institutions(institutions) => bounded(Duo::Is, institutions.len()),
            Self::Moratorium(day) if day.date().is_none() => Err(InvalidDataUse::Period(Duo::Mor)),
            Self::Within(period) if !period.is_valid() => Err(InvalidDataUse::Period(Duo::Ts)),
            _ => Ok(()),
        }
    }
}

impl Period {
    /// Whether it holds an instant and can be written as dates.
    pub fn is_valid(&self) -> bool {
        self.from < self.until && self.until.date().is_some()
    }

    /// Whether every instant of this is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.from >= other.from && self.until <= other.until
    }
}

fn bounded(duo: Duo, len: usize) -> Result<(), InvalidDataUse> {
    if len == 0 {
        Err(InvalidDataUse::Empty(duo))
    } else if len > DataUse::MAX_LIST {
        Err(InvalidDataUse::TooMany(duo))
    } else {
        Ok(())
    }
}
