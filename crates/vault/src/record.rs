//! Records: putting versions in, once.
//!
//! A put of one or more records of a subject is one atomic batch: sealed stored forms, sealed metadata,
//! postings, the answer kept under the client's key, and a place in the outbox for each commitment.
//! Projections are committed to but not kept: they are made again from the stored form.
//! What must not be there yet is an expectation of the batch, so that no row is read first: only when
//! an expectation fails is it found out why, and whether the same bytes were there already.

use crate::derived::due;
use crate::layout::{
    ERASURES, IDEMPOTENCY, INDEX, OUTBOX, RECORDS, join, queue_key, record_prefix, version_key,
    version_of,
};
use crate::node_rows::NodeRow;
use crate::notes::NewNote;
use crate::outbox::QueuedRow;
use crate::postings::Posting;
use crate::record_meta::{Meta, PartMeta, SealedMeta};
use crate::sealing::{CompartmentKeys, DataKeys};
use crate::vault::{ATTEMPTS, Vault, is_conflict};
use crate::{Conflict, Error};
use codec::{Category, Digest, Domain, Millis, RecordId, SubjectId, record};
use keys::commitment::{self, Label, Leaf};
use keys::{Entropy, Secret, Zeroizing};
use std::collections::BTreeSet;
use std::fmt;
use store::{Batch, Expect, Range, Store};

/// The most records of one put.
pub const PUT_MAX_RECORDS: usize = 2_000;
/// The most bytes of one put's stored forms and projections.
pub const PUT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most index tokens of a record.
pub const MAX_TOKENS: usize = 4_096;
/// The longest client key and index token, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// The longest kind and media type, in bytes.
pub const MAX_KIND_BYTES: usize = 128;

/// Versions of records of one subject, to be put in together.
#[derive(Clone)]
pub struct RecordPut {
    /// Whose.
    pub subject: SubjectId,
    /// The source's own key for this put, if it has one.
    pub client: Option<ClientKey>,
    /// 1 to [`PUT_MAX_RECORDS`] records, each once.
    pub records: Vec<NewRecord>,
}

/// The source's own key for something it sends, so that sending it again changes nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// At most [`MAX_KEY_BYTES`] bytes.
    pub key: Vec<u8>,
    /// Digest of what the source sent: the same key with another digest is a conflict.
    pub received: Digest,
}

/// A version of a record.
#[derive(Clone)]
pub struct NewRecord {
    /// Which record.
    pub record: RecordId,
    /// The latest version there is; 0: the record must not exist. The new one is one more.
    pub expect_version: u32,
    /// What it is, at most [`MAX_KIND_BYTES`] bytes.
    pub kind: String,
    /// How the stored form is written, at most [`MAX_KIND_BYTES`] bytes.
    pub media_type: String,
    /// Digest of what the source sent for it, which decides whether a repetition is the same; none if
    /// that is the stored form.
    pub received: Option<Digest>,
    /// The bytes that are committed and served verbatim.
    pub stored_form: Zeroizing<Vec<u8>>,
    /// At most one for each category: what the vault's projector makes of the stored form. Committed
    /// to, not kept.
    pub projections: Vec<Projection>,
    /// Where it came from, in an encoding of the caller's.
    pub provenance: Zeroizing<Vec<u8>>,
    /// What it is to be found by across subjects; each at most [`MAX_KEY_BYTES`] bytes.
    pub tokens: BTreeSet<Vec<u8>>,
}

/// The part of a record in one category.
#[derive(Clone, PartialEq, Eq)]
pub struct Projection {
    /// The category.
    pub category: Category,
    /// Version of the rule that made it.
    pub rule_version: u16,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The answer to a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// One for each record, in the order of the put.
    pub records: Vec<PutRecord>,
    /// Whether this call wrote them; `false`: the same bytes were there already.
    pub created: bool,
}

record! {
    /// A version that is durable.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PutRecord {
        /// The record.
        1 => pub record: RecordId,
        /// The version, from 1.
        2 => pub version: u32,
        /// What the ledger will hold.
        3 => pub commitment: Digest,
        /// When it was put in.
        4 => pub deposited: Millis,
    }
}

record! {
    /// What a put answered under a client key.
    struct Answered {
        1 => received: Digest,
        2 => records: Vec<PutRecord>,
    }
}

/// A put while it is made.
pub(crate) struct Draft {
    pub(crate) batch: Batch,
    pub(crate) records: Vec<PutRecord>,
}

