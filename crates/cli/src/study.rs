//! `ithaca study`: studies, their way to approval, and noisy counts for them, through the HTTP of one's own node.
//!
//! Who proposes has a researcher's token, who approves one of the data-access committee; never the same person.

use crate::{
    config,
    govern::{NodeAt, list, within_size},
    http::{JSON, text},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use codec::{Digest, InstitutionId, Millis, StudyId};
use keys::Sha256Hasher;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

const MAX_FILE_BYTES: u64 = 256 << 10;
/// The longest that the ledger may take to hold a study that was opened.
const OPENING: Duration = Duration::from_secs(60);
/// Between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(250);
const DAY_MS: u64 = 86_400_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Proposes a study that a file describes (a researcher does).
    Propose(Propose),
    /// Lists the studies of this institution.
    List {
        #[command(flatten)]
        node: NodeAt,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Shows a study: what it declares, how far it is, who did what.
    Show(One),
    /// Shows how a study keeps the conditions that families gave (for the committee).
    Match(One),
    /// Approves a study (the committee does; not who proposed it).
    Approve {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// A condition that only a person can judge and that is accepted for this study, word for word as
        /// `ithaca study match` shows it. May be given several times.
        #[arg(long = "accept", value_name = "CONDITION")]
        accepted: Vec<String>,
    },
    /// Refuses a study, with the reason.
    Refuse(Because),
    /// Accepts the data-use agreement (a researcher does, who did not approve the study).
    Agree {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// The agreement; its SHA-256 is what is kept, the file goes nowhere.
        #[arg(long, value_name = "FILE")]
        agreement: PathBuf,
    },
    /// Opens a study: its policy's digest goes to the ledger, and data may be used from then on.
    Open {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// Does not wait until it is on the ledger.
        #[arg(long)]
        no_wait: bool,
    },
    /// Ends a study before its time, with the reason.
    End(Because),
    /// Takes a study back before it opens, with the reason.
    Withdraw(Because),
    /// Asks how many there are, about: a count with noise, which costs a part of the privacy budgets.
    Count {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// What must hold, such as HP:0001250, OMIM:154700, sex=female, 'age>=P18Y'; all that are given. None:
        /// everybody is counted. `docs/discovery.md` lists the kinds.
        #[arg(long = "filter", value_name = "FILTER")]
        filters: Vec<String>,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Shows what counts have spent of the privacy budgets.
    Spending(One),
    /// Asks the institution to be in touch with whom a token of a release stands for. What comes of it is not
    /// told.
    Recontact {
        #[command(flatten)]
        node: NodeAt,
        study: StudyId,
        /// The token, as the release has it.
        token: String,
    },
}

#[derive(Args)]
pub(crate) struct Propose {
    /// The study: TOML, or JSON if its name ends in .json.
    #[arg(required_unless_present = "template")]
    file: Option<PathBuf>,
    /// Prints such a file, to be filled in, and asks no node.
    #[arg(long, conflicts_with = "file")]
    template: bool,
    /// For the template: the institution that runs the study, as `ithaca init` prints it.
    #[arg(long, requires = "template", value_name = "ID")]
    institution: Option<InstitutionId>,
    /// Where the node serves.
    #[arg(long, value_name = "URL", default_value = crate::govern::NODE)]
    node: String,
    /// A researcher's token, in a file.
    #[arg(long, value_name = "FILE", required_unless_present = "template")]
    token_file: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    node: NodeAt,
    study: StudyId,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Because {
    #[command(flatten)]
    node: NodeAt,
    study: StudyId,
    /// Why, in a sentence.
    #[arg(long)]
    why: String,
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Propose(options) => propose(options)?,
        Command::List { node, json } => {
            let shown = node.call("GET", "/v1/studies", None)?;
            told(&shown, json, &|shown| match list(shown) {
                [] => "no study was proposed here\n".to_owned(),
                studies => studies.iter().map(line).collect(),
            })?;
        }
        Command::Show(one) => told(&one.got("")?, one.json, &study)?,
        Command::Match(one) => told(&one.got("/matching")?, one.json, &matching)?,
        Command::Spending(one) => told(&one.got("/spending")?, one.json, &spending)?,
        Command::Approve {
            node,
            study,
            accepted,
        } => {
            let accepted = accepted.iter().map(|condition| {
                // Those with words in them are JSON, as they were shown; the others a word.
                serde_json::from_str(condition).unwrap_or_else(|_| json!(condition))
            });
            let accepted: Vec<Value> = accepted.collect();
            let done = step(&node, &study, &json!("approve"), &accepted)?;
            println!("Approved. {}", line(&done).trim_end());
            println!("Next, a researcher accepts the agreement: ithaca study agree {study} …");
        }
        Command::Refuse(because) => because.take("refuse", "Refused")?,
        Command::End(because) => because.take("end", "Ended")?,
        Command::Withdraw(because) => because.take("withdraw", "Withdrawn")?,
        Command::Agree {
            node,
            study,
            agreement,
        } => {
            let digest = sha256(&agreement)?;
            step(&node, &study, &json!({"agree": digest.to_string()}), &[])?;
            println!("Agreed to {}, SHA-256 {digest}.", agreement.display());
            println!("Next, either side opens the study: ithaca study open {study} …");
        }
        Command::Open {
            node,
            study,
            no_wait,
        } => {
            let mut shown = step(&node, &study, &json!("open"), &[])?;
            let from = Instant::now();
            while shown["on_ledger"] != true && !no_wait {
                if from.elapsed() > OPENING {
                    bail!(
                        "the study is open here and not yet on the ledger, which other institutions keep; look again \
                         with `ithaca study show`"
                    );
                }
                thread::sleep(LOOK);
                shown = node.call("GET", &format!("/v1/studies/{study}"), None)?;
            }
            println!("Opened. {}", line(&shown).trim_end());
            println!("  policy {}", text(&shown["policy"]));
        }
        Command::Count {
            node,
            study,
            filters,
            json,
        } => count(&node, &study, &filters, json)?,
        Command::Recontact { node, study, token } => {
            let body = json!({"token": token}).to_string().into_bytes();
            let path = format!("/v1/studies/{study}/recontact");
            let taken = node.call("POST", &path, Some((JSON, body)))?;
            println!("{}", text(&taken["says"]));
        }
    }
    Ok(())
}

impl One {
    fn got(&self, rest: &str) -> Result<Value> {
        let path = format!("/v1/studies/{}{rest}", self.study);
        self.node.call("GET", &path, None)
    }
}

impl Because {
    #[expect(clippy::print_stdout, reason = "what was asked for")]
    fn take(&self, name: &str, done: &str) -> Result<()> {
        let shown = step(&self.node, &self.study, &json!({name: self.why}), &[])?;
        println!("{done}. {}", line(&shown).trim_end());
        Ok(())
    }
}

/// Prints an answer for people, or as it came.
#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn told(shown: &Value, json: bool, says: &dyn Fn(&Value) -> String) -> Result<()> {
    match json {
        true => println!("{}", serde_json::to_string_pretty(shown)?),
        false => print!("{}", says(shown)),
    }
    Ok(())
}

fn step(node: &NodeAt, study: &StudyId, step: &Value, accepted: &[Value]) -> Result<Value> {
    let body = json!({"step": step, "accepted": accepted});
    let path = format!("/v1/studies/{study}/steps");
    node.call("POST", &path, Some((JSON, body.to_string().into_bytes())))
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn propose(options: Propose) -> Result<()> {
    let (Some(file), Some(token_file)) = (options.file, options.token_file) else {
        print!("{}", template(options.institution)?);
        return Ok(());
    };
    let body = described(&file)?.to_string().into_bytes();
    let node = NodeAt::new(options.node, token_file);
    let shown = node.call("POST", "/v1/studies", Some((JSON, body)))?;
    told(&shown, options.json, &|shown| {
        format!(
            "Proposed. {}Next, the committee: ithaca study match {id} … and ithaca study approve {id} …\n",
            line(shown),
            id = text(&shown["id"])
        )
    })
}

/// What a file says of a study.
fn described(path: &Path) -> Result<Value> {
    let shown = path.display();
    let bytes = within_size(path, "the study", MAX_FILE_BYTES)?;
    let words = std::str::from_utf8(&bytes).with_context(|| format!("{shown} is no text"))?;
    let read = match path.extension().is_some_and(|ending| ending == "json") {
        true => serde_json::from_str(words).map_err(anyhow::Error::from),
        false => config::parsed::<toml::Value>(words).map(of_toml),
    };
    read.with_context(|| format!("{shown} does not describe a study"))
}

/// TOML as JSON; dates as they are written.
fn of_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(yes) => json!(yes),
        toml::Value::Datetime(at) => json!(at.to_string()),
        toml::Value::Array(values) => values.into_iter().map(of_toml).collect(),
        toml::Value::Table(members) => {
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name, of_toml(value)))
                    .collect(),
            )
        }
    }
}

