//! Making, changing, reading and ending subscriptions.
//!
//! A subscription is its subscriber's: the same person, at the same institution, bound to the same subject. Nobody
//! else sees it but privacy officers, who read and end all of them, without the values of headers.

use super::rows::{Kept, State, kept_name};
use super::stated::{Criteria, Said, Stated, Wanted, without_headers};
use super::{
    FhirSubscribe, MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_EACH, SUBSCRIPTION, SubscriptionId,
    Subscriptions, invalid,
};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error, Problem};
use crate::fhir::read::unknown;
use crate::fhir::search::{page_size, refused, stale_link};
use crate::fhir::{
    FhirAct, FhirAsker, FhirFound, FhirOutcome, FhirPage, FhirRead, FhirReadDone, FhirResource,
    FhirSearch, FhirTarget, FhirWritten, Interaction,
};
use crate::record::Content;
use ::fhir::Parsed;
use ::fhir::search::{Handling, Query, Summary};
use codec::id::{RecordId, SubjectId};
use codec::time::Millis;
use consent::{Purpose, Role};
use institution_policy::Action;
use keys::Zeroizing;
use store::Store;
use vault::NodeRow;

/// Who may subscribe. What they are told of is decided for each notification.
const SUBSCRIBERS: [Role; 9] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Desk,
    Role::Researcher,
    Role::PrivacyOfficer,
    Role::Controller,
];
const DAY_MS: u64 = 86_400_000;
/// How often a subscription that somebody else changed is read again.
const ATTEMPTS: usize = 8;

/// A subscription as it was read.
type Found = (Kept, Zeroizing<Vec<u8>>);

