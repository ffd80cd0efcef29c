//! PINs: what one is, its keyed hash, and how often one may be wrong.
//!
//! Owns the hash and the lockout. Never keeps a PIN: it exists as [`Pin`] between the keypad and [`PinKey::hash`],
//! and is wiped. May import `card` (keyed hash) and `ids`.
//!
//! A PIN has at most 10^8 values, so its hash protects nothing from one who holds the key; the key stays where the
//! card key stays. The hash is bound to the card: a stolen list does not show who shares a PIN.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::card::keyed_hash;
use crate::ids::CardId;

/// Fewest digits of a PIN.
pub const PIN_MIN_DIGITS: usize = 4;
/// Most digits of a PIN.
pub const PIN_MAX_DIGITS: usize = 8;

/// Why a text is not a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a PIN has {PIN_MIN_DIGITS} to {PIN_MAX_DIGITS} digits and nothing else")]
pub struct PinError;

/// Digits entered at a keypad. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pin {
    len: u8,
    digits: [u8; PIN_MAX_DIGITS],
}

impl Pin {
    /// Takes 4 to 8 ASCII digits.
    pub fn new(text: &str) -> Result<Self, PinError> {
        let len = text.len();
        if !(PIN_MIN_DIGITS..=PIN_MAX_DIGITS).contains(&len) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PinError);
        }
        let mut digits = [0; PIN_MAX_DIGITS];
        digits[..len].copy_from_slice(text.as_bytes());
        Ok(Self { len: len as u8, digits })
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(redacted)")
    }
}

/// The site's key for PINs. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PinKey([u8; 32]);

impl PinKey {
    /// Takes 32 random bytes, other than the card key's.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first 16 bytes of HMAC-SHA256 over `"tapward pin 1"`, the card's pseudonym and the digits.
    pub fn hash(&self, card: CardId, pin: &Pin) -> PinHash {
        PinHash(keyed_hash(&self.0, &[b"tapward pin 1", &card.0, &pin.digits[..usize::from(pin.len)]]))
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey(redacted)")
    }
}

/// A PIN as it is stored and compared. Compared in constant time, never printed.
#[derive(Clone, Copy)]
pub struct PinHash(pub [u8; 16]);

impl PartialEq for PinHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PinHash {}

impl fmt::Debug for PinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinHash(redacted)")
    }
}

/// Wrong PINs of one card within [`LockoutSettings::window`] that lock it.
pub const WRONG_MAX: u8 = 3;
/// How long wrong PINs are remembered.
pub const WRONG_WINDOW: Duration = Duration::from_secs(5 * 60);
/// How long a card waits after [`WRONG_MAX`] wrong PINs.
pub const LOCKED_FOR: Duration = Duration::from_secs(5 * 60);
/// Cards remembered at once. When full the one whose last wrong PIN is oldest is forgotten: filling it takes as many
/// different valid cards, each of which would be granted its own tries anyway.
pub const LOCKOUT_MAX_CARDS: usize = 4096;

/// How often a PIN may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutSettings {
    /// Wrong PINs within `window` that lock the card; 0 never locks.
    pub wrong_max: u8,
    /// How long a wrong PIN is remembered.
    pub window: Duration,
    /// How long the card is then locked.
    pub locked_for: Duration,
}

impl Default for LockoutSettings {
    fn default() -> Self {
        Self { wrong_max: WRONG_MAX, window: WRONG_WINDOW, locked_for: LOCKED_FOR }
    }
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u8,
    first: Duration,
    locked_until: Option<Duration>,
}

/// Who has entered wrong PINs. `now` is monotonic time since any fixed start; the state is lost on restart, which
/// gives an attacker one more round of tries per restart and nothing else.
#[derive(Debug)]
pub struct Lockout {
    settings: LockoutSettings,
    tries: HashMap<CardId, Tries>,
    order: VecDeque<CardId>,
}

