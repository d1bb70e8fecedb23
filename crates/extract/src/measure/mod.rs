//! Measuring extracts on people whose records are public: attacks and utility, by folds.
//!
//! Five folds, by family (a publication) and by person. Each fold is held out once; the first was
//! for choosing the method and its parameters, and what is reported is the mean over the others
//! (of utility: over their people).
//! - *Utility*: a release of the other families, by which the held-out ones are diagnosed. Nobody
//!   held out shares a publication with anybody released. The same by person, where siblings of a
//!   held-out person may be released.
//! - *Attacks*: a release of the other persons; the held-out ones are the outsiders of membership
//!   inference, so that the two sides differ in nothing but membership.
//! - *Differencing*: the earlier release lacked a tenth of the later one's people, and had as many
//!   as are a fiftieth of it who have left.
//!
//! Pure: people, seed and clock are arguments.

mod crowd;
mod rehearsal;
mod utility;

pub use crowd::crowd;
pub use rehearsal::{Rehearsed, rehearse};
pub use utility::{Utility, diagnosed};

use crate::{
    attack::{
        Against, AttackTable, Differencing, Earlier, Limits, Made, View, attack, differencing, mean,
    },
    config::{Config, Refusal},
    extract::{Because, Extract, Kept, cluster, cluster_after},
    hpo::{Hpo, float},
    random::Draws,
    subject::Subject,
};
use ontology::DiseaseId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Folds in all; the first chose the parameters.
const FOLDS: u64 = 5;

/// To how many people the reference generalises rare terms.
const GENERALISED_TO: u32 = 11;

/// Somebody whose record is public.
#[derive(Debug, Clone)]
pub struct Person {
    /// The record. The id is spread evenly: it also chooses folds.
    pub subject: Subject,
    /// Who has the same number is not independent: one publication. Spread evenly.
    pub family: u64,
}

/// What was measured under one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Mean over the folds. Differencing: of a release made after the earlier one.
    pub attacks: AttackTable,
    /// What is kept of the people's information.
    pub kept: Kept,
    /// Nobody released shares a publication with the people diagnosed.
    pub by_family: Utility,
    /// Siblings of the people diagnosed may be released.
    pub by_person: Utility,
}

/// Everything that was measured for one way of making extracts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// How they were made.
    pub config: Config,
    /// The same people's records as they are.
    pub raw: Row,
    /// The same people's records, terms of fewer than 11 of them generalised.
    pub generalised: Row,
    /// Clusters.
    pub clusters: Row,
    /// Differencing of a release made without regard to the earlier one.
    pub afresh: Differencing,
    /// Means over the folds of how many there were of what.
    pub counts: Counts,
}

/// Means over the folds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// People given.
    pub given: f64,
    /// People in clusters.
    pub released: f64,
    /// Clusters.
    pub clusters: f64,
    /// Clusters that tell no diagnosis.
    pub withheld: f64,
    /// Terms observed that a profile shows.
    pub terms: f64,
    /// Diagnoses that people released have.
    pub diagnoses: f64,
    /// Diagnoses of people given of which nobody is released.
    pub diagnoses_refused: f64,
    /// People in clusters of a release made after an earlier one.
    pub released_after: f64,
    /// Of those, who were in no cluster for that reason alone.
    pub waiting: f64,
}

/// What is measured, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct How {
    /// How extracts are made.
    pub config: Config,
    /// What attacks may achieve.
    pub limits: Limits,
    /// The most people that an attack looks for in each fold.
    pub targets: u32,
    /// For every draw.
    pub seed: u64,
}