/// A study to be filled in, for two years from today.
fn template(institution: Option<InstitutionId>) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let today = u64::try_from(now.as_millis())? / DAY_MS * DAY_MS;
    let day = |at: u64| Millis::new(at).to_rfc3339();
    let institution = institution.map_or_else(
        || "32 hexadecimal digits: the id that `ithaca init` prints".to_owned(),
        |id| id.to_string(),
    );
    Ok(TEMPLATE
        .replace("@INSTITUTION", &institution)
        .replace("@FROM", &day(today))
        .replace("@UNTIL", &day(today + 730 * DAY_MS)))
}

const TEMPLATE: &str = r#"# A study. Fill it in, then: ithaca study propose FILE --token-file TOKEN
title = "Natural history of craniofacial syndromes"
# What it is for, in words for everybody: families read this.
summary = "We want to know how these syndromes go on, so that families learn what to expect."
purposes = ["HRESCH"]              # HL7 PurposeOfUse: HRESCH, or one within it; all research
categories = ["phenotype"]         # phenotype, laboratory, vitals, genomic; with identity people may be asked again

[limits]
k = 5                              # the fewest people in a group of a release; from 3
linked_per_mille = 50              # of a thousand, how many an attack with three known facts may link

# What it declares; held against what families agreed to (docs/studies.md). What is left unsaid counts against it.
[declared]
research = ["health"]              # general, health, disease, ancestry, methods, clinical-care
# diseases = ["MONDO:0009861"]     # with research = ["disease"], and only then
genetic = false                    # whether it works with genetic data
commercial = false                 # whether it is for something commercial
organisation = "non-profit"        # or for-profit, if any institution is
institutions = ["@INSTITUTION"]
# users = [{ institution = "…", practitioner = "dr-who" }] # nobody else; left out: whoever the institutions let
countries = ["GR"]                 # where the data are used (ISO 3166)
# ethics = { committee = "Ethics committee of …", reference = "2026/17" }
# publishes_from = "@UNTIL"
collaborates = false               # works together with those who collected the data
returns = false                    # gives back what it derives
period = { from = "@FROM", until = "@UNTIL" }
# sensitive = ["children"]         # what a person must judge; see docs/studies.md
# other = "Anything else about the use, in words."
"#;

