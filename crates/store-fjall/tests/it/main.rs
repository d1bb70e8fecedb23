//! The store on disk: the port's promises, and what it does when processes, disks and bits fail.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests may panic; helpers count as code otherwise"
)]

mod conformance;
mod crash;
mod damage;
mod dumps;
mod full;
mod measure;
mod open;
mod rows;

/// Set for a copy of this binary that a test runs as its child: the folder to work in.
const CHILD_FOLDER: &str = "STORE_FJALL_TEST_FOLDER";
