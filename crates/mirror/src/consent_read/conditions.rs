//! Conditions of use for research, from the modifier extensions of a provision; written in
//! [`crate::data_use_write`].

use super::element::At;
use super::{Party, Reader};
use crate::names::{COUNTRIES, DATA_USE, STUDY};
use crate::outcome::IssueType;
use codec::StudyId;
use consent::duo;
use consent::{Clause, Country, Curie, DataUse, Duo, Modifier, Period, Permission, Topic};
use std::collections::BTreeSet;

/// A term of a clause: what it says, and what it is said of.
struct Term<'d, 'a> {
    path: String,
    duo: Duo,
    arguments: Vec<(String, At<'d, 'a>)>,
}

/// A term is the permission of its clause or one of its conditions.
enum Part {
    Permission(Permission),
    Modifier(Modifier),
}

impl Reader<'_> {
    /// The conditions of a provision: each of its modifier extensions is a clause.
    pub(crate) fn conditions(&mut self, of: &At<'_, '_>) -> Option<DataUse> {
        let extensions = self.issues.items(of, "modifierExtension");
        let known = |at: &At<'_, '_>| at.text_of("url").as_deref() == Some(DATA_USE);
        if !extensions.iter().all(known) {
            let said = "this changes what the consent means in a way that is not known here";
            let at = of.path_of("modifierExtension");
            self.issues.add(IssueType::NotSupported, at, said);
            return None;
        }
        let clauses: Option<BTreeSet<Clause>> =
            extensions.iter().map(|at| self.clause(at)).collect();
        let data_use = DataUse { clauses: clauses? };
        if let Err(error) = data_use.validate() {
            let at = of.path_of("modifierExtension");
            self.issues
                .add(IssueType::BusinessRule, at, error.to_string());
            return None;
        }
        Some(data_use)
    }

    fn clause(&mut self, at: &At<'_, '_>) -> Option<Clause> {
        self.issues.object(at, &["url", "extension"]);
        let mut permissions = Vec::new();
        let mut modifiers = BTreeSet::new();
        let mut is_whole = true;
        for extension in self.issues.items(at, "extension") {
            match self.term(&extension).and_then(|term| self.part(&term)) {
                Some(Part::Permission(permission)) => permissions.push(permission),
                Some(Part::Modifier(modifier)) => {
                    let duo = modifier.duo();
                    is_whole &= !modifiers.iter().any(|m: &Modifier| m.duo() == duo);
                    modifiers.insert(modifier);
                }
                // There is an issue.
                None => return None,
            }
        }
        let permission = permissions.pop();
        if permission.is_none() || !permissions.is_empty() || !is_whole {
            let said = "a clause has one permission of DUO and each modifier at most once";
            self.issues.add(IssueType::Value, &at.path, said);
            return None;
        }
        Some(Clause {
            permission: permission?,
            modifiers,
        })
    }

    fn term<'d, 'a>(&mut self, at: &At<'d, 'a>) -> Option<Term<'d, 'a>> {
        self.issues.object(at, &["url", "extension"]);
        if at.text_of("url").as_deref() != Some("term") {
            let said = "conditions of use consist of terms of DUO, each with its arguments";
            self.issues.add(IssueType::Extension, &at.path, said);
            return None;
        }
        let mut duo = None;
        let mut arguments = Vec::new();
        for part in self.issues.items(at, "extension") {
            match part.text_of("url").as_deref() {
                Some("code") if duo.is_none() => duo = Some(self.duo(&part)?),
                Some("code") | None => {
                    let said = "a term has one code, and arguments by name";
                    self.issues.add(IssueType::Value, &part.path, said);
                    return None;
                }
                Some(name) => arguments.push((name.to_owned(), part)),
            }
        }
        if duo.is_none() {
            let said = "a term has a code of DUO";
            self.issues.add(IssueType::Required, &at.path, said);
        }
        Some(Term {
            path: at.path.clone(),
            duo: duo?,
            arguments,
        })
    }

    fn duo(&mut self, at: &At<'_, '_>) -> Option<Duo> {
        self.issues.object(at, &["url", "valueCoding"]);
        let code = at
            .get("valueCoding")
            .and_then(|value| self.issues.coding(&value));
        let duo = code
            .filter(|(system, _)| system == duo::SYSTEM)
            .and_then(|(_, code)| Duo::from_id(&code));
        if duo.is_none() {
            let said = "a term of DUO that can be kept here is expected (system \
                        http://purl.obolibrary.org/obo/duo.owl, code DUO:0000042)";
            self.issues.add(IssueType::CodeInvalid, &at.path, said);
        }
        duo
    }

    /// A term with its arguments; none with an issue.
    fn part(&mut self, term: &Term<'_, '_>) -> Option<Part> {
        let modifier = match term.duo {
            Duo::Nres => return self.bare(term, Part::Permission(Permission::NoRestriction)),
            Duo::Gru => return self.bare(term, Part::Permission(Permission::GeneralResearch)),
            Duo::Hmb => return self.bare(term, Part::Permission(Permission::HealthResearch)),
            Duo::Poa => return self.bare(term, Part::Permission(Permission::Ancestry)),
            Duo::Ds => {
                let diseases = self.list(term, "disease", Self::disease)?;
                return Some(Part::Permission(Permission::Diseases(diseases)));
            }
            Duo::Gs => Modifier::Countries(self.list(term, "country", Self::country)?),
            Duo::Us => {
                Modifier::Users(self.list(
                    term,
                    "user",
                    |reader, at| match reader.party_of(at)? {
                        Party::Practitioner(user) => Some(user),
                        _ => None,
                    },
                )?)
            }
            Duo::Is => Modifier::Institutions(self.list(term, "institution", |reader, at| {
                match reader.party_of(at)? {
                    Party::Institution(institution) => Some(institution),
                    _ => None,
                }
            })?),
            Duo::Ps => Modifier::Studies(self.list(term, "study", Self::study)?),
            Duo::Rs => Modifier::Topic(self.one(term, "topic", |reader, at| {
                let text = reader.value(at, "valueString")?.value.text()?;
                Topic::new(text).ok()
            })?),
            Duo::Mor => Modifier::Moratorium(self.one(term, "from", |reader, at| {
                let text = reader.value(at, "valueInstant")?.value.text()?;
                let (first, _) = reader.instants(&text).filter(|_| text.contains('T'))?;
                Some(first)
            })?),
            Duo::Ts => Modifier::Within(self.one(term, "period", |reader, at| {
                let period = reader.value(at, "valuePeriod")?;
                let (from, until) = reader.period(&period);
                Some(Period {
                    from: from?,
                    until: until?,
                })
            })?),
            Duo::Nmds => return self.bare(term, Part::Modifier(Modifier::NoMethods)),
            Duo::Gso => return self.bare(term, Part::Modifier(Modifier::GeneticOnly)),
            Duo::Npu => return self.bare(term, Part::Modifier(Modifier::NonProfitOrganisation)),
            Duo::Pub => return self.bare(term, Part::Modifier(Modifier::Publication)),
            Duo::Col => return self.bare(term, Part::Modifier(Modifier::Collaboration)),
            Duo::Irb => return self.bare(term, Part::Modifier(Modifier::EthicsApproval)),
            Duo::Rtn => return self.bare(term, Part::Modifier(Modifier::Return)),
            Duo::Cc => return self.bare(term, Part::Modifier(Modifier::ClinicalCare)),
            Duo::Ncu => return self.bare(term, Part::Modifier(Modifier::NonCommercial)),
            Duo::Npuncu => {
                return self.bare(term, Part::Modifier(Modifier::NonProfitNonCommercial));
            }
            Duo::Npoa => return self.bare(term, Part::Modifier(Modifier::NoAncestry)),
        };
        Some(Part::Modifier(modifier))
    }

    /// A term that takes no argument.
    fn bare(&mut self, term: &Term<'_, '_>, part: Part) -> Option<Part> {
        let Some((_, at)) = term.arguments.first() else {
            return Some(part);
        };
        let said = format!("{} takes no argument", term.duo);
        self.issues.add(IssueType::NotSupported, &at.path, said);
        None
    }

    /// All the arguments of a term, by one name.
    fn list<'d, 'a, T: Ord>(
        &mut self,
        term: &Term<'d, 'a>,
        name: &str,
        mut read: impl FnMut(&mut Self, &At<'d, 'a>) -> Option<T>,
    ) -> Option<BTreeSet<T>> {
        let mut found = BTreeSet::new();
        for (named, at) in &term.arguments {
            let before = self.issues.len();
            let item = if named == name { read(self, at) } else { None };
            if item.is_none() && self.issues.len() == before {
                let said = format!(
                    "{} is of one or more {name}, each a value of its kind",
                    term.duo
                );
                self.issues.add(IssueType::Value, &at.path, said);
            }
            found.insert(item?);
        }
        if found.is_empty() {
            let said = format!("{} names at least one {name}", term.duo);
            self.issues.add(IssueType::Required, &term.path, said);
            return None;
        }
        Some(found)
    }

    /// The one argument of a term.
    fn one<'d, 'a, T: Ord>(
        &mut self,
        term: &Term<'d, 'a>,
        name: &str,
        read: impl FnMut(&mut Self, &At<'d, 'a>) -> Option<T>,
    ) -> Option<T> {
        if term.arguments.len() > 1 {
            let said = format!("{} has one {name}", term.duo);
            self.issues.add(IssueType::Value, &term.path, said);
            return None;
        }
        self.list(term, name, read)?.pop_first()
    }

    /// The value of an argument, which has nothing else.
    fn value<'d, 'a>(&mut self, at: &At<'d, 'a>, name: &str) -> Option<At<'d, 'a>> {
        self.issues.object(at, &["url", name]);
        at.get(name)
    }

    fn disease(&mut self, at: &At<'_, '_>) -> Option<Curie> {
        let text = self.value(at, "valueString")?.value.text()?;
        Curie::new(text).ok()
    }

    fn country(&mut self, at: &At<'_, '_>) -> Option<Country> {
        let value = self.value(at, "valueCoding")?;
        let (system, code) = self.issues.coding(&value)?;
        Country::new(code).ok().filter(|_| system == COUNTRIES)
    }

    fn study(&mut self, at: &At<'_, '_>) -> Option<StudyId> {
        let value = self.value(at, "valueReference")?;
        let named = self.issues.named(&value)?;
        let is_study = named.of.as_ref().is_none_or(|of| of == "ResearchStudy");
        match (&named.reference, &named.identifier) {
            (None, Some((system, value))) if system == STUDY && is_study => value.parse().ok(),
            _ => None,
        }
    }

    fn party_of(&mut self, at: &At<'_, '_>) -> Option<Party> {
        let value = self.value(at, "valueReference")?;
        self.party(&value)
    }
}
