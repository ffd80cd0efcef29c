//! Tokens: 256 random bits, shown once, stored as their SHA-256 only. Debug never shows one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::ZeroizeOnDrop;

use super::AccountError;

const TOKEN_BYTES: usize = 32;

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, ZeroizeOnDrop)]
        pub struct $name([u8; TOKEN_BYTES]);

        impl $name {
            /// Draws a new one from the operating system.
            pub fn draw() -> Result<Self, AccountError> {
                let mut bytes = [0_u8; TOKEN_BYTES];
                fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// Reads what [`Self::reveal`] wrote; `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                from_hex(text).map(Self)
            }

            /// 64 hexadecimal digits, for the one who holds it. Nothing else may keep them.
            pub fn reveal(&self) -> String {
                to_hex(&self.0)
            }

            /// What the database stores.
            pub(super) fn stored(&self) -> String {
                to_hex(&Sha256::digest(self.0))
            }

            /// A text that only the holder of this token can know, bound to one purpose.
            pub fn derive(&self, purpose: &str) -> String {
                // HMAC takes a key of any length; a failure cannot happen, and would give a text that nobody accepts.
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
                mac.update(purpose.as_bytes());
                to_hex(&mac.finalize().into_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

token!(/// What the browser's cookie holds.
    SessionToken);
token!(/// What a one-time sign-in link holds.
    LinkToken);
token!(/// What a browser keeps for long, to be known again: it opens nothing, it is only counted apart.
    DeviceToken);
token!(/// What a browser holds between password and second factor: it opens nothing but the second step.
    HalfToken);

impl LinkToken {
    /// The path that the pages answer under, for example `/welcome/3f…`.
    pub fn path(&self) -> String {
        format!("/welcome/{}", self.reveal())
    }
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<(), AccountError> {
    getrandom::fill(bytes).map_err(|error| AccountError::System(format!("no random bytes: {error}")))
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; TOKEN_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != TOKEN_BYTES * 2 {
        return None;
    }
    let mut bytes = [0_u8; TOKEN_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Lower case only: one token has one spelling.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_shows_nothing_in_debug() {
        let token = SessionToken::draw().unwrap();
        let text = token.reveal();
        assert_eq!(text.len(), 64);
        assert_eq!(SessionToken::parse(&text).unwrap().stored(), token.stored());
        assert_ne!(token.stored(), text);
        assert!(!format!("{token:?}").contains(&text[..8]));
    }

    #[test]
    fn forged_shapes_are_not_tokens() {
        let good = SessionToken::draw().unwrap().reveal();
        for bad in
            ["", "0", &good[1..], &format!("{good}0"), &good.replace(|_: char| true, "g"), "é".repeat(32).as_str()]
        {
            assert!(SessionToken::parse(bad).is_none(), "{bad}");
        }
        assert!(SessionToken::parse(&"AB".repeat(32)).is_none(), "upper case is another spelling");
    }

    #[test]
    fn derived_texts_differ_by_purpose_and_token() {
        let (a, b) = (SessionToken::draw().unwrap(), SessionToken::draw().unwrap());
        assert_ne!(a.derive("form"), a.derive("other"));
        assert_ne!(a.derive("form"), b.derive("form"));
        assert_ne!(a.derive("form"), a.stored());
    }
}
