//! The original files that come with the program: compressed, unaltered, each with the attribution
//! that its licence asks for.

use crate::{
    source::{Source, Sources},
    tables::SourceKind,
};
use xxhash_rust::xxh3::xxh3_128;

/// Where a source comes from and under which terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribution {
    /// Which original.
    pub kind: SourceKind,
    /// What it is and who makes it.
    pub title: &'static str,
    /// Where it is found.
    pub url: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// What has to be shown or passed on with the data.
    pub notice: &'static str,
}

const HPO_NOTICE: &str = "This service uses the Human Phenotype Ontology. Find out more at \
    https://www.human-phenotype-ontology.org. The files are shown with their version and are not altered.";
const HPO_LICENCE: &str =
    "HPO licence: free use with attribution, version shown, content unaltered";
const MONDO_NOTICE: &str = "Mondo Disease Ontology, Monarch Initiative.";
const MONDO_LICENCE: &str = "CC BY 4.0 (the mapping sets themselves say CC0 1.0)";

/// What has to be shown with the data, for every source.
pub const ATTRIBUTIONS: [Attribution; 7] = [
    Attribution {
        kind: SourceKind::Hpo,
        title: "Human Phenotype Ontology, hp.obo",
        url: "https://hpo.jax.org",
        licence: HPO_LICENCE,
        notice: HPO_NOTICE,
    },
    Attribution {
        kind: SourceKind::Annotations,
        title: "Human Phenotype Ontology, disease annotations (phenotype.hpoa)",
        url: "https://hpo.jax.org",
        licence: HPO_LICENCE,
        notice: HPO_NOTICE,
    },
    Attribution {
        kind: SourceKind::Genes,
        title: "Human Phenotype Ontology, genes_to_phenotype.txt",
        url: "https://hpo.jax.org",
        licence: HPO_LICENCE,
        notice: HPO_NOTICE,
    },
    Attribution {
        kind: SourceKind::Orphanet,
        title: "Orphadata: prevalence, onset, inheritance, phenotypes and genes of rare disorders",
        url: "https://www.orphadata.com",
        licence: "CC BY 4.0",
        notice: "Orphadata: Free access data from Orphanet. (c) INSERM. Compacted to one JSON object a disorder.",
    },
    Attribution {
        kind: SourceKind::MondoOmim,
        title: "Mondo, exact matches to OMIM",
        url: "https://mondo.monarchinitiative.org",
        licence: MONDO_LICENCE,
        notice: MONDO_NOTICE,
    },
    Attribution {
        kind: SourceKind::MondoOrphanet,
        title: "Mondo, exact matches to Orphanet",
        url: "https://mondo.monarchinitiative.org",
        licence: MONDO_LICENCE,
        notice: MONDO_NOTICE,
    },
    Attribution {
        kind: SourceKind::Loinc,
        title: "loinc2hpoAnnotation, The Jackson Laboratory: LOINC results as HPO terms",
        url: "https://github.com/TheJacksonLaboratory/loinc2hpoAnnotation",
        licence: "loinc2hpo licence, with the LOINC notice",
        notice: include_str!("../data/LOINC2HPO-LICENSE.md"),
    },
];

impl SourceKind {
    /// Where it comes from and under which terms.
    pub fn attribution(self) -> &'static Attribution {
        &ATTRIBUTIONS[self as usize]
    }

    /// What its maker calls the file.
    pub const fn file_name(self) -> &'static str {
        PACKED[self as usize].name
    }
}

struct Packed {
    name: &'static str,
    version: &'static str,
    size_bytes: usize,
    bytes: &'static [u8],
}

macro_rules! packed {
    ($name:literal, $size:literal, $version:literal) => {
        Packed {
            name: $name,
            version: $version,
            size_bytes: $size,
            bytes: include_bytes!(concat!("../data/", $name, ".zst")),
        }
    };
}

/// In the order of [`SourceKind`]; versions only for files that do not carry one.
const PACKED: [Packed; 7] = [
    packed!("hp.obo", 10_021_952, ""),
    packed!("phenotype.hpoa", 33_669_223, ""),
    packed!("genes_to_phenotype.txt", 19_746_634, "2025-01-16"),
    packed!(
        "orphanet.jsonl",
        9_778_258,
        "2025-12-09 (Orphanet/orphapacket cbae63b4)"
    ),
    packed!("mondo_exactmatch_omim.sssom.tsv", 1_527_246, ""),
    packed!("mondo_exactmatch_orphanet.sssom.tsv", 1_510_677, ""),
    packed!(
        "loinc2hpo-annotations.tsv",
        424_134,
        "2021-11-07 (c1068d6d)"
    ),
];

/// The shipped originals, unpacked: about 77 MB, needed only to make an index.
pub struct Shipped {
    files: [Vec<u8>; 7],
}

impl Shipped {
    /// Names the shipped files as they are packed (XXH3-128): another digest, other data.
    pub fn digest() -> u128 {
        let digests = PACKED.map(|packed| xxh3_128(packed.bytes).to_le_bytes());
        xxh3_128(&digests.concat())
    }

    /// Unpacks all of them.
    pub fn unpack() -> Self {
        Self {
            files: std::array::from_fn(|at| {
                let packed = &PACKED[at];
                let file = zstd::bulk::decompress(packed.bytes, packed.size_bytes);
                // INVARIANT: the files are part of the program, and a test unpacks each.
                assert!(file.is_ok(), "{} does not unpack", packed.name);
                file.unwrap_or_default()
            }),
        }
    }

    /// As [`crate::compile`] takes them.
    pub fn sources(&self) -> Sources<'_> {
        Sources::from_fn(|kind| self.source(kind))
    }

    /// One of them.
    pub fn source(&self, kind: SourceKind) -> Source<'_> {
        let packed = &PACKED[kind as usize];
        Source {
            name: packed.name,
            version: packed.version,
            bytes: &self.files[kind as usize],
        }
    }
}
