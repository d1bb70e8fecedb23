//! Which category an element's leaves are in, within a resource of some category.
//!
//! The rule is by data type, with the few exceptions that are listed here. It is default deny: free
//! text, links and ids are identity unless listed.
//!
//! | data type | category |
//! |---|---|
//! | codes, numbers, booleans, dates, times | the resource's |
//! | `string`, `markdown`, `xhtml`, `base64Binary`, `uri` and its kin, `id` | identity, but the resource's for the elements in [`OWN`] |
//! | resource id, references | the resource's when random (see [`is_random`]), otherwise identity |
//! | references that can name a person | identity |
//! | HumanName, Address, ContactPoint, Identifier, Annotation, Narrative, Signature, Extension, contained resources | identity, with all below |
//! | Attachment; a report's `conclusion` | documents |

use crate::table::TABLE;
use codec::Category::{self, Documents, Identity};
use json::Value;

/// What decides on the category of an element's leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The category of the element it stands in; of the resource in the end.
    Own,
    /// This category.
    Fixed(Category),
    /// As `Own` for an id that says nothing, otherwise identity.
    OwnIfRandom,
    /// Identity, and it may change the meaning of all around it.
    Modifier,
}

impl Rule {
    /// The category of a value, within an element of category `own`.
    pub(crate) fn category(self, own: Category, value: Value<'_, '_>) -> Category {
        if own == Identity {
            return Identity;
        }
        match self {
            Self::Own => own,
            Self::Fixed(category) => category,
            Self::Modifier => Identity,
            Self::OwnIfRandom => match value.text() {
                Some(text) if is_random(&text) => own,
                _ => Identity,
            },
        }
    }
}

/// Texts and data that are part of a coded or measured value, or all there is of it; links and ids
/// that name a standard or a version, not a thing of the person's.
const OWN: &[(&str, &str)] = &[
    ("Age", "system"),
    ("Age", "unit"),
    ("Attachment", "data"),
    ("Attachment", "hash"),
    ("Attachment", "title"),
    ("Attachment", "url"),
    ("Binary", "data"),
    ("CodeableConcept", "text"),
    ("Coding", "display"),
    ("Coding", "system"),
    ("Coding", "version"),
    ("Composition", "title"),
    ("Composition.section", "title"),
    ("Count", "system"),
    ("Count", "unit"),
    ("Distance", "system"),
    ("Distance", "unit"),
    ("Dosage", "text"),
    ("Duration", "system"),
    ("Duration", "unit"),
    ("Immunization", "lotNumber"),
    ("Medication.batch", "lotNumber"),
    ("MedicationAdministration.dosage", "text"),
    ("Meta", "profile"),
    ("Meta", "versionId"),
    ("MolecularSequence", "observedSeq"),
    ("MolecularSequence.referenceSeq", "genomeBuild"),
    ("MolecularSequence.referenceSeq", "referenceSeqString"),
    ("MolecularSequence.variant", "cigar"),
    ("MolecularSequence.variant", "observedAllele"),
    ("MolecularSequence.variant", "referenceAllele"),
    ("Observation", "valueString"),
    ("Observation.component", "valueString"),
    ("Observation.referenceRange", "text"),
    ("Quantity", "system"),
    ("Quantity", "unit"),
    ("QuestionnaireResponse.item", "linkId"),
    ("QuestionnaireResponse.item", "text"),
    ("Reference", "type"),
    ("SampledData", "data"),
];

/// The rule of the element `owner.name`.
pub(crate) fn rule_of(owner: &str, name: &str, type_name: &str) -> Rule {
    if OWN.contains(&(owner, name)) {
        return Rule::Own;
    }
    match (owner, name) {
        (_, "modifierExtension" | "implicitRules") => return Rule::Modifier,
        ("DiagnosticReport", "conclusion") => return Rule::Fixed(Documents),
        ("FamilyMemberHistory", "bornDate" | "bornPeriod") => return Rule::Fixed(Identity),
        ("Reference", "reference") => return Rule::OwnIfRandom,
        _ => {}
    }
    match type_name {
        // Only resources have an `id` of type id; the ids of elements are strings.
        "id" if name == "id" => Rule::OwnIfRandom,
        "Attachment" => Rule::Fixed(Documents),
        "string" | "markdown" | "xhtml" | "base64Binary" | "uri" | "url" | "canonical" | "oid"
        | "uuid" | "id" | "HumanName" | "Address" | "ContactPoint" | "ContactDetail"
        | "Identifier" | "Annotation" | "Narrative" | "Signature" | "Extension" | "Resource"
        | "PersonReference" => Rule::Fixed(Identity),
        _ => Rule::Own,
    }
}

/// Resource types that are people, or stand for one.
pub(crate) const PEOPLE: &[&str] = &[
    "Patient",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
];

/// Whether an id or reference is random and so says nothing about anyone: a UUID or 32 hexadecimal
/// digits, as a bare id, as `urn:uuid:...`, or as `Type/id` with or without `/_history/n` where the
/// type is not a person. An id that somebody chose could be a name or a record number.
pub(crate) fn is_random(text: &str) -> bool {
    if let Some(uuid) = text.strip_prefix("urn:uuid:") {
        return is_uuid(uuid);
    }
    let mut parts = text.split('/');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some(id), None, ..) => is_random_id(id),
        (Some(of), Some(id), None, ..) => is_thing(of) && is_random_id(id),
        (Some(of), Some(id), Some("_history"), Some(version), None) => {
            let plain = version.len() <= 9 && version.bytes().all(|b| b.is_ascii_digit());
            is_thing(of) && is_random_id(id) && plain
        }
        _ => false,
    }
}

fn is_thing(resource_type: &str) -> bool {
    TABLE.resource(resource_type).is_some() && !PEOPLE.contains(&resource_type)
}

fn is_random_id(id: &str) -> bool {
    is_uuid(id) || (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_uuid(text: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| match dash(at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}
