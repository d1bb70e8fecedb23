//! The table of search parameters, read once from `search.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The official definitions as text; see its first lines.
const SEARCH: &str = include_str!("../search.txt");

const DEFINITION: &str = "http://hl7.org/fhir/SearchParameter/";

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

/// The table.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// What kind of values a parameter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A code, identifier or flag.
    Token,
    /// Text.
    String,
    /// A date, time or period.
    Date,
    /// A number.
    Number,
    /// A number with a unit.
    Quantity,
    /// A link to a resource.
    Reference,
    /// A URI.
    Uri,
    /// Several parameters of one element, joined by `$`.
    Composite,
}

impl Kind {
    /// The code of a SearchParameter's type.
    pub fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Number => "number",
            Self::Quantity => "quantity",
            Self::Reference => "reference",
            Self::Uri => "uri",
            Self::Composite => "composite",
        }
    }

    fn read(code: &str) -> Option<Self> {
        Some(match code {
            "token" => Self::Token,
            "string" => Self::String,
            "date" => Self::Date,
            "number" => Self::Number,
            "quantity" => Self::Quantity,
            "reference" => Self::Reference,
            "uri" => Self::Uri,
            _ => return None,
        })
    }
}

/// A search parameter of a resource type.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, such as `birthdate`.
    pub name: &'static str,
    /// What it compares.
    pub kind: Kind,
    /// For a reference: the types it points at; empty means any.
    pub targets: Vec<&'static str>,
    definition: &'static str,
    /// Whether no valid resource has two values for it.
    pub(super) one: bool,
    pub(super) patterns: Vec<Pattern>,
    pub(super) lookups: Vec<Lookup>,
    /// For a composite: where its parts stand, and the parts.
    pub(super) bases: Vec<Vec<Step>>,
    pub(super) parts: Vec<Part>,
    /// Its number among the parameters of its type.
    pub(super) number: usize,
}

impl Parameter {
    /// The canonical URL of its definition.
    pub fn definition(&self) -> String {
        format!("{DEFINITION}{}", self.definition)
    }
}

/// A part of a composite.
#[derive(Debug)]
pub(super) struct Part {
    /// The parameter that defines it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Below the base.
    pub(super) patterns: Vec<Pattern>,
    /// Below the resource.
    pub(super) from_root: Vec<Pattern>,
}

/// What stands at a path, as far as values are read out of it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Concept,
    Coding,
    Identifier,
    Contact,
    /// A code of a bound or unknown system; a boolean.
    Code,
    /// A text whose letters' case matters as a token: id, string, uri.
    Plain,
    /// True because it is there.
    Exists,
    HumanName,
    Address,
    /// A date, dateTime or instant.
    Instant,
    Period,
    Timing,
    Number,
    Range,
    Quantity,
    Money,
    Reference,
    /// A canonical or other uri.
    Uri,
}

impl Shape {
    fn read(of: &str) -> Option<Self> {
        Some(match of {
            "CodeableConcept" => Self::Concept,
            "Coding" => Self::Coding,
            "Identifier" => Self::Identifier,
            "ContactPoint" => Self::Contact,
            "code" | "boolean" => Self::Code,
            "id" | "string" | "markdown" => Self::Plain,
            "exists" => Self::Exists,
            "HumanName" => Self::HumanName,
            "Address" => Self::Address,
            "date" | "dateTime" | "instant" => Self::Instant,
            "Period" => Self::Period,
            "Timing" => Self::Timing,
            "decimal" | "integer" | "positiveInt" | "unsignedInt" => Self::Number,
            "Range" => Self::Range,
            "Quantity" | "Age" | "Count" | "Distance" | "Duration" => Self::Quantity,
            "Money" => Self::Money,
            "Reference" => Self::Reference,
            "uri" | "url" | "canonical" | "oid" | "uuid" => Self::Uri,
            _ => return None,
        })
    }
}

/// A step of a path: a member name, and a member and value that its objects must have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) with: Option<(&'static str, &'static str)>,
}

/// Where values of a parameter stand.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) steps: Vec<Step>,
    pub(super) shape: Shape,
    /// The only type of resource that a reference may name.
    pub(super) target: Option<&'static str>,
    /// The code system of a bound code.
    pub(super) system: Option<&'static str>,
}

/// Where the index terms of a parameter are posted: under the name of the parameter that owns the
/// path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lookup {
    pub(super) owner: &'static str,
    pub(super) shape: Shape,
}

/// A path whose values are posted.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) owner: &'static str,
    pub(super) kind: Kind,
    pub(super) pattern: Pattern,
    /// Whether plans trust that there is one value.
    pub(super) one: bool,
}

