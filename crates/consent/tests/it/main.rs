//! Laws, tables and boundaries of consent.

mod acts;
mod boundaries;
mod change;
mod laws;
mod listing;
mod policy;
mod reasons;
mod state;
mod table;
mod vocabulary;
mod world;
