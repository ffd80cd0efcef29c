//! What somebody shows at a point: the value as it stands on the link, and its way from and to a card number. Owns the
//! formats of acs-link; never prints a value. May import `domain`'s cards.
//!
//! | format | value | a card |
//! |---|---|---|
//! | `wiegand26` | the 24 significant bits, 6 hexadecimal digits | yes |
//! | `wiegand34` | the 32 significant bits, 8 hexadecimal digits | yes |
//! | `uid-hex` | the chip's UID, first byte first, 8 to 20 hexadecimal digits | yes |
//! | `qr`, `pin`, `biometric-ref`, `vendor` | the peer's own | no: [`NotCard::Kind`] |

use std::fmt;

use domain::card::{self, CardError, CardFormat, CardNumber};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::token::{Misfit, chars_at_most, is_xml_char};

/// Most characters of a value.
pub const CREDENTIAL_MAX_CHARS: usize = 512;

/// How a credential's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredFormat {
    /// 24 significant bits in hexadecimal.
    Wiegand26,
    /// 32 significant bits in hexadecimal.
    Wiegand34,
    /// A chip's UID in hexadecimal, first byte first.
    UidHex,
    /// The text of a QR code.
    Qr,
    /// A PIN.
    Pin,
    /// A reference to a biometric template, never the template.
    BiometricRef,
    /// The peer's own.
    Vendor,
}

impl CredFormat {
    /// All formats.
    pub const ALL: [Self; 7] =
        [Self::Wiegand26, Self::Wiegand34, Self::UidHex, Self::Qr, Self::Pin, Self::BiometricRef, Self::Vendor];

    /// As the link writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wiegand26 => "wiegand26",
            Self::Wiegand34 => "wiegand34",
            Self::UidHex => "uid-hex",
            Self::Qr => "qr",
            Self::Pin => "pin",
            Self::BiometricRef => "biometric-ref",
            Self::Vendor => "vendor",
        }
    }
}

/// Why a credential is not a card number, or a card number has no format on the link. Never contains the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotCard {
    /// Not a kind of card at all.
    #[error("a credential of the format {} is not a card number", .0.as_str())]
    Kind(CredFormat),
    /// Not of the form that the format asks for.
    #[error("a credential of the format {} looks like {like}", .format.as_str())]
    Form {
        /// The format given.
        format: CredFormat,
        /// An example.
        like: &'static str,
    },
    /// The number itself is wrong.
    #[error(transparent)]
    Number(#[from] CardError),
    /// A card of 37 bits: acs-link 1.0 has no format for it.
    #[error("a card of 37 bits cannot be told to this peer: acs-link 1.0 has no format for it")]
    NoFormat,
}

/// What was shown: a format and a value of 1 to 512 characters. Wiped when dropped; `Debug` shows the format only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Credential {
    #[zeroize(skip)]
    format: CredFormat,
    value: Box<str>,
}

impl Credential {
    /// Takes a value of 1 to 512 characters that XML allows.
    pub fn new(format: CredFormat, value: &str) -> Result<Self, Misfit> {
        let fits = !value.is_empty() && chars_at_most(value, CREDENTIAL_MAX_CHARS) && value.chars().all(is_xml_char);
        if !fits {
            return Err(Misfit("a credential of 1 to 512 characters that XML allows"));
        }
        Ok(Self { format, value: value.into() })
    }

    /// The format.
    pub const fn format(&self) -> CredFormat {
        self.format
    }

