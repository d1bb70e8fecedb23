//! Reading one resource, its versions, and where it is.

use super::open::{Opened, Reading, settled};
use super::place::Place;
use super::search::PAGE_BYTES;
use super::views::{AUDIT_EVENT, CONSENT, PROVENANCE, is_made};
use super::{FhirFound, FhirHistory, FhirPage, FhirRead, FhirReadDone, MAX_PAGE, SUBSCRIPTION};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::form::deleted_term;
use ::fhir::search;
use codec::id::{RecordId, SubjectId};
use store::Store;
use vault::Posting;

/// Records of a type whose versions are looked through for the history of the type.
const HISTORY_RECORDS: usize = 20_000;
/// Versions of one record that are listed.
const HISTORY_VERSIONS: usize = 10_000;

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_read(&self, input: FhirRead) -> Result<FhirReadDone, Error> {
        let made = match input.kind.as_str() {
            PROVENANCE => self.provenance_read(&input).await?,
            AUDIT_EVENT => self.audit_event_read(&input).await?,
            CONSENT => self.consent_made_read(&input).await?,
            SUBSCRIPTION => self.subscription_read(&input).await?,
            _ => None,
        };
        if let Some(made) = made {
            return Ok(made);
        }
        let place = self.fhir_placed(&input.kind, &input.id).await?;
        let posting = Posting {
            subject: place.subject,
            record: place.record,
            version: input.version.unwrap_or(place.version),
        };
        let (resource, disclosures) = settled!(self, &input.asker, "fhir-read", |reading| {
            reading.refused(&posting.subject).await?;
            let opened = reading.open(&posting).await?;
            let mut opened = opened.ok_or_else(unknown)?;
            opened.known_id = Some(input.id.clone());
            reading.serve(&opened);
            Ok(opened.resource())
        })?;
        self.counters.fetches.up();
        if resource.content.is_none() {
            return Err(Error::Deleted);
        }
        let disclosure = disclosures.first().copied();
        Ok(FhirReadDone {
            disclosure: Some(disclosure.ok_or(Error::Internal("a reading that was not logged"))?),
            resource,
        })
    }

    /// Where a resource is, or that there is none.
    pub(crate) async fn fhir_placed(&self, kind: &str, id: &str) -> Result<Place, Error> {
        self.fhir_place(kind, id).await?.ok_or_else(unknown)
    }

    pub(crate) async fn fhir_history(&self, input: FhirHistory) -> Result<FhirPage, Error> {
        if input
            .id
            .as_deref()
            .is_some_and(|id| is_made(&input.kind, id))
        {
            return Err(Error::Unknown(
                "history: what the node itself tells has none; read it without",
            ));
        }
        if input.kind == CONSENT && input.id.is_none() {
            return Err(Error::Unknown(
                "history of all consents; ask for those of one patient",
            ));
        }
        if input.kind == SUBSCRIPTION {
            return Err(Error::Unknown("history of subscriptions; none is kept"));
        }
        let after = match input.after.as_deref() {
            Some(text) => Some(Mark::parse(text)?),
            None => None,
        };
        let (page, _) = settled!(self, &input.asker, "fhir-history", |reading| {
            self.history_page(reading, &input, after.as_ref()).await
        })?;
        Ok(page)
    }

    async fn history_page(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirHistory,
        after: Option<&Mark>,
    ) -> Result<FhirPage, Error> {
        let count = input.count.clamp(1, MAX_PAGE);
        let mut versions = Vec::new();
        match &input.id {
            Some(id) => {
                let place = self.fhir_placed(&input.kind, id).await?;
                reading.refused(&place.subject).await?;
                self.versions_of(&place.subject, &place.record, &mut versions)
                    .await?;
            }
            None => {
                for (subject, record) in self.records_of(reading, &input.kind).await? {
                    match self.versions_of(&subject, &record, &mut versions).await {
                        // Since the index was read.
                        Ok(()) | Err(Error::SubjectErased | Error::SubjectUnknown) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        versions.retain(|(mark, _)| {
            input.since_ms.is_none_or(|since| mark.updated_ms >= since)
                && after.is_none_or(|after| mark < after)
        });
        // The newest first.
        versions.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut page: Vec<(Mark, Opened)> = Vec::new();
        let mut next = None;
        let mut size_bytes = 0_usize;
        for (mark, posting) in versions {
            if page.len() == count || size_bytes >= PAGE_BYTES {
                next = page.last().map(|(mark, _)| mark.text());
                break;
            }
            if let Some(opened) = reading.open(&posting).await? {
                reading.serve(&opened);
                size_bytes = size_bytes.saturating_add(opened.content.len());
                page.push((mark, opened));
            }
        }
        let found = page.into_iter().map(|(_, opened)| FhirFound {
            resource: opened.resource(),
            is_include: false,
        });
        Ok(FhirPage {
            found: found.collect(),
            total: None,
            next,
            understood: Vec::new(),
            ignored: Vec::new(),
        })
    }

    async fn versions_of(
        &self,
        subject: &SubjectId,
        record: &RecordId,
        into: &mut Vec<(Mark, Posting)>,
    ) -> Result<(), Error> {
        let metas = self
            .vault
            .record_list(subject, Some(record), None, HISTORY_VERSIONS)
            .await?;
        into.extend(metas.into_iter().map(|meta| {
            let mark = Mark {
                updated_ms: meta.deposited.get(),
                record: meta.record,
                version: meta.version,
            };
            let posting = Posting {
                subject: *subject,
                record: meta.record,
                version: meta.version,
            };
            (mark, posting)
        }));
        Ok(())
    }

    /// The records of a type that the asker may reach, deleted ones too.
    async fn records_of(
        &self,
        reading: &Reading<'_, S>,
        kind: &str,
    ) -> Result<Vec<(SubjectId, RecordId)>, Error> {
        let mut found = Vec::new();
        for term in [search::type_term(kind), deleted_term(kind)] {
            let postings = match reading.confined() {
                Some(own) => {
                    self.vault
                        .search_within(&own, &term, HISTORY_RECORDS)
                        .await?
                }
                None => self.vault.search(&term, HISTORY_RECORDS).await?,
            };
            found.extend(postings.into_iter().map(|p| (p.subject, p.record)));
        }
        if found.len() >= HISTORY_RECORDS {
            return Err(Error::Query {
                parameter: "_history".to_owned(),
                message: format!(
                    "more than {HISTORY_RECORDS} resources of that type; ask for the history of one of them"
                ),
            });
        }
        Ok(found)
    }
}

/// Where a version stands among others: by time, then by what tells versions apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    updated_ms: u64,
    record: RecordId,
    version: u32,
}

impl Mark {
    fn text(&self) -> String {
        format!("{}-{}-{}", self.updated_ms, self.record, self.version)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('-');
        let read = || -> Option<Self> {
            Some(Self {
                updated_ms: parts.next()?.parse().ok()?,
                record: parts.next()?.parse().ok()?,
                version: parts.next()?.parse().ok()?,
            })
        };
        let mut read = read;
        read().ok_or_else(|| Error::Query {
            parameter: "_after".to_owned(),
            message: "it is not from a link of this server; begin at the first page".to_owned(),
        })
    }
}

/// No such resource, or none that this asker may know of.
pub(crate) fn unknown() -> Error {
    Error::Unknown("resource of this type and id here")
}
