//! Short texts that people or systems wrote: bounded, free of control and direction-changing
//! characters (a name must not rearrange the sentence of a consent screen).
//!
//! `Debug` redacts every text that may name a person or hint at a health matter.

use codec::{Decode, Encode, Error, Reader, Writer};
use std::fmt;
use std::str::FromStr;

/// Why a text was refused. Never carries the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but white space.
    #[error("a {what} must not be empty")]
    Empty {
        /// The kind of text.
        what: &'static str,
    },
    /// Too many bytes.
    #[error("a {what} has at most {max} bytes; this has {len}")]
    TooLong {
        /// The kind of text.
        what: &'static str,
        /// The bound in bytes.
        max: usize,
        /// The length in bytes.
        len: usize,
    },
    /// A character outside the alphabet, or white space at an end.
    #[error("a {what} holds a character that is not allowed there")]
    Forbidden {
        /// The kind of text.
        what: &'static str,
    },
}

macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $what:literal, max $max:literal, $allowed:path $(, form $form:path)?, debug $debug:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest text in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Checks and keeps a text.
            ///
            /// # Errors
            /// Empty, too long, or with a character that is not allowed.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                check(&text, $what, $max, $allowed)?;
                $(if !$form(&text) {
                    return Err(InvalidText::Forbidden { what: $what });
                })?
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let debug: fn(&str) -> &str = $debug;
                f.write_str(debug(&self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.text(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                Self::new(r.text()?).map_err(|_| Error::Invalid(concat!("not a ", $what)))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text! {
    /// A practitioner or account as the institution names it.
    PractitionerId, "practitioner id", max 128, in_line, debug |_| "<practitioner>"
}
text! {
    /// A name that a controller is shown under.
    Label, "label", max 128, in_line, debug |_| "<label>"
}
text! {
    /// A kind of record, such as a FHIR resource type: letters, digits, `.`, `_`, `/`, `-`.
    RecordKind, "record kind", max 64, in_kind, debug |_| "<kind>"
}
text! {
    /// The name of a rule of a policy: lowercase letters, digits, `-`.
    RuleName, "rule name", max 64, in_rule, debug |text| text
}
text! {
    /// Why someone did what must be explained. May hold line breaks.
    Reason, "reason", max 1000, in_prose, debug |_| "<reason>"
}
text! {
    /// A topic of research in somebody's own words. Only a person can judge it.
    Topic, "topic", max 300, in_line, debug |_| "<topic>"
}
text! {
    /// A term of an ontology by its compact id, `MONDO:0009861`: a prefix, a colon, a local id. What it
    /// means is not known here.
    Curie, "term id", max 64, in_curie, form has_one_colon, debug |_| "<term>"
}
text! {
    /// A country by its two letters of ISO 3166-1, `DE`.
    Country, "country", max 2, in_country, form is_pair, debug |text| text
}

impl RuleName {
    /// A name in this crate's own source.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(text.chars().all(in_rule) && text.len() <= Self::MAX_BYTES);
        Self(text.to_owned())
    }
}

fn check(
    text: &str,
    what: &'static str,
    max: usize,
    allowed: fn(char) -> bool,
) -> Result<(), InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Empty { what });
    }
    if text.len() > max {
        let len = text.len();
        return Err(InvalidText::TooLong { what, max, len });
    }
    if text.trim() != text || !text.chars().all(allowed) {
        return Err(InvalidText::Forbidden { what });
    }
    Ok(())
}

fn in_line(c: char) -> bool {
    // Invisible and direction-changing characters: two texts that look alike must be alike, and
    // none may reorder what stands around it.
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn in_prose(c: char) -> bool {
    c == '\n' || in_line(c)
}

fn in_kind(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-')
}

fn in_rule(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn in_curie(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-')
}

fn has_one_colon(text: &str) -> bool {
    text.split_once(':').is_some_and(|(prefix, local)| {
        !prefix.is_empty() && !local.is_empty() && !local.contains(':')
    })
}

const fn in_country(c: char) -> bool {
    c.is_ascii_uppercase()
}

const fn is_pair(text: &str) -> bool {
    text.len() == 2
}
