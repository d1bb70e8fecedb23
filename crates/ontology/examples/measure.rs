//! How long the ontology takes: `cargo run --release -p ithaca-ontology --example measure`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used)]

use ontology::{Ontology, Shipped, compile};
use std::{hint::black_box, time::Instant};

const QUERIES: [&str; 12] = [
    "seizure",
    "siezure",
    "floppy baby",
    "small head",
    "low set ears",
    "HP:0001250",
    "hipotonia",
    "short fingers",
    "intelectual disabilty severe",
    "abnormality of the",
    "global developmental delay",
    "cannot hear very well in both of the ears since birth",
];

fn main() {
    let start = Instant::now();
    let shipped = Shipped::unpack();
    println!("unpack {:?}", start.elapsed());
    let start = Instant::now();
    let index = compile(&shipped.sources()).expect("shipped originals");
    println!("compile {:?}, {} bytes", start.elapsed(), index.len());
    drop(shipped);
    for _ in 0..5 {
        let start = Instant::now();
        let ontology = Ontology::open(&index).expect("index");
        println!("open {:?}", start.elapsed());
        black_box(ontology);
    }
    let ontology = Ontology::open(&index).expect("index");
    drop(index);
    let mut times = Vec::new();
    for query in QUERIES {
        for (end, _) in query.char_indices().chain([(query.len(), ' ')]).skip(1) {
            let typed = &query[..end];
            let start = Instant::now();
            black_box(ontology.search(typed, 20));
            times.push((start.elapsed(), typed));
        }
    }
    times.sort_unstable();
    println!(
        "{} keystrokes, median {:?}, worst {:?}",
        times.len(),
        times[times.len() / 2],
        &times[times.len() - 3..]
    );
    for query in std::env::args().skip(1) {
        println!("{query}");
        for hit in ontology.search(&query, 6) {
            println!(
                "  {:.3} {} {} | {} {:?} {}",
                hit.score,
                ontology.term(hit.term).id(),
                ontology.term(hit.term).label(),
                hit.text,
                hit.kind,
                hit.corrected
            );
        }
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status
            .lines()
            .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
        {
            println!("{line}");
        }
    }
}
