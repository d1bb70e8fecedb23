//! Making a store from a dump.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use store::{DumpError, Error, dump};

use crate::{
    Config, OpenError,
    engine::Appender,
    folder,
    group::{Backend, WriteFault},
};

/// How much is written at a time.
const CHUNK_BYTES: usize = 4 << 20;

pub(crate) fn run(
    folder: &Path,
    config: &Config,
    source: impl io::Read,
) -> Result<dump::Summary, DumpError> {
    if !is_vacant(folder).map_err(writing)? {
        return Err(DumpError::NotEmpty);
    }
    let aside = aside(folder);
    if aside.try_exists().map_err(writing)? {
        fs::remove_dir_all(&aside).map_err(writing)?;
    }
    let imported = fill(&aside, config, source).and_then(|summary| {
        if folder.try_exists().map_err(writing)? {
            fs::remove_dir(folder).map_err(writing)?;
        }
        fs::rename(&aside, folder).map_err(writing)?;
        let parent = folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        folder::sync_folder(parent.unwrap_or(Path::new("."))).map_err(writing)?;
        Ok(summary)
    });
    if imported.is_err() {
        // What was read of it is of no use; the error at hand matters more than this one.
        let _ = fs::remove_dir_all(&aside);
    }
    imported
}

fn fill(folder: &Path, config: &Config, source: impl io::Read) -> Result<dump::Summary, DumpError> {
    let (engine, witness) = folder::open(folder, config).map_err(opening)?;
    let mut appender = Appender::new(engine.into(), witness);
    let mut chunk: Vec<(String, Bytes, Bytes)> = Vec::new();
    let mut chunk_bytes = 0usize;
    let summary = dump::read(BufReader::with_capacity(1 << 16, source), |row| {
        chunk_bytes = chunk_bytes
            .saturating_add(row.key.len())
            .saturating_add(row.value.len());
        chunk.push((row.table.to_owned(), row.key, row.value));
        if chunk_bytes >= CHUNK_BYTES {
            write(&mut appender, &chunk)?;
            chunk.clear();
            chunk_bytes = 0;
        }
        Ok(())
    })?;
    if !chunk.is_empty() {
        write(&mut appender, &chunk)?;
    }
    appender.close();
    Ok(summary)
}

fn write(appender: &mut Appender, chunk: &[(String, Bytes, Bytes)]) -> Result<(), DumpError> {
    let changes = chunk
        .iter()
        .map(|(table, key, value)| (table.as_str(), key, Some(value)));
    appender.append(changes).map_err(|fault| match fault {
        WriteFault::Refused(error) | WriteFault::Broken(error) => error.into(),
    })
}

fn is_vacant(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// A folder beside `folder`, so that renaming it into place stays on one disk.
fn aside(folder: &Path) -> PathBuf {
    let mut name = folder
        .file_name()
        .map_or_else(OsString::new, OsString::from);
    name.push(".importing");
    folder.with_file_name(name)
}

fn opening(error: OpenError) -> DumpError {
    match error {
        OpenError::Io { source, .. } => writing(source),
        _ => Error::Io {
            doing: "creating the store",
            kind: io::ErrorKind::Other,
        }
        .into(),
    }
}

fn writing(error: io::Error) -> DumpError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full.into(),
        kind => Error::Io {
            doing: "creating the store",
            kind,
        }
        .into(),
    }
}
