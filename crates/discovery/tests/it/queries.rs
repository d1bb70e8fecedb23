//! One question, one canonical form; and whom it counts.

use crate::vocabulary::{Small, term};
use discovery::{
    AGE_EDGES, AgeSpan, Contradiction, Filter, Individual, Query, Reach, Sex, TermId, Terms,
    Wanted, parse_get,
};
use proptest::{prelude::*, sample::select};

fn query(text: &str) -> Query {
    parse_get(&format!("filters={text}"), &Small)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .query
}

/// The digest is a name that caches keep: changing it is a deliberate act.
#[test]
fn the_digest_is_of_the_canonical_bytes() {
    let asked = query("HP:0001250,NCIT:C16576,age>=18");
    assert_eq!(hex(&codec_bytes(&asked)), GOLDEN_BYTES);
    assert_eq!(asked.digest().to_string(), GOLDEN_DIGEST);
    let back: Query = codec::from_slice(&codec_bytes(&asked)).expect("its own bytes");
    assert_eq!(back, asked);
}

const GOLDEN_BYTES: &str = "a101838201a20182011904e202018204018205821200";
const GOLDEN_DIGEST: &str = "eb89ece2d38e2eb0db9737028e2f5ba1551229d882e05e4591ed65288f3148ab";

fn codec_bytes(query: &Query) -> Vec<u8> {
    codec::to_vec(query)
}

fn hex(bytes: &[u8]) -> String {
    codec::hex::encode(bytes)
}

#[test]
fn ways_to_ask_the_same_have_one_digest() {
    let check = |a: &str, b: &str| assert_eq!(query(a).digest(), query(b).digest(), "{a} | {b}");
    check("HP:0001250,HP:0001166", "HP:0001166,HP:0001250");
    check("HP:0001250", "HP:0001250,HP:0001250");
    check("HP:0001250", "HP:0002279"); // merged
    check("HP:0007359", "HP:0007359,HP:0000118"); // implied
    check("OMIM:154700", "MIM:154700,MONDO:0007947");
    check("NCIT:C16576", "PATO:0000383,sex=female");
    check("age>=P18Y", "age>17");
    check("age<18,age>=6", "age<=17,age>=P6Y,age<30");
    check(
        "phenotypicFeatures.excluded=HP:0000707",
        "phenotypicFeatures.excluded=HP:0000707,phenotypicFeatures.excluded=HP:0001250",
    );
    check("", "age>=0");
}

/// Vocabularies call the same disease by names of their own: what stands below one stands below the other.
#[test]
fn of_two_filters_that_say_the_same_one_stays() {
    struct Same;
    impl Terms for Same {
        fn resolve(&self, term: TermId) -> Option<TermId> {
            Some(term)
        }
        fn within(&self, _: TermId, _: TermId) -> bool {
            true
        }
    }
    let asked = |text| parse_get(text, &Same).expect("a request").query;
    let one = asked("filters=OMIM:154700,ORPHA:558");
    assert_eq!(one.filters().len(), 1);
    assert_eq!(one, asked("filters=ORPHA:558,OMIM:154700"));
}

#[test]
fn other_questions_have_other_digests() {
    let questions = [
        "",
        "HP:0001250",
        "HP:0007359",
        "HP:0001166",
        "NCIT:C16576",
        "NCIT:C20197",
        "NCIT:C17998",
        "sex=other",
        "OMIM:154700",
        "ORPHA:558",
        "age>=18",
        "age<18",
        "age>=18,age<30",
        "phenotypicFeatures.excluded=HP:0001250",
        "HP:0001250,HP:0001166",
    ];
    let mut digests: Vec<_> = questions.iter().map(|text| query(text).digest()).collect();
    let exact = parse_get("filters=HP:0001250&includeDescendantTerms=false", &Small);
    digests.push(exact.expect("a request").query.digest());
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), questions.len() + 1);
}

#[test]
fn what_nobody_can_meet_is_refused_before_it_costs() {
    let sexes = [Filter::Sex(Sex::Female), Filter::Sex(Sex::Male)];
    assert_eq!(
        Query::new(&sexes, &Small),
        Err(Contradiction::Sexes(Sex::Female, Sex::Male))
    );
    let ages = [AgeSpan::new(18, None), AgeSpan::new(0, Some(18))];
    let ages = ages.map(|span| Filter::Age(span.expect("edges")));
    assert_eq!(Query::new(&ages, &Small), Err(Contradiction::Ages));
}

