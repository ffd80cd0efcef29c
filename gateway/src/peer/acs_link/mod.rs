//! acs-link peers: controllers and access control servers that speak our XML messaging (specification: acs-link 1.0;
//! messages and session: [`wire::acs_link`]).
//!
//! | module | owns |
//! |---|---|
//! | [`tls`] | certificates: who we are, whom we believe, which node a certificate names |
//! | [`listener`], [`dial`] | connections, made to us or by us, until it is known who is there |
//! | [`switchboard`] | handing connections to the tasks of their nodes |
//! | `task`, `talk` | one peer: its connections one after another, and the talk on each |
//! | `intake` | what the peer reports: durable first, then acknowledged |
//! | `asks`, `events`, `points`, `ages` | translation: questions, events, places, times |
//! | `outgoing` | orders and passes on their way to the peer: durable first, then sent |
//! | `telling`, `plan`, `aim` | which passes the peer should know, and what it lacks |
//! | `nags` | how often an operator hears of the same trouble |
//!
//! Never decides who may pass: questions go to the core, and the peer's own decisions are reported as such.
//!
//! # Memory
//! A peer that is connected and idle takes about 20 kB (`scripts/bench acs_peers`), mostly buffers. The worst peer that
//! has proved who it is takes below 3 MB: [`intake::WAITING_MAX_BYTES`] of reports, a megabyte of the session, and what
//! waits to be sent ([`outgoing::LOADED_MAX`] messages). While passes are compared, 100 bytes a pass, for two peers of
//! a gateway at a time.

mod ages;
mod aim;
mod asks;
mod dial;
mod events;
pub mod intake;
pub mod listener;
mod nags;
pub mod outgoing;
mod plan;
mod points;
mod stream;
pub mod switchboard;
mod talk;
mod task;
mod telling;
pub mod tls;
mod turns;

pub use listener::{listen, prepare};
pub use switchboard::Switchboard;
pub use task::run;

use wire::acs_link::session::Random;

/// Randomness for ids and epochs.
fn fill_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Ids that repeat would make messages be taken for others; the process cannot do its work any more.
        tracing::error!(%error, "the operating system gives no random bytes");
        std::process::abort();
    }
}

fn random() -> Random {
    Box::new(fill_random)
}

/// A number from 0 up to and without `bound`; 0 for 0. Not quite even, which a jitter need not be.
fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_le_bytes(bytes) % bound.max(1)
}
