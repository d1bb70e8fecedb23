//! What [`crate::decide`] answers: a permit with its basis, or everything that was missing.
//!
//! The sentences name rules, times, purposes, categories and ids, never what a record says.

use crate::dates::{moment, until};
use crate::grant::Exception;
use crate::{Duo, Purpose, RecordKind, RuleName};
use codec::{Category, GrantId, Millis, RecordId, StudyId, choice, record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

choice! {
    /// Why a read is allowed.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Basis {
        /// A grant of the controllers.
        1 => Grant(GrantId),
        /// The institution's rule for its own care.
        2 => Policy(RuleName),
        /// A law, by the institution's rule for it.
        3 => Law(RuleName),
        /// A use that needs no agreement and was not opted out of.
        4 => OptOutNotExercised(RuleName),
        /// Broken glass.
        5 => BreakGlass,
        /// The controller in a slot reads the record.
        6 => Controller(u8),
        /// The node's own projections.
        7 => SystemProjection,
    }
}

record! {
    /// A basis and the categories that rest on it.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Because {
        /// Why.
        1 => pub basis: Basis,
        /// What.
        2 => pub categories: BTreeSet<Category>,
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Go on, so far and no further.
    Permit(Permit),
    /// Stop.
    Deny(Denial),
}

/// How far a permitted request may go.
///
/// Serialised, it tells what was decided; read back, it covers no record ([`Permit::covers`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// The first basis of `because`.
    pub basis: Basis,
    /// Every basis that something rests on, in order of precedence; never empty.
    pub because: Vec<Because>,
    /// The permitted categories: those asked for or, for a partial request, some of them.
    pub categories: BTreeSet<Category>,
    /// The first instant at which something of this is no longer permitted.
    pub until: Option<Millis>,
    /// The view of consent may be out of date; whoever reads must be told.
    pub stale: bool,
    #[serde(skip)]
    pub(crate) coverage: Coverage,
}

/// What was missing for a permit; never empty, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Each reason by itself stood in the way, or would have helped if it had not.
    pub missing: Vec<Missing>,
}

choice! {
    /// One thing that stood in the way. [`fmt::Display`] is a sentence.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Missing {
        /// The selection is empty.
        1 => NothingSelected,
        /// The consent states are of another subject.
        2 => WrongSubject,
        /// Nothing is left to read.
        3 => Erased,
        /// The subject's entry is closed.
        4 => Closed,
        /// Processing is restricted.
        5 => Restricted,
        /// The view of the ledger is this many ms old.
        6 => LedgerStale(u64),
        /// The ledger has a consent state that this node does not hold.
        7 => OpeningMismatch,
        /// The ledger has no consent state yet.
        8 => NotOnLedgerYet,
        /// No rule lets the asker's roles act for this purpose.
        9 => RoleNotAllowed(Purpose),
        /// No grant names the asker.
        10 => NoGrant,
        /// Grants name the asker for other purposes.
        11 => PurposeNotGranted(Purpose),
        /// No basis covers these.
        12 => CategoriesNotPermitted(BTreeSet<Category>),
        /// A grant starts then.
        13 => GrantNotYetValid(Millis),
        /// A grant ended then.
        14 => GrantExpired(Millis),
        /// A grant leaves out the asker.
        15 => PractitionerExcepted,
        /// The grants leave out these records that were asked for.
        16 => RecordsExcepted(BTreeSet<RecordId>),
        /// A grant is for a study, and the request named none.
        17 => StudyNotNamed,
        /// The study is not open, or the asker's institution takes no part.
        18 => StudyNotActive(StudyId),
        /// The family opted out.
        19 => OptedOut(Purpose),
        /// The asker is no controller of this subject.
        20 => NotAController,
        /// The guardianship ended then.
        21 => GuardianEnded(Millis),
        /// The subject came of age then.
        22 => SubjectMatured(Millis),
        /// The asker has not broken the glass for this subject.
        23 => BreakGlassNotOpen,
        /// The session ended then.
        24 => BreakGlassOver(Millis),
        /// Glass is broken at the custodian only.
        25 => BreakGlassElsewhere,
        /// An accepted change would allow this and is not final.
        26 => ChangeNotFinal,
        /// The study breaks conditions of use of these kinds.
        27 => DataUse(BTreeSet<Duo>),
        /// The conditions leave something to a person that the committee has not accepted for the study.
        28 => NotAccepted,
        /// This custodian's committee has not approved the study, or what it declares is not held here.
        29 => StudyNotApproved(StudyId),
        /// The study's time has not come.
        30 => StudyNotYet(Millis),
        /// The study's time ended then.
        31 => StudyEnded(Millis),
        /// The study did not declare this purpose.
        32 => StudyPurpose(Purpose),
        /// The study is not by the asker.
        33 => NotInStudy(StudyId),
        /// What nobody has to agree to is, in research, for approved studies; the request named none.
        34 => StudyNeeded,
    }
}

