//! Making a release: whoever is in it decided and logged, clustered, measured, packed, attacked.
//!
//! ```text
//! admitted, logged (durable), opened -> features in memory -> clusters -> measurements, 16 groups at a time (durable)
//!   -> files (durable) -> attacks, with every earlier release of some of the same people -> certificate
//!   -> notes in compartments (durable) -> prepared, or refused
//! ```
//! After a restart the subjects are read again; if they are the same under the same consents, finished groups are
//! not made again. What grows with the number of subjects is their features; measurements are of 16 groups at
//! a time.

use super::cohort::{Admitted, Asker, GROUP, asker};
use super::content::Content;
use super::held::NOBODY;
use super::rows::{CohortRow, Read, ReleaseRow, ReleaseState};
use super::{ReleaseReplayed, study_text};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::error::Error;
use ::release::{
    Canaries, Certificate, Group, Header, Measures, OfSubject, Package, Population, Tier, Unit,
};
use codec::Domain;
use codec::id::{Digest, DisclosureId, SubjectId};
use codec::record;
use consent::Actor;
use deident::Rules;
use extract::{
    Against, AttackTable, Cohort, Config, Diversity, Earlier, Extract, Hpo, Made, Profile, Subject,
    attack, cluster, cluster_after,
};
use ontology::{DiseaseId, HpoId, Ontology};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use store::Store;
use vault::{ReleaseHeld, ReleasePut};

/// The most subjects of a release.
const SUBJECTS_MAX: usize = extract::MAX_SUBJECTS;
/// Groups whose measurements are kept together.
const PART: usize = 16;
/// The most people that each attack looks for.
const TARGETS: u32 = 2_000;
/// Subjects whose notes are written together.
const NOTES: usize = 64;
/// The profiles as they are compared with later releases; stays inside.
const PROFILES: &str = "profiles.json";

/// How far the release that is being made is.
pub(crate) struct Making {
    pub(crate) release: DisclosureId,
    pub(crate) phase: &'static str,
    pub(crate) done: u64,
    pub(crate) of: u64,
}

record! {
    /// What of a subject a release was made of, and its group.
    struct Used {
        1 => observed: Vec<u32>,
        2 => excluded: Vec<u32>,
        /// 1 female, 2 male.
        3 => sex: Option<u8>,
        /// The band's number.
        4 => age: Option<u8>,
        5 => diagnosis: Option<String>,
        6 => group: u32,
    }
}

/// Somebody who will be in the release, unless something is against it.
struct Candidate {
    admitted: Admitted,
    disclosure: DisclosureId,
    features: Subject,
}

/// An earlier release as far as its people are still here.
struct Before {
    row: ReleaseRow,
    content: Digest,
    subjects: Vec<Subject>,
    extract: Extract,
}

/// What a release is made of.
struct Gathered {
    candidates: Vec<Candidate>,
    earlier: Vec<Before>,
}

