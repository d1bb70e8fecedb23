//! The audit compartment beside the disclosures: break-glass sessions and their reviews, notices,
//! safeguarding delays and their acts, legal holds and retentions, and who controlled an erased subject. What
//! research took of a subject is there too: see `research`.
//!
//! Sealed under the subject's audit key, so that they outlive the records. What somebody must act on
//! by some time also has an empty row in a work list, in the order of those times.

use crate::layout::{AUDIT, WORKLIST, join, number_at};
use crate::sealing::{AuditKeys, damaged};
use crate::vault::{ATTEMPTS, Pages, Vault, is_conflict};
use crate::{Conflict, Error};
use bytes::Bytes;
use codec::{Decode, DisclosureId, Encode, Millis, SubjectId, choice, record};
use consent::break_glass::Review;
use consent::safeguarding::{Act, Delay, Proposal};
use consent::{BreakGlass, Control, LegalHold, Retention};
use keys::Entropy;
use store::{Batch, Expect, Range, Store};

/// The most holds, and the most retentions, of one subject.
pub const MAX_HOLDS: usize = 64;

/// Names a break-glass session, a notice or an act.
pub type AuditId = DisclosureId;

/// What an audit row is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Session = 1,
    Delay = 2,
    Act = 3,
    Notice = 4,
    Holds = 5,
    Control = 6,
    /// What counting has told of a subject so far.
    Spent = 7,
    /// A release that holds a subject's data.
    Released = 8,
}

/// What a row of the work list asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A session is to be reviewed.
    Review = 1,
    /// A notice is to be given.
    Tell = 2,
    /// An audit compartment's retention ends.
    AuditErase = 3,
}

record! {
    /// A break-glass session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Session {
        /// What was opened, by whom, until when, why.
        1 => pub opened: BreakGlass,
        /// When it is reviewed at the latest.
        2 => pub review_due: Millis,
        /// The review, once there is one.
        3 => pub review: Option<Review>,
    }
}

choice! {
    /// A safeguarding delay.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum DelayState {
        /// Waits for a second person; has no effect.
        1 => Proposed(Proposal),
        /// Approved, and perhaps over or lifted.
        2 => Approved(Delay),
    }
}

record! {
    /// Something that the controllers are to be told.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Notice {
        /// When they are told at the latest.
        1 => pub due: Millis,
        /// What they are told.
        2 => pub sentence: String,
        /// The disclosure or session it is about.
        3 => pub about: Option<AuditId>,
        /// When they were told.
        4 => pub told: Option<Millis>,
    }
}

record! {
    /// What stands against erasure.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Holds {
        /// Orders to keep.
        1 => pub holds: Vec<LegalHold>,
        /// Laws to keep.
        2 => pub retentions: Vec<Retention>,
    }
}

/// A row of the work list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it is due.
    pub due: Millis,
    /// Whose.
    pub subject: SubjectId,
    /// The session or notice.
    pub id: AuditId,
}

impl<S: Store> Vault<S> {
    /// Records a break-glass session, with the notice to the controllers: durable when it returns,
    /// and before anything is read under it.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`]; [`Conflict::Done`] if the id is taken.
    pub async fn session_open(
        &self,
        id: &AuditId,
        session: &Session,
        notice: &Notice,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let subject = session.opened.subject;
        let keys = self.audit(&subject)?;
        let mut batch = self.audit_new(&keys, &subject, RowKind::Session, id, session, entropy);
        let notice_row = self.audit_new(&keys, &subject, RowKind::Notice, id, notice, entropy);
        for (work, due) in [(Work::Review, session.review_due), (Work::Tell, notice.due)] {
            batch = batch.put(WORKLIST, work_key(work, due, &subject, id), Bytes::new());
        }
        self.commit_new(batch.and(notice_row)).await
    }

    /// A break-glass session.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::SubjectUnknown`].
    pub async fn session(&self, subject: &SubjectId, id: &AuditId) -> Result<Session, Error> {
        let keys = self.audit(subject)?;
        let found = self.audit_row(&keys, subject, RowKind::Session, id).await?;
        let (_, session) = found.ok_or(Error::Unknown("break-glass session"))?;
        Ok(session)
    }

