//! The audit log as mathematics: how an entry becomes bytes and a leaf, how leaves become a Merkle tree (RFC 9162,
//! section 2.1), what proves that an entry is in it and that one state continues another, and what a signed head says.
//!
//! Owns the format, which `docs/audit.md` describes exactly enough to write a verifier from. Never stores, signs or
//! draws a random number; entries hold words, not enums, so that a later version's words survive an earlier verifier.

mod entry;
mod head;
mod proof;
mod tree;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use entry::{Entry, NOTE_SALT_BYTES, blot_object, note_hash};
pub use head::{Head, HeadError, KeyId, SIGNATURE_BYTES, SignedHead};
pub use proof::{Consistency, Inclusion, Span, Want, consistency_wants, inclusion_wants};
pub use tree::{Node, Peaks, empty_root, leaf_hash, node_hash};

/// A SHA-256 hash: of a leaf, a node, a root or a note.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

/// A text is not a hash of 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NotAHash;

impl TreeHash {
    /// From 32 bytes; `None` for another number of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl FromStr for TreeHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        from_hex(text, &mut bytes).ok_or(NotAHash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes lower-case hexadecimal digits.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly as many bytes as `into` has, lower case only: one hash has one spelling.
fn from_hex(text: &str, into: &mut [u8]) -> Option<()> {
    if text.len() != into.len().checked_mul(2)? {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in into.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}
