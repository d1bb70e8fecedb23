//! What this node's own identifiers and words are called in FHIR, and the code systems they come from.
//!
//! Institutions, practitioners, studies, grants and ids of disclosures are logical references: an
//! identifier under one of these systems, in lowercase hexadecimal. A practitioner's system ends in
//! the institution that names them: `urn:ithaca:practitioner:<institution>`; without an institution it
//! is whoever goes by that id.

use crate::write::Object;
use codec::InstitutionId;
use consent::{Grantee, PractitionerAt, PractitionerId, Purpose};

/// System of an institution's id.
pub const INSTITUTION: &str = "urn:ithaca:institution";
/// System of a practitioner's id, whatever the institution; with `:<institution>`, at that one.
pub const PRACTITIONER: &str = "urn:ithaca:practitioner";
/// System of a study's id.
pub const STUDY: &str = "urn:ithaca:study";
/// System of a grant's id.
pub const GRANT: &str = "urn:ithaca:grant";
/// System of a record's id.
pub const RECORD: &str = "urn:ithaca:record";
/// System of a device's id.
pub const DEVICE: &str = "urn:ithaca:device";
/// Code system of `codec::Category`.
pub const CATEGORY: &str = "urn:ithaca:category";
/// Code system of kinds of records that are no resource types of FHIR.
pub const KIND: &str = "urn:ithaca:record-kind";
/// Code system of `consent::Role`.
pub const ROLE: &str = "urn:ithaca:role";
/// Code system of purposes that HL7 lacks.
pub const PURPOSE: &str = "urn:ithaca:purpose";
/// Code system of what was done, if no interaction of FHIR.
pub const ACT: &str = "urn:ithaca:act";
/// `Consent.policy.uri`: nothing is permitted but what the consent permits.
pub const POLICY_GRANT: &str = "urn:ithaca:consent:grant";
/// `Consent.policy.uri`: uses that need no agreement are opted out of, each purpose with all below it; what a
/// consent permits by name stays permitted.
pub const POLICY_OPT_OUT: &str = "urn:ithaca:consent:opt-out";
/// `Consent.policy.uri`: processing is restricted (GDPR article 18).
pub const POLICY_RESTRICTION: &str = "urn:ithaca:consent:restriction";
/// Extension of a Provenance, and system of a Consent's tag: how far it is on its way to the ledger.
pub const RECEIPT_STATE: &str = "urn:ithaca:receipt-state";

/// Modifier extension of a provision: conditions of use for research ([`consent::DataUse`]).
pub const DATA_USE: &str = "urn:ithaca:data-use";

pub(crate) const COUNTRIES: &str = "urn:iso:std:iso:3166";
pub(crate) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(crate) const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
pub(crate) const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
pub(crate) const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
pub(crate) const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
pub(crate) const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// System and code.
pub(crate) type Code<'a> = (&'a str, &'a str);

pub(crate) fn purpose(purpose: Purpose) -> Code<'static> {
    let system = match purpose {
        Purpose::Dximp => PURPOSE,
        _ => ACT_REASON,
    };
    (system, purpose.as_str())
}

pub(crate) fn coding(object: &mut Object<'_>, (system, code): Code<'_>) {
    object.text("system", system);
    object.text("code", code);
}

pub(crate) fn concept(object: &mut Object<'_>, of: Code<'_>) {
    object.list("coding", [of], coding);
}

/// Fills a Reference that is an identifier.
pub(crate) fn logical(reference: &mut Object<'_>, of: &str, system: &str, value: &str) {
    reference.text("type", of);
    reference.object("identifier", |identifier| {
        identifier.text("system", system);
        identifier.text("value", value);
    });
}

pub(crate) fn institution(reference: &mut Object<'_>, id: &InstitutionId) {
    logical(reference, "Organization", INSTITUTION, &id.to_string());
}

pub(crate) fn practitioner_at(reference: &mut Object<'_>, at: &PractitionerAt) {
    let system = format!("{PRACTITIONER}:{}", at.institution);
    logical(reference, "Practitioner", &system, at.practitioner.as_str());
}

pub(crate) fn practitioner(reference: &mut Object<'_>, id: &PractitionerId) {
    logical(reference, "Practitioner", PRACTITIONER, id.as_str());
}

/// Fills the reference to an actor whom a grant names.
pub(crate) fn grantee(reference: &mut Object<'_>, grantee: &Grantee) {
    match grantee {
        Grantee::Institution(id) => institution(reference, id),
        Grantee::Practitioner(at) => practitioner_at(reference, at),
        // A reference to an actor cannot be one to a ResearchStudy: those who take part in it.
        Grantee::Study(id) => logical(reference, "Group", STUDY, &id.to_string()),
        // Names nobody: see `data_use_write`.
        Grantee::Research(_) => {}
    }
}
