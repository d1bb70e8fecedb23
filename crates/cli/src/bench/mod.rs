//! `ithaca bench`: figures beside a reference measured in the same run, on the same disk.

mod deident;
mod deposit;
mod diagnosis;
mod fhir;
mod ledger;
mod peer;
mod privacy;
mod process;
mod proofs;
mod python;
mod reanalysis;
mod release;
mod rounds;
mod served;
mod share;
mod table;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Durable deposits through the node, against the same bytes written straight to the store.
    Deposit(DepositOptions),
    /// Finality against the bare engine's, receipts, the time until a node is ready; four validators in this
    /// process under load, with one killed, with one wiped, and through an idle day. About ten minutes.
    Ledger(LedgerOptions),
    /// Records of 20 kB that one institution asks another for: two nodes in this process, TLS over loopback,
    /// both ends' logs durable.
    Share(ShareOptions),
    /// The differential diagnosis on published cases: accuracy, time, and the same cases ranked by others.
    Diagnosis(DiagnosisOptions),
    /// Every subject's differential made again when a node comes back with newer knowledge, while clinicians
    /// read. About two minutes.
    Reanalysis(ReanalysisOptions),
    /// The FHIR front door over HTTP: transactions, writes, reads, searches, each with its disclosure.
    Fhir(FhirOptions),
    /// De-identification of FHIR resources and phenopackets, beside reading and writing the same bytes.
    Deident(DeidentOptions),
    /// What leaves for research: attacks on clustered extracts, what they achieved, and what use is left (about
    /// five minutes); tables generalised to k-anonymity, beside anjana, measured by pycanon too.
    Privacy(PrivacyOptions),
    /// A release of a million measurements: made, attacked, certified and read. About ten minutes.
    Release(ReleaseOptions),
    /// Tiles, checkpoints and receipts: over HTTP beside a plain answer, and in the node.
    Proofs(ProofsOptions),
}

#[derive(Args)]
pub(crate) struct DepositOptions {
    /// Deposits of each size.
    #[arg(long, default_value_t = 4_000)]
    count: usize,
    /// Deposits at once.
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// Then load for so many minutes and watch the memory.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct LedgerOptions {
    /// Entries submitted one after the other, and blocks of the bare engine.
    #[arg(long, default_value_t = 400)]
    count: usize,
    /// Receipts verified.
    #[arg(long, default_value_t = 2_000)]
    receipts: usize,
    /// Four validators: entries a second.
    #[arg(long, default_value_t = 2_000)]
    rate: usize,
    /// Four validators: seconds of load.
    #[arg(long, default_value_t = 30)]
    seconds: usize,
    /// Four validators: then the same load for so many minutes, watching the memory.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Four validators: entries on the ledger that a wiped node rejoins.
    #[arg(long, default_value_t = 200_000)]
    entries: u64,
    /// Only what concerns four validators.
    #[arg(long)]
    four: bool,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ShareOptions {
    /// Asks in all.
    #[arg(long, default_value_t = 8_000)]
    count: usize,
    /// Asks at once.
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ProofsOptions {
    /// Tiles read each way.
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// Connections, and readers, at once.
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// Full tiles that the log is to have.
    #[arg(long, default_value_t = 8)]
    tiles: u64,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct FhirOptions {
    /// Resources before the searches.
    #[arg(long, default_value_t = 40_000)]
    resources: usize,
    /// Then so many, and the searches once more; 0: not.
    #[arg(long, default_value_t = 0)]
    more: usize,
    /// Requests of each kind.
    #[arg(long, default_value_t = 8_000)]
    count: usize,
    /// Clients at once.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// A folder of Synthea's R4 transaction bundles to load; without it they are made up in their likeness.
    #[arg(long, value_name = "DIR")]
    bundles: Option<PathBuf>,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct DeidentOptions {
    /// Resources of each measurement.
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// Synthea's R4 transaction bundles as a tar archive (.tar.zst); without it three shipped patients are used.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "../shared/data/fhir/synthea-dev.tar.zst"
    )]
    sample: PathBuf,
    /// A running FHIR pseudonymiser of MIRACUM to measure too, by the address of its `/fhir`.
    #[arg(long, value_name = "URL")]
    pseudonymizer: Option<String>,
    /// The configuration for Microsoft's tool, where that is on the PATH.
    #[arg(long, value_name = "FILE")]
    microsoft: Option<PathBuf>,
    /// A checkout of FHIR-Diet to measure too, with its Safe Harbor rules.
    #[arg(long, value_name = "DIR", requires = "python")]
    fhir_diet: Option<PathBuf>,
    /// A checkout of josephbartlett's deidentify-fhir to measure too, in its Safe Harbor mode.
    #[arg(long, value_name = "DIR", requires = "python")]
    deidentify_fhir: Option<PathBuf>,
    /// A Python that has what these two need.
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct DiagnosisOptions {
    /// Published cases, one JSON object a line, plain or compressed (.zst); docs/diagnosis.md says which fields.
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    /// Without the `hpo` crate's ranking, which takes minutes.
    #[arg(long)]
    alone: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct PrivacyOptions {
    /// The fewest subjects of a cluster; without it 5 and 11.
    #[arg(long, value_name = "N")]
    k: Option<u32>,
    /// Published cases, as `bench diagnosis` takes them; without it the development cases beside the checkout.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// A Python that has anjana and pycanon; without it our tables are measured alone.
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Only this part: without it both.
    #[arg(long, value_enum)]
    only: Option<PrivacyPart>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A part of what leaves.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PrivacyPart {
    /// Clustered extracts of phenotypes.
    Phenotype,
    /// Tables.
    Tabular,
}

#[derive(Args)]
pub(crate) struct ReleaseOptions {
    /// How many people.
    #[arg(long, default_value_t = 2_000)]
    subjects: usize,
    /// How many Observations they have together.
    #[arg(long, default_value_t = 1_000_000)]
    observations: usize,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ReanalysisOptions {
    /// How many subjects the node has.
    #[arg(long, default_value_t = 10_000)]
    subjects: usize,
    /// Work in this folder's disk instead of the temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Diagnosis(options) => diagnosis::run(options),
        Command::Privacy(options) => privacy::run(options),
        Command::Reanalysis(options) => reanalysis::run(options),
        Command::Release(options) => release::run(options),
        Command::Deposit(options) => deposit::run(options),
        Command::Ledger(options) => ledger::run(options),
        Command::Share(options) => share::run(options),
        Command::Fhir(options) => fhir::run(options),
        Command::Deident(options) => deident::run(options),
        Command::Proofs(options) => proofs::run(options),
    }
}

/// A folder for one measurement, removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: Option<&PathBuf>) -> Result<Self> {
        let mut tag = [0_u8; 8];
        crate::entropy::fill(&mut tag)?;
        let parent = parent.cloned().unwrap_or_else(std::env::temp_dir);
        let path = parent.join(format!("ithaca-bench-{:016x}", u64::from_le_bytes(tag)));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
