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
    /// Its address on the line, 0 to 126.
    pub address: u8,
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
