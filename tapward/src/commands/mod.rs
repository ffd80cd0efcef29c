//! What each subcommand does. One file a subcommand; all of them answer with an exit code.

pub mod accounts;
pub mod acs_link;
pub mod agent;
pub mod audit;
pub mod demo;
pub mod feeds;
pub mod journal;
pub mod osdp;
pub mod peers;
pub mod people;
pub mod policy;
pub mod privacy;
pub mod run;
pub mod sim;
pub mod till;
mod till_books;
mod till_lists;
pub mod vault;

/// Whether the reader of our output has gone, as in `tapward people list | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
