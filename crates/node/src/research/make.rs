//! Making a release: whoever is in it decided and logged, clustered, measured, packed, attacked.
//!
//! ```text
//! admitted, logged (durable), opened -> features in memory -> clusters
//!   -> each group admitted again for its measurements, logged (durable), opened; 16 groups at a time (durable)
//!   -> files (durable) -> attacks, with every earlier release of some of the same people -> certificate
//!   -> notes in compartments (durable) -> prepared, or refused
//! ```
//! After a restart the subjects are read again; if they are the same under the same consents, finished groups are
//! not made again. What grows with the number of subjects is their features alone: of their records, those of a
//! few subjects are held at a time, and measurements of 16 groups.

use super::again::{Before, PROFILES, profiles};
use super::cohort::{Admitted, Asker, GROUP, Logged, Part, asker, records};
use super::content::Content;
use super::rows::{CohortRow, Read, ReleaseRow, ReleaseState};
use super::study_text;
use super::told::Told;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::error::Error;
use ::release::check::BESIDE;
use ::release::{Canaries, Certificate, Group, Header, Package, Population, Tier};
use codec::Domain;
use codec::id::{Digest, DisclosureId, SubjectId};
use deident::Rules;
use extract::{
    Against, Cohort, Config, Diversity, Earlier, Extract, Hpo, Made, Subject, attack, cluster,
    cluster_after,
};
use ontology::Ontology;
use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use store::Store;

/// The most subjects of a release.
const SUBJECTS_MAX: usize = extract::MAX_SUBJECTS;
/// Groups whose measurements are kept together.
const PART: usize = 16;
/// The most people that each attack looks for.
pub(super) const TARGETS: u32 = 2_000;
/// What became of each element of the records, by its path; stays inside, for those who watch over releases.
pub(super) const FATES: &str = "fates.json";
/// What is kept of a release that was refused, beside its row.
pub(super) const KEPT: [&str; 3] = [BESIDE[0], BESIDE[1], FATES];
/// Why a release is not gone on with.
pub(super) const CHANGED: &str =
    "the consent of some of its subjects ended or changed while it was made; ask for it again";

/// How far the release that is being made is.
pub(crate) struct Making {
    pub(crate) release: DisclosureId,
    pub(crate) phase: &'static str,
    pub(crate) done: u64,
    pub(crate) of: u64,
}

/// What there was to do for releases.
pub(crate) enum Due {
    /// Something, which was done: there may be more.
    Done,
    /// Some are on their way to the ledger.
    Waits,
    /// Nothing.
    Nothing,
}

/// Somebody who will be in the release, unless something is against it.
pub(super) struct Candidate {
    pub(super) admitted: Admitted,
    /// The reading of its features.
    pub(super) disclosure: DisclosureId,
    /// Names what was read for them.
    records: Digest,
    pub(super) features: Subject,
}

/// What a release is made of.
pub(super) struct Gathered {
    pub(super) candidates: Vec<Candidate>,
    earlier: Vec<Before>,
}

impl Gathered {
    fn features(&self) -> Vec<Subject> {
        let candidates = self.candidates.iter();
        candidates.map(|one| one.features.clone()).collect()
    }

    /// Who, and how far the study may read.
    fn people(&self) -> Vec<([u8; 32], Digest)> {
        let candidates = self.candidates.iter();
        candidates
            .map(|one| (one.features.id, one.admitted.reach))
            .collect()
    }
}

/// Why a release cannot go on.
pub(super) enum Stopped {
    /// It will not leave.
    Refused(String),
    /// Something else, which may pass.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<vault::Error> for Stopped {
    fn from(error: vault::Error) -> Self {
        Self::Error(error.into())
    }
}

