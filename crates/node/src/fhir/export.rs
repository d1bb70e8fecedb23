//! Bulk export: everything that an asker may see, of many patients, in files of one type each (FHIR Bulk Data
//! Access 2.0).
//!
//! No file is ever kept. What is kept of an export, sealed, is its plan: which types, and whom: runs of subjects in
//! the order of their ids, or the members of a Group. A file is one type and one run; its lines are made while it is
//! downloaded, page by page: of each subject it is decided anew, and the disclosures are durable, before the page
//! leaves. So what a family revokes between plan and download is left out, and a plan tells nothing of anybody: it
//! lists a file for every type of which the node holds anything, also if the asker may see none of it.
//!
//! A pump makes plans, and goes on with them after a restart. An export is its asker's own, and over after
//! [`KEPT_MS`].

use super::FhirAsker;
use super::open::{Opened, Reading, settled};
use super::place::patient_id;
use super::read::unknown;
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::Content;
use crate::record::form::DELETED_MEDIA;
use ::fhir::search::type_term;
use codec::id::{InstitutionId, RecordId, SubjectId};
use codec::{choice, record};
use consent::{PractitionerId, Purpose};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::Posting;

/// How long an export is kept, ms.
const KEPT_MS: u64 = 3_600_000;
/// Exports that are kept, of everybody.
const KEPT: usize = 64;
/// Exports that are kept of one asker.
const KEPT_EACH: usize = 8;
/// Exports of which the plan is being made.
const PLANNING: usize = 8;
/// Subjects of one file.
const RUN: usize = 5_000;
/// Members of a Group that are looked up between two savings of a plan.
const LOOKED_UP: usize = 256;
/// The largest Group, in members.
const MEMBERS: usize = 10_000;
/// Subjects that one page looks at.
const PAGE_SUBJECTS: usize = 256;
/// Resources that one page looks at, whether they may be seen or not.
const PAGE_POSTINGS: usize = 4_096;
/// Resources of a page.
const PAGE_RESOURCES: usize = 256;
/// Bytes of a page after which no further resource is added to it.
const PAGE_BYTES: usize = 1 << 20;
/// Resources of one type of one subject.
const OF_SUBJECT: usize = 50_000;
/// Versions of one record that are looked through for the one that stood at an export's time.
const VERSIONS: usize = 10_000;

/// Rows of exports start with this.
const JOBS: &[u8] = b"fhir-export/";
/// Rows with the subjects of an export that lists them.
const LISTS: &[u8] = b"fhir-export-of/";

/// Begins an export.
#[derive(Debug, Clone)]
pub struct FhirExport {
    /// Who; of a Group, as far as the scopes reach for reading that.
    pub asker: FhirAsker,
    /// Whose resources.
    pub of: FhirExportOf,
    /// The types that are wanted and that the scopes reach.
    pub kinds: Vec<String>,
    /// Only versions put in at or after this, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// The address that was asked, for the manifest.
    pub request: String,
}

/// Whose resources are exported.
#[derive(Debug, Clone)]
pub enum FhirExportOf {
    /// Everybody's, and what is about no patient.
    Everything,
    /// Every patient's.
    Patients,
    /// Those of the members of the Group with this id.
    Group(String),
}

/// Asks for an export that was begun.
#[derive(Debug, Clone)]
pub struct FhirExportQuery {
    /// Who.
    pub caller: Caller,
    /// Its id, as [`FhirExport`] gave it.
    pub job: String,
}

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FhirExportState {
    /// Its plan is being made.
    Planning {
        /// How many subjects it holds so far.
        subjects: u64,
    },
    /// Its files can be downloaded.
    Planned(FhirExportPlan),
}

/// The files of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FhirExportPlan {
    /// The time whose state is exported, Unix milliseconds.
    pub at_ms: u64,
    /// The address that was asked.
    pub request: String,
    /// When it is over, Unix milliseconds.
    pub until_ms: u64,
    /// The types.
    pub kinds: Vec<String>,
    /// How many files there are of each type.
    pub files: usize,
}

