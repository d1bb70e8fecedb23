//! The words of an expression.

use super::parser::Unknown;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, also one between backticks.
    Name(String),
    /// A text between quotation marks.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// A date or time after `@`, as it is written.
    Date(String),
    /// `%name`
    Variable(String),
    /// `$this` and its kin.
    Special(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "=", "~", "<", ">", "|", "&",
    "+", "-", "*", "/",
];

/// The words of an expression.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Unknown> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '`' => {
                let (text, after) = quoted(rest, first)?;
                let token = if first == '`' {
                    Token::Name(text)
                } else {
                    Token::Text(text)
                };
                (token, after)
            }
            '%' if rest.starts_with("%`") => {
                let (text, after) = quoted(rest.get(1..).unwrap_or_default(), '`')?;
                (Token::Variable(text), after)
            }
            '%' | '$' => {
                let (name, after) = word(rest.get(1..).unwrap_or_default(), is_name);
                let special = first == '$';
                let name = name.to_owned();
                (
                    if special {
                        Token::Special(name)
                    } else {
                        Token::Variable(name)
                    },
                    after,
                )
            }
            '@' => {
                let is_date = |c: char| c.is_ascii_digit() || "T:-+.Z".contains(c);
                let (date, after) = word(rest.get(1..).unwrap_or_default(), is_date);
                (Token::Date(date.trim_end_matches('.').to_owned()), after)
            }
            '0'..='9' => {
                let (whole, after) = word(rest, |c| c.is_ascii_digit());
                let fraction = after
                    .strip_prefix('.')
                    .map(|tail| word(tail, |c| c.is_ascii_digit()));
                match fraction {
                    Some((digits, after)) if !digits.is_empty() => {
                        (Token::Number(format!("{whole}.{digits}")), after)
                    }
                    _ => (Token::Number(whole.to_owned()), after),
                }
            }
            'A'..='Z' | 'a'..='z' | '_' => {
                let (name, after) = word(rest, is_name);
                (Token::Name(name.to_owned()), after)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| Unknown::new("a character"))?;
                (
                    Token::Sign(sign),
                    rest.get(sign.len()..).unwrap_or_default(),
                )
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// The text between two marks, unescaped, and what follows.
fn quoted(text: &str, mark: char) -> Result<(String, &str), Unknown> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                let escaped = letters.next().map(|(_, c)| c);
                out.push(match escaped {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('f') => '\u{c}',
                    Some('u') => {
                        let digits: String = letters.by_ref().take(4).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&digits, 16)
                            .ok()
                            .and_then(char::from_u32);
                        code.ok_or_else(|| Unknown::new("an escape"))?
                    }
                    Some(other) => other,
                    None => break,
                });
            }
            end if end == mark => return Ok((out, text.get(at + 1..).unwrap_or_default())),
            other => out.push(other),
        }
    }
    Err(Unknown::new("a text without end"))
}
