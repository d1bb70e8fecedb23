//! What is served: the CapabilityStatement, from the same tables that serve it.

use super::Asked;
use fhir::search::{self, ParameterType};
use mirror::capability::{
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
const SYSTEM: &[SystemInteraction] = &[SystemInteraction::Transaction, SystemInteraction::Batch];

pub(crate) fn statement(asked: &Asked) -> Vec<u8> {
    let issuer = asked.base.trim_end_matches(super::ROOT).to_owned();
    let authorize = format!("{issuer}/auth/authorize");
    let token = format!("{issuer}/auth/token");
    let endpoints = [
        ("authorize", authorize.as_str()),
        ("token", token.as_str()),
    ];
    let everything = [Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        documentation: None,
    }];
    let kinds: Vec<&'static str> = fhir::resource_types().collect();
    let described: Vec<Described> = kinds.iter().map(|kind| Described::of(kind)).collect();
    let types: Vec<ServedType<'_>> = described
        .iter()
        .map(|described| described.served(&everything))
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
        operations: &[],
        compartments: &["http://hl7.org/fhir/CompartmentDefinition/patient"],
    })
}

/// A type with the texts that its description borrows.
struct Described {
    kind: &'static str,
    search: Vec<SearchParam<'static>>,
    includes: Vec<String>,
}

impl Described {
    fn of(kind: &'static str) -> Self {
        let parameters = search::parameters(kind);
        let mut includes = Vec::new();
        let mut search = Vec::new();
        for parameter in parameters {
            if parameter.of == ParameterType::Reference {
                includes.push(format!("{kind}:{}", parameter.name));
            }
            search.push(SearchParam {
                name: parameter.name,
                of: type_of(parameter.of),
                definition: Some(parameter.definition),
                documentation: None,
            });
        }
        Self {
            kind,
            search,
            includes,
        }
    }

    fn served<'s>(&'s self, everything: &'s [Operation<'s>]) -> ServedType<'s> {
        ServedType {
            of: self.kind,
            interactions: INTERACTIONS,
            versioning: Versioning::VersionedUpdate,
            read_history: true,
            update_create: true,
            conditional_create: true,
            conditional_read: ConditionalRead::FullSupport,
            conditional_update: true,
            conditional_delete: ConditionalDelete::Single,
            includes: &[],
            rev_includes: &[],
            search: &self.search,
            operations: match self.kind {
                "Patient" => everything,
                _ => &[],
            },
            profiles: &[],
        }
    }
}

fn type_of(of: ParameterType) -> SearchParamType {
    match of {
        ParameterType::Number => SearchParamType::Number,
        ParameterType::Date => SearchParamType::Date,
        ParameterType::String => SearchParamType::String,
        ParameterType::Token => SearchParamType::Token,
        ParameterType::Reference => SearchParamType::Reference,
        ParameterType::Composite => SearchParamType::Composite,
        ParameterType::Quantity => SearchParamType::Quantity,
        ParameterType::Uri => SearchParamType::Uri,
        ParameterType::Special => SearchParamType::Special,
    }
}
