//! `CapabilityStatement`: what a FHIR endpoint does, from the caller's own tables.

use crate::names::{Code, concept};
use crate::write::{Object, resource};
use codec::{Millis, codes};

codes! {
    /// What can be done with a type of resource.
    pub enum TypeInteraction {
        /// Read the newest version.
        1 => Read = "read",
        /// Read a version.
        2 => Vread = "vread",
        /// Write a new version.
        3 => Update = "update",
        /// Change some of it.
        4 => Patch = "patch",
        /// Delete.
        5 => Delete = "delete",
        /// The versions of one.
        6 => HistoryInstance = "history-instance",
        /// The versions of all.
        7 => HistoryType = "history-type",
        /// Make one.
        8 => Create = "create",
        /// Search.
        9 => SearchType = "search-type",
    }
}

codes! {
    /// What can be done with the system.
    pub enum SystemInteraction {
        /// All or nothing.
        1 => Transaction = "transaction",
        /// Each for itself.
        2 => Batch = "batch",
        /// Search all types.
        3 => SearchSystem = "search-system",
        /// The versions of everything.
        4 => HistorySystem = "history-system",
    }
}

codes! {
    /// Types of search parameters.
    pub enum SearchParamType {
        /// A number.
        1 => Number = "number",
        /// A date or time.
        2 => Date = "date",
        /// A text.
        3 => String = "string",
        /// A code or identifier.
        4 => Token = "token",
        /// A reference.
        5 => Reference = "reference",
        /// Several values at once.
        6 => Composite = "composite",
        /// A quantity.
        7 => Quantity = "quantity",
        /// A URI.
        8 => Uri = "uri",
        /// Special logic.
        9 => Special = "special",
    }
}

codes! {
    /// Whether a server keeps versions.
    pub enum Versioning {
        /// No versions.
        1 => NoVersion = "no-version",
        /// Versions.
        2 => Versioned = "versioned",
        /// Versions, and updates must name the one they replace.
        3 => VersionedUpdate = "versioned-update",
    }
}

codes! {
    /// Conditional reads.
    pub enum ConditionalRead {
        /// None.
        1 => NotSupported = "not-supported",
        /// `If-Modified-Since`.
        2 => ModifiedSince = "modified-since",
        /// `If-None-Match`.
        3 => NotMatch = "not-match",
        /// Both.
        4 => FullSupport = "full-support",
    }
}

codes! {
    /// Conditional deletes.
    pub enum ConditionalDelete {
        /// None.
        1 => NotSupported = "not-supported",
        /// Of at most one resource.
        2 => Single = "single",
        /// Of all that match.
        3 => Multiple = "multiple",
    }
}

/// What an endpoint serves.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The base URL.
    pub base: &'a str,
    /// The version of the software.
    pub version: &'a str,
    /// What this endpoint is, in a sentence.
    pub description: &'a str,
    /// When what follows last changed.
    pub at: Millis,
    /// How to be let in.
    pub security: Security<'a>,
    /// By type, each once.
    pub types: &'a [ServedType<'a>],
    /// Interactions with the system.
    pub interactions: &'a [SystemInteraction],
    /// Parameters of every search, each once.
    pub search: &'a [SearchParam<'a>],
    /// Operations of the system.
    pub operations: &'a [Operation<'a>],
    /// Canonical URLs of the compartments that can be searched.
    pub compartments: &'a [&'a str],
}

/// SMART App Launch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Security<'a> {
    /// Whether browsers of other origins may ask.
    pub cors: bool,
    /// Name (`authorize`, `token`, `register`, `manage`, `introspect`, `revoke`) and URL of each endpoint of the
    /// authorisation server. Empty: no SMART.
    pub endpoints: &'a [(&'a str, &'a str)],
    /// SMART capabilities, such as `launch-standalone`.
    pub capabilities: &'a [&'a str],
    /// What else there is to know, such as mutual TLS.
    pub description: Option<&'a str>,
}

/// What is served of one type.
#[derive(Clone, Copy, Debug)]
pub struct ServedType<'a> {
    /// The resource type.
    pub of: &'a str,
    /// Its interactions, each once.
    pub interactions: &'a [TypeInteraction],
    /// Versions.
    pub versioning: Versioning,
    /// Whether older versions can be read.
    pub read_history: bool,
    /// Whether an update may make a resource under the client's id.
    pub update_create: bool,
    /// `If-None-Exist`.
    pub conditional_create: bool,
    /// `If-None-Match`, `If-Modified-Since`.
    pub conditional_read: ConditionalRead,
    /// Updates by search.
    pub conditional_update: bool,
    /// Deletes by search.
    pub conditional_delete: ConditionalDelete,
    /// `_include`.
    pub includes: &'a [&'a str],
    /// `_revinclude`.
    pub rev_includes: &'a [&'a str],
    /// Its parameters, each once.
    pub search: &'a [SearchParam<'a>],
    /// Its operations.
    pub operations: &'a [Operation<'a>],
    /// Canonical URLs of the profiles that it knows.
    pub profiles: &'a [&'a str],
}

