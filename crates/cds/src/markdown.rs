//! Text in Markdown: escaped, and bounded.

use crate::MAX_DETAIL_CHARS;

/// The most characters of one name.
const MAX_NAME_CHARS: usize = 120;

/// A text without what would change the direction of reading or stand for a new line, and cut to so many
/// characters, an ellipsis included.
pub(crate) fn plain(text: &str, most_chars: usize) -> String {
    let replaced = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        '\u{feff}' | '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut out: String = text.chars().take(most_chars).map(replaced).collect();
    if text.chars().nth(most_chars).is_some() && out.pop().is_some() {
        out.push('…');
    }
    out
}

/// A name that Markdown shows as it is, of a bounded length.
pub(crate) fn name(text: &str) -> String {
    escaped(&plain(text, MAX_NAME_CHARS))
}

/// A line that Markdown shows as it is, wherever it stands.
pub(crate) fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    // What would begin a list: `-`, `+`, `1.`, `1)`.
    let mark = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let (number, mark) = line.split_at(line.len() - mark.len());
    out.push_str(number);
    let is_mark = mark.starts_with(['.', ')']) && !number.is_empty();
    if is_mark || (number.is_empty() && mark.starts_with(['-', '+'])) {
        out.push('\\');
    }
    for c in mark.chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '#'
                | '|'
                | '~'
                | '&'
                | '!'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Lines of Markdown with a foot that always has room.
pub(crate) struct Detail {
    text: String,
    chars: usize,
    room: usize,
    left_out: usize,
    foot: String,
}

impl Detail {
    pub(crate) fn new(foot: &str) -> Self {
        /// For the sentence that counts what is left out.
        const SPARE: usize = 80;
        let foot: String = foot.chars().take(MAX_DETAIL_CHARS - SPARE).collect();
        Self {
            text: String::new(),
            chars: 0,
            room: MAX_DETAIL_CHARS - SPARE - foot.chars().count(),
            left_out: 0,
            foot,
        }
    }

    /// One line, or as many as stand in the text; none after the first that has no room.
    pub(crate) fn line(&mut self, line: &str) {
        let chars = line.chars().count() + 1;
        if self.left_out > 0 || self.chars + chars > self.room {
            self.left_out += 1;
            return;
        }
        self.chars += chars;
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// An empty line: the end of a list or a paragraph.
    pub(crate) fn gap(&mut self) {
        if self.left_out == 0 && !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.line("");
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if self.left_out > 0 {
            let said = format!("\n{} lines more have no room here.\n", self.left_out);
            self.text.push_str(&said);
        }
        self.text.push('\n');
        self.text.push_str(&self.foot);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(
            name("a *b* [c](d) <script> `e` #f"),
            r"a \*b\* \[c\](d) \<script\> \`e\` \#f"
        );
        for (text, expect) in [
            ("- a - b", r"\- a - b"),
            ("+a", r"\+a"),
            ("12. a 3.", r"12\. a 3."),
            ("1) a", r"1\) a"),
            ("3-Methyl (a)", "3-Methyl (a)"),
            (".a", ".a"),
            ("7", "7"),
        ] {
            assert_eq!(name(text), expect);
        }
        assert_eq!(name("one\n# two\u{202e}"), r"one \# two ");
        assert_eq!(name(&"ü".repeat(500)).chars().count(), MAX_NAME_CHARS);
        assert!(name(&"ü".repeat(500)).ends_with('…'));
        assert!(!name(&"ü".repeat(MAX_NAME_CHARS)).contains('…'));
    }

    #[test]
    fn what_has_no_room_is_counted_and_the_foot_has_room() {
        let mut detail = Detail::new("the foot");
        for n in 0..1_000 {
            detail.line(&format!("- line {n:04}"));
        }
        let text = detail.finish();
        assert!(text.chars().count() <= MAX_DETAIL_CHARS);
        assert!(text.ends_with("have no room here.\n\nthe foot"), "{text}");
        let kept = text.lines().filter(|l| l.starts_with("- line")).count();
        let said = format!("{} lines more", 1_000 - kept);
        assert!(text.contains(&said), "{said}: {text}");
    }
}
