//! The table of R4 elements, read once from `elements.txt` (and the codes of `bindings.txt`).

use crate::bindings::{BINDINGS, SetId};
use crate::primitive::Primitive;
use crate::rule::{PEOPLE, Rule, rule_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The official definitions as text; see its first lines.
const ELEMENTS: &str = include_str!("elements.txt");

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

/// An element of a type; each type of a choice element is one of its own.
pub(crate) struct Element {
    pub(crate) name: &'static str,
    pub(crate) repeats: bool,
    pub(crate) target: Target,
    pub(crate) rule: Rule,
    /// The type of a primitive.
    pub(crate) primitive: Option<Primitive>,
    /// The value set that its code must be in.
    pub(crate) binding: Option<SetId>,
    /// What a reference may name; empty for anything.
    pub(crate) targets: Box<[TypeId]>,
    /// Its position among the [`Slot`]s of the type.
    pub(crate) slot: u8,
}

/// An element as the definition has it: what choices share.
pub(crate) struct Slot {
    /// The name, without `[x]`.
    pub(crate) name: &'static str,
    pub(crate) choice: bool,
}

/// All that is known of a type.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) base: Option<TypeId>,
    pub(crate) slots: Vec<Slot>,
    /// A bit for each slot that must be filled.
    pub(crate) required: u128,
    elements: Vec<Element>,
    names: Names,
}

impl Type {
    /// The element with this name.
    #[inline]
    pub(crate) fn element(&self, name: &str) -> Option<&Element> {
        let found = |at: usize| self.elements.get(at).filter(|element| element.name == name);
        self.names.candidates(name).find_map(found)
    }

    /// All elements, those of the base first.
    pub(crate) fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The slot with this name.
    pub(crate) fn slot(&self, name: &str) -> Option<u8> {
        let at = self.slots.iter().position(|slot| slot.name == name)?;
        u8::try_from(at).ok()
    }
}

/// All types and elements of R4.
pub(crate) struct Table {
    types: Vec<Type>,
    resources: BTreeMap<&'static str, TypeId>,
    /// Data types and groups, by name.
    numbers: BTreeMap<&'static str, TypeId>,
    names: BTreeSet<&'static str>,
    element: TypeId,
    reference: TypeId,
}

impl Table {
    fn read() -> Self {
        let lines = ELEMENTS.lines().filter(|line| !line.starts_with('#'));
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
            let base = line.get(2).and_then(|base| numbers.get(base)).copied();
            let mut made = Made::default();
            made.add_line(name, line, &lines, &numbers);
            made.finish(name, base)
        };
        let types: Vec<Type> = lines.iter().map(read).collect();
        let names = types.iter().flat_map(|of| &of.elements).map(|e| e.name);
        let number = |name| numbers.get(name).copied().unwrap_or(TypeId(0));
        Self {
            names: names.chain(["resourceType"]).collect(),
            element: number("Element"),
            reference: number("Reference"),
            resources,
            types,
            numbers,
        }
    }

    /// The type with this resourceType.
    pub(crate) fn resource(&self, name: &str) -> Option<TypeId> {
        self.resources.get(name).copied()
    }

    /// The type of this name: a resource, a data type, a group or a base of them.
    pub(crate) fn named(&self, name: &str) -> Option<TypeId> {
        self.numbers.get(name).copied()
    }

    /// The data type `Element`, which stands in the members whose name starts with `_`.
    pub(crate) fn element_type(&self) -> TypeId {
        self.element
    }

    /// The data type `Reference`.
    pub(crate) fn reference_type(&self) -> TypeId {
        self.reference
    }

    /// The name of a type.
    pub(crate) fn name(&self, of: TypeId) -> &'static str {
        self.get(of).map_or("", |of| of.name)
    }

    /// All that is known of a type.
    #[inline]
    pub(crate) fn get(&self, of: TypeId) -> Option<&Type> {
        self.types.get(of.0)
    }

    /// The element of a type with this name.
    #[inline]
    pub(crate) fn element(&self, of: TypeId, name: &str) -> Option<&Element> {
        self.get(of)?.element(name)
    }

    /// The number of types; a [`TypeId`]'s [`TypeId::index`] is below it.
    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }
}

