//! The instants at which something begins or ends: the first is in, the last is out.

use crate::world::*;
use codec::Category::{self, Phenotype, Vitals};
use consent::{
    BreakGlass, ConsentState, Effective, Facts, Grantee, Opening, Policy, Purpose, Request, Role,
    decide,
};

fn permitted(state: &ConsentState, request: &Request, facts: &Facts) -> bool {
    let effective = Effective::of(state);
    let decision = decide(&Policy::default(), &effective, request, facts);
    decision.permit().is_some()
}

fn check(state: &ConsentState, request: &Request, now: u64, expect: bool) {
    let facts = Facts {
        break_glass: Some(session(0, 3, 8)),
        ..facts(now)
    };
    assert_eq!(permitted(state, request, &facts), expect, "at {now}");
    // Whichever clock is ahead counts.
    for (local, block) in [(0, now), (now, 0)] {
        let facts = Facts {
            now: at(local),
            block_time: at(block),
            ..facts.clone()
        };
        assert_eq!(
            permitted(state, request, &facts),
            expect,
            "at {local}/{block}"
        );
    }
}

#[test]
fn a_grant_runs_from_its_first_to_before_its_last_instant() {
    let mut to_other = grant(
        1,
        Grantee::Institution(OTHER),
        &[Purpose::Treat],
        &[Phenotype],
    );
    (to_other.from, to_other.until) = (at(3), at(8));
    let state = state(|t| t.grants = vec![to_other]);
    let ask = request(
        actor(OTHER, 0, &[Role::Clinician]),
        Purpose::Treat,
        &[Phenotype],
    );
    for (now, expect) in [
        (0, false),
        (2, false),
        (3, true),
        (7, true),
        (8, false),
        (9, false),
    ] {
        check(&state, &ask, now, expect);
    }
}

#[test]
fn a_guardian_decides_until_the_end_or_the_coming_of_age() {
    let until = |guardian: Option<u64>, matures: Option<u64>| {
        state(|t| {
            t.controllers.first_mut().unwrap().until = guardian.map(at);
            t.matures = matures.map(at);
        })
    };
    let guardian = request(controller(0), Purpose::Famrqt, &[Phenotype]);
    let subject = request(controller(1), Purpose::Patrqt, &[Phenotype]);
    for (end, matures, last) in [
        (Some(6), None, Some(5)),
        (None, Some(6), Some(5)),
        (Some(4), Some(6), Some(3)),
        (Some(6), Some(4), Some(3)),
        (None, None, None),
    ] {
        let state = until(end, matures);
        for now in 0..10 {
            check(&state, &guardian, now, last.is_none_or(|last| now <= last));
            check(&state, &subject, now, true);
        }
    }
}

#[test]
fn a_session_ends_and_never_later_than_four_hours() {
    let state = state(|t| t.restricted = true);
    let ask = request(
        actor(CUSTODIAN, 0, &[Role::Clinician]),
        Purpose::Btg,
        &[Phenotype],
    );
    check(&state, &ask, 7, true);
    check(&state, &ask, 8, false);
    let four_hours = u64::from(BreakGlass::MAX_MINUTES) * 60_000;
    for (now, expect) in [(four_hours + 2, true), (four_hours + 3, false)] {
        let facts = Facts {
            break_glass: Some(session(0, 3, u64::MAX)),
            ..facts(now)
        };
        assert_eq!(permitted(&state, &ask, &facts), expect);
    }
}

#[test]
fn sixty_seconds_are_fresh_and_a_millisecond_more_is_not() {
    let state = state(|t| {
        let to = Grantee::Institution(OTHER);
        t.grants = vec![
            grant(1, to, &[Purpose::Treat], &[Phenotype]),
            grant(
                2,
                Grantee::Institution(CUSTODIAN),
                &[Purpose::Hresch],
                &[Phenotype],
            ),
        ];
    });
    let ask =
        |institution, role, purpose| request(actor(institution, 0, &[role]), purpose, &[Phenotype]);
    let outside = ask(OTHER, Role::Clinician, Purpose::Treat);
    let research = ask(CUSTODIAN, Role::Researcher, Purpose::Hresch);
    let own = ask(CUSTODIAN, Role::Clinician, Purpose::Treat);
    for (age, shared) in [(60_000, true), (60_001, false), (u64::MAX, false)] {
        let facts = Facts {
            ledger_age_ms: age,
            ..facts(5)
        };
        assert_eq!(permitted(&state, &outside, &facts), shared);
        assert_eq!(permitted(&state, &research, &facts), shared);
        let effective = Effective::of(&state);
        let decision = decide(&Policy::default(), &effective, &own, &facts);
        assert_eq!(decision.permit().unwrap().stale, !shared);
    }
    for (opening, stale) in [(Opening::NoLeaf, false), (Opening::Mismatch, true)] {
        let facts = Facts {
            opening,
            ..facts(5)
        };
        assert!(!permitted(&state, &outside, &facts));
        assert!(!permitted(&state, &research, &facts));
        let effective = Effective::of(&state);
        let decision = decide(&Policy::default(), &effective, &own, &facts);
        assert_eq!(decision.permit().unwrap().stale, stale);
    }
}

