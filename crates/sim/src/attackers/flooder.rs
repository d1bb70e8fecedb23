//! Takes no part: sends noise, and what it heard before, on every channel to everybody.

use std::collections::VecDeque;
use std::time::Duration;

use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Clock as _, IoBuf, Spawner as _, Supervisor as _};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use consensus::network::Channel;
use sim_world::air::{Ear, Mouth, engine_key};
use sim_world::dice::Dice;
use sim_world::world::World;

/// Messages remembered, to be said again.
const REMEMBERED: usize = 64;

/// Bytes of the longest noise.
const NOISE: usize = 20_000;

pub(super) fn start(world: &World, member: usize, mut dice: Dice) {
    let end = world.end(world.members[member].place);
    let (mut mouths, ears) = end.clone().raw();
    end.acquaint(world.members.iter().map(|member| engine_key(&member.key)));
    let (heard, mut memory) = futures::channel::mpsc::channel(REMEMBERED);
    let context = world.context.child("flooder");
    context.child("hears").spawn(move |_| async move {
        let mut listening: FuturesUnordered<_> = ears.into_iter().map(listen).collect();
        let mut heard = heard;
        while let Some((message, ear)) = listening.next().await {
            // What does not fit is forgotten.
            let _ = heard.try_send(message);
            listening.push(listen(ear));
        }
    });
    context.child("says").spawn(move |context| async move {
        let mut said = VecDeque::new();
        // Whoever talks nonsense on a channel of votes is shut out: some keep to the others.
        match dice.below(3) {
            0 => mouths.retain(|(channel, _)| *channel == Channel::Gossip),
            1 => mouths.retain(|(channel, _)| matches!(channel, Channel::Gossip | Channel::Blocks)),
            _ => {}
        }
        loop {
            let pause = dice.between(1, 12);
            context.sleep(Duration::from_millis(pause)).await;
            while let Ok(message) = memory.try_recv() {
                said.push_back(message);
                if said.len() > REMEMBERED {
                    said.pop_front();
                }
            }
            let at = dice.below(mouths.len());
            let mouth: &mut Mouth = &mut mouths[at].1;
            let message = if dice.one_in(2) && !said.is_empty() {
                let again: &IoBuf = &said[dice.below(said.len())];
                let mut bytes = again.as_ref().to_vec();
                if dice.one_in(2) && !bytes.is_empty() {
                    let at = dice.below(bytes.len());
                    bytes[at] ^= 1 << dice.below(8);
                }
                bytes
            } else {
                let len = dice.below(NOISE);
                (0..len).map(|_| dice.next().to_le_bytes()[0]).collect()
            };
            mouth.send(Recipients::All, message, false);
        }
    });
}

async fn listen(mut ear: Ear) -> (IoBuf, Ear) {
    match ear.recv().await {
        Ok((_, message)) => (message, ear),
        Err(_) => futures::future::pending().await,
    }
}
