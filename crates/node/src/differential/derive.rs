//! From a subject's records to its phenotype profile and differential, by the node itself.
//!
//! Each reading is decided and logged like anybody's, under the system's purpose. What was made of the same
//! records under the same consent is not made again.

use super::knowledge::Insight;
use super::profile::{Cause, Kept, Profile, Shared};
use super::{CATEGORIES, case_of, documents};
use crate::custodian::{Custodian, Standing};
use crate::disclosure::log::Trace;
use crate::error::Error;
use crate::event::Event;
use crate::record::FetchedRecord;
use codec::id::{Digest, RecordId, SubjectId};
use codec::time::Millis;
use codec::{Category, Domain};
use consent::{Actor, PractitionerId, Purpose, Records, Request, Role, Selection};
use findings::{Case, Progress, State};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{Derived, DerivedPut};

/// The most records that a profile or a differential is made of, the newest, and their bytes together.
pub(crate) const RECORDS_MAX: usize = 2_000;
pub(crate) const RECORDS_BYTES_MAX: u64 = 16 << 20;
/// How often a profile is made again because somebody else wrote it meanwhile.
const ATTEMPTS: usize = 4;

/// A profile with the row it was read from; none if the row is of a form that is not read any more.
pub(crate) struct Read {
    pub(crate) row: Derived,
    pub(crate) profile: Option<Profile>,
}

/// The records of a subject that may say something about its phenotype.
pub(crate) struct Relevant {
    /// The newest, at most [`RECORDS_MAX`] and 16 MiB.
    pub(crate) metas: Vec<vault::RecordMeta>,
    /// How many there are.
    pub(crate) all: usize,
}

impl Relevant {
    /// These records; all while there are none, for a request must name something.
    pub(crate) fn records(&self) -> Records {
        if self.metas.is_empty() {
            return Records::All;
        }
        Records::Only(self.metas.iter().map(|meta| meta.record).collect())
    }
}

/// What devices measure all day is no finding, and would leave no room for those.
pub(crate) fn is_relevant(meta: &vault::RecordMeta) -> bool {
    const SAYING: [Category; 3] = [Category::Phenotype, Category::Genomic, Category::Laboratory];
    match meta.kind.as_str() {
        "Patient" | "phenopacket" => true,
        "Condition" | "Observation" => {
            let categories = meta.categories();
            SAYING.iter().any(|category| categories.contains(category))
        }
        _ => false,
    }
}

impl<S: Store> Custodian<S> {
    /// The node as it asks for its own projections.
    pub(crate) fn system_request(
        &self,
        subject: &SubjectId,
        purpose: Purpose,
        records: Records,
    ) -> Result<Request, Error> {
        let practitioner = PractitionerId::new("node")
            .map_err(|_| Error::Internal("the node's name is malformed"))?;
        Ok(Request {
            actor: Actor {
                institution: self.id,
                practitioner,
                roles: [Role::System].into(),
                slot: None,
            },
            purpose,
            subject: *subject,
            selection: Selection {
                categories: CATEGORIES.into(),
                records,
            },
            study: None,
            partial: true,
        })
    }

    /// The newest version of each record that may say something.
    pub(crate) async fn relevant(&self, subject: &SubjectId) -> Result<Relevant, Error> {
        let mut newest = self
            .latest_newest(subject, RECORDS_MAX, &is_relevant)
            .await?;
        newest.fit(RECORDS_BYTES_MAX);
        newest.metas.sort_by_key(|meta| meta.record);
        Ok(Relevant {
            metas: newest.metas,
            all: newest.all,
        })
    }

    /// A subject's profile. For whom the reading was decided and logged.
    pub(crate) async fn profile(&self, subject: &SubjectId) -> Result<Option<Read>, Error> {
        let row = self.vault.derived(subject).await?;
        Ok(row.map(|row| Read {
            profile: Profile::read(&row.value).ok(),
            row,
        }))
    }

