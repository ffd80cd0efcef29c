//! Card numbers: how the same card, read by different readers or typed by a person, becomes one canonical number,
//! and how that number becomes a pseudonym.
//!
//! Owns the number formats and the keyed hash. Never prints a number: `Debug` and `Display` redact, and
//! [`CardNumber::reveal`] is for the enrolment desk only. May import `ids`.
//!
//! # Canonical form
//! A number is a family and its significant bits, parity removed:
//!
//! | family      | significant bits                          | written by [`CardNumber::reveal`] |
//! |-------------|-------------------------------------------|-----------------------------------|
//! | Wiegand 26  | 8 facility, 16 number (H10301)            | `w26:90,324`                      |
//! | Wiegand 34  | 16 facility, 16 number                    | `w34:1000,324`                    |
//! | Wiegand 37  | 35 (H10302), or 16 + 19 of them (H10304)  | `w37:17179869183`                 |
//! | UID         | 4, 5, 7, 8 or 10 bytes, first byte first  | `uid:04A1B2C3D4E5F6`              |
//!
//! H10302 and H10304 differ only in how people write the same 35 bits and have the same parity, so a 37-bit reading
//! needs no choice: `17179869183` is read as H10302 and `32767,524287` as H10304, and both are the same card.
//! A 34-bit reading and a 4-byte UID are different families even where a reader sends the UID inside a 34-bit frame:
//! such a reader is set up to send the UID itself, or its cards are enrolled as Wiegand 34.
//!
//! # What the pseudonym protects, and what not
//! [`CardKey::id`] is HMAC-SHA256 cut to 128 bits. Card numbers have little entropy (24 bits for Wiegand 26), so
//! whoever has the key can try them all; without the key the id says nothing. The key therefore stays on the site's
//! own machines (the one that enrols cards and its gateways) and never travels with events, policy or backups of
//! them.
//!
//! Where a device keeps a list of cards of its own, numbers must be known again: [`seal`].

pub mod seal;
mod wiegand;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::CardId;

pub use seal::{SEAL_OVERHEAD_BYTES, SealError, SealKey, SealedBytes, SealedNumber};

/// Longest UID, in bytes: a triple-size ISO/IEC 14443-3 UID.
pub const UID_MAX_BYTES: usize = 10;

/// Longest text that [`parse`] looks at, in bytes.
pub const TEXT_MAX_BYTES: usize = 64;

/// How a card number is written in a file or typed by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardFormat {
    /// 26 bits (H10301): `facility,number`, or the 24 significant bits as one decimal number.
    Wiegand26,
    /// 34 bits: `facility,number`, or the 32 significant bits as one decimal number.
    Wiegand34,
    /// 37 bits: `facility,number` (H10304), or the 35 significant bits as one decimal number (H10302).
    Wiegand37,
    /// The chip's UID in hexadecimal, first byte first, as ISO/IEC 14443-3 sends it.
    UidHex,
    /// The chip's UID in hexadecimal, last byte first, as some desktop readers print it.
    UidHexReversed,
    /// `facility,number` as printed on cards: Wiegand 26 if it fits (255,65535), else 34 (65535,65535), else 37.
    FacilityNumber,
}

impl CardFormat {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Wiegand26, Self::Wiegand34, Self::Wiegand37, Self::UidHex, Self::UidHexReversed, Self::FacilityNumber];

    /// The code used in files and on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wiegand26 => "wiegand26",
            Self::Wiegand34 => "wiegand34",
            Self::Wiegand37 => "wiegand37",
            Self::UidHex => "uid_hex",
            Self::UidHexReversed => "uid_hex_reversed",
            Self::FacilityNumber => "facility_number",
        }
    }

    /// Reads a code; capitals, and `-`, blank or nothing in place of `_`, are accepted (`UID-hex`, `Wiegand 26`).
    pub fn parse(code: &str) -> Option<Self> {
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let wanted = plain(code);
        Self::ALL.into_iter().find(|format| plain(format.as_str()) == wanted).or(match wanted.as_str() {
            "uid" => Some(Self::UidHex),
            "uidreversed" => Some(Self::UidHexReversed),
            "facility" => Some(Self::FacilityNumber),
            _ => None,
        })
    }
}