#[test]
fn a_session_serves_its_opener_and_subject_alone() {
    let state = state(|t| t.restricted = true);
    let serves = |edit: fn(&mut BreakGlass), who, purpose, institution| {
        let mut session = session(0, 0, 9);
        edit(&mut session);
        let facts = Facts {
            break_glass: Some(session),
            ..facts(5)
        };
        let ask = request(
            actor(institution, who, &[Role::Clinician]),
            purpose,
            &[Phenotype],
        );
        permitted(&state, &ask, &facts)
    };
    assert!(serves(|_| {}, 0, Purpose::Btg, CUSTODIAN));
    assert!(serves(|_| {}, 0, Purpose::Etreat, CUSTODIAN));
    assert!(!serves(|_| {}, 0, Purpose::Treat, CUSTODIAN));
    assert!(!serves(|_| {}, 1, Purpose::Btg, CUSTODIAN));
    assert!(!serves(|_| {}, 0, Purpose::Btg, OTHER));
    assert!(!serves(|s| s.institution = OTHER, 0, Purpose::Btg, OTHER));
    assert!(!serves(
        |s| s.institution = OTHER,
        0,
        Purpose::Btg,
        CUSTODIAN
    ));
    let stranger: fn(&mut BreakGlass) = |s| s.subject = codec::SubjectId::new([8; 32]);
    assert!(!serves(stranger, 0, Purpose::Btg, CUSTODIAN));
}

#[test]
fn a_permit_lasts_as_long_as_all_of_it_does() {
    let until = |grants: &[(u8, u64, &[Category])], categories: &[Category]| {
        let state = state(|t| {
            let to = || Grantee::Institution(OTHER);
            let grants = grants.iter().map(|(n, until, categories)| {
                let mut grant = grant(*n, to(), &[Purpose::Treat], categories);
                grant.until = at(*until);
                grant
            });
            t.grants = grants.collect();
        });
        let ask = request(
            actor(OTHER, 0, &[Role::Clinician]),
            Purpose::Treat,
            categories,
        );
        let effective = Effective::of(&state);
        let decision = decide(&Policy::default(), &effective, &ask, &facts(5));
        decision.permit().unwrap().until
    };
    // The longer of two for the same, in either order.
    assert_eq!(
        until(&[(1, 7, &[Phenotype]), (2, 9, &[Phenotype])], &[Phenotype]),
        Some(at(9))
    );
    assert_eq!(
        until(&[(1, 9, &[Phenotype]), (2, 7, &[Phenotype])], &[Phenotype]),
        Some(at(9))
    );
    // The shorter of two for different things.
    let both = [(1, 7, [Phenotype].as_slice()), (2, 9, &[Vitals])];
    assert_eq!(until(&both, &[Phenotype, Vitals]), Some(at(7)));
    assert_eq!(until(&both, &[Vitals]), Some(at(9)));
}

#[test]
fn a_grant_to_the_custodian_waits_for_the_ledger_too() {
    let to_us = grant(
        1,
        Grantee::Institution(CUSTODIAN),
        &[Purpose::Supnwk],
        &[Phenotype],
    );
    let state = state(|t| t.grants = vec![to_us]);
    let ask = request(
        actor(CUSTODIAN, 0, &[Role::Desk]),
        Purpose::Supnwk,
        &[Phenotype],
    );
    let at_opening = |opening| {
        let facts = Facts {
            opening,
            ..facts(5)
        };
        permitted(&state, &ask, &facts)
    };
    assert!(at_opening(Opening::Matches));
    assert!(!at_opening(Opening::NoLeaf));
    assert!(!at_opening(Opening::Mismatch));
}

#[test]
fn every_state_is_of_the_subject() {
    let ours = state(|_| {});
    let theirs = state(|t| t.subject = codec::SubjectId::new([8; 32]));
    let ask = request(
        actor(CUSTODIAN, 0, &[Role::Clinician]),
        Purpose::Treat,
        &[Phenotype],
    );
    let decided = |finalised, pending| {
        let effective = Effective { finalised, pending };
        let decision = decide(&Policy::default(), &effective, &ask, &facts(5));
        decision.permit().is_some()
    };
    let (our_change, their_change) = ([ours.clone()], [theirs.clone()]);
    assert!(decided(&ours, &our_change));
    assert!(!decided(&ours, &their_change));
    assert!(!decided(&theirs, &our_change));
}
