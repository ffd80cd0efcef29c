//! What a workstation's browser holds, and the code by which it gets it. Both are random and stored as SHA-256 only;
//! Debug shows neither.

use std::fmt;

use sha2::{Digest, Sha256};
use store::{Error, Fault};
use zeroize::ZeroizeOnDrop;

const TOKEN_BYTES: usize = 32;
/// Characters of a code: without those that are taken for each other (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, 5 bits each: 60 bits, which nobody tries through within the minutes that it is good for.
const CODE_CHARS: usize = 12;

/// What the cookie of a workstation's browser holds: 256 random bits.
#[derive(Clone, ZeroizeOnDrop)]
pub struct DeskToken([u8; TOKEN_BYTES]);

impl DeskToken {
    /// Draws a new one from the operating system.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn draw() -> Result<Self, Error> {
        let mut bytes = [0_u8; TOKEN_BYTES];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads what [`Self::reveal`] wrote; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != TOKEN_BYTES * 2 {
            return None;
        }
        let mut bytes = [0_u8; TOKEN_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(bytes))
    }

    /// 64 hexadecimal digits, for the one who holds it. Nothing else may keep them.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    /// What the database stores.
    pub(super) fn stored(&self) -> String {
        hex(&Sha256::digest(self.0))
    }

    /// A text that only the holder of this token can know, bound to one purpose.
    pub fn derive(&self, purpose: &str) -> String {
        let mut hash = Sha256::new();
        // Of fixed lengths up to the purpose, and no one is given the inner state: no other purpose can be appended to.
        hash.update(b"tapward desk ");
        hash.update(self.0);
        hash.update(Sha256::digest(purpose.as_bytes()));
        hex(&hash.finalize())
    }
}

impl fmt::Debug for DeskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeskToken(redacted)")
    }
}

/// The one-time code by which a browser becomes that of a workstation.
#[derive(Clone, ZeroizeOnDrop)]
pub struct EnrolCode(String);

impl EnrolCode {
    /// Draws a new one from the operating system.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn draw() -> Result<Self, Error> {
        let mut bytes = [0_u8; CODE_CHARS];
        fill(&mut bytes)?;
        Ok(Self(bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|c| char::from(*c)).collect()))
    }

    /// Reads what somebody typed: in any case, with spaces and hyphens, and with the letters that are taken for digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let typed = text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        });
        let code: String = typed.collect();
        let is_code = code.len() == CODE_CHARS && code.bytes().all(|byte| LETTERS.contains(&byte));
        is_code.then_some(Self(code))
    }

    /// In groups of four, for the one who types it. Nothing else may keep it.
    pub fn reveal(&self) -> String {
        let groups: Vec<&str> = (0..CODE_CHARS).step_by(4).filter_map(|at| self.0.get(at..at + 4)).collect();
        groups.join("-")
    }

    /// What the database stores.
    pub(super) fn stored(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for EnrolCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolCode(redacted)")
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|_| Error::new("drawing a token", Fault::Io))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
        let token = DeskToken::draw().unwrap();
        let text = token.reveal();
        assert_eq!(DeskToken::parse(&text).unwrap().stored(), token.stored());
        assert_ne!(token.stored(), text);
        assert!(!format!("{token:?}").contains(&text[..8]));
        assert!(DeskToken::parse(&text.to_uppercase()).is_none() || text == text.to_uppercase());
        assert!(DeskToken::parse(&text[1..]).is_none());
        assert!(DeskToken::parse(&"é".repeat(32)).is_none());
        assert_ne!(token.derive("a"), token.derive("b"));
        assert_ne!(token.derive("a"), DeskToken::draw().unwrap().derive("a"));
    }

    #[test]
    fn a_code_is_understood_as_people_type_it() {
        let code = EnrolCode::draw().unwrap();
        let shown = code.reveal();
        assert_eq!(shown.len(), 14);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), format!("  {shown}\n")] {
            assert_eq!(EnrolCode::parse(&typed).unwrap().stored(), code.stored(), "{typed}");
        }
        assert_eq!(
            EnrolCode::parse("oIl0-0000-0000").unwrap().stored(),
            EnrolCode::parse("011000000000").unwrap().stored()
        );
        for bad in ["", "0000-0000-000", "0000-0000-000U", "0000-0000-0000-0", &"0".repeat(100), "нннн"] {
            assert!(EnrolCode::parse(bad).is_none(), "{bad}");
        }
    }
}
