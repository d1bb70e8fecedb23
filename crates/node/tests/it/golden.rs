//! The files that travel between a custodian and a family: one encoding, and no byte can be changed.

use crate::world::{guardian, key};
use codec::Domain;
use node::consent_change::{BundleError, ConsentBundle, Draft, SignedChange, UpdateDraft};
use node::{ConsentState, InstitutionId, NetworkId, SubjectId};
use std::collections::{BTreeMap, BTreeSet};

fn bundle() -> ConsentBundle {
    let subject = SubjectId::new([2; 32]);
    let previous = ConsentState::new(consent::Terms {
        subject,
        sequence: 4,
        assisted: false,
        controllers: vec![guardian(1)],
        matures: None,
        grants: Vec::new(),
        restricted: false,
        opted_out: BTreeSet::new(),
    })
    .unwrap();
    let state = previous.next(|terms| terms.restricted = true).unwrap();
    let salt = [3; 32];
    ConsentBundle {
        network: NetworkId::new([1; 32]),
        slot: 1,
        draft: Draft::Update(UpdateDraft {
            terms: ledger::entry::UpdateTerms {
                custodian: InstitutionId::new([4; 16]),
                subject,
                sequence: 5,
                consent: state.commitment(&salt),
                slots: BTreeMap::new(),
                enrols: None,
            },
            last_valid: 1_000,
        }),
        previous: Some(previous),
        state,
        salt,
    }
}

fn golden(bytes: &[u8], expect: &str) {
    assert_eq!(
        keys::digest(Domain::SubjectExport, &[bytes]).to_string(),
        expect
    );
}

#[test]
fn encodings_are_what_they_were() {
    let bundle = bundle();
    golden(
        &bundle.encode(),
        "434dcdee93375048b208b38e1bd48dcfc7ce3167a2e20c2cfd25657be819c8c7",
    );
    golden(
        &bundle.sign(&key(1)).unwrap().encode(),
        "de8775aee236bdb12222e14e533042c602d743cec399d51ad0b524bbde96b94b",
    );
}

#[test]
fn every_single_byte_mutation_of_a_signed_change_is_refused() {
    let bytes = bundle().sign(&key(1)).unwrap().encode();
    let signed = SignedChange::decode(&bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << bit;
            match SignedChange::decode(&forged) {
                Err(_) => {}
                // What is shown beside the change is not signed: the custodian compares it with what it has.
                Ok(other) => {
                    assert_eq!(other.bundle.draft, signed.bundle.draft, "byte {at}");
                    assert_eq!(other.bundle.state, signed.bundle.state, "byte {at}");
                    assert!(
                        other.bundle.previous != signed.bundle.previous || other.bundle.slot != 1
                    );
                }
            }
        }
    }
    assert_eq!(
        SignedChange::decode(b"no change").unwrap_err(),
        BundleError::Malformed
    );
}
