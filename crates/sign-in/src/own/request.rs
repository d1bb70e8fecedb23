//! A request to authorise, checked (RFC 6749 section 4.1.1, RFC 7636, SMART App Launch).

use crate::own::{client::Client, errors::AuthorizeError, secret};
use serde::{Deserialize, Serialize};
use smart::{Scope, Scopes};

/// What software asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) scopes: String,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) launch: Option<String>,
}

/// The longest value of a parameter, in bytes.
const MAX_VALUE: usize = 2_000;

/// The value of a parameter; an error if it is there twice.
pub(crate) fn one<'a>(
    pairs: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, &'static str> {
    let mut found = pairs.iter().filter(|(n, _)| n == name);
    let value = found.next().map(|(_, value)| value.as_str());
    if found.next().is_some() {
        return Err("a parameter is there twice");
    }
    // RFC 6749 section 3.1: without a value it counts as left out.
    Ok(value.filter(|value| !value.is_empty()))
}

impl Asked {
    /// Reads and checks a request. `issuer` is this one, `audiences` what may be asked for.
    pub(crate) fn read(
        pairs: &[(String, String)],
        client: impl FnOnce(&str) -> Option<Client>,
        issuer: &str,
        audiences: &[&str],
    ) -> Result<(Self, Client), AuthorizeError> {
        let page = AuthorizeError::Page;
        if pairs.iter().any(|(_, value)| value.len() > MAX_VALUE * 4) {
            return Err(page("A parameter of the request is too long."));
        }
        let param =
            |name| one(pairs, name).map_err(|_| page("A parameter of the request is there twice."));
        let client = param("client_id")?
            .and_then(client)
            .ok_or(page("The application is not registered here."))?;
        let redirect_uri = param("redirect_uri")?
            .filter(|uri| client.redirect_uris.iter().any(|known| known == uri))
            .ok_or(page(
                "The application asks to be answered at an address that is not registered for it.",
            ))?
            .to_owned();
        let state = param("state")?.map(str::to_owned);
        let refuse = |error: &str, why: &str| {
            let url = answered(
                &redirect_uri,
                &[
                    ("error", error),
                    ("error_description", why),
                    ("state", state.as_deref().unwrap_or_default()),
                    ("iss", issuer),
                ],
            );
            Err(AuthorizeError::Redirect(url))
        };
        if state.as_ref().is_some_and(|s| s.len() > MAX_VALUE) {
            return Err(page("The state of the request is too long."));
        }
        if param("request")?.is_some() || param("request_uri")?.is_some() {
            return refuse("request_not_supported", "send plain parameters");
        }
        match param("response_type")? {
            Some("code") => {}
            Some(_) => return refuse("unsupported_response_type", "only code is supported"),
            None => return refuse("invalid_request", "response_type is missing"),
        }
        if param("response_mode")?.is_some_and(|mode| mode != "query") {
            return refuse(
                "invalid_request",
                "only the response mode query is supported",
            );
        }
        if param("code_challenge_method")? != Some("S256") {
            return refuse("invalid_request", "PKCE with S256 is required");
        }
        let Some(challenge) = param("code_challenge")?.filter(|c| secret::is_challenge(c)) else {
            return refuse("invalid_request", "code_challenge is missing or malformed");
        };
        // SMART App Launch: a token is asked for one server, so that no other one gets it.
        match param("aud")?.or(param("resource")?) {
            Some(aud) if audiences.contains(&aud.trim_end_matches('/')) => {}
            _ => return refuse("invalid_request", "aud must be the URL of this FHIR server"),
        }
        if param("prompt")? == Some("none") {
            return refuse("login_required", "people sign in each time");
        }
        let Ok(scopes) = Scopes::parse(param("scope")?.unwrap_or_default()) else {
            return refuse("invalid_scope", "a scope is malformed");
        };
        let launch = param("launch")?.map(str::to_owned);
        let mut scopes = scopes.within(&client.most());
        if launch.is_none() {
            let without = |s: &&Scope| s.to_string() != "launch";
            scopes = Scopes::of(scopes.iter().filter(without).cloned());
        }
        if scopes.is_empty() {
            return refuse(
                "invalid_scope",
                "none of the scopes may be had by this client",
            );
        }
        let nonce = param("nonce")?.map(str::to_owned);
        let challenge = challenge.to_owned();
        let asked = Self {
            client: client.id.clone(),
            redirect_uri,
            state,
            scopes: scopes.to_string(),
            challenge,
            nonce,
            launch,
        };
        Ok((asked, client))
    }

    /// Where the person is sent with an answer; `state` and `iss` (RFC 9207) are added.
    pub(crate) fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.push(("state", self.state.as_deref().unwrap_or_default()));
        all.push(("iss", issuer));
        answered(&self.redirect_uri, &all)
    }
}

/// A URL with query parameters added; those without a value are left out.
fn answered(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = url.to_owned();
    let mut mark = if url.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(mark);
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
        mark = '&';
    }
    text
}
