//! Subjects -> clusters, each with the profile that leaves.

use crate::{
    attack::Earlier,
    config::{Cohort, Config, MAX_SUBJECTS, MAX_TERMS, Refusal},
    group::{Vectors, groups, merged},
    hpo::{Hpo, float},
    profile::{Diagnoses, Profile, diverse, kept, profile},
    subject::Subject,
};
use ontology::DiseaseId;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// An extract as its makers have it: with members. Only [`Extract::release`] leaves. `Debug` shows
/// counts alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// How it was made.
    pub config: Config,
    /// By profile, then members.
    pub clusters: Vec<Cluster>,
    /// Who is in no cluster: positions among the subjects given, ascending.
    pub left_out: Vec<LeftOut>,
    /// What it keeps of the subjects' information.
    pub kept: Kept,
}

/// Subjects released as one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Positions among the subjects given, ascending. Never leave.
    pub members: Vec<u32>,
    /// What leaves.
    pub profile: Profile,
}

/// A subject in no cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Among the subjects given.
    pub subject: u32,
    /// Why.
    pub because: Because,
}

/// Why a subject is in no cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// No phenotypic feature was observed.
    NoFeature,
    /// The cohort is chosen by diagnosis and there is none.
    NoDiagnosis,
    /// Fewer than `k` subjects have the diagnosis.
    TooFewAlike,
    /// After an earlier extract: until at least `k` newcomers can be released together.
    Waiting,
}

/// Means over the subjects in clusters, 0 to 1, weighed by information.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Of what a subject has, how much their cluster's profile says.
    pub recall: f64,
    /// Of what a profile says, how much a member has.
    pub precision: f64,
}

/// What leaves: no members, no ids, nothing that fewer than `k` subjects share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// How it was made.
    pub config: Config,
    /// In an order that tells nothing but what they say.
    pub profiles: Vec<Profile>,
}

impl Extract {
    /// What leaves.
    #[must_use]
    pub fn release(&self) -> Release {
        Release {
            config: self.config,
            profiles: self.clusters.iter().map(|c| c.profile.clone()).collect(),
        }
    }

    /// Subjects in clusters.
    #[must_use]
    pub fn size(&self) -> usize {
        self.clusters.iter().map(|c| c.members.len()).sum()
    }
}

impl fmt::Debug for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extract({} clusters)", self.clusters.len())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} members)", self.members.len())
    }
}

/// Makes an extract. The order of `subjects` does not matter but for the positions in the answer.
///
/// # Errors
/// [`Refusal`]: never fewer than `k` subjects in a cluster, never one person twice.
pub fn cluster(hpo: &Hpo<'_>, subjects: &[Subject], config: &Config) -> Result<Extract, Refusal> {
    config.check()?;
    let mut making = Making::new(hpo, subjects, config);
    for (_, who) in making.cohorts(&by_id(subjects)?) {
        match making.enough(&who) {
            true => making.group(&who, &[]),
            false => making.leave_out(&who, Because::TooFewAlike),
        }
    }
    making.finished()
}

