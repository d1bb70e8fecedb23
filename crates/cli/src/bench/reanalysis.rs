//! Reanalysis: a node that comes back with newer knowledge makes every unsolved subject's differential again,
//! while clinicians read.

use super::{
    ReanalysisOptions, Scratch,
    deposit::{caller, submission},
    rounds::at_once,
    table::{Bound, Measured, Table},
};
use crate::{config::Config, demo::memory_mib, folder, running::Running};
use anyhow::{Context as _, Result, anyhow, ensure};
use consent::{Purpose, Role};
use diagnosis::{CaseCounts, Findings, Model, Presentation, Session, Weights};
use futures::executor::block_on;
use node::{
    Caller, Error, Handle, SubjectId,
    differential::{DifferentialQuery, Knowledge},
    subject::{SubjectOpen, Wait},
};
use ontology::{Aspect, HpoId, Ontology, Shipped, Source, SourceKind, Sources};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Depositors at once.
const AT_ONCE: usize = 32;
/// How long the node may take for a subject before the bench gives up.
const PATIENCE_EACH: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(20);
/// What a reading of one subject waits for before the next.
const BETWEEN: Duration = Duration::from_millis(10);
/// Readings before the reanalysis.
const READINGS: usize = 500;
/// Not known yet in the earlier knowledge.
const NEWS: &str = "OMIM:154700\t";

#[expect(clippy::print_stderr, reason = "what the bench is doing")]
pub(super) fn run(options: &ReanalysisOptions) -> Result<()> {
    ensure!(options.subjects > 0, "--subjects is at least 1");
    let scratch = Scratch::new(options.folder.as_ref())?;
    let passphrase = folder::fresh_passphrase(&scratch.0.join("passphrase"))?;
    let data = scratch.0.join("node");
    folder::create_demo(&data, "Bench Hospital", &passphrase)?;
    let (earlier, newer) = (knowledge(true)?, knowledge(false)?);
    let patients = patients(newer.ontology(), options.subjects);
    eprintln!("bench: {} subjects and their records", options.subjects);
    let start =
        |knowledge| Running::start_knowing(&data, &passphrase, &Config::default(), Some(knowledge));
    let running = start(earlier)?;
    let subjects = deposit(&running, &patients)?;
    eprintln!("bench: their profiles");
    let wanted = subjects.len() as u64;
    let profiles = Instant::now();
    counted(&running.handle(), "ithaca_phenotype_profiles_total", wanted)?;
    let profiles = profiles.elapsed();
    let clinician = caller(&running, Role::Geneticist)?;
    let before = readings("alone", &running.handle(), &clinician, &subjects, |read| {
        Ok(read < READINGS)
    })?;
    running.stop()?;
    eprintln!("bench: newer knowledge");
    let ranking = rank(newer.ontology(), &patients)?;
    let from = Instant::now();
    let running = start(newer)?;
    let handle = running.handle();
    let reading = {
        let (handle, clinician, subjects) = (handle.clone(), clinician, subjects.clone());
        thread::spawn(move || -> Result<Measured> {
            readings(
                "while all are made again",
                &handle,
                &clinician,
                &subjects,
                |_| Ok(metric(&handle, "ithaca_differentials_reanalysed_total")? < wanted),
            )
        })
    };
    counted(&handle, "ithaca_differentials_reanalysed_total", wanted)?;
    let took = from.elapsed();
    let during = reading
        .join()
        .map_err(|_| anyhow!("the reader panicked"))??;
    let news = metric(&handle, "ithaca_differential_changes_total")?;
    let mut table = Table::default();
    table.group(
        "a clinician reads a differential, then another after 10 ms",
        vec![before.reference(), during],
    );
    table.note("subjects", subjects.len() as f64, "");
    table.note(
        "profiles made of records",
        subjects.len() as f64 / profiles.as_secs_f64().max(1e-9),
        "/s, after the deposits",
    );
    table.note("ranking alone, one core", ranking.as_secs_f64(), "s");
    table.note_must(
        "all made again, from the node's start",
        took.as_secs_f64(),
        "s",
        Bound::AtMost(10.0 * subjects.len() as f64 / 10_000.0),
    );
    table.note("with news for their clinicians", news as f64, "");
    if let Some(memory) = memory_mib() {
        table.note("memory of this process", memory, "MiB");
    }
    table.print(options.json);
    running.stop()
}

/// The shipped data; or as they were before anybody had described one disease.
fn knowledge(earlier: bool) -> Result<Arc<Knowledge>> {
    let shipped = Shipped::unpack();
    let whole = shipped.source(SourceKind::Annotations);
    let text = std::str::from_utf8(whole.bytes).context("the annotations are text")?;
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| !(earlier && line.starts_with(NEWS)))
        .collect();
    let sources = Sources::from_fn(|kind| match kind {
        SourceKind::Annotations => Source {
            bytes: kept.as_bytes(),
            ..whole
        },
        kind => shipped.source(kind),
    });
    let ontology = Ontology::from_sources(&sources)?;
    Ok(Arc::new(Knowledge::new(ontology)?))
}

