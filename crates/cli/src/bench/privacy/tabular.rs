//! Generalising a table to five-anonymity, beside anjana (PyPI), on the Adult data; k, l and t of every output measured by
//! pycanon (PyPI) too.

use crate::{
    bench::{Scratch, process, python::Script},
    demo::percentile,
};
use anonymity::{
    Background, Classes, Config, Distance, Hierarchy, Recoding, Table, adult, anonymise,
    granularity_of,
};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{ffi::OsStr, fs, path::Path, time::Instant};

const K: u32 = 5;
/// How many records may be left out.
const SUPPRESSION_PERCENT: u32 = 5;
/// Of ours, the median of so many runs.
const RUNS: u32 = 5;
/// How much faster than anjana is asked for.
const FASTER: f64 = 10.0;
const PEERS: &str = include_str!("peers.py");
const CSV: char = ';';

/// One way to do it.
#[derive(Serialize)]
pub(super) struct Row {
    name: String,
    /// As we read it off the released text.
    ours: Measured,
    /// As pycanon does; `None` without it.
    pycanon: Option<Measured>,
    /// Whether the two agree.
    agree: Option<bool>,
    average_risk: f64,
    highest_risk: f64,
    suppressed: u64,
    granularity: f64,
    wall_s: f64,
    cpu_s: Option<f64>,
    /// The highest resident memory of the process so far.
    peak_mib: Option<f64>,
    /// No more risk, less loss, and [`FASTER`] times as fast as the reference.
    met: Option<bool>,
}

/// Models of an output.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Measured {
    k: u32,
    /// Different values of the sensitive column in any class, at least.
    l: usize,
    /// How far any class is from the released whole, at most; equal distances.
    t: f64,
}

/// What anjana says of its run.
#[derive(Deserialize)]
struct Ran {
    wall_s: f64,
    cpu_s: f64,
    rss_mib: f64,
    version: String,
}

/// Runs all; `python` is one that has anjana and pycanon.
pub(super) fn measure(python: Option<&Path>) -> Result<Vec<Row>> {
    let scratch = Scratch::new(None)?;
    let folder = scratch.0.as_path();
    let text = zstd::decode_all(adult::RECORDS_ZST).context("the shipped records")?;
    let text = String::from_utf8(text).context("the shipped records")?;
    fs::write(folder.join("adult.csv"), &text)?;
    for (column, hierarchy) in adult::HIERARCHIES {
        let file = format!("adult_hierarchy_{column}.csv");
        fs::write(folder.join(file), hierarchy)?;
    }
    let table = original(&text)?;
    let mut rows = Vec::new();
    let peers = python.map(|python| Script::new(python, folder, PEERS, "anjana and pycanon"));
    let peers = peers.transpose()?;
    let peers = peers.as_ref();
    if let Some(peers) = peers {
        rows.push(by_anjana(folder, peers, &table)?);
    }
    let reference = rows.first().map(|row| row.average_risk);
    rows.push(by_us(folder, peers, &table, Recoding::Global, reference)?);
    rows.push(by_us(folder, peers, &table, Recoding::Local, reference)?);
    if reference.is_some() {
        rows.push(by_us(folder, peers, &table, Recoding::Local, None)?);
    }
    judge(&mut rows);
    Ok(rows)
}

/// Says whether ours meet what is asked of them: those that keep to the reference's average risk.
fn judge(rows: &mut [Row]) {
    let Some((reference, ours)) = rows.split_first_mut() else {
        return;
    };
    if reference.pycanon.is_none() {
        return;
    }
    for row in ours {
        let met = row.highest_risk <= reference.highest_risk
            && row.granularity >= reference.granularity
            && row.wall_s * FASTER <= reference.wall_s
            && row.agree == Some(true);
        let bounded = row.average_risk <= reference.average_risk;
        row.met = bounded.then_some(met);
    }
}

fn original(text: &str) -> Result<Table> {
    let mut builder = Table::builder();
    for (column, hierarchy) in adult::HIERARCHIES {
        builder = if column == adult::SENSITIVE {
            builder.sensitive(column)
        } else {
            let hierarchy = Hierarchy::parse(hierarchy).context("the shipped hierarchies")?;
            builder.quasi(column, hierarchy)
        };
    }
    builder.push_delimited(text, CSV)?;
    Ok(builder.build()?)
}

fn by_us(
    folder: &Path,
    peers: Option<&Script>,
    table: &Table,
    recoding: Recoding,
    average_risk: Option<f64>,
) -> Result<Row> {
    let config = Config {
        recoding,
        suppression: f64::from(SUPPRESSION_PERCENT) / 100.0,
        average_risk,
        ..Config::k_anonymity(K)
    };
    let (mut seconds, mut made) = (Vec::new(), None);
    let cpu = process::cpu();
    for _ in 0..RUNS {
        let from = Instant::now();
        made = Some(anonymise(table, &config)?);
        seconds.push(from.elapsed().as_secs_f64());
    }
    let cpu = process::cpu().zip(cpu).map(|(to, from)| to - from);
    let made = made.context("no run")?;
    seconds.sort_by(f64::total_cmp);
    let out = folder.join("ours.csv");
    fs::write(&out, made.to_delimited(CSV))?;
    let bounded = average_risk.map_or(String::new(), |most| format!(", average risk <= {most:.4}"));
    let name = match recoding {
        Recoding::Global => "ours, global",
        Recoding::Local => "ours, local",
    };
    let mut row = weigh(peers, table, &out, format!("{name}{bounded}"))?;
    ensure!(
        row.suppressed == made.suppressed() && (row.granularity - made.granularity()).abs() < 1e-6,
        "what was written is not what was made"
    );
    row.wall_s = percentile(&seconds, 50);
    row.cpu_s = cpu.map(|all| all.as_secs_f64() / f64::from(RUNS));
    row.peak_mib = peak_mib();
    Ok(row)
}

