//! The public terminologies under which a code may leave, and the form that their codes have.
//!
//! A code is kept only where the rule file names its system, and it is one of the system's codes (where all
//! are known) or has the form of one, check digits included. A form narrows what can be smuggled through a
//! code; it does not prove that the code exists.

mod form;
mod ucum;

pub(crate) use form::Form;
pub(crate) use ucum::{is_unit, years_of};

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The codes of HL7's systems; see its first lines.
const HL7: &str = include_str!("../hl7-codes.txt");

/// What a code of a system looks like.
#[derive(Debug)]
enum Codes {
    Formed(Form),
    Listed(BTreeSet<&'static str>),
}

/// The terminologies of a rule file.
#[derive(Debug)]
pub(crate) struct Terminologies {
    systems: HashMap<Box<str>, Codes>,
    prefixes: BTreeMap<Box<str>, Form>,
}

/// A fault of the terminologies of a rule file.
#[derive(Debug)]
pub(crate) enum Fault {
    UnknownForm(String),
    UnknownSystem(String),
    Twice(String),
}

impl Terminologies {
    /// Of systems with the name of a form and, for phenopackets, a prefix; and of systems of HL7.
    pub(crate) fn new<'t>(
        formed: impl Iterator<Item = (&'t str, &'t str, Option<&'t str>)>,
        listed: impl Iterator<Item = &'t str>,
    ) -> Result<Self, Fault> {
        let mut made = Self {
            systems: HashMap::new(),
            prefixes: BTreeMap::new(),
        };
        for (system, name, prefix) in formed {
            let form = Form::named(name).ok_or_else(|| Fault::UnknownForm(name.to_owned()))?;
            made.add(system, Codes::Formed(form))?;
            if let Some(prefix) = prefix
                && made.prefixes.insert(prefix.into(), form).is_some()
            {
                return Err(Fault::Twice(prefix.to_owned()));
            }
        }
        for system in listed {
            let line = HL7.lines().find_map(|line| {
                let (name, codes) = line.split_once('\t')?;
                (name == system).then_some(codes)
            });
            let codes = line.ok_or_else(|| Fault::UnknownSystem(system.to_owned()))?;
            made.add(system, Codes::Listed(codes.split('\t').collect()))?;
        }
        Ok(made)
    }

    fn add(&mut self, system: &str, codes: Codes) -> Result<(), Fault> {
        match self.systems.insert(system.into(), codes) {
            None => Ok(()),
            Some(_) => Err(Fault::Twice(system.to_owned())),
        }
    }

    /// Whether a code of a system may leave.
    pub(crate) fn has(&self, system: &str, code: &str) -> bool {
        match self.systems.get(system) {
            Some(Codes::Formed(form)) => form.fits(code),
            Some(Codes::Listed(codes)) => codes.contains(code),
            None => false,
        }
    }

    /// Whether an identifier like `HP:0001250` may leave.
    pub(crate) fn has_curie(&self, curie: &str) -> bool {
        let Some((prefix, local)) = curie.split_once(':') else {
            return false;
        };
        self.prefixes
            .get(prefix)
            .is_some_and(|form| form.fits_local(local))
    }

    /// Whether a prefix like `HP` is one of those that may leave.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.prefixes.contains_key(prefix)
    }
}
