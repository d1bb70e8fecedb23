//! What the node itself knows, as resources that are stored nowhere: they are made when they are asked for.
//!
//! - `Provenance` of each version of a resource, with the ledger's receipt (`provenance.rs`).
//! - `AuditEvent` of each disclosure, for those who may list them (`audit.rs`).
//!
//! Of these types clients may store resources of their own too. A search tells what was made first, then what is
//! stored; their ids cannot be the same, for nobody may choose one that the node makes.

mod audit;
mod provenance;

use super::open::Reading;
use super::search::refused;
use super::{FhirAct, FhirAsker, FhirFound, FhirPage, FhirResource, FhirSearch, FhirTarget, FhirWrite};
use crate::custodian::Custodian;
use crate::error::Error;
use ::fhir::Parsed;
use ::fhir::search::{Handling, Query, Summary};
use codec::id::{DisclosureId, SubjectId};
use provenance::WriteId;
use store::Store;

pub(crate) const PROVENANCE: &str = "Provenance";
pub(crate) const AUDIT_EVENT: &str = "AuditEvent";

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

/// The id of what belongs to a subject: its own, then the subject's, each 32 hexadecimal digits. So it leads to
/// the compartment.
pub(crate) fn compound<I>(text: &str) -> Option<(I, SubjectId)>
where
    I: std::str::FromStr,
{
    let (own, subject) = text.split_at_checked(32)?;
    Some((own.parse().ok()?, subject.parse().ok()?))
}

/// Whether an id is one that the node makes, so that nobody may choose it.
pub(crate) fn is_made(kind: &str, id: &str) -> bool {
    match kind {
        PROVENANCE => WriteId::parse(id).is_some(),
        AUDIT_EVENT => compound::<DisclosureId>(id).is_some(),
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

impl<S: Store> Custodian<S> {
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