/// Reads a page of a file.
#[derive(Debug, Clone)]
pub struct FhirExportRead {
    /// Who, as far as the scopes reach for reading this type now.
    pub asker: FhirAsker,
    /// The export's id.
    pub job: String,
    /// The file's type.
    pub kind: String,
    /// Which file of that type, from 0.
    pub file: usize,
    /// Where the last page ended.
    pub after: Option<FhirExportMark>,
}

/// Where a page of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FhirExportMark {
    subject: SubjectId,
    /// The last record that was looked at; none: all of that subject's were.
    record: Option<RecordId>,
}

/// A page of a file.
#[derive(Debug, Clone)]
pub struct FhirExportPage {
    /// Resources, one on each line. A page may have none and not be the last.
    pub lines: Content,
    /// Where the next page begins; none: this is the last.
    pub next: Option<FhirExportMark>,
}

record! {
    /// What is kept of an export.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Job {
        1 => institution: InstitutionId,
        2 => practitioner: PractitionerId,
        3 => bound_to: Option<SubjectId>,
        4 => purpose: Option<Purpose>,
        5 => kinds: Vec<String>,
        6 => since_ms: Option<u64>,
        7 => at_ms: u64,
        8 => request: String,
        9 => whose: Whose,
        /// Of a walk over all subjects: where each run ends. Of a list: nothing.
        10 => ends: Vec<SubjectId>,
        /// How many subjects are planned.
        11 => subjects: u64,
        /// Whether the types were looked at.
        12 => kinds_known: bool,
        13 => is_planned: bool,
    }
}

choice! {
    /// Whom an export walks over.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Whose {
        1 => Everything,
        2 => Patients,
        /// Those in the list beside it.
        3 => Listed,
    }
}

record! {
    /// Whom an export lists.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct List {
        /// Ids of Patients that were not looked up yet.
        1 => left: Vec<String>,
        2 => subjects: BTreeSet<SubjectId>,
    }
}

impl Job {
    fn until_ms(&self) -> u64 {
        self.at_ms.saturating_add(KEPT_MS)
    }

    fn is_of(&self, caller: &Caller) -> bool {
        self.institution == caller.actor.institution
            && self.practitioner == caller.actor.practitioner
            && self.bound_to == caller.subject
    }

    fn files(&self) -> usize {
        match self.whose {
            Whose::Everything | Whose::Patients => self.ends.len(),
            Whose::Listed => usize::try_from(self.subjects)
                .unwrap_or(usize::MAX)
                .div_ceil(RUN),
        }
    }
}

impl<S: Store> Custodian<S> {
    /// Begins an export; gives its id.
    pub(crate) async fn fhir_export(&self, input: FhirExport) -> Result<String, Error> {
        self.in_service()?;
        let confined = self.fhir_confined(&input.asker).await?;
        let listed = |subject| (Whose::Listed, list_of(Vec::new(), [subject]));
        let (whose, list) = match (&input.of, confined) {
            (FhirExportOf::Group(id), _) => {
                let left = self.group_members(&input.asker, id).await?;
                (Whose::Listed, list_of(left, []))
            }
            // Whoever is bound to one subject has no others.
            (_, Some(own)) => listed(own),
            (FhirExportOf::Everything, None) => (Whose::Everything, list_of(Vec::new(), [])),
            (FhirExportOf::Patients, None) => (Whose::Patients, list_of(Vec::new(), [])),
        };
        let caller = &input.asker.caller;
        let job = Job {
            institution: caller.actor.institution,
            practitioner: caller.actor.practitioner.clone(),
            bound_to: caller.subject,
            purpose: input.asker.purpose,
            kinds: input.kinds,
            since_ms: input.since_ms,
            at_ms: self.now().get(),
            request: input.request,
            whose,
            ends: Vec::new(),
            subjects: 0,
            kinds_known: false,
            is_planned: false,
        };
        // From counting those that are kept until there is one more.
        let _turn = self.exports_turn.lock().await;
        self.exports_prune().await?;
        let kept = self.exports().await?;
        let own = kept.iter().filter(|(_, _, job)| job.is_of(caller)).count();
        let planning = kept.iter().filter(|(_, _, job)| !job.is_planned).count();
        if kept.len() >= KEPT || own >= KEPT_EACH || planning >= PLANNING {
            return Err(Error::Busy {
                in_flight: kept.len(),
            });
        }
        let random: [u8; 16] = self.ambient.random();
        let id = codec::hex::encode(&random);
        let mut entropy = self.ambient.entropy();
        if job.whose == Whose::Listed {
            let row = codec::to_vec(&list);
            let name = [LISTS, id.as_bytes()].concat();
            self.vault
                .node_row_put(&name, None, &row, &mut entropy)
                .await?;
        }
        let name = [JOBS, id.as_bytes()].concat();
        self.vault
            .node_row_put(&name, None, &codec::to_vec(&job), &mut entropy)
            .await?;
        self.wakes.exports.wake();
        Ok(id)
    }

