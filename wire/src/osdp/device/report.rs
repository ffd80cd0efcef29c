//! What a device has to say at the next POLL, in the order of haste: card, keys, contacts, tamper and power.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;

use crate::osdp::reply::{CardBits, Characters, Reply};

/// Cards waiting to be fetched; a real reader keeps one or two.
pub const CARDS_MAX: usize = 4;
/// Keys waiting to be fetched.
pub const KEYS_MAX: usize = 64;
/// Changes of contacts waiting to be fetched. Beyond that the newest state replaces the one before it: the level is
/// always right in the end, a pulse may be lost.
pub const INPUT_CHANGES_MAX: usize = 32;

/// Too much waits already; the panel does not fetch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the reader's queue is full: its panel does not fetch")]
pub struct QueueFull;

/// Which card an event is about: 1, 2, 3 … in the order presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardTag(pub u64);

/// Tamper and power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Local {
    pub(super) tamper: bool,
    pub(super) power_failed: bool,
}

/// All that waits. No `Debug`: keys are somebody's PIN.
pub(super) struct Reports {
    cards: VecDeque<(CardTag, Duration, CardBits)>,
    tags: u64,
    keys: Vec<u8>,
    inputs: Vec<u8>,
    input_changes: VecDeque<Vec<u8>>,
    local: Local,
    local_changes: VecDeque<Local>,
}

impl Reports {
    pub(super) fn new(inputs: u8) -> Self {
        Self {
            cards: VecDeque::new(),
            tags: 0,
            keys: Vec::new(),
            inputs: vec![0; inputs.into()],
            input_changes: VecDeque::new(),
            local: Local::default(),
            local_changes: VecDeque::new(),
        }
    }

    pub(super) fn push_card(&mut self, until: Duration, card: CardBits) -> Result<CardTag, QueueFull> {
        if self.cards.len() >= CARDS_MAX {
            return Err(QueueFull);
        }
        self.tags += 1;
        self.cards.push_back((CardTag(self.tags), until, card));
        Ok(CardTag(self.tags))
    }

    pub(super) fn push_keys(&mut self, keys: &[u8]) -> Result<(), QueueFull> {
        if self.keys.len() + keys.len() > KEYS_MAX {
            return Err(QueueFull);
        }
        self.keys.extend_from_slice(keys);
        Ok(())
    }

    pub(super) fn set_input(&mut self, input: u8, active: bool) {
        let Some(state) = self.inputs.get_mut(usize::from(input)) else { return };
        if *state == u8::from(active) {
            return;
        }
        *state = u8::from(active);
        push_change(&mut self.input_changes, self.inputs.clone());
    }

    pub(super) fn set_local(&mut self, change: impl FnOnce(&mut Local)) {
        let before = self.local;
        change(&mut self.local);
        if self.local != before {
            push_change(&mut self.local_changes, self.local);
        }
    }

    /// The most urgent report, and the card's tag if it is a card.
    pub(super) fn pop(&mut self) -> Option<(Reply, Option<CardTag>)> {
        if let Some((tag, _, card)) = self.cards.pop_front() {
            // Wiegand frames carry parity; a UID is just bits.
            let format = u8::from(matches!(card.bits(), 26 | 34 | 37));
            return Some((Reply::Raw { reader: 0, format, card }, Some(tag)));
        }
        if !self.keys.is_empty() {
            let keys = Characters::new(std::mem::take(&mut self.keys));
            return Some((Reply::Keypad { reader: 0, keys }, None));
        }
        if let Some(inputs) = self.input_changes.pop_front() {
            return Some((Reply::Inputs(inputs), None));
        }
        let local = self.local_changes.pop_front()?;
        Some((Reply::LocalStatus { tamper: local.tamper, power_failed: local.power_failed }, None))
    }

    /// ISTAT: the level now. Changes waiting are kept: they are edges.
    pub(super) fn inputs(&self) -> Vec<u8> {
        self.inputs.clone()
    }

    pub(super) fn local(&self) -> Local {
        self.local
    }

    /// The next card that waited too long. Call until `None`.
    pub(super) fn expire(&mut self, now: Duration) -> Option<CardTag> {
        let (tag, until, _) = self.cards.front()?;
        let tag = (*until <= now).then_some(*tag)?;
        self.cards.pop_front();
        Some(tag)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.cards.front().map(|(_, until, _)| *until)
    }

    /// Switched off: nothing waits any more, contacts are as they are.
    pub(super) fn forget(&mut self) {
        self.cards.clear();
        self.keys.clear();
        self.input_changes.clear();
        self.local_changes.clear();
    }
}

fn push_change<T>(changes: &mut VecDeque<T>, newest: T) {
    if changes.len() >= INPUT_CHANGES_MAX {
        changes.pop_back();
    }
    changes.push_back(newest);
}
