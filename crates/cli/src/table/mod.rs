//! `ithaca table`: how likely people in a table are found again, and a table generalised until stated models hold.
//!
//! In: a file of rows with a separator, whose first line names the columns, and a TOML file that says what each column is
//! to an attacker and what must hold (`docs/table.toml`; models and risks: `docs/anonymity.md`). A column without a role
//! is refused. Out: figures, and a new file. No message shows a cell, or what may be one because a file was mistaken.

mod columns;
mod shown;

use crate::files;
use anonymity::{Anonymised, Background, Classes, Refusal, Table, anonymise};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use columns::{Declared, Reading};
use serde::Serialize;
use shown::Measured;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tells how likely people in a table are found again by what others may know of them.
    Risk(RiskOptions),
    /// Writes a table that meets the models stated, losing as little as it can; or says why there is none.
    ///
    /// No table is anonymous for that: a model says what it says and no more.
    Recode(RecodeOptions),
}

#[derive(Args)]
pub(crate) struct RiskOptions {
    /// The table; its first line names the columns.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// What each column is; docs/table.toml shows how.
    #[arg(long, value_name = "COLUMNS.toml")]
    columns: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct RecodeOptions {
    #[command(flatten)]
    table: RiskOptions,
    /// The new table; a file that is there already is not touched.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Risk(options) => risk(&options),
        Command::Recode(options) => recode(&options),
    }
}

/// What was made of a table.
#[derive(Serialize)]
struct Recoded {
    before: Measured,
    after: Measured,
    /// 1: as it was; 0: nothing.
    granularity: f64,
    /// Whether no other choice of one level a column has more.
    proven_best: bool,
    left_out: u64,
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn risk(options: &RiskOptions) -> Result<()> {
    let declared = Declared::read(&options.columns)?;
    // Texts that were generalised already have classes too, but no place in a population.
    let reading = match declared.population() {
        Some(_) => Reading::Leaves,
        None => Reading::Texts,
    };
    let (table, population) = declared.tables(&options.file, reading)?;
    let measured = as_it_is(&declared, &table, population.as_ref(), &options.file)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
        return Ok(());
    }
    for line in measured.lines(declared.threshold()) {
        println!("{line}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn recode(options: &RecodeOptions) -> Result<()> {
    let RecodeOptions { table: from, out } = options;
    free(out)?;
    let declared = Declared::read(&from.columns)?;
    ensure!(
        declared.asks(),
        "{} asks for nothing: state a model under [models] or at a sensitive column (docs/table.toml)",
        from.columns.display()
    );
    let (table, population) = declared.tables(&from.file, Reading::Leaves)?;
    let before = as_it_is(&declared, &table, population.as_ref(), &from.file)?;
    let config = declared.config(population.as_ref())?;
    let made = anonymise(&table, &config).map_err(|refusal| refused(&from.file, &refusal))?;
    let after = Measured::of(made.classes(), &table, &declared, background(&declared))?;
    let text = text_of(&made, declared.separator());
    holds(&text, &table, &declared, &made)?;
    files::write(out, text.as_bytes(), false)
        .with_context(|| format!("cannot write the table {}", out.display()))?;
    let recoded = Recoded {
        before,
        after,
        granularity: made.granularity(),
        proven_best: made.proven(),
        left_out: made.suppressed(),
    };
    if from.json {
        println!("{}", serde_json::to_string_pretty(&recoded)?);
        return Ok(());
    }
    for line in shown::recoded(&recoded, declared.threshold(), &out.display().to_string()) {
        println!("{line}");
    }
    Ok(())
}

/// Refuses a name that is taken: a table is never written over.
fn free(out: &Path) -> Result<()> {
    ensure!(
        std::fs::symlink_metadata(out).is_err(),
        "{} exists: name another file with --out",
        out.display()
    );
    Ok(())
}

/// The table before anything is done to it.
fn as_it_is(
    declared: &Declared,
    table: &Table,
    population: Option<&Table>,
    file: &Path,
) -> Result<Measured> {
    if population.is_none() {
        let quasi = declared.quasi(table);
        let classes = Classes::of(table, &quasi).context("a column is missing")?;
        return Measured::of(&classes, table, declared, background(declared));
    }
    // Nothing is asked, so nothing is generalised; only that counts who of the population matches.
    let config = declared.nothing(population);
    let made = anonymise(table, &config).map_err(|refusal| refused(file, &refusal))?;
    Measured::of(made.classes(), table, declared, background(declared))
}

fn background(declared: &Declared) -> Background {
    match (declared.population(), declared.sampled()) {
        (Some(_), _) => Background::Population,
        (None, Some(share)) => Background::Fraction(share),
        (None, None) => Background::None,
    }
}

fn refused(file: &Path, refusal: &Refusal) -> anyhow::Error {
    let advice = match refusal {
        Refusal::Unreachable { .. } | Refusal::TooFew { .. } => {
            ": ask for less, let more be left out, or collect more records"
        }
        Refusal::Work => ": give hierarchies fewer levels",
        _ => "",
    };
    anyhow!(
        "the table {} cannot be recoded as asked, nothing is written: {refusal}{advice}",
        file.display()
    )
}

/// What is written. Lines are sorted, for the order of records may tell something.
fn text_of(made: &Anonymised<'_>, separator: char) -> String {
    let text = made.to_delimited(separator);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut rows: Vec<&str> = lines.collect();
    rows.sort_unstable();
    let mut sorted = String::with_capacity(text.len());
    for line in std::iter::once(first).chain(rows) {
        sorted.push_str(line);
        sorted.push('\n');
    }
    sorted
}

/// Reads what will be written, as anybody will, and looks whether its classes are those that were made.
fn holds(text: &str, table: &Table, declared: &Declared, made: &Anonymised<'_>) -> Result<()> {
    let quasi = declared.quasi(table);
    let mut builder = Table::builder();
    for column in made.columns() {
        builder = builder.insensitive(column);
    }
    builder.push_delimited(text, declared.separator())?;
    let again = builder.build()?;
    let classes = Classes::of(&again, &quasi).context("a column is missing")?;
    let (mut sizes, mut expected) = (classes.sizes().to_vec(), made.classes().sizes().to_vec());
    sizes.sort_unstable();
    expected.sort_unstable();
    if sizes != expected {
        bail!("what would be written is not what was made, nothing is written: please report this");
    }
    Ok(())
}
