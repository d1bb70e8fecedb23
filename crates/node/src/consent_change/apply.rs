//! Applying changes to a consent state: the next complete state, and what changes of the slots' keys.
//!
//! Pure but for the fresh ids that come in. Whether the change is allowed is `consent`'s to say.

use super::{ConsentChange, Effect, GrantDraft};
use crate::error::{Conflict, Error};
use codec::id::GrantId;
use consent::{ChangeBy, ChangeKind, ChangeRefused, ConsentState, Facts, Grant, Terms};
use keys::PublicKey;
use std::collections::BTreeMap;

/// A state in the making.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The next state.
    pub(crate) state: ConsentState,
    /// Grants that were made, in order.
    pub(crate) grants: Vec<GrantId>,
    /// Slots whose key changes: to this key, or to one that nobody holds.
    pub(crate) keys: BTreeMap<u8, Option<PublicKey>>,
}

/// The state after `old` with `changes` applied in order; `fresh` gives ids for new grants.
pub(crate) fn applied(
    old: &ConsentState,
    changes: &[ConsentChange],
    mut fresh: impl FnMut() -> GrantId,
) -> Result<Applied, Error> {
    if changes.is_empty() {
        return Err(refused("it changes nothing"));
    }
    let mut grants = Vec::new();
    let mut keys = BTreeMap::new();
    let mut failed = None;
    let next = old.next(|terms| {
        for change in changes {
            if let Err(error) = apply(terms, change, &mut fresh, &mut grants, &mut keys) {
                failed.get_or_insert(error);
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let state = next.map_err(|error| refused(&sentence(&error)))?;
    Ok(Applied {
        state,
        grants,
        keys,
    })
}

fn apply(
    terms: &mut Terms,
    change: &ConsentChange,
    fresh: &mut impl FnMut() -> GrantId,
    grants: &mut Vec<GrantId>,
    keys: &mut BTreeMap<u8, Option<PublicKey>>,
) -> Result<(), Error> {
    match change {
        ConsentChange::GrantAdd(draft) => {
            // What was asked for twice is granted once: an answer that got lost must not leave a grant
            // behind that outlives the revocation of its double.
            let stands = terms.grants.iter().find(|grant| draft.is(grant));
            let id = match stands {
                Some(grant) => grant.id,
                None => {
                    let grant = draft.grant(fresh());
                    terms.grants.push(grant.clone());
                    grant.id
                }
            };
            grants.push(id);
        }
        ConsentChange::GrantRevoke(id) => {
            let before = terms.grants.len();
            terms.grants.retain(|grant| grant.id != *id);
            if terms.grants.len() == before {
                return Err(Error::Unknown("grant in the consent state"));
            }
        }
        ConsentChange::ControllerSet(controller, key) => {
            terms.controllers.retain(|c| c.slot != controller.slot);
            terms.controllers.push(controller.clone());
            if let Some(key) = key {
                keys.insert(controller.slot, Some(*key));
            }
        }
        ConsentChange::ControllerRemove { slot } => {
            let before = terms.controllers.len();
            terms.controllers.retain(|c| c.slot != *slot);
            if terms.controllers.len() == before {
                return Err(Error::Unknown("controller in that slot"));
            }
            keys.insert(*slot, None);
        }
        ConsentChange::MaturitySet(matures) => terms.matures = *matures,
        ConsentChange::OptOut(purpose) => {
            terms.opted_out.insert(*purpose);
        }
        ConsentChange::OptIn(purpose) => {
            if !terms.opted_out.remove(purpose) {
                return Err(Error::Unknown("opt-out of that purpose"));
            }
        }
        ConsentChange::Restrict(restricted) => terms.restricted = *restricted,
    }
    Ok(())
}

impl GrantDraft {
    /// Whether a grant is what this would make.
    fn is(&self, grant: &Grant) -> bool {
        self.grant(grant.id) == *grant
    }

    fn grant(&self, id: GrantId) -> Grant {
        Grant {
            id,
            grantee: self.grantee.clone(),
            purposes: self.purposes.clone(),
            categories: self.categories.clone(),
            from: self.from,
            until: self.until,
            exceptions: self.exceptions.clone(),
        }
    }
}

pub(crate) fn refused(why: &str) -> Error {
    Error::ChangeRefused(why.to_owned())
}

/// An error with its sources, as one sentence.
pub(crate) fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Whether a change is allowed, and when it binds.
pub(crate) fn allowed(
    old: &ConsentState,
    new: &ConsentState,
    by: ChangeBy,
    facts: &Facts,
) -> Result<Effect, Error> {
    let kind = consent::change_allowed(old, new, by, facts).map_err(|why| match why {
        ChangeRefused::Sequence { .. } => Conflict::Sequence {
            sequence: old.sequence,
        }
        .into(),
        ChangeRefused::Closed => Error::SubjectClosed,
        why => refused(&why.to_string()),
    })?;
    Ok(match kind {
        ChangeKind::Narrowing => Effect::Narrowing,
        ChangeKind::Widening => Effect::Widening,
        ChangeKind::Mixed => Effect::Mixed,
    })
}
