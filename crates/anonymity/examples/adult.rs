//! Figures on the Adult data: `cargo run --release -p ithaca-anonymity --example adult -- DIR [sensitive columns...]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]
use anonymity::{Background, Config, Hierarchy, Recoding, Table, anonymise};
use std::{fs, time::Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap();
    let rest: Vec<String> = args.collect();
    let text = fs::read_to_string(format!("{dir}/adult.csv")).unwrap();
    let names: Vec<String> = text.lines().next().unwrap().trim().split(';').map(str::to_owned).collect();
    let mut builder = Table::builder();
    for name in &names {
        builder = if rest.contains(name) {
            builder.sensitive(name)
        } else {
            let h = fs::read_to_string(format!("{dir}/adult_hierarchy_{name}.csv")).unwrap();
            builder.quasi(name, Hierarchy::parse(&h).unwrap())
        };
    }
    builder.push_delimited(&text, ';').unwrap();
    let table = builder.build().unwrap();
    for recoding in [Recoding::Global, Recoding::Local] {
        for average_risk in [None, Some(0.0275)] {
            let started = Instant::now();
            let config = Config { recoding, suppression: 0.05, average_risk, ..Config::k_anonymity(5) };
            let made = anonymise(&table, &config).unwrap();
            let risk = made.classes().risk(Background::None, 0.2);
            println!("{recoding:?} {average_risk:?}: {:?} granularity {:.4} suppressed {} classes {} average {:.4} highest {:.3} k {}",
                started.elapsed(), made.granularity(), made.suppressed(), risk.classes, risk.prosecutor.average, risk.prosecutor.highest, made.classes().k());
        }
    }
}
