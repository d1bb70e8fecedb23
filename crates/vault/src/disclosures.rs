//! Disclosures: durable before anything is read, sealed in the audit compartment.
//!
//! Each is assigned to a period when it is logged: the period of its time, or the first one that is
//! not closed, should that be later. The row that says which periods are closed is expected unchanged
//! by every log, so that nothing gets into a period after its close.

use crate::Error;
use crate::custody::KeyKind;
use crate::layout::{
    DISCLOSURES, PERIOD_SUBJECTS, disclosure_key, disclosure_period, period_subject_key,
};
use crate::sealing::{AuditKeys, damaged};
use crate::vault::{ATTEMPTS, Pages, Vault, is_conflict};
use bytes::Bytes;
use codec::{Digest, DisclosureId, Domain, Millis, RecordId, SubjectId, choice, record};
use consent::{Because, Missing, Request, Role};
use keys::{Entropy, Secret};
use std::fmt;
use store::{Batch, Expect, Range, Store};

/// The most records a disclosure names one by one.
pub const MAX_DISCLOSED: usize = 10_000;

record! {
    /// One request and what became of it. Its encoding is what a period's entry commits to.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Disclosure {
        /// Its random id.
        1 => pub id: DisclosureId,
        /// When.
        2 => pub at: Millis,
        /// Who asked, for what purpose, about whom, which part.
        3 => pub request: Request,
        /// Permitted or refused.
        4 => pub outcome: Outcome,
        /// The records that were opened, at most [`MAX_DISCLOSED`].
        5 => pub records: Vec<RecordId>,
        /// The view of the ledger was old.
        6 => pub stale: bool,
        /// The break-glass session it was made under.
        7 => pub session: Option<DisclosureId>,
        /// What else belongs to it, in a word of the caller's ("share", "export", "projection").
        8 => pub channel: Option<String>,
        /// The signed request of another institution, as it came: who asked cannot deny it.
        9 => pub asked: Option<Vec<u8>>,
    }
}

choice! {
    /// What became of a request.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Outcome {
        /// Permitted, on these bases.
        1 => Permitted(Vec<Because>),
        /// Refused, for want of these.
        2 => Refused(Vec<Missing>),
    }
}

record! {
    /// A disclosure in the log.
    #[derive(Clone, PartialEq, Eq)]
    pub struct LoggedDisclosure {
        /// What was logged.
        1 => pub disclosure: Disclosure,
        /// The period it is proved in.
        2 => pub period: u64,
        /// The salt of its leaf.
        3 => pub salt: [u8; 32],
    }
}

