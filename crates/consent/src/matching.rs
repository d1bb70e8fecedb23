//! Whether what a study declares is what the conditions of some data allow; explained.
//!
//! In: a [`DataUse`], a [`StudyUse`], and what each disease of the study is within. Out: a [`Match`], clause by
//! clause and condition by condition. A match proposes: a person decides whether a study is approved, and
//! nothing here says that it is. The reasons name diseases and topics of the data's conditions: they are for the
//! committee and the family, not for the study.
//!
//! What is not declared is taken for the worse: a study that does not say where it works keeps no geographical
//! restriction. A disease whose ancestors are not known is within itself alone.

use crate::data_use::{Clause, DataUse, Modifier, Permission};
use crate::duo::Duo;
use crate::study::{Organisation, ResearchType, Sensitive, StudyUse};
use crate::{Curie, Topic};
use codec::{Millis, choice, codes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

codes! {
    /// What a match comes to. In this order: the better the earlier.
    pub enum Outcome {
        /// The conditions allow the use.
        1 => Permitted = "permitted",
        /// Something is left that only a person can judge.
        2 => ForAPerson = "for-a-person",
        /// The conditions do not allow the use.
        3 => Denied = "denied",
    }
}

choice! {
    /// What only a person can judge. A committee accepts it for a study, exactly as it is, or does not.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Condition {
        /// Whether the study is research of this topic, as the data's conditions put it.
        1 => Topic(Topic),
        /// What the study does, which names no kind of research.
        2 => ResearchNotNamed,
        /// Something about the study that calls for a look.
        3 => Sensitive(Sensitive),
        /// What else the study says about its use.
        4 => Other(Topic),
    }
}

/// One permission or condition held against the study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The term of DUO; none for what is about the study alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duo: Option<Duo>,
    /// What it comes to.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub because: String,
}

/// One clause held against the study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseMatch {
    /// What it comes to: the worst of its findings.
    pub outcome: Outcome,
    /// Everything that was looked at, the permission first.
    pub findings: Vec<Finding>,
    /// What is left for a person.
    pub conditions: BTreeSet<Condition>,
    /// The first instant after what a time limit allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// What a study's use comes to under some conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The best of the clauses; denied if there are none.
    pub outcome: Outcome,
    /// Clause by clause, in the order of the conditions.
    pub clauses: Vec<ClauseMatch>,
}

/// Holds what a study declares against the conditions of some data.
///
/// `ancestors` gives everything that a disease of the study is within, not necessarily itself; `None` where the
/// disease is not known.
pub fn match_use(
    data: &DataUse,
    study: &StudyUse,
    ancestors: &dyn Fn(&Curie) -> Option<BTreeSet<Curie>>,
) -> Match {
    let clauses: Vec<ClauseMatch> = data
        .clauses
        .iter()
        .map(|clause| match_clause(clause, study, ancestors))
        .collect();
    let best = clauses.iter().map(|clause| clause.outcome).min();
    Match {
        outcome: best.unwrap_or(Outcome::Denied),
        clauses,
    }
}

impl Match {
    /// Until when the study may use the data if a person accepted these conditions for it: `None` for not at
    /// all, `Some(None)` for without an end of its own.
    pub fn allowed(&self, accepted: &BTreeSet<Condition>) -> Option<Option<Millis>> {
        let open = self.clauses.iter().filter(|clause| {
            clause.outcome != Outcome::Denied && clause.conditions.is_subset(accepted)
        });
        let mut last: Option<Option<Millis>> = None;
        for clause in open {
            last = Some(match (last, clause.until) {
                (None, until) => until,
                (Some(None), _) | (Some(_), None) => None,
                (Some(Some(a)), Some(b)) => Some(a.max(b)),
            });
        }
        last
    }

    /// The terms of DUO that the study breaks: those of the clause that it breaks in the fewest.
    pub fn broken(&self) -> BTreeSet<Duo> {
        let broken = self.clauses.iter().map(|clause| -> BTreeSet<Duo> {
            let denied = clause
                .findings
                .iter()
                .filter(|f| f.outcome == Outcome::Denied);
            denied.filter_map(|f| f.duo).collect()
        });
        broken.min_by_key(BTreeSet::len).unwrap_or_default()
    }
}

