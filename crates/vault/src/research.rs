//! What research took of a subject: how much counts have told of it, and which releases hold its data.
//!
//! Sealed under the subject's audit key: a copy that has left outlives the records, and so does the knowledge
//! of it.

use crate::audit::{RowKind, SINGLE, audit_key};
use crate::disclosures::Disclosure;
use crate::layout::AUDIT;
use crate::vault::{Vault, is_conflict};
use crate::{AuditId, Conflict, Error};
use codec::{Digest, InstitutionId, Millis, StudyId, SubjectId, record};
use keys::Entropy;
use std::collections::BTreeMap;
use store::{Batch, Expect, Store};

record! {
    /// How much of a subject's privacy budget counts have used.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Spending {
        /// Epsilon, in millionths, since `since`.
        1 => pub micro: u64,
        /// When the period began in which that was spent.
        2 => pub since: Millis,
        /// Epsilon, in millionths, of all periods.
        3 => pub ever: u64,
        /// How many answers that were.
        4 => pub answers: u64,
    }
}

record! {
    /// A release that holds a subject's data. A copy that has left cannot be recalled.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReleaseHeld {
        /// For which study.
        1 => pub study: StudyId,
        /// Which of its releases, from 0.
        2 => pub number: u64,
        /// Who runs the study.
        3 => pub institution: InstitutionId,
        /// When its preparation was decided.
        4 => pub at: Millis,
        /// In which of its groups.
        5 => pub group: u32,
        /// The largest risk of its subjects that the attacks measured, in millionths.
        6 => pub risk_ppm: u32,
        /// Digest of its certificate.
        7 => pub certificate: Digest,
        /// The log row of the reading it was made of.
        8 => pub disclosure: AuditId,
    }
}

impl<S: Store> Vault<S> {
    /// What counting has used of each subject's budget, in their order; nothing yet: the default.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn research_spent(&self, subjects: &[SubjectId]) -> Result<Vec<Spending>, Error> {
        let mut spent = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let keys = self.audit(subject)?;
            let found = self.audit_row::<Spending>(&keys, subject, RowKind::Spent, &SINGLE);
            spent.push(found.await?.map(|(_, row)| row).unwrap_or_default());
        }
        Ok(spent)
    }

    /// Logs disclosures and charges subjects for what is about to be told of them, all or none, in one durable
    /// write. Each charge is (what was spent, what is spent then).
    ///
    /// # Errors
    /// [`Conflict::Done`] unless each spending is as expected; as [`Vault::disclosures_log`].
    pub async fn research_charge(
        &self,
        disclosures: &[Disclosure],
        charges: &BTreeMap<SubjectId, (Spending, Spending)>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (subject, (old, new)) in charges {
            let keys = self.audit(subject)?;
            let there = self
                .audit_row::<Spending>(&keys, subject, RowKind::Spent, &SINGLE)
                .await?;
            let spent = there.as_ref().map(|(_, spent)| *spent).unwrap_or_default();
            if spent != *old {
                return Err(Conflict::Done("a subject was charged in the meantime").into());
            }
            let expect = there.map_or(Expect::Absent, |(sealed, _)| Expect::Equals(sealed));
            let key = audit_key(subject, RowKind::Spent, &SINGLE);
            let sealed = self.audit_seal(&keys, &key, new, entropy);
            batch = batch.expect(AUDIT, &key, expect).put(AUDIT, &key, sealed);
        }
        self.disclosures_log_with(disclosures, batch, entropy)
            .await?;
        Ok(())
    }

    /// Notes in each subject's compartment that a release holds its data, all or none, in one durable write. One
    /// that is noted already stays as it is, so that this may be done again.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Store`].
    pub async fn research_released(
        &self,
        held: &[(SubjectId, AuditId, ReleaseHeld)],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (subject, id, held) in held {
            let keys = self.audit(subject)?;
            let key = audit_key(subject, RowKind::Released, id);
            if self.get(AUDIT, &key).await?.is_some() {
                continue;
            }
            let sealed = self.audit_seal(&keys, &key, held, entropy);
            batch = batch
                .expect(AUDIT, &key, Expect::Absent)
                .put(AUDIT, &key, sealed);
        }
        match self.commit(batch).await {
            Err(error) if is_conflict(&error) => Err(Error::Busy),
            done => done,
        }
    }

    /// Takes such notes back: of a release that did not take place.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn research_unreleased(&self, held: &[(SubjectId, AuditId)]) -> Result<(), Error> {
        if held.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (subject, id) in held {
            batch = batch.delete(AUDIT, audit_key(subject, RowKind::Released, id));
        }
        self.commit(batch).await
    }

    /// The releases that hold a subject's data. Goes on after the erasure of the records.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], also once the retention is over; [`Error::Damaged`].
    pub async fn research_held(
        &self,
        subject: &SubjectId,
    ) -> Result<Vec<(AuditId, ReleaseHeld)>, Error> {
        self.audit_rows(subject, RowKind::Released).await
    }
}
