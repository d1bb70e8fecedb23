//! What a phenopacket can be found by.

use crate::{Parsed, Progress, Sex, Status};
use std::collections::BTreeSet;
use std::fmt;

/// One index term: the parameter that is searched, the code system, and the code in it.
///
/// | parameter | system and code |
/// |---|---|
/// | `phenotype`, `phenotype-excluded` | of each finding |
/// | `disease`, `disease-excluded` | of each disease, and of each diagnosis that was not left unsolved |
/// | `gene` | of each gene that was not rejected |
/// | `sex` | no system; `female`, `male` or `other` |
/// | `identifier` | no system; the ids of phenopacket and person |
///
/// A term of a well-known ontology has the code system URI that FHIR uses for it, so that a
/// finding meets itself in both formats; any other has its CURIE's prefix as its system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// What is searched.
    pub parameter: &'static str,
    /// The code system; empty when there is none.
    pub system: String,
    /// The code.
    pub code: String,
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Term({}, <redacted>)", self.parameter)
    }
}

pub(crate) fn of(packet: &Parsed<'_>) -> Vec<Term> {
    let mut terms = BTreeSet::new();
    let mut add = |parameter, curie: &str| terms.extend(coded(parameter, curie));
    for finding in packet.findings() {
        let parameter = if finding.excluded {
            "phenotype-excluded"
        } else {
            "phenotype"
        };
        add(parameter, &finding.term.id);
    }
    for disease in packet.diseases() {
        let parameter = if disease.excluded {
            "disease-excluded"
        } else {
            "disease"
        };
        add(parameter, &disease.term.id);
    }
    let made = packet
        .diagnoses()
        .into_iter()
        .filter(|d| d.progress != Progress::Unsolved);
    for disease in made.filter_map(|diagnosis| diagnosis.disease) {
        add("disease", &disease.id);
    }
    for variant in packet.variants() {
        let gene = variant.gene.filter(|_| variant.status != Status::Rejected);
        add("gene", &gene.map(|gene| gene.id).unwrap_or_default());
    }
    let subject = packet.subject();
    let sex = subject.as_ref().map_or(Sex::Unknown, |subject| subject.sex);
    terms.extend(plain("identifier", &packet.id()));
    terms.extend(plain(
        "identifier",
        &subject.map(|s| s.id).unwrap_or_default(),
    ));
    terms.extend(plain(
        "sex",
        match sex {
            Sex::Unknown => "",
            Sex::Female => "female",
            Sex::Male => "male",
            Sex::Other => "other",
        },
    ));
    terms.into_iter().collect()
}

fn plain(parameter: &'static str, code: &str) -> Option<Term> {
    (!code.is_empty()).then(|| Term {
        parameter,
        system: String::new(),
        code: code.to_owned(),
    })
}

/// Prefix of CURIEs, the code system in FHIR, and whether its codes there keep the prefix.
const SYSTEMS: &[(&str, &str, bool)] = &[
    ("HP", "http://human-phenotype-ontology.org", true),
    ("MONDO", "http://purl.obolibrary.org/obo/mondo.owl", true),
    ("HGNC", "http://www.genenames.org/geneId", true),
    ("OMIM", "http://www.omim.org", false),
    ("ORPHA", "http://www.orpha.net", false),
    ("ORPHANET", "http://www.orpha.net", false),
    ("LOINC", "http://loinc.org", false),
    ("SNOMEDCT", "http://snomed.info/sct", false),
    ("SNOMED", "http://snomed.info/sct", false),
];

fn coded(parameter: &'static str, curie: &str) -> Option<Term> {
    let Some((prefix, local)) = curie.split_once(':') else {
        return plain(parameter, curie);
    };
    let known = SYSTEMS
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(prefix));
    let (system, code) = match known {
        Some((name, system, true)) => (*system, format!("{name}:{local}")),
        Some((_, system, false)) => (*system, local.to_owned()),
        None => (prefix, curie.to_owned()),
    };
    Some(Term {
        parameter,
        system: system.to_owned(),
        code,
    })
}
