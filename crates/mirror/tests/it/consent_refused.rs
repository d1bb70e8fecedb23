//! What a Consent may say and a grant cannot.

use crate::consent_read::{action, concept, purpose, refuses, replaced, role, there, with};
use serde_json::{Value, json};

#[test]
fn what_a_grant_cannot_say_is_refused() {
    let label = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]);
    let observation =
        json!([{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]);
    let data = |meaning: &str, id: &str| json!([{"meaning": meaning, "reference": {"reference": format!("Observation/{id}")}}]);
    let record = "01".repeat(16);
    let denied = "Consent.provision.provision[0]";
    let other = json!({"role": role("PRCP"), "reference": there()});
    let extension = json!([{"url": "urn:x", "valueCode": "x"}]);
    let all = vec![
        (
            with("/modifierExtension", extension.clone()),
            vec!["not-supported Consent.modifierExtension".to_owned()],
        ),
        (
            with("/implicitRules", json!("urn:x")),
            vec!["not-supported Consent.implicitRules".to_owned()],
        ),
        (
            with("/contained", json!([{}])),
            vec!["not-supported Consent.contained".to_owned()],
        ),
        (
            with("/extension", extension.clone()),
            vec!["extension Consent.extension[0]".to_owned()],
        ),
        (
            with("/_status", json!({"extension": extension})),
            vec!["not-supported Consent".to_owned()],
        ),
        (
            with("/verification/0/verified", json!(false)),
            vec!["business-rule Consent.verification[0].verified".to_owned()],
        ),
        (
            with("/status", json!("draft")),
            vec!["business-rule Consent.status".to_owned()],
        ),
        (
            with("/status", json!("proposed")),
            vec!["business-rule Consent.status".to_owned()],
        ),
        (
            replaced(
                "/category/0",
                concept(
                    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "EMRGONLY",
                ),
            ),
            vec!["code-invalid Consent.category[0].coding[0]".to_owned()],
        ),
        (
            with("/patient", json!({"reference": "Patient/p2"})),
            vec!["not-found Consent.patient".to_owned()],
        ),
        (
            with("/patient", json!({"display": "Kim"})),
            vec!["required Consent.patient".to_owned()],
        ),
        (
            with(
                "/policyRule",
                concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
            ),
            vec!["not-supported Consent.policyRule".to_owned()],
        ),
        (
            with("/policy", json!([{"uri": "urn:x"}])),
            vec!["not-supported Consent.policy[0].uri".to_owned()],
        ),
        (
            with("/policy", json!([{"authority": "urn:x"}])),
            vec!["not-supported Consent.policy[0].uri".to_owned()],
        ),
        (
            with("/policy", json!([{"uri": "urn:ithaca:consent:opt-out"}])),
            vec![
                "invariant Consent.policy".to_owned(),
                "business-rule Consent.provision".to_owned(),
            ],
        ),
        (
            with("/provision/securityLabel", label),
            vec!["not-supported Consent.provision.securityLabel".to_owned()],
        ),
        (
            with(
                "/provision/code",
                json!([concept("http://loinc.org", "1-8")]),
            ),
            vec!["not-supported Consent.provision.code".to_owned()],
        ),
        (
            with("/provision/dataPeriod", json!({"start": "2020"})),
            vec!["not-supported Consent.provision.dataPeriod".to_owned()],
        ),
        (
            with("/provision/maria", json!(1)),
            vec!["not-supported Consent.provision".to_owned()],
        ),
        (
            with("/provision/modifierExtension", extension.clone()),
            vec!["not-supported Consent.provision.modifierExtension".to_owned()],
        ),
        (
            with("/provision/type", json!("deny")),
            vec![
                "not-supported Consent.provision.type".to_owned(),
                "required Consent.provision.type".to_owned(),
            ],
        ),
        (
            with("/provision/class", observation),
            vec!["not-supported Consent.provision.class[0]".to_owned()],
        ),
        (
            with("/provision/class", json!([])),
            vec!["structure Consent.provision.class".to_owned()],
        ),
        (
            with("/provision/data", data("instance", &record)),
            vec!["not-supported Consent.provision.data".to_owned()],
        ),
        (
            replaced("/provision/action/0", action("correct")),
            vec!["not-supported Consent.provision.action".to_owned()],
        ),
        (
            replaced("/provision/action/0", action("burn")),
            vec![
                "code-invalid Consent.provision.action[0]".to_owned(),
                "not-supported Consent.provision.action".to_owned(),
            ],
        ),
        (
            replaced("/provision/purpose/0", purpose("DXIMP")),
            vec!["code-invalid Consent.provision.purpose[0]".to_owned()],
        ),
        (
            replaced("/provision/purpose/0", purpose("BTG")),
            vec!["business-rule Consent.provision.purpose".to_owned()],
        ),
        (
            with("/provision/actor/0", other),
            vec!["not-supported Consent.provision.actor[1]".to_owned()],
        ),
        (
            with("/provision/actor/0/role", role("AUT")),
            vec![
                "not-supported Consent.provision.actor[0].role".to_owned(),
                "required Consent.provision.actor".to_owned(),
            ],
        ),
        (
            with(
                "/provision/actor/0/reference",
                json!({"reference": "Practitioner/7"}),
            ),
            vec![
                "not-found Consent.provision.actor[0].reference".to_owned(),
                "required Consent.provision.actor".to_owned(),
            ],
        ),
        (
            with(
                "/provision/provision/1",
                json!({"type": "permit", "purpose": [purpose("HRESCH")]}),
            ),
            vec!["business-rule Consent.provision.provision[1].purpose".to_owned()],
        ),
        (
            with("/provision/provision/0/period", json!({"start": "2026"})),
            vec![format!("not-supported {denied}")],
        ),
        (
            with("/provision/provision/0/purpose", json!([purpose("TREAT")])),
            vec![format!("not-supported {denied}")],
        ),
        (
            with("/provision/provision/0/class", Value::Null),
            vec![format!("not-supported {denied}")],
        ),
        (
            with("/provision/provision/0/action", json!([action("correct")])),
            vec![format!("not-supported {denied}.action")],
        ),
        (
            with(
                "/provision/provision/0",
                json!({"type": "deny", "data": data("related", &record)}),
            ),
            vec![format!("not-supported {denied}.data[0].meaning")],
        ),
        (
            with(
                "/provision/provision/0",
                json!({"type": "deny", "data": data("instance", "abc")}),
            ),
            vec![format!("not-found {denied}.data[0].reference")],
        ),
        (
            with(
                "/provision/provision/0",
                json!({"type": "deny", "data": data("instance", &format!("{record}/_history/1"))}),
            ),
            vec![format!("not-found {denied}.data[0].reference")],
        ),
        (
            with(
                "/provision/provision/0",
                json!({"type": "deny", "actor": [{"role": role("PRCP"), "reference": there()}]}),
            ),
            vec![format!("not-supported {denied}.actor[0]")],
        ),
    ];
    for (consent, expected) in all {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        refuses(&consent, &expected);
    }
}
