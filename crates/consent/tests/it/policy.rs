//! The policy: what it may say, how it reads, what it leaves to the default.

use crate::world::*;
use codec::{Category, InstitutionId, Millis};
use consent::{
    Effective, InvalidPolicy, Policy, Purpose, RetentionPolicy, Role, Rule, RuleName, decide,
};

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

#[test]
fn the_default_is_valid_and_reads_back() {
    let policy = Policy::default();
    policy.validate().unwrap();
    let text = toml::to_string(&policy).unwrap();
    insta::assert_snapshot!(text);
    assert_eq!(toml::from_str::<Policy>(&text).unwrap(), policy);
}

#[test]
fn what_is_left_out_is_the_default() {
    assert_eq!(toml::from_str::<Policy>("").unwrap(), Policy::default());
    let policy: Policy = toml::from_str("[break_glass]\nmax_minutes = 60\n").unwrap();
    assert_eq!(policy.break_glass.max_minutes, 60);
    assert_eq!(
        policy.break_glass.roles,
        Policy::default().break_glass.roles
    );
    assert_eq!(policy.care, Policy::default().care);
    let policy: Policy = toml::from_str("care = []\n").unwrap();
    assert!(policy.care.is_empty());
}

#[test]
fn what_it_does_not_know_is_refused() {
    for text in [
        "break_class = {}\n",
        "[break_glass]\nmax_hours = 4\n",
        "[[care]]\nname = \"x\"\nroles = [\"clinician\"]\npurposes = [\"TREAT\"]\ncategories = [\"vitals\"]\nunless = 1\n",
        "[[care]]\nname = \"x\"\nroles = [\"doctor\"]\npurposes = [\"TREAT\"]\ncategories = [\"vitals\"]\n",
        "[[care]]\nname = \"x\"\nroles = [\"clinician\"]\npurposes = [\"treat\"]\ncategories = [\"vitals\"]\n",
        "[[care]]\nname = \"X!\"\nroles = [\"clinician\"]\npurposes = [\"TREAT\"]\ncategories = [\"vitals\"]\n",
    ] {
        assert!(toml::from_str::<Policy>(text).is_err(), "{text}");
    }
    let fine = "[[care]]\nname = \"x\"\nroles = [\"clinician\"]\npurposes = [\"TREAT\"]\ncategories = [\"vitals\"]\n";
    assert_eq!(toml::from_str::<Policy>(fine).unwrap().care.len(), 1);
}

fn check(edit: impl FnOnce(&mut Policy), expect: InvalidPolicy) {
    let mut policy = Policy::default();
    edit(&mut policy);
    assert_eq!(policy.validate(), Err(expect.clone()));
    let text = toml::to_string(&policy).unwrap();
    let refused = toml::from_str::<Policy>(&text).unwrap_err().to_string();
    assert!(refused.contains(&expect.to_string()), "{refused}");
}

fn first(policy: &mut Policy) -> &mut Rule {
    policy.care.first_mut().unwrap()
}

#[test]
fn a_policy_cannot_be_laxer_than_the_law_of_the_house() {
    let care = || name("own-care");
    check(
        |p| p.law[0].name = name("own-care"),
        InvalidPolicy::NameTwice(care()),
    );
    check(
        |p| p.sharing[0].name = name("own-care"),
        InvalidPolicy::NameTwice(care()),
    );
    check(|p| first(p).roles.clear(), InvalidPolicy::Empty(care()));
    check(|p| first(p).purposes.clear(), InvalidPolicy::Empty(care()));
    check(
        |p| first(p).categories.clear(),
        InvalidPolicy::Empty(care()),
    );
    check(
        |p| {
            first(p).institutions.insert(InstitutionId::new([1; 16]));
        },
        InvalidPolicy::CareElsewhere(care()),
    );
    for purpose in [Purpose::Hresch, Purpose::Dsrch, Purpose::Clintrl] {
        check(
            |p| {
                first(p).purposes.insert(purpose);
            },
            InvalidPolicy::ResearchAsCare(care(), purpose),
        );
    }
    for purpose in [Purpose::Btg, Purpose::Hsysadmin] {
        check(
            |p| {
                p.law[0].purposes.insert(purpose);
            },
            InvalidPolicy::Purpose(name("right-of-access"), purpose),
        );
    }
    for role in [
        Role::Operator,
        Role::Device,
        Role::System,
        Role::Controller,
        Role::Committee,
    ] {
        check(
            |p| {
                p.sharing[0].roles.insert(role);
            },
            InvalidPolicy::Role("rule shared-care".to_owned(), role),
        );
        check(
            |p| {
                p.break_glass.roles.insert(role);
            },
            InvalidPolicy::Role("break-glass".to_owned(), role),
        );
        check(
            |p| {
                p.safeguarding.approvers.insert(role);
            },
            InvalidPolicy::Role("safeguarding".to_owned(), role),
        );
    }
}

