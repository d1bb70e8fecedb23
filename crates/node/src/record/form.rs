//! From received payloads to what the vault keeps: stored form, projections, kind.
//!
//! Pure. A FHIR resource's stored form is the received bytes with the server's id, version and time
//! spliced in, and references between a Bundle's entries resolved; a phenopacket's and a document's are
//! the received bytes. Projections are made from the stored form, so that they show what is served, and
//! made again from it whenever they are asked for.

use super::{Content, Payload};
use crate::error::{Error, Problem};
use codec::Category;
use codec::Domain;
use codec::id::{Digest, RecordId};
use codec::time::Millis;
use fhir::{Assigned, BundleKind, Method};
use keys::Zeroizing;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vault::{Form, Projection, Projector};

/// Rule by which a document's projection (its media type and size) is made.
const DOCUMENT_RULE_VERSION: u16 = 1;
const MEDIA_TYPE_MAX_BYTES: usize = vault::MAX_KIND_BYTES;
/// Kinds that are no FHIR resource types.
const PHENOPACKET: &str = "phenopacket";
const DOCUMENT: &str = "document";
const PHENOPACKET_MEDIA: &str = "application/json";
const FHIR_MEDIA: &str = "application/fhir+json";

/// How the stored form of a version is written that says that there is no resource any more.
pub(crate) const DELETED_MEDIA: &str = "application/vnd.ithaca.deleted";

/// What the deletions of a type can be found by.
pub(crate) fn deleted_term(kind: &str) -> Vec<u8> {
    [b"deleted ", kind.as_bytes()].concat()
}

/// What the FHIR resource that is in a record can be found by, whatever its id.
pub(crate) fn record_term(record: &RecordId) -> Vec<u8> {
    [b"record ", record.as_bytes().as_slice()].concat()
}

/// A record in the making.
pub(crate) struct Draft {
    pub(crate) record: RecordId,
    /// The version that it replaces; none: whichever is the latest.
    pub(crate) expect_version: Option<u32>,
    pub(crate) kind: String,
    /// Digest of what was received for it; none if that is the stored form.
    pub(crate) received: Option<Digest>,
    /// The id of a FHIR resource whose client chose it; otherwise it is the record's.
    pub(crate) id: Option<String>,
    pub(crate) source: Source,
}

pub(crate) enum Source {
    /// The same whatever its version; taken when it is formed.
    Formed(Option<Formed>),
    Fhir {
        bytes: Content,
        links: Links,
    },
    /// A FHIR resource is no more.
    Deletion,
}

/// Where references lead: those between the entries of a Bundle, and before them those of one entry alone.
#[derive(Clone, Default)]
pub(crate) struct Links {
    shared: Arc<BTreeMap<String, String>>,
    own: BTreeMap<String, String>,
}

impl Links {
    pub(crate) fn new(shared: BTreeMap<String, String>) -> Self {
        Self {
            shared: Arc::new(shared),
            own: BTreeMap::new(),
        }
    }

    /// The same with what one entry says.
    pub(crate) fn with(&self, own: BTreeMap<String, String>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            own,
        }
    }

    fn resolve(&self, reference: &str) -> Option<String> {
        let own = self.own.get(reference);
        own.or_else(|| self.shared.get(reference)).cloned()
    }
}

/// A record's parts.
pub(crate) struct Formed {
    pub(crate) media_type: String,
    pub(crate) stored_form: Zeroizing<Vec<u8>>,
    pub(crate) projections: Vec<Projection>,
    /// What it can be found by across subjects.
    pub(crate) tokens: BTreeSet<Vec<u8>>,
}

/// What the source said about which record it means.
pub(crate) struct Target {
    pub(crate) record: Option<RecordId>,
    pub(crate) expect_version: Option<u32>,
    pub(crate) bundle_entries_max: usize,
}

