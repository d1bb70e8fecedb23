//! A block: a ledger header and the exact bytes of the entries it orders.
//!
//! Wire form: header length (varint), header (deterministic CBOR, at most
//! [`HEADER_MAX_BYTES`]), entry count (varint, at most [`MAX_ENTRIES`]), then each entry's length
//! (varint, at most [`ENTRY_MAX_BYTES`]) and bytes; at most [`MAX_BYTES`] of entries in all.
//!
//! The block id is the header's digest and covers the body: a block whose header does not carry
//! the root of its own entries cannot be made or decoded. Whether the entries mean anything is
//! not known here.

use bytes::{BufMut, Bytes};
use codec::Digest;
use commonware_codec::{Buf, EncodeSize, Error, RangeCfg, Read, Write};
use commonware_consensus::types::Height;
use commonware_consensus::{Block as EngineBlock, BoundedBlock, Heightable};
use commonware_cryptography::{Digestible, sha256};
use ledger::Header;
use ledger::log::leaf_hash;

use crate::certificates::engine_digest;

/// Most entries in a block.
pub const MAX_ENTRIES: usize = 8_192;

/// Most bytes of entries in a block.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes of one entry.
pub const ENTRY_MAX_BYTES: usize = 65_535;

/// Most bytes of a header.
pub const HEADER_MAX_BYTES: usize = 1_024;

/// Most bytes of a varint length below 2^32.
const LENGTH_MAX_BYTES: usize = 5;

/// A header and its entries, which match it.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    header: Header,
    header_bytes: Bytes,
    entries: Vec<Bytes>,
    // INVARIANT: the digest of `header`, whose entries root is that of `entries`.
    digest: Digest,
}

impl Block {
    /// The block of a header and its entries; none if they are not the header's, or too many.
    #[must_use]
    pub fn new(header: Header, entries: Vec<Bytes>) -> Option<Self> {
        let header_bytes = Bytes::from(codec::to_vec(&header));
        Self::checked(header, header_bytes, entries).ok()
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The encoded header, as the log holds it.
    #[must_use]
    pub fn header_bytes(&self) -> &Bytes {
        &self.header_bytes
    }

    /// The entries' exact bytes, in ledger order.
    #[must_use]
    pub fn entries(&self) -> &[Bytes] {
        &self.entries
    }

    /// The block id.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.digest
    }

    fn checked(header: Header, header_bytes: Bytes, entries: Vec<Bytes>) -> Result<Self, Error> {
        if header_bytes.len() > HEADER_MAX_BYTES {
            return Err(invalid("header too long"));
        }
        if !fits(&entries) {
            return Err(invalid("entries out of bounds"));
        }
        if header.entries_root != entries_root(&entries) {
            return Err(invalid("header does not match the entries"));
        }
        let digest = header.digest();
        Ok(Self {
            header,
            header_bytes,
            entries,
            digest,
        })
    }
}

/// The root of a block's entries, as its header carries it.
#[must_use]
pub fn entries_root(entries: &[Bytes]) -> Digest {
    let leaves: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    keys::merkle::root(&leaves)
}

/// Whether these entries are few and short enough for one block.
fn fits(entries: &[Bytes]) -> bool {
    let bytes: usize = entries.iter().map(Bytes::len).sum();
    entries.len() <= MAX_ENTRIES
        && bytes <= MAX_BYTES
        && entries
            .iter()
            .all(|entry| !entry.is_empty() && entry.len() <= ENTRY_MAX_BYTES)
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("height", &self.header.height)
            .field("digest", &self.digest)
            .field("entries", &self.entries.len())
            .finish()
    }
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        self.header_bytes.write(buf);
        self.entries.write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.header_bytes.encode_size() + self.entries.encode_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let header_bytes = Bytes::read_cfg(buf, &RangeCfg::from(1..=HEADER_MAX_BYTES))?;
        let header: Header =
            codec::from_slice(&header_bytes).map_err(|_| invalid("malformed header"))?;
        let count = usize::read_cfg(buf, &RangeCfg::from(0..=MAX_ENTRIES))?;
        // An entry takes at least two bytes: nothing is allocated that was not sent.
        let mut entries = Vec::with_capacity(count.min(buf.remaining() / 2));
        let mut left = MAX_BYTES;
        for _ in 0..count {
            let longest = left.min(ENTRY_MAX_BYTES);
            if longest == 0 {
                return Err(invalid("entries out of bounds"));
            }
            let entry = Bytes::read_cfg(buf, &RangeCfg::from(1..=longest))?;
            left = left.saturating_sub(entry.len());
            entries.push(entry);
        }
        Self::checked(header, header_bytes, entries)
    }
}

