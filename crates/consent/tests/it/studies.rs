//! Studies and conditions of use of the small world, and strategies for them.

use crate::world::{CUSTODIAN, LAST, OTHER, STUDY, THIRD, at, person};
use codec::{Category, InstitutionId, StudyId};
use consent::{
    Clause, Condition, Country, Curie, DataUse, EthicsApproval, Label, Limits, Modifier,
    Organisation, Period, Permission, PractitionerAt, Purpose, Reason, ResearchType, Sensitive,
    Signature, Study, StudyFacts, StudyUse, Topic,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn curie(text: &str) -> Curie {
    Curie::new(text).unwrap()
}

pub(crate) fn country(text: &str) -> Country {
    Country::new(text).unwrap()
}

pub(crate) fn someone(institution: InstitutionId, who: u8) -> PractitionerAt {
    PractitionerAt {
        institution,
        practitioner: person(who),
    }
}

/// D:2 and D:3 are within D:1; D:4 stands alone; nobody knows D:9.
pub(crate) fn ancestors() -> BTreeMap<Curie, BTreeSet<Curie>> {
    let within =
        |term: &str, above: &[&str]| (curie(term), above.iter().map(|a| curie(a)).collect());
    [
        within("D:1", &[]),
        within("D:2", &["D:1"]),
        within("D:3", &["D:1"]),
        within("D:4", &[]),
    ]
    .into()
}

pub(crate) fn lookup(term: &Curie) -> Option<BTreeSet<Curie>> {
    ancestors().remove(term)
}

/// Keeps every condition there is, if it asks for what the permission allows.
pub(crate) fn study_use() -> StudyUse {
    StudyUse {
        study: STUDY,
        research: [ResearchType::Disease].into(),
        diseases: [curie("D:2")].into(),
        genetic: true,
        commercial: false,
        organisation: Organisation::NonProfit,
        institutions: [OTHER].into(),
        users: [someone(OTHER, 0)].into(),
        countries: [country("DE")].into(),
        ethics: Some(EthicsApproval {
            committee: Label::new("Board of Exampleton").unwrap(),
            reference: Label::new("2026/17").unwrap(),
        }),
        publishes_from: Some(at(9)),
        collaborates: true,
        returns: true,
        period: Period {
            from: at(0),
            until: at(LAST),
        },
        sensitive: BTreeSet::new(),
        other: None,
    }
}

pub(crate) fn study() -> Study {
    Study {
        title: Label::new("Rare Bones").unwrap(),
        summary: Reason::new("How rare diseases of bones run.\nOver ten years.").unwrap(),
        institution: OTHER,
        declared: study_use(),
        purposes: [Purpose::Hresch, Purpose::Dsrch].into(),
        categories: [Category::Phenotype, Category::Laboratory].into(),
        limits: Limits {
            k: 5,
            linked_per_mille: 50,
        },
        proposed: Signature {
            by: someone(OTHER, 0),
            at: at(0),
        },
        approvals: vec![],
        agreement: None,
    }
}

/// Open, known and approved here.
pub(crate) fn approved(study: Study) -> StudyFacts {
    StudyFacts {
        active: true,
        study: Some(study),
        approval: Some(Signature {
            by: someone(CUSTODIAN, 4),
            at: at(0),
        }),
        accepted: BTreeSet::new(),
        ancestors: ancestors(),
    }
}

fn some_diseases() -> impl Strategy<Value = BTreeSet<Curie>> {
    btree_set(select(vec!["D:1", "D:2", "D:3", "D:4", "D:9"]), 1..3)
        .prop_map(|terms| terms.into_iter().map(curie).collect())
}

fn some<T: Ord + Clone + std::fmt::Debug + 'static>(
    of: Vec<T>,
) -> impl Strategy<Value = BTreeSet<T>> {
    let most = of.len();
    btree_set(select(of), 1..=most)
}

fn countries() -> Vec<Country> {
    vec![country("DE"), country("FR")]
}

fn users() -> Vec<PractitionerAt> {
    vec![someone(OTHER, 0), someone(OTHER, 1)]
}

fn topics() -> impl Strategy<Value = Topic> {
    select(vec!["bones", "hearts"]).prop_map(|topic| Topic::new(topic).unwrap())
}

pub(crate) fn permissions() -> impl Strategy<Value = Permission> {
    prop_oneof![
        1 => Just(Permission::GeneralResearch),
        1 => Just(Permission::HealthResearch),
        2 => some_diseases().prop_map(Permission::Diseases),
        1 => Just(Permission::Ancestry),
    ]
}

