//! `ithaca govern`: the members' decisions about the network, through the HTTP of one's own node.
//!
//! The token is an operator's, in a file; it never comes as an argument. Speaks plain HTTP: where TLS ends in
//! front of the node, run it on the node's machine.

use crate::http::{Answer, Call, JSON, text};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use codec::{EntryId, InstitutionId};
use keys::Zeroizing;
use node::governance::ValidatorClaim;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long an answer may take: as long as the node waits for finality, and some.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: u64 = 4 << 20;
const MAX_FILE_BYTES: u64 = 64 << 10;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows the members, the validators, the rules and the open proposals.
    Status {
        #[command(flatten)]
        node: NodeAt,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Proposes a change; it counts as this institution's approval.
    Propose {
        #[command(flatten)]
        node: NodeAt,
        /// Epochs after this one at whose end it may still pass.
        #[arg(long, default_value_t = 10)]
        open_epochs: u64,
        #[command(subcommand)]
        change: Change,
    },
    /// Approves of a proposal, or not.
    Vote {
        #[command(flatten)]
        node: NodeAt,
        /// Its name, as `ithaca govern status` shows it.
        proposal: EntryId,
        verdict: Verdict,
    },
}

/// Where a node serves unless it is told otherwise.
pub(crate) const NODE: &str = "http://127.0.0.1:8420";

#[derive(Args)]
pub(crate) struct NodeAt {
    /// Where the node serves.
    #[arg(long, value_name = "URL", default_value = NODE)]
    node: String,
    /// The token of who asks (an operator's to govern, a researcher's or the committee's for research, a family's for its
    /// own data), in a file.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Verdict {
    Approve,
    Reject,
}

#[derive(Subcommand)]
pub(crate) enum Change {
    /// The institution that made this application becomes a member.
    Admit {
        /// Made by `ithaca network join`.
        application: PathBuf,
    },
    /// A member leaves; it must not be a validator.
    Retire {
        #[arg(long)]
        institution: InstitutionId,
    },
    /// A member validates, under the key that its node claims.
    Validator {
        #[arg(long)]
        institution: InstitutionId,
        /// 192 hexadecimal digits, as `ithaca govern status` shows them at the member's node.
        #[arg(long)]
        claim: ValidatorClaim,
    },
    /// This institution's node validates.
    Validate,
    /// A member validates no longer.
    RemoveValidator {
        #[arg(long)]
        institution: InstitutionId,
    },
    /// New keys take the place of this institution's; the validator's alone.
    Rotate {
        #[arg(required = true)]
        keys: Vec<Key>,
    },
    /// Other rules; those left out stay.
    Parameters {
        #[arg(long)]
        batch_interval_ms: Option<u64>,
        #[arg(long)]
        subject_release_ms: Option<u64>,
        #[arg(long)]
        max_validity_heights: Option<u64>,
        #[arg(long)]
        recover_delay_ms: Option<u64>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Key {
    Signing,
    Governance,
    Sealing,
    Validator,
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Status { node, json } => {
            let shown = node.call("GET", "/v1/network", None)?;
            if json {
                println!("{}", serde_json::to_string_pretty(&shown)?);
            } else {
                print!("{}", status(&shown));
            }
        }
        Command::Propose {
            node,
            open_epochs,
            change,
        } => {
            let accepted = match body(&change)? {
                Body::Json(change) => {
                    let body = json!({"change": change, "open_epochs": open_epochs});
                    let body = (JSON, body.to_string().into_bytes());
                    node.call("POST", "/v1/network/proposals", Some(body))?
                }
                Body::Application(bytes) => {
                    node.call("POST", "/v1/network/applications", Some((CBOR, bytes)))?
                }
            };
            println!("Proposed: {}.", text(&accepted["says"]));
            println!("  {}", standing(&accepted));
            if matches!(change, Change::Rotate { .. }) {
                println!(
                    "Once they serve, back the node up: an older backup brings back keys that do not."
                );
            }
            println!(
                "Each member votes: ithaca govern vote {} approve",
                text(&accepted["entry"])
            );
        }
        Command::Vote {
            node,
            proposal,
            verdict,
        } => {
            let approve = matches!(verdict, Verdict::Approve);
            let body = json!({"approve": approve}).to_string().into_bytes();
            let path = format!("/v1/network/proposals/{proposal}/vote");
            let accepted = node.call("POST", &path, Some((JSON, body)))?;
            let voted = if approve { "Approved" } else { "Rejected" };
            println!("{voted}: {}.", text(&accepted["says"]));
            println!("  {}", standing(&accepted));
        }
    }
    Ok(())
}

const CBOR: &str = "application/cbor";

enum Body {
    Json(Value),
    Application(Vec<u8>),
}

fn body(change: &Change) -> Result<Body> {
    Ok(Body::Json(match change {
        Change::Admit { application } => {
            return Ok(Body::Application(file(application, "the application")?));
        }
        Change::Retire { institution } => json!({"retire": {"institution": institution}}),
        Change::Validator { institution, claim } => {
            json!({"validator": {"institution": institution, "claim": claim.to_string()}})
        }
        Change::Validate => json!({"validate": {}}),
        Change::RemoveValidator { institution } => {
            json!({"remove-validator": {"institution": institution}})
        }
        Change::Rotate { keys } => {
            let keys: Vec<&str> = keys
                .iter()
                .map(|key| match key {
                    Key::Signing => "signing",
                    Key::Governance => "governance",
                    Key::Sealing => "sealing",
                    Key::Validator => "validator",
                })
                .collect();
            json!({"rotate": {"keys": keys}})
        }
        Change::Parameters {
            batch_interval_ms,
            subject_release_ms,
            max_validity_heights,
            recover_delay_ms,
        } => json!({"parameters": {
            "batch_interval_ms": batch_interval_ms,
            "subject_release_ms": subject_release_ms,
            "max_validity_heights": max_validity_heights,
            "recover_delay_ms": recover_delay_ms,
        }}),
    }))
}

fn file(path: &Path, what: &str) -> Result<Vec<u8>> {
    within_size(path, what, MAX_FILE_BYTES)
}

/// A file that is not larger than it can be.
pub(crate) fn within_size(path: &Path, what: &str, most: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read {what} {shown}"))?
        .len();
    if size > most {
        bail!("{what} {shown} is larger than {most} bytes; is it the right file?");
    }
    fs::read(path).with_context(|| format!("cannot read {what} {shown}"))
}

impl NodeAt {
    pub(crate) fn new(node: String, token_file: PathBuf) -> Self {
        Self { node, token_file }
    }

