//! Figures on the Adult data: `cargo run --release -p ithaca-anonymity --example adult`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use anonymity::{Background, Config, Hierarchy, Recoding, Table, adult, anonymise};
use std::time::Instant;

fn main() {
    let text = zstd::decode_all(adult::RECORDS_ZST).unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut builder = Table::builder();
    for (column, hierarchy) in adult::HIERARCHIES {
        builder = match column {
            adult::SENSITIVE => builder.sensitive(column),
            _ => builder.quasi(column, Hierarchy::parse(hierarchy).unwrap()),
        };
    }
    builder.push_delimited(&text, ';').unwrap();
    let table = builder.build().unwrap();
    for recoding in [Recoding::Global, Recoding::Local] {
        for average_risk in [None, Some(0.0275), Some(0.0139), Some(0.0101)] {
            let config = Config {
                recoding,
                suppression: 0.05,
                average_risk,
                ..Config::k_anonymity(5)
            };
            let started = Instant::now();
            let made = anonymise(&table, &config).unwrap();
            let elapsed = started.elapsed();
            let risk = made.classes().risk(Background::None, 0.2);
            println!(
                "{recoding:?}, average risk <= {average_risk:?}: granularity {:.4}, k {}, average risk {:.4}, highest {:.3}, suppressed {}, {elapsed:.1?}",
                made.granularity(),
                made.classes().k(),
                risk.prosecutor.average,
                risk.prosecutor.highest,
                made.suppressed(),
            );
        }
    }
}
