//! Whether a resource is what R4 defines: shape, cardinality, types, choices, codes that a required
//! binding allows, targets of references, and invariants.
//!
//! In: a resource as JSON. Out: at most [`MAX_ISSUES`] issues, in the order of the text, each with the
//! element and the rule. A resource without an issue of [`Severity::Error`] can be stored as R4.
//!
//! Not checked: profiles, terminologies beyond required bindings (and there, value sets that are not
//! enumerable: languages, media types, currencies, units), what an absolute or canonical reference
//! names, and whether a relative one exists.

mod codes;
mod issue;
mod reference;

pub use issue::{Issue, IssueCode, Severity};

use crate::error::Error;
use crate::invariants::{self, INVARIANTS, Invariant, Verdict};
use crate::parsed::{Parsed, document, resource_type};
use crate::primitive::{Misfit, Primitive};
use crate::table::{Element, TABLE, Target, Type, TypeId, is_element_name};
use issue::Way;
use json::{Kind, Limits, Value};

/// The most issues that are told of one document; errors before warnings.
pub const MAX_ISSUES: usize = 50;

/// What to do with elements that R4 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are errors.
    Strict,
    /// They are kept, with a warning.
    Lenient,
}

/// What is wrong with a resource.
pub fn validate(parsed: &Parsed<'_>, strictness: Strictness) -> Vec<Issue> {
    check(parsed.root(), parsed.type_id(), strictness)
}

/// What is wrong with a resource or with a Bundle of any type, entries included; an error when it is
/// not the JSON of a resource of R4.
pub fn validate_bytes(
    source: &[u8],
    limits: &Limits,
    strictness: Strictness,
) -> Result<Vec<Issue>, Error> {
    let document = document(source, limits)?;
    let of = resource_type(document.root())?;
    Ok(check(document.root(), of, strictness))
}

fn check(root: Value<'_, '_>, of: TypeId, strictness: Strictness) -> Vec<Issue> {
    let mut validator = Validator {
        strictness,
        issues: Vec::new(),
        errors: 0,
        way: Way::new(TABLE.name(of)),
        frame: Frame::new(root, of),
        steps: invariants::budget(root.document().len()),
        too_costly: false,
    };
    validator.resource(root, of, false);
    validator.issues
}

/// The resource that is looked at, and what is known of it.
struct Frame<'d, 'a> {
    /// The resource that contains it, or itself.
    root: (Value<'d, 'a>, TypeId),
    resource: (Value<'d, 'a>, TypeId),
    contained: reference::Contained<'a>,
}

impl<'d, 'a> Frame<'d, 'a> {
    fn new(resource: Value<'d, 'a>, of: TypeId) -> Self {
        Self {
            root: (resource, of),
            resource: (resource, of),
            contained: reference::Contained::of(resource),
        }
    }
}

struct Validator<'d, 'a> {
    strictness: Strictness,
    issues: Vec<Issue>,
    /// How many of them are errors.
    errors: usize,
    way: Way,
    frame: Frame<'d, 'a>,
    /// Steps that invariants may still take.
    steps: u64,
    too_costly: bool,
}

impl<'d, 'a> Validator<'d, 'a> {
    fn add(&mut self, severity: Severity, code: IssueCode, below: Option<&str>, message: &str) {
        if self.issues.len() == MAX_ISSUES {
            // An error takes the place of a warning; what is an error is never left untold for less.
            let last = self
                .issues
                .iter()
                .rposition(|issue| issue.severity == Severity::Warning);
            match last {
                Some(last) if severity == Severity::Error => drop(self.issues.remove(last)),
                _ => return,
            }
        }
        self.errors += usize::from(severity == Severity::Error);
        self.issues.push(Issue {
            severity,
            code,
            expression: self.way.to(below),
            message: message.to_owned(),
        });
    }

    /// Whether an issue of this severity would still be told.
    fn tells(&self, severity: Severity) -> bool {
        match severity {
            Severity::Error => self.errors < MAX_ISSUES,
            Severity::Warning => self.issues.len() < MAX_ISSUES,
        }
    }

    fn error(&mut self, code: IssueCode, message: &str) {
        self.add(Severity::Error, code, None, message);
    }

    /// A resource on its own, in a Bundle or Parameters, or contained in another.
    fn resource(&mut self, value: Value<'d, 'a>, of: TypeId, contained: bool) {
        match contained {
            true => {
                let outer = std::mem::replace(&mut self.frame.resource, (value, of));
                self.object(value, of, Role::Resource);
                self.frame.resource = outer;
            }
            false => {
                let outer = std::mem::replace(&mut self.frame, Frame::new(value, of));
                self.object(value, of, Role::Resource);
                for position in self.frame.contained.unreferenced() {
                    self.way.push("contained");
                    self.way.at(position);
                    self.error(IssueCode::Invariant, UNREFERENCED);
                    self.way.pop();
                }
                self.frame = outer;
            }
        }
    }

