//! What the draft orders ask for, as far as their codes tell.

use crate::{
    Error,
    shape::{entries, optional, resource_type},
};
use answer::Next;
use json::{Kind, Value};
use std::collections::BTreeSet;

/// LOINC codes of whole exome analysis, whole genome analysis, and HL7's genetic report.
const GENETIC: [&str; 3] = [EXOME, "86206-0", "81247-9"];
/// LOINC: whole exome sequence analysis in blood or tissue.
pub(crate) const EXOME: &str = "86205-2";

/// Codes of the draft orders.
#[derive(Default)]
pub(crate) struct Orders {
    loinc: BTreeSet<String>,
    hpo: BTreeSet<String>,
    names_gene: bool,
    /// Service requests with neither a LOINC nor an HPO code.
    pub(crate) not_compared: usize,
}

impl Orders {
    /// Of a Bundle; what is revoked, entered in error or not to be done is no order.
    pub(crate) fn of(bundle: Value<'_, '_>) -> Result<Self, Error> {
        let mut orders = Self::default();
        for entry in entries(bundle)? {
            let Some(resource) = optional(entry, "resource") else {
                continue;
            };
            let status = resource.get("status").and_then(Value::text);
            let is_void = matches!(status.as_deref(), Some("revoked" | "entered-in-error"));
            let is_refused = resource.get("doNotPerform").and_then(Value::boolean) == Some(true);
            if !is_void && !is_refused {
                orders.add(resource)?;
            }
        }
        Ok(orders)
    }

    fn add(&mut self, resource: Value<'_, '_>) -> Result<(), Error> {
        let mut is_compared = false;
        let details = resource.get("orderDetail");
        let details = details.filter(|list| list.kind() == Kind::Array);
        let concepts = details.into_iter().flat_map(Value::children);
        for concept in resource.get("code").into_iter().chain(concepts) {
            let codings = concept.get("coding");
            for coding in codings.into_iter().flat_map(Value::children) {
                is_compared |= self.coding(coding);
            }
        }
        if !is_compared && resource_type(resource, "resource")? == "ServiceRequest" {
            self.not_compared += 1;
        }
        Ok(())
    }

    /// Whether the coding can be compared.
    fn coding(&mut self, coding: Value<'_, '_>) -> bool {
        let of = |name| coding.get(name).and_then(Value::text);
        let (Some(system), Some(code)) = (of("system"), of("code")) else {
            return false;
        };
        let code = code.trim();
        let bare = system.split_once("://").map_or(&*system, |(_, rest)| rest);
        let bare = bare.trim_start_matches("www.").trim_end_matches('/');
        match bare {
            "loinc.org" | "urn:oid:2.16.840.1.113883.6.1" => {
                self.loinc.insert(code.to_owned());
            }
            _ if code.starts_with("HP:") => {
                self.hpo.insert(code.to_owned());
            }
            _ if bare.split('/').next() == Some("genenames.org") => self.names_gene = true,
            _ => return false,
        }
        true
    }

    /// Whether an order would give the answer: one of its tests, the finding itself, or one alike.
    pub(crate) fn answer(&self, next: &Next) -> bool {
        let mut terms = next.alike.iter().chain([&next.term]);
        terms.any(|term| self.hpo.contains(&term.id))
            || next.loinc.iter().any(|code| self.loinc.contains(code))
    }

    /// Whether an order is of a gene, an exome or a genome.
    pub(crate) fn are_genetic(&self) -> bool {
        self.names_gene || GENETIC.iter().any(|&code| self.loinc.contains(code))
    }
}
