//! The functions that are known.

use super::amount::Amount;
use super::eval::{Evaluator, Found, Stop, single};
use super::item::Item;
use super::parser::Expression;
use std::collections::BTreeSet;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    All,
    AllTrue,
    AnyTrue,
    Children,
    Combine,
    Contains,
    Count,
    Descendants,
    Distinct,
    Empty,
    EndsWith,
    Exclude,
    Exists,
    Extension,
    First,
    HasValue,
    Iif,
    Intersect,
    IsDistinct,
    Last,
    Length,
    Lower,
    Not,
    Replace,
    Resolve,
    Select,
    Single,
    Skip,
    StartsWith,
    Substring,
    Tail,
    Take,
    ToInteger,
    ToText,
    Trace,
    Trim,
    Union,
    Upper,
    Where,
}

/// Each with its name and how many arguments it takes.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("all", Function::All, 1, 1),
    ("allTrue", Function::AllTrue, 0, 0),
    ("anyTrue", Function::AnyTrue, 0, 0),
    ("children", Function::Children, 0, 0),
    ("combine", Function::Combine, 1, 1),
    ("contains", Function::Contains, 1, 1),
    ("count", Function::Count, 0, 0),
    ("descendants", Function::Descendants, 0, 0),
    ("distinct", Function::Distinct, 0, 0),
    ("empty", Function::Empty, 0, 0),
    ("endsWith", Function::EndsWith, 1, 1),
    ("exclude", Function::Exclude, 1, 1),
    ("exists", Function::Exists, 0, 1),
    ("extension", Function::Extension, 1, 1),
    ("first", Function::First, 0, 0),
    ("hasValue", Function::HasValue, 0, 0),
    ("iif", Function::Iif, 2, 3),
    ("intersect", Function::Intersect, 1, 1),
    ("isDistinct", Function::IsDistinct, 0, 0),
    ("last", Function::Last, 0, 0),
    ("length", Function::Length, 0, 0),
    ("lower", Function::Lower, 0, 0),
    ("not", Function::Not, 0, 0),
    ("replace", Function::Replace, 2, 2),
    ("resolve", Function::Resolve, 0, 0),
    ("select", Function::Select, 1, 1),
    ("single", Function::Single, 0, 0),
    ("skip", Function::Skip, 1, 1),
    ("startsWith", Function::StartsWith, 1, 1),
    ("substring", Function::Substring, 1, 2),
    ("tail", Function::Tail, 0, 0),
    ("take", Function::Take, 1, 1),
    ("toInteger", Function::ToInteger, 0, 0),
    ("toString", Function::ToText, 0, 0),
    ("trace", Function::Trace, 1, 2),
    ("trim", Function::Trim, 0, 0),
    ("union", Function::Union, 1, 1),
    ("upper", Function::Upper, 0, 0),
    ("where", Function::Where, 1, 1),
];

impl Function {
    /// The function of this name with so many arguments.
    pub(super) fn named(name: &str, arguments: usize) -> Option<Self> {
        let fits = |(own, _, least, most): &&(&str, Self, usize, usize)| {
            *own == name && (*least..=*most).contains(&arguments)
        };
        let found = FUNCTIONS.iter().find(fits);
        found.map(|(_, function, ..)| *function)
    }
}

