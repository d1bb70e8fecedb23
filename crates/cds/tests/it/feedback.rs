//! What became of the cards: counted, and nothing else.

use crate::INSTANCE;
use cds::{Feedback, MAX_FEEDBACK_BYTES};
use serde_json::{Value, json};

fn accepted() -> Value {
    json!({
        "card": INSTANCE,
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": INSTANCE}],
        "outcomeTimestamp": "2026-11-22T10:05:31Z",
        "extension": {"org.example": 1},
    })
}

fn overridden() -> Value {
    json!({
        "card": INSTANCE,
        "outcome": "overridden",
        "overrideReason": {
            "reason": {"code": "d7ecf885", "system": "https://example.org/reasons"},
            "userComment": "Erika Mustermann has it already",
        },
        "outcomeTimestamp": "2026-11-22T10:05:31.250+01:00",
    })
}

fn parse(feedback: &Value) -> Result<Feedback, cds::Error> {
    Feedback::parse(&serde_json::to_vec(feedback).unwrap())
}

#[test]
fn outcomes_are_counted() {
    let mut bare = overridden();
    bare["overrideReason"] = Value::Null;
    for (list, expect) in [
        (vec![], (0, 0)),
        (vec![accepted()], (1, 0)),
        (vec![overridden(), accepted(), bare], (1, 2)),
    ] {
        let counted = parse(&json!({"feedback": list})).unwrap();
        assert_eq!((counted.accepted, counted.overridden), expect);
    }
}

#[test]
fn what_the_specification_requires_is_required() {
    for (from, at, value, expect) in [
        (accepted(), "card", Value::Null, "card is missing"),
        (accepted(), "card", json!("Erika"), "card is not a UUID"),
        (accepted(), "outcome", Value::Null, "outcome is missing"),
        (
            accepted(),
            "outcome",
            json!("Erika"),
            "outcome is not accepted or overridden",
        ),
        (
            accepted(),
            "outcomeTimestamp",
            Value::Null,
            "outcomeTimestamp is missing",
        ),
        (
            accepted(),
            "outcomeTimestamp",
            json!("Erika"),
            "outcomeTimestamp is not a date",
        ),
        (
            accepted(),
            "outcomeTimestamp",
            json!("2026-11-22"),
            "outcomeTimestamp is not a date",
        ),
        (
            accepted(),
            "acceptedSuggestions",
            Value::Null,
            "acceptedSuggestions is missing",
        ),
        (
            accepted(),
            "acceptedSuggestions",
            json!([]),
            "acceptedSuggestions is not a list",
        ),
        (
            accepted(),
            "acceptedSuggestions",
            json!({"id": {"id": "Erika"}}),
            "is not a list",
        ),
        (
            accepted(),
            "acceptedSuggestions",
            json!([{"id": 1}]),
            "is not a list",
        ),
        (
            overridden(),
            "overrideReason",
            json!("Erika"),
            "overrideReason is not an object",
        ),
    ] {
        let mut one = from;
        one[at] = value;
        let said = parse(&json!({"feedback": [accepted(), one]}))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains(expect) && said.contains("$.feedback[1]"),
            "{said}"
        );
        assert!(!said.contains("Erika"), "{said}");
    }
    for (feedback, expect) in [
        (json!({}), "feedback is missing"),
        (json!({"feedback": {}}), "feedback is not a list"),
        (
            json!({"feedback": ["Erika"]}),
            "feedback is not a list of objects",
        ),
        (json!([]), "the feedback is not an object"),
    ] {
        let said = parse(&feedback).unwrap_err().to_string();
        assert!(said.contains(expect) && !said.contains("Erika"), "{said}");
    }
    let huge = " ".repeat(MAX_FEEDBACK_BYTES + 1);
    let said = Feedback::parse(huge.as_bytes()).unwrap_err().to_string();
    assert!(said.contains("longer than 1048576 bytes"), "{said}");
}
