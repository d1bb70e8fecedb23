//! One validator: durability, restarts, pacing, receipts.

use std::collections::BTreeSet;
use std::time::Duration;

use codec::EntryId;
use commonware_runtime::{Clock, Runner, Spawner, Supervisor, deterministic};
use consensus::{Halt, ReadError, SubmitError};
use ledger::receipt::{self, Receipt};
use ledger::{BrokenLink, StateKey};
use store::Store;
use store_sim::SimStore;

use crate::cluster::{Cluster, Context, Node, millis};
use crate::fixture::Fixture;
use crate::memory::Memory;

async fn disk(context: &Context) -> SimStore<Context> {
    let store = context.child("store");
    SimStore::open(store, "ledger").await.unwrap()
}

async fn lone<S: Store>(context: &Context, store: &S) -> (Cluster, Node<S>) {
    let cluster = Cluster::new(context, Fixture::new(1, 1, 20)).await;
    let node = cluster.start(0, store).await;
    (cluster, node)
}

#[test]
fn a_restart_loses_and_doubles_nothing() {
    let mut acknowledged: Vec<EntryId> = Vec::new();
    let mut checkpoint = None;
    for life in 0..4_u64 {
        let runner = match checkpoint.take() {
            None => deterministic::Runner::seeded(7),
            Some(checkpoint) => deterministic::Runner::from(checkpoint),
        };
        let acknowledged_before = acknowledged.clone();
        // The runtime's storage loses what was not synced, under the engine and under the store.
        let (ids, recovered) = runner.start_and_recover(|context| async move {
            let (cluster, node) = lone(&context, &disk(&context).await).await;
            for id in &acknowledged_before {
                assert!(node.ledger.entry_position(id).await.unwrap().is_some());
            }
            let mut ids = Vec::new();
            for number in 0..12 {
                let entry = cluster.fixture.entry(0, life * 100 + number);
                let id = node.submit(&entry).await;
                // Some are still pending when the node dies, some are half way.
                if number < 9 {
                    node.wait_for(&id, &context).await;
                    ids.push(id);
                }
            }
            context.sleep(Duration::from_millis(life)).await;
            ids
        });
        checkpoint = Some(recovered);
        acknowledged.extend(ids);
    }
    let runner = deterministic::Runner::from(checkpoint.unwrap());
    runner.start(|context| async move {
        let (_, node) = lone(&context, &disk(&context).await).await;
        let mut seen = BTreeSet::new();
        for height in 0..=node.ledger.tip().height {
            let finalised = node.ledger.finalised(height).await.unwrap().unwrap();
            for (id, index) in finalised.entries {
                assert!(seen.insert(id), "doubled");
                let position = node.ledger.entry_position(&id).await.unwrap().unwrap();
                assert_eq!((position.height, position.log_index), (height, index));
            }
        }
        assert!(acknowledged.iter().all(|id| seen.contains(id)), "lost");
        assert_eq!(acknowledged.len(), 36);
        let audit = node.ledger.audit().await.unwrap();
        assert_eq!(
            audit.leaves,
            audit.blocks + u64::try_from(seen.len()).unwrap()
        );
    });
}

#[test]
fn an_entry_is_final_at_once_and_an_idle_chain_is_slow() {
    deterministic::Runner::seeded(3).start(|context| async move {
        let (cluster, node) = lone(&context, &Memory::default()).await;
        context.sleep(Duration::from_secs(61)).await;
        let idle = node.ledger.tip().height;
        assert!((5..=7).contains(&idle), "{idle} empty blocks in a minute");
        let before = millis(&context);
        let id = node.submit(&cluster.fixture.entry(0, 1)).await;
        let position = node.wait_for(&id, &context).await;
        assert_eq!(position.height, idle + 1);
        // Simulated time moves on a millisecond with every step of the scheduler.
        let proposed = node.ledger.tip().time_ms - before;
        assert!(proposed < 10, "proposed after {proposed} ms");
        let took = millis(&context) - before;
        assert!(took < 30, "final after {took} ms");
    });
}

