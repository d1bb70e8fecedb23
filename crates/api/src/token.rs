//! Bearer tokens: who carries one, and the file they are kept in.
//!
//! `tokens.json` in the data folder holds, per token, its SHA-256 and whom it speaks for; the token
//! itself is shown once and never stored. `ithaca token` replaces the file atomically; a running node
//! reads it again when it changes. A damaged file lets nobody in, no token carries the role `system`,
//! which is the node's own, and none of a controller or device is good without its subject.

use codec::id::{InstitutionId, SubjectId};
use codec::time::Millis;
use consent::{Actor, PractitionerId, Role};
use node::{BOUND, Caller};
use serde::{Deserialize, Serialize};
use sign_in::file::{self, FileError, Watched};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Tokens that one file may hold.
pub const MAX_TOKENS: usize = 10_000;
const PREFIX: &str = "ith_";

/// Whom a token speaks for, and until when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Lowercase hexadecimal SHA-256 of the token.
    pub sha256: String,
    /// The institution of the bearer.
    pub institution: InstitutionId,
    /// The bearer.
    pub practitioner: PractitionerId,
    /// What the bearer is there.
    pub roles: BTreeSet<Role>,
    /// The only subject the bearer may act for; required of a controller and of a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// The bearer's controller slot, for a controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// The first instant at which it is no longer good.
    pub expires: Millis,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tokens: Vec<Token>,
}

/// Why a token file cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be used, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is full.
    #[error("there are {MAX_TOKENS} tokens already; remove expired ones first")]
    Full,
    /// A controller or a device is bound to a subject.
    #[error("a controller's or a device's token needs the one subject it is for")]
    NoSubject,
    /// A token that would let its bearer do nothing.
    #[error("a token needs a role")]
    NoRole,
    /// The node's own role.
    #[error("the role system is the node's own; no token can have it")]
    System,
}

/// Whom a new token is for.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// See [`Token`].
    pub institution: InstitutionId,
    /// See [`Token`].
    pub practitioner: PractitionerId,
    /// See [`Token`].
    pub roles: BTreeSet<Role>,
    /// See [`Token`].
    pub subject: Option<SubjectId>,
    /// See [`Token`].
    pub slot: Option<u8>,
    /// See [`Token`].
    pub expires: Millis,
}

/// Adds a token to the file and returns it. `secret` is 32 bytes of randomness fit for keys.
///
/// # Errors
/// When the file cannot be read, is damaged or full, or cannot be replaced.
pub fn issue(
    path: &Path,
    new: NewToken,
    secret: &[u8; 32],
    now: Millis,
) -> Result<String, TokenError> {
    if new.roles.is_empty() {
        return Err(TokenError::NoRole);
    }
    if new.roles.contains(&Role::System) {
        return Err(TokenError::System);
    }
    if lacks_subject(&new.roles, new.subject.as_ref()) {
        return Err(TokenError::NoSubject);
    }
    let text = format!("{PREFIX}{}", codec::Digest::new(*secret));
    file::change(path, |file: &mut File| {
        file.tokens.retain(|t| t.expires > now);
        if file.tokens.len() >= MAX_TOKENS {
            return Err(TokenError::Full);
        }
        file.tokens.push(Token {
            sha256: fingerprint(&text),
            institution: new.institution,
            practitioner: new.practitioner,
            roles: new.roles,
            subject: new.subject,
            slot: new.slot,
            expires: new.expires,
        });
        Ok(())
    })?;
    Ok(text)
}

/// Whether these roles are good for one subject only, and there is none.
fn lacks_subject(roles: &BTreeSet<Role>, subject: Option<&SubjectId>) -> bool {
    subject.is_none() && BOUND.iter().any(|role| roles.contains(role))
}

fn fingerprint(token: &str) -> String {
    keys::sha256(&[token.as_bytes()]).to_string()
}

/// The tokens of a running node: the file, read again when it changes.
#[derive(Clone)]
pub struct Tokens(Arc<Watched<Believed>>);

/// The tokens that may be used, by fingerprint.
#[derive(Default, Deserialize)]
#[serde(from = "File")]
struct Believed(BTreeMap<String, Token>);

impl Tokens {
    /// The tokens in this file; it may come later.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Watched::at(path)))
    }

    /// Whether the token with this fingerprint, as [`Lasting`] has it, is good at `now`.
    pub fn knows(&self, credential: &str, now: Millis) -> bool {
        let believed = self.0.now();
        let found = believed.0.get(credential);
        found.is_some_and(|found| found.expires > now)
    }

    /// Who the bearer of `token` is, if it is good at `now`.
    pub fn caller(&self, token: &str, now: Millis) -> Option<Caller> {
        self.bearer(token, now).map(|bearer| bearer.caller)
    }

    /// The same, with what the token is known by later.
    pub(crate) fn bearer(&self, token: &str, now: Millis) -> Option<Bearer> {
        let believed = self.0.now();
        // Looked up by digest: the time it takes tells nothing about the tokens.
        let found = believed.0.get(&fingerprint(token))?;
        if found.expires <= now {
            return None;
        }
        let actor = Actor {
            institution: found.institution,
            practitioner: found.practitioner.clone(),
            roles: found.roles.clone(),
            slot: found.slot,
        };
        let caller = match found.subject {
            Some(subject) => Caller::bound(actor, subject),
            None => Caller::staff(actor),
        };
        Some(Bearer {
            caller,
            lasting: Lasting {
                credential: found.sha256.clone(),
                until: found.expires,
            },
        })
    }
}

/// The bearer of a token.
pub(crate) struct Bearer {
    pub(crate) caller: Caller,
    pub(crate) lasting: Lasting,
}

/// What a token that lasts longer than a request is known by: for what goes on after the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lasting {
    /// Its fingerprint.
    pub credential: String,
    /// The first instant at which it is no longer good.
    pub until: Millis,
}

impl From<File> for Believed {
    fn from(file: File) -> Self {
        let all = file.tokens.len();
        let good: BTreeMap<_, _> = file
            .tokens
            .into_iter()
            .filter(|t| !t.roles.contains(&Role::System))
            .filter(|t| !lacks_subject(&t.roles, t.subject.as_ref()))
            .map(|t| (t.sha256.clone(), t))
            .collect();
        if good.len() < all {
            tracing::error!(
                refused = all - good.len(),
                "tokens with the role system, of a controller or device without a subject, or there twice: refused"
            );
        }
        Self(good)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({:?})", self.0)
    }
}
