//! The primitive data types of R4 and what their values look like.
//!
//! Source: R4, 2.24.0.1; the rules are those of the regular expressions there, and dates are real ones.
//! Every check reads its text once.

use json::{Kind, Value};

/// A primitive data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// Each with its name in the definitions.
const NAMES: [(&str, Primitive); 20] = [
    ("base64Binary", Primitive::Base64Binary),
    ("boolean", Primitive::Boolean),
    ("canonical", Primitive::Canonical),
    ("code", Primitive::Code),
    ("date", Primitive::Date),
    ("dateTime", Primitive::DateTime),
    ("decimal", Primitive::Decimal),
    ("id", Primitive::Id),
    ("instant", Primitive::Instant),
    ("integer", Primitive::Integer),
    ("markdown", Primitive::Markdown),
    ("oid", Primitive::Oid),
    ("positiveInt", Primitive::PositiveInt),
    ("string", Primitive::String),
    ("time", Primitive::Time),
    ("unsignedInt", Primitive::UnsignedInt),
    ("uri", Primitive::Uri),
    ("url", Primitive::Url),
    ("uuid", Primitive::Uuid),
    ("xhtml", Primitive::Xhtml),
];

/// How a value misses its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Another kind of JSON value; here is the one that is expected.
    Kind(&'static str),
    /// The right kind with a content that is not allowed; here is what is.
    Content(&'static str),
}

impl Primitive {
    /// The type of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(own, _)| *own == name);
        found.map(|(_, primitive)| *primitive)
    }

    /// Its name in the definitions.
    pub(crate) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, primitive)| *primitive == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether a value that is neither object, array nor null is one of this type.
    pub(crate) fn check(self, value: Value<'_, '_>) -> Result<(), Misfit> {
        let (kind, named) = match self {
            Self::Boolean => (Kind::Bool, "true or false"),
            Self::Integer | Self::PositiveInt | Self::UnsignedInt | Self::Decimal => {
                (Kind::Number, "a JSON number")
            }
            _ => (Kind::String, "a JSON string"),
        };
        if value.kind() != kind {
            return Err(Misfit::Kind(named));
        }
        match kind {
            Kind::Number => self.number(value),
            Kind::String => self.text(&value.text().unwrap_or_default()),
            _ => Ok(()),
        }
    }

    fn number(self, value: Value<'_, '_>) -> Result<(), Misfit> {
        let least = match self {
            Self::Integer => i64::from(i32::MIN),
            Self::UnsignedInt => 0,
            Self::PositiveInt => 1,
            _ => return Ok(()),
        };
        let allowed = least..=i64::from(i32::MAX);
        let fits = value.integer().is_some_and(|n| allowed.contains(&n)) && value.raw() != "-0";
        fits.then_some(()).ok_or(Misfit::Content(match self {
            Self::Integer => {
                "a whole number of at most 31 bits is expected, without point or exponent"
            }
            Self::UnsignedInt => {
                "a whole number from 0 to 2147483647 is expected, without point or exponent"
            }
            _ => "a whole number from 1 to 2147483647 is expected, without point or exponent",
        }))
    }

    fn text(self, text: &str) -> Result<(), Misfit> {
        if text.is_empty() {
            return Err(Misfit::Content(
                "a text is not empty; leave the element out",
            ));
        }
        let bytes = text.as_bytes();
        let (fits, rule) = match self {
            Self::String | Self::Markdown => (
                text.len() <= 1 << 20 && !bytes.contains(&0),
                "a string has at most 1 MiB and no NUL character",
            ),
            Self::Code => (
                is_code(text),
                "a code has no white space at its ends and single spaces within",
            ),
            Self::Id => (
                crate::table::is_id(text),
                "an id is 1 to 64 letters, digits, '-' or '.'",
            ),
            Self::Uri | Self::Url | Self::Canonical => {
                (!text.contains(is_space), "a URI holds no white space")
            }
            Self::Oid => (is_oid(text), "an OID is written urn:oid:1.2.3"),
            Self::Uuid => (
                is_uuid(text),
                "a UUID is written urn:uuid: and then in lower case",
            ),
            Self::Date => (
                date(bytes) == Some(&[]),
                "a date is a real one: YYYY, YYYY-MM or YYYY-MM-DD",
            ),
            Self::DateTime => (
                is_date_time(bytes),
                "a dateTime is a real one: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone",
            ),
            Self::Instant => (
                is_instant(bytes),
                "an instant is a real one: YYYY-MM-DDThh:mm:ss with a zone",
            ),
            Self::Time => (time(bytes) == Some(&[]), "a time is written hh:mm:ss"),
            Self::Base64Binary => (
                is_base64(bytes),
                "base64 has groups of four of its characters",
            ),
            Self::Xhtml => return crate::xhtml::check(text).map_err(Misfit::Content),
            Self::Boolean
            | Self::Decimal
            | Self::Integer
            | Self::PositiveInt
            | Self::UnsignedInt => (false, "a text cannot stand here"),
        };
        fits.then_some(()).ok_or(Misfit::Content(rule))
    }
}

