//! The authorisation matrix: every endpoint, every kind of asker, every state of consent.
//!
//! Golden: `snapshots/it__matrix__authorisation.snap`. A change of it is a change of who may do what;
//! read it, then bless it with `INSTA_UPDATE=always cargo test -p ithaca-api --test it matrix`.
//!
//! A cell is the HTTP status. `403` is a matter of role or scope, `403c` a refusal by consent, which is
//! logged where the family sees it. Each asker reads for the purpose that suits it best.

mod askers;
mod cases;
pub(crate) use cases::study;

use crate::{
    families::{Family, Nursery, State},
    house::{House, run},
    wire::{Answer, Call},
};
use api::endpoint::{Access, ENDPOINTS};
use askers::{Asker, Token, asker, askers};
use cases::{BROKEN_GLASS, Bytes, CASES, Case, GENOMIC, LEAF, Needs, STORED_FORM, STORED_LEAF};
use futures::future::join_all;
use std::{collections::BTreeSet, fmt::Write as _, sync::LazyLock};

#[test]
fn every_endpoint_has_a_row() {
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.id).collect();
    let endpoints: BTreeSet<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.id).collect();
    assert_eq!(
        cases, endpoints,
        "left: rows of the matrix; right: endpoints"
    );
    assert_eq!(endpoints.len(), ENDPOINTS.len(), "an endpoint twice");
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/snapshots/it__matrix__authorisation.snap"
    );
    let golden = std::fs::read_to_string(golden).unwrap();
    for case in CASES {
        let head = case.head();
        let rows = golden.matches(&format!("\n{head}\n")).count();
        assert_eq!(rows, 1, "in the golden file: {head}");
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
    MATRIX.each(|case, state, asker, status| {
        let id = case.id;
        // Who may see what is not there is told so.
        let done = status.starts_with('2') || case.variant == GENOMIC && status == "404";
        let reads = matches!(id, "record_list" | "record_fetch");
        let opens = matches!(case.variant, LEAF | STORED_LEAF);
        // An app with the scope is who speaks through it.
        let of_fhir = case.head().contains(" /fhir");
        let asker = match (asker, of_fhir) {
            ("capp", false) | ("fapp", true) => "clin",
            (asker, _) => asker,
        };
        let lawful = match asker {
            // These forms nobody has opened.
            _ if matches!(id, "auth_sign_in" | "auth_agree") => status == "400",
            // Of the house, which is reached at an address in numbers, there are no passkeys.
            _ if id == "passkey_page" => status == "404",
            _ if id.starts_with("passkey_") && id != "passkey_script" => status == "400",
            // Software proves itself by other things than a bearer token.
            "none" if id == "auth_token" => status == "400",
            "none" if id == "auth_introspect" => status == "401",
            _ if matches!(id, "auth_token" | "auth_introspect" | "auth_revoke")
                && asker != "none" =>
            {
                status == "401"
            }
            _ if open.contains(id) => done,
            // Scopes for FHIR resources reach nothing else.
            "fapp" => status == "403",
            // Nor does the scope for the node's own interface reach a FHIR resource; none is touched by a check.
            "capp" => done == (id == "fhir_validate"),
            _ if id == "auth_launch" => done == matches!(asker, "clin" | "gene" | "nurs" | "emer"),
            // Another's broken glass lets nobody in.
            _ if case.variant == BROKEN_GLASS => !done,
            // Of what may be read there nothing is told; anybody of this institution may ask.
            _ if matches!(id, "term_search" | "event_stream") => {
                done == !matches!(
                    asker,
                    "none"
                        | "syst"
                        | "ctrl"
                        | "free"
                        | "spec"
                        | "stra"
                        | "fdes"
                        | "fpri"
                        | "faud"
                        | "fope"
                )
            }
            // A differential is for clinicians, and for no family.
            _ if id.starts_with("differential_") || matches!(id, "diagnose" | "cds_feedback") => {
                done == (matches!(asker, "clin" | "gene" | "emer")
                    && (id != "differential_read"
                        || !matches!(state, State::Erased | State::Restricted)))
            }
            // Searches that nobody is named in find what may be seen: nothing, if need be.
            _ if matches!(
                id,
                "fhir_search" | "fhir_search_form" | "fhir_history_type" | "fhir_validate"
            ) =>
            {
                let elsewhere =
                    matches!(asker, "spec" | "stra" | "fdes" | "fpri" | "faud" | "fope");
                let nobody = matches!(asker, "none" | "syst" | "ctrl" | "free");
                let stranger = elsewhere && id == "fhir_validate";
                done != (nobody || stranger)
            }
            // Who puts records in by one door may by the other; families and devices for their own alone.
            _ if matches!(
                id,
                "fhir_bundle" | "fhir_create" | "fhir_update_matching" | "fhir_delete_matching"
            ) =>
            {
                done == matches!(asker, "clin" | "gene" | "nurs" | "emer" | "labo" | "desk")
            }
            _ if id == "fhir_patch_matching" => !done,
            // What was erased is nobody's: under its id something new can be made. Only staff deletes.
            _ if matches!(id, "fhir_update" | "fhir_delete")
                && !matches!(asker, "none" | "syst" | "ctrl" | "free") =>
            {
                let sources = ["clin", "gene", "nurs", "emer", "labo", "desk"];
                let family = matches!(asker, "pare" | "devi");
                let family = family && id == "fhir_update" && state != State::Erased;
                done == (family || sources.contains(&asker))
            }
            // Of a part nobody changes a part: only who sees all of a Patient patches it.
            _ if id == "fhir_patch" && !matches!(asker, "none" | "syst" | "ctrl" | "free") => {
                let sources = ["clin", "gene", "nurs", "emer", "labo", "desk", "pare"];
                match state {
                    State::Erased => !done,
                    State::Restricted => done == (asker == "pare"),
                    _ => done == sources.contains(&asker),
                }
            }
            // An export is its asker's own: of others nobody hears.
            _ if matches!(
                id,
                "fhir_export_state" | "fhir_export_end" | "fhir_export_file"
            ) && !matches!(asker, "none" | "syst" | "ctrl" | "free") =>
            {
                status == "404"
            }
            // Who reads nothing, or no more than how the house is run, exports nothing.
            _ if id.starts_with("fhir_export")
                && !matches!(asker, "none" | "syst" | "ctrl" | "free") =>
            {
                let barred = matches!(asker, "audi" | "oper" | "comm" | "faud" | "fope");
                !done && (status == "403") == barred
            }
            _ if id.starts_with("fhir_") && !matches!(asker, "none" | "syst" | "ctrl" | "free") => {
                match state {
                    // A search for what is of nobody finds nothing. Who is confined to one patient is told the
                    // same of it as of what is another's.
                    State::Erased => {
                        let confined = ["pare", "form", "othe", "devi"].contains(&asker);
                        done == (id == "fhir_compartment" && !confined)
                    }
                    State::Restricted => done == matches!(asker, "priv" | "pare"),
                    _ if asker == "spec" => done == (state == State::Granted),
                    _ => {
                        let readers = [
                            "clin", "gene", "nurs", "emer", "labo", "desk", "pare", "priv",
                        ];
                        done == readers.contains(&asker)
                    }
                }
            }
            // Who is who is for the desk to say; a privacy officer may look.
            "none" | "syst" | "ctrl" | "free" if id.starts_with("identity_") => status == "401",
            _ if id == "identity_list" => done == matches!(asker, "desk" | "priv"),
            "desk" if id.starts_with("identity_") => status == "404",
            _ if id.starts_with("identity_") => status == "403",
            // Without a token, with one that claims to be the node, with one of a role that needs a subject
            // and has none.
            "none" | "syst" | "ctrl" | "free" => status == "401",
            // Studies are for who researches and who decides; of one that is not there they are told so.
            _ if ["study_", "release_", "beacon_"]
                .iter()
                .any(|of| id.starts_with(of)) =>
            {
                let who: &[&str] = match id {
                    "study_propose" | "study_recontact" | "release_prepare" => &["rese"],
                    "study_list" | "study_show" => &[
                        "rese", "comm", "priv", "audi", "desk", "clin", "pare", "form", "othe",
                    ],
                    "study_matching" => &["comm", "priv"],
                    "study_step" => &["rese", "comm"],
                    "release_certify" => &["comm"],
                    "release_replay" => &["comm", "priv", "audi"],
                    _ if id.starts_with("beacon_") => &["rese", "comm"],
                    _ => &["rese", "comm", "priv", "audi"],
                };
                match who.contains(&asker) {
                    true if matches!(id, "study_propose" | "study_list") => done,
                    true => status == "404",
                    false => status == "403",
                }
            }
            // The ledger's entries are for auditors of anywhere, and for few of members.
            _ if id == "log_bundle" => done == matches!(asker, "oper" | "priv" | "audi" | "faud"),
            "oper" => {
                done == matches!(
                    id,
                    "metrics" | "status" | "network_show" | "network_propose"
                )
            }
            "priv" | "audi" if id == "network_show" => done,
            _ if id.starts_with("network_") => !done,
            "othe" | "stra" | "fdes" | "fpri" | "faud" | "fope" => !done,
            "spec" if !opens => done == (reads && state == State::Granted),
            // Also of an erased subject: who controlled it last is known.
            "form" => !done,
            // A leaf is opened for whoever may read it, and that alone.
            _ if opens => match state {
                State::Erased => !done,
                State::Restricted => done == matches!(asker, "priv" | "pare"),
                _ if asker == "spec" => done == (state == State::Granted),
                _ if case.variant == STORED_LEAF && asker == "desk" => !done,
                _ => done == !matches!(asker, "rese" | "comm" | "devi" | "audi"),
            },
            "rese" | "comm" | "devi" | "audi" if reads => !done,
            _ if reads => match state {
                State::Erased => !done,
                State::Restricted => done == matches!(asker, "priv" | "pare"),
                // What has parts that one may not see is not served whole, or not at all.
                _ if case.variant == STORED_FORM => true,
                _ if case.variant == GENOMIC => {
                    done == matches!(asker, "clin" | "gene" | "labo" | "priv" | "pare")
                }
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
    /// `[state][case][asker]`; no cells where the state does not matter.
    cells: Vec<Vec<Vec<String>>>,
}

/// A request with the query and body of an endpoint's row.
pub(crate) async fn well_formed(call: Call, id: &str, house: &House) -> Call {
    let case = CASES.iter().find(|case| case.id == id).unwrap();
    let bytes = match case.bytes {
        Bytes::None => Vec::new(),
        Bytes::Opening | Bytes::Enrolment => cases::opening(house).await,
    };
    let asker = asker("some", "somebody", "TREAT", Token::Parent);
    (case.call)(call, &asker, &bytes, house)
}

/// Every case for every asker, in one state: `[case][asker]`.
async fn column(
    house: &House,
    nursery: &Nursery<'_>,
    askers: &[Asker],
    state: State,
) -> Vec<Vec<String>> {
    let shared = nursery.take(state, true).await;
    let shared_turn = tokio::sync::Mutex::new(());
    let rows = CASES.iter().map(async |case| {
        if case.needs == Needs::NoSubject && state != State::NoGrant {
            return Vec::new();
        }
        // On the shared subject one case comes after the other.
        let _turn = match case.needs {
            Needs::Any => Some(shared_turn.lock().await),
            _ => None,
        };
        row(house, nursery, askers, state, case, &shared).await
    });
    join_all(rows).await
}

async fn row(
    house: &House,
    nursery: &Nursery<'_>,
    askers: &[Asker],
    state: State,
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
        let call = case.start(&own).bearer(asker.token(&own));
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
        for (at, case) in CASES.iter().enumerate() {
            write!(text, "\n{}\n{}", case.head(), line("", &shorts)).unwrap();
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

    /// Every cell: case, state, asker, status.
    fn each(&self, mut look: impl FnMut(&'static Case, State, &'static str, &str)) {
        for (state, column) in State::ALL.iter().zip(&self.cells) {
            for (case, row) in CASES.iter().zip(column) {
                for (asker, status) in self.askers.iter().zip(row) {
                    look(case, *state, asker.short, status);
                }
            }
        }
    }
}
