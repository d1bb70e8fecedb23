//! One stream of events of a node (`GET /v1/events`, server-sent events), as its client hears it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// The longest that a stream is followed, and the most that is read of it.
const LONGEST: Duration = Duration::from_secs(300);
const MAX_BYTES: u64 = 4 << 20;

/// What is heard of differentials.
pub(crate) struct Told(Receiver<Value>);

impl Told {
    /// Follows the stream at an address. Nothing that happens from now on is missed.
    pub(crate) fn follow(url: &str, token: &str) -> Result<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LONGEST))
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .uri(url)
            .header("authorization", format!("Bearer {token}"));
        let response = agent.run(request.body(())?)?;
        if response.status() != 200 {
            bail!("the stream of events was refused: {}", response.status());
        }
        let (tell, told) = mpsc::channel();
        // It ends with the stream, or when nobody listens any more.
        thread::spawn(move || {
            let body = BufReader::new(response.into_body().into_reader().take(MAX_BYTES));
            let mut about = false;
            for line in body.lines().map_while(Result::ok) {
                if let Some(kind) = line.strip_prefix("event:") {
                    about = kind.trim() == "differential";
                } else if let Some(data) = line.strip_prefix("data:")
                    && about
                {
                    let data = serde_json::from_str(data).unwrap_or(Value::Null);
                    if tell.send(data).is_err() {
                        break;
                    }
                }
            }
        });
        Ok(Self(told))
    }

    /// Waits for an event about a subject; those about others are passed over.
    pub(crate) fn of(&self, subject: &str, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(rest) {
                Ok(event) if event["subject"] == subject => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the stream of events ended"),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(RecvTimeoutError::Timeout).context("no event came of a change");
                }
            }
        }
    }

    /// Whether nothing came that was not waited for.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.try_recv().is_err()
    }
}
