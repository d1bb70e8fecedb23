//! Where resources are: from ids and references to compartments.

use super::FhirAsker;
use crate::custodian::Custodian;
use crate::error::Error;
use ::fhir::search;
use codec::id::{RecordId, SubjectId};
use consent::Role;
use store::Store;
use vault::Posting;

/// Where a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) subject: SubjectId,
    pub(crate) record: RecordId,
    /// The latest version.
    pub(crate) version: u32,
}

impl Place {
    pub(crate) fn posting(&self) -> Posting {
        Posting {
            subject: self.subject,
            record: self.record,
            version: self.version,
        }
    }
}

impl FhirAsker {
    /// Whether the asker writes into one compartment alone, and not into the directory either.
    pub(crate) fn is_of_one(&self) -> bool {
        let bound = [Role::Controller, Role::Device];
        self.patient.is_some() || bound.iter().any(|role| self.caller.has(*role))
    }
}

impl<S: Store> Custodian<S> {
    /// The resource of that type and id, also when it was deleted.
    pub(crate) async fn fhir_place(&self, kind: &str, id: &str) -> Result<Option<Place>, Error> {
        if !::fhir::is_resource_type(kind) || !::fhir::is_id(id) {
            return Ok(None);
        }
        let term = search::id_term(kind, id);
        let mut found = None;
        // Ids of this node's own lead to their shard; others may be in any.
        if let Ok(record) = id.parse::<RecordId>() {
            found = self.vault.locate(&record, &term).await?;
        }
        if found.is_none() {
            found = self.vault.search(&term, 1).await?.pop();
        }
        Ok(found.map(|posting| Place {
            subject: posting.subject,
            record: posting.record,
            version: posting.version,
        }))
    }

    /// The compartment of a Patient.
    pub(crate) async fn fhir_patient(&self, id: &str) -> Result<Option<SubjectId>, Error> {
        let place = self.fhir_place("Patient", id).await?;
        Ok(place.map(|place| place.subject))
    }

    /// The one compartment that the asker may reach, if it is confined to one: by its token's subject, or by
    /// the Patient of its scopes.
    pub(crate) async fn fhir_confined(
        &self,
        asker: &FhirAsker,
    ) -> Result<Option<SubjectId>, Error> {
        let launched = match &asker.patient {
            Some(id) => Some(self.fhir_patient(id).await?.ok_or(Error::OutOfScope)?),
            None => None,
        };
        match (asker.caller.subject, launched) {
            (Some(own), Some(launched)) if own != launched => Err(Error::OutOfScope),
            (own, launched) => Ok(own.or(launched)),
        }
    }
}

/// Types that may name several people, and so are the institution's own.
pub(crate) fn is_of_directory(kind: &str) -> bool {
    matches!(kind, "Group" | "List" | "AuditEvent" | "Provenance")
}

/// The id in a reference to a Patient of this server: `Patient/x`, with or without a version, under the base
/// or relative. None for anything else.
pub(crate) fn patient_id<'r>(reference: &'r str, base: &str) -> Option<&'r str> {
    match local(reference, base) {
        Some(("Patient", id)) => Some(id),
        _ => None,
    }
}

/// Type and id in a literal reference to a resource of this server.
pub(crate) fn local<'r>(reference: &'r str, base: &str) -> Option<(&'r str, &'r str)> {
    let relative = match reference.strip_prefix(base) {
        Some(rest) if !base.is_empty() => rest.strip_prefix('/')?,
        _ => reference,
    };
    let mut parts = relative.split('/');
    let (kind, id) = (parts.next()?, parts.next()?);
    let ends = matches!(
        (parts.next(), parts.next(), parts.next()),
        (None, ..) | (Some("_history"), Some(_), None)
    );
    (ends && ::fhir::is_resource_type(kind) && ::fhir::is_id(id)).then_some((kind, id))
}
