//! The answer as one page of text, at most 100 columns wide.

use super::phrases::{self, EXPLAINED, percent};
use answer::{Answer, Candidate, Next};

const WIDTH: usize = 100;
/// Where the text beside a title begins.
const MARGIN: usize = 20;
/// Where the names of candidates begin.
const COLUMN: usize = 39;
/// Lines of evidence of one kind.
const FOR: usize = 3;
const AGAINST: usize = 2;
const MISSING: usize = 2;
/// Suggestions of one way.
const NEXT: usize = 2;

pub(crate) fn page(answer: &Answer, colour: bool) -> String {
    let mut page = Page {
        text: String::new(),
        colour,
    };
    page.wrapped(0, "", answer.statement);
    page.blank();
    let verdict = phrases::verdict(answer);
    page.loud(&verdict);
    page.heading("Understood");
    for fact in phrases::facts(answer) {
        for (at, line) in fact.lines.iter().enumerate() {
            let title = if at == 0 { fact.title.as_str() } else { "" };
            page.wrapped(MARGIN, &format!("  {title}"), line);
        }
    }
    if !answer.candidates.is_empty() {
        page.heading("Candidates");
        for candidate in &answer.candidates {
            page.candidate(candidate);
        }
        let others = format!(
            "     {:>10}  {}",
            percent(answer.others),
            bar(answer.others, 20)
        );
        page.wrapped(COLUMN, &others, "all others");
        page.heading("Why: the heaviest of each, of as many as stand beside it");
        for candidate in answer.candidates.iter().take(EXPLAINED) {
            page.grounds(candidate);
        }
    }
    let panel = phrases::panel(answer);
    if !panel.is_empty() {
        page.heading("Genes to read");
        page.wrapped(2, "", &panel);
    }
    if !answer.next.is_empty() {
        page.heading("What to look for next");
        for (way, title) in phrases::WAYS {
            let of_way = answer.next.iter().filter(|next| next.way == way);
            for (at, next) in of_way.take(NEXT).enumerate() {
                page.next(if at == 0 { title } else { "" }, next);
            }
        }
    }
    page.blank();
    page.wrapped(0, "", &phrases::versions(answer));
    page.text
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, title: &str) {
        self.blank();
        self.loud(&title.to_uppercase());
    }

    /// Bold, where there is colour.
    fn loud(&mut self, text: &str) {
        if self.colour {
            self.text.push_str("\x1b[1m");
        }
        self.wrapped(0, "", text);
        if self.colour {
            // Before the line's end.
            self.text.insert_str(self.text.len() - 1, "\x1b[0m");
        }
    }

    /// A title, and a text beside it from a column on; a word that is too long is cut into lines.
    fn wrapped(&mut self, margin: usize, title: &str, text: &str) {
        let mut column = title.chars().count();
        self.text.extend(title.chars().map(phrases::plain));
        let mut fresh = true;
        let text: String = text.chars().map(phrases::plain).collect();
        for word in text.split_whitespace() {
            let word: Vec<char> = word.chars().collect();
            for part in word.chunks(WIDTH - margin) {
                let space = usize::from(!fresh);
                if column.max(margin) + space + part.len() > WIDTH
                    || (fresh && column > 0 && column >= margin)
                {
                    self.end();
                    column = 0;
                    fresh = true;
                }
                if fresh {
                    for _ in column..margin {
                        self.text.push(' ');
                    }
                    column = column.max(margin);
                } else {
                    self.text.push(' ');
                    column += 1;
                }
                self.text.extend(part);
                column += part.len();
                fresh = false;
            }
        }
        self.end();
    }

    fn end(&mut self) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
    }

    fn candidate(&mut self, candidate: &Candidate) {
        let p = candidate.probability;
        let title = format!("  {:>2} {:>10}  {}", candidate.rank, percent(p), bar(p, 20));
        let name = format!("{} ({})", candidate.disease.name, candidate.disease.id);
        self.wrapped(COLUMN, &title, &name);
    }

    fn grounds(&mut self, candidate: &Candidate) {
        let genes = match candidate.genes.as_slice() {
            [] => String::new(),
            genes => format!("  [{}]", phrases::join(genes.iter().take(6))),
        };
        let name = format!("{}{genes}", candidate.disease.name);
        self.wrapped(5, &format!("  {}.", candidate.rank), &name);
        let it = &candidate.evidence;
        let supporting = it.supporting.iter().map(|e| {
            let weight = weight('+', e.strength);
            (weight, format!("{}: {}", e.term.label, e.ground()))
        });
        let count = it.supporting.len().to_string();
        self.evidence("for", &count, supporting.take(FOR));
        let opposing = it.opposing.iter().map(|e| {
            let weight = weight('-', e.strength);
            (weight, format!("{}: {}", e.term.label, e.ground()))
        });
        let count = it.opposing.len().to_string();
        self.evidence("against", &count, opposing.take(AGAINST));
        let missing = it.missing.iter().map(|m| {
            let weight = weight('-', m.strength);
            (weight, format!("{}: {}", m.term.label, m.ground()))
        });
        let count = phrases::missing_count(it.missing.len());
        self.evidence("missing", &count, missing.take(MISSING));
    }

    fn evidence(&mut self, kind: &str, count: &str, items: impl Iterator<Item = (String, String)>) {
        for (at, (weight, text)) in items.enumerate() {
            let title = match at {
                0 => format!("     {kind:<7} {count:>3}  {weight}"),
                _ => format!("{:16}  {weight}", ""),
            };
            self.wrapped(31, &title, &text);
        }
    }

    fn next(&mut self, title: &str, next: &Next) {
        let title = format!(
            "  {title:<8} {:<12} {}",
            next.telling.word(),
            bar(next.gain_bits, 10)
        );
        let alike = match next.alike.as_slice() {
            [] => String::new(),
            alike => format!(
                " (or {})",
                phrases::join(alike.iter().take(1).map(|term| term.label.as_str()))
            ),
        };
        let what = format!("{}{alike}: {}", next.term.label, phrases::use_of(next));
        self.wrapped(36, &title, &what);
    }
}

