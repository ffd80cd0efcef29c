//! Gives the configuration file its meaning, and says everything that is wrong with it at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;
use domain::ids::{CategoryId, Direction, GatewayId, LineId, PointId, ReaderId, ScheduleId, SiteId, ZoneId};
use domain::policy::{Effect, Layout, Mode, PassKind, Point, PointKind, Rule, Verify};
use domain::schedule::{LocalDate, MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::{AntiPassback, Zone};
use gateway::port::Port;
use gateway::settings::{
    AsciiReader, GatewaySettings, LineSettings, OnFault, OsdpReader, Place, PointSettings, Protocol, Security,
};
use toml::Spanned;
use wire::osdp::secure::Scbk;
use zeroize::Zeroizing;

use super::error::{Fault, hint, line_of};
use super::file::{self, File};
use super::{BusSettings, Config, DashboardSettings};

/// Shortest release of a point: people must be able to walk through (F-08).
const RELEASE_MIN_MS: u64 = 3000;
/// Longest release: a grant is timed, never latched.
const RELEASE_MAX_MS: u64 = 60_000;

/// Checks `file`, whose text is `text` and which stands in `folder`.
pub fn check(text: &str, file: &File, folder: &Path, today: NaiveDate) -> Result<Config, Vec<Fault>> {
    let mut checker = Checker { text, folder, today, faults: Vec::new() };
    let config = checker.config(file);
    checker.faults.sort_by_key(|fault| fault.line);
    match (config, checker.faults.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => Err(checker.faults),
    }
}

struct Checker<'a> {
    text: &'a str,
    folder: &'a Path,
    today: NaiveDate,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn fault<T>(&mut self, at: &Spanned<T>, key: &str, what: impl Into<String>) {
        let line = line_of(self.text, &at.span());
        self.faults.push(Fault { line, key: key.to_owned(), what: what.into() });
    }

    /// Parses a value, or records why it cannot be.
    fn parse<T: FromStr>(&mut self, value: &Spanned<String>, key: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match value.get_ref().parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(value, key, format!("\"{}\": {error}", value.get_ref()));
                None
            }
        }
    }

    /// One of a few words; `default` when nothing is written.
    fn word<T: Copy>(
        &mut self,
        value: Option<&Spanned<String>>,
        key: &str,
        words: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        let Some(value) = value else { return default };
        let text = value.get_ref().as_str();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = hint(text, valid.iter().copied());
        self.fault(value, key, format!("\"{text}\" is not one of: {}{near}", valid.join(", ")));
        None
    }

    fn number(
        &mut self,
        value: Option<&Spanned<u64>>,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(value) = value else { return default };
        let number = *value.get_ref();
        if !range.contains(&number) {
            self.fault(value, key, format!("{number} is not between {} and {}", range.start(), range.end()));
        }
        number
    }

    fn path(&self, value: &Spanned<String>) -> PathBuf {
        self.folder.join(value.get_ref())
    }

    fn config(&mut self, file: &File) -> Option<Config> {
        let site = self.parse::<SiteId>(&file.site.id, "site.id");
        let time_zone = self.time_zone(&file.site.time_zone);
        let gateway = match &file.gateway.id {
            Some(id) => self.parse::<GatewayId>(id, "gateway.id"),
            None => site.as_ref().and_then(|site| GatewayId::new(&format!("{}-gw", site.as_str())).ok()),
        };
        let layout = self.layout(file);
        let (points, lines) = self.wiring(file);
        let data = self.path(&file.data.folder);
        let bus = self.bus(file);
        let dashboard = self.dashboard(file);
        let database = self.database(file, &data);
        let stall = self.number(file.gateway.journal_stall_ms.as_ref(), "gateway.journal_stall_ms", 50..=5000, 250);
        let stale = self.number(file.gateway.stale_after_ms.as_ref(), "gateway.stale_after_ms", 500..=60_000, 3000);
        let age = file.gateway.policy_max_age_h.as_ref();
        let policy_max_age =
            age.map(|_| Duration::from_secs(3600 * self.number(age, "gateway.policy_max_age_h", 1..=8760, 24)));
        let wrong_pins = self.number(file.gateway.wrong_pins.as_ref(), "gateway.wrong_pins", 1..=20, 3);
        let pin_lock = self.number(file.gateway.pin_lock_s.as_ref(), "gateway.pin_lock_s", 10..=86_400, 300);
        Some(Config {
            gateway: GatewaySettings {
                site: site?,
                gateway: gateway?,
                points,
                lines,
                journal_stall: Duration::from_millis(stall),
                stale_after: Duration::from_millis(stale),
                policy_max_age,
                wrong_pins: u8::try_from(wrong_pins).unwrap_or(3),
                pin_lock: Duration::from_secs(pin_lock),
            },
            time_zone: time_zone?,
            layout: layout?,
            data,
            database: database?,
            bus: bus?,
            dashboard: dashboard?,
        })
    }

    fn time_zone(&mut self, value: &Spanned<String>) -> Option<chrono_tz::Tz> {
        let name = value.get_ref();
        let zone = name.parse().ok();
        if zone.is_none() {
            let near = hint(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            self.fault(value, "site.time_zone", format!("\"{name}\" is no IANA time zone such as Europe/Kyiv{near}"));
        }
        zone
    }

    // ---- who may go where ----

    fn layout(&mut self, file: &File) -> Option<Layout> {
        let mut layout = Layout { time_zone: file.site.time_zone.get_ref().clone(), ..Layout::empty() };
        for zone in &file.zone {
            layout.zones.extend(self.zone(zone));
        }
        for schedule in &file.schedule {
            layout.schedules.extend(self.schedule(schedule));
        }
        for holiday in &file.holiday {
            layout.holidays.extend(self.date(&holiday.date, "holiday.date"));
        }
        let schedules: HashSet<ScheduleId> = layout.schedules.iter().map(|schedule| schedule.id.clone()).collect();
        for (i, rule) in file.rule.iter().enumerate() {
            layout.rules.extend(self.rule(i, rule, &schedules));
        }
        for point in &file.point {
            layout.points.extend(self.policy_point(point));
        }
        let mut categories: Vec<CategoryId> = layout.rules.iter().flat_map(|rule| rule.categories.clone()).collect();
        categories.sort();
        categories.dedup();
        layout.categories = categories;
        let known: HashSet<ZoneId> = layout
            .points
            .iter()
            .flat_map(|p| [p.from.clone(), p.to.clone()])
            .chain(layout.zones.iter().flat_map(|z| [Some(z.id.clone()), z.inside.clone()]).flatten())
            .collect();
        for rule in &file.rule {
            if let Some(zone) = &rule.zone
                && !known.iter().any(|id| id.as_str() == zone.get_ref())
            {
                let near = hint(zone.get_ref(), known.iter().map(ZoneId::as_str));
                self.fault(zone, "rule.zone", format!("there is no zone \"{}\"{near}", zone.get_ref()));
            }
        }
        layout.complete_zones();
        Some(layout)
    }

    fn zone(&mut self, zone: &file::Zone) -> Option<Zone> {
        let passback = [("none", AntiPassback::None), ("soft", AntiPassback::Soft), ("hard", AntiPassback::Hard)];
        let capacity =
            zone.capacity.as_ref().map(|_| self.number(zone.capacity.as_ref(), "zone.capacity", 1..=1_000_000, 1));
        let inside = match &zone.inside {
            Some(inside) => Some(self.parse::<ZoneId>(inside, "zone.inside")?),
            None => None,
        };
        let mut made = Zone::new(self.parse(&zone.id, "zone.id")?);
        made.inside = inside;
        made.outside = zone.outside.as_ref().is_some_and(|outside| *outside.get_ref());
        made.anti_passback =
            self.word(zone.anti_passback.as_ref(), "zone.anti_passback", &passback, Some(AntiPassback::None))?;
        made.capacity = capacity.and_then(|capacity| u32::try_from(capacity).ok());
        Some(made)
    }

    fn schedule(&mut self, schedule: &file::Schedule) -> Option<Schedule> {
        let id = self.parse::<ScheduleId>(&schedule.id, "schedule.id");
        let mut weekly = Vec::new();
        for hours in &schedule.hours {
            match weekly_range(hours.get_ref()) {
                Ok(range) => weekly.push(range),
                Err(what) => self.fault(hours, "schedule.hours", what),
            }
        }
        let on_holiday = match &schedule.holidays {
            None => OnHoliday::Closed,
            Some(text) => match text.get_ref().as_str() {
                "closed" => OnHoliday::Closed,
                "as-usual" => OnHoliday::AsUsual,
                hours => match minute_range(hours) {
                    Some(range) => OnHoliday::Instead(vec![range]),
                    None => {
                        self.fault(
                            text,
                            "schedule.holidays",
                            format!("\"{hours}\" is none of: closed, as-usual, or hours such as 09:00-13:00"),
                        );
                        return None;
                    }
                },
            },
        };
        Some(Schedule { id: id?, weekly, on_holiday })
    }

    fn date(&mut self, value: &Spanned<String>, key: &str) -> Option<LocalDate> {
        use chrono::Datelike;
        let date = NaiveDate::parse_from_str(value.get_ref(), "%Y-%m-%d").ok();
        let date = date.and_then(|date| LocalDate::new(date.year(), date.month(), date.day()));
        if date.is_none() {
            self.fault(value, key, format!("\"{}\" is no date such as 2026-12-25", value.get_ref()));
        }
        date
    }

    fn rule(&mut self, number: usize, rule: &file::Rule, schedules: &HashSet<ScheduleId>) -> Option<Rule> {
        let effect = self.word(
            rule.effect.as_ref(),
            "rule.effect",
            &[("allow", Effect::Allow), ("deny", Effect::Deny)],
            Some(Effect::Allow),
        );
        let name = rule.name.as_ref().map_or_else(|| format!("rule {}", number + 1), |name| name.get_ref().clone());
        let mut made = Rule::new(&name, effect?);
        for category in &rule.categories {
            made.categories.push(self.parse(category, "rule.categories")?);
        }
        for kind in &rule.kinds {
            match PassKind::parse(kind.get_ref()) {
                Some(kind) => made.kinds.push(kind),
                None => {
                    let valid: Vec<&str> = PassKind::ALL.iter().map(|kind| kind.as_str()).collect();
                    let near = hint(kind.get_ref(), valid.iter().copied());
                    self.fault(
                        kind,
                        "rule.kinds",
                        format!("\"{}\" is not one of: {}{near}", kind.get_ref(), valid.join(", ")),
                    );
                    return None;
                }
            }
        }
        if let Some(zone) = &rule.zone {
            made.zone = Some(self.parse(zone, "rule.zone")?);
        }
        if let Some(direction) = &rule.direction {
            made.direction = Some(self.word(Some(direction), "rule.direction", &DIRECTIONS, None)?);
        }
        if let Some(schedule) = &rule.schedule {
            let id: ScheduleId = self.parse(schedule, "rule.schedule")?;
            if !schedules.contains(&id) {
                let near = hint(id.as_str(), schedules.iter().map(ScheduleId::as_str));
                self.fault(schedule, "rule.schedule", format!("there is no [[schedule]] \"{id}\"{near}"));
                return None;
            }
            made.schedule = Some(id);
        }
        Some(made)
    }

    fn policy_point(&mut self, point: &file::Point) -> Option<Point> {
        let id: PointId = self.parse(&point.id, "point.id")?;
        let kinds: Vec<(&str, PointKind)> = PointKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
        let kind = self.word(Some(&point.kind), "point.kind", &kinds, None)?;
        let desk = matches!(kind, PointKind::Workstation | PointKind::Enrolment);
        let zone =
            |checker: &mut Self, value: &Option<Spanned<String>>, key: &str, other: &Option<Spanned<String>>| match (
                value, other,
            ) {
                (Some(value), _) => checker.parse::<ZoneId>(value, key),
                // A desk stands in one zone; either key may name it.
                (None, Some(other)) if desk => checker.parse::<ZoneId>(other, key),
                (None, _) => {
                    checker.fault(&point.id, key, format!("point \"{id}\" needs this zone"));
                    None
                }
            };
        let from = zone(self, &point.from, "point.from", &point.to);
        let to = zone(self, &point.to, "point.to", &point.from);
        let mode = self.word(
            point.mode.as_ref(),
            "point.mode",
            &[("hard", Mode::Hard), ("soft", Mode::Soft)],
            Some(if desk { Mode::Soft } else { Mode::Hard }),
        );
        let verify = self.word(
            point.verify.as_ref(),
            "point.verify",
            &[("card", Verify::Card), ("card+pin", Verify::CardPin)],
            Some(Verify::Card),
        );
        let reuse = point.reuse_s.as_ref().map(|_| self.number(point.reuse_s.as_ref(), "point.reuse_s", 1..=86_400, 1));
        let mut made = Point::new(id, kind, from?, to?);
        made.mode = mode?;
        made.verify = verify?;
        made.reuse_ms = reuse.and_then(|s| u32::try_from(s * 1000).ok());
        Some(made)
    }

    // ---- wires ----

    fn wiring(&mut self, file: &File) -> (BTreeMap<PointId, PointSettings>, Vec<LineSettings>) {
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
        (points, lines)
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
        let id: ReaderId = self.parse(&reader.id, "line.reader.id")?;
        if !seen.readers.insert(id.clone()) {
            self.fault(&reader.id, "line.reader.id", format!("reader \"{id}\" is declared twice"));
        }
        let point = match &reader.point {
            None => None,
            Some(name) => {
                let point = PointId::new(name.get_ref()).ok().filter(|point| declared.contains(point));
                if point.is_none() {
                    let near = hint(name.get_ref(), declared.iter().map(PointId::as_str));
                    self.fault(
                        name,
                        "line.reader.point",
                        format!("there is no [[point]] \"{}\"{near}", name.get_ref()),
                    );
                }
                point
            }
        };
        let direction =
            self.word(reader.direction.as_ref(), "line.reader.direction", &DIRECTIONS, Some(Direction::In))?;
        let orders = [("first-byte-first", false), ("last-byte-first", true)];
        let uid_reversed = self.word(reader.uid_order.as_ref(), "line.reader.uid_order", &orders, Some(false))?;
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
        let profiles: Vec<(&str, &str)> = gateway::desktop::PROFILES.iter().map(|name| (*name, *name)).collect();
        let profile = self.word(line.profile.as_ref(), "line.profile", &profiles, Some("ironlogic"))?;
        Some(Protocol::Ascii(AsciiReader { place: self.place(reader, declared, seen)?, profile: profile.to_owned() }))
    }

    // ---- programs ----

    fn database(&mut self, file: &File, data: &Path) -> Option<String> {
        match (&file.database.url, &file.database.url_file) {
            (None, None) => Some(format!("sqlite:{}", data.join("tapward.db").display())),
            (Some(url), None) => {
                let text = url.get_ref();
                if !(text.starts_with("sqlite:")
                    || text.starts_with("postgres://")
                    || text.starts_with("postgresql://"))
                {
                    self.fault(url, "database.url", "write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"");
                    return None;
                }
                Some(match text.strip_prefix("sqlite:") {
                    Some(path) => format!("sqlite:{}", self.folder.join(path).display()),
                    None => text.clone(),
                })
            }
            (None, Some(name)) => match read_secret(&self.path(name)) {
                Ok(url) => Some(url.trim().to_owned()),
                Err(what) => {
                    self.fault(name, "database.url_file", what);
                    None
                }
            },
            (Some(_), Some(name)) => {
                self.fault(
                    name,
                    "database.url_file",
                    "write either url or url_file (for addresses that hold a password), not both",
                );
                None
            }
        }
    }

    fn bus(&mut self, file: &File) -> Option<Option<BusSettings>> {
        let Some(url) = &file.bus.url else { return Some(None) };
        let text = url.get_ref();
        let (tls, address) = match (text.strip_prefix("mqtts://"), text.strip_prefix("mqtt://")) {
            (Some(address), _) => (true, address),
            (_, Some(address)) => (false, address),
            _ => {
                self.fault(
                    url,
                    "bus.url",
                    "write \"mqtts://HOST:PORT\", or \"mqtt://127.0.0.1:PORT\" for a broker on this machine",
                );
                return None;
            }
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().ok()),
            None => (address, Some(if tls { 8883 } else { 1883 })),
        };
        let Some(port) = port.filter(|_| !host.is_empty()) else {
            self.fault(url, "bus.url", format!("\"{text}\" needs a host and a port"));
            return None;
        };
        let Some(command_key) = &file.bus.command_key else {
            self.fault(url, "bus.command_key", "programs that run apart sign what they send down to doors: write command_key = \"file:keys/bus\" (64 hexadecimal digits, mode 0600)");
            return None;
        };
        let key_path = self.folder.join(command_key.get_ref().trim_start_matches("file:"));
        let secret = match read_secret(&key_path).and_then(|text| {
            parse_key32(text.trim())
                .ok_or_else(|| format!("{} does not hold 64 hexadecimal digits", key_path.display()))
        }) {
            Ok(secret) => secret,
            Err(what) => {
                self.fault(command_key, "bus.command_key", what);
                return None;
            }
        };
        let path = |value: &Option<Spanned<String>>| value.as_ref().map(|value| self.folder.join(value.get_ref()));
        Some(Some(BusSettings {
            host: host.to_owned(),
            port,
            tls,
            ca: path(&file.bus.ca),
            cert: path(&file.bus.cert),
            key: path(&file.bus.key),
            command_key: Zeroizing::new(secret),
        }))
    }

    fn dashboard(&mut self, file: &File) -> Option<DashboardSettings> {
        let listen = match &file.dashboard.listen {
            None => SocketAddr::from(([127, 0, 0, 1], 8443)),
            Some(value) => match value.get_ref().parse() {
                Ok(listen) => listen,
                Err(_) => {
                    self.fault(
                        value,
                        "dashboard.listen",
                        format!("\"{}\" is no address and port such as 127.0.0.1:8443", value.get_ref()),
                    );
                    return None;
                }
            },
        };
        let language = self.word(
            file.dashboard.language.as_ref(),
            "dashboard.language",
            &[("en", "en"), ("ru", "ru")],
            Some("en"),
        )?;
        let certificate = match (&file.dashboard.cert, &file.dashboard.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((self.path(cert), self.path(key))),
            (Some(one), None) | (None, Some(one)) => {
                self.fault(one, "dashboard.cert", "a certificate needs both cert and key");
                return None;
            }
        };
        Some(DashboardSettings { listen, language: language.to_owned(), certificate })
    }
}

