//! acs-link: documents against the schema and against libxml2's own tool, hostile input, and sessions that talk to each
//! other through a bad connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod any_message;
mod documents;
mod frames;
mod hostile;
mod mutants;
mod samples;
mod session;