/// Makes an extract after an earlier one of some of the same people, with the same settings, so
/// that the two together tell as little as can be:
/// - a cluster whose members are all still there stays as it was released, word for word (what was
///   learned of them since is not in it);
/// - so does one that somebody left, if the profile of the others is the same to the letter;
/// - else the others stay together, and join newcomers;
/// - newcomers to a cohort are released when there are at least `k` of them, and wait until then.
///
/// # Errors
/// As [`cluster`]; and where the settings are not those of the earlier extract.
pub fn cluster_after(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    config: &Config,
    earlier: Earlier<'_>,
) -> Result<Extract, Refusal> {
    config.check()?;
    if *config != earlier.extract.config {
        return Err(Refusal::OtherConfig);
    }
    let order = by_id(subjects)?;
    let mut making = Making::new(hpo, subjects, config);
    let place = |id: &[u8; 32]| {
        let at = order.binary_search_by_key(&id, |&at| &subjects[at as usize].id);
        at.ok().map(|at| order[at])
    };
    let mut settled = vec![false; subjects.len()];
    let mut rests: BTreeMap<Option<DiseaseId>, Vec<Vec<u32>>> = BTreeMap::new();
    for cluster in &earlier.extract.clusters {
        let before = cluster
            .members
            .iter()
            .map(|&at| &earlier.subjects[at as usize]);
        let still = |was: &Subject| {
            let at = place(&was.id)?;
            (making.cohort_of(at) == making.cohort_of_subject(was)).then_some(at)
        };
        let mut here: Vec<u32> = before.clone().filter_map(still).collect();
        here.sort_unstable();
        for &at in &here {
            settled[at as usize] = true;
        }
        if here.len() == cluster.members.len() || making.says(&here, &cluster.profile) {
            making.keep(here, cluster.profile.clone());
        } else if let Some(&first) = here.first() {
            let cohort = making.cohort_of(first);
            rests.entry(cohort).or_default().push(here);
        }
    }
    let newcomers: Vec<u32> = (order.iter().copied())
        .filter(|&at| !settled[at as usize])
        .collect();
    for (cohort, who) in making.cohorts(&newcomers) {
        // One alone would be seen in whatever is left of both clusters.
        let (joining, alone): (Vec<_>, Vec<_>) = rests
            .remove(&cohort)
            .unwrap_or_default()
            .into_iter()
            .partition(|rest| rest.len() > 1);
        making.leave_out(&alone.concat(), Because::Waiting);
        if making.enough(&who) {
            making.group(&who, &joining);
        } else {
            making.leave_out(&who, Because::Waiting);
            making.leave_out(&joining.concat(), Because::Waiting);
        }
    }
    for rest in rests.into_values().flatten() {
        making.leave_out(&rest, Because::Waiting);
    }
    making.finished()
}

/// Positions in the order of the ids.
fn by_id(subjects: &[Subject]) -> Result<Vec<u32>, Refusal> {
    let count = u32::try_from(subjects.len()).map_err(|_| Refusal::TooMany)?;
    let terms = |s: &Subject| s.observed.len() + s.excluded.len();
    if subjects.len() > MAX_SUBJECTS || subjects.iter().any(|s| terms(s) > MAX_TERMS) {
        return Err(Refusal::TooMany);
    }
    let mut order: Vec<u32> = (0..count).collect();
    let id = |at: &u32| &subjects[*at as usize].id;
    order.sort_unstable_by(|a, b| id(a).cmp(id(b)));
    match order.is_sorted_by(|a, b| id(a) < id(b)) {
        true => Ok(order),
        false => Err(Refusal::SameId),
    }
}

/// An extract on its way.
struct Making<'a> {
    hpo: &'a Hpo<'a>,
    subjects: &'a [Subject],
    config: &'a Config,
    /// Members as positions among `subjects`.
    groups: Vec<Vec<u32>>,
    kept: Vec<Cluster>,
    left_out: Vec<LeftOut>,
}

