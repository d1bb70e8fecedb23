//! What a parent reads.

use crate::studies::{country, curie, someone};
use crate::world::*;
use codec::{Category, InstitutionId, Millis, StudyId};
use consent::listing::{GrantStanding, Names, grants, notes};
use consent::{
    ConsentState, Curie, DataUse, Effective, Exception, Facts, Grantee, Modifier, Period,
    Permission, PractitionerAt, PractitionerId, Purpose, Terms, Topic,
};
use std::fmt::Write;

struct Directory;

impl Names for Directory {
    fn institution(&self, id: &InstitutionId) -> Option<String> {
        (*id == OTHER).then(|| "University Hospital Exampleton".to_owned())
    }

    fn practitioner(&self, at: &PractitionerAt) -> Option<String> {
        (at.practitioner == person(1)).then(|| "Dr Sample".to_owned())
    }

    fn study(&self, id: &StudyId) -> Option<String> {
        (*id == STUDY).then(|| "Rare Bones".to_owned())
    }

    fn disease(&self, term: &Curie) -> Option<String> {
        (term.as_str() == "D:1").then(|| "osteogenesis imperfecta".to_owned())
    }
}

fn day(text: &str) -> Millis {
    Millis::from_rfc3339(text).unwrap()
}

fn facts_on(text: &str) -> Facts {
    Facts::new(CUSTODIAN, day(text), Millis::ZERO)
}

fn agreed(terms: &mut Terms) {
    let mut shared = grant(
        1,
        Grantee::Institution(OTHER),
        &[Purpose::Treat, Purpose::Coc],
        &[Category::Phenotype, Category::Genomic, Category::Laboratory],
    );
    shared.exceptions = [
        Exception::Record(record(0)),
        Exception::Record(record(1)),
        Exception::Kind(kind(1)),
        Exception::Practitioner(person(1)),
    ]
    .into();
    let one = Grantee::Practitioner(PractitionerAt {
        institution: THIRD,
        practitioner: PractitionerId::new("j.doe").unwrap(),
    });
    let study = Grantee::Study(STUDY);
    terms.grants = vec![
        shared,
        grant(2, one, &[Purpose::Etreat], &[Category::Vitals]),
        grant(3, study, &[Purpose::Hresch], &[Category::Phenotype]),
    ];
    for grant in &mut terms.grants {
        grant.from = day("2026-03-01T00:00:00Z");
        grant.until = day("2027-03-03T00:00:00Z");
    }
    terms.grants[1].until = day("2026-08-09T14:05:00Z");
    terms.controllers[0].until = Some(day("2031-01-01T00:00:00Z"));
}

fn read(effective: &Effective<'_>, facts: &Facts) -> String {
    let mut text = String::new();
    for line in grants(effective, facts, &Directory) {
        writeln!(text, "[{}] {}", line.standing, line.sentence).unwrap();
    }
    for note in notes(effective, facts) {
        writeln!(text, "- {note}").unwrap();
    }
    text
}

