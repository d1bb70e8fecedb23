//! Bad input: each is refused with a problem that says what to do, tells nothing of what was sent, and
//! leaves nothing behind. What holds of every answer is checked where they are read (`wire`).

mod addresses;
mod bodies;
mod repeats;
mod replays;

use crate::{
    families::{Family, newborn},
    house::House,
    wire::Call,
};
use api::endpoint::{Access, Endpoint, Shape};
use consent::Role;
use serde_json::json;

/// What is kept of a subject: its records, the sequence of its consent, its break-glass sessions.
async fn kept(house: &House, family: &Family) -> (u64, u64, usize) {
    let sessions = Call::get("/v1/break-glass")
        .query(&format!("subject={}", family.subject))
        .bearer(&house.staff.privacy)
        .send(house)
        .await
        .is(200)
        .value();
    let status = Call::get(family.path(""))
        .bearer(&house.staff.desk)
        .send(house)
        .await
        .is(200)
        .value();
    (
        status["records"].as_u64().unwrap(),
        status["sequence"].as_u64().unwrap(),
        sessions.as_array().unwrap().len(),
    )
}

/// Refused, and nothing stored.
async fn check(
    house: &House,
    calls: impl FnOnce(&Family) -> Vec<(&'static str, Call, u16, &'static str)>,
) {
    let family = newborn(house).await;
    let before = kept(house, &family).await;
    for (what, call, status, class) in calls(&family) {
        let answer = call.send(house).await;
        let got = (answer.status, answer.class());
        assert_eq!(got, (status, class.to_owned()), "{what}: {}", answer.text());
        assert_eq!(
            kept(house, &family).await,
            before,
            "{what} left something behind"
        );
    }
}

/// A path with this in place of each id.
fn some_path(endpoint: &Endpoint, id: &str) -> String {
    endpoint
        .in_path()
        .fold(endpoint.documented_path(), |path, name| {
            let digits = match name {
                // Any other is a type that R4 does not have.
                "kind" => return path.replace("{kind}", "Patient"),
                "subject" | "proposal" => 64,
                // Of the genesis, which is always there.
                "index" if id == "0" => return path.replace("{index}", "000.p/1"),
                "level" | "release" if id == "0" => 1,
                "what" if id == "0" => return path.replace("{what}", "info"),
                _ => 32,
            };
            let id = if id == "0" {
                "0".repeat(digits)
            } else {
                id.to_owned()
            };
            path.replace(&format!("{{{name}}}"), &id)
        })
}

/// What its query cannot lack.
fn required(endpoint: &Endpoint) -> String {
    let pairs = endpoint
        .query()
        .filter(|p| p.required)
        .map(|p| match p.name {
            "purpose" => "purpose=TREAT".to_owned(),
            name if p.number => format!("{name}=1"),
            "q" => "q=arach".to_owned(),
            name => panic!("no value for {name}"),
        });
    pairs.collect::<Vec<_>>().join("&")
}

/// A token that gets past the edge there.
fn suitable<'a>(house: &'a House, endpoint: &Endpoint) -> &'a str {
    match endpoint.access {
        Access::Open => "",
        Access::Bearer => &house.staff.desk,
        Access::Only(roles) if roles.contains(&Role::Clinician) => &house.staff.clinician,
        Access::Only(roles) if roles.contains(&Role::Committee) => &house.staff.committee,
        Access::Only(roles) if roles.contains(&Role::Researcher) => &house.staff.researcher,
        Access::Only(_) => &house.staff.operator,
    }
}

/// With a body of a media type that the endpoint takes.
fn well_formed(call: Call, endpoint: &Endpoint) -> Call {
    match endpoint.request {
        Shape::Nothing => call,
        Shape::Json(_) | Shape::JsonOr(..) => call.json(&json!({})),
        Shape::Bytes(types) => call.bytes(types[0], "{}"),
    }
}
