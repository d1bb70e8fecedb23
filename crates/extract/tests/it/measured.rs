//! The measurement itself, on made-up people.

use crate::{HPO, ONTOLOGY, k, mixed, person};
use extract::{
    Knows, Limits, Subject, cluster,
    measure::{How, Person, crowd, measure, rehearse, spread},
};
use ontology::{DiseaseIx, TermIx};

/// Nine people of each of twelve diseases, each with about half of its features.
fn people() -> Vec<Person> {
    let features = |disease| -> Vec<TermIx> {
        let lines = ONTOLOGY.disease(disease).annotations().iter();
        let terms = lines.filter(|line| !line.excluded && HPO.is_phenotypic(line.term));
        terms.map(|line| line.term).collect()
    };
    let rich = |&disease: &DiseaseIx| (12..30).contains(&features(disease).len());
    let diseases = ONTOLOGY.diseases().filter(rich).step_by(40).take(12);
    let mut people = Vec::new();
    for disease in diseases {
        for at in 0..9_u32 {
            let number = u32::try_from(people.len()).expect("few");
            let mut observed = features(disease);
            let keeps = |n: u32| (n * 7 + at * 5 + n * at) % 9 < 5;
            let mut place = 0..;
            observed.retain(|_| place.next().is_some_and(keeps));
            people.push(Person {
                subject: Subject {
                    diagnosis: Some(ONTOLOGY.disease(disease).id()),
                    ..person(number, &observed)
                },
                family: spread(&number.to_string()),
            });
        }
    }
    people
}

#[test]
fn a_crowd_is_the_same_for_the_same_seed() {
    let people = crowd(&HPO, 300, 3);
    assert_eq!(people.len(), 300);
    assert!(people == crowd(&HPO, 300, 3) && people != crowd(&HPO, 300, 4));
    let made = cluster(&HPO, &people, &mixed(5)).expect("three hundred");
    assert!(made.size() > 200 && made.kept.recall > 0.1);
}

#[test]
fn clusters_are_linked_less_than_records_and_still_diagnose() {
    let people = people();
    assert!(people.len() > 60, "{}", people.len());
    let how = How {
        config: k(3),
        limits: Limits::default(),
        targets: 200,
        seed: 1,
    };
    let found = measure(&HPO, &people, &how).expect("enough");
    let three = |row: &extract::measure::Row| {
        let linkage = row.attacks.linkage(Knows::Terms(3)).expect("measured");
        (linkage.rate, linkage.unique_and_correct)
    };
    let ((raw, _), (clusters, unique)) = (three(&found.raw), three(&found.clusters));
    assert!(raw > 0.3 && clusters < raw / 2.0, "{raw} {clusters}");
    assert!(unique.abs() < f64::EPSILON);
    assert!(found.raw.by_person.top1 > 0.9, "{:?}", found.raw.by_person);
    assert!(
        found.clusters.by_person.top1 > 0.6,
        "{:?}",
        found.clusters.by_person
    );
    assert!(found.clusters.kept.recall < found.raw.kept.recall);
    assert_eq!(found, measure(&HPO, &people, &how).expect("enough"));
}

#[test]
fn a_rehearsal_measures_what_a_release_alone_cannot() {
    let subjects: Vec<Subject> = people().into_iter().map(|p| p.subject).collect();
    let how = How {
        config: k(3),
        limits: Limits::default(),
        targets: 200,
        seed: 4,
    };
    let found = rehearse(&HPO, &subjects, &how).expect("enough");
    assert!(found.attacks.membership.is_some() && found.attacks.disclosure.is_some());
    assert!(found.clusters.people > 10 && found.clusters.people == found.raw.people);
    assert!(found.clusters.top1 <= found.raw.top1 && found.clusters.top1 > 0.5);
    // Neither order nor anything but the people and the seed matters.
    let turned: Vec<Subject> = subjects.iter().rev().cloned().collect();
    assert_eq!(found, rehearse(&HPO, &turned, &how).expect("enough"));
    let other = rehearse(&HPO, &subjects, &How { seed: 5, ..how }).expect("enough");
    assert_ne!(found, other);
    assert!(rehearse(&HPO, &subjects[..2], &how).is_err());
}
