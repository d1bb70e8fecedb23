//! Software that may ask for tokens here: `clients.json` in the data folder.

use crate::{
    fetch::is_safe,
    file::{self, FileError, Watched},
    jwt::KeySet,
    own::secret,
};
use consent::{PractitionerId, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smart::{Context, Scope, Scopes};
use std::{collections::BTreeSet, path::Path};

/// Clients that one file may hold.
pub const MAX_CLIENTS: usize = 1_000;
const MAX_REDIRECTS: usize = 16;

/// Software.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// As it names itself.
    pub id: String,
    /// As people are told.
    pub name: String,
    /// How it is recognised.
    pub proof: Proof,
    /// Where people are sent back to, exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// The most that it gets.
    pub scopes: String,
    /// Who it is when it acts by itself; none: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Lowercase hexadecimal SHA-256 of the certificates (DER) with which it may connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// How software is recognised.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proof {
    /// Not at all: what runs on people's devices. PKCE ties its code to it.
    Public {},
    /// By a secret.
    Secret {
        /// Lowercase hexadecimal SHA-256 of it.
        sha256: String,
    },
    /// By its signature, with these keys.
    Keys {
        /// A JSON Web Key Set.
        set: Value,
    },
    /// By its signature, with keys that are fetched.
    KeysAt {
        /// From here.
        url: String,
    },
    /// By its certificate alone.
    Certificate {},
}

/// Who software is when it acts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Who it is here.
    pub practitioner: PractitionerId,
    /// What it is here: laboratory, researcher, operator.
    pub roles: BTreeSet<Role>,
}

/// What a service may be.
pub const SERVICE_ROLES: [Role; 3] = [Role::Laboratory, Role::Researcher, Role::Operator];

/// Why a client is not added or removed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Of the file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not an id.
    #[error("a client's id is 1 to 64 of the characters A-Z, a-z, 0-9, '.', '-' and '_'")]
    Id,
    /// Not a name.
    #[error("a client's name is 1 to 100 characters without control characters")]
    Name,
    /// There is one.
    #[error("there is a client of that id already")]
    Taken,
    /// There is none.
    #[error("there is no client of that id")]
    Unknown,
    /// Not a place to send people to.
    #[error(
        "a redirect URI is https, http on loopback, or of a scheme with a dot like com.example.app:/; without fragment; {MAX_REDIRECTS} at most"
    )]
    Redirect,
    /// Not scopes.
    #[error("its scopes cannot be read: {0}")]
    Scopes(#[from] smart::BadScope),
    /// Not keys.
    #[error("its keys are no JSON Web Key Set with an RS384 or ES384 key, or not at an https URL")]
    Keys,
    /// A service that is nobody.
    #[error(
        "a service has one or more of the roles laboratory, researcher and operator, and is recognised by keys, a secret or a certificate"
    )]
    Service,
    /// System scopes without a service.
    #[error("system scopes are for services; leave them out, or register it as one")]
    System,
    /// Neither of both.
    #[error("a client sends people somewhere (a redirect URI) or acts by itself (a service)")]
    Idle,
    /// Not fingerprints.
    #[error("a certificate is pinned by 64 lowercase hexadecimal digits: the SHA-256 of its DER")]
    Certificate,
    /// It is full.
    #[error("there are {MAX_CLIENTS} clients already; remove one first")]
    Full,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clients: Vec<Client>,
}

/// A fresh secret for a client, to be shown once, and the proof that is kept of it.
pub fn fresh_secret(entropy: &dyn Fn(&mut [u8])) -> (String, Proof) {
    let text = secret::fresh(entropy);
    let sha256 = secret::fingerprint(&text);
    (text, Proof::Secret { sha256 })
}

/// Adds a client.
///
/// # Errors
/// [`ClientError`].
pub fn add(path: &Path, client: Client) -> Result<(), ClientError> {
    client.validate()?;
    file::change(path, |file: &mut File| {
        if file.clients.iter().any(|c| c.id == client.id) {
            return Err(ClientError::Taken);
        }
        if file.clients.len() >= MAX_CLIENTS {
            return Err(ClientError::Full);
        }
        file.clients.push(client);
        Ok(())
    })
}

/// Removes a client; what was issued to it is good no longer.
///
/// # Errors
/// [`ClientError::Unknown`], or of the file.
pub fn remove(path: &Path, id: &str) -> Result<(), ClientError> {
    file::change(path, |file: &mut File| {
        let before = file.clients.len();
        file.clients.retain(|client| client.id != id);
        if file.clients.len() == before {
            return Err(ClientError::Unknown);
        }
        Ok(())
    })
}

/// All clients.
///
/// # Errors
/// Of the file.
pub fn list(path: &Path) -> Result<Vec<Client>, FileError> {
    Ok(file::load::<File>(path)?.clients)
}

