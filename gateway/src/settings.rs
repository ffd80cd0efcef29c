//! What a gateway is told: its lines, peers, readers and doors. Plain data without a file format; the executable reads
//! the configuration into this.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::equipment::{Peer as PeerStatus, PeerKind};
use domain::ids::{Direction, GatewayId, LineId, PointId, ReaderId, SiteId};
use domain::policy::PointKind;
use wire::ascii::{IdentityRule, Profile};
use wire::isapi::card::CardForm;
use wire::osdp::secure::Scbk;
use zeroize::Zeroizing;

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
    /// Controllers and systems joined by network.
    pub peers: Vec<PeerSettings>,
    /// Where acs-link peers may connect.
    pub acs_link: Option<AcsLinkListener>,
    /// Where devices may push their events by HTTP.
    pub push: Option<PushListener>,
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

/// A controller or system joined by network.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerSettings {
    /// Its name.
    pub id: LineId,
    /// What is spoken with it.
    pub protocol: PeerProtocol,
    /// The readers that it has for us.
    pub readers: Vec<PeerReader>,
    /// Whose cards it is told in advance.
    pub cache: Cache,
    /// Whether it reports that somebody went through; if not, passage is assumed with the grant.
    pub reports_passage: bool,
}

/// What is spoken with a peer.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerProtocol {
    /// acs-link 1: our XML messaging.
    AcsLink(AcsLinkPeer),
    /// A Hikvision access control terminal or controller (ISAPI).
    Hikvision(HikvisionDevice),
    /// A ParsecNET 3 server (IntegrationService).
    Parsec(ParsecServer),
}

/// A reader as its peer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReader {
    /// Where it belongs.
    pub place: Place,
    /// The peer's own name of that place: an acs-link point, a Hikvision door number, a Parsec territory. Readers of
    /// both directions may share it.
    pub at: String,
}

/// Whose cards a peer is told in advance, so that it can decide while the link is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Nobody's: without the link it follows its own fallback.
    Nobody,
    /// Those of staff.
    Staff,
    /// Those of everybody who may ever pass one of its points.
    Everybody,
}

/// An acs-link peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcsLinkPeer {
    /// The node that its certificate must name.
    pub node: String,
    /// `host:port` if we connect to it; otherwise it connects to us.
    pub connect: Option<String>,
    /// Time between two heartbeats, 1 to 30 s.
    pub heartbeat: Duration,
}

/// A Hikvision device.
#[derive(Debug, Clone, PartialEq)]
pub struct HikvisionDevice {
    /// `http://host[:port]` or `https://host[:port]`.
    pub url: String,
    /// Account on the device.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// How its events come.
    pub events: DeviceEvents,
    /// Whether it asks us for each decision (remote check).
    pub online: bool,
    /// Whether we set its clock.
    pub set_time: bool,
    /// How it writes card numbers.
    pub cards: CardForm,
    /// For `https`: the SHA-256 fingerprint of its certificate, the only one that is believed.
    pub certificate: Option<[u8; 32]>,
}

/// How a device's events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEvents {
    /// It calls our push listener.
    Push,
    /// We hold its alert stream open.
    Stream,
}

/// A ParsecNET 3 server.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsecServer {
    /// Address of the IntegrationService, `http://host:10101/IntegrationService/IntegrationService.asmx`.
    pub url: String,
    /// Login domain, usually `SYSTEM`.
    pub domain: String,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// The organisation unit in which passes are made; `None`: the session's root.
    pub org_unit: Option<String>,
    /// Whether to ask the server to call our push listener.
    pub subscribe: bool,
    /// Whether we answer its questions for verification.
    pub verify: bool,
    /// Time between two looks at its events.
    pub poll: Duration,
    /// For `https`: the SHA-256 fingerprint of its certificate, the only one that is believed.
    pub certificate: Option<[u8; 32]>,
    /// What differs from one installation to the next, and what is not public.
    pub dialect: ParsecDialect,
}

