//! Records: deposit, new version, list, fetch, receipt.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{
        Ask, At, Raw, Who, answer, entity_tag, insert, list as codes, media_type, one, tag, text,
        wait,
    },
    subjects::Standing,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use consent::Permit;
use node::{
    Caller, Category, Millis, RecordId, SubjectId,
    receipt::{LeafAsked, ReceiptAnswer, ReceiptLeaf, ReceiptQuery},
    record::{Content, Fetch, FetchedRecord, List, Payload, Provenance, RecordMeta, Submission},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An accepted deposit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Deposited {
    /// The first record's id.
    record: String,
    /// Its version.
    version: u32,
    /// One for each resource of the payload, in its order.
    records: Vec<DepositedRecord>,
    finality: Standing,
}

/// One record of a deposit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DepositedRecord {
    record: String,
    version: u32,
    kind: String,
    /// What the ledger holds: a salted Merkle root.
    commitment: String,
    /// False when the same bytes were there already.
    created: bool,
}

/// A record without its content.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Meta {
    record: String,
    version: u32,
    kind: String,
    deposited: String,
    commitment: String,
    #[schemars(with = "Vec<String>")]
    categories: Vec<Category>,
    size_bytes: u64,
    finality: Standing,
}

impl From<RecordMeta> for Meta {
    fn from(meta: RecordMeta) -> Self {
        Self {
            record: meta.record.to_string(),
            version: meta.version,
            kind: meta.kind.to_string(),
            deposited: Millis::new(meta.deposited_ms).to_rfc3339(),
            commitment: meta.commitment.to_string(),
            categories: meta.categories,
            size_bytes: meta.size_bytes,
            finality: meta.finality.into(),
        }
    }
}

/// Records the caller may know of.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Listed {
    disclosure: String,
    #[schemars(with = "serde_json::Value")]
    permit: Permit,
    records: Vec<Meta>,
}

/// The permitted parts of a record.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Fetched {
    disclosure: String,
    /// The basis, how far it goes, until when, and whether the view of consent may be out of date.
    #[schemars(with = "serde_json::Value")]
    permit: Permit,
    /// The basis in a sentence.
    because: String,
    #[serde(flatten)]
    meta: Meta,
    parts: Vec<Part>,
}

/// One projection.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Part {
    #[schemars(with = "String")]
    category: Category,
    rule_version: u16,
    #[schemars(with = "serde_json::Value")]
    body: Box<RawValue>,
}

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    purpose: String,
}

/// The query of a fetch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchQuery {
    purpose: String,
    categories: Option<String>,
    version: Option<u32>,
}

/// The query of a receipt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafQuery {
    version: Option<u32>,
    leaf: Option<String>,
    purpose: Option<String>,
}

pub(crate) async fn deposit(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    raw: Raw,
) -> Result<Response, Problem> {
    submit(edge, caller, subject, raw, None, None).await
}

pub(crate) async fn replace(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, record)): At<(SubjectId, RecordId)>,
    raw: Raw,
) -> Result<Response, Problem> {
    let seen = entity_tag(&raw.headers, "if-match")?.ok_or_else(|| {
        Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "say in If-Match which version this replaces",
        )
    })?;
    // The first version is 1. To the node 0 means that there must be none, which is no replacement.
    let seen = u32::try_from(seen).ok().filter(|seen| *seen > 0);
    let seen = seen.ok_or_else(|| {
        Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition-failed",
            "no record has the version that If-Match names; read it again before changing it",
        )
    })?;
    submit(edge, caller, subject, raw, Some(record), Some(seen)).await
}

async fn submit(
    edge: Edge,
    caller: Caller,
    subject: SubjectId,
    raw: Raw,
    record: Option<RecordId>,
    expect_version: Option<u32>,
) -> Result<Response, Problem> {
    let Raw { headers, body } = raw;
    let held = edge.body(&headers, body, edge.limits.payload_bytes).await?;
    let content = Content::new(held.bytes);
    let deposited = edge
        .node
        .record_deposit(Submission {
            caller,
            subject,
            payload: payload(&headers, content),
            record,
            client_key: text(&headers, "idempotency-key")?.map(str::to_owned),
            expect_version,
            provenance: Provenance {
                source: text(&headers, "ithaca-source")?
                    .unwrap_or("http")
                    .to_owned(),
                note: String::new(),
            },
            wait: wait(&headers, &edge),
        })
        .await?;
    let first = deposited.records.first().ok_or_else(|| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "the payload holds no record",
        )
    })?;
    let created = deposited.records.iter().any(|r| r.created);
    let location = format!("/v1/subjects/{subject}/records/{}", first.record);
    let version = first.version;
    let status = if created && record.is_none() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = answer(
        status,
        &Deposited {
            record: first.record.to_string(),
            version: first.version,
            finality: deposited.finality.into(),
            records: deposited
                .records
                .into_iter()
                .map(|r| DepositedRecord {
                    record: r.record.to_string(),
                    version: r.version,
                    kind: r.kind.to_string(),
                    commitment: r.commitment.to_string(),
                    created: r.created,
                })
                .collect(),
        },
    );
    insert(&mut response, header::LOCATION, &location);
    tag(&mut response, version.into());
    Ok(response)
}

/// What kind of payload the bytes are, by their media type. The guard has refused types that the table
/// does not list.
fn payload(headers: &HeaderMap, bytes: Content) -> Payload {
    let media = media_type(headers).unwrap_or_default();
    match media.as_str() {
        "application/json" => Payload::Phenopacket(bytes),
        "application/fhir+json" if is_bundle(&bytes) => Payload::FhirBundle(bytes),
        "application/fhir+json" => Payload::FhirResource(bytes),
        _ => Payload::Document {
            bytes,
            media_type: media,
        },
    }
}

