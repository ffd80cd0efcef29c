//! From bytes to text and back, by the name in MSH-18 (HL7 table 0211 and what people write instead). A text that is not
//! what its charset says is refused, not repaired.

use encoding_rs::{Encoding, ISO_8859_2, ISO_8859_5, WINDOWS_1251};

use super::error::Hl7Error;

/// The charsets that are spoken. All of them write ASCII as ASCII, so the first segment can be read before its charset
/// is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// What the standard supposes when nothing is said.
    Ascii,
    /// UTF-8.
    #[default]
    Utf8,
    /// ISO 8859-1, western Europe.
    Latin1,
    /// ISO 8859-2, central Europe.
    Latin2,
    /// ISO 8859-5, Cyrillic.
    Cyrillic,
    /// windows-1251: not in the standard's table, but spoken.
    Windows1251,
}

impl Charset {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ascii, Self::Utf8, Self::Latin1, Self::Latin2, Self::Cyrillic, Self::Windows1251];

    /// As MSH-18 names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII",
            Self::Utf8 => "UNICODE UTF-8",
            Self::Latin1 => "8859/1",
            Self::Latin2 => "8859/2",
            Self::Cyrillic => "8859/5",
            Self::Windows1251 => "WINDOWS-1251",
        }
    }

    /// Reads a name, whatever its case and signs between its letters and digits. `UNICODE` alone is taken for UTF-8:
    /// nothing else of Unicode can follow an `MSH` in single bytes.
    pub fn parse(name: &str) -> Option<Self> {
        let name: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .take(32)
            .collect();
        Some(match name.as_str() {
            "ASCII" | "USASCII" | "ISOIR6" | "ISO646" => Self::Ascii,
            "UNICODEUTF8" | "UTF8" | "UNICODE" => Self::Utf8,
            "88591" | "ISO88591" | "LATIN1" | "ISOIR100" => Self::Latin1,
            "88592" | "ISO88592" | "LATIN2" | "ISOIR101" => Self::Latin2,
            "88595" | "ISO88595" | "ISOIR144" => Self::Cyrillic,
            "WINDOWS1251" | "CP1251" | "WIN1251" | "1251" => Self::Windows1251,
            _ => return None,
        })
    }

    /// The text of bytes.
    ///
    /// # Errors
    /// [`Hl7Error::NotInCharset`].
    pub fn decode(self, bytes: &[u8]) -> Result<String, Hl7Error> {
        let wrong = || Hl7Error::NotInCharset(self);
        match self {
            Self::Ascii if bytes.is_ascii() => Ok(bytes.iter().copied().map(char::from).collect()),
            Self::Ascii => Err(wrong()),
            Self::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| wrong()),
            Self::Latin1 => Ok(bytes.iter().copied().map(char::from).collect()),
            Self::Latin2 => decode(ISO_8859_2, bytes).ok_or_else(wrong),
            Self::Cyrillic => decode(ISO_8859_5, bytes).ok_or_else(wrong),
            Self::Windows1251 => decode(WINDOWS_1251, bytes).ok_or_else(wrong),
        }
    }

    /// The bytes of a text; `None` if it has a character that the charset does not have.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Latin1 => text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect(),
            Self::Latin2 => encode(ISO_8859_2, text),
            Self::Cyrillic => encode(ISO_8859_5, text),
            Self::Windows1251 => encode(WINDOWS_1251, text),
        }
    }
}

fn decode(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
}

fn encode(encoding: &'static Encoding, text: &str) -> Option<Vec<u8>> {
    let (bytes, _, unmappable) = encoding.encode(text);
    (!unmappable).then(|| bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_known_by_its_name_however_it_is_written() {
        for charset in Charset::ALL {
            assert_eq!(Charset::parse(charset.name()), Some(charset));
        }
        for (name, charset) in [
            ("unicode utf-8", Charset::Utf8),
            ("UTF8", Charset::Utf8),
            ("ISO_8859-5", Charset::Cyrillic),
            ("cp1251", Charset::Windows1251),
            ("ISO IR100", Charset::Latin1),
        ] {
            assert_eq!(Charset::parse(name), Some(charset), "{name}");
        }
        for name in ["", "EBCDIC", "ISO IR87", "UNICODE UTF-16", "8859/15"] {
            assert_eq!(Charset::parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_survive_each_charset_that_has_their_letters() {
        for (charset, name) in [
            (Charset::Utf8, "Ґалаґан 李"),
            (Charset::Latin1, "Müller"),
            (Charset::Latin2, "Gżegżółka"),
            (Charset::Cyrillic, "Иванова"),
            (Charset::Windows1251, "Іванова Ґ"),
        ] {
            let bytes = charset.encode(name).unwrap();
            assert_eq!(charset.decode(&bytes).unwrap(), name);
        }
        assert_eq!(Charset::Latin1.encode("Иванова"), None);
        assert_eq!(Charset::Ascii.encode("Müller"), None);
    }

    #[test]
    fn bytes_that_the_charset_does_not_have_are_refused() {
        assert_eq!(Charset::Ascii.decode(b"M\xfcller"), Err(Hl7Error::NotInCharset(Charset::Ascii)));
        assert_eq!(Charset::Utf8.decode(b"M\xfcller"), Err(Hl7Error::NotInCharset(Charset::Utf8)));
    }
}
