//! What the panel tells its owner, and what the owner may ask of a reader.

use std::time::Duration;

use super::super::command::{BuzzerControl, Command, LedControl, Opaque, OutputControl, TextControl};
use super::super::reply::{Capability, CardBits, Characters, Identity, NakReason};
use super::super::secure::Scbk;

/// A reader of this line, for as long as the [`super::Bus`] lives. Never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderIndex(pub(super) u32);

impl ReaderIndex {
    /// The number: readers given to [`super::Bus::new`] count from 0 in their order, then up.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// A command accepted by [`super::Bus::command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(super) u64);

/// Something happened at a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct BusEvent {
    /// Where.
    pub reader: ReaderIndex,
    /// True if it came through an authenticated session with the reader's own key.
    pub secured: bool,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// The reader answers. For a reader with a key this is not yet trust: see `Secure`.
    Online,
    /// No (trusted) reply for the offline time.
    Offline {
        /// Since when, at the time of the event.
        silent_for: Duration,
    },
    /// A session with the reader's key stands; cards and commands pass from now on.
    Secure,
    /// The session ended other than by renewal.
    SessionLost(SessionEnd),
    /// A card.
    Card {
        /// Reader number at this address.
        number: u8,
        /// 0 unspecified, 1 Wiegand with parity.
        format: u8,
        /// The card, redacted in `Debug`.
        card: CardBits,
        /// The card was presented no longer ago than this: time since the last poll that the
        /// reader answered with "nothing". `None`: unknown, treat as late.
        age_at_most: Option<Duration>,
    },
    /// A card as characters (deprecated FMT reply).
    CardText {
        /// Reader number at this address.
        number: u8,
        /// Read backwards.
        backward: bool,
        /// The characters, redacted in `Debug`.
        characters: Characters,
        /// As in `Card`.
        age_at_most: Option<Duration>,
    },
    /// Keys: `0`..`9`, 0x7F for `*`, 0x0D for `#`.
    Keypad {
        /// Reader number at this address.
        number: u8,
        /// The keys, redacted in `Debug`.
        keys: Characters,
        /// As in `Card`.
        age_at_most: Option<Duration>,
    },
    /// Inputs: reported at each connect, on change, and when asked.
    Inputs(Levels),
    /// Outputs, likewise.
    Outputs(Levels),
    /// Attached readers: bit set = not normal.
    Readers(Levels),
    /// Tamper and power: reported at each connect, on change, and when asked.
    LocalStatus {
        /// The case.
        tamper: Level,
        /// The supply.
        power_failed: Level,
    },
    /// Who the reader says it is. Believe it only if `secured`.
    Identity(Identity),
    /// What the reader says it can do.
    Capabilities(Vec<Capability>),
    /// Manufacturer's own reply.
    Manufacturer {
        /// Vendor code.
        vendor: [u8; 3],
        /// The vendor's data.
        data: Opaque,
    },
    /// Something a guard or administrator should know.
    Alarm {
        /// What.
        kind: Alarm,
        /// How many more of this kind happened since the last one reported (at most one of a
        /// kind is reported in 10 s for a reader).
        repeats: u32,
    },
    /// The reader confirmed a command.
    CommandDone(CommandId),
    /// A command ended otherwise.
    CommandFailed {
        /// Which.
        id: CommandId,
        /// Why.
        reason: CommandFailure,
    },
    /// The reader proved the new key in a handshake; the old one is forgotten here. Store it.
    KeyRotated,
    /// Provisioning succeeded: the reader proved its new key in a handshake.
    Provisioned,
    /// Provisioning ended without success; the reader is as it was, or (after `Unconfirmed`)
    /// may already hold the new key.
    ProvisionFailed(ProvisionFailure),
    /// The reader answers at a new address or speed. Store it.
    Communication {
        /// Its address.
        address: u8,
        /// The speed of the line, bits a second.
        baud: u32,
    },
}

/// A two-valued state: what it is now, and whether it changed since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Now.
    pub active: bool,
    /// It was different in the last report. On the very first one: for tamper and power it is
    /// active, for inputs and outputs never.
    pub edge: bool,
}

/// Up to 64 two-valued states, bit 0 first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// How many the reader reported (at most 64 are kept).
    pub count: u8,
    /// Now.
    pub active: u64,
    /// Different from the last report; zero on the very first one.
    pub edges: u64,
}

