//! Card codes. The service knows a card by exactly eight hexadecimal digits, 32 bits; what they mean depends on the
//! readers of that system, so it is a setting.

use std::fmt;

use domain::card::{self, CardError, CardFormat, CardNumber};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What the 32 bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CardForm {
    /// A Wiegand number: 26 bits if the first byte is zero, else 34.
    #[default]
    Wiegand,
    /// A UID of four bytes, first byte first.
    Uid,
    /// A UID of four bytes, last byte first.
    UidReversed,
}

impl CardForm {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Wiegand, Self::Uid, Self::UidReversed];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wiegand => "wiegand",
            Self::Uid => "uid",
            Self::UidReversed => "uid_reversed",
        }
    }

    /// Reads what [`CardForm::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }
}

/// A card's code. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Code(u32);

impl Code {
    /// Reads one to eight hexadecimal digits: some parts of the service leave out zeros in front.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = !text.is_empty() && text.len() <= 8 && text.bytes().all(|c| c.is_ascii_hexdigit());
        u32::from_str_radix(text, 16).ok().filter(|_| digits).map(Self)
    }

    /// Eight capital digits.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{:08X}", self.0))
    }

    /// The card's number.
    ///
    /// # Errors
    /// None that 32 bits could cause; kept because numbers are made by parsing.
    pub fn number(&self, form: CardForm) -> Result<CardNumber, CardError> {
        let (format, text) = match form {
            CardForm::Wiegand if self.0 >> 24 == 0 => (CardFormat::Wiegand26, Zeroizing::new(self.0.to_string())),
            CardForm::Wiegand => (CardFormat::Wiegand34, Zeroizing::new(self.0.to_string())),
            CardForm::Uid => (CardFormat::UidHex, self.text()),
            CardForm::UidReversed => (CardFormat::UidHexReversed, self.text()),
        };
        card::parse(format, &text)
    }

    /// The code of a card; `None` if its number does not fit: a longer UID, a 37-bit number, or a number of the other
    /// kind than this system has.
    pub fn of(number: &CardNumber, form: CardForm) -> Option<Self> {
        let mut texts = number.reveal_as();
        let code = texts.iter().find_map(|(format, text)| match (form, format) {
            (CardForm::Wiegand, CardFormat::Wiegand26 | CardFormat::Wiegand34) => text.parse().ok().map(Self),
            (CardForm::Uid, CardFormat::UidHex) | (CardForm::UidReversed, CardFormat::UidHexReversed) => {
                (text.len() == 8).then(|| Self::parse(text)).flatten()
            }
            _ => None,
        });
        texts.iter_mut().for_each(|(_, text)| text.zeroize());
        // A 34-bit number with no more than 24 bits would come back as a 26-bit one: another card.
        code.filter(|code| code.number(form).as_ref() == Ok(number))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(format: CardFormat, text: &str) -> CardNumber {
        card::parse(format, text).unwrap()
    }

    #[test]
    fn codes_are_eight_digits_and_stay_hidden() {
        let code = Code::parse("5a0144").unwrap();
        assert_eq!(code.text().as_str(), "005A0144");
        assert_eq!(format!("{code:?}"), "Code(redacted)");
        for bad in ["", "0x12", "+12", "123456789", "12 4", "Я"] {
            assert_eq!(Code::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_form_names_the_card_it_means() {
        let code = Code::parse("005A0144").unwrap();
        assert_eq!(code.number(CardForm::Wiegand), Ok(number(CardFormat::FacilityNumber, "90,324")));
        let code = Code::parse("04A1B2C3").unwrap();
        assert_eq!(code.number(CardForm::Wiegand), Ok(number(CardFormat::Wiegand34, "1185,45763")));
        assert_eq!(code.number(CardForm::Uid), Ok(number(CardFormat::UidHex, "04A1B2C3")));
        assert_eq!(code.number(CardForm::UidReversed), Ok(number(CardFormat::UidHex, "C3B2A104")));
    }

    #[test]
    fn a_number_goes_there_and_back_or_not_at_all() {
        let fits = [
            (CardForm::Wiegand, CardFormat::Wiegand26, "90,324"),
            (CardForm::Wiegand, CardFormat::Wiegand34, "1000,324"),
            (CardForm::Uid, CardFormat::UidHex, "04A1B2C3"),
            (CardForm::UidReversed, CardFormat::UidHex, "04A1B2C3"),
        ];
        for (form, format, text) in fits {
            let number = number(format, text);
            let code = Code::of(&number, form).unwrap();
            assert_eq!(code.number(form), Ok(number), "{form:?} {text}");
        }
        let not = [
            (CardForm::Wiegand, CardFormat::Wiegand34, "90,324"),
            (CardForm::Wiegand, CardFormat::Wiegand37, "17179869183"),
            (CardForm::Wiegand, CardFormat::UidHex, "04A1B2C3"),
            (CardForm::Uid, CardFormat::UidHex, "04A1B2C3D4E5F6"),
            (CardForm::Uid, CardFormat::Wiegand26, "90,324"),
        ];
        for (form, format, text) in not {
            assert_eq!(Code::of(&number(format, text), form), None, "{form:?} {text}");
        }
    }
}
