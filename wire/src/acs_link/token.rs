//! The small checked values of acs-link: UUIDs, tokens, texts and versions. Each can be made only from what the schema
//! allows, so that a message made of them can always be written. Owns their forms; knows no XML. Imports nothing of ours.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Most characters of a token.
pub const TOKEN_MAX_CHARS: usize = 64;
/// Most characters of a text for people.
pub const TEXT_MAX_CHARS: usize = 256;

/// A value that its type does not allow. Never repeats the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not {0}")]
pub struct Misfit(pub &'static str);

/// 16 bytes, written in lower case with dashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Characters of the written form.
    pub const CHARS: usize = 36;

    /// A UUID of version 7 (RFC 9562, 5.7): `wall_ms` milliseconds since 1970, the rest random.
    pub const fn v7(wall_ms: i64, random: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = wall_ms.to_be_bytes();
        let [a, b, c, d, e, f, g, h, i, j] = random;
        Self([t0, t1, t2, t3, t4, t5, 0x70 | (a & 0x0F), b, 0x80 | (c & 0x3F), d, e, f, g, h, i, j])
    }

    /// Reads the written form: lower case only, as the schema wants it.
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        const WRONG: Misfit = Misfit("a UUID in lower case with dashes");
        let text: &[u8; Self::CHARS] = text.as_bytes().try_into().map_err(|_| WRONG)?;
        let mut bytes = [0; 16];
        let mut at = 0;
        for (place, byte) in bytes.iter_mut().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                if text[at] != b'-' {
                    return Err(WRONG);
                }
                at += 1;
            }
            let (Some(high), Some(low)) = (hex_digit(text[at]), hex_digit(text[at + 1])) else { return Err(WRONG) };
            *byte = high << 4 | low;
            at += 2;
        }
        Ok(Self(bytes))
    }

    /// The written form, as ASCII.
    pub fn to_ascii(self) -> [u8; Self::CHARS] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; Self::CHARS];
        let mut at = 0;
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0x0F)];
            at += 2;
        }
        text
    }
}

/// A digit of lower-case hexadecimal.
pub(super) const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        Self::parse(text)
    }
}

/// A type over a checked string, with its ways in and out.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $form:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a text that has the form.
            pub fn new(text: &str) -> Result<Self, Misfit> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.into())) } else { Err(Misfit($form)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl FromStr for $name {
            type Err = Misfit;

            fn from_str(text: &str) -> Result<Self, Misfit> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Misfit;

            fn try_from(text: &str) -> Result<Self, Misfit> {
                Self::new(text)
            }
        }
    };
}

checked! {
    /// A name: of a node, a point, a person's pseudonym, an event, a capability.
    Token, "1 to 64 of A-Z a-z 0-9 . _ : / -", fits_token
}

checked! {
    /// Why something was decided: an open list, so an unknown one is accepted.
    Reason, "a reason: a-z, then at most 47 of a-z 0-9 -", |text| {
        let mut bytes = text.bytes();
        text.len() <= 48
            && bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }
}

checked! {
    /// A code of failure: an open list; those of this version are [`Code`](super::Code).
    ErrCode, "a code: A-Z, then 2 to 39 of A-Z 0-9 _", |text| {
        let mut bytes = text.bytes();
        (3..=40).contains(&text.len())
            && bytes.next().is_some_and(|byte| byte.is_ascii_uppercase())
            && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    }
}

checked! {
    /// A text for people, at most 256 characters, each of them allowed in XML.
    Text, "at most 256 characters that XML allows", |text| {
        text.chars().all(is_xml_char) && chars_at_most(text, TEXT_MAX_CHARS)
    }
}

impl Text {
    /// Makes a text of anything: what XML does not allow becomes U+FFFD, and what is too long is cut.
    pub fn lossy(text: &str) -> Self {
        let fit = |c| if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER };
        Self(text.chars().map(fit).take(TEXT_MAX_CHARS).collect::<String>().into())
    }
}

