//! The graph of live terms: children, ancestors and descendants with shortest distances.

use crate::{
    id::{HpoId, TermIx},
    source::Problem,
    tables::{StoredTerm, position},
};

/// The most pairs of a term and its ancestor; HPO has under 300,000.
const MAX_PAIRS: usize = 16_000_000;

/// Lists of many rows in one vector.
#[derive(Debug, Default)]
pub(crate) struct Lists<T> {
    ends: Vec<u32>,
    items: Vec<T>,
}

impl<T> Lists<T> {
    pub(crate) fn get(&self, row: usize) -> &[T] {
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.items[start..self.ends[row] as usize]
    }

    /// One list for each row from pairs of row and item, which are visited twice; the items of a
    /// row keep their order.
    pub(crate) fn grouped<I>(rows: usize, pairs: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (usize, T)>,
        T: Copy,
    {
        let mut next = vec![0u32; rows];
        let mut first = None;
        for (row, item) in pairs() {
            next[row] += 1;
            first = first.or(Some(item));
        }
        let mut total = 0;
        for slot in &mut next {
            let length = *slot;
            *slot = total;
            total += length;
        }
        let mut items = first.map_or_else(Vec::new, |item| vec![item; total as usize]);
        for (row, item) in pairs() {
            items[next[row] as usize] = item;
            next[row] += 1;
        }
        Self { ends: next, items }
    }
}

/// Derived from the parents when an index is opened.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) children: Lists<TermIx>,
    /// Self first, at 0; then ascending by term.
    pub(crate) ancestors: Lists<(TermIx, u8)>,
    /// Self first, at 0; then ascending by term.
    pub(crate) descendants: Lists<(TermIx, u8)>,
}

/// An order in which every term comes after its parents, or a term on a cycle.
pub(crate) fn order(terms: &[StoredTerm]) -> Result<Vec<TermIx>, TermIx> {
    let children = children(terms);
    let mut waiting: Vec<usize> = terms.iter().map(|t| t.parents.len()).collect();
    let mut order: Vec<TermIx> = (0..terms.len())
        .filter(|&at| waiting[at] == 0)
        .map(|at| TermIx(position(at)))
        .collect();
    let mut done = 0;
    while let Some(&term) = order.get(done) {
        done += 1;
        for &child in children.get(term.index()) {
            waiting[child.index()] -= 1;
            if waiting[child.index()] == 0 {
                order.push(child);
            }
        }
    }
    match waiting.iter().position(|&w| w > 0) {
        Some(at) => Err(TermIx(position(at))),
        None => Ok(order),
    }
}

fn children(terms: &[StoredTerm]) -> Lists<TermIx> {
    Lists::grouped(terms.len(), || {
        terms.iter().enumerate().flat_map(|(at, term)| {
            term.parents
                .iter()
                .map(move |p| (p.index(), TermIx(position(at))))
        })
    })
}

impl Graph {
    /// Distances beyond 254 count as 254 (the deepest path of HPO has under 20 steps).
    pub(crate) fn new(terms: &[StoredTerm]) -> Result<Self, Problem> {
        let order = order(terms)
            .map_err(|at| Problem::Cycle(HpoId(terms[at.index()].number).to_string()))?;
        let mut pairs = 0;
        let mut rows: Vec<Vec<(TermIx, u8)>> = vec![Vec::new(); terms.len()];
        let mut nearest: Vec<u8> = vec![u8::MAX; terms.len()];
        for &term in &order {
            let mut found: Vec<TermIx> = Vec::new();
            for parent in &terms[term.index()].parents {
                for &(ancestor, distance) in &rows[parent.index()] {
                    let slot = &mut nearest[ancestor.index()];
                    if *slot == u8::MAX {
                        found.push(ancestor);
                    }
                    *slot = (*slot).min(distance.saturating_add(1).min(u8::MAX - 1));
                }
            }
            found.sort_unstable();
            pairs += found.len() + 1;
            if pairs > MAX_PAIRS {
                let what = "pairs of a term and its ancestor";
                return Err(Problem::TooMuch {
                    what,
                    limit: MAX_PAIRS,
                });
            }
            let row = &mut rows[term.index()];
            row.reserve_exact(found.len() + 1);
            row.push((term, 0));
            for ancestor in found {
                row.push((
                    ancestor,
                    std::mem::replace(&mut nearest[ancestor.index()], u8::MAX),
                ));
            }
        }
        let ancestors = Lists::grouped(terms.len(), || {
            rows.iter()
                .enumerate()
                .flat_map(|(at, row)| row.iter().map(move |&pair| (at, pair)))
        });
        let selves = || (0..terms.len()).map(|at| (at, (TermIx(position(at)), 0)));
        let descendants = Lists::grouped(terms.len(), || {
            selves().chain(rows.iter().enumerate().flat_map(|(at, row)| {
                row.iter().skip(1).map(move |&(above, distance)| {
                    (above.index(), (TermIx(position(at)), distance))
                })
            }))
        });
        Ok(Self {
            children: children(terms),
            ancestors,
            descendants,
        })
    }
}
