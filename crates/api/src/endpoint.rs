//! The table of endpoints: the one truth for router, OpenAPI document and authorisation matrix.

use crate::{
    auth, consents, differentials, disclosures, edge::Edge, emergencies, events, fhir, hooks,
    identities, network, operations, publication, records, shares, studies, subjects,
};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use node::{Role, differential::CLINICIANS};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// An HTTP method that the edge takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the methods of HTTP")]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who gets past the edge; what they may do there is the node's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Any valid bearer token.
    Bearer,
    /// A bearer token with one of these roles.
    Only(&'static [Role]),
}

/// A query parameter or header. A query parameter that the table does not list is refused.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Query parameter, or header.
    pub in_query: bool,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Whether its value is a whole number; otherwise it is text.
    pub number: bool,
    /// One sentence.
    pub says: &'static str,
}

/// What a body looks like. A request with a body of another media type is refused.
#[derive(Clone, Copy)]
pub enum Shape {
    /// None.
    Nothing,
    /// JSON of this schema.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// JSON of this schema or, if the client asks for it, bytes of one of these media types.
    JsonOr(fn(&mut SchemaGenerator) -> Schema, &'static [&'static str]),
    /// Bytes of one of these media types.
    Bytes(&'static [&'static str]),
}

/// One endpoint.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// Method.
    pub method: Verb,
    /// Path with parameters in braces; `{*name}` at its end takes the rest of the path.
    pub path: &'static str,
    /// Operation id: noun first.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Who gets past the edge.
    pub access: Access,
    /// Query parameters and headers.
    pub parameters: &'static [Parameter],
    /// The request's body.
    pub request: Shape,
    /// The status of success, and its body.
    pub response: (u16, Shape),
    /// Other statuses of success. 200: it was done before, with the same body. 202: not yet, no body.
    pub also: &'static [u16],
    pub(crate) route: fn() -> MethodRouter<Edge>,
}

impl Endpoint {
    /// Whether it is served by the rules of FHIR, which has its own for queries, bodies and errors.
    pub fn is_fhir(&self) -> bool {
        fhir::is_path(self.path)
    }

    /// The query parameters it takes.
    pub fn query(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        self.parameters.iter().filter(|p| p.in_query)
    }

    /// The parameters in its path.
    pub fn in_path(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| name.strip_prefix('*').unwrap_or(name))
    }

    /// Its path as clients are told: of a parameter that takes the rest of the path, only the name.
    pub fn documented_path(&self) -> String {
        self.path.replace("{*", "{")
    }
}

fn json<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn query(name: &'static str, required: bool, says: &'static str) -> Parameter {
    Parameter {
        name,
        in_query: true,
        required,
        number: false,
        says,
    }
}

const fn number(name: &'static str, required: bool, says: &'static str) -> Parameter {
    Parameter {
        number: true,
        ..query(name, required, says)
    }
}

const fn head(name: &'static str, required: bool, says: &'static str) -> Parameter {
    Parameter {
        name,
        in_query: false,
        required,
        number: false,
        says,
    }
}

const PURPOSE: Parameter = query("purpose", true, "what for: an HL7 v3 PurposeOfUse code");
const CATEGORIES: Parameter = query(
    "categories",
    false,
    "comma-separated; all of them must be permitted. Left out: whatever is permitted",
);
const VERSION: Parameter = number("version", false, "a version; the latest when left out");
const WAIT: Parameter = head(
    "Prefer",
    false,
    "`wait=final` answers when the ledger has finalised it",
);
const KEY: Parameter = head(
    "Idempotency-Key",
    false,
    "the source's own id for this request: sent again, it gives the same answer",
);
const SEQUENCE: Parameter = head(
    "If-Match",
    false,
    "the sequence the caller saw, as an entity tag; the latest when left out",
);
const PAYLOADS: &[&str] = &[
    "application/json",
    "application/fhir+json",
    "application/octet-stream",
    "application/pdf",
    "text/plain",
    "image/png",
    "image/jpeg",
];
/// How a case without a subject comes.
const CASES: &[&str] = &["application/json", "application/fhir+json", "text/plain"];
const JSON: &[&str] = &["application/json"];
const LIMIT: Parameter = number("limit", false, "how many, at most; 10 when left out");
/// How FHIR resources come and go.
const FHIR: &[&str] = &["application/fhir+json", "application/json"];
const FHIR_JSON: &[&str] = &[fhir::FHIR_JSON];
const FHIR_FORM: &[&str] = &["application/x-www-form-urlencoded"];
const FHIR_PATCH: &[&str] = &["application/json-patch+json"];
const FHIR_PURPOSE: Parameter = head(
    "Ithaca-Purpose",
    false,
    "what for: an HL7 v3 PurposeOfUse code; by role when left out",
);
const FHIR_PREFER: Parameter = head(
    "Prefer",
    false,
    "`return=minimal`, `representation` or `OperationOutcome`; `handling=strict` or `lenient`; `wait=final`",
);
const FHIR_MATCH: Parameter = head("If-Match", false, "only if this is the ETag of the version");
const CBOR: &[&str] = &["application/cbor"];
const NOTE: &[&str] = &["text/plain"];
const OCTETS: &[&str] = &["application/octet-stream"];
const FORM: &[&str] = &["application/x-www-form-urlencoded"];
const HTML: &[&str] = &["text/html"];
const SCRIPT: &[&str] = &["text/javascript"];

