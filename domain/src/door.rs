//! The door: what a turnstile, door or barrier does between a grant and the moment somebody went through.
//!
//! Owns the state of one access point's hardware. Never decides who may pass. Sans-IO: inputs and monotonic `now`
//! in, outputs and the next deadline out. May import `event` and `ids`.
//!
//! # Run loop
//! ```text
//! loop {
//!     wait for an input or until door.deadline();
//!     door.handle(now, input, &mut outputs)   or   door.tick(now, &mut outputs);
//!     carry out the outputs in their order;
//! }
//! ```
//! `now` is time since any fixed start and never goes back (an earlier value counts as the latest seen).
//!
//! # One grant at a time
//! While a grant is being taken the point takes no other: [`Door::condition`] says `Busy` to another holder or the
//! other direction, and [`Door::repeats`] is `true` for a second tap of the same holder in the same direction, which
//! the gateway answers with the green light again and records as a tap only. A queue would let whoever stands behind
//! go through on the grant of one who turned away, and would record the wrong person.
//!
//! # Every grant ends once
//! Each [`Input::Grant`] leads to exactly one fact `passed` or `not_taken`. A grant that the door cannot take (the
//! decision raced with a command) ends in `not_taken` at once and releases nothing. Where passage cannot be seen it
//! is assumed, and the fact says so: at a point without a contact, at a door that stands open already, and when on
//! free passage or in an emergency the next holder taps before the contact told of the one before.
//!
//! # Life safety
//! Emergency opens and stays open, whatever was ordered, locked and interlocked doors included. An exit request
//! always releases, at a locked door too. Nothing that happened at a door while a gateway was away is made up: the
//! first report of a contact is taken as it is, and an open door then is open, not forced.

mod debounce;
mod machine;

use std::time::Duration;

pub use machine::{Door, interlocked};

use crate::event::{Kind, Reason};
use crate::ids::{CardId, Direction, PersonId};

/// How long a release lasts unless configured, in milliseconds (F-08: at least 3 s).
pub const RELEASE_DEFAULT_MS: u32 = 3000;
/// Shortest and longest release that may be configured, in milliseconds.
pub const RELEASE_RANGE_MS: std::ops::RangeInclusive<u32> = 500..=60_000;
/// Shortest and longest time that a door may be allowed to stand open, in milliseconds.
pub const HELD_RANGE_MS: std::ops::RangeInclusive<u32> = 1000..=3_600_000;
/// How long a door may stand open unless configured, in milliseconds.
pub const HELD_DEFAULT_MS: u32 = 30_000;
/// Inputs shorter than this are ignored unless configured, in milliseconds.
pub const DEBOUNCE_DEFAULT_MS: u32 = 50;
/// Longest debounce that may be configured: an input longer than 400 ms must always be seen.
pub const DEBOUNCE_MAX_MS: u32 = 400;

/// How long after the release a controller's report is waited for, in milliseconds.
pub const REPORT_GRACE_MS: u32 = 5000;

/// What the hardware is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoorKind {
    /// The contact is the rotor's pulse: one pulse, one person. The release ends with it.
    Turnstile,
    /// The contact is active while the door is open. The release ends when it closes again.
    Door,
    /// The contact is active while the boom is up or a vehicle is under it; as a door.
    Barrier,
}

/// How a point is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorSettings {
    /// What it is.
    pub kind: DoorKind,
    /// How long it is released for a grant.
    pub release_ms: u32,
    /// How long it may stand open before it is held.
    pub held_ms: u32,
    /// Shorter changes of inputs are ignored. Brought to at most [`DEBOUNCE_MAX_MS`].
    pub debounce_ms: u32,
    /// Whether passage can be seen by a rotor or door contact, or is reported.
    pub watched: bool,
    /// The door belongs to a controller that reports what became of a grant ([`Input::Outcome`]): one that says
    /// nothing ends with the reason `report_missing`, [`REPORT_GRACE_MS`] after the release.
    pub reported: bool,
}

impl DoorSettings {
    /// A watched point with the default times.
    pub const fn new(kind: DoorKind) -> Self {
        Self {
            kind,
            release_ms: RELEASE_DEFAULT_MS,
            held_ms: HELD_DEFAULT_MS,
            debounce_ms: DEBOUNCE_DEFAULT_MS,
            watched: true,
            reported: false,
        }
    }
}

/// For whom a point is released. Nobody is known at a free passage or a soft point with an unknown card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holder {
    /// The card that was tapped.
    pub card: Option<CardId>,
    /// Its holder.
    pub person: Option<PersonId>,
}

/// What a person ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Back to normal from `Lock` or `FreePassage` (not from an emergency).
    Normal,
    /// No card opens; exit requests and emergency do.
    Lock,
    /// Open for everybody until `Normal`.
    FreePassage,
    /// Open once, in a direction, without a card.
    OpenOnce(Direction),
    /// Fire input or emergency release is active: open and stay open, whatever else was ordered.
    Emergency,
    /// The emergency is over: back to what was ordered before it.
    EmergencyEnd,
}

/// What happens to a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A granted decision, recorded: release for this holder.
    Grant(Direction, Holder),
    /// Rotor or door contact: active (turned, open) or not.
    Contact(bool),
    /// Request-to-exit button or sensor.
    ExitRequest(bool),
    /// A controller reports how a release ended: somebody passed, or nobody did.
    Outcome(bool),
    /// A person's order or the fire input.
    Order(Order),
}

/// What happened at the door, to be recorded: the gateway adds time, point and reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// `passed`, `not_taken`, `forced`, `forced_end`, `held`, `held_end` or `exit_request`.
    pub kind: Kind,
    /// Why, where there is a why (`free_passage`, `emergency`, `point_busy`, `point_locked`).
    pub reason: Option<Reason>,
    /// Which way, where it is known.
    pub direction: Option<Direction>,
    /// Who, where it is known.
    pub holder: Holder,
    /// Passage was not seen but assumed.
    pub assumed: bool,
}

/// What the gateway must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Energise the release for so long from now; replaces an earlier release and a hold. Never latched: free passage repeats
    /// it in time, so that a gateway that dies leaves the point closed.
    Release(Duration),
    /// End the release now.
    Secure,
    /// Emergency only: open and stay open even if the gateway dies.
    HoldOpen,
    /// Record this.
    Fact(Fact),
}

/// What a page shows of the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoorState {
    /// Closed.
    Secured,
    /// Closed and released.
    Released,
    /// Open after a grant, exit request or order.
    Open,
    /// Open without one.
    Forced,
    /// Open for too long.
    Held,
    /// Locked by command.
    Locked,
    /// On free passage by command.
    FreePassage,
    /// Opened by the fire input or emergency release.
    Emergency,
}

#[cfg(test)]
mod tests;