#[test]
fn whom_a_question_counts() {
    let (focal, arachno, nervous) = (term("HP:0007359"), term("HP:0001166"), term("HP:0000707"));
    let marfan = term("OMIM:154700");
    let check = |text: &str, expect: bool| {
        let person = Individual {
            observed: &[focal],
            excluded: &[arachno],
            diseases: &[marfan],
            sex: Sex::Female,
            age_years: Some(18),
        };
        assert_eq!(query(text).matches(&person, &Small), expect, "{text}");
    };
    check("", true);
    check("HP:0001250", true);
    check("HP:0001166", false);
    check("phenotypicFeatures.excluded=HP:0001166", true);
    check("phenotypicFeatures.excluded=HP:0000118", false); // not everything above is absent
    check("MONDO:0007947", true);
    check("ORPHA:558", false);
    check("sex=female,age>=18,age<30", true);
    check("sex=male", false);
    check("age<18", false);
    let without_age = Individual {
        observed: &[],
        excluded: &[nervous],
        diseases: &[],
        sex: Sex::Unknown,
        age_years: None,
    };
    // No seizure where nothing of the nervous system is; and an age that is not known is in no span.
    let excluded = query("phenotypicFeatures.excluded=HP:0001250");
    assert!(excluded.matches(&without_age, &Small));
    assert!(!query("age<90").matches(&without_age, &Small));
    let exact = parse_get("filters=HP:0001250&includeDescendantTerms=false", &Small);
    let with_focal = Individual {
        observed: &[focal],
        ..without_age
    };
    assert!(!exact.expect("a request").query.matches(&with_focal, &Small));
}

#[test]
fn a_question_in_words() {
    let label = |t| (t == term("HP:0001250")).then(|| "Seizure".to_owned());
    let check = |text: &str, expect: &str| assert_eq!(query(text).sentence(label), expect);
    check("", "How many individuals are there?");
    check(
        "sex=male,HP:0001250,age>=6,age<18,phenotypicFeatures.excluded=HP:0001166",
        "How many individuals have observed: Seizure (HP:0001250) or anything below it; and looked for and absent: HP:0001166; and sex: male; and age: 6 to under 18 years?",
    );
    check(
        "ORPHA:558,age>=90",
        "How many individuals have diagnosed: ORPHA:558 or anything below it; and age: 90 years or more?",
    );
}

fn filter() -> impl Strategy<Value = Filter> {
    let hp = select(vec![
        "HP:0001250",
        "HP:0007359",
        "HP:0000707",
        "HP:0001166",
        "HP:0000118",
    ]);
    let disease = select(vec![
        "MONDO:0007947",
        "OMIM:154700",
        "ORPHA:558",
        "MONDO:0000001",
    ]);
    let reach = || select(vec![Reach::Below, Reach::Exact]);
    prop_oneof![
        (hp.clone(), reach()).prop_map(|(t, reach)| Filter::Observed(Wanted {
            term: term(t),
            reach
        })),
        (disease, reach()).prop_map(|(t, reach)| Filter::Disease(Wanted {
            term: term(t),
            reach
        })),
        hp.prop_map(|t| Filter::Excluded(term(t))),
        Just(Filter::Sex(Sex::Female)),
        (0..AGE_EDGES.len(), 0..AGE_EDGES.len()).prop_filter_map("an empty span", |(a, b)| {
            AgeSpan::new(AGE_EDGES[a], (b > 0).then(|| AGE_EDGES[b])).map(Filter::Age)
        }),
    ]
}

fn has(individual: &Individual<'_>, filter: &Filter) -> bool {
    // Each filter by itself, unreduced.
    let alone = match Query::new(&[*filter], &Small) {
        Ok(query) => query,
        Err(_) => return false,
    };
    alone.matches(individual, &Small)
}

proptest! {
    /// Reducing a question never changes whom it counts; and it is the same in any order, twice over.
    #[test]
    fn the_canonical_form_keeps_the_meaning(
        filters in prop::collection::vec(filter(), 0..8),
        observed in prop::collection::vec(select(vec!["HP:0001250", "HP:0007359", "HP:0000707", "HP:0001166"]), 0..3),
        excluded in prop::collection::vec(select(vec!["HP:0001250", "HP:0007359", "HP:0000707", "HP:0001166"]), 0..3),
        diseases in prop::collection::vec(select(vec!["MONDO:0007947", "OMIM:154700", "ORPHA:558"]), 0..3),
        age_years in prop::option::of(0_u16..120),
        turn in 0_usize..8,
    ) {
        let list = |names: Vec<&str>| names.into_iter().map(term).collect::<Vec<_>>();
        let (observed, excluded, diseases) = (list(observed), list(excluded), list(diseases));
        let person = Individual {
            observed: &observed, excluded: &excluded, diseases: &diseases, sex: Sex::Female, age_years,
        };
        let each = filters.iter().all(|filter| has(&person, filter));
        match Query::new(&filters, &Small) {
            Ok(query) => {
                prop_assert_eq!(query.matches(&person, &Small), each);
                let mut turned: Vec<_> = filters.iter().chain(&filters).copied().collect();
                let turn = turn.min(turned.len());
                turned.rotate_left(turn);
                let other = Query::new(&turned, &Small).expect("the same filters");
                prop_assert_eq!(other.digest(), query.digest());
                let again = Query::new(query.filters(), &Small).expect("its own filters");
                prop_assert_eq!(&again, &query);
                let back: Query = codec::from_slice(&codec::to_vec(&query)).expect("its own bytes");
                prop_assert_eq!(back, query);
            }
            Err(_) => prop_assert!(!each, "refused, and somebody meets it"),
        }
    }
}