/// The white space of XML Schema, whose regular expressions R4 uses.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    let mut after_space = true;
    for c in text.chars() {
        let space = is_space(c);
        if space && after_space {
            return false;
        }
        after_space = space;
    }
    !after_space
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let is_arc = |arc: &str| {
        let digits = !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
        digits && (arc == "0" || !arc.starts_with('0'))
    };
    arcs.contains('.')
        && arcs.split('.').all(is_arc)
        && matches!(arcs.as_bytes(), [b'0'..=b'2', b'.', ..])
}

fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    uuid.len() == 36 && uuid.bytes().enumerate().all(fits)
}

/// `(\s*([0-9a-zA-Z\+\/=]){4}\s*)+`
fn is_base64(bytes: &[u8]) -> bool {
    let mut count = 0_usize;
    let mut padding = 0_usize;
    for &byte in bytes {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if count.is_multiple_of(4) => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    count > 0 && count.is_multiple_of(4) && padding <= 2
}

fn is_date_time(bytes: &[u8]) -> bool {
    match date(bytes) {
        Some([]) => true,
        Some([b'T', ..]) => is_instant(bytes),
        _ => false,
    }
}

fn is_instant(bytes: &[u8]) -> bool {
    let day = bytes.get(..10).is_some_and(|day| date(day) == Some(&[]));
    let Some((b'T', rest)) = bytes.get(10..).and_then(<[u8]>::split_first) else {
        return false;
    };
    day && time(rest).is_some_and(is_zone)
}

/// What follows a real `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
fn date(bytes: &[u8]) -> Option<&[u8]> {
    let (year, rest) = number(bytes, 4)?;
    let Some(rest) = rest.strip_prefix(b"-") else {
        return (year > 0).then_some(rest);
    };
    let (month, rest) = number(rest, 2)?;
    if year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    let Some(rest) = rest.strip_prefix(b"-") else {
        return rest.is_empty().then_some(rest);
    };
    let (day, rest) = number(rest, 2)?;
    (1..=days(year, month)).contains(&day).then_some(rest)
}

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What follows `hh:mm:ss` with or without a fraction; leap seconds are allowed.
fn time(bytes: &[u8]) -> Option<&[u8]> {
    let (hours, rest) = number(bytes, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let (seconds, rest) = number(rest.strip_prefix(b":")?, 2)?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    fraction.get(digits..).filter(|_| digits > 0)
}

fn is_zone(bytes: &[u8]) -> bool {
    let [b'+' | b'-', rest @ ..] = bytes else {
        return bytes == b"Z";
    };
    let zone = number(rest, 2)
        .and_then(|(hours, rest)| Some((hours, number(rest.strip_prefix(b":")?, 2)?)));
    matches!(zone, Some((0..=13, (0..=59, []))) | Some((14, (0, []))))
}

/// The value of exactly so many digits, and what follows.
fn number(bytes: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_at_checked(digits)?;
    let read = |value: u32, byte: &u8| Some(value * 10 + char::from(*byte).to_digit(10)?);
    Some((number.iter().try_fold(0, read)?, rest))
}
