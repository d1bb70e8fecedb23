//! `ithaca release`: de-identified data sets of a study, through the HTTP of one's own node.
//!
//! A researcher asks for one, the node makes and attacks it, the committee certifies it, or not; what is on the ledger
//! may be downloaded. `release_folder` checks what was downloaded.

use crate::{
    govern::{NodeAt, list},
    http::{JSON, text},
    release_folder,
    stage::Stage,
    study::told,
};
use ::release::Certificate;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use codec::StudyId;
use deident::Fate;
use extract::{Knows, Verdict};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The file with what became of elements.
const FATES: &str = "fates.json";
/// The longest that a release is waited for while it is made; it is made on without anybody who waits.
const MAKING: Duration = Duration::from_secs(24 * 3600);
/// The longest that the ledger may take to hold it.
const PUBLISHING: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Asks for a release (a researcher does): the node makes it and tries to link, single out and name its people.
    ///
    /// Waits until the attacks are done and shows what they achieved; of a release that was refused only the
    /// committee is shown that. Ends with 1 if it was refused.
    Prepare(Prepare),
    /// Lists the releases of a study.
    List {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Shows a release with what the attacks on it achieved.
    Show(One),
    /// Lets a release leave (the committee does; not who asked for it): it goes to the ledger.
    ///
    /// One that exceeds a limit cannot be certified. Ends with 1 if it was refused.
    Certify(One),
    /// Refuses a release (the committee does).
    Refuse(One),
    /// Downloads a release into a new folder and checks it. What broke off goes on where it was.
    Get {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// Which of the study's releases.
        number: u64,
        /// The folder; it must not exist.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Checks a downloaded release, without a node: its files, its certificate, and with the genesis what the ledger
    /// says of both.
    Verify(release_folder::Verify),
    /// Shows what became of each element of the records that its measurements are made of, by path (committee, privacy
    /// officer, auditor).
    Fates(One),
    /// Asks the node to try the attacks again on who is still here (committee, privacy officer, auditor).
    ///
    /// Ends with 1 if they achieve something else than the certificate says.
    Replay(One),
}

#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    node: NodeAt,
    study: StudyId,
    /// Which of the study's releases.
    number: u64,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Prepare {
    #[command(flatten)]
    node: NodeAt,
    study: StudyId,
    /// How much it holds.
    #[arg(long, value_enum)]
    tier: Tier,
    /// The fewest people of whom anything is said; at least the study's.
    #[arg(long)]
    k: u32,
    /// Whoever has this diagnosis (OMIM or ORPHA); may be given several times. Without it: everybody.
    #[arg(long = "disease", value_name = "ID")]
    diseases: Vec<String>,
    /// Everybody with a recorded diagnosis, in groups of one diagnosis each.
    #[arg(long, conflicts_with = "diseases")]
    diagnosed: bool,
    /// Beside groups.ndjson; may be given several times.
    #[arg(long = "format", value_enum)]
    formats: Vec<Format>,
    /// With measurements, where enough people have one.
    #[arg(long)]
    measurements: bool,
    /// Does not wait until it is made.
    #[arg(long)]
    no_wait: bool,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    /// Aggregates of the whole cohort.
    #[value(name = "T2", alias = "t2")]
    T2,
    /// Groups of at least k people with one profile each.
    #[value(name = "T3", alias = "t3")]
    T3,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Parquet,
    Fhir,
    Phenopackets,
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Prepare(options) => prepare(&options),
        Command::List { node, study, json } => {
            let shown = node.call("GET", &format!("/v1/studies/{study}/releases"), None)?;
            told(&shown, json, &|shown| match list(shown) {
                [] => "the study has no release\n".to_owned(),
                releases => releases
                    .iter()
                    .map(|release| line(release) + "\n")
                    .collect(),
            })
        }
        Command::Show(one) => {
            let shown = one.node.call("GET", &one.path(""), None)?;
            show(&shown, one.json)
        }
        Command::Certify(one) => {
            one.certify(true)?;
            let stage = Stage::new(one.json);
            let done = |shown: &Value| shown["status"] != "publishing";
            let shown = wait(&one.node, &one.path(""), PUBLISHING, &stage, &done)?;
            show(&shown, one.json)?;
            refused(&shown)?;
            match shown["status"] == "released" {
                true => Ok(()),
                false => bail!("the release is certified and not on the ledger yet; look again"),
            }
        }
        Command::Refuse(one) => {
            let shown = one.certify(false)?;
            told(&shown, one.json, &|shown| line(shown) + "\n")
        }
        Command::Get {
            node,
            study,
            number,
            folder,
        } => release_folder::get(&node, &study, number, &folder),
        Command::Verify(options) => release_folder::verify(&options),
        Command::Fates(one) => {
            let bytes = release_folder::small(&one.node, &one.path(""), FATES)?;
            let fates: Value = serde_json::from_slice(&bytes).context("these are no fates")?;
            told(&fates, one.json, &fates_told)
        }
        Command::Replay(one) => {
            let body = Some((JSON, b"{}".to_vec()));
            let found = one.node.call("POST", &one.path("/replay"), body)?;
            let differs = list(&found["differs"]);
            if one.json {
                println!("{}", serde_json::to_string_pretty(&found)?);
            } else {
                println!(
                    "The attacks were tried again on {} people; {} of the release are here no longer.",
                    found["subjects"], found["gone"]
                );
                for line in differs {
                    println!("  differs: {}", text(line));
                }
            }
            match differs.len() {
                0 => Ok(()),
                more => bail!("{more} figures differ from the certificate"),
            }
        }
    }
}