#[test]
fn submissions_are_idempotent_and_checked() {
    deterministic::Runner::seeded(4).start(|context| async move {
        let (cluster, node) = lone(&context, &Memory::default()).await;
        let entry = cluster.fixture.entry(0, 1);
        let id = node.submit(&entry).await;
        assert_eq!(node.submit(&entry).await, id);
        assert_eq!(node.ledger.pending().0, 1);
        node.wait_for(&id, &context).await;
        assert_eq!(node.ledger.pending(), (0, 0));
        assert_eq!(
            node.ledger.submit(entry.clone()).await,
            Err(SubmitError::Duplicate(id))
        );
        let mut broken = cluster.fixture.entry(0, 2).to_vec();
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(
            node.ledger.submit(broken.into()).await,
            Err(SubmitError::Refused(_))
        ));
        let stranger = Fixture::new(2, 1, 20);
        assert!(matches!(
            node.ledger.submit(stranger.entry(1, 5)).await,
            Err(SubmitError::Refused(_))
        ));
        assert!(matches!(
            node.ledger.submit(vec![1, 2, 3].into()).await,
            Err(SubmitError::Malformed(_))
        ));
        let height = node.ledger.tip().height;
        let expired = cluster.fixture.entry_until(0, 3, height);
        assert!(matches!(
            node.ledger.submit(expired).await,
            Err(SubmitError::Refused(ledger::Refusal::Expired { .. }))
        ));
    });
}

#[test]
fn receipts_verify_offline_across_epochs() {
    deterministic::Runner::seeded(5).start(|context| async move {
        let (cluster, node) = lone(&context, &Memory::default()).await;
        let genesis = &cluster.fixture.genesis;
        let (tree, entry) = cluster.fixture.batch(0, 1);
        let id = node.submit(&entry).await;
        let position = node.wait_for(&id, &context).await;
        let check = node.ledger.certificates();
        for height in [position.height, 25, 65] {
            for number in 100..200 {
                if node.ledger.tip().height >= height {
                    break;
                }
                let id = node
                    .submit(&cluster.fixture.entry(0, height * 1_000 + number))
                    .await;
                node.wait_for(&id, &context).await;
            }
            let logged = node.ledger.logged_entry(position.log_index).await.unwrap();
            let commitment = Fixture::commitment(1);
            let proved = Receipt {
                leaves: Vec::new(),
                commitment,
                batch: tree.path(&commitment).unwrap(),
                logged,
            };
            let verified = receipt::verify(&proved, genesis, &check, None).unwrap();
            assert_eq!(verified.height, position.height);
            assert_eq!(verified.entry, id);
            let mut forged = proved.clone();
            *forged.logged.finality.certificate.last_mut().unwrap() ^= 1;
            assert_eq!(
                receipt::verify(&forged, genesis, &check, None),
                Err(BrokenLink::Certificate)
            );
            let mut short = proved.clone();
            if short.logged.finality.boundaries.pop().is_some() {
                assert!(matches!(
                    receipt::verify(&short, genesis, &check, None),
                    Err(BrokenLink::Boundary(_))
                ));
            }
        }
        let proof = node.ledger.ledger_proof(position.log_index).await.unwrap();
        let header = proof.finality.header().unwrap();
        assert!(ledger::log::verify_inclusion(
            &ledger::log::leaf_hash(&proof.entry),
            proof.log_index,
            header.log_size,
            &proof.log_path,
            &header.log_root,
        ));
        let proved = node
            .ledger
            .state_proof(&StateKey::Parameters)
            .await
            .unwrap();
        let anchor = ledger::Anchor::genesis(genesis);
        let header = proved.finality.verify(&anchor, &check).unwrap();
        proved
            .proof
            .verify(
                &header.state_root,
                &StateKey::Parameters,
                proved.value.as_deref(),
            )
            .unwrap();
        assert_eq!(
            node.ledger.ledger_proof(1_000_000).await,
            Err(ReadError::NotFinal)
        );
    });
}