impl Client {
    /// Whether it may be registered.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), ClientError> {
        let in_id = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if !(1..=64).contains(&self.id.len()) || !self.id.bytes().all(in_id) {
            return Err(ClientError::Id);
        }
        let name_chars = self.name.chars().count();
        if !(1..=100).contains(&name_chars) || self.name.chars().any(char::is_control) {
            return Err(ClientError::Name);
        }
        if self.redirect_uris.len() > MAX_REDIRECTS
            || !self.redirect_uris.iter().all(|uri| is_redirect(uri))
        {
            return Err(ClientError::Redirect);
        }
        let scopes = Scopes::parse(&self.scopes)?;
        match &self.proof {
            Proof::Keys { set } => {
                KeySet::parse(set.to_string().as_bytes()).map_err(|_| ClientError::Keys)?;
            }
            Proof::KeysAt { url } if !is_safe(url) => return Err(ClientError::Keys),
            _ => {}
        }
        let is_pin = |pin: &String| {
            pin.len() == 64
                && pin
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let pinned = self.certificates.iter().all(is_pin);
        let needs_pin = matches!(self.proof, Proof::Certificate {});
        if !pinned || needs_pin && self.certificates.is_empty() {
            return Err(ClientError::Certificate);
        }
        match &self.service {
            Some(service) => {
                let known = service.roles.iter().all(|r| SERVICE_ROLES.contains(r));
                if service.roles.is_empty() || !known || matches!(self.proof, Proof::Public {}) {
                    return Err(ClientError::Service);
                }
            }
            None if scopes.has_context(Context::System) => return Err(ClientError::System),
            None if self.redirect_uris.is_empty() => return Err(ClientError::Idle),
            None => {}
        }
        Ok(())
    }

    /// The most that it gets.
    pub(crate) fn most(&self) -> Scopes {
        Scopes::parse(&self.scopes).unwrap_or_default()
    }

    /// The most that it gets without anybody signed in: nothing that is a person's.
    pub(crate) fn most_by_itself(&self) -> Scopes {
        let by_itself = |scope: &&Scope| match scope {
            Scope::Clinical(clinical) => clinical.context == Context::System,
            Scope::Named(name) => name == "ithaca",
        };
        Scopes::of(self.most().iter().filter(by_itself).cloned())
    }
}

/// Whether people may be sent there.
fn is_redirect(uri: &str) -> bool {
    if uri.len() > 2_000 || uri.contains('#') || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    if is_safe(uri) {
        return true;
    }
    // Of an application on the device (RFC 8252 section 7.1).
    uri.split_once(":/").is_some_and(|(scheme, _)| {
        scheme.contains('.')
            && scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
    })
}

/// The origin of a page, as browsers write it (scheme, host, and the port where it is not the usual one); none of what
/// is no http URL.
pub fn web_origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let host = host.strip_suffix(usual).unwrap_or(&host);
    Some(format!("{scheme}://{host}"))
}

/// The clients of a running node.
#[derive(Debug)]
pub struct Clients(Watched<File>);

impl Clients {
    /// Those in this file.
    pub fn at(path: &Path) -> Self {
        Self(Watched::at(path))
    }

    /// The client of an id. One that may not be registered is none.
    pub fn by_id(&self, id: &str) -> Option<Client> {
        let file = self.0.now();
        let found = file.clients.iter().find(|client| client.id == id)?;
        found.validate().is_ok().then(|| found.clone())
    }

    /// Whether pages of this origin are of a client: people are sent back there.
    pub fn has_origin(&self, origin: &str) -> bool {
        let is_there = |uri: &String| web_origin(uri).is_some_and(|known| known == origin);
        self.0
            .now()
            .clients
            .iter()
            .any(|client| client.redirect_uris.iter().any(is_there) && client.validate().is_ok())
    }

    /// The client that connects with this certificate.
    pub fn by_certificate(&self, sha256: &str) -> Option<Client> {
        let file = self.0.now();
        let mut found = file
            .clients
            .iter()
            .filter(|client| client.certificates.iter().any(|pin| pin == sha256));
        match (found.next(), found.next()) {
            (Some(only), None) if only.validate().is_ok() => Some(only.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        let check =
            |url: &str, expect: Option<&str>| assert_eq!(web_origin(url).as_deref(), expect);
        check("https://App.example/back?x", Some("https://app.example"));
        check("https://app.example:443", Some("https://app.example"));
        check(
            "https://app.example:8443/",
            Some("https://app.example:8443"),
        );
        check("http://127.0.0.1:80/back", Some("http://127.0.0.1"));
        check("http://[::1]:9/back", Some("http://[::1]:9"));
        check("https://app.example:80", Some("https://app.example:80"));
        check("https://user@app.example/", None);
        check("https://a;b/", None);
        check("https:///back", None);
        check("com.example.app:/back", None);
        check("null", None);
    }
}
