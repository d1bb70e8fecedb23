//! Records: what goes in comes out, once, and nothing else.

use crate::memory::MemoryStore;
use crate::world::{
    FORGOTTEN_RULE, World, digest, ms, new_record, one, opening, projected, reads, record, run,
    subject,
};
use codec::Category;
use futures::future::join_all;
use keys::commitment::{self, Label, Leaf};
use keys::{Entropy, Zeroizing};
use proptest::prelude::*;
use std::collections::BTreeSet;
use vault::{ClientKey, Conflict, Error, NewRecord, Parts, Projection, RecordPut};

#[test]
fn a_record_reads_back_with_what_proves_it() {
    let mut world = World::new(1);
    let alice = subject(1, 1);
    world.open(alice);
    let put = world.put(alice, new_record(1, "HP:0001250 seizure"));
    assert!(put.created);
    let vault = world.reopened();
    let opened = run(vault.record_get(&alice, &record(1), None, &Parts::All)).unwrap();
    assert_eq!(opened.meta.version, 1);
    assert_eq!(opened.meta.kind, "phenopacket");
    assert_eq!(opened.meta.deposited, ms(2_000));
    assert_eq!(opened.meta.commitment, put.records[0].commitment);
    assert_eq!(
        opened.meta.provenance.as_slice(),
        b"provenance of HP:0001250 seizure"
    );
    let categories = BTreeSet::from([Category::Identity, Category::Phenotype]);
    assert_eq!(opened.meta.categories(), categories);
    assert_eq!(opened.parts.len(), 3);
    for part in &opened.parts {
        let leaf = commitment::leaf_hash(&Leaf {
            label: part.label,
            rule_version: part.rule_version,
            salt: &part.salt,
            bytes: part.bytes(),
        });
        let (index, path) = opened.meta.leaf_path(part.label).unwrap();
        let root = &opened.meta.commitment;
        assert!(commitment::verify_path(&leaf, index, 3, &path, root));
    }
    let salts: BTreeSet<[u8; 32]> = opened.parts.iter().map(|part| part.salt).collect();
    assert_eq!(salts.len(), 3);
}

#[test]
fn only_what_is_asked_for_is_opened() {
    let mut world = World::new(2);
    let alice = subject(1, 1);
    world.open(alice);
    world.put(alice, new_record(1, "one"));
    let labels = |parts: &Parts| -> Vec<Label> {
        let opened = run(world.vault.record_get(&alice, &record(1), None, parts)).unwrap();
        opened.parts.iter().map(|part| part.label).collect()
    };
    let phenotype = BTreeSet::from([Category::Phenotype, Category::Genomic]);
    let projection = |category| Label::Projection(category);
    assert_eq!(labels(&Parts::Stored), [Label::Stored]);
    assert_eq!(
        labels(&Parts::Projections(phenotype)),
        [projection(Category::Phenotype)]
    );
    assert_eq!(
        labels(&Parts::All),
        [
            Label::Stored,
            projection(Category::Identity),
            projection(Category::Phenotype)
        ]
    );
}

#[test]
fn a_store_of_another_format_is_refused() {
    let world = World::new(22);
    let (table, key) = ("node".to_owned(), b"v/owner".to_vec());
    for (format, found) in [(&[][..], 1), (&[3], 3)] {
        let mut rows = world.store.copied();
        let row = rows.iter_mut().find(|((t, k), _)| *t == table && *k == key);
        let (_, value) = row.unwrap();
        *value = [&value[..32], format].concat().into();
        let custody = std::sync::Arc::new(world.custody.clone());
        let opened = run(crate::world::open(MemoryStore::of(rows), custody));
        let known = 2;
        assert_eq!(opened.unwrap_err(), Error::UnknownFormat { found, known });
    }
}

