//! Who calls a use case: an actor the edge has authenticated, and the one subject it may be bound to.

use crate::error::Error;
use codec::id::SubjectId;
use consent::{Actor, Role};

/// Roles that are good for one subject only: a family's controller, and a device that a person wears.
pub const BOUND: [Role; 2] = [Role::Controller, Role::Device];

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Institution, practitioner and roles, as the edge authenticated them.
    pub actor: Actor,
    /// The only subject this caller may act for. A caller with a role of [`BOUND`] must have one.
    pub subject: Option<SubjectId>,
}

impl Caller {
    /// A member of staff: any subject, within its roles.
    pub fn staff(actor: Actor) -> Self {
        Self {
            actor,
            subject: None,
        }
    }

    /// A controller (the subject or a guardian), or a device, bound to one subject.
    pub fn bound(actor: Actor, subject: SubjectId) -> Self {
        Self {
            actor,
            subject: Some(subject),
        }
    }

    /// Whether the caller has the role.
    pub fn has(&self, role: Role) -> bool {
        self.actor.roles.contains(&role)
    }

    /// Whether the caller acts for one subject alone.
    pub(crate) fn is_bound(&self) -> bool {
        self.subject.is_some() || self.has(Role::Controller) || self.has(Role::Device)
    }

    /// Refuses a caller that has none of `roles`.
    pub(crate) fn needs(&self, action: &'static str, roles: &[Role]) -> Result<(), Error> {
        if roles.iter().any(|role| self.has(*role)) {
            return Ok(());
        }
        let needs = roles.iter().map(ToString::to_string).collect::<Vec<_>>();
        Err(Error::Forbidden {
            action,
            needs: needs.join(", "),
        })
    }

    /// Refuses a caller bound to another subject, and a controller or device bound to none.
    pub(crate) fn reaches(&self, subject: &SubjectId) -> Result<(), Error> {
        match &self.subject {
            Some(own) if own == subject => Ok(()),
            Some(_) => Err(Error::OutOfScope),
            None if BOUND.iter().any(|role| self.has(*role)) => Err(Error::OutOfScope),
            None => Ok(()),
        }
    }
}