#[derive(Default)]
struct Seen {
    lines: HashSet<LineId>,
    ports: HashSet<String>,
    readers: HashSet<ReaderId>,
    keys: Vec<(String, Scbk)>,
}

const DIRECTIONS: [(&str, Direction); 2] = [("in", Direction::In), ("out", Direction::Out)];

/// `CAFE01-0001E240`: vendor code and serial number.
fn pinned(text: &str) -> Option<([u8; 3], u32)> {
    let (vendor, serial) = text.split_once('-')?;
    let vendor = u32::from_str_radix(vendor, 16).ok().filter(|_| vendor.len() == 6)?.to_be_bytes();
    Some(([vendor[1], vendor[2], vendor[3]], u32::from_str_radix(serial, 16).ok()?))
}

/// Reads a file that only its owner may read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{shown} may be read by others (mode {mode:04o}): chmod 600 {shown}"));
    }
    if meta.len() > 4096 {
        return Err(format!("{shown} is too large for a key ({} bytes)", meta.len()));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| format!("cannot read {shown}: {error}"))
}

/// 64 hexadecimal digits.
pub fn parse_key32(text: &str) -> Option<[u8; 32]> {
    let (left, right) = text.split_at_checked(32)?;
    let half = |digits: &str| digits.parse::<domain::CardId>().ok().map(|id| id.0);
    let mut key = [0; 32];
    key[..16].copy_from_slice(&half(left)?);
    key[16..].copy_from_slice(&half(right)?);
    Some(key)
}

/// `mon-fri 08:00-20:00`, `sat,sun 09:00-14:00`, `daily 00:00-24:00`.
fn weekly_range(text: &str) -> Result<WeeklyRange, String> {
    let wrong =
        || format!("\"{text}\" is not days and hours such as \"mon-fri 08:00-20:00\" or \"sat,sun 09:00-14:00\"");
    let (days, hours) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let range = minute_range(hours.trim()).ok_or_else(wrong)?;
    let mut set = 0_u8;
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if part == "daily" {
            set = Weekdays::ALL.0;
            continue;
        }
        let (mut day, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
        loop {
            set |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(WeeklyRange { days: Weekdays(set), range })
}

fn weekday(text: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    NAMES.iter().position(|name| *name == text).and_then(|day| u8::try_from(day).ok())
}

fn minute_range(text: &str) -> Option<MinuteRange> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from.trim())?, minute(until.trim())?);
    (from < 1440 && until > 0).then_some(MinuteRange { from, until })
}
