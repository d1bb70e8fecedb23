//! Who may be counted or released: decided one by one, logged, and only then opened.

use super::study::{categories, purposes};
use crate::custodian::{Custodian, Standing};
use crate::differential::{RECORDS_BYTES_MAX, RECORDS_MAX, case_of, documents, is_relevant};
use crate::disclosure::log::{Logging, Trace};
use crate::error::Error;
use crate::record::fetch::{Judged, Plan};
use codec::id::{Digest, DisclosureId, SubjectId};
use codec::{Category, Domain, Millis};
use consent::{Actor, Decision, Permit, Purpose, Records, Request, Selection, Study, StudyFacts};
use discovery::{Individual, Sex, TermId, Vocabulary};
use extract::AgeBand;
use findings::{Case, Progress};
use ontology::{DiseaseId, Ontology};
use std::collections::{BTreeSet, VecDeque};
use store::Store;
use vault::RecordMeta;

/// The most subjects that are decided and logged together.
pub(super) const GROUP: usize = 128;
/// No further subject is added to those whose records are so many together.
const TOGETHER: usize = 10_000;

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

/// Somebody who may be counted or released.
#[derive(Clone)]
pub(super) struct Admitted {
    pub(super) subject: SubjectId,
    /// Of the consent that was heard.
    pub(super) sequence: u64,
    /// Names how far it lets the study read.
    pub(super) reach: Digest,
}

/// What is read of somebody.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// What may tell features and diagnoses.
    Features,
    /// Observations.
    Measurements,
}

impl Part {
    fn wants(self, meta: &RecordMeta) -> bool {
        match self {
            Self::Features => is_relevant(meta),
            Self::Measurements => meta.kind == "Observation",
        }
    }

    /// The most records of one subject, the newest.
    const fn most(self) -> usize {
        match self {
            Self::Features => RECORDS_MAX,
            // INVARIANT: what is opened is in the log.
            Self::Measurements => vault::MAX_DISCLOSED,
        }
    }

    /// The most bytes of them.
    const fn bytes(self) -> u64 {
        match self {
            Self::Features => RECORDS_BYTES_MAX,
            Self::Measurements => u64::MAX,
        }
    }
}

/// A reading of somebody's records that was decided: nothing is opened yet.
pub(super) struct Reading {
    pub(super) admitted: Admitted,
    /// The newest first.
    plans: Vec<Plan>,
    logging: Logging,
}

/// A reading that is in the log.
pub(super) struct Logged {
    pub(super) admitted: Admitted,
    /// The newest first.
    pub(super) plans: Vec<Plan>,
    pub(super) disclosure: DisclosureId,
}

/// Names how far a study may read.
fn reach(permit: &Permit, at: Millis) -> Digest {
    keys::digest(Domain::ReleaseContent, &[&permit.reach(at)])
}

/// Names the versions that are read, and how much of each.
pub(super) fn records(plans: &[Plan]) -> Digest {
    let named = plans
        .iter()
        .map(|plan| (plan.meta.record, plan.meta.version, plan.permitted.clone()));
    let named = codec::to_vec(&named.collect::<Vec<_>>());
    keys::digest(Domain::ReleaseContent, &[&named])
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
    /// Which of the subjects that wait may be used, in their order, and what of them is read: so many of them as
    /// may be held at once; those are taken from `waiting`. Refusals are not logged: nothing is asked about any of
    /// them by name, and nothing of them is opened.
    pub(super) async fn readings(
        &self,
        asker: &Asker,
        waiting: &mut VecDeque<SubjectId>,
        channel: &'static str,
        part: Part,
    ) -> Result<Vec<Reading>, Error> {
        let directory = self.directory_known().await?;
        let mut readings: Vec<Reading> = Vec::new();
        let mut records = 0;
        while records < TOGETHER && readings.len() < GROUP {
            let Some(subject) = waiting.pop_front() else {
                break;
            };
            if directory.as_ref() == Some(&subject) {
                continue;
            }
            match self.reading(asker, &subject, channel, part).await {
                Ok(Some(reading)) => {
                    records += reading.plans.len();
                    readings.push(reading);
                }
                Ok(None)
                | Err(Error::SubjectErased | Error::SubjectUnknown | Error::SubjectClosed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(readings)
    }

    /// Logs readings durably: what they name may be opened then, of whom is admitted still.
    pub(super) async fn readings_log(&self, readings: Vec<Reading>) -> Result<Vec<Logged>, Error> {
        let (kept, logs): (Vec<_>, Vec<_>) = readings
            .into_iter()
            .map(|reading| ((reading.admitted, reading.plans), reading.logging))
            .unzip();
        let logged = self.disclosures_log(logs).await?;
        let with = |((admitted, plans), disclosure)| Logged {
            admitted,
            plans,
            disclosure,
        };
        Ok(kept.into_iter().zip(logged).map(with).collect())
    }

    async fn reading(
        &self,
        asker: &Asker,
        subject: &SubjectId,
        channel: &'static str,
        part: Part,
    ) -> Result<Option<Reading>, Error> {
        // Cheap first: most have agreed to no research.
        let standing = self.standing(subject).await?;
        self.in_service_for(&standing)?;
        let permitted = self.admits(asker, subject, &standing);
        if let Some((purpose, _)) = permitted {
            let at = standing.facts.at();
            let request = request(&asker.study, &asker.actor, purpose, subject);
            // No record is named, so that none need be known for it.
            let Judged::Permitted(decided) = self.judge(request, &[]).await? else {
                return Ok(None);
            };
            // What is excepted takes no room.
            let wanted = |meta: &RecordMeta| {
                let permitted = || decided.permitted(meta);
                part.wants(meta) && permitted().is_ok_and(|permitted| !permitted.is_empty())
            };
            let mut newest = self.latest_newest(subject, part.most(), &wanted).await?;
            newest.fit(part.bytes());
            let plans = crate::record::fetch::plans(newest.metas, &decided)?;
            let named = plans.iter().map(|plan| plan.meta.record);
            let trace = Trace {
                channel: Some(channel),
                asked: None,
            };
            let logging = decided.logging(named.collect(), &trace);
            return Ok(Some(Reading {
                admitted: Admitted {
                    subject: *subject,
                    sequence: decided.sequence,
                    reach: reach(&decided.permit, at),
                },
                plans,
                logging,
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

    /// Whether somebody may still be in what was made of their records: their consent, whatever changed in it,
    /// lets the study read as much as when it was heard.
    pub(super) async fn still_as_far(
        &self,
        asker: &Asker,
        subject: &SubjectId,
        heard: &Digest,
    ) -> Result<bool, Error> {
        let standing = match self.standing(subject).await {
            Ok(standing) => standing,
            Err(Error::SubjectErased | Error::SubjectUnknown | Error::SubjectClosed) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let admits = self.admits(asker, subject, &standing);
        let at = standing.facts.at();
        Ok(admits.is_some_and(|(_, permit)| reach(&permit, at) == *heard))
    }

    /// What the records say of somebody; none if that is too much to read.
    pub(super) async fn known(
        &self,
        ontology: &Ontology,
        one: Logged,
    ) -> Result<Option<Known>, Error> {
        let subject = one.admitted.subject;
        let mut plans = one.plans;
        plans.sort_by_key(|plan| plan.meta.record);
        let mut records = Vec::with_capacity(plans.len());
        for plan in plans {
            records.push(self.open(&subject, plan).await?);
        }
        let Ok(case) = case_of(ontology, &documents(&records, None)) else {
            return Ok(None);
        };
        Ok(Some(known(ontology, &subject, &case)))
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
