//! A study: what it declares, who approved it, under which agreement; its digest goes to the ledger when it
//! opens.
//!
//! Everything in a [`Study`] may be published. What a committee decided about conditions in a family's own
//! words is no part of it ([`crate::StudyFacts::accepted`]).

mod process;

use crate::data_use::Period;
use crate::{Country, Curie, Label, PractitionerAt, Purpose, Reason, Topic};
use codec::{Category, Digest, Domain, InstitutionId, Millis, StudyId, codes, record};
pub use process::{
    StudyAct, StudyCase, StudyRefused, StudyStatus, StudyStep, study_approval_allowed,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

codes! {
    /// What kind of research a study does.
    pub enum ResearchType {
        /// Any: the study does not bind itself.
        1 => General = "general",
        /// Into health, medicine or biology.
        2 => Health = "health",
        /// Into the diseases that the study names.
        3 => Disease = "disease",
        /// Into population origins or ancestry.
        4 => Ancestry = "ancestry",
        /// Developing or validating methods, such as software.
        5 => Methods = "methods",
        /// No research alone: clinical care.
        6 => ClinicalCare = "clinical-care",
    }
}

codes! {
    /// Whether an organisation works for profit.
    pub enum Organisation {
        /// It does not.
        1 => NonProfit = "non-profit",
        /// It does.
        2 => ForProfit = "for-profit",
    }
}

codes! {
    /// What makes a study a matter for a person to judge, whatever the conditions of the data say.
    pub enum Sensitive {
        /// Uses people as controls for a condition that is not theirs.
        1 => Controls = "controls",
        /// Compares or describes populations.
        2 => Population = "population",
        /// Is about people of one sex.
        3 => OneSex = "one-sex",
        /// Is about children.
        4 => Children = "children",
        /// Is about people who are easily put under pressure.
        5 => Vulnerable = "vulnerable",
        /// Is about illegal behaviour.
        6 => IllegalBehaviour = "illegal-behaviour",
        /// Is about sexually transmitted disease.
        7 => SexualHealth = "sexual-health",
        /// Is about psychological traits, intelligence or attention.
        8 => PsychologicalTraits = "psychological-traits",
        /// Is not about health.
        9 => NotHealth = "not-health",
        /// Is about what people are stigmatised for.
        10 => Stigma = "stigma",
    }
}

record! {
    /// An ethics committee's approval.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct EthicsApproval {
        /// Which committee.
        1 => pub committee: Label,
        /// Its reference.
        2 => pub reference: Label,
    }
}

record! {
    /// What a study declares about its use of data.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct StudyUse {
        /// The study.
        1 => pub study: StudyId,
        /// What it does; all of it must be permitted. Empty: for a person to judge.
        2 => pub research: BTreeSet<ResearchType>,
        /// The diseases that it is about; with [`ResearchType::Disease`], and only then.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        3 => pub diseases: BTreeSet<Curie>,
        /// Whether it works with genetic data, alone or not.
        4 => pub genetic: bool,
        /// Whether it is for something commercial.
        5 => pub commercial: bool,
        /// For profit if any of its institutions is.
        6 => pub organisation: Organisation,
        /// All who use the data.
        7 => pub institutions: BTreeSet<InstitutionId>,
        /// Who uses the data. Empty: whoever its institutions let.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        8 => pub users: BTreeSet<PractitionerAt>,
        /// Where the data are used.
        9 => pub countries: BTreeSet<Country>,
        /// The ethics committee's approval that it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        10 => pub ethics: Option<EthicsApproval>,
        /// Results are made available from then on; none: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        11 => pub publishes_from: Option<Millis>,
        /// Works together with those who collected the data.
        12 => pub collaborates: bool,
        /// Gives back what it derives.
        13 => pub returns: bool,
        /// When the data are used.
        14 => pub period: Period,
        /// What only a person can judge.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        15 => pub sensitive: BTreeSet<Sensitive>,
        /// Anything else about the use, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        16 => pub other: Option<Topic>,
    }
}

record! {
    /// How far a study's releases may go.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Limits {
        /// The fewest people in a group of a release.
        1 => pub k: u16,
        /// The most records that the attacks on a release may have linked, in thousandths.
        2 => pub linked_per_mille: u16,
    }
}

record! {
    /// What somebody signed for, and when.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Signature {
        /// Who.
        1 => pub by: PractitionerAt,
        /// When.
        2 => pub at: Millis,
    }
}

