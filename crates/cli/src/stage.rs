//! What a person sees: headings, cards, tables and progress in a terminal; nothing with `--json`.
#![expect(clippy::print_stdout, reason = "this is the screen")]

use std::{fmt::Write as _, io::IsTerminal as _, io::Write as _};

const WIDTH: usize = 80;

/// The screen, or silence.
pub(crate) struct Stage {
    silent: bool,
    colour: bool,
    live: bool,
}

impl Stage {
    pub(crate) fn new(silent: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self {
            silent,
            colour: terminal && std::env::var_os("NO_COLOR").is_none(),
            live: terminal,
        }
    }

    /// A chapter.
    pub(crate) fn heading(&self, text: &str) {
        let line = self.paint("1;36", text);
        self.print(&format!("\n{line}\n{}", "─".repeat(WIDTH)));
    }

    /// A paragraph, wrapped.
    pub(crate) fn say(&self, text: &str) {
        for line in wrap(text, WIDTH) {
            self.print(&line);
        }
    }

    /// What a person may type, as it is.
    pub(crate) fn command(&self, line: &str) {
        self.print(&format!("  {line}"));
    }

    /// What one person sees, in a box with a title.
    pub(crate) fn card(&self, title: &str, lines: &[String]) {
        if self.silent {
            return;
        }
        let inner = WIDTH - 4;
        let rule = inner.saturating_sub(title.chars().count() + 1);
        self.print(&format!(
            "┌─ {} {}┐",
            self.paint("1", title),
            "─".repeat(rule)
        ));
        for line in lines.iter().flat_map(|l| wrap(l, inner)) {
            let pad = inner.saturating_sub(line.chars().count());
            self.print(&format!("│ {line}{} │", " ".repeat(pad)));
        }
        self.print(&format!("└{}┘", "─".repeat(WIDTH - 2)));
    }

    /// A table; the last column wraps.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        if self.silent || head.is_empty() {
            return;
        }
        let last = head.len() - 1;
        let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row).take(last) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let used: usize = widths.iter().take(last).map(|w| w + 2).sum();
        if let Some(width) = widths.last_mut() {
            *width = WIDTH.saturating_sub(used).max(20);
        }
        let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
        for line in cells(&head, &widths) {
            self.print(&self.paint("2", &line));
        }
        for row in rows {
            for line in cells(row, &widths) {
                self.print(&line);
            }
        }
    }

    /// Progress of something long; drawn only in a terminal.
    pub(crate) fn progress(&self, done: usize, total: usize, what: &str) {
        if self.silent || !self.live {
            return;
        }
        let filled = (done.saturating_mul(30) / total.max(1)).min(30);
        print!(
            "\r{}{} {done}/{total} {what} ",
            "█".repeat(filled),
            "░".repeat(30 - filled)
        );
        if done == total {
            print!("\r{}\r", " ".repeat(WIDTH));
        }
        std::io::stdout().flush().ok();
    }

    /// A line of a drawing, as it is.
    pub(crate) fn line(&self, line: &str) {
        self.print(line);
    }

    /// Green for what should be so, red for what was refused.
    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn print(&self, line: &str) {
        if !self.silent {
            println!("{line}");
        }
    }
}

fn cells(row: &[String], widths: &[usize]) -> Vec<String> {
    let last = widths.len().saturating_sub(1);
    let tail = wrap(
        row.get(last).map_or("", String::as_str),
        widths.last().copied().unwrap_or(20),
    );
    let mut lines = Vec::new();
    for (number, text) in tail.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).take(last) {
            let shown = if number == 0 { cell.as_str() } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(line, "{shown:<width$}  ");
        }
        line.push_str(text);
        lines.push(line);
    }
    lines
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        // What fits stays as it is, columns too.
        if paragraph.chars().count() <= width {
            lines.push(paragraph.to_owned());
            continue;
        }
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = indent.clone();
        for word in paragraph.split_whitespace() {
            let long = line.chars().count() + word.chars().count() + 1 > width;
            if long && line.trim() != "" {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            }
            if line.trim() != "" {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_words_and_keeps_indentation() {
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("", 9), [""]);
        assert_eq!(wrap("a    b", 9), ["a    b"]);
    }

    #[test]
    fn last_column_wraps_under_itself() {
        let row = ["a".to_owned(), "one two".to_owned()];
        assert_eq!(cells(&row, &[3, 4]), ["a    one", "     two"]);
    }
}
