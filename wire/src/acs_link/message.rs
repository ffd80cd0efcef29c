//! The messages of acs-link 1.0 as values: what [`read`](super::read) gives and [`write`](super::write) takes. A value
//! of these types can always be written, but for the lengths of lists ([`Msg::check`]). Owns their meaning; knows no
//! XML. May import the checked values beside it.

use super::credential::Credential;
use super::instant::Instant;
use super::token::{ErrCode, Misfit, Reason, Text, Token, Uuid, Version};

/// Most `Received` in a Hello, Welcome, Heartbeat or Ack; most points of a Control; most levels of a CredentialIssue.
pub const LIST_MAX: usize = 64;
/// Most capabilities in a Hello or Welcome.
pub const CAPS_MAX: usize = 32;
/// Most extensions of a message.
pub const EXT_MAX: usize = 16;
/// Largest number of a durable message (`xs:long`).
pub const SEQ_MAX: u64 = i64::MAX as u64;

/// A message with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msg {
    /// The minor version agreed upon.
    pub v: Version,
    /// Who this message is; the same when it is sent again.
    pub id: Uuid,
    /// Its stream and number there, from 1: of durable messages, and only of them.
    pub stream_seq: Option<(Stream, u64)>,
    /// The message that this one answers.
    pub re: Option<Uuid>,
    /// When it was sent (this time, if it is sent again), by the sender's clock.
    pub sent_at: Instant,
    /// Sent again after a reconnect, or for the first time but late.
    pub replay: bool,
    /// What it says.
    pub body: Body,
}

impl Msg {
    /// Checks what the types cannot hold: the lengths of lists, and that durable messages and no others are numbered.
    pub fn check(&self) -> Result<(), Misfit> {
        match (self.body.kind().stream(), self.stream_seq) {
            (None, None) => {}
            (Some(stream), Some((given, seq))) if stream == given => {
                if seq == 0 || seq > SEQ_MAX {
                    return Err(Misfit("a number from 1 to 2^63-1"));
                }
            }
            _ => return Err(Misfit("numbered as its kind asks for")),
        }
        self.body.check()
    }
}

/// The two durable streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// From the access control system to the gateway.
    Events,
    /// From the gateway to the access control system.
    Commands,
}

/// Which end a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// An access control server or a turnstile controller.
    Acs,
    /// A gateway.
    Gw,
}

impl Role {
    /// The role of the other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Acs => Self::Gw,
            Self::Gw => Self::Acs,
        }
    }

    /// The stream that this end numbers.
    pub const fn sends(self) -> Stream {
        match self {
            Self::Acs => Stream::Events,
            Self::Gw => Stream::Commands,
        }
    }
}

/// A closed list of the schema: variants and their written forms.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As the link writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the written form.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

mod command;

pub use command::{
    AccessDecision, AccessRequest, Action, CommandResult, CommandStatus, Control, CredentialIssue, CredentialRevoke,
    SyncBegin, SyncEnd, SyncOf, Verdict,
};

words!(Stream { Events = "events", Commands = "commands" });
words!(Role { Acs = "acs", Gw = "gw" });

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The connector's first message.
    Hello(Hello),
    /// The acceptor's answer.
    Welcome(Welcome),
    /// I am alive.
    Heartbeat(Heartbeat),
    /// Durably stored up to here.
    Ack(Vec<Received>),
    /// Something went wrong.
    Error(Failure),
    /// The end, in order.
    Bye(Bye),
    /// Somebody was at a point.
    PassEvent(PassEvent),
    /// A point changed.
    PointStatus(PointStatus),
    /// May this one pass?
    AccessRequest(AccessRequest),
    /// Yes or no.
    AccessDecision(AccessDecision),
    /// This credential is valid from now on.
    CredentialIssue(CredentialIssue),
    /// This one no longer is.
    CredentialRevoke(CredentialRevoke),
    /// What became of an issue, a revocation or a sync.
    CredentialResult(CommandResult),
    /// Open, lock.
    Control(Control),
    /// What became of it.
    ControlResult(CommandResult),
    /// All credentials follow.
    SyncBegin(SyncBegin),
    /// Those were all.
    SyncEnd(SyncEnd),
}

/// The kinds of message, without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in the schema; see Body")]
pub enum Kind {
    Hello,
    Welcome,
    Heartbeat,
    Ack,
    Error,
    Bye,
    PassEvent,
    PointStatus,
    AccessRequest,
    AccessDecision,
    CredentialIssue,
    CredentialRevoke,
    CredentialResult,
    Control,
    ControlResult,
    SyncBegin,
    SyncEnd,
}

words!(Kind {
    Hello = "Hello",
    Welcome = "Welcome",
    Heartbeat = "Heartbeat",
    Ack = "Ack",
    Error = "Error",
    Bye = "Bye",
    PassEvent = "PassEvent",
    PointStatus = "PointStatus",
    AccessRequest = "AccessRequest",
    AccessDecision = "AccessDecision",
    CredentialIssue = "CredentialIssue",
    CredentialRevoke = "CredentialRevoke",
    CredentialResult = "CredentialResult",
    Control = "Control",
    ControlResult = "ControlResult",
    SyncBegin = "SyncBegin",
    SyncEnd = "SyncEnd",
});

