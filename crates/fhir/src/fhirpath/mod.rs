//! The part of FHIRPath (2.0.0, N1) that the invariants of R4 need, over JSON.
//!
//! An [`Expression`] is parsed once and evaluated on a [`Node`]: a value with its type in the table.
//! Every step is counted, so that evaluation ends ([`Stop::TooCostly`]) whatever is sent. What is not
//! known (arithmetic on quantities, `memberOf`, dates with variables, ...) is refused when the
//! expression is parsed, never passed over when it is evaluated.
//!
//! `resolve()` is empty: nothing outside the document is looked at.

mod amount;
mod eval;
mod functions;
mod item;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

pub(crate) use eval::{Evaluator, Scope, Stop};
pub(crate) use item::Node;
pub(crate) use parser::Expression;
