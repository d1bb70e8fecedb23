//! One filter as it is sent -> one [`Filter`].

use crate::{
    query::{AGE_EDGES, AgeSpan, Filter, Sex, Wanted},
    refusal::Refusal,
    term::{Reach, TermId, Terms, Vocabulary},
};

/// Names of the field of ages.
pub(crate) const AGE: &str = "age";
/// Name of the field of sexes.
pub(crate) const SEX: &str = "sex";
/// Name of the field of features that were looked for and are absent.
pub(crate) const EXCLUDED: &str = "phenotypicFeatures.excluded";

/// A filter as it is sent. `number` counts from 1.
pub(super) struct Sent<'a> {
    pub(super) number: usize,
    pub(super) id: &'a str,
    pub(super) compared: Option<(Operator, &'a str)>,
    pub(super) below: bool,
    pub(super) similarity: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Less,
    Greater,
    Not,
    AtLeast,
    AtMost,
}

impl Operator {
    /// The longer ones first, for whoever looks for them in a text.
    pub(super) const ALL: [(&'static str, Self); 6] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
        ("!", Self::Not),
    ];

    pub(super) fn of(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(sign, operator)| (sign == text).then_some(operator))
    }
}

pub(super) fn read(sent: &Sent<'_>, terms: &impl Terms) -> Result<Filter, Refusal> {
    let number = sent.number;
    if sent
        .scope
        .is_some_and(|scope| !matches!(scope, "individual" | "individuals"))
    {
        return Err(Refusal::Scope(number));
    }
    if sent.similarity.is_some_and(|how| how != "exact") {
        return Err(Refusal::Similarity(number));
    }
    match sent.compared {
        Some((operator, value)) => compared(sent, operator, value, terms),
        None => match sex_code(sent.id) {
            Some(sex) => Ok(Filter::Sex(sex)),
            None => term(sent, terms),
        },
    }
}

fn term(sent: &Sent<'_>, terms: &impl Terms) -> Result<Filter, Refusal> {
    let number = sent.number;
    let term: TermId = sent
        .id
        .parse()
        .map_err(|_| Refusal::UnknownFilter(number))?;
    let wanted = Wanted {
        term: resolved(term, number, terms)?,
        reach: if sent.below {
            Reach::Below
        } else {
            Reach::Exact
        },
    };
    Ok(if wanted.term.vocabulary().is_disease() {
        Filter::Disease(wanted)
    } else {
        Filter::Observed(wanted)
    })
}

fn compared(
    sent: &Sent<'_>,
    operator: Operator,
    value: &str,
    terms: &impl Terms,
) -> Result<Filter, Refusal> {
    let number = sent.number;
    let equal = || match operator {
        Operator::Equal => Ok(()),
        _ => Err(Refusal::Operator(number)),
    };
    match sent.id {
        // `PATO:0000011` is Beacon's own example of a term for age.
        AGE | "PATO:0000011" => age(operator, value, number).map(Filter::Age),
        // PATO's biological sex.
        SEX | "PATO:0000047" => {
            equal()?;
            let sex = sex_code(value).or_else(|| value.parse().ok());
            sex.map(Filter::Sex).ok_or(Refusal::Value(number))
        }
        EXCLUDED => {
            equal()?;
            let term: TermId = value.parse().map_err(|_| Refusal::Value(number))?;
            if term.vocabulary() != Vocabulary::Hp {
                return Err(Refusal::Value(number));
            }
            resolved(term, number, terms).map(Filter::Excluded)
        }
        _ => Err(Refusal::UnknownFilter(number)),
    }
}

fn resolved(term: TermId, filter: usize, terms: &impl Terms) -> Result<TermId, Refusal> {
    terms
        .resolve(term)
        .ok_or(Refusal::UnknownTerm { filter, term })
}

/// The codes that Beacon's default model names for sex, and PATO's, which its examples use.
fn sex_code(code: &str) -> Option<Sex> {
    match code {
        "NCIT:C16576" | "PATO:0000383" => Some(Sex::Female),
        "NCIT:C20197" | "PATO:0000384" => Some(Sex::Male),
        "NCIT:C17998" => Some(Sex::Unknown),
        _ => None,
    }
}

/// `P18Y` or `18`, compared in whole years.
fn age(operator: Operator, value: &str, number: usize) -> Result<AgeSpan, Refusal> {
    let digits = value
        .strip_prefix('P')
        .and_then(|rest| rest.strip_suffix('Y'))
        .unwrap_or(value);
    if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Age(number));
    }
    let years: u8 = digits.parse().map_err(|_| Refusal::Age(number))?;
    let (edge, older) = match operator {
        Operator::AtLeast => (Some(years), true),
        Operator::Greater => (years.checked_add(1), true),
        Operator::Less => (Some(years), false),
        Operator::AtMost => (years.checked_add(1), false),
        Operator::Equal | Operator::Not => return Err(Refusal::Operator(number)),
    };
    let edge = edge
        .filter(|edge| AGE_EDGES.contains(edge))
        .ok_or(Refusal::Age(number))?;
    let span = if older {
        AgeSpan::new(edge, None)
    } else {
        AgeSpan::new(0, Some(edge))
    };
    span.ok_or(Refusal::Age(number))
}

/// A filter as it was understood, for the summary of the request.
pub(crate) fn written(filter: &Filter) -> Vec<String> {
    let term = |wanted: &Wanted| match wanted.reach {
        Reach::Below => wanted.term.to_string(),
        Reach::Exact => format!("{} (without descendants)", wanted.term),
    };
    match filter {
        Filter::Observed(wanted) | Filter::Disease(wanted) => vec![term(wanted)],
        Filter::Excluded(term) => vec![format!("{EXCLUDED}={term}")],
        Filter::Sex(sex) => vec![format!("{SEX}={sex}")],
        Filter::Age(span) => {
            let from = (span.from() > 0).then(|| format!("{AGE}>=P{}Y", span.from()));
            let below = span.below().map(|below| format!("{AGE}<P{below}Y"));
            from.into_iter().chain(below).collect()
        }
    }
}
