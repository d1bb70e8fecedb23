//! What became of each element, counted by path.

use crate::refusal::Refusal;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It left as it was.
    Kept,
    /// A date, moved.
    Shifted,
    /// An id or reference, replaced by a pseudonym.
    Pseudonymised,
    /// Made coarser: an age band, a pooled age, a number with fewer digits.
    Banded,
    /// It stayed, with all that was in it.
    Dropped,
}

impl Fate {
    /// Every fate, in the order of the counts.
    pub const ALL: [Self; 5] = [
        Self::Kept,
        Self::Shifted,
        Self::Pseudonymised,
        Self::Banded,
        Self::Dropped,
    ];

    /// Its name in [`Fates::to_json`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Shifted => "shifted",
            Self::Pseudonymised => "pseudonymised",
            Self::Banded => "banded",
            Self::Dropped => "dropped",
        }
    }
}

/// A path, and the rule that decides what becomes of it.
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) rule: String,
}

/// How many elements of each path met which fate, and how many resources were refused and why. It holds names of
/// FHIR, of phenopackets and of the rule file, and numbers; never a value of a record.
#[derive(Clone)]
pub struct Fates {
    rules: [u8; 32],
    places: Arc<[Place]>,
    counts: Vec<[u64; 5]>,
    refused: BTreeMap<String, u64>,
    released: u64,
}

/// The two were counted under different rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fates of different rule files cannot be added; de-identify both with one")]
pub struct OtherRules;

impl Fates {
    pub(crate) fn new(rules: [u8; 32], places: Arc<[Place]>) -> Self {
        Self {
            rules,
            counts: vec![[0; 5]; places.len()],
            places,
            refused: BTreeMap::new(),
            released: 0,
        }
    }

    /// The digest of the rule file under which it counts.
    pub fn rules_digest(&self) -> [u8; 32] {
        self.rules
    }

    /// How many resources and phenopackets were released.
    pub fn released(&self) -> u64 {
        self.released
    }

    /// How many were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&str, u64)> {
        self.refused
            .iter()
            .map(|(why, count)| (why.as_str(), *count))
    }

    /// Path, rule, and the counts in the order of [`Fate::ALL`], of every path that was met, by path.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &str, [u64; 5])> {
        let met = self.places.iter().zip(&self.counts);
        let met = met.filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        let sorted: BTreeMap<_, _> = met
            .map(|(place, n)| (&*place.path, (&*place.rule, *n)))
            .collect();
        sorted
            .into_iter()
            .map(|(path, (rule, counts))| (path, rule, counts))
    }

    /// How many elements of a path met a fate.
    pub fn count(&self, path: &str, fate: Fate) -> u64 {
        let at = self.places.iter().position(|place| place.path == path);
        let counts = at.and_then(|at| self.counts.get(at));
        counts
            .and_then(|counts| counts.get(fate as usize))
            .copied()
            .unwrap_or(0)
    }

    /// Adds what was counted elsewhere under the same rules.
    ///
    /// # Errors
    /// [`OtherRules`]; nothing is added.
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherRules> {
        if self.rules != other.rules {
            return Err(OtherRules);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            for (own, more) in own.iter_mut().zip(more) {
                *own = own.saturating_add(*more);
            }
        }
        for (why, count) in &other.refused {
            let own = self.refused.entry(why.clone()).or_default();
            *own = own.saturating_add(*count);
        }
        self.released = self.released.saturating_add(other.released);
        Ok(())
    }

    /// One JSON object: `rules` (digest), `released`, `refused` (reason -> count), `paths` (path -> rule and the
    /// counts that are not 0), names in order.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"rules\":\"{}\",\"released\":{},\"refused\":{{",
            hex(&self.rules),
            self.released
        );
        for (number, (why, count)) in self.refused().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(out, "{comma}{}:{count}", json::quote(why)).unwrap_or_default();
        }
        out.push_str("},\"paths\":{");
        for (number, (path, rule, counts)) in self.paths().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let (path, rule) = (json::quote(path), json::quote(rule));
            write!(out, "{comma}{path}:{{\"rule\":{rule}").unwrap_or_default();
            for (fate, count) in Fate::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
                write!(out, ",\"{}\":{count}", fate.name()).unwrap_or_default();
            }
            out.push('}');
        }
        out.push_str("}}");
        out
    }

    /// Adds what [`Fates::to_json`] wrote elsewhere under the same rules.
    ///
    /// # Errors
    /// [`OtherRules`] unless it is that, to the last path; nothing is added.
    pub fn merge_json(&mut self, text: &str) -> Result<(), OtherRules> {
        let mut more = Self::new(self.rules, self.places.clone());
        more.read(text).ok_or(OtherRules)?;
        match more.to_json() == text {
            true => self.merge(&more),
            false => Err(OtherRules),
        }
    }

    fn read(&mut self, text: &str) -> Option<()> {
        let number = |value: json::Value<'_, '_>| value.digits()?.parse::<u64>().ok();
        let document = json::parse(text.as_bytes(), &json::Limits::default()).ok()?;
        let root = document.root();
        self.released = number(root.get("released")?)?;
        for refused in root.get("refused")?.children() {
            let why = refused.key()?.into_owned();
            self.refused.insert(why, number(refused)?);
        }
        let places = self.places.iter().map(|place| place.path.as_str());
        let places: BTreeMap<&str, usize> = places.zip(0..).collect();
        for path in root.get("paths")?.children() {
            let at = *places.get(path.key()?.as_ref())?;
            let counts = self.counts.get_mut(at)?;
            for (fate, count) in Fate::ALL.iter().zip(counts) {
                *count = match path.get(fate.name()) {
                    Some(met) => number(met)?,
                    None => 0,
                };
            }
        }
        Some(())
    }

    /// Whether these count under the rules with this digest.
    pub(crate) fn fit(&self, rules: &[u8; 32]) -> bool {
        self.rules == *rules
    }

    pub(crate) fn release(&mut self, journal: &[(u32, Fate)]) {
        self.released += 1;
        for (place, fate) in journal {
            let counts = self.counts.get_mut(*place as usize);
            if let Some(count) = counts.and_then(|counts| counts.get_mut(*fate as usize)) {
                *count += 1;
            }
        }
    }

    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        *self.refused.entry(refusal.reason()).or_default() += 1;
    }
}

impl std::fmt::Debug for Fates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

fn hex(bytes: &[u8]) -> String {
    codec::hex::encode(bytes)
}
