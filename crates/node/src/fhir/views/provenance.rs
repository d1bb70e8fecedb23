//! `Provenance` of every version of a resource: who wrote it, and the ledger's receipt once it is final.
//!
//! It is read like the version itself: decided, and disclosed as a read of that record. Its receipt opens no
//! leaf.

use super::{Made, PROVENANCE};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::open::{Reading, settled};
use crate::fhir::place::local;
use crate::fhir::read::unknown;
use crate::fhir::{FhirRead, FhirReadDone, FhirResource, FhirSearch};
use crate::record::Content;
use crate::record::deposit::Origin;
use crate::record::form::record_term;
use ::fhir::Parsed;
use ::fhir::search::Query;
use codec::id::RecordId;
use consent::{PractitionerAt, Role};
use mirror::{Activity, Author, ReceiptState, Written, provenance};
use store::Store;
use vault::Posting;

/// Versions of one resource whose Provenances one search tells.
const VERSIONS_MAX: usize = 1_000;

/// Which write a Provenance is of; its id is `w-<record>-<version>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteId {
    record: RecordId,
    version: u32,
}

impl WriteId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (record, version) = text.strip_prefix("w-")?.split_once('-')?;
        let id = Self {
            record: record.parse().ok()?,
            version: version.parse().ok()?,
        };
        // One spelling for one write.
        (id.version > 0 && id.text() == text).then_some(id)
    }

    fn text(self) -> String {
        format!("w-{}-{}", self.record, self.version)
    }
}

impl<S: Store> Custodian<S> {
    /// The Provenance of a write, if the id is one's.
    pub(crate) async fn provenance_read(
        &self,
        input: &FhirRead,
    ) -> Result<Option<FhirReadDone>, Error> {
        let Some(write) = WriteId::parse(&input.id) else {
            return Ok(None);
        };
        let posting = self.written(write).await?.ok_or_else(unknown)?;
        let (resource, disclosures) = settled!(self, &input.asker, "fhir-read", |reading| {
            reading.refused(&posting.subject).await?;
            let made = self.provenance_of(reading, &posting).await?;
            let current = |made: &FhirResource| input.version.is_none_or(|v| v == made.version);
            made.filter(current).ok_or_else(unknown)
        })?;
        self.counters.fetches.up();
        Ok(Some(FhirReadDone {
            disclosure: disclosures.first().copied(),
            resource,
        }))
    }

    /// The version that a write made.
    async fn written(&self, write: WriteId) -> Result<Option<Posting>, Error> {
        let found = self
            .vault
            .locate(&write.record, &record_term(&write.record))
            .await?;
        let reaches = |posting: &Posting| write.version <= posting.version;
        Ok(found.filter(reaches).map(|posting| Posting {
            version: write.version,
            ..posting
        }))
    }

    /// The Provenances of what a search names by `target` or `_id`, the newest version first.
    pub(super) async fn provenances(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        input: &FhirSearch,
        mark: Option<&str>,
        limit: usize,
    ) -> Result<Made, Error> {
        let mut writes = Vec::new();
        for (name, value) in &input.query {
            let of_type = name.strip_prefix("target:");
            if name == "target" || of_type.is_some() {
                for value in value.split(',') {
                    self.writes_of(reading, of_type, value, &mut writes).await?;
                }
            }
        }
        for id in query.ids().unwrap_or_default() {
            if let Some(write) = WriteId::parse(&id) {
                writes.extend(self.written(write).await?);
            }
        }
        writes.sort_by_key(|posting| (posting.record, std::cmp::Reverse(posting.version)));
        writes.dedup();
        let place = |posting: &Posting| WriteId {
            record: posting.record,
            version: posting.version,
        };
        if let Some(mark) = mark {
            let at = writes.iter().position(|one| place(one).text() == mark);
            let seen = at.map_or(writes.len(), |at| at.saturating_add(1));
            writes.drain(..seen);
        }
        let mut resources: Vec<FhirResource> = Vec::new();
        for posting in writes {
            if resources.len() == limit {
                let next = resources.last().map(|last| last.id.clone());
                return Ok(Made { resources, next });
            }
            if let Some(made) = self.provenance_of(reading, &posting).await?
                && let Some(content) = &made.content
                && let Ok(parsed) = Parsed::parse(content.as_bytes())
                && query.matches(&parsed, made.updated_ms)
            {
                resources.push(made);
            }
        }
        Ok(Made {
            resources,
            next: None,
        })
    }

