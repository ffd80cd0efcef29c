//! A turnstile controller that speaks acs-link: points with readers and rotors, a cache of issued passes for when
//! the link is down, a durable queue of what happened, and faults on demand.
//!
//! Owns one controller's behaviour from the card to the rotor and from the queue to the socket. Never decides about a
//! card while the gateway answers in time. May import `wire::acs_link`, and of this crate the gate, the passage and
//! the record of taps.

mod controller;
mod file;
mod memory;
mod passes;
mod settings;
mod stream;
mod task;
mod tls;
mod turnstile;

pub use controller::ControllerState;
pub use file::{FileError, RecordFile};
pub use memory::{Memory, MemoryError, QUEUE_MAX};
pub use passes::{Found, Pass, Passes, Sync, Verdict};
pub use settings::{Link, Settings, Tls};
pub(crate) use task::AcsTask;
pub use turnstile::Mode;
