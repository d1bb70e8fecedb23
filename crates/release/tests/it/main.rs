//! Tests of `release` from outside.

mod package;