    /// The Patients of this server that are members of a Group, as far as the asker may see it.
    async fn group_members(&self, asker: &FhirAsker, group: &str) -> Result<Vec<String>, Error> {
        let place = self.fhir_placed("Group", group).await?;
        let posting = place.posting();
        let (members, _) = settled!(self, asker, "fhir-export", |reading| {
            reading.refused(&posting.subject).await?;
            let opened = reading.open(&posting).await?;
            let opened = opened.ok_or_else(unknown)?;
            reading.serve(&opened);
            if opened.is_deleted {
                return Err(Error::Deleted);
            }
            members_of(&opened, &asker.base)
        })?;
        Ok(members)
    }

    /// How far an export of the caller's is.
    pub(crate) async fn fhir_export_state(
        &self,
        input: FhirExportQuery,
    ) -> Result<FhirExportState, Error> {
        let job = self.export_of(&input.caller, &input.job).await?;
        if !job.is_planned {
            return Ok(FhirExportState::Planning {
                subjects: job.subjects,
            });
        }
        Ok(FhirExportState::Planned(FhirExportPlan {
            at_ms: job.at_ms,
            until_ms: job.until_ms(),
            files: job.files(),
            request: job.request,
            kinds: job.kinds,
        }))
    }

    /// Ends an export of the caller's: nothing is left of it.
    pub(crate) async fn fhir_export_end(&self, input: FhirExportQuery) -> Result<(), Error> {
        self.export_of(&input.caller, &input.job).await?;
        self.vault.node_rows_remove(&rows_of(&input.job)).await?;
        Ok(())
    }

    /// A page of a file: decided now, and logged durably.
    pub(crate) async fn fhir_export_read(
        &self,
        mut input: FhirExportRead,
    ) -> Result<FhirExportPage, Error> {
        let job = self.export_of(&input.asker.caller, &input.job).await?;
        let known = job.is_planned && input.file < job.files() && job.kinds.contains(&input.kind);
        if !known {
            return Err(no_export());
        }
        input.asker.purpose = input.asker.purpose.or(job.purpose);
        let subjects = self.subjects_from(&job, &input).await?;
        let (page, _) = settled!(self, &input.asker, "fhir-export", |reading| {
            self.export_page(reading, &job, &input, &subjects).await
        })?;
        self.counters.fetches.up();
        Ok(page)
    }

