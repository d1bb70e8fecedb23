//! Every reason for a denial arises, reads as a sentence, and tells nobody what is not theirs.

use crate::studies::{approved, curie, study};
use crate::world::*;
use codec::Category::{self, Genomic, Laboratory, Phenotype};
use consent::{
    Actor, ConsentState, DataUse, Denial, Effective, Exception, Facts, Grantee, Missing, Modifier,
    Opening, Permission, Policy, PractitionerAt, Purpose, Records, Request, Role, StudyFacts,
    Terms, Topic, decide,
};
use std::collections::BTreeSet;
use std::fmt::Write;

fn doctor() -> Actor {
    actor(OTHER, 0, &[Role::Clinician])
}

fn treat(categories: &[Category]) -> Request {
    request(doctor(), Purpose::Treat, categories)
}

fn shared(terms: &mut Terms) {
    let to = Grantee::Institution(OTHER);
    terms.grants = vec![grant(1, to, &[Purpose::Treat], &[Phenotype, Laboratory])];
}

struct Case {
    name: &'static str,
    finalised: ConsentState,
    pending: Vec<ConsentState>,
    request: Request,
    facts: Facts,
}

fn case(name: &'static str, edit: impl FnOnce(&mut Terms), request: Request) -> Case {
    let finalised = state(|terms| {
        shared(terms);
        edit(terms);
    });
    Case {
        name,
        finalised,
        pending: vec![],
        request,
        facts: facts(5),
    }
}

impl Case {
    fn when(mut self, edit: impl FnOnce(&mut Facts)) -> Self {
        edit(&mut self.facts);
        self
    }

    fn pending(mut self, edit: impl FnOnce(&mut Terms)) -> Self {
        self.pending.push(self.finalised.next(edit).unwrap());
        self
    }

    fn denial(&self) -> Denial {
        let effective = Effective {
            finalised: &self.finalised,
            pending: &self.pending,
        };
        let decision = decide(&Policy::default(), &effective, &self.request, &self.facts);
        decision
            .denial()
            .unwrap_or_else(|| panic!("{}", self.name))
            .clone()
    }
}

fn sharing() -> Vec<Case> {
    let one = |edit: fn(&mut consent::Grant)| {
        move |terms: &mut Terms| edit(terms.grants.first_mut().unwrap())
    };
    let mut named = treat(&[Phenotype]);
    named.selection.records = Records::Only([record(0), record(1)].into());
    let mut nothing = treat(&[]);
    nothing.partial = true;
    let mut stranger = treat(&[Phenotype]);
    stranger.subject = codec::SubjectId::new([8; 32]);
    let other_doctor = request(
        actor(THIRD, 0, &[Role::Clinician]),
        Purpose::Treat,
        &[Phenotype],
    );
    let pays = request(doctor(), Purpose::Hpaymt, &[Phenotype]);
    let desk = request(actor(OTHER, 0, &[Role::Desk]), Purpose::Treat, &[Phenotype]);
    vec![
        case("nothing selected", |_| {}, nothing),
        case("another subject", |_| {}, stranger),
        case("erased", |_| {}, treat(&[Phenotype])).when(|f| f.erased = true),
        case("closed", |_| {}, treat(&[Phenotype])).when(|f| f.closed = true),
        case("restricted", |t| t.restricted = true, treat(&[Phenotype])),
        case("stale", |_| {}, treat(&[Phenotype])).when(|f| f.ledger_age_ms = 61_500),
        case("mismatch", |_| {}, treat(&[Phenotype])).when(|f| f.opening = Opening::Mismatch),
        case("no leaf", |_| {}, treat(&[Phenotype])).when(|f| f.opening = Opening::NoLeaf),
        case("no grant", |_| {}, other_doctor),
        case("other purpose", |_| {}, pays),
        case("other role", |_| {}, desk),
        case("other category", |_| {}, treat(&[Phenotype, Genomic])),
        case("not yet", one(|g| g.from = at(6)), treat(&[Phenotype])),
        case("expired", one(|g| g.until = at(5)), treat(&[Phenotype])),
        case(
            "one of two expired",
            |t| {
                let mut old = t.grants.first().unwrap().clone();
                old.id = grant_id(2);
                old.categories = [Genomic].into();
                old.until = at(3);
                t.grants.push(old);
            },
            treat(&[Phenotype, Genomic]),
        ),
        case(
            "left out",
            one(|g| g.exceptions = [Exception::Practitioner(person(0))].into()),
            treat(&[Phenotype]),
        ),
        case(
            "named for another",
            one(|g| {
                g.grantee = Grantee::Practitioner(PractitionerAt {
                    institution: OTHER,
                    practitioner: person(1),
                });
            }),
            treat(&[Phenotype]),
        ),
        case(
            "record left out",
            one(|g| g.exceptions = [Exception::Record(record(1))].into()),
            named.clone(),
        ),
        case(
            "kind left out, kinds unknown",
            one(|g| g.exceptions = [Exception::Kind(kind(3))].into()),
            named,
        ),
        case(
            "widening not final",
            |t| t.grants.clear(),
            treat(&[Phenotype]),
        )
        .pending(shared),
        case("narrowing not final", |_| {}, treat(&[Phenotype])).pending(|t| t.grants.clear()),
    ]
}

