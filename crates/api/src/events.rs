//! One stream of events for each client (server-sent events, WHATWG HTML), of all kinds that it may hear of.
//!
//! An event names a subject or a period and nothing else: what happened is read where it stands, and that
//! reading is logged. `record` and `consent` go to those who act for the subject, `differential` to clinicians
//! who may see all of it (and that they were told is logged), `break-glass` to privacy officers. A
//! stream ends after [`LONGEST`], when the client falls behind, and when the node stops; a client reconnects
//! and reads again what it follows.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{Who, insert},
    serving::Stopping,
};
use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use node::{
    Caller, Handle, PractitionerId, Role, SubjectId,
    differential::HearQuery,
    event::{Event as Happened, Events},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How many streams there may be at a time, of all and of one person.
const STREAMS: usize = 128;
const STREAMS_EACH: usize = 4;
/// How long a stream goes on at most: a token that was revoked is heard of by then.
const LONGEST: Duration = Duration::from_secs(300);
/// How often a silent stream shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it reconnects.
const RETRY: Duration = Duration::from_secs(2);

pub(crate) async fn stream(
    State(edge): State<Edge>,
    Who(caller): Who,
    stopping: Option<Extension<Stopping>>,
) -> Result<Response, Problem> {
    edge.node.welcome(caller.clone()).await?;
    let place = Streams::take(&edge.streams, &caller).ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "too many streams of events; end one, or try again in a moment",
        )
    })?;
    let follow = Follow {
        events: edge.node.events(),
        node: edge.node.clone(),
        caller,
        until: Instant::now() + LONGEST,
        stopping: stopping.map(|Extension(stopping)| stopping),
        _place: place,
    };
    let first = Event::default().retry(RETRY).comment("events follow");
    let first = stream::iter([Ok::<_, Infallible>(first)]);
    let alive = KeepAlive::new().interval(ALIVE);
    let sse = Sse::new(first.chain(follow.stream())).keep_alive(alive);
    let mut response = sse.into_response();
    insert(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

/// The streams that are open, by whose they are.
#[derive(Default)]
pub(crate) struct Streams(Mutex<BTreeMap<(PractitionerId, Option<SubjectId>), usize>>);

/// A place among them, given back when dropped.
struct Place {
    streams: Arc<Streams>,
    whose: (PractitionerId, Option<SubjectId>),
}

impl Streams {
    fn take(this: &Arc<Self>, caller: &Caller) -> Option<Place> {
        let whose = (caller.actor.practitioner.clone(), caller.subject);
        let mut open = this.lock();
        let own = open.get(&whose).copied().unwrap_or(0);
        if own >= STREAMS_EACH || open.values().sum::<usize>() >= STREAMS {
            return None;
        }
        open.insert(whose.clone(), own + 1);
        drop(open);
        Some(Place {
            streams: this.clone(),
            whose,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(PractitionerId, Option<SubjectId>), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        match open.get_mut(&self.whose) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.remove(&self.whose);
            }
        }
    }
}

/// One client's stream.
struct Follow {
    events: Events,
    node: Handle,
    caller: Caller,
    until: Instant,
    stopping: Option<Stopping>,
    _place: Place,
}

impl Follow {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut this| async move {
            let event = this.next().await?;
            Some((Ok(event), this))
        })
    }

    /// The next event that the caller may hear of; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let until = self.until;
            let stopping = async {
                match &mut self.stopping {
                    Some(stopping) => stopping.wait().await,
                    None => std::future::pending().await,
                }
            };
            let happened = tokio::select! {
                happened = timeout_at(until, self.events.next()) => happened.ok()??,
                () = stopping => return None,
            };
            if let Some((name, data)) = self.told(happened).await {
                return Some(Event::default().event(name).data(data.to_string()));
            }
        }
    }

    /// An event as this caller hears of it; none if it does not.
    async fn told(&self, happened: Happened) -> Option<(&'static str, Value)> {
        let is = |roles: &[Role]| roles.iter().any(|role| self.caller.has(*role));
        let (name, data) = match happened {
            Happened::RecordCommitted { subject, .. } => {
                self.hears(subject).await?;
                ("record", json!({"subject": subject.to_string()}))
            }
            Happened::ConsentFinal { subject, .. } => {
                self.hears(subject).await?;
                ("consent", json!({"subject": subject.to_string()}))
            }
            Happened::PeriodFinal { period } => {
                let roles = [Role::Auditor, Role::PrivacyOfficer, Role::Controller];
                is(&roles).then_some(())?;
                ("period", json!({"period": period}))
            }
            // Controllers learn of it by their notices: when they are told may be delayed to protect somebody.
            Happened::BreakGlassOpened { subject } => {
                is(&[Role::PrivacyOfficer]).then_some(())?;
                ("break-glass", json!({"subject": subject.to_string()}))
            }
            // INVARIANT: of a differential hear clinicians alone, and no family.
            Happened::DifferentialChanged { subject } => {
                let caller = self.caller.clone();
                let hears = self.node.hear_news(HearQuery { caller, subject }).await;
                hears.is_ok_and(|hears| hears).then_some(())?;
                ("differential", json!({"subject": subject.to_string()}))
            }
        };
        Some((name, data))
    }

    async fn hears(&self, subject: SubjectId) -> Option<()> {
        let caller = self.caller.clone();
        let hears = self.node.may_hear(HearQuery { caller, subject }).await;
        hears.is_ok_and(|hears| hears).then_some(())
    }
}
