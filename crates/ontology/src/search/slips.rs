//! Optimal string alignment distance: insertions, deletions, substitutions and swaps of
//! neighbours, no part edited twice (Boytsov, "Indexing methods for approximate dictionary
//! searching", 2011).

/// The longest word that is compared, in bytes; longer ones are cut.
const MAX: usize = 48;

/// The distance of `typed` from `word`, and from the nearest beginning of `word`.
pub(crate) fn distances(typed: &[u8], word: &[u8]) -> (usize, usize) {
    let typed = &typed[..typed.len().min(MAX)];
    let word = &word[..word.len().min(MAX)];
    // Three rows of the table: of the letter before the last, of the last, and of this one.
    let mut before = [0u8; MAX + 1];
    let mut above = [0u8; MAX + 1];
    let mut here = [0u8; MAX + 1];
    for (at, slot) in (0u8..).zip(above[..=word.len()].iter_mut()) {
        *slot = at;
    }
    for (row, &letter) in typed.iter().enumerate() {
        here[0] = above[0] + 1;
        for (column, &other) in word.iter().enumerate() {
            let replaced = above[column] + u8::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(here[column] + 1);
            if row > 0 && column > 0 && letter == word[column - 1] && typed[row - 1] == other {
                least = least.min(before[column - 1] + 1);
            }
            here[column + 1] = least;
        }
        before = above;
        above = here;
    }
    let last = &above[..=word.len()];
    let beginning = last.iter().min().copied().unwrap_or(0);
    (usize::from(last[word.len()]), usize::from(beginning))
}
