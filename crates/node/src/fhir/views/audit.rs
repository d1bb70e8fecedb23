//! `AuditEvent` of every disclosure, refusal and act, for those who may list a subject's disclosures: what they
//! are shown in a list they are shown here, by the same rules.

use super::{AUDIT_EVENT, Made, Named, compound, one_patient, parted};
use crate::custodian::Custodian;
use crate::disclosure::log::Trail;
use crate::error::Error;
use crate::fhir::open::Reading;
use crate::fhir::read::unknown;
use crate::fhir::{FhirAsker, FhirRead, FhirReadDone, FhirResource, FhirSearch};
use crate::record::Content;
use ::fhir::Parsed;
use ::fhir::search::{self, Query};
use codec::id::{DisclosureId, RecordId, SubjectId};
use codec::{Category, Date, Millis};
use consent::{Basis, Denial, Role};
use mirror::{Act, Disclosed, Ended, audit_event};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{LoggedDisclosure, Parts};

/// Disclosures that one search looks through.
const LOOKED_AT: usize = 50_000;
/// A day, and more than any time zone is away from another.
const DAYS_MS: u64 = 2 * 86_400_000;

/// One subject's events, while they are made.
struct Subject {
    id: SubjectId,
    /// The Patient, as it is called here.
    patient: Option<String>,
    /// Whether everything that was missing is told.
    tells_all: bool,
    /// What records are called here, as far as it was looked up.
    names: BTreeMap<RecordId, String>,
}

impl<S: Store> Custodian<S> {
    /// The event of a disclosure, if the id is one's: an event's, or the disclosure's own for who is confined to
    /// one subject.
    pub(crate) async fn audit_event_read(
        &self,
        input: &FhirRead,
    ) -> Result<Option<FhirReadDone>, Error> {
        let confined = self.fhir_confined(&input.asker).await?;
        let (id, subject) = match parted::<DisclosureId>(&input.id) {
            Some(named) => named,
            None => {
                let stored = self.fhir_place(AUDIT_EVENT, &input.id).await?;
                match (input.id.parse(), confined, stored) {
                    (Ok(id), Some(own), None) => (id, own),
                    _ => return Ok(None),
                }
            }
        };
        if confined.is_some_and(|own| own != subject) {
            return Err(Error::OutOfScope);
        }
        let trail = self.trail(&input.asker.caller, &subject).await?;
        if !trail.shows(&id) || input.version.is_some_and(|version| version != 1) {
            return Err(unknown());
        }
        let logged = self.vault.disclosure(&subject, &id).await?;
        let mut of = self.audited(&input.asker, subject, None).await?;
        let resource = self.audit_event_of(&mut of, &logged).await?;
        if !super::is_reached(&input.asker, &resource) {
            return Err(unknown());
        }
        Ok(Some(FhirReadDone {
            disclosure: trail.logged,
            resource,
        }))
    }

    /// The events of the subject that a search is about, the newest first.
    pub(super) async fn audit_events(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        input: &FhirSearch,
        mark: Option<&str>,
        limit: usize,
    ) -> Result<Made, Error> {
        let Some((subject, patient)) = self.audit_subject(reading, query, input).await? else {
            return Ok(Made::nothing());
        };
        newest_first(&input.query)?;
        let trail = self.trail(&input.asker.caller, &subject).await?;
        let mark = mark.map(Mark::parse).transpose()?;
        let (from, mut until) = window(&input.query);
        if let Some(mark) = &mark {
            until = until.min(Millis::new(mark.at.get().saturating_add(1)));
        }
        let mut logged = self.trail_between(&trail, &subject, from, until).await?;
        if let Some(mark) = &mark {
            logged.retain(|one| Mark::of(one) < *mark);
        }
        logged.sort_by_key(|one| std::cmp::Reverse(Mark::of(one)));
        let mut of = self.audited(&input.asker, subject, patient).await?;
        let mut resources = Vec::new();
        let mut last = None;
        for logged in logged {
            let made = self.audit_event_of(&mut of, &logged).await?;
            let Some(content) = &made.content else {
                continue;
            };
            let parsed = Parsed::parse(content.as_bytes())
                .map_err(|_| Error::Internal("an event that does not parse"))?;
            let wanted = query.matches(&parsed, made.updated_ms)
                && input.asker.scopes_reach(&parsed, made.updated_ms);
            if !wanted {
                continue;
            }
            if resources.len() == limit {
                return Ok(Made {
                    resources,
                    next: last,
                });
            }
            last = Some(Mark::of(&logged).text());
            resources.push(made);
        }
        Ok(Made {
            resources,
            next: None,
        })
    }

