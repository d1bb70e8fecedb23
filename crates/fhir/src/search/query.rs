//! A search as it is asked for: read, planned over the index, and compared with resources.

use crate::parsed::Parsed;
use crate::search::date::Span;
use crate::search::parse;
use crate::search::plan;
use crate::search::reference::Target;
use crate::search::results::Results;
use crate::search::sort::{Sort, SortKey};
use crate::search::table::{Parameter, Searched};
use crate::search::value::{IndexValue, Reference};
use crate::search::walk::collect;
use crate::search::wanted::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What to do with parameters that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Refuse the query.
    Strict,
    /// Leave them out.
    Lenient,
}

/// Why a query is refused. Never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the search parameter {parameter}: {message}")]
pub struct QueryError {
    /// The parameter; shortened, and with what is no letter, digit or one of `-_.:` as `*`.
    pub parameter: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl QueryError {
    pub(super) fn new(parameter: &str, message: &str) -> Self {
        let shown = |c: char| match c.is_ascii_alphanumeric() || "-_.:".contains(c) {
            true => c,
            false => '*',
        };
        Self {
            parameter: parameter.chars().take(80).map(shown).collect(),
            message: message.to_owned(),
        }
    }
}

/// A search for resources of one type.
pub struct Query {
    pub(super) of: &'static Searched,
    /// Of this server, without a slash at its end.
    pub(super) base: String,
    pub(super) clauses: Vec<Clause>,
    pub(super) chains: Vec<Chain>,
    pub(super) has: Vec<Has>,
    pub(super) sort: Vec<Sort>,
    pub(super) results: Results,
    pub(super) ignored: Vec<String>,
    pub(super) canonical: Vec<(String, String)>,
}

/// What a parameter asks of a resource.
pub(super) struct Clause {
    pub(super) parameter: &'static Parameter,
    pub(super) test: Test,
}

pub(super) enum Test {
    /// `:missing`
    Missing(bool),
    /// One value at least is one of these.
    Any(Vec<Wanted>),
    /// No value is one of these: `:not`.
    None(Vec<Wanted>),
    /// A reference names one of these: what a chain led to.
    Names(Names),
}

/// Resources of this server: type and id. There can be many.
#[derive(Default)]
pub(super) struct Names {
    of_type: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// All ids, whatever their types.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.of_type.values().flatten()
    }

    /// Whether a reference names one of them.
    fn contains(&self, reference: &Reference<'_>, base: &str) -> bool {
        let Some(target) = &reference.target else {
            return false;
        };
        let target = target.clone().relative_to(base);
        let Target::Local { resource_type, id } = &target else {
            return false;
        };
        let stated = resource_type
            .as_deref()
            .or(reference.stated_type.as_deref());
        match stated {
            Some(of) => {
                let ids = self.of_type.get(of);
                ids.is_some_and(|ids| ids.contains(&**id))
            }
            None => self.of_type.values().any(|ids| ids.contains(&**id)),
        }
    }
}

/// A chained parameter, `subject:Patient.name=...`: the resources that it points at have to match
/// a query of their own first, see [`Query::resolve_chain`].
pub struct Chain {
    /// The reference parameter.
    pub parameter: &'static str,
    /// Each type that it may point at and whose resources can be asked this, with the question.
    pub targets: Vec<(&'static str, Query)>,
    pub(super) resolved: Option<Clause>,
}

/// `_has:Type:reference:parameter=...`: resources of another type that point here have to match a
/// query of their own first, see [`Query::resolve_has`].
pub struct Has {
    /// The type that points here.
    pub resource_type: &'static str,
    /// Its parameter that does.
    pub parameter: &'static str,
    /// What its resources are asked.
    pub query: Query,
    pub(super) resolved: Option<BTreeSet<String>>,
}

impl Query {
    /// Reads the decoded names and values of a search for a type. `base` is this server's, such as
    /// `http://host/fhir`: absolute references below it are the same as relative ones.
    ///
    /// # Errors
    /// A modifier or value that is not understood; a parameter that is not known, under strict
    /// handling; more than 64 parameters, 128 alternatives of one, or one hop of a chain.
    pub fn parse(
        resource_type: &str,
        pairs: &[(String, String)],
        handling: Handling,
        base: &str,
    ) -> Result<Self, QueryError> {
        parse::query(resource_type, pairs, handling, base)
    }

    /// Whether it asks for nothing, so that every resource of its type matches.
    pub fn is_met_by_all(&self) -> bool {
        self.clauses.is_empty() && self.chains.is_empty() && self.has.is_empty()
    }

    /// The type that is searched.
    pub fn resource_type(&self) -> &'static str {
        self.of.name
    }