impl Levels {
    /// The state of one, `None` beyond what was reported.
    pub fn get(&self, number: u8) -> Option<Level> {
        let bit = 1u64.checked_shl(u32::from(number))?;
        (number < self.count).then_some(Level { active: self.active & bit != 0, edge: self.edges & bit != 0 })
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The reader fell silent.
    Silence,
    /// A reply with a wrong MAC: forged, or out of step.
    BadMac,
    /// Data in clear where the session should protect it.
    Plaintext,
    /// The reader refused: it restarted, or somebody pretends so.
    Refused,
    /// The reader began its sequence anew: it restarted, or somebody pretends so.
    Restarted,
    /// A renewal handshake failed.
    RenewalFailed,
    /// The owner asked for it: key forgotten, reader provisioned, line taken down.
    Requested,
    /// An unconfirmed output command had to be withdrawn.
    Withdrawn,
}

/// What deserves a person's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A reader with a key says it has no Secure Channel: somebody alters its words, or it was
    /// swapped (attack 2). Its cards are not taken.
    Downgrade,
    /// The reader refused or ignored the handshake (attack 3).
    HandshakeRefused,
    /// The reader answered for the installation key (attacks 4, 14).
    DefaultKeyOffered,
    /// The reader does not know its key: swapped, or the key file is wrong.
    WrongKey,
    /// A handshake block inside a session (attack 7); dropped.
    HandshakeBlockInSession,
    /// Data in clear inside a session (attack 8); session torn down.
    PlaintextInSession,
    /// A wrong MAC (attacks 11, 13); session torn down.
    BadMac,
    /// Refusals or BUSY replies that nobody authenticated keep coming (attack 9).
    BusInterference,
    /// The reader answers BUSY without end.
    StuckBusy,
    /// A changed serial number or vendor at this address (attacks 5, 17).
    IdentityChanged(Identity),
    /// Replies at this address keep being garbled or doubled: two readers with one address, or
    /// a bad line (pitfall 15).
    AddressConflict,
    /// A reader accepted without a key demands one.
    SecurityDemanded,
    /// The reader confirmed a new key but still proves the old one.
    KeyNotTaken,
}

impl Alarm {
    /// Slots of the limiter.
    pub(super) const KINDS: usize = 13;

    pub(super) fn slot(self) -> usize {
        match self {
            Self::Downgrade => 0,
            Self::HandshakeRefused => 1,
            Self::DefaultKeyOffered => 2,
            Self::WrongKey => 3,
            Self::HandshakeBlockInSession => 4,
            Self::PlaintextInSession => 5,
            Self::BadMac => 6,
            Self::BusInterference => 7,
            Self::StuckBusy => 8,
            Self::IdentityChanged(_) => 9,
            Self::AddressConflict => 10,
            Self::SecurityDemanded => 11,
            Self::KeyNotTaken => 12,
        }
    }
}

/// Why a command was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandFailure {
    /// The reader refused it.
    Refused(NakReason),
    /// The reader is or went offline, or its session ended, before the command was sent.
    Offline,
    /// It was sent and no trusted answer came: it may or may not have been done.
    Unconfirmed,
    /// It waited too long to be still wanted (see [`super::OUTPUT_MAX_AGE`]) and was not sent.
    Expired,
    /// It does not fit the reader's receive buffer.
    TooLong,
    /// The answer was something else.
    UnexpectedReply,
    /// COMSET: the reader went on with its old address and speed.
    RolledBack,
    /// The reader was removed.
    Removed,
}

/// Why provisioning did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisionFailure {
    /// The time box ran out.
    TimedOut,
    /// The reader is not in install mode, or refused the key.
    Refused,
    /// KEYSET was sent and the outcome is unknown.
    Unconfirmed,
}

