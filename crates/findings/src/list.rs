//! A case as a plain list of ids and names. Its rules stand at [`crate::Format::List`].

use crate::case::{CandidateGene, Note, Place, Source, Why};
use crate::gather::Gathered;
use crate::merge::{Said, Statement};
use crate::resolve::{Given, clip, hpo_id};
use crate::time::{When, class, spoken_days};
use crate::{Error, MAX_FINDINGS, MAX_GENES, MAX_LIST_BYTES};
use ontology::{HpoId, Sex, TermIx};
use phenopacket::{Pathogenicity, Status};

/// How many pieces between commas may belong to one name.
const MAX_PIECES: usize = 6;
/// What may stand right before what is absent.
const SIGNS: [char; 2] = ['-', '!'];
/// What makes a statement doubtful.
const DOUBTS: [char; 5] = ['?', '\u{b1}', '~', '=', '\u{2212}'];
/// What at the end of an item may be an answer.
const TRAILS: [char; 5] = ['-', '+', '!', ':', '\u{2013}'];
/// The words that may stand before what is absent.
const NEGATIONS: [&str; 3] = ["no ", "not ", "without "];

pub(crate) fn read(source: &[u8], case: &mut Gathered<'_>) -> Result<(), Error> {
    if source.len() > MAX_LIST_BYTES {
        return Err(Error::ListTooLarge);
    }
    let text = text(source)?;
    let mut list = List { case, items: 0 };
    for (line, text) in text.lines().enumerate() {
        list.line(text.trim(), line + 1)?;
    }
    Ok(())
}

/// The input as text; a byte order mark is passed over.
fn text(source: &[u8]) -> Result<&str, Error> {
    let line_of = |at: usize| {
        let before = source.get(..at).unwrap_or(source);
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    };
    let text = std::str::from_utf8(source).map_err(|error| Error::NotText {
        line: line_of(error.valid_up_to()),
    })?;
    let is_binary = |c: char| c.is_control() && !c.is_whitespace();
    match text.find(is_binary) {
        Some(at) => Err(Error::NotText { line: line_of(at) }),
        None => Ok(text.trim_start_matches('\u{feff}')),
    }
}

struct List<'g, 'o> {
    case: &'g mut Gathered<'o>,
    items: usize,
}

impl List<'_, '_> {
    fn line(&mut self, text: &str, line: usize) -> Result<(), Error> {
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let place = Place::Line(line);
        if let Some((key, answer)) = text.split_once(':') {
            let key = key.trim().to_ascii_lowercase();
            let answer = answer.trim();
            match key.as_str() {
                "age" => return self.age(answer, text, &place),
                "onset" => return self.onset(answer, text, &place),
                "sex" | "gender" => return self.sex(answer, text, &place),
                "gene" | "genes" => return self.genes(answer, &place),
                _ => {}
            }
        }
        for part in text.split(';') {
            self.part(part.trim(), &place, line)?;
        }
        Ok(())
    }

    /// One or more items with commas between them: the longest names that there are.
    fn part(&mut self, part: &str, place: &Place, line: usize) -> Result<(), Error> {
        let mut rest = part;
        while !rest.trim_matches([',', ' ', '\t']).is_empty() {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            let ends = rest.match_indices(',').map(|(at, _)| at);
            let ends: Vec<usize> = ends.chain([rest.len()]).take(MAX_PIECES).collect();
            let first = ends.first().copied().unwrap_or(rest.len());
            let whole = ends.iter().rev().copied().find(|&end| {
                let (_, item) = negation(unquoted(rest.get(..end).unwrap_or_default()));
                end == first || !self.case.resolver.ontology.named(item).is_empty()
            });
            let (item, tail) = rest.split_at(whole.unwrap_or(first));
            self.count(line)?;
            self.item(unquoted(item), place, line)?;
            rest = tail;
        }
        Ok(())
    }

    fn count(&mut self, line: usize) -> Result<(), Error> {
        self.items += 1;
        if self.items > MAX_FINDINGS {
            return Err(Error::TooManyItems { line });
        }
        Ok(())
    }

    fn item(&mut self, item: &str, place: &Place, line: usize) -> Result<(), Error> {
        let item = item.strip_prefix('+').unwrap_or(item).trim_start();
        // A name that begins like a negation in words ("No speech") is that name.
        let is_signed = item.starts_with(SIGNS);
        let whole = self.case.resolver.ontology.named(item);
        let (excluded, bare) = match is_signed || whole.is_empty() {
            true => negation(item),
            false => (false, item),
        };
        let given = Given {
            text: item,
            excluded,
            place,
        };
        // Names are compared without their punctuation, so what it may mean is looked at before.
        let unclear = if !bare.starts_with(|c: char| c.is_alphanumeric() || "([\"".contains(c)) {
            Some(Why::Dash)
        } else if bare.contains(DOUBTS) || bare.contains("+/-") || bare.ends_with(TRAILS) {
            Some(Why::UnclearState)
        } else {
            None
        };
        if let Some(why) = unclear {
            let (ids, name) = ids_and_name(bare.trim_matches(|c: char| !c.is_alphanumeric()));
            let known = ids
                .first()
                .map(|&id| self.case.resolver.ontology.resolve(id));
            let suggestions = match known.and_then(|known| known.term()) {
                Some(term) => vec![term],
                None => self.case.resolver.search(&name),
            };
            self.case.resolver.report(given, why, suggestions);
            return Ok(());
        }
        let (ids, name) = ids_and_name(bare);
        match ids.as_slice() {
            [] => {
                let term = self.case.resolver.name(bare, given);
                self.state(term.map(|term| (term, None)), given);
            }
            [id] => self.identified(*id, &name, given),
            several => {
                for (position, &id) in several.iter().enumerate() {
                    if position > 0 {
                        self.count(line)?;
                    }
                    let text = id.to_string();
                    let given = Given {
                        text: &text,
                        ..given
                    };
                    self.identified(id, "", given);
                }
                if !name.is_empty() {
                    let suggestions = self.case.resolver.search(&name);
                    self.case
                        .resolver
                        .report(given, Why::IdAndNameDiffer, suggestions);
                }
            }
        }
        Ok(())
    }