/// Measures extracts of `people` made so.
///
/// # Errors
/// [`Refusal`] where a fold has too few people.
pub fn measure(hpo: &Hpo<'_>, people: &[Person], how: &How) -> Result<Measured, Refusal> {
    let folds: Vec<Fold> = (1..FOLDS)
        .map(|fold| Fold::measure(hpo, people, how, fold))
        .collect::<Result<_, _>>()?;
    let count = |of: fn(&Counts) -> f64| mean(folds.iter().map(|fold| of(&fold.counts)));
    let row = |of: fn(&Fold) -> &Row| Row::mean(folds.iter().map(of).collect(), &how.limits);
    let afresh: Vec<&Differencing> = folds.iter().map(|fold| &fold.afresh).collect();
    let (Some(raw), Some(generalised), Some(clusters), Some(afresh)) = (
        row(|fold| &fold.raw),
        row(|fold| &fold.generalised),
        row(|fold| &fold.clusters),
        Differencing::mean(&afresh),
    ) else {
        return Err(Refusal::TooFew { k: how.config.k });
    };
    Ok(Measured {
        config: how.config,
        raw,
        generalised,
        clusters,
        afresh,
        counts: Counts {
            given: count(|c| c.given),
            released: count(|c| c.released),
            clusters: count(|c| c.clusters),
            withheld: count(|c| c.withheld),
            terms: count(|c| c.terms),
            diagnoses: count(|c| c.diagnoses),
            diagnoses_refused: count(|c| c.diagnoses_refused),
            released_after: count(|c| c.released_after),
            waiting: count(|c| c.waiting),
        },
    })
}

impl Row {
    fn mean(rows: Vec<&Self>, limits: &Limits) -> Option<Self> {
        let tables: Vec<AttackTable> = rows.iter().map(|row| row.attacks.clone()).collect();
        Some(Self {
            attacks: AttackTable::mean(&tables, limits)?,
            kept: Kept {
                recall: mean(rows.iter().map(|row| row.kept.recall)),
                precision: mean(rows.iter().map(|row| row.kept.precision)),
            },
            by_family: Utility::mean(rows.iter().map(|row| &row.by_family)),
            by_person: Utility::mean(rows.iter().map(|row| &row.by_person)),
        })
    }
}

struct Fold {
    raw: Row,
    generalised: Row,
    clusters: Row,
    afresh: Differencing,
    counts: Counts,
}

impl Fold {
    fn measure(hpo: &Hpo<'_>, people: &[Person], how: &How, fold: u64) -> Result<Self, Refusal> {
        let config = &how.config;
        let by_family = Split::new(hpo, people, config, &|p: &Person| p.family % FOLDS == fold)?;
        let by_person = Split::new(hpo, people, config, &|p: &Person| {
            draw(p, 0) % FOLDS == fold
        })?;
        let history = History::new(hpo, people, config, fold)?;
        let row = |made: fn(&Extract) -> Made<'_>| {
            let subjects = &by_person.released;
            let released = made(&by_person.extract);
            let against = Against {
                outside: &by_person.held_out,
                earlier: &[],
                targets: how.targets,
            };
            Row {
                attacks: attack(
                    hpo,
                    subjects,
                    released,
                    &against,
                    how.seed ^ fold,
                    &how.limits,
                ),
                kept: kept_of(hpo, subjects, released),
                by_family: by_family.utility(hpo, made(&by_family.extract)),
                by_person: by_person.utility(hpo, released),
            }
        };
        let mut clusters = row(|extract| Made::Clusters(extract));
        let mut draws = Draws::new(how.seed ^ fold);
        let mut against = |extract: &Extract| {
            let now = Earlier {
                subjects: &history.now,
                extract,
            };
            differencing(
                hpo,
                now,
                history.earlier(),
                how.targets as usize,
                &mut draws,
            )
        };
        let afresh = against(&history.afresh);
        clusters.attacks.differencing = vec![against(&history.after)];
        Ok(Self {
            raw: row(|extract| Made::Raw(extract)),
            generalised: row(|extract| Made::Generalised(extract, GENERALISED_TO)),
            clusters,
            afresh,
            counts: Counts {
                released_after: float(history.after.size()),
                waiting: float(left_out(&history.after, Because::Waiting)),
                ..by_person.counts()
            },
        })
    }
}

/// People released and people held out.
struct Split {
    released: Vec<Subject>,
    held_out: Vec<Subject>,
    extract: Extract,
}

