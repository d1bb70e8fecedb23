//! Issuers of access tokens elsewhere: a hospital's single sign-on (OpenID Connect).
//!
//! An issuer is configured with its URL, the audience that its tokens must name, and what its claims mean here.
//! Its keys are found by discovery (`<url>/.well-known/openid-configuration`, whose `issuer` must be the
//! configured one), kept, and fetched again when they are old or a token names a key that is not among them; never
//! more often than every [`RETRY_MS`], whatever tokens come. [`Issuers::check`] looks only at what is there and never
//! blocks; when it says [`Outcome::Fetch`], whoever may block calls [`Issuers::fetch`] and checks again. A node
//! starts and serves without any issuer: keys that were had are used for [`KEEP_MS`] after the last success.
//!
//! Source: OpenID Connect Discovery 1.0, RFC 8414, RFC 9068.

use crate::{
    fetch::{Fetch, is_safe},
    jwt::{Claims, FOR_TOKENS, KeySet, Refused, Unverified, Verified},
    key_cache::{Cached, KeyCache},
};
use codec::{InstitutionId, SubjectId};
use consent::{PractitionerId, Role};
use serde::Deserialize;
use serde_json::{Map, Value};
use smart::Scopes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use crate::key_cache::{FRESH_MS, KEEP_MS, RETRY_MS};

/// The most issuers.
pub const MAX_ISSUERS: usize = 16;
const MAX_SKEW_S: u64 = 300;

/// One issuer, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its URL, exactly as in the `iss` of its tokens.
    pub url: String,
    /// What `aud` of its access tokens must hold.
    pub audience: String,
    /// By how much its clock may differ, in seconds.
    #[serde(default = "skew")]
    pub skew_s: u64,
    /// The claim with roles: a name, or a path like `realm_access.roles`. Its value is a list of texts, or one
    /// text with spaces between.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// What is in that claim -> roles here. What is not listed gives none.
    #[serde(default)]
    pub roles: BTreeMap<String, BTreeSet<Role>>,
    /// The claim that names the person; `sub` when left out.
    #[serde(default = "practitioner_claim")]
    pub practitioner_claim: String,
    /// Scopes that its tokens carry beside those that they name: single sign-on seldom knows any of ours.
    #[serde(default)]
    pub scopes: String,
    /// The claim with the subject id of a person who is bound to one (families).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_claim: Option<String>,
    /// The claim with the slot of a person who controls that subject's consent (a whole number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_claim: Option<String>,
}

const fn skew() -> u64 {
    60
}

fn roles_claim() -> String {
    "roles".to_owned()
}

fn practitioner_claim() -> String {
    "sub".to_owned()
}

impl Issuer {
    /// Checks what the configuration says.
    ///
    /// # Errors
    /// A sentence.
    pub fn validate(&self) -> Result<(), String> {
        if !is_safe(&self.url) || self.url.contains(['?', '#']) {
            return Err(format!(
                "the issuer {} must be an https URL without query; http is for loopback only",
                self.url
            ));
        }
        if self.audience.trim().is_empty() {
            return Err(format!("the issuer {} needs an audience", self.url));
        }
        if let Err(why) = Scopes::parse(&self.scopes) {
            return Err(format!("scopes of the issuer {}: {why}", self.url));
        }
        if self.skew_s > MAX_SKEW_S {
            return Err(format!(
                "skew_s of the issuer {} is {}; it takes 0 to {MAX_SKEW_S}",
                self.url, self.skew_s
            ));
        }
        if self.roles.values().any(|r| r.contains(&Role::System)) {
            return Err(format!(
                "the issuer {} cannot give the role system, which is the node's own",
                self.url
            ));
        }
        Ok(())
    }
}

