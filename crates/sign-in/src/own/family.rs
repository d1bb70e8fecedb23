//! Refresh tokens: each use gives a new one, and an old one used again ends them all (RFC 9700 section 4.14).
//!
//! A family is one file, `sign-in/families/<id>.json`, replaced before a new token is shown; ending it removes the
//! file. Of a token only its fingerprint is kept.

use crate::{
    file::{self, FileError},
    own::secret,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many families there are at most.
const MAX_FAMILIES: usize = 100_000;
/// How many an account has at most: with one more, the one that ends first is over.
const MAX_EACH: usize = 32;
/// How many used tokens of a family are known as such.
const USED: usize = 64;

/// What a refresh token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Granted {
    /// The software.
    pub(crate) client: String,
    /// The account's id.
    pub(crate) account: String,
    /// What was granted.
    pub(crate) scopes: String,
    /// The session's Patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) patient: Option<String>,
    /// From then on it is over, in seconds since 1970.
    pub(crate) expires_s: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// None: no such family.
    granted: Option<Granted>,
    /// The fingerprint of the token that is good.
    token: String,
    /// Those of the last ones that were used. Whoever only knows the family's name cannot make one up.
    #[serde(default)]
    used: Vec<String>,
}

/// What is known of a family without its file.
#[derive(Debug)]
struct Kept {
    account: String,
    expires_s: u64,
}

type All = BTreeMap<String, Kept>;

/// All families.
#[derive(Debug)]
pub(crate) struct Families {
    folder: PathBuf,
    /// Those that there are; held while one changes.
    all: Mutex<All>,
}

/// What became of a refresh token.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// Here is the next one.
    Next {
        family: String,
        granted: Granted,
        token: String,
    },
    /// It was used before: the family is over.
    Reused { family: String },
    /// It is none, over, or another's.
    Bad,
}

impl Families {
    /// Those in this folder, which is made if it is not there; what is over is removed.
    pub(crate) fn open(folder: &Path, now_s: u64) -> Result<Self, FileError> {
        let failed = |source| FileError::Io {
            path: folder.to_owned(),
            source,
        };
        file::private_folder(folder).map_err(failed)?;
        let mut all = All::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let Ok(file) = file::load::<File>(&path) else {
                // Whoever had it signs in again; everybody else goes on.
                tracing::warn!("a refresh token's file is damaged and left aside");
                continue;
            };
            let granted = file.granted.filter(|granted| granted.expires_s > now_s);
            let id = path.file_stem().and_then(|stem| stem.to_str());
            match granted.zip(id) {
                None => fs::remove_file(&path).map_err(failed)?,
                Some((granted, id)) => {
                    let kept = Kept::of(&granted);
                    all.insert(id.to_owned(), kept);
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            all: Mutex::new(all),
        })
    }

    /// Begins a family: its id and first token. None: there is no room.
    pub(crate) fn begin(
        &self,
        granted: Granted,
        now_s: u64,
        entropy: &dyn Fn(&mut [u8]),
    ) -> Result<Option<(String, String)>, FileError> {
        let mut all = self.all();
        let of_account = |(_, kept): &(&String, &Kept)| kept.account == granted.account;
        let own = all.iter().filter(of_account);
        let first = own.clone().min_by_key(|(_, kept)| kept.expires_s);
        let first = first.map(|(id, _)| id.clone());
        if let Some(first) = first.filter(|_| own.count() >= MAX_EACH) {
            self.remove(&first, &mut all)?;
        }
        if all.len() >= MAX_FAMILIES {
            let over = all.iter().filter(|(_, kept)| kept.expires_s <= now_s);
            let over: Vec<String> = over.map(|(id, _)| id.clone()).collect();
            for id in over {
                self.remove(&id, &mut all)?;
            }
        }
        if all.len() >= MAX_FAMILIES {
            return Ok(None);
        }
        let id = secret::name(entropy);
        let kept = Kept::of(&granted);
        let token = self.write(&id, granted, Vec::new(), entropy)?;
        all.insert(id.clone(), kept);
        Ok(Some((id, token)))
    }

    /// Uses a token of `client`; `accept` may refuse what it stands for, and then it stays good.
    pub(crate) fn refresh<E: From<FileError>>(
        &self,
        token: &str,
        client: &str,
        now_s: u64,
        entropy: &dyn Fn(&mut [u8]),
        accept: impl FnOnce(&Granted) -> Result<(), E>,
    ) -> Result<Refreshed, E> {
        let Some(family) = family_of(token) else {
            return Ok(Refreshed::Bad);
        };
        let mut all = self.all();
        let file: File = file::load(&self.path(family))?;
        let Some(granted) = file.granted.filter(|granted| granted.client == client) else {
            return Ok(Refreshed::Bad);
        };
        let family = family.to_owned();
        if granted.expires_s <= now_s {
            self.remove(&family, &mut all)?;
            return Ok(Refreshed::Bad);
        }
        let print = secret::fingerprint(token);
        if print != file.token {
            if !file.used.contains(&print) {
                return Ok(Refreshed::Bad);
            }
            self.remove(&family, &mut all)?;
            return Ok(Refreshed::Reused { family });
        }
        accept(&granted)?;
        let mut used = file.used;
        let excess = (used.len() + 1).saturating_sub(USED);
        used.drain(..excess);
        used.push(print);
        let token = self.write(&family, granted.clone(), used, entropy)?;
        Ok(Refreshed::Next {
            family,
            granted,
            token,
        })
    }

    /// The client that a token's family was begun for, be the token good or used before.
    pub(crate) fn client_of(&self, token: &str) -> Option<String> {
        let file: File = file::load(&self.path(family_of(token)?)).ok()?;
        file.granted.map(|granted| granted.client)
    }

    /// What a token stands for, if it is good.
    pub(crate) fn look(&self, token: &str, now_s: u64) -> Option<(String, Granted)> {
        let family = family_of(token)?;
        let file: File = file::load(&self.path(family)).ok()?;
        let granted = file.granted.filter(|granted| granted.expires_s > now_s)?;
        (secret::fingerprint(token) == file.token).then(|| (family.to_owned(), granted))
    }

    /// Ends a family; durable when it returns.
    pub(crate) fn end(&self, family: &str) -> Result<(), FileError> {
        self.remove(family, &mut self.all())
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, family: &str, all: &mut All) -> Result<(), FileError> {
        let path = self.path(family);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                all.remove(family);
                return Ok(());
            }
            Err(error) => Err(error),
            Ok(()) => fs::File::open(&self.folder).and_then(|folder| folder.sync_all()),
        };
        all.remove(family);
        removed.map_err(|source| FileError::Io { path, source })
    }

    fn write(
        &self,
        family: &str,
        granted: Granted,
        used: Vec<String>,
        entropy: &dyn Fn(&mut [u8]),
    ) -> Result<String, FileError> {
        let token = format!("{family}.{}", secret::fresh(entropy));
        let file = File {
            granted: Some(granted),
            token: secret::fingerprint(&token),
            used,
        };
        file::replace(&self.path(family), &file)?;
        Ok(token)
    }

    /// `family` is hexadecimal.
    fn path(&self, family: &str) -> PathBuf {
        self.folder.join(format!("{family}.json"))
    }
}

impl Kept {
    fn of(granted: &Granted) -> Self {
        Self {
            account: granted.account.clone(),
            expires_s: granted.expires_s,
        }
    }
}

/// The family that a token names; nothing else of a token becomes part of a path.
fn family_of(token: &str) -> Option<&str> {
    let (family, rest) = token.split_once('.')?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (family.len() == 32 && family.bytes().all(hex) && rest.len() == 43).then_some(family)
}
