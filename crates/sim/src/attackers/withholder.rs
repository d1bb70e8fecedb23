//! Votes, and keeps to itself what it should hand out: blocks and answers go to nobody, or to one member
//! only; sometimes its votes do.

use std::sync::Arc;

use consensus::network::Channel;

use sim_world::dice::Dice;
use sim_world::world::World;

pub(super) async fn start(world: &mut World, member: usize, mut dice: Dice) {
    let (body, place) = (
        world.members[member].body.clone(),
        world.members[member].place,
    );
    let honest = world.honest();
    let favourite = dice
        .one_in(2)
        .then(|| world.members[dice.pick(&honest)].place);
    let also_votes = dice.one_in(3);
    let end = world.end(place).letting_out(Arc::new(move |channel, to| {
        let withheld = match channel {
            Channel::Blocks | Channel::Backfill | Channel::Resolver | Channel::Gossip => true,
            Channel::Votes | Channel::Certificates => also_votes,
        };
        !withheld || favourite == Some(to)
    }));
    let machine = world.machine(&body);
    let started = world
        .validators(member)
        .start(machine, end, Box::new(|honest| honest));
    assert!(started.await.is_some(), "the attacker did not start");
}
