//! Reanalysis: every profile at this node, read again.
//!
//! At the start, so that what lives in memory is there and answers under older knowledge are made again; and
//! when the counts of this node's cases changed. Subjects are taken in groups: their decisions are logged in
//! one durable write, before anything of theirs is opened, and what is made of them is put in another.

use super::derive::Read;
use super::knowledge::Insight;
use super::profile::{Cause, Profile};
use crate::custodian::Custodian;
use crate::disclosure::log::Logging;
use crate::error::Error;
use codec::id::SubjectId;
use consent::{Decision, Purpose, Records};
use diagnosis::Model;
use store::Store;
use vault::{Derived, DerivedPut};

/// Subjects taken together.
const GROUP: usize = 128;
/// Progress is logged each time so many subjects are done.
const TELL_EACH: usize = 2_000;

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    /// Profiles that were opened.
    pub(crate) profiles: usize,
    /// Answers that were made again.
    pub(crate) answers: usize,
    /// Of these, those with news.
    pub(crate) news: usize,
}

/// A profile made again.
struct Again {
    subject: SubjectId,
    old: Derived,
    profile: Profile,
    news: bool,
}

impl<S: Store> Custodian<S> {
    /// Goes through all subjects. Answers are made again for `cause`, or where their knowledge is not that of
    /// now.
    pub(crate) async fn pass(
        &self,
        insight: &Insight,
        cause: Option<Cause>,
    ) -> Result<Passed, Error> {
        let model = insight.model();
        let mut passed = Passed::default();
        let mut after = None;
        let mut told = 0;
        loop {
            let page = self.vault.compartments(after.as_ref(), GROUP).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(*last);
            self.group(insight, &model, &page, cause, &mut passed)
                .await?;
            if passed.profiles - told >= TELL_EACH {
                told = passed.profiles;
                tracing::info!(profiles = told, news = passed.news, "reanalysis goes on");
            }
        }
        Ok(passed)
    }

    async fn group(
        &self,
        insight: &Insight,
        model: &Model,
        page: &[SubjectId],
        cause: Option<Cause>,
        passed: &mut Passed,
    ) -> Result<(), Error> {
        let mut open = Vec::with_capacity(page.len());
        let mut logs = Vec::with_capacity(page.len());
        for subject in page {
            match self.vault.derived_is(subject).await {
                Ok(true) => {}
                // Records from before there were profiles, or a mark that waits.
                Ok(false) => {
                    insight.due(*subject);
                    continue;
                }
                Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => continue,
                Err(error) => return Err(error.into()),
            }
            match self.decided(subject).await {
                Ok((logging, permitted)) => {
                    logs.push(logging);
                    if permitted {
                        open.push(*subject);
                    } else {
                        insight.forget(subject);
                    }
                }
                Err(Error::SubjectErased | Error::SubjectUnknown) => insight.forget(subject),
                Err(error) => return Err(error),
            }
        }
        self.disclosures_log(logs).await?;
        // INVARIANT: nothing is opened before this line.
        let mut again = Vec::new();
        for subject in open {
            let read = match self.profile(&subject).await {
                Ok(Some(read)) => read,
                Ok(None) | Err(Error::SubjectErased | Error::SubjectUnknown) => continue,
                Err(error) => return Err(error),
            };
            passed.profiles += 1;
            insight.take_up(subject, &read.profile, self.facts().at());
            again.extend(self.again(insight, model, subject, read, cause));
        }
        self.put_again(insight, again, passed).await
    }

    /// Decides the node's own reading of a profile.
    async fn decided(&self, subject: &SubjectId) -> Result<(Logging, bool), Error> {
        let request = self.system_request(subject, Purpose::Hsysadmin, Records::All)?;
        let standing = self.standing(subject).await?;
        self.in_service_for(&standing)?;
        let facts = &standing.facts;
        let decision = consent::decide(&self.policy, &standing.effective(), &request, facts);
        let (outcome, stale) = match decision {
            Decision::Permit(permit) => (
                vault::Outcome::Permitted(permit.because.clone()),
                permit.stale,
            ),
            Decision::Deny(denial) => (vault::Outcome::Refused(denial.missing), facts.is_stale()),
        };
        let permitted = matches!(outcome, vault::Outcome::Permitted(_));
        let logging = Logging {
            request,
            outcome,
            records: Vec::new(),
            stale,
            session: None,
            channel: Some("reanalysis"),
            asked: None,
        };
        Ok((logging, permitted))
    }

    /// An answer made again, if it is to be.
    fn again(
        &self,
        insight: &Insight,
        model: &Model,
        subject: SubjectId,
        read: Read,
        cause: Option<Cause>,
    ) -> Option<Again> {
        let Read { row, mut profile } = read;
        let stamp = insight.knowledge.stamp();
        let is_old = profile
            .answer
            .as_ref()
            .is_none_or(|stood| stood.knowledge != stamp);
        let cause = if is_old {
            Some(Cause::Knowledge)
        } else {
            cause
        };
        if profile.solved.is_some() && !is_old {
            return None;
        }
        let ranking = insight.rank(model, &subject, &profile.findings);
        let knowledge = &insight.knowledge;
        let news = profile.answered(knowledge, ranking.as_ref(), cause?, self.logged_now());
        Some(Again {
            subject,
            old: row,
            profile,
            news,
        })
    }

    /// Keeps answers that were made again; what somebody else wrote meanwhile is made from the records.
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
        let mut kept = vec![true; puts.len()];
        match self
            .vault
            .derived_put(&puts, &mut self.ambient.entropy())
            .await
        {
            Ok(()) => {}
            // Each by itself: whoever was in between stays.
            Err(
                vault::Error::Busy | vault::Error::SubjectErased | vault::Error::SubjectUnknown,
            ) => {
                for (put, kept) in puts.iter().zip(&mut kept) {
                    let put = std::slice::from_ref(put);
                    let mut entropy = self.ambient.entropy();
                    match self.vault.derived_put(put, &mut entropy).await {
                        Ok(()) => {}
                        Err(
                            vault::Error::Busy
                            | vault::Error::SubjectErased
                            | vault::Error::SubjectUnknown,
                        ) => *kept = false,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        for (again, _) in again.iter().zip(&kept).filter(|(_, kept)| **kept) {
            passed.answers += 1;
            self.counters.reanalysed.up();
            insight.take_up(again.subject, &again.profile, self.facts().at());
            if again.news {
                passed.news += 1;
                self.tell_news(&again.subject);
            }
        }
        Ok(())
    }
}
