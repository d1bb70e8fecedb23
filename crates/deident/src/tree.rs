//! The rules as a tree of places: one for each path of each resource type that has rules.

use crate::fates::Place;
use crate::file::{File, RulesError, Words};
use fhir::{Definition, ElementDefinition, Holds};
use std::collections::BTreeMap;

/// The number of a place.
pub(crate) type PlaceId = u32;

/// How deep data types may stand inside each other in a rule file.
const MAX_DEPTH: usize = 12;

/// What is done at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Drop,
    Boolean,
    Code,
    /// A decimal, or (true) a whole number.
    Number(bool),
    /// The precisions that the type allows: a time, and less than one.
    Shift {
        times: bool,
        dates: bool,
    },
    Id,
    Country,
    AgeBand,
    Death,
    /// A data type or group, member by member.
    Object,
    Concept,
    Coding,
    Quantity,
    Age,
    Period,
    Subject,
    Reference,
    /// Inside Coding, Quantity, Age and Reference: decided with the object around it.
    Together,
}

/// A place of the tree.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) repeats: bool,
    pub(crate) element: Option<ElementDefinition>,
    pub(crate) kids: Kids,
}

/// What may stand in an object.
#[derive(Default)]
pub(crate) struct Kids {
    /// Sorted by name.
    names: Vec<Kid>,
    /// The place of members that R4 does not have.
    pub(crate) unknown: PlaceId,
    /// Bits of elements that must not be lost.
    pub(crate) essential: u128,
    /// Bits of which one must be kept.
    pub(crate) needs: u128,
    pub(crate) required: Vec<Required>,
}

/// A member: an element, or the `_name` beside a primitive.
#[derive(Clone, Copy)]
pub(crate) struct Kid {
    name: &'static str,
    pub(crate) place: PlaceId,
    pub(crate) bit: u128,
    pub(crate) beside: bool,
}

/// An element that R4 requires.
pub(crate) struct Required {
    /// It, or the types of the choice.
    pub(crate) bits: u128,
    pub(crate) place: PlaceId,
    /// What can be written in its place to say that it is masked.
    pub(crate) mask: Option<String>,
}

impl Kids {
    /// The member of this name.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<Kid> {
        let at = self.names.binary_search_by(|kid| kid.name.cmp(name)).ok()?;
        self.names.get(at).copied()
    }

    /// The place of the element of this name.
    pub(crate) fn place(&self, name: &str) -> Option<PlaceId> {
        self.find(name).map(|kid| kid.place)
    }

    /// The place of the first of these elements.
    pub(crate) fn place_of(&self, bits: u128) -> Option<PlaceId> {
        let found = self
            .names
            .iter()
            .find(|kid| kid.bit & bits != 0 && !kid.beside);
        found.map(|kid| kid.place)
    }
}

/// All places.
pub(crate) struct Tree {
    nodes: Vec<Node>,
    pub(crate) roots: BTreeMap<&'static str, PlaceId>,
}

impl Tree {
    pub(crate) fn node(&self, place: PlaceId) -> Option<&Node> {
        self.nodes.get(place as usize)
    }

    /// Grows the tree of a rule file.
    pub(crate) fn grow(file: &File) -> Result<(Self, Vec<Place>), RulesError> {
        let mut growing = Growing {
            file,
            nodes: Vec::new(),
            places: Vec::new(),
        };
        let mut roots = BTreeMap::new();
        for (name, words) in &file.resources {
            let of = Definition::named(name).filter(|_| fhir::is_resource_type(name));
            let of = of.ok_or_else(|| RulesError::Unknown(name.clone()))?;
            let place = growing.add(
                of.name(),
                Act::Object,
                None,
                name.clone(),
                "resource".into(),
            );
            let kids = growing.kids(name, of, words, 0)?;
            growing.set(place, kids);
            roots.insert(of.name(), place);
        }
        growing.check_types()?;
        let tree = Self {
            nodes: growing.nodes,
            roots,
        };
        Ok((tree, growing.places))
    }
}

/// A rule: what to do, and whether its loss is the loss of the whole.
struct Word<'w> {
    verb: &'w str,
    essential: bool,
}

impl<'w> Word<'w> {
    fn of(word: &'w str) -> Self {
        Self {
            verb: word.trim_end_matches('!'),
            essential: word.ends_with('!'),
        }
    }
}

struct Growing<'f> {
    file: &'f File,
    nodes: Vec<Node>,
    places: Vec<Place>,
}

