//! Key files in a folder: `custody/` and `key-tables/`, readable by their owner only.
//!
//! A replacement writes a temporary file, syncs it, renames it over the old one and syncs the folder.
//! Where the old bytes must go ([`CustodyFile::is_destroyed`]), a second name (`.old`) keeps them
//! reachable across the rename, so that they can be overwritten before they are let go, also after a
//! crash in between. Overwriting is best effort: a copy-on-write file system or a flash translation
//! layer may keep remnants; put the folder on an encrypted volume.
//!
//! Opening takes an exclusive lock and clears what a crash left behind.

use super::{Custody, CustodyError, CustodyFile};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const FOLDERS: [&str; 2] = ["custody", "key-tables"];
const LOCK: &str = "custody/lock";
const TEMPORARY: &str = ".tmp";
const OLD: &str = ".old";

/// A point inside a replacement or removal at which a test can pretend that the process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileStep {
    /// The new bytes are durable under a temporary name.
    Written,
    /// The old bytes have a second name.
    Kept,
    /// The new bytes have the file's name.
    Renamed,
    /// That is durable.
    Settled,
    /// The old bytes are overwritten.
    Overwritten,
    /// The old bytes have no name any more.
    Gone,
}

type StepHook = dyn Fn(CustodyFile, FileStep) -> io::Result<()> + Send + Sync;

/// Key files in a folder.
pub struct FileCustody {
    folder: PathBuf,
    // Held for its lock.
    _lock: File,
    step: Option<Arc<StepHook>>,
}

/// A process that is being started has copies of its parent's locks for a moment.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

fn locked(lock: &File) -> Result<(), CustodyError> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(io_error("locking", LOCK, &error)),
        }
    }
    Err(CustodyError::InUse)
}

impl FileCustody {
    /// Opens the key files below `folder`, making the folders if they are not there.
    ///
    /// # Errors
    /// [`CustodyError::InUse`] if another process has them open; [`CustodyError::Io`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CustodyError> {
        let folder = folder.as_ref().to_owned();
        for name in FOLDERS {
            let path = folder.join(name);
            folder_create(&path).map_err(|error| io_error("making", name, &error))?;
        }
        let path = folder.join(LOCK);
        let lock = owner_only()
            .read(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| io_error("opening", LOCK, &error))?;
        locked(&lock)?;
        let this = Self {
            folder,
            _lock: lock,
            step: None,
        };
        this.leftovers_clear()?;
        Ok(this)
    }

    /// For fault injection: `hook` runs after every step and its error ends the operation there.
    #[must_use]
    pub fn with_steps(
        mut self,
        hook: impl Fn(CustodyFile, FileStep) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.step = Some(Arc::new(hook));
        self
    }

    /// Finishes what a crash interrupted: temporary files never became current, and `.old` names
    /// hold either the current bytes (the rename had not happened) or ones to destroy.
    fn leftovers_clear(&self) -> Result<(), CustodyError> {
        for name in FOLDERS {
            let folder = self.folder.join(name);
            self.folder_clear(&folder)
                .map_err(|error| io_error("clearing", name, &error))?;
        }
        Ok(())
    }

    fn folder_clear(&self, folder: &Path) -> io::Result<()> {
        let mut cleared = false;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if name.ends_with(TEMPORARY) {
                overwrite(&path)?;
            } else if let Some(current) = name.strip_suffix(OLD) {
                // INVARIANT: every sealing has a fresh nonce, so equal bytes are the same file.
                if read(&folder.join(current))? != Some(fs::read(&path)?) {
                    overwrite(&path)?;
                }
            } else {
                continue;
            }
            fs::remove_file(&path)?;
            cleared = true;
        }
        if cleared { folder_sync(folder) } else { Ok(()) }
    }

    fn replace_steps(&self, file: CustodyFile, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(file);
        let temporary = suffixed(&path, TEMPORARY);
        let old = suffixed(&path, OLD);
        {
            let mut out = owner_only().create(true).truncate(true).open(&temporary)?;
            out.write_all(bytes)?;
            out.sync_all()?;
        }
        self.at(file, FileStep::Written)?;
        let kept = file.is_destroyed() && path.exists() && keep(&path, &old)?;
        if kept {
            self.at(file, FileStep::Kept)?;
        }
        fs::rename(&temporary, &path)?;
        self.at(file, FileStep::Renamed)?;
        parent_sync(&path)?;
        self.at(file, FileStep::Settled)?;
        if kept {
            self.destroy_steps(file, &old)?;
        }
        Ok(())
    }

    fn destroy_steps(&self, file: CustodyFile, path: &Path) -> io::Result<()> {
        overwrite(path)?;
        self.at(file, FileStep::Overwritten)?;
        fs::remove_file(path)?;
        parent_sync(path)?;
        self.at(file, FileStep::Gone)
    }

    fn at(&self, file: CustodyFile, step: FileStep) -> io::Result<()> {
        self.step.as_ref().map_or(Ok(()), |hook| hook(file, step))
    }

    fn path(&self, file: CustodyFile) -> PathBuf {
        self.folder.join(file.path())
    }
}

impl Custody for FileCustody {
    fn read(&self, file: CustodyFile) -> Result<Option<Vec<u8>>, CustodyError> {
        read(&self.path(file)).map_err(|error| io_error("reading", &file.path(), &error))
    }

    fn replace(&self, file: CustodyFile, bytes: &[u8]) -> Result<(), CustodyError> {
        self.replace_steps(file, bytes)
            .map_err(|error| io_error("writing", &file.path(), &error))
    }

    fn destroy(&self, file: CustodyFile) -> Result<(), CustodyError> {
        let path = self.path(file);
        if !path.exists() {
            return Ok(());
        }
        self.destroy_steps(file, &path)
            .map_err(|error| io_error("removing", &file.path(), &error))
    }

    fn key_tables(&self) -> Result<Vec<CustodyFile>, CustodyError> {
        let folder = self.folder.join("key-tables");
        let names = || -> io::Result<Vec<CustodyFile>> {
            let mut files = Vec::new();
            for entry in fs::read_dir(&folder)? {
                let name = entry?.file_name();
                files.extend(name.to_str().and_then(CustodyFile::of_key_table));
            }
            files.sort_unstable();
            Ok(files)
        };
        names().map_err(|error| io_error("listing", "key-tables", &error))
    }
}

impl fmt::Debug for FileCustody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCustody").finish_non_exhaustive()
    }
}

/// Gives the file a second name; `false` where the file system has no second names.
fn keep(path: &Path, old: &Path) -> io::Result<bool> {
    if old.exists() {
        // Left by a replacement that failed in this process.
        fs::remove_file(old)?;
    }
    match fs::hard_link(path, old) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut left = fs::metadata(path)?.len();
    let mut out = owner_only().open(path)?;
    let zeros = [0; 4_096];
    while left > 0 {
        let now = usize::try_from(left)
            .unwrap_or(zeros.len())
            .min(zeros.len());
        out.write_all(zeros.get(..now).unwrap_or(&zeros))?;
        left = left.saturating_sub(u64::try_from(now).unwrap_or(u64::MAX));
    }
    out.sync_all()
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn parent_sync(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), folder_sync)
}

/// Makes renames and removals in a folder durable; only Unix knows how, elsewhere the journal does it.
fn folder_sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn folder_create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    parent_sync(path)
}

#[cfg(not(unix))]
fn folder_create(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn owner_only() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

fn io_error(doing: &'static str, file: &str, error: &io::Error) -> CustodyError {
    CustodyError::Io {
        doing,
        file: file.to_owned(),
        kind: error.kind(),
    }
}
