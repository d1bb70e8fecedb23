//! What is served: the CapabilityStatement, from the same tables that serve it.

use super::Asked;
use fhir::search::{self, Kind};
use mirror::{
    ConditionalDelete, ConditionalRead, Operation, SearchParam, SearchParamType, Security, Served,
    ServedType, SystemInteraction, TypeInteraction, Versioning, capability,
};
use node::Millis;

const INTERACTIONS: &[TypeInteraction] = &[
    TypeInteraction::Read,
    TypeInteraction::Vread,
    TypeInteraction::Update,
    TypeInteraction::Patch,
    TypeInteraction::Delete,
    TypeInteraction::HistoryInstance,
    TypeInteraction::HistoryType,
    TypeInteraction::Create,
    TypeInteraction::SearchType,
];
/// Of what a family agreed to: no versions are kept as resources, and nothing is done on condition.
const OF_CONSENT: &[TypeInteraction] = &[
    TypeInteraction::Read,
    TypeInteraction::Update,
    TypeInteraction::Delete,
    TypeInteraction::Create,
    TypeInteraction::SearchType,
];
/// Of subscriptions: no versions are kept, and nothing is done on condition.
const OF_SUBSCRIPTION: &[TypeInteraction] = &[
    TypeInteraction::Read,
    TypeInteraction::Update,
    TypeInteraction::Patch,
    TypeInteraction::Delete,
    TypeInteraction::Create,
    TypeInteraction::SearchType,
];
const SYSTEM: &[SystemInteraction] = &[SystemInteraction::Transaction, SystemInteraction::Batch];

pub(crate) fn statement(asked: &Asked) -> Vec<u8> {
    let issuer = asked.base.trim_end_matches(super::ROOT).to_owned();
    let authorize = format!("{issuer}/auth/authorize");
    let token = format!("{issuer}/auth/token");
    let endpoints = [("authorize", authorize.as_str()), ("token", token.as_str())];
    let export = |definition| Operation {
        name: "export",
        definition,
    };
    let of_system = [export(
        "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
    )];
    let of_patient = [
        Operation {
            name: "everything",
            definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        },
        export("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"),
    ];
    let of_group = [export(
        "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
    )];
    let kinds: Vec<&'static str> = fhir::resource_types().collect();
    let described: Vec<Described> = kinds.iter().map(|kind| Described::of(kind)).collect();
    let searches: Vec<Vec<SearchParam<'_>>> = described.iter().map(Described::search).collect();
    let includes: Vec<Vec<&str>> = described
        .iter()
        .map(|described| described.includes.iter().map(String::as_str).collect())
        .collect();
    let types: Vec<ServedType<'_>> = described
        .iter()
        .zip(searches.iter().zip(&includes))
        .map(|(described, (search, includes))| {
            let operations: &[Operation<'_>] = match described.kind {
                "Patient" => &of_patient,
                "Group" => &of_group,
                _ => &[],
            };
            served(described, search, includes, operations)
        })
        .collect();
    capability(&Served {
        base: &asked.base,
        version: env!("CARGO_PKG_VERSION"),
        description: "Ithaca, a node of a health-data network. Not for clinical use.",
        at: Millis::new(asked.edge.ambient.now_ms()),
        security: Security {
            cors: false,
            endpoints: &endpoints,
            capabilities: &[],
            description: Some("SMART App Launch 2; see .well-known/smart-configuration"),
        },
        types: &types,
        interactions: SYSTEM,
        search: &[],
        operations: &of_system,
        compartments: &["http://hl7.org/fhir/CompartmentDefinition/patient"],
    })
}

/// A type with the texts that its description borrows.
struct Described {
    kind: &'static str,
    parameters: Vec<(&'static str, Kind, String)>,
    includes: Vec<String>,
}

impl Described {
    fn of(kind: &'static str) -> Self {
        let of_type = search::parameters(kind);
        let references = of_type.filter(|parameter| parameter.kind == Kind::Reference);
        Self {
            kind,
            includes: references
                .map(|parameter| format!("{kind}:{}", parameter.name))
                .collect(),
            parameters: search::parameters(kind)
                .map(|parameter| (parameter.name, parameter.kind, parameter.definition()))
                .collect(),
        }
    }

    fn search(&self) -> Vec<SearchParam<'_>> {
        let described = self.parameters.iter();
        described
            .map(|(name, of, definition)| SearchParam {
                name,
                of: type_of(*of),
                definition: Some(definition),
                documentation: None,
            })
            .collect()
    }
}

fn served<'s>(
    described: &'s Described,
    search: &'s [SearchParam<'s>],
    includes: &'s [&'s str],
    operations: &'s [Operation<'s>],
) -> ServedType<'s> {
    let (interactions, conditional_delete) = match described.kind {
        "Consent" => (OF_CONSENT, ConditionalDelete::NotSupported),
        "Subscription" => (OF_SUBSCRIPTION, ConditionalDelete::NotSupported),
        _ => (INTERACTIONS, ConditionalDelete::Single),
    };
    let is_stored = conditional_delete == ConditionalDelete::Single;
    ServedType {
        of: described.kind,
        interactions,
        versioning: Versioning::VersionedUpdate,
        read_history: is_stored,
        update_create: is_stored,
        conditional_create: is_stored,
        conditional_read: ConditionalRead::FullSupport,
        conditional_update: is_stored,
        conditional_delete,
        includes: if is_stored { includes } else { &[] },
        rev_includes: &[],
        search,
        operations,
        profiles: &[],
    }
}

fn type_of(of: Kind) -> SearchParamType {
    match of {
        Kind::Number => SearchParamType::Number,
        Kind::Date => SearchParamType::Date,
        Kind::String => SearchParamType::String,
        Kind::Token => SearchParamType::Token,
        Kind::Reference => SearchParamType::Reference,
        Kind::Composite => SearchParamType::Composite,
        Kind::Quantity => SearchParamType::Quantity,
        Kind::Uri => SearchParamType::Uri,
    }
}
