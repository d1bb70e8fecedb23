//! One well-formed request for each endpoint, so that nothing but the asker and the consent decide.

use super::Asker;
use crate::{
    families::{Family, NOTHING, delay, family_key, grant, keyholders, phenopacket},
    house::House,
    wire::Call,
};
use api::endpoint::{ENDPOINTS, Endpoint};
use node::consent_change::ConsentBundle;
use serde_json::json;

/// What a request needs to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// No subject: one row for all states.
    NoSubject,
    /// Any subject; the request changes nothing that other requests depend on.
    Any,
    /// A subject of its own, used up by the first who succeeds.
    Own,
    /// The same, with disclosures, delays, a session and an enrolment.
    OwnWithTrail,
}

/// Bytes that a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    None,
    Opening,
    Enrolment,
}

/// One endpoint's request.
pub(super) struct Case {
    pub(super) id: &'static str,
    /// What sets it apart from another case of that endpoint.
    pub(super) variant: &'static str,
    pub(super) needs: Needs,
    pub(super) bytes: Bytes,
    /// Which of the family's disclosures the path names.
    disclosure: usize,
    pub(super) call: fn(Call, &Asker, &[u8], &House) -> Call,
}

const fn case(
    id: &'static str,
    needs: Needs,
    call: fn(Call, &Asker, &[u8], &House) -> Call,
) -> Case {
    Case {
        id,
        variant: "",
        needs,
        bytes: Bytes::None,
        disclosure: 0,
        call,
    }
}

const fn plain(id: &'static str, needs: Needs) -> Case {
    case(id, needs, |call, _, _, _| call)
}

use Needs::{Any, NoSubject, Own, OwnWithTrail};

/// The stored form instead of its permitted parts.
pub(super) const STORED_FORM: &str = "stored form";
/// While somebody else has broken the glass.
pub(super) const BROKEN_GLASS: &str = "for BTG, with another's session";
/// What few roles may see.
pub(super) const GENOMIC: &str = "genomic";
/// Of a period that never was.
const NEVER: &str = "of a period before the first";
/// A receipt that opens a part.
pub(super) const LEAF: &str = "opening the identity";
/// A receipt that opens all of it.
pub(super) const STORED_LEAF: &str = "opening the stored form";
const NO_PROPOSAL: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const NO_STUDY: &str = "07070707070707070707070707070707";
const NO_EXPORT: &str = "07070707070707070707070707070707";
const OF_A_SUBJECT: &str = "of a subject";