/// A rule that is no longer known, or gives other bytes than were committed: damage, never an answer.
#[test]
fn a_projection_that_cannot_be_made_again_is_refused() {
    let mut world = World::new(21);
    let alice = subject(1, 1);
    world.open(alice);
    let mut forgotten = new_record(1, "one");
    forgotten.projections[0].rule_version = FORGOTTEN_RULE;
    world.put(alice, forgotten);
    let mut other = new_record(2, "two");
    other.projections[0].bytes = Zeroizing::new(b"not what the rule gives".to_vec());
    world.put(alice, other);
    for n in [1, 2] {
        let get = |parts: &Parts| run(world.vault.record_get(&alice, &record(n), None, parts));
        let of = |category| Parts::Projections(BTreeSet::from([category]));
        assert!(matches!(get(&Parts::All), Err(Error::Damaged { .. })));
        let refused = get(&of(Category::Phenotype));
        assert!(matches!(refused, Err(Error::Damaged { .. })));
        assert_eq!(get(&of(Category::Identity)).unwrap().parts.len(), 1);
        assert_eq!(get(&Parts::Stored).unwrap().parts.len(), 1);
    }
}

#[test]
fn versions_follow_each_other() {
    let mut world = World::new(3);
    let alice = subject(1, 1);
    world.open(alice);
    for version in 0..5_u32 {
        let mut new = new_record(1, &format!("version {version}"));
        new.expect_version = version;
        assert_eq!(world.put(alice, new).records[0].version, version + 1);
    }
    let vault = &world.vault;
    assert!(run(reads(vault, &alice, 1, "version 4")));
    let second = run(vault.record_get(&alice, &record(1), Some(2), &Parts::Stored)).unwrap();
    assert_eq!(
        second.stored_form().unwrap().bytes(),
        b"stored form of version 1"
    );
    let check = |expect_version, text: &str, expect: Error| {
        let mut new = new_record(1, text);
        new.expect_version = expect_version;
        let put = one(alice, new);
        let refused = run(vault.record_put(&put, ms(3), &mut world.rng.clone()));
        assert_eq!(refused.unwrap_err(), expect);
    };
    let (record, version) = (record(1), 5);
    check(0, "other", Conflict::OtherBytes { record, version }.into());
    check(3, "other", Conflict::Version { record, version }.into());
    check(9, "other", Conflict::Version { record, version }.into());
    let missing = run(vault.record_get(&alice, &record, Some(6), &Parts::Stored));
    let version = 6;
    assert_eq!(
        missing.unwrap_err(),
        Error::VersionUnknown { record, version }
    );
    let other = crate::world::record(2);
    let missing = run(vault.record_get(&alice, &other, None, &Parts::Stored));
    assert_eq!(missing.unwrap_err(), Error::RecordUnknown(other));
}

#[test]
fn the_same_again_gives_the_same_answer() {
    let mut world = World::new(4);
    let alice = subject(1, 1);
    world.open(alice);
    let first = world.put(alice, new_record(1, "one"));
    let again = world.put(alice, new_record(1, "one"));
    assert!(!again.created);
    assert_eq!(again.records, first.records);
    assert_eq!(world.vault.outbox_len(), 1);

    // With a client key the record's id may be another one each time.
    let with_key = |n: u8, text: &str| RecordPut {
        subject: alice,
        client: Some(ClientKey {
            key: b"lab-4711".to_vec(),
            received: digest(text.as_bytes()),
        }),
        records: vec![new_record(n, text)],
    };
    let put = |world: &mut World, n, text| {
        let put = with_key(n, text);
        run(world.vault.record_put(&put, ms(3), &mut world.rng))
    };
    let first = put(&mut world, 2, "two").unwrap();
    world.vault = world.reopened();
    let again = put(&mut world, 3, "two").unwrap();
    assert!(!again.created);
    assert_eq!(again.records, first.records);
    let (record, version) = (record(2), 1);
    let conflict = put(&mut world, 4, "other").unwrap_err();
    assert_eq!(conflict, Conflict::OtherBytes { record, version }.into());
    assert_eq!(run(world.vault.record_count(&alice)).unwrap(), 2);
    assert_eq!(world.vault.outbox_len(), 2);
    assert_eq!(run(world.vault.outbox_take(10)).unwrap().len(), 2);
}

