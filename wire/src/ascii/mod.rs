//! Desktop readers at workstations and enrolment desks: virtual COM ports that print one line a card.
//!
//! Owns: cutting a byte stream into lines, reading those lines by the profile of one reader model, and, for readers
//! that must be asked, when to ask. Never: opens a port, looks at a clock, decides who a card belongs to. May import
//! `domain` only.
//!
//! # Run loop
//! A [`Source`] is one reader. Whoever owns the port repeats:
//! 1. [`Source::next`]: write what it says, or wait until that time or until bytes come;
//! 2. hand bytes read to [`Source::on_bytes`] and keep what it did not take;
//! 3. drain [`Source::poll_event`].
//!
//! A reading has no age: these readers keep no history, and a line that nobody read is gone.

mod identity;
mod ironlogic;
mod line;
mod pattern;
mod reading;
mod source;
mod twn;

pub use identity::IdentityRule;
pub use line::{LINE_MAX_BYTES, LineReader, TooLong};
pub use pattern::{Pattern, PatternError};
pub use reading::{IDENTIFIER_MAX_BYTES, Identifier, Reading, Rejection};
pub use source::{Counters, EVENTS_MAX, Event, Profile, Source, Step};
pub use twn::{TWN4_MISSES_TO_REMOVE, TWN4_POLL_EVERY, TWN4_REPLY_TIMEOUT};
