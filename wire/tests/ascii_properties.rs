//! Desktop readers: whatever comes from the line, in whatever pieces, gives the same bounded result.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use proptest::prelude::*;
use wire::ascii::{Event, Pattern, Profile, Source};

fn profiles() -> Vec<Profile> {
    vec![
        Profile::IronLogic,
        Profile::Pattern(Pattern::new("{skip};{facility},{number}").unwrap()),
        Profile::Pattern(Pattern::new("{uid}").unwrap()),
        Profile::Twn3,
        Profile::Twn4,
    ]
}

fn events(profile: Profile, pieces: &[&[u8]]) -> Vec<Event> {
    let mut source = Source::new(profile);
    let mut out = Vec::new();
    let _ = source.next(Duration::ZERO);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let taken = source.on_bytes(Duration::ZERO, rest);
            rest = &rest[taken..];
            let before = out.len();
            out.extend(std::iter::from_fn(|| source.poll_event()));
            assert!(taken > 0 || out.len() > before, "no progress");
        }
    }
    out
}

fn near_lines() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"Em-Marine[5500] 126,58404\r\n".to_vec()),
        Just(b"Mifare[BCD14264] 1K (0004,08) 066,53692\n\r".to_vec()),
        Just(b"No card\r".to_vec()),
        Just(b"00017 ".to_vec()),
        Just(b"1A808001C0\r".to_vec()),
        Just(b"000180380704112233445566\r".to_vec()),
        Just(b"door;126,58404\r".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..200),
        "[0-9A-Fa-f,;:\\[\\]() \r\n]{0,40}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_events_as_the_whole(bytes in near_lines(), size in 1_usize..40) {
        for profile in profiles() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(events(profile.clone(), &pieces), events(profile, &[&bytes]));
        }
    }

    #[test]
    fn every_ironlogic_proximity_line_reads_back(bracket: u16, facility: u8, number: u16, comma: bool) {
        let line = format!("Em-Marine[{bracket:04X}] {facility:03},{number:05}{}\r\n", if comma { "," } else { "" });
        let found = events(Profile::IronLogic, &[line.as_bytes()]);
        let [Event::Card(reading)] = &found[..] else { panic!("{found:?}") };
        let mut wanted = bracket.to_be_bytes().to_vec();
        wanted.push(facility);
        wanted.extend(number.to_be_bytes());
        prop_assert_eq!(reading.identifier.bytes(), &wanted[..]);
        prop_assert_eq!(reading.identifier.bits(), 40);
    }

    #[test]
    fn every_ironlogic_mifare_line_reads_back(mut uid: [u8; 7], four: bool) {
        if uid[0] == 0x08 {
            uid[0] = 0x04;
        }
        let (hex, facility, number) = if four {
            (&uid[..4], uid[2], u16::from_be_bytes([uid[1], uid[0]]))
        } else {
            (&uid[..], uid[4], u16::from_be_bytes([uid[5], uid[6]]))
        };
        let text: String = hex.iter().map(|byte| format!("{byte:02X}")).collect();
        let found = events(Profile::IronLogic, &[format!("Mifare[{text}] 1K (0004,08) {facility:03},{number:05}\r").as_bytes()]);
        let [Event::Card(reading)] = &found[..] else { panic!("{found:?}") };
        prop_assert_eq!(reading.identifier.bytes(), hex);
    }

    #[test]
    fn any_pattern_text_is_compiled_or_refused(text in "[{}a-z0-9, \\-:;]{0,60}") {
        if let Ok(pattern) = Pattern::new(&text) {
            let _ = pattern.parse(b"12,34:56 78");
        }
    }
}
