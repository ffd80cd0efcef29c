//! Services registered for patients, told on both engines: terms, limits, deposits, discounts, orders, taking back, merged
//! records, and many at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod back;
mod clinic_of;
mod many;
mod merge;
mod offers;
mod recalculate;
mod register;
#[path = "../desk/scene.rs"]
#[allow(dead_code, reason = "shared with the tests of desks")]
mod scene;
