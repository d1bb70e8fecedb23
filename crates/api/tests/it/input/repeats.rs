//! Requests that come again, or too late: entity tags and idempotency keys.

use super::{check, kept};
use crate::{
    families::{Family, newborn, phenopacket},
    house::run,
    spy::MARKER,
    wire::Call,
};
use serde_json::json;

#[test]
fn entity_tags() {
    run(async |house| {
        check(house, |family| {
            let record = family.path(&format!("/records/{}", family.record));
            let replace = || {
                Call::put(&*record)
                    .bearer(&house.staff.desk)
                    .json(&phenopacket("second"))
            };
            let restrict = || {
                Call::put(family.path("/restriction"))
                    .bearer(&house.staff.desk)
                    .json(&json!({"restricted": true}))
            };
            let mut calls = vec![
                ("none", replace(), 428, "precondition-required"),
                (
                    "twice",
                    replace()
                        .header("if-match", "\"1\"")
                        .header("if-match", "\"1\""),
                    400,
                    "bad-request",
                ),
                (
                    "ahead",
                    replace().header("if-match", "\"2\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "behind",
                    replace().header("if-match", "\"0\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "too large",
                    replace().header("if-match", "\"4294967296\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "of consent",
                    restrict().header("if-match", "\"7\""),
                    412,
                    "precondition-failed",
                ),
            ];
            for tag in [
                "1",
                "W/\"1\"",
                "\"+1\"",
                "\"\"",
                "*",
                "\"1\", \"2\"",
                "\"99999999999999999999\"",
                MARKER,
            ] {
                calls.push((
                    "malformed",
                    replace().header("if-match", tag),
                    400,
                    "bad-request",
                ));
                calls.push((
                    "malformed",
                    restrict().header("if-match", tag),
                    400,
                    "bad-request",
                ));
            }
            calls
        })
        .await;
    });
}

#[test]
fn a_stale_entity_tag() {
    run(async |house| {
        let family = newborn(house).await;
        let record = family.path(&format!("/records/{}", family.record));
        let replace = |bytes: &str| {
            Call::put(&*record)
                .bearer(&house.staff.desk)
                .header("if-match", "\"1\"")
                .json(&phenopacket(bytes))
        };
        let second = replace("second").send(house).await.is(200);
        assert_eq!(second.header("etag"), "\"2\"");
        replace("third")
            .send(house)
            .await
            .refused(412, "precondition-failed");
        let consent = Call::get(family.path("/consent"))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200);
        let seen = consent.header("etag").to_owned();
        let restrict = |on: bool| {
            Call::put(family.path("/restriction"))
                .bearer(&house.staff.desk)
                .header("if-match", &seen)
                .json(&json!({"restricted": on}))
        };
        restrict(true).send(house).await.is(200);
        restrict(false)
            .send(house)
            .await
            .refused(412, "precondition-failed");
    });
}

#[test]
fn idempotency_keys() {
    run(async |house| {
        let family = newborn(house).await;
        let deposit = |family: &Family, key: &str, id: &str| {
            Call::post(family.path("/records"))
                .bearer(&house.staff.desk)
                .header("idempotency-key", key)
                .json(&phenopacket(id))
        };
        let first = deposit(&family, "k", "a").send(house).await.is(201);
        let again = deposit(&family, "k", "a").send(house).await.is(200);
        assert_eq!(first.field("record"), again.field("record"));
        assert_eq!(
            first.value()["records"][0]["commitment"],
            again.value()["records"][0]["commitment"]
        );
        assert_eq!(
            (
                &first.value()["records"][0]["created"],
                &again.value()["records"][0]["created"]
            ),
            (&json!(true), &json!(false))
        );
        let before = kept(house, &family).await;
        deposit(&family, "k", "b")
            .send(house)
            .await
            .refused(409, "conflict");
        deposit(&family, &MARKER.repeat(10), "c")
            .send(house)
            .await
            .refused(422, "invalid");
        deposit(&family, "", "c")
            .send(house)
            .await
            .refused(422, "invalid");
        deposit(&family, "k2", "c")
            .header("idempotency-key", "k3")
            .send(house)
            .await
            .refused(400, "bad-request");
        assert_eq!(kept(house, &family).await, before);
        // Another family's key is another key.
        let other = newborn(house).await;
        deposit(&other, "k", "b").send(house).await.is(201);
        // And a source too long to be one.
        deposit(&family, "k4", "d")
            .header("ithaca-source", &MARKER.repeat(500))
            .send(house)
            .await
            .refused(413, "too-large");
        assert_eq!(kept(house, &family).await, before);
    });
}