/// What became of elements, a line for each path.
fn fates_told(fates: &Value) -> String {
    if fates["released"] == 0
        && fates["refused"]
            .as_object()
            .is_none_or(|why| why.is_empty())
    {
        return "nothing went through the rules: this release has no measurements\n".to_owned();
    }
    let mut said = format!(
        "{} resources went through the rules {}\n",
        fates["released"],
        text(&fates["rules"])
    );
    for (why, count) in fates["refused"].as_object().into_iter().flatten() {
        said += &format!("{count} were left out: {why}\n");
    }
    for (path, met) in fates["paths"].as_object().into_iter().flatten() {
        let counts: Vec<String> = Fate::ALL
            .iter()
            .filter(|fate| !met[fate.name()].is_null())
            .map(|fate| format!("{} {}", fate.name(), met[fate.name()]))
            .collect();
        said += &format!(
            "  {path}: {} (rule: {})\n",
            counts.join(", "),
            text(&met["rule"])
        );
    }
    said
}

impl One {
    fn path(&self, rest: &str) -> String {
        format!("/v1/studies/{}/releases/{}{rest}", self.study, self.number)
    }

    fn certify(&self, approve: bool) -> Result<Value> {
        let body = json!({"approve": approve}).to_string().into_bytes();
        let path = self.path("/certificate");
        self.node.call("POST", &path, Some((JSON, body)))
    }
}

fn prepare(options: &Prepare) -> Result<()> {
    let (node, study) = (&options.node, &options.study);
    let formats: Vec<&str> = options.formats.iter().map(|format| format.name()).collect();
    let mut body = json!({
        "tier": match options.tier { Tier::T2 => "T2", Tier::T3 => "T3" },
        "k": options.k,
        "formats": formats,
        "measurements": options.measurements,
    });
    if options.diagnosed || !options.diseases.is_empty() {
        body["diseases"] = json!(options.diseases);
    }
    let path = format!("/v1/studies/{study}/releases");
    let body = Some((JSON, body.to_string().into_bytes()));
    let mut shown = node.call("POST", &path, body)?;
    if !options.no_wait {
        let number = shown["number"]
            .as_u64()
            .context("a release without a number")?;
        let stage = Stage::new(options.json);
        let done = |shown: &Value| shown["status"] != "preparing";
        shown = wait(node, &format!("{path}/{number}"), MAKING, &stage, &done)?;
    }
    show(&shown, options.json)?;
    refused(&shown)
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Fhir => "fhir",
            Self::Phenopackets => "phenopackets",
        }
    }
}

