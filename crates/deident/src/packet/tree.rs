//! The rules of phenopackets as a tree of places.

use crate::fates::Place;
use crate::file::{File, RulesError, Words};
use crate::tree::PlaceId;
use phenopacket::{Definition, FieldDefinition, Holds};

/// How deep messages may stand inside each other in a rule file; the schema has no more than eight.
const MAX_DEPTH: usize = 12;

/// What is done with a field.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Drop,
    Flag,
    Number,
    Choice(&'static [&'static str]),
    Message,
    Quantity,
    Age,
    Timestamp,
    /// Of this kind.
    Id(&'static str),
    Subject,
    Sample,
    Coded,
    Prefix,
    Schema,
}

/// A field with its rule.
pub(crate) struct Field {
    pub(crate) definition: FieldDefinition,
    pub(crate) act: Act,
    pub(crate) place: PlaceId,
    pub(crate) essential: bool,
    pub(crate) kids: Kids,
}

/// What may stand in a message.
#[derive(Default)]
pub(crate) struct Kids {
    pub(crate) fields: Vec<Field>,
    /// The place of fields that the schema does not have.
    pub(crate) unknown: PlaceId,
}

/// Grows the tree, its places behind those that are there.
pub(crate) fn grow(file: &File, places: &mut Vec<Place>) -> Result<Kids, RulesError> {
    for name in file.phenopackets.keys() {
        Definition::named(name).ok_or_else(|| RulesError::Unknown(name.clone()))?;
    }
    let root = "Phenopacket";
    let of = Definition::named(root).ok_or_else(|| RulesError::Unknown(root.to_owned()))?;
    Growing { file, places }.kids(root, of, 0)
}

struct Growing<'g> {
    file: &'g File,
    places: &'g mut Vec<Place>,
}

impl Growing<'_> {
    fn place(&mut self, path: String, rule: String) -> PlaceId {
        self.places.push(Place { path, rule });
        PlaceId::try_from(self.places.len() - 1).unwrap_or(PlaceId::MAX)
    }

    fn kids(&mut self, path: &str, of: Definition, depth: usize) -> Result<Kids, RulesError> {
        if depth > MAX_DEPTH {
            return Err(RulesError::Endless(path.to_owned()));
        }
        let file = self.file;
        let words: &Words = file
            .phenopackets
            .get(of.name())
            .ok_or_else(|| RulesError::NoType(path.to_owned()))?;
        for name in words.keys() {
            if !of.fields().any(|field| field.name() == name) {
                return Err(RulesError::Unknown(format!("{}.{name}", of.name())));
            }
        }
        let mut kids = Kids {
            fields: Vec::new(),
            unknown: self.place(format!("{path}.(unknown)"), "no rule".to_owned()),
        };
        for definition in of.fields() {
            let name = definition.name();
            let own = format!("{path}.{name}");
            let word = words.get(name).map(String::as_str);
            let verb = word.unwrap_or("drop").trim_end_matches('!');
            let act = act(of, definition, verb).map_err(|why| RulesError::Word {
                path: own.clone(),
                word: verb.to_owned(),
                why,
            })?;
            let rule = word.map_or("no rule".to_owned(), |word| {
                format!("{}.{name}: {word}", of.name())
            });
            let place = self.place(own.clone(), rule);
            let inner = match (definition.holds(), act) {
                (Holds::Message(inner), Act::Message | Act::Quantity) => {
                    self.kids(&own, inner, depth + 1)?
                }
                _ => Kids::default(),
            };
            kids.fields.push(Field {
                definition,
                act,
                place,
                essential: word.is_some_and(|word| word.ends_with('!')),
                kids: inner,
            });
        }
        Ok(kids)
    }
}

/// What a word says for a field.
fn act(of: Definition, field: FieldDefinition, verb: &str) -> Result<Act, &'static str> {
    let text = matches!(field.holds(), Holds::Text);
    match (field.holds(), verb) {
        (_, "drop") => Ok(Act::Drop),
        (Holds::Flag, "keep") => Ok(Act::Flag),
        (Holds::Number, "keep") => Ok(Act::Number),
        (Holds::Choice(words), "keep") => Ok(Act::Choice(words)),
        (Holds::Message(inner), "keep") if inner.name() == "Quantity" => Ok(Act::Quantity),
        (Holds::Message(_), "keep") => Ok(Act::Message),
        (Holds::Open(_), _) => Err("it can hold anything and is always dropped"),
        (Holds::Text, "keep") => Err("its type can hold free text"),
        (_, "pseudonym") if text => Ok(Act::Id(of.name())),
        (_, "subject") if text => Ok(Act::Subject),
        (_, "sample") if text => Ok(Act::Sample),
        (_, "coded") if text => Ok(Act::Coded),
        (_, "shift") if text => Ok(Act::Timestamp),
        (_, "age") if of.name() == "Age" => Ok(Act::Age),
        (_, "prefix") if text && of.name() == "Resource" => Ok(Act::Prefix),
        (_, "schema") if text && of.name() == "MetaData" => Ok(Act::Schema),
        _ => Err("the word does not fit its type"),
    }
}
