//! Elements of FHIR, read strictly: every member is known or an issue.

use crate::outcome::{Issue, IssueType};
use json::{Kind, Value};
use std::borrow::Cow;
use std::fmt;

/// The most issues that are told of one Consent.
pub(crate) const MAX_ISSUES: usize = 50;

/// A value and its FHIRPath.
#[derive(Clone)]
pub(crate) struct At<'d, 'a> {
    pub(crate) value: Value<'d, 'a>,
    pub(crate) path: String,
}

/// What a Reference says of whom it is to.
#[derive(Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// The resource type that it names.
    pub of: Option<Cow<'a, str>>,
    /// A reference: relative (`Patient/1`), absolute, or `urn:uuid:...`.
    pub reference: Option<Cow<'a, str>>,
    /// System (empty if there is none) and value of an identifier.
    pub identifier: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named(<redacted>)")
    }
}

/// Member names that an issue may show: those of R4 in what is read here, which are nobody's.
const SHOWN: [&str; 52] = [
    "action",
    "actor",
    "assigner",
    "authority",
    "category",
    "class",
    "code",
    "coding",
    "contained",
    "data",
    "dataPeriod",
    "dateTime",
    "display",
    "end",
    "extension",
    "id",
    "identifier",
    "implicitRules",
    "language",
    "meaning",
    "meta",
    "modifierExtension",
    "organization",
    "patient",
    "performer",
    "period",
    "policy",
    "policyRule",
    "provision",
    "purpose",
    "reference",
    "resourceType",
    "role",
    "scope",
    "securityLabel",
    "sourceAttachment",
    "sourceReference",
    "start",
    "status",
    "system",
    "text",
    "type",
    "uri",
    "url",
    "value",
    "valueCoding",
    "valueInstant",
    "valuePeriod",
    "valueReference",
    "valueString",
    "verification",
    "verified",
];

pub(crate) fn is_shown(name: &str) -> bool {
    SHOWN.contains(&name)
}

impl<'d, 'a> At<'d, 'a> {
    pub(crate) fn root(value: Value<'d, 'a>) -> Self {
        Self {
            value,
            path: "Consent".to_owned(),
        }
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        match is_shown(name) {
            true => format!("{}.{name}", self.path),
            false => self.path.clone(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        Some(Self {
            value: self.value.get(name)?,
            path: self.path_of(name),
        })
    }

    /// A member's text; none if it is no string.
    pub(crate) fn text_of(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value.get(name)?.text()
    }
}

/// What stands in the way.
#[derive(Default)]
pub(crate) struct Issues(Vec<Issue>);

impl Issues {
    pub(crate) fn add(
        &mut self,
        code: IssueType,
        path: impl Into<String>,
        said: impl Into<String>,
    ) {
        if self.0.len() < MAX_ISSUES {
            self.0.push(Issue::error(code, said).at(path));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_list(self) -> Vec<Issue> {
        self.0
    }

    /// Whether this is an object; an issue for each member that is not among `known`.
    pub(crate) fn object(&mut self, at: &At<'_, '_>, known: &[&str]) -> bool {
        if at.value.kind() != Kind::Object {
            self.add(IssueType::Structure, &at.path, "an object is expected here");
            return false;
        }
        for child in at.value.children() {
            let name = child.key().unwrap_or_default();
            if !known.contains(&&*name) {
                let (code, said) = unknown(&name);
                self.add(code, at.path_of(&name), said);
            }
        }
        true
    }

    /// The items of a list; none if there is no such member.
    pub(crate) fn items<'d, 'a>(&mut self, of: &At<'d, 'a>, name: &str) -> Vec<At<'d, 'a>> {
        let Some(list) = of.get(name) else {
            return Vec::new();
        };
        if list.value.kind() != Kind::Array || list.value.is_leaf() {
            let said = "a list with at least one item is expected here";
            self.add(IssueType::Structure, list.path, said);
            return Vec::new();
        }
        let item = |(position, value)| At {
            value,
            path: format!("{}[{position}]", list.path),
        };
        list.value.children().enumerate().map(item).collect()
    }

    /// System and code of a Coding.
    pub(crate) fn coding(&mut self, at: &At<'_, '_>) -> Option<(String, String)> {
        let known = ["system", "version", "code", "display", "userSelected"];
        if !self.object(at, &known) {
            return None;
        }
        let system = at.text_of("system").unwrap_or_default();
        Some((system.into_owned(), at.text_of("code")?.into_owned()))
    }

    /// The codings of a CodeableConcept: at least one, or an issue.
    pub(crate) fn codings<'d, 'a>(
        &mut self,
        at: &At<'d, 'a>,
    ) -> Vec<(At<'d, 'a>, (String, String))> {
        self.object(at, &["coding", "text"]);
        let mut codings = Vec::new();
        for coding in self.items(at, "coding") {
            match self.coding(&coding) {
                Some(code) => codings.push((coding, code)),
                None => self.add(IssueType::Required, coding.path, "a coding has a code"),
            }
        }
        if codings.is_empty() {
            let said = "text alone is not understood; send a coding";
            self.add(IssueType::Required, &at.path, said);
        }
        codings
    }

    /// The one coding of a CodeableConcept. Several could be read either way.
    pub(crate) fn concept(&mut self, at: &At<'_, '_>) -> Option<(String, String)> {
        let mut codings = self.codings(at);
        if codings.len() > 1 {
            let said = "one coding is expected here; others could mean something else";
            self.add(IssueType::Value, &at.path, said);
        }
        codings.pop().map(|(_, code)| code)
    }

    /// A Reference.
    pub(crate) fn named<'a>(&mut self, at: &At<'_, 'a>) -> Option<Named<'a>> {
        if !self.object(at, &["reference", "type", "identifier", "display"]) {
            return None;
        }
        let identifier = at.get("identifier").map(|identifier| {
            let known = ["use", "type", "system", "value"];
            self.object(&identifier, &known);
            let system = identifier.text_of("system").unwrap_or_default();
            (system, identifier.text_of("value").unwrap_or_default())
        });
        for name in ["reference", "type"] {
            if at.get(name).is_some() && at.text_of(name).is_none() {
                self.add(
                    IssueType::Structure,
                    at.path_of(name),
                    "a text is expected here",
                );
            }
        }
        let named = Named {
            of: at.text_of("type"),
            reference: at.text_of("reference"),
            identifier,
        };
        if named.reference.is_none() && named.identifier.is_none() {
            let said = "a name to show is not enough; send a reference or an identifier";
            self.add(IssueType::Required, &at.path, said);
            return None;
        }
        Some(named)
    }
}

/// What to say of a member that is not taken.
fn unknown(name: &str) -> (IssueType, &'static str) {
    match name {
        "modifierExtension" | "implicitRules" => (
            IssueType::NotSupported,
            "this changes what the consent means in a way that is not known here",
        ),
        "extension" => (
            IssueType::Extension,
            "extensions are not understood here; leave them out if they bind nobody",
        ),
        "contained" => (
            IssueType::NotSupported,
            "contained resources are not read; refer to what is known here",
        ),
        "securityLabel" => (
            IssueType::NotSupported,
            "a grant has no condition on security labels; name categories in class (urn:ithaca:category)",
        ),
        "code" => (
            IssueType::NotSupported,
            "a grant has no condition on codes in the content; name categories in class \
             (urn:ithaca:category), or records that are left out",
        ),
        "dataPeriod" => (
            IssueType::NotSupported,
            "a grant has no condition on when data is from; name records that are left out",
        ),
        _ => (
            IssueType::NotSupported,
            "something here is not an element that is understood; it is not passed over",
        ),
    }
}
