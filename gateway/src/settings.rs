//! What a gateway is told: its lines, readers and doors. Plain data without a file format; the executable reads the
//! configuration into this.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::ids::{Direction, GatewayId, LineId, PointId, ReaderId, SiteId};
use domain::policy::PointKind;
use wire::ascii::{IdentityRule, Profile};
use wire::osdp::secure::Scbk;

use crate::port::Port;

/// Everything that one gateway owns.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySettings {
    /// The clinic.
    pub site: SiteId,
    /// This gateway.
    pub gateway: GatewayId,
    /// Doors and what drives them, by point.
    pub points: BTreeMap<PointId, PointSettings>,
    /// Serial lines.
    pub lines: Vec<LineSettings>,
    /// How long a tap may wait for the journal before the point follows its declared mode.
    pub journal_stall: Duration,
    /// A reading that may be older than this never moves a door.
    pub stale_after: Duration,
    /// A policy snapshot older than this refuses (hard points) or is only noted (soft points); `None`: any age.
    pub policy_max_age: Option<Duration>,
    /// Wrong PINs in a row until a card waits.
    pub wrong_pins: u8,
    /// How long it waits then.
    pub pin_lock: Duration,
}

/// How a point behaves when the record of a tap cannot be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// It stays closed.
    Secure,
    /// It opens for those who would have been let through.
    Safe,
}

/// One access point's wiring.
#[derive(Debug, Clone, PartialEq)]
pub struct PointSettings {
    /// What it is.
    pub kind: PointKind,
    /// What it does when the journal stalls.
    pub on_fault: OnFault,
    /// How long it is released for one grant.
    pub release: Duration,
    /// How long it may stand open.
    pub held: Duration,
    /// The output of the deciding reader that releases it.
    pub output: u8,
    /// The input of its readers that reports the rotor or the door contact.
    pub contact_input: Option<u8>,
    /// The input of its readers that reports the request-to-exit button.
    pub exit_input: Option<u8>,
    /// The input of its readers that reports the fire panel.
    pub fire_input: Option<u8>,
    /// Points with the same interlock name: at most one of them open at a time.
    pub interlock: Option<String>,
}

/// One serial line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineSettings {
    /// Its name.
    pub id: LineId,
    /// Where it is.
    pub port: Port,
    /// Bits a second.
    pub baud: u32,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// What is spoken on a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// OSDP with these readers.
    Osdp(Vec<OsdpReader>),
    /// One desktop reader that prints lines.
    Ascii(AsciiReader),
}

/// Where a reader belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The reader.
    pub reader: ReaderId,
    /// Its point, if it belongs to one.
    pub point: Option<PointId>,
    /// Which way it leads there.
    pub direction: Direction,
    /// Whether the bytes of a card's UID come last byte first.
    pub uid_reversed: bool,
}

/// One OSDP reader.
#[derive(Debug, Clone, PartialEq)]
pub struct OsdpReader {
    /// Where it belongs.
    pub place: Place,
    /// 0 to 126.
    pub address: u8,
    /// Its key, or who accepted that it has none.
    pub security: Security,
    /// Silence after which it counts as offline.
    pub offline_after: Duration,
    /// The serial number that it must report, once known.
    pub serial: Option<u32>,
    /// Its vendor code (OUI), with the serial number.
    pub vendor: Option<[u8; 3]>,
}

/// How a reader's bytes are protected.
#[derive(Clone, PartialEq)]
pub enum Security {
    /// Secure Channel with this key, and nothing else.
    Key(Scbk),
    /// In clear, as somebody accepted.
    Insecure {
        /// Who.
        accepted_by: String,
        /// The last day, `YYYY-MM-DD`.
        until: String,
    },
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(…)"),
            Self::Insecure { accepted_by, until } => write!(f, "Insecure(accepted by {accepted_by} until {until})"),
        }
    }
}

/// One desktop reader.
#[derive(Debug, Clone, PartialEq)]
pub struct AsciiReader {
    /// Where it belongs.
    pub place: Place,
    /// Which lines it prints.
    pub profile: Profile,
    /// Which of the printed bytes are the card.
    pub number: IdentityRule,
}

impl LineSettings {
    /// Where each reader of the line belongs.
    pub fn places(&self) -> Vec<&Place> {
        match &self.protocol {
            Protocol::Osdp(readers) => readers.iter().map(|reader| &reader.place).collect(),
            Protocol::Ascii(reader) => vec![&reader.place],
        }
    }
}
