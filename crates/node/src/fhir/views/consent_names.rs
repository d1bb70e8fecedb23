//! Whom and what a Consent names, in this network's own words: patients and records by their references here,
//! institutions and practitioners by what the directory's resources say that they are called.

use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::FhirAsker;
use crate::fhir::place::{local, patient_id};
use codec::id::{InstitutionId, RecordId, SubjectId};
use consent::{PractitionerAt, PractitionerId};
use mirror::{Directory, Named, Party, names};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::Parts;

/// What is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Subject,
    Party,
    Record,
}

/// A name in a Consent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    what: What,
    of: Option<String>,
    reference: Option<String>,
    has_identifier: bool,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Found {
    Nothing,
    Subject(SubjectId),
    Party(Party),
    Record(RecordId),
}

/// What is known of names so far; it notes those that it is asked for and does not know.
pub(super) struct Known {
    custodian: InstitutionId,
    names: BTreeMap<Name, Found>,
    asked: RefCell<BTreeSet<Name>>,
}

impl Known {
    pub(super) fn new(custodian: InstitutionId) -> Self {
        Self {
            custodian,
            names: BTreeMap::new(),
            asked: RefCell::default(),
        }
    }

    /// The names that were asked for and are not known.
    pub(super) fn asked(&self) -> BTreeSet<Name> {
        self.asked.take()
    }

    pub(super) fn learn(&mut self, name: Name, found: Found) {
        self.names.insert(name, found);
    }

    fn found(&self, what: What, named: &Named<'_>) -> Found {
        let name = Name {
            what,
            of: named.of.as_deref().map(str::to_owned),
            reference: named.reference.as_deref().map(str::to_owned),
            has_identifier: named.identifier.is_some(),
        };
        match self.names.get(&name) {
            Some(found) => found.clone(),
            None => {
                self.asked.borrow_mut().insert(name);
                Found::Nothing
            }
        }
    }
}

impl Directory for Known {
    fn custodian(&self) -> InstitutionId {
        self.custodian
    }

    fn subject(&self, patient: &Named<'_>) -> Option<SubjectId> {
        match self.found(What::Subject, patient) {
            Found::Subject(subject) => Some(subject),
            _ => None,
        }
    }

    fn party(&self, named: &Named<'_>) -> Option<Party> {
        match self.found(What::Party, named) {
            Found::Party(party) => Some(party),
            _ => None,
        }
    }

    fn record(&self, named: &Named<'_>) -> Option<RecordId> {
        match self.found(What::Record, named) {
            Found::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl<S: Store> Custodian<S> {
    /// What a name stands for. One with an identifier beside its reference might be two things, and is none.
    pub(super) async fn consent_name(
        &self,
        asker: &FhirAsker,
        name: &Name,
    ) -> Result<Found, Error> {
        let Some(reference) = name.reference.as_deref().filter(|_| !name.has_identifier) else {
            return Ok(Found::Nothing);
        };
        let Some((kind, id)) = local(reference, &asker.base) else {
            return Ok(Found::Nothing);
        };
        if name.of.as_deref().is_some_and(|of| of != kind) || reference.contains("/_history/") {
            return Ok(Found::Nothing);
        }
        Ok(match name.what {
            What::Subject => match patient_id(reference, &asker.base) {
                Some(patient) => self
                    .fhir_patient(patient)
                    .await?
                    .map_or(Found::Nothing, Found::Subject),
                None => Found::Nothing,
            },
            What::Record => self
                .fhir_place(kind, id)
                .await?
                .map_or(Found::Nothing, |place| Found::Record(place.record)),
            What::Party => self
                .consent_party(kind, id)
                .await?
                .map_or(Found::Nothing, Found::Party),
        })
    }

    /// Who a resource of the directory says it is, if the network knows that institution. An Organization that
    /// is not there may be a member by its own id.
    async fn consent_party(&self, kind: &str, id: &str) -> Result<Option<Party>, Error> {
        let directory = self.directory_known().await?;
        let place = self.fhir_place(kind, id).await?;
        if let (None, "Organization", Ok(member)) = (&place, kind, id.parse::<InstitutionId>()) {
            let members = self.ledger.state_view();
            let is_member = members.institution(&member).is_some();
            return Ok(is_member.then_some(Party::Institution(member)));
        }
        let Some(place) = place.filter(|place| directory == Some(place.subject)) else {
            return Ok(None);
        };
        let opened = self
            .vault
            .record_get(&place.subject, &place.record, None, &Parts::Stored)
            .await?;
        let Some(part) = opened.parts.first() else {
            return Ok(None);
        };
        let Ok(document) = json::parse(part.bytes(), &json::Limits::default()) else {
            return Ok(None);
        };
        let identifiers = document.root().get("identifier");
        let identifiers = identifiers.iter().flat_map(|all| all.children());
        let mut found = BTreeSet::new();
        for identifier in identifiers {
            let text = |name| identifier.get(name).and_then(json::Value::text);
            if let (Some(system), Some(value)) = (text("system"), text("value"))
                && (&*system == names::INSTITUTION || system.starts_with(names::PRACTITIONER))
            {
                found.insert((system.into_owned(), value.into_owned()));
            }
        }
        let mut found = found.into_iter();
        // Who has two names of the network might be either.
        let (Some((system, value)), None) = (found.next(), found.next()) else {
            return Ok(None);
        };
        let party = match (kind, system.strip_prefix(names::PRACTITIONER)) {
            ("Organization", None) => value.parse().ok().map(|id| (id, Party::Institution(id))),
            ("Practitioner", Some(at)) => at
                .strip_prefix(':')
                .and_then(|institution| institution.parse().ok())
                .zip(PractitionerId::new(&*value).ok())
                .map(|(institution, practitioner)| {
                    let at = PractitionerAt {
                        institution,
                        practitioner,
                    };
                    (institution, Party::Practitioner(at))
                }),
            _ => None,
        };
        let members = self.ledger.state_view();
        Ok(party
            .filter(|(institution, _)| members.institution(institution).is_some())
            .map(|(_, party)| party))
    }
}
