//! From bytes to text. A server of this family answers in UTF-8, its older parts and proxies in windows-1251, and
//! UTF-16 is possible with XML. The encoding is told three times, in this order of trust: a byte order mark, the
//! `charset` of the HTTP header, the XML declaration; without any of them it is UTF-8.
//!
//! Only these three encodings are taken. A text that is not what its encoding says is refused, not repaired.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1251};

/// Longest message in bytes, before and after decoding. A page of 500 events has about 700 kB, a building of 5,000
/// territories about 2 MB.
pub const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// How far into a message its declaration is looked for.
const DECLARATION_MAX_BYTES: usize = 256;

/// Why bytes are not a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Longer than [`MESSAGE_MAX_BYTES`].
    #[error("the message has {0} bytes; at most {MESSAGE_MAX_BYTES} are taken")]
    TooLong(usize),
    /// An encoding that is not taken.
    #[error("the encoding {0:?} is not taken; UTF-8, UTF-16 and windows-1251 are")]
    Unknown(String),
    /// The bytes contradict the encoding.
    #[error("the message says that it is {0}, but its bytes are not")]
    Wrong(&'static str),
}

/// The encodings that both ends speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// Usual.
    #[default]
    Utf8,
    /// Older Russian systems.
    Windows1251,
    /// With a byte order mark, low byte first.
    Utf16,
}

impl Charset {
    /// As HTTP headers and XML declarations name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Windows1251 => "windows-1251",
            Self::Utf16 => "utf-16",
        }
    }

    /// Writes a document whose declaration says so too; `xml` comes without a declaration. A character that the
    /// encoding does not have becomes a character reference, so it may stand in text only, not in names.
    pub fn encode(self, xml: &str) -> Vec<u8> {
        let text = format!("<?xml version=\"1.0\" encoding=\"{}\"?>{xml}", self.name());
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Windows1251 => WINDOWS_1251.encode(&text).0.into_owned(),
            Self::Utf16 => [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        }
    }
}

/// The text of a message. `content_type` is the HTTP header's value, if there is one.
///
/// # Errors
/// If the message is too long, its encoding is not taken, or its bytes contradict it.
pub fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Result<Cow<'a, str>, EncodingError> {
    if bytes.len() > MESSAGE_MAX_BYTES {
        return Err(EncodingError::TooLong(bytes.len()));
    }
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, mark),
        None => (told(bytes, content_type)?, 0),
    };
    let bytes = bytes.get(mark..).unwrap_or_default();
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or(EncodingError::Wrong(encoding.name()))?;
    // One byte of windows-1251 is up to three of UTF-8: the limit holds for what is parsed too.
    if text.len() > MESSAGE_MAX_BYTES { Err(EncodingError::TooLong(text.len())) } else { Ok(text) }
}

/// What header or declaration say.
fn told(bytes: &[u8], content_type: Option<&str>) -> Result<&'static Encoding, EncodingError> {
    if let Some(charset) = content_type.and_then(charset_of) {
        return named(charset, bytes);
    }
    match declared(bytes) {
        Some(name) => named(name, bytes),
        None => Ok(UTF_8),
    }
}

/// `charset` of a Content-Type, without quotes.
fn charset_of(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// `encoding` of the XML declaration, looked for in the ASCII at the beginning.
fn declared(bytes: &[u8]) -> Option<&str> {
    let start = bytes.get(..bytes.len().min(DECLARATION_MAX_BYTES))?;
    let start = start.trim_ascii_start();
    let end = start.windows(2).position(|two| two == b"?>")?;
    let declaration = std::str::from_utf8(start.get(..end)?).ok()?.strip_prefix("<?xml")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split(quote).next()
}

fn named(name: &str, bytes: &[u8]) -> Result<&'static Encoding, EncodingError> {
    let unknown = || EncodingError::Unknown(name.chars().take(40).collect());
    // Without a byte order mark "utf-16" does not say which: the first `<` does.
    if name.eq_ignore_ascii_case("utf-16") {
        return match bytes {
            [0, b'<', ..] => Ok(UTF_16BE),
            [b'<', 0, ..] => Ok(UTF_16LE),
            // A header or declaration that a proxy wrote into plain ASCII.
            [b'<', ..] => Ok(UTF_8),
            _ => Err(EncodingError::Wrong("utf-16")),
        };
    }
    let encoding = Encoding::for_label(name.as_bytes()).ok_or_else(unknown)?;
    [UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1251].into_iter().find(|taken| *taken == encoding).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<a>Нормальный вход</a>";

    #[test]
    fn every_encoding_is_read_as_it_is_written() {
        for charset in [Charset::Utf8, Charset::Windows1251, Charset::Utf16] {
            let bytes = charset.encode(TEXT);
            let text = decode(&bytes, None).unwrap();
            assert!(text.ends_with(TEXT), "{charset:?}: {text}");
            let header = format!("text/xml; charset={}", charset.name());
            assert!(decode(&bytes, Some(&header)).unwrap().ends_with(TEXT), "{charset:?}");
        }
    }

    #[test]
    fn the_declaration_counts_where_the_header_is_silent() {
        let bytes = WINDOWS_1251.encode("<?xml version='1.0' encoding='windows-1251'?><a>Вход</a>").0.into_owned();
        assert!(decode(&bytes, Some("text/xml")).unwrap().contains("Вход"));
        assert!(decode(&bytes, None).unwrap().contains("Вход"));
        assert_eq!(decode(&bytes, Some("text/xml; charset=\"UTF-8\"")), Err(EncodingError::Wrong("UTF-8")));
        let plain = WINDOWS_1251.encode("<a>Вход</a>").0.into_owned();
        assert_eq!(decode(&plain, None), Err(EncodingError::Wrong("UTF-8")));
        assert_eq!(decode(&plain, Some("application/soap+xml; action=x; charset=cp1251")).unwrap(), "<a>Вход</a>");
    }

    #[test]
    fn other_encodings_and_long_messages_are_refused() {
        let koi = b"<?xml version=\"1.0\" encoding=\"koi8-r\"?><a/>";
        assert_eq!(decode(koi, None), Err(EncodingError::Unknown("koi8-r".into())));
        assert_eq!(decode(b"<a/>", Some("text/xml; charset=utf-7")), Err(EncodingError::Unknown("utf-7".into())));
        let long = vec![b' '; MESSAGE_MAX_BYTES + 1];
        assert_eq!(decode(&long, None), Err(EncodingError::TooLong(MESSAGE_MAX_BYTES + 1)));
        let swollen = vec![0xE0; MESSAGE_MAX_BYTES / 2 + 1];
        assert!(matches!(decode(&swollen, Some("a; charset=windows-1251")), Err(EncodingError::TooLong(_))));
    }

    #[test]
    fn a_letter_that_windows_1251_lacks_becomes_a_reference() {
        let bytes = Charset::Windows1251.encode("<a>ß</a>");
        assert!(decode(&bytes, None).unwrap().ends_with("<a>&#223;</a>"));
    }
}
