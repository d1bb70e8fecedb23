//! Limits held or not, and tables of several samples as one.

use super::{
    AttackTable, Differencing, Disclosure, Knows, Limits, Linkage, Membership, SinglingOut, Verdict,
};

/// One verdict for each limit.
#[must_use]
pub fn verdicts(table: &AttackTable, limits: &Limits) -> Vec<Verdict> {
    let measured = |linkage: &&Linkage| linkage.targets > 0;
    let three = table.linkage(Knows::Terms(3)).filter(measured);
    let linkage = table.linkage.iter().filter(measured);
    let unique = linkage.map(|l| l.unique_and_correct);
    let changed = (table.differencing.iter())
        .flat_map(|d| [&d.added, &d.removed])
        .filter(measured)
        .map(|l| l.rate);
    let alone = table.differencing.iter().map(|d| d.alone);
    let verdict = |attack: &str, measured: Option<f64>, limit: f64, strict: bool| Verdict {
        attack: attack.to_owned(),
        measured,
        limit,
        strict,
        held: measured.is_some_and(|m| m < limit || (!strict && m <= limit)),
    };
    let membership = table.membership.as_ref().map(|m| m.advantage);
    let disclosure = table.disclosure.as_ref().map(|d| d.beyond);
    let singling_out = Some(table.singling_out.excess);
    vec![
        verdict(
            "linkage-three-terms",
            three.map(|l| l.rate),
            limits.linkage_three_terms,
            true,
        ),
        verdict(
            "unique-and-correct",
            unique.max_by(f64::total_cmp),
            limits.unique_and_correct,
            false,
        ),
        verdict("singling-out", singling_out, limits.singling_out, false),
        verdict("membership", membership, limits.membership, false),
        verdict(
            "differencing",
            changed.max_by(f64::total_cmp),
            limits.differencing,
            false,
        ),
        verdict("alone", alone.max_by(f64::total_cmp), limits.alone, false),
        verdict("disclosure", disclosure, limits.disclosure, false),
    ]
}

impl AttackTable {
    /// The mean of tables of the same attacks on several samples; of what was linked uniquely, and
    /// of who is alone, the worst. `None` of none. The seed is the first one's.
    #[must_use]
    pub fn mean(tables: &[Self], limits: &Limits) -> Option<Self> {
        let first = tables.first()?;
        let linkage = |of: &dyn Fn(&Self) -> Option<&Linkage>| {
            let all: Vec<&Linkage> = tables.iter().filter_map(of).collect();
            joined(&all)
        };
        let mut out = Self {
            linkage: Knows::ALL
                .into_iter()
                .filter_map(|knows| linkage(&|t: &Self| t.linkage(knows)))
                .collect(),
            singling_out: SinglingOut {
                rate: mean(tables.iter().map(|t| t.singling_out.rate)),
                without: mean(tables.iter().map(|t| t.singling_out.without)),
                excess: mean(tables.iter().map(|t| t.singling_out.excess)),
                statements: tables.iter().map(|t| t.singling_out.statements).sum(),
                terms: first.singling_out.terms,
            },
            membership: tables
                .iter()
                .map(|t| t.membership.clone())
                .collect::<Option<Vec<_>>>()
                .map(|all| Membership {
                    auc: mean(all.iter().map(|m| m.auc)),
                    advantage: mean(all.iter().map(|m| m.advantage)),
                    pairs: all.iter().map(|m| m.pairs).sum(),
                }),
            differencing: Vec::new(),
            disclosure: tables
                .iter()
                .map(|t| t.disclosure.clone())
                .collect::<Option<Vec<_>>>()
                .map(|all| Disclosure {
                    members: mean(all.iter().map(|d| d.members)),
                    outsiders: mean(all.iter().map(|d| d.outsiders)),
                    beyond: mean(all.iter().map(|d| d.beyond)),
                    targets: (
                        all.iter().map(|d| d.targets.0).sum(),
                        all.iter().map(|d| d.targets.1).sum(),
                    ),
                }),
            verdicts: Vec::new(),
            seed: first.seed,
        };
        for at in 0..first.differencing.len() {
            let all: Vec<&Differencing> = (tables.iter())
                .filter_map(|t| t.differencing.get(at))
                .collect();
            out.differencing.extend(Differencing::mean(&all));
        }
        out.verdicts = verdicts(&out, limits);
        Some(out)
    }
}

impl Differencing {
    /// The mean; of who is alone, the worst. `None` of none.
    pub(crate) fn mean(all: &[&Self]) -> Option<Self> {
        let added: Vec<&Linkage> = all.iter().map(|d| &d.added).collect();
        let removed: Vec<&Linkage> = all.iter().map(|d| &d.removed).collect();
        Some(Self {
            added: joined(&added)?,
            removed: joined(&removed)?,
            in_both: all.iter().map(|d| d.in_both).sum(),
            companions_below_k: mean(all.iter().map(|d| d.companions_below_k)),
            alone: all.iter().map(|d| d.alone).fold(0.0, f64::max),
        })
    }
}

fn joined(all: &[&Linkage]) -> Option<Linkage> {
    let first = all.first()?;
    Some(Linkage {
        knows: first.knows,
        rate: mean(all.iter().map(|l| l.rate)),
        unique_and_correct: all.iter().map(|l| l.unique_and_correct).fold(0.0, f64::max),
        right_row: mean(all.iter().map(|l| l.right_row)),
        targets: all.iter().map(|l| l.targets).sum(),
        way: first.way.clone(),
    })
}

/// 0 of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0_f64);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count.max(1.0)
}
