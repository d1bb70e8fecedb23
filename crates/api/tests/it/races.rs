//! Two at once: one wins, the other is told; nothing is lost and nothing doubled.

use crate::{
    families::{Family, newborn, phenopacket},
    house::{House, run},
    wire::{Answer, Call},
};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

const ROUNDS: usize = 6;

async fn statuses(calls: Vec<Call>, house: &House) -> (Vec<u16>, Vec<Answer>) {
    let answers = join_all(calls.into_iter().map(|call| call.send(house))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    (statuses, answers)
}

async fn records(house: &House, family: &Family) -> usize {
    let listed = Call::get(family.path("/records"))
        .query("purpose=TREAT")
        .bearer(&house.staff.clinician)
        .send(house)
        .await
        .is(200);
    listed.value()["records"].as_array().unwrap().len()
}

#[test]
fn deposits_under_one_key() {
    run(async |house| {
        let family = newborn(house).await;
        let deposit = |key: usize, id: &str| {
            Call::post(family.path("/records"))
                .bearer(&house.staff.clinician)
                .header("idempotency-key", &format!("race-{key}"))
                .json(&phenopacket(id))
        };
        for round in 0..ROUNDS {
            let same = (0..4).map(|_| deposit(round, "same")).collect();
            let (got, answers) = statuses(same, house).await;
            assert_eq!(got, [200, 200, 200, 201]);
            let ids: BTreeSet<String> = answers.iter().map(|a| a.field("record")).collect();
            assert_eq!(ids.len(), 1);
            let other = vec![deposit(100 + round, "one"), deposit(100 + round, "other")];
            let (got, answers) = statuses(other, house).await;
            assert_eq!(got, [201, 409]);
            let lost = answers.iter().find(|a| a.status == 409).unwrap();
            assert_eq!(lost.class(), "conflict");
        }
        assert_eq!(records(house, &family).await, 1 + 2 * ROUNDS);
    });
}

#[test]
fn versions_on_one_version() {
    run(async |house| {
        let family = newborn(house).await;
        let uri = family.path(&format!("/records/{}", family.record));
        for version in 1..=ROUNDS {
            let replace = |id: &str| {
                Call::put(&*uri)
                    .bearer(&house.staff.clinician)
                    .header("if-match", &format!("\"{version}\""))
                    .json(&phenopacket(id))
            };
            let (got, answers) = statuses(vec![replace("one"), replace("other")], house).await;
            assert_eq!(got, [200, 412], "{answers:?}");
            let won = answers.iter().find(|a| a.status == 200).unwrap();
            assert_eq!(won.header("etag"), format!("\"{}\"", version + 1));
        }
        assert_eq!(records(house, &family).await, 1);
    });
}

#[test]
fn consent_changes_on_one_state() {
    run(async |house| {
        let family = newborn(house).await;
        for sequence in 0..ROUNDS {
            let change = |purpose: &str| {
                let change = if sequence % 2 == 0 {
                    "opt-out"
                } else {
                    "opt-in"
                };
                Call::put(family.path("/consent"))
                    .bearer(&house.staff.desk)
                    .header("if-match", &format!("\"{sequence}\""))
                    .json(&json!({"changes": [{change: purpose}]}))
            };
            let both = vec![change("HQUALIMP"), change("HQUALIMP")];
            let (got, answers) = statuses(both, house).await;
            assert_eq!(got, [200, 412], "{answers:?}");
            let won = answers.iter().find(|a| a.status == 200).unwrap();
            assert_eq!(won.value()["sequence"], sequence + 1);
            let lost = answers.iter().find(|a| a.status == 412).unwrap();
            assert!(
                lost.text().contains(&format!("sequence {}", sequence + 1)),
                "{}",
                lost.text()
            );
        }
        // Who does not say what they saw is put on top of the other.
        let opt_out = |purpose: &str| {
            Call::put(family.path("/consent"))
                .bearer(&house.staff.desk)
                .json(&json!({"changes": [{"opt-out": purpose}]}))
        };
        let (got, answers) = statuses(vec![opt_out("HQUALIMP"), opt_out("PATSFTY")], house).await;
        assert_eq!(got, [200, 200], "{answers:?}");
    });
}

#[test]
fn an_erasure_and_deposits() {
    run(async |house| {
        for _ in 0..2 {
            let family = newborn(house).await;
            let deposit = |id: &str| {
                Call::post(family.path("/records"))
                    .bearer(&house.staff.clinician)
                    .json(&phenopacket(id))
            };
            let erase = || Call::delete(family.path("")).bearer(&house.staff.privacy);
            let calls = vec![deposit("a"), erase(), deposit("b"), erase(), deposit("c")];
            let answers = join_all(calls.into_iter().map(|call| call.send(house))).await;
            for at in [1, 3] {
                assert_eq!(answers[at].status, 200, "{}", answers[at].text());
            }
            for at in [0, 2, 4] {
                assert!(
                    matches!(answers[at].status, 201 | 410),
                    "{}",
                    answers[at].text()
                );
            }
            let read = Call::get(family.path(&format!("/records/{}", family.record)))
                .query("purpose=TREAT")
                .bearer(&house.staff.clinician)
                .send(house)
                .await
                .refused(403, "consent-denied");
            assert_eq!(read.value()["missing"][0]["reason"], "erased");
            deposit("d").send(house).await.refused(410, "gone");
        }
    });
}
