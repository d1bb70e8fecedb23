//! `ithaca fsck`: looks for damage in the data folder of a node that is not running.

use crate::{config::Config, folder, passphrase, running};
use anyhow::{Context, Result, bail};
use clap::Args;
use futures::executor::block_on;
use ledger::Genesis;
use node::{
    fsck::{self, Fault, Remedy, Report},
    institution::{self, Layout},
    verify,
};
use std::{env, fs, io::IsTerminal as _, path::PathBuf};
use store_fjall::FjallStore;
use vault::Keychain;

#[derive(Args)]
pub(crate) struct Options {
    /// The data folder. Stop its node first.
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Removes a damaged ledger, so that the node fetches it again at its next start. Records, consents and
    /// disclosures are never removed.
    #[arg(long)]
    repair: bool,
    /// Checks nothing that is sealed, and asks for no passphrase.
    #[arg(long)]
    ledger_only: bool,
    /// The passphrase, in a file. Otherwise the credential `ithaca-passphrase`, or a prompt.
    #[arg(long, value_name = "FILE", conflicts_with = "ledger_only")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let institution = folder::institution(&options.data)?;
    let layout = Layout::of(&options.data);
    let path = layout.genesis();
    let genesis = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let genesis =
        verify::genesis(&genesis).with_context(|| format!("{} is damaged", path.display()))?;
    let keychain = keychain(options)?;
    let store = running::store_open(&options.data, &Config::default())?;
    let mut faults = of_the_store(&store)?;
    let progress = |line: String| say(&line);
    let report = fsck::check(&store, &genesis, institution, keychain, progress);
    let mut report = block_on(report).context("the check could not be finished")?;
    faults.append(&mut report.faults);
    report.faults = faults;
    show(&report);
    if options.repair && report.needs_fetch() {
        repair(&store, &layout, &genesis)?;
        report.faults.retain(|fault| fault.remedy != Remedy::Fetch);
    }
    match report.faults.len() {
        0 => Ok(()),
        1 => bail!("1 fault; see above"),
        count => bail!("{count} faults; see above"),
    }
}

/// The keys, if there is a way to the passphrase.
fn keychain(options: &Options) -> Result<Option<Keychain>> {
    let asked = options.passphrase_file.is_some()
        || env::var_os("CREDENTIALS_DIRECTORY").is_some()
        || std::io::stdin().is_terminal();
    if options.ledger_only || !asked {
        return Ok(None);
    }
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), false)?;
    let opened = institution::open(&options.data, passphrase.as_bytes())
        .with_context(|| format!("cannot open the institution in {}", options.data.display()))?;
    Ok(Some(opened.keychain))
}

/// Rows whose checksums do not match, by table, and files of the storage engine.
fn of_the_store(store: &FjallStore) -> Result<Vec<Fault>> {
    let found = store.verify_all(|progress| {
        if progress.rows.is_multiple_of(100_000) {
            say(&format!("store: {} rows", progress.rows));
        }
    });
    let found = block_on(found).context("the store cannot be read")?;
    let mut faults = Vec::new();
    for (table, rows) in &found.damaged {
        let what = format!("the checksums of {rows} rows do not match");
        faults.push(Fault::new(table, "the whole table", what));
    }
    if found.unreadable > 0 {
        let what = "rows cannot even be listed";
        let place = format!("{} places", found.unreadable);
        faults.push(Fault::new("the store", place, what));
    }
    if found.damaged_files > 0 {
        let place = format!("{} files", found.damaged_files);
        let what = "they do not match their checksums";
        faults.push(Fault::new("the storage engine", place, what));
    }
    Ok(faults)
}

fn repair(store: &FjallStore, layout: &Layout, genesis: &Genesis) -> Result<()> {
    let engine = layout.engine();
    let has_blocks = fs::read_dir(&engine).is_ok_and(|mut inside| inside.next().is_some());
    if !has_blocks && genesis.validators.len() < 2 {
        bail!(
            "nothing was removed: {} holds no blocks and there is no peer to fetch them from; restore a backup",
            engine.display()
        );
    }
    block_on(fsck::repair(store)).context("the ledger could not be removed")?;
    say("the ledger was removed here; the node builds it again at its next start");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what was found")]
fn show(report: &Report) {
    for fault in &report.faults {
        println!("FAULT {fault}");
    }
    if report.more > 0 {
        println!("FAULT and {} more", report.more);
    }
    println!(
        "ledger  {} blocks, {} entries rehashed, {} certificates verified",
        report.blocks, report.entries, report.certificates
    );
    match report.rows {
        Some(rows) => println!(
            "vault   {rows} rows, {} versions of records opened and compared with their commitments",
            report.records
        ),
        None => println!(
            "vault   NOT CHECKED: without the passphrase only checksums were; give --passphrase-file"
        ),
    }
}

#[expect(clippy::print_stderr, reason = "progress")]
fn say(line: &str) {
    eprintln!("ithaca: {line}");
}
