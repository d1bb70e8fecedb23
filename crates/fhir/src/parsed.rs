//! One resource, checked and divided into categories.

use crate::category::category_of;
use crate::error::Error;
use crate::table::{TABLE, TypeId, is_element_name, is_id};
use crate::walk::{At, Visit, walk};
use codec::Category::{self, Identity};
use json::{Assignment, Document, Kind, Limits, Partition, Parts, Value};
use std::borrow::Cow;
use std::fmt;

/// One resource, checked and divided into categories.
pub struct Parsed<'a> {
    document: Document<'a>,
    of: TypeId,
    category: Category,
    partition: Partition,
}

impl<'a> Parsed<'a> {
    /// Parses a resource of at most 16 MiB.
    pub fn parse(source: &'a [u8]) -> Result<Self, Error> {
        Self::parse_within(source, &Limits::default())
    }

    /// Parses a resource within other limits; which names errors show is not the caller's choice.
    pub fn parse_within(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        Self::from_document(document(source, limits)?)
    }

    /// Checks a resource that stands in a checked document.
    pub(crate) fn from_document(document: Document<'a>) -> Result<Self, Error> {
        let root = document.root();
        let of = resource_type(root)?;
        check_shape(root, of)?;
        let category = category_of(TABLE.name(of), root);
        let mut dealer = Dealer {
            assignment: Assignment::new(&document, part(Identity)),
            modified: false,
        };
        if category != Identity {
            walk(root, of, category, &mut dealer);
            if let Some(name) = root.get("resourceType") {
                dealer.assignment.assign(name, part(category));
            }
        }
        let (category, assignment) = match dealer.modified {
            true => (Identity, Assignment::new(&document, part(Identity))),
            false => (category, dealer.assignment),
        };
        let partition = assignment.finish(&document);
        Ok(Self {
            document,
            of,
            category,
            partition,
        })
    }

    /// The bytes as they were received.
    pub fn received(&self) -> &'a [u8] {
        self.document.source().as_bytes()
    }

    /// The resource type.
    pub fn resource_type(&self) -> &'static str {
        TABLE.name(self.of)
    }

    /// The resource's id.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.root().get("id")?.text()
    }

    /// `meta.versionId`.
    pub fn version_id(&self) -> Option<Cow<'a, str>> {
        self.root().get("meta")?.get("versionId")?.text()
    }

    /// `meta.lastUpdated`.
    pub fn last_updated(&self) -> Option<Cow<'a, str>> {
        self.root().get("meta")?.get("lastUpdated")?.text()
    }

    /// The category that the resource is in as a whole; single elements can be in others.
    /// A resource with an `implicitRules` or a `modifierExtension` is identity throughout: nobody
    /// who does not understand it may see a part of the resource without it.
    pub fn category(&self) -> Category {
        self.category
    }

    /// The leaves of each category that has any, in the order of [`Category::ALL`], each as a JSON
    /// document of its own: member names and values as they are written, in the order of the source,
    /// without white space between them. Every leaf is in exactly one of them.
    pub fn projections(&self) -> Vec<(Category, Vec<u8>)> {
        let of = |&category: &Category| Some((category, self.select(&[category])?));
        Category::ALL.iter().filter_map(of).collect()
    }

    /// The leaves of several categories as one document, written as in [`Parsed::projections`];
    /// `None` when there is no such leaf.
    pub fn select(&self, categories: &[Category]) -> Option<Vec<u8>> {
        let add = |parts: Parts, &category: &Category| parts.with(Parts::one(part(category)));
        let wanted = categories.iter().fold(Parts::NONE, add);
        self.partition.select(&self.document, wanted)
    }

    pub(crate) fn document(&self) -> &Document<'a> {
        &self.document
    }

    pub(crate) fn root(&self) -> Value<'_, 'a> {
        self.document.root()
    }

    pub(crate) fn type_id(&self) -> TypeId {
        self.of
    }
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(<redacted>)", self.resource_type())
    }
}

/// Checks the JSON, showing only names of R4 in errors.
pub(crate) fn document<'a>(source: &'a [u8], limits: &Limits) -> Result<Document<'a>, Error> {
    let limits = Limits {
        shown: is_element_name,
        ..*limits
    };
    Ok(json::parse(source, &limits)?)
}

/// The type of a resource.
pub(crate) fn resource_type(resource: Value<'_, '_>) -> Result<TypeId, Error> {
    if resource.kind() != Kind::Object {
        return Err(Error::NotAnObject(resource.place()));
    }
    let value = resource.get("resourceType");
    let value = value.ok_or_else(|| Error::NoResourceType(resource.place()))?;
    let name = value.text();
    let name = name.ok_or_else(|| Error::NoResourceType(value.place()))?;
    let of = TABLE.resource(&name);
    of.ok_or_else(|| Error::UnknownResourceType(value.place()))
}

/// Checks what the stored form and the category depend on.
fn check_shape(root: Value<'_, '_>, of: TypeId) -> Result<(), Error> {
    if let Some(id) = root.get("id")
        && !id.text().is_some_and(|text| is_id(&text))
    {
        return Err(Error::BadId(id.place()));
    }
    expect(root, "meta", Kind::Object, "an object")?;
    expect(root, "contained", Kind::Array, "a list of resources")?;
    if let Some(contained) = root.get("contained") {
        for resource in contained.children() {
            resource_type(resource)?;
        }
    }
    if TABLE.name(of) == "Bundle" && crate::bundle::kind_of(root).is_ok() {
        return Err(Error::IsBundle(root.place()));
    }
    Ok(())
}

fn expect(
    root: Value<'_, '_>,
    name: &str,
    kind: Kind,
    expected: &'static str,
) -> Result<(), Error> {
    match root.get(name) {
        Some(value) if value.kind() != kind => Err(Error::WrongKind {
            expected,
            place: value.place(),
        }),
        _ => Ok(()),
    }
}

/// Deals leaves to categories.
struct Dealer {
    assignment: Assignment,
    modified: bool,
}

impl<'d, 'a> Visit<'d, 'a> for Dealer {
    fn leaf(&mut self, value: Value<'d, 'a>, at: At<'_>) {
        self.assignment.assign(value, part(at.category));
    }

    fn modifier(&mut self) {
        self.modified = true;
    }

    fn enters_identity(&self) -> bool {
        false
    }
}

/// The part of a [`Partition`] that stands for a category.
const fn part(category: Category) -> u8 {
    category as u8
}