    /// What of a subject's trail is shown of a time.
    async fn trail_between(
        &self,
        trail: &Trail,
        subject: &SubjectId,
        from: Millis,
        until: Millis,
    ) -> Result<Vec<LoggedDisclosure>, Error> {
        let (mut logged, truncated) = self
            .vault
            .disclosure_list(subject, from, until, LOOKED_AT)
            .await?;
        if truncated {
            return Err(Error::Query {
                parameter: "date".to_owned(),
                message: format!("more than {LOOKED_AT} events; ask for less time with ge and le"),
            });
        }
        logged.retain(|one| trail.shows(&one.disclosure.id));
        Ok(logged)
    }

    /// Whose events a search is about, with the Patient that it names; none if it is about none that this asker
    /// may ask about.
    async fn audit_subject(
        &self,
        reading: &Reading<'_, S>,
        query: &Query,
        input: &FhirSearch,
    ) -> Result<Option<(SubjectId, Option<String>)>, Error> {
        let of_id = |id: &str| parted::<DisclosureId>(id).map(|(_, subject)| subject);
        match self.named(reading.confined(), query, input, of_id).await? {
            Named::Subject(subject, patient) => return Ok(Some((subject, patient))),
            Named::Unknown => return Ok(None),
            Named::Nobody => {}
        }
        let caller = &input.asker.caller;
        let by_office = caller.has(Role::PrivacyOfficer) || caller.has(Role::Auditor);
        match reading.confined() {
            Some(own) if by_office || caller.has(Role::Controller) => Ok(Some((own, None))),
            None if by_office => Err(one_patient()),
            // Whoever may not list disclosures finds what was stored, and no more.
            _ => Ok(None),
        }
    }

    async fn audited(
        &self,
        asker: &FhirAsker,
        subject: SubjectId,
        patient: Option<String>,
    ) -> Result<Subject, Error> {
        let patient = match patient {
            Some(patient) => Some(patient),
            None => self.patient_of(&subject).await?,
        };
        Ok(Subject {
            id: subject,
            patient: patient.map(|id| format!("Patient/{id}")),
            tells_all: asker.caller.has(Role::Auditor),
            names: BTreeMap::new(),
        })
    }

    /// The id of the Patient in a compartment, the first if there are several.
    pub(super) async fn patient_of(&self, subject: &SubjectId) -> Result<Option<String>, Error> {
        let term = search::type_term("Patient");
        let mut found = self.vault.search_within(subject, &term, 64).await?;
        found.sort_by_key(|posting| posting.record);
        let Some(first) = found.first() else {
            return Ok(None);
        };
        let name = self.record_name(subject, &first.record).await?;
        Ok(name.strip_prefix("Patient/").map(str::to_owned))
    }

    /// What a record is called here: type and id of a resource, or an identifier of this node's own.
    pub(super) async fn record_name(
        &self,
        subject: &SubjectId,
        record: &RecordId,
    ) -> Result<String, Error> {
        let stored = self
            .vault
            .record_get(subject, record, None, &Parts::Stored)
            .await;
        let opened = match stored {
            Ok(opened) => opened,
            Err(vault::Error::SubjectErased | vault::Error::RecordUnknown(_)) => {
                return Ok(format!("{}:{record}", mirror::names::RECORD));
            }
            Err(error) => return Err(error.into()),
        };
        let part = opened.parts.first();
        let parsed = part.and_then(|part| Parsed::parse(part.bytes()).ok());
        let named = parsed
            .filter(|_| ::fhir::is_resource_type(&opened.meta.kind))
            .and_then(|parsed| Some(format!("{}/{}", opened.meta.kind, parsed.id()?)));
        Ok(named.unwrap_or_else(|| format!("{}:{record}", mirror::names::RECORD)))
    }