impl Decision {
    /// The permit, if it is one.
    pub fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Permit(permit) => Some(permit),
            Self::Deny(_) => None,
        }
    }

    /// The denial, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Permit(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }
}

impl Permit {
    /// Whether one category of one record may be opened at `at`.
    ///
    /// INVARIANT: nothing leaves a compartment without this. Covers no record beyond those that
    /// the request named. A record whose kind is not known
    /// counts as left out by every exception for a kind.
    pub fn covers(
        &self,
        category: Category,
        record: &RecordId,
        kind: Option<&RecordKind>,
        at: Millis,
    ) -> bool {
        self.categories.contains(&category) && self.coverage.covers(category, record, kind, at)
    }

    /// What is permitted at `at`, in bytes: the same for two permits with the same categories and, but for ways that
    /// another one contains, the same exceptions. Says nothing of the basis, nor of how long it lasts.
    pub fn reach(&self, at: Millis) -> Vec<u8> {
        let running = |way: &&Allowance| way.until.is_none_or(|until| at < until);
        let of = |category: &Category| -> (Category, BTreeSet<BTreeSet<Exception>>) {
            let ways = self.coverage.ways.get(category).into_iter().flatten();
            let excepted: BTreeSet<_> = ways.filter(running).map(|way| &way.except).collect();
            let contained = |one: &&BTreeSet<Exception>| {
                let mut others = excepted.iter().filter(|other| *other != one);
                others.any(|other| other.is_subset(one))
            };
            let kept = excepted.iter().filter(|one| !contained(one));
            (*category, kept.map(|one| (*one).clone()).collect())
        };
        let reach: Vec<_> = self.categories.iter().map(of).collect();
        codec::to_vec(&(reach, self.coverage.only.clone()))
    }

    /// Whether some records may be left out of what is permitted. That there are such records is
    /// the family's to tell, not the reader's to know.
    pub fn withholds(&self) -> bool {
        self.categories.iter().any(|c| self.coverage.withholds(*c))
    }
}

impl Denial {
    /// The denial as the asker may see it: without what would tell them that the family left them
    /// out by name, or what its conditions for research are.
    #[must_use]
    pub fn for_asker(&self) -> Self {
        let missing: BTreeSet<Missing> = self
            .missing
            .iter()
            .map(|missing| match missing {
                Missing::PractitionerExcepted => Missing::NoGrant,
                Missing::DataUse(_) | Missing::NotAccepted => Missing::DataUse(BTreeSet::new()),
                other => other.clone(),
            })
            .collect();
        let missing = missing.into_iter().collect();
        Self { missing }
    }
}

/// One way in which a category is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) basis: Basis,
    pub(crate) until: Option<Millis>,
    pub(crate) except: BTreeSet<Exception>,
}

impl Allowance {
    fn covers(&self, record: &RecordId, kind: Option<&RecordKind>, at: Millis) -> bool {
        let excepted = self.except.iter().any(|exception| match exception {
            Exception::Record(id) => id == record,
            Exception::Kind(excepted) => kind.is_none_or(|kind| kind == excepted),
            Exception::Practitioner(_) => false,
        });
        !excepted && self.until.is_none_or(|until| at < until)
    }

    /// What both cover, on the same basis.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            basis: self.basis.clone(),
            until: self.until.into_iter().chain(other.until).min(),
            except: self.except.union(&other.except).cloned().collect(),
        }
    }

    /// Whether this covers everything that `other` covers.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let lasts = match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => a >= b,
        };
        lasts && self.except.is_subset(&other.except)
    }
}

/// For each category, the ways in which it is permitted, the first in precedence first. A record is
/// covered if one of them covers it.
///
/// Kept in full because a union of grants with exceptions is no grant with exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) ways: BTreeMap<Category, Vec<Allowance>>,
    /// The records that the request named, if it named any.
    pub(crate) only: Option<BTreeSet<RecordId>>,
}

impl Coverage {
    pub(crate) fn covers(
        &self,
        category: Category,
        record: &RecordId,
        kind: Option<&RecordKind>,
        at: Millis,
    ) -> bool {
        let asked = self.only.as_ref().is_none_or(|only| only.contains(record));
        let mut ways = self.ways.get(&category).into_iter().flatten();
        asked && ways.any(|way| way.covers(record, kind, at))
    }

