//! Writing a `Subscription`. That its scopes reach what is subscribed to is the node's to see: it reads.

use super::{
    Asked,
    perform::{tell, writer},
};
use crate::problem::Problem;
use node::fhir::{FhirSubscribe, FhirWrite, FhirWritten};

/// Makes, changes or ends a Subscription.
pub(crate) async fn subscribe(asked: &Asked, write: FhirWrite) -> Result<FhirWritten, Problem> {
    let asker = writer(asked, &write)?;
    let is_confined = asker.patient.is_some() || asker.caller.subject.is_some();
    let session = asked.session.as_ref();
    let lasting = session.and_then(|session| session.lasting.clone());
    let written = asked.edge.node.fhir_subscribe(FhirSubscribe {
        asker,
        write,
        strict: asked.prefer.strict.unwrap_or(true),
        until_ms: lasting.as_ref().map(|lasting| lasting.until.get()),
        credential: lasting.map(|lasting| lasting.credential),
    });
    let mut written = written.await?;
    tell(asked, &mut written, is_confined);
    Ok(written)
}
