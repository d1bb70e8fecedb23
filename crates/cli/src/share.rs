//! `ithaca share`: the pointer that lets another institution ask, through the HTTP of one's own node.

use crate::{
    govern::NodeAt,
    http::{JSON, text},
};
use anyhow::Result;
use clap::Args;
use codec::{GrantId, SubjectId};
use serde_json::json;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    node: NodeAt,
    /// Whose records.
    #[arg(long)]
    subject: SubjectId,
    /// The grant that stands for them.
    #[arg(long)]
    grant: GrantId,
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let body = json!({"grant": options.grant.to_string()}).to_string();
    let path = format!("/v1/subjects/{}/pointers", options.subject);
    let made = options
        .node
        .call("POST", &path, Some((JSON, body.into_bytes())))?;
    println!("{}", text(&made["pointer"]));
    Ok(())
}
