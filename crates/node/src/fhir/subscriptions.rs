//! Subscriptions: whoever may read resources is told over HTTP when one is written (rest-hook of FHIR R4).
//!
//! - A `Subscription` is stored in no compartment. It is a row of the node, sealed under its key, with whom it
//!   speaks for (`keep.rs`); what it may say is read and checked in `stated.rs`.
//! - A write notes, in its own atomic batch, which subscriptions it may concern, by the terms of the blind index
//!   (`due.rs`). So no crash forgets a notification, and a write costs one row for a subject, however many subscribe.
//! - A pump sorts what was noted into a queue for each subscription (`queue.rs`) and delivers, the oldest first: the
//!   subscriber's reading is decided then, the disclosure is durable, and only what is permitted is compared and sent
//!   (`deliver.rs`). A crash after sending and before removing sends again.
//!
//! INVARIANT: what is noted, what waits, for whom, and how often it was tried lies in the compartment of whom it is
//! about. Under the node's key no row names a subject or a record for being told of, and none is written with one.
//! INVARIANT: nothing leaves for an endpoint that the institution did not list; what delivers ([`Notifier`]) says so
//! when a subscription is made, and again before each notification.

use super::{FhirAsker, FhirWrite};
use crate::error::Error;
use crate::record::Content;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

mod deliver;
mod due;
mod keep;
mod old;
mod queue;
mod rows;
mod stated;

pub use codec::id::DisclosureId as SubscriptionId;
pub(crate) use due::Subscribed;
pub(crate) use keep::not_atomic;

pub(crate) const SUBSCRIPTION: &str = "Subscription";

/// Subscriptions of one node.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Subscriptions of one caller.
pub const MAX_SUBSCRIPTIONS_EACH: usize = 8;
/// Notifications that usually may wait for one subscription.
const WAITING: usize = 4_096;

/// What a node with subscriptions is given.
#[derive(Clone)]
pub struct Subscriptions {
    /// What delivers.
    pub notifier: Arc<dyn Notifier>,
    /// How long after the first failure it is tried again, ms; then twice as long each time, up to an hour.
    pub first_wait_ms: u64,
    /// How often one notification is tried before its subscription is given up.
    pub attempts: u32,
    /// How long a subscription lasts at most before its subscriber renews it, days.
    pub days: u32,
    /// Notifications that wait for one subscription at most; one that has more has fallen too far behind.
    pub waiting: usize,
}

impl Subscriptions {
    /// With the usual patience: 16 attempts over about five hours, 30 days, and 4,096 that wait.
    pub fn new(notifier: Arc<dyn Notifier>) -> Self {
        Self {
            notifier,
            first_wait_ms: 1_000,
            attempts: 16,
            days: 30,
            waiting: WAITING,
        }
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscriptions({} attempts)", self.attempts)
    }
}

/// The way to subscribers' endpoints.
pub trait Notifier: Send + Sync {
    /// Why nothing may be sent to that address, for who subscribes; none: it may. Never the address itself.
    fn refuses(&self, endpoint: &str) -> Option<String>;

    /// Whether the credential that a subscription was made with still opens anything.
    fn knows(&self, credential: &str) -> bool;

    /// Sends a notification, within a bounded time; follows no redirect and reads a bounded part of the answer.
    fn send(&self, notice: Notice) -> BoxFuture<'static, Result<(), Unsent>>;
}

/// A notification on its way.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where to, as the subscription says.
    pub endpoint: String,
    /// Names and values of headers to be sent.
    pub headers: Vec<(String, String)>,
    /// What is sent by `PUT` below the endpoint; none: an empty `POST` to it.
    pub payload: Option<NoticePayload>,
}

/// A resource that is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct NoticePayload {
    /// Type and id, as below an endpoint: `Observation/7`.
    pub place: String,
    /// The resource, as far as the subscriber may see it.
    pub content: Content,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice(<redacted>)")
    }
}

impl fmt::Debug for NoticePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticePayload(<redacted>)")
    }
}

/// Why a notification did not arrive, or not surely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// It was answered with another status than 2xx.
    #[error("the endpoint answered {0}")]
    Answered(u16),
    /// There was no answer.
    #[error("the endpoint could not be reached, or did not answer in time")]
    Unreachable,
}

/// Writes a `Subscription`.
#[derive(Debug, Clone)]
pub struct FhirSubscribe {
    /// Who. Its scopes must reach what is subscribed to, too.
    pub asker: FhirAsker,
    /// What is to be done.
    pub write: FhirWrite,
    /// Whether elements that R4 does not know are refused.
    pub strict: bool,
    /// What the caller was let in with, if the edge can tell later whether it is still good.
    pub credential: Option<String>,
    /// When that ends, Unix milliseconds, if that is known and longer than a moment.
    pub until_ms: Option<u64>,
}

fn invalid(element: &str, message: impl Into<String>) -> Error {
    let path = match element {
        "" => SUBSCRIPTION.to_owned(),
        element => format!("{SUBSCRIPTION}.{element}"),
    };
    Error::invalid("FHIR Subscription", &path, message)
}