    /// The value in clear. Never log it.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// The card, if the credential is one.
    pub fn card(&self) -> Result<CardNumber, NotCard> {
        match self.format {
            CredFormat::Wiegand26 => self.wiegand(CardFormat::Wiegand26, 6, "4C1A2B"),
            CredFormat::Wiegand34 => self.wiegand(CardFormat::Wiegand34, 8, "03E84C1A"),
            CredFormat::UidHex => {
                if !self.value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(NotCard::Form { format: self.format, like: "04A1B2C3D4E5F6" });
                }
                Ok(card::parse(CardFormat::UidHex, &self.value)?)
            }
            CredFormat::Qr | CredFormat::Pin | CredFormat::BiometricRef | CredFormat::Vendor => {
                Err(NotCard::Kind(self.format))
            }
        }
    }

    fn wiegand(&self, format: CardFormat, digits: usize, like: &'static str) -> Result<CardNumber, NotCard> {
        let form = NotCard::Form { format: self.format, like };
        if self.value.len() != digits || !self.value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(form);
        }
        let mut decimal = u32::from_str_radix(&self.value, 16).map_err(|_| form)?.to_string();
        let number = card::parse(format, &decimal);
        decimal.zeroize();
        Ok(number?)
    }

    /// The credential that stands for a card.
    pub fn of_card(number: &CardNumber) -> Result<Self, NotCard> {
        let mut ways = number.reveal_as();
        let made = ways.iter().find_map(|(format, text)| match format {
            CardFormat::Wiegand26 => hex(text, 6).map(|value| (CredFormat::Wiegand26, value)),
            CardFormat::Wiegand34 => hex(text, 8).map(|value| (CredFormat::Wiegand34, value)),
            CardFormat::UidHex => Some((CredFormat::UidHex, text.clone())),
            CardFormat::Wiegand37 | CardFormat::UidHexReversed | CardFormat::FacilityNumber => None,
        });
        for (_, text) in &mut ways {
            text.zeroize();
        }
        let (format, value) = made.ok_or(NotCard::NoFormat)?;
        Ok(Self { format, value: value.into_boxed_str() })
    }
}

/// Decimal to hexadecimal of `digits` digits; `None` if it is not one number.
fn hex(decimal: &str, digits: usize) -> Option<String> {
    let value: u32 = decimal.parse().ok()?;
    Some(format!("{value:0digits$X}"))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, redacted)", self.format.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: CredFormat, value: &str) -> Result<CardNumber, NotCard> {
        Credential::new(format, value).unwrap().card()
    }

    #[test]
    fn hexadecimal_bits_are_the_card_that_a_wiegand_reader_sends() {
        let card = of(CredFormat::Wiegand26, "4C1A2B").unwrap();
        assert_eq!(Ok(&card), card::parse(CardFormat::Wiegand26, "76,6699").as_ref());
        let card = of(CredFormat::Wiegand34, "03e8ffff").unwrap();
        assert_eq!(Ok(&card), card::parse(CardFormat::Wiegand34, "1000,65535").as_ref());
        let card = of(CredFormat::UidHex, "04A1B2C3D4E5F6").unwrap();
        assert_eq!(card.reveal(), "uid:04A1B2C3D4E5F6");
    }

    #[test]
    fn cards_survive_the_round_trip_and_37_bits_are_refused() {
        for (format, text) in [
            (CardFormat::Wiegand26, "76,6699"),
            (CardFormat::Wiegand26, "0"),
            (CardFormat::Wiegand34, "65535,65535"),
            (CardFormat::Wiegand34, "1"),
            (CardFormat::UidHex, "04A1B2C3D4E5F6"),
            (CardFormat::UidHex, "00000000"),
        ] {
            let number = card::parse(format, text).unwrap();
            assert_eq!(Credential::of_card(&number).unwrap().card(), Ok(number), "{format} {text}");
        }
        let number = card::parse(CardFormat::Wiegand37, "17179869183").unwrap();
        assert_eq!(Credential::of_card(&number), Err(NotCard::NoFormat));
    }

    #[test]
    fn what_is_not_a_card_says_so_without_repeating_it() {
        for format in [CredFormat::Qr, CredFormat::Pin, CredFormat::BiometricRef, CredFormat::Vendor] {
            assert_eq!(of(format, "4C1A2B"), Err(NotCard::Kind(format)));
        }
        for (format, value) in [
            (CredFormat::Wiegand26, "9F8E7"),
            (CredFormat::Wiegand26, "+F8E7D"),
            (CredFormat::Wiegand26, "09F8E7D"),
            (CredFormat::Wiegand34, "9F8E7D"),
            (CredFormat::UidHex, "14A1B2C3D4E5F"),
            (CredFormat::UidHex, "04:A1:B2:C3"),
            (CredFormat::UidHex, "14A1B2"),
            (CredFormat::UidHex, "Ж"),
        ] {
            let error = of(format, value).unwrap_err().to_string();
            assert!(!error.contains(value), "{error}");
        }
        assert_eq!(format!("{:?}", Credential::new(CredFormat::Pin, "1234").unwrap()), "Credential(pin, redacted)");
        assert!(Credential::new(CredFormat::Qr, "").is_err() && Credential::new(CredFormat::Qr, "\u{1}").is_err());
    }
}
