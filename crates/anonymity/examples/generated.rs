//! Figures on made-up tables, even, skewed, heaped and related:
//! `cargo run --release -p ithaca-anonymity --example generated`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use anonymity::{Background, Config, Hierarchy, Recoding, Table, anonymise};
use std::time::Instant;

/// Numbers that look random, the same on every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// The smaller, the more often.
    fn skewed(&mut self, end: u64) -> u64 {
        let most = self.below(end) + 1;
        self.below(most)
    }
}

/// Values are numbers; each level divides them by more.
fn nested(leaves: u64, widths: &[u64]) -> Hierarchy {
    let mut text = String::new();
    for leaf in 0..leaves {
        text.push_str(&leaf.to_string());
        for width in widths {
            text.push_str(&format!(";{}+{width}", leaf / width * width));
        }
        text.push_str(";*\n");
    }
    Hierarchy::parse(&text).unwrap()
}

/// People of whom a hospital may know these: skewed or even, related or not, by `kind`.
fn table(rows: usize, kind: &str) -> Table {
    let mut numbers = Numbers(7);
    let mut builder = Table::builder()
        .quasi("age", nested(100, &[5, 10, 20, 60]))
        .quasi("sex", nested(2, &[]))
        .quasi("post", nested(1000, &[10, 50, 200]))
        .quasi("code", nested(300, &[4, 20, 100]))
        .quasi("year", nested(12, &[3]))
        .quasi("ward", nested(30, &[5]));
    for _ in 0..rows {
        let n = &mut numbers;
        let row = match kind {
            "even" => [
                n.below(100),
                n.below(2),
                n.below(1000),
                n.below(300),
                n.below(12),
                n.below(30),
            ],
            "skewed" => [
                n.skewed(100),
                n.below(2),
                n.skewed(1000),
                n.skewed(300),
                n.skewed(12),
                n.skewed(30),
            ],
            // Few different records, each often: a few stand out.
            "heaped" => {
                let of = n.skewed(60);
                let other = if n.below(20) == 0 {
                    n.below(30)
                } else {
                    of % 30
                };
                [of, of % 2, of * 16, of * 5, of % 12, other]
            }
            _ => {
                let (age, ward) = (n.skewed(100), n.below(30));
                [
                    age,
                    n.below(2),
                    ward * 33 + n.below(40).min(10),
                    (age * 3).saturating_sub(n.skewed(50)) % 300,
                    n.below(12),
                    ward,
                ]
            }
        };
        builder.push(&row.map(|value| value.to_string())).unwrap();
    }
    builder.build().unwrap()
}

fn main() {
    for (rows, kind) in [
        (2_000, "even"),
        (30_000, "even"),
        (30_000, "skewed"),
        (30_000, "heaped"),
        (30_000, "related"),
        (300_000, "related"),
    ] {
        let table = table(rows, kind);
        for (recoding, average_risk) in [
            (Recoding::Global, Some(0.01)),
            (Recoding::Local, Some(0.01)),
            (Recoding::Local, Some(0.05)),
            (Recoding::Local, None),
        ] {
            let config = Config {
                recoding,
                suppression: 0.02,
                average_risk,
                ..Config::k_anonymity(5)
            };
            let started = Instant::now();
            let made = anonymise(&table, &config);
            let elapsed = started.elapsed();
            let Ok(made) = made else {
                println!("{rows} {kind}, {recoding:?} {average_risk:?}: refused, {elapsed:.1?}");
                continue;
            };
            let risk = made.classes().risk(Background::None, 0.2);
            println!(
                "{rows} {kind}, {recoding:?} {average_risk:?}: granularity {:.4}, k {}, average risk {:.4}, suppressed {}, {elapsed:.1?}",
                made.granularity(),
                made.classes().k(),
                risk.prosecutor.average,
                made.suppressed(),
            );
        }
    }
}