    /// The versions that a reference means. Who asks about one resource by name is told why nothing of it is
    /// permitted.
    async fn writes_of(
        &self,
        reading: &mut Reading<'_, S>,
        of_type: Option<&str>,
        value: &str,
        into: &mut Vec<Posting>,
    ) -> Result<(), Error> {
        let typed = of_type.map(|of| format!("{of}/{value}"));
        let value = typed.as_deref().unwrap_or(value);
        let Some((kind, id)) = local(value, &reading.asker.base) else {
            return Ok(());
        };
        let place = self.fhir_place(kind, id).await?;
        let Some(place) = place.filter(|place| reading.reaches(&place.subject)) else {
            return Ok(());
        };
        reading.refused(&place.subject).await?;
        let metas = self
            .vault
            .record_list(&place.subject, Some(&place.record), None, VERSIONS_MAX)
            .await?;
        let named = value.split_once("/_history/");
        let named = named.and_then(|(_, version)| version.parse::<u32>().ok());
        into.extend(
            metas
                .iter()
                .filter(|meta| named.is_none_or(|version| version == meta.version))
                .map(|meta| Posting {
                    version: meta.version,
                    ..place.posting()
                }),
        );
        Ok(())
    }

    /// The Provenance of a version, if anything of the version is permitted.
    async fn provenance_of(
        &self,
        reading: &mut Reading<'_, S>,
        posting: &Posting,
    ) -> Result<Option<FhirResource>, Error> {
        let Some(opened) = reading.open_by_consent(posting).await? else {
            return Ok(None);
        };
        if opened.is_deleted && reading.before_deletion(posting).await?.is_none() {
            return Ok(None);
        }
        let meta = self
            .vault
            .record_meta(&posting.subject, &posting.record, Some(posting.version))
            .await?;
        let origin: Origin = codec::from_slice(&meta.provenance)
            .map_err(|_| Error::Damaged("where a record came from".to_owned()))?;
        let place = format!("{}/{}/_history", opened.kind, opened.id());
        let target = format!("{place}/{}", meta.version);
        let before = meta.version.checked_sub(1).filter(|before| *before > 0);
        let before = before.map(|before| format!("{place}/{before}"));
        let receipt = self.receipt_of(&posting.subject, &meta, &[], 0).await?;
        let receipt = receipt.map(|(receipt, placed)| (receipt.encode(), placed.time_ms));
        let write = WriteId {
            record: meta.record,
            version: meta.version,
        };
        let id = write.text();
        let content = provenance(&Written {
            id: &id,
            targets: &[&target],
            at: meta.deposited,
            activity: match (opened.is_deleted, meta.version) {
                (true, _) => Activity::Delete,
                (false, 1) => Activity::Create,
                (false, _) => Activity::Update,
            },
            author: &author(&origin),
            custodian: self.id,
            reason: None,
            revises: before.as_deref(),
            source: None,
            receipt: match &receipt {
                None => ReceiptState::Pending,
                Some((bytes, at)) => ReceiptState::Final {
                    at: codec::Millis::new(*at),
                    bytes,
                },
            },
        });
        let deposited_ms = meta.deposited.get();
        let made = FhirResource {
            kind: PROVENANCE.to_owned(),
            id,
            // Pending, then final: what a client has it can tell from what there is.
            version: if receipt.is_some() { 2 } else { 1 },
            updated_ms: receipt.map_or(deposited_ms, |(_, at)| deposited_ms.max(at)),
            content: Some(Content::new(content)),
            is_subset: false,
        };
        if !super::is_reached(reading.asker, &made) {
            return Ok(None);
        }
        reading.serve(&opened);
        Ok(Some(made))
    }
}

/// Who wrote.
fn author(origin: &Origin) -> Author {
    let actor = &origin.actor;
    let device = actor.practitioner.as_str().parse();
    match device {
        Ok(device) if actor.roles.contains(&Role::Device) => Author::Device(device),
        _ => Author::Practitioner(PractitionerAt {
            institution: actor.institution,
            practitioner: actor.practitioner.clone(),
        }),
    }
}
