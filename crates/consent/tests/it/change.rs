//! Who may change what, and what the change is called.

use crate::world::*;
use codec::Category;
use consent::{
    ChangeBy, ChangeKind, ChangeRefused, ConsentState, Controller, ControllerRole, Exception,
    Facts, Grantee, Label, Opening, PractitionerAt, Purpose, Terms, change_allowed, change_kind,
};

/// A mother until 20 in slot 0, the child in slot 1, a father in slot 2; the child matures at 30.
fn family(edit: impl FnOnce(&mut Terms)) -> ConsentState {
    state(|terms| {
        terms.controllers[0].until = Some(at(20));
        terms.controllers.push(guardian(2, None));
        terms.matures = Some(at(30));
        terms.grants = vec![grant(
            1,
            Grantee::Institution(OTHER),
            &[Purpose::Treat, Purpose::Coc],
            &[Category::Phenotype, Category::Vitals],
        )];
        terms.grants[0].from = at(1);
        edit(terms);
    })
}

fn guardian(slot: u8, until: Option<u64>) -> Controller {
    Controller {
        slot,
        role: ControllerRole::Guardian,
        label: Label::new("someone").unwrap(),
        until: until.map(at),
    }
}

type Verdict = Result<ChangeKind, ChangeRefused>;

fn change(old: &ConsentState, by: ChangeBy, now: u64, edit: fn(&mut Terms)) -> Verdict {
    change_allowed(old, &old.next(edit).unwrap(), by, &facts(now))
}

#[test]
fn kinds_of_change() {
    use ChangeKind::{Mixed, Narrowing, Widening};
    let check = |edit: fn(&mut Terms), expect| {
        let old = family(|t| t.opted_out = [Purpose::Hqualimp].into());
        let new = old.next(edit).unwrap();
        assert_eq!(change_kind(&old, &new), expect);
        let back = match expect {
            Narrowing => Widening,
            Widening => Narrowing,
            Mixed => Mixed,
        };
        // Going back is the opposite, unless nothing changed.
        if change_kind(&new, &old) != back {
            assert_eq!(change_kind(&new, &old), Narrowing);
        }
    };
    check(|_| {}, Narrowing);
    check(|t| t.grants.clear(), Narrowing);
    check(|t| t.restricted = true, Narrowing);
    check(|t| t.opted_out = [Purpose::Hoperat].into(), Narrowing);
    check(|t| t.opted_out.clear(), Widening);
    check(|t| t.opted_out = [Purpose::Hresch].into(), Mixed);
    check(|t| t.matures = Some(at(29)), Narrowing);
    check(|t| t.matures = None, Widening);
    check(|t| t.assisted = true, Widening);
    check(|t| t.controllers.truncate(2), Narrowing);
    check(|t| t.controllers.push(guardian(3, Some(5))), Widening);
    check(|t| t.controllers[0].until = Some(at(21)), Widening);
    check(|t| t.controllers[0].until = Some(at(19)), Narrowing);
    check(
        |t| {
            t.controllers[0].role = ControllerRole::Subject;
            t.controllers[0].until = None;
        },
        Mixed,
    );
    check(
        |t| t.controllers[0].label = Label::new("Mum").unwrap(),
        Narrowing,
    );
    check(|t| t.grants[0].until = at(5), Narrowing);
    check(|t| t.grants[0].from = at(5), Narrowing);
    check(|t| t.grants[0].from = at(0), Widening);
    check(|t| t.grants[0].until = at(LAST + 9), Widening);
    check(
        |t| t.grants[0].exceptions = [Exception::Record(record(0))].into(),
        Narrowing,
    );
    check(|t| t.grants[0].id = grant_id(8), Mixed);
    check(|t| t.grants[0].grantee = Grantee::Institution(THIRD), Mixed);
    check(
        |t| {
            t.grants[0].grantee = Grantee::Practitioner(PractitionerAt {
                institution: OTHER,
                practitioner: person(0),
            });
        },
        Narrowing,
    );
    check(
        |t| {
            t.grants[0].purposes = [Purpose::Treat].into();
            t.grants[0].categories.insert(Category::Genomic);
        },
        Mixed,
    );
}

