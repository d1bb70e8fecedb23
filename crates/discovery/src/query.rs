//! What is asked, in one canonical form.
//!
//! A [`Query`] is a conjunction of [`Filter`]s over the individuals of one custodian. Order,
//! duplicates, spellings, merged identifiers, filters that another one implies and the ways to say
//! an age all vanish, so that the same question has the same [`Query::digest`] and is paid for once.
//! Whether a yes or no or a number is wanted is no part of it: both are read off one noisy count.

use crate::term::{Reach, TermId, Terms};
use codec::{Digest, Domain, choice, codes, record};
use std::fmt::Write as _;

/// The most filters of a query, as they are sent.
pub const MAX_FILTERS: usize = 16;

/// Whole years at which an age may be cut. An age from the last on is not told apart.
///
/// Bands, because the birth dates of few people tell much, and so that an index may hold the band
/// alone.
pub const AGE_EDGES: [u8; 13] = [0, 1, 2, 6, 12, 18, 30, 40, 50, 60, 70, 80, 90];

codes! {
    /// Sex, as Beacon's individuals have it.
    pub enum Sex {
        /// `NCIT:C16576`, `PATO:0000383`.
        1 => Female = "female",
        /// `NCIT:C20197`, `PATO:0000384`.
        2 => Male = "male",
        /// `NCIT:C17998`: not assessed or not available.
        3 => Unknown = "unknown",
        /// Recorded, and neither. Asked for by the word alone.
        4 => Other = "other",
    }
}

/// Ages from one edge of [`AGE_EDGES`] to before another.
///
/// Encoded as `[from, below]`; `from` 0 and no `below` cannot be, for that asks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeSpan {
    from: u8,
    below: Option<u8>,
}

impl AgeSpan {
    /// From `from` on, and before `below`; `None` unless both are edges and the span holds an age.
    pub fn new(from: u8, below: Option<u8>) -> Option<Self> {
        let edges = AGE_EDGES.contains(&from) && below.is_none_or(|edge| AGE_EDGES.contains(&edge));
        let holds = below.is_none_or(|edge| edge > from);
        (edges && holds).then_some(Self { from, below })
    }

    /// The youngest age, in whole years.
    pub const fn from(self) -> u8 {
        self.from
    }

    /// The age, in whole years, that is too old; `None` without such.
    pub const fn below(self) -> Option<u8> {
        self.below
    }

    /// Whether an age in whole years is in the span.
    pub fn holds(self, years: u16) -> bool {
        years >= u16::from(self.from) && self.below.is_none_or(|edge| years < u16::from(edge))
    }

    /// Ages in both spans; `None` if there is none.
    fn and(self, other: Self) -> Option<Self> {
        let below = match (self.below, other.below) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self::new(self.from.max(other.from), below)
    }
}

impl codec::Encode for AgeSpan {
    fn encode(&self, w: &mut codec::Writer) {
        // No `below` is written as 0, which is never a `below`.
        (u16::from(self.from), u16::from(self.below.unwrap_or(0))).encode(w);
    }
}

impl codec::Decode for AgeSpan {
    fn decode(r: &mut codec::Reader<'_>) -> Result<Self, codec::Error> {
        let at = r.position();
        let (from, below) = <(u16, u16)>::decode(r)?;
        let narrow = |years| u8::try_from(years).map_err(|_| codec::Error::Range { at });
        let below = narrow(below)?;
        Self::new(narrow(from)?, (below != 0).then_some(below)).ok_or(codec::Error::Range { at })
    }
}

record! {
    /// A term, and whether what stands below it counts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Wanted {
        /// The term.
        1 => pub term: TermId,
        /// Which terms answer to it.
        2 => pub reach: Reach,
    }
}

choice! {
    /// One condition on an individual.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Filter {
        /// A phenotypic feature was observed.
        1 => Observed(Wanted),
        /// A phenotypic feature was looked for and is absent: recorded as excluded, itself or
        /// anything above it, since who has no seizure has no focal seizure either. That nothing is
        /// recorded does not exclude.
        2 => Excluded(TermId),
        /// A disease was diagnosed.
        3 => Disease(Wanted),
        /// The sex is recorded as this.
        4 => Sex(Sex),
        /// The age is known and in this span.
        5 => Age(AgeSpan),
    }
}

impl Filter {
    /// Whether `self` holds for all for whom `other` holds, by the meaning of the terms.
    fn follows_from(&self, other: &Self, terms: &impl Terms) -> bool {
        match (self, other) {
            (Self::Observed(want), Self::Observed(have))
            | (Self::Disease(want), Self::Disease(have)) => {
                want.reach == Reach::Below && terms.within(have.term, want.term)
            }
            (Self::Excluded(want), Self::Excluded(have)) => terms.within(*want, *have),
            _ => false,
        }
    }
}

