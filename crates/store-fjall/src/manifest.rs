//! Checking the engine's manifests and files, which it opens in good faith.
//!
//! The engine stores checksums of its manifest and of each file, but reads neither; it deletes
//! trees and files it does not find listed, and allocates what a damaged length says. A flipped bit
//! could cost every row. So before it opens, each manifest is checked whole, and each listed file
//! in its table of contents or whole.
//!
//! Formats (lsm-tree 3.1, little endian): `current` = version (8), XXH3-128 of file `v<version>`
//! (16), checksum kind 0 (1). Manifests, tables and blob files are archives ending in `contents`,
//! then `"SFA!", 1, 0, XXH3-128 of contents (16), contents' offset (8), length (8)`; contents =
//! `"TOC!", sections (4)`, then per section `offset (8), length (8), name length (2), name`.
//! Section `tables` = levels (1), of runs (1), of tables (4), of `id (8), 0, XXH3-128 of the file
//! (16), seqno (8)`; section `blob_files` = files (4), of `id (8), 0, XXH3-128 of the file (16)`.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use store::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::folder::OpenError;

/// The engine's own tree and the rows' tree.
const TREES: [&str; 2] = ["0", "1"];
const TRAILER_BYTES: u64 = 38;
/// Contents are a few dozen bytes per section, of which there are about ten.
const CONTENTS_MAX_BYTES: u64 = 64 << 10;

/// Checks the manifests and the files they list, reading up to `whole_max_bytes` of tables whole.
pub(crate) fn check(engine: &Path, whole_max_bytes: u64) -> Result<(), OpenError> {
    let damaged = |what| Err(OpenError::Damaged { what });
    let reading = |source| OpenError::Io {
        doing: "reading a file of the store",
        source,
    };
    if !engine.join("version").try_exists().map_err(reading)? {
        return damaged("the engine's file `version` is missing");
    }
    let mut left = whole_max_bytes;
    for tree in TREES {
        let Some(mut files) =
            listed_files(&engine.join("keyspaces").join(tree)).map_err(reading)?
        else {
            return damaged("a manifest does not match its checksum");
        };
        files.sort_by_key(|file| file.size_bytes);
        for file in files {
            if file.size_bytes.is_none() {
                return damaged("a file is missing");
            }
            let size = file.size_bytes.unwrap_or_default();
            let is_intact = match left.checked_sub(size) {
                Some(rest) if !file.is_blobs => {
                    left = rest;
                    file.is_intact()
                }
                _ => read_contents(&file.path).map(|contents| contents.is_some()),
            };
            if !is_intact.map_err(reading)? {
                return damaged("a file does not match its checksum");
            }
        }
    }
    Ok(())
}

/// How many listed files do not match their checksums, while the engine is open. `go_on` is asked
/// before each file.
pub(crate) fn damaged_files(
    engine: &Path,
    mut go_on: impl FnMut() -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut damaged = 0u64;
    for tree in TREES {
        let tree = engine.join("keyspaces").join(tree);
        let Some(files) = stable_list(&tree) else {
            damaged = damaged.saturating_add(1);
            continue;
        };
        for file in files {
            go_on()?;
            if file.is_intact().unwrap_or(false) {
                continue;
            }
            // The engine may have replaced the file meanwhile.
            let is_listed = stable_list(&tree)
                .is_none_or(|files| files.iter().any(|listed| listed.path == file.path));
            damaged = damaged.saturating_add(u64::from(is_listed));
        }
    }
    Ok(damaged)
}

/// The listed files; reads again if the manifest was replaced while it was read.
fn stable_list(tree: &Path) -> Option<Vec<Listed>> {
    (0..5).find_map(|_| listed_files(tree).ok().flatten())
}

struct Listed {
    path: PathBuf,
    checksum: u128,
    is_blobs: bool,
    /// `None` if there is no such file.
    size_bytes: Option<u64>,
}

