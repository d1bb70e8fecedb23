//! What an attacker has: rows that say something of some people, whichever way they were made; and
//! how well each row fits what the attacker knows of somebody.

use super::Made;
use crate::{
    extract::Extract,
    hpo::{Hpo, float},
    profile::Diagnoses,
    subject::{AgeBand, Subject},
};
use ontology::{DiseaseId, Sex, TermIx};
use std::collections::BTreeMap;

/// The published rows, with what only the judge of an attack knows: whose they are.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) rows: Vec<Row>,
    /// By term: rows that say it, directly or by implication, with the share of their people.
    postings: Vec<Vec<(u32, f64)>>,
    /// By term: rows that say it is absent, with the share of their people.
    absent: Vec<Vec<(u32, f64)>>,
    /// By row: the information of all it says, weighed by the square roots of the shares.
    said: Vec<f64>,
}

/// One published row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Positions of the subjects; the judge's.
    pub(crate) members: Vec<u32>,
    /// Said terms and what they imply, ascending, with the share of the members.
    pub(crate) terms: Vec<(TermIx, f64)>,
    /// Terms said to be absent, with the share of the members.
    pub(crate) absent: Vec<(TermIx, f64)>,
    /// Ascending.
    pub(crate) diagnoses: Vec<DiseaseId>,
    pub(crate) sexes: Vec<Sex>,
    pub(crate) ages: Option<(AgeBand, AgeBand)>,
}

impl View {
    pub(crate) fn new(hpo: &Hpo<'_>, rows: Vec<Row>) -> Self {
        let mut postings = vec![Vec::new(); hpo.ontology().term_count()];
        let mut absent = vec![Vec::new(); hpo.ontology().term_count()];
        let mut said = Vec::with_capacity(rows.len());
        for (number, row) in (0_u32..).zip(&rows) {
            let mut all = 0.0;
            for &(term, share) in &row.terms {
                postings[term.index()].push((number, share));
                all += hpo.information(term) * share.sqrt();
            }
            for &(term, share) in &row.absent {
                absent[term.index()].push((number, share));
            }
            said.push(all);
        }
        Self {
            rows,
            postings,
            absent,
            said,
        }
    }

    /// What was made of `subjects`.
    pub(crate) fn of(hpo: &Hpo<'_>, subjects: &[Subject], made: Made<'_>) -> Self {
        let who = |extract: &Extract| {
            let members = extract.clusters.iter().flat_map(|c| c.members.iter());
            let mut who: Vec<u32> = members.copied().collect();
            who.sort_unstable();
            who
        };
        match made {
            Made::Clusters(extract) => Self::of_extract(hpo, extract),
            Made::Raw(extract) => Self::raw(hpo, subjects, &who(extract)),
            Made::Generalised(extract, least) => {
                Self::generalised(hpo, subjects, &who(extract), least as usize)
            }
        }
    }

    /// The release of an extract.
    pub(crate) fn of_extract(hpo: &Hpo<'_>, extract: &Extract) -> Self {
        let rows = extract.clusters.iter().map(|cluster| {
            let profile = &cluster.profile;
            let mut terms: BTreeMap<TermIx, f64> = BTreeMap::new();
            for shown in &profile.observed {
                let Some(term) = hpo.ontology().live(shown.term) else {
                    continue;
                };
                for implied in hpo.implied(term) {
                    let share = terms.entry(implied).or_default();
                    *share = share.max(shown.share.middle());
                }
            }
            let mut absent: BTreeMap<TermIx, f64> = BTreeMap::new();
            for shown in &profile.excluded {
                let Some(term) = hpo.ontology().live(shown.term) else {
                    continue;
                };
                for below in hpo.closure_below(&[term]) {
                    let share = absent.entry(below).or_default();
                    *share = share.max(shown.share.middle());
                }
            }
            let mut sexes = Vec::new();
            sexes.extend(profile.female.then_some(Sex::Female));
            sexes.extend(profile.male.then_some(Sex::Male));
            Row {
                members: cluster.members.clone(),
                terms: terms.into_iter().collect(),
                absent: absent.into_iter().collect(),
                diagnoses: match &profile.diagnoses {
                    Diagnoses::Cohort(diagnosis) => vec![*diagnosis],
                    Diagnoses::Among(among) => among.clone(),
                    Diagnoses::Withheld => Vec::new(),
                },
                sexes,
                ages: profile.ages,
            }
        });
        Self::new(hpo, rows.collect())
    }

