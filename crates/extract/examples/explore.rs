//! Exploration.
#![allow(
    clippy::all,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]
use diagnosis::measure;
use extract::measure as measure_;
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

    let all: Vec<measure_::Person> = cases
        .iter()
        .filter(|c| c.corpus == measure::Corpus::PhenopacketStore)
        .map(|c| {
            let mut id = [0u8; 32];
            id[..8].copy_from_slice(&hash(&c.id).to_le_bytes());
            measure_::Person {
                family: hash(c.paper.as_deref().unwrap_or("")),
                subject: Subject {
                    id,
                    observed: c.findings.observed().to_vec(),
                    excluded: c.findings.excluded().to_vec(),
                    sex: c.findings.sex(),
                    age: None,
                    diagnosis: c.diseases[0].parse().ok(),
                },
            }
        })
        .collect();
    let k: u32 = args[1].parse().unwrap();
    let t = std::time::Instant::now();
    let mut configs = vec![Config {
        k,
        ..Config::default()
    }];
    if args.len() > 2 {
        configs = vec![Config {
            k,
            cohort: Cohort::Mixed(Diversity::default()),
            ..Config::default()
        }];
    }
    for c in configs {
        let m = measure_::measure(
            &hpo,
            &all,
            &measure_::How {
                config: c,
                limits: Limits::default(),
                targets: 1500,
                seed: 1,
            },
        )
        .unwrap();
        for (n, r) in [
            ("raw", &m.raw),
            ("gen", &m.generalised),
            ("clusters", &m.clusters),
        ] {
            println!(
                "{n} {:?} fam {:?} person {:?}",
                r.kept, r.by_family, r.by_person
            );
            for l in &r.attacks.linkage {
                println!(
                    "   {:?} {:.4} unique {:.4} row {:.3} {} {}",
                    l.knows, l.rate, l.unique_and_correct, l.right_row, l.targets, l.way
                );
            }
            println!(
                "   {:?}\n   {:?}\n   {:?}\n {:#?}",
                r.attacks.singling_out,
                r.attacks.membership,
                r.attacks.disclosure,
                r.attacks.differencing
            );
            for v in &r.attacks.verdicts {
                println!("   {v:?}");
            }
        }
        println!("{:?}", m.afresh);
        println!("{:?} {:?}", m.counts, t.elapsed());
    }
    let crowd = measure_::crowd(&hpo, 100_000, 1);
    for cohort in [Cohort::Diagnosis, Cohort::Mixed(Diversity::default())] {
        let t = std::time::Instant::now();
        let e = cluster(
            &hpo,
            &crowd,
            &Config {
                k,
                cohort,
                ..Config::default()
            },
        )
        .unwrap();
        println!(
            "crowd {:?} {} clusters {} kept {:?} {}",
            t.elapsed(),
            e.size(),
            e.clusters.len(),
            e.kept,
            std::fs::read_to_string("/proc/self/status")
                .unwrap()
                .lines()
                .find(|l| l.starts_with("VmHWM"))
                .unwrap()
        );
    }
}
