//! `Consent` of what a family decided: each grant, running or over, its opt-outs, and the restriction of
//! processing. Shown to those to whom the consent state is shown, and read back from it.

use super::{CONSENT, Named, compound, is_reached, parted, read_spelled, spelled};
use crate::consent_change::ConsentQuery;
use crate::custodian::{Custodian, Standing};
use crate::error::Error;
use crate::fhir::read::unknown;
use crate::fhir::search::{page_size, refused, stale_link};
use crate::fhir::{
    FhirAsker, FhirFound, FhirPage, FhirRead, FhirReadDone, FhirResource, FhirSearch,
};
use crate::record::Content;
use crate::record::deposit::kind;
use ::fhir::Parsed;
use ::fhir::search::{Handling, Query, Summary};
use codec::Millis;
use codec::id::{GrantId, RecordId, SubjectId};
use consent::{Exception, Grant, RecordKind};
use mirror::{Frame, consent_write, opt_outs_write, restriction_write};
use std::collections::BTreeMap;
use store::Store;
use vault::ConsentOpening;

/// Earlier states that are looked through for grants that are over.
const STATES_MAX: usize = 10_000;
const OPT_OUTS: &str = "opt-outs-";
const RESTRICTION: &str = "restriction-";

/// Which Consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConsentId {
    /// Of grant and subject ([`compound`]).
    Grant(GrantId, SubjectId),
    /// `opt-outs-` and the subject.
    OptOuts(SubjectId),
    /// `restriction-` and the subject.
    Restriction(SubjectId),
}

impl ConsentId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let subject = |text: &str| match read_spelled(text)?.split_first() {
            Some((0, subject)) => SubjectId::try_from(subject).ok(),
            _ => None,
        };
        if let Some(text) = text.strip_prefix(OPT_OUTS) {
            return subject(text).map(Self::OptOuts);
        }
        if let Some(text) = text.strip_prefix(RESTRICTION) {
            return subject(text).map(Self::Restriction);
        }
        parted(text).map(|(grant, subject)| Self::Grant(grant, subject))
    }

    pub(super) fn subject(&self) -> SubjectId {
        match self {
            Self::Grant(_, subject) | Self::OptOuts(subject) | Self::Restriction(subject) => {
                *subject
            }
        }
    }

    pub(super) fn text(&self) -> String {
        // A multiple of three bytes, so that nothing is filled up.
        let of = |subject: &SubjectId| spelled(&[&[0], subject.as_bytes().as_slice()].concat());
        match self {
            Self::Grant(grant, subject) => compound(grant, subject),
            Self::OptOuts(subject) => format!("{OPT_OUTS}{}", of(subject)),
            Self::Restriction(subject) => format!("{RESTRICTION}{}", of(subject)),
        }
    }
}

/// A grant with the states that made and ended it.
struct Agreed<'s> {
    grant: &'s Grant,
    made: &'s ConsentOpening,
    ended: Option<&'s ConsentOpening>,
}

impl<S: Store> Custodian<S> {
    /// The Consent that an id names: for who is confined to one subject, a grant's own id is enough.
    pub(super) async fn consent_id(
        &self,
        asker: &FhirAsker,
        text: &str,
    ) -> Result<Option<ConsentId>, Error> {
        let confined = self.fhir_confined(asker).await?;
        let id = match (ConsentId::parse(text), text.parse(), confined) {
            (Some(id), ..) => id,
            (None, Ok(grant), Some(own)) if self.fhir_place(CONSENT, text).await?.is_none() => {
                ConsentId::Grant(grant, own)
            }
            _ => return Ok(None),
        };
        match confined {
            Some(own) if own != id.subject() => Err(Error::OutOfScope),
            _ => Ok(Some(id)),
        }
    }