/// Whom a token speaks for, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For whom they act.
    pub institution: InstitutionId,
    /// Who they are there.
    pub practitioner: PractitionerId,
    /// What they are there.
    pub roles: BTreeSet<Role>,
    /// The only subject they may act for.
    pub subject: Option<SubjectId>,
    /// A controller's slot.
    pub slot: Option<u8>,
    /// What their software may do.
    pub scopes: Scopes,
    /// Their software.
    pub client: Option<String>,
    /// The FHIR id of the Patient that the session is about.
    pub patient: Option<String>,
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is good.
    Good(Box<Identity>),
    /// The keys are missing, old, or without the one that the token names: [`Issuers::fetch`], then check again.
    Fetch,
    /// It is not good.
    Refused(Refused),
}

/// All configured issuers, with their keys.
pub struct Issuers {
    all: Vec<Known>,
    fetch: Arc<dyn Fetch>,
    /// Whose people they are: of the institution that configured them.
    institution: InstitutionId,
}

struct Known {
    issuer: Issuer,
    keys: KeyCache,
}

impl Issuers {
    /// These issuers; nothing is fetched yet.
    pub fn new(all: Vec<Issuer>, institution: InstitutionId, fetch: Arc<dyn Fetch>) -> Self {
        let known = |issuer| Known {
            issuer,
            keys: KeyCache::default(),
        };
        Self {
            all: all.into_iter().take(MAX_ISSUERS).map(known).collect(),
            fetch,
            institution,
        }
    }

    /// Whether a token says that it is of one of these.
    pub fn know(&self, token: &Unverified) -> bool {
        self.of(token).is_some()
    }

    fn of(&self, token: &Unverified) -> Option<&Known> {
        let issuer = token.issuer.as_deref()?;
        self.all.iter().find(|known| known.issuer.url == issuer)
    }

    /// Checks a token with the keys that are there. It does not block. `unverified` is [`crate::jwt::peek`]'s,
    /// `certificate` the SHA-256 of the one that the connection was made with: a token that is bound to one is no
    /// good on another.
    pub fn check(
        &self,
        token: &str,
        unverified: &Unverified,
        certificate: Option<&str>,
        now_ms: u64,
    ) -> Outcome {
        let Some(known) = self.of(unverified) else {
            return Outcome::Refused(Refused::Issuer);
        };
        let keys = match known.keys.keys(unverified.key_id.as_deref(), now_ms) {
            Cached::Fetch => return Outcome::Fetch,
            Cached::Keys(keys) => keys,
        };
        let Some(keys) = keys else {
            return Outcome::Refused(Refused::UnknownKey);
        };
        let read = known
            .issuer
            .read(token, &keys, self.institution, certificate, now_ms);
        match read {
            Ok(identity) => Outcome::Good(Box::new(identity)),
            Err(refused) => Outcome::Refused(refused),
        }
    }

    /// Fetches the keys of the issuer that a token names, if it may be tried again. It blocks for as long as
    /// [`Fetch::get`] twice.
    pub fn fetch(&self, unverified: &Unverified, now_ms: u64) {
        let Some(known) = self.of(unverified) else {
            return;
        };
        let discovered = || known.issuer.discover(self.fetch.as_ref());
        if let Err(why) = known.keys.fetch(now_ms, discovered) {
            let issuer = &known.issuer.url;
            tracing::warn!(issuer, "its keys cannot be had: {why}");
        }
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls = self.all.iter().map(|known| &known.issuer.url);
        f.debug_list().entries(urls).finish()
    }
}

impl Issuer {
    fn discover(&self, fetch: &dyn Fetch) -> Result<KeySet, String> {
        #[derive(Deserialize)]
        struct Discovered {
            issuer: String,
            jwks_uri: String,
        }
        let base = self.url.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let bytes = fetch.get(&url).map_err(|e| e.to_string())?;
        let found: Discovered = serde_json::from_slice(&bytes)
            .map_err(|_| format!("{url} is no OpenID Connect configuration"))?;
        if found.issuer != self.url {
            return Err(format!("{url} speaks for another issuer"));
        }
        if !is_safe(&found.jwks_uri) {
            return Err(format!("{url} names keys that are not at an https URL"));
        }
        let bytes = fetch.get(&found.jwks_uri).map_err(|e| e.to_string())?;
        KeySet::parse(&bytes).map_err(|e| format!("{}: {e}", found.jwks_uri))
    }

