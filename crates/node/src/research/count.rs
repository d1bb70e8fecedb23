//! How many there are, about: noisy counts that cost a part of three budgets.
//!
//! ```text
//! answered before today -> the same answer, for nothing
//! reserve at researcher and study (durable) -> whoever is admitted: logged (durable), opened, charged (durable)
//!   -> commit (durable) -> noise -> kept (durable) -> answer
//! ```
//! One count is made at a time. A reservation that is found is of a process that ended, and is spent.

use super::cohort::{Asker, GROUP, Part, Reading, asker};
use super::terms::Known;
use super::{Counted, Spending, Spent, StudyCount, StudyQuery};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use codec::id::{StudyId, SubjectId};
use codec::time::Millis;
use consent::Role;
use discovery::{
    Account, Budget, CacheKey, CachedAnswer, Drawn, Epsilon, Holder, NoReservation, Query,
    Reservation, researcher,
};
use keys::Zeroizing;
use ontology::Ontology;
use std::collections::{BTreeMap, VecDeque};
use store::Store;
use vault::AccountPut;

/// Rows of accounts of researchers and studies start with this.
const ACCOUNTS: &[u8] = b"research-account/";
/// Rows of answers start with this; then the day.
const ANSWERS: &[u8] = b"research-answer/";
/// Answers of earlier days that are removed at once.
const PRUNED: usize = 4_096;
/// The most subjects that one count looks at.
const SUBJECTS_MAX: usize = 1_000_000;

/// The length of a subject's account as it is kept, in bytes.
const ACCOUNT: usize = 128;

/// An account as it was read.
struct Held {
    account: Account,
    name: Vec<u8>,
    bytes: Option<Zeroizing<Vec<u8>>>,
}

impl<S: Store> Custodian<S> {
    /// How many of whom the study may know meet the filters, about.
    pub(crate) async fn study_count(&self, input: StudyCount) -> Result<Counted, Error> {
        let insight = self.insight.as_ref().ok_or_else(unknowing)?;
        let query = Query::new(&input.filters, &Known(insight.ontology()))
            .map_err(|why| Error::invalid("query", "filters", why.to_string()))?;
        self.count_query(&input.caller, &input.study, &query).await
    }

    /// The same, of a question in its canonical form.
    pub(super) async fn count_query(
        &self,
        caller: &Caller,
        study_id: &StudyId,
        query: &Query,
    ) -> Result<Counted, Error> {
        self.study_open_for(study_id, caller).await?;
        let noise = self.research.noise.clone().ok_or_else(|| {
            Error::Unavailable("this node makes no noise, and so gives no counts".to_owned())
        })?;
        let actor = &caller.actor;
        let who = researcher(&actor.institution, actor.practitioner.as_str());
        // From here on one at a time: two never take the same of a budget.
        let _turn = self.research_turn.lock().await;
        // It may have ended while this one waited.
        let study = self.study_open_for(study_id, caller).await?;
        let at = self.facts().at();
        let key = CacheKey::new(query.digest(), *study_id, who, at);
        let own = Holder::Researcher(who);
        if let Some(answer) = self.answer_kept(&key).await? {
            let mine = self.account_read(own).await?;
            return Ok(self.counted(&answer, Epsilon::ZERO, &mine.account, at));
        }
        let cost = self.research.discovery.cost;
        let (mut mine, my_part) = self
            .account_reserve(own, &self.research.discovery.researcher, cost, at)
            .await?;
        let of_study = Holder::Study(*study_id);
        let reserved = self
            .account_reserve(of_study, &self.research.discovery.study, cost, at)
            .await;
        let (mut studys, studys_part) = match reserved {
            Ok(reserved) => reserved,
            Err(error) => {
                // Nothing was looked at.
                let released = mine.account.release(my_part);
                released.map_err(|_| Error::Internal("a reservation is lost"))?;
                self.account_put(&mut mine).await?;
                return Err(error);
            }
        };
        let facts = self.study_facts(study_id, actor).await?;
        let asker = asker(actor.clone(), study, &facts);
        let count = self.count_of(&asker, query, cost, at).await?;
        for (held, part) in [(&mut mine, my_part), (&mut studys, studys_part)] {
            let committed = held.account.commit(part);
            committed.map_err(|_| Error::Internal("a reservation is lost"))?;
            self.account_put(held).await?;
        }
        let noisy = noise
            .count(count, cost.micro())
            .map_err(|why| Error::Unavailable(format!("no noise could be made: {why}")))?;
        let answer = CachedAnswer {
            drawn: Drawn {
                noisy,
                epsilon: cost,
            },
            at,
        };
        self.answer_keep(&key, &answer).await?;
        self.counters.research_counts.up();
        Ok(self.counted(&answer, cost, &mine.account, at))
    }

    fn counted(&self, answer: &CachedAnswer, cost: Epsilon, mine: &Account, at: Millis) -> Counted {
        let budget = &self.research.discovery.researcher;
        Counted {
            shown: self.research.discovery.display.show(answer.drawn.noisy),
            drawn: answer.drawn,
            cost,
            at: answer.at,
            left: mine.left(budget, at),
            renews: mine.renews(budget, at),
        }
    }

