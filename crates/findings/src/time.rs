//! Days, ages and onsets, as exactly as they are known.

use codec::time::Date;
use ontology::{HpoId, Ontology, TermIx};
use std::fmt;

/// Nobody is older, in days (about 150 years).
const MAX_DAYS: u32 = 54_788;

/// The onset classes of HPO and the day of life on which each begins, earliest first.
const CLASSES: &[(&str, u32)] = &[
    ("HP:0030674", 0),      // antenatal
    ("HP:0003577", 0),      // congenital
    ("HP:0003623", 1),      // neonatal
    ("HP:0003593", 29),     // infantile
    ("HP:0410280", 29),     // paediatric: infantile to juvenile
    ("HP:0011463", 365),    // childhood
    ("HP:0003621", 1_826),  // juvenile
    ("HP:0003581", 5_844),  // adult
    ("HP:0011462", 5_844),  // young adult
    ("HP:0003596", 14_610), // middle age
    ("HP:0003584", 21_915), // late
];

/// A calendar day, or the month or year that is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Day {
    first: Date,
    last: Date,
}

impl Day {
    /// Of `2020`, `2020-03`, `2020-03-07` or a dateTime, whose day is taken as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let day = text.split('T').next()?;
        let mut parts = day.split('-');
        let year: u16 = number(parts.next()?, 4)?;
        let month = parts.next().map(|part| number::<u8>(part, 2));
        let date = parts.next().map(|part| number::<u8>(part, 2));
        if parts.next().is_some() {
            return None;
        }
        let (first, last) = match (month, date) {
            (None, _) => (Date::new(year, 1, 1).ok()?, Date::new(year, 12, 31).ok()?),
            (Some(month), None) => {
                let first = Date::new(year, month?, 1).ok()?;
                let last = (28..=31)
                    .rev()
                    .find_map(|d| Date::new(year, month?, d).ok());
                (first, last?)
            }
            (Some(month), Some(date)) => {
                let only = Date::new(year, month?, date?).ok()?;
                (only, only)
            }
        };
        Some(Self { first, last })
    }

    /// The first day that it may be.
    pub fn first(self) -> Date {
        self.first
    }

    /// The last day that it may be.
    pub fn last(self) -> Date {
        self.last
    }

    /// How many days it may be, less one: least for what is known best.
    pub(crate) fn length(self) -> i64 {
        self.last.days() - self.first.days()
    }

    /// Whether it is a later day than `other`, however little is known of both.
    pub fn is_surely_after(self, other: Self) -> bool {
        self.first > other.last
    }

    /// Whether both are different days, however little is known of them.
    pub fn surely_differs(self, other: Self) -> bool {
        self.is_surely_after(other) || other.is_surely_after(self)
    }
}

impl fmt::Display for Day {
    /// To the precision that is known: `2020`, `2020-03`, `2020-03-07`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.first.year())?;
        if self.first.month() == self.last.month() {
            write!(f, "-{:02}", self.first.month())?;
            if self.first == self.last {
                write!(f, "-{:02}", self.first.day())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Day(<redacted>)")
    }
}

fn number<T: std::str::FromStr>(digits: &str, length: usize) -> Option<T> {
    let fits = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// A time of life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An onset class of HPO, below "Onset".
    Class(TermIx),
    /// Between two ages in completed days, both inclusive, the same if the age is known.
    Days {
        /// At least.
        from: u32,
        /// At most.
        to: u32,
    },
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("When(<redacted>)")
    }
}

impl When {
    /// An age; `None` if nobody is that old.
    pub fn age(days: u32) -> Option<Self> {
        Self::between(days, days)
    }

    pub(crate) fn between(from: u32, to: u32) -> Option<Self> {
        (from <= to && to <= MAX_DAYS).then_some(Self::Days { from, to })
    }

    /// The least age in days; a class has that on which it begins, if it is one of life's stages.
    pub fn from_days(self, ontology: &Ontology) -> Option<u32> {
        match self {
            Self::Days { from, .. } => Some(from),
            Self::Class(term) => place_of(term, ontology).map(|(_, days)| days),
        }
    }

    /// The onset term: of an age, the class in which its least value lies.
    pub fn onset_term(self, ontology: &Ontology) -> Option<TermIx> {
        match self {
            Self::Class(term) => Some(term),
            Self::Days { from, .. } => {
                let stages = CLASSES.iter().filter(|(id, _)| {
                    // Antenatal is no age; adult and paediatric only gather other classes.
                    !matches!(*id, "HP:0030674" | "HP:0003581" | "HP:0410280")
                });
                let (id, _) = stages.rev().find(|(_, days)| *days <= from)?;
                ontology.live(id.parse().ok()?)
            }
        }
    }

