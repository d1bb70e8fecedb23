//! Who has spent how much of which budget.
//!
//! An [`Account`] is one row per [`Holder`]: a researcher, a study, a subject. Before a count is
//! computed, its loss is reserved in the rows of the researcher, of the study and of every subject
//! whom the query selects; the rows are made durable; then the count is computed, the reservations
//! are committed, the rows are made durable, and the answer goes out:
//!
//! ```text
//! reserve (durable) -> count, noise -> commit (durable) -> answer
//!        \-> nothing was answered -> release (durable)
//! ```
//!
//! - Reserved counts as spent for whoever comes next: two at once cannot both take what is left.
//! - A reservation that is found after a restart may have been answered: [`Account::restarted`]
//!   counts it as spent.
//! - A [`Reservation`] is given back by [`Account::commit`] or [`Account::release`], once; dropped, it
//!   stays reserved until the restart counts it as spent. A committed one cannot be released.
//! - Spending goes down in one way only: the next period of the budget begins. What is reserved then
//!   counts in the new period too. A clock that went back does not bring back an earlier period.
//!
//! A subject who has nothing left is not refused (a refusal would tell that the query selects
//! somebody): the subject is left out of the count and is charged nothing. See `docs/discovery.md`
//! for why charging those alone who are selected is sound, and what must stay secret for it.

use crate::epsilon::Epsilon;
use codec::{Digest, Domain, InstitutionId, Millis, StudyId, SubjectId, choice, record};

/// The most reservations of one account that may be open.
pub const MAX_OPEN: usize = 64;

const DAY_MS: u64 = 86_400_000;

choice! {
    /// Whose account it is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Holder {
        /// One researcher, by [`researcher`].
        1 => Researcher(Digest),
        /// All researchers of one study.
        2 => Study(StudyId),
        /// One subject, over all studies and researchers.
        3 => Subject(SubjectId),
    }
}

/// The name of a researcher: who they are at which institution.
pub fn researcher(institution: &InstitutionId, practitioner: &str) -> Digest {
    keys::digest(
        Domain::DiscoveryResearcher,
        &[institution.as_ref(), practitioner.as_bytes()],
    )
}

/// How much may be spent, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most loss in one period.
    pub epsilon: Epsilon,
    /// The length of a period in days, counted from 1970-01-01; none: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

impl Budget {
    /// The number of the period at a time.
    fn period(&self, at: Millis) -> u64 {
        self.length_ms().map_or(0, |length| at.get() / length)
    }

    /// When the period after this one begins.
    fn renews(&self, period: u64) -> Option<Millis> {
        let start = self.length_ms()?.checked_mul(period.checked_add(1)?)?;
        Some(Millis::new(start))
    }

    fn length_ms(&self) -> Option<u64> {
        // A period of no days would renew at every moment.
        self.days.map(|days| u64::from(days.max(1)) * DAY_MS)
    }
}

record! {
    /// A loss that is taken and not yet spent.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Open {
        1 => number: u64,
        2 => cost: Epsilon,
    }
}

record! {
    /// What one holder has spent.
    // INVARIANT: `open` has at most `MAX_OPEN` reservations with numbers below `next`, ascending.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account {
        1 => holder: Holder,
        /// The period that `spent` is of.
        2 => period: u64,
        3 => spent: Epsilon,
        /// The number of the next reservation.
        4 => next: u64,
        5 => open: Vec<Open>,
    }
}

/// A loss that is reserved in one account. Give it to [`Account::commit`] before anything is
/// answered, or to [`Account::release`] if nothing will be.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is neither committed nor released counts as spent"]
pub struct Reservation {
    holder: Holder,
    number: u64,
    cost: Epsilon,
}

impl Reservation {
    /// What it takes.
    pub fn cost(&self) -> Epsilon {
        self.cost
    }
}

/// What was spent at last, for the log of the account's holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spend {
    /// By whom.
    pub holder: Holder,
    /// How much.
    pub cost: Epsilon,
}

