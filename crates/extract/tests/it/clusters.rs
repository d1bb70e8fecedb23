//! What every extract keeps to, whoever is in it.

use crate::{DISEASES, HPO, LEAVES, ONTOLOGY, disease, has, ids, k, lacks, mixed, person, term};
use extract::{
    AgeBand, Because, Cohort, Config, Diagnoses, Diversity, Extract, Refusal, Release, Share,
    Subject, cluster,
};
use ontology::{Sex, TermIx};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn anybody() -> impl Strategy<Value = Vec<Subject>> {
    let terms = prop::collection::vec(0..60_usize, 0..7);
    let rest = (0..3_u8, 0..90_u32, 0..6_usize);
    prop::collection::vec((terms.clone(), terms, rest), 2..90).prop_map(|people| {
        let make = |(number, (observed, excluded, (sex, years, diagnosis))): (u32, _)| {
            let of = |list: Vec<usize>| -> Vec<TermIx> {
                list.into_iter()
                    .map(|at| LEAVES[at * 37 % LEAVES.len()])
                    .collect()
            };
            let observed: Vec<TermIx> = of(observed);
            Subject {
                excluded: of(excluded),
                sex: [None, Some(Sex::Female), Some(Sex::Male)][usize::from(sex)],
                age: (years < 80).then(|| AgeBand::of_years(years)),
                diagnosis: (diagnosis < DISEASES.len()).then(|| disease(diagnosis)),
                ..person(number, &observed)
            }
        };
        (0..).zip(people).map(make).collect()
    })
}

fn configs() -> impl Strategy<Value = Config> {
    let diversity = (2..4_u32, 30..80_u32, 0..5_u32).prop_map(|(l, share, merge_to)| {
        Cohort::Mixed(Diversity {
            l,
            dominance_percent: share,
            merge_to,
        })
    });
    let cohort = prop_oneof![Just(Cohort::Diagnosis), diversity];
    (2..8_u32, 100..300_u32, cohort).prop_map(|(k, size_percent, cohort)| Config {
        k,
        size_percent,
        cohort,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_shown_is_true_of_k(subjects in anybody(), config in configs()) {
        let made = match cluster(&HPO, &subjects, &config) {
            Ok(made) => made,
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::TooFew { k: config.k });
                return Ok(());
            }
        };
        check(&subjects, &config, &made);
    }

    #[test]
    fn the_order_of_subjects_does_not_matter(
        subjects in anybody(),
        config in configs(),
        seed in any::<u64>(),
    ) {
        let mut shuffled = subjects.clone();
        shuffled.sort_by_key(|s| s.id.map(|byte| u64::from(byte).wrapping_mul(seed | 1)));
        let (one, other) = (cluster(&HPO, &subjects, &config), cluster(&HPO, &shuffled, &config));
        match (one, other) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(ids(&subjects, &one), ids(&shuffled, &other));
                prop_assert_eq!(one.release(), other.release());
            }
            (one, other) => prop_assert_eq!(one.err(), other.err()),
        }
    }
}