/// A fraction as a bar, to an eighth of a column; something never looks like nothing.
pub(crate) fn bar(fraction: f64, width: usize) -> String {
    const PARTS: [&str; 8] = [
        "", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}",
    ];
    let all = width * 8;
    let steps = (1..=all).filter(|&step| step as f64 <= fraction * all as f64 + 0.5);
    let steps = steps.count().max(usize::from(fraction > 0.0));
    let full = "\u{2588}".repeat(steps / 8);
    let empty = "\u{b7}".repeat(width - steps.div_ceil(8));
    full + PARTS[steps % 8] + &empty
}

fn weight(sign: char, strength: answer::Strength) -> String {
    use answer::Strength::{Moderate, Slight, Strong, Weak};
    let signs = match strength {
        Slight => 0,
        Weak => 1,
        Moderate => 2,
        Strong => 3,
    };
    let signs: String = std::iter::repeat_n(sign, signs).collect();
    format!("{signs:<3} {}", strength.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        let mut page = Page {
            text: String::new(),
            colour: false,
        };
        let long = "x".repeat(250);
        page.wrapped(20, "  A title that is longer than its place", &long);
        page.wrapped(20, "  Short", &format!("a b \x1b[31m\u{202e}c {long} d"));
        assert!(
            page.text.lines().all(|line| line.chars().count() <= WIDTH),
            "{}",
            page.text
        );
        assert_eq!(page.text.matches('x').count(), 500);
        assert!(!page.text.contains(['\x1b', '\u{202e}']), "{}", page.text);
    }

    #[test]
    fn a_bar_shows_that_there_is_something() {
        assert_eq!(bar(0.0, 4), "\u{b7}\u{b7}\u{b7}\u{b7}");
        assert_eq!(bar(0.001, 4), "\u{258f}\u{b7}\u{b7}\u{b7}");
        assert_eq!(bar(0.375, 4), "\u{2588}\u{258c}\u{b7}\u{b7}");
        assert_eq!(bar(1.5, 4), "\u{2588}\u{2588}\u{2588}\u{2588}");
    }
}
