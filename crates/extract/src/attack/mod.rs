//! Attacks on a release, each a pure function with its randomness from a seed.
//!
//! - In: what is released ([`Made`]), whose it is, outsiders, earlier releases, a seed, [`Limits`].
//!   Out: an [`AttackTable`]: rates with the [`Verdict`]s. The same input gives the same table.
//! - Each attack's module says exactly what the attacker knows and what is counted.
//! - Where there are several ways of reckoning, the one that does best counts.

mod differencing;
mod disclosure;
mod linkage;
mod membership;
mod singling;
mod verdict;
mod view;

pub(crate) use differencing::differencing;
pub use differencing::{Differencing, Earlier};
pub use disclosure::Disclosure;
pub use linkage::{Knows, Linkage};
pub use membership::Membership;
pub use singling::SinglingOut;
pub(crate) use verdict::mean;
pub use verdict::verdicts;
pub(crate) use view::{View, Way};

use crate::{extract::Extract, hpo::Hpo, random::Draws, subject::Subject};
use serde::{Deserialize, Serialize};

/// What is released, and so attacked.
#[derive(Debug, Clone, Copy)]
pub enum Made<'a> {
    /// Clusters.
    Clusters(&'a Extract),
    /// The records of the same people as they are: a reference, never released.
    Raw(&'a Extract),
    /// The records of the same people, each term that fewer than so many of them have generalised:
    /// a reference, never released.
    Generalised(&'a Extract, u32),
}

/// Whom and what the attacker has beside the release.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// People like those released who are not released: for membership and disclosure.
    pub outside: &'a [Subject],
    /// Earlier releases: for differencing.
    pub earlier: &'a [Earlier<'a>],
    /// The most people looked for by each attack; more are drawn by lot.
    pub targets: u32,
}

/// What an attack may achieve before a release is not good enough. Shares, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Linkage with three known terms: under this. 0.05: what is asked of releases of Ithaca; raw
    /// records of the development cases give 0.4.
    pub linkage_three_terms: f64,
    /// Targets linked uniquely and correctly with anything known: at most this.
    pub unique_and_correct: f64,
    /// Singling out beyond what public knowledge does: at most this. 0.05: none, with room for
    /// the noise of some hundred statements.
    pub singling_out: f64,
    /// Membership advantage: at most this. 0.1: who knows the whole record is right about at most
    /// 55 of 100 people, half of whom are in; noise is about 0.02 with a thousand pairs.
    pub membership: f64,
    /// Linkage of who was added or removed, with three known terms: at most this. 0.2: never better
    /// than knowing the cluster of five. Where one cluster alone has changed it cannot be less
    /// than 1 / its size.
    pub differencing: f64,
    /// People alone in the companions of two releases: at most this.
    pub alone: f64,
    /// Diagnosis named beyond what outsiders risk: at most this. 0.15: raw records give 0.2 and
    /// more.
    pub disclosure: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            linkage_three_terms: 0.05,
            unique_and_correct: 0.0,
            singling_out: 0.05,
            membership: 0.1,
            differencing: 0.2,
            alone: 0.0,
            disclosure: 0.15,
        }
    }
}

/// What every attack achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackTable {
    /// By what is known, in the order of [`Knows::ALL`].
    pub linkage: Vec<Linkage>,
    /// Statements true of one person.
    pub singling_out: SinglingOut,
    /// `None`: too few outsiders to measure.
    pub membership: Option<Membership>,
    /// For each earlier release.
    pub differencing: Vec<Differencing>,
    /// `None`: too few outsiders to measure.
    pub disclosure: Option<Disclosure>,
    /// One for each limit.
    pub verdicts: Vec<Verdict>,
    /// What the draws were made from.
    pub seed: u64,
}

/// A limit, and whether it held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The limit's name.
    pub attack: String,
    /// What was achieved; `None`: not measured, which is no pass.
    pub measured: Option<f64>,
    /// The limit.
    pub limit: f64,
    /// Whether the limit itself is too much.
    pub strict: bool,
    /// Whether it was measured and held.
    pub held: bool,
}

impl AttackTable {
    /// Whether every limit held that could be measured, and linkage could.
    #[must_use]
    pub fn held(&self) -> bool {
        self.verdicts.iter().all(|v| v.held || v.measured.is_none())
            && self.linkage.iter().any(|l| l.targets > 0)
    }

    /// Linkage with what is known so.
    #[must_use]
    pub fn linkage(&self, knows: Knows) -> Option<&Linkage> {
        self.linkage.iter().find(|l| l.knows == knows)
    }
}

/// Attacks what was made of `subjects`.
#[must_use]
pub fn attack(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    made: Made<'_>,
    against: &Against<'_>,
    seed: u64,
    limits: &Limits,
) -> AttackTable {
    let view = View::of(hpo, subjects, made);
    let mut draws = Draws::new(seed);
    let most = against.targets as usize;
    let targets = linkage::targets(&view, most, &mut draws);
    let linkage = Knows::ALL
        .into_iter()
        .map(|knows| linkage::linkage(hpo, subjects, &view, &targets, knows, &mut draws))
        .collect();
    let outside = against.outside;
    let mut table = AttackTable {
        linkage,
        singling_out: singling::singling_out(hpo, subjects, &view, most, &mut draws),
        membership: membership::membership(hpo, subjects, &view, outside, most, &mut draws),
        differencing: Vec::new(),
        disclosure: disclosure::disclosure(
            hpo, subjects, &view, &targets, outside, most, &mut draws,
        ),
        verdicts: Vec::new(),
        seed,
    };
    if let Made::Clusters(extract) = made {
        let now = Earlier { subjects, extract };
        for &then in against.earlier {
            let found = differencing(hpo, now, then, most, &mut draws);
            table.differencing.push(found);
        }
    }
    table.verdicts = verdict::verdicts(&table, limits);
    table
}
