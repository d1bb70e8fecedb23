//! What releases were made of, read again: for later releases, for certifying, for repeating attacks. And the
//! notes in compartments that say so.
//!
//! Whoever was erased since is nobody any more: a place in the group, of which nothing is known.

use super::cohort::asker;
use super::make::{CHANGED, Candidate, Gathered, KEPT, Stopped, TARGETS};
use super::rows::{ReleaseRow, ReleaseState};
use super::{ReleaseReplayed, cohort::Asker};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::error::Error;
use ::release::Certificate;
use codec::id::{Digest, DisclosureId, SubjectId};
use codec::record;
use consent::Purpose;
use extract::{Against, AttackTable, Cluster, Extract, Hpo, Made, Subject, attack};
use ontology::Ontology;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{ReleaseHeld, ReleasePut};

/// Subjects whose notes are written together.
const NOTES: usize = 64;
/// The profiles as they are compared with later releases; stays inside.
pub(super) const PROFILES: &str = "profiles.json";

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
        /// How far consent let the study read; none in rows of before this was kept.
        7 => reach: Option<Digest>,
    }
}

/// An earlier release as far as its people are still here.
pub(super) struct Before {
    pub(super) row: ReleaseRow,
    pub(super) content: Digest,
    /// Those who are still here, then one of whom nothing is known for each who is not.
    pub(super) subjects: Vec<Subject>,
    pub(super) extract: Extract,
    /// Of those who are still here: how far consent let the study read.
    heard: Vec<(SubjectId, Option<Digest>)>,
    /// How many are not here any more.
    gone: u64,
}

/// What of a release is kept to compare others with it: its profiles, and how many subjects each group has.
pub(super) fn profiles(extract: &Extract) -> Result<Vec<u8>, Error> {
    let members: Vec<usize> = extract.clusters.iter().map(|c| c.members.len()).collect();
    serde_json::to_vec(&(extract.release(), members))
        .map_err(|_| Error::Internal("profiles cannot be written"))
}

/// Whether a release is on the ledger or on its way.
fn has_left(row: &ReleaseRow) -> bool {
    matches!(
        row.state,
        ReleaseState::Released(_) | ReleaseState::Publishing(_)
    )
}

impl<S: Store> Custodian<S> {
    /// The releases that left, as far as their people are still here, oldest first.
    pub(super) async fn earlier(
        &self,
        insight: &Insight,
        of: &ReleaseRow,
    ) -> Result<Vec<Before>, Error> {
        let mut rows = self.release_rows(None).await?;
        rows.retain(|row| row.id != of.id && has_left(row));
        rows.sort_by_key(|row| (row.asked, row.id));
        let mut earlier = self.extracts_again(insight, rows, None).await?;
        earlier.retain(|before| before.gone < before.subjects.len() as u64);
        Ok(earlier)
    }

