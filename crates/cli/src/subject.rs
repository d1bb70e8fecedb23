//! `ithaca subject`: what a family does at home without a node (`keygen`, `sign`), and what its node shows it: where its
//! data is in research, and who looked.

use crate::{
    govern::{NodeAt, list},
    http::text,
    study::{encoded, told},
};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use codec::{Millis, SubjectId};
use keys::Zeroizing;
use keys::{Secret, SigningKey};
use node::consent_change::{ConsentBundle, GenesisNames};
use node::verify;
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

const HEADER: &str = "ithaca subject key v1";
const MAX_BUNDLE_BYTES: u64 = 1 << 20;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a key for one person at one institution, in a file that only you can read.
    Keygen {
        /// Where the secret key goes. Keep it safe, and a copy elsewhere: it controls the consent.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Shows what a prepared change says and signs it.
    Sign {
        /// The bundle that the institution prepared.
        bundle: PathBuf,
        /// Your secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The network's genesis, for the names of institutions.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// Where the signed change goes; without it the change is only shown.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Shows where a person's data is in research: releases that hold it, what attacks on them achieved, what counts
    /// have learnt (for the family, a privacy officer, an auditor).
    Research {
        #[command(flatten)]
        node: NodeAt,
        subject: SubjectId,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Shows who looked at a person's records, and who was refused, oldest first (for the same).
    Disclosures {
        #[command(flatten)]
        node: NodeAt,
        subject: SubjectId,
        /// Only from this time on, such as 2026-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Keygen { out } => keygen(&out),
        Command::Sign {
            bundle,
            key,
            genesis,
            out,
        } => sign(&bundle, &key, &genesis, out.as_deref()),
        Command::Research {
            node,
            subject,
            json,
        } => {
            let held = node.call("GET", &format!("/v1/subjects/{subject}/research"), None)?;
            told(&held, json, &|held| research(held).join("\n") + "\n")
        }
        Command::Disclosures {
            node,
            subject,
            from,
            json,
        } => {
            let from = from.map_or_else(String::new, |from| format!("?from={}", encoded(&from)));
            let path = format!("/v1/subjects/{subject}/disclosures{from}");
            told(&node.call("GET", &path, None)?, json, &disclosures)
        }
    }
}

/// What research holds of a person, in sentences.
pub(crate) fn research(held: &Value) -> Vec<String> {
    let mut lines: Vec<String> = list(&held["releases"]).iter().flat_map(release).collect();
    if lines.is_empty() {
        lines.push("No release of this institution holds this person's data.".to_owned());
    }
    let counts = &held["counts"];
    let epsilon = |name: &str| counts[name].as_f64().unwrap_or_default();
    let renews = match text(&counts["renews"]) {
        at if at.is_empty() => String::new(),
        at => format!("; the budget is renewed on {}", day(&at)),
    };
    lines.push(format!(
        "Counts with noise have spent {} of the {} that they may spend of this person's privacy (epsilon){renews}.",
        epsilon("spent"),
        epsilon("budget")
    ));
    let studies = list(&held["studies"]);
    if studies.is_empty() {
        lines.push("No study may use this person's data now.".to_owned());
    }
    lines.extend(studies.iter().map(|study| {
        format!(
            "The study \"{}\" may use this person's data now ({}).",
            text(&study["title"]),
            text(&study["study"])
        )
    }));
    lines.push(text(&held["says"]));
    lines
}

/// A release that holds somebody's data.
fn release(release: &Value) -> Vec<String> {
    let study = match text(&release["title"]) {
        title if title.is_empty() => "a study that is not known here any more".to_owned(),
        title => format!("the study \"{title}\""),
    };
    let mut lines = vec![format!(
        "Release {} of {study}, made on {}, holds this person's data.",
        release["number"],
        day(&text(&release["at"]))
    )];
    let summary = text(&release["summary"]);
    if !summary.is_empty() {
        lines.push(format!("  What the study is for: {summary}"));
    }
    let linked = release["linked_percent"].as_f64();
    lines.push(match linked {
        Some(linked) => format!(
            "  In our attacks at most {linked} of 100 people in it were linked. What others would achieve is not known."
        ),
        None => "  The node does not say what attacks on it achieved.".to_owned(),
    });
    lines.push(format!(
        "  study {}, certificate {}",
        text(&release["study"]),
        text(&release["certificate"])
    ));
    lines
}

/// The date of a time.
fn day(at: &str) -> &str {
    at.split('T').next().unwrap_or(at)
}

/// Who looked, a line each.
fn disclosures(shown: &Value) -> String {
    let rows = list(&shown["disclosures"]);
    let mut lines: Vec<String> = rows.iter().map(disclosure).collect();
    if rows.is_empty() {
        lines.push("Nobody looked, and nobody was refused.".to_owned());
    }
    if shown["truncated"] == true {
        let last = rows.last().map(|row| text(&row["at"])).unwrap_or_default();
        lines.push(format!("There are more: ask again with --from {last}"));
    }
    lines.join("\n") + "\n"
}

fn disclosure(row: &Value) -> String {
    let outcome = match row["permitted"] == true {
        true => "permitted",
        false => "refused",
    };
    let words = |name: &str| -> Vec<String> { list(&row[name]).iter().map(text).collect() };
    let study = match text(&row["study"]) {
        id if id.is_empty() => String::new(),
        id => format!(" for the study {id}"),
    };
    format!(
        "{} {outcome}: {} of {} for {}{study}: {} ({})",
        text(&row["at"]),
        text(&row["practitioner"]),
        text(&row["institution"]),
        text(&row["purpose"]),
        what(row),
        words("because").join("; ")
    )
}

/// What was done or asked for in a disclosure.
pub(crate) fn what(seen: &Value) -> String {
    let categories: Vec<String> = list(&seen["categories"]).iter().map(text).collect();
    let parts = [text(&seen["act"]), categories.join(", ")];
    let parts: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(": ")
}

#[expect(clippy::print_stdout, reason = "the public key is what was asked for")]
fn keygen(out: &Path) -> Result<()> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    crate::entropy::fill(seed.as_mut())?;
    let hex: Zeroizing<String> = Zeroizing::new(seed.iter().map(|b| format!("{b:02x}")).collect());
    let text = Zeroizing::new(format!("{HEADER}\n{}\n", hex.as_str()));
    create_private(out)?
        .write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", out.display()))?;
    println!(
        "{}",
        SigningKey::from_seed(Secret::from_bytes(*seed)).public()
    );
    Ok(())
}

/// A new file that nobody else can read; never one that exists.
pub(crate) fn create_private(path: &Path) -> Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .with_context(|| format!("cannot create {}; it must not exist yet", path.display()))
}

