//! Typed identifiers. Names chosen by people (points, zones, readers) are short texts; persons and cards are known
//! only by pseudonyms, so that nothing in this crate can reveal who somebody is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest name that a person may give to a point, zone, reader and so on, in bytes.
pub const NAME_MAX_BYTES: usize = 64;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Nothing was written.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than [`NAME_MAX_BYTES`].
    #[error("a name must have at most {NAME_MAX_BYTES} characters, this one has {0}")]
    TooLong(usize),
    /// A character outside letters, digits and `. _ : / -`.
    #[error("a name may contain letters a-z, digits and . _ : / - only, not {0:?}")]
    Character(char),
    /// A pseudonym is 32 hexadecimal digits.
    #[error("a pseudonymous id has 32 hexadecimal digits")]
    Hex,
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text: 1 to 64 of `A-Z a-z 0-9 . _ : / -`.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check_name(text)?;
                Ok(Self(text.into()))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name_id!(/// One clinic: a legal and physical unit with its own people and doors.
    SiteId);
name_id!(/// One running gateway: the owner of serial lines, doors and one journal.
    GatewayId);
name_id!(/// One serial line or network peer of a gateway.
    LineId);
name_id!(/// One card reader.
    ReaderId);
name_id!(/// One access point (IEC 60839-11-1): a turnstile, door, barrier, workstation or enrolment desk.
    PointId);
name_id!(/// One zone of the building's tree.
    ZoneId);
name_id!(/// One weekly schedule.
    ScheduleId);
name_id!(/// One category of holders, for example `patient-paying` or `surgeon`.
    CategoryId);
name_id!(/// Something that holds for a person or does not: a contract, a training.
    ConditionId);

fn check_name(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > NAME_MAX_BYTES {
        return Err(IdError::TooLong(text.chars().count()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._:/-".contains(*c))) {
        Some(c) => Err(IdError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex16(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hex_id!(/// A person's pseudonym: 128 random bits. The link to a name lives in the identity vault only.
    PersonId);
hex_id!(/// A card's pseudonym: the first 128 bits of a keyed hash of its number (see [`crate::card`]).
    CardId);
hex_id!(/// One life of a journal: drawn at random when the journal file is created.
    Epoch);

fn parse_hex16(text: &str) -> Result<[u8; 16], IdError> {
    if text.len() != 32 || !text.is_ascii() {
        return Err(IdError::Hex);
    }
    let mut bytes = [0_u8; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        // `from_str_radix` would take a sign.
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return Err(IdError::Hex);
        }
        let digits = std::str::from_utf8(pair).map_err(|_| IdError::Hex)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| IdError::Hex)?;
    }
    Ok(bytes)
}

/// Which way a reader at a point leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the point's `from` zone to its `to` zone.
    In,
    /// From the point's `to` zone to its `from` zone.
    Out,
}

impl Direction {
    /// `in` or `out`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The other way.
    pub const fn reversed(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }

    /// Reads what [`Direction::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "in" => Some(Self::In),
            "out" => Some(Self::Out),
            _ => None,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(PointId::new("turnstile-1").unwrap().as_str(), "turnstile-1");
        assert_eq!(PointId::new(""), Err(IdError::Empty));
        assert_eq!(PointId::new(&"a".repeat(65)), Err(IdError::TooLong(65)));
        assert_eq!(PointId::new("двері"), Err(IdError::Character('д')));
        assert_eq!(PointId::new("a\nb"), Err(IdError::Character('\n')));
    }

    #[test]
    fn pseudonyms_round_trip_as_hex() {
        let id = CardId(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse::<CardId>().unwrap(), id);
        for bad in [
            "",
            "00",
            "zz112233445566778899aabbccddeeff",
            "+0112233445566778899aabbccddeeff",
            "0011223344556677889aabbccddeefé",
        ] {
            assert_eq!(bad.parse::<CardId>(), Err(IdError::Hex), "{bad}");
        }
    }
}