impl Digestible for Block {
    type Digest = sha256::Digest;

    fn digest(&self) -> sha256::Digest {
        engine_digest(&self.digest)
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl EngineBlock for Block {
    fn parent(&self) -> sha256::Digest {
        engine_digest(&self.header.parent)
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(_: &()) -> usize {
        (LENGTH_MAX_BYTES + HEADER_MAX_BYTES)
            + (LENGTH_MAX_BYTES + MAX_BYTES)
            + MAX_ENTRIES * LENGTH_MAX_BYTES
    }
}

fn invalid(what: &'static str) -> Error {
    Error::Invalid("consensus::Block", what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_codec::{Copying, DecodeExt as _, Encode as _};
    use proptest::prelude::*;

    fn header(entries: &[Bytes]) -> Header {
        Header {
            network: codec::NetworkId::new([7; 32]),
            height: 3,
            parent: Digest::new([1; 32]),
            time_ms: 1_000,
            entries_root: entries_root(entries),
            log_size: 9,
            log_root: Digest::new([2; 32]),
            state_root: Digest::new([3; 32]),
            next_validators: None,
        }
    }

    fn entries() -> impl Strategy<Value = Vec<Bytes>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6)
            .prop_map(|entries| entries.into_iter().map(Bytes::from).collect())
    }

    #[test]
    fn wire_form_is_fixed() {
        let entries = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let block = Block::new(header(&entries), entries).unwrap();
        let encoded = block.encode();
        let header_len = block.header_bytes().len();
        assert_eq!(
            encoded.slice(encoded.len() - 9..),
            Bytes::from_static(b"\x02\x03one\x03two")
        );
        assert_eq!(encoded.len(), header_len + 2 + 9);
        assert_eq!(block.digest(), engine_digest(&block.header().digest()));
    }

    #[test]
    fn a_body_that_is_not_the_headers_is_refused() {
        let entries = vec![Bytes::from_static(b"one")];
        let block = Block::new(header(&entries), entries).unwrap();
        assert!(Block::new(block.header().clone(), vec![]).is_none());
        let mut encoded = block.encode().to_vec();
        *encoded.last_mut().unwrap() ^= 1;
        assert!(Block::decode(Copying(&encoded)).is_err());
    }

    proptest! {
        #[test]
        fn decodes_to_itself_within_the_bound(entries in entries()) {
            let block = Block::new(header(&entries), entries).unwrap();
            let encoded = block.encode();
            prop_assert!(encoded.len() <= Block::max_encode_size(&()));
            prop_assert_eq!(Block::decode(encoded).unwrap(), block);
        }

        #[test]
        fn any_mutation_changes_or_breaks_the_block(
            entries in entries(), at in any::<prop::sample::Index>(), mask in 1u8..,
        ) {
            let block = Block::new(header(&entries), entries).unwrap();
            let mut encoded = block.encode().to_vec();
            let at = at.index(encoded.len());
            encoded[at] ^= mask;
            if let Ok(other) = Block::decode(Copying(&encoded)) {
                prop_assert_ne!(other.id(), block.id());
            }
        }

        #[test]
        fn outside_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(block) = Block::decode(Copying(&bytes)) {
                prop_assert_eq!(block.encode().to_vec(), bytes);
            }
        }
    }
}
