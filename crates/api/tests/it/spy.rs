//! Listens to every log line of the process for what must never be in one.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tracing_subscriber::EnvFilter;

/// Planted in every record, label, reason and rejected body of these tests.
pub(crate) const MARKER: &str = "Kanarienvogel";

/// Said by a test, to know that the spy listens.
pub(crate) const PROBE: &str = "Probealarm";

static PROBES: AtomicUsize = AtomicUsize::new(0);
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) fn listen() {
    let ours = "info,api=trace,node=trace,vault=trace,store=trace,store_fjall=trace,consensus=debug,\
                ledger=trace,consent=trace,fhir=trace,phenopacket=trace,axum=trace,tower=debug,hyper=debug";
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(ours))
        .with_writer(|| Spy)
        .with_ansi(false)
        .init();
}

/// Probes heard so far.
pub(crate) fn probes() -> usize {
    PROBES.load(Ordering::Relaxed)
}

/// Lines that told what they must not.
pub(crate) fn leaks() -> Vec<String> {
    LEAKS.lock().unwrap().clone()
}

struct Spy;

impl io::Write for Spy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        if line.contains(PROBE) {
            PROBES.fetch_add(1, Ordering::Relaxed);
        }
        if line.contains(MARKER) {
            LEAKS.lock().unwrap().push(line.into_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
