//! Wires: points with their hardware, lines, readers and their keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::NaiveDate;
use domain::ids::{Direction, LineId, PointId, ReaderId};
use domain::policy::PointKind;
use gateway::port::Port;
use gateway::settings::{
    AsciiReader, Attached, LineSettings, OnFault, OsdpReader, PeerSettings, Place, PointSettings, Protocol, Security,
};
use toml::Spanned;
use wire::ascii::{IdentityRule, Pattern, Profile};
use wire::osdp::secure::Scbk;

use super::super::error::hint;
use super::super::file::{self, File};
use super::{Checker, DIRECTIONS, read_secret};

/// Shortest release of a point: people must be able to walk through (F-08).
const RELEASE_MIN_MS: u64 = 3000;
/// Longest release: a grant is timed, never latched.
const RELEASE_MAX_MS: u64 = 60_000;

impl Checker<'_> {
    pub(super) fn wiring(&mut self, file: &File) -> Wiring {
        let mut points = BTreeMap::new();
        for point in &file.point {
            if let Some((id, settings)) = self.point_settings(point)
                && points.insert(id.clone(), settings).is_some()
            {
                self.fault(&point.id, "point.id", format!("point \"{id}\" is declared twice"));
            }
        }
        // Also those with a fault of their own, so that one mistake is told once.
        let declared: Vec<PointId> =
            file.point.iter().filter_map(|point| PointId::new(point.id.get_ref()).ok()).collect();
        let mut seen = Seen::default();
        let mut lines = Vec::new();
        for line in &file.line {
            lines.extend(self.line(line, &declared, &mut seen));
        }
        let peers: Vec<PeerSettings> =
            file.peer.iter().filter_map(|peer| self.peer(peer, file, &declared, &mut seen)).collect();
        self.one_owner_of_each_door(file, &lines, &peers);
        Wiring { points, lines, peers }
    }

    /// A door belongs to the readers of serial lines or to one peer.
    fn one_owner_of_each_door(&mut self, file: &File, lines: &[LineSettings], peers: &[PeerSettings]) {
        let mut owners: HashMap<PointId, LineId> = HashMap::new();
        let wired: HashSet<PointId> = lines
            .iter()
            .flat_map(|line| Attached::Line(line.clone()).places().into_iter().cloned().collect::<Vec<_>>())
            .filter_map(|place| place.point)
            .collect();
        for peer in peers {
            for reader in &peer.readers {
                let Some(point) = &reader.place.point else { continue };
                let owner = owners.entry(point.clone()).or_insert_with(|| peer.id.clone());
                if *owner == peer.id && !wired.contains(point) {
                    continue;
                }
                let at =
                    file.peer.iter().flat_map(|peer| &peer.reader).find(|written| {
                        written.id.get_ref() == reader.place.reader.as_str() && written.point.is_some()
                    });
                if let Some(name) = at.and_then(|written| written.point.as_ref()) {
                    let what = format!(
                        "point \"{point}\" has readers elsewhere too; a door belongs to serial lines or to one peer"
                    );
                    self.fault(name, "peer.reader.point", what);
                }
            }
        }
    }

    fn point_settings(&mut self, point: &file::Point) -> Option<(PointId, PointSettings)> {
        let id = PointId::new(point.id.get_ref()).ok()?;
        let kind = PointKind::parse(point.kind.get_ref())?;
        let desk = matches!(kind, PointKind::Workstation | PointKind::Enrolment);
        let on_fault = self.word(
            point.on_fault.as_ref(),
            "point.on_fault",
            &[("secure", OnFault::Secure), ("safe", OnFault::Safe)],
            Some(OnFault::Secure),
        )?;
        let release =
            self.number(point.release_ms.as_ref(), "point.release_ms", RELEASE_MIN_MS..=RELEASE_MAX_MS, RELEASE_MIN_MS);
        let held = self.number(point.held_ms.as_ref(), "point.held_ms", 1000..=3_600_000, 30_000);
        let wire = |checker: &mut Self, value: &Option<Spanned<u64>>, key: &str| {
            value.as_ref().map(|_| checker.number(value.as_ref(), key, 0..=31, 0)).and_then(|n| u8::try_from(n).ok())
        };
        let output = wire(self, &point.output, "point.output").unwrap_or(0);
        let contact = wire(self, &point.contact_input, "point.contact_input");
        let exit_input = wire(self, &point.exit_input, "point.exit_input");
        let fire_input = wire(self, &point.fire_input, "point.fire_input");
        Some((
            id,
            PointSettings {
                kind,
                on_fault,
                release: Duration::from_millis(release),
                held: Duration::from_millis(held),
                output,
                contact_input: contact.or(if desk { None } else { Some(0) }),
                exit_input,
                fire_input,
                interlock: point.interlock.as_ref().map(|name| name.get_ref().clone()),
            },
        ))
    }

    fn line(&mut self, line: &file::Line, declared: &[PointId], seen: &mut Seen) -> Option<LineSettings> {
        let id: LineId = self.parse(&line.id, "line.id")?;
        if !seen.lines.insert(id.clone()) {
            self.fault(&line.id, "line.id", format!("line \"{id}\" is declared twice"));
        }
        let port = match Port::parse(line.port.get_ref(), self.folder) {
            Ok(port) => port,
            Err(what) => {
                self.fault(&line.port, "line.port", what);
                return None;
            }
        };
        if !seen.ports.insert(port.to_string()) {
            self.fault(&line.port, "line.port", format!("two lines use {port}"));
        }
        let osdp = self.word(Some(&line.protocol), "line.protocol", &[("osdp", true), ("ascii", false)], None)?;
        let baud = self.number(line.baud.as_ref(), "line.baud", 1200..=921_600, 9600);
        if let Some(value) =
            line.baud.as_ref().filter(|_| osdp && !wire::osdp::BAUD_RATES.iter().any(|rate| u64::from(*rate) == baud))
        {
            self.fault(
                value,
                "line.baud",
                format!("{baud} is none of OSDP's speeds: 9600, 19200, 38400, 57600, 115200, 230400"),
            );
        }
        let protocol = if osdp {
            let mut readers = Vec::new();
            let mut addresses = HashMap::new();
            for reader in &line.reader {
                readers.extend(self.osdp_reader(reader, declared, seen, &mut addresses));
            }
            Protocol::Osdp(readers)
        } else {
            self.ascii_line(line, declared, seen)?
        };
        Some(LineSettings { id, port, baud: u32::try_from(baud).unwrap_or(9600), protocol })
    }

    fn place(&mut self, reader: &file::Reader, declared: &[PointId], seen: &mut Seen) -> Option<Place> {
        let written = Written {
            table: "line.reader",
            id: &reader.id,
            point: reader.point.as_ref(),
            direction: reader.direction.as_ref(),
            uid_order: reader.uid_order.as_ref(),
        };
        self.place_of(&written, declared, seen)
    }

    pub(super) fn place_of(&mut self, reader: &Written<'_>, declared: &[PointId], seen: &mut Seen) -> Option<Place> {
        let key = |name: &str| format!("{}.{name}", reader.table);
        let id: ReaderId = self.parse(reader.id, &key("id"))?;
        if !seen.readers.insert(id.clone()) {
            self.fault(reader.id, &key("id"), format!("reader \"{id}\" is declared twice"));
        }
        let point = match reader.point {
            None => None,
            Some(name) => {
                let point = PointId::new(name.get_ref()).ok().filter(|point| declared.contains(point));
                if point.is_none() {
                    let near = hint(name.get_ref(), declared.iter().map(PointId::as_str));
                    self.fault(name, &key("point"), format!("there is no [[point]] \"{}\"{near}", name.get_ref()));
                }
                point
            }
        };
        let direction = self.word(reader.direction, &key("direction"), &DIRECTIONS, Some(Direction::In))?;
        let orders = [("first-byte-first", false), ("last-byte-first", true)];
        let uid_reversed = self.word(reader.uid_order, &key("uid_order"), &orders, Some(false))?;
        Some(Place { reader: id, point, direction, uid_reversed })
    }

    fn osdp_reader(
        &mut self,
        reader: &file::Reader,
        declared: &[PointId],
        seen: &mut Seen,
        addresses: &mut HashMap<u8, String>,
    ) -> Option<OsdpReader> {
        let place = self.place(reader, declared, seen);
        let Some(address) = &reader.address else {
            self.fault(&reader.id, "line.reader.address", "an OSDP reader needs its address, 0 to 126");
            return None;
        };
        let number = u8::try_from(self.number(Some(address), "line.reader.address", 0..=126, 0)).ok()?;
        if let Some(other) = addresses.insert(number, reader.id.get_ref().clone()) {
            self.fault(
                address,
                "line.reader.address",
                format!("address {number} is taken by reader \"{other}\" of the same line"),
            );
        }
        let security = self.security(reader, seen);
        let offline = self.number(reader.offline_after_ms.as_ref(), "line.reader.offline_after_ms", 1000..=8000, 8000);
        let (vendor, serial) = match &reader.serial {
            None => (None, None),
            Some(text) => match pinned(text.get_ref()) {
                Some((vendor, serial)) => (Some(vendor), Some(serial)),
                None => {
                    let what = "write vendor and serial number as `tapward osdp scan` prints them, such as \"CAFE01-0001E240\"";
                    self.fault(text, "line.reader.serial", what);
                    return None;
                }
            },
        };
        Some(OsdpReader {
            place: place?,
            address: number,
            security: security?,
            offline_after: Duration::from_millis(offline),
            serial,
            vendor,
        })
    }

    fn security(&mut self, reader: &file::Reader, seen: &mut Seen) -> Option<Security> {
        match (&reader.key, &reader.insecure) {
            (Some(key), None) => self.key(key, reader.id.get_ref(), seen).map(Security::Key),
            (None, Some(accepted)) => self.accepted(accepted),
            (Some(_), Some(insecure)) => {
                self.fault(insecure, "line.reader.insecure", "a reader has either a key or an acceptance, not both");
                None
            }
            (None, None) => {
                self.fault(
                    &reader.id,
                    "line.reader.key",
                    format!(
                        "reader \"{0}\" has no key. Make one with `tapward osdp provision`, then write key = \"file:keys/{0}\"; \
                         or accept the risk by name: insecure = \"accepted by NAME until YYYY-MM-DD\"",
                        reader.id.get_ref()
                    ),
                );
                None
            }
        }
    }

    fn key(&mut self, value: &Spanned<String>, reader: &str, seen: &mut Seen) -> Option<Scbk> {
        let key = "line.reader.key";
        let Some(name) = value.get_ref().strip_prefix("file:") else {
            self.fault(
                value,
                key,
                "a key stands in a file of its own, mode 0600: key = \"file:keys/NAME\"; never in the configuration",
            );
            return None;
        };
        let path = self.folder.join(name);
        let bytes = match read_secret(&path) {
            Ok(bytes) => bytes,
            Err(what) => {
                self.fault(value, key, what);
                return None;
            }
        };
        let Some(scbk) = Scbk::from_hex(&bytes) else {
            self.fault(value, key, format!("{} does not hold 32 hexadecimal digits", path.display()));
            return None;
        };
        if let Err(weak) = scbk.check_strength() {
            self.fault(value, key, format!("{}: {weak}; make one with `tapward osdp provision`", path.display()));
            return None;
        }
        if let Some((other, _)) = seen.keys.iter().find(|(_, known)| *known == scbk) {
            self.fault(value, key, format!("reader \"{other}\" has the same key; each reader needs its own"));
            return None;
        }
        seen.keys.push((reader.to_owned(), scbk.clone()));
        Some(scbk)
    }

    fn accepted(&mut self, value: &Spanned<String>) -> Option<Security> {
        let parts = value.get_ref().strip_prefix("accepted by ").and_then(|rest| rest.rsplit_once(" until "));
        let parsed = parts.and_then(|(name, date)| {
            Some((name.trim(), NaiveDate::parse_from_str(date.trim(), "%Y-%m-%d").ok()?))
                .filter(|(name, _)| !name.is_empty())
        });
        let Some((name, until)) = parsed else {
            self.fault(
                value,
                "line.reader.insecure",
                "write who accepts the risk and until when: \"accepted by NAME until YYYY-MM-DD\"",
            );
            return None;
        };
        if until < self.today {
            self.fault(
                value,
                "line.reader.insecure",
                format!("the acceptance by {name} ended on {until}; give the reader a key, or accept anew"),
            );
            return None;
        }
        Some(Security::Insecure { accepted_by: name.to_owned(), until: until.to_string() })
    }

    fn ascii_line(&mut self, line: &file::Line, declared: &[PointId], seen: &mut Seen) -> Option<Protocol> {
        let [reader] = line.reader.as_slice() else {
            self.fault(&line.id, "line.reader", "an ascii line has exactly one reader");
            return None;
        };
        for (value, key) in [(&reader.key, "line.reader.key"), (&reader.insecure, "line.reader.insecure")] {
            if let Some(value) = value {
                self.fault(value, key, "desktop readers that print lines have no keys; leave this out");
            }
        }
        let profile = self.profile(line);
        let place = self.place(reader, declared, seen);
        let numbers = [
            ("as-printed", IdentityRule::AsRead),
            ("facility-number", IdentityRule::FacilityNumber),
            ("rotated-4", IdentityRule::RotatedLeft(4)),
        ];
        let rule = self.word(line.number.as_ref(), "line.number", &numbers, Some(IdentityRule::AsRead))?;
        let place = place?;
        let number = match (place.uid_reversed, rule, &reader.uid_order) {
            (false, rule, _) => rule,
            (true, IdentityRule::AsRead, _) => IdentityRule::Reversed,
            (true, _, Some(order)) => {
                self.fault(
                    order,
                    "line.reader.uid_order",
                    "line.number says already which bytes are the card; leave this out",
                );
                return None;
            }
            (true, _, None) => return None,
        };
        Some(Protocol::Ascii(AsciiReader { place, profile: profile?, number }))
    }

    fn profile(&mut self, line: &file::Line) -> Option<Profile> {
        let names = [("ironlogic", 0), ("twn4", 1), ("twn3", 2), ("pattern", 3)];
        let chosen = self.word(line.profile.as_ref(), "line.profile", &names, Some(0))?;
        let at = line.profile.as_ref().unwrap_or(&line.id);
        self.profile_of(chosen, line.pattern.as_ref(), at, "line.pattern")
    }

    /// The profile by its number among the names, with its pattern where it needs one.
    pub(super) fn profile_of(
        &mut self,
        chosen: u8,
        pattern: Option<&Spanned<String>>,
        at: &Spanned<String>,
        key: &str,
    ) -> Option<Profile> {
        let profile = match (chosen, pattern) {
            (3, Some(pattern)) => match Pattern::new(pattern.get_ref()) {
                Ok(pattern) => Profile::Pattern(pattern),
                Err(error) => {
                    self.fault(pattern, key, error.to_string());
                    return None;
                }
            },
            (3, None) => {
                let what = "\"pattern\" needs the form of the line, such as \"{facility,3},{number,5}\"";
                self.fault(at, key, what);
                return None;
            }
            (_, Some(pattern)) => {
                self.fault(pattern, key, "a pattern is read with the profile \"pattern\" only");
                return None;
            }
            (1, None) => Profile::Twn4,
            (2, None) => Profile::Twn3,
            _ => Profile::IronLogic,
        };
        Some(profile)
    }
}

/// Points with their hardware, and what their readers are attached to.
pub(super) struct Wiring {
    pub(super) points: BTreeMap<PointId, PointSettings>,
    pub(super) lines: Vec<LineSettings>,
    pub(super) peers: Vec<PeerSettings>,
}

/// A reader's place as it is written, in a line's table or a peer's.
pub(super) struct Written<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a Spanned<String>,
    pub(super) point: Option<&'a Spanned<String>>,
    pub(super) direction: Option<&'a Spanned<String>>,
    pub(super) uid_order: Option<&'a Spanned<String>>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) lines: HashSet<LineId>,
    ports: HashSet<String>,
    readers: HashSet<ReaderId>,
    keys: Vec<(String, Scbk)>,
}

/// `CAFE01-0001E240`: vendor code and serial number.
fn pinned(text: &str) -> Option<([u8; 3], u32)> {
    let (vendor, serial) = text.split_once('-')?;
    let vendor = u32::from_str_radix(vendor, 16).ok().filter(|_| vendor.len() == 6)?.to_be_bytes();
    Some(([vendor[1], vendor[2], vendor[3]], u32::from_str_radix(serial, 16).ok()?))
}
