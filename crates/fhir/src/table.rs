//! The table of R4 elements, read once from `r4.txt`.

use crate::rule::{Rule, rule_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The official definitions as text; see its first lines.
const R4: &str = include_str!("r4.txt");

pub(crate) static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

/// The number of a type in the [`Table`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeId(usize);

/// What stands in an element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A `date`, `dateTime` or `instant`.
    Date,
    /// A `uri`, `url`, `canonical`, `oid` or `uuid`, or the text of a reference.
    Link,
    /// An `xhtml` narrative.
    Xhtml,
    /// Any other primitive.
    Primitive,
    /// A data type or a group of elements.
    Object(TypeId),
    /// A resource of any type.
    Resource,
}

/// An element of a type.
pub(crate) struct Element {
    pub(crate) name: &'static str,
    pub(crate) repeats: bool,
    pub(crate) target: Target,
    pub(crate) rule: Rule,
}

struct Type {
    name: &'static str,
    elements: Vec<Element>,
}

/// All types and elements of R4.
pub(crate) struct Table {
    types: Vec<Type>,
    resources: BTreeMap<&'static str, TypeId>,
    names: BTreeSet<&'static str>,
    element: TypeId,
}

impl Table {
    fn read() -> Self {
        let lines = R4.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
        let mut numbers = BTreeMap::new();
        let mut resources = BTreeMap::new();
        for (number, line) in lines.iter().enumerate() {
            if let [kind, name, ..] = line.as_slice() {
                numbers.insert(*name, TypeId(number));
                if *kind == "resource" {
                    resources.insert(*name, TypeId(number));
                }
            }
        }
        let read = |line: &Vec<&'static str>| {
            let name = line.get(1).copied().unwrap_or_default();
            let tokens = line.iter().skip(2);
            let elements = tokens.filter_map(|token| element(name, token, &numbers));
            Type {
                name,
                elements: elements.collect(),
            }
        };
        let types: Vec<Type> = lines.iter().map(read).collect();
        let names = types.iter().flat_map(|of| &of.elements).map(|e| e.name);
        Self {
            names: names.chain(["resourceType"]).collect(),
            element: numbers.get("Element").copied().unwrap_or(TypeId(0)),
            resources,
            types,
        }
    }

    /// The type with this resourceType.
    pub(crate) fn resource(&self, name: &str) -> Option<TypeId> {
        self.resources.get(name).copied()
    }

    /// The data type `Element`, which stands in the members whose name starts with `_`.
    pub(crate) fn element_type(&self) -> TypeId {
        self.element
    }

    /// The name of a type.
    pub(crate) fn name(&self, of: TypeId) -> &'static str {
        self.types.get(of.0).map_or("", |of| of.name)
    }

    /// The element of a type with this name.
    pub(crate) fn element(&self, of: TypeId, name: &str) -> Option<&Element> {
        let elements = &self.types.get(of.0)?.elements;
        elements.iter().find(|element| element.name == name)
    }
}

/// Reads `name:type` or `name*:type`.
fn element(owner: &str, token: &'static str, numbers: &BTreeMap<&str, TypeId>) -> Option<Element> {
    let (name, type_name) = token.split_once(':')?;
    let (name, repeats) = match name.strip_suffix('*') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let target = match type_name {
        "date" | "dateTime" | "instant" => Target::Date,
        "uri" | "url" | "canonical" | "oid" | "uuid" => Target::Link,
        "string" if owner == "Reference" && name == "reference" => Target::Link,
        "xhtml" => Target::Xhtml,
        "Resource" => Target::Resource,
        "PersonReference" => Target::Object(*numbers.get("Reference")?),
        other => numbers
            .get(other)
            .map_or(Target::Primitive, |of| Target::Object(*of)),
    };
    Some(Element {
        name,
        repeats,
        target,
        rule: rule_of(owner, name, type_name),
    })
}

/// The names of all R4 resource types.
pub(crate) fn resource_types() -> impl Iterator<Item = &'static str> {
    TABLE.resources.keys().copied()
}

/// Whether a name is that of an R4 resource type.
pub fn is_resource_type(name: &str) -> bool {
    TABLE.resource(name).is_some()
}

/// Whether a text is a FHIR id: 1 to 64 letters, digits, `-` or `.`.
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether a member name is one of R4, and so can be shown in a message.
pub(crate) fn is_element_name(name: &str) -> bool {
    TABLE.names.contains(name.strip_prefix('_').unwrap_or(name))
}
