//! The engine alone: agreement across epochs without a ledger.

use std::sync::Arc;
use std::time::Duration;

use commonware_runtime::{Runner, Spawner, Supervisor, deterministic};
use consensus::engine::{self, Pacing, Settings};
use consensus::evidence::Faults;
use consensus::null::NullApplication;

use crate::cluster::{Cluster, millis};
use crate::fixture::Fixture;

#[test]
fn the_bare_engine_crosses_epochs() {
    deterministic::Runner::seeded(1).start(|context| async move {
        let cluster = Cluster::new(&context, Fixture::new(4, 4, 20)).await;
        let network = cluster.fixture.genesis.network_id();
        let mut passed = Vec::new();
        for index in 0..4 {
            let clock = context.child("clock");
            let application = NullApplication::new(
                network,
                cluster.fixture.genesis.validators.keys(),
                (3, 100),
                Arc::new(move || millis(&clock)),
            )
            .unwrap();
            passed.push(application.passed());
            let settings = Settings {
                network,
                seed: cluster.fixture.members[index].validator.clone(),
                epoch_blocks: 20,
                partition: format!("null-{index}"),
                pacing: Pacing {
                    idle_block: Duration::from_secs(10),
                    leader_timeout: Duration::from_secs(1),
                },
                faults: Faults::default(),
            };
            let links = cluster.network(index);
            let node = context.child("validator").with_attribute("index", index);
            node.spawn(move |context| async move {
                let engine = engine::start(context, links, Arc::new(application), settings)
                    .await
                    .unwrap();
                engine.task.await.unwrap();
            });
        }
        for passed in &mut passed {
            while passed.borrow_and_update().height < 50 {
                passed.changed().await.unwrap();
            }
            let passed = *passed.borrow();
            assert_eq!(passed.entries, passed.height * 3);
        }
        // Three hops of about 10 ms for each block.
        assert!(millis(&context) < 5_000, "{} ms", millis(&context));
    });
}