    /// The subjects that the next page looks at, of which there are [`PAGE_SUBJECTS`] unless it is the last.
    async fn subjects_from(
        &self,
        job: &Job,
        input: &FhirExportRead,
    ) -> Result<Vec<SubjectId>, Error> {
        let half_done = input.after.filter(|after| after.record.is_some());
        let mut subjects: Vec<SubjectId> = half_done.iter().map(|after| after.subject).collect();
        let left = PAGE_SUBJECTS.saturating_sub(subjects.len());
        let begun = input.after.map(|after| after.subject);
        match job.whose {
            Whose::Listed => {
                let list = self.export_list(&input.job).await?.0;
                let run = list
                    .subjects
                    .into_iter()
                    .skip(input.file.saturating_mul(RUN));
                let run = run.take(RUN);
                let next = run.filter(|subject| begun.is_none_or(|begun| *subject > begun));
                subjects.extend(next.take(left));
            }
            Whose::Everything | Whose::Patients => {
                let before = input.file.checked_sub(1).and_then(|at| job.ends.get(at));
                let after = begun.as_ref().or(before);
                let end = job.ends.get(input.file).ok_or_else(no_export)?;
                let next = self.vault.compartments(after, left).await?;
                subjects.extend(next.into_iter().filter(|subject| subject <= end));
            }
        }
        Ok(subjects)
    }

    async fn export_page(
        &self,
        reading: &mut Reading<'_, S>,
        job: &Job,
        input: &FhirExportRead,
        subjects: &[SubjectId],
    ) -> Result<FhirExportPage, Error> {
        let term = type_term(&input.kind);
        let directory = self.directory_known().await?;
        let mut lines = Vec::new();
        let (mut looked_at, mut served) = (0, 0);
        let mut last = None;
        for subject in subjects {
            if job.whose == Whose::Patients && directory.as_ref() == Some(subject) {
                continue;
            }
            let after = input.after.filter(|after| after.subject == *subject);
            let after = after.and_then(|after| after.record);
            for posting in self.postings_of(subject, &term, after).await? {
                let is_full = looked_at >= PAGE_POSTINGS
                    || served >= PAGE_RESOURCES
                    || lines.len() >= PAGE_BYTES;
                if is_full {
                    let lines = Content::new(lines);
                    return Ok(FhirExportPage { lines, next: last });
                }
                looked_at += 1;
                last = Some(FhirExportMark {
                    subject: *subject,
                    record: Some(posting.record),
                });
                let Some(posting) = self.as_it_was(job, &posting).await? else {
                    continue;
                };
                let Some(opened) = reading.open(&posting).await? else {
                    continue;
                };
                reading.serve(&opened);
                served += 1;
                line_add(&mut lines, opened.content.as_bytes());
            }
        }
        let next = subjects.last().filter(|_| subjects.len() >= PAGE_SUBJECTS);
        Ok(FhirExportPage {
            lines: Content::new(lines),
            next: next.map(|subject| FhirExportMark {
                subject: *subject,
                record: None,
            }),
        })
    }
    /// The resources of a type of a subject, in the order of their records.
    async fn postings_of(
        &self,
        subject: &SubjectId,
        term: &[u8],
        after: Option<RecordId>,
    ) -> Result<Vec<Posting>, Error> {
        let found = self.vault.search_within(subject, term, OF_SUBJECT).await?;
        if found.len() >= OF_SUBJECT {
            return Err(Error::Query {
                parameter: "$export".to_owned(),
                message: format!("a patient has more than {OF_SUBJECT} resources of one type"),
            });
        }
        let found = found.into_iter().map(|posting| (posting.record, posting));
        let mut found: BTreeMap<RecordId, Posting> = found.collect();
        if let Some(after) = after {
            found.retain(|record, _| *record > after);
        }
        Ok(found.into_values().collect())
    }

