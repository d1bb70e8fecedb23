//! Searching: candidates by the blind index, exact matching on what is permitted, pages by key.
//!
//! Confined to one patient, the candidates are those of one compartment; otherwise those of all. A candidate is
//! opened as far as the asker may see it, and only that is matched and sorted by: what somebody may not see
//! they cannot find out by searching for it either.

use super::open::{Opened, Reading, settled};
use super::place::{is_of_directory, local};
use super::views::{AUDIT_EVENT, CONSENT, PROVENANCE};
use super::{FhirFound, FhirPage, FhirSearch, SUBSCRIPTION};
use crate::custodian::Custodian;
use crate::error::Error;
use ::fhir::search::{self, Handling, Query, QueryError, SortKey, Summary, Total};
use codec::id::{RecordId, SubjectId};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::Posting;

/// The most resources of a page.
pub const MAX_PAGE: usize = 1_000;
/// Resources of a page when nobody says how many.
const USUAL_PAGE: usize = 50;
/// Candidates that one search looks through.
pub(super) const MAX_CANDIDATES: usize = 50_000;
/// Candidates that are opened for one search that must see all of them: to sort, or to count.
const MAX_OPENED: usize = 20_000;
/// Bytes of what is kept of one search that must see all of them to sort.
const MAX_SORTED_BYTES: usize = 64 << 20;
/// Bytes of a page after which it holds no further resource: the next one goes on.
pub(super) const PAGE_BYTES: usize = 16 << 20;
/// First page of postings that the clauses of a search are compared by.
const FIRST_POSTINGS: usize = 16;
/// Resources that are included beside a page.
const MAX_INCLUDED: usize = 2_000;
/// How often what was included is itself followed.
const ITERATIONS: usize = 4;

impl<S: Store> Custodian<S> {
    pub(crate) async fn fhir_search(&self, input: FhirSearch) -> Result<FhirPage, Error> {
        let handling = match input.strict {
            true => Handling::Strict,
            false => Handling::Lenient,
        };
        let base = &input.asker.base;
        let query = Query::parse(&input.kind, &input.query, handling, base).map_err(refused)?;
        let understood = query.canonical();
        let ignored = query.ignored().to_vec();
        let (page, _) = settled!(self, &input.asker, "fhir-search", |reading| {
            match input.kind.as_str() {
                PROVENANCE | AUDIT_EVENT => self.page_of_made(reading, &input, handling).await,
                CONSENT => self.consent_page(&input, handling).await,
                SUBSCRIPTION => self.subscriptions_page(&input, handling).await,
                _ => self.page_of_stored(reading, &input, handling).await,
            }
        })?;
        self.counters.fetches.up();
        Ok(FhirPage {
            understood,
            ignored,
            ..page
        })
    }

    async fn page_of_stored(
        &self,
        reading: &mut Reading<'_, S>,
        input: &FhirSearch,
        handling: Handling,
    ) -> Result<FhirPage, Error> {
        let base = &input.asker.base;
        // Resolving chains changes a query, and this may run twice.
        let mut query = Query::parse(&input.kind, &input.query, handling, base).map_err(refused)?;
        self.chains_resolve(reading, &mut query).await?;
        if let Some(patients) = query.patients() {
            self.asked_about(reading, &patients).await?;
            self.also_replaced(reading, &mut query, &patients).await?;
        }
        self.page(reading, &input.kind, &query, input.after.as_deref())
            .await
    }

