//! The control panel against scripted readers, attackers and bad cables, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod behaviour;
mod peer;
mod pitfalls;
