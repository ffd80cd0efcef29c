//! Messages between gateways and the bridge: what they say, their bytes, and whom they may be believed from.
//!
//! Owns: the envelopes ([`Up`] from a gateway, [`Down`] to a gateway, [`PolicyChunk`]), their limits, the topic
//! names, the authentication of everything that goes down ([`LinkKey`], [`KeyRing`]) and the admission of commands
//! ([`CommandGuard`]).
//! Never: opens a connection, remembers what was delivered (that is the journal's cursor), reads a clock.
//! May import: `domain`.
//!
//! Envelopes are JSON, `{"v":1,"type":"events",…}`. A field that this version does not know is ignored; another `v`
//! is refused; a missing or wrong field is an error that names it (`entries[3].kind`). Policy chunks are binary, see
//! [`PolicyChunk`]. The transport is not trusted: whoever can write to the broker can neither forge nor change an
//! [`Ack`], a [`PolicyOffer`] or a [`Command`], because each carries an HMAC-SHA256 that [`Down::decode`] checks
//! before anything else sees it.
//!
//! The rules of delivery, which both ends keep:
//! 1. Entries are sent in order from a cursor, several batches at once at most; nothing counts as delivered until an
//!    [`Ack`] says so. An ack is given only after the receiver's commit.
//! 2. An ack is cumulative and may go backwards: then the receiver lacks something and the gateway rewinds.
//! 3. A batch that does not continue what the receiver has is not stored; it is answered with an ack of what it has.
//! 4. Every [`Status`] is answered with an ack if the receiver has less than `last_seq`. So loss of any message is
//!    repaired within one status period even if nobody notices the loss.
//! 5. On every `Connected` of the transport the gateway sends again from its cursor.

mod auth;
mod chunk;
mod down;
mod status;
mod topic;
mod up;

pub use auth::{CommandGuard, CommandRefused, KeyError, KeyRing, LinkKey};
pub use chunk::{ChunkError, PolicyAssembly, PolicyChunk, is_chunk};
pub use down::{Ack, Action, Command, CommandId, Down, PolicyOffer};
pub use status::{DoorState, DoorStatus, LineStatus, PeerKind, PeerStatus, ReaderState, ReaderStatus, Status};
pub use topic::{Channel, Topic, TopicError};
pub use up::{ChunkRequest, CommandOutcome, CommandResult, EventBatch, Up};

use thiserror::Error;

/// Major version of the envelopes.
pub const VERSION: u64 = 1;
/// Longest message in bytes; brokers are configured for the same number.
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;
/// Most entries in one batch.
pub const BATCH_MAX_ENTRIES: usize = 500;
/// Most lines, readers or doors in one status message; [`Status::split`] makes several.
pub const STATUS_MAX_ITEMS: usize = 200;
/// Longest free text in a message (reason, model, address …), in bytes.
pub const TEXT_MAX_BYTES: usize = 200;
/// Data bytes in a policy chunk, except the last.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Most chunks that one [`ChunkRequest`] may ask for.
pub const CHUNK_REQUEST_MAX: u32 = 16;
/// Largest policy snapshot in bytes: room for a million credentials, a bound on what a gateway will collect.
pub const POLICY_MAX_BYTES: u64 = 160 * 1024 * 1024;

/// Why a message was not understood, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BusError {
    /// Longer than [`MESSAGE_MAX_BYTES`].
    #[error("the message has {0} bytes, at most {MESSAGE_MAX_BYTES} are allowed")]
    TooLong(usize),
    /// Not JSON.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// Another major version.
    #[error("the message has version {0}, this program speaks version {VERSION}; bring both programs to one release")]
    Version(u64),
    /// A type that this end does not take.
    #[error("the message has the unknown type {0:?}")]
    Type(String),
    /// A field is absent.
    #[error("{0} is missing")]
    Missing(String),
    /// A field has a wrong value.
    #[error("{field}: {problem}")]
    Field {
        /// Path of the field, for example `entries[3].kind`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list is longer than its limit.
    #[error("{field} has {count} items, at most {limit} are allowed")]
    TooMany {
        /// Path of the list.
        field: String,
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// For another gateway.
    #[error("the message is for gateway {0}")]
    NotForUs(String),
    /// Made with a key that this gateway does not have.
    #[error("the message is authenticated with the unknown key {0:?}")]
    UnknownKey(String),
    /// The authentication code is wrong: somebody else wrote it, or it was changed on the way.
    #[error("the message's authentication code is wrong")]
    BadMac,
}
