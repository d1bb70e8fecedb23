//! Software goes on by refresh tokens, each used once.

use crate::own::{NOW_MS, Place, by_refresh, client, text};
use sign_in::{
    jwt::Refused,
    own::client::{self, Proof},
};

#[test]
fn refresh_tokens_rotate_and_reuse_ends_the_family_also_after_a_restart() {
    let place = Place::new();
    let scope = "openid user/*.rs offline_access";
    let first = place.tokens(scope, "odysseus");
    let one = text(&first, "refresh_token");
    let place = place.restarted();
    let second = place.ask(&by_refresh(one), NOW_MS).unwrap();
    assert_eq!(text(&second, "scope"), scope);
    let two = text(&second, "refresh_token");
    assert_ne!(one, two);
    let access = text(&second, "access_token");
    let place = place.restarted();
    assert!(place.who(access, NOW_MS).is_ok());
    assert_eq!(
        place.ask(&by_refresh(one), NOW_MS),
        Err("invalid_grant"),
        "reuse"
    );
    let place = place.restarted();
    assert_eq!(place.ask(&by_refresh(two), NOW_MS), Err("invalid_grant"));
    assert_eq!(place.who(access, NOW_MS), Err(Refused::Expired));
    assert_eq!(
        place.who(text(&first, "access_token"), NOW_MS),
        Err(Refused::Expired)
    );
}

/// Libraries leave it out where there is no secret; where there is one, it proves nothing to leave it out.
#[test]
fn public_software_need_not_name_itself_to_refresh() {
    let place = Place::new();
    let first = place.tokens("openid user/*.rs offline_access", "odysseus");
    let one = text(&first, "refresh_token").to_owned();
    let unnamed = |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        place.ask(&form, NOW_MS)
    };
    let second = unnamed(&one).unwrap();
    let two = text(&second, "refresh_token");
    // Used twice, as ever.
    assert_eq!(unnamed(&one), Err("invalid_grant"));
    assert_eq!(unnamed(two), Err("invalid_client"), "its family is over");
    assert_eq!(unnamed("x"), Err("invalid_client"));
    let code = [("grant_type", "authorization_code"), ("code", "x")];
    assert_eq!(place.ask(&code, NOW_MS), Err("invalid_client"));

    let third = place.tokens("openid offline_access", "odysseus");
    let path = sign_in::own::clients_file(place.folder.path());
    client::remove(&path, "app").unwrap();
    let sha256 = keys::sha256(&[b"a secret"]).to_string();
    let mut app = client("app", Proof::Secret { sha256 }, "openid offline_access");
    app.redirect_uris = vec!["https://app.example/back?x=1".to_owned()];
    place.client(app);
    let token = text(&third, "refresh_token");
    assert_eq!(unnamed(token), Err("invalid_client"));
}

#[test]
fn refreshing_narrows_and_never_widens() {
    let place = Place::new();
    let scope = "openid user/Observation.rs offline_access";
    let tokens = place.tokens(scope, "odysseus");
    let mut token = text(&tokens, "refresh_token").to_owned();
    let mut refresh = |scope: &str| {
        let mut form = by_refresh(&token).to_vec();
        form.push(("scope", scope));
        let tokens = place.ask(&form, NOW_MS)?;
        token = text(&tokens, "refresh_token").to_owned();
        Ok(text(&tokens, "scope").to_owned())
    };
    assert_eq!(
        refresh("user/Observation.r"),
        Ok("user/Observation.r".to_owned())
    );
    assert_eq!(refresh("user/*.r"), Err("invalid_scope"));
    assert_eq!(refresh("ithaca"), Err("invalid_scope"));
    assert_eq!(refresh("user/x"), Err("invalid_scope"));
    // A refused try leaves the token good, and all that was granted is there again.
    assert_eq!(refresh(scope), Ok(scope.to_owned()));
}

#[test]
fn another_client_refreshes_nothing_and_ends_nothing() {
    let place = Place::new();
    let mut other = client("other", Proof::Public {}, "openid");
    other.redirect_uris = vec!["https://app.example/back?x=1".to_owned()];
    place.client(other);
    let tokens = place.tokens("openid offline_access", "odysseus");
    let token = text(&tokens, "refresh_token");
    let stolen = [
        ("grant_type", "refresh_token"),
        ("client_id", "other"),
        ("refresh_token", token),
    ];
    assert_eq!(place.ask(&stolen, NOW_MS), Err("invalid_grant"));
    for bad in [
        "",
        "x",
        "../../x.y",
        &format!("{}.{}", "0".repeat(32), "A".repeat(43)),
    ] {
        assert!(place.ask(&by_refresh(bad), NOW_MS).is_err(), "{bad}");
    }
    assert!(place.ask(&by_refresh(token), NOW_MS).is_ok());
}

#[test]
fn a_made_up_token_ends_no_family() {
    let place = Place::new();
    let first = place.tokens("openid user/*.rs offline_access", "odysseus");
    let good = text(&first, "refresh_token");
    let (family, _) = good.split_once('.').unwrap();
    let made_up = format!("{family}.{}", "A".repeat(43));
    assert_eq!(
        place.ask(&by_refresh(&made_up), NOW_MS),
        Err("invalid_grant")
    );
    assert!(place.ask(&by_refresh(good), NOW_MS).is_ok());
}

#[test]
fn an_account_has_so_many_families_and_uses_up_nobody_elses() {
    let place = Place::new();
    let scope = "openid user/*.rs offline_access";
    let mut tokens = Vec::new();
    for _ in 0..33 {
        tokens.push(place.tokens(scope, "odysseus"));
    }
    let refresh = |at: usize| {
        let tokens: &Value = &tokens[at];
        place.ask(&by_refresh(text(tokens, "refresh_token")), NOW_MS)
    };
    let left = (0..33).filter(|at| refresh(*at).is_ok()).count();
    assert_eq!(left, 32, "one had to go");
}