    /// Makes a subject's profile and answer again, if anything changed.
    pub(crate) async fn derive(&self, insight: &Insight, subject: &SubjectId) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            match self.derive_once(insight, subject).await {
                Err(Error::SubjectErased | Error::SubjectUnknown) => {
                    insight.forget(subject);
                    return Ok(());
                }
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable(
            "a phenotype profile keeps changing under its making".to_owned(),
        ))
    }

    /// Whether it was done; false if somebody else wrote the profile meanwhile.
    async fn derive_once(&self, insight: &Insight, subject: &SubjectId) -> Result<bool, Error> {
        let mark = self.vault.derive_mark(subject).await?;
        // The directory is about nobody.
        if self.directory_known().await?.as_ref() == Some(subject) {
            if let Some(mark) = mark {
                self.vault.derive_done(subject, mark).await?;
            }
            return Ok(true);
        }
        let standing = self.standing(subject).await?;
        // Before all that may fail: who agrees no longer is counted no longer.
        if insight.counts(subject) && !self.agrees(subject).await? {
            insight.uncount(subject);
        }
        let relevant = self.relevant(subject).await?;
        let basis = basis(&relevant, &standing, insight.knowledge.stamp());
        let made = if relevant.metas.is_empty() || insight.is_of(subject, &basis) {
            None
        } else {
            match self.made(insight, subject, &relevant, basis).await {
                // The refusal is logged. What was made before may not be used either.
                Err(Error::Denied { .. }) => {
                    insight.forget(subject);
                    None
                }
                made => made?,
            }
        };
        if let Some(Making { old, profile, news }) = made {
            let put = DerivedPut {
                subject: *subject,
                old: old.as_ref(),
                value: &codec::to_vec(&profile),
            };
            let mut entropy = self.ambient.entropy();
            match self.vault.derived_put(&[put], &mut entropy).await {
                Err(vault::Error::Busy) => return Ok(false),
                put => put?,
            }
            self.counters.profiles.up();
            let agrees = profile.shared.is_some();
            if self.taken_up(insight, subject, &profile, agrees).await? && news {
                self.tell_news(subject);
            }
        }
        insight.set_basis(*subject, basis);
        if let Some(mark) = mark {
            self.vault.derive_done(subject, mark).await?;
        }
        Ok(true)
    }

    /// Takes a profile up; false if it was erased meanwhile.
    pub(crate) async fn taken_up(
        &self,
        insight: &Insight,
        subject: &SubjectId,
        profile: &Profile,
        agrees: bool,
    ) -> Result<bool, Error> {
        insight.take_up(*subject, profile, agrees, self.facts().at());
        // An erasure that ended in between took the row with it, and forgot the subject before this.
        let there = self.vault.derived_is(subject).await?;
        if !there {
            insight.forget(subject);
        }
        Ok(there)
    }

    /// Whether the subject agrees now that its case counts for others. Nothing is read.
    pub(crate) async fn agrees(&self, subject: &SubjectId) -> Result<bool, Error> {
        let request = self.system_request(subject, Purpose::Dximp, Records::All)?;
        Ok(self.would_permit(&request).await?.is_some())
    }

    /// A new profile of the records.
    async fn made(
        &self,
        insight: &Insight,
        subject: &SubjectId,
        relevant: &Relevant,
        basis: Digest,
    ) -> Result<Option<Making>, Error> {
        let request = self.system_request(subject, Purpose::Hsysadmin, relevant.records())?;
        let trace = Trace {
            channel: Some("phenotype-profile"),
            asked: None,
        };
        let (_, _, records) = self.opened_now(&request, None, &trace).await?;
        // Opened under the decision above.
        let old = self.profile(subject).await?;
        let (old, before) = match old {
            Some(read) => (Some(read.row), read.profile),
            None => (None, None),
        };
        let Ok(case) = case_of(insight.ontology(), &documents(&records, None)) else {
            // More than a case may have: a clinician who asks is told so. It is not tried again.
            tracing::warn!("the records of a subject are too much for a differential");
            insight.forget(subject);
            return Ok(None);
        };
        let solved = solved(insight, &case);
        let shared = match &solved {
            Some(disease) => self.shared(insight, subject, disease, &records).await?,
            None => None,
        };
        let presentation = answer::presentation(insight.ontology(), &case, true);
        let (answer, told, turns, found) = match before {
            Some(before) => (before.answer, before.told, before.turns, before.found),
            None => (None, Vec::new(), Vec::new(), Vec::new()),
        };
        let mut profile = Profile {
            basis,
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            findings: Kept::of(&presentation),
            solved,
            shared,
            answer,
            told,
            papers: case.publications.into_iter().collect(),
            turns,
            found,
            read_by: insight.knowledge.stamp().to_owned(),
        };
        let ranking = insight.rank(&insight.made(), subject, &profile);
        let at = self.logged_now();
        let knowledge = &insight.knowledge;
        let news = profile.answered(knowledge, ranking.as_ref(), Cause::Records, at);
        Ok(Some(Making { old, profile, news }))
    }

    /// What of a solved case counts for others: what was seen by the records that the subject agreed to, if
    /// these name the disease too.
    async fn shared(
        &self,
        insight: &Insight,
        subject: &SubjectId,
        disease: &str,
        records: &[FetchedRecord],
    ) -> Result<Option<Shared>, Error> {
        // Most have not agreed: that is no refusal of anything that was asked.
        if records.is_empty() || !self.agrees(subject).await? {
            return Ok(None);
        }
        let ids = records.iter().map(|record| record.meta.record).collect();
        let request = self.system_request(subject, Purpose::Dximp, Records::Only(ids))?;
        let trace = Trace {
            channel: Some("case-count"),
            asked: None,
        };
        let (permit, _, plans) = self.permitted_now(&request, None, &trace).await?;
        let agreed: BTreeMap<RecordId, BTreeSet<Category>> = plans
            .into_iter()
            .map(|plan| (plan.meta.record, plan.permitted))
            .collect();
        let case = case_of(insight.ontology(), &documents(records, Some(&agreed)))?;
        if solved(insight, &case).as_deref() != Some(disease) {
            return Ok(None);
        }
        let number = |term| insight.ontology().term(term).id().number();
        let observed: Vec<u32> = case.terms(State::Observed).map(number).collect();
        let until = permit.until.unwrap_or(Millis::new(u64::MAX));
        Ok((!observed.is_empty()).then_some(Shared { observed, until }))
    }

    /// Tells this process's subscribers that a differential has news.
    pub(crate) fn tell_news(&self, subject: &SubjectId) {
        self.counters.differential_changes.up();
        self.events
            .send(&Event::DifferentialChanged { subject: *subject });
    }
}

