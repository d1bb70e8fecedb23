//! Counts for researchers who look for cases: GA4GH Beacon v2 over noisy counts, and the accounting
//! of what they cost in privacy.
//!
//! - In: a request as Beacon clients send it ([`parse_get`], [`parse_post`]) -> a [`Request`] with a
//!   canonical [`Query`], or a [`Refusal`]. [`Query::matches`] says whether an [`Individual`] counts;
//!   what is known of terms comes through the port [`Terms`].
//! - Money: [`Account`]s of researchers, studies and subjects, with losses in millionths
//!   ([`Epsilon`]); a [`Charge`] reserves one question's cost in all of them; [`CacheKey`] says when an answer is given again for nothing.
//! - Out: from a noisy count ([`Drawn`]) to what is shown ([`Display`], [`Shown`]), and the documents
//!   of Beacon v2 ([`response`]).
//!
//! The model is pure differential privacy of one subject: with or without everything that is known
//! of one person, no answer becomes more likely than by a factor of e to what was spent on that
//! person. The noise itself is made by the crate `noise`.
//!
//! It knows no clock, entropy, network or storage, no exact count, no HTTP, and no consent:
//! who may be counted is decided before.

mod account;
mod answer;
mod cache;
mod charge;
mod endpoints;
mod epsilon;
mod policy;
mod query;
mod refusal;
mod request;
pub mod response;
mod term;

pub use account::{
    Account, Budget, Holder, MAX_OPEN, NoReservation, Reservation, Spend, Unknown, researcher,
};
pub use answer::{Accuracy, Display, Drawn, Shown};
pub use cache::{CacheKey, CachedAnswer, EPOCH_MS};
pub use charge::{Charge, NoCharge, Rows};
pub use endpoints::{ENDPOINTS, Endpoint, Kind, Method};
pub use epsilon::{Epsilon, NotAnEpsilon};
pub use policy::Policy;
pub use query::{
    AGE_EDGES, AgeSpan, Contradiction, Filter, Individual, MAX_FILTERS, Query, Sex, Wanted,
};
pub use refusal::{Part, Refusal};
pub use request::{
    API_VERSION, Granularity, Include, MAX_BODY_BYTES, MAX_QUERY_BYTES, MAX_SCHEMAS, Page,
    Received, Request, RequestedSchema, parse_get, parse_page, parse_post,
};
pub use term::{NotATerm, Reach, TermId, Terms, Vocabulary};
