//! What patients, conditions and observations say, as plain values that borrow from the source.
//!
//! Absent elements are empty or `None`; so are elements of another shape than R4 gives them.
//! Numbers keep their digits.

use crate::parsed::Parsed;
use crate::walk::{Visit, walk};
use codec::Category::Phenotype;
use json::{Kind, Value};
use std::borrow::Cow;
use std::fmt;

/// A code of a code system.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Coding<'a> {
    /// The code system; empty when it is not named.
    pub system: Cow<'a, str>,
    /// The code.
    pub code: Cow<'a, str>,
    /// What the sender shows for it.
    pub display: Cow<'a, str>,
}

/// A concept: codings that mean the same, and a text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Concept<'a> {
    /// The codings.
    pub codings: Vec<Coding<'a>>,
    /// The text.
    pub text: Cow<'a, str>,
}

/// A measured amount.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Quantity<'a> {
    /// The digits of the value.
    pub value: Option<Cow<'a, str>>,
    /// `<`, `<=`, `>=`, `>` or empty.
    pub comparator: Cow<'a, str>,
    /// The unit for people.
    pub unit: Cow<'a, str>,
    /// The unit as a code, usually of UCUM.
    pub code: Cow<'a, str>,
}

/// What was measured or seen.
#[derive(Clone, PartialEq, Eq)]
pub enum Measured<'a> {
    /// An amount; also `valueInteger`.
    Quantity(Quantity<'a>),
    /// A concept.
    Concept(Concept<'a>),
    /// Yes or no.
    Boolean(bool),
    /// A value of another type.
    Other,
}

/// What is usual, for whom.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ReferenceRange<'a> {
    /// The lower end, inclusive.
    pub low: Option<Quantity<'a>>,
    /// The upper end, inclusive.
    pub high: Option<Quantity<'a>>,
    /// What kind of range it is; empty for the normal one.
    pub kind: Concept<'a>,
    /// To whom it applies; empty for everyone.
    pub applies_to: Vec<Concept<'a>>,
    /// Whether it is for an age.
    pub has_age: bool,
    /// From this age on.
    pub age_low: Option<Quantity<'a>>,
    /// Up to this age.
    pub age_high: Option<Quantity<'a>>,
}

/// A question and its answer: an observation, or a component of one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Reading<'a> {
    /// What was asked.
    pub code: Concept<'a>,
    /// The answer.
    pub value: Option<Measured<'a>>,
    /// Whether it says why there is no answer.
    pub is_absent: bool,
    /// High, low, normal and so on.
    pub interpretation: Vec<Concept<'a>>,
    /// What is usual.
    pub ranges: Vec<ReferenceRange<'a>>,
}

/// An Observation.
#[derive(Clone, PartialEq, Eq)]
pub struct Observation<'a> {
    /// `final`, `preliminary`, `entered-in-error` and so on.
    pub status: Cow<'a, str>,
    /// When it was true of the person: the end of a period, or else when it was issued.
    pub date: Option<Cow<'a, str>>,
    /// The observation itself.
    pub reading: Reading<'a>,
    /// Its components.
    pub components: Vec<Reading<'a>>,
    /// Whether it is about somebody or something else than the patient of the record: a fetus, a parent.
    pub has_focus: bool,
}

/// When a condition began.
#[derive(Clone, PartialEq, Eq)]
pub enum Onset<'a> {
    /// On a date, or at the start of a period.
    Date(Cow<'a, str>),
    /// At an age.
    Age(Quantity<'a>),
    /// Between two ages.
    AgeRange(Quantity<'a>, Quantity<'a>),
}

/// A Condition.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `confirmed`, `provisional`, `refuted` and so on.
    pub verification: Concept<'a>,
    /// What it is.
    pub code: Concept<'a>,
    /// When it began.
    pub onset: Option<Onset<'a>>,
    /// When it was recorded, or else began.
    pub date: Option<Cow<'a, str>>,
}

/// A Patient, without who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Patient<'a> {
    /// Administrative gender.
    pub gender: Cow<'a, str>,
    /// Date of birth.
    pub born: Option<Cow<'a, str>>,
}