impl Lockout {
    /// Nobody has tried yet.
    pub fn new(settings: LockoutSettings) -> Self {
        Self { settings, tries: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether the card must wait.
    pub fn is_locked(&self, card: CardId, now: Duration) -> bool {
        self.tries.get(&card).and_then(|tries| tries.locked_until).is_some_and(|until| now < until)
    }

    /// Notes a wrong PIN; `true` if this one locked the card.
    pub fn wrong(&mut self, card: CardId, now: Duration) -> bool {
        if self.settings.wrong_max == 0 || self.is_locked(card, now) {
            return false;
        }
        let old =
            |tries: &Tries| tries.locked_until.is_some() || now.saturating_sub(tries.first) >= self.settings.window;
        if self.tries.get(&card).is_some_and(old) {
            self.tries.remove(&card);
        }
        let fresh = Tries { wrong: 0, first: now, locked_until: None };
        let tries = self.tries.entry(card).or_insert(fresh);
        tries.wrong = tries.wrong.saturating_add(1);
        let locked = tries.wrong >= self.settings.wrong_max;
        if locked {
            tries.locked_until = Some(now.saturating_add(self.settings.locked_for));
        }
        self.order.retain(|other| *other != card);
        self.order.push_back(card);
        if self.order.len() > LOCKOUT_MAX_CARDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.tries.remove(&oldest);
        }
        locked
    }

    /// Notes a right PIN: earlier wrong ones are forgotten.
    pub fn right(&mut self, card: CardId) {
        self.tries.remove(&card);
        self.order.retain(|other| *other != card);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: CardId = CardId([1; 16]);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_pin_is_four_to_eight_digits() {
        for good in ["0000", "12345678"] {
            assert!(Pin::new(good).is_ok(), "{good}");
        }
        for bad in ["", "123", "123456789", "12a4", "１２３４", "-123", " 1234"] {
            assert_eq!(Pin::new(bad).unwrap_err(), PinError, "{bad}");
        }
    }

    #[test]
    fn the_hash_depends_on_key_card_digits_and_their_number() {
        let key = PinKey::new([7; 32]);
        let hash = |digits: &str| key.hash(CARD, &Pin::new(digits).unwrap());
        assert_eq!(hash("1234"), hash("1234"));
        assert_ne!(hash("1234"), hash("12340"));
        assert_ne!(hash("1234"), key.hash(CardId([2; 16]), &Pin::new("1234").unwrap()));
        assert_ne!(hash("1234"), PinKey::new([8; 32]).hash(CARD, &Pin::new("1234").unwrap()));
    }

    #[test]
    fn nothing_prints_a_pin() {
        let pin = Pin::new("4711").unwrap();
        let key = PinKey::new([0x47; 32]);
        let printed = format!("{pin:?} {key:?} {:?}", key.hash(CARD, &pin));
        assert_eq!(printed, "Pin(redacted) PinKey(redacted) PinHash(redacted)");
    }

    #[test]
    fn the_third_wrong_pin_within_the_window_locks_for_a_time() {
        let mut lockout = Lockout::new(LockoutSettings::default());
        assert!(!lockout.wrong(CARD, secs(0)));
        assert!(!lockout.wrong(CARD, secs(1)));
        assert!(!lockout.is_locked(CARD, secs(1)));
        assert!(lockout.wrong(CARD, secs(2)));
        assert!(lockout.is_locked(CARD, secs(2)) && lockout.is_locked(CARD, secs(301)));
        assert!(!lockout.is_locked(CardId([2; 16]), secs(2)));
        // Tries while it is locked do not prolong it; afterwards there are three again.
        assert!(!lockout.wrong(CARD, secs(300)));
        assert!(!lockout.is_locked(CARD, secs(302)));
        assert!(!lockout.wrong(CARD, secs(303)) && !lockout.wrong(CARD, secs(304)) && lockout.wrong(CARD, secs(305)));
    }

    #[test]
    fn a_right_pin_and_the_end_of_the_window_forget_wrong_ones() {
        let mut lockout = Lockout::new(LockoutSettings::default());
        assert!(!lockout.wrong(CARD, secs(0)) && !lockout.wrong(CARD, secs(1)));
        lockout.right(CARD);
        assert!(!lockout.wrong(CARD, secs(2)) && !lockout.wrong(CARD, secs(3)));
        assert!(!lockout.wrong(CARD, secs(302)), "the first of these is older than the window");
        let mut never = Lockout::new(LockoutSettings { wrong_max: 0, ..LockoutSettings::default() });
        assert!((0..100).all(|second| !never.wrong(CARD, secs(second))));
    }

    #[test]
    fn the_number_of_cards_remembered_is_bounded() {
        let mut lockout = Lockout::new(LockoutSettings::default());
        for no in 0..LOCKOUT_MAX_CARDS as u64 + 10 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&no.to_be_bytes());
            lockout.wrong(CardId(id), secs(0));
        }
        assert_eq!((lockout.tries.len(), lockout.order.len()), (LOCKOUT_MAX_CARDS, LOCKOUT_MAX_CARDS));
    }
}
