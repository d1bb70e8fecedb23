//! The node's own issuer: people with accounts here, software that is registered here.
//!
//! Authorization code with PKCE (S256 only), refresh tokens that rotate, client credentials for services. Access
//! tokens are ES256 signed JSON Web Tokens (RFC 9068) that live [`ACCESS_S`] seconds; whoever they speak for is
//! looked up at each use, so that removing an account or a client takes their rights at once.
//!
//! | what | where | survives a restart |
//! |---|---|---|
//! | accounts, clients | `accounts.json`, `clients.json` | yes |
//! | refresh tokens | `sign-in/families/` | yes |
//! | revoked tokens, used assertions | `sign-in/revoked.json`, `sign-in/assertions.json` | yes |
//! | codes, launches, forms under way, challenges for passkeys | memory | no |
//!
//! All calls may block (a password takes 64 MiB and a tenth of a second; keys may be fetched): the caller bounds
//! how many there are at once. Nothing is logged of what comes in.
//!
//! Sources: RFC 6749, 6750, 7009, 7523, 7636, 7662, 8414, 8725, 9068, 9207, 9700; OpenID Connect Core 1.0; SMART App
//! Launch 2.2; WebAuthn Level 3.

pub mod account;
pub mod client;
mod errors;
mod expiring;
mod family;
pub mod key;
mod metadata;
mod one_use;
mod passkey;
mod proof;
mod request;
mod secret;
mod sign_in;
pub mod throttle;
mod token;

pub use errors::{AuthorizeError, OAuthError, SignInError};
pub use passkey::{CHALLENGE_MS, ManageError, Managed, Shown};
pub use secret::Entropy;
pub use sign_in::{Consenting, Offered, Starting};
pub use token::{Sent, Tokens};

use crate::{
    fetch::Fetch,
    file::FileError,
    issuers::Identity,
    jwt::{Algorithm, Claims, Refused, Signer},
    own::{
        account::Accounts,
        client::{Client, Clients},
        expiring::Expiring,
        family::Families,
        one_use::OneUse,
        passkey::Passkeys,
        proof::Recogniser,
        throttle::Throttle,
    },
};
use codec::InstitutionId;
use consent::PractitionerId;
use keys::PasswordParams;
use smart::Scopes;
use std::{path::Path, sync::Arc};

/// How long an access token is good, in seconds.
pub const ACCESS_S: u64 = 300;
/// How long a code is good, in milliseconds.
pub const CODE_MS: u64 = 60_000;
/// How long a form may stay open, in milliseconds.
pub const FORM_MS: u64 = 10 * 60_000;
/// How long a launch is good, in milliseconds.
pub const LAUNCH_MS: u64 = 5 * 60_000;
/// How long software may go on without its person, in seconds.
pub const OFFLINE_S: u64 = 90 * 86_400;
/// How long software may go on while its person is there, in seconds.
pub const ONLINE_S: u64 = 12 * 3_600;
/// The longest that an account waits after wrong passwords, in milliseconds. Not longer, because it locks its owner
/// out as well as whoever guesses.
const ACCOUNT_WAIT_MS: u64 = 60_000;
/// The longest that an address waits, in milliseconds.
const ADDRESS_WAIT_MS: u64 = 15 * 60_000;

/// What an issuer is made of.
pub struct Settings {
    /// Its URL, as people and software reach it, without a slash at its end.
    pub url: String,
    /// Whose people they are.
    pub institution: InstitutionId,
    /// The cost of new passwords.
    pub cost: PasswordParams,
    /// How keys of clients are fetched.
    pub fetch: Arc<dyn Fetch>,
    /// Randomness fit for keys.
    pub entropy: Entropy,
}

/// The node's own issuer.
pub struct OwnIssuer {
    url: String,
    /// What access tokens are for: the FHIR server.
    audience: String,
    institution: InstitutionId,
    signer: Signer,
    accounts: Accounts,
    recogniser: Recogniser,
    families: Families,
    revoked: Expiring,
    consenting: OneUse<sign_in::Agreeing>,
    codes: OneUse<token::Code>,
    /// Codes that were used, and what came of them.
    spent: OneUse<token::Spent>,
    launches: OneUse<Launch>,
    passkeys: Result<Passkeys, &'static str>,
    by_account: Throttle,
    by_address: Throttle,
    entropy: Entropy,
}

/// A patient whom a member of staff has open.
#[derive(Debug)]
struct Launch {
    practitioner: PractitionerId,
    patient: String,
}

/// The file of accounts in a data folder.
pub fn accounts_file(data: &Path) -> std::path::PathBuf {
    data.join("accounts.json")
}

/// The file of clients in a data folder.
pub fn clients_file(data: &Path) -> std::path::PathBuf {
    data.join("clients.json")
}

/// The folder of what the issuer keeps.
pub fn state_folder(data: &Path) -> std::path::PathBuf {
    data.join("sign-in")
}