    fn token(&self) -> Result<Zeroizing<String>> {
        let shown = self.token_file.display();
        let bytes = Zeroizing::new(file(&self.token_file, "the token file")?);
        let token = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            bail!(
                "the token file {shown} holds no token; `ithaca token --role operator` makes one"
            );
        }
        Ok(Zeroizing::new(token.to_owned()))
    }

    /// One request; the answer, or the node's own sentence of why not.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Value> {
        let answer = self.send(method, path, body)?;
        answer
            .read::<Value>()
            .with_context(|| format!("{} is no ithaca node", self.node))?;
        answer.value()
    }

    /// One request; what came, whatever its status.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer> {
        if !self.node.starts_with("http://") {
            bail!("--node takes http://HOST:PORT, not '{}'", self.node);
        }
        let token = self.token()?;
        let mut headers = vec![("prefer", "wait=final")];
        let bytes = body.map(|(media, bytes)| {
            headers.push(("content-type", media));
            bytes
        });
        let call = Call {
            method,
            url: &format!("{}{path}", self.node.trim_end_matches('/')),
            token: &token,
            headers: &headers,
            body: bytes.as_deref(),
            patience: PATIENCE,
            answer_max_bytes: MAX_ANSWER_BYTES,
        };
        call.send()
            .with_context(|| format!("cannot ask the node at {}; does it run?", self.node))
    }
}

/// What people read of the network.
fn status(shown: &Value) -> String {
    let mut lines = vec![
        format!("network {}", text(&shown["network"])),
        format!(
            "height {}, epoch {} ends at {}; a proposal needs {} of {} members",
            shown["height"],
            shown["epoch"],
            shown["epoch_last"],
            shown["approvals_needed"],
            list(&shown["members"]).len()
        ),
        format!("this node's key {}", text(&shown["node_key"])),
        format!("its claim to validate {}", text(&shown["validator_claim"])),
    ];
    let rules = shown["parameters"].as_object();
    let rules = rules.into_iter().flatten();
    lines.extend(rules.map(|(name, value)| format!("  {name} = {value}")));
    lines.push("members".to_owned());
    lines.extend(list(&shown["members"]).iter().map(|member| {
        let (id, name) = (text(&member["institution"]), text(&member["name"]));
        let validates = match &member["validator"] {
            Value::String(key) => format!(", validates under {key}"),
            _ => String::new(),
        };
        format!("  {id} {name}, {}{validates}", text(&member["kind"]))
    }));
    let proposals = list(&shown["proposals"]);
    lines.push(match proposals.len() {
        0 => "no proposal is open".to_owned(),
        _ => "proposals".to_owned(),
    });
    lines.extend(proposals.iter().map(|proposal| {
        format!(
            "  {} {}\n    {} approve, {} do not; open until the end of epoch {}",
            text(&proposal["proposal"]),
            text(&proposal["says"]),
            list(&proposal["approve"]).len(),
            list(&proposal["reject"]).len(),
            proposal["expires_epoch"]
        )
    }));
    lines.join("\n") + "\n"
}

fn standing(accepted: &Value) -> String {
    match &accepted["finality"]["height"] {
        Value::Number(height) => format!("final at height {height}"),
        _ => "durable here, not final yet; it goes to the ledger by itself".to_owned(),
    }
}

/// The elements of a JSON array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
