//! The token endpoint, and its neighbours for revoking and looking at tokens.

use crate::own::expiring::Added;
use crate::own::{
    ACCESS_KIND, ACCESS_S, OFFLINE_S, ONLINE_S, OwnIssuer,
    account::Account,
    client::{Client, Proof},
    errors::OAuthError,
    family::{Granted, Refreshed},
    request::one,
    secret,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use smart::Scopes;

/// A code that was given out.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) account: String,
    pub(super) scopes: Scopes,
    pub(super) patient: Option<String>,
    pub(super) signed_in_s: u64,
}

/// What came of a code.
#[derive(Debug)]
pub(super) struct Spent {
    token: String,
    family: Option<String>,
}

/// What software sends to these endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The form, decoded.
    pub form: &'a [(String, String)],
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The SHA-256 of the certificate that it connected with.
    pub certificate: Option<&'a str>,
}

/// Tokens (RFC 6749 section 5.1, SMART App Launch).
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    need_patient_banner: Option<bool>,
}

/// For whom an access token is.
struct For<'a> {
    subject: &'a str,
    client: &'a Client,
    scopes: &'a Scopes,
    patient: Option<&'a str>,
    fhir_user: Option<String>,
    family: Option<&'a str>,
    certificate: Option<&'a str>,
}