fn match_clause(
    clause: &Clause,
    study: &StudyUse,
    ancestors: &dyn Fn(&Curie) -> Option<BTreeSet<Curie>>,
) -> ClauseMatch {
    let mut held = Held {
        findings: Vec::new(),
        conditions: BTreeSet::new(),
    };
    held.permission(clause, study, ancestors);
    for modifier in &clause.modifiers {
        held.modifier(modifier, study);
    }
    for sensitive in &study.sensitive {
        let because = format!("The study {}; a person judges that.", sensitive.phrase());
        held.for_a_person(None, Condition::Sensitive(*sensitive), because);
    }
    if let Some(other) = &study.other {
        let because = format!("The study says of its use \"{other}\"; a person judges that.");
        held.for_a_person(None, Condition::Other(other.clone()), because);
    }
    let outcomes = held.findings.iter().map(|finding| finding.outcome);
    let until = clause.modifiers.iter().find_map(|modifier| match modifier {
        Modifier::Within(period) => Some(period.until),
        _ => None,
    });
    ClauseMatch {
        outcome: outcomes.max().unwrap_or(Outcome::Denied),
        findings: held.findings,
        conditions: held.conditions,
        until,
    }
}

/// A clause while it is held against a study.
struct Held {
    findings: Vec<Finding>,
    conditions: BTreeSet<Condition>,
}

impl Held {
    fn finding(&mut self, duo: Duo, permitted: bool, because: impl Into<String>) {
        self.findings.push(Finding {
            duo: Some(duo),
            outcome: if permitted {
                Outcome::Permitted
            } else {
                Outcome::Denied
            },
            because: because.into(),
        });
    }

    fn for_a_person(&mut self, duo: Option<Duo>, condition: Condition, because: String) {
        self.conditions.insert(condition);
        self.findings.push(Finding {
            duo,
            outcome: Outcome::ForAPerson,
            because,
        });
    }

    /// Every kind of research of the study must be allowed.
    fn permission(
        &mut self,
        clause: &Clause,
        study: &StudyUse,
        ancestors: &dyn Fn(&Curie) -> Option<BTreeSet<Curie>>,
    ) {
        let duo = clause.permission.duo();
        if study.research.is_empty() {
            let because =
                "The study names no kind of research; a person judges what it does.".to_owned();
            self.for_a_person(Some(duo), Condition::ResearchNotNamed, because);
        }
        for research in &study.research {
            match (&clause.permission, research) {
                (Permission::Diseases(permitted), ResearchType::Disease) => {
                    self.diseases(permitted, study, ancestors);
                }
                (permission, research) => {
                    let permitted = permits(permission, *research)
                        || (*research == ResearchType::ClinicalCare && clause.has(Duo::Cc));
                    let verb = if permitted { "is" } else { "is not" };
                    let because = format!(
                        "The study's {} {verb} allowed by {duo} ({}).",
                        research.phrase(),
                        duo.label()
                    );
                    self.finding(duo, permitted, because);
                }
            }
        }
    }

    /// Every disease of the study must be a permitted one or within one.
    fn diseases(
        &mut self,
        permitted: &BTreeSet<Curie>,
        study: &StudyUse,
        ancestors: &dyn Fn(&Curie) -> Option<BTreeSet<Curie>>,
    ) {
        if study.diseases.is_empty() {
            let because = "The study says that it is about diseases and names none.";
            self.finding(Duo::Ds, false, because);
        }
        for disease in &study.diseases {
            let above = ancestors(disease);
            let found = permitted.iter().find(|term| {
                *term == disease || above.as_ref().is_some_and(|above| above.contains(term))
            });
            let because = match (found, above) {
                (Some(term), _) if term == disease => {
                    format!("The study's disease {disease} is allowed.")
                }
                (Some(term), _) => {
                    format!("The study's disease {disease} is within {term}, which is allowed.")
                }
                (None, Some(_)) => {
                    format!("The study's disease {disease} is not within an allowed one.")
                }
                (None, None) => format!(
                    "The study's disease {disease} is not known here, so that it cannot be told \
                     whether it is within an allowed one."
                ),
            };
            self.finding(Duo::Ds, found.is_some(), because);
        }
    }

