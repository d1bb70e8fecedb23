//! Identifiers: those of the sources (checked, printable) and the dense positions of one index.
//!
//! A dense index ([`TermIx`] and its siblings) means something only within the [`crate::Ontology`]
//! that gave it out; what is stored or sent is always the identifier.

use std::{fmt, str::FromStr};

/// A text that is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct NotAnId {
    expected: &'static str,
}

macro_rules! dense {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Position from 0, for arrays as long as the matching count.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

dense! {
    /// A live term, in ascending order of its HPO id.
    TermIx;
    /// A disease of the HPO annotations, in ascending order of database (OMIM, DECIPHER, ORPHA)
    /// and number.
    DiseaseIx;
    /// A gene, in ascending order of its symbol.
    GeneIx;
    /// A disorder, group or subtype of Orphanet, in ascending order of its ORPHA code.
    OrphanetIx;
    /// A cited source (`PMID:31675180`, `OMIM:619340`), in order of first appearance.
    ReferenceIx;
}

/// An HPO identifier: `HP:` and seven digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HpoId(pub(crate) u32);

/// A Mondo identifier: `MONDO:` and seven digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MondoId(pub(crate) u32);

/// An ORPHA code: `ORPHA:` and a number without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrphaCode(pub(crate) u32);

/// Who numbers a disease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Database {
    /// Online Mendelian Inheritance in Man.
    Omim,
    /// DECIPHER syndromes.
    Decipher,
    /// Orphanet.
    Orpha,
}

/// `OMIM:619340`, `DECIPHER:1`, `ORPHA:10`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiseaseId {
    pub(crate) database: Database,
    pub(crate) number: u32,
}

/// A LOINC code with its check digit: `2345-7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoincCode(pub(crate) u32);

impl HpoId {
    /// The digits as a number: 1250 for `HP:0001250`.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Database {
    /// The prefix of its identifiers, without the colon.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Omim => "OMIM",
            Self::Decipher => "DECIPHER",
            Self::Orpha => "ORPHA",
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Omim, Self::Decipher, Self::Orpha];
}

impl DiseaseId {
    /// Who numbers it.
    pub const fn database(self) -> Database {
        self.database
    }

    /// The number in that database.
    pub const fn number(self) -> u32 {
        self.number
    }
}

impl From<OrphaCode> for DiseaseId {
    fn from(code: OrphaCode) -> Self {
        Self {
            database: Database::Orpha,
            number: code.0,
        }
    }
}

/// Seven digits.
fn seven(text: &str) -> Option<u32> {
    (text.len() == 7 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// A positive number as it is written canonically: at most nine digits, no leading zero.
pub(crate) fn plain(text: &str) -> Option<u32> {
    let fits = (1..=9).contains(&text.len()) && !text.starts_with('0');
    (fits && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

impl FromStr for HpoId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = text.strip_prefix("HP:").and_then(seven);
        number.map(Self).ok_or(NotAnId {
            expected: "an HPO id (HP: and seven digits)",
        })
    }
}

impl FromStr for MondoId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = text.strip_prefix("MONDO:").and_then(seven);
        number.map(Self).ok_or(NotAnId {
            expected: "a Mondo id (MONDO: and seven digits)",
        })
    }
}

impl FromStr for OrphaCode {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = text.strip_prefix("ORPHA:").and_then(plain);
        number.map(Self).ok_or(NotAnId {
            expected: "an ORPHA code (ORPHA: and a number)",
        })
    }
}

impl FromStr for DiseaseId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parsed = text.split_once(':').and_then(|(prefix, number)| {
            let database = *Database::ALL.iter().find(|d| d.prefix() == prefix)?;
            let number = plain(number)?;
            Some(Self { database, number })
        });
        parsed.ok_or(NotAnId {
            expected: "a disease id (OMIM:, DECIPHER: or ORPHA: and a number)",
        })
    }
}

impl FromStr for LoincCode {
    type Err = NotAnId;
    /// Checks the check digit, too (LOINC Users' Guide, appendix "Calculating Mod 10 check digits").
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parsed = text.split_once('-').and_then(|(number, check)| {
            let fits = number.len() <= 7;
            let number = plain(number).filter(|_| fits)?;
            (check == mod10(number).to_string()).then_some(Self(number))
        });
        parsed.ok_or(NotAnId {
            expected: "a LOINC code (a number, a hyphen and its check digit)",
        })
    }
}

/// Every other digit from the right is doubled; the check digit completes the digit sum to a
/// multiple of ten.
fn mod10(number: u32) -> u32 {
    let mut rest = number;
    let mut sum = 0;
    let mut double = true;
    while rest > 0 {
        let digit = rest % 10 * if double { 2 } else { 1 };
        sum += digit / 10 + digit % 10;
        rest /= 10;
        double = !double;
    }
    (10 - sum % 10) % 10
}

impl fmt::Display for HpoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HP:{:07}", self.0)
    }
}

impl fmt::Display for MondoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MONDO:{:07}", self.0)
    }
}

impl fmt::Display for OrphaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ORPHA:{}", self.0)
    }
}

impl fmt::Display for DiseaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.database.prefix(), self.number)
    }
}

impl fmt::Display for LoincCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, mod10(self.0))
    }
}

macro_rules! debug_as_display {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_display! { HpoId MondoId OrphaCode DiseaseId LoincCode }

/// Written as text, read as strictly as from text.
macro_rules! serde_as_text {
    ($($name:ident)*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text! { HpoId DiseaseId }
