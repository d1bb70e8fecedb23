//! Records: metadata and content, opened.
//!
//! Metadata opens under the compartment key; content only under the record's data key. A projection is
//! made again from the stored form by the rule that is in its leaf, so that what is not asked for never
//! leaves here. Every part is hashed again and compared with what was committed: a rule that gives other
//! bytes than it did is damage, not an answer.

use crate::Error;
use crate::layout::{INDEX, RECORDS, record_prefix, version_key, version_of};
use crate::projector::Form;
use crate::sealing::{CompartmentKeys, DataKeys, damaged};
use crate::vault::Vault;
use codec::{Category, Digest, Millis, RecordId, SubjectId, record};
use keys::commitment::{self, Label};
use keys::{Secret, Zeroizing};
use std::collections::BTreeSet;
use std::fmt;
use store::{Range, Store};

record! {
    /// The value of an index row.
    pub(crate) struct SealedMeta {
        1 => pub(crate) wrapped: Vec<u8>,
        2 => pub(crate) meta: Vec<u8>,
    }
}

record! {
    /// What is kept about a version.
    pub(crate) struct Meta {
        1 => pub(crate) kind: String,
        2 => pub(crate) deposited: Millis,
        3 => pub(crate) received: Option<Digest>,
        4 => pub(crate) commitment: Digest,
        5 => pub(crate) parts: Vec<PartMeta>,
        6 => pub(crate) provenance: Vec<u8>,
        7 => pub(crate) tokens: Vec<Vec<u8>>,
        8 => pub(crate) media_type: String,
    }
}

record! {
    /// What is known of a part without opening it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PartMeta {
        /// Stored form, or the projection in a category.
        1 => pub label: Label,
        /// Version of the rule that made it; 0 for the stored form.
        2 => pub rule_version: u16,
        /// Its size.
        3 => pub size_bytes: u64,
        /// Its leaf in the record's commitment.
        4 => pub leaf: Digest,
    }
}

/// About a version of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordMeta {
    /// The record.
    pub record: RecordId,
    /// The version, from 1.
    pub version: u32,
    /// What it is.
    pub kind: String,
    /// How the stored form is written.
    pub media_type: String,
    /// When it was put in.
    pub deposited: Millis,
    /// What the ledger holds of it.
    pub commitment: Digest,
    /// Its parts in the order of the leaves: the stored form, then projections by category.
    pub parts: Vec<PartMeta>,
    /// Where it came from, as the caller encoded it.
    pub provenance: Zeroizing<Vec<u8>>,
}

/// Which parts to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The stored form and every projection.
    All,
    /// The stored form.
    Stored,
    /// The projections in these categories, as far as there are any.
    Projections(BTreeSet<Category>),
}

/// An opened version of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// About it.
    pub meta: RecordMeta,
    /// The parts asked for.
    pub parts: Vec<OpenedPart>,
}

/// An opened part.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedPart {
    /// Stored form or projection.
    pub label: Label,
    /// Version of the rule that made it.
    pub rule_version: u16,
    /// The salt of its leaf: what a recipient needs to check it.
    pub salt: [u8; 32],
    body: Zeroizing<Vec<u8>>,
}

impl<S: Store> Vault<S> {
    /// A version of a record (the latest if none is named), with the parts asked for opened.
    ///
    /// # Errors
    /// [`Error::RecordUnknown`], [`Error::VersionUnknown`], [`Error::SubjectErased`],
    /// [`Error::Damaged`].
    pub async fn record_get(
        &self,
        subject: &SubjectId,
        record: &RecordId,
        version: Option<u32>,
        parts: &Parts,
    ) -> Result<Opened, Error> {
        let compartment = self.compartment(subject).await?;
        let latest = match version {
            Some(version) => version,
            None => self.latest_version(subject, record).await?,
        };
        if latest == 0 {
            return Err(Error::RecordUnknown(*record));
        }
        let row = version_key(subject, record, latest);
        let Some(value) = self.get(INDEX, &row).await? else {
            return Err(self.missing(subject, record, latest).await?);
        };
        let (meta, data_keys) = self.version_open(&compartment, &row, &value)?;
        let custodian = &self.inner().settings.custodian;
        let wanted: Vec<&PartMeta> = meta
            .parts
            .iter()
            .filter(|part| parts.covers(part.label))
            .collect();
        let opened = if wanted.is_empty() {
            Vec::new()
        } else {
            let sealed = self.get(RECORDS, &row).await?.ok_or(damaged(RECORDS))?;
            let stored = data_keys
                .seal
                .open_bytes(custodian, RECORDS, &row, &sealed)?;
            self.parts_open(&meta, &wanted, stored, &data_keys)?
        };
        Ok(Opened {
            meta: meta.shown(*record, latest),
            parts: opened,
        })
    }

