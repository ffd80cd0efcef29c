//! The secret of a key, and its id, which is none.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::ZeroizeOnDrop;

use super::ApiKeyError;

const TOKEN_BYTES: usize = 32;
/// Begins every token, so that one left in a file or a message is recognised for what it is.
const PREFIX: &str = "tapward_";

/// What a system sends to be let in: `tapward_` and 64 hexadecimal digits. `Debug` never shows it.
#[derive(Clone, ZeroizeOnDrop)]
pub struct KeyToken([u8; TOKEN_BYTES]);

impl KeyToken {
    pub(super) fn draw() -> Result<Self, ApiKeyError> {
        let mut bytes = [0_u8; TOKEN_BYTES];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads what [`Self::reveal`] wrote; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text.strip_prefix(PREFIX)?).map(Self)
    }

    /// The token, for the one who made the key. Nothing else may keep it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", hex(&self.0))
    }

    /// What the database stores. The token is random, so a plain hash is enough.
    pub(super) fn stored(&self) -> String {
        hex(&Sha256::digest(self.0))
    }
}

impl fmt::Debug for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyToken(redacted)")
    }
}

/// The id of a key: 32 hexadecimal digits. It opens nothing and may be shown and logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    pub(super) fn draw() -> Result<Self, ApiKeyError> {
        let mut bytes = [0_u8; 16];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads an id from a path or form.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), ApiKeyError> {
    getrandom::fill(bytes).map_err(|error| ApiKeyError::System(format!("no random bytes: {error}")))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower case only: one token has one spelling.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_shows_nothing_in_debug() {
        let token = KeyToken::draw().unwrap();
        let text = token.reveal();
        assert_eq!(text.len(), "tapward_".len() + 64);
        assert_eq!(KeyToken::parse(&text).unwrap().stored(), token.stored());
        assert!(!text.contains(&token.stored()), "what is stored is not what is sent");
        assert!(!format!("{token:?}").contains(&text[8..16]));
    }

    #[test]
    fn forged_shapes_are_no_tokens() {
        let good = KeyToken::draw().unwrap().reveal();
        let upper = good.to_uppercase();
        let bad_digits = format!("tapward_{}", "g".repeat(64));
        for bad in
            ["", "tapward_", &good[..71], &good[8..], &upper, &format!("{good}0"), &format!(" {good}"), &bad_digits]
        {
            assert!(KeyToken::parse(bad).is_none(), "{bad:?}");
        }
    }
}