pub(super) const CASES: &[Case] = &[
    plain("health", NoSubject),
    plain("ready", NoSubject),
    plain("metrics", NoSubject),
    plain("openapi", NoSubject),
    plain("status", NoSubject),
    case("auth_authorize", NoSubject, |call, _, _, _| {
        call.query(crate::auth::REQUEST)
    }),
    // Nobody has opened these forms.
    case("auth_sign_in", NoSubject, |call, _, _, _| {
        call.form("name=a")
    }),
    case("auth_agree", NoSubject, |call, _, _, _| {
        call.form("decision=allow")
    }),
    case("passkey_challenge", NoSubject, |call, _, _, _| {
        call.form("name=a")
    }),
    case("passkey_sign_in", NoSubject, |call, _, _, _| {
        call.form("credential=%7B%7D")
    }),
    plain("passkey_page", NoSubject),
    case("passkey_manage", NoSubject, |call, _, _, _| {
        call.form("name=a")
    }),
    case("passkey_offer", NoSubject, |call, _, _, _| {
        call.form("ticket=x")
    }),
    case("passkey_add", NoSubject, |call, _, _, _| {
        call.form("ticket=x")
    }),
    case("passkey_remove", NoSubject, |call, _, _, _| {
        call.form("id=x")
    }),
    plain("passkey_script", NoSubject),
    case("auth_token", NoSubject, |call, _, _, _| {
        call.form("grant_type=authorization_code&client_id=app&code=x")
    }),
    case("auth_introspect", NoSubject, |call, _, _, _| {
        call.form("token=x")
    }),
    case("auth_revoke", NoSubject, |call, _, _, _| {
        call.form("client_id=app&token=x")
    }),
    case("auth_launch", NoSubject, |call, _, _, _| {
        call.json(&json!({"patient": "p1"}))
    }),
    plain("auth_keys", NoSubject),
    plain("openid_configuration", NoSubject),
    plain("smart_configuration", NoSubject),
    plain("fhir_smart_configuration", NoSubject),
    plain("network_show", NoSubject),
    case("network_propose", NoSubject, |call, _, _, _| {
        call.json(
            &json!({"change": {"parameters": {"recover_delay_ms": 600_000}}, "open_epochs": 0}),
        )
    }),
    case("network_admit", NoSubject, |call, _, _, _| {
        call.cbor(b"no application")
    }),
    // Nothing that is open has this name.
    case("network_vote", NoSubject, |call, _, _, _| {
        call.json(&json!({"approve": true}))
    }),
    plain("log_checkpoint", NoSubject),
    plain("log_cosigned", NoSubject),
    plain("log_tile", NoSubject),
    plain("log_bundle", NoSubject),
    // Nobody else is in this network: those who may are told that this is no checkpoint.
    case("checkpoint_cosign", NoSubject, |call, _, _, _| {
        call.bytes("text/plain", "no checkpoint")
    }),
    case("checkpoint_collect", NoSubject, |call, _, _, _| {
        call.bytes("text/plain", "no checkpoint")
    }),
    case("subject_open", NoSubject, |call, _, _, _| {
        call.json(&json!({"assisted": true}))
    }),
    plain("subject_status", Any),
    plain("notice_list", Any),
    plain("subject_erase", Own),
    plain("subject_close", Own),
    case("subject_open_prepare", NoSubject, |call, _, _, _| {
        call.json(&keyholders())
    }),
    Case {
        bytes: Bytes::Opening,
        ..case("subject_open_submit", NoSubject, |call, _, bytes, _| {
            call.cbor(bytes)
        })
    },
    case("subject_enrol_prepare", Any, |call, _, _, _| {
        call.json(&keyholders())
    }),
    // Nobody else is in this network, so that those who may are told that nobody can countersign.
    case("subject_recover", Any, |call, _, _, house| {
        let key = family_key().public().to_string();
        call.json(&json!({"keys": [{"slot": 0, "key": key}], "witness": house.elsewhere}))
    }),
    case("subject_recover_endorse", NoSubject, |call, _, _, _| {
        call.cbor(b"no draft")
    }),
    case("subject_recover_submit", Any, |call, _, _, _| {
        call.cbor(b"no draft")
    }),
    case("record_deposit", Any, |call, asker, _, _| {
        call.json(&phenopacket(asker.short))
    }),
    case("record_list", Any, |call, asker, _, _| {
        call.query(&format!("purpose={}", asker.purpose))
    }),
    case("record_fetch", Any, |call, asker, _, _| {
        call.query(&format!("purpose={}", asker.purpose))
    }),
    Case {
        variant: GENOMIC,
        ..case("record_fetch", Any, |call, asker, _, _| {
            call.query(&format!("purpose={}&categories=genomic", asker.purpose))
        })
    },
    Case {
        variant: STORED_FORM,
        ..case("record_fetch", Any, |call, asker, _, _| {
            call.query(&format!("purpose={}", asker.purpose))
                .header("accept", "application/octet-stream")
        })
    },
    Case {
        variant: BROKEN_GLASS,
        ..case("record_fetch", Any, |call, _, _, _| {
            call.query("purpose=BTG")
        })
    },
    case("record_replace", Own, |call, _, _, _| {
        call.header("if-match", "\"1\"")
            .json(&phenopacket("second"))
    }),
    plain("record_receipt", Any),
    Case {
        variant: LEAF,
        ..case("record_receipt", Any, |call, asker, _, _| {
            call.query(&format!("leaf=identity&purpose={}", asker.purpose))
        })
    },
    Case {
        variant: STORED_LEAF,
        ..case("record_receipt", Any, |call, asker, _, _| {
            call.query(&format!("leaf=stored&purpose={}", asker.purpose))
        })
    },
    plain("consent_show", Any),
    case("consent_prepare", Any, |call, _, _, _| {
        call.json(&json!({"slot": 0, "changes": [{"opt-out": "HQUALIMP"}]}))
    }),
    Case {
        bytes: Bytes::Enrolment,
        ..case("consent_submit", OwnWithTrail, |call, _, bytes, _| {
            call.cbor(bytes)
        })
    },
    case("consent_change", Own, |call, _, _, _| {
        call.json(&json!({"changes": [{"opt-out": "HQUALIMP"}]}))
    }),
    plain("grant_list", Any),
    case("grant_add", Own, |call, _, _, house| {
        call.json(&grant(house))
    }),
    plain("grant_revoke", Own),
    case("restriction_set", Own, |call, _, _, _| {
        call.json(&json!({"restricted": true}))
    }),
    // Of a grant that does not stand, so that those who may are told so.
    case("share_point", Any, |call, _, _, _| {
        call.json(&json!({"grant": "00".repeat(16)}))
    }),
    // Of this institution itself, so that those who may are told to fetch.
    case("share_ask", NoSubject, |call, _, _, house| {
        let subject = "00".repeat(32);
        call.json(&json!({"custodian": house.institution, "subject": subject, "purpose": "TREAT"}))
    }),
    plain("disclosure_list", Any),
    case("disclosure_proof", Any, |call, _, _, house| {
        call.query(&format!("period={}", house.period()))
    }),
    Case {
        variant: NEVER,
        ..case("disclosure_proof", Any, |call, _, _, _| {
            call.query("period=1")
        })
    },
    plain("safeguarding_list", Any),
    case("safeguarding_propose", OwnWithTrail, |call, _, _, _| {
        call.json(&delay())
    }),
    Case {
        disclosure: 1,
        ..plain("safeguarding_approve", OwnWithTrail)
    },
    Case {
        disclosure: 2,
        ..plain("safeguarding_lift", OwnWithTrail)
    },
    case("break_glass_open", Any, |call, _, _, _| {
        call.json(&json!({"reason": "unconscious", "minutes": 30}))
    }),
    plain("break_glass_list", NoSubject),
    Case {
        variant: OF_A_SUBJECT,
        ..plain("break_glass_list", Any)
    },
    case("break_glass_review", OwnWithTrail, |call, _, _, _| {
        call.json(&json!({"verdict": "justified", "note": "it was so"}))
    }),
    case("hold_set", Any, |call, _, _, _| {
        call.json(&json!({"until": "2090-01-01T00:00:00Z", "reason_code": "litigation"}))
    }),
    plain("hold_clear", Any),
    plain("fhir_metadata", NoSubject),
    case("fhir_bundle", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": {"resourceType": "Basic", "code": {"text": "x"}}, "request": {"method": "POST", "url": "Basic"}}
        ]}))
    }),
    plain("fhir_search", NoSubject),
    case("fhir_search_form", NoSubject, |call, _, _, _| {
        call.bytes("application/x-www-form-urlencoded", "family=nobody-at-all")
    }),
    case("fhir_create", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Patient"}))
    }),
    // Nobody is called so; those who may write a new Patient may write this one.
    case("fhir_update_matching", NoSubject, |call, _, _, _| {
        call.query("family=nobody-at-all")
            .fhir(&json!({"resourceType": "Patient"}))
    }),
    case("fhir_patch_matching", NoSubject, |call, _, _, _| {
        call.query("family=nobody-at-all")
            .bytes("application/json-patch+json", "[]")
    }),
    case("fhir_delete_matching", NoSubject, |call, _, _, _| {
        call.query("family=nobody-at-all")
    }),
    plain("fhir_history_type", NoSubject),
    case("fhir_validate", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Patient"}))
    }),
    plain("fhir_read", Any),
    case("fhir_update", Own, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Patient", "active": true}))
    }),
    case("fhir_patch", Any, |call, _, _, _| {
        let patch = r#"[{"op": "add", "path": "/active", "value": false}]"#;
        call.bytes("application/json-patch+json", patch)
    }),
    plain("fhir_delete", Own),
    plain("fhir_history", Any),
    plain("fhir_version", Any),
    plain("fhir_everything", Any),
    plain("fhir_compartment", Any),
    // Without `Prefer: respond-async`, so that those who may are told so.
    plain("fhir_export", NoSubject),
    case("fhir_export_post", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Parameters"}))
    }),
    plain("fhir_export_patients", NoSubject),
    case("fhir_export_patients_post", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Parameters"}))
    }),
    plain("fhir_export_group", NoSubject),
    case("fhir_export_group_post", NoSubject, |call, _, _, _| {
        call.fhir(&json!({"resourceType": "Parameters"}))
    }),
    // Of an export that nobody began.
    plain("fhir_export_state", NoSubject),
    plain("fhir_export_end", NoSubject),
    plain("fhir_export_file", NoSubject),
    case("differential_read", Any, |call, asker, _, _| {
        call.query(&format!("purpose={}", asker.purpose))
    }),
    plain("identity_list", NoSubject),
    // Nothing waits under this name: those who may are told so.
    case("identity_decide", NoSubject, |call, _, _, _| {
        call.json(&json!({"verdict": "different"}))
    }),
    plain("identity_undo", NoSubject),
    plain("differential_changes", NoSubject),
    case("diagnose", NoSubject, |call, _, _, _| {
        call.bytes("text/plain", "Arachnodactyly")
    }),
    case("term_search", NoSubject, |call, _, _, _| {
        call.query("q=arach")
    }),
    plain("event_stream", NoSubject),
    plain("cds_services", NoSubject),
    // Without the resources that it needs, so that those who may are told so.
    case("cds_call", NoSubject, |call, _, _, _| {
        call.json(&json!({
            "hook": "patient-view",
            "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": {"userId": "Practitioner/1", "patientId": "1"},
        }))
    }),
    case("cds_feedback", NoSubject, |call, _, _, _| {
        call.json(&json!({"feedback": []}))
    }),
    case("study_propose", NoSubject, |call, _, _, house| {
        call.json(&study(house))
    }),
    plain("study_list", NoSubject),
    plain("study_show", NoSubject),
    case("study_step", NoSubject, |call, _, _, _| {
        call.json(&json!({"step": "approve"}))
    }),
    plain("study_matching", NoSubject),
    plain("study_spending", NoSubject),
    case("study_recontact", NoSubject, |call, _, _, _| {
        call.json(&json!({"token": "00"}))
    }),
    case("release_prepare", NoSubject, |call, _, _, _| {
        call.json(&json!({"tier": "T3", "k": 5, "formats": ["parquet"]}))
    }),
    plain("release_list", NoSubject),
    plain("release_show", NoSubject),
    case("release_certify", NoSubject, |call, _, _, _| {
        call.json(&json!({"approve": true}))
    }),
    plain("release_replay", NoSubject),
    plain("release_file", NoSubject),
    plain("research_held", Any),
    plain("beacon_root", NoSubject),
    plain("beacon_ask", NoSubject),
    case("beacon_post", NoSubject, |call, _, _, _| {
        call.json(&json!({"meta": {"apiVersion": "2.0"}}))
    }),
];

