//! A table in memory: columns of codes (`u32`), each with its dictionary and its role.
//!
//! A column of `n` rows takes `4 n` bytes and its dictionary; an identifying one keeps nothing. Rows are pushed
//! one after the other, so that the source need not be in memory. No message and no `Debug` shows a value.

#![expect(
    clippy::cast_possible_truncation,
    reason = "rows and dictionaries are bounded by MAX_ROWS"
)]

use crate::{
    delimited::{self, LineError},
    hierarchy::{Hierarchy, HierarchyError},
};
use std::{collections::HashMap, fmt, sync::Arc};

/// More rows are refused.
pub const MAX_ROWS: usize = 1 << 28;

/// What a column is to somebody who would know a person again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names a person: never kept, never released.
    Identifying,
    /// May be known to others, and together with others of its kind tells who somebody is.
    Quasi(Arc<Hierarchy>),
    /// What must not be learnt of a person.
    Sensitive,
    /// Released as it is.
    Insensitive,
}

/// Why rows are refused. Values are not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Other fields than columns.
    #[error("row {row}: {found} fields for {expected} columns")]
    Fields {
        /// From 1.
        row: usize,
        /// How many columns there are.
        expected: usize,
        /// How many fields came.
        found: usize,
    },
    /// A value of a quasi-identifier that its hierarchy lacks.
    #[error("row {row}, column '{column}': the hierarchy does not have this value")]
    NotInHierarchy {
        /// From 1.
        row: usize,
        /// The column's name.
        column: String,
    },
    /// Two columns of one name.
    #[error("two columns are called '{0}'")]
    Repeated(String),
    /// A text without its first line, or one that lacks a column.
    #[error("the first line does not name column '{0}'")]
    NoColumn(String),
    /// A line that is no row.
    #[error("line {line}: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong there.
        problem: LineError,
    },
    /// More than [`MAX_ROWS`].
    #[error("more than {MAX_ROWS} rows")]
    Large,
    /// The values of a plain quasi-identifier make no hierarchy.
    #[error("column '{column}': {problem}")]
    Plain {
        /// The column's name.
        column: String,
        /// What is wrong with its values.
        problem: HierarchyError,
    },
}

/// See the module.
#[derive(Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
}

/// One column.
#[derive(Clone)]
pub struct Column {
    name: String,
    role: Role,
    codes: Vec<u32>,
    /// Empty where the hierarchy has the texts.
    dictionary: Vec<String>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        write!(f, "Table({} rows of {names:?}, <redacted>)", self.rows)
    }
}

impl Table {
    /// Begins a table without columns.
    pub fn builder() -> Builder {
        Builder {
            columns: Vec::new(),
            rows: 0,
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// In their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The quasi-identifying columns with their hierarchies.
    pub fn quasi(&self) -> impl Iterator<Item = (&Column, &Arc<Hierarchy>)> {
        self.columns.iter().filter_map(|c| match &c.role {
            Role::Quasi(hierarchy) => Some((c, hierarchy)),
            _ => None,
        })
    }
}

impl Column {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// One a row; of a quasi-identifier the leaf of its hierarchy; none where the column is identifying.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The text of a code; empty for a code that the column does not have.
    pub fn text(&self, code: u32) -> &str {
        match &self.role {
            Role::Quasi(hierarchy) => hierarchy.text(0, code),
            _ => self.dictionary.get(code as usize).map_or("", |s| s),
        }
    }

    /// How many codes there may be: those from 0 to one less.
    pub fn cardinality(&self) -> usize {
        match &self.role {
            Role::Quasi(hierarchy) => hierarchy.leaves(),
            _ => self.dictionary.len(),
        }
    }
}

/// Columns first, then rows.
pub struct Builder {
    columns: Vec<Growing>,
    rows: usize,
}

struct Growing {
    column: Column,
    /// A quasi-identifier whose hierarchy is made of what comes.
    plain: bool,
    known: HashMap<String, u32>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({} rows, <redacted>)", self.rows)
    }
}

impl Builder {
    /// A column that names people; its values are dropped.
    pub fn identifying(self, name: impl Into<String>) -> Self {
        self.with(name.into(), Role::Identifying, false)
    }

    /// A quasi-identifier with its hierarchy.
    pub fn quasi(self, name: impl Into<String>, hierarchy: impl Into<Arc<Hierarchy>>) -> Self {
        self.with(name.into(), Role::Quasi(hierarchy.into()), false)
    }