    /// The parts asked for, made from the stored form and checked against what was committed.
    fn parts_open(
        &self,
        meta: &Meta,
        wanted: &[&PartMeta],
        stored: Zeroizing<Vec<u8>>,
        data_keys: &DataKeys,
    ) -> Result<Vec<OpenedPart>, Error> {
        let rules: Vec<(Category, u16)> = wanted
            .iter()
            .filter_map(|part| match part.label {
                Label::Stored => None,
                Label::Projection(category) => Some((category, part.rule_version)),
            })
            .collect();
        let form = Form {
            kind: &meta.kind,
            media_type: &meta.media_type,
            bytes: &stored,
        };
        let made = if rules.is_empty() {
            Vec::new()
        } else {
            let projector = &self.inner().settings.projector;
            projector.project(&form, &rules).ok_or(damaged(RECORDS))?
        };
        let (mut made, mut stored) = (made.into_iter(), Some(stored));
        let opened = wanted.iter().map(|part| {
            let body = match part.label {
                Label::Stored => stored.take(),
                Label::Projection(_) => made.next(),
            };
            let body = body.ok_or(damaged(RECORDS))?;
            let salt = data_keys.salt(part.label);
            if !part.matches(&salt, &body) {
                return Err(damaged(RECORDS));
            }
            Ok(OpenedPart {
                label: part.label,
                rule_version: part.rule_version,
                salt,
                body,
            })
        });
        opened.collect()
    }

    /// About a version of a record (the latest if none is named).
    ///
    /// # Errors
    /// As [`Vault::record_get`].
    pub async fn record_meta(
        &self,
        subject: &SubjectId,
        record: &RecordId,
        version: Option<u32>,
    ) -> Result<RecordMeta, Error> {
        let none = Parts::Projections(BTreeSet::new());
        let opened = self.record_get(subject, record, version, &none).await?;
        Ok(opened.meta)
    }

