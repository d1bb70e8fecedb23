//! Term search for people who type: name, synonym, lay word, id, prefix, and misspelt.
//!
//! In: what stands in the field, as typed so far; its last word counts as unfinished unless a
//! space follows. Out: at most [`MAX_HITS`] terms, best first, each with the text that matched.
//!
//! Texts and queries are folded to words (lower case, no accents, no plural s, American spelling).
//! A query word means every word of the vocabulary that equals it, begins with it, or, where there
//! is none, is one or two slips away (optimal string alignment distance). A text scores by the
//! share of the query that it answers and the share of itself that was asked for, both weighted by
//! how rare the words are; then a full match, the kind of text, and how many diseases have the
//! term. Ties are broken by HPO id.

mod slips;
mod vocabulary;

use crate::{
    graph::Lists,
    id::{HpoId, TermIx},
    ontology::{Ontology, Resolved},
    parse::obo::{Scope, SynonymKind},
    tables::{StoredSynonym, position},
};
use std::cmp::Ordering;
use vocabulary::{Vocabulary, fold, words};

/// The most hits that a search returns.
pub const MAX_HITS: usize = 200;
/// How much of a query is read, in characters.
const MAX_QUERY: usize = 160;
/// The longest name that is looked up as a whole.
const MAX_NAME_BYTES: usize = 1_000;
/// How many words of a query are read.
const MAX_WORDS: usize = 16;
/// Words that people use and HPO does not list, one `words<TAB>id<TAB>label` a line.
const EVERYDAY: &str = include_str!("../../data/everyday-words.tsv");

/// What a query was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HitKind {
    /// The term's id, or a former one.
    Id,
    /// The term's name.
    Label,
    /// A synonym.
    Synonym,
    /// A synonym for lay people.
    Layperson,
    /// A word that Ithaca adds; it is not part of HPO.
    Everyday,
}

/// One term that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// The term.
    pub term: TermIx,
    /// The text that matched.
    pub text: &'a str,
    /// What that text is.
    pub kind: HitKind,
    /// Whether a word was only found by correcting its spelling.
    pub corrected: bool,
    /// Higher is better; comparable within one search only.
    pub score: f32,
}

#[derive(Clone, Copy)]
enum Text {
    Stored(u32),
    Everyday(&'static str),
}

#[derive(Clone, Copy)]
struct Entry {
    term: TermIx,
    text: Text,
    kind: HitKind,
    /// Whether the text is the term's label or a synonym of the same meaning.
    exact: bool,
    /// What the kind of text and its branch of the ontology are worth, 0 to 1.
    worth: f32,
    /// Rarity of all its words together.
    weight: f32,
    words: u8,
}

/// What is prepared when an ontology is opened.
#[derive(Default)]
pub(crate) struct Search {
    vocabulary: Vocabulary,
    entries: Vec<Entry>,
    /// The entries in which each word stands.
    postings: Lists<u32>,
    /// How rare each word is.
    rarity: Vec<f32>,
    /// By term: grows with the number of diseases that have it.
    prior: Vec<f32>,
}

impl Ontology {
    /// The terms that `query` most probably means, best first; at most `limit` and [`MAX_HITS`].
    pub fn search(&self, query: &str, limit: usize) -> Vec<Hit<'_>> {
        let limit = limit.min(MAX_HITS);
        let end = query
            .char_indices()
            .nth(MAX_QUERY)
            .map_or(query.len(), |(end, _)| end);
        let query = &query[..end];
        let mut hits = self.search_id(query.trim(), limit);
        if hits.is_empty() {
            hits = self.search.find(self, query, limit);
        }
        hits
    }

    /// The terms that `name` names as a whole, ascending: by label or, where no label is this, by an
    /// exact synonym. Case, accents, punctuation, plural and spelling of English make no difference;
    /// nothing is corrected or completed. More than one where a name is shared.
    pub fn named(&self, name: &str) -> Vec<TermIx> {
        if name.len() > MAX_NAME_BYTES {
            return Vec::new();
        }
        self.search.named(self, &fold(name))
    }

