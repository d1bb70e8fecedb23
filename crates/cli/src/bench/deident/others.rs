//! Tools of others on the same resources, in the same run; those that are not here are named.

use super::{Sample, measured, tell};
use crate::bench::{DeidentOptions, Scratch, python::Script, table::Measured};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Microsoft's Tools for Health Data Anonymization, R4.
const MICROSOFT: &str = "Microsoft.Health.Fhir.Anonymizer.R4.CommandLineTool";
/// Resources that are sent to somebody else's service.
const SERVED: usize = 500;
const PEERS: &str = include_str!("peers.py");

/// A number beside the figures.
pub(super) struct Note {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
}

/// A tool in Python, as the script knows it.
struct Tool {
    name: &'static str,
    shown: &'static str,
    option: &'static str,
}

const FHIR_DIET: Tool = Tool {
    name: "fhir-diet",
    shown: "FHIR-Diet, its Safe Harbor rules",
    option: "--fhir-diet",
};
const DEIDENTIFY_FHIR: Tool = Tool {
    name: "deidentify-fhir",
    shown: "deidentify-fhir, its Safe Harbor mode",
    option: "--deidentify-fhir",
};

/// What the script says of a run.
#[derive(Deserialize)]
struct Ran {
    /// Of each resource, from its bytes to bytes.
    millis: Vec<f64>,
    wall_s: f64,
    cpu_s: f64,
    rss_mib: f64,
    /// How many resources the tool stopped at with which error.
    errors: BTreeMap<String, u32>,
}

pub(super) fn measure(
    options: &DeidentOptions,
    sample: &Sample,
    group: &mut Vec<Measured>,
) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    for (tool, folder) in [
        (FHIR_DIET, &options.fhir_diet),
        (DEIDENTIFY_FHIR, &options.deidentify_fhir),
    ] {
        match folder.as_deref().zip(options.python.as_deref()) {
            Some((folder, python)) => {
                let count = options.count.min(sample.items.len());
                group.push(in_python(&tool, folder, python, sample, count, &mut notes)?);
            }
            None => tell(&format!(
                "absent: {} (name a checkout with {} and a Python with --python)",
                tool.name, tool.option
            )),
        }
    }
    match microsoft(options, sample)? {
        Some(measured) => group.push(measured),
        None => tell(&format!("absent: {MICROSOFT} (put it on the PATH)")),
    }
    match &options.pseudonymizer {
        Some(url) => group.push(miracum(url, sample)?),
        None => {
            tell("absent: MIRACUM's FHIR pseudonymiser (start it and name it with --pseudonymizer)")
        }
    }
    Ok(notes)
}

/// The tool's engine as a library in one process, once over the sample; what starting it takes is not in it.
fn in_python(
    tool: &Tool,
    folder: &Path,
    python: &Path,
    sample: &Sample,
    count: usize,
    notes: &mut Vec<Note>,
) -> Result<Measured> {
    let scratch = Scratch::new(None)?;
    let (from, to) = (scratch.0.join("in.ndjson"), scratch.0.join("out.ndjson"));
    let mut lines = Vec::new();
    for item in sample.items.iter().take(count) {
        // Between tokens alone: within a text it is escaped.
        lines.extend(item.bytes.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => *byte,
        }));
        lines.push(b'\n');
    }
    fs::write(&from, lines)?;
    let needs = "what requirements.txt in the tool's folder names";
    let script = Script::new(python, &scratch.0, PEERS, needs)?;
    let arguments: [&OsStr; 4] = [
        tool.name.as_ref(),
        folder.as_ref(),
        from.as_ref(),
        to.as_ref(),
    ];
    let ran: Ran = script.ask(&arguments)?;
    let written = fs::read_to_string(&to)?;
    let stopped = written.lines().filter(|line| *line == "null").count();
    ensure!(
        ran.millis.len() == count && written.lines().count() == count,
        "{} did not go through the sample",
        tool.name
    );
    let mut note = |name: &str, value: f64, unit: &str| {
        notes.push(Note {
            name: format!("{}: {name}", tool.name),
            value,
            unit: unit.to_owned(),
        });
    };
    let cpu = Duration::try_from_secs_f64(ran.cpu_s)?;
    note("CPU a resource", micros_each(cpu, count), "us");
    note("memory", ran.rss_mib, "MiB");
    let errors: Vec<&str> = ran.errors.keys().map(String::as_str).collect();
    let stopped = f64::from(u32::try_from(stopped)?);
    let of = format!("of {count} {}", errors.join(", "));
    note("resources it stopped at with an error", stopped, of.trim());
    let elapsed = Duration::try_from_secs_f64(ran.wall_s)?;
    Ok(Measured::new(tool.shown, ran.millis, elapsed))
}

/// A share of a time, in microseconds.
pub(super) fn micros_each(all: Duration, count: usize) -> f64 {
    all.as_secs_f64() * 1e6 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

/// The tool on a folder of one file per resource; the time of its whole run, its start included.
fn microsoft(options: &DeidentOptions, sample: &Sample) -> Result<Option<Measured>> {
    let scratch = Scratch::new(None)?;
    let (from, to) = (scratch.0.join("in"), scratch.0.join("out"));
    fs::create_dir_all(&from)?;
    for (number, item) in sample.items.iter().enumerate() {
        fs::write(from.join(format!("{number}.json")), &item.bytes)?;
    }
    let mut command = Command::new(MICROSOFT);
    command.arg("-i").arg(&from).arg("-o").arg(&to);
    if let Some(config) = &options.microsoft {
        command.arg("-c").arg(config);
    }
    let started = Instant::now();
    let Ok(output) = command.output() else {
        return Ok(None);
    };
    let elapsed = started.elapsed();
    ensure!(
        output.status.success(),
        "{MICROSOFT} ended with {}",
        output.status
    );
    let written = fs::read_dir(&to).map_or(0, Iterator::count);
    ensure!(written > 0, "{MICROSOFT} wrote nothing");
    Ok(Some(whole_run(
        "Microsoft's tool, its start included",
        written,
        elapsed,
    )))
}

/// A run of which only the whole is known.
fn whole_run(name: &str, count: usize, elapsed: Duration) -> Measured {
    let each =
        elapsed.as_secs_f64() * 1e3 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    Measured::new(name, vec![each; count], elapsed)
}

/// One request after the other over HTTP.
fn miracum(url: &str, sample: &Sample) -> Result<Measured> {
    let address = format!("{}/$de-identify", url.trim_end_matches('/'));
    let items = sample
        .items
        .get(..SERVED.min(sample.items.len()))
        .unwrap_or_default();
    measured("MIRACUM's service, over HTTP", items.len(), items, |item| {
        let sent = ureq::post(&address)
            .header("Content-Type", "application/fhir+json")
            .send(&item.bytes[..]);
        sent.context("the pseudonymiser does not answer")?
            .body_mut()
            .read_to_vec()?;
        Ok(())
    })
}
