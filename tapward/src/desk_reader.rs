//! Reads a line that a browser has got from a desktop reader: to the card's pseudonym, which is all that goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashboard::DeskReader;
use domain::card::CardKey;
use wire::ascii::{Event, IdentityRule, Profile, Source};

/// Longest line that is read, in bytes: that of any reader is shorter.
const LINE_MAX_BYTES: usize = 256;

/// A reader of lines of this form. What is no card of it is `None`.
pub fn desk_reader(profile: Profile, rule: IdentityRule, key: CardKey) -> DeskReader {
    let profile = Mutex::new(profile);
    Arc::new(move |line| {
        if line.len() > LINE_MAX_BYTES {
            return None;
        }
        // Each line stands for itself: a new source has no half line of another desk.
        let mut source = Source::new(profile.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let bytes = [line.trim_end_matches(['\r', '\n']).as_bytes(), b"\r\n"].concat();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = source.on_bytes(Duration::ZERO, rest);
            rest = rest.get(taken.max(1)..).unwrap_or_default();
            while let Some(event) = source.poll_event() {
                if let Event::Card(reading) = event {
                    return reading.identifier.number(rule).ok().map(|number| key.id(&number));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use wire::ascii::Pattern;

    #[test]
    fn a_line_is_a_card_and_what_is_none_is_not() {
        let pattern = Profile::Pattern(Pattern::new("{facility,3},{number,5}").unwrap());
        let read = desk_reader(pattern.clone(), IdentityRule::FacilityNumber, CardKey::new([7; 32]));
        let card = read("012,34567").unwrap();
        assert_eq!(read("012,34567\r\n"), Some(card));
        assert_ne!(read("012,34568"), Some(card));
        let other_site = desk_reader(pattern, IdentityRule::FacilityNumber, CardKey::new([8; 32]));
        assert_ne!(other_site("012,34567"), Some(card), "another site, another pseudonym");
        for nonsense in ["", "012,345", "nonsense", "\u{0}", &"9".repeat(4000)] {
            assert_eq!(read(nonsense), None, "{nonsense:?}");
        }
    }
}
