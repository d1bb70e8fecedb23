//! Pages of other origins: a browser lets those of registered software read, and no others.

use crate::{
    house::{House, Staff, run},
    wire::{Answer, Call},
};

/// Of the house's one app; its people go to `https://app.example/back`.
const APP: &str = "https://app.example";
const STRANGERS: [&str; 6] = [
    "https://evil.example",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://App.example",
    "null",
];

const FOR_APPS: [&str; 4] = [
    "/auth/jwks",
    "/.well-known/smart-configuration",
    "/.well-known/openid-configuration",
    "/fhir/.well-known/smart-configuration",
];

fn allowed(answer: &Answer) -> Option<&str> {
    // Nobody's cookies, whoever asks.
    let cookies = answer.headers.get("access-control-allow-credentials");
    assert_eq!(cookies, None);
    let origin = answer.headers.get("access-control-allow-origin")?;
    let origin = origin.to_str().unwrap();
    assert_ne!(origin, "*");
    Some(origin)
}

fn varies(answer: &Answer) -> bool {
    let all = answer.headers.get_all("vary");
    all.iter().any(|value| value == "origin")
}

async fn preflight(house: &House, path: &str, method: &str, origin: &str) -> Answer {
    Call::new("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization")
        .send(house)
        .await
}

#[test]
fn pages_of_registered_software_read_fhir() {
    run(async |house| {
        let Staff { clinician, .. } = &house.staff;
        let asked = preflight(house, "/fhir/Patient/nobody", "GET", APP).await;
        assert_eq!((asked.status, asked.body.len()), (204, 0));
        assert_eq!(allowed(&asked), Some(APP));
        let methods = asked.header("access-control-allow-methods");
        assert_eq!(methods, "GET, PUT, PATCH, DELETE, HEAD");
        let sends = asked.header("access-control-allow-headers");
        for name in ["authorization", "content-type", "if-match", "prefer"] {
            assert!(sends.split(", ").any(|sent| sent == name), "{sends}");
        }
        assert!(varies(&asked));
        for path in ["/fhir", "/fhir/", "/fhir/metadata", "/auth/token"] {
            let asked = preflight(house, path, "POST", APP).await;
            assert_eq!((asked.status, allowed(&asked)), (204, Some(APP)), "{path}");
        }
        // What is refused is refused in words that the page may read.
        let path = "/fhir/Patient/nobody";
        for (bearer, status) in [("", 401), ("nonsense", 401), (clinician.as_str(), 404)] {
            let call = Call::get(path).bearer(bearer).header("origin", APP);
            let answer = call.send(house).await;
            assert_eq!((answer.status, allowed(&answer)), (status, Some(APP)));
            let reads = answer.header("access-control-expose-headers");
            assert!(reads.contains("etag") && reads.contains("location"));
            assert!(varies(&answer));
        }
        for path in FOR_APPS {
            let answer = Call::get(path).header("origin", APP).send(house).await;
            assert_eq!(
                (answer.status, allowed(&answer)),
                (200, Some(APP)),
                "{path}"
            );
        }
        let refused = Call::post("/auth/token").header("origin", APP);
        let refused = refused.form("grant_type=password").send(house).await;
        assert_eq!((refused.status, allowed(&refused)), (401, Some(APP)));
    });
}

#[test]
fn pages_of_others_read_nothing() {
    run(async |house| {
        let Staff { clinician, .. } = &house.staff;
        for origin in STRANGERS {
            let asked = preflight(house, "/fhir/Patient/nobody", "GET", origin).await;
            assert_eq!((asked.status, allowed(&asked)), (403, None), "{origin}");
            let call = Call::get("/fhir/Patient/nobody").bearer(clinician);
            let answer = call.header("origin", origin).send(house).await;
            assert_eq!((answer.status, allowed(&answer)), (404, None), "{origin}");
            assert!(varies(&answer));
            for path in FOR_APPS {
                let answer = Call::get(path).header("origin", origin).send(house).await;
                assert_eq!((answer.status, allowed(&answer)), (200, None), "{path}");
                assert!(varies(&answer));
            }
        }
    });
}

/// What people fill in, and the node's own interface, are read by no page of another origin, registered or not.
#[test]
fn forms_are_for_people() {
    run(async |house| {
        let Staff { desk, .. } = &house.staff;
        for path in [
            "/auth/authorize",
            "/auth/sign-in",
            "/auth/agree",
            "/v1/status",
        ] {
            let asked = preflight(house, path, "POST", APP).await;
            assert_eq!((asked.status, allowed(&asked)), (405, None), "{path}");
        }
        let call = Call::get("/auth/authorize").header("origin", APP);
        assert_eq!(allowed(&call.send(house).await), None);
        let call = Call::get("/v1/subjects/x")
            .bearer(desk)
            .header("origin", APP);
        assert_eq!(allowed(&call.send(house).await), None);
        // Without an origin it is a question about methods, as ever.
        let plain = Call::new("OPTIONS", "/fhir/Patient/nobody")
            .send(house)
            .await;
        assert_eq!((plain.status, allowed(&plain)), (405, None));
    });
}
