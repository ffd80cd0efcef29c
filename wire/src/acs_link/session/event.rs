//! What a session tells its owner, and what it answers when the owner asks for the impossible. Owns no behaviour. May
//! import the messages.

use std::time::Duration;

use domain::UtcMillis;
use thiserror::Error;

use super::super::code::{Code, Refusal};
use super::super::message::{Bye, ClockState, Failure, Msg, Role};
use super::super::token::{Reason, Token, Uuid, Version};

/// What a session tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Acceptor only: somebody said Hello. To be answered by [`welcome`](super::Session::welcome) with what is held
    /// about this node, or by [`refuse`](super::Session::refuse) if the node is not who its certificate says.
    Hello(PeerHello),
    /// The session stands: messages may be sent.
    Up(Agreed),
    /// The peer's journal began anew: a visible incident. What we held of its old epoch is closed; its numbers begin
    /// at 1.
    EpochChanged {
        /// The one that we knew.
        old: Uuid,
        /// The present one.
        new: Uuid,
    },
    /// The peer holds less than it once acknowledged: it lost its journal, or a backup was restored there. The session
    /// goes on at `held + 1`; an owner whose journal no longer has that message begins a new epoch.
    PeerBehind {
        /// What it holds now.
        held: u64,
        /// What it had acknowledged.
        acked: u64,
    },
    /// The next durable message of the peer. Store it, then say [`committed`](super::Session::committed).
    Durable(Durable),
    /// An AccessRequest or AccessDecision.
    Message(Box<Msg>),
    /// The peer durably holds our messages up to this number.
    Acked {
        /// The highest number that it holds.
        seq: u64,
    },
    /// A heartbeat: what the peer says of its clock and of what still waits there.
    Heartbeat {
        /// Its clock.
        clock: ClockState,
        /// Durable messages that wait.
        queued: Option<u32>,
    },
    /// The difference of the clocks passed a limit, or came back.
    Skew {
        /// How far our clock is ahead of the peer's, in milliseconds; includes the time on the way.
        ms: i64,
        /// What that means.
        grade: Skew,
    },
    /// The peer complains about one message; the connection goes on.
    Complaint(Failure),
    /// The session is over. Write what [`output`](super::Session::output) still has, then close the connection.
    Closed(End),
}

/// Who said Hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHello {
    /// Its name: with TLS, to be compared with its certificate.
    pub node: Token,
    /// Its role: already checked to be the other one.
    pub role: Role,
    /// Its epoch.
    pub epoch: Uuid,
    /// What it can do.
    pub caps: Vec<Token>,
}

/// What both ends have agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The peer's name.
    pub node: Token,
    /// Its epoch.
    pub epoch: Uuid,
    /// What it can do.
    pub caps: Vec<Token>,
    /// The version in use.
    pub version: Version,
    /// The longest frame that the peer takes, in bytes.
    pub max_frame: u32,
    /// How often both ends send a heartbeat.
    pub heartbeat: Duration,
    /// How many durable messages may be on their way without an acknowledgement.
    pub window: u16,
    /// The highest number that we hold of the peer in this epoch.
    pub held: u64,
}

/// A durable message of the peer, in its order: `seq` is always one more than that of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Its number.
    pub seq: u64,
    /// The message.
    pub msg: Box<Msg>,
    /// The bytes of its document, for a quarantine. They may hold a card number.
    pub bytes: Raw,
    /// When it came, by our clock.
    pub received_at: UtcMillis,
}

/// Bytes as they came. `Debug` shows their number only.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(pub Box<[u8]>);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// What the difference of two clocks means (specification, 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skew {
    /// Up to 2 s.
    Fine,
    /// More than 2 s: a warning.
    Warn,
    /// More than 60 s: the peer's times take no part in rules about time.
    Drifting,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// We refused what the peer sent or is; it has been told.
    Refused(Refusal),
    /// The peer refused us.
    Failed(Failure),
    /// The peer left in order.
    Left(Bye),
    /// We left in order.
    Bye(Reason),
    /// Nothing complete came for so long.
    Silent(Duration),
    /// The peer took none of our bytes for so long.
    Stalled(Duration),
}

impl End {
    /// The code, where there is one of this version.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::Failed(failure) => Code::of(&failure.code),
            Self::Left(_) | Self::Bye(_) | Self::Silent(_) | Self::Stalled(_) => None,
        }
    }
}

/// Why a message was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The session does not stand, or no longer.
    #[error("the session does not stand")]
    NotUp,
    /// The window is full, or too many bytes wait to be written: ask [`wants`](super::Session::wants) again later.
    #[error("the peer must acknowledge or take what was sent first")]
    Full,
    /// Durable messages are handed over in order.
    #[error("the next number to send is {wanted}, not {given}")]
    Order {
        /// The number wanted.
        wanted: u64,
        /// The number given.
        given: u64,
    },
    /// Longer than the frames that the peer takes.
    #[error("the message has {bytes} bytes; the peer takes {most}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// Not a message for our role to send in this way.
    #[error("{0}")]
    Misfit(&'static str),
}
