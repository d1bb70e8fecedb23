//! What values are read out of the elements that parameters name.

use crate::search::date::Span;
use crate::search::decimal::Decimal;
use crate::search::reference::Target;
use crate::search::table::{Kind, Pattern, Shape};
use json::Value;
use std::borrow::Cow;
use std::fmt;

/// One value of a resource, as searches compare it.
#[derive(Clone)]
pub enum IndexValue<'a> {
    /// A code, identifier or flag.
    Token(Token<'a>),
    /// A text as it is written.
    Text(Cow<'a, str>),
    /// A date or period.
    Date(Span),
    /// A number or range.
    Number(Interval),
    /// A number or range with a unit.
    Quantity(Quantity<'a>),
    /// A link to a resource.
    Reference(Reference<'a>),
    /// A URI.
    Uri(Cow<'a, str>),
    /// The values of each part of one element.
    Composite(Vec<Vec<IndexValue<'a>>>),
}

impl fmt::Debug for IndexValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Token(_) => "Token",
            Self::Text(_) => "Text",
            Self::Date(_) => "Date",
            Self::Number(_) => "Number",
            Self::Quantity(_) => "Quantity",
            Self::Reference(_) => "Reference",
            Self::Uri(_) => "Uri",
            Self::Composite(_) => "Composite",
        };
        write!(f, "{name}(<redacted>)")
    }
}

/// A code in a system.
#[derive(Clone, Default)]
pub struct Token<'a> {
    /// The system, when it is named or bound.
    pub system: Option<Cow<'a, str>>,
    /// The code, when there is one; a concept that is only text has none.
    pub code: Option<Cow<'a, str>>,
    /// What people read: a display or text.
    pub text: Option<Cow<'a, str>>,
    /// System and code of what kind of identifier it is.
    pub types: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether upper and lower case differ, as in identifiers.
    pub exact: bool,
    /// Whether the system is not in the resource but follows from the element.
    pub bound: bool,
}

/// A range of numbers; without an end where it is open.
#[derive(Clone, Copy)]
pub struct Interval {
    pub(super) low: Option<Decimal>,
    pub(super) high: Option<Decimal>,
    /// Whether the ends themselves are left out, as in `<5`.
    pub(super) low_open: bool,
    pub(super) high_open: bool,
}

impl Interval {
    fn point(at: Decimal) -> Self {
        Self {
            low: Some(at),
            high: Some(at),
            low_open: false,
            high_open: false,
        }
    }
}

/// A measured value.
#[derive(Clone)]
pub struct Quantity<'a> {
    /// The number or range.
    pub number: Interval,
    /// The system of the unit.
    pub system: Option<Cow<'a, str>>,
    /// The code of the unit.
    pub code: Option<Cow<'a, str>>,
    /// The unit as people read it.
    pub unit: Option<Cow<'a, str>>,
}

/// A link to a resource.
#[derive(Clone)]
pub struct Reference<'a> {
    /// What it names, unless it is a contained resource or an identifier only.
    pub target: Option<Target<'a>>,
    /// The type that the reference states beside its target.
    pub stated_type: Option<Cow<'a, str>>,
    /// The version of a canonical.
    pub version: Option<Cow<'a, str>>,
    /// System and value of its identifier.
    pub identifier: Option<(Option<Cow<'a, str>>, Cow<'a, str>)>,
}

impl Reference<'_> {
    /// The type of the target, by its text or as stated.
    pub fn resource_type(&self) -> Option<&str> {
        let by_text = self.target.as_ref().and_then(Target::resource_type);
        by_text.or(self.stated_type.as_deref())
    }

    /// Whether it may name a resource of a type: it does, or it does not say.
    pub fn may_name(&self, resource_type: &str) -> bool {
        self.resource_type().is_none_or(|of| of == resource_type)
    }
}

