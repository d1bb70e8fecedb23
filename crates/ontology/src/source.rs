//! The original files as they come in: bounded, UTF-8, line by line, with errors that name file
//! and line.

use crate::tables::SourceKind;
use std::str::FromStr;

/// The largest accepted source file, in bytes.
pub const MAX_SOURCE_BYTES: usize = 512 << 20;
/// The longest accepted line, in bytes.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// The largest accepted number of lines of a source file.
pub const MAX_LINES: usize = 4_000_000;

/// One original file, unpacked.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// How errors name it, usually its file name.
    pub name: &'a str,
    /// Its version, for files that do not carry one; empty to take the file's own.
    pub version: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The original files that [`crate::compile`] reads.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// `hp.obo` of the Human Phenotype Ontology.
    pub hp_obo: Source<'a>,
    /// `phenotype.hpoa` of the same release.
    pub hpoa: Source<'a>,
    /// `genes_to_phenotype.txt` of the same release.
    pub genes_to_phenotype: Source<'a>,
    /// Orphanet's disorders, one JSON object a line.
    pub orphanet: Source<'a>,
    /// Mondo's exact matches to OMIM (SSSOM).
    pub mondo_omim: Source<'a>,
    /// Mondo's exact matches to Orphanet (SSSOM).
    pub mondo_orphanet: Source<'a>,
    /// `loinc2hpo-annotations.tsv`.
    pub loinc: Source<'a>,
}

impl<'a> Sources<'a> {
    /// Each source by its kind.
    pub fn from_fn(of: impl Fn(SourceKind) -> Source<'a>) -> Self {
        Self {
            hp_obo: of(SourceKind::Hpo),
            hpoa: of(SourceKind::Annotations),
            genes_to_phenotype: of(SourceKind::Genes),
            orphanet: of(SourceKind::Orphanet),
            mondo_omim: of(SourceKind::MondoOmim),
            mondo_orphanet: of(SourceKind::MondoOrphanet),
            loinc: of(SourceKind::Loinc),
        }
    }
}

/// A source file that was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct ImportError {
    /// The file, as [`Source::name`] names it.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a line or a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file or a line is larger than is accepted, or there is too much of something.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes that are not UTF-8 text.
    #[error("not UTF-8 text")]
    NotText,
    /// A control character other than the tabulator.
    #[error("a control character")]
    Control,
    /// A line that is not what the format asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A table line with another number of columns.
    #[error("{found} columns, expected {expected}")]
    Columns {
        /// In the line.
        found: usize,
        /// In the format.
        expected: usize,
    },
    /// A value that is not what its field asks for.
    #[error("{field} is '{found}', expected {expected}")]
    Value {
        /// Which field.
        field: &'static str,
        /// The value, cut after 60 characters.
        found: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// JSON that is not the expected object.
    #[error("not the expected JSON: {0}")]
    Json(String),
    /// The same thing twice.
    #[error("{0} appears twice")]
    Twice(String),
    /// A term that the ontology file does not know.
    #[error("{0} is not a term of the ontology file")]
    UnknownTerm(String),
    /// A term that is its own ancestor.
    #[error("{0} is its own ancestor")]
    Cycle(String),
    /// Something that the file must have is not there.
    #[error("no {0}")]
    Missing(&'static str),
}

impl Problem {
    pub(crate) fn value(field: &'static str, found: &str, expected: &'static str) -> Self {
        Self::Value {
            field,
            found: cut(found),
            expected,
        }
    }
}

/// At most 60 characters of a text.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'a> Source<'a> {
    pub(crate) fn error(&self, line: u32, problem: Problem) -> ImportError {
        ImportError {
            file: self.name.to_owned(),
            line,
            problem,
        }
    }

    /// Every line with its number from 1; the bounds and the encoding are checked first.
    pub(crate) fn lines(&self) -> Result<Vec<Line<'a>>, ImportError> {
        if self.bytes.len() > MAX_SOURCE_BYTES {
            return Err(self.error(
                0,
                Problem::TooMuch {
                    what: "bytes",
                    limit: MAX_SOURCE_BYTES,
                },
            ));
        }
        let mut lines = Vec::new();
        for (at, bytes) in (1u32..).zip(self.bytes.split(|&b| b == b'\n')) {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if bytes.len() > MAX_LINE_BYTES {
                return Err(self.error(
                    at,
                    Problem::TooMuch {
                        what: "bytes in a line",
                        limit: MAX_LINE_BYTES,
                    },
                ));
            }
            if lines.len() == MAX_LINES {
                return Err(self.error(
                    at,
                    Problem::TooMuch {
                        what: "lines",
                        limit: MAX_LINES,
                    },
                ));
            }
            if bytes.iter().any(|&b| (b < 0x20 && b != b'\t') || b == 0x7f) {
                return Err(self.error(at, Problem::Control));
            }
            let text = std::str::from_utf8(bytes).map_err(|_| self.error(at, Problem::NotText))?;
            lines.push(Line { at, text });
        }
        if lines.last().is_some_and(|l| l.text.is_empty()) {
            lines.pop();
        }
        if lines.is_empty() {
            return Err(self.error(0, Problem::Missing("content")));
        }
        Ok(lines)
    }
}

/// One line without its end.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) at: u32,
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    /// Exactly `N` columns between tabulators.
    pub(crate) fn columns<const N: usize>(&self) -> Result<[&'a str; N], Problem> {
        let mut columns = [""; N];
        let mut found = 0;
        for column in self.text.split('\t') {
            if let Some(slot) = columns.get_mut(found) {
                *slot = column;
            }
            found += 1;
        }
        if found == N {
            Ok(columns)
        } else {
            Err(Problem::Columns { found, expected: N })
        }
    }
}

/// Parses one field.
pub(crate) fn field<T: FromStr>(
    name: &'static str,
    text: &str,
    expected: &'static str,
) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::value(name, text, expected))
}
