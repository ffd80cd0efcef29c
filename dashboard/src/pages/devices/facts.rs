//! What the equipment said last, and how it reads: cards of gateways, tiles of doors, lines of readers.

use clinic::devices::{self, DoorState, Gateway, Line, Reader, ReaderState, Seen};
use clinic::watch::{self, Equipment};
use domain::{GatewayId, UtcMillis};

use super::grouped;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::post::{REPORT_STALE_MS, sort_key};
use crate::times::Times;
use crate::visit::Visit;
use crate::words::{self, Tone, label};

/// A policy not confirmed for this long is worth a look, in milliseconds.
const POLICY_OLD_MS: u64 = 15 * 60 * 1000;
/// A reader that replies slower than this is worth a look, in microseconds: people feel the sum of such delays.
const REPLY_SLOW_US: u64 = 30_000;

pub struct GatewayCard {
    pub name: String,
    pub tone: &'static str,
    pub state: String,
    pub facts: Vec<(String, String)>,
    pub lines: Vec<LineChip>,
}

pub struct LineChip {
    pub name: String,
    pub tone: &'static str,
    pub text: String,
}

pub struct DoorTile {
    pub name: String,
    pub tone: &'static str,
    pub state: String,
    pub since: String,
    /// Where its panel is.
    pub link: String,
    pub is_open: bool,
}

pub struct ReaderLine {
    pub name: String,
    pub place: String,
    pub line: String,
    pub tone: &'static str,
    pub state: String,
    pub key_tone: &'static str,
    pub key: String,
    pub key_note: Option<String>,
    /// Reply time, poll period and polls: a reader of a network peer is not polled and has none.
    pub pace: Option<Pace>,
    pub faults: Vec<(String, u64)>,
    pub model: String,
    pub seen: String,
    pub is_trouble: bool,
    /// What the filter looks through.
    pub hay: String,
}

pub struct Pace {
    pub reply: String,
    pub is_slow: bool,
    pub period: String,
    pub polls: String,
}

pub struct Facts {
    pub gateways: Vec<Gateway>,
    pub lines: Vec<Seen<Line>>,
    doors: Vec<Seen<devices::Door>>,
    pub readers: Vec<Seen<Reader>>,
    pub now: UtcMillis,
    pub texts: Texts,
    pub times: Times,
}

impl Facts {
    pub async fn read(visit: &Visit) -> Result<Self, Fault> {
        let Equipment { gateways, lines, mut readers, mut doors } =
            watch::equipment(&visit.app.database, &visit.acting()?).await?;
        readers.sort_by_cached_key(|reader| (reader.gateway.to_string(), sort_key(reader.device.id.as_str())));
        doors.sort_by_cached_key(|door| sort_key(door.device.point.as_str()));
        Ok(Self { gateways, lines, doors, readers, now: visit.app.now(), texts: visit.texts(), times: visit.times() })
    }

    pub fn ago(&self, at: UtcMillis) -> String {
        self.texts.a("ago", &self.times.span(self.now.since_ms(at)))
    }

    /// Whether what a gateway reported is the state of now.
    pub fn hears(&self, gateway: &GatewayId) -> bool {
        self.gateways.iter().any(|known| known.id == *gateway && self.is_heard(known))
    }

    fn is_heard(&self, gateway: &Gateway) -> bool {
        gateway.online && self.now.since_ms(gateway.seen) <= REPORT_STALE_MS
    }