    async fn audit_event_of(
        &self,
        of: &mut Subject,
        logged: &LoggedDisclosure,
    ) -> Result<FhirResource, Error> {
        let disclosure = &logged.disclosure;
        for record in &disclosure.records {
            if !of.names.contains_key(record) {
                let name = self.record_name(&of.id, record).await?;
                of.names.insert(*record, name);
            }
        }
        let records = disclosure.records.iter();
        let records: Vec<&str> = records
            .filter_map(|record| of.names.get(record).map(String::as_str))
            .collect();
        let bases: Vec<Basis>;
        let missing;
        let categories: BTreeSet<Category>;
        let ended = match &disclosure.outcome {
            vault::Outcome::Permitted(because) => {
                bases = because.iter().map(|one| one.basis.clone()).collect();
                let disclosed = because.iter().flat_map(|one| one.categories.iter());
                categories = disclosed.copied().collect();
                Ended::Permitted(&bases)
            }
            vault::Outcome::Refused(all) => {
                let denial = Denial {
                    missing: all.clone(),
                };
                missing = match of.tells_all {
                    true => denial.missing,
                    false => denial.for_asker().missing,
                };
                categories = disclosure.request.selection.categories.clone();
                Ended::Refused(&missing)
            }
        };
        let categories: Vec<Category> = categories.into_iter().collect();
        let id = compound(&disclosure.id, &of.id);
        let content = audit_event(&Disclosed {
            id: disclosure.id,
            event: Some(&id),
            at: disclosure.at,
            act: act(disclosure.channel.as_deref()),
            ended,
            purpose: disclosure.request.purpose,
            actor: &disclosure.request.actor,
            client: None,
            client_at: None,
            custodian: self.id,
            custodian_at: None,
            patient: of.patient.as_deref(),
            categories: &categories,
            records: &records,
            request_id: None,
            session: disclosure.session,
            stale: disclosure.stale,
        });
        Ok(FhirResource {
            kind: AUDIT_EVENT.to_owned(),
            id,
            version: 1,
            updated_ms: disclosure.at.get(),
            content: Some(Content::new(content)),
            is_subset: false,
        })
    }
}

/// What was done, by the word under which it was logged.
fn act(channel: Option<&str>) -> Act<'_> {
    match channel {
        None | Some("fhir-read") => Act::Read,
        // Of a search the log keeps who and whose, not what was asked.
        Some("fhir-search") => Act::Search(b""),
        Some("fhir-history") => Act::History,
        Some("fhir-everything") => Act::Operation("everything"),
        Some("share") => Act::Disclosure,
        Some("export") => Act::Export,
        Some(other) => Act::Other(other),
    }
}

/// Where an event stands among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    at: Millis,
    id: DisclosureId,
}

impl Mark {
    fn of(logged: &LoggedDisclosure) -> Self {
        Self {
            at: logged.disclosure.at,
            id: logged.disclosure.id,
        }
    }

    fn text(self) -> String {
        format!("{}-{}", self.at.get(), self.id)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let read = || {
            let (at, id) = text.split_once('-')?;
            Some(Self {
                at: Millis::new(at.parse().ok()?),
                id: id.parse().ok()?,
            })
        };
        read().ok_or_else(crate::fhir::search::stale_link)
    }
}

/// The time that a search cannot be about events outside of, roughly: what matches is decided by each event.
fn window(pairs: &[(String, String)]) -> (Millis, Millis) {
    let (mut from, mut until) = (Millis::ZERO, Millis::new(u64::MAX));
    for (_, value) in pairs.iter().filter(|(name, _)| name == "date") {
        let (prefix, rest) = match value.split_at_checked(2) {
            Some((prefix @ ("ge" | "gt" | "le" | "lt"), rest)) => (prefix, rest),
            _ => continue,
        };
        let day = rest.get(..10).and_then(|day| day.parse::<Date>().ok());
        let Some(start) = day.and_then(Date::start) else {
            continue;
        };
        match prefix {
            "ge" | "gt" => from = from.max(start.saturating_sub(DAYS_MS)),
            _ => until = until.min(Millis::new(start.get().saturating_add(DAYS_MS))),
        }
    }
    (from, until)
}

/// Refuses an order that events do not come in.
fn newest_first(pairs: &[(String, String)]) -> Result<(), Error> {
    let sort = pairs.iter().find(|(name, _)| name == "_sort");
    match sort.map(|(_, order)| order.as_str()) {
        None | Some("-date" | "-_lastUpdated") => Ok(()),
        Some(_) => Err(Error::Query {
            parameter: "_sort".to_owned(),
            message: "events come the newest first (-date)".to_owned(),
        }),
    }
}
