//! Whatever comes is read or refused.

use crate::{archive::documents, vocabulary::Small};
use discovery::{MAX_FILTERS, TermId, parse_get, parse_page, parse_post};
use proptest::{prelude::*, sample::select};

/// A refusal is short and repeats nothing that is long.
fn judged(request: Result<discovery::Request, discovery::Refusal>) {
    match request {
        Ok(request) => {
            assert!(request.query.filters().len() <= MAX_FILTERS);
            request.query.digest();
        }
        Err(refusal) => assert!(refusal.to_string().len() < 400, "{refusal}"),
    }
}

fn word() -> impl Strategy<Value = String> {
    let known = select(vec![
        "filters",
        "HP:0001250",
        "NCIT:C16576",
        "age",
        "sex",
        ">=",
        "<",
        "=",
        "!",
        "&",
        ",",
        "P18Y",
        "%3E",
        "%",
        "%ZZ",
        "+",
        "requestedGranularity",
        "count",
        "testMode",
        "true",
        "skip",
        "limit",
        "-1",
        "99999999999",
        "HP:",
        ":",
        "P255Y",
        "phenotypicFeatures.excluded",
        "geneId",
        "similarity",
        "includeDescendantTerms",
        "é",
        "\0",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

/// A JSON text with one value put in place of another.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let examples: Vec<_> = documents()
        .iter()
        .filter(|(path, _)| path.contains("/requests/examples-"))
        .map(|(_, document)| document.to_string())
        .collect();
    let junk = select(vec![
        "null",
        "[]",
        "{}",
        "\"\"",
        "-1",
        "1e999",
        "true",
        "{\"id\":1}",
        "[[[[",
        "\"\\ud800\"",
        "",
    ]);
    (
        select(examples),
        any::<prop::sample::Index>(),
        0_usize..40,
        junk,
    )
        .prop_map(|(text, at, cut, junk)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, junk.bytes());
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn query_strings(words in prop::collection::vec(word(), 0..20)) {
        let text = words.concat();
        judged(parse_get(&text, &Small));
        let _ = parse_page(&text);
    }

    #[test]
    fn any_text_at_all(text in any::<String>()) {
        judged(parse_get(&text, &Small));
        let _ = text.parse::<TermId>();
    }

    #[test]
    fn mangled_documents(body in mangled()) {
        judged(parse_post(&body, &Small));
    }

    #[test]
    fn any_bytes_at_all(body in prop::collection::vec(any::<u8>(), 0..300)) {
        judged(parse_post(&body, &Small));
    }

    /// What an identifier is printed as reads as the same.
    #[test]
    fn terms_print_as_they_read(prefix in select(vec!["HP", "OMIM", "ORPHA", "MONDO", "orphanet", "mim"]), number in 0_u32..10_000_000) {
        for text in [format!("{prefix}:{number}"), format!("{prefix}:{number:07}"), format!("{prefix}:{number:06}")] {
            if let Ok(term) = text.parse::<TermId>() {
                prop_assert_eq!(term.number(), number);
                prop_assert_eq!(term.to_string().parse(), Ok(term));
                let back: TermId = codec::from_slice(&codec::to_vec(&term)).expect("its own bytes");
                prop_assert_eq!(back, term);
            }
        }
    }
}