    pub fn gateway_cards(&self) -> Vec<GatewayCard> {
        let cards = self.gateways.iter().map(|gateway| {
            let texts = &self.texts;
            let mut facts = vec![(texts.t("seen"), self.ago(gateway.seen))];
            if let Some(version) = gateway.policy_version {
                let age = gateway.policy_age_ms.map(|age| self.times.span(i64::try_from(age).unwrap_or(i64::MAX)));
                let age = age.map(|age| format!(" · {}", texts.a("confirmed-ago", &age))).unwrap_or_default();
                facts.push((texts.t("policy"), format!("{version}{age}")));
            }
            if let (Some(last), Some(acked)) = (gateway.last_seq, gateway.acked_seq) {
                let waiting = last.saturating_sub(acked);
                let waiting = texts.n("waiting-count", waiting);
                facts.push((texts.t("journal"), format!("{last} · {waiting}")));
            }
            if let Some(started) = gateway.started {
                facts.push((texts.t("running-for"), self.times.span(self.now.since_ms(started))));
            }
            if let Some(software) = &gateway.software {
                facts.push((texts.t("version"), software.clone()));
            }
            let policy_is_old = gateway.policy_age_ms.is_some_and(|age| age > POLICY_OLD_MS);
            let (tone, state) = match (self.is_heard(gateway), policy_is_old) {
                (false, _) => (Tone::Bad, texts.t("gateway-gone")),
                (true, true) => (Tone::Warn, texts.t("policy-old")),
                (true, false) => (Tone::Ok, texts.t("gateway-connected")),
            };
            let (peers, lines): (Vec<_>, Vec<_>) = self
                .lines
                .iter()
                .filter(|line| line.gateway == gateway.id)
                .partition(|line| line.device.peer.is_some());
            if !peers.is_empty() {
                let away = peers.iter().filter(|line| !line.device.open).count();
                let away = if away > 0 { format!(" · {}", texts.n("peers-away", away)) } else { String::new() };
                facts.push((texts.t("peers"), format!("{}{away}", peers.len())));
            }
            let lines = lines.into_iter().map(|line| self.line_chip(&line.device)).collect();
            GatewayCard { name: label(gateway.id.as_str()), tone: tone.class(), state, facts, lines }
        });
        cards.collect()
    }

    fn line_chip(&self, line: &Line) -> LineChip {
        let rate = line.polls_per_1000_s / 1000;
        let rate = self.texts.n("polls-a-second", rate);
        let (tone, text) = match (line.open, &line.problem) {
            (false, problem) => (Tone::Bad, problem.clone().unwrap_or_else(|| self.texts.t("line-closed"))),
            (true, Some(problem)) => (Tone::Warn, problem.clone()),
            (true, None) => (Tone::Ok, rate),
        };
        LineChip { name: format!("{} · {}", label(line.id.as_str()), line.port), tone: tone.class(), text }
    }

    /// The tiles of all doors; `chosen` has its panel open.
    pub fn door_tiles(&self, chosen: Option<(&str, &str)>) -> Vec<DoorTile> {
        let tiles = self.doors.iter().map(|seen| {
            let (tone, state) = door_state(self.hears(&seen.gateway).then_some(seen.device.state), &self.texts);
            let since = self.texts.a("for-span", &self.times.span(self.now.since_ms(seen.device.since)));
            let (gateway, point) = (seen.gateway.as_str(), seen.device.point.as_str());
            let link = door_link(gateway, point, &[]);
            let is_open = chosen == Some((gateway, point));
            DoorTile { name: label(point), tone: tone.class(), state, since, link, is_open }
        });
        tiles.collect()
    }

    pub fn reader_lines(&self) -> Vec<ReaderLine> {
        let mut lines: Vec<ReaderLine> = self.readers.iter().map(|reader| self.reader_line(reader)).collect();
        // What needs a look comes first; within that the order of names stays.
        lines.sort_by_key(|line| !line.is_trouble);
        lines
    }

