//! Records shared between two institutions: their nodes in this process, each with a store on disk, TLS
//! over loopback between them. An ask takes four durable writes, one after the other: B logs that it asks,
//! A remembers the request, A logs the disclosure, B logs the read.

use super::{
    Scratch, ShareOptions, deposit,
    rounds::{Round, at_once},
    table::{Demand, Table},
};
use crate::{
    config::{Config, Peer},
    folder,
    running::{self, Running},
};
use anyhow::{Context as _, Result, anyhow, ensure};
use consent::{Actor, PractitionerId, Role};
use futures::{channel::oneshot, executor::block_on, future::BoxFuture};
use keys::PasswordParams;
use ledger::{Kind, Parameters};
use node::{
    Caller, Category, Grantee, Millis, Purpose, Selection, SubjectId,
    consent_change::{ConsentChange, ConsentDesk, GrantDraft},
    institution::{self, Founder, Founding},
    share::{PeerKeys, ShareAccept, ShareAsk, ShareQuery},
    subject::{SubjectOpen, Wait},
};
use peers::{Bounds, Client, End};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};
use store::{Batch, Store, Table as StoreTable};
use store_fjall::FjallStore;
use tokio::runtime::Runtime;

const RECORD_BYTES: usize = 20_000;
/// The record's part that travels: nearly all of it is phenotype.
const SHARED: Category = Category::Phenotype;
const FINAL: Wait = Wait::Final { timeout_ms: 20_000 };
const READY: Duration = Duration::from_secs(30);
const ROUNDS: usize = 4;
const RAW: StoreTable = StoreTable::new("bench");
/// Bytes of one row of the reference, about as long as the rows of a disclosure.
const ROW_BYTES: usize = 1_000;

pub(super) fn run(options: &ShareOptions) -> Result<()> {
    let scratch = Scratch::new(options.folder.as_ref())?;
    let pair = Pair::start(&scratch.0)?;
    let families = pair.families(options.at_once)?;
    let raw = ["raw-a", "raw-b"].map(|name| {
        FjallStore::open(scratch.0.join(name), &store_fjall::Config::default())
            .map_err(|e| anyhow!("the reference store: {e}"))
    });
    let [raw_a, raw_b] = raw;
    let (raw_a, raw_b) = (raw_a?, raw_b?);
    let each = (options.count / ROUNDS / options.at_once).max(1);
    let echo = pair.echo()?;
    // The connections are made, and both nodes have seen every family.
    at_once(&families, 1, |family, _| pair.ask(family))?;
    let (mut written, mut echoed, mut asked) =
        (Round::default(), Round::default(), Round::default());
    for round in 0..ROUNDS {
        written.add(at_once(&families, each, |_, number| {
            let key = |place: usize| format!("{round}/{number}/{place}").into_bytes();
            let put = |place| Batch::new().put(RAW, key(place), vec![7; ROW_BYTES]);
            block_on(async {
                raw_b.commit(put(0)).await?;
                raw_a.commit(put(1)).await?;
                raw_a.commit(put(2)).await?;
                raw_b.commit(put(3)).await
            })
            .context("the reference store")
        })?);
        echoed.add(at_once(&families, each, |_, _| pair.exchange(&echo))?);
        asked.add(at_once(&families, each, |family, _| pair.ask(family))?);
    }
    let mut table = Table::default();
    table.group(
        format!("a record of 20 kB, {} asks at once", options.at_once),
        vec![
            written
                .measured("four durable writes, two stores")
                .reference(),
            echoed.measured("20 kB over the same TLS, nothing else"),
            asked
                .measured("asked, decided, logged, opened, checked")
                .must(Demand::PerSecondAtLeast(500.0))
                .must(Demand::P99AtMost(60.0)),
        ],
    );
    table.note(
        "memory of this process, two nodes",
        crate::demo::memory_mib().unwrap_or(0.0),
        "MiB",
    );
    table.print(options.json);
    drop(echo);
    pair.stop()
}

/// A, who holds the records, and B, who asks.
struct Pair {
    a: Running,
    b: Running,
    /// From B to A.
    client: Client,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
}

/// A family of A.
struct Family {
    subject: SubjectId,
}

/// The way to an end that answers at once.
struct Echo {
    client: Client,
    _stop: oneshot::Sender<()>,
}

struct Echoing(node::Handle);

impl End for Echoing {
    fn keys(&self) -> Option<Arc<dyn PeerKeys>> {
        self.0.peer_keys()
    }

    fn answer(&self, _: ShareQuery) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async { Ok(vec![7; RECORD_BYTES]) })
    }
}

impl Pair {
    fn start(folder: &Path) -> Result<Self> {
        let passphrase = folder::fresh_passphrase(&folder.join("passphrase"))?;
        let folders = ["a", "b"].map(|name| folder.join(name));
        let foundings = ["Bench A", "Bench B"].map(|name| Founding {
            name: name.to_owned(),
            kind: Kind::Hospital,
        });
        let founders: Vec<Founder<'_>> = folders
            .iter()
            .zip(&foundings)
            .map(|(folder, founding)| Founder {
                folder,
                founding,
                validator: true,
                passphrase: passphrase.as_bytes(),
            })
            .collect();
        let founded = running::with_ambient(|ambient| {
            let params = PasswordParams::default();
            institution::create_all(&founders, Parameters::default(), params, ambient)
        })?;
        let addresses = free_addresses()?;
        let start = |at: usize| -> Result<Running> {
            let other = 1 - at;
            let mut config = Config::default();
            config.ledger.listen = *addresses.get(at).context("an address")?;
            let (_, key) = founded.members.get(other).context("a member")?;
            config.ledger.peers = vec![Peer {
                name: "the other one".to_owned(),
                key: *key,
                address: *addresses.get(other).context("an address")?,
            }];
            let folder = folders.get(at).context("a folder")?;
            Running::start(folder, &passphrase, &config)
        };
        let (a, b) = (start(0)?, start(1)?);
        a.wait_ready(READY)?;
        b.wait_ready(READY)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (address, stop) = serve(&runtime, Arc::new(a.handle()))?;
        let client = Client::new(
            Arc::new(b.handle()),
            [(a.institution(), address)].into(),
            Bounds::default(),
        );
        Ok(Self {
            a,
            b,
            client,
            runtime,
            stop,
        })
    }

