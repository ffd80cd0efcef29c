//! What each subcommand does. One file a subcommand; all of them answer with an exit code.

pub mod accounts;
pub mod demo;
pub mod journal;
pub mod osdp;
pub mod people;
pub mod policy;
pub mod run;
pub mod sim;
