//! The node's own issuer at the edge: forms for people, endpoints for software.
//!
//! Forms are plain HTML that needs no script, but for passkeys; a form and the browser that opened it are tied by a cookie, and what it
//! says is good once. Endpoints for software answer as OAuth asks, errors too. Whatever blocks (a password, a key
//! set to be fetched, a file to be kept) runs beside the requests, a few at a time.

mod form;
mod page;
pub(crate) mod passkeys;

pub(crate) use form::{agree, authorize, sign_in};

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Json, Raw, Who, answer, insert},
    serving::Peer,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sign_in::own::{OAuthError, OwnIssuer, Sent};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The largest form, in bytes.
const FORM_BYTES: usize = 64 << 10;
/// How many calls of the issuer run at once. A password takes 64 MiB.
const AT_ONCE: usize = 4;

/// The issuer, and how many may use it at once.
pub(crate) struct Desk {
    pub(crate) issuer: OwnIssuer,
    places: Semaphore,
}

impl Desk {
    pub(crate) fn new(issuer: OwnIssuer) -> Self {
        Self {
            issuer,
            places: Semaphore::new(AT_ONCE),
        }
    }
}

/// The issuer of this node; a problem if it has none.
fn desk(edge: &Edge) -> Result<&Arc<Desk>, Problem> {
    edge.desk.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "this node signs nobody in; its operator can turn that on with sign_in.accounts",
        )
    })
}

/// Runs a call of the issuer where it may block.
async fn beside<T: Send + 'static>(
    desk: &Arc<Desk>,
    call: impl FnOnce(&OwnIssuer) -> T + Send + 'static,
) -> Result<T, Problem> {
    let busy = |_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the node cannot sign anybody in now; try again in a moment",
        )
    };
    // Given back when the call is over, also when its client is gone.
    let place = desk.clone();
    let permit = desk.places.acquire().await.map_err(|_| busy(()))?;
    permit.forget();
    let done = tokio::task::spawn_blocking(move || {
        let _back = Back(&place.places);
        call(&place.issuer)
    });
    done.await.map_err(|_| busy(()))
}

/// Gives a place back, also when the call breaks off.
struct Back<'a>(&'a Semaphore);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// Reads a form's body. Names and values are decoded; what is no UTF-8 is replaced.
async fn form(edge: &Edge, raw: Raw) -> Result<Vec<(String, String)>, Problem> {
    let held = edge.body(&raw.headers, raw.body, FORM_BYTES).await?;
    Ok(pairs(&held.bytes))
}

fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// Who a request comes from, for counting failures: the connection's address, or, from a proxy on this machine, the
/// last address that it was forwarded for. Of IPv6 the network that one household has.
fn address(peer: Option<&Peer>, headers: &HeaderMap) -> String {
    use std::net::IpAddr;
    let Some(peer) = peer else {
        return "unknown".to_owned();
    };
    let forwarded = || -> Option<IpAddr> {
        let all = headers.get_all("x-forwarded-for").iter().next_back()?;
        all.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let ip = match peer.address {
        ip if ip.is_loopback() => forwarded().unwrap_or(ip),
        ip => ip,
    };
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn peer(extension: Option<Extension<Peer>>) -> Option<Peer> {
    extension.map(|Extension(peer)| peer)
}

/// Software sends a form, and gets JSON.
async fn software<T: Serialize + Send + 'static>(
    edge: Edge,
    from: Option<Extension<Peer>>,
    raw: Raw,
    call: impl FnOnce(&OwnIssuer, Sent<'_>, u64) -> Result<T, OAuthError> + Send + 'static,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    let now_ms = edge.ambient.now_ms();
    // What is no text is no proof either.
    let header = raw.headers.get(header::AUTHORIZATION);
    let authorization = header.map(|value| value.to_str().unwrap_or_default().to_owned());
    let certificate = peer(from).and_then(|peer| peer.certificate);
    let by_header = authorization.is_some();
    let form = form(&edge, raw).await?;
    let done = beside(desk, move |issuer| {
        let sent = Sent {
            form: &form,
            authorization: authorization.as_deref(),
            certificate: certificate.as_deref(),
        };
        call(issuer, sent, now_ms)
    });
    let mut response = match done.await? {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(error) => refusal(&error, by_header),
    };
    insert(&mut response, header::PRAGMA, "no-cache");
    Ok(response)
}

/// RFC 6749 section 5.2.
fn refusal(error: &OAuthError, by_header: bool) -> Response {
    #[derive(Serialize)]
    struct Refusal<'a> {
        error: &'a str,
        error_description: &'a str,
    }
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = Refusal {
        error: error.error,
        error_description: &error.description,
    };
    let mut response = answer(status, &body);
    if status == StatusCode::UNAUTHORIZED && by_header {
        insert(&mut response, header::WWW_AUTHENTICATE, "Basic");
    }
    response
}

pub(crate) async fn token(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    software(edge, from, raw, |issuer, sent, now_ms| {
        issuer.token(sent, now_ms)
    })
    .await
}

pub(crate) async fn introspect(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    software(edge, from, raw, |issuer, sent, now_ms| {
        issuer.introspect(sent, now_ms)
    })
    .await
}

pub(crate) async fn revoke(
    State(edge): State<Edge>,
    from: Option<Extension<Peer>>,
    raw: Raw,
) -> Result<Response, Problem> {
    software(edge, from, raw, |issuer, sent, now_ms| {
        issuer.revoke(sent, now_ms)
    })
    .await
}

/// A patient whom somebody has open.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// The FHIR id of the Patient.
    patient: String,
}

