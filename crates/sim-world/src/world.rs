//! The members of a simulated network: machines, keys, nodes, and how they come and go.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use commonware_runtime::{
    Clock as _, Handle as Task, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::channel::oneshot;
use consensus::application::Application;
use futures::future::BoxFuture;
use keys::{PasswordParams, Secret};
use ledger::{Genesis, Kind, Parameters};
use node::institution::{Card, Founding, found, keychain_create};
use node::{
    Actor, Ambient, Caller, Config, Handle, InstitutionId, Node, PractitionerId, Role, StartError,
};
use store_sim::SimStore;
use vault::{Keychain, MemoryCustody};

use crate::air::{Air, End, Weather};
use crate::dice::Dice;
use crate::machine::{Body, Machine};

const PASSPHRASE: &[u8] = b"a simulated passphrase";
const NAMES: [&str; 5] = ["Ithaca", "Pylos", "Sparta", "Scheria", "Argos"];

/// Blocks in an epoch: several pass in a minute.
pub const EPOCH_BLOCKS: u64 = 20;

/// Time after which an empty block is made.
const IDLE_BLOCK_MS: u64 = 500;

/// How long a leader may take.
const LEADER_TIMEOUT_MS: u64 = 500;

/// A store on a simulated machine.
pub type Store = SimStore<Machine>;

/// The node that a member runs just now, if it does.
#[derive(Clone, Default)]
pub struct Door(Arc<Mutex<Option<Handle>>>);

impl Door {
    /// Calls what runs behind it.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An institution and its machine.
pub struct Member {
    /// Its id.
    pub id: InstitutionId,
    /// The key of its node.
    pub key: keys::PublicKey,
    /// The seed of that key.
    pub seed: Secret,
    /// Its machine.
    pub body: Body,
    /// Its place in the network.
    pub place: usize,
    /// Whether its node does what it should.
    pub honest: bool,
    /// Its node, for its people.
    pub door: Door,
    card: Card,
    custody: MemoryCustody,
    node: Option<Node>,
}

impl Member {
    /// Whether its node runs.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// One of its people.
    #[must_use]
    pub fn staff(&self, role: Role) -> Caller {
        staff(self.id, role)
    }
}

/// One of an institution's people.
#[must_use]
pub fn staff(institution: InstitutionId, role: Role) -> Caller {
    Caller::staff(Actor {
        institution,
        practitioner: PractitionerId::new("staff-1").expect("a name"),
        roles: [role].into(),
        slot: None,
    })
}

/// The network and its members.
pub struct World {
    /// The scheduler.
    pub context: deterministic::Context,
    /// What all know.
    pub genesis: Genesis,
    /// Who there is; the first four validate.
    pub members: Vec<Member>,
    /// What is between them.
    pub air: Air,
    /// What befell nodes while it was allowed to: for the report.
    pub crashes: u64,
    dice: Dice,
    starts: u64,
}

impl World {
    /// Founds a network of four validators and, if `fifth`, a member that follows. Nothing runs yet.
    pub async fn found(context: deterministic::Context, fifth: bool, mut dice: Dice) -> Self {
        let air = Air::new(&context, dice.fork());
        let mut members = Vec::new();
        for (index, name) in NAMES.iter().take(4 + usize::from(fifth)).enumerate() {
            let body = Body::default();
            let machine = Machine::new(context.child("founding"), &body);
            let custody = MemoryCustody::new();
            let founding = Founding {
                name: (*name).to_owned(),
                kind: Kind::Hospital,
            };
            let (keychain, card) = keychain_create(
                Arc::new(custody.clone()),
                &founding,
                index < 4,
                PASSPHRASE,
                PasswordParams::INSECURE_FAST,
                &Ambient::of(&machine),
            )
            .unwrap();
            let seed = keychain.identity().validator_seed;
            let key = consensus::engine::public_key(&seed).unwrap();
            members.push(Member {
                id: card.institution.id,
                place: air.place(&key),
                key,
                seed,
                body,
                honest: true,
                door: Door::default(),
                card,
                custody,
                node: None,
            });
        }
        let cards: Vec<Card> = members.iter().map(|member| member.card.clone()).collect();
        let parameters = Parameters {
            epoch_blocks: EPOCH_BLOCKS,
            disclosure_period_ms: 10_000,
            max_validity_heights: 40,
            ..Parameters::default()
        };
        let genesis = found(&cards, parameters, &Ambient::of(&context)).unwrap();
        Self {
            context,
            genesis,
            members,
            air,
            crashes: 0,
            dice,
            starts: 0,
        }
    }

    /// Members whose nodes do what they should.
    #[must_use]
    pub fn honest(&self) -> Vec<usize> {
        let indices = 0..self.members.len();
        indices.filter(|at| self.members[*at].honest).collect()
    }

    /// True time, in Unix ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        now_ms(&self.context)
    }

    /// Lets time pass.
    pub async fn sleep_ms(&self, duration_ms: u64) {
        self.context.sleep(Duration::from_millis(duration_ms)).await;
    }

    /// A member's end of the network.
    #[must_use]
    pub fn end(&self, place: usize) -> End {
        let everyone: Vec<_> = self.members.iter().map(|member| member.key).collect();
        self.air.end(place, &everyone)
    }

