//! Signing in and agreeing: the steps between a request to authorise and its code.
//!
//! A form carries a ticket and its browser a cookie; one is good with the other alone, so that nobody makes
//! another's browser sign in. The first ticket is a signed text and takes no memory: asking for it is free for
//! anybody. The second one comes after the password and is good once.

use crate::{
    jwt::Algorithm,
    own::{
        FORM_MS, OwnIssuer,
        account::Account,
        errors::{AuthorizeError, SignInError},
        request::Asked,
        secret,
        token::Code,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smart::{Context, Scope, Scopes};

/// A form for signing in.
#[derive(Debug)]
pub struct Starting {
    /// Goes into the form.
    pub ticket: String,
    /// Goes into the browser.
    pub cookie: String,
    /// Which software asks.
    pub client: String,
}

/// A form for agreeing.
#[derive(Debug)]
pub struct Consenting {
    /// Goes into the form.
    pub ticket: String,
    /// Which software asks.
    pub client: String,
    /// What it asks for.
    pub offered: Vec<Offered>,
    /// Where the person is sent afterwards.
    pub redirect_uri: String,
}

/// A scope that may be unticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The scope.
    pub scope: String,
    /// In words.
    pub says: String,
}

/// What a person is agreeing to.
#[derive(Debug)]
pub(super) struct Agreeing {
    asked: Asked,
    account: String,
    offered: Scopes,
    patient: Option<String>,
    cookie: String,
    signed_in_s: u64,
}

/// The first ticket.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) asked: Asked,
    /// The fingerprint of the cookie.
    pub(super) cookie: String,
    until_ms: u64,
}

const TICKET_KIND: &str = "ithaca-form+jwt";

impl OwnIssuer {
    /// Begins with the parameters of a request to authorise.
    ///
    /// # Errors
    /// What to show, or where to send the person.
    pub fn begin(
        &self,
        parameters: &[(String, String)],
        now_ms: u64,
    ) -> Result<Starting, AuthorizeError> {
        let (asked, client) = Asked::read(
            parameters,
            |id| self.recogniser.clients.by_id(id),
            &self.url,
            &[&self.audience, &self.url],
        )?;
        let cookie = secret::fresh(&self.entropy);
        let ticket = Ticket {
            asked,
            cookie: secret::fingerprint(&cookie),
            until_ms: now_ms.saturating_add(FORM_MS),
        };
        let ticket = self
            .signer
            .sign(TICKET_KIND, &ticket)
            .map_err(|_| AuthorizeError::Page("The node cannot sign anybody in now."))?;
        Ok(Starting {
            ticket,
            cookie,
            client: client.name,
        })
    }

    /// The software of a form that is still good, to show it again.
    pub fn again(&self, ticket: &str, cookie: &str, now_ms: u64) -> Option<String> {
        let ticket = self.ticket(ticket, cookie, now_ms)?;
        let client = self.recogniser.clients.by_id(&ticket.asked.client)?;
        Some(client.name)
    }

    pub(super) fn ticket(&self, ticket: &str, cookie: &str, now_ms: u64) -> Option<Ticket> {
        let ticket = self.signed::<Ticket>(TICKET_KIND, ticket)?;
        let good = ticket.cookie == secret::fingerprint(cookie) && now_ms < ticket.until_ms;
        good.then_some(ticket)
    }

    /// What a text of this kind says that was signed here.
    pub(super) fn signed<T: DeserializeOwned>(&self, kind: &str, text: &str) -> Option<T> {
        let keys = self.signer.keys();
        let verified = keys.verify::<T>(text, &[Algorithm::Es256]).ok()?;
        (verified.kind.as_deref() == Some(kind)).then_some(verified.claims)
    }