    /// A subject's break-glass sessions.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn sessions(&self, subject: &SubjectId) -> Result<Vec<(AuditId, Session)>, Error> {
        self.audit_rows(subject, RowKind::Session).await
    }

    /// Up to `limit` sessions of any subject that await review, the first due first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sessions_due(&self, limit: usize) -> Result<Vec<Due>, Error> {
        self.work(Work::Review, None, limit).await
    }

    /// Adds the review of a session.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Conflict::Done`] if it was reviewed.
    pub async fn session_review(
        &self,
        subject: &SubjectId,
        id: &AuditId,
        review: &Review,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let change = |session: &mut Session| {
            if session.review.is_some() {
                return Err(Conflict::Done("the session was reviewed").into());
            }
            session.review = Some(review.clone());
            Ok(work_key(Work::Review, session.review_due, subject, id))
        };
        self.audit_change(subject, RowKind::Session, id, change, entropy)
            .await
    }

    /// Records a notice to the controllers.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`]; [`Conflict::Done`] if the id is taken.
    pub async fn notice_put(
        &self,
        subject: &SubjectId,
        id: &AuditId,
        notice: &Notice,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let keys = self.audit(subject)?;
        let work = work_key(Work::Tell, notice.due, subject, id);
        let batch = self
            .audit_new(&keys, subject, RowKind::Notice, id, notice, entropy)
            .put(WORKLIST, work, Bytes::new());
        self.commit_new(batch).await
    }

    /// A subject's notices.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn notices(&self, subject: &SubjectId) -> Result<Vec<(AuditId, Notice)>, Error> {
        self.audit_rows(subject, RowKind::Notice).await
    }

    /// Up to `limit` notices of any subject that were not given yet, the first due first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn notices_due(&self, limit: usize) -> Result<Vec<Due>, Error> {
        self.work(Work::Tell, None, limit).await
    }

    /// A notice was given.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Conflict::Done`] if it was given before.
    pub async fn notice_told(
        &self,
        subject: &SubjectId,
        id: &AuditId,
        at: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let change = |notice: &mut Notice| {
            if notice.told.is_some() {
                return Err(Conflict::Done("the notice was given").into());
            }
            notice.told = Some(at);
            Ok(work_key(Work::Tell, notice.due, subject, id))
        };
        self.audit_change(subject, RowKind::Notice, id, change, entropy)
            .await
    }

    /// The delay of a disclosure, if there is one.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn delay(
        &self,
        subject: &SubjectId,
        disclosure: &DisclosureId,
    ) -> Result<Option<DelayState>, Error> {
        let keys = self.audit(subject)?;
        let found = self.audit_row(&keys, subject, RowKind::Delay, disclosure);
        Ok(found.await?.map(|(_, delay)| delay))
    }

    /// A subject's delays, by disclosure.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn delays(
        &self,
        subject: &SubjectId,
    ) -> Result<Vec<(DisclosureId, DelayState)>, Error> {
        self.audit_rows(subject, RowKind::Delay).await
    }

    /// The acts that made, approved and lifted a subject's delays.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn delay_acts(&self, subject: &SubjectId) -> Result<Vec<Act>, Error> {
        let mut acts: Vec<Act> = self
            .audit_rows(subject, RowKind::Act)
            .await?
            .into_iter()
            .map(|(_, act)| act)
            .collect();
        acts.sort_by_key(|act| act.at);
        Ok(acts)
    }

    /// Replaces the delay of a disclosure, together with the act that did it (under a fresh id).
    ///
    /// # Errors
    /// [`Conflict::Done`] unless the delay is as `expected`.
    pub async fn delay_put(
        &self,
        subject: &SubjectId,
        expected: Option<&DelayState>,
        delay: &DelayState,
        act: (&AuditId, &Act),
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let keys = self.audit(subject)?;
        let disclosure = act.1.disclosure;
        let there = self
            .audit_row::<DelayState>(&keys, subject, RowKind::Delay, &disclosure)
            .await?;
        if there.as_ref().map(|(_, delay)| delay) != expected {
            return Err(Conflict::Done("the delay was changed in the meantime").into());
        }
        let expect = there.map_or(Expect::Absent, |(old, _)| Expect::Equals(old));
        let key = audit_key(subject, RowKind::Delay, &disclosure);
        let batch = self
            .audit_new(&keys, subject, RowKind::Act, act.0, act.1, entropy)
            .expect(AUDIT, &key, expect)
            .put(AUDIT, &key, self.audit_seal(&keys, &key, delay, entropy));
        self.commit_new(batch).await
    }

    /// What stands against a subject's erasure.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn holds(&self, subject: &SubjectId) -> Result<Holds, Error> {
        let keys = self.audit(subject)?;
        let found = self.audit_row(&keys, subject, RowKind::Holds, &SINGLE);
        Ok(found.await?.map(|(_, holds)| holds).unwrap_or_default())
    }

    /// Replaces what stands against a subject's erasure. The caller logs who did it and why.
    ///
    /// # Errors
    /// [`Conflict::Done`] unless it is as `expected`; [`Error::Invalid`].
    pub async fn holds_put(
        &self,
        subject: &SubjectId,
        expected: &Holds,
        holds: &Holds,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        if holds.holds.len() > MAX_HOLDS || holds.retentions.len() > MAX_HOLDS {
            return Err(Error::invalid("holds", "a subject has at most 64 of each"));
        }
        let keys = self.audit(subject)?;
        let there = self
            .audit_row::<Holds>(&keys, subject, RowKind::Holds, &SINGLE)
            .await?;
        let (expect, current) = match there {
            Some((old, current)) => (Expect::Equals(old), current),
            None => (Expect::Absent, Holds::default()),
        };
        if current != *expected {
            return Err(Conflict::Done("the holds were changed in the meantime").into());
        }
        let key = audit_key(subject, RowKind::Holds, &SINGLE);
        let batch = Batch::new().expect(AUDIT, &key, expect).put(
            AUDIT,
            &key,
            self.audit_seal(&keys, &key, holds, entropy),
        );
        self.commit_new(batch).await
    }

    /// Who controlled an erased subject when its erasure began; `None` if it was not erased, or if that is
    /// not known because the erasure was repeated after a restore.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], also once the retention is over; [`Error::Damaged`].
    pub async fn control_kept(&self, subject: &SubjectId) -> Result<Option<Control>, Error> {
        let keys = self.audit(subject)?;
        let found = self.audit_row(&keys, subject, RowKind::Control, &SINGLE);
        Ok(found.await?.map(|(_, control)| control))
    }

    /// Keeps who controls a subject, for when its consent is gone.
    pub(crate) fn control_put(
        &self,
        batch: Batch,
        subject: &SubjectId,
        control: &Control,
        entropy: &mut impl Entropy,
    ) -> Result<Batch, Error> {
        let keys = self.audit(subject)?;
        let key = audit_key(subject, RowKind::Control, &SINGLE);
        let sealed = self.audit_seal(&keys, &key, control, entropy);
        Ok(batch.put(AUDIT, &key, sealed))
    }

    /// Up to `limit` rows of the work list of one kind, due before a time if one is given.
    pub(crate) async fn work(
        &self,
        work: Work,
        before: Option<Millis>,
        limit: usize,
    ) -> Result<Vec<Due>, Error> {
        let mut range = Range::prefix([work as u8]);
        if let Some(before) = before {
            range = range.before(join(&[&[work as u8], &before.get().to_be_bytes()]));
        }
        let rows = self.page(WORKLIST, range, limit).await?;
        let due = rows
            .iter()
            .map(|(key, _)| due_of(key).ok_or(damaged(WORKLIST)));
        due.collect()
    }

    pub(crate) async fn audit_rows<T: Encode + Decode>(
        &self,
        subject: &SubjectId,
        kind: RowKind,
    ) -> Result<Vec<(AuditId, T)>, Error> {
        let keys = self.audit(subject)?;
        let custodian = &self.inner().settings.custodian;
        let prefix = join(&[subject.as_bytes(), &[kind as u8]]);
        let mut found = Vec::new();
        let mut pages = Pages::new(AUDIT, Range::prefix(&prefix));
        while let Some(rows) = pages.next(self).await? {
            for (key, sealed) in rows {
                let id = key.get(prefix.len()..).unwrap_or_default();
                let id = AuditId::try_from(id).map_err(|_| damaged(AUDIT))?;
                found.push((id, keys.rows.open(custodian, AUDIT, &key, &sealed)?));
            }
        }
        Ok(found)
    }

    pub(crate) async fn audit_row<T: Encode + Decode>(
        &self,
        keys: &AuditKeys,
        subject: &SubjectId,
        kind: RowKind,
        id: &AuditId,
    ) -> Result<Option<(Bytes, T)>, Error> {
        let key = audit_key(subject, kind, id);
        let Some(sealed) = self.get(AUDIT, &key).await? else {
            return Ok(None);
        };
        let custodian = &self.inner().settings.custodian;
        let row = keys.rows.open(custodian, AUDIT, &key, &sealed)?;
        Ok(Some((sealed, row)))
    }

    fn audit_new<T: Encode>(
        &self,
        keys: &AuditKeys,
        subject: &SubjectId,
        kind: RowKind,
        id: &AuditId,
        row: &T,
        entropy: &mut impl Entropy,
    ) -> Batch {
        let key = audit_key(subject, kind, id);
        let sealed = self.audit_seal(keys, &key, row, entropy);
        Batch::new()
            .expect(AUDIT, &key, Expect::Absent)
            .put(AUDIT, &key, sealed)
    }

    pub(crate) fn audit_seal<T: Encode>(
        &self,
        keys: &AuditKeys,
        key: &[u8],
        row: &T,
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        let custodian = &self.inner().settings.custodian;
        keys.rows.seal(custodian, AUDIT, key, row, entropy)
    }

    /// Changes a row and takes it off the work list.
    async fn audit_change<T: Encode + Decode + Send>(
        &self,
        subject: &SubjectId,
        kind: RowKind,
        id: &AuditId,
        change: impl Fn(&mut T) -> Result<Vec<u8>, Error> + Send,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let keys = self.audit(subject)?;
        let key = audit_key(subject, kind, id);
        for _ in 0..ATTEMPTS {
            let found = self.audit_row::<T>(&keys, subject, kind, id).await?;
            let (old, mut row) = found.ok_or(Error::Unknown("session or notice"))?;
            let work = change(&mut row)?;
            let batch = Batch::new()
                .expect(AUDIT, &key, Expect::Equals(old))
                .put(AUDIT, &key, self.audit_seal(&keys, &key, &row, entropy))
                .delete(WORKLIST, work);
            match self.commit(batch).await {
                Err(error) if is_conflict(&error) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    async fn commit_new(&self, batch: Batch) -> Result<(), Error> {
        self.commit(batch).await.map_err(|error| {
            if is_conflict(&error) {
                Conflict::Done("the row was there already, or changed in the meantime").into()
            } else {
                error
            }
        })
    }
}

/// The id of rows of which a subject has one.
pub(crate) const SINGLE: AuditId = AuditId::new([0; 16]);

pub(crate) fn audit_key(subject: &SubjectId, kind: RowKind, id: &AuditId) -> Vec<u8> {
    join(&[subject.as_bytes(), &[kind as u8], id.as_bytes()])
}

pub(crate) fn work_key(work: Work, due: Millis, subject: &SubjectId, id: &AuditId) -> Vec<u8> {
    join(&[
        &[work as u8],
        &due.get().to_be_bytes(),
        subject.as_bytes(),
        id.as_bytes(),
    ])
}

fn due_of(key: &[u8]) -> Option<Due> {
    let due = Millis::new(number_at(key, 1)?);
    let (subject, id) = key.get(9..)?.split_at_checked(SubjectId::LEN)?;
    Some(Due {
        due,
        subject: SubjectId::try_from(subject).ok()?,
        id: AuditId::try_from(id).ok()?,
    })
}
