//! Which resources a resource points at, and whose compartment it is in.

use crate::parsed::Parsed;
use crate::search::reference::Target;
use crate::search::table::{Kind, Parameter, table};
use crate::search::value::{IndexValue, Reference};
use crate::search::walk::{collect, walk};
use json::Value;
use std::fmt;

/// What a resource points at by a reference parameter, in the order of the elements. Contained
/// resources and references by identifier alone are left out.
pub fn references<'a>(resource: &Parsed<'a>, parameter: &str) -> Vec<Target<'a>> {
    let mut targets = Vec::new();
    read(resource, &[parameter], &mut |reference| {
        targets.extend(reference.target);
    });
    targets
}

/// The types and their reference parameters that may point at a resource type.
pub fn pointing_at(resource_type: &str) -> Vec<(&'static str, &'static str)> {
    let mut pairs = Vec::new();
    for of in table().types() {
        let points = of.parameters.iter().filter(|parameter| {
            let targets = &parameter.targets;
            parameter.kind == Kind::Reference
                && (targets.is_empty() || targets.contains(&resource_type))
        });
        pairs.extend(points.map(|parameter| (of.name, parameter.name)));
    }
    pairs
}

/// Elements that say whom a resource is about.
const ABOUT: [&str; 5] = [
    "beneficiary",
    "candidate",
    "individual",
    "patient",
    "subject",
];

/// A reference by which a resource may be in a patient's compartment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placing {
    /// The reference as it is written, without a version (`Patient/x`, a URL, `urn:uuid:...`, `#x`, a bare
    /// id); none if it names somebody by an identifier or by words alone.
    pub reference: Option<String>,
    /// Whether it says that it names a Patient, or whom the resource is about; otherwise it may name somebody
    /// who took part.
    pub is_about: bool,
}

impl fmt::Debug for Placing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placing(<redacted>)")
    }
}

/// The references that put a resource into patients' compartments by the CompartmentDefinition, sorted, each
/// once. One that does not say what it points at counts; one that says that it is no Patient does not.
pub fn compartment_references(resource: &Parsed<'_>) -> Vec<Placing> {
    let name = resource.resource_type();
    let Some(of) = table().searched(name) else {
        return Vec::new();
    };
    let names = compartment_parameters(name);
    let root = resource.root();
    let mut found = Vec::new();
    let leaf = &mut |&(parameter, _): &(usize, usize), element: Value<'_, '_>| {
        let parameter: Option<&Parameter> = of.parameters.get(parameter);
        let wanted = |p: &&Parameter| p.kind == Kind::Reference && names.contains(&p.name);
        if parameter.is_some_and(|p| wanted(&p)) {
            found.extend(placing(root, element));
        }
    };
    walk(&of.values, 0, root, leaf);
    found.sort();
    found.dedup();
    found
}

fn placing(root: Value<'_, '_>, element: Value<'_, '_>) -> Option<Placing> {
    const PATIENT: &str = "Patient";
    let text = |name: &str| element.get(name)?.text();
    let written = text("reference").filter(|written| !written.is_empty());
    let target = written.clone().and_then(Target::read);
    let contained = written.as_deref().and_then(|text| text.strip_prefix('#'));
    let contained = contained.and_then(|id| {
        let all = root.get("contained")?;
        let is = |one: &Value<'_, '_>| one.get("id").and_then(Value::text).as_deref() == Some(id);
        all.children().find(is)?.get("resourceType")?.text()
    });
    let said = target.as_ref().and_then(Target::resource_type);
    let said = said.or(contained.as_deref()).map(str::to_owned);
    let said = said.or_else(|| text("type").map(|of| of.into_owned()));
    let names_somebody =
        written.is_some() || element.get("identifier").is_some() || text("display").is_some();
    if !names_somebody || said.as_deref().is_some_and(|said| said != PATIENT) {
        return None;
    }
    let is_about = element.key().is_some_and(|name| ABOUT.contains(&&*name));
    let reference = match target {
        Some(target) => Some(target.text()),
        None => written.map(|text| text.into_owned()),
    };
    Some(Placing {
        reference,
        is_about: is_about || said.is_some(),
    })
}

/// The parameters that put a resource of a type into a patient's compartment.
pub fn compartment_parameters(resource_type: &str) -> &'static [&'static str] {
    let searched = table().searched(resource_type);
    searched.map_or(&[], |of| of.compartment.as_slice())
}

fn read<'a>(resource: &Parsed<'a>, names: &[&str], found: &mut dyn FnMut(Reference<'a>)) {
    let Some(of) = table().searched(resource.resource_type()) else {
        return;
    };
    let wanted = |p: &Parameter| p.kind == Kind::Reference && names.contains(&p.name);
    collect(of, resource, &wanted, &mut |_, value| {
        if let IndexValue::Reference(reference) = value {
            found(reference);
        }
    });
}
