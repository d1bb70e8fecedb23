//! Terms that a query may name: a vocabulary and a number, never free text.

use codec::codes;
use std::{fmt, str::FromStr};

codes! {
    /// Where a term comes from.
    pub enum Vocabulary {
        /// Human Phenotype Ontology.
        1 => Hp = "HP",
        /// Online Mendelian Inheritance in Man.
        2 => Omim = "OMIM",
        /// Orphanet.
        3 => Orpha = "ORPHA",
        /// Monarch disease ontology.
        4 => Mondo = "MONDO",
    }
}

impl Vocabulary {
    /// Whether its terms are diseases.
    pub const fn is_disease(self) -> bool {
        !matches!(self, Self::Hp)
    }

    /// Digits that its identifiers are written with, zeros in front.
    const fn digits(self) -> usize {
        match self {
            Self::Hp | Self::Mondo => 7,
            Self::Omim => 6,
            Self::Orpha => 1,
        }
    }

    fn of_prefix(prefix: &str) -> Option<Self> {
        [
            ("HP", Self::Hp),
            ("OMIM", Self::Omim),
            ("MIM", Self::Omim),
            ("ORPHA", Self::Orpha),
            ("ORPHANET", Self::Orpha),
            ("ORDO", Self::Orpha),
            ("MONDO", Self::Mondo),
        ]
        .into_iter()
        .find_map(|(name, vocabulary)| name.eq_ignore_ascii_case(prefix).then_some(vocabulary))
    }
}

/// The most digits of a number in an identifier.
const MAX_DIGITS: usize = 7;

/// A term by its identifier: `HP:0001250`, `OMIM:154700`, `ORPHA:558`, `MONDO:0007947`.
///
/// Encoded as `[vocabulary, number]`. Its text has one form; other spellings of the prefix
/// (`Orphanet:558`, `MIM:154700`) are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId {
    vocabulary: Vocabulary,
    number: u32,
}

impl TermId {
    /// The term with this number; `None` if the number has more than seven digits.
    pub const fn new(vocabulary: Vocabulary, number: u32) -> Option<Self> {
        if number > 9_999_999 {
            return None;
        }
        Some(Self { vocabulary, number })
    }

    /// Where it comes from.
    pub const fn vocabulary(self) -> Vocabulary {
        self.vocabulary
    }

    /// Its number there.
    pub const fn number(self) -> u32 {
        self.number
    }
}

impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.vocabulary.digits();
        write!(f, "{}:{:0width$}", self.vocabulary, self.number)
    }
}

impl fmt::Debug for TermId {
    /// A term of a query is no patient data: somebody asked for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TermId {
    type Err = NotATerm;

    fn from_str(text: &str) -> Result<Self, NotATerm> {
        let (prefix, digits) = text.split_once(':').ok_or(NotATerm)?;
        let vocabulary = Vocabulary::of_prefix(prefix).ok_or(NotATerm)?;
        let length = vocabulary.digits();
        let fits = match vocabulary {
            Vocabulary::Orpha => (1..=MAX_DIGITS).contains(&digits.len()),
            _ => digits.len() == length,
        };
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotATerm);
        }
        let number = digits.parse().map_err(|_| NotATerm)?;
        Self::new(vocabulary, number).ok_or(NotATerm)
    }
}

/// Text that is no identifier of a vocabulary we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no identifier like HP:0001250, OMIM:154700, ORPHA:558 or MONDO:0007947")]
pub struct NotATerm;

impl codec::Encode for TermId {
    fn encode(&self, w: &mut codec::Writer) {
        (self.vocabulary, self.number).encode(w);
    }
}

impl codec::Decode for TermId {
    fn decode(r: &mut codec::Reader<'_>) -> Result<Self, codec::Error> {
        let at = r.position();
        let (vocabulary, number) = <(Vocabulary, u32)>::decode(r)?;
        Self::new(vocabulary, number).ok_or(codec::Error::Range { at })
    }
}

/// What is known about terms: the port to an ontology.
pub trait Terms {
    /// The identifier by which the term goes today (merged terms have several); `None` if it is
    /// not known, or nobody can have it.
    fn resolve(&self, term: TermId) -> Option<TermId>;

    /// Whether `term` is `ancestor` or stands below it. Reflexive and transitive.
    fn within(&self, term: TermId, ancestor: TermId) -> bool;
}

codes! {
    /// Which terms answer to a term of a query.
    pub enum Reach {
        /// The term and everything below it.
        1 => Below = "below",
        /// The term alone.
        2 => Exact = "exact",
    }
}