/// What a ParsecNET installation is told or asked in its own way. The default tells and asks nothing that is not
/// certain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsecDialect {
    /// What the eight digits of a card's code are.
    pub cards: wire::parsec::CardForm,
    /// The access group of the passes that we make there (a GUID). Without one the server knows them and opens nothing.
    pub access_group: Option<String>,
    /// Whether passes of visitors and patients' temporary ones are made as visitor requests.
    pub visitors: bool,
    /// The number with which a person without a working pass is blocked; `None`: cards are withdrawn only.
    pub block: Option<i32>,
    /// Transaction codes by which the server asks for verification; empty: those whose name says so.
    pub verify_codes: Vec<u32>,
    /// How the server is asked to call us: its numbers of the form of events and of the HTTP method.
    pub subscribe: (i32, i32),
    /// Its numbers of commands.
    pub commands: ParsecCommands,
}

/// The numbers of a ParsecNET server's hardware commands. They are not public: the installer has them from the vendor.
/// What has no number is refused in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParsecCommands {
    /// Open once.
    pub open: Option<i32>,
    /// Back to normal.
    pub normal: Option<i32>,
    /// Close for everybody.
    pub lock: Option<i32>,
    /// Open for everybody.
    pub free: Option<i32>,
    /// Open in an emergency.
    pub emergency: Option<i32>,
}

/// A password for a device. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password itself, for proving that we know it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Where acs-link peers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcsLinkListener {
    /// Address and port; without [`AcsLinkListener::tls`] a loopback address only.
    pub listen: Option<SocketAddr>,
    /// Our own node name, as our certificate says it.
    pub node: String,
    /// Certificates; `None`: plain TCP on this machine only.
    pub tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The site's authority, the only one that is believed.
    pub ca: PathBuf,
    /// Our certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Where devices push events by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushListener {
    /// Address and port.
    pub listen: SocketAddr,
    /// How devices reach it: `http://host:port`.
    pub address: String,
}

/// What a gateway's readers are attached to.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one for each line and peer, made when settings change")]
pub enum Attached {
    /// A serial line.
    Line(LineSettings),
    /// A network peer.
    Peer(PeerSettings),
}

impl Attached {
    /// Its name.
    pub fn id(&self) -> &LineId {
        match self {
            Self::Line(line) => &line.id,
            Self::Peer(peer) => &peer.id,
        }
    }

    /// Where it is, for people.
    pub fn address(&self) -> String {
        match self {
            Self::Line(line) => line.port.to_string(),
            Self::Peer(peer) => match &peer.protocol {
                PeerProtocol::AcsLink(AcsLinkPeer { node, connect: None, .. }) => format!("acs-link:{node}"),
                PeerProtocol::AcsLink(AcsLinkPeer { node, connect: Some(to), .. }) => format!("acs-link:{node}@{to}"),
                PeerProtocol::Hikvision(device) => device.url.clone(),
                PeerProtocol::Parsec(server) => server.url.clone(),
            },
        }
    }

    /// A peer of which nothing is known yet.
    pub fn peer_status(&self) -> Option<PeerStatus> {
        let Self::Peer(peer) = self else { return None };
        let kind = match peer.protocol {
            PeerProtocol::AcsLink(_) => PeerKind::AcsLink,
            PeerProtocol::Hikvision(_) => PeerKind::Hikvision,
            PeerProtocol::Parsec(_) => PeerKind::Parsec,
        };
        let node = match &peer.protocol {
            PeerProtocol::AcsLink(peer) => Some(peer.node.clone()),
            _ => None,
        };
        Some(PeerStatus { node, ..PeerStatus::new(kind, self.address()) })
    }

    /// Where each of its readers belongs.
    pub fn places(&self) -> Vec<&Place> {
        match self {
            Self::Line(line) => match &line.protocol {
                Protocol::Osdp(readers) => readers.iter().map(|reader| &reader.place).collect(),
                Protocol::Ascii(reader) => vec![&reader.place],
            },
            Self::Peer(peer) => peer.readers.iter().map(|reader| &reader.place).collect(),
        }
    }
}

impl GatewaySettings {
    /// The peer that has the door of a point.
    pub fn peer_of(&self, point: &PointId) -> Option<&PeerSettings> {
        self.peers.iter().find(|peer| peer.readers.iter().any(|reader| reader.place.point.as_ref() == Some(point)))
    }

    /// Lines and peers.
    pub fn attached(&self) -> impl Iterator<Item = Attached> {
        let lines = self.lines.iter().cloned().map(Attached::Line);
        lines.chain(self.peers.iter().cloned().map(Attached::Peer))
    }
}