impl Case {
    fn endpoint(&self) -> &'static Endpoint {
        ENDPOINTS.iter().find(|e| e.id == self.id).unwrap()
    }

    /// How it is headed in the golden file.
    pub(super) fn head(&self) -> String {
        let Endpoint { method, path, .. } = self.endpoint();
        let variant = match self.variant {
            "" => String::new(),
            variant => format!(" ({variant})"),
        };
        format!("{}: {} {path}{variant}", self.id, method.as_str())
    }

    /// A request to the endpoint's path for a family.
    pub(super) fn start(&self, family: &Family) -> Call {
        let endpoint = self.endpoint();
        let fill = |path: String, name: &str| {
            let value = match name {
                "level" => "0",
                "index" => "000.p/1",
                "subject" => &family.subject,
                "record" => &family.record,
                "grant" => &family.grant,
                "session" => &family.session,
                "disclosure" => &family.disclosures[self.disclosure],
                "proposal" => NO_PROPOSAL,
                "item" => NOTHING,
                "service" => "ithaca-patient-view",
                "kind" => "Patient",
                "id" => &family.patient,
                "other" => "Observation",
                "version" => "1",
                "job" => NO_EXPORT,
                "file" => "Patient.0.ndjson",
                "study" => NO_STUDY,
                "release" => "0",
                "what" => "individuals",
                other => panic!("nothing to put in place of {{{other}}}"),
            };
            path.replace(&format!("{{{name}}}"), value)
        };
        let path = endpoint.in_path().fold(endpoint.documented_path(), fill);
        let query = match self.variant {
            OF_A_SUBJECT => format!("?subject={}", family.subject),
            _ => String::new(),
        };
        Call::new(endpoint.method.as_str(), path + &query)
    }
}

/// An opening of a new subject that its family signed.
pub(super) async fn opening(house: &House) -> Vec<u8> {
    let prepared = Call::post("/v1/subjects/prepare")
        .bearer(&house.staff.desk)
        .json(&keyholders())
        .send(house)
        .await
        .is(200);
    let bundle = ConsentBundle::decode(&prepared.body).unwrap();
    bundle.sign(&family_key()).unwrap().encode()
}

/// A study that may be proposed.
pub(crate) fn study(house: &House) -> serde_json::Value {
    json!({
        "title": "Noncompaction",
        "summary": "What comes with noncompaction of the heart",
        "declared": {
            "research": ["health"],
            "genetic": false,
            "commercial": false,
            "organisation": "non-profit",
            "institutions": [house.institution],
            "countries": ["GR"],
            "collaborates": false,
            "returns": false,
            "period": {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"},
        },
        "purposes": ["HRESCH"],
        "categories": ["phenotype", "laboratory"],
        "limits": {"k": 5, "linked_per_mille": 50},
    })
}
