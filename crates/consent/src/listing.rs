//! What a family has agreed to, in plain sentences for a parent: who, what, why, until when.
//!
//! In: the effective consent, the facts, and a directory of names. Out: one [`GrantLine`] a grant,
//! running or not, and notes on everything else that is in force. Dates are in UTC. The sentences
//! are for the controllers alone: labels and names appear in them.

use crate::dates::{day, until};
use crate::grant::Exception;
use crate::{
    ControllerRole, Curie, Effective, Facts, Grant, Grantee, PractitionerAt, Purpose, Standing,
};
use codec::{Category, GrantId, InstitutionId, Millis, StudyId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// To be shown wherever a family agrees to share.
pub const COPIES_REMAIN: &str = "What has been passed on cannot be called back. Ending this stops \
     further access; it does not reach copies that have already left.";

/// Names for ids, as the node knows them from the ledger.
pub trait Names {
    /// An institution's name.
    fn institution(&self, id: &InstitutionId) -> Option<String>;
    /// A practitioner's name.
    fn practitioner(&self, at: &PractitionerAt) -> Option<String>;
    /// A study's title.
    fn study(&self, id: &StudyId) -> Option<String>;
    /// What an ontology calls a disease.
    fn disease(&self, _term: &Curie) -> Option<String> {
        None
    }
}

/// One grant as a family reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantLine {
    /// Which.
    pub id: GrantId,
    /// To whom.
    pub who: String,
    /// What.
    pub what: String,
    /// For what.
    pub why: String,
    /// The first instant.
    pub from: Millis,
    /// The first instant after.
    pub until: Millis,
    /// What is left out.
    pub except: Vec<String>,
    /// On what conditions, each enough by itself; empty where it is given to somebody by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// Whether it runs.
    pub standing: GrantStanding,
    /// All of this in one or two sentences.
    pub sentence: String,
}

codec::codes! {
    /// Whether a grant runs.
    pub enum GrantStanding {
        /// It runs.
        1 => InForce = "in-force",
        /// It starts later.
        2 => NotYet = "not-yet",
        /// Its period is over.
        3 => Over = "over",
        /// New; runs once the ledger has recorded it.
        4 => Awaiting = "awaiting",
        /// Changed; until the ledger has recorded it, only what old and new terms both allow.
        5 => Changing = "changing",
        /// Ended by the family; stopped at once, the ledger has yet to record it.
        6 => Withdrawn = "withdrawn",
        /// Stopped while processing is restricted or the entry is closed.
        7 => Paused = "paused",
    }
}

/// Every grant of the effective consent, by id.
pub fn grants(effective: &Effective<'_>, facts: &Facts, names: &impl Names) -> Vec<GrantLine> {
    let ids: BTreeSet<GrantId> = effective
        .states()
        .flat_map(|state| state.grants.iter().map(|g| g.id))
        .collect();
    ids.into_iter()
        .filter_map(|id| {
            let shown = effective.latest().grant(&id).or_else(|| {
                let earlier = effective.states().filter_map(|state| state.grant(&id));
                earlier.last()
            })?;
            let standing = standing(effective, facts, shown);
            Some(line(shown, standing, names))
        })
        .collect()
}

/// Sentences on what else is in force: who decides, restriction, opt-outs, pending changes.
pub fn notes(effective: &Effective<'_>, facts: &Facts) -> Vec<String> {
    let (latest, at) = (effective.latest(), facts.at());
    let mut notes = Vec::new();
    if facts.closed {
        notes.push("This entry is closed. Nothing is shared any more.".to_owned());
    }
    if effective.states().any(|s| s.restricted) {
        notes.push(
            "The use of this record is restricted. Only emergencies, the law and you yourselves \
             can open it."
                .to_owned(),
        );
    }
    if latest.assisted {
        notes.push(
            "The institution's desk acts for you. Once you hold a key of your own, only you do."
                .to_owned(),
        );
    }
    for controller in &latest.controllers {
        let label = &controller.label;
        notes.push(match latest.standing(controller.slot, at) {
            Standing::InControl(ControllerRole::Guardian) => {
                match latest.control_ends(controller.slot) {
                    Some(end) => format!("{label} decides as guardian {}.", until(end)),
                    None => format!("{label} decides as guardian."),
                }
            }
            Standing::InControl(ControllerRole::Subject) => format!("{label} decides."),
            Standing::Ended(end) => {
                format!("{label} was guardian {} and decides no more.", until(end))
            }
            Standing::Matured(end) => {
                format!("{label} was guardian {}, the coming of age.", until(end))
            }
            Standing::Vacant => continue,
        });
    }
    let opted_out: BTreeSet<Purpose> = effective
        .states()
        .flat_map(|state| state.opted_out.iter().copied())
        .collect();
    for purpose in opted_out {
        notes.push(format!("You have opted out of {}.", purpose.phrase()));
    }
    if !effective.pending.is_empty() {
        notes.push(
            "A change is waiting for the ledger. What it takes away has stopped; what it adds \
             starts when it is recorded."
                .to_owned(),
        );
    }
    notes
}

/// What a category is, to a parent.
pub const fn category_phrase(category: Category) -> &'static str {
    match category {
        Category::Identity => "name, address and date of birth",
        Category::Phenotype => "symptoms and diagnoses",
        Category::Genomic => "genetic data",
        Category::Laboratory => "laboratory results",
        Category::Vitals => "vital signs and device measurements",
        Category::Documents => "letters, images and reports",
    }
}

