//! Grants to research, and research that nobody opted out of: what a study must be, and what ends at once.

use crate::studies::{approved, curie, someone, study};
use crate::world::*;
use codec::Category::{self, Genomic, Laboratory, Phenotype, Vitals};
use codec::StudyId;
use consent::{
    Basis, ChangeKind, Condition, ConsentState, DataUse, Decision, Duo, Effective, Facts, Grantee,
    Missing, Modifier, Period, Permission, Policy, Purpose, Request, Role, Rule, Sensitive,
    Signature, StudyFacts, Terms, Topic, change_kind, decide,
};
use std::collections::BTreeSet;

fn researcher() -> Request {
    Request {
        study: Some(STUDY),
        ..request(
            actor(OTHER, 0, &[Role::Researcher]),
            Purpose::Dsrch,
            &[Phenotype],
        )
    }
}

fn about_d1(modifiers: &[Modifier]) -> Grantee {
    let diseases = Permission::Diseases([curie("D:1")].into());
    Grantee::Research(DataUse::of(diseases, modifiers.iter().cloned()))
}

fn to_research(grantee: Grantee) -> impl FnOnce(&mut Terms) {
    let purposes = &[Purpose::Dsrch];
    let grant = grant(1, grantee, purposes, &[Phenotype, Laboratory, Genomic]);
    move |terms| terms.grants = vec![grant]
}

fn facts_of(study: StudyFacts) -> Facts {
    Facts {
        studies: [(STUDY, study)].into(),
        ..facts(5)
    }
}

fn decision(state: &ConsentState, request: &Request, facts: &Facts) -> Decision {
    decide(&Policy::default(), &Effective::of(state), request, facts)
}

/// What one thing that is otherwise as it should be comes to.
struct Changed {
    grantee: Grantee,
    request: Request,
    study: StudyFacts,
    now: u64,
}

fn check(edit: impl FnOnce(&mut Changed), expect: Result<(), Missing>) {
    let mut changed = Changed {
        grantee: about_d1(&[]),
        request: researcher(),
        study: approved(study()),
        now: 5,
    };
    edit(&mut changed);
    let state = state(to_research(changed.grantee));
    let mut facts = facts_of(changed.study);
    facts.now = at(changed.now);
    facts.block_time = facts.now;
    let decision = decision(&state, &changed.request, &facts);
    match (expect, decision) {
        (Ok(()), Decision::Permit(permit)) => assert_eq!(permit.basis, Basis::Grant(grant_id(1))),
        (Err(missing), Decision::Deny(denial)) => assert_eq!(denial.missing, [missing]),
        (expect, decision) => panic!("{expect:?}: {decision:?}"),
    }
}

fn declared(changed: &mut Changed) -> &mut consent::StudyUse {
    &mut changed.study.study.as_mut().unwrap().declared
}

