//! `ithaca demo`: the main job on real published cases, told through the people it is for.
//!
//! One institution, one validator, a real store on disk. A child first; hashes last.

mod cast;
mod figures;
pub(crate) use figures::{memory_mib, percentile};
mod proofs;
mod stage;
mod story;

use crate::{folder, running};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use stage::Stage;
use std::{
    fs,
    path::{Path, PathBuf},
};
use story::Story;

const NOT_CLINICAL: &str =
    "Research and evaluation build. Not for clinical use; not CE-marked, not FDA-cleared.";

#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON document for machines instead of the story.
    #[arg(long)]
    json: bool,
    /// Keep the data folder, genesis and receipts in this new folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the demo.
#[expect(clippy::print_stdout, reason = "the document for machines")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let scratch = Scratch::new(options.keep.as_deref())?;
    let stage = Stage::new(options.json);
    let report = play(&stage, &scratch)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}

fn play(stage: &Stage, scratch: &Scratch) -> Result<Value> {
    stage.say("ITHACA — a demonstration at one hospital, on real published cases");
    stage.say(NOT_CLINICAL);
    stage.say(
        "The cases were published as medical literature and describe real people. They are shown under neutral labels; \
         never try to find out who they are.",
    );
    let data = scratch.path.join("node");
    let passphrase = folder::fresh_passphrase(&scratch.path.join("passphrase"))?;
    let made = std::time::Instant::now();
    folder::create_demo(&data, "Ithaca Children's Hospital (demo)", &passphrase)?;
    let node = running::Running::start(&data, &passphrase, &crate::config::Config::default())?;
    let ready_ms = made.elapsed().as_secs_f64() * 1e3;
    let clock = node.ambient();
    let mut story = Story::new(stage, &node, clock, ready_ms)?;
    let told = futures::executor::block_on(story.tell());
    let proved = told.and_then(|()| {
        futures::executor::block_on(proofs::check(
            stage,
            &mut story,
            &data,
            scratch.kept.then_some(&scratch.path),
        ))
    });
    let stopped = node.stop();
    proved?;
    stopped?;
    let figures = story.figures.show(stage);
    let unbuilt = [
        "this story across several institutions (`ithaca network init` founds them; they share and vote)",
        "the differential diagnosis, and its updates when a finding arrives",
        "search and the rest of FHIR R4; HL7 v2, devices, VCF",
        "de-identified releases for research; the portal; single sign-on",
    ];
    stage.heading("Not built yet");
    for line in unbuilt {
        stage.say(&format!("  · {line}"));
    }
    if scratch.kept {
        stage.say(&format!(
            "\nKept in {0}: node/ (passphrase in {0}/passphrase), genesis.cbor, receipts/. Try:\n  ithaca verify {0}/receipts/01.cbor --genesis {0}/genesis.cbor --leaf {0}/receipts/01.json",
            scratch.path.display()
        ));
    }
    Ok(json!({
        "notice": NOT_CLINICAL,
        "acts": story.acts,
        "figures": figures,
        "not_built_yet": unbuilt,
    }))
}

/// Where the demo works; removed at the end unless kept.
struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    fn new(keep: Option<&Path>) -> Result<Self> {
        let (path, kept) = match keep {
            Some(path) => {
                if path.exists() && fs::read_dir(path)?.next().is_some() {
                    anyhow::bail!("{} is not empty; give --keep a new folder", path.display());
                }
                (path.to_owned(), true)
            }
            None => {
                let mut tag = [0_u8; 8];
                crate::entropy::fill(&mut tag)?;
                let name = format!("ithaca-demo-{:016x}", u64::from_le_bytes(tag));
                (std::env::temp_dir().join(name), false)
            }
        };
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path, kept })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}
