//! Pages: plain HTML, one small style, and one small script where passkeys are offered; all of it works without it but
//! passkeys.
//!
//! Everything that is not written here is escaped. The content security policy forbids whatever a page does not
//! need; forms go to this node, and from the last one the person is sent on to the software.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sign_in::own::{Managed, OwnIssuer, client::web_origin};
use std::fmt::Write as _;

/// Where the script for passkeys is.
const SCRIPT_PATH: &str = "/auth/passkeys.js";
const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}h1{font-size:1.5rem}label{display:block;margin:.75rem 0}\
input[type=text],input[type=password]{display:block;width:100%;font:inherit;padding:.5rem;border:2px solid #555;\
border-radius:.25rem;box-sizing:border-box}button{font:inherit;padding:.6rem 1.4rem;margin:1rem 1rem 0 0;\
border:2px solid #0b4a6f;border-radius:.25rem;background:#0b4a6f;color:#fff}button.no{background:#fff;color:#0b4a6f}\
button:disabled{opacity:.5}[hidden]{display:none}.aside{font-size:.9rem;color:#555}\
fieldset label{padding-left:1.6rem;text-indent:-1.6rem}\
.row{display:flex;align-items:center;justify-content:space-between;border-bottom:1px solid #bbb}.row button{margin:.5rem 0}\
:focus-visible{outline:3px solid #c60;outline-offset:2px}.wrong{border-left:.4rem solid #a00;padding-left:.8rem}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#111}input{background:#222;color:#eee}\
.aside{color:#aaa}a{color:#8cf}}";

/// What a page may do beside being looked at.
#[derive(Default)]
struct May<'a> {
    /// Its form may send the person there in the end.
    go_to: Option<&'a str>,
    /// It may run the script for passkeys, of the node at this URL.
    ask_devices: Option<&'a str>,
}

/// A page of this title and body (HTML).
fn page(status: StatusCode, title: &str, body: &str, may: &May<'_>) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} \u{2013} Ithaca</title>\
<link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    );
    let mut response = (status, Body::from(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let form = may
        .go_to
        .and_then(origin)
        .map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
    let style = keys::sha256(&[STYLE.as_bytes()]).into_bytes();
    let script = may
        .ask_devices
        .and_then(web_origin)
        .map(|here| format!("; script-src {here}{SCRIPT_PATH}; connect-src {here}/auth/"));
    let script = script.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; form-action {form}; frame-ancestors 'none'; base-uri 'none'{script}",
        base64(&style)
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A notice without a form.
pub(super) fn notice(status: StatusCode, title: &str, sentence: &str) -> Response {
    page(
        status,
        title,
        &format!("<p>{}</p>", escaped(sentence)),
        &May::default(),
    )
}

/// What went wrong; a screen reader says it at once.
fn alert(wrong: Option<&str>) -> String {
    let say = |wrong| format!("<p class=\"wrong\" role=\"alert\">{}</p>\n", escaped(wrong));
    wrong.map(say).unwrap_or_default()
}

/// A form that asks for name and password.
fn password_form(action: &str, ticket: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{action}\">\n\
<input type=\"hidden\" name=\"ticket\" value=\"{}\">\n\
<label>Name <input type=\"text\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" \
spellcheck=\"false\" required autofocus></label>\n\
<label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
<button>Sign in</button>\n</form>\n",
        escaped(ticket)
    )
}

/// A form that the script fills in; `what` is where it asks for a challenge.
fn device_form(action: &str, what: &str, ticket: &str, fields: &str, says: &str) -> String {
    format!(
        "<form id=\"passkey\" method=\"post\" action=\"{action}\" {what}>\n\
<input type=\"hidden\" name=\"ticket\" value=\"{}\"><input type=\"hidden\" name=\"credential\">{fields}\n\
<button class=\"no\" hidden>{says}</button>\n</form>\n\
<p id=\"said\" role=\"status\"></p>\n<script src=\"{SCRIPT_PATH}\" defer></script>",
        escaped(ticket)
    )
}

/// The form for signing in.
pub(super) fn sign_in(
    status: StatusCode,
    issuer: &OwnIssuer,
    ticket: &str,
    client: &str,
    wrong: Option<&str>,
) -> Response {
    let mut body = format!(
        "{}<p><strong>{}</strong> asks to use records here in your name.</p>\n{}",
        alert(wrong),
        escaped(client),
        password_form("/auth/sign-in", ticket)
    );
    let why_not = issuer.why_no_passkeys();
    body.push_str(&match why_not {
        Some(why) => format!("<p class=\"aside\">{}</p>", escaped(why)),
        None => device_form(
            "/auth/sign-in/passkey",
            "data-challenge=\"/auth/sign-in/challenge\"",
            ticket,
            "<input type=\"hidden\" name=\"name\">",
            "Sign in with a passkey",
        ) + "<p class=\"aside\"><a href=\"/auth/passkeys\" target=\"_blank\">Make or remove passkeys</a></p>",
    });
    let may = May {
        ask_devices: why_not.is_none().then(|| issuer.url()),
        ..May::default()
    };
    page(status, "Sign in", &body, &may)
}

/// The form for signing in to see one's passkeys.
pub(super) fn passkeys_sign_in(status: StatusCode, ticket: &str, wrong: Option<&str>) -> Response {
    let body = format!(
        "{}<p>Sign in with your password to make or remove passkeys.</p>\n{}",
        alert(wrong),
        password_form("/auth/passkeys", ticket)
    );
    page(status, "Your passkeys", &body, &May::default())
}

/// Somebody's passkeys.
pub(super) fn passkeys(
    status: StatusCode,
    issuer: &OwnIssuer,
    managed: &Managed,
    wrong: Option<&str>,
) -> Response {
    let mut body = alert(wrong);
    let _ = writeln!(
        body,
        "<p>With a passkey <strong>{}</strong> signs in without the password: by the finger, the face or the PIN of a \
device.</p>",
        escaped(&managed.name)
    );
    if managed.passkeys.is_empty() {
        body.push_str("<p>There is none yet.</p>\n");
    }
    for passkey in &managed.passkeys {
        let day: String = passkey.since.to_rfc3339().chars().take(10).collect();
        let _ = writeln!(
            body,
            "<form class=\"row\" method=\"post\" action=\"/auth/passkeys/remove\">\
<input type=\"hidden\" name=\"ticket\" value=\"{}\"><input type=\"hidden\" name=\"id\" value=\"{}\">\
<span>{}, since {day}</span><button class=\"no\" aria-label=\"Remove {}\">Remove</button></form>",
            escaped(&managed.ticket),
            escaped(&passkey.id),
            escaped(&passkey.label),
            escaped(&passkey.label)
        );
    }
    body.push_str(&device_form(
        "/auth/passkeys/add",
        "data-offer=\"/auth/passkeys/offer\"",
        &managed.ticket,
        "\n<label>What you call it, like <em>my phone</em> <input type=\"text\" name=\"label\" maxlength=\"64\"></label>",
        "Make a passkey",
    ));
    let may = May {
        ask_devices: Some(issuer.url()),
        ..May::default()
    };
    page(status, "Your passkeys", &body, &may)
}

/// The form for agreeing.
pub(super) fn agree(consenting: &sign_in::own::Consenting) -> Response {
    let mut body = format!(
        "<p>May <strong>{}</strong> do this in your name? Take the tick away from what it may not.</p>\n\
<form method=\"post\" action=\"/auth/agree\">\n\
<input type=\"hidden\" name=\"ticket\" value=\"{}\">\n\
<fieldset><legend>It may</legend>\n",
        escaped(&consenting.client),
        escaped(&consenting.ticket)
    );
    for offered in &consenting.offered {
        let _ = writeln!(
            body,
            "<label><input type=\"checkbox\" name=\"scope\" value=\"{}\" checked> {}</label>",
            escaped(&offered.scope),
            escaped(&offered.says)
        );
    }
    body.push_str(
        "</fieldset>\n<p>What you may not see, it does not see either, and each look is logged.</p>\n\
<button name=\"decision\" value=\"allow\">Allow</button>\
<button class=\"no\" name=\"decision\" value=\"deny\">Do not allow</button>\n</form>",
    );
    let may = May {
        go_to: Some(&consenting.redirect_uri),
        ..May::default()
    };
    page(StatusCode::OK, "What it may do", &body, &may)
}

/// The source of a content security policy that a redirect to this URL needs.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    if rest.starts_with("//") {
        return web_origin(url);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    scheme.bytes().all(plain).then(|| format!("{scheme}:"))
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// For the hash of a policy.
fn base64(bytes: &[u8]) -> String {
    use ::base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        assert_eq!(
            escaped("<a href=\"x\" title='y'>&"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;"
        );
    }

    #[test]
    fn a_form_goes_on_to_its_software_alone() {
        let check = |url: &str, expect: Option<&str>| assert_eq!(origin(url).as_deref(), expect);
        check(
            "https://app.example:8443/back?x",
            Some("https://app.example:8443"),
        );
        check("http://127.0.0.1:9/back", Some("http://127.0.0.1:9"));
        check("http://[::1]:9/back", Some("http://[::1]:9"));
        check("com.example.app:/back", Some("com.example.app:"));
        check("https://a;b/", None);
        check("nothing", None);
    }
}
