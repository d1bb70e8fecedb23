//! A provision as it stands, with every condition resolved.

use super::element::{At, Issues, Named};
use super::{Party, Reader};
use crate::names::{
    ACT_REASON, CATEGORY, CONSENT_ACTION, INSTITUTION, KIND, PARTICIPATION, PRACTITIONER, PURPOSE,
    RECORD, RESOURCE_TYPES, STUDY, purpose,
};
use crate::outcome::IssueType;
use codec::{Category, Date, Millis, RecordId};
use consent::{DataUse, PractitionerAt, PractitionerId, Purpose, RecordKind};
use std::collections::BTreeSet;

/// A provision. A condition that is none is not there; one that is there names at least one thing, or there
/// is an issue.
pub(crate) struct Provision {
    pub(crate) path: String,
    pub(crate) kind: Option<Effect>,
    pub(crate) period: Option<(Option<Millis>, Option<Millis>)>,
    pub(crate) actors: Option<Vec<(String, Party)>>,
    pub(crate) actions: Option<BTreeSet<Action>>,
    pub(crate) purposes: Option<BTreeSet<Purpose>>,
    pub(crate) classes: Option<Vec<(String, Class)>>,
    pub(crate) records: Option<BTreeSet<RecordId>>,
    pub(crate) conditions: Option<DataUse>,
    pub(crate) inner: Vec<Provision>,
}

/// What a provision does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Permit,
    Deny,
}

codec::codes! {
    /// What can be done with data.
    pub(crate) enum Action {
        1 => Collect = "collect",
        2 => Access = "access",
        3 => Use = "use",
        4 => Disclose = "disclose",
        5 => Correct = "correct",
    }
}

/// A class of data.
pub(crate) enum Class {
    Category(Category),
    Kind(RecordKind),
}

const KNOWN: [&str; 9] = [
    "modifierExtension",
    "type",
    "period",
    "actor",
    "action",
    "purpose",
    "class",
    "data",
    "provision",
];

