//! Conditions of use: their rules, their one encoding, their order, what they mean for a study.

use crate::studies::*;
use crate::world::{LAST, OTHER, STUDY, at};
use codec::{Millis, StudyId, from_slice, to_vec};
use consent::{
    Clause, Condition, DataUse, Duo, InvalidDataUse, Modifier, Organisation, Outcome, Period,
    Permission, ResearchType, StudyUse, Topic, match_use,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every permission and modifier there is.
fn full() -> DataUse {
    let all = [
        Modifier::Topic(Topic::new("bones").unwrap()),
        Modifier::NoMethods,
        Modifier::GeneticOnly,
        Modifier::NonProfitOrganisation,
        Modifier::Publication,
        Modifier::Collaboration,
        Modifier::EthicsApproval,
        Modifier::Countries([country("DE"), country("FR")].into()),
        Modifier::Moratorium(at(7)),
        Modifier::Within(Period {
            from: at(1),
            until: at(LAST),
        }),
        Modifier::Users([someone(OTHER, 0)].into()),
        Modifier::Studies([STUDY].into()),
        Modifier::Institutions([OTHER].into()),
        Modifier::Return,
        Modifier::ClinicalCare,
        Modifier::NonCommercial,
        Modifier::NonProfitNonCommercial,
        Modifier::NoAncestry,
    ];
    let mut full = DataUse::of(
        Permission::Diseases([curie("D:1"), curie("MONDO:0009861")].into()),
        all,
    );
    for permission in [
        Permission::NoRestriction,
        Permission::GeneralResearch,
        Permission::HealthResearch,
        Permission::Ancestry,
    ] {
        full.clauses.extend(DataUse::of(permission, []).clauses);
    }
    full
}

#[test]
fn golden_bytes() {
    let full = full();
    full.validate().unwrap();
    let duos: BTreeSet<Duo> = full
        .clauses
        .iter()
        .flat_map(|c| {
            c.modifiers
                .iter()
                .map(Modifier::duo)
                .chain([c.permission.duo()])
        })
        .collect();
    assert_eq!(duos, Duo::ALL.iter().copied().collect());
    insta::assert_snapshot!(codec::hex::encode(&to_vec(&full)));
    insta::assert_snapshot!(serde_json::to_string_pretty(&full).unwrap());
    assert_eq!(from_slice::<DataUse>(&to_vec(&full)).unwrap(), full);
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<DataUse>(&json).unwrap(), full);
}

#[test]
fn other_bytes_are_refused_or_other_conditions() {
    let full = full();
    let bytes = to_vec(&full);
    for i in 0..bytes.len() {
        assert!(from_slice::<DataUse>(&bytes[..i]).is_err());
        for flip in [1u8, 0x20, 0x80] {
            let mut mutated = bytes.clone();
            mutated[i] ^= flip;
            if let Ok(other) = from_slice::<DataUse>(&mutated) {
                assert_ne!(other, full, "byte {i}");
                assert_eq!(to_vec(&other), mutated);
            }
        }
    }
}

