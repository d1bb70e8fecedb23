//! Accounts of people who sign in here: `accounts.json` in the data folder.
//!
//! Of a password only what Argon2id makes of it is kept ([`keys::password_seal`] of nothing: it opens with the
//! password alone). An account of a family is bound to one subject; none has the role `system`.

use crate::{
    file::{self, FileError, Watched},
    own::secret,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use codec::{Millis, SubjectId};
use consent::{PractitionerId, Role};
use keys::{PasswordParams, password_open, password_seal};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path, sync::OnceLock};

/// The shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;
/// Accounts that one file may hold.
pub const MAX_ACCOUNTS: usize = 10_000;
const MAX_NAME_BYTES: usize = 64;

/// Somebody who signs in here.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Names the account for ever, in tokens too; random.
    pub id: String,
    /// What its owner types.
    pub name: String,
    /// Of the password.
    password: String,
    /// Who its owner is here.
    pub practitioner: PractitionerId,
    /// What its owner is here.
    pub roles: BTreeSet<Role>,
    /// The only subject its owner may act for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// A controller's slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// The FHIR id of the subject's Patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The owner's own FHIR resource, like `Practitioner/7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<String>,
    /// When it was made.
    pub since: Millis,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.id)
    }
}

/// A new account.
#[derive(Clone)]
pub struct NewAccount {
    /// See [`Account`].
    pub name: String,
    /// See [`Account`].
    pub practitioner: PractitionerId,
    /// See [`Account`].
    pub roles: BTreeSet<Role>,
    /// See [`Account`].
    pub subject: Option<SubjectId>,
    /// See [`Account`].
    pub slot: Option<u8>,
    /// See [`Account`].
    pub patient: Option<String>,
    /// See [`Account`].
    pub fhir_user: Option<String>,
}

/// Why an account is not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Of the file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a name.
    #[error(
        "an account's name is 1 to {MAX_NAME_BYTES} of the characters a-z, 0-9, '.', '-', '_' and '@'"
    )]
    Name,
    /// There is one.
    #[error("there is an account of that name already")]
    Taken,
    /// There is none.
    #[error("there is no account of that name")]
    Unknown,
    /// A bad password.
    #[error(
        "a password has {MIN_PASSWORD_CHARS} characters or more, and {MAX_PASSWORD_BYTES} bytes at most"
    )]
    Password,
    /// Nothing to be.
    #[error("an account needs a role")]
    NoRole,
    /// The node's own.
    #[error("the role system is the node's own; no account can have it")]
    System,
    /// A family's account.
    #[error("a controller's or a device's account needs the one subject it is for")]
    NoSubject,
    /// Not an id of a resource.
    #[error("a FHIR id is 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.'")]
    FhirId,
    /// It is full.
    #[error("there are {MAX_ACCOUNTS} accounts already; remove one first")]
    Full,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accounts: Vec<Account>,
}

/// Adds an account.
///
/// # Errors
/// [`AccountError`].
pub fn add(
    path: &Path,
    new: NewAccount,
    password: &str,
    cost: PasswordParams,
    entropy: &dyn Fn(&mut [u8]),
    now: Millis,
) -> Result<(), AccountError> {
    check(&new)?;
    let password = sealed(password, cost, entropy)?;
    file::change(path, |file: &mut File| {
        if file.accounts.iter().any(|a| a.name == new.name) {
            return Err(AccountError::Taken);
        }
        if file.accounts.len() >= MAX_ACCOUNTS {
            return Err(AccountError::Full);
        }
        // A family's Patient has the id of its subject, unless said otherwise.
        let patient = new.patient.or_else(|| new.subject.map(|s| s.to_string()));
        file.accounts.push(Account {
            id: secret::name(entropy),
            name: new.name,
            password,
            practitioner: new.practitioner,
            roles: new.roles,
            subject: new.subject,
            slot: new.slot,
            patient,
            fhir_user: new.fhir_user,
            since: now,
        });
        Ok(())
    })
}