/// Why a release cannot go on.
enum Stopped {
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
    /// Does the next thing that is due for a release; whether there was anything.
    pub(crate) async fn releases_step(&self) -> Result<bool, Error> {
        self.in_service()?;
        for row in self.release_rows(None).await? {
            match &row.state {
                ReleaseState::Preparing => {
                    let read = self.release_row(&row.study, row.number).await?;
                    self.release_make(read).await?;
                    return Ok(true);
                }
                ReleaseState::Publishing(entry) => {
                    if self.release_settle(&row, entry).await? {
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// Whether a certified release's entry became final.
    async fn release_settle(
        &self,
        row: &ReleaseRow,
        entry: &codec::id::EntryId,
    ) -> Result<bool, Error> {
        let stands = match self.vault.entry(entry).await {
            Ok(stands) => stands,
            // The process ended between the row and the queue.
            Err(vault::Error::Unknown(_)) => {
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

    async fn release_make(&self, read: Read<ReleaseRow>) -> Result<(), Error> {
        let insight = self.insight.clone();
        let insight = insight.ok_or_else(super::count::unknowing)?;
        let id = read.row.id;
        match self.release_made(&insight, &read).await {
            Ok(row) => {
                self.release_row_put(Some(&read), row).await?;
                self.parts_remove(&id).await?;
            }
            Err(Stopped::Refused(why)) => {
                tracing::info!(release = %id, "a release was refused");
                self.release_refuse(read, why).await?;
            }
            Err(Stopped::Error(error)) => return Err(error),
        }
        *self.making_lock() = None;
        Ok(())
    }

    /// Makes the content and certificate of a release; its row as it is then.
    async fn release_made(
        &self,
        insight: &Insight,
        read: &Read<ReleaseRow>,
    ) -> Result<ReleaseRow, Stopped> {
        let mut row = read.row.clone();
        let case = self.study_row(&row.study).await?.row.case;
        let actor = Actor {
            institution: row.by.institution,
            practitioner: row.by.practitioner.clone(),
            roles: row.roles.clone(),
            slot: None,
        };
        let facts = self.study_facts(&row.study, &actor).await?;
        if !facts.active {
            return Err(Stopped::Refused("the study is over".to_owned()));
        }
        let asker = asker(actor, case.study, &facts);
        let gathered = self.release_people(insight, &asker, &row).await?;
        let subjects: Vec<Subject> = gathered
            .candidates
            .iter()
            .map(|candidate| candidate.features.clone())
            .collect();
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
        let (manifest, withheld) = self
            .release_write(insight, &asker, &mut row, &gathered, &extract, &header)
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
        let profiles = serde_json::to_vec(&extract.release())
            .map_err(|_| Error::Internal("profiles cannot be written"))?;
        let pieces = vec![
            (::release::check::BESIDE[0], manifest.bytes()),
            (::release::check::BESIDE[1], bytes),
            (PROFILES, profiles),
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
            let mut admitted = self.admitted(asker, &page, "release").await?;
            let logs = admitted.iter_mut().filter_map(Admitted::log).collect();
            let logged = self.disclosures_log(logs).await?;
            // INVARIANT: nothing is opened before this line.
            for (one, disclosure) in admitted.into_iter().zip(logged) {
                if !self.still_admitted(&one).await? {
                    continue;
                }
                let known = match self.known(insight.ontology(), &one).await {
                    Ok(Some(known)) => known,
                    Ok(None) | Err(Error::SubjectErased | Error::SubjectUnknown) => continue,
                    Err(error) => return Err(error.into()),
                };
                let wanted = match &row.cohort {
                    CohortRow::Diseases(ids) => known.has_one_of(ids),
                    CohortRow::Diagnosed | CohortRow::Everybody => true,
                };
                if !wanted {
                    continue;
                }
                if candidates.len() >= SUBJECTS_MAX {
                    return Err(Stopped::Refused(format!(
                        "more than {SUBJECTS_MAX} subjects; narrow the cohort"
                    )));
                }
                candidates.push(Candidate {
                    admitted: one,
                    disclosure,
                    features: known.features,
                });
            }
            self.phase_at(&row.id, "reading", read as u64, 0);
        }
        let earlier = self.earlier(insight, row).await?;
        Ok(Gathered {
            candidates,
            earlier,
        })
    }

    /// The releases on the ledger, as far as their people are still here, oldest first.
    async fn earlier(&self, insight: &Insight, of: &ReleaseRow) -> Result<Vec<Before>, Error> {
        let mut rows = self.release_rows(None).await?;
        rows.retain(|row| {
            row.id != of.id
                && matches!(
                    row.state,
                    ReleaseState::Released(_) | ReleaseState::Publishing(_)
                )
        });
        rows.sort_by_key(|row| (row.asked, row.id));
        let mut earlier = Vec::new();
        for row in rows {
            let (subjects, extract, _) = self.extract_again(insight, &row).await?;
            let Some(content) = row.content else { continue };
            if subjects.is_empty() {
                continue;
            }
            earlier.push(Before {
                row,
                content,
                subjects,
                extract,
            });
        }
        Ok(earlier)
    }

    /// A release's groups with whoever of them is still here; and how many are not.
    async fn extract_again(
        &self,
        insight: &Insight,
        row: &ReleaseRow,
    ) -> Result<(Vec<Subject>, Extract, u64), Error> {
        let damaged = || Error::Damaged("the profiles of a release".to_owned());
        let bytes = self.content_file(&row.id, PROFILES).await?;
        let released: extract::Release =
            serde_json::from_slice(&bytes.ok_or_else(damaged)?).map_err(|_| damaged())?;
        let profiles: Vec<Profile> = released.profiles;
        let mut clusters: Vec<extract::Cluster> = profiles
            .into_iter()
            .map(|profile| extract::Cluster {
                members: Vec::new(),
                profile,
            })
            .collect();
        let mut subjects = Vec::new();
        let mut after: Option<SubjectId> = None;
        loop {
            let page = self.vault.compartments(after.as_ref(), 256).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            for subject in page {
                let used = match self.vault.research_used(&subject, &row.id).await {
                    Ok(Some(used)) => used,
                    Ok(None) | Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => {
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let used: Used = codec::from_slice(&used).map_err(|_| damaged())?;
                let at = u32::try_from(subjects.len()).map_err(|_| damaged())?;
                let cluster = clusters.get_mut(used.group as usize).ok_or_else(damaged)?;
                cluster.members.push(at);
                subjects.push(used.subject(insight.ontology(), &subject));
            }
        }
        let certificate = self.certificate_of(row).await?;
        let extract = Extract {
            config: certificate.config,
            clusters,
            left_out: Vec::new(),
            kept: certificate.kept,
        };
        let there = subjects.len() as u64;
        let gone = u64::from(certificate.population.released).saturating_sub(there);
        Ok((subjects, extract, gone))
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

    /// Writes the files; gives the manifest, and how many measurements are not told.
    async fn release_write(
        &self,
        insight: &Insight,
        asker: &Asker,
        row: &mut ReleaseRow,
        gathered: &Gathered,
        extract: &Extract,
        header: &Header,
    ) -> Result<(::release::Manifest, u64), Stopped> {
        let population = digest_of(row, gathered, extract);
        if row.population != Some(population) {
            // Of somebody else, or under other consents: begun anew.
            self.parts_remove(&row.id).await?;
            let read = self.release_row(&row.study, row.number).await?;
            let mut begun = read.row.clone();
            begun.population = Some(population);
            row.population = Some(population);
            self.release_row_put(Some(&read), begun).await?;
        }
        self.content_remove(&row.id).await?;
        let packing = |error: ::release::PackageError| {
            tracing::warn!(%error, "a release cannot be packed");
            Stopped::Error(Error::Internal("a release cannot be packed"))
        };
        let (mut package, pieces) = Package::new(header.clone()).map_err(packing)?;
        let mut content = Content::default();
        self.content_add(&row.id, &mut content, pieces).await?;
        let mut withheld = 0;
        let all = extract.clusters.len();
        for (part, clusters) in extract.clusters.chunks(PART).enumerate() {
            let first = part * PART;
            let kept = self.part(&row.id, part as u64).await?;
            let groups: Vec<(Group, u64)> = match kept {
                Some(kept) => serde_json::from_slice(&kept)
                    .map_err(|_| Error::Damaged("the groups of a release".to_owned()))?,
                None => {
                    let mut groups = Vec::with_capacity(clusters.len());
                    for (at, cluster) in clusters.iter().enumerate() {
                        let number = (first + at + 1) as u64;
                        groups.push(
                            self.group_of(insight, asker, row, gathered, cluster, number)
                                .await?,
                        );
                    }
                    let bytes = serde_json::to_vec(&groups)
                        .map_err(|_| Error::Internal("groups cannot be written"))?;
                    self.part_put(&row.id, part as u64, &bytes).await?;
                    groups
                }
            };
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
        self.content_finish(&row.id, content).await?;
        Ok((manifest, withheld))
    }

    /// A group, with its measurements and tokens; and how many measurements are not told.
    async fn group_of(
        &self,
        insight: &Insight,
        asker: &Asker,
        row: &ReleaseRow,
        gathered: &Gathered,
        cluster: &extract::Cluster,
        number: u64,
    ) -> Result<(Group, u64), Stopped> {
        let ontology = insight.ontology();
        let mut group = Group::of(
            ::release::check::name(number),
            &cluster.profile,
            &|term| label(ontology, term),
            &|disease| disease_name(ontology, disease),
        );
        let members = cluster
            .members
            .iter()
            .filter_map(|at| gathered.candidates.get(*at as usize));
        let key = self.study_key(&row.study);
        let mut measures = Measures::new(row.k);
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        for member in members {
            if row.measurements {
                measures.subject(self.measured(&key, row, &member.admitted).await?);
            }
            if self.may_be_asked(asker, &member.admitted.subject).await? {
                tokens.push(self.token(&key, &member.admitted.subject)?);
            }
        }
        // Some that stand for nobody, so that their number tells nothing; in an order that tells nothing.
        if !tokens.is_empty() {
            let k = row.k.max(1) as usize;
            while !tokens.len().is_multiple_of(k) {
                tokens.push(self.token(&key, &NOBODY)?);
            }
            tokens.sort();
        }
        group.recontact = tokens
            .iter()
            .map(|token| codec::hex::encode(token))
            .collect();
        let (measured, withheld) = measures.finish();
        group.measured = measured;
        Ok((group, withheld as u64))
    }

    fn token(&self, key: &deident::StudyKey, subject: &SubjectId) -> Result<Vec<u8>, Error> {
        let mut entropy = self.ambient.entropy();
        key.seal_recontact(subject.as_bytes(), &mut entropy)
            .map(|token| token.to_vec())
            .map_err(|_| Error::Internal("a token cannot be sealed"))
    }

    /// Whether a subject's consent permits a study its identity, and so to be asked again.
    async fn may_be_asked(&self, asker: &Asker, subject: &SubjectId) -> Result<bool, Error> {
        let standing = match self.standing(subject).await {
            Ok(standing) => standing,
            Err(Error::SubjectErased | Error::SubjectUnknown) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(self.identity_permitted(asker, subject, &standing))
    }

    /// The values of a subject's Observations, as the rules of de-identification leave them.
    async fn measured(
        &self,
        key: &deident::StudyKey,
        row: &ReleaseRow,
        one: &Admitted,
    ) -> Result<OfSubject, Error> {
        let mut values = OfSubject::default();
        let rules = Rules::shipped();
        let mut fates = rules.fates();
        let at = row
            .asked
            .date()
            .ok_or(Error::Internal("a time without a date"))?;
        for plan in one
            .plans
            .iter()
            .filter(|plan| plan.meta.kind == "Observation")
        {
            let opened = match self.open(&one.subject, plan.clone()).await {
                Ok(opened) => opened,
                Err(Error::SubjectErased | Error::SubjectUnknown) => break,
                Err(error) => return Err(error),
            };
            for (_, contents) in crate::differential::documents(&[opened], None) {
                for content in contents {
                    // It is in this subject's compartment: whatever it calls its patient is this subject.
                    let patient = patient_of(content.as_bytes());
                    let patients: Vec<&str> = patient.as_deref().into_iter().collect();
                    let cloak = key.subject(one.subject.as_bytes(), &patients);
                    let left = rules.resource(&cloak, at, content.as_bytes(), &mut fates);
                    let left: Option<serde_json::Value> = left
                        .ok()
                        .and_then(|left| serde_json::from_slice(&left).ok());
                    if let Some(left) = left {
                        values_of(&left, &mut values);
                    }
                }
            }
        }
        Ok(values)
    }

    /// Notes in each subject's compartment that the release holds its data.
    async fn release_note(
        &self,
        asker: &Asker,
        row: &ReleaseRow,
        gathered: &Gathered,
        extract: &Extract,
        certificate: &Certificate,
    ) -> Result<(), Stopped> {
        let risk = certificate.risk() * 1e6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of one, in millionths"
        )]
        let risk_ppm = risk.clamp(0.0, 1e6) as u32;
        let mut notes = Vec::new();
        for (group, cluster) in extract.clusters.iter().zip(0_u32..).map(|(c, at)| (at, c)) {
            for at in &cluster.members {
                let Some(member) = gathered.candidates.get(*at as usize) else {
                    continue;
                };
                // Whatever was revoked while it was made binds it too.
                if !self.still_admitted(&member.admitted).await? {
                    self.release_forget(row).await?;
                    return Err(Stopped::Refused(
                        "the consent of some of its subjects ended while it was made; ask for it again"
                            .to_owned(),
                    ));
                }
                let held = ReleaseHeld {
                    study: row.study,
                    number: row.number,
                    institution: asker.study().institution,
                    at: row.asked,
                    group,
                    risk_ppm,
                    certificate: row.certificate.unwrap_or(Digest::new([0; 32])),
                    disclosure: member.disclosure,
                };
                let used = codec::to_vec(&Used::of(&member.features, self.ontology()?, group));
                notes.push((member.admitted.subject, held, used));
            }
        }
        self.phase(&row.id, "noting", notes.len());
        let mut entropy = self.ambient.entropy();
        for notes in notes.chunks(NOTES) {
            let puts: Vec<ReleasePut<'_>> = notes
                .iter()
                .map(|(subject, held, used)| ReleasePut {
                    subject: *subject,
                    release: row.id,
                    held,
                    used,
                })
                .collect();
            match self.vault.research_released(&puts, &mut entropy).await {
                Ok(()) => {}
                Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => {
                    self.release_forget(row).await?;
                    return Err(Stopped::Refused(
                        "some of its subjects were erased while it was made; ask for it again"
                            .to_owned(),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// How many subjects of a release may no longer be in it.
    pub(super) async fn release_members_gone(&self, row: &ReleaseRow) -> Result<u64, Error> {
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        let (subjects, extract, _) = self.extract_again(insight, row).await?;
        let study = self.study_row(&row.study).await?.row.case.study;
        let actor = Actor {
            institution: row.by.institution,
            practitioner: row.by.practitioner.clone(),
            roles: row.roles.clone(),
            slot: None,
        };
        let facts = self.study_facts(&row.study, &actor).await?;
        let asker = asker(actor, study, &facts);
        let mut gone = 0;
        for subject in &subjects {
            let id = SubjectId::new(subject.id);
            let admitted = match self.standing(&id).await {
                Ok(standing) => self.admits(&asker, &id, &standing).is_some(),
                Err(Error::SubjectErased | Error::SubjectUnknown) => false,
                Err(error) => return Err(error),
            };
            gone += u64::from(!admitted);
        }
        // The erased have no row any more: a group that lost somebody is smaller than it was said to be.
        let short = extract
            .clusters
            .iter()
            .any(|cluster| cluster.members.len() < cluster.profile.at_least as usize);
        Ok(gone.max(u64::from(short)))
    }

    /// Removes all that is left of a release that will not leave, but its row, certificate and manifest.
    pub(super) async fn release_forget(&self, row: &ReleaseRow) -> Result<(), Error> {
        let mut after: Option<SubjectId> = None;
        loop {
            let page = self.vault.compartments(after.as_ref(), 256).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            self.vault.research_unreleased(&page, &row.id).await?;
        }
        self.parts_remove(&row.id).await
    }

    /// Attacks tried again, on whoever is still here.
    pub(super) async fn replayed(
        &self,
        caller: &Caller,
        row: &ReleaseRow,
        certificate: &Certificate,
    ) -> Result<ReleaseReplayed, Error> {
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        let (subjects, extract, gone) = self.extract_again(insight, row).await?;
        // What was used of each is opened again: logged for each of them.
        let ids: Vec<SubjectId> = subjects.iter().map(|s| SubjectId::new(s.id)).collect();
        for ids in ids.chunks(GROUP) {
            self.acts_log(caller, ids, consent::Purpose::Hcompl, "release-replay")
                .await?;
        }
        let hpo = Hpo::new(insight.ontology());
        let against = Against {
            outside: &[],
            earlier: &[],
            targets: TARGETS,
        };
        let again: AttackTable = attack(
            &hpo,
            &subjects,
            Made::Clusters(&extract),
            &against,
            certificate.attacks.seed,
            &certificate.limits,
        );
        let mut differs = Vec::new();
        if gone == 0 {
            let before = &certificate.attacks;
            for (was, is) in before.linkage.iter().zip(&again.linkage) {
                if was != is {
                    differs.push(format!("linkage: {:.4} then, {:.4} now", was.rate, is.rate));
                }
            }
            if before.singling_out != again.singling_out {
                differs.push("singling out".to_owned());
            }
        }
        Ok(ReleaseReplayed {
            subjects: subjects.len() as u64,
            gone,
            differs,
        })
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

    fn ontology(&self) -> Result<&Ontology, Error> {
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        Ok(insight.ontology())
    }

    fn phase(&self, release: &DisclosureId, phase: &'static str, of: usize) {
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

impl Used {
    fn of(subject: &Subject, ontology: &Ontology, group: u32) -> Self {
        let numbers = |terms: &[ontology::TermIx]| {
            terms
                .iter()
                .map(|term| ontology.term(*term).id().number())
                .collect()
        };
        Self {
            observed: numbers(&subject.observed),
            excluded: numbers(&subject.excluded),
            sex: subject.sex.map(|sex| match sex {
                ontology::Sex::Female => 1,
                ontology::Sex::Male => 2,
            }),
            age: subject.age.map(|age| age as u8),
            diagnosis: subject.diagnosis.map(|id| id.to_string()),
            group,
        }
    }

    fn subject(&self, ontology: &Ontology, id: &SubjectId) -> Subject {
        let terms = |numbers: &[u32]| {
            let ids = crate::differential::terms(numbers);
            ids.into_iter().filter_map(|id| ontology.live(id)).collect()
        };
        let mut own = [0; 32];
        own.copy_from_slice(id.as_bytes());
        Subject {
            id: own,
            observed: terms(&self.observed),
            excluded: terms(&self.excluded),
            sex: match self.sex {
                Some(1) => Some(ontology::Sex::Female),
                Some(2) => Some(ontology::Sex::Male),
                _ => None,
            },
            age: self.age.and_then(band),
            diagnosis: self.diagnosis.as_ref().and_then(|id| id.parse().ok()),
        }
    }
}

fn band(number: u8) -> Option<extract::AgeBand> {
    use extract::AgeBand as B;
    let bands = [
        B::Under1,
        B::From1To4,
        B::From5To15,
        B::From16To39,
        B::From40To59,
        B::From60,
    ];
    bands.into_iter().find(|band| *band as u8 == number)
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

/// Names whom and what a release is made of.
fn digest_of(row: &ReleaseRow, gathered: &Gathered, extract: &Extract) -> Digest {
    let mut parts: Vec<Vec<u8>> = vec![row.id.as_bytes().to_vec()];
    for (cluster, number) in extract.clusters.iter().zip(0_u64..) {
        for at in &cluster.members {
            let Some(member) = gathered.candidates.get(*at as usize) else {
                continue;
            };
            let records: Vec<(codec::id::RecordId, u32)> = member
                .admitted
                .plans
                .iter()
                .map(|plan| (plan.meta.record, plan.meta.version))
                .collect();
            parts.push(codec::to_vec(&(
                number,
                member.admitted.subject,
                member.admitted.sequence(),
                records,
            )));
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    keys::digest(Domain::ReleaseContent, &parts)
}

fn label(ontology: &Ontology, term: HpoId) -> String {
    let term = ontology.live(term).map(|ix| ontology.term(ix).label());
    term.unwrap_or_default().to_owned()
}

fn disease_name(ontology: &Ontology, disease: DiseaseId) -> String {
    let found = ontology.find_disease(disease);
    let name = found.map(|ix| ontology.disease(ix).name());
    name.unwrap_or_default().to_owned()
}

/// The id of the Patient that an Observation names.
fn patient_of(observation: &[u8]) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(observation).ok()?;
    let reference = read["subject"]["reference"].as_str()?;
    let (_, id) = reference.rsplit_once("Patient/")?;
    Some(id.split('/').next()?.to_owned())
}

/// The values of a de-identified Observation and its components.
pub(super) fn values_of(observation: &serde_json::Value, values: &mut OfSubject) {
    let parts = observation["component"].as_array();
    for part in std::iter::once(observation).chain(parts.into_iter().flatten()) {
        let quantity = &part["valueQuantity"];
        let ucum = quantity["system"] == "http://unitsofmeasure.org";
        let (Some(value), Some(unit), true) =
            (quantity["value"].as_f64(), quantity["code"].as_str(), ucum)
        else {
            continue;
        };
        // A comparator says that the value is another one.
        if !quantity["comparator"].is_null() {
            continue;
        }
        let codings = part["code"]["coding"].as_array();
        let coding = codings.into_iter().flatten().next();
        let text = |name: &str| {
            let found = coding.and_then(|coding| coding[name].as_str());
            found.map(str::to_owned)
        };
        if let (Some(system), Some(code)) = (text("system"), text("code")) {
            let unit = unit.to_owned();
            values.add(Unit { system, code, unit }, value);
        }
    }
}
