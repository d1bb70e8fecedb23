//! What research took of a subject: how much counts have told of it, and which releases hold its data.
//!
//! Sealed under the subject's audit key: a copy that has left outlives the records, and so does the knowledge
//! of it. What of the subject a release was made of, so that its measurements can be repeated, is sealed in the
//! compartment and dies with it.

use crate::audit::{RowKind, SINGLE, audit_key};
use crate::disclosures::Disclosure;
use crate::layout::{AUDIT, ERASURES, RELEASED, join};
use crate::sealing::damaged;
use crate::vault::{Vault, is_conflict};
use crate::{AuditId, Conflict, Error};
use codec::{Digest, InstitutionId, Millis, StudyId, SubjectId, record};
use keys::{Entropy, Secret, Zeroizing};
use std::collections::BTreeMap;
use store::{Batch, Expect, Range, Store};

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

/// The most that is kept of a subject for one release, in bytes.
pub const RELEASED_MAX_BYTES: usize = 64 << 10;

/// A subject's account: what must be there, and what is to be there.
pub type AccountPut = (Option<Vec<u8>>, Vec<u8>);

/// A note that a release holds a subject's data.
pub struct ReleasePut<'a> {
    /// Whose.
    pub subject: SubjectId,
    /// The release.
    pub release: AuditId,
    /// What the subject is told.
    pub held: &'a ReleaseHeld,
    /// What of the subject it was made of, at most [`RELEASED_MAX_BYTES`].
    pub used: &'a [u8],
}

impl std::fmt::Debug for ReleasePut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReleasePut(<redacted>)")
    }
}

impl<S: Store> Vault<S> {
    /// The secret of this custodian from which the keys of studies derive: for pseudonyms and tokens, and for
    /// nothing else.
    #[must_use]
    pub fn research_secret(&self) -> Secret {
        self.inner().node.research.clone()
    }

    /// A subject's account of what counting has used of its privacy budget, in the caller's form.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::Damaged`].
    pub async fn research_account(&self, subject: &SubjectId) -> Result<Option<Vec<u8>>, Error> {
        let keys = self.audit(subject)?;
        let found = self.audit_row::<Vec<u8>>(&keys, subject, RowKind::Spent, &SINGLE);
        Ok(found.await?.map(|(_, row)| row))
    }

    /// Logs disclosures and replaces subjects' accounts, all or none, in one durable write: (what was there, what
    /// is to be there). All accounts that are put alike in size are written alike, so that nobody sees from
    /// outside whose changed.
    ///
    /// # Errors
    /// [`Conflict::Done`] unless each account is as expected; as [`Vault::disclosures_log`].
    pub async fn research_charge(
        &self,
        disclosures: &[Disclosure],
        accounts: &BTreeMap<SubjectId, AccountPut>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (subject, (old, new)) in accounts {
            let keys = self.audit(subject)?;
            let there = self
                .audit_row::<Vec<u8>>(&keys, subject, RowKind::Spent, &SINGLE)
                .await?;
            if there.as_ref().map(|(_, account)| account) != old.as_ref() {
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

    /// Notes in each subject's compartment that a release holds its data and what of it, all or none, in one
    /// durable write. A note of the same release that is there already is replaced: the release was made anew.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`]; [`Error::Busy`]; [`Error::Invalid`] if what was used
    /// is longer than [`RELEASED_MAX_BYTES`].
    pub async fn research_released(
        &self,
        puts: &[ReleasePut<'_>],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let custodian = self.inner().settings.custodian;
        let mut batch = Batch::new();
        for put in puts {
            if put.used.len() > RELEASED_MAX_BYTES {
                return Err(Error::invalid("released", "at most 64 KiB is kept"));
            }
            let subject = &put.subject;
            let keys = self.audit(subject)?;
            let compartment = self.compartment(subject).await?;
            let key = audit_key(subject, RowKind::Released, &put.release);
            let held = self.audit_seal(&keys, &key, put.held, entropy);
            let at = used_key(subject, &put.release);
            let used = compartment
                .index
                .seal_bytes(&custodian, RELEASED, &at, put.used, entropy);
            batch = batch
                .expect(ERASURES, subject.as_bytes(), Expect::Absent)
                .put(AUDIT, &key, held)
                .put(RELEASED, at, used);
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
    pub async fn research_unreleased(
        &self,
        subjects: &[SubjectId],
        release: &AuditId,
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        for subject in subjects {
            batch = batch
                .delete(AUDIT, audit_key(subject, RowKind::Released, release))
                .delete(RELEASED, used_key(subject, release));
        }
        self.commit(batch).await
    }

    /// What of a subject a release was made of; none if it holds nothing of it.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn research_used(
        &self,
        subject: &SubjectId,
        release: &AuditId,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let compartment = self.compartment(subject).await?;
        let at = used_key(subject, release);
        let Some(sealed) = self.get(RELEASED, &at).await? else {
            return Ok(None);
        };
        let custodian = &self.inner().settings.custodian;
        let used = compartment
            .index
            .open_bytes(custodian, RELEASED, &at, &sealed)?;
        Ok(Some(used))
    }

    /// Of whom releases were made that are still here, in the order of their ids, with the release: up to `limit`
    /// after one of them.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn research_used_list(
        &self,
        after: Option<&(SubjectId, AuditId)>,
        limit: usize,
    ) -> Result<Vec<(SubjectId, AuditId)>, Error> {
        let mut range = Range::all();
        if let Some((subject, release)) = after {
            range = range.after(used_key(subject, release));
        }
        let rows = self.page(RELEASED, range, limit).await?;
        rows.iter()
            .map(|(key, _)| used_of(key).ok_or(damaged(RELEASED)))
            .collect()
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

fn used_key(subject: &SubjectId, release: &AuditId) -> Vec<u8> {
    join(&[subject.as_bytes(), release.as_bytes()])
}

/// Whose row it is, and of which release.
fn used_of(key: &[u8]) -> Option<(SubjectId, AuditId)> {
    let (subject, release) = key.split_at_checked(SubjectId::LEN)?;
    Some((subject.try_into().ok()?, release.try_into().ok()?))
}
