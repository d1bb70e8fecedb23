//! The decision procedure.
//!
//! Each state of the effective consent is heard alone: every basis that would permit part of the
//! request under that state makes an offer. A category is permitted by a basis that makes an offer
//! under every state, as far as all its offers go. So what is permitted has a basis that holds now:
//! a grant that takes the place of another one, under another id, waits for the ledger. Offers only
//! ever add, states only ever take away; so removing or narrowing a grant, or adding a pending
//! state, never permits more.
//!
//! | basis | restricted or closed | ledger stale or without the state | ledger has another state |
//! |---|---|---|---|
//! | controller | goes on | goes on | denied: who is in control is unknown |
//! | own care, system | denied | goes on | goes on, marked stale |
//! | law | goes on | own only | own only, marked stale |
//! | opt-out | denied | own only | denied |
//! | grant | denied | own only, once on the ledger | denied |
//! | break-glass | goes on | goes on | goes on, marked stale |
//!
//! Research by a grant to a study or to research, and research that was not opted out of, also need the
//! study to be what [`research`] says.
//!
//! "Own" is the custodian's own staff for anything but research.

mod hearing;
mod research;

use crate::decision::{Allowance, Coverage};
use crate::{
    Decision, Denial, Effective, Facts, Missing, Opening, Permit, Policy, Records, Request,
};
use codec::{Category, RecordId};
use hearing::Hearing;
use std::collections::{BTreeMap, BTreeSet};

/// Decides one request. Total and deterministic; denies by default.
pub fn decide(
    policy: &Policy,
    effective: &Effective<'_>,
    request: &Request,
    facts: &Facts,
) -> Decision {
    if let Some(missing) = unanswerable(effective, request, facts) {
        let missing = vec![missing];
        return Decision::Deny(Denial { missing });
    }
    let hearings: Vec<Hearing> = effective
        .states()
        .map(|state| Hearing::hold(policy, state, request, facts))
        .collect();
    match conclude(&hearings, request, facts) {
        Ok(permit) => Decision::Permit(permit),
        Err(mut missing) => {
            let latest = Effective::of(effective.latest());
            let waits = !effective.pending.is_empty()
                && decide(policy, &latest, request, facts).permit().is_some();
            if waits {
                missing.insert(Missing::ChangeNotFinal);
            }
            let missing = missing.into_iter().collect();
            Decision::Deny(Denial { missing })
        }
    }
}

fn unanswerable(effective: &Effective<'_>, request: &Request, facts: &Facts) -> Option<Missing> {
    if request.selection.is_empty() {
        Some(Missing::NothingSelected)
    } else if effective.states().any(|s| s.subject != request.subject) {
        Some(Missing::WrongSubject)
    } else if facts.erased {
        Some(Missing::Erased)
    } else {
        None
    }
}

/// Puts the hearings together: a permit for what every state permits, or what was missing.
fn conclude(
    hearings: &[Hearing],
    request: &Request,
    facts: &Facts,
) -> Result<Permit, BTreeSet<Missing>> {
    let asked = &request.selection.categories;
    let mut coverage = Coverage {
        ways: BTreeMap::new(),
        only: match &request.selection.records {
            Records::All => None,
            Records::Only(records) => Some(records.clone()),
        },
    };
    for category in asked {
        let ways = common(hearings, *category);
        if !ways.is_empty() {
            coverage.ways.insert(*category, ways);
        }
    }
    let lacking: BTreeSet<Category> = asked
        .iter()
        .copied()
        .filter(|category| !coverage.ways.contains_key(category))
        .collect();
    let excepted = match &request.selection.records {
        Records::All => BTreeSet::new(),
        Records::Only(records) => named(&mut coverage, records, request.partial, facts),
    };
    let granted: BTreeSet<Category> = coverage.ways.keys().copied().collect();
    let complete = lacking.is_empty() && excepted.is_empty();
    let because = coverage.because();
    match because.first() {
        Some(first) if complete || request.partial => Ok(Permit {
            basis: first.basis.clone(),
            categories: granted,
            until: coverage.until(),
            stale: facts.is_stale() || facts.opening == Opening::Mismatch,
            because,
            coverage,
        }),
        _ => Err(reasons(hearings, &lacking, excepted)),
    }
}

/// The ways in which every state permits a category, the first in precedence first, without those
/// that another one contains.
fn common(hearings: &[Hearing], category: Category) -> Vec<Allowance> {
    let Some((first, rest)) = hearings.split_first() else {
        return Vec::new();
    };
    let mut ways: Vec<Allowance> = first
        .ways(category)
        .filter_map(|way| {
            rest.iter().try_fold(way.clone(), |way, hearing| {
                let mut offers = hearing.ways(category);
                let same = offers.find(|offer| offer.basis == way.basis)?;
                Some(way.and(same))
            })
        })
        .collect();
    ways.sort_by(|a, b| a.basis.precedence().cmp(&b.basis.precedence()));
    let mut kept: Vec<Allowance> = Vec::new();
    for way in ways {
        if !kept.iter().any(|k| k.contains(&way)) {
            kept.retain(|k| !way.contains(k));
            kept.push(way);
        }
    }
    kept
}

/// Holds the coverage against the records that the request names. For a partial request, drops
/// the categories in which none is covered. Returns the records that are not covered in full.
fn named(
    coverage: &mut Coverage,
    records: &BTreeSet<RecordId>,
    partial: bool,
    facts: &Facts,
) -> BTreeSet<RecordId> {
    let covers = |coverage: &Coverage, category: Category, record: &RecordId| {
        coverage.covers(category, record, facts.record_kinds.get(record), facts.at())
    };
    let categories: Vec<Category> = coverage.ways.keys().copied().collect();
    let excepted = records
        .iter()
        .filter(|r| categories.iter().any(|c| !covers(coverage, *c, r)))
        .copied()
        .collect();
    if partial {
        for category in categories {
            if !records.iter().any(|r| covers(coverage, category, r)) {
                coverage.ways.remove(&category);
            }
        }
    }
    excepted
}

fn reasons(
    hearings: &[Hearing],
    lacking: &BTreeSet<Category>,
    excepted: BTreeSet<RecordId>,
) -> BTreeSet<Missing> {
    let mut missing = BTreeSet::new();
    let mut some_permitted = false;
    for hearing in hearings {
        let unmet: BTreeSet<Category> = lacking
            .iter()
            .copied()
            .filter(|c| hearing.ways(*c).next().is_none())
            .collect();
        if !unmet.is_empty() {
            some_permitted |= !hearing.offers.is_empty();
            missing.extend(hearing.why(&unmet));
        }
    }
    if !excepted.is_empty() {
        missing.insert(Missing::RecordsExcepted(excepted));
    }
    if !lacking.is_empty() && (some_permitted || missing.is_empty()) {
        missing.insert(Missing::CategoriesNotPermitted(lacking.clone()));
    }
    missing
}
