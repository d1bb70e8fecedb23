//! The latest version of each record of a subject, page by page.

use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::SubjectId;
use std::cmp::Reverse;
use store::Store;

/// The newest of some records.
pub(crate) struct Newest {
    /// The newest first.
    pub(crate) metas: Vec<vault::RecordMeta>,
    /// How many there are, with those that are not among them.
    pub(crate) all: usize,
}

impl Newest {
    fn keep(&mut self, most: usize) {
        self.metas
            .sort_by_key(|meta| Reverse((meta.deposited, meta.record)));
        self.metas.truncate(most);
    }

    /// Leaves out what does not fit into so many bytes.
    pub(crate) fn fit(&mut self, mut room: u64) {
        self.metas.retain(|meta| {
            let left = room.checked_sub(meta.size_bytes());
            room = left.unwrap_or(room);
            left.is_some()
        });
    }
}

impl<S: Store> Custodian<S> {
    /// The latest version of every record, of which there may be so many.
    pub(crate) async fn latest_within(
        &self,
        subject: &SubjectId,
        limit: usize,
    ) -> Result<Vec<vault::RecordMeta>, Error> {
        let mut latest = Vec::new();
        self.latest_each(subject, &mut |meta| {
            latest.push(meta);
            match latest.len() > limit {
                true => Err(Error::invalid(
                    "request",
                    "records",
                    format!("the subject has more than {limit} records; name some of them"),
                )),
                false => Ok(()),
            }
        })
        .await?;
        Ok(latest)
    }

    /// The latest versions of a subject's records that are wanted: the newest of them, and how many there are.
    /// Holds no more than twice as many.
    pub(crate) async fn latest_newest(
        &self,
        subject: &SubjectId,
        most: usize,
        wanted: &(dyn Fn(&vault::RecordMeta) -> bool + Sync),
    ) -> Result<Newest, Error> {
        let mut newest = Newest {
            metas: Vec::new(),
            all: 0,
        };
        self.latest_each(subject, &mut |meta| {
            // A later version may be of a kind that is not wanted: the latest alone is asked.
            if wanted(&meta) {
                newest.all += 1;
                newest.metas.push(meta);
                if newest.metas.len() >= most.saturating_mul(2) {
                    newest.keep(most);
                }
            }
            Ok(())
        })
        .await?;
        newest.keep(most);
        Ok(newest)
    }

    /// The latest version of each of a subject's records, one after the other by their ids.
    async fn latest_each(
        &self,
        subject: &SubjectId,
        visit: &mut (dyn FnMut(vault::RecordMeta) -> Result<(), Error> + Send),
    ) -> Result<(), Error> {
        const PAGE: usize = 256;
        let mut after = None;
        let mut held: Option<vault::RecordMeta> = None;
        loop {
            let page = self.vault.record_list(subject, None, after, PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|meta| (meta.record, meta.version));
            for meta in page {
                // Versions of a record follow each other.
                let before = held.replace(meta);
                let next = held.as_ref().map(|meta| meta.record);
                if let Some(before) = before.filter(|before| Some(before.record) != next) {
                    visit(before)?;
                }
            }
            if !full {
                return held.map_or(Ok(()), visit);
            }
        }
    }
}