    /// `HP:0001250`, `hp_0001250`, `0001250`, and beginnings of ids that start with `HP`.
    fn search_id(&self, query: &str, limit: usize) -> Vec<Hit<'_>> {
        let named = query
            .get(..2)
            .is_some_and(|head| head.eq_ignore_ascii_case("hp"));
        let digits = if named {
            query[2..].trim_start_matches([':', '_', ' ', '-'])
        } else {
            query
        };
        let fits = (1..=7).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let (true, Ok(number)) = (fits && (named || digits.len() == 7), digits.parse::<u32>())
        else {
            return Vec::new();
        };
        let hit = |term| Hit {
            term,
            text: self.term(term).label(),
            kind: HitKind::Id,
            corrected: false,
            score: 1.0,
        };
        if digits.len() == 7 {
            // Of a former id with several successors, all: a person chooses.
            let resolved = self.resolve(HpoId(number));
            let choices = match resolved {
                Resolved::Replaced { by, .. } => by,
                Resolved::Obsolete { consider, .. } => consider,
                _ => &[],
            };
            let one = resolved.term().filter(|_| choices.is_empty());
            return one
                .into_iter()
                .chain(choices.iter().copied())
                .map(hit)
                .take(limit)
                .collect();
        }
        let span = (digits.len()..7).fold(1, |span, _| span * 10);
        let first = self
            .tables
            .terms
            .partition_point(|t| t.number < number * span);
        self.tables.terms[first..]
            .iter()
            .zip(first..)
            .take_while(|(t, _)| t.number < (number + 1) * span)
            .take(limit)
            .map(|(_, at)| TermIx(position(at)))
            .map(hit)
            .collect()
    }
}

/// What one query word may mean.
struct Meaning {
    /// A word of the vocabulary and how good a match it is, 0 to 1.
    words: Vec<(u32, f32)>,
    corrected: bool,
    weight: f32,
}

/// How far an entry answers the query so far.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// Of the query's weight.
    answered: f32,
    /// Of the entry's own weight.
    asked: f32,
    /// For the query word at hand: best quality and the word that had it.
    best: f32,
    word: u32,
    corrected: bool,
    /// How many query words were met.
    met: u8,
}

impl Search {
    pub(crate) fn new(ontology: &Ontology) -> Self {
        let prior = priors(ontology);
        let texts = texts(ontology);
        let mut vocabulary = Vocabulary::default();
        let folded: Vec<Vec<u32>> = texts
            .iter()
            .map(|entry| {
                let mut found: Vec<u32> = words(&fold(entry.read(ontology)))
                    .map(|w| vocabulary.number(w))
                    .collect();
                found.sort_unstable();
                found.dedup();
                found
            })
            .collect();
        let renumbered = &vocabulary.sort()[..];
        let postings = Lists::grouped(renumbered.len(), || {
            folded.iter().enumerate().flat_map(|(at, words)| {
                words
                    .iter()
                    .map(move |&w| (renumbered[w as usize] as usize, position(at)))
            })
        });
        let entry_count = count(texts.len());
        let rarity: Vec<f32> = (0..renumbered.len())
            .map(|word| (1.0 + entry_count / count(postings.get(word).len())).ln())
            .collect();
        let mut entries = texts;
        for (entry, words) in entries.iter_mut().zip(&folded) {
            entry.weight = words
                .iter()
                .map(|&w| rarity[renumbered[w as usize] as usize])
                .sum();
            entry.words = u8::try_from(words.len()).unwrap_or(u8::MAX);
        }
        Self {
            vocabulary,
            entries,
            postings,
            rarity,
            prior,
        }
    }

