//! Bytes that must not change by accident: what is at rest, and what others compute again.

use crate::attacker::files;
use crate::notes;
use crate::world::{
    World, digest, disclosure_id, ms, new_record, one, record, refusal, run, signed, state, subject,
};
use consent::{Control, ControllerRole, Holder};
use keys::Secret;
use std::collections::BTreeMap;
use vault::backup::Manifest;
use vault::{ClientKey, ConsentChange, LoggedDisclosure, disclosures_root, map_key};

#[test]
fn what_a_subject_computes_again() {
    let key = Secret::from_bytes([1; 32]);
    assert_eq!(map_key(&key, 28_000_000).to_string(), MAP_KEY);
    let logged = |n: u8| LoggedDisclosure {
        disclosure: refusal(subject(1, 1), disclosure_id(n), 5),
        period: 0,
        salt: [n; 32],
    };
    let root = disclosures_root(&[logged(2), logged(1)]);
    assert_eq!(root.to_string(), DISCLOSURES_ROOT);
}

#[test]
fn a_backups_manifest() {
    let manifest = Manifest {
        format: 1,
        custodian: crate::world::CUSTODIAN,
        made: ms(1),
        expires: ms(2),
        rows: 3,
        digest: [4; 32],
    };
    let encoded = codec::hex::encode(&codec::to_vec(&manifest));
    assert_eq!(encoded, MANIFEST);
}

#[test]
fn who_controlled_an_erased_subject() {
    let holder = |slot, role, until| Holder { slot, role, until };
    let control = Control {
        holders: vec![
            holder(0, ControllerRole::Subject, None),
            holder(2, ControllerRole::Guardian, Some(ms(3))),
        ],
        matures: Some(ms(4)),
    };
    let encoded = codec::hex::encode(&codec::to_vec(&control));
    assert_eq!(encoded, CONTROL);
}

/// With seeded randomness every file and row is always the same. A change here means that vaults of
/// earlier builds no longer open: make a new format and read the old one too.
#[test]
fn what_is_at_rest() {
    let mut world = World::new(1);
    let alice = subject(1, 1);
    world.open(alice);
    let mut put = one(alice, new_record(1, "a b"));
    put.client = Some(ClientKey {
        key: b"key".to_vec(),
        received: digest(b"received"),
    });
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    run(vault.record_put(&put, ms(2), rng)).unwrap();
    let change = ConsentChange {
        state: state(alice, 2),
        salt: [5; 32],
        signed: signed(rng),
    };
    run(vault.consent_accept(&change, ms(3), rng)).unwrap();
    run(vault.disclosure_log(&refusal(alice, disclosure_id(1), 4), rng)).unwrap();
    let closed = run(vault.period_close(0, rng)).unwrap();
    run(vault.period_assign(&closed, &signed(rng), ms(5), rng)).unwrap();
    run(vault.node_row_put(b"name", None, b"value", rng)).unwrap();
    run(notes::fill(&vault, alice, rng));
    assert!(run(vault.record_meta(&alice, &record(1), None)).is_ok());
    let mut tables: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for ((table, key), value) in world.store.copied() {
        let row = tables.entry(table).or_default();
        row.extend([key.to_vec(), value.to_vec()]);
    }
    let mut found = String::new();
    for (table, parts) in tables {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let digest = keys::sha256(&parts).to_string();
        found.push_str(&format!("{table} {}\n", &digest[..16]));
    }
    for (name, bytes) in files(&world.custody) {
        let digest = digest(&bytes).to_string();
        found.push_str(&format!("{name} {}\n", &digest[..16]));
    }
    assert_eq!(found, AT_REST, "\n{found}");
}

const MAP_KEY: &str = "897fa9dea356657cac3ba370383fdd91d5e544ed388fde58146697ca164745e9";
const DISCLOSURES_ROOT: &str = "c16262692c5023143aabf20c673c758b97ee8fd2fe9deabd959e70b914b1010c";
const CONTROL: &str = "a20182a201000201a30102020203030204";
const MANIFEST: &str = "a601010250070707070707070707070707070707070301040205030658200404040404040404040404040404040404040404040404040404040404040404";
const AT_REST: &str = "\
consents 865cf66ac380ca3e
derive-due d1ca11d498d47a20
disclosures 6f6ec0048af8daba
entries 7457ab1ac275f6fd
entry-queue 2f920964a7f69288
idempotency 6b0401d9398d9b67
index 2b186609e904bc4f
node 0faa2c1898cbe9fb
noted b5686ec89108c217
outbox cadbf4d33310dee0
period-subjects 9f8b3c76e9062af3
periods cc635616a1d6589a
postings a0dbef823acc33d8
records 9888dd8cdf005845
waiting 8bf5f31da7a4c11f
key-tables/01.1 1f77e7b434ea7644
key-tables/audit-01.1 98611eb709d87e8a
custody/root.key c27c65526757eabb
custody/table-keys 76e81efa6f2d3966
custody/identity 90baa05eef842635
";