    fn echo(&self) -> Result<Echo> {
        let (address, stop) = serve(&self.runtime, Arc::new(Echoing(self.a.handle())))?;
        let client = Client::new(
            Arc::new(self.b.handle()),
            [(self.a.institution(), address)].into(),
            Bounds::default(),
        );
        Ok(Echo {
            client,
            _stop: stop,
        })
    }

    fn exchange(&self, echo: &Echo) -> Result<()> {
        let exchange = echo.client.exchange(self.a.institution(), &[7; 600]);
        let answer = self.runtime.block_on(exchange)?;
        ensure!(answer.len() == RECORD_BYTES, "the echo is cut short");
        Ok(())
    }

    fn specialist(&self) -> Result<Caller> {
        Ok(Caller::staff(Actor {
            institution: self.b.institution(),
            practitioner: PractitionerId::new("bench")?,
            roles: [Role::Geneticist].into(),
            slot: None,
        }))
    }

    /// Families with one record each, final on the ledger and granted to B.
    fn families(&self, count: usize) -> Result<Vec<Family>> {
        let grant = GrantDraft {
            grantee: Grantee::Institution(self.b.institution()),
            purposes: BTreeSet::from([Purpose::Treat]),
            categories: BTreeSet::from([SHARED]),
            from: Millis::ZERO,
            until: Millis::new(4_000_000_000_000),
            exceptions: BTreeSet::new(),
        };
        let template = deposit::phenopacket(RECORD_BYTES);
        let a = self.a.handle();
        let opening: Vec<usize> = (0..count).collect();
        let (told, families) = std::sync::mpsc::channel();
        at_once(&opening, 1, |number, _| {
            let opened = block_on(a.subject_open(SubjectOpen {
                caller: deposit::caller(&self.a, Role::Desk)?,
                controllers: Vec::new(),
                matures: None,
                client_key: None,
                wait: FINAL,
            }))?;
            let subject = opened.subject;
            let deposited = block_on(a.record_deposit(deposit::submission(
                deposit::caller(&self.a, Role::Laboratory)?,
                subject,
                deposit::numbered(&template, *number),
                FINAL,
            )))?;
            ensure!(
                deposited.finality.is_final(),
                "a record is not final after 20 s"
            );
            let granted = block_on(a.consent_desk(ConsentDesk {
                caller: deposit::caller(&self.a, Role::Desk)?,
                subject,
                expect_sequence: None,
                changes: vec![ConsentChange::GrantAdd(grant.clone())],
                wait: FINAL,
            }))?;
            ensure!(
                granted.finality.is_final(),
                "a grant is not final after 20 s"
            );
            told.send(Family { subject })?;
            Ok(())
        })?;
        drop(told);
        Ok(families.into_iter().collect())
    }

    /// As B's edge does it, and its caller sees it.
    fn ask(&self, family: &Family) -> Result<()> {
        let b = self.b.handle();
        let caller = self.specialist()?;
        self.runtime.block_on(async {
            let request = b
                .share_prepare(ShareAsk {
                    caller: caller.clone(),
                    custodian: self.a.institution(),
                    subject: family.subject,
                    purpose: Purpose::Treat,
                    selection: Selection::all([SHARED]),
                    study: None,
                    partial: false,
                })
                .await?;
            let answer = self
                .client
                .exchange(self.a.institution(), &request.bytes)
                .await?;
            let shared = b
                .share_accept(ShareAccept {
                    caller,
                    request: request.bytes,
                    answer,
                })
                .await?;
            let parts = shared.records.iter().flat_map(|record| &record.parts);
            let bytes: usize = parts.map(|part| part.bytes.as_bytes().len()).sum();
            ensure!(bytes > RECORD_BYTES / 2, "{bytes} bytes were shared");
            Ok(())
        })
    }

    fn stop(self) -> Result<()> {
        drop(self.stop);
        drop(self.client);
        self.runtime.shutdown_timeout(READY);
        self.b.stop()?;
        self.a.stop()
    }
}

/// Answers other institutions at an address of its own until the sender is dropped.
fn serve(runtime: &Runtime, end: Arc<dyn End>) -> Result<(SocketAddr, oneshot::Sender<()>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    runtime.spawn(async move {
        let stopped = async {
            stopped.await.ok();
        };
        peers::serve(listener, end, &Bounds::default(), stopped)
            .await
            .ok();
    });
    Ok((address, stop))
}

fn free_addresses() -> Result<Vec<SocketAddr>> {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let addresses = listeners.into_iter().map(|listener| listener?.local_addr());
    Ok(addresses.collect::<Result<_, _>>()?)
}
