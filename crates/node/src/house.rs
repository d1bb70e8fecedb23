//! What the institution lets its people do: its own policy, beside scopes and consent.
//!
//! Asked of every record that consent permits, category by category, and of every write. It only takes away, and
//! never in an emergency: a session of broken glass and the node's own reading are not asked about.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Category;
use consent::{Purpose, Request, Role};
use institution_policy::{Action, Policy, Question};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;

/// The policy as it is asked within one request.
pub(crate) struct House {
    policy: Option<Arc<Policy>>,
    pub(crate) action: Action,
    is_of_here: bool,
    is_bound: bool,
    /// What was asked before.
    asked: Mutex<BTreeMap<(String, Category), bool>>,
}

impl House {
    /// Whether this category of a kind of record may be had.
    pub(crate) fn permits(&self, request: &Request, kind: &str, category: Category) -> bool {
        let Some(policy) = &self.policy else {
            return true;
        };
        if request.purpose == Purpose::Btg || request.actor.is(Role::System) {
            return true;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.to_owned(), category);
        if let Some(permitted) = asked.get(&key) {
            return *permitted;
        }
        let verdict = policy.permits(&Question {
            actor: &request.actor,
            of_this_institution: self.is_of_here,
            action: self.action,
            resource_type: type_of(kind),
            categories: &BTreeSet::from([category]),
            purpose: request.purpose,
            own_patient: self.is_bound,
            break_glass: false,
        });
        asked.insert(key, verdict.permitted);
        verdict.permitted
    }
}

impl House {
    /// Refuses if a category of a version that was asked for may not be had.
    pub(crate) fn refuses_none(
        &self,
        request: &Request,
        meta: &vault::RecordMeta,
    ) -> Result<(), Error> {
        let asked = &request.selection.categories;
        let categories = meta.categories();
        let mut wanted = categories.intersection(asked);
        if wanted.all(|category| self.permits(request, &meta.kind, *category)) {
            return Ok(());
        }
        Err(Error::PolicyForbids {
            action: self.action.as_str(),
            by: String::new(),
        })
    }
}

impl<S: Store> Custodian<S> {
    /// The policy, for a request that reads.
    pub(crate) fn house(&self, request: &Request) -> House {
        House {
            policy: self.institution_policy.clone(),
            action: Action::Read,
            is_of_here: request.actor.institution == self.id,
            is_bound: request.actor.is(Role::Controller) || request.actor.is(Role::Device),
            asked: Mutex::default(),
        }
    }

    /// Refuses a write that the institution does not let this caller do.
    pub(crate) fn house_lets(
        &self,
        caller: &Caller,
        action: Action,
        kind: &str,
    ) -> Result<(), Error> {
        let Some(policy) = &self.institution_policy else {
            return Ok(());
        };
        let verdict = policy.permits(&Question {
            actor: &caller.actor,
            of_this_institution: caller.actor.institution == self.id,
            action,
            resource_type: type_of(kind),
            categories: &BTreeSet::new(),
            purpose: Purpose::Treat,
            own_patient: caller.subject.is_some(),
            break_glass: false,
        });
        if verdict.permitted {
            return Ok(());
        }
        Err(Error::PolicyForbids {
            action: action.as_str(),
            by: verdict.by.into_iter().collect::<Vec<_>>().join(", "),
        })
    }
}

/// What a policy calls a kind of record.
fn type_of(kind: &str) -> &str {
    match kind {
        "phenopacket" => "Phenopacket",
        "document" => "Document",
        kind => kind,
    }
}