/// Looks at a release until something is so, with a progress bar; as it is when patience ends.
fn wait(
    node: &NodeAt,
    path: &str,
    patience: Duration,
    stage: &Stage,
    done: &dyn Fn(&Value) -> bool,
) -> Result<Value> {
    let from = Instant::now();
    loop {
        let shown = node.call("GET", path, None)?;
        let progress = &shown["progress"];
        if done(&shown) || from.elapsed() > patience {
            stage.progress(1, 1, "");
            return Ok(shown);
        }
        if let Some(phase) = progress["phase"].as_str() {
            let number = |name: &str| {
                progress[name]
                    .as_u64()
                    .and_then(|n| usize::try_from(n).ok())
            };
            let (now, of) = (number("done").unwrap_or(0), number("of").unwrap_or(0));
            // Not known yet: a bar that stays open.
            stage.progress(now, of.max(now + 1), phase);
        }
        thread::sleep(LOOK);
    }
}

/// Prints a release with its certificate.
#[expect(clippy::print_stdout, reason = "what was asked for")]
fn show(shown: &Value, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(shown)?);
        return Ok(());
    }
    println!("{}", line(shown));
    if let Some(certificate) = certificate(shown)? {
        tell(&Stage::new(false), &certificate);
    }
    for file in list(&shown["files"]) {
        println!("  {:>12} {}", file["bytes"], text(&file["name"]));
    }
    Ok(())
}

/// The certificate of a release, once the attacks were tried.
pub(crate) fn certificate(shown: &Value) -> Result<Option<Certificate>> {
    match shown.get("certificate").filter(|value| !value.is_null()) {
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .context("the certificate is of another version of this program"),
        None => Ok(None),
    }
}

/// An error with the reason, if a release was refused.
fn refused(shown: &Value) -> Result<()> {
    if shown["status"] != "refused" {
        return Ok(());
    }
    bail!("release {} was refused: {}", shown["number"], why(shown)?);
}

/// Why a release was refused, in a sentence: by the figures where they are the reason.
pub(crate) fn why(shown: &Value) -> Result<String> {
    let exceeded = certificate(shown)?.map(|certificate| exceeded(&certificate));
    Ok(match exceeded {
        Some(exceeded) if !exceeded.is_empty() => exceeded.join("; "),
        _ => text(&shown["why"]),
    })
}

fn exceeded(certificate: &Certificate) -> Vec<String> {
    let attacks = certificate.attacks.verdicts.iter();
    let exceeded = attacks.filter(|verdict| verdict.measured.is_some() && !verdict.held);
    let mut said: Vec<String> = exceeded
        .map(|verdict| {
            format!(
                "{} {}, the limit is {}",
                attack(&verdict.attack),
                verdict.measured.map_or_else(String::new, percent),
                limit(verdict)
            )
        })
        .collect();
    let canaries = certificate.canaries;
    if canaries.survived > 0 || canaries.planted == 0 {
        said.push(format!(
            "{} of {} planted identifiers were found again",
            canaries.survived, canaries.planted
        ));
    }
    said
}

fn line(shown: &Value) -> String {
    let height = match &shown["height"] {
        Value::Number(height) => format!(", on the ledger at height {height}"),
        _ => String::new(),
    };
    let why = match &shown["why"] {
        Value::String(_) => format!(": {}", text(&shown["why"])),
        _ => String::new(),
    };
    format!(
        "release {} ({}, k = {}; {}) {}{height}{why}",
        shown["number"],
        text(&shown["tier"]),
        shown["k"],
        text(&shown["cohort"]),
        text(&shown["status"])
    )
}

