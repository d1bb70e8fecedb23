//! Tables and row keys.
//!
//! Keys start with the subject id (or, for rows of the node, a time or an id), so that erasure removes
//! a subject's rows by prefix. Numbers are big endian, so that order by key is order by number.

use codec::{DisclosureId, EntryId, RecordId, SubjectId};
use store::Table;

/// subject, record, version -> sealed stored form.
pub(crate) const RECORDS: Table = Table::new("records");
/// subject, record, version -> wrapped data key and sealed metadata.
pub(crate) const INDEX: Table = Table::new("index");
/// subject, blinded client key -> what a put answered.
pub(crate) const IDEMPOTENCY: Table = Table::new("idempotency");
/// blinded client key -> which subject an opening made.
pub(crate) const OPENINGS: Table = Table::new("openings");
/// shard, generation, blind token, blind posting -> sealed posting.
pub(crate) const POSTINGS: Table = Table::new("postings");
/// shard -> generations of its postings.
pub(crate) const INDEX_GENERATIONS: Table = Table::new("index-generations");
/// time, commitment -> a record commitment that waits for a batch.
pub(crate) const OUTBOX: Table = Table::new("outbox");
/// subject, record, version -> batch entry and leaf.
pub(crate) const RECEIPTS: Table = Table::new("receipts");
/// batch entry -> padded leaves.
pub(crate) const BATCHES: Table = Table::new("batches");
/// entry -> a signed entry and where it stands.
pub(crate) const ENTRIES: Table = Table::new("entries");
/// time, entry -> empty: the entries that are not final.
pub(crate) const ENTRY_QUEUE: Table = Table::new("entry-queue");
/// subject -> consent states, finalised and pending.
pub(crate) const CONSENTS: Table = Table::new("consents");
/// subject, sequence -> a consent state that was replaced.
pub(crate) const CONSENT_HISTORY: Table = Table::new("consent-history");
/// subject -> how far an erasure is; stays as a tombstone.
pub(crate) const ERASURES: Table = Table::new("erasures");
/// subject, period, disclosure -> sealed disclosure.
pub(crate) const DISCLOSURES: Table = Table::new("disclosures");
/// period, subject -> empty: who has disclosures in a period.
pub(crate) const PERIOD_SUBJECTS: Table = Table::new("period-subjects");
/// period -> the close of a period.
pub(crate) const PERIODS: Table = Table::new("periods");
/// subject, kind, id -> sealed session, review, notice, hold, delay.
pub(crate) const AUDIT: Table = Table::new("audit");
/// kind, due time, subject, id -> empty: audit rows that somebody must act on.
pub(crate) const WORKLIST: Table = Table::new("worklist");
/// subject -> what the node derives from its records, sealed.
pub(crate) const DERIVED: Table = Table::new("derived");
/// subject, release -> what of the subject a release was made of, sealed.
pub(crate) const RELEASED: Table = Table::new("released");
/// subject -> a random mark: deriving it is due.
pub(crate) const DUE: Table = Table::new("derive-due");
/// subject, random id -> what a write noted for others to be told, sealed.
pub(crate) const NOTED: Table = Table::new("noted");
/// subject, random id -> what waits to be told to one, sealed.
pub(crate) const WAITING: Table = Table::new("waiting");
/// name -> a row of the node.
pub(crate) const NODE: Table = Table::new("node");

/// Tables whose rows die with the compartment, by subject prefix.
pub(crate) const OF_COMPARTMENT: [Table; 11] = [
    DERIVED,
    RELEASED,
    DUE,
    NOTED,
    WAITING,
    RECORDS,
    INDEX,
    IDEMPOTENCY,
    RECEIPTS,
    CONSENT_HISTORY,
    CONSENTS,
];

/// Tables whose rows die with the audit compartment, by subject prefix.
pub(crate) const OF_AUDIT: [Table; 2] = [DISCLOSURES, AUDIT];

/// Parts joined into a key.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn version_key(subject: &SubjectId, record: &RecordId, version: u32) -> Vec<u8> {
    join(&[
        subject.as_bytes(),
        record.as_bytes(),
        &version.to_be_bytes(),
    ])
}

pub(crate) fn record_prefix(subject: &SubjectId, record: &RecordId) -> Vec<u8> {
    join(&[subject.as_bytes(), record.as_bytes()])
}

/// The record and version in a key of [`version_key`].
pub(crate) fn version_of(key: &[u8]) -> Option<(RecordId, u32)> {
    let rest = key.get(SubjectId::LEN..)?;
    let (record, version) = rest.split_at_checked(RecordId::LEN)?;
    Some((
        RecordId::try_from(record).ok()?,
        u32::from_be_bytes(version.try_into().ok()?),
    ))
}

/// A time and an id: a queue in the order of time.
pub(crate) fn queue_key(time_ms: u64, id: &[u8]) -> Vec<u8> {
    join(&[&time_ms.to_be_bytes(), id])
}

/// The entry in a key of the entry queue.
pub(crate) fn queued_entry(key: &[u8]) -> Option<EntryId> {
    EntryId::try_from(key.get(8..)?).ok()
}

pub(crate) fn disclosure_key(subject: &SubjectId, period: u64, id: &DisclosureId) -> Vec<u8> {
    join(&[subject.as_bytes(), &period.to_be_bytes(), id.as_bytes()])
}

/// The period in a key of [`disclosure_key`].
pub(crate) fn disclosure_period(key: &[u8]) -> Option<u64> {
    number_at(key, SubjectId::LEN)
}

pub(crate) fn period_subject_key(period: u64, subject: &SubjectId) -> Vec<u8> {
    join(&[&period.to_be_bytes(), subject.as_bytes()])
}

/// The period and subject in a key of [`period_subject_key`].
pub(crate) fn period_subject(key: &[u8]) -> Option<(u64, SubjectId)> {
    let subject = SubjectId::try_from(key.get(8..)?).ok()?;
    Some((number_at(key, 0)?, subject))
}

/// The eight-byte number at an offset of a key.
pub(crate) fn number_at(key: &[u8], at: usize) -> Option<u64> {
    let bytes = key.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes))
}
