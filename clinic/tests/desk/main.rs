//! Who is bound to which workstation, told on both engines: taps out of the feed of events, the second factor, idleness,
//! cards that stop working.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod factor;
mod scene;
mod taps;
mod timer;
mod words;
