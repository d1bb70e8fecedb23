//! Acts that are not reads: breaking the glass, delaying a disclosure, erasing.

use crate::world::*;
use codec::{DisclosureId, Millis, from_slice, to_vec};
use consent::break_glass::{self, BreakGlassRefused, Verdict};
use consent::safeguarding::{
    self, ActKind, Audience, Delay, Ground, Proposal, SafeguardingRefused, Wish, is_shown,
};
use consent::{
    Actor, BreakGlass, ControllerRole, ErasureRefused, LegalHold, Policy, Retention, Role,
    RuleName, erasure_allowed,
};

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

fn here(who: u8, role: Role) -> Actor {
    actor(CUSTODIAN, who, &[role])
}

fn open(actor: &Actor, minutes: u16) -> Result<BreakGlass, BreakGlassRefused> {
    let why = reason("seizure, no time to ask");
    break_glass::open(
        &Policy::default(),
        CUSTODIAN,
        actor,
        SUBJECT,
        why,
        minutes,
        at(1_000),
    )
}

#[test]
fn glass_is_broken_by_a_role_for_a_time() {
    let session = open(&here(0, Role::EmergencyClinician), 30).unwrap();
    assert_eq!(session.ends(), at(1_000 + 30 * MINUTE));
    assert_eq!(
        (session.opened_by.clone(), session.opened),
        (person(0), at(1_000))
    );
    assert_eq!(
        from_slice::<BreakGlass>(&to_vec(&session)).unwrap(),
        session
    );
    assert!(!format!("{session:?}").contains("seizure"));
    insta::assert_snapshot!(session.notice(&Policy::default()).sentence);

    let clinician = here(0, Role::Clinician);
    assert!(open(&clinician, 240).is_ok());
    let max = 240;
    for minutes in [0, 241, u16::MAX] {
        let refused = BreakGlassRefused::Minutes { minutes, max };
        assert_eq!(open(&clinician, minutes), Err(refused));
    }
    for role in [
        Role::Desk,
        Role::Researcher,
        Role::Operator,
        Role::Controller,
    ] {
        assert_eq!(open(&here(0, role), 10), Err(BreakGlassRefused::Role));
    }
    let stranger = actor(OTHER, 0, &[Role::Clinician]);
    assert_eq!(open(&stranger, 10), Err(BreakGlassRefused::Elsewhere));
}

#[test]
fn a_stricter_policy_binds_and_a_laxer_one_does_not() {
    let bounded = |max_minutes, minutes| {
        let mut policy = Policy::default();
        policy.break_glass.max_minutes = max_minutes;
        let clinician = here(0, Role::Clinician);
        let why = reason("seizure");
        break_glass::open(&policy, CUSTODIAN, &clinician, SUBJECT, why, minutes, at(0)).is_ok()
    };
    assert!(bounded(60, 60) && !bounded(60, 61));
    assert!(bounded(1_000, 240) && !bounded(1_000, 241));
}

#[test]
fn a_session_is_reviewed_by_someone_else() {
    let session = open(&here(0, Role::Clinician), 10).unwrap();
    let review = |actor: &Actor, when| {
        let (policy, note) = (Policy::default(), reason("seen and heard"));
        break_glass::review(&policy, &session, actor, Verdict::Justified, note, at(when))
    };
    let officer = here(1, Role::PrivacyOfficer);
    let done = review(&officer, 2_000).unwrap();
    assert_eq!(
        (done.reviewed_by.clone(), done.verdict),
        (person(1), Verdict::Justified)
    );
    assert_eq!(from_slice(&to_vec(&done)), Ok(done));
    let own = actor(CUSTODIAN, 0, &[Role::PrivacyOfficer]);
    assert_eq!(review(&own, 2_000), Err(BreakGlassRefused::OwnSession));
    let colleague = here(1, Role::Clinician);
    assert_eq!(review(&colleague, 2_000), Err(BreakGlassRefused::Role));
    let stranger = actor(OTHER, 1, &[Role::PrivacyOfficer]);
    assert_eq!(review(&stranger, 2_000), Err(BreakGlassRefused::Elsewhere));
    assert_eq!(review(&officer, 999), Err(BreakGlassRefused::TooEarly));
}

