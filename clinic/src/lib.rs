//! In preparation.

pub mod accounts;
