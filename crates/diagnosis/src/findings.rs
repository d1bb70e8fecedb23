//! What was found in a patient, checked: known terms of the right kind, no contradictions.

use ontology::{GeneIx, HpoId, Ontology, Resolved, Sex, TermIx};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use thiserror::Error;

/// Most findings of each kind that are taken.
pub const MAX_FINDINGS: usize = 5_000;
/// Most genes that are taken.
pub const MAX_GENES: usize = 5_000;

/// A gene under suspicion, and how much.
#[derive(Clone, PartialEq)]
pub struct GeneWeight {
    /// HGNC symbol.
    pub symbol: String,
    /// Probability that its variant is what makes ill, by what is said of the variant and nothing else,
    /// where it would be [`GeneWeight::PRIOR`] before: above 0, at most 1. A plain list of suspects has 1
    /// everywhere: then the length of the list alone says how much each is worth.
    pub weight: f32,
}

impl GeneWeight {
    /// Probability that a variant is pathogenic before anything is said of it (Tavtigian et al., Genetics
    /// in Medicine 2018): a gene of this weight, or less, is worth nothing.
    pub const PRIOR: f32 = 0.1;
}

/// What comes in about a patient. `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct Presentation {
    /// Terms seen.
    pub observed: Vec<HpoId>,
    /// Terms looked for and not seen.
    pub excluded: Vec<HpoId>,
    /// Terms that one abnormal laboratory result suggests: kept apart, and not ranked by, until
    /// repeated or confirmed.
    pub tentative: Vec<HpoId>,
    /// An HPO onset term.
    pub onset: Option<HpoId>,
    /// Age at the last examination, in days.
    pub age_days: Option<u32>,
    /// The patient's sex, where known.
    pub sex: Option<Sex>,
    /// Candidate genes, none if there are none.
    pub genes: Vec<GeneWeight>,
}

/// Something of the input that was changed or left out, and why.
#[derive(Clone, PartialEq, Eq)]
pub enum Note {
    /// No such term: left out.
    Unknown(HpoId),
    /// Obsolete, its one replacement was taken.
    Replaced(HpoId, HpoId),
    /// Obsolete with no or several replacements: left out.
    Obsolete(HpoId),
    /// Not a phenotypic abnormality (a mode of inheritance, a frequency): left out.
    NotAFinding(HpoId),
    /// Both seen and excluded, or a kind of it was seen: the exclusion was left out.
    Contradiction(HpoId),
    /// No such gene: left out. Its position in the input.
    UnknownGene(usize),
    /// Not an onset term: left out.
    NotAnOnset(HpoId),
}

/// Input that is not ranked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// More findings than [`MAX_FINDINGS`].
    #[error(
        "{given} findings were given, at most {MAX_FINDINGS} are taken: send those that matter"
    )]
    TooManyFindings {
        /// How many.
        given: usize,
    },
    /// More genes than [`MAX_GENES`].
    #[error(
        "{given} genes were given, at most {MAX_GENES} are taken: send those with rare variants"
    )]
    TooManyGenes {
        /// How many.
        given: usize,
    },
    /// A weight that is no probability.
    #[error(
        "gene {position} has a weight that is not above 0 and at most 1: give every gene such a one, or 1"
    )]
    GeneWeight {
        /// Its position in the input.
        position: usize,
    },
}

/// Checked findings: what a session starts from. `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq)]
pub struct Findings {
    pub(crate) observed: Vec<TermIx>,
    pub(crate) excluded: Vec<TermIx>,
    pub(crate) tentative: Vec<TermIx>,
    pub(crate) onset: Option<OnsetClass>,
    pub(crate) age: Option<OnsetClass>,
    pub(crate) sex: Option<Sex>,
    pub(crate) genes: BTreeMap<GeneIx, f32>,
}

impl Findings {
    /// Checks an input. What could not be taken as it came is said in the notes.
    pub fn read(ontology: &Ontology, input: &Presentation) -> Result<(Self, Vec<Note>), Refused> {
        let given = [&input.observed, &input.excluded, &input.tentative]
            .map(Vec::len)
            .into_iter()
            .max()
            .unwrap_or(0);
        if given > MAX_FINDINGS {
            return Err(Refused::TooManyFindings { given });
        }
        if input.genes.len() > MAX_GENES {
            return Err(Refused::TooManyGenes {
                given: input.genes.len(),
            });
        }
        let mut notes = Vec::new();
        let observed = terms(ontology, &input.observed, &mut notes);
        let mut excluded = terms(ontology, &input.excluded, &mut notes);
        // With thousands of findings, each with each would be too many pairs.
        let implied: BTreeSet<TermIx> = observed
            .iter()
            .flat_map(|&seen| ontology.ancestors(seen))
            .map(|&(above, _)| above)
            .collect();
        excluded.retain(|out| {
            let seen = implied.contains(out);
            if seen {
                notes.push(Note::Contradiction(ontology.term(*out).id()));
            }
            !seen
        });
        let mut tentative = terms(ontology, &input.tentative, &mut notes);
        tentative.retain(|term| observed.binary_search(term).is_err());
        let onset = input.onset.and_then(|id| {
            let class = OnsetClass::of_term(id).map(|(from, _)| from);
            if class.is_none() {
                notes.push(Note::NotAnOnset(id));
            }
            class
        });
        Ok((
            Self {
                observed,
                excluded,
                tentative,
                onset,
                age: input.age_days.map(OnsetClass::of_age),
                sex: input.sex,
                genes: genes(ontology, &input.genes, &mut notes)?,
            },
            notes,
        ))
    }