/// What the owner may ask of a reader. Commands wait in a short queue of their reader and are
/// failed, never kept, when it is offline or loses its session.
#[derive(Clone, Debug, PartialEq)]
pub enum ReaderCommand {
    /// LED records.
    Led(Vec<LedControl>),
    /// Buzzer.
    Buzzer(BuzzerControl),
    /// Text.
    Text(TextControl),
    /// Outputs: relays. Overtakes everything else on the line.
    Output(Vec<OutputControl>),
    /// Ask tamper and power.
    LocalStatus,
    /// Ask inputs.
    InputStatus,
    /// Ask outputs.
    OutputStatus,
    /// Ask attached readers.
    ReaderStatus,
    /// Ask identity.
    Identity,
    /// Ask capabilities.
    Capabilities,
    /// Rotate the key inside the session: KEYSET, then a handshake with the new key. Store the
    /// new key as `next` before, and as `key` on `KeyRotated`. Only for readers with a key.
    RotateKey(Scbk),
    /// Renew the session now. Only for readers with a key.
    RenewSession,
    /// Set address and speed. A new speed only when the reader is alone on its line.
    SetCommunication {
        /// New address, 0 to 0x7E.
        address: u8,
        /// New speed, bits a second.
        baud: u32,
    },
    /// Manufacturer's own.
    Manufacturer {
        /// Vendor code.
        vendor: [u8; 3],
        /// The vendor's data.
        data: Opaque,
    },
}

impl ReaderCommand {
    /// What goes on the wire; `None` for what is not one command.
    pub(super) fn to_wire(&self) -> Option<Command> {
        Some(match self {
            Self::Led(records) => Command::Led(records.clone()),
            Self::Buzzer(buzzer) => Command::Buzzer(*buzzer),
            Self::Text(text) => Command::Text(text.clone()),
            Self::Output(records) => Command::Output(records.clone()),
            Self::LocalStatus => Command::LocalStatus,
            Self::InputStatus => Command::InputStatus,
            Self::OutputStatus => Command::OutputStatus,
            Self::ReaderStatus => Command::ReaderStatus,
            Self::Identity => Command::Id,
            Self::Capabilities => Command::Capabilities,
            Self::RotateKey(key) => Command::Keyset(key.clone()),
            Self::RenewSession => return None,
            Self::SetCommunication { address, baud } => Command::Comset { address: *address, baud: *baud },
            Self::Manufacturer { vendor, data } => Command::Manufacturer { vendor: *vendor, data: data.clone() },
        })
    }
}

/// Why a command was not accepted. For the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The reader's queue is full: [`super::MAX_QUEUED_COMMANDS`].
    #[error("too many commands wait for this reader")]
    QueueFull,
    /// No such reader on this line.
    #[error("no such reader on this line")]
    NoSuchReader,
    /// The reader is not in the state that the command needs: it is offline, has no session, or
    /// has no key.
    #[error("the reader is not connected in the way this needs")]
    NotConnected,
    /// Longer than any frame may be.
    #[error("longer than an OSDP frame may be")]
    TooLong,
    /// The new key is weak or already another reader's.
    #[error("the new key is refused: it is weak, or another reader has it")]
    BadKey,
    /// The new address is taken or impossible, the speed is none of the standard, or the speed
    /// would cut off other readers of the line.
    #[error("this address or speed cannot be set on this line")]
    BadCommunication,
}

/// How a reader is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReaderState {
    /// It does not answer.
    #[default]
    Offline,
    /// It answers; not yet (or not any more) in the state its settings demand.
    Connecting,
    /// In clear, as accepted.
    Insecure,
    /// In a session with its own key.
    Secure,
}

/// Counters of one reader since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderStats {
    /// How it is connected now.
    pub state: ReaderState,
    /// Turnaround of the last exchange: end of our frame to begin of the reply.
    pub turnaround_last: Option<Duration>,
    /// Smoothed turnaround.
    pub turnaround_mean: Option<Duration>,
    /// Longest turnaround.
    pub turnaround_max: Option<Duration>,
    /// POLLs sent (first sendings).
    pub polls: u64,
    /// Other commands sent (first sendings).
    pub commands: u64,
    /// Good replies.
    pub replies: u64,
    /// Frames sent again.
    pub retries: u64,
    /// Replies that did not come in time.
    pub timeouts: u64,
    /// Wrong check values or broken frames while this reader was asked.
    pub check_errors: u64,
    /// Replies that belonged to no open question: late, doubled, wrong sequence.
    pub unexpected: u64,
    /// Messages in clear that were not believed.
    pub untrusted: u64,
    /// BUSY replies.
    pub busy: u64,
    /// Refusals.
    pub naks: u64,
    /// Sessions made.
    pub sessions: u64,
    /// Alarms, reported or only counted.
    pub alarms: u64,
    /// Times it went offline.
    pub outages: u64,
}
