//! IronLogic Z-2 USB and Matrix III RD-All: `Em-Marine[5500] 126,58404`, `Mifare[BCD14264] 1K (0004,08) 066,53692`,
//! `No card`. Behind an RS-485 converter a 5-digit reader number and a blank come first.
//!
//! The form, as seen in the lines that public programs for these readers are tested with:
//! ```text
//! [NNNNN ]KIND[HEX] [SUBTYPE ][(ATQA,SAK) ]FACILITY,NUMBER[,]
//! ```
//! *Proximity* (a bracket of 2 bytes): the identifier is bracket, facility, number: 40 bits. The bracket is part of
//! it: two cards may differ only there. *Mifare* (4, 7 or 10 bytes): the bracket is the whole identifier and the
//! number at the end repeats part of it, which serves as a check. In every known 7-byte line the bytes seem to be
//! rotated by three against the air interface; the settings of the reader say so after one known card was read.

use super::reading::{Identifier, Reading, Rejection, hex};

/// `None` is "No card".
pub(super) fn parse(line: &[u8]) -> Result<Option<Reading>, Rejection> {
    if line.eq_ignore_ascii_case(b"no card") {
        return Ok(None);
    }
    let mut rest = Cursor(strip_reader_number(line));
    if rest.0.eq_ignore_ascii_case(b"no card") {
        return Ok(None);
    }
    let kind = rest.run(1, 32, |byte| byte.is_ascii_alphanumeric() || b" ./-".contains(&byte))?;
    if !kind.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(Rejection::Form);
    }
    rest.literal(b'[')?;
    let bracket = rest.run(4, 20, |byte| byte.is_ascii_hexdigit())?;
    rest.literal(b']')?;
    rest.blanks(1)?;
    // The subtype ("1K", "UL", "DF") is told from the facility by the comma that follows only the latter.
    let mut ahead = rest;
    if ahead.run(1, 8, |byte| byte.is_ascii_alphanumeric() || byte == b'+').is_ok() && ahead.blanks(1).is_ok() {
        rest = ahead;
    }
    if rest.literal(b'(').is_ok() {
        exactly(rest.run(4, 4, |byte| byte.is_ascii_hexdigit())?, 4)?;
        rest.literal(b',')?;
        exactly(rest.run(2, 2, |byte| byte.is_ascii_hexdigit())?, 2)?;
        rest.literal(b')')?;
        rest.blanks(1)?;
    }
    let facility = decimal(rest.run(1, 3, |byte| byte.is_ascii_digit())?);
    rest.literal(b',')?;
    let number = decimal(rest.run(1, 5, |byte| byte.is_ascii_digit())?);
    let _ = rest.literal(b',');
    if !rest.0.is_empty() {
        return Err(Rejection::Form);
    }
    let (Ok(facility), Ok(number)) = (u8::try_from(facility), u16::try_from(number)) else {
        return Err(Rejection::Range);
    };
    let (bytes, len) = hex(bracket).ok_or(Rejection::Form)?;
    let identifier = identifier(kind, bytes.get(..len).unwrap_or_default(), facility, number)?;
    Ok(Some(Reading { technology: String::from_utf8_lossy(kind).trim_end().into(), identifier }))
}

fn identifier(kind: &[u8], bracket: &[u8], facility: u8, number: u16) -> Result<Identifier, Rejection> {
    let [high, low] = number.to_be_bytes();
    let mifare = kind.trim_ascii_end().eq_ignore_ascii_case(b"mifare");
    let whole = match *bracket {
        [a, b] => Identifier::from_bytes(&[a, b, facility, high, low]),
        [a, b, c, _] if mifare && (c, b, a) != (facility, high, low) => return Err(Rejection::Check),
        [_, _, _, _, e, f, g] if mifare && (e, f, g) != (facility, high, low) => return Err(Rejection::Check),
        _ if bracket.len() >= 4 => Identifier::from_bytes(bracket),
        _ => return Err(Rejection::Form),
    };
    let whole = whole.ok_or(Rejection::Form)?.with_facility_number(facility.into(), number.into());
    if mifare && whole.is_random_uid() { Err(Rejection::RandomUid) } else { Ok(whole) }
}

fn strip_reader_number(line: &[u8]) -> &[u8] {
    match line.split_at_checked(6) {
        Some(([digits @ .., b' '], rest)) if digits.iter().all(u8::is_ascii_digit) => rest,
        _ => line,
    }
}

