//! A study: its rules, its digest, its way to being open.

use crate::studies::{country, curie, someone, study};
use crate::world::{CUSTODIAN, LAST, OTHER, THIRD, actor, at, reason};
use codec::{Category, Digest, InstitutionId, Millis, from_slice, to_vec};
use consent::{
    Actor, InvalidStudy, PractitionerAt, Purpose, ResearchType, Role, Study, StudyCase,
    StudyRefused, StudyStatus, StudyStep, study_approval_allowed,
};
use std::collections::BTreeSet;
use std::fmt::Write;

const DUA: Digest = Digest::new([6; 32]);

fn proposer() -> Actor {
    actor(OTHER, 0, &[Role::Researcher])
}

fn colleague() -> Actor {
    actor(OTHER, 1, &[Role::Researcher])
}

fn member() -> Actor {
    actor(OTHER, 2, &[Role::Committee])
}

fn steps() -> [StudyStep; 6] {
    [
        StudyStep::Approve,
        StudyStep::Refuse(reason("no")),
        StudyStep::Agree(DUA),
        StudyStep::Open,
        StudyStep::End(reason("done")),
        StudyStep::Withdraw(reason("not now")),
    ]
}

fn proposed() -> StudyCase {
    StudyCase::propose(study(), &proposer(), at(0)).unwrap()
}

fn taken(case: &StudyCase, step: StudyStep, by: &Actor, when: u64) -> StudyCase {
    case.step(step, OTHER, by, at(when)).unwrap()
}

/// A case of each status.
fn cases() -> Vec<StudyCase> {
    let proposed = proposed();
    let approved = taken(&proposed, StudyStep::Approve, &member(), 1);
    let agreed = taken(&approved, StudyStep::Agree(DUA), &proposer(), 2);
    let open = taken(&agreed, StudyStep::Open, &proposer(), 3);
    vec![
        proposed.clone(),
        approved.clone(),
        taken(&proposed, StudyStep::Refuse(reason("no")), &member(), 1),
        agreed.clone(),
        open.clone(),
        taken(&open, StudyStep::End(reason("done")), &member(), 4),
        taken(&agreed, StudyStep::Withdraw(reason("x")), &member(), 3),
    ]
}

#[test]
fn golden_bytes_and_digest() {
    let cases = cases();
    let statuses: Vec<StudyStatus> = cases.iter().map(|c| c.status).collect();
    assert_eq!(statuses, StudyStatus::ALL);
    let open = &cases[4];
    insta::assert_snapshot!(codec::hex::encode(&to_vec(open)));
    insta::assert_snapshot!(open.study.digest());
    for case in &cases {
        assert_eq!(&from_slice::<StudyCase>(&to_vec(case)).unwrap(), case);
        let json = serde_json::to_string(case).unwrap();
        assert_eq!(&serde_json::from_str::<StudyCase>(&json).unwrap(), case);
    }
}

#[test]
fn the_digest_changes_with_what_was_approved_and_agreed() {
    type Edit = fn(&mut Study);
    let edits: &[(&str, Edit)] = &[
        ("nothing", |_| {}),
        ("title", |s| s.title = "Other Bones".parse().unwrap()),
        ("summary", |s| s.summary = reason("other")),
        ("institution", |s| s.institution = THIRD),
        ("study", |s| s.declared.study = codec::StudyId::new([1; 16])),
        ("diseases", |s| {
            s.declared.diseases.insert(curie("D:4"));
        }),
        ("commercial", |s| s.declared.commercial = true),
        ("end", |s| s.declared.period.until = at(LAST + 1)),
        ("purposes", |s| {
            s.purposes.pop_last();
        }),
        ("categories", |s| {
            s.categories.insert(Category::Genomic);
        }),
        ("k", |s| s.limits.k = 11),
        ("linked", |s| s.limits.linked_per_mille = 51),
        ("proposer", |s| s.proposed.by = someone(OTHER, 7)),
        ("approval", |s| s.approvals.clear()),
        ("agreement", |s| s.agreement = None),
    ];
    let open = cases().swap_remove(4).study;
    let mut seen = BTreeSet::new();
    for (name, edit) in edits {
        let mut study = open.clone();
        edit(&mut study);
        assert!(seen.insert(study.digest()), "{name}");
    }
}

