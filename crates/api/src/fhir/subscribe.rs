//! Writing a `Subscription`: whoever subscribes to a type must have scopes that read and search it.

use super::{Asked, asker, perform::writer};
use crate::{problem::Problem, session::Session};
use node::{
    Purpose,
    fhir::{FhirAsker, FhirReaders, FhirSubscribe, FhirWrite, FhirWritten},
};
use smart::Interaction;

/// Makes, changes or ends a Subscription.
pub(crate) async fn subscribe(asked: &Asked, write: FhirWrite) -> Result<FhirWritten, Problem> {
    let writer = writer(asked, &write)?;
    let session = asked.session.clone().ok_or_else(Problem::unauthenticated)?;
    let lasting = session.lasting.clone();
    let (purpose, base) = (asked.purpose, asked.base.clone());
    let written = asked.edge.node.fhir_subscribe(FhirSubscribe {
        asker: writer,
        write,
        strict: asked.prefer.strict.unwrap_or(true),
        readers: FhirReaders::new(move |kind| reader(&session, purpose, &base, kind)),
        until_ms: lasting.as_ref().map(|lasting| lasting.until.get()),
        credential: lasting.map(|lasting| lasting.credential),
    });
    Ok(written.await?)
}

/// Who reads what is subscribed to: a notification tells what a search finds and a reading gives.
fn reader(
    session: &Session,
    purpose: Option<Purpose>,
    base: &str,
    kind: &str,
) -> Option<FhirAsker> {
    let of = |interaction| asker(session, purpose, base, interaction, kind).ok();
    let (search, mut read) = (of(Interaction::Search)?, of(Interaction::Read)?);
    read.patient = read.patient.or(search.patient);
    if read.filters.is_empty() {
        read.filters = search.filters;
    } else if !search.filters.is_empty() && search.filters != read.filters {
        // Each reaches some, and what both reach cannot be said.
        return None;
    }
    Some(read)
}
