//! One question charged to everybody whom it concerns.
//!
//! [`Charge::reserve`] takes the cost from the researcher, from the study and from each subject whom the
//! question selects, and says how many are counted. Researcher and study are refused in the open;
//! a subject who cannot be charged is left out, and nobody is told.
//!
//! What this gives: whoever is taken out of the data, the same questions are answered and refused, every
//! other account stays the same, each exact count changes by at most one, and the costs of those that
//! change add up to at most that person's budget.

use crate::{
    account::{Account, NoReservation, Reservation, Unknown},
    policy::Policy,
};
use codec::Millis;

/// The rows that a question concerns, as they are read, changed and written together.
pub struct Rows<'a> {
    /// Of who asks.
    pub researcher: &'a mut Account,
    /// Of the study that it is asked for.
    pub study: &'a mut Account,
    /// Of the subjects whom the question selects and whose consent holds, each once, in an order that
    /// stays until the charge is committed or released.
    pub subjects: &'a mut [Account],
}

/// What is reserved for one question.
#[derive(Debug)]
#[must_use = "what is neither committed nor released counts as spent"]
pub struct Charge {
    researcher: Reservation,
    study: Reservation,
    /// In the order of the rows; none for who is left out.
    subjects: Vec<Option<Reservation>>,
}

/// Who has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCharge {
    /// The researcher.
    #[error("the researcher cannot ask: {0}")]
    Researcher(NoReservation),
    /// The study.
    #[error("the study cannot ask: {0}")]
    Study(NoReservation),
}

impl Charge {
    /// Reserves the cost of one answer in all rows. To be durable before the count is drawn.
    ///
    /// # Errors
    /// [`NoCharge`], for reasons that lie in what was asked before, never in who is selected. The
    /// rows need not be written then: nothing is reserved in them.
    pub fn reserve(policy: &Policy, rows: Rows<'_>, now: Millis) -> Result<Self, NoCharge> {
        let Rows {
            researcher,
            study,
            subjects,
        } = rows;
        let before = researcher.clone();
        let of_researcher = researcher
            .reserve(&policy.researcher, policy.cost, now)
            .map_err(NoCharge::Researcher)?;
        let of_study = match study.reserve(&policy.study, policy.cost, now) {
            Ok(reservation) => reservation,
            Err(why) => {
                *researcher = before;
                return Err(NoCharge::Study(why));
            }
        };
        let of_subjects = subjects
            .iter_mut()
            .map(|subject| subject.reserve(&policy.subject, policy.cost, now).ok())
            .collect();
        Ok(Self {
            researcher: of_researcher,
            study: of_study,
            subjects: of_subjects,
        })
    }

    /// The exact count: how many were charged. It gets its noise before anybody sees it.
    pub fn counted(&self) -> u64 {
        let counted = self.subjects.iter().flatten().count();
        u64::try_from(counted).unwrap_or(u64::MAX)
    }

    /// Spends what was reserved. To be durable before the answer leaves.
    ///
    /// # Errors
    /// [`Unknown`] if the rows are not those that it was reserved in: nothing may be answered, and
    /// the rows are not to be written.
    pub fn commit(self, rows: Rows<'_>) -> Result<(), Unknown> {
        self.close(rows, |row, reservation| row.commit(reservation).map(drop))
    }

    /// Gives back what was reserved: only if nothing that depends on the count has been or will be
    /// shown, logged or kept, and nothing that depends on it is why.
    ///
    /// # Errors
    /// [`Unknown`], as [`Charge::commit`].
    pub fn release(self, rows: Rows<'_>) -> Result<(), Unknown> {
        self.close(rows, Account::release)
    }

    fn close(
        self,
        rows: Rows<'_>,
        each: impl Fn(&mut Account, Reservation) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        if rows.subjects.len() != self.subjects.len() {
            return Err(Unknown);
        }
        each(rows.researcher, self.researcher)?;
        each(rows.study, self.study)?;
        for (row, reservation) in rows.subjects.iter_mut().zip(self.subjects) {
            if let Some(reservation) = reservation {
                each(row, reservation)?;
            }
        }
        Ok(())
    }
}