impl<S: Store> Vault<S> {
    /// Puts versions of records in: all of them or none, durable when it returns.
    ///
    /// The same client key with the same bytes, or the same records with the same bytes, gives the
    /// first answer again.
    ///
    /// # Errors
    /// [`Conflict::OtherBytes`], [`Conflict::Version`]; [`Error::SubjectUnknown`],
    /// [`Error::SubjectErased`]; [`Error::Full`] while the outbox is; [`Error::Invalid`].
    pub async fn record_put(
        &self,
        put: &RecordPut,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Put, Error> {
        self.record_put_with(put, &[], &[], now, entropy).await
    }

    /// The same, with changes of rows of the node and notes about the subject in the same batch: of an answer that
    /// is given again, none is done.
    ///
    /// # Errors
    /// As [`Vault::record_put`]; [`Conflict::Done`] for a row that is not as it was expected.
    pub async fn record_put_with(
        &self,
        put: &RecordPut,
        rows: &[NodeRow],
        notes: &[NewNote],
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Put, Error> {
        put.check()?;
        if notes.iter().any(|note| note.subject != put.subject) {
            return Err(Error::invalid(
                "notes",
                "they are of the subject of the put",
            ));
        }
        let compartment = self.compartment(&put.subject).await?;
        let client_row = put
            .client
            .as_ref()
            .map(|client| client_row(&compartment, &put.subject, &client.key));
        // Only a full outbox makes the order of these two matter: a repetition is still answered.
        let mut quota = match self.inner().outbox.take(put.records.len()) {
            Ok(quota) => quota,
            Err(full) => {
                let answer = self.put_answered(put, &compartment, client_row.as_deref());
                return answer.await?.ok_or(full);
            }
        };
        for _ in 0..ATTEMPTS {
            let draft = self
                .put_draft(put, &compartment, client_row.as_deref(), now, entropy)
                .await?;
            let Draft { mut batch, records } = match draft {
                Some(draft) => draft,
                None => {
                    let answer = self.put_answered(put, &compartment, client_row.as_deref());
                    return answer.await?.ok_or(Error::Busy);
                }
            };
            for row in rows {
                batch = batch.and(self.node_row_batch(row, entropy).await?);
            }
            for note in notes {
                batch = self.noted(batch, note, &compartment, entropy)?;
            }
            match self.commit(batch).await {
                Ok(()) => {
                    quota.keep();
                    let created = true;
                    return Ok(Put { records, created });
                }
                Err(error) if is_conflict(&error) => {}
                // As above: a repetition is still answered.
                Err(full @ Error::Store(store::Error::Full)) => {
                    let answer = self.put_answered(put, &compartment, client_row.as_deref());
                    return answer.await?.ok_or(full);
                }
                Err(error) => return Err(error),
            }
            let answer = self.put_answered(put, &compartment, client_row.as_deref());
            if let Some(answer) = answer.await? {
                return Ok(answer);
            }
        }
        Err(Error::Busy)
    }

    /// Seals a put; `None` if a version it builds on is not there.
    pub(crate) async fn put_draft(
        &self,
        put: &RecordPut,
        compartment: &CompartmentKeys,
        client_row: Option<&[u8]>,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Option<Draft>, Error> {
        let mut draft = Draft {
            // On a disk that runs full, new records wait and the traces of reading go on.
            batch: Batch::new().deferrable().expect(
                ERASURES,
                put.subject.as_bytes(),
                Expect::Absent,
            ),
            records: Vec::with_capacity(put.records.len()),
        };
        draft.batch = due(draft.batch, &put.subject, entropy);
        let shard = self.shard_of(&put.subject).await?;
        let mut posted = false;
        for new in &put.records {
            let mut old_tokens = Vec::new();
            if new.expect_version > 0 {
                let old = self
                    .meta(compartment, &put.subject, &new.record, new.expect_version)
                    .await?;
                match old {
                    Some(old) => old_tokens = old.tokens,
                    None => return Ok(None),
                }
            }
            draft = self.put_one(draft, put.subject, new, compartment, now, entropy)?;
            posted |= !old_tokens.is_empty() || !new.tokens.is_empty();
            let posting = Posting {
                subject: put.subject,
                record: new.record,
                version: new.expect_version.saturating_add(1),
            };
            for token in &old_tokens {
                draft.batch = shard.forget(draft.batch, &posting, token);
            }
            for token in &new.tokens {
                draft.batch = shard.post(draft.batch, &posting, token, entropy);
            }
        }
        if posted {
            draft.batch = shard.expect(draft.batch);
        }
        if let (Some(row), Some(client)) = (client_row, &put.client) {
            let answered = Answered {
                received: client.received,
                records: draft.records.clone(),
            };
            let custodian = &self.inner().settings.custodian;
            let sealed = compartment
                .index
                .seal(custodian, IDEMPOTENCY, row, &answered, entropy);
            draft.batch =
                draft
                    .batch
                    .expect(IDEMPOTENCY, row, Expect::Absent)
                    .put(IDEMPOTENCY, row, sealed);
        }
        Ok(Some(draft))
    }

    /// Seals one record into a draft.
    fn put_one(
        &self,
        mut draft: Draft,
        subject: SubjectId,
        new: &NewRecord,
        compartment: &CompartmentKeys,
        now: Millis,
        entropy: &mut impl Entropy,
    ) -> Result<Draft, Error> {
        let custodian = &self.inner().settings.custodian;
        let version = new.expect_version.checked_add(1).ok_or(Error::invalid(
            "expect_version",
            "there are no more versions",
        ))?;
        let row = version_key(&subject, &new.record, version);
        let data_key = Secret::generate(entropy);
        let wrapped =
            compartment
                .wrap
                .seal_bytes(custodian, INDEX, &row, data_key.expose(), entropy);
        let data_keys = DataKeys::derive(&data_key);
        let sealed = data_keys
            .seal
            .seal_bytes(custodian, RECORDS, &row, &new.stored_form, entropy);
        let parts: Vec<PartMeta> = new
            .parts()
            .map(|(label, rule_version, bytes)| {
                PartMeta::of(label, rule_version, &data_keys.salt(label), bytes)
            })
            .collect();
        let leaves: Vec<Digest> = parts.iter().map(|part| part.leaf).collect();
        let answer = PutRecord {
            record: new.record,
            version,
            commitment: commitment::root(&leaves),
            deposited: now,
        };
        let meta = Meta {
            kind: new.kind.clone(),
            deposited: now,
            received: new.received,
            commitment: answer.commitment,
            parts,
            provenance: new.provenance.to_vec(),
            tokens: new.tokens.iter().cloned().collect(),
            media_type: new.media_type.clone(),
        };
        let meta = SealedMeta {
            wrapped,
            meta: compartment
                .index
                .seal(custodian, INDEX, &row, &meta, entropy),
        };
        let queued = QueuedRow {
            subject,
            record: new.record,
            version,
            commitment: answer.commitment,
        };
        let queue = queue_key(now.get(), answer.commitment.as_bytes());
        let queued = self.outbox_seal(&queue, &queued, entropy);
        draft.batch = draft
            .batch
            .expect(INDEX, &row, Expect::Absent)
            .put(INDEX, &row, codec::to_vec(&meta))
            .put(RECORDS, row, sealed)
            .put(OUTBOX, queue, queued);
        draft.records.push(answer);
        Ok(draft)
    }

    /// The answer a put was given before; `None` if nothing of it is there.
    async fn put_answered(
        &self,
        put: &RecordPut,
        compartment: &CompartmentKeys,
        client_row: Option<&[u8]>,
    ) -> Result<Option<Put>, Error> {
        if self.get(ERASURES, put.subject.as_bytes()).await?.is_some() {
            return Err(Error::SubjectErased);
        }
        if let (Some(row), Some(client)) = (client_row, &put.client)
            && let Some(sealed) = self.get(IDEMPOTENCY, row).await?
        {
            let custodian = &self.inner().settings.custodian;
            let answered: Answered =
                compartment
                    .index
                    .open(custodian, IDEMPOTENCY, row, &sealed)?;
            if answered.received == client.received {
                return Ok(Some(Put {
                    records: answered.records,
                    created: false,
                }));
            }
            let record = answered.records.first().map(|first| first.record);
            let record = record.unwrap_or(RecordId::new([0; 16]));
            let version = self.latest_version(&put.subject, &record).await?;
            return Err(Conflict::OtherBytes { record, version }.into());
        }
        let mut records = Vec::new();
        for new in &put.records {
            let version = new.expect_version.saturating_add(1);
            let row = version_key(&put.subject, &new.record, version);
            let there = match self.get(INDEX, &row).await? {
                Some(value) => Some(self.version_open(compartment, &row, &value)?),
                None => None,
            };
            match there {
                Some((meta, data_keys)) if new.is_what_was_put(&meta, &data_keys) => {
                    records.push(PutRecord {
                        record: new.record,
                        version,
                        commitment: meta.commitment,
                        deposited: meta.deposited,
                    });
                }
                Some(_) => return Err(self.put_conflict(&put.subject, new).await?),
                None if new.expect_version > 0 => {
                    let latest = self.latest_version(&put.subject, &new.record).await?;
                    if latest < new.expect_version {
                        return Err(self.put_conflict(&put.subject, new).await?);
                    }
                }
                None => {}
            }
        }
        if records.len() == put.records.len() {
            let created = false;
            return Ok(Some(Put { records, created }));
        }
        // Some of them but not all: not a repetition of this put.
        match records.first() {
            Some(first) => {
                let record = first.record;
                let version = self.latest_version(&put.subject, &record).await?;
                Err(Conflict::OtherBytes { record, version }.into())
            }
            None => Ok(None),
        }
    }

    pub(crate) async fn put_conflict(
        &self,
        subject: &SubjectId,
        new: &NewRecord,
    ) -> Result<Error, Error> {
        let record = new.record;
        let version = self.latest_version(subject, &record).await?;
        Ok(if new.expect_version == 0 {
            Conflict::OtherBytes { record, version }.into()
        } else {
            Conflict::Version { record, version }.into()
        })
    }

    /// The latest version of a record; 0 if there is none.
    pub(crate) async fn latest_version(
        &self,
        subject: &SubjectId,
        record: &RecordId,
    ) -> Result<u32, Error> {
        let range = Range::prefix(record_prefix(subject, record));
        let last = self.last(INDEX, range).await?;
        Ok(last
            .and_then(|(key, _)| version_of(&key))
            .map_or(0, |(_, version)| version))
    }
}

impl RecordPut {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.records.is_empty() || self.records.len() > PUT_MAX_RECORDS {
            return Err(Error::invalid("records", "a put has 1 to 2000 records"));
        }
        let distinct: BTreeSet<RecordId> = self.records.iter().map(|new| new.record).collect();
        if distinct.len() < self.records.len() {
            return Err(Error::invalid("records", "a put has each record once"));
        }
        if let Some(client) = &self.client {
            client.check()?;
        }
        let mut size_bytes = 0_usize;
        for new in &self.records {
            new.check()?;
            for (_, _, bytes) in new.parts() {
                size_bytes = size_bytes.saturating_add(bytes.len());
            }
        }
        if size_bytes > PUT_MAX_BYTES {
            return Err(Error::invalid("records", "a put has at most 16 MiB"));
        }
        Ok(())
    }
}

impl ClientKey {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.key.is_empty() || self.key.len() > MAX_KEY_BYTES {
            return Err(Error::invalid("client", "a client key has 1 to 256 bytes"));
        }
        Ok(())
    }
}

impl NewRecord {
    /// The stored form and the projections in the order of their categories.
    fn parts(&self) -> impl Iterator<Item = (Label, u16, &[u8])> {
        let mut projections: Vec<&Projection> = self.projections.iter().collect();
        projections.sort_by_key(|projection| projection.category);
        let stored = (Label::Stored, 0, self.stored_form.as_slice());
        std::iter::once(stored).chain(projections.into_iter().map(|projection| {
            (
                Label::Projection(projection.category),
                projection.rule_version,
                projection.bytes.as_slice(),
            )
        }))
    }

