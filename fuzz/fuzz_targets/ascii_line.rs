//! Any bytes from a desktop reader, in any profile: lines, patterns, the asked TWN4.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wire::ascii::{Event, IdentityRule, Pattern, Profile, Source, Step};

/// Everything a source makes of the bytes, cut into pieces.
fn events(profile: Profile, bytes: &[u8], piece: usize) -> Vec<Event> {
    let mut source = Source::new(profile);
    let mut found = Vec::new();
    if let Step::Send(question) = source.next(Duration::ZERO) {
        assert!(question.ends_with(b"\r"));
    }
    for chunk in bytes.chunks(piece) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = source.on_bytes(Duration::ZERO, rest);
            rest = &rest[taken..];
            let before = found.len();
            found.extend(std::iter::from_fn(|| source.poll_event()));
            assert!(taken > 0 || found.len() > before, "no progress");
        }
    }
    let cards = found.iter().filter(|event| matches!(event, Event::Card(_))).count();
    assert_eq!(source.counters().cards, cards as u64);
    found
}

fuzz_target!(|data: &[u8]| {
    let [choice, cut, bytes @ ..] = data else { return };
    let profile = match choice % 5 {
        0 => Profile::IronLogic,
        1 => Profile::Twn3,
        2 => Profile::Twn4,
        3 => Profile::Pattern(Pattern::new("{skip};{facility,1-3},{number}").expect("a good pattern")),
        _ => {
            // The pattern itself is up to the first line end.
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
            let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return };
            let Ok(pattern) = Pattern::new(text) else { return };
            Profile::Pattern(pattern)
        }
    };
    let whole = events(profile.clone(), bytes, bytes.len().max(1));
    assert_eq!(whole, events(profile, bytes, usize::from(cut % 31) + 1), "cut anywhere = whole");
    for event in whole {
        if let Event::Card(reading) = event {
            let id = &reading.identifier;
            assert_eq!(id.bytes().len(), usize::from(id.bits()).div_ceil(8));
            for rule in [
                IdentityRule::AsRead,
                IdentityRule::Reversed,
                IdentityRule::RotatedLeft(4),
                IdentityRule::FacilityNumber,
            ] {
                let _ = id.number(rule);
            }
        }
    }
});
