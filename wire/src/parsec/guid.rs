//! GUIDs as the service writes them: 8-4-4-4-12 hexadecimal digits. Persons, territories, sessions and report fields
//! are named by them. Here a GUID is 16 bytes in the order of its digits; the service's own byte order never shows.

use std::fmt;
use std::str::FromStr;

use domain::PersonId;

/// One GUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Guid(pub [u8; 16]);

/// A text that is not a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a GUID looks like 1bf8a893-7d21-4c0c-9a2d-2e333a2d769d")]
pub struct GuidError;

impl Guid {
    /// All zeros: "none" in the service's own convention.
    pub const NIL: Self = Self([0; 16]);

    /// A GUID of its 32 digits, for tables in the source.
    pub const fn of(digits: u128) -> Self {
        Self(digits.to_be_bytes())
    }

    /// Whether it is [`Guid::NIL`].
    pub fn is_nil(&self) -> bool {
        *self == Self::NIL
    }
}

/// The GUID under which a person of ours is made known: the same 128 random bits, so that no list of pairs is needed.
impl From<PersonId> for Guid {
    fn from(person: PersonId) -> Self {
        Self(person.0)
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    /// Reads any case, with or without braces around it, as different parts of the service write it.
    fn from_str(text: &str) -> Result<Self, GuidError> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        if text.len() != 36 {
            return Err(GuidError);
        }
        let mut bytes = [0_u8; 16];
        let mut digits = 0;
        for (at, c) in text.bytes().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if c != b'-' {
                    return Err(GuidError);
                }
                continue;
            }
            let digit = char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(GuidError)?;
            let byte = bytes.get_mut(digits / 2).ok_or(GuidError)?;
            *byte = *byte << 4 | digit;
            digits += 1;
        }
        if digits == 32 { Ok(Self(bytes)) } else { Err(GuidError) }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_read_in_every_form_and_written_in_one() {
        let plain = "1bf8a893-7d21-4c0c-9a2d-2e333a2d769d";
        let guid: Guid = plain.parse().unwrap();
        assert_eq!(guid.to_string(), plain);
        assert_eq!(" {1BF8A893-7D21-4C0C-9A2D-2E333A2D769D}\n".parse(), Ok(guid));
        assert_eq!(Guid::of(0x1bf8_a893_7d21_4c0c_9a2d_2e33_3a2d_769d), guid);
        assert!(!guid.is_nil());
        assert!("00000000-0000-0000-0000-000000000000".parse::<Guid>().unwrap().is_nil());
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        for bad in [
            "",
            "1bf8a893",
            "1bf8a8937d214c0c9a2d2e333a2d769d",
            "1bf8a893-7d21-4c0c-9a2d-2e333a2d769",
            "1bf8a893-7d21-4c0c-9a2d-2e333a2d769d0",
            "1bf8a893 7d21-4c0c-9a2d-2e333a2d769d",
            "1bf8a893-7d21-4c0c-9a2d-2e333a2d76-d",
            "1bf8a893-7d21-4c0c-9a2d-2e333a2d76éd",
            "+bf8a893-7d21-4c0c-9a2d-2e333a2d769d",
        ] {
            assert_eq!(bad.parse::<Guid>(), Err(GuidError), "{bad}");
        }
    }
}