impl<'d, 'a> Evaluator<'_, 'd, 'a> {
    pub(super) fn call(
        &mut self,
        base: &'a Expression,
        function: Function,
        arguments: &'a [Expression],
        this: &Item<'d, 'a>,
    ) -> Found<'d, 'a> {
        use Function as F;
        let input = self.eval(base, this)?;
        let first = arguments.first();
        match function {
            F::Exists | F::All | F::Where | F::Select => match first {
                Some(filter) => self.by_filter(function, filter, input),
                None => Ok(vec![Item::Bool(!input.is_empty())]),
            },
            F::Iif => {
                let this = &single(&input)?.cloned().unwrap_or(Item::Nothing);
                let truth = match first {
                    Some(condition) => self.truth(condition, this)?,
                    None => None,
                };
                let chosen = if truth == Some(true) { 1 } else { 2 };
                match arguments.get(chosen) {
                    Some(expression) => self.eval(expression, this),
                    None => Ok(Vec::new()),
                }
            }
            F::Skip | F::Take => {
                let count = self.whole(first, this)?;
                let count = usize::try_from(count.unwrap_or(0)).unwrap_or(0);
                Ok(match function {
                    F::Skip => input.into_iter().skip(count).collect(),
                    _ => input.into_iter().take(count).collect(),
                })
            }
            F::Extension => {
                let url = self.text_argument(first, this)?.unwrap_or_default();
                let mut found = Vec::new();
                for extension in self.members(&input, "extension")? {
                    let mut own = Vec::new();
                    if let Item::Node(node) = &extension {
                        self.charge(node.member("url", &mut own))?;
                    }
                    if self.text_of(&own)?.is_some_and(|own| own == url) {
                        found.push(extension);
                    }
                }
                Ok(found)
            }
            F::Combine | F::Union | F::Intersect | F::Exclude => {
                let other = match first {
                    Some(expression) => self.eval(expression, this)?,
                    None => Vec::new(),
                };
                self.of_two(function, input, other)
            }
            F::Contains
            | F::EndsWith
            | F::Length
            | F::Lower
            | F::Replace
            | F::StartsWith
            | F::Substring
            | F::ToInteger
            | F::ToText
            | F::Trim
            | F::Upper => self.on_text(function, arguments, &input, this),
            _ => self.on_items(function, input),
        }
    }

    /// Functions that evaluate an expression on each item.
    fn by_filter(
        &mut self,
        function: Function,
        filter: &'a Expression,
        input: Vec<Item<'d, 'a>>,
    ) -> Found<'d, 'a> {
        use Function as F;
        let mut found = Vec::new();
        for item in input {
            if function == F::Select {
                found.append(&mut self.eval(filter, &item)?);
                continue;
            }
            match (function, self.truth(filter, &item)? == Some(true)) {
                (F::Exists, true) => return Ok(vec![Item::Bool(true)]),
                (F::All, false) => return Ok(vec![Item::Bool(false)]),
                (F::Where, true) => found.push(item),
                _ => {}
            }
        }
        Ok(match function {
            F::Exists | F::All => vec![Item::Bool(function == F::All)],
            _ => found,
        })
    }

    /// Functions of a collection alone.
    fn on_items(&mut self, function: Function, input: Vec<Item<'d, 'a>>) -> Found<'d, 'a> {
        use Function as F;
        match function {
            F::Empty => Ok(vec![Item::Bool(input.is_empty())]),
            F::Not => {
                let truth = self.truth_of(&input)?;
                let truth = truth.or(self.decided.then_some(false));
                Ok(truth.map(|truth| Item::Bool(!truth)).into_iter().collect())
            }
            F::AllTrue | F::AnyTrue => {
                let mut truths = Vec::with_capacity(input.len());
                for item in input {
                    truths.push(self.truth_of(&[item])? == Some(true));
                }
                let result = match function {
                    F::AllTrue => truths.iter().all(|truth| *truth),
                    _ => truths.iter().any(|truth| *truth),
                };
                Ok(vec![Item::Bool(result)])
            }
            F::Trace => Ok(input),
            F::Count => Ok(vec![number(input.len())]),
            F::First => Ok(input.into_iter().take(1).collect()),
            F::Last => Ok(input.into_iter().next_back().into_iter().collect()),
            F::Tail => Ok(input.into_iter().skip(1).collect()),
            F::Single => match input.len() {
                0 | 1 => Ok(input),
                _ => Err(Stop::Several),
            },
            F::HasValue => {
                let has = |item: &Item<'_, '_>| match item {
                    Item::Node(node) => node.has_value(),
                    _ => true,
                };
                Ok(vec![Item::Bool(input.len() == 1 && input.iter().all(has))])
            }
            F::Children => self.children(&input),
            F::Descendants => {
                let mut found = self.children(&input)?;
                let mut start = 0;
                while start < found.len() {
                    let newest = found.get(start..).unwrap_or_default().to_vec();
                    start = found.len();
                    found.append(&mut self.children(&newest)?);
                }
                Ok(found)
            }
            F::Distinct | F::IsDistinct => {
                let all = input.len();
                let distinct = self.distinct(input)?;
                Ok(match function {
                    F::IsDistinct => vec![Item::Bool(distinct.len() == all)],
                    _ => distinct,
                })
            }
            // Nothing outside the document is looked at.
            F::Resolve => Ok(Vec::new()),
            // INVARIANT: every other function was dealt with by its caller.
            _ => Ok(Vec::new()),
        }
    }

    fn of_two(
        &mut self,
        function: Function,
        mut input: Vec<Item<'d, 'a>>,
        mut other: Vec<Item<'d, 'a>>,
    ) -> Found<'d, 'a> {
        if matches!(function, Function::Combine | Function::Union) {
            input.append(&mut other);
            return match function {
                Function::Combine => Ok(input),
                _ => self.distinct(input),
            };
        }
        let mut others = BTreeSet::new();
        for item in &other {
            others.insert(self.key(item)?);
        }
        let mut kept = Vec::new();
        for item in input {
            if others.contains(&self.key(&item)?) == (function == Function::Intersect) {
                kept.push(item);
            }
        }
        match function {
            Function::Intersect => self.distinct(kept),
            _ => Ok(kept),
        }
    }

    /// Each item once.
    pub(super) fn distinct(&mut self, items: Vec<Item<'d, 'a>>) -> Found<'d, 'a> {
        let mut seen = BTreeSet::new();
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            if seen.insert(self.key(&item)?) {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    fn whole(
        &mut self,
        argument: Option<&'a Expression>,
        this: &Item<'d, 'a>,
    ) -> Result<Option<i64>, Stop> {
        let Some(argument) = argument else {
            return Ok(None);
        };
        let found = self.eval(argument, this)?;
        Ok(match single(&found)?.cloned().and_then(Item::scalar) {
            Some(Item::Number(amount)) => amount.whole(),
            _ => None,
        })
    }

    fn text_argument(
        &mut self,
        argument: Option<&'a Expression>,
        this: &Item<'d, 'a>,
    ) -> Result<Option<String>, Stop> {
        let Some(argument) = argument else {
            return Ok(None);
        };
        let found = self.eval(argument, this)?;
        Ok(self.text_of(&found)?.map(String::from))
    }

    /// Functions of one text.
    fn on_text(
        &mut self,
        function: Function,
        arguments: &'a [Expression],
        input: &[Item<'d, 'a>],
        this: &Item<'d, 'a>,
    ) -> Found<'d, 'a> {
        use Function as F;
        let Some(item) = single(input)?.cloned().and_then(Item::scalar) else {
            return Ok(Vec::new());
        };
        if function == F::ToInteger {
            let number = match item {
                Item::Number(amount) => amount.whole(),
                Item::Bool(truth) => Some(i64::from(truth)),
                Item::Text(text) => text.parse::<i64>().ok(),
                _ => None,
            };
            return Ok(number
                .map(|n| Item::Number(Amount::from(n)))
                .into_iter()
                .collect());
        }
        let text = match (function, &item) {
            (F::ToText, Item::Bool(truth)) => Some(truth.to_string().into()),
            (F::ToText, Item::Number(amount)) => match single(input)? {
                Some(Item::Node(node)) => node.raw().map(Into::into),
                _ => Some(amount.text().into()),
            },
            (_, Item::Text(text)) => Some(text.clone()),
            _ => self.text_of(input)?,
        };
        let Some(text) = text else {
            return Ok(Vec::new());
        };
        self.charge(1 + text.len() / 64)?;
        if let F::Substring = function {
            let start = self.whole(arguments.first(), this)?;
            let length = match arguments.get(1) {
                Some(_) => self.whole(arguments.get(1), this)?,
                None => Some(i64::MAX),
            };
            return Ok(substring(&text, start, length)
                .map(|t| Item::Text(t.into()))
                .into_iter()
                .collect());
        }
        let needle = self.text_argument(arguments.first(), this)?;
        let result = match (function, needle) {
            (F::ToText, _) => Item::Text(text),
            (F::Length, _) => number(text.chars().count()),
            (F::Upper, _) => Item::Text(text.to_uppercase().into()),
            (F::Lower, _) => Item::Text(text.to_lowercase().into()),
            (F::Trim, _) => Item::Text(text.trim().to_owned().into()),
            (F::StartsWith, Some(needle)) => Item::Bool(text.starts_with(&needle)),
            (F::EndsWith, Some(needle)) => Item::Bool(text.ends_with(&needle)),
            (F::Contains, Some(needle)) => Item::Bool(text.contains(&needle)),
            (F::Replace, Some(needle)) => match self.text_argument(arguments.get(1), this)? {
                Some(by) => Item::Text(text.replace(&needle, &by).into()),
                None => return Ok(Vec::new()),
            },
            _ => return Ok(Vec::new()),
        };
        Ok(vec![result])
    }
}

fn substring(text: &str, start: Option<i64>, length: Option<i64>) -> Option<String> {
    let start = usize::try_from(start?).ok()?;
    let length = usize::try_from(length?).unwrap_or(0);
    text.chars().nth(start)?;
    Some(text.chars().skip(start).take(length).collect())
}

fn number<'d, 'a>(count: usize) -> Item<'d, 'a> {
    Item::Number(Amount::from(i64::try_from(count).unwrap_or(i64::MAX)))
}
