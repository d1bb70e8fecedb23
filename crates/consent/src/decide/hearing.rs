//! One state of the consent, heard on one request: which bases make an offer, what bars the others.

use super::research::Bounds;
use crate::decision::Allowance;
use crate::grant::Exception;
use crate::{
    Basis, BreakGlass, ConsentState, ControllerRole, Facts, Grant, Grantee, Missing, Opening,
    Policy, Purpose, Request, Role, Rule, Standing,
};
use codec::{Category, Millis, StudyId};
use std::collections::BTreeSet;

/// One state of the consent, heard on one request.
pub(super) struct Hearing<'a> {
    policy: &'a Policy,
    state: &'a ConsentState,
    pub(super) request: &'a Request,
    pub(super) facts: &'a Facts,
    pub(super) at: Millis,
    /// The asker is at the custodian.
    inside: bool,
    /// For research, wherever the asker is.
    research: bool,
    pub(super) offers: Vec<(BTreeSet<Category>, Allowance)>,
    /// What stood in the way of a basis as a whole.
    obstacles: BTreeSet<Missing>,
    /// Grants that fell short: how far they got, for which categories, and why.
    near: Vec<(u8, BTreeSet<Category>, Missing)>,
    /// A rule or right addressed the asker and purpose, whether or not it went on to permit.
    addressed: bool,
}

/// A kind of basis, as far as the table of the decision procedure tells them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Controller,
    Care,
    Law,
    OptOut,
    Grant,
}

impl<'a> Hearing<'a> {
    pub(super) fn hold(
        policy: &'a Policy,
        state: &'a ConsentState,
        request: &'a Request,
        facts: &'a Facts,
    ) -> Self {
        let mut hearing = Self {
            policy,
            state,
            request,
            facts,
            at: facts.at(),
            inside: request.actor.institution == facts.custodian,
            research: request.purpose.is_research() || request.study.is_some(),
            offers: Vec::new(),
            obstacles: BTreeSet::new(),
            near: Vec::new(),
            addressed: false,
        };
        if matches!(request.purpose, Purpose::Btg | Purpose::Etreat) {
            hearing.break_glass();
        }
        // INVARIANT: nothing but a session permits breaking the glass.
        if request.purpose != Purpose::Btg {
            hearing.controller();
            hearing.system();
            hearing.rules();
            hearing.grants();
        }
        hearing
    }

    /// The ways in which this state permits a category.
    pub(super) fn ways(&self, category: Category) -> impl Iterator<Item = &Allowance> {
        self.offers
            .iter()
            .filter(move |(categories, _)| categories.contains(&category))
            .map(|(_, allowance)| allowance)
    }

    /// Why these categories are not permitted by this state.
    pub(super) fn why(&self, unmet: &BTreeSet<Category>) -> BTreeSet<Missing> {
        let mut why = self.obstacles.clone();
        let near = self
            .near
            .iter()
            .filter(|(_, categories, _)| !categories.is_disjoint(unmet));
        let furthest = near.clone().map(|(stage, ..)| *stage).max();
        why.extend(
            near.filter(|(stage, ..)| Some(*stage) == furthest)
                .map(|(.., missing)| missing.clone()),
        );
        if why.is_empty() && self.offers.is_empty() && !self.addressed {
            why.insert(if self.inside && !self.research {
                Missing::RoleNotAllowed(self.request.purpose)
            } else {
                Missing::NoGrant
            });
        }
        why
    }

    fn offer(&mut self, categories: BTreeSet<Category>, basis: Basis, until: Option<Millis>) {
        let except = BTreeSet::new();
        let allowance = Allowance {
            basis,
            until,
            except,
        };
        self.offers.push((categories, allowance));
    }

    /// What bars a ground as a whole, by the table of the decision procedure.
    fn barred(&self, ground: Ground) -> BTreeSet<Missing> {
        let mut bars = BTreeSet::new();
        let own = self.inside && !self.research;
        if matches!(ground, Ground::Care | Ground::OptOut | Ground::Grant) {
            if self.state.restricted {
                bars.insert(Missing::Restricted);
            }
            if self.facts.closed {
                bars.insert(Missing::Closed);
            }
        }
        if !own && self.facts.is_stale() {
            bars.insert(Missing::LedgerStale(self.facts.ledger_age_ms));
        }
        match self.facts.opening {
            Opening::Matches => {}
            Opening::NoLeaf if own && ground != Ground::Grant => {}
            Opening::NoLeaf => {
                bars.insert(Missing::NotOnLedgerYet);
            }
            Opening::Mismatch if own && matches!(ground, Ground::Care | Ground::Law) => {}
            Opening::Mismatch => {
                bars.insert(Missing::OpeningMismatch);
            }
        }
        bars
    }

