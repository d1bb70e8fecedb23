//! `[subscriptions]` of the configuration: who may be notified of what is written.

use crate::{config::within, folder};
use anyhow::{Context as _, Result, bail};
use api::{Outgoing, Tokens, is_endpoint};
use node::{Ambient, fhir::Subscriptions};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most endpoints that a configuration lists.
const MAX_ENDPOINTS: usize = 256;

/// `[subscriptions]`: who may be notified.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notifying {
    /// Where endpoints of subscribers may be: each is a URL, and stands for all below it. None: no subscriptions.
    pub(crate) endpoints: Vec<String>,
    /// Certificate authorities (PEM) that are believed about them; the system's when left out.
    authorities: Option<PathBuf>,
    /// How long a subscription lasts before its subscriber renews it.
    days: u32,
    /// How often one notification is tried.
    attempts: u32,
    /// How long after the first failure, in milliseconds; then twice as long each time, up to an hour.
    first_wait_ms: u64,
}

impl Default for Notifying {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            authorities: None,
            days: 30,
            attempts: 16,
            first_wait_ms: 1_000,
        }
    }
}

impl Notifying {
    pub(crate) fn check(&self) -> Result<()> {
        if self.endpoints.len() > MAX_ENDPOINTS {
            bail!(
                "subscriptions lists {} endpoints; it takes {MAX_ENDPOINTS}",
                self.endpoints.len()
            );
        }
        for endpoint in &self.endpoints {
            if !is_endpoint(endpoint) {
                bail!(
                    "subscriptions.endpoints has {endpoint}; it must be https, or http on loopback, without query"
                );
            }
        }
        within("subscriptions.days", self.days.into(), 1, 366)?;
        within("subscriptions.attempts", self.attempts.into(), 1, 64)?;
        within(
            "subscriptions.first_wait_ms",
            self.first_wait_ms,
            10,
            600_000,
        )
    }

    /// What sends, if anything may be sent anywhere. Nothing is sent yet.
    pub(crate) fn web(&self, data: &Path) -> Result<Option<Outgoing>> {
        if self.endpoints.is_empty() {
            return Ok(None);
        }
        let tokens = Tokens::at(folder::tokens(data));
        let endpoints = self.endpoints.clone();
        let Some(path) = &self.authorities else {
            return Ok(Some(Outgoing::new(endpoints, None, tokens)?));
        };
        let shown = path.display();
        let pem = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let outgoing = Outgoing::new(endpoints, Some(&pem), tokens);
        Ok(Some(
            outgoing.with_context(|| format!("{shown} is of no use"))?,
        ))
    }

    /// What a node is given.
    pub(crate) fn of(&self, web: Outgoing, ambient: Ambient) -> Subscriptions {
        let mut subscriptions = Subscriptions::new(web.notifier(ambient));
        subscriptions.days = self.days;
        subscriptions.attempts = self.attempts;
        subscriptions.first_wait_ms = self.first_wait_ms;
        subscriptions
    }
}
