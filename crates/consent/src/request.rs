//! What is asked: who, for what purpose, about whom, which part.

use crate::{PractitionerId, Purpose, Role};
use codec::{Category, InstitutionId, RecordId, StudyId, SubjectId, choice, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

record! {
    /// Someone whom the edge, or another institution's signature, has authenticated.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Actor {
        /// For whom they act.
        1 => pub institution: InstitutionId,
        /// Who they are there. For a family: the account.
        2 => pub practitioner: PractitionerId,
        /// What they are there.
        3 => pub roles: BTreeSet<Role>,
        /// The controller slot that an account or key stands for, for [`Role::Controller`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        4 => pub slot: Option<u8>,
    }
}

impl Actor {
    /// Whether they hold a role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

choice! {
    /// Which records.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Records {
        /// Every record that the basis covers. What a grant leaves out is left out.
        1 => All,
        /// These and no others.
        2 => Only(BTreeSet<RecordId>),
    }
}

record! {
    /// A part of a compartment.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Selection {
        /// Which categories.
        1 => pub categories: BTreeSet<Category>,
        /// Of which records.
        2 => pub records: Records,
    }
}

impl Selection {
    /// Every category of every record.
    pub fn everything() -> Self {
        Self::all(Category::ALL.iter().copied())
    }

    /// Some categories of every record.
    pub fn all(categories: impl IntoIterator<Item = Category>) -> Self {
        Self {
            categories: categories.into_iter().collect(),
            records: Records::All,
        }
    }

    /// Whether this selects nothing.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
            || matches!(&self.records, Records::Only(records) if records.is_empty())
    }
}

record! {
    /// One question to [`crate::decide`].
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Request {
        /// Who asks.
        1 => pub actor: Actor,
        /// For what.
        2 => pub purpose: Purpose,
        /// About whom.
        3 => pub subject: SubjectId,
        /// Which part.
        4 => pub selection: Selection,
        /// For which study, if for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        5 => pub study: Option<StudyId>,
        /// Whether less than the selection will do: "whatever I may see". Otherwise it is the
        /// whole selection or a denial that names what was missing.
        #[serde(default)]
        6 => pub partial: bool,
    }
}
