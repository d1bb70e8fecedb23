//! The whole network under a seed: four or five real nodes in one deterministic process.
//!
//! [`run`] founds a network, puts people at each honest member, lets troubles and perhaps an attacker
//! loose on it for at least [`LEAST_MS`] and [`LEAST_BLOCKS`], heals it and checks what must be true
//! whatever happened. It panics where something is not; the same seed makes the same run.
//!
//! - [`machine`]: a node's runtime, with a [`disk`] and a clock of its own. [`air`]: what is between them.
//! - [`world`]: members and their nodes. [`load`]: people, and the book of what was acknowledged.
//! - [`troubles`], [`churn`], [`attackers`]: what goes wrong. [`check`]: what must not.
//!
//! The nodes are the product's own, engine, vault and all; what is simulated is below them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "where the simulated world is not as it must be, the simulation panics: that is its finding"
)]

pub mod attackers;
pub mod check;
pub mod churn;
pub mod load;
pub mod troubles;

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use commonware_runtime::{Runner as _, deterministic};

use attackers::Attack;
use check::History;
use load::{Book, Crowd};
use sim_world::dice::Dice;
use sim_world::world::World;
use troubles::{Trouble, Troubles};

/// Simulated time that troubles last at least, in ms.
pub const LEAST_MS: u64 = 60_000;

/// Blocks that must become final meanwhile.
pub const LEAST_BLOCKS: u64 = 100;

/// Longest simulated time for that, in ms.
const MOST_MS: u64 = 900_000;

const START_S: u64 = 1_790_000_000;

/// What a run was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Who attacked, if anyone.
    pub attack: Option<Attack>,
    /// Members that validate and did not at the start, or the other way.
    pub changes: u64,
    /// Simulated time, in ms.
    pub lasted_ms: u64,
    /// Time from healing until every honest node finalised again, in ms.
    pub resumed_ms: u64,
    /// What the ledgers came to.
    pub history: History,
    /// Things acknowledged to people.
    pub acknowledged: u64,
    /// Receipts verified.
    pub receipts: u64,
    /// Nodes that crashed.
    pub crashes: u64,
    /// Faults of which honest nodes kept evidence.
    pub evidence: u64,
    /// Messages delivered.
    pub messages: u64,
    /// The troubles, in order.
    pub troubles: Vec<Trouble>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attack = self.attack.map_or("nobody".to_owned(), |a| a.to_string());
        write!(
            f,
            "seed {:>5}  {:>14}  {:>4} s  {:>4} blocks  {:>4} entries  {:>4} acknowledged  {:>3} receipts  \
             {:>2} crashes  {:>2} evidence  {} changes  resumed in {} ms",
            self.seed,
            attack,
            self.lasted_ms / 1_000,
            self.history.height,
            self.history.entries,
            self.acknowledged,
            self.receipts,
            self.crashes,
            self.evidence,
            self.changes,
            self.resumed_ms,
        )
    }
}

/// What a run is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Who attacks, if anyone.
    pub attack: Option<Attack>,
    /// Whether validators come and go.
    pub churn: bool,
    /// Whether disks say that they synced and do not: then things must be found lost.
    pub disks_lie: bool,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let attack = match dice.below(9) {
            at if at < Attack::ALL.len() => Some(Attack::ALL[at]),
            _ => None,
        };
        Self {
            attack,
            churn: dice.one_in(3),
            disks_lie: false,
        }
    }
}

/// Runs a seed by its plan.
///
/// # Panics
/// When something is not as it must be: that is a finding.
#[must_use]
pub fn run(seed: u64) -> Report {
    run_with(seed, Plan::of(seed))
}

/// Runs a seed by another plan.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_with(seed: u64, plan: Plan) -> Report {
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(START_S))
        .with_timeout(Some(Duration::from_secs(7_200)))
        .with_catch_panics(true);
    deterministic::Runner::new(config).start(|context| play(context, seed, plan))
}

async fn play(context: deterministic::Context, seed: u64, plan: Plan) -> Report {
    let Plan { attack, churn, .. } = plan;
    let mut dice = Dice::new(seed ^ 0xa11c_e5ee_d000);
    let mut world = World::found(context, churn, dice.fork()).await;
    for member in &world.members {
        member.body.disk.lie(plan.disks_lie);
    }
    let attacker = attack.map(|attack| (attack, dice.below(4)));
    if let Some((_, member)) = attacker {
        world.members[member].honest = false;
    }
    for member in world.honest() {
        world.start(member).await;
    }
    if let Some((attack, member)) = attacker {
        attack.start(&mut world, member, dice.fork()).await;
    }
    let book = Book::default();
    let crowd = Crowd::start(&world, &book, &mut dice);
    let assembly = churn.then(|| churn::start(&world, dice.fork()));
    let mut troubles = Troubles::new(&world, dice.fork());
    let began = world.now_ms();
    // A moment of quiet, so that there is something to lose.
    world.sleep_ms(3_000).await;
    loop {
        let lasted = world.now_ms() - began;
        let blocks = check::greatest(&world).await;
        if lasted >= LEAST_MS && blocks >= LEAST_BLOCKS {
            break;
        }
        assert!(
            lasted < MOST_MS,
            "{blocks} blocks in {} s of {:?}",
            lasted / 1_000,
            troubles.seen
        );
        troubles.next(&mut world).await;
    }
    crowd.stop().await;
    if let Some(assembly) = assembly {
        assembly.abort();
    }
    let lasted_ms = world.now_ms() - began;
    let healed = world.now_ms();
    troubles.heal(&mut world).await;
    let resumed_ms = check::resumes(&world, healed).await;
    check::settles(&world, &book).await;
    let evidence = check::accusations(&world, churn).await;
    // What is read from here on was on disk.
    for member in world.honest() {
        world.crash(member).await;
    }
    for member in world.honest() {
        world.start(member).await;
    }
    check::settles(&world, &book).await;
    let changes = check::changes(&world).await;
    let receipts = check::kept(&world, &book).await;
    for member in world.honest() {
        let died = world.members[member].body.panics();
        assert!(died.is_empty(), "a task of member {member} died: {died:?}");
        world.stop(member).await;
    }
    let history = check::one_history(&mut world, &book).await;
    Report {
        seed,
        attack,
        changes,
        lasted_ms,
        resumed_ms,
        history,
        acknowledged: book.acknowledged(),
        receipts,
        crashes: world.crashes,
        evidence,
        messages: world.air.delivered(),
        troubles: troubles.seen,
    }
}
