//! The scopes of a request or a token.

use crate::{
    clinical::{Clinical, Context, Filter, Interaction},
    reach::Reach,
};
use std::{fmt, str::FromStr};

/// The longest text, in bytes.
pub const MAX_BYTES: usize = 8 << 10;
/// The most scopes in a text.
pub const MAX_SCOPES: usize = 256;
/// The most query parameters of one scope.
pub const MAX_FILTERS: usize = 16;

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// About resources.
    Clinical(Clinical),
    /// About something else: its name.
    Named(String),
}

/// Some scopes, in the order in which they were written, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(Vec<Scope>);

/// Why a text is no list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scope {} cannot be read: {fault}", .at + 1)]
pub struct BadScope {
    /// Which one, from zero.
    pub at: usize,
    /// Why.
    pub fault: Fault,
}

/// What is wrong with a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// See [`MAX_BYTES`] and [`MAX_SCOPES`].
    #[error("there are too many; {MAX_SCOPES} in {MAX_BYTES} bytes are read")]
    TooMany,
    /// RFC 6749 section 3.3.
    #[error("it holds a character that no scope may hold")]
    Character,
    /// No dot.
    #[error("after the resource type comes a dot and what may be done, like Observation.rs")]
    NoInteraction,
    /// Not a type.
    #[error("it names no resource type; a type is written like Observation, all types *")]
    Type,
    /// Not `cruds`.
    #[error(
        "what may be done is a part of `cruds` in that order, or read, write or * of version 1"
    )]
    Interactions,
    /// Not a query.
    #[error(
        "its query must be of the form name=value&name=value, with {MAX_FILTERS} parameters at most, and of version 2"
    )]
    Query,
}

/// The scope for the node's own interface, which no FHIR scope covers.
const OWN: &str = "ithaca";

impl Scopes {
    /// Reads a space-separated list. An empty text gives none.
    ///
    /// # Errors
    /// The first scope that is malformed.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let mut all = Vec::new();
        if text.len() > MAX_BYTES {
            let fault = Fault::TooMany;
            return Err(BadScope { at: 0, fault });
        }
        for (at, one) in text.split(' ').filter(|s| !s.is_empty()).enumerate() {
            if at >= MAX_SCOPES {
                let fault = Fault::TooMany;
                return Err(BadScope { at, fault });
            }
            let scope = Scope::parse(one).map_err(|fault| BadScope { at, fault })?;
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        Ok(Self(all))
    }

    /// Every right: what a person's own token of the command line carries.
    pub fn everything() -> Self {
        Self(vec![
            Scope::Clinical(Clinical::all(Context::User)),
            Scope::Clinical(Clinical::all(Context::System)),
            Scope::Named(OWN.to_owned()),
        ])
    }

    /// These scopes, each once.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut all = Vec::new();
        for scope in scopes {
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        Self(all)
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a scope that is not about resources is among them: `openid`, `launch/patient`.
    pub fn names(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|s| matches!(s, Scope::Named(own) if own == name))
    }

    /// Whether the node's own interface may be used.
    pub fn permits_own_interface(&self) -> bool {
        self.names(OWN)
    }

    /// Whether any of them is about resources of a context.
    pub fn has_context(&self, context: Context) -> bool {
        self.clinical().any(|c| c.context == context)
    }

    /// How far they reach for this interaction with resources of this type; none: not at all.
    pub fn permits(&self, interaction: Interaction, resource_type: &str) -> Option<Reach> {
        let mut of_patient: Option<Vec<Vec<Filter>>> = None;
        let mut of_all: Option<Vec<Vec<Filter>>> = None;
        for scope in self
            .clinical()
            .filter(|c| c.is_for(interaction, resource_type))
        {
            let reached = match scope.context {
                Context::Patient => &mut of_patient,
                Context::User | Context::System => &mut of_all,
            };
            let filter: Vec<Filter> = scope.filters.iter().cloned().collect();
            match reached {
                // Everything already.
                Some(filters) if filters.is_empty() => {}
                _ if filter.is_empty() => *reached = Some(Vec::new()),
                Some(filters) if filters.contains(&filter) => {}
                Some(filters) => filters.push(filter),
                None => *reached = Some(vec![filter]),
            }
        }
        match (of_all, of_patient) {
            (None, None) => None,
            (None, Some(filters)) => Some(Reach {
                patient_only: true,
                filters,
                also_of_patient: None,
            }),
            (Some(filters), of_patient) => Some(Reach {
                patient_only: false,
                also_of_patient: of_patient.filter(|_| !filters.is_empty()),
                filters,
            }),
        }
    }

    /// What of these `allowed` permits too: each cut down to it, or left out.
    pub fn within(&self, allowed: &Self) -> Self {
        let mut all: Vec<Scope> = Vec::new();
        for scope in &self.0 {
            match scope {
                Scope::Named(_) => {
                    if allowed.0.contains(scope) && !all.contains(scope) {
                        all.push(scope.clone());
                    }
                }
                Scope::Clinical(asked) => {
                    for cut in allowed.clinical().filter_map(|a| asked.and(a)) {
                        keep_widest(&mut all, cut);
                    }
                }
            }
        }
        all.truncate(MAX_SCOPES);
        Self(all)
    }

    /// Whether each of these is covered by one of `allowed`.
    pub fn are_within(&self, allowed: &Self) -> bool {
        self.0.iter().all(|scope| match scope {
            Scope::Named(_) => allowed.0.contains(scope),
            Scope::Clinical(own) => allowed.clinical().any(|a| own.is_part_of(a)),
        })
    }

    fn clinical(&self) -> impl Iterator<Item = &Clinical> {
        self.0.iter().filter_map(|s| match s {
            Scope::Clinical(clinical) => Some(clinical),
            Scope::Named(_) => None,
        })
    }
}

/// Adds a scope unless one there covers it.
fn keep_widest(all: &mut Vec<Scope>, new: Clinical) {
    let covered = |a: &Clinical, b: &Clinical| a.is_part_of(b);
    if all
        .iter()
        .any(|s| matches!(s, Scope::Clinical(there) if covered(&new, there)))
    {
        return;
    }
    all.retain(|s| !matches!(s, Scope::Clinical(there) if covered(there, &new)));
    all.push(Scope::Clinical(new));
}

impl Scope {
    fn parse(text: &str) -> Result<Self, Fault> {
        let ok = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !text.bytes().all(ok) {
            return Err(Fault::Character);
        }
        for context in [Context::Patient, Context::User, Context::System] {
            let rest = text
                .strip_prefix(context.as_str())
                .and_then(|rest| rest.strip_prefix('/'));
            if let Some(rest) = rest {
                return Clinical::parse(context, rest).map(Self::Clinical);
            }
        }
        Ok(Self::Named(text.to_owned()))
    }
}

impl FromStr for Scopes {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        Self::parse(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clinical(clinical) => clinical.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}