    /// What orders onsets: their place among the classes, then the days.
    pub(crate) fn order(self, ontology: &Ontology) -> (u32, usize) {
        match self {
            Self::Days { from, .. } => (from, CLASSES.len()),
            Self::Class(term) => {
                place_of(term, ontology).map_or((u32::MAX, 0), |(place, days)| (days, place))
            }
        }
    }
}

impl When {
    /// What orders ages: by the least that they may be, then the most.
    pub(crate) fn age_order(self, ontology: &Ontology) -> (Option<u32>, Option<u32>) {
        let to = match self {
            Self::Days { to, .. } => Some(to),
            Self::Class(_) => None,
        };
        (self.from_days(ontology), to)
    }
}

/// The place of an onset term, or of what it is a kind of, among the classes, and its first day.
fn place_of(term: TermIx, ontology: &Ontology) -> Option<(usize, u32)> {
    let near = CLASSES
        .iter()
        .enumerate()
        .filter_map(|(place, (id, days))| {
            let class = ontology.live(id.parse::<HpoId>().ok()?)?;
            Some((ontology.distance(term, class)?, place, *days))
        });
    near.min().map(|(_, place, days)| (place, days))
}

/// An onset class of HPO.
pub(crate) fn class(term: TermIx, ontology: &Ontology) -> Option<When> {
    let is_onset = ontology.is_a(term, ontology.roots().onset);
    is_onset.then_some(When::Class(term))
}

/// The age on a day, of somebody born on another.
pub(crate) fn age_on(day: Day, born: Day) -> Option<When> {
    let from = (day.first.days() - born.last.days()).max(0);
    let to = day.last.days() - born.first.days();
    When::between(u32::try_from(from).ok()?, u32::try_from(to).ok()?)
}

/// An ISO 8601 duration, such as `P3Y6M` or `P10DT3H`, in completed days.
pub(crate) fn duration_days(text: &str) -> Option<u32> {
    let rest = text.trim().strip_prefix('P')?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let is_unit = |unit: &str| matches!(unit, "Y" | "M" | "W" | "D");
    let days = if date.is_empty() {
        0.0
    } else {
        sum(date, is_unit)?
    };
    let hours_are_hours = |unit: &str| matches!(unit, "H" | "M" | "S");
    if !time.is_empty()
        && amounts(time)?
            .iter()
            .any(|(_, unit)| !hours_are_hours(unit))
    {
        return None;
    }
    completed(days)
}

/// An age as people write it: `3y`, `3 years 6 months`, `2w`, `10 days`, or an ISO 8601 duration.
pub(crate) fn spoken_days(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.starts_with('P') {
        return duration_days(text);
    }
    let lower = text
        .to_ascii_lowercase()
        .replace("and", " ")
        .replace("old", " ");
    let known = |unit: &str| unit_days(unit).is_some();
    completed(sum(&lower, known)?)
}

/// An amount of FHIR with a unit of time, in completed days.
pub(crate) fn quantity_days(quantity: &fhir::Quantity<'_>) -> Option<u32> {
    if !quantity.comparator.is_empty() {
        return None;
    }
    let value: f64 = quantity.value.as_deref()?.parse().ok()?;
    let unit = [&quantity.code, &quantity.unit];
    let unit = unit.into_iter().find(|unit| !unit.is_empty())?;
    completed(value * unit_days(&unit.to_ascii_lowercase())?)
}

fn unit_days(unit: &str) -> Option<f64> {
    Some(match unit {
        "y" | "yr" | "yrs" | "year" | "years" | "a" => 365.25,
        "m" | "mo" | "mos" | "mon" | "month" | "months" => 30.4375,
        "w" | "wk" | "wks" | "week" | "weeks" => 7.0,
        "d" | "day" | "days" => 1.0,
        "h" | "min" | "s" => 0.0,
        _ => return None,
    })
}

fn sum(text: &str, known: impl Fn(&str) -> bool) -> Option<f64> {
    let amounts = amounts(text)?;
    if amounts.is_empty() || amounts.iter().any(|(_, unit)| !known(unit)) {
        return None;
    }
    let days = |(amount, unit): &(f64, &str)| Some(amount * unit_days(&unit.to_ascii_lowercase())?);
    amounts.iter().map(days).sum()
}

/// Numbers and what follows each, at most six of them.
fn amounts(text: &str) -> Option<Vec<(f64, &str)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, tail) = tail.split_at(unit.unwrap_or(tail.len()));
        if amount.len() > 6 || found.len() == 6 {
            return None;
        }
        found.push((amount.parse().ok()?, unit));
        rest = tail.trim_start_matches([' ', ',']);
    }
    Some(found)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be within 0 and MAX_DAYS"
)]
fn completed(days: f64) -> Option<u32> {
    (0.0..=f64::from(MAX_DAYS))
        .contains(&days)
        .then_some(days as u32)
}
