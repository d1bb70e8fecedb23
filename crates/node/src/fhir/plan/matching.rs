//! Which resource a condition of a write means.
//!
//! What the writer may not see of other resources is not there for it. Of Patients it counts: whoever was told that
//! nobody carries an identifier would open a second compartment for the same child, or take another child for it.

use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::open::{Opened, Reading};
use crate::fhir::search::refused;
use crate::record::form::DELETED_MEDIA;
use ::fhir::search::{Handling, Query};
use store::Store;
use vault::Posting;

/// Records of one subject with one term that are looked at.
const TERM_RECORDS: usize = 1_000;

impl<S: Store> Custodian<S> {
    /// The only resource that matches, if one does.
    pub(super) async fn one_match(
        &self,
        reading: &mut Reading<'_, S>,
        kind: &str,
        pairs: &[(String, String)],
        what: &str,
    ) -> Result<Option<Opened>, Error> {
        reading.searches(kind)?;
        let base = &reading.asker.base;
        let mut query = Query::parse(kind, pairs, Handling::Strict, base).map_err(refused)?;
        // Without a parameter whatever is here would do.
        if query.is_met_by_all() {
            return Err(Error::Query {
                parameter: what.to_owned(),
                message: "a condition names at least one search parameter".to_owned(),
            });
        }
        self.chains_resolve(reading, &mut query).await?;
        let candidates = self.candidates(reading, kind, &query).await?;
        let mut found = Vec::new();
        for posting in &candidates {
            let opened = reading.open(posting).await?;
            let is_part = opened.as_ref().is_none_or(|opened| opened.is_subset);
            if let Some(opened) = opened
                && !opened.is_deleted
                && query.matches(&opened.parsed()?, opened.updated_ms)
            {
                found.push(opened);
            } else if is_part
                && kind == "Patient"
                && reading.reaches(&posting.subject)
                && self.may_match(posting, &query).await?
            {
                let what = what.to_owned();
                return Err(Error::MatchUnclear { what });
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            matches => Err(Error::SeveralMatch {
                what: what.to_owned(),
                matches,
            }),
        }
    }

    /// Whether a resource that cannot be opened may match, as far as the index tells.
    async fn may_match(&self, posting: &Posting, query: &Query) -> Result<bool, Error> {
        let meta = self
            .vault
            .record_meta(&posting.subject, &posting.record, None);
        match meta.await {
            Ok(meta) if meta.media_type == DELETED_MEDIA => return Ok(false),
            Ok(_) => {}
            // Erased since the index was read.
            Err(
                vault::Error::SubjectErased
                | vault::Error::SubjectUnknown
                | vault::Error::RecordUnknown(_),
            ) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        for clause in query.plan() {
            let mut carries = false;
            for term in &clause {
                let of_subject = self
                    .vault
                    .search_within(&posting.subject, term, TERM_RECORDS)
                    .await?;
                carries = carries
                    || of_subject.len() == TERM_RECORDS
                    || of_subject.iter().any(|one| one.record == posting.record);
            }
            if !carries {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
