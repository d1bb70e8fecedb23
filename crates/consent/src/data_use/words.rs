//! Conditions of use in plain words for a family.

use super::{Clause, DataUse, Modifier, Period, Permission};
use crate::dates::{day, until};
use crate::listing::{Names, institution_name, list, practitioner_name, study_name};
use codec::Millis;

impl DataUse {
    /// Each clause in a sentence, to be read as alternatives.
    pub fn sentences(&self, names: &impl Names) -> Vec<String> {
        self.clauses.iter().map(|c| c.sentence(names)).collect()
    }
}

impl Clause {
    /// What is allowed, and on what conditions.
    pub fn sentence(&self, names: &impl Names) -> String {
        let mut uses = self.permission.phrase(names);
        let no_methods = self.modifiers.contains(&Modifier::NoMethods);
        // Whoever agrees to research into one disease must know that methods are not bound to it.
        let bound = matches!(
            self.permission,
            Permission::Diseases(_) | Permission::HealthResearch | Permission::Ancestry
        );
        if bound && !no_methods {
            uses.push_str(", and the development of methods such as software");
        }
        if self.modifiers.contains(&Modifier::ClinicalCare) {
            uses.push_str(", and the care of patients");
        }
        let conditions: Vec<String> = self
            .modifiers
            .iter()
            .filter_map(|m| m.phrase(names))
            .collect();
        if conditions.is_empty() {
            format!("{uses}.")
        } else {
            format!("{uses}; {}.", conditions.join("; "))
        }
    }
}

impl Permission {
    fn phrase(&self, names: &impl Names) -> String {
        match self {
            Self::NoRestriction => "Any use".to_owned(),
            Self::GeneralResearch => "Any research".to_owned(),
            Self::HealthResearch => "Research into health, not into origins or ancestry".to_owned(),
            Self::Diseases(diseases) => {
                let named: Vec<String> = diseases
                    .iter()
                    .map(|term| names.disease(term).unwrap_or_else(|| term.to_string()))
                    .collect();
                let named = list(named.iter().map(String::as_str));
                format!("Research into {named}, and forms of it")
            }
            Self::Ancestry => "Research into origins and ancestry".to_owned(),
        }
    }
}

impl Modifier {
    /// The condition as part of a sentence; none for what adds a use.
    fn phrase(&self, names: &impl Names) -> Option<String> {
        let phrase = match self {
            Self::ClinicalCare => return None,
            Self::Topic(topic) => {
                format!("only on the topic \"{topic}\", as a committee judges it")
            }
            Self::NoMethods => "not to develop methods such as software".to_owned(),
            Self::GeneticOnly => "only in studies that work with genetic data".to_owned(),
            Self::NonProfitOrganisation => {
                "only by organisations that do not work for profit".to_owned()
            }
            Self::NonCommercial => "not for anything commercial".to_owned(),
            Self::NonProfitNonCommercial => {
                "only by organisations that do not work for profit, and not for anything commercial"
                    .to_owned()
            }
            Self::Publication => "only if the results are published".to_owned(),
            Self::Collaboration => "only together with those who collected the data".to_owned(),
            Self::EthicsApproval => "only with the approval of an ethics committee".to_owned(),
            Self::Return => "only if what is found is given back".to_owned(),
            Self::NoAncestry => "not for research into origins or ancestry".to_owned(),
            Self::Countries(countries) => {
                let countries = list(countries.iter().map(crate::Country::as_str));
                format!("only in these countries: {countries}")
            }
            Self::Moratorium(from) => {
                format!("nothing is published before {}", day(*from))
            }
            Self::Within(Period { from, until: end }) => {
                let start = if *from > Millis::ZERO {
                    format!("from {}, ", day(*from))
                } else {
                    String::new()
                };
                format!(
                    "only in studies that lie in this time: {start}{}",
                    until(*end)
                )
            }
            Self::Users(users) => {
                let users: Vec<String> = users
                    .iter()
                    .map(|at| practitioner_name(at, names))
                    .collect();
                format!("only by {}", list(users.iter().map(String::as_str)))
            }
            Self::Studies(studies) => {
                let studies: Vec<String> = studies.iter().map(|id| study_name(id, names)).collect();
                format!("only in {}", list(studies.iter().map(String::as_str)))
            }
            Self::Institutions(institutions) => {
                let places: Vec<String> = institutions
                    .iter()
                    .map(|id| institution_name(id, names))
                    .collect();
                format!("only at {}", list(places.iter().map(String::as_str)))
            }
        };
        Some(phrase)
    }
}
