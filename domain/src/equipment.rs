//! How lines, readers and doors are doing: what a gateway tells, the clinic keeps and pages show. Owns no logic: the
//! door's own state machine is [`crate::door`]. May import `ids` and `time`.

use crate::codes;
use crate::ids::{Direction, LineId, PointId, ReaderId};
use crate::time::UtcMillis;

codes! {
    /// Whether a reader answers.
    ReaderState {
        /// Not heard since the gateway's start.
        Unknown = "unknown",
        /// Answers.
        Online = "online",
        /// Silent for too long.
        Offline = "offline",
        /// Answers, but is not trusted (no Secure Channel where one is required, conflict of addresses …).
        Untrusted = "untrusted",
    }
}

codes! {
    /// What a door or turnstile is doing.
    DoorState {
        /// Closed and locked.
        Locked = "locked",
        /// Released for somebody.
        Released = "released",
        /// Open after a release.
        Open = "open",
        /// Open for longer than allowed.
        Held = "held",
        /// Opened without a release.
        Forced = "forced",
        /// Locked by command: nobody is let in.
        Blocked = "blocked",
        /// Free passage by command.
        Free = "free",
        /// Opened by the fire input or emergency release.
        Emergency = "emergency",
        /// None of its readers answers.
        Unreachable = "unreachable",
    }
}

/// A serial line or its network equivalent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub id: LineId,
    /// Its port as configured.
    pub port: String,
    /// Whether the port is open.
    pub open: bool,
    /// Polls a second over the last period, in thousandths.
    pub polls_per_1000_s: u64,
    /// What is wrong, for operators.
    pub problem: Option<String>,
    /// What is at its other end, where that is a controller or a system in the network and not a serial line.
    pub peer: Option<Peer>,
}

codes! {
    /// What kind of controller or system a network peer is.
    PeerKind {
        /// Speaks acs-link.
        AcsLink = "acs_link",
        /// A Hikvision terminal or controller (ISAPI).
        Hikvision = "hikvision",
        /// A ParsecNET 3 server.
        Parsec = "parsec",
    }
}

/// How a network peer is doing. Whether it is connected is the line's `open`, what is wrong is the line's `problem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it is.
    pub kind: PeerKind,
    /// Where it is connected from or to, `host:port`; as configured while it is away; empty if nobody knows.
    pub address: String,
    /// Its name: the acs-link node, the device's or the server's own name.
    pub node: Option<String>,
    /// Whether the connection is encrypted and the peer has proved who it is.
    pub secure: bool,
    /// Since when it is connected; `None` while it is away.
    pub connected_since: Option<UtcMillis>,
    /// Events that it holds and has not delivered, as it says itself.
    pub events_held: u64,
    /// Our commands that it has not acknowledged.
    pub commands_waiting: u64,
    /// Passes that it holds, confirmed, for the time when the connection is lost.
    pub passes_told: u64,
    /// Passes that it should hold.
    pub passes_wanted: u64,
    /// Its messages that are kept aside because they mean nothing here.
    pub quarantined: u64,
    /// Our clock less its clock, milliseconds: positive if its clock is behind. `None` if it is not known.
    pub skew_ms: Option<i64>,
    /// Model, version or firmware, as it says itself.
    pub software: Option<String>,
}

impl Peer {
    /// A peer of which nothing is known yet but its kind and where it should be; fill in the rest by struct update.
    pub const fn new(kind: PeerKind, address: String) -> Self {
        Self {
            kind,
            address,
            node: None,
            secure: false,
            connected_since: None,
            events_held: 0,
            commands_waiting: 0,
            passes_told: 0,
            passes_wanted: 0,
            quarantined: 0,
            skew_ms: None,
            software: None,
        }
    }
}

/// One reader. Counters run since the gateway's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Which.
    pub id: ReaderId,
    /// The line it is on.
    pub line: LineId,
    /// Its point, if it belongs to one.
    pub point: Option<PointId>,
    /// Its direction at that point.
    pub direction: Option<Direction>,
    /// Its address on a serial line, 0 to 126.
    pub address: u8,
    /// What a network peer calls the place: a point, a door number, a territory. `None` on a serial line.
    pub at: Option<String>,
    /// Whether it answers.
    pub state: ReaderState,
    /// Whether its Secure Channel is up.
    pub secure: bool,
    /// Who accepted it without Secure Channel and until when, as configured.
    pub insecure_accepted: Option<String>,
    /// Mean time between two polls of this reader, microseconds.
    pub poll_period_us: u64,
    /// Mean time from a poll's last byte to the reply's last, microseconds.
    pub reply_us: u64,
    /// Polls sent.
    pub polls: u64,
    /// Commands repeated.
    pub retries: u64,
    /// Replies that did not come.
    pub timeouts: u64,
    /// Replies with a wrong checksum or CRC.
    pub crc_errors: u64,
    /// Alarms raised.
    pub alarms: u64,
    /// How long it has been silent, milliseconds.
    pub silent_ms: u64,
    /// Vendor and model as it reports them.
    pub model: Option<String>,
    /// Serial number as it reports it.
    pub serial: Option<String>,
    /// Firmware version as it reports it.
    pub firmware: Option<String>,
    /// Whether its case is reported open.
    pub tamper: bool,
}

/// One access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Which.
    pub point: PointId,
    /// What it is doing.
    pub state: DoorState,
    /// Since when.
    pub since: UtcMillis,
}
