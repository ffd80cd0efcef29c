//! What a line says: an identifier as the reader printed it, or why the line is not one.

use std::fmt;

/// Longest identifier, in bytes: the 10-byte UID of ISO/IEC 14443-3 and room for long proximity formats.
pub const IDENTIFIER_MAX_BYTES: usize = 16;

/// One card as a desktop reader printed it. `Debug` does not show numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The reader's word for the card technology, for example `Em-Marine`, `Mifare`, `HID Prox`.
    pub technology: Box<str>,
    /// The identifier.
    pub identifier: Identifier,
}

/// An identifier in the bytes and order in which the reader gave it. Which bytes in which order are the identity of
/// the card elsewhere (over OSDP, over PC/SC) is a setting of the reader model, found with one known card.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    bits: u16,
    len: u8,
    bytes: [u8; IDENTIFIER_MAX_BYTES],
    facility_number: Option<(u32, u32)>,
}

impl Identifier {
    /// `bits` bits, left-justified in `bytes`; `None` if they do not fit each other or [`IDENTIFIER_MAX_BYTES`].
    pub fn from_bits(bits: u16, bytes: &[u8]) -> Option<Self> {
        if bits == 0 || bytes.len() != usize::from(bits).div_ceil(8) {
            return None;
        }
        let mut own = [0; IDENTIFIER_MAX_BYTES];
        own.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bits, len: u8::try_from(bytes.len()).ok()?, bytes: own, facility_number: None })
    }

    /// Whole bytes; `None` if there are none or more than [`IDENTIFIER_MAX_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_bits(u16::try_from(bytes.len()).ok()?.checked_mul(8)?, bytes)
    }

    /// Only a facility and a number were printed. The bytes are both, big-endian, 4 each: good for comparing, not a
    /// card format.
    pub fn from_facility_number(facility: u32, number: u32) -> Self {
        let mut bytes = [0; IDENTIFIER_MAX_BYTES];
        for (place, byte) in bytes.iter_mut().zip(facility.to_be_bytes().into_iter().chain(number.to_be_bytes())) {
            *place = byte;
        }
        Self { bits: 64, len: 8, bytes, facility_number: Some((facility, number)) }
    }

    pub(crate) fn with_facility_number(mut self, facility: u32, number: u32) -> Self {
        self.facility_number = Some((facility, number));
        self
    }

    /// How many bits the identifier has.
    pub fn bits(&self) -> u16 {
        self.bits
    }

    /// The bits, left-justified.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The facility and number that the reader printed as such, if it did.
    pub fn facility_number(&self) -> Option<(u32, u32)> {
        self.facility_number
    }

    /// Whether the bytes are only that pair (see [`Self::from_facility_number`]).
    pub(super) fn is_facility_number_only(&self) -> bool {
        let pair = self.facility_number.map(|(facility, number)| Self::from_facility_number(facility, number));
        pair.as_ref() == Some(self)
    }

    /// A 4-byte identifier that begins with 08 is drawn at random by the card for each session (ISO/IEC 14443-3,
    /// 6.5.4): it identifies nobody.
    pub fn is_random_uid(&self) -> bool {
        self.bits == 32 && self.bytes.first() == Some(&0x08)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({} bits, redacted)", self.bits)
    }
}

/// Why a line is no reading. Never holds the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Longer than [`LINE_MAX_BYTES`](super::LINE_MAX_BYTES).
    TooLong,
    /// Not in the form of this profile.
    Form,
    /// In the form, but a field is out of its range (facility above 255, number above 65535 …).
    Range,
    /// The parts of the line contradict each other: noise, or another firmware than the settings say.
    Check,
    /// A random identifier: the card hides its own.
    RandomUid,
    /// The reader answered with an error code.
    ReaderError,
}

/// Reads hexadecimal digits into bytes; `None` for an odd count, another character or more than 16 bytes.
pub(crate) fn hex(text: &[u8]) -> Option<([u8; IDENTIFIER_MAX_BYTES], usize)> {
    let mut bytes = [0; IDENTIFIER_MAX_BYTES];
    if !text.len().is_multiple_of(2) || text.len() / 2 > IDENTIFIER_MAX_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some((bytes, text.len() / 2))
}
