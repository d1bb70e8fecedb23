//! Expressions, parsed once.

use super::amount::{Amount, Moment};
use super::functions::Function;
use super::lexer::{Token, tokens};
use regex_lite::Regex;
use std::vec::IntoIter;

/// An expression.
#[derive(Debug)]
pub(crate) enum Expression {
    /// `$this`, and where every path starts.
    This,
    /// `%resource`
    Resource,
    /// `%rootResource`
    RootResource,
    /// `%context`
    Context,
    /// `{}`
    Nothing,
    Text(String),
    Bool(bool),
    Number(Amount),
    Date(Moment),
    /// An element of what the first expression gives.
    Member(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Call(Box<Self>, Function, Vec<Self>),
    /// `matches` and `replaceMatches` with their expression.
    Matches(Box<Self>, Box<Regex>, Option<String>),
    Is(Box<Self>, String),
    /// Those of a type: `as` and `ofType`.
    As(Box<Self>, String),
    Binary(Operator, Box<Self>, Box<Self>),
}

/// What stands between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Join,
    Plus,
    Minus,
    Times,
}

/// What of an expression is not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not known here")]
pub(crate) struct Unknown(String);

impl Unknown {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// How deep an expression may be nested; recursion ends there.
const MAX_DEPTH: usize = 40;

impl Expression {
    /// Parses an expression.
    pub(crate) fn parse(source: &str) -> Result<Self, Unknown> {
        let mut tokens = tokens(source)?.into_iter();
        let next = tokens.next();
        let mut parser = Parser {
            tokens,
            next,
            depth: 0,
        };
        let expression = parser.binary(0)?;
        match parser.next {
            None => Ok(expression),
            Some(token) => Err(Unknown::new(format!("{token:?} at the end"))),
        }
    }
}

struct Parser {
    tokens: IntoIter<Token>,
    next: Option<Token>,
    depth: usize,
}

/// The operators of each level, the loosest first.
fn operator(token: &Token) -> Option<(u8, Operator)> {
    Some(match token {
        Token::Name(name) => match name.as_str() {
            "implies" => (0, Operator::Implies),
            "or" => (1, Operator::Or),
            "xor" => (1, Operator::Xor),
            "and" => (2, Operator::And),
            "in" => (3, Operator::In),
            "contains" => (3, Operator::Contains),
            _ => return None,
        },
        Token::Sign(sign) => match *sign {
            "=" => (4, Operator::Equal),
            "!=" => (4, Operator::Unequal),
            "<" => (5, Operator::Less),
            "<=" => (5, Operator::LessOrEqual),
            ">" => (5, Operator::Greater),
            ">=" => (5, Operator::GreaterOrEqual),
            "|" => (6, Operator::Union),
            "&" => (8, Operator::Join),
            "+" => (8, Operator::Plus),
            "-" => (8, Operator::Minus),
            "*" => (9, Operator::Times),
            _ => return None,
        },
        _ => return None,
    })
}

/// The level of `is` and `as`.
const TYPES: u8 = 7;

impl Parser {
    fn advance(&mut self) -> Option<Token> {
        std::mem::replace(&mut self.next, self.tokens.next())
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(&self.next, Some(Token::Sign(next)) if *next == sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Unknown> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(Unknown::new(format!("{:?} in place of {sign}", self.next))),
        }
    }

