//! Identifiers: fixed-length byte strings that do not mix with each other.
//!
//! Encoded as byte strings, displayed, parsed and (de)serialised as lowercase hexadecimal. `Debug`
//! shows the first four bytes; a [`SubjectId`], which is pseudonymous personal data, shows nothing.

use crate::{Decode, Encode, Error, Reader, Writer, hex};
use std::fmt;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $len:literal, $debug:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The identifier with these bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Its bytes.
            pub const fn into_bytes(self) -> [u8; $len] {
                self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = Error;

            fn try_from(bytes: &[u8]) -> Result<Self, Error> {
                bytes
                    .try_into()
                    .map(Self)
                    .map_err(|_| Error::WrongLength { at: 0, expected: $len })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let debug: fn(&[u8]) -> String = $debug;
                f.write_str(&debug(&self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                hex::decode_exact(text).map(Self)
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                r.bytes_exact().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn prefix(bytes: &[u8]) -> String {
    hex::encode(bytes.get(..4).unwrap_or_default()) + "…"
}

id! {
    /// One compartment at one custodian: random, never reused across custodians.
    SubjectId, 32, |_| "<subject>".to_owned()
}
id! {
    /// A network: the digest of its genesis.
    NetworkId, 32, prefix
}
id! {
    /// A ledger entry: the digest of its meaning (not of its signature or validity).
    EntryId, 32, prefix
}
id! {
    /// A SHA-256 digest.
    Digest, 32, prefix
}
id! {
    /// A member institution.
    InstitutionId, 16, prefix
}
id! {
    /// A record; its versions share the id.
    RecordId, 16, prefix
}
id! {
    /// A grant.
    GrantId, 16, prefix
}
id! {
    /// A study.
    StudyId, 16, prefix
}
id! {
    /// A disclosure: one logged access.
    DisclosureId, 16, prefix
}
id! {
    /// An enrolled device.
    DeviceId, 16, prefix
}
