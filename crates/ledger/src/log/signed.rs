//! Signed notes (C2SP signed-note) and cosignatures (C2SP tlog-cosignature) of checkpoints.
//!
//! Three types of signatures, told apart by a byte in the key id:
//!
//! | byte | key | signs |
//! |---|---|---|
//! | `0x01` | Ed25519, named like the log | the checkpoint's text |
//! | `0x04` | Ed25519 of a witness | `cosignature/v1`, a time, the checkpoint's text |
//! | `0x06` | ML-DSA-44 of a witness | `subtree/v1`, witness, time, origin, 0, size, root |
//!
//! A cosignature says that at its time (Unix seconds) this was the largest checkpoint of the log its
//! witness had seen, and consistent with all it had seen before. An institution signs with its entry
//! key and its governance key: what they sign elsewhere never starts like any of these messages.

use super::note::{BadCheckpoint, Checkpoint};
use codec::base64;
use codec::{InstitutionId, NetworkId};
use keys::{PqPublicKey, PqSignature, PqSigningKey, PublicKey, Signature, SigningKey};
use std::fmt;

/// Most signatures of a note: what other tools take too.
pub const MAX_SIGNATURES: usize = 100;
/// Most bytes of a signed note.
pub const MAX_NOTE_BYTES: usize = 512 << 10;

const MAX_NAME_BYTES: usize = 255;
const ID_BYTES: usize = 4;
const TIME_BYTES: usize = 8;

/// A public key under a name: what a verifier of notes is configured with. Its text is a C2SP vkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Log(PublicKey),
    Witness(PublicKey),
    PqWitness(PqPublicKey),
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: [u8; ID_BYTES],
    signature: Vec<u8>,
}

/// A checkpoint and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// At most [`MAX_SIGNATURES`].
    pub signatures: Vec<NoteSignature>,
}

/// Text that is not a signed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Its text is no checkpoint's.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// No empty line between text and signatures, or no signature.
    #[error("the note has no signatures")]
    Unsigned,
    /// A signature line is not one.
    #[error("signature line {0} of the note is malformed")]
    Line(usize),
    /// Too many signatures, or too long.
    #[error("the note is too large")]
    TooLarge,
}

/// The name under which an institution cosigns.
pub fn witness_name(network: &NetworkId, institution: &InstitutionId) -> String {
    format!("{}/{institution}", super::note::origin(network))
}

impl NoteKey {
    /// The key with which an institution signs its network's checkpoints as their log.
    pub fn log(network: &NetworkId, key: PublicKey) -> Self {
        Self {
            name: super::note::origin(network),
            key: Key::Log(key),
        }
    }

    /// An institution's Ed25519 key as a witness.
    pub fn witness(network: &NetworkId, institution: &InstitutionId, key: PublicKey) -> Self {
        Self {
            name: witness_name(network, institution),
            key: Key::Witness(key),
        }
    }

    /// An institution's ML-DSA-44 key as a witness.
    pub fn pq_witness(network: &NetworkId, institution: &InstitutionId, key: PqPublicKey) -> Self {
        Self {
            name: witness_name(network, institution),
            key: Key::PqWitness(key),
        }
    }

    /// The name that signature lines carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type byte and key.
    fn material(&self) -> Vec<u8> {
        let (kind, key): (u8, &[u8]) = match &self.key {
            Key::Log(key) => (0x01, key.as_bytes()),
            Key::Witness(key) => (0x04, key.as_bytes()),
            Key::PqWitness(key) => (0x06, key.as_bytes()),
        };
        [&[kind], key].concat()
    }

    /// The first four bytes of a hash over name, type and key.
    fn id(&self) -> [u8; ID_BYTES] {
        let hash = keys::sha256(&[self.name.as_bytes(), b"\n", &self.material()]);
        let [a, b, c, d, ..] = hash.into_bytes();
        [a, b, c, d]
    }

    /// Whether this signature line names this key.
    pub fn is_of(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.id() == signature.id
    }

    /// Checks a signature line; the time it states in Unix seconds, 0 for a log's own. None if it is
    /// not by this key or does not verify.
    pub fn check(&self, checkpoint: &Checkpoint, line: &NoteSignature) -> Option<u64> {
        if !self.is_of(line) {
            return None;
        }
        if let Key::Log(key) = &self.key {
            let signature = Signature::try_from(line.signature.as_slice()).ok()?;
            let signed = key.verify(checkpoint.to_string().as_bytes(), &signature);
            return signed.is_ok().then_some(0);
        }
        let (time, signature) = line.signature.split_at_checked(TIME_BYTES)?;
        let time_s = u64::from_be_bytes(time.try_into().ok()?);
        if i64::try_from(time_s).is_err() {
            return None;
        }
        let verified = match &self.key {
            Key::Log(_) => return None,
            Key::Witness(key) => {
                let signature = Signature::try_from(signature).ok()?;
                key.verify(&witness_message(checkpoint, time_s), &signature)
            }
            Key::PqWitness(key) => {
                let signature = PqSignature::from_bytes(signature).ok()?;
                key.verify(
                    &pq_witness_message(&self.name, checkpoint, time_s),
                    &signature,
                )
            }
        };
        verified.is_ok().then_some(time_s)
    }

