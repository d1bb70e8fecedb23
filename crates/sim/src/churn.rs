//! Validators come and go while everything else happens: the fifth member joins, and one leaves.

use std::time::Duration;

use commonware_macros::select;
use commonware_runtime::{
    Clock as _, Handle as Task, Spawner as _, Supervisor as _, deterministic,
};
use node::governance::{NetworkChange, NetworkPropose, NetworkVote};
use node::subject::Wait;
use node::{Error, Handle, InstitutionId, Role};

use sim_world::dice::Dice;
use sim_world::world::{Door, World, staff};

const PATIENCE: Duration = Duration::from_secs(12);

/// Longest wait for a change to become final, in ms.
const FINAL_MS: u64 = 10_000;

/// Tries of one step.
const TRIES: usize = 40;

type Voter = (InstitutionId, Door);

struct Assembly {
    context: deterministic::Context,
    voters: Vec<Voter>,
    dice: Dice,
}

/// Proposes and votes until both changes are voted for.
#[must_use]
pub fn start(world: &World, mut dice: Dice) -> Task<()> {
    let honest = world.honest();
    let voters: Vec<Voter> = honest
        .iter()
        .map(|at| (world.members[*at].id, world.members[*at].door.clone()))
        .collect();
    let leaves = world.members[dice.pick(&honest[..honest.len() - 1])].id;
    let assembly = Assembly {
        context: world.context.child("assembly"),
        voters,
        dice,
    };
    world.context.child("churn").spawn(move |_| async move {
        let mut assembly = assembly;
        let newcomer = assembly.voters.len() - 1;
        let joins = (newcomer, NetworkChange::Validate);
        let leaves = NetworkChange::Validator {
            institution: leaves,
            claim: None,
        };
        for (by, change) in [joins, (newcomer, leaves)] {
            let ms = assembly.dice.between(500, 8_000);
            assembly.pause(ms).await;
            assembly.decide(by, change).await;
        }
    })
}

impl Assembly {
    async fn pause(&self, ms: u64) {
        self.context.sleep(Duration::from_millis(ms)).await;
    }

    async fn ask<T, F>(&self, member: usize, call: impl FnOnce(Handle) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let handle = self.voters[member].1.handle()?;
        let answer = call(handle);
        select! {
            answer = answer => answer.ok(),
            () = self.context.sleep(PATIENCE) => None,
        }
    }

    async fn decide(&mut self, by: usize, change: NetworkChange) {
        let wait = Wait::Final {
            timeout_ms: FINAL_MS,
        };
        let id = self.voters[by].0;
        let mut proposal = None;
        for _ in 0..TRIES {
            let propose = NetworkPropose {
                caller: staff(id, Role::Operator),
                change: change.clone(),
                open_epochs: 10,
                wait,
            };
            let made = self.ask(by, |handle| handle.network_propose(propose)).await;
            if let Some(made) = made.filter(|made| made.finality.is_final()) {
                proposal = Some(made.entry);
                break;
            }
            self.pause(500).await;
        }
        let Some(proposal) = proposal else {
            return;
        };
        for member in 0..self.voters.len() {
            for _ in 0..TRIES {
                let vote = NetworkVote {
                    caller: staff(self.voters[member].0, Role::Operator),
                    proposal,
                    approve: true,
                    wait,
                };
                let cast = self.ask(member, |handle| handle.network_vote(vote)).await;
                if cast.is_some_and(|cast| cast.finality.is_final()) {
                    break;
                }
                self.pause(500).await;
            }
        }
    }
}
