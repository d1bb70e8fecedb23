//! What an expression gives: values of the document with their types, and what is computed from them.

use super::amount::{Amount, Moment};
use crate::primitive::Primitive;
use crate::table::{Element, TABLE, Target, Type, TypeId};
use json::{Kind, Value};
use std::borrow::Cow;

/// One item of a collection.
#[derive(Clone)]
pub(crate) enum Item<'d, 'a> {
    /// What `$this` is of an empty collection; stands in none.
    Nothing,
    Node(Node<'d, 'a>),
    Text(Cow<'a, str>),
    Bool(bool),
    Number(Amount),
    Date(Moment),
}

/// A value of the document, or what is beside a value that is not there.
#[derive(Clone, Copy)]
pub(crate) struct Node<'d, 'a> {
    value: Option<Value<'d, 'a>>,
    /// The member `_name`: id and extensions of a primitive.
    companion: Option<Value<'d, 'a>>,
    is: NodeType,
}

#[derive(Clone, Copy)]
enum NodeType {
    Object(TypeId),
    Primitive(Primitive),
    Unknown,
}

/// Data types that are a Quantity.
const QUANTITIES: [&str; 7] = [
    "Quantity",
    "Age",
    "Count",
    "Distance",
    "Duration",
    "MoneyQuantity",
    "SimpleQuantity",
];

impl<'d, 'a> Node<'d, 'a> {
    /// An object of a type.
    pub(crate) fn object(value: Value<'d, 'a>, of: TypeId) -> Self {
        Self {
            value: Some(value),
            companion: None,
            is: NodeType::Object(of),
        }
    }

    fn of(
        element: &Element,
        value: Option<Value<'d, 'a>>,
        companion: Option<Value<'d, 'a>>,
    ) -> Self {
        let is = match (element.target, element.primitive) {
            (Target::Object(of), _) => NodeType::Object(of),
            (Target::Resource, _) => {
                let name = value.and_then(|value| value.get("resourceType")?.text());
                let of = name.and_then(|name| TABLE.resource(&name));
                of.map_or(NodeType::Unknown, NodeType::Object)
            }
            (_, Some(primitive)) => NodeType::Primitive(primitive),
            (_, None) => NodeType::Unknown,
        };
        let value = value.filter(|value| !value.is_null());
        Self {
            value,
            companion,
            is,
        }
    }

    /// The object with its elements.
    fn fields(self) -> Option<(Value<'d, 'a>, &'static Type)> {
        let (value, of) = match self.is {
            NodeType::Object(of) => (self.value?, of),
            NodeType::Primitive(_) => (self.companion?, TABLE.element_type()),
            NodeType::Unknown => return None,
        };
        let object = value.kind() == Kind::Object;
        Some((value, TABLE.get(of).filter(|_| object)?))
    }

    /// Whether it is a primitive with a value.
    pub(super) fn has_value(self) -> bool {
        matches!(self.is, NodeType::Primitive(_)) && self.value.is_some()
    }

    /// Adds the elements of this name; gives how many members it looked at.
    pub(super) fn member(self, name: &str, into: &mut Vec<Item<'d, 'a>>) -> usize {
        let Some((object, shape)) = self.fields() else {
            return 1;
        };
        let choice = |slot: u8| {
            shape
                .slots
                .get(usize::from(slot))
                .is_some_and(|slot| slot.choice)
        };
        let before = into.len();
        match shape.element(name) {
            Some(element) if !choice(element.slot) => {
                let (mut value, mut companion) = (None, None);
                let mut looked = 0;
                for member in object.children() {
                    looked += 1;
                    if member.is_named(name) {
                        value = Some(member);
                    } else if element.primitive.is_some() && is_companion(member, name) {
                        companion = Some(member);
                    }
                }
                spread(element, value, companion, into);
                looked + into.len() - before
            }
            Some(_) => 1,
            None => {
                let slot = shape.slot(name).filter(|slot| choice(*slot));
                let Some(slot) = slot else {
                    return 1;
                };
                let looked = each(object, shape, into, |element| element.slot == slot);
                looked + into.len() - before
            }
        }
    }

    /// Adds all elements; gives how many members it looked at.
    pub(super) fn children(self, into: &mut Vec<Item<'d, 'a>>) -> usize {
        let before = into.len();
        match self.fields() {
            Some((object, shape)) => each(object, shape, into, |_| true) + into.len() - before,
            None => 1,
        }
    }

    /// Whether it is of a type or of one that extends it.
    pub(super) fn is_a(self, name: &str) -> bool {
        match self.is {
            NodeType::Unknown => false,
            NodeType::Object(of) => {
                let mut at = Some(of);
                while let Some(shape) = at.and_then(|of| TABLE.get(of)) {
                    if shape.name == name {
                        return true;
                    }
                    at = shape.base;
                }
                let own = TABLE.name(of);
                (name == "Quantity" && QUANTITIES.contains(&own))
                    || (name == "Element" && TABLE.resource(own).is_none())
            }
            NodeType::Primitive(primitive) => {
                let own = primitive.name();
                let wider = match primitive {
                    Primitive::Code | Primitive::Id | Primitive::Markdown => "string",
                    Primitive::Url | Primitive::Canonical | Primitive::Oid | Primitive::Uuid => {
                        "uri"
                    }
                    Primitive::PositiveInt | Primitive::UnsignedInt => "integer",
                    _ => own,
                };
                let plain = is_system_name(name, wider);
                name == own || name == wider || plain || name == "Element"
            }
        }
    }

