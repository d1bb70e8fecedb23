//! The queue of Patients that carry one identifier: it knows how many wait, whatever comes in between.

use crate::house::put_patient;
use crate::world::{World, run};
use node::erase::Erase;
use node::identity::{
    Identity, IdentityDecide, IdentityList, IdentityState, IdentityUndo, IdentityVerdict,
};
use std::collections::BTreeSet;

/// What waits; it is as many as is said.
async fn waiting(world: &World) -> Vec<Identity> {
    let listed = world.handle().identity_list(IdentityList {
        caller: world.desk(),
        decided: false,
        after: None,
        count: node::identity::PAGE_MAX,
    });
    let page = listed.await.unwrap();
    assert_eq!(page.next, None);
    assert_eq!(page.waiting, u64::try_from(page.items.len()).unwrap());
    page.items
}

async fn decide(world: &World, of: &Identity, verdict: IdentityVerdict) {
    let decide = IdentityDecide {
        caller: world.desk(),
        item: of.item,
        verdict,
    };
    let decided = world.handle().identity_decide(decide).await.unwrap();
    assert_ne!(decided.state, IdentityState::Open);
}

async fn undo(world: &World, of: &Identity) {
    let undo = IdentityUndo {
        caller: world.desk(),
        item: of.item,
    };
    world.handle().identity_undo(undo).await.unwrap();
}

#[test]
fn the_queue_knows_how_many_wait() {
    run(95, |context| async move {
        let mut world = World::new(context).await;
        assert_eq!(waiting(&world).await.len(), 0);
        let ids = ["one", "two", "three", "four"];
        // At once: each finds all who are there already.
        let put = ids.map(|id| {
            world
                .handle()
                .fhir_transact(put_patient(world.clinician(), id))
        });
        for done in futures::future::join_all(put).await {
            done.unwrap();
        }
        let all = waiting(&world).await;
        assert_eq!(all.len(), 6);
        let (first, second) = (&all[0], &all[1]);
        decide(&world, first, IdentityVerdict::Different).await;
        assert_eq!(waiting(&world).await.len(), 5);
        let merge = IdentityVerdict::Same {
            keep: second.patients[0].subject,
            note: "one child".parse().unwrap(),
        };
        decide(&world, second, merge).await;
        assert_eq!(waiting(&world).await.len(), 4);
        undo(&world, first).await;
        undo(&world, second).await;
        world.restart().await;
        assert_eq!(waiting(&world).await.len(), 6);
        // Whoever is erased waits for nothing, decided or not.
        decide(&world, first, IdentityVerdict::Different).await;
        let [erased, kept] = [&first.patients[0], &first.patients[1]];
        let erase = Erase {
            caller: world.officer(),
            subject: erased.subject,
        };
        world.handle().erase(erase).await.unwrap();
        let left = waiting(&world).await;
        assert_eq!(left.len(), 3);
        let subjects: BTreeSet<_> = left.iter().flat_map(|item| &item.patients).collect();
        assert!(subjects.contains(kept) && !subjects.contains(erased));
    });
}