impl Reader<'_> {
    pub(crate) fn provision(&mut self, at: &At<'_, '_>, is_root: bool) -> Provision {
        let known: Vec<&str> = KNOWN.into_iter().chain(["id"]).collect();
        self.issues.object(at, &known);
        let kind = match at.text_of("type").as_deref() {
            Some("permit") => Some(Effect::Permit),
            Some("deny") => Some(Effect::Deny),
            None if is_root && at.get("type").is_none() => None,
            _ => {
                let said = "say whether this provision permits or denies";
                self.issues
                    .add(IssueType::Required, at.path_of("type"), said);
                None
            }
        };
        let inner = self.issues.items(at, "provision");
        Provision {
            path: at.path.clone(),
            kind,
            period: at.get("period").map(|period| self.period(&period)),
            actors: at.get("actor").map(|_| self.actors(at, kind)),
            actions: at.get("action").map(|_| self.actions(at)),
            purposes: at.get("purpose").map(|_| self.purposes(at)),
            classes: at.get("class").map(|_| self.classes(at)),
            records: at.get("data").map(|_| self.records(at)),
            // If they cannot be read there is an issue.
            conditions: at
                .get("modifierExtension")
                .and_then(|_| self.conditions(at)),
            inner: inner.iter().map(|one| self.provision(one, false)).collect(),
        }
    }

    pub(crate) fn period(&mut self, at: &At<'_, '_>) -> (Option<Millis>, Option<Millis>) {
        self.issues.object(at, &["start", "end"]);
        let mut bound = |name: &str, is_end: bool| {
            let value = at.get(name)?;
            let text = value.value.text().unwrap_or_default();
            let instants = self.instants(&text);
            if instants.is_none() {
                let said = "a date, or a time with offset and at most three decimals, from 1970 on, is \
                            expected here";
                self.issues.add(IssueType::Value, value.path, said);
            }
            let (first, after) = instants?;
            Some(if is_end { after } else { first })
        };
        let start = bound("start", false);
        (start, bound("end", true))
    }

    /// The first instant of what a dateTime names and the first one after it.
    pub(crate) fn instants(&self, text: &str) -> Option<(Millis, Millis)> {
        if text.contains('T') {
            let (_, time) = text.split_once('T')?;
            let clock = time.split(['Z', '+', '-']).next()?;
            let decimals = clock.split_once('.').map_or("", |(_, decimals)| decimals);
            let is_plain = text.len() <= 35 && decimals.len() <= 3 && clock.get(6..8)? != "60";
            let at = Millis::from_rfc3339(text).ok().filter(|_| is_plain)?;
            return Some((at, at.saturating_add(1)));
        }
        let (first, last) = match text.len() {
            4 => (format!("{text}-01-01"), format!("{text}-12-31")),
            7 => {
                let first: Date = format!("{text}-01").parse().ok()?;
                let days = (28..=31).rev();
                let mut last = days.filter_map(|d| Date::new(first.year(), first.month(), d).ok());
                (first.to_string(), last.next()?.to_string())
            }
            _ => (text.to_owned(), text.to_owned()),
        };
        let (first, _) = self.directory.day(first.parse().ok()?)?;
        let (_, after) = self.directory.day(last.parse().ok()?)?;
        Some((first, after))
    }

    /// The recipients. That the custodian is the one who discloses goes without saying; that it shall not is no
    /// exception, but the end of it all.
    fn actors(&mut self, of: &At<'_, '_>, kind: Option<Effect>) -> Vec<(String, Party)> {
        let mut actors = Vec::new();
        for actor in self.issues.items(of, "actor") {
            self.issues.object(&actor, &["id", "role", "reference"]);
            let role = actor.get("role");
            let role = role.and_then(|role| self.issues.concept(&role));
            let is = |code: &str| {
                let found = role.as_ref();
                found.is_some_and(|(system, found)| system == PARTICIPATION && found == code)
            };
            let Some(reference) = actor.get("reference") else {
                let at = actor.path_of("reference");
                self.issues.add(IssueType::Required, at, "say who this is");
                continue;
            };
            let party = self.party(&reference);
            let own = Party::Institution(self.directory.custodian());
            match party {
                Some(party) if is("PRCP") || is("IRCP") => actors.push((actor.path, party)),
                Some(party) if is("CST") && party == own && kind != Some(Effect::Deny) => {}
                Some(_) => self.issues.add(
                    IssueType::NotSupported,
                    actor.path_of("role"),
                    "a grant names who receives (PRCP or IRCP); as custodian (CST), only the one that is \
                     asked",
                ),
                None => {}
            }
        }
        actors
    }

    pub(crate) fn party(&mut self, at: &At<'_, '_>) -> Option<Party> {
        let named = self.issues.named(at)?;
        let party = own_party(&named).or_else(|| self.directory.party(&named));
        if party.is_none() {
            let said = "nobody is known here by this reference; institutions, practitioners and studies \
                        of the network are (urn:ithaca:institution, :practitioner, :study)";
            self.issues.add(IssueType::NotFound, &at.path, said);
        }
        party
    }

    fn actions(&mut self, of: &At<'_, '_>) -> BTreeSet<Action> {
        let mut actions = BTreeSet::new();
        for action in self.issues.items(of, "action") {
            let code = self.issues.concept(&action);
            let known = code.filter(|(system, _)| system == CONSENT_ACTION);
            match known.and_then(|(_, code)| code.parse().ok()) {
                Some(known) => {
                    actions.insert(known);
                }
                None => self.unknown_code(&action),
            }
        }
        actions
    }

    fn purposes(&mut self, of: &At<'_, '_>) -> BTreeSet<Purpose> {
        let mut purposes = BTreeSet::new();
        for at in self.issues.items(of, "purpose") {
            let code = self.issues.coding(&at);
            let named = code.and_then(|(system, code)| {
                let named: Purpose = code.parse().ok()?;
                let (own, _) = purpose(named);
                debug_assert!([ACT_REASON, PURPOSE].contains(&own));
                (system == own).then_some(named)
            });
            match named {
                Some(named) => {
                    purposes.insert(named);
                }
                None => self.unknown_code(&at),
            }
        }
        purposes
    }

    fn classes(&mut self, of: &At<'_, '_>) -> Vec<(String, Class)> {
        let mut classes = Vec::new();
        for at in self.issues.items(of, "class") {
            let code = self.issues.coding(&at);
            let class = code.and_then(|(system, code)| match &*system {
                CATEGORY => code.parse().ok().map(Class::Category),
                RESOURCE_TYPES if fhir::is_resource_type(&code) => {
                    RecordKind::new(code).ok().map(Class::Kind)
                }
                KIND => RecordKind::new(code).ok().map(Class::Kind),
                _ => None,
            });
            match class {
                Some(class) => classes.push((at.path, class)),
                None => self.unknown_code(&at),
            }
        }
        classes
    }

    fn records(&mut self, of: &At<'_, '_>) -> BTreeSet<RecordId> {
        let mut records = BTreeSet::new();
        for data in self.issues.items(of, "data") {
            self.issues.object(&data, &["id", "meaning", "reference"]);
            if data.text_of("meaning").as_deref() != Some("instance") {
                let said =
                    "only a record itself (instance) can be left out, not what belongs to it";
                let at = data.path_of("meaning");
                self.issues.add(IssueType::NotSupported, at, said);
            }
            let Some(reference) = data.get("reference") else {
                let at = data.path_of("reference");
                self.issues.add(IssueType::Required, at, "say which record");
                continue;
            };
            let Some(named) = self.issues.named(&reference) else {
                continue;
            };
            match own_record(&named).or_else(|| self.directory.record(&named)) {
                Some(record) => {
                    records.insert(record);
                }
                None => {
                    let said = "no record is known here by this reference; refer to one as it is stored, \
                                without a version";
                    self.issues.add(IssueType::NotFound, reference.path, said);
                }
            }
        }
        records
    }

    fn unknown_code(&mut self, at: &At<'_, '_>) {
        let said = "this code is not known here, or its system is not";
        self.issues.add(IssueType::CodeInvalid, &at.path, said);
    }
}

