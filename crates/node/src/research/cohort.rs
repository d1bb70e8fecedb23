//! Who may be counted or released: decided one by one, logged, and only then opened.

use super::study::{categories, purposes};
use crate::custodian::{Custodian, Standing};
use crate::differential::{RECORDS_BYTES_MAX, RECORDS_MAX, case_of, documents, is_relevant};
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::fetch::{Judged, Plan};
use codec::Category;
use codec::id::SubjectId;
use consent::{Actor, Decision, Permit, Purpose, Records, Request, Selection, Study, StudyFacts};
use discovery::{Individual, Sex, TermId, Vocabulary};
use extract::AgeBand;
use findings::{Case, Progress};
use ontology::{DiseaseId, Ontology};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use store::Store;
use vault::RecordMeta;

/// Subjects that are decided and logged together.
pub(super) const GROUP: usize = 128;

/// Who asks, for which study, and what is known of that.
pub(super) struct Asker {
    actor: Actor,
    study: Study,
    facts: StudyFacts,
}

impl Asker {
    pub(super) fn study(&self) -> &Study {
        &self.study
    }
}

/// Somebody who may be counted or released: nothing is opened yet.
pub(super) struct Admitted {
    pub(super) subject: SubjectId,
    /// Of the consent that was heard.
    sequence: u64,
    /// The newest first.
    pub(super) plans: Vec<Plan>,
    logging: Option<Logging>,
}

/// What is known of somebody, as far as the study may know it.
pub(super) struct Known {
    pub(super) features: extract::Subject,
    observed: Vec<TermId>,
    excluded: Vec<TermId>,
    diseases: Vec<TermId>,
    sex: Sex,
    age_years: Option<u16>,
}

impl Admitted {
    /// Takes the log, to be made durable before anything is opened.
    pub(super) fn log(&mut self) -> Option<Logging> {
        self.logging.take()
    }

    /// Of the consent that was heard.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Known {
    pub(super) fn individual(&self) -> Individual<'_> {
        Individual {
            observed: &self.observed,
            excluded: &self.excluded,
            diseases: &self.diseases,
            sex: self.sex,
            age_years: self.age_years,
        }
    }

    /// Whether a disease was diagnosed, itself or what is the same.
    pub(super) fn has_one_of(&self, ids: &BTreeSet<String>) -> bool {
        let diagnosis = self.features.diagnosis.map(|id| id.to_string());
        diagnosis.is_some_and(|id| ids.contains(&id))
    }
}

