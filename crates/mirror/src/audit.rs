//! `AuditEvent` of a disclosure, a refusal or an act, after the patterns of IHE BALP 1.1.
//!
//! One event is about one patient, as a disclosure is. A read and a query that went well, and a disclosure to
//! another institution, claim the BALP profile whose demands they meet: both network addresses must be known.

use crate::names::{
    ACT, CATEGORY, Code, PARTICIPATION, ROLE, coding, concept, institution, practitioner_at,
    purpose,
};
use crate::write::{Object, resource};
use codec::{Category, DisclosureId, InstitutionId, Millis};
use consent::{Actor, Basis, Missing, PractitionerAt, Purpose};
use std::fmt;

/// What was done or asked for.
#[derive(Clone, Copy)]
pub enum Act<'a> {
    /// The newest version of a resource was read.
    Read,
    /// A version of a resource was read.
    Vread,
    /// A search; the query as it came, without the base.
    Search(&'a [u8]),
    /// The versions of a resource.
    History,
    /// A resource was made.
    Create,
    /// A resource was replaced.
    Update,
    /// A resource was changed in part.
    Patch,
    /// A resource was deleted.
    Delete,
    /// A named operation, without `$`.
    Operation(&'a str),
    /// Records went to another institution.
    Disclosure,
    /// Records were exported in bulk.
    Export,
    /// Something that is no interaction of FHIR, by the word under which it was logged.
    Other(&'a str),
}

/// A machine's address.
#[derive(Clone, Copy)]
pub enum Network<'a> {
    /// A name of a domain.
    Domain(&'a str),
    /// An IP address.
    Ip(&'a str),
    /// A URI.
    Uri(&'a str),
}

/// How it ended.
#[derive(Clone, Copy)]
pub enum Ended<'a> {
    /// Permitted, on these bases.
    Permitted(&'a [Basis]),
    /// Refused for want of these: those that whoever reads the event may see.
    Refused(&'a [Missing]),
    /// It failed, through no fault of who asked.
    Failed(&'a str),
}

/// A disclosure as the node logged it.
#[derive(Clone, Copy)]
pub struct Disclosed<'a> {
    /// Its id.
    pub id: DisclosureId,
    /// The event's id; none for the disclosure's own, in hexadecimal.
    pub event: Option<&'a str>,
    /// When.
    pub at: Millis,
    /// What.
    pub act: Act<'a>,
    /// How it ended.
    pub ended: Ended<'a>,
    /// What for.
    pub purpose: Purpose,
    /// Who.
    pub actor: &'a Actor,
    /// The application, as the authorisation server names it; none if the institution's own system asked.
    pub client: Option<&'a str>,
    /// Where the application is.
    pub client_at: Option<Network<'a>>,
    /// The institution that decided and logged.
    pub custodian: InstitutionId,
    /// Where its node is.
    pub custodian_at: Option<Network<'a>>,
    /// The patient, as a reference such as `Patient/1`.
    pub patient: Option<&'a str>,
    /// The categories that were disclosed or, if refused, asked for.
    pub categories: &'a [Category],
    /// The versions of resources that were disclosed or written, such as `Observation/1/_history/2`.
    pub records: &'a [&'a str],
    /// `X-Request-Id`.
    pub request_id: Option<&'a str>,
    /// The break-glass session.
    pub session: Option<DisclosureId>,
    /// The view of the ledger was old.
    pub stale: bool,
}

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";

const REST: Code<'static> = (EVENT_TYPE, "rest");
const EXPORT: Code<'static> = (DCM, "110106");
const PATIENT_RECORD: Code<'static> = (DCM, "110110");
const DESTINATION: Code<'static> = (DCM, "110152");
const SOURCE: Code<'static> = (DCM, "110153");

/// The `AuditEvent` as JSON.
pub fn audit_event(of: &Disclosed<'_>) -> Vec<u8> {
    let (kind, subtypes, action) = of.act.words();
    resource("AuditEvent", |event| {
        let id = of.id.to_string();
        event.text("id", of.event.unwrap_or(&id));
        event.object("meta", |meta| {
            meta.texts("profile", of.profile().map(|name| format!("{BALP}{name}")));
        });
        event.object("type", |written| coding(written, kind));
        event.list("subtype", subtypes, coding);
        event.text("action", action);
        event.instant("recorded", of.at);
        let (outcome, said) = of.ended.words();
        event.text("outcome", outcome);
        event.text("outcomeDesc", &said);
        event.list("purposeOfEvent", [purpose(of.purpose)], concept);
        event.list("agent", AGENTS, |agent, which| of.agent(agent, which));
        event.object("source", |source| {
            source.object("observer", |who| institution(who, &of.custodian));
            source.list("type", [(SOURCE_TYPE, "4")], coding);
        });
        event.list("entity", of.entities(), |entity, which| {
            of.entity(entity, which);
        });
    })
}

/// The agents of every event.
#[derive(Clone, Copy)]
enum Agent {
    Client,
    Server,
    User,
}

const AGENTS: [Agent; 3] = [Agent::Client, Agent::Server, Agent::User];

#[derive(Clone, Copy)]
enum Entity<'a> {
    Patient(Option<&'a str>),
    Query(&'a [u8]),
    Data(&'a str),
    Request(&'a str),
}

impl Act<'_> {
    /// Type, subtypes and action.
    fn words(&self) -> (Code<'_>, Vec<Code<'_>>, &'static str) {
        let rest = |code, action| (REST, vec![(INTERACTION, code)], action);
        match *self {
            Self::Read => rest("read", "R"),
            Self::Vread => rest("vread", "R"),
            Self::Search(_) => rest("search-type", "E"),
            Self::History => rest("history-instance", "R"),
            Self::Create => rest("create", "C"),
            Self::Update => rest("update", "U"),
            Self::Patch => rest("patch", "U"),
            Self::Delete => rest("delete", "D"),
            Self::Operation(name) => {
                let subtypes = vec![(INTERACTION, "operation"), (ACT, name)];
                (REST, subtypes, "E")
            }
            Self::Disclosure => (EXPORT, vec![(LIFECYCLE, "disclose")], "R"),
            Self::Export => {
                let subtypes = vec![(INTERACTION, "operation"), (ACT, "export")];
                (EXPORT, subtypes, "R")
            }
            Self::Other(word) => (PATIENT_RECORD, vec![(ACT, word)], "E"),
        }
    }

    /// Whether data went from the node to the application. A query itself goes the other way.
    fn is_outward(&self) -> bool {
        matches!(
            self,
            Self::Read | Self::Vread | Self::History | Self::Disclosure | Self::Export
        )
    }

    fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Create | Self::Update | Self::Patch | Self::Delete
        )
    }
}

impl Ended<'_> {
    /// Code and sentence.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Permitted(_) => ("0", String::new()),
            Self::Refused(missing) => {
                let sentences: Vec<String> = missing.iter().map(Missing::to_string).collect();
                let said = match sentences.is_empty() {
                    true => "refused".to_owned(),
                    false => sentences.join("; "),
                };
                ("4", said)
            }
            Self::Failed(why) => ("8", (*why).to_owned()),
        }
    }
}

impl Disclosed<'_> {
    /// The BALP profile whose demands are met.
    fn profile(&self) -> Option<&'static str> {
        let addresses = self.client_at.is_some() && self.custodian_at.is_some();
        let well = matches!(self.ended, Ended::Permitted(_));
        if !well || !addresses || self.patient.is_none() {
            return None;
        }
        match self.act {
            Act::Read | Act::Vread if self.records.len() == 1 => Some("PatientRead"),
            // Its slice of system objects is the query.
            Act::Search(_) if self.records.is_empty() => Some("PatientQuery"),
            Act::Disclosure => Some("PrivacyDisclosure.Source"),
            _ => None,
        }
    }

    fn agent(&self, agent: &mut Object<'_>, which: Agent) {
        let (client, server) = match self.act.is_outward() {
            true => (DESTINATION, SOURCE),
            false => (SOURCE, DESTINATION),
        };
        let user = match self.act.is_write() {
            true => (PARTICIPATION, "AUT"),
            false => (PARTICIPATION, "IRCP"),
        };
        let (kind, network) = match which {
            Agent::Client => (client, self.client_at),
            Agent::Server => (server, self.custodian_at),
            Agent::User => (user, None),
        };
        agent.object("type", |written| concept(written, kind));
        if let Agent::User = which {
            agent.list("role", &self.actor.roles, |written, role| {
                concept(written, (ROLE, role.as_str()));
            });
        }
        agent.object("who", |who| match (which, self.client) {
            (Agent::Client, Some(client)) => {
                who.object("identifier", |identifier| identifier.text("value", client));
            }
            (Agent::Client, None) => institution(who, &self.actor.institution),
            (Agent::Server, _) => institution(who, &self.custodian),
            (Agent::User, _) => {
                let at = PractitionerAt {
                    institution: self.actor.institution,
                    practitioner: self.actor.practitioner.clone(),
                };
                practitioner_at(who, &at);
            }
        });
        agent.boolean("requestor", matches!(which, Agent::User));
        if let (Agent::User, Ended::Permitted(bases)) = (which, self.ended) {
            agent.texts("policy", bases.iter().map(policy));
        }
        agent.object("network", |written| {
            let Some(network) = network else { return };
            let (address, kind) = match network {
                Network::Domain(name) => (name, "1"),
                Network::Ip(address) => (address, "2"),
                Network::Uri(uri) => (uri, "5"),
            };
            written.text("address", address);
            written.text("type", kind);
        });
        if let Agent::User = which {
            agent.list("purposeOfUse", [purpose(self.purpose)], concept);
        }
    }

    fn entities(&self) -> Vec<Entity<'_>> {
        let query = match self.act {
            Act::Search(query) => Some(Entity::Query(query)),
            _ => None,
        };
        let has_patient = self.patient.is_some() || !self.details().is_empty();
        let mut entities = Vec::with_capacity(self.records.len() + 3);
        entities.extend(has_patient.then_some(Entity::Patient(self.patient)));
        entities.extend(query);
        entities.extend(self.records.iter().map(|record| Entity::Data(record)));
        entities.extend(self.request_id.map(Entity::Request));
        entities
    }

    fn entity(&self, entity: &mut Object<'_>, which: Entity<'_>) {
        let (kind, role) = match which {
            Entity::Patient(_) => ((ENTITY_TYPE, "1"), "1"),
            Entity::Query(_) => ((ENTITY_TYPE, "2"), "24"),
            Entity::Data(_) => ((ENTITY_TYPE, "2"), "4"),
            Entity::Request(_) => ((BALP_ENTITY, "XrequestId"), ""),
        };
        entity.object("what", |what| match which {
            Entity::Patient(patient) => what.text_if("reference", patient),
            Entity::Data(record) => what.text("reference", record),
            Entity::Request(id) => {
                what.object("identifier", |identifier| identifier.text("value", id));
            }
            Entity::Query(_) => {}
        });
        entity.object("type", |written| coding(written, kind));
        if !role.is_empty() {
            entity.object("role", |written| coding(written, (OBJECT_ROLE, role)));
        }
        match which {
            Entity::Query(query) => entity.base64("query", query),
            Entity::Patient(_) => {
                entity.list("detail", self.details(), |detail, (name, value)| {
                    detail.text("type", name);
                    detail.text("valueString", &value);
                });
            }
            Entity::Data(_) | Entity::Request(_) => {}
        }
    }

    /// What FHIR has no element for.
    fn details(&self) -> Vec<(&'static str, String)> {
        let categories = self.categories.iter();
        let mut details: Vec<_> = categories
            .map(|category| (CATEGORY, category.to_string()))
            .collect();
        let session = self.session.map(|id| id.to_string());
        details.extend(session.map(|id| ("urn:ithaca:break-glass", id)));
        if self.stale {
            details.push(("urn:ithaca:ledger-view", "stale".to_owned()));
        }
        details
    }
}

/// A basis as the URI of a policy.
fn policy(basis: &Basis) -> String {
    match basis {
        Basis::Grant(id) => format!("urn:ithaca:grant:{id}"),
        Basis::Policy(rule) => format!("urn:ithaca:policy:{rule}"),
        Basis::Law(rule) => format!("urn:ithaca:law:{rule}"),
        Basis::OptOutNotExercised(rule) => format!("urn:ithaca:opt-out-not-exercised:{rule}"),
        Basis::BreakGlass => "urn:ithaca:break-glass".to_owned(),
        Basis::Controller(slot) => format!("urn:ithaca:controller:{slot}"),
        Basis::SystemProjection => "urn:ithaca:system-projection".to_owned(),
    }
}

impl fmt::Debug for Act<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, subtypes, action) = self.words();
        let word = subtypes.last().map_or("", |(_, code)| *code);
        write!(f, "Act({action} {word})")
    }
}

impl fmt::Debug for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network(<redacted>)")
    }
}

impl fmt::Debug for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, _) = self.words();
        write!(f, "Ended({code} <redacted>)")
    }
}

impl fmt::Debug for Disclosed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosed")
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
