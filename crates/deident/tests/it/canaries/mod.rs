//! Identifiers planted in every place of a record that can hold text: nothing of them may survive, not in what is
//! released, not in the counts, not in an error.

pub(crate) mod fhir_paths;
mod packet_paths;
mod plants;

use deident::{Fates, Refusal, Rules};
use std::error::Error as _;
use std::fmt::Write as _;

/// What is planted: letters with digits, and digits alone as of a record number. Searched for in any case, the
/// digits by their first six.
pub(crate) const WORD: &str = "ZQ7KANARIE93";
pub(crate) const DIGITS: &str = "9041723586";
const FIRST_DIGITS: &str = "904172";

/// Counts of the shipped rules that are searched whenever they are dropped.
pub(crate) struct Counted(pub(crate) Fates);

impl Counted {
    pub(crate) fn new() -> Self {
        Self(Rules::shipped().fates())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            clean("the counts", &self.0.to_json());
        }
    }
}

/// Fails when a canary is in what came out.
pub(crate) fn search(place: &str, out: &Result<Vec<u8>, Refusal>) {
    match out {
        Ok(out) => clean(place, std::str::from_utf8(out).unwrap()),
        Err(refusal) => {
            let mut said = format!("{refusal} {refusal:?} {}", refusal.reason());
            let mut source = refusal.source();
            while let Some(error) = source {
                write!(said, "{error} {error:?}").unwrap();
                source = error.source();
            }
            clean(place, &said);
        }
    }
}

fn clean(place: &str, said: &str) {
    let lower = said.to_ascii_lowercase();
    for canary in [WORD, FIRST_DIGITS] {
        let found = lower.contains(&canary.to_ascii_lowercase());
        assert!(!found, "{place}: {canary} in {said}");
    }
}

#[test]
#[should_panic(expected = "ZQ7KANARIE93")]
fn a_survivor_is_found() {
    search(
        "here",
        &Ok(format!("{{\"a\":\"x{}\"}}", WORD.to_lowercase()).into_bytes()),
    );
}

#[test]
#[should_panic(expected = "904172")]
fn a_survivor_of_digits_is_found() {
    search("here", &Ok(b"{\"a\":90417235}".to_vec()));
}