#[test]
fn rules() {
    let check = |permission: Permission, modifiers: &[Modifier], expect| {
        let data = DataUse::of(permission, modifiers.iter().cloned());
        assert_eq!(data.validate().err(), expect, "{data:?}");
    };
    let gru = || Permission::GeneralResearch;
    let diseases =
        |n: usize| Permission::Diseases((0..n).map(|n| curie(&format!("D:{n}"))).collect());
    let within = |from, until| {
        Modifier::Within(Period {
            from: at(from),
            until: Millis::new(until),
        })
    };
    let late = 253_402_300_800_000;
    check(gru(), &[], None);
    check(diseases(0), &[], Some(InvalidDataUse::Empty(Duo::Ds)));
    check(diseases(32), &[], None);
    check(diseases(33), &[], Some(InvalidDataUse::TooMany(Duo::Ds)));
    let nowhere = Modifier::Countries(BTreeSet::new());
    check(gru(), &[nowhere], Some(InvalidDataUse::Empty(Duo::Gs)));
    let nobody = Modifier::Users(BTreeSet::new());
    check(gru(), &[nobody], Some(InvalidDataUse::Empty(Duo::Us)));
    let nothing = Modifier::Studies(BTreeSet::new());
    check(gru(), &[nothing], Some(InvalidDataUse::Empty(Duo::Ps)));
    let none = Modifier::Institutions(BTreeSet::new());
    check(gru(), &[none], Some(InvalidDataUse::Empty(Duo::Is)));
    let many = (0..33).map(|n| StudyId::new([n; 16])).collect();
    let many = Modifier::Studies(many);
    check(gru(), &[many], Some(InvalidDataUse::TooMany(Duo::Ps)));
    check(gru(), &[within(1, 2)], None);
    let period = Some(InvalidDataUse::Period(Duo::Ts));
    check(gru(), &[within(2, 2)], period);
    check(gru(), &[within(2, late)], period);
    check(gru(), &[within(2, late - 1)], None);
    let late = Modifier::Moratorium(Millis::new(late));
    check(gru(), &[late], Some(InvalidDataUse::Period(Duo::Mor)));
    let twice = [
        Modifier::Moratorium(at(1)),
        Modifier::Return,
        Modifier::Moratorium(at(2)),
    ];
    check(gru(), &twice, Some(InvalidDataUse::Twice(Duo::Mor)));
    let free = Permission::NoRestriction;
    let both = InvalidDataUse::Contradiction(Duo::Nres, Duo::Cc);
    check(free, &[Modifier::ClinicalCare], Some(both));
    let both = InvalidDataUse::Contradiction(Duo::Poa, Duo::Npoa);
    check(Permission::Ancestry, &[Modifier::NoAncestry], Some(both));
    let clauses = |n: u64| DataUse {
        clauses: (0..n)
            .map(|day| Clause {
                permission: gru(),
                modifiers: [Modifier::Moratorium(at(day))].into(),
            })
            .collect(),
    };
    assert_eq!(clauses(0).validate(), Err(InvalidDataUse::NoClause));
    assert_eq!(clauses(5).validate(), Ok(()));
    assert_eq!(clauses(6).validate(), Err(InvalidDataUse::TooManyClauses));
}

#[test]
fn debug_tells_no_disease_and_no_topic() {
    let debug = format!("{:?}", full());
    assert!(
        !debug.contains("0009861") && !debug.contains("bones"),
        "{debug}"
    );
}

