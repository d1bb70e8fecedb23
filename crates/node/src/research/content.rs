//! The bytes of releases: files in pieces, under the node's key, until they leave.
//!
//! What is in them is of groups of at least `k` subjects and was made to leave; it stays when a subject is erased.

use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::DisclosureId;
use std::collections::BTreeMap;
use store::Store;

/// Rows of pieces start with this.
const FILES: &[u8] = b"release-file/";
/// Rows of finished groups start with this.
const PARTS: &[u8] = b"release-part/";
/// The length of a piece, in bytes.
pub(crate) const PIECE: usize = 256 << 10;

/// Files in the making, each with what is not yet a piece.
#[derive(Default)]
pub(crate) struct Content {
    open: BTreeMap<String, (u64, Vec<u8>)>,
}

fn files_of(release: &DisclosureId) -> Vec<u8> {
    [FILES, format!("{release}/").as_bytes()].concat()
}

fn piece_name(release: &DisclosureId, file: &str, piece: u64) -> Vec<u8> {
    let name = format!("{file}/{piece:08x}");
    [files_of(release), name.into_bytes()].concat()
}

fn parts_of(release: &DisclosureId) -> Vec<u8> {
    [PARTS, format!("{release}/").as_bytes()].concat()
}

impl<S: Store> Custodian<S> {
    /// Adds bytes to the ends of files.
    pub(super) async fn content_add(
        &self,
        release: &DisclosureId,
        content: &mut Content,
        pieces: Vec<(&'static str, Vec<u8>)>,
    ) -> Result<(), Error> {
        for (file, bytes) in pieces {
            let (_, open) = content.open.entry(file.to_owned()).or_default();
            open.extend(bytes);
        }
        let full: Vec<String> = content
            .open
            .iter()
            .filter(|(_, (_, open))| open.len() >= PIECE)
            .map(|(file, _)| file.clone())
            .collect();
        for file in full {
            self.content_flush(release, content, &file, false).await?;
        }
        Ok(())
    }

    /// Writes what is left of every file.
    pub(super) async fn content_finish(
        &self,
        release: &DisclosureId,
        mut content: Content,
    ) -> Result<(), Error> {
        let all: Vec<String> = content.open.keys().cloned().collect();
        for file in all {
            self.content_flush(release, &mut content, &file, true)
                .await?;
        }
        Ok(())
    }

    async fn content_flush(
        &self,
        release: &DisclosureId,
        content: &mut Content,
        file: &str,
        all: bool,
    ) -> Result<(), Error> {
        let Some((next, open)) = content.open.get_mut(file) else {
            return Ok(());
        };
        let mut entropy = self.ambient.entropy();
        while open.len() >= PIECE || (all && !open.is_empty()) {
            let rest = open.split_off(open.len().min(PIECE));
            let piece = std::mem::replace(open, rest);
            let name = piece_name(release, file, *next);
            self.vault
                .node_row_put(&name, None, &piece, &mut entropy)
                .await?;
            *next += 1;
        }
        Ok(())
    }

    /// A whole small file; none if there is none.
    pub(super) async fn content_file(
        &self,
        release: &DisclosureId,
        file: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut whole = Vec::new();
        for piece in 0_u64.. {
            match self.content_piece(release, file, piece).await? {
                Some(bytes) => whole.extend(bytes),
                None if piece == 0 => return Ok(None),
                None => break,
            }
        }
        Ok(Some(whole))
    }

    /// A piece of a file; none after its end.
    pub(super) async fn content_piece(
        &self,
        release: &DisclosureId,
        file: &str,
        piece: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let name = piece_name(release, file, piece);
        let found = self.vault.node_row(&name).await?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    /// Removes every file of a release but some; its finished groups stay.
    pub(super) async fn content_remove(
        &self,
        release: &DisclosureId,
        but: &[&str],
    ) -> Result<(), Error> {
        self.rows_remove(&files_of(release), but).await
    }

    /// Whether a release has other files than these, or finished groups.
    pub(super) async fn content_left(
        &self,
        release: &DisclosureId,
        but: &[&str],
    ) -> Result<bool, Error> {
        let parts = self.vault.node_rows(&parts_of(release), None, 1).await?;
        let files = self.rows_beside(&files_of(release), None, but).await?;
        Ok(!parts.is_empty() || files.is_some_and(|(names, _)| !names.is_empty()))
    }

    /// Keeps finished groups, so that a release goes on after a restart where it was.
    pub(super) async fn part_put(
        &self,
        release: &DisclosureId,
        part: u64,
        groups: &[u8],
    ) -> Result<(), Error> {
        let name = [parts_of(release), format!("{part:08x}").into_bytes()].concat();
        let mut entropy = self.ambient.entropy();
        self.vault
            .node_row_put(&name, None, groups, &mut entropy)
            .await?;
        Ok(())
    }

    /// Finished groups.
    pub(super) async fn part(
        &self,
        release: &DisclosureId,
        part: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let name = [parts_of(release), format!("{part:08x}").into_bytes()].concat();
        let found = self.vault.node_row(&name).await?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    /// Removes the finished groups.
    pub(super) async fn parts_remove(&self, release: &DisclosureId) -> Result<(), Error> {
        self.rows_remove(&parts_of(release), &[]).await
    }

    async fn rows_remove(&self, prefix: &[u8], but: &[&str]) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        while let Some((names, last)) = self.rows_beside(prefix, after.as_deref(), but).await? {
            self.vault.node_rows_remove(&names).await?;
            after = Some(last);
        }
        Ok(())
    }

    /// The next rows but those of some files, and the last that was looked at; none at the end.
    async fn rows_beside(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        but: &[&str],
    ) -> Result<Option<(Vec<Vec<u8>>, Vec<u8>)>, Error> {
        // Few at a time: they are large, and looking for their names opens them.
        let rows = self.vault.node_rows(prefix, after, 16).await?;
        let mut names: Vec<Vec<u8>> = rows.into_iter().map(|(name, _)| name).collect();
        let Some(last) = names.last().cloned() else {
            return Ok(None);
        };
        names.retain(|name| {
            let file = name.get(prefix.len()..).unwrap_or_default();
            !but.iter()
                .any(|but| file.starts_with(format!("{but}/").as_bytes()))
        });
        Ok(Some((names, last)))
    }
}
