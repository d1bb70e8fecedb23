//! The files of a release, made group by group.

use crate::group::Group;
use crate::header::{Format, Header};
use crate::tables::Tables;
use crate::{fhir, packet, words};
use codec::{Digest, Domain};
use keys::Sha256Hasher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The canonical file: a group a line.
pub const GROUPS: &str = "groups.ndjson";
/// The header.
pub(crate) const HEADER: &str = "release.json";

/// Why a package cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The Parquet library.
    #[error("a Parquet file cannot be written: {0}")]
    Parquet(String),
    /// JSON.
    #[error("a group cannot be written as JSON")]
    Json,
}

impl From<parquet::errors::ParquetError> for PackageError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Parquet(error.to_string())
    }
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name: one part, no folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// Each file with its length and hash, by name. Serialises as `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`crate::FORMAT`].
    pub format: String,
    /// By name.
    pub files: Vec<File>,
}

impl Manifest {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        words::pretty(self)
    }

    /// What the ledger holds of the content.
    pub fn digest(&self) -> Digest {
        keys::digest(Domain::ReleaseContent, &[&self.bytes()])
    }
}

/// Bytes for the end of a file.
pub type Piece = (&'static str, Vec<u8>);

/// A release in the making: give it the groups in order, and write the pieces it gives to their files.
pub struct Package {
    header: Header,
    tables: Option<Tables>,
    hashed: BTreeMap<&'static str, (u64, Sha256Hasher)>,
}

impl Package {
    /// Begins; gives the first pieces.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn new(header: Header) -> Result<(Self, Vec<Piece>), PackageError> {
        let tables = match header.formats.contains(&Format::Parquet) {
            true => Some(Tables::new()?),
            false => None,
        };
        let mut pieces = vec![
            (HEADER, words::pretty(&header)),
            ("dictionary.json", words::dictionary(&header)),
            ("README.md", words::readme(&header)),
            (GROUPS, Vec::new()),
        ];
        if header.formats.contains(&Format::Fhir) {
            pieces.extend(fhir::FILES.map(|(file, _)| (file, Vec::new())));
        }
        if header.formats.contains(&Format::Phenopackets) {
            pieces.push((packet::FILE.0, Vec::new()));
        }
        let mut package = Self {
            header,
            tables,
            hashed: BTreeMap::new(),
        };
        package.hash(&pieces);
        Ok((package, pieces))
    }

    /// Takes the next group.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn group(&mut self, group: &Group) -> Result<Vec<Piece>, PackageError> {
        let mut line = serde_json::to_vec(group).map_err(|_| PackageError::Json)?;
        line.push(b'\n');
        let mut pieces = vec![(GROUPS, line)];
        if self.header.formats.contains(&Format::Fhir) {
            pieces.extend(fhir::lines(group));
        }
        if self.header.formats.contains(&Format::Phenopackets) {
            pieces.push((packet::FILE.0, packet::lines(&self.header, group)));
        }
        if let Some(tables) = &mut self.tables {
            pieces.extend(tables.group(group)?);
        }
        self.hash(&pieces);
        Ok(pieces)
    }

    /// After the last group: the last pieces, and what all of it is.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn finish(mut self) -> Result<(Vec<Piece>, Manifest), PackageError> {
        let pieces = match self.tables.take() {
            Some(tables) => tables.finish()?,
            None => Vec::new(),
        };
        self.hash(&pieces);
        let files = self.hashed.into_iter().map(|(name, (bytes, hash))| File {
            name: name.to_owned(),
            bytes,
            sha256: Digest::new(hash.finalize()),
        });
        let manifest = Manifest {
            format: crate::FORMAT.to_owned(),
            files: files.collect(),
        };
        Ok((pieces, manifest))
    }

    fn hash(&mut self, pieces: &[Piece]) {
        for (file, bytes) in pieces {
            let (length, hash) = self.hashed.entry(file).or_default();
            *length += bytes.len() as u64;
            hash.update(bytes);
        }
    }
}