impl Kind {
    /// The stream of a durable kind.
    pub const fn stream(self) -> Option<Stream> {
        match self {
            Self::PassEvent | Self::PointStatus | Self::CredentialResult | Self::ControlResult => Some(Stream::Events),
            Self::CredentialIssue | Self::CredentialRevoke | Self::Control | Self::SyncBegin | Self::SyncEnd => {
                Some(Stream::Commands)
            }
            Self::Hello | Self::Welcome | Self::Heartbeat | Self::Ack | Self::Error | Self::Bye => None,
            Self::AccessRequest | Self::AccessDecision => None,
        }
    }

    /// Who says it; `None` if both may.
    pub const fn from(self) -> Option<Role> {
        match self {
            Self::PassEvent | Self::PointStatus | Self::CredentialResult | Self::ControlResult => Some(Role::Acs),
            Self::AccessRequest => Some(Role::Acs),
            Self::CredentialIssue | Self::CredentialRevoke | Self::Control | Self::SyncBegin | Self::SyncEnd => {
                Some(Role::Gw)
            }
            Self::AccessDecision => Some(Role::Gw),
            Self::Hello | Self::Welcome | Self::Heartbeat | Self::Ack | Self::Error | Self::Bye => None,
        }
    }
}

impl Body {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Welcome(_) => Kind::Welcome,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Ack(_) => Kind::Ack,
            Self::Error(_) => Kind::Error,
            Self::Bye(_) => Kind::Bye,
            Self::PassEvent(_) => Kind::PassEvent,
            Self::PointStatus(_) => Kind::PointStatus,
            Self::AccessRequest(_) => Kind::AccessRequest,
            Self::AccessDecision(_) => Kind::AccessDecision,
            Self::CredentialIssue(_) => Kind::CredentialIssue,
            Self::CredentialRevoke(_) => Kind::CredentialRevoke,
            Self::CredentialResult(_) => Kind::CredentialResult,
            Self::Control(_) => Kind::Control,
            Self::ControlResult(_) => Kind::ControlResult,
            Self::SyncBegin(_) => Kind::SyncBegin,
            Self::SyncEnd(_) => Kind::SyncEnd,
        }
    }

    fn check(&self) -> Result<(), Misfit> {
        let hello = |hello: &Hello| list(hello.received.len(), 0, LIST_MAX).and(list(hello.caps.len(), 0, CAPS_MAX));
        match self {
            Self::Hello(body) => hello(body),
            Self::Welcome(body) => hello(&body.hello),
            Self::Heartbeat(body) => list(body.received.len(), 0, LIST_MAX),
            Self::Ack(received) => list(received.len(), 1, LIST_MAX),
            Self::Error(body) => seq(body.seq),
            Self::PassEvent(body) => list(body.ext.len(), 0, EXT_MAX),
            Self::PointStatus(body) => list(body.ext.len(), 0, EXT_MAX),
            Self::AccessRequest(body) => answer_within(body.answer_within_ms).and(list(body.ext.len(), 0, EXT_MAX)),
            Self::CredentialIssue(body) => {
                seq(Some(body.rev)).and(list(body.levels.len(), 0, LIST_MAX)).and(list(body.ext.len(), 0, EXT_MAX))
            }
            Self::CredentialRevoke(body) => seq(Some(body.rev)),
            Self::Control(body) => list(body.points.len(), 1, LIST_MAX),
            Self::Bye(_) | Self::AccessDecision(_) | Self::CredentialResult(_) | Self::ControlResult(_) => Ok(()),
            Self::SyncBegin(_) | Self::SyncEnd(_) => Ok(()),
        }
        .and(match self {
            Self::Hello(Hello { received, .. })
            | Self::Welcome(Welcome { hello: Hello { received, .. }, .. })
            | Self::Heartbeat(Heartbeat { received, .. })
            | Self::Ack(received) => match received.iter().any(|one| one.seq > SEQ_MAX) {
                true => Err(Misfit("a number up to 2^63-1")),
                false => Ok(()),
            },
            _ => Ok(()),
        })
    }
}

const fn list(len: usize, least: usize, most: usize) -> Result<(), Misfit> {
    if len >= least && len <= most { Ok(()) } else { Err(Misfit("a list of a length that the schema allows")) }
}

const fn seq(seq: Option<u64>) -> Result<(), Misfit> {
    match seq {
        None | Some(1..=SEQ_MAX) => Ok(()),
        Some(_) => Err(Misfit("a number from 1 to 2^63-1")),
    }
}

/// Shortest and longest wait for a decision, in milliseconds.
pub const ANSWER_WITHIN_MS: std::ops::RangeInclusive<u32> = 50..=10_000;

fn answer_within(ms: u32) -> Result<(), Misfit> {
    if ANSWER_WITHIN_MS.contains(&ms) { Ok(()) } else { Err(Misfit("an answerWithinMs from 50 to 10000")) }
}

// ---- parts ----

/// What one end durably holds of a stream of the other: everything up to `seq` (0: nothing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The stream; one that this version does not know is to be ignored.
    pub stream: Token,
    /// The highest number held.
    pub seq: u64,
}

