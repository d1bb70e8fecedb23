//! The network between the machines: each direction of each pair with its own weather.
//!
//! A message may be lost, late, overtaken by a later one or delivered twice; a direction may be cut
//! while the other is open. Each sender's rate on a channel is bounded as in the real network: what
//! comes too fast waits, and what waits too long is dropped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{
    BlockedSubscription, Blocker, CheckedSender, LimitedSender, Message, PeerSetSubscription,
    PeerSetUpdate, Provider, Receiver, Recipients, TrackedPeers,
};
use commonware_runtime::{Clock as _, IoBuf, IoBufs, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::channel::{mpsc, ring};
use commonware_utils::ordered::Set;
use consensus::StartError;
use consensus::application::Application;
use consensus::engine::{Engine, Settings, assemble};
use consensus::network::{Channel, ChannelPlan, Link as Ends, Network, OpenError, Opened, Peers};
use futures::future::BoxFuture;

use crate::dice::Dice;
use crate::machine::Machine;

/// Longest that a message waits for its sender's rate before it is dropped.
const BACKLOG: Duration = Duration::from_secs(2);

/// Epochs whose validators are heard.
const TRACKED: usize = 3;

/// How one direction between two places is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Whether nothing gets through.
    pub cut: bool,
    /// Of a thousand messages, so many are lost.
    pub lost: u64,
    /// Of a thousand messages, so many come twice.
    pub twice: u64,
    /// The shortest way, in ms.
    pub fastest_ms: u64,
    /// The longest way, in ms.
    pub slowest_ms: u64,
    /// Whether a later message may come first.
    pub overtaking: bool,
}

impl Weather {
    /// A good line.
    pub const FAIR: Self = Self {
        cut: false,
        lost: 0,
        twice: 0,
        fastest_ms: 5,
        slowest_ms: 15,
        overtaking: false,
    };

    /// No line.
    pub const CUT: Self = Self {
        cut: true,
        ..Self::FAIR
    };
}

/// The whole network. Cheap to clone.
#[derive(Clone)]
pub struct Air(Arc<Mutex<Sky>>);

struct Sky {
    clock: deterministic::Context,
    dice: Dice,
    places: Vec<Place>,
    weather: BTreeMap<(usize, usize), Weather>,
    /// When the last message of a direction arrives.
    last: BTreeMap<(usize, usize), SystemTime>,
    /// When the next message of a direction and channel may arrive by its rate.
    paced: BTreeMap<(usize, usize, u64), SystemTime>,
    flights: BinaryHeap<Reverse<Flight>>,
    launched: u64,
    delivered: u64,
    blocks: Vec<(usize, PublicKey)>,
    poke: mpsc::UnboundedSender<()>,
}

struct Place {
    key: PublicKey,
    /// Counts its starts: what an earlier one sends or should hear is lost.
    start: u64,
    inboxes: BTreeMap<u64, mpsc::UnboundedSender<Message<PublicKey>>>,
    tracked: BTreeMap<u64, Set<PublicKey>>,
    others: Set<PublicKey>,
    blocked: BTreeSet<PublicKey>,
    watchers: Vec<mpsc::UnboundedSender<PeerSetUpdate<PublicKey>>>,
    shut_out: Vec<ring::Sender<Set<PublicKey>>>,
}

impl Place {
    fn hears(&self, key: &PublicKey) -> bool {
        let known = self.tracked.values().any(|set| set.position(key).is_some())
            || self.others.position(key).is_some();
        known && !self.blocked.contains(key)
    }

    fn all(&self) -> TrackedPeers<PublicKey> {
        let sets = self.tracked.values().flat_map(|set| set.iter().cloned());
        self.with_others(Set::from_iter_dedup(sets))
    }

    /// Validators, and everyone else beside them.
    fn with_others(&self, validators: Set<PublicKey>) -> TrackedPeers<PublicKey> {
        let others = self.others.iter();
        let others = others.filter(|key| validators.position(key).is_none());
        let others = Set::from_iter_dedup(others.cloned());
        TrackedPeers::new(validators, others)
    }
}

struct Flight {
    at: SystemTime,
    number: u64,
    from: usize,
    to: usize,
    to_start: u64,
    channel: u64,
    bytes: IoBuf,
}

