//! The differential diagnosis on published cases: accuracy, time, and the same cases ranked by others.

use super::{DiagnosisOptions, Scratch};
use crate::{demo::memory_mib, ontologies};
use anyhow::{Context as _, Result, ensure};
use diagnosis::{
    CaseCounts, Model, Session, Weights,
    measure::{self, Bench, Case, Part, Replay, Stratum, Tally},
};
use hpo::{
    HpoSet, HpoTermId,
    annotations::{Disease as _, OmimDiseaseId},
    similarity::{Builtins, GroupSimilarity, StandardCombiner},
    term::{HpoGroup, InformationContentKind},
};
use ontology::{Database, Ontology, Shipped, SourceKind};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Instant,
};

/// A file of cases is never larger than this when it is unpacked.
const MAX_CASES_BYTES: u64 = 256 << 20;

/// The whole answer of the bench; the engine's own figures are its fields too.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    ours: Bench,
    replay: Replay,
    /// Resnik similarity by the `hpo` crate, on the uncited cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    hpo: Option<Reference>,
}

/// Somebody else's ranking.
#[derive(Serialize)]
struct Reference {
    uncited_cap3: Stratum,
    query_p50_us: f64,
    query_p99_us: f64,
}

#[expect(clippy::print_stdout, reason = "what was measured")]
pub(super) fn run(options: &DiagnosisOptions) -> Result<()> {
    let text = cases(&options.cases)?;
    let scratch = Scratch::new(None)?;
    let index = scratch.0.join("ontology.index");
    tell("compiling the index");
    let made = ontology::compile(&Shipped::unpack().sources()).context("the shipped data")?;
    fs::write(&index, &made)?;
    drop(made);
    let started = Instant::now();
    let ontology = ontologies::open(Some(&index))?;
    let weights = Weights::shipped().context("the shipped weights are damaged")?;
    let model = Model::new(&ontology, weights, &CaseCounts::default());
    let cases = measure::read_cases(&ontology, &text)
        .with_context(|| format!("{} is refused", options.cases.display()))?;
    let first = cases.first().context("the file holds no case")?;
    let answer = Session::new(&model, first.findings.clone()).differential(10);
    ensure!(
        !answer.candidates.is_empty(),
        "the first case has no candidate"
    );
    let cold_start_ms = started.elapsed().as_secs_f64() * 1e3;
    tell(&format!("ranking {} cases", cases.len()));
    let clock = || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut ours = measure::bench(&model, &cases, &clock);
    ours.cold_start_ms = cold_start_ms;
    ours.rss_bytes = bytes(memory_mib().unwrap_or(0.0));
    tell("replaying cases finding by finding");
    let replay = measure::replay(&model, &cases);
    let hpo = (!options.alone)
        .then(|| by_hpo(&scratch.0, &ontology, &model, &cases))
        .transpose()?;
    let answer = Answer { ours, replay, hpo };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{}", shown(&answer));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a long run")]
pub(super) fn tell(what: &str) {
    eprintln!("bench: {what}");
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred MiB"
)]
fn bytes(mib: f64) -> u64 {
    (mib * 1_048_576.0) as u64
}

/// The text of a file of cases, one JSON object a line, plain or compressed.
pub(super) fn cases(path: &Path) -> Result<String> {
    let read = || -> Result<String> {
        let (mut text, file) = (String::new(), File::open(path)?);
        if path.extension().is_some_and(|e| e == "zst") {
            let unpacked = zstd::Decoder::new(file)?;
            unpacked
                .take(MAX_CASES_BYTES + 1)
                .read_to_string(&mut text)?;
        } else {
            file.take(MAX_CASES_BYTES + 1).read_to_string(&mut text)?;
        }
        ensure!(
            text.len() as u64 <= MAX_CASES_BYTES,
            "it is larger than {MAX_CASES_BYTES} bytes"
        );
        Ok(text)
    };
    read().with_context(|| {
        format!(
            "cannot read {}: name a file of cases with --cases",
            path.display()
        )
    })
}

