//! Random texts that are shown once, and what is kept of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Where randomness fit for keys comes from.
pub type Entropy = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// 256 random bits as text.
pub(crate) fn fresh(entropy: &dyn Fn(&mut [u8])) -> String {
    let mut bytes = [0; 32];
    entropy(&mut bytes);
    text(&bytes)
}

/// Bytes as text, in Base64 for URLs without padding.
pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 128 random bits as text, for names that are no secret.
pub(crate) fn name(entropy: &dyn Fn(&mut [u8])) -> String {
    let mut bytes = [0; 16];
    entropy(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What is kept of a secret: its SHA-256 in hexadecimal. Looking it up by this tells nothing by its time.
pub(crate) fn fingerprint(secret: &str) -> String {
    keys::sha256(&[secret.as_bytes()]).to_string()
}

/// The challenge of a verifier (RFC 7636 section 4.2, S256).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(keys::sha256(&[verifier.as_bytes()]).into_bytes())
}

/// Whether a text is a verifier (RFC 7636 section 4.1).
pub(crate) fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Whether a text has the form of a challenge.
pub(crate) fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_challenge_is_the_standards() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier));
        let made = challenge(verifier);
        assert_eq!(made, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_challenge(&made));
        assert!(!is_challenge(&made[1..]));
        assert!(!is_verifier(&verifier[1..]));
        assert!(!is_verifier(&format!("{verifier} ")));
    }
}
