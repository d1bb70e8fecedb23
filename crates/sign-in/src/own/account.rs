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
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use webauthn_rs::prelude::AuthenticationResult;

/// The shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;
/// Accounts that one file may hold.
pub const MAX_ACCOUNTS: usize = 10_000;
const MAX_NAME_BYTES: usize = 64;
/// Passkeys that one account may have.
pub const MAX_PASSKEYS: usize = 10;
const MAX_LABEL_CHARS: usize = 64;

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
    /// What signs in instead of the password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<Passkey>,
}

/// A passkey of an account.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// Names it here; random.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    pub since: Millis,
    /// The signature counter when it was last used; 0 of those that count nothing.
    counter: u32,
    /// The public key, and what the device said of it.
    pub(super) key: webauthn_rs::prelude::Passkey,
}

impl Passkey {
    pub(super) fn new(
        id: String,
        label: &str,
        since: Millis,
        key: webauthn_rs::prelude::Passkey,
    ) -> Self {
        let label: String = label
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_LABEL_CHARS)
            .collect();
        let label = match label.trim() {
            "" => "Passkey".to_owned(),
            label => label.to_owned(),
        };
        Self {
            id,
            label,
            since,
            counter: 0,
            key,
        }
    }
}

/// Why a passkey that signed is of no use.
#[derive(Debug)]
pub(super) enum UseError {
    /// Its counter did not go up.
    Copied,
    /// It is not there any more.
    Unknown,
    /// Of the file.
    File(FileError),
}

impl From<FileError> for UseError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
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
    /// Too many.
    #[error("an account has {MAX_PASSKEYS} passkeys at most; remove one first")]
    PasskeysFull,
    /// There is one.
    #[error("this passkey is there already")]
    PasskeyTaken,
    /// There is none.
    #[error("the account has no passkey of that id")]
    PasskeyUnknown,
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
            passkeys: Vec::new(),
        });
        Ok(())
    })
}

/// Removes a passkey of an account.
///
/// # Errors
/// [`AccountError::Unknown`], [`AccountError::PasskeyUnknown`], or of the file.
pub fn remove_passkey(path: &Path, name: &str, id: &str) -> Result<(), AccountError> {
    file::change(path, |file: &mut File| {
        let account = file.accounts.iter_mut().find(|a| a.name == name);
        let passkeys = &mut account.ok_or(AccountError::Unknown)?.passkeys;
        let before = passkeys.len();
        passkeys.retain(|passkey| passkey.id != id);
        match passkeys.len() == before {
            true => Err(AccountError::PasskeyUnknown),
            false => Ok(()),
        }
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
    path: PathBuf,
    file: Watched<File>,
    cost: PasswordParams,
    /// Checked where there is no account, so that the time tells nothing.
    decoy: OnceLock<String>,
}

impl Accounts {
    /// Those in this file; a wrong name costs as much time as a wrong password of this cost.
    pub fn at(path: &Path, cost: PasswordParams) -> Self {
        Self {
            path: path.to_owned(),
            file: Watched::at(path),
            cost,
            decoy: OnceLock::new(),
        }
    }

    /// The account with this id.
    pub fn by_id(&self, id: &str) -> Option<Account> {
        self.find(|account| account.id == id)
    }

    /// The account of this name.
    pub(super) fn by_name(&self, name: &str) -> Option<Account> {
        self.find(|account| account.name == name)
    }

    /// Adds a passkey to the account with this id; the account as it is then.
    pub(super) fn add_passkey(&self, id: &str, new: Passkey) -> Result<Account, AccountError> {
        file::change(&self.path, |file: &mut File| {
            let taken = |account: &Account| account.passkeys.iter().any(|p| p.key == new.key);
            if file.accounts.iter().any(taken) {
                return Err(AccountError::PasskeyTaken);
            }
            let account = file.accounts.iter_mut().find(|account| account.id == id);
            let account = account.ok_or(AccountError::Unknown)?;
            if account.passkeys.len() >= MAX_PASSKEYS {
                return Err(AccountError::PasskeysFull);
            }
            account.passkeys.push(new);
            Ok(account.clone())
        })
    }

    /// See [`remove_passkey`].
    pub(super) fn remove_passkey(&self, name: &str, id: &str) -> Result<(), AccountError> {
        remove_passkey(&self.path, name, id)
    }

    /// The account with this id, one of whose passkeys signed; its counter is kept before this returns.
    pub(super) fn used(&self, id: &str, used: &AuthenticationResult) -> Result<Account, UseError> {
        let account = self.by_id(id).ok_or(UseError::Unknown)?;
        let of = |account: &Account| {
            let mut all = account.passkeys.iter();
            all.position(|p| p.key.cred_id() == used.cred_id())
        };
        let at = of(&account).ok_or(UseError::Unknown)?;
        let counts = |kept: u32| kept > 0 || used.counter() > 0;
        let counted = account.passkeys.get(at).is_some_and(|p| counts(p.counter));
        if !counted && !used.needs_update() {
            return Ok(account);
        }
        file::change(&self.path, |file: &mut File| {
            let account = file.accounts.iter_mut().find(|account| account.id == id);
            let account = account.ok_or(UseError::Unknown)?;
            let at = of(account).ok_or(UseError::Unknown)?;
            let passkey = account.passkeys.get_mut(at).ok_or(UseError::Unknown)?;
            // Once more: another may have signed since the challenge was made.
            if counts(passkey.counter) && used.counter() <= passkey.counter {
                return Err(UseError::Copied);
            }
            passkey.counter = used.counter();
            passkey.key.update_credential(used);
            Ok(account.clone())
        })
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
        let account = self.by_name(name);
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
