//! acs-link peers end to end: a real gateway, a real journal, TLS with certificates of a made-up site, and a node that
//! speaks by the session of `wire`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs;
mod commands;
mod faults;
mod identity;
mod passing;
mod rig;
mod site;
