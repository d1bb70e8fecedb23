//! What a family reads before it signs: what changes, and everything that will then be agreed to.

use super::bundle::{ConsentBundle, Draft};
use codec::id::{InstitutionId, StudyId};
use codec::time::Millis;
use consent::listing::{self, Names};
use consent::{Effective, Facts, Opening, PractitionerAt};
use ledger::Genesis;

/// Names as far as a network's genesis tells them.
pub struct GenesisNames<'a>(pub &'a Genesis);

impl Names for GenesisNames<'_> {
    fn institution(&self, id: &InstitutionId) -> Option<String> {
        self.0.institution(id).map(|found| found.name.clone())
    }

    fn practitioner(&self, _: &PractitionerAt) -> Option<String> {
        None
    }

    fn study(&self, _: &StudyId) -> Option<String> {
        None
    }
}

pub(super) fn lines(bundle: &ConsentBundle, now: Millis, names: &impl Names) -> Vec<String> {
    let mut lines = vec![match bundle.draft {
        Draft::Open(_) => "Opens your entry at the institution, under your own keys.".to_owned(),
        Draft::Enrol(_) => {
            "Takes control over with your own keys. The desk no longer acts for you, for good."
                .to_owned()
        }
        Draft::Update(_) => format!("Change number {} of your consent.", bundle.state.sequence),
    }];
    let mut facts = Facts::new(bundle.custodian(), now, Millis::ZERO);
    facts.opening = Opening::NoLeaf;
    let pending = std::slice::from_ref(&bundle.state);
    let effective = match &bundle.previous {
        Some(previous) => Effective {
            finalised: previous,
            pending,
        },
        None => Effective::of(&bundle.state),
    };
    let grants = listing::grants(&effective, &facts, names);
    if grants.is_empty() {
        lines.push("Nobody outside may see anything.".to_owned());
    }
    let shares = !bundle.state.grants.is_empty();
    lines.extend(grants.into_iter().map(|grant| grant.sentence));
    lines.extend(listing::notes(&effective, &facts));
    if shares {
        lines.push(listing::COPIES_REMAIN.to_owned());
    }
    lines
}