impl fmt::Display for CardFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text or reading is not a card number. Never contains the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CardError {
    /// Nothing was written.
    #[error("the card number is empty")]
    Empty,
    /// Longer than [`TEXT_MAX_BYTES`].
    #[error("the card number is longer than {TEXT_MAX_BYTES} characters")]
    TooLong,
    /// Not of the form that the format asks for.
    #[error("a card number of the format {format} looks like {like}")]
    Form {
        /// The format asked for.
        format: CardFormat,
        /// An example.
        like: &'static str,
    },
    /// A part is larger than its bits allow.
    #[error("{part} is at most {max} in the format {format}")]
    Range {
        /// The format asked for.
        format: CardFormat,
        /// `the facility code` or `the number`.
        part: &'static str,
        /// Largest value.
        max: u64,
    },
    /// A UID has 4, 5, 7, 8 or 10 bytes.
    #[error("a card's UID has 4, 5, 7, 8 or 10 bytes, not {0}")]
    UidLength(usize),
    /// A parity bit of the reading is wrong: a bad read or a format of other meaning.
    #[error("the reading's parity is wrong")]
    Parity,
    /// The reading has a number of bits that means nothing here.
    #[error("a reading of {0} bits is of no known format")]
    BitCount(u16),
    /// Fewer bytes than the number of bits needs.
    #[error("a reading of {bits} bits came in {bytes} bytes")]
    Short {
        /// Bits announced.
        bits: u16,
        /// Bytes present.
        bytes: usize,
    },
}

/// The family of a number: the first byte of what is hashed, so it must never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Zeroize)]
#[repr(u8)]
enum Family {
    Wiegand26 = 26,
    Wiegand34 = 34,
    Wiegand37 = 37,
    Uid = 1,
}

impl Family {
    /// The family that is written so.
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            26 => Some(Self::Wiegand26),
            34 => Some(Self::Wiegand34),
            37 => Some(Self::Wiegand37),
            1 => Some(Self::Uid),
            _ => None,
        }
    }
}

/// A card's number in canonical form. Printing it shows the family only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CardNumber {
    family: Family,
    /// Bytes of `bytes` in use; the rest is zero. Wiegand values are big-endian, 8 bytes.
    len: u8,
    bytes: [u8; UID_MAX_BYTES],
}

impl CardNumber {
    fn wiegand(family: Family, value: u64) -> Self {
        let mut bytes = [0; UID_MAX_BYTES];
        bytes[..8].copy_from_slice(&value.to_be_bytes());
        Self { family, len: 8, bytes }
    }

