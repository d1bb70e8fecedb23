//! Passkeys at the edge: signing in by one, and a page on which people make and remove their own.

use super::{
    address, beside, desk, form as read_form,
    form::{Jar, cookie, field, is_from_elsewhere, over, stale, too_busy, with_cookie},
    page, peer,
};
use crate::{edge::Edge, problem::Problem, read::Raw, serving::Peer};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sign_in::own::{Consenting, ManageError, Managed, SignInError};

const SCRIPT: &str = include_str!("passkeys.js");

/// What the pages run.
pub(crate) async fn script() -> Response {
    let mut response = Body::from(SCRIPT).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/javascript; charset=utf-8"),
    );
    response
}

/// A challenge for the form for signing in.
pub(crate) async fn challenge(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Err(refused(SignInError::Stale));
    }
    let address = address(peer(from).as_ref(), &raw.headers);
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::SignIn);
    let fields = read_form(&edge, raw).await?;
    let (ticket, name) = (field(&fields, "ticket"), field(&fields, "name"));
    let now_ms = edge.ambient.now_ms();
    let made = beside(desk, move |issuer| {
        let form = (ticket.as_str(), cookie.as_str());
        issuer.passkey_challenge(form, name.trim(), &address, now_ms)
    });
    made.await?.map(options).map_err(refused)
}

/// Takes what the device said to the challenge; a form for agreeing.
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
    let fields = read_form(&edge, raw).await?;
    let (ticket, credential) = (field(&fields, "ticket"), field(&fields, "credential"));
    let now_ms = edge.ambient.now_ms();
    let done = beside(desk, move |issuer| {
        let form = (ticket.as_str(), cookie.as_str());
        let signed_in = issuer.sign_in_by_passkey(form, &credential, &address, now_ms);
        let again = issuer.again(&ticket, &cookie, now_ms);
        (signed_in, again.map(|client| (ticket, client)))
    });
    let (signed_in, again) = done.await?;
    Ok(over(
        signed_in,
        |consenting: &Consenting| page::agree(consenting),
        "This passkey does not sign in here.",
        |status, sentence| match &again {
            Some((ticket, client)) => {
                page::sign_in(status, &desk.issuer, ticket, client, Some(sentence))
            }
            None => stale(),
        },
    ))
}

/// A form for signing in to see one's passkeys.
pub(crate) async fn begin(State(edge): State<Edge>) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if let Some(why) = desk.issuer.why_no_passkeys() {
        return Ok(page::notice(StatusCode::NOT_FOUND, "No passkeys here", why));
    }
    let now_ms = edge.ambient.now_ms();
    let begun = beside(desk, move |issuer| issuer.begin_managing(now_ms)).await?;
    Ok(match begun {
        Some(starting) => {
            let form = page::passkeys_sign_in(StatusCode::OK, &starting.ticket, None);
            with_cookie(form, desk.issuer.url(), Jar::Passkeys, &starting.cookie)
        }
        None => too_busy(),
    })
}

/// Takes name and password; shows the passkeys.
pub(crate) async fn manage(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Ok(stale());
    }
    let address = address(peer(from).as_ref(), &raw.headers);
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::Passkeys);
    let fields = read_form(&edge, raw).await?;
    let ticket = field(&fields, "ticket");
    let (name, password) = (field(&fields, "name"), field(&fields, "password"));
    let now_ms = edge.ambient.now_ms();
    let done = beside(desk, move |issuer| {
        let form = (ticket.as_str(), cookie.as_str());
        let managed = issuer.manage(form, name.trim(), &password, &address, now_ms);
        let again = issuer.may_manage(&ticket, &cookie, now_ms);
        (managed, again.then_some(ticket))
    });
    let (managed, again) = done.await?;
    Ok(over(
        managed,
        |managed: &Managed| page::passkeys(StatusCode::OK, &desk.issuer, managed, None),
        "The name or the password is wrong.",
        |status, sentence| match &again {
            Some(ticket) => page::passkeys_sign_in(status, ticket, Some(sentence)),
            None => stale(),
        },
    ))
}

/// Offers to make a passkey.
pub(crate) async fn offer(State(edge): State<Edge>, raw: Raw) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Err(refused(SignInError::Stale));
    }
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::Passkeys);
    let fields = read_form(&edge, raw).await?;
    let ticket = field(&fields, "ticket");
    let now_ms = edge.ambient.now_ms();
    let made = beside(desk, move |issuer| {
        issuer.passkey_offer((&ticket, &cookie), now_ms)
    });
    made.await?.map(options).map_err(refused)
}

/// Takes the passkey that the device made.
pub(crate) async fn add(State(edge): State<Edge>, raw: Raw) -> Result<Response, Problem> {
    changed(edge, raw, |issuer, form, fields, now_ms| {
        let (label, credential) = (field(fields, "label"), field(fields, "credential"));
        issuer.add_passkey(form, &label, &credential, now_ms)
    })
    .await
}

/// Removes a passkey.
pub(crate) async fn remove(State(edge): State<Edge>, raw: Raw) -> Result<Response, Problem> {
    changed(edge, raw, |issuer, form, fields, now_ms| {
        issuer.remove_passkey(form, &field(fields, "id"), now_ms)
    })
    .await
}

type Change = fn(
    &sign_in::own::OwnIssuer,
    (&str, &str),
    &[(String, String)],
    u64,
) -> Result<Managed, ManageError>;

async fn changed(edge: Edge, raw: Raw, change: Change) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if is_from_elsewhere(&raw.headers) {
        return Ok(stale());
    }
    let cookie = cookie(&raw.headers, desk.issuer.url(), Jar::Passkeys);
    let fields = read_form(&edge, raw).await?;
    let ticket = field(&fields, "ticket");
    let now_ms = edge.ambient.now_ms();
    let done = beside(desk, move |issuer| {
        change(issuer, (&ticket, &cookie), &fields, now_ms)
    });
    let shown = |status, managed, wrong| page::passkeys(status, &desk.issuer, managed, wrong);
    Ok(match done.await? {
        Ok(managed) => shown(StatusCode::OK, &managed, None),
        Err(ManageError::Device(managed)) => shown(
            StatusCode::FORBIDDEN,
            &managed,
            Some("The device made no passkey that is good here, or it took too long. Try again."),
        ),
        Err(ManageError::Full(managed)) => shown(
            StatusCode::CONFLICT,
            &managed,
            Some("These are as many passkeys as you may have. Remove one first."),
        ),
        Err(ManageError::Stale) => stale(),
        Err(ManageError::Busy) => too_busy(),
    })
}

/// Options for a device, for the page's script.
fn options(text: String) -> Response {
    let media = [(header::CONTENT_TYPE, "application/json")];
    (media, text).into_response()
}

/// Why there are none, for the page's script.
fn refused(why: SignInError) -> Problem {
    match why {
        SignInError::Wait(seconds) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            format!("Too many tries. Wait {seconds} seconds, then try again."),
        ),
        SignInError::Busy => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The node is busy. Try again in a moment.",
        ),
        SignInError::Stale | SignInError::Wrong | SignInError::Redirect(_) => Problem::bad_request(
            "This form is too old. Go back to where you came from and start again.",
        ),
    }
}
