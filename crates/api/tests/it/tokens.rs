//! The token file: what is written, what is believed, and when.

use crate::{
    house::{House, Person, row, run},
    spy::MARKER,
    wire::Call,
};
use api::{Limits, NewToken, TokenError, Tokens, token::issue};
use axum::Router;
use codec::{InstitutionId, Millis};
use consent::{PractitionerId, Role};
use serde_json::json;
use sign_in::file::FileError;
use std::{fs, path::Path, thread};

const DAY_MS: u64 = 86_400_000;

fn new(roles: &[Role], expires: u64) -> NewToken {
    NewToken {
        institution: InstitutionId::new([1; 16]),
        practitioner: PractitionerId::new("somebody").unwrap(),
        roles: roles.iter().copied().collect(),
        subject: None,
        slot: None,
        expires: Millis::new(expires),
    }
}

fn rows(path: &Path) -> usize {
    let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    file["tokens"].as_array().unwrap().len()
}

#[test]
fn only_a_digest_is_kept_where_only_the_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let now = Millis::new(10);
    let token = issue(&path, new(&[Role::Desk], 100), &[9; 32], now).unwrap();
    assert_eq!(token, format!("ith_{}", "09".repeat(32)));
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&"09".repeat(8)));
    assert!(text.contains(&keys::sha256(&[token.as_bytes()]).to_string()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    // Those that are over go when the next one comes.
    issue(&path, new(&[Role::Desk], 200), &[8; 32], Millis::new(100)).unwrap();
    assert_eq!(rows(&path), 1);
}

#[test]
fn tokens_that_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let make = |roles: &[Role]| issue(&path, new(roles, 100), &[9; 32], Millis::new(0));
    for bound in [Role::Controller, Role::Device] {
        let refused = make(&[Role::Laboratory, bound]);
        assert!(matches!(refused, Err(TokenError::NoSubject)), "{bound}");
    }
    assert!(matches!(make(&[]), Err(TokenError::NoRole)));
    assert!(matches!(
        make(&[Role::Clinician, Role::System]),
        Err(TokenError::System)
    ));
    assert!(!path.exists());
    let damaged = format!("{{\"tokens\": [{{\"{MARKER}\": 1}}]}}");
    fs::write(&path, &damaged).unwrap();
    let error = make(&[Role::Desk]).unwrap_err();
    assert!(matches!(error, TokenError::File(FileError::Damaged { .. })));
    assert!(!error.to_string().contains(MARKER));
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn tokens_made_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                issue(path, new(&[Role::Desk], 100), &[number; 32], Millis::new(0)).unwrap()
            });
        }
    });
    assert_eq!(rows(&path), 8);
}

/// An edge with a token file of its own, and a request that needs a token.
fn edge(house: &House, path: &Path) -> Router {
    house.edge(Tokens::at(path), Limits::default())
}

async fn status(router: &Router, authorization: &str) -> u16 {
    let call = match authorization {
        "" => Call::get("/v1/status"),
        value => Call::get("/v1/status").header("authorization", value),
    };
    let answer = call.send_to(router).await;
    if answer.status == 401 {
        // What is no bearer token is no invalid one.
        let sent = authorization.to_ascii_lowercase().starts_with("bearer ");
        let challenge = match sent {
            true => "Bearer error=\"invalid_token\"",
            false => "Bearer",
        };
        assert_eq!(
            answer.header("www-authenticate"),
            challenge,
            "{authorization}"
        );
        assert_eq!(answer.class(), "unauthenticated");
    }
    answer.status
}

#[test]
fn a_running_node_follows_the_file() {
    run(async |house| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let router = edge(house, &path);
        assert_eq!(status(&router, "Bearer x").await, 401);
        let operator = NewToken {
            institution: house.institution,
            ..new(&[Role::Operator], house.now_ms() + DAY_MS)
        };
        let now = Millis::new(house.now_ms());
        let token = issue(&path, operator.clone(), &[1; 32], now).unwrap();
        let bearer = format!("Bearer {token}");
        assert_eq!(status(&router, &bearer).await, 200);
        let good = fs::read(&path).unwrap();
        for damage in [
            b"".as_slice(),
            b"{",
            &good[..good.len() - 3],
            b"{\"tokens\": 7}",
            b"\xff\xff",
        ] {
            fs::write(&path, damage).unwrap();
            assert_eq!(
                status(&router, &bearer).await,
                401,
                "{}",
                String::from_utf8_lossy(damage)
            );
        }
        fs::write(&path, &good).unwrap();
        assert_eq!(status(&router, &bearer).await, 200);
        // A second one beside it; then both are gone with the file.
        let second = issue(&path, operator, &[2; 32], now).unwrap();
        assert_eq!(status(&router, &bearer).await, 200);
        assert_eq!(status(&router, &format!("Bearer {second}")).await, 200);
        fs::remove_file(&path).unwrap();
        assert_eq!(status(&router, &bearer).await, 401);
    });
}

#[test]
fn tokens_that_are_not_believed() {
    run(async |house| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let router = edge(house, &path);
        let later = Millis::new(house.now_ms() + DAY_MS);
        let person = |roles| Person::staff(house, "somebody", roles);
        let file = json!({"tokens": [
            row("good", &person(&[Role::Operator]), later),
            row("over", &person(&[Role::Operator]), Millis::new(house.now_ms())),
            row("node", &person(&[Role::System]), later),
            row("both", &person(&[Role::System, Role::Operator]), later),
            row("pump", &person(&[Role::Device, Role::Operator]), later),
            row("kin", &person(&[Role::Controller, Role::Operator]), later),
        ]});
        fs::write(&path, file.to_string()).unwrap();
        for (authorization, expect) in [
            ("Bearer good", 200),
            ("bearer good", 200),
            ("BEARER  good ", 200),
            ("Bearer over", 401),
            ("Bearer node", 401),
            ("Bearer both", 401),
            ("Bearer pump", 401),
            ("Bearer kin", 401),
            ("", 401),
            ("Bearer", 401),
            ("Bearer ", 401),
            ("good", 401),
            ("Basic good", 401),
            ("Bearer Good", 401),
            ("Bearer good good", 401),
            ("Bearer Kanarienvogel", 401),
            // The digest is no token.
            (&format!("Bearer {}", keys::sha256(&[b"good"])), 401),
        ] {
            assert_eq!(
                status(&router, authorization).await,
                expect,
                "{authorization}"
            );
        }
    });
}
