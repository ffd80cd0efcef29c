//! The identity vault: the same stories on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod bucket;
mod dump;
mod erasure;
mod keys;
mod looks;
mod photos;
mod scene;