impl<'a> Parsed<'a> {
    /// The resource as a Patient, if it is one.
    pub fn patient(&self) -> Option<Patient<'a>> {
        let root = self.of_type("Patient")?;
        Some(Patient {
            gender: text(root, "gender"),
            born: maybe_text(root, "birthDate"),
        })
    }

    /// The resource as a Condition, if it is one.
    pub fn condition(&self) -> Option<Condition<'a>> {
        let root = self.of_type("Condition")?;
        let began = maybe_text(root, "onsetDateTime").or_else(|| {
            let period = root.get("onsetPeriod")?;
            maybe_text(period, "start")
        });
        let age = || root.get("onsetAge").map(|age| Onset::Age(quantity(age)));
        let ages = || {
            let range = root.get("onsetRange")?;
            let (low, high) = (range.get("low")?, range.get("high")?);
            Some(Onset::AgeRange(quantity(low), quantity(high)))
        };
        let onset = began.clone().map(Onset::Date);
        Some(Condition {
            verification: concept_at(root, "verificationStatus"),
            code: concept_at(root, "code"),
            onset: onset.or_else(age).or_else(ages),
            date: maybe_text(root, "recordedDate").or(began),
        })
    }

    /// The resource as an Observation, if it is one.
    pub fn observation(&self) -> Option<Observation<'a>> {
        let root = self.of_type("Observation")?;
        let period = root.get("effectivePeriod");
        let bound = |name| maybe_text(period?, name);
        let date = maybe_text(root, "effectiveDateTime")
            .or_else(|| maybe_text(root, "effectiveInstant"))
            .or_else(|| bound("end"))
            .or_else(|| bound("start"))
            .or_else(|| maybe_text(root, "issued"));
        Some(Observation {
            status: text(root, "status"),
            date,
            reading: reading(root),
            components: items(root, "component").map(reading).collect(),
            has_focus: root.get("focus").is_some(),
        })
    }

    /// Whether something in the resource may change the meaning of the rest (`modifierExtension`,
    /// `implicitRules`): whoever does not understand it must not act on the resource.
    pub fn is_modified(&self) -> bool {
        struct Modified(bool);
        impl Visit<'_, '_> for Modified {
            fn modifier(&mut self) {
                self.0 = true;
            }
        }
        let mut modified = Modified(false);
        walk(self.root(), self.type_id(), Phenotype, &mut modified);
        modified.0
    }

    fn of_type(&self, name: &str) -> Option<Value<'_, 'a>> {
        (self.resource_type() == name).then(|| self.root())
    }
}

fn reading<'a>(object: Value<'_, 'a>) -> Reading<'a> {
    Reading {
        code: concept_at(object, "code"),
        value: measured(object),
        is_absent: object.get("dataAbsentReason").is_some(),
        interpretation: items(object, "interpretation").map(concept).collect(),
        ranges: items(object, "referenceRange").map(range).collect(),
    }
}

fn measured<'a>(object: Value<'_, 'a>) -> Option<Measured<'a>> {
    if let Some(amount) = object.get("valueQuantity") {
        return Some(Measured::Quantity(quantity(amount)));
    }
    if let Some(whole) = object.get("valueInteger") {
        let value = whole.digits().map(Cow::Borrowed);
        return Some(Measured::Quantity(Quantity {
            value,
            ..Quantity::default()
        }));
    }
    if let Some(found) = object.get("valueCodeableConcept") {
        return Some(Measured::Concept(concept(found)));
    }
    if let Some(answer) = object.get("valueBoolean") {
        return Some(answer.boolean().map_or(Measured::Other, Measured::Boolean));
    }
    let mut names = object.children().filter_map(Value::key);
    // A value of which only extensions are given, such as why it is missing, says something too.
    names
        .any(|name| name.trim_start_matches('_').starts_with("value"))
        .then_some(Measured::Other)
}

fn range<'a>(object: Value<'_, 'a>) -> ReferenceRange<'a> {
    let amount = |of: Value<'_, 'a>, name| of.get(name).map(quantity);
    let age = object.get("age");
    ReferenceRange {
        low: amount(object, "low"),
        high: amount(object, "high"),
        kind: concept_at(object, "type"),
        applies_to: items(object, "appliesTo").map(concept).collect(),
        has_age: age.is_some(),
        age_low: age.and_then(|age| amount(age, "low")),
        age_high: age.and_then(|age| amount(age, "high")),
    }
}

fn quantity<'a>(object: Value<'_, 'a>) -> Quantity<'a> {
    let value = object.get("value").and_then(Value::digits);
    Quantity {
        value: value.map(Cow::Borrowed),
        comparator: text(object, "comparator"),
        unit: text(object, "unit"),
        code: text(object, "code"),
    }
}

fn concept_at<'a>(object: Value<'_, 'a>, name: &str) -> Concept<'a> {
    object.get(name).map(concept).unwrap_or_default()
}

fn concept<'a>(object: Value<'_, 'a>) -> Concept<'a> {
    let codings = items(object, "coding").map(|coding| Coding {
        system: text(coding, "system"),
        code: text(coding, "code"),
        display: text(coding, "display"),
    });
    Concept {
        codings: codings.collect(),
        text: text(object, "text"),
    }
}

fn items<'d, 'a>(
    object: Value<'d, 'a>,
    name: &str,
) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
    let list = object.get(name).filter(|list| list.kind() == Kind::Array);
    list.map(Value::children).into_iter().flatten()
}

fn text<'a>(object: Value<'_, 'a>, name: &str) -> Cow<'a, str> {
    maybe_text(object, name).unwrap_or_default()
}

fn maybe_text<'a>(object: Value<'_, 'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name).and_then(Value::text)
}

macro_rules! redacted {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        })*
    };
}

redacted!(Coding Concept Quantity Measured ReferenceRange Reading Observation Onset Condition Patient);