impl<S: Store> Custodian<S> {
    /// Does what is due for releases. One that cannot go on now holds up no other.
    pub(crate) async fn releases_step(&self) -> Result<Due, Error> {
        self.in_service()?;
        let rows = self.release_rows(None).await?;
        let mut any = Due::Nothing;
        let mut trouble = None;
        for row in &rows {
            let done = match &row.state {
                ReleaseState::Publishing(entry) => self.release_settle(row, entry).await,
                _ => continue,
            };
            match done {
                Ok(true) => return Ok(Due::Done),
                Ok(false) => any = Due::Waits,
                Err(error) => trouble = Some(error),
            }
        }
        for row in rows {
            if !matches!(row.state, ReleaseState::Preparing) {
                continue;
            }
            match self.release_make(&row).await {
                // Others may have become due meanwhile.
                Ok(()) => return Ok(Due::Done),
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => Ok(any),
        }
    }

    /// Removes what a process that ended left of releases that were refused.
    pub(crate) async fn releases_sweep(&self) -> Result<(), Error> {
        for row in self.release_rows(None).await? {
            let refused = matches!(row.state, ReleaseState::Refused(_));
            if refused && self.content_left(&row.id, &KEPT).await? {
                self.release_forget(&row).await?;
            }
        }
        Ok(())
    }

    /// Whether something became of a certified release: final, or not to be.
    async fn release_settle(
        &self,
        row: &ReleaseRow,
        entry: &codec::id::EntryId,
    ) -> Result<bool, Error> {
        let stands = match self.vault.entry(entry).await {
            Ok(stands) => stands,
            // Not on its way yet: its row is durable, so that what was withdrawn before that binds it here.
            Err(vault::Error::Unknown(_)) => {
                if let Some(why) = self.release_obstacle(row).await? {
                    let read = self.release_row(&row.study, row.number).await?;
                    self.release_refuse(read, why.to_owned()).await?;
                    return Ok(true);
                }
                self.release_queue(row).await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let read = self.release_row(&row.study, row.number).await?;
        if let vault::EntryState::Dropped(why) = &stands.state {
            let why = format!("the ledger did not take it: {why}");
            self.release_refuse(read, why).await?;
            return Ok(true);
        }
        let Some(position) = stands.position() else {
            return Ok(false);
        };
        let mut released = read.row.clone();
        released.state = ReleaseState::Released(position.height);
        self.release_row_put(Some(&read), released).await?;
        self.counters.releases.up();
        Ok(true)
    }

    async fn release_make(&self, row: &ReleaseRow) -> Result<(), Error> {
        let insight = self.insight.clone();
        let insight = insight.ok_or_else(super::count::unknowing)?;
        let mut read = self.release_row(&row.study, row.number).await?;
        let made = self.release_made(&insight, &mut read).await;
        *self.making_lock() = None;
        let id = read.row.id;
        match made {
            Ok(row) => {
                let read = self.release_row_put(Some(&read), row).await?;
                match read.row.state {
                    ReleaseState::Refused(_) => self.release_forget(&read.row).await,
                    _ => self.parts_remove(&id).await,
                }
            }
            Err(Stopped::Refused(why)) => {
                tracing::info!(release = %id, "a release was refused");
                self.release_refuse(read, why).await.map(drop)
            }
            Err(Stopped::Error(error)) if may_pass(&error) => Err(error),
            // Tried again it would be the same, for ever.
            Err(Stopped::Error(error)) => {
                tracing::error!(release = %id, %error, "a release cannot be made");
                let why = "it cannot be made of what is here: this node's log says what is wrong";
                self.release_refuse(read, why.to_owned()).await.map(drop)
            }
        }
    }

    /// Makes the content and certificate of a release; its row as it is then.
    async fn release_made(
        &self,
        insight: &Insight,
        read: &mut Read<ReleaseRow>,
    ) -> Result<ReleaseRow, Stopped> {
        let mut row = read.row.clone();
        let case = self.study_row(&row.study).await?.row.case;
        let actor = row.actor();
        let facts = self.study_facts(&row.study, &actor).await?;
        if !facts.active {
            return Err(Stopped::Refused("the study is over".to_owned()));
        }
        let asker = asker(actor, case.study, &facts);
        let gathered = self.release_people(insight, &asker, &row).await?;
        let subjects = gathered.features();
        let hpo = Hpo::new(insight.ontology());
        let config = config_of(&row, subjects.len());
        self.phase(&row.id, "clustering", subjects.len());
        let same =
            |before: &&Before| before.row.study == row.study && before.extract.config == config;
        let extract = match gathered.earlier.iter().rev().find(same) {
            Some(before) => {
                let earlier = Earlier {
                    subjects: &before.subjects,
                    extract: &before.extract,
                };
                cluster_after(&hpo, &subjects, &config, earlier)
            }
            None => cluster(&hpo, &subjects, &config),
        };
        let extract = extract.map_err(|why| Stopped::Refused(why.to_string()))?;
        if extract.clusters.is_empty() {
            return Err(Stopped::Refused(format!(
                "no group of at least {} subjects can be made",
                row.k
            )));
        }
        let header = self.release_header(insight, &asker, &row);
        self.release_begin(read, &gathered, &extract, &header)
            .await?;
        row.population = read.row.population;
        let (manifest, withheld) = self
            .release_write(insight, &asker, &row, &gathered, &extract, &header)
            .await?;
        let earlier: Vec<Earlier<'_>> = gathered
            .earlier
            .iter()
            .map(|before| Earlier {
                subjects: &before.subjects,
                extract: &before.extract,
            })
            .collect();
        let left_out: BTreeSet<u32> = extract.left_out.iter().map(|left| left.subject).collect();
        let outside: Vec<Subject> = subjects
            .iter()
            .zip(0_u32..)
            .filter(|(_, at)| left_out.contains(at))
            .map(|(subject, _)| subject.clone())
            .collect();
        let against = Against {
            outside: &outside,
            earlier: &earlier,
            targets: TARGETS,
        };
        self.phase(&row.id, "attacking", 2);
        let limits = self.limits_of(asker.study());
        let attacks = attack(
            &hpo,
            &subjects,
            Made::Clusters(&extract),
            &against,
            row.seed,
            &limits,
        );
        let raw = attack(
            &hpo,
            &subjects,
            Made::Raw(&extract),
            &against,
            row.seed,
            &limits,
        );
        let canaries = self.canaries(insight, row.k)?;
        let certificate = Certificate::new(
            &header,
            manifest.digest(),
            config,
            population(&extract, row.k, withheld),
            attacks,
            raw,
            limits,
            extract.kept,
            gathered
                .earlier
                .iter()
                .map(|before| ::release::Earlier {
                    study: before.row.study,
                    number: before.row.number,
                    content: before.content,
                })
                .collect(),
            canaries,
        );
        let bytes = certificate.bytes();
        let digest = Certificate::digest(&bytes);
        let mut beside = Content::default();
        let pieces = vec![
            (KEPT[0], manifest.bytes()),
            (KEPT[1], bytes),
            (PROFILES, profiles(&extract)?),
        ];
        self.content_add(&row.id, &mut beside, pieces).await?;
        self.content_finish(&row.id, beside).await?;
        row.content = Some(manifest.digest());
        row.certificate = Some(digest);
        if !certificate.verdict.passes {
            let exceeded = &certificate.verdict.exceeded;
            let why = match exceeded.is_empty() {
                true => "the attacks could not be measured on so few subjects".to_owned(),
                false => format!("limits are exceeded: {}", exceeded.join(", ")),
            };
            row.state = ReleaseState::Refused(why);
            return Ok(row);
        }
        self.release_note(&asker, &row, &gathered, &extract, &certificate)
            .await?;
        row.state = ReleaseState::Prepared;
        Ok(row)
    }

    /// Everybody who may be in the release, with what is known of them; and the earlier releases that hold some
    /// of them.
    async fn release_people(
        &self,
        insight: &Insight,
        asker: &Asker,
        row: &ReleaseRow,
    ) -> Result<Gathered, Stopped> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut after: Option<SubjectId> = None;
        let mut read = 0_usize;
        loop {
            let page = self.vault.compartments(after.as_ref(), GROUP).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            read += page.len();
            let mut waiting: VecDeque<SubjectId> = page.into();
            while !waiting.is_empty() {
                let readings = self
                    .readings(asker, &mut waiting, "release", Part::Features)
                    .await?;
                // INVARIANT: nothing is opened before it is in the log.
                for one in self.readings_log(readings).await? {
                    candidates.extend(self.candidate(insight, row, one).await?);
                    if candidates.len() > SUBJECTS_MAX {
                        return Err(Stopped::Refused(format!(
                            "more than {SUBJECTS_MAX} subjects; narrow the cohort"
                        )));
                    }
                }
            }
            self.phase_at(&row.id, "reading", read as u64, 0);
        }
        let earlier = self.earlier(insight, row).await?;
        Ok(Gathered {
            candidates,
            earlier,
        })
    }

    /// Somebody whose reading is in the log, if there is nothing against it and the cohort is theirs.
    async fn candidate(
        &self,
        insight: &Insight,
        row: &ReleaseRow,
        one: Logged,
    ) -> Result<Option<Candidate>, Error> {
        if !self.still_admitted(&one.admitted).await? {
            return Ok(None);
        }
        let (admitted, disclosure) = (one.admitted.clone(), one.disclosure);
        let records = records(&one.plans);
        let known = match self.known(insight.ontology(), one).await {
            Ok(Some(known)) => known,
            Ok(None) | Err(Error::SubjectErased | Error::SubjectUnknown) => return Ok(None),
            Err(error) => return Err(error),
        };
        let wanted = match &row.cohort {
            CohortRow::Diseases(ids) => known.has_one_of(ids),
            CohortRow::Diagnosed | CohortRow::Everybody => true,
        };
        Ok(wanted.then_some(Candidate {
            admitted,
            disclosure,
            records,
            features: known.features,
        }))
    }

    fn release_header(&self, insight: &Insight, asker: &Asker, row: &ReleaseRow) -> Header {
        let study = asker.study();
        let mut versions: Vec<(String, String)> = vec![(
            "HPO".to_owned(),
            insight
                .ontology()
                .versions()
                .next()
                .map(|version| version.version.to_owned())
                .unwrap_or_default(),
        )];
        let rules = Rules::shipped();
        versions.push((
            "de-identification rules".to_owned(),
            format!(
                "{}, {}",
                rules.version(),
                codec::hex::encode(&rules.digest())
            ),
        ));
        versions.push(("Ithaca".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        Header {
            format: ::release::FORMAT.to_owned(),
            study: study_text(study, study.digest()),
            number: row.number,
            tier: row.tier(),
            k: row.k,
            cohort: row.cohort_says(),
            made: row.asked,
            versions,
            formats: row.formats(),
            statement: ::release::STATEMENT.to_owned(),
        }
    }

    /// Goes on with what was begun, if it is of the same people, under the same consents and to be the same;
    /// otherwise begins anew.
    async fn release_begin(
        &self,
        read: &mut Read<ReleaseRow>,
        gathered: &Gathered,
        extract: &Extract,
        header: &Header,
    ) -> Result<(), Error> {
        let population = digest_of(&read.row, gathered, extract, header)?;
        if read.row.population == Some(population) {
            return Ok(());
        }
        if read.row.population.is_some() {
            // Notes too may have been written.
            self.release_forget(&read.row).await?;
        }
        let mut begun = read.row.clone();
        begun.population = Some(population);
        *read = self.release_row_put(Some(read), begun).await?;
        Ok(())
    }

    /// Writes the files; gives the manifest, and how many measurements are not told.
    async fn release_write(
        &self,
        insight: &Insight,
        asker: &Asker,
        row: &ReleaseRow,
        gathered: &Gathered,
        extract: &Extract,
        header: &Header,
    ) -> Result<(::release::Manifest, u64), Stopped> {
        self.content_remove(&row.id, &[]).await?;
        let packing = |error: ::release::PackageError| {
            tracing::warn!(%error, "a release cannot be packed");
            Stopped::Error(Error::Internal("a release cannot be packed"))
        };
        let (mut package, pieces) = Package::new(header.clone()).map_err(packing)?;
        let mut content = Content::default();
        self.content_add(&row.id, &mut content, pieces).await?;
        let told = match row.measurements {
            true => {
                let people = gathered.people();
                self.told_before(&people, extract, &gathered.earlier, row.k)
                    .await?
            }
            false => Told::new(),
        };
        let damaged = || Error::Damaged("the groups of a release".to_owned());
        let mut fates = Rules::shipped().fates();
        let mut withheld = 0;
        let all = extract.clusters.len();
        for (part, clusters) in extract.clusters.chunks(PART).enumerate() {
            let first = part * PART;
            let kept = self.part(&row.id, part as u64).await?;
            let (groups, met): (Vec<(Group, u64)>, String) = match kept {
                Some(kept) => serde_json::from_slice(&kept).map_err(|_| damaged())?,
                None => {
                    let mut met = Rules::shipped().fates();
                    let mut groups = Vec::with_capacity(clusters.len());
                    for (at, cluster) in clusters.iter().enumerate() {
                        let number = (first + at + 1) as u64;
                        let (mut group, mut not_told) = self
                            .group_of(insight, asker, row, gathered, (number, cluster), &mut met)
                            .await?;
                        if let Some(told) = told.get(&(first + at)) {
                            not_told += told.settle(&mut group, row.k);
                        }
                        groups.push((group, not_told));
                    }
                    let made = (groups, met.to_json());
                    let bytes = serde_json::to_vec(&made)
                        .map_err(|_| Error::Internal("groups cannot be written"))?;
                    self.part_put(&row.id, part as u64, &bytes).await?;
                    made
                }
            };
            fates.merge_json(&met).map_err(|_| damaged())?;
            for (group, not_told) in &groups {
                withheld += not_told;
                let pieces = package.group(group).map_err(packing)?;
                self.content_add(&row.id, &mut content, pieces).await?;
            }
            let done = (first + clusters.len()) as u64;
            self.phase_at(&row.id, "measuring", done, all as u64);
        }
        let (pieces, manifest) = package.finish().map_err(packing)?;
        self.content_add(&row.id, &mut content, pieces).await?;
        let pieces = vec![(FATES, fates.to_json().into_bytes())];
        self.content_add(&row.id, &mut content, pieces).await?;
        self.content_finish(&row.id, content).await?;
        Ok((manifest, withheld))
    }

    fn limits_of(&self, study: &consent::Study) -> extract::Limits {
        let mut limits = self.research.limits;
        let asked = f64::from(study.limits.linked_per_mille) / 1_000.0;
        limits.linkage_three_terms = limits.linkage_three_terms.min(asked);
        limits
    }

    /// Made-up records with identifiers planted in them, through all that real ones go through.
    fn canaries(&self, insight: &Insight, k: u32) -> Result<Canaries, Error> {
        super::canary::run(insight.ontology(), k)
            .map_err(|_| Error::Internal("the canaries could not be run"))
    }

    pub(super) fn ontology(&self) -> Result<&Ontology, Error> {
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        Ok(insight.ontology())
    }

    pub(super) fn phase(&self, release: &DisclosureId, phase: &'static str, of: usize) {
        self.phase_at(release, phase, 0, of as u64);
    }

    fn phase_at(&self, release: &DisclosureId, phase: &'static str, done: u64, of: u64) {
        *self.making_lock() = Some(Making {
            release: *release,
            phase,
            done,
            of,
        });
    }

    pub(super) fn making_lock(&self) -> std::sync::MutexGuard<'_, Option<Making>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the groups of a release are made. Aggregates are one group of the whole cohort.
fn config_of(row: &ReleaseRow, subjects: usize) -> Config {
    let mut config = Config {
        k: row.k,
        cohort: match row.cohort {
            CohortRow::Diagnosed | CohortRow::Diseases(_) => Cohort::Diagnosis,
            CohortRow::Everybody => Cohort::Mixed(Diversity::default()),
        },
        ..Config::default()
    };
    if row.tier() == Tier::T2 {
        let whole = subjects.saturating_mul(100) / row.k.max(1) as usize;
        config.size_percent = u32::try_from(whole).unwrap_or(u32::MAX).max(100);
    }
    config
}

fn population(extract: &Extract, k: u32, withheld: u64) -> Population {
    use extract::Because as B;
    let down = |count: usize| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        count - count % k.max(1)
    };
    let left_out = |because: B| {
        let left = extract
            .left_out
            .iter()
            .filter(|left| left.because == because);
        down(left.count())
    };
    Population {
        released: down(extract.size()),
        without_feature: left_out(B::NoFeature),
        without_diagnosis: left_out(B::NoDiagnosis),
        too_few_alike: left_out(B::TooFewAlike),
        measurements_withheld: withheld,
    }
}

/// Names whom and what a release is made of, and by what.
fn digest_of(
    row: &ReleaseRow,
    gathered: &Gathered,
    extract: &Extract,
    header: &Header,
) -> Result<Digest, Error> {
    let header = serde_json::to_vec(header);
    let header = header.map_err(|_| Error::Internal("a header cannot be written"))?;
    // Groups that are kept were held against what had left.
    let left: Vec<Digest> = gathered.earlier.iter().map(|left| left.content).collect();
    let mut parts: Vec<Vec<u8>> = vec![row.id.as_bytes().to_vec(), header, codec::to_vec(&left)];
    for (cluster, number) in extract.clusters.iter().zip(0_u64..) {
        for at in &cluster.members {
            let Some(member) = gathered.candidates.get(*at as usize) else {
                continue;
            };
            parts.push(codec::to_vec(&(
                number,
                member.admitted.subject,
                member.admitted.sequence,
                member.records,
            )));
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(keys::digest(Domain::ReleaseContent, &parts))
}

/// Whether what went wrong may go right later.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable(_)
            | Error::Busy { .. }
            | Error::Storage { .. }
            | Error::DiskFull
            | Error::Conflict(_)
    )
}
