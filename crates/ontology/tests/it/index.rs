//! The index file: the same bytes for the same sources, and no other bytes are opened.

use crate::{INDEX, ONTOLOGY, small::Small};
use ontology::{FORMAT, Ontology, OpenError, Shipped};
use proptest::prelude::*;

#[test]
fn the_same_sources_give_the_same_bytes() {
    let again = ontology::compile(&Shipped::unpack().sources()).expect("shipped originals");
    assert!(again == *INDEX, "two runs differ");
    assert!(
        ONTOLOGY.to_index() == *INDEX,
        "an opened index differs from what was opened"
    );
}

#[test]
fn where_a_file_lay_does_not_matter() {
    let mut moved = Small::new();
    moved.files[0].0 = "/some/where/hp.obo.zst";
    let expect = Small::new().compile().expect("small files");
    assert!(moved.compile().expect("the same content") == expect);
}

#[test]
fn golden_bytes_of_a_small_index() {
    let index = Small::new().compile().expect("small files");
    // The format: if this changes, FORMAT has to.
    assert_eq!((FORMAT, index.len()), (1, GOLDEN_BYTES));
    assert_eq!(index[28..44], GOLDEN_CHECKSUM);
}

const GOLDEN_BYTES: usize = 5_405;
const GOLDEN_CHECKSUM: [u8; 16] = [
    27, 47, 190, 3, 120, 161, 183, 225, 230, 241, 110, 182, 20, 225, 214, 31,
];

#[test]
fn every_flipped_bit_is_refused() {
    let index = Small::new().compile().expect("small files");
    for at in 0..index.len() {
        for bit in 0..8 {
            let mut damaged = index.clone();
            damaged[at] ^= 1 << bit;
            assert!(Ontology::open(&damaged).is_err(), "byte {at} bit {bit}");
        }
    }
    let mut large = INDEX.clone();
    for at in (0..large.len()).step_by(large.len() / 40) {
        large[at] ^= 0x10;
        assert!(Ontology::open(&large).is_err(), "byte {at}");
        large[at] ^= 0x10;
    }
    assert!(Ontology::open(&large).is_ok());
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    let index = Small::new().compile().expect("small files");
    for end in 0..index.len() {
        assert!(Ontology::open(&index[..end]).is_err(), "cut at {end}");
    }
    let mut longer = index.clone();
    longer.push(0);
    assert!(matches!(
        Ontology::open(&longer),
        Err(OpenError::Size { .. })
    ));
    let mut other = index;
    other[16] = 99;
    assert!(matches!(
        Ontology::open(&other),
        Err(OpenError::Format { found: 99 })
    ));
    assert!(matches!(Ontology::open(b"PK"), Err(OpenError::NotAnIndex)));
}

/// The checksum of a changed body, put where it belongs.
fn resealed(mut index: Vec<u8>) -> Vec<u8> {
    let length = (index.len() - 44) as u64;
    index[20..28].copy_from_slice(&length.to_le_bytes());
    let checksum = xxhash_rust::xxh3::xxh3_128(&index[44..]);
    index[28..44].copy_from_slice(&checksum.to_le_bytes());
    index
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A forged body under a right checksum is refused or is an ontology that can be read through.
    #[test]
    fn no_forged_body_makes_reading_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut index = Small::new().compile().expect("small files");
        for (place, byte) in changes {
            let at = 44 + place.index(index.len() - 44);
            index[at] = byte;
        }
        if let Some(place) = cut {
            index.truncate(44 + place.index(index.len() - 44));
        }
        if let Ok(ontology) = Ontology::open(&resealed(index)) {
            for ix in ontology.terms() {
                let term = ontology.term(ix);
                prop_assert!(ontology.ancestors(ix).len() + ontology.descendants(ix).len() >= 2);
                let _ = (term.label(), term.definition(), term.synonyms().count(), term.children());
            }
            for ix in ontology.diseases() {
                let disease = ontology.disease(ix);
                let _ = (disease.name(), disease.genes(), disease.mondo());
                for a in disease.annotations() {
                    let _ = (a.modifiers(&ontology), a.curation(&ontology));
                    for &r in a.references(&ontology) {
                        let _ = ontology.reference(r);
                    }
                }
            }
            for ix in ontology.orphanet_disorders() {
                let disorder = ontology.orphanet(ix);
                let _ = (disorder.label(), disorder.kind(), disorder.prevalences().count(), disorder.diseases());
            }
            let _ = (ontology.search("seizure", 5), ontology.notices().count(), ontology.versions().count());
        }
    }
}
