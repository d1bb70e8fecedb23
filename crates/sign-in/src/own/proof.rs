//! Recognising software: by nothing, a secret, or its signature (RFC 6749 section 2.3, RFC 7523, SMART Backend
//! Services).

use crate::own::expiring::Added;
use crate::{
    fetch::Fetch,
    jwt::{self, Claims, FOR_CLIENTS, KeySet},
    key_cache::{Cached, KeyCache},
    own::{
        client::{Client, Clients, Proof},
        errors::OAuthError,
        expiring::Expiring,
        request::one,
        secret,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The longest that an assertion may be good, in seconds.
const MAX_ASSERTION_S: u64 = 300;
/// By how much a client's clock may differ, in seconds.
const SKEW_S: u64 = 10;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who recognises software.
pub(crate) struct Recogniser {
    pub(crate) clients: Clients,
    /// Assertions that were used.
    pub(crate) used: Expiring,
    pub(crate) fetch: Arc<dyn Fetch>,
    /// Keys of clients that publish them, by URL.
    caches: Mutex<HashMap<String, Arc<KeyCache>>>,
}

impl Recogniser {
    pub(crate) fn new(clients: Clients, used: Expiring, fetch: Arc<dyn Fetch>) -> Self {
        Self {
            clients,
            used,
            fetch,
            caches: Mutex::default(),
        }
    }

    /// The client that sends a form. `certificate` is the SHA-256 of the one it connected with. It may block while
    /// keys are fetched. `audiences` are what an assertion may be meant for; `implied` is the client that what is in
    /// the form was given to, for one that does not name itself.
    pub(crate) fn recognise(
        &self,
        form: &[(String, String)],
        authorization: Option<&str>,
        certificate: Option<&str>,
        audiences: &[&str],
        implied: Option<&str>,
        now_ms: u64,
    ) -> Result<Client, OAuthError> {
        let param = |name| one(form, name).map_err(OAuthError::request);
        let assertion = param("client_assertion")?;
        let posted = param("client_secret")?;
        let named = param("client_id")?;
        let ways = [
            assertion.is_some(),
            posted.is_some(),
            authorization.is_some(),
        ];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(OAuthError::request(
                "the client proves itself in more than one way",
            ));
        }
        let client = if let Some(assertion) = assertion {
            if param("client_assertion_type")? != Some(ASSERTION_TYPE) {
                return Err(OAuthError::request(
                    "client_assertion_type is not jwt-bearer",
                ));
            }
            self.by_assertion(assertion, audiences, now_ms)?
        } else if let Some(header) = authorization {
            let (id, secret) = basic(header).ok_or_else(OAuthError::client)?;
            self.by_secret(&id, &secret)?
        } else {
            let id = named.or(implied).ok_or_else(OAuthError::client)?;
            match posted {
                Some(secret) => self.by_secret(id, secret)?,
                None => self.by_nothing(id, certificate)?,
            }
        };
        if named.is_some_and(|id| id != client.id) {
            return Err(OAuthError::client());
        }
        Ok(client)
    }

    fn by_nothing(&self, id: &str, certificate: Option<&str>) -> Result<Client, OAuthError> {
        let client = self.clients.by_id(id).ok_or_else(OAuthError::client)?;
        let pinned = certificate.is_some_and(|pin| client.certificates.iter().any(|c| c == pin));
        match client.proof {
            Proof::Public {} => Ok(client),
            Proof::Certificate {} if pinned => Ok(client),
            _ => Err(OAuthError::client()),
        }
    }

    fn by_secret(&self, id: &str, text: &str) -> Result<Client, OAuthError> {
        let client = self.clients.by_id(id).ok_or_else(OAuthError::client)?;
        let Proof::Secret { sha256 } = &client.proof else {
            return Err(OAuthError::client());
        };
        let given = secret::fingerprint(text);
        if keys::constant_time_eq(given.as_bytes(), sha256.as_bytes()) {
            Ok(client)
        } else {
            Err(OAuthError::client())
        }
    }

    fn by_assertion(
        &self,
        assertion: &str,
        audiences: &[&str],
        now_ms: u64,
    ) -> Result<Client, OAuthError> {
        let bad = |_| OAuthError::client();
        let unverified = jwt::peek(assertion).map_err(bad)?;
        let id = unverified.subject.ok_or_else(OAuthError::client)?;
        let client = self.clients.by_id(&id).ok_or_else(OAuthError::client)?;
        let keys = self.keys(&client, unverified.key_id.as_deref(), now_ms)?;
        let claims = keys
            .verify::<Claims>(assertion, FOR_CLIENTS)
            .map_err(bad)?
            .claims;
        // iss and sub are both the client.
        claims.check(&id, audiences, now_ms, SKEW_S).map_err(bad)?;
        let now_s = now_ms / 1000;
        let jti = claims
            .jti
            .as_deref()
            .filter(|jti| (1..=128).contains(&jti.len()))
            .ok_or_else(OAuthError::client)?;
        if claims.sub != id || claims.exp > now_s + MAX_ASSERTION_S + SKEW_S {
            return Err(OAuthError::client());
        }
        // Once only, also after a restart.
        let id_of_it = secret::fingerprint(&format!("{id} {jti}"));
        match self.used.add(&id_of_it, claims.exp + SKEW_S + 1, now_s)? {
            Added::Now => {}
            Added::Before => return Err(OAuthError::client()),
            Added::NoRoom => return Err(OAuthError::busy()),
        }
        Ok(client)
    }

    fn keys(
        &self,
        client: &Client,
        key_id: Option<&str>,
        now_ms: u64,
    ) -> Result<Arc<KeySet>, OAuthError> {
        match &client.proof {
            Proof::Keys { set } => KeySet::parse(set.to_string().as_bytes())
                .map(Arc::new)
                .map_err(|_| OAuthError::client()),
            Proof::KeysAt { url } => {
                let cache = {
                    let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
                    caches.entry(url.clone()).or_default().clone()
                };
                if let Cached::Keys(keys) = cache.keys(key_id, now_ms) {
                    return keys.ok_or_else(OAuthError::client);
                }
                let fetched = cache.fetch(now_ms, || {
                    let bytes = self.fetch.get(url).map_err(|e| e.to_string())?;
                    KeySet::parse(&bytes).map_err(|e| e.to_string())
                });
                if let Err(why) = fetched {
                    let client = &client.id;
                    tracing::warn!(client, "its keys cannot be had: {why}");
                }
                match cache.keys(key_id, now_ms) {
                    Cached::Keys(Some(keys)) => Ok(keys),
                    _ => Err(OAuthError::client()),
                }
            }
            _ => Err(OAuthError::client()),
        }
    }
}

/// Id and secret of `Basic` (RFC 6749 section 2.3.1: both are form-encoded first; ours need no encoding).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 1_000 {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
