//! What became of the cards.

use crate::{
    Error,
    shape::{object, of_kind, optional, required, text, uuid, wrong},
};
use codec::time::Millis;
use json::{Kind, Value};

/// The largest feedback, in bytes.
pub const MAX_FEEDBACK_BYTES: usize = 1 << 20;

/// How many cards were accepted, and how many were not; nothing else of a feedback is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// Cards of which at least one suggestion was accepted.
    pub accepted: usize,
    /// Cards that were overridden.
    pub overridden: usize,
}

impl Feedback {
    /// Reads the body of `POST /cds-services/{id}/feedback`.
    ///
    /// # Errors
    /// Not JSON of at most [`MAX_FEEDBACK_BYTES`], or not what CDS Hooks 2.0 says of feedback.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = object(bytes, MAX_FEEDBACK_BYTES, "the feedback")?;
        let list = required(document.root(), "feedback")?;
        of_kind(list, Kind::Array, "feedback", "a list of outcomes")?;
        let mut counts = Self {
            accepted: 0,
            overridden: 0,
        };
        for one in list.children() {
            of_kind(one, Kind::Object, "feedback", "a list of objects")?;
            if is_accepted(one)? {
                counts.accepted += 1;
            } else {
                counts.overridden += 1;
            }
        }
        Ok(counts)
    }
}

fn is_accepted(one: Value<'_, '_>) -> Result<bool, Error> {
    const TIME: &str = "a date and time with its offset (RFC 3339)";
    uuid(one, "card")?;
    let at = text(one, "outcomeTimestamp", TIME)?;
    if Millis::from_rfc3339(&at).is_err() {
        let value = required(one, "outcomeTimestamp")?;
        return Err(wrong(value, "outcomeTimestamp", TIME));
    }
    if let Some(reason) = optional(one, "overrideReason") {
        of_kind(reason, Kind::Object, "overrideReason", "an object")?;
    }
    const OUTCOMES: &str = "accepted or overridden";
    match &*text(one, "outcome", OUTCOMES)? {
        "overridden" => Ok(false),
        "accepted" => {
            const SUGGESTIONS: &str = "a list of objects with the id of each accepted suggestion";
            let list = required(one, "acceptedSuggestions")?;
            let fits = |item: Value<'_, '_>| item.get("id").and_then(Value::text).is_some();
            if list.is_leaf() || list.kind() != Kind::Array || !list.children().all(fits) {
                return Err(wrong(list, "acceptedSuggestions", SUGGESTIONS));
            }
            Ok(true)
        }
        _ => Err(wrong(required(one, "outcome")?, "outcome", OUTCOMES)),
    }
}