pub(crate) fn modifiers() -> impl Strategy<Value = Modifier> {
    let period = (0..4u64, LAST - 2..LAST + 3).prop_map(|(from, until)| Period {
        from: at(from),
        until: at(until),
    });
    prop_oneof![
        topics().prop_map(Modifier::Topic),
        Just(Modifier::NoMethods),
        Just(Modifier::GeneticOnly),
        Just(Modifier::NonProfitOrganisation),
        Just(Modifier::Publication),
        Just(Modifier::Collaboration),
        Just(Modifier::EthicsApproval),
        some(countries()).prop_map(Modifier::Countries),
        (6..12u64).prop_map(|day| Modifier::Moratorium(at(day))),
        period.prop_map(Modifier::Within),
        some(users()).prop_map(Modifier::Users),
        some(vec![STUDY, StudyId::new([8; 16])]).prop_map(Modifier::Studies),
        some(vec![OTHER, THIRD]).prop_map(Modifier::Institutions),
        Just(Modifier::Return),
        Just(Modifier::ClinicalCare),
        Just(Modifier::NonCommercial),
        Just(Modifier::NonProfitNonCommercial),
        Just(Modifier::NoAncestry),
    ]
}

pub(crate) fn clauses() -> impl Strategy<Value = Clause> {
    let bound = (permissions(), vec(modifiers(), 0..3)).prop_map(|(permission, all)| {
        let mut modifiers: BTreeMap<_, Modifier> = BTreeMap::new();
        for modifier in all {
            modifiers.insert(modifier.duo(), modifier);
        }
        if permission == Permission::Ancestry {
            modifiers.remove(&consent::Duo::Npoa);
        }
        Clause {
            permission,
            modifiers: modifiers.into_values().collect(),
        }
    });
    let free = Just(Clause {
        permission: Permission::NoRestriction,
        modifiers: BTreeSet::new(),
    });
    prop_oneof![12 => bound, 1 => free]
}

pub(crate) fn data_uses() -> impl Strategy<Value = DataUse> {
    btree_set(clauses(), 1..3).prop_map(|clauses| DataUse { clauses })
}

pub(crate) fn study_uses() -> impl Strategy<Value = StudyUse> {
    let research = btree_set(select(ResearchType::ALL.to_vec()), 0..3);
    let mostly = || proptest::bool::weighted(0.8);
    (
        (research, some_diseases()),
        (mostly(), mostly(), mostly()),
        (some(countries()), some(users()), mostly()),
        (mostly(), mostly(), mostly()),
        proptest::option::weighted(0.8, 5..12u64),
        (0..5u64, LAST - 1..LAST + 3),
        btree_set(select(Sensitive::ALL.to_vec()), 0..2),
        proptest::option::weighted(0.1, topics()),
    )
        .prop_map(
            |(
                (research, diseases),
                (genetic, free, non_profit),
                (countries, users, one_place),
                (ethics, collaborates, returns),
                publishes,
                (from, until),
                sensitive,
                other,
            )| {
                let mut study = study_use();
                if !research.contains(&ResearchType::Disease) {
                    study.diseases.clear();
                } else {
                    study.diseases = diseases;
                }
                study.research = research;
                study.genetic = genetic;
                study.commercial = !free;
                if !non_profit {
                    study.organisation = Organisation::ForProfit;
                }
                study.countries = countries;
                study.users = users;
                if !one_place {
                    study.institutions.insert(THIRD);
                }
                if !ethics {
                    study.ethics = None;
                }
                study.collaborates = collaborates;
                study.returns = returns;
                study.publishes_from = publishes.map(at);
                study.period.from = at(from);
                study.period.until = at(until);
                study.sensitive = sensitive;
                study.other = other;
                study
            },
        )
}

pub(crate) fn conditions() -> impl Strategy<Value = Condition> {
    prop_oneof![
        topics().prop_map(Condition::Topic),
        Just(Condition::ResearchNotNamed),
        select(Sensitive::ALL.to_vec()).prop_map(Condition::Sensitive),
        topics().prop_map(Condition::Other),
    ]
}

pub(crate) fn study_facts() -> impl Strategy<Value = StudyFacts> {
    let mostly = || proptest::bool::weighted(0.85);
    (
        study_uses(),
        (mostly(), mostly(), mostly()),
        btree_set(conditions(), 0..4),
        select(vec![CUSTODIAN, CUSTODIAN, CUSTODIAN, OTHER]),
    )
        .prop_map(
            |(declared, (active, known, is_approved), accepted, committee)| {
                let study = Study {
                    declared,
                    ..study()
                };
                let mut facts = approved(study);
                facts.active = active;
                facts.accepted = accepted;
                if !known {
                    facts.study = None;
                }
                facts.approval = is_approved.then(|| Signature {
                    by: someone(committee, 4),
                    at: at(0),
                });
                facts
            },
        )
}
