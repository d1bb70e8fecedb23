//! The consent state of one subject: everything its controllers decided, complete.
//!
//! [`Terms`] is the plain, editable form and the wire form; a [`ConsentState`] is terms that keep
//! the rules, in the one order that has one encoding. The ledger holds a salted commitment to it,
//! so that opening the commitment shows *all* the grants there are.

use crate::{Grant, InvalidGrant, Label, Purpose};
use codec::{
    Decode, Digest, Domain, Encode, Error, GrantId, Millis, Reader, SubjectId, Writer, codes,
    record,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Deref;

/// Controller key slots of a subject.
pub const SLOTS: u8 = 4;
/// The most grants of one state.
pub const MAX_GRANTS: usize = 128;

codes! {
    /// In which right a controller acts.
    pub enum ControllerRole {
        /// The person the record is about.
        1 => Subject = "subject",
        /// A parent or another legal guardian, until an end date or the subject's maturity.
        2 => Guardian = "guardian",
    }
}

record! {
    /// Who may change this state and read the whole record.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Controller {
        /// The key slot, below [`SLOTS`].
        1 => pub slot: u8,
        /// In which right.
        2 => pub role: ControllerRole,
        /// How the family calls them.
        3 => pub label: Label,
        /// The first instant after a guardianship; never for the subject.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        4 => pub until: Option<Millis>,
    }
}

record! {
    /// What a consent state says, in the making.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Terms {
        /// Whose.
        1 => pub subject: SubjectId,
        /// One more than the state before.
        2 => pub sequence: u64,
        /// Whether the custodian's desk acts for the family, which holds no key yet.
        3 => pub assisted: bool,
        /// Who decides, by slot.
        4 => pub controllers: Vec<Controller>,
        /// The first instant at which guardianship has ended by age.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        5 => pub matures: Option<Millis>,
        /// What was agreed to, by id.
        6 => pub grants: Vec<Grant>,
        /// Whether processing is restricted (GDPR article 18).
        7 => pub restricted: bool,
        /// Opted out of uses that need no agreement; each with everything below it. A grant is the
        /// more specific word and stands.
        8 => pub opted_out: BTreeSet<Purpose>,
    }
}

/// Terms that keep the rules: distinct slots and grants, in order, each valid, someone in control.
///
/// Reads as [`Terms`]; changed only by making the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Terms", into = "Terms")]
pub struct ConsentState(Terms);

/// Why terms are no consent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidState {
    /// A slot that does not exist.
    #[error("slot {0} does not exist; slots are 0 to {max}", max = SLOTS - 1)]
    Slot(u8),
    /// Two controllers in a slot.
    #[error("slot {0} is taken twice")]
    SlotTwice(u8),
    /// The subject's own control does not end.
    #[error("the subject in slot {0} cannot have an end date")]
    SubjectWithEnd(u8),
    /// A time too late to be written as a date.
    #[error("dates end before the year 10000")]
    Endless,
    /// Neither a desk nor a controller.
    #[error("a state that is not assisted has a controller")]
    NobodyInControl,
    /// Too many grants.
    #[error("a state has at most {MAX_GRANTS} grants")]
    TooManyGrants,
    /// Two grants with an id.
    #[error("grant {0} is there twice")]
    GrantTwice(GrantId),
    /// A grant that breaks its rules.
    #[error("grant {id} is not valid")]
    Grant {
        /// Which.
        id: GrantId,
        /// Why.
        source: InvalidGrant,
    },
    /// The sequence cannot go on.
    #[error("the sequence is exhausted")]
    Sequence,
}

impl ConsentState {
    /// Puts terms in order and checks them.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn new(mut terms: Terms) -> Result<Self, InvalidState> {
        terms.controllers.sort_by_key(|c| c.slot);
        terms.grants.sort_by_key(|g| g.id);
        check(&terms)?;
        Ok(Self(terms))
    }

    /// The state after this one: its terms as `edit` leaves them, with the next sequence.
    ///
    /// # Errors
    /// The first rule that the edited terms break.
    pub fn next(&self, edit: impl FnOnce(&mut Terms)) -> Result<Self, InvalidState> {
        let mut terms = self.0.clone();
        edit(&mut terms);
        terms.subject = self.0.subject;
        terms.sequence = self
            .0
            .sequence
            .checked_add(1)
            .ok_or(InvalidState::Sequence)?;
        Self::new(terms)
    }

    /// The terms.
    pub fn terms(&self) -> &Terms {
        &self.0
    }

    /// The terms, to edit.
    pub fn into_terms(self) -> Terms {
        self.0
    }

    /// What the ledger holds of this state: a digest under a 32-byte salt that only the
    /// compartment keeps.
    pub fn commitment(&self, salt: &[u8; 32]) -> Digest {
        keys::digest(Domain::ConsentState, &[salt, &codec::to_vec(self)])
    }

    /// The controller in a slot.
    pub fn controller(&self, slot: u8) -> Option<&Controller> {
        self.0.controllers.iter().find(|c| c.slot == slot)
    }

    /// The grant with an id.
    pub fn grant(&self, id: &GrantId) -> Option<&Grant> {
        self.0.grants.iter().find(|g| g.id == *id)
    }

    /// Whether the controller in `slot` is in control at `at`.
    pub fn standing(&self, slot: u8, at: Millis) -> Standing {
        self.control().standing(slot, at)
    }

    /// Who controls, and nothing else of the state.
    pub fn control(&self) -> Control {
        let holders = self.0.controllers.iter().map(|controller| Holder {
            slot: controller.slot,
            role: controller.role,
            until: controller.until,
        });
        Control {
            holders: holders.collect(),
            matures: self.0.matures,
        }
    }

    /// The first instant at which the controller in `slot` is no longer in control.
    pub fn control_ends(&self, slot: u8) -> Option<Millis> {
        let controller = self.controller(slot)?;
        match controller.role {
            ControllerRole::Subject => None,
            ControllerRole::Guardian => controller.until.into_iter().chain(self.0.matures).min(),
        }
    }

    /// Whether a use of this purpose that needs no agreement was opted out of. Who opted out of research
    /// opted out of trials too, which the standard has below treatment.
    pub fn is_opted_out(&self, purpose: Purpose) -> bool {
        self.0.opted_out.iter().any(|out| {
            purpose.is_within(*out) || (*out == Purpose::Hresch && purpose.is_research())
        })
    }
}

