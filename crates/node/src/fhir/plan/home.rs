//! Where the writes of a transaction go: in whose compartment each is, and under which record.

use super::names::{Means, Names};
use super::{Meant, entry_path, of_entry};
use crate::custodian::Custodian;
use crate::error::{Error, Problem};
use crate::fhir::FhirTransact;
use crate::fhir::open::Reading;
use crate::fhir::place::is_of_directory;
use ::fhir::{Parsed, search};
use codec::id::{RecordId, SubjectId};
use std::collections::BTreeSet;
use store::Store;
use vault::CompartmentOpen;

/// Where a resource goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    Subject(SubjectId),
    Directory,
}

/// Where a resource goes, or why it goes nowhere.
type Found = Result<Home, &'static str>;

impl<S: Store> Custodian<S> {
    /// Where each write goes; opens compartments for new Patients.
    pub(super) async fn homes(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirTransact,
        names: &mut Names<'_>,
        meant: &[Meant<'_>],
        parsed: &[Option<Parsed<'_>>],
        opens: &mut Vec<CompartmentOpen>,
    ) -> Result<Vec<Option<SubjectId>>, Error> {
        // Patients first: others refer to them.
        let mut homes: Vec<Option<SubjectId>> = vec![None; meant.len()];
        for (at, (meant, home)) in meant.iter().zip(&mut homes).enumerate() {
            if let Some(there) = &meant.there {
                *home = Some(there.place.subject);
            } else if meant.write.kind == "Patient" && meant.content.is_some() {
                let open = self
                    .patient_opening()
                    .map_err(|e| of_entry(e, at, input.bundle))?;
                *home = Some(open.state.subject);
                opens.push(open);
            }
        }
        let mut problems_found = Vec::new();
        for (at, meant) in meant.iter().enumerate() {
            let Some(Some(parsed)) = parsed.get(at) else {
                continue;
            };
            if meant.write.kind == "Patient" {
                continue;
            }
            let home = self.home(reading, names, at, parsed, &homes).await?;
            let there = homes.get_mut(at);
            let problem = match (home, there) {
                (Err(problem), _) => Some(problem),
                (Ok(home), Some(Some(there))) => match home {
                    Home::Subject(subject) if subject != *there => {
                        Some("it is of another patient now; delete it and create it there")
                    }
                    Home::Directory if self.directory_known().await? != Some(*there) => {
                        Some("it names its patient no more; delete it and create it anew")
                    }
                    Home::Subject(_) | Home::Directory => None,
                },
                (Ok(Home::Subject(subject)), Some(there)) => {
                    *there = Some(subject);
                    None
                }
                (Ok(Home::Directory), Some(there)) => {
                    *there = Some(self.directory().await?);
                    None
                }
                (Ok(_), None) => None,
            };
            if let Some(message) = problem {
                problems_found.push(Problem {
                    path: entry_path(at, input.bundle, &meant.write.kind),
                    message: message.to_owned(),
                });
            }
        }
        if problems_found.is_empty() {
            return Ok(homes);
        }
        Err(Error::Invalid {
            what: "FHIR resource",
            problems_found,
        })
    }

    /// In whose compartment a resource belongs. Whatever may name a patient must lead to one: what is taken
    /// for nobody's would stand in the directory for everybody.
    async fn home(
        &self,
        reading: &mut Reading<'_, S>,
        names: &mut Names<'_>,
        at: usize,
        parsed: &Parsed<'_>,
        homes: &[Option<SubjectId>],
    ) -> Result<Found, Error> {
        // Lists of people are the institution's own.
        let placings = match parsed.resource_type() {
            kind if is_of_directory(kind) => Vec::new(),
            _ => search::compartment_references(parsed),
        };
        let mut found = BTreeSet::new();
        let mut is_unclear = false;
        for placing in placings {
            let Some(reference) = &placing.reference else {
                if placing.is_about {
                    return Ok(Err(
                        "it names its patient by no reference; refer to the Patient",
                    ));
                }
                // Who took part may be named so, if it is known whom it is about.
                is_unclear = true;
                continue;
            };
            match names.means(self, reading, at, reference).await? {
                Means::Entry(entry) => match (names.kind(entry), homes.get(entry)) {
                    (Some("Patient"), Some(Some(subject))) => {
                        found.insert(Home::Subject(*subject));
                    }
                    (Some("Patient"), _) => {
                        return Ok(Err("it refers to a Patient that is deleted"));
                    }
                    _ => {}
                },
                Means::Found(subject, link) if link.starts_with("Patient/") => {
                    found.insert(Home::Subject(subject));
                }
                Means::Found(..) => {}
                Means::Here(kind, id) if kind == "Patient" => {
                    let subject = self.fhir_patient(&id).await?;
                    match subject.filter(|subject| reading.reaches(subject)) {
                        Some(subject) => found.insert(Home::Subject(subject)),
                        None => return Ok(Err("it refers to a Patient that is not here")),
                    };
                }
                Means::Here(..) => {}
                Means::Elsewhere => {
                    return Ok(Err(
                        "it refers to somebody who is not here, and may be a patient: refer to a Patient of this \
                         server or of the Bundle, or say its type",
                    ));
                }
                Means::Refused(why) => return Ok(Err(why)),
            }
        }
        let mut found = found.into_iter();
        Ok(match (found.next(), found.next()) {
            (None, _) if is_unclear => Err(
                "it names somebody by an identifier or by words alone, who may be its patient: refer to the Patient, \
                 or say its type",
            ),
            (None, _) => Ok(Home::Directory),
            (Some(home), None) => Ok(home),
            (Some(_), Some(_)) => {
                Err("it refers to two people whose records are apart; say it of each of them")
            }
        })
    }

    /// A compartment for a new Patient.
    fn patient_opening(&self) -> Result<CompartmentOpen, Error> {
        self.opening(SubjectId::new(self.ambient.random()), Vec::new(), None)
    }

    /// The record of each write.
    pub(super) fn records(
        &self,
        meant: &[Meant<'_>],
        homes: &[Option<SubjectId>],
    ) -> Vec<Option<(SubjectId, RecordId)>> {
        let mut entropy = self.ambient.entropy();
        let mut records = Vec::with_capacity(meant.len());
        for (meant, home) in meant.iter().zip(homes) {
            records.push(match (&meant.there, home) {
                (Some(there), _) => Some((there.place.subject, there.place.record)),
                (None, Some(subject)) if meant.done.is_none() => {
                    Some((*subject, self.vault.record_id(subject, &mut entropy)))
                }
                (None, _) => None,
            });
        }
        records
    }
}