#[test]
fn sentences() {
    let state = state(agreed);
    let mut text = String::new();
    for (name, when) in [
        ("before", "2026-02-28T23:59:59.999Z"),
        ("running", "2026-03-01T00:00:00Z"),
        ("one over", "2026-08-09T14:05:00Z"),
        ("all over", "2032-01-01T00:00:00Z"),
    ] {
        let read = read(&Effective::of(&state), &facts_on(when));
        write!(text, "{name}\n{read}\n").unwrap();
    }
    let when = "2026-05-01T00:00:00Z";
    let restricted = state.next(|t| {
        t.restricted = true;
        t.opted_out = [Purpose::Hresch].into();
        t.assisted = true;
        t.matures = Some(day("2026-05-01T00:00:00Z"));
    });
    let restricted = restricted.unwrap();
    let paused = read(&Effective::of(&restricted), &facts_on(when));
    let closed = Facts {
        closed: true,
        ..facts_on(when)
    };
    let closed = read(&Effective::of(&state), &closed);
    write!(text, "restricted\n{paused}\nclosed\n{closed}").unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn research_in_plain_words() {
    let all = [
        Modifier::Topic(Topic::new("brittle bones").unwrap()),
        Modifier::NoMethods,
        Modifier::GeneticOnly,
        Modifier::NonProfitOrganisation,
        Modifier::Publication,
        Modifier::Collaboration,
        Modifier::EthicsApproval,
        Modifier::Countries([country("DE"), country("FR")].into()),
        Modifier::Moratorium(day("2027-01-01T00:00:00Z")),
        Modifier::Within(Period {
            from: day("2026-01-01T00:00:00Z"),
            until: day("2031-01-01T00:00:00Z"),
        }),
        Modifier::Users([someone(OTHER, 1), someone(THIRD, 2)].into()),
        Modifier::Studies([STUDY, StudyId::new([1; 16])].into()),
        Modifier::Institutions([OTHER].into()),
        Modifier::Return,
        Modifier::NonCommercial,
        Modifier::NonProfitNonCommercial,
        Modifier::NoAncestry,
    ];
    let diseases = || Permission::Diseases([curie("D:1"), curie("D:2")].into());
    let mut either = DataUse::of(diseases(), [Modifier::ClinicalCare]);
    let ancestry = DataUse::of(Permission::Ancestry, [Modifier::NonCommercial]);
    either.clauses.extend(ancestry.clauses);
    let state = state(|terms| {
        terms.grants = [
            DataUse::of(Permission::NoRestriction, []),
            DataUse::of(Permission::HealthResearch, []),
            DataUse::of(Permission::GeneralResearch, all),
            either,
        ]
        .into_iter()
        .zip(1..)
        .map(|(data, n)| {
            let to = Grantee::Research(data);
            grant(n, to, &[Purpose::Hresch], &[Category::Phenotype])
        })
        .collect();
        for grant in &mut terms.grants {
            grant.until = day("2027-03-03T00:00:00Z");
        }
        terms.grants[1].exceptions = [Exception::Practitioner(person(1))].into();
    });
    let facts = facts_on("2026-05-01T00:00:00Z");
    insta::assert_snapshot!(read(&Effective::of(&state), &facts));
    let lines = grants(&Effective::of(&state), &facts, &Directory);
    let conditions: Vec<usize> = lines.iter().map(|line| line.conditions.len()).collect();
    assert_eq!(conditions, [1, 1, 1, 2]);
}

#[test]
fn changes_that_wait() {
    let old = state(agreed);
    let new = old
        .next(|t| {
            t.grants.remove(2);
            t.grants[0].until = day("2026-12-01T00:00:00Z");
            t.grants[1].categories.insert(Category::Documents);
            let to = Grantee::Institution(OTHER);
            let mut fresh = grant(4, to, &[Purpose::Hpaymt], &[Category::Identity]);
            fresh.until = day("2027-01-01T10:00:00Z");
            t.grants.push(fresh);
        })
        .unwrap();
    let pending = [new];
    let effective = Effective {
        finalised: &old,
        pending: &pending,
    };
    let facts = facts_on("2026-05-01T00:00:00Z");
    insta::assert_snapshot!(read(&effective, &facts));
    let standings: Vec<GrantStanding> = grants(&effective, &facts, &Directory)
        .iter()
        .map(|line| line.standing)
        .collect();
    use GrantStanding::{Awaiting, Changing, InForce, Withdrawn};
    assert_eq!(standings, [InForce, Changing, Withdrawn, Awaiting]);
}

#[test]
fn a_line_is_for_the_family_and_not_for_the_log() {
    let state: ConsentState = state(agreed);
    let facts = facts_on("2026-05-01T00:00:00Z");
    let lines = grants(&Effective::of(&state), &facts, &Directory);
    let debug = format!("{lines:?}");
    assert!(!debug.contains("Exampleton") && !debug.contains("genetic"));
    let json = serde_json::to_string(&lines).unwrap();
    assert!(json.contains("University Hospital Exampleton"));
}