    fn value(&self) -> u64 {
        self.bytes[..8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }

    /// Whether it is of a form that this module makes: of its family's length and range, zeros behind it.
    fn is_canonical(&self) -> bool {
        let rest = usize::from(self.len);
        let sound = match self.family {
            Family::Wiegand26 => self.len == 8 && self.value() < 1 << 24,
            Family::Wiegand34 => self.len == 8 && self.value() < 1 << 32,
            Family::Wiegand37 => self.len == 8 && self.value() < 1 << 35,
            Family::Uid => matches!(self.len, 4 | 5 | 7 | 8 | 10),
        };
        sound && self.bytes[rest..].iter().all(|byte| *byte == 0)
    }

    /// The number in clear, for the enrolment desk and the owner of the card only. Never log it.
    pub fn reveal(&self) -> String {
        let value = self.value();
        match self.family {
            Family::Wiegand26 => format!("w26:{},{}", value >> 16, value & 0xFFFF),
            Family::Wiegand34 => format!("w34:{},{}", value >> 16, value & 0xFFFF),
            Family::Wiegand37 => format!("w37:{value}"),
            Family::Uid => {
                let uid = &self.bytes[..usize::from(self.len)];
                uid.iter().fold(String::from("uid:"), |text, byte| text + &format!("{byte:02X}"))
            }
        }
    }

    /// The same card in every way it may be written, for comparing with what is printed on it at enrolment:
    /// each text gives this very number back when [`parse`]d with its format. In clear: see [`CardNumber::reveal`].
    pub fn reveal_as(&self) -> Vec<(CardFormat, String)> {
        let value = self.value();
        let pair = |low: u32| format!("{},{}", value >> low, value & ((1 << low) - 1));
        match self.family {
            Family::Wiegand26 => vec![
                (CardFormat::Wiegand26, value.to_string()),
                (CardFormat::Wiegand26, pair(16)),
                (CardFormat::FacilityNumber, pair(16)),
            ],
            Family::Wiegand34 => {
                let mut all = vec![(CardFormat::Wiegand34, value.to_string()), (CardFormat::Wiegand34, pair(16))];
                if value >> 16 > 0xFF {
                    all.push((CardFormat::FacilityNumber, pair(16)));
                }
                all
            }
            Family::Wiegand37 => {
                let mut all = vec![(CardFormat::Wiegand37, value.to_string()), (CardFormat::Wiegand37, pair(19))];
                if value & 0x7_FFFF > 0xFFFF {
                    all.push((CardFormat::FacilityNumber, pair(19)));
                }
                all
            }
            Family::Uid => {
                let hex = |bytes: &mut dyn Iterator<Item = &u8>| bytes.map(|byte| format!("{byte:02X}")).collect();
                let uid = &self.bytes[..usize::from(self.len)];
                vec![
                    (CardFormat::UidHex, hex(&mut uid.iter())),
                    (CardFormat::UidHexReversed, hex(&mut uid.iter().rev())),
                ]
            }
        }
    }

    /// The reading that a reader would send for this card: bits and left-justified bytes, as OSDP RAW carries them.
    pub fn to_bits(&self) -> (u16, Vec<u8>) {
        let framed = |bits: u32, even: u32, odd: u32| wiegand::frame(self.value(), bits, even, odd);
        match self.family {
            Family::Wiegand26 => framed(26, 12, 12),
            Family::Wiegand34 => framed(34, 16, 16),
            Family::Wiegand37 => framed(37, 18, 18),
            Family::Uid => (u16::from(self.len) * 8, self.bytes[..usize::from(self.len)].to_vec()),
        }
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardNumber({:?}, redacted)", self.family)
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card number (redacted)")
    }
}

/// What may stand between facility and number: lists of cards come with any of them.
const PARTED: [char; 4] = [',', ':', '/', '-'];

/// Reads a number written in `format`. Blanks around it are ignored; facility and number may be parted by `,`, `:`, `/`
/// or `-`, UID bytes by `:`, `-` or blanks.
pub fn parse(format: CardFormat, text: &str) -> Result<CardNumber, CardError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CardError::Empty);
    }
    if text.len() > TEXT_MAX_BYTES {
        return Err(CardError::TooLong);
    }
    let wiegand = |family, facility_bits, number_bits, like| {
        let value = decimal(format, text, facility_bits, number_bits, like)?;
        Ok(CardNumber::wiegand(family, value))
    };
    match format {
        CardFormat::Wiegand26 => wiegand(Family::Wiegand26, 8, 16, "90,324"),
        CardFormat::Wiegand34 => wiegand(Family::Wiegand34, 16, 16, "1000,324"),
        CardFormat::Wiegand37 => wiegand(Family::Wiegand37, 16, 19, "1000,324"),
        CardFormat::UidHex => from_uid(uid_bytes(format, text)?.as_slice()),
        CardFormat::UidHexReversed => {
            let mut uid = uid_bytes(format, text)?;
            uid.reverse();
            from_uid(&uid)
        }
        CardFormat::FacilityNumber => facility_number(text),
    }
}

/// Takes a reading as OSDP RAW carries it: `bits` bits, the first one the highest of `bytes[0]`.
/// 26, 34 and 37 bits are Wiegand with its parity checked; 32, 40, 56, 64 and 80 bits are a UID.
/// Bits behind the last one and further bytes are ignored, as readers pad with anything.
pub fn from_bits(bits: u16, bytes: &[u8]) -> Result<CardNumber, CardError> {
    if bytes.len() < usize::from(bits.div_ceil(8)) {
        return Err(CardError::Short { bits, bytes: bytes.len() });
    }
    let unframed = |family, even, odd| {
        let value = wiegand::unframe(bytes, u32::from(bits), even, odd).ok_or(CardError::Parity)?;
        Ok(CardNumber::wiegand(family, value))
    };
    match bits {
        26 => unframed(Family::Wiegand26, 12, 12),
        34 => unframed(Family::Wiegand34, 16, 16),
        37 => unframed(Family::Wiegand37, 18, 18),
        32 | 40 | 56 | 64 | 80 => from_uid(&bytes[..usize::from(bits / 8)]),
        other => Err(CardError::BitCount(other)),
    }
}

