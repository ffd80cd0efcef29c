//! How things look on a line, both ends: OSDP, desktop readers, acs-link, ISAPI, ParsecNET 3, HL7 v2, bus envelopes.
//!
//! This crate is pure: bytes and `now` in, bytes, events and deadlines out.

pub mod acs_link;
pub mod ascii;
pub mod bus;
pub mod hl7;
pub mod isapi;
mod json;
pub mod osdp;
pub mod parsec;
pub mod snapshot;
