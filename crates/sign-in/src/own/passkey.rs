//! Passkeys: signing in without the password, by a device that knows its owner (WebAuthn Level 3).
//!
//! A passkey is bound to the host name at which people reach the node, and signs for its pages alone. The device must
//! have verified its owner (a finger, a face, a PIN). A challenge is good once, for [`CHALLENGE_MS`], for the form and
//! the browser that asked for it. A signature counter that does not go up ends in a refusal: the passkey was copied.
//!
//! Who asks with a name that has no passkey, or that nobody has, is asked for passkeys that nobody has: always the
//! same for a name, so that the answer tells nothing.
//!
//! The library draws its challenges itself, from the operating system.

use crate::{
    file::{self, FileError},
    own::{
        FORM_MS, OwnIssuer,
        account::{Account, AccountError, Passkey, UseError},
        client::web_origin,
        errors::SignInError,
        one_use::OneUse,
        secret,
        sign_in::{Consenting, Starting, Ticket},
    },
};
use codec::Millis;
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};
use webauthn_rs::{
    fake::{FakePasskeyDistribution, WebauthnFakeCredentialGenerator},
    prelude::{
        PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
        RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
    },
};

/// How long a challenge is good, in milliseconds: what the standard recommends, for people who need time.
pub const CHALLENGE_MS: u64 = 5 * 60_000;
/// The longest answer of a device, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 32 << 10;
/// `typ` of the ticket of a form for passkeys.
const TICKET_KIND: &str = "ithaca-passkeys+jwt";

/// What is needed for passkeys.
pub(super) struct Passkeys {
    webauthn: Webauthn,
    decoys: WebauthnFakeCredentialGenerator<FakePasskeyDistribution>,
    asked: OneUse<Asked>,
    managing: OneUse<Managing>,
}

/// A challenge for signing in.
#[derive(Debug)]
struct Asked {
    account: String,
    state: PasskeyAuthentication,
}

/// Somebody who signed in to see and change their passkeys.
#[derive(Debug)]
struct Managing {
    account: String,
    /// The fingerprint of the cookie.
    cookie: String,
    /// A passkey that is being made, and until when.
    offer: Option<(PasskeyRegistration, u64)>,
    until_ms: u64,
}

/// The ticket of a form for passkeys.
#[derive(Serialize, Deserialize)]
struct PasskeyTicket {
    /// The fingerprint of the cookie.
    cookie: String,
    until_ms: u64,
}

/// The passkeys of an account, for its owner.
#[derive(Debug)]
pub struct Managed {
    /// Goes into the forms.
    pub ticket: String,
    /// The account's name.
    pub name: String,
    /// Its passkeys.
    pub passkeys: Vec<Shown>,
}

/// A passkey, for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Names it.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    pub since: Millis,
}

/// Why a passkey is not made or removed.
#[derive(Debug)]
pub enum ManageError {
    /// The form is too old, or was used before.
    Stale,
    /// What the device said is not good, or came too late.
    Device(Managed),
    /// There are as many as may be.
    Full(Managed),
    /// The node cannot now.
    Busy,
}

impl Passkeys {
    /// For a node that people reach at this URL.
    ///
    /// # Errors
    /// Of the file that keeps what decoys are made of. The inner one: why there are none at this URL.
    pub(super) fn open(
        url: &str,
        state: &Path,
        entropy: &dyn Fn(&mut [u8]),
    ) -> Result<Result<Self, &'static str>, FileError> {
        let Some(webauthn) = webauthn(url) else {
            return Ok(Err(
                "Passkeys are not offered here: they need an address with a name that begins with https://, or http://localhost.",
            ));
        };
        let seed = file::change(&state.join("decoys.json"), |seed: &mut String| {
            if seed.is_empty() {
                *seed = secret::fresh(entropy);
            }
            Ok::<_, FileError>(keys::sha256(&[seed.as_bytes()]).into_bytes())
        })?;
        let Ok(decoys) = WebauthnFakeCredentialGenerator::new(&seed) else {
            return Ok(Err("Passkeys cannot be offered here now."));
        };
        Ok(Ok(Self {
            webauthn,
            decoys,
            asked: OneUse::default(),
            managing: OneUse::default(),
        }))
    }
}