    /// A context on a member's machine.
    #[must_use]
    pub fn machine(&mut self, body: &Body) -> Machine {
        self.starts += 1;
        let context = self.context.child("machine");
        Machine::new(context.with_attribute("n", self.starts), body)
    }

    /// Starts a member's node on what its disk holds. It may fail while the disk is full, never else.
    pub async fn start(&mut self, index: usize) {
        let body = self.members[index].body.clone();
        let machine = self.machine(&body);
        match self.try_start(index, &machine).await {
            Ok(node) => {
                let member = &mut self.members[index];
                *member.door.lock() = Some(node.handle());
                member.node = Some(node);
            }
            Err(why) => {
                let panics = body.panics();
                assert!(
                    body.disk.is_full(),
                    "member {index} did not start: {why} {panics:?}"
                );
                self.air.silence(self.members[index].place);
            }
        }
    }

    async fn try_start(&self, index: usize, machine: &Machine) -> Result<Node, String> {
        use commonware_runtime::Supervisor as _;
        let member = &self.members[index];
        let store = open(machine).await?;
        let custody = Arc::new(member.custody.clone());
        let keychain = Keychain::open(custody, PASSPHRASE).map_err(|error| error.to_string())?;
        let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
        let mut config = Config::new(self.genesis.clone(), member.id, listen);
        config.idle_block_ms = IDLE_BLOCK_MS;
        config.leader_timeout_ms = LEADER_TIMEOUT_MS;
        // Entries that wait longer than a cut are signed again.
        config.limits.validity_heights = 20;
        let end = self.end(member.place);
        let started = start_node(machine.child("member"), config, end, store, keychain);
        started.await.map_err(|error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(why) = source {
                text.push_str(": ");
                text.push_str(&why.to_string());
                source = why.source();
            }
            text
        })
    }

    /// A member's machine loses its power.
    pub async fn crash(&mut self, index: usize) {
        let place = self.members[index].place;
        let member = &mut self.members[index];
        *member.door.lock() = None;
        if let Some(node) = member.node.take() {
            node.crash().await;
            self.crashes += 1;
        }
        self.air.silence(place);
        member.body.disk.crash(&mut self.dice);
    }

    /// A member's node is stopped as it should be.
    pub async fn stop(&mut self, index: usize) {
        let member = &mut self.members[index];
        *member.door.lock() = None;
        if let Some(node) = member.node.take() {
            node.stop().await;
        }
        self.air.silence(self.members[index].place);
    }

    /// The stored ledger of a member whose node does not run.
    pub async fn stored(&mut self, index: usize) -> Store {
        let body = self.members[index].body.clone();
        open(&self.machine(&body)).await.unwrap()
    }

    /// Sets how it is from one member to another.
    pub fn one_way(&self, from: usize, to: usize, weather: Weather) {
        let (from, to) = (self.members[from].place, self.members[to].place);
        self.air.set(from, to, weather);
    }

    /// What starts validators that are no whole nodes, as attackers are, under a member's key.
    #[must_use]
    pub fn validators(&self, index: usize) -> Validators {
        Validators(consensus::Config {
            idle_block_ms: IDLE_BLOCK_MS,
            leader_timeout_ms: LEADER_TIMEOUT_MS,
            ..consensus::Config::new(self.genesis.clone(), self.members[index].seed.clone())
        })
    }
}

/// Opens a machine's store, once what ended before has let go of it.
async fn open(machine: &Machine) -> Result<Store, String> {
    const TRIES: usize = 100;
    let mut tries = 0;
    loop {
        match SimStore::open(machine.child("store"), "store").await {
            Ok(store) => return Ok(store),
            Err(error) if tries == TRIES => return Err(format!("the store: {error:?}")),
            Err(_) => {
                tries += 1;
                machine.sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Compiled here, once: see the crate's documentation.
#[inline(never)]
fn start_node(
    machine: Machine,
    config: Config,
    end: End,
    store: Store,
    keychain: Keychain,
) -> BoxFuture<'static, Result<Node, StartError>> {
    Box::pin(Node::start_over(machine, config, end, store, keychain))
}

/// Something between a validator's engine and its ledger.
pub type Between = Box<dyn FnOnce(Arc<dyn Application>) -> Arc<dyn Application> + Send>;

/// Starts validators that are no whole nodes.
#[derive(Clone)]
pub struct Validators(consensus::Config);

impl Validators {
    /// The task of a running one; none if it did not start.
    #[inline(never)]
    pub fn start(
        &self,
        machine: Machine,
        end: End,
        between: Between,
    ) -> BoxFuture<'static, Option<Task<()>>> {
        Box::pin(run_validator(self.0.clone(), machine, end, between))
    }
}

async fn run_validator(
    config: consensus::Config,
    machine: Machine,
    end: End,
    between: Between,
) -> Option<Task<()>> {
    let (started, ready) = oneshot::channel();
    let task = machine.spawn(move |machine| async move {
        use commonware_runtime::Supervisor as _;
        let Ok(store) = SimStore::open(machine.child("store"), "store").await else {
            return;
        };
        let context = machine.child("consensus");
        let ledger = consensus::start_with(context, end, store, config, between).await;
        let Ok(ledger) = ledger else { return };
        let _ = started.send(());
        ledger.stopped().await;
    });
    ready.await.ok().map(|()| task)
}

pub(crate) fn now_ms(context: &deterministic::Context) -> u64 {
    let since = context.current().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
