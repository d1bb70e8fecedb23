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

#[cfg(test)]
mod tests {
    use super::reader;
    use crate::session::Session;
    use consent::{Actor, PractitionerId, Role};
    use node::{Caller, InstitutionId};
    use smart::Scopes;

    /// Filters and patient of who reads an Observation under these scopes, if anybody.
    fn reads(scopes: &str) -> Option<(usize, Option<String>)> {
        let actor = Actor {
            institution: InstitutionId::new([1; 16]),
            practitioner: PractitionerId::new("dr-homer").unwrap(),
            roles: [Role::Clinician].into(),
            slot: None,
        };
        let session = Session {
            caller: Caller::staff(actor),
            scopes: Scopes::parse(scopes).unwrap(),
            client: None,
            patient: Some("7".to_owned()),
            lasting: None,
        };
        let reader = reader(&session, None, "http://node/fhir", "Observation")?;
        Some((reader.filters.len(), reader.patient))
    }

    #[test]
    fn who_subscribes_reads_and_searches_and_no_more() {
        for (scopes, expect) in [
            ("user/*.rs", Some((0, None))),
            ("user/Observation.read", Some((0, None))),
            ("user/Observation.r", None),
            ("user/Observation.s", None),
            ("user/Condition.rs user/Subscription.cruds", None),
            ("patient/Observation.rs", Some((0, Some("7".to_owned())))),
            ("user/Observation.rs?category=laboratory", Some((1, None))),
            (
                "user/Observation.r user/Observation.s?category=laboratory",
                Some((1, None)),
            ),
            (
                "user/Observation.r?code=1 user/Observation.s?category=laboratory",
                None,
            ),
            (
                "user/Observation.r patient/Observation.s",
                Some((0, Some("7".to_owned()))),
            ),
        ] {
            assert_eq!(reads(scopes), expect, "{scopes}");
        }
    }
}
