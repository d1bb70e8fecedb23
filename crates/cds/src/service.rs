//! The services and their discovery document.

use answer::STATEMENT;
use serde::Serialize;

/// A service that a client may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The differential diagnosis when a record is opened.
    PatientView,
    /// What the orders lack when they are signed.
    OrderSign,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PatientView, Self::OrderSign];

    /// Its id: the last part of its address, `/cds-services/{id}`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::PatientView => "ithaca-patient-view",
            Self::OrderSign => "ithaca-order-sign",
        }
    }

    /// The service with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.id() == id)
    }

    /// The hook that it is for.
    #[must_use]
    pub const fn hook(self) -> &'static str {
        match self {
            Self::PatientView => "patient-view",
            Self::OrderSign => "order-sign",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::PatientView => "Ithaca: which rare disease may it be?",
            Self::OrderSign => "Ithaca: the test that would tell most",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::PatientView => {
                "Ranks rare diseases by the phenotypic findings of the record, with their probability and \
                 evidence, and says what to look for next; says so when the findings do not suffice."
            }
            Self::OrderSign => {
                "Compares the draft orders with the laboratory and genetic tests that would tell most about \
                 which rare disease it may be, and names those that are missing."
            }
        }
    }
}

/// The discovery document.
#[derive(Debug, Serialize)]
pub struct Services {
    /// Each service.
    pub services: Vec<Description>,
}

/// What a client needs to know of a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The hook that it is for.
    pub hook: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Its id.
    pub id: &'static str,
    /// What it needs with each request.
    pub prefetch: Prefetch,
    /// What its use presupposes.
    pub usage_requirements: String,
}

/// FHIR R4 queries; the newest come first, and what lies beyond their bounds is not asked for.
#[derive(Debug, Serialize)]
pub struct Prefetch {
    /// The person.
    pub patient: &'static str,
    /// Conditions.
    pub conditions: &'static str,
    /// Observations.
    pub observations: &'static str,
}

const PREFETCH: Prefetch = Prefetch {
    patient: "Patient/{{context.patientId}}",
    conditions: "Condition?patient={{context.patientId}}&_sort=-recorded-date&_count=500",
    observations: "Observation?patient={{context.patientId}}&_sort=-date&_count=1000",
};

/// The discovery document: two services.
#[must_use]
pub fn services() -> Services {
    let describe = |service: Service| Description {
        hook: service.hook(),
        title: service.title(),
        description: service.description(),
        id: service.id(),
        prefetch: PREFETCH,
        usage_requirements: format!(
            "Needs the patient, and conditions or observations, as FHIR R4 in the prefetch: it calls no FHIR \
             server and uses no access token. Findings count if they are coded in HPO, laboratory results if they \
             have LOINC codes and an interpretation or a reference range. Shows cards to practitioners only. {STATEMENT}"
        ),
    };
    Services {
        services: Service::ALL.into_iter().map(describe).collect(),
    }
}
