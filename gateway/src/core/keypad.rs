//! Digits typed at a reader, from the card to the PIN.

use std::time::Duration;

use domain::CardId;
use domain::pin::{PIN_MAX_DIGITS, Pin};
use zeroize::Zeroizing;

/// How long a person may take to enter a PIN after the card, and between two keys.
pub const PIN_LIMIT: Duration = Duration::from_secs(10);
/// At a workstation nothing waits for the PIN, and whoever tapped sits down first: keys count for so long after the card.
pub const DESK_LIMIT: Duration = Duration::from_secs(20);

/// A PIN being entered for a card.
pub struct Keypad {
    /// Whose.
    pub card: CardId,
    /// When it is too late.
    pub until: Duration,
    /// Whether the card was granted already, at a workstation: then nothing is missing without a PIN.
    pub at_desk: bool,
    digits: Zeroizing<String>,
}

/// What the keys amount to.
#[derive(Debug)]
pub enum Typed {
    /// More is to come.
    More,
    /// This.
    Pin(Pin),
    /// Ended, but not a PIN (too short).
    NoPin,
}

impl Keypad {
    /// The card was read; nothing has been typed.
    pub fn new(card: CardId, now: Duration) -> Self {
        let digits = Zeroizing::new(String::with_capacity(PIN_MAX_DIGITS));
        Self { card, until: now + PIN_LIMIT, at_desk: false, digits }
    }

    /// The card was granted at a workstation; a PIN may follow.
    pub fn at_desk(card: CardId, now: Duration) -> Self {
        Self { until: now + DESK_LIMIT, at_desk: true, ..Self::new(card, now) }
    }

    /// Takes keys: digits, `*` starts again, `#` ends.
    pub fn keys(&mut self, keys: &str, now: Duration) -> Typed {
        self.until = self.until.max(now + PIN_LIMIT);
        for key in keys.chars() {
            match key {
                '*' => self.digits.clear(),
                '#' => return Pin::new(&self.digits).map_or(Typed::NoPin, Typed::Pin),
                '0'..='9' if self.digits.len() < PIN_MAX_DIGITS => self.digits.push(key),
                _ => {}
            }
            if self.digits.len() == PIN_MAX_DIGITS {
                return Pin::new(&self.digits).map_or(Typed::NoPin, Typed::Pin);
            }
        }
        Typed::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(groups: &[&str]) -> Typed {
        let mut pad = Keypad::new(CardId([1; 16]), Duration::ZERO);
        let mut last = Typed::More;
        for keys in groups {
            last = pad.keys(keys, Duration::ZERO);
        }
        last
    }

    #[test]
    fn a_pin_ends_with_the_hash_key_or_its_longest_length() {
        assert!(matches!(typed(&["12", "34"]), Typed::More));
        assert!(matches!(typed(&["12", "34#"]), Typed::Pin(_)));
        assert!(matches!(typed(&["12345678"]), Typed::Pin(_)));
        assert!(matches!(typed(&["12#"]), Typed::NoPin));
        assert!(matches!(typed(&["99*1234#"]), Typed::Pin(_)));
    }
}