/// A search parameter.
#[derive(Clone, Copy, Debug)]
pub struct SearchParam<'a> {
    /// Its name, such as `_id`.
    pub name: &'a str,
    /// Its type.
    pub of: SearchParamType,
    /// Its canonical URL.
    pub definition: Option<&'a str>,
    /// What is special about it here.
    pub documentation: Option<&'a str>,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// Its name without `$`.
    pub name: &'a str,
    /// The canonical URL of its definition.
    pub definition: &'a str,
}

const SECURITY_SERVICE: &str = "http://terminology.hl7.org/CodeSystem/restful-security-service";
const SMART: Code<'static> = (SECURITY_SERVICE, "SMART-on-FHIR");
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
const SMART_CAPABILITIES: &str =
    "http://fhir-registry.smarthealthit.org/StructureDefinition/capabilities";

/// The `CapabilityStatement` as JSON.
pub fn capability(served: &Served<'_>) -> Vec<u8> {
    resource("CapabilityStatement", |statement| {
        statement.text("status", "active");
        statement.instant("date", served.at);
        statement.text("kind", "instance");
        statement.object("software", |software| {
            software.text("name", "Ithaca");
            software.text("version", served.version);
        });
        statement.object("implementation", |implementation| {
            implementation.text("description", served.description);
            implementation.text("url", served.base);
        });
        statement.text("fhirVersion", "4.0.1");
        statement.texts("format", ["json", "application/fhir+json"]);
        statement.texts("patchFormat", ["application/json-patch+json"]);
        statement.list("rest", [served], rest);
    })
}

fn rest(rest: &mut Object<'_>, served: &Served<'_>) {
    rest.text("mode", "server");
    rest.object("security", |written| security(written, &served.security));
    rest.list("resource", served.types, served_type);
    rest.list(
        "interaction",
        served.interactions,
        |written, interaction| {
            written.text("code", interaction.as_str());
        },
    );
    rest.list("searchParam", served.search, search_param);
    rest.list("operation", served.operations, operation);
    rest.texts("compartment", served.compartments);
}

fn security(written: &mut Object<'_>, security: &Security<'_>) {
    let has_smart = !security.endpoints.is_empty();
    let endpoints = has_smart.then_some((OAUTH_URIS, Some(security.endpoints), ""));
    let capabilities = security.capabilities.iter();
    let capabilities = capabilities
        .filter(|_| has_smart)
        .map(|word| (SMART_CAPABILITIES, None, *word));
    let extensions = endpoints.into_iter().chain(capabilities);
    written.list("extension", extensions, |extension, (url, uris, word)| {
        let uris: Option<&[(&str, &str)]> = uris;
        extension.list(
            "extension",
            uris.unwrap_or_default(),
            |inner, (name, uri)| {
                inner.text("url", name);
                inner.text("valueUri", uri);
            },
        );
        extension.text("url", url);
        extension.text("valueCode", word);
    });
    written.boolean("cors", security.cors);
    written.list("service", has_smart.then_some(SMART), concept);
    written.text_if("description", security.description);
}

fn served_type(written: &mut Object<'_>, of: &ServedType<'_>) {
    written.text("type", of.of);
    written.texts("supportedProfile", of.profiles);
    written.list("interaction", of.interactions, |written, interaction| {
        written.text("code", interaction.as_str());
    });
    written.text("versioning", of.versioning.as_str());
    written.boolean("readHistory", of.read_history);
    written.boolean("updateCreate", of.update_create);
    written.boolean("conditionalCreate", of.conditional_create);
    written.text("conditionalRead", of.conditional_read.as_str());
    written.boolean("conditionalUpdate", of.conditional_update);
    written.text("conditionalDelete", of.conditional_delete.as_str());
    written.texts("searchInclude", of.includes);
    written.texts("searchRevInclude", of.rev_includes);
    written.list("searchParam", of.search, search_param);
    written.list("operation", of.operations, operation);
}

fn search_param(written: &mut Object<'_>, param: &SearchParam<'_>) {
    written.text("name", param.name);
    written.text_if("definition", param.definition);
    written.text("type", param.of.as_str());
    written.text_if("documentation", param.documentation);
}

fn operation(written: &mut Object<'_>, operation: &Operation<'_>) {
    written.text("name", operation.name);
    written.text("definition", operation.definition);
}