    fn withholds(&self, category: Category) -> bool {
        self.ways
            .get(&category)
            .is_some_and(|ways| ways.iter().all(|way| !way.except.is_empty()))
    }

    /// The first instant at which something is no longer covered. Ways that another one contains
    /// are not kept, so the end of any that is kept uncovers something.
    pub(crate) fn until(&self) -> Option<Millis> {
        let ways = self.ways.values().flatten();
        ways.filter_map(|way| way.until).min()
    }

    /// The bases in order of precedence.
    pub(crate) fn because(&self) -> Vec<Because> {
        let mut found: Vec<Because> = Vec::new();
        for (category, ways) in &self.ways {
            for way in ways {
                match found.iter_mut().find(|b| b.basis == way.basis) {
                    Some(because) => {
                        because.categories.insert(*category);
                    }
                    None => found.push(Because {
                        basis: way.basis.clone(),
                        categories: BTreeSet::from([*category]),
                    }),
                }
            }
        }
        found.sort_by(|a, b| a.basis.precedence().cmp(&b.basis.precedence()));
        found
    }
}

impl Basis {
    /// Which of several bases is named first: the one that asks least of consent.
    pub(crate) fn precedence(&self) -> (u8, &Self) {
        let rank = match self {
            Self::Controller(_) => 0,
            Self::SystemProjection => 1,
            Self::Policy(_) => 2,
            Self::Law(_) => 3,
            Self::OptOutNotExercised(_) => 4,
            Self::Grant(_) => 5,
            Self::BreakGlass => 6,
        };
        (rank, self)
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(id) => write!(f, "grant {id}"),
            Self::Policy(rule) => write!(f, "the institution's rule {rule}"),
            Self::Law(rule) => write!(f, "the law, by rule {rule}"),
            Self::OptOutNotExercised(rule) => {
                write!(f, "rule {rule}, not opted out of")
            }
            Self::BreakGlass => f.write_str("broken glass, to be reviewed"),
            Self::Controller(slot) => write!(f, "the controller in slot {slot}"),
            Self::SystemProjection => f.write_str("the node's own projections"),
        }
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permitted: ")?;
        for (i, because) in self.because.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let categories = words(&because.categories);
            write!(f, "{separator}{categories} by {}", because.basis)?;
        }
        if let Some(end) = self.until {
            write!(f, "; {}", until(end))?;
        }
        let stale = if self.stale {
            "; consent may have changed since"
        } else {
            ""
        };
        write!(f, "{stale}.")
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Denied:")?;
        self.missing.iter().try_for_each(|m| write!(f, " {m}"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingSelected => f.write_str("The request selects nothing."),
            Self::WrongSubject => f.write_str("The consent at hand is of another subject."),
            Self::Erased => f.write_str("The records were erased here."),
            Self::Closed => {
                f.write_str("The subject's entry is closed; nothing is shared any more.")
            }
            Self::Restricted => f.write_str("Processing is restricted."),
            Self::LedgerStale(age_ms) => write!(
                f,
                "The view of the ledger is {} s old; more than {} s is too old to share.",
                age_ms / 1000,
                crate::MAX_LEDGER_AGE_MS / 1000
            ),
            Self::OpeningMismatch => {
                f.write_str("The ledger has a newer consent state than this node holds.")
            }
            Self::NotOnLedgerYet => {
                f.write_str("The ledger has not recorded the consent state yet.")
            }
            Self::RoleNotAllowed(purpose) => write!(
                f,
                "None of the asker's roles may act for {} ({purpose}).",
                purpose.phrase()
            ),
            Self::NoGrant => f.write_str("No grant names the asker, their institution or study."),
            Self::PurposeNotGranted(purpose) => write!(
                f,
                "What was granted to the asker is not for {} ({purpose}).",
                purpose.phrase()
            ),
            Self::CategoriesNotPermitted(categories) => {
                write!(f, "Not permitted: {}.", words(categories))
            }
            Self::GrantNotYetValid(from) => write!(f, "The grant starts on {}.", moment(*from)),
            Self::GrantExpired(at) => write!(f, "The grant ended on {}.", moment(*at)),
            Self::PractitionerExcepted => f.write_str("The grant leaves out this practitioner."),
            Self::RecordsExcepted(records) => match records.len() {
                1 => f.write_str("One of the records asked for is not covered."),
                n => write!(f, "{n} of the records asked for are not covered."),
            },
            Self::StudyNotNamed => f.write_str("The grant is for a study; the request names none."),
            Self::StudyNotActive(study) => {
                write!(f, "Study {study} is not open to the asker's institution.")
            }
            Self::OptedOut(purpose) => write!(
                f,
                "The family opted out of {} ({purpose}).",
                purpose.phrase()
            ),
            Self::NotAController => f.write_str("The asker is no controller of this subject."),
            Self::GuardianEnded(at) => write!(f, "The guardianship ended on {}.", moment(*at)),
            Self::SubjectMatured(at) => {
                write!(
                    f,
                    "The subject came of age at {at}; guardianship has ended."
                )
            }
            Self::BreakGlassNotOpen => {
                f.write_str("The asker has not opened a break-glass session for this subject.")
            }
            Self::BreakGlassOver(at) => {
                write!(f, "The break-glass session ended on {}.", moment(*at))
            }
            Self::BreakGlassElsewhere => f.write_str("Glass is broken at the custodian only."),
            Self::ChangeNotFinal => {
                f.write_str("A change that would allow this waits for the ledger.")
            }
            Self::DataUse(terms) if terms.is_empty() => {
                f.write_str("The conditions of use do not allow this study.")
            }
            Self::DataUse(terms) => {
                let terms: Vec<String> = terms
                    .iter()
                    .map(|term| format!("{term} ({})", term.label()))
                    .collect();
                let terms = terms.join(", ");
                write!(f, "The conditions of use do not allow this study: {terms}.")
            }
            Self::NotAccepted => f.write_str(
                "The conditions of use leave something to a person that the committee has not \
                 accepted for this study.",
            ),
            Self::StudyNotApproved(study) => {
                write!(f, "The committee here has not approved study {study}.")
            }
            Self::StudyNotYet(from) => write!(f, "The study starts on {}.", moment(*from)),
            Self::StudyEnded(at) => write!(f, "The study ended on {}.", moment(*at)),
            Self::StudyPurpose(purpose) => write!(
                f,
                "The study was not proposed for {} ({purpose}).",
                purpose.phrase()
            ),
            Self::StudyNeeded => f.write_str(
                "Research that needs no agreement is for approved studies; the request names none.",
            ),
            Self::NotInStudy(study) => {
                write!(f, "The asker is not among those who work on study {study}.")
            }
        }
    }
}