#[test]
fn reasons_are_words_within_bounds() {
    use consent::Reason;
    assert!(Reason::new("x").is_ok());
    assert!(Reason::new("two\nlines").is_ok());
    assert!(Reason::new("é".repeat(500)).is_ok());
    for bad in ["", "   ", "\n", "a\0b", "evil \u{202e} text"] {
        assert!(Reason::new(bad).is_err(), "{bad:?}");
    }
    assert!(Reason::new("é".repeat(501)).is_err());
}

const DISCLOSED: u64 = 10 * DAY;

fn wish(audience: Audience, until: u64) -> Wish {
    Wish {
        disclosure: DisclosureId::new([4; 16]),
        disclosed: at(DISCLOSED),
        disclosed_to: person(7),
        audience,
        ground: Ground::SuspectedAbuse,
        reason: reason("bruises; child protection is informed"),
        until: at(until),
    }
}

fn propose(actor: &Actor, until: u64) -> Result<Proposal, SafeguardingRefused> {
    let wish = wish(Audience::Guardians, until);
    safeguarding::propose(&Policy::default(), CUSTODIAN, actor, wish, at(DISCLOSED))
}

fn approve(proposal: Proposal, actor: &Actor, when: u64) -> Result<Delay, SafeguardingRefused> {
    safeguarding::approve(&Policy::default(), proposal, actor, at(when))
}

fn delayed() -> Delay {
    let proposal = propose(&here(0, Role::Clinician), DISCLOSED + 30 * DAY).unwrap();
    approve(proposal, &here(1, Role::PrivacyOfficer), DISCLOSED + DAY).unwrap()
}

#[test]
fn a_delay_takes_two_people() {
    let nurse = here(0, Role::Nurse);
    let proposal = propose(&nurse, DISCLOSED + DAY).unwrap();
    let approve = |actor: Actor, when| approve(proposal.clone(), &actor, when);
    let officer = |who| here(who, Role::PrivacyOfficer);
    assert!(approve(officer(1), DISCLOSED).is_ok());
    assert_eq!(
        approve(officer(0), DISCLOSED),
        Err(SafeguardingRefused::OwnProposal)
    );
    assert_eq!(
        approve(officer(7), DISCLOSED),
        Err(SafeguardingRefused::OwnDisclosure)
    );
    assert_eq!(
        approve(here(1, Role::Clinician), DISCLOSED),
        Err(SafeguardingRefused::Role)
    );
    let stranger = actor(OTHER, 1, &[Role::PrivacyOfficer]);
    assert_eq!(
        approve(stranger, DISCLOSED),
        Err(SafeguardingRefused::Elsewhere)
    );
    let over = at(DISCLOSED + DAY);
    assert_eq!(
        approve(officer(1), over.get()),
        Err(SafeguardingRefused::Over(over))
    );
    assert_eq!(
        propose(&here(0, Role::Desk), DISCLOSED + DAY),
        Err(SafeguardingRefused::Role)
    );
    let stranger = actor(OTHER, 0, &[Role::Nurse]);
    assert_eq!(
        propose(&stranger, DISCLOSED + DAY),
        Err(SafeguardingRefused::Elsewhere)
    );

    // Two rows written by one person hide nothing.
    let mut forged = delayed();
    forged.approved_by = forged.proposal.proposed_by.clone();
    assert!(!forged.hides_from(ControllerRole::Guardian, at(DISCLOSED + DAY)));
}

#[test]
fn a_delay_is_limited_each_time_and_in_all() {
    let nurse = here(0, Role::Nurse);
    let longest = at(DISCLOSED + 90 * DAY);
    assert!(propose(&nurse, longest.get()).is_ok());
    let longer = propose(&nurse, longest.get() + 1);
    assert_eq!(longer, Err(SafeguardingRefused::TooLong(longest)));
    assert_eq!(propose(&nurse, DISCLOSED), Err(SafeguardingRefused::Empty));
    // Renewed again and again, it ends a year after the disclosure.
    let again = |now: u64, until: u64| {
        let wish = wish(Audience::Everyone, until);
        safeguarding::propose(&Policy::default(), CUSTODIAN, &nurse, wish, at(now))
    };
    let year = DISCLOSED + 365 * DAY;
    assert!(again(year - DAY, year).is_ok());
    assert_eq!(
        again(year - DAY, year + 1),
        Err(SafeguardingRefused::TooLong(at(year)))
    );
    // Whatever is stored, two years.
    let mut forged = delayed();
    forged.proposal.wish.until = Millis::new(u64::MAX);
    assert_eq!(forged.ends(), at(DISCLOSED + 730 * DAY));
}

