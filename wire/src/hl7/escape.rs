//! Escapes in texts (HL7 2.5.1, 2.7): the delimiters themselves, bytes in hexadecimal, line breaks. What is not known is
//! left as it stands, so that nothing is lost.

use std::borrow::Cow;

use super::charset::Charset;
use super::delimiters::Delimiters;

/// Longest escape that is looked for, in bytes without its signs. A longer one is text with a stray sign.
const ESCAPE_MAX_BYTES: usize = 1024;
/// Most blank lines that `\.sp9\` makes.
const LINES_MAX: usize = 100;

/// Resolves the escapes of a text.
pub(crate) fn unescape<'a>(text: &'a str, delimiters: &Delimiters, charset: Charset) -> Cow<'a, str> {
    let Some(sign) = delimiters.escape else { return Cow::Borrowed(text) };
    if !text.contains(sign) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(sign) {
        out.push_str(before);
        let end = after.find(sign).filter(|end| *end <= ESCAPE_MAX_BYTES);
        match end.and_then(|end| Some((resolve(&after[..end], delimiters, charset)?, end))) {
            Some((resolved, end)) => {
                out.push_str(&resolved);
                rest = &after[end + sign.len_utf8()..];
            }
            None => {
                out.push(sign);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What an escape stands for; `None` if it is not known.
fn resolve(escape: &str, delimiters: &Delimiters, charset: Charset) -> Option<String> {
    let sign = |sign: Option<char>| sign.map(String::from);
    match escape {
        "F" => return sign(Some(delimiters.field)),
        "S" => return sign(Some(delimiters.component)),
        "R" => return sign(delimiters.repetition),
        "T" => return sign(delimiters.subcomponent),
        "E" => return sign(delimiters.escape),
        // Highlighting begins and ends; there is none in what we keep.
        "H" | "N" => return Some(String::new()),
        _ => {}
    }
    if let Some(digits) = escape.strip_prefix('X') {
        return charset.decode(&bytes_of(digits)?).ok();
    }
    let command = escape.strip_prefix('.')?;
    let name: String = command.chars().take(2).collect();
    let count = || command.get(2..)?.trim().trim_start_matches('+').parse::<usize>().ok();
    match name.as_str() {
        "br" if command.len() == 2 => Some("\n".to_owned()),
        "sp" => Some("\n".repeat(count().unwrap_or(1).clamp(1, LINES_MAX))),
        "ce" => Some("\n".to_owned()),
        "sk" => Some(" ".repeat(count().unwrap_or(1).clamp(1, LINES_MAX))),
        "fi" | "nf" | "in" | "ti" => Some(String::new()),
        _ => None,
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Writes a text so that reading it gives the same text: delimiters, control signs and what would say "delete" are
/// escaped. Without an escape sign, what cannot stand there becomes a blank.
pub(crate) fn escape(text: &str, delimiters: &Delimiters) -> String {
    let mut out = String::with_capacity(text.len());
    let all_quotes = text == "\"\"";
    for letter in text.chars() {
        let code = match letter {
            _ if letter == delimiters.field => Some("F"),
            _ if letter == delimiters.component => Some("S"),
            _ if Some(letter) == delimiters.repetition => Some("R"),
            _ if Some(letter) == delimiters.subcomponent => Some("T"),
            _ if Some(letter) == delimiters.escape => Some("E"),
            '\n' => Some(".br"),
            _ => None,
        };
        let hexadecimal = letter.is_ascii_control() || (all_quotes && letter == '"');
        match (code, delimiters.escape) {
            (Some(code), Some(sign)) => {
                out.push(sign);
                out.push_str(code);
                out.push(sign);
            }
            (None, Some(sign)) if hexadecimal => {
                out.push_str(&format!("{sign}X{:02X}{sign}", u32::from(letter)));
            }
            (Some(_), None) => out.push(' '),
            (None, None) if hexadecimal => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        unescape(text, &Delimiters::default(), Charset::Utf8).into_owned()
    }

    #[test]
    fn escapes_are_resolved_and_what_is_unknown_stays() {
        assert_eq!(read(r"a\F\b\S\c\R\d\T\e\E\f"), r"a|b^c~d&e\f");
        assert_eq!(read(r"one\.br\two\.sp2\three"), "one\ntwo\n\nthree");
        assert_eq!(read(r"\X4D\\XC3BC\ller"), "Müller");
        assert_eq!(read(r"\H\loud\N\"), "loud");
        for stays in [r"C:\folder", r"\Zlocal\", r"\X4\", r"\XGG\", r"\XFF\", r"tail\", r"\", r"\.brx\"] {
            assert_eq!(read(stays), stays);
        }
        assert_eq!(read(r"a\\F\"), r"a\|");
    }

    #[test]
    fn bytes_in_hexadecimal_are_of_the_messages_charset() {
        let text = unescape(r"\XC8\\Xe2\", &Delimiters::default(), Charset::Windows1251);
        assert_eq!(text, "Ив");
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "\\PC*|[\\x00-\\x7f]*|[|^~\\\\&\"FSTRE.br]*") {
            for delimiters in [Delimiters::default(), Delimiters {
                field: '$', component: '*', repetition: Some('!'), escape: Some('%'), subcomponent: Some('/')
            }] {
                let escaped = escape(&text, &delimiters);
                proptest::prop_assert!(!escaped.contains(['\r', '\n', delimiters.field, delimiters.component]));
                proptest::prop_assert!(escaped != "\"\"");
                proptest::prop_assert_eq!(&*unescape(&escaped, &delimiters, Charset::Utf8), text.as_str());
            }
        }
    }
}
