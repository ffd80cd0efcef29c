//! What a post looks at beside the passing people: the state of its points and who is inside.

use std::collections::BTreeMap;

use clinic::devices::{self, DoorState, Reader, ReaderState, Seen};
use clinic::roles::Reach;
use clinic::{events, presence};
use domain::{Kind, PointId, UtcMillis};
use store::Database;

use crate::language::Texts;
use crate::pages::devices::door_link;
use crate::times::Times;
use crate::words::{Tone, label};

/// A report older than this is not the state of now, in milliseconds.
pub const REPORT_STALE_MS: i64 = 30_000;
const HOUR_MS: i64 = 3_600_000;

/// The facts behind the panel, as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    doors: Vec<Seen<devices::Door>>,
    readers: Vec<Seen<Reader>>,
    gateways: Vec<devices::Gateway>,
    counts: Vec<events::PointCount>,
    inside: Vec<presence::ZoneCount>,
    /// Whether who is inside may be shown.
    shows_inside: bool,
}

/// One point of the panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointTile {
    pub id: String,
    pub name: String,
    /// Where its door is opened by hand.
    pub link: Option<String>,
    pub tone: &'static str,
    pub state: String,
    pub passed: u64,
    pub refused: u64,
}

/// A name and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub name: String,
    pub persons: u64,
}

/// Who is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    pub total: u64,
    pub by_category: Vec<Count>,
    pub by_zone: Vec<Count>,
}

/// Reads the facts.
pub async fn read(database: &Database, now: UtcMillis) -> Result<Facts, store::Error> {
    Ok(Facts {
        doors: devices::doors(database).await?,
        readers: devices::readers(database).await?,
        gateways: devices::gateways(database).await?,
        counts: events::counts_since(database, now.plus_ms(-HOUR_MS)).await?,
        inside: presence::counts(database).await?,
        shows_inside: true,
    })
}

impl Facts {
    /// What of it somebody may see: points within `points`, and who is inside within `zones` (`None`: not at all).
    pub fn within(&self, points: &Reach, zones: Option<&Reach>) -> Self {
        let mut facts = self.clone();
        facts.doors.retain(|door| points.has_point(&door.device.point));
        facts.readers.retain(|reader| points.has(reader.device.point.as_ref()));
        facts.counts.retain(|count| points.has_point(&count.point));
        facts.shows_inside = zones.is_some();
        facts.inside.retain(|count| zones.is_some_and(|zones| zones.has_zone(&count.zone)));
        facts
    }

    /// All points known, in order of their names with numbers by value.
    pub fn points(&self) -> Vec<PointId> {
        let doors = self.doors.iter().map(|door| door.device.point.clone());
        let readers = self.readers.iter().filter_map(|reader| reader.device.point.clone());
        let counted = self.counts.iter().map(|count| count.point.clone());
        let mut points: Vec<PointId> = doors.chain(readers).chain(counted).collect();
        points.sort_by_cached_key(|point| sort_key(point.as_str()));
        points.dedup();
        points
    }

    /// The tiles of the chosen points; all if none is chosen.
    pub fn tiles(&self, chosen: &[PointId], now: UtcMillis, times: &Times, texts: &Texts) -> Vec<PointTile> {
        let wanted = |point: &PointId| chosen.is_empty() || chosen.contains(point);
        self.points().into_iter().filter(wanted).map(|point| self.tile(&point, now, times, texts)).collect()
    }

    fn tile(&self, point: &PointId, now: UtcMillis, times: &Times, texts: &Texts) -> PointTile {
        let (tone, state) = self.state(point, now, times, texts);
        let door = self.doors.iter().find(|door| door.device.point == *point);
        let count = |kind: Kind| {
            let of = self.counts.iter().filter(|count| count.point == *point && count.kind == kind);
            of.map(|count| count.count).sum()
        };
        PointTile {
            id: point.to_string(),
            name: label(point.as_str()),
            link: door.map(|door| door_link(door.gateway.as_str(), point.as_str(), &[])),
            tone: tone.class(),
            state,
            passed: count(Kind::Passed),
            refused: count(Kind::Refused),
        }
    }

