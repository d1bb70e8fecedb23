//! How far scopes reach for one interaction with one type.

use crate::clinical::Filter;

/// Whose resources, and which of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Only what lies in the compartment of the session's patient.
    pub patient_only: bool,
    /// One of these must match, each with all of its parameters; empty: whatever they are.
    pub filters: Vec<Vec<Filter>>,
    /// Where [`Self::patient_only`] is false: what lies in the compartment of the session's patient is also
    /// reached if it matches one of these (`Some` of empty: whatever it is). Whoever does not look at it
    /// reaches less, never more.
    pub also_of_patient: Option<Vec<Vec<Filter>>>,
}

impl Reach {
    /// Whether everything is reached.
    pub fn is_everything(&self) -> bool {
        !self.patient_only && self.filters.is_empty()
    }

    /// Whether a resource is reached: `of_patient` says whether it is in the compartment of the session's
    /// patient (false without one), `matches` whether it matches a query parameter.
    pub fn covers(&self, of_patient: bool, mut matches: impl FnMut(&Filter) -> bool) -> bool {
        let mut any = |filters: &[Vec<Filter>]| {
            filters.is_empty() || filters.iter().any(|all| all.iter().all(&mut matches))
        };
        (of_patient || !self.patient_only) && any(&self.filters)
            || of_patient && self.also_of_patient.as_deref().is_some_and(any)
    }
}