/// What a resource type is searched by.
#[derive(Debug, Default)]
pub(super) struct Searched {
    pub(super) name: &'static str,
    pub(super) parameters: Vec<Parameter>,
    /// Leaves are `(parameter, pattern)`.
    pub(super) values: Trie<(usize, usize)>,
    pub(super) posts: Vec<Post>,
    /// Leaves are numbers of posts.
    pub(super) posted: Trie<usize>,
    pub(super) compartment: Vec<&'static str>,
}

impl Searched {
    pub(super) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
}

/// Paths that are followed together in one walk.
#[derive(Debug)]
pub(super) struct Trie<L> {
    pub(super) nodes: Vec<Node<L>>,
}

#[derive(Debug)]
pub(super) struct Node<L> {
    pub(super) children: Vec<(Step, usize)>,
    pub(super) leaves: Vec<L>,
}

impl<L> Default for Trie<L> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new()],
        }
    }
}

impl<L> Node<L> {
    fn new() -> Self {
        Self {
            children: Vec::new(),
            leaves: Vec::new(),
        }
    }
}

impl<L> Trie<L> {
    fn insert(&mut self, steps: &[Step], leaf: L) {
        let mut at = 0;
        for step in steps {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            at = match node.children.iter().find(|(known, _)| known == step) {
                Some((_, known)) => *known,
                None => {
                    node.children.push((step.clone(), next));
                    self.nodes.push(Node::new());
                    next
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.leaves.push(leaf);
        }
    }
}

/// What resources are found by, and which elements subsets keep.
pub(super) struct Table {
    types: BTreeMap<&'static str, Searched>,
    summary: BTreeSet<(&'static str, &'static str)>,
    always: BTreeSet<(&'static str, &'static str)>,
}

impl Table {
    fn read() -> Self {
        let mut table = Self {
            types: BTreeMap::new(),
            summary: BTreeSet::new(),
            always: BTreeSet::new(),
        };
        let mut common: Vec<Vec<&'static str>> = Vec::new();
        let mut composites: Vec<Vec<&'static str>> = Vec::new();
        let lines = SEARCH.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words.as_slice() {
                ["parameter", "Resource" | "DomainResource", rest @ ..] => {
                    common.push(rest.to_vec());
                }
                ["parameter", of, rest @ ..] => table.of(of).parameters.extend(simple(rest)),
                ["composite", rest @ ..] => composites.push(rest.to_vec()),
                ["compartment", of, names @ ..] => table.of(of).compartment = names.to_vec(),
                ["summary", of, names @ ..] => {
                    table.summary.extend(names.iter().map(|name| (*of, *name)));
                }
                ["always", of, names @ ..] => {
                    table.always.extend(names.iter().map(|name| (*of, *name)));
                }
                _ => {}
            }
        }
        // Their parts are other parameters of the type.
        for words in &composites {
            if let [of, rest @ ..] = words.as_slice() {
                let searched = table.of(of);
                let composite = composite(rest, searched);
                searched.parameters.extend(composite);
            }
        }
        for name in crate::table::resource_types() {
            table.of(name);
        }
        for (name, searched) in &mut table.types {
            searched.name = name;
            let common = common.iter().filter_map(|words| simple(words));
            searched.parameters.extend(common);
            searched.finish();
        }
        table
    }

    fn of(&mut self, name: &'static str) -> &mut Searched {
        self.types.entry(name).or_default()
    }

    /// What a resource type is searched by.
    pub(super) fn searched(&self, resource_type: &str) -> Option<&Searched> {
        self.types.get(resource_type)
    }

    /// All resource types.
    pub(super) fn types(&self) -> impl Iterator<Item = &Searched> {
        self.types.values()
    }

    /// Whether `_summary=true` keeps an element of a type.
    pub(super) fn is_summary(&self, of: &'static str, element: &'static str) -> bool {
        self.summary.contains(&(of, element))
    }

    /// Whether `_summary=true` keeps some elements of a type and not others.
    pub(super) fn has_summary(&self, of: &'static str) -> bool {
        let of_type = (of, "")..=(of, "\u{7f}");
        self.summary.range(of_type).next().is_some()
    }

    /// Whether every subset keeps an element of a type.
    pub(super) fn is_always(&self, of: &'static str, element: &'static str) -> bool {
        self.always.contains(&(of, element))
    }
}

/// Reads `name kind definition one|many targets pattern ...`.
fn simple(words: &[&'static str]) -> Option<Parameter> {
    let [name, kind, definition, one, targets, patterns @ ..] = words else {
        return None;
    };
    Some(Parameter {
        name,
        kind: Kind::read(kind)?,
        targets: match *targets {
            "-" | "*" => Vec::new(),
            some => some.split(',').collect(),
        },
        definition,
        one: *one == "one",
        patterns: patterns.iter().filter_map(|text| pattern(text)).collect(),
        lookups: Vec::new(),
        bases: Vec::new(),
        parts: Vec::new(),
        number: 0,
    })
}

/// Reads `name definition base,base part part ...`.
fn composite(words: &[&'static str], of: &Searched) -> Option<Parameter> {
    let [name, definition, bases, parts @ ..] = words else {
        return None;
    };
    let part = |text: &&'static str| {
        let mut words = text.split(';');
        let name = words.next()?;
        let kind = of.parameter(name)?.kind;
        let (from_root, below): (Vec<_>, Vec<_>) = words.partition(|w| w.starts_with('/'));
        let read = |words: Vec<&'static str>| {
            let words = words.into_iter().map(|word| word.trim_start_matches('/'));
            words.filter_map(pattern).collect()
        };
        Some(Part {
            name,
            kind,
            patterns: read(below),
            from_root: read(from_root),
        })
    };
    Some(Parameter {
        name,
        kind: Kind::Composite,
        targets: Vec::new(),
        definition,
        one: false,
        patterns: Vec::new(),
        lookups: Vec::new(),
        bases: bases.split(',').map(steps).collect(),
        parts: parts.iter().map(part).collect::<Option<_>>()?,
        number: 0,
    })
}

/// Reads `path:Datatype?Target@system`.
fn pattern(text: &'static str) -> Option<Pattern> {
    let (path, of) = text.split_once(':')?;
    let (of, system) = match of.split_once('@') {
        Some((of, system)) => (of, Some(system)),
        None => (of, None),
    };
    let (of, target) = match of.split_once('?') {
        Some((of, target)) => (of, Some(target)),
        None => (of, None),
    };
    Some(Pattern {
        steps: steps(path),
        shape: Shape::read(of)?,
        target,
        system,
    })
}

fn steps(path: &'static str) -> Vec<Step> {
    let names = path.split('.').filter(|name| !name.is_empty());
    let step = |text: &'static str| match text.split_once('[') {
        Some((name, with)) => Step {
            name,
            with: with.trim_end_matches(']').split_once('='),
        },
        None => Step {
            name: text,
            with: None,
        },
    };
    names.map(step).collect()
}

impl Searched {
    fn finish(&mut self) {
        self.parameters.sort_by_key(|parameter| parameter.name);
        for (number, parameter) in self.parameters.iter_mut().enumerate() {
            parameter.number = number;
            for (at, pattern) in parameter.patterns.iter().enumerate() {
                self.values.insert(&pattern.steps, (number, at));
            }
        }
        self.own();
        for (number, post) in self.posts.iter().enumerate() {
            self.posted.insert(&post.pattern.steps, number);
        }
    }

