//! Walking a resource along the table of elements.

use crate::rule::Rule;
use crate::table::{Element, TABLE, Target, TypeId};
use codec::Category::{self, Identity};
use json::{Kind, Value};

/// What a walk meets. Values at unknown paths, or of another shape than the table says, are not met.
pub(crate) trait Visit<'d, 'a> {
    /// A primitive value, or a `null` in its place, of an element.
    fn leaf(&mut self, _value: Value<'d, 'a>, _at: At<'_>) {}

    /// An object of a data type, before what is in it.
    fn object(&mut self, _value: Value<'d, 'a>, _type_name: &'static str, _at: At<'_>) {}

    /// Something that may change the meaning of all around it.
    fn modifier(&mut self) {}

    /// Whether to go below elements that are identity as a whole.
    fn enters_identity(&self) -> bool {
        true
    }
}

/// Where in the resource a walk is.
#[derive(Clone, Copy)]
pub(crate) struct At<'p> {
    /// What the table says of the value.
    pub(crate) target: Target,
    /// The category of the value.
    pub(crate) category: Category,
    /// The element names from the resource down.
    pub(crate) path: &'p [&'static str],
}

/// Walks a resource of the given type and category.
pub(crate) fn walk<'d, 'a>(
    resource: Value<'d, 'a>,
    of: TypeId,
    category: Category,
    visitor: &mut impl Visit<'d, 'a>,
) {
    let mut walk = Walk {
        visitor,
        path: Vec::new(),
    };
    walk.object(resource, of, category);
}

struct Walk<'v, V> {
    visitor: &'v mut V,
    path: Vec<&'static str>,
}

impl<'d, 'a, V: Visit<'d, 'a>> Walk<'_, V> {
    /// Recursion is bounded by [`json::MAX_DEPTH`].
    fn object(&mut self, object: Value<'d, 'a>, of: TypeId, own: Category) {
        for member in object.children() {
            let name = member.key().unwrap_or_default();
            if let Some(element) = TABLE.element(of, &name) {
                self.element(member, element, own);
            } else if let Some(element) = name
                .strip_prefix('_')
                .and_then(|name| TABLE.element(of, name))
            {
                self.companion(member, element, own);
            }
        }
    }

    fn element(&mut self, value: Value<'d, 'a>, element: &'static Element, own: Category) {
        if element.rule == Rule::Modifier && own != Identity {
            self.visitor.modifier();
        }
        self.path.push(element.name);
        match (element.repeats, value.kind()) {
            (true, Kind::Array) => {
                for item in value.children() {
                    self.item(item, element, own);
                }
            }
            (false, _) => self.item(value, element, own),
            (true, _) => {}
        }
        self.path.pop();
    }

    fn item(&mut self, value: Value<'d, 'a>, element: &Element, own: Category) {
        let category = element.rule.category(own, value);
        if category == Identity && !self.visitor.enters_identity() {
            return;
        }
        let is_object = value.kind() == Kind::Object;
        match element.target {
            Target::Object(of) if is_object => {
                let at = At {
                    target: element.target,
                    category,
                    path: &self.path,
                };
                self.visitor.object(value, TABLE.name(of), at);
                self.object(value, of, category);
            }
            Target::Resource if is_object => {
                let name = value.get("resourceType").and_then(Value::text);
                if let Some(of) = name.and_then(|name| TABLE.resource(&name)) {
                    self.object(value, of, category);
                }
            }
            Target::Object(_) | Target::Resource => {}
            _ if is_object || value.kind() == Kind::Array => {}
            _ => self.leaf(value, element.target, category),
        }
    }

    /// The member `_name` beside a primitive: its id and extensions, or `null`s in their place.
    fn companion(&mut self, value: Value<'d, 'a>, element: &'static Element, own: Category) {
        if matches!(element.target, Target::Object(_) | Target::Resource) {
            return;
        }
        if element.rule == Rule::Modifier && own != Identity {
            self.visitor.modifier();
        }
        self.path.push(element.name);
        let category = element.rule.category(own, value);
        let items: Vec<_> = match (element.repeats, value.kind()) {
            (true, Kind::Array) => value.children().collect(),
            (false, Kind::Object) => vec![value],
            _ => Vec::new(),
        };
        for item in items {
            match item.kind() {
                Kind::Object => self.object(item, TABLE.element_type(), category),
                Kind::Null => self.leaf(item, Target::Primitive, category),
                _ => {}
            }
        }
        self.path.pop();
    }

    fn leaf(&mut self, value: Value<'d, 'a>, target: Target, category: Category) {
        let at = At {
            target,
            category,
            path: &self.path,
        };
        self.visitor.leaf(value, at);
    }
}
