//! What other systems are told: in order for each patient, once, whatever the system does and however often the program is
//! killed; to peers that we did not write, and to one that lies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod crash;
mod engine;
mod fhir;
mod http;
mod liar;
mod load;
mod medplum;
mod webhook;
mod world;
