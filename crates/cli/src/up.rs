//! `ithaca up`: runs a node behind HTTP until it is told to stop.

use crate::{
    accounts,
    config::{Config, MachinesAt},
    exchange, folder, passphrase,
    running::{self, Running},
};
use anyhow::{Context, Result};
use api::{Bounds, Edge, Limits, Router, Tokens};
use clap::Args;
use futures::{
    FutureExt as _,
    channel::oneshot,
    executor::block_on,
    future::{self, BoxFuture},
};
use keys::PasswordParams;
use node::{Handle, status::Readiness};
use sign_in::{
    jwt::Signer,
    own::{OwnIssuer, Settings, key},
};
use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[derive(Args)]
pub(crate) struct Options {
    /// The node's data folder, made by `ithaca init` or `ithaca network init`; the configuration's when left
    /// out.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    data: Option<PathBuf>,
    /// The configuration; `node.toml` in the data folder when left out, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where HTTP listens, instead of what the configuration says.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// The passphrase, in a file. Otherwise the credential `ithaca-passphrase`, or a prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Stops when standard input ends too: for whoever runs it as a part of something else.
    #[arg(long)]
    until_stdin_ends: bool,
}

#[expect(clippy::print_stderr, reason = "what an operator watches")]
pub(crate) fn run(options: &Options) -> Result<()> {
    logging();
    let data = data_folder(options);
    let config = read_config(options, &data)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), false)?;
    let knowledge = config.diagnosis.knowledge(&data)?;
    let running = Running::start_knowing(&data, &passphrase, &config, knowledge)?;
    let signer = match config.sign_in.accounts {
        true => Some(own_key(&data, &passphrase)?),
        false => None,
    };
    drop(passphrase);
    let orphaned = options.until_stdin_ends.then(stdin_ends);
    let progress = Progress::watch(running.handle(), config.ledger.network.clone());
    let edge = Edge::new(
        running.handle(),
        running.ambient(),
        Tokens::at(folder::tokens(&data)),
        Limits {
            payload_bytes: config.http.payload_bytes,
            bodies_bytes: config.http.bodies_bytes,
            request_ms: config.http.request_ms,
            ..Limits::default()
        },
    );
    let edge = match exchange::to_peers(running.handle(), &config.share) {
        Some(peers) => edge.with_exchange(peers),
        None => edge,
    };
    let edge = match config.sign_in.issuers(running.institution())? {
        Some(issuers) => edge.with_issuers(issuers),
        None => edge,
    };
    let bounds = Bounds {
        connections: config.http.connections,
        header: Duration::from_millis(config.http.header_ms),
        answer: Duration::from_millis(config.http.request_ms),
        grace: GRACE,
    };
    let listen = config.http.listen;
    let served = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let told = told_to_stop();
            let listener = TcpListener::bind(listen).await.with_context(|| {
                format!("cannot listen on {listen}; is another node running there?")
            })?;
            let own_url = config.sign_in.own_url(listener.local_addr()?);
            let edge = match own_url.zip(signer) {
                Some((url, signer)) => {
                    let settings = Settings {
                        url,
                        institution: running.institution(),
                        cost: PasswordParams::default(),
                        fetch: Arc::new(config.sign_in.web()?),
                        entropy: Box::new(accounts::random()?),
                    };
                    let now_ms = running.ambient().now_ms();
                    edge.with_own_issuer(OwnIssuer::open(&data, settings, signer, now_ms)?)
                }
                None => {
                    if config.sign_in.accounts {
                        eprintln!("ithaca: nobody signs in here, for sign_in.url does not say where people reach this node");
                    }
                    edge
                }
            };
            eprintln!(
                "ithaca: {} listens on http://{}",
                running.institution(),
                listener.local_addr()?
            );
            eprintln!(
                "ithaca: research and evaluation build, not for clinical use; Ctrl-C stops it"
            );
            let halted = running.halted();
            let stop = async move {
                tokio::select! {
                    () = told => eprintln!("ithaca: stopping"),
                    () = halted => eprintln!("ithaca: the ledger stopped; see the log"),
                    () = orphaned.unwrap_or(future::pending().boxed()) => eprintln!("ithaca: standard input ended; stopping"),
                }
            };
            let stop = stop.shared();
            let router = api::router(edge);
            let machines = machines(config.machines.as_ref(), &router, &bounds, stop.clone());
            let http = async {
                let served = api::serve(listener, router.clone(), &bounds, stop.clone());
                served.await.context("HTTP cannot go on")
            };
            let shared = exchange::answer(running.handle(), &config.share, stop.clone());
            let witnessed = exchange::be_witnessed(
                running.handle(),
                running.institution(),
                &config.share,
                stop.clone(),
            );
            let (http, machines, shared, ()) = tokio::join!(http, machines, shared, witnessed);
            http.and(machines).and(shared)
        });
    progress.end();
    let stopped = running.stop();
    served?;
    if stopped.is_err() {
        // The most likely reason why an engine cannot go on.
        running::disk_check(&data, &config)?;
    }
    stopped
}