fn studies() -> Vec<Case> {
    let study = |t: &mut Terms| {
        t.grants = vec![grant(
            1,
            Grantee::Study(STUDY),
            &[Purpose::Hresch],
            &[Phenotype],
        )];
    };
    let researcher = actor(OTHER, 0, &[Role::Researcher]);
    let unnamed = request(researcher, Purpose::Hresch, &[Phenotype]);
    let named = Request {
        study: Some(STUDY),
        ..unnamed.clone()
    };
    let open = |f: &mut Facts| f.studies = [(STUDY, StudyFacts::active())].into();
    vec![
        case("study not named", study, unnamed.clone()).when(open),
        case("study not named, not ours", study, unnamed),
        case("study not open", study, named),
    ]
}

/// A grant to research into one disease, asked for by the study of the small world.
fn research() -> Vec<Case> {
    let diseases = Permission::Diseases([curie("D:1")].into());
    let grantee = |modifiers: &[Modifier]| {
        Grantee::Research(DataUse::of(diseases.clone(), modifiers.iter().cloned()))
    };
    let to = |grantee: Grantee| {
        move |t: &mut Terms| {
            t.grants = vec![grant(1, grantee, &[Purpose::Hresch], &[Phenotype])];
        }
    };
    let researcher = |who| actor(OTHER, who, &[Role::Researcher]);
    let ask = |who| Request {
        study: Some(STUDY),
        ..request(researcher(who), Purpose::Hresch, &[Phenotype])
    };
    let with = |edit: fn(&mut StudyFacts)| {
        move |f: &mut Facts| {
            let mut study = approved(study());
            edit(&mut study);
            f.studies = [(STUDY, study)].into();
        }
    };
    let topic = Modifier::Topic(Topic::new("bones").unwrap());
    let for_asker = [Modifier::NonCommercial, Modifier::Return];
    vec![
        case("conditions broken", to(grantee(&for_asker)), ask(0)).when(with(|s| {
            let declared = &mut s.study.as_mut().unwrap().declared;
            declared.commercial = true;
            declared.returns = false;
        })),
        case("topic not accepted", to(grantee(&[topic])), ask(0)).when(with(|_| {})),
        case("not approved", to(grantee(&[])), ask(0)).when(with(|s| s.approval = None)),
        case("study not begun", to(grantee(&[])), ask(0)).when(with(|s| {
            s.study.as_mut().unwrap().declared.period.from = at(6);
        })),
        case("study over", to(grantee(&[])), ask(0)).when(with(|s| {
            s.study.as_mut().unwrap().declared.period.until = at(5);
        })),
        case("not the study's purpose", to(grantee(&[])), ask(0)).when(with(|s| {
            s.study.as_mut().unwrap().purposes = [Purpose::Dsrch].into();
        })),
        case("not in the study", to(grantee(&[])), ask(1)).when(with(|_| {})),
        case("research, study not named", to(grantee(&[])), {
            request(researcher(0), Purpose::Hresch, &[Phenotype])
        }),
    ]
}

/// Research that needs no agreement, for no study.
#[test]
fn research_without_agreement_or_study() {
    let ask = request(
        actor(OTHER, 0, &[Role::Researcher]),
        Purpose::Dsrch,
        &[Phenotype],
    );
    let state = state(|_| {});
    let decision = decide(&wide_policy(), &Effective::of(&state), &ask, &facts(5));
    let denial = decision.denial().unwrap();
    assert_eq!(denial.missing, [Missing::StudyNeeded]);
    assert_eq!(
        denial.to_string(),
        "Denied: Research that needs no agreement is for approved studies; the request names none."
    );
}

