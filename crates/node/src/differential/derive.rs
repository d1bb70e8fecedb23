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

/// The most records that a profile or a differential is made of: the newest.
pub(crate) const RECORDS_MAX: usize = 2_000;
/// How often a profile is made again because somebody else wrote it meanwhile.
const ATTEMPTS: usize = 4;

/// A profile with the row it was read from.
pub(crate) struct Read {
    pub(crate) row: Derived,
    pub(crate) profile: Profile,
}

/// The records of a subject that may say something about its phenotype.
pub(crate) struct Relevant {
    /// The newest, at most [`RECORDS_MAX`].
    pub(crate) metas: Vec<vault::RecordMeta>,
    /// How many there are.
    pub(crate) all: usize,
}

impl Relevant {
    pub(crate) fn ids(&self) -> BTreeSet<RecordId> {
        self.metas.iter().map(|meta| meta.record).collect()
    }

    /// These records; all while there are none, for a request must name something.
    pub(crate) fn records(&self) -> Records {
        if self.metas.is_empty() {
            Records::All
        } else {
            Records::Only(self.ids())
        }
    }
}

fn is_relevant(kind: &str) -> bool {
    matches!(
        kind,
        "phenopacket" | "Patient" | "Condition" | "Observation"
    )
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
        const PAGE: usize = 256;
        let mut latest: BTreeMap<RecordId, vault::RecordMeta> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.vault.record_list(subject, None, after, PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|meta| (meta.record, meta.version));
            let relevant = page.into_iter().filter(|meta| is_relevant(&meta.kind));
            latest.extend(relevant.map(|meta| (meta.record, meta)));
            if !full {
                break;
            }
        }
        let all = latest.len();
        let mut metas: Vec<_> = latest.into_values().collect();
        if all > RECORDS_MAX {
            metas.sort_by_key(|meta| std::cmp::Reverse((meta.deposited, meta.record)));
            metas.truncate(RECORDS_MAX);
            metas.sort_by_key(|meta| meta.record);
        }
        Ok(Relevant { metas, all })
    }

    /// A subject's profile. For whom the reading was decided and logged.
    pub(crate) async fn profile(&self, subject: &SubjectId) -> Result<Option<Read>, Error> {
        match self.vault.derived(subject).await? {
            None => Ok(None),
            Some(row) => Ok(Some(Read {
                profile: Profile::read(&row.value)?,
                row,
            })),
        }
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
        let standing = self.standing(subject).await?;
        let relevant = self.relevant(subject).await?;
        let basis = basis(&relevant, &standing);
        let made = self.made(insight, subject, &relevant, basis).await;
        let done = match made {
            Ok(Some((old, profile, news))) => {
                let put = DerivedPut {
                    subject: *subject,
                    old: old.as_ref(),
                    value: &codec::to_vec(&profile),
                };
                let put = self
                    .vault
                    .derived_put(&[put], &mut self.ambient.entropy())
                    .await;
                match put {
                    Err(vault::Error::Busy) => return Ok(false),
                    put => put?,
                }
                self.counters.profiles.up();
                insight.take_up(*subject, &profile, self.facts().at());
                // An erasure that ended in between took the row with it, and forgot the subject before this.
                if !self.vault.derived_is(subject).await? {
                    insight.forget(subject);
                    return Ok(true);
                }
                if news {
                    self.tell_news(subject);
                }
                true
            }
            Ok(None) => true,
            // The refusal is logged. What was made before may not be used either.
            Err(Error::Denied { .. }) => {
                insight.forget(subject);
                true
            }
            Err(error) => return Err(error),
        };
        if let Some(mark) = mark {
            self.vault.derive_done(subject, mark).await?;
        }
        Ok(done)
    }

    /// A new profile, the row it replaces and whether it has news; none if it would be the same.
    async fn made(
        &self,
        insight: &Insight,
        subject: &SubjectId,
        relevant: &Relevant,
        basis: Digest,
    ) -> Result<Option<(Option<Derived>, Profile, bool)>, Error> {
        if relevant.metas.is_empty() {
            return Ok(None);
        }
        let request = self.system_request(subject, Purpose::Hsysadmin, relevant.records())?;
        let trace = Trace {
            channel: Some("phenotype-profile"),
            asked: None,
        };
        let (_, _, records) = self.opened_now(&request, None, &trace).await?;
        let old = self.profile(subject).await?;
        if old.as_ref().is_some_and(|old| old.profile.basis == basis) {
            return Ok(None);
        }
        let case = case_of(insight.ontology(), &documents(&records, None))?;
        let solved = solved(insight, &case);
        let shared = match solved {
            Some(_) => self.shared(insight, subject, &case, &records).await?,
            None => None,
        };
        // Opened under the decision above.
        let presentation = answer::presentation(insight.ontology(), &case, true);
        let (row, before) = match old {
            Some(read) => (Some(read.row), Some(read.profile)),
            None => (None, None),
        };
        let (answer, turns, found) = match before {
            Some(before) => (before.answer, before.turns, before.found),
            None => (None, Vec::new(), Vec::new()),
        };
        let mut profile = Profile {
            basis,
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            findings: Kept::of(&presentation),
            solved,
            shared,
            answer,
            turns,
            found,
        };
        let ranking = insight.rank(&insight.model(), subject, &profile.findings);
        let at = self.logged_now();
        let knowledge = &insight.knowledge;
        let news = profile.answered(knowledge, ranking.as_ref(), Cause::Records, at);
        Ok(Some((row, profile, news)))
    }

    /// What of a solved case counts for others: of the records that the subject agreed to, what was seen.
    async fn shared(
        &self,
        insight: &Insight,
        subject: &SubjectId,
        whole: &Case,
        records: &[FetchedRecord],
    ) -> Result<Option<Shared>, Error> {
        let ids: BTreeSet<RecordId> = records.iter().map(|record| record.meta.record).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let records_of = Records::Only(ids);
        let request = self.system_request(subject, Purpose::Dximp, records_of)?;
        // Most have not agreed: that is no refusal of anything that was asked.
        if self.would_permit(&request).await?.is_none() {
            return Ok(None);
        }
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
        let observed = case.terms(State::Observed);
        let number = |term| insight.ontology().term(term).id().number();
        Ok(Some(Shared {
            observed: observed.map(number).collect(),
            paper: whole.publications.first().cloned(),
            until: permit.until.unwrap_or(Millis::new(u64::MAX)),
        }))
    }

    /// Tells this process's subscribers that a differential has news.
    pub(crate) fn tell_news(&self, subject: &SubjectId) {
        self.counters.differential_changes.up();
        self.events
            .send(&Event::DifferentialChanged { subject: *subject });
    }
}

