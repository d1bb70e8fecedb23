//! What the references of a transaction become.

use super::names::{Means, Names, below};
use super::{Meant, entry_path};
use crate::custodian::Custodian;
use crate::error::{Error, Problem};
use crate::fhir::FhirTransact;
use crate::fhir::open::Reading;
use crate::record::form::Links;
use ::fhir::Parsed;
use codec::id::{RecordId, SubjectId};
use std::collections::BTreeMap;
use store::Store;

impl<S: Store> Custodian<S> {
    /// What the references of each write become.
    pub(super) async fn links(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirTransact,
        names: &mut Names<'_>,
        meant: &[Meant<'_>],
        parsed: &[Option<Parsed<'_>>],
        ids: &[Option<String>],
    ) -> Result<Vec<Links>, Error> {
        let link = |at: usize| {
            let (meant, id) = (meant.get(at)?, ids.get(at)?.as_ref()?);
            Some(format!("{}/{id}", meant.write.kind))
        };
        let whole = (0..meant.len()).filter_map(|at| {
            let full_url = meant.get(at)?.write.full_url.clone()?;
            Some((full_url, link(at)?))
        });
        let shared = Links::new(whole.collect());
        let mut links = Vec::with_capacity(meant.len());
        let mut problems_found = Vec::new();
        for (at, (meant, parsed)) in meant.iter().zip(parsed).enumerate() {
            let mut own = BTreeMap::new();
            for reference in parsed.iter().flat_map(Parsed::references) {
                let text = reference.text.as_ref();
                let means = names.means(self, reading, at, text).await?;
                // What is under this server's own address is kept relative, with the version that it names.
                let relative = below(text, &input.asker.base);
                let becomes = match means {
                    Means::Entry(entry) => {
                        link(entry).map(|link| match relative.split_once("/_history/") {
                            Some((of, _)) if of == link => relative.to_owned(),
                            _ => link,
                        })
                    }
                    Means::Found(_, link) => Some(link),
                    Means::Here(..) => Some(relative.to_owned()),
                    Means::Elsewhere => None,
                    Means::Refused(message) => {
                        let path = entry_path(at, input.bundle, &meant.write.kind);
                        problems_found.push(Problem {
                            path: format!("{path}.{}", reference.path),
                            message: message.to_owned(),
                        });
                        None
                    }
                };
                if let Some(becomes) = becomes.filter(|becomes| becomes != text) {
                    own.insert(text.to_owned(), becomes);
                }
            }
            links.push(shared.with(own));
        }
        if problems_found.is_empty() {
            return Ok(links);
        }
        Err(Error::Invalid {
            what: "FHIR resource",
            problems_found,
        })
    }
}

/// The id under which each write is found from now on.
pub(super) fn ids(
    meant: &[Meant<'_>],
    records: &[Option<(SubjectId, RecordId)>],
) -> Vec<Option<String>> {
    let id = |(meant, record): (&Meant<'_>, &Option<(SubjectId, RecordId)>)| {
        let (_, record) = (*record)?;
        let known = meant.known_id().map(str::to_owned);
        Some(known.unwrap_or_else(|| record.to_string()))
    };
    meant.iter().zip(records).map(id).collect()
}