#[test]
fn a_bundle_is_all_or_nothing() {
    let mut world = World::new(5);
    let alice = subject(1, 1);
    world.open(alice);
    let bundle = |texts: &[(u8, &str)]| RecordPut {
        subject: alice,
        client: None,
        records: texts.iter().map(|(n, text)| new_record(*n, text)).collect(),
    };
    let put = |world: &mut World, texts: &[(u8, &str)]| {
        run(world
            .vault
            .record_put(&bundle(texts), ms(3), &mut world.rng))
    };
    let first = put(&mut world, &[(1, "one"), (2, "two")]).unwrap();
    let again = put(&mut world, &[(1, "one"), (2, "two")]).unwrap();
    assert_eq!((first.records, again.created), (again.records, false));
    let mixed = put(&mut world, &[(3, "three"), (2, "two")]);
    assert!(matches!(
        mixed,
        Err(Error::Conflict(Conflict::OtherBytes { .. }))
    ));
    assert_eq!(run(world.vault.record_count(&alice)).unwrap(), 2);
}

#[test]
fn bounds_are_kept() {
    let mut world = World::new(6);
    let alice = subject(1, 1);
    world.open(alice);
    let vault = world.vault.clone();
    let refused = |edit: &dyn Fn(&mut RecordPut)| {
        let mut put = one(alice, new_record(1, "one"));
        edit(&mut put);
        let refused = run(vault.record_put(&put, ms(3), &mut world.rng.clone()));
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    };
    refused(&|put| put.records.clear());
    refused(&|put| put.records.push(new_record(1, "one")));
    refused(&|put| put.records[0].kind = String::new());
    refused(&|put| put.records[0].kind = "k".repeat(129));
    refused(&|put| put.records[0].tokens = BTreeSet::from([vec![0; 257]]));
    refused(&|put| put.records[0].stored_form = Zeroizing::new(vec![0; 17 << 20]));
    refused(&|put| {
        let twice = put.records[0].projections[0].clone();
        put.records[0].projections.push(twice);
    });
    refused(&|put| {
        put.client = Some(ClientKey {
            key: Vec::new(),
            received: digest(b""),
        });
    });
}

#[test]
fn a_full_outbox_refuses_but_answers_repetitions() {
    let mut settings = crate::world::settings();
    settings.outbox_max = 2;
    let mut world = World::with(7, MemoryStore::new(), settings.clone());
    let alice = subject(1, 1);
    world.open(alice);
    world.put(alice, new_record(1, "one"));
    world.put(alice, new_record(2, "two"));
    let full = one(alice, new_record(3, "three"));
    for _ in 0..3 {
        let refused = run(world.vault.record_put(&full, ms(3), &mut world.rng));
        assert!(matches!(refused, Err(Error::Full { limit: 2, .. })));
    }
    assert!(!world.put(alice, new_record(1, "one")).created);
    // The bound is counted again after a restart.
    let keychain = vault::Keychain::open(
        std::sync::Arc::new(world.custody.clone()),
        crate::world::PASSPHRASE,
    );
    let opened = vault::Vault::open(world.store.clone(), keychain.unwrap(), settings);
    world.vault = run(opened).unwrap();
    let refused = run(world.vault.record_put(&full, ms(3), &mut world.rng));
    assert!(matches!(refused, Err(Error::Full { .. })));
}

#[test]
fn without_a_compartment_nothing_goes_in() {
    let mut world = World::new(8);
    let alice = subject(1, 1);
    let put = one(alice, new_record(1, "one"));
    let refused = run(world.vault.record_put(&put, ms(3), &mut world.rng));
    assert_eq!(refused.unwrap_err(), Error::SubjectUnknown);
    assert!(run(world.vault.record_list(&alice, None, None, 10)).is_err());
}

#[test]
fn lists_page_in_order() {
    let mut world = World::new(9);
    let (alice, bob) = (subject(1, 1), subject(1, 2));
    world.open(alice);
    world.open(bob);
    for n in 1..=7 {
        world.put(alice, new_record(n, "one"));
        world.put(bob, new_record(n, "one"));
    }
    let mut second = new_record(4, "two");
    second.expect_version = 1;
    world.put(alice, second);
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = run(world.vault.record_list(&alice, None, after, 3)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.record, last.version));
        listed.extend(page.iter().map(|meta| (meta.record, meta.version)));
    }
    let mut expect: Vec<_> = (1..=7).map(|n| (record(n), 1)).collect();
    expect.push((record(4), 2));
    expect.sort();
    assert_eq!(listed, expect);
    let one = run(world.vault.record_list(&alice, Some(&record(4)), None, 9)).unwrap();
    assert_eq!(one.len(), 2);
}