#[test]
fn an_approved_study_that_keeps_the_conditions_may_ask() {
    check(|_| {}, Ok(()));
    check(|c| c.request.study = None, Err(Missing::StudyNotNamed));
    let other = StudyId::new([1; 16]);
    check(
        |c| c.request.study = Some(other),
        Err(Missing::StudyNotActive(other)),
    );
    check(
        |c| c.study.active = false,
        Err(Missing::StudyNotActive(STUDY)),
    );
    let unapproved = || Err(Missing::StudyNotApproved(STUDY));
    check(|c| c.study.approval = None, unapproved());
    check(|c| c.study.study = None, unapproved());
    // By the committee of another custodian; by whoever proposed it.
    check(
        |c| c.study.approval.as_mut().unwrap().by = someone(OTHER, 4),
        unapproved(),
    );
    check(
        |c| {
            let own = someone(CUSTODIAN, 0);
            c.study.approval.as_mut().unwrap().by = own.clone();
            c.study.study.as_mut().unwrap().proposed.by = own;
        },
        unapproved(),
    );
    // A record of another study is none of this one.
    check(
        |c| declared(c).study = other,
        Err(Missing::StudyNotActive(STUDY)),
    );
    check(
        |c| c.request.actor = actor(OTHER, 1, &[Role::Researcher]),
        Err(Missing::NotInStudy(STUDY)),
    );
    check(
        |c| c.request.actor = actor(THIRD, 0, &[Role::Researcher]),
        Err(Missing::NotInStudy(STUDY)),
    );
    check(
        |c| {
            c.request.actor = actor(OTHER, 1, &[Role::Researcher]);
            declared(c).users.clear();
        },
        Ok(()),
    );
    check(
        |c| c.request.actor.roles = [Role::Clinician].into(),
        Err(Missing::RoleNotAllowed(Purpose::Dsrch)),
    );
    check(
        |c| c.request.purpose = Purpose::Hresch,
        Err(Missing::PurposeNotGranted(Purpose::Hresch)),
    );
    check(
        |c| c.study.study.as_mut().unwrap().purposes = [Purpose::Hresch].into(),
        Err(Missing::StudyPurpose(Purpose::Dsrch)),
    );
    // Nor is anybody's treatment a matter of a grant to research.
    check(
        |c| {
            c.request.purpose = Purpose::Treat;
            c.request.study = None;
        },
        Err(Missing::NoGrant),
    );
    check(|c| c.now = LAST - 1, Ok(()));
    check(|c| c.now = LAST, Err(Missing::StudyEnded(at(LAST))));
    check(|c| declared(c).period.from = at(5), Ok(()));
    check(
        |c| declared(c).period.from = at(6),
        Err(Missing::StudyNotYet(at(6))),
    );
    check(
        |c| {
            declared(c).period.until = at(LAST + 5);
            c.now = LAST + 1;
        },
        Err(Missing::GrantExpired(at(LAST + 1))),
    );
    let broken = |terms: &[Duo]| Err(Missing::DataUse(terms.iter().copied().collect()));
    check(
        |c| declared(c).diseases = [curie("D:4")].into(),
        broken(&[Duo::Ds]),
    );
    check(|c| c.study.ancestors.clear(), broken(&[Duo::Ds]));
    check(|c| c.grantee = about_d1(&[Modifier::NonCommercial]), Ok(()));
    check(
        |c| {
            c.grantee = about_d1(&[Modifier::NonCommercial]);
            declared(c).commercial = true;
        },
        broken(&[Duo::Ncu]),
    );
}

#[test]
fn what_a_person_must_judge_waits_for_the_committees_word() {
    let topic = Topic::new("bones").unwrap();
    let bones = || about_d1(&[Modifier::Topic(topic.clone())]);
    let children = |c: &mut Changed| {
        declared(c).sensitive.insert(Sensitive::Children);
    };
    check(|c| c.grantee = bones(), Err(Missing::NotAccepted));
    check(children, Err(Missing::NotAccepted));
    check(
        |c| {
            c.grantee = bones();
            c.study.accepted = [Condition::Topic(topic.clone())].into();
        },
        Ok(()),
    );
    check(
        |c| {
            c.grantee = bones();
            c.study.accepted = [Condition::Topic(Topic::new("bone").unwrap())].into();
        },
        Err(Missing::NotAccepted),
    );
    check(
        |c| {
            c.grantee = bones();
            children(c);
            c.study.accepted = [Condition::Topic(topic.clone())].into();
        },
        Err(Missing::NotAccepted),
    );
    // The word of another custodian's committee does not come with an approval of this one's.
    check(
        |c| {
            children(c);
            c.study.accepted = [Condition::Sensitive(Sensitive::Children)].into();
            c.study.approval = None;
        },
        Err(Missing::StudyNotApproved(STUDY)),
    );
}

