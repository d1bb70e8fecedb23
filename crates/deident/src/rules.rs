//! The rule file: read, checked against the definitions of R4, and compiled into a tree by element name.

use crate::cloak::Cloak;
use crate::date::{When, years_between};
use crate::fates::{Fates, Place};
use crate::file::{File, RulesError};
use crate::packet;
use crate::terminology::Terminologies;
use crate::tree::Tree;
use codec::Domain;
use codec::time::Date;
use std::sync::{Arc, LazyLock};

/// The rules that ship with this crate.
const SHIPPED: &str = include_str!("rules.toml");

/// What may leave: read once, used for every release. The same text gives the same digest.
pub struct Rules {
    digest: [u8; 32],
    pub(crate) version: u32,
    pub(crate) tree: Tree,
    pub(crate) packets: packet::Kids,
    pub(crate) places: Arc<[Place]>,
    pub(crate) terminologies: Terminologies,
    pub(crate) pooled_years: u32,
    pub(crate) bands_years: Vec<u32>,
    pub(crate) back_years: u16,
    pub(crate) ahead_years: u16,
    pub(crate) digits: usize,
}

impl Rules {
    /// The rules that ship with this crate.
    pub fn shipped() -> &'static Self {
        static RULES: LazyLock<Rules> = LazyLock::new(|| {
            // INVARIANT: a test reads them.
            Rules::parse(SHIPPED)
                .unwrap_or_else(|error| unreachable!("the shipped rules do not read: {error}"))
        });
        &RULES
    }

    /// The text of the shipped rules.
    pub fn shipped_text() -> &'static str {
        SHIPPED
    }

    /// Reads a rule file (`docs/deidentification.md`).
    ///
    /// # Errors
    /// [`RulesError`]: what is wrong in the file and where. Nothing that could hold free text can be kept.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let file: File = toml::from_str(text).map_err(|error| RulesError::Text(Box::new(error)))?;
        file.check()?;
        let formed = file.terminologies.iter();
        let formed = formed.map(|t| (&*t.system, &*t.form, t.prefix.as_deref()));
        let listed = file.hl7.systems.iter().map(String::as_str);
        let terminologies = Terminologies::new(formed, listed)?;
        let (tree, mut places) = Tree::grow(&file)?;
        let packets = packet::grow(&file, &mut places)?;
        Ok(Self {
            digest: *keys::digest(Domain::ReleaseRules, &[text.as_bytes()]).as_bytes(),
            version: file.version,
            tree,
            packets,
            places: places.into(),
            terminologies,
            pooled_years: file.ages.pooled_from_years,
            bands_years: file.ages.bands_years,
            back_years: file.dates.back_years,
            ahead_years: file.dates.ahead_years,
            digits: file.numbers.significant_digits,
        })
    }

    /// The digest of the rule file, to be put into a release's certificate.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The `version` of the rule file.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Counts of these rules, all 0.
    pub fn fates(&self) -> Fates {
        Fates::new(self.digest, Arc::clone(&self.places))
    }

    /// A date moved by the subject's weeks, if neither it nor what it becomes is too far from the release's date.
    pub(crate) fn moved<'t>(&self, cloak: &Cloak, at: Date, when: &When<'t>) -> Option<When<'t>> {
        let moved = when.shifted(cloak.shift_weeks())?;
        let near = |when: &When<'_>| {
            years_between(when.day(), at) < i64::from(self.back_years)
                && years_between(at, when.day()) < i64::from(self.ahead_years)
        };
        (near(when) && near(&moved)).then_some(moved)
    }

    /// The resource types that have rules, in order.
    pub fn resource_types(&self) -> impl Iterator<Item = &'static str> {
        self.tree.roots.keys().copied()
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rules(version {})", self.version)
    }
}