impl<S: Store> Vault<S> {
    /// Logs a disclosure or refusal: durable when it returns. Nothing may be read before that. Returns
    /// the period it is proved in.
    ///
    /// # Errors
    /// As [`Vault::disclosures_log`].
    pub async fn disclosure_log(
        &self,
        disclosure: &Disclosure,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<u64, Error> {
        let periods = self.disclosures_log(std::slice::from_ref(disclosure), entropy);
        Ok(periods.await?.into_iter().next().unwrap_or_default())
    }

    /// Logs disclosures and refusals, all or none, in one durable write. Returns the period of each.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`] if there never was a compartment; [`Error::Invalid`];
    /// [`Error::Busy`]; [`crate::Conflict::Done`] if one is logged already.
    pub async fn disclosures_log(
        &self,
        disclosures: &[Disclosure],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u64>, Error> {
        self.disclosures_log_with(disclosures, Batch::new(), entropy)
            .await
    }

    /// Logs disclosures together with what else must be durable with them; that it finds what it expects is
    /// for the caller to have looked at: [`Error::Busy`] if it does not.
    pub(crate) async fn disclosures_log_with(
        &self,
        disclosures: &[Disclosure],
        with: Batch,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u64>, Error> {
        if disclosures.iter().any(|d| d.records.len() > MAX_DISCLOSED) {
            return Err(Error::invalid("records", "at most 10000 records are named"));
        }
        let inner = self.inner();
        for _ in 0..ATTEMPTS {
            let cursor = self.period_cursor().await?;
            let mut batch = cursor.expect(with.clone());
            // Others, and the node for itself, must not use up the room in which this institution's own care
            // is logged.
            let waits = |d: &Disclosure| d.asked.is_some() || d.request.actor.is(Role::System);
            if disclosures.iter().any(waits) {
                batch = batch.deferrable();
            }
            let mut periods = Vec::with_capacity(disclosures.len());
            let mut rows = Vec::with_capacity(disclosures.len());
            for disclosure in disclosures {
                let subject = disclosure.request.subject;
                let keys = self.audit(&subject)?;
                let own_period = disclosure.at.get() / inner.settings.period_ms;
                let logged = LoggedDisclosure {
                    disclosure: disclosure.clone(),
                    period: own_period.max(cursor.open_from()),
                    salt: entropy_salt(entropy),
                };
                let key = disclosure_key(&subject, logged.period, &disclosure.id);
                let custodian = &inner.settings.custodian;
                let sealed = keys
                    .rows
                    .seal(custodian, DISCLOSURES, &key, &logged, entropy);
                batch = batch
                    .expect(DISCLOSURES, &key, Expect::Absent)
                    .put(DISCLOSURES, &key, sealed)
                    .put(
                        PERIOD_SUBJECTS,
                        period_subject_key(logged.period, &subject),
                        Bytes::new(),
                    );
                periods.push(logged.period);
                rows.push(key);
            }
            match self.commit(batch).await {
                Ok(()) => return Ok(periods),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
            for key in rows {
                if self.get(DISCLOSURES, &key).await?.is_some() {
                    return Err(crate::Conflict::Done("the disclosure is logged already").into());
                }
            }
            self.period_cursor_reload().await?;
        }
        Err(Error::Busy)
    }

    /// Up to `limit` disclosures of a subject made from one time on and before another, in the order
    /// of their periods, and whether there are more. Goes on after the erasure of the records.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], also once their retention is over.
    pub async fn disclosure_list(
        &self,
        subject: &SubjectId,
        from: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<(Vec<LoggedDisclosure>, bool), Error> {
        let keys = self.audit(subject)?;
        let first = from.get() / self.inner().settings.period_ms;
        let all = Range::prefix(subject.as_bytes());
        let start = crate::layout::join(&[subject.as_bytes(), &first.to_be_bytes()]);
        let range = match all.end() {
            Some(end) => Range::between(start, end),
            None => Range::from(start),
        };
        let mut found = Vec::new();
        let mut pages = Pages::new(DISCLOSURES, range);
        while let Some(rows) = pages.next(self).await? {
            for (key, sealed) in rows {
                let logged = self.disclosure_open(&keys, &key, &sealed)?;
                if logged.disclosure.at < from || logged.disclosure.at >= until {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(logged);
            }
        }
        found.sort_by_key(|logged| (logged.period, logged.disclosure.at));
        Ok((found, false))
    }

    /// One disclosure of a subject.
    ///
    /// # Errors
    /// [`Error::Unknown`], and as [`Vault::disclosure_list`].
    pub async fn disclosure(
        &self,
        subject: &SubjectId,
        id: &DisclosureId,
    ) -> Result<LoggedDisclosure, Error> {
        let keys = self.audit(subject)?;
        let mut pages = Pages::new(DISCLOSURES, Range::prefix(subject.as_bytes()));
        while let Some(rows) = pages.next(self).await? {
            for (key, sealed) in rows {
                if key.ends_with(id.as_bytes()) {
                    return self.disclosure_open(&keys, &key, &sealed);
                }
            }
        }
        Err(Error::Unknown("disclosure"))
    }

    /// The subject's disclosures in a period, in the order of their leaves.
    pub(crate) async fn disclosures_in(
        &self,
        keys: &AuditKeys,
        subject: &SubjectId,
        period: u64,
    ) -> Result<Vec<LoggedDisclosure>, Error> {
        let prefix = crate::layout::join(&[subject.as_bytes(), &period.to_be_bytes()]);
        let mut found = Vec::new();
        let mut pages = Pages::new(DISCLOSURES, Range::prefix(prefix));
        while let Some(rows) = pages.next(self).await? {
            for (key, sealed) in rows {
                found.push(self.disclosure_open(keys, &key, &sealed)?);
            }
        }
        Ok(found)
    }

    /// Makes an audit compartment without a compartment for records: for reads made elsewhere
    /// (a visitor compartment). Does nothing if there is one.
    ///
    /// # Errors
    /// [`Error::Custody`].
    pub fn audit_open(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut impl Entropy,
    ) -> Result<(), Error> {
        let keychain = &self.inner().keychain;
        keychain.key_ensure(KeyKind::Audit, subject, now.get(), entropy)?;
        Ok(())
    }

    /// The key from which a subject computes its key in the map of every period (see [`map_key`]):
    /// handed to the subject, so that it can ask for proofs by itself.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`].
    pub fn audit_period_key(&self, subject: &SubjectId) -> Result<Secret, Error> {
        Ok(self.audit(subject)?.period.clone())
    }

    fn disclosure_open(
        &self,
        keys: &AuditKeys,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<LoggedDisclosure, Error> {
        let custodian = &self.inner().settings.custodian;
        let logged: LoggedDisclosure = keys.rows.open(custodian, DISCLOSURES, key, sealed)?;
        if disclosure_period(key) == Some(logged.period) {
            Ok(logged)
        } else {
            Err(damaged(DISCLOSURES))
        }
    }
}

/// A subject's key in the map of a period.
#[must_use]
pub fn map_key(period_key: &Secret, period: u64) -> Digest {
    period_key.mac(Domain::DisclosureKey, &[&period.to_be_bytes()])
}

/// The salted root over a subject's disclosures of one period, in the order of their ids: what the map
/// of the period holds beside their count.
///
/// A leaf is the digest under `DisclosureLeaf` of salt and encoded [`Disclosure`]; the root is the
/// digest under `DisclosureNode` of their number and every leaf.
#[must_use]
pub fn disclosures_root(disclosures: &[LoggedDisclosure]) -> Digest {
    let mut ordered: Vec<&LoggedDisclosure> = disclosures.iter().collect();
    ordered.sort_by_key(|logged| logged.disclosure.id);
    let leaves: Vec<Digest> = ordered.into_iter().map(LoggedDisclosure::leaf).collect();
    let count = u64::try_from(leaves.len())
        .unwrap_or(u64::MAX)
        .to_be_bytes();
    let parts = leaves.iter().map(|leaf| leaf.as_bytes().as_slice());
    let parts: Vec<&[u8]> = std::iter::once(count.as_slice()).chain(parts).collect();
    keys::digest(Domain::DisclosureNode, &parts)
}

impl LoggedDisclosure {
    /// Its leaf under the subject's root of the period.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        keys::digest(
            Domain::DisclosureLeaf,
            &[&self.salt, &codec::to_vec(&self.disclosure)],
        )
    }
}

fn entropy_salt(entropy: &mut impl Entropy) -> [u8; 32] {
    let mut salt = [0; 32];
    entropy.fill(&mut salt);
    salt
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosure")
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LoggedDisclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedDisclosure")
            .field("disclosure", &self.disclosure)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}