#[test]
fn racing_writers_make_one_version() {
    for seed in 0..40 {
        let mut world = World::with(
            seed,
            MemoryStore::new().with_yields(seed),
            crate::world::settings(),
        );
        let alice = subject(1, 1);
        world.open(alice);
        let puts = (0..6_u64).map(|n| {
            let vault = world.vault.clone();
            let mut rng = crate::world::Rng::new(seed * 100 + n);
            // Three writers send one text, three another.
            let put = one(
                alice,
                new_record(1, if n % 2 == 0 { "even" } else { "odd" }),
            );
            async move { vault.record_put(&put, ms(3), &mut rng).await }
        });
        let answers = run(join_all(puts));
        let created = answers.iter().flatten().filter(|put| put.created).count();
        assert_eq!(created, 1, "seed {seed}");
        assert_eq!(answers.iter().flatten().count(), 3, "seed {seed}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(
                refused,
                Error::Conflict(Conflict::OtherBytes { version: 1, .. })
            ));
        }
        assert_eq!(world.vault.outbox_len(), 1);
        assert_eq!(run(world.vault.outbox_take(9)).unwrap().len(), 1);
    }
}

#[test]
fn debug_shows_no_data() {
    let mut world = World::new(10);
    let alice = subject(1, 1);
    world.open(alice);
    let mut new = new_record(1, "CANARY");
    new.kind = "CANARY".to_owned();
    let put = RecordPut {
        subject: alice,
        client: Some(ClientKey {
            key: b"CANARY".to_vec(),
            received: digest(b"CANARY"),
        }),
        records: vec![new],
    };
    run(world.vault.record_put(&put, ms(3), &mut world.rng)).unwrap();
    let opened = run(world
        .vault
        .record_get(&alice, &record(1), None, &Parts::All))
    .unwrap();
    let open = opening(alice, &mut world.rng);
    let view = run(world.vault.consent_current(&alice)).unwrap();
    let shown = format!(
        "{put:?} {opened:?} {open:?} {view:?} {:?} {:?} {:?}",
        world.vault,
        world.vault.keychain(),
        world.vault.keychain().identity(),
    );
    let subject_bytes = "01, 1, 1, 1";
    for canary in [
        "CANARY",
        "67, 65, 78, 65, 82",
        subject_bytes,
        &alice.to_string(),
    ] {
        assert!(!shown.contains(canary), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is put in, in whatever order of projections, comes out unchanged.
    #[test]
    fn any_content_reads_back(
        stored in prop::collection::vec(any::<u8>(), 0..2_000),
        parts in prop::collection::btree_set(1_usize..=6, 0..6),
        provenance in prop::collection::vec(any::<u8>(), 0..50),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(seed);
        let mut bytes = [0; 32];
        world.rng.fill(&mut bytes);
        let alice = codec::SubjectId::new(bytes);
        world.open(alice);
        let projections = parts.iter().rev().map(|n| Projection {
            category: Category::ALL[n - 1],
            rule_version: u16::try_from(*n).unwrap(),
            bytes: projected(Category::ALL[n - 1], &stored),
        });
        let new = NewRecord {
            projections: projections.collect(),
            stored_form: Zeroizing::new(stored.clone()),
            provenance: Zeroizing::new(provenance.clone()),
            ..new_record(1, "x")
        };
        world.put(alice, new);
        let opened = run(world.vault.record_get(&alice, &record(1), None, &Parts::All)).unwrap();
        prop_assert_eq!(opened.stored_form().unwrap().bytes(), &stored[..]);
        prop_assert_eq!(opened.meta.size_bytes(), stored.len() as u64);
        prop_assert_eq!(opened.meta.provenance.as_slice(), &provenance[..]);
        prop_assert_eq!(opened.parts.len(), parts.len() + 1);
        for n in parts {
            let part = opened.projection(Category::ALL[n - 1]).unwrap();
            prop_assert_eq!(part.bytes(), &projected(Category::ALL[n - 1], &stored)[..]);
            prop_assert_eq!(usize::from(part.rule_version), n);
        }
    }
}