impl TypeId {
    /// The position of the type in the table.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// A type while its line is read.
#[derive(Default)]
struct Made {
    elements: Vec<Element>,
    slots: Vec<Slot>,
    required: u128,
}

impl Made {
    /// Reads the elements of a line, those of its base first. A base has a base at most twice.
    fn add_line(
        &mut self,
        owner: &'static str,
        line: &[&'static str],
        lines: &[Vec<&'static str>],
        numbers: &BTreeMap<&str, TypeId>,
    ) {
        let base = line.get(2).and_then(|base| numbers.get(base));
        if let Some(base) = base.and_then(|base| lines.get(base.0)) {
            self.add_line(owner, base, lines, numbers);
        }
        for token in line.iter().skip(3) {
            self.add(owner, token, numbers);
        }
    }

    /// Reads `name[!*+]:type,type...`.
    fn add(&mut self, owner: &str, token: &'static str, numbers: &BTreeMap<&str, TypeId>) {
        let Some((name, types)) = token.split_once(':') else {
            return;
        };
        let Ok(slot) = u8::try_from(self.slots.len()) else {
            return;
        };
        let full = name.trim_end_matches(['!', '*', '+']);
        let sign = name.get(full.len()..).unwrap_or_default();
        if matches!(sign, "!" | "+") {
            self.required |= 1_u128.checked_shl(u32::from(slot)).unwrap_or(0);
        }
        let stem = full.strip_suffix("[x]");
        self.slots.push(Slot {
            name: stem.unwrap_or(full),
            choice: stem.is_some(),
        });
        for spelled in types.split(',') {
            let (spelled, targets) = spelled.split_once('>').unwrap_or((spelled, ""));
            let (type_name, set) = spelled.split_once('@').unwrap_or((spelled, ""));
            let name = match stem {
                Some(stem) => choice_name(stem, type_name),
                None => full,
            };
            let rule = rule_of(owner, name, ruled_type(type_name, targets));
            let targets = targets
                .split('|')
                .filter_map(|name| numbers.get(name).copied());
            self.elements.push(Element {
                name,
                repeats: matches!(sign, "*" | "+"),
                target: target(owner, name, type_name, numbers),
                rule,
                primitive: Primitive::named(type_name),
                binding: BINDINGS.named(set),
                targets: targets.collect(),
                slot,
            });
        }
    }

    fn finish(self, name: &'static str, base: Option<TypeId>) -> Type {
        Type {
            name,
            base,
            names: Names::of(&self.elements),
            elements: self.elements,
            slots: self.slots,
            required: self.required,
        }
    }
}

/// `value` and `dateTime` make `valueDateTime`. The table is read once and stays.
fn choice_name(stem: &str, type_name: &str) -> &'static str {
    let (first, rest) = type_name.split_at_checked(1).unwrap_or_default();
    format!("{stem}{}{rest}", first.to_ascii_uppercase()).leak()
}

fn target(owner: &str, name: &str, type_name: &str, numbers: &BTreeMap<&str, TypeId>) -> Target {
    match type_name {
        "date" | "dateTime" | "instant" => Target::Date,
        "uri" | "url" | "canonical" | "oid" | "uuid" => Target::Link,
        "string" if owner == "Reference" && name == "reference" => Target::Link,
        "xhtml" => Target::Xhtml,
        "Resource" => Target::Resource,
        other => numbers
            .get(other)
            .map_or(Target::Primitive, |of| Target::Object(*of)),
    }
}

/// The type as the rule of categories knows it: a reference whose targets include a person, or that
/// may name anything, is a `PersonReference`.
fn ruled_type<'t>(type_name: &'t str, targets: &str) -> &'t str {
    let person = targets.is_empty() || targets.split('|').any(|name| PEOPLE.contains(&name));
    match type_name {
        "Reference" if person => "PersonReference",
        other => other,
    }
}

/// Where the elements of a type stand, by a hash of their names.
struct Names(Vec<u16>);

impl Names {
    const EMPTY: u16 = u16::MAX;

    fn of(elements: &[Element]) -> Self {
        let mut places = vec![Self::EMPTY; (elements.len() * 2 + 1).next_power_of_two()];
        for (number, element) in (0_u16..).zip(elements) {
            let mut at = Self::hash(element.name) & (places.len() - 1);
            // INVARIANT: at most half of the places are taken, so that an empty one is found.
            while places.get(at).is_some_and(|place| *place != Self::EMPTY) {
                at = (at + 1) & (places.len() - 1);
            }
            if let Some(place) = places.get_mut(at) {
                *place = number;
            }
        }
        Self(places)
    }

    #[inline]
    fn hash(name: &str) -> usize {
        let mix = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = name.bytes().fold(0x811C_9DC5, mix);
        (hash ^ (hash >> 15)) as usize
    }

    /// The elements that may have this name.
    #[inline]
    fn candidates(&self, name: &str) -> impl Iterator<Item = usize> {
        let mask = self.0.len() - 1;
        let start = Self::hash(name);
        let places =
            (0..self.0.len()).filter_map(move |step| self.0.get(start.wrapping_add(step) & mask));
        places
            .take_while(|place| **place != Self::EMPTY)
            .map(|place| usize::from(*place))
    }
}

/// The names of all R4 resource types.
pub fn resource_types() -> impl Iterator<Item = &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots are bits of a number; a type that has more would be checked in part only.
    #[test]
    fn every_type_fits() {
        let mut found = 0;
        for of in &TABLE.types {
            assert!(of.slots.len() <= 128, "{}", of.name);
            assert!(of.elements.len() >= of.slots.len(), "{}", of.name);
            for element in &of.elements {
                let same = of.element(element.name).map(|element| element.slot);
                assert_eq!(same, Some(element.slot), "{}.{}", of.name, element.name);
                let known = element.primitive.is_some()
                    || matches!(element.target, Target::Object(_) | Target::Resource);
                assert!(known, "{}.{} has no type", of.name, element.name);
                found += 1;
            }
            assert!(of.element("unheardOf").is_none() && of.element("").is_none());
        }
        assert!(found > 8_000, "{found}");
    }
}
