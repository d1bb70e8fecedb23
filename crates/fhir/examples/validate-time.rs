//! Times the validation of one resource: `cargo run --release -p ithaca-fhir --example validate-time -- FILE`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures by the real clock"
)]

use fhir::{Parsed, Strictness};
use std::time::Instant;

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name a file")?;
    let source = std::fs::read(&file)?;
    let started = Instant::now();
    let parsed = Parsed::parse(&source)?;
    println!(
        "first parsing, with the table read: {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    let issues = fhir::validate(&parsed, Strictness::Strict);
    println!("first, with the invariants parsed: {:?}", started.elapsed());
    for issue in &issues {
        println!("{issue}");
    }
    let started = Instant::now();
    let mut count = 0;
    for _ in 0..ROUNDS {
        count += fhir::validate(&parsed, Strictness::Strict).len();
    }
    let each = started.elapsed() / ROUNDS;
    println!(
        "{} bytes: {each:?} a validation ({count} issues told)",
        source.len()
    );
    let started = Instant::now();
    for _ in 0..ROUNDS {
        Parsed::parse(&source)?;
    }
    println!("parsing: {:?}", started.elapsed() / ROUNDS);
    Ok(())
}