/// Filters that nobody can meet together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Two sexes.
    #[error("nobody has two sexes recorded: {0} and {1}")]
    Sexes(Sex, Sex),
    /// No age is left.
    #[error("no age is in all the spans asked for")]
    Ages,
}

record! {
    /// A question in canonical form: all its filters hold. Without filters it asks for everyone.
    // INVARIANT: sorted, without duplicates, none follows from the others, at most one sex and one
    // age. Made by `Query::new` alone; a decoded one that is not so has another digest, and no more.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Query {
        1 => filters: Vec<Filter>,
    }
}

/// What is known of one individual for discovery. Holds health data: no `Debug`.
pub struct Individual<'a> {
    /// Phenotypic features observed, as recorded (ancestors are not listed).
    pub observed: &'a [TermId],
    /// Phenotypic features looked for and absent.
    pub excluded: &'a [TermId],
    /// Diseases diagnosed.
    pub diseases: &'a [TermId],
    /// Sex.
    pub sex: Sex,
    /// Age in whole years, if known; the youngest age of its band will do.
    pub age_years: Option<u16>,
}

impl Query {
    /// The canonical form of a conjunction.
    ///
    /// # Errors
    /// A [`Contradiction`]: the answer would be a known nought that costs as much as any other.
    pub fn new(filters: &[Filter], terms: &impl Terms) -> Result<Self, Contradiction> {
        let (mut sex, mut age, mut others) = (None, None::<AgeSpan>, Vec::new());
        for filter in filters {
            match *filter {
                Filter::Sex(next) => match sex {
                    Some(first) if first != next => {
                        return Err(Contradiction::Sexes(first, next));
                    }
                    _ => sex = Some(next),
                },
                Filter::Age(next) => {
                    let both = age.map_or(Some(next), |span| span.and(next));
                    age = Some(both.ok_or(Contradiction::Ages)?);
                }
                other => others.push(other),
            }
        }
        others.sort_unstable();
        others.dedup();
        let mut kept = others.clone();
        for filter in &others {
            // Against what is still kept, so that of two that say the same one stays.
            let implied = kept
                .iter()
                .any(|other| other != filter && filter.follows_from(other, terms));
            if implied {
                kept.retain(|other| other != filter);
            }
        }
        kept.extend(sex.map(Filter::Sex));
        kept.extend(age.filter(|span| *span != ANY_AGE).map(Filter::Age));
        Ok(Self { filters: kept })
    }

    /// The filters, sorted.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// The name of the question: the same for every way to ask it.
    pub fn digest(&self) -> Digest {
        keys::digest(Domain::DiscoveryQuery, &[&codec::to_vec(self)])
    }

    /// Whether an individual meets every filter.
    pub fn matches(&self, individual: &Individual<'_>, terms: &impl Terms) -> bool {
        self.filters.iter().all(|filter| match filter {
            Filter::Observed(want) => has(individual.observed, want, terms),
            Filter::Disease(want) => has(individual.diseases, want, terms),
            Filter::Excluded(want) => individual
                .excluded
                .iter()
                .any(|term| terms.within(*want, *term)),
            Filter::Sex(want) => individual.sex == *want,
            Filter::Age(span) => individual.age_years.is_some_and(|years| span.holds(years)),
        })
    }

    /// The question as one sentence, for screens of audit. `label` names a term, if it can.
    pub fn sentence(&self, label: impl Fn(TermId) -> Option<String>) -> String {
        let name = |term: TermId| match label(term) {
            Some(label) => format!("{label} ({term})"),
            None => term.to_string(),
        };
        let wanted = |want: &Wanted| match want.reach {
            Reach::Below => format!("{} or anything below it", name(want.term)),
            Reach::Exact => format!("exactly {}", name(want.term)),
        };
        let mut text = String::from("How many individuals");
        let mut lead = " have ";
        for filter in &self.filters {
            let part = match filter {
                Filter::Observed(want) => format!("observed: {}", wanted(want)),
                Filter::Excluded(term) => format!("looked for and absent: {}", name(*term)),
                Filter::Disease(want) => format!("diagnosed: {}", wanted(want)),
                Filter::Sex(sex) => format!("sex: {sex}"),
                Filter::Age(span) => format!("age: {}", ages(*span)),
            };
            let _ = write!(text, "{lead}{part}");
            lead = "; and ";
        }
        text.push_str(if self.filters.is_empty() {
            " are there?"
        } else {
            "?"
        });
        text
    }
}

const ANY_AGE: AgeSpan = AgeSpan {
    from: 0,
    below: None,
};

fn has(terms_had: &[TermId], want: &Wanted, terms: &impl Terms) -> bool {
    terms_had.iter().any(|term| match want.reach {
        Reach::Below => terms.within(*term, want.term),
        Reach::Exact => *term == want.term,
    })
}

fn ages(span: AgeSpan) -> String {
    match span.below {
        None => format!("{} years or more", span.from),
        Some(below) => format!("{} to under {below} years", span.from),
    }
}
