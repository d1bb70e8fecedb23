//! Whether one consent state may replace another: who may, and whether it narrows or widens.

use crate::{ConsentState, Controller, ControllerRole, Facts, Opening, Standing};
use codec::{Millis, codes};

/// Who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeBy {
    /// The controller in this slot, by its key or through their account.
    Slot(u8),
    /// The custodian's desk, for a family that holds no key.
    Desk,
    /// Custodian and a second institution together, after the waiting time; no slot objected.
    Recovery,
}

codes! {
    /// What a change does to what is permitted.
    pub enum ChangeKind {
        /// Nothing new becomes possible. Binds when accepted.
        1 => Narrowing = "narrowing",
        /// Nothing becomes impossible. Binds when final.
        2 => Widening = "widening",
        /// Both. What it takes away binds when accepted, what it adds when final.
        3 => Mixed = "mixed",
    }
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// Of another subject.
    #[error("the change is for another subject")]
    Subject,
    /// Not the next one.
    #[error("the change has sequence {found}; the next one is {next}")]
    Sequence {
        /// What it has.
        found: u64,
        /// What it must have.
        next: u64,
    },
    /// Nothing can change any more.
    #[error("the subject's entry is closed")]
    Closed,
    /// This node does not hold the current state.
    #[error(
        "the ledger has a consent state that this node does not hold; it must be restored first"
    )]
    OpeningMismatch,
    /// The desk acts only while the family holds no key.
    #[error("the family holds its own key; the desk cannot act for it")]
    NotAssisted,
    /// The desk never gets control back.
    #[error("a family that took control cannot hand it back to the desk")]
    AssistedAgain,
    /// No controller in the slot.
    #[error("slot {0} has no controller")]
    NotAController(u8),
    /// The guardianship ended.
    #[error("the guardianship ended at {0}")]
    GuardianEnded(Millis),
    /// The subject came of age.
    #[error("the subject came of age at {0}; guardianship has ended")]
    SubjectMatured(Millis),
    /// Nobody would be in control.
    #[error("the change would leave nobody in control")]
    NobodyLeft,
    /// A controller may not touch another's control.
    #[error("the controller in slot {0} can be changed only by themselves or by recovery")]
    OthersControl(u8),
    /// A guardian may not outlast themselves, nor a minor give control.
    #[error("nobody can give control beyond their own, as for slot {0}")]
    LongerThanOwn(u8),
    /// Coming of age is a matter of law.
    #[error("a guardian or a minor cannot change when the subject comes of age")]
    Maturity,
}

/// Whether `by` may replace `old`, the latest accepted state, by `new`; and what that does.
///
/// A guardian cannot remove, prolong or replace another controller nor outlast themselves: that
/// is for the desk while assisted, for the grown subject, or for recovery. A minor subject cannot
/// shake off a guardian or add one.
///
/// # Errors
/// The first rule that the change breaks.
pub fn change_allowed(
    old: &ConsentState,
    new: &ConsentState,
    by: ChangeBy,
    facts: &Facts,
) -> Result<ChangeKind, ChangeRefused> {
    if old.subject != new.subject {
        return Err(ChangeRefused::Subject);
    }
    let next = old.sequence.saturating_add(1);
    if new.sequence != next || new.sequence == old.sequence {
        let found = new.sequence;
        return Err(ChangeRefused::Sequence { found, next });
    }
    if facts.closed || facts.erased {
        return Err(ChangeRefused::Closed);
    }
    if facts.opening == Opening::Mismatch {
        return Err(ChangeRefused::OpeningMismatch);
    }
    if new.assisted && !old.assisted {
        return Err(ChangeRefused::AssistedAgain);
    }
    let at = facts.at();
    match by {
        ChangeBy::Desk if old.assisted => {}
        ChangeBy::Desk => return Err(ChangeRefused::NotAssisted),
        ChangeBy::Recovery => {}
        ChangeBy::Slot(slot) => check_controller(old, new, slot, at)?,
    }
    let in_control = |c: &Controller| matches!(new.standing(c.slot, at), Standing::InControl(_));
    if !new.assisted && !new.controllers.iter().any(in_control) {
        return Err(ChangeRefused::NobodyLeft);
    }
    Ok(change_kind(old, new))
}

/// What replacing `old` by `new` does to what is permitted.
pub fn change_kind(old: &ConsentState, new: &ConsentState) -> ChangeKind {
    if is_narrowing(old, new) {
        ChangeKind::Narrowing
    } else if is_narrowing(new, old) {
        ChangeKind::Widening
    } else {
        ChangeKind::Mixed
    }
}

/// Whether everything that `new` permits, `old` permits too: to whom, when, and who is in control.
///
/// Judged by the terms, not by enumerating requests: each grant must lie within the earlier one of
/// its id. So a narrowing may be taken for more than it is, never a widening for less.
pub fn is_narrowing(old: &ConsentState, new: &ConsentState) -> bool {
    let grants = new.grants.iter().all(|grant| {
        old.grant(&grant.id)
            .is_some_and(|earlier| grant.is_within(earlier))
    });
    let opt_outs = old.opted_out.iter().all(|out| new.is_opted_out(*out));
    let controllers = new.controllers.iter().all(|controller| {
        old.controller(controller.slot)
            .is_some_and(|earlier| earlier.role == controller.role)
            && !outlasts(
                new.control_ends(controller.slot),
                old.control_ends(controller.slot),
            )
    });
    grants
        && opt_outs
        && controllers
        && (new.restricted || !old.restricted)
        && (old.assisted || !new.assisted)
}

fn check_controller(
    old: &ConsentState,
    new: &ConsentState,
    slot: u8,
    at: Millis,
) -> Result<(), ChangeRefused> {
    let role = match old.standing(slot, at) {
        Standing::InControl(role) => role,
        Standing::Ended(at) => return Err(ChangeRefused::GuardianEnded(at)),
        Standing::Matured(at) => return Err(ChangeRefused::SubjectMatured(at)),
        Standing::Vacant => return Err(ChangeRefused::NotAController(slot)),
    };
    let minor = old.matures.is_some_and(|matures| at < matures);
    if role == ControllerRole::Subject && !minor {
        return Ok(());
    }
    if new.matures != old.matures {
        return Err(ChangeRefused::Maturity);
    }
    for other in old.controllers.iter().filter(|c| c.slot != slot) {
        let in_control = matches!(old.standing(other.slot, at), Standing::InControl(_));
        let kept = new
            .controller(other.slot)
            .is_some_and(|c| c.role == other.role && c.until == other.until);
        if in_control && !kept {
            return Err(ChangeRefused::OthersControl(other.slot));
        }
    }
    // A minor gives nobody control; a guardian to nobody beyond their own end, and so, where that
    // exists, to no subject: whose key it is, the desk or recovery must have seen.
    let own_end = match role {
        ControllerRole::Subject => Some(Millis::ZERO),
        ControllerRole::Guardian => old.control_ends(slot),
    };
    for controller in &new.controllers {
        let known = old
            .controller(controller.slot)
            .is_some_and(|c| c.role == controller.role && c.until == controller.until);
        if !known && outlasts(new.control_ends(controller.slot), own_end) {
            return Err(ChangeRefused::LongerThanOwn(controller.slot));
        }
    }
    Ok(())
}

/// Whether one end is later than another; `None` is never.
fn outlasts(end: Option<Millis>, other: Option<Millis>) -> bool {
    match (end, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(other)) => end > other,
    }
}
