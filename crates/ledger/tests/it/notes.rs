//! Signed checkpoints and cosignatures: one text, and no other signature, time, name or size verifies.

use crate::support::{Member, digest};
use codec::NetworkId;
use codec::base64;
use ledger::Kind;
use ledger::log::signed::{BadNote, MAX_SIGNATURES, cosign, sign};
use ledger::log::{Checkpoint, NoteKey, NoteSignature, SignedCheckpoint};

const TIME_S: u64 = 1_800_000_000;

fn network() -> NetworkId {
    NetworkId::new([0xab; 32])
}

fn keys(log: &Member, witness: &Member) -> [NoteKey; 3] {
    let network = network();
    [
        NoteKey::log(&network, log.signing.public()),
        NoteKey::witness(&network, &witness.id, witness.signing.public()),
        NoteKey::pq_witness(&network, &witness.id, witness.governance.public()),
    ]
}

fn signed(log: &Member, witness: &Member, checkpoint: Checkpoint) -> SignedCheckpoint {
    let network = network();
    let mut signatures = vec![sign(&network, &checkpoint, &log.signing)];
    signatures.extend(cosign(
        &network,
        &witness.id,
        &checkpoint,
        TIME_S,
        &witness.signing,
        &witness.governance,
    ));
    SignedCheckpoint {
        checkpoint,
        signatures,
    }
}

#[test]
fn notes_have_one_text_and_say_who_signed() {
    let (log, witness) = (
        Member::new(1, Kind::Hospital),
        Member::new(2, Kind::Hospital),
    );
    let note = signed(&log, &witness, Checkpoint::new(&network(), 42, digest(1)));
    let text = note.to_string();
    assert_eq!(SignedCheckpoint::parse(&text), Ok(note.clone()));
    let [own, ed, pq] = keys(&log, &witness);
    assert_eq!(note.signed_by(&own), Some(0));
    assert_eq!(note.signed_by(&ed), Some(TIME_S));
    assert_eq!(note.signed_by(&pq), Some(TIME_S));
    // A witness's key is not the log's, and nobody else's.
    assert_eq!(
        note.signed_by(&NoteKey::log(&network(), witness.signing.public())),
        None
    );
    for other in keys(&witness, &log) {
        assert_eq!(note.signed_by(&other), None);
    }
}

#[test]
fn no_signature_is_good_for_another_checkpoint_or_after_a_change() {
    let (log, witness) = (
        Member::new(1, Kind::Hospital),
        Member::new(2, Kind::Hospital),
    );
    let note = signed(&log, &witness, Checkpoint::new(&network(), 42, digest(1)));
    let keys = keys(&log, &witness);
    for other in [
        Checkpoint::new(&network(), 43, digest(1)),
        Checkpoint::new(&network(), 42, digest(2)),
        Checkpoint::new(&NetworkId::new([1; 32]), 42, digest(1)),
    ] {
        let moved = SignedCheckpoint {
            checkpoint: other,
            signatures: note.signatures.clone(),
        };
        for key in &keys {
            assert_eq!(moved.signed_by(key), None);
        }
    }
    for (key, signature) in keys.iter().zip(&note.signatures) {
        let line = signature.to_string();
        let (head, encoded) = line.trim_end().rsplit_once(' ').unwrap();
        let bytes = base64::decode(encoded).unwrap();
        // Key id, time, signature.
        for at in [0, 4, 11, 12, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let line = format!("{head} {}", base64::encode(&changed));
            let changed = NoteSignature::parse(&line).unwrap();
            assert_eq!(key.check(&note.checkpoint, &changed), None, "byte {at}");
            // A line that names the key spoils the note, even beside a good one.
            let spoiled = SignedCheckpoint {
                checkpoint: note.checkpoint.clone(),
                signatures: vec![signature.clone(), changed],
            };
            assert_eq!(spoiled.signed_by(key).is_some(), at == 0);
        }
    }
}

#[test]
fn malformed_notes_are_refused() {
    let (log, witness) = (
        Member::new(1, Kind::Hospital),
        Member::new(2, Kind::Hospital),
    );
    let note = signed(&log, &witness, Checkpoint::new(&network(), 42, digest(1)));
    let text = note.to_string();
    let refused = |text: &str| SignedCheckpoint::parse(text).unwrap_err();
    assert_eq!(refused(&note.checkpoint.to_string()), BadNote::Unsigned);
    assert_eq!(refused(text.trim_end()), BadNote::Unsigned);
    assert_eq!(
        refused(&text.replacen('\u{2014}', "-", 1)),
        BadNote::Line(1)
    );
    assert_eq!(refused(&format!("{text}\n")), BadNote::Line(4));
    assert_eq!(
        refused(&text.replacen("ithaca/", "ithaca/ ", 2)),
        BadNote::Checkpoint(ledger::log::note::BadCheckpoint(1))
    );
    let line = note.signatures[0].to_string();
    let many = format!("{}\n{}", note.checkpoint, line.repeat(MAX_SIGNATURES));
    assert!(SignedCheckpoint::parse(&many).is_ok());
    assert_eq!(refused(&format!("{many}{line}")), BadNote::TooLarge);
}

#[test]
fn base64_has_one_text() {
    for length in 0..70_u8 {
        let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
        let text = base64::encode(&bytes);
        assert_eq!(base64::decode(&text), Some(bytes));
        assert_eq!(base64::decode(&format!("{text}=")), None);
    }
    for wrong in [
        "A", "AB", "ABC", "AB==C", "AC==", "A===", "=", "AB C", "AB-_",
    ] {
        assert_eq!(base64::decode(wrong), None, "{wrong}");
    }
}
