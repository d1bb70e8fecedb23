//! The engine by itself: made-up entries, no state, nothing durable beyond the engine's own storage.

use super::super::table::Measured;
use super::site::{World, runner};
use anyhow::{Context, Result, anyhow};
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, tokio as runtime};
use consensus::{
    engine::{self, Pacing, Settings},
    evidence::Faults,
    null::{NullApplication, Passed},
};
use futures::channel::oneshot;
use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

/// Bytes of a made-up entry; a signed record batch has about as many.
const ENTRY_BYTES: usize = 200;

/// Blocks of one entry, each made as soon as the engine lets it.
pub(super) struct Blocks {
    /// From one to the next.
    pub(super) apart: Measured,
    /// From its making to its finality at another validator's.
    pub(super) finality: Measured,
}

/// So many blocks of a network's validators, each on a runtime of its own, as the first one sees them.
pub(super) fn blocks(world: &World, folder: &Path, count: usize) -> Result<Blocks> {
    let validators = world.genesis.validators.keys().len();
    thread::scope(|scope| {
        let mut stops = Vec::new();
        for index in 1..validators {
            let (stop, stopped) = oneshot::channel::<()>();
            stops.push(stop);
            scope.spawn(move || {
                let home = folder.join(index.to_string());
                run(world, index, &home, async |_| {
                    stopped.await.ok();
                    Ok(())
                })
            });
        }
        let watched = run(world, 0, &folder.join("0"), async |passed| {
            watch(passed, count).await
        });
        drop(stops);
        watched
    })
}

fn run<T: Send>(
    world: &World,
    index: usize,
    home: &Path,
    watch: impl AsyncFnOnce(&NullApplication) -> Result<T>,
) -> Result<T> {
    let network = world.network(index)?;
    let id = world.genesis.network_id();
    let settings = Settings {
        network: id,
        seed: world.seeds.get(index).context("a seed")?.clone(),
        epoch_blocks: world.genesis.parameters.epoch_blocks,
        partition: "bench".to_owned(),
        pacing: Pacing {
            idle_block: Duration::from_secs(10),
            leader_timeout: Duration::from_secs(1),
        },
        faults: Faults::default(),
    };
    runner(home).start(|context| async move {
        let clock = context.child("clock");
        let validators = world.genesis.validators.keys();
        let application = NullApplication::new(
            id,
            validators,
            (1, ENTRY_BYTES),
            Arc::new(move || micros(&clock)),
        )
        .context("a block of one entry")?;
        let application = Arc::new(application);
        let _engine = engine::start(
            context.child("engine"),
            network,
            application.clone(),
            settings,
        )
        .await
        .map_err(|e| anyhow!("the engine: {e}"))?;
        watch(&application).await
    })
}

/// Milliseconds would be coarse beside what is measured, and the engine does not mind the unit.
fn micros(context: &runtime::Context) -> u64 {
    let since = context
        .current()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

async fn watch(application: &NullApplication, count: usize) -> Result<Blocks> {
    let mut passed = application.passed();
    let (mut apart, mut finality) = (Vec::new(), Vec::new());
    passed.changed().await?;
    let (from, mut last) = (Instant::now(), Instant::now());
    let mut height = passed.borrow_and_update().height;
    while apart.len() < count {
        passed.changed().await?;
        let now: Passed = *passed.borrow_and_update();
        let blocks = now.height - height;
        // Blocks that were final before this task ran share the time between them.
        let each = last.elapsed().as_secs_f64() * 1e3 / f64::from(u32::try_from(blocks)?.max(1));
        apart.extend((0..blocks).map(|_| each));
        let took = Duration::from_micros(now.finalised_ms.saturating_sub(now.time_ms));
        finality.push(took.as_secs_f64() * 1e3);
        (last, height) = (Instant::now(), now.height);
    }
    let elapsed = from.elapsed();
    Ok(Blocks {
        apart: Measured::new("the bare engine, block to block", apart, elapsed),
        finality: Measured::new("the bare engine, made to final", finality, elapsed),
    })
}
