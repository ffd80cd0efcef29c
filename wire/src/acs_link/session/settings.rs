//! What a session is told at its beginning: who we are, what both journals hold, and what time it is. Owns the limits
//! that the specification sets on them. May import the messages and frames.

use std::time::Duration;

use domain::UtcMillis;

use super::super::frame::FRAME_MAX;
use super::super::message::Role;
use super::super::token::{Token, Uuid, Version};

/// The versions that we speak.
pub const VERSIONS: (Version, Version) = (Version::V1_0, Version::V1_0);
/// A Hello, and the Welcome to it, arrive this long after the connection stands.
pub const HELLO_TIME: Duration = Duration::from_secs(5);
/// Shortest and longest interval of heartbeats.
pub const HEARTBEAT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);
/// Usual interval of heartbeats.
pub const HEARTBEAT_USUAL: Duration = Duration::from_secs(5);
/// Heartbeats missed before a peer counts as gone.
pub const HEARTBEATS_MISSED: u32 = 3;
/// Usual number of durable messages on their way without an acknowledgement.
pub const WINDOW_USUAL: u16 = 256;

/// Who began the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We connected, and say Hello.
    Connector,
    /// We accepted, and say Welcome.
    Acceptor,
}

/// Who we are and what we want.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our role; the peer must have the other one.
    pub role: Role,
    /// Our name.
    pub node: Token,
    /// Made when our journal was created.
    pub epoch: Uuid,
    /// The longest frame that we take, in bytes; brought between 4,096 and 65,536.
    pub max_frame: u32,
    /// How often both ends send a heartbeat: said by the acceptor. Brought into [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// How many durable messages may be on their way, at least 1: said by the acceptor, for both directions.
    pub window: u16,
    /// What we can do.
    pub caps: Vec<Token>,
}

impl Settings {
    /// The usual settings.
    pub fn new(role: Role, node: Token, epoch: Uuid) -> Self {
        let (max_frame, heartbeat, window) = (FRAME_MAX, HEARTBEAT_USUAL, WINDOW_USUAL);
        Self { role, node, epoch, max_frame, heartbeat, window, caps: Vec::new() }
    }
}

/// What our journals say about this peer when the connection begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Positions {
    /// The highest number that our journal ever gave to a message for this peer in our present epoch; 0 if none.
    pub last: u64,
    /// The highest of them that this peer has acknowledged; `None` if it never acknowledged one **in our present
    /// epoch**. Then an acceptor does not believe what the Hello claims to hold, as that may count an older journal of
    /// ours: it begins at 1, and the peer's next word says where to go on.
    pub acked: Option<u64>,
    /// The peer's epoch and the highest number that we durably hold of it; `None` if we hold nothing of this peer.
    pub held: Option<(Uuid, u64)>,
}

/// What time it is, in both senses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, since any fixed start: the same start in every call.
    pub mono: Duration,
    /// The wall clock.
    pub wall: UtcMillis,
}

/// Fills a slice with the operating system's random bytes: for the ids of messages.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;
