//! One question, many accounts; and what taking one person out changes.

use codec::{Digest, Millis, StudyId, SubjectId};
use discovery::{
    Account, Budget, Charge, Display, Epsilon, Holder, NoCharge, NoReservation, Policy, Rows,
    Unknown,
};
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

fn policy() -> Policy {
    let budget = |micro, days| Budget {
        epsilon: Epsilon::from_micro(micro),
        days: Some(days),
    };
    Policy {
        cost: Epsilon::from_micro(100),
        researcher: budget(700, 30),
        study: budget(1_000, 30),
        subject: budget(350, 60),
        display: Display::default(),
    }
}

/// The accounts of a custodian: two researchers of one study, and some subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Books {
    researchers: Vec<Account>,
    study: Account,
    subjects: Vec<Account>,
}

impl Books {
    fn new(subjects: u8) -> Self {
        let researcher = |name| Account::new(Holder::Researcher(Digest::new([name; 32])));
        let subject = |name| Account::new(Holder::Subject(SubjectId::new([name; 32])));
        Self {
            researchers: vec![researcher(1), researcher(2)],
            study: Account::new(Holder::Study(StudyId::new([1; 16]))),
            subjects: (0..subjects).map(subject).collect(),
        }
    }

    /// Asks a question that selects some; the count, if it is answered.
    fn ask(&mut self, who: usize, selected: &[usize], now: Millis) -> Result<u64, NoCharge> {
        let mut picked: Vec<_> = selected.iter().map(|i| self.subjects[*i].clone()).collect();
        let rows = Rows {
            researcher: &mut self.researchers[who],
            study: &mut self.study,
            subjects: &mut picked,
        };
        let charge = Charge::reserve(&policy(), rows, now)?;
        let counted = charge.counted();
        let rows = Rows {
            researcher: &mut self.researchers[who],
            study: &mut self.study,
            subjects: &mut picked,
        };
        charge.commit(rows).expect("its own rows");
        for (index, row) in selected.iter().zip(picked) {
            self.subjects[*index] = row;
        }
        Ok(counted)
    }
}

#[test]
fn who_has_nothing_left_is_left_out_and_nobody_is_told() {
    let (mut books, now) = (Books::new(3), Millis::new(0));
    for _ in 0..3 {
        assert_eq!(books.ask(0, &[0], now), Ok(1));
    }
    let before = books.subjects[0].clone();
    assert_eq!(books.ask(0, &[0, 1, 2], now), Ok(2));
    assert_eq!(
        books.subjects[0], before,
        "who is not counted is not charged"
    );
    let left = books.subjects[1].left(&policy().subject, now);
    assert_eq!(left.micro(), 250);
    for row in [&books.study, &books.researchers[0]] {
        assert_eq!(row.spent(&policy().study, now).micro(), 400);
        assert_eq!(row.reserved(), Epsilon::ZERO);
    }
    // The next period counts everybody again.
    assert_eq!(books.ask(0, &[0, 1, 2], Millis::new(60 * DAY)), Ok(3));
}

#[test]
fn who_is_refused_has_paid_nothing() {
    let (mut books, now) = (Books::new(1), Millis::new(0));
    for _ in 0..7 {
        books.ask(0, &[], now).expect("there is enough");
    }
    let renews = Some(Millis::new(30 * DAY));
    let none = NoReservation::Exhausted {
        left: Epsilon::ZERO,
        renews,
    };
    let before = books.clone();
    assert_eq!(books.ask(0, &[0], now), Err(NoCharge::Researcher(none)));
    assert_eq!(books, before);
    for _ in 0..3 {
        books.ask(1, &[], now).expect("there is enough");
    }
    let before = books.clone();
    assert_eq!(books.ask(1, &[0], now), Err(NoCharge::Study(none)));
    assert_eq!(books, before);
}

