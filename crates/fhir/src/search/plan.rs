//! Which index terms the candidates of a query post.

use crate::search::date::{self, Span};
use crate::search::query::{Clause, Query, Test};
use crate::search::table::{Kind, Lookup, Part, Step};
use crate::search::terms::{date_term, id_term, overflow_term, reference_term};
use crate::search::wanted::Wanted;

/// See [`Query::plan`].
pub(super) fn plan(query: &Query) -> Vec<Vec<Vec<u8>>> {
    let mut lists: Vec<Vec<Vec<u8>>> = Vec::new();
    let chained = query
        .chains
        .iter()
        .filter_map(|chain| chain.resolved.as_ref());
    for clause in query.clauses.iter().chain(chained) {
        if let Some(list) = list(query, clause) {
            lists.push(list);
        }
    }
    lists.extend(ranges(query));
    for has in &query.has {
        if let Some(ids) = &has.resolved {
            lists.push(ids.iter().map(|id| id_term(query.of.name, id)).collect());
        }
    }
    for list in &mut lists {
        list.push(overflow_term(query.of.name));
        list.sort();
        list.dedup();
    }
    lists.sort();
    lists.dedup();
    lists
}

fn list(query: &Query, clause: &Clause) -> Option<Vec<Vec<u8>>> {
    let of = query.of.name;
    let mut list = Vec::new();
    let wanted = match &clause.test {
        Test::Any(wanted) => wanted,
        Test::Names(names) => {
            for Lookup { owner, .. } in &clause.parameter.lookups {
                list.extend(names.ids().map(|id| reference_term(of, owner, id)));
            }
            return Some(list);
        }
        Test::Missing(_) | Test::None(_) => return None,
    };
    for wanted in wanted {
        list.extend(terms(query, clause, wanted, of)?);
    }
    Some(list)
}

fn terms(query: &Query, clause: &Clause, wanted: &Wanted, of: &str) -> Option<Vec<Vec<u8>>> {
    let parameter = clause.parameter;
    if parameter.name == "_id" {
        let Wanted::Token { code: Some(id), .. } = wanted else {
            return None;
        };
        return Some(vec![id_term(of, id)]);
    }
    if let Wanted::Composite(parts) = wanted {
        let parts = parts.iter().zip(&parameter.parts);
        return parts
            .filter_map(|(wanted, part)| {
                let lookups = covering(query, &parameter.bases, part)?;
                wanted.terms(of, &lookups)
            })
            .min_by_key(Vec::len);
    }
    match parameter.lookups.is_empty() {
        true => None,
        false => wanted.terms(of, &parameter.lookups),
    }
}

/// Where the values of a part of a composite are posted, when its defining parameter reads all of
/// them.
fn covering(query: &Query, bases: &[Vec<Step>], part: &Part) -> Option<Vec<Lookup>> {
    let definition = query.of.parameter(part.name)?;
    let known = |steps: &[Step], shape| {
        let patterns = definition.patterns.iter();
        patterns
            .clone()
            .any(|p| p.steps == steps && p.shape == shape && p.target.is_none())
    };
    let below = bases.iter().all(|base| {
        part.patterns.iter().all(|pattern| {
            let steps = [base.as_slice(), &pattern.steps].concat();
            known(&steps, pattern.shape)
        })
    });
    let above = part.from_root.iter().all(|p| known(&p.steps, p.shape));
    (below && above && !definition.lookups.is_empty()).then(|| definition.lookups.clone())
}

/// A list for each date parameter of single values that is bounded on both sides.
fn ranges(query: &Query) -> Vec<Vec<Vec<u8>>> {
    let mut lists = Vec::new();
    for parameter in &query.of.parameters {
        let single = parameter.kind == Kind::Date && parameter.one;
        if !single || parameter.lookups.is_empty() {
            continue;
        }
        let of_parameter = query
            .clauses
            .iter()
            .filter(|c| c.parameter.number == parameter.number);
        let bound = of_parameter.filter_map(bounds).reduce(|one, two| Span {
            from_ms: one.from_ms.max(two.from_ms),
            until_ms: one.until_ms.min(two.until_ms),
        });
        let Some(bound) = bound.filter(|bound| *bound != Span::ALWAYS) else {
            continue;
        };
        // A value that reaches over both bounds, where they exclude each other, covers all between.
        let bound = match bound.from_ms < bound.until_ms {
            true => bound,
            false => Span {
                from_ms: bound.until_ms.saturating_sub(1),
                until_ms: bound.from_ms.saturating_add(1),
            },
        };
        if let Some(buckets) = date::meeting(bound) {
            let owners = parameter.lookups.iter().map(|lookup| lookup.owner);
            let terms = owners.flat_map(|owner| {
                let buckets = buckets.iter();
                buckets.map(move |bucket| date_term(query.of.name, owner, *bucket))
            });
            lists.push(terms.collect());
        }
    }
    lists
}

/// The smallest span that every value meets which a clause accepts.
fn bounds(clause: &Clause) -> Option<Span> {
    let Test::Any(wanted) = &clause.test else {
        return None;
    };
    let spans = wanted.iter().map(Wanted::bounds);
    spans.reduce(|one, two| Some(one?.joined(two?)))?
}