    /// Up to `limit` versions of a subject's records (or of one record), in the order of record and
    /// version, after `after`.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn record_list(
        &self,
        subject: &SubjectId,
        record: Option<&RecordId>,
        after: Option<(RecordId, u32)>,
        limit: usize,
    ) -> Result<Vec<RecordMeta>, Error> {
        let compartment = self.compartment(subject).await?;
        let mut range = match record {
            Some(record) => Range::prefix(record_prefix(subject, record)),
            None => Range::prefix(subject.as_bytes()),
        };
        if let Some((record, version)) = after {
            range = range.after(version_key(subject, &record, version));
        }
        let rows = self.page(INDEX, range, limit).await?;
        let opened = rows.iter().map(|(key, value)| {
            let (record, version) = version_of(key).ok_or(damaged(INDEX))?;
            let meta = self.meta_open(&compartment, key, value)?;
            Ok(meta.shown(record, version))
        });
        opened.collect()
    }

    /// How many versions of records a subject has.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn record_count(&self, subject: &SubjectId) -> Result<usize, Error> {
        self.count(INDEX, Range::prefix(subject.as_bytes())).await
    }

    pub(crate) async fn meta(
        &self,
        compartment: &CompartmentKeys,
        subject: &SubjectId,
        record: &RecordId,
        version: u32,
    ) -> Result<Option<Meta>, Error> {
        let row = version_key(subject, record, version);
        match self.get(INDEX, &row).await? {
            Some(value) => self.meta_open(compartment, &row, &value).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn meta_open(
        &self,
        compartment: &CompartmentKeys,
        row: &[u8],
        value: &[u8],
    ) -> Result<Meta, Error> {
        let sealed: SealedMeta = codec::from_slice(value).map_err(|_| damaged(INDEX))?;
        let custodian = &self.inner().settings.custodian;
        compartment.index.open(custodian, INDEX, row, &sealed.meta)
    }

    /// What is kept about a version, and the keys to its content.
    pub(crate) fn version_open(
        &self,
        compartment: &CompartmentKeys,
        row: &[u8],
        value: &[u8],
    ) -> Result<(Meta, DataKeys), Error> {
        let sealed: SealedMeta = codec::from_slice(value).map_err(|_| damaged(INDEX))?;
        let custodian = &self.inner().settings.custodian;
        let meta = compartment
            .index
            .open(custodian, INDEX, row, &sealed.meta)?;
        let data_key = compartment
            .wrap
            .open_bytes(custodian, INDEX, row, &sealed.wrapped)?;
        let data_key: [u8; 32] = data_key.as_slice().try_into().map_err(|_| damaged(INDEX))?;
        Ok((meta, DataKeys::derive(&Secret::from_bytes(data_key))))
    }

    async fn missing(
        &self,
        subject: &SubjectId,
        record: &RecordId,
        version: u32,
    ) -> Result<Error, Error> {
        let record = *record;
        Ok(match self.latest_version(subject, &record).await? {
            0 => Error::RecordUnknown(record),
            _ => Error::VersionUnknown { record, version },
        })
    }
}

impl Parts {
    fn covers(&self, label: Label) -> bool {
        match (self, label) {
            (Self::All, _) | (Self::Stored, Label::Stored) => true,
            (Self::Projections(categories), Label::Projection(category)) => {
                categories.contains(&category)
            }
            _ => false,
        }
    }
}

impl Meta {
    fn shown(self, record: RecordId, version: u32) -> RecordMeta {
        RecordMeta {
            record,
            version,
            kind: self.kind,
            media_type: self.media_type,
            deposited: self.deposited,
            commitment: self.commitment,
            parts: self.parts,
            provenance: Zeroizing::new(self.provenance),
        }
    }
}

impl RecordMeta {
    /// The categories it has a projection in.
    #[must_use]
    pub fn categories(&self) -> BTreeSet<Category> {
        let labels = self.parts.iter().map(|part| part.label);
        labels
            .filter_map(|label| match label {
                Label::Stored => None,
                Label::Projection(category) => Some(category),
            })
            .collect()
    }

    /// Size of the stored form.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let stored = self.parts.iter().find(|part| part.label == Label::Stored);
        stored.map_or(0, |part| part.size_bytes)
    }

    /// The leaves of its commitment.
    #[must_use]
    pub fn leaves(&self) -> Vec<Digest> {
        self.parts.iter().map(|part| part.leaf).collect()
    }

    /// Position and path of a part's leaf in the commitment.
    #[must_use]
    pub fn leaf_path(&self, label: Label) -> Option<(usize, Vec<Digest>)> {
        let index = self.parts.iter().position(|part| part.label == label)?;
        Some((index, commitment::path(&self.leaves(), index)?))
    }
}

impl OpenedPart {
    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The content, taken over.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.body
    }
}

impl Opened {
    /// The stored form, if it was asked for.
    #[must_use]
    pub fn stored_form(&self) -> Option<&OpenedPart> {
        self.parts.iter().find(|part| part.label == Label::Stored)
    }

    /// The projection in a category, if it was asked for and there is one.
    #[must_use]
    pub fn projection(&self, category: Category) -> Option<&OpenedPart> {
        let label = Label::Projection(category);
        self.parts.iter().find(|part| part.label == label)
    }
}

impl fmt::Debug for RecordMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordMeta")
            .field("record", &self.record)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedPart")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
