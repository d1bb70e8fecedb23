//! What leaves of a cluster.
//!
//! INVARIANT: everything a profile says is true of at least `k` members of its cluster, whichever
//! statement of it is taken alone. So a term that fewer members have is never there; where `k` of
//! them share a broader one, that is shown instead. And all features that are said to be present,
//! taken together, are never true of exactly one member: the rarest is dropped until they are true
//! of two, or of none. (The same for all that are said to be absent.)
//!
//! How many members have a term is given in three bands ([`Share`]), and the size as a multiple of
//! `k`: with exact counts, whoever knows all members but one reads off the last one, and two
//! releases that differ by one subject tell what that subject has.

use crate::{
    config::{Cohort, Config, Diversity},
    hpo::{Hpo, float},
    subject::{AGE_RANGES, AgeBand, Subject},
};
use ontology::{DiseaseId, HpoId, Sex, TermIx};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// From this share of the members, "nearly all".
const NEARLY_ALL_PERCENT: usize = 80;

/// A cluster as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Subjects, rounded down to a multiple of `k`.
    pub at_least: u32,
    /// Features, ascending; what one of them implies is not repeated unless more members have it.
    pub observed: Vec<Shown>,
    /// Features that were looked for and not there, ascending; what one of them implies is not
    /// repeated unless more members lack it.
    pub excluded: Vec<Shown>,
    /// At least `k` members are female.
    pub female: bool,
    /// At least `k` members are male.
    pub male: bool,
    /// The narrowest of some ranges of age, first and last band, that at least `k` members are in.
    pub ages: Option<(AgeBand, AgeBand)>,
    /// What is said of their diagnoses.
    pub diagnoses: Diagnoses,
}

/// One term of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The term.
    pub term: HpoId,
    /// How many members it, or a narrower one, is stated of.
    pub share: Share,
}

/// A share of the members. What is not stated of a member is not known to be otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// From `k` of them to under half.
    Some,
    /// Half to under 80 %.
    Many,
    /// 80 % and more; whether all of them is not told.
    NearlyAll,
}

/// What a profile says of its members' diagnoses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Diagnoses {
    /// The cohort is chosen by diagnosis; all members have this one.
    Cohort(DiseaseId),
    /// Among the members' diagnoses, ascending; each is one of at least `k` subjects of the extract.
    Among(Vec<DiseaseId>),
    /// Not told: the members' diagnoses are too alike.
    Withheld,
}

impl Share {
    fn of(count: usize, size: usize) -> Self {
        match count * 100 >= size * NEARLY_ALL_PERCENT {
            true => Self::NearlyAll,
            false if count * 2 >= size => Self::Many,
            false => Self::Some,
        }
    }

    /// A probability in the middle of the band, for who reckons with profiles.
    #[must_use]
    pub const fn middle(self) -> f64 {
        match self {
            Self::Some => 0.4,
            Self::Many => 0.65,
            Self::NearlyAll => 0.92,
        }
    }
}

/// The profile of `members`. `frequent` tells of a diagnosis whether at least `k` subjects of the
/// extract have it.
pub(crate) fn profile(
    hpo: &Hpo<'_>,
    config: &Config,
    members: &[&Subject],
    frequent: &dyn Fn(DiseaseId) -> bool,
) -> Profile {
    let size = members.len();
    let k = config.k as usize;
    let count_if = |test: &dyn Fn(&Subject) -> bool| members.iter().filter(|s| test(s)).count();
    let ages = AGE_RANGES.into_iter().find(|&(first, last)| {
        let within = |s: &Subject| s.age.is_some_and(|age| (first..=last).contains(&age));
        count_if(&within) >= k
    });
    let of_sex = |sex| count_if(&|s| s.sex == Some(sex)) >= k;
    Profile {
        at_least: u32::try_from(size / k * k).unwrap_or(u32::MAX),
        observed: shown(hpo, k, members, Side::Observed),
        excluded: shown(hpo, k, members, Side::Excluded),
        female: of_sex(Sex::Female),
        male: of_sex(Sex::Male),
        ages,
        diagnoses: match config.cohort {
            Cohort::Diagnosis => members
                .iter()
                .find_map(|s| s.diagnosis)
                .map_or(Diagnoses::Withheld, Diagnoses::Cohort),
            Cohort::Mixed(diversity) if diverse(&diversity, members.iter().copied()) => {
                let mut among: Vec<_> = members.iter().filter_map(|s| s.diagnosis).collect();
                among.retain(|&diagnosis| frequent(diagnosis));
                among.sort_unstable();
                among.dedup();
                // One that is left alone would be everybody's.
                match among.len() >= diversity.l as usize {
                    true => Diagnoses::Among(among),
                    false => Diagnoses::Withheld,
                }
            }
            Cohort::Mixed(_) => Diagnoses::Withheld,
        },
    }
}