/// A hint only: the node parses the resource and refuses what does not fit.
fn is_bundle(bytes: &Content) -> bool {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "resourceType", borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Kind<'_>>(bytes.as_bytes()).is_ok_and(|k| k.kind == "Bundle")
}

pub(crate) async fn list(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Ask(query): Ask<ListQuery>,
) -> Result<Response, Problem> {
    let listed = edge
        .node
        .record_list(List {
            caller,
            purpose: one(&query.purpose, "purpose")?,
            subject,
            study: None,
            record: None,
        })
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Listed {
            disclosure: listed.disclosure.to_string(),
            permit: listed.permit,
            records: listed.records.into_iter().map(Meta::from).collect(),
        },
    ))
}

pub(crate) async fn fetch(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, record)): At<(SubjectId, RecordId)>,
    Ask(query): Ask<FetchQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let fetched = edge
        .node
        .record_fetch(Fetch {
            caller,
            purpose: one(&query.purpose, "purpose")?,
            subject,
            selection: selection(query.categories.as_deref(), record)?,
            study: None,
            partial: query.categories.is_none(),
            version: query.version,
        })
        .await?;
    let found = fetched
        .records
        .into_iter()
        .next()
        .ok_or_else(|| Problem::from(node::Error::RecordUnknown(record)))?;
    let version = found.meta.version;
    let disclosure = fetched.disclosure.to_string();
    let mut response = if wants_stored_form(&headers) {
        stored_form(found)?
    } else {
        answer(
            StatusCode::OK,
            &Fetched {
                disclosure: disclosure.clone(),
                because: fetched.permit.basis.to_string(),
                permit: fetched.permit,
                parts: parts(&found)?,
                meta: found.meta.into(),
            },
        )
    };
    tag(&mut response, version.into());
    insert(&mut response, DISCLOSURE, &disclosure);
    Ok(response)
}

/// Names the log row of a read whose body has no place for it.
pub(crate) const DISCLOSURE: HeaderName = HeaderName::from_static("ithaca-disclosure");

fn selection(categories: Option<&str>, record: RecordId) -> Result<node::Selection, Problem> {
    let categories = match categories {
        Some(text) => codes::<Category>(text, "category")?.into_iter().collect(),
        None => Category::ALL.iter().copied().collect(),
    };
    Ok(node::Selection {
        categories,
        records: consent::Records::Only([record].into()),
    })
}

fn wants_stored_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',').any(|part| {
                let media = part.split(';').next().unwrap_or_default().trim();
                media == "application/octet-stream" || media == "application/fhir+json"
            })
        })
}

fn stored_form(found: FetchedRecord) -> Result<Response, Problem> {
    let Some(content) = found.stored_form else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "the stored form holds categories that are not permitted; ask for application/json to read the permitted parts",
        ));
    };
    let mut response = Body::from(content.as_bytes().to_vec()).into_response();
    let media = match found.meta.kind.as_str() {
        "phenopacket" => "application/json",
        "document" => "application/octet-stream",
        _ => "application/fhir+json",
    };
    insert(&mut response, header::CONTENT_TYPE, media);
    Ok(response)
}

fn parts(found: &FetchedRecord) -> Result<Vec<Part>, Problem> {
    found
        .projections
        .iter()
        .map(|projection| {
            Ok(Part {
                category: projection.category,
                rule_version: projection.rule_version,
                body: raw(&projection.bytes)?,
            })
        })
        .collect()
}

/// A projection as it is, within an answer.
pub(crate) fn raw(projection: &Content) -> Result<Box<RawValue>, Problem> {
    let text = std::str::from_utf8(projection.as_bytes()).ok();
    text.and_then(|t| RawValue::from_string(t.to_owned()).ok())
        .ok_or_else(|| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "a projection is not JSON; please report it",
            )
        })
}

pub(crate) async fn receipt(
    State(edge): State<Edge>,
    Who(caller): Who,
    At((subject, record)): At<(SubjectId, RecordId)>,
    Ask(query): Ask<LeafQuery>,
) -> Result<Response, Problem> {
    let leaf = match (query.leaf.as_deref(), query.purpose.as_deref()) {
        (None, None) => None,
        (Some(leaf), Some(purpose)) => Some(LeafAsked {
            leaf: match leaf {
                "stored" => ReceiptLeaf::Stored,
                category => ReceiptLeaf::Projection(one(category, "leaf")?),
            },
            purpose: one(purpose, "purpose")?,
        }),
        _ => {
            return Err(Problem::bad_request(
                "leaf and purpose go together: opening a leaf is a read, and a read has a purpose",
            ));
        }
    };
    let receipt = edge
        .node
        .receipt(ReceiptQuery {
            caller,
            subject,
            record,
            version: query.version,
            leaf,
        })
        .await?;
    Ok(match receipt {
        ReceiptAnswer::Pending => pending(),
        ReceiptAnswer::Ready(bundle) => {
            let mut response = cbor(bundle.bytes);
            if let Some(disclosure) = bundle.disclosure {
                insert(&mut response, DISCLOSURE, &disclosure.to_string());
            }
            response
        }
    })
}

/// 202: on its way.
pub(crate) fn pending() -> Response {
    (StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")]).into_response()
}

/// A CBOR answer.
pub(crate) fn cbor(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response()
}