fn by_anjana(folder: &Path, peers: &Script, table: &Table) -> Result<Row> {
    let out = folder.join("anjana.csv");
    let (k, percent) = (K.to_string(), SUPPRESSION_PERCENT.to_string());
    let mut arguments: Vec<&OsStr> = vec!["anjana".as_ref(), folder.as_ref(), out.as_ref()];
    arguments.extend([OsStr::new(&k), OsStr::new(&percent)]);
    arguments.extend(table.quasi().map(|(column, _)| OsStr::new(column.name())));
    let ran: Ran = peers.ask(&arguments)?;
    let name = format!("anjana {}", ran.version);
    let mut row = weigh(Some(peers), table, &out, name)?;
    row.wall_s = ran.wall_s;
    row.cpu_s = Some(ran.cpu_s);
    row.peak_mib = Some(ran.rss_mib);
    Ok(row)
}

/// Everything about a released file but what it took to make it.
fn weigh(peers: Option<&Script>, table: &Table, file: &Path, name: String) -> Result<Row> {
    let text = fs::read_to_string(file)?;
    let quasi: Vec<&str> = table.quasi().map(|(column, _)| column.name()).collect();
    let released = quasi
        .iter()
        .fold(Table::builder(), |builder, name| builder.insensitive(*name));
    let mut released = released.sensitive(adult::SENSITIVE);
    released.push_delimited(&text, CSV)?;
    let released = released.build()?;
    let classes = Classes::of(&released, &quasi).context("a column was not released")?;
    let diversity = classes.diversity(&released, adult::SENSITIVE)?;
    let ours = Measured {
        k: classes.k(),
        l: diversity.map_or(0, |d| d.distinct),
        t: classes.closeness(&released, adult::SENSITIVE, &Distance::Equal)?,
    };
    let pycanon = peers
        .map(|peers| {
            let mut arguments: Vec<&OsStr> = vec!["pycanon".as_ref(), file.as_ref()];
            arguments.push(adult::SENSITIVE.as_ref());
            arguments.extend(quasi.iter().map(OsStr::new));
            peers.ask::<Measured>(&arguments)
        })
        .transpose()?;
    let agree = pycanon
        .map(|theirs| theirs.k == ours.k && theirs.l == ours.l && (theirs.t - ours.t).abs() < 1e-9);
    let risk = classes.risk(Background::None, 1.0 / f64::from(K));
    Ok(Row {
        name,
        ours,
        pycanon,
        agree,
        average_risk: risk.prosecutor.average,
        highest_risk: risk.prosecutor.highest,
        suppressed: (table.rows() - released.rows()) as u64,
        granularity: granularity_of(table, &text, CSV)?,
        wall_s: 0.0,
        cpu_s: None,
        peak_mib: None,
        met: None,
    })
}

fn peak_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// A table of the rows.
pub(super) fn shown(rows: &[Row]) -> String {
    let mut lines = vec![
        format!(
            "tabular: the Adult data, 30,162 records, k = {K}, at most {SUPPRESSION_PERCENT} % left out; \
             k, l, t as ours / as pycanon measures"
        ),
        format!(
            "{:<42}{:>13}{:>9}{:>17}{:>9}{:>9}{:>6}{:>12}{:>9}{:>9}{:>7}",
            "", "k", "l", "t", "average", "highest", "out", "granularity", "wall s", "CPU s", "MiB"
        ),
    ];
    for row in rows {
        let both = |of: &dyn Fn(&Measured) -> String| {
            let theirs = row.pycanon.as_ref().map_or("-".to_owned(), of);
            format!("{} / {theirs}", of(&row.ours))
        };
        let or_none =
            |value: Option<f64>, digits| value.map_or("-".into(), |v| format!("{v:.digits$}"));
        lines.push(format!(
            "{:<42}{:>13}{:>9}{:>17}{:>9.4}{:>9.4}{:>6}{:>12.4}{:>9.3}{:>9}{:>7}{}",
            row.name,
            both(&|m| m.k.to_string()),
            both(&|m| m.l.to_string()),
            both(&|m| format!("{:.4}", m.t)),
            row.average_risk,
            row.highest_risk,
            row.suppressed,
            row.granularity,
            row.wall_s,
            or_none(row.cpu_s, 3),
            or_none(row.peak_mib, 0),
            match row.met {
                Some(true) => " ok",
                Some(false) => " MISSED",
                None => "",
            }
        ));
    }
    lines.push(if rows.iter().any(|row| row.pycanon.is_some()) {
        format!(
            "asked: no more risk than anjana, no less granularity, {FASTER} times as fast, k, l and t as pycanon has them"
        )
    } else {
        "anjana and pycanon were not run: python3 -m venv DIR && DIR/bin/pip install anjana==1.2.3 pycanon==1.3.5, \
         then --python DIR/bin/python"
            .to_owned()
    });
    lines.join("\n")
}
