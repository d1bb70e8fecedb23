//! A tree of provisions as one grant.

use super::Party;
use super::element::Issues;
use super::provision::{Action, Class, Effect, Provision};
use crate::outcome::IssueType;
use codec::{Category, Millis};
use consent::{DataUse, Exception, Grantee, Purpose};
use std::collections::BTreeSet;

/// What is permitted, less what.
pub(crate) struct Rule {
    /// The innermost provision that permits.
    pub(crate) path: String,
    pub(crate) grantee: Grantee,
    pub(crate) purposes: BTreeSet<Purpose>,
    pub(crate) categories: BTreeSet<Category>,
    pub(crate) from: Millis,
    pub(crate) until: Millis,
    pub(crate) exceptions: BTreeSet<Exception>,
}

/// A rule of which some is not known yet.
struct Draft<'p> {
    permits: bool,
    path: &'p str,
    from: Option<Millis>,
    until: Option<Millis>,
    grantee: Option<Grantee>,
    conditions: Option<(&'p str, &'p DataUse)>,
    is_access: bool,
    purposes: Option<BTreeSet<Purpose>>,
    categories: BTreeSet<Category>,
    denials: Vec<&'p Provision>,
}

impl Rule {
    pub(crate) fn of(root: &Provision, issues: &mut Issues) -> Option<Self> {
        let mut draft = Draft {
            permits: false,
            path: &root.path,
            from: None,
            until: None,
            grantee: None,
            conditions: None,
            is_access: false,
            purposes: None,
            categories: Category::ALL.iter().copied().collect(),
            denials: Vec::new(),
        };
        // Bounded by the depth of what `json` reads.
        let mut next = Some(root);
        while let Some(provision) = next {
            draft.narrow(provision, issues);
            next = draft.below(provision, issues);
        }
        draft.finish(issues)
    }
}

impl<'p> Draft<'p> {
    /// Takes on the conditions of a provision within those before.
    fn narrow(&mut self, provision: &'p Provision, issues: &mut Issues) {
        self.path = &provision.path;
        let path = |name: &str| format!("{}.{name}", provision.path);
        match provision.kind {
            Some(Effect::Permit) => self.permits = true,
            Some(Effect::Deny) => {
                let said = "the outermost provision must permit or say nothing; here all else is denied anyway";
                issues.add(IssueType::NotSupported, path("type"), said);
            }
            None => {}
        }
        if let Some((start, end)) = provision.period {
            self.from = self.from.max(start);
            self.until = self.until.into_iter().chain(end).min();
        }
        self.receive(provision, issues);
        if let Some(conditions) = &provision.conditions {
            if self.conditions.is_some() {
                let said = "a grant has its conditions of use in one place";
                issues.add(IssueType::NotSupported, path("modifierExtension"), said);
            }
            self.conditions = Some((&provision.path, conditions));
        }
        if let Some(actions) = &provision.actions {
            self.is_access = true;
            if *actions != BTreeSet::from([Action::Access]) {
                let said = "a grant permits access and nothing else";
                issues.add(IssueType::NotSupported, path("action"), said);
            }
        }
        if let Some(purposes) = &provision.purposes {
            self.purposes = Some(match self.purposes.take() {
                None => purposes.clone(),
                Some(before) => before.intersection(purposes).copied().collect(),
            });
        }
        if let Some(classes) = &provision.classes {
            let mut categories = BTreeSet::new();
            for (path, class) in classes {
                match class {
                    Class::Category(category) => {
                        categories.insert(*category);
                    }
                    Class::Kind(_) => {
                        let said = "a grant permits categories (urn:ithaca:category), not kinds of \
                                    resource; those can only be left out";
                        issues.add(IssueType::NotSupported, path, said);
                    }
                }
            }
            self.categories
                .retain(|category| categories.contains(category));
        }
        if provision.records.is_some() {
            let said = "a grant permits categories, not single records; those can only be left out";
            issues.add(IssueType::NotSupported, path("data"), said);
        }
    }

    fn receive(&mut self, provision: &Provision, issues: &mut Issues) {
        let Some(actors) = &provision.actors else {
            return;
        };
        for (position, (path, party)) in actors.iter().enumerate() {
            if position > 0 {
                let said = "a grant is given to one; send a consent for each";
                issues.add(IssueType::NotSupported, path, said);
                return;
            }
            let grantee = match party.clone() {
                Party::Institution(id) => Grantee::Institution(id),
                Party::Practitioner(at) => Grantee::Practitioner(at),
                Party::Study(id) => Grantee::Study(id),
                Party::Anyone(_) => {
                    let said = "a grant is given to a practitioner at one institution; name it \
                                (urn:ithaca:practitioner:<institution>)";
                    issues.add(IssueType::NotSupported, path, said);
                    return;
                }
            };
            match &self.grantee {
                Some(before) if before.is_within(&grantee) => {}
                Some(before) if !grantee.is_within(before) => {
                    let said = "this is not one of those whom the provision around it names";
                    issues.add(IssueType::Invariant, path, said);
                }
                _ => self.grantee = Some(grantee),
            }
        }
    }

