//! What is signed and put in a second place: how large the log was at an instant, and its root. One head is one line of
//! text, so that it can be appended to a file, mailed or printed.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{TreeHash, from_hex, write_hex};
use crate::ids::SiteId;
use crate::time::UtcMillis;

/// The first word of the line.
const WORD: &str = "tapward-audit-head-1";
/// Length of an Ed25519 signature, in bytes (RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;
/// Longest line read, in bytes: the longest that a head can have is about 340.
const LINE_MAX_BYTES: usize = 512;

/// Which key signed: the first 8 bytes of the SHA-256 of its public half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// Of a public key of 32 bytes.
    pub fn of(public: &[u8; 32]) -> Self {
        let hash: [u8; 32] = Sha256::digest(public).into();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The state of the log of one site at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose log.
    pub site: SiteId,
    /// How many entries it had.
    pub size: u64,
    /// The root of its tree.
    pub root: TreeHash,
    /// When, by the server's clock.
    pub at: UtcMillis,
    /// Which key signs.
    pub key: KeyId,
}

impl Head {
    /// What is signed: the line of the head without its last word and the space before it.
    pub fn to_signed_text(&self) -> String {
        let Self { site, size, root, at, key } = self;
        format!("{WORD} {site} {size} {root} {} {key}", at.0)
    }

    /// With its signature.
    pub const fn signed(self, signature: [u8; SIGNATURE_BYTES]) -> SignedHead {
        SignedHead { head: self, signature }
    }
}

/// A head with its signature. That it can be read says nothing: the signature must be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// What was signed.
    pub head: Head,
    /// Ed25519 over [`Head::to_signed_text`].
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why a line is not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// It does not begin as one, or has too few or too many words.
    #[error("this is not a line of seven words beginning with {WORD}")]
    Shape,
    /// One of its words cannot be read; which one.
    #[error("the {0} cannot be read")]
    Word(&'static str),
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.head.to_signed_text())?;
        write_hex(f, &self.signature)
    }
}

impl FromStr for SignedHead {
    type Err = HeadError;

    /// Reads a line as [`SignedHead`] writes it; one head has one spelling.
    fn from_str(line: &str) -> Result<Self, HeadError> {
        if line.len() > LINE_MAX_BYTES {
            return Err(HeadError::Shape);
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [WORD, site, size, root, at, key, signature] = words[..] else { return Err(HeadError::Shape) };
        let mut key_id = KeyId([0; 8]);
        from_hex(key, &mut key_id.0).ok_or(HeadError::Word("id of the key"))?;
        let mut signed = [0; SIGNATURE_BYTES];
        from_hex(signature, &mut signed).ok_or(HeadError::Word("signature"))?;
        let head = Head {
            site: SiteId::new(site).map_err(|_| HeadError::Word("site"))?,
            size: size.parse().map_err(|_| HeadError::Word("size"))?,
            root: root.parse().map_err(|_| HeadError::Word("root"))?,
            at: UtcMillis(at.parse().map_err(|_| HeadError::Word("time"))?),
            key: key_id,
        };
        let head = head.signed(signed);
        if head.to_string() == line { Ok(head) } else { Err(HeadError::Shape) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head() -> SignedHead {
        let head = Head {
            site: SiteId::new("clinic-1").unwrap(),
            size: 1234,
            root: TreeHash([0xab; 32]),
            at: UtcMillis(1_700_000_000_000),
            key: KeyId::of(&[7; 32]),
        };
        head.signed([0x5c; 64])
    }

    #[test]
    fn a_head_is_one_line_and_reads_back() {
        let line = head().to_string();
        assert!(line.starts_with("tapward-audit-head-1 clinic-1 1234 abab"), "{line}");
        assert!(line.starts_with(&head().head.to_signed_text()));
        assert_eq!(line.parse(), Ok(head()));
    }

    #[test]
    fn another_spelling_of_the_same_head_is_refused() {
        let line = head().to_string();
        for other in [
            line.replace(" 1234 ", " 01234 "),
            line.replace(" 1234 ", " +1234 "),
            line.replace("abab", "ABAB"),
            line.replace(" 1234 ", "  1234 "),
            format!("{line} "),
            format!("{line}\n"),
            line.replace("head-1", "head-2"),
        ] {
            assert!(other.parse::<SignedHead>().is_err(), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_reads_is_written_the_same(line in "(tapward-audit-head-1 )?[ -~]{0,80}") {
            if let Ok(head) = line.parse::<SignedHead>() {
                prop_assert_eq!(head.to_string(), line);
            }
        }
    }
}