/// Who is meant, in this network's own words.
fn own_party(named: &Named<'_>) -> Option<Party> {
    let (of, party) = match (&named.reference, &named.identifier) {
        (None, Some((system, value))) => match &**system {
            INSTITUTION => ("Organization", Party::Institution(value.parse().ok()?)),
            STUDY => ("Group", Party::Study(value.parse().ok()?)),
            PRACTITIONER => {
                let id = PractitionerId::new(&**value).ok()?;
                ("Practitioner", Party::Anyone(id))
            }
            system => {
                let institution = system.strip_prefix(PRACTITIONER)?.strip_prefix(':')?;
                let at = PractitionerAt {
                    institution: institution.parse().ok()?,
                    practitioner: PractitionerId::new(&**value).ok()?,
                };
                ("Practitioner", Party::Practitioner(at))
            }
        },
        // A reference, or both, which might be two: for whoever knows what is where.
        _ => return None,
    };
    let fits = named.of.as_ref().is_none_or(|named| named == of);
    fits.then_some(party)
}

/// Which record is meant, in this network's own words.
fn own_record(named: &Named<'_>) -> Option<RecordId> {
    match (&named.reference, &named.identifier) {
        (None, Some((system, value))) if system == RECORD => value.parse().ok(),
        // An id of FHIR may look like a record's and be another's.
        _ => None,
    }
}

impl Provision {
    /// Whether nothing of this says anything but what `but` names.
    fn says_only(&self, but: &[&str]) -> bool {
        let said = [
            ("period", self.period.is_some()),
            ("actor", self.actors.is_some()),
            ("action", self.actions.is_some()),
            ("purpose", self.purposes.is_some()),
            ("class", self.classes.is_some()),
            ("data", self.records.is_some()),
            ("modifierExtension", self.conditions.is_some()),
            ("provision", !self.inner.is_empty()),
        ];
        said.iter().all(|(name, is)| !is || but.contains(name))
    }

    /// What a denying provision denies by, if by one condition alone.
    pub(crate) fn denies_by(&self) -> Option<&'static str> {
        // That it is about access goes without saying.
        let conditions = ["actor", "purpose", "class", "data"];
        let mut found = conditions
            .into_iter()
            .filter(|name| !self.says_only(&remove(&ALL, name)));
        let one = found.next();
        let is_alone = found.next().is_none()
            && self.period.is_none()
            && self.conditions.is_none()
            && self.inner.is_empty();
        one.filter(|_| is_alone)
    }

    /// The one provision of a consent under an own policy.
    fn only(&self, but: &'static str, issues: &mut Issues) -> Option<&Self> {
        let is_bare = self.kind.is_none() && self.says_only(&["provision"]);
        let inner = match self.inner.as_slice() {
            [one] if is_bare && one.kind == Some(Effect::Deny) && one.says_only(&[but]) => {
                Some(one)
            }
            _ => None,
        };
        if inner.is_none() {
            let said = "under this policy one provision denies, with nothing but a ";
            issues.add(IssueType::BusinessRule, &self.path, format!("{said}{but}"));
        }
        inner
    }

    /// The purposes that are opted out of.
    pub(crate) fn opt_outs(&self, issues: &mut Issues) -> Option<BTreeSet<Purpose>> {
        let one = self.only("purpose", issues)?;
        if one.purposes.is_none() {
            let said = "name the purposes that are opted out of";
            issues.add(IssueType::Required, format!("{}.purpose", one.path), said);
        }
        one.purposes.clone()
    }

    /// Checks that this is the restriction of everything.
    pub(crate) fn restriction(&self, issues: &mut Issues) {
        let Some(one) = self.only("action", issues) else {
            return;
        };
        let all = BTreeSet::from([Action::Access, Action::Use, Action::Disclose]);
        if one.actions.as_ref() != Some(&all) {
            let said = "a restriction is of access, use and disclose";
            issues.add(
                IssueType::BusinessRule,
                format!("{}.action", one.path),
                said,
            );
        }
    }
}

const ALL: [&str; 8] = [
    "modifierExtension",
    "period",
    "actor",
    "action",
    "purpose",
    "class",
    "data",
    "provision",
];

fn remove<'n>(names: &[&'n str], name: &str) -> Vec<&'n str> {
    names
        .iter()
        .copied()
        .filter(|other| *other != name)
        .collect()
}
