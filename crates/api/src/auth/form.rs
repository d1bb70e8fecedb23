//! The steps of a person: asked for, signed in, agreed.

use super::{address, beside, desk, form, page, pairs, peer};
use crate::{edge::Edge, problem::Problem, read::Raw, serving::Peer};
use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sign_in::own::{AuthorizeError, Consenting, SignInError};

/// Begins: a form for signing in.
pub(crate) async fn authorize(
    State(edge): State<Edge>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    let parameters = pairs(query.unwrap_or_default().as_bytes());
    let now_ms = edge.ambient.now_ms();
    let begun = beside(desk, move |issuer| issuer.begin(&parameters, now_ms)).await?;
    Ok(match begun {
        Ok(starting) => {
            let form = page::sign_in(
                StatusCode::OK,
                &desk.issuer,
                &starting.ticket,
                &starting.client,
                None,
            );
            with_cookie(form, desk.issuer.url(), Jar::SignIn, &starting.cookie)
        }
        Err(AuthorizeError::Page(sentence)) => {
            page::notice(StatusCode::BAD_REQUEST, "This does not work", sentence)
        }
        Err(AuthorizeError::Redirect(url)) => sent_to(&url),
    })
}

/// Takes name and password; a form for agreeing.
pub(crate) async fn sign_in(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Ok(stale());
    }
    let address = address(peer(from).as_ref(), &raw.headers);
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::SignIn);
    let fields = form(&edge, raw).await?;
    let ticket = field(&fields, "ticket");
    let (name, password) = (field(&fields, "name"), field(&fields, "password"));
    let now_ms = edge.ambient.now_ms();
    let done = beside(desk, move |issuer| {
        let form = (ticket.as_str(), cookie.as_str());
        let signed_in = issuer.sign_in(form, name.trim(), &password, &address, now_ms);
        let again = issuer.again(&ticket, &cookie, now_ms);
        (signed_in, again.map(|client| (ticket, client)))
    });
    let (signed_in, again) = done.await?;
    Ok(over(
        signed_in,
        |consenting: &Consenting| page::agree(consenting),
        "The name or the password is wrong.",
        |status, sentence| match &again {
            Some((ticket, client)) => {
                page::sign_in(status, &desk.issuer, ticket, client, Some(sentence))
            }
            None => stale(),
        },
    ))
}

/// What becomes of a try to sign in: the page after it, or the form once more with what went wrong.
pub(super) fn over<T>(
    tried: Result<T, SignInError>,
    done: impl FnOnce(&T) -> Response,
    wrong: &str,
    once_more: impl FnOnce(StatusCode, &str) -> Response,
) -> Response {
    match tried {
        Ok(signed_in) => done(&signed_in),
        Err(SignInError::Stale) => stale(),
        Err(SignInError::Wrong) => once_more(StatusCode::FORBIDDEN, wrong),
        Err(SignInError::Wait(seconds)) => {
            let sentence = format!("Too many tries. Wait {seconds} seconds, then try again.");
            let mut response = once_more(StatusCode::TOO_MANY_REQUESTS, &sentence);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        Err(SignInError::Busy) => once_more(
            StatusCode::SERVICE_UNAVAILABLE,
            "The node is busy. Try again in a moment.",
        ),
        Err(SignInError::Redirect(url)) => sent_to(&url),
    }
}

/// Takes what was left ticked; sends the person back to the software.
pub(crate) async fn agree(State(edge): State<Edge>, raw: Raw) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Ok(stale());
    }
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::SignIn);
    let fields = form(&edge, raw).await?;
    let ticket = field(&fields, "ticket");
    let ticked: Option<Vec<String>> = (field(&fields, "decision") == "allow").then(|| {
        let scopes = fields.into_iter().filter(|(name, _)| name == "scope");
        scopes.map(|(_, scope)| scope).collect()
    });
    let now_ms = edge.ambient.now_ms();
    let agreed = beside(desk, move |issuer| {
        issuer.agree(&ticket, &cookie, ticked.as_deref(), now_ms)
    });
    Ok(match agreed.await? {
        Ok(url) => sent_to(&url),
        Err(SignInError::Busy) => too_busy(),
        Err(_) => stale(),
    })
}

pub(super) fn field(fields: &[(String, String)], name: &str) -> String {
    let found = fields.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

pub(super) fn too_busy() -> Response {
    page::notice(
        StatusCode::SERVICE_UNAVAILABLE,
        "The node is busy",
        "Go back to where you came from and start again in a moment.",
    )
}

pub(super) fn stale() -> Response {
    page::notice(
        StatusCode::BAD_REQUEST,
        "Start again",
        "This form is too old, was used before, or was opened in another browser or window. Go back to where you came from and start again.",
    )
}

/// A person is sent on; the next request is a GET whatever this one was.
fn sent_to(url: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(url) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    let none = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(header::REFERRER_POLICY, none);
    response
}

/// Browsers say where a form comes from; one of another site is none of ours. Who says nothing has the cookie to
/// show.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Which form a cookie is of: one that is open leaves the other good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jar {
    /// For signing in and agreeing.
    SignIn,
    /// For one's passkeys.
    Passkeys,
}

impl Jar {
    /// A cookie that only this host over https can set, where there is https.
    fn name(self, url: &str) -> &'static str {
        match (self, url.starts_with("https://")) {
            (Self::SignIn, true) => "__Host-ithaca-form",
            (Self::SignIn, false) => "ithaca-form",
            (Self::Passkeys, true) => "__Host-ithaca-passkeys",
            (Self::Passkeys, false) => "ithaca-passkeys",
        }
    }
}

pub(super) fn with_cookie(mut response: Response, url: &str, jar: Jar, value: &str) -> Response {
    let name = jar.name(url);
    let secure = if url.starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=600{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

pub(super) fn cookie(headers: &HeaderMap, url: &str, jar: Jar) -> String {
    let name = jar.name(url);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default()
}
