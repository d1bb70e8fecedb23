//! Another FHIR server beside ours, in the same run: `hfs` (crate `helios-hfs`), where it is on the `PATH`.
//!
//! It runs with its own defaults and SQLite in a folder of this run: no sign-in, no consent, no log of reads.

use super::served::Client;
use anyhow::{Context as _, Result, bail};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const NAME: &str = "hfs";
/// How long it may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The other server. It ends with this value.
pub(super) struct Peer {
    child: Child,
    address: SocketAddr,
    /// What it calls itself.
    pub(super) version: String,
}

impl Peer {
    /// Starts it in a folder; none where there is none.
    pub(super) fn start(folder: &Path) -> Result<Option<Self>> {
        let Ok(said) = Command::new(NAME).arg("--version").output() else {
            return Ok(None);
        };
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        std::fs::create_dir_all(folder)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let child = Command::new(NAME)
            .args(["--host", "127.0.0.1", "--log-level", "error"])
            .args(["--port", &address.port().to_string()])
            .env("DATABASE_URL", folder.join("peer.db"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{NAME} does not start"))?;
        let mut peer = Self {
            child,
            address,
            version,
        };
        let from = Instant::now();
        while peer
            .client()
            .and_then(|client| client.get("/health"))
            .is_err()
        {
            if let Some(status) = peer.child.try_wait()? {
                bail!("{NAME} ended with {status}");
            }
            if from.elapsed() > PATIENCE {
                bail!("{NAME} did not answer within {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(peer))
    }

    /// A connection, with addresses as ours has them.
    pub(super) fn client(&self) -> Result<Client> {
        Ok(Client::to(self.address)?.below("/fhir"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
