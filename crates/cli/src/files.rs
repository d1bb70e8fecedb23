//! Files that are written whole: under their name, or not there at all.

use anyhow::{Result, ensure};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Refuses a name that is taken, unless it may be written over.
pub(crate) fn ensure_free(path: &Path, force: bool) -> Result<()> {
    ensure!(
        force || fs::symlink_metadata(path).is_err(),
        "{} exists: name another file, or write over it with --force",
        path.display()
    );
    Ok(())
}

/// Writes a file whole and durable; readable by its owner only.
pub(crate) fn write(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.part", std::process::id()));
    let draft = PathBuf::from(draft);
    // What a killed process of the same number left.
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(anyhow::Error::from)
        .and_then(|()| put(&draft, path, force));
    if force && written.is_ok() {
        return Ok(());
    }
    // A second name of the page by now, or what is left of a failure.
    let _ = fs::remove_file(&draft);
    written
}

fn put(draft: &Path, path: &Path, force: bool) -> Result<()> {
    if force {
        return Ok(fs::rename(draft, path)?);
    }
    // Unlike a rename, a link never takes the place of a file that came meanwhile.
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => ensure_free(path, force),
        Err(_) => {
            // A file system without links.
            ensure_free(path, force)?;
            Ok(fs::rename(draft, path)?)
        }
        Ok(()) => Ok(()),
    }
}