    /// The exact count, with everybody in it charged. It goes nowhere but into the noise.
    async fn count_of(
        &self,
        asker: &Asker,
        query: &Query,
        cost: Epsilon,
        at: Millis,
    ) -> Result<u64, Error> {
        let insight = self.insight.as_ref().ok_or_else(unknowing)?;
        let ontology = insight.ontology();
        let budget = self.research.discovery.subject;
        let mut count = 0_u64;
        let mut after: Option<SubjectId> = None;
        let mut looked_at = 0;
        while looked_at < SUBJECTS_MAX {
            let page = self.vault.compartments(after.as_ref(), GROUP).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            looked_at += page.len();
            let mut waiting: VecDeque<SubjectId> = page.into();
            while !waiting.is_empty() {
                let readings = self
                    .readings(asker, &mut waiting, "count", Part::Features)
                    .await?;
                count += self
                    .charged(ontology, query, (&budget, cost, at), readings)
                    .await?;
            }
        }
        Ok(count)
    }

    /// How many of those who may be read, and have something left, match; each is charged.
    async fn charged(
        &self,
        ontology: &Ontology,
        query: &Query,
        (budget, cost, at): (&Budget, Epsilon, Millis),
        readings: Vec<Reading>,
    ) -> Result<u64, Error> {
        let mut charged = Vec::new();
        let mut kept = Vec::new();
        for reading in readings {
            let subject = &reading.admitted.subject;
            let old = self.vault.research_account(subject).await?;
            let account = subject_account(subject, old.as_deref())?;
            // Who has nothing left is left out: neither opened nor charged.
            if account.left(budget, at) >= cost {
                charged.push((old, account));
                kept.push(reading);
            }
        }
        let logged = self.readings_log(kept).await?;
        // INVARIANT: nothing is opened before this line.
        let mut puts: BTreeMap<SubjectId, AccountPut> = BTreeMap::new();
        let mut matched = 0_u64;
        for (one, (old, mut account)) in logged.into_iter().zip(charged) {
            if !self.still_admitted(&one.admitted).await? {
                continue;
            }
            let subject = one.admitted.subject;
            let known = match self.known(ontology, one).await {
                Ok(known) => known,
                Err(Error::SubjectErased | Error::SubjectUnknown) => continue,
                Err(error) => return Err(error),
            };
            let matches =
                known.is_some_and(|known| query.matches(&known.individual(), &Known(ontology)));
            if matches {
                let part = account
                    .reserve(budget, cost, at)
                    .map_err(|_| Error::Internal("a subject's budget changed by itself"))?;
                let committed = account.commit(part);
                committed.map_err(|_| Error::Internal("a reservation is lost"))?;
                matched += 1;
            }
            // Everybody's is written anew, so that nobody sees whose changed.
            puts.insert(subject, (old, padded(&account)));
        }
        if !puts.is_empty() {
            let mut entropy = self.ambient.entropy();
            self.vault.research_charge(&[], &puts, &mut entropy).await?;
        }
        Ok(matched)
    }

    /// What was spent for a study: by the caller, if it researches, and by all.
    pub(crate) async fn study_spending(&self, input: StudyQuery) -> Result<Spending, Error> {
        let roles = [
            Role::Researcher,
            Role::Committee,
            Role::PrivacyOfficer,
            Role::Auditor,
        ];
        input.caller.needs("looking at spending", &roles)?;
        self.own_staff(&input.caller)?;
        self.study_row(&input.study).await?;
        let at = self.facts().at();
        let actor = &input.caller.actor;
        let who = researcher(&actor.institution, actor.practitioner.as_str());
        let mine = match input.caller.has(Role::Researcher) {
            true => {
                let held = self.account_read(Holder::Researcher(who)).await?;
                Some(spent(&held.account, self.research.discovery.researcher, at))
            }
            false => None,
        };
        let study = self.account_read(Holder::Study(input.study)).await?;
        Ok(Spending {
            researcher: mine,
            study: spent(&study.account, self.research.discovery.study, at),
        })
    }

    /// What counts have learnt of a subject.
    pub(super) async fn subject_spent(&self, subject: &SubjectId) -> Result<Spent, Error> {
        let old = self.vault.research_account(subject).await?;
        let account = subject_account(subject, old.as_deref())?;
        Ok(spent(
            &account,
            self.research.discovery.subject,
            self.facts().at(),
        ))
    }

    /// An account as it stands; what a process that ended had reserved is spent.
    async fn account_read(&self, holder: Holder) -> Result<Held, Error> {
        let blind = self
            .vault
            .blind_name(&[b"account", &codec::to_vec(&holder)]);
        let name = [ACCOUNTS, blind.to_string().as_bytes()].concat();
        let bytes = self.vault.node_row(&name).await?;
        let account = match &bytes {
            Some(bytes) => {
                let mut account: Account = codec::from_slice(bytes).map_err(|_| damaged())?;
                account.restarted();
                account
            }
            None => Account::new(holder),
        };
        Ok(Held {
            account,
            name,
            bytes,
        })
    }

