//! Elatec readers. TWN4 with the "Simple Protocol" image is asked by the host: one line out, one line back, both
//! hexadecimal. TWN3 prints by itself.

use std::time::Duration;

use super::reading::{Identifier, Reading, Rejection, hex};

/// How often a TWN4 is asked: a card stays on a desk reader for a second or more.
pub const TWN4_POLL_EVERY: Duration = Duration::from_millis(100);
/// How long a TWN4 may take to answer before it is asked again.
pub const TWN4_REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// How many answers without a card, one after the other, mean that it was taken away: a card at the edge of the
/// field flickers.
pub const TWN4_MISSES_TO_REMOVE: u8 = 2;

/// SearchTag, identifiers of up to 255 bytes.
pub(super) const SEARCH_TAG: &[u8] = b"0500FF\r";

/// The answer to SearchTag: error 00, found 00 or 01, type, bits, length, bytes. `None` is "no card".
pub(super) fn parse_twn4(line: &[u8]) -> Result<Option<Reading>, Rejection> {
    let (head, id) = line.split_at_checked(10).map_or((line, None), |(head, id)| (head, Some(id)));
    let (head, len) = hex(head).ok_or(Rejection::Form)?;
    match (head.get(..len).unwrap_or_default(), id) {
        ([0, 0], None) => Ok(None),
        ([error, ..], _) if *error != 0 => Err(Rejection::ReaderError),
        ([0, 1, technology, bits, length], Some(id)) => {
            let (bytes, len) = hex(id).ok_or(Rejection::Form)?;
            if len != usize::from(*length) {
                return Err(Rejection::Check);
            }
            let identifier =
                Identifier::from_bits((*bits).into(), bytes.get(..len).unwrap_or_default()).ok_or(Rejection::Check)?;
            let (technology, iso14443a) = match technology {
                0x40 => ("EM4102", false),
                0x49 => ("HID Prox", false),
                0x80 => ("ISO14443A", true),
                0x81 => ("ISO14443B", false),
                0x82 => ("ISO15693", false),
                0x83 => ("LEGIC", false),
                0x84 => ("iCLASS", false),
                _ => ("other", false),
            };
            if iso14443a && identifier.is_random_uid() {
                return Err(Rejection::RandomUid);
            }
            Ok(Some(Reading { technology: technology.into(), identifier }))
        }
        _ => Err(Rejection::Form),
    }
}

/// `1A808001C0`: number of bits, then the bits left-justified. `:112233445501`: five bytes and one that makes the
/// sum zero.
pub(super) fn parse_twn3(line: &[u8]) -> Result<Reading, Rejection> {
    if let Some(rest) = line.strip_prefix(b":") {
        let (bytes, len) = hex(rest).ok_or(Rejection::Form)?;
        let Some([id @ .., _]) = bytes.get(..len).filter(|bytes| bytes.len() == 6) else {
            return Err(Rejection::Form);
        };
        if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err(Rejection::Check);
        }
        let identifier = Identifier::from_bytes(id).ok_or(Rejection::Form)?;
        return Ok(Reading { technology: "IndiTag".into(), identifier });
    }
    let (bytes, len) = hex(line).ok_or(Rejection::Form)?;
    let Some([bits, id @ ..]) = bytes.get(..len) else { return Err(Rejection::Form) };
    let identifier = Identifier::from_bits((*bits).into(), id).ok_or(Rejection::Check)?;
    Ok(Reading { technology: "HID Prox".into(), identifier })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twn4_answer_gives_technology_bits_and_bytes() {
        let reading = parse_twn4(b"000180380704112233445566").unwrap().unwrap();
        assert_eq!(&*reading.technology, "ISO14443A");
        assert_eq!(reading.identifier.bits(), 56);
        assert_eq!(reading.identifier.bytes(), [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
        assert_eq!(parse_twn4(b"0000"), Ok(None));
    }

    #[test]
    fn a_twn4_answer_that_is_wrong_is_rejected() {
        for (line, why) in [
            (&b"0100"[..], Rejection::ReaderError),
            (b"00", Rejection::Form),
            (b"0001", Rejection::Form),
            (b"0001803807041122334455", Rejection::Check),
            (b"000180370604112233445566", Rejection::Check),
            (b"000180200408112233", Rejection::RandomUid),
            (b"00018020040811223", Rejection::Form),
            (b"hello", Rejection::Form),
            (b"", Rejection::Form),
        ] {
            assert_eq!(parse_twn4(line), Err(why), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn twn3_lines_are_checked_by_length_or_sum() {
        let prox = parse_twn3(b"1A808001C0").unwrap().identifier;
        assert_eq!((prox.bits(), prox.bytes()), (26, &[0x80, 0x80, 0x01, 0xC0][..]));
        let tag = parse_twn3(b":112233445501").unwrap().identifier;
        assert_eq!(tag.bytes(), [0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(parse_twn3(b":112233445502"), Err(Rejection::Check));
        assert_eq!(parse_twn3(b"1A808001"), Err(Rejection::Check));
        assert_eq!(parse_twn3(b":1122334455"), Err(Rejection::Form));
        assert_eq!(parse_twn3(b""), Err(Rejection::Form));
    }
}
