//! Keys for signatures that the outside world asks for: ECDSA on P-256, as in JSON Web Tokens (ES256).
//!
//! Nothing of ours is signed so. The signing itself is the token library's; here a key is made.

use crate::{Malformed, Zeroizing};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

/// A random P-256 key in PKCS #8, version 1. It is made of the operating system's randomness, which is the only
/// source that the library takes for it.
///
/// # Errors
/// When the system gives no randomness.
pub fn p256_generate() -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let failed = Malformed("a P-256 key: the system gave no randomness");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed)?;
    let document = pair.to_pkcs8v1().map_err(|_| failed)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}