    /// Keeps what a provision leaves out, and gives the one below it that permits.
    fn below(&mut self, provision: &'p Provision, issues: &mut Issues) -> Option<&'p Provision> {
        let mut permits = None;
        for inner in &provision.inner {
            match inner.kind {
                Some(Effect::Deny) => self.denials.push(inner),
                _ if permits.is_none() => permits = Some(inner),
                _ => {
                    let said = "one Consent is one grant; send one for each provision that permits";
                    issues.add(IssueType::NotSupported, &inner.path, said);
                }
            }
        }
        permits
    }

    fn finish(mut self, issues: &mut Issues) -> Option<Rule> {
        if !self.permits {
            let said = "nothing is permitted: a provision must say that it permits";
            issues.add(IssueType::Required, format!("{}.type", self.path), said);
        }
        match (&self.grantee, self.conditions.take()) {
            (Some(_), Some((path, _))) => {
                let said = "a grant is given to somebody by name, or to research under conditions of \
                            use; here it is both";
                let at = format!("{path}.modifierExtension");
                issues.add(IssueType::NotSupported, at, said);
            }
            (None, Some((_, conditions))) => {
                self.grantee = Some(Grantee::Research(conditions.clone()));
            }
            (_, None) => {}
        }
        let mut exceptions = BTreeSet::new();
        for denial in std::mem::take(&mut self.denials) {
            self.except(denial, &mut exceptions, issues);
        }
        let mut lacks = |name: &str, said: &str| {
            issues.add(IssueType::Required, format!("{}.{name}", self.path), said);
        };
        if self.grantee.is_none() {
            lacks("actor", "name who receives");
        }
        if !self.is_access {
            lacks(
                "action",
                "name the action access; without it all actions would be permitted",
            );
        }
        if self.purposes.is_none() {
            lacks(
                "purpose",
                "name the purposes; without them all would be permitted",
            );
        }
        if self.from.is_none() || self.until.is_none() {
            lacks("period", "name start and end; a grant has both");
        }
        Some(Rule {
            path: self.path.to_owned(),
            grantee: self.grantee?,
            purposes: self.purposes?,
            categories: self.categories,
            from: self.from?,
            until: self.until?,
            exceptions,
        })
    }

    fn except(
        &mut self,
        denial: &Provision,
        exceptions: &mut BTreeSet<Exception>,
        issues: &mut Issues,
    ) {
        let actions = denial.actions.as_ref();
        if actions.is_some_and(|actions| !actions.contains(&Action::Access)) {
            let said = "here only access is permitted; denying something else says nothing";
            issues.add(
                IssueType::NotSupported,
                format!("{}.action", denial.path),
                said,
            );
        }
        let Some(by) = denial.denies_by() else {
            let said = "an exception is of practitioners, purposes, classes or records, by one of these alone, \
                        without a period or provisions of its own";
            issues.add(IssueType::NotSupported, &denial.path, said);
            return;
        };
        match by {
            "purpose" => {
                let denied = denial.purposes.iter().flatten();
                let denied: Vec<Purpose> = denied.copied().collect();
                if let Some(purposes) = &mut self.purposes {
                    purposes.retain(|p| !denied.iter().any(|denied| p.is_within(*denied)));
                }
            }
            "class" => {
                for (_, class) in denial.classes.iter().flatten() {
                    match class {
                        Class::Category(category) => {
                            self.categories.remove(category);
                        }
                        Class::Kind(kind) => {
                            exceptions.insert(Exception::Kind(kind.clone()));
                        }
                    }
                }
            }
            "data" => {
                let records = denial.records.iter().flatten().copied();
                exceptions.extend(records.map(Exception::Record));
            }
            _ => {
                for (path, party) in denial.actors.iter().flatten() {
                    match self.excepted(party) {
                        Some(exception) => {
                            exceptions.insert(exception);
                        }
                        None => {
                            let said = "a grant leaves out practitioners of the institution that it is given to";
                            issues.add(IssueType::NotSupported, path, said);
                        }
                    }
                }
            }
        }
    }

    /// The exception of somebody among those whom the rule names.
    fn excepted(&self, party: &Party) -> Option<Exception> {
        let named = match &self.grantee {
            Some(Grantee::Institution(id)) => Some(id),
            Some(Grantee::Practitioner(at)) => Some(&at.institution),
            _ => None,
        };
        match party {
            Party::Anyone(id) => Some(Exception::Practitioner(id.clone())),
            Party::Practitioner(at) if named == Some(&at.institution) => {
                Some(Exception::Practitioner(at.practitioner.clone()))
            }
            _ => None,
        }
    }
}