impl Growing<'_> {
    fn add(
        &mut self,
        name: &'static str,
        act: Act,
        element: Option<ElementDefinition>,
        path: String,
        rule: String,
    ) -> PlaceId {
        let place = PlaceId::try_from(self.nodes.len()).unwrap_or(PlaceId::MAX);
        self.nodes.push(Node {
            name,
            act,
            repeats: element.is_some_and(ElementDefinition::repeats),
            element,
            kids: Kids::default(),
        });
        self.places.push(Place { path, rule });
        place
    }

    fn set(&mut self, place: PlaceId, kids: Kids) {
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.kids = kids;
        }
    }

    /// The members of an object of a type. Recursion is bounded by [`MAX_DEPTH`].
    fn kids(
        &mut self,
        path: &str,
        of: Definition,
        words: &Words,
        depth: usize,
    ) -> Result<Kids, RulesError> {
        if depth > MAX_DEPTH {
            return Err(RulesError::Endless(path.to_owned()));
        }
        for name in words.keys() {
            if !of.elements().any(|element| element.name() == name) {
                return Err(RulesError::Unknown(format!("{}.{name}", of.name())));
            }
        }
        let no_rule = || "no rule".to_owned();
        let mut kids = Kids {
            unknown: self.add("", Act::Drop, None, format!("{path}.(unknown)"), no_rule()),
            ..Kids::default()
        };
        let mut slots: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (number, element) in (0_u32..).zip(of.elements()) {
            let bit = 1_u128.checked_shl(number).unwrap_or(0);
            let name = element.name();
            let own = format!("{path}.{name}");
            let word = words.get(name).map(|word| Word::of(word));
            let place = match &word {
                Some(word) => self.ruled(&own, of, element, word, depth)?,
                // What changes the meaning of all around it and is not understood.
                None if is_modifier(name) => {
                    let rule = format!("{}.{name}: drop!", of.name());
                    self.add(name, Act::Drop, Some(element), own.clone(), rule)
                }
                None => self.add(name, Act::Drop, Some(element), own.clone(), no_rule()),
            };
            if is_modifier(name) || word.is_some_and(|word| word.essential) {
                kids.essential |= bit;
            }
            kids.names.push(Kid {
                name,
                place,
                bit,
                beside: false,
            });
            if let Holds::Primitive(_) = element.holds() {
                let beside = format!("{path}._{name}");
                let place = self.add("", Act::Drop, None, beside, no_rule());
                let name: &'static str = format!("_{name}").leak();
                kids.names.push(Kid {
                    name,
                    place,
                    bit,
                    beside: true,
                });
            }
            if element.required() {
                let slot = *slots
                    .entry(element.slot_name())
                    .or_insert(kids.required.len());
                match kids.required.get_mut(slot) {
                    Some(required) => required.bits |= bit,
                    None => kids.required.push(Required {
                        bits: bit,
                        place,
                        mask: mask(element),
                    }),
                }
            }
            if let Some(needs) = self.file.needs.get(of.name())
                && needs.iter().any(|need| need == name)
            {
                kids.needs |= bit;
            }
        }
        kids.names.sort_by_key(|kid| kid.name);
        Ok(kids)
    }

    /// An element with a rule.
    fn ruled(
        &mut self,
        path: &str,
        of: Definition,
        element: ElementDefinition,
        word: &Word<'_>,
        depth: usize,
    ) -> Result<PlaceId, RulesError> {
        let (name, mark) = (element.name(), if word.essential { "!" } else { "" });
        let rule = format!("{}.{name}: {}{mark}", of.name(), word.verb);
        let act = act(of, element, word.verb).map_err(|why| RulesError::Word {
            path: path.to_owned(),
            word: format!("{}{mark}", word.verb),
            why,
        })?;
        let place = self.add(name, act, Some(element), path.to_owned(), rule);
        if let (Holds::Object(of), true) = (element.holds(), act != Act::Drop) {
            let file = self.file;
            let words = file.types.get(of.name());
            let words = words.ok_or_else(|| RulesError::NoType(path.to_owned()))?;
            let kids = self.kids(path, of, words, depth + 1)?;
            self.whole(path, act, &kids)?;
            self.set(place, kids);
        }
        Ok(place)
    }

    /// Types that are judged as a whole have the rules that are judged so, or none.
    fn whole(&self, path: &str, act: Act, kids: &Kids) -> Result<(), RulesError> {
        let names: &[&str] = match act {
            Act::Coding => &["system", "code"],
            Act::Quantity | Act::Age => &["value", "comparator", "unit", "system", "code"],
            Act::Subject | Act::Reference => &["reference"],
            Act::Period => &["start", "end"],
            _ => return Ok(()),
        };
        for name in names {
            let node = kids
                .place(name)
                .and_then(|place| self.nodes.get(place as usize));
            if node.is_none_or(|node| node.act == Act::Drop) {
                return Err(RulesError::NoType(format!("{path}.{name}")));
            }
        }
        Ok(())
    }

    /// Every type that has rules is one of R4, and so is every element that an object needs.
    fn check_types(&self) -> Result<(), RulesError> {
        for name in self.file.types.keys() {
            Definition::named(name).ok_or_else(|| RulesError::Unknown(name.clone()))?;
        }
        for (name, needs) in &self.file.needs {
            let of = Definition::named(name).ok_or_else(|| RulesError::Unknown(name.clone()))?;
            for need in needs {
                if !of.elements().any(|element| element.name() == need) {
                    return Err(RulesError::Unknown(format!("{name}.{need}")));
                }
            }
        }
        Ok(())
    }
}

