//! A case as FHIR resources: one patient's Conditions and Observations.

use crate::Error;
use crate::case::{LeftOut, Note, Place, RecordedDiagnosis, Source, Why};
use crate::document::Document;
use crate::gather::Gathered;
use crate::laboratory::{
    self, Person, conclude, interpreted_presence, is_system, loinc_codes, presence,
};
use crate::merge::{Said, Statement};
use crate::resolve::{Given, Resolver, clip, hpo_id};
use crate::time::{Day, When, age_on, quantity_days};
use codec::time::Millis;
use fhir::{Concept, Condition, Measured, Observation, Onset, Reading, Resource};
use ontology::TermIx;
use phenopacket::Progress;
use std::collections::{BTreeMap, BTreeSet};

/// The names under which HPO goes as a code system, without scheme and `www.`.
const HPO: [&str; 6] = [
    "human-phenotype-ontology.org",
    "human-phenotype-ontology.github.io",
    "hpo.jax.org",
    "purl.obolibrary.org/obo/hp.owl",
    "purl.obolibrary.org/obo/hp.fhir",
    "urn:oid:2.16.840.1.113883.6.339",
];

/// Code systems of diseases, and the prefix of their ids.
const DISEASES: [(&[&str], &str); 3] = [
    (&["omim.org", "urn:oid:2.16.840.1.113883.6.174"], "OMIM"),
    (&["orpha.net"], "ORPHA"),
    (
        &[
            "purl.obolibrary.org/obo/mondo.owl",
            "purl.obolibrary.org/obo/mondo",
        ],
        "MONDO",
    ),
];

/// Reads the current resources of one document.
pub(crate) fn read_resources(resources: &[&Resource<'_>], about: &About, case: &mut Gathered<'_>) {
    let mut reader = Reader { case };
    for resource in resources {
        reader.resource(resource, about);
    }
}

/// The newest version of each resource, by document.
pub(crate) struct Current<'r, 'a>(Vec<Vec<&'r Resource<'a>>>);

impl<'r, 'a> Current<'r, 'a> {
    /// In the order of the sources. Of a resource that came again its older versions are left out;
    /// of those that none is newer than, within a document all but the last, and between documents
    /// those of the same bytes. What differs between documents then counts each time.
    pub(crate) fn of(documents: &'r [Document<'a>], resolver: &mut Resolver<'_>) -> Self {
        let places = documents.iter().enumerate().flat_map(|(at, document)| {
            let resources = document.resources().iter().enumerate();
            resources.map(move |(position, resource)| ((at, position), resource))
        });
        let mut same: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, resource) in places {
            if let Some(id) = resource.parsed.id() {
                let key = (resource.parsed.resource_type(), id);
                same.entry(key).or_default().push((place, resource));
            }
        }
        let mut left_out: BTreeSet<(usize, usize)> = BTreeSet::new();
        for versions in same.values().filter(|versions| versions.len() > 1) {
            let newest = versions.iter().map(|(_, resource)| version(resource)).max();
            let newest = versions.iter().filter(|(_, r)| Some(version(r)) == newest);
            // By document the last.
            let last: BTreeMap<usize, _> = newest.map(|v| (v.0.0, v)).collect();
            let mut bytes = BTreeSet::new();
            let last = last
                .values()
                .filter(|v| bytes.insert(v.1.parsed.received()));
            let kept: BTreeSet<(usize, usize)> = last.map(|v| v.0).collect();
            let places = versions.iter().map(|v| v.0);
            left_out.extend(places.filter(|place| !kept.contains(place)));
        }
        resolver.leave_out_all(LeftOut::OlderVersion, left_out.len());
        let of_document = |(at, document): (usize, &'r Document<'a>)| {
            let resources = document.resources().iter().enumerate();
            let kept = resources.filter(|(position, _)| !left_out.contains(&(at, *position)));
            kept.map(|(_, resource)| resource).collect()
        };
        Self(documents.iter().enumerate().map(of_document).collect())
    }

    pub(crate) fn by_document(&self) -> impl Iterator<Item = &[&'r Resource<'a>]> {
        self.0.iter().map(Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &'r Resource<'a>> {
        self.0.iter().flatten().copied()
    }
}

/// What orders the versions of a resource.
fn version(resource: &Resource<'_>) -> (Option<Millis>, Option<u64>) {
    let updated = resource.parsed.last_updated();
    let number = resource.parsed.version_id();
    (
        updated.and_then(|at| Millis::from_rfc3339(&at).ok()),
        number.and_then(|number| number.parse::<u64>().ok()),
    )
}

/// Whom the resources are about.
pub(crate) enum About {
    /// Whoever has one of these names in references: `Patient/id` and the `fullUrl`.
    Named(BTreeSet<String>),
    /// One person, whatever the references say.
    Vouched,
}

impl About {
    /// The one person whom the resources name.
    pub(crate) fn of(resources: &Current<'_, '_>) -> Result<Self, Error> {
        let mut names = BTreeSet::new();
        let mut people = 0;
        for resource in resources.all() {
            if resource.parsed.resource_type() == "Patient" {
                people += 1;
                names.extend(resource.full_url.as_deref().map(name_of));
                names.extend(resource.parsed.id().map(|id| format!("Patient/{id}")));
            }
        }
        let others: BTreeSet<String> = resources
            .all()
            .filter_map(|resource| resource.parsed.subject())
            .map(|subject| name_of(&subject))
            .filter(|name| is_person(name) && !names.contains(name))
            .collect();
        people += others.len();
        names.extend(others);
        match people {
            0 | 1 => Ok(Self::Named(names)),
            given => Err(Error::SeveralPeople { given }),
        }
    }

    /// Whether a resource is about the patient; one that does not say is.
    fn includes(&self, resource: &Resource<'_>) -> bool {
        let subject = resource.parsed.subject();
        let subject = subject.filter(|subject| !subject.starts_with('#'));
        let subject = subject.map(|subject| name_of(&subject));
        subject.is_none_or(|subject| match self {
            Self::Named(names) => names.contains(&subject),
            Self::Vouched => is_person(&subject),
        })
    }
}

/// A reference without server and version: `Patient/id`, or a URN as it is.
fn name_of(reference: &str) -> String {
    let whole = reference.split("/_history/").next().unwrap_or(reference);
    let mut parts = whole.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(id), Some(kind)) if fhir::is_resource_type(kind) => format!("{kind}/{id}"),
        _ => whole.to_owned(),
    }
}

