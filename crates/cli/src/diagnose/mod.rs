//! `ithaca diagnose`: which rare diseases the findings of a case speak for, why, and what to look for next.
//!
//! The answer is [`Answer`]; here it is only asked for and shown: as a page of text, as JSON, as HTML.

mod html;
mod page;
mod phrases;

pub(crate) use page::bar;

use crate::files;
use crate::ontologies;
use answer::Answer;
use anyhow::{Context, Result, bail};
use clap::Args;
use diagnosis::{CaseCounts, Model, Weights};
use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    path::PathBuf,
};

#[derive(Args)]
pub(crate) struct Options {
    /// The case: a GA4GH phenopacket (version 2) or a FHIR R4 resource or Bundle as JSON, or a list of
    /// HPO ids and names, one a line. `-` reads standard input; what ends in .zst is unpacked.
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    case: Option<PathBuf>,
    /// The findings themselves, such as "HP:0001250, fever, no microcephaly". Other users of this machine
    /// may see them while it runs: a file is more private.
    #[arg(long, value_name = "FINDINGS", allow_hyphen_values = true)]
    list: Option<String>,
    /// Print one JSON document, with what has no room on the page.
    #[arg(long)]
    json: bool,
    /// Also write one self-contained page, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write over the page if it exists.
    #[arg(long, requires = "html")]
    force: bool,
    /// Of this index file instead of the data that comes with the program.
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// How many candidates to give.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=60))]
    limit: u8,
    /// Rank by the findings alone: leave out the genes that the case names.
    #[arg(long)]
    without_genes: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.html {
        files::ensure_free(path, options.force)?;
    }
    let source = source(options)?;
    let ontology = ontologies::open(options.index.as_deref())?;
    let case = findings::read(&source, &ontology).context("the case was not read")?;
    let weights =
        Weights::shipped().context("the weights that come with the program are damaged")?;
    let model = Model::new(&ontology, weights, &CaseCounts::default());
    let how = answer::Options {
        limit: usize::from(options.limit),
        genes: !options.without_genes,
        aside: &[],
    };
    let answer = Answer::new(&ontology, &model, &case, &how).context("the case was not ranked")?;
    if let Some(path) = &options.html {
        files::write(path, html::page(&answer).as_bytes(), options.force)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let shown = if options.json {
        serde_json::to_string_pretty(&answer)? + "\n"
    } else {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        page::page(&answer, io::stdout().is_terminal() && !no_colour)
    };
    print(&shown)
}

/// Prints; whoever stops reading has read enough.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot print the answer"),
    }
}

/// The bytes of the case, never more than are read, and one more.
fn source(options: &Options) -> Result<Vec<u8>> {
    if let Some(list) = &options.list {
        return Ok(list.clone().into_bytes());
    }
    let Some(path) = &options.case else {
        bail!("no case: name a file, '-' for standard input, or --list");
    };
    if path.as_os_str() == "-" {
        return bounded(io::stdin().lock()).context("cannot read standard input");
    }
    let open = || {
        let file = File::open(path)?;
        if path.extension().is_some_and(|e| e == "zst") {
            bounded(zstd::Decoder::new(file)?)
        } else {
            bounded(file)
        }
    };
    open().with_context(|| format!("cannot read {}", path.display()))
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(findings::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
