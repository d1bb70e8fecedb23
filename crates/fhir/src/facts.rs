//! What a resource says that the system acts on: codes, dates and links.

use crate::parsed::Parsed;
use crate::table::Target;
use crate::walk::{At, Visit, walk};
use codec::Category::Identity;
use json::Value;
use std::borrow::Cow;
use std::fmt;

/// A coding of a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Code<'a> {
    /// The element, such as `component.valueCodeableConcept`, without `coding`.
    pub path: String,
    /// The code system; empty when it is not named.
    pub system: Cow<'a, str>,
    /// The code.
    pub code: Cow<'a, str>,
}

/// A date, dateTime or instant of a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Date<'a> {
    /// The element, such as `effectivePeriod.start`.
    pub path: String,
    /// The date as it is written, to the precision that is known.
    pub text: Cow<'a, str>,
}

/// A reference or other link of a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Link<'a> {
    /// The element, such as `subject.reference`.
    pub path: String,
    /// The link as it is written.
    pub text: Cow<'a, str>,
}

impl<'a> Parsed<'a> {
    /// Every coding with a code, but not those in contained resources and extensions.
    pub fn codes(&self) -> Vec<Code<'a>> {
        let mut codes = Codes(Vec::new());
        walk(self.root(), self.type_id(), Identity, &mut codes);
        codes.0
    }

    /// Every date, but not those in contained resources and extensions.
    pub fn dates(&self) -> Vec<Date<'a>> {
        let mut dates = Dates(Vec::new());
        walk(self.root(), self.type_id(), Identity, &mut dates);
        dates.0
    }

    /// The target of every reference (`*.reference`), also in contained resources and extensions.
    pub fn references(&self) -> Vec<Link<'a>> {
        let mut links = Links(Vec::new());
        walk(self.root(), self.type_id(), Identity, &mut links);
        links.0
    }

    /// Who or what the resource is about: the reference in its `subject`, `patient`, `beneficiary`
    /// or `individual`.
    pub fn subject(&self) -> Option<Cow<'a, str>> {
        let names = ["subject", "patient", "beneficiary", "individual"];
        let mut subjects = names.iter().filter_map(|name| self.root().get(name));
        subjects.find_map(|subject| subject.get("reference")?.text())
    }
}

struct Codes<'a>(Vec<Code<'a>>);

impl<'d, 'a> Visit<'d, 'a> for Codes<'a> {
    fn object(&mut self, value: Value<'d, 'a>, type_name: &'static str, at: At<'_>) {
        if type_name != "Coding" || is_aside(at.path) {
            return;
        }
        let Some(code) = value.get("code").and_then(Value::text) else {
            return;
        };
        let path = match at.path {
            [path @ .., "coding"] => path,
            path => path,
        };
        let system = value.get("system").and_then(Value::text);
        self.0.push(Code {
            path: path.join("."),
            system: system.unwrap_or_default(),
            code,
        });
    }
}

struct Dates<'a>(Vec<Date<'a>>);

impl<'d, 'a> Visit<'d, 'a> for Dates<'a> {
    fn leaf(&mut self, value: Value<'d, 'a>, at: At<'_>) {
        if at.target == Target::Date
            && !is_aside(at.path)
            && let Some(text) = value.text()
        {
            let path = at.path.join(".");
            self.0.push(Date { path, text });
        }
    }
}

struct Links<'a>(Vec<Link<'a>>);

impl<'d, 'a> Visit<'d, 'a> for Links<'a> {
    fn leaf(&mut self, value: Value<'d, 'a>, at: At<'_>) {
        if at.target == Target::Link
            && at.path.last() == Some(&"reference")
            && let Some(text) = value.text()
        {
            let path = at.path.join(".");
            self.0.push(Link { path, text });
        }
    }
}

fn is_aside(path: &[&str]) -> bool {
    path.iter()
        .any(|name| matches!(*name, "contained" | "extension" | "modifierExtension"))
}

macro_rules! redacted {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}, <redacted>)"), self.path)
            }
        })*
    };
}

redacted!(Code Date Link);
