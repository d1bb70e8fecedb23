//! Reanalysis: every profile at this node, read again.
//!
//! At the start all profiles are taken up into memory; answers under other knowledge are made again then, and
//! all when the counts of this node's cases changed. Subjects are taken in groups: their decisions are logged in
//! one durable write, before anything of theirs is opened, and what is made of them is put in another. A
//! subject with which something is wrong is passed over and counted.

use super::counted::Made;
use super::derive::Read;
use super::knowledge::Insight;
use super::profile::{Cause, Profile};
use crate::custodian::Custodian;
use crate::disclosure::log::Logging;
use crate::error::Error;
use codec::id::SubjectId;
use consent::{Decision, Purpose, Records};
use store::Store;
use vault::{Derived, DerivedPut};

/// Subjects taken together.
const GROUP: usize = 128;
/// Progress is logged each time so many subjects are done.
const TELL_EACH: usize = 2_000;

/// What a pass did.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Profiles that were opened.
    pub(crate) profiles: usize,
    /// Answers that were made again.
    pub(crate) answers: usize,
    /// Of these, those with news.
    pub(crate) news: usize,
    /// Subjects that were passed over.
    pub(crate) skipped: usize,
    /// Subjects whose answers are of other knowledge.
    pub(crate) old: Vec<SubjectId>,
}

/// What is done with each profile.
#[derive(Clone, Copy)]
enum Act<'a> {
    /// It is taken up.
    Load,
    /// Its answer is made again.
    Answer(&'a Made, Cause),
}

/// A profile made again.
struct Again {
    subject: SubjectId,
    old: Derived,
    profile: Profile,
    news: bool,
}

/// Whether an error is of one subject, so that others go on.
fn is_of_one(error: &Error) -> bool {
    !matches!(error, Error::DiskFull | Error::Storage { .. })
}

impl<S: Store> Custodian<S> {
    /// Takes every profile up. Those whose answers are of other knowledge are named.
    pub(crate) async fn profiles_load(&self, insight: &Insight) -> Result<Passed, Error> {
        self.walk(insight, Act::Load).await
    }

    /// Makes the answers of these subjects again.
    pub(crate) async fn answers_again(
        &self,
        insight: &Insight,
        subjects: &[SubjectId],
        cause: Cause,
    ) -> Result<Passed, Error> {
        let made = insight.made();
        let mut passed = Passed::default();
        for group in subjects.chunks(GROUP) {
            self.group(insight, Act::Answer(&made, cause), group, &mut passed)
                .await?;
        }
        Ok(passed)
    }

    /// Makes every unsolved subject's answer again.
    pub(crate) async fn all_answers_again(
        &self,
        insight: &Insight,
        cause: Cause,
    ) -> Result<Passed, Error> {
        let made = insight.made();
        self.walk(insight, Act::Answer(&made, cause)).await
    }

    async fn walk(&self, insight: &Insight, act: Act<'_>) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        let mut after = None;
        let mut told = 0;
        loop {
            let page = self.vault.compartments(after.as_ref(), GROUP).await?;
            let Some(last) = page.last() else {
                return Ok(passed);
            };
            after = Some(*last);
            self.group(insight, act, &page, &mut passed).await?;
            if passed.profiles - told >= TELL_EACH {
                told = passed.profiles;
                tracing::info!(profiles = told, news = passed.news, "differentials go on");
            }
        }
    }

    async fn group(
        &self,
        insight: &Insight,
        act: Act<'_>,
        page: &[SubjectId],
        passed: &mut Passed,
    ) -> Result<(), Error> {
        let mut open = Vec::with_capacity(page.len());
        let mut logs = Vec::with_capacity(page.len());
        for subject in page {
            // Records from before there were profiles, or a mark that waits.
            if !self.vault.derived_is(subject).await? {
                insight.due(*subject);
                continue;
            }
            match self.system_decided(subject, "reanalysis").await {
                Ok((logging, permitted, sequence)) => {
                    logs.push(logging);
                    if permitted {
                        open.push((*subject, sequence));
                    } else {
                        insight.forget(subject);
                    }
                }
                Err(Error::SubjectErased | Error::SubjectUnknown) => insight.forget(subject),
                Err(error) if is_of_one(&error) => passed.skipped += 1,
                Err(error) => return Err(error),
            }
        }
        self.disclosures_log(logs).await?;
        // INVARIANT: nothing is opened before this line.
        let mut again = Vec::new();
        for (subject, sequence) in open {
            match self.one(insight, act, subject, sequence, passed).await {
                Ok(one) => again.extend(one),
                Err(Error::SubjectErased | Error::SubjectUnknown) => insight.forget(&subject),
                Err(error) if is_of_one(&error) => passed.skipped += 1,
                Err(error) => return Err(error),
            }
        }
        self.put_again(insight, again, passed).await
    }