#[test]
fn a_delay_hides_one_disclosure_from_some_eyes_for_some_time() {
    let delay = delayed();
    let shown = |to, when| {
        let delays = std::slice::from_ref(&delay);
        is_shown(delays, &DisclosureId::new([4; 16]), to, at(when))
    };
    let end = DISCLOSED + 30 * DAY;
    assert!(!shown(ControllerRole::Guardian, end - 1));
    assert!(shown(ControllerRole::Guardian, end));
    assert!(shown(ControllerRole::Subject, end - 1));
    let another = DisclosureId::new([5; 16]);
    let delays = std::slice::from_ref(&delay);
    assert!(is_shown(
        delays,
        &another,
        ControllerRole::Guardian,
        at(DISCLOSED)
    ));
    let mut wider = delay.clone();
    wider.proposal.wish.audience = Audience::Everyone;
    assert!(wider.hides_from(ControllerRole::Subject, at(DISCLOSED)));
    assert_eq!(from_slice::<Delay>(&to_vec(&delay)).unwrap(), delay);
    assert!(!format!("{delay:?}").contains("bruises"));
}

#[test]
fn one_person_lifts_a_delay_and_every_act_is_kept() {
    let delay = delayed();
    let lift = |actor: &Actor, delay: &Delay, when| {
        safeguarding::lift(&Policy::default(), delay, actor, at(when))
    };
    let when = DISCLOSED + 3 * DAY;
    let lifted = lift(&here(0, Role::Clinician), &delay, when).unwrap();
    assert_eq!(lifted.ends(), at(when));
    assert!(!lifted.hides_from(ControllerRole::Guardian, at(when)));
    assert!(lifted.hides_from(ControllerRole::Guardian, at(when - 1)));
    let acts: Vec<_> = lifted
        .acts()
        .iter()
        .map(|a| (a.kind, a.by.clone(), a.at.get()))
        .collect();
    let expect = [
        (ActKind::Proposed, person(0), DISCLOSED),
        (ActKind::Approved, person(1), DISCLOSED + DAY),
        (ActKind::Lifted, person(0), when),
    ];
    assert_eq!(acts, expect);
    insta::assert_snapshot!(lifted.explanation());

    let nurse = here(2, Role::Nurse);
    assert_eq!(
        lift(&nurse, &lifted, when),
        Err(SafeguardingRefused::Lifted(at(when)))
    );
    let end = delay.ends();
    assert_eq!(
        lift(&nurse, &delay, end.get()),
        Err(SafeguardingRefused::Over(end))
    );
    assert_eq!(
        lift(&here(2, Role::Desk), &delay, when),
        Err(SafeguardingRefused::Role)
    );
    let stranger = actor(OTHER, 2, &[Role::Nurse]);
    assert_eq!(
        lift(&stranger, &delay, when),
        Err(SafeguardingRefused::Elsewhere)
    );
}

#[test]
fn erasure_waits_for_holds_and_retention() {
    let rule = |name: &str| RuleName::new(name).unwrap();
    let hold = |until| LegalHold {
        until: at(until),
        reason_code: rule("litigation"),
    };
    let kept = |until| Retention {
        until: at(until),
        rule: rule("medical-records-act"),
    };
    let check = |holds: &[u64], retentions: &[u64], now, expect: Option<u64>| {
        let holds: Vec<_> = holds.iter().map(|u| hold(*u)).collect();
        let retentions: Vec<_> = retentions.iter().map(|u| kept(*u)).collect();
        let verdict = erasure_allowed(&holds, &retentions, at(now));
        assert_eq!(verdict.err().map(|refused| refused.until()), expect.map(at));
    };
    check(&[], &[], 5, None);
    check(&[6], &[], 5, Some(6));
    check(&[6], &[], 6, None);
    check(&[], &[6], 5, Some(6));
    check(&[], &[6], 6, None);
    check(&[7, 9, 3], &[8], 5, Some(9));
    check(&[7], &[8, 2], 5, Some(8));
    let tie = erasure_allowed(&[hold(8)], &[kept(8)], at(5));
    assert_eq!(tie, Err(ErasureRefused::LegalHold(hold(8))));
    let message = erasure_allowed(&[], &[kept(DAY)], at(0))
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "kept by law (medical-records-act) until 2 January 1970, 00:00 UTC"
    );
}
