//! The discovery document.

use answer::STATEMENT;
use cds::{Service, services};
use serde_json::{Value, json};

/// Clients keep what they discovered: a change is a deliberate act.
#[test]
fn the_services_are_as_published() {
    let published: Value = serde_json::from_str(include_str!("../services.json")).unwrap();
    assert_eq!(json!(services()), published);
}

#[test]
fn each_service_is_found_by_its_id_and_says_what_it_needs() {
    let services = services().services;
    assert_eq!(services.len(), Service::ALL.len());
    for (service, described) in Service::ALL.into_iter().zip(services) {
        assert_eq!(
            (service.id(), service.hook()),
            (described.id, described.hook)
        );
        assert_eq!(Service::from_id(described.id), Some(service));
        assert!(described.usage_requirements.contains(STATEMENT));
        let it = &described.prefetch;
        for query in [it.patient, it.conditions, it.observations] {
            assert_eq!(query.matches("{{context.patientId}}").count(), 1, "{query}");
            assert!(
                query.starts_with("Patient/") || query.contains("&_count="),
                "{query}"
            );
        }
    }
    assert_eq!(Service::from_id("patient-view"), None);
}
