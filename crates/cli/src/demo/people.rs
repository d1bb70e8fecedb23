//! Who acts in the demo: at which institution, under which token.

use super::nodes::{CHILDRENS, FAMILIES, LABORATORY, Network, PYLOS};
use anyhow::Result;
use codec::SubjectId;
use consent::Role;

pub(crate) const SPECIALIST: &str = "dr-boateng";
pub(crate) const STRANGER: &str = "dr-nobody";
pub(crate) const LOCUM: &str = "dr-summers-locum";
pub(crate) const CLINICIAN: &str = "dr-okafor";
pub(crate) const GENETICIST: &str = "dr-ferrari";
pub(crate) const RESEARCHER: &str = "dr-karras";
pub(crate) const COMMITTEE: &str = "prof-adeyemi";

/// Somebody: where they work, and the token of theirs there.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) at: usize,
    pub(crate) name: &'static str,
    pub(crate) token: String,
}

/// Everybody but the parents.
pub(crate) struct People {
    pub(crate) desk: Person,
    pub(crate) clinician: Person,
    pub(crate) geneticist: Person,
    pub(crate) emergency: Person,
    pub(crate) officer: Person,
    pub(crate) specialist: Person,
    /// A colleague of the specialist's whom nobody asked.
    pub(crate) stranger: Person,
    /// Someone whose grant ends during the demo.
    pub(crate) locum: Person,
    /// Who sees what the specialist's own hospital has logged.
    pub(crate) officer_elsewhere: Person,
    pub(crate) desk_elsewhere: Person,
    pub(crate) laboratory_desk: Person,
    pub(crate) laboratory: Person,
    /// Who asks for data at the children's hospital, and who decides there.
    pub(crate) researcher: Person,
    pub(crate) committee: Person,
    /// One who looks after the node, at each institution.
    pub(crate) operators: [Person; 4],
}

impl People {
    pub(crate) fn new(network: &Network) -> Result<Self> {
        let person = |at, name, roles: &[Role]| -> Result<Person> {
            let token = network.token(at, name, roles)?;
            Ok(Person { at, name, token })
        };
        let operator = |at| person(at, "operator", &[Role::Operator]);
        let guests = [Role::Geneticist, Role::Clinician];
        Ok(Self {
            desk: person(CHILDRENS, "registration-desk", &[Role::Desk])?,
            clinician: person(CHILDRENS, CLINICIAN, &[Role::Clinician])?,
            geneticist: person(CHILDRENS, GENETICIST, &[Role::Geneticist])?,
            emergency: person(
                CHILDRENS,
                "dr-lind-emergency",
                &[Role::Clinician, Role::EmergencyClinician],
            )?,
            officer: person(CHILDRENS, "privacy-officer", &[Role::PrivacyOfficer])?,
            specialist: person(PYLOS, SPECIALIST, &guests)?,
            stranger: person(PYLOS, STRANGER, &guests)?,
            locum: person(PYLOS, LOCUM, &guests)?,
            officer_elsewhere: person(PYLOS, "privacy-officer", &[Role::PrivacyOfficer])?,
            desk_elsewhere: person(PYLOS, "registration-desk", &[Role::Desk])?,
            laboratory_desk: person(LABORATORY, "registration-desk", &[Role::Desk])?,
            laboratory: person(LABORATORY, "sequencing", &[Role::Laboratory])?,
            researcher: person(CHILDRENS, RESEARCHER, &[Role::Researcher])?,
            committee: person(CHILDRENS, COMMITTEE, &[Role::Committee])?,
            operators: [
                operator(CHILDRENS)?,
                operator(PYLOS)?,
                operator(LABORATORY)?,
                operator(FAMILIES)?,
            ],
        })
    }

    /// The parent of one child, at the children's hospital.
    pub(crate) fn parent(network: &Network, subject: SubjectId) -> Result<Person> {
        let name = "parent-account";
        let token = network.token_for(CHILDRENS, name, &[Role::Controller], Some(subject))?;
        Ok(Person {
            at: CHILDRENS,
            name,
            token,
        })
    }
}