impl OwnIssuer {
    /// What the token endpoint answers.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub fn token(&self, sent: Sent<'_>, now_ms: u64) -> Result<Tokens, OAuthError> {
        let client = self.recognise(sent, now_ms)?;
        let param = |name| one(sent.form, name).map_err(OAuthError::request);
        match param("grant_type")? {
            Some("authorization_code") => self.by_code(sent, &client, now_ms),
            Some("refresh_token") => self.by_refresh(sent, &client, now_ms),
            Some("client_credentials") => self.by_itself(sent, &client, now_ms),
            Some(_) => Err(OAuthError::new(
                400,
                "unsupported_grant_type",
                "authorization_code, refresh_token and client_credentials are supported",
            )),
            None => Err(OAuthError::request("grant_type is missing")),
        }
    }

    fn recognise(&self, sent: Sent<'_>, now_ms: u64) -> Result<Client, OAuthError> {
        let here = format!("{}/auth/token", self.url);
        // Public software need not name itself when it refreshes (RFC 6749 section 6), and some does not.
        let implied = match one(sent.form, "grant_type") {
            Ok(Some("refresh_token")) => one(sent.form, "refresh_token").ok().flatten(),
            _ => None,
        };
        let implied = implied.and_then(|token| self.families.client_of(token));
        self.recogniser.recognise(
            sent.form,
            sent.authorization,
            sent.certificate,
            &[&here],
            implied.as_deref(),
            now_ms,
        )
    }

    fn by_code(&self, sent: Sent<'_>, client: &Client, now_ms: u64) -> Result<Tokens, OAuthError> {
        let param = |name| one(sent.form, name).map_err(OAuthError::request);
        let text = param("code")?.ok_or_else(|| OAuthError::request("code is missing"))?;
        let key = secret::fingerprint(text);
        let Some(code) = self.codes.take(&key, now_ms) else {
            // Used before: whoever has it now, or had it then, stole it (RFC 6749 section 4.1.2).
            if let Some(spent) = self.spent.take(&key, now_ms) {
                self.forget(&spent.token, spent.family.as_deref(), now_ms)?;
            }
            return Err(OAuthError::grant());
        };
        let verifier = param("code_verifier")?.filter(|text| secret::is_verifier(text));
        let fits = code.client == client.id
            && param("redirect_uri")? == Some(&code.redirect_uri)
            && verifier.is_some_and(|v| secret::challenge(v) == code.challenge);
        let account = self.accounts.by_id(&code.account);
        let Some(account) = account.filter(|_| fits) else {
            return Err(OAuthError::grant());
        };
        let lasting_s = match &code.scopes {
            scopes if scopes.names("offline_access") => Some(OFFLINE_S),
            scopes if scopes.names("online_access") => Some(ONLINE_S),
            _ => None,
        };
        let refresh = lasting_s.map(|lasting_s| {
            let granted = Granted {
                client: client.id.clone(),
                account: account.id.clone(),
                scopes: code.scopes.to_string(),
                patient: code.patient.clone(),
                expires_s: now_ms / 1000 + lasting_s,
            };
            self.families
                .begin(granted, now_ms / 1000, &self.entropy)?
                .ok_or_else(OAuthError::busy)
        });
        let (family, refresh_token) = refresh.transpose()?.unzip();
        let (access_token, id) = self.access(
            For {
                subject: &account.id,
                client,
                scopes: &code.scopes,
                patient: code.patient.as_deref(),
                fhir_user: self.fhir_user(&account, &code.scopes),
                family: family.as_deref(),
                certificate: None,
            },
            now_ms,
        )?;
        let spent = Spent { token: id, family };
        let until_ms = now_ms.saturating_add(ACCESS_S * 1000);
        let owner = key.clone();
        if !self.spent.put(key, spent, &owner, until_ms, now_ms) {
            return Err(OAuthError::busy());
        }
        let id_token = self.id_token(client, &account, &code, now_ms)?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: ACCESS_S,
            scope: code.scopes.to_string(),
            refresh_token,
            id_token,
            need_patient_banner: code.patient.is_some().then_some(true),
            patient: code.patient,
        })
    }

    fn by_refresh(
        &self,
        sent: Sent<'_>,
        client: &Client,
        now_ms: u64,
    ) -> Result<Tokens, OAuthError> {
        let param = |name| one(sent.form, name).map_err(OAuthError::request);
        let token = param("refresh_token")?
            .ok_or_else(|| OAuthError::request("refresh_token is missing"))?;
        let narrower = param("scope")?
            .map(Scopes::parse)
            .transpose()
            .map_err(|_| OAuthError::scope())?;
        let mut found = None;
        let refreshed = self.families.refresh(
            token,
            &client.id,
            now_ms / 1000,
            &self.entropy,
            |granted| -> Result<(), OAuthError> {
                let account = self.accounts.by_id(&granted.account);
                let account = account.ok_or_else(OAuthError::grant)?;
                let all = Scopes::parse(&granted.scopes).map_err(|_| OAuthError::grant())?;
                let scopes = match &narrower {
                    None => all,
                    Some(narrower) if narrower.are_within(&all) => narrower.clone(),
                    Some(_) => return Err(OAuthError::scope()),
                };
                found = Some((account, scopes.within(&client.most())));
                Ok(())
            },
        )?;
        let (family, granted, refresh_token) = match refreshed {
            Refreshed::Next {
                family,
                granted,
                token,
            } => (family, granted, token),
            Refreshed::Reused { family } => {
                tracing::warn!(
                    client = client.id,
                    "a refresh token was used twice; its family is revoked"
                );
                let now_s = now_ms / 1000;
                self.disbelieve(&family, now_s)?;
                return Err(OAuthError::grant());
            }
            Refreshed::Bad => return Err(OAuthError::grant()),
        };
        let (account, scopes) = found.ok_or_else(OAuthError::grant)?;
        let (access_token, _) = self.access(
            For {
                subject: &account.id,
                client,
                scopes: &scopes,
                patient: granted.patient.as_deref(),
                fhir_user: self.fhir_user(&account, &scopes),
                family: Some(&family),
                certificate: None,
            },
            now_ms,
        )?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: ACCESS_S,
            scope: scopes.to_string(),
            refresh_token: Some(refresh_token),
            id_token: None,
            need_patient_banner: granted.patient.is_some().then_some(true),
            patient: granted.patient,
        })
    }

    fn by_itself(
        &self,
        sent: Sent<'_>,
        client: &Client,
        now_ms: u64,
    ) -> Result<Tokens, OAuthError> {
        if client.service.is_none() || matches!(client.proof, Proof::Public {}) {
            return Err(OAuthError::new(
                400,
                "unauthorized_client",
                "this client is not registered as a service",
            ));
        }
        let asked = one(sent.form, "scope").map_err(OAuthError::request)?;
        let asked = Scopes::parse(asked.unwrap_or_default()).map_err(|_| OAuthError::scope())?;
        let scopes = asked.within(&client.most_by_itself());
        if scopes.is_empty() {
            return Err(OAuthError::scope());
        }
        let (access_token, _) = self.access(
            For {
                subject: &client.id,
                client,
                scopes: &scopes,
                patient: None,
                fhir_user: None,
                family: None,
                certificate: sent
                    .certificate
                    .filter(|_| matches!(client.proof, Proof::Certificate {})),
            },
            now_ms,
        )?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: ACCESS_S,
            scope: scopes.to_string(),
            refresh_token: None,
            id_token: None,
            patient: None,
            need_patient_banner: None,
        })
    }

    /// An access token, and its id.
    fn access(&self, who: For<'_>, now_ms: u64) -> Result<(String, String), OAuthError> {
        let now_s = now_ms / 1000;
        let id = secret::name(&self.entropy);
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", json!(self.url));
        put("sub", json!(who.subject));
        put("aud", json!(self.audience));
        put("iat", json!(now_s));
        put("exp", json!(now_s + ACCESS_S));
        put("jti", json!(id));
        put("client_id", json!(who.client.id));
        put("scope", json!(who.scopes.to_string()));
        for (name, value) in [
            ("patient", who.patient),
            ("fhirUser", who.fhir_user.as_deref()),
            ("sid", who.family),
        ] {
            if let Some(value) = value {
                put(name, json!(value));
            }
        }
        if let Some(pin) = who.certificate {
            put("cnf", json!({ "x5t#S256": pin }));
        }
        let token = self.signer.sign(ACCESS_KIND, &claims).map_err(unsigned)?;
        Ok((token, id))
    }

    fn id_token(
        &self,
        client: &Client,
        account: &Account,
        code: &Code,
        now_ms: u64,
    ) -> Result<Option<String>, OAuthError> {
        if !code.scopes.names("openid") {
            return Ok(None);
        }
        let now_s = now_ms / 1000;
        let mut claims = json!({
            "iss": self.url,
            "sub": account.id,
            "aud": client.id,
            "iat": now_s,
            "exp": now_s + ACCESS_S,
            "auth_time": code.signed_in_s,
        });
        if let Some(nonce) = &code.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(user) = self.fhir_user(account, &code.scopes) {
            claims["fhirUser"] = json!(user);
        }
        self.signer.sign("JWT", &claims).map(Some).map_err(unsigned)
    }

    /// The URL of the person's own resource, where it was asked for and is known.
    fn fhir_user(&self, account: &Account, scopes: &Scopes) -> Option<String> {
        let user = account.fhir_user.as_ref()?;
        let asked = scopes.names("fhirUser");
        asked.then(|| format!("{}/{user}", self.audience))
    }

    /// Revokes a token (RFC 7009). One that is not good, or another client's, is no error and changes nothing.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub fn revoke(&self, sent: Sent<'_>, now_ms: u64) -> Result<(), OAuthError> {
        let client = self.recognise(sent, now_ms)?;
        let token = one(sent.form, "token").map_err(OAuthError::request)?;
        let token = token.ok_or_else(|| OAuthError::request("token is missing"))?;
        if let Ok(claims) = self.access_claims(token, now_ms) {
            let own = claims.others.get("client_id") == Some(&json!(client.id));
            if let Some(id) = claims.jti.filter(|_| own) {
                self.forget(&id, None, now_ms)?;
            }
        } else if let Some((family, granted)) = self.families.look(token, now_ms / 1000)
            && granted.client == client.id
        {
            self.forget(&family, Some(&family), now_ms)?;
        }
        Ok(())
    }

    /// Believes no access token of this id any more, and ends a family with its access tokens.
    fn forget(&self, id: &str, family: Option<&str>, now_ms: u64) -> Result<(), OAuthError> {
        let now_s = now_ms / 1000;
        if let Some(family) = family {
            self.families.end(family)?;
            self.disbelieve(family, now_s)?;
        }
        self.disbelieve(id, now_s)
    }

    fn disbelieve(&self, id: &str, now_s: u64) -> Result<(), OAuthError> {
        match self.revoked.add(id, now_s + ACCESS_S + 1, now_s)? {
            Added::Now | Added::Before => Ok(()),
            Added::NoRoom => Err(OAuthError::busy()),
        }
    }

    /// Says what a token is good for (RFC 7662), to software that proves itself.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub fn introspect(&self, sent: Sent<'_>, now_ms: u64) -> Result<Value, OAuthError> {
        let client = self.recognise(sent, now_ms)?;
        if matches!(client.proof, Proof::Public {}) {
            return Err(OAuthError::client());
        }
        let token = one(sent.form, "token").map_err(OAuthError::request)?;
        let token = token.ok_or_else(|| OAuthError::request("token is missing"))?;
        let mut said = Map::new();
        if self.identify(token, sent.certificate, now_ms).is_ok()
            && let Ok(claims) = self.access_claims(token, now_ms)
        {
            if let Ok(Value::Object(claims)) = serde_json::to_value(&claims) {
                said = claims;
            }
            said.insert("active".to_owned(), json!(true));
            said.insert("token_type".to_owned(), json!("Bearer"));
            if let Some(scopes) = said.get("scope").and_then(Value::as_str)
                && let Some(of) = said.get("client_id").and_then(Value::as_str)
                && let Some(of) = self.recogniser.clients.by_id(of)
                && let Ok(scopes) = Scopes::parse(scopes)
            {
                // What the client lost since, its tokens lost.
                let left = scopes.within(&of.most()).to_string();
                said.insert("scope".to_owned(), json!(left));
            }
        } else if let Some((_, granted)) = self.families.look(token, now_ms / 1000)
            // No other software is told of a refresh token: it could take it for something to be let in by.
            && granted.client == client.id
            && self.accounts.by_id(&granted.account).is_some()
        {
            let all = json!({
                "active": true, "client_id": granted.client, "scope": granted.scopes,
                "exp": granted.expires_s, "sub": granted.account, "token_type": "refresh_token",
            });
            if let Value::Object(all) = all {
                said = all;
            }
        } else {
            said.insert("active".to_owned(), json!(false));
        }
        Ok(Value::Object(said))
    }
}

fn unsigned(_: crate::jwt::BadSigner) -> OAuthError {
    OAuthError::new(500, "server_error", "the node cannot sign tokens")
}
