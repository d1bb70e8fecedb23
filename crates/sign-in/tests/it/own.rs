//! People sign in here, and their software goes on for them.

use codec::{InstitutionId, Millis, SubjectId};
use consent::{PractitionerId, Role};
use keys::PasswordParams;
use serde_json::Value;
use sign_in::{
    fetch::Web,
    jwt::{Refused, Signer, peek},
    own::{
        ACCESS_S, AuthorizeError, CODE_MS, Consenting, FORM_MS, LAUNCH_MS, OwnIssuer, Sent,
        Settings, SignInError, account,
        client::{self, Client, Proof},
    },
};
use std::{collections::BTreeSet, sync::Arc};
use tempfile::TempDir;

pub(crate) const URL: &str = "https://node.example";
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A data folder, and the issuer over it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) issuer: OwnIssuer,
    key: Vec<u8>,
}

pub(crate) fn random(out: &mut [u8]) {
    aws_lc_rs::rand::fill(out).unwrap();
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Signer::fresh().unwrap().to_vec();
        let place = Self {
            issuer: open(&folder, &key),
            folder,
            key,
        };
        place.client(Client {
            redirect_uris: vec!["https://app.example/back?x=1".to_owned()],
            ..client("app", Proof::Public {}, "openid fhirUser launch launch/patient offline_access patient/*.cruds user/*.cruds ithaca")
        });
        place.account("odysseus", "clinician-1", Role::Clinician, None);
        place.account("penelope", "family", Role::Controller, Some(subject()));
        place
    }

    /// The same folder, after a restart.
    pub(crate) fn restarted(self) -> Self {
        let issuer = open(&self.folder, &self.key);
        Self { issuer, ..self }
    }

    pub(crate) fn client(&self, client: Client) {
        client::add(&sign_in::own::clients_file(self.folder.path()), client).unwrap();
    }

    pub(crate) fn account(
        &self,
        name: &str,
        practitioner: &str,
        role: Role,
        subject: Option<SubjectId>,
    ) {
        let new = account::NewAccount {
            name: name.to_owned(),
            practitioner: PractitionerId::new(practitioner).unwrap(),
            roles: BTreeSet::from([role]),
            slot: subject.map(|_| 0),
            subject,
            patient: None,
            fhir_user: subject.is_none().then(|| "Practitioner/7".to_owned()),
        };
        let path = sign_in::own::accounts_file(self.folder.path());
        let cost = PasswordParams::INSECURE_FAST;
        account::add(&path, new, PASSWORD, cost, &random, Millis::new(NOW_MS)).unwrap();
    }

    /// Signs in as far as the form of scopes.
    fn consenting(&self, scope: &str, more: &[(&str, &str)], name: &str) -> (Consenting, String) {
        let starting = self.issuer.begin(&asked(scope, more), NOW_MS).unwrap();
        let form = (starting.ticket.as_str(), starting.cookie.as_str());
        let consenting = self
            .issuer
            .sign_in(form, name, PASSWORD, "a", NOW_MS)
            .unwrap();
        (consenting, starting.cookie)
    }

    /// A code, for all that is offered.
    fn code(&self, scope: &str, more: &[(&str, &str)], name: &str) -> String {
        let (consenting, cookie) = self.consenting(scope, more, name);
        self.agreed(&consenting, &cookie)
    }

    /// A code, for all that is offered in a form.
    pub(crate) fn agreed(&self, consenting: &Consenting, cookie: &str) -> String {
        let all: Vec<String> = consenting.offered.iter().map(|o| o.scope.clone()).collect();
        let ticket = &consenting.ticket;
        let url = self
            .issuer
            .agree(ticket, cookie, Some(&all), NOW_MS)
            .unwrap();
        assert!(
            url.starts_with("https://app.example/back?x=1&code="),
            "{url}"
        );
        assert!(
            url.ends_with("&state=s%20%26&iss=https%3A%2F%2Fnode.example"),
            "{url}"
        );
        let code = url.split("&code=").nth(1).unwrap();
        code.split('&').next().unwrap().to_owned()
    }

    pub(crate) fn tokens(&self, scope: &str, name: &str) -> Value {
        let code = self.code(scope, &[], name);
        self.ask(&by_code(&code), NOW_MS).unwrap()
    }

    pub(crate) fn ask(&self, form: &[(&str, &str)], now_ms: u64) -> Result<Value, &'static str> {
        let form = pairs(form);
        let tokens = self.issuer.token(sent(&form), now_ms);
        tokens
            .map(|tokens| serde_json::to_value(tokens).unwrap())
            .map_err(|error| error.error)
    }

    pub(crate) fn who(
        &self,
        access: &str,
        now_ms: u64,
    ) -> Result<sign_in::issuers::Identity, Refused> {
        self.issuer.identify(access, None, now_ms)
    }
}

