//! What the schema says of messages and fields, for those who work along it themselves.

use crate::fields::{Field, Message, Shape, spells};
use crate::table::MESSAGES;

/// A message of the schema.
#[derive(Clone, Copy)]
pub struct Definition(&'static Message);

/// A field of a message.
#[derive(Clone, Copy)]
pub struct FieldDefinition(&'static Field);

/// What stands in a field.
#[derive(Clone, Copy)]
pub enum Holds {
    /// A string, also for bytes and timestamps.
    Text,
    /// A boolean.
    Flag,
    /// A number, or its digits as a string.
    Number,
    /// An enum: the words by number.
    Choice(&'static [&'static str]),
    /// A message.
    Message(Definition),
    /// An open structure; only these names are known in it, at any depth.
    Open(&'static [&'static str]),
}

impl Definition {
    /// The message of this name.
    pub fn named(name: &str) -> Option<Self> {
        let found = MESSAGES.iter().find(|(own, _)| *own == name);
        found.map(|(_, message)| Self(message))
    }

    /// Its name in the schema.
    pub fn name(self) -> &'static str {
        let found = MESSAGES
            .iter()
            .find(|(_, message)| std::ptr::eq(*message, self.0));
        found.map_or("", |(name, _)| name)
    }

    /// Its fields.
    pub fn fields(self) -> impl Iterator<Item = FieldDefinition> {
        self.0.fields.iter().map(FieldDefinition)
    }
}

impl FieldDefinition {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether it is a list.
    pub fn repeats(self) -> bool {
        self.0.repeated
    }

    /// Whether a member name spells it, in camelCase or as in the schema.
    pub fn is_spelled(self, name: &str) -> bool {
        spells(name, self.0.name)
    }

    /// What stands in it.
    pub fn holds(self) -> Holds {
        match self.0.shape {
            Shape::Text => Holds::Text,
            Shape::Flag => Holds::Flag,
            Shape::Number => Holds::Number,
            Shape::Choice(words) => Holds::Choice(words),
            Shape::Message(message) => Holds::Message(Definition(message)),
            Shape::Open(names) => Holds::Open(names),
        }
    }
}
