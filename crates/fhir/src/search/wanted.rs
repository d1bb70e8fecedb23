//! One wanted value of a query: how it is read, what it matches, and where the index has it.

use crate::search::date::{self, Span};
use crate::search::decimal::Decimal;
use crate::search::reference::Target;
use crate::search::table::{Kind, Lookup, Parameter, Part};
use crate::search::terms::{
    PREFIXES, code_term, date_term, has_systems, identifier_term, prefix, prefix_term,
    reference_term, system_term, uri_term,
};
use crate::search::text::normalised;
use crate::search::value::{IndexValue, Interval, Quantity, Reference, Token};
use std::borrow::Cow;

/// A modifier that changes how values are compared.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum How {
    Plain,
    /// `:exact`
    Exact,
    /// `:contains`
    Contains,
    /// `:text`
    Text,
    /// `:of-type`
    OfType,
    /// `:identifier`
    Identifier,
    /// `:below`
    Below,
    /// `:above`
    Above,
    /// `:Patient`, of a reference.
    Names(String),
}

/// How a number or date stands to the wanted one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

impl Prefix {
    /// The prefix of a text and the rest.
    fn read(text: &str) -> (Self, &str) {
        let Some((prefix, rest)) = text.split_at_checked(2) else {
            return (Self::Eq, text);
        };
        let prefix = match prefix {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "ap" => Self::Ap,
            _ => return (Self::Eq, text),
        };
        (prefix, rest)
    }
}

/// One wanted value.
#[derive(Clone)]
pub(super) enum Wanted {
    /// `system|code`; a system that is `None` is any, an empty one none; a code that is `None` any.
    Token {
        system: Option<String>,
        code: Option<String>,
    },
    /// The normalised start of a display.
    Display(String),
    OfType {
        system: String,
        code: String,
        value: String,
    },
    /// The identifier of a reference.
    Identifier {
        system: Option<String>,
        value: String,
    },
    /// The normalised start of a text.
    Start(String),
    /// The normalised text anywhere.
    Anywhere(String),
    /// The text as it is.
    Same(String),
    Date(Prefix, Span),
    Number(Prefix, Decimal),
    Quantity {
        prefix: Prefix,
        number: Decimal,
        system: Option<String>,
        unit: Option<String>,
    },
    Reference {
        target: Target<'static>,
        /// The type, when the parameter's name or the value says it.
        of: Option<String>,
        version: Option<String>,
    },
    Uri(How, String),
    Composite(Vec<Wanted>),
}

impl Wanted {
    /// Of a reference to the Patient of one id, that to the Patient of another, whatever its version.
    pub(super) fn renamed(&self, from: &str, to: &str) -> Option<Self> {
        let Self::Reference {
            target: Target::Local { resource_type, id },
            of,
            ..
        } = self
        else {
            return None;
        };
        let is_patient = |of: &str| of == "Patient";
        let renames = id == from
            && resource_type.as_deref().is_none_or(is_patient)
            && of.as_deref().is_none_or(is_patient);
        renames.then(|| Self::Reference {
            target: Target::Local {
                resource_type: resource_type.clone(),
                id: Cow::Owned(to.to_owned()),
            },
            of: of.clone(),
            version: None,
        })
    }
}

/// Splits at a character that no `\` escapes.
pub(super) fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (position, character) in text.char_indices() {
        if !escaped && character == at {
            parts.push(text.get(from..position).unwrap_or_default());
            from = position + at.len_utf8();
        }
        escaped = !escaped && character == '\\';
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// Without the escapes of `\`, `,`, `$` and `|`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\'
            && let Some(next) = characters.next_if(|next| matches!(next, '\\' | ',' | '$' | '|'))
        {
            out.push(next);
        } else {
            out.push(character);
        }
    }
    out
}