fn fits_token(text: &str) -> bool {
    (1..=TOKEN_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-'))
}

/// At most `most` characters; counts only where bytes alone do not tell.
pub(super) fn chars_at_most(text: &str, most: usize) -> bool {
    text.len() <= most || (text.len() <= most * 4 && text.chars().count() <= most)
}

/// `Char` of XML 1.0: a `char` is never a surrogate, so only controls and two non-characters are left to refuse.
pub(super) const fn is_xml_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// A minor version of acs-link 1, from 1.0 to 1.99.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u8);

impl Version {
    /// 1.0, the only one so far.
    pub const V1_0: Self = Self(0);

    /// The minor version, at most 99.
    pub const fn new(minor: u8) -> Result<Self, Misfit> {
        if minor <= 99 { Ok(Self(minor)) } else { Err(Misfit("a version from 1.0 to 1.99")) }
    }

    /// The minor version.
    pub const fn minor(self) -> u8 {
        self.0
    }

    /// Reads `1.0` to `1.99`, without a leading zero.
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        match text.as_bytes() {
            [b'1', b'.', units @ b'0'..=b'9'] => Ok(Self(units - b'0')),
            [b'1', b'.', tens @ b'1'..=b'9', units @ b'0'..=b'9'] => Ok(Self((tens - b'0') * 10 + (units - b'0'))),
            _ => Err(Misfit("a version from 1.0 to 1.99")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_round_trip_and_only_lower_case_is_one() {
        let text = "019a9f3e-7c1a-7b7e-9f7e-00000000000b";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        for wrong in ["", "019A9f3e-7c1a-7b7e-9f7e-00000000000b", "019a9f3e07c1a-7b7e-9f7e-00000000000b", &text[1..]] {
            assert!(Uuid::parse(wrong).is_err(), "{wrong}");
        }
        let made = Uuid::v7(0x019A_9F3E_7C1A, [0xFF; 10]).to_string();
        assert_eq!(made, "019a9f3e-7c1a-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn tokens_reasons_and_codes_have_their_forms() {
        assert!(Token::new("clinic-1/main-hall/turnstile-03").is_ok() && Token::new(&"a".repeat(64)).is_ok());
        for wrong in ["", " a", "a b", "Ж", "a\n", &"a".repeat(65)] {
            assert!(Token::new(wrong).is_err(), "{wrong}");
        }
        assert!(Reason::new("a").is_ok() && Reason::new(&"a".repeat(48)).is_ok());
        for wrong in ["", "-a", "1a", "A", "a_b", &"a".repeat(49)] {
            assert!(Reason::new(wrong).is_err(), "{wrong}");
        }
        assert!(ErrCode::new("BUSY").is_ok() && ErrCode::new("A_1").is_ok());
        for wrong in ["AB", "1AB", "aBC", "A-B", &"A".repeat(41)] {
            assert!(ErrCode::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_count_characters_and_refuse_what_xml_refuses() {
        assert!(Text::new(&"Ж".repeat(256)).is_ok() && Text::new("").is_ok() && Text::new("\t\r\n\u{7F}").is_ok());
        assert!(Text::new(&"Ж".repeat(257)).is_err());
        for wrong in ["\0", "\u{1}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            assert!(Text::new(wrong).is_err());
        }
        assert_eq!(Text::lossy("a\u{1}b").as_str(), "a\u{FFFD}b");
        assert_eq!(Text::lossy(&"Ж".repeat(999)).as_str().chars().count(), 256);
    }

    #[test]
    fn versions_have_no_leading_zero() {
        assert_eq!(Version::parse("1.0"), Ok(Version::V1_0));
        assert_eq!(Version::parse("1.42").unwrap().to_string(), "1.42");
        for wrong in ["1", "1.", "1.00", "1.01", "1.100", "2.0", " 1.0"] {
            assert!(Version::parse(wrong).is_err(), "{wrong}");
        }
    }
}
