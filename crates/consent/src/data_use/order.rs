//! Which conditions permit no more than others.
//!
//! Judged by the terms alone, without an ontology of diseases: `is_within` may be false of conditions that
//! permit less, never true of ones that permit more.

use super::{Clause, DataUse, Modifier, Permission};
use crate::duo::Duo;

impl DataUse {
    /// Whether everything this permits, `other` permits too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.clauses
            .iter()
            .all(|clause| other.clauses.iter().any(|wider| clause.is_within(wider)))
    }
}

impl Clause {
    /// Whether everything this permits, `other` permits too.
    pub fn is_within(&self, other: &Self) -> bool {
        let care = !self.has(Duo::Cc)
            || other.has(Duo::Cc)
            || other.permission == Permission::NoRestriction;
        care && self.permission.is_within(&other.permission)
            && other.modifiers.iter().all(|wider| self.implies(wider))
    }

    /// Whether a modifier of a kind is there.
    pub fn has(&self, duo: Duo) -> bool {
        self.modifiers.iter().any(|m| m.duo() == duo)
    }

    /// Whether nothing that this permits breaks a condition of another clause.
    fn implies(&self, wider: &Modifier) -> bool {
        match wider {
            // Adds a use and binds none.
            Modifier::ClinicalCare => true,
            Modifier::NonProfitOrganisation => self.has(Duo::Npu) || self.has(Duo::Npuncu),
            Modifier::NonCommercial => self.has(Duo::Ncu) || self.has(Duo::Npuncu),
            Modifier::NonProfitNonCommercial => {
                self.has(Duo::Npuncu) || (self.has(Duo::Npu) && self.has(Duo::Ncu))
            }
            Modifier::NoAncestry => {
                self.has(Duo::Npoa) || matches!(self.permission.duo(), Duo::Hmb | Duo::Ds)
            }
            _ => self.modifiers.iter().any(|own| own.is_within(wider)),
        }
    }
}

impl Permission {
    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::NoRestriction) => true,
            (Self::NoRestriction, _) => false,
            (_, Self::GeneralResearch) => true,
            (Self::Diseases(some), Self::Diseases(more)) => some.is_subset(more),
            (Self::Diseases(_) | Self::HealthResearch, Self::HealthResearch) => true,
            (Self::Ancestry, Self::Ancestry) => true,
            _ => false,
        }
    }
}

impl Modifier {
    /// Whether whatever keeps this condition keeps the other one, of the same kind.
    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Countries(some), Self::Countries(more)) => some.is_subset(more),
            (Self::Users(some), Self::Users(more)) => some.is_subset(more),
            (Self::Studies(some), Self::Studies(more)) => some.is_subset(more),
            (Self::Institutions(some), Self::Institutions(more)) => some.is_subset(more),
            (Self::Moratorium(day), Self::Moratorium(other)) => day >= other,
            (Self::Within(period), Self::Within(other)) => period.is_within(other),
            _ => self == other,
        }
    }
}
