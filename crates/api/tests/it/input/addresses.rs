//! Addresses: paths, methods, ids and queries that are none.

use super::{check, required, some_path, suitable, well_formed};
use crate::{families::newborn, house::run, spy::MARKER, wire::Call};
use api::endpoint::{ENDPOINTS, Endpoint};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn ids_that_are_none() {
    run(async |house| {
        let long = "0".repeat(65);
        let bad = [
            "Kanarienvogel",
            "0",
            "00",
            &long,
            "%ff%fe",
            "..%2f..%2fetc",
            "%00",
            "0x00",
        ];
        let upper = "A".repeat(64);
        // What is no tile's place is a tile that is not there (`checkpoints`); services have names.
        // FHIR has ids of its own.
        let has_ids = |e: &&Endpoint| {
            let is_id = |name| !matches!(name, "level" | "index" | "service");
            !e.is_fhir() && e.in_path().any(is_id)
        };
        for endpoint in ENDPOINTS.iter().filter(has_ids) {
            for id in bad.iter().copied().chain([upper.as_str()]) {
                let call = Call::new(
                    endpoint.method.as_str(),
                    some_path(endpoint, if id == "0" { "00" } else { id }),
                );
                let answer = well_formed(call.query(&required(endpoint)), endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await;
                assert_eq!(
                    (answer.status, answer.class().as_str()),
                    (400, "bad-request"),
                    "{} {id}",
                    endpoint.id
                );
            }
        }
    });
}

#[test]
fn subjects_that_are_nobody() {
    run(async |house| {
        let staff = &house.staff;
        let mut found = BTreeMap::new();
        for endpoint in ENDPOINTS.iter().filter(|e| e.path.contains("{subject}")) {
            for token in [
                &staff.desk,
                &staff.clinician,
                &staff.privacy,
                &staff.specialist,
            ] {
                let call = Call::new(endpoint.method.as_str(), some_path(endpoint, "0"));
                let answer = crate::matrix::well_formed(call, endpoint.id, house)
                    .await
                    .bearer(token)
                    .send(house)
                    .await;
                let statuses: &mut BTreeSet<u16> = found.entry(endpoint.id).or_default();
                statuses.insert(answer.status);
            }
        }
        for (id, statuses) in found {
            assert!(
                statuses.is_subset(&[400, 403, 404].into()),
                "{id}: {statuses:?}"
            );
            // Whose signed change it is shows before anything is looked up.
            let shows = if id == "consent_submit" { 400 } else { 404 };
            assert!(statuses.contains(&shows), "{id}: {statuses:?}");
        }
    });
}

#[test]
fn queries() {
    run(async |house| {
        // OAuth leaves what it does not know, and FHIR has its own rules.
        let strict = |e: &&Endpoint| !e.is_fhir() && e.id != "auth_authorize";
        for endpoint in ENDPOINTS.iter().filter(strict) {
            let asked = required(endpoint);
            for query in [
                format!("{asked}&{MARKER}={MARKER}"),
                format!("{asked}&purpos=TREAT"),
                format!("{asked}&%70urpose=TREAT"),
                format!("{asked}&token=x"),
            ] {
                let call =
                    Call::new(endpoint.method.as_str(), some_path(endpoint, "0")).query(&query);
                well_formed(call, endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await
                    .refused(400, "bad-request");
            }
            for needed in endpoint.query().filter(|p| p.required) {
                let call = Call::new(endpoint.method.as_str(), some_path(endpoint, "0"));
                let answer = well_formed(call, endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await
                    .refused(400, "bad-request");
                assert!(answer.text().contains(needed.name), "{}", answer.text());
            }
        }
        check(house, |family| {
            let record = family.path(&format!("/records/{}", family.record));
            let disclosures = family.path("/disclosures");
            let get =
                |uri: &str, query: &str| Call::get(uri).bearer(&house.staff.clinician).query(query);
            let bad = [
                ("twice", get(&record, "purpose=TREAT&purpose=BTG")),
                ("no purpose", get(&record, "purpose=")),
                ("unknown purpose", get(&record, "purpose=Kanarienvogel")),
                (
                    "unknown category",
                    get(&record, "purpose=TREAT&categories=phenotype,Kanarienvogel"),
                ),
                (
                    "no number",
                    get(&record, "purpose=TREAT&version=Kanarienvogel"),
                ),
                ("negative", get(&record, "purpose=TREAT&version=-1")),
                (
                    "a large number",
                    get(&record, "purpose=TREAT&version=4294967296"),
                ),
                ("no text", get(&record, "purpose=%ff")),
                ("no time", get(&disclosures, "from=Kanarienvogel")),
                (
                    "no leaf",
                    get(
                        &family.path(&format!("/records/{}/receipt", family.record)),
                        "leaf=Kanarienvogel&purpose=TREAT",
                    ),
                ),
                (
                    "a leaf for nothing",
                    get(
                        &family.path(&format!("/records/{}/receipt", family.record)),
                        "leaf=stored",
                    ),
                ),
                (
                    "a purpose for no leaf",
                    get(
                        &family.path(&format!("/records/{}/receipt", family.record)),
                        "purpose=TREAT",
                    ),
                ),
                (
                    "no subject",
                    get("/v1/break-glass", "subject=Kanarienvogel"),
                ),
            ];
            bad.into_iter()
                .map(|(what, call)| (what, call, 400, "bad-request"))
                .collect()
        })
        .await;
        let family = newborn(house).await;
        let record = family.path(&format!("/records/{}", family.record));
        for version in ["0", "2", "4294967295"] {
            Call::get(&*record)
                .bearer(&house.staff.clinician)
                .query(&format!("purpose=TREAT&version={version}"))
                .send(house)
                .await
                .refused(404, "not-found");
        }
    });
}

#[test]
fn paths_and_methods_that_are_none() {
    run(async |house| {
        let desk = &house.staff.desk;
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/subjects/",
            "/v2/subjects",
            "/health/",
            "//health",
            "/Kanarienvogel",
            "/v1/../metrics",
        ] {
            Call::get(path)
                .bearer(desk)
                .send(house)
                .await
                .refused(404, "not-found");
        }
        let paths: BTreeSet<&str> = ENDPOINTS.iter().map(|e| e.path).collect();
        for path in paths {
            let of = |method: &str| {
                ENDPOINTS
                    .iter()
                    .find(|e| e.path == path && e.method.as_str() == method)
            };
            for method in [
                "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "KANARIE",
            ] {
                if of(method).is_some() {
                    continue;
                }
                let some = ENDPOINTS.iter().find(|e| e.path == path).unwrap();
                let answer = Call::new(method, some_path(some, "0"))
                    .bearer(desk)
                    .send(house)
                    .await
                    .is(405);
                let class = if some.is_fhir() {
                    "not-supported"
                } else {
                    "method-not-allowed"
                };
                assert_eq!(answer.class(), class, "{method} {path}");
                let allowed: BTreeSet<&str> = answer
                    .allow()
                    .split(',')
                    .map(str::trim)
                    .filter(|m| *m != "HEAD")
                    .collect();
                let there: BTreeSet<&str> = ENDPOINTS
                    .iter()
                    .filter(|e| e.path == path)
                    .map(|e| e.method.as_str())
                    .collect();
                assert_eq!(allowed, there, "{method} {path}");
            }
        }
    });
}