/// Names the versions that a profile is made of, and the consent it is made under.
fn basis(relevant: &Relevant, standing: &Standing) -> Digest {
    let of: Vec<(RecordId, u32)> = relevant
        .metas
        .iter()
        .map(|meta| (meta.record, meta.version))
        .collect();
    // What widens holds when it is final, what narrows before.
    let sequences = [
        standing.view.finalised.state.sequence,
        standing.latest().sequence,
    ];
    keys::digest(
        Domain::IdempotencyKey,
        &[b"profile", &codec::to_vec(&of), &codec::to_vec(&sequences)],
    )
}

/// The disease that a case gives as its diagnosis: one whose interpretation is solved; or one that is stated
/// as the person's, and of which no interpretation says otherwise.
fn solved(insight: &Insight, case: &Case) -> Option<String> {
    let mut said: BTreeMap<_, (bool, bool)> = BTreeMap::new();
    for recorded in &case.recorded_diagnoses {
        let Some(disease) = insight.knowledge.disease(&recorded.id) else {
            continue;
        };
        let (solved, otherwise) = said.entry(disease).or_default();
        *solved |= !recorded.excluded && recorded.progress == Progress::Solved;
        *otherwise |= recorded.excluded
            || matches!(recorded.progress, Progress::InProgress | Progress::Unsolved);
    }
    let best = said.iter().find(|(_, (solved, _))| *solved);
    let best = best.or_else(|| said.iter().find(|(_, (_, otherwise))| !*otherwise));
    best.map(|(&disease, _)| insight.knowledge.disease_id(disease))
}
