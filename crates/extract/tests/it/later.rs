//! Extracts made after earlier ones.

use crate::{HPO, LEAVES, ids, k, mixed, person};
use extract::{
    Against, Because, Earlier, Limits, Made, Profile, Refusal, Subject, attack, cluster,
    cluster_after,
};

/// Three kinds of people, by number.
fn people(numbers: impl Iterator<Item = u32>) -> Vec<Subject> {
    let features = |n: u32| {
        [
            LEAVES[(n as usize % 3) * 400],
            LEAVES[3_000 + n as usize % 7],
        ]
    };
    numbers.map(|n| person(n, &features(n))).collect()
}

fn profiles(extract: &extract::Extract) -> Vec<Profile> {
    extract.release().profiles
}

#[test]
fn a_newcomer_waits_and_nothing_changes() {
    for config in [k(5), mixed(5)] {
        let before = people(0..40);
        let then = cluster(&HPO, &before, &config).expect("forty");
        let earlier = Earlier {
            subjects: &before,
            extract: &then,
        };
        for newcomers in 0..5 {
            let now = people((0..40 + newcomers).rev());
            let made = cluster_after(&HPO, &now, &config, earlier).expect("forty and some");
            assert_eq!(
                made.release(),
                then.release(),
                "seen with {newcomers} newcomers"
            );
            assert_eq!(ids(&now, &made), ids(&before, &then));
            let waiting = made
                .left_out
                .iter()
                .filter(|l| l.because == Because::Waiting);
            assert_eq!(waiting.count(), newcomers as usize);
        }
        let now = people(0..45);
        let made = cluster_after(&HPO, &now, &config, earlier).expect("five newcomers");
        assert_eq!(made.size(), 45);
        assert!(profiles(&then).iter().all(|p| profiles(&made).contains(p)));
        // Whoever shared a cluster does so still.
        let old = ids(&before, &then);
        assert!(old.iter().all(|members| ids(&now, &made).contains(members)));
    }
}

#[test]
fn those_whom_somebody_leaves_stay_together() {
    let before = people(0..40);
    let then = cluster(&HPO, &before, &k(5)).expect("forty");
    let earlier = Earlier {
        subjects: &before,
        extract: &then,
    };
    for leaver in 0..40 {
        let now = people((0..60).filter(|&n| n != leaver));
        let made = cluster_after(&HPO, &now, &k(5), earlier).expect("sixty");
        let new = ids(&now, &made);
        for old in ids(&before, &then) {
            let rest: Vec<_> = old
                .iter()
                .filter(|&&id| id != person(leaver, &[]).id)
                .collect();
            let together = new.iter().any(|c| rest.iter().all(|id| c.contains(id)));
            assert!(together, "scattered after {leaver} left");
        }
    }
}

#[test]
fn made_afresh_some_would_be_alone() {
    let before = people(0..40);
    let then = cluster(&HPO, &before, &k(2)).expect("forty");
    let earlier = [Earlier {
        subjects: &before,
        extract: &then,
    }];
    let against = Against {
        outside: &[],
        earlier: &earlier,
        targets: 1_000,
    };
    let now = people((0..60).filter(|n| n % 5 != 1));
    let found = |made: &extract::Extract| {
        let table = attack(
            &HPO,
            &now,
            Made::Clusters(made),
            &against,
            1,
            &Limits::default(),
        );
        table.differencing[0].clone()
    };
    let afresh = found(&cluster(&HPO, &now, &k(2)).expect("enough"));
    let after = found(&cluster_after(&HPO, &now, &k(2), earlier[0]).expect("enough"));
    assert!(afresh.alone > 0.0, "the measure would not see it");
    assert!(after.alone.abs() < f64::EPSILON);
    assert!(after.companions_below_k <= afresh.companions_below_k);
}

#[test]
fn other_settings_are_refused() {
    let before = people(0..40);
    let then = cluster(&HPO, &before, &k(5)).expect("forty");
    let earlier = Earlier {
        subjects: &before,
        extract: &then,
    };
    let made = cluster_after(&HPO, &before, &k(6), earlier);
    assert_eq!(made.err(), Some(Refusal::OtherConfig));
    let gone = cluster_after(&HPO, &before[..3], &k(5), earlier);
    assert_eq!(gone.err(), Some(Refusal::TooFew { k: 5 }));
}