    /// An object of a type. Recursion is bounded by [`json::MAX_DEPTH`].
    fn object(&mut self, value: Value<'d, 'a>, of: TypeId, role: Role) {
        let Some(shape) = TABLE.get(of) else {
            return;
        };
        let mut seen = Seen::default();
        for (position, member) in value.children().enumerate() {
            let name = member.key().unwrap_or_default();
            seen.members += 1;
            if let Some(element) = shape.element(&name) {
                self.count(&mut seen, shape, element, value);
                self.way.push(element.name);
                self.element(member, element, value);
                self.way.pop();
            } else if let Some(element) = companioned(shape, &name) {
                let own = value.get(element.name);
                self.way.push(element.name);
                if own.is_none() && seen.filled & bit(element) != 0 {
                    self.error(IssueCode::Structure, CHOICE);
                }
                self.companion(member, element, own);
                self.way.pop();
                seen.filled |= bit(element);
            } else if !(role == Role::Resource && name == "resourceType") {
                self.unknown(&name, position);
            }
        }
        self.missing(shape, seen.filled);
        let hollow = match seen.members {
            0 => true,
            1 => role == Role::Element && seen.filled == ID,
            _ => false,
        };
        if hollow {
            self.error(IssueCode::Structure, HOLLOW);
        }
        self.invariants(value, of);
    }

    /// Notes that an element is there; a choice is made once.
    fn count(&mut self, seen: &mut Seen, shape: &Type, element: &Element, parent: Value<'_, '_>) {
        let bit = bit(element);
        let again = seen.filled & bit != 0;
        if again && (seen.values & bit != 0 || chosen_twice(shape, element, parent)) {
            self.add(
                Severity::Error,
                IssueCode::Structure,
                Some(element.name),
                CHOICE,
            );
        }
        seen.filled |= bit;
        seen.values |= bit;
    }

    fn missing(&mut self, shape: &'static Type, filled: u128) {
        let mut missing = shape.required & !filled;
        while missing != 0 {
            let slot = shape.slots.get(missing.trailing_zeros() as usize);
            if let Some(slot) = slot {
                let message = match slot.choice {
                    true => "one of the types of this element is required",
                    false => "this element is required",
                };
                self.add(
                    Severity::Error,
                    IssueCode::Required,
                    Some(slot.name),
                    message,
                );
            }
            missing &= missing - 1;
        }
    }