    /// Terms seen, ascending.
    #[must_use]
    pub fn observed(&self) -> &[TermIx] {
        &self.observed
    }

    /// Terms looked for and not seen, ascending.
    #[must_use]
    pub fn excluded(&self) -> &[TermIx] {
        &self.excluded
    }

    /// Terms that wait for confirmation, ascending.
    #[must_use]
    pub fn tentative(&self) -> &[TermIx] {
        &self.tentative
    }

    /// When it began.
    #[must_use]
    pub fn onset(&self) -> Option<OnsetClass> {
        self.onset
    }

    /// The age class at the last examination.
    #[must_use]
    pub fn age(&self) -> Option<OnsetClass> {
        self.age
    }

    /// The patient's sex.
    #[must_use]
    pub fn sex(&self) -> Option<Sex> {
        self.sex
    }
}

/// Terms ascending without repetition; every other one noted.
fn terms(ontology: &Ontology, ids: &[HpoId], notes: &mut Vec<Note>) -> Vec<TermIx> {
    let root = ontology.roots().phenotypic_abnormality;
    let mut out = Vec::with_capacity(ids.len());
    for &id in ids {
        let term = match ontology.resolve(id) {
            Resolved::Unknown => {
                notes.push(Note::Unknown(id));
                continue;
            }
            resolved => match resolved.term() {
                None => {
                    notes.push(Note::Obsolete(id));
                    continue;
                }
                Some(term) => {
                    if matches!(resolved, Resolved::Replaced { .. }) {
                        notes.push(Note::Replaced(id, ontology.term(term).id()));
                    }
                    term
                }
            },
        };
        if ontology.is_a(term, root) {
            out.push(term);
        } else {
            notes.push(Note::NotAFinding(id));
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn genes(
    ontology: &Ontology,
    given: &[GeneWeight],
    notes: &mut Vec<Note>,
) -> Result<BTreeMap<GeneIx, f32>, Refused> {
    let mut out = BTreeMap::new();
    for (position, gene) in given.iter().enumerate() {
        if !(gene.weight > 0.0 && gene.weight <= 1.0) {
            return Err(Refused::GeneWeight { position });
        }
        match ontology.find_gene(&gene.symbol) {
            Some(ix) => {
                let weight: &mut f32 = out.entry(ix).or_insert(0.0);
                *weight = weight.max(gene.weight);
            }
            None => notes.push(Note::UnknownGene(position)),
        }
    }
    Ok(out)
}

/// When a disease began, in nine classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnsetClass {
    /// Before birth.
    Antenatal,
    /// At birth.
    Congenital,
    /// Under 28 days.
    Neonatal,
    /// Under 1 year.
    Infantile,
    /// 1 to 4 years.
    Childhood,
    /// 5 to 15 years.
    Juvenile,
    /// 16 to 39 years.
    YoungAdult,
    /// 40 to 59 years.
    MiddleAge,
    /// 60 years and more.
    Late,
}

impl OnsetClass {
    pub(crate) const COUNT: usize = 9;
    /// Every class, earliest first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Antenatal,
        Self::Congenital,
        Self::Neonatal,
        Self::Infantile,
        Self::Childhood,
        Self::Juvenile,
        Self::YoungAdult,
        Self::MiddleAge,
        Self::Late,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// First and last class of an HPO onset term.
    #[must_use]
    pub fn of_term(id: HpoId) -> Option<(Self, Self)> {
        use OnsetClass::{
            Antenatal, Childhood, Congenital, Infantile, Juvenile, Late, MiddleAge, Neonatal,
            YoungAdult,
        };
        Some(match id.to_string().as_str() {
            "HP:0030674" | "HP:0011460" | "HP:0011461" | "HP:0034197" | "HP:0034198"
            | "HP:0034199" => (Antenatal, Antenatal),
            "HP:0003577" => (Congenital, Congenital),
            "HP:0003623" => (Neonatal, Neonatal),
            "HP:0003593" => (Infantile, Infantile),
            "HP:0011463" => (Childhood, Childhood),
            "HP:0003621" => (Juvenile, Juvenile),
            "HP:0011462" | "HP:0025708" | "HP:0025709" | "HP:0025710" => (YoungAdult, YoungAdult),
            "HP:0003596" => (MiddleAge, MiddleAge),
            "HP:0003584" => (Late, Late),
            "HP:0003581" => (YoungAdult, Late),
            "HP:0410280" => (Infantile, Juvenile),
            _ => return None,
        })
    }

    /// The class of an age in days.
    #[must_use]
    pub fn of_age(days: u32) -> Self {
        match days {
            0 => Self::Congenital,
            1..=28 => Self::Neonatal,
            29..=364 => Self::Infantile,
            365..=1_825 => Self::Childhood,
            1_826..=5_843 => Self::Juvenile,
            5_844..=14_609 => Self::YoungAdult,
            14_610..=21_914 => Self::MiddleAge,
            _ => Self::Late,
        }
    }

    /// How well one class stands for another, 0 to 1: a bell over rough distances in time.
    pub(crate) fn nearness(self, other: Self) -> f32 {
        const PLACE: [f32; OnsetClass::COUNT] = [0.0, 1.0, 1.5, 2.5, 4.0, 5.5, 7.0, 8.0, 9.0];
        let apart = (PLACE[self.index()] - PLACE[other.index()]) / 1.2;
        (-0.5 * apart * apart).exp()
    }
}

macro_rules! redacted {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("<redacted>")
            }
        }
    )*};
}
redacted!(GeneWeight, Presentation, Note, Findings);