    /// Checks a name and a password. `address` is where the request came from.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn sign_in(
        &self,
        form: (&str, &str),
        name: &str,
        password: &str,
        address: &str,
        now_ms: u64,
    ) -> Result<Consenting, SignInError> {
        let (ticket, cookie) = form;
        let Ticket { asked, cookie, .. } = self
            .ticket(ticket, cookie, now_ms)
            .ok_or(SignInError::Stale)?;
        let account = self.by_password(name, password, address, now_ms)?;
        self.consent(asked, &account, cookie, now_ms)
    }

    /// The account of a name and its password, as often as one may try.
    pub(super) fn by_password(
        &self,
        name: &str,
        password: &str,
        address: &str,
        now_ms: u64,
    ) -> Result<Account, SignInError> {
        // Names are kept as fingerprints: whatever is typed there, passwords too.
        let account_key = secret::fingerprint(name);
        self.by_address.attempt(address, now_ms)?;
        self.by_account
            .attempt(&account_key, now_ms)
            .inspect_err(|_| self.by_address.forgiven(address))?;
        let account = self
            .accounts
            .sign_in(name, password, &self.entropy)
            .ok_or(SignInError::Wrong)?;
        self.by_account.succeeded(&account_key);
        self.by_address.forgiven(address);
        Ok(account)
    }

    /// Asks the owner of an account to agree. `cookie` is the fingerprint of their browser's.
    pub(super) fn consent(
        &self,
        asked: Asked,
        account: &Account,
        cookie: String,
        now_ms: u64,
    ) -> Result<Consenting, SignInError> {
        let client = self
            .recogniser
            .clients
            .by_id(&asked.client)
            .ok_or(SignInError::Stale)?;
        let refuse = |why: &str| {
            let parameters = [("error", "access_denied"), ("error_description", why)];
            Err(SignInError::Redirect(asked.answer(&self.url, &parameters)))
        };
        let Ok(patient) = self.patient(&asked, account, now_ms) else {
            return refuse("the launch is over, or of somebody else");
        };
        let offered = offered(&asked, account, patient.is_some());
        if offered.is_empty() {
            return refuse("this account may have none of the scopes");
        }
        let shown = offered
            .iter()
            .map(|scope| Offered {
                scope: scope.to_string(),
                says: scope.says(),
            })
            .collect();
        let redirect_uri = asked.redirect_uri.clone();
        let agreeing = Agreeing {
            asked,
            account: account.id.clone(),
            offered,
            patient,
            cookie,
            signed_in_s: now_ms / 1000,
        };
        let ticket = secret::fresh(&self.entropy);
        let key = secret::fingerprint(&ticket);
        let until_ms = now_ms.saturating_add(FORM_MS);
        if !self
            .consenting
            .put(key, agreeing, &account.id, until_ms, now_ms)
        {
            return Err(SignInError::Busy);
        }
        Ok(Consenting {
            ticket,
            client: client.name,
            offered: shown,
            redirect_uri,
        })
    }

    /// The Patient of the session: a family's own, or the one that the launch is about.
    fn patient(&self, asked: &Asked, account: &Account, now_ms: u64) -> Result<Option<String>, ()> {
        let launch = match &asked.launch {
            None => None,
            Some(id) => {
                let key = secret::fingerprint(id);
                let launch = self.launches.take(&key, now_ms).ok_or(())?;
                if launch.practitioner != account.practitioner {
                    return Err(());
                }
                Some(launch.patient)
            }
        };
        match (launch, &account.patient) {
            // A family's account is about its subject, whatever is asked for.
            (Some(launched), Some(own)) if launched != *own => Err(()),
            (_, Some(own)) => Ok(Some(own.clone())),
            (launched, None) => Ok(launched),
        }
    }

    /// Ends the form: where the person is sent. `ticked` are the scopes that were left ticked; none: refused.
    ///
    /// # Errors
    /// [`SignInError::Stale`], [`SignInError::Busy`].
    pub fn agree(
        &self,
        ticket: &str,
        cookie: &str,
        ticked: Option<&[String]>,
        now_ms: u64,
    ) -> Result<String, SignInError> {
        let key = secret::fingerprint(ticket);
        let agreeing = self
            .consenting
            .take(&key, now_ms)
            .filter(|agreeing| agreeing.cookie == secret::fingerprint(cookie))
            .ok_or(SignInError::Stale)?;
        let asked = &agreeing.asked;
        let is_ticked = |scope: &&Scope| ticked.is_some_and(|t| t.contains(&scope.to_string()));
        let scopes = Scopes::of(agreeing.offered.iter().filter(is_ticked).cloned());
        if scopes.is_empty() {
            let parameters = [
                ("error", "access_denied"),
                ("error_description", "the person did not agree"),
            ];
            return Ok(asked.answer(&self.url, &parameters));
        }
        let code = secret::fresh(&self.entropy);
        let about_patient = ["launch", "launch/patient"].iter().any(|n| scopes.names(n))
            || scopes.has_context(Context::Patient);
        let url = asked.answer(&self.url, &[("code", &code)]);
        let owner = agreeing.account.clone();
        let kept = Code {
            client: agreeing.asked.client,
            redirect_uri: agreeing.asked.redirect_uri,
            challenge: agreeing.asked.challenge,
            nonce: agreeing.asked.nonce,
            account: agreeing.account,
            scopes,
            patient: agreeing.patient.filter(|_| about_patient),
            signed_in_s: agreeing.signed_in_s,
        };
        let until_ms = now_ms.saturating_add(super::CODE_MS);
        if self
            .codes
            .put(secret::fingerprint(&code), kept, &owner, until_ms, now_ms)
        {
            Ok(url)
        } else {
            Err(SignInError::Busy)
        }
    }
}

/// What an account may give: nothing that software does by itself; a family, of its own patient alone; of a
/// patient only where there is one.
fn offered(asked: &Asked, account: &Account, has_patient: bool) -> Scopes {
    const NAMES: &str = "openid fhirUser launch launch/patient offline_access online_access ithaca";
    let asked = Scopes::parse(&asked.scopes).unwrap_or_default();
    let mut may = NAMES.to_owned();
    if account.subject.is_none() {
        may.push_str(" user/*.cruds");
    }
    if has_patient {
        may.push_str(" patient/*.cruds");
    }
    let cut = asked.within(&Scopes::parse(&may).unwrap_or_default());
    // `user/*` covers `patient/*`, but without a patient that is of nobody.
    let reachable = |scope: &&Scope| match scope {
        Scope::Clinical(clinical) => clinical.context != Context::Patient || has_patient,
        Scope::Named(name) => name != "launch/patient" || has_patient,
    };
    Scopes::of(cut.iter().filter(reachable).cloned())
}
