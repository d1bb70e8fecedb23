//! A rehearsal: what cannot be attacked in a release itself, for nobody is outside of it, is
//! attacked in one that is made in the same way of four fifths of its people.

use super::{How, Utility, utility::diagnosed};
use crate::{
    attack::{Against, AttackTable, Made, attack},
    config::Refusal,
    extract::cluster,
    hpo::Hpo,
    random::Draws,
    subject::Subject,
};
use serde::{Deserialize, Serialize};

/// What a rehearsal showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsed {
    /// With the last fifth as outsiders; no earlier releases.
    pub attacks: AttackTable,
    /// The last fifth diagnosed by the clusters of the others.
    pub clusters: Utility,
    /// The same by the others' records as they are.
    pub raw: Utility,
}

/// Holds every fifth of `subjects` out, by lot, and releases the others. Siblings of whom is held
/// out may be among them: nobody tells here who is related.
///
/// # Errors
/// [`Refusal`]: as of an extract of four fifths of the subjects.
pub fn rehearse(hpo: &Hpo<'_>, subjects: &[Subject], how: &How) -> Result<Rehearsed, Refusal> {
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    order.sort_unstable_by_key(|&at| subjects[at].id);
    let order = Draws::new(how.seed).sample(&order, subjects.len());
    let (out, rest) = order.split_at(order.len() / 5);
    let people =
        |of: &[usize]| -> Vec<Subject> { of.iter().map(|&at| subjects[at].clone()).collect() };
    let (held_out, released) = (people(out), people(rest));
    let extract = cluster(hpo, &released, &how.config)?;
    let made = Made::Clusters(&extract);
    let against = Against {
        outside: &held_out,
        earlier: &[],
        targets: how.targets,
    };
    Ok(Rehearsed {
        attacks: attack(hpo, &released, made, &against, how.seed, &how.limits),
        clusters: diagnosed(hpo, &released, made, &held_out),
        raw: diagnosed(hpo, &released, Made::Raw(&extract), &held_out),
    })
}