fn read_key(path: &Path) -> Result<SigningKey> {
    let shown = path.display();
    let text =
        Zeroizing::new(fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?);
    let Some(hex) = text.strip_prefix(HEADER).map(str::trim) else {
        bail!("{shown} is not a key made by `ithaca subject keygen`");
    };
    let mut seed = Zeroizing::new([0_u8; 32]);
    if hex.len() != 64 || !hex.is_ascii() {
        bail!("{shown} is damaged; use your copy");
    }
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16)
            .map_err(|_| anyhow::anyhow!("{shown} is damaged; use your copy"))?;
    }
    Ok(SigningKey::from_seed(Secret::from_bytes(*seed)))
}

#[expect(clippy::print_stdout, reason = "what will be signed is shown first")]
fn sign(bundle: &Path, key: &Path, genesis: &Path, out: Option<&Path>) -> Result<()> {
    let size = fs::metadata(bundle)
        .with_context(|| format!("cannot read {}", bundle.display()))?
        .len();
    if size > MAX_BUNDLE_BYTES {
        bail!(
            "{} is larger than any bundle; is it the right file?",
            bundle.display()
        );
    }
    let prepared =
        ConsentBundle::decode(&fs::read(bundle)?).with_context(|| bundle.display().to_string())?;
    let genesis = verify::genesis(
        &fs::read(genesis).with_context(|| format!("cannot read {}", genesis.display()))?,
    )?;
    if genesis.network_id() != prepared.network {
        bail!(
            "{} is for another network than this genesis; do not sign it",
            bundle.display()
        );
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    for line in prepared.summary(Millis::new(u64::try_from(now)?), &GenesisNames(&genesis)) {
        println!("• {line}");
    }
    let signed = prepared
        .sign(&read_key(key)?)
        .with_context(|| bundle.display().to_string())?;
    match out {
        Some(path) => {
            fs::write(path, signed.encode())
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("Signed. Hand {} back to the institution.", path.display());
        }
        None => println!("Not signed: give --out FILE to sign what is written above."),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn held() -> Value {
        json!({
            "releases": [{"study": "5a".repeat(16), "title": "What rare\u{1b}[2J syndromes share", "summary": "So that others are found.",
                "number": 3, "at": "2026-11-23T08:00:00Z", "linked_percent": 4.5, "certificate": "11".repeat(32)}],
            "counts": {"budget": 10.0, "spent": 0.5, "left": 9.5, "renews": "2027-02-01T00:00:00Z"},
            "studies": [{"study": "5b".repeat(16), "title": "Another"}],
            "says": "A copy that has left cannot be recalled.",
        })
    }

    #[test]
    fn a_family_reads_where_its_data_is() {
        let lines = research(&held());
        let said = lines.join("\n");
        for words in [
            "Release 3 of the study \"What rare[2J syndromes share\", made on 2026-11-23, holds",
            "What the study is for: So that others are found.",
            "at most 4.5 of 100 people in it were linked. What others would achieve is not known.",
            "have spent 0.5 of the 10 that",
            "renewed on 2027-02-01",
            "The study \"Another\" may use",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(
            lines.last().unwrap(),
            "A copy that has left cannot be recalled."
        );
        assert!(
            !said.contains("No release") && !said.contains("No study"),
            "{said}"
        );
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let mut held = held();
        held["releases"][0]["title"] = Value::Null;
        held["releases"][0]["linked_percent"] = Value::Null;
        held["counts"]["renews"] = Value::Null;
        held["studies"] = json!([]);
        let said = research(&held).join("\n");
        assert!(
            said.contains("a study that is not known here any more, made on"),
            "{said}"
        );
        assert!(
            said.contains("does not say what attacks") && !said.contains("of 100"),
            "{said}"
        );
        assert!(
            !said.contains("renewed") && said.contains("No study may use"),
            "{said}"
        );
        held["releases"] = json!([]);
        assert!(research(&held)[0].starts_with("No release"));
    }

    #[test]
    fn who_looked_is_told_with_the_study() {
        let mut row = json!({
            "at": "2026-11-23T08:00:00Z", "institution": "aa", "practitioner": "dr-karras", "purpose": "HRESCH",
            "study": "5a".repeat(16), "categories": ["phenotype"], "permitted": true, "because": ["a grant"],
        });
        let said = disclosures(&json!({"disclosures": [row], "truncated": true}));
        let study = format!(
            "dr-karras of aa for HRESCH for the study {}: phenotype (a grant)",
            "5a".repeat(16)
        );
        assert!(
            said.starts_with("2026-11-23T08:00:00Z permitted: ") && said.contains(&study),
            "{said}"
        );
        assert!(said.ends_with("--from 2026-11-23T08:00:00Z\n"), "{said}");
        row["study"] = Value::Null;
        row["permitted"] = json!(false);
        let said = disclosures(&json!({"disclosures": [row], "truncated": false}));
        assert!(
            said.contains(" refused: ") && !said.contains("study") && said.lines().count() == 1,
            "{said}"
        );
        assert!(disclosures(&json!({"disclosures": []})).starts_with("Nobody looked"));
    }
}
