//! Small JSON files of a data folder: replaced as a whole, readable by their owner alone, read again when they
//! change.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Why a file cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is damaged ({why}); restore it or delete it and make its contents anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why, without its contents.
        why: String,
    },
}

/// Reads a file; what it holds by default if it is not there.
///
/// # Errors
/// [`FileError`].
pub fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T, FileError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| FileError::Damaged {
            path: path.to_owned(),
            why: format!("line {} column {}", e.line(), e.column()),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(source) => Err(failed(path, source)),
    }
}

/// Changes a file, alone among all processes that do; durable when it returns. Nothing is written when the
/// change fails.
///
/// # Errors
/// Of the file, or of the change.
pub fn change<T, R, E>(path: &Path, change: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E>
where
    T: DeserializeOwned + Serialize + Default,
    E: From<FileError>,
{
    // Held until the file is replaced: of two changes at once none is lost.
    let lock = private(&path.with_extension("json.lock")).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    let _lock = lock.map_err(|source| failed(path, source))?;
    let mut value = load(path)?;
    let result = change(&mut value)?;
    replace(path, &value)?;
    Ok(result)
}

/// Puts a file in the place of what was there; durable when it returns.
///
/// # Errors
/// [`FileError::Io`].
pub fn replace(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    let written = bytes.and_then(|bytes| {
        let fresh = path.with_extension("json.new");
        let mut draft = private(&fresh)?;
        draft.set_len(0)?;
        draft.write_all(&bytes)?;
        draft.sync_all()?;
        fs::rename(&fresh, path)?;
        match path.parent() {
            Some(folder) if folder != Path::new("") => fs::File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    });
    written.map_err(|source| failed(path, source))
}

/// Makes a folder, if it is not there, into which only its owner may look.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(path)
}

/// A file that only its owner may read: it names people.
fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn failed(path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        source,
    }
}

/// A file of a running node, read again when it changes. A damaged one counts as empty.
pub struct Watched<T> {
    path: PathBuf,
    seen: Mutex<(Option<Stamp>, Arc<T>)>,
}

/// When a file was written, its size and its inode: replacing it gives another one.
type Stamp = (SystemTime, u64, u64);

impl<T: DeserializeOwned + Default> Watched<T> {
    /// The file; it may come later.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seen: Mutex::default(),
        }
    }

    /// What it holds now.
    pub fn now(&self) -> Arc<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = fs::metadata(&self.path)
            .and_then(|m| Ok((m.modified()?, m.len(), inode(&m))))
            .ok();
        if stamp != seen.0 {
            seen.1 = load(&self.path).map_or_else(
                |error| {
                    tracing::error!("{error}");
                    Arc::default()
                },
                Arc::new,
            );
            seen.0 = stamp;
        }
        seen.1.clone()
    }
}

impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({})", self.path.display())
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