/// Everything that must hold of any extract.
fn check(subjects: &[Subject], config: &Config, made: &Extract) {
    let k = config.k as usize;
    let mut seen = BTreeSet::new();
    for cluster in &made.clusters {
        assert!(cluster.members.len() >= k, "a cluster below k");
        for &member in &cluster.members {
            assert!(seen.insert(member), "in two clusters");
        }
        let members: Vec<&Subject> = cluster
            .members
            .iter()
            .map(|&m| &subjects[m as usize])
            .collect();
        let count = |test: &dyn Fn(&Subject) -> bool| members.iter().filter(|m| test(m)).count();
        let profile = &cluster.profile;
        let said = |shown: &[extract::Shown], true_of: fn(&Subject, TermIx) -> bool| {
            let terms: Vec<_> = shown
                .iter()
                .map(|s| ONTOLOGY.live(s.term).expect("live"))
                .collect();
            for (&term, shown) in terms.iter().zip(shown) {
                let n = count(&|s| true_of(s, term));
                assert!(n >= k, "shown of {n} of {}", members.len());
                assert_eq!(shown.share == Share::NearlyAll, n * 5 >= members.len() * 4);
            }
            let all = count(&|s| terms.iter().all(|&t| true_of(s, t)));
            assert!(terms.is_empty() || all != 1, "the whole fits one alone");
        };
        said(&profile.observed, has);
        said(&profile.excluded, lacks);
        assert_eq!(profile.female, count(&|s| s.sex == Some(Sex::Female)) >= k);
        assert_eq!(profile.male, count(&|s| s.sex == Some(Sex::Male)) >= k);
        if let Some((first, last)) = profile.ages {
            assert!(count(&|s| s.age.is_some_and(|a| a >= first && a <= last)) >= k);
        }
        assert!(
            profile.at_least as usize <= members.len()
                && (profile.at_least as usize).is_multiple_of(k)
        );
        match (&profile.diagnoses, config.cohort) {
            (Diagnoses::Cohort(one), Cohort::Diagnosis) => {
                assert_eq!(count(&|s| s.diagnosis == Some(*one)), members.len());
            }
            (Diagnoses::Among(among), Cohort::Mixed(diversity)) => {
                assert!(among.len() >= diversity.l as usize);
                for &one in among {
                    let here = count(&|s| s.diagnosis == Some(one));
                    assert!(
                        here > 0
                            && here * 100 <= members.len() * diversity.dominance_percent as usize
                    );
                    let released = made.clusters.iter().flat_map(|c| &c.members);
                    let all = released.filter(|&&m| subjects[m as usize].diagnosis == Some(one));
                    assert!(all.count() >= k, "a diagnosis of fewer than k");
                }
            }
            (Diagnoses::Withheld, Cohort::Mixed(_)) => {}
            _ => panic!("diagnoses that do not go with the cohort"),
        }
    }
    for left in &made.left_out {
        assert!(seen.insert(left.subject), "left out and in a cluster");
    }
    assert_eq!(seen.len(), subjects.len(), "somebody is lost");
}

#[test]
fn a_planted_term_never_leaves() {
    let shared = [term("HP:0001250"), term("HP:0001263"), term("HP:0001252")];
    let rare = LEAVES[500];
    for holders in 0..5_u32 {
        let mut subjects: Vec<Subject> = (0..60).map(|n| person(n, &shared)).collect();
        for planted in 0..holders as usize {
            subjects[planted * 7].observed.push(rare);
            subjects[planted * 7].excluded.push(LEAVES[900]);
        }
        let made = cluster(&HPO, &subjects, &k(5)).expect("enough");
        for profile in made.release().profiles {
            for shown in profile.observed.iter().chain(&profile.excluded) {
                let shown = ONTOLOGY.live(shown.term).expect("live");
                let planted = ONTOLOGY.is_a(rare, shown) || shown == LEAVES[900];
                let common = shared.iter().any(|&s| ONTOLOGY.is_a(s, shown));
                assert!(common || !planted, "{:?}", ONTOLOGY.term(shown).id());
            }
        }
    }
}

#[test]
fn what_k_share_is_shown_as_narrowly_as_they_share_it() {
    // Five kinds of seizure, one each: the broadest thing they share is what is shown.
    let seizure = term("HP:0001250");
    let kinds: Vec<TermIx> = ONTOLOGY
        .descendants(seizure)
        .iter()
        .skip(1)
        .map(|d| d.0)
        .collect();
    let leaf = |t: &&TermIx| ONTOLOGY.descendants(**t).len() == 1;
    let kinds: Vec<TermIx> = kinds.iter().filter(leaf).copied().take(5).collect();
    let subjects: Vec<Subject> = (0..5).map(|n| person(n, &[kinds[n as usize]])).collect();
    let made = cluster(&HPO, &subjects, &k(5)).expect("five");
    let shown: Vec<TermIx> = (made.clusters[0].profile.observed.iter())
        .map(|s| ONTOLOGY.live(s.term).expect("live"))
        .collect();
    assert!(
        shown.iter().any(|&t| ONTOLOGY.is_a(t, seizure)),
        "not even seizure"
    );
    assert!(
        shown.iter().all(|t| !kinds.contains(t)),
        "somebody's own kind"
    );
}

#[test]
fn fewer_than_k_are_refused() {
    let people = |n: u32| -> Vec<Subject> { (0..n).map(|n| person(n, &[LEAVES[7]])).collect() };
    for wanted in [2, 5, 11] {
        for config in [k(wanted), mixed(wanted)] {
            let made = cluster(&HPO, &people(wanted - 1), &config);
            assert_eq!(made.err(), Some(Refusal::TooFew { k: wanted }));
            assert_eq!(
                cluster(&HPO, &[], &config).err(),
                Some(Refusal::TooFew { k: wanted })
            );
            let made = cluster(&HPO, &people(wanted), &config).expect("enough");
            assert_eq!(made.size(), wanted as usize);
        }
    }
}

