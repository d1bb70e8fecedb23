//! Data types that are judged as a whole: a code without its system, a number without its unit or half a
//! period would say something else.

use super::Pass;
use crate::amount::{Amount, amount, coarse_age};
use crate::date::When;
use crate::fates::Fate;
use crate::terminology::{is_unit, years_of};
use crate::tree::{Kids, Node};
use json::{Kind, Value};
use std::fmt::Write as _;

const UCUM: &str = "http://unitsofmeasure.org";

impl Pass<'_> {
    /// A code under a known system and in its form, with its system and nothing else.
    pub(super) fn coding(&mut self, kids: &Kids, value: Value<'_, '_>) -> bool {
        let text = |name| value.get(name).and_then(Value::text);
        let (Some(system), Some(code)) = (text("system"), text("code")) else {
            return false;
        };
        if !self.rules.terminologies.has(&system, &code) {
            return false;
        }
        self.sheet.out.push('{');
        self.sheet.text("system", &system);
        self.sheet.text("code", &code);
        self.sheet.out.push('}');
        self.log_member(kids, "system", Fate::Kept);
        self.log_member(kids, "code", Fate::Kept);
        self.log_others(kids, value, &["system", "code"]);
        true
    }

    /// A number with its comparator and unit. Dropped: one whose unit is there and cannot be kept, one without a
    /// number, and a time that is longer than the oldest age that is shown.
    pub(super) fn quantity(&mut self, kids: &Kids, value: Value<'_, '_>) -> bool {
        let Some(read) = Read::of(self, kids, value) else {
            return false;
        };
        if read
            .years()
            .is_some_and(|years| years >= f64::from(self.rules.pooled_years))
        {
            return false;
        }
        let Some(number) = read.number else {
            return false;
        };
        let number = amount(number, self.rules.digits);
        let (digits, fate) = match &number {
            Amount::Kept(digits) => (*digits, Fate::Kept),
            Amount::Rounded(digits) => (digits.as_str(), Fate::Banded),
            Amount::Dropped => return false,
        };
        self.sheet.out.push('{');
        self.sheet.name("value");
        self.sheet.out.push_str(digits);
        self.log_member(kids, "value", fate);
        if let Some(comparator) = read.comparator {
            self.sheet.text("comparator", comparator);
            self.log_member(kids, "comparator", Fate::Kept);
        }
        self.unit(kids, &read);
        self.sheet.out.push('}');
        self.log_others(kids, value, JUDGED);
        true
    }

    fn unit(&mut self, kids: &Kids, read: &Read<'_>) {
        if read.shown.is_some() {
            match &read.unit {
                Some(unit) => {
                    self.sheet.text("unit", unit);
                    self.log_member(kids, "unit", Fate::Kept);
                }
                None => self.log_member(kids, "unit", Fate::Dropped),
            }
        }
        if let Some((system, code)) = &read.coded {
            self.sheet.text("system", system);
            self.sheet.text("code", code);
            self.log_member(kids, "system", Fate::Kept);
            self.log_member(kids, "code", Fate::Kept);
        }
    }

    /// An age in whole units, pooled where the rules say.
    pub(super) fn age(&mut self, kids: &Kids, value: Value<'_, '_>) -> bool {
        let Some(read) = Read::of(self, kids, value) else {
            return false;
        };
        let number = read.number.and_then(|number| number.parse::<f64>().ok());
        let (Some(years), Some(number), Some((_, unit))) = (read.years(), number, &read.coded)
        else {
            return false;
        };
        if !(years > 0.0 && years.is_finite()) {
            return false;
        }
        let pooled = f64::from(self.rules.pooled_years);
        let (shown, unit, comparator) = match years >= pooled {
            // "Less than 95" may be an age that is shown, and is not known to be: it is pooled too.
            true => (pooled, "a", Some(">=")),
            false => {
                let (shown, unit) = coarse_age(number, unit, years);
                (shown.max(1.0), unit, read.comparator)
            }
        };
        let same = read.number.is_some_and(|text| text == format!("{shown}"));
        let fate = if same && years < pooled {
            Fate::Kept
        } else {
            Fate::Banded
        };
        self.sheet.out.push('{');
        self.sheet.name("value");
        write!(self.sheet.out, "{shown}").unwrap_or_default();
        self.log_member(kids, "value", fate);
        if let Some(comparator) = comparator {
            self.sheet.text("comparator", comparator);
        }
        for (name, text) in [("unit", unit), ("system", UCUM), ("code", unit)] {
            self.sheet.text(name, text);
        }
        self.sheet.out.push('}');
        for name in ["comparator", "unit", "system", "code"] {
            if value.get(name).is_some() {
                self.log_member(kids, name, Fate::Kept);
            }
        }
        self.log_others(kids, value, JUDGED);
        true
    }

    /// A start and an end. Where one is less exact than the other it is dropped: moved as exactly as it
    /// can be, it could come after the end.
    pub(super) fn period(&mut self, kids: &Kids, value: Value<'_, '_>) -> bool {
        let (start, end) = (value.get("start"), value.get("end"));
        let (start_text, end_text) = (start.and_then(Value::text), end.and_then(Value::text));
        let start_read = start_text.as_deref().and_then(When::read);
        let end_read = end_text.as_deref().and_then(When::read);
        let exact = start_read
            .iter()
            .chain(&end_read)
            .map(|when| when.precision)
            .max();
        let kept = |when: &When<'_>| Some(when.precision) == exact;
        let shown = [
            ("start", start, start_read.filter(kept)),
            ("end", end, end_read.filter(kept)),
        ];
        self.sheet.out.push('{');
        let mut written = false;
        for (name, value, when) in shown {
            if let Some(when) = when.and_then(|when| self.moved(&when)) {
                self.sheet.name(name);
                self.sheet.out.push('"');
                when.push_to(&mut self.sheet.out);
                self.sheet.out.push('"');
                self.log_member(kids, name, Fate::Shifted);
                written = true;
            } else if value.is_some() {
                self.log_member(kids, name, Fate::Dropped);
            }
        }
        self.sheet.out.push('}');
        self.log_others(kids, value, &["start", "end"]);
        written
    }

    /// A reference to a resource of a type that has rules. A Patient is named only where it is the subject.
    pub(super) fn reference(&mut self, node: &Node, value: Value<'_, '_>) -> bool {
        let text = value.get("reference").and_then(Value::text);
        let Some((name, id)) = text.as_deref().and_then(relative) else {
            return false;
        };
        let Some((name, _)) = self.rules.tree.roots.get_key_value(name) else {
            return false;
        };
        if !node.element.is_some_and(|element| element.may_name(name)) {
            return false;
        }
        let pseudonym = match *name {
            "Patient" if !self.cloak.is_patient(id) => return false,
            "Patient" => self.cloak.pseudonym(),
            name => self.cloak.id(name, id),
        };
        self.sheet.out.push_str("{\"reference\":\"");
        self.sheet.out.push_str(name);
        self.sheet.out.push('/');
        pseudonym.push_to(&mut self.sheet.out);
        self.sheet.out.push_str("\"}");
        self.log_member(&node.kids, "reference", Fate::Pseudonymised);
        self.log_others(&node.kids, value, &["reference"]);
        true
    }

    /// A reference that names the subject; false for any other.
    pub(super) fn subject(&mut self, kids: &Kids, value: Value<'_, '_>) -> bool {
        let text = value.get("reference").and_then(Value::text);
        let named = text.as_deref().and_then(relative);
        if !named.is_some_and(|(name, id)| name == "Patient" && self.cloak.is_patient(id)) {
            return false;
        }
        self.sheet.out.push_str("{\"reference\":\"Patient/");
        self.cloak.pseudonym().push_to(&mut self.sheet.out);
        self.sheet.out.push_str("\"}");
        self.log_member(kids, "reference", Fate::Pseudonymised);
        self.log_others(kids, value, &["reference"]);
        true
    }
}

