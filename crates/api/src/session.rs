//! Who is asking: a bearer token becomes a session, or a refusal that says how to come again.
//!
//! An opaque token is one of `ithaca token` and carries every scope. A JSON Web Token is believed if the node's own
//! issuer signed it ([`sign_in::own`]), or one of the configured ones ([`sign_in::issuers`]); its scopes bound what its software may do, its roles are
//! what the configuration makes of its claims. What a token says of itself decides only whose keys check it.
//!
//! Answers: 401 with `WWW-Authenticate: Bearer` where nothing was sent, and with `error="invalid_token"` where
//! what was sent is no good (RFC 6750 section 3.1); never why, beyond a class that names no part of the token.

use crate::{
    edge::Edge,
    problem::Problem,
    token::{Bearer, Lasting},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use consent::{Actor, Role};
use node::{BOUND, Caller};
use sign_in::{
    issuers::{Identity, Outcome},
    jwt::{self, Unverified},
};
use smart::Scopes;

/// Who asks, through which software, and what that may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub caller: Caller,
    /// What the software may do; consent and roles bound it further.
    pub scopes: Scopes,
    /// The software, as its issuer names it.
    pub client: Option<String>,
    /// The FHIR id of the Patient that the session is about.
    pub patient: Option<String>,
    /// The token, if it is one that lasts: those of issuers are over in minutes.
    pub lasting: Option<Lasting>,
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::unauthenticated)
    }
}

/// The session of a request.
///
/// `certificate` is the SHA-256 of the one that the connection was made with; a machine that is registered with it
/// needs no token.
pub(crate) async fn authenticate(
    edge: &Edge,
    headers: &HeaderMap,
    certificate: Option<&str>,
) -> Result<Session, Problem> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = sent.next() else {
        let machine = certificate
            .zip(edge.desk.as_ref())
            .and_then(|(certificate, desk)| desk.issuer.identify_machine(certificate));
        return Session::of(machine.ok_or_else(Problem::unauthenticated)?);
    };
    if sent.next().is_some() {
        return Err(Problem::invalid_token("there are two of them"));
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(Problem::unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unauthenticated());
    }
    let token = token.trim();
    if !jwt::looks_like_one(token) {
        return edge
            .tokens
            .bearer(token, edge.now())
            .map(Session::unbounded)
            .ok_or_else(|| Problem::invalid_token("it is not known here, or over"));
    }
    let unverified = jwt::peek(token).map_err(|why| Problem::invalid_token(&why.to_string()))?;
    let own = edge.desk.as_ref().map(|desk| &desk.issuer);
    let own = own.filter(|own| unverified.issuer.as_deref() == Some(own.url()));
    let identity = match own {
        Some(own) => own
            .identify(token, certificate, edge.ambient.now_ms())
            .map_err(|why| Problem::invalid_token(&why.to_string()))?,
        None => issued_elsewhere(edge, token, unverified, certificate).await?,
    };
    Session::of(identity)
}

/// The identity in a token of a configured issuer; its keys are fetched where they have to be.
async fn issued_elsewhere(
    edge: &Edge,
    token: &str,
    unverified: Unverified,
    certificate: Option<&str>,
) -> Result<Identity, Problem> {
    let refused = |why: &str| Err(Problem::invalid_token(why));
    let Some(issuers) = edge.issuers.as_ref() else {
        return refused("this node believes no other issuer");
    };
    let now_ms = edge.ambient.now_ms();
    let mut outcome = issuers.check(token, &unverified, certificate, now_ms);
    if outcome == Outcome::Fetch {
        let fetching = (issuers.clone(), unverified.clone());
        let fetch = move || fetching.0.fetch(&fetching.1, now_ms);
        // It tries at most once in a while for each issuer, so few threads wait.
        if tokio::task::spawn_blocking(fetch).await.is_err() {
            return refused("its issuer's keys could not be fetched");
        }
        outcome = issuers.check(token, &unverified, certificate, now_ms);
    }
    match outcome {
        Outcome::Good(identity) => Ok(*identity),
        Outcome::Refused(why) => refused(&why.to_string()),
        Outcome::Fetch => refused("its issuer's keys are not there yet; try again"),
    }
}

impl Session {
    /// Of a token that bounds no software.
    fn unbounded(bearer: Bearer) -> Self {
        Self {
            caller: bearer.caller,
            scopes: Scopes::everything(),
            client: None,
            patient: None,
            lasting: Some(bearer.lasting),
        }
    }

    /// Of an identity that an issuer vouches for. What is true of every caller is checked here once more.
    fn of(identity: Identity) -> Result<Self, Problem> {
        let bound = BOUND.iter().any(|role| identity.roles.contains(role));
        let is_nobody = identity.roles.is_empty();
        if is_nobody
            || identity.roles.contains(&Role::System)
            || bound && identity.subject.is_none()
        {
            return Err(Problem::invalid_token(
                "its roles are not such as a token can give",
            ));
        }
        let actor = Actor {
            institution: identity.institution,
            practitioner: identity.practitioner,
            roles: identity.roles,
            slot: identity.slot,
        };
        Ok(Self {
            caller: match identity.subject {
                Some(subject) => Caller::bound(actor, subject),
                None => Caller::staff(actor),
            },
            scopes: identity.scopes,
            client: identity.client,
            patient: identity.patient,
            lasting: None,
        })
    }

    /// Refuses software that was given no right to the node's own interface: scopes about FHIR resources say
    /// nothing of it.
    pub(crate) fn may_use_own_interface(&self) -> Result<(), Problem> {
        if self.scopes.permits_own_interface() {
            return Ok(());
        }
        Err(Problem::insufficient_scope("ithaca"))
    }
}
