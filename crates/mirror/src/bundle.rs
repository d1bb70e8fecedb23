//! Bundles that answer: search sets, histories, and the responses to transactions and batches.
//!
//! Written as a stream: [`BundleWriter`] appends to a buffer that the caller sends on and empties as it
//! likes. Resources are bytes that are copied as they are.
//!
//! INVARIANT (the caller's): `resource` and `outcome` are one JSON object each, as `json` or `fhir`
//! accepted or as this crate wrote it.

use crate::write::{Object, object};
use codec::Millis;
use std::fmt;
use std::marker::PhantomData;

/// What stands before the entries.
#[derive(Clone, Debug, Default)]
pub struct Head<'a> {
    /// The Bundle's id.
    pub id: Option<&'a str>,
    /// When the answer was made.
    pub at: Option<Millis>,
    /// How many resources match, entries that are only included not counted; search sets and
    /// histories only.
    pub total: Option<u64>,
    /// Relation (`self`, `next`, ...) and URL.
    pub links: &'a [(&'a str, &'a str)],
}

/// A kind of Bundle: [`Searchset`], [`History`], [`TransactionResponse`], [`BatchResponse`].
pub trait Kind {
    /// `Bundle.type`.
    const CODE: &'static str;
    /// Whether such a Bundle may have a total.
    const COUNTS: bool;
    /// Its entries.
    type Entry<'a>: Member;
}

/// What an entry writes. Implemented by the entries of this module.
pub trait Member {
    #[doc(hidden)]
    fn write(&self, out: &mut Vec<u8>);
}

/// Results of a search.
#[derive(Debug)]
pub enum Searchset {}
/// Versions of resources, the newest first.
#[derive(Debug)]
pub enum History {}
/// What became of a transaction.
#[derive(Debug)]
pub enum TransactionResponse {}
/// What became of a batch.
#[derive(Debug)]
pub enum BatchResponse {}

impl Kind for Searchset {
    const CODE: &'static str = "searchset";
    const COUNTS: bool = true;
    type Entry<'a> = Found<'a>;
}

impl Kind for History {
    const CODE: &'static str = "history";
    const COUNTS: bool = true;
    type Entry<'a> = Version<'a>;
}

impl Kind for TransactionResponse {
    const CODE: &'static str = "transaction-response";
    const COUNTS: bool = false;
    type Entry<'a> = Answered<'a>;
}

impl Kind for BatchResponse {
    const CODE: &'static str = "batch-response";
    const COUNTS: bool = false;
    type Entry<'a> = Answered<'a>;
}

/// Why a resource is in a search set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It matches.
    Match,
    /// A match refers to it, or it to a match.
    Include,
    /// It is an `OperationOutcome` about the search.
    Outcome,
}

/// An entry of a search set.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The resource's URL without a version; none for an outcome.
    pub full_url: Option<&'a str>,
    /// The resource.
    pub resource: &'a [u8],
    /// Why it is here.
    pub mode: Mode,
}

/// An entry of a history.
#[derive(Clone, Copy)]
pub struct Version<'a> {
    /// The resource's URL without a version.
    pub full_url: &'a str,
    /// The version; none if it was deleted.
    pub resource: Option<&'a [u8]>,
    /// How it was made: `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'a str,
    /// Where the request went, relative to the base.
    pub url: &'a str,
    /// What was answered.
    pub response: Response<'a>,
}

/// An entry of a response.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    /// The resource's URL without a version, if there is one.
    pub full_url: Option<&'a str>,
    /// The resource, if it was asked for.
    pub resource: Option<&'a [u8]>,
    /// What is answered.
    pub response: Response<'a>,
}

/// What one request of several was answered.
#[derive(Clone, Copy, Default)]
pub struct Response<'a> {
    /// The HTTP status, such as `201 Created`.
    pub status: &'a str,
    /// Where the version is.
    pub location: Option<&'a str>,
    /// Its version, such as `W/"3"`.
    pub etag: Option<&'a str>,
    /// When it was made.
    pub last_modified: Option<Millis>,
    /// An `OperationOutcome`.
    pub outcome: Option<&'a [u8]>,
}

/// A Bundle that is being written.
#[derive(Debug)]
pub struct BundleWriter<K> {
    entries: u64,
    of: PhantomData<K>,
}

impl<K: Kind> BundleWriter<K> {
    /// Writes what stands before the entries.
    pub fn open(out: &mut Vec<u8>, head: &Head<'_>) -> Self {
        object(out, |bundle| {
            bundle.text("resourceType", "Bundle");
            bundle.text_if("id", head.id);
            bundle.text("type", K::CODE);
            if let Some(at) = head.at {
                bundle.instant("timestamp", at);
            }
            if let Some(total) = head.total.filter(|_| K::COUNTS) {
                bundle.number("total", total);
            }
            bundle.list("link", head.links, |link, (relation, url)| {
                link.text("relation", relation);
                link.text("url", url);
            });
        });
        // The object goes on.
        out.pop();
        Self {
            entries: 0,
            of: PhantomData,
        }
    }

    /// Writes an entry.
    pub fn entry(&mut self, out: &mut Vec<u8>, entry: &K::Entry<'_>) {
        let before: &[u8] = match self.entries {
            0 => b",\"entry\":[",
            _ => b",",
        };
        out.extend_from_slice(before);
        entry.write(out);
        self.entries += 1;
    }

    /// Writes the end and tells how many entries there are.
    pub fn close(self, out: &mut Vec<u8>) -> u64 {
        let end: &[u8] = if self.entries == 0 { b"}" } else { b"]}" };
        out.extend_from_slice(end);
        self.entries
    }
}

/// A whole Bundle.
pub fn bundle<'a, K: Kind>(
    head: &Head<'_>,
    entries: impl IntoIterator<Item = K::Entry<'a>>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    let mut writer = BundleWriter::<K>::open(&mut out, head);
    for entry in entries {
        writer.entry(&mut out, &entry);
    }
    writer.close(&mut out);
    out
}

impl Member for Found<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mode = match self.mode {
            Mode::Match => "match",
            Mode::Include => "include",
            Mode::Outcome => "outcome",
        };
        object(out, |entry| {
            entry.text_if("fullUrl", self.full_url);
            entry.raw("resource", self.resource);
            entry.object("search", |search| search.text("mode", mode));
        });
    }
}

impl Member for Version<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        object(out, |entry| {
            entry.text("fullUrl", self.full_url);
            if let Some(resource) = self.resource {
                entry.raw("resource", resource);
            }
            entry.object("request", |request| {
                request.text("method", self.method);
                request.text("url", self.url);
            });
            self.response.write(entry);
        });
    }
}

impl Member for Answered<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        object(out, |entry| {
            entry.text_if("fullUrl", self.full_url);
            if let Some(resource) = self.resource {
                entry.raw("resource", resource);
            }
            self.response.write(entry);
        });
    }
}

impl Response<'_> {
    fn write(&self, entry: &mut Object<'_>) {
        entry.object("response", |response| {
            response.text("status", self.status);
            response.text_if("location", self.location);
            response.text_if("etag", self.etag);
            if let Some(at) = self.last_modified {
                response.instant("lastModified", at);
            }
            if let Some(outcome) = self.outcome {
                response.raw("outcome", outcome);
            }
        });
    }
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({:?} <redacted>)", self.mode)
    }
}

impl fmt::Debug for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version(<redacted>)")
    }
}

impl fmt::Debug for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answered(<redacted>)")
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} <redacted>)", self.status)
    }
}
