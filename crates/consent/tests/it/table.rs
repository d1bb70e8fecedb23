//! The golden table of decisions: who, for what, under which consent.
//!
//! Every role at the custodian and elsewhere, every purpose, every state of consent; a row is
//! written out where some state permits something. A cell is the basis and the initials of the
//! categories of a partial request for everything: Identity, Phenotype, Genomic, Laboratory,
//! Vitals, Documents.

use crate::world::*;
use codec::{Category, InstitutionId};
use consent::{
    Basis, ConsentState, Decision, Effective, Facts, Grantee, Opening, Policy, Purpose, Request,
    Role, StudyFacts, Terms, decide,
};
use std::fmt::Write;

struct Column {
    name: &'static str,
    finalised: ConsentState,
    pending: Vec<ConsentState>,
    facts: Facts,
}

fn columns() -> Vec<Column> {
    let none = state(|_| {});
    let granted = state(grant_some);
    let with = |edit: fn(&mut Terms)| {
        state(|terms| {
            grant_some(terms);
            edit(terms);
        })
    };
    let column = |name, finalised: &ConsentState, facts: &dyn Fn(&mut Facts)| {
        let mut now = facts_of_an_open_study();
        facts(&mut now);
        Column {
            name,
            finalised: finalised.clone(),
            pending: vec![],
            facts: now,
        }
    };
    let pending = |name, finalised: &ConsentState, after: &ConsentState| Column {
        name,
        finalised: finalised.clone(),
        pending: vec![after.clone()],
        facts: facts_of_an_open_study(),
    };
    vec![
        column("nothing", &none, &|_| {}),
        column("granted", &granted, &|_| {}),
        pending("withdrawn", &granted, &none),
        pending("awaiting", &none, &granted),
        column("restricted", &with(|t| t.restricted = true), &|_| {}),
        column(
            "opted-out",
            &with(|t| t.opted_out = [Purpose::Hoperat, Purpose::Hresch].into()),
            &|_| {},
        ),
        column("closed", &granted, &|f| f.closed = true),
        column("erased", &granted, &|f| f.erased = true),
        column("stale", &granted, &|f| f.ledger_age_ms = 60_001),
        column("unopened", &granted, &|f| f.opening = Opening::NoLeaf),
        column("mismatch", &granted, &|f| f.opening = Opening::Mismatch),
        column("matured", &with(|t| t.matures = Some(at(5))), &|_| {}),
    ]
}

fn grant_some(terms: &mut Terms) {
    use Category::{Genomic, Phenotype};
    let to = Grantee::Institution(OTHER);
    terms.grants = vec![
        grant(1, to.clone(), &[Purpose::Treat], &[Phenotype, Genomic]),
        grant(2, to, &[Purpose::Hpaymt], &[Category::Identity]),
        grant(3, Grantee::Study(STUDY), &[Purpose::Hresch], &[Phenotype]),
    ];
}

fn facts_of_an_open_study() -> Facts {
    Facts {
        studies: [(STUDY, StudyFacts::active())].into(),
        break_glass: Some(session(0, 0, LAST)),
        ..facts(5)
    }
}

/// Every asker and purpose, in order.
fn rows() -> Vec<(String, Request)> {
    let mut rows = Vec::new();
    let places: [(&str, InstitutionId); 2] = [("here", CUSTODIAN), ("elsewhere", OTHER)];
    for role in Role::ALL {
        for (place, institution) in places {
            for purpose in Purpose::ALL {
                let slots: &[Option<u8>] = match role {
                    Role::Controller => &[Some(0), Some(1), Some(2)],
                    _ => &[None],
                };
                for slot in slots {
                    let mut asker = actor(institution, 0, &[*role]);
                    asker.slot = *slot;
                    let study = purpose.is_research().then_some(STUDY);
                    let ask = request(asker, *purpose, Category::ALL);
                    let slot = slot.map(|s| format!(" in slot {s}")).unwrap_or_default();
                    rows.push((
                        format!("{role}{slot} {place} {purpose}"),
                        Request {
                            study,
                            partial: true,
                            ..ask
                        },
                    ));
                }
            }
        }
    }
    rows
}

fn cell(decision: &Decision) -> String {
    let Some(permit) = decision.permit() else {
        return ".".to_owned();
    };
    let because = permit.because.iter().map(|because| {
        let basis = match &because.basis {
            Basis::Grant(_) => "grant",
            Basis::Policy(_) => "policy",
            Basis::Law(_) => "law",
            Basis::OptOutNotExercised(_) => "unless",
            Basis::BreakGlass => "glass",
            Basis::Controller(_) => "own",
            Basis::SystemProjection => "system",
        };
        let initials = because
            .categories
            .iter()
            .map(|c| c.as_str().get(..1).unwrap());
        format!("{basis}:{}", initials.collect::<String>().to_uppercase())
    });
    let stale = if permit.stale { "*" } else { "" };
    because.collect::<Vec<_>>().join("+") + stale
}

#[test]
fn decisions() {
    let (columns, rows) = (columns(), rows());
    let mut table = format!("{:42}", "");
    for column in &columns {
        write!(table, "{:21}", column.name).unwrap();
    }
    let mut silent = 0;
    for (name, request) in &rows {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let effective = Effective {
                    finalised: &column.finalised,
                    pending: &column.pending,
                };
                cell(&decide(
                    &Policy::default(),
                    &effective,
                    request,
                    &column.facts,
                ))
            })
            .collect();
        if cells.iter().all(|cell| cell == ".") {
            silent += 1;
            continue;
        }
        write!(table, "\n{name:42}").unwrap();
        for cell in cells {
            write!(table, "{cell:21}").unwrap();
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    let table = table.join("\n");
    insta::assert_snapshot!(format!(
        "{table}\n\n{silent} more of {} rows are denied throughout",
        rows.len()
    ));
}

#[test]
fn a_grant_for_improving_diagnosis_is_for_the_node_alone() {
    let agreed = |purposes: &[Purpose]| {
        let custodian = Grantee::Institution(CUSTODIAN);
        state(|terms| terms.grants = vec![grant(1, custodian, purposes, &[Category::Phenotype])])
    };
    let asked = |state: &ConsentState, role, purpose| {
        let ask = Request {
            partial: true,
            ..request(actor(CUSTODIAN, 0, &[role]), purpose, Category::ALL)
        };
        let decision = decide(
            &Policy::default(),
            &Effective::of(state),
            &ask,
            &Facts {
                opening: Opening::Matches,
                ..facts(5)
            },
        );
        decision.permit().map(|permit| permit.categories.clone())
    };
    let counted = agreed(&[Purpose::Dximp]);
    assert_eq!(
        asked(&counted, Role::System, Purpose::Dximp),
        Some([Category::Phenotype].into())
    );
    for role in Role::ALL.iter().filter(|role| **role != Role::System) {
        assert_eq!(asked(&counted, *role, Purpose::Dximp), None, "{role}");
    }
    // Nothing else stands for it: no grant for another purpose, and no rule of a policy.
    let other = agreed(&[Purpose::Hqualimp, Purpose::Hoperat]);
    assert_eq!(asked(&other, Role::System, Purpose::Dximp), None);
    let mut policy = Policy::default();
    policy.care[0].purposes.insert(Purpose::Dximp);
    assert!(policy.validate().is_err());
}