impl Wanted {
    /// Reads one value of a query. Errors say what is expected.
    pub(super) fn read(
        parameter: &Parameter,
        how: &How,
        text: &str,
        base: &str,
    ) -> Result<Self, &'static str> {
        if parameter.kind == Kind::Composite {
            return Self::composite(&parameter.parts, text, base);
        }
        Self::simple(parameter.kind, how, text, base)
    }

    fn composite(parts: &[Part], text: &str, base: &str) -> Result<Self, &'static str> {
        let texts = split(text, '$');
        if texts.len() != parts.len() {
            return Err("write as many values as it has parts, with $ between them");
        }
        let pairs = parts.iter().zip(texts);
        let read = pairs.map(|(part, text)| Self::simple(part.kind, &How::Plain, text, base));
        Ok(Self::Composite(read.collect::<Result<_, _>>()?))
    }

    fn simple(kind: Kind, how: &How, text: &str, base: &str) -> Result<Self, &'static str> {
        match kind {
            Kind::Token => Self::token(how, text),
            Kind::String => Ok(match how {
                How::Exact => Self::Same(unescaped(text)),
                How::Contains => Self::Anywhere(normalised(&unescaped(text))),
                _ => Self::Start(normalised(&unescaped(text))),
            }),
            Kind::Date => {
                let (prefix, date) = Prefix::read(text);
                // In a query that was decoded as a form, the plus of an offset is a space.
                let span = Span::read(&date.replace(' ', "+"));
                span.map(|span| Self::Date(prefix, span))
                    .ok_or("write a date as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz")
            }
            Kind::Number => {
                let (prefix, number) = number(text)?;
                Ok(Self::Number(prefix, number))
            }
            Kind::Quantity => Self::quantity(text),
            Kind::Reference if *how == How::Identifier => match Self::token(&How::Plain, text)? {
                Self::Token {
                    system,
                    code: Some(value),
                } => Ok(Self::Identifier { system, value }),
                _ => Err("write the identifier as system|value"),
            },
            Kind::Reference => Self::reference(how, text, base),
            Kind::Uri => Ok(Self::Uri(how.clone(), unescaped(text))),
            Kind::Composite => Err("write its parts on their own"),
        }
    }

    fn token(how: &How, text: &str) -> Result<Self, &'static str> {
        let parts = split(text, '|');
        match (how, parts.as_slice()) {
            (How::Text, _) => Ok(Self::Display(normalised(&unescaped(text)))),
            (How::OfType, [system, code, value]) if !code.is_empty() && !value.is_empty() => {
                Ok(Self::OfType {
                    system: unescaped(system),
                    code: unescaped(code),
                    value: unescaped(value),
                })
            }
            (How::OfType, _) => Err("write it as type-system|type-code|value"),
            (_, [code]) => Ok(Self::Token {
                system: None,
                code: Some(unescaped(code)),
            }),
            (_, ["", ""]) => Err("write a code, system|code, |code or system|"),
            (_, [system, ""]) => Ok(Self::Token {
                system: Some(unescaped(system)),
                code: None,
            }),
            (_, [system, code]) => Ok(Self::Token {
                system: Some(unescaped(system)),
                code: Some(unescaped(code)),
            }),
            _ => Err("write a code, system|code, |code or system|, other | as \\|"),
        }
    }

    fn quantity(text: &str) -> Result<Self, &'static str> {
        let wrong = "write it as number, number|system|code or number||unit";
        let parts = split(text, '|');
        let (number_text, system, unit) = match parts.as_slice() {
            [number] => (number, "", ""),
            [number, system, unit] if !unit.is_empty() => (number, *system, *unit),
            _ => return Err(wrong),
        };
        let (prefix, number) = number(number_text)?;
        let named = |text: &str| (!text.is_empty()).then(|| unescaped(text));
        Ok(Self::Quantity {
            prefix,
            number,
            system: named(system),
            unit: named(unit),
        })
    }

    fn reference(how: &How, text: &str, base: &str) -> Result<Self, &'static str> {
        let text = unescaped(text);
        let (text, version) = match text.split_once('|') {
            Some((url, version)) => (url.to_owned(), Some(version.to_owned())),
            None => (text, None),
        };
        let target = Target::read(Cow::Owned(text)).map(|target| target.relative_to(base));
        let target = target.ok_or("write an id, Type/id or the URL of the resource")?;
        let stated = target.resource_type().map(str::to_owned);
        let of = match (how, stated) {
            (How::Names(of), Some(stated)) if *of != stated => {
                return Err("the type after the colon and the type in the value differ");
            }
            (How::Names(of), _) => Some(of.clone()),
            (_, stated) => stated,
        };
        Ok(Self::Reference {
            target,
            of,
            version,
        })
    }

    /// Whether a value of a resource is what is wanted.
    pub(super) fn matches(&self, value: &IndexValue<'_>, base: &str) -> bool {
        match (self, value) {
            (_, IndexValue::Token(token)) => self.matches_token(token),
            (Self::Start(start), IndexValue::Text(text)) => normalised(text).starts_with(start),
            (Self::Anywhere(part), IndexValue::Text(text)) => normalised(text).contains(part),
            (Self::Same(wanted), IndexValue::Text(text)) => text == wanted,
            (Self::Date(prefix, wanted), IndexValue::Date(span)) => {
                compare_dates(*prefix, *wanted, *span)
            }
            (Self::Number(prefix, wanted), IndexValue::Number(number)) => {
                compare_numbers(*prefix, *wanted, number)
            }
            (_, IndexValue::Quantity(quantity)) => self.matches_quantity(quantity),
            (_, IndexValue::Reference(reference)) => self.matches_reference(reference, base),
            (Self::Uri(how, wanted), IndexValue::Uri(uri)) => match how {
                How::Below => uri.starts_with(wanted),
                How::Above => wanted.starts_with(&**uri),
                _ if wanted.contains('|') => uri == wanted,
                _ => uri.split('|').next() == Some(wanted),
            },
            (Self::Composite(wanted), IndexValue::Composite(parts)) => {
                let mut pairs = wanted.iter().zip(parts);
                pairs.all(|(wanted, values)| values.iter().any(|v| wanted.matches(v, base)))
            }
            _ => false,
        }
    }

    fn matches_token(&self, token: &Token<'_>) -> bool {
        let same = |wanted: &str, code: &str| match token.exact {
            true => wanted == code,
            false => wanted.eq_ignore_ascii_case(code),
        };
        match self {
            Self::Token { system, code } => {
                let by_code = match (code, &token.code) {
                    (None, _) => true,
                    (Some(wanted), Some(code)) => same(wanted, code),
                    (Some(_), None) => false,
                };
                let named = token.system.as_deref().unwrap_or_default();
                by_code
                    && match system.as_deref() {
                        None => true,
                        Some("") => named.is_empty() || token.bound,
                        Some(wanted) => wanted == named,
                    }
            }
            Self::Display(start) => {
                let text = token.text.as_deref();
                text.is_some_and(|text| normalised(text).starts_with(start))
            }
            Self::OfType {
                system,
                code,
                value,
            } => {
                let typed = |(of, kind): &(Cow<'_, str>, Cow<'_, str>)| {
                    (system.is_empty() || of == system) && kind.eq_ignore_ascii_case(code)
                };
                token.code.as_deref() == Some(value) && token.types.iter().any(typed)
            }
            _ => false,
        }
    }

    fn matches_quantity(&self, quantity: &Quantity<'_>) -> bool {
        let Self::Quantity {
            prefix,
            number,
            system,
            unit,
        } = self
        else {
            return false;
        };
        let by_unit = match (system, unit) {
            (_, None) => true,
            (Some(system), Some(unit)) => {
                quantity.system.as_ref() == Some(&Cow::Borrowed(system))
                    && quantity.code.as_deref() == Some(unit)
            }
            (None, Some(unit)) => {
                let (code, shown) = (quantity.code.as_deref(), quantity.unit.as_deref());
                code == Some(unit) || shown == Some(unit)
            }
        };
        by_unit && compare_numbers(*prefix, *number, &quantity.number)
    }

    fn matches_reference(&self, reference: &Reference<'_>, base: &str) -> bool {
        match self {
            Self::Identifier { system, value } => {
                reference.identifier.as_ref().is_some_and(|(of, known)| {
                    let of = of.as_deref().unwrap_or_default();
                    known == value && system.as_ref().is_none_or(|system| system == of)
                })
            }
            Self::Reference {
                target,
                of,
                version,
            } => {
                let Some(known) = &reference.target else {
                    return false;
                };
                let known = known.clone().relative_to(base);
                let same = match (target, &known) {
                    (Target::Local { id: one, .. }, Target::Local { id: two, .. }) => {
                        let stated = known.resource_type().or(reference.stated_type.as_deref());
                        let fits = |of: &String| stated.is_none_or(|stated| stated == of);
                        one == two && of.as_ref().is_none_or(fits)
                    }
                    (one, two) => one.text() == two.text(),
                };
                let known = reference.version.as_ref();
                same && version
                    .as_ref()
                    .is_none_or(|v| known.is_some_and(|k| k == v))
            }
            _ => false,
        }
    }

    /// The terms one of which every resource posts that has such a value for a parameter; `None`
    /// when the index cannot tell.
    pub(super) fn terms(&self, of: &str, lookups: &[Lookup]) -> Option<Vec<Vec<u8>>> {
        let mut terms = Vec::new();
        for Lookup { owner, shape } in lookups {
            match self {
                Self::Token {
                    system,
                    code: Some(code),
                } => terms.push(match system.as_deref() {
                    Some(system) if !system.is_empty() && has_systems(*shape) => {
                        system_term(of, owner, system, code)
                    }
                    _ => code_term(of, owner, code),
                }),
                Self::OfType { value, .. } => terms.push(code_term(of, owner, value)),
                Self::Identifier { value, .. } => terms.push(identifier_term(of, owner, value)),
                Self::Start(text) => terms.push(start(of, owner, text)?),
                Self::Same(text) => terms.push(start(of, owner, &normalised(text))?),
                Self::Date(Prefix::Eq, span) => {
                    let buckets = date::within(*span)?.into_iter();
                    terms.extend(buckets.map(|bucket| date_term(of, owner, bucket)));
                }
                Self::Date(Prefix::Ap, span) => {
                    let buckets = date::meeting(span.widened())?.into_iter();
                    terms.extend(buckets.map(|bucket| date_term(of, owner, bucket)));
                }
                Self::Reference { target, .. } => {
                    terms.push(reference_term(of, owner, target.key()));
                }
                Self::Uri(How::Plain, uri) => terms.push(uri_term(of, owner, uri)),
                _ => return None,
            }
        }
        Some(terms)
    }

    /// The span that values must meet, as far as this bounds it: for ranges made of several dates.
    pub(super) fn bounds(&self) -> Option<Span> {
        let Self::Date(prefix, wanted) = self else {
            return None;
        };
        let (from, until) = (wanted.from_ms, wanted.until_ms);
        Some(match prefix {
            Prefix::Eq => *wanted,
            Prefix::Ap => wanted.widened(),
            Prefix::Gt | Prefix::Sa => Span {
                from_ms: until,
                ..Span::ALWAYS
            },
            Prefix::Ge => Span {
                from_ms: from,
                ..Span::ALWAYS
            },
            Prefix::Lt | Prefix::Eb => Span {
                until_ms: from,
                ..Span::ALWAYS
            },
            Prefix::Le => Span {
                until_ms: until,
                ..Span::ALWAYS
            },
            Prefix::Ne => return None,
        })
    }
}

