//! The port to the rules that make projections.
//!
//! A version's projections are committed to when it is put in and made again when they are asked for,
//! so that content is kept once. What was committed decides whether they are right.

use codec::Category;
use keys::Zeroizing;
use std::fmt;

/// A stored form with what says how to read it.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// What it is.
    pub kind: &'a str,
    /// How it is written.
    pub media_type: &'a str,
    /// The stored form.
    pub bytes: &'a [u8],
}

/// Makes projections: the same bytes for the same stored form and rule version, for as long as records
/// under that rule are kept.
pub trait Projector: fmt::Debug + Send + Sync {
    /// The projection of `form` in each category by the named version of the rule, in the order of
    /// `rules`; `None` if one cannot be made.
    fn project(
        &self,
        form: &Form<'_>,
        rules: &[(Category, u16)],
    ) -> Option<Vec<Zeroizing<Vec<u8>>>>;
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(<redacted>)")
    }
}