    /// Who asks about one patient by name is told why, if nothing of that patient is permitted. Who is confined to
    /// one is refused for all others, whether they are here or not.
    async fn asked_about(
        &self,
        reading: &mut Reading<'_, S>,
        patients: &[String],
    ) -> Result<(), Error> {
        let [patient] = patients else {
            return Ok(());
        };
        let subject = reading.patient(patient).await?;
        if reading.confined().is_some_and(|own| Some(own) != subject) {
            return Err(Error::OutOfScope);
        }
        match subject {
            Some(subject) => reading.refused(&subject).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn page(
        &self,
        reading: &mut Reading<'_, S>,
        kind: &str,
        query: &Query,
        after: Option<&str>,
    ) -> Result<FhirPage, Error> {
        let results = query.results();
        let count = page_size(query);
        let candidates = self.candidates(reading, kind, query).await?;
        let (matched, next, total) = if results.summary == Summary::Count || count == 0 {
            let count = self.count_matching(reading, query, candidates).await?;
            (Vec::new(), None, Some(count))
        } else if query.is_sorted_by_id_or_none() {
            let seen = Unsorted::begin(candidates, after)?;
            self.unsorted(reading, query, seen, count).await?
        } else {
            let all = self.all_matching(reading, query, candidates).await?;
            sorted(query, all, count, after)?
        };
        let total = match total {
            None if results.total == Total::Accurate => {
                let candidates = self.candidates(reading, kind, query).await?;
                Some(self.count_matching(reading, query, candidates).await?)
            }
            total => total,
        };
        for opened in &matched {
            reading.serve(opened);
        }
        let included = self.included(reading, query, &matched).await?;
        for opened in &included {
            reading.serve(opened);
        }
        let found = |is_include| {
            move |opened: Opened| FhirFound {
                resource: opened.resource(),
                is_include,
            }
        };
        let matched = matched.into_iter().map(found(false));
        Ok(FhirPage {
            found: matched
                .chain(included.into_iter().map(found(true)))
                .collect(),
            total: total.map(|total| u64::try_from(total).unwrap_or(u64::MAX)),
            next,
            understood: Vec::new(),
            ignored: Vec::new(),
        })
    }

    /// What may match, each record once: too many, never too few.
    pub(super) async fn candidates(
        &self,
        reading: &mut Reading<'_, S>,
        kind: &str,
        query: &Query,
    ) -> Result<Vec<Posting>, Error> {
        if let Some(ids) = query.ids() {
            return self.placed_all(kind, &ids).await;
        }
        // Lists of people are in the directory, whoever they name.
        let patients = query.patients().filter(|_| !is_of_directory(kind));
        let within = match (reading.confined_to(kind)?, patients) {
            (Some(own), _) => {
                let mut reached = vec![own];
                reached.extend(self.directory_known().await?);
                Some(reached)
            }
            (None, Some(patients)) => {
                let mut subjects = BTreeSet::new();
                for patient in patients {
                    subjects.extend(reading.patient(&patient).await?);
                }
                Some(subjects.into_iter().collect())
            }
            (None, None) => None,
        };
        let mut clauses = query.plan();
        if clauses.is_empty() {
            clauses.push(vec![search::type_term(kind)]);
        }
        // The clause with the fewest postings: the rest is decided by opening.
        let mut limit = FIRST_POSTINGS;
        loop {
            for clause in &clauses {
                let postings = self.postings(within.as_deref(), clause, limit).await?;
                if postings.len() < limit {
                    return Ok(postings);
                }
            }
            if limit >= MAX_CANDIDATES {
                return Err(Error::Query {
                    parameter: "search".to_owned(),
                    message: format!(
                        "more than {MAX_CANDIDATES} resources may match; confine it to a patient, a code or a date"
                    ),
                });
            }
            limit = limit.saturating_mul(8).min(MAX_CANDIDATES);
        }
    }

    /// Up to `limit` records that carry one of the terms, each once.
    async fn postings(
        &self,
        within: Option<&[SubjectId]>,
        terms: &[Vec<u8>],
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        let mut found: BTreeMap<(RecordId, SubjectId), Posting> = BTreeMap::new();
        let mut add = |postings: Vec<Posting>| {
            let by_record = |posting: Posting| ((posting.record, posting.subject), posting);
            found.extend(postings.into_iter().map(by_record));
            found.len()
        };
        'terms: for term in terms {
            match within {
                Some(subjects) => {
                    for subject in subjects {
                        let postings = self.vault.search_within(subject, term, limit).await?;
                        if add(postings) >= limit {
                            break 'terms;
                        }
                    }
                }
                None => {
                    if add(self.vault.search(term, limit).await?) >= limit {
                        break 'terms;
                    }
                }
            }
        }
        Ok(found.into_values().collect())
    }

    async fn placed_all(&self, kind: &str, ids: &[String]) -> Result<Vec<Posting>, Error> {
        let mut found = BTreeMap::new();
        for id in ids {
            if let Some(place) = self.fhir_place(kind, id).await? {
                let posting = Posting {
                    subject: place.subject,
                    record: place.record,
                    version: place.version,
                };
                found.insert((place.record, place.subject), posting);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Those candidates that match, as far as the asker may see them.
    async fn all_matching(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        candidates: Vec<Posting>,
    ) -> Result<Vec<Opened>, Error> {
        few_enough(&candidates)?;
        let mut matching = Vec::new();
        let mut size_bytes = 0_usize;
        for posting in &candidates {
            let Some(opened) = self.matching(reading, query, posting).await? else {
                continue;
            };
            size_bytes = size_bytes.saturating_add(opened.content.len());
            if size_bytes > MAX_SORTED_BYTES {
                return Err(Error::Query {
                    parameter: "_sort".to_owned(),
                    message: format!(
                        "more than {MAX_SORTED_BYTES} bytes would have to be held at once; confine the search"
                    ),
                });
            }
            matching.push(opened);
        }
        Ok(matching)
    }

    /// How many candidates match; none is kept.
    async fn count_matching(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        candidates: Vec<Posting>,
    ) -> Result<usize, Error> {
        few_enough(&candidates)?;
        let mut count = 0_usize;
        for posting in &candidates {
            if self.matching(reading, query, posting).await?.is_some() {
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    async fn matching(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        posting: &Posting,
    ) -> Result<Option<Opened>, Error> {
        let Some(mut opened) = reading.open(posting).await? else {
            return Ok(None);
        };
        if opened.is_deleted {
            return Ok(None);
        }
        let parsed = opened.parsed()?;
        if !query.matches(&parsed, opened.updated_ms) {
            return Ok(None);
        }
        let id = parsed.id().map(std::borrow::Cow::into_owned);
        opened.known_id = id;
        Ok(Some(opened))
    }

    async fn unsorted(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        seen: Unsorted,
        count: usize,
    ) -> Result<Matched, Error> {
        let mut page = Vec::new();
        let mut size_bytes = 0_usize;
        for posting in &seen.left {
            if page.len() == count || size_bytes >= PAGE_BYTES {
                // Whether another one matches decides whether there is a next page.
                if self.matching(reading, query, posting).await?.is_some() {
                    let next = page.last().map(|last: &Opened| last.record.to_string());
                    return Ok((page, next, None));
                }
                continue;
            }
            let opened = self.matching(reading, query, posting).await?;
            size_bytes = size_bytes.saturating_add(opened.as_ref().map_or(0, |o| o.content.len()));
            page.extend(opened);
        }
        let total = seen.is_first.then_some(page.len());
        Ok((page, None, total))
    }

    /// Follows the chains of a query: from then on it names the resources that they lead to.
    pub(crate) async fn chains_resolve(
        &self,
        reading: &mut Reading<'_, S>,
        query: &mut Query,
    ) -> Result<(), Error> {
        let mut chained = Vec::new();
        for chain in query.chains() {
            let mut targets = Vec::new();
            for (kind, inner) in &chain.targets {
                reading.searches(kind)?;
                let candidates = self.candidates(reading, kind, inner).await?;
                let found = self.all_matching(reading, inner, candidates).await?;
                targets.extend(found.iter().map(|found| ((*kind).to_owned(), found.id())));
            }
            chained.push(targets);
        }
        let mut pointed = Vec::new();
        for has in query.has() {
            reading.searches(has.resource_type)?;
            let candidates = self
                .candidates(reading, has.resource_type, &has.query)
                .await?;
            let found = self.all_matching(reading, &has.query, candidates).await?;
            let mut ids = Vec::new();
            for opened in &found {
                let referred = self.referred(reading, opened, has.parameter)?;
                ids.extend(referred.into_iter().map(|(_, id)| id));
            }
            pointed.push(ids);
        }
        for (at, targets) in chained.iter().enumerate() {
            query.resolve_chain(at, targets);
        }
        for (at, ids) in pointed.iter().enumerate() {
            query.resolve_has(at, ids);
        }
        Ok(())
    }

    /// Resources of this server to which a reference parameter of a resource points.
    fn referred(
        &self,
        reading: &Reading<'_, S>,
        opened: &Opened,
        parameter: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        let parsed = opened.parsed()?;
        let references = search::references(&parsed, parameter);
        let base = &reading.asker.base;
        let locals = references.iter().filter_map(|target| {
            let text = target.text();
            let (kind, id) = local(&text, base)?;
            Some((kind.to_owned(), id.to_owned()))
        });
        Ok(locals.collect())
    }

    /// What the query wants included beside its matches.
    async fn included(
        &self,
        reading: &mut Reading<'_, S>,
        query: &Query,
        matched: &[Opened],
    ) -> Result<Vec<Opened>, Error> {
        let results = query.results();
        let mut there: BTreeSet<(SubjectId, RecordId)> =
            matched.iter().map(|o| (o.subject, o.record)).collect();
        let mut included: Vec<Opened> = Vec::new();
        let mut size_bytes = 0_usize;
        let mut from = 0;
        for turn in 0..ITERATIONS {
            let mut wanted: Vec<Posting> = Vec::new();
            let sources: Vec<&Opened> = match turn {
                0 => matched.iter().collect(),
                _ => included.get(from..).unwrap_or_default().iter().collect(),
            };
            for include in &results.includes {
                if turn > 0 && !include.iterate {
                    continue;
                }
                let of_type = sources.iter().filter(|o| o.kind == include.source_type);
                for opened in of_type {
                    for (kind, id) in self.referred(reading, opened, include.parameter)? {
                        if include.target_type.is_none_or(|target| target == kind)
                            && reading.may_include(&kind)
                        {
                            wanted.extend(self.placed_all(&kind, &[id]).await?);
                        }
                    }
                }
            }
            for include in &results.revincludes {
                if turn > 0 && !include.iterate {
                    continue;
                }
                reading.searches(include.source_type)?;
                let targets: Vec<String> = sources
                    .iter()
                    .map(|opened| format!("{}/{}", opened.kind, opened.id()))
                    .collect();
                for target in targets {
                    let pairs = [(include.parameter.to_owned(), target)];
                    let base = &reading.asker.base;
                    let source = include.source_type;
                    let inner =
                        Query::parse(source, &pairs, Handling::Strict, base).map_err(refused)?;
                    let candidates = self.candidates(reading, source, &inner).await?;
                    for posting in candidates {
                        if self.matching(reading, &inner, &posting).await?.is_some() {
                            wanted.push(posting);
                        }
                    }
                }
            }
            from = included.len();
            for posting in wanted {
                if !there.insert((posting.subject, posting.record)) {
                    continue;
                }
                if included.len() == MAX_INCLUDED || size_bytes >= PAGE_BYTES {
                    return Err(Error::Query {
                        parameter: "_include".to_owned(),
                        message: format!(
                            "more than {MAX_INCLUDED} resources or {PAGE_BYTES} bytes would be included; ask for fewer \
                             with _count"
                        ),
                    });
                }
                let opened = reading.include(&posting).await?;
                let opened = opened.filter(|opened| !opened.is_deleted && opened.kind != CONSENT);
                size_bytes =
                    size_bytes.saturating_add(opened.as_ref().map_or(0, |o| o.content.len()));
                included.extend(opened);
            }
            if from == included.len() {
                break;
            }
        }
        Ok(included)
    }
}

/// Matches of a page, where the next begins, and how many there are in all, if that is known.
type Matched = (Vec<Opened>, Option<String>, Option<usize>);

/// Candidates in the order of their records.
struct Unsorted {
    left: Vec<Posting>,
    is_first: bool,
}

impl Unsorted {
    fn begin(mut candidates: Vec<Posting>, after: Option<&str>) -> Result<Self, Error> {
        candidates.sort_by_key(|posting| (posting.record, posting.subject));
        if let Some(after) = after {
            let after: RecordId = after.parse().map_err(|_| stale_link())?;
            candidates.retain(|posting| posting.record > after);
        }
        Ok(Self {
            left: candidates,
            is_first: after.is_none(),
        })
    }
}

/// A page of what was sorted. Its mark names the last record and how many came up to it, never a value.
fn sorted(
    query: &Query,
    all: Vec<Opened>,
    count: usize,
    after: Option<&str>,
) -> Result<Matched, Error> {
    let total = all.len();
    let mut keyed: Vec<(SortKey, Opened)> = Vec::with_capacity(total);
    for opened in all {
        let key = query.sort_key(&opened.parsed()?, opened.updated_ms);
        keyed.push((key, opened));
    }
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut sorted: Vec<Opened> = keyed.into_iter().map(|(_, opened)| opened).collect();
    let mut from = 0;
    if let Some(after) = after {
        let (record, before) = after.split_once('-').ok_or_else(stale_link)?;
        let record: RecordId = record.parse().map_err(|_| stale_link())?;
        let before: usize = before.parse().map_err(|_| stale_link())?;
        // If the record is no more, what came after it has taken its place.
        from = match sorted.iter().position(|opened| opened.record == record) {
            Some(at) => at.saturating_add(1),
            None => before.saturating_sub(1),
        };
    }
    let mut page = sorted.split_off(from.min(total));
    let is_more = page.len() > count;
    page.truncate(count);
    let next = page
        .last()
        .filter(|_| is_more)
        .map(|last| format!("{}-{}", last.record, from.saturating_add(count)));
    Ok((page, next, Some(total)))
}

pub(crate) fn stale_link() -> Error {
    Error::Query {
        parameter: "_after".to_owned(),
        message: "it is not from a link of this server; begin at the first page".to_owned(),
    }
}

/// Refuses to open too many for one answer.
fn few_enough(candidates: &[Posting]) -> Result<(), Error> {
    if candidates.len() <= MAX_OPENED {
        return Ok(());
    }
    Err(Error::Query {
        parameter: "_sort".to_owned(),
        message: format!(
            "more than {MAX_OPENED} resources would have to be opened to sort or count them; confine the search"
        ),
    })
}

/// How many resources a page has.
pub(crate) fn page_size(query: &Query) -> usize {
    query.results().count.map_or(USUAL_PAGE, |count| {
        usize::try_from(count).unwrap_or(MAX_PAGE).min(MAX_PAGE)
    })
}

pub(crate) fn refused(error: QueryError) -> Error {
    Error::Query {
        parameter: error.parameter,
        message: error.message,
    }
}