/// The answer to a Subscription among the entries of a transaction.
pub(crate) fn not_atomic(at: usize) -> Error {
    Error::invalid(
        "FHIR Bundle",
        &format!("Bundle.entry[{at}]"),
        "a Subscription is no part of a transaction: send it by itself, or in a batch",
    )
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_subscribe(&self, input: FhirSubscribe) -> Result<FhirWritten, Error> {
        let caller = &input.asker.caller;
        self.own_staff(caller)?;
        self.in_service()?;
        caller.needs("subscribing", &SUBSCRIBERS)?;
        // One is made under an id of the server's alone: whatever else changes it.
        let action = input.write.act.action().unwrap_or(Action::Update);
        self.house_lets(caller, action, SUBSCRIPTION)?;
        let _turn = self.subscribed.turn.lock().await;
        let (id, found, if_match) = match &input.write.act {
            FhirAct::Create {
                if_none_exist: Some(_),
                ..
            } => return Err(invalid("", "a Subscription is not sent on condition")),
            FhirAct::Create { .. } => (SubscriptionId::new(self.ambient.random()), None, None),
            FhirAct::Update {
                target, if_match, ..
            }
            | FhirAct::Patch {
                target, if_match, ..
            }
            | FhirAct::Delete { target, if_match } => {
                let FhirTarget::Id(id) = target else {
                    return Err(invalid("", "name the Subscription by its id"));
                };
                let id: SubscriptionId = id.parse().map_err(|_| unknown())?;
                let found = self.subscription(&id).await?.ok_or_else(unknown)?;
                let is_officer = caller.has(Role::PrivacyOfficer) && input.write.act.is_deletion();
                if !found.0.is_of(caller) && !is_officer {
                    return Err(unknown());
                }
                (id, Some(found), *if_match)
            }
        };
        if let (Some(expected), Some((kept, _))) = (if_match, &found)
            && expected != kept.version
        {
            return Err(Conflict::Version {
                record: RecordId::new([0; RecordId::LEN]),
                version: kept.version,
            }
            .into());
        }
        let content = match (&input.write.act, &found) {
            (FhirAct::Create { content, .. } | FhirAct::Update { content, .. }, _) => {
                content.clone()
            }
            (FhirAct::Patch { operations, .. }, Some((kept, _))) => {
                let limits = json::Limits::default();
                let patched = json::patch(&kept.content, operations.as_bytes(), &limits);
                let refused =
                    |error: json::PatchError| Error::invalid("JSON Patch", "", error.to_string());
                Content::new(patched.map_err(refused)?)
            }
            (FhirAct::Delete { .. } | FhirAct::Patch { .. }, found) => {
                return self.subscription_ended(&id, found.as_ref()).await;
            }
        };
        let outcome = match found {
            None => FhirOutcome::Created,
            Some(_) => FhirOutcome::Updated,
        };
        let kept = self
            .subscription_stated(&input, &id, found.as_ref(), &content)
            .await?;
        if found.is_none() || kept.state == State::Active {
            self.subscription_room(&id, caller).await?;
        }
        // What failed before is tried anew, for attempts are those of a version.
        let row = NodeRow {
            name: kept_name(&id),
            expected: found.map(|(_, row)| row),
            value: Some(kept.row()),
        };
        self.rows_change(vec![row]).await?;
        self.subscriptions_watch().await?;
        self.wakes.subscriptions.wake();
        let resource = shown(&id, &kept, caller)?;
        Ok(FhirWritten {
            outcome,
            resource: Some(resource),
        })
    }

    /// A subscription as its subscriber wants it, checked.
    async fn subscription_stated(
        &self,
        input: &FhirSubscribe,
        id: &SubscriptionId,
        found: Option<&Found>,
        content: &Content,
    ) -> Result<Kept, Error> {
        check(content, id, found.is_some(), input.strict)?;
        let asker = &input.asker;
        let stated = Stated::read(content.as_bytes(), &asker.base)?;
        let reader = self.subscription_reader(asker, &stated.criteria).await?;
        let now = self.facts().at();
        let subscriptions = self.subscriptions.as_ref();
        let (state, status) = match stated.wanted {
            Wanted::Off => (State::Off, "off"),
            Wanted::On => {
                self.endpoint_check(subscriptions, &stated.endpoint)?;
                if stated.end.is_some_and(|end| end <= now) {
                    return Err(invalid("end", "it lies in the past"));
                }
                (State::Active, "active")
            }
        };
        let days = subscriptions.map_or(1, |subscriptions| subscriptions.days);
        let longest = now.saturating_add(u64::from(days).saturating_mul(DAY_MS));
        let limits = [stated.end, input.until_ms.map(Millis::new), Some(longest)];
        let until = limits.into_iter().flatten().min().unwrap_or(longest);
        let version = found.map_or(0, |(kept, _)| kept.version).saturating_add(1);
        let updated = self.now();
        let said = Said {
            id,
            version,
            updated,
            status,
            error: None,
            end: until,
        };
        Ok(Kept {
            version,
            updated,
            state,
            until,
            content: said.in_content(content.as_bytes())?,
            actor: reader.caller.actor,
            bound_to: reader.caller.subject,
            purpose: reader.purpose,
            base: reader.base,
            patient: reader.patient,
            scopes: reader.scopes.to_string(),
            launched: reader.launched,
            credential: input.credential.clone(),
        })
    }

    /// Who reads what is subscribed to: a notification tells what a search finds and a reading gives.
    async fn subscription_reader(
        &self,
        asker: &FhirAsker,
        criteria: &Criteria,
    ) -> Result<FhirAsker, Error> {
        let mut patient_only = false;
        for (interaction, named) in [(Interaction::Search, "search"), (Interaction::Read, "read")] {
            let reach = asker.scopes.permits(interaction, &criteria.kind);
            let reach = reach.ok_or(Error::ScopeLacks {
                interaction: named,
                kind: criteria.kind.clone(),
            })?;
            patient_only |= reach.patient_only;
        }
        // A token that is bound to a subject is confined by that.
        let patient = match patient_only && asker.caller.subject.is_none() {
            true => Some(asker.launched.clone().ok_or(Error::OutOfScope)?),
            false => None,
        };
        if asker.purpose == Some(Purpose::Btg) {
            let said = "an emergency ends; nothing is subscribed to in one";
            return Err(invalid("", said));
        }
        let reader = FhirAsker {
            patient,
            interaction: Interaction::Read,
            ..asker.clone()
        };
        // Whoever is confined to somebody who is not here is told so now.
        self.fhir_confined(&reader).await?;
        Ok(reader)
    }

    fn endpoint_check(
        &self,
        subscriptions: Option<&Subscriptions>,
        endpoint: &str,
    ) -> Result<(), Error> {
        let why = match subscriptions {
            None => Some(
                "this node takes no subscriptions: its configuration lists no endpoints".to_owned(),
            ),
            Some(subscriptions) => subscriptions.notifier.refuses(endpoint),
        };
        match why {
            Some(why) => Err(invalid("channel.endpoint", why)),
            None => Ok(()),
        }
    }

    /// Refuses one more than a node, or a caller, may have.
    async fn subscription_room(&self, id: &SubscriptionId, caller: &Caller) -> Result<(), Error> {
        let mut all = self.subscriptions_kept().await?;
        all.retain(|(other, _, _)| other != id);
        let own = all.iter().filter(|(_, _, kept)| kept.is_of(caller)).count();
        if own >= MAX_SUBSCRIPTIONS_EACH {
            let said = format!(
                "{own} Subscriptions of this caller's are kept, as many as one may have; delete one first"
            );
            return Err(invalid("", said));
        }
        if all.len() >= MAX_SUBSCRIPTIONS {
            return Err(Error::Busy {
                in_flight: all.len(),
            });
        }
        Ok(())
    }

    async fn subscription_ended(
        &self,
        id: &SubscriptionId,
        found: Option<&Found>,
    ) -> Result<FhirWritten, Error> {
        let (kept, row) = found.ok_or_else(unknown)?;
        self.vault.node_row_remove(&kept_name(id), row).await?;
        self.subscriptions_watch().await?;
        // What waits is removed by the pump.
        self.wakes.subscriptions.wake();
        Ok(FhirWritten {
            outcome: FhirOutcome::Deleted,
            resource: Some(FhirResource {
                kind: SUBSCRIPTION.to_owned(),
                id: id.to_string(),
                version: kept.version,
                updated_ms: kept.updated.get(),
                content: None,
                is_subset: false,
            }),
        })
    }

    pub(super) async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Found>, Error> {
        let Some(row) = self.vault.node_row(&kept_name(id)).await? else {
            return Ok(None);
        };
        let kept = codec::from_slice(&row).map_err(|_| super::rows::damaged())?;
        Ok(Some((kept, row)))
    }

    /// The server ends a subscription that is on: why, if it is given up.
    pub(crate) async fn subscription_end(
        &self,
        id: &SubscriptionId,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let _turn = self.subscribed.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let Some((mut kept, row)) = self.subscription(id).await? else {
                return Ok(());
            };
            if kept.state != State::Active {
                return Ok(());
            }
            kept.version = kept.version.saturating_add(1);
            kept.updated = self.now();
            kept.state = match error {
                Some(_) => State::Failed,
                None => State::Off,
            };
            let said = Said {
                id,
                version: kept.version,
                updated: kept.updated,
                status: if error.is_some() { "error" } else { "off" },
                error,
                end: kept.until,
            };
            kept.content = said.in_content(&kept.content)?;
            let put = NodeRow {
                name: kept_name(id),
                expected: Some(row),
                value: Some(kept.row()),
            };
            match self.rows_change(vec![put]).await {
                Err(Error::Conflict(_)) => {}
                done => {
                    done?;
                    if let Some(why) = error {
                        tracing::warn!(subscription = %id, why, "a subscription was given up");
                    }
                    return Ok(self.subscriptions_watch().await?);
                }
            }
        }
        Err(Error::Internal("a subscription that keeps changing"))
    }

    /// A Subscription by its id; none if there is none of that id, or none for this caller.
    pub(crate) async fn subscription_read(
        &self,
        input: &FhirRead,
    ) -> Result<Option<FhirReadDone>, Error> {
        let Ok(id) = input.id.parse::<SubscriptionId>() else {
            return Ok(None);
        };
        let Some((kept, _)) = self.subscription(&id).await? else {
            return Ok(None);
        };
        let caller = &input.asker.caller;
        if !sees(caller, &kept) || input.version.is_some_and(|v| v != kept.version) {
            return Err(unknown());
        }
        let resource = shown(&id, &kept, caller)?;
        if !is_reached(&input.asker, &resource)? {
            return Err(unknown());
        }
        Ok(Some(FhirReadDone {
            disclosure: None,
            resource,
        }))
    }

    /// A page of the Subscriptions that the caller may see, in the order of their ids.
    pub(crate) async fn subscriptions_page(
        &self,
        input: &FhirSearch,
        handling: Handling,
    ) -> Result<FhirPage, Error> {
        let asker = &input.asker;
        let query =
            Query::parse(SUBSCRIPTION, &input.query, handling, &asker.base).map_err(refused)?;
        let is_count = query.results().summary == Summary::Count;
        let after: Option<SubscriptionId> = match &input.after {
            Some(after) => Some(after.parse().map_err(|_| stale_link())?),
            None => None,
        };
        let mut found = Vec::new();
        for (id, _, kept) in self.subscriptions_kept().await? {
            if !sees(&asker.caller, &kept) {
                continue;
            }
            let resource = shown(&id, &kept, &asker.caller)?;
            if is_reached(asker, &resource)? && matches(&query, &resource)? {
                found.push((id, resource));
            }
        }
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
        found.retain(|(id, _)| after.is_none_or(|after| *id > after));
        let count = match is_count {
            true => 0,
            false => page_size(&query),
        };
        let is_more = found.len() > count && count > 0;
        found.truncate(count);
        let next = found
            .last()
            .filter(|_| is_more)
            .map(|(id, _)| id.to_string());
        let found = found.into_iter().map(|(_, resource)| FhirFound {
            resource,
            is_include: false,
        });
        Ok(FhirPage {
            found: found.collect(),
            total: Some(total),
            next,
            understood: Vec::new(),
            ignored: Vec::new(),
        })
    }

    /// Removes the subscriptions that are about a subject and nobody else. What others wait to hear of it lies in its
    /// compartment and dies with it.
    pub(crate) async fn subscriptions_forget(&self, subject: &SubjectId) -> Result<(), Error> {
        {
            let _turn = self.subscribed.turn.lock().await;
            for (id, _, kept) in self.subscriptions_kept().await? {
                if self.subscription_is_about(&kept, subject).await? {
                    self.vault.node_rows_remove(&[kept_name(&id)]).await?;
                }
            }
            self.subscriptions_watch().await?;
        }
        self.wakes.subscriptions.wake();
        Ok(())
    }

    async fn subscription_is_about(&self, kept: &Kept, subject: &SubjectId) -> Result<bool, Error> {
        if kept.bound_to == Some(*subject) {
            return Ok(true);
        }
        let mut named: Vec<String> = kept.patient.iter().cloned().collect();
        if let Ok(stated) = Stated::read(&kept.content, &kept.base)
            && let Ok(query) = stated.criteria.query(&kept.base)
        {
            named.extend(query.patients().into_iter().flatten());
        }
        // One that names others too goes on for them.
        let mut is_named = false;
        for patient in &named {
            match self.fhir_patient(patient).await? {
                Some(named) if named != *subject => return Ok(false),
                found => is_named |= found.is_some(),
            }
        }
        Ok(is_named)
    }
}