    fn read(
        &self,
        token: &str,
        keys: &KeySet,
        institution: InstitutionId,
        certificate: Option<&str>,
        now_ms: u64,
    ) -> Result<Identity, Refused> {
        let Verified { kind, claims } = keys.verify::<Claims>(token, FOR_TOKENS)?;
        // Other kinds of token (logout, security events) are signed with the same keys.
        let kind = kind.map(|kind| kind.to_ascii_lowercase());
        if !matches!(
            kind.as_deref(),
            None | Some("jwt" | "at+jwt" | "application/at+jwt")
        ) {
            return Err(Refused::Malformed);
        }
        claims.check(&self.url, &[&self.audience], now_ms, self.skew_s)?;
        let others = &claims.others;
        let says_access = kind.is_some_and(|kind| kind.ends_with("at+jwt"));
        if !says_access && !looks_like_access(others) {
            return Err(Refused::Malformed);
        }
        // Bound to whoever holds a key (RFC 7800): a certificate (RFC 8705), or something that is not checked here.
        if let Some(bound) = others.get("cnf") {
            let pin = bound.as_object().filter(|bound| bound.len() == 1);
            let pin = pin.and_then(|bound| bound.get("x5t#S256")?.as_str());
            if pin.is_none() || pin != certificate {
                return Err(Refused::Audience);
            }
        }
        let name = match self.practitioner_claim.as_str() {
            "sub" => claims.sub.as_str(),
            path => at(others, path).and_then(Value::as_str).unwrap_or_default(),
        };
        let practitioner = PractitionerId::new(name).map_err(|_| Refused::Malformed)?;
        let roles = texts(at(others, &self.roles_claim))
            .filter_map(|text| self.roles.get(text))
            .flatten()
            .copied()
            .collect();
        let subject = match &self.subject_claim {
            None => None,
            Some(path) => match at(others, path) {
                None => None,
                Some(value) => Some(
                    value
                        .as_str()
                        .and_then(|text| text.parse().ok())
                        .ok_or(Refused::Malformed)?,
                ),
            },
        };
        let slot = match self.slot_claim.as_deref().and_then(|path| at(others, path)) {
            None => None,
            Some(value) => {
                let number = value.as_u64().and_then(|slot| u8::try_from(slot).ok());
                Some(number.ok_or(Refused::Malformed)?)
            }
        };
        let scope = texts(others.get("scope").or_else(|| others.get("scp")))
            .chain(self.scopes.split(' '))
            .collect::<Vec<_>>()
            .join(" ");
        let text = |name: &str| others.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Identity {
            institution,
            practitioner,
            roles,
            subject,
            slot,
            scopes: Scopes::parse(&scope).map_err(|_| Refused::Malformed)?,
            client: text("client_id").or_else(|| text("azp")),
            patient: text("patient"),
        })
    }
}

/// Whether claims are an access token's. Providers sign identity tokens with the same keys, and where one client
/// identifier serves an app and this node, for the same audience.
fn looks_like_access(claims: &Map<String, Value>) -> bool {
    let of_others = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
    let named = claims.get("typ").and_then(Value::as_str);
    let has_scope = claims.contains_key("scope") || claims.contains_key("scp");
    has_scope
        && !of_others.iter().any(|name| claims.contains_key(*name))
        && named.is_none_or(|named| named.eq_ignore_ascii_case("bearer"))
}

/// What is at a path of claims: `realm_access.roles`. A claim whose own name has dots is found first.
fn at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (head, rest) = path.split_once('.')?;
    at(claims.get(head)?.as_object()?, rest)
}

/// A list of texts, or one text with spaces between.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(text)) => (Some(text.as_str()), &[][..]),
        Some(Value::Array(all)) => (None, all.as_slice()),
        _ => (None, &[][..]),
    };
    let one = one.into_iter().flat_map(|t| t.split(' '));
    one.chain(many.iter().filter_map(Value::as_str))
        .filter(|text| !text.is_empty())
}
