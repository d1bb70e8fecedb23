//! Checkpoints and cosignatures: members vouch for one view of the log, and refuse any other.

use codec::Digest;
use keys::SigningKey;
use ledger::log::signed::sign;
use ledger::log::{Checkpoint, NoteKey, SignedCheckpoint};
use node::publication::{LogBundle, LogTile};
use node::witness::{CheckpointCollect, CheckpointCosign};
use node::{Caller, Error, InstitutionId, Kind, Role};
use store::{Batch, Range, Store as _};
use vault::Keychain;

use crate::members::Network;
use crate::world::{PASSPHRASE, World, actor, run};

impl Network {
    fn signing(&self, index: usize) -> SigningKey {
        let custody = std::sync::Arc::new(self.members[index].custody.clone());
        let keychain = Keychain::open(custody, PASSPHRASE).unwrap();
        SigningKey::from_seed(keychain.identity().signing_seed)
    }

    async fn cosign(&self, index: usize, by: usize, note: &str) -> Result<String, Error> {
        let input = CheckpointCosign {
            caller: self.staff(by, Role::Operator),
            note: note.to_owned(),
        };
        self.handle(index).checkpoint_cosign(input).await
    }

    async fn collect(&self, index: usize, note: String) -> Result<(u64, usize), Error> {
        let input = CheckpointCollect {
            caller: self.staff(index, Role::Operator),
            note,
        };
        let collected = self.handle(index).checkpoint_collect(input).await?;
        Ok((collected.size, collected.cosigners.len()))
    }

    fn witness_keys(&self, index: usize) -> [NoteKey; 2] {
        let network = self.genesis.network_id();
        let institution = &self.members[index].card.institution;
        let governance = institution.governance.clone();
        [
            NoteKey::witness(&network, &institution.id, institution.signing),
            NoteKey::pq_witness(&network, &institution.id, governance),
        ]
    }
}

#[test]
fn members_cosign_one_log_and_what_they_say_is_gathered() {
    run(21, async |context| {
        let network = Network::new(context).await;
        network.sleep_ms(12_000).await;
        let note = network.handle(0).log_checkpoint(()).await.unwrap();
        // The others hold the same blocks a moment later.
        network.sleep_ms(1_000).await;
        let mut gathered = note.clone();
        for index in [1, 2, 3] {
            let lines = network.cosign(index, 0, &note).await.unwrap();
            assert_eq!(lines.lines().count(), 2);
            // Asked again, it says the same.
            network.cosign(index, 0, &note).await.unwrap();
            gathered.push_str(&lines);
        }
        let size = SignedCheckpoint::parse(&note).unwrap().checkpoint.size();
        // One by one, or all together.
        let (first, _) = gathered.rsplit_once("\u{2014} ").unwrap();
        assert_eq!(
            network.collect(0, first.to_owned()).await.unwrap(),
            (size, 2)
        );
        assert_eq!(network.collect(0, gathered).await.unwrap(), (size, 3));

        network.sleep_ms(12_000).await;
        let served = network.handle(0).log_cosigned(()).await.unwrap();
        let served = SignedCheckpoint::parse(&served).unwrap();
        assert_eq!(served.checkpoint.size(), size);
        for index in [1, 2, 3] {
            for key in network.witness_keys(index) {
                assert!(served.signed_by(&key).is_some_and(|time_s| time_s > 0));
            }
        }
        let own = NoteKey::log(&network.genesis.network_id(), network.signing(0).public());
        assert_eq!(served.signed_by(&own), Some(0));

        // Fewer cosignatures of a newer one wait beside; as many take its place.
        let newer = network.handle(0).log_checkpoint(()).await.unwrap();
        network.sleep_ms(1_000).await;
        let size = SignedCheckpoint::parse(&newer).unwrap().checkpoint.size();
        assert!(size > served.checkpoint.size());
        for (index, count) in [(1, 1), (2, 2), (3, 3)] {
            let lines = network.cosign(index, 0, &newer).await.unwrap();
            let note = format!("{newer}{lines}");
            assert_eq!(network.collect(0, note).await.unwrap(), (size, count));
            let now = network.handle(0).log_cosigned(()).await.unwrap();
            let now = SignedCheckpoint::parse(&now).unwrap().checkpoint.size();
            assert_eq!(now == size, count == 3);
        }
        // Nobody goes back.
        let error = network.cosign(1, 0, &note).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        let error = network.collect(0, note).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    });
}

