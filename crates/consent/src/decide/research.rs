//! What a study must be before anything is let out for it.
//!
//! | ground | open to the asker | within what it declared | approved here | conditions of use |
//! |---|---|---|---|---|
//! | a grant to this study | yes | if that is known | - | - |
//! | a grant to research | yes | yes | yes | allowed, or accepted by the committee |
//! | a use not opted out of | yes | yes | yes | - |

use super::hearing::Hearing;
use crate::{DataUse, Missing, PractitionerAt, Study, StudyFacts, match_use};
use codec::{Category, Millis, StudyId};
use std::collections::BTreeSet;

/// How far a study may go: what it declared, and until when.
#[derive(Clone, Default)]
pub(super) struct Bounds {
    categories: Option<BTreeSet<Category>>,
    until: Option<Millis>,
}

impl Bounds {
    /// The categories of a ground that the study asked for.
    pub(super) fn categories(&self, of: &BTreeSet<Category>) -> BTreeSet<Category> {
        match &self.categories {
            Some(asked) => of.intersection(asked).copied().collect(),
            None => of.clone(),
        }
    }

    /// The end of a ground, or the study's if that is earlier.
    pub(super) fn until(&self, of: Option<Millis>) -> Option<Millis> {
        self.until.into_iter().chain(of).min()
    }

    fn of(study: &Study) -> Self {
        Self {
            categories: Some(study.categories.clone()),
            until: Some(study.until()),
        }
    }
}

impl Hearing<'_> {
    /// The facts of a study that is open to the asker.
    pub(super) fn open_study(&self, study: &StudyId) -> Result<&StudyFacts, Missing> {
        let known = self.facts.studies.get(study);
        known
            .filter(|facts| facts.active)
            .ok_or(Missing::StudyNotActive(*study))
    }

    /// How far an open study may go by its own word; without bounds of its own if that is not known here.
    pub(super) fn named_study(&self, id: &StudyId) -> Result<Bounds, Missing> {
        match &self.open_study(id)?.study {
            Some(study) => self.within(id, study),
            None => Ok(Bounds::default()),
        }
    }

    /// How far an open study may go that this custodian's committee approved.
    pub(super) fn approved_study(&self, id: &StudyId) -> Result<Bounds, Missing> {
        let facts = self.open_study(id)?;
        // INVARIANT: nobody approves their own study, nor for another custodian.
        let approved = |study: &Study| {
            facts.approval.as_ref().is_some_and(|approval| {
                approval.by.institution == self.facts.custodian && approval.by != study.proposed.by
            })
        };
        match facts.study.as_ref().filter(|study| approved(study)) {
            Some(study) => self.within(id, study),
            None => Err(Missing::StudyNotApproved(*id)),
        }
    }

    /// How far an approved study may go under some conditions of use.
    pub(super) fn matched_study(&self, id: &StudyId, data: &DataUse) -> Result<Bounds, Missing> {
        let mut bounds = self.approved_study(id)?;
        let facts = self.open_study(id)?;
        let Some(study) = &facts.study else {
            return Err(Missing::StudyNotApproved(*id));
        };
        let ancestors = |disease: &_| facts.ancestors.get(disease).cloned();
        let matched = match_use(data, &study.declared, &ancestors);
        match matched.allowed(&facts.accepted) {
            Some(until) => {
                bounds.until = bounds.until(until);
                Ok(bounds)
            }
            None if matched.outcome == crate::Outcome::ForAPerson => Err(Missing::NotAccepted),
            None => Err(Missing::DataUse(matched.broken())),
        }
    }

    /// Whether the request is within what a study declared.
    fn within(&self, id: &StudyId, study: &Study) -> Result<Bounds, Missing> {
        let (actor, purpose) = (&self.request.actor, self.request.purpose);
        let declared = &study.declared;
        let person = PractitionerAt {
            institution: actor.institution,
            practitioner: actor.practitioner.clone(),
        };
        let works_on_it = declared.institutions.contains(&actor.institution)
            && (declared.users.is_empty() || declared.users.contains(&person));
        if study.id() != *id {
            Err(Missing::StudyNotActive(*id))
        } else if !works_on_it {
            Err(Missing::NotInStudy(*id))
        } else if !study.purposes.contains(&purpose) || !purpose.is_research() {
            Err(Missing::StudyPurpose(purpose))
        } else if self.at < declared.period.from {
            Err(Missing::StudyNotYet(declared.period.from))
        } else if self.at >= study.until() {
            Err(Missing::StudyEnded(study.until()))
        } else {
            Ok(Bounds::of(study))
        }
    }
}