/// What one condition comes to for a study that keeps every condition, and for one that was changed.
#[test]
fn each_condition_by_itself() {
    let check = |modifier: Modifier, edit: &dyn Fn(&mut StudyUse), kept: Outcome, not: Outcome| {
        let data = DataUse::of(Permission::HealthResearch, [modifier.clone()]);
        let study = study_use();
        let mut changed = study.clone();
        edit(&mut changed);
        let with = |study: &StudyUse| match_use(&data, study, &lookup);
        assert_eq!(with(&study).outcome, kept, "{modifier:?}");
        assert_eq!(with(&changed).outcome, not, "{modifier:?}, changed");
        // Without the condition, the change does not matter.
        let free = DataUse::of(Permission::GeneralResearch, []);
        assert_eq!(
            match_use(&free, &changed, &lookup).outcome,
            Outcome::Permitted
        );
        if not == Outcome::Denied {
            assert_eq!(with(&changed).broken(), [modifier.duo()].into());
        }
    };
    use Outcome::{Denied, ForAPerson, Permitted};
    let denied = |modifier, edit: &dyn Fn(&mut StudyUse)| check(modifier, edit, Permitted, Denied);
    let topic = Topic::new("bones").unwrap();
    check(Modifier::Topic(topic), &|_| {}, ForAPerson, ForAPerson);
    denied(Modifier::NoMethods, &|s| {
        s.research.insert(ResearchType::Methods);
    });
    denied(Modifier::GeneticOnly, &|s| s.genetic = false);
    denied(Modifier::NonProfitOrganisation, &|s| {
        s.organisation = Organisation::ForProfit;
    });
    check(
        Modifier::NonProfitOrganisation,
        &|s| s.commercial = true,
        Permitted,
        Permitted,
    );
    denied(Modifier::NonCommercial, &|s| s.commercial = true);
    check(
        Modifier::NonCommercial,
        &|s| s.organisation = Organisation::ForProfit,
        Permitted,
        Permitted,
    );
    denied(Modifier::NonProfitNonCommercial, &|s| s.commercial = true);
    denied(Modifier::NonProfitNonCommercial, &|s| {
        s.organisation = Organisation::ForProfit;
    });
    denied(Modifier::Publication, &|s| s.publishes_from = None);
    denied(Modifier::Collaboration, &|s| s.collaborates = false);
    denied(Modifier::EthicsApproval, &|s| s.ethics = None);
    denied(Modifier::Return, &|s| s.returns = false);
    let germany = || Modifier::Countries([country("DE")].into());
    denied(germany(), &|s| {
        s.countries.insert(country("FR"));
    });
    denied(germany(), &|s| s.countries.clear());
    denied(Modifier::Moratorium(at(9)), &|s| {
        s.publishes_from = Some(at(8))
    });
    check(
        Modifier::Moratorium(at(9)),
        &|s| s.publishes_from = None,
        Permitted,
        Permitted,
    );
    let period = Period {
        from: at(0),
        until: at(LAST),
    };
    denied(Modifier::Within(period), &|s| s.period.until = at(LAST + 1));
    let later = Modifier::Within(Period {
        from: at(1),
        ..period
    });
    check(later, &|s| s.period.from = at(1), Denied, Permitted);
    let users = || Modifier::Users([someone(OTHER, 0)].into());
    denied(users(), &|s| s.users.clear());
    denied(users(), &|s| {
        s.users.insert(someone(OTHER, 1));
    });
    denied(Modifier::Studies([STUDY].into()), &|s| {
        s.study = StudyId::new([1; 16]);
    });
    denied(Modifier::Institutions([OTHER].into()), &|s| {
        s.institutions.insert(crate::world::THIRD);
    });
    // Adds clinical care, and binds nothing.
    let care = |s: &mut StudyUse| {
        s.research = [ResearchType::ClinicalCare].into();
    };
    let mut caring = study_use();
    care(&mut caring);
    let outcome = |modifiers: &[Modifier]| {
        let data = DataUse::of(Permission::GeneralResearch, modifiers.iter().cloned());
        match_use(&data, &caring, &lookup).outcome
    };
    assert_eq!(outcome(&[]), Denied);
    assert_eq!(outcome(&[Modifier::ClinicalCare]), Permitted);
    // Ancestry is in general research unless it is ruled out.
    let ancestry = |research: ResearchType, modifiers: &[Modifier]| {
        let data = DataUse::of(Permission::GeneralResearch, modifiers.iter().cloned());
        let mut study = study_use();
        study.research = [research].into();
        match_use(&data, &study, &lookup).outcome
    };
    assert_eq!(ancestry(ResearchType::Ancestry, &[]), Permitted);
    assert_eq!(
        ancestry(ResearchType::Ancestry, &[Modifier::NoAncestry]),
        Denied
    );
    assert_eq!(
        ancestry(ResearchType::General, &[Modifier::NoAncestry]),
        Denied
    );
    assert_eq!(
        ancestry(ResearchType::Health, &[Modifier::NoAncestry]),
        Permitted
    );
}

