//! The measurement itself, on made-up people.

use crate::{HPO, ONTOLOGY, k};
use extract::{
    Knows, Limits, Subject,
    measure::{How, Person, crowd, measure},
};
use std::collections::BTreeMap;

/// Made-up people of the twelve diseases that most of a crowd have.
fn people() -> Vec<Person> {
    let mut by: BTreeMap<_, Vec<Subject>> = BTreeMap::new();
    for subject in crowd(&HPO, 60_000, 3) {
        by.entry(subject.diagnosis).or_default().push(subject);
    }
    let rich = |s: &&Vec<Subject>| s.len() >= 8 && s.iter().all(|s| s.observed.len() > 4);
    let chosen = by.values().filter(rich).take(12).flatten().cloned();
    let family = |s: &Subject| u64::from_be_bytes(s.id[..8].try_into().expect("eight"));
    chosen
        .map(|subject| Person {
            family: family(&subject),
            subject,
        })
        .collect()
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
    assert!(ONTOLOGY.disease_count() > 12);
}