    /// Releases' groups with whoever of them is still here, in one pass and in the order of `rows`. Decided and
    /// logged for each of them as the node's own reading, and as an act of `by` if somebody asked for it; whom the
    /// node may not read is as one who is not here.
    async fn extracts_again(
        &self,
        insight: &Insight,
        rows: Vec<ReleaseRow>,
        by: Option<&Caller>,
    ) -> Result<Vec<Before>, Error> {
        let damaged = || Error::Damaged("the profiles of a release".to_owned());
        let mut befores = Vec::with_capacity(rows.len());
        let mut members = Vec::with_capacity(rows.len());
        for row in rows {
            let bytes = self.content_file(&row.id, PROFILES).await?;
            let (released, sizes): (extract::Release, Vec<usize>) =
                serde_json::from_slice(&bytes.ok_or_else(damaged)?).map_err(|_| damaged())?;
            let certificate = self.certificate_of(&row).await?;
            let clusters = released.profiles.into_iter().map(|profile| Cluster {
                members: Vec::new(),
                profile,
            });
            members.push(sizes);
            befores.push(Before {
                content: row.content.ok_or_else(damaged)?,
                row,
                subjects: Vec::new(),
                heard: Vec::new(),
                extract: Extract {
                    config: certificate.config,
                    clusters: clusters.collect(),
                    left_out: Vec::new(),
                    kept: certificate.kept,
                },
                gone: 0,
            });
        }
        let places: BTreeMap<DisclosureId, usize> =
            befores.iter().map(|b| b.row.id).zip(0..).collect();
        let mut after = None;
        while !befores.is_empty() {
            let page = self.vault.research_used_list(after.as_ref(), 256).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            let wanted = page.iter().filter(|(_, of)| places.contains_key(of));
            let wanted: BTreeSet<SubjectId> = wanted.map(|(subject, _)| *subject).collect();
            let permitted = self.logged_again(&wanted, by).await?;
            // INVARIANT: nothing is opened before this line.
            for (subject, release) in page {
                let Some(before) = places.get(&release).and_then(|at| befores.get_mut(*at)) else {
                    continue;
                };
                if !permitted.contains(&subject) {
                    continue;
                }
                let used = match self.vault.research_used(&subject, &release).await {
                    Ok(Some(used)) => used,
                    Ok(None) | Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => {
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let used: Used = codec::from_slice(&used).map_err(|_| damaged())?;
                before.heard.push((subject, used.reach));
                let subject = used.subject(insight.ontology(), &subject);
                before.add(used.group, subject).ok_or_else(damaged)?;
            }
        }
        for (before, members) in befores.iter_mut().zip(members) {
            before.fill(&members).ok_or_else(damaged)?;
        }
        Ok(befores)
    }

    /// Of whom what a release was made of may be read again: decided, and logged durably.
    async fn logged_again(
        &self,
        subjects: &BTreeSet<SubjectId>,
        by: Option<&Caller>,
    ) -> Result<BTreeSet<SubjectId>, Error> {
        let mut permitted = BTreeSet::new();
        let mut logs = Vec::with_capacity(subjects.len());
        for subject in subjects {
            match self.system_decided(subject, "release-compared").await {
                Ok((logging, permits, _)) => {
                    logs.push(logging);
                    if permits {
                        permitted.insert(*subject);
                    }
                }
                Err(Error::SubjectErased | Error::SubjectUnknown) => {}
                Err(error) => return Err(error),
            }
        }
        self.disclosures_log(logs).await?;
        if let Some(caller) = by {
            let asked: Vec<SubjectId> = permitted.iter().copied().collect();
            self.acts_log(caller, &asked, Purpose::Hcompl, "release-replay")
                .await?;
        }
        Ok(permitted)
    }

    /// Notes in each subject's compartment that the release holds its data.
    pub(super) async fn release_note(
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
                let (subject, reach) = (&member.admitted.subject, &member.admitted.reach);
                if !self.still_as_far(asker, subject, reach).await? {
                    return Err(Stopped::Refused(CHANGED.to_owned()));
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
                let used = codec::to_vec(&Used::of(member, self.ontology()?, group));
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
                    return Err(Stopped::Refused(CHANGED.to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Why a release may not leave that might when it was made, if there is such a thing.
    pub(super) async fn release_obstacle(
        &self,
        row: &ReleaseRow,
    ) -> Result<Option<&'static str>, Error> {
        const ENDED: &str = "the consent of some of its subjects ended or changed since it was made; ask for it again";
        const OVERTAKEN: &str =
            "another release of some of its subjects left since it was made; ask for it again";
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        let certificate = self.certificate_of(row).await?;
        let mut rows = self.release_rows(None).await?;
        rows.retain(|other| {
            let known = |content| certificate.earlier.iter().any(|e| e.content == content);
            has_left(other) && other.id != row.id && !other.content.is_some_and(known)
        });
        rows.push(row.clone());
        let mut befores = self.extracts_again(insight, rows, None).await?;
        let Some(own) = befores.pop() else {
            return Err(Error::Internal("a release is not among its own"));
        };
        if own.gone > 0 {
            return Ok(Some(ENDED));
        }
        let study = self.study_row(&row.study).await?.row.case.study;
        let actor = row.actor();
        let facts = self.study_facts(&row.study, &actor).await?;
        let asker = asker(actor, study, &facts);
        for (subject, reach) in &own.heard {
            let stands = match reach {
                Some(reach) => self.still_as_far(&asker, subject, reach).await?,
                None => false,
            };
            if !stands {
                return Ok(Some(ENDED));
            }
        }
        // Differencing was tried with those that had left then.
        let own: BTreeSet<&[u8; 32]> = own.subjects.iter().map(|s| &s.id).collect();
        let mut others = befores.iter().flat_map(|before| &before.subjects);
        Ok(others.any(|s| own.contains(&s.id)).then_some(OVERTAKEN))
    }

    /// Removes all that is left of a release that will not leave, or is begun anew, but its row, certificate and
    /// manifest.
    pub(super) async fn release_forget(&self, row: &ReleaseRow) -> Result<(), Error> {
        let mut after: Option<SubjectId> = None;
        loop {
            let page = self.vault.compartments(after.as_ref(), 256).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            self.vault.research_unreleased(&page, &row.id).await?;
        }
        self.parts_remove(&row.id).await?;
        self.content_remove(&row.id, &KEPT).await
    }

    /// Attacks tried again, on whoever is still here.
    pub(super) async fn replayed(
        &self,
        caller: &Caller,
        row: &ReleaseRow,
        certificate: &Certificate,
    ) -> Result<ReleaseReplayed, Error> {
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        let rows = vec![row.clone()];
        let mut befores = self.extracts_again(insight, rows, Some(caller)).await?;
        let Some(Before {
            subjects,
            extract,
            gone,
            ..
        }) = befores.pop()
        else {
            return Err(Error::Internal("a release is not among its own"));
        };
        let here = subjects
            .len()
            .saturating_sub(usize::try_from(gone).unwrap_or(usize::MAX));
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
            subjects: here as u64,
            gone,
            differs,
        })
    }
}

impl Before {
    /// Of those who are still here: who, and how far consent let the study read.
    pub(super) fn reach(&self) -> impl Iterator<Item = ([u8; 32], Digest)> {
        self.heard.iter().filter_map(|(subject, reach)| {
            let mut id = [0; 32];
            id.copy_from_slice(subject.as_bytes());
            Some((id, (*reach)?))
        })
    }

    fn add(&mut self, group: u32, subject: Subject) -> Option<()> {
        let at = u32::try_from(self.subjects.len()).ok()?;
        let cluster = self.extract.clusters.get_mut(group as usize)?;
        cluster.members.push(at);
        self.subjects.push(subject);
        Some(())
    }

    /// Fills the places of those who are not here any more.
    fn fill(&mut self, members: &[usize]) -> Option<()> {
        if members.len() != self.extract.clusters.len() {
            return None;
        }
        for (group, members) in (0_u32..).zip(members) {
            let there = self.extract.clusters.get(group as usize)?.members.len();
            for _ in there..*members {
                self.gone += 1;
                // Of nobody: ids are random.
                let mut id = [0xff; 32];
                id[24..].copy_from_slice(&self.gone.to_be_bytes());
                let nobody = Subject {
                    id,
                    observed: Vec::new(),
                    excluded: Vec::new(),
                    sex: None,
                    age: None,
                    diagnosis: None,
                };
                self.add(group, nobody)?;
            }
        }
        Some(())
    }
}

impl Used {
    fn of(member: &Candidate, ontology: &Ontology, group: u32) -> Self {
        let subject = &member.features;
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
            reach: Some(member.admitted.reach),
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