#[test]
fn a_diagnosis_of_fewer_than_k_is_left_out_and_counted() {
    let mut subjects: Vec<Subject> = (0..9).map(|n| person(n, &[LEAVES[7]])).collect();
    for subject in &mut subjects[5..] {
        subject.diagnosis = Some(disease(1));
    }
    subjects[8].diagnosis = None;
    subjects.push(person(9, &[]));
    let made = cluster(&HPO, &subjects, &k(4)).expect("five of the first");
    assert_eq!(made.size(), 5);
    let why: Vec<_> = made
        .left_out
        .iter()
        .map(|l| (l.subject, l.because))
        .collect();
    assert_eq!(
        why,
        [
            (5, Because::TooFewAlike),
            (6, Because::TooFewAlike),
            (7, Because::TooFewAlike),
            (8, Because::NoDiagnosis),
            (9, Because::NoFeature),
        ]
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let subjects: Vec<Subject> = (0..9).map(|n| person(n, &[LEAVES[7]])).collect();
    for config in [
        k(0),
        k(1),
        Config {
            size_percent: 99,
            ..k(5)
        },
        Config {
            cohort: Cohort::Mixed(Diversity {
                l: 1,
                ..Diversity::default()
            }),
            ..k(5)
        },
    ] {
        assert_eq!(
            cluster(&HPO, &subjects, &config).err(),
            Some(Refusal::Config)
        );
    }
    let mut twice = subjects.clone();
    twice.push(subjects[3].clone());
    assert_eq!(cluster(&HPO, &twice, &k(5)).err(), Some(Refusal::SameId));
    let mut many = subjects;
    many[0].excluded = vec![LEAVES[0]; extract::MAX_TERMS];
    assert_eq!(cluster(&HPO, &many, &k(5)).err(), Some(Refusal::TooMany));
}

#[test]
fn diagnoses_of_a_mixed_cohort_are_told_only_where_they_differ() {
    let made = |of: &dyn Fn(u32) -> usize, config: &Config| {
        let subjects: Vec<Subject> = (0..40)
            .map(|n| Subject {
                diagnosis: Some(disease(of(n))),
                ..person(n, &[LEAVES[(n as usize / 10) * 50]])
            })
            .collect();
        cluster(&HPO, &subjects, config).expect("forty")
    };
    let withheld = |made: &Extract| {
        let told = |c: &&extract::Cluster| c.profile.diagnoses != Diagnoses::Withheld;
        made.clusters.len() - made.clusters.iter().filter(told).count()
    };
    // Alike features, alike diagnoses: nothing is told.
    let alike = made(&|n| n as usize / 10, &mixed(5));
    assert_eq!(withheld(&alike), alike.clusters.len());
    // Alike features, all four diagnoses.
    let diverse = made(&|n| n as usize % 4, &mixed(5));
    assert_eq!(withheld(&diverse), 0);
    // Merged until they differ.
    let merging = Cohort::Mixed(Diversity {
        merge_to: 8,
        ..Diversity::default()
    });
    let merged = made(
        &|n| n as usize / 10,
        &Config {
            cohort: merging,
            ..mixed(5)
        },
    );
    assert!(withheld(&merged) < merged.clusters.len());
    assert!(merged.clusters.len() < alike.clusters.len());
}

#[test]
fn a_release_says_nothing_of_members_and_reads_back() {
    let subjects: Vec<Subject> = (0..30)
        .map(|n| person(n, &[LEAVES[7], LEAVES[100 + n as usize % 3]]))
        .collect();
    for config in [k(5), mixed(5)] {
        let made = cluster(&HPO, &subjects, &config).expect("thirty");
        let text = serde_json::to_string(&made.release()).expect("JSON");
        assert!(!text.contains("members") && !text.contains("left"));
        let back: Release = serde_json::from_str(&text).expect("reads back");
        assert_eq!(back, made.release());
        let whole = serde_json::to_string(&made).expect("JSON");
        let whole: Extract = serde_json::from_str(&whole).expect("reads back");
        assert!(whole.clusters == made.clusters && whole.left_out == made.left_out);
    }
    assert_eq!(format!("{:?}", subjects[0]), "<redacted>");
}