record! {
    /// The data-use agreement of a study, accepted by its institution.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Agreement {
        /// Digest of its text.
        1 => pub digest: Digest,
        /// Who accepted it for the institution.
        2 => pub accepted: Signature,
    }
}

record! {
    /// A study as it is proposed, approved and agreed.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Study {
        /// What it is called.
        1 => pub title: Label,
        /// What it is for, in words for everybody.
        2 => pub summary: Reason,
        /// Who runs it.
        3 => pub institution: InstitutionId,
        /// What it declares.
        4 => pub declared: StudyUse,
        /// The purposes that it asks under; all research.
        5 => pub purposes: BTreeSet<Purpose>,
        /// What it asks for.
        6 => pub categories: BTreeSet<Category>,
        /// How far its releases may go.
        7 => pub limits: Limits,
        /// By whom it was proposed.
        8 => pub proposed: Signature,
        /// The committees' approvals, in the order in which they were given.
        9 => pub approvals: Vec<Signature>,
        /// The agreement, once it is accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        10 => pub agreement: Option<Agreement>,
    }
}

/// Why a study's declaration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStudy {
    /// It asks for nothing.
    #[error("a study names at least one {0}")]
    Empty(&'static str),
    /// A list that is too long.
    #[error("a study names at most {max} of its {0}", max = Study::MAX_LIST)]
    TooMany(&'static str),
    /// Not research.
    #[error("a study is research; {0} is not")]
    Purpose(Purpose),
    /// Disease research and diseases belong together.
    #[error("a study that does research into diseases names them, and no other study does")]
    Diseases,
    /// A period without an instant, or too late to be written as a date.
    #[error("a study ends after it starts and before the year 10000")]
    Period,
    /// The institution that runs it takes part in it.
    #[error("the institution that runs the study is one of those that use the data")]
    Institution,
    /// Somebody of an institution that takes no part.
    #[error("who uses the data is at one of the institutions that use them")]
    User,
    /// A group of one hides nobody.
    #[error("k is at least {min}", min = Study::MIN_K)]
    K,
    /// Not a share.
    #[error("the limit on linked records is in thousandths, at most 1000")]
    Linked,
}

impl Study {
    /// The most members of a list.
    pub const MAX_LIST: usize = 64;
    /// The smallest k.
    pub const MIN_K: u16 = 3;
    /// The most approvals.
    pub const MAX_APPROVALS: usize = 8;

    /// The random id.
    pub fn id(&self) -> StudyId {
        self.declared.study
    }

    /// The first instant after the study.
    pub fn until(&self) -> Millis {
        self.declared.period.until
    }

    /// What goes to the ledger when the study opens, as its policy.
    pub fn digest(&self) -> Digest {
        keys::digest(Domain::StudyPolicy, &[&codec::to_vec(self)])
    }

    /// Whether this can be proposed.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidStudy> {
        if self.purposes.is_empty() {
            return Err(InvalidStudy::Empty("purpose"));
        }
        if self.categories.is_empty() {
            return Err(InvalidStudy::Empty("category"));
        }
        if let Some(purpose) = self.purposes.iter().find(|p| !p.is_research()) {
            return Err(InvalidStudy::Purpose(*purpose));
        }
        if self.limits.k < Self::MIN_K {
            return Err(InvalidStudy::K);
        }
        if self.limits.linked_per_mille > 1000 {
            return Err(InvalidStudy::Linked);
        }
        if self.approvals.len() > Self::MAX_APPROVALS {
            return Err(InvalidStudy::TooMany("approvals"));
        }
        if !self.declared.institutions.contains(&self.institution) {
            return Err(InvalidStudy::Institution);
        }
        self.declared.validate()
    }
}

impl StudyUse {
    /// Whether this can be part of a study.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidStudy> {
        let lists = [
            ("diseases", self.diseases.len()),
            ("institutions", self.institutions.len()),
            ("users", self.users.len()),
            ("countries", self.countries.len()),
        ];
        if let Some((list, _)) = lists.iter().find(|(_, len)| *len > Study::MAX_LIST) {
            return Err(InvalidStudy::TooMany(list));
        }
        if self.institutions.is_empty() {
            return Err(InvalidStudy::Empty("institution"));
        }
        if self.research.contains(&ResearchType::Disease) == self.diseases.is_empty() {
            return Err(InvalidStudy::Diseases);
        }
        if !self.period.is_valid() {
            return Err(InvalidStudy::Period);
        }
        let at_home = |user: &PractitionerAt| self.institutions.contains(&user.institution);
        if !self.users.iter().all(at_home) {
            return Err(InvalidStudy::User);
        }
        Ok(())
    }
}
