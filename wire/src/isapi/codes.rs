//! What the codes of access control events mean. One table; what is not in it is [`Meaning::Unknown`] and is logged
//! once by the adapter with its number. Sources: public integrations and lists of constants; no device was at hand.

use domain::Reason;

/// Alarms.
pub const MAJOR_ALARM: u32 = 1;
/// Faults of the device.
pub const MAJOR_EXCEPTION: u32 = 2;
/// What somebody ordered.
pub const MAJOR_OPERATION: u32 = 3;
/// What happened at doors and readers.
pub const MAJOR_EVENT: u32 = 5;

/// A door was opened by an order from outside: the echo of our own.
pub const REMOTE_OPEN: u32 = 0x400;
/// A card was accepted.
pub const CARD_PASS: u32 = 1;
/// A card is not known.
pub const CARD_UNKNOWN: u32 = 9;
/// A card may not pass here.
pub const CARD_NO_RIGHT: u32 = 6;
/// A card waits for the decision of the server.
pub const CARD_ASKS: u32 = 50;
/// The lock was released.
pub const UNLOCKED: u32 = 21;
/// The lock is closed again.
pub const LOCKED: u32 = 22;
/// The contact opened after a release.
pub const OPENED: u32 = 25;
/// The contact closed.
pub const CLOSED: u32 = 26;
/// The contact opened without a release.
pub const FORCED: u32 = 27;
/// The door stands open for too long.
pub const HELD: u32 = 28;

/// What an event means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Somebody was let through by the device, by card, code, finger or face.
    Granted,
    /// Somebody was refused by the device; the reason where it is one of ours.
    Refused(Option<Reason>),
    /// Somebody shows a card and the server is asked.
    Asks,
    /// The lock was released.
    Unlocked,
    /// The lock is closed again.
    Locked,
    /// The door contact opened, or somebody went through, after a release.
    Opened,
    /// The door contact closed.
    Closed,
    /// Nobody went through in time.
    NotTaken,
    /// Opened or gone through without a release.
    Forced,
    /// Open for too long.
    Held,
    /// The button on the way out was pressed.
    ExitButton,
    /// Open for everybody from now, or not any more.
    Free(bool),
    /// Closed for everybody from now, or not any more.
    Shut(bool),
    /// The fire input opened the doors, or not any more.
    Fire(bool),
    /// A code that says that its owner is being forced.
    Duress,
    /// A case was opened, or closed again.
    Tamper(bool),
    /// Mains or battery failed, or are good again.
    PowerFault(bool),
    /// The device has started.
    Restarted,
    /// The memory for events is nearly full: old ones will be lost.
    MemoryFull,
    /// A part of the device does not answer, or does again.
    PartLost(bool),
    /// The echo of an order that was given from outside, most often by us: of no interest.
    Echo,
    /// Known, and of no interest here.
    Nothing,
    /// Not in the table.
    Unknown,
}

/// Looks a code up.
pub const fn meaning(major: u32, minor: u32) -> Meaning {
    use Meaning as M;
    match (major, minor) {
        (MAJOR_EVENT, minor) => event(minor),
        (MAJOR_ALARM, 0x404 | 0x406 | 0x40f | 0x41e | 0x422) => M::Tamper(true),
        (MAJOR_ALARM, 0x405 | 0x407 | 0x410 | 0x41f | 0x423) => M::Tamper(false),
        (MAJOR_ALARM, 0x40a) => M::Duress,
        (MAJOR_ALARM, 0x40b | 0x442) => M::MemoryFull,
        (MAJOR_ALARM, 0x40c) => M::Refused(None),
        (MAJOR_ALARM, 0x415 | 0x416 | 0x418 | 0x424) => M::Fire(true),
        (MAJOR_ALARM, 0x417 | 0x419 | 0x425) => M::Fire(false),
        (MAJOR_EXCEPTION, 0x400) => M::Restarted,
        (MAJOR_EXCEPTION, 0x401 | 0x403 | 0x405) => M::PowerFault(true),
        (MAJOR_EXCEPTION, 0x404 | 0x406) => M::PowerFault(false),
        (MAJOR_EXCEPTION, 0x402) => M::Restarted,
        (MAJOR_EXCEPTION, 0x409) => M::PartLost(true),
        (MAJOR_EXCEPTION, 0x40a) => M::PartLost(false),
        (MAJOR_EXCEPTION, 0x27 | 0x407) => M::Nothing,
        (MAJOR_OPERATION, REMOTE_OPEN | 0x401..=0x403) => M::Echo,
        // Settings read and changed, time set, somebody signed in: the device's own log.
        (MAJOR_OPERATION, _) => M::Nothing,
        _ => M::Unknown,
    }
}