impl OwnIssuer {
    /// An issuer that keeps its state in a data folder.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn open(
        data: &Path,
        settings: Settings,
        signer: Signer,
        now_ms: u64,
    ) -> Result<Self, FileError> {
        let state = state_folder(data);
        // Makes the folder.
        let families = Families::open(&state.join("families"), now_ms / 1000)?;
        let used = Expiring::open(&state.join("assertions.json"))?;
        let clients = Clients::at(&clients_file(data));
        let passkeys = Passkeys::open(&settings.url, &state, &settings.entropy)?;
        Ok(Self {
            audience: format!("{}/fhir", settings.url),
            url: settings.url,
            institution: settings.institution,
            signer,
            accounts: Accounts::at(&accounts_file(data), settings.cost),
            recogniser: Recogniser::new(clients, used, settings.fetch),
            families,
            revoked: Expiring::open(&state.join("revoked.json"))?,
            consenting: OneUse::default(),
            codes: OneUse::default(),
            spent: OneUse::default(),
            launches: OneUse::default(),
            passkeys,
            by_account: Throttle::new(ACCOUNT_WAIT_MS),
            by_address: Throttle::new(ADDRESS_WAIT_MS),
            entropy: settings.entropy,
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether pages of this origin, as a browser names it, are of software that is registered here.
    pub fn has_app_of(&self, origin: &str) -> bool {
        self.recogniser.clients.has_origin(origin)
    }

    /// Whose people sign in here.
    pub fn institution(&self) -> InstitutionId {
        self.institution
    }

    /// Whom one of its access tokens speaks for. `certificate` is the SHA-256 of the one that the connection was
    /// made with: a token that was bound to a certificate is good with it alone (RFC 8705).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn identify(
        &self,
        token: &str,
        certificate: Option<&str>,
        now_ms: u64,
    ) -> Result<Identity, Refused> {
        let claims = self.access_claims(token, now_ms)?;
        let text = |name: &str| claims.others.get(name).and_then(serde_json::Value::as_str);
        let client = text("client_id")
            .and_then(|id| self.recogniser.clients.by_id(id))
            .ok_or(Refused::Issuer)?;
        let bound = claims.others.get("cnf").and_then(|cnf| cnf.get("x5t#S256"));
        if bound.is_some_and(|pin| pin.as_str() != certificate) {
            return Err(Refused::Audience);
        }
        let scopes = text("scope").and_then(|text| Scopes::parse(text).ok());
        // What the client lost since, its tokens lost.
        let scopes = scopes.unwrap_or_default().within(&client.most());
        if claims.sub == client.id {
            return self.service(client, scopes).ok_or(Refused::Issuer);
        }
        let account = self.accounts.by_id(&claims.sub).ok_or(Refused::Issuer)?;
        Ok(Identity {
            institution: self.institution,
            practitioner: account.practitioner,
            roles: account.roles,
            subject: account.subject,
            slot: account.slot,
            scopes,
            client: Some(client.id),
            patient: text("patient").map(str::to_owned),
        })
    }

    /// Whom a client speaks for that is recognised by its certificate and sends no token.
    pub fn identify_machine(&self, certificate: &str) -> Option<Identity> {
        let client = self.recogniser.clients.by_certificate(certificate)?;
        let scopes = client.most_by_itself();
        self.service(client, scopes)
    }

    fn service(&self, client: Client, scopes: Scopes) -> Option<Identity> {
        let service = client.service?;
        Some(Identity {
            institution: self.institution,
            practitioner: service.practitioner,
            roles: service.roles,
            subject: None,
            slot: None,
            scopes,
            client: Some(client.id),
            patient: None,
        })
    }

    /// The claims of an access token that is good now.
    fn access_claims(&self, token: &str, now_ms: u64) -> Result<Claims, Refused> {
        let verified = self
            .signer
            .keys()
            .verify::<Claims>(token, &[Algorithm::Es256])?;
        // An identity token, or a form's, is no access token.
        if verified.kind.as_deref() != Some(ACCESS_KIND) {
            return Err(Refused::Malformed);
        }
        let claims = verified.claims;
        claims.check(&self.url, &[&self.audience], now_ms, 0)?;
        let family = claims.others.get("sid").and_then(serde_json::Value::as_str);
        let ids = [claims.jti.as_deref(), family];
        if ids.into_iter().flatten().any(|id| self.revoked.has(id)) {
            return Err(Refused::Expired);
        }
        Ok(claims)
    }

    /// Prepares a launch with a patient, for a member of staff who is signed in elsewhere (an electronic health
    /// record that opens an app). None: no id of a Patient, or no room.
    pub fn launch(
        &self,
        practitioner: &PractitionerId,
        patient: &str,
        now_ms: u64,
    ) -> Option<String> {
        if !account::is_fhir_id(patient) {
            return None;
        }
        let launch = Launch {
            practitioner: practitioner.clone(),
            patient: patient.to_owned(),
        };
        let id = secret::fresh(&self.entropy);
        let key = secret::fingerprint(&id);
        let until_ms = now_ms.saturating_add(LAUNCH_MS);
        self.launches
            .put(key, launch, practitioner.as_str(), until_ms, now_ms)
            .then_some(id)
    }
}

/// `typ` of an access token (RFC 9068).
const ACCESS_KIND: &str = "at+jwt";

impl std::fmt::Debug for OwnIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnIssuer({})", self.url)
    }
}
