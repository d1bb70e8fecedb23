//! CDS Hooks 2.0: what a clinician's own system asks when a record is opened or orders are signed.
//!
//! A request that prefetches the patient's resources is answered from these, and nothing is kept. One that
//! names a subject of this institution instead is answered from its records: decided and logged as a reading
//! for treatment.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, Raw, Who, answer},
};
use axum::{extract::State, http::StatusCode, response::Response};
use cds::{Feedback, Request, Service, Source};
use node::{
    Purpose, SubjectId,
    differential::{Diagnose, DifferentialQuery},
    record::Content,
};

/// Candidates that cards are made of.
const CANDIDATES: usize = 5;

pub(crate) async fn services() -> Response {
    answer(StatusCode::OK, &cds::services())
}

pub(crate) async fn call(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(service): At<String>,
    Raw { headers, body }: Raw,
) -> Result<Response, Problem> {
    edge.node.welcome(caller.clone()).await?;
    let service = known(&service)?;
    let held = edge.body(&headers, body, edge.limits.payload_bytes).await?;
    let request = Request::parse(&held.bytes, service).map_err(refused)?;
    let source = Source {
        label: "Ithaca, research and evaluation build".to_owned(),
        url: None,
        topic: None,
    };
    if !request.is_for_professional() {
        // Nothing is shown to anybody else: so nothing is read.
        let nothing = cds::Response { cards: Vec::new() };
        return Ok(answer(StatusCode::OK, &nothing));
    }
    let subject: Option<SubjectId> = request.patient_id().parse().ok();
    let given = match (request.case_document(), subject) {
        (Ok(case), _) => {
            edge.node
                .diagnose(Diagnose {
                    caller,
                    case: Content::new(case),
                    limit: CANDIDATES,
                })
                .await?
        }
        (Err(error), Some(subject)) if error.is_prefetch_needed() => {
            let shown = edge.node.differential(DifferentialQuery {
                caller,
                purpose: Purpose::Treat,
                subject,
                limit: CANDIDATES,
                // A system asked. Whether a person looks at the cards nobody knows.
                is_look: false,
            });
            shown.await?.answer
        }
        (Err(error), _) => return Err(refused(error)),
    };
    Ok(answer(
        StatusCode::OK,
        &cds::cards(&request, &given, &source),
    ))
}

pub(crate) async fn feedback(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(service): At<String>,
    Raw { headers, body }: Raw,
) -> Result<StatusCode, Problem> {
    edge.node.welcome(caller).await?;
    let service = known(&service)?;
    let held = edge.body(&headers, body, cds::MAX_FEEDBACK_BYTES).await?;
    let counts = Feedback::parse(&held.bytes).map_err(refused)?;
    // Counts are all that is kept of it.
    tracing::info!(
        service = service.id(),
        accepted = counts.accepted,
        overridden = counts.overridden,
        "feedback on cards"
    );
    Ok(StatusCode::OK)
}

fn known(service: &str) -> Result<Service, Problem> {
    Service::from_id(service).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "no such service; /cds-services lists them",
        )
    })
}

fn refused(error: cds::Error) -> Problem {
    if error.is_prefetch_needed() {
        let status = StatusCode::PRECONDITION_FAILED;
        return Problem::new(status, "precondition-failed", error.to_string());
    }
    Problem::bad_request(error.to_string())
}