    pub fn reader_line(&self, seen: &Seen<Reader>) -> ReaderLine {
        let (reader, texts) = (&seen.device, &self.texts);
        let heard = self.hears(&seen.gateway);
        let silent_ms = i64::try_from(reader.silent_ms).unwrap_or(i64::MAX);
        let (tone, state) = match (heard, reader.state) {
            (false, _) => (Tone::Bad, texts.t("not-known-now")),
            (true, ReaderState::Offline) => (Tone::Bad, texts.a("reader-silent-for", &self.times.span(silent_ms))),
            (true, ReaderState::Untrusted) => (Tone::Bad, texts.t("reader-untrusted")),
            (true, ReaderState::Unknown) => (Tone::Warn, texts.t("reader-unknown")),
            (true, ReaderState::Online) if reader.tamper => (Tone::Bad, texts.t("reader-tamper")),
            (true, ReaderState::Online) => (Tone::Ok, texts.t("reader-online")),
        };
        let (key_tone, key) = match (reader.secure, &reader.insecure_accepted) {
            // Of a network peer; its own line says the same of the connection.
            (false, _) if reader.at.is_some() => (Tone::Warn, texts.t("peer-plain")),
            (true, _) => (Tone::Ok, texts.t("key-secure")),
            (false, Some(_)) => (Tone::Warn, texts.t("key-accepted")),
            (false, None) => (Tone::Bad, texts.t("key-none")),
        };
        let faults = [
            ("faults-retries", reader.retries),
            ("faults-timeouts", reader.timeouts),
            ("faults-crc", reader.crc_errors),
            ("faults-alarms", reader.alarms),
        ];
        let faults: Vec<(String, u64)> =
            faults.into_iter().filter(|(_, n)| *n > 0).map(|(key, n)| (texts.t(key), n)).collect();
        let way = words::direction(reader.direction, texts);
        let point = reader.point.as_ref().map_or_else(|| texts.t("no-point"), |point| label(point.as_str()));
        let place = if way.is_empty() { point } else { format!("{point} · {way}") };
        let model = [&reader.model, &reader.firmware, &reader.serial];
        let model =
            model.into_iter().flatten().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
        let name = label(reader.id.as_str());
        // A network peer has its own name of the place and is not polled.
        let at = reader.at.clone().unwrap_or_else(|| texts.n("address-n", i64::from(reader.address)));
        let line = format!("{} · {at}", label(reader.line.as_str()));
        let is_polled = reader.at.is_none();
        let is_slow = is_polled && reader.reply_us > REPLY_SLOW_US;
        let pace = is_polled.then(|| Pace {
            reply: texts.a("ms", &tenths_of_ms(reader.reply_us)),
            is_slow,
            period: texts.a("ms", &tenths_of_ms(reader.poll_period_us)),
            polls: grouped(reader.polls),
        });
        let hay = format!("{} {name} {place} {line} {model} {state} {key}", reader.id).to_lowercase();
        ReaderLine {
            place,
            line,
            tone: tone.class(),
            state,
            key_tone: key_tone.class(),
            key,
            key_note: reader.insecure_accepted.clone().filter(|_| !reader.secure),
            pace,
            faults,
            model,
            seen: self.ago(seen.seen),
            is_trouble: tone != Tone::Ok || key_tone == Tone::Bad || is_slow,
            hay,
            name,
        }
    }
}

/// A door's state as it reads; `None` where nobody knows it now.
pub fn door_state(state: Option<DoorState>, texts: &Texts) -> (Tone, String) {
    let Some(state) = state else { return (Tone::Bad, texts.t("not-known-now")) };
    let tone = match state {
        DoorState::Forced | DoorState::Emergency | DoorState::Unreachable => Tone::Bad,
        DoorState::Held | DoorState::Blocked | DoorState::Free => Tone::Warn,
        DoorState::Released | DoorState::Open => Tone::Info,
        DoorState::Locked => Tone::Ok,
    };
    (tone, texts.code("door-", state.as_str()))
}

/// Where the panel of a door is, with `more` in its query.
pub fn door_link(gateway: &str, point: &str, more: &[(&str, &str)]) -> String {
    let mut query = Query::default();
    for (key, value) in [("gateway", gateway), ("door", point)].iter().chain(more) {
        query = Query::read(query.with(key, Some(value)).trim_start_matches('?'));
    }
    format!("/devices{}#door", query.with("", None))
}

/// `1234` microseconds are `1.2` milliseconds.
fn tenths_of_ms(us: u64) -> String {
    let tenths = us.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable_and_links_keep_their_names() {
        assert_eq!(tenths_of_ms(1_249), "1.2");
        assert_eq!(tenths_of_ms(39_960), "40.0");
        assert_eq!(door_link("g/1", "a&b", &[("order", "open")]), "/devices?gateway=g%2F1&door=a%26b&order=open#door");
    }
}
