//! A subject's phenotype profile and where its differential stands: one row, sealed in the compartment.
//!
//! It keeps numbers of terms and ids of diseases, so that newer knowledge reads it again. Probabilities are
//! parts in a million.

use super::counted::Case;
use super::knowledge::Knowledge;
use crate::error::Error;
use codec::id::Digest;
use codec::record;
use codec::time::Millis;
use diagnosis::{Abstained, Change, GeneWeight, Presentation, Ranking, Standing};
use ontology::{HpoId, Sex};

/// The most turns that are kept, and the most diseases of which it is kept since when they could be found.
const TURNS_MAX: usize = 64;

record! {
    /// What the node derived of a subject's records.
    pub(crate) struct Profile {
        /// Of which versions of which records, under which consent.
        1 => pub(crate) basis: Digest,
        /// How many records those are.
        2 => pub(crate) records: u32,
        /// What they say.
        3 => pub(crate) findings: Kept,
        /// The disease that they give as the diagnosis.
        4 => pub(crate) solved: Option<String>,
        /// What counts for others, if the subject agreed.
        5 => pub(crate) shared: Option<Shared>,
        /// The last answer.
        6 => pub(crate) answer: Option<Stood>,
        /// The best candidates of the answer that was last told of: what changes are measured against.
        7 => pub(crate) told: Vec<Likely>,
        /// Publications about the person.
        8 => pub(crate) papers: Vec<String>,
        /// Changes of the answer that were worth telling, oldest first.
        9 => pub(crate) turns: Vec<Turn>,
        /// Since when which disease could be found.
        10 => pub(crate) found: Vec<Found>,
        /// [`Knowledge::stamp`] when the records were read; answers may be made by newer knowledge before these
        /// are read again.
        11 => pub(crate) read_by: String,
    }
}

record! {
    /// Findings by their numbers in HPO.
    pub(crate) struct Kept {
        1 => pub(crate) observed: Vec<u32>,
        2 => pub(crate) excluded: Vec<u32>,
        /// By a laboratory value that nobody confirmed.
        3 => pub(crate) suggested: Vec<u32>,
        4 => pub(crate) onset: Option<u32>,
        5 => pub(crate) age_days: Option<u32>,
        /// 1 female, 2 male.
        6 => pub(crate) sex: Option<u8>,
        7 => pub(crate) genes: Vec<KeptGene>,
    }
}

record! {
    /// A gene under suspicion.
    pub(crate) struct KeptGene {
        1 => pub(crate) symbol: String,
        /// The bits of its weight, an IEEE 754 number of 32 bits.
        2 => pub(crate) weight: u32,
    }
}

record! {
    /// What of a case counts for others.
    pub(crate) struct Shared {
        /// The terms seen, of the records that the grant covers.
        1 => pub(crate) observed: Vec<u32>,
        /// When the grant ends.
        2 => pub(crate) until: Millis,
    }
}

record! {
    /// An answer as it stood, with what it rested on.
    pub(crate) struct Stood {
        1 => pub(crate) at: Millis,
        /// [`Knowledge::stamp`].
        2 => pub(crate) knowledge: String,
        /// Whether nothing was suggested.
        3 => pub(crate) abstained: bool,
        /// The best candidates.
        4 => pub(crate) top: Vec<Likely>,
    }
}

record! {
    /// A candidate.
    pub(crate) struct Likely {
        1 => pub(crate) disease: String,
        2 => pub(crate) ppm: u32,
    }
}

record! {
    /// A change of the answer that is worth telling.
    pub(crate) struct Turn {
        1 => pub(crate) at: Millis,
        2 => pub(crate) kind: TurnKind,
        3 => pub(crate) disease: String,
        /// Its probability before.
        4 => pub(crate) before_ppm: u32,
        /// And after.
        5 => pub(crate) ppm: u32,
        6 => pub(crate) cause: Cause,
        /// When a clinician looked at it.
        7 => pub(crate) seen: Option<Millis>,
    }
}

record! {
    /// Since when a disease could be found.
    pub(crate) struct Found {
        1 => pub(crate) disease: String,
        2 => pub(crate) at: Millis,
    }
}

codec::codes! {
    /// How an answer changed.
    pub enum TurnKind {
        /// Nothing was suggested; now something is.
        1 => Findable = "findable",
        /// Another disease leads.
        2 => Leads = "leads",
        /// What led is in doubt.
        3 => Doubtful = "doubtful",
    }
}

codec::codes! {
    /// Why an answer was made again.
    pub enum Cause {
        /// Records or consent changed.
        1 => Records = "records",
        /// The data on diseases, or the program.
        2 => Knowledge = "knowledge",
        /// The counts of this institution's cases.
        3 => Cases = "cases",
    }
}

impl Kept {
    pub(crate) fn of(presentation: &Presentation) -> Self {
        let numbers = |terms: &[HpoId]| terms.iter().map(|term| term.number()).collect();
        Self {
            observed: numbers(&presentation.observed),
            excluded: numbers(&presentation.excluded),
            suggested: numbers(&presentation.tentative),
            onset: presentation.onset.map(HpoId::number),
            age_days: presentation.age_days,
            sex: presentation.sex.map(|sex| match sex {
                Sex::Female => 1,
                Sex::Male => 2,
            }),
            genes: presentation
                .genes
                .iter()
                .map(|gene| KeptGene {
                    symbol: gene.symbol.clone(),
                    weight: gene.weight.to_bits(),
                })
                .collect(),
        }
    }

