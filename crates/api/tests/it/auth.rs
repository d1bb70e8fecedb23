//! Signing in through the forms, as a browser and an app do.

use crate::{
    house::{House, ISSUER, PASSWORD, run},
    wire::{Answer, Call},
};
use api::{Limits, Tokens};
use axum::Router;
use serde_json::{Value, json};

/// A request to authorise.
pub(crate) const REQUEST: &str = "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fback\
&state=xyz&aud=http%3A%2F%2F127.0.0.1%3A8420%2Ffhir&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
&code_challenge_method=S256&unheard_of=1&scope=openid%20user%2F*.rs%20ithaca%20offline_access";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn edge(house: &House) -> Router {
    house.edge(
        Tokens::at(house.folder.join("no-tokens.json")),
        Limits::default(),
    )
}

/// A page, as a person sees it and their browser keeps it.
struct Browser<'a> {
    router: &'a Router,
    cookie: String,
    ticket: String,
}

impl<'a> Browser<'a> {
    async fn open(router: &'a Router) -> Self {
        let answer = Call::get(format!("/auth/authorize?{REQUEST}"))
            .send_to(router)
            .await;
        is_page(&answer, 200);
        let cookie = answer.header("set-cookie");
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=600"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        Self {
            router,
            cookie: cookie.split(';').next().unwrap().to_owned(),
            ticket: ticket(&answer),
        }
    }

    async fn send(&self, path: &str, fields: &str) -> Answer {
        let form = format!("ticket={}&{fields}", self.ticket);
        Call::post(path)
            .header("cookie", &format!("other=1; {}", self.cookie))
            .header("sec-fetch-site", "same-origin")
            .form(&form)
            .send_to(self.router)
            .await
    }

    async fn sign_in(&self, password: &str) -> Answer {
        let password = password.replace(' ', "+");
        let fields = format!("name=+odysseus+&password={password}");
        self.send("/auth/sign-in", &fields).await
    }
}

/// Plain HTML that loads nothing, runs nothing, is framed nowhere and is not kept.
fn is_page(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(!text.contains("<script") && !text.contains("<b>"), "{text}");
    assert!(
        text.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"),
        "{text}"
    );
}

fn ticket(answer: &Answer) -> String {
    let text = answer.text();
    let rest = text.split("name=\"ticket\" value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn token(router: &Router, form: &str) -> Answer {
    Call::post("/auth/token").form(form).send_to(router).await
}

#[test]
fn a_person_signs_in_agrees_and_the_app_speaks_for_them() {
    run(async |house| {
        let router = edge(house);
        let browser = Browser::open(&router).await;
        let wrong = browser.sign_in("wrong").await;
        is_page(&wrong, 403);
        assert!(wrong.text().contains("role=\"alert\""));
        let agree = browser.sign_in(PASSWORD).await;
        is_page(&agree, 200);
        let text = agree.text();
        assert!(text.contains("The &lt;b&gt;App&lt;/b&gt;"), "{text}");
        assert!(
            text.contains("read and search all kinds of entries in every record"),
            "{text}"
        );
        let policy = agree.header("content-security-policy");
        assert!(
            policy.contains("form-action 'self' https://app.example;"),
            "{policy}"
        );
        let browser = Browser {
            ticket: ticket(&agree),
            ..browser
        };
        // The FHIR scope is unticked.
        let fields = "decision=allow&scope=ithaca&scope=offline_access";
        let back = browser.send("/auth/agree", fields).await;
        assert_eq!(back.status, 303);
        let location = back.header("location").to_owned();
        let code = location
            .strip_prefix("https://app.example/back?code=")
            .unwrap();
        let (code, rest) = code.split_once('&').unwrap();
        assert_eq!(rest, "state=xyz&iss=http%3A%2F%2F127.0.0.1%3A8420");
        let again = browser.send("/auth/agree", fields).await;
        is_page(&again, 400);

        let form = format!(
            "grant_type=authorization_code&client_id=app&code={code}&code_verifier={VERIFIER}\
&redirect_uri=https%3A%2F%2Fapp.example%2Fback"
        );
        let tokens = token(&router, &form).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text());
        assert_eq!(tokens.header("cache-control"), "no-store");
        let tokens: Value = tokens.value();
        assert_eq!(tokens["scope"], "ithaca offline_access");
        let ask = async |path: &str| {
            let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
            let call = Call::get(path).header("authorization", &bearer);
            call.send_to(&router).await.status
        };
        assert_eq!(ask("/v1/terms?q=dystonia").await, 200);
        assert_eq!(ask("/metrics").await, 403, "no operator");
        let refused = token(&router, &form).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.value()["error"], "invalid_grant");
        assert_eq!(
            ask("/v1/terms?q=dystonia").await,
            401,
            "the code was used twice"
        );
    });
}

