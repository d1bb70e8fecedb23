//! Evaluation, step by counted step.

use super::item::{Item, Node, is_system_name};
use super::parser::{Expression, Operator};
use crate::table::TypeId;
use json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// What an expression gives, or why it does not.
pub(super) type Found<'d, 'a> = Result<Vec<Item<'d, 'a>>, Stop>;

/// Why an evaluation ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The steps were used up.
    TooCostly,
    /// Several items where one can be.
    Several,
}

/// The resources that an expression can name.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'d, 'a> {
    /// `%resource`
    pub(crate) resource: (Value<'d, 'a>, TypeId),
    /// `%rootResource`
    pub(crate) root: (Value<'d, 'a>, TypeId),
}

/// Evaluates expressions on one node.
pub(crate) struct Evaluator<'s, 'd, 'a> {
    scope: &'s Scope<'d, 'a>,
    context: Item<'d, 'a>,
    steps: &'s mut u64,
    /// Whether two values could not be compared, because one is less precise or has another unit.
    uncertain: bool,
    /// Whether `not()` and `is` of nothing say something: true and false, as the invariants of R4
    /// (`bdl-8`, `ras-2`) were written. In FHIRPath both are empty.
    pub(super) decided: bool,
}

impl<'s, 'd, 'a> Evaluator<'s, 'd, 'a> {
    /// Evaluates on a node with at most so many steps, which are counted down.
    pub(crate) fn new(scope: &'s Scope<'d, 'a>, context: Node<'d, 'a>, steps: &'s mut u64) -> Self {
        Self {
            scope,
            context: Item::Node(context),
            steps,
            uncertain: false,
            decided: false,
        }
    }

    /// Whether the expression is true of the node; `None` when that is not known.
    pub(crate) fn holds(&mut self, expression: &'a Expression) -> Result<Option<bool>, Stop> {
        let context = self.context.clone();
        self.decided = true;
        match self.truth(expression, &context)? {
            None if !self.uncertain => Ok(Some(false)),
            truth => Ok(truth),
        }
    }

