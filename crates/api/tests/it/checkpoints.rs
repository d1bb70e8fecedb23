//! The log over HTTP: anyone checks it; who hands in checkpoints is known; nothing is unbounded.

use crate::{
    house::{Person, run},
    wire::Call,
};
use consent::Role;
use ledger::log::{Frontier, NoteKey, SignedCheckpoint, leaf_hash};

#[test]
fn an_auditor_recomputes_the_root_from_what_is_served() {
    run(async |house| {
        let note = Call::get("/tlog/checkpoint").send(house).await.is(200);
        assert_eq!(note.header("content-type"), "text/plain; charset=utf-8");
        let note = SignedCheckpoint::parse(&note.text()).unwrap();
        let network = house.genesis.network_id();
        let signing = house.genesis.institutions[0].signing;
        assert_eq!(note.signed_by(&NoteKey::log(&network, signing)), Some(0));

        let auditor = house
            .tokens(&[Person::staff(house, "auditor-7", &[Role::Auditor])])
            .remove(0);
        let size = note.checkpoint.size();
        let (mut log, mut index) = (Frontier::new(), 0_u64);
        while log.size() < size {
            let width = (size - log.size()).min(256);
            let end = match width {
                256 => format!("{index:03}"),
                width => format!("{index:03}.p/{width}"),
            };
            let tile = Call::get(format!("/tlog/tile/0/{end}"))
                .send(house)
                .await
                .is(200);
            assert_eq!(tile.header("content-type"), "application/octet-stream");
            let bundle = Call::get(format!("/tlog/tile/entries/{end}"));
            let bundle = bundle.bearer(&auditor).send(house).await.is(200);
            let (mut leaves, mut hashes) = (bundle.body.as_ref(), Vec::new());
            while let Some((length, rest)) = leaves.split_first_chunk::<2>() {
                let (leaf, after) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
                hashes.extend_from_slice(leaf_hash(leaf).as_bytes());
                log.append(leaf_hash(leaf));
                leaves = after;
            }
            assert_eq!(hashes, tile.body);
            index += 1;
        }
        assert_eq!((log.size(), log.root()), (size, note.checkpoint.root()));
    });
}

#[test]
fn tiles_that_are_not_there() {
    run(async |house| {
        for path in [
            "0/999",
            "0/x999/999",
            "0/0",
            "0/000.p/0",
            "0/000.p/256",
            "0/000/",
            "0/..%2f000",
            "9/000.p/1",
            "255/000.p/1",
            "256/000.p/1",
            "00/000.p/1",
            "-1/000.p/1",
            "x/000.p/1",
            "0/000.p/1.p/1",
            "0/99999999999999999999",
        ] {
            let answer = Call::get(format!("/tlog/tile/{path}")).send(house).await;
            answer.refused(404, "not-found");
        }
        let auditor = house
            .tokens(&[Person::staff(house, "auditor-8", &[Role::Auditor])])
            .remove(0);
        for path in ["999", "x999/999/999", "000.p/0"] {
            let call = Call::get(format!("/tlog/tile/entries/{path}")).bearer(&auditor);
            call.send(house).await.refused(404, "not-found");
        }
    });
}

#[test]
fn a_checkpoint_of_this_log_is_cosigned_and_gathered() {
    run(async |house| {
        let operator = &house.staff.operator;
        let hand_in = async |path: &str, body: String| {
            let call = Call::post(path).bearer(operator).bytes("text/plain", body);
            call.send(house).await
        };
        // Blocks come in between, so that a larger one may have been signed.
        let mut lines = None;
        for _ in 0..20 {
            let note = Call::get("/tlog/checkpoint")
                .send(house)
                .await
                .is(200)
                .text();
            let answer = hand_in("/tlog/cosign", note.clone()).await;
            if answer.status == 200 {
                lines = Some((note, answer.text()));
                break;
            }
            assert!(matches!(answer.status, 409 | 503), "{}", answer.text());
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let (note, lines) = lines.unwrap();
        assert_eq!(lines.lines().count(), 2);
        let answer = hand_in("/tlog/cosignatures", format!("{note}{lines}"))
            .await
            .is(200);
        let size = SignedCheckpoint::parse(&note).unwrap().checkpoint.size();
        assert_eq!(answer.value()["size"], size);
        assert_eq!(
            answer.value()["cosigners"][0],
            house.institution.to_string()
        );
        let served = Call::get("/tlog/checkpoint/cosigned")
            .send(house)
            .await
            .is(200);
        let served = SignedCheckpoint::parse(&served.text()).unwrap();
        assert_eq!(served.signatures.len(), 3);

        hand_in("/tlog/cosign", note.replace("ithaca/", "itaca/"))
            .await
            .refused(422, "invalid");
        hand_in("/tlog/cosign", "x".repeat((512 << 10) + 1))
            .await
            .refused(413, "too-large");
    });
}
