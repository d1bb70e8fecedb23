//! The document that starts a network.

use crate::support::{Chain, Member};
use ledger::Kind;
use ledger::genesis::{GenesisError, SignedGenesis};

#[test]
fn a_genesis_obeys_the_same_rules() {
    let chain = Chain::new();
    let good = &chain.genesis;
    assert_eq!(good.check(), Ok(()));
    let check = |change: &dyn Fn(&mut ledger::Genesis)| {
        let mut genesis = good.clone();
        change(&mut genesis);
        genesis.check().unwrap_err()
    };
    let id = |n: usize| chain.members[n].id;
    assert_eq!(check(&|g| g.institutions.swap(0, 1)), GenesisError::Order);
    assert_eq!(
        check(&|g| g.institutions[1].signing = g.institutions[0].signing),
        GenesisError::SharedKey(id(1))
    );
    assert_eq!(
        check(&|g| g.institutions[2].name = "x".repeat(129)),
        GenesisError::Name(id(2))
    );
    // One operator of four is fewer than a third, two are not.
    let mut one = good.clone();
    one.institutions[2].kind = Kind::Operator;
    assert_eq!(one.check(), Ok(()));
    let two = check(&|g| {
        g.institutions[2].kind = Kind::Operator;
        g.institutions[3].kind = Kind::Operator;
    });
    assert_eq!(two, GenesisError::Operators);
    assert_eq!(
        check(&|g| g.validators = ledger::Validators::default()),
        GenesisError::NoValidator
    );
    assert!(matches!(
        check(&|g| g.parameters.epoch_blocks = 1),
        GenesisError::Parameters(_)
    ));
    assert_eq!(
        check(&|g| drop(g.institutions.pop())),
        GenesisError::Founder(id(3))
    );
}

#[test]
fn every_founder_signs_the_genesis() {
    let chain = Chain::new();
    let sign = |m: &Member| (m.id, chain.genesis.sign(&m.signing));
    let signed = SignedGenesis {
        genesis: chain.genesis.clone(),
        signatures: chain.members.iter().map(sign).collect(),
    };
    assert_eq!(signed.verify(), Ok(()));
    let bytes = codec::to_vec(&signed);
    assert_eq!(codec::from_slice::<SignedGenesis>(&bytes).unwrap(), signed);
    let mut missing = signed.clone();
    missing.signatures.remove(&chain.members[2].id);
    assert_eq!(
        missing.verify(),
        Err(GenesisError::Signature(chain.members[2].id))
    );
    let mut changed = signed.clone();
    changed.genesis.nonce = [8; 32];
    assert_eq!(
        changed.verify(),
        Err(GenesisError::Signature(chain.members[0].id))
    );
    let mut stranger = signed;
    let sixth = Member::new(6, Kind::Hospital);
    stranger
        .signatures
        .insert(sixth.id, chain.genesis.sign(&sixth.signing));
    assert_eq!(stranger.verify(), Err(GenesisError::Founder(sixth.id)));
}