    /// The names of parameters that lenient handling left out.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// What was understood, as it was asked: for the links of the answer.
    pub fn canonical(&self) -> Vec<(String, String)> {
        self.canonical.clone()
    }

    /// The ids that `_id` confines the query to.
    pub fn ids(&self) -> Option<Vec<String>> {
        let mut confined: Option<Vec<String>> = None;
        for clause in self.clauses.iter().filter(|c| c.parameter.name == "_id") {
            let Test::Any(wanted) = &clause.test else {
                continue;
            };
            let id = |wanted: &Wanted| match wanted {
                Wanted::Token {
                    system: None,
                    code: Some(id),
                } => Some(id.clone()),
                _ => None,
            };
            let Some(ids) = wanted.iter().map(id).collect::<Option<Vec<_>>>() else {
                continue;
            };
            confined = Some(match confined {
                None => ids,
                Some(known) => known.into_iter().filter(|id| ids.contains(id)).collect(),
            });
        }
        confined
    }

    /// The ids of the Patients that every match belongs to by the patient compartment: named by a
    /// parameter of the compartment or one that reads the same references, or by the `_id` of a
    /// search for Patients. `None` when the query is not confined to patients of this server.
    pub fn patients(&self) -> Option<Vec<String>> {
        if self.of.name == "Patient"
            && let Some(ids) = self.ids()
        {
            return Some(ids);
        }
        let confined = self
            .clauses
            .iter()
            .filter_map(|clause| self.patients_of(clause));
        let chained = self
            .chains
            .iter()
            .filter_map(|chain| chain.resolved.as_ref());
        let chained = chained.filter_map(|clause| self.patients_of(clause));
        confined.chain(chained).min_by_key(Vec::len)
    }

    fn patients_of(&self, clause: &Clause) -> Option<Vec<String>> {
        if !is_of_compartment(self.of, clause.parameter) {
            return None;
        }
        let wanted = match &clause.test {
            Test::Any(wanted) => wanted,
            Test::Names(names) => {
                let only = names.of_type.keys().all(|of| of == "Patient");
                return only.then(|| names.ids().cloned().collect());
            }
            Test::Missing(_) | Test::None(_) => return None,
        };
        let only_patients = {
            let patterns = &clause.parameter.patterns;
            let targets = clause.parameter.targets.as_slice();
            patterns.iter().all(|p| p.target == Some("Patient")) || targets == ["Patient"]
        };
        let id = |wanted: &Wanted| match wanted {
            Wanted::Reference {
                target: Target::Local { id, .. },
                of,
                ..
            } => {
                let is_patient = of.as_ref().map_or(only_patients, |of| of == "Patient");
                is_patient.then(|| id.clone().into_owned())
            }
            _ => None,
        };
        wanted.iter().map(id).collect()
    }

    /// Where the query names this Patient by a parameter of the patient compartment, these do as well.
    pub fn patients_also(&mut self, patient: &str, also: &[String]) {
        let of = self.of;
        let chained = self.chains.iter_mut().filter_map(|c| c.resolved.as_mut());
        for clause in self.clauses.iter_mut().chain(chained) {
            if !is_of_compartment(of, clause.parameter) {
                continue;
            }
            match &mut clause.test {
                Test::Any(wanted) => {
                    let more: Vec<Wanted> = wanted
                        .iter()
                        .flat_map(|one| also.iter().filter_map(|id| one.renamed(patient, id)))
                        .collect();
                    wanted.extend(more);
                }
                Test::Names(names) => {
                    if let Some(ids) = names.of_type.get_mut("Patient")
                        && ids.contains(patient)
                    {
                        ids.extend(also.iter().cloned());
                    }
                }
                Test::Missing(_) | Test::None(_) => {}
            }
        }
    }

    /// Which resources are candidates: those that post, for every list, one of its terms. Without
    /// any list it is every resource of the type. There may be too many, never too few.
    pub fn plan(&self) -> Vec<Vec<Vec<u8>>> {
        plan::plan(self)
    }

