//! Exploration.
#![allow(
    clippy::all,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]
use diagnosis::measure;
use extract::*;
use ontology::{Ontology, Shipped};
fn hash(text: &str) -> u64 {
    let mut h = 0xcbf29ce484222325_u64;
    for b in text.bytes() {
        h ^= u64::from(b);
        h = h.wrapping_mul(0x100000001b3);
    }
    let mut z = h;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes =
        zstd::decode_all(std::fs::File::open("/work/shared/data/cases/dev.jsonl.zst").unwrap())
            .unwrap();
    let ontology = Ontology::from_sources(&Shipped::unpack().sources()).unwrap();
    let cases = measure::read_cases(&ontology, std::str::from_utf8(&bytes).unwrap()).unwrap();
    let hpo = Hpo::new(&ontology);
    let all: Vec<(String, Subject)> = cases
        .iter()
        .filter(|c| c.corpus == measure::Corpus::PhenopacketStore)
        .map(|c| {
            let mut id = [0u8; 32];
            id[..8].copy_from_slice(&hash(&c.id).to_le_bytes());
            (
                c.paper.clone().unwrap_or_default(),
                Subject {
                    id,
                    observed: c.findings.observed().to_vec(),
                    excluded: c.findings.excluded().to_vec(),
                    sex: None,
                    age: None,
                    diagnosis: c.diseases[0].parse().ok(),
                },
            )
        })
        .collect();
    let by_paper = |f: u64| -> (Vec<Subject>, Vec<Subject>) {
        let (a, b): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|(p, _)| hash(p) % 5 != f);
        (
            a.into_iter().map(|x| x.1).collect(),
            b.into_iter().map(|x| x.1).collect(),
        )
    };
    let by_person = |f: u64| -> (Vec<Subject>, Vec<Subject>) {
        let (a, b): (Vec<_>, Vec<_>) = all
            .iter()
            .cloned()
            .partition(|(_, s)| (u64::from(s.id[3]) % 5) != f);
        (
            a.into_iter().map(|x| x.1).collect(),
            b.into_iter().map(|x| x.1).collect(),
        )
    };
    let k: u32 = args[1].parse().unwrap();

    let config = Config {
        k,
        ..Config::default()
    };
    for f in 0..1 {
        let (a, b) = by_paper(f);
        println!("BY PAPER {f}");
        extract::measure::explore(&hpo, &a, &b, &config);
        let (a, b) = by_person(f);
        let old: Vec<Subject> = a.iter().filter(|s| s.id[5] >= 26).cloned().collect();
        let then = cluster(&hpo, &old, &config).unwrap();
        let earlier = Earlier {
            subjects: &old,
            extract: &then,
        };
        println!("BY PERSON {f}");
        extract::measure::explore(&hpo, &a, &b, &config);
        // now: without some
        let c: Vec<Subject> = a.iter().filter(|s| s.id[6] >= 13).cloned().collect();
        for (name, e) in [
            ("afresh", cluster(&hpo, &c, &config).unwrap()),
            ("after", cluster_after(&hpo, &c, &config, earlier).unwrap()),
        ] {
            let t = attack(
                &hpo,
                &c,
                Made::Clusters(&e),
                &Against {
                    outside: &b,
                    earlier: &[earlier],
                    targets: 1500,
                },
                1,
                &Limits::default(),
            );
            println!("{name} size {} left {}", e.size(), e.left_out.len());
            for l in &t.linkage {
                println!(
                    "   {:?} {:.4} unique {:.4} row {:.3} {} {}",
                    l.knows, l.rate, l.unique_and_correct, l.right_row, l.targets, l.way
                );
            }
            println!(
                "   {:?}\n   {:?}\n   {:?}\n {:?}",
                t.singling_out, t.membership, t.disclosure, t.differencing
            );
        }
        for (l, dom, merge) in [(3, 50, 0), (3, 50, 4), (2, 60, 4), (3, 34, 8)] {
            let config = Config {
                cohort: Cohort::Mixed(Diversity {
                    l,
                    dominance_percent: dom,
                    merge_to: merge,
                }),
                ..config
            };
            extract::measure::explore(&hpo, &a, &b, &config);
            let e = cluster(&hpo, &a, &config).unwrap();
            println!(
                "withheld {}",
                e.clusters
                    .iter()
                    .filter(|c| c.profile.diagnoses == Diagnoses::Withheld)
                    .count()
            );
            let t = attack(
                &hpo,
                &a,
                Made::Clusters(&e),
                &Against {
                    outside: &b,
                    earlier: &[],
                    targets: 1500,
                },
                1,
                &Limits::default(),
            );
            for l in &t.linkage {
                println!(
                    "   {:?} {:.4} unique {:.4} row {:.3} {} {}",
                    l.knows, l.rate, l.unique_and_correct, l.right_row, l.targets, l.way
                );
            }
            println!(
                "   {:?}\n   {:?}\n   {:?}\n {:?}",
                t.singling_out, t.membership, t.disclosure, t.differencing
            );
        }
    }
}
