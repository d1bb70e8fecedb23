//! The authorisation matrix: every endpoint, every kind of asker, every state of consent.
//!
//! Golden: `snapshots/it__matrix__authorisation.snap`. A change of it is a change of who may do what;
//! read it, then bless it with `INSTA_UPDATE=always cargo test -p ithaca-api --test it matrix`.
//!
//! A cell is the HTTP status. `403` is a matter of role or scope, `403c` a refusal by consent, which is
//! logged where the family sees it. Each asker reads for the purpose that suits it best.

mod cases;

use crate::{
    families::{Family, Nursery, State},
    house::{House, Person, run},
    wire::{Answer, Call},
};
use api::endpoint::{Access, ENDPOINTS, Endpoint};
use cases::{Bytes, Case, Needs};
use codec::SubjectId;
use consent::Role;
use futures::future::join_all;
use std::{collections::BTreeSet, fmt::Write as _, sync::LazyLock};

/// Someone who asks.
pub(crate) struct Asker {
    /// As the head of a column.
    short: &'static str,
    says: &'static str,
    /// What for it reads.
    purpose: &'static str,
    token: Token,
}

enum Token {
    Of(String),
    Parent,
    Former,
}

impl Asker {
    fn token<'a>(&'a self, family: &'a Family) -> &'a str {
        match &self.token {
            Token::Of(token) => token,
            Token::Parent => &family.parent,
            Token::Former => &family.former,
        }
    }
}

#[test]
fn every_endpoint_has_a_row() {
    let cases: BTreeSet<&str> = cases::CASES.iter().map(|case| case.id).collect();
    let endpoints: BTreeSet<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.id).collect();
    assert_eq!(
        cases, endpoints,
        "left: rows of the matrix; right: endpoints"
    );
    assert_eq!(cases.len(), cases::CASES.len(), "a row twice");
    assert_eq!(endpoints.len(), ENDPOINTS.len(), "an endpoint twice");
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/snapshots/it__matrix__authorisation.snap"
    );
    let golden = std::fs::read_to_string(golden).unwrap();
    for endpoint in ENDPOINTS {
        let head = head(endpoint);
        assert!(golden.contains(&head), "not in the golden file: {head}");
    }
}

#[test]
fn authorisation() {
    let matrix = MATRIX.render();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("authorisation", matrix);
    });
}

/// What no golden file may be blessed to say.
#[test]
fn laws() {
    let open: BTreeSet<&str> = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.access == Access::Open)
        .map(|endpoint| endpoint.id)
        .collect();
    let mut broken = BTreeSet::new();
    MATRIX.each(|id, state, asker, status| {
        let done = status.starts_with('2');
        let reads = matches!(id, "record_list" | "record_fetch");
        let lawful = match asker {
            _ if open.contains(id) => done,
            // Without a token, and with one that claims to be the node.
            "none" | "syst" => status == "401",
            "oper" => done == matches!(id, "metrics" | "status"),
            "ctrl" | "othe" | "stra" | "fdes" | "fpri" | "faud" | "fope" => !done,
            "spec" => done == (reads && state == State::Granted),
            // Who controlled an erased subject went with its consent; its trail shows to whoever is
            // bound to it.
            "form" => !done || state == State::Erased && TRAIL.contains(&id),
            "rese" | "devi" | "audi" if reads => !done,
            _ if reads => match state {
                State::Erased => !done,
                State::Restricted => done == matches!(asker, "priv" | "pare"),
                State::NoGrant | State::Granted | State::Revoked => done,
            },
            _ if id.starts_with("record_") && state == State::Erased => !done,
            _ => true,
        };
        if !lawful {
            broken.insert((id, asker));
        }
    });
    assert_eq!(broken, BTreeSet::new(), "endpoint and asker");
}

/// What is left of an erased subject.
const TRAIL: [&str; 5] = [
    "subject_status",
    "subject_erase",
    "notice_list",
    "disclosure_list",
    "disclosure_proof",
];


static MATRIX: LazyLock<Matrix> = LazyLock::new(|| {
    run(async |house| {
        let askers = askers(house);
        let nursery = Nursery::new(house);
        let columns = State::ALL.map(|state| column(house, &nursery, &askers, state));
        Matrix {
            cells: join_all(columns).await,
            askers,
        }
    })
});

struct Matrix {
    askers: Vec<Asker>,
    /// `[state][endpoint][asker]`; no cells where the state does not matter.
    cells: Vec<Vec<Vec<String>>>,
}

/// A request with the query and body of an endpoint's row.
pub(crate) async fn well_formed(call: Call, id: &str, house: &House) -> Call {
    let case = cases::CASES.iter().find(|case| case.id == id).unwrap();
    let bytes = match case.bytes {
        Bytes::None => Vec::new(),
        Bytes::Opening | Bytes::Enrolment => cases::opening(house).await,
    };
    let asker = asker("some", "somebody", "TREAT", Token::Parent);
    (case.call)(call, &asker, &bytes, house)
}

