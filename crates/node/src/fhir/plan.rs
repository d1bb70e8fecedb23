//! What a transaction comes to: which record each write means, in whose compartment, and with which links.
//!
//! - A new Patient opens a compartment. What refers to a Patient goes where that Patient is, be it in the same
//!   Bundle or here already; what refers to none goes to the directory. What refers to two people is refused,
//!   and so is a resource that would move from one person to another.
//! - References to other entries (by `fullUrl`), and by a search (`Patient?identifier=...`), become `Type/id`.

mod home;
mod links;
mod matching;
mod names;

use super::open::{Opened, Reading};
use super::place::Place;
use super::views::is_made;
use super::{FhirAct, FhirOutcome, FhirResource, FhirTarget, FhirTransact, FhirWrite, FhirWritten};
use crate::custodian::Custodian;
use crate::error::{Conflict, Error, Problem};
use crate::record::Content;
use crate::record::form::{DELETED_MEDIA, Draft, Links, Source, digest};
use ::fhir::Parsed;
use codec::id::{RecordId, SubjectId};
use names::Names;
use std::collections::BTreeSet;
use store::Store;
use vault::{CompartmentOpen, PutRecord};

/// A transaction, ready to be put in.
pub(crate) struct Plan {
    pub(crate) writes: Vec<Planned>,
    pub(crate) opens: Vec<CompartmentOpen>,
    /// Whether it may be planned again on top of newer versions.
    pub(crate) rebases: bool,
    /// Subjects that a condition was matched in.
    pub(crate) matched: BTreeSet<SubjectId>,
    /// What was put, once it was.
    pub(crate) put: Vec<(SubjectId, PutRecord)>,
}

/// One write of a plan.
pub(crate) enum Planned {
    /// Nothing is to be written.
    Done(FhirWritten),
    /// A version.
    Put {
        subject: SubjectId,
        draft: Draft,
        outcome: FhirOutcome,
    },
}

/// A write of which it is known what it means.
struct Meant<'w> {
    write: &'w FhirWrite,
    /// The record that is there.
    there: Option<There>,
    /// The id that the client chose for a new one.
    chosen: Option<String>,
    /// What there is to write; none for a deletion, or if nothing is to be done.
    content: Option<Content>,
    done: Option<FhirWritten>,
}

/// A record that is there.
struct There {
    place: Place,
    id: String,
    is_deleted: bool,
}

impl Plan {
    pub(crate) fn subjects(&self) -> BTreeSet<SubjectId> {
        let put = self.writes.iter().filter_map(|planned| match planned {
            Planned::Done(_) => None,
            Planned::Put { subject, .. } => Some(*subject),
        });
        put.collect()
    }
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_plan(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirTransact,
    ) -> Result<Plan, Error> {
        let mut matched = BTreeSet::new();
        let mut meant = Vec::with_capacity(input.writes.len());
        for (at, write) in input.writes.iter().enumerate() {
            let one = self.meant(reading, write, &mut matched).await;
            meant.push(one.map_err(|error| of_entry(error, at, input.bundle))?);
        }
        let parsed = parsed_all(&meant, input)?;
        let mut opens = Vec::new();
        let mut names = Names::of(&meant, &input.asker.base, input.bundle);
        let homes = self
            .homes(reading, input, &mut names, &meant, &parsed, &mut opens)
            .await?;
        let records = self.records(&meant, &homes);
        let ids = links::ids(&meant, &records);
        let links = self
            .links(reading, input, &mut names, &meant, &parsed, &ids)
            .await?;
        drop(parsed);
        let rebases = meant.iter().all(|meant| !meant.write.act.names_version());
        let mut distinct = BTreeSet::new();
        let mut writes = Vec::with_capacity(meant.len());
        let whats = records.into_iter().zip(ids).zip(links);
        for ((at, meant), ((record, id), links)) in meant.into_iter().enumerate().zip(whats) {
            // INVARIANT: of a type there is one resource under an id, be it new or not.
            if let Some(id) = id
                && !distinct.insert((meant.write.kind.clone(), id))
            {
                let twice = Error::invalid("FHIR Bundle", "", "it writes a resource twice");
                return Err(of_entry(twice, at, input.bundle));
            }
            writes.push(meant.planned(record, links)?);
        }
        Ok(Plan {
            writes,
            opens,
            rebases,
            matched,
            put: Vec::new(),
        })
    }

