//! What to look for next: the findings whose answer would tell most about the differential.
//!
//! For a finding `t`, the mutual information of "is `t` there?" with the diagnosis:
//! `H(P(t)) - sum over d of P(d) H(P(t | d))`, in bits, where `P(t | d)` is the disease's frequency
//! and the background for whatever lies outside the candidates.

use crate::{
    differential::Ranking, findings::Findings, math::ln, model::Model, sheet::greater, stage::Query,
};
use ontology::{DiseaseIx, LoincCode, Ontology, TermIx};

/// How a finding is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// By looking: the examination.
    Examine,
    /// By asking: the history.
    Ask,
    /// By a laboratory test, imaging or another investigation.
    Test,
}

impl Way {
    const COUNT: usize = 3;
}

/// Laboratory tests whose abnormal result is a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laboratory {
    /// Their LOINC codes, a few.
    pub codes: Vec<LoincCode>,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq)]
pub struct NextFinding {
    /// What to look for.
    pub term: TermIx,
    /// Siblings and kinds of it that would tell nearly the same.
    pub alike: Vec<TermIx>,
    /// How.
    pub way: Way,
    /// Which tests, where LOINC has any.
    pub laboratory: Option<Laboratory>,
    /// How much its answer tells, in bits.
    pub gain_bits: f64,
    /// Probability that it is there, 0 to 1.
    pub probability: f64,
    /// The candidates that it would speak for most, best first.
    pub separates: Vec<DiseaseIx>,
    /// A single laboratory result suggested it already: to be repeated or confirmed.
    pub tentative: bool,
}

/// Candidates taken into account.
const CANDIDATES: usize = 40;
/// Suggestions given of each way: what can be asked does not crowd out what can be tested.
const PER_WAY: usize = 6;
/// Findings looked at for them, the most telling.
const LOOKED_AT: usize = 400;
/// Alike terms listed with one suggestion.
const MAX_ALIKE: usize = 4;
/// Diseases named with one suggestion.
const MAX_SEPARATED: usize = 3;
/// No frequency is taken for certain.
const CERTAIN: f32 = 0.97;

/// Roots of branches and the way to them. The first that a term lies under decides; the rest is
/// examined.
const WAYS: &[(&str, Way)] = &[
    // Pain, constitutional symptoms, behaviour, sleep, seizures, development, feeding: asked.
    ("HP:0012531", Way::Ask),
    ("HP:0025142", Way::Ask),
    ("HP:0000708", Way::Ask),
    ("HP:0002360", Way::Ask),
    ("HP:0001250", Way::Ask),
    ("HP:0012758", Way::Ask),
    ("HP:0011968", Way::Ask),
    ("HP:0002719", Way::Ask),
    ("HP:0001197", Way::Ask),
    // Metabolism, blood, immunity, endocrine, brain and heart structure, function of organs, tumours,
    // electrical studies, skeleton on images: tested.
    ("HP:0001939", Way::Test),
    ("HP:0001871", Way::Test),
    ("HP:0002715", Way::Test),
    ("HP:0000818", Way::Test),
    ("HP:0012443", Way::Test),
    ("HP:0002011", Way::Test),
    ("HP:0001626", Way::Test),
    ("HP:0000119", Way::Test),
    ("HP:0001392", Way::Test),
    ("HP:0002664", Way::Test),
    ("HP:0003110", Way::Test),
    ("HP:0002086", Way::Test),
    ("HP:0004329", Way::Test),
    ("HP:0000364", Way::Test),
    ("HP:0011804", Way::Test),
    ("HP:0003330", Way::Test),
];

pub(crate) fn ways(ontology: &Ontology, terms: &[TermIx]) -> Vec<Way> {
    let roots: Vec<(TermIx, Way)> = WAYS
        .iter()
        .filter_map(|(id, way)| Some((ontology.live(id.parse().ok()?)?, *way)))
        .collect();
    terms
        .iter()
        .map(|&term| {
            let found = roots.iter().find(|(root, _)| ontology.is_a(term, *root));
            found.map_or(Way::Examine, |(_, way)| *way)
        })
        .collect()
}

struct Gain {
    term: u32,
    bits: f64,
    probability: f64,
}

/// A finding to be suggested, and those that would tell nearly the same.
struct Chosen {
    gain: Gain,
    way: Way,
    alike: Vec<u32>,
}

pub(crate) fn next(
    model: &Model,
    findings: &Findings,
    query: &Query<'_>,
    ranking: &Ranking,
) -> Vec<NextFinding> {
    let candidates: Vec<(u16, f64)> = ranking
        .ranked
        .iter()
        .take(CANDIDATES)
        .filter_map(|r| Some((model.slot(r.disease)?, r.posterior)))
        .collect();
    let mut gains = gains(model, query, &candidates);
    let order = |a: &Gain, b: &Gain| b.bits.total_cmp(&a.bits).then(a.term.cmp(&b.term));
    if gains.len() > LOOKED_AT {
        gains.select_nth_unstable_by(LOOKED_AT, order);
        gains.truncate(LOOKED_AT);
    }
    gains.sort_unstable_by(order);
    let mut chosen: Vec<Chosen> = Vec::new();
    for gain in gains {
        if let Some(near) = chosen
            .iter_mut()
            .find(|kept| alike(model, kept.gain.term, gain.term))
        {
            if near.alike.len() < MAX_ALIKE {
                near.alike.push(gain.term);
            }
            continue;
        }
        let way = way(model, gain.term);
        if chosen.iter().filter(|kept| kept.way == way).count() < PER_WAY {
            chosen.push(Chosen {
                gain,
                way,
                alike: Vec::new(),
            });
        } else if chosen.len() == PER_WAY * Way::COUNT {
            break;
        }
    }
    let chosen = chosen.iter();
    chosen
        .map(|kept| suggestion(model, findings, &candidates, kept))
        .collect()
}