/// Removes an account; what was issued to it is good no longer.
///
/// # Errors
/// [`AccountError::Unknown`], or of the file.
pub fn remove(path: &Path, name: &str) -> Result<(), AccountError> {
    file::change(path, |file: &mut File| {
        let before = file.accounts.len();
        file.accounts.retain(|account| account.name != name);
        if file.accounts.len() == before {
            return Err(AccountError::Unknown);
        }
        Ok(())
    })
}

/// All accounts.
///
/// # Errors
/// Of the file.
pub fn list(path: &Path) -> Result<Vec<Account>, FileError> {
    Ok(file::load::<File>(path)?.accounts)
}

fn check(new: &NewAccount) -> Result<(), AccountError> {
    let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_@".contains(&b);
    if !(1..=MAX_NAME_BYTES).contains(&new.name.len()) || !new.name.bytes().all(in_name) {
        return Err(AccountError::Name);
    }
    if new.roles.is_empty() {
        return Err(AccountError::NoRole);
    }
    if new.roles.contains(&Role::System) {
        return Err(AccountError::System);
    }
    let bound = [Role::Controller, Role::Device];
    if new.subject.is_none() && bound.iter().any(|role| new.roles.contains(role)) {
        return Err(AccountError::NoSubject);
    }
    let user = new.fhir_user.as_deref().map(|user| {
        let (kind, id) = user.split_once('/').unwrap_or_default();
        let known = [
            "Practitioner",
            "Patient",
            "RelatedPerson",
            "Person",
            "PractitionerRole",
        ];
        known.contains(&kind) && is_fhir_id(id)
    });
    if user == Some(false) || new.patient.as_deref().is_some_and(|id| !is_fhir_id(id)) {
        return Err(AccountError::FhirId);
    }
    Ok(())
}

/// Whether a text is the id of a FHIR resource.
pub fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn sealed(
    password: &str,
    cost: PasswordParams,
    entropy: &dyn Fn(&mut [u8]),
) -> Result<String, AccountError> {
    if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD_BYTES {
        return Err(AccountError::Password);
    }
    let mut fill = |out: &mut [u8]| entropy(out);
    let sealed = password_seal(password.as_bytes(), cost, b"", &mut fill);
    sealed
        .map(|bytes| STANDARD.encode(bytes))
        .map_err(|_| AccountError::Password)
}

/// The accounts of a running node.
#[derive(Debug)]
pub struct Accounts {
    file: Watched<File>,
    cost: PasswordParams,
    /// Checked where there is no account, so that the time tells nothing.
    decoy: OnceLock<String>,
}

impl Accounts {
    /// Those in this file; a wrong name costs as much time as a wrong password of this cost.
    pub fn at(path: &Path, cost: PasswordParams) -> Self {
        Self {
            file: Watched::at(path),
            cost,
            decoy: OnceLock::new(),
        }
    }

    /// The account with this id.
    pub fn by_id(&self, id: &str) -> Option<Account> {
        self.find(|account| account.id == id)
    }

    fn find(&self, is_it: impl Fn(&Account) -> bool) -> Option<Account> {
        self.file
            .now()
            .accounts
            .iter()
            .find(|a| is_it(a) && !a.roles.contains(&Role::System))
            .cloned()
    }

    /// The account of a name and its password. It takes the memory of [`PasswordParams`]: the caller bounds how
    /// many there are at once.
    pub fn sign_in(
        &self,
        name: &str,
        password: &str,
        entropy: &dyn Fn(&mut [u8]),
    ) -> Option<Account> {
        let account = self.find(|account| account.name == name);
        let decoy = || {
            let mut secret = [0; 16];
            entropy(&mut secret);
            let mut fill = |out: &mut [u8]| entropy(out);
            password_seal(&secret, self.cost, b"", &mut fill)
                .map(|bytes| STANDARD.encode(bytes))
                .unwrap_or_default()
        };
        let kept = match &account {
            Some(account) => account.password.as_str(),
            None => self.decoy.get_or_init(decoy),
        };
        let short_enough = password.len() <= MAX_PASSWORD_BYTES;
        let tried = if short_enough { password } else { "" };
        let opened = STANDARD
            .decode(kept)
            .is_ok_and(|sealed| password_open(tried.as_bytes(), &sealed).is_ok());
        account.filter(|_| opened && short_enough)
    }
}
