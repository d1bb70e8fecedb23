//! The words of all texts, sorted, with how a text is folded to words.

use super::slips::distances;
use crate::tables::position;
use std::collections::HashMap;

/// Every word once, sorted once all are known.
#[derive(Default)]
pub(crate) struct Vocabulary {
    words: Vec<Box<str>>,
    /// Which letters stand in each word.
    letters: Vec<u32>,
    numbers: HashMap<Box<str>, u32>,
}

impl Vocabulary {
    /// The number of a word while words are gathered.
    pub(crate) fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = position(self.words.len());
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
        number
    }

    /// Sorts the words; returns the new number of each old one.
    pub(crate) fn sort(&mut self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..position(self.words.len())).collect();
        order.sort_unstable_by(|&a, &b| self.words[a as usize].cmp(&self.words[b as usize]));
        let mut renumbered = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            renumbered[old as usize] = position(new);
        }
        self.words.sort_unstable();
        self.letters = self.words.iter().map(|word| letters(word)).collect();
        self.numbers = HashMap::new();
        renumbered
    }

    pub(crate) fn word(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    pub(crate) fn find(&self, word: &str) -> Option<u32> {
        self.words
            .binary_search_by(|w| (**w).cmp(word))
            .ok()
            .map(position)
    }

    pub(crate) fn beginning_with(&self, head: &str) -> impl Iterator<Item = u32> + '_ {
        let first = self.words.partition_point(|w| **w < *head);
        let many = self.words[first..].partition_point(|w| w.starts_with(head));
        (first..first + many).map(position)
    }

    /// Words one slip away (from 4 letters on) or two (from 7 on), with their worth; of an
    /// unfinished word also those whose beginning is. Only the nearest distance counts.
    pub(crate) fn slips(&self, typed: &str, unfinished: bool) -> Vec<(u32, f32)> {
        let most = match typed.len() {
            0..=3 => return Vec::new(),
            4..=6 => 1,
            7..=40 => 2,
            _ => return Vec::new(),
        };
        let wanted = letters(typed);
        let mut found: Vec<(u32, usize, bool)> = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            let missing = (wanted & !self.letters[at]).count_ones() as usize;
            if missing > most
                || word.len() + most < typed.len()
                || (!unfinished && word.len() > typed.len() + most)
            {
                continue;
            }
            let (whole, beginning) = distances(typed.as_bytes(), word.as_bytes());
            if whole <= most {
                found.push((position(at), whole, true));
            } else if unfinished && beginning <= most {
                found.push((position(at), beginning, false));
            }
        }
        let nearest = found.iter().map(|f| f.1).min().unwrap_or(0);
        let first = typed.as_bytes().first();
        found.retain(|f| f.1 == nearest);
        found
            .into_iter()
            .map(|(word, distance, whole)| {
                let same_start = self.word(word).as_bytes().first() == first;
                let worth = if distance == 1 { 0.85 } else { 0.75 };
                (
                    word,
                    worth * if whole { 1.0 } else { 0.9 } * if same_start { 1.0 } else { 0.9 },
                )
            })
            .collect()
    }
}

/// One bit for each letter from a to z, one for digits, one for the rest.
fn letters(word: &str) -> u32 {
    word.bytes().fold(0, |set, byte| {
        set | match byte {
            b'a'..=b'z' => 1 << (byte - b'a'),
            b'0'..=b'9' => 1 << 26,
            _ => 1 << 27,
        }
    })
}

/// Lower case without accents; everything but letters and digits becomes a space.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '\u{2019}' => {
                // Possessive: Down's, Graves'.
                if characters
                    .peek()
                    .is_some_and(|c| c.eq_ignore_ascii_case(&'s'))
                {
                    characters.next();
                }
            }
            'a'..='z' | '0'..='9' => out.push(character),
            'A'..='Z' => out.push(character.to_ascii_lowercase()),
            'à'..='å' | 'À'..='Å' => out.push('a'),
            'è'..='ë' | 'È'..='Ë' => out.push('e'),
            'ì'..='ï' | 'Ì'..='Ï' => out.push('i'),
            'ò'..='ö' | 'ø' | 'Ò'..='Ö' | 'Ø' => out.push('o'),
            'ù'..='ü' | 'Ù'..='Ü' => out.push('u'),
            'ñ' | 'Ñ' => out.push('n'),
            'ç' | 'Ç' => out.push('c'),
            'ß' => out.push_str("ss"),
            'æ' | 'œ' | 'Æ' | 'Œ' => out.push('e'),
            _ if character.is_alphanumeric() => out.extend(character.to_lowercase()),
            _ => out.push(' '),
        }
    }
    let out = out
        .replace("ae", "e")
        .replace("oe", "e")
        .replace("our", "or");
    let stemmed: Vec<&str> = out.split_ascii_whitespace().map(stem).collect();
    stemmed.join(" ")
}

/// Without the s of a plural.
fn stem(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(rest) if rest.len() > 2 && !rest.ends_with(['s', 'u', 'i']) => rest,
        _ => word,
    }
}

/// The words of a folded text.
pub(crate) fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split_ascii_whitespace()
}