#[test]
fn a_node_that_stops_says_so_to_all_who_wait() {
    deterministic::Runner::seeded(5).start(|context| async move {
        let (cluster, node) = lone(&context, &Memory::default()).await;
        let id = node.submit(&cluster.fixture.entry(0, 1)).await;
        node.wait_for(&id, &context).await;
        let mut blocks = node.ledger.subscribe();
        node.ledger.stop();
        assert_eq!(node.ledger.stopped().await, Halt::Shutdown);
        while blocks.recv().await.is_some() {}
        let late = node.ledger.submit(cluster.fixture.entry(0, 2)).await;
        assert_eq!(late, Err(SubmitError::Stopped(Halt::Shutdown)));
        // The first cause stays the cause.
        let ledger = node.ledger.clone();
        node.crash().await;
        assert_eq!(ledger.halted(), Some(Halt::Shutdown));
    });
}

#[test]
fn a_full_disk_stops_the_node_and_a_restart_goes_on() {
    let store = Memory::default();
    let disk = store.clone();
    let (lost, checkpoint) =
        deterministic::Runner::seeded(6).start_and_recover(|context| async move {
            let (cluster, node) = lone(&context, &disk).await;
            let id = node.submit(&cluster.fixture.entry(0, 1)).await;
            node.wait_for(&id, &context).await;
            disk.fail_after(0);
            let lost = node.submit(&cluster.fixture.entry(0, 2)).await;
            let why = node.ledger.stopped().await;
            assert!(why.to_string().contains("did not take"), "{why}");
            assert!(node.ledger.entry_position(&lost).await.unwrap().is_none());
            assert!(matches!(
                node.ledger.submit(cluster.fixture.entry(0, 3)).await,
                Err(SubmitError::Stopped(_))
            ));
            lost
        });
    store.repair();
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let (cluster, node) = lone(&context, &store).await;
        // The engine had finalised it; now the store takes it.
        node.wait_for(&lost, &context).await;
        let id = node.submit(&cluster.fixture.entry(0, 4)).await;
        node.wait_for(&id, &context).await;
        node.ledger.audit().await.unwrap();
    });
}

#[test]
fn a_lost_store_is_rebuilt_from_the_engines_blocks() {
    let before = Memory::default();
    let disk = before.clone();
    let (ids, checkpoint) =
        deterministic::Runner::seeded(8).start_and_recover(|context| async move {
            let (cluster, node) = lone(&context, &disk).await;
            let mut ids = Vec::new();
            for number in 0..45 {
                let id = node.submit(&cluster.fixture.entry(0, number)).await;
                node.wait_for(&id, &context).await;
                ids.push(id);
            }
            ids
        });
    let after = Memory::default();
    let rebuilt = after.clone();
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let (_, node) = lone(&context, &rebuilt).await;
        for id in &ids {
            node.wait_for(id, &context).await;
        }
    });
    let after = after.rows();
    for (key, value) in before.rows() {
        if !["ledger-tip", "ledger-tiles"].contains(&key.0.name()) {
            assert_eq!(after.get(&key), Some(&value), "{:?}", key.0);
        }
    }
}

#[test]
fn an_audit_finds_a_flipped_bit() {
    deterministic::Runner::seeded(9).start(|context| async move {
        for table in ["ledger-entries", "ledger-headers", "ledger-tiles"] {
            let store = Memory::default();
            let cluster = Cluster::new(&context, Fixture::new(1, 1, 20)).await;
            let node = cluster.start(0, &store).await;
            let id = node.submit(&cluster.fixture.entry(0, 1)).await;
            node.wait_for(&id, &context).await;
            node.ledger.audit().await.unwrap();
            let table = consensus::TABLES
                .into_iter()
                .find(|known| known.name() == table)
                .unwrap();
            store.flip(table);
            assert!(node.ledger.audit().await.is_err(), "{table}");
            node.crash().await;
            context.child("between").spawn(|_| async {}).await.unwrap();
        }
    });
}
