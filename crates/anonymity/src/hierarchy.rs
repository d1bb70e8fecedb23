//! A generalisation hierarchy: for each value of a column (a *leaf*) what it becomes at each level.
//!
//! Level 0 is the value itself; the highest level has one value, `*`, and is added where it is missing.
//! Levels are nested: what is equal at one level is equal at all higher ones; and a text stands for one set
//! of leaves only. Both are checked as the hierarchy is made, with the line that is at fault, since without
//! them neither classes nor losses mean anything. What a generalised value has lost is the share of the leaves
//! that it covers ([`Hierarchy::covered`]).
//!
//! Sources: the CSV form is ARX's (`;` between levels, leaf first, one leaf a line).

#![expect(
    clippy::cast_possible_truncation,
    reason = "leaves and levels are bounded by MAX_LEAVES and MAX_LEVELS"
)]

use crate::delimited::{self, LineError};
use std::{borrow::Cow, collections::HashMap};

/// More values of one column are refused.
pub const MAX_LEAVES: usize = 1 << 20;
/// More levels are refused.
pub const MAX_LEVELS: usize = 32;
/// What everything generalises to.
pub const ANY: &str = "*";

/// Why a hierarchy is refused; the text of values is shown, for a hierarchy is no patient data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct HierarchyError {
    /// From 1; of a hierarchy that was not read from text, the leaf's place.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line of a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not one leaf.
    #[error("the hierarchy is empty")]
    Empty,
    /// The line is malformed.
    #[error("{0}")]
    Line(LineError),
    /// Lines differ in their number of levels.
    #[error("{found} levels where the first line has {expected}")]
    Ragged {
        /// Of the first line.
        expected: usize,
        /// Of this line.
        found: usize,
    },
    /// A leaf stands twice.
    #[error("'{value}' is on line {first} already")]
    Repeated {
        /// The leaf.
        value: String,
        /// Where it was first.
        first: usize,
    },
    /// Equal at a level, but not above it.
    #[error(
        "'{value}' becomes '{becomes}' at level {level} here and '{other}' on line {first}: what is equal at one level must be equal above it"
    )]
    NotNested {
        /// The value one level below.
        value: String,
        /// The level where lines part, from 0.
        level: usize,
        /// Its value here.
        becomes: String,
        /// Its value on the earlier line.
        other: String,
        /// The earlier line.
        first: usize,
    },
    /// One text for two sets of leaves.
    #[error("'{value}' at level {level} stands for other values than at level {other}")]
    Ambiguous {
        /// The text.
        value: String,
        /// Where it is met, from 0.
        level: usize,
        /// Where it was met before.
        other: usize,
    },
    /// Beyond [`MAX_LEAVES`] or [`MAX_LEVELS`].
    #[error("more than {MAX_LEAVES} values or {MAX_LEVELS} levels")]
    Large,
    /// Widths of intervals that do not nest.
    #[error("{width} is no multiple of the next smaller width")]
    Width {
        /// The width at fault.
        width: u32,
    },
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    index: HashMap<String, u32>,
    levels: Vec<Level>,
    /// Whole numbers from here on are the last leaf.
    pooled_from: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Level {
    /// Of each leaf, its value's code at this level.
    codes: Vec<u32>,
    /// By code.
    values: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    text: String,
    leaves: u32,
    /// Any leaf of it.
    leaf: u32,
}

impl Hierarchy {
    /// Reads ARX's form.
    pub fn parse(text: &str) -> Result<Self, HierarchyError> {
        let mut rows = Vec::new();
        for (line, content) in delimited::lines(text) {
            let fields = delimited::fields(content, ';').map_err(|e| HierarchyError {
                line,
                problem: Problem::Line(e),
            })?;
            rows.push((line, fields));
        }
        Self::of(&rows)
    }