fn open(folder: &TempDir, key: &[u8]) -> OwnIssuer {
    let settings = Settings {
        url: URL.to_owned(),
        institution: InstitutionId::new([7; 16]),
        cost: PasswordParams::INSECURE_FAST,
        fetch: Arc::new(Web::new(None).unwrap()),
        entropy: Box::new(random),
    };
    OwnIssuer::open(folder.path(), settings, Signer::new(key).unwrap(), NOW_MS).unwrap()
}

pub(crate) fn client(id: &str, proof: Proof, scopes: &str) -> Client {
    Client {
        id: id.to_owned(),
        name: "An App".to_owned(),
        proof,
        redirect_uris: Vec::new(),
        scopes: scopes.to_owned(),
        service: None,
        certificates: Vec::new(),
    }
}

fn subject() -> SubjectId {
    SubjectId::new([9; 32])
}

pub(crate) fn pairs(form: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
    form.iter().map(owned).collect()
}

pub(crate) fn sent(form: &[(String, String)]) -> Sent<'_> {
    Sent {
        form,
        authorization: None,
        certificate: None,
    }
}

pub(crate) fn by_code(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", "https://app.example/back?x=1"),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

pub(crate) fn by_refresh(token: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "refresh_token"),
        ("client_id", "app"),
        ("refresh_token", token),
    ]
}