    fn state(&self, point: &PointId, now: UtcMillis, times: &Times, texts: &Texts) -> (Tone, String) {
        let door = self.doors.iter().find(|door| door.device.point == *point);
        let readers: Vec<_> =
            self.readers.iter().filter(|reader| reader.device.point.as_ref() == Some(point)).collect();
        let newest = readers.iter().map(|reader| reader.seen).chain(door.map(|door| door.seen)).max();
        let Some(newest) = newest else { return (Tone::Info, texts.t("point-unknown")) };
        let age_ms = now.since_ms(newest);
        let gateway = door.map(|door| &door.gateway).or_else(|| readers.first().map(|reader| &reader.gateway));
        let is_gone = self.gateways.iter().any(|known| Some(&known.id) == gateway && !known.online);
        if is_gone || age_ms > REPORT_STALE_MS {
            return (Tone::Bad, texts.a("point-gateway-gone", &times.span(age_ms)));
        }
        if let Some(silent) = readers
            .iter()
            .filter(|reader| reader.device.state == ReaderState::Offline)
            .max_by_key(|reader| reader.device.silent_ms)
        {
            let silent_ms = i64::try_from(silent.device.silent_ms).unwrap_or(i64::MAX);
            return (Tone::Bad, texts.a("point-reader-silent", &times.span(silent_ms)));
        }
        if let Some(door) = door {
            let tone = match door.device.state {
                DoorState::Forced | DoorState::Emergency | DoorState::Unreachable => Some(Tone::Bad),
                DoorState::Held | DoorState::Blocked | DoorState::Free => Some(Tone::Warn),
                DoorState::Locked | DoorState::Released | DoorState::Open => None,
            };
            if let Some(tone) = tone {
                let since = times.span(now.since_ms(door.device.since));
                return (tone, format!("{} · {since}", texts.code("door-", door.device.state.as_str())));
            }
        }
        if readers.iter().any(|reader| reader.device.tamper) {
            return (Tone::Bad, texts.t("point-tamper"));
        }
        if readers.iter().any(|reader| reader.device.state == ReaderState::Untrusted) {
            return (Tone::Bad, texts.t("point-untrusted"));
        }
        if readers.iter().any(|reader| !reader.device.secure) {
            return (Tone::Warn, texts.t("point-insecure"));
        }
        (Tone::Ok, texts.t("point-working"))
    }

    /// Who is inside, the largest groups first; `None` for who may not see it.
    pub fn inside(&self, texts: &Texts) -> Option<Inside> {
        if !self.shows_inside {
            return None;
        }
        let mut by_category: BTreeMap<String, u64> = BTreeMap::new();
        let mut by_zone: BTreeMap<String, u64> = BTreeMap::new();
        for count in &self.inside {
            let category = count.category.as_ref();
            let category = category.map_or_else(|| texts.t("category-none"), |category| label(category.as_str()));
            *by_category.entry(category).or_default() += count.persons;
            *by_zone.entry(label(count.zone.as_str())).or_default() += count.persons;
        }
        let total = self.inside.iter().map(|count| count.persons).sum();
        Some(Inside { total, by_category: largest_first(by_category), by_zone: largest_first(by_zone) })
    }
}

fn largest_first(counts: BTreeMap<String, u64>) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.into_iter().map(|(name, persons)| Count { name, persons }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.persons));
    counts
}

/// Names in the order of people: `turnstile-2` before `turnstile-10`.
pub fn sort_key(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    for c in name.chars() {
        let Some((text, number)) = parts.last_mut() else { break };
        match c.to_digit(10) {
            Some(digit) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
            None if *number == 0 => text.push(c),
            None => parts.push((c.to_string(), 0)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::sort_key;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = ["turnstile-10", "turnstile-2", "door-b", "door-a", "turnstile-2-out"];
        names.sort_by_cached_key(|name| sort_key(name));
        assert_eq!(names, ["door-a", "door-b", "turnstile-2", "turnstile-2-out", "turnstile-10"]);
    }
}
