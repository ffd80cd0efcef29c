//! Patients at desks, told on both engines: visits by card and without it, appointments, and where everybody is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod appointments;
mod clinic_of;
mod ends;
mod faults;
mod model;
mod page;
#[path = "../desk/scene.rs"]
#[allow(dead_code, reason = "shared with the tests of desks")]
mod scene;
mod taps;
mod whereabouts;
mod without_card;
