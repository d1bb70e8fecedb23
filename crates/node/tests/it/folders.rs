//! Data folders on a real disk: founding, opening, backup and restore.

use crate::world::{PASSPHRASE, World, config, founding, parameters};
use commonware_runtime::Supervisor;
use commonware_runtime::{Runner as _, deterministic};
use consensus::network::Lookup;
use keys::PasswordParams;
use node::backup::{Backup, Restore};
use node::institution::{self, InstitutionError, Layout};
use node::record::{Content, Fetch};
use node::{Ambient, Caller, Category, Kind, Node, Purpose, Role, Selection, SubjectId};
use std::collections::BTreeSet;
use std::path::Path;
use store_sim::SimStore;

fn ambient<T>(seed: u64, work: impl FnOnce(&Ambient) -> T) -> T {
    deterministic::Runner::new(config(seed)).start(|context| async move {
        let ambient = Ambient::of(&context);
        work(&ambient)
    })
}

const FAST: PasswordParams = PasswordParams::INSECURE_FAST;

#[test]
fn a_folder_is_founded_once_and_opens_with_its_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ithaca");
    ambient(100, |ambient| {
        let create = || {
            let founding = founding("Hospital of Ithaca");
            institution::create(&root, &founding, parameters(), PASSPHRASE, FAST, ambient)
        };
        let card = create().unwrap();
        assert!(matches!(create(), Err(InstitutionError::Exists(_))));
        let opened = institution::open(&root, PASSPHRASE).unwrap();
        assert_eq!(opened.institution, card.institution.id);
        assert_eq!(opened.genesis.institutions[0], card.institution);
        drop(opened);
        assert!(institution::open(&root, b"wrong").is_err());
        let bytes = std::fs::read(Layout::of(&root).genesis()).unwrap();
        node::verify::genesis(&bytes).unwrap();
    });
}

#[test]
fn several_institutions_found_a_network_by_their_cards() {
    let folder = tempfile::tempdir().unwrap();
    ambient(101, |ambient| {
        let prepare = |name: &str| {
            let root = folder.path().join(name);
            institution::prepare(&root, &founding(name), true, PASSPHRASE, FAST, ambient).unwrap()
        };
        let cards = [
            prepare("ithaca"),
            prepare("pylos"),
            prepare("sparta"),
            prepare("scheria"),
        ];
        let genesis = institution::found(&cards, parameters(), ambient).unwrap();
        let bytes = codec::to_vec(&genesis);
        for name in ["ithaca", "pylos", "sparta", "scheria"] {
            let root = folder.path().join(name);
            assert_eq!(
                institution::adopt(&root, &bytes).unwrap(),
                genesis.network_id()
            );
            let opened = institution::open(&root, PASSPHRASE).unwrap();
            assert!(
                genesis
                    .institution(&opened.institution)
                    .is_some_and(|i| i.name == name)
            );
        }
        let mut forged = cards.clone();
        forged[1].institution.name = "another".to_owned();
        let error = institution::found(&forged, parameters(), ambient).unwrap_err();
        assert!(matches!(error, InstitutionError::Card(_)));
    });
}

#[test]
fn a_restored_institution_that_is_alone_cares_for_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("backup");
    crate::world::run(102, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        world.sleep_ms(20_000).await;
        let request = |role| Backup {
            caller: world.staff("operator-1", role),
            directory: directory.clone(),
            passphrase: Content::new(b"another passphrase".to_vec()),
            params: FAST,
            expires: world.now().saturating_add(3_600_000),
        };
        assert!(world.handle().backup(request(Role::Desk)).await.is_err());
        let made = world
            .handle()
            .backup(request(Role::Operator))
            .await
            .unwrap();
        assert!(made.rows > 10 && made.height > 0);
        // What comes after the backup is on the ledger only.
        let changed = node::consent_change::ConsentChange::Restrict(true);
        world
            .consent(subject, changed, crate::world::final_wait())
            .await
            .unwrap();

        let wrong = Restore::open(&directory, b"wrong", &world.ambient());
        assert!(wrong.is_err());
        restored_alone(&world, &directory, subject).await;
    });
}

/// Where the institution alone validates, nobody has the ledger any more: the key that validates is not
/// in a backup. Own care goes on, marked stale; nothing is shared; emergencies are served.
async fn restored_alone(world: &World, directory: &Path, subject: SubjectId) {
    let node = restored(world, directory, "alone").await;
    let handle = node.handle();
    world.sleep_ms(70_000).await;
    let own = fetch(world.clinician(), subject, Purpose::Treat);
    let fetched = handle.record_fetch(own).await.unwrap();
    assert!(fetched.permit.stale && fetched.records.len() == 1);
    let other = fetch(crate::world::specialist(), subject, Purpose::Treat);
    assert_eq!(
        handle.record_fetch(other).await.unwrap_err().kind(),
        Kind::Denied
    );
    let status = handle
        .status(world.staff("operator-1", Role::Operator))
        .await
        .unwrap();
    assert!(status.restored && !status.validator, "{status:?}");
    assert!(
        status.warnings.iter().any(|w| w.contains("1 subjects")),
        "{status:?}"
    );
    let opened = handle.break_glass_open(node::break_glass::BreakGlassOpen {
        caller: world.emergency(),
        subject,
        reason: node::Reason::new("seizing").unwrap(),
        minutes: 10,
    });
    opened.await.unwrap();
    let emergency = fetch(world.emergency(), subject, Purpose::Btg);
    assert_eq!(
        handle.record_fetch(emergency).await.unwrap().records.len(),
        1
    );
    node.stop().await;
}

fn fetch(caller: Caller, subject: SubjectId, purpose: Purpose) -> Fetch {
    Fetch {
        caller,
        purpose,
        subject,
        selection: Selection::all([Category::Phenotype]),
        study: None,
        partial: false,
        version: None,
    }
}

/// A node from the backup.
async fn restored(world: &World, directory: &Path, name: &'static str) -> Node {
    let ambient = world.ambient();
    let restore = Restore::open(directory, b"another passphrase", &ambient).unwrap();
    assert_eq!(restore.institution(), world.id);
    let context = world.context.child("restoring");
    let rows = restore.rows().unwrap();
    let summary = SimStore::import(context, name, rows).await.unwrap();
    assert_eq!((summary.rows, summary.digest), restore.expected());
    let target = directory.parent().unwrap().join(name);
    let genesis = codec::to_vec(&world.genesis);
    restore
        .finish(
            &target,
            &genesis,
            PASSPHRASE,
            FAST,
            &BTreeSet::new(),
            &ambient,
        )
        .unwrap();
    let opened = institution::open(&target, PASSPHRASE).unwrap();
    assert_eq!(opened.institution, world.id);
    let (old, new) = (world.keychain().identity(), opened.keychain.identity());
    assert_eq!(old.signing_seed.expose(), new.signing_seed.expose());
    assert_ne!(old.validator_seed.expose(), new.validator_seed.expose());

    let store = SimStore::open(world.context.child("imported"), name)
        .await
        .unwrap();
    let mut config = world.node_config();
    config.partition = name.to_owned();
    let network = Lookup::new(&new.validator_seed, config.listen, Vec::new()).unwrap();
    let context = world.context.child(name);
    Node::start_over(context, config, network, store, opened.keychain)
        .await
        .unwrap()
}