#[test]
fn no_more_than_study_and_grant_both_name_and_no_longer() {
    let mut ask = researcher();
    ask.selection.categories = Category::ALL.iter().copied().collect();
    ask.partial = true;
    let permit = |grantee: Grantee, until: u64| {
        let mut study = study();
        study.categories = [Phenotype, Genomic, Vitals].into();
        study.declared.period.until = at(until);
        let state = state(to_research(grantee));
        let decision = decision(&state, &ask, &facts_of(approved(study)));
        let permit = decision.permit().unwrap().clone();
        (permit.categories, permit.until)
    };
    let both = BTreeSet::from([Phenotype, Genomic]);
    let until = |end, expect| {
        assert_eq!(permit(about_d1(&[]), end), (both.clone(), Some(at(expect))));
    };
    until(LAST, LAST);
    until(LAST + 5, LAST + 1);
    let within = |until| {
        about_d1(&[Modifier::Within(Period {
            from: at(0),
            until: at(until),
        })])
    };
    assert_eq!(permit(within(LAST), LAST).1, Some(at(LAST)));
    // A grant to this very study is bound by the study's word too.
    let named = permit(Grantee::Study(STUDY), LAST);
    assert_eq!(named, (both, Some(at(LAST))));
}

#[test]
fn a_grant_to_the_study_itself_needs_no_committee_here() {
    let named = |study: StudyFacts, request: &Request| {
        let state = state(to_research(Grantee::Study(STUDY)));
        let decision = decision(&state, request, &facts_of(study));
        decision.denial().map(|denial| denial.missing.clone())
    };
    let ask = researcher();
    assert_eq!(named(StudyFacts::active(), &ask), None);
    let mut over = approved(study());
    over.study.as_mut().unwrap().declared.period.until = at(5);
    assert_eq!(named(over, &ask), Some(vec![Missing::StudyEnded(at(5))]));
    let mut unapproved = approved(study());
    unapproved.approval = None;
    assert_eq!(named(unapproved, &ask), None);
    let stranger = Request {
        actor: actor(THIRD, 0, &[Role::Researcher]),
        ..ask
    };
    let missing = named(approved(study()), &stranger);
    assert_eq!(missing, Some(vec![Missing::NotInStudy(STUDY)]));
}

/// What was permitted is denied as soon as a change that takes it away is accepted, final or not; what a change
/// adds waits for the ledger.
#[test]
fn taking_away_binds_at_once_and_adding_waits() {
    let ask = researcher();
    let facts = facts_of(approved(study()));
    let granted = state(to_research(about_d1(&[])));
    let with = |finalised: &ConsentState, pending: &[ConsentState]| {
        let effective = Effective { finalised, pending };
        decide(&Policy::default(), &effective, &ask, &facts)
    };
    assert!(with(&granted, &[]).permit().is_some());
    let takes_away = |edit: &dyn Fn(&mut Terms), missing: Missing| {
        let next = granted.next(edit).unwrap();
        let only = std::slice::from_ref(&missing);
        let denial = with(&granted, std::slice::from_ref(&next));
        assert_eq!(denial.denial().unwrap().missing, only);
        let denial = with(&next, &[]);
        assert_eq!(denial.denial().unwrap().missing, only);
        // What a later change gives back waits, and the reason says so.
        let back = next.next(|terms| terms.grants = granted.grants.clone());
        let back = back
            .unwrap()
            .next(|terms| terms.restricted = false)
            .unwrap();
        let pending = [next.clone(), back];
        let denial = with(&granted, &pending);
        let expect = BTreeSet::from([missing, Missing::ChangeNotFinal]);
        assert_eq!(denial.denial().unwrap().missing, Vec::from_iter(expect));
    };
    takes_away(&|t| t.grants.clear(), Missing::NoGrant);
    takes_away(&|t| t.restricted = true, Missing::Restricted);
    takes_away(&|t| t.grants[0].until = at(5), Missing::GrantExpired(at(5)));
    takes_away(
        &|t| t.grants[0].grantee = about_d1(&[Modifier::Studies([StudyId::new([1; 16])].into())]),
        Missing::DataUse([Duo::Ps].into()),
    );
    takes_away(
        &|t| {
            let topic = Topic::new("bones").unwrap();
            t.grants[0].grantee = about_d1(&[Modifier::Topic(topic)]);
        },
        Missing::NotAccepted,
    );
    // Narrower conditions under which it may still ask: it may.
    let narrower = granted.next(|t| t.grants[0].grantee = about_d1(&[Modifier::Return]));
    assert!(with(&granted, &[narrower.unwrap()]).permit().is_some());
    // Other conditions, under which it might: what both allow.
    let wider = granted.next(|t| {
        let any = DataUse::of(Permission::GeneralResearch, []);
        t.grants[0].grantee = Grantee::Research(any);
    });
    assert!(with(&granted, &[wider.unwrap()]).permit().is_some());
}

