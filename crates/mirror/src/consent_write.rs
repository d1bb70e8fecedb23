//! `Consent` of what a subject's controllers decided: grants, opt-outs, restriction.
//!
//! The root provision says nothing (R4 forbids it a type); the one below it permits what the grant permits, and
//! those below that deny its exceptions. The policy says that nothing else is permitted.

use crate::data_use_write::data_use;
use crate::names::{
    ACT_CODE, CATEGORY, CONSENT_ACTION, Code, GRANT, KIND, PARTICIPATION, POLICY_GRANT,
    POLICY_OPT_OUT, POLICY_RESTRICTION, RECEIPT_STATE, RECORD, RESOURCE_TYPES, SCOPE, coding,
    concept, grantee, institution, logical, practitioner, purpose,
};
use crate::write::{Object, resource};
use codec::{InstitutionId, Millis, RecordId};
use consent::{Exception, Grant, Grantee, PractitionerId, Purpose, RecordKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What stands around the provisions of a Consent.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The resource's id; none for a grant's own, in hexadecimal.
    pub id: Option<&'a str>,
    /// Version and time of the resource.
    pub version: Option<(&'a str, Millis)>,
    /// The patient, as a reference such as `Patient/1`.
    pub patient: &'a str,
    /// When it was agreed.
    pub at: Option<Millis>,
    /// Who keeps the record.
    pub custodian: InstitutionId,
    /// It is no longer in force.
    pub is_over: bool,
    /// It is accepted, and on its way to the ledger: a tag says so.
    pub is_pending: bool,
}

/// A grant as `Consent`. `kinds` are those of the records that it leaves out, as far as they are known: such a
/// record is referred to as `<kind>/<id>`, others by an identifier.
pub fn consent_write(
    grant: &Grant,
    kinds: &BTreeMap<RecordId, RecordKind>,
    frame: &Frame<'_>,
) -> Vec<u8> {
    let id = grant.id.to_string();
    let is_research = grant.purposes.iter().all(|p| p.is_research());
    let scope = if is_research {
        "research"
    } else {
        "patient-privacy"
    };
    resource("Consent", |consent| {
        frame.write(consent, Some(&id), scope, POLICY_GRANT, |provision| {
            permit(provision, grant, kinds);
        });
    })
}

/// The purposes that a family opted out of, as `Consent`; none if there are none.
pub fn opt_outs_write(opted_out: &BTreeSet<Purpose>, frame: &Frame<'_>) -> Option<Vec<u8>> {
    if opted_out.is_empty() {
        return None;
    }
    Some(resource("Consent", |consent| {
        let privacy = "patient-privacy";
        frame.write(consent, None, privacy, POLICY_OPT_OUT, |provision| {
            provision.text("type", "deny");
            purposes(provision, opted_out);
        });
    }))
}

/// The restriction of processing, as `Consent`.
pub fn restriction_write(frame: &Frame<'_>) -> Vec<u8> {
    resource("Consent", |consent| {
        let privacy = "patient-privacy";
        frame.write(consent, None, privacy, POLICY_RESTRICTION, |provision| {
            provision.text("type", "deny");
            actions(provision, &["access", "use", "disclose"]);
        });
    })
}

const CATEGORY_PRIVACY: Code<'static> = ("http://loinc.org", "59284-0");

impl Frame<'_> {
    fn write(
        &self,
        consent: &mut Object<'_>,
        grant: Option<&str>,
        scope: &str,
        policy: &str,
        provision: impl Fn(&mut Object<'_>),
    ) {
        consent.text_if("id", self.id.or(grant));
        if let Some((version, at)) = self.version {
            consent.object("meta", |meta| {
                meta.text("versionId", version);
                meta.instant("lastUpdated", at);
                let pending = self.is_pending.then_some((RECEIPT_STATE, "pending"));
                meta.list("tag", pending, coding);
            });
        }
        consent.list("identifier", grant, |identifier, id| {
            coding_value(identifier, (GRANT, id));
        });
        let status = if self.is_over { "inactive" } else { "active" };
        consent.text("status", status);
        consent.object("scope", |written| concept(written, (SCOPE, scope)));
        consent.list("category", [CATEGORY_PRIVACY], concept);
        consent.object("patient", |patient| patient.text("reference", self.patient));
        if let Some(at) = self.at {
            consent.instant("dateTime", at);
        }
        consent.list("organization", [&self.custodian], institution);
        consent.list("policy", [policy], |written, uri| written.text("uri", uri));
        if policy == POLICY_GRANT {
            // For those who do not know the policy: opted out, with exceptions.
            consent.object("policyRule", |rule| concept(rule, (ACT_CODE, "OPTOUTE")));
        }
        consent.object("provision", |root| {
            root.list("provision", [()], |inner, ()| provision(inner));
        });
    }
}

fn permit(provision: &mut Object<'_>, grant: &Grant, kinds: &BTreeMap<RecordId, RecordKind>) {
    let named = match &grant.grantee {
        Grantee::Research(conditions) => {
            data_use(provision, conditions);
            None
        }
        named => Some(named),
    };
    provision.text("type", "permit");
    provision.object("period", |period| {
        period.instant("start", grant.from);
        // The end of a Period is still in it.
        period.instant("end", grant.until.saturating_sub(1));
    });
    provision.list("actor", named, |actor, to| {
        recipient(actor, |reference| grantee(reference, to));
    });
    actions(provision, &["access"]);
    purposes(provision, &grant.purposes);
    provision.list("class", &grant.categories, |class, category| {
        coding(class, (CATEGORY, category.as_str()));
    });
    let denials = Denials::of(&grant.exceptions);
    provision.list("provision", denials.list(), |denial, which| {
        denial.text("type", "deny");
        match which {
            Denied::Records(records) => denial.list("data", records, |data, id| {
                data.text("meaning", "instance");
                data.object("reference", |reference| record(reference, id, kinds));
            }),
            Denied::Kinds(kinds) => denial.list("class", kinds, |class, kind| {
                let is_type = fhir::is_resource_type(kind.as_str());
                let system = if is_type { RESOURCE_TYPES } else { KIND };
                coding(class, (system, kind.as_str()));
            }),
            Denied::Practitioners(people) => denial.list("actor", people, |actor, id| {
                recipient(actor, |reference| practitioner(reference, id));
            }),
        }
    });
}

/// Exceptions by what they leave out.
#[derive(Default)]
struct Denials<'g> {
    records: Vec<&'g RecordId>,
    kinds: Vec<&'g RecordKind>,
    practitioners: Vec<&'g PractitionerId>,
}