impl std::fmt::Debug for GrantLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The sentences name people.
        f.debug_struct("GrantLine")
            .field("id", &self.id)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

fn standing(effective: &Effective<'_>, facts: &Facts, shown: &Grant) -> GrantStanding {
    let at = facts.at();
    let versions: Vec<Option<&Grant>> = effective.states().map(|s| s.grant(&shown.id)).collect();
    if effective.latest().grant(&shown.id).is_none() {
        GrantStanding::Withdrawn
    } else if at >= shown.until {
        GrantStanding::Over
    } else if facts.closed || effective.states().any(|s| s.restricted) {
        GrantStanding::Paused
    } else if versions.iter().any(Option::is_none) {
        GrantStanding::Awaiting
    } else if versions.iter().flatten().any(|v| !shown.is_within(v)) {
        GrantStanding::Changing
    } else if at < shown.from {
        GrantStanding::NotYet
    } else {
        GrantStanding::InForce
    }
}

fn line(grant: &Grant, standing: GrantStanding, names: &impl Names) -> GrantLine {
    let who = who(&grant.grantee, names);
    let what = list(grant.categories.iter().map(|c| category_phrase(*c)));
    let why = list(grant.purposes.iter().map(|p| p.phrase()));
    let except: Vec<String> = except(grant, names);
    let (from, end) = (day(grant.from), until(grant.until));
    let mut sentence = match standing {
        GrantStanding::InForce => format!("{who} may see {what} for {why}, {end}."),
        GrantStanding::NotYet => format!("From {from}, {who} may see {what} for {why}, {end}."),
        GrantStanding::Over => format!("{who} could see {what} for {why}, {end}. This is over."),
        GrantStanding::Awaiting => format!(
            "{who} will be able to see {what} for {why}, {end}, once the ledger has recorded it."
        ),
        GrantStanding::Changing => format!(
            "{who} will be able to see {what} for {why}, {end}, once the ledger has recorded the \
             change; until then, only what the old and the new terms both allow."
        ),
        GrantStanding::Withdrawn => {
            format!("{who} can no longer see {what} for {why}. You have ended this.")
        }
        GrantStanding::Paused => {
            format!("{who} cannot see {what} for {why} now; this is stopped.")
        }
    };
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let conditions = match &grant.grantee {
        Grantee::Research(data_use) => data_use.sentences(names),
        _ => Vec::new(),
    };
    if !conditions.is_empty() {
        sentence.push_str(" Allowed: ");
        sentence.push_str(&conditions.join(" Or: "));
    }
    if !except.is_empty() {
        sentence.push_str(" Left out: ");
        sentence.push_str(&list(except.iter().map(String::as_str)));
        sentence.push('.');
    }
    GrantLine {
        id: grant.id,
        who,
        what,
        why,
        from: grant.from,
        until: grant.until,
        except,
        conditions,
        standing,
        sentence,
    }
}

fn who(grantee: &Grantee, names: &impl Names) -> String {
    match grantee {
        Grantee::Institution(id) => institution_name(id, names),
        Grantee::Practitioner(at) => practitioner_name(at, names),
        Grantee::Study(id) => {
            let mut name = study_name(id, names);
            if let Some(first) = name.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            name
        }
        Grantee::Research(_) => {
            "Any study that the committee approved and that keeps your conditions".to_owned()
        }
    }
}

pub(crate) fn practitioner_name(at: &PractitionerAt, names: &impl Names) -> String {
    let name = names
        .practitioner(at)
        .unwrap_or_else(|| at.practitioner.to_string());
    format!("{name} at {}", institution_name(&at.institution, names))
}

pub(crate) fn study_name(id: &StudyId, names: &impl Names) -> String {
    names.study(id).map_or_else(
        || format!("study {id}"),
        |title| format!("the study {title}"),
    )
}

pub(crate) fn institution_name(id: &InstitutionId, names: &impl Names) -> String {
    names
        .institution(id)
        .unwrap_or_else(|| format!("institution {id}"))
}

fn except(grant: &Grant, names: &impl Names) -> Vec<String> {
    let records = grant
        .exceptions
        .iter()
        .filter(|e| matches!(e, Exception::Record(_)))
        .count();
    let records = match records {
        0 => None,
        1 => Some("one record you chose".to_owned()),
        n => Some(format!("{n} records you chose")),
    };
    let others = grant.exceptions.iter().filter_map(|e| match e {
        Exception::Record(_) => None,
        Exception::Kind(kind) => Some(format!("every record of the kind {kind}")),
        Exception::Practitioner(practitioner) => {
            let name = match &grant.grantee {
                Grantee::Institution(institution) => names.practitioner(&PractitionerAt {
                    institution: *institution,
                    practitioner: practitioner.clone(),
                }),
                Grantee::Practitioner(_) | Grantee::Study(_) | Grantee::Research(_) => None,
            };
            Some(name.unwrap_or_else(|| practitioner.to_string()))
        }
    });
    records.into_iter().chain(others).collect()
}

/// "a", "a and b", "a, b and c"; with semicolons where the items hold commas or "and".
pub(crate) fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.collect();
    let nested = items.iter().any(|i| i.contains(',') || i.contains(" and "));
    let (comma, and) = if nested && items.len() > 1 {
        ("; ", "; and ")
    } else {
        (", ", " and ")
    };
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{}{and}{last}", rest.join(comma)),
    }
}
