//! Randomness of the operating system, for tokens, passphrases and scratch names.

use anyhow::{Result, anyhow};

/// Fills `out` with randomness fit for keys.
pub(crate) fn fill(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|e| anyhow!("the operating system gives no randomness: {e}"))
}
