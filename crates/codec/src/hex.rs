//! Lowercase hexadecimal: one spelling for one byte string.

use crate::Error;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two lowercase digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes that `text` spells; uppercase is refused.
///
/// # Errors
/// [`Error::Invalid`].
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Error::Invalid("an odd number of hexadecimal digits"));
    }
    pairs.iter().map(byte).collect()
}

/// The `N` bytes that `text` spells; uppercase and other lengths are refused.
///
/// # Errors
/// [`Error::Invalid`].
pub fn decode_exact<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !odd.is_empty() {
        return Err(Error::Invalid("a wrong number of hexadecimal digits"));
    }
    let mut bytes = [0; N];
    for (out, pair) in bytes.iter_mut().zip(pairs) {
        *out = byte(pair)?;
    }
    Ok(bytes)
}

fn byte([high, low]: &[u8; 2]) -> Result<u8, Error> {
    Ok(nibble(*high)? << 4 | nibble(*low)?)
}

fn nibble(digit: u8) -> Result<u8, Error> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(Error::Invalid("not a lowercase hexadecimal digit")),
    }
}