    fn modifier(&mut self, modifier: &Modifier, study: &StudyUse) {
        let duo = modifier.duo();
        let general = study.research.contains(&ResearchType::General);
        let for_profit = study.organisation == Organisation::ForProfit;
        let (kept, because): (bool, &str) = match modifier {
            Modifier::Topic(topic) => {
                let because = format!(
                    "Whether the study is research on \"{topic}\" is for a person to judge."
                );
                self.for_a_person(Some(duo), Condition::Topic(topic.clone()), because);
                return;
            }
            // Looked at with the permission: it adds a use.
            Modifier::ClinicalCare => return,
            Modifier::NoMethods => {
                let kept = !general && !study.research.contains(&ResearchType::Methods);
                (kept, "whether it develops methods")
            }
            Modifier::NoAncestry => {
                let kept = !general && !study.research.contains(&ResearchType::Ancestry);
                (kept, "whether it does research into origins or ancestry")
            }
            Modifier::GeneticOnly => (study.genetic, "whether it works with genetic data"),
            Modifier::NonProfitOrganisation => {
                (!for_profit, "whether its organisation works for profit")
            }
            Modifier::NonCommercial => (!study.commercial, "whether it is commercial"),
            Modifier::NonProfitNonCommercial => (
                !for_profit && !study.commercial,
                "whether its organisation works for profit or it is commercial",
            ),
            Modifier::Publication => (study.publishes_from.is_some(), "whether it publishes"),
            Modifier::Collaboration => (
                study.collaborates,
                "whether it works together with those who collected the data",
            ),
            Modifier::EthicsApproval => (
                study.ethics.is_some(),
                "whether it holds an ethics committee's approval",
            ),
            Modifier::Return => (study.returns, "whether it gives back what it derives"),
            Modifier::Countries(countries) => (
                named_within(&study.countries, countries),
                "in which countries it works",
            ),
            Modifier::Users(users) => (named_within(&study.users, users), "who uses the data"),
            Modifier::Institutions(places) => (
                named_within(&study.institutions, places),
                "at which institutions the data are used",
            ),
            Modifier::Studies(studies) => (studies.contains(&study.study), "which study it is"),
            Modifier::Moratorium(from) => (
                study.publishes_from.is_none_or(|day| day >= *from),
                "when it publishes",
            ),
            Modifier::Within(period) => (study.period.is_within(period), "when the data are used"),
        };
        let verb = if kept { "is" } else { "is not" };
        let because = format!("{duo} ({}) {verb} kept; looked at: {because}.", duo.label());
        self.finding(duo, kept, because);
    }
}

/// Whether a study named some, and all of them are among those allowed.
fn named_within<T: Ord>(named: &BTreeSet<T>, allowed: &BTreeSet<T>) -> bool {
    !named.is_empty() && named.is_subset(allowed)
}

/// Whether a permission, its modifiers aside, allows a kind of research. Diseases are looked at one by one.
const fn permits(permission: &Permission, research: ResearchType) -> bool {
    match research {
        ResearchType::General => matches!(
            permission,
            Permission::NoRestriction | Permission::GeneralResearch
        ),
        ResearchType::Health | ResearchType::Disease => matches!(
            permission,
            Permission::NoRestriction | Permission::GeneralResearch | Permission::HealthResearch
        ),
        ResearchType::Ancestry => matches!(
            permission,
            Permission::NoRestriction | Permission::GeneralResearch | Permission::Ancestry
        ),
        ResearchType::Methods => true,
        ResearchType::ClinicalCare => matches!(permission, Permission::NoRestriction),
    }
}

impl ResearchType {
    /// The research, to follow "the study's".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::General => "research of any kind",
            Self::Health => "research into health",
            Self::Disease => "research into diseases",
            Self::Ancestry => "research into origins or ancestry",
            Self::Methods => "development of methods",
            Self::ClinicalCare => "use in clinical care",
        }
    }
}

impl Sensitive {
    /// What it says of a study, to follow "the study".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Controls => "uses people as controls for what they do not have",
            Self::Population => "describes or compares populations",
            Self::OneSex => "is about people of one sex",
            Self::Children => "is about children",
            Self::Vulnerable => "is about people who are easily put under pressure",
            Self::IllegalBehaviour => "is about illegal behaviour",
            Self::SexualHealth => "is about sexually transmitted disease",
            Self::PsychologicalTraits => "is about psychological traits",
            Self::NotHealth => "is not about health",
            Self::Stigma => "is about what people are stigmatised for",
        }
    }
}