impl Flight {
    fn order(&self) -> (SystemTime, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Air {
    /// A network without places; it carries messages for as long as the task that owns `context` runs.
    #[must_use]
    pub fn new(context: &deterministic::Context, dice: Dice) -> Self {
        let (poke, mut poked) = mpsc::unbounded_channel();
        let air = Self(Arc::new(Mutex::new(Sky {
            clock: context.child("air"),
            dice,
            places: Vec::new(),
            weather: BTreeMap::new(),
            last: BTreeMap::new(),
            paced: BTreeMap::new(),
            flights: BinaryHeap::new(),
            launched: 0,
            delivered: 0,
            blocks: Vec::new(),
            poke,
        })));
        let carried = air.clone();
        context.child("carry").spawn(move |context| async move {
            loop {
                let next = carried.sky().deliver();
                match next {
                    Some(next) => {
                        select! {
                            () = context.sleep_until(next) => {},
                            _ = poked.recv() => {},
                        }
                    }
                    None => {
                        let _ = poked.recv().await;
                    }
                }
            }
        });
        air
    }

    /// A place for a node with this key; several places may have the same.
    pub fn place(&self, key: &keys::PublicKey) -> usize {
        let key = engine_key(key);
        let mut sky = self.sky();
        sky.places.push(Place {
            key,
            start: 0,
            inboxes: BTreeMap::new(),
            tracked: BTreeMap::new(),
            others: Set::default(),
            blocked: BTreeSet::new(),
            watchers: Vec::new(),
            shut_out: Vec::new(),
        });
        sky.places.len() - 1
    }

    /// Sets how it is from one place to another.
    pub fn set(&self, from: usize, to: usize, weather: Weather) {
        self.sky().weather.insert((from, to), weather);
    }

    /// Who was shut out by whom: places and keys.
    #[must_use]
    pub fn blocks(&self) -> Vec<(usize, PublicKey)> {
        self.sky().blocks.clone()
    }

    /// Messages delivered so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.sky().delivered
    }

    /// Nothing leaves or reaches the place until it is opened again.
    pub fn silence(&self, place: usize) {
        let mut sky = self.sky();
        let place = &mut sky.places[place];
        place.start += 1;
        place.inboxes.clear();
        place.watchers.clear();
        place.shut_out.clear();
    }

    /// A node's end of the network at a place. `everyone` may connect, whether it validates or not.
    #[must_use]
    pub fn end(&self, place: usize, everyone: &[keys::PublicKey]) -> End {
        End {
            air: self.clone(),
            place,
            others: Set::from_iter_dedup(everyone.iter().map(engine_key)),
            passes: None,
        }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's form of a key.
#[must_use]
pub fn engine_key(key: &keys::PublicKey) -> PublicKey {
    PublicKey::decode(Copying(key.as_bytes())).expect("an Ed25519 key")
}

impl Sky {
    /// Hands out what has arrived; when the next one does.
    fn deliver(&mut self) -> Option<SystemTime> {
        let now = self.clock.current();
        while let Some(Reverse(next)) = self.flights.peek() {
            if next.at > now {
                return Some(next.at);
            }
            let Some(Reverse(flight)) = self.flights.pop() else {
                break;
            };
            let from = self.places[flight.from].key.clone();
            let to = &self.places[flight.to];
            if to.start == flight.to_start
                && to.hears(&from)
                && let Some(inbox) = to.inboxes.get(&flight.channel)
            {
                self.delivered += 1;
                let _ = inbox.send((from, flight.bytes));
            }
        }
        None
    }

    fn launch(&mut self, from: usize, to: usize, channel: Channel, bytes: &IoBuf) {
        let weather = self.weather.get(&(from, to)).copied();
        let weather = weather.unwrap_or(Weather::FAIR);
        let unheard = self.places[from].blocked.contains(&self.places[to].key);
        if from == to || weather.cut || unheard || self.dice.between(1, 1_000) <= weather.lost {
            return;
        }
        let copies = 1 + u64::from(self.dice.between(1, 1_000) <= weather.twice);
        for _ in 0..copies {
            let took = self.dice.between(weather.fastest_ms, weather.slowest_ms);
            let now = self.clock.current();
            let mut at = now + Duration::from_millis(took);
            if !weather.overtaking {
                let last = self.last.entry((from, to)).or_insert(at);
                at = at.max(*last);
                *last = at;
            }
            let quota = channel.quota();
            let pace = quota.replenish_interval();
            let burst = pace * quota.burst_size().get();
            let slot = self.paced.entry((from, to, channel.number()));
            let slot = slot.or_insert(now - burst);
            *slot = (*slot + pace).max(now.checked_sub(burst).unwrap_or(now));
            if *slot > now + BACKLOG {
                *slot -= pace;
                return;
            }
            at = at.max(*slot);
            self.launched += 1;
            self.flights.push(Reverse(Flight {
                at,
                number: self.launched,
                from,
                to,
                to_start: self.places[to].start,
                channel: channel.number(),
                bytes: bytes.clone(),
            }));
        }
        let _ = self.poke.send(());
    }
}

/// Which messages a place lets out: channel and the place they go to.
pub type Passes = Arc<dyn Fn(Channel, usize) -> bool + Send + Sync>;

/// A node's end of the network.
#[derive(Clone)]
pub struct End {
    air: Air,
    place: usize,
    others: Set<PublicKey>,
    passes: Option<Passes>,
}

impl End {
    /// An end that lets out only what passes: for attackers.
    #[must_use]
    pub fn letting_out(mut self, passes: Passes) -> Self {
        self.passes = Some(passes);
        self
    }

    /// What is sent and heard on every channel, for who takes no part in the agreement.
    #[must_use]
    pub fn raw(self) -> (Vec<(Channel, Mouth)>, Vec<Ear>) {
        let start = self.begin();
        let ends = Channel::ALL.map(|channel| self.channel(start, channel));
        let (mouths, ears): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        (Channel::ALL.into_iter().zip(mouths).collect(), ears)
    }

    /// Hears and is heard by these, without an epoch.
    pub fn acquaint(&self, peers: impl IntoIterator<Item = PublicKey>) {
        self.air.sky().places[self.place]
            .tracked
            .insert(0, Set::from_iter_dedup(peers));
    }

    fn begin(&self) -> u64 {
        let mut sky = self.air.sky();
        let place = &mut sky.places[self.place];
        place.start += 1;
        place.inboxes.clear();
        place.watchers.clear();
        place.shut_out.clear();
        place.blocked.clear();
        place.tracked.clear();
        place.others.clone_from(&self.others);
        place.start
    }

    fn channel(&self, start: u64, channel: Channel) -> (Mouth, Ear) {
        let (inbox, heard) = mpsc::unbounded_channel();
        let mut sky = self.air.sky();
        let place = &mut sky.places[self.place];
        place.inboxes.insert(channel.number(), inbox);
        let mouth = Mouth {
            end: self.clone(),
            start,
            channel,
        };
        (mouth, Ear(heard))
    }
}

/// Sends on one channel from one place.
#[derive(Clone)]
pub struct Mouth {
    end: End,
    start: u64,
    channel: Channel,
}

impl fmt::Debug for Mouth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mouth")
    }
}

impl Mouth {
    fn targets(&self, recipients: Recipients<PublicKey>) -> Vec<PublicKey> {
        let sky = self.end.air.sky();
        let place = &sky.places[self.end.place];
        let mut keys = match recipients {
            Recipients::All => {
                let known = place.all().union();
                known
                    .iter()
                    .filter(|key| **key != place.key)
                    .cloned()
                    .collect()
            }
            Recipients::Some(keys) => keys,
            Recipients::One(key) => vec![key],
        };
        keys.retain(|key| place.hears(key));
        keys
    }
}

impl LimitedSender for Mouth {
    type PublicKey = PublicKey;
    type Checked<'a> = Checked<'a>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked<'_>, SystemTime> {
        Ok(Checked {
            targets: self.targets(recipients),
            mouth: self,
        })
    }
}