/// What the attacks on a release achieved.
pub(crate) fn tell(stage: &Stage, certificate: &Certificate) {
    let raw = |name: &str| {
        let raw = certificate
            .raw
            .verdicts
            .iter()
            .find(|raw| raw.attack == name);
        measured(raw.and_then(|raw| raw.measured))
    };
    let mut rows: Vec<Vec<String>> = certificate
        .attacks
        .verdicts
        .iter()
        .map(|verdict| {
            let held = match (verdict.measured, verdict.held) {
                (None, _) => "",
                (_, true) => "held",
                (_, false) => "EXCEEDED",
            };
            vec![
                attack(&verdict.attack).to_owned(),
                measured(verdict.measured),
                format!(
                    "{} {}",
                    if verdict.strict { "<" } else { "≤" },
                    percent(verdict.limit)
                ),
                raw(&verdict.attack),
                held.to_owned(),
            ]
        })
        .collect();
    let others = certificate.attacks.linkage.iter();
    rows.extend(
        others
            .filter(|l| l.knows != Knows::Terms(3))
            .map(|linkage| {
                let raw = certificate.raw.linkage(linkage.knows);
                let rate =
                    |linkage: &extract::Linkage| (linkage.targets > 0).then_some(linkage.rate);
                vec![
                    format!("linked by {}", knows(linkage.knows)),
                    measured(rate(linkage)),
                    "-".to_owned(),
                    measured(raw.and_then(rate)),
                    String::new(),
                ]
            }),
    );
    stage.table(&["attack", "achieved", "limit", "raw", ""], &rows);
    stage.say(
        "raw: what the same attack achieves on the records as they are. -: not measured (no earlier release, too few \
         outsiders), which is no pass.",
    );
    let population = certificate.population;
    stage.say(&format!(
        "Of at least {} people in groups of at least {} each; in none: at least {} without a known feature, {} without \
         a diagnosis, {} with too few alike.",
        population.released,
        certificate.k,
        population.without_feature,
        population.without_diagnosis,
        population.too_few_alike
    ));
    stage.say(&format!(
        "Kept: of what a person has, the group says {}; of what a group says, a person in it has {}. {} measurements \
         are not told.",
        percent(certificate.kept.recall),
        percent(certificate.kept.precision),
        population.measurements_withheld
    ));
    stage.say(&match certificate.earlier.as_slice() {
        [] => "No earlier release holds any of them.".to_owned(),
        earlier => format!(
            "Attacked together with {} earlier releases of some of them.",
            earlier.len()
        ),
    });
    let canaries = certificate.canaries;
    stage.say(&format!(
        "Of {} identifiers planted in made-up records {} were found again.",
        canaries.planted, canaries.survived
    ));
    stage.say(match certificate.verdict.passes {
        true => "No limit that could be measured was exceeded: it may leave, if the committee certifies it.",
        false => "It must not leave, whoever says so.",
    });
}

fn attack(name: &str) -> &str {
    match name {
        "linkage-three-terms" => "linked by three known features",
        "unique-and-correct" => "one person left, the right one",
        "singling-out" => "singled out beyond public knowledge",
        "membership" => "known to be in it, beyond chance",
        "differencing" => "linked, who came or left since",
        "alone" => "alone between two releases",
        "disclosure" => "diagnosis named, beyond outsiders'",
        other => other,
    }
}

fn knows(knows: Knows) -> String {
    match knows {
        Knows::Terms(1) => "one known feature".to_owned(),
        Knows::Terms(number) => format!("{number} known features"),
        Knows::Record => "all features that were seen".to_owned(),
        Knows::TermsAndDiagnosis(number) => format!("{number} features and the diagnosis"),
        Knows::Everything => "everything in the record".to_owned(),
    }
}

fn limit(verdict: &Verdict) -> String {
    let word = match verdict.strict {
        true => "under",
        false => "at most",
    };
    format!("{word} {}", percent(verdict.limit))
}

fn measured(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), percent)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
