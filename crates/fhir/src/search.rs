//! stub
#![allow(missing_docs, clippy::all, missing_debug_implementations, unused)]
use crate::Parsed;
use std::collections::BTreeSet;
pub fn terms(_: &Parsed<'_>) -> BTreeSet<Vec<u8>> { BTreeSet::new() }
pub fn type_term(t: &str) -> Vec<u8> { t.as_bytes().to_vec() }
pub fn id_term(t: &str, id: &str) -> Vec<u8> { [t.as_bytes(), id.as_bytes()].concat() }
#[derive(Clone, Copy)]
pub enum Handling { Strict, Lenient }
#[derive(Clone)]
pub struct Query;
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey;
impl SortKey { pub fn to_text(&self) -> String { String::new() } pub fn from_text(_: &str) -> Option<Self> { None } }
pub struct QueryError { pub parameter: String, pub message: String }
pub struct Include { pub source: String, pub parameter: String, pub target: Option<String>, pub iterate: bool }
pub struct Results { pub count: Option<u32>, pub includes: Vec<Include>, pub revincludes: Vec<Include> }
impl Results { pub fn wants_only_count(&self) -> bool { false } pub fn wants_total(&self) -> bool { false } }
pub struct Chain; impl Chain { pub fn queries(&self) -> Vec<(String, Query)> { vec![] } }
pub struct Has; impl Has { pub fn resource_type(&self) -> &str { "" } pub fn parameter(&self) -> &str { "" } pub fn query(&self) -> &Query { &Query } }
impl Query {
  pub fn parse(_: &str, _: &[(String, String)], _: Handling, _: &str) -> Result<Query, QueryError> { Ok(Query) }
  pub fn ignored(&self) -> &[String] { &[] }
  pub fn canonical(&self) -> Vec<(String, String)> { vec![] }
  pub fn ids(&self) -> Option<Vec<String>> { None }
  pub fn patients(&self) -> Option<Vec<String>> { None }
  pub fn plan(&self) -> Vec<Vec<Vec<u8>>> { vec![] }
  pub fn matches(&self, _: &Parsed<'_>, _: u64) -> bool { true }
  pub fn sort_key(&self, _: &Parsed<'_>, _: u64) -> SortKey { SortKey }
  pub fn is_sorted_by_id_or_none(&self) -> bool { true }
  pub fn results(&self) -> &Results { unimplemented!() }
  pub fn chains(&self) -> &[Chain] { &[] }
  pub fn has(&self) -> &[Has] { &[] }
  pub fn resolve_chain(&mut self, _: usize, _: &[(String, String)]) {}
  pub fn resolve_has(&mut self, _: usize, _: &[String]) {}
}
pub struct Target(String); impl Target { pub fn as_str(&self) -> &str { &self.0 } }
pub fn references(_: &Parsed<'_>, _: &str) -> Vec<Target> { vec![] }
pub fn compartment_patients(_: &Parsed<'_>) -> Vec<String> { vec![] }
