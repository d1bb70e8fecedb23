//! Laws that hold for every policy-conforming question.

use crate::world::*;
use codec::{Category, Millis};
use consent::{
    Basis, ConsentState, Decision, Effective, Exception, Grantee, Missing, Modifier, Opening,
    Permission, PractitionerAt, Purpose, Records, Role, Selection, Terms, decide, is_narrowing,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

/// One edit that takes something away, if it applies.
fn narrow(terms: &mut Terms, edit: u8, pick: usize, exception: Exception) {
    let count = terms.grants.len().max(1);
    match edit {
        0 => terms.restricted = true,
        1 => {
            terms.opted_out.insert(Purpose::Hqualimp);
        }
        2 => terms.matures = Some(terms.matures.map_or(at(6), |m| m.min(at(6)))),
        3 if terms.controllers.len() > 1 => {
            terms.controllers.remove(pick % 2);
        }
        4 => terms.assisted = false,
        5 if !terms.grants.is_empty() => {
            terms.grants.remove(pick % count);
        }
        _ => {
            if let Some(grant) = terms.grants.get_mut(pick % count) {
                narrow_grant(grant, edit, exception);
            }
        }
    }
}

fn narrow_grant(grant: &mut consent::Grant, edit: u8, exception: Exception) {
    match edit {
        6 if grant.purposes.len() > 1 => {
            grant.purposes.pop_first();
        }
        7 if grant.categories.len() > 1 => {
            grant.categories.pop_last();
        }
        8 if grant.from.saturating_add(1) < grant.until => {
            grant.from = grant.from.saturating_add(1);
        }
        9 if grant.from.saturating_add(1) < grant.until => {
            grant.until = grant.until.saturating_sub(1);
        }
        10 => match &mut grant.grantee {
            Grantee::Institution(institution) => {
                grant.grantee = Grantee::Practitioner(PractitionerAt {
                    institution: *institution,
                    practitioner: person(0),
                });
            }
            Grantee::Research(data_use) => {
                let clauses = std::mem::take(&mut data_use.clauses);
                data_use.clauses = clauses
                    .into_iter()
                    .map(|mut clause| {
                        if clause.permission == Permission::NoRestriction {
                            clause.permission = Permission::HealthResearch;
                        }
                        clause.modifiers.insert(Modifier::GeneticOnly);
                        clause
                    })
                    .collect();
            }
            _ => {}
        },
        _ => {
            grant.exceptions.insert(exception);
        }
    }
}

type Edits = Vec<(u8, usize, Exception)>;

fn edits(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Edits> {
    proptest::collection::vec((0u8..13, 0usize..8, exceptions()), count)
}

fn narrower(state: &ConsentState, edits: Edits) -> ConsentState {
    state
        .next(|terms| {
            for (edit, pick, exception) in edits {
                narrow(terms, edit, pick, exception);
            }
        })
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn deciding_is_total_and_deterministic(question in questions()) {
        let decision = question.decide();
        prop_assert_eq!(&decision, &question.decide());
        match decision {
            Decision::Deny(denial) => {
                prop_assert!(!denial.missing.is_empty());
                prop_assert!(!denial.for_asker().missing.is_empty());
                prop_assert!(denial.missing.is_sorted());
            }
            Decision::Permit(permit) => {
                let asked = &question.request.selection.categories;
                let named: BTreeSet<Category> = permit
                    .because
                    .iter()
                    .flat_map(|b| b.categories.iter().copied())
                    .collect();
                prop_assert!(permit.categories.is_subset(asked));
                prop_assert!(!permit.categories.is_empty());
                prop_assert_eq!(&named, &permit.categories);
                prop_assert_eq!(&permit.basis, &permit.because[0].basis);
                prop_assert!(question.request.partial || permit.categories == *asked);
            }
        }
    }

    #[test]
    fn a_permit_lets_out_what_was_asked_for(question in questions()) {
        let now = question.facts.at();
        let decision = question.decide();
        let Some(permit) = decision.permit() else { return Ok(()) };
        if let Records::Only(records) = &question.request.selection.records {
            let out = lets_out(&decision, now);
            prop_assert!(out.iter().all(|(_, record, ..)| records.contains(record)));
            let kinds = &question.facts.record_kinds;
            for record in records {
                let mut covered = permit.categories.iter().map(|c| {
                    permit.covers(*c, record, kinds.get(record), now)
                });
                prop_assert!(question.request.partial || covered.all(|c| c));
            }
            for category in &permit.categories {
                let mut any = records.iter();
                prop_assert!(any.any(|r| permit.covers(*category, r, kinds.get(r), now)));
            }
        }
        // It shrinks at `until` and not before.
        let all = |t: Millis| -> BTreeSet<_> {
            let out = lets_out(&decision, t);
            out.into_iter().filter(|o| o.3 == t.get()).map(|o| (o.0, o.1, o.2)).collect()
        };
        if let Some(until) = permit.until {
            prop_assert!(now < until);
            prop_assert_eq!(all(now), all(until.saturating_sub(1)));
        } else {
            prop_assert_eq!(all(now), all(at(HORIZON)));
        }
    }

    #[test]
    fn a_pending_state_never_permits_more(question in questions(), more in states(), place in 0usize..3) {
        let mut pending = question.pending.clone();
        pending.insert(place.min(pending.len()), more);
        let narrower = question.with(&question.finalised, &pending);
        prop_assert!(narrower.lets_out().is_subset(&question.lets_out()));
    }

    #[test]
    fn removing_a_grant_never_permits_more(question in questions(), pick in 0usize..5) {
        prop_assume!(!question.finalised.grants.is_empty());
        let without = question.finalised.next(|terms| {
            let count = terms.grants.len();
            terms.grants.remove(pick % count);
        }).unwrap();
        let narrower = question.with(&without, &question.pending);
        prop_assert!(narrower.lets_out().is_subset(&question.lets_out()));
    }

    #[test]
    fn a_narrower_state_never_permits_more(question in questions(), edits in edits(1..4)) {
        let narrow = narrower(&question.finalised, edits);
        prop_assert!(is_narrowing(&question.finalised, &narrow));
        let narrowed = question.with(&narrow, &question.pending);
        prop_assert!(narrowed.lets_out().is_subset(&question.lets_out()));
    }

    #[test]
    fn what_is_called_narrowing_is(question in plain_questions(), other in states(), edits in edits(0..3)) {
        // Neighbours of a common state: often comparable, often not.
        let one = narrower(&question.finalised, edits.clone());
        for (old, new) in [(&one, &other), (&other, &one), (&one, &question.finalised)] {
            if is_narrowing(old, new) {
                let (old, new) = (question.with(old, &[]), question.with(new, &[]));
                prop_assert!(new.lets_out().is_subset(&old.lets_out()));
            }
        }
    }

    #[test]
    fn narrowing_needs_no_finality(question in plain_questions(), edits in edits(1..4)) {
        let new = narrower(&question.finalised, edits);
        let pending = question.with(&question.finalised, std::slice::from_ref(&new));
        prop_assert_eq!(pending.lets_out(), question.with(&new, &[]).lets_out());
    }

    #[test]
    fn widening_needs_finality(question in plain_questions(), edits in edits(1..4)) {
        let old = narrower(&question.finalised, edits);
        let pending = question.with(&old, std::slice::from_ref(&question.finalised));
        prop_assert_eq!(pending.lets_out(), question.with(&old, &[]).lets_out());
    }

    #[test]
    fn partial_is_everything_that_is_permitted(question in questions()) {
        let ask = |partial, categories: BTreeSet<Category>| {
            let mut question = question.clone();
            question.request.partial = partial;
            question.request.selection = Selection { categories, records: Records::All };
            question.lets_out()
        };
        let categories = question.request.selection.categories.clone();
        let whole = ask(false, categories.clone());
        let partial = ask(true, categories.clone());
        let single: Let = categories.iter().flat_map(|c| ask(false, [*c].into())).collect();
        prop_assert_eq!(&partial, &single);
        prop_assert!(whole.is_empty() || whole == partial);
    }

    #[test]
    fn gates_hold(question in questions()) {
        let decision = question.decide();
        let Some(permit) = decision.permit() else { return Ok(()) };
        let facts = &question.facts;
        let inside = question.request.actor.institution == CUSTODIAN;
        let research = question.request.purpose.is_research() || question.request.study.is_some();
        let states = || std::iter::once(&question.finalised).chain(&question.pending);
        prop_assert!(!facts.erased);
        if (!inside || research) && permit.basis != Basis::BreakGlass {
            prop_assert!(facts.ledger_age_ms <= 60_000);
            prop_assert_eq!(facts.opening, Opening::Matches);
        }
        prop_assert_eq!(
            permit.stale,
            facts.ledger_age_ms > 60_000 || facts.opening == Opening::Mismatch
        );
        let bases: Vec<&Basis> = permit.because.iter().map(|b| &b.basis).collect();
        let survives = |b: &&Basis| {
            matches!(b, Basis::Law(_) | Basis::BreakGlass | Basis::Controller(_))
        };
        if facts.closed || states().any(|s| s.restricted) {
            prop_assert!(bases.iter().all(survives));
        }
        if facts.opening == Opening::Mismatch {
            let of_consent = |b: &&Basis| matches!(
                b,
                Basis::Grant(_) | Basis::OptOutNotExercised(_) | Basis::Controller(_)
            );
            prop_assert!(!bases.iter().any(of_consent));
        }
        if question.request.purpose == Purpose::Btg {
            prop_assert_eq!(&bases, &[&Basis::BreakGlass]);
        }
        if bases.contains(&&Basis::BreakGlass) {
            prop_assert!(inside && facts.break_glass.is_some());
        }
        if research && inside {
            prop_assert!(!bases.iter().any(|b| matches!(b, Basis::Policy(_))));
        }
        for basis in bases {
            if let Basis::Grant(id) = basis {
                let now = facts.at();
                for state in states() {
                    let grant = state.grant(id).unwrap();
                    prop_assert!(grant.from <= now && now < grant.until);
                    prop_assert!(grant.purposes.contains(&question.request.purpose));
                }
            }
        }
    }

    #[test]
    fn machines_and_operators_read_nothing_by_rule(mut question in questions(), role in prop_oneof![
        Just(Role::Operator), Just(Role::Device), Just(Role::Committee)
    ]) {
        question.request.actor.roles = [role].into();
        prop_assert!(question.decide().permit().is_none());
    }

    #[test]
    fn extreme_times_do_not_panic(mut question in questions(), now: u64, block: u64, age: u64) {
        question.facts.now = Millis::new(now);
        question.facts.block_time = Millis::new(block);
        question.facts.ledger_age_ms = age;
        if let Some(session) = &mut question.facts.break_glass {
            session.opened = Millis::new(block);
            session.until = Millis::new(now);
        }
        let text = match question.decide() {
            Decision::Permit(permit) => permit.to_string(),
            Decision::Deny(denial) => denial.to_string(),
        };
        prop_assert!(text.ends_with('.'));
    }
}

/// The laws would hold of a procedure that never permits; this one does, on every basis.
#[test]
fn the_world_is_not_all_denials() {
    let mut runner = TestRunner::deterministic();
    let strategy = (questions(), plain_questions());
    let mut bases: BTreeSet<u64> = BTreeSet::new();
    let (mut permits, mut withholding, mut partial, mut research) = (0, 0, 0, 0);
    for _ in 0..3_000 {
        let (one, other) = strategy.new_tree(&mut runner).unwrap().current();
        for question in [one, other] {
            if let Some(permit) = question.decide().permit() {
                permits += 1;
                withholding += u32::from(permit.withholds());
                partial += u32::from(permit.categories != question.request.selection.categories);
                bases.extend(permit.because.iter().map(|b| b.basis.tag()));
                let to_research = |basis: &Basis| match basis {
                    Basis::Grant(id) => question
                        .finalised
                        .grant(id)
                        .is_some_and(|g| matches!(g.grantee, Grantee::Research(_))),
                    _ => false,
                };
                research += u32::from(permit.because.iter().any(|b| to_research(&b.basis)));
            }
        }
    }
    assert!(permits > 500, "{permits} permits");
    assert!(withholding > 20, "{withholding} with exceptions");
    assert!(partial > 20, "{partial} partial");
    assert!(research > 30, "{research} by a grant to research");
    assert_eq!(bases, (1..=7).collect());
}

#[test]
fn grants_join_but_exceptions_stay_their_own() {
    use Category::{Genomic, Phenotype};
    let to = Grantee::Institution(OTHER);
    let mut a = grant(1, to.clone(), &[Purpose::Treat], &[Phenotype]);
    a.exceptions = [Exception::Record(record(0)), Exception::Record(record(1))].into();
    let mut b = grant(2, to.clone(), &[Purpose::Treat], &[Phenotype, Genomic]);
    b.exceptions = [Exception::Record(record(1)), Exception::Kind(kind(2))].into();
    let state = state(|t| t.grants = vec![a, b]);
    let ask = request(
        actor(OTHER, 0, &[Role::Clinician]),
        Purpose::Treat,
        &[Phenotype, Genomic],
    );
    let decision = decide(&Default::default(), &Effective::of(&state), &ask, &facts(3));
    let permit = decision.permit().unwrap();
    let covers = |category, r, k| permit.covers(category, &record(r), Some(&kind(k)), at(3));
    assert!(covers(Phenotype, 0, 0), "b permits what a leaves out");
    assert!(covers(Phenotype, 2, 2), "a permits what b leaves out");
    assert!(!covers(Phenotype, 0, 2), "both leave it out");
    assert!(!covers(Phenotype, 1, 0), "both leave it out");
    assert!(covers(Genomic, 0, 0) && !covers(Genomic, 2, 2));
    assert!(
        !permit.covers(Genomic, &record(0), None, at(3)),
        "kind unknown"
    );
    assert!(permit.withholds());
    assert_eq!(permit.because.len(), 2);
    // What was serialised tells what was decided and opens nothing.
    let json = serde_json::to_string(&decision).unwrap();
    let read: Decision = serde_json::from_str(&json).unwrap();
    assert_eq!(read.permit().unwrap().because, permit.because);
    assert!(lets_out(&read, at(0)).is_empty());
}

#[test]
fn what_is_permitted_has_a_basis_that_holds_in_every_state() {
    // The family restricts the record while an emergency session is open: what was own care is
    // broken glass from then on, and is called so.
    let open = state(|_| {});
    let restricted = [open.next(|t| t.restricted = true).unwrap()];
    let mut facts = facts(5);
    facts.break_glass = Some(session(0, 0, 9));
    let doctor = actor(CUSTODIAN, 0, &[Role::Clinician]);
    let ask = request(doctor, Purpose::Etreat, &[Category::Phenotype]);
    let basis = |pending| {
        let effective = Effective {
            finalised: &open,
            pending,
        };
        let decision = decide(&Default::default(), &effective, &ask, &facts);
        decision.permit().unwrap().basis.clone()
    };
    assert!(matches!(basis(&[]), Basis::Policy(_)));
    assert_eq!(basis(&restricted), Basis::BreakGlass);

    // One grant takes another one's place: neither stands until the ledger has recorded it.
    let to = || Grantee::Institution(OTHER);
    let with = |n| grant(n, to(), &[Purpose::Treat], &[Category::Phenotype]);
    let old = state(|t| t.grants = vec![with(1)]);
    let new = [old.next(|t| t.grants = vec![with(2)]).unwrap()];
    let effective = Effective {
        finalised: &old,
        pending: &new,
    };
    let ask = request(
        actor(OTHER, 0, &[Role::Clinician]),
        Purpose::Treat,
        &[Category::Phenotype],
    );
    let decision = decide(&Default::default(), &effective, &ask, &facts);
    let missing = &decision.denial().unwrap().missing;
    assert!(missing.contains(&Missing::ChangeNotFinal));
}