/// Checks a payload and takes it apart.
pub(crate) fn drafts(
    payload: Payload,
    target: &Target,
    mut fresh: impl FnMut() -> RecordId,
) -> Result<Vec<Draft>, Error> {
    let one = |source: Source, kind: String, received: Option<Digest>, fresh: RecordId| {
        vec![Draft {
            record: target.record.unwrap_or(fresh),
            // Without an expected version it must be new: other bytes under its id are a conflict.
            expect_version: Some(target.expect_version.unwrap_or(0)),
            kind,
            received,
            id: None,
            source,
        }]
    };
    match payload {
        Payload::Phenopacket(bytes) => {
            let parsed = phenopacket::Parsed::parse(bytes.as_bytes())
                .map_err(|error| invalid("phenopacket", &error))?;
            let projections = parsed.projections();
            // INVARIANT: a phenopacket's stored form is the received bytes.
            let formed = Formed {
                media_type: PHENOPACKET_MEDIA.to_owned(),
                projections: projected(projections, phenopacket::RULE_VERSION),
                tokens: BTreeSet::new(),
                stored_form: bytes.into_bytes(),
            };
            let source = Source::Formed(Some(formed));
            Ok(one(source, PHENOPACKET.to_owned(), None, fresh()))
        }
        Payload::FhirResource(bytes) => {
            let parsed = fhir::Parsed::parse(bytes.as_bytes())
                .map_err(|error| invalid("FHIR resource", &error))?;
            let kind = parsed.resource_type().to_owned();
            let received = digest(&[b"fhir", bytes.as_bytes()]);
            let links = Links::default();
            let source = Source::Fhir { bytes, links };
            Ok(one(source, kind, Some(received), fresh()))
        }
        Payload::FhirBundle(bytes) => {
            if target.record.is_some() || target.expect_version.is_some() {
                return Err(bundle("", "a Bundle names its records in its entries"));
            }
            bundle_drafts(&bytes, target.bundle_entries_max, fresh)
        }
        Payload::Document { bytes, media_type } => {
            let plain = media_type
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ');
            if !media_type.contains('/') || media_type.len() > MEDIA_TYPE_MAX_BYTES || !plain {
                return Err(Error::invalid(
                    "document",
                    "",
                    "its media type is malformed",
                ));
            }
            if bytes.is_empty() {
                return Err(Error::invalid("document", "", "it is empty"));
            }
            let about = vec![(Category::Documents, about(&media_type, bytes.len()))];
            let formed = Formed {
                projections: projected(about, DOCUMENT_RULE_VERSION),
                media_type,
                tokens: BTreeSet::new(),
                stored_form: bytes.into_bytes(),
            };
            let source = Source::Formed(Some(formed));
            Ok(one(source, DOCUMENT.to_owned(), None, fresh()))
        }
    }
}

/// The digest by which a whole payload is recognised when it is sent again under the same key.
pub(crate) fn payload_digest(payload: &Payload) -> Digest {
    match payload {
        Payload::Phenopacket(bytes) => digest(&[b"phenopacket", bytes.as_bytes()]),
        Payload::FhirResource(bytes) => digest(&[b"fhir", bytes.as_bytes()]),
        Payload::FhirBundle(bytes) => digest(&[b"fhir-bundle", bytes.as_bytes()]),
        Payload::Document { bytes, media_type } => {
            digest(&[b"document", media_type.as_bytes(), bytes.as_bytes()])
        }
    }
}

impl Payload {
    /// Its size.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Phenopacket(bytes)
            | Self::FhirResource(bytes)
            | Self::FhirBundle(bytes)
            | Self::Document { bytes, .. } => bytes.len(),
        }
    }
}

