//! What the cards say, and what they never say.

use crate::{
    CHARGE, INSTANCE, MODEL, PATIENT, VAGUE, VOMITING, answer_to, body, cards_for, order, parse,
    source,
};
use answer::{Abstention, Answer, STATEMENT, Telling};
use cds::{Card, MAX_DETAIL_CHARS, Response, Service, Uuid};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LOINC: &str = "http://loinc.org";
const HPO: &str = "http://human-phenotype-ontology.org";
const EXOME: &str = "86205-2";

/// What holds of every card; gives them as JSON.
fn check(response: &Response) -> Vec<Value> {
    let json = serde_json::to_value(response).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 1);
    let cards = json["cards"].as_array().unwrap().clone();
    let mut ids = BTreeSet::new();
    let model = format!("; model {}, fitted on ", MODEL.weights().version);
    for card in &cards {
        let text = |name: &str| card[name].as_str().unwrap();
        ids.insert(text("uuid").to_owned());
        let summary = text("summary").chars().count();
        assert!((10..140).contains(&summary), "{summary}: {card}");
        assert_eq!(card["indicator"], "info");
        assert_eq!(card["source"]["label"], "Ithaca");
        let detail = text("detail");
        assert!(detail.chars().count() <= MAX_DETAIL_CHARS, "{detail}");
        assert!(detail.ends_with(&format!("**{STATEMENT}**")), "{detail}");
        assert!(detail.contains(&model) && detail.contains("HPO 2025-01-16"));
        assert!(!detail.contains("\n\n\n"), "{detail}");
        let suggestions = card.get("suggestions").and_then(Value::as_array);
        let behaviour = card.get("selectionBehavior").and_then(Value::as_str);
        assert_eq!(behaviour, suggestions.map(|_| "any"));
        for suggestion in suggestions.into_iter().flatten() {
            ids.insert(suggestion["uuid"].as_str().unwrap().to_owned());
            assert!(suggestion.get("isRecommended").is_none());
            assert!(suggestion["label"].as_str().unwrap().chars().count() < 140);
            let action = &suggestion["actions"][0];
            assert_eq!(action["type"], "create");
            assert!(!action["description"].as_str().unwrap().is_empty());
            let order = &action["resource"];
            assert_eq!(order["resourceType"], "ServiceRequest");
            assert_eq!(
                (&order["status"], &order["intent"]),
                (&json!("draft"), &json!("proposal"))
            );
            assert_eq!(order["subject"]["reference"], format!("Patient/{PATIENT}"));
            assert_eq!(order["code"]["coding"][0]["system"], LOINC);
            assert_eq!(order["note"][0]["text"], STATEMENT);
        }
    }
    let offered = cards
        .iter()
        .filter_map(|card| card.get("suggestions")?.as_array());
    assert_eq!(
        ids.len(),
        cards.len() + offered.map(Vec::len).sum::<usize>(),
        "ids of their own"
    );
    assert!(ids.iter().all(|id| Uuid::parse(id).is_some()));
    cards
}

/// LOINC codes of what is offered.
fn offered(card: &Value) -> Vec<&str> {
    let suggestions = card.get("suggestions").and_then(Value::as_array);
    let code = "/actions/0/resource/code/coding/0/code";
    let suggestions = suggestions.into_iter().flatten();
    suggestions
        .map(|suggestion| suggestion.pointer(code).unwrap().as_str().unwrap())
        .collect()
}

fn detail(card: &Value) -> &str {
    card["detail"].as_str().unwrap()
}