/// Serves machines, if the configuration says where.
#[expect(clippy::print_stderr, reason = "what an operator watches")]
async fn machines(
    at: Option<&MachinesAt>,
    router: &Router,
    bounds: &Bounds,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let Some(at) = at else {
        return Ok(());
    };
    let machines = at.open()?;
    let listen = at.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen for machines on {listen}"))?;
    eprintln!(
        "ithaca: machines connect to https://{}",
        listener.local_addr()?
    );
    let served = api::serve_machines(listener, &machines, router.clone(), bounds, stop);
    served.await.context("machines cannot be served any more")
}

/// The key that signs tokens, sealed under the node's passphrase.
fn own_key(data: &Path, passphrase: &str) -> Result<Signer> {
    let cost = PasswordParams::default();
    let random = accounts::random()?;
    Ok(key::open_or_make(
        data,
        passphrase.as_bytes(),
        cost,
        &random,
    )?)
}

/// How long requests in flight may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// How often an operator is told how far the node has come.
const PROGRESS: Duration = Duration::from_secs(1);

/// Tells on standard error how a node that is behind the network catches up.
struct Progress {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    #[expect(clippy::print_stderr, reason = "what an operator watches")]
    fn watch(node: Handle, network: Option<String>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            if let Some(network) = network {
                eprintln!("ithaca: the network is {network}");
            }
            let mut told = None;
            while stopped.recv_timeout(PROGRESS) == Err(mpsc::RecvTimeoutError::Timeout) {
                let Ok(at) = block_on(node.ready(())) else {
                    return;
                };
                if let Some(line) = progress(&mut told, &at) {
                    eprintln!("{line}");
                }
            }
        });
        Self { stop, thread }
    }

    fn end(self) {
        drop(self.stop);
        self.thread.join().ok();
    }
}

/// What there is to say, if there is anything new; `told` is the height that was told last.
fn progress(told: &mut Option<u64>, at: &Readiness) -> Option<String> {
    if at.behind {
        let news = told.replace(at.height) != Some(at.height);
        return news.then(|| format!("ledger: height {} of about {}", at.height, at.of_about));
    }
    told.take()?;
    Some(format!("ledger: height {}, caught up", at.height))
}

/// The data folder: as given, or the one in which the configuration lies.
fn data_folder(options: &Options) -> PathBuf {
    let beside = options.config.as_ref().and_then(|path| path.parent());
    match (&options.data, beside) {
        (Some(data), _) => data.clone(),
        (None, Some(beside)) if beside != Path::new("") => beside.to_owned(),
        (None, _) => PathBuf::from("."),
    }
}

fn read_config(options: &Options, data: &Path) -> Result<Config> {
    let default = data.join("node.toml");
    let mut config = match &options.config {
        Some(path) => Config::read(path)?,
        None if default.exists() => Config::read(&default)?,
        None => Config::default(),
    };
    if let Some(listen) = options.listen {
        anyhow::ensure!(
            listen.ip().is_loopback() || config.http.allow_remote,
            "--listen {listen} can be reached by others: end TLS in front of the node and set http.allow_remote = true"
        );
        config.http.listen = listen;
    }
    Ok(config)
}

fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ITHACA_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(
            "warn,webauthn_rs_core=off,ithaca=info,node=info,api=info,consensus=info",
        )
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    // What breaks is a line of the log, not a page.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let why = panic.payload_as_str().unwrap_or("no reason given");
        tracing::error!(place, why, "a part of the node broke off");
    }));
}

/// Resolves when nothing can write to standard input any more, as when the process that started this one died.
fn stdin_ends() -> BoxFuture<'static, ()> {
    let (ends, ended) = oneshot::channel::<()>();
    thread::spawn(move || {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        drop(ends);
    });
    ended.map(drop).boxed()
}

/// SIGINT or SIGTERM, from the call on: one that comes before somebody waits is not lost, and ends nothing by force.
pub(crate) fn told_to_stop() -> impl Future<Output = ()> {
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    async move {
        let Ok((mut interrupt, mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_while_there_is_some_and_once_it_is_over() {
        let mut told = None;
        let mut said = |height, of_about, behind: bool| {
            let at = Readiness {
                ready: true,
                fresh: !behind,
                because: Vec::new(),
                height,
                of_about,
                behind,
            };
            progress(&mut told, &at).unwrap_or_default()
        };
        assert_eq!(said(1, 1, false), "");
        assert_eq!(said(20, 60, true), "ledger: height 20 of about 60");
        assert_eq!(said(20, 61, true), "");
        assert_eq!(said(40, 80, true), "ledger: height 40 of about 80");
        assert_eq!(said(80, 81, false), "ledger: height 80, caught up");
        assert_eq!(said(81, 81, false), "");
    }
}
