//! What is said of at least `k` subjects together.

use ontology::{HpoId, Sex};
use serde::{Deserialize, Serialize};

/// A share of the subjects of a group.
pub use extract::Share;

/// A group of subjects as it leaves. Serialises as a line of `groups.ndjson`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name in this release: `G` and digits. No release knows another's.
    pub id: String,
    /// Subjects, rounded down to a multiple of `k`.
    pub at_least: u32,
    /// The sex of enough of them.
    pub sex: Vec<Sexes>,
    /// The ages of enough of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ages: Option<Ages>,
    /// What is said of their diagnoses; empty: not told.
    pub diagnoses: Vec<Diagnosis>,
    /// Features that were seen.
    pub observed: Vec<Feature>,
    /// Features that were looked for and not there.
    pub excluded: Vec<Feature>,
    /// Measurements.
    pub measured: Vec<Measure>,
    /// Tokens for the custodian, who alone opens them: some of the subjects may be asked again. Among them are
    /// some that stand for nobody.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub recontact: Vec<String>,
}

/// A sex that enough subjects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sexes {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// A range of ages in years, both in it; without an end: and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ages {
    /// The youngest.
    pub from: u32,
    /// The oldest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<u32>,
}

/// A diagnosis in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// OMIM or ORPHA, as `OMIM:147791`.
    pub id: String,
    /// Its name; empty: not known here.
    pub label: String,
    /// Whether all have it: the cohort was chosen by it. Otherwise it is one of several.
    pub all: bool,
}

/// A phenotypic feature in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The term of HPO.
    pub term: HpoId,
    /// Its label.
    pub label: String,
    /// Of how many subjects it, or a narrower one, is stated.
    pub share: Share,
}

/// A measurement in a group: of each subject with a value the median counts, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The code's system.
    pub system: String,
    /// What was measured.
    pub code: String,
    /// UCUM.
    pub unit: String,
    /// Subjects with a value, rounded down to a multiple of `k`.
    pub at_least: u32,
    /// The mean, to three digits.
    pub mean: f64,
    /// The standard deviation, to two digits.
    pub deviation: f64,
}

impl Group {
    /// A group of what an extract says of one cluster. `feature` gives a term's label, `disease` a disease's.
    pub fn of(
        id: String,
        profile: &extract::Profile,
        feature: &dyn Fn(HpoId) -> String,
        disease: &dyn Fn(ontology::DiseaseId) -> String,
    ) -> Self {
        let features = |shown: &[extract::Shown]| {
            let shown = shown.iter().map(|shown| Feature {
                term: shown.term,
                label: feature(shown.term),
                share: shown.share,
            });
            shown.collect()
        };
        let named = |id: &ontology::DiseaseId, all| Diagnosis {
            id: id.to_string(),
            label: disease(*id),
            all,
        };
        let mut sex = Vec::new();
        for (is, which) in [(profile.female, Sexes::Female), (profile.male, Sexes::Male)] {
            if is {
                sex.push(which);
            }
        }
        Self {
            id,
            at_least: profile.at_least,
            sex,
            ages: profile.ages.map(|(first, last)| Ages {
                from: years(first).0,
                to: years(last).1,
            }),
            diagnoses: match &profile.diagnoses {
                extract::Diagnoses::Cohort(id) => vec![named(id, true)],
                extract::Diagnoses::Among(ids) => ids.iter().map(|id| named(id, false)).collect(),
                extract::Diagnoses::Withheld => Vec::new(),
            },
            observed: features(&profile.observed),
            excluded: features(&profile.excluded),
            measured: Vec::new(),
            recontact: Vec::new(),
        }
    }

    /// The sex, if it is one.
    pub(crate) fn one_sex(&self) -> Option<Sex> {
        match self.sex.as_slice() {
            [Sexes::Female] => Some(Sex::Female),
            [Sexes::Male] => Some(Sex::Male),
            _ => None,
        }
    }
}

/// The first and last of a band's years.
const fn years(band: extract::AgeBand) -> (u32, Option<u32>) {
    use extract::AgeBand;
    match band {
        AgeBand::Under1 => (0, Some(0)),
        AgeBand::From1To4 => (1, Some(4)),
        AgeBand::From5To15 => (5, Some(15)),
        AgeBand::From16To39 => (16, Some(39)),
        AgeBand::From40To59 => (40, Some(59)),
        AgeBand::From60 => (60, None),
    }
}