fn askers(house: &House) -> Vec<Asker> {
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
    ];
    assert_eq!(STAFF.len(), Role::ALL.len(), "a role without a column");
    let stranger = SubjectId::new(house.random());
    let elsewhere = |name, roles| Person::staff(house, name, roles).institution(house.elsewhere);
    let mut people: Vec<Person<'_>> = STAFF
        .iter()
        .map(|(role, short, _)| Person::staff(house, short, std::slice::from_ref(role)))
        .collect();
    people.extend([
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
        let says = if *role == Role::Controller {
            "a controller's role bound to no subject"
        } else {
            role.as_str()
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
    let others: [(&str, &str, &str); 7] = [
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

const fn asker(
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

/// Every endpoint for every asker, in one state: `[endpoint][asker]`.
async fn column(
    house: &House,
    nursery: &Nursery<'_>,
    askers: &[Asker],
    state: State,
) -> Vec<Vec<String>> {
    let shared = nursery.take(state, true).await;
    let shared_turn = tokio::sync::Mutex::new(());
    let rows = ENDPOINTS.iter().map(async |endpoint| {
        let case = cases::CASES
            .iter()
            .find(|case| case.id == endpoint.id)
            .unwrap();
        if case.needs == Needs::NoSubject && state != State::NoGrant {
            return Vec::new();
        }
        // On the shared subject one endpoint comes after the other.
        let _turn = match case.needs {
            Needs::Any => Some(shared_turn.lock().await),
            _ => None,
        };
        row(house, nursery, askers, state, endpoint, case, &shared).await
    });
    join_all(rows).await
}

async fn row(
    house: &House,
    nursery: &Nursery<'_>,
    askers: &[Asker],
    state: State,
    endpoint: &Endpoint,
    case: &Case,
    shared: &Family,
) -> Vec<String> {
    let mut own = match case.needs {
        Needs::NoSubject | Needs::Any => shared.clone(),
        Needs::Own => nursery.take(state, false).await,
        Needs::OwnWithTrail => nursery.take(state, true).await,
    };
    let mut row = Vec::new();
    for asker in askers {
        let bytes = match case.bytes {
            Bytes::None => Vec::new(),
            Bytes::Opening => cases::opening(house).await,
            Bytes::Enrolment => own.enrolment.clone(),
        };
        let call = Call::new(endpoint.method.as_str(), case.path(endpoint, &own))
            .bearer(asker.token(&own));
        let answer = (case.call)(call, asker, &bytes, house).send(house).await;
        let changed = answer.status < 300;
        row.push(cell(&answer));
        match case.needs {
            Needs::Own if changed => own = nursery.take(state, false).await,
            Needs::OwnWithTrail if changed => own = nursery.take(state, true).await,
            _ => {}
        }
    }
    row
}

fn cell(answer: &Answer) -> String {
    let by_consent = answer.status == 403 && answer.class() == "consent-denied";
    format!("{}{}", answer.status, if by_consent { "c" } else { "" })
}

fn head(endpoint: &Endpoint) -> String {
    format!(
        "{}: {} {}",
        endpoint.id,
        endpoint.method.as_str(),
        endpoint.path
    )
}

impl Matrix {
    fn render(&self) -> String {
        let mut text = String::new();
        for asker in &self.askers {
            let Asker {
                short,
                says,
                purpose,
                ..
            } = asker;
            writeln!(text, "{short}  {says} (reads for {purpose})").unwrap();
        }
        let line = |name: &str, cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<4}")).collect();
            format!("  {name:<10} {}\n", cells.join(" ").trim_end())
        };
        let shorts: Vec<_> = self
            .askers
            .iter()
            .map(|asker| asker.short.to_owned())
            .collect();
        for (at, endpoint) in ENDPOINTS.iter().enumerate() {
            write!(text, "\n{}\n{}", head(endpoint), line("", &shorts)).unwrap();
            let rows: Vec<_> = self
                .cells
                .iter()
                .map(|column| column[at].as_slice())
                .collect();
            if rows.iter().all(|row| row.is_empty() || *row == rows[0]) {
                text.push_str(&line("always", rows[0]));
                continue;
            }
            for (state, row) in State::ALL.iter().zip(rows) {
                text.push_str(&line(state.name(), row));
            }
        }
        text
    }

    /// Every cell: endpoint, state, asker, status.
    fn each(&self, mut look: impl FnMut(&'static str, State, &'static str, &str)) {
        for (state, column) in State::ALL.iter().zip(&self.cells) {
            for (endpoint, row) in ENDPOINTS.iter().zip(column) {
                for (asker, status) in self.askers.iter().zip(row) {
                    look(endpoint.id, *state, asker.short, status);
                }
            }
        }
    }
}