    /// What the expression gives.
    #[cfg(test)]
    pub(crate) fn run(&mut self, expression: &'a Expression) -> Found<'d, 'a> {
        let context = self.context.clone();
        self.eval(expression, &context)
    }

    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Stop> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        *self.steps = self.steps.checked_sub(steps).ok_or(Stop::TooCostly)?;
        Ok(())
    }

    pub(super) fn eval(
        &mut self,
        expression: &'a Expression,
        this: &Item<'d, 'a>,
    ) -> Found<'d, 'a> {
        self.charge(1)?;
        let resource = |(value, of)| Ok(vec![Item::Node(Node::object(value, of))]);
        match expression {
            Expression::This if matches!(this, Item::Nothing) => Ok(Vec::new()),
            Expression::This => Ok(vec![this.clone()]),
            Expression::Resource => resource(self.scope.resource),
            Expression::RootResource => resource(self.scope.root),
            Expression::Context => Ok(vec![self.context.clone()]),
            Expression::Nothing => Ok(Vec::new()),
            Expression::Text(text) => Ok(vec![Item::Text(Cow::Borrowed(text))]),
            Expression::Bool(truth) => Ok(vec![Item::Bool(*truth)]),
            Expression::Number(amount) => Ok(vec![Item::Number(*amount)]),
            Expression::Date(moment) => Ok(vec![Item::Date(moment.clone())]),
            Expression::Member(base, name) => self.path(base, name, this),
            Expression::Index(base, index) => {
                let items = self.eval(base, this)?;
                let index = self.eval(index, this)?;
                let index = match single(&index)?.cloned().and_then(Item::scalar) {
                    Some(Item::Number(amount)) => amount.whole(),
                    _ => None,
                };
                let index = index.and_then(|index| usize::try_from(index).ok());
                Ok(index
                    .and_then(|index| items.into_iter().nth(index))
                    .into_iter()
                    .collect())
            }
            Expression::Call(base, function, arguments) => {
                self.call(base, *function, arguments, this)
            }
            Expression::Matches(base, regex, by) => {
                let items = self.eval(base, this)?;
                let Some(text) = self.text_of(&items)? else {
                    return Ok(Vec::new());
                };
                self.charge(1 + text.len())?;
                Ok(vec![match by {
                    None => Item::Bool(regex.is_match(&text)),
                    Some(by) => {
                        Item::Text(regex.replace_all(&text, by.as_str()).into_owned().into())
                    }
                }])
            }
            Expression::Is(base, name) => {
                let items = self.eval(base, this)?;
                let is = single(&items)?.map(|item| is_a(item, name));
                let is = is.or(self.decided.then_some(false));
                Ok(is.map(Item::Bool).into_iter().collect())
            }
            Expression::As(base, name) => {
                let items = self.eval(base, this)?;
                Ok(items.into_iter().filter(|item| is_a(item, name)).collect())
            }
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right, this),
        }
    }

    /// A path's step; without a path before it, the name can be that of the type itself.
    fn path(&mut self, base: &'a Expression, name: &str, this: &Item<'d, 'a>) -> Found<'d, 'a> {
        if let Expression::This = base {
            let mut found = Vec::new();
            if let Item::Node(node) = this {
                if name.starts_with(|c: char| c.is_ascii_uppercase()) && node.is_a(name) {
                    return Ok(vec![this.clone()]);
                }
                self.charge(node.member(name, &mut found))?;
            }
            return Ok(found);
        }
        let items = self.eval(base, this)?;
        self.members(&items, name)
    }

    pub(super) fn members(&mut self, items: &[Item<'d, 'a>], name: &str) -> Found<'d, 'a> {
        let mut found = Vec::new();
        for item in items {
            if let Item::Node(node) = item {
                self.charge(node.member(name, &mut found))?;
            }
        }
        Ok(found)
    }

    pub(super) fn children(&mut self, items: &[Item<'d, 'a>]) -> Found<'d, 'a> {
        let mut found = Vec::new();
        for item in items {
            if let Item::Node(node) = item {
                self.charge(node.children(&mut found))?;
            }
        }
        Ok(found)
    }

    /// A collection as a condition.
    pub(super) fn truth(
        &mut self,
        expression: &'a Expression,
        this: &Item<'d, 'a>,
    ) -> Result<Option<bool>, Stop> {
        let found = self.eval(expression, this)?;
        self.truth_of(&found)
    }

    pub(super) fn truth_of(&mut self, items: &[Item<'d, 'a>]) -> Result<Option<bool>, Stop> {
        Ok(single(items)?.map(|item| match item.clone().scalar() {
            Some(Item::Bool(truth)) => truth,
            _ => true,
        }))
    }

    pub(super) fn text_of(&mut self, items: &[Item<'d, 'a>]) -> Result<Option<Cow<'a, str>>, Stop> {
        Ok(match single(items)? {
            Some(Item::Node(node)) => node.text(),
            Some(Item::Text(text)) => Some(text.clone()),
            _ => None,
        })
    }

    /// A text that is the same for equal items.
    pub(super) fn key(&mut self, item: &Item<'d, 'a>) -> Result<String, Stop> {
        let mut key = String::new();
        let read = match item {
            Item::Nothing => 1,
            Item::Node(node) => node.key(&mut key),
            Item::Text(text) => {
                key = json::quote(text);
                1
            }
            Item::Bool(truth) => {
                key = truth.to_string();
                1
            }
            Item::Number(amount) => {
                key = format!("{},", amount.plain());
                1
            }
            Item::Date(moment) => {
                key = format!("{moment:?}");
                1
            }
        };
        self.charge(read + key.len() / 64)?;
        Ok(key)
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &'a Expression,
        right: &'a Expression,
        this: &Item<'d, 'a>,
    ) -> Found<'d, 'a> {
        if let Operator::And | Operator::Or | Operator::Xor | Operator::Implies = operator {
            let left = self.truth(left, this)?;
            let decided = match (operator, left) {
                (Operator::And, Some(false)) => Some(false),
                (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => Some(true),
                _ => None,
            };
            let truth = match decided {
                Some(truth) => Some(truth),
                None => logic(operator, left, self.truth(right, this)?),
            };
            return Ok(truth.map(Item::Bool).into_iter().collect());
        }
        let left = self.eval(left, this)?;
        let right = self.eval(right, this)?;
        match operator {
            Operator::Union => {
                let mut both = left;
                both.extend(right);
                self.distinct(both)
            }
            Operator::Equal | Operator::Unequal => {
                let equal = self.equal(&left, &right)?;
                let truth = equal.map(|equal| equal == (operator == Operator::Equal));
                Ok(truth.map(Item::Bool).into_iter().collect())
            }
            Operator::In => self.is_in(&left, &right),
            Operator::Contains => self.is_in(&right, &left),
            Operator::Join => {
                let left = self.text_of(&left)?.unwrap_or_default();
                let right = self.text_of(&right)?.unwrap_or_default();
                Ok(vec![Item::Text(format!("{left}{right}").into())])
            }
            Operator::Plus | Operator::Minus | Operator::Times => {
                arithmetic(operator, &left, &right)
            }
            _ => {
                let (Some(left), Some(right)) = (single(&left)?, single(&right)?) else {
                    return Ok(Vec::new());
                };
                let Some(order) = compare(left, right) else {
                    self.uncertain = true;
                    return Ok(Vec::new());
                };
                Ok(vec![Item::Bool(match operator {
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                })])
            }
        }
    }

    fn is_in(&mut self, items: &[Item<'d, 'a>], list: &[Item<'d, 'a>]) -> Found<'d, 'a> {
        let Some(item) = single(items)? else {
            return Ok(Vec::new());
        };
        for other in list {
            let item = std::slice::from_ref(item);
            if self.equal(item, std::slice::from_ref(other))? == Some(true) {
                return Ok(vec![Item::Bool(true)]);
            }
        }
        Ok(vec![Item::Bool(false)])
    }

    /// Whether two collections are equal, item by item; unknown when one is empty.
    fn equal(
        &mut self,
        left: &[Item<'d, 'a>],
        right: &[Item<'d, 'a>],
    ) -> Result<Option<bool>, Stop> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        for (left, right) in left.iter().zip(right) {
            self.charge(1)?;
            let equal = match (left.clone().scalar(), right.clone().scalar()) {
                (Some(Item::Text(a)), Some(Item::Text(b))) => a == b,
                (Some(Item::Bool(a)), Some(Item::Bool(b))) => a == b,
                (Some(Item::Number(a)), Some(Item::Number(b))) => {
                    a.compare(b) == Some(Ordering::Equal)
                }
                (Some(Item::Date(a)), Some(Item::Date(b))) if !a.is_alike(&b) => false,
                (Some(Item::Date(a)), Some(Item::Date(b))) => match a.compare(&b) {
                    Some(order) => order == Ordering::Equal,
                    None => {
                        self.uncertain = true;
                        return Ok(None);
                    }
                },
                (None, None) => self.key(left)? == self.key(right)?,
                (Some(Item::Date(_)), Some(Item::Text(_)))
                | (Some(Item::Text(_)), Some(Item::Date(_))) => {
                    let text = self.text_of(std::slice::from_ref(left))?;
                    text.is_some() && text == self.text_of(std::slice::from_ref(right))?
                }
                _ => false,
            };
            if !equal {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }
}

impl<'d, 'a> Item<'d, 'a> {
    /// The text, number, boolean or date that an item is.
    pub(super) fn scalar(self) -> Option<Self> {
        match self {
            Item::Nothing => None,
            Item::Node(node) => node.scalar(),
            other => Some(other),
        }
    }
}

/// The only item, if there is one.
pub(super) fn single<'i, 'd, 'a>(
    items: &'i [Item<'d, 'a>],
) -> Result<Option<&'i Item<'d, 'a>>, Stop> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(Stop::Several),
    }
}