    /// Which resource a write means, and what is to be written.
    async fn meant<'w>(
        &self,
        reading: &mut Reading<'_, S>,
        write: &'w FhirWrite,
        matched: &mut BTreeSet<SubjectId>,
    ) -> Result<Meant<'w>, Error> {
        let mut meant = Meant {
            write,
            there: None,
            chosen: None,
            content: None,
            done: None,
        };
        let (target, if_match) = match &write.act {
            FhirAct::Create {
                content,
                if_none_exist,
            } => {
                if let Some(pairs) = if_none_exist {
                    let found = self.one_match(reading, &write.kind, pairs, "If-None-Exist");
                    if let Some(found) = found.await? {
                        matched.insert(found.subject);
                        meant.there = Some(There::of(&found));
                        meant.done = Some(unchanged(found));
                        return Ok(meant);
                    }
                }
                meant.content = Some(content.clone());
                return Ok(meant);
            }
            FhirAct::Update {
                target, if_match, ..
            }
            | FhirAct::Patch {
                target, if_match, ..
            }
            | FhirAct::Delete { target, if_match } => (target, *if_match),
        };
        match target {
            FhirTarget::Id(id) => {
                let place = self.fhir_place(&write.kind, id).await?;
                meant.chosen = Some(id.clone());
                let writes = |place: &Place| match reading.asker.is_of_one() {
                    true => reading.confined() == Some(place.subject),
                    false => reading.reaches(&place.subject),
                };
                // What is another's is as if it were not there, but for its id.
                let is_update = matches!(write.act, FhirAct::Update { .. });
                if is_update && place.as_ref().is_some_and(|place| !writes(place)) {
                    return Err(Error::OutOfScope);
                }
                if let Some(place) = place.filter(writes) {
                    let meta = self
                        .vault
                        .record_meta(&place.subject, &place.record, Some(place.version))
                        .await?;
                    meant.there = Some(There {
                        is_deleted: meta.media_type == DELETED_MEDIA,
                        id: id.clone(),
                        place,
                    });
                }
            }
            FhirTarget::Matching(pairs) => {
                let found = self.one_match(reading, &write.kind, pairs, "the search");
                if let Some(found) = found.await? {
                    matched.insert(found.subject);
                    meant.there = Some(There::of(&found));
                }
            }
        }
        if let Some(there) = &meant.there {
            let version = there.place.version;
            if if_match.is_some_and(|expected| expected != version) {
                let record = there.place.record;
                return Err(Conflict::Version { record, version }.into());
            }
        } else if if_match.is_some() {
            return Err(Conflict::Version {
                record: RecordId::new([0; RecordId::LEN]),
                version: 0,
            }
            .into());
        }
        match &write.act {
            FhirAct::Create { .. } => {}
            FhirAct::Update {
                content, target, ..
            } => {
                if let (FhirTarget::Matching(_), None) = (target, &meant.there) {
                    meant.chosen = self.chosen(&write.kind, content).await?;
                }
                meant.content = Some(content.clone());
            }
            FhirAct::Patch { operations, .. } => {
                let there = meant.there.as_ref().filter(|there| !there.is_deleted);
                let there = there.ok_or_else(super::read::unknown)?;
                meant.content = Some(self.patched(reading, there, operations).await?);
            }
            FhirAct::Delete { .. } => {
                if meant.there.as_ref().is_none_or(|there| there.is_deleted) {
                    meant.done = Some(FhirWritten {
                        outcome: FhirOutcome::Deleted,
                        resource: None,
                    });
                }
            }
        }
        Ok(meant)
    }

    /// The id that a new resource brings, which must be free.
    async fn chosen(&self, kind: &str, content: &Content) -> Result<Option<String>, Error> {
        let parsed = Parsed::parse(content.as_bytes()).ok();
        let Some(id) = parsed.and_then(|parsed| Some(parsed.id()?.into_owned())) else {
            return Ok(None);
        };
        if is_made(kind, &id) || self.fhir_place(kind, &id).await?.is_some() {
            let taken = "nothing matches the search, and the id of the resource is another one's; leave the id out";
            return Err(Conflict::Done(taken).into());
        }
        Ok(Some(id))
    }

    /// A resource with changes: of what the caller may see whole.
    async fn patched(
        &self,
        reading: &mut Reading<'_, S>,
        there: &There,
        operations: &Content,
    ) -> Result<Content, Error> {
        let posting = there.place.posting();
        reading.refused(&posting.subject).await?;
        let opened = reading.open_by_consent(&posting).await?;
        let opened = opened.ok_or_else(super::read::unknown)?;
        if opened.is_subset {
            return Err(Error::invalid(
                "JSON Patch",
                "",
                "only a part of the resource may be seen, so it cannot be changed in part; send it whole",
            ));
        }
        reading.serve(&opened);
        let limits = json::Limits {
            size_bytes: self.limits.payload_bytes,
            ..json::Limits::default()
        };
        let patched = json::patch(opened.content.as_bytes(), operations.as_bytes(), &limits);
        patched
            .map(Content::new)
            .map_err(|error| Error::invalid("JSON Patch", "", error.to_string()))
    }
}

impl There {
    fn of(found: &Opened) -> Self {
        Self {
            place: Place {
                subject: found.subject,
                record: found.record,
                version: found.version,
            },
            id: found.id(),
            is_deleted: false,
        }
    }
}

