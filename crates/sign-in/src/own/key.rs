//! The key that signs tokens, sealed under the node's passphrase: `sign-in/key.json`.
//!
//! It is made when it is first needed. Whoever deletes it ends all access tokens at once, and no refresh token.

use crate::{
    file::{self, FileError},
    jwt::{BadSigner, Signer},
    own::state_folder,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keys::{PasswordError, PasswordParams, Zeroizing, password_open, password_seal};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Of the file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is sealed under another passphrase, or damaged.
    #[error(
        "the key that signs tokens (sign-in/key.json) does not open with this passphrase; delete it and a new one is made, and everybody's software asks for new tokens"
    )]
    Sealed(#[from] PasswordError),
    /// It is none.
    #[error(transparent)]
    Signer(#[from] BadSigner),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Base64 of what [`password_seal`] made.
    sealed: String,
}

/// Opens the key of a data folder, or makes one.
///
/// # Errors
/// [`KeyError`].
pub fn open_or_make(
    data: &Path,
    passphrase: &[u8],
    cost: PasswordParams,
    entropy: &dyn Fn(&mut [u8]),
) -> Result<Signer, KeyError> {
    let folder = state_folder(data);
    file::private_folder(&folder).map_err(|source| FileError::Io {
        path: folder.clone(),
        source,
    })?;
    file::change(&folder.join("key.json"), |file: &mut File| {
        if file.sealed.is_empty() {
            let key = Signer::fresh()?;
            let mut fill = |out: &mut [u8]| entropy(out);
            file.sealed = STANDARD.encode(password_seal(passphrase, cost, &key, &mut fill)?);
            return Ok(Signer::new(&key)?);
        }
        let sealed = STANDARD
            .decode(&file.sealed)
            .map_err(|_| PasswordError::Malformed)?;
        let key: Zeroizing<Vec<u8>> = password_open(passphrase, &sealed)?;
        Ok(Signer::new(&key)?)
    })
}
