//! `ithaca verify`: checks a receipt offline, with nothing but the network's genesis.

use anyhow::{Context, Result};
use clap::Args;
use codec::Millis;
use node::verify;
use std::{fs, path::{Path, PathBuf}};

/// A proof is never larger than this.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub(crate) struct Options {
    /// The receipt.
    receipt: PathBuf,
    /// The network's genesis, from a source you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The record (or projection) itself; it must be the one that was committed.
    #[arg(long, value_name = "FILE")]
    leaf: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::print_stdout, reason = "the verdict")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let genesis = verify::genesis(&read(&options.genesis)?)
        .with_context(|| format!("{} is no genesis", options.genesis.display()))?;
    let leaf = options.leaf.as_deref().map(read).transpose()?;
    let verdict = verify::receipt(&read(&options.receipt)?, &genesis, leaf.as_deref())
        .with_context(|| format!("{} is REFUSED", options.receipt.display()))?;
    if options.json {
        let value = serde_json::json!({
            "verdict": "holds",
            "height": verdict.height,
            "time": Millis::new(verdict.time_ms).to_rfc3339(),
            "custodian": verdict.custodian.to_string(),
            "commitment": verdict.commitment.to_string(),
            "entry": verdict.entry.to_string(),
            "leaf_checked": verdict.leaf_checked,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!("HOLDS  committed at height {}, {}", verdict.height, Millis::new(verdict.time_ms).to_rfc3339());
    println!("       custodian  {}", verdict.custodian);
    println!("       commitment {}", verdict.commitment);
    println!("       entry      {}", verdict.entry);
    if verdict.leaf_checked {
        println!("       the file given with --leaf is the one that was committed");
    } else {
        println!("       the record itself was not checked: give it with --leaf");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    anyhow::ensure!(size <= MAX_BYTES, "{} is larger than {MAX_BYTES} bytes; is it the right file?", path.display());
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
