//! Where a passphrase comes from: a file, a service credential, or a prompt. Never an argument.

use anyhow::{Context, Result, bail};
use keys::Zeroizing;
use std::{
    env, fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

/// Name of the credential that systemd's `LoadCredential=` may provide.
const CREDENTIAL: &str = "ithaca-passphrase";
const MAX_BYTES: u64 = 4_096;

/// Reads the passphrase. `new` asks twice at a prompt.
pub(crate) fn read(file: Option<&Path>, new: bool) -> Result<Zeroizing<String>> {
    if let Some(path) = file.map(Path::to_owned).or_else(credential) {
        return from_file(&path);
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "no passphrase: run in a terminal, give --passphrase-file FILE, or provide the credential '{CREDENTIAL}'"
        );
    }
    prompted("this institution", new)
}

/// Reads the new passphrase of one institution among several, from its file or at a prompt.
pub(crate) fn read_of(name: &str, file: Option<&Path>) -> Result<Zeroizing<String>> {
    match file {
        Some(path) => from_file(path),
        None if std::io::stdin().is_terminal() => prompted(name, true),
        None => bail!(
            "no passphrase of '{name}': run in a terminal, or give its passphrase_file in the institutions' file"
        ),
    }
}

/// Reads the new password of a person's account, from a file or at a prompt.
pub(crate) fn password(name: &str, file: Option<&Path>) -> Result<Zeroizing<String>> {
    match file {
        Some(path) => from_file(path),
        None if std::io::stdin().is_terminal() => prompted(name, true),
        None => bail!("no password: run in a terminal, or give --password-file FILE"),
    }
}

fn prompted(whose: &str, new: bool) -> Result<Zeroizing<String>> {
    let first = Zeroizing::new(rpassword::prompt_password(format!(
        "Passphrase of {whose}: "
    ))?);
    if new {
        let second = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
        if *first != *second {
            bail!("the two passphrases differ; nothing was made");
        }
    }
    check(first)
}

fn credential() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    path.exists().then_some(path)
}

fn from_file(path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read the passphrase file {shown}"))?
        .len();
    if size > MAX_BYTES {
        bail!(
            "the passphrase file {shown} is larger than {MAX_BYTES} bytes; is it the right file?"
        );
    }
    let text = Zeroizing::new(
        fs::read_to_string(path)
            .with_context(|| format!("cannot read the passphrase file {shown}"))?,
    );
    check(Zeroizing::new(
        text.trim_end_matches(['\n', '\r']).to_owned(),
    ))
}

fn check(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>> {
    if passphrase.chars().count() < 8 {
        bail!("the passphrase is shorter than 8 characters; choose a longer one");
    }
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_trimmed_and_checked() {
        let folder = env::temp_dir().join(format!("ithaca-passphrase-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("p");
        fs::write(&path, "correct horse\r\n").unwrap();
        assert_eq!(*read(Some(&path), false).unwrap(), "correct horse");
        fs::write(&path, "short\n").unwrap();
        assert!(read(Some(&path), false).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
