//! Doors and readers: what the equipment says about itself, and how old that is.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::devices::{self, DoorState, Gateway, Line, Reader, ReaderState, Seen};
use domain::UtcMillis;

use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::post::{REPORT_STALE_MS, sort_key};
use crate::times::Times;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{self, Tone, label};

/// A policy not confirmed for this long is worth a look, in milliseconds.
const POLICY_OLD_MS: u64 = 15 * 60 * 1000;
/// A reader that replies slower than this is worth a look, in microseconds: people feel the sum of such delays.
const REPLY_SLOW_US: u64 = 30_000;

#[derive(Template)]
#[template(path = "devices.html")]
struct Page {
    frame: Frame,
    gateways: Vec<GatewayCard>,
    doors: Vec<DoorTile>,
    readers: Vec<ReaderLine>,
    search: String,
    only_trouble: bool,
    shown: usize,
    all: usize,
    troubled: usize,
    export: String,
}

struct GatewayCard {
    name: String,
    tone: &'static str,
    state: String,
    facts: Vec<(String, String)>,
    lines: Vec<LineChip>,
}

struct LineChip {
    name: String,
    tone: &'static str,
    text: String,
}

struct DoorTile {
    name: String,
    tone: &'static str,
    state: String,
    since: String,
}

struct ReaderLine {
    name: String,
    place: String,
    line: String,
    tone: &'static str,
    state: String,
    key_tone: &'static str,
    key: String,
    key_note: Option<String>,
    reply: String,
    is_slow: bool,
    period: String,
    polls: String,
    faults: Vec<(String, u64)>,
    model: String,
    seen: String,
    is_trouble: bool,
    /// What the filter looks through.
    hay: String,
}

/// `GET /devices`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let facts = Facts::read(&visit).await?;
    let search = query.one("q").unwrap_or_default().chars().take(64).collect::<String>();
    let only_trouble = query.one("only") == Some("trouble");
    let mut readers = facts.reader_lines();
    let (all, troubled) = (readers.len(), readers.iter().filter(|line| line.is_trouble).count());
    let wanted = search.to_lowercase();
    readers.retain(|line| line.hay.contains(&wanted) && (!only_trouble || line.is_trouble));
    let shown = readers.len();
    let export = format!("/devices.csv{}", query.with("", None));
    let (gateways, doors) = (facts.gateway_cards(), facts.door_tiles());
    let frame = Frame::new(&visit, "devices");
    let page = Page { frame, gateways, doors, readers, search, only_trouble, shown, all, troubled, export };
    render(StatusCode::OK, &page)
}

/// `GET /devices.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let facts = Facts::read(&visit).await?;
    let wanted = query.one("q").unwrap_or_default().to_lowercase();
    let mut csv = Csv::new(&[
        "gateway",
        "line",
        "reader",
        "point",
        "direction",
        "address",
        "state",
        "secure",
        "insecure_accepted",
        "poll_period_us",
        "reply_us",
        "polls",
        "retries",
        "timeouts",
        "crc_errors",
        "alarms",
        "tamper",
        "model",
        "serial",
        "firmware",
        "seen",
    ]);
    for seen in &facts.readers {
        let reader = &seen.device;
        let line = facts.reader_line(seen);
        if !line.hay.contains(&wanted) || (query.one("only") == Some("trouble") && !line.is_trouble) {
            continue;
        }
        csv.row(&[
            seen.gateway.to_string(),
            reader.line.to_string(),
            reader.id.to_string(),
            reader.point.as_ref().map(ToString::to_string).unwrap_or_default(),
            reader.direction.map(|way| way.to_string()).unwrap_or_default(),
            reader.address.to_string(),
            reader.state.as_str().to_owned(),
            reader.secure.to_string(),
            reader.insecure_accepted.clone().unwrap_or_default(),
            reader.poll_period_us.to_string(),
            reader.reply_us.to_string(),
            reader.polls.to_string(),
            reader.retries.to_string(),
            reader.timeouts.to_string(),
            reader.crc_errors.to_string(),
            reader.alarms.to_string(),
            reader.tamper.to_string(),
            reader.model.clone().unwrap_or_default(),
            reader.serial.clone().unwrap_or_default(),
            reader.firmware.clone().unwrap_or_default(),
            seen.seen.to_rfc3339(),
        ]);
    }
    Ok(csv.into_response("readers.csv"))
}