    fn find<'a>(&self, ontology: &'a Ontology, query: &str, limit: usize) -> Vec<Hit<'a>> {
        let folded = fold(query);
        let mut typed: Vec<&str> = Vec::new();
        for word in words(&folded).take(MAX_WORDS) {
            if !typed.contains(&word) {
                typed.push(word);
            }
        }
        let open = !query.ends_with(char::is_whitespace);
        let mut answers = vec![Answer::default(); self.entries.len()];
        let mut touched = Vec::new();
        let mut total = 0.0;
        for (at, word) in typed.iter().enumerate() {
            let meaning = self.meaning(word, open && at + 1 == typed.len());
            total += meaning.weight;
            self.answer(&meaning, &mut answers, &mut touched);
        }
        let mut hits: Vec<Hit<'a>> = touched
            .into_iter()
            .filter_map(|at| {
                let (entry, answer) = (&self.entries[at as usize], &answers[at as usize]);
                let answered = answer.answered / total;
                if answered < 0.3 {
                    return None;
                }
                let asked = answer.asked / entry.weight;
                let whole = answer.met == entry.words && usize::from(answer.met) == typed.len();
                let whole = if whole && answered > 0.99 { 0.25 } else { 0.0 };
                let score =
                    answered * answered * (0.55 + 0.45 * asked) * entry.worth + whole * entry.worth;
                Some(Hit {
                    term: entry.term,
                    text: entry.read(ontology),
                    kind: entry.kind,
                    corrected: answer.corrected,
                    score: score + self.prior[entry.term.index()],
                })
            })
            .collect();
        hits.sort_unstable_by(by_score);
        let mut seen = std::collections::HashSet::new();
        hits.retain(|hit| seen.len() < limit && seen.insert(hit.term));
        hits
    }

    fn named(&self, ontology: &Ontology, folded: &str) -> Vec<TermIx> {
        let numbers: Option<Vec<u32>> = words(folded).map(|w| self.vocabulary.find(w)).collect();
        let mut numbers = numbers.unwrap_or_default();
        numbers.sort_unstable();
        numbers.dedup();
        let mentions = |&word: &u32| self.postings.get(word as usize);
        let rarest = numbers
            .iter()
            .map(mentions)
            .min_by_key(|entries| entries.len())
            .unwrap_or_default();
        let (mut labels, mut synonyms) = (Vec::new(), Vec::new());
        for &at in rarest {
            let entry = &self.entries[at as usize];
            let as_many = usize::from(entry.words) == numbers.len();
            if entry.exact && as_many && fold(entry.read(ontology)) == folded {
                match entry.kind {
                    HitKind::Label => labels.push(entry.term),
                    _ => synonyms.push(entry.term),
                }
            }
        }
        let mut terms = if labels.is_empty() { synonyms } else { labels };
        terms.sort_unstable();
        terms.dedup();
        terms
    }

    /// The words that a typed word may mean. An unfinished word may be the beginning of one.
    fn meaning(&self, typed: &str, unfinished: bool) -> Meaning {
        let exact = self.vocabulary.find(typed);
        let mut found: Vec<(u32, f32)> = exact.map(|word| (word, 1.0)).into_iter().collect();
        if unfinished || (exact.is_none() && typed.len() >= 4) {
            for word in self.vocabulary.beginning_with(typed) {
                if Some(word) != exact {
                    let share = count(typed.len()) / count(self.vocabulary.word(word).len());
                    found.push((word, 0.6 + 0.3 * share));
                }
            }
        }
        let corrected = found.is_empty();
        if corrected {
            found = self.vocabulary.slips(typed, unfinished);
        }
        // A word that means nothing weighs as much as a rare one: what it would have said is missing.
        let weight = found
            .iter()
            .map(|&(word, quality)| self.rarity[word as usize] * quality)
            .fold(None, |most: Option<f32>, weight| {
                Some(most.map_or(weight, |m| m.max(weight)))
            });
        let unknown = count(self.entries.len()).ln() * 0.7;
        Meaning {
            words: found,
            corrected,
            weight: weight.unwrap_or(unknown),
        }
    }

    fn answer(&self, meaning: &Meaning, answers: &mut [Answer], touched: &mut Vec<u32>) {
        let mut now = Vec::new();
        for &(word, quality) in &meaning.words {
            for &at in self.postings.get(word as usize) {
                let answer = &mut answers[at as usize];
                if answer.best == 0.0 {
                    now.push(at);
                }
                if quality > answer.best {
                    answer.best = quality;
                    answer.word = word;
                }
            }
        }
        for at in now {
            let answer = &mut answers[at as usize];
            if answer.met == 0 {
                touched.push(at);
            }
            answer.answered += answer.best * meaning.weight;
            answer.asked += self.rarity[answer.word as usize];
            answer.asked = answer.asked.min(self.entries[at as usize].weight);
            answer.met = answer.met.saturating_add(1);
            answer.corrected |= meaning.corrected;
            answer.best = 0.0;
        }
    }
}

