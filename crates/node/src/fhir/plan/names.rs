//! What references within a transaction mean: an entry, a resource that is here, or neither.
//!
//! As R4 resolves references in Bundles: a relative one is below the address that the entry's own `fullUrl`
//! gives, be it this server's or another's. An entry without such an address, and one that keeps its id, means
//! what is here, or the one entry that is called so. What might mean two things is refused, and a search is
//! asked once for the whole transaction.

use super::{Meant, There};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::open::Reading;
use crate::fhir::place::local;
use codec::id::SubjectId;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

const TWO_MEANINGS: &str = "it may mean two resources; name the one by its entry's whole fullUrl, and the other \
                            by this server's address in an entry without a fullUrl of another server";
const NO_ENTRY: &str = "it refers to an entry that the Bundle does not have";
const NO_MATCH: &str = "nothing matches the search in this reference";
const NO_SEARCH: &str = "the search in this reference is not understood";

/// What a reference means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// What this entry writes.
    Entry(usize),
    /// What is here under this type and id, if anything is.
    Here(String, String),
    /// What a search found: whose it is, and `Type/id`.
    Found(SubjectId, String),
    /// Nothing that this server knows: contained in the resource, or another server's.
    Elsewhere,
    /// It cannot be.
    Refused(&'static str),
}

/// What the entries are called.
pub(super) struct Names<'n> {
    base: &'n str,
    bundle: bool,
    meant: &'n [Meant<'n>],
    /// By `fullUrl`.
    whole: BTreeMap<&'n str, Vec<usize>>,
    /// By `Type/id`, of those that are or will be here under that.
    here: BTreeMap<String, Vec<usize>>,
    /// By `Type/id` at the end of a `fullUrl`.
    ends: BTreeMap<&'n str, Vec<usize>>,
    searched: BTreeMap<String, Means>,
}

impl<'n> Names<'n> {
    pub(super) fn of(meant: &'n [Meant<'n>], base: &'n str, bundle: bool) -> Self {
        let mut names = Self {
            base,
            bundle,
            meant,
            whole: BTreeMap::new(),
            here: BTreeMap::new(),
            ends: BTreeMap::new(),
            searched: BTreeMap::new(),
        };
        for (at, meant) in meant.iter().enumerate() {
            if let Some(id) = meant.known_id() {
                let name = format!("{}/{id}", meant.write.kind);
                names.here.entry(name).or_default().push(at);
            }
            let Some(full_url) = meant.write.full_url.as_deref() else {
                continue;
            };
            names.whole.entry(full_url).or_default().push(at);
            if let Some((_, end)) = rooted(full_url)
                && end.split('/').next() == Some(meant.write.kind.as_str())
            {
                names.ends.entry(end).or_default().push(at);
            }
        }
        names
    }

    /// The entries, and whether something that is here may be meant too, as which `Type/id`.
    fn candidates<'t>(
        &self,
        at: usize,
        text: &'t str,
    ) -> (BTreeSet<usize>, Option<(&'t str, &'t str)>) {
        let all = |found: Option<&Vec<usize>>| found.into_iter().flatten().copied().collect();
        let mut entries: BTreeSet<usize> = all(self.whole.get(text));
        let Some((kind, id)) = local(text, self.base) else {
            return (entries, None);
        };
        let short = format!("{kind}/{id}");
        if text.len() == short.len() {
            let meant = self.meant.get(at);
            let own =
                meant.and_then(|meant| Some((meant, rooted(meant.write.full_url.as_deref()?)?)));
            match own {
                Some((meant, (root, end))) => {
                    let beside = format!("{root}/{short}");
                    entries.extend(all(self.whole.get(beside.as_str())));
                    // Who keeps the ids of another server here means the same by them there and here.
                    let keeps_id = meant.known_id().is_some_and(|id| {
                        end.split_once('/') == Some((meant.write.kind.as_str(), id))
                    });
                    if root != self.base && !keeps_id {
                        return (entries, None);
                    }
                }
                None => entries.extend(all(self.ends.get(short.as_str()))),
            }
        }
        entries.extend(all(self.here.get(&short)));
        (entries, Some((kind, id)))
    }

    /// The type of an entry.
    pub(super) fn kind(&self, entry: usize) -> Option<&str> {
        Some(self.meant.get(entry)?.write.kind.as_str())
    }

    /// What a reference in an entry means.
    pub(super) async fn means<S: Store>(
        &mut self,
        custodian: &Custodian<S>,
        reading: &mut Reading<'_, S>,
        at: usize,
        text: &str,
    ) -> Result<Means, Error> {
        if text.is_empty() || text.starts_with('#') {
            return Ok(Means::Elsewhere);
        }
        if let Some((kind, query)) = below(text, self.base).split_once('?')
            && ::fhir::is_resource_type(kind)
        {
            if let Some(known) = self.searched.get(text) {
                return Ok(known.clone());
            }
            let means = custodian.searched(reading, kind, query).await?;
            self.searched.insert(text.to_owned(), means.clone());
            return Ok(means);
        }
        let text = text.split_once("/_history/").map_or(text, |(of, _)| of);
        let (entries, here) = self.candidates(at, text);
        let mut entries = entries.into_iter();
        Ok(match (entries.next(), entries.next(), here) {
            (Some(_), Some(_), _) => Means::Refused(TWO_MEANINGS),
            (Some(entry), None, Some((kind, id))) => {
                let known = self.meant.get(entry).and_then(Meant::known_id);
                let is_other = known != Some(id) && {
                    let place = custodian.fhir_place(kind, id).await?;
                    place.is_some_and(|place| reading.reaches(&place.subject))
                };
                match is_other {
                    true => Means::Refused(TWO_MEANINGS),
                    false => Means::Entry(entry),
                }
            }
            (Some(entry), None, None) => Means::Entry(entry),
            (None, _, Some((kind, id))) => Means::Here(kind.to_owned(), id.to_owned()),
            (None, _, None) if self.bundle && text.starts_with("urn:") => Means::Refused(NO_ENTRY),
            (None, _, None) => Means::Elsewhere,
        })
    }
}

impl<S: Store> Custodian<S> {
    async fn searched(
        &self,
        reading: &mut Reading<'_, S>,
        kind: &str,
        query: &str,
    ) -> Result<Means, Error> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        match self.one_match(reading, kind, &pairs, "a reference").await {
            Ok(Some(found)) => Ok(Means::Found(
                found.subject,
                format!("{kind}/{}", found.id()),
            )),
            Ok(None) => Ok(Means::Refused(NO_MATCH)),
            Err(Error::Query { .. }) => Ok(Means::Refused(NO_SEARCH)),
            Err(error) => Err(error),
        }
    }
}

impl Meant<'_> {
    /// The id under which it is here, or will be, as far as it is known before its record is.
    pub(super) fn known_id(&self) -> Option<&str> {
        let there = self.there.as_ref().map(|there: &There| there.id.as_str());
        there.or(self.chosen.as_deref())
    }
}

/// An address as what stands before `/Type/id`, and that.
fn rooted(address: &str) -> Option<(&str, &str)> {
    let slash = address.rfind('/')?;
    let start = address.get(..slash)?.rfind('/')?;
    let (root, end) = (address.get(..start)?, address.get(start + 1..)?);
    (root.contains("://") && local(end, "").is_some()).then_some((root, end))
}

/// A reference under this server's address as a relative one; others as they are.
pub(super) fn below<'t>(text: &'t str, base: &str) -> &'t str {
    let rest = text.strip_prefix(base).filter(|_| !base.is_empty());
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(text)
}