type Found<'f, 'a> = dyn FnMut(IndexValue<'a>) + 'f;

/// Reads the values of an element.
pub(super) fn read<'a>(
    kind: Kind,
    pattern: &Pattern,
    value: Value<'_, 'a>,
    found: &mut Found<'_, 'a>,
) {
    match kind {
        Kind::Token => tokens(pattern, value, found),
        Kind::String => texts(pattern.shape, value, found),
        Kind::Date => {
            if let Some(span) = span(pattern.shape, value) {
                found(IndexValue::Date(span));
            }
        }
        Kind::Number => {
            if let Some(number) = interval(pattern.shape, value) {
                found(IndexValue::Number(number));
            }
        }
        Kind::Quantity => {
            if let Some(number) = interval(pattern.shape, value) {
                found(IndexValue::Quantity(quantity(pattern.shape, number, value)));
            }
        }
        Kind::Reference => {
            if let Some(reference) = reference(pattern.shape, value)
                && pattern.target.is_none_or(|of| reference.may_name(of))
            {
                found(IndexValue::Reference(reference));
            }
        }
        Kind::Uri => {
            if let Some(text) = value.text() {
                found(IndexValue::Uri(text));
            }
        }
        Kind::Composite => {}
    }
}

fn text<'a>(of: Value<'_, 'a>, name: &str) -> Option<Cow<'a, str>> {
    of.get(name)?.text()
}

fn items<'d, 'a>(of: Value<'d, 'a>, name: &str) -> impl Iterator<Item = Value<'d, 'a>> {
    of.get(name).into_iter().flat_map(Value::children)
}

fn tokens<'a>(pattern: &Pattern, value: Value<'_, 'a>, found: &mut Found<'_, 'a>) {
    match pattern.shape {
        Shape::Concept => {
            for coding in items(value, "coding") {
                found(IndexValue::Token(coded(coding)));
            }
            if let Some(text) = text(value, "text") {
                found(IndexValue::Token(Token {
                    text: Some(text),
                    ..Token::default()
                }));
            }
        }
        Shape::Coding => found(IndexValue::Token(coded(value))),
        Shape::Identifier => {
            let of = value.get("type");
            let codings = of.into_iter().flat_map(|of| items(of, "coding"));
            let typed = codings.filter_map(|coding| {
                let system = text(coding, "system").unwrap_or_default();
                Some((system, text(coding, "code")?))
            });
            found(IndexValue::Token(Token {
                system: text(value, "system"),
                code: text(value, "value"),
                text: of.and_then(|of| text(of, "text")),
                types: typed.collect(),
                exact: true,
                bound: false,
            }));
        }
        Shape::Contact => found(IndexValue::Token(Token {
            code: text(value, "value"),
            ..Token::default()
        })),
        Shape::Exists => found(IndexValue::Token(Token {
            code: Some(Cow::Borrowed("true")),
            ..Token::default()
        })),
        shape => {
            let code = match value.boolean() {
                Some(flag) => Some(Cow::Borrowed(if flag { "true" } else { "false" })),
                None => value.text(),
            };
            if code.is_some() {
                found(IndexValue::Token(Token {
                    system: pattern.system.map(Cow::Borrowed),
                    code,
                    exact: shape != Shape::Code,
                    bound: true,
                    ..Token::default()
                }));
            }
        }
    }
}

fn coded<'a>(coding: Value<'_, 'a>) -> Token<'a> {
    let mut token = Token::default();
    for member in coding.children() {
        if member.is_named("system") {
            token.system = member.text();
        } else if member.is_named("code") {
            token.code = member.text();
        } else if member.is_named("display") {
            token.text = member.text();
        }
    }
    token
}

/// The texts of names and addresses, each part on its own.
fn texts<'a>(shape: Shape, value: Value<'_, 'a>, found: &mut Found<'_, 'a>) {
    let parts: &[&str] = match shape {
        Shape::HumanName => &["family", "given", "prefix", "suffix", "text"],
        Shape::Address => &[
            "line",
            "city",
            "district",
            "state",
            "postalCode",
            "country",
            "text",
        ],
        Shape::Concept => {
            for coding in items(value, "coding") {
                if let Some(display) = text(coding, "display") {
                    found(IndexValue::Text(display));
                }
            }
            &["text"]
        }
        _ => {
            if let Some(text) = value.text() {
                found(IndexValue::Text(text));
            }
            return;
        }
    };
    for part in parts.iter().filter_map(|name| value.get(name)) {
        let one = part.text().into_iter();
        for text in one.chain(part.children().filter_map(Value::text)) {
            found(IndexValue::Text(text));
        }
    }
}

