//! Who asks: nobody, each role, families, and people of another institution.

use crate::{
    families::Family,
    house::{House, Person},
};
use codec::SubjectId;
use consent::Role;

/// Someone who asks.
pub(super) struct Asker {
    /// As the head of a column.
    pub(super) short: &'static str,
    pub(super) says: &'static str,
    /// What for it reads.
    pub(super) purpose: &'static str,
    token: Token,
}

pub(super) enum Token {
    Of(String),
    Parent,
    Former,
    Device,
}

impl Asker {
    pub(super) fn token<'a>(&'a self, family: &'a Family) -> &'a str {
        match &self.token {
            Token::Of(token) => token,
            Token::Parent => &family.parent,
            Token::Former => &family.former,
            Token::Device => &family.device,
        }
    }
}

pub(super) fn askers(house: &House) -> Vec<Asker> {
    const STAFF: &[(Role, &str, &str)] = &[
        (Role::Clinician, "clin", "TREAT"),
        (Role::Geneticist, "gene", "TREAT"),
        (Role::Nurse, "nurs", "TREAT"),
        (Role::EmergencyClinician, "emer", "ETREAT"),
        (Role::Desk, "desk", "PATADMIN"),
        (Role::PrivacyOfficer, "priv", "PATRQT"),
        (Role::Auditor, "audi", "HCOMPL"),
        (Role::Researcher, "rese", "HRESCH"),
        (Role::Laboratory, "labo", "TREAT"),
        (Role::Device, "devi", "TREAT"),
        (Role::Controller, "ctrl", "PATRQT"),
        (Role::System, "syst", "HSYSADMIN"),
        (Role::Operator, "oper", "HSYSADMIN"),
        (Role::Committee, "comm", "HRESCH"),
    ];
    assert_eq!(STAFF.len(), Role::ALL.len(), "a role without a column");
    let stranger = SubjectId::new(house.random());
    let elsewhere = |name, roles| Person::staff(house, name, roles).institution(house.elsewhere);
    let mut people: Vec<Person<'_>> = STAFF
        .iter()
        .map(|(role, short, _)| Person::staff(house, short, std::slice::from_ref(role)))
        .collect();
    people.extend([
        Person::staff(house, "free", &[Role::Device]),
        house.controller(&stranger.to_string(), 0),
        elsewhere("specialist-1", &[Role::Clinician]),
        elsewhere("clinician-9", &[Role::Clinician]),
        elsewhere("desk-9", &[Role::Desk]),
        elsewhere("privacy-9", &[Role::PrivacyOfficer]),
        elsewhere("auditor-9", &[Role::Auditor]),
        elsewhere("operator-9", &[Role::Operator]),
    ]);
    let mut tokens = house.tokens(&people).into_iter().map(Token::Of);
    let mut askers = vec![asker("none", "no token", "TREAT", Token::Of(String::new()))];
    for ((role, short, purpose), token) in STAFF.iter().zip(tokens.by_ref()) {
        let (says, token) = match role {
            Role::Controller => ("a controller's role bound to no subject", token),
            Role::Device => ("a device bound to this subject", Token::Device),
            role => (role.as_str(), token),
        };
        askers.push(asker(short, says, purpose, token));
    }
    askers.push(asker(
        "pare",
        "a parent in control of this subject",
        "FAMRQT",
        Token::Parent,
    ));
    askers.push(asker(
        "form",
        "a guardian of this subject whose time is over",
        "FAMRQT",
        Token::Former,
    ));
    askers.push(asker(
        "capp",
        "the clinician's app, with the scope for this node's own interface",
        "TREAT",
        Token::Of(house.app_token("ithaca")),
    ));
    askers.push(asker(
        "fapp",
        "the clinician's app, with scopes for FHIR resources only",
        "TREAT",
        Token::Of(house.app_token("openid user/*.cruds")),
    ));
    let others: [(&str, &str, &str); 8] = [
        ("free", "a device's role bound to no subject", "TREAT"),
        ("othe", "a parent of another subject", "FAMRQT"),
        (
            "spec",
            "elsewhere: the clinician whom the grant names",
            "TREAT",
        ),
        ("stra", "elsewhere: a clinician without a grant", "TREAT"),
        ("fdes", "elsewhere: a desk", "PATADMIN"),
        ("fpri", "elsewhere: a privacy officer", "PATRQT"),
        ("faud", "elsewhere: an auditor", "HCOMPL"),
        ("fope", "elsewhere: an operator", "HSYSADMIN"),
    ];
    for ((short, says, purpose), token) in others.into_iter().zip(tokens) {
        askers.push(asker(short, says, purpose, token));
    }
    askers
}

pub(super) const fn asker(
    short: &'static str,
    says: &'static str,
    purpose: &'static str,
    token: Token,
) -> Asker {
    Asker {
        short,
        says,
        purpose,
        token,
    }
}
