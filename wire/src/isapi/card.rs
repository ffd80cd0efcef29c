//! How a device writes card numbers. It depends on its readers and settings, so each device is told which form it has.

use domain::card::{self, CardError, CardFormat, CardNumber};
use zeroize::Zeroizing;

use crate::json::hex;

/// How a device writes the numbers of its cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CardForm {
    /// The chip's UID as one decimal number, the first byte highest: terminals with their own Mifare reader.
    #[default]
    UidDecimal,
    /// The chip's UID in hexadecimal.
    UidHex,
    /// 24 bits of a 26-bit reader as one decimal number.
    Wiegand26,
    /// 32 bits of a 34-bit reader as one decimal number.
    Wiegand34,
}

impl CardForm {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::UidDecimal, Self::UidHex, Self::Wiegand26, Self::Wiegand34];

    /// The code used in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UidDecimal => "uid_decimal",
            Self::UidHex => "uid_hex",
            Self::Wiegand26 => "wiegand26",
            Self::Wiegand34 => "wiegand34",
        }
    }

    /// Reads a code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == code)
    }

    /// Reads a number as the device wrote it. `reversed`: the device has the bytes of a UID last byte first.
    ///
    /// # Errors
    /// When it is not a number of this form.
    pub fn read(self, text: &str, reversed: bool) -> Result<CardNumber, CardError> {
        let text = text.trim();
        match self {
            Self::Wiegand26 => card::parse(CardFormat::Wiegand26, text),
            Self::Wiegand34 => card::parse(CardFormat::Wiegand34, text),
            Self::UidHex if reversed => card::parse(CardFormat::UidHexReversed, text),
            Self::UidHex => card::parse(CardFormat::UidHex, text),
            Self::UidDecimal => {
                let form = CardError::Form { format: CardFormat::UidHex, like: "3735928559" };
                if text.is_empty() {
                    return Err(CardError::Empty);
                }
                if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(form);
                }
                let value: u64 = text.parse().map_err(|_| form)?;
                let bytes = value.to_be_bytes();
                // 4 bytes of the usual chips; 7 of the newer ones; 8 where it is longer still.
                let uid = match value {
                    0..=0xFFFF_FFFF => &bytes[4..],
                    0x1_0000_0000..=0xFF_FFFF_FFFF_FFFF => &bytes[1..],
                    _ => &bytes[..],
                };
                let mut uid = Zeroizing::new(uid.to_vec());
                if reversed {
                    uid.reverse();
                }
                card::from_uid(&uid)
            }
        }
    }

    /// Writes a number as the device has it; `None` if the card is of a kind that such a device cannot have.
    pub fn write(self, number: &CardNumber, reversed: bool) -> Option<Zeroizing<String>> {
        let (bits, bytes) = number.to_bits();
        let bytes = Zeroizing::new(bytes);
        match self {
            Self::Wiegand26 | Self::Wiegand34 => {
                let format = if self == Self::Wiegand26 { CardFormat::Wiegand26 } else { CardFormat::Wiegand34 };
                let mut forms = number.reveal_as().into_iter().map(|(format, text)| (format, Zeroizing::new(text)));
                // The first text of a format is the one decimal number.
                forms.find(|(found, _)| *found == format).map(|(_, text)| text)
            }
            Self::UidHex | Self::UidDecimal => {
                if matches!(bits, 26 | 34 | 37) {
                    return None;
                }
                let mut uid = bytes;
                if reversed {
                    uid.reverse();
                }
                if self == Self::UidHex {
                    return Some(Zeroizing::new(hex(&uid).to_ascii_uppercase()));
                }
                if uid.len() > 8 {
                    return None;
                }
                let value = uid.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
                let text = Zeroizing::new(value.to_string());
                // A UID that begins with zeros would come back shorter, as another card.
                self.read(&text, reversed).is_ok_and(|read| read == *number).then_some(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_written() {
        let uid = |text| card::parse(CardFormat::UidHex, text).unwrap();
        for number in [uid("04A1B2C3"), uid("04A1B2C3D4E5F6"), uid("E004010012345678"), uid("000000FF")] {
            for form in [CardForm::UidDecimal, CardForm::UidHex] {
                for reversed in [false, true] {
                    let text = form.write(&number, reversed).unwrap();
                    assert_eq!(form.read(&text, reversed).unwrap(), number, "{form:?} {reversed}");
                }
            }
        }
        assert_eq!(&*CardForm::UidDecimal.write(&uid("DEADBEEF"), false).unwrap(), "3735928559");
        assert_eq!(&*CardForm::UidDecimal.write(&uid("EFBEADDE"), true).unwrap(), "3735928559");
        let wiegand = card::parse(CardFormat::Wiegand26, "90,324").unwrap();
        assert_eq!(&*CardForm::Wiegand26.write(&wiegand, false).unwrap(), "5898564");
        assert_eq!(CardForm::Wiegand26.read("5898564", false).unwrap(), wiegand);
        assert!(CardForm::UidDecimal.write(&wiegand, false).is_none());
        assert!(CardForm::Wiegand34.write(&wiegand, false).is_none());
        assert!(CardForm::Wiegand26.write(&uid("04A1B2C3"), false).is_none());
        assert_eq!(
            CardForm::UidDecimal.read("0012345678", false).unwrap(),
            CardForm::UidDecimal.read("12345678", false).unwrap()
        );
    }

    #[test]
    fn a_uid_that_would_become_another_card_is_not_written() {
        // 7 bytes that begin with three zero bytes are a 4-byte number in decimal.
        let number = card::parse(CardFormat::UidHex, "00000004A1B2C3").unwrap();
        assert!(CardForm::UidDecimal.write(&number, false).is_none());
        for bad in ["", "-1", "12a", "99999999999999999999", "карта"] {
            assert!(CardForm::UidDecimal.read(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn codes_round_trip() {
        for form in CardForm::ALL {
            assert_eq!(CardForm::parse(form.as_str()), Some(form));
        }
    }
}
