//! What policies permit.

#![expect(clippy::unwrap_used, reason = "tests")]

use codec::{Category, InstitutionId};
use consent::{Actor, PractitionerId, Purpose, Role};
use institution_policy::{Action, BadPolicy, DEFAULT, Policy, Question, Verdict};
use std::collections::BTreeSet;

fn actor(roles: &[Role]) -> Actor {
    Actor {
        institution: InstitutionId::new([7; 16]),
        practitioner: PractitionerId::new("somebody").unwrap(),
        roles: roles.iter().copied().collect(),
        slot: None,
    }
}

fn ask(policy: &Policy, roles: &[Role], change: impl FnOnce(&mut Question<'_>)) -> Verdict {
    let actor = actor(roles);
    let categories = BTreeSet::from([Category::Laboratory]);
    let mut question = Question {
        actor: &actor,
        of_this_institution: true,
        action: Action::Read,
        resource_type: "Observation",
        categories: &categories,
        purpose: Purpose::Treat,
        own_patient: false,
        break_glass: false,
    };
    change(&mut question);
    policy.permits(&question)
}

fn default() -> Policy {
    Policy::parse(DEFAULT).unwrap()
}

/// Who may do what without a policy of one's own.
#[test]
fn the_default_permits_what_roles_may_do() {
    let policy = default();
    let may = |action: Action| -> Vec<&str> {
        let all = Role::ALL
            .iter()
            .filter(|role| ask(&policy, &[**role], |q| q.action = action).permitted);
        all.map(|role| role.as_str()).collect()
    };
    let readers = [
        "clinician",
        "geneticist",
        "nurse",
        "emergency-clinician",
        "desk",
        "privacy-officer",
        "auditor",
        "researcher",
        "laboratory",
        "device",
        "controller",
        "system",
    ];
    assert_eq!(may(Action::Read), readers);
    assert_eq!(may(Action::Search), readers);
    assert_eq!(may(Action::History), readers);
    let sources = [
        "clinician",
        "geneticist",
        "nurse",
        "emergency-clinician",
        "desk",
        "laboratory",
        "device",
        "controller",
    ];
    for action in [Action::Create, Action::Update, Action::Delete] {
        assert_eq!(may(action), sources, "{action:?}");
    }
    assert_eq!(
        may(Action::Differential),
        ["clinician", "geneticist", "emergency-clinician", "system"]
    );
    assert_eq!(
        may(Action::Export),
        [
            "clinician",
            "geneticist",
            "privacy-officer",
            "researcher",
            "system"
        ]
    );
    let family = ask(&policy, &[Role::Controller], |q| {
        q.action = Action::Export;
        q.own_patient = true;
    });
    assert!(family.permitted);
    assert_eq!(
        family.by,
        BTreeSet::from(["a-family-takes-its-record-along".to_owned()])
    );
    let elsewhere = ask(&policy, &[Role::Clinician], |q| {
        q.action = Action::Create;
        q.of_this_institution = false;
    });
    assert_eq!(
        elsewhere,
        Verdict {
            permitted: false,
            by: BTreeSet::new()
        }
    );
}

#[test]
fn nothing_is_permitted_by_nothing() {
    let policy = Policy::parse("// nothing").unwrap();
    assert!(policy.is_empty());
    assert!(!ask(&policy, &[Role::Clinician], |_| {}).permitted);
    let policy = default();
    assert!(!ask(&policy, &[], |_| {}).permitted);
    assert!(!ask(&policy, &[Role::Operator], |_| {}).permitted);
}

#[test]
fn a_policy_of_ones_own_takes_away_and_says_so() {
    let own = format!(
        "{DEFAULT}\n@id(\"genomes-are-for-geneticists\")\nforbid (principal, action in Action::\"see\", resource)\n\
when {{ resource.categories.contains(\"genomic\") && context.purpose == \"TREAT\" }}\n\
unless {{ principal.roles.contains(\"geneticist\") || context.break_glass }};\n\
@id(\"no-administration\")\nforbid (principal, action, resource) when {{ context.purpose == \"PATADMIN\" }};"
    );
    let policy = Policy::parse(&own).unwrap();
    assert_eq!(policy.len(), default().len() + 2);
    let genomic = BTreeSet::from([Category::Genomic]);
    let read = |role, break_glass| {
        let actor = actor(&[role]);
        policy.permits(&Question {
            actor: &actor,
            of_this_institution: true,
            action: Action::Read,
            resource_type: "MolecularSequence",
            categories: &genomic,
            purpose: Purpose::Treat,
            own_patient: false,
            break_glass,
        })
    };
    let refused = read(Role::Clinician, false);
    assert!(!refused.permitted);
    assert_eq!(
        refused.by,
        BTreeSet::from(["genomes-are-for-geneticists".to_owned()])
    );
    assert!(read(Role::Clinician, true).permitted);
    assert!(read(Role::Geneticist, false).permitted);
    assert!(ask(&policy, &[Role::Clinician], |_| {}).permitted);
    assert!(
        !ask(&policy, &[Role::Clinician], |q| q.purpose =
            Purpose::Patadmin)
        .permitted
    );
}

#[test]
fn faults_have_their_line() {
    let check = |text: &str, line: usize, word: &str| {
        let BadPolicy { line: at, why } = Policy::parse(text).unwrap_err();
        assert_eq!(at, line, "{why}");
        assert!(why.contains(word), "{why}");
    };
    check(
        "permit (principal, action, resource)\nwhen { true }",
        2,
        "unexpected",
    );
    check(
        "\n\npermit (principal, action == Action::\"fly\", resource);",
        3,
        "fly",
    );
    check(
        "permit (principal, action, resource)\nwhen {\n  principal.rolls.contains(\"nurse\")\n};",
        3,
        "rolls",
    );
    check(
        "\nforbid (principal, action, resource) when { context.client == \"x\" };",
        2,
        "client",
    );
    check(
        "permit (principal == Nobody::\"x\", action, resource);",
        1,
        "Nobody",
    );
    let twice = "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);";
    check(twice, 2, "two policies");
    check(
        "permit (principal == ?principal, action, resource);",
        1,
        "templates",
    );
    check(&" ".repeat((1 << 20) + 1), 1, "bytes");
}

/// Not a test: `cargo test --release -p ithaca-institution-policy -- --ignored --nocapture` says how long it takes.
#[test]
#[ignore = "measures"]
fn how_long_a_verdict_takes() {
    let policy = default();
    let times: u32 = 20_000;
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    let from = std::time::Instant::now();
    for _ in 0..times {
        assert!(ask(&policy, &[Role::Clinician], |_| {}).permitted);
    }
    println!("{:?} for each verdict", from.elapsed() / times);
}
