//! Clustered phenotype extracts: attacks and utility on published cases, time and memory on a
//! made-up crowd.

use super::super::{
    PrivacyOptions,
    diagnosis::{cases, tell},
};
use crate::demo::memory_mib;
use anyhow::{Context as _, Result};
use diagnosis::{
    OnsetClass,
    measure::{Case, Corpus, read_cases},
};
use extract::{
    AgeBand, Cohort, Config, Diversity, Hpo, Knows, Limits, Subject, cluster,
    measure::{How, Measured, Person, Row, crowd, measure, spread},
};
use ontology::{Ontology, Shipped};
use serde::Serialize;
use std::{fmt::Write as _, path::Path, time::Instant};

/// Where the development cases are, seen from a checkout; they are not part of the repository.
const CASES: &str = "../shared/data/cases/dev.jsonl.zst";

/// People whom an attack looks for in each of four folds.
const TARGETS: u32 = 1_500;

const SEED: u64 = 1;

/// Made-up people for time and memory.
const CROWD: u32 = 100_000;

#[derive(Serialize)]
pub(super) struct Answer {
    /// The file of cases; `None`: there is none, and nothing but time was measured.
    cases: Option<String>,
    /// People among them.
    people: usize,
    /// For each way of making extracts.
    measured: Vec<Measured>,
    /// Making an extract of a crowd.
    times: Vec<Timed>,
}

/// Time and memory of one extract.
#[derive(Serialize)]
struct Timed {
    cohort: &'static str,
    k: u32,
    subjects: u32,
    seconds: f64,
    records_per_second: f64,
    memory_mib: f64,
}

pub(super) fn run(options: &PrivacyOptions) -> Result<Answer> {
    let ontology =
        Ontology::from_sources(&Shipped::unpack().sources()).context("the shipped data")?;
    let hpo = Hpo::new(&ontology);
    let path = options.cases.as_deref().unwrap_or(Path::new(CASES));
    let configs = configs(options.k);
    let (mut people, mut measured) = (Vec::new(), Vec::new());
    let there = options.cases.is_some() || path.exists();
    if there {
        let cases = read_cases(&ontology, &cases(path)?)
            .with_context(|| format!("{} is refused", path.display()))?;
        people = cases.iter().filter_map(person).collect();
        for config in &configs {
            tell(&format!(
                "attacking extracts of {} people: k = {}, {}",
                people.len(),
                config.k,
                name(config)
            ));
            let how = How {
                config: *config,
                limits: Limits::default(),
                targets: TARGETS,
                seed: SEED,
            };
            let found =
                measure(&hpo, &people, &how).context("there is no extract of these cases")?;
            measured.push(found);
        }
    } else {
        tell(&format!(
            "no cases at {CASES}: name a file with --cases; only time is measured"
        ));
    }
    Ok(Answer {
        cases: there.then(|| path.display().to_string()),
        people: people.len(),
        measured,
        times: times(&hpo, &configs)?,
    })
}

fn configs(k: Option<u32>) -> Vec<Config> {
    let mixed = Cohort::Mixed(Diversity::default());
    let of = |k, cohort| Config {
        k,
        cohort,
        ..Config::default()
    };
    let all: &[(u32, Cohort)] = &[(5, Cohort::Diagnosis), (11, Cohort::Diagnosis), (5, mixed)];
    match k {
        None => all.iter().map(|&(k, cohort)| of(k, cohort)).collect(),
        Some(k) => vec![of(k, Cohort::Diagnosis), of(k, mixed)],
    }
}

/// A case of a corpus in which each case is another person's, and which names publications.
fn person(case: &Case) -> Option<Person> {
    if case.corpus != Corpus::PhenopacketStore {
        return None;
    }
    let paper = case.paper.as_ref()?;
    let mut id = [0; 32];
    id[..8].copy_from_slice(&spread(&case.id).to_le_bytes());
    Some(Person {
        subject: Subject {
            id,
            observed: case.findings.observed().to_vec(),
            excluded: case.findings.excluded().to_vec(),
            sex: case.findings.sex(),
            age: case.findings.age().map(band),
            diagnosis: case.diseases.first().and_then(|id| id.parse().ok()),
        },
        family: spread(paper),
    })
}

fn band(age: OnsetClass) -> AgeBand {
    match age {
        OnsetClass::Antenatal
        | OnsetClass::Congenital
        | OnsetClass::Neonatal
        | OnsetClass::Infantile => AgeBand::Under1,
        OnsetClass::Childhood => AgeBand::From1To4,
        OnsetClass::Juvenile => AgeBand::From5To15,
        OnsetClass::YoungAdult => AgeBand::From16To39,
        OnsetClass::MiddleAge => AgeBand::From40To59,
        OnsetClass::Late => AgeBand::From60,
    }
}

fn times(hpo: &Hpo<'_>, configs: &[Config]) -> Result<Vec<Timed>> {
    tell(&format!("extracts of {CROWD} made-up people"));
    let people = crowd(hpo, CROWD, SEED);
    let timed = |config: &Config| -> Result<Timed> {
        let from = Instant::now();
        let made = cluster(hpo, &people, config).context("there is no extract of a crowd")?;
        let seconds = from.elapsed().as_secs_f64();
        let memory_mib = memory_mib().unwrap_or(0.0);
        drop(made);
        Ok(Timed {
            cohort: name(config),
            k: config.k,
            subjects: CROWD,
            seconds,
            records_per_second: f64::from(CROWD) / seconds.max(f64::EPSILON),
            memory_mib,
        })
    };
    configs.iter().map(timed).collect()
}

