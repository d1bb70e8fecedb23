//! Fits and measures the engine: what `cargo xtask fit-diagnosis` runs.
//!
//! `fit --cases FILE [--out FILE] [--without FEATURE,...] [--bench] [--replay] [--stored] [--reanalysis]`: without `--out` nothing
//! is written. FILE is JSON lines, as they are or with a name that ends in `.zst`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a command-line tool that reads the real clock"
)]

use diagnosis::{CaseCounts, Model, Session, Standing, Weights, fit, measure};
use ontology::{Ontology, Shipped};
use std::{env, error::Error, fs, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)
    };
    let has = |name: &str| args.iter().any(|a| a == name);
    let path = value("--cases").ok_or(
        "usage: fit --cases FILE [--out FILE] [--without FEATURE,...] [--bench] [--replay] [--stored] [--reanalysis]",
    )?;
    let bytes = fs::read(path).map_err(|e| {
        format!(
            "{path}: {e}: the development cases are not part of the repository; name where they are"
        )
    })?;
    let bytes = match path.ends_with(".zst") {
        true => zstd::decode_all(bytes.as_slice())?,
        false => bytes,
    };
    let start = Instant::now();
    let ontology = Ontology::from_sources(&Shipped::unpack().sources())?;
    println!("ontology: {:?}", start.elapsed());
    let cases = measure::read_cases(&ontology, std::str::from_utf8(&bytes)?)?;
    let left_out: Vec<String> = value("--without")
        .map(|names| names.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let stored = CaseCounts::default();
    let start = Instant::now();
    let weights = match value("--weights") {
        Some(path) => Weights::read(&fs::read(path)?)?,
        None => {
            let model = Model::new(&ontology, Weights::unfitted(), &stored);
            println!(
                "model: {} diseases, {:?}",
                model.disease_count(),
                start.elapsed()
            );
            let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
            let weights = fit::fit(
                &ontology,
                &model,
                &cases,
                &format!("{hash:016x}"),
                &left_out,
            );
            println!(
                "fitted on {} cases in {:?}",
                weights.fitted_on.cases_used,
                start.elapsed()
            );
            weights
        }
    };
    println!("{}", serde_json::to_string(&weights.full)?);
    if let Some(out) = value("--out") {
        fs::write(out, weights.write()?)?;
        println!("written: {out}");
    }
    let model = Model::new(&ontology, weights, &stored);
    if has("--bench") {
        // The thread's own time: what another process takes from a shared core is not counted.
        let clock = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap_or(0)
        };
        let bench = measure::bench(&model, &cases, &clock);
        for (name, s) in bench.strata.iter().chain(&bench.resnik) {
            println!(
                "{name:14} n {:5} missing {:5} top1 {:.3} top3 {:.3} top5 {:.3} top10 {:.3} mrr {:.3} ece {:.3} (by chance {:.3})",
                s.n, s.missing, s.top1, s.top3, s.top5, s.top10, s.mrr, s.ece, s.ece_by_chance
            );
        }
        println!("{:?}", bench.latency_us);
    }
    if has("--reanalysis") {
        let start = Instant::now();
        let many = cases.iter().cycle().take(10_000);
        let standings: Vec<Standing> = many
            .map(|case| Standing::of(&Session::new(&model, case.findings.clone()).rank()))
            .collect();
        println!("{} answers again in {:?}", standings.len(), start.elapsed());
    }
    if has("--stored") {
        println!("{:#?}", measure::stored(&ontology, &model, &cases));
    }
    if has("--replay") {
        println!("{:?}", measure::replay(&model, &cases));
    }
    Ok(())
}
