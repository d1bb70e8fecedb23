//! Whom a study sees: keys of a study at a custodian, pseudonyms, one shift of dates per subject, and tokens
//! by which the custodian, and nobody else, finds the person again.
//!
//! Everything derives from the custodian's secret and the study's id: the same secret, study and subject give
//! the same pseudonyms and shift for ever, another study or custodian gives others, and without the secret
//! nobody links them. Pseudonyms have 128 bits.

use codec::Domain;
use keys::{Entropy, SEAL_OVERHEAD, Secret};
use std::fmt;

/// The most weeks by which dates are shifted, either way. Never by none: one subject in a hundred would keep true
/// dates, and nobody would gain by it.
pub const MOST_WEEKS: i64 = 52;

/// The bytes of the longest subject id that a re-contact token holds.
pub const MAX_SUBJECT_BYTES: usize = 64;

/// The bytes of every re-contact token.
pub const RECONTACT_BYTES: usize = SEAL_OVERHEAD + PLAIN_BYTES;

/// A length, and a subject id with zeros behind it.
const PLAIN_BYTES: usize = 1 + MAX_SUBJECT_BYTES;

/// The keys of one study at one custodian. Prints as `<redacted>`.
pub struct StudyKey {
    pseudonyms: Secret,
    tokens: Secret,
    study: Vec<u8>,
}

impl StudyKey {
    /// Derives the keys from a secret that only the custodian has, kept for this use alone.
    pub fn derive(custodian: &Secret, study: &[u8]) -> Self {
        let pseudonyms = custodian.derive(Domain::StudyKey, study);
        let tokens = pseudonyms.derive(Domain::RecontactKey, &[]);
        Self {
            pseudonyms,
            tokens,
            study: study.to_vec(),
        }
    }

    /// What the study sees instead of a subject. `patients` are the ids of the FHIR Patients that are this
    /// subject: a resource about any other is refused.
    pub fn subject(&self, subject: &[u8], patients: &[&str]) -> Cloak {
        let pseudonym = self.pseudonyms.mac(Domain::Pseudonym, &[subject]);
        let shift = self.pseudonyms.mac(Domain::DateShift, &[subject]);
        Cloak {
            key: self.pseudonyms.clone(),
            pseudonym: Pseudonym::new(pseudonym.as_bytes()),
            shift_weeks: weeks(shift.as_bytes()),
            patients: patients.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    /// Seals a subject id to the custodian: a token of [`RECONTACT_BYTES`] bytes that the study may keep and
    /// show again. Fresh randomness makes each token another, so that tokens do not link.
    ///
    /// # Errors
    /// [`RecontactError::TooLong`].
    pub fn seal_recontact(
        &self,
        subject: &[u8],
        entropy: &mut (impl Entropy + ?Sized),
    ) -> Result<Vec<u8>, RecontactError> {
        let mut plain = keys::Zeroizing::new([0_u8; PLAIN_BYTES]);
        let length = u8::try_from(subject.len()).map_err(|_| RecontactError::TooLong)?;
        let (first, rest) = plain.split_first_mut().ok_or(RecontactError::TooLong)?;
        *first = length;
        let place = rest.get_mut(..subject.len());
        place
            .ok_or(RecontactError::TooLong)?
            .copy_from_slice(subject);
        Ok(keys::seal(&self.tokens, &self.bound(), &*plain, entropy))
    }

    /// The subject id of a token that was sealed under the same secret for the same study.
    ///
    /// # Errors
    /// [`RecontactError::Refused`]: another study's or custodian's, or altered.
    pub fn open_recontact(&self, token: &[u8]) -> Result<keys::Zeroizing<Vec<u8>>, RecontactError> {
        if token.len() != RECONTACT_BYTES {
            return Err(RecontactError::Refused);
        }
        let plain =
            keys::open(&self.tokens, &self.bound(), token).map_err(|_| RecontactError::Refused)?;
        let (length, rest) = plain.split_first().ok_or(RecontactError::Refused)?;
        let subject = rest.get(..usize::from(*length));
        let subject = subject.ok_or(RecontactError::Refused)?;
        Ok(keys::Zeroizing::new(subject.to_vec()))
    }

    fn bound(&self) -> Vec<u8> {
        keys::aad(Domain::RecontactSeal, &[&self.study])
    }
}

impl fmt::Debug for StudyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StudyKey(<redacted>)")
    }
}

/// Why there is no token, or none opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecontactError {
    /// The subject id does not fit.
    #[error("a re-contact token holds a subject id of at most {MAX_SUBJECT_BYTES} bytes")]
    TooLong,
    /// Not a token of this study at this custodian.
    #[error("this is no re-contact token of this study at this custodian, or it was altered")]
    Refused,
}

/// What a study sees instead of one subject. Prints as `<redacted>`: it holds the study's key.
pub struct Cloak {
    key: Secret,
    pseudonym: Pseudonym,
    shift_weeks: i64,
    patients: Vec<String>,
}

impl Cloak {
    /// The subject's pseudonym in the study.
    pub fn pseudonym(&self) -> Pseudonym {
        self.pseudonym
    }

    /// The pseudonym of a resource (`Type/id`) or other identifier of some kind.
    pub(crate) fn id(&self, kind: &str, id: &str) -> Pseudonym {
        let parts = [kind.as_bytes(), id.as_bytes()];
        Pseudonym::new(self.key.mac(Domain::ReleaseId, &parts).as_bytes())
    }

    /// By how many weeks the subject's dates are shifted.
    pub(crate) fn shift_weeks(&self) -> i64 {
        self.shift_weeks
    }

    /// Whether a Patient with this id is the subject.
    pub(crate) fn is_patient(&self, id: &str) -> bool {
        self.patients.iter().any(|own| own == id)
    }
}

impl fmt::Debug for Cloak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloak(<redacted>)")
    }
}

/// A pseudonym: 128 bits, valid in one study of one custodian, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym([u8; 16]);

impl Pseudonym {
    fn new(mac: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(mac) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn push_to(self, out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                let letter = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0');
                out.push(char::from(letter));
            }
        }
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(32);
        self.push_to(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// -52 to 52 without 0, each as likely as the others but for one part in 2^57.
fn weeks(mac: &[u8; 32]) -> i64 {
    let bytes = mac.iter().take(8);
    let number = bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let choices = MOST_WEEKS.unsigned_abs() * 2;
    let choice = i64::try_from(number % choices).unwrap_or(0);
    match choice < MOST_WEEKS {
        true => choice - MOST_WEEKS,
        false => choice - MOST_WEEKS + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shift_but_none_happens() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0_u64..208 {
            let mut mac = [7; 32];
            mac[..8].copy_from_slice(&number.to_be_bytes());
            seen.insert(weeks(&mac));
        }
        assert_eq!(seen.len(), 104);
        assert!(!seen.contains(&0));
        assert_eq!((seen.first(), seen.last()), (Some(&-52), Some(&52)));
    }
}
