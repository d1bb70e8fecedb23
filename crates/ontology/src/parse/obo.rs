//! `hp.obo`: the OBO flat file format 1.2, the tags that HPO uses.
//!
//! Tags without a meaning here (`xref`, `comment`, `property_value`, ...) are passed over, as the
//! format asks; each line must still be `tag: value`. Other stanzas than `[Term]` are passed over.

use crate::{
    id::HpoId,
    profile::words,
    source::{ImportError, Line, Problem, Source, field},
};

words! {
    /// How a synonym's meaning relates to its term's.
    Scope {
        /// The same.
        Exact = "EXACT",
        /// Narrower than the term.
        Narrow = "NARROW",
        /// Broader than the term.
        Broad = "BROAD",
        /// Related.
        Related = "RELATED",
    }
}

words! {
    /// What kind of word a synonym is.
    SynonymKind {
        /// A professional's word.
        Plain = "",
        /// A lay person's word.
        Layperson = "layperson",
        /// An abbreviation.
        Abbreviation = "abbreviation",
        /// The British spelling.
        UkSpelling = "uk_spelling",
        /// A plural.
        Plural = "plural_form",
        /// A word no longer in use.
        ObsoleteWord = "obsolete_synonym",
        /// A name of a mode of inheritance in variant databases.
        AllelicRequirement = "HP:0034334",
    }
}

/// The file.
pub(crate) struct Obo {
    pub(crate) version: String,
    pub(crate) terms: Vec<OboTerm>,
}

/// One `[Term]` stanza.
#[derive(Default)]
pub(crate) struct OboTerm {
    pub(crate) line: u32,
    pub(crate) id: Option<HpoId>,
    pub(crate) label: String,
    pub(crate) definition: String,
    pub(crate) synonyms: Vec<(String, Scope, SynonymKind)>,
    pub(crate) parents: Vec<(u32, HpoId)>,
    pub(crate) alternatives: Vec<(u32, HpoId)>,
    pub(crate) replaced_by: Vec<(u32, HpoId)>,
    pub(crate) consider: Vec<(u32, HpoId)>,
    pub(crate) obsolete: bool,
}

const ID: &str = "HP: and seven digits";

pub(crate) fn parse(source: &Source<'_>) -> Result<Obo, ImportError> {
    let mut version = String::new();
    let mut terms: Vec<OboTerm> = Vec::new();
    let mut stanza = Stanza::Header;
    for line in source.lines()? {
        let text = line.text.trim_end();
        if text.is_empty() || text.starts_with('!') {
            continue;
        }
        if text.starts_with('[') {
            finish(&terms, &stanza, source)?;
            stanza = match text {
                "[Term]" => Stanza::Term,
                _ if text.ends_with(']') => Stanza::Other,
                _ => {
                    return Err(
                        source.error(line.at, Problem::Expected("a stanza name in brackets"))
                    );
                }
            };
            if stanza == Stanza::Term {
                terms.push(OboTerm {
                    line: line.at,
                    ..OboTerm::default()
                });
            }
            continue;
        }
        let (tag, value) = text
            .split_once(':')
            .map(|(tag, value)| (tag, value.trim_start()))
            .filter(|(tag, value)| !tag.is_empty() && !value.is_empty() && !tag.contains(' '))
            .ok_or_else(|| source.error(line.at, Problem::Expected("tag: value")))?;
        match (&stanza, terms.last_mut()) {
            (Stanza::Header, _) if tag == "data-version" => value.clone_into(&mut version),
            (Stanza::Term, Some(term)) => {
                read(term, tag, value, line).map_err(|p| source.error(line.at, p))?;
            }
            _ => {}
        }
    }
    finish(&terms, &stanza, source)?;
    if version.is_empty() {
        return Err(source.error(0, Problem::Missing("data-version")));
    }
    if terms.is_empty() {
        return Err(source.error(0, Problem::Missing("[Term]")));
    }
    Ok(Obo { version, terms })
}

#[derive(PartialEq)]
enum Stanza {
    Header,
    Term,
    Other,
}

/// The stanza that ends here must have an id and a name.
fn finish(terms: &[OboTerm], stanza: &Stanza, source: &Source<'_>) -> Result<(), ImportError> {
    match terms.last() {
        Some(term) if *stanza == Stanza::Term && term.id.is_none() => {
            Err(source.error(term.line, Problem::Missing("id in this stanza")))
        }
        Some(term) if *stanza == Stanza::Term && term.label.is_empty() => {
            Err(source.error(term.line, Problem::Missing("name in this stanza")))
        }
        _ => Ok(()),
    }
}

fn read(term: &mut OboTerm, tag: &str, value: &str, line: Line<'_>) -> Result<(), Problem> {
    match tag {
        "id" if term.id.is_some() => return Err(Problem::Twice("id".into())),
        "id" => term.id = Some(field("id", value, ID)?),
        "name" if !term.label.is_empty() => return Err(Problem::Twice("name".into())),
        "name" => term.label = unescape(value),
        "def" => {
            let (text, rest) = quoted(value).ok_or(Problem::Expected("def: \"text\" [sources]"))?;
            brackets(rest)?;
            term.definition = text;
        }
        "synonym" => term.synonyms.push(synonym(value)?),
        "is_a" => term.parents.push((line.at, id("is_a", value)?)),
        "alt_id" => term.alternatives.push((line.at, id("alt_id", value)?)),
        "replaced_by" => term.replaced_by.push((line.at, id("replaced_by", value)?)),
        "consider" => term.consider.push((line.at, id("consider", value)?)),
        "is_obsolete" => {
            term.obsolete = match value {
                "true" => true,
                "false" => false,
                _ => return Err(Problem::value("is_obsolete", value, "true or false")),
            }
        }
        _ => {}
    }
    Ok(())
}

/// An id, and after it a comment or trailing modifiers.
fn id(tag: &'static str, value: &str) -> Result<HpoId, Problem> {
    let end = value.find([' ', '{', '!']).unwrap_or(value.len());
    field(tag, &value[..end], ID)
}

/// `"text" SCOPE [type] [sources]`
fn synonym(value: &str) -> Result<(String, Scope, SynonymKind), Problem> {
    const FORM: Problem = Problem::Expected("synonym: \"text\" SCOPE type [sources]");
    let (text, rest) = quoted(value).ok_or(FORM)?;
    let open = rest.find('[').ok_or(FORM)?;
    brackets(&rest[open..])?;
    let mut words = rest[..open].split_whitespace();
    let scope = words.next().ok_or(FORM)?;
    let scope = Scope::from_word(scope)
        .ok_or_else(|| Problem::value("scope", scope, "EXACT, NARROW, BROAD or RELATED"))?;
    let kind = words.next().unwrap_or("");
    let kind = SynonymKind::from_word(kind).ok_or_else(|| {
        Problem::value("synonym type", kind, "one of the types that HPO declares")
    })?;
    if words.next().is_some() || text.trim().is_empty() {
        return Err(FORM);
    }
    Ok((text, scope, kind))
}

/// The sources after a text: `[...]`, perhaps with trailing modifiers.
fn brackets(rest: &str) -> Result<(), Problem> {
    let rest = rest.trim();
    if rest.starts_with('[') && rest.contains(']') {
        Ok(())
    } else {
        Err(Problem::Expected("sources in brackets after the text"))
    }
}

/// A quoted text without its escapes, and what follows it.
fn quoted(value: &str) -> Option<(String, &str)> {
    let inner = value.strip_prefix('"')?;
    let mut escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((unescape(&inner[..at]), &inner[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n' | 't' | 'W') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}