/// The members of a quantity that are judged together.
const JUDGED: &[&str] = &["value", "comparator", "unit", "system", "code"];

/// A quantity, as far as it may leave.
struct Read<'v> {
    number: Option<&'v str>,
    comparator: Option<&'static str>,
    /// What stands in `unit`.
    shown: Option<std::borrow::Cow<'v, str>>,
    /// That, where it is a unit of UCUM.
    unit: Option<std::borrow::Cow<'v, str>>,
    /// System and code, where they may leave.
    coded: Option<(std::borrow::Cow<'v, str>, std::borrow::Cow<'v, str>)>,
}

impl<'v> Read<'v> {
    /// `None` where something that changes the meaning of the number cannot be kept.
    fn of(pass: &Pass<'_>, kids: &Kids, value: Value<'_, 'v>) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::text);
        let comparator = match value.get("comparator") {
            Some(value) => {
                let node = kids
                    .place("comparator")
                    .and_then(|at| pass.rules.tree.node(at));
                Some(node?.element?.bound_code(&value.text()?)?)
            }
            None => None,
        };
        // Beside a primitive can stand that its value is not what it seems.
        let beside = value.get("_comparator").is_some() && comparator.is_none();
        let changed = beside || value.get("modifierExtension").is_some();
        let number = match value.get("value") {
            Some(number) if number.kind() == Kind::Number => Some(number.raw()),
            _ => None,
        };
        let coded = text("system").zip(text("code"));
        let coded = coded.filter(|(system, code)| pass.rules.terminologies.has(system, code));
        let shown = text("unit");
        let unit = shown.clone().filter(|unit| is_unit(unit));
        let said = ["unit", "system", "code"]
            .iter()
            .any(|name| value.get(name).is_some());
        let known = coded.is_some() || (unit.is_some() && value.get("code").is_none());
        (!changed && (known || !said)).then_some(Self {
            number,
            comparator,
            shown,
            unit,
            coded,
        })
    }

    /// How many years it lasts, if it is a time.
    fn years(&self) -> Option<f64> {
        let number: f64 = self.number?.parse().ok()?;
        let coded = self.coded.as_ref().filter(|(system, _)| system == UCUM);
        let unit = match coded {
            Some((_, code)) => code,
            None => self.unit.as_ref()?,
        };
        Some(number * years_of(unit)?)
    }
}

/// Type and id of `Type/id` or `Type/id/_history/version`.
fn relative(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('/')?;
    let id = match rest.split_once('/') {
        None => rest,
        Some((id, version)) => {
            version
                .strip_prefix("_history/")
                .filter(|version| fhir::is_id(version))?;
            id
        }
    };
    fhir::is_id(id).then_some((name, id))
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn only_relative_references_are_read() {
        assert_eq!(relative("Patient/a"), Some(("Patient", "a")));
        assert_eq!(relative("Patient/a/_history/2"), Some(("Patient", "a")));
        for other in [
            "Patient",
            "Patient/",
            "#a",
            "http://h/Patient/a",
            "urn:uuid:a",
            "Patient/a/b",
            "Patient/a b",
            "Patient/a/_history/",
            "Patient?identifier=a",
        ] {
            assert_eq!(relative(other), None, "{other}");
        }
    }
}
