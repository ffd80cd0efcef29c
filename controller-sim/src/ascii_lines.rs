//! What an IronLogic desktop reader prints.

/// The line for a card of `bits` bits, left-justified in `bytes`.
pub(crate) fn placed(bits: u16, bytes: &[u8]) -> Vec<u8> {
    let line = match (bits, bytes) {
        (26, [a, b, c, d]) => {
            // Without its two parity bits.
            let value = u32::from_be_bytes([*a, *b, *c, *d]) << 1 >> 8;
            format!("Em-Marine[0000] {:03},{:05}", value >> 16 & 0xFF, value & 0xFFFF)
        }
        (32, [a, b, c, _]) => {
            let hex = hex(bytes);
            format!("Mifare[{hex}] 1K (0004,08) {c:03},{:05}", u16::from_be_bytes([*b, *a]))
        }
        (56, [_, _, _, _, e, f, g]) => {
            format!("Mifare[{}] UL (0044,00) {e:03},{:05}", hex(bytes), u16::from_be_bytes([*f, *g]))
        }
        _ => format!("Unknown[{}] 000,00000", hex(bytes)),
    };
    format!("{line}\r\n").into_bytes()
}

/// The line for a card taken away.
pub(crate) fn removed() -> Vec<u8> {
    b"No card\r\n".to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::card::{self, CardFormat};
    use std::time::Duration;
    use wire::ascii::{Event, Profile, Source};

    #[test]
    fn the_profile_reads_what_is_printed() {
        for (format, text, wanted) in [
            (CardFormat::FacilityNumber, "126,58404", &[0, 0, 126, 0xE4, 0x24][..]),
            (CardFormat::UidHex, "BCD14264", &[0xBC, 0xD1, 0x42, 0x64]),
            (CardFormat::UidHex, "04A1B2C3D4E5F6", &[0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]),
        ] {
            let (bits, bytes) = card::parse(format, text).unwrap().to_bits();
            let mut source = Source::new(Profile::IronLogic);
            let line = placed(bits, &bytes);
            assert_eq!(source.on_bytes(Duration::ZERO, &line), line.len());
            let Some(Event::Card(reading)) = source.poll_event() else { panic!("{text}") };
            assert_eq!(reading.identifier.bytes(), wanted);
        }
    }
}
