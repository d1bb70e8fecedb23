//! Proposes blocks that break one rule each, and votes for whatever it is shown.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use codec::Digest;
use commonware_cryptography::Digested;
use consensus::Halt;
use consensus::application::{Ancestors, Application};
use consensus::block::{Block, entries_root};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use sim_world::dice::Dice;
use sim_world::world::{Between, World};

pub(super) async fn start(world: &mut World, member: usize, dice: Dice) {
    let (body, place) = (
        world.members[member].body.clone(),
        world.members[member].place,
    );
    let end = world.end(place);
    let machine = world.machine(&body);
    let between: Between = Box::new(move |honest| {
        Arc::new(Liar {
            honest,
            dice: Mutex::new(dice),
        })
    });
    let started = world.validators(member).start(machine, end, between);
    assert!(started.await.is_some(), "the attacker did not start");
}

struct Liar {
    honest: Arc<dyn Application>,
    dice: Mutex<Dice>,
}

const LIE: Digest = Digest::new([0x66; 32]);

impl Liar {
    /// The block with one thing wrong; sometimes none, so that it stays in the game.
    fn twist(&self, block: Block) -> Block {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut header = block.header().clone();
        let mut entries = block.entries().to_vec();
        match dice.below(10) {
            0 => header.state_root = LIE,
            1 => header.log_root = LIE,
            2 => header.time_ms = header.time_ms.saturating_sub(3_600_000),
            3 => header.time_ms = header.time_ms.saturating_add(3_600_000),
            4 => header.log_size = header.log_size.saturating_add(1),
            5 => header.next_validators = Some(LIE),
            6 => entries.extend(entries.clone()),
            7 => {
                // An entry that nobody signed so.
                if let Some(last) = entries.last_mut() {
                    let mut bytes = last.to_vec();
                    if let Some(byte) = bytes.last_mut() {
                        *byte ^= 1;
                    }
                    *last = Bytes::from(bytes);
                }
            }
            8 => entries.push(Bytes::from_static(b"no entry at all")),
            _ => return block,
        }
        header.entries_root = entries_root(&entries);
        Block::new(header, entries).unwrap_or(block)
    }
}

impl Application for Liar {
    fn genesis(&self) -> Arc<Block> {
        self.honest.genesis()
    }

    fn applied_height(&self) -> u64 {
        self.honest.applied_height()
    }

    fn validators(&self, epoch: u64) -> Option<Vec<keys::PublicKey>> {
        self.honest.validators(epoch)
    }

    fn propose(&self, ancestors: Ancestors) -> BoxFuture<'_, Option<Block>> {
        async move { Some(self.twist(self.honest.propose(ancestors).await?)) }.boxed()
    }

    fn verify(&self, _: Ancestors) -> BoxFuture<'_, bool> {
        async { true }.boxed()
    }

    fn finalise(
        &self,
        block: Digested<Block>,
        certificate: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), Halt>> {
        self.honest.finalise(block, certificate)
    }

    fn certified(&self, height: u64, certificate: Bytes) -> BoxFuture<'_, Result<(), Halt>> {
        self.honest.certified(height, certificate)
    }

    fn halted(&self, why: &Halt) {
        self.honest.halted(why);
    }

    fn is_stopping(&self) -> bool {
        self.honest.is_stopping()
    }
}
