//! Studies over HTTP: from the proposal to a beacon, each step by who may take it.

use crate::{
    house::{House, run},
    matrix::study,
    wire::{Answer, Call},
};
use consent::Role;
use serde_json::{Value, json};
use std::time::Duration;

async fn step(house: &House, token: &str, id: &str, step: Value) -> Answer {
    Call::post(format!("/v1/studies/{id}/steps"))
        .bearer(token)
        .json(&json!({ "step": step }))
        .send(house)
        .await
}

#[test]
fn a_study_goes_its_way() {
    run(async |house| {
        let researcher = house.token("study-researcher", Role::Researcher);
        let committee = house.token("study-committee", Role::Committee);
        let proposed = Call::post("/v1/studies")
            .bearer(&researcher)
            .json(&study(house))
            .send(house)
            .await
            .is(201)
            .value();
        let id = proposed["id"].as_str().unwrap().to_owned();
        assert_eq!(proposed["status"], "proposed");
        assert_eq!(proposed["study"]["declared"]["study"], proposed["id"]);

        // Out of order, and by whom it is not for.
        step(house, &researcher, &id, json!("open")).await.is(409);
        step(house, &researcher, &id, json!("approve"))
            .await
            .is(403);
        let approved = step(house, &committee, &id, json!("approve")).await.is(200);
        assert_eq!(approved.value()["status"], "approved");
        let digest = "11".repeat(32);
        step(house, &committee, &id, json!({ "agree": digest }))
            .await
            .is(403);
        step(house, &researcher, &id, json!({ "agree": digest }))
            .await
            .is(200);
        let opened = step(house, &researcher, &id, json!("open")).await.is(200);
        let policy = opened.value()["policy"].clone();

        let mut shown = Value::Null;
        for _ in 0..600 {
            let call = Call::get(format!("/v1/studies/{id}")).bearer(&researcher);
            shown = call.send(house).await.is(200).value();
            if shown["on_ledger"] == true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(
            (&shown["on_ledger"], &shown["policy"]),
            (&json!(true), &policy)
        );
        assert_eq!(shown["study"]["approvals"].as_array().unwrap().len(), 1);

        let matching = Call::get(format!("/v1/studies/{id}/matching"))
            .bearer(&committee)
            .send(house)
            .await
            .is(200)
            .value();
        // Nobody here agreed to research.
        assert_eq!(matching["permitted"], 0);
        let spending = Call::get(format!("/v1/studies/{id}/spending"))
            .bearer(&researcher)
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(spending["study"]["spent"], 0.0);
        assert_eq!(spending["researcher"]["spent"], 0.0);

        // Its beacon: informational documents, a question about nobody, and one that is not understood.
        let beacon = |path: &str| {
            let path = format!("/v1/studies/{id}/beacon/v2{path}");
            let researcher = researcher.clone();
            async move { Call::get(path).bearer(&researcher).send(house).await }
        };
        for path in [
            "",
            "/info",
            "/service-info",
            "/configuration",
            "/map",
            "/entry_types",
        ] {
            beacon(path).await.is(200);
        }
        let terms = beacon("/filtering_terms?limit=3").await.is(200).value();
        let listed = terms["response"]["filteringTerms"].as_array().unwrap();
        assert_eq!(listed.len(), 3);
        let tried =
            beacon("/individuals?filters=HP:0001250&testMode=true&requestedGranularity=count");
        let tried = tried.await.is(200).value();
        assert_eq!(tried["responseSummary"]["exists"], false);
        assert_eq!(tried["meta"]["returnedGranularity"], "count");
        let refused = beacon("/individuals?filters=XX:1").await.is(400).value();
        assert!(refused["error"]["errorMessage"].is_string(), "{refused}");
        // This house makes no noise, and so tells no count.
        let silent = beacon("/individuals?filters=HP:0001250")
            .await
            .is(503)
            .value();
        assert!(silent["error"]["errorMessage"].is_string(), "{silent}");
        beacon("/datasets").await.is(404);
        let posted = Call::post(format!("/v1/studies/{id}/beacon/v2/individuals"))
            .bearer(&researcher)
            .json(&json!({
                "meta": {"apiVersion": "2.0"},
                "query": {"testMode": true, "requestedGranularity": "boolean", "filters": [{"id": "HP:0001250"}]},
            }))
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(posted["meta"]["returnedGranularity"], "boolean");

        // A release of nobody is refused, with its reason.
        let asked = Call::post(format!("/v1/studies/{id}/releases"))
            .bearer(&researcher)
            .json(&json!({"tier": "T3", "k": 5, "formats": ["parquet", "fhir"]}))
            .send(house)
            .await
            .is(201)
            .value();
        assert_eq!(
            (&asked["status"], &asked["number"]),
            (&json!("preparing"), &json!(0))
        );
        let mut release = Value::Null;
        for _ in 0..1_200 {
            let call = Call::get(format!("/v1/studies/{id}/releases/0")).bearer(&researcher);
            release = call.send(house).await.is(200).value();
            if release["status"] != "preparing" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(release["status"], "refused", "{release}");
        assert!(release["why"].as_str().unwrap().contains("fewer than 5"));
        let certify = Call::post(format!("/v1/studies/{id}/releases/0/certificate"))
            .bearer(&committee)
            .json(&json!({"approve": true}))
            .send(house)
            .await;
        certify.is(409);
        let small = Call::post(format!("/v1/studies/{id}/releases"))
            .bearer(&researcher)
            .json(&json!({"tier": "T3", "k": 4, "formats": []}))
            .send(house)
            .await;
        small.is(422);
        step(house, &researcher, &id, json!({"end": "done"}))
            .await
            .is(200);
        beacon("/individuals?filters=HP:0001250").await.is(409);
    });
}
