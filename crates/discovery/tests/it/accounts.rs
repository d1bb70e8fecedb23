//! Budgets under any interleaving.

use codec::{InstitutionId, Millis, StudyId};
use discovery::{
    Account, Budget, Epsilon, Holder, MAX_OPEN, NoReservation, Reservation, Unknown, researcher,
};
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

fn holder() -> Holder {
    Holder::Study(StudyId::new([7; 16]))
}

fn micro(micro: u64) -> Epsilon {
    Epsilon::from_micro(micro)
}

fn budget(micro_epsilon: u64, days: Option<u32>) -> Budget {
    Budget {
        epsilon: micro(micro_epsilon),
        days,
    }
}

#[test]
fn two_at_once_cannot_both_take_what_is_left() {
    let (mut account, budget, now) = (
        Account::new(holder()),
        budget(1_000, Some(90)),
        Millis::new(DAY),
    );
    let first = account
        .reserve(&budget, micro(600), now)
        .expect("there is enough");
    let renews = Some(Millis::new(90 * DAY));
    let none = NoReservation::Exhausted {
        left: micro(400),
        renews,
    };
    assert_eq!(account.reserve(&budget, micro(600), now), Err(none));
    let spend = account.commit(first).expect("its own");
    assert_eq!((spend.holder, spend.cost), (holder(), micro(600)));
    assert_eq!(account.left(&budget, now), micro(400));
    let second = account
        .reserve(&budget, micro(400), now)
        .expect("exactly enough");
    account.release(second).expect("its own");
    assert_eq!(account.left(&budget, now), micro(400));
    assert_eq!(account.spent(&budget, now), micro(600));
}

#[test]
fn what_is_found_after_a_restart_is_spent() {
    let (mut account, budget, now) = (
        Account::new(holder()),
        budget(1_000, None),
        Millis::new(DAY),
    );
    let lost = account
        .reserve(&budget, micro(300), now)
        .expect("there is enough");
    let bytes = codec::to_vec(&account);
    let mut found: Account = codec::from_slice(&bytes).expect("its own bytes");
    assert_eq!(found, account);
    assert!(found.restarted());
    assert!(!found.restarted(), "once");
    assert_eq!(found.spent(&budget, now), micro(300));
    assert_eq!(
        found.commit(lost),
        Err(Unknown),
        "a reservation from before is not known"
    );
    assert_eq!(found.left(&budget, now), micro(700));
}

#[test]
fn a_new_period_begins_anew_and_an_earlier_one_never_does() {
    let (mut account, budget) = (Account::new(holder()), budget(1_000, Some(90)));
    let (early, late) = (Millis::new(89 * DAY), Millis::new(90 * DAY));
    let spent = account
        .reserve(&budget, micro(1_000), early)
        .expect("all of it");
    account.commit(spent).expect("its own");
    assert_eq!(account.left(&budget, early), micro(0));
    assert_eq!(account.renews(&budget, early), Some(late));
    assert_eq!(account.left(&budget, late), micro(1_000));
    let next = account
        .reserve(&budget, micro(250), late)
        .expect("a new period");
    account.commit(next).expect("its own");
    // The clock goes back: the period does not.
    assert_eq!(account.left(&budget, early), micro(750));
    assert_eq!(account.renews(&budget, early), Some(Millis::new(180 * DAY)));
}

#[test]
fn what_is_reserved_goes_on_into_the_next_period() {
    let (mut account, budget) = (Account::new(holder()), budget(1_000, Some(90)));
    let over = account
        .reserve(&budget, micro(800), Millis::new(89 * DAY))
        .expect("enough");
    let late = Millis::new(90 * DAY);
    assert_eq!(account.left(&budget, late), micro(200));
    let other = account
        .reserve(&budget, micro(200), late)
        .expect("the rest");
    account.commit(over).expect("its own");
    account.commit(other).expect("its own");
    assert_eq!(account.spent(&budget, late), micro(1_000));
}

#[test]
fn refusals_leave_the_account_as_it_was() {
    let (mut account, now) = (Account::new(holder()), Millis::new(0));
    let wide = budget(1_000, None);
    let check = |account: &mut Account, budget: &Budget, cost, expect: NoReservation| {
        let before = account.clone();
        assert_eq!(account.reserve(budget, micro(cost), now), Err(expect));
        assert_eq!(*account, before);
    };
    check(&mut account, &wide, 0, NoReservation::Free);
    let none = NoReservation::Exhausted {
        left: micro(1_000),
        renews: None,
    };
    check(&mut account, &wide, u64::MAX, none);
    assert_eq!(
        none.to_string(),
        "the privacy budget has 0.001 left; it is not renewed"
    );
    let open: Vec<Reservation> = (0..MAX_OPEN)
        .map(|_| {
            account
                .reserve(&wide, micro(1), now)
                .expect("there is enough")
        })
        .collect();
    check(&mut account, &wide, 1, NoReservation::Busy);
    drop(open);
    // A budget that was cut below what is taken has nothing left, and does not wrap.
    assert_eq!(account.left(&budget(3, None), now), micro(0));
}

#[test]
fn a_reservation_is_good_in_its_own_account_alone() {
    let budget = budget(1_000, None);
    let mut mine = Account::new(holder());
    let name = researcher(&InstitutionId::new([1; 16]), "dr-x");
    let mut other = Account::new(Holder::Researcher(name));
    let now = Millis::new(0);
    let of_mine = mine.reserve(&budget, micro(10), now).expect("enough");
    let of_other = other.reserve(&budget, micro(10), now).expect("enough");
    assert_eq!(mine.release(of_other), Err(Unknown));
    assert_eq!(other.commit(of_mine), Err(Unknown));
    assert_eq!((mine.reserved(), other.reserved()), (micro(10), micro(10)));
    assert_ne!(name, researcher(&InstitutionId::new([2; 16]), "dr-x"));
    assert_ne!(name, researcher(&InstitutionId::new([1; 16]), "dr-y"));
}

