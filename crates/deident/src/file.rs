//! The rule file as it is written.

use crate::terminology::Fault;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Elements by name, each with the word of its rule.
pub(crate) type Words = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) version: u32,
    pub(crate) ages: Ages,
    pub(crate) dates: Dates,
    pub(crate) numbers: Numbers,
    pub(crate) resources: BTreeMap<String, Words>,
    pub(crate) types: BTreeMap<String, Words>,
    pub(crate) phenopackets: BTreeMap<String, Words>,
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, Vec<String>>,
    pub(crate) terminologies: Vec<Terminology>,
    pub(crate) hl7: Hl7,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ages {
    pub(crate) pooled_from_years: u32,
    pub(crate) bands_years: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dates {
    pub(crate) back_years: u16,
    pub(crate) ahead_years: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    pub(crate) significant_digits: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terminology {
    pub(crate) system: String,
    pub(crate) form: String,
    #[serde(default)]
    pub(crate) prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hl7 {
    pub(crate) systems: Vec<String>,
}

/// What is wrong with a rule file.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not TOML, or names that a rule file does not have.
    #[error("the rule file cannot be read")]
    Text(#[source] Box<toml::de::Error>),
    /// A number that does not protect, or bands out of order.
    #[error("{0} in the rule file is out of its range: {1}")]
    Range(&'static str, &'static str),
    /// A type or element that R4, or a message or field that the schema of phenopackets, does not have.
    #[error("the rule file names {0}, which the standard does not have there")]
    Unknown(String),
    /// A word that does not say what to do with an element of its type.
    #[error("the rule '{word}' cannot stand for {path}: {why}")]
    Word {
        /// The element.
        path: String,
        /// The word.
        word: String,
        /// What would be right.
        why: &'static str,
    },
    /// A kept element whose type has no rules.
    #[error("{0} is kept and its type has no rules under [types]")]
    NoType(String),
    /// A type that is kept inside itself.
    #[error("{0} is nested without end")]
    Endless(String),
    /// A form of codes that this program does not know.
    #[error("the terminology form '{0}' is unknown")]
    Form(String),
    /// A system of HL7 whose codes this program does not have.
    #[error("the codes of {0} are not known here; run `cargo xtask fhir-tables` after naming it")]
    Codes(String),
    /// A system or prefix that stands twice.
    #[error("{0} stands twice in the rule file")]
    Twice(String),
}

impl From<Fault> for RulesError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::UnknownForm(form) => Self::Form(form),
            Fault::UnknownSystem(system) => Self::Codes(system),
            Fault::Twice(name) => Self::Twice(name),
        }
    }
}

impl File {
    /// Numbers that would let through what they are there to stop.
    pub(crate) fn check(&self) -> Result<(), RulesError> {
        let ages = &self.ages;
        if !(1..=90).contains(&ages.pooled_from_years) {
            return Err(RulesError::Range("ages.pooled_from_years", "1 to 90"));
        }
        let ascending = ages
            .bands_years
            .windows(2)
            .all(|pair| pair.first() < pair.last());
        let last = ages.bands_years.last();
        if !ascending
            || ages.bands_years.first() != Some(&0)
            || last.is_none_or(|last| *last >= ages.pooled_from_years)
        {
            let why = "ascending, from 0, all below pooled_from_years";
            return Err(RulesError::Range("ages.bands_years", why));
        }
        if u32::from(self.dates.back_years) >= ages.pooled_from_years {
            return Err(RulesError::Range(
                "dates.back_years",
                "below ages.pooled_from_years",
            ));
        }
        if self.dates.ahead_years > 20 {
            return Err(RulesError::Range("dates.ahead_years", "at most 20"));
        }
        if !(1..=7).contains(&self.numbers.significant_digits) {
            return Err(RulesError::Range("numbers.significant_digits", "1 to 7"));
        }
        Ok(())
    }
}
