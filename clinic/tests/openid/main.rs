//! Sign-in to other systems by card, told on both engines: what answers a request and what does not, codes and tokens, the
//! end of sessions, assertions, confirmations, keys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod attacks;
mod sessions;
mod stage;
mod systems;

#[path = "../desk/scene.rs"]
#[allow(dead_code, reason = "the desk's own tests use more of it")]
mod scene;
