//! The ledger's log for anyone to check (C2SP tlog-tiles), and members' cosignatures of its checkpoints.
//!
//! A tile never changes once it is there, nor does a part of it: both may be kept for good. The newest
//! checkpoint may not.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, Raw, Who, answer, insert},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use node::{
    Error,
    publication::{LogBundle, LogTile},
    witness::{CheckpointCollect, CheckpointCosign, NOTE_MAX_BYTES},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What was gathered for a checkpoint.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Cosigned {
    /// Leaves of the log at that checkpoint.
    size: u64,
    /// The institutions that cosigned it with both keys.
    cosigners: Vec<String>,
}

pub(crate) async fn checkpoint(State(edge): State<Edge>) -> Result<Response, Problem> {
    Ok(note(edge.node.log_checkpoint(()).await?))
}

pub(crate) async fn cosigned(State(edge): State<Edge>) -> Result<Response, Problem> {
    Ok(note(edge.node.log_cosigned(()).await?))
}

pub(crate) async fn tile(
    State(edge): State<Edge>,
    At((level, index)): At<(String, String)>,
) -> Result<Response, Problem> {
    // As everywhere in a path: one way to write a number.
    let number = level.parse().ok().filter(|n: &u8| n.to_string() == level);
    let level = number.ok_or(Error::Unknown("tile of this log"))?;
    let tile = edge.node.log_tile(LogTile { level, index }).await?;
    Ok(kept(tile, "public, max-age=31536000, immutable"))
}

pub(crate) async fn bundle(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(index): At<String>,
) -> Result<Response, Problem> {
    let bundle = edge.node.log_bundle(LogBundle { caller, index }).await?;
    Ok(kept(bundle, "private, max-age=31536000, immutable"))
}

pub(crate) async fn cosign(
    State(edge): State<Edge>,
    Who(caller): Who,
    raw: Raw,
) -> Result<Response, Problem> {
    let note = text(&edge, raw).await?;
    let cosign = CheckpointCosign { caller, note };
    Ok(plain(edge.node.checkpoint_cosign(cosign).await?))
}

pub(crate) async fn collect(
    State(edge): State<Edge>,
    Who(caller): Who,
    raw: Raw,
) -> Result<Response, Problem> {
    let note = text(&edge, raw).await?;
    let collect = CheckpointCollect { caller, note };
    let collected = edge.node.checkpoint_collect(collect).await?;
    let cosigners = collected.cosigners.iter().map(ToString::to_string);
    Ok(answer(
        StatusCode::OK,
        &Cosigned {
            size: collected.size,
            cosigners: cosigners.collect(),
        },
    ))
}

async fn text(edge: &Edge, raw: Raw) -> Result<String, Problem> {
    let held = edge.body(&raw.headers, raw.body, NOTE_MAX_BYTES).await?;
    String::from_utf8(held.bytes)
        .map_err(|_| Problem::bad_request("the body is no text; send a signed note"))
}

fn note(text: String) -> Response {
    let mut response = plain(text);
    insert(&mut response, header::CACHE_CONTROL, "public, max-age=1");
    response
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn kept(bytes: Vec<u8>, how: &str) -> Response {
    let media = [(header::CONTENT_TYPE, "application/octet-stream")];
    let mut response = (media, bytes).into_response();
    insert(&mut response, header::CACHE_CONTROL, how);
    response
}