    /// A quasi-identifier whose values may only be kept or dropped, and need not be known beforehand.
    pub fn quasi_plain(self, name: impl Into<String>) -> Self {
        self.with(name.into(), Role::Insensitive, true)
    }

    /// A column that must not be learnt of a person.
    pub fn sensitive(self, name: impl Into<String>) -> Self {
        self.with(name.into(), Role::Sensitive, false)
    }

    /// A column that is released as it is.
    pub fn insensitive(self, name: impl Into<String>) -> Self {
        self.with(name.into(), Role::Insensitive, false)
    }

    /// Appends one row: a text for each column, in their order.
    pub fn push<S: AsRef<str>>(&mut self, row: &[S]) -> Result<(), TableError> {
        let number = self.rows + 1;
        if number > MAX_ROWS {
            return Err(TableError::Large);
        }
        if row.len() != self.columns.len() {
            return Err(TableError::Fields {
                row: number,
                expected: self.columns.len(),
                found: row.len(),
            });
        }
        // All or nothing: codes first, so that a refused row leaves no half of itself.
        let mut codes = Vec::with_capacity(row.len());
        for (growing, text) in self.columns.iter().zip(row) {
            codes.push(match &growing.column.role {
                Role::Quasi(hierarchy) => {
                    hierarchy
                        .leaf(text.as_ref())
                        .ok_or_else(|| TableError::NotInHierarchy {
                            row: number,
                            column: growing.column.name.clone(),
                        })?
                }
                _ => 0,
            });
        }
        for ((growing, text), code) in self.columns.iter_mut().zip(row).zip(codes) {
            match &growing.column.role {
                Role::Identifying => {}
                Role::Quasi(_) => growing.column.codes.push(code),
                Role::Sensitive | Role::Insensitive => growing.push(text.as_ref()),
            }
        }
        self.rows = number;
        Ok(())
    }

    /// Appends the rows of a text whose first line names the columns, in any order; columns of the text that were
    /// not declared are passed over.
    pub fn push_delimited(&mut self, text: &str, separator: char) -> Result<(), TableError> {
        let mut lines = delimited::lines(text);
        let split = |line: usize, content| {
            delimited::fields(content, separator)
                .map_err(|problem| TableError::Line { line, problem })
        };
        let (number, first) = lines.next().unwrap_or((1, ""));
        let names = split(number, first)?;
        let mut places = Vec::new();
        for growing in &self.columns {
            let name = &growing.column.name;
            let place = names.iter().position(|n| n == name);
            places.push(place.ok_or_else(|| TableError::NoColumn(name.clone()))?);
        }
        for (number, line) in lines {
            let fields = split(number, line)?;
            if fields.len() != names.len() {
                return Err(TableError::Fields {
                    row: self.rows + 1,
                    expected: names.len(),
                    found: fields.len(),
                });
            }
            let row: Vec<&str> = places.iter().map(|place| fields[*place].as_ref()).collect();
            self.push(&row)?;
        }
        Ok(())
    }

    /// The table, of as many rows as came, also none.
    pub fn build(self) -> Result<Table, TableError> {
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len());
        for growing in self.columns {
            let mut column = growing.column;
            if columns.iter().any(|c| c.name == column.name) {
                return Err(TableError::Repeated(column.name));
            }
            if growing.plain && !column.dictionary.is_empty() {
                let made = Hierarchy::flat(&column.dictionary).map_err(|problem| {
                    let column = column.name.clone();
                    TableError::Plain { column, problem }
                })?;
                column.role = Role::Quasi(Arc::new(made));
                column.dictionary = Vec::new();
            }
            column.codes.shrink_to_fit();
            columns.push(column);
        }
        Ok(Table {
            columns,
            rows: self.rows,
        })
    }

    fn with(mut self, name: String, role: Role, plain: bool) -> Self {
        self.columns.push(Growing {
            column: Column {
                name,
                role,
                codes: Vec::new(),
                dictionary: Vec::new(),
            },
            plain,
            known: HashMap::new(),
        });
        self
    }
}

impl Growing {
    fn push(&mut self, text: &str) {
        let code = match self.known.get(text) {
            Some(code) => *code,
            None => {
                let code = self.column.dictionary.len() as u32;
                self.column.dictionary.push(text.to_owned());
                self.known.insert(text.to_owned(), code);
                code
            }
        };
        self.column.codes.push(code);
    }
}
