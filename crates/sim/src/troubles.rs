//! What befalls the network: lines, machines, disks and clocks, one trouble after the other and on top
//! of each other. Everything drawn here comes from the seed.

use std::fmt;

use sim_world::air::Weather;
use sim_world::dice::Dice;
use sim_world::world::World;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Every line loses messages.
    Loss,
    /// Every line is slow, and messages overtake each other.
    Storm,
    /// Messages come twice.
    Echo,
    /// One member is cut off, both ways.
    Alone,
    /// One member hears but is not heard, or the other way.
    OneWay,
    /// One pair hears each other in one direction only.
    HalfPair,
    /// The members fall into two halves.
    Split,
    /// One machine loses its power.
    Crash,
    /// All machines lose their power.
    Blackout,
    /// One node is stopped as it should be.
    Stop,
    /// One disk is full.
    FullDisk,
    /// One clock jumps.
    Clock,
    /// Nothing.
    Calm,
}

impl Trouble {
    const ALL: [Self; 13] = [
        Self::Loss,
        Self::Storm,
        Self::Echo,
        Self::Alone,
        Self::OneWay,
        Self::HalfPair,
        Self::Split,
        Self::Crash,
        Self::Blackout,
        Self::Stop,
        Self::FullDisk,
        Self::Clock,
        Self::Calm,
    ];
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How often a machine is looked at, in ms.
const LOOK_MS: u64 = 100;

/// Troubles of one run.
pub struct Troubles {
    dice: Dice,
    honest: Vec<usize>,
    /// When a member that is down comes back, in true ms.
    back: Vec<Option<u64>>,
    /// What happened, for the report.
    pub seen: Vec<Trouble>,
}

impl Troubles {
    /// Troubles for the honest members.
    #[must_use]
    pub fn new(world: &World, dice: Dice) -> Self {
        Self {
            dice,
            honest: world.honest(),
            back: vec![None; world.members.len()],
            seen: Vec::new(),
        }
    }

    /// One trouble, and some seconds of it.
    pub async fn next(&mut self, world: &mut World) {
        if self.honest.len() < world.members.len() {
            // Beside an attacker any trouble stops the network: it needs its moments.
            self.clear_lines(world);
            let lasts = self.dice.between(500, 3_000);
            self.pass(world, lasts).await;
        }
        let trouble = self.dice.pick(&Trouble::ALL);
        self.seen.push(trouble);
        self.begin(trouble, world).await;
        let lasts = self.dice.between(1_500, 5_000);
        self.pass(world, lasts).await;
        if self.dice.below(3) > 0 {
            self.clear_lines(world);
        }
        if self.dice.one_in(2) {
            self.set_clocks(world);
        }
    }

    async fn begin(&mut self, trouble: Trouble, world: &mut World) {
        let one = self.dice.pick(&self.honest);
        let other = self.dice.pick(&self.honest);
        match trouble {
            Trouble::Calm => {}
            Trouble::Loss => {
                let lost = self.dice.between(50, 400);
                self.lines(world, |_, _| Weather {
                    lost,
                    ..Weather::FAIR
                });
            }
            Trouble::Storm => {
                let slowest_ms = self.dice.between(100, 1_200);
                self.lines(world, |_, _| Weather {
                    slowest_ms,
                    overtaking: true,
                    lost: 20,
                    ..Weather::FAIR
                });
            }
            Trouble::Echo => self.lines(world, |_, _| Weather {
                twice: 300,
                slowest_ms: 80,
                overtaking: true,
                ..Weather::FAIR
            }),
            Trouble::Alone => self.lines(world, |from, to| cut(from == one || to == one)),
            Trouble::OneWay => {
                let heard = self.dice.one_in(2);
                self.lines(world, |from, to| {
                    cut(if heard { to == one } else { from == one })
                });
            }
            Trouble::HalfPair => self.lines(world, |from, to| cut(from == one && to == other)),
            Trouble::Split => {
                let bits = self.dice.next();
                let side = |member: usize| bits >> member & 1;
                self.lines(world, |from, to| cut(side(from) != side(to)));
            }
            Trouble::Crash => self.down(world, one).await,
            Trouble::Blackout => {
                for member in self.honest.clone() {
                    self.down(world, member).await;
                }
            }
            Trouble::Stop => {
                if world.members[one].is_up() {
                    world.stop(one).await;
                    self.later(world, one);
                }
            }
            Trouble::FullDisk => world.members[one].body.disk.fill(true),
            Trouble::Clock => {
                let most = self.dice.pick(&[2_000, 60_000, 3_600_000]);
                let by = i64::try_from(self.dice.between(0, 2 * most)).unwrap_or(0);
                let by = by - i64::try_from(most).unwrap_or(0);
                world.members[one].body.set_clock(by);
            }
        }
    }

    fn lines(&self, world: &World, weather: impl Fn(usize, usize) -> Weather) {
        for from in &self.honest {
            for to in self.honest.iter().filter(|to| *to != from) {
                world.one_way(*from, *to, weather(*from, *to));
            }
        }
    }

    async fn down(&mut self, world: &mut World, member: usize) {
        world.crash(member).await;
        self.later(world, member);
    }

    fn later(&mut self, world: &World, member: usize) {
        self.back[member] = Some(world.now_ms() + self.dice.between(200, 6_000));
    }

    /// Lets time pass, starts what is to come back, and crashes whose node died of a full disk.
    async fn pass(&mut self, world: &mut World, ms: u64) {
        let until = world.now_ms() + ms;
        while world.now_ms() < until {
            world.sleep_ms(LOOK_MS).await;
            for member in self.honest.clone() {
                self.look_after(world, member).await;
            }
        }
    }

    async fn look_after(&mut self, world: &mut World, member: usize) {
        let body = world.members[member].body.clone();
        let died = body.panics();
        let full = body.disk.is_full();
        assert!(
            died.is_empty() || full,
            "a task of member {member} died: {died:?}"
        );
        if !died.is_empty() {
            self.down(world, member).await;
        }
        if full && self.dice.one_in(30) {
            // Somebody makes room, and starts the node again.
            body.disk.fill(false);
            self.down(world, member).await;
        }
        let due = self.back[member].is_some_and(|at| at <= world.now_ms());
        if due && !world.members[member].is_up() {
            world.start(member).await;
            self.back[member] = None;
            if !world.members[member].is_up() {
                self.later(world, member);
            }
        }
    }

    fn clear_lines(&self, world: &World) {
        self.lines(world, |_, _| Weather::FAIR);
    }

    fn set_clocks(&self, world: &World) {
        for member in &self.honest {
            world.members[*member].body.set_clock(0);
        }
    }

    /// Ends all troubles: lines are good, clocks right, disks have room and every honest node runs.
    pub async fn heal(&mut self, world: &mut World) {
        self.clear_lines(world);
        self.set_clocks(world);
        for member in self.honest.clone() {
            self.look_after(world, member).await;
            if world.members[member].body.disk.is_full() {
                world.members[member].body.disk.fill(false);
                world.crash(member).await;
            }
            if !world.members[member].is_up() {
                world.start(member).await;
            }
        }
    }
}

const fn cut(is_cut: bool) -> Weather {
    if is_cut { Weather::CUT } else { Weather::FAIR }
}
