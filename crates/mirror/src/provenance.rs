//! `Provenance`: who wrote a version of a resource, and the ledger's proof of it.

use crate::names::{
    RECEIPT_STATE, coding, concept, institution, logical, practitioner_at, purpose,
};
use crate::write::{Object, resource};
use codec::{DeviceId, InstitutionId, Millis, codes};
use consent::{PractitionerAt, Purpose};
use std::fmt;

codes! {
    /// What a write did.
    pub enum Activity {
        /// The first version.
        1 => Create = "CREATE",
        /// A later version.
        2 => Update = "UPDATE",
        /// The end.
        3 => Delete = "DELETE",
    }
}

/// Who is the source of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Someone at an institution.
    Practitioner(PractitionerAt),
    /// An institution, by one of its systems.
    Institution(InstitutionId),
    /// A device bound to a subject.
    Device(DeviceId),
}

/// A write that the node accepted.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// The id of the Provenance.
    pub id: &'a str,
    /// The versions it is about, such as `Observation/1/_history/2`; at least one.
    pub targets: &'a [&'a str],
    /// When it was durable.
    pub at: Millis,
    /// What it did.
    pub activity: Activity,
    /// Who wrote.
    pub author: &'a Author,
    /// The institution that keeps it.
    pub custodian: InstitutionId,
    /// Why, if it was said.
    pub reason: Option<Purpose>,
    /// The version that this one replaces.
    pub revises: Option<&'a str>,
    /// What it was made of, such as a Bundle or a document.
    pub source: Option<&'a str>,
    /// How far it is on its way to the ledger.
    pub receipt: ReceiptState<'a>,
}

/// The ledger's proof of a write.
#[derive(Clone, Copy)]
pub enum ReceiptState<'a> {
    /// It is durable here, and not final.
    Pending,
    /// It is in a finalised block.
    Final {
        /// The block's time.
        at: Millis,
        /// The receipt, in CBOR, for `ithaca verify`. It must open no leaf: everyone who reads the
        /// Provenance reads it.
        bytes: &'a [u8],
    },
}

const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const DATA_OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
const SIGNATURE: &str = "urn:iso-astm:E1762-95:2013";
/// ASTM E1762: that it existed at that time.
const TIMESTAMP: &str = "1.2.840.10065.1.12.1.18";

/// The `Provenance` as JSON.
pub fn provenance(written: &Written<'_>) -> Vec<u8> {
    resource("Provenance", |provenance| {
        provenance.text("id", written.id);
        if let ReceiptState::Pending = written.receipt {
            provenance.list("extension", [RECEIPT_STATE], |extension, url| {
                extension.text("url", url);
                extension.text("valueCode", "pending");
            });
        }
        provenance.list("target", written.targets, |target, reference| {
            target.text("reference", reference);
        });
        provenance.instant("recorded", written.at);
        provenance.list("reason", written.reason, |reason, why| {
            concept(reason, purpose(why));
        });
        provenance.object("activity", |activity| {
            concept(activity, (DATA_OPERATION, written.activity.as_str()));
        });
        let agents = [Some(written.author), None];
        provenance.list("agent", agents, |agent, author| {
            let role = match author {
                Some(_) => "author",
                None => "custodian",
            };
            agent.object("type", |of| concept(of, (PARTICIPANT, role)));
            agent.object("who", |who| match author {
                Some(author) => author.write(who),
                None => institution(who, &written.custodian),
            });
            if let Some(Author::Practitioner(at)) = author {
                agent.object("onBehalfOf", |whom| institution(whom, &at.institution));
            }
        });
        let revises = written.revises.map(|what| ("revision", what));
        let source = written.source.map(|what| ("source", what));
        let entities = revises.into_iter().chain(source);
        provenance.list("entity", entities, |entity, (role, reference)| {
            entity.text("role", role);
            entity.object("what", |what| what.text("reference", reference));
        });
        let proof = match written.receipt {
            ReceiptState::Pending => None,
            ReceiptState::Final { at, bytes } => Some((at, bytes)),
        };
        provenance.list("signature", proof, |signature, (at, bytes)| {
            signature.list("type", [(SIGNATURE, TIMESTAMP)], coding);
            signature.instant("when", at);
            signature.object("who", |who| institution(who, &written.custodian));
            signature.text("targetFormat", "application/fhir+json");
            signature.text("sigFormat", "application/cbor");
            signature.base64("data", bytes);
        });
    })
}

impl Author {
    fn write(&self, who: &mut Object<'_>) {
        match self {
            Self::Practitioner(at) => practitioner_at(who, at),
            Self::Institution(id) => institution(who, id),
            Self::Device(id) => logical(who, "Device", crate::names::DEVICE, &id.to_string()),
        }
    }
}

impl fmt::Debug for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} <redacted>)", self.activity)
    }
}

impl fmt::Debug for ReceiptState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Final { .. } => "Final(<redacted>)",
        })
    }
}
