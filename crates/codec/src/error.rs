//! Why bytes were refused. Messages name positions and shapes, never content.

/// Why a byte string is not the deterministic encoding of the expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside an item.
    #[error("the input ends inside an item at byte {at}")]
    Truncated {
        /// Position of the item.
        at: usize,
    },
    /// A length or count exceeds what is left of the input.
    #[error("a length at byte {at} exceeds what is left of the input")]
    TooLong {
        /// Position of the head.
        at: usize,
    },
    /// A head is longer than needed.
    #[error("the head at byte {at} is not minimal")]
    NotMinimal {
        /// Position of the head.
        at: usize,
    },
    /// Indefinite length, float, `undefined` or another form outside the dialect.
    #[error("the item at byte {at} has a form that is not allowed")]
    Unsupported {
        /// Position of the head.
        at: usize,
    },
    /// Another kind of item than expected.
    #[error("expected {expected} at byte {at}")]
    Unexpected {
        /// Position of the head.
        at: usize,
        /// The kind of item that was expected.
        expected: &'static str,
    },
    /// Nested deeper than the bound.
    #[error("nested too deeply at byte {at}")]
    Depth {
        /// Position of the head.
        at: usize,
    },
    /// Map keys or set members are out of order or repeated.
    #[error("a key at byte {at} is out of order or repeated")]
    Unsorted {
        /// Position of the key.
        at: usize,
    },
    /// A sequence has another length than its type.
    #[error("expected a length of {expected} at byte {at}")]
    WrongLength {
        /// Position of the head.
        at: usize,
        /// The length of the type.
        expected: usize,
    },
    /// An integer outside the range of its type.
    #[error("an integer at byte {at} is out of range")]
    Range {
        /// Position of the head.
        at: usize,
    },
    /// A text string that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    Utf8 {
        /// Position of the head.
        at: usize,
    },
    /// A record lacks a required key.
    #[error("key {key} is missing")]
    MissingKey {
        /// The key.
        key: u64,
    },
    /// A record has a key that its type does not know, or keys out of order.
    #[error("key {key} is unknown or out of order")]
    UnknownKey {
        /// The key.
        key: u64,
    },
    /// A choice or code that its type does not know.
    #[error("tag {tag} is unknown")]
    UnknownTag {
        /// The tag.
        tag: u64,
    },
    /// Bytes after the value.
    #[error("bytes follow the value from byte {at}")]
    Trailing {
        /// Where the value ended.
        at: usize,
    },
    /// The value encodes to other bytes.
    #[error("the bytes are not the deterministic encoding of their value")]
    NotCanonical,
    /// A rule of the type that is not one of encoding.
    #[error("{0}")]
    Invalid(&'static str),
}