/// The longest posted prefix of a text.
fn start(of: &str, owner: &str, text: &str) -> Option<Vec<u8>> {
    let characters = text.chars().count();
    let length = PREFIXES.into_iter().rfind(|length| *length <= characters)?;
    Some(prefix_term(of, owner, prefix(text, length)))
}

fn number(text: &str) -> Result<(Prefix, Decimal), &'static str> {
    let (prefix, number) = Prefix::read(text);
    let number = Decimal::read(number);
    Ok((prefix, number.ok_or("write a number of at most 28 digits")?))
}

fn compare_dates(prefix: Prefix, wanted: Span, value: Span) -> bool {
    match prefix {
        Prefix::Eq => wanted.contains(value),
        Prefix::Ne => !wanted.contains(value),
        Prefix::Gt => value.until_ms > wanted.until_ms,
        Prefix::Lt => value.from_ms < wanted.from_ms,
        Prefix::Ge => value.until_ms > wanted.until_ms || wanted.contains(value),
        Prefix::Le => value.from_ms < wanted.from_ms || wanted.contains(value),
        Prefix::Sa => value.from_ms >= wanted.until_ms,
        Prefix::Eb => value.until_ms <= wanted.from_ms,
        Prefix::Ap => wanted.widened().meets(value),
    }
}

