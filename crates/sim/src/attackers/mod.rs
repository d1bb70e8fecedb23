//! One of the validators does what it should not. One file each.

mod equivocator;
mod flooder;
mod liar;
mod stale;
mod withholder;

use std::fmt;

use sim_world::dice::Dice;
use sim_world::world::World;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Tells different members different things under one key.
    Equivocator,
    /// Proposes blocks that are not what they say, and votes for anything.
    Liar,
    /// Keeps to itself what others need.
    Withholder,
    /// Sends as much as it is let.
    Flooder,
    /// Comes back with an old disk, again and again.
    StaleRejoiner,
}

impl Attack {
    /// Every attack.
    pub const ALL: [Self; 5] = [
        Self::Equivocator,
        Self::Liar,
        Self::Withholder,
        Self::Flooder,
        Self::StaleRejoiner,
    ];

    /// Starts it in the place of a validator, which must not run.
    pub async fn start(self, world: &mut World, member: usize, dice: Dice) {
        match self {
            Self::Equivocator => equivocator::start(world, member, dice).await,
            Self::Liar => liar::start(world, member, dice).await,
            Self::Withholder => withholder::start(world, member, dice).await,
            Self::Flooder => flooder::start(world, member, dice),
            Self::StaleRejoiner => stale::start(world, member, dice).await,
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
