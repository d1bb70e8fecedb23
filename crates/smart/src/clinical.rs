//! One clinical scope: `context/Type.cruds?query`.

use crate::scopes::{Fault, MAX_FILTERS};
use std::{collections::BTreeSet, fmt};

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interaction {
    /// `c`: type-level create.
    Create,
    /// `r`: read, vread, the history of one resource.
    Read,
    /// `u`: update and patch.
    Update,
    /// `d`: delete.
    Delete,
    /// `s`: type-level search and history, system-level search and history.
    Search,
}

impl Interaction {
    /// All of them, in the order of their letters.
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Delete,
        Self::Search,
    ];

    /// Its letter.
    pub const fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Read => 2,
            Self::Update => 4,
            Self::Delete => 8,
            Self::Search => 16,
        }
    }
}

/// A set of interactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interactions(u8);

impl Interactions {
    /// Every one.
    pub const ALL: Self = Self(31);
    /// Version 1's `read`.
    pub const V1_READ: Self = Self(Interaction::Read.bit() | Interaction::Search.bit());
    /// Version 1's `write`.
    pub const V1_WRITE: Self =
        Self(Interaction::Create.bit() | Interaction::Update.bit() | Interaction::Delete.bit());

    /// Whether it is one of them.
    pub const fn has(self, interaction: Interaction) -> bool {
        self.0 & interaction.bit() != 0
    }

    /// Those in both; none when there are none.
    pub const fn and(self, other: Self) -> Option<Self> {
        match self.0 & other.0 {
            0 => None,
            both => Some(Self(both)),
        }
    }

    /// Whether all of these are in `other`.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Letters in the order `cruds`, each once, at least one.
    fn parse(text: &str) -> Option<Self> {
        let mut all = Interaction::ALL.iter();
        let mut bits = 0;
        for letter in text.chars() {
            bits |= all.find(|i| i.letter() == letter)?.bit();
        }
        (bits != 0).then_some(Self(bits))
    }
}

impl fmt::Display for Interactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Interaction::ALL
            .iter()
            .filter(|i| self.has(**i))
            .try_for_each(|i| write!(f, "{}", i.letter()))
    }
}

/// Whose resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Those in the compartment of the launch's patient.
    Patient,
    /// Those that the user may use.
    User,
    /// Those that the software may use by itself.
    System,
}

impl Context {
    /// Before the slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
        }
    }

    /// The narrower one, where one is part of the other: the patient's are part of either.
    pub(crate) const fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Patient, _) | (_, Self::Patient) => Some(Self::Patient),
            (Self::User, Self::User) => Some(Self::User),
            (Self::System, Self::System) => Some(Self::System),
            _ => None,
        }
    }
}

/// A query parameter that a resource must match: name (with its modifier) and value.
pub type Filter = (String, String);

/// A scope about resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clinical {
    /// Whose.
    pub context: Context,
    /// The resource type; none for `*`.
    pub resource_type: Option<String>,
    /// What may be done.
    pub may: Interactions,
    /// All of these must match; a version 2 scope only.
    pub filters: BTreeSet<Filter>,
    /// Whether it is written as in version 1.
    pub(crate) v1: bool,
}

impl Clinical {
    /// Everything of every type in a context.
    pub(crate) const fn all(context: Context) -> Self {
        Self {
            context,
            resource_type: None,
            may: Interactions::ALL,
            filters: BTreeSet::new(),
            v1: false,
        }
    }

    /// What comes after `context/`.
    pub(crate) fn parse(context: Context, rest: &str) -> Result<Self, Fault> {
        let (scope, query) = match rest.split_once('?') {
            Some((scope, query)) => (scope, Some(query)),
            None => (rest, None),
        };
        let (kind, may) = scope.split_once('.').ok_or(Fault::NoInteraction)?;
        let resource_type = match kind {
            "*" => None,
            kind if is_type(kind) => Some(kind.to_owned()),
            _ => return Err(Fault::Type),
        };
        let (may, v1) = match may {
            "read" => (Interactions::V1_READ, true),
            "write" => (Interactions::V1_WRITE, true),
            "*" => (Interactions::ALL, true),
            letters => (
                Interactions::parse(letters).ok_or(Fault::Interactions)?,
                false,
            ),
        };
        let filters = match query {
            None => BTreeSet::new(),
            Some(_) if v1 => return Err(Fault::Query),
            Some(query) => filters(query)?,
        };
        Ok(Self {
            context,
            resource_type,
            may,
            filters,
            v1,
        })
    }

    /// Whether it is about resources of this type, and for this.
    pub(crate) fn is_for(&self, interaction: Interaction, resource_type: &str) -> bool {
        self.may.has(interaction)
            && self
                .resource_type
                .as_deref()
                .is_none_or(|own| own == resource_type)
    }

    /// What both permit, if there is anything.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let resource_type = match (&self.resource_type, &other.resource_type) {
            (None, one) | (one, None) => one.clone(),
            (Some(a), Some(b)) if a == b => Some(a.clone()),
            _ => return None,
        };
        let filters: BTreeSet<_> = self.filters.union(&other.filters).cloned().collect();
        if filters.len() > MAX_FILTERS {
            return None;
        }
        Some(Self {
            context: self.context.and(other.context)?,
            resource_type,
            may: self.may.and(other.may)?,
            v1: self.v1 && filters.is_empty(),
            filters,
        })
    }

    /// Whether all that it permits is permitted by `other`, as far as can be said without resources.
    pub(crate) fn is_part_of(&self, other: &Self) -> bool {
        self.context.and(other.context) == Some(self.context)
            && (other.resource_type.is_none() || other.resource_type == self.resource_type)
            && self.may.within(other.may)
            && other.filters.is_subset(&self.filters)
    }
}

fn is_type(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn filters(query: &str) -> Result<BTreeSet<Filter>, Fault> {
    let mut all = BTreeSet::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or(Fault::Query)?;
        let (name, value) = (decode(name)?, decode(value)?);
        if name.is_empty() || value.is_empty() {
            return Err(Fault::Query);
        }
        all.insert((name, value));
        if all.len() > MAX_FILTERS {
            return Err(Fault::Query);
        }
    }
    Ok(all)
}

/// Percent-decoding; `+` is a space, as in a form.
fn decode(text: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let both = high.zip(low).ok_or(Fault::Query)?;
                u8::try_from(both.0 << 4 | both.1).map_err(|_| Fault::Query)?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| Fault::Query)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::Query);
    }
    Ok(text)
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            // What a query and a scope may both hold as it is.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(f, "{}", char::from(byte))?;
            }
            b':' | b'/' | b'|' | b',' | b'$' | b'@' | b'!' | b'*' | b'(' | b')' => {
                write!(f, "{}", char::from(byte))?;
            }
            byte => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Clinical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.resource_type.as_deref().unwrap_or("*");
        write!(f, "{}/{kind}.", self.context.as_str())?;
        match self.may {
            Interactions::V1_READ if self.v1 => f.write_str("read")?,
            Interactions::V1_WRITE if self.v1 => f.write_str("write")?,
            Interactions::ALL if self.v1 => f.write_str("*")?,
            may => write!(f, "{may}")?,
        }
        for (at, (name, value)) in self.filters.iter().enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            encode(f, name)?;
            f.write_str("=")?;
            encode(f, value)?;
        }
        Ok(())
    }
}