struct Facts {
    gateways: Vec<Gateway>,
    lines: Vec<Seen<Line>>,
    doors: Vec<Seen<devices::Door>>,
    readers: Vec<Seen<Reader>>,
    now: UtcMillis,
    texts: Texts,
    times: Times,
}

impl Facts {
    async fn read(visit: &Visit) -> Result<Self, Fault> {
        let database = &visit.app.database;
        let mut readers = devices::readers(database).await?;
        readers.sort_by_cached_key(|reader| (reader.gateway.to_string(), sort_key(reader.device.id.as_str())));
        let mut doors = devices::doors(database).await?;
        doors.sort_by_cached_key(|door| sort_key(door.device.point.as_str()));
        Ok(Self {
            gateways: devices::gateways(database).await?,
            lines: devices::lines(database).await?,
            doors,
            readers,
            now: visit.app.now(),
            texts: visit.texts(),
            times: visit.times(),
        })
    }

    fn ago(&self, at: UtcMillis) -> String {
        self.texts.a("ago", &self.times.span(self.now.since_ms(at)))
    }

    fn is_heard(&self, gateway: &Gateway) -> bool {
        gateway.online && self.now.since_ms(gateway.seen) <= REPORT_STALE_MS
    }

    fn gateway_cards(&self) -> Vec<GatewayCard> {
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
            let lines = self.lines.iter().filter(|line| line.gateway == gateway.id);
            let lines = lines.map(|line| self.line_chip(&line.device)).collect();
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

    fn door_tiles(&self) -> Vec<DoorTile> {
        let tiles = self.doors.iter().map(|seen| {
            let gateway = self.gateways.iter().find(|gateway| gateway.id == seen.gateway);
            let heard = gateway.is_some_and(|gateway| self.is_heard(gateway));
            let tone = match seen.device.state {
                _ if !heard => Tone::Bad,
                DoorState::Forced | DoorState::Emergency | DoorState::Unreachable => Tone::Bad,
                DoorState::Held | DoorState::Blocked | DoorState::Free => Tone::Warn,
                DoorState::Released | DoorState::Open => Tone::Info,
                DoorState::Locked => Tone::Ok,
            };
            let state = match heard {
                true => self.texts.code("door-", seen.device.state.as_str()),
                false => self.texts.t("not-known-now"),
            };
            let since = self.texts.a("for-span", &self.times.span(self.now.since_ms(seen.device.since)));
            DoorTile { name: label(seen.device.point.as_str()), tone: tone.class(), state, since }
        });
        tiles.collect()
    }

    fn reader_lines(&self) -> Vec<ReaderLine> {
        let mut lines: Vec<ReaderLine> = self.readers.iter().map(|reader| self.reader_line(reader)).collect();
        // What needs a look comes first; within that the order of names stays.
        lines.sort_by_key(|line| !line.is_trouble);
        lines
    }

    fn reader_line(&self, seen: &Seen<Reader>) -> ReaderLine {
        let (reader, texts) = (&seen.device, &self.texts);
        let gateway = self.gateways.iter().find(|gateway| gateway.id == seen.gateway);
        let heard = gateway.is_some_and(|gateway| self.is_heard(gateway));
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
        let model = model.into_iter().flatten().cloned().collect::<Vec<_>>().join(" · ");
        let is_slow = reader.reply_us > REPLY_SLOW_US;
        let name = label(reader.id.as_str());
        let line = format!("{} · {}", label(reader.line.as_str()), texts.n("address-n", i64::from(reader.address)));
        let hay = format!("{} {name} {place} {line} {model} {state} {key}", reader.id).to_lowercase();
        ReaderLine {
            place,
            line,
            tone: tone.class(),
            state,
            key_tone: key_tone.class(),
            key,
            key_note: reader.insecure_accepted.clone().filter(|_| !reader.secure),
            reply: texts.a("ms", &tenths_of_ms(reader.reply_us)),
            is_slow,
            period: texts.a("ms", &tenths_of_ms(reader.poll_period_us)),
            polls: grouped(reader.polls),
            faults,
            model,
            seen: self.ago(seen.seen),
            is_trouble: tone != Tone::Ok || key_tone == Tone::Bad || is_slow,
            hay,
            name,
        }
    }
}

/// `1234` microseconds are `1.2` milliseconds.
fn tenths_of_ms(us: u64) -> String {
    let tenths = us.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// `1234567` as `1 234 567`, with spaces that do not break.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(tenths_of_ms(1_249), "1.2");
        assert_eq!(tenths_of_ms(39_960), "40.0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
    }
}