/// Reads a file to its end, whatever its length.
fn sha256(path: &Path) -> Result<Digest> {
    let shown = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let mut hash = Sha256Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {shown}"))?;
        if read == 0 {
            return Ok(Digest::new(hash.finalize()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

fn count(node: &NodeAt, study: &StudyId, filters: &[String], json: bool) -> Result<()> {
    let asked: Vec<String> = filters.iter().map(|filter| encoded(filter)).collect();
    let filters = match asked.is_empty() {
        true => String::new(),
        false => format!("filters={}&", asked.join(",")),
    };
    let path =
        format!("/v1/studies/{study}/beacon/v2/individuals?{filters}requestedGranularity=count");
    let budgets = format!("/v1/studies/{study}/spending");
    let before = node.call("GET", &budgets, None)?;
    let answer = node.send("GET", &path, None)?;
    let read: Value = answer.read()?;
    if let Some(why) = read["error"]["errorMessage"].as_str() {
        bail!("the node refused: {}", text(&json!(why)));
    }
    let read = answer.value()?;
    let after = node.call("GET", &budgets, None)?;
    let spent = |of: &Value| of["researcher"]["spent"].as_f64().unwrap_or_default();
    // Another period may have begun in between.
    let cost = millionths((spent(&after) - spent(&before)).max(0.0));
    let all = json!({"answer": read, "cost": cost, "spending": after});
    told(&all, json, &counted)
}

/// Six digits: sums of decimals are off by less.
fn millionths(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// For a query: all but letters, digits and a few signs as `%XX`.
pub(crate) fn encoded(filter: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let bytes = filter.bytes();
    bytes
        .map(|byte| match kept(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// What people read of a count.
pub(crate) fn counted(all: &Value) -> String {
    let (answer, spending) = (&all["answer"], &all["spending"]);
    let (info, summary) = (&answer["info"], &answer["responseSummary"]);
    let within = info["within95"].as_u64().unwrap_or_default();
    let mut said = match (
        summary["exists"] == true,
        summary["numTotalResults"].as_u64(),
    ) {
        (true, Some(count)) => format!(
            "About {count}. There is random noise in it: 95 of 100 such answers are off by at most {within}.\n"
        ),
        _ => format!(
            "Fewer than {}, or nobody: with the noise that is in it (±{within}, 95 times of 100) no more can be said.\n",
            info["floor"]
        ),
    };
    said += &match all["cost"].as_f64() {
        Some(cost) if cost > 0.0 => format!("It cost {cost} of the privacy budgets (epsilon).\n"),
        _ => "It cost nothing: you were given this answer before today.\n".to_owned(),
    };
    said + &self::spending(spending)
}

fn spending(shown: &Value) -> String {
    let one = |whose: &str, budget: &Value| {
        let number = |name: &str| millionths(budget[name].as_f64().unwrap_or_default());
        let renews = match &budget["renews"] {
            Value::String(_) => format!(" until {}", text(&budget["renews"])),
            _ => String::new(),
        };
        let (left, of) = (number("left"), number("budget"));
        format!("{whose} has {left} of {of} left{renews}.\n")
    };
    let mine = shown.get("researcher").filter(|mine| !mine.is_null());
    let mine = mine.map_or_else(String::new, |mine| one("The researcher", mine));
    mine + &one("The study", &shown["study"])
}

/// A study in a line.
fn line(shown: &Value) -> String {
    let ledger = match shown["on_ledger"] == true {
        true => ", on the ledger",
        false => "",
    };
    format!(
        "{} {}{ledger}: {}\n",
        text(&shown["id"]),
        text(&shown["status"]),
        text(&shown["study"]["title"])
    )
}

fn codes(values: &Value) -> String {
    let values: Vec<String> = list(values).iter().map(text).collect();
    values.join(", ")
}

/// Everything of a study.
fn study(shown: &Value) -> String {
    let study = &shown["study"];
    let (declared, limits) = (&study["declared"], &study["limits"]);
    let yes = |name: &str| match declared[name] == true {
        true => "yes",
        false => "no",
    };
    let linked = limits["linked_per_mille"].as_f64().unwrap_or_default() / 10.0;
    let mut lines = vec![
        line(shown).trim_end().to_owned(),
        format!("  for         {}", text(&study["summary"])),
        format!("  run by      {}", text(&study["institution"])),
        format!("  purposes    {}", codes(&study["purposes"])),
        format!("  asks for    {}", codes(&study["categories"])),
        format!(
            "  releases    groups of at least {}, attacks link under {linked} %; {} on the ledger",
            limits["k"], shown["releases"]
        ),
        format!(
            "  research    {}; genetic {}; commercial {}; {}",
            [codes(&declared["research"]), codes(&declared["diseases"])]
                .join(" ")
                .trim(),
            yes("genetic"),
            yes("commercial"),
            text(&declared["organisation"])
        ),
        format!(
            "  used at     {}; in {}",
            codes(&declared["institutions"]),
            codes(&declared["countries"])
        ),
        format!(
            "  from        {} until {}",
            text(&declared["period"]["from"]),
            text(&declared["period"]["until"])
        ),
        format!("  policy      {}", text(&shown["policy"])),
    ];
    if let Value::String(_) = &study["agreement"]["digest"] {
        lines.push(format!(
            "  agreement   SHA-256 {}",
            text(&study["agreement"]["digest"])
        ));
    }
    lines.extend(
        list(&shown["accepted"])
            .iter()
            .map(|accepted| format!("  accepted    {accepted}")),
    );
    let proposed = &study["proposed"];
    lines.push(signed("proposed", proposed, ""));
    lines.extend(list(&shown["acts"]).iter().map(|act| {
        let (name, why) = match &act["step"] {
            Value::Object(step) => {
                let first = step.iter().next();
                first.map_or_else(Default::default, |(name, why)| (name.clone(), text(why)))
            }
            step => (text(step), String::new()),
        };
        signed(&name, &act["signed"], &why)
    }));
    lines.join("\n") + "\n"
}

fn signed(what: &str, signed: &Value, why: &str) -> String {
    let why = match why {
        "" => String::new(),
        why => format!(": {why}"),
    };
    let who = text(&signed["by"]["practitioner"]);
    format!("  {} {what} by {who}{why}", text(&signed["at"]))
}

/// How a study keeps what families agreed to.
fn matching(shown: &Value) -> String {
    let mut lines = vec![format!(
        "permitted for {}, for a person to judge {}, denied {}, agreed to no research {} (rounded down to fives)",
        shown["permitted"], shown["for_a_person"], shown["denied"], shown["none"]
    )];
    for matched in list(&shown["conditions"]) {
        lines.push(format!("conditions {}", matched["conditions"]));
        lines.push(format!("  {}", text(&matched["result"]["outcome"])));
        for clause in list(&matched["result"]["clauses"]) {
            for finding in list(&clause["findings"]) {
                let duo = text(&finding["duo"]);
                lines.push(format!(
                    "    {}{}{}: {}",
                    text(&finding["outcome"]),
                    if duo.is_empty() { "" } else { " " },
                    duo,
                    text(&finding["because"])
                ));
            }
            lines.extend(
                list(&clause["conditions"])
                    .iter()
                    .map(|condition| format!("    to accept it: --accept '{condition}'")),
            );
        }
    }
    lines.push(text(&shown["says"]));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::StudyUse;

    #[test]
    fn the_template_is_a_study() {
        let institution = InstitutionId::new([7; 16]);
        let template = template(Some(institution)).unwrap();
        let mut read = of_toml(config::parsed(&template).unwrap());
        read["declared"]["study"] = json!(StudyId::new([0; 16]).to_string());
        let declared: StudyUse = serde_json::from_value(read["declared"].clone()).unwrap();
        assert!(declared.institutions.contains(&institution));
        let _: consent::Limits = serde_json::from_value(read["limits"].clone()).unwrap();
        // What is commented out can be said too.
        let all: String = template
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(said) if said.contains(" = ") && !said.contains('…') => format!("{said}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let mut read = of_toml(config::parsed(&all).unwrap());
        read["declared"]["study"] = json!(StudyId::new([0; 16]).to_string());
        let declared: StudyUse = serde_json::from_value(read["declared"].clone()).unwrap();
        assert!(declared.other.is_some() && !declared.sensitive.is_empty());
    }

    #[test]
    fn filters_reach_the_beacon_as_they_are() {
        assert_eq!(encoded("HP:0001250"), "HP:0001250");
        assert_eq!(encoded("age>=P18Y"), "age%3E%3DP18Y");
        assert_eq!(encoded("a,b&c"), "a%2Cb%26c");
    }

    #[test]
    fn a_count_is_told_with_its_margin_and_cost() {
        let all = |exists: bool, count: u64, cost: f64| {
            counted(&json!({
                "answer": {"responseSummary": {"exists": exists, "numTotalResults": count},
                    "info": {"within95": 6, "floor": 5}},
                "cost": cost,
                "spending": {"researcher": {"budget": 10.0, "left": 9.5, "renews": "2027-01-01T00:00:00Z"},
                    "study": {"budget": 20.0, "left": 19.5}},
            }))
        };
        let said = all(true, 14, 0.5);
        assert!(
            said.starts_with("About 14.") && said.contains("off by at most 6"),
            "{said}"
        );
        assert!(
            said.contains("It cost 0.5") && said.contains("9.5 of 10 left until 2027"),
            "{said}"
        );
        let said = all(false, 0, 0.0);
        assert!(said.starts_with("Fewer than 5, or nobody"), "{said}");
        assert!(said.contains("cost nothing"), "{said}");
    }
}