/// Who opens a record in a system that launches apps.
const LAUNCHERS: [Role; 4] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
];

/// Who may be given much at once; what of it is for consent to say.
const EXPORTERS: [Role; 10] = [
    Role::Clinician,
    Role::Geneticist,
    Role::Nurse,
    Role::EmergencyClinician,
    Role::Laboratory,
    Role::Desk,
    Role::PrivacyOfficer,
    Role::Researcher,
    // Of the one subject that they are bound to.
    Role::Controller,
    Role::Device,
];
const FHIR_ASYNC: Parameter = head(
    "Prefer",
    true,
    "`respond-async`; `handling=strict` or `lenient`",
);
const FHIR_NDJSON: &[&str] = &[fhir::export::NDJSON];

/// Who takes steps with studies.
const STUDYING: [Role; 2] = [Role::Researcher, Role::Committee];
/// Who may look at releases and have them.
const RELEASES: [Role; 4] = [
    Role::Researcher,
    Role::Committee,
    Role::PrivacyOfficer,
    Role::Auditor,
];
/// Who asks beacons.
const BEACON: [Role; 2] = [Role::Researcher, Role::Committee];

macro_rules! endpoints {
    ($($id:literal: $verb:ident $path:literal => $route:expr, $access:expr, $summary:literal,
       [$($parameter:expr),*], $request:expr, $status:literal $(/ $also:literal)? $response:expr;)*) => {
        /// Every endpoint of the node.
        pub const ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            method: Verb::$verb,
            path: $path,
            id: $id,
            summary: $summary,
            access: $access,
            parameters: &[$($parameter),*],
            request: $request,
            response: ($status, $response),
            also: &[$($also)?],
            route: || $route,
        }),*];
    };
}

use Access::{Bearer, Only, Open};
use Shape::{Bytes, Json, JsonOr, Nothing};

