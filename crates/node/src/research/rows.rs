//! What is kept of studies and releases, under the node's key. No row names a subject.

use crate::custodian::Custodian;
use crate::error::Error;
use ::release::{Format, Tier};
use codec::id::{Digest, DisclosureId, EntryId, StudyId};
use codec::time::Millis;
use codec::{choice, record};
use consent::{Actor, Condition, PractitionerAt, Role, StudyCase};
use keys::Zeroizing;
use std::collections::BTreeSet;
use store::Store;

/// Rows of studies start with this.
const STUDIES: &[u8] = b"study/";
/// Rows of releases start with this.
const RELEASES: &[u8] = b"release/";
/// The most studies of one institution, and the most releases of one study.
pub(super) const MANY: usize = 1_024;

record! {
    /// A study.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct StudyRow {
        1 => pub(crate) case: StudyCase,
        2 => pub(crate) accepted: BTreeSet<Condition>,
    }
}

record! {
    /// A release.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct ReleaseRow {
        /// Names its content, and its notes in compartments.
        1 => pub(crate) id: DisclosureId,
        2 => pub(crate) study: StudyId,
        3 => pub(crate) number: u64,
        /// Who asked, in which roles.
        4 => pub(crate) by: PractitionerAt,
        5 => pub(crate) roles: BTreeSet<Role>,
        6 => pub(crate) asked: Millis,
        /// 2 or 3.
        7 => pub(crate) tier: u8,
        8 => pub(crate) k: u32,
        9 => pub(crate) cohort: CohortRow,
        10 => pub(crate) formats: BTreeSet<u8>,
        11 => pub(crate) measurements: bool,
        /// What the attacks' draws are made from.
        12 => pub(crate) seed: u64,
        13 => pub(crate) state: ReleaseState,
        /// Of whom and what it is made: whether one that was begun can be gone on with.
        14 => pub(crate) population: Option<Digest>,
        15 => pub(crate) content: Option<Digest>,
        16 => pub(crate) certificate: Option<Digest>,
    }
}

choice! {
    /// Who is in a release.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum CohortRow {
        1 => Diagnosed,
        2 => Diseases(BTreeSet<String>),
        3 => Everybody,
    }
}

choice! {
    /// How far a release is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum ReleaseState {
        1 => Preparing,
        2 => Prepared,
        3 => Refused(String),
        /// Certified; this entry is on its way.
        4 => Publishing(EntryId),
        /// In the block of this height.
        5 => Released(u64),
    }
}

impl ReleaseRow {
    pub(crate) fn tier(&self) -> Tier {
        match self.tier {
            2 => Tier::T2,
            _ => Tier::T3,
        }
    }

    pub(crate) fn formats(&self) -> BTreeSet<Format> {
        let all = Format::ALL.into_iter();
        all.filter(|format| self.formats.contains(&format_code(*format)))
            .collect()
    }

    /// Who asked, as they ask.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            institution: self.by.institution,
            practitioner: self.by.practitioner.clone(),
            roles: self.roles.clone(),
            slot: None,
        }
    }

    /// Whether something may still become of it.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(
            self.state,
            ReleaseState::Preparing | ReleaseState::Prepared | ReleaseState::Publishing(_)
        )
    }

    /// Who is in it, in words.
    pub(crate) fn cohort_says(&self) -> String {
        match &self.cohort {
            CohortRow::Diagnosed => "everybody with a recorded diagnosis, by diagnosis".to_owned(),
            CohortRow::Diseases(diseases) => {
                let names: Vec<&str> = diseases.iter().map(String::as_str).collect();
                format!("whoever has one of {}", names.join(", "))
            }
            CohortRow::Everybody => "everybody of whom a feature is known".to_owned(),
        }
    }
}

pub(crate) const fn format_code(format: Format) -> u8 {
    match format {
        Format::Parquet => 1,
        Format::Fhir => 2,
        Format::Phenopackets => 3,
    }
}

/// A row as it was read, to be replaced as it was.
pub(crate) struct Read<T> {
    pub(crate) row: T,
    bytes: Zeroizing<Vec<u8>>,
}

fn study_name(study: &StudyId) -> Vec<u8> {
    [STUDIES, study.to_string().as_bytes()].concat()
}

fn release_name(study: &StudyId, number: u64) -> Vec<u8> {
    [RELEASES, format!("{study}/{number:016x}").as_bytes()].concat()
}

fn read<T: codec::Decode + codec::Encode>(bytes: Zeroizing<Vec<u8>>) -> Result<Read<T>, Error> {
    let row = codec::from_slice(&bytes)
        .map_err(|_| Error::Damaged("a row of a study or release".to_owned()))?;
    Ok(Read { row, bytes })
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn study_row(&self, study: &StudyId) -> Result<Read<StudyRow>, Error> {
        let found = self.vault.node_row(&study_name(study)).await?;
        read(found.ok_or(Error::Unknown("study"))?)
    }

    pub(crate) async fn study_rows(&self) -> Result<Vec<StudyRow>, Error> {
        let rows = self.vault.node_rows(STUDIES, None, MANY).await?;
        rows.into_iter()
            .map(|(_, bytes)| Ok(read::<StudyRow>(bytes)?.row))
            .collect()
    }

    pub(crate) async fn study_row_put(
        &self,
        old: Option<&Read<StudyRow>>,
        row: &StudyRow,
    ) -> Result<(), Error> {
        let name = study_name(&row.case.study.id());
        let expected = old.map(|old| old.bytes.as_slice());
        let mut entropy = self.ambient.entropy();
        self.vault
            .node_row_put(&name, expected, &codec::to_vec(row), &mut entropy)
            .await?;
        Ok(())
    }

    pub(crate) async fn release_row(
        &self,
        study: &StudyId,
        number: u64,
    ) -> Result<Read<ReleaseRow>, Error> {
        let found = self.vault.node_row(&release_name(study, number)).await?;
        read(found.ok_or(Error::Unknown("release"))?)
    }

    /// The releases of a study, or of all, those in the making too.
    pub(crate) async fn release_rows(
        &self,
        study: Option<&StudyId>,
    ) -> Result<Vec<ReleaseRow>, Error> {
        let prefix = match study {
            Some(study) => [RELEASES, format!("{study}/").as_bytes()].concat(),
            None => RELEASES.to_vec(),
        };
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self
                .vault
                .node_rows(&prefix, after.as_deref(), MANY)
                .await?;
            let full = rows.len() == MANY;
            after = rows.last().map(|(name, _)| name.clone());
            for (_, bytes) in rows {
                found.push(read::<ReleaseRow>(bytes)?.row);
            }
            if !full {
                return Ok(found);
            }
        }
    }

    /// Puts a release's row; gives it back as it is read then.
    pub(crate) async fn release_row_put(
        &self,
        old: Option<&Read<ReleaseRow>>,
        row: ReleaseRow,
    ) -> Result<Read<ReleaseRow>, Error> {
        let name = release_name(&row.study, row.number);
        let bytes = Zeroizing::new(codec::to_vec(&row));
        let expected = old.map(|old| old.bytes.as_slice());
        let mut entropy = self.ambient.entropy();
        self.vault
            .node_row_put(&name, expected, &bytes, &mut entropy)
            .await?;
        Ok(Read { row, bytes })
    }
}