    /// Gives each path to one parameter: to one that takes all its values, if there is, and else
    /// to the one with the fewest paths; so that `code` and `combo-code` post once.
    fn own(&mut self) {
        type Key = (Kind, Shape, Vec<&'static str>);
        let key = |kind: Kind, pattern: &Pattern| -> Key {
            let names = pattern.steps.iter().map(|step| step.name);
            (kind, pattern.shape, names.collect())
        };
        let mut owners: BTreeMap<Key, (bool, usize, usize)> = BTreeMap::new();
        for (number, parameter) in self.parameters.iter().enumerate() {
            if !is_posted(parameter) {
                continue;
            }
            for pattern in &parameter.patterns {
                let filtered = pattern.target.is_some()
                    || pattern.steps.iter().any(|step| step.with.is_some());
                let rank = (filtered, parameter.patterns.len(), number);
                let owner = owners.entry(key(parameter.kind, pattern)).or_insert(rank);
                *owner = rank.min(*owner);
            }
        }
        for parameter in &self.parameters {
            for pattern in &parameter.patterns {
                let known = owners.get(&key(parameter.kind, pattern));
                if known.is_none_or(|(_, _, owner)| *owner != parameter.number) {
                    continue;
                }
                let mut pattern = pattern.clone();
                pattern.target = None;
                for step in &mut pattern.steps {
                    step.with = None;
                }
                self.posts.push(Post {
                    owner: parameter.name,
                    kind: parameter.kind,
                    pattern,
                    one: parameter.one,
                });
            }
        }
        let names: Vec<&'static str> = self.parameters.iter().map(|p| p.name).collect();
        for parameter in &mut self.parameters {
            let owner = |pattern: &Pattern| {
                let (_, _, owner) = owners.get(&key(parameter.kind, pattern))?;
                Some(Lookup {
                    owner: names.get(*owner)?,
                    shape: pattern.shape,
                })
            };
            let lookups: BTreeSet<Lookup> = parameter.patterns.iter().filter_map(owner).collect();
            parameter.lookups = lookups.into_iter().collect();
        }
    }
}

/// Whether values of a parameter become index terms.
fn is_posted(parameter: &Parameter) -> bool {
    let by_kind = matches!(
        parameter.kind,
        Kind::Token | Kind::String | Kind::Date | Kind::Reference | Kind::Uri
    );
    by_kind && parameter.name != "_id" && parameter.name != "_lastUpdated"
}