    /// Opens one profile; what is to be put of it.
    async fn one(
        &self,
        insight: &Insight,
        act: Act<'_>,
        subject: SubjectId,
        sequence: u64,
        passed: &mut Passed,
    ) -> Result<Option<Again>, Error> {
        // Whatever was revoked before the disclosure was durable binds this reading too.
        let latest = self.vault.consent_current(&subject).await?;
        if latest.latest().state.sequence != sequence {
            insight.due(subject);
            return Ok(None);
        }
        let Some(Read { row, profile }) = self.profile(&subject).await? else {
            return Ok(None);
        };
        let Some(mut profile) = profile else {
            // Of another form: made again from the records.
            insight.due(subject);
            return Ok(None);
        };
        passed.profiles += 1;
        let stood = profile.answer.as_ref();
        let is_old = stood.is_none_or(|stood| stood.knowledge != insight.knowledge.stamp());
        let Act::Answer(made, cause) = act else {
            let agrees = profile.shared.is_some() && self.agrees(&subject).await?;
            self.taken_up(insight, &subject, &profile, agrees).await?;
            if is_old {
                passed.old.push(subject);
            }
            if profile.read_by != insight.knowledge.stamp() {
                // What the records say may be understood otherwise now: read again too, in its turn.
                insight.due(subject);
            }
            return Ok(None);
        };
        if profile.solved.is_some() && !is_old {
            return Ok(None);
        }
        let ranking = insight.rank(made, &subject, &profile);
        let knowledge = &insight.knowledge;
        let before = profile
            .answer
            .as_ref()
            .map(|stood| codec::to_vec(&stood.top));
        let news = profile.answered(knowledge, ranking.as_ref(), cause, self.logged_now());
        passed.answers += 1;
        self.counters.reanalysed.up();
        let after = profile
            .answer
            .as_ref()
            .map(|stood| codec::to_vec(&stood.top));
        let is_same = !is_old && !news && before == after;
        Ok((!is_same).then_some(Again {
            subject,
            old: row,
            profile,
            news,
        }))
    }

    /// Decides the node's own reading of what it derived of a subject: to be logged, whether it is permitted, and
    /// under which consent.
    pub(crate) async fn system_decided(
        &self,
        subject: &SubjectId,
        channel: &'static str,
    ) -> Result<(Logging, bool, u64), Error> {
        let request = self.system_request(subject, Purpose::Hsysadmin, Records::All)?;
        let standing = self.standing(subject).await?;
        self.in_service_for(&standing)?;
        let facts = &standing.facts;
        let decision = consent::decide(&self.policy, &standing.effective(), &request, facts);
        let (outcome, stale) = match decision {
            Decision::Permit(permit) => (vault::Outcome::Permitted(permit.because), permit.stale),
            Decision::Deny(denial) => (vault::Outcome::Refused(denial.missing), facts.is_stale()),
        };
        let permitted = matches!(outcome, vault::Outcome::Permitted(_));
        let logging = Logging {
            request,
            outcome,
            records: Vec::new(),
            stale,
            session: None,
            channel: Some(channel),
            asked: None,
        };
        Ok((logging, permitted, standing.latest().sequence))
    }

    /// Keeps answers that were made again; what somebody else wrote meanwhile stays as it is.
    async fn put_again(
        &self,
        insight: &Insight,
        again: Vec<Again>,
        passed: &mut Passed,
    ) -> Result<(), Error> {
        if again.is_empty() {
            return Ok(());
        }
        let values: Vec<Vec<u8>> = again.iter().map(|a| codec::to_vec(&a.profile)).collect();
        let puts: Vec<DerivedPut<'_>> = again
            .iter()
            .zip(&values)
            .map(|(again, value)| DerivedPut {
                subject: again.subject,
                old: Some(&again.old),
                value,
            })
            .collect();
        let mut entropy = self.ambient.entropy();
        let mut kept = vec![true; puts.len()];
        match self.vault.derived_put(&puts, &mut entropy).await {
            Ok(()) => {}
            Err(error) if is_in_between(&error) => {
                // Each by itself: whoever was in between stays.
                for (put, kept) in puts.iter().zip(&mut kept) {
                    let put = std::slice::from_ref(put);
                    match self.vault.derived_put(put, &mut entropy).await {
                        Ok(()) => {}
                        Err(error) if is_in_between(&error) => *kept = false,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        for (again, _) in again.iter().zip(&kept).filter(|(_, kept)| **kept) {
            let Again {
                subject,
                profile,
                news,
                ..
            } = again;
            let agrees = insight.counts(subject);
            if self.taken_up(insight, subject, profile, agrees).await? && *news {
                passed.news += 1;
                self.tell_news(subject);
            }
        }
        Ok(())
    }
}

fn is_in_between(error: &vault::Error) -> bool {
    matches!(
        error,
        vault::Error::Busy | vault::Error::SubjectErased | vault::Error::SubjectUnknown
    )
}
