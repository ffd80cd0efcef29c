//! The executable: reads the command line and the configuration, composes the programs, waits.

mod cli;
mod commands;
mod config;

fn main() {}