    fn controller(&mut self) {
        if !self.request.actor.is(Role::Controller) {
            return;
        }
        self.addressed = true;
        let slot = self.request.actor.slot.filter(|_| self.inside);
        let standing = slot.map_or(Standing::Vacant, |slot| self.state.standing(slot, self.at));
        let obstacle = match (slot, standing) {
            (Some(slot), Standing::InControl(role)) => {
                if !requests(role, self.request.purpose) {
                    Missing::RoleNotAllowed(self.request.purpose)
                } else {
                    let bars = self.barred(Ground::Controller);
                    if bars.is_empty() {
                        let everything = Category::ALL.iter().copied().collect();
                        let until = self.state.control_ends(slot);
                        self.offer(everything, Basis::Controller(slot), until);
                    }
                    self.obstacles.extend(bars);
                    return;
                }
            }
            (_, Standing::Ended(at)) => Missing::GuardianEnded(at),
            (_, Standing::Matured(at)) => Missing::SubjectMatured(at),
            _ => Missing::NotAController,
        };
        self.obstacles.insert(obstacle);
    }

    fn system(&mut self) {
        let system = &self.policy.system;
        let applies = self.request.actor.is(Role::System)
            && self.inside
            && system.purposes.contains(&self.request.purpose)
            && !self.research;
        if !applies {
            return;
        }
        self.addressed = true;
        let bars = self.barred(Ground::Care);
        if bars.is_empty() {
            let categories = system.categories.clone();
            self.offer(categories, Basis::SystemProjection, None);
        }
        self.obstacles.extend(bars);
    }

    fn rules(&mut self) {
        let policy = self.policy;
        for rule in self.addressing(&policy.care) {
            // INVARIANT: own care is the custodian's and never research, whatever a rule says.
            if self.inside && !self.research {
                self.apply(rule, Ground::Care, Basis::Policy(rule.name.clone()));
            }
        }
        for rule in self.addressing(&policy.law) {
            self.apply(rule, Ground::Law, Basis::Law(rule.name.clone()));
        }
        for rule in self.addressing(&policy.opt_out) {
            self.opt_out(rule);
        }
    }

    fn opt_out(&mut self, rule: &Rule) {
        let purpose = self.request.purpose;
        self.addressed = true;
        if self.state.is_opted_out(purpose) {
            self.obstacles.insert(Missing::OptedOut(purpose));
            return;
        }
        // INVARIANT: research without anybody's agreement is for studies that the committee approved.
        let bounds = match &self.request.study {
            None if !self.research => Ok(Bounds::default()),
            None => Err(Missing::StudyNeeded),
            Some(study) => self.approved_study(study),
        };
        let bars = self.barred(Ground::OptOut);
        match bounds {
            Ok(bounds) if bars.is_empty() => {
                let categories = bounds.categories(&rule.categories);
                let basis = Basis::OptOutNotExercised(rule.name.clone());
                self.offer(categories, basis, bounds.until(None));
            }
            Ok(_) => {}
            Err(missing) => {
                self.obstacles.insert(missing);
            }
        }
        self.obstacles.extend(bars);
    }

