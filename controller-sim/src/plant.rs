//! What stands on the lines: access points, serial lines, readers. The same shape as in the gateway's configuration,
//! seen from the other end. Times are real, not those of a sped-up day.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use domain::{Direction, LineId, PointId, ReaderId};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use wire::osdp::secure::Scbk;

use crate::gate::GateKind;

/// Most readers on one line: addresses 0 to 126.
pub const LINE_READERS_MAX: usize = 127;

/// Points and lines.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// Access points.
    #[serde(rename = "point", default)]
    pub points: Vec<Point>,
    /// Lines with their readers.
    #[serde(rename = "line", default)]
    pub lines: Vec<Line>,
    /// Controllers, terminals and systems on the network, with their readers.
    #[serde(rename = "peer", default)]
    pub peers: Vec<Peer>,
}

/// One access point.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Its name.
    #[serde(deserialize_with = "from_text")]
    pub id: PointId,
    /// turnstile, door, barrier, workstation or enrolment.
    pub kind: PointKind,
    /// The zone it leads from. Not used here: for whoever makes a gateway's configuration of this plant.
    #[serde(default)]
    pub from: Option<String>,
    /// The zone it leads to. Not used here.
    #[serde(default)]
    pub to: Option<String>,
}

/// What stands at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// A rotor; every turn is one pulse of the passage contact.
    Turnstile,
    /// A leaf; the passage contact is active while it is open.
    Door,
    /// A boom; like a door.
    Barrier,
    /// A desk.
    Workstation,
    /// A desk.
    Enrolment,
}

impl PointKind {
    pub(crate) fn gate(self) -> GateKind {
        match self {
            Self::Turnstile => GateKind::Turnstile,
            Self::Door | Self::Barrier => GateKind::Door,
            Self::Workstation | Self::Enrolment => GateKind::None,
        }
    }
}

/// How a line speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// OSDP; any number of readers.
    #[default]
    Osdp,
    /// A desktop reader that prints IronLogic lines; one reader.
    Ascii,
}

/// One serial line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name.
    #[serde(deserialize_with = "from_text")]
    pub id: LineId,
    /// A path where the pseudo-terminal's name is published as a symbolic link, or `tcp://host:port` to listen on
    /// (port 0: any; see [`crate::Simulator::port_of`]).
    pub port: String,
    /// How it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// Bits a second; matters only with `paced`.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// Let bytes take their time on the wire (8N1), and readers their turnaround.
    #[serde(default)]
    pub paced: bool,
    /// Its readers.
    #[serde(rename = "reader", default)]
    pub readers: Vec<Reader>,
}

/// One reader.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Its name.
    #[serde(deserialize_with = "from_text")]
    pub id: ReaderId,
    /// OSDP address, 0 to 126.
    #[serde(default)]
    pub address: u8,
    /// Its Secure Channel key, 32 hexadecimal digits; none: it has no key and works in clear (or in install mode).
    #[serde(default, deserialize_with = "key")]
    pub key: Option<Scbk>,
    /// Accepts the public installation key, so that it can be provisioned.
    #[serde(default)]
    pub install_mode: bool,
    /// The access point at which it stands.
    #[serde(deserialize_with = "from_text")]
    pub point: PointId,
    /// Its direction there.
    #[serde(deserialize_with = "direction")]
    pub direction: Direction,
    /// Serial number in its PDID.
    #[serde(default = "default_serial")]
    pub serial: u32,
    /// From the end of a command to the start of the reply, in milliseconds, on a paced line.
    #[serde(default = "default_turnaround")]
    pub turnaround_ms: u32,
    /// The output that releases the point.
    #[serde(default)]
    pub release_output: u8,
    /// The input wired to the rotor or door contact. If no reader of a point says one, the point's first reader has
    /// it on input 0.
    #[serde(default)]
    pub passage_input: Option<u8>,
    /// The input wired to the request-to-exit button. If no reader of a point says one, the point's first reader has
    /// it on input 1.
    #[serde(default)]
    pub exit_input: Option<u8>,
}