    /// The version that stood at an export's time, if it is one that the export wants.
    async fn as_it_was(&self, job: &Job, posting: &Posting) -> Result<Option<Posting>, Error> {
        let (subject, record) = (&posting.subject, &posting.record);
        let meta = match self
            .version_then(job, subject, record, posting.version)
            .await
        {
            Ok(meta) => meta,
            // Since the index was read.
            Err(
                vault::Error::SubjectErased
                | vault::Error::RecordUnknown(_)
                | vault::Error::VersionUnknown { .. },
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(meta) = meta else {
            return Ok(None);
        };
        let is_wanted = meta.media_type != DELETED_MEDIA
            && job
                .since_ms
                .is_none_or(|since| meta.deposited.get() >= since);
        Ok(is_wanted.then_some(Posting {
            version: meta.version,
            ..*posting
        }))
    }

    /// The version of a record that stood at an export's time.
    async fn version_then(
        &self,
        job: &Job,
        subject: &SubjectId,
        record: &RecordId,
        latest: u32,
    ) -> Result<Option<vault::RecordMeta>, vault::Error> {
        let is_then = |meta: &vault::RecordMeta| meta.deposited.get() <= job.at_ms;
        let meta = self.vault.record_meta(subject, record, Some(latest));
        let meta = meta.await?;
        if is_then(&meta) {
            return Ok(Some(meta));
        }
        let versions = self
            .vault
            .record_list(subject, Some(record), None, VERSIONS);
        Ok(versions.await?.into_iter().rev().find(is_then))
    }

    /// An export of this caller's.
    async fn export_of(&self, caller: &Caller, id: &str) -> Result<Job, Error> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = [JOBS, id.as_bytes()].concat();
        let row = match is_id {
            true => self.vault.node_row(&name).await?,
            false => None,
        };
        let job: Option<Job> = row.and_then(|row| codec::from_slice(&row).ok());
        let job = job.filter(|job| job.is_of(caller) && self.now().get() < job.until_ms());
        job.ok_or_else(no_export)
    }

    /// Whom an export lists, with the row that says so.
    async fn export_list(&self, id: &str) -> Result<(List, Vec<u8>), Error> {
        let name = [LISTS, id.as_bytes()].concat();
        let row = self.vault.node_row(&name).await?.ok_or_else(no_export)?;
        let list = codec::from_slice(&row);
        let list = list.map_err(|_| Error::Damaged("the list of an export".to_owned()))?;
        Ok((list, row.to_vec()))
    }

    /// The exports that are kept: id, row, and what it says.
    async fn exports(&self) -> Result<Vec<(String, Vec<u8>, Job)>, Error> {
        let rows = self.vault.node_rows(JOBS, None, KEPT).await?;
        let jobs = rows.into_iter().filter_map(|(name, row)| {
            let id = String::from_utf8(name.get(JOBS.len()..)?.to_vec()).ok()?;
            let job = codec::from_slice(&row).ok()?;
            Some((id, row.to_vec(), job))
        });
        Ok(jobs.collect())
    }

    /// Removes the exports that are over, and those that another version of the node left.
    async fn exports_prune(&self) -> Result<(), Error> {
        let now_ms = self.now().get();
        for (name, row) in self.vault.node_rows(JOBS, None, KEPT).await? {
            let job: Option<Job> = codec::from_slice(&row).ok();
            if job.is_none_or(|job| job.until_ms() <= now_ms) {
                let id = name.get(JOBS.len()..).unwrap_or_default();
                let id = String::from_utf8_lossy(id);
                self.vault.node_rows_remove(&rows_of(&id)).await?;
            }
        }
        Ok(())
    }

    /// Goes on with every plan for a moment. Says whether one is not done.
    pub(crate) async fn exports_plan(&self) -> Result<bool, Error> {
        self.exports_prune().await?;
        let mut is_left = false;
        for (id, row, mut job) in self.exports().await? {
            if job.is_planned {
                continue;
            }
            match self.export_plan(&id, &row, &mut job).await {
                Ok(()) => is_left |= !job.is_planned,
                // It was ended in the meantime.
                Err(Error::Conflict(_) | Error::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_left)
    }

    async fn export_plan(&self, id: &str, row: &[u8], job: &mut Job) -> Result<(), Error> {
        if !job.kinds_known {
            let mut known = Vec::new();
            for kind in std::mem::take(&mut job.kinds) {
                if !self.vault.search(&type_term(&kind), 1).await?.is_empty() {
                    known.push(kind);
                }
            }
            job.kinds = known;
            job.kinds_known = true;
        } else if job.whose == Whose::Listed {
            let (mut list, before) = self.export_list(id).await?;
            let from = list.left.len().saturating_sub(LOOKED_UP);
            for patient in list.left.split_off(from) {
                list.subjects.extend(self.fhir_patient(&patient).await?);
            }
            job.subjects = u64::try_from(list.subjects.len()).unwrap_or(u64::MAX);
            job.is_planned = list.left.is_empty();
            let name = [LISTS, id.as_bytes()].concat();
            let after = codec::to_vec(&list);
            self.export_put(&name, &before, &after).await?;
        } else {
            let run = self.vault.compartments(job.ends.last(), RUN).await?;
            job.is_planned = run.len() < RUN;
            let found = u64::try_from(run.len()).unwrap_or(u64::MAX);
            job.subjects = job.subjects.saturating_add(found);
            job.ends.extend(run.last().copied());
        }
        let name = [JOBS, id.as_bytes()].concat();
        self.export_put(&name, row, &codec::to_vec(job)).await
    }

    async fn export_put(&self, name: &[u8], before: &[u8], after: &[u8]) -> Result<(), Error> {
        let mut entropy = self.ambient.entropy();
        let put = self
            .vault
            .node_row_put(name, Some(before), after, &mut entropy);
        Ok(put.await?)
    }
}

fn list_of(left: Vec<String>, subjects: impl IntoIterator<Item = SubjectId>) -> List {
    List {
        left,
        subjects: subjects.into_iter().collect(),
    }
}

fn rows_of(id: &str) -> [Vec<u8>; 2] {
    [JOBS, LISTS].map(|prefix| [prefix, id.as_bytes()].concat())
}

/// Adds a resource as one line.
fn line_add(lines: &mut Vec<u8>, resource: &[u8]) {
    // Line ends are white space in JSON: inside of a text they would be escaped.
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let bytes = resource.iter();
    lines.extend(bytes.map(|byte| if is_end(byte) { b' ' } else { *byte }));
    lines.push(b'\n');
}

/// Ids of the Patients of this server that a Group's active members are. Members of other types, Groups among
/// them, are not followed.
fn members_of(group: &Opened, base: &str) -> Result<Vec<String>, Error> {
    let damaged = |_| Error::Damaged("a FHIR resource".to_owned());
    let document = json::parse(group.content.as_bytes(), &json::Limits::default());
    let document = document.map_err(damaged)?;
    let mut patients = BTreeSet::new();
    let members = document.root().get("member");
    for member in members.iter().flat_map(|members| members.children()) {
        if member.get("inactive").and_then(|value| value.boolean()) == Some(true) {
            continue;
        }
        let entity = member.get("entity");
        let reference = entity.and_then(|entity| entity.get("reference")?.text());
        let patient = reference.as_deref().and_then(|text| patient_id(text, base));
        patients.extend(patient.map(str::to_owned));
    }
    if patients.len() > MEMBERS {
        return Err(Error::Query {
            parameter: "$export".to_owned(),
            message: format!("the Group has more than {MEMBERS} members; make smaller ones"),
        });
    }
    Ok(patients.into_iter().collect())
}

/// No such export, or another asker's, or one that is over.
fn no_export() -> Error {
    Error::Unknown("export; it may be over, and then begin another")
}

#[cfg(test)]
mod tests {
    use super::line_add;

    #[test]
    fn a_resource_is_one_line() {
        let mut lines = Vec::new();
        line_add(&mut lines, b"{\r\n  \"a\": \"x\\n\",\n  \"b\": 1.50\n}");
        line_add(&mut lines, b"{}");
        assert_eq!(lines, b"{    \"a\": \"x\\n\",   \"b\": 1.50 }\n{}\n");
    }
}
