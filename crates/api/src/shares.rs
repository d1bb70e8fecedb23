//! Sharing with other institutions: pointers out, requests to custodians elsewhere.

use crate::{
    edge::Edge,
    problem::Problem,
    read::{At, Json, Who, answer},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use node::{
    Caller, Category, GrantId, InstitutionId, Millis, Purpose, RecordId, Records, Selection,
    SubjectId,
    share::{PointerRead, ShareAccept, ShareAsk, SharePoint, Shared, SharedRecord},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeSet, future::Future, pin::Pin};

/// An answer on its way; the error is a sentence.
pub type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Carries a request to another institution and brings its answer.
pub trait Exchange: Send + Sync {
    /// A request is good once: after an error a new one is made.
    fn exchange(&self, to: InstitutionId, request: Vec<u8>) -> Exchanged<'_>;
}

/// A pointer to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// The grant it is for.
    grant: String,
}

/// A pointer: names custodian, subject and grant under the custodian's signature; it permits nothing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pointer {
    /// Hexadecimal.
    pointer: String,
}

/// What is asked of another institution.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShareAsk")]
pub(crate) struct Asked {
    /// A pointer, or `custodian` and `subject`.
    pointer: Option<String>,
    custodian: Option<String>,
    subject: Option<String>,
    /// HL7 v3 PurposeOfUse.
    #[schemars(with = "String")]
    purpose: Purpose,
    /// Left out: whatever is permitted.
    #[schemars(with = "Option<Vec<String>>")]
    categories: Option<BTreeSet<Category>>,
    /// Left out: every record.
    records: Option<Vec<String>>,
}

/// What another institution shared. Each part was checked against the ledger; nothing of it is kept here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Shared")]
pub(crate) struct Received {
    /// The custodian's log row.
    disclosure: String,
    /// This institution's log row, and the visitor compartment it is in.
    logged: String,
    visitor: String,
    /// In plain words.
    because: Vec<String>,
    #[schemars(with = "Option<String>")]
    until: Option<Millis>,
    records: Vec<ReceivedRecord>,
}

/// A shared record.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceivedRecord {
    record: String,
    version: u32,
    kind: String,
    #[schemars(with = "String")]
    deposited: Millis,
    parts: Vec<ReceivedPart>,
    /// For `ithaca verify --leaf`, hexadecimal.
    receipt: String,
}

/// A part of a shared record.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceivedPart {
    #[schemars(with = "String")]
    category: Category,
    rule_version: u16,
    /// The part itself, JSON.
    #[schemars(with = "serde_json::Value")]
    body: Box<RawValue>,
}

pub(crate) async fn point(
    State(edge): State<Edge>,
    Who(caller): Who,
    At(subject): At<SubjectId>,
    Json(asked): Json<Point>,
) -> Result<Response, Problem> {
    let grant: GrantId = id(&asked.grant, "grant")?;
    let point = SharePoint {
        caller,
        subject,
        grant,
    };
    let bytes = edge.node.share_point(point).await?;
    let pointer = codec::hex::encode(&bytes);
    Ok(answer(StatusCode::CREATED, &Pointer { pointer }))
}

pub(crate) async fn ask(
    State(edge): State<Edge>,
    Who(caller): Who,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    let ask = asked.ask(&edge, caller.clone()).await?;
    let custodian = ask.custodian;
    let request = edge.node.share_prepare(ask).await?;
    let exchange = edge.exchange().ok_or_else(|| {
        unreachable(
            "this node knows no other institution; add them under [peers] in its configuration",
        )
    })?;
    let answered = exchange
        .exchange(custodian, request.bytes.clone())
        .await
        .map_err(unreachable)?;
    let accept = ShareAccept {
        caller,
        request: request.bytes,
        answer: answered,
    };
    let shared = edge.node.share_accept(accept).await?;
    let mut response = answer(StatusCode::OK, &received(shared)?);
    crate::read::insert(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

impl Asked {
    async fn ask(self, edge: &Edge, caller: Caller) -> Result<ShareAsk, Problem> {
        let (custodian, subject) = match (self.pointer, self.custodian, self.subject) {
            (Some(pointer), None, None) => {
                let bytes = codec::hex::decode(&pointer);
                let bytes =
                    bytes.map_err(|_| Problem::bad_request("the pointer is not hexadecimal"))?;
                let read = PointerRead {
                    caller: caller.clone(),
                    bytes,
                };
                let pointer = edge.node.share_pointer_read(read).await?;
                (pointer.custodian, pointer.subject)
            }
            (None, Some(custodian), Some(subject)) => {
                (id(&custodian, "custodian")?, id(&subject, "subject")?)
            }
            _ => {
                return Err(Problem::bad_request(
                    "name either a pointer, or a custodian and a subject",
                ));
            }
        };
        let records = match self.records {
            None => Records::All,
            Some(named) => {
                let ids = named.iter().map(|record| id::<RecordId>(record, "record"));
                Records::Only(ids.collect::<Result<_, _>>()?)
            }
        };
        Ok(ShareAsk {
            caller,
            custodian,
            subject,
            purpose: self.purpose,
            partial: self.categories.is_none(),
            selection: Selection {
                categories: self
                    .categories
                    .unwrap_or_else(|| Category::ALL.iter().copied().collect()),
                records,
            },
            study: None,
        })
    }
}

fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!(
            "the {what} cannot be read; ids are lowercase hexadecimal"
        ))
    })
}

fn unreachable(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "elsewhere", why)
}

fn received(shared: Shared) -> Result<Received, Problem> {
    Ok(Received {
        disclosure: shared.disclosure.to_string(),
        logged: shared.logged.to_string(),
        visitor: shared.visitor.to_string(),
        because: shared
            .because
            .iter()
            .map(|because| because.basis.to_string())
            .collect(),
        until: shared.until,
        records: shared
            .records
            .into_iter()
            .map(record)
            .collect::<Result<_, _>>()?,
    })
}

fn record(shared: SharedRecord) -> Result<ReceivedRecord, Problem> {
    let parts = shared.parts.iter().map(|part| {
        Ok(ReceivedPart {
            category: part.category,
            rule_version: part.rule_version,
            body: crate::records::raw(&part.bytes)?,
        })
    });
    Ok(ReceivedRecord {
        record: shared.record.to_string(),
        version: shared.version,
        kind: shared.kind,
        deposited: shared.deposited,
        parts: parts.collect::<Result<_, Problem>>()?,
        receipt: codec::hex::encode(&shared.receipt),
    })
}