#[test]
fn rules() {
    let check = |edit: &dyn Fn(&mut Study), expect| {
        let mut study = study();
        edit(&mut study);
        assert_eq!(study.validate().err(), expect);
    };
    check(&|_| {}, None);
    check(
        &|s| s.purposes.clear(),
        Some(InvalidStudy::Empty("purpose")),
    );
    check(
        &|s| s.categories.clear(),
        Some(InvalidStudy::Empty("category")),
    );
    check(
        &|s| {
            s.purposes.insert(Purpose::Treat);
        },
        Some(InvalidStudy::Purpose(Purpose::Treat)),
    );
    check(&|s| s.limits.k = 2, Some(InvalidStudy::K));
    check(&|s| s.limits.k = 3, None);
    check(&|s| s.limits.linked_per_mille = 1000, None);
    check(
        &|s| s.limits.linked_per_mille = 1001,
        Some(InvalidStudy::Linked),
    );
    check(&|s| s.institution = THIRD, Some(InvalidStudy::Institution));
    check(
        &|s| s.declared.diseases.clear(),
        Some(InvalidStudy::Diseases),
    );
    check(
        &|s| s.declared.research = [ResearchType::Health].into(),
        Some(InvalidStudy::Diseases),
    );
    check(
        &|s| s.declared.period.until = at(0),
        Some(InvalidStudy::Period),
    );
    let late = Millis::new(253_402_300_800_000);
    check(
        &|s| s.declared.period.until = late,
        Some(InvalidStudy::Period),
    );
    check(
        &|s| {
            s.declared.users.insert(someone(THIRD, 1));
        },
        Some(InvalidStudy::User),
    );
    let users = |n: u8| (0..n).map(|n| someone(OTHER, n)).collect::<BTreeSet<_>>();
    check(&|s| s.declared.users = users(64), None);
    check(
        &|s| s.declared.users = users(65),
        Some(InvalidStudy::TooMany("users")),
    );
    check(
        &|s| {
            s.declared.countries = (b'A'..=b'Z')
                .flat_map(|a| {
                    (b'A'..=b'C').map(move |b| country(&format!("{}{}", a as char, b as char)))
                })
                .collect()
        },
        Some(InvalidStudy::TooMany("countries")),
    );
    check(
        &|s| s.declared.institutions = (0..65).map(|n| InstitutionId::new([n; 16])).collect(),
        Some(InvalidStudy::TooMany("institutions")),
    );
    check(
        &|s| s.declared.diseases = (0..65).map(|n| curie(&format!("D:{n}"))).collect(),
        Some(InvalidStudy::TooMany("diseases")),
    );
    let signed = study().proposed;
    check(
        &|s| s.approvals = vec![signed.clone(); 9],
        Some(InvalidStudy::TooMany("approvals")),
    );
}

