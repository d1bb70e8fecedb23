//! Transactions: compartments opened, records put in, rows of the node changed and notes made, of any number of
//! subjects, all or nothing.
//!
//! One atomic batch. What must not be there yet is an expectation of it, as for a single put.

use crate::Error;
use crate::consents::CompartmentOpen;
use crate::custody::KeyKind;
use crate::node_rows::NodeRow;
use crate::notes::NewNote;
use crate::record::{PutRecord, RecordPut};
use crate::sealing::CompartmentKeys;
use crate::vault::{ATTEMPTS, Vault, is_conflict};
use codec::{Millis, SubjectId};
use keys::Entropy;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use store::{Batch, Store};

/// What happens together or not at all.
#[derive(Clone, Default)]
pub struct Transaction {
    /// Compartments to open, without client keys, each subject once.
    pub opens: Vec<CompartmentOpen>,
    /// Records to put in, without client keys, each subject once.
    pub puts: Vec<RecordPut>,
    /// Rows of the node to change, each once.
    pub rows: Vec<NodeRow>,
    /// What is noted of subjects, of those above or of others.
    pub notes: Vec<NewNote>,
}

impl<S: Store> Vault<S> {
    /// Does all of a transaction or nothing, durable when it returns: the answers to the puts, in their order.
    ///
    /// # Errors
    /// [`Conflict::OtherBytes`](crate::Conflict::OtherBytes) and [`Conflict::Version`](crate::Conflict::Version)
    /// for the first record that is not as it was expected, [`Conflict::Done`](crate::Conflict::Done) for a row
    /// that is not; otherwise as [`Vault::record_put`] and
    /// [`Vault::compartment_open`].
    pub async fn transact(
        &self,
        transaction: &Transaction,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<Vec<PutRecord>>, Error> {
        transaction.check()?;
        let records = transaction.puts.iter().map(|put| put.records.len()).sum();
        let mut outbox = self.inner().outbox.take(records)?;
        let mut entries = self.inner().entries.take(transaction.opens.len())?;
        let mut opened = BTreeMap::new();
        for open in &transaction.opens {
            let subject = open.state.subject;
            if self.opened_before(open, None).await?.is_some() {
                return Err(crate::Conflict::SubjectOpen.into());
            }
            // Keys first, as for a single opening.
            let keychain = &self.inner().keychain;
            let (key, _) =
                keychain.key_ensure(KeyKind::Compartment, &subject, now.get(), entropy)?;
            keychain.key_ensure(KeyKind::Audit, &subject, now.get(), entropy)?;
            opened.insert(subject, Arc::new(CompartmentKeys::derive(&key)));
        }
        for _ in 0..ATTEMPTS {
            let (batch, answers) = self.drafted(transaction, &opened, now, entropy).await?;
            match self.commit(batch).await {
                Ok(()) => {
                    outbox.keep();
                    entries.keep();
                    return Ok(answers);
                }
                Err(error) if is_conflict(&error) => {
                    for put in &transaction.puts {
                        self.expected(put).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy)
    }

    async fn drafted(
        &self,
        transaction: &Transaction,
        opened: &BTreeMap<SubjectId, Arc<CompartmentKeys>>,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(Batch, Vec<Vec<PutRecord>>), Error> {
        let mut batch = Batch::new().deferrable();
        for open in &transaction.opens {
            let keys = opened.get(&open.state.subject).ok_or(Error::KeyLost)?;
            batch = batch.and(self.opening_batch(open, None, keys, now, entropy));
        }
        let mut answers = Vec::with_capacity(transaction.puts.len());
        for put in &transaction.puts {
            let compartment = self.opened_or_there(opened, &put.subject).await?;
            let draft = self
                .put_draft(put, &compartment, None, now, entropy)
                .await?;
            let Some(draft) = draft else {
                self.expected(put).await?;
                return Err(Error::Busy);
            };
            batch = batch.and(draft.batch);
            answers.push(draft.records);
        }
        for row in &transaction.rows {
            batch = batch.and(self.node_row_batch(row, entropy).await?);
        }
        for note in &transaction.notes {
            let compartment = self.opened_or_there(opened, &note.subject).await?;
            batch = self.noted(batch, note, &compartment, entropy)?;
        }
        Ok((batch, answers))
    }

    async fn opened_or_there(
        &self,
        opened: &BTreeMap<SubjectId, Arc<CompartmentKeys>>,
        subject: &SubjectId,
    ) -> Result<Arc<CompartmentKeys>, Error> {
        match opened.get(subject) {
            Some(opened) => Ok(Arc::clone(opened)),
            None => self.compartment(subject).await,
        }
    }

    /// Refuses a put of which a record is not at the version that it expects.
    async fn expected(&self, put: &RecordPut) -> Result<(), Error> {
        for new in &put.records {
            if self.latest_version(&put.subject, &new.record).await? != new.expect_version {
                return Err(self.put_conflict(&put.subject, new).await?);
            }
        }
        Ok(())
    }
}

impl Transaction {
    fn check(&self) -> Result<(), Error> {
        let opened: BTreeSet<SubjectId> = self.opens.iter().map(|o| o.state.subject).collect();
        let put: BTreeSet<SubjectId> = self.puts.iter().map(|put| put.subject).collect();
        if opened.len() < self.opens.len() || put.len() < self.puts.len() {
            return Err(Error::invalid("transaction", "it has each subject once"));
        }
        let rows: BTreeSet<&[u8]> = self.rows.iter().map(|row| row.name.as_slice()).collect();
        if rows.len() < self.rows.len() {
            return Err(Error::invalid("transaction", "it has each row once"));
        }
        let keyed = self.opens.iter().any(|open| open.client.is_some())
            || self.puts.iter().any(|put| put.client.is_some());
        if keyed {
            return Err(Error::invalid("transaction", "it takes no client keys"));
        }
        for open in &self.opens {
            open.signed.check()?;
        }
        self.puts.iter().try_for_each(RecordPut::check)
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Transaction({} opened, {} put, {} rows, {} notes)",
            self.opens.len(),
            self.puts.len(),
            self.rows.len(),
            self.notes.len()
        )
    }
}
