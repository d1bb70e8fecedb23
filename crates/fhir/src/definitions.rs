//! What R4 says of types and elements, for those who work along the definitions themselves.

use crate::bindings::BINDINGS;
use crate::table::{Element, TABLE, Target, TypeId};

/// A resource, data type or group of elements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Definition(TypeId);

/// An element; each type of a choice element is one of its own (`valueQuantity`).
#[derive(Clone, Copy)]
pub struct ElementDefinition {
    element: &'static Element,
    owner: TypeId,
}

/// What stands in an element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A primitive of this type.
    Primitive(&'static str),
    /// A data type or group.
    Object(Definition),
    /// A resource of any type.
    Resource,
}

impl Definition {
    /// The type of this name; a group is named by its path (`Observation.component`).
    pub fn named(name: &str) -> Option<Self> {
        TABLE.named(name).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        TABLE.name(self.0)
    }

    /// Its elements, those of its base first.
    pub fn elements(self) -> impl Iterator<Item = ElementDefinition> {
        let elements = TABLE.get(self.0).map_or(&[][..], |of| of.elements());
        elements.iter().map(move |element| ElementDefinition {
            element,
            owner: self.0,
        })
    }
}

impl ElementDefinition {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        self.element.name
    }

    /// The name in the definition, which the types of a choice share, without `[x]`.
    pub fn slot_name(self) -> &'static str {
        let slots = TABLE.get(self.owner).map(|of| &of.slots);
        let slot = slots.and_then(|slots| slots.get(usize::from(self.element.slot)));
        slot.map_or(self.element.name, |slot| slot.name)
    }

    /// Whether it is a list.
    pub fn repeats(self) -> bool {
        self.element.repeats
    }

    /// Whether it, or for a choice one of its types, must be there.
    pub fn required(self) -> bool {
        let required = TABLE.get(self.owner).map_or(0, |of| of.required);
        required
            & 1_u128
                .checked_shl(u32::from(self.element.slot))
                .unwrap_or(0)
            != 0
    }

    /// What stands in it.
    pub fn holds(self) -> Holds {
        match (self.element.target, self.element.primitive) {
            (Target::Object(of), _) => Holds::Object(Definition(of)),
            (Target::Resource, _) => Holds::Resource,
            (_, Some(primitive)) => Holds::Primitive(primitive.name()),
            (_, None) => Holds::Primitive("string"),
        }
    }

    /// Whether a required binding names a value set whose codes are known.
    pub fn is_bound(self) -> bool {
        self.element.binding.is_some()
    }

    /// The code of the required value set that is spelled like this, as the definition spells it.
    pub fn bound_code(self, code: &str) -> Option<&'static str> {
        BINDINGS.get(self.element.binding?)?.spelled(code)
    }

    /// Code system and code of each code of the required value set, when they are known.
    pub fn bound_codes(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let set = self.element.binding.and_then(|id| BINDINGS.get(id));
        set.into_iter().flat_map(|set| set.coded().iter().copied())
    }

    /// Whether the required value set has this code of this code system.
    pub fn has_coded(self, system: &str, code: &str) -> bool {
        let set = self.element.binding.and_then(|id| BINDINGS.get(id));
        set.is_some_and(|set| set.has_coded(system, code))
    }

    /// Whether a reference here may name a resource of this type.
    pub fn may_name(self, resource_type: &str) -> bool {
        let targets = &self.element.targets;
        targets.is_empty() || targets.iter().any(|of| TABLE.name(*of) == resource_type)
    }
}