#[test]
fn a_fork_is_refused_and_remembered() {
    run(22, async |context| {
        let network = Network::new(context).await;
        network.sleep_ms(12_000).await;
        let note = network.handle(0).log_checkpoint(()).await.unwrap();
        network.sleep_ms(1_000).await;
        let real = SignedCheckpoint::parse(&note).unwrap().checkpoint;
        let id = network.genesis.network_id();
        let signed = |checkpoint: Checkpoint, by: &SigningKey| {
            let signatures = vec![sign(&id, &checkpoint, by)];
            let note = SignedCheckpoint {
                checkpoint,
                signatures,
            };
            note.to_string()
        };
        let member = network.signing(0);
        let forged = Checkpoint::new(&id, real.size(), Digest::new([7; 32]));
        let stranger = SigningKey::from_seed(keys::Secret::from_bytes([5; 32]));
        let refused = async |note: String, kind: Kind, why: &str| {
            let error = network.cosign(1, 0, &note).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        };
        let warnings = async || {
            let status = network.handle(1).status(network.staff(1, Role::Operator));
            status.await.unwrap().warnings.join("; ")
        };
        refused(
            signed(forged.clone(), &stranger),
            Kind::Invalid,
            "no member",
        )
        .await;
        assert!(!warnings().await.contains("another log"));
        refused(signed(forged, &member), Kind::Invalid, "not of the log").await;
        assert!(warnings().await.contains("another log"));
        // Beyond the log, and of another log.
        let ahead = Checkpoint::new(&id, real.size() + 10_000, real.root());
        refused(signed(ahead, &member), Kind::Unavailable, "not as long").await;
        let other = note.replace("ithaca/", "ithaca/ffff");
        refused(other, Kind::Invalid, "line 1").await;
        // What is true is cosigned all the same; strangers' lines are not gathered.
        let lines = network.cosign(1, 0, &note).await.unwrap();
        let forged = note.clone() + &lines.replace("AAA", "AAB");
        let error = network.collect(0, forged).await.unwrap_err();
        assert!(error.to_string().contains("no cosignature"), "{error}");
        let strangers = Caller::staff(actor(InstitutionId::new([9; 16]), "x", Role::Operator));
        let input = CheckpointCosign {
            caller: strangers,
            note: note.clone(),
        };
        let error = network
            .handle(1)
            .checkpoint_cosign(input)
            .await
            .unwrap_err();
        assert_eq!(error, Error::Elsewhere);
        let input = CheckpointCosign {
            caller: network.staff(0, Role::Clinician),
            note,
        };
        let error = network
            .handle(1)
            .checkpoint_cosign(input)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Forbidden);
    });
}

#[test]
fn an_institution_never_signs_two_views_of_its_log() {
    run(23, async |context| {
        let mut world = World::new(context).await;
        world.subject().await;
        let first = world.handle().log_checkpoint(()).await.unwrap();
        let first = SignedCheckpoint::parse(&first).unwrap().checkpoint;
        world.restart().await;
        let again = world.handle().log_checkpoint(()).await.unwrap();
        let again = SignedCheckpoint::parse(&again).unwrap().checkpoint;
        assert!(again.size() >= first.size());

        // The ledger begins anew, without its blocks: other blocks of the same network.
        world.node.take().unwrap().crash().await;
        let tables = consensus::TABLES.into_iter();
        let batch = tables.fold(Batch::new(), |batch, table| {
            batch.delete_range(table, Range::all())
        });
        world.store.commit(batch).await.unwrap();
        let mut config = world.node_config();
        config.partition = "anew".to_owned();
        world.start_with(config).await;
        let error = world.handle().log_checkpoint(()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        // As long as before, and longer, it is another log still.
        world.sleep_ms(120_000).await;
        let error = world.handle().log_checkpoint(()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        assert!(error.to_string().contains("signs nothing"), "{error}");
    });
}

#[test]
fn what_is_published_makes_the_checkpoint() {
    run(24, async |context| {
        let world = World::new(context).await;
        let subject = world.subject().await;
        for case in ["a", "b", "c"] {
            let deposit = world.phenopacket(subject, case);
            world.handle().record_deposit(deposit).await.unwrap();
            world.sleep_ms(3_000).await;
        }
        let note = world.handle().log_checkpoint(()).await.unwrap();
        let checkpoint = SignedCheckpoint::parse(&note).unwrap().checkpoint;
        let size = checkpoint.size();
        assert!((6..256).contains(&size), "{size}");
        let tile = |index: String| world.handle().log_tile(LogTile { level: 0, index });
        let tile_bytes = tile(format!("000.p/{size}")).await.unwrap();
        let auditor = world.staff("auditor-1", Role::Auditor);
        let bundle = world.handle().log_bundle(LogBundle {
            caller: auditor.clone(),
            index: format!("000.p/{size}"),
        });
        let mut bundle = bundle.await.unwrap();
        let mut hashes = Vec::new();
        let mut log = ledger::log::Frontier::new();
        while let Some((length, rest)) = bundle.split_at_checked(2) {
            let length = usize::from(u16::from_be_bytes(length.try_into().unwrap()));
            let hash = ledger::log::leaf_hash(&rest[..length]);
            hashes.extend_from_slice(hash.as_bytes());
            log.append(hash);
            bundle = rest[length..].to_vec();
        }
        assert_eq!(hashes, tile_bytes);
        assert_eq!((log.size(), log.root()), (size, checkpoint.root()));
        // Parts are prefixes; there is nothing beyond.
        assert_eq!(tile("000.p/2".to_owned()).await.unwrap(), tile_bytes[..64]);
        for absent in [
            "000",
            "001.p/1",
            "000.p/255",
            "x001/000",
            "nonsense",
            "../x",
        ] {
            let error = tile(absent.to_owned()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{absent}");
        }
        // Activity is for members and auditors.
        let elsewhere = |role| Caller::staff(actor(InstitutionId::new([9; 16]), "x", role));
        for (caller, allowed) in [
            (elsewhere(Role::Auditor), true),
            (elsewhere(Role::Operator), false),
            (world.clinician(), false),
            (world.desk(), false),
            (world.officer(), true),
        ] {
            let index = "000.p/1".to_owned();
            let read = world.handle().log_bundle(LogBundle { caller, index }).await;
            assert_eq!(read.is_ok(), allowed);
        }
    });
}