/// The same cases by the best-match average of Resnik similarities, as the `hpo` crate has it, on the same
/// release of the annotations.
fn by_hpo(scratch: &Path, ontology: &Ontology, model: &Model, cases: &[Case]) -> Result<Reference> {
    let shipped = Shipped::unpack();
    for kind in [SourceKind::Hpo, SourceKind::Annotations, SourceKind::Genes] {
        fs::write(scratch.join(kind.file_name()), shipped.source(kind).bytes)?;
    }
    let theirs = hpo::Ontology::from_standard(&scratch.to_string_lossy())
        .context("the hpo crate does not read the shipped files")?;
    let diseases: Vec<(u32, HpoSet<'_>)> = theirs
        .omim_diseases()
        .map(|disease| (id_of(disease.id()), disease.to_hpo_set(&theirs)))
        .collect();
    let similarity = GroupSimilarity::new(
        StandardCombiner::Bma,
        Builtins::Resnik(InformationContentKind::Omim),
    );
    let chosen = Part::Uncited.select(cases);
    let mut tallies = vec![Tally::default(); cases.len()];
    let mut times = Vec::new();
    for (done, at) in chosen.iter().enumerate() {
        if done % 20 == 0 {
            tell(&format!("the hpo crate: {done} of {} cases", chosen.len()));
        }
        let case = &cases[*at];
        let terms = case.order.iter().filter_map(|term| {
            HpoTermId::try_from(ontology.term(*term).id().to_string().as_str()).ok()
        });
        let patient = HpoSet::new(&theirs, terms.collect::<HpoGroup>());
        let from = Instant::now();
        let scores: Vec<(u32, f32)> = diseases
            .iter()
            .map(|(id, set)| (*id, similarity.calculate(&patient, set)))
            .collect();
        times.push(from.elapsed().as_secs_f64() * 1e6);
        let known = case.known.iter().filter(|disease| {
            let id = ontology.disease(**disease).id();
            id.database() == Database::Omim
        });
        let ranks = known.filter_map(|disease| {
            let number = ontology.disease(*disease).id().number();
            let own = scores.iter().find(|(id, _)| *id == number)?.1;
            let better = scores.iter().filter(|(_, score)| *score > own).count();
            let equal = scores.iter().filter(|(_, score)| *score == own).count();
            Some(float(better) + (float(equal) + 1.0) / 2.0)
        });
        tallies[*at] = Tally {
            rank: ranks.min_by(f64::total_cmp),
            missing: !case.known.iter().any(|disease| model.ranks(*disease)),
            ..Tally::default()
        };
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
    };
    Ok(Reference {
        uncited_cap3: Stratum::of(Part::Uncited, cases, &chosen, &tallies),
        query_p50_us: at(50).copied().unwrap_or(0.0),
        query_p99_us: at(99).copied().unwrap_or(0.0),
    })
}

fn id_of(id: &OmimDiseaseId) -> u32 {
    use hpo::annotations::AnnotationId as _;
    id.as_u32()
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn shown(answer: &Answer) -> String {
    let ours = &answer.ours;
    let mut lines = vec![format!(
        "{:<34}{:>7}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>11}",
        "accuracy, per cent",
        "n",
        "missing",
        "top 1",
        "top 3",
        "top 5",
        "top 10",
        "MRR",
        "ECE",
        "by chance"
    )];
    for (name, stratum) in &ours.strata {
        lines.push(row(name, stratum, true));
    }
    for (name, stratum) in &ours.resnik {
        lines.push(row(&format!("  Resnik, {name}"), stratum, false));
    }
    if let Some(hpo) = &answer.hpo {
        lines.push(row(
            "  Resnik of the hpo crate, uncited",
            &hpo.uncited_cap3,
            false,
        ));
    }
    let time = &ours.latency_us;
    lines.push(String::new());
    lines.push(format!(
        "{:<34}{:>12}{:>12}",
        "times on one core, us", "p50", "p99"
    ));
    let timed = |name: &str, p50: f64, p99: f64, must: f64| {
        let verdict = if p99 < must { "ok" } else { "MISSED" };
        format!("{name:<34}{p50:>12.0}{p99:>12.0}  (must: p99 < {must} us) {verdict}")
    };
    lines.push(timed(
        "a whole answer",
        time.full_p50,
        time.full_p99,
        2_000.0,
    ));
    lines.push(timed(
        "one finding more",
        time.update_p50,
        time.update_p99,
        300.0,
    ));
    lines.push(format!(
        "{:<34}{:>12.0}{:>12.0}  reference",
        "  Resnik of ours", time.resnik_p50, time.resnik_p99
    ));
    if let Some(hpo) = &answer.hpo {
        lines.push(format!(
            "{:<34}{:>12.0}{:>12.0}  reference, {:.0} times a whole answer",
            "  Resnik of the hpo crate",
            hpo.query_p50_us,
            hpo.query_p99_us,
            hpo.query_p50_us / time.full_p50.max(1.0)
        ));
    }
    let replay = &answer.replay;
    lines.push(String::new());
    lines.push(format!(
        "findings until the disease is among five: median {:.0} (Resnik {:.0}), mean {:.1} ({:.1}); {} cases, sooner in {:.0} %, later in {:.0} %",
        replay.median,
        replay.resnik_median,
        replay.mean,
        replay.resnik_mean,
        replay.n,
        replay.fewer * 100.0,
        replay.more * 100.0
    ));
    lines.push(format!(
        "cold start {:.0} ms, from an index file to the first answer; memory {:.0} MiB",
        ours.cold_start_ms,
        float(usize::try_from(ours.rss_bytes).unwrap_or(0)) / 1_048_576.0
    ));
    lines.push(format!("weights: {}", ours.weights));
    lines.join("\n")
}

fn row(name: &str, of: &Stratum, calibrated: bool) -> String {
    let percent = |share: f64| share * 100.0;
    let mut line = format!(
        "{name:<34}{:>7}{:>9}{:>8.1}{:>8.1}{:>8.1}{:>8.1}{:>8.3}",
        of.n,
        of.missing,
        percent(of.top1),
        percent(of.top3),
        percent(of.top5),
        percent(of.top10),
        of.mrr
    );
    if calibrated {
        line.push_str(&format!("{:>8.3}{:>11.3}", of.ece, of.ece_by_chance));
    }
    line
}