/// A message about to be sent.
pub struct Checked<'a> {
    mouth: &'a Mouth,
    targets: Vec<PublicKey>,
}

impl CheckedSender for Checked<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.targets.clone()
    }

    fn send(self, message: impl Into<IoBufs> + Send, _: bool) -> Unreliable<Feedback> {
        let bytes = message.into().coalesce();
        let (end, channel) = (&self.mouth.end, self.mouth.channel);
        let mut sky = end.air.sky();
        if sky.places[end.place].start != self.mouth.start {
            return Unreliable::new(Feedback::Closed);
        }
        for key in &self.targets {
            for to in 0..sky.places.len() {
                let passes = end.passes.as_ref().is_none_or(|passes| passes(channel, to));
                if passes && sky.places[to].key == *key {
                    sky.launch(end.place, to, channel, &bytes);
                }
            }
        }
        Unreliable::new(Feedback::Ok)
    }
}

/// Hears one channel at one place.
#[derive(Debug)]
pub struct Ear(mpsc::UnboundedReceiver<Message<PublicKey>>);

/// The place was opened anew.
#[derive(Debug)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place was opened anew")
    }
}

impl std::error::Error for Gone {}

impl Receiver for Ear {
    type Error = Gone;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, Gone> {
        self.0.recv().await.ok_or(Gone)
    }

