//! What is kept, what is registered, and what is said of it.

use crate::own::{PASSWORD, Place, URL, client, random, text};
use codec::Millis;
use consent::{PractitionerId, Role};
use keys::PasswordParams;
use sign_in::own::{
    self, account,
    client::{Client, Proof, Service},
};
use std::collections::BTreeSet;

#[test]
fn nothing_that_opens_a_door_is_kept() {
    let place = Place::new();
    let tokens = place.tokens("openid offline_access", "odysseus");
    let mut secrets = vec![PASSWORD.to_owned()];
    for name in ["access_token", "refresh_token", "id_token"] {
        secrets.push(text(&tokens, name).rsplit('.').next().unwrap().to_owned());
    }
    let mut looked_at = 0;
    let mut folders = vec![place.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let kept = std::fs::read_to_string(&path).unwrap();
            for secret in &secrets {
                assert!(!kept.contains(secret), "{}", path.display());
            }
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3, "{looked_at}");
}

#[test]
fn accounts_and_clients_that_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.json");
    let good = || account::NewAccount {
        name: "a".to_owned(),
        practitioner: PractitionerId::new("p").unwrap(),
        roles: BTreeSet::from([Role::Nurse]),
        subject: None,
        slot: None,
        patient: None,
        fhir_user: None,
    };
    let make = |change: fn(&mut account::NewAccount), password: &str| {
        let mut new = good();
        change(&mut new);
        let cost = PasswordParams::INSECURE_FAST;
        let made = account::add(&path, new, password, cost, &random, Millis::new(0));
        made.map_err(|error| error.to_string())
    };
    let refused = |change: fn(&mut account::NewAccount), word: &str| {
        let why = make(change, PASSWORD).unwrap_err();
        assert!(why.contains(word), "{why}");
    };
    refused(|n| n.name = "Ä".to_owned(), "name");
    refused(|n| n.name.clear(), "name");
    refused(|n| n.roles.clear(), "role");
    refused(|n| n.roles = BTreeSet::from([Role::System]), "system");
    refused(|n| n.roles = BTreeSet::from([Role::Controller]), "subject");
    refused(|n| n.fhir_user = Some("Device/1".to_owned()), "FHIR");
    refused(|n| n.patient = Some("a/b".to_owned()), "FHIR");
    assert!(make(|_| {}, "too short").unwrap_err().contains("12"));
    assert!(!path.exists());
    make(|_| {}, PASSWORD).unwrap();
    refused(|_| {}, "already");
    assert_eq!(account::list(&path).unwrap().len(), 1);

    let check = |change: fn(&mut Client), word: &str| {
        let mut app = client("app", Proof::Public {}, "openid");
        app.redirect_uris = vec!["com.example.app:/back".to_owned()];
        assert!(app.validate().is_ok());
        change(&mut app);
        let why = app.validate().unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    };
    for uri in [
        "http://app.example",
        "https://a#b",
        "javascript:alert(1)",
        "myapp:/x",
        "https://a b",
    ] {
        let mut app = client("app", Proof::Public {}, "openid");
        app.redirect_uris = vec![uri.to_owned()];
        assert!(app.validate().is_err(), "{uri}");
    }
    check(|c| c.id = "a b".to_owned(), "id");
    check(|c| c.name = "a\nb".to_owned(), "name");
    check(|c| c.scopes = "user/x".to_owned(), "scopes");
    check(|c| c.scopes = "system/*.rs".to_owned(), "services");
    check(|c| c.redirect_uris.clear(), "redirect");
    check(|c| c.certificates = vec!["x".to_owned()], "certificate");
    check(|c| c.proof = Proof::Certificate {}, "certificate");
    check(
        |c| {
            c.proof = Proof::KeysAt {
                url: "http://x.example".to_owned(),
            }
        },
        "keys",
    );
    check(
        |c| {
            c.service = Some(Service {
                practitioner: PractitionerId::new("x").unwrap(),
                roles: BTreeSet::from([Role::Clinician]),
            });
        },
        "service",
    );
}

#[test]
fn what_it_says_of_itself_is_what_it_does() {
    let place = Place::new();
    let smart = place.issuer.smart_configuration();
    assert_eq!(
        text(&smart, "token_endpoint"),
        "https://node.example/auth/token"
    );
    assert_eq!(
        smart["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    assert_eq!(text(&place.issuer.openid_configuration(), "issuer"), URL);
}

#[test]
fn the_key_is_sealed_and_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let open = |passphrase: &[u8]| {
        let cost = PasswordParams::INSECURE_FAST;
        own::key::open_or_make(folder.path(), passphrase, cost, &random)
    };
    let made = open(b"one").unwrap().key_set();
    assert_eq!(open(b"one").unwrap().key_set(), made);
    assert!(open(b"two").unwrap_err().to_string().contains("delete it"));
    let path = own::state_folder(folder.path()).join("key.json");
    assert!(
        !std::fs::read_to_string(&path)
            .unwrap()
            .contains(made["keys"][0]["x"].as_str().unwrap())
    );
    std::fs::remove_file(path).unwrap();
    assert_ne!(open(b"two").unwrap().key_set(), made);
}