/// Whether a caller may know of a subscription.
fn sees(caller: &Caller, kept: &Kept) -> bool {
    let is_here = caller.actor.institution == kept.actor.institution;
    kept.is_of(caller) || is_here && caller.has(Role::PrivacyOfficer) && caller.subject.is_none()
}

/// A subscription as this caller is told it.
fn shown(id: &SubscriptionId, kept: &Kept, caller: &Caller) -> Result<FhirResource, Error> {
    let is_own = kept.is_of(caller);
    let content = match is_own {
        true => kept.content.clone(),
        false => without_headers(&kept.content)?,
    };
    Ok(FhirResource {
        kind: SUBSCRIPTION.to_owned(),
        id: id.to_string(),
        version: kept.version,
        updated_ms: kept.updated.get(),
        content: Some(Content::new(content)),
        is_subset: false,
    })
}

fn is_reached(asker: &FhirAsker, resource: &FhirResource) -> Result<bool, Error> {
    let parsed = parsed(resource)?;
    Ok(asker.scopes_reach(&parsed, resource.updated_ms))
}

fn matches(query: &Query, resource: &FhirResource) -> Result<bool, Error> {
    Ok(query.matches(&parsed(resource)?, resource.updated_ms))
}

fn parsed(resource: &FhirResource) -> Result<Parsed<'_>, Error> {
    let content = resource
        .content
        .as_ref()
        .map_or(&b""[..], Content::as_bytes);
    Parsed::parse(content).map_err(|_| super::rows::damaged())
}

/// Refuses what is no Subscription of R4, or another one than is changed.
fn check(
    content: &Content,
    id: &SubscriptionId,
    is_there: bool,
    strict: bool,
) -> Result<(), Error> {
    let parsed =
        Parsed::parse(content.as_bytes()).map_err(|error| invalid("", error.to_string()))?;
    if parsed.resource_type() != SUBSCRIPTION {
        return Err(invalid("", "it is not a Subscription, as the address says"));
    }
    if is_there && parsed.id().is_some_and(|own| own != id.to_string()) {
        return Err(invalid("id", "it differs from the id in the address"));
    }
    let problems = crate::fhir::check::problems(&parsed, strict);
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.into_iter();
    Err(Error::Invalid {
        what: "FHIR Subscription",
        problems_found: problems
            .map(|(path, message)| Problem { path, message })
            .collect(),
    })
}