impl<'a> Making<'a> {
    fn new(hpo: &'a Hpo<'a>, subjects: &'a [Subject], config: &'a Config) -> Self {
        Self {
            hpo,
            subjects,
            config,
            groups: Vec::new(),
            kept: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn subject(&self, at: u32) -> &'a Subject {
        &self.subjects[at as usize]
    }

    /// What a cluster has one of: the diagnosis, if the cohort is chosen by it.
    fn cohort_of_subject(&self, subject: &Subject) -> Option<DiseaseId> {
        match self.config.cohort {
            Cohort::Diagnosis => subject.diagnosis,
            Cohort::Mixed(_) => None,
        }
    }

    fn cohort_of(&self, at: u32) -> Option<DiseaseId> {
        self.cohort_of_subject(self.subject(at))
    }

    /// Those of `who` who can be in a cluster, by cohort; the others are left out.
    fn cohorts(&mut self, who: &[u32]) -> BTreeMap<Option<DiseaseId>, Vec<u32>> {
        let mut cohorts: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for &at in who {
            let observed = &self.subject(at).observed;
            let cohort = self.cohort_of(at);
            if !observed.iter().any(|&term| self.hpo.is_phenotypic(term)) {
                self.leave_out(&[at], Because::NoFeature);
            } else if cohort.is_none() && self.config.cohort == Cohort::Diagnosis {
                self.leave_out(&[at], Because::NoDiagnosis);
            } else {
                cohorts.entry(cohort).or_default().push(at);
            }
        }
        cohorts
    }

    fn enough(&self, who: &[u32]) -> bool {
        who.len() >= self.config.k as usize
    }

    fn leave_out(&mut self, who: &[u32], because: Because) {
        let left = who.iter().map(|&subject| LeftOut { subject, because });
        self.left_out.extend(left);
    }

    /// Whether `members` alone, if they are enough, would have this very profile.
    fn says(&self, members: &[u32], released: &Profile) -> bool {
        let people: Vec<&Subject> = members.iter().map(|&at| self.subject(at)).collect();
        let told = |diagnosis| match &released.diagnoses {
            Diagnoses::Among(among) => among.contains(&diagnosis),
            Diagnoses::Cohort(_) | Diagnoses::Withheld => false,
        };
        self.enough(members) && profile(self.hpo, self.config, &people, &told) == *released
    }

    fn keep(&mut self, members: Vec<u32>, profile: Profile) {
        self.kept.push(Cluster { members, profile });
    }

    /// Groups one cohort; each of `joining` goes whole to the group it is nearest to.
    fn group(&mut self, who: &[u32], joining: &[Vec<u32>]) {
        let all: Vec<u32> = who
            .iter()
            .chain(joining.iter().flatten())
            .copied()
            .collect();
        let observed = all.iter().map(|&at| self.subject(at).observed.as_slice());
        let vectors = Vectors::new(self.hpo, observed);
        let k = self.config.k as usize;
        let mut places = 0_u32..;
        let new: Vec<u32> = places.by_ref().take(who.len()).collect();
        let mut found = groups(&vectors, &new, k, self.config.size()).unwrap_or_default();
        if let Cohort::Mixed(diversity) = self.config.cohort
            && diversity.merge_to > 0
        {
            let person = |at: &u32| self.subject(all[*at as usize]);
            let enough = |group: &[u32]| diverse(&diversity, group.iter().map(person));
            found = merged(&vectors, found, diversity.merge_to as usize * k, &enough);
        }
        for rest in joining {
            let rest: Vec<u32> = places.by_ref().take(rest.len()).collect();
            if let Some(nearest) = vectors.nearest_group(&rest, &found) {
                found[nearest].extend(rest);
            }
        }
        let place = |at: u32| all[at as usize];
        let found = found
            .into_iter()
            .map(|g| g.into_iter().map(place).collect());
        self.groups.extend(found);
    }

    fn finished(self) -> Result<Extract, Refusal> {
        let (hpo, config) = (self.hpo, self.config);
        let mut counts: BTreeMap<DiseaseId, u32> = BTreeMap::new();
        let kept_members = self.kept.iter().map(|cluster| &cluster.members);
        for &at in self.groups.iter().chain(kept_members).flatten() {
            if let Some(diagnosis) = self.subject(at).diagnosis {
                *counts.entry(diagnosis).or_default() += 1;
            }
        }
        let frequent = |diagnosis| counts.get(&diagnosis).is_some_and(|&n| n >= config.k);
        let people = |members: &[u32]| -> Vec<&'a Subject> {
            members
                .iter()
                .map(|&at| &self.subjects[at as usize])
                .collect()
        };
        let mut clusters = self.kept;
        for mut members in self.groups {
            members.sort_unstable();
            let profile = profile(hpo, config, &people(&members), &frequent);
            clusters.push(Cluster { members, profile });
        }
        if clusters.is_empty() {
            return Err(Refusal::TooFew { k: config.k });
        }
        let (mut recall, mut precision, mut size) = (0.0, 0.0, 0.0);
        for cluster in &clusters {
            assert!(
                cluster.members.len() >= config.k as usize,
                "a cluster below k"
            );
            let people = people(&cluster.members);
            let (had, right) = kept(hpo, &people, &cluster.profile);
            recall += had * float(people.len());
            precision += right * float(people.len());
            size += float(people.len());
        }
        let first = |c: &Cluster| people(&c.members).iter().map(|s| s.id).min();
        clusters.sort_by(|a, b| {
            let by = a.profile.cmp(&b.profile);
            by.then_with(|| first(a).cmp(&first(b)))
        });
        let mut left_out = self.left_out;
        left_out.sort_unstable_by_key(|left| left.subject);
        Ok(Extract {
            config: *config,
            clusters,
            left_out,
            kept: Kept {
                recall: recall / size,
                precision: precision / size,
            },
        })
    }
}