    fn unknown(&mut self, name: &str, position: usize) {
        let severity = match self.strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        };
        // A name could be a person's: it is shown only where R4 has it somewhere.
        let shown = is_element_name(name).then_some(name);
        let message = format!(
            "member {} of this object is no element that R4 has here",
            position + 1
        );
        self.add(severity, IssueCode::Structure, shown, &message);
    }

    fn element(&mut self, value: Value<'d, 'a>, element: &'static Element, parent: Value<'d, 'a>) {
        match (element.repeats, value.kind()) {
            (true, Kind::Array) => {
                let companions = element
                    .primitive
                    .and_then(|_| companion_of(parent, element));
                let mut companions = companions.into_iter().flat_map(Value::children);
                let mut count = 0;
                for (position, item) in value.children().enumerate() {
                    self.way.at(position);
                    let companion = companions.next();
                    match item.kind() {
                        // A null stands for a value of which only id or extensions are known.
                        Kind::Null if companion.is_some_and(|c| c.kind() == Kind::Object) => {}
                        Kind::Null => self.error(IssueCode::Structure, NULL),
                        _ => self.item(item, element),
                    }
                    count += 1;
                }
                if count == 0 {
                    self.error(
                        IssueCode::Structure,
                        "a list is not empty; leave the element out",
                    );
                }
            }
            (true, _) => self.error(IssueCode::Structure, "this element is a list"),
            (false, Kind::Array) => {
                self.error(
                    IssueCode::Structure,
                    "this element stands once, not in a list",
                );
            }
            (false, Kind::Null) => self.error(IssueCode::Structure, NULL),
            (false, _) => self.item(value, element),
        }
    }

    fn item(&mut self, value: Value<'d, 'a>, element: &'static Element) {
        let is_object = value.kind() == Kind::Object;
        match element.target {
            Target::Object(of) if is_object => {
                self.object(value, of, Role::Element);
                if of == TABLE.reference_type() {
                    self.reference(value, element);
                }
                self.concept(value, element);
            }
            Target::Resource if is_object => self.nested(value, element),
            Target::Object(_) | Target::Resource => {
                self.error(IssueCode::Structure, "this element is an object");
            }
            _ => self.primitive(value, element),
        }
    }

    fn nested(&mut self, value: Value<'d, 'a>, element: &Element) {
        match resource_type(value) {
            Ok(of) => self.resource(value, of, element.name == "contained"),
            Err(_) => {
                let message = "a resource names its type, one of R4, as resourceType";
                self.error(IssueCode::Structure, message);
            }
        }
    }

    fn primitive(&mut self, value: Value<'d, 'a>, element: &'static Element) {
        let Some(primitive) = element.primitive else {
            return;
        };
        if matches!(value.kind(), Kind::Object | Kind::Array) {
            return self.error(IssueCode::Structure, "this element is a single value");
        }
        match primitive.check(value) {
            Ok(()) => {}
            Err(Misfit::Kind(rule)) => {
                return self.error(IssueCode::Structure, &format!("{rule} is expected"));
            }
            Err(Misfit::Content(rule)) => return self.error(IssueCode::Value, rule),
        }
        if element.target == Target::Link {
            self.frame.contained.note(value, self.frame.resource.0);
        }
        if element.binding.is_some() && primitive == Primitive::Code {
            self.code(value, element);
        }
    }

    /// The member `_name` beside a primitive: its id and extensions.
    fn companion(
        &mut self,
        value: Value<'d, 'a>,
        element: &'static Element,
        own: Option<Value<'d, 'a>>,
    ) {
        match (element.repeats, value.kind()) {
            (true, Kind::Array) => {
                let count = value.children().count();
                let fits = own.is_none_or(|own| own.children().count() == count);
                if count == 0 || !fits {
                    let message = "the list of ids and extensions is as long as that of the values";
                    self.error(IssueCode::Structure, message);
                }
                let mut values = own.into_iter().flat_map(Value::children);
                for (position, item) in value.children().enumerate() {
                    self.way.at(position);
                    let beside = values.next();
                    match item.kind() {
                        Kind::Object => {
                            self.object(item, TABLE.element_type(), Role::beside(beside))
                        }
                        Kind::Null if own.is_some() => {}
                        _ => self.error(IssueCode::Structure, COMPANION),
                    }
                }
            }
            (false, Kind::Object) => self.object(value, TABLE.element_type(), Role::beside(own)),
            _ => self.error(IssueCode::Structure, COMPANION),
        }
    }

    fn invariants(&mut self, value: Value<'d, 'a>, of: TypeId) {
        for invariant in INVARIANTS.of(of) {
            if self.too_costly {
                return;
            }
            if !self.tells(invariant.severity) {
                continue;
            }
            let scope = invariants::Scope {
                resource: self.frame.resource,
                root: self.frame.root,
            };
            match invariant.judge(value, of, &scope, &mut self.steps) {
                Verdict::Holds => {}
                Verdict::Broken => self.broken(invariant),
                Verdict::TooCostly => {
                    self.too_costly = true;
                    let message =
                        "the rules between its elements take too long to check; send it in parts";
                    self.error(IssueCode::TooCostly, message);
                }
            }
        }
    }

    fn broken(&mut self, invariant: &Invariant) {
        let message = format!("{}: {}", invariant.key, invariant.human);
        self.add(
            invariant.severity,
            IssueCode::Invariant,
            invariant.element,
            &message,
        );
    }
}

const CHOICE: &str = "only one of the types of this element can be given";
const NULL: &str = "null stands only in a list, for a value whose extensions are given beside it";
const COMPANION: &str =
    "the id and extensions of a value are an object, in a list where the value is";
const HOLLOW: &str = "ele-1: an element has a value or elements of its own";
const UNREFERENCED: &str =
    "dom-3: a contained resource is referenced from elsewhere in its resource, or references it";

/// The slot of `id` in an element: the first.
const ID: u128 = 1;

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Resource,
    Element,
    /// Id and extensions of a value that is there.
    Beside,
}

impl Role {
    fn beside(value: Option<Value<'_, '_>>) -> Self {
        match value.is_some_and(|value| !value.is_null()) {
            true => Self::Beside,
            false => Self::Element,
        }
    }
}

/// Which slots of a type an object fills.
#[derive(Default)]
struct Seen {
    members: usize,
    filled: u128,
    values: u128,
}

fn bit(element: &Element) -> u128 {
    1_u128.checked_shl(u32::from(element.slot)).unwrap_or(0)
}

/// The element that a member `_name` belongs to.
fn companioned(shape: &'static Type, name: &str) -> Option<&'static Element> {
    let element = shape.element(name.strip_prefix('_')?)?;
    element.primitive.is_some().then_some(element)
}

fn companion_of<'d, 'a>(parent: Value<'d, 'a>, element: &Element) -> Option<Value<'d, 'a>> {
    let is_companion = |member: &Value<'_, '_>| {
        let name = member.key().unwrap_or_default();
        name.strip_prefix('_') == Some(element.name)
    };
    parent.children().find(is_companion)
}

/// Whether an object has another type of the same choice.
fn chosen_twice(shape: &Type, element: &Element, parent: Value<'_, '_>) -> bool {
    parent.children().any(|member| {
        let name = member.key().unwrap_or_default();
        let name = name.strip_prefix('_').unwrap_or(&name);
        let other = shape.element(name);
        other.is_some_and(|other| other.slot == element.slot && other.name != element.name)
    })
}
