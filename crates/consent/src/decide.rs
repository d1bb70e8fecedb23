//! The decision procedure.
//!
//! Each state of the effective consent is heard alone: every basis that would permit part of the
//! request under that state makes an offer. A category is permitted by a basis that makes an offer
//! under every state, as far as all its offers go. So what is permitted has a basis that holds now:
//! a grant that takes the place of another one, under another id, waits for the ledger. Offers only
//! ever add, states only ever take away; so removing or narrowing a grant, or adding a pending
//! state, never permits more.
//!
//! | basis | restricted or closed | ledger stale or without the state | ledger has another state |
//! |---|---|---|---|
//! | controller | goes on | goes on | denied: who is in control is unknown |
//! | own care, system | denied | goes on | goes on, marked stale |
//! | law | goes on | own only | own only, marked stale |
//! | opt-out | denied | own only | denied |
//! | grant | denied | own only, once on the ledger | denied |
//! | break-glass | goes on | goes on | goes on, marked stale |
//!
//! "Own" is the custodian's own staff for anything but research.

use crate::decision::{Allowance, Coverage};
use crate::grant::Exception;
use crate::{
    Basis, BreakGlass, ConsentState, ControllerRole, Decision, Denial, Effective, Facts, Grant,
    Grantee, Missing, Opening, Permit, Policy, Purpose, Records, Request, Role, Rule, Standing,
};
use codec::{Category, Millis, RecordId};
use std::collections::{BTreeMap, BTreeSet};

/// Decides one request. Total and deterministic; denies by default.
pub fn decide(
    policy: &Policy,
    effective: &Effective<'_>,
    request: &Request,
    facts: &Facts,
) -> Decision {
    if let Some(missing) = unanswerable(effective, request, facts) {
        let missing = vec![missing];
        return Decision::Deny(Denial { missing });
    }
    let hearings: Vec<Hearing> = effective
        .states()
        .map(|state| Hearing::hold(policy, state, request, facts))
        .collect();
    match conclude(&hearings, request, facts) {
        Ok(permit) => Decision::Permit(permit),
        Err(mut missing) => {
            let latest = Effective::of(effective.latest());
            let waits = !effective.pending.is_empty()
                && decide(policy, &latest, request, facts).permit().is_some();
            if waits {
                missing.insert(Missing::ChangeNotFinal);
            }
            let missing = missing.into_iter().collect();
            Decision::Deny(Denial { missing })
        }
    }
}

fn unanswerable(effective: &Effective<'_>, request: &Request, facts: &Facts) -> Option<Missing> {
    if request.selection.is_empty() {
        Some(Missing::NothingSelected)
    } else if effective.states().any(|s| s.subject != request.subject) {
        Some(Missing::WrongSubject)
    } else if facts.erased {
        Some(Missing::Erased)
    } else {
        None
    }
}

/// Puts the hearings together: a permit for what every state permits, or what was missing.
fn conclude(
    hearings: &[Hearing],
    request: &Request,
    facts: &Facts,
) -> Result<Permit, BTreeSet<Missing>> {
    let asked = &request.selection.categories;
    let mut coverage = Coverage {
        ways: BTreeMap::new(),
        only: match &request.selection.records {
            Records::All => None,
            Records::Only(records) => Some(records.clone()),
        },
    };
    for category in asked {
        let ways = common(hearings, *category);
        if !ways.is_empty() {
            coverage.ways.insert(*category, ways);
        }
    }
    let lacking: BTreeSet<Category> = asked
        .iter()
        .copied()
        .filter(|category| !coverage.ways.contains_key(category))
        .collect();
    let excepted = match &request.selection.records {
        Records::All => BTreeSet::new(),
        Records::Only(records) => named(&mut coverage, records, request.partial, facts),
    };
    let granted: BTreeSet<Category> = coverage.ways.keys().copied().collect();
    let complete = lacking.is_empty() && excepted.is_empty();
    let because = coverage.because();
    match because.first() {
        Some(first) if complete || request.partial => Ok(Permit {
            basis: first.basis.clone(),
            categories: granted,
            until: coverage.until(),
            stale: facts.is_stale() || facts.opening == Opening::Mismatch,
            because,
            coverage,
        }),
        _ => Err(reasons(hearings, &lacking, excepted)),
    }
}

/// The ways in which every state permits a category, the first in precedence first, without those
/// that another one contains.
fn common(hearings: &[Hearing], category: Category) -> Vec<Allowance> {
    let Some((first, rest)) = hearings.split_first() else {
        return Vec::new();
    };
    let mut ways: Vec<Allowance> = first
        .ways(category)
        .filter_map(|way| {
            rest.iter().try_fold(way.clone(), |way, hearing| {
                let mut offers = hearing.ways(category);
                let same = offers.find(|offer| offer.basis == way.basis)?;
                Some(way.and(same))
            })
        })
        .collect();
    ways.sort_by(|a, b| a.basis.precedence().cmp(&b.basis.precedence()));
    let mut kept: Vec<Allowance> = Vec::new();
    for way in ways {
        if !kept.iter().any(|k| k.contains(&way)) {
            kept.retain(|k| !way.contains(k));
            kept.push(way);
        }
    }
    kept
}

