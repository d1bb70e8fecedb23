//! Scopes as the SMART App Launch specification writes them.

use smart::{Context, Fault, Interaction, Interaction::*, Reach, Scopes};

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).expect(text)
}

/// The letters that a text permits for a type.
fn may(text: &str, kind: &str) -> String {
    let scopes = scopes(text);
    Interaction::ALL
        .into_iter()
        .filter(|i| scopes.permits(*i, kind).is_some())
        .map(Interaction::letter)
        .collect()
}

fn check(text: &str, kind: &str, expect: &str) {
    assert_eq!(may(text, kind), expect, "{text} for {kind}");
}

#[test]
fn letters_of_version_2_permit_what_they_name() {
    check("patient/Observation.rs", "Observation", "rs");
    check("patient/Observation.cruds", "Observation", "cruds");
    check("user/*.cud", "Patient", "cud");
    check("system/Patient.s", "Patient", "s");
    check("patient/Observation.rs", "Condition", "");
    check(
        "patient/Observation.c patient/Observation.d",
        "Observation",
        "cd",
    );
}

#[test]
fn version_1_maps_to_version_2() {
    check("patient/Observation.read", "Observation", "rs");
    check("patient/Observation.write", "Observation", "cud");
    check("patient/*.*", "Observation", "cruds");
    check(
        "user/Appointment.read user/Appointment.write",
        "Appointment",
        "cruds",
    );
}

#[test]
fn only_patient_scopes_stay_in_the_patients_compartment() {
    let reach = |text: &str| scopes(text).permits(Read, "Observation").expect(text);
    assert!(reach("patient/Observation.rs").patient_only);
    assert!(!reach("user/Observation.rs").patient_only);
    assert!(!reach("system/Observation.rs").patient_only);
    assert!(!reach("patient/*.rs user/Observation.r").patient_only);
    assert!(reach("patient/*.rs user/Condition.r").patient_only);
}

#[test]
fn queries_are_alternatives_and_within_one_all_must_match() {
    let text = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory \
                patient/Observation.r?category=vital-signs&status=final";
    let read = scopes(text).permits(Read, "Observation").expect("read");
    let laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    assert_eq!(
        read.filters,
        [
            vec![pair("category", laboratory)],
            vec![pair("category", "vital-signs"), pair("status", "final")],
        ]
    );
    let search = scopes(text).permits(Search, "Observation").expect("search");
    assert_eq!(search.filters.len(), 1);
    assert!(read.covers(true, |f| f.1 == laboratory));
    assert!(!read.covers(true, |f| f.1 == "vital-signs"));
    assert!(!read.covers(false, |_| true));
}

#[test]
fn a_scope_without_a_query_lifts_the_others() {
    let text = "user/Observation.rs?category=vital-signs user/Observation.r";
    let reach = scopes(text).permits(Read, "Observation");
    assert_eq!(reach, Some(Reach::default()));
    let reach = scopes(text).permits(Search, "Observation").expect("search");
    assert_eq!(reach.filters.len(), 1);
}

#[test]
fn the_own_patient_is_reached_beside_a_filtered_user_scope() {
    let reach = scopes("user/Observation.rs?category=vital-signs patient/Observation.rs")
        .permits(Search, "Observation")
        .expect("search");
    assert!(reach.covers(true, |_| false), "the patient's own");
    assert!(!reach.covers(false, |_| false), "others without a match");
    assert!(reach.covers(false, |_| true), "others that match");
}

#[test]
fn values_are_percent_decoded() {
    let reach = scopes("user/Observation.s?code:text=a%26b%20c")
        .permits(Search, "Observation")
        .expect("search");
    assert_eq!(
        reach.filters,
        [[("code:text".to_owned(), "a&b c".to_owned())]]
    );
}

