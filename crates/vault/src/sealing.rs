//! Rows sealed in their place.
//!
//! Every ciphertext's associated data is
//! domain, custodian, table name and row key (each with its length), and the row key holds subject,
//! record, version and part. A row that turns up under another key, table, subject or custodian does
//! not open.
//!
//! The keys here are derived once, when a compartment is opened, and wiped when dropped.

use crate::Error;
use crate::consents::Seen;
use codec::{Decode, Domain, Encode, InstitutionId};
use keys::commitment::Label;
use keys::{Entropy, Secret, Zeroizing};
use store::Table;

/// One sub-key with the domain it seals under.
pub(crate) struct RowKey {
    key: Secret,
    domain: Domain,
}

impl RowKey {
    pub(crate) const fn new(key: Secret, domain: Domain) -> Self {
        Self { key, domain }
    }

    /// Seals a value for its place.
    pub(crate) fn seal<T: Encode + ?Sized>(
        &self,
        custodian: &InstitutionId,
        table: Table,
        row: &[u8],
        value: &T,
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        let plain = Zeroizing::new(codec::to_vec(value));
        self.seal_bytes(custodian, table, row, &plain, entropy)
    }

    /// Opens a value in its place.
    pub(crate) fn open<T: Encode + Decode>(
        &self,
        custodian: &InstitutionId,
        table: Table,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<T, Error> {
        let plain = self.open_bytes(custodian, table, row, sealed)?;
        codec::from_slice(&plain).map_err(|_| damaged(table))
    }

    /// Seals bytes for their place.
    pub(crate) fn seal_bytes(
        &self,
        custodian: &InstitutionId,
        table: Table,
        row: &[u8],
        plain: &[u8],
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        keys::seal(
            &self.key,
            &aad(self.domain, custodian, table, row),
            plain,
            entropy,
        )
    }

    /// Opens bytes in their place.
    pub(crate) fn open_bytes(
        &self,
        custodian: &InstitutionId,
        table: Table,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        keys::open(&self.key, &aad(self.domain, custodian, table, row), sealed)
            .map_err(|_| damaged(table))
    }
}

/// The sub-keys of a compartment key.
pub(crate) struct CompartmentKeys {
    /// Wraps the data keys of records.
    pub(crate) wrap: RowKey,
    /// Seals metadata and answers to client keys.
    pub(crate) index: RowKey,
    /// Seals consent states.
    pub(crate) consent: RowKey,
    /// Blinds client keys.
    pub(crate) client: Secret,
    /// The consent row as it was opened last: every reading needs it twice. It leaves with the keys.
    pub(crate) consent_seen: Seen,
}

impl CompartmentKeys {
    pub(crate) fn derive(key: &Secret) -> Self {
        let sub = |info: &[u8]| key.derive(Domain::CompartmentKey, info);
        Self {
            wrap: RowKey::new(sub(b"wrap"), Domain::RecordKeyWrap),
            index: RowKey::new(sub(b"index"), Domain::IndexSeal),
            consent: RowKey::new(sub(b"consent"), Domain::ConsentSeal),
            client: sub(b"client"),
            consent_seen: Seen::default(),
        }
    }
}

/// The sub-keys of a version's data key.
pub(crate) struct DataKeys {
    /// Seals the stored form.
    pub(crate) seal: RowKey,
    salts: Secret,
}

impl DataKeys {
    pub(crate) fn derive(key: &Secret) -> Self {
        Self {
            seal: RowKey::new(key.derive(Domain::RecordSeal, &[]), Domain::RecordSeal),
            salts: key.derive(Domain::RecordSalt, &[]),
        }
    }

    /// The salt of a leaf of this version's commitment. It dies with the data key, and one leaf's salt
    /// tells nothing about another's.
    pub(crate) fn salt(&self, label: Label) -> [u8; 32] {
        let code = label.code().to_be_bytes();
        *self.salts.mac(Domain::RecordSalt, &[&code]).as_bytes()
    }
}

/// The sub-keys of an audit key.
pub(crate) struct AuditKeys {
    /// Seals disclosures and the other audit rows.
    pub(crate) rows: RowKey,
    /// Makes the subject's key in the map of a period.
    pub(crate) period: Secret,
}

impl AuditKeys {
    pub(crate) fn derive(key: &Secret) -> Self {
        let sub = |info: &[u8]| key.derive(Domain::AuditKey, info);
        Self {
            rows: RowKey::new(sub(b"rows"), Domain::AuditSeal),
            period: sub(b"period"),
        }
    }
}

/// The sub-keys of the node's own key.
pub(crate) struct NodeKeys {
    /// Seals outbox, entries, batches and periods.
    pub(crate) outbox: RowKey,
    /// Seals everything else of the node.
    pub(crate) rows: RowKey,
    /// Blinds client keys of openings.
    pub(crate) client: Secret,
    /// Masks the byte of a record's id that tells its shard.
    pub(crate) hint: Secret,
    /// Keys of studies: pseudonyms and tokens.
    pub(crate) research: Secret,
}

impl NodeKeys {
    pub(crate) fn derive(key: &Secret) -> Self {
        let sub = |info: &[u8]| key.derive(Domain::RootKey, info);
        Self {
            outbox: RowKey::new(sub(b"outbox"), Domain::OutboxSeal),
            rows: RowKey::new(sub(b"rows"), Domain::NodeSeal),
            client: sub(b"client"),
            hint: sub(b"hint"),
            research: sub(b"research"),
        }
    }
}

/// The sub-keys of a shard's index key, of one generation.
pub(crate) struct PostingKeys {
    /// Seals postings.
    pub(crate) seal: RowKey,
    /// Blinds tokens and the names of postings.
    pub(crate) blind: Secret,
}

impl PostingKeys {
    pub(crate) fn derive(key: &Secret) -> Self {
        let sub = |info: &[u8]| key.derive(Domain::IndexKey, info);
        Self {
            seal: RowKey::new(sub(b"posting"), Domain::PostingSeal),
            blind: sub(b"token"),
        }
    }
}

pub(crate) const fn damaged(table: Table) -> Error {
    Error::Damaged {
        table: table.name(),
    }
}

/// A value behind its length, filled up with zeros to a multiple of so many bytes.
pub(crate) fn padded(value: &[u8], to: usize) -> Zeroizing<Vec<u8>> {
    // A value is at most a few megabytes.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
    let size = (length.len() + value.len()).next_multiple_of(to);
    let mut padded = Zeroizing::new(Vec::with_capacity(size));
    padded.extend_from_slice(&length);
    padded.extend_from_slice(value);
    padded.resize(size, 0);
    padded
}

pub(crate) fn unpadded(padded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, rest) = padded.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some(Zeroizing::new(rest.get(..length)?.to_vec()))
}

fn aad(domain: Domain, custodian: &InstitutionId, table: Table, row: &[u8]) -> Vec<u8> {
    keys::aad(
        domain,
        &[custodian.as_bytes(), table.name().as_bytes(), row],
    )
}