endpoints! {
    "health": Get "/health" => get(operations::health), Open,
        "The process lives.", [], Nothing, 200 Json(json::<operations::Health>);
    "ready": Get "/ready" => get(operations::ready), Open,
        "The node can serve; 503 says why not.", [], Nothing, 200 Json(json::<operations::Ready>);
    "metrics": Get "/metrics" => get(operations::metrics), Only(&[Role::Operator]),
        "Counters and gauges for Prometheus.", [], Nothing, 200 Bytes(&["text/plain"]);
    "openapi": Get "/openapi.json" => get(operations::openapi), Open,
        "This document.", [], Nothing, 200 Bytes(&["application/json"]);
    "status": Get "/v1/status" => get(operations::status), Bearer,
        "How the node does, for operators.", [], Nothing, 200 Json(json::<operations::StatusShown>);

    "auth_authorize": Get "/auth/authorize" => get(auth::authorize), Open,
        "A form for signing in (OAuth 2.0 authorization code with PKCE, SMART App Launch).",
        [query("response_type", false, "`code`"), query("client_id", false, "the software"),
         query("redirect_uri", false, "as registered, exactly"), query("scope", false, "SMART scopes"),
         query("state", false, "given back as it is"), query("aud", false, "the URL of this FHIR server"),
         query("code_challenge", false, "PKCE"), query("code_challenge_method", false, "`S256`"),
         query("launch", false, "of `POST /auth/launch`"), query("nonce", false, "OpenID Connect")],
        Nothing, 200 Bytes(HTML);
    "auth_sign_in": Post "/auth/sign-in" => post(auth::sign_in), Open,
        "What the form for signing in sends.", [], Bytes(FORM), 200 Bytes(HTML);
    "auth_agree": Post "/auth/agree" => post(auth::agree), Open,
        "What the form for agreeing sends; 303 leads back to the software.", [], Bytes(FORM), 303 Nothing;
    "passkey_challenge": Post "/auth/sign-in/challenge" => post(auth::passkeys::challenge), Open,
        "Asks for a passkey of an account, for the form for signing in (WebAuthn).", [], Bytes(FORM), 200 Bytes(JSON);
    "passkey_sign_in": Post "/auth/sign-in/passkey" => post(auth::passkeys::sign_in), Open,
        "What the form for signing in sends with a passkey.", [], Bytes(FORM), 200 Bytes(HTML);
    "passkey_page": Get "/auth/passkeys" => get(auth::passkeys::begin), Open,
        "A form for signing in to make and remove one's passkeys.", [], Nothing, 200 Bytes(HTML);
    "passkey_manage": Post "/auth/passkeys" => post(auth::passkeys::manage), Open,
        "What that form sends; the passkeys of the account.", [], Bytes(FORM), 200 Bytes(HTML);
    "passkey_offer": Post "/auth/passkeys/offer" => post(auth::passkeys::offer), Open,
        "Offers to make a passkey (WebAuthn).", [], Bytes(FORM), 200 Bytes(JSON);
    "passkey_add": Post "/auth/passkeys/add" => post(auth::passkeys::add), Open,
        "Takes the passkey that a device made.", [], Bytes(FORM), 200 Bytes(HTML);
    "passkey_remove": Post "/auth/passkeys/remove" => post(auth::passkeys::remove), Open,
        "Removes a passkey.", [], Bytes(FORM), 200 Bytes(HTML);
    "passkey_script": Get "/auth/passkeys.js" => get(auth::passkeys::script), Open,
        "What pages with passkeys run.", [], Nothing, 200 Bytes(SCRIPT);
    "auth_token": Post "/auth/token" => post(auth::token), Open,
        "Tokens for a code, a refresh token, or a service's own signature or secret (RFC 6749, SMART Backend Services).",
        [], Bytes(FORM), 200 Bytes(JSON);
    "auth_introspect": Post "/auth/introspect" => post(auth::introspect), Open,
        "What a token is good for, told to software that proves itself (RFC 7662).", [], Bytes(FORM), 200 Bytes(JSON);
    "auth_revoke": Post "/auth/revoke" => post(auth::revoke), Open,
        "Revokes a token of the software that sends it (RFC 7009).", [], Bytes(FORM), 200 Bytes(JSON);
    "auth_launch": Post "/auth/launch" => post(auth::launch), Only(&LAUNCHERS),
        "Prepares the launch of an app with the patient whom the caller has open; reads nothing.", [],
        Json(json::<auth::Open>), 201 Json(json::<auth::Launch>);
    "auth_keys": Get "/auth/jwks" => get(auth::keys), Open,
        "The public keys of the node's tokens.", [], Nothing, 200 Bytes(JSON);
    "openid_configuration": Get "/.well-known/openid-configuration" => get(auth::openid_configuration), Open,
        "Where to sign in (OpenID Connect Discovery).", [], Nothing, 200 Bytes(JSON);
    "smart_configuration": Get "/.well-known/smart-configuration" => get(auth::smart_configuration), Open,
        "Where to sign in (SMART App Launch).", [], Nothing, 200 Bytes(JSON);
    "fhir_smart_configuration": Get "/fhir/.well-known/smart-configuration" => get(auth::smart_configuration), Open,
        "Where to sign in (SMART App Launch), beside the FHIR server.", [], Nothing, 200 Bytes(JSON);

    "network_show": Get "/v1/network" => get(network::show), Bearer,
        "The members, the validators, the rules and the open proposals.", [], Nothing, 200 Json(json::<network::Network>);
    "network_propose": Post "/v1/network/proposals" => post(network::propose), Only(&[Role::Operator]),
        "Proposes a change of the network; counts as this institution's approval. Two thirds of the members pass it at an epoch's end.",
        [WAIT], Json(json::<network::Propose>), 201 Json(json::<network::Accepted>);
    "network_admit": Post "/v1/network/applications" => post(network::admit), Only(&[Role::Operator]),
        "Proposes to admit the institution that made this application (`ithaca network join`).",
        [WAIT], Bytes(CBOR), 201 Json(json::<network::Accepted>);
    "network_vote": Post "/v1/network/proposals/{proposal}/vote" => post(network::vote), Only(&[Role::Operator]),
        "Approves of a proposal, or not; a later vote replaces an earlier one.",
        [WAIT], Json(json::<network::Vote>), 200 Json(json::<network::Accepted>);

    "log_checkpoint": Get "/tlog/checkpoint" => get(publication::checkpoint), Open,
        "The log's newest checkpoint, signed by this institution (C2SP signed note).", [], Nothing, 200 Bytes(NOTE);
    "log_cosigned": Get "/tlog/checkpoint/cosigned" => get(publication::cosigned), Open,
        "The newest checkpoint that other institutions cosigned with Ed25519 and ML-DSA-44; the newest of all while there is none.",
        [], Nothing, 200 Bytes(NOTE);
    "log_tile": Get "/tlog/tile/{level}/{*index}" => get(publication::tile), Open,
        "A tile of the log's hashes (C2SP tlog-tiles), like `0/x001/x234/067` or `1/000.p/8`.",
        [], Nothing, 200 Bytes(OCTETS);
    "log_bundle": Get "/tlog/tile/entries/{*index}" => get(publication::bundle), Bearer,
        "A bundle of the log's entries (C2SP tlog-tiles), for auditors and for operators and privacy officers of members.",
        [], Nothing, 200 Bytes(OCTETS);
    "checkpoint_cosign": Post "/tlog/cosign" => post(publication::cosign), Bearer,
        "Cosigns another member's checkpoint, if it is of the log that this node holds and extends what it cosigned before; answers with signature lines.",
        [], Bytes(NOTE), 200 Bytes(NOTE);
    "checkpoint_collect": Post "/tlog/cosignatures" => post(publication::collect), Bearer,
        "Takes a checkpoint of this log with members' cosignatures, to serve them.",
        [], Bytes(NOTE), 200 Json(json::<publication::Cosigned>);

    "subject_open": Post "/v1/subjects" => post(subjects::open), Bearer,
        "Opens a compartment for a person.", [KEY, WAIT],
        Json(json::<subjects::Open>), 201 / 200 Json(json::<subjects::Opened>);
    "subject_status": Get "/v1/subjects/{subject}" => get(subjects::status), Bearer,
        "What is known of a subject, without its records.", [], Nothing, 200 Json(json::<subjects::Status>);
    "notice_list": Get "/v1/subjects/{subject}/notices" => get(subjects::notices), Bearer,
        "What the controllers are to be told; a controller who asks has been told.", [], Nothing,
        200 Json(json::<Vec<subjects::Notice>>);
    "subject_erase": Delete "/v1/subjects/{subject}" => delete(subjects::erase), Bearer,
        "Destroys the subject's key here; hands over who looked.", [], Nothing, 200 Json(json::<subjects::Erased>);
    "subject_close": Post "/v1/subjects/{subject}/close" => post(subjects::close), Bearer,
        "Closes a subject to new data, keeping what is there.", [WAIT], Nothing, 200 Json(json::<subjects::Entry>);
    "subject_open_prepare": Post "/v1/subjects/prepare" => post(subjects::open_prepare), Bearer,
        "Prepares an opening under a family's own keys, to check and sign at home.", [],
        Json(json::<subjects::Keyholders>), 200 Bytes(CBOR);
    "subject_open_submit": Post "/v1/subjects/signed" => post(subjects::open_submit), Bearer,
        "Opens a compartment with what the family signed.", [WAIT],
        Bytes(CBOR), 201 / 200 Json(json::<subjects::Opened>);
    "subject_enrol_prepare": Post "/v1/subjects/{subject}/controllers/prepare" => post(subjects::enrol_prepare), Bearer,
        "Prepares the enrolment of a family's keys, to sign at home; once submitted as a consent change the desk stops acting for it, for good.", [],
        Json(json::<subjects::Keyholders>), 200 Bytes(CBOR);

    "subject_recover": Post "/v1/subjects/{subject}/recovery/prepare" => post(subjects::recover), Bearer,
        "Drafts the replacement of lost controller keys, for a second institution to countersign. Nothing changes until it is submitted.", [],
        Json(json::<subjects::Recovery>), 200 Bytes(CBOR);
    "subject_recover_endorse": Post "/v1/recoveries/endorse" => post(subjects::recover_endorse), Bearer,
        "Countersigns another custodian's draft of a recovery: this institution has satisfied itself who asks.", [],
        Bytes(CBOR), 200 Bytes(CBOR);
    "subject_recover_submit": Post "/v1/subjects/{subject}/recovery" => post(subjects::recover_submit), Bearer,
        "Submits a countersigned recovery; the keys change after the network's delay.", [WAIT],
        Bytes(CBOR), 200 Json(json::<subjects::Entry>);

    "record_deposit": Post "/v1/subjects/{subject}/records" => post(records::deposit), Bearer,
        "Deposits a phenopacket, a FHIR resource or Bundle, or a document.",
        [KEY, WAIT, head("Ithaca-Source", false, "the source system")],
        Bytes(PAYLOADS), 201 / 200 Json(json::<records::Deposited>);
    "record_list": Get "/v1/subjects/{subject}/records" => get(records::list), Bearer,
        "Lists the records the caller may know of; logged.", [PURPOSE], Nothing, 200 Json(json::<records::Listed>);
    "record_fetch": Get "/v1/subjects/{subject}/records/{record}" => get(records::fetch), Bearer,
        "Reads what consent permits; logged before it is opened. With Accept: application/octet-stream the stored form, when all of it is permitted.",
        [PURPOSE, CATEGORIES, VERSION], Nothing,
        200 JsonOr(json::<records::Fetched>, &["application/octet-stream", "application/fhir+json"]);
    "record_replace": Put "/v1/subjects/{subject}/records/{record}" => put(records::replace), Bearer,
        "Deposits a new version.", [head("If-Match", true, "the version it replaces, as an entity tag"), WAIT],
        Bytes(PAYLOADS), 200 Json(json::<records::Deposited>);
    "record_receipt": Get "/v1/subjects/{subject}/records/{record}/receipt" => get(records::receipt), Bearer,
        "The receipt for `ithaca verify`; 202 while the ledger has not finalised it. It proves that the record was committed to; it opens a leaf, so that `--leaf` can check the content too, only if asked to by someone who may read that leaf, and that is logged like a read.",
        [VERSION,
         query("leaf", false, "`stored` or a category: the leaf to open, for those who may read it; with `purpose`"),
         query("purpose", false, "what the leaf is read for: an HL7 v3 PurposeOfUse code; with `leaf`")],
        Nothing, 200 / 202 Bytes(CBOR);

    "differential_read": Get "/v1/subjects/{subject}/differential" => get(differentials::read), Only(&CLINICIANS),
        "The subject's differential diagnosis, made of what the caller may see; logged like a reading of the records. Not for clinical use.",
        [PURPOSE, LIMIT], Nothing, 200 Json(json::<differentials::Shown>);
    "differential_changes": Get "/v1/differentials/changes" => get(differentials::changes), Only(&CLINICIANS),
        "The subjects whose differentials changed since a clinician looked, as far as the caller may see them; logged.",
        [], Nothing, 200 Json(json::<differentials::Changes>);
    "diagnose": Post "/v1/diagnose" => post(differentials::diagnose), Only(&CLINICIANS),
        "A differential diagnosis of a phenopacket, of FHIR resources or of a plain list, which is nobody's here: nothing is kept. Not for clinical use.",
        [LIMIT], Bytes(CASES), 200 Json(json::<serde_json::Value>);
    "term_search": Get "/v1/terms" => get(differentials::terms), Bearer,
        "Terms of the Human Phenotype Ontology by a part of a name, a synonym, a slip of one, or an id.",
        [query("q", true, "what is looked for, as it is typed"), LIMIT], Nothing, 200 Json(json::<differentials::Terms>);
    "event_stream": Get "/v1/events" => get(events::stream), Bearer,
        "What happens, as server-sent events: `record`, `consent`, `differential`, `break-glass`, `period`, each with a subject or a period only, and only to those who may hear of it.",
        [], Nothing, 200 Bytes(&["text/event-stream"]);

    "cds_services": Get "/cds-services" => get(hooks::services), Open,
        "The CDS Hooks 2.0 services of this node.", [], Nothing, 200 Bytes(JSON);
    "cds_call": Post "/cds-services/{service}" => post(hooks::call), Only(&CLINICIANS),
        "Answers a CDS Hooks request with cards; 412 if it lacks the prefetched resources. Not for clinical use.",
        [], Bytes(JSON), 200 Bytes(JSON);
    "cds_feedback": Post "/cds-services/{service}/feedback" => post(hooks::feedback), Only(&CLINICIANS),
        "Takes what became of cards; only counts are kept.", [], Bytes(JSON), 200 Nothing;

    "fhir_metadata": Get "/fhir/metadata" => get(fhir::serve), Open,
        "The CapabilityStatement: what of FHIR R4 is served.", [], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_bundle": Post "/fhir" => post(fhir::serve), Bearer,
        "Does a transaction, all of it or nothing, or a batch, each entry for itself.",
        [FHIR_PURPOSE, FHIR_PREFER], Bytes(FHIR), 200 Bytes(FHIR_JSON);
    "fhir_search": Get "/fhir/{kind}" => get(fhir::serve), Bearer,
        "Searches resources of a type; each is decided, and logged before it leaves.", [FHIR_PURPOSE, FHIR_PREFER], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_search_form": Post "/fhir/{kind}/_search" => post(fhir::serve), Bearer,
        "Searches by a form, so that no parameter stands in an address.", [FHIR_PURPOSE, FHIR_PREFER], Bytes(FHIR_FORM), 200 Bytes(FHIR_JSON);
    "fhir_create": Post "/fhir/{kind}" => post(fhir::serve), Bearer,
        "Creates a resource; a new Patient opens a compartment.",
        [FHIR_PREFER, head("If-None-Exist", false, "only if nothing matches this search")],
        Bytes(FHIR), 201 / 200 Bytes(FHIR_JSON);
    "fhir_update_matching": Put "/fhir/{kind}" => put(fhir::serve), Bearer,
        "Updates the one resource that a search matches, or creates it.", [FHIR_PREFER, FHIR_MATCH], Bytes(FHIR), 200 / 201 Bytes(FHIR_JSON);
    "fhir_patch_matching": Patch "/fhir/{kind}" => patch(fhir::serve), Bearer,
        "Changes the one resource that a search matches (JSON Patch).", [FHIR_PREFER, FHIR_MATCH], Bytes(FHIR_PATCH), 200 Bytes(FHIR_JSON);
    "fhir_delete_matching": Delete "/fhir/{kind}" => delete(fhir::serve), Bearer,
        "Deletes the one resource that a search matches; its versions stay.", [FHIR_MATCH], Nothing, 204 Nothing;
    "fhir_history_type": Get "/fhir/{kind}/_history" => get(fhir::serve), Bearer,
        "The versions of all resources of a type, the newest first.", [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_validate": Post "/fhir/{kind}/$validate" => post(fhir::serve), Bearer,
        "Says whether a resource is what R4 says it is; nothing is kept.", [FHIR_PREFER], Bytes(FHIR), 200 Bytes(FHIR_JSON);
    "fhir_read": Get "/fhir/{kind}/{id}" => get(fhir::serve), Bearer,
        "Reads a resource, as far as consent permits; logged before it leaves.", [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_update": Put "/fhir/{kind}/{id}" => put(fhir::serve), Bearer,
        "Updates a resource, or creates it under this id.", [FHIR_PREFER, FHIR_MATCH], Bytes(FHIR), 200 / 201 Bytes(FHIR_JSON);
    "fhir_patch": Patch "/fhir/{kind}/{id}" => patch(fhir::serve), Bearer,
        "Changes a resource (JSON Patch, RFC 6902).", [FHIR_PREFER, FHIR_MATCH], Bytes(FHIR_PATCH), 200 Bytes(FHIR_JSON);
    "fhir_delete": Delete "/fhir/{kind}/{id}" => delete(fhir::serve), Bearer,
        "Deletes a resource; its versions stay.", [FHIR_MATCH], Nothing, 204 Nothing;
    "fhir_history": Get "/fhir/{kind}/{id}/_history" => get(fhir::serve), Bearer,
        "The versions of a resource, the newest first.", [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_version": Get "/fhir/{kind}/{id}/_history/{version}" => get(fhir::serve), Bearer,
        "Reads one version of a resource.", [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_everything": Get "/fhir/{kind}/{id}/$everything" => get(fhir::serve), Bearer,
        "Everything of a Patient that may be seen.", [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_JSON);
    "fhir_compartment": Get "/fhir/{kind}/{id}/{other}" => get(fhir::serve), Bearer,
        "Searches resources of a type within a Patient's compartment.", [FHIR_PURPOSE, FHIR_PREFER], Nothing, 200 Bytes(FHIR_JSON);

    "fhir_export": Get "/fhir/$export" => get(fhir::export::begin), Only(&EXPORTERS),
        "Begins an export of everything that the asker may see (FHIR Bulk Data Access 2.0).",
        [FHIR_PURPOSE, FHIR_ASYNC], Nothing, 202 Bytes(FHIR_JSON);
    "fhir_export_post": Post "/fhir/$export" => post(fhir::export::begin), Only(&EXPORTERS),
        "The same, with Parameters.", [FHIR_PURPOSE, FHIR_ASYNC], Bytes(FHIR), 202 Bytes(FHIR_JSON);
    "fhir_export_patients": Get "/fhir/{kind}/$export" => get(fhir::export::begin), Only(&EXPORTERS),
        "Begins an export of what the asker may see of every Patient.",
        [FHIR_PURPOSE, FHIR_ASYNC], Nothing, 202 Bytes(FHIR_JSON);
    "fhir_export_patients_post": Post "/fhir/{kind}/$export" => post(fhir::export::begin), Only(&EXPORTERS),
        "The same, with Parameters.", [FHIR_PURPOSE, FHIR_ASYNC], Bytes(FHIR), 202 Bytes(FHIR_JSON);
    "fhir_export_group": Get "/fhir/{kind}/{id}/$export" => get(fhir::export::begin), Only(&EXPORTERS),
        "Begins an export of what the asker may see of a Group's members.",
        [FHIR_PURPOSE, FHIR_ASYNC], Nothing, 202 Bytes(FHIR_JSON);
    "fhir_export_group_post": Post "/fhir/{kind}/{id}/$export" => post(fhir::export::begin), Only(&EXPORTERS),
        "The same, with Parameters.", [FHIR_PURPOSE, FHIR_ASYNC], Bytes(FHIR), 202 Bytes(FHIR_JSON);
    "fhir_export_state": Get "/fhir/$export-status/{job}" => get(fhir::export::state), Bearer,
        "Lists the files of the asker's own export; 202 while they are planned.", [], Nothing, 200 / 202 Bytes(JSON);
    "fhir_export_end": Delete "/fhir/$export-status/{job}" => delete(fhir::export::end), Bearer,
        "Ends the asker's own export.", [], Nothing, 202 Nothing;
    "fhir_export_file": Get "/fhir/$export-file/{job}/{file}" => get(fhir::export::file), Bearer,
        "Streams a file of the asker's own export; of each subject it is decided now, and logged before it leaves.",
        [FHIR_PURPOSE], Nothing, 200 Bytes(FHIR_NDJSON);
    "identity_list": Get "/v1/identities" => get(identities::list), Bearer,
        "Patients that carry one identifier in two compartments, by ids alone; logged in the lists of both.",
        [query("state", false, "`open` or `decided`; `open` when left out"),
         query("after", false, "`next` of the last page")],
        Nothing, 200 Json(json::<identities::Page>);
    "identity_decide": Post "/v1/identities/{item}" => post(identities::decide), Bearer,
        "Says whether the two are one person. If so, one Patient replaces the other by a FHIR link; no record moves.", [],
        Json(json::<identities::Verdict>), 200 Json(json::<identities::Item>);
    "identity_undo": Delete "/v1/identities/{item}/verdict" => delete(identities::undo), Bearer,
        "Takes such a decision back: both Patients are again what they were, as new versions; 409 if one was changed since.", [],
        Nothing, 200 Json(json::<identities::Item>);

    "consent_show": Get "/v1/subjects/{subject}/consent" => get(consents::show), Bearer,
        "The consent state, finalised and pending, with its opening.", [], Nothing, 200 Json(json::<consents::Shown>);
    "consent_prepare": Post "/v1/subjects/{subject}/consent/prepare" => post(consents::prepare), Bearer,
        "Prepares a change for a controller to check and sign at home.", [],
        Json(json::<consents::Prepare>), 200 Bytes(CBOR);
    "consent_submit": Post "/v1/subjects/{subject}/consent" => post(consents::submit), Bearer,
        "Takes a signed change.", [WAIT], Bytes(CBOR), 200 Json(json::<consents::Accepted>);
    "consent_change": Put "/v1/subjects/{subject}/consent" => put(consents::change), Bearer,
        "Changes consent through the desk, while the family holds no key.",
        [WAIT, SEQUENCE],
        Json(json::<consents::Changes>), 200 Json(json::<consents::Accepted>);
    "grant_list": Get "/v1/subjects/{subject}/grants" => get(consents::grants), Bearer,
        "The grants in the latest accepted state.", [], Nothing, 200 Json(json::<consents::Grants>);
    "grant_add": Post "/v1/subjects/{subject}/grants" => post(consents::grant_add), Bearer,
        "Grants through the desk.", [WAIT, SEQUENCE], Json(json::<consents::Draft>), 201 Json(json::<consents::Granted>);
    "grant_revoke": Delete "/v1/subjects/{subject}/grants/{grant}" => delete(consents::grant_revoke), Bearer,
        "Revokes a grant through the desk; binds at once.", [WAIT, SEQUENCE], Nothing, 200 Json(json::<consents::Accepted>);
    "restriction_set": Put "/v1/subjects/{subject}/restriction" => put(consents::restrict), Bearer,
        "Restricts processing (GDPR article 18), or lifts it.", [WAIT, SEQUENCE],
        Json(json::<consents::Restriction>), 200 Json(json::<consents::Accepted>);

    "share_point": Post "/v1/subjects/{subject}/pointers" => post(shares::point), Bearer,
        "Makes a pointer: whom another institution has to ask for this subject's records. It permits nothing.", [],
        Json(json::<shares::Point>), 201 Json(json::<shares::Pointer>);
    "share_ask": Post "/v1/shares" => post(shares::ask), Bearer,
        "Asks another institution for records. It decides and logs; what it permits is checked against the ledger, shown once and not kept.", [],
        Json(json::<shares::Asked>), 200 Json(json::<shares::Received>);

    "disclosure_list": Get "/v1/subjects/{subject}/disclosures" => get(disclosures::list), Bearer,
        "Who looked, who was refused, and why.",
        [query("from", false, "RFC 3339"), query("until", false, "RFC 3339")],
        Nothing, 200 Json(json::<disclosures::List>);
    "disclosure_proof": Get "/v1/subjects/{subject}/disclosures/proof" => get(disclosures::proof), Bearer,
        "Proof of a period's disclosures, or of their absence; 202 while it is to come, 404 for a period of which none will come: one that has not begun, or was over before this custodian's first.",
        [number("period", true, "its number")], Nothing, 200 / 202 Bytes(CBOR);
    "safeguarding_list": Get "/v1/subjects/{subject}/delays" => get(disclosures::delays), Bearer,
        "Delays of showing a disclosure.", [], Nothing, 200 Json(json::<Vec<disclosures::Delay>>);
    "safeguarding_propose": Post "/v1/subjects/{subject}/disclosures/{disclosure}/delay" => post(disclosures::propose), Bearer,
        "Asks to delay showing a disclosure; no effect until a second person confirms.", [],
        Json(json::<disclosures::Propose>), 201 Json(json::<disclosures::Delay>);
    "safeguarding_approve": Post "/v1/subjects/{subject}/disclosures/{disclosure}/delay/approve" => post(disclosures::approve), Bearer,
        "Approves such a delay, as a second person.", [], Nothing, 200 Json(json::<disclosures::Delay>);
    "safeguarding_lift": Delete "/v1/subjects/{subject}/disclosures/{disclosure}/delay" => delete(disclosures::lift), Bearer,
        "Ends such a delay early.", [], Nothing, 200 Json(json::<disclosures::Delay>);

    "study_propose": Post "/v1/studies" => post(studies::propose), Only(&[Role::Researcher]),
        "Proposes a study to the committee.", [],
        Json(json::<studies::Propose>), 201 Json(json::<studies::Shown>);
    "study_list": Get "/v1/studies" => get(studies::list), Bearer,
        "The studies of this institution.", [], Nothing, 200 Json(json::<Vec<studies::Shown>>);
    "study_show": Get "/v1/studies/{study}" => get(studies::show), Bearer,
        "A study as it stands.", [], Nothing, 200 Json(json::<studies::Shown>);
    "study_step": Post "/v1/studies/{study}/steps" => post(studies::take), Only(&STUDYING),
        "Approves, refuses, agrees to, opens, ends or withdraws a study; opening it puts its policy's digest on the ledger.", [],
        Json(json::<studies::Take>), 200 Json(json::<studies::Shown>);
    "study_matching": Get "/v1/studies/{study}/matching" => get(studies::matching),
        Only(&[Role::Committee, Role::PrivacyOfficer]),
        "How a study matches what families agreed to, explained; the committee decides.", [],
        Nothing, 200 Json(json::<studies::Matching>);
    "study_spending": Get "/v1/studies/{study}/spending" => get(studies::spending), Bearer,
        "What was spent of the privacy budgets of a study and of the caller.", [],
        Nothing, 200 Json(json::<studies::Spending>);
    "study_recontact": Post "/v1/studies/{study}/recontact" => post(studies::recontact), Only(&[Role::Researcher]),
        "Asks whom a re-contact token stands for whether the study may be in touch; says nothing about who that is.", [],
        Json(json::<studies::Token>), 202 Json(json::<studies::Taken>);
    "release_prepare": Post "/v1/studies/{study}/releases" => post(studies::prepare), Only(&[Role::Researcher]),
        "Asks for a release; it is made and attacked in the background.", [],
        Json(json::<studies::Prepare>), 201 Json(json::<studies::Released>);
    "release_list": Get "/v1/studies/{study}/releases" => get(studies::releases), Only(&RELEASES),
        "The releases of a study.", [], Nothing, 200 Json(json::<Vec<studies::Released>>);
    "release_show": Get "/v1/studies/{study}/releases/{release}" => get(studies::release), Only(&RELEASES),
        "A release as it stands, with the attacks that were tried on it.", [],
        Nothing, 200 Json(json::<studies::Released>);
    "release_certify": Post "/v1/studies/{study}/releases/{release}/certificate" => post(studies::certify),
        Only(&[Role::Committee]),
        "The committee's word on a release; certified, it goes to the ledger. None that exceeds a limit can be certified.", [],
        Json(json::<studies::Certify>), 200 Json(json::<studies::Released>);
    "release_replay": Post "/v1/studies/{study}/releases/{release}/replay" => post(studies::replay),
        Only(&[Role::Committee, Role::PrivacyOfficer, Role::Auditor]),
        "Tries the attacks on a release again, on whoever of it is still here.", [],
        Nothing, 200 Json(json::<studies::Replayed>);
    "release_file": Get "/v1/studies/{study}/releases/{release}/files/{file}" => get(studies::file), Only(&RELEASES),
        "A piece of a file of a release; `Ithaca-Length` is the whole file's. No bytes: it ends there.",
        [number("offset", false, "from which byte; 0 when left out")], Nothing, 200 Bytes(OCTETS);
    "research_held": Get "/v1/subjects/{subject}/research" => get(studies::held), Bearer,
        "Which releases hold a subject's data, at what measured risk and for which study; what counts have learnt; which studies may use its data.",
        [], Nothing, 200 Json(json::<studies::Held>);
    "beacon_root": Get "/v1/studies/{study}/beacon/v2" => get(studies::beacon_root), Only(&BEACON),
        "What a study's beacon is (GA4GH Beacon v2).", [], Nothing, 200 Bytes(JSON);
    "beacon_ask": Get "/v1/studies/{study}/beacon/v2/{what}" => get(studies::beacon), Only(&BEACON),
        "Asks a study's beacon: info, service-info, configuration, map, entry_types, filtering_terms, individuals. Answers about individuals are noisy and cost a part of the privacy budgets.",
        [query("filters", false, "terms, comma-separated: HP, OMIM, ORPHA, MONDO, sex, age"),
         query("requestedGranularity", false, "`boolean` or `count`"),
         query("includeResultsetResponses", false, "`ALL`, `HIT`, `MISS`, `NONE`"),
         query("requestedSchema", false, "as in Beacon v2"), query("requestedSchemas", false, "as in Beacon v2"),
         query("includeDescendantTerms", false, "whether narrower terms count; they do when left out"),
         query("similarity", false, "as in Beacon v2"), query("testMode", false, "asks nobody, costs nothing"),
         query("apiVersion", false, "`v2.0`"),
         number("skip", false, "pages to skip"), number("limit", false, "how many on a page")],
        Nothing, 200 Bytes(JSON);
    "beacon_post": Post "/v1/studies/{study}/beacon/v2/{what}" => post(studies::beacon_post), Only(&BEACON),
        "The same, with a request body of Beacon v2.", [], Bytes(JSON), 200 Bytes(JSON);

    "break_glass_open": Post "/v1/subjects/{subject}/break-glass" => post(emergencies::open), Bearer,
        "Opens a break-glass session of at most four hours; a second person reviews it.", [],
        Json(json::<emergencies::Open>), 201 Json(json::<emergencies::Opened>);
    "break_glass_list": Get "/v1/break-glass" => get(emergencies::list), Bearer,
        "Break-glass sessions.",
        [query("subject", false, "only this subject's; left out: all that await review")],
        Nothing, 200 Json(json::<Vec<emergencies::Session>>);
    "break_glass_review": Post "/v1/subjects/{subject}/break-glass/{session}/review" => post(emergencies::review), Bearer,
        "Reviews a session, as a second person.", [],
        Json(json::<emergencies::Review>), 200 Json(json::<emergencies::Session>);
    "hold_set": Put "/v1/subjects/{subject}/hold" => put(emergencies::hold), Bearer,
        "Sets a legal hold: the subject cannot be erased until it ends.", [],
        Json(json::<emergencies::Hold>), 200 Json(json::<emergencies::Hold>);
    "hold_clear": Delete "/v1/subjects/{subject}/hold" => delete(emergencies::hold_clear), Bearer,
        "Clears a legal hold.", [], Nothing, 204 Nothing;
}