record! {
    /// Who controls a subject: all that is kept of its consent when the consent itself is erased.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Control {
        /// Controllers without what the family calls them, by slot.
        1 => pub holders: Vec<Holder>,
        /// The first instant at which guardianship has ended by age.
        2 => pub matures: Option<Millis>,
    }
}

record! {
    /// A controller, by slot alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Holder {
        /// The key slot.
        1 => pub slot: u8,
        /// In which right.
        2 => pub role: ControllerRole,
        /// The first instant after a guardianship.
        3 => pub until: Option<Millis>,
    }
}

impl Control {
    /// Whether whoever holds `slot` is in control at `at`.
    pub fn standing(&self, slot: u8, at: Millis) -> Standing {
        let Some(holder) = self.holders.iter().find(|holder| holder.slot == slot) else {
            return Standing::Vacant;
        };
        if holder.role == ControllerRole::Subject {
            return Standing::InControl(ControllerRole::Subject);
        }
        if let Some(ended) = holder.until.filter(|until| at >= *until) {
            return Standing::Ended(ended);
        }
        match self.matures.filter(|matures| at >= *matures) {
            Some(matured) => Standing::Matured(matured),
            None => Standing::InControl(ControllerRole::Guardian),
        }
    }
}

/// What a slot is worth at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Someone in control, in this right.
    InControl(ControllerRole),
    /// A guardian whose time ended then.
    Ended(Millis),
    /// A guardian of a subject who came of age then.
    Matured(Millis),
    /// Nobody.
    Vacant,
}

impl Deref for ConsentState {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0
    }
}

impl TryFrom<Terms> for ConsentState {
    type Error = InvalidState;

    fn try_from(terms: Terms) -> Result<Self, InvalidState> {
        Self::new(terms)
    }
}

impl From<ConsentState> for Terms {
    fn from(state: ConsentState) -> Self {
        state.0
    }
}

impl Encode for ConsentState {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for ConsentState {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        // Unlike `new`, bytes are never put in order: one state has one encoding.
        let terms = Terms::decode(r)?;
        let ordered = terms.controllers.is_sorted_by_key(|c| c.slot)
            && terms.grants.is_sorted_by_key(|g| g.id);
        if !ordered || check(&terms).is_err() {
            return Err(Error::Invalid("not a consent state"));
        }
        Ok(Self(terms))
    }
}

/// Checks terms whose controllers and grants are in order.
fn check(terms: &Terms) -> Result<(), InvalidState> {
    for controller in &terms.controllers {
        if controller.slot >= SLOTS {
            return Err(InvalidState::Slot(controller.slot));
        }
        if controller.until.is_some() && controller.role == ControllerRole::Subject {
            return Err(InvalidState::SubjectWithEnd(controller.slot));
        }
    }
    if let Some(slot) = repeated(&terms.controllers, |c| c.slot) {
        return Err(InvalidState::SlotTwice(slot));
    }
    let ends = terms.controllers.iter().filter_map(|c| c.until);
    if ends.chain(terms.matures).any(|end| end.date().is_none()) {
        return Err(InvalidState::Endless);
    }
    if terms.controllers.is_empty() && !terms.assisted {
        return Err(InvalidState::NobodyInControl);
    }
    if terms.grants.len() > MAX_GRANTS {
        return Err(InvalidState::TooManyGrants);
    }
    if let Some(id) = repeated(&terms.grants, |g| g.id) {
        return Err(InvalidState::GrantTwice(id));
    }
    for grant in &terms.grants {
        let id = grant.id;
        grant
            .validate()
            .map_err(|source| InvalidState::Grant { id, source })?;
    }
    Ok(())
}

fn repeated<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> Option<K> {
    items
        .iter()
        .zip(items.iter().skip(1))
        .find(|(a, b)| key(a) == key(b))
        .map(|(a, _)| key(a))
}
