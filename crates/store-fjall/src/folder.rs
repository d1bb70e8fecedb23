//! Opening and creating a store's folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, compaction::Leveled};

use crate::{Config, engine::Engine, journal, manifest, witness::Witness};

/// Values at least this long live in blob files, which compaction does not rewrite.
const BLOB_MIN_BYTES: u32 = 4_096;
const BLOB_FILE_BYTES: u64 = 32 << 20;
const TABLE_FILE_BYTES: u64 = 16 << 20;
const JOURNALS_MAX_BYTES: u64 = 128 << 20;
/// One thread flushes and compacts. Of two, the one that is kept for flushing hands itself each waiting
/// compaction over and over until the other takes it: a core lost. A flush that waits for a compaction
/// is bounded by the sizes above, and writing by `Engine::throttle`.
const ENGINE_THREADS: usize = 1;
/// A process that is being started has copies of its parent's locks for a moment.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);
const OPEN_FILES_MAX: usize = 200;
const ROWS: &str = "rows";

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("{} is in use by another process; stop that one first", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Its files are damaged or incomplete. They were left as they are, unless the engine itself
    /// found the damage.
    #[error("the store is damaged: {what}; restore it from a backup")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// The engine refused to open its files, which it may have begun to repair.
    #[error("the storage engine could not open its files; restore them from a backup")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system failed.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The failure.
        source: io::Error,
    },
}

/// Opens a folder, creating it if needed.
pub(crate) fn open(folder: &Path, config: &Config) -> Result<(Engine, Witness), OpenError> {
    let failed = |doing| move |source| OpenError::Io { doing, source };
    fs::create_dir_all(folder).map_err(failed("creating the folder"))?;
    let lock = lock(folder)?;
    let path = folder.join("engine");
    let exists = path.try_exists().map_err(failed("opening the folder"))?;
    if exists
        && !folder
            .join("tip")
            .try_exists()
            .map_err(failed("opening the folder"))?
    {
        return Err(OpenError::Damaged {
            what: "the file `tip` is missing",
        });
    }
    let witness = Witness::open(&folder.join("tip")).map_err(failed("opening the file `tip`"))?;
    let Some(mut witness) = witness else {
        return Err(OpenError::Damaged {
            what: "the file `tip` is unreadable",
        });
    };
    if !exists {
        if witness.number() != 0 {
            return Err(OpenError::Damaged {
                what: "the folder `engine` is missing",
            });
        }
        create(folder, config)?;
    }

    manifest::check(&path, config.check_at_open_bytes)?;
    let journaled = journal::check(&path, witness.number())?;
    let (db, rows) = open_engine(&path, config)?;
    let engine = Engine {
        rows,
        db,
        folder: folder.to_owned(),
        reserve_bytes: config.reserve_bytes,
        stopping: AtomicBool::new(false),
        _lock: lock,
    };
    let tip = engine
        .tip()
        .map_err(|error| OpenError::Engine(Box::new(error)))?;
    let Some(tip) = tip else {
        return Err(OpenError::Damaged {
            what: "the number of the last commit is unreadable",
        });
    };
    if tip < witness.number() || journaled.is_some_and(|journaled| journaled != tip) {
        return Err(OpenError::Damaged {
            what: "acknowledged commits are missing",
        });
    }
    witness
        .note(tip)
        .map_err(failed("writing the file `tip`"))?;
    Ok((engine, witness))
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Io {
        doing: "locking the folder",
        source,
    };
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .clone();
    let lock = options.open(folder.join("lock")).map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(OpenError::InUse {
        folder: folder.to_owned(),
    })
}

/// Makes a new engine aside and renames it into place: the engine cannot open a folder whose
/// creation was interrupted.
fn create(folder: &Path, config: &Config) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        doing: "creating the store",
        source,
    };
    let aside = folder.join("engine.new");
    if aside.try_exists().map_err(failed)? {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    let opened = open_database(&aside, config).and_then(|db| {
        db.keyspace(ROWS, || options(config))?;
        db.persist(fjall::PersistMode::SyncAll)
    });
    opened.map_err(|error| match error {
        fjall::Error::Io(source) => failed(source),
        other => OpenError::Engine(Box::new(other)),
    })?;
    fs::rename(&aside, folder.join("engine")).map_err(failed)?;
    sync_folder(folder).map_err(failed)
}

fn open_engine(path: &Path, config: &Config) -> Result<(Database, Keyspace), OpenError> {
    let damaged = OpenError::Damaged {
        what: "the storage engine failed on its files",
    };
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = open_database(path, config)?;
        let exists = db.keyspace_exists(ROWS);
        let rows = exists
            .then(|| db.keyspace(ROWS, || options(config)))
            .transpose()?;
        Ok((db, rows))
    }));
    let (db, rows) = match opened {
        Err(_panic) => return Err(damaged),
        Ok(Err(fjall::Error::Io(source))) => {
            return Err(OpenError::Io {
                doing: "opening the storage engine",
                source,
            });
        }
        Ok(Err(error)) => return Err(OpenError::Engine(Box::new(error))),
        Ok(Ok(opened)) => opened,
    };
    rows.map(|rows| (db, rows)).ok_or(damaged)
}

fn open_database(path: &Path, config: &Config) -> fjall::Result<Database> {
    Database::builder(path)
        .cache_size(config.cache_bytes)
        .worker_threads(ENGINE_THREADS)
        .max_journaling_size(JOURNALS_MAX_BYTES)
        .max_cached_files(Some(OPEN_FILES_MAX))
        .open()
}

fn options(config: &Config) -> KeyspaceCreateOptions {
    let blobs = KvSeparationOptions::default()
        .separation_threshold(BLOB_MIN_BYTES)
        .file_target_size(BLOB_FILE_BYTES);
    KeyspaceCreateOptions::default()
        .max_memtable_size(config.memtable_bytes)
        .compaction_strategy(Arc::new(
            Leveled::default().with_table_target_size(TABLE_FILE_BYTES),
        ))
        .with_kv_separation(Some(blobs))
}

/// Makes renames and new files in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
