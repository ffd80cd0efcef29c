//! Keys of acts that move money, and the hash of what was asked with one: so that a repetition is recognised, and another
//! request under the same key is not taken for one.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::TillError;

/// Sizes of a key, in characters.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 8..=100;

/// Checks a key: 8 to 100 visible ASCII characters.
///
/// # Errors
/// [`TillError::Invalid`] with the field `key`.
pub(crate) fn check(key: &str) -> Result<(), TillError> {
    if KEY_CHARS.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(TillError::Invalid {
        field: "key",
        problem: "8 to 100 visible ASCII characters, another one for each act".into(),
    })
}

/// What was asked, as a hash: the act and each thing in it, with its length, so that two of them are never read as one.
pub(crate) struct Asked(Sha256);

impl Asked {
    /// Begins with the act.
    pub(crate) fn of(act: &str) -> Self {
        Self(Sha256::new()).with(act)
    }

    /// Adds a thing.
    pub(crate) fn with(mut self, thing: impl ToString) -> Self {
        let text = thing.to_string();
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a thing that may be absent, which is another thing than an empty one.
    pub(crate) fn with_some(self, thing: Option<impl ToString>) -> Self {
        match thing {
            Some(thing) => self.with("some").with(thing),
            None => self.with("none"),
        }
    }

    /// 64 hexadecimal digits.
    pub(crate) fn hash(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_and_neither_short_nor_long() {
        for good in ["12345678", "2f0c9f9e-8a5b-4a53-9d3b-1f5f9e0a0b0c", &"k".repeat(100)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "1234567", "with a space", "ключ-ключ", "tab\tinside", &"k".repeat(101)] {
            assert!(matches!(check(bad), Err(TillError::Invalid { field: "key", .. })), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_differs_wherever_it_differs() {
        let hashes = [
            Asked::of("pay").with("ab").with("c").hash(),
            Asked::of("pay").with("a").with("bc").hash(),
            Asked::of("pay").with("abc").hash(),
            Asked::of("pay").with_some(Some("")).hash(),
            Asked::of("pay").with_some(None::<&str>).hash(),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert_eq!(hash.len(), 64);
            assert!(!hashes[at + 1..].contains(hash));
        }
    }
}
