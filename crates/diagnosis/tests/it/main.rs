//! The engine against the shipped ontology and published cases.

#![expect(clippy::expect_used, reason = "tests")]

mod accuracy;
mod evidence;
mod input;
mod session;
mod stored;

use diagnosis::{CaseCounts, Findings, Model, Presentation, Weights, measure};
use ontology::{HpoId, Ontology, Shipped, TermIx};
use std::sync::LazyLock;

static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| {
    Ontology::from_sources(&Shipped::unpack().sources()).expect("the shipped originals")
});

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let weights = Weights::shipped().expect("the shipped weights");
    Model::new(&ONTOLOGY, weights, &CaseCounts::default())
});

/// Published cases; see `testdata/ATTRIBUTION.md`.
static CASES: LazyLock<Vec<measure::Case>> = LazyLock::new(|| {
    let packed = include_bytes!("../../testdata/cases.jsonl.zst");
    let text = zstd::decode_all(packed.as_slice()).expect("zstd");
    let text = String::from_utf8(text).expect("UTF-8");
    measure::read_cases(&ONTOLOGY, &text).expect("cases")
});

fn id(text: &str) -> HpoId {
    text.parse().expect("an HPO id")
}

fn term(text: &str) -> TermIx {
    ONTOLOGY.live(id(text)).expect("a live term")
}

fn findings(observed: &[&str], excluded: &[&str]) -> Findings {
    let input = Presentation {
        observed: observed.iter().map(|t| id(t)).collect(),
        excluded: excluded.iter().map(|t| id(t)).collect(),
        ..Presentation::default()
    };
    Findings::read(&ONTOLOGY, &input).expect("findings").0
}

/// Marfan syndrome by the book: ectopia lentis, aortic root aneurysm, arachnodactyly, tall stature,
/// pectus excavatum.
const MARFAN: &[&str] = &[
    "HP:0001083",
    "HP:0002616",
    "HP:0001166",
    "HP:0000098",
    "HP:0000767",
];