    /// An id, with a name beside it or none.
    fn identified(&mut self, id: HpoId, name: &str, given: Given<'_>) {
        let Some((term, note)) = self.case.resolver.id(id, name, given) else {
            return;
        };
        let named = self.case.resolver.ontology.named(name);
        if !name.is_empty() && !named.contains(&term) {
            let mut suggestions = vec![term];
            suggestions.extend(self.case.resolver.search(name));
            suggestions.dedup();
            return self
                .case
                .resolver
                .report(given, Why::IdAndNameDiffer, suggestions);
        }
        self.state(Some((term, note)), given);
    }

    fn state(&mut self, found: Option<(TermIx, Option<Note>)>, given: Given<'_>) {
        let Some((term, note)) = found else {
            return;
        };
        self.case.statements.push(Statement {
            term,
            said: if given.excluded {
                Said::Excluded
            } else {
                Said::Observed
            },
            onset: None,
            modifiers: Vec::new(),
            as_given: clip(given.text),
            note,
            source: Source {
                place: given.place.clone(),
                date: None,
            },
        });
    }

    fn age(&mut self, answer: &str, text: &str, place: &Place) -> Result<(), Error> {
        match spoken_days(answer).and_then(When::age) {
            Some(age) if self.case.age.is_none_or(|known| known == age) => {
                self.case.age = Some(age)
            }
            _ => self.no_answer(text, place),
        }
        Ok(())
    }

    fn onset(&mut self, answer: &str, text: &str, place: &Place) -> Result<(), Error> {
        let ontology = self.case.resolver.ontology;
        let by_id = || ontology.resolve(hpo_id(answer)?).term();
        let by_name = || match ontology.named(answer).as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        let term = || {
            by_id().or_else(by_name).or_else(|| {
                // "congenital" for "Congenital onset".
                match ontology.named(&format!("{answer} onset")).as_slice() {
                    [only] => Some(*only),
                    _ => None,
                }
            })
        };
        let age = spoken_days(answer).and_then(When::age);
        let onset = age.or_else(|| class(term()?, ontology));
        match onset {
            Some(onset) if self.case.onset.is_none_or(|known| known == onset) => {
                self.case.onset = Some(onset);
            }
            _ => self.no_answer(text, place),
        }
        Ok(())
    }

    fn sex(&mut self, answer: &str, text: &str, place: &Place) -> Result<(), Error> {
        let sex = match answer.to_ascii_lowercase().as_str() {
            "female" | "f" | "girl" | "woman" => Some(Sex::Female),
            "male" | "m" | "boy" | "man" => Some(Sex::Male),
            "other" | "unknown" | "" => return Ok(()),
            _ => None,
        };
        match sex {
            Some(sex) if self.case.sex.is_none_or(|known| known == sex) => {
                self.case.sex = Some(sex)
            }
            _ => self.no_answer(text, place),
        }
        Ok(())
    }

    fn no_answer(&mut self, text: &str, place: &Place) {
        let given = Given {
            text,
            excluded: false,
            place,
        };
        self.case
            .resolver
            .report(given, Why::NotAnAnswer, Vec::new());
    }

    fn genes(&mut self, answer: &str, place: &Place) -> Result<(), Error> {
        let symbols = answer.split([',', ';', ' ', '\t']);
        for symbol in symbols.filter(|symbol| !symbol.is_empty()) {
            if self.case.genes.len() == MAX_GENES {
                let given = MAX_GENES + 1;
                return Err(Error::TooManyGenes { given });
            }
            let is_id = symbol.contains(':');
            let (symbol, id) = if is_id { ("", symbol) } else { (symbol, "") };
            let gene = self.case.resolver.gene(symbol, id, place);
            let new = CandidateGene {
                symbol: clip(symbol),
                id: clip(id),
                gene,
                status: Status::Candidate,
                pathogenicity: Pathogenicity::NotProvided,
                place: place.clone(),
            };
            self.case.genes.add(new);
        }
        Ok(())
    }
}

/// Whether an item says that something is absent, and what.
fn negation(item: &str) -> (bool, &str) {
    if let Some(rest) = item.strip_prefix(SIGNS)
        && !rest.starts_with(char::is_whitespace)
    {
        return (true, rest);
    }
    match NEGATIONS.iter().find(|word| begins_with(item, word)) {
        Some(word) => (true, item.get(word.len()..).unwrap_or_default().trim()),
        None => (false, item),
    }
}

fn begins_with(item: &str, word: &str) -> bool {
    let head = item.get(..word.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// Without the quotes around it.
fn unquoted(item: &str) -> &str {
    let item = item.trim();
    let inner = item
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.map_or(item, str::trim)
}

/// The HPO ids among the words of an item, and the other words.
fn ids_and_name(item: &str) -> (Vec<HpoId>, String) {
    let (mut ids, mut name) = (Vec::new(), Vec::new());
    for word in item.split_whitespace() {
        let bare = word.trim_matches(['(', ')', '[', ']', '|', '!', '"']);
        match hpo_id(bare) {
            Some(id) => ids.push(id),
            None if matches!(word, "!" | "|" | "-" | "\u{2013}") => {}
            None => name.push(word),
        }
    }
    (ids, name.join(" "))
}