    /// Whether a resource is a match; its `meta.lastUpdated` is not read but given, in milliseconds
    /// since 1970. Chains and `_has` that are not resolved match nothing.
    pub fn matches(&self, resource: &Parsed<'_>, last_updated_ms: u64) -> bool {
        if resource.resource_type() != self.of.name {
            return false;
        }
        let types = &self.results.types;
        if !types.is_empty() && !types.contains(&self.of.name) {
            return false;
        }
        let resolved = self.chains.iter().map(|chain| chain.resolved.as_ref());
        let Some(chained) = resolved.collect::<Option<Vec<&Clause>>>() else {
            return false;
        };
        let clauses: Vec<&Clause> = self.clauses.iter().chain(chained).collect();
        let mut values: Vec<(usize, IndexValue<'_>)> = Vec::new();
        let wanted = |p: &Parameter| clauses.iter().any(|c| c.parameter.number == p.number);
        if !clauses.is_empty() {
            collect(self.of, resource, &wanted, &mut |parameter, value| {
                if parameter.name != "_lastUpdated" {
                    values.push((parameter.number, value));
                }
            });
            let updated = clauses
                .iter()
                .map(|c| c.parameter)
                .find(|p| p.name == "_lastUpdated");
            if let Some(updated) = updated {
                let from_ms = i64::try_from(last_updated_ms).unwrap_or(i64::MAX - 1);
                let until_ms = from_ms + 1;
                values.push((updated.number, IndexValue::Date(Span { from_ms, until_ms })));
            }
        }
        let id = resource.id().unwrap_or_default();
        clauses.iter().all(|clause| self.holds(clause, &values))
            && self.has.iter().all(|has| {
                let ids = has.resolved.as_ref();
                ids.is_some_and(|ids| ids.contains(&*id))
            })
    }

    fn holds(&self, clause: &Clause, values: &[(usize, IndexValue<'_>)]) -> bool {
        let of_parameter = values.iter().filter(|(n, _)| *n == clause.parameter.number);
        let mut values = of_parameter.map(|(_, value)| value);
        let any = |wanted: &[Wanted], value: &IndexValue<'_>| {
            wanted
                .iter()
                .any(|wanted| wanted.matches(value, &self.base))
        };
        match &clause.test {
            Test::Missing(missing) => values.next().is_none() == *missing,
            Test::Any(wanted) => values.any(|value| any(wanted, value)),
            Test::None(wanted) => !values.any(|value| any(wanted, value)),
            Test::Names(names) => values.any(|value| match value {
                IndexValue::Reference(reference) => names.contains(reference, &self.base),
                _ => false,
            }),
        }
    }

    /// The place of a match in the order that `_sort` asks for.
    pub fn sort_key(&self, resource: &Parsed<'_>, last_updated_ms: u64) -> SortKey {
        SortKey::of(&self.sort, self.of, resource, last_updated_ms)
    }

    /// Whether matches come in the order of their ids.
    pub fn is_sorted_by_id_or_none(&self) -> bool {
        match self.sort.as_slice() {
            [] => true,
            [one] => one.parameter.name == "_id" && !one.descending,
            _ => false,
        }
    }

    /// What the query says about the answer.
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// Chained parameters, to be resolved before [`Query::plan`].
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// `_has` parameters, to be resolved before [`Query::plan`].
    pub fn has(&self) -> &[Has] {
        &self.has
    }

    /// Says which resources match the queries of a chain, as type and id; from then on the query
    /// asks for a reference to one of them, and with none matches nothing.
    pub fn resolve_chain(&mut self, at: usize, targets: &[(String, String)]) {
        let of = self.of;
        let Some(chain) = self.chains.get_mut(at) else {
            return;
        };
        let Some(parameter) = of.parameter(chain.parameter) else {
            return;
        };
        let mut names = Names::default();
        for (of, id) in targets {
            let ids = names.of_type.entry(of.clone()).or_default();
            ids.insert(id.clone());
        }
        chain.resolved = Some(Clause {
            parameter,
            test: Test::Names(names),
        });
    }

    /// Says which resources of the searched type are pointed at by a match of a `_has`, by id; with
    /// none the query matches nothing.
    pub fn resolve_has(&mut self, at: usize, ids: &[String]) {
        if let Some(has) = self.has.get_mut(at) {
            has.resolved = Some(ids.iter().cloned().collect());
        }
    }
}

/// Whether a reference parameter names patients in whose compartment a resource then is.
fn is_of_compartment(of: &Searched, parameter: &Parameter) -> bool {
    if of.compartment.contains(&parameter.name) {
        return true;
    }
    let patterns = of.compartment.iter().filter_map(|name| of.parameter(name));
    let known: Vec<_> = patterns.flat_map(|p| &p.patterns).collect();
    let covered = |steps| known.iter().any(|known| known.steps == steps);
    !parameter.patterns.is_empty() && parameter.patterns.iter().all(|p| covered(p.steps.clone()))
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({}, <redacted>)", self.of.name)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({}, <redacted>)", self.parameter)
    }
}

impl fmt::Debug for Has {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Has({}, {}, <redacted>)",
            self.resource_type, self.parameter
        )
    }
}