fn is_a(item: &Item<'_, '_>, name: &str) -> bool {
    match item {
        Item::Nothing => false,
        Item::Node(node) => node.is_a(name),
        Item::Text(_) => is_system_name(name, "string"),
        Item::Bool(_) => is_system_name(name, "boolean"),
        Item::Number(amount) => match amount.is_integer() {
            true => is_system_name(name, "integer"),
            false => is_system_name(name, "decimal"),
        },
        Item::Date(_) => is_system_name(name, "date") || is_system_name(name, "dateTime"),
    }
}

fn logic(operator: Operator, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (operator, left, right) {
        (Operator::And, Some(false), _) | (Operator::And, _, Some(false)) => Some(false),
        (Operator::And, Some(true), Some(true)) => Some(true),
        (Operator::Or, Some(true), _) | (Operator::Or, _, Some(true)) => Some(true),
        (Operator::Or, Some(false), Some(false)) => Some(false),
        (Operator::Xor, Some(a), Some(b)) => Some(a != b),
        (Operator::Implies, Some(false), _) | (Operator::Implies, _, Some(true)) => Some(true),
        (Operator::Implies, Some(true), Some(false)) => Some(false),
        _ => None,
    }
}

fn arithmetic<'d, 'a>(
    operator: Operator,
    left: &[Item<'d, 'a>],
    right: &[Item<'d, 'a>],
) -> Found<'d, 'a> {
    let scalar = |items| -> Result<_, Stop> { Ok(single(items)?.cloned().and_then(Item::scalar)) };
    Ok(match (operator, scalar(left)?, scalar(right)?) {
        (Operator::Plus, Some(Item::Text(a)), Some(Item::Text(b))) => {
            vec![Item::Text(format!("{a}{b}").into())]
        }
        (_, Some(Item::Number(a)), Some(Item::Number(b))) => {
            let result = match operator {
                Operator::Plus => a.plus(b),
                Operator::Minus => a.minus(b),
                _ => a.times(b),
            };
            result.map(Item::Number).into_iter().collect()
        }
        _ => Vec::new(),
    })
}

fn compare(left: &Item<'_, '_>, right: &Item<'_, '_>) -> Option<Ordering> {
    if let (Item::Node(left), Item::Node(right)) = (left, right)
        && let (Some((a, unit)), Some((b, other))) = (left.quantity(), right.quantity())
    {
        return a.compare(b).filter(|_| unit == other);
    }
    match (left.clone().scalar()?, right.clone().scalar()?) {
        (Item::Text(a), Item::Text(b)) => Some(a.cmp(&b)),
        (Item::Number(a), Item::Number(b)) => a.compare(b),
        (Item::Date(a), Item::Date(b)) => a.compare(&b),
        _ => None,
    }
}