/// Passkeys for the host of this URL; none where browsers make none.
fn webauthn(url: &str) -> Option<Webauthn> {
    let origin = Url::parse(&web_origin(url)?).ok()?;
    // Of an address in numbers there are none.
    let host = origin.domain()?.to_owned();
    if origin.scheme() != "https" && host != "localhost" {
        return None;
    }
    let builder = WebauthnBuilder::new(&host, &origin).ok()?;
    let builder = builder.rp_name("Ithaca");
    builder
        .timeout(Duration::from_millis(CHALLENGE_MS))
        .build()
        .ok()
}

impl OwnIssuer {
    /// Why passkeys are not offered here; none: they are.
    pub fn why_no_passkeys(&self) -> Option<&'static str> {
        self.passkeys.as_ref().err().copied()
    }

    fn passkeys(&self) -> Result<&Passkeys, SignInError> {
        self.passkeys.as_ref().map_err(|_| SignInError::Stale)
    }

    /// Asks for a passkey of the account of this name, on a form for signing in: the options of
    /// `navigator.credentials.get`, as JSON.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn passkey_challenge(
        &self,
        form: (&str, &str),
        name: &str,
        address: &str,
        now_ms: u64,
    ) -> Result<String, SignInError> {
        let passkeys = self.passkeys()?;
        let (ticket, cookie) = form;
        self.ticket(ticket, cookie, now_ms)
            .ok_or(SignInError::Stale)?;
        // A challenge counts as a failed try until it is answered: they take memory.
        self.by_address
            .attempt(address, now_ms)
            .map_err(SignInError::from)?;
        let account = self.accounts.by_name(name);
        let known: Vec<_> = account
            .iter()
            .flat_map(|account| account.passkeys.iter().map(|passkey| passkey.key.clone()))
            .collect();
        let busy = |_: WebauthnError| SignInError::Busy;
        let started = passkeys.webauthn.start_passkey_authentication(&known);
        let (options, state) = started.map_err(busy)?;
        let mut options =
            serde_json::to_value(options.public_key).map_err(|_| SignInError::Busy)?;
        let ids = match known.is_empty() {
            true => passkeys.decoys.generate(name.as_bytes()).map_err(busy)?,
            false => known.iter().map(|key| key.cred_id().to_vec()).collect(),
        };
        // How a device is reached would tell those that are there from those that are not.
        let ids = ids
            .iter()
            .map(|id| serde_json::json!({"type": "public-key", "id": secret::text(id)}));
        options["allowCredentials"] = ids.collect();
        let asked = Asked {
            account: account.map(|account| account.id).unwrap_or_default(),
            state,
        };
        let until_ms = now_ms.saturating_add(CHALLENGE_MS);
        let key = secret::fingerprint(ticket);
        // Nobody's yet: each is its own owner.
        let owner = key.clone();
        match passkeys.asked.put(key, asked, &owner, until_ms, now_ms) {
            true => Ok(options.to_string()),
            false => Err(SignInError::Busy),
        }
    }

    /// Takes what the device said to the challenge, as JSON.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn sign_in_by_passkey(
        &self,
        form: (&str, &str),
        credential: &str,
        address: &str,
        now_ms: u64,
    ) -> Result<Consenting, SignInError> {
        let passkeys = self.passkeys()?;
        let (ticket, cookie) = form;
        let Ticket { asked, cookie, .. } = self
            .ticket(ticket, cookie, now_ms)
            .ok_or(SignInError::Stale)?;
        // Good once, whatever comes of it.
        let key = secret::fingerprint(ticket);
        let challenge = passkeys.asked.take(&key, now_ms);
        let challenge = challenge.ok_or(SignInError::Stale)?;
        let answer: PublicKeyCredential = parsed(credential).ok_or(SignInError::Wrong)?;
        let used = passkeys
            .webauthn
            .finish_passkey_authentication(&answer, &challenge.state);
        let used = match used {
            Ok(used) if used.user_verified() => used,
            Ok(_) => return Err(SignInError::Wrong),
            Err(WebauthnError::CredentialPossibleCompromise) => {
                return Err(self.copied(&challenge.account));
            }
            Err(_) => return Err(SignInError::Wrong),
        };
        let account = match self.accounts.used(&challenge.account, &used) {
            Ok(account) => account,
            Err(UseError::Copied) => return Err(self.copied(&challenge.account)),
            // Removed meanwhile.
            Err(UseError::Unknown) => return Err(SignInError::Wrong),
            Err(UseError::File(error)) => {
                tracing::error!("{error}");
                return Err(SignInError::Busy);
            }
        };
        self.by_address.forgiven(address);
        self.consent(asked, &account, cookie, now_ms)
    }

    fn copied(&self, account: &str) -> SignInError {
        tracing::warn!(
            account,
            "the counter of a passkey did not go up: it may have been copied"
        );
        SignInError::Wrong
    }

    /// Begins with somebody who wants to see their passkeys. None: there are none here.
    pub fn begin_managing(&self, now_ms: u64) -> Option<Starting> {
        self.passkeys.as_ref().ok()?;
        let cookie = secret::fresh(&self.entropy);
        let ticket = PasskeyTicket {
            cookie: secret::fingerprint(&cookie),
            until_ms: now_ms.saturating_add(FORM_MS),
        };
        Some(Starting {
            ticket: self.signer.sign(TICKET_KIND, &ticket).ok()?,
            cookie,
            client: String::new(),
        })
    }

    /// Whether a form for passkeys is still good.
    pub fn may_manage(&self, ticket: &str, cookie: &str, now_ms: u64) -> bool {
        let ticket = self.signed::<PasskeyTicket>(TICKET_KIND, ticket);
        ticket.is_some_and(|ticket| {
            ticket.cookie == secret::fingerprint(cookie) && now_ms < ticket.until_ms
        })
    }

    /// Checks a name and a password, and shows the account's passkeys.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn manage(
        &self,
        form: (&str, &str),
        name: &str,
        password: &str,
        address: &str,
        now_ms: u64,
    ) -> Result<Managed, SignInError> {
        self.passkeys()?;
        let (ticket, cookie) = form;
        if !self.may_manage(ticket, cookie, now_ms) {
            return Err(SignInError::Stale);
        }
        let account = self.by_password(name, password, address, now_ms)?;
        let managed = self.managed(&account, secret::fingerprint(cookie), now_ms);
        managed.ok_or(SignInError::Busy)
    }

    /// A fresh ticket for changing these passkeys. None: there is no room.
    fn managed(&self, account: &Account, cookie: String, now_ms: u64) -> Option<Managed> {
        let ticket = secret::fresh(&self.entropy);
        let until_ms = now_ms.saturating_add(FORM_MS);
        let managing = Managing {
            account: account.id.clone(),
            cookie,
            offer: None,
            until_ms,
        };
        let held = &self.passkeys.as_ref().ok()?.managing;
        let shown = |passkey: &Passkey| Shown {
            id: passkey.id.clone(),
            label: passkey.label.clone(),
            since: passkey.since,
        };
        held.put(
            secret::fingerprint(&ticket),
            managing,
            &account.id,
            until_ms,
            now_ms,
        )
        .then(|| Managed {
            ticket,
            name: account.name.clone(),
            passkeys: account.passkeys.iter().map(shown).collect(),
        })
    }

    /// Takes a ticket for changing passkeys, with its account as it is now.
    fn managing(&self, form: (&str, &str), now_ms: u64) -> Option<(Managing, Account)> {
        let (ticket, cookie) = form;
        let held = &self.passkeys.as_ref().ok()?.managing;
        let managing = held.take(&secret::fingerprint(ticket), now_ms)?;
        if managing.cookie != secret::fingerprint(cookie) {
            return None;
        }
        let account = self.accounts.by_id(&managing.account)?;
        Some((managing, account))
    }

    /// Offers to make a passkey: the options of `navigator.credentials.create`, as JSON. The ticket stays good.
    ///
    /// # Errors
    /// [`SignInError::Stale`], [`SignInError::Busy`].
    pub fn passkey_offer(&self, form: (&str, &str), now_ms: u64) -> Result<String, SignInError> {
        let passkeys = self.passkeys()?;
        let (mut managing, account) = self.managing(form, now_ms).ok_or(SignInError::Stale)?;
        // The device keeps it: random, and no name.
        let id = Uuid::parse_str(&account.id).map_err(|_| SignInError::Busy)?;
        let known = account.passkeys.iter().map(|p| p.key.cred_id().clone());
        let offered = passkeys.webauthn.start_passkey_registration(
            id,
            &account.name,
            &account.name,
            Some(known.collect()),
        );
        let (options, state) = offered.map_err(|_| SignInError::Busy)?;
        managing.offer = Some((state, now_ms.saturating_add(CHALLENGE_MS)));
        let until_ms = managing.until_ms;
        let key = secret::fingerprint(form.0);
        if !passkeys
            .managing
            .put(key, managing, &account.id, until_ms, now_ms)
        {
            return Err(SignInError::Busy);
        }
        serde_json::to_string(&options.public_key).map_err(|_| SignInError::Busy)
    }

    /// Takes the passkey that the device made, as JSON.
    ///
    /// # Errors
    /// [`ManageError`].
    pub fn add_passkey(
        &self,
        form: (&str, &str),
        label: &str,
        credential: &str,
        now_ms: u64,
    ) -> Result<Managed, ManageError> {
        let passkeys = self.passkeys().map_err(|_| ManageError::Stale)?;
        let (managing, account) = self.managing(form, now_ms).ok_or(ManageError::Stale)?;
        let again = |account: &Account, cookie: String| {
            self.managed(account, cookie, now_ms)
                .ok_or(ManageError::Busy)
        };
        let offer = managing.offer.filter(|(_, until_ms)| now_ms < *until_ms);
        let made = offer.and_then(|(state, _)| {
            let answer: RegisterPublicKeyCredential = parsed(credential)?;
            let made = passkeys
                .webauthn
                .finish_passkey_registration(&answer, &state);
            made.ok()
        });
        let Some(key) = made else {
            return Err(ManageError::Device(again(&account, managing.cookie)?));
        };
        let passkey = Passkey::new(secret::name(&self.entropy), label, Millis::new(now_ms), key);
        match self.accounts.add_passkey(&account.id, passkey) {
            Ok(account) => again(&account, managing.cookie),
            Err(AccountError::PasskeysFull) => {
                Err(ManageError::Full(again(&account, managing.cookie)?))
            }
            Err(AccountError::PasskeyTaken) => {
                Err(ManageError::Device(again(&account, managing.cookie)?))
            }
            Err(error) => {
                tracing::error!("{error}");
                Err(ManageError::Busy)
            }
        }
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// [`ManageError`].
    pub fn remove_passkey(
        &self,
        form: (&str, &str),
        id: &str,
        now_ms: u64,
    ) -> Result<Managed, ManageError> {
        let (managing, account) = self.managing(form, now_ms).ok_or(ManageError::Stale)?;
        match self.accounts.remove_passkey(&account.name, id) {
            // Twice is as good as once.
            Ok(()) | Err(AccountError::PasskeyUnknown) => {}
            Err(error) => {
                tracing::error!("{error}");
                return Err(ManageError::Busy);
            }
        }
        let account = self.accounts.by_id(&account.id).ok_or(ManageError::Stale)?;
        let managed = self.managed(&account, managing.cookie, now_ms);
        managed.ok_or(ManageError::Busy)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    if text.len() > MAX_CREDENTIAL_BYTES {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::webauthn;

    #[test]
    fn passkeys_are_of_names() {
        let check = |url: &str, expect: bool| assert_eq!(webauthn(url).is_some(), expect, "{url}");
        check("https://node.example", true);
        check("https://node.example:8443/", true);
        check("http://localhost:8420", true);
        check("http://127.0.0.1:8420", false);
        check("http://[::1]:8420", false);
        check("https://192.0.2.7", false);
        check("http://node.example", false);
    }
}