fn is_modifier(name: &str) -> bool {
    matches!(name, "modifierExtension" | "implicitRules")
}

/// What a word says for an element.
fn act(of: Definition, element: ElementDefinition, verb: &str) -> Result<Act, &'static str> {
    if verb == "drop" {
        return Ok(Act::Drop);
    }
    if is_modifier(element.name()) || matches!(element.name(), "extension" | "contained" | "text") {
        return Err("it can hold anything and is always dropped");
    }
    match element.holds() {
        Holds::Resource => Err("it can hold anything and is always dropped"),
        Holds::Object(holds) => match (holds.name(), verb) {
            ("Age", "age") => Ok(Act::Age),
            ("Age", _) => Err("an age has the rule 'age'"),
            ("Reference", "subject") if element.may_name("Patient") => Ok(Act::Subject),
            ("Reference", "reference") => Ok(Act::Reference),
            ("Reference", _) => {
                Err("a reference has the rule 'reference', or 'subject' where a Patient may stand")
            }
            ("CodeableConcept", "keep") => Ok(Act::Concept),
            ("Coding", "keep") => Ok(Act::Coding),
            ("Quantity" | "Duration" | "Count" | "Distance", "keep") => Ok(Act::Quantity),
            ("Period", "keep") => Ok(Act::Period),
            (
                "Extension" | "Narrative" | "Attachment" | "Annotation" | "Identifier"
                | "HumanName" | "ContactPoint" | "Meta" | "SampledData" | "Signature",
                _,
            ) => Err("it can hold anything and is always dropped"),
            (_, "keep") => Ok(Act::Object),
            _ => Err("a data type is kept or dropped"),
        },
        Holds::Primitive(primitive) => primitive_act(of, element, primitive, verb),
    }
}

fn primitive_act(
    of: Definition,
    element: ElementDefinition,
    primitive: &str,
    verb: &str,
) -> Result<Act, &'static str> {
    let name = element.name();
    match (primitive, verb) {
        ("boolean", "keep") => Ok(Act::Boolean),
        ("code", "keep") if element.is_bound() => Ok(Act::Code),
        ("decimal", "keep") => Ok(Act::Number(false)),
        ("integer" | "positiveInt" | "unsignedInt", "keep") => Ok(Act::Number(true)),
        ("date", "shift") => Ok(Act::Shift {
            times: false,
            dates: true,
        }),
        ("dateTime", "shift") => Ok(Act::Shift {
            times: true,
            dates: true,
        }),
        ("instant", "shift") => Ok(Act::Shift {
            times: true,
            dates: false,
        }),
        ("date", "age-band") if of.name() == "Patient" => Ok(Act::AgeBand),
        ("dateTime", "death") if of.name() == "Patient" => Ok(Act::Death),
        ("id", "pseudonym") if fhir::is_resource_type(of.name()) => Ok(Act::Id),
        ("string", "pseudonym") if (of.name(), name) == ("Reference", "reference") => {
            Ok(Act::Together)
        }
        ("string", "country") if (of.name(), name) == ("Address", "country") => Ok(Act::Country),
        ("uri" | "code", "coded") if of.name() == "Coding" => Ok(Act::Together),
        ("string" | "uri" | "code", "unit") if matches!(name, "unit" | "system" | "code") => {
            Ok(Act::Together)
        }
        ("decimal", "age") if of.name() == "Age" => Ok(Act::Together),
        (_, "keep") => Err("its type can hold free text"),
        _ => Err("the word does not fit its type"),
    }
}

const MASKED: &str = "{\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/data-absent-reason\",\
    \"valueCode\":\"masked\"}]}";

/// The member that says that a required element was masked; a code or number has none.
fn mask(element: ElementDefinition) -> Option<String> {
    let name = element.name();
    let open = match element.holds() {
        Holds::Object(of) => matches!(
            of.name(),
            "CodeableConcept" | "Coding" | "Period" | "Quantity"
        )
        .then(|| format!("\"{name}\":"))?,
        Holds::Primitive("dateTime" | "date" | "instant") => format!("\"_{name}\":"),
        _ => return None,
    };
    Some(match element.repeats() {
        true => format!("{open}[{MASKED}]"),
        false => format!("{open}{MASKED}"),
    })
}