    /// Whether a version that is there was made of the same bytes.
    fn is_what_was_put(&self, there: &Meta, data_keys: &DataKeys) -> bool {
        match (&self.received, &there.received) {
            (Some(received), Some(before)) => received == before,
            (None, None) => {
                let salt = data_keys.salt(Label::Stored);
                let same = |part: &PartMeta| part.matches(&salt, &self.stored_form);
                (&self.kind, &self.media_type) == (&there.kind, &there.media_type)
                    && there.parts.first().is_some_and(same)
            }
            _ => false,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.kind.is_empty() || self.kind.len() > MAX_KIND_BYTES {
            return Err(Error::invalid("kind", "a kind has 1 to 128 bytes"));
        }
        if self.media_type.len() > MAX_KIND_BYTES {
            return Err(Error::invalid(
                "media_type",
                "a media type has at most 128 bytes",
            ));
        }
        let categories: BTreeSet<Category> = self.projections.iter().map(|p| p.category).collect();
        if categories.len() < self.projections.len() {
            return Err(Error::invalid(
                "projections",
                "a record has one projection for a category",
            ));
        }
        if self.tokens.len() > MAX_TOKENS
            || self.tokens.iter().any(|token| token.len() > MAX_KEY_BYTES)
        {
            return Err(Error::invalid(
                "tokens",
                "a record has at most 4096 tokens of at most 256 bytes",
            ));
        }
        Ok(())
    }
}

impl PartMeta {
    fn of(label: Label, rule_version: u16, salt: &[u8; 32], bytes: &[u8]) -> Self {
        let leaf = Leaf {
            label,
            rule_version,
            salt,
            bytes,
        };
        Self {
            label,
            rule_version,
            // INVARIANT: a put has at most PUT_MAX_BYTES.
            size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            leaf: commitment::leaf_hash(&leaf),
        }
    }

    /// Whether this is the part that was committed.
    pub(crate) fn matches(&self, salt: &[u8; 32], bytes: &[u8]) -> bool {
        Self::of(self.label, self.rule_version, salt, bytes) == *self
    }
}

/// The row under which the answer to a client key is kept.
fn client_row(compartment: &CompartmentKeys, subject: &SubjectId, key: &[u8]) -> Vec<u8> {
    let blind = compartment.client.mac(Domain::IdempotencyKey, &[key]);
    join(&[subject.as_bytes(), blind.as_bytes()])
}

impl fmt::Debug for RecordPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordPut")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(<redacted>)")
    }
}

impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("record", &self.record)
            .field("expect_version", &self.expect_version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection")
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
}
