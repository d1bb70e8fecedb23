//! Two machines under one key. Each member hears the one, the other or both, and the sides change: both
//! propose in their turn and vote as they see fit, so that they contradict each other before those who
//! hear both.

use std::time::Duration;

use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _};

use sim_world::air::Weather;
use sim_world::dice::Dice;
use sim_world::machine::Body;
use sim_world::world::World;

pub(super) async fn start(world: &mut World, member: usize, mut dice: Dice) {
    let first = world.members[member].place;
    let second = world.air.place(&world.members[member].key);
    let others: Vec<usize> = (0..world.members.len())
        .filter(|at| *at != member)
        .map(|at| world.members[at].place)
        .collect();
    for place in [first, second] {
        let end = world.end(place);
        let machine = world.machine(&Body::default());
        let started = world
            .validators(member)
            .start(machine, end, Box::new(|honest| honest));
        assert!(started.await.is_some(), "the attacker did not start");
    }
    let (air, context) = (world.air.clone(), world.context.child("equivocator"));
    context.child("sides").spawn(move |context| async move {
        loop {
            for other in &others {
                let hears = dice.below(3);
                for (twin, is_heard) in [(first, hears != 0), (second, hears != 1)] {
                    let weather = if is_heard {
                        Weather::FAIR
                    } else {
                        Weather::CUT
                    };
                    air.set(*other, twin, weather);
                    air.set(twin, *other, weather);
                }
            }
            let lasts = dice.between(1_000, 6_000);
            context.sleep(Duration::from_millis(lasts)).await;
        }
    });
}