    /// From rows of texts, leaf first.
    pub fn from_rows<S: AsRef<str>>(rows: &[Vec<S>]) -> Result<Self, HierarchyError> {
        let rows: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let row = row.iter().map(|s| Cow::Borrowed(s.as_ref())).collect();
                (at + 1, row)
            })
            .collect();
        Self::of(&rows)
    }

    /// The values themselves, and `*` above them.
    pub fn flat<S: AsRef<str>>(values: &[S]) -> Result<Self, HierarchyError> {
        let rows: Vec<_> = values.iter().map(|v| vec![v.as_ref()]).collect();
        Self::from_rows(&rows)
    }

    /// Whole numbers from `0` to `below - 1` (years of age), in intervals of each of `widths` (ascending, each a
    /// multiple of the one before it), and one leaf `below+` for all from there on, which no interval splits.
    pub fn intervals(below: u32, widths: &[u32]) -> Result<Self, HierarchyError> {
        let fault = |problem| HierarchyError { line: 1, problem };
        if below as usize >= MAX_LEAVES {
            return Err(fault(Problem::Large));
        }
        let mut smaller = 1;
        for width in widths {
            if *width <= smaller || width % smaller != 0 {
                return Err(fault(Problem::Width { width: *width }));
            }
            smaller = *width;
        }
        let pooled = format!("{below}+");
        let row = |age: u32| {
            let of = |width: &u32| {
                let from = age / width * width;
                let to = (from + width).min(below) - 1;
                if from == to {
                    from.to_string()
                } else {
                    format!("{from}-{to}")
                }
            };
            let mut row = vec![age.to_string()];
            row.extend(widths.iter().map(of));
            row
        };
        let mut rows: Vec<_> = (0..below).map(row).collect();
        rows.push(vec![pooled; widths.len() + 1]);
        let mut made = Self::from_rows(&rows)?;
        made.pooled_from = Some(below);
        Ok(made)
    }

    /// How many levels, the value itself and `*` counted.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// How many values the column may have: the leaves.
    pub fn leaves(&self) -> usize {
        self.levels[0].codes.len()
    }

    /// How many different values a level has.
    pub fn width(&self, level: usize) -> usize {
        self.levels[level].values.len()
    }

    /// The leaf of a text, by its place.
    pub fn leaf(&self, text: &str) -> Option<u32> {
        if let Some(from) = self.pooled_from
            && let Ok(number) = text.parse::<u32>()
            && number >= from
        {
            return Some(self.leaves() as u32 - 1);
        }
        self.index.get(text).copied()
    }

    /// The code of a leaf's value at a level.
    pub fn code(&self, level: usize, leaf: u32) -> u32 {
        self.levels[level].codes[leaf as usize]
    }

    /// The text of a leaf at a level.
    pub fn text(&self, level: usize, leaf: u32) -> &str {
        &self.value(level, leaf).text
    }

    /// How many leaves a leaf's value at a level covers.
    pub fn covered(&self, level: usize, leaf: u32) -> u32 {
        self.value(level, leaf).leaves
    }

    /// Where a text stands: the lowest level that has it and a leaf below it.
    pub fn find(&self, text: &str) -> Option<(usize, u32)> {
        if let Some(leaf) = self.leaf(text) {
            return Some((0, leaf));
        }
        self.levels.iter().enumerate().find_map(|(level, l)| {
            let value = l.values.iter().find(|value| value.text == text)?;
            Some((level, value.leaf))
        })
    }

    fn value(&self, level: usize, leaf: u32) -> &Value {
        let level = &self.levels[level];
        &level.values[level.codes[leaf as usize] as usize]
    }

    fn of(rows: &[(usize, Vec<Cow<'_, str>>)]) -> Result<Self, HierarchyError> {
        let fault = |line, problem| Err(HierarchyError { line, problem });
        let Some((_, first)) = rows.first() else {
            return fault(1, Problem::Empty);
        };
        if rows.len() > MAX_LEAVES || first.len() >= MAX_LEVELS {
            return fault(1, Problem::Large);
        }
        let mut index = HashMap::with_capacity(rows.len());
        for (leaf, (line, row)) in rows.iter().enumerate() {
            if row.len() != first.len() {
                let (expected, found) = (first.len(), row.len());
                return fault(*line, Problem::Ragged { expected, found });
            }
            if let Some(earlier) = index.insert(row[0].to_string(), leaf as u32) {
                let value = row[0].to_string();
                let first = rows[earlier as usize].0;
                return fault(*line, Problem::Repeated { value, first });
            }
        }
        let mut levels: Vec<Level> = Vec::with_capacity(first.len() + 1);
        for level in 0..first.len() {
            let next = level_of(rows, level, levels.last())?;
            levels.push(next);
        }
        if levels.last().is_some_and(|top| top.values.len() > 1) {
            levels.push(Level {
                codes: vec![0; rows.len()],
                values: vec![Value {
                    text: ANY.to_owned(),
                    leaves: rows.len() as u32,
                    leaf: 0,
                }],
            });
        }
        unambiguous(rows, &levels)?;
        Ok(Self {
            index,
            levels,
            pooled_from: None,
        })
    }
}

fn level_of(
    rows: &[(usize, Vec<Cow<'_, str>>)],
    level: usize,
    below: Option<&Level>,
) -> Result<Level, HierarchyError> {
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut values: Vec<Value> = Vec::new();
    let mut codes = Vec::with_capacity(rows.len());
    for (leaf, (line, row)) in rows.iter().enumerate() {
        let text = row[level].as_ref();
        let code = *known.entry(text).or_insert_with(|| {
            values.push(Value {
                text: text.to_owned(),
                leaves: 0,
                leaf: leaf as u32,
            });
            values.len() as u32 - 1
        });
        values[code as usize].leaves += 1;
        codes.push(code);
        let Some(below) = below else { continue };
        let child = &below.values[below.codes[leaf] as usize];
        let first = child.leaf as usize;
        if codes[first] != code {
            return Err(HierarchyError {
                line: *line,
                problem: Problem::NotNested {
                    value: child.text.clone(),
                    level,
                    becomes: text.to_owned(),
                    other: rows[first].1[level].to_string(),
                    first: rows[first].0,
                },
            });
        }
    }
    Ok(Level { codes, values })
}

fn unambiguous(
    rows: &[(usize, Vec<Cow<'_, str>>)],
    levels: &[Level],
) -> Result<(), HierarchyError> {
    let mut met: HashMap<&str, (usize, u32, u32)> = HashMap::new();
    for (level, content) in levels.iter().enumerate() {
        for (code, value) in content.values.iter().enumerate() {
            let text = value.text.as_str();
            let whole = value.leaves as usize == rows.len();
            let (other, leaf, leaves) =
                *met.entry(text).or_insert((level, value.leaf, value.leaves));
            // Levels are nested, so the same size and one leaf in common make the same set.
            let same = leaves == value.leaves && content.codes[leaf as usize] as usize == code;
            if !same || (text == ANY && !whole) {
                let value = text.to_owned();
                return Err(HierarchyError {
                    line: rows[leaf as usize].0,
                    problem: Problem::Ambiguous {
                        value,
                        level,
                        other,
                    },
                });
            }
        }
    }
    Ok(())
}