    /// The records of `who` as they are: what a release without any protection would be.
    pub(crate) fn raw(hpo: &Hpo<'_>, subjects: &[Subject], who: &[u32]) -> Self {
        let row = |at: &u32| {
            let subject = &subjects[*at as usize];
            record(*at, subject, hpo.closure(&subject.observed))
        };
        Self::new(hpo, who.iter().map(row).collect())
    }

    /// The records of `who` with each term that fewer than `least` of them have generalised to
    /// what at least `least` have.
    fn generalised(hpo: &Hpo<'_>, subjects: &[Subject], who: &[u32], least: usize) -> Self {
        let closures: Vec<Vec<TermIx>> = who
            .iter()
            .map(|&at| hpo.closure(&subjects[at as usize].observed))
            .collect();
        let mut counts = vec![0_usize; hpo.ontology().term_count()];
        for term in closures.iter().flatten() {
            counts[term.index()] += 1;
        }
        let rows = who.iter().zip(closures).map(|(&at, mut closure)| {
            closure.retain(|term| counts[term.index()] >= least);
            record(at, &subjects[at as usize], closure)
        });
        Self::new(hpo, rows.collect())
    }

    /// Which rows have a diagnosis among theirs.
    pub(crate) fn with_diagnosis(&self, diagnosis: DiseaseId) -> Vec<bool> {
        let has = |row: &Row| row.diagnoses.binary_search(&diagnosis).is_ok();
        self.rows.iter().map(has).collect()
    }

    /// How well each row fits `known`, by one way of reckoning. Higher is better.
    pub(crate) fn fits(&self, hpo: &Hpo<'_>, known: &[TermIx], way: Way) -> Vec<f64> {
        match way {
            Way::Stated => self.stated(known),
            Way::Information => self.nearest(hpo, known, 0.0, informative),
            Way::Likelihood => self.nearest(hpo, known, (1.0 - SAID).ln(), likely),
            Way::Overlap => self.overlap(hpo, known),
        }
    }

    /// What sex, age and the excluded terms add to how well each row fits, in nats.
    pub(crate) fn suits(&self, hpo: &Hpo<'_>, subject: &Subject) -> Vec<f64> {
        let mut suits: Vec<f64> = self.rows.iter().map(|row| row.suits(subject)).collect();
        for term in &subject.excluded {
            for &(row, share) in &self.absent[term.index()] {
                suits[row as usize] += share;
            }
            for &(row, share) in &self.postings[term.index()] {
                suits[row as usize] -= share * hpo.information(*term).min(4.0);
            }
        }
        suits
    }

    fn stated(&self, known: &[TermIx]) -> Vec<f64> {
        let mut fits = vec![0.0; self.rows.len()];
        for term in known {
            for &(row, _) in &self.postings[term.index()] {
                fits[row as usize] += 1.0;
            }
        }
        fits
    }

    /// Sum over what is known of the best that a row says of it or above it, `nothing` where it says neither.
    fn nearest(
        &self,
        hpo: &Hpo<'_>,
        known: &[TermIx],
        nothing: f64,
        value: fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let mut fits = vec![0.0; self.rows.len()];
        let mut best = vec![f64::NEG_INFINITY; self.rows.len()];
        for &term in known {
            best.fill(f64::NEG_INFINITY);
            for above in hpo.implied(term) {
                let information = hpo.information(above);
                for &(row, share) in &self.postings[above.index()] {
                    let slot = &mut best[row as usize];
                    *slot = slot.max(value(information, share));
                }
            }
            for (fit, best) in fits.iter_mut().zip(&best) {
                *fit += if best.is_finite() { *best } else { nothing };
            }
        }
        fits
    }