    /// The scalar that a primitive is; `None` for an object, or when there is no value.
    pub(super) fn scalar(self) -> Option<Item<'d, 'a>> {
        let (NodeType::Primitive(primitive), Some(value)) = (self.is, self.value) else {
            return None;
        };
        match value.kind() {
            Kind::Bool => value.boolean().map(Item::Bool),
            Kind::Number => Amount::read(value.raw()).map(Item::Number),
            Kind::String => {
                let text = value.text()?;
                let moment = match primitive {
                    Primitive::Date
                    | Primitive::DateTime
                    | Primitive::Instant
                    | Primitive::Time => Moment::read(&text),
                    _ => None,
                };
                Some(moment.map_or(Item::Text(text), Item::Date))
            }
            _ => None,
        }
    }

    /// Number and unit of a Quantity.
    pub(super) fn quantity(self) -> Option<(Amount, [Option<Cow<'a, str>>; 3])> {
        let object = self.value.filter(|_| self.is_a("Quantity"))?;
        let text = |name| object.get(name).and_then(Value::text);
        let amount = Amount::read(object.get("value")?.digits()?)?;
        let unit = match text("code") {
            Some(code) => [text("system"), Some(code), None],
            None => [None, None, text("unit")],
        };
        Some((amount, unit))
    }

    /// A value as it is written.
    pub(super) fn raw(self) -> Option<&'a str> {
        self.value.map(Value::raw)
    }

    /// The text of a primitive.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        self.value?.text()
    }

    /// A text that is the same for equal values; gives how many values it read.
    pub(super) fn key(self, out: &mut String) -> usize {
        match self.value {
            Some(value) => key_of(value, out),
            None => 1,
        }
    }
}

/// Whether a name such as `Boolean` is that of the primitive type `boolean`.
pub(super) fn is_system_name(name: &str, primitive: &str) -> bool {
    let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
    capital && name.eq_ignore_ascii_case(primitive)
}

fn is_companion(member: Value<'_, '_>, name: &str) -> bool {
    member
        .key()
        .is_some_and(|key| key.strip_prefix('_') == Some(name))
}

/// Adds the elements of an object that are wanted, in the order of the text.
fn each<'d, 'a>(
    object: Value<'d, 'a>,
    shape: &'static Type,
    into: &mut Vec<Item<'d, 'a>>,
    wanted: impl Fn(&Element) -> bool,
) -> usize {
    let mut looked = 0;
    for member in object.children() {
        looked += 1;
        let key = member.key().unwrap_or_default();
        if let Some(element) = shape.element(&key).filter(|element| wanted(element)) {
            let companion = element.primitive.and_then(|_| {
                looked += shape.slots.len();
                object
                    .children()
                    .find(|other| is_companion(*other, element.name))
            });
            spread(element, Some(member), companion, into);
        } else if let Some(element) = key.strip_prefix('_').and_then(|name| shape.element(name))
            && element.primitive.is_some()
            && wanted(element)
            && object.get(element.name).is_none()
        {
            spread(element, None, Some(member), into);
        }
    }
    looked
}

/// Adds an element's items, each value with what is beside it.
fn spread<'d, 'a>(
    element: &Element,
    value: Option<Value<'d, 'a>>,
    companion: Option<Value<'d, 'a>>,
    into: &mut Vec<Item<'d, 'a>>,
) {
    let is_list = |value: Option<Value<'_, '_>>| value.is_some_and(|v| v.kind() == Kind::Array);
    if !is_list(value) && !is_list(companion) {
        if value.or(companion).is_some() {
            into.push(Item::Node(Node::of(element, value, companion)));
        }
        return;
    }
    let mut values = value.into_iter().flat_map(Value::children);
    let mut companions = companion.into_iter().flat_map(Value::children);
    loop {
        let (value, companion) = (values.next(), companions.next());
        if value.is_none() && companion.is_none() {
            return;
        }
        let companion = companion.filter(|companion| !companion.is_null());
        into.push(Item::Node(Node::of(element, value, companion)));
    }
}

/// Recursion is bounded by [`json::MAX_DEPTH`].
fn key_of(value: Value<'_, '_>, out: &mut String) -> usize {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value.children().collect();
            members.sort_by_cached_key(|member| member.key());
            out.push('{');
            let mut read = 1;
            for member in members {
                out.push_str(&json::quote(&member.key().unwrap_or_default()));
                read += key_of(member, out);
            }
            out.push('}');
            read
        }
        Kind::Array => {
            out.push('[');
            let read: usize = value.children().map(|item| key_of(item, out)).sum();
            out.push(']');
            read + 1
        }
        Kind::String => {
            out.push_str(&json::quote(&value.text().unwrap_or_default()));
            1
        }
        Kind::Number => {
            match Amount::read(value.raw()) {
                Some(amount) => out.push_str(&amount.plain()),
                None => out.push_str(value.raw()),
            }
            out.push(',');
            1
        }
        Kind::Null | Kind::Bool => {
            out.push_str(value.raw());
            1
        }
    }
}