fn is_person(name: &str) -> bool {
    match name.split_once('/') {
        Some((kind, _)) if fhir::is_resource_type(kind) => kind == "Patient",
        _ => !name.starts_with('#'),
    }
}

struct Reader<'g, 'o> {
    case: &'g mut Gathered<'o>,
}

impl Reader<'_, '_> {
    fn resource(&mut self, resource: &Resource<'_>, about: &About) {
        let parsed = &resource.parsed;
        let id = parsed.id().unwrap_or_default().into_owned();
        let place = self.case.place(Place::Resource(parsed.resource_type(), id));
        let (condition, observation) = (parsed.condition(), parsed.observation());
        if condition.is_none() && observation.is_none() {
            return;
        }
        if !about.includes(resource) {
            return self.case.resolver.leave_out(LeftOut::NotThePatient);
        }
        if parsed.is_modified() {
            return self.case.resolver.leave_out(LeftOut::Modified);
        }
        if let Some(condition) = condition {
            self.condition(&condition, place);
        } else if let Some(observation) = observation {
            self.observation(&observation, place);
        }
    }

    fn source(&mut self, place: Place, date: Option<&str>) -> Source {
        let date = date.and_then(Day::parse);
        if let Some(day) = date
            && self
                .case
                .newest
                .is_none_or(|newest| day.last() > newest.last())
        {
            self.case.newest = date;
        }
        Source { place, date }
    }

    fn condition(&mut self, condition: &Condition<'_>, place: Place) {
        let codings = condition.verification.codings.iter();
        let codes: BTreeSet<&str> = codings.map(|coding| &*coding.code).collect();
        let has = |code| codes.contains(code);
        if has("entered-in-error") {
            return self.case.resolver.leave_out(LeftOut::EnteredInError);
        }
        let refuted = has("refuted");
        let possible = ["provisional", "differential", "unconfirmed"];
        let said = match () {
            () if refuted => Said::Refuted,
            () if possible.into_iter().any(has) => Said::Provisional,
            () if has("confirmed") => Said::Observed,
            () if codes.is_empty() && condition.verification.text.is_empty() => Said::Observed,
            () => {
                let text = shown(&condition.code);
                let given = Given {
                    text: &text,
                    excluded: false,
                    place: &place,
                };
                return self
                    .case
                    .resolver
                    .report(given, Why::UnclearState, Vec::new());
            }
        };
        let source = self.source(place, condition.date.as_deref());
        let is_disease = self.diseases(&condition.code, said, &source.place);
        let onset = condition.onset.as_ref().and_then(|o| self.onset(o));
        if is_disease && hpo_codes(&condition.code).is_empty() {
            return;
        }
        if let Some((term, note, as_given)) = self.term(&condition.code, refuted, &source.place) {
            self.case.statements.push(Statement {
                term,
                said,
                onset,
                modifiers: Vec::new(),
                as_given,
                note,
                source,
            });
        }
    }