/// Takes a chip's UID, first byte first: 4, 7 or 10 bytes of ISO/IEC 14443-3, 5 of EM4100, 8 of ISO/IEC 15693.
pub fn from_uid(uid: &[u8]) -> Result<CardNumber, CardError> {
    let len = match uid.len() {
        len @ (4 | 5 | 7 | 8 | 10) => len,
        len => return Err(CardError::UidLength(len)),
    };
    let mut bytes = [0; UID_MAX_BYTES];
    bytes[..len].copy_from_slice(uid);
    Ok(CardNumber { family: Family::Uid, len: len as u8, bytes })
}

fn decimal(
    format: CardFormat,
    text: &str,
    facility_bits: u32,
    number_bits: u32,
    like: &'static str,
) -> Result<u64, CardError> {
    let digits = |part: &str, name, bits: u32| {
        let part = part.trim();
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CardError::Form { format, like });
        }
        let max = (1_u64 << bits) - 1;
        let value: u64 = part.parse().unwrap_or(u64::MAX);
        if value > max { Err(CardError::Range { format, part: name, max }) } else { Ok(value) }
    };
    match text.split_once(PARTED) {
        Some((facility, number)) => {
            let facility = digits(facility, "the facility code", facility_bits)?;
            Ok((facility << number_bits) | digits(number, "the number", number_bits)?)
        }
        None => digits(text, "the number", facility_bits + number_bits),
    }
}

fn facility_number(text: &str) -> Result<CardNumber, CardError> {
    let format = CardFormat::FacilityNumber;
    if !text.contains(PARTED) {
        return Err(CardError::Form { format, like: "90,324" });
    }
    let value = decimal(format, text, 16, 19, "90,324")?;
    let (facility, number) = (value >> 19, value & 0x7_FFFF);
    Ok(match (facility, number) {
        (..=0xFF, ..=0xFFFF) => CardNumber::wiegand(Family::Wiegand26, facility << 16 | number),
        (_, ..=0xFFFF) => CardNumber::wiegand(Family::Wiegand34, facility << 16 | number),
        _ => CardNumber::wiegand(Family::Wiegand37, value),
    })
}

fn uid_bytes(format: CardFormat, text: &str) -> Result<Vec<u8>, CardError> {
    let like = match format {
        CardFormat::UidHexReversed => "F6E5D4C3B2A104",
        _ => "04A1B2C3D4E5F6",
    };
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| !matches!(c, ':' | '-' | ' ')) {
        digits.push(c.to_digit(16).ok_or(CardError::Form { format, like })? as u8);
    }
    if !digits.len().is_multiple_of(2) {
        return Err(CardError::Form { format, like });
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The site's key that turns card numbers into pseudonyms. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CardKey([u8; 32]);

impl CardKey {
    /// Takes 32 random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The card's pseudonym: the first 16 bytes of HMAC-SHA256 over `"tapward card 1"`, the family and the number.
    pub fn id(&self, number: &CardNumber) -> CardId {
        let body = &number.bytes[..usize::from(number.len)];
        CardId(keyed_hash(&self.0, &[b"tapward card 1", &[number.family as u8, number.len], body]))
    }
}

impl CardKey {
    /// A keyed digest of something else that must not be guessed from it; `context` names the one use.
    pub fn digest(&self, context: &'static str, bytes: &[u8]) -> [u8; 16] {
        keyed_hash(&self.0, &[b"tapward digest 1", &(context.len() as u64).to_be_bytes(), context.as_bytes(), bytes])
    }
}

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey(redacted)")
    }
}

/// HMAC-SHA256 (RFC 2104) of `parts` after one another, cut to 128 bits as its section 5 allows. The caller parts
/// fields by fixed lengths.
pub(crate) fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    // A key shorter than the block is padded with zeros by HMAC itself; giving the whole block cannot fail.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    block.zeroize();
    for part in parts {
        mac.update(part);
    }
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    let mut cut = [0; 16];
    cut.copy_from_slice(&full[..16]);
    cut
}

#[cfg(test)]
mod tests;
