//! All that there is of a patient, and who else is the same person by what the desk decided.

use super::open::{Opened, Reading, settled};
use super::read::unknown;
use super::search::{MAX_CANDIDATES, MAX_PAGE, PAGE_BYTES, stale_link};
use super::views::CONSENT;
use super::{FhirEverything, FhirFound, FhirPage};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::form::DELETED_MEDIA;
use ::fhir::search::{self, Query};
use codec::id::{RecordId, SubjectId};
use smart::Interaction;
use store::Store;
use vault::Posting;

/// Patients of a search of whom it is looked up whom they replace.
const MAX_REPLACING: usize = 16;
/// Patients of one compartment.
const MAX_PATIENTS: usize = 4;

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_everything(&self, input: FhirEverything) -> Result<FhirPage, Error> {
        let subject = self.fhir_patient(&input.patient).await?;
        let subject = subject.ok_or_else(unknown)?;
        let after = match input.after.as_deref() {
            Some(text) => Some(text.parse::<RecordId>().map_err(|_| stale_link())?),
            None => None,
        };
        let (page, _) = settled!(self, &input.asker, "fhir-everything", |reading| {
            self.everything_page(reading, &input, &subject, after).await
        })?;
        self.counters.fetches.up();
        Ok(page)
    }

    async fn everything_page(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirEverything,
        subject: &SubjectId,
        after: Option<RecordId>,
    ) -> Result<FhirPage, Error> {
        let count = input.count.clamp(1, MAX_PAGE);
        reading.refused(subject).await?;
        let mut latest = Vec::new();
        for subject in self.and_replaced(reading, subject).await? {
            let left = MAX_CANDIDATES.saturating_sub(latest.len());
            let found = match self.latest_within(&subject, left).await {
                Ok(found) => found,
                // One that was replaced was erased meanwhile.
                Err(Error::SubjectErased | Error::SubjectUnknown) => continue,
                Err(error) => return Err(error),
            };
            latest.extend(found.into_iter().map(|meta| (subject, meta)));
        }
        latest.sort_by_key(|(_, meta)| meta.record);
        let mut page: Vec<Opened> = Vec::new();
        let mut size_bytes = 0_usize;
        let mut next = None;
        for (subject, meta) in latest {
            let wanted = ::fhir::is_resource_type(&meta.kind)
                && meta.media_type != DELETED_MEDIA
                && meta.kind != CONSENT
                && reading.may(Interaction::Read, &meta.kind)
                && after.is_none_or(|after| meta.record > after)
                && (input.kinds.is_empty() || input.kinds.contains(&meta.kind))
                && input
                    .since_ms
                    .is_none_or(|since| meta.deposited.get() >= since);
            if !wanted {
                continue;
            }
            if page.len() == count || size_bytes >= PAGE_BYTES {
                next = page.last().map(|last| last.record.to_string());
                break;
            }
            let posting = Posting {
                subject,
                record: meta.record,
                version: meta.version,
            };
            if let Some(opened) = reading.open(&posting).await? {
                reading.serve(&opened);
                size_bytes = size_bytes.saturating_add(opened.content.len());
                page.push(opened);
            }
        }
        let total = (next.is_none() && after.is_none()).then_some(page.len());
        let found = page.into_iter().map(|opened| FhirFound {
            resource: opened.resource(),
            is_include: false,
        });
        Ok(FhirPage {
            found: found.collect(),
            total: total.map(|total| u64::try_from(total).unwrap_or(u64::MAX)),
            next,
            understood: Vec::new(),
            ignored: Vec::new(),
        })
    }

    /// A subject, and those whom it replaces as far as they may be reached: each is decided on its own.
    pub(super) async fn and_replaced(
        &self,
        reading: &Reading<'_, S>,
        subject: &SubjectId,
    ) -> Result<Vec<SubjectId>, Error> {
        let mut subjects = vec![*subject];
        let replaced = self.identity_replaced(subject).await?;
        subjects.extend(replaced.iter().filter(|other| reading.reaches(other)));
        Ok(subjects)
    }

    /// A search about a Patient is about those whom it replaces too, as far as these may be seen.
    pub(super) async fn also_replaced(
        &self,
        reading: &mut Reading<'_, S>,
        query: &mut Query,
        patients: &[String],
    ) -> Result<(), Error> {
        if query.resource_type() == "Patient" || patients.len() > MAX_REPLACING {
            return Ok(());
        }
        for patient in patients {
            let Some(subject) = reading.patient(patient).await? else {
                continue;
            };
            let mut also = Vec::new();
            for other in self.and_replaced(reading, &subject).await? {
                if other == subject {
                    continue;
                }
                let term = search::type_term("Patient");
                for posting in self
                    .vault
                    .search_within(&other, &term, MAX_PATIENTS)
                    .await?
                {
                    let opened = reading.open_by_consent(&posting).await?;
                    also.extend(opened.map(|opened| opened.id()));
                }
            }
            query.patients_also(patient, &also);
        }
        Ok(())
    }
}