fn compare_numbers(prefix: Prefix, wanted: Decimal, value: &Interval) -> bool {
    let within = |(low, high): (Decimal, Decimal)| {
        let (Some(from), Some(to)) = (value.low, value.high) else {
            return false;
        };
        low <= from && to < high
    };
    let above = |low: Decimal| value.high.is_none_or(|high| high > low);
    let below = |high: Decimal| value.low.is_none_or(|low| low < high);
    match prefix {
        Prefix::Eq => within(wanted.rounded()),
        Prefix::Ne => !within(wanted.rounded()),
        Prefix::Gt => above(wanted),
        Prefix::Lt => below(wanted),
        Prefix::Ge => above(wanted) || (!value.high_open && value.high == Some(wanted)),
        Prefix::Le => below(wanted) || (!value.low_open && value.low == Some(wanted)),
        Prefix::Sa => value
            .low
            .is_some_and(|low| low > wanted || (value.low_open && low == wanted)),
        Prefix::Eb => value
            .high
            .is_some_and(|high| high < wanted || (value.high_open && high == wanted)),
        Prefix::Ap => {
            let (low, high) = wanted.about();
            value
                .high
                .is_none_or(|to| to > low || (to == low && !value.high_open))
                && value
                    .low
                    .is_none_or(|from| from < high || (from == high && !value.low_open))
        }
    }
}