fn words(categories: &BTreeSet<Category>) -> String {
    let words: Vec<&str> = categories.iter().map(|c| c.as_str()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Millis = Millis::new(1_000);

    fn permit(ways: &[(Option<Millis>, &[u8])]) -> Permit {
        let kind = |n: &u8| RecordKind::new(format!("K{n}")).unwrap_or_else(|e| panic!("{e:?}"));
        let way = |(until, except): &(Option<Millis>, &[u8])| Allowance {
            basis: Basis::BreakGlass,
            until: *until,
            except: except.iter().map(kind).map(Exception::Kind).collect(),
        };
        let ways = ways.iter().map(way).collect();
        Permit {
            basis: Basis::BreakGlass,
            because: Vec::new(),
            categories: [Category::Phenotype].into(),
            until: None,
            stale: false,
            coverage: Coverage {
                ways: [(Category::Phenotype, ways)].into(),
                only: None,
            },
        }
    }

    #[test]
    fn permits_reach_as_far_as_each_other_while_they_cover_the_same() {
        let all = permit(&[(None, &[])]);
        let at = Millis::ZERO;
        assert_eq!(all.reach(at), permit(&[(Some(LATE), &[])]).reach(at));
        assert_ne!(all.reach(LATE), permit(&[(Some(LATE), &[])]).reach(LATE));
        assert_ne!(all.reach(at), permit(&[(None, &[1])]).reach(at));
        let (one, other) = (permit(&[(None, &[1])]), permit(&[(None, &[2])]));
        assert_ne!(one.reach(at), other.reach(at));
        // Two grants with an exception each are no grant with both.
        let union = permit(&[(None, &[1]), (Some(LATE), &[2])]);
        assert_ne!(union.reach(at), permit(&[(None, &[1, 2])]).reach(at));
        assert_ne!(union.reach(at), one.reach(at));
        // One that another one contains changes nothing.
        let both = permit(&[(None, &[1]), (Some(LATE), &[])]);
        assert_eq!(both.reach(at), all.reach(at));
        assert_eq!(both.reach(LATE), one.reach(LATE));
        // The second ended.
        assert_eq!(union.reach(LATE), one.reach(LATE));
        let mut more = all.clone();
        more.categories.insert(Category::Laboratory);
        assert_ne!(more.reach(at), all.reach(at));
    }
}
