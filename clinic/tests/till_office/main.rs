//! Setting up the till, told on both engines: services and prices, price lists from files, groups and contracts with their
//! members and pots, terms, scales of discounts, overrides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod lists;
mod prices;
mod scene;
mod terms;