/// A launch: good once, for five minutes, for whoever asked for it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Launch {
    /// Goes to the app as `launch`.
    launch: String,
    /// Goes to the app as `iss`.
    iss: String,
}

pub(crate) async fn launch(
    State(edge): State<Edge>,
    Who(caller): Who,
    Json(open): Json<Open>,
) -> Result<Response, Problem> {
    let desk = desk(&edge)?;
    if caller.actor.institution != desk.issuer.institution() {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "an app is launched for this institution's own staff",
        ));
    }
    // Nothing is read by it: whether there is such a patient, and may be read, is asked when the app comes.
    let made = desk.issuer.launch(
        &caller.actor.practitioner,
        &open.patient,
        edge.ambient.now_ms(),
    );
    let launch = made.ok_or_else(|| {
        Problem::bad_request("patient is the id of a FHIR Patient, of 1 to 64 characters")
    })?;
    let iss = format!("{}/fhir", desk.issuer.url());
    Ok(answer(StatusCode::CREATED, &Launch { launch, iss }))
}

pub(crate) async fn keys(State(edge): State<Edge>) -> Result<Response, Problem> {
    public(&edge, OwnIssuer::key_set)
}

pub(crate) async fn openid_configuration(State(edge): State<Edge>) -> Result<Response, Problem> {
    public(&edge, OwnIssuer::openid_configuration)
}

pub(crate) async fn smart_configuration(State(edge): State<Edge>) -> Result<Response, Problem> {
    public(&edge, OwnIssuer::smart_configuration)
}

fn public(edge: &Edge, document: fn(&OwnIssuer) -> Value) -> Result<Response, Problem> {
    let desk = desk(edge)?;
    Ok(answer(StatusCode::OK, &document(&desk.issuer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_where_they_come_from() {
        let check = |from: &str, forwarded: Option<&str>, expect: &str| {
            let peer = Peer {
                address: from.parse().unwrap(),
                certificate: None,
            };
            let mut headers = HeaderMap::new();
            if let Some(value) = forwarded {
                headers.insert("x-forwarded-for", value.parse().unwrap());
            }
            assert_eq!(address(Some(&peer), &headers), expect);
        };
        check("192.0.2.7", None, "192.0.2.7");
        // Only a proxy on this machine is believed, and of what it says only what it added itself.
        check("192.0.2.7", Some("198.51.100.1"), "192.0.2.7");
        check("127.0.0.1", None, "127.0.0.1");
        check(
            "127.0.0.1",
            Some("203.0.113.9, 198.51.100.1"),
            "198.51.100.1",
        );
        check("127.0.0.1", Some("nonsense"), "127.0.0.1");
        check("::ffff:192.0.2.7", None, "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64");
        assert_eq!(address(None, &HeaderMap::new()), "unknown");
    }
}
