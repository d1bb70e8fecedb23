//! Attacks where the right answer is known beforehand.

use crate::{HPO, LEAVES, ONTOLOGY, disease, k, person};
use extract::{
    Against, AttackTable, Cluster, Diagnoses, Extract, Kept, Knows, Limits, Made, Profile, Subject,
    attack, cluster,
};

const ALONE: Against<'static> = Against {
    outside: &[],
    earlier: &[],
    targets: 1_000,
};

fn attacked(subjects: &[Subject], made: Made<'_>, against: &Against<'_>) -> AttackTable {
    attack(&HPO, subjects, made, against, 7, &Limits::default())
}

/// One cluster each: no protection at all.
fn identity(subjects: &[Subject]) -> Extract {
    let cluster = |(member, subject): (u32, &Subject)| Cluster {
        members: vec![member],
        profile: Profile {
            at_least: 0,
            observed: subject
                .observed
                .iter()
                .map(|&t| extract::Shown {
                    term: ONTOLOGY.term(t).id(),
                    share: extract::Share::NearlyAll,
                })
                .collect(),
            excluded: Vec::new(),
            female: true,
            male: false,
            ages: None,
            diagnoses: subject
                .diagnosis
                .map_or(Diagnoses::Withheld, Diagnoses::Cohort),
        },
    };
    Extract {
        config: k(5),
        clusters: (0..).zip(subjects).map(cluster).collect(),
        left_out: Vec::new(),
        kept: Kept {
            recall: 1.0,
            precision: 1.0,
        },
    }
}

/// Everybody with three features that nobody else has.
fn strangers(count: u32) -> Vec<Subject> {
    let feature = |n: u32, at: u32| LEAVES[(n * 3 + at) as usize * 11];
    (0..count)
        .map(|n| person(n, &[feature(n, 0), feature(n, 1), feature(n, 2)]))
        .collect()
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 1e-9
}

#[test]
fn who_has_unique_features_is_found_in_raw_records_for_certain() {
    let subjects = strangers(40);
    let made = cluster(&HPO, &subjects, &k(5)).expect("forty");
    let table = attacked(&subjects, Made::Raw(&made), &ALONE);
    for knows in [
        Knows::Terms(1),
        Knows::Terms(2),
        Knows::Terms(3),
        Knows::Record,
    ] {
        let found = table.linkage(knows).expect("measured");
        assert!(near(found.rate, 1.0), "{knows:?}: {}", found.rate);
        assert!(near(found.unique_and_correct, 1.0));
        assert_eq!(found.targets, 40);
    }
    // Nobody has five.
    assert_eq!(table.linkage(Knows::Terms(5)).expect("measured").targets, 0);
    assert!(near(table.singling_out.rate, 1.0));
    assert!(!table.held());
}

#[test]
fn who_is_like_all_others_is_found_by_lot() {
    let subjects: Vec<Subject> = (0..40).map(|n| person(n, &LEAVES[..5])).collect();
    let made = cluster(&HPO, &subjects, &k(5)).expect("forty");
    for made in [
        Made::Raw(&made),
        Made::Clusters(&made),
        Made::Generalised(&made, 11),
    ] {
        let table = attacked(&subjects, made, &ALONE);
        for found in &table.linkage {
            assert!(
                near(found.rate, 1.0 / 40.0),
                "{:?}: {}",
                found.knows,
                found.rate
            );
            assert!(near(found.unique_and_correct, 0.0));
        }
        assert!(near(table.singling_out.rate, 0.0));
    }
}

#[test]
fn a_cluster_that_is_found_gives_one_in_its_size() {
    // Four kinds of ten people; clusters of ten to twenty, each of one kind.
    let subjects: Vec<Subject> = (0..40)
        .map(|n| person(n, &LEAVES[(n as usize % 4) * 300..][..5]))
        .collect();
    let config = extract::Config {
        k: 10,
        size_percent: 100,
        ..k(10)
    };
    let made = cluster(&HPO, &subjects, &config).expect("forty");
    assert_eq!(made.clusters.len(), 4);
    let table = attacked(&subjects, Made::Clusters(&made), &ALONE);
    for knows in [Knows::Terms(5), Knows::Record, Knows::Everything] {
        let found = table.linkage(knows).expect("measured");
        assert!(near(found.rate, 0.1), "{knows:?}: {}", found.rate);
        assert!(near(found.right_row, 1.0));
    }
}

#[test]
fn rare_terms_generalised_do_not_hide_who_combines_common_ones() {
    // Every pair of six features: each feature is common, each pair is one person's.
    let mut subjects = Vec::new();
    for (a, number) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))).zip(0..) {
        subjects.push(person(number, &[LEAVES[a.0 * 200], LEAVES[a.1 * 200]]));
    }
    let made = cluster(&HPO, &subjects, &k(5)).expect("fifteen");
    let two = |made| {
        let table = attacked(&subjects, made, &ALONE);
        table.linkage(Knows::Terms(2)).expect("measured").clone()
    };
    assert!(near(two(Made::Raw(&made)).rate, 1.0));
    assert!(near(two(Made::Generalised(&made, 5)).rate, 1.0));
    let clusters = two(Made::Clusters(&made));
    assert!(clusters.rate <= 0.2 && near(clusters.unique_and_correct, 0.0));
}