/// Holds the coverage against the records that the request names. For a partial request, drops
/// the categories in which none is covered. Returns the records that are not covered in full.
fn named(
    coverage: &mut Coverage,
    records: &BTreeSet<RecordId>,
    partial: bool,
    facts: &Facts,
) -> BTreeSet<RecordId> {
    let covers = |coverage: &Coverage, category: Category, record: &RecordId| {
        coverage.covers(category, record, facts.record_kinds.get(record), facts.at())
    };
    let categories: Vec<Category> = coverage.ways.keys().copied().collect();
    let excepted = records
        .iter()
        .filter(|r| categories.iter().any(|c| !covers(coverage, *c, r)))
        .copied()
        .collect();
    if partial {
        for category in categories {
            if !records.iter().any(|r| covers(coverage, category, r)) {
                coverage.ways.remove(&category);
            }
        }
    }
    excepted
}

fn reasons(
    hearings: &[Hearing],
    lacking: &BTreeSet<Category>,
    excepted: BTreeSet<RecordId>,
) -> BTreeSet<Missing> {
    let mut missing = BTreeSet::new();
    let mut some_permitted = false;
    for hearing in hearings {
        let unmet: BTreeSet<Category> = lacking
            .iter()
            .copied()
            .filter(|c| hearing.ways(*c).next().is_none())
            .collect();
        if !unmet.is_empty() {
            some_permitted |= !hearing.offers.is_empty();
            missing.extend(hearing.why(&unmet));
        }
    }
    if !excepted.is_empty() {
        missing.insert(Missing::RecordsExcepted(excepted));
    }
    if !lacking.is_empty() && (some_permitted || missing.is_empty()) {
        missing.insert(Missing::CategoriesNotPermitted(lacking.clone()));
    }
    missing
}

/// One state of the consent, heard on one request.
struct Hearing<'a> {
    policy: &'a Policy,
    state: &'a ConsentState,
    request: &'a Request,
    facts: &'a Facts,
    at: Millis,
    /// The asker is at the custodian.
    inside: bool,
    /// For research, wherever the asker is.
    research: bool,
    offers: Vec<(BTreeSet<Category>, Allowance)>,
    /// What stood in the way of a basis as a whole.
    obstacles: BTreeSet<Missing>,
    /// Grants that fell short: how far they got, for which categories, and why.
    near: Vec<(u8, BTreeSet<Category>, Missing)>,
    /// A rule or right addressed the asker and purpose, whether or not it went on to permit.
    addressed: bool,
}

/// A kind of basis, as far as the table above tells them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Controller,
    Care,
    Law,
    OptOut,
    Grant,
}

impl<'a> Hearing<'a> {
    fn hold(
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
    fn ways(&self, category: Category) -> impl Iterator<Item = &Allowance> {
        self.offers
            .iter()
            .filter(move |(categories, _)| categories.contains(&category))
            .map(|(_, allowance)| allowance)
    }

    /// Why these categories are not permitted by this state.
    fn why(&self, unmet: &BTreeSet<Category>) -> BTreeSet<Missing> {
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

    /// What bars a ground as a whole, by the table of this module.
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
            let purpose = self.request.purpose;
            if self.state.is_opted_out(purpose) {
                self.addressed = true;
                self.obstacles.insert(Missing::OptedOut(purpose));
            } else {
                let basis = Basis::OptOutNotExercised(rule.name.clone());
                self.apply(rule, Ground::OptOut, basis);
            }
        }
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
                Ok(()) if !bars.is_empty() => self.obstacles.extend(bars.iter().cloned()),
                Ok(()) => {
                    let except = grant.exceptions.iter();
                    let allowance = Allowance {
                        basis: Basis::Grant(grant.id),
                        until: Some(grant.until),
                        except: except
                            .filter(|e| !matches!(e, Exception::Practitioner(_)))
                            .cloned()
                            .collect(),
                    };
                    self.offers.push((grant.categories.clone(), allowance));
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

    /// Whether a grant is for this asker, purpose and instant; if not, how far it came and what
    /// it lacked.
    fn weigh(&self, grant: &Grant) -> Result<(), (u8, Missing)> {
        let actor = &self.request.actor;
        match &grant.grantee {
            Grantee::Institution(institution) if *institution == actor.institution => {}
            Grantee::Practitioner(at)
                if at.institution == actor.institution && at.practitioner == actor.practitioner => {
            }
            Grantee::Study(study) => match self.request.study {
                Some(named) if named != *study => return Err((0, Missing::NoGrant)),
                Some(named) if !self.facts.active_studies.contains(&named) => {
                    return Err((1, Missing::StudyNotActive(named)));
                }
                None if self.facts.active_studies.contains(study) => {
                    return Err((1, Missing::StudyNotNamed));
                }
                None => return Err((0, Missing::NoGrant)),
                Some(_) => {}
            },
            _ => return Err((0, Missing::NoGrant)),
        }
        let purpose = self.request.purpose;
        let excepted = Exception::Practitioner(actor.practitioner.clone());
        if grant.exceptions.contains(&excepted) {
            Err((1, Missing::PractitionerExcepted))
        } else if !grant.purposes.contains(&purpose) {
            Err((2, Missing::PurposeNotGranted(purpose)))
        } else if !self.policy.shares(purpose, &actor.roles) {
            Err((3, Missing::RoleNotAllowed(purpose)))
        } else if self.at < grant.from {
            Err((4, Missing::GrantNotYetValid(grant.from)))
        } else if self.at >= grant.until {
            Err((4, Missing::GrantExpired(grant.until)))
        } else {
            Ok(())
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