/// Whether enough different diagnoses are there and none is too frequent. Subjects without one
/// count in the size alone.
pub(crate) fn diverse<'a>(
    diversity: &Diversity,
    members: impl Iterator<Item = &'a Subject>,
) -> bool {
    let mut counts: BTreeMap<DiseaseId, usize> = BTreeMap::new();
    let mut size = 0;
    for member in members {
        size += 1;
        if let Some(diagnosis) = member.diagnosis {
            *counts.entry(diagnosis).or_default() += 1;
        }
    }
    let most = counts.values().max().copied().unwrap_or(0);
    counts.len() >= diversity.l as usize
        && most * 100 <= size * diversity.dominance_percent as usize
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Observed,
    Excluded,
}

/// Terms that at least `k` members have (or lack), without those that another one shown implies for as
/// many, and without the rarest if everything together were true of one member alone.
fn shown(hpo: &Hpo<'_>, k: usize, members: &[&Subject], side: Side) -> Vec<Shown> {
    let size = members.len();
    let closures: Vec<Vec<TermIx>> = members
        .iter()
        .map(|member| match side {
            Side::Observed => hpo.closure(&member.observed),
            Side::Excluded => hpo.closure_below(&member.excluded),
        })
        .collect();
    let mut counts: BTreeMap<TermIx, usize> = BTreeMap::new();
    for &term in closures.iter().flatten() {
        *counts.entry(term).or_default() += 1;
    }
    counts.retain(|_, count| *count >= k);
    let mut said = unimplied(hpo, size, &counts, side);
    while fits_one(&closures, &said) {
        let rarest = |a: &&TermIx, b: &&TermIx| {
            let by = counts[*a].cmp(&counts[*b]);
            by.then_with(|| hpo.information(**b).total_cmp(&hpo.information(**a)))
        };
        let Some(&rarest) = said.iter().min_by(rarest) else {
            break;
        };
        counts.remove(&rarest);
        said = unimplied(hpo, size, &counts, side);
    }
    said.into_iter()
        .map(|term| Shown {
            term: hpo.id(term),
            share: Share::of(counts[&term], size),
        })
        .collect()
}

/// Whether all that is said together is true of exactly one.
fn fits_one(closures: &[Vec<TermIx>], said: &[TermIx]) -> bool {
    let fits = |closure: &&Vec<TermIx>| said.iter().all(|t| closure.binary_search(t).is_ok());
    !said.is_empty() && closures.iter().filter(fits).take(2).count() == 1
}

/// The terms that no other one implies for as many, ascending.
fn unimplied(
    hpo: &Hpo<'_>,
    size: usize,
    counts: &BTreeMap<TermIx, usize>,
    side: Side,
) -> Vec<TermIx> {
    let share = |term: &TermIx| counts.get(term).map(|&count| Share::of(count, size));
    let mut implied: BTreeSet<TermIx> = BTreeSet::new();
    for term in counts.keys() {
        let own = share(term);
        let above = hpo.ontology().ancestors(*term).iter().skip(1);
        for (above, _) in above.filter(|(above, _)| counts.contains_key(above)) {
            match side {
                // Present: a narrower term says it too. Absent: a broader one does.
                Side::Observed if own >= share(above) => implied.insert(*above),
                Side::Excluded if share(above) >= own => implied.insert(*term),
                _ => false,
            };
        }
    }
    let terms = counts.keys().copied();
    terms.filter(|term| !implied.contains(term)).collect()
}

/// How much of what its members have a profile keeps, and how much of what it says they have.
pub(crate) fn kept(hpo: &Hpo<'_>, members: &[&Subject], profile: &Profile) -> (f64, f64) {
    let said: Vec<TermIx> = profile
        .observed
        .iter()
        .filter_map(|shown| hpo.ontology().live(shown.term))
        .collect();
    let said = hpo.closure(&said);
    let (mut kept, mut right) = (0.0, 0.0);
    for member in members {
        let own = hpo.closure(&member.observed);
        let both: f64 = own
            .iter()
            .filter(|term| said.binary_search(term).is_ok())
            .map(|&term| hpo.information(term))
            .sum();
        kept += both / hpo.sum(&own).max(f64::MIN_POSITIVE);
        right += match said.is_empty() {
            true => 1.0,
            false => both / hpo.sum(&said).max(f64::MIN_POSITIVE),
        };
    }
    let size = float(members.len().max(1));
    (kept / size, right / size)
}