    fn capacity(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(4_095)
    }
}

/// Who is known at a place, and shuts out who misbehaves.
#[derive(Clone)]
pub struct Gate {
    end: End,
    start: u64,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Provider for Gate {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        let sky = self.end.air.sky();
        let place = &sky.places[self.end.place];
        let set = place.tracked.get(&id)?.clone();
        Some(place.with_others(set))
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        let (watcher, updates) = mpsc::unbounded_channel();
        let mut sky = self.end.air.sky();
        let place = &mut sky.places[self.end.place];
        if let Some((index, set)) = place.tracked.last_key_value() {
            let _ = watcher.send(PeerSetUpdate {
                index: *index,
                latest: place.with_others(set.clone()),
                all: place.all(),
            });
        }
        place.watchers.push(watcher);
        updates
    }
}

impl Peers for Gate {
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>) {
        let mut sky = self.end.air.sky();
        let place = &mut sky.places[self.end.place];
        if place.start != self.start {
            return;
        }
        place.tracked.insert(epoch, validators.clone());
        while place.tracked.len() > TRACKED {
            place.tracked.pop_first();
        }
        let update = PeerSetUpdate {
            index: epoch,
            latest: place.with_others(validators),
            all: place.all(),
        };
        place
            .watchers
            .retain(|watcher| watcher.send(update.clone()).is_ok());
    }
}

impl Blocker for Gate {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        let mut sky = self.end.air.sky();
        let place = &mut sky.places[self.end.place];
        if place.start == self.start && place.blocked.insert(peer.clone()) {
            let blocked = Set::from_iter_dedup(place.blocked.iter().cloned());
            place
                .shut_out
                .retain_mut(|watcher| watcher.send_lossy(blocked.clone()));
            sky.blocks.push((self.end.place, peer));
        }
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        let (sender, receiver) = ring::channel(NonZeroUsize::MIN);
        let mut sky = self.end.air.sky();
        let place = &mut sky.places[self.end.place];
        let blocked = place.blocked.iter().cloned();
        let _ = sender.send_lossy(Set::from_iter_dedup(blocked));
        place.shut_out.push(sender);
        receiver
    }
}

impl consensus::Wired<Machine> for End {
    fn engine(
        self,
        context: Machine,
        application: Arc<dyn Application>,
        settings: Settings,
    ) -> BoxFuture<'static, Result<Engine<Machine, Self>, StartError>> {
        Box::pin(assemble(context, self, application, settings))
    }
}

impl Network<Machine> for End {
    type Sender = Mouth;
    type Receiver = Ear;
    type Peers = Gate;
    type Blocker = Gate;

    async fn open(self, _: Machine, _: ChannelPlan) -> Result<Opened<Machine, Self>, OpenError> {
        let start = self.begin();
        let end = |channel| -> Ends<Machine, Self> { self.channel(start, channel) };
        let gate = Gate {
            end: self.clone(),
            start,
        };
        Ok(Opened {
            votes: end(Channel::Votes),
            certificates: end(Channel::Certificates),
            resolver: end(Channel::Resolver),
            backfill: end(Channel::Backfill),
            blocks: end(Channel::Blocks),
            gossip: end(Channel::Gossip),
            peers: gate.clone(),
            blocker: gate,
        })
    }
}