impl Draft {
    /// The parts of the record as this version. Once for a draft whose version is fixed.
    pub(crate) fn formed(&mut self, version: u32, now: Millis) -> Result<Formed, Error> {
        match &mut self.source {
            Source::Formed(formed) => formed
                .take()
                .ok_or(Error::Internal("a record that was formed twice")),
            Source::Fhir { bytes, links } => {
                let refused = |error: fhir::Error| invalid("FHIR resource", &error);
                let parsed = fhir::Parsed::parse(bytes.as_bytes()).map_err(refused)?;
                let own_id = self.record.to_string();
                let assigned = Assigned {
                    id: self.id.as_deref().unwrap_or(&own_id),
                    version_id: &version.to_string(),
                    last_updated: now,
                };
                let resolve = |reference: &str| links.resolve(reference);
                let stored_form = parsed.stored_form(&assigned, &resolve).map_err(refused)?;
                let parsed = fhir::Parsed::parse(&stored_form).map_err(refused)?;
                let projections = projected(parsed.projections(), fhir::RULE_VERSION);
                let mut tokens = fhir::search::terms(&parsed);
                tokens.insert(record_term(&self.record));
                Ok(Formed {
                    media_type: FHIR_MEDIA.to_owned(),
                    projections,
                    tokens,
                    stored_form: Zeroizing::new(stored_form),
                })
            }
            Source::Deletion => {
                let own_id = self.record.to_string();
                let id = self.id.as_deref().unwrap_or(&own_id);
                let (kind, updated) = (&self.kind, now.to_rfc3339());
                // INVARIANT: a type, an id and a time hold nothing that JSON escapes.
                let stored_form = format!(
                    "{{\"resourceType\":\"{kind}\",\"id\":\"{id}\",\"meta\":{{\"versionId\":\"{version}\",\"lastUpdated\":\"{updated}\"}}}}"
                );
                Ok(Formed {
                    media_type: DELETED_MEDIA.to_owned(),
                    stored_form: Zeroizing::new(stored_form.into_bytes()),
                    projections: Vec::new(),
                    tokens: [
                        fhir::search::id_term(&self.kind, id),
                        deleted_term(&self.kind),
                        record_term(&self.record),
                    ]
                    .into(),
                })
            }
        }
    }
}

/// The rules by which projections are made, now and for every record that was put in under them.
#[derive(Debug)]
pub(crate) struct Rules;

impl Projector for Rules {
    fn project(
        &self,
        form: &Form<'_>,
        rules: &[(Category, u16)],
    ) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let by = |version: u16, select: &dyn Fn(Category) -> Option<Vec<u8>>| {
            let one = |(category, rule): &(Category, u16)| {
                let known = *rule == version;
                known
                    .then(|| select(*category))
                    .flatten()
                    .map(Zeroizing::new)
            };
            rules.iter().map(one).collect()
        };
        match form.kind {
            PHENOPACKET => {
                let parsed = phenopacket::Parsed::parse(form.bytes).ok()?;
                by(phenopacket::RULE_VERSION, &|category| {
                    parsed.select(&[category])
                })
            }
            DOCUMENT => by(DOCUMENT_RULE_VERSION, &|category| {
                let of_documents = category == Category::Documents;
                of_documents.then(|| about(form.media_type, form.bytes.len()))
            }),
            _ => {
                let parsed = fhir::Parsed::parse(form.bytes).ok()?;
                by(fhir::RULE_VERSION, &|category| parsed.select(&[category]))
            }
        }
    }
}

fn projected(projections: Vec<(Category, Vec<u8>)>, rule_version: u16) -> Vec<Projection> {
    let projections = projections.into_iter().map(|(category, bytes)| Projection {
        category,
        rule_version,
        bytes: Zeroizing::new(bytes),
    });
    projections.collect()
}

/// What a document's projection shows of it.
fn about(media_type: &str, size_bytes: usize) -> Vec<u8> {
    let media_type = quoted(media_type);
    format!("{{\"mediaType\":{media_type},\"sizeBytes\":{size_bytes}}}").into_bytes()
}