    async fn account_reserve(
        &self,
        holder: Holder,
        budget: &Budget,
        cost: Epsilon,
        at: Millis,
    ) -> Result<(Held, Reservation), Error> {
        let mut held = self.account_read(holder).await?;
        let part = held
            .account
            .reserve(budget, cost, at)
            .map_err(|why| exhausted(holder, &why))?;
        self.account_put(&mut held).await?;
        Ok((held, part))
    }

    async fn account_put(&self, held: &mut Held) -> Result<(), Error> {
        let bytes = Zeroizing::new(codec::to_vec(&held.account));
        let expected = held.bytes.as_ref().map(|bytes| bytes.as_slice());
        let mut entropy = self.ambient.entropy();
        self.vault
            .node_row_put(&held.name, expected, &bytes, &mut entropy)
            .await?;
        held.bytes = Some(bytes);
        Ok(())
    }

    fn answer_name(&self, key: &CacheKey) -> Vec<u8> {
        let blind = self.vault.blind_name(&[b"answer", &codec::to_vec(key)]);
        [ANSWERS, format!("{:016x}/{blind}", key.epoch).as_bytes()].concat()
    }

    async fn answer_kept(&self, key: &CacheKey) -> Result<Option<CachedAnswer>, Error> {
        let found = self.vault.node_row(&self.answer_name(key)).await?;
        found
            .map(|bytes| codec::from_slice(&bytes).map_err(|_| damaged()))
            .transpose()
    }

    async fn answer_keep(&self, key: &CacheKey, answer: &CachedAnswer) -> Result<(), Error> {
        let mut entropy = self.ambient.entropy();
        let name = self.answer_name(key);
        self.vault
            .node_row_put(&name, None, &codec::to_vec(answer), &mut entropy)
            .await?;
        // Answers of earlier days are over.
        let today = [ANSWERS, format!("{:016x}/", key.epoch).as_bytes()].concat();
        let rows = self.vault.node_rows(ANSWERS, None, PRUNED).await?;
        let over: Vec<Vec<u8>> = rows
            .into_iter()
            .map(|(name, _)| name)
            .take_while(|name| *name < today)
            .collect();
        self.vault.node_rows_remove(&over).await?;
        Ok(())
    }
}

fn subject_account(subject: &SubjectId, bytes: Option<&[u8]>) -> Result<Account, Error> {
    let Some(bytes) = bytes else {
        return Ok(Account::new(Holder::Subject(*subject)));
    };
    let (length, rest) = bytes.split_first().ok_or_else(damaged)?;
    let account = rest.get(..usize::from(*length)).ok_or_else(damaged)?;
    codec::from_slice(account).map_err(|_| damaged())
}

/// A subject's account, as long as any other: on the disk, a length would tell of whom something was spent.
fn padded(account: &Account) -> Vec<u8> {
    let bytes = codec::to_vec(account);
    // INVARIANT: nothing is reserved in it, so that it is an id and a few numbers: under 128 bytes.
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    let mut padded = vec![length];
    padded.extend(bytes);
    padded.resize(padded.len().max(ACCOUNT), 0);
    padded
}

fn spent(account: &Account, budget: Budget, at: Millis) -> Spent {
    Spent {
        budget,
        spent: account.spent(&budget, at).plus(account.reserved()),
        left: account.left(&budget, at),
        renews: account.renews(&budget, at),
    }
}

fn exhausted(holder: Holder, why: &NoReservation) -> Error {
    let whose = match holder {
        Holder::Researcher(_) => "the researcher's",
        Holder::Study(_) => "the study's",
        Holder::Subject(_) => "a subject's",
    };
    match why {
        NoReservation::Exhausted { .. } => Error::Spent(format!("{whose} budget: {why}")),
        NoReservation::Busy => Error::Busy { in_flight: 1 },
        NoReservation::Free => Error::Conflict(Conflict::Done("counts cost nothing here")),
    }
}

fn damaged() -> Error {
    Error::Damaged("an account or answer of research".to_owned())
}

pub(super) fn unknowing() -> Error {
    Error::Unavailable(
        "this node knows no terms: put an index of HPO into its data folder (`ithaca ontology`)"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_is_as_long_as_any_other() {
        let subject = SubjectId::new([0xff; 32]);
        let budget = Budget {
            epsilon: Epsilon::from_micro(u64::MAX),
            days: Some(1),
        };
        let mut account = Account::new(Holder::Subject(subject));
        let empty = padded(&account);
        let late = Millis::new(1 << 60);
        for cost in [1, 100_000, u64::MAX >> 1] {
            let cost = Epsilon::from_micro(cost);
            let part = account
                .reserve(&budget, cost, late)
                .unwrap_or_else(|e| panic!("{e}"));
            assert!(account.commit(part).is_ok());
            let kept = padded(&account);
            assert_eq!(kept.len(), empty.len());
            assert_eq!(subject_account(&subject, Some(&kept)), Ok(account.clone()));
        }
        assert!(subject_account(&subject, Some(&[9])).is_err());
    }
}