/// A profile that was made.
struct Making {
    /// The row that it replaces.
    old: Option<Derived>,
    profile: Profile,
    news: bool,
}

/// Names the versions that a profile is made of, the consent it is made under, and by what knowledge.
fn basis(relevant: &Relevant, standing: &Standing, stamp: &str) -> Digest {
    let of: Vec<(RecordId, u32)> = relevant
        .metas
        .iter()
        .map(|meta| (meta.record, meta.version))
        .collect();
    // What widens holds when it is final, what narrows before.
    let consents = [
        standing.view.finalised.commitment(),
        standing.view.latest().commitment(),
    ];
    keys::digest(
        Domain::IdempotencyKey,
        &[
            b"profile",
            &codec::to_vec(&of),
            &codec::to_vec(&consents),
            stamp.as_bytes(),
        ],
    )
}

/// The one disease that the records name as the solution. Where they name several nothing is solved, and a
/// disease that is only stated may be another one that the person has too.
fn solved(insight: &Insight, case: &Case) -> Option<String> {
    let solved = case
        .recorded_diagnoses
        .iter()
        .filter(|recorded| !recorded.excluded && recorded.progress == Progress::Solved);
    let diseases: BTreeSet<_> = solved
        .map(|recorded| insight.knowledge.disease(&recorded.id))
        .collect();
    match diseases.first() {
        Some(Some(disease)) if diseases.len() == 1 => Some(insight.knowledge.disease_id(*disease)),
        _ => None,
    }
}