/// Findings as people have them: some features of some disease.
fn patients(ontology: &Ontology, count: usize) -> Vec<Vec<HpoId>> {
    let described = ontology.diseases().filter_map(|ix| {
        let disease = ontology.disease(ix);
        let features = disease.annotations().iter();
        let features = features.filter(|a| a.aspect == Aspect::Phenotype && !a.excluded);
        let mut terms: Vec<HpoId> = features.map(|a| ontology.term(a.term).id()).collect();
        terms.sort_unstable();
        terms.dedup();
        (terms.len() >= 6).then_some(terms)
    });
    let described: Vec<Vec<HpoId>> = described.collect();
    (0..count)
        .filter_map(|at| {
            let terms = described.get(at * 7 % described.len().max(1))?;
            let shown = 4 + at % 5;
            let step = terms.len().div_ceil(shown).max(1);
            Some(terms.iter().copied().step_by(step).take(shown).collect())
        })
        .collect()
}

fn deposit(running: &Running, patients: &[Vec<HpoId>]) -> Result<Vec<SubjectId>> {
    let handle = running.handle();
    let (desk, clinician) = (
        caller(running, Role::Desk)?,
        caller(running, Role::Clinician)?,
    );
    let subjects = std::sync::Mutex::new(Vec::with_capacity(patients.len()));
    let workers: Vec<usize> = (0..AT_ONCE.min(patients.len())).collect();
    let each = patients.len().div_ceil(workers.len());
    at_once(&workers, each, |_, number| {
        let Some(findings) = patients.get(number) else {
            return Ok(());
        };
        let opened = patient(|| {
            block_on(handle.subject_open(SubjectOpen {
                caller: desk.clone(),
                controllers: Vec::new(),
                matures: None,
                client_key: None,
                wait: Wait::Durable,
            }))
        })?;
        let bytes = packet(number, findings);
        patient(|| {
            let one = submission(
                clinician.clone(),
                opened.subject,
                bytes.clone(),
                Wait::Durable,
            );
            block_on(handle.record_deposit(one))
        })?;
        let mut subjects = subjects.lock().map_err(|_| anyhow!("a worker panicked"))?;
        subjects.push(opened.subject);
        Ok(())
    })?;
    subjects
        .into_inner()
        .map_err(|_| anyhow!("a worker panicked"))
}

/// Tries again while the node says that it is too much at once.
pub(super) fn patient<T>(mut act: impl FnMut() -> Result<T, Error>) -> Result<T> {
    loop {
        match act() {
            Err(Error::Unavailable(_) | Error::Busy { .. }) => thread::sleep(LOOK),
            done => return Ok(done?),
        }
    }
}

fn packet(number: usize, findings: &[HpoId]) -> Vec<u8> {
    let findings: Vec<String> = findings
        .iter()
        .map(|id| format!("{{\"type\":{{\"id\":\"{id}\",\"label\":\"\"}}}}"))
        .collect();
    format!(
        "{{\"id\":\"bench-{number}\",\"subject\":{{\"id\":\"s\"}},\"phenotypicFeatures\":[{}],\
         \"metaData\":{{\"created\":\"2026-01-01T00:00:00Z\",\"phenopacketSchemaVersion\":\"2.0\"}}}}",
        findings.join(",")
    )
    .into_bytes()
}

fn metric(handle: &Handle, name: &str) -> Result<u64> {
    let metrics = block_on(handle.metrics(()))?;
    let sample = metrics.samples.into_iter().find(|s| s.name == name);
    sample.map(|s| s.value).context("no such metric")
}

fn counted(handle: &Handle, name: &str, wanted: u64) -> Result<()> {
    let patience = PATIENCE_EACH * u32::try_from(wanted).unwrap_or(u32::MAX).max(600);
    let from = Instant::now();
    while metric(handle, name)? < wanted {
        ensure!(
            from.elapsed() < patience,
            "the node does not get on: {name}"
        );
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Reads one subject's differential after the other, as long as `go_on` says, told how many were read.
fn readings(
    name: &str,
    handle: &Handle,
    caller: &Caller,
    subjects: &[SubjectId],
    go_on: impl Fn(usize) -> Result<bool>,
) -> Result<Measured> {
    let mut millis = Vec::new();
    let begin = Instant::now();
    for subject in subjects.iter().cycle() {
        if !go_on(millis.len())? {
            break;
        }
        let from = Instant::now();
        block_on(handle.differential(DifferentialQuery {
            caller: caller.clone(),
            purpose: Purpose::Treat,
            subject: *subject,
            limit: 10,
            is_look: false,
        }))?;
        millis.push(from.elapsed().as_secs_f64() * 1e3);
        thread::sleep(BETWEEN);
    }
    Ok(Measured::new(name, millis, begin.elapsed()))
}

/// The same rankings by the engine alone.
fn rank(ontology: &Ontology, patients: &[Vec<HpoId>]) -> Result<Duration> {
    let model = Model::new(ontology, Weights::shipped()?, &CaseCounts::default());
    let from = Instant::now();
    for observed in patients {
        let presentation = Presentation {
            observed: observed.clone(),
            ..Presentation::default()
        };
        let (findings, _) = Findings::read(ontology, &presentation)?;
        std::hint::black_box(Session::new(&model, findings).rank());
    }
    Ok(from.elapsed())
}
