//! The published vectors of `testdata`, and a source of bytes for tests.

use codec::hex;
use keys::Entropy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads one compressed file.
pub(crate) fn load<T: DeserializeOwned>(compressed: &[u8]) -> T {
    let json = zstd::decode_all(compressed).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Bytes written as hexadecimal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// The outcome that a Wycheproof case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Valid,
    Invalid,
    Acceptable,
}

/// Bytes that look random and are the same in every run: SHA-256 in counter mode.
pub(crate) struct Seeded {
    seed: u64,
    counter: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = keys::sha256(&[&self.seed.to_be_bytes(), &self.counter.to_be_bytes()]);
            self.counter += 1;
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

/// Gives exactly these bytes, once.
pub(crate) fn fixed(mut bytes: &[u8]) -> impl FnMut(&mut [u8]) {
    move |out: &mut [u8]| {
        let (now, later) = bytes.split_at(out.len());
        out.copy_from_slice(now);
        bytes = later;
    }
}
