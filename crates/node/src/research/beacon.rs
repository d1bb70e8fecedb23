//! GA4GH Beacon v2 for one study: what a researcher's software asks, and what it is told.
//!
//! Each study has a beacon of its own, for whoever counts is decided by study. Everything but the answers about
//! individuals says what anybody who may look at the study may know.

use super::terms::Known;
use super::{BeaconAnswer, BeaconAsk};
use crate::custodian::Custodian;
use crate::error::{Error, Kind as ErrorKind};
use consent::Role;
use discovery::response::{
    self, Beacon, Environment, FilteringTerm, Ontology as Vocabulary, Organisation,
};
use discovery::{Kind, Method, Request, parse_get, parse_page, parse_post};
use ontology::Ontology;
use store::Store;

/// Who may ask a beacon at all.
const ASKERS: [Role; 2] = [Role::Researcher, Role::Committee];

impl<S: Store> Custodian<S> {
    /// Answers a request to a study's beacon.
    pub(crate) async fn beacon(&self, input: BeaconAsk) -> Result<BeaconAnswer, Error> {
        input.caller.needs("asking a beacon", &ASKERS)?;
        self.own_staff(&input.caller)?;
        let row = self.study_row(&input.study).await?.row;
        let beacon = self.beacon_of(&input, &row.case.study);
        let insight = self.insight.as_ref().ok_or_else(super::count::unknowing)?;
        let ontology = insight.ontology();
        let fine = |body| Ok(BeaconAnswer { status: 200, body });
        let refused = |request: Option<&Request>, why: &discovery::Refusal| BeaconAnswer {
            status: 400,
            body: response::refused(&beacon, request, why),
        };
        match input.kind {
            Kind::Info => fine(response::info(&beacon)),
            Kind::ServiceInfo => fine(response::service_info(&beacon)),
            Kind::Configuration => fine(response::configuration(&beacon)),
            Kind::Map => fine(response::map(&beacon)),
            Kind::EntryTypes => fine(response::entry_types(&beacon)),
            Kind::FilteringTerms => match parse_page(&input.query) {
                Ok(page) => fine(response::filtering_terms(
                    &beacon,
                    &vocabularies(ontology),
                    terms(ontology),
                    page,
                )),
                Err(why) => Ok(refused(None, &why)),
            },
            Kind::Individuals => {
                let parsed = match (input.method, &input.body) {
                    (Method::Post, Some(body)) => parse_post(body, &Known(ontology)),
                    _ => parse_get(&input.query, &Known(ontology)),
                };
                let request = match parsed {
                    Ok(request) => request,
                    Err(why) => return Ok(refused(None, &why)),
                };
                if request.test_mode() {
                    return fine(response::test_answer(&beacon, &request));
                }
                let counted = self
                    .count_query(&input.caller, &input.study, &request.query)
                    .await;
                match counted {
                    Ok(counted) => fine(response::answer(&beacon, &request, &counted.drawn)),
                    Err(error) => match status_of(&error) {
                        Some(status) => Ok(BeaconAnswer {
                            status,
                            body: response::error(
                                &beacon,
                                Some(&request),
                                status,
                                &error.to_string(),
                            ),
                        }),
                        None => Err(error),
                    },
                }
            }
        }
    }

    fn beacon_of(&self, input: &BeaconAsk, study: &consent::Study) -> Beacon {
        let leaf = self.ledger.state_view().institution(&self.id);
        Beacon {
            id: format!("urn:ithaca:study:{}", input.study),
            name: study.title.to_string(),
            description: study.summary.to_string(),
            organisation: Organisation {
                id: self.id.to_string(),
                name: leaf.map(|leaf| leaf.institution.name).unwrap_or_default(),
                url: input.root.clone(),
            },
            root_url: input.root.clone(),
            environment: Environment::Test,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            display: self.research.discovery.display,
        }
    }
}

/// What Beacon's own errors are for; all else is for the edge.
fn status_of(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::Busy => Some(429),
        ErrorKind::Conflict => Some(409),
        ErrorKind::Unavailable => Some(503),
        ErrorKind::Invalid => Some(400),
        _ => None,
    }
}

fn vocabularies(ontology: &Ontology) -> Vec<Vocabulary> {
    let version = ontology.versions().next().map(|version| version.version);
    let hpo = Vocabulary {
        id: "hp".to_owned(),
        name: "Human Phenotype Ontology".to_owned(),
        prefix: "HP".to_owned(),
        version: version.unwrap_or_default().to_owned(),
        url: "https://hpo.jax.org".to_owned(),
    };
    let named = |id: &str, name: &str, prefix: &str, url: &str| Vocabulary {
        id: id.to_owned(),
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        version: String::new(),
        url: url.to_owned(),
    };
    vec![
        hpo,
        named(
            "omim",
            "Online Mendelian Inheritance in Man",
            "OMIM",
            "https://omim.org",
        ),
        named("orpha", "Orphanet", "ORPHA", "https://www.orpha.net"),
        named(
            "mondo",
            "Monarch Disease Ontology",
            "MONDO",
            "https://mondo.monarchinitiative.org",
        ),
    ]
}

/// Every feature and disease that may be asked for.
fn terms(ontology: &Ontology) -> impl Iterator<Item = FilteringTerm> + '_ {
    let root = ontology.roots().phenotypic_abnormality;
    let features = ontology.descendants(root).iter().map(move |(ix, _)| {
        let term = ontology.term(*ix);
        FilteringTerm {
            id: term.id().to_string(),
            label: term.label().to_owned(),
            kind: "Human Phenotype Ontology".to_owned(),
        }
    });
    let diseases = ontology.diseases().map(move |ix| {
        let disease = ontology.disease(ix);
        let id = disease.id().to_string();
        let kind = match id.split_once(':') {
            Some(("OMIM", _)) => "Online Mendelian Inheritance in Man",
            _ => "Orphanet",
        };
        FilteringTerm {
            id,
            label: disease.name().to_owned(),
            kind: kind.to_owned(),
        }
    });
    features.chain(diseases)
}