enum Denied<'d, 'g> {
    Records(&'d [&'g RecordId]),
    Kinds(&'d [&'g RecordKind]),
    Practitioners(&'d [&'g PractitionerId]),
}

impl<'g> Denials<'g> {
    fn of(exceptions: &'g BTreeSet<Exception>) -> Self {
        let mut denials = Self::default();
        for exception in exceptions {
            match exception {
                Exception::Record(id) => denials.records.push(id),
                Exception::Kind(kind) => denials.kinds.push(kind),
                Exception::Practitioner(id) => denials.practitioners.push(id),
            }
        }
        denials
    }

    fn list(&self) -> impl Iterator<Item = Denied<'_, 'g>> {
        let records = (!self.records.is_empty()).then_some(Denied::Records(&self.records));
        let kinds = (!self.kinds.is_empty()).then_some(Denied::Kinds(&self.kinds));
        let people = &self.practitioners;
        let people = (!people.is_empty()).then_some(Denied::Practitioners(people));
        records.into_iter().chain(kinds).chain(people)
    }
}

fn recipient(actor: &mut Object<'_>, reference: impl FnOnce(&mut Object<'_>)) {
    actor.object("role", |role| concept(role, (PARTICIPATION, "PRCP")));
    actor.object("reference", reference);
}

fn record(reference: &mut Object<'_>, id: &RecordId, kinds: &BTreeMap<RecordId, RecordKind>) {
    let kind = kinds.get(id).map(RecordKind::as_str);
    match kind.filter(|kind| fhir::is_resource_type(kind)) {
        Some(kind) => reference.text("reference", &format!("{kind}/{id}")),
        None => logical(reference, "", RECORD, &id.to_string()),
    }
}

fn purposes(provision: &mut Object<'_>, purposes: &BTreeSet<Purpose>) {
    let codes = purposes.iter().map(|of| purpose(*of));
    provision.list("purpose", codes, coding);
}

fn actions(provision: &mut Object<'_>, actions: &[&str]) {
    let codes = actions.iter().map(|action| (CONSENT_ACTION, *action));
    provision.list("action", codes, concept);
}

fn coding_value(identifier: &mut Object<'_>, (system, value): Code<'_>) {
    identifier.text("system", system);
    identifier.text("value", value);
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame(<redacted>)")
    }
}