/// Why nothing could be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReservation {
    /// The budget has not that much left.
    #[error("{}", exhausted(*.left, *.renews))]
    Exhausted {
        /// What is left, reservations taken off.
        left: Epsilon,
        /// When the next period begins; never, if the budget is for ever.
        renews: Option<Millis>,
    },
    /// Too many reservations are open.
    #[error("{MAX_OPEN} queries are being answered; ask again when one is done")]
    Busy,
    /// An answer that costs nothing would hide nothing.
    #[error("an answer must cost something")]
    Free,
}

fn exhausted(left: Epsilon, renews: Option<Millis>) -> String {
    let when = renews.map_or_else(
        || "it is not renewed".to_owned(),
        |at| format!("it is renewed at {at}"),
    );
    format!("the privacy budget has {left} left; {when}")
}

/// A reservation that this account does not know: of another account, or counted as spent already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account has no such reservation")]
pub struct Unknown;

impl Account {
    /// An account on which nothing was spent.
    pub fn new(holder: Holder) -> Self {
        Self {
            holder,
            period: 0,
            spent: Epsilon::ZERO,
            next: 0,
            open: Vec::new(),
        }
    }

    /// Whose it is.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// What was spent in the period of `now`, without what is reserved.
    pub fn spent(&self, budget: &Budget, now: Millis) -> Epsilon {
        if budget.period(now) > self.period {
            Epsilon::ZERO
        } else {
            self.spent
        }
    }

    /// What is reserved.
    pub fn reserved(&self) -> Epsilon {
        self.open.iter().map(|open| open.cost).sum()
    }

    /// What can still be reserved.
    pub fn left(&self, budget: &Budget, now: Millis) -> Epsilon {
        let taken = self.spent(budget, now).plus(self.reserved());
        budget.epsilon.minus(taken)
    }

    /// When the period of `now` ends and spending begins anew; never, if the budget is for ever.
    pub fn renews(&self, budget: &Budget, now: Millis) -> Option<Millis> {
        budget.renews(budget.period(now).max(self.period))
    }

    /// Takes `cost`, if the budget has it.
    ///
    /// # Errors
    /// [`NoReservation`]; the account is as it was.
    pub fn reserve(
        &mut self,
        budget: &Budget,
        cost: Epsilon,
        now: Millis,
    ) -> Result<Reservation, NoReservation> {
        if cost == Epsilon::ZERO {
            return Err(NoReservation::Free);
        }
        let left = self.left(budget, now);
        if cost > left {
            let renews = self.renews(budget, now);
            return Err(NoReservation::Exhausted { left, renews });
        }
        if self.open.len() >= MAX_OPEN {
            return Err(NoReservation::Busy);
        }
        self.renew(budget, now);
        let number = self.next;
        self.next = number.saturating_add(1);
        self.open.push(Open { number, cost });
        Ok(Reservation {
            holder: self.holder,
            number,
            cost,
        })
    }

    /// Counts a reservation as spent: to be durable before the answer goes out.
    ///
    /// # Errors
    /// [`Unknown`]: nothing may be answered.
    pub fn commit(&mut self, reservation: Reservation) -> Result<Spend, Unknown> {
        let cost = self.close(&reservation)?;
        self.spent = self.spent.plus(cost);
        Ok(Spend {
            holder: self.holder,
            cost,
        })
    }

    /// Gives a reservation back. Only if nothing that depends on the count has been or will be
    /// shown, logged or kept.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn release(&mut self, reservation: Reservation) -> Result<(), Unknown> {
        self.close(&reservation).map(drop)
    }

    /// The account as it is found after a restart: what was reserved may have been answered, and is
    /// spent. Returns whether there was anything.
    pub fn restarted(&mut self) -> bool {
        let found = self.reserved();
        self.spent = self.spent.plus(found);
        self.open.clear();
        found != Epsilon::ZERO
    }

    fn close(&mut self, reservation: &Reservation) -> Result<Epsilon, Unknown> {
        let place = self.open.iter().position(|open| {
            reservation.holder == self.holder
                && open.number == reservation.number
                && open.cost == reservation.cost
        });
        Ok(self.open.remove(place.ok_or(Unknown)?).cost)
    }

    fn renew(&mut self, budget: &Budget, now: Millis) {
        let period = budget.period(now);
        if period > self.period {
            self.period = period;
            self.spent = Epsilon::ZERO;
        }
    }
}