const fn event(minor: u32) -> Meaning {
    use Meaning as M;
    match minor {
        // Card; card and code; several cards; finger; combinations; face; employee number; code; QR; Bluetooth.
        1 | 2 | 0x10 | 0x26 | 0x28 | 0x2b | 0x2e | 0x36 | 0x39 | 0x3c | 0x3f | 0x42 | 0x45 | 0x48 | 0x4b | 0x4d
        | 0x65 | 0x69 | 0x99 | 0x9c | 0x9e | 0x9f | 0xb5 => M::Granted,
        3 | 5 | 0x2c | 0x3a | 0x40 | 0x66 | 0x94 | 0x96 | 0x97 => M::Refused(Some(Reason::PinWrong)),
        4 | 0x2d | 0x3b | 0x41 | 0x67 => M::Refused(Some(Reason::PinMissing)),
        6 => M::Refused(Some(Reason::NoRule)),
        7 => M::Refused(Some(Reason::OutsideHours)),
        8 => M::Refused(Some(Reason::Expired)),
        9 => M::Refused(Some(Reason::UnknownCard)),
        10 => M::Refused(Some(Reason::AntiPassback)),
        11 => M::Refused(Some(Reason::Interlock)),
        0x75 => M::Refused(Some(Reason::PointLocked)),
        0x71 => M::Refused(Some(Reason::Blocked)),
        12..=15
        | 0x27
        | 0x29
        | 0x2a
        | 0x2f
        | 0x30
        | 0x31
        | 0x37
        | 0x38
        | 0x3d
        | 0x3e
        | 0x43
        | 0x44
        | 0x46
        | 0x47
        | 0x49
        | 0x4a
        | 0x4c
        | 0x4e
        | 0x4f
        | 0x50
        | 0x5e
        | 0x68
        | 0x70
        | 0x77
        | 0x78
        | 0x98
        | 0x9a
        | 0x9b
        | 0x9d
        | 0xa0..=0xa4
        | 0xc3 => M::Refused(None),
        CARD_ASKS => M::Asks,
        UNLOCKED => M::Unlocked,
        LOCKED => M::Locked,
        OPENED => M::Opened,
        CLOSED => M::Closed,
        0x89 => M::NotTaken,
        // Opened by force, tailgating, the wrong way, pushed, climbed over, intrusion, not authenticated on free passage.
        FORCED | 0x5c | 0x85..=0x88 | 0x8a | 0x8b => M::Forced,
        HELD | 0x5d | 0x8f => M::Held,
        23 => M::ExitButton,
        0x11 | 0x13 | 0x51 => M::Free(true),
        0x12 | 0x14 | 0x52 => M::Free(false),
        0x1f => M::Shut(true),
        0x20 => M::Shut(false),
        0x34 => M::Fire(true),
        0x35 => M::Fire(false),
        // Button released, outputs, verification steps, door bell, calls, relays, blocked arms, modules, upgrades.
        24 | 0x1d | 0x1e | 0x21..=0x25 | 0x33 | 0x5f..=0x64 | 0x72..=0x74 | 0x8c..=0x8e | 0xa5..=0xb0 => M::Nothing,
        _ => M::Unknown,
    }
}
