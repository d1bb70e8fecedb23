//! The `ithaca` binary.
fn main() {}
