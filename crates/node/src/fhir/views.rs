//! What the node itself knows, as resources that are stored nowhere: they are made when they are asked for.
//!
//! - `Provenance` of each version of a resource, with the ledger's receipt (`provenance.rs`).
//! - `AuditEvent` of each disclosure, for those who may list them (`audit.rs`).
//! - `Consent` of each grant, the opt-outs and the restriction, for those to whom consent is shown (`consent.rs`);
//!   one that is sent changes consent or is refused (`consent_put.rs`), and is never kept as a document.
//!
//! Of the first two clients may store resources of their own too. A search tells what was made first, then what is
//! stored; their ids cannot be the same, for nobody may choose one that the node makes.

mod audit;
mod consent;
mod consent_names;
mod consent_put;
mod provenance;

pub(crate) use consent_put::not_atomic;

use super::open::Reading;
use super::place::patient_id;
use super::search::refused;
use super::{
    FhirAct, FhirAsker, FhirFound, FhirPage, FhirResource, FhirSearch, FhirTarget, FhirWrite,
};
use crate::custodian::Custodian;
use crate::error::Error;
use ::fhir::Parsed;
use ::fhir::search::{Handling, Query, Summary};
use codec::base64;
use codec::id::{DisclosureId, SubjectId};
use consent::ConsentId;
use provenance::WriteId;
use std::collections::BTreeSet;
use store::Store;

pub(crate) const PROVENANCE: &str = "Provenance";
pub(crate) const AUDIT_EVENT: &str = "AuditEvent";
pub(crate) const CONSENT: &str = "Consent";

/// What marks the place in what is made, as opposed to what is stored.
const MADE: char = '~';

/// A part of what is made: the resources, and the mark of the last if there may be more.
struct Made {
    resources: Vec<FhirResource>,
    next: Option<String>,
}

impl Made {
    fn nothing() -> Self {
        Self {
            resources: Vec::new(),
            next: None,
        }
    }
}

/// The id of what belongs to a subject, which leads to the compartment: its own 16 bytes and the subject's 32 in
/// Base64, 64 letters, with `-` and `.` for what an id of FHIR does not have.
fn compound<I: AsRef<[u8]>>(own: &I, subject: &SubjectId) -> String {
    spelled(&[own.as_ref(), subject.as_bytes()].concat())
}

/// What [`compound`] was made of.
fn parted<I>(text: &str) -> Option<(I, SubjectId)>
where
    I: for<'b> TryFrom<&'b [u8]>,
{
    let bytes = read_spelled(text)?;
    let (own, subject) = bytes.split_at_checked(16)?;
    Some((I::try_from(own).ok()?, SubjectId::try_from(subject).ok()?))
}

/// Bytes, in multiples of three, as part of an id.
fn spelled(bytes: &[u8]) -> String {
    base64::encode(bytes).replace('+', "-").replace('/', ".")
}

fn read_spelled(text: &str) -> Option<Vec<u8>> {
    let is_other = |letter| matches!(letter, '+' | '/' | '=');
    if text.contains(is_other) {
        return None;
    }
    base64::decode(&text.replace('-', "+").replace('.', "/"))
}

/// Whether an id is one that the node makes, so that nobody may choose it.
pub(crate) fn is_made(kind: &str, id: &str) -> bool {
    match kind {
        PROVENANCE => WriteId::parse(id).is_some(),
        AUDIT_EVENT => parted::<DisclosureId>(id).is_some(),
        CONSENT => ConsentId::parse(id).is_some(),
        _ => false,
    }
}

/// Whether the scopes reach what was made.
fn is_reached(asker: &FhirAsker, made: &FhirResource) -> bool {
    let content = made.content.as_ref();
    let parsed = content.and_then(|content| Parsed::parse(content.as_bytes()).ok());
    parsed.is_some_and(|parsed| asker.scopes_reach(&parsed, made.updated_ms))
}

/// Refuses to write what the node makes itself.
pub(crate) fn writable(write: &FhirWrite) -> Result<(), Error> {
    let target = match &write.act {
        FhirAct::Create { .. } => return Ok(()),
        FhirAct::Update { target, .. }
        | FhirAct::Patch { target, .. }
        | FhirAct::Delete { target, .. } => target,
    };
    match target {
        FhirTarget::Id(id) if is_made(&write.kind, id) => Err(Error::invalid(
            "FHIR resource",
            "",
            "this resource tells what the node itself knows; nobody writes it",
        )),
        _ => Ok(()),
    }
}

