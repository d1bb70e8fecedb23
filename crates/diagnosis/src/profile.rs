//! What a disease looks like: how often each feature is seen, from every source at hand.

use crate::model::number;
use ontology::{Aspect, Disease, Frequency, FrequencyClass, Ontology, OrphanetFrequency, TermIx};
use std::collections::{BTreeMap, BTreeSet};

/// What an annotation without a frequency is taken for.
const UNSTATED: f32 = 0.6;
/// Patients that the prior [`UNSTATED`] is worth.
const PRIOR_PATIENTS: f32 = 2.0;
/// Patients that a per cent figure is worth.
const PERCENT_PATIENTS: f32 = 10.0;
/// Patients that a frequency class of HPO or Orphanet is worth.
const CLASS_PATIENTS: f32 = 5.0;

/// Affected of examined patients, added up over sources. Pseudo-patients may be fractions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Patients with the feature.
    pub affected: f32,
    /// Patients in whom it was looked for.
    pub examined: f32,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    counts: Counts,
    stated: bool,
    unstated: bool,
}

/// One disease's features: those annotated, and all that these imply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Annotated terms (index, frequency 0 to 1), ascending by index.
    pub(crate) annotated: Vec<(u32, f32)>,
    /// Annotated terms and all their ancestors, with the greatest frequency below; ascending.
    pub(crate) closure: Vec<(u32, f32)>,
    /// Terms said to be absent in this disease, ascending.
    pub(crate) absent: Vec<u32>,
    /// Papers behind it.
    pub(crate) papers: u32,
}

/// Terms by index to their ancestors, for whoever builds profiles.
pub(crate) struct Draft<'a> {
    ontology: &'a Ontology,
    terms: &'a [TermIx],
    scratch: Vec<f32>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(ontology: &'a Ontology, terms: &'a [TermIx]) -> Self {
        Self {
            ontology,
            terms,
            scratch: vec![0.0; terms.len()],
        }
    }

    /// A disease's profile from its annotations, Orphanet's equivalents and stored cases.
    pub(crate) fn profile(
        &mut self,
        disease: &Disease<'_>,
        cases: &BTreeMap<TermIx, Counts>,
    ) -> Profile {
        let mut seen: BTreeMap<TermIx, Seen> = BTreeMap::new();
        let mut absent = BTreeSet::new();
        let mut papers = BTreeSet::new();
        for annotation in disease.annotations() {
            if annotation.aspect != Aspect::Phenotype {
                continue;
            }
            papers.extend(annotation.references(self.ontology).iter().copied());
            let entry = seen.entry(annotation.term).or_default();
            if annotation.excluded {
                absent.insert(number(annotation.term));
                let examined = match annotation.frequency {
                    Frequency::Count { examined, .. } => examined as f32,
                    _ => 1.0,
                };
                entry.counts.examined += examined.max(2.0);
                entry.stated = true;
            } else {
                entry.add(counts(annotation.frequency));
            }
        }
        for &orphanet in disease.orphanet() {
            for feature in self.ontology.orphanet(orphanet).features() {
                let share = orphanet_share(feature.frequency);
                if share == 0.0 {
                    absent.insert(number(feature.term));
                }
                seen.entry(feature.term).or_default().add(Some(Counts {
                    affected: share * CLASS_PATIENTS,
                    examined: CLASS_PATIENTS,
                }));
            }
        }
        for (&term, &counts) in cases {
            seen.entry(term).or_default().add(Some(counts));
        }
        let papers = papers
            .iter()
            .filter(|&&r| self.ontology.reference(r).starts_with("PMID:"))
            .count();
        self.finish(&seen, absent, u32::try_from(papers).unwrap_or(u32::MAX))
    }

    fn finish(
        &mut self,
        seen: &BTreeMap<TermIx, Seen>,
        absent: BTreeSet<u32>,
        papers: u32,
    ) -> Profile {
        let mut annotated = Vec::with_capacity(seen.len());
        let mut touched = Vec::new();
        for (&term, seen) in seen {
            let Some(frequency) = seen.frequency() else {
                continue;
            };
            annotated.push((number(term), frequency));
            for &(ancestor, _) in self.ontology.ancestors(term) {
                let place = &mut self.scratch[ancestor.index()];
                if *place == 0.0 {
                    touched.push(number(ancestor));
                }
                *place = place.max(frequency);
            }
        }
        touched.sort_unstable();
        let closure = touched
            .into_iter()
            .map(|term| {
                (
                    term,
                    std::mem::take(&mut self.scratch[self.terms[term as usize].index()]),
                )
            })
            .collect();
        Profile {
            annotated,
            closure,
            absent: absent.into_iter().collect(),
            papers,
        }
    }
}

impl Profile {
    /// How often this disease shows `term` or a kind of it; 0 where nobody said so.
    pub(crate) fn frequency(&self, term: u32) -> f32 {
        self.closure
            .binary_search_by_key(&term, |entry| entry.0)
            .map_or(0.0, |at| self.closure[at].1)
    }
}

impl Seen {
    fn add(&mut self, counts: Option<Counts>) {
        match counts {
            None => self.unstated = true,
            Some(counts) => {
                self.stated = true;
                self.counts.affected += counts.affected;
                self.counts.examined += counts.examined;
            }
        }
    }

    /// The smoothed frequency; `None` where all that is said is that it was not seen.
    fn frequency(&self) -> Option<f32> {
        if self.counts.affected <= 0.0 && !self.unstated {
            return None;
        }
        if !self.stated {
            return Some(UNSTATED);
        }
        Some(
            (self.counts.affected + PRIOR_PATIENTS * UNSTATED)
                / (self.counts.examined + PRIOR_PATIENTS),
        )
    }
}

/// An annotation's frequency as counts; `None` where it is not stated.
fn counts(frequency: Frequency) -> Option<Counts> {
    let (share, examined) = match frequency {
        Frequency::Unstated => return None,
        Frequency::Count { affected, examined } => {
            return Some(Counts {
                affected: affected as f32,
                examined: examined as f32,
            });
        }
        Frequency::Percent(percent) => (percent / 100.0, PERCENT_PATIENTS),
        Frequency::Class(class) => (class_share(class), CLASS_PATIENTS),
    };
    Some(Counts {
        affected: share * examined,
        examined,
    })
}

fn class_share(class: FrequencyClass) -> f32 {
    match class {
        FrequencyClass::Obligate => 1.0,
        FrequencyClass::VeryFrequent => 0.9,
        FrequencyClass::Frequent => 0.55,
        FrequencyClass::Occasional => 0.17,
        FrequencyClass::VeryRare => 0.025,
        FrequencyClass::Excluded => 0.0,
    }
}

fn orphanet_share(class: OrphanetFrequency) -> f32 {
    match class {
        OrphanetFrequency::Obligate => 1.0,
        OrphanetFrequency::VeryFrequent => 0.9,
        OrphanetFrequency::Frequent => 0.55,
        OrphanetFrequency::Occasional => 0.17,
        OrphanetFrequency::VeryRare => 0.025,
        OrphanetFrequency::Excluded => 0.0,
    }
}