#[test]
fn identity_instead_of_clusters_is_caught() {
    let subjects = strangers(60);
    let made = cluster(&HPO, &subjects, &k(5)).expect("sixty");
    let held = |made: &Extract| {
        let table = attacked(&subjects, Made::Clusters(made), &ALONE);
        let verdict = |name: &str| {
            table
                .verdicts
                .iter()
                .find(|v| v.attack == name)
                .is_some_and(|v| v.held)
        };
        (
            verdict("linkage-three-terms"),
            verdict("unique-and-correct"),
        )
    };
    assert_eq!(held(&identity(&subjects)), (false, false));
    assert!(held(&made).1);
}

/// Two hundred with four features each, of a hundred.
fn crowd(first: u32) -> Vec<Subject> {
    let feature = |n: u32, at: u32| {
        let spread = |z: u64| (z ^ (z >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = spread(spread(spread(u64::from(n) * 4 + u64::from(at) + 1))) >> 32;
        LEAVES[usize::try_from(mixed % 100).unwrap_or(0) * 31]
    };
    (first..first + 200)
        .map(|n| {
            person(
                n,
                &[feature(n, 0), feature(n, 1), feature(n, 2), feature(n, 3)],
            )
        })
        .collect()
}

#[test]
fn raw_records_betray_membership_and_clusters_much_less() {
    let (subjects, outside) = (crowd(0), crowd(1_000));
    let made = cluster(&HPO, &subjects, &k(5)).expect("two hundred");
    let against = Against {
        outside: &outside,
        ..ALONE
    };
    let advantage = |made| {
        attacked(&subjects, made, &against)
            .membership
            .expect("enough")
            .advantage
    };
    assert!(advantage(Made::Raw(&made)) > 0.9);
    assert!(advantage(Made::Clusters(&made)) < 0.5);
    // Outsiders who are just like the members: nothing to tell them by.
    let twins: Vec<Subject> = (0..)
        .zip(&subjects)
        .map(|(n, s)| person(5_000 + n, &s.observed))
        .collect();
    let against = Against {
        outside: &twins,
        ..ALONE
    };
    let found = attacked(&subjects, Made::Raw(&made), &against)
        .membership
        .expect("enough");
    assert!(
        near(found.auc, 0.5) && near(found.advantage, 0.0),
        "{found:?}"
    );
}

#[test]
fn a_diagnosis_is_disclosed_beyond_what_outsiders_risk_by_raw_records_only() {
    let diagnosed = |first: u32| -> Vec<Subject> {
        let of = |(n, s): (usize, Subject)| Subject {
            diagnosis: Some(disease(n % 4)),
            ..s
        };
        crowd(first).into_iter().enumerate().map(of).collect()
    };
    let (subjects, outside) = (diagnosed(0), diagnosed(1_000));
    let made = cluster(&HPO, &subjects, &k(5)).expect("fifty of each");
    let against = Against {
        outside: &outside,
        ..ALONE
    };
    let beyond = |made| {
        attacked(&subjects, made, &against)
            .disclosure
            .expect("enough")
            .beyond
    };
    // Features say nothing of the disease here: what is named right is read off the person's row.
    assert!(beyond(Made::Raw(&made)) > 0.5);
    assert!(beyond(Made::Clusters(&made)) < beyond(Made::Raw(&made)) / 2.0);
}

#[test]
fn a_table_is_the_same_for_the_same_seed_and_reads_back() {
    let (subjects, outside) = (crowd(0), crowd(1_000));
    let made = cluster(&HPO, &subjects, &k(5)).expect("two hundred");
    let against = Against {
        outside: &outside,
        earlier: &[],
        targets: 50,
    };
    let table = attacked(&subjects, Made::Clusters(&made), &against);
    assert_eq!(table, attacked(&subjects, Made::Clusters(&made), &against));
    let text = serde_json::to_string(&table).expect("JSON");
    let back: AttackTable = serde_json::from_str(&text).expect("reads back");
    assert_eq!(back.linkage.len(), table.linkage.len());
    let other = attack(
        &HPO,
        &subjects,
        Made::Clusters(&made),
        &against,
        8,
        &Limits::default(),
    );
    assert_ne!(table.linkage, other.linkage);
}

#[test]
fn what_was_not_measured_did_not_hold() {
    let subjects = crowd(0);
    let made = cluster(&HPO, &subjects, &k(5)).expect("two hundred");
    let table = attacked(&subjects, Made::Clusters(&made), &ALONE);
    for name in ["membership", "disclosure", "differencing", "alone"] {
        let verdict = table
            .verdicts
            .iter()
            .find(|v| v.attack == name)
            .expect("listed");
        assert!(!verdict.held && verdict.measured.is_none());
    }
}