fn exactly(found: &[u8], len: usize) -> Result<(), Rejection> {
    if found.len() == len { Ok(()) } else { Err(Rejection::Form) }
}

fn decimal(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

/// What is left of a line.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// The longest run of up to `max` fitting bytes, at least `min` long.
    fn run(&mut self, min: usize, max: usize, fits: impl Fn(u8) -> bool) -> Result<&'a [u8], Rejection> {
        let len = self.0.iter().take(max).take_while(|byte| fits(**byte)).count();
        if len < min {
            return Err(Rejection::Form);
        }
        let (run, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(run)
    }

    fn literal(&mut self, byte: u8) -> Result<(), Rejection> {
        self.run(1, 1, |found| found == byte).map(|_| ())
    }

    fn blanks(&mut self, min: usize) -> Result<(), Rejection> {
        self.run(min, usize::MAX, |byte| byte == b' ' || byte == b'\t').map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(line: &str) -> Vec<u8> {
        parse(line.as_bytes()).unwrap().unwrap().identifier.bytes().to_vec()
    }

    #[test]
    fn proximity_lines_give_forty_bits_with_the_bracket() {
        assert_eq!(bytes("Em-Marine[5500] 126,58404"), [0x55, 0x00, 126, 0xE4, 0x24]);
        // The number is not padded by every firmware; some end with a comma; one spells the technology otherwise.
        assert_eq!(bytes("Em-Marine[A100] 007,42"), [0xA1, 0x00, 7, 0, 42]);
        assert_eq!(bytes("Em-Marine[5500] 090,48676,"), [0x55, 0x00, 90, 0xBE, 0x24]);
        assert_eq!(bytes("Em-Marin[5500] 126,58404"), bytes("Em-Marine[5500] 126,58404"));
        assert_ne!(bytes("Em-Marine[5500] 126,58404"), bytes("Em-Marine[5501] 126,58404"));
    }

    #[test]
    fn mifare_lines_give_the_bracket() {
        assert_eq!(bytes("Mifare[BCD14264] 1K (0004,08) 066,53692"), [0xBC, 0xD1, 0x42, 0x64]);
        // Two blanks: the subtype is empty.
        assert_eq!(bytes("Mifare[3AAC2280045646]  (0142,20) 004,22086"), [0x3A, 0xAC, 0x22, 0x80, 0x04, 0x56, 0x46]);
        assert_eq!(bytes("Mifare[124A2D80042C27] DF (0144,20) 004,11303"), [0x12, 0x4A, 0x2D, 0x80, 0x04, 0x2C, 0x27]);
        assert_eq!(bytes("Mifare[81895266340051] UL (0144,00) 052,00081"), [0x81, 0x89, 0x52, 0x66, 0x34, 0x00, 0x51]);
    }

    #[test]
    fn the_reader_number_of_a_converter_is_skipped() {
        assert_eq!(bytes("00017 Em-Marine[5500] 126,58404"), bytes("Em-Marine[5500] 126,58404"));
        assert_eq!(parse(b"00017 No card"), Ok(None));
    }

    #[test]
    fn removal_is_understood_in_any_case() {
        for line in ["No card", "No Card", "NO CARD", "no card"] {
            assert_eq!(parse(line.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn what_contradicts_itself_or_is_out_of_range_is_rejected() {
        for (line, why) in [
            ("Mifare[BCD14264] 1K (0004,08) 066,53693", Rejection::Check),
            ("Mifare[3AAC2280045646]  (0142,20) 005,22086", Rejection::Check),
            ("Em-Marine[5500] 256,58404", Rejection::Range),
            ("Em-Marine[5500] 126,65536", Rejection::Range),
            ("Mifare[08D14264] 1K (0004,08) 066,53512", Rejection::RandomUid),
            ("Em-Marine[550] 126,58404", Rejection::Form),
            ("Em-Marine[550000] 126,58404", Rejection::Form),
            ("Em-Marine[5500]126,58404", Rejection::Form),
            ("Em-Marine[5500] 126 58404", Rejection::Form),
            ("Em-Marine[5500] 126,58404,,", Rejection::Form),
            ("Em-Marine[5500] 126,584045", Rejection::Form),
            ("[5500] 126,58404", Rejection::Form),
            ("0Em[5500] 126,58404", Rejection::Form),
            ("Mifare[BCD14264] 1K (0004) 066,53692", Rejection::Form),
            (":170009593F48", Rejection::Form),
            ("No cards", Rejection::Form),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(why), "{line}");
        }
    }
}
