//! A narrower scope never permits more.

use proptest::{collection::vec, prelude::*, sample::select};
use smart::{Filter, Interaction, Scopes};

const KINDS: [&str; 3] = ["Observation", "Condition", "Patient"];
const FILTERS: [&str; 3] = ["category=a", "status=b", "code=c%20d"];

/// One scope's text.
fn scope() -> impl Strategy<Value = String> {
    let clinical = (
        select(vec!["patient", "user", "system"]),
        select(vec!["*", "Observation", "Condition"]),
        1_u8..32,
        vec(select(FILTERS.to_vec()), 0..3),
    )
        .prop_map(|(context, kind, bits, filters)| {
            let letters: String = "cruds"
                .chars()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1)
                .map(|(_, letter)| letter)
                .collect();
            let query = if filters.is_empty() { "" } else { "?" };
            format!("{context}/{kind}.{letters}{query}{}", filters.join("&"))
        });
    let v1 = (
        select(vec!["patient", "user", "system"]),
        select(vec!["*", "Observation"]),
        select(vec!["read", "write", "*"]),
    )
        .prop_map(|(context, kind, may)| format!("{context}/{kind}.{may}"));
    let named = select(vec!["openid", "launch/patient", "ithaca"]).prop_map(str::to_owned);
    prop_oneof![6 => clinical, 2 => v1, 1 => named]
}

fn scopes() -> impl Strategy<Value = String> {
    vec(scope(), 0..6).prop_map(|all| all.join(" "))
}

fn read(text: &str) -> Scopes {
    Scopes::parse(text).expect(text)
}

/// Every question there is: interaction, type, whether of the patient, and which filters match.
fn questions() -> impl Iterator<Item = (Interaction, &'static str, bool, u8)> {
    Interaction::ALL.into_iter().flat_map(|interaction| {
        KINDS.into_iter().flat_map(move |kind| {
            [false, true]
                .into_iter()
                .flat_map(move |own| (0..8).map(move |bits| (interaction, kind, own, bits)))
        })
    })
}

fn permits(scopes: &Scopes, question: (Interaction, &str, bool, u8)) -> bool {
    let (interaction, kind, own, bits) = question;
    let matches = |filter: &Filter| {
        let at = ["category", "status", "code"]
            .iter()
            .position(|name| *name == filter.0)
            .expect("a filter of these");
        bits >> at & 1 == 1
    };
    scopes
        .permits(interaction, kind)
        .is_some_and(|reach| reach.covers(own, matches))
}

proptest! {
    #[test]
    fn more_scopes_permit_what_fewer_permit_and_nothing_that_none_does(a in scopes(), b in scopes()) {
        let (one, other, both) = (read(&a), read(&b), read(&format!("{a} {b}")));
        for q in questions() {
            prop_assert_eq!(permits(&both, q), permits(&one, q) || permits(&other, q), "{:?}", q);
        }
    }

    #[test]
    fn a_cut_permits_no_more_than_either(asked in scopes(), allowed in scopes()) {
        let (asked, allowed) = (read(&asked), read(&allowed));
        let cut = asked.within(&allowed);
        prop_assert!(cut.are_within(&allowed));
        prop_assert!(cut.are_within(&asked));
        for q in questions() {
            if permits(&cut, q) {
                prop_assert!(permits(&asked, q) && permits(&allowed, q), "{:?}", q);
            }
        }
    }

    #[test]
    fn what_is_covered_is_cut_to_itself(asked in scopes(), allowed in scopes()) {
        let (asked, allowed) = (read(&asked), read(&allowed));
        if asked.are_within(&allowed) {
            let cut = asked.within(&allowed);
            for q in questions() {
                prop_assert_eq!(permits(&cut, q), permits(&asked, q), "{:?}", q);
            }
        }
    }

    #[test]
    fn text_comes_back(text in scopes()) {
        let all = read(&text);
        prop_assert_eq!(read(&all.to_string()), all);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~]{0,60}", head in "(patient|user|system)/") {
        for text in [text.clone(), format!("{head}{text}")] {
            if let Ok(all) = Scopes::parse(&text) {
                prop_assert_eq!(read(&all.to_string()), all);
            }
        }
    }
}
