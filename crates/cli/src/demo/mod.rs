//! `ithaca demo`: the main job on real published cases, told through the people it is for.
//!
//! Four institutions, each a validator: four processes, four folders on disk, loopback TCP. First what the
//! findings of a child speak for; then who may see them; then what happens when machines die; hashes last.

mod cast;
mod diagnosis;
mod faults;
mod figures;
mod front;
pub(crate) use cast::{bundles, cases};
pub(crate) use figures::{memory_mib, percentile};
mod nodes;
mod people;
mod pick;
mod proofs;
mod research;
mod scene;
mod story;
mod told;

use crate::stage::Stage;
use crate::up::told_to_stop;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use figures::Timed;
use futures::channel::oneshot;
use nodes::{CHILDRENS, COUNT, FAMILIES, LABORATORY, Network, PYLOS, Processes};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use story::Story;

const NOT_CLINICAL: &str =
    "Research and evaluation build. Not for clinical use; not CE-marked, not FDA-cleared.";

const NOT_BUILT: [&str; 2] = ["HL7 v2, devices, VCF", "the portal"];

/// How long a story whose nodes were ended may take to notice.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON document for machines instead of the story.
    #[arg(long)]
    json: bool,
    /// Keep the four data folders, genesis and receipts in this new folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the demo. However it ends, no node of it is left behind.
#[expect(clippy::print_stdout, reason = "the document for machines")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let scratch = Scratch::new(options.keep.as_deref())?;
    let processes = Arc::new(Processes::default());
    let (tell, mut told) = oneshot::channel();
    let teller = {
        let (processes, path) = (Arc::clone(&processes), scratch.path.clone());
        let (json, kept) = (options.json, scratch.kept);
        thread::spawn(move || {
            let played = play(&Stage::new(json), &path, kept, &processes);
            tell.send(played).ok();
        })
    };
    let report = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            tokio::select! {
                played = &mut told => Some(played),
                () = told_to_stop() => None,
            }
        });
    processes.end();
    match report {
        Some(Ok(report)) => {
            teller.join().ok();
            let report = report?;
            if options.json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            }
            Ok(())
        }
        Some(Err(_)) => Err(anyhow!("the demo broke off; see above")),
        None => {
            let from = Instant::now();
            while !teller.is_finished() && from.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(20));
            }
            bail!("the demo was told to stop; its nodes are ended")
        }
    }
}

fn play(stage: &Stage, path: &Path, kept: bool, processes: &Arc<Processes>) -> Result<Value> {
    stage.say("ITHACA — a demonstration at four institutions, on real published cases");
    stage.say(NOT_CLINICAL);
    stage.say(
        "The cases were published as medical literature and describe real people. They are shown under neutral labels; \
         never try to find out who they are.",
    );
    let picked = pick::pick(path)?;
    let network = Network::found(path, Arc::clone(processes))?;
    // Only who diagnoses needs to know diseases: that takes memory.
    network.knows(CHILDRENS, Some(&picked.index))?;
    network.knows(PYLOS, Some(&picked.earlier))?;
    network.knows(LABORATORY, None)?;
    network.knows(FAMILIES, None)?;
    let from = Instant::now();
    for at in 0..COUNT {
        network.start(at)?;
    }
    for at in 0..COUNT {
        network.wait_fresh(at)?;
    }
    let mut story = Story::new(stage, network)?;
    story.figures.add(Timed::Ready, from.elapsed());
    diagnosis::tell(&mut story, &picked)?;
    drop(picked);
    story.tell()?;
    proofs::check(stage, &mut story, kept.then_some(path))?;
    let memory: Vec<f64> = story.memory_mib();
    let figures = story.figures.show(stage, &memory);
    stage.heading("Not built yet");
    for line in NOT_BUILT {
        stage.say(&format!("  · {line}"));
    }
    if kept {
        stage.say(&format!(
            "\nKept in {0}: network/ (the four data folders; passphrases and logs beside it), genesis.cbor, receipts/, release/. \
             Try:",
            path.display()
        ));
        stage.command(&format!(
            "ithaca verify {0}/receipts/01.cbor --genesis {0}/genesis.cbor --leaf {0}/receipts/01.json",
            path.display()
        ));
        stage.command(&format!(
            "ithaca release verify {0}/release --genesis {0}/genesis.cbor",
            path.display()
        ));
    }
    Ok(json!({
        "notice": NOT_CLINICAL,
        "acts": story.acts,
        "figures": figures,
        "not_built_yet": NOT_BUILT,
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
                    bail!("{} is not empty; give --keep a new folder", path.display());
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
