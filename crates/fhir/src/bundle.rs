//! Bundles that are taken apart: transactions, batches and collections.

use crate::error::Error;
use crate::parsed::{Parsed, document, resource_type};
use crate::table::TABLE;
use json::{Kind, Limits, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// What a sender sent: one resource, or a Bundle of them.
#[derive(Debug)]
pub enum Received<'a> {
    /// A resource.
    Resource(Box<Parsed<'a>>),
    /// A transaction, batch or collection.
    Bundle(Bundle<'a>),
}

impl<'a> Received<'a> {
    /// Parses a resource or a Bundle of at most 16 MiB.
    pub fn parse(source: &'a [u8]) -> Result<Self, Error> {
        Self::parse_within(source, &Limits::default())
    }

    /// Parses a resource or a Bundle within other limits.
    pub fn parse_within(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let document = document(source, limits)?;
        match resource_type(document.root())? {
            of if TABLE.name(of) == "Bundle" && kind_of(document.root()).is_ok() => {
                Ok(Self::Bundle(Bundle::from_root(document.root())?))
            }
            _ => Ok(Self::Resource(Box::new(Parsed::from_document(document)?))),
        }
    }
}

/// The most entries of a Bundle.
pub const MAX_ENTRIES: usize = 20_000;

/// A resource and where it stood.
pub struct Resource<'a> {
    /// The id of its entry within a Bundle, such as `urn:uuid:...`.
    pub full_url: Option<Cow<'a, str>>,
    /// The resource.
    pub parsed: Parsed<'a>,
}

impl fmt::Debug for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parsed.fmt(f)
    }
}

/// The resource that was sent, or those of a Bundle of any type (also search sets, documents and
/// histories), in the order of the source. Entries without a resource are passed over.
pub fn resources<'a>(source: &'a [u8], limits: &Limits) -> Result<Vec<Resource<'a>>, Error> {
    let document = document(source, limits)?;
    let root = document.root();
    if TABLE.name(resource_type(root)?) != "Bundle" {
        let parsed = Parsed::from_document(document)?;
        return Ok(vec![Resource {
            full_url: None,
            parsed,
        }]);
    }
    let list = root.get("entry");
    if let Some(list) = list.filter(|list| list.kind() != Kind::Array) {
        return Err(wrong_kind("a list of entries", list));
    }
    let mut found = Vec::new();
    for (position, entry) in list.into_iter().flat_map(Value::children).enumerate() {
        if position == MAX_ENTRIES {
            return Err(Error::TooManyEntries(entry.place()));
        }
        if entry.kind() != Kind::Object {
            return Err(wrong_kind("an entry as an object", entry));
        }
        if let Some(resource) = entry.get("resource") {
            found.push(Resource {
                full_url: text(entry, "fullUrl")?,
                parsed: Parsed::from_document(resource.detach())?,
            });
        }
    }
    Ok(found)
}

/// How the entries of a Bundle belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleKind {
    /// All entries or none.
    Transaction,
    /// Each entry for itself.
    Batch,
    /// A set of resources, without requests.
    Collection,
}

/// A Bundle, taken apart.
pub struct Bundle<'a> {
    kind: BundleKind,
    entries: Vec<Entry<'a>>,
}

impl<'a> Bundle<'a> {
    /// Parses a Bundle of at most 16 MiB.
    pub fn parse(source: &'a [u8]) -> Result<Self, Error> {
        Self::parse_within(source, &Limits::default())
    }

    /// Parses a Bundle within other limits; which names errors show is not the caller's choice.
    pub fn parse_within(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let document = document(source, limits)?;
        Self::from_root(document.root())
    }

    fn from_root(root: Value<'_, 'a>) -> Result<Self, Error> {
        if TABLE.name(resource_type(root)?) != "Bundle" {
            return Err(Error::NotABundle(root.place()));
        }
        let kind = kind_of(root)?;
        let list = root.get("entry");
        if let Some(list) = list.filter(|list| list.kind() != Kind::Array) {
            return Err(wrong_kind("a list of entries", list));
        }
        let mut entries = Vec::new();
        let mut full_urls = BTreeSet::new();
        for (position, value) in list.into_iter().flat_map(Value::children).enumerate() {
            if position == MAX_ENTRIES {
                return Err(Error::TooManyEntries(value.place()));
            }
            let entry = Entry::read(value, kind)?;
            if let Some(full_url) = &entry.full_url
                && !full_urls.insert(full_url.clone())
                && kind != BundleKind::Collection
            {
                let at = value.get("fullUrl").unwrap_or(value);
                return Err(Error::SameFullUrl(at.place()));
            }
            entries.push(entry);
        }
        Ok(Self { kind, entries })
    }

    /// How the entries belong together.
    pub fn kind(&self) -> BundleKind {
        self.kind
    }

