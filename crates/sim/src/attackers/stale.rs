//! Comes back with a disk of before, without its voting journal's last pages: it votes again where it has
//! voted, and says again what is long settled.

use std::time::Duration;

use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _};

use sim_world::dice::Dice;
use sim_world::machine::{Body, Machine};
use sim_world::world::World;

pub(super) async fn start(world: &mut World, member: usize, mut dice: Dice) {
    let place = world.members[member].place;
    let validators = world.validators(member);
    let end = world.end(place);
    let air = world.air.clone();
    let outer = world.context.child("stale");
    outer.child("life").spawn(move |context| async move {
        let mut disk = Body::default().disk;
        for life in 0_u64.. {
            let old = disk.copy();
            let body = Body::with_disk(disk.clone());
            let lived = context.child("body").with_attribute("life", life);
            let machine = Machine::new(lived, &body);
            // Now and then it sees itself that its disk is old, and does not start.
            let honest = Box::new(|honest| honest);
            let task = validators.start(machine, end.clone(), honest).await;
            let lasts = dice.between(3_000, 12_000);
            context.sleep(Duration::from_millis(lasts)).await;
            if let Some(task) = task {
                task.abort();
                let _ = task.await;
            }
            air.silence(place);
            // Two times of three the last life never happened.
            disk = if dice.below(3) == 0 { disk.copy() } else { old };
        }
    });
}
