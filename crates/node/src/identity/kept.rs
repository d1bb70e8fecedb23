//! Identifiers are the institution's: by them Patients are compared, and found by those who know a number alone.
//!
//! Whoever acts for one subject (a family, a device, an app that was launched for it) keeps those that are there.
//! With a stranger's number in its own Patient, a family would learn from its disclosure list whether that person is
//! a patient here, and a laboratory's results would go to the wrong one of the two.

use super::rows::Seat;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::form::DELETED_MEDIA;
use codec::id::SubjectId;
use json::Value;
use std::collections::BTreeSet;
use store::Store;
use vault::NewRecord;

/// System, value and codes of the type: all that an identifier is found by.
type Identifier = (
    Option<String>,
    Option<String>,
    BTreeSet<(Option<String>, Option<String>)>,
);

impl<S: Store> Custodian<S> {
    /// Refuses Patients with other identifiers than the versions have that they build on.
    pub(crate) async fn identifiers_kept(
        &self,
        subject: &SubjectId,
        records: &[NewRecord],
    ) -> Result<(), Error> {
        let patients = records
            .iter()
            .filter(|new| new.kind == "Patient" && new.media_type != DELETED_MEDIA);
        for new in patients {
            let before = match new.expect_version {
                0 => BTreeSet::new(),
                version => {
                    let seat = Seat {
                        subject: *subject,
                        record: new.record,
                    };
                    match self.identity_version(&seat, Some(version)).await {
                        Ok(before) if before.is_deleted => BTreeSet::new(),
                        Ok(before) => identifiers(before.content.as_bytes())?,
                        // Then nothing is put in.
                        Err(Error::VersionUnknown { .. } | Error::RecordUnknown(_)) => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            if identifiers(&new.stored_form)? != before {
                return Err(Error::invalid(
                    "FHIR Patient",
                    "Patient.identifier",
                    "identifiers are changed by the institution's own people alone; leave them as they are",
                ));
            }
        }
        Ok(())
    }
}

fn identifiers(patient: &[u8]) -> Result<BTreeSet<Identifier>, Error> {
    let limits = json::Limits {
        size_bytes: patient.len(),
        ..json::Limits::default()
    };
    let document =
        json::parse(patient, &limits).map_err(|_| Error::Damaged("a Patient".to_owned()))?;
    let text = |of: Value<'_, '_>, name: &str| of.get(name)?.text().map(|text| text.into_owned());
    let all = document.root().get("identifier");
    let one = |identifier: Value<'_, '_>| {
        let codings = identifier.get("type").and_then(|of| of.get("coding"));
        let codings = codings.into_iter().flat_map(Value::children);
        (
            text(identifier, "system"),
            text(identifier, "value"),
            codings
                .map(|of| (text(of, "system"), text(of, "code")))
                .collect(),
        )
    };
    Ok(all.into_iter().flat_map(Value::children).map(one).collect())
}