    pub(crate) async fn consent_made_read(
        &self,
        input: &FhirRead,
    ) -> Result<Option<FhirReadDone>, Error> {
        let Some(id) = self.consent_id(&input.asker, &input.id).await? else {
            return Ok(None);
        };
        let (standing, logged) = self
            .consent_seen(&ConsentQuery {
                caller: input.asker.caller.clone(),
                subject: id.subject(),
            })
            .await?;
        let found = self.consent_of(&standing, &id).await?;
        let resource = found
            .filter(|found| input.version.is_none_or(|v| v == found.version))
            .filter(|found| is_reached(&input.asker, found))
            .ok_or_else(unknown)?;
        Ok(Some(FhirReadDone {
            disclosure: logged,
            resource,
        }))
    }

    /// A page of one subject's Consents. What somebody stored as a document is none of them.
    pub(crate) async fn consent_page(
        &self,
        input: &FhirSearch,
        handling: Handling,
    ) -> Result<FhirPage, Error> {
        let asker = &input.asker;
        let query = Query::parse(CONSENT, &input.query, handling, &asker.base).map_err(refused)?;
        if !query.chains().is_empty() || !query.has().is_empty() {
            return Err(Error::Query {
                parameter: "patient".to_owned(),
                message: "consents are searched without chains; name one patient".to_owned(),
            });
        }
        let confined = self.fhir_confined(asker).await?;
        let of_id = |id: &str| ConsentId::parse(id).map(|id| id.subject());
        let subject = match (self.named(confined, &query, input, of_id).await?, confined) {
            (Named::Subject(subject, _), _) | (Named::Nobody, Some(subject)) => Some(subject),
            (Named::Nobody, None) => return Err(super::one_patient()),
            (Named::Unknown, _) => None,
        };
        let mut found = Vec::new();
        if let Some(subject) = subject {
            let (standing, _) = self
                .consent_seen(&ConsentQuery {
                    caller: asker.caller.clone(),
                    subject,
                })
                .await?;
            for made in self.consents_of(&standing).await? {
                let Some(content) = &made.content else {
                    continue;
                };
                let parsed = Parsed::parse(content.as_bytes())
                    .map_err(|_| Error::Internal("a Consent that does not parse"))?;
                if query.matches(&parsed, made.updated_ms)
                    && asker.scopes_reach(&parsed, made.updated_ms)
                {
                    let key = query.sort_key(&parsed, made.updated_ms);
                    found.push((key, made));
                }
            }
        }
        if !query.is_sorted_by_id_or_none() {
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let total = u64::try_from(found.len()).ok();
        if let Some(after) = &input.after {
            let at = found.iter().position(|(_, made)| made.id == *after);
            found.drain(..=at.ok_or_else(stale_link)?);
        }
        let count = match query.results().summary {
            Summary::Count => 0,
            _ => page_size(&query),
        };
        let is_more = count > 0 && found.len() > count;
        found.truncate(count);
        let last = found.last().map(|(_, made)| made.id.clone());
        let found = found.into_iter().map(|(_, resource)| FhirFound {
            resource,
            is_include: false,
        });
        Ok(FhirPage {
            found: found.collect(),
            total,
            next: last.filter(|_| is_more),
            understood: Vec::new(),
            ignored: Vec::new(),
        })
    }

    pub(super) async fn consent_of(
        &self,
        standing: &Standing,
        id: &ConsentId,
    ) -> Result<Option<FhirResource>, Error> {
        let text = id.text();
        let all = self.consents_of(standing).await?;
        Ok(all.into_iter().find(|made| made.id == text))
    }

    /// Every Consent of a subject, as of the latest accepted state: what is on its way to the ledger is marked
    /// with the tag `pending`; what was revoked is inactive at once.
    async fn consents_of(&self, standing: &Standing) -> Result<Vec<FhirResource>, Error> {
        let subject = standing.latest().subject;
        let history = self.vault.consent_history(&subject, 0, STATES_MAX).await?;
        let view = &standing.view;
        let states = history.iter().chain([&view.finalised]).chain(&view.pending);
        let mut grants: BTreeMap<GrantId, Agreed<'_>> = BTreeMap::new();
        for opening in states {
            for grant in &opening.state.grants {
                grants.entry(grant.id).or_insert(Agreed {
                    grant,
                    made: opening,
                    ended: None,
                });
            }
            for (id, agreed) in &mut grants {
                if opening.state.grant(id).is_none() {
                    agreed.ended.get_or_insert(opening);
                }
            }
        }
        let patient = match self.patient_of(&subject).await? {
            Some(id) => format!("Patient/{id}"),
            None => format!("urn:ithaca:subject:{subject}"),
        };
        let mut made = Vec::new();
        for agreed in grants.values() {
            let id = ConsentId::Grant(agreed.grant.id, subject).text();
            let (version, at) = agreed.version();
            let text = version.to_string();
            let frame = Frame {
                id: Some(&id),
                version: Some((&text, at)),
                patient: &patient,
                at: Some(agreed.made.accepted),
                custodian: self.id,
                is_over: agreed.ended.is_some(),
                is_pending: version == PENDING,
            };
            let kinds = self.kinds_of(&subject, agreed.grant).await?;
            let content = consent_write(agreed.grant, &kinds, &frame);
            made.push(resource(id.clone(), version, at, content));
        }
        let latest = view.pending.last().unwrap_or(&view.finalised);
        let before = &view.finalised.state;
        let now = &latest.state;
        let at = latest.accepted;
        let others = [
            (
                ConsentId::OptOuts(subject),
                before.opted_out != now.opted_out,
            ),
            (
                ConsentId::Restriction(subject),
                before.restricted != now.restricted,
            ),
        ];
        for (id, is_pending) in others {
            let is_pending = is_pending || latest.position.is_none() && now.sequence == 0;
            // A change of the state, and its becoming final.
            let version = now.sequence.saturating_mul(2).saturating_add(2);
            let version = version.saturating_sub(u64::from(is_pending));
            let version = u32::try_from(version).unwrap_or(u32::MAX);
            let (id_text, text) = (id.text(), version.to_string());
            let frame = Frame {
                id: Some(&id_text),
                version: Some((&text, at)),
                patient: &patient,
                at: Some(at),
                custodian: self.id,
                is_over: false,
                is_pending,
            };
            let content = match id {
                ConsentId::OptOuts(_) => opt_outs_write(&now.opted_out, &frame),
                _ => now.restricted.then(|| restriction_write(&frame)),
            };
            made.extend(content.map(|content| resource(id_text.clone(), version, at, content)));
        }
        Ok(made)
    }

    /// The kinds of records that a grant leaves out, where a record goes by its own id.
    async fn kinds_of(
        &self,
        subject: &SubjectId,
        grant: &Grant,
    ) -> Result<BTreeMap<RecordId, RecordKind>, Error> {
        let mut kinds = BTreeMap::new();
        for exception in &grant.exceptions {
            let Exception::Record(record) = exception else {
                continue;
            };
            let name = self.record_name(subject, record).await?;
            if let Some((of, id)) = name.split_once('/')
                && id == record.to_string()
            {
                kinds.insert(*record, kind(of)?);
            }
        }
        Ok(kinds)
    }
}

/// Versions of a grant's Consent: accepted, final, over.
const PENDING: u32 = 1;
const FINAL: u32 = 2;
const OVER: u32 = 3;

impl Agreed<'_> {
    fn version(&self) -> (u32, Millis) {
        match (self.ended, &self.made.position) {
            (Some(ended), _) => (OVER, ended.accepted),
            (None, Some(position)) => (FINAL, self.made.accepted.max(position.time)),
            (None, None) => (PENDING, self.made.accepted),
        }
    }
}

fn resource(id: String, version: u32, at: Millis, content: Vec<u8>) -> FhirResource {
    FhirResource {
        kind: CONSENT.to_owned(),
        id,
        version,
        updated_ms: at.get(),
        content: Some(Content::new(content)),
        is_subset: false,
    }
}