/// Which permission allows which research, in one table.
#[test]
fn permissions_and_research() {
    let permissions = [
        Permission::NoRestriction,
        Permission::GeneralResearch,
        Permission::HealthResearch,
        Permission::Diseases([curie("D:1")].into()),
        Permission::Ancestry,
    ];
    let mut table = String::from("              ");
    for permission in &permissions {
        table.push_str(&format!("{:<6}", permission.duo()));
    }
    for research in ResearchType::ALL {
        table.push_str(&format!("\n{:<14}", research.as_str()));
        for permission in &permissions {
            let mut study = study_use();
            study.research = [*research].into();
            let data = DataUse::of(permission.clone(), []);
            let matched = match_use(&data, &study, &lookup);
            let mark = match matched.outcome {
                Outcome::Permitted => "yes",
                Outcome::ForAPerson => "?",
                Outcome::Denied => ".",
            };
            table.push_str(&format!("{mark:<6}"));
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn every_disease_of_a_study_is_within_a_permitted_one() {
    let check = |permitted: &[&str], studied: &[&str], expect| {
        let permitted = permitted.iter().map(|d| curie(d)).collect();
        let data = DataUse::of(Permission::Diseases(permitted), []);
        let mut study = study_use();
        study.diseases = studied.iter().map(|d| curie(d)).collect();
        assert_eq!(
            match_use(&data, &study, &lookup).outcome,
            expect,
            "{studied:?}"
        );
    };
    use Outcome::{Denied, Permitted};
    check(&["D:1"], &["D:1"], Permitted);
    check(&["D:1"], &["D:2", "D:3"], Permitted);
    check(&["D:2"], &["D:1"], Denied);
    check(&["D:2"], &["D:2", "D:3"], Denied);
    check(&["D:2", "D:3"], &["D:2", "D:3"], Permitted);
    check(&["D:1"], &["D:4"], Denied);
    // Not known here: within itself, and as far as anybody can tell within nothing else.
    check(&["D:9"], &["D:9"], Permitted);
    check(&["D:1"], &["D:9"], Denied);
    // Says that it is about diseases, and names none.
    check(&["D:1"], &[], Denied);
}

#[test]
fn a_match_is_explained() {
    let mut data = DataUse::of(
        Permission::Diseases([curie("D:1")].into()),
        [
            Modifier::Topic(Topic::new("bones").unwrap()),
            Modifier::Countries([country("FR")].into()),
            Modifier::Return,
        ],
    );
    let ancestry = DataUse::of(Permission::Ancestry, [Modifier::ClinicalCare]);
    data.clauses.extend(ancestry.clauses);
    let mut study = study_use();
    study.diseases.insert(curie("D:9"));
    study.sensitive = [consent::Sensitive::Children].into();
    study.other = Some(Topic::new("also teeth").unwrap());
    let matched = match_use(&data, &study, &lookup);
    assert_eq!(matched.outcome, Outcome::Denied);
    let mut text = String::new();
    for clause in &matched.clauses {
        text.push_str(&format!("{}\n", clause.outcome));
        for finding in &clause.findings {
            let duo = finding.duo.map_or("-", Duo::as_str);
            text.push_str(&format!(
                "  {duo:<5}{:<14}{}\n",
                finding.outcome, finding.because
            ));
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_person_accepted_counts_exactly() {
    let bones = || Topic::new("bones").unwrap();
    let mut data = DataUse::of(Permission::HealthResearch, [Modifier::Topic(bones())]);
    let study = study_use();
    let allowed = |data: &DataUse, accepted: &[Condition]| {
        let matched = match_use(data, &study, &lookup);
        matched.allowed(&accepted.iter().cloned().collect())
    };
    assert_eq!(allowed(&data, &[]), None);
    let hearts = Condition::Topic(Topic::new("hearts").unwrap());
    assert_eq!(allowed(&data, &[hearts]), None);
    assert_eq!(allowed(&data, &[Condition::Other(bones())]), None);
    assert_eq!(allowed(&data, &[Condition::Topic(bones())]), Some(None));
    // The longest of the clauses that allow it counts.
    let within = |until| {
        let period = Period {
            from: at(0),
            until: at(until),
        };
        let clause = DataUse::of(Permission::HealthResearch, [Modifier::Within(period)]);
        clause.clauses
    };
    data.clauses.extend(within(LAST));
    assert_eq!(allowed(&data, &[]), Some(Some(at(LAST))));
    data.clauses.extend(within(LAST + 3));
    assert_eq!(allowed(&data, &[]), Some(Some(at(LAST + 3))));
    assert_eq!(allowed(&data, &[Condition::Topic(bones())]), Some(None));
    // Nobody can accept what the conditions rule out.
    let data = DataUse::of(
        Permission::Ancestry,
        [Modifier::Topic(bones()), Modifier::Return],
    );
    assert_eq!(allowed(&data, &[Condition::Topic(bones())]), None);
}

/// Clauses with at most one condition, each against each, for studies that differ from one that keeps everything
/// in one or two things.
#[test]
fn every_small_pair_is_ordered_rightly() {
    let permissions = [
        Permission::NoRestriction,
        Permission::GeneralResearch,
        Permission::HealthResearch,
        Permission::Diseases([curie("D:1")].into()),
        Permission::Diseases([curie("D:1"), curie("D:4")].into()),
        Permission::Ancestry,
    ];
    let period = |from, until| {
        Modifier::Within(Period {
            from: at(from),
            until: at(until),
        })
    };
    let mut modifiers: Vec<Option<Modifier>> = vec![None];
    let full = full();
    let all = full.clauses.iter().flat_map(|c| c.modifiers.iter());
    modifiers.extend(all.cloned().map(Some));
    modifiers.extend(
        [
            Modifier::Topic(Topic::new("hearts").unwrap()),
            Modifier::Countries([country("DE")].into()),
            Modifier::Moratorium(at(9)),
            period(0, LAST),
            Modifier::Users([someone(OTHER, 0), someone(OTHER, 1)].into()),
            Modifier::Studies([STUDY, StudyId::new([8; 16])].into()),
            Modifier::Institutions([OTHER, crate::world::THIRD].into()),
        ]
        .map(Some),
    );
    let clauses: Vec<DataUse> = permissions
        .iter()
        .flat_map(|permission| {
            let with = |modifier: &Option<Modifier>| {
                DataUse::of(permission.clone(), modifier.iter().cloned())
            };
            modifiers.iter().map(with)
        })
        .filter(|data| data.validate().is_ok())
        .collect();
    let studies = nearby();
    let outcomes: Vec<Vec<Outcome>> = clauses
        .iter()
        .map(|data| {
            let outcome = |study| match_use(data, study, &lookup).outcome;
            studies.iter().map(outcome).collect()
        })
        .collect();
    let mut within = 0;
    for (narrower, narrow) in clauses.iter().zip(&outcomes) {
        for (wider, wide) in clauses.iter().zip(&outcomes) {
            if narrower.is_within(wider) {
                within += 1;
                let worse = wide
                    .iter()
                    .zip(narrow)
                    .position(|(wide, narrow)| wide > narrow);
                let study = worse.and_then(|n| studies.get(n));
                assert_eq!(study, None, "{narrower:?} within {wider:?}");
            }
        }
    }
    assert!(within > 4 * clauses.len(), "{within} of {}", clauses.len());
}

/// A study that keeps everything, of each kind of research, and those that differ from it in one thing.
fn nearby() -> Vec<StudyUse> {
    let edits: [fn(&mut StudyUse); 14] = [
        |_| {},
        |s| s.genetic = false,
        |s| s.commercial = true,
        |s| s.organisation = Organisation::ForProfit,
        |s| s.publishes_from = None,
        |s| s.publishes_from = Some(at(7)),
        |s| s.collaborates = false,
        |s| s.ethics = None,
        |s| s.returns = false,
        |s| s.countries = [country("FR")].into(),
        |s| s.period.from = at(2),
        |s| s.study = StudyId::new([8; 16]),
        |s| s.users = [someone(OTHER, 1)].into(),
        |s| s.institutions = [crate::world::THIRD].into(),
    ];
    let mut studies = Vec::new();
    for research in ResearchType::ALL {
        for disease in ["D:2", "D:4"] {
            for edit in edits {
                let mut study = study_use();
                study.research = [*research].into();
                study.diseases = [curie(disease)].into();
                edit(&mut study);
                studies.push(study);
            }
        }
    }
    studies
}

/// Makes conditions narrower, one way or another.
fn narrow(data: &mut DataUse, how: u8, modifier: Modifier) {
    if how == 0 && data.clauses.len() > 1 {
        data.clauses.pop_first();
        return;
    }
    let Some(mut clause) = data.clauses.pop_first() else {
        return;
    };
    match (how, &clause.permission) {
        (1, Permission::GeneralResearch) => clause.permission = Permission::HealthResearch,
        (2, Permission::GeneralResearch) if !clause.has(Duo::Npoa) => {
            clause.permission = Permission::Ancestry;
        }
        (3, Permission::HealthResearch) => {
            clause.permission = Permission::Diseases([curie("D:1"), curie("D:4")].into());
        }
        (4, Permission::Diseases(diseases)) if diseases.len() > 1 => {
            let mut fewer = diseases.clone();
            fewer.pop_last();
            clause.permission = Permission::Diseases(fewer);
        }
        (5, _) => {
            clause.modifiers.remove(&Modifier::ClinicalCare);
        }
        _ => {
            let binds = modifier != Modifier::ClinicalCare
                && clause.permission != Permission::NoRestriction
                && !clause.has(modifier.duo())
                && !(clause.permission == Permission::Ancestry && modifier == Modifier::NoAncestry);
            if binds {
                clause.modifiers.insert(modifier);
            }
        }
    }
    data.clauses.insert(clause);
}

/// Nothing is worse for the study under the second conditions than under the first.
fn never_worse(narrower: &DataUse, wider: &DataUse, study: &StudyUse) -> Result<(), TestCaseError> {
    let (narrow, wide) = (
        match_use(narrower, study, &lookup),
        match_use(wider, study, &lookup),
    );
    prop_assert!(wide.outcome <= narrow.outcome, "{narrow:#?} {wide:#?}");
    for clause in &narrow.clauses {
        let accepted = &clause.conditions;
        if let Some(until) = narrow.allowed(accepted) {
            let wide = wide.allowed(accepted);
            let lasts = match (wide, until) {
                (None, _) => false,
                (Some(None), _) => true,
                (Some(Some(_)), None) => false,
                (Some(Some(wide)), Some(narrow)) => wide >= narrow,
            };
            prop_assert!(lasts, "{accepted:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn conditions_survive_both_forms(data in data_uses()) {
        prop_assert_eq!(data.validate(), Ok(()));
        prop_assert_eq!(&from_slice::<DataUse>(&to_vec(&data)).unwrap(), &data);
        let json = serde_json::to_string(&data).unwrap();
        prop_assert_eq!(&serde_json::from_str::<DataUse>(&json).unwrap(), &data);
    }

    #[test]
    fn narrower_conditions_never_permit_more(
        wider in data_uses(),
        edits in vec((0u8..12, modifiers()), 1..6),
        studies in vec(study_uses(), 8),
    ) {
        let mut narrower = wider.clone();
        for (how, modifier) in edits {
            narrow(&mut narrower, how, modifier);
        }
        prop_assert!(narrower.is_within(&wider), "{narrower:?} {wider:?}");
        for study in &studies {
            never_worse(&narrower, &wider, study)?;
        }
    }

    #[test]
    fn whatever_is_called_narrower_never_permits_more(
        one in clauses(),
        other in clauses(),
        studies in vec(study_uses(), 4),
    ) {
        let single = |clause: Clause| DataUse { clauses: BTreeSet::from([clause]) };
        // Without most of its conditions the other is more often the wider one.
        let mut few = other.clone();
        while few.modifiers.len() > 1 {
            few.modifiers.pop_last();
        }
        for wider in [other, few] {
            if one.is_within(&wider) {
                for study in &studies {
                    never_worse(&single(one.clone()), &single(wider.clone()), study)?;
                }
            }
        }
    }

    #[test]
    fn a_clause_more_never_permits_less(data in data_uses(), more in clauses(), study in study_uses()) {
        let mut wider = data.clone();
        wider.clauses.insert(more);
        prop_assert!(data.is_within(&wider));
        never_worse(&data, &wider, &study)?;
    }

    #[test]
    fn what_is_permitted_keeps_every_condition(clause in clauses(), study in study_uses()) {
        let data = DataUse { clauses: BTreeSet::from([clause.clone()]) };
        let matched = match_use(&data, &study, &lookup);
        if matched.outcome == Outcome::Denied {
            prop_assert!(!matched.broken().is_empty());
            return Ok(());
        }
        prop_assert!(study.sensitive.is_empty() || matched.outcome == Outcome::ForAPerson);
        for modifier in &clause.modifiers {
            let kept = match modifier {
                Modifier::Countries(c) => study.countries.iter().all(|x| c.contains(x)),
                Modifier::Users(u) => study.users.iter().all(|x| u.contains(x)),
                Modifier::Institutions(i) => study.institutions.iter().all(|x| i.contains(x)),
                Modifier::NonCommercial => !study.commercial,
                Modifier::NonProfitNonCommercial => {
                    !study.commercial && study.organisation == Organisation::NonProfit
                }
                Modifier::NonProfitOrganisation => study.organisation == Organisation::NonProfit,
                Modifier::Topic(_) => matched.outcome == Outcome::ForAPerson,
                Modifier::Within(p) => p.from <= study.period.from && study.period.until <= p.until,
                Modifier::NoAncestry => !study.research.contains(&ResearchType::Ancestry),
                Modifier::NoMethods => !study.research.contains(&ResearchType::Methods),
                _ => true,
            };
            prop_assert!(kept, "{modifier:?}");
        }
    }
}