#[test]
fn not_even_a_policy_that_nobody_checked_opens_what_none_can() {
    let opens = |role, purpose| {
        let mut policy = Policy::default();
        let rule = first(&mut policy);
        rule.roles.insert(role);
        rule.purposes.insert(purpose);
        policy.law.push(first(&mut policy.clone()).clone());
        policy.law.last_mut().unwrap().institutions = [OTHER].into();
        let state = state(|_| {});
        let effective = Effective::of(&state);
        [CUSTODIAN, OTHER].map(|institution| {
            let ask = request(actor(institution, 0, &[role]), purpose, &[Category::Vitals]);
            decide(&policy, &effective, &ask, &facts(5))
                .permit()
                .is_some()
        })
    };
    assert_eq!(opens(Role::Desk, Purpose::Train), [true, true]);
    assert_eq!(opens(Role::Desk, Purpose::Btg), [false, false]);
    assert_eq!(opens(Role::Desk, Purpose::Hsysadmin), [false, false]);
    // As own care, never; by law, which a policy may know, elsewhere.
    assert_eq!(opens(Role::Researcher, Purpose::Hresch), [false, true]);
    for role in [
        Role::Operator,
        Role::Device,
        Role::System,
        Role::Controller,
        Role::Committee,
    ] {
        assert_eq!(opens(role, Purpose::Train), [false, false]);
    }
}

#[test]
fn bounds_hold() {
    let bound = |what, value, max| InvalidPolicy::Bound { what, value, max };
    let minutes = "break-glass max_minutes";
    check(
        |p| p.break_glass.max_minutes = 241,
        bound(minutes, 241, 240),
    );
    check(|p| p.break_glass.max_minutes = 0, bound(minutes, 0, 240));
    let hours = "break-glass notice_within_hours";
    check(
        |p| p.break_glass.notice_within_hours = 73,
        bound(hours, 73, 72),
    );
    let days = "break-glass review_within_days";
    check(
        |p| p.break_glass.review_within_days = 31,
        bound(days, 31, 30),
    );
    let delay = "safeguarding max_days";
    check(|p| p.safeguarding.max_days = 181, bound(delay, 181, 180));
    let total = "safeguarding max_total_days";
    check(
        |p| p.safeguarding.max_total_days = 731,
        bound(total, 731, 730),
    );
}

#[test]
fn retention_counts_years_from_the_last_record() {
    let mut policy = Policy::default();
    let last = |text: &str| Millis::from_rfc3339(text).unwrap();
    assert_eq!(policy.retention_after(last("2026-03-01T12:00:00Z")), None);
    policy.retention = Some(RetentionPolicy {
        rule: name("records-act"),
        years: 10,
    });
    let check = |from: &str, until: &str| {
        let retention = policy.retention_after(last(from)).unwrap();
        assert_eq!(retention.until.to_rfc3339(), until);
        assert_eq!(retention.rule.as_str(), "records-act");
    };
    // Never before the anniversary, and on a day's start.
    check("2026-03-01T12:00:00Z", "2036-03-02T00:00:00.000Z");
    check("2026-03-01T00:00:00Z", "2036-03-02T00:00:00.000Z");
    check("2028-02-29T23:59:59Z", "2038-03-02T00:00:00.000Z");
    let endless = policy.retention_after(Millis::new(u64::MAX)).unwrap();
    assert_eq!(endless.until, Millis::new(u64::MAX));
    assert_eq!(
        Policy::default().system.categories.len(),
        Category::ALL.len()
    );
}