impl Reader {
    /// The turnaround as a duration.
    pub fn turnaround(&self) -> Duration {
        Duration::from_millis(self.turnaround_ms.into())
    }
}

/// One thing on the network that has readers of its own: the other end of a `[[peer]]` of the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its name.
    #[serde(deserialize_with = "from_text")]
    pub id: LineId,
    /// How it speaks.
    pub speaks: Speaks,
    /// Its readers.
    #[serde(rename = "reader", default)]
    pub readers: Vec<PeerReader>,
}

/// How a peer speaks, with what only that protocol needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaks {
    /// A turnstile controller that speaks acs-link.
    AcsLink(crate::acs_link::Settings),
    /// A Hikvision terminal.
    Hikvision(crate::network::Hikvision),
    /// A ParsecNET 3 server.
    Parsec(crate::network::Parsec),
}

/// One reader of a peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerReader {
    /// Its name.
    #[serde(deserialize_with = "from_text")]
    pub id: ReaderId,
    /// The access point at which it stands.
    #[serde(deserialize_with = "from_text")]
    pub point: PointId,
    /// Its direction there.
    #[serde(deserialize_with = "direction")]
    pub direction: Direction,
    /// The peer's own name of that place: the Point of acs-link messages, a door number, a territory.
    pub at: String,
}

/// Why a plant cannot be built. The caller's fault, not a reader's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlantError {
    /// Two points, lines or readers with one name.
    #[error("the name `{0}` is used twice: give each point, line and reader its own")]
    Twice(String),
    /// A reader's point does not exist.
    #[error("reader `{reader}` stands at point `{point}`, which is not in the list of points")]
    NoPoint {
        /// The reader.
        reader: ReaderId,
        /// The unknown point.
        point: PointId,
    },
    /// A point's readers are on different lines: its gate must be simulated by one of them.
    #[error("the readers of point `{0}` are on different lines: put them on one")]
    PointOnTwoLines(PointId),
    /// Address above 126.
    #[error("reader `{0}` has address {1}: OSDP addresses are 0 to 126")]
    Address(ReaderId, u8),
    /// A desktop reader shares its line.
    #[error("line `{0}` is `ascii` and has {1} readers: a desktop reader has a line of its own")]
    AsciiReaders(LineId, usize),
    /// More readers than a peer may have.
    #[error("peer `{0}` has {1} readers: {LINE_READERS_MAX} at most")]
    PeerReaders(LineId, usize),
    /// Inputs or outputs beyond those of the simulated reader.
    #[error("reader `{0}` has inputs 0 to {INPUTS_LAST} and outputs 0 to {OUTPUTS_LAST}", INPUTS_LAST = INPUTS - 1, OUTPUTS_LAST = OUTPUTS - 1)]
    InputOutput(ReaderId),
}

/// The input of a point's first reader that its rotor or door contact is wired to unless said otherwise.
pub const PASSAGE_INPUT: u8 = 0;
/// The input of a point's first reader that its request-to-exit button is wired to unless said otherwise.
pub const EXIT_INPUT: u8 = 1;
/// Inputs of each simulated reader.
pub const INPUTS: u8 = 4;
/// Outputs of each simulated reader.
pub const OUTPUTS: u8 = 4;

