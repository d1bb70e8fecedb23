//! Who controls a subject, and for how long: on every path, and when the consent that said so is erased.

use crate::world::{World, final_wait, guardian, key, phenopacket, run};
use node::break_glass::BreakGlassQuery;
use node::consent_change::{
    ConsentChange, ConsentPrepare, ConsentQuery, ConsentSubmit, SignedChange,
};
use node::disclosure::{DisclosureProofQuery, DisclosureQuery};
use node::erase::Erase;
use node::receipt::{LeafAsked, ReceiptLeaf, ReceiptQuery};
use node::record::{Content, Fetch, List, Payload, Submission};
use node::subject::{Keyholder, SubjectOpenPrepare, SubjectOpenSubmit, SubjectQuery, Wait};
use node::{
    Controller, ControllerRole, Error, Kind, Millis, Purpose, RecordId, Selection, SubjectId,
};

fn guardian_until(slot: u8, until: Millis) -> Controller {
    Controller {
        until: Some(until),
        ..guardian(slot)
    }
}

fn grown_up(slot: u8) -> Controller {
    Controller {
        role: ControllerRole::Subject,
        ..guardian(slot)
    }
}

/// A subject whose controllers hold the keys of their slots' numbers.
async fn family(
    world: &World,
    controllers: Vec<Controller>,
    matures: Option<Millis>,
) -> (SubjectId, RecordId) {
    let held = controllers.into_iter().map(|controller| Keyholder {
        key: key(controller.slot).public(),
        controller,
    });
    let prepare = SubjectOpenPrepare {
        caller: world.desk(),
        controllers: held.collect(),
        slot: 1,
        matures,
    };
    let bundle = world.handle().subject_open_prepare(prepare).await.unwrap();
    let submit = SubjectOpenSubmit {
        caller: world.desk(),
        signed: bundle.sign(&key(1)).unwrap(),
        wait: final_wait(),
    };
    let opened = world.handle().subject_open_submit(submit).await.unwrap();
    let record = world.deposit_final(opened.subject, "case-1").await;
    (opened.subject, record)
}

async fn signed(world: &World, subject: SubjectId, slot: u8) -> Result<SignedChange, Error> {
    let prepare = ConsentPrepare {
        caller: world.parent(subject, slot),
        subject,
        slot,
        changes: vec![ConsentChange::OptOut(Purpose::Hqualimp)],
    };
    let bundle = world.handle().consent_prepare(prepare).await?;
    Ok(bundle.sign(&key(slot)).unwrap())
}

async fn submitted(
    world: &World,
    subject: SubjectId,
    slot: u8,
    change: SignedChange,
) -> Result<(), Error> {
    let submit = ConsentSubmit {
        caller: world.parent(subject, slot),
        change,
        wait: Wait::Durable,
    };
    world.handle().consent_submit(submit).await.map(drop)
}

async fn erased(world: &World, subject: SubjectId, slot: u8) -> Result<(), Error> {
    let caller = world.parent(subject, slot);
    world
        .handle()
        .erase(Erase { caller, subject })
        .await
        .map(drop)
}

/// What is left of an erased subject, asked for by the controller in a slot.
async fn trail(
    world: &World,
    subject: SubjectId,
    slot: u8,
) -> Vec<(&'static str, Result<(), Error>)> {
    let handle = world.handle();
    let caller = || world.parent(subject, slot);
    let query = || SubjectQuery {
        caller: caller(),
        subject,
    };
    let list = DisclosureQuery {
        caller: caller(),
        subject,
        from: Millis::ZERO,
        until: Millis::new(u64::MAX),
    };
    let proof = DisclosureProofQuery {
        caller: caller(),
        subject,
        period: world.now().get() / 10_000,
    };
    let glass = BreakGlassQuery {
        caller: caller(),
        subject: Some(subject),
    };
    vec![
        ("status", handle.subject_status(query()).await.map(drop)),
        ("notices", handle.subject_notices(query()).await.map(drop)),
        ("disclosures", handle.disclosure_list(list).await.map(drop)),
        ("proof", handle.disclosure_proof(proof).await.map(drop)),
        ("sessions", handle.break_glass_list(glass).await.map(drop)),
    ]
}

/// Everything a controller does that can be done again.
async fn everything(
    world: &World,
    (subject, record): (SubjectId, RecordId),
    slot: u8,
) -> Vec<(&'static str, Result<(), Error>)> {
    let handle = world.handle();
    let caller = || world.parent(subject, slot);
    let mut asked = trail(world, subject, slot).await;
    let show = ConsentQuery {
        caller: caller(),
        subject,
    };
    asked.push(("consent", handle.consent_show(show).await.map(drop)));
    asked.push(("prepare", signed(world, subject, slot).await.map(drop)));
    let deposit = Submission {
        caller: caller(),
        subject,
        payload: Payload::Phenopacket(Content::new(phenopacket("diary"))),
        record: None,
        client_key: Some("diary".to_owned()),
        expect_version: None,
        provenance: Default::default(),
        wait: Wait::Durable,
    };
    asked.push(("deposit", handle.record_deposit(deposit).await.map(drop)));
    let list = List {
        caller: caller(),
        purpose: Purpose::Patrqt,
        study: None,
        subject,
        record: None,
    };
    asked.push(("list", handle.record_list(list).await.map(drop)));
    let fetch = Fetch {
        caller: caller(),
        purpose: Purpose::Patrqt,
        subject,
        selection: Selection::everything(),
        study: None,
        partial: false,
        version: None,
    };
    asked.push(("fetch", handle.record_fetch(fetch).await.map(drop)));
    let opened = LeafAsked {
        leaf: ReceiptLeaf::Stored,
        purpose: Purpose::Patrqt,
    };
    for (what, leaf) in [("receipt", None), ("receipt with a leaf", Some(opened))] {
        let query = ReceiptQuery {
            caller: caller(),
            subject,
            record,
            version: None,
            leaf,
        };
        asked.push((what, handle.receipt(query).await.map(drop)));
    }
    asked
}