#[test]
fn forms_of_other_sites_and_browsers_are_not_taken() {
    run(async |house| {
        let router = edge(house);
        let browser = Browser::open(&router).await;
        let fields = format!(
            "ticket={}&name=odysseus&password={}",
            browser.ticket,
            PASSWORD.replace(' ', "+")
        );
        let send = async |cookie: &str, site: &str| {
            let call = Call::post("/auth/sign-in")
                .header("cookie", cookie)
                .header("sec-fetch-site", site)
                .form(&fields);
            call.send_to(&router).await
        };
        is_page(&send("", "same-origin").await, 400);
        is_page(&send("ithaca-form=x", "same-origin").await, 400);
        is_page(&send(&browser.cookie, "cross-site").await, 400);
        is_page(&send(&browser.cookie, "same-site").await, 400);
        is_page(&send(&browser.cookie, "same-origin").await, 200);
    });
}

#[test]
fn an_unknown_app_gets_nobody() {
    run(async |house| {
        let router = edge(house);
        let open = async |query: &str| {
            let path = format!("/auth/authorize?{query}");
            Call::get(path).send_to(&router).await
        };
        is_page(
            &open(&REQUEST.replace("client_id=app", "client_id=x")).await,
            400,
        );
        is_page(&open(&REQUEST.replace("%2Fback", "%2Felse")).await, 400);
        is_page(&open("").await, 400);
        let refused = open(&REQUEST.replace("S256", "plain")).await;
        assert_eq!(refused.status, 303);
        let location = refused.header("location");
        assert!(
            location.starts_with("https://app.example/back?error=invalid_request&"),
            "{location}"
        );
    });
}

#[test]
fn software_is_answered_as_oauth_asks() {
    run(async |house| {
        let router = edge(house);
        let refused = token(&router, "grant_type=client_credentials&client_id=nobody").await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.value()["error"], "invalid_client");
        let by_header = Call::post("/auth/token")
            .header("authorization", "Basic bm9ib2R5Ong=")
            .form("grant_type=client_credentials")
            .send_to(&router)
            .await;
        assert_eq!(by_header.status, 401);
        assert_eq!(by_header.header("www-authenticate"), "Basic");
        let twice = token(&router, "grant_type=a&grant_type=b&client_id=app").await;
        assert_eq!(twice.value()["error"], "invalid_request");
        let revoked = Call::post("/auth/revoke")
            .form("client_id=app&token=x")
            .send_to(&router)
            .await;
        assert_eq!(revoked.status, 200);
        let json = Call::post("/auth/token")
            .json(&json!({}))
            .send_to(&router)
            .await;
        assert_eq!(json.status, 415);
        let huge = token(&router, &format!("client_id={}", "x".repeat(70_000))).await;
        assert_eq!(huge.status, 413);
        for path in [
            "/.well-known/smart-configuration",
            "/fhir/.well-known/smart-configuration",
            "/.well-known/openid-configuration",
        ] {
            let said = Call::get(path).send_to(&router).await;
            assert_eq!(said.status, 200, "{path}");
            assert_eq!(said.value()["issuer"], ISSUER);
        }
        let keys = Call::get("/auth/jwks").send_to(&router).await.value();
        assert_eq!(keys["keys"][0]["alg"], "ES256");
        assert_eq!(keys["keys"][0]["d"], Value::Null);
    });
}

#[test]
fn a_launch_is_for_who_has_the_patient_open() {
    run(async |house| {
        let launch = async |token: &str, patient: &str| {
            let call = Call::post("/auth/launch").bearer(token);
            call.json(&json!({"patient": patient})).send(house).await
        };
        let made = launch(&house.staff.clinician, "p1").await;
        assert_eq!(made.status, 201);
        assert_eq!(made.field("iss"), format!("{ISSUER}/fhir"));
        assert_eq!(launch(&house.staff.clinician, "a/b").await.status, 400);
        assert_eq!(launch(&house.staff.desk, "p1").await.status, 403);
    });
}