#[test]
fn other_scopes_are_kept_by_name_and_permit_no_resource() {
    let text = "openid fhirUser launch launch/patient offline_access online_access unheard.of";
    let all = scopes(text);
    assert_eq!(all.to_string(), text);
    for name in text.split(' ') {
        assert!(all.names(name), "{name}");
    }
    assert!(!all.names("launch/encounter"));
    check(text, "Patient", "");
    assert!(!all.permits_own_interface());
}

#[test]
fn everything_is_everything() {
    let all = Scopes::everything();
    for interaction in Interaction::ALL {
        let reach = all.permits(interaction, "Observation").expect("everything");
        assert!(reach.is_everything());
    }
    assert!(all.permits_own_interface());
    assert!(all.has_context(Context::System));
    assert_eq!(scopes(&all.to_string()), all);
}

#[test]
fn malformed_clinical_scopes_are_refused() {
    let check = |text: &str, fault: Fault| {
        let error = Scopes::parse(text).expect_err(text);
        assert_eq!(error.fault, fault, "{text}");
    };
    check("patient/Observation", Fault::NoInteraction);
    check("patient/Observation.", Fault::Interactions);
    check("patient/Observation.sr", Fault::Interactions);
    check("patient/Observation.rr", Fault::Interactions);
    check("patient/Observation.Read", Fault::Interactions);
    check("patient/observation.rs", Fault::Type);
    check("patient/.rs", Fault::Type);
    check("patient/Obs*.rs", Fault::Type);
    check("patient/Observation.rs?", Fault::Query);
    check("patient/Observation.rs?category", Fault::Query);
    check("patient/Observation.rs?category=", Fault::Query);
    check("patient/Observation.rs?category=%zz", Fault::Query);
    check("patient/Observation.rs?category=%ff", Fault::Query);
    check("patient/Observation.read?category=x", Fault::Query);
    check("user/Obs\"ervation.rs", Fault::Character);
    check("openid\tprofile", Fault::Character);
    let many = "user/Patient.r ".repeat(257);
    check(&many, Fault::TooMany);
    check(&"x".repeat(8193), Fault::TooMany);
    let last = Scopes::parse("openid patient/Observation.x").expect_err("x");
    assert_eq!(last.at, 1);
    assert!(last.to_string().starts_with("scope 2 cannot be read"));
}

#[test]
fn what_is_asked_is_cut_down_to_what_may_be_had() {
    let check = |asked: &str, allowed: &str, expect: &str| {
        let got = scopes(asked).within(&scopes(allowed));
        assert_eq!(got.to_string(), expect, "{asked} within {allowed}");
        assert!(got.are_within(&scopes(allowed)), "{asked} within {allowed}");
    };
    check("openid launch", "openid", "openid");
    check(
        "patient/*.cruds",
        "patient/Observation.rs",
        "patient/Observation.rs",
    );
    check(
        "patient/Observation.read",
        "patient/*.cruds",
        "patient/Observation.read",
    );
    check(
        "patient/Observation.read",
        "user/*.r",
        "patient/Observation.r",
    );
    check(
        "user/*.rs",
        "patient/Observation.rs",
        "patient/Observation.rs",
    );
    check("user/*.rs", "system/*.rs", "");
    check("user/Patient.d", "user/Patient.rs", "");
    check(
        "user/Observation.rs",
        "user/Observation.rs?category=laboratory user/Condition.rs",
        "user/Observation.rs?category=laboratory",
    );
    check("user/*.rs", "user/*.cruds user/Observation.rs", "user/*.rs");
}

#[test]
fn scopes_are_said_in_words() {
    let says = |text: &str| {
        let all = scopes(text);
        all.iter().map(|s| s.says()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        says("patient/Observation.rs?category=laboratory"),
        "read and search Observation entries in the record of one patient, only with category laboratory"
    );
    assert_eq!(
        says("user/*.cruds"),
        "add, read, change, delete and search all kinds of entries in every record that you may use"
    );
    assert_eq!(
        says("offline_access"),
        "go on while you are away, until you take the permission back"
    );
}