fn span(shape: Shape, value: Value<'_, '_>) -> Option<Span> {
    match shape {
        Shape::Period => period(value),
        Shape::Timing => {
            let events = items(value, "event").filter_map(Value::text);
            let events = events.filter_map(|text| Span::read(&text));
            let bounds = value.get("repeat").and_then(|r| r.get("boundsPeriod"));
            let all = events.chain(bounds.and_then(period));
            all.reduce(Span::joined)
        }
        _ => Span::read(&value.text()?),
    }
}

fn period(value: Value<'_, '_>) -> Option<Span> {
    let end = |name| match value.get(name) {
        Some(end) => Span::read(&end.text()?),
        None => Some(Span::ALWAYS),
    };
    let (start, end) = (end("start")?, end("end")?);
    let named = start != Span::ALWAYS || end != Span::ALWAYS;
    named.then_some(Span {
        from_ms: start.from_ms,
        until_ms: end.until_ms,
    })
}

fn interval(shape: Shape, value: Value<'_, '_>) -> Option<Interval> {
    let decimal = |of: Value<'_, '_>| Decimal::read(of.digits()?);
    match shape {
        Shape::Number => decimal(value).map(Interval::point),
        Shape::Range => {
            let end = |name| {
                value
                    .get(name)
                    .and_then(|q| q.get("value"))
                    .and_then(decimal)
            };
            let (low, high) = (end("low"), end("high"));
            (low.is_some() || high.is_some()).then_some(Interval {
                low,
                high,
                low_open: false,
                high_open: false,
            })
        }
        _ => {
            let at = Interval::point(value.get("value").and_then(decimal)?);
            Some(match text(value, "comparator").as_deref() {
                Some("<") => Interval {
                    low: None,
                    high_open: true,
                    ..at
                },
                Some("<=") => Interval { low: None, ..at },
                Some(">") => Interval {
                    high: None,
                    low_open: true,
                    ..at
                },
                Some(">=") => Interval { high: None, ..at },
                _ => at,
            })
        }
    }
}

fn quantity<'a>(shape: Shape, number: Interval, value: Value<'_, 'a>) -> Quantity<'a> {
    if shape == Shape::Money {
        return Quantity {
            number,
            system: Some(Cow::Borrowed("urn:iso:std:iso:4217")),
            code: text(value, "currency"),
            unit: None,
        };
    }
    let of = match shape {
        Shape::Range => value.get("low").or(value.get("high")).unwrap_or(value),
        _ => value,
    };
    Quantity {
        number,
        system: text(of, "system"),
        code: text(of, "code"),
        unit: text(of, "unit"),
    }
}

fn reference<'a>(shape: Shape, value: Value<'_, 'a>) -> Option<Reference<'a>> {
    if shape == Shape::Uri {
        let (url, version) = match value.text()? {
            Cow::Borrowed(text) => {
                let (url, version) = text
                    .split_once('|')
                    .map_or((text, None), |(u, v)| (u, Some(v)));
                (Cow::Borrowed(url), version.map(Cow::Borrowed))
            }
            Cow::Owned(text) => {
                let (url, version) = text
                    .split_once('|')
                    .map_or((&*text, None), |(u, v)| (u, Some(v)));
                (
                    Cow::Owned(url.to_owned()),
                    version.map(|v| Cow::Owned(v.to_owned())),
                )
            }
        };
        return Some(Reference {
            target: Target::read(url),
            stated_type: None,
            version,
            identifier: None,
        });
    }
    let identifier = value.get("identifier").and_then(|identifier| {
        let value = text(identifier, "value")?;
        Some((text(identifier, "system"), value))
    });
    let target = text(value, "reference").and_then(Target::read);
    (target.is_some() || identifier.is_some()).then(|| Reference {
        target,
        stated_type: text(value, "type"),
        version: None,
        identifier,
    })
}
