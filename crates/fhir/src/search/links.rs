//! Which resources a resource points at, and whose compartment it is in.

use crate::parsed::Parsed;
use crate::search::reference::Target;
use crate::search::table::{Kind, Parameter, table};
use crate::search::value::{IndexValue, Reference};
use crate::search::walk::collect;

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

/// The patients in whose compartment a resource is by the CompartmentDefinition, sorted, each once:
/// as the references are written, without versions (`Patient/x`, a URL, `urn:uuid:...`, a bare id).
/// A reference that does not say what it points at counts; a Patient is in its own.
pub fn compartment_patients(resource: &Parsed<'_>) -> Vec<String> {
    let name = resource.resource_type();
    let mut patients = Vec::new();
    if name == "Patient"
        && let Some(id) = resource.id()
    {
        patients.push(format!("Patient/{id}"));
    }
    read(resource, compartment_parameters(name), &mut |reference| {
        if reference.may_name("Patient") {
            patients.extend(reference.target.map(|target| target.text()));
        }
    });
    patients.sort();
    patients.dedup();
    patients
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