#[test]
fn released_or_found_after_a_crash() {
    let reserve = |books: &mut Books| {
        let Books {
            researchers,
            study,
            subjects,
        } = books;
        let rows = Rows {
            researcher: &mut researchers[0],
            study,
            subjects,
        };
        Charge::reserve(&policy(), rows, Millis::new(0)).expect("there is enough")
    };
    let spent = |account: &Account| account.left(&policy().subject, Millis::new(0)).micro();
    let (mut given_back, mut crashed) = (Books::new(2), Books::new(2));
    let charge = reserve(&mut given_back);
    assert_eq!(charge.counted(), 2);
    let Books {
        researchers,
        study,
        subjects,
    } = &mut given_back;
    let rows = Rows {
        researcher: &mut researchers[0],
        study,
        subjects,
    };
    charge.release(rows).expect("its own rows");
    assert_eq!(spent(&given_back.subjects[1]), 350);
    // What is found after a crash is spent, and good for nothing.
    let lost = reserve(&mut crashed);
    let rows = [&mut crashed.study, &mut crashed.researchers[0]];
    rows.into_iter()
        .chain(&mut crashed.subjects)
        .for_each(|row| assert!(row.restarted()));
    assert_eq!(spent(&crashed.subjects[1]), 250);
    let Books {
        researchers,
        study,
        subjects,
    } = &mut crashed;
    let rows = Rows {
        researcher: &mut researchers[0],
        study,
        subjects,
    };
    assert_eq!(lost.commit(rows), Err(Unknown));
}

#[test]
fn a_charge_is_good_in_its_own_rows_alone() {
    let check = |who: usize, count: usize, expect| {
        let mut books = Books::new(2);
        let Books {
            researchers,
            study,
            subjects,
        } = &mut books;
        let rows = Rows {
            researcher: &mut researchers[0],
            study,
            subjects,
        };
        let charge = Charge::reserve(&policy(), rows, Millis::new(0)).expect("there is enough");
        let Books {
            researchers,
            study,
            subjects,
        } = &mut books;
        let subjects = &mut subjects[..count];
        let rows = Rows {
            researcher: &mut researchers[who],
            study,
            subjects,
        };
        assert_eq!(charge.commit(rows), expect, "{who} {count}");
    };
    check(0, 2, Ok(()));
    check(1, 2, Err(Unknown));
    check(0, 1, Err(Unknown));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The guarantee: two worlds that differ by one person, asked the same. The same questions are
    /// refused; every other account is the same at every step; counts differ by at most one; and what
    /// the answers that differ cost in a period is within the person's budget.
    #[test]
    fn one_person_changes_no_more_than_their_budget(
        questions in prop::collection::vec(
            (0_usize..2, prop::collection::btree_set(0_usize..4, 0..5), 0_u64..20),
            1..60,
        ),
    ) {
        let (mut with, mut without) = (Books::new(4), Books::new(4));
        let (person, mut now, mut differed) = (0, Millis::new(0), std::collections::BTreeMap::new());
        for (who, selected, days) in questions {
            now = now.saturating_add(days * DAY);
            let all: Vec<_> = selected.iter().copied().collect();
            let others: Vec<_> = all.iter().copied().filter(|one| *one != person).collect();
            match (with.ask(who, &all, now), without.ask(who, &others, now)) {
                (Ok(a), Ok(b)) => {
                    prop_assert!(a == b || a == b + 1);
                    let period = now.get() / (60 * DAY);
                    *differed.entry(period).or_insert(0) += (a - b) * policy().cost.micro();
                }
                (Err(a), Err(b)) => prop_assert_eq!(a, b),
                (a, b) => prop_assert!(false, "one world is refused: {a:?} {b:?}"),
            }
            prop_assert_eq!(&with.subjects[1..], &without.subjects[1..]);
            prop_assert_eq!(&with.researchers, &without.researchers);
            prop_assert_eq!(&with.study, &without.study);
        }
        for cost in differed.values() {
            prop_assert!(*cost <= policy().subject.epsilon.micro());
        }
    }
}