/// Every step, from every status, by everybody, as one table.
#[test]
fn who_may_take_which_step() {
    let people = [
        ("proposer", proposer()),
        (
            "proposer in committee",
            actor(OTHER, 0, &[Role::Researcher, Role::Committee]),
        ),
        ("colleague", colleague()),
        (
            "approver as researcher",
            actor(OTHER, 2, &[Role::Researcher]),
        ),
        ("committee", member()),
        ("committee elsewhere", actor(THIRD, 2, &[Role::Committee])),
        ("researcher elsewhere", actor(THIRD, 1, &[Role::Researcher])),
        ("clinician", actor(OTHER, 5, &[Role::Clinician])),
    ];
    let mut table = String::new();
    for case in cases() {
        for step in steps() {
            let mut line = String::new();
            for (name, by) in &people {
                match case.step(step.clone(), OTHER, by, at(5)) {
                    Ok(next) => {
                        assert_eq!(next.acts.len(), case.acts.len() + 1);
                        assert_eq!(next.study.id(), case.study.id());
                        write!(line, " [{name}: {}]", next.status).unwrap();
                    }
                    Err(StudyRefused::Status(status)) => assert_eq!(status, case.status),
                    Err(refused) => write!(line, " ({name}: {refused})").unwrap(),
                }
            }
            if !line.is_empty() {
                let step = format!("{step:?}");
                let step = step.split('(').next().unwrap();
                writeln!(table, "{} {step}:{line}", case.status).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn nobody_approves_their_own_study() {
    let check = |by: &Actor, here, when, expect| {
        let allowed = study_approval_allowed(&study(), here, by, at(when));
        assert_eq!(allowed.err(), expect);
    };
    let committee = Some(StudyRefused::Role(Role::Committee));
    check(&member(), OTHER, 1, None);
    check(&proposer(), OTHER, 1, committee);
    let both = actor(OTHER, 0, &[Role::Researcher, Role::Committee]);
    check(&both, OTHER, 1, Some(StudyRefused::OwnStudy));
    // Whoever goes by the same id elsewhere is somebody else.
    let namesake = actor(CUSTODIAN, 0, &[Role::Committee]);
    check(&namesake, CUSTODIAN, 1, None);
    check(&namesake, OTHER, 1, Some(StudyRefused::Elsewhere));
    check(&member(), OTHER, LAST - 1, None);
    let over = Some(StudyRefused::Over(at(LAST)));
    check(&member(), OTHER, LAST, over);
}

#[test]
fn a_proposal_is_the_senders_own_and_bare() {
    let check = |edit: &dyn Fn(&mut Study), by: &Actor, when, expect| {
        let mut study = study();
        edit(&mut study);
        assert_eq!(StudyCase::propose(study, by, at(when)).err(), expect);
    };
    let bare = Some(StudyRefused::NotAProposal);
    check(&|_| {}, &proposer(), 0, None);
    check(&|_| {}, &proposer(), 1, bare);
    check(&|_| {}, &colleague(), 0, bare);
    check(
        &|_| {},
        &actor(OTHER, 0, &[Role::Clinician]),
        0,
        Some(StudyRefused::Role(Role::Researcher)),
    );
    check(
        &|_| {},
        &actor(THIRD, 0, &[Role::Researcher]),
        0,
        Some(StudyRefused::Elsewhere),
    );
    let approved = |s: &mut Study| s.approvals.push(s.proposed.clone());
    check(&approved, &proposer(), 0, bare);
    let invalid = Some(StudyRefused::Invalid(InvalidStudy::K));
    check(&|s| s.limits.k = 0, &proposer(), 0, invalid);
    let late = |s: &mut Study| s.proposed.at = at(LAST);
    check(&late, &proposer(), LAST, Some(StudyRefused::Over(at(LAST))));
}

#[test]
fn time_passes_and_ends() {
    let open = cases().swap_remove(4);
    assert_eq!(open.status_at(at(LAST - 1)), StudyStatus::Open);
    assert_eq!(open.status_at(at(LAST)), StudyStatus::Ended);
    let agreed = cases().swap_remove(3);
    assert_eq!(agreed.status_at(at(LAST)), StudyStatus::Agreed);
    let step = |case: &StudyCase, step, when| case.step(step, OTHER, &proposer(), at(when)).err();
    assert_eq!(
        step(&agreed, StudyStep::Open, 1),
        Some(StudyRefused::TooEarly)
    );
    assert_eq!(step(&agreed, StudyStep::Open, 2), None);
    let over = Some(StudyRefused::Over(at(LAST)));
    assert_eq!(step(&agreed, StudyStep::Open, LAST), over);
}

#[test]
fn a_case_says_who_signed_for_what() {
    let open = cases().swap_remove(4);
    let person = |actor: &Actor| PractitionerAt {
        institution: actor.institution,
        practitioner: actor.practitioner.clone(),
    };
    let approvers: Vec<_> = open.study.approvals.iter().map(|a| a.by.clone()).collect();
    assert_eq!(approvers, [person(&member())]);
    let agreement = open.study.agreement.as_ref().unwrap();
    assert_eq!((agreement.digest, agreement.accepted.at), (DUA, at(2)));
    let steps: Vec<StudyStep> = open.acts.iter().map(|a| a.step.clone()).collect();
    assert_eq!(
        steps,
        [StudyStep::Approve, StudyStep::Agree(DUA), StudyStep::Open]
    );
}