fn own() -> Vec<Case> {
    let at_home = |who, role| actor(CUSTODIAN, who, &[role]);
    let glass = |who| request(at_home(who, Role::Clinician), Purpose::Btg, &[Phenotype]);
    let abroad = request(doctor(), Purpose::Btg, &[Phenotype]);
    let kin = |slot, purpose| request(controller(slot), purpose, &[Phenotype]);
    vec![
        case(
            "desk treats",
            |_| {},
            request(at_home(0, Role::Desk), Purpose::Treat, &[Phenotype]),
        ),
        case(
            "nurse, genome",
            |_| {},
            request(at_home(0, Role::Nurse), Purpose::Treat, &[Genomic]),
        ),
        case(
            "opted out",
            |t| t.opted_out = [Purpose::Hoperat].into(),
            request(at_home(0, Role::Clinician), Purpose::Hqualimp, &[Phenotype]),
        ),
        case(
            "own research",
            |_| {},
            request(at_home(0, Role::Researcher), Purpose::Hresch, &[Phenotype]),
        ),
        case("glass whole", |_| {}, glass(0)),
        case("another's session", |_| {}, glass(1))
            .when(|f| f.break_glass = Some(session(0, 1, 9))),
        case("session over", |_| {}, glass(0)).when(|f| f.break_glass = Some(session(0, 1, 5))),
        case("glass elsewhere", |_| {}, abroad),
        case(
            "glass by desk",
            |_| {},
            request(at_home(0, Role::Desk), Purpose::Btg, &[Phenotype]),
        ),
        case("vacant slot", |_| {}, kin(3, Purpose::Patrqt)),
        case("subject as family", |_| {}, kin(1, Purpose::Famrqt)),
        case(
            "guardian ended",
            |t| t.controllers.first_mut().unwrap().until = Some(at(4)),
            kin(0, Purpose::Patrqt),
        ),
        case(
            "matured",
            |t| t.matures = Some(at(5)),
            kin(0, Purpose::Patrqt),
        ),
        case("controller, unknown state", |_| {}, kin(0, Purpose::Patrqt))
            .when(|f| f.opening = Opening::Mismatch),
    ]
}

#[test]
fn every_reason_arises_and_reads_as_a_sentence() {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for case in sharing()
        .into_iter()
        .chain(studies())
        .chain(own())
        .chain(research())
    {
        let denial = case.denial();
        writeln!(text, "{}", case.name).unwrap();
        for missing in &denial.missing {
            seen.insert(missing.tag());
            writeln!(text, "    {missing}").unwrap();
        }
        if denial.for_asker() != denial {
            writeln!(text, "  to the asker: {}", denial.for_asker()).unwrap();
        }
    }
    insta::assert_snapshot!(text);
    // `StudyNeeded` arises under another policy, below.
    let needed = Missing::StudyNeeded.tag();
    assert_eq!(seen, (1..needed).collect::<BTreeSet<u64>>());
}

#[test]
fn someone_left_out_by_name_reads_what_a_stranger_reads() {
    let cases = sharing();
    let of = |name| cases.iter().find(|c| c.name == name).unwrap().denial();
    assert!(
        of("left out")
            .missing
            .contains(&Missing::PractitionerExcepted)
    );
    assert_eq!(of("left out").for_asker(), of("no grant"));
}

#[test]
fn a_partial_request_is_denied_only_when_nothing_is_left() {
    let check = |edit: fn(&mut Terms), records: Records, categories: &[Category], expect| {
        let mut ask = treat(categories);
        ask.partial = true;
        ask.selection.records = records;
        let mut case = case("partial", edit, ask);
        case.facts.record_kinds = [(record(0), kind(0)), (record(1), kind(1))].into();
        let effective = Effective::of(&case.finalised);
        let decision = decide(&Policy::default(), &effective, &case.request, &case.facts);
        let permitted = decision.permit().map(|permit| {
            let records =
                [0, 1].map(|n| permit.covers(Phenotype, &record(n), Some(&kind(n)), at(5)));
            (permit.categories.len(), records)
        });
        assert_eq!(permitted, expect);
    };
    let but_kind_1: fn(&mut Terms) = |t| {
        t.grants.first_mut().unwrap().exceptions = [Exception::Kind(kind(1))].into();
    };
    let only = |records: &[u8]| Records::Only(records.iter().map(|n| record(*n)).collect());
    check(
        |_| {},
        Records::All,
        &[Phenotype, Genomic],
        Some((1, [true, true])),
    );
    check(|_| {}, Records::All, &[Genomic], None);
    check(|_| {}, only(&[0]), &[Phenotype], Some((1, [true, false])));
    check(
        but_kind_1,
        Records::All,
        &[Phenotype],
        Some((1, [true, false])),
    );
    check(
        but_kind_1,
        only(&[0, 1]),
        &[Phenotype, Laboratory],
        Some((2, [true, false])),
    );
    check(but_kind_1, only(&[1]), &[Phenotype], None);
}