impl Listed {
    fn is_intact(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        let mut hasher = Xxh3::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer)?;
            match buffer.get(..read) {
                None | Some([]) => return Ok(hasher.digest128() == self.checksum),
                Some(part) => hasher.update(part),
            }
        }
    }
}

/// The files a tree's manifest lists; `None` if the manifest is damaged or missing.
fn listed_files(tree: &Path) -> io::Result<Option<Vec<Listed>>> {
    match read_manifest(tree) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(None) => Ok(None),
        Ok(Some((manifest, contents))) => Ok(parse_files(tree, &manifest, &contents)),
    }
}

fn read_manifest(tree: &Path) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let current = fs::read(tree.join("current"))?;
    let mut fields = Fields(&current);
    let (Some(version), Some(checksum), [0]) = (fields.u64(), fields.u128(), fields.0) else {
        return Ok(None);
    };
    let path = tree.join(format!("v{version}"));
    let manifest = fs::read(&path)?;
    if xxh3_128(&manifest) != checksum {
        return Ok(None);
    }
    Ok(read_contents(&path)?.map(|contents| (manifest, contents)))
}

fn parse_files(tree: &Path, manifest: &[u8], contents: &[u8]) -> Option<Vec<Listed>> {
    let mut files = Vec::new();
    let listed = |folder: &str, id: u64, checksum| {
        let path = tree.join(folder).join(id.to_string());
        let size_bytes = fs::metadata(&path).ok().map(|metadata| metadata.len());
        Listed {
            path,
            checksum,
            is_blobs: folder == "blobs",
            size_bytes,
        }
    };
    let mut tables = section(manifest, contents, b"tables")?;
    for _ in 0..tables.u8()? {
        for _ in 0..tables.u8()? {
            for _ in 0..tables.u32()? {
                let (id, kind, checksum) = (tables.u64()?, tables.u8()?, tables.u128()?);
                let _seqno = tables.u64()?;
                files.push(listed("tables", id, checksum));
                (kind == 0).then_some(())?;
            }
        }
    }
    let mut blobs = section(manifest, contents, b"blob_files")?;
    for _ in 0..blobs.u32()? {
        let (id, kind, checksum) = (blobs.u64()?, blobs.u8()?, blobs.u128()?);
        files.push(listed("blobs", id, checksum));
        (kind == 0).then_some(())?;
    }
    (tables.0.is_empty() && blobs.0.is_empty()).then_some(files)
}

/// An archive's table of contents, if it matches its checksum.
fn read_contents(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let Some(end) = file.metadata()?.len().checked_sub(TRAILER_BYTES) else {
        return Ok(None);
    };
    let mut trailer = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    Read::by_ref(&mut file)
        .take(TRAILER_BYTES)
        .read_to_end(&mut trailer)?;
    let mut trailer = Fields(&trailer);
    if trailer.take(6) != Some(b"SFA!\x01\0") {
        return Ok(None);
    }
    let (Some(checksum), Some(start)) = (trailer.u128(), trailer.u64()) else {
        return Ok(None);
    };
    let length = end
        .checked_sub(start)
        .filter(|&length| length <= CONTENTS_MAX_BYTES);
    let Some(length) = length else {
        return Ok(None);
    };
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(length).read_to_end(&mut contents)?;
    Ok((xxh3_128(&contents) == checksum).then_some(contents))
}

fn section<'a>(archive: &'a [u8], contents: &[u8], name: &[u8]) -> Option<Fields<'a>> {
    let mut contents = Fields(contents);
    contents.take(4).filter(|magic| magic == b"TOC!")?;
    for _ in 0..contents.u32()? {
        let (start, length, name_length) = (contents.u64()?, contents.u64()?, contents.u16()?);
        if contents.take(usize::from(name_length))? == name {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            return archive.get(start..end).map(Fields);
        }
    }
    None
}

/// Little-endian integers off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}