#[test]
fn an_exception_for_someone_else_does_not_matter_to_a_grant_for_one() {
    let old = family(|t| t.grants[0].exceptions = [Exception::Practitioner(person(1))].into());
    let to = |who| {
        old.next(|t| {
            t.grants[0].exceptions.clear();
            t.grants[0].grantee = Grantee::Practitioner(PractitionerAt {
                institution: OTHER,
                practitioner: person(who),
            });
        })
        .unwrap()
    };
    assert_eq!(change_kind(&old, &to(0)), ChangeKind::Narrowing);
    assert_eq!(change_kind(&old, &to(1)), ChangeKind::Mixed);
}

#[test]
fn who_is_in_control_may_change_grants() {
    let (own, assisted) = (family(|_| {}), family(|t| t.assisted = true));
    let check = |old: &ConsentState, by, now, expect: Verdict| {
        assert_eq!(
            change(old, by, now, |t| t.grants.clear()),
            expect,
            "{by:?} at {now}"
        );
    };
    let narrows = Ok(ChangeKind::Narrowing);
    check(&own, ChangeBy::Slot(0), 19, narrows);
    check(
        &own,
        ChangeBy::Slot(0),
        20,
        Err(ChangeRefused::GuardianEnded(at(20))),
    );
    check(&own, ChangeBy::Slot(1), 5, narrows);
    check(&own, ChangeBy::Slot(1), 99, narrows);
    check(&own, ChangeBy::Slot(2), 29, narrows);
    check(
        &own,
        ChangeBy::Slot(2),
        30,
        Err(ChangeRefused::SubjectMatured(at(30))),
    );
    check(
        &own,
        ChangeBy::Slot(3),
        5,
        Err(ChangeRefused::NotAController(3)),
    );
    check(
        &own,
        ChangeBy::Slot(255),
        5,
        Err(ChangeRefused::NotAController(255)),
    );
    check(&own, ChangeBy::Recovery, 5, narrows);
    check(&own, ChangeBy::Desk, 5, Err(ChangeRefused::NotAssisted));
    check(&assisted, ChangeBy::Desk, 5, narrows);
    check(&assisted, ChangeBy::Slot(0), 5, narrows);
}