const fn name(config: &Config) -> &'static str {
    match config.cohort {
        Cohort::Diagnosis => "each diagnosis a cohort",
        Cohort::Mixed(_) => "one mixed cohort",
    }
}

impl Answer {
    pub(super) fn shown(&self) -> String {
        let mut out = String::new();
        for measured in &self.measured {
            section(&mut out, self.people, measured);
        }
        if self.cases.is_none() {
            line(
                &mut out,
                "no cases: nothing was attacked; name a file with --cases",
            );
        }
        for timed in &self.times {
            line(
                &mut out,
                &format!(
                    "{} made-up people, k = {}, {}: {:.1} s, {:.0} records a second, {:.0} MiB resident afterwards",
                    timed.subjects,
                    timed.k,
                    timed.cohort,
                    timed.seconds,
                    timed.records_per_second,
                    timed.memory_mib
                ),
            );
        }
        out
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn section(out: &mut String, people: usize, measured: &Measured) {
    let counts = &measured.counts;
    line(
        out,
        &format!(
            "k = {}, {}: of {people} people {:.0} given in each fold, {:.0} in {:.0} clusters; {:.0} diagnoses, {:.0} refused; {:.0} clusters withhold it",
            measured.config.k,
            name(&measured.config),
            counts.given,
            counts.released,
            counts.clusters,
            counts.diagnoses,
            counts.diagnoses_refused,
            counts.withheld
        ),
    );
    line(
        out,
        &format!(
            "{:<14}{:>7}{:>7}{:>7}{:>7}{:>7}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>7}{:>18}{:>18}",
            "per cent",
            "1 term",
            "2",
            "3",
            "5",
            "record",
            "3 + dx",
            "all",
            "unique",
            "singled",
            "member",
            "dx more",
            "kept",
            "top 1 by family",
            "by person"
        ),
    );
    for (name, of) in [
        ("raw", &measured.raw),
        ("generalised 11", &measured.generalised),
        ("clusters", &measured.clusters),
    ] {
        line(out, &row(name, of, &measured.raw));
    }
    let after = &measured.clusters.attacks.differencing;
    for (name, found) in after
        .iter()
        .map(|d| ("after an earlier release", d))
        .chain([("made afresh", &measured.afresh)])
    {
        line(
            out,
            &format!(
                "differencing, {name}: who was added {:.1} % ({}), removed {:.1} % ({}); of {} in both, {:.1} % with fewer than k companions, {:.1} % alone",
                found.added.rate * 100.0,
                found.added.targets,
                found.removed.rate * 100.0,
                found.removed.targets,
                found.in_both,
                found.companions_below_k * 100.0,
                found.alone * 100.0
            ),
        );
    }
    line(
        out,
        &format!(
            "a release after an earlier one has {:.0} people; {:.0} wait",
            counts.released_after, counts.waiting
        ),
    );
    for verdict in &measured.clusters.attacks.verdicts {
        let found = verdict
            .measured
            .map_or("not measured".to_owned(), |m| format!("{:.1} %", m * 100.0));
        let must = format!(
            "(must: {} {:.1} %)",
            if verdict.strict { "<" } else { "<=" },
            verdict.limit * 100.0
        );
        let verdict_word = if verdict.held { "ok" } else { "MISSED" };
        line(
            out,
            &format!("  {:<22}{found:>13}  {must} {verdict_word}", verdict.attack),
        );
    }
    out.push('\n');
}

fn row(name: &str, of: &Row, raw: &Row) -> String {
    let mut text = format!("{name:<14}");
    for (knows, width) in Knows::ALL.into_iter().zip([7, 7, 7, 7, 7, 8, 8]) {
        let rate = of.attacks.linkage(knows).map_or(0.0, |l| l.rate);
        write!(text, "{:>width$.1}", rate * 100.0).ok();
    }
    let unique = of
        .attacks
        .linkage
        .iter()
        .map(|l| l.unique_and_correct)
        .fold(0.0, f64::max);
    let member = of
        .attacks
        .membership
        .as_ref()
        .map_or(f64::NAN, |m| m.advantage);
    let more = of
        .attacks
        .disclosure
        .as_ref()
        .map_or(f64::NAN, |d| d.beyond);
    for share in [unique, of.attacks.singling_out.excess, member, more] {
        write!(text, "{:>8.1}", share * 100.0).ok();
    }
    write!(text, "{:>7.1}", of.kept.recall * 100.0).ok();
    for (utility, raw) in [
        (&of.by_family, &raw.by_family),
        (&of.by_person, &raw.by_person),
    ] {
        let ratio = |part: f64, whole: f64| part / whole.max(f64::EPSILON);
        let pair = format!(
            "{:.1} ({:.2}/{:.2})",
            utility.top1 * 100.0,
            ratio(utility.top1, raw.top1),
            ratio(utility.top10, raw.top10)
        );
        write!(text, "{pair:>18}").ok();
    }
    text
}