impl Split {
    fn new(
        hpo: &Hpo<'_>,
        people: &[Person],
        config: &Config,
        out: &dyn Fn(&Person) -> bool,
    ) -> Result<Self, Refusal> {
        let (held_out, released): (Vec<&Person>, Vec<&Person>) =
            people.iter().partition(|p| out(p));
        let records = |of: Vec<&Person>| of.into_iter().map(|p| p.subject.clone()).collect();
        let (held_out, released): (Vec<_>, Vec<_>) = (records(held_out), records(released));
        let extract = cluster(hpo, &released, config)?;
        Ok(Self {
            released,
            held_out,
            extract,
        })
    }

    fn diagnoses(&self) -> BTreeSet<DiseaseId> {
        let members = self.extract.clusters.iter().flat_map(|c| &c.members);
        members
            .filter_map(|&at| self.released[at as usize].diagnosis)
            .collect()
    }

    fn utility(&self, hpo: &Hpo<'_>, made: Made<'_>) -> Utility {
        diagnosed(hpo, &self.released, made, &self.held_out)
    }

    fn counts(&self) -> Counts {
        let clusters = &self.extract.clusters;
        let withheld = |c: &&crate::Cluster| c.profile.diagnoses == crate::Diagnoses::Withheld;
        let given: BTreeSet<_> = self.released.iter().filter_map(|s| s.diagnosis).collect();
        let told = self.diagnoses();
        Counts {
            given: float(self.released.len()),
            released: float(self.extract.size()),
            clusters: float(clusters.len()),
            withheld: float(clusters.iter().filter(withheld).count()),
            terms: mean(clusters.iter().map(|c| float(c.profile.observed.len()))),
            diagnoses: float(told.len()),
            diagnoses_refused: float(given.difference(&told).count()),
            ..Counts::default()
        }
    }
}

/// Two releases.
struct History {
    then: (Vec<Subject>, Extract),
    now: Vec<Subject>,
    afresh: Extract,
    after: Extract,
}

impl History {
    fn new(hpo: &Hpo<'_>, people: &[Person], config: &Config, fold: u64) -> Result<Self, Refusal> {
        let records = |of: &dyn Fn(u64) -> bool| -> Vec<Subject> {
            let chosen = people.iter().filter(|p| of(draw(p, fold) % 100));
            chosen.map(|p| p.subject.clone()).collect()
        };
        let before = records(&|n| n >= 10);
        let now = records(&|n| n < 98);
        let then = cluster(hpo, &before, config)?;
        let earlier = Earlier {
            subjects: &before,
            extract: &then,
        };
        Ok(Self {
            afresh: cluster(hpo, &now, config)?,
            after: cluster_after(hpo, &now, config, earlier)?,
            then: (before, then),
            now,
        })
    }

    fn earlier(&self) -> Earlier<'_> {
        Earlier {
            subjects: &self.then.0,
            extract: &self.then.1,
        }
    }
}

/// A number for a text, spread evenly (FNV-1a, then SplitMix64): for [`Person`]. It hides nothing.
#[must_use]
pub fn spread(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Draws::new(text.bytes().fold(0xcbf2_9ce4_8422_2325, step)).next()
}

/// A number of a person, another one for each `salt`.
fn draw(person: &Person, salt: u64) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&person.subject.id[..8]);
    Draws::new(u64::from_le_bytes(bytes) ^ (salt << 32)).next()
}

fn left_out(extract: &Extract, because: Because) -> usize {
    let left = extract.left_out.iter();
    left.filter(|left| left.because == because).count()
}

/// What is kept; all that records say is right.
fn kept_of(hpo: &Hpo<'_>, subjects: &[Subject], made: Made<'_>) -> Kept {
    if let Made::Clusters(extract) = made {
        return extract.kept;
    }
    let view = View::of(hpo, subjects, made);
    let recall = mean(view.rows.iter().map(|row| {
        let subject = &subjects[row.members[0] as usize];
        let own = hpo.sum(&hpo.closure(&subject.observed));
        let said: f64 = row.terms.iter().map(|&(t, _)| hpo.information(t)).sum();
        said / own.max(f64::MIN_POSITIVE)
    }));
    Kept {
        recall,
        precision: 1.0,
    }
}