fn all_granted(asked: Vec<(&'static str, Result<(), Error>)>) {
    for (what, answer) in asked {
        assert_eq!(answer, Ok(()), "{what}");
    }
}

fn all_refused(asked: Vec<(&'static str, Result<(), Error>)>) {
    for (what, answer) in asked {
        let Err(error) = answer else {
            panic!("{what} was granted");
        };
        let kind = error.kind();
        assert!(
            matches!(kind, Kind::Forbidden | Kind::Denied),
            "{what}: {kind:?}"
        );
    }
}

#[test]
fn a_token_is_worth_nothing_once_control_has_ended() {
    run(110, |context| async move {
        let world = World::new(context).await;
        let from = world.now();
        let ends = from.saturating_add(100_000);
        let controllers = vec![guardian(1), guardian_until(2, ends), grown_up(3)];
        let matures = Some(from.saturating_add(200_000));
        let of = family(&world, controllers, matures).await;
        let subject = of.0;
        for slot in [1, 2, 3] {
            all_granted(everything(&world, of, slot).await);
        }
        all_refused(everything(&world, of, 0).await);

        world.sleep_ms(101_000).await;
        all_refused(everything(&world, of, 2).await);
        assert_eq!(erased(&world, subject, 2).await, Err(Error::ControlEnded));
        // Nor does one carry what another signed.
        let change = signed(&world, subject, 1).await.unwrap();
        let carried = submitted(&world, subject, 2, change.clone()).await;
        assert_eq!(carried, Err(Error::ControlEnded));
        for slot in [1, 3] {
            all_granted(everything(&world, of, slot).await);
        }
        assert_eq!(submitted(&world, subject, 1, change).await, Ok(()));
        let late = signed(&world, subject, 1).await.unwrap();

        world.sleep_ms(100_000).await;
        all_refused(everything(&world, of, 1).await);
        assert_eq!(
            submitted(&world, subject, 1, late).await,
            Err(Error::ControlEnded)
        );
        assert_eq!(erased(&world, subject, 1).await, Err(Error::ControlEnded));
        all_granted(everything(&world, of, 3).await);
    });
}

#[test]
fn after_an_erasure_those_see_the_trail_who_would_control_still() {
    run(111, |context| async move {
        let mut world = World::new(context).await;
        let ends = world.now().saturating_add(150_000);
        let mut opening = world.opening(final_wait());
        opening.controllers = vec![guardian(1), guardian_until(2, ends), guardian(3)];
        let opened = world.handle().subject_open(opening).await.unwrap();
        let subject = opened.subject;
        all_granted(trail(&world, subject, 3).await);
        // Not final when the subject is erased: it binds all the same.
        let remove = ConsentChange::ControllerRemove { slot: 3 };
        world.consent(subject, remove, Wait::Durable).await.unwrap();
        let officer = || Erase {
            caller: world.officer(),
            subject,
        };
        world.handle().erase(officer()).await.unwrap();
        for slot in [1, 2] {
            all_granted(trail(&world, subject, slot).await);
            assert_eq!(erased(&world, subject, slot).await, Ok(()));
        }
        for slot in [0, 3] {
            all_refused(trail(&world, subject, slot).await);
            assert_eq!(
                erased(&world, subject, slot).await,
                Err(Error::ControlEnded)
            );
        }
        world.restart().await;
        world.sleep_ms(151_000).await;
        all_granted(trail(&world, subject, 1).await);
        for slot in [0, 2, 3] {
            all_refused(trail(&world, subject, slot).await);
            assert_eq!(
                erased(&world, subject, slot).await,
                Err(Error::ControlEnded)
            );
        }
        let handed = world.handle().erase(Erase {
            caller: world.officer(),
            subject,
        });
        assert!(handed.await.unwrap().already);
        let seen = crate::disclosures::trail(&world, world.parent(subject, 1), subject).await;
        assert_eq!(seen.last().unwrap().act.as_deref(), Some("handover"));
    });
}

#[test]
fn coming_of_age_ends_guardianship_over_an_erased_subject_too() {
    run(112, |context| async move {
        let world = World::new(context).await;
        let matures = world.now().saturating_add(100_000);
        let controllers = vec![guardian(1), grown_up(2)];
        let (subject, _) = family(&world, controllers, Some(matures)).await;
        erased(&world, subject, 1).await.unwrap();
        all_granted(trail(&world, subject, 1).await);
        world.sleep_ms(101_000).await;
        all_refused(trail(&world, subject, 1).await);
        assert_eq!(erased(&world, subject, 1).await, Err(Error::ControlEnded));
        all_granted(trail(&world, subject, 2).await);
        assert_eq!(erased(&world, subject, 2).await, Ok(()));
    });
}