impl Received {
    /// What is held of a known stream.
    pub fn of(stream: Stream, seq: u64) -> Self {
        #[expect(clippy::expect_used, reason = "both words are tokens, a test writes both")]
        let stream = Token::new(stream.as_str()).expect("a stream's word is a token");
        Self { stream, seq }
    }
}

/// Which way somebody went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into the building.
    In,
    /// Out of it.
    Out,
    /// The peer cannot say.
    Unknown,
}
words!(Direction { In = "in", Out = "out", Unknown = "unknown" });

/// What the sender says of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockState {
    /// Set by a time service.
    Synced,
    /// Set once, and left alone since.
    Drifting,
    /// Never set: its times say nothing.
    Unset,
}
words!(ClockState { Synced = "synced", Drifting = "drifting", Unset = "unset" });

/// Site-specific data: a name and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ext {
    /// What it is.
    pub name: Token,
    /// The data.
    pub text: Text,
}

// ---- session ----

/// The connector's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Who speaks; with TLS, equal to the certificate's name.
    pub node: Token,
    /// Which end it is.
    pub role: Role,
    /// Made when the sender's journal was created: its numbers count within it.
    pub epoch: Uuid,
    /// The lowest minor version that the sender speaks.
    pub min_v: Version,
    /// The highest one.
    pub max_v: Version,
    /// The longest frame that it takes, in bytes; 65,536 if absent.
    pub max_frame: Option<u32>,
    /// What it holds of the other end's streams.
    pub received: Vec<Received>,
    /// What it can do: an open list.
    pub caps: Vec<Token>,
}

/// The acceptor's answer to a Hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The same as in a Hello, of the acceptor.
    pub hello: Hello,
    /// The version that both use from now on.
    pub use_v: Version,
    /// How often each end sends a heartbeat, in milliseconds.
    pub heartbeat_ms: u32,
    /// How many durable messages may be on their way without an acknowledgement.
    pub window: u16,
}

/// I am alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The sender's clock.
    pub clock: ClockState,
    /// How many durable messages wait in its journal.
    pub queued: Option<u32>,
    /// What it holds.
    pub received: Vec<Received>,
}

/// Something went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub code: ErrCode,
    /// The connection ends with it.
    pub fatal: bool,
    /// The stream that it is about.
    pub stream: Option<Token>,
    /// The message of that stream.
    pub seq: Option<u64>,
    /// For people.
    pub text: Option<Text>,
}

/// The end, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: Reason,
    /// When to come again, in milliseconds.
    pub retry_after_ms: Option<u32>,
}

// ---- events ----

/// Somebody was at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassEvent {
    /// Which event: the same one twice is one event, whatever its number.
    pub event_id: Token,
    /// When, by the peer's clock.
    pub occurred_at: Instant,
    /// What that clock is worth.
    pub clock: ClockState,
    /// The AccessRequest that it ends.
    pub request: Option<Uuid>,
    /// Where.
    pub point: Token,
    /// What was shown.
    pub credential: Option<Credential>,
    /// Who it was, as a pseudonym.
    pub person: Option<Token>,
    /// Which way.
    pub direction: Direction,
    /// What came of it.
    pub result: PassResult,
    /// Site-specific data.
    pub ext: Vec<Ext>,
}

/// What came of somebody being at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassResult {
    /// What.
    pub code: PassCode,
    /// Why.
    pub reason: Option<Reason>,
    /// Who decided.
    pub by: Option<Source>,
}

/// What happened at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassCode {
    /// Allowed to pass.
    Granted,
    /// The rotor turned.
    Passed,
    /// Allowed, and did not turn.
    NotTaken,
    /// Not allowed.
    Denied,
    /// Went through all the same.
    Forced,
    /// Under duress.
    Duress,
}
words!(PassCode {
    Granted = "granted",
    Passed = "passed",
    NotTaken = "not-taken",
    Denied = "denied",
    Forced = "forced",
    Duress = "duress",
});

/// Who decided about a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The controller.
    Controller,
    /// The server.
    Server,
    /// A person.
    Operator,
    /// The controller, from what it was told before the link was lost.
    OfflineCache,
}
words!(Source { Controller = "controller", Server = "server", Operator = "operator", OfflineCache = "offline-cache" });

/// A point changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointStatus {
    /// Which point.
    pub point: Token,
    /// What it is now.
    pub state: PointState,
    /// Since when, by the peer's clock.
    pub occurred_at: Instant,
    /// Site-specific data.
    pub ext: Vec<Ext>,
}

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointState {
    /// There, and working as usual.
    Online,
    /// Not there.
    Offline,
    /// Open to all.
    FreePass,
    /// Closed to all.
    Locked,
    /// Open for an emergency.
    Emergency,
    /// Somebody opened its case.
    Tamper,
    /// Broken.
    Fault,
}
words!(PointState {
    Online = "online",
    Offline = "offline",
    FreePass = "free-pass",
    Locked = "locked",
    Emergency = "emergency",
    Tamper = "tamper",
    Fault = "fault",
});
