//! Signed changes that come again, too late, or from another network.

use super::kept;
use crate::{
    families::{Family, family_key, keyholders, newborn},
    house::{House, run},
    wire::{Answer, Call},
};
use codec::NetworkId;
use node::consent_change::ConsentBundle;
use serde_json::{Value, json};

async fn prepare(house: &House, token: &str, path: String, body: &Value) -> ConsentBundle {
    let prepared = Call::post(path).bearer(token).json(body).send(house).await;
    ConsentBundle::decode(&prepared.is(200).body).unwrap()
}

async fn submit(house: &House, family: &Family, token: &str, bytes: &[u8]) -> Answer {
    Call::post(family.path("/consent"))
        .bearer(token)
        .wait()
        .cbor(bytes)
        .send(house)
        .await
}

#[test]
fn signed_changes() {
    run(async |house| {
        let family = newborn(house).await;
        let desk = &house.staff.desk;
        let signed = |bundle: &ConsentBundle| bundle.sign(&family_key()).unwrap().encode();
        let path = family.path("/controllers/prepare");
        let enrolment = prepare(house, desk, path, &keyholders()).await;

        // Another network's: whoever signs it.
        let foreign = ConsentBundle {
            network: NetworkId::new([7; 32]),
            ..enrolment.clone()
        };
        let before = kept(house, &family).await;
        let foreign = signed(&foreign);
        let refusal = submit(house, &family, desk, &foreign)
            .await
            .refused(422, "invalid");
        assert!(refusal.text().contains("network"), "{}", refusal.text());
        assert_eq!(kept(house, &family).await, before);

        let first = signed(&enrolment);
        let enrolled = submit(house, &family, desk, &first).await.is(200).value();
        let parent = house.controller(&family.subject, 0);
        let parent = house.tokens(&[parent]).remove(0);
        let change = |on: bool| json!({"slot": 0, "changes": [{"restrict": on}]});
        let path = || family.path("/consent/prepare");
        let on = signed(&prepare(house, &parent, path(), &change(true)).await);
        let restricted = submit(house, &family, &parent, &on).await.is(200).value();
        let after = kept(house, &family).await;

        // Sent again, the last one is what stands already; nothing is done twice.
        let again = submit(house, &family, &parent, &on).await.is(200).value();
        assert_eq!(again["entry"], restricted["entry"]);
        assert_eq!(kept(house, &family).await, after);
        let off = signed(&prepare(house, &parent, path(), &change(false)).await);
        submit(house, &family, &parent, &off).await.is(200);
        let last = kept(house, &family).await;
        assert_eq!(last.1, after.1 + 1);
        // What was overtaken gets the answer it had, and comes to nothing, however often it is sent.
        for (old, had) in [(&first, &enrolled), (&on, &restricted), (&on, &restricted)] {
            let late = submit(house, &family, &parent, old).await.is(200).value();
            for part in ["entry", "sequence", "finality"] {
                assert_eq!(late[part], had[part]);
            }
            assert_eq!(kept(house, &family).await, last);
        }
        let shown = Call::get(family.path("/consent"))
            .bearer(&parent)
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(shown["latest"]["restricted"], false);
    });
}