/// Whom a search is about.
enum Named {
    /// It names nobody.
    Nobody,
    /// It names a Patient who is not here.
    Unknown,
    /// One subject, with the id of the Patient if that was named.
    Subject(SubjectId, Option<String>),
}

fn one_patient() -> Error {
    Error::Query {
        parameter: "patient".to_owned(),
        message: "name one patient whom it is about".to_owned(),
    }
}

impl<S: Store> Custodian<S> {
    /// Whom a search is about, by the Patient it names or by an id that leads to a subject.
    async fn named(
        &self,
        confined: Option<SubjectId>,
        query: &Query,
        input: &FhirSearch,
        of_id: impl Fn(&str) -> Option<SubjectId>,
    ) -> Result<Named, Error> {
        let mut named: BTreeSet<String> = query.patients().into_iter().flatten().collect();
        for (name, value) in &input.query {
            let typed = match name.as_str() {
                "patient" if !value.contains('/') => format!("Patient/{value}"),
                "entity" | "patient" => value.clone(),
                "patient:Patient" | "entity:Patient" => format!("Patient/{value}"),
                _ => continue,
            };
            named.extend(patient_id(&typed, &input.asker.base).map(str::to_owned));
        }
        if named.len() > 1 {
            return Err(one_patient());
        }
        let found = match named.pop_first() {
            Some(patient) => match self.fhir_patient(&patient).await? {
                Some(subject) => (subject, Some(patient)),
                // Whoever is confined to one patient is told the same of all others.
                None if confined.is_some() => return Err(Error::OutOfScope),
                None => return Ok(Named::Unknown),
            },
            None => {
                let ids = query.ids().unwrap_or_default();
                match ids.iter().find_map(|id| of_id(id)) {
                    Some(subject) => (subject, None),
                    None => return Ok(Named::Nobody),
                }
            }
        };
        match confined {
            Some(own) if own != found.0 => Err(Error::OutOfScope),
            _ => Ok(Named::Subject(found.0, found.1)),
        }
    }

    /// A page of a type of which some is made and some is stored.
    pub(crate) async fn page_of_made(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirSearch,
        handling: Handling,
    ) -> Result<FhirPage, Error> {
        let base = &input.asker.base;
        let query = Query::parse(&input.kind, &input.query, handling, base).map_err(refused)?;
        let is_count = query.results().summary == Summary::Count;
        let count = super::search::page_size(&query);
        let limit = match is_count || count == 0 {
            true => usize::MAX,
            false => count,
        };
        let (mark, stored_after) = match input.after.as_deref() {
            None => (Some(None), None),
            Some(after) => match after.strip_prefix(MADE) {
                Some(mark) => (Some(Some(mark)), None),
                None => (None, Some(after)),
            },
        };
        let made = match mark {
            None => Made::nothing(),
            Some(mark) if input.kind == PROVENANCE => {
                self.provenances(reading, &query, input, mark, limit)
                    .await?
            }
            Some(mark) => {
                self.audit_events(reading, &query, input, mark, limit)
                    .await?
            }
        };
        let found = |resource| FhirFound {
            resource,
            is_include: false,
        };
        if let Some(next) = made.next {
            return Ok(FhirPage {
                found: made.resources.into_iter().map(found).collect(),
                total: None,
                next: Some(format!("{MADE}{next}")),
                understood: Vec::new(),
                ignored: Vec::new(),
            });
        }
        // What is stored fills the page up.
        let mut pairs = input.query.clone();
        if limit != usize::MAX {
            pairs.retain(|(name, _)| name != "_count");
            let left = limit.saturating_sub(made.resources.len()).max(1);
            pairs.push(("_count".to_owned(), left.to_string()));
        }
        let mut query = Query::parse(&input.kind, &pairs, handling, base).map_err(refused)?;
        self.chains_resolve(reading, &mut query).await?;
        let page = self
            .page(reading, &input.kind, &query, stored_after)
            .await?;
        let total = match (input.after.as_deref(), page.total) {
            (None, Some(stored)) => {
                let made = u64::try_from(made.resources.len()).unwrap_or(u64::MAX);
                Some(stored.saturating_add(made))
            }
            (Some(_), Some(stored)) if mark.is_none() => Some(stored),
            _ => None,
        };
        let made = match limit {
            usize::MAX => Vec::new(),
            _ => made.resources,
        };
        Ok(FhirPage {
            found: made.into_iter().map(found).chain(page.found).collect(),
            total,
            ..page
        })
    }
}
