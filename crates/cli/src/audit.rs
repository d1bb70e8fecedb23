//! `ithaca audit`: executes a ledger again, from the genesis on, and prints a range of its blocks.
//!
//! Needs no passphrase: nothing on the ledger is sealed. Everything up to the last block is verified, whatever
//! the range is.

use crate::{config::Config, folder, running};
use anyhow::{Context, Result, bail};
use clap::Args;
use codec::Millis;
use consensus::check::{BlockSeen, Replayed, replay};
use futures::executor::block_on;
use node::{institution::Layout, verify};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(crate) struct Options {
    /// The data folder of a node. Stop the node first, or give a copy.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The network's genesis, from a source you trust; that of the folder when left out.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The first height to print.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last height to print; the newest when left out.
    #[arg(long)]
    to: Option<u64>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.to.is_some_and(|to| to < options.from) {
        bail!("--to is a height below --from");
    }
    folder::institution(&options.data)?;
    let own = Layout::of(&options.data).genesis();
    let path = options.genesis.as_ref().unwrap_or(&own);
    let genesis = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let genesis =
        verify::genesis(&genesis).with_context(|| format!("{} is REFUSED", path.display()))?;
    let store = running::store_open(&options.data, &Config::default())?;
    let mut blocks = Vec::new();
    let replayed = replay(&store, &genesis, |block| {
        let wanted = block.height >= options.from && options.to.is_none_or(|to| block.height <= to);
        if wanted {
            if options.json {
                blocks.push(block);
            } else {
                line(&block);
            }
        }
    });
    let replayed = block_on(replayed).context("the ledger cannot be read")?;
    if options.json {
        document(&blocks, &replayed)?;
    } else {
        verdict(&replayed);
    }
    if let Some(fault) = replayed.check.faults.first() {
        bail!(
            "the ledger is REFUSED from height {} on: {}, {}: {}; stop the node and run `ithaca fsck`",
            replayed
                .height
                .saturating_add(u64::from(replayed.check.blocks > 0)),
            fault.table,
            fault.place,
            fault.what
        );
    }
    if options.to.unwrap_or(options.from) > replayed.height {
        bail!("the ledger ends at height {}", replayed.height);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the audit")]
fn line(block: &BlockSeen) {
    let entries = block.entries.iter();
    let entries: Vec<String> = entries
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    println!(
        "{:>8}  {}  {}  {}",
        block.height,
        Millis::new(block.time_ms).to_rfc3339(),
        if block.is_certified {
            "executed, certified"
        } else {
            "executed           "
        },
        if entries.is_empty() {
            "no entries".to_owned()
        } else {
            entries.join(", ")
        }
    );
}

#[expect(clippy::print_stdout, reason = "the audit")]
fn verdict(replayed: &Replayed) {
    println!(
        "verified {} blocks and {} entries from the genesis on; final up to height {}, by {} certificates",
        replayed.check.blocks,
        replayed.check.entries,
        replayed.final_height,
        replayed.check.certificates
    );
    println!(
        "log      {} leaves, root {}",
        replayed.log_size, replayed.log_root
    );
}

#[expect(clippy::print_stdout, reason = "the audit")]
fn document(blocks: &[BlockSeen], replayed: &Replayed) -> Result<()> {
    let blocks: Vec<Value> = blocks
        .iter()
        .map(|block| {
            json!({
                "height": block.height,
                "time": Millis::new(block.time_ms).to_rfc3339(),
                "block": block.digest.to_string(),
                "entries": block.entries,
                "proofs": {
                    "executed": true,
                    "certified": block.is_certified,
                    "final": block.height <= replayed.final_height,
                },
            })
        })
        .collect();
    let faults: Vec<Value> = replayed
        .check
        .faults
        .iter()
        .map(|fault| json!({"table": fault.table.name(), "place": fault.place, "what": fault.what}))
        .collect();
    let document = json!({
        "verdict": if faults.is_empty() { "holds" } else { "refused" },
        "height": replayed.height,
        "final_height": replayed.final_height,
        "blocks_verified": replayed.check.blocks,
        "entries_verified": replayed.check.entries,
        "certificates_verified": replayed.check.certificates,
        "log": {"size": replayed.log_size, "root": replayed.log_root.to_string()},
        "faults": faults,
        "blocks": blocks,
    });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}