fn bundle_drafts(
    bytes: &Content,
    entries_max: usize,
    mut fresh: impl FnMut() -> RecordId,
) -> Result<Vec<Draft>, Error> {
    let parsed =
        fhir::Bundle::parse(bytes.as_bytes()).map_err(|error| invalid("FHIR Bundle", &error))?;
    let count = parsed.entries().len();
    if count == 0 {
        return Err(bundle("Bundle.entry", "it has no entries"));
    }
    if count > entries_max {
        return Err(bundle(
            "Bundle.entry",
            format!("it has {count} entries; the limit is {entries_max}"),
        ));
    }
    let dangling = parsed.dangling();
    if !dangling.is_empty() {
        let problems_found = dangling.into_iter().map(|(position, element)| Problem {
            path: format!("Bundle.entry[{position}].resource: {element}"),
            message: "it refers to an entry that the Bundle does not have".to_owned(),
        });
        return Err(Error::Invalid {
            what: "FHIR Bundle",
            problems_found: problems_found.collect(),
        });
    }
    let mut links = BTreeMap::new();
    let mut found = Vec::with_capacity(count);
    for (position, entry) in parsed.entries().iter().enumerate() {
        let path = format!("Bundle.entry[{position}]");
        let Some(resource) = entry.resource() else {
            return Err(bundle(
                &path,
                "only entries that put a resource in are taken",
            ));
        };
        let (record, expect_version) = match (parsed.kind(), entry.request()) {
            (BundleKind::Collection, _) | (_, None) => (fresh(), Some(0)),
            (_, Some(request)) => {
                entry_target(request, resource.resource_type(), &path, &mut fresh)?
            }
        };
        let kind = resource.resource_type().to_owned();
        if let Some(full_url) = entry.full_url() {
            links.insert(full_url.to_owned(), format!("{kind}/{record}"));
        }
        found.push((record, expect_version, kind, resource.received().to_vec()));
    }
    let links = Links::new(links);
    let drafts = found
        .into_iter()
        .map(|(record, expect_version, kind, bytes)| Draft {
            record,
            expect_version,
            kind,
            received: Some(digest(&[b"fhir", &bytes])),
            id: None,
            source: Source::Fhir {
                bytes: Content::new(bytes),
                links: links.clone(),
            },
        });
    Ok(drafts.collect())
}

/// Which record an entry's request means, and which version it builds on.
fn entry_target(
    request: &fhir::Request<'_>,
    resource_type: &str,
    path: &str,
    fresh: &mut impl FnMut() -> RecordId,
) -> Result<(RecordId, Option<u32>), Error> {
    if request.if_none_exist.is_some() {
        return Err(bundle(
            path,
            "conditional creation is not supported here; send it without",
        ));
    }
    match request.method {
        Method::Post if request.url == resource_type => Ok((fresh(), Some(0))),
        Method::Put => {
            let id = request
                .url
                .strip_prefix(resource_type)
                .and_then(|rest| rest.strip_prefix('/'));
            let record = id.and_then(|id| id.parse().ok()).ok_or_else(|| {
                bundle(
                    path,
                    "an update names a record of this server: Type/id, without a search",
                )
            })?;
            let expected = request.if_match.as_deref().map(if_match).transpose();
            let expected = expected
                .map_err(|()| bundle(path, "ifMatch is not an ETag of the form W/\"3\""))?;
            Ok((record, expected))
        }
        _ => Err(bundle(
            path,
            "only creation (POST Type) and update (PUT Type/id) are taken; send others by themselves",
        )),
    }
}

fn if_match(text: &str) -> Result<u32, ()> {
    let text = text.strip_prefix("W/").unwrap_or(text);
    text.trim_matches('"').parse().map_err(|_| ())
}

pub(crate) fn digest(parts: &[&[u8]]) -> Digest {
    keys::digest(Domain::IdempotencyKey, parts)
}

fn bundle(path: &str, message: impl Into<String>) -> Error {
    Error::invalid("FHIR Bundle", path, message)
}

/// The errors of the formats name places and rules, never values.
fn invalid(what: &'static str, error: &impl std::error::Error) -> Error {
    Error::invalid(what, "", error.to_string())
}

/// A JSON string; what is quoted holds printable ASCII only.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
