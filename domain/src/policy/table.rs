//! The credential table: one cache line a card, one flat open-addressing array, linear probing.

use super::{Credential, PassKind, PassState};
use crate::card::SealedNumber;
use crate::ids::{CardId, PersonId};
use crate::keyed::hash16;
use crate::pin::PinHash;
use crate::time::UtcMillis;

/// One card as the policy knows it. 64 bytes, so that looking one up costs one line of memory.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Pass {
    card: CardId,
    person: PersonId,
    from: i64,
    until: i64,
    /// Position of its PINs: few cards have one, so PINs stand aside.
    pins: u32,
    /// Position of its sealed number: kept only where a device must be told it.
    number: u32,
    category: u16,
    kind: PassKind,
    state: PassState,
    one_time: bool,
}

const _: () = assert!(size_of::<Option<Pass>>() == 64);

impl Pass {
    /// The card.
    pub const fn card(&self) -> CardId {
        self.card
    }

    /// Its holder.
    pub const fn person(&self) -> PersonId {
        self.person
    }

    /// Position in [`super::Layout::categories`].
    pub const fn category(&self) -> u16 {
        self.category
    }

    /// What kind of pass it is.
    pub const fn kind(&self) -> PassKind {
        self.kind
    }

    /// Whether it works.
    pub const fn state(&self) -> PassState {
        self.state
    }

    /// Whether it opens one entry only.
    pub const fn one_time(&self) -> bool {
        self.one_time
    }

    /// First instant at which it is valid; the beginning of time if it has none.
    pub const fn valid_from(&self) -> UtcMillis {
        UtcMillis(self.from)
    }

    /// First instant at which it is no longer valid; the end of time if it has none.
    pub const fn valid_until(&self) -> UtcMillis {
        UtcMillis(self.until)
    }

    /// Whether its first valid instant is still to come.
    pub const fn not_yet_valid(&self, now: UtcMillis) -> bool {
        now.0 < self.from
    }

    /// Whether its last valid instant has gone by.
    pub const fn expired(&self, now: UtcMillis) -> bool {
        now.0 >= self.until
    }
}

/// The PINs of a card that has any.
#[derive(Clone, Copy, Debug)]
pub struct Pins {
    /// The ordinary one.
    pub pin: Option<PinHash>,
    /// The one entered under duress.
    pub duress: Option<PinHash>,
}

/// Slots for each card, as a fraction: about 1.7 slots looked at for a hit, and 107 MB for a million cards.
const SLOTS: (usize, usize) = (5, 3);

/// Cards by pseudonym.
#[derive(Clone, Debug)]
pub struct Table {
    slots: Vec<Option<Pass>>,
    pins: Vec<Pins>,
    numbers: Vec<SealedNumber>,
    len: usize,
    seed: u64,
}

/// Stands for "it has none" where a pass says where its PINs or its number are.
const NONE: u32 = u32::MAX;

impl Table {
    /// Room for `expected` cards; it grows if more come.
    pub fn new(seed: u64, expected: usize) -> Self {
        Self { slots: vec![None; slots_for(expected)], pins: Vec::new(), numbers: Vec::new(), len: 0, seed }
    }

    /// How many cards.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Pass>>()
            + self.pins.capacity() * size_of::<Pins>()
            + self.numbers.capacity() * size_of::<SealedNumber>()
    }

    /// Adds a card; `false`, and nothing is changed, if it is there already.
    pub fn insert(&mut self, new: &Credential) -> bool {
        if slots_for(self.len + 1) > self.slots.len() {
            self.grow();
        }
        let slot = probe(&self.slots, self.seed, new.card);
        if self.slots[slot].is_some() {
            return false;
        }
        let mut pins = NONE;
        if new.pin.is_some() || new.duress_pin.is_some() {
            pins = self.pins.len() as u32;
            self.pins.push(Pins { pin: new.pin, duress: new.duress_pin });
        }
        let mut number = NONE;
        if let Some(sealed) = new.number {
            number = self.numbers.len() as u32;
            self.numbers.push(sealed);
        }
        self.slots[slot] = Some(Pass {
            card: new.card,
            person: new.person,
            from: new.valid_from.map_or(i64::MIN, |at| at.0),
            until: new.valid_until.map_or(i64::MAX, |at| at.0),
            pins,
            number,
            category: new.category,
            kind: new.kind,
            state: new.state,
            one_time: new.one_time,
        });
        self.len += 1;
        true
    }

    /// The card's pass.
    #[inline]
    pub fn get(&self, card: CardId) -> Option<&Pass> {
        self.slots[probe(&self.slots, self.seed, card)].as_ref()
    }

    /// The card's PINs.
    pub fn pins(&self, pass: &Pass) -> Option<&Pins> {
        self.pins.get(pass.pins as usize)
    }

    /// The card's sealed number.
    pub fn number(&self, pass: &Pass) -> Option<SealedNumber> {
        self.numbers.get(pass.number as usize).copied()
    }

    /// Whether any card has a sealed number.
    pub const fn has_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// All cards, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Pass> {
        self.slots.iter().flatten()
    }

    fn grow(&mut self) {
        let mut bigger = vec![None; slots_for((self.len + 1).saturating_mul(2))];
        for pass in self.slots.iter().flatten() {
            let slot = probe(&bigger, self.seed, pass.card);
            bigger[slot] = Some(*pass);
        }
        self.slots = bigger;
    }
}

/// Always more than `cards`, so that probing ends at an empty slot.
fn slots_for(cards: usize) -> usize {
    cards.saturating_mul(SLOTS.0) / SLOTS.1 + 8
}

/// The slot that holds the card, or the empty one where it would go.
#[inline]
fn probe(slots: &[Option<Pass>], seed: u64, card: CardId) -> usize {
    // Multiply-shift into the range: the array need not be a power of two.
    let mut slot = ((u128::from(hash16(seed, &card.0)) * slots.len() as u128) >> 64) as usize;
    loop {
        match &slots[slot] {
            Some(pass) if pass.card != card => {
                slot += 1;
                if slot == slots.len() {
                    slot = 0;
                }
            }
            _ => return slot,
        }
    }
}