    /// The entries, in the order of the source.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The `urn:uuid:` and `urn:oid:` references of the entries that are no entry's `fullUrl`, and
    /// so cannot be resolved: the position of the entry, and the element.
    pub fn dangling(&self) -> Vec<(usize, String)> {
        let full_urls = self
            .entries
            .iter()
            .filter_map(|entry| entry.full_url.as_deref());
        let full_urls: BTreeSet<&str> = full_urls.collect();
        let mut dangling = Vec::new();
        for (position, entry) in self.entries.iter().enumerate() {
            let references = entry.resource.iter().flat_map(Parsed::references);
            for reference in references {
                let urn = ["urn:uuid:", "urn:oid:"]
                    .iter()
                    .any(|p| reference.text.starts_with(p));
                if urn && !full_urls.contains(&*reference.text) {
                    dangling.push((position, reference.path));
                }
            }
        }
        dangling
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bundle({:?}, {} <redacted>)",
            self.kind,
            self.entries.len()
        )
    }
}

/// An entry of a Bundle.
pub struct Entry<'a> {
    full_url: Option<Cow<'a, str>>,
    request: Option<Request<'a>>,
    resource: Option<Parsed<'a>>,
}

impl<'a> Entry<'a> {
    fn read(value: Value<'_, 'a>, kind: BundleKind) -> Result<Self, Error> {
        if value.kind() != Kind::Object {
            return Err(wrong_kind("an entry as an object", value));
        }
        let request = match value.get("request") {
            Some(request) if kind != BundleKind::Collection => Some(Request::read(request)?),
            _ => None,
        };
        let resource = match value.get("resource") {
            Some(resource) => Some(Parsed::from_document(resource.detach())?),
            None => None,
        };
        let missing = match (&request, kind) {
            (None, BundleKind::Transaction | BundleKind::Batch) => Some("request"),
            (Some(request), _) if request.sends() && resource.is_none() => Some("resource"),
            (None, BundleKind::Collection) if resource.is_none() => Some("resource"),
            _ => None,
        };
        if let Some(missing) = missing {
            let place = value.place();
            return Err(Error::Entry { missing, place });
        }
        Ok(Self {
            full_url: text(value, "fullUrl")?,
            request,
            resource,
        })
    }

    /// The id of the entry within the Bundle, such as `urn:uuid:...`.
    pub fn full_url(&self) -> Option<&str> {
        self.full_url.as_deref()
    }

    /// What to do; always there in a transaction or batch, never in a collection.
    pub fn request(&self) -> Option<&Request<'a>> {
        self.request.as_ref()
    }

    /// The resource; its [`Parsed::received`] bytes are exactly those in the Bundle.
    pub fn resource(&self) -> Option<&Parsed<'a>> {
        self.resource.as_ref()
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {:?})", self.request, self.resource)
    }
}

/// The methods of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read or search.
    Get,
    /// Read or search, without the content.
    Head,
    /// Create, or an operation.
    Post,
    /// Update, or create with an id.
    Put,
    /// Delete.
    Delete,
    /// Patch.
    Patch,
}

/// What an entry asks to be done.
#[derive(Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The URL, relative to the server's base.
    pub url: Cow<'a, str>,
    /// For a conditional create: the search that must find nothing.
    pub if_none_exist: Option<Cow<'a, str>>,
    /// For an update: the version that must be current.
    pub if_match: Option<Cow<'a, str>>,
    /// For a read: the version that need not be sent.
    pub if_none_match: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Whether an entry with this request holds a resource; an operation need not.
    fn sends(&self) -> bool {
        let method = matches!(self.method, Method::Post | Method::Put | Method::Patch);
        method && !self.url.contains('$')
    }

    fn read(value: Value<'_, 'a>) -> Result<Self, Error> {
        let need = |name: &'static str| {
            let place = || value.place();
            let missing = match name {
                "url" => "request.url",
                _ => "request.method",
            };
            let found = value.get(name);
            found.ok_or_else(|| Error::Entry {
                missing,
                place: place(),
            })
        };
        let method = need("method")?;
        need("url")?;
        Ok(Self {
            method: match method.text().as_deref() {
                Some("GET") => Method::Get,
                Some("HEAD") => Method::Head,
                Some("POST") => Method::Post,
                Some("PUT") => Method::Put,
                Some("DELETE") => Method::Delete,
                Some("PATCH") => Method::Patch,
                _ => return Err(Error::BadMethod(method.place())),
            },
            url: text(value, "url")?.unwrap_or_default(),
            if_none_exist: text(value, "ifNoneExist")?,
            if_match: text(value, "ifMatch")?,
            if_none_match: text(value, "ifNoneMatch")?,
        })
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(<redacted>)", self.method)
    }
}

/// The kind of a Bundle that is taken apart.
pub(crate) fn kind_of(bundle: Value<'_, '_>) -> Result<BundleKind, Error> {
    let value = bundle.get("type");
    match value.and_then(Value::text).as_deref() {
        Some("transaction") => Ok(BundleKind::Transaction),
        Some("batch") => Ok(BundleKind::Batch),
        Some("collection") => Ok(BundleKind::Collection),
        _ => Err(Error::BundleType(value.unwrap_or(bundle).place())),
    }
}

/// The text of a member that is a string or absent.
fn text<'a>(object: Value<'_, 'a>, name: &str) -> Result<Option<Cow<'a, str>>, Error> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => match value.text() {
            Some(text) => Ok(Some(text)),
            None => Err(wrong_kind("a text", value)),
        },
    }
}

fn wrong_kind(expected: &'static str, value: Value<'_, '_>) -> Error {
    Error::WrongKind {
        expected,
        place: value.place(),
    }
}