impl Plant {
    /// Checks names, points, addresses. Two readers may have one address: that is a fault worth simulating.
    pub fn check(&self) -> Result<(), PlantError> {
        let mut names = std::collections::BTreeSet::new();
        let points = self.points.iter().map(|point| ("point", point.id.as_str()));
        let lines = self.lines.iter().map(|line| &line.id).chain(self.peers.iter().map(|peer| &peer.id));
        let lines = lines.map(|id| ("line", id.as_str()));
        let readers = self.readers().map(|(id, ..)| ("reader", id.as_str()));
        for (what, name) in points.chain(lines).chain(readers) {
            if !names.insert((what, name)) {
                return Err(PlantError::Twice(name.into()));
            }
        }
        let mut point_line = std::collections::BTreeMap::new();
        for line in &self.lines {
            let allowed = if line.protocol == Protocol::Ascii { 1 } else { LINE_READERS_MAX };
            if line.readers.len() > allowed {
                return Err(PlantError::AsciiReaders(line.id.clone(), line.readers.len()));
            }
            for reader in &line.readers {
                if !names.contains(&("point", reader.point.as_str())) {
                    return Err(PlantError::NoPoint { reader: reader.id.clone(), point: reader.point.clone() });
                }
                if reader.address > wire::osdp::MAX_ADDRESS {
                    return Err(PlantError::Address(reader.id.clone(), reader.address));
                }
                if reader.release_output >= OUTPUTS || reader.passage_input.max(reader.exit_input) >= Some(INPUTS) {
                    return Err(PlantError::InputOutput(reader.id.clone()));
                }
                if point_line.insert(&reader.point, &line.id).is_some_and(|other| *other != line.id) {
                    return Err(PlantError::PointOnTwoLines(reader.point.clone()));
                }
            }
        }
        for peer in &self.peers {
            if peer.readers.len() > LINE_READERS_MAX {
                return Err(PlantError::PeerReaders(peer.id.clone(), peer.readers.len()));
            }
            for reader in &peer.readers {
                if !names.contains(&("point", reader.point.as_str())) {
                    return Err(PlantError::NoPoint { reader: reader.id.clone(), point: reader.point.clone() });
                }
                if point_line.insert(&reader.point, &peer.id).is_some_and(|other| *other != peer.id) {
                    return Err(PlantError::PointOnTwoLines(reader.point.clone()));
                }
            }
        }
        Ok(())
    }

    /// Every reader, of lines and of peers, with its point and direction.
    pub fn readers(&self) -> impl Iterator<Item = (&ReaderId, &PointId, Direction)> {
        let on_lines = self.lines.iter().flat_map(|line| &line.readers);
        let of_peers = self.peers.iter().flat_map(|peer| &peer.readers);
        on_lines
            .map(|reader| (&reader.id, &reader.point, reader.direction))
            .chain(of_peers.map(|reader| (&reader.id, &reader.point, reader.direction)))
    }
}

impl Plant {
    /// Gives every reader without a key a fresh one (not those in install mode, which wait to be given one).
    /// `random` fills bytes from a source fit for keys.
    pub fn draw_keys(&mut self, mut random: impl FnMut(&mut [u8])) {
        let readers = self.lines.iter_mut().filter(|line| line.protocol == Protocol::Osdp).flat_map(|l| &mut l.readers);
        for reader in readers.filter(|reader| reader.key.is_none() && !reader.install_mode) {
            let mut bytes = zeroize::Zeroizing::new([0; 16]);
            // A weak key out of a good source happens once in 2^100 draws; out of a broken one, do not spin.
            for _ in 0..8 {
                random(&mut *bytes);
                let key = Scbk::new(*bytes);
                if key.check_strength().is_ok() {
                    reader.key = Some(key);
                    break;
                }
            }
        }
    }

    /// Puts ports that are relative paths, and peers' files, into a folder.
    pub fn place_ports(&mut self, folder: &Path) {
        for peer in &mut self.peers {
            let Speaks::AcsLink(settings) = &mut peer.speaks else { continue };
            settings.file = folder.join(&settings.file);
            if let Some(tls) = &mut settings.tls {
                for file in [&mut tls.ca, &mut tls.cert, &mut tls.key] {
                    *file = folder.join(&*file);
                }
            }
        }
        for line in &mut self.lines {
            if !line.port.starts_with("tcp://") {
                line.port = folder.join(&line.port).to_string_lossy().into_owned();
            }
        }
    }
}

/// Deserializes anything that has `FromStr` from a text.
pub(crate) fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn direction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Direction, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        other => Err(de::Error::custom(format!("`{other}` is not a direction: write in or out"))),
    }
}

fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scbk>, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
    Scbk::from_hex(&text).map(Some).ok_or_else(|| de::Error::custom("a key has 32 hexadecimal digits"))
}

fn default_baud() -> u32 {
    115_200
}

fn default_serial() -> u32 {
    1
}

fn default_turnaround() -> u32 {
    3
}