    fn line(&self, signature: Vec<u8>) -> NoteSignature {
        NoteSignature {
            name: self.name.clone(),
            id: self.id(),
            signature,
        }
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = codec::hex::encode(&self.id());
        write!(f, "{}+{id}+{}", self.name, base64::encode(&self.material()))
    }
}

/// Signs a checkpoint as its log.
pub fn sign(network: &NetworkId, checkpoint: &Checkpoint, key: &SigningKey) -> NoteSignature {
    let signature = key.sign(checkpoint.to_string().as_bytes());
    NoteKey::log(network, key.public()).line(signature.as_bytes().to_vec())
}

/// Cosigns a checkpoint with both keys of an institution. The caller has checked that it is
/// consistent with every checkpoint it cosigned before, and keeps that it cosigned this one.
///
/// `time_s`: Unix seconds, at most `i64::MAX`.
pub fn cosign(
    network: &NetworkId,
    institution: &InstitutionId,
    checkpoint: &Checkpoint,
    time_s: u64,
    key: &SigningKey,
    pq_key: &PqSigningKey,
) -> [NoteSignature; 2] {
    let witness = NoteKey::witness(network, institution, key.public());
    let pq_witness = NoteKey::pq_witness(network, institution, pq_key.public());
    let time = time_s.to_be_bytes();
    let signature = key.sign(&witness_message(checkpoint, time_s));
    let pq_signature = pq_key.sign(&pq_witness_message(&pq_witness.name, checkpoint, time_s));
    [
        witness.line([&time, signature.as_bytes().as_slice()].concat()),
        pq_witness.line([&time, pq_signature.as_bytes()].concat()),
    ]
}

fn witness_message(checkpoint: &Checkpoint, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{checkpoint}").into_bytes()
}

/// The `cosigned_message` structure of tlog-cosignature, over the whole tree.
fn pq_witness_message(name: &str, checkpoint: &Checkpoint, time_s: u64) -> Vec<u8> {
    let mut message = b"subtree/v1\n\0".to_vec();
    short(&mut message, name);
    message.extend_from_slice(&time_s.to_be_bytes());
    short(&mut message, checkpoint.origin());
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size().to_be_bytes());
    message.extend_from_slice(checkpoint.root().as_bytes());
    message
}

/// A text after its length in one byte.
fn short(message: &mut Vec<u8>, text: &str) {
    // INVARIANT: origins and witnesses' names are shorter than 256 bytes.
    message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    message.extend_from_slice(text.as_bytes());
}

impl NoteSignature {
    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both lines name the same key.
    pub fn same_key(&self, other: &Self) -> bool {
        self.name == other.name && self.id == other.id
    }

    /// Reads a line, without the newline at its end.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let named = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
        if !named || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return None;
        }
        let bytes = base64::decode(signature)?;
        let (id, signature) = bytes.split_at_checked(ID_BYTES)?;
        Some(Self {
            name: name.to_owned(),
            id: id.try_into().ok()?,
            signature: signature.to_vec(),
        })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id, self.signature.as_slice()].concat();
        writeln!(f, "\u{2014} {} {}", self.name, base64::encode(&bytes))
    }
}

impl SignedCheckpoint {
    /// Reads a signed note whose text is a checkpoint of ours. Verifies nothing.
    ///
    /// # Errors
    /// [`BadNote`].
    pub fn parse(note: &str) -> Result<Self, BadNote> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(BadNote::TooLarge);
        }
        let (text, lines) = note.split_once("\n\n").ok_or(BadNote::Unsigned)?;
        let checkpoint = Checkpoint::parse(&format!("{text}\n"))?;
        let lines = lines.strip_suffix('\n').ok_or(BadNote::Unsigned)?;
        let mut signatures = Vec::new();
        for (number, line) in (1..).zip(lines.split('\n')) {
            if number > MAX_SIGNATURES {
                return Err(BadNote::TooLarge);
            }
            signatures.push(NoteSignature::parse(line).ok_or(BadNote::Line(number))?);
        }
        Ok(Self {
            checkpoint,
            signatures,
        })
    }

    /// The time (Unix seconds; 0 for a log's own signature) of a valid signature by this key; none
    /// without one. A line that names the key but does not verify spoils the note.
    pub fn signed_by(&self, key: &NoteKey) -> Option<u64> {
        let mut found = None;
        for line in self.signatures.iter().filter(|line| key.is_of(line)) {
            found = Some(key.check(&self.checkpoint, line)?);
        }
        found
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint)?;
        for signature in &self.signatures {
            write!(f, "{signature}")?;
        }
        Ok(())
    }
}
