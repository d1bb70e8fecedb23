//! What a transaction comes to: which record each write means, in whose compartment, and with which links.
//!
//! - A new Patient opens a compartment. What refers to a Patient goes where that Patient is, be it in the same
//!   Bundle or here already; what refers to none goes to the directory. What refers to two people is refused,
//!   and so is a resource that would move from one person to another.
//! - References to other entries (by `fullUrl`), and by a search (`Patient?identifier=...`), become `Type/id`.

use super::open::{Opened, Reading};
use super::place::{Place, is_of_directory, local, patient_id};
use super::{FhirAct, FhirOutcome, FhirResource, FhirTarget, FhirTransact, FhirWrite, FhirWritten};
use crate::custodian::Custodian;
use crate::error::{Conflict, Error, Problem};
use crate::record::Content;
use crate::record::form::{DELETED_MEDIA, Draft, Links, Source, digest};
use ::fhir::{Parsed, search};
use codec::id::{RecordId, SubjectId};
use std::collections::{BTreeMap, BTreeSet};
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

/// Where a resource goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    Subject(SubjectId),
    Directory,
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
        let homes = self
            .homes(reading, input, &meant, &parsed, &mut opens)
            .await?;
        let records = self.records(&meant, &homes).await?;
        let links = self
            .links(reading, input, &meant, &parsed, &records)
            .await?;
        drop(parsed);
        let rebases = meant.iter().all(|meant| !meant.write.act.names_version());
        let mut distinct = BTreeSet::new();
        let mut writes = Vec::with_capacity(meant.len());
        for ((at, meant), record) in meant.into_iter().enumerate().zip(records) {
            if let Some((_, record)) = record
                && !distinct.insert(record)
            {
                let twice = Error::invalid("FHIR Bundle", "", "it writes a resource twice");
                return Err(of_entry(twice, at, input.bundle));
            }
            writes.push(meant.planned(record, &links)?);
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
                if let Some(place) = place {
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
                    meant.chosen = resource_id(content);
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

    /// The only resource that matches, if one does.
    async fn one_match(
        &self,
        reading: &mut Reading<'_, S>,
        kind: &str,
        pairs: &[(String, String)],
        what: &str,
    ) -> Result<Option<Opened>, Error> {
        let mut found = self.fhir_matches(reading, kind, pairs).await?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            matches => Err(Error::SeveralMatch {
                what: what.to_owned(),
                matches,
            }),
        }
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

    /// Where each write goes; opens compartments for new Patients.
    async fn homes(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirTransact,
        meant: &[Meant<'_>],
        parsed: &[Option<Parsed<'_>>],
        opens: &mut Vec<CompartmentOpen>,
    ) -> Result<Vec<Option<SubjectId>>, Error> {
        let base = &input.asker.base;
        // Patients first: others refer to them.
        let mut patients: BTreeMap<String, SubjectId> = BTreeMap::new();
        let mut homes: Vec<Option<SubjectId>> = vec![None; meant.len()];
        for (at, (meant, home)) in meant.iter().zip(&mut homes).enumerate() {
            if let Some(there) = &meant.there {
                *home = Some(there.place.subject);
            } else if meant.write.kind == "Patient" && meant.content.is_some() {
                let open = self
                    .patient_opening()
                    .map_err(|e| of_entry(e, at, input.bundle))?;
                *home = Some(open.state.subject);
                opens.push(open);
            }
            if let (Some(subject), "Patient") = (*home, meant.write.kind.as_str()) {
                for name in meant.names() {
                    patients.insert(name, subject);
                }
            }
        }
        let mut problems_found = Vec::new();
        for (at, meant) in meant.iter().enumerate() {
            let Some(Some(parsed)) = parsed.get(at) else {
                continue;
            };
            if meant.write.kind == "Patient" {
                continue;
            }
            let home = self.home(reading, parsed, &patients, base).await;
            let there = homes.get_mut(at);
            let problem = match (home, there) {
                (Err(problem), _) => Some(problem),
                (Ok(home), Some(Some(there))) => match home {
                    Home::Subject(subject) if subject != *there => {
                        Some("it is of another patient now; delete it and create it there")
                    }
                    Home::Directory if self.directory_known().await? != Some(*there) => {
                        Some("it names its patient no more; delete it and create it anew")
                    }
                    Home::Subject(_) | Home::Directory => None,
                },
                (Ok(Home::Subject(subject)), Some(there)) => {
                    *there = Some(subject);
                    None
                }
                (Ok(Home::Directory), Some(there)) => {
                    *there = Some(self.directory().await?);
                    None
                }
                (Ok(_), None) => None,
            };
            if let Some(message) = problem {
                problems_found.push(Problem {
                    path: entry_path(at, input.bundle, &meant.write.kind),
                    message: message.to_owned(),
                });
            }
        }
        if problems_found.is_empty() {
            return Ok(homes);
        }
        Err(Error::Invalid {
            what: "FHIR resource",
            problems_found,
        })
    }

    /// In whose compartment a resource belongs.
    async fn home(
        &self,
        reading: &mut Reading<'_, S>,
        parsed: &Parsed<'_>,
        patients: &BTreeMap<String, SubjectId>,
        base: &str,
    ) -> Result<Home, &'static str> {
        let mut homes = BTreeSet::new();
        // Lists of people are the institution's own.
        let references = match parsed.resource_type() {
            kind if is_of_directory(kind) => Vec::new(),
            _ => search::compartment_patients(parsed),
        };
        for reference in references {
            if let Some(subject) = patients.get(reference.as_str()) {
                homes.insert(Home::Subject(*subject));
            } else if let Some(query) = reference.strip_prefix("Patient?") {
                let pairs = pairs(query);
                let found = self
                    .one_match(reading, "Patient", &pairs, "a reference")
                    .await;
                match found {
                    Ok(Some(found)) => homes.insert(Home::Subject(found.subject)),
                    Ok(None) => return Err("it refers to a Patient by a search that none matches"),
                    Err(_) => return Err("it refers to a Patient by a search that is refused"),
                };
            } else if let Some(id) = patient_id(&reference, base) {
                match self.fhir_patient(id).await {
                    Ok(Some(subject)) => homes.insert(Home::Subject(subject)),
                    Ok(None) => return Err("it refers to a Patient that is not here"),
                    Err(_) => return Err("where its Patient is cannot be found out now"),
                };
            } else if reference.starts_with("urn:") {
                return Err("it refers to an entry that the Bundle does not have");
            }
        }
        let mut homes = homes.into_iter();
        match (homes.next(), homes.next()) {
            (None, _) => Ok(Home::Directory),
            (Some(home), None) => Ok(home),
            (Some(_), Some(_)) => {
                Err("it refers to two people whose records are apart; say it of each of them")
            }
        }
    }

    /// A compartment for a new Patient.
    fn patient_opening(&self) -> Result<CompartmentOpen, Error> {
        self.opening(SubjectId::new(self.ambient.random()), Vec::new(), None)
    }

    /// The record of each write.
    async fn records(
        &self,
        meant: &[Meant<'_>],
        homes: &[Option<SubjectId>],
    ) -> Result<Vec<Option<(SubjectId, RecordId)>>, Error> {
        let mut entropy = self.ambient.entropy();
        let mut records = Vec::with_capacity(meant.len());
        for (meant, home) in meant.iter().zip(homes) {
            records.push(match (&meant.there, home) {
                (Some(there), _) => Some((there.place.subject, there.place.record)),
                (None, Some(subject)) if meant.done.is_none() => {
                    Some((*subject, self.vault.record_id(subject, &mut entropy)))
                }
                (None, _) => None,
            });
        }
        Ok(records)
    }

    /// What references become.
    async fn links(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirTransact,
        meant: &[Meant<'_>],
        parsed: &[Option<Parsed<'_>>],
        records: &[Option<(SubjectId, RecordId)>],
    ) -> Result<Links, Error> {
        let mut links = BTreeMap::new();
        for (meant, record) in meant.iter().zip(records) {
            let Some((_, record)) = record else { continue };
            let id = match (&meant.there, &meant.chosen) {
                (Some(there), _) => there.id.clone(),
                (None, Some(chosen)) => chosen.clone(),
                (None, None) => record.to_string(),
            };
            let link = format!("{}/{id}", meant.write.kind);
            for name in meant.names() {
                if name != link {
                    links.insert(name, link.clone());
                }
            }
        }
        let base = &input.asker.base;
        let mut problems_found = Vec::new();
        for (at, (meant, parsed)) in meant.iter().zip(parsed).enumerate() {
            let Some(parsed) = parsed else { continue };
            for reference in parsed.references() {
                let text = reference.text.as_ref();
                if links.contains_key(text) {
                    continue;
                }
                let problem = if let Some((kind, query)) = text.split_once('?')
                    && ::fhir::is_resource_type(kind)
                {
                    let pairs = pairs(query);
                    let found = self.one_match(reading, kind, &pairs, "a reference").await;
                    match found {
                        Ok(Some(found)) => {
                            let link = format!("{kind}/{}", found.id());
                            links.insert(text.to_owned(), link);
                            None
                        }
                        Ok(None) => Some("nothing matches the search in this reference"),
                        Err(_) => Some("the search in this reference is refused"),
                    }
                } else if input.bundle && text.starts_with("urn:") {
                    Some("it refers to an entry that the Bundle does not have")
                } else {
                    // A reference under this server's own address is kept relative.
                    if let Some((kind, id)) = local(text, base)
                        && text.starts_with(base.as_str())
                        && !base.is_empty()
                    {
                        links.insert(text.to_owned(), format!("{kind}/{id}"));
                    }
                    None
                };
                if let Some(message) = problem {
                    let path = entry_path(at, input.bundle, &meant.write.kind);
                    problems_found.push(Problem {
                        path: format!("{path}.{}", reference.path),
                        message: message.to_owned(),
                    });
                }
            }
        }
        if problems_found.is_empty() {
            return Ok(Links::new(links));
        }
        Err(Error::Invalid {
            what: "FHIR resource",
            problems_found,
        })
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
    /// The texts by which other entries refer to it.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(full_url) = &self.write.full_url {
            names.push(full_url.clone());
            // `http://elsewhere/fhir/Patient/7` is also meant by `Patient/7` within the same Bundle.
            let mut parts = full_url.rsplit('/');
            if let (Some(id), Some(kind)) = (parts.next(), parts.next())
                && kind == self.write.kind
            {
                names.push(format!("{kind}/{id}"));
            }
        }
        if let Some(chosen) = &self.chosen {
            names.push(format!("{}/{chosen}", self.write.kind));
        }
        names
    }

    fn planned(
        self,
        record: Option<(SubjectId, RecordId)>,
        links: &Links,
    ) -> Result<Planned, Error> {
        if let Some(done) = self.done {
            return Ok(Planned::Done(done));
        }
        let (subject, record) = record.ok_or(Error::Internal("a write without a place"))?;
        let (source, received) = match self.content {
            Some(bytes) => {
                let received = digest(&[b"fhir", bytes.as_bytes()]);
                let links = links.clone();
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

fn resource_id(content: &Content) -> Option<String> {
    let parsed = Parsed::parse(content.as_bytes()).ok()?;
    Some(parsed.id()?.into_owned())
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

/// The pairs of a query as it is written in a reference.
fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
