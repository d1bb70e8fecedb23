//! Every byte of a signed entry counts: changing any one gets it refused.

use crate::golden::signed_entries;
use ledger::SignedEntry;
use ledger::state::admissible;

#[test]
fn every_mutation_of_every_entry_type_is_refused() {
    let (chain, entries) = signed_entries();
    let view = chain.state.view();
    // One of each type, and a proposal that carries a validator's claim.
    assert_eq!(entries.len(), 13);
    for entry in entries {
        let name = entry.entry().name();
        assert_eq!(admissible(&view, &entry), Ok(()), "{name}");
        let good = entry.bytes().to_vec();
        let mut bytes = good.clone();
        for at in 0..good.len() {
            // Long entries are mostly post-quantum keys and signatures: one flip a byte there.
            let flips = if good.len() > 1_000 {
                std::slice::from_ref(&ALL_BITS[at % ALL_BITS.len()])
            } else {
                &ALL_BITS
            };
            for flip in flips {
                bytes[at] = good[at] ^ flip;
                let refused = match SignedEntry::decode(&bytes) {
                    Ok(changed) => admissible(&view, &changed).is_err(),
                    Err(_) => true,
                };
                assert!(refused, "{name}: byte {at} xor {flip:#x}");
            }
            bytes[at] = good[at];
        }
        for at in (0..=good.len()).step_by(if good.len() > 1_000 { 7 } else { 1 }) {
            let mut longer = good.clone();
            longer.insert(at, 0);
            let refused = match SignedEntry::decode(&longer) {
                Ok(changed) => admissible(&view, &changed).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{name}: a byte inserted at {at}");
            let cut = SignedEntry::decode(&good[..at.min(good.len() - 1)]);
            assert!(cut.is_err(), "{name}: cut at {at}");
        }
    }
}

const ALL_BITS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];