    pub(crate) fn presentation(&self) -> Presentation {
        Presentation {
            observed: terms(&self.observed),
            excluded: terms(&self.excluded),
            tentative: terms(&self.suggested),
            onset: self.onset.and_then(term),
            age_days: self.age_days,
            sex: match self.sex {
                Some(1) => Some(Sex::Female),
                Some(2) => Some(Sex::Male),
                _ => None,
            },
            genes: self
                .genes
                .iter()
                .map(|gene| GeneWeight {
                    symbol: gene.symbol.clone(),
                    weight: f32::from_bits(gene.weight),
                })
                .collect(),
        }
    }
}

pub(crate) fn terms(numbers: &[u32]) -> Vec<HpoId> {
    numbers.iter().copied().filter_map(term).collect()
}

fn term(number: u32) -> Option<HpoId> {
    format!("HP:{number:07}").parse().ok()
}

impl Stood {
    pub(crate) fn of(knowledge: &Knowledge, at: Millis, ranking: Option<&Ranking>) -> Self {
        let best = ranking.and_then(|ranking| ranking.ranked.first());
        Self {
            at,
            knowledge: knowledge.stamp().to_owned(),
            abstained: best.is_none_or(|best| best.posterior < Abstained::UNDER),
            top: likely(knowledge, ranking),
        }
    }
}

fn likely(knowledge: &Knowledge, ranking: Option<&Ranking>) -> Vec<Likely> {
    let standing = ranking.map(Standing::of);
    let top = standing.iter().flat_map(|standing| &standing.top);
    top.map(|&(disease, posterior)| Likely {
        disease: knowledge.disease_id(disease),
        ppm: ppm(posterior),
    })
    .collect()
}

/// As the engine compares it; diseases that are no longer known are left out.
fn standing(knowledge: &Knowledge, top: &[Likely]) -> Standing {
    let known = top.iter().filter_map(|likely| {
        let disease = knowledge.disease(&likely.disease)?;
        Some((disease, f64::from(likely.ppm) / 1e6))
    });
    Standing {
        top: known.collect(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and a million"
)]
fn ppm(probability: f64) -> u32 {
    (probability.clamp(0.0, 1.0) * 1e6).round() as u32
}

impl Profile {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        codec::from_slice(bytes).map_err(|_| Error::Damaged("a phenotype profile".to_owned()))
    }

    /// Takes a new answer in; the change that is worth telling, if any. A solved case has none.
    pub(crate) fn answered(
        &mut self,
        knowledge: &Knowledge,
        ranking: Option<&Ranking>,
        cause: Cause,
        at: Millis,
    ) -> bool {
        // Not the answer before: by small steps an answer would change and never be told.
        let before = standing(knowledge, &self.told);
        let now = ranking.map_or(Standing { top: Vec::new() }, Standing::of);
        self.answer = Some(Stood::of(knowledge, at, ranking));
        if self.solved.is_some() {
            return false;
        }
        let (kind, disease, was, is) = match before.change(&now) {
            None => return false,
            Some(Change::Findable { disease, posterior }) => {
                (TurnKind::Findable, disease, 0.0, posterior)
            }
            Some(Change::Leads {
                disease,
                before,
                posterior,
            }) => (TurnKind::Leads, disease, before, posterior),
            Some(Change::Doubtful {
                disease,
                before,
                posterior,
            }) => (TurnKind::Doubtful, disease, before, posterior),
        };
        self.told = likely(knowledge, ranking);
        let disease = knowledge.disease_id(disease);
        let is_found = self.found.iter().any(|found| found.disease == disease);
        if kind != TurnKind::Doubtful && !is_found && self.found.len() < TURNS_MAX {
            self.found.push(Found {
                disease: disease.clone(),
                at,
            });
        }
        if self.turns.len() >= TURNS_MAX {
            self.turns.remove(0);
        }
        self.turns.push(Turn {
            at,
            kind,
            disease,
            before_ppm: ppm(was),
            ppm: ppm(is),
            cause,
            seen: None,
        });
        true
    }

    /// When the oldest change came that nobody has looked at.
    pub(crate) fn unseen_since(&self) -> Option<Millis> {
        let mut unseen = self.turns.iter().filter(|turn| turn.seen.is_none());
        unseen.next().map(|turn| turn.at)
    }

    /// A clinician has looked; whether that was news.
    pub(crate) fn see(&mut self, at: Millis) -> bool {
        let unseen = self.turns.iter_mut().filter(|turn| turn.seen.is_none());
        let mut news = false;
        for turn in unseen {
            turn.seen = Some(at);
            news = true;
        }
        news
    }

    /// The case as it counts for others, if it does.
    pub(crate) fn case(&self, knowledge: &Knowledge) -> Option<Case> {
        let disease = knowledge.disease(self.solved.as_deref()?)?;
        let shared = self.shared.as_ref()?;
        let observed = terms(&shared.observed);
        let observed = observed
            .into_iter()
            .filter_map(|term| knowledge.ontology.resolve(term).term());
        Some(Case {
            disease,
            observed: observed.collect(),
            papers: self.papers.iter().cloned().collect(),
            until: shared.until,
        })
    }
}
