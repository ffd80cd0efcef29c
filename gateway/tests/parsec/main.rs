//! A ParsecNET server and the gateway's peer task for it: events, questions, passes, orders, and what goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod core;
mod events;
mod independent;
mod passes;
mod trouble;
mod world;