impl<S: Store> Custodian<S> {
    /// Which of some subjects may be used, in their order, and which of their records are `read`. Refusals are
    /// not logged: nothing is asked about any of them by name, and nothing of them is opened.
    pub(super) async fn admitted(
        &self,
        asker: &Asker,
        page: &[SubjectId],
        channel: &'static str,
        read: &(dyn Fn(&RecordMeta) -> bool + Sync),
    ) -> Result<Vec<Admitted>, Error> {
        let directory = self.directory_known().await?;
        let mut admitted = Vec::new();
        for subject in page {
            if directory.as_ref() == Some(subject) {
                continue;
            }
            match self.admitted_one(asker, subject, channel, read).await {
                Ok(one) => admitted.extend(one),
                Err(Error::SubjectErased | Error::SubjectUnknown | Error::SubjectClosed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(admitted)
    }

    async fn admitted_one(
        &self,
        asker: &Asker,
        subject: &SubjectId,
        channel: &'static str,
        read: &(dyn Fn(&RecordMeta) -> bool + Sync),
    ) -> Result<Option<Admitted>, Error> {
        // Cheap first: most have agreed to no research.
        let standing = self.standing(subject).await?;
        self.in_service_for(&standing)?;
        let permitted = self.admits(asker, subject, &standing);
        if let Some((purpose, _)) = permitted {
            let request = request(&asker.study, &asker.actor, purpose, subject);
            let latest = self.latest_within(subject, usize::MAX).await?;
            let Judged::Permitted(decided) = self.judge(request, &latest).await? else {
                return Ok(None);
            };
            let mut plans = crate::record::fetch::plans(latest, &decided)?;
            plans.retain(|plan| read(&plan.meta));
            // INVARIANT: what is opened is in the log: the newest, as many as it takes.
            plans.sort_by_key(|plan| Reverse((plan.meta.deposited, plan.meta.record)));
            plans.truncate(vault::MAX_DISCLOSED);
            let named = plans.iter().map(|plan| plan.meta.record);
            let trace = Trace {
                channel: Some(channel),
                asked: None,
            };
            let logging = decided.logging(named.collect(), &trace);
            return Ok(Some(Admitted {
                subject: *subject,
                sequence: decided.sequence,
                plans,
                logging: Some(logging),
            }));
        }
        Ok(None)
    }

    /// Whether the consent that was heard still stands: what was revoked before the disclosure was durable
    /// binds too.
    pub(super) async fn still_admitted(&self, one: &Admitted) -> Result<bool, Error> {
        match self.vault.consent_current(&one.subject).await {
            Ok(current) => Ok(current.latest().state.sequence == one.sequence),
            Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What the records say of somebody who was admitted and logged; none if that is too much to read.
    pub(super) async fn known(
        &self,
        ontology: &Ontology,
        one: &Admitted,
    ) -> Result<Option<Known>, Error> {
        // INVARIANT: called only for whom the disclosure is durable.
        let mut plans: Vec<&Plan> = Vec::new();
        let mut room = RECORDS_BYTES_MAX;
        let newest = one.plans.iter().filter(|plan| is_relevant(&plan.meta));
        for plan in newest.take(RECORDS_MAX) {
            if let Some(left) = room.checked_sub(plan.meta.size_bytes()) {
                room = left;
                plans.push(plan);
            }
        }
        plans.sort_by_key(|plan| plan.meta.record);
        let mut records = Vec::with_capacity(plans.len());
        for plan in plans {
            records.push(self.open(&one.subject, plan.clone()).await?);
        }
        let Ok(case) = case_of(ontology, &documents(&records, None)) else {
            return Ok(None);
        };
        Ok(Some(known(ontology, &one.subject, &case)))
    }

    /// Whether a study's request about a subject would be permitted now, and under which purpose: not logged,
    /// nothing is read.
    pub(super) fn admits(
        &self,
        asker: &Asker,
        subject: &SubjectId,
        standing: &Standing,
    ) -> Option<(Purpose, Permit)> {
        purposes(&asker.study).into_iter().find_map(|purpose| {
            let request = request(&asker.study, &asker.actor, purpose, subject);
            Some((purpose, self.permits(asker, &request, standing)?))
        })
    }

    /// The request that a study be told a subject's identity, and so may ask it again: under the purpose under
    /// which its consent permits that, and otherwise under the first.
    pub(super) fn identity_request(
        &self,
        asker: &Asker,
        subject: &SubjectId,
        standing: &Standing,
    ) -> Result<(Request, bool), Error> {
        let mut first = None;
        for purpose in purposes(&asker.study) {
            let mut request = request(&asker.study, &asker.actor, purpose, subject);
            request.selection = Selection::all([Category::Identity]);
            request.partial = false;
            if self.permits(asker, &request, standing).is_some() {
                return Ok((request, true));
            }
            first = first.or(Some(request));
        }
        let first = first.ok_or(Error::Internal("a study has no purpose"))?;
        Ok((first, false))
    }

    fn permits(&self, asker: &Asker, request: &Request, standing: &Standing) -> Option<Permit> {
        let mut facts = standing.facts.clone();
        facts.studies.insert(asker.study.id(), asker.facts.clone());
        match consent::decide(&self.policy, &standing.effective(), request, &facts) {
            Decision::Permit(permit) => Some(permit),
            Decision::Deny(_) => None,
        }
    }
}

/// What a study asks of one subject.
pub(super) fn request(
    study: &Study,
    actor: &Actor,
    purpose: Purpose,
    subject: &SubjectId,
) -> Request {
    Request {
        actor: actor.clone(),
        purpose,
        subject: *subject,
        selection: Selection {
            categories: categories(study),
            records: Records::All,
        },
        study: Some(study.id()),
        partial: true,
    }
}

fn known(ontology: &Ontology, subject: &SubjectId, case: &Case) -> Known {
    let presentation = answer::presentation(ontology, case, false);
    let ix = |terms: &[ontology::HpoId]| {
        let live = terms.iter().filter_map(|term| ontology.live(*term));
        live.collect::<Vec<_>>()
    };
    let hp = |terms: &[ontology::HpoId]| {
        let ids = terms
            .iter()
            .filter_map(|term| TermId::new(Vocabulary::Hp, term.number()));
        ids.collect::<Vec<_>>()
    };
    let stated: BTreeSet<&str> = case
        .recorded_diagnoses
        .iter()
        .filter(|recorded| !recorded.excluded && recorded.progress != Progress::Unsolved)
        .map(|recorded| recorded.id.as_str())
        .collect();
    let known_diseases: BTreeSet<DiseaseId> = stated
        .iter()
        .filter_map(|id| id.parse::<DiseaseId>().ok())
        .filter(|id| ontology.find_disease(*id).is_some())
        .collect();
    let years = presentation.age_days.map(|days| days / 365);
    let mut id = [0; 32];
    id.copy_from_slice(subject.as_bytes());
    Known {
        features: extract::Subject {
            id,
            observed: ix(&presentation.observed),
            excluded: ix(&presentation.excluded),
            sex: presentation.sex,
            age: years.map(AgeBand::of_years),
            // Several: which of them is meant is not known.
            diagnosis: match known_diseases.len() {
                1 => known_diseases.first().copied(),
                _ => None,
            },
        },
        observed: hp(&presentation.observed),
        excluded: hp(&presentation.excluded),
        diseases: stated.iter().filter_map(|id| id.parse().ok()).collect(),
        sex: match presentation.sex {
            Some(ontology::Sex::Female) => Sex::Female,
            Some(ontology::Sex::Male) => Sex::Male,
            None => Sex::Unknown,
        },
        age_years: years.and_then(|years| u16::try_from(years).ok()),
    }
}

/// Somebody who researches, for one study.
pub(super) fn asker(actor: Actor, study: Study, facts: &StudyFacts) -> Asker {
    Asker {
        actor,
        study,
        facts: facts.clone(),
    }
}
