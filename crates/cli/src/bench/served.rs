//! The node's HTTP edge in this process, and connections to it.

use crate::{folder, running::Running};
use anyhow::{Context as _, Result, anyhow, ensure};
use api::{Bounds, Edge, Limits, Tokens};
use futures::channel::oneshot;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The node's own edge, as `ithaca up` serves it.
pub(super) struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Result<()>>,
}

impl Served {
    pub(super) fn start(running: &Running, data: &Path) -> Result<Self> {
        let edge = Edge::new(
            running.handle(),
            running.ambient(),
            Tokens::at(folder::tokens(data)),
            Limits::default(),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let bounds = Bounds {
                connections: 256,
                header: Duration::from_secs(10),
                answer: Duration::from_secs(60),
                grace: Duration::from_secs(10),
            };
            let stopped = async {
                stopped.await.ok();
            };
            Ok(runtime.block_on(api::serve(listener, api::router(edge), &bounds, stopped))?)
        });
        Ok(Self {
            address,
            stop,
            thread,
        })
    }

    pub(super) fn client(&self) -> Result<Client> {
        Client::to(self.address)
    }

    pub(super) fn stop(self) -> Result<()> {
        drop(self.stop);
        self.thread
            .join()
            .map_err(|_| anyhow!("the edge panicked"))?
    }
}

/// A connection that asks one thing after the other. As little as can be: it shares the machine with what
/// is measured.
pub(super) struct Client {
    stream: Mutex<BufReader<TcpStream>>,
    token: String,
    /// What the server does not have before its paths.
    prefix: &'static str,
}

impl Client {
    pub(super) fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: Mutex::new(BufReader::new(stream)),
            token: String::new(),
            prefix: "",
        })
    }

    /// The same, of a server whose paths do not begin with this.
    pub(super) fn below(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// The same, with a bearer token.
    pub(super) fn bearer(self, token: &str) -> Self {
        Self {
            token: format!("Authorization: Bearer {token}\r\n"),
            ..self
        }
    }

    /// The body of a success.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.ask("GET", path, "", &[])
    }

    /// The body of a success.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let token = &self.token;
        let path = match path.strip_prefix(self.prefix).unwrap_or(path) {
            "" => "/",
            path => path,
        };
        let about = match media {
            "" => String::new(),
            media => format!(
                "Content-Type: {media}\r\nContent-Length: {}\r\n",
                body.len()
            ),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}{about}\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        stream.get_mut().write_all(&request)?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let succeeded = line.starts_with("HTTP/1.1 2");
        let status = line.trim().to_owned();
        let mut bytes = None;
        loop {
            line.clear();
            ensure!(stream.read_line(&mut line)? > 0, "{path}: cut short");
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                bytes = Some(value.trim().parse()?);
            }
        }
        let bytes: usize = bytes.context("an answer without a length")?;
        let mut body = vec![0; bytes];
        stream.read_exact(&mut body)?;
        ensure!(
            succeeded,
            "{method} {path}: {status}: {}",
            String::from_utf8_lossy(body.get(..300.min(bytes)).unwrap_or_default())
        );
        Ok(body)
    }
}