    /// Keeps the diseases that a concept names; whether it names any.
    fn diseases(&mut self, concept: &Concept<'_>, said: Said, place: &Place) -> bool {
        let mut any = false;
        for coding in &concept.codings {
            let of = DISEASES.iter().find(|(names, _)| is_system(coding, names));
            let Some((_, prefix)) = of else {
                continue;
            };
            any = true;
            let code = coding.code.trim();
            let number = code.rsplit(':').next().unwrap_or(code);
            let label = [&coding.display, &concept.text];
            let label = label.into_iter().find(|label| !label.is_empty());
            self.case.diagnosis(RecordedDiagnosis {
                id: clip(&format!("{prefix}:{number}")),
                label: label.map_or_else(String::new, |label| clip(label)),
                excluded: said == Said::Refuted,
                progress: match said {
                    Said::Provisional => Progress::InProgress,
                    _ => Progress::Unknown,
                },
                place: place.clone(),
            });
        }
        any
    }

    fn onset(&self, onset: &Onset<'_>) -> Option<When> {
        match onset {
            Onset::Date(date) => age_on(Day::parse(date)?, self.case.born?),
            Onset::Age(age) => When::age(quantity_days(age)?),
            Onset::AgeRange(low, high) => When::between(quantity_days(low)?, quantity_days(high)?),
        }
    }

    fn observation(&mut self, observation: &Observation<'_>, place: Place) {
        match &*observation.status {
            "final" | "amended" | "corrected" => {}
            "entered-in-error" => return self.case.resolver.leave_out(LeftOut::EnteredInError),
            _ => return self.case.resolver.leave_out(LeftOut::NotFinal),
        }
        if observation.has_focus {
            return self.case.resolver.leave_out(LeftOut::NotThePatient);
        }
        let source = self.source(place, observation.date.as_deref());
        self.reading(&observation.reading, &source);
        for component in &observation.components {
            self.reading(component, &source);
        }
    }

    fn reading(&mut self, reading: &Reading<'_>, source: &Source) {
        let value = match &reading.value {
            Some(Measured::Concept(concept)) if !hpo_codes(concept).is_empty() => Some(concept),
            _ => None,
        };
        let asked = !hpo_codes(&reading.code).is_empty();
        let interpreted = interpreted_presence(&reading.interpretation);
        if let Some(found) = value {
            let is_there = interpreted.unwrap_or(true);
            return self.stated(found, Some(is_there), source);
        }
        if asked {
            let is_there = match &reading.value {
                Some(Measured::Boolean(answer)) => Some(*answer),
                Some(Measured::Concept(concept)) => presence(concept).or(interpreted),
                None if reading.is_absent => None,
                None if reading.interpretation.is_empty() => Some(true),
                _ => interpreted,
            };
            return self.stated(&reading.code, is_there, source);
        }
        let codes = loinc_codes(&reading.code);
        if codes.is_empty() || (reading.value.is_none() && reading.interpretation.is_empty()) {
            return;
        }
        let age = source.date.zip(self.case.born);
        let person = Person {
            sex: self.case.sex,
            age: age.and_then(|(day, born)| age_on(day, born)),
        };
        match conclude(&codes, reading, person, self.case.resolver.ontology) {
            Ok(said) => self.concluded(said, source),
            Err(why) => self.case.resolver.leave_out(why),
        }
    }

    fn concluded(&mut self, said: laboratory::Said, source: &Source) {
        if !self.case.resolver.is_finding(said.term) {
            return self.case.resolver.leave_out(LeftOut::NotMapped);
        }
        self.case.statements.push(Statement {
            term: said.term,
            said: if said.absent {
                Said::Normal
            } else {
                Said::Abnormal
            },
            onset: None,
            modifiers: Vec::new(),
            as_given: said.as_given,
            note: None,
            source: source.clone(),
        });
    }