/// What a family's change of conditions counts as: only a narrowing binds before the ledger has it.
#[test]
fn other_conditions_are_no_narrowing() {
    let granted = state(to_research(about_d1(&[])));
    let kind = |grantee: Grantee| {
        let next = granted.next(|t| t.grants[0].grantee = grantee).unwrap();
        change_kind(&granted, &next)
    };
    assert_eq!(kind(about_d1(&[Modifier::Return])), ChangeKind::Narrowing);
    assert_eq!(
        kind(about_d1(&[Modifier::ClinicalCare])),
        ChangeKind::Widening
    );
    let health = DataUse::of(Permission::HealthResearch, []);
    assert_eq!(kind(Grantee::Research(health)), ChangeKind::Widening);
    let other = DataUse::of(Permission::HealthResearch, [Modifier::Return]);
    assert_eq!(kind(Grantee::Research(other)), ChangeKind::Mixed);
    assert_eq!(kind(Grantee::Study(STUDY)), ChangeKind::Mixed);
    assert_eq!(kind(Grantee::Institution(OTHER)), ChangeKind::Mixed);
}

#[test]
fn a_committee_that_takes_its_approval_back_ends_it_at_once() {
    let granted = state(to_research(about_d1(&[])));
    let mut facts = facts_of(approved(study()));
    assert!(decision(&granted, &researcher(), &facts).permit().is_some());
    facts.studies.get_mut(&STUDY).unwrap().approval = None;
    assert!(decision(&granted, &researcher(), &facts).permit().is_none());
    facts.studies.clear();
    assert!(decision(&granted, &researcher(), &facts).permit().is_none());
}

/// A policy of a place where research may use records unless the family says no.
fn opt_out_policy() -> Policy {
    let mut policy = Policy::default();
    policy.opt_out.push(Rule {
        name: "cohort".parse().unwrap(),
        roles: [Role::Researcher].into(),
        purposes: [Purpose::Dsrch, Purpose::Clintrl].into(),
        categories: [Phenotype, Laboratory, Genomic].into(),
        institutions: [OTHER].into(),
    });
    policy.validate().unwrap();
    policy
}

#[test]
fn research_by_opt_out_is_for_approved_studies() {
    let check = |study: StudyFacts, request: &Request, expect: Result<u64, Missing>| {
        let state = state(|_| {});
        let facts = facts_of(study);
        let decision = decide(&opt_out_policy(), &Effective::of(&state), request, &facts);
        match (expect, decision) {
            (Ok(until), Decision::Permit(permit)) => {
                let rule = "cohort".parse().unwrap();
                assert_eq!(permit.basis, Basis::OptOutNotExercised(rule));
                assert_eq!(permit.until, Some(at(until)));
            }
            (Err(missing), Decision::Deny(denial)) => {
                assert!(denial.missing.contains(&missing), "{denial}");
            }
            (expect, decision) => panic!("{expect:?}: {decision:?}"),
        }
    };
    let ask = researcher();
    check(approved(study()), &ask, Ok(LAST));
    let unnamed = Request {
        study: None,
        ..ask.clone()
    };
    check(approved(study()), &unnamed, Err(Missing::StudyNeeded));
    let mut closed = approved(study());
    closed.active = false;
    check(closed, &ask, Err(Missing::StudyNotActive(STUDY)));
    check(
        StudyFacts::active(),
        &ask,
        Err(Missing::StudyNotApproved(STUDY)),
    );
    let mut elsewhere = approved(study());
    elsewhere.approval = Some(Signature {
        by: someone(OTHER, 4),
        at: at(0),
    });
    check(elsewhere, &ask, Err(Missing::StudyNotApproved(STUDY)));
    let mut over = approved(study());
    over.study.as_mut().unwrap().declared.period.until = at(5);
    check(over, &ask, Err(Missing::StudyEnded(at(5))));
    // No more than the study asked for.
    let genome = Request {
        selection: consent::Selection::all([Genomic]),
        ..ask.clone()
    };
    let lacking = Missing::CategoriesNotPermitted([Genomic].into());
    check(approved(study()), &genome, Err(lacking));
}