#[test]
fn a_record_that_is_opened_gets_the_differential_and_what_to_look_for() {
    let cards = check(&cards_for(Service::PatientView, &CHARGE, &[]));
    let [differential, next] = cards.as_slice() else {
        panic!("{} cards", cards.len());
    };
    let summary = differential["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("Possible rare disease: Charge syndrome (OMIM:214800), "),
        "{summary}"
    );
    assert!(summary.ends_with("%; not a diagnosis"), "{summary}");
    assert!(offered(differential).is_empty());
    let text = detail(differential);
    for part in [
        "\n1. **Charge syndrome** (OMIM:214800, CHD7): ",
        "\n   - for: Choanal atresia, strong: ",
        "\n   - against: ",
        "\n   - missing: ",
        "\nAll other diseases together: ",
        "Rests on 5 observed and 1 excluded findings",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    let text = detail(next);
    for part in [
        "**Examine**\n\n- ",
        "**Test**\n\n- ",
        "**Genes to read first:** CHD7 ",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    assert_eq!(offered(next).last(), Some(&EXOME));
}

#[test]
fn the_cards_say_what_the_answer_says() {
    let request = parse(
        &body(Service::PatientView, &CHARGE, &[]),
        Service::PatientView,
    );
    let answer = answer_to(&request);
    let cards = check(&cds::cards(&request, &answer, &source()));
    let text = detail(&cards[0]);
    for candidate in answer.candidates.iter().take(5) {
        let said = format!(
            "{}. **{}** ({}",
            candidate.rank,
            candidate.disease.name.replace('[', "\\["),
            candidate.disease.id
        );
        let probability = format!("): {}", answer::percent(candidate.probability));
        let line = text.lines().find(|line| line.starts_with(&said)).unwrap();
        assert!(line.ends_with(&probability), "{line}");
    }
    assert_eq!(text.lines().filter(|line| line.contains(". **")).count(), 5);
    let next = &answer.next[0];
    assert!(detail(&cards[1]).contains(&format!("({}): {}", next.term.id, next.telling.word())));
}

#[test]
fn the_same_request_gets_the_same_bytes() {
    let bytes = |instance: &str| {
        let mut body = body(Service::PatientView, &CHARGE, &[]);
        body["hookInstance"] = instance.into();
        let request = parse(&body, Service::PatientView);
        serde_json::to_string(&cds::cards(&request, &answer_to(&request), &source())).unwrap()
    };
    let once = bytes(INSTANCE);
    assert_eq!(once, bytes(INSTANCE));
    // Ids are those of one call, and nothing else is.
    let other = bytes("359cf767-4b52-4e14-a741-04da147a430f");
    let ids = |text: &str| -> Vec<String> {
        let parts = text.split("\"uuid\":\"").skip(1);
        parts.map(|part| part[..36].to_owned()).collect()
    };
    let (ids_once, ids_other) = (ids(&once), ids(&other));
    assert!(ids_once.len() > 2 && ids_once.iter().all(|id| !ids_other.contains(id)));
    let replaced = ids_once.iter().zip(&ids_other);
    let again = replaced.fold(once, |text, (from, to)| text.replace(from, to));
    assert_eq!(again, other);
}

#[test]
fn orders_are_told_the_test_that_they_lack() {
    let lacking = |orders: &[Value]| check(&cards_for(Service::OrderSign, &VOMITING, orders));
    let none = lacking(&[]);
    assert_eq!(none.len(), 1);
    let codes = offered(&none[0]);
    let [test, EXOME] = codes.as_slice() else {
        panic!("{codes:?}");
    };
    assert!(
        none[0]["summary"]
            .as_str()
            .unwrap()
            .starts_with("Not among the orders: a genetic test, and one for ")
    );
    assert!(detail(&none[0]).contains(&format!("LOINC {test}")));

    // What is ordered, by any name of it, is not offered again; then the next one is.
    let request = parse(
        &body(Service::OrderSign, &VOMITING, &[]),
        Service::OrderSign,
    );
    let answer = answer_to(&request);
    let best = answer
        .next
        .iter()
        .find(|next| next.loinc.iter().any(|code| code == test))
        .unwrap();
    let mut in_detail = order("urn:local", "1");
    in_detail["orderDetail"] = json!([{"coding": [{"system": LOINC, "code": test}]}]);
    for ordered in [
        order(LOINC, test),
        order("https://loinc.org/", test),
        order("urn:oid:2.16.840.1.113883.6.1", test),
        order(HPO, &best.term.id),
        in_detail,
    ] {
        let cards = lacking(&[ordered]);
        let codes = offered(&cards[0]);
        assert!(!codes.contains(test) && codes.len() == 2, "{codes:?}");
    }
    for (name, value) in [
        ("status", json!("revoked")),
        ("status", json!("entered-in-error")),
        ("doNotPerform", json!(true)),
    ] {
        let mut void = order(LOINC, test);
        void[name] = value;
        assert_eq!(offered(&lacking(&[void])[0]), codes);
    }
    for genetic in [
        order(LOINC, EXOME),
        order(LOINC, "86206-0"),
        order("http://www.genenames.org/geneId", "HGNC:8512"),
    ] {
        assert_eq!(offered(&lacking(&[genetic])[0]), [*test]);
    }
}

#[test]
fn orders_that_lack_nothing_get_no_card() {
    let request = parse(
        &body(Service::OrderSign, &VOMITING, &[]),
        Service::OrderSign,
    );
    let answer = answer_to(&request);
    let codes = answer.next.iter().flat_map(|next| &next.loinc);
    let mut orders: Vec<Value> = codes.map(|code| order(LOINC, code)).collect();
    assert!(orders.len() > 2);
    let cards = check(&cards_for(Service::OrderSign, &VOMITING, &orders));
    assert_eq!(offered(&cards[0]), [EXOME]);
    orders.push(order(LOINC, EXOME));
    assert!(check(&cards_for(Service::OrderSign, &VOMITING, &orders)).is_empty());
}

#[test]
fn orders_that_cannot_be_compared_are_counted() {
    let medication = json!({"resourceType": "MedicationRequest", "status": "draft"});
    let orders = [
        order("urn:local", "1"),
        order(LOINC, "1-8"),
        medication,
        order("urn:local", "2"),
    ];
    let cards = check(&cards_for(Service::OrderSign, &VOMITING, &orders));
    assert!(detail(&cards[0]).contains("2 of them have neither, and may be what is named here."));
    let cards = check(&cards_for(Service::OrderSign, &VOMITING, &[]));
    assert!(!detail(&cards[0]).contains("have neither"));
}

#[test]
fn an_answer_that_abstains_suggests_no_disease() {
    for service in Service::ALL {
        let request = parse(&body(service, &VAGUE, &[]), service);
        let answer = answer_to(&request);
        assert!(answer.abstained.is_some());
        let cards = check(&cds::cards(&request, &answer, &source()));
        for card in &cards {
            let summary = card["summary"].as_str().unwrap();
            let best = &answer.candidates[0].disease.id;
            assert!(
                !summary.contains("Possible") && !detail(card).contains(best),
                "{card}"
            );
            assert!(!offered(card).contains(&EXOME));
        }
        if service == Service::PatientView {
            let [card] = cards.as_slice() else {
                panic!("{} cards", cards.len());
            };
            let text = detail(card);
            assert!(
                text.starts_with("No rare disease is suggested: the best candidate has "),
                "{text}"
            );
            assert!(text.contains("**Examine**"), "{text}");
        }
    }
}

#[test]
fn orders_are_told_of_a_test_but_of_no_disease_while_none_is_suggested() {
    let request = parse(
        &body(Service::OrderSign, &VOMITING, &[]),
        Service::OrderSign,
    );
    let mut answer = answer_to(&request);
    let suggested = check(&cds::cards(&request, &answer, &source()));
    answer.abstained = Some(Abstention {
        reason: "undecided",
        best: Some(0.09),
        suggested_from: 0.1,
    });
    let abstained = check(&cds::cards(&request, &answer, &source()));
    let (before, after) = (offered(&suggested[0]), offered(&abstained[0]));
    assert_eq!((before.len(), after.as_slice()), (2, &before[..1]));
    let text = detail(&abstained[0]);
    assert!(
        text.starts_with("No rare disease is suggested yet."),
        "{text}"
    );
    assert!(!text.contains("Genes to read"), "{text}");

    // What is seen or asked is not ordered, whatever codes it has.
    let mut seen = answer_to(&request);
    for next in &mut seen.next {
        next.way = "examine";
    }
    let cards = check(&cds::cards(&request, &seen, &source()));
    assert_eq!(offered(&cards[0]), [EXOME]);

    // What tells little is not worth a card.
    for next in &mut answer.next {
        next.telling = Telling::Little;
    }
    assert!(check(&cds::cards(&request, &answer, &source())).is_empty());
}

#[test]
fn a_record_without_findings_gets_no_card_unless_it_nearly_has_some() {
    let mut record = body(Service::PatientView, &[], &[]);
    let cards = |record: &Value| {
        let request = parse(record, Service::PatientView);
        check(&cds::cards(&request, &answer_to(&request), &source()))
    };
    assert!(cards(&record).is_empty());
    let entry = "/prefetch/conditions/entry";
    let snomed = json!({"system": "http://snomed.info/sct", "code": "444814009"});
    let code = json!({"coding": [snomed], "text": "Viral sinusitis"});
    let mut condition = json!({"resourceType": "Condition", "id": "c", "code": code});
    *record.pointer_mut(entry).unwrap() = json!([{"resource": condition}]);
    assert!(cards(&record).is_empty());
    condition["code"] = json!({"coding": [{"system": HPO, "code": "HP:0001166"}]});
    condition["verificationStatus"] = json!({"coding": [{"code": "provisional"}]});
    *record.pointer_mut(entry).unwrap() = json!([{"resource": condition}]);
    let said = cards(&record);
    assert_eq!(said.len(), 1);
    let text = detail(&said[0]);
    assert!(
        text.contains("no observed finding that could be read"),
        "{text}"
    );
    assert!(
        text.contains("To be repeated or confirmed: Arachnodactyly."),
        "{text}"
    );
    let request = parse(&body(Service::OrderSign, &[], &[]), Service::OrderSign);
    assert!(check(&cds::cards(&request, &answer_to(&request), &source())).is_empty());
}

#[test]
fn only_practitioners_are_shown_anything() {
    for (user, shown) in [
        ("Practitioner/1", 2),
        ("PractitionerRole/1", 2),
        ("Patient/pat-1", 0),
        ("RelatedPerson/1", 0),
    ] {
        let mut record = body(Service::PatientView, &CHARGE, &[]);
        record["context"]["userId"] = user.into();
        let request = parse(&record, Service::PatientView);
        assert_eq!(request.is_for_professional(), shown > 0, "{user}");
        let cards = check(&cds::cards(&request, &answer_to(&request), &source()));
        assert_eq!(cards.len(), shown, "{user}");
    }
}

#[test]
fn no_text_of_the_input_is_shown() {
    const TEXT: &str = "<b>Erika</b> [x](javascript:1)";
    let mut record = body(Service::OrderSign, &CHARGE, &[order("urn:local", TEXT)]);
    record["prefetch"]["patient"]["name"] = json!([{"text": TEXT}]);
    for entry in record
        .pointer_mut("/prefetch/conditions/entry")
        .unwrap()
        .as_array_mut()
        .unwrap()
    {
        entry["resource"]["code"]["text"] = TEXT.into();
        entry["resource"]["code"]["coding"][0]["display"] = TEXT.into();
        entry["resource"]["note"] = json!([{"text": TEXT}]);
    }
    let list = record
        .pointer_mut("/prefetch/conditions/entry")
        .unwrap()
        .as_array_mut()
        .unwrap();
    list.push(
        json!({"resource": {"resourceType": "Condition", "id": "x", "code": {"text": TEXT}}}),
    );
    for service in Service::ALL {
        record["hook"] = service.hook().into();
        let request = parse(&record, service);
        let answer = answer_to(&request);
        assert!(
            answer
                .understood
                .not_understood
                .iter()
                .any(|item| item.as_given.contains("Erika"))
        );
        let response = cds::cards(&request, &answer, &source());
        let cards = check(&response);
        assert!(!cards.is_empty());
        let said = serde_json::to_string(&cards).unwrap();
        assert!(
            !said.contains("Erika") && !said.contains("javascript"),
            "{said}"
        );
        assert_eq!(format!("{response:?}"), "Response(<redacted>)");
    }
}

#[test]
fn what_was_not_sent_is_said() {
    let mut record = body(Service::PatientView, &CHARGE, &[]);
    record["prefetch"]["conditions"]["link"] =
        json!([{"relation": "self", "url": "u"}, {"relation": "next", "url": "u"}]);
    record["prefetch"]["observations"] = json!({"resourceType": "OperationOutcome"});
    let request = parse(&record, Service::PatientView);
    for card in check(&cds::cards(&request, &answer_to(&request), &source())) {
        let text = detail(&card);
        assert!(
            text.contains("Only a part of the conditions was sent."),
            "{text}"
        );
        assert!(text.contains("The observations were not sent."), "{text}");
    }
    let mut record = body(Service::PatientView, &CHARGE, &[]);
    let whole = record.clone();
    record["prefetch"]["conditions"]["total"] = json!(CHARGE.len() + 1);
    for (record, said) in [(record, true), (whole, false)] {
        let request = parse(&record, Service::PatientView);
        for card in check(&cds::cards(&request, &answer_to(&request), &source())) {
            assert_eq!(
                detail(&card).contains("Only a part of the conditions was sent."),
                said
            );
            assert!(!detail(&card).contains("not sent"));
        }
    }
}

#[test]
fn findings_that_only_lack_their_code_are_named() {
    let mut record = body(Service::PatientView, &CHARGE, &[]);
    let list = record.pointer_mut("/prefetch/conditions/entry").unwrap();
    for text in ["arachnodactyly", "Arachnodactyly of Erika"] {
        let condition = json!({"resourceType": "Condition", "code": {"text": text}});
        list.as_array_mut()
            .unwrap()
            .push(json!({"resource": condition}));
    }
    let request = parse(&record, Service::PatientView);
    for card in check(&cds::cards(&request, &answer_to(&request), &source())) {
        let text = detail(&card);
        assert!(
            text.contains("2 statements that were not understood"),
            "{text}"
        );
        assert!(
            text.contains("for want of HPO codes: Arachnodactyly.\n"),
            "{text}"
        );
    }
}

/// Puts a name in every place of an answer that cards show one of.
fn rename(answer: &mut Answer, name: &str) {
    for candidate in &mut answer.candidates {
        name.clone_into(&mut candidate.disease.name);
        candidate.genes = vec![name.to_owned(); 9];
        let it = &mut candidate.evidence;
        for evidence in it.supporting.iter_mut().chain(&mut it.opposing) {
            name.clone_into(&mut evidence.term.label);
            if let Some(matched) = &mut evidence.matched {
                name.clone_into(&mut matched.term.label);
                matched.exact = false;
            }
        }
        for missing in &mut it.missing {
            name.clone_into(&mut missing.term.label);
        }
    }
    for next in &mut answer.next {
        name.clone_into(&mut next.term.label);
        for disease in &mut next.speaks_for {
            name.clone_into(&mut disease.name);
        }
    }
    for gene in &mut answer.genes {
        name.clone_into(&mut gene.symbol);
    }
    for source in &mut answer.versions.sources {
        source.version = Some(name.to_owned());
    }
}

#[test]
fn names_are_escaped_and_bounded() {
    for service in Service::ALL {
        let request = parse(&body(service, &VOMITING, &[]), service);
        let mut answer = answer_to(&request);
        rename(&mut answer, "*a* [b](c) <i>\n# d\u{202e}");
        let response = cds::cards(&request, &answer, &source());
        assert!(!response.cards.is_empty());
        for card in &response.cards {
            let text = &card.detail;
            assert!(text.contains(r"\*a\* \[b\](c) \<i\>"), "{text}");
            for wrong in [" *a*", "**a*", " [b]", "<i>", "\n# d", "\u{202e}"] {
                assert!(
                    !text.replace(r"\*a\*", "").contains(wrong),
                    "{wrong:?}: {text}"
                );
            }
            assert!(!card.summary.contains(['\n', '\u{202e}']));
        }

        let mut answer = answer_to(&request);
        rename(&mut answer, &"ü*".repeat(40_000));
        let response = cds::cards(&request, &answer, &source());
        for Card {
            summary,
            detail,
            suggestions,
            ..
        } in &response.cards
        {
            assert!(summary.chars().count() < 140);
            assert!(detail.chars().count() <= MAX_DETAIL_CHARS);
            assert!(detail.ends_with(&format!("**{STATEMENT}**")), "{detail}");
            for suggestion in suggestions {
                assert!(suggestion.label.chars().count() < 140);
            }
        }
        let whole = serde_json::to_string(&response).unwrap();
        assert!(whole.len() < 64 * 1024, "{}", whole.len());
    }
}