/// A request to authorise; what `more` names replaces what is there.
pub(crate) fn asked(scope: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = vec![
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", "https://app.example/back?x=1"),
        ("state", "s &"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("aud", "https://node.example/fhir"),
        ("scope", scope),
    ];
    all.retain(|(name, _)| !more.iter().any(|(n, _)| n == name));
    all.extend(more);
    pairs(&all)
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn a_clinician_signs_in_and_their_app_speaks_for_them() {
    let place = Place::new();
    let scope = "openid fhirUser user/Observation.rs offline_access";
    let tokens = place.tokens(scope, "odysseus");
    assert_eq!(text(&tokens, "scope"), scope);
    assert_eq!(text(&tokens, "token_type"), "Bearer");
    assert_eq!(tokens["patient"], Value::Null);
    let access = text(&tokens, "access_token");
    let who = place.who(access, NOW_MS).unwrap();
    assert_eq!(who.practitioner.as_str(), "clinician-1");
    assert_eq!(who.roles, BTreeSet::from([Role::Clinician]));
    assert_eq!(who.scopes.to_string(), scope);
    assert_eq!(who.client.as_deref(), Some("app"));
    assert!(place.who(access, NOW_MS + ACCESS_S * 1000 - 1).is_ok());
    let over = place.who(access, NOW_MS + ACCESS_S * 1000);
    assert_eq!(over, Err(Refused::Expired));
    // The identity token is no access token, and says who.
    let id = text(&tokens, "id_token");
    assert_eq!(place.who(id, NOW_MS), Err(Refused::Malformed));
    let keys = sign_in::jwt::KeySet::parse(place.issuer.key_set().to_string().as_bytes()).unwrap();
    let claims: Value = keys.verify(id, sign_in::jwt::FOR_TOKENS).unwrap().claims;
    assert_eq!(text(&claims, "aud"), "app");
    assert_eq!(
        text(&claims, "fhirUser"),
        "https://node.example/fhir/Practitioner/7"
    );
    assert_eq!(peek(access).unwrap().issuer.as_deref(), Some(URL));
}

#[test]
fn a_parents_app_reaches_their_child_alone() {
    let place = Place::new();
    let tokens = place.tokens(
        "launch/patient user/Observation.rs patient/*.r ithaca",
        "penelope",
    );
    let patient = subject().to_string();
    assert_eq!(text(&tokens, "patient"), patient);
    assert_eq!(
        text(&tokens, "scope"),
        "launch/patient patient/Observation.rs patient/*.r ithaca"
    );
    let who = place.who(text(&tokens, "access_token"), NOW_MS).unwrap();
    assert_eq!(who.subject, Some(subject()));
    assert_eq!(who.slot, Some(0));
    assert_eq!(who.patient, Some(patient));
}

#[test]
fn a_clinician_has_a_patient_by_launch_only() {
    let place = Place::new();
    let (consenting, _) = place.consenting(
        "launch/patient patient/*.rs user/Patient.r",
        &[],
        "odysseus",
    );
    let offered: Vec<_> = consenting
        .offered
        .iter()
        .map(|o| o.scope.as_str())
        .collect();
    assert_eq!(offered, ["user/Patient.r"]);

    let launch = |who: &str, at_ms: u64| {
        let who = PractitionerId::new(who).unwrap();
        place.issuer.launch(&who, "p1", at_ms).unwrap()
    };
    let scope = "launch patient/*.rs";
    let code = place.code(
        scope,
        &[("launch", &launch("clinician-1", NOW_MS))],
        "odysseus",
    );
    let tokens = place.ask(&by_code(&code), NOW_MS).unwrap();
    assert_eq!(text(&tokens, "patient"), "p1");
    assert_eq!(text(&tokens, "scope"), scope);
    let used = launch("clinician-1", NOW_MS);
    place.code(scope, &[("launch", &used)], "odysseus");
    for (launch, name) in [
        (used, "odysseus"),
        (launch("clinician-2", NOW_MS), "odysseus"),
        (launch("clinician-1", NOW_MS - LAUNCH_MS), "odysseus"),
        (launch("family", NOW_MS), "penelope"),
        ("none".to_owned(), "odysseus"),
    ] {
        let starting = place
            .issuer
            .begin(&asked(scope, &[("launch", &launch)]), NOW_MS)
            .unwrap();
        let form = (starting.ticket.as_str(), starting.cookie.as_str());
        let refused = place
            .issuer
            .sign_in(form, name, PASSWORD, "a", NOW_MS)
            .unwrap_err();
        assert!(
            matches!(&refused, SignInError::Redirect(url) if url.contains("error=access_denied")),
            "{refused:?}"
        );
    }
    let nobody = PractitionerId::new("clinician-1").unwrap();
    assert_eq!(place.issuer.launch(&nobody, "../x", NOW_MS), None);
}

#[test]
fn what_is_unticked_is_not_given() {
    let place = Place::new();
    let (consenting, cookie) = place.consenting("openid user/*.rs ithaca", &[], "odysseus");
    let ticked = [
        "user/*.rs".to_owned(),
        "user/*.cruds".to_owned(),
        "launch".to_owned(),
    ];
    let url = place
        .issuer
        .agree(&consenting.ticket, &cookie, Some(&ticked), NOW_MS)
        .unwrap();
    let code = url
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let tokens = place.ask(&by_code(code), NOW_MS).unwrap();
    assert_eq!(text(&tokens, "scope"), "user/*.rs");
    assert_eq!(tokens["id_token"], Value::Null);
    assert_eq!(tokens["refresh_token"], Value::Null);
    for ticked in [None, Some(&[][..]), Some(&["x".to_owned()][..])] {
        let (consenting, cookie) = place.consenting("openid", &[], "odysseus");
        let url = place
            .issuer
            .agree(&consenting.ticket, &cookie, ticked, NOW_MS)
            .unwrap();
        assert!(url.contains("error=access_denied"), "{url}");
        assert!(!url.contains("code="), "{url}");
    }
}

#[test]
fn requests_that_are_not_answered_at_an_address() {
    let place = Place::new();
    for more in [
        ("client_id", "unknown"),
        ("client_id", ""),
        ("redirect_uri", "https://app.example/back"),
        ("redirect_uri", "https://app.example/back?x=1&y"),
        ("redirect_uri", "https://evil.example/"),
    ] {
        let refused = place
            .issuer
            .begin(&asked("openid", &[more]), NOW_MS)
            .unwrap_err();
        assert!(matches!(refused, AuthorizeError::Page(_)), "{more:?}");
    }
    let mut twice = asked("openid", &[]);
    twice.push(("client_id".to_owned(), "app".to_owned()));
    let refused = place.issuer.begin(&twice, NOW_MS).unwrap_err();
    assert!(matches!(refused, AuthorizeError::Page(_)));
}

#[test]
fn requests_that_are_refused_where_they_came_from() {
    let place = Place::new();
    for (more, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("aud", "https://other.example/fhir"), "invalid_request"),
        (("aud", ""), "invalid_request"),
        (("scope", "user/x"), "invalid_scope"),
        (("scope", "unheard.of"), "invalid_scope"),
        (("scope", ""), "invalid_scope"),
        (("prompt", "none"), "login_required"),
        (("request", "x.y.z"), "request_not_supported"),
        (("response_mode", "fragment"), "invalid_request"),
    ] {
        let refused = place
            .issuer
            .begin(&asked("openid", &[more]), NOW_MS)
            .unwrap_err();
        let AuthorizeError::Redirect(url) = refused else {
            panic!("{more:?}");
        };
        let expect = format!("https://app.example/back?x=1&error={error}&");
        assert!(url.starts_with(&expect), "{more:?}: {url}");
        assert!(url.contains("state=s%20%26"), "{url}");
    }
}

#[test]
fn forms_are_good_in_their_own_browser_and_for_a_while() {
    let place = Place::new();
    let start = || place.issuer.begin(&asked("openid", &[]), NOW_MS).unwrap();
    let (one, two) = (start(), start());
    let sign_in = |ticket: &str, cookie: &str, at_ms: u64| {
        place
            .issuer
            .sign_in((ticket, cookie), "odysseus", PASSWORD, "a", at_ms)
    };
    assert!(sign_in(&one.ticket, &one.cookie, NOW_MS).is_ok());
    for (ticket, cookie, at_ms) in [
        (one.ticket.as_str(), two.cookie.as_str(), NOW_MS),
        (&one.ticket, "", NOW_MS),
        ("", &one.cookie, NOW_MS),
        (&one.ticket, &one.cookie, NOW_MS + FORM_MS),
        // An access token is no form.
        (
            text(&place.tokens("openid", "odysseus"), "access_token"),
            &one.cookie,
            NOW_MS,
        ),
    ] {
        let refused = sign_in(ticket, cookie, at_ms).unwrap_err();
        assert_eq!(refused, SignInError::Stale);
    }
    let (consenting, cookie) = place.consenting("openid", &[], "odysseus");
    let agree = |cookie: &str| {
        let ticked = ["openid".to_owned()];
        place
            .issuer
            .agree(&consenting.ticket, cookie, Some(&ticked), NOW_MS)
    };
    assert_eq!(agree(&two.cookie), Err(SignInError::Stale));
    // It was good once, and was tried.
    assert_eq!(agree(&cookie), Err(SignInError::Stale));
}

#[test]
fn wrong_passwords_make_the_next_wait_for_the_account_and_for_the_address() {
    let place = Place::new();
    let start = place.issuer.begin(&asked("openid", &[]), NOW_MS).unwrap();
    let sign_in = |name: &str, password: &str, address: &str, at_ms: u64| {
        let form = (start.ticket.as_str(), start.cookie.as_str());
        place
            .issuer
            .sign_in(form, name, password, address, at_ms)
            .map(|_| ())
    };
    for n in 0..5 {
        let address = format!("address {n}");
        assert_eq!(
            sign_in("odysseus", "wrong", &address, NOW_MS),
            Err(SignInError::Wrong)
        );
    }
    // Also the right one, from anywhere.
    assert_eq!(
        sign_in("odysseus", PASSWORD, "b", NOW_MS),
        Err(SignInError::Wait(1))
    );
    assert_eq!(sign_in("penelope", PASSWORD, "b", NOW_MS), Ok(()));
    assert_eq!(sign_in("odysseus", PASSWORD, "b", NOW_MS + 1_000), Ok(()));
    // An unknown name is told from a wrong password by nothing.
    for n in 0..5 {
        let name = format!("nobody-{n}");
        assert_eq!(
            sign_in(&name, PASSWORD, "c", NOW_MS),
            Err(SignInError::Wrong)
        );
    }
    assert_eq!(
        sign_in("penelope", PASSWORD, "c", NOW_MS),
        Err(SignInError::Wait(1))
    );
    assert_eq!(sign_in("penelope", PASSWORD, "d", NOW_MS), Ok(()));
    let long = "x".repeat(5_000);
    assert_eq!(
        sign_in("penelope", &long, "d", NOW_MS),
        Err(SignInError::Wrong)
    );
    assert_eq!(
        sign_in("penelope", "", "d", NOW_MS),
        Err(SignInError::Wrong)
    );
}

#[test]
fn codes_are_good_once_for_who_asked_and_not_for_long() {
    let place = Place::new();
    let mut other = client("other", Proof::Public {}, "openid");
    other.redirect_uris = vec!["https://app.example/back?x=1".to_owned()];
    place.client(other);
    let changed = |name: &str, value: &str| {
        let code = place.code("openid", &[], "odysseus");
        let mut form = by_code(&code).to_vec();
        form.retain(|(n, _)| *n != name);
        form.push((name, value));
        place.ask(&form, NOW_MS).unwrap_err()
    };
    let verifier = "a".repeat(43);
    assert_eq!(changed("code_verifier", &verifier), "invalid_grant");
    assert_eq!(changed("code_verifier", CHALLENGE), "invalid_grant");
    assert_eq!(changed("code_verifier", ""), "invalid_grant");
    assert_eq!(
        changed("redirect_uri", "https://app.example/back"),
        "invalid_grant"
    );
    assert_eq!(changed("client_id", "other"), "invalid_grant");
    assert_eq!(changed("client_id", "unknown"), "invalid_client");
    assert_eq!(changed("code", ""), "invalid_request");
    assert_eq!(changed("grant_type", "password"), "unsupported_grant_type");
    let late = place.code("openid", &[], "odysseus");
    assert_eq!(
        place.ask(&by_code(&late), NOW_MS + CODE_MS),
        Err("invalid_grant")
    );
    // A failed try uses it up.
    let code = place.code("openid", &[], "odysseus");
    let mut form = by_code(&code).to_vec();
    form.retain(|(n, _)| *n != "code_verifier");
    assert_eq!(place.ask(&form, NOW_MS), Err("invalid_grant"));
    assert_eq!(place.ask(&by_code(&code), NOW_MS), Err("invalid_grant"));
}

#[test]
fn a_code_used_twice_ends_what_came_of_it() {
    let place = Place::new();
    let code = place.code("openid offline_access", &[], "odysseus");
    let tokens = place.ask(&by_code(&code), NOW_MS).unwrap();
    let access = text(&tokens, "access_token");
    assert!(place.who(access, NOW_MS).is_ok());
    assert_eq!(place.ask(&by_code(&code), NOW_MS), Err("invalid_grant"));
    assert_eq!(place.who(access, NOW_MS), Err(Refused::Expired));
    let refresh = text(&tokens, "refresh_token");
    assert_eq!(
        place.ask(&by_refresh(refresh), NOW_MS),
        Err("invalid_grant")
    );
}

#[test]
fn who_is_removed_has_no_rights_left() {
    let place = Place::new();
    let tokens = place.tokens("openid offline_access", "odysseus");
    let access = text(&tokens, "access_token");
    assert!(place.who(access, NOW_MS).is_ok());
    account::remove(
        &sign_in::own::accounts_file(place.folder.path()),
        "odysseus",
    )
    .unwrap();
    // Another person of the same name is another person.
    place.account("odysseus", "clinician-1", Role::Clinician, None);
    assert_eq!(place.who(access, NOW_MS), Err(Refused::Issuer));
    let refresh = text(&tokens, "refresh_token");
    assert_eq!(
        place.ask(&by_refresh(refresh), NOW_MS),
        Err("invalid_grant")
    );
    let tokens = place.tokens("openid", "odysseus");
    client::remove(&sign_in::own::clients_file(place.folder.path()), "app").unwrap();
    assert_eq!(
        place.who(text(&tokens, "access_token"), NOW_MS),
        Err(Refused::Issuer)
    );
}

#[test]
fn tokens_are_revoked_by_their_own_client() {
    let place = Place::new();
    let revoke = |place: &Place, client: &str, token: &str| {
        let form = pairs(&[("client_id", client), ("token", token)]);
        place
            .issuer
            .revoke(sent(&form), NOW_MS)
            .map_err(|e| e.error)
    };
    let tokens = place.tokens("openid offline_access", "odysseus");
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let mut other = client("other", Proof::Public {}, "openid");
    other.redirect_uris = vec!["https://x.example".to_owned()];
    place.client(other);
    for token in [access, refresh, "nonsense"] {
        assert_eq!(revoke(&place, "other", token), Ok(()));
    }
    assert_eq!(revoke(&place, "nobody", access), Err("invalid_client"));
    assert!(place.who(access, NOW_MS).is_ok());
    assert_eq!(revoke(&place, "app", access), Ok(()));
    let place = place.restarted();
    assert_eq!(place.who(access, NOW_MS), Err(Refused::Expired));
    let tokens = place.ask(&by_refresh(refresh), NOW_MS).unwrap();
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    assert!(place.who(access, NOW_MS).is_ok());
    assert_eq!(revoke(&place, "app", refresh), Ok(()));
    assert_eq!(place.who(access, NOW_MS), Err(Refused::Expired));
    assert_eq!(
        place.ask(&by_refresh(refresh), NOW_MS),
        Err("invalid_grant")
    );
}
