//! The simulator itself: its runs repeat, its attackers attack, and it finds what is wrong.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::panic::catch_unwind;
use std::time::{Duration, UNIX_EPOCH};

use commonware_runtime::{Runner as _, deterministic};
use sim::attackers::Attack;
use sim::check::greatest;
use sim::{LEAST_BLOCKS, LEAST_MS, Plan, Report, run_with};
use sim_world::dice::Dice;
use sim_world::world::World;

fn attacked(seed: u64, attack: Attack) -> Report {
    let plan = Plan {
        attack: Some(attack),
        ..Plan::default()
    };
    let report = run_with(seed, plan);
    assert!(report.lasted_ms >= LEAST_MS && report.history.height >= LEAST_BLOCKS);
    assert!(report.acknowledged > 50 && report.receipts > 20, "{report}");
    report
}

#[test]
fn the_seed_alone_makes_the_same_run() {
    let plan = Plan {
        attack: Some(Attack::Flooder),
        ..Plan::default()
    };
    let first = run_with(11, plan);
    assert_eq!(first, run_with(11, plan));
    assert_ne!(first.history, run_with(12, plan).history);
    assert!(first.crashes > 0 && first.acknowledged > 50, "{first}");
}

#[test]
fn validators_come_and_go() {
    let plan = Plan {
        churn: true,
        ..Plan::default()
    };
    let changes: u64 = (0..3).map(|seed| run_with(seed, plan).changes).sum();
    assert!(changes > 0);
}

#[test]
fn an_equivocator_leaves_evidence() {
    let evidence: u64 = (0..3)
        .map(|seed| attacked(seed, Attack::Equivocator).evidence)
        .sum();
    assert!(evidence > 0);
}

#[test]
fn a_liar_is_not_believed() {
    attacked(1, Attack::Liar);
}

#[test]
fn a_withholder_is_passed_over() {
    attacked(2, Attack::Withholder);
}

#[test]
fn a_flooder_does_not_stop_the_others() {
    attacked(3, Attack::Flooder);
}

#[test]
fn an_old_disk_changes_no_history() {
    attacked(4, Attack::StaleRejoiner);
}

/// Every clock was an hour ahead and is right after a restart: the ledger's time lies far ahead, and goes on.
#[test]
fn clocks_that_are_set_right_hold_nothing_up() {
    let config = deterministic::Config::new()
        .with_seed(7)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(1_750_000_000))
        .with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(|context| async {
        let mut world = World::found(context, false, Dice::new(7)).await;
        for member in 0..world.members.len() {
            world.start(member).await;
        }
        world.sleep_ms(5_000).await;
        let before = greatest(&world).await;
        assert!(before > 0);
        for member in 0..world.members.len() {
            world.crash(member).await;
            world.members[member].body.set_clock(-3_600_000);
        }
        for member in 0..world.members.len() {
            world.start(member).await;
        }
        world.sleep_ms(20_000).await;
        let after = greatest(&world).await;
        assert!(after > before + 10, "{before} blocks, then {after}");
    });
}

/// A simulation that cannot fail proves nothing.
#[test]
fn disks_that_lie_are_noticed() {
    let plan = Plan {
        disks_lie: true,
        ..Plan::default()
    };
    let noticed = (0..3).filter(|seed| {
        let seed = *seed;
        catch_unwind(move || run_with(seed, plan)).is_err()
    });
    assert_eq!(noticed.count(), 3);
}
