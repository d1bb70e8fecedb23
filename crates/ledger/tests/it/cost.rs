//! What verifying and executing cost. Only meaningful in release, on an idle machine:
//! `cargo test --release -p ithaca-ledger -- --ignored --nocapture`.

use crate::golden::proofs;
use crate::support::{Chain, Seeded, Signatures};
use codec::Digest;
use keys::PublicKey;
use ledger::receipt::{verify, verify_from};
use ledger::state::{BlockContext, execute, preverify};
use ledger::{Anchor, CertificateCheck, SignedEntry};
use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "measures")]
fn each(times: u32, mut run: impl FnMut()) -> Duration {
    let start = std::time::Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed() / times
}

#[expect(clippy::print_stderr, reason = "measures")]
fn report(what: &str, took: Duration) {
    eprintln!("{what}: {took:?}");
}

/// Leaves out the engine's own work.
struct Any;

impl CertificateCheck for Any {
    fn check(&self, _: &[PublicKey], _: u64, _: &Digest, _: &[u8]) -> bool {
        true
    }
}

#[test]
#[ignore = "measures time"]
fn a_receipt_verifies_within_a_millisecond() {
    let proofs = proofs();
    let genesis = &proofs.chain.genesis;
    let (receipt, leaf) = (&proofs.receipt, Some(proofs.content.as_slice()));
    let took = each(200, || {
        assert!(verify(receipt, genesis, &Signatures, leaf).is_ok())
    });
    report("receipt from the genesis, one boundary", took);
    assert!(took < Duration::from_millis(1));
    let mut anchor = Anchor::genesis(genesis);
    let boundary = &receipt.logged.finality.boundaries[0];
    anchor.advance(boundary, &Signatures).unwrap();
    let took = each(200, || {
        assert!(verify_from(receipt, &anchor, &Signatures, leaf).is_ok());
    });
    report("receipt within the trusted epoch", took);
    assert!(took < Duration::from_millis(1));

    let mut chain = Chain::new();
    chain.advance_to(80);
    let finality = chain.finality(80, 80);
    let anchor = Anchor::genesis(&chain.genesis);
    let took = each(20, || assert!(finality.verify(&anchor, &Any).is_ok())) / 21;
    report(
        "boundary of four validators, without their signatures",
        took,
    );
    assert!(took < Duration::from_micros(50));
}

#[test]
#[ignore = "measures time"]
fn execution_keeps_up() {
    let mut chain = Chain::new();
    let subjects = 200;
    for block in 0..subjects {
        let opens = (0..100).map(|n| chain.subject_open(0, block * 100 + n, true));
        let opens: Vec<SignedEntry> = opens.collect();
        chain.push(&opens);
    }
    report_block(
        &chain,
        "1,000 batches over 20,000 subjects and their entries",
        0,
    );
    let expiring = chain.height() + 100;
    chain.advance_to(expiring - 1);
    report_block(&chain, "the same while 100 entries expire", 5_000);
}

fn report_block(chain: &Chain, what: &str, from: u64) {
    let entries: Vec<_> = (from..from + 1_000)
        .map(|n| chain.record_batch(1, 1_000_000 + n))
        .collect();
    let view = chain.state.view();
    let context = BlockContext {
        height: chain.height() + 1,
        time_ms: view.tip().time_ms + 1,
    };
    let run = || assert!(execute(&view, &context, &entries).is_ok());
    let took = each(1, || preverify(&view, &entries, &mut Seeded::new(1)));
    report("1,000 signatures together", took);
    assert!(entries.iter().all(SignedEntry::is_verified));
    report(what, each(10, run));
    let load = each(1, || assert!(chain.reload().is_ok()));
    report(&format!("loading {} values", chain.rows.len()), load);
}