    fn stated(&mut self, concept: &Concept<'_>, is_there: Option<bool>, source: &Source) {
        let Some(is_there) = is_there else {
            let text = shown(concept);
            let given = Given {
                text: &text,
                excluded: false,
                place: &source.place,
            };
            return self
                .case
                .resolver
                .report(given, Why::UnclearState, Vec::new());
        };
        if let Some((term, note, as_given)) = self.term(concept, !is_there, &source.place) {
            self.case.statements.push(Statement {
                term,
                said: if is_there {
                    Said::Observed
                } else {
                    Said::Excluded
                },
                onset: None,
                modifiers: Vec::new(),
                as_given,
                note,
                source: source.clone(),
            });
        }
    }

    /// The one term that a concept means: that of its HPO codes which is a kind of all the others.
    fn term(
        &mut self,
        concept: &Concept<'_>,
        excluded: bool,
        place: &Place,
    ) -> Option<(TermIx, Option<Note>, String)> {
        let codes = hpo_codes(concept);
        if codes.is_empty() {
            let text = shown(concept);
            if !text.is_empty() {
                let given = Given {
                    text: &text,
                    excluded,
                    place,
                };
                let mut suggestions = self.case.resolver.ontology.named(&text);
                suggestions.retain(|&term| self.case.resolver.is_finding(term));
                if suggestions.is_empty() {
                    suggestions = self.case.resolver.search(&text);
                }
                self.case
                    .resolver
                    .report(given, Why::OtherSystem, suggestions);
            }
            return None;
        }
        let mut found: Vec<(TermIx, Option<Note>, String)> = Vec::new();
        for (code, display) in codes {
            let given = Given {
                text: code,
                excluded,
                place,
            };
            let Some(id) = hpo_id(code).or_else(|| format!("HP:{code}").parse().ok()) else {
                let suggestions = self.case.resolver.search(display);
                self.case
                    .resolver
                    .report(given, Why::UnknownId, suggestions);
                continue;
            };
            if let Some((term, note)) = self.case.resolver.id(id, display, given) {
                found.push((term, note, clip(code)));
            }
        }
        let ontology = self.case.resolver.ontology;
        let is_narrowest = |&&(term, ..): &&(TermIx, Option<Note>, String)| {
            found.iter().all(|(other, ..)| ontology.is_a(term, *other))
        };
        if let Some(narrowest) = found.iter().find(is_narrowest) {
            return Some(narrowest.clone());
        }
        if !found.is_empty() {
            let text = shown(concept);
            let given = Given {
                text: &text,
                excluded,
                place,
            };
            let suggestions = found.iter().map(|(term, ..)| *term).collect();
            self.case
                .resolver
                .report(given, Why::Ambiguous, suggestions);
        }
        None
    }
}

/// Codes of HPO and what is shown for each; a code without a system that is an HPO id counts.
fn hpo_codes<'c>(concept: &'c Concept<'_>) -> Vec<(&'c str, &'c str)> {
    /// More codings than this for one concept are not looked at.
    const MAX_CODINGS: usize = 32;
    let codings = concept.codings.iter().take(MAX_CODINGS);
    let hpo = codings.filter(|coding| {
        let named = is_system(coding, &HPO);
        let bare = coding.system.is_empty() && hpo_id(&coding.code).is_some();
        !coding.code.is_empty() && (named || bare)
    });
    hpo.map(|coding| (&*coding.code, &*coding.display))
        .collect()
}

/// A concept as people read it, without the kind that SNOMED CT puts in brackets after a name.
fn shown(concept: &Concept<'_>) -> String {
    let displays = concept.codings.iter().map(|coding| &coding.display);
    let codes = concept.codings.iter().map(|coding| &coding.code);
    let texts = std::iter::once(&concept.text).chain(displays).chain(codes);
    let text = texts.into_iter().find(|text| !text.trim().is_empty());
    let text = text.map_or("", |text| text.trim());
    let bare = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("));
    match bare {
        Some((name, "disorder" | "finding" | "situation" | "morphologic abnormality")) => {
            clip(name)
        }
        _ => clip(text),
    }
}
