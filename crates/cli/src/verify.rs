//! `ithaca verify`: checks a receipt or another proof offline, with nothing but the network's genesis.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use codec::Millis;
use ledger::Genesis;
use node::verify;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A proof is never larger than this.
const MAX_BYTES: u64 = 64 << 20;

/// What a file proves.
#[derive(Clone, Copy, ValueEnum)]
enum Proof {
    /// That a record was committed to.
    Receipt,
    /// What a custodian disclosed of a subject in a period, or that it disclosed nothing.
    Disclosure,
    /// What consent stood, completely.
    Consent,
}

#[derive(Args)]
pub(crate) struct Options {
    /// The receipt or proof.
    file: PathBuf,
    /// The network's genesis, from a source you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// What the file is.
    #[arg(long, value_enum, default_value = "receipt")]
    proof: Proof,
    /// For a receipt: the record (or projection) itself; it must be the one that was committed.
    #[arg(long, value_name = "FILE")]
    leaf: Option<PathBuf>,
    /// For disclosures: the file with the audit key that the custodian handed over (hexadecimal). Without
    /// it the proof may be about anybody.
    #[arg(long, value_name = "FILE")]
    audit_key_file: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::print_stdout, reason = "the verdict")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let genesis = verify::genesis(&read(&options.genesis)?)
        .with_context(|| format!("{} is REFUSED", options.genesis.display()))?;
    let bytes = read(&options.file)?;
    // What cannot be read says nothing about the proof.
    let leaf = options.leaf.as_deref().map(read).transpose()?;
    let key = options.audit_key_file.as_deref();
    let key = key.map(audit_key).transpose()?;
    let verdict = match options.proof {
        Proof::Receipt => receipt(&bytes, &genesis, leaf.as_deref()),
        Proof::Disclosure => disclosure(&bytes, &genesis, key.as_ref()),
        Proof::Consent => consent(&bytes, &genesis),
    };
    let (lines, value) =
        verdict.with_context(|| format!("{} is REFUSED", options.file.display()))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    for (number, line) in lines.iter().enumerate() {
        println!("{} {line}", if number == 0 { "HOLDS " } else { "      " });
    }
    Ok(())
}

type Verdict = (Vec<String>, Value);

fn time(ms: u64) -> String {
    Millis::new(ms).to_rfc3339()
}

fn receipt(bytes: &[u8], genesis: &Genesis, leaf: Option<&[u8]>) -> Result<Verdict> {
    let verdict = verify::receipt(bytes, genesis, leaf)?;
    let lines = vec![
        format!(
            "committed at height {}, {}",
            verdict.height,
            time(verdict.time_ms)
        ),
        format!("custodian  {}", verdict.custodian),
        format!("commitment {}", verdict.commitment),
        format!("entry      {}", verdict.entry),
        if verdict.leaf_checked {
            "the file given with --leaf is the one that was committed".to_owned()
        } else if verdict.leaf_opened {
            "the record itself was not checked: give it with --leaf".to_owned()
        } else {
            "of the commitment alone: it opens no leaf that a record could be checked with"
                .to_owned()
        },
    ];
    let value = json!({
        "verdict": "holds",
        "height": verdict.height,
        "time": time(verdict.time_ms),
        "custodian": verdict.custodian.to_string(),
        "commitment": verdict.commitment.to_string(),
        "entry": verdict.entry.to_string(),
        "leaf_checked": verdict.leaf_checked,
        "leaf_opened": verdict.leaf_opened,
    });
    Ok((lines, value))
}

fn disclosure(bytes: &[u8], genesis: &Genesis, key: Option<&[u8; 32]>) -> Result<Verdict> {
    let verdict = verify::disclosure(bytes, genesis, key)?;
    let lines = vec![
        format!(
            "{} accesses and refusals from {} to {}",
            verdict.count,
            time(verdict.from_ms),
            time(verdict.until_ms)
        ),
        format!("custodian {}, period {}", verdict.custodian, verdict.period),
        if key.is_some() {
            "of the subject whose audit key was given".to_owned()
        } else {
            "of some subject: give --audit-key-file to check of whom".to_owned()
        },
    ];
    let value = json!({
        "verdict": "holds",
        "custodian": verdict.custodian.to_string(),
        "period": verdict.period,
        "count": verdict.count,
        "height": verdict.height,
        "subject_checked": key.is_some(),
    });
    Ok((lines, value))
}

fn consent(bytes: &[u8], genesis: &Genesis) -> Result<Verdict> {
    let verdict = verify::consent_opening(bytes, genesis)?;
    let lines = vec![
        format!(
            "at height {}, {}, this was the whole consent:",
            verdict.height,
            time(verdict.time_ms)
        ),
        serde_json::to_string_pretty(&verdict.state)?,
    ];
    let value = json!({
        "verdict": "holds",
        "height": verdict.height,
        "time": time(verdict.time_ms),
        "state": verdict.state,
    });
    Ok((lines, value))
}

fn audit_key(path: &Path) -> Result<[u8; 32]> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    codec::hex::decode_exact(text.trim())
        .map_err(|_| anyhow::anyhow!("{} is no audit key: 64 hexadecimal digits", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    anyhow::ensure!(
        size <= MAX_BYTES,
        "{} is larger than {MAX_BYTES} bytes; is it the right file?",
        path.display()
    );
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