impl Meant<'_> {
    fn planned(
        self,
        record: Option<(SubjectId, RecordId)>,
        links: Links,
    ) -> Result<Planned, Error> {
        if let Some(done) = self.done {
            return Ok(Planned::Done(done));
        }
        let (subject, record) = record.ok_or(Error::Internal("a write without a place"))?;
        let (source, received) = match self.content {
            Some(bytes) => {
                let received = digest(&[b"fhir", bytes.as_bytes()]);
                (Source::Fhir { bytes, links }, Some(received))
            }
            None => (Source::Deletion, None),
        };
        let outcome = match (&source, &self.there) {
            (Source::Deletion, _) => FhirOutcome::Deleted,
            (_, Some(there)) if !there.is_deleted => FhirOutcome::Updated,
            _ => FhirOutcome::Created,
        };
        let id = self.there.as_ref().map(|there| there.id.clone());
        let id = id.or(self.chosen);
        Ok(Planned::Put {
            subject,
            outcome,
            draft: Draft {
                record,
                expect_version: Some(self.there.map_or(0, |there| there.place.version)),
                kind: self.write.kind.clone(),
                received,
                id: id.filter(|id| *id != record.to_string()),
                source,
            },
        })
    }
}

impl FhirAct {
    fn names_version(&self) -> bool {
        match self {
            Self::Create { .. } => false,
            Self::Update { if_match, .. }
            | Self::Patch { if_match, .. }
            | Self::Delete { if_match, .. } => if_match.is_some(),
        }
    }
}

/// Parses and checks what is to be written; gives all problems at once.
fn parsed_all<'m>(
    meant: &'m [Meant<'_>],
    input: &FhirTransact,
) -> Result<Vec<Option<Parsed<'m>>>, Error> {
    let mut problems_found = Vec::new();
    let mut parsed = Vec::with_capacity(meant.len());
    for (at, meant) in meant.iter().enumerate() {
        let Some(content) = &meant.content else {
            parsed.push(None);
            continue;
        };
        let place = entry_path(at, input.bundle, "");
        let mut problem = |path: &str, message: String| {
            let path = match place.as_str() {
                "" => path.to_owned(),
                place => format!("{place}: {path}"),
            };
            problems_found.push(Problem { path, message });
        };
        let kind = &meant.write.kind;
        match Parsed::parse(content.as_bytes()) {
            Err(error) => problem(kind, error.to_string()),
            Ok(resource) => {
                if resource.resource_type() != kind {
                    let message = format!("it is not a {kind}, as the address says");
                    problem("resourceType", message);
                } else if meant.id_differs(&resource) {
                    let message = "it differs from the id in the address".to_owned();
                    problem(&format!("{kind}.id"), message);
                } else {
                    for (path, message) in super::check::problems(&resource, input.strict) {
                        problem(&path, message);
                    }
                }
                parsed.push(Some(resource));
            }
        }
    }
    if problems_found.is_empty() {
        return Ok(parsed);
    }
    Err(Error::Invalid {
        what: "FHIR resource",
        problems_found,
    })
}

impl Meant<'_> {
    /// Whether an update brings another id than its address. A resource without one is taken.
    fn id_differs(&self, resource: &Parsed<'_>) -> bool {
        let target = match &self.write.act {
            FhirAct::Update { target, .. } | FhirAct::Patch { target, .. } => target,
            FhirAct::Create { .. } | FhirAct::Delete { .. } => return false,
        };
        let meant = match (target, &self.there) {
            (FhirTarget::Id(id), _) => Some(id),
            (FhirTarget::Matching(_), Some(there)) => Some(&there.id),
            (FhirTarget::Matching(_), None) => None,
        };
        match (meant, resource.id()) {
            (Some(meant), Some(own)) => own != meant.as_str(),
            _ => false,
        }
    }
}

fn unchanged(found: Opened) -> FhirWritten {
    let resource = FhirResource {
        content: None,
        ..found.resource()
    };
    FhirWritten {
        outcome: FhirOutcome::Unchanged,
        resource: Some(resource),
    }
}

/// The entry of a Bundle, for a message; nothing for a resource that came by itself.
fn entry_path(at: usize, bundle: bool, kind: &str) -> String {
    match (bundle, kind) {
        (true, "") => format!("Bundle.entry[{at}].resource"),
        (true, kind) => format!("Bundle.entry[{at}].resource: {kind}"),
        (false, kind) => kind.to_owned(),
    }
}

fn of_entry(error: Error, at: usize, bundle: bool) -> Error {
    match error {
        Error::Invalid {
            what,
            problems_found,
        } if bundle => Error::Invalid {
            what,
            problems_found: problems_found
                .into_iter()
                .map(|problem| Problem {
                    path: format!("Bundle.entry[{at}]: {}", problem.path),
                    ..problem
                })
                .collect(),
        },
        error => error,
    }
}
