//! Probes, metrics and status, for operators.

use crate::{
    edge::Edge,
    openapi,
    problem::Problem,
    read::{Who, answer},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{fmt::Write as _, sync::LazyLock};

/// The process lives.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
    version: &'static str,
}

/// Whether the node can serve.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    /// Own care can be served.
    ready: bool,
    /// Sharing and research can be served too: the view of the ledger is fresh.
    fresh: bool,
    /// Why not.
    because: Vec<String>,
    /// Height of the ledger here.
    height: u64,
    /// About where the network is; above `height` while the node catches up.
    of_about: u64,
}

/// How the node does.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusShown {
    network: String,
    institution: String,
    name: String,
    validator: bool,
    height: u64,
    block_time: String,
    log_size: u64,
    view_age_ms: u64,
    waiting_commitments: u64,
    waiting_entries: u64,
    waiting_oldest_ms: u64,
    restored: bool,
    warnings: Vec<String>,
    notice: &'static str,
}

pub(crate) const NOTICE: &str =
    "Research and evaluation build: not for clinical use, not CE-marked or FDA-cleared.";

pub(crate) async fn health() -> Response {
    answer(
        StatusCode::OK,
        &Health {
            status: "alive",
            version: env!("CARGO_PKG_VERSION"),
        },
    )
}

pub(crate) async fn ready(State(edge): State<Edge>) -> Result<Response, Problem> {
    let readiness = edge.node.ready(()).await?;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(answer(
        status,
        &Ready {
            ready: readiness.ready,
            fresh: readiness.fresh,
            because: readiness.because,
            height: readiness.height,
            of_about: readiness.of_about,
        },
    ))
}

pub(crate) async fn metrics(
    State(edge): State<Edge>,
    Who(caller): Who,
) -> Result<Response, Problem> {
    // The numbers are for those whose node this is; the node knows who that is.
    edge.node.status(caller).await?;
    let mut text = String::new();
    for sample in edge.node.metrics(()).await?.samples {
        let kind = if sample.name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {0} {1}\n# TYPE {0} {kind}\n{0} {2}",
            sample.name, sample.help, sample.value
        );
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

pub(crate) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);
    answer(StatusCode::OK, &*DOCUMENT)
}

pub(crate) async fn status(
    State(edge): State<Edge>,
    Who(caller): Who,
) -> Result<Response, Problem> {
    let status = edge.node.status(caller).await?;
    Ok(answer(
        StatusCode::OK,
        &StatusShown {
            network: status.network.to_string(),
            institution: status.institution.to_string(),
            name: status.name,
            validator: status.validator,
            height: status.tip.height,
            block_time: node::Millis::new(status.tip.time_ms).to_rfc3339(),
            log_size: status.tip.log_size,
            view_age_ms: status.tip.age_ms,
            waiting_commitments: status.outbox.commitments,
            waiting_entries: status.outbox.entries,
            waiting_oldest_ms: status.outbox.oldest_ms,
            restored: status.restored,
            warnings: status.warnings,
            notice: NOTICE,
        },
    ))
}
