//! Subjects -> clusters, each with the profile that leaves.

use crate::{
    config::{Cohort, Config, MAX_SUBJECTS, MAX_TERMS, Refusal},
    group::{Vectors, groups, merged},
    hpo::{Hpo, float},
    profile::{Profile, diverse, kept, profile},
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
    let order = by_id(subjects)?;
    let k = config.k as usize;
    let mut left_out = Vec::new();
    let mut cohorts: BTreeMap<Option<DiseaseId>, Vec<u32>> = BTreeMap::new();
    for &at in &order {
        let subject = &subjects[at as usize];
        let diagnosis = match config.cohort {
            Cohort::Diagnosis => subject.diagnosis,
            Cohort::Mixed(_) => None,
        };
        let because = match subject.observed.iter().any(|&t| hpo.is_phenotypic(t)) {
            false => Some(Because::NoFeature),
            true if diagnosis.is_none() && config.cohort == Cohort::Diagnosis => {
                Some(Because::NoDiagnosis)
            }
            true => None,
        };
        match because {
            Some(because) => left_out.push(LeftOut {
                subject: at,
                because,
            }),
            None => cohorts.entry(diagnosis).or_default().push(at),
        }
    }
    cohorts.retain(|_, who| {
        let enough = who.len() >= k;
        if !enough {
            let because = Because::TooFewAlike;
            left_out.extend(who.iter().map(|&subject| LeftOut { subject, because }));
        }
        enough
    });
    if cohorts.is_empty() {
        return Err(Refusal::TooFew { k: config.k });
    }
    left_out.sort_unstable_by_key(|left| left.subject);
    let mut found = Vec::new();
    for who in cohorts.values() {
        found.extend(cohort(hpo, subjects, who, config));
    }
    Ok(finished(hpo, subjects, config, found, left_out))
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

/// The groups of one cohort, as positions among `subjects`.
fn cohort(hpo: &Hpo<'_>, subjects: &[Subject], who: &[u32], config: &Config) -> Vec<Vec<u32>> {
    let subject = |at: u32| &subjects[who[at as usize] as usize];
    let every: Vec<u32> = (0..).take(who.len()).collect();
    let observed = every.iter().map(|&at| subject(at).observed.as_slice());
    let vectors = Vectors::new(hpo, observed);
    let k = config.k as usize;
    let mut found = groups(&vectors, &every, k, config.size()).unwrap_or_default();
    if let Cohort::Mixed(diversity) = config.cohort
        && diversity.merge_to > 0
    {
        let enough = |group: &[u32]| diverse(&diversity, group.iter().map(|&at| subject(at)));
        found = merged(&vectors, found, diversity.merge_to as usize * k, &enough);
    }
    let place = |at: u32| who[at as usize];
    let places = |group: Vec<u32>| group.into_iter().map(place).collect();
    found.into_iter().map(places).collect()
}

fn finished(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    config: &Config,
    groups: Vec<Vec<u32>>,
    left_out: Vec<LeftOut>,
) -> Extract {
    let mut counts: BTreeMap<DiseaseId, u32> = BTreeMap::new();
    for &at in groups.iter().flatten() {
        if let Some(diagnosis) = subjects[at as usize].diagnosis {
            *counts.entry(diagnosis).or_default() += 1;
        }
    }
    let frequent = |diagnosis| counts.get(&diagnosis).is_some_and(|&n| n >= config.k);
    let (mut recall, mut precision, mut size) = (0.0, 0.0, 0);
    let mut clusters = Vec::with_capacity(groups.len());
    for mut members in groups {
        assert!(members.len() >= config.k as usize, "a cluster below k");
        members.sort_unstable();
        let people: Vec<&Subject> = members.iter().map(|&at| &subjects[at as usize]).collect();
        let profile = profile(hpo, config, &people, &frequent);
        let (had, right) = kept(hpo, &people, &profile);
        recall += had * float(people.len());
        precision += right * float(people.len());
        size += people.len();
        clusters.push(Cluster { members, profile });
    }
    clusters.sort_by(|a, b| {
        let first = |c: &Cluster| c.members.iter().map(|&at| subjects[at as usize].id).min();
        a.profile
            .cmp(&b.profile)
            .then_with(|| first(a).cmp(&first(b)))
    });
    let size = float(size.max(1));
    Extract {
        config: *config,
        clusters,
        left_out,
        kept: Kept {
            recall: recall / size,
            precision: precision / size,
        },
    }
}