    fn binary(&mut self, level: u8) -> Result<Expression, Unknown> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unknown::new("an expression nested so deep"));
        }
        let mut left = self.unary()?;
        while let Some(token) = &self.next {
            if let (Token::Name(name), true) = (token, level <= TYPES)
                && let "is" | "as" = name.as_str()
            {
                let is = name == "is";
                self.advance();
                let of = self.type_name()?;
                left = match is {
                    true => Expression::Is(Box::new(left), of),
                    false => Expression::As(Box::new(left), of),
                };
                continue;
            }
            let Some((own, operator)) = operator(token).filter(|(own, _)| *own >= level) else {
                break;
            };
            self.advance();
            let right = self.binary(own + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Unknown> {
        if self.takes("-") {
            let zero = Box::new(Expression::Number(Amount::from(0)));
            let right = Box::new(self.postfix()?);
            return Ok(Expression::Binary(Operator::Minus, zero, right));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Expression, Unknown> {
        let mut expression = self.term()?;
        loop {
            if self.takes(".") {
                expression = match self.advance() {
                    Some(Token::Name(name)) => self.member(expression, name)?,
                    other => return Err(Unknown::new(format!("{other:?} after a point"))),
                };
            } else if self.takes("[") {
                let index = self.binary(0)?;
                self.expect("]")?;
                expression = Expression::Index(Box::new(expression), Box::new(index));
            } else {
                return Ok(expression);
            }
        }
    }

    fn term(&mut self) -> Result<Expression, Unknown> {
        Ok(match self.advance() {
            Some(Token::Sign("(")) => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                inner
            }
            Some(Token::Sign("{")) => {
                self.expect("}")?;
                Expression::Nothing
            }
            Some(Token::Text(text)) => Expression::Text(text),
            Some(Token::Number(digits)) => {
                if matches!(self.next, Some(Token::Text(_))) {
                    return Err(Unknown::new("a quantity"));
                }
                let amount = Amount::read(&digits);
                Expression::Number(amount.ok_or_else(|| Unknown::new("a number so long"))?)
            }
            Some(Token::Date(text)) => {
                let date = Moment::read(&text);
                Expression::Date(date.ok_or_else(|| Unknown::new("a date of this form"))?)
            }
            Some(Token::Variable(name)) => match name.as_str() {
                "resource" => Expression::Resource,
                "rootResource" => Expression::RootResource,
                "context" => Expression::Context,
                "ucum" => Expression::Text("http://unitsofmeasure.org".into()),
                "sct" => Expression::Text("http://snomed.info/sct".into()),
                "loinc" => Expression::Text("http://loinc.org".into()),
                other => return Err(Unknown::new(format!("%{other}"))),
            },
            Some(Token::Special(name)) if name == "this" => Expression::This,
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Expression::Bool(true),
                "false" => Expression::Bool(false),
                _ => self.member(Expression::This, name)?,
            },
            other => return Err(Unknown::new(format!("{other:?}"))),
        })
    }

    /// A name after a point: an element, or a function when a bracket follows.
    fn member(&mut self, base: Expression, name: String) -> Result<Expression, Unknown> {
        if !self.takes("(") {
            return Ok(Expression::Member(Box::new(base), name));
        }
        if matches!(name.as_str(), "is" | "as" | "ofType") {
            let of = self.type_name()?;
            self.expect(")")?;
            return Ok(match name.as_str() {
                "is" => Expression::Is(Box::new(base), of),
                _ => Expression::As(Box::new(base), of),
            });
        }
        let mut arguments = Vec::new();
        while !self.takes(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(self.binary(0)?);
        }
        if let "matches" | "replaceMatches" = name.as_str() {
            return matches(base, &name, &arguments);
        }
        let function = Function::named(&name, arguments.len());
        let function = function.ok_or_else(|| Unknown::new(format!("{name}()")))?;
        Ok(Expression::Call(Box::new(base), function, arguments))
    }

    /// A type, with or without the name of its model.
    fn type_name(&mut self) -> Result<String, Unknown> {
        let Some(Token::Name(name)) = self.advance() else {
            return Err(Unknown::new("a type without name"));
        };
        match matches!(name.as_str(), "FHIR" | "System") && self.takes(".") {
            true => self.type_name(),
            false => Ok(name),
        }
    }
}

fn matches(base: Expression, name: &str, arguments: &[Expression]) -> Result<Expression, Unknown> {
    let (pattern, by) = match (name, arguments) {
        ("matches", [Expression::Text(pattern)]) => (pattern, None),
        ("replaceMatches", [Expression::Text(pattern), Expression::Text(by)]) => {
            (pattern, Some(by.clone()))
        }
        _ => return Err(Unknown::new(format!("{name}() without a fixed text"))),
    };
    // Some patterns escape characters that need no escape.
    let pattern = ["/", "@", "'", "\""]
        .iter()
        .fold(pattern.clone(), |text, c| {
            text.replace(&format!("\\{c}"), c)
        });
    let regex = Regex::new(&format!("(?s){pattern}"));
    let regex = regex.map_err(|_| Unknown::new("a regular expression of this form"))?;
    Ok(Expression::Matches(Box::new(base), Box::new(regex), by))
}
