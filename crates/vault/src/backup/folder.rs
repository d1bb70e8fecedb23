//! The files of a backup's folder.

use super::{BackupError, FORMAT, MANIFEST, Manifest};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder that is empty or made now.
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        let failed = |error: io::Error| io_error("making", "folder", &error);
        fs::create_dir_all(path).map_err(failed)?;
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(BackupError::NotEmpty);
        }
        Ok(Self::open(path))
    }

    pub(super) fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Writes a file durably.
    pub(super) fn write(&self, name: &'static str, bytes: &[u8]) -> Result<(), BackupError> {
        let write = || -> io::Result<()> {
            let mut file = File::create_new(self.path.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if cfg!(unix) {
                File::open(&self.path)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|error| io_error("writing", name, &error))
    }

    /// A file to be written to.
    pub(super) fn sink(&self, name: &'static str) -> Result<BufWriter<File>, BackupError> {
        let file = File::create_new(self.path.join(name));
        file.map(BufWriter::new)
            .map_err(|error| io_error("writing", name, &error))
    }

    pub(super) fn read(&self, name: &'static str) -> Result<Vec<u8>, BackupError> {
        fs::read(self.path.join(name)).map_err(|error| missing_or_io(name, &error))
    }

    pub(super) fn source(&self, name: &'static str) -> Result<BufReader<File>, BackupError> {
        let file = File::open(self.path.join(name));
        file.map(BufReader::new)
            .map_err(|error| missing_or_io(name, &error))
    }

    /// The manifest, which is not checked against the rest yet.
    pub(super) fn manifest(&self) -> Result<Manifest, BackupError> {
        let manifest: Manifest =
            codec::from_slice(&self.read(MANIFEST)?).map_err(|_| BackupError::Damaged(MANIFEST))?;
        if manifest.format != FORMAT {
            return Err(BackupError::UnknownFormat(manifest.format));
        }
        Ok(manifest)
    }

    /// Overwrites and removes a file; best effort against the medium's own copies.
    pub(super) fn destroy(&self, name: &'static str) -> Result<(), BackupError> {
        let path = self.path.join(name);
        let destroy = || -> io::Result<()> {
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut file = File::options().write(true).open(&path)?;
            io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
            file.sync_all()?;
            fs::remove_file(&path)
        };
        destroy().map_err(|error| io_error("destroying", name, &error))
    }
}

pub(super) fn io_error(doing: &'static str, file: &'static str, error: &io::Error) -> BackupError {
    BackupError::Io {
        doing,
        file,
        kind: error.kind(),
    }
}

fn missing_or_io(name: &'static str, error: &io::Error) -> BackupError {
    if error.kind() == ErrorKind::NotFound {
        BackupError::Damaged(name)
    } else {
        io_error("reading", name, error)
    }
}