#[test]
fn control_is_not_taken_from_others() {
    let family = family(|_| {});
    let check = |by, now, edit: fn(&mut Terms), expect: Verdict| {
        assert_eq!(change(&family, by, now, edit), expect, "{by:?} at {now}");
    };
    use ChangeKind::{Narrowing, Widening};
    use ChangeRefused::{LongerThanOwn, Maturity, NobodyLeft, OthersControl};
    let (mother, child, father) = (ChangeBy::Slot(0), ChangeBy::Slot(1), ChangeBy::Slot(2));
    let grown = 30;
    // A guardian removes, shortens or prolongs nobody else in control; an ended one may be tidied.
    check(
        mother,
        5,
        |t| t.controllers.truncate(2),
        Err(OthersControl(2)),
    );
    check(
        mother,
        5,
        |t| t.controllers[2].until = Some(at(9)),
        Err(OthersControl(2)),
    );
    check(
        mother,
        5,
        |t| drop(t.controllers.remove(1)),
        Err(OthersControl(1)),
    );
    check(
        father,
        5,
        |t| t.controllers[0].until = Some(at(25)),
        Err(OthersControl(0)),
    );
    check(father, 20, |t| drop(t.controllers.remove(0)), Ok(Narrowing));
    check(
        father,
        20,
        |t| t.controllers[0].until = Some(at(25)),
        Ok(Widening),
    );
    // They may leave, or let someone in for no longer than themselves.
    check(mother, 5, |t| drop(t.controllers.remove(0)), Ok(Narrowing));
    check(
        mother,
        5,
        |t| t.controllers[0].until = Some(at(21)),
        Err(LongerThanOwn(0)),
    );
    check(
        mother,
        5,
        |t| t.controllers.push(guardian(3, Some(20))),
        Ok(Widening),
    );
    check(
        mother,
        5,
        |t| t.controllers.push(guardian(3, Some(21))),
        Err(LongerThanOwn(3)),
    );
    check(
        mother,
        5,
        |t| t.controllers.push(guardian(3, None)),
        Err(LongerThanOwn(3)),
    );
    check(
        father,
        5,
        |t| t.controllers.push(guardian(3, None)),
        Ok(Widening),
    );
    let usurp: fn(&mut Terms) = |t| t.controllers[2].role = ControllerRole::Subject;
    check(father, 5, usurp, Err(LongerThanOwn(2)));
    // Nobody but the law moves the coming of age.
    check(mother, 5, |t| t.matures = None, Err(Maturity));
    check(father, 5, |t| t.matures = Some(at(29)), Err(Maturity));
    check(child, 29, |t| t.matures = Some(at(29)), Err(Maturity));
    // A minor neither sheds nor adds guardians; a grown subject does as they like.
    check(
        child,
        29,
        |t| t.controllers.truncate(2),
        Err(OthersControl(2)),
    );
    check(
        child,
        29,
        |t| t.controllers.push(guardian(3, Some(29))),
        Err(LongerThanOwn(3)),
    );
    check(
        child,
        grown,
        |t| drop(t.controllers.remove(2)),
        Ok(Narrowing),
    );
    check(child, grown, |t| t.matures = None, Ok(Widening));
    check(
        child,
        grown,
        |t| drop(t.controllers.remove(1)),
        Err(NobodyLeft),
    );
    // Recovery, by two institutions, may do all of it; so may the desk while it acts.
    check(
        ChangeBy::Recovery,
        5,
        |t| t.controllers.truncate(1),
        Ok(Narrowing),
    );
    check(ChangeBy::Recovery, 5, |t| t.matures = None, Ok(Widening));
    check(
        ChangeBy::Recovery,
        20,
        |t| t.controllers.truncate(1),
        Err(NobodyLeft),
    );
}

#[test]
fn the_desk_gives_control_away_for_good() {
    let assisted = family(|t| t.assisted = true);
    let verdict = change(&assisted, ChangeBy::Desk, 5, |t| t.assisted = false);
    assert_eq!(verdict, Ok(ChangeKind::Narrowing));
    for by in [
        ChangeBy::Slot(0),
        ChangeBy::Slot(1),
        ChangeBy::Recovery,
        ChangeBy::Desk,
    ] {
        let verdict = change(&family(|_| {}), by, 5, |t| t.assisted = true);
        assert_eq!(verdict, Err(ChangeRefused::AssistedAgain), "{by:?}");
    }
}

#[test]
fn a_change_follows_the_current_state() {
    let old = family(|_| {});
    let check = |new: &ConsentState, facts: &Facts, expect| {
        assert_eq!(
            change_allowed(&old, new, ChangeBy::Slot(0), facts),
            Err(expect)
        );
    };
    let next = old.next(|_| {}).unwrap();
    let with = |sequence| family(|t| t.sequence = sequence);
    for found in [0, 4, 5, 7, u64::MAX] {
        let refused = ChangeRefused::Sequence { found, next: 6 };
        check(&with(found), &facts(5), refused);
    }
    let other = family(|t| {
        t.subject = codec::SubjectId::new([8; 32]);
        t.sequence = 6;
    });
    check(&other, &facts(5), ChangeRefused::Subject);
    let during = |edit: fn(&mut Facts)| {
        let mut facts = facts(5);
        edit(&mut facts);
        facts
    };
    check(&next, &during(|f| f.closed = true), ChangeRefused::Closed);
    check(&next, &during(|f| f.erased = true), ChangeRefused::Closed);
    let restored = during(|f| f.opening = Opening::Mismatch);
    check(&next, &restored, ChangeRefused::OpeningMismatch);
    // The last sequence has no next.
    let last = family(|t| t.sequence = u64::MAX);
    let verdict = change_allowed(&last, &last, ChangeBy::Slot(0), &facts(5));
    let (found, next) = (u64::MAX, u64::MAX);
    assert_eq!(verdict, Err(ChangeRefused::Sequence { found, next }));
}
