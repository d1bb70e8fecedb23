//! The consent state: its rules, its one encoding, its commitment, what it shows of itself.

use crate::world::*;
use codec::{Category, Encode, Error, Millis, Writer, from_slice, to_vec};
use consent::{
    ConsentState, Controller, ControllerRole, DataUse, Exception, Grant, Grantee, InvalidDataUse,
    InvalidGrant, InvalidState, Label, MAX_GRANTS, Modifier, Permission, PractitionerAt, Purpose,
    Standing, Terms,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A state with every field and every kind of grantee and exception.
fn full() -> ConsentState {
    state(|terms| {
        terms.matures = Some(at(900));
        terms.controllers.first_mut().unwrap().until = Some(at(800));
        terms.assisted = true;
        terms.restricted = true;
        terms.opted_out = [Purpose::Hoperat, Purpose::Hresch].into();
        let practitioner = Grantee::Practitioner(PractitionerAt {
            institution: OTHER,
            practitioner: person(1),
        });
        let mut first = grant(
            1,
            Grantee::Institution(OTHER),
            &[Purpose::Treat],
            Category::ALL,
        );
        first.exceptions = [
            Exception::Record(record(1)),
            Exception::Kind(kind(1)),
            Exception::Practitioner(person(2)),
        ]
        .into();
        terms.grants = vec![
            first,
            grant(2, practitioner, &[Purpose::Coc], &[Category::Vitals]),
            grant(
                3,
                Grantee::Study(STUDY),
                &[Purpose::Hresch],
                &[Category::Genomic],
            ),
        ];
    })
}

#[test]
fn golden_bytes() {
    let state = full();
    insta::assert_snapshot!(codec::hex::encode(&to_vec(&state)));
    insta::assert_snapshot!(state.commitment(&[3; 32]));
    assert_eq!(from_slice::<ConsentState>(&to_vec(&state)).unwrap(), state);
}

/// A grant to research in a state: its bytes are its own, and those of states without one stay as they are.
#[test]
fn golden_bytes_of_a_grant_to_research() {
    let state = state(|terms| {
        let conditions = DataUse::of(
            Permission::Diseases([crate::studies::curie("MONDO:0009861")].into()),
            [Modifier::NonCommercial, Modifier::Return],
        );
        let to = Grantee::Research(conditions);
        terms.grants = vec![grant(1, to, &[Purpose::Dsrch], &[Category::Phenotype])];
    });
    insta::assert_snapshot!(codec::hex::encode(&to_vec(&state)));
    assert_eq!(from_slice::<ConsentState>(&to_vec(&state)).unwrap(), state);
    let mut invalid = state.into_terms();
    let nothing = DataUse {
        clauses: BTreeSet::new(),
    };
    invalid.grants[0].grantee = Grantee::Research(nothing);
    assert!(from_slice::<ConsentState>(&to_vec(&invalid)).is_err());
    let source = InvalidGrant::DataUse(InvalidDataUse::NoClause);
    let id = grant_id(1);
    assert_eq!(
        ConsentState::new(invalid),
        Err(InvalidState::Grant { id, source })
    );
}

type Edit = (&'static str, fn(&mut Terms));

#[test]
fn the_commitment_changes_with_every_field_and_the_salt() {
    fn first(terms: &mut Terms) -> &mut Grant {
        terms.grants.first_mut().unwrap()
    }
    fn guardian(terms: &mut Terms) -> &mut Controller {
        terms.controllers.first_mut().unwrap()
    }
    let edits: &[Edit] = &[
        ("nothing", |_| {}),
        ("subject", |t| t.subject = codec::SubjectId::new([8; 32])),
        ("sequence", |t| t.sequence += 1),
        ("assisted", |t| t.assisted = false),
        ("matures", |t| t.matures = Some(at(901))),
        ("matures, never", |t| t.matures = None),
        ("restricted", |t| t.restricted = false),
        ("opted out", |t| {
            t.opted_out.insert(Purpose::Train);
        }),
        ("slot", |t| guardian(t).slot = 3),
        ("role", |t| {
            guardian(t).role = ControllerRole::Subject;
            guardian(t).until = None;
        }),
        ("label", |t| guardian(t).label = Label::new("Papa").unwrap()),
        ("end", |t| guardian(t).until = Some(at(801))),
        ("no end", |t| guardian(t).until = None),
        ("fewer controllers", |t| t.controllers.truncate(1)),
        ("grant", |t| t.grants.truncate(2)),
        ("grant id", |t| first(t).id = grant_id(9)),
        ("grantee", |t| {
            first(t).grantee = Grantee::Institution(THIRD)
        }),
        ("purpose", |t| first(t).purposes = [Purpose::Coc].into()),
        ("category", |t| {
            first(t).categories.pop_last();
        }),
        ("from", |t| first(t).from = at(1)),
        ("until", |t| first(t).until = at(LAST)),
        ("exception", |t| {
            first(t).exceptions.pop_first();
        }),
    ];
    let mut seen = BTreeSet::new();
    for (name, edit) in edits {
        let mut terms = full().into_terms();
        edit(&mut terms);
        let state = ConsentState::new(terms).unwrap();
        assert!(seen.insert(state.commitment(&[3; 32])), "{name}");
        assert!(
            seen.insert(state.commitment(&[4; 32])),
            "{name}, other salt"
        );
    }
}

#[test]
fn every_other_byte_string_is_refused_or_another_state() {
    let state = full();
    let bytes = to_vec(&state);
    for i in 0..bytes.len() {
        assert!(from_slice::<ConsentState>(&bytes[..i]).is_err());
        for flip in [1u8, 0x20, 0x80] {
            let mut mutated = bytes.clone();
            mutated[i] ^= flip;
            if let Ok(other) = from_slice::<ConsentState>(&mutated) {
                assert_ne!(other, state, "byte {i}");
                assert_eq!(to_vec(&other), mutated);
            }
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(from_slice::<ConsentState>(&longer).is_err());
}

#[test]
fn terms_that_break_a_rule_are_refused_in_every_form() {
    let refused = |edit: fn(&mut Terms), why: InvalidState| {
        let mut terms = full().into_terms();
        edit(&mut terms);
        assert_eq!(ConsentState::new(terms.clone()), Err(why));
        // Text has no form for times after the year 9999.
        let endless = InvalidState::Grant {
            id: grant_id(1),
            source: InvalidGrant::EndlessPeriod,
        };
        if why != InvalidState::Endless && why != endless {
            let json = serde_json::to_string(&terms).unwrap();
            assert!(serde_json::from_str::<ConsentState>(&json).is_err());
        }
        let invalid = Error::Invalid("not a consent state");
        assert_eq!(from_slice::<ConsentState>(&to_vec(&terms)), Err(invalid));
    };
    let grant = |source| InvalidState::Grant {
        id: grant_id(1),
        source,
    };
    refused(|t| t.controllers[1].slot = 4, InvalidState::Slot(4));
    refused(|t| t.controllers[1].slot = 0, InvalidState::SlotTwice(0));
    refused(
        |t| t.controllers[1].until = Some(at(1)),
        InvalidState::SubjectWithEnd(1),
    );
    refused(
        |t| t.matures = Some(Millis::new(u64::MAX)),
        InvalidState::Endless,
    );
    refused(
        |t| t.controllers[0].until = Some(Millis::new(u64::MAX)),
        InvalidState::Endless,
    );
    refused(
        |t| {
            t.controllers.clear();
            t.assisted = false;
        },
        InvalidState::NobodyInControl,
    );
    refused(
        |t| t.grants[1].id = grant_id(1),
        InvalidState::GrantTwice(grant_id(1)),
    );
    refused(
        |t| t.grants = vec![t.grants[0].clone(); MAX_GRANTS + 1],
        InvalidState::TooManyGrants,
    );
    refused(
        |t| t.grants[0].purposes.clear(),
        grant(InvalidGrant::NoPurpose),
    );
    refused(
        |t| t.grants[0].categories.clear(),
        grant(InvalidGrant::NoCategory),
    );
    refused(
        |t| t.grants[0].purposes = [Purpose::Btg].into(),
        grant(InvalidGrant::Purpose(Purpose::Btg)),
    );
    refused(
        |t| t.grants[0].grantee = Grantee::Study(STUDY),
        grant(InvalidGrant::StudyPurpose(Purpose::Treat)),
    );
    refused(
        |t| t.grants[0].until = t.grants[0].from,
        grant(InvalidGrant::EmptyPeriod),
    );
    refused(
        |t| t.grants[0].until = Millis::new(u64::MAX),
        grant(InvalidGrant::EndlessPeriod),
    );
    refused(
        |t| {
            let kinds = (0..=Grant::MAX_EXCEPTIONS).map(|n| format!("k{n}").parse().unwrap());
            t.grants[0].exceptions = kinds.map(Exception::Kind).collect();
        },
        grant(InvalidGrant::TooManyExceptions),
    );
}

#[test]
fn disorder_is_put_right_in_code_and_refused_in_bytes() {
    let mut terms = full().into_terms();
    terms.grants.reverse();
    terms.controllers.reverse();
    assert_eq!(ConsentState::new(terms.clone()).unwrap(), full());
    let mut w = Writer::new();
    terms.encode(&mut w);
    assert!(from_slice::<ConsentState>(w.as_slice()).is_err());
}

#[test]
fn the_next_state_keeps_subject_and_counts_one() {
    let next = full()
        .next(|terms| {
            terms.subject = codec::SubjectId::new([8; 32]);
            terms.sequence = 77;
            terms.restricted = false;
        })
        .unwrap();
    assert_eq!(
        (next.subject, next.sequence, next.restricted),
        (SUBJECT, 6, false)
    );
    let last = state(|t| t.sequence = u64::MAX);
    assert_eq!(last.next(|_| {}), Err(InvalidState::Sequence));
}

#[test]
fn json_is_stable_and_strict() {
    let json = serde_json::to_string_pretty(&full()).unwrap();
    insta::assert_snapshot!(json);
    assert_eq!(serde_json::from_str::<ConsentState>(&json).unwrap(), full());
    let more = json.replacen(
        "\"restricted\"",
        "\"unrestricted\": true, \"restricted\"",
        1,
    );
    assert!(serde_json::from_str::<ConsentState>(&more).is_err());
}

#[test]
fn debug_names_nobody() {
    let debug = format!("{:?}", full());
    for hidden in ["Mama", "Kim", "person-1", "person-2", "Kind1", "0707"] {
        assert!(!debug.contains(hidden), "{hidden}");
    }
}

#[test]
fn slots_stand_for_whoever_is_in_control() {
    let state = full();
    assert_eq!(
        state.standing(0, at(799)),
        Standing::InControl(ControllerRole::Guardian)
    );
    assert_eq!(state.standing(0, at(800)), Standing::Ended(at(800)));
    assert_eq!(
        state.standing(1, at(901)),
        Standing::InControl(ControllerRole::Subject)
    );
    assert_eq!(state.standing(2, at(0)), Standing::Vacant);
    assert_eq!(state.control_ends(0), Some(at(800)));
    assert_eq!(state.control_ends(1), None);
    assert!(state.is_opted_out(Purpose::Dsrch) && state.is_opted_out(Purpose::Hqualimp));
    assert!(!state.is_opted_out(Purpose::Treat));
}

proptest! {
    #[test]
    fn states_survive_both_forms(state in states()) {
        prop_assert_eq!(&from_slice::<ConsentState>(&to_vec(&state)).unwrap(), &state);
        let json = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<ConsentState>(&json).unwrap(), state);
    }

    #[test]
    fn bytes_never_panic_and_have_one_state(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(state) = from_slice::<ConsentState>(&bytes) {
            prop_assert_eq!(to_vec(&state), bytes);
        }
    }
}
