//! Conditions of use for research as modifier extensions of a permitting provision, one a clause:
//!
//! ```json
//! {"url": "urn:ithaca:data-use", "extension": [
//!   {"url": "term", "extension": [
//!     {"url": "code", "valueCoding": {"system": "http://purl.obolibrary.org/obo/duo.owl", "code": "DUO:0000007"}},
//!     {"url": "disease", "valueString": "MONDO:0009861"}]},
//!   {"url": "term", "extension": [
//!     {"url": "code", "valueCoding": {"system": "http://purl.obolibrary.org/obo/duo.owl", "code": "DUO:0000018"}}]}]}
//! ```
//!
//! R4 has no element that bounds a provision by what a study is. A modifier extension is the one way to add a
//! condition that nobody may overlook: whoever does not know it must not act on the provision. The first term
//! is the permission; every term binds; the clauses are alternatives.

use crate::names::{COUNTRIES, DATA_USE, STUDY, coding, institution, logical, practitioner_at};
use crate::write::Object;
use codec::Millis;
use consent::duo;
use consent::{Clause, DataUse, Duo, Modifier, Period, Permission};

pub(crate) fn data_use(provision: &mut Object<'_>, data_use: &DataUse) {
    provision.list("modifierExtension", &data_use.clauses, clause);
}

fn clause(extension: &mut Object<'_>, clause: &Clause) {
    extension.text("url", DATA_USE);
    let permission = Term::Permission(&clause.permission);
    let terms = clause.modifiers.iter().map(Term::Modifier);
    extension.list("extension", [permission].into_iter().chain(terms), term);
}

#[derive(Clone, Copy)]
enum Term<'a> {
    Permission(&'a Permission),
    Modifier(&'a Modifier),
}

fn term(extension: &mut Object<'_>, term: Term<'_>) {
    let duo = match term {
        Term::Permission(permission) => permission.duo(),
        Term::Modifier(modifier) => modifier.duo(),
    };
    extension.text("url", "term");
    let arguments = arguments(term);
    let parts = std::iter::once(Part::Code(duo)).chain(arguments);
    extension.list("extension", parts, part);
}

enum Part<'a> {
    Code(Duo),
    Text(&'static str, &'a str),
    Country(&'a str),
    Moment(Millis),
    Period(Period),
    Reference(&'static str, Box<dyn Fn(&mut Object<'_>) + 'a>),
}

fn arguments(term: Term<'_>) -> Vec<Part<'_>> {
    match term {
        Term::Permission(Permission::Diseases(diseases)) => {
            let diseases = diseases.iter();
            diseases
                .map(|of| Part::Text("disease", of.as_str()))
                .collect()
        }
        Term::Modifier(Modifier::Topic(topic)) => vec![Part::Text("topic", topic.as_str())],
        Term::Modifier(Modifier::Countries(countries)) => {
            let countries = countries.iter();
            countries.map(|of| Part::Country(of.as_str())).collect()
        }
        Term::Modifier(Modifier::Moratorium(from)) => vec![Part::Moment(*from)],
        Term::Modifier(Modifier::Within(period)) => vec![Part::Period(*period)],
        Term::Modifier(Modifier::Users(users)) => {
            let reference = |at| {
                Part::Reference(
                    "user",
                    Box::new(move |to: &mut Object<'_>| practitioner_at(to, at)),
                )
            };
            users.iter().map(reference).collect()
        }
        Term::Modifier(Modifier::Studies(studies)) => {
            let reference = |id: &codec::StudyId| {
                let id = id.to_string();
                let write = move |to: &mut Object<'_>| logical(to, "ResearchStudy", STUDY, &id);
                Part::Reference("study", Box::new(write))
            };
            studies.iter().map(reference).collect()
        }
        Term::Modifier(Modifier::Institutions(institutions)) => {
            let reference = |id| {
                let write = move |to: &mut Object<'_>| institution(to, id);
                Part::Reference("institution", Box::new(write))
            };
            institutions.iter().map(reference).collect()
        }
        Term::Permission(_) | Term::Modifier(_) => Vec::new(),
    }
}

fn part(extension: &mut Object<'_>, part: Part<'_>) {
    match part {
        Part::Code(duo) => {
            extension.text("url", "code");
            let id = duo.id();
            extension.object("valueCoding", |code| coding(code, (duo::SYSTEM, &id)));
        }
        Part::Text(url, text) => {
            extension.text("url", url);
            extension.text("valueString", text);
        }
        Part::Country(country) => {
            extension.text("url", "country");
            extension.object("valueCoding", |code| coding(code, (COUNTRIES, country)));
        }
        Part::Moment(at) => {
            extension.text("url", "from");
            extension.instant("valueInstant", at);
        }
        Part::Period(Period { from, until }) => {
            extension.text("url", "period");
            extension.object("valuePeriod", |period| {
                period.instant("start", from);
                // The end of a Period is still in it.
                period.instant("end", until.saturating_sub(1));
            });
        }
        Part::Reference(url, write) => {
            extension.text("url", url);
            extension.object("valueReference", |to| write(to));
        }
    }
}