/// The row's bytes, which outlive a release of the software.
#[test]
fn the_bytes_of_an_account() {
    let mut account = Account::new(holder());
    let now = Millis::new(400 * DAY);
    let spent = account
        .reserve(&budget(5_000_000, Some(90)), micro(500_000), now)
        .expect("enough");
    account.commit(spent).expect("its own");
    drop(
        account
            .reserve(&budget(5_000_000, Some(90)), micro(250_000), now)
            .expect("enough"),
    );
    assert_eq!(codec::hex::encode(&codec::to_vec(&account)), GOLDEN);
}

const GOLDEN: &str =
    "a501820250070707070707070707070707070707070204031a0007a12004020581a20101021a0003d090";

#[test]
fn epsilons_are_whole_millionths() {
    let check = |text: &str, expect: Option<u64>| {
        assert_eq!(text.parse::<Epsilon>().ok(), expect.map(micro), "{text}");
    };
    check("0.5", Some(500_000));
    check("2", Some(2_000_000));
    check("0.000001", Some(1));
    check("0.0000001", None);
    check("1e3", None);
    check("-1", None);
    check(".5", None);
    check("1.", None);
    check("18446744073709.551615", Some(u64::MAX));
    check("18446744073709.551616", None);
    for value in [0, 1, 500_000, 2_000_000, u64::MAX] {
        assert_eq!(micro(value).to_string().parse(), Ok(micro(value)));
    }
    assert_eq!(micro(u64::MAX).plus(micro(1)), micro(u64::MAX));
    assert_eq!(micro(1).minus(micro(2)), Epsilon::ZERO);
}

/// What befalls an account.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u64),
    Commit(usize),
    Release(usize),
    /// Dropped without a word: a bug of the caller, or a panic.
    Forget(usize),
    /// What was durable is read again.
    Crash,
    /// The clock goes on, or back.
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..700).prop_map(Step::Reserve),
        3 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Forget),
        1 => Just(Step::Crash),
        1 => (-40_i64..100).prop_map(Step::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Against a model that only knows what was answered when: whatever happens, no period's answers
    /// cost more than its budget, and nothing that was answered is ever forgotten within its period.
    #[test]
    fn no_interleaving_overspends(
        steps in prop::collection::vec(step(), 1..80),
        days in prop::option::of(1_u32..60),
        limit in 0_u64..2_000,
    ) {
        let budget = budget(limit, days);
        let mut account = Account::new(holder());
        let mut open: Vec<Reservation> = Vec::new();
        let mut now = Millis::new(1_000 * DAY);
        let mut latest = 0;
        // What was answered in the latest period that was seen, or may have been before a crash.
        let mut answered = 0_u64;
        // What was forgotten: a crash will find it.
        let mut forgotten = 0_u64;
        let mut before = (0, Epsilon::ZERO);
        let period = |now: Millis| days.map_or(0, |days| now.get() / (u64::from(days) * DAY));
        for step in steps {
            match step {
                Step::Reserve(cost) => {
                    let left = account.left(&budget, now);
                    let taken = account.reserve(&budget, micro(cost), now);
                    if taken.is_ok() && period(now) > latest {
                        (latest, answered) = (period(now), 0);
                    }
                    match taken {
                        Ok(reservation) => {
                            prop_assert!(cost > 0 && micro(cost) <= left);
                            open.push(reservation);
                        }
                        Err(NoReservation::Free) => prop_assert_eq!(cost, 0),
                        Err(NoReservation::Exhausted { left: said, .. }) => {
                            prop_assert_eq!(said, left);
                            prop_assert!(micro(cost) > left);
                        }
                        Err(NoReservation::Busy) => prop_assert!(open.len() <= MAX_OPEN),
                    }
                }
                Step::Commit(which) if !open.is_empty() => {
                    let reservation = open.swap_remove(which % open.len());
                    answered += reservation.cost().micro();
                    account.commit(reservation).expect("its own");
                }
                Step::Release(which) if !open.is_empty() => {
                    let reservation = open.swap_remove(which % open.len());
                    account.release(reservation).expect("its own");
                }
                Step::Forget(which) if !open.is_empty() => {
                    let lost = open.swap_remove(which % open.len());
                    forgotten += lost.cost().micro();
                }
                Step::Crash => {
                    account = codec::from_slice(&codec::to_vec(&account)).expect("its own bytes");
                    account.restarted();
                    answered += std::mem::take(&mut forgotten);
                    for reservation in open.drain(..) {
                        answered += reservation.cost().micro();
                        prop_assert_eq!(account.clone().release(reservation), Err(Unknown));
                    }
                }
                Step::Clock(days) => {
                    let moved = days.unsigned_abs() * DAY;
                    now = if days < 0 { now.saturating_sub(moved) } else { now.saturating_add(moved) };
                }
                Step::Commit(_) | Step::Release(_) | Step::Forget(_) => {}
            }
            let spent = account.spent(&budget, now);
            prop_assert!(spent.plus(account.reserved()) <= budget.epsilon);
            prop_assert!(account.left(&budget, now).plus(spent).plus(account.reserved()) == budget.epsilon);
            if period(now) <= latest {
                prop_assert!(spent >= micro(answered), "an answer was forgotten");
            }
            // Spending goes down in one way only.
            let seen = period(now).max(before.0);
            if seen == before.0 {
                prop_assert!(spent >= before.1 || period(now) < before.0);
            }
            if period(now) >= before.0 {
                before = (seen, spent);
            }
        }
    }
}