impl Entry {
    fn read<'a>(&self, ontology: &'a Ontology) -> &'a str {
        match self.text {
            Text::Stored(number) => ontology.tables.texts.get(number),
            Text::Everyday(text) => text,
        }
    }
}

/// Every text in which a term can be found.
fn texts(ontology: &Ontology) -> Vec<Entry> {
    let mut entries = Vec::new();
    let features = ontology.roots().phenotypic_abnormality;
    for term in ontology.terms() {
        let row = &ontology.tables.terms[term.index()];
        let branch = if ontology.is_a(term, features) {
            1.0
        } else {
            0.8
        };
        let mut entry = |text, kind, exact, worth: f32| {
            entries.push(Entry {
                term,
                text,
                kind,
                exact,
                worth: worth * branch,
                weight: 0.0,
                words: 0,
            });
        };
        entry(Text::Stored(row.label), HitKind::Label, true, 1.0);
        for synonym in &row.synonyms {
            let (kind, worth) = kind_and_worth(synonym);
            let exact = synonym.scope == Scope::Exact;
            entry(Text::Stored(synonym.text), kind, exact, worth);
        }
    }
    for (words, id) in everyday() {
        if let Some(term) = id.parse().ok().and_then(|id| ontology.live(id)) {
            let text = Text::Everyday(words);
            entries.push(Entry {
                term,
                text,
                kind: HitKind::Everyday,
                exact: false,
                worth: 0.93,
                weight: 0.0,
                words: 0,
            });
        }
    }
    entries
}

/// The words that Ithaca adds, each with the id of the term it means.
fn everyday() -> impl Iterator<Item = (&'static str, &'static str)> {
    EVERYDAY
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut columns = line.split('\t');
            Some((columns.next()?, columns.next()?))
        })
}

fn kind_and_worth(synonym: &StoredSynonym) -> (HitKind, f32) {
    let scope = match synonym.scope {
        Scope::Exact => 0.96,
        Scope::Narrow => 0.9,
        Scope::Broad => 0.86,
        Scope::Related => 0.88,
    };
    match synonym.kind {
        SynonymKind::Layperson => (HitKind::Layperson, scope),
        SynonymKind::ObsoleteWord | SynonymKind::AllelicRequirement => {
            (HitKind::Synonym, scope * 0.8)
        }
        _ => (HitKind::Synonym, scope),
    }
}

/// Up to about 0.1 for the features of thousands of diseases.
fn priors(ontology: &Ontology) -> Vec<f32> {
    let mut diseases = vec![0usize; ontology.term_count()];
    for disease in ontology.diseases() {
        let annotations = ontology.disease(disease).annotations();
        let mut terms: Vec<TermIx> = annotations
            .iter()
            .filter(|a| !a.excluded)
            .map(|a| a.term)
            .collect();
        terms.sort_unstable();
        terms.dedup();
        for term in terms {
            diseases[term.index()] += 1;
        }
    }
    diseases
        .into_iter()
        .map(|n| 0.012 * (1.0 + count(n)).ln())
        .collect()
}

fn by_score(a: &Hit<'_>, b: &Hit<'_>) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then(a.term.cmp(&b.term))
        .then(a.kind.cmp(&b.kind))
        .then(a.text.cmp(b.text))
}

/// A small count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^24")]
fn count(n: usize) -> f32 {
    n as f32
}