#[test]
fn opting_out_of_research_bars_it_at_once() {
    let decided = |purpose, out: Option<Purpose>, pending: bool| {
        let mut study = study();
        study.purposes.insert(Purpose::Clintrl);
        let facts = facts_of(approved(study));
        let mut ask = researcher();
        ask.purpose = purpose;
        let silent = state(|_| {});
        let next = silent.next(|terms| terms.opted_out.extend(out)).unwrap();
        let effective = if pending {
            Effective {
                finalised: &silent,
                pending: std::slice::from_ref(&next),
            }
        } else {
            Effective::of(&next)
        };
        let decision = decide(&opt_out_policy(), &effective, &ask, &facts);
        decision.denial().map(|denial| denial.missing.clone())
    };
    for pending in [false, true] {
        for purpose in [Purpose::Dsrch, Purpose::Clintrl] {
            assert_eq!(decided(purpose, None, pending), None);
            // Of this, or of all research: trials are research, wherever the standard has them.
            for out in [purpose, Purpose::Hresch] {
                let missing = decided(purpose, Some(out), pending).unwrap();
                assert!(missing.contains(&Missing::OptedOut(purpose)), "{missing:?}");
            }
            assert_eq!(decided(purpose, Some(Purpose::Hqualimp), pending), None);
        }
    }
}

#[test]
fn the_default_policy_asks_first() {
    let policy = Policy::default();
    for rule in policy.care.iter().chain(&policy.law).chain(&policy.opt_out) {
        assert!(
            !rule.purposes.iter().any(|p| p.is_research()),
            "{}",
            rule.name
        );
    }
    let facts = facts_of(approved(study()));
    for purpose in Purpose::ALL.iter().filter(|p| p.is_research()) {
        for institution in [CUSTODIAN, OTHER] {
            let mut ask = researcher();
            ask.purpose = *purpose;
            ask.actor = actor(institution, 0, &[Role::Researcher, Role::Clinician]);
            let silent = state(|_| {});
            assert!(
                decision(&silent, &ask, &facts).permit().is_none(),
                "{purpose}"
            );
        }
    }
}

#[test]
fn whoever_is_refused_does_not_learn_the_conditions() {
    let mut facts = facts_of(approved(study()));
    let commercial = &mut facts.studies.get_mut(&STUDY).unwrap().study;
    commercial.as_mut().unwrap().declared.commercial = true;
    let topic = Modifier::Topic(Topic::new("bones").unwrap());
    let told = |modifier: Modifier| {
        let state = state(to_research(about_d1(&[modifier])));
        let denial = decision(&state, &researcher(), &facts);
        let denial = denial.denial().unwrap().clone();
        (denial.to_string(), denial.for_asker().to_string())
    };
    let (commercial, asker) = told(Modifier::NonCommercial);
    assert!(commercial.contains("NCU"), "{commercial}");
    let (unjudged, other) = told(topic);
    assert_ne!(commercial, unjudged);
    assert_eq!(asker, other);
    assert!(!asker.contains("NCU") && !unjudged.contains("bones"));
}