    /// Shared information over all information (simGIC; Pesquita et al., BMC Bioinformatics 2008),
    /// each term weighed by the square root of its share.
    fn overlap(&self, hpo: &Hpo<'_>, known: &[TermIx]) -> Vec<f64> {
        let closure = hpo.closure(known);
        let own = hpo.sum(&closure);
        let mut shared = vec![0.0; self.rows.len()];
        for &term in &closure {
            let information = hpo.information(term);
            for &(row, share) in &self.postings[term.index()] {
                shared[row as usize] += information * share.sqrt();
            }
        }
        for (shared, said) in shared.iter_mut().zip(&self.said) {
            *shared /= (own + said - *shared).max(f64::MIN_POSITIVE);
        }
        shared
    }
}

fn informative(information: f64, share: f64) -> f64 {
    information * share
}

/// Against the background rate of the term: [`SAID`] of what the row says, the rest by chance.
fn likely(information: f64, share: f64) -> f64 {
    ((1.0 - SAID) + SAID * share * information.exp()).ln()
}

/// How much an attacker trusts a row to be about a term, against chance.
const SAID: f64 = 0.9;

/// A way of reckoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// How many of the known terms the row says.
    Stated,
    /// The information of what the row says nearest above each known term (Resnik, one-sided).
    Information,
    /// The likelihood of the known terms in somebody of the row, over anybody.
    Likelihood,
    /// Shared over all information: it counts against a row what it says beyond the known.
    Overlap,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [
        Self::Stated,
        Self::Information,
        Self::Likelihood,
        Self::Overlap,
    ];

    /// The fit of a record to itself.
    pub(crate) fn of_itself(self, hpo: &Hpo<'_>, known: &[TermIx]) -> f64 {
        let sum = |value: fn(f64, f64) -> f64| -> f64 {
            let terms = known.iter().filter(|&&term| hpo.is_phenotypic(term));
            terms.map(|&term| value(hpo.information(term), 1.0)).sum()
        };
        match self {
            Self::Stated => sum(|_, share| share),
            Self::Information => sum(informative),
            Self::Likelihood => sum(likely),
            Self::Overlap => 1.0,
        }
    }

    /// What a nat of other evidence weighs beside the fit of the terms.
    pub(crate) const fn nat(self) -> f64 {
        match self {
            Self::Information | Self::Likelihood => 1.0,
            Self::Stated => 0.05,
            Self::Overlap => 0.02,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Information => "information",
            Self::Likelihood => "likelihood",
            Self::Overlap => "overlap",
        }
    }
}

fn record(at: u32, subject: &Subject, closure: Vec<TermIx>) -> Row {
    Row {
        members: vec![at],
        terms: closure.into_iter().map(|term| (term, 1.0)).collect(),
        absent: subject.excluded.iter().map(|&term| (term, 1.0)).collect(),
        diagnoses: subject.diagnosis.into_iter().collect(),
        sexes: subject.sex.into_iter().collect(),
        ages: subject.age.map(|age| (age, age)),
    }
}

/// The rows that fit best, of those `among`; what differs by rounding alone is equal.
pub(crate) fn best(fits: &[f64], among: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut most = f64::NEG_INFINITY;
    for (at, &fit) in fits.iter().enumerate() {
        if among(at) {
            most = most.max(fit);
        }
    }
    let near = 1e-9 * (1.0 + most.abs());
    let within = |at: &usize| among(*at) && fits[*at] >= most - near;
    (0..fits.len()).filter(within).collect()
}

/// Subjects in rows.
pub(crate) fn people(view: &View, rows: &[usize]) -> f64 {
    rows.iter()
        .map(|&row| float(view.rows[row].members.len()))
        .sum()
}

impl Row {
    /// What sex and age add to how well a row fits, in nats.
    fn suits(&self, subject: &Subject) -> f64 {
        let alone = self.members.len() == 1;
        let doubt = if alone { 1e-6 } else { 0.4 };
        let mut sum: f64 = 0.0;
        if let (Some(sex), false) = (subject.sex, self.sexes.is_empty()) {
            sum += f64::ln(match self.sexes.contains(&sex) {
                true if self.sexes.len() == 1 => 1.6,
                true => 1.0,
                false => doubt,
            });
        }
        if let (Some(age), Some((first, last))) = (subject.age, self.ages) {
            sum += f64::ln(match (first..=last).contains(&age) {
                true => 2.0,
                false => doubt,
            });
        }
        sum
    }
}