/// How a finding is come by here: what has a laboratory test is tested.
fn way(model: &Model, term: u32) -> Way {
    match model.laboratory.contains_key(&term) {
        true => Way::Test,
        false => model.ways[term as usize],
    }
}

fn suggestion(
    model: &Model,
    findings: &Findings,
    candidates: &[(u16, f64)],
    Chosen { gain, way, alike }: &Chosen,
) -> NextFinding {
    let mut separates: Vec<(f64, u16)> = candidates
        .iter()
        .map(|&(slot, posterior)| {
            let frequency = model.entries[usize::from(slot)]
                .profile
                .frequency(gain.term);
            (posterior * f64::from(frequency), slot)
        })
        .filter(|(mass, _)| *mass > 0.0)
        .collect();
    separates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    separates.truncate(MAX_SEPARATED);
    let term = model.terms[gain.term as usize];
    let codes = model.laboratory.get(&gain.term);
    NextFinding {
        term,
        alike: alike.iter().map(|&t| model.terms[t as usize]).collect(),
        way: *way,
        laboratory: codes.map(|codes| Laboratory {
            codes: codes.clone(),
        }),
        gain_bits: gain.bits,
        probability: gain.probability,
        separates: separates
            .iter()
            .map(|(_, slot)| model.entries[usize::from(*slot)].disease)
            .collect(),
        tentative: findings.tentative().contains(&term),
    }
}

/// Every term that a candidate annotates and about which nothing is known yet.
fn gains(model: &Model, query: &Query<'_>, candidates: &[(u16, f64)]) -> Vec<Gain> {
    #[derive(Clone, Copy, Default)]
    struct Sum {
        mass: f64,
        yes: f64,
        doubt: f64,
    }
    let mut sums = vec![Sum::default(); model.terms.len()];
    let (mut annotated, mut doubts) = (Vec::new(), Vec::new());
    for &(slot, posterior) in candidates {
        let profile = &model.entries[usize::from(slot)].profile;
        // By themselves, so that neighbours are worked out together.
        doubts.clear();
        let shares = profile.closure.iter().map(|&(_, f)| f.min(CERTAIN));
        doubts.extend(shares.map(entropy));
        for (&(term, frequency), &doubt) in profile.closure.iter().zip(&doubts) {
            let sum = &mut sums[term as usize];
            sum.mass += posterior;
            sum.yes += posterior * f64::from(frequency.min(CERTAIN));
            sum.doubt += posterior * f64::from(doubt);
        }
        annotated.extend(profile.annotated.iter().map(|(term, _)| *term));
    }
    annotated.sort_unstable();
    annotated.dedup();
    let mut absent = vec![false; model.terms.len()];
    for &out in &query.excluded {
        for &below in model.shown_below.row(out as usize) {
            absent[below as usize] = true;
        }
    }
    let known = |term: u32| query.place_of[term as usize] != u16::MAX || absent[term as usize];
    annotated
        .into_iter()
        .filter(|term| !known(*term))
        .map(|term| {
            let sum = sums[term as usize];
            let background = model.background[term as usize].min(CERTAIN);
            let elsewhere = (1.0 - sum.mass).max(0.0);
            let probability = sum.yes + elsewhere * f64::from(background);
            let doubt = sum.doubt + elsewhere * f64::from(entropy(background));
            #[expect(clippy::cast_possible_truncation, reason = "to six digits")]
            let before = f64::from(entropy(probability as f32));
            Gain {
                term,
                bits: (before - doubt).max(0.0),
                probability,
            }
        })
        .collect()
}

/// Entropy of a yes-or-no question, in bits, to about 1e-6.
#[inline]
fn entropy(p: f32) -> f32 {
    let one = |p: f32| p * ln(greater(p, f32::MIN_POSITIVE));
    -std::f32::consts::LOG2_E * (one(p) + one(1.0 - p))
}

/// Whether two terms ask nearly the same: one lies above the other, or they share a parent.
fn alike(model: &Model, a: u32, b: u32) -> bool {
    let above = |x: u32, y: u32| {
        let row = model.ancestors.row(y as usize);
        row.iter().any(|&(ancestor, _)| ancestor == x)
    };
    let parents = model.parents.row(a as usize);
    above(a, b)
        || above(b, a)
        || parents
            .iter()
            .any(|p| model.parents.row(b as usize).contains(p))
}
