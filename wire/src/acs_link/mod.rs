//! acs-link 1.0: XML messages between an access control server or turnstile controller and the gateway.
//!
//! | module | owns |
//! |---|---|
//! | [`token`], [`instant`], [`credential`], [`code`] | the checked values of which messages are made |
//! | [`message`] | the messages |
//! | [`digest`] | the digest of a full resync |
//! | [`read`](mod@read) | a complete document to a message, strictly |
//! | [`write`](mod@write) | a message to a document |
//! | [`frame`] | lengths before documents |
//! | [`session`] | a connection's talk, both roles and both sides |
//!
//! Nothing here reads a clock, draws randomness or touches a socket. Nothing here panics on input from a peer, and every
//! buffer is bounded. The schema is `docs/protocol/acs-link.xsd`: it is for tests and partners, the reader decides.

pub mod code;
pub mod credential;
pub mod digest;
pub mod frame;
pub mod instant;
pub mod message;
pub mod read;
mod scan;
pub mod session;
pub mod token;
pub mod write;

pub use code::{Code, Refusal};
pub use credential::{CredFormat, Credential, NotCard};
pub use instant::Instant;
pub use message::{Body, Kind, Msg, Role, Stream};
pub use read::read;
pub use session::{Event, Now, Positions, Session, Settings};
pub use token::{ErrCode, Misfit, Reason, Text, Token, Uuid, Version};
pub use write::{to_vec, write};

/// The namespace of every element.
pub const NAMESPACE: &str = "urn:acs-link:1";
/// The protocol's name in TLS (ALPN).
pub const ALPN: &[u8] = b"acs-link/1";
/// What precedes a node's name in its certificate.
pub const NODE_URI: &str = "urn:acs-link:node:";