    /// The rules that let the asker act for the purpose at all.
    fn addressing(&self, rules: &'a [Rule]) -> Vec<&'a Rule> {
        let actor = &self.request.actor;
        let (purpose, custodian) = (self.request.purpose, self.facts.custodian);
        rules
            .iter()
            .filter(|r| r.applies(purpose, &actor.roles, actor.institution, custodian))
            .collect()
    }

    fn apply(&mut self, rule: &Rule, ground: Ground, basis: Basis) {
        self.addressed = true;
        let bars = self.barred(ground);
        if bars.is_empty() {
            self.offer(rule.categories.clone(), basis, None);
        }
        self.obstacles.extend(bars);
    }

    fn grants(&mut self) {
        let bars = self.barred(Ground::Grant);
        let state = self.state;
        for grant in &state.grants {
            match self.weigh(grant) {
                Err((stage, missing)) => {
                    self.near.push((stage, grant.categories.clone(), missing));
                }
                Ok(_) if !bars.is_empty() => self.obstacles.extend(bars.iter().cloned()),
                Ok(bounds) => {
                    let except = grant.exceptions.iter();
                    let allowance = Allowance {
                        basis: Basis::Grant(grant.id),
                        until: bounds.until(Some(grant.until)),
                        except: except
                            .filter(|e| !matches!(e, Exception::Practitioner(_)))
                            .cloned()
                            .collect(),
                    };
                    let categories = bounds.categories(&grant.categories);
                    self.offers.push((categories, allowance));
                }
            }
        }
        // Someone who can rely on nothing but a grant is told what bars grants even without one.
        if !self.inside || self.research {
            self.obstacles.extend(bars);
        }
        // A grant that does not name the asker is no news to staff who act under other rules.
        if self.inside && !self.research {
            self.near.retain(|(stage, ..)| *stage > 0);
        }
    }

    /// How far a grant may serve this asker, purpose and instant; if not at all, how far it came and what
    /// it lacked.
    fn weigh(&self, grant: &Grant) -> Result<Bounds, (u8, Missing)> {
        self.addressee(&grant.grantee)?;
        let purpose = self.request.purpose;
        let excepted = Exception::Practitioner(self.request.actor.practitioner.clone());
        if grant.exceptions.contains(&excepted) {
            Err((1, Missing::PractitionerExcepted))
        } else if !grant.purposes.contains(&purpose) {
            Err((2, Missing::PurposeNotGranted(purpose)))
        } else if !self.may_rely(purpose) {
            Err((3, Missing::RoleNotAllowed(purpose)))
        } else if self.at < grant.from {
            Err((4, Missing::GrantNotYetValid(grant.from)))
        } else if self.at >= grant.until {
            Err((4, Missing::GrantExpired(grant.until)))
        } else {
            let bounds = match (&grant.grantee, &self.request.study) {
                (Grantee::Study(study), _) => self.named_study(study),
                (Grantee::Research(data), Some(study)) => self.matched_study(study, data),
                _ => Ok(Bounds::default()),
            };
            bounds.map_err(|missing| (5, missing))
        }
    }

    /// Whether a grant is to this asker, or to the study that they ask for.
    fn addressee(&self, grantee: &Grantee) -> Result<(), (u8, Missing)> {
        let none = Err((0, Missing::NoGrant));
        match (grantee, &self.request.study) {
            (Grantee::Study(study), None) => match self.open_study(study) {
                Ok(_) => Err((1, Missing::StudyNotNamed)),
                Err(_) => none,
            },
            (Grantee::Research(_), None) if self.research => Err((1, Missing::StudyNotNamed)),
            (Grantee::Research(_), None) => none,
            (Grantee::Research(_), Some(study)) => self.open(study),
            (grantee, study) if !grantee.names(&self.request.actor, study.as_ref()) => none,
            (Grantee::Study(study), _) => self.open(study),
            _ => Ok(()),
        }
    }

    fn open(&self, study: &StudyId) -> Result<(), (u8, Missing)> {
        match self.open_study(study) {
            Ok(_) => Ok(()),
            Err(missing) => Err((1, missing)),
        }
    }

    /// Whether the asker may rely on a grant for the purpose. On one for improving diagnosis nobody but the
    /// custodian's node: what it makes of it are counts.
    fn may_rely(&self, purpose: Purpose) -> bool {
        let actor = &self.request.actor;
        match purpose {
            Purpose::Dximp => self.inside && actor.is(Role::System),
            _ => self.policy.shares(purpose, &actor.roles),
        }
    }

    fn break_glass(&mut self) {
        let policy = &self.policy.break_glass;
        let actor = &self.request.actor;
        let session = self.facts.break_glass.as_ref().filter(|session| {
            session.subject == self.request.subject
                && session.institution == actor.institution
                && session.opened_by == actor.practitioner
        });
        let obstacle = if !self.inside {
            Missing::BreakGlassElsewhere
        } else if !policy.may_open(&actor.roles) {
            Missing::RoleNotAllowed(Purpose::Btg)
        } else {
            match session.map(BreakGlass::ends) {
                None => Missing::BreakGlassNotOpen,
                Some(ends) if self.at >= ends => Missing::BreakGlassOver(ends),
                Some(ends) => {
                    let categories = policy.categories.clone();
                    self.offer(categories, Basis::BreakGlass, Some(ends));
                    return;
                }
            }
        };
        // Emergency treatment has other bases; that the glass is whole is no reason against it.
        if self.request.purpose == Purpose::Btg {
            self.obstacles.insert(obstacle);
        }
    }
}

/// Whether a controller in this right may ask for this purpose.
fn requests(role: ControllerRole, purpose: Purpose) -> bool {
    match role {
        ControllerRole::Subject => purpose == Purpose::Patrqt,
        ControllerRole::Guardian => matches!(
            purpose,
            Purpose::Patrqt | Purpose::Famrqt | Purpose::Pwatrny
        ),
    }
}
