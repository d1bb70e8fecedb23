//! The shape of a schema: messages, their fields, and the category of each field.

use codec::Category;

/// A message of the schema.
pub(crate) struct Message {
    pub(crate) fields: &'static [Field],
    pub(crate) role: Role,
}

/// Which messages the walk looks at as a whole.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// No more than its fields.
    Plain,
    /// Needs a term.
    Finding,
    /// Its category depends on its assay.
    Measurement,
}

/// A field: its camelCase name, what stands in it, and its category. A field without a category is
/// in that of the field its message stands in.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) repeated: bool,
    pub(crate) category: Option<Category>,
}

/// What stands in a field.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A string (also bytes and timestamps).
    Text,
    /// A boolean.
    Flag,
    /// A number, or its digits as a string as proto3 JSON writes 64-bit integers.
    Number,
    /// An enum: the words by number.
    Choice(&'static [&'static str]),
    /// A message.
    Message(&'static Message),
    /// An open structure; only what stands under these names is known.
    Open(&'static [&'static str]),
}

impl Message {
    /// The same message, looked at as a whole.
    pub(crate) const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }
}

impl Field {
    const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            repeated: false,
            category: None,
        }
    }

    /// The same field, in a category of its own.
    pub(crate) const fn to(mut self, category: Category) -> Self {
        self.category = Some(category);
        self
    }

    /// The same field, repeated.
    pub(crate) const fn list(mut self) -> Self {
        self.repeated = true;
        self
    }
}

pub(crate) const fn message(fields: &'static [Field]) -> Message {
    Message {
        fields,
        role: Role::Plain,
    }
}

pub(crate) const fn text(name: &'static str) -> Field {
    Field::new(name, Shape::Text)
}

pub(crate) const fn flag(name: &'static str) -> Field {
    Field::new(name, Shape::Flag)
}

pub(crate) const fn number(name: &'static str) -> Field {
    Field::new(name, Shape::Number)
}

pub(crate) const fn choice(name: &'static str, words: &'static [&'static str]) -> Field {
    Field::new(name, Shape::Choice(words))
}

pub(crate) const fn one(name: &'static str, message: &'static Message) -> Field {
    Field::new(name, Shape::Message(message))
}

pub(crate) const fn open(name: &'static str, names: &'static [&'static str]) -> Field {
    Field::new(name, Shape::Open(names))
}

/// Whether a member name spells the field with this camelCase name, in camelCase or, as in the
/// schema, in snake_case.
pub(crate) fn spells(name: &str, camel_case: &str) -> bool {
    if name.len() <= camel_case.len() {
        return name == camel_case;
    }
    if name.as_bytes().first() != camel_case.as_bytes().first() {
        return false;
    }
    let mut rest = name.bytes();
    let matches = camel_case.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            rest.next() == Some(b'_') && rest.next() == Some(byte.to_ascii_lowercase())
        } else {
            rest.next() == Some(byte)
        }
    });
    matches && rest.next().is_none()
}

/// The member of an object that spells a field and is not `null`.
pub(crate) fn field<'d, 'a>(
    object: json::Value<'d, 'a>,
    camel_case: &str,
) -> Option<json::Value<'d, 'a>> {
    let spelled = |member: &json::Value<'_, '_>| {
        member.key().is_some_and(|name| spells(&name, camel_case)) && !member.is_null()
    };
    (object.kind() == json::Kind::Object)
        .then(|| object.children().find(spelled))
        .flatten()
}
