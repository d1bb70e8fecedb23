//! Pages: plain HTML, no script, one small style.
//!
//! Everything that is not written here is escaped. The content security policy forbids whatever a page does not
//! need; forms go to this node, and from the last one the person is sent on to the software.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::fmt::Write as _;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}h1{font-size:1.5rem}label{display:block;margin:.75rem 0}\
input[type=text],input[type=password]{display:block;width:100%;font:inherit;padding:.5rem;border:2px solid #555;\
border-radius:.25rem;box-sizing:border-box}button{font:inherit;padding:.6rem 1.4rem;margin:1rem 1rem 0 0;\
border:2px solid #0b4a6f;border-radius:.25rem;background:#0b4a6f;color:#fff}button.no{background:#fff;color:#0b4a6f}\
:focus-visible{outline:3px solid #c60;outline-offset:2px}.wrong{border-left:.4rem solid #a00;padding-left:.8rem}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#111}input{background:#222;color:#eee}}";

/// A page of this title and body (HTML). `goes_to` is where its form may send the person in the end.
pub(super) fn page(status: StatusCode, title: &str, body: &str, goes_to: Option<&str>) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} \u{2013} Ithaca</title>\
<style>{STYLE}</style></head><body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
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
    let form = goes_to
        .and_then(origin)
        .map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
    let style = keys::sha256(&[STYLE.as_bytes()]).into_bytes();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action {form}; frame-ancestors 'none'; base-uri 'none'",
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
        None,
    )
}

/// The form for signing in.
pub(super) fn sign_in(
    status: StatusCode,
    ticket: &str,
    client: &str,
    wrong: Option<&str>,
) -> Response {
    let mut body = String::new();
    if let Some(wrong) = wrong {
        // A screen reader says it at once.
        let wrong = escaped(wrong);
        let _ = writeln!(body, "<p class=\"wrong\" role=\"alert\">{wrong}</p>");
    }
    let _ = write!(
        body,
        "<p><strong>{}</strong> asks to use records here in your name.</p>\n\
<form method=\"post\" action=\"/auth/sign-in\">\n\
<input type=\"hidden\" name=\"ticket\" value=\"{}\">\n\
<label>Name <input type=\"text\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" \
spellcheck=\"false\" required autofocus></label>\n\
<label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
<button>Sign in</button>\n</form>",
        escaped(client),
        escaped(ticket)
    );
    page(status, "Sign in", &body, None)
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
    let goes_to = Some(consenting.redirect_uri.as_str());
    page(StatusCode::OK, "What it may do", &body, goes_to)
}

/// The source of a content security policy that a redirect to this URL needs.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.:[]".contains(&b);
    if !scheme.bytes().all(plain) {
        return None;
    }
    match rest.strip_prefix("//") {
        Some(rest) if matches!(scheme, "http" | "https") => {
            let host = rest.split(['/', '?']).next()?;
            host.bytes()
                .all(plain)
                .then(|| format!("{scheme}://{host}"))
        }
        _ => Some(format!("{scheme}:")),
    }
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
