//! A small clinic for tests of pages: its layout, people, a morning of passages, and equipment with a few faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::devices::{self, DoorState, Gateway, Line, Peer, PeerKind, Reader, ReaderState, Report};
use clinic::vault::{Blobs, KeySource, Vault};
use clinic::{ingest, people, policy};
use domain::card::{self, CardFormat, CardKey};
use domain::policy::{Layout, Point, PointKind};
use domain::vault::BoxKey;
use domain::{
    CardId, CategoryId, Clock, Direction, Draft, Entry, Epoch, GatewayId, Kind, LineId, PersonId, PointId, ReaderId,
    Reason, UtcMillis, ZoneId,
};
use store::Database;

pub const GATEWAY: &str = "gateway-1";

/// A clock that tests move.
#[derive(Clone)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    /// Begins on Tuesday 24 November 2026, 09:41:07 in Kyiv.
    pub fn new() -> Self {
        let at = UtcMillis::from_rfc3339("2026-11-24T07:41:07Z").unwrap();
        Self(Arc::new(AtomicI64::new(at.0)))
    }

    pub fn now(&self) -> UtcMillis {
        UtcMillis(self.0.load(Ordering::Relaxed))
    }

    pub fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.now())
    }
}

/// What seals names and addresses of staff.
pub fn accounts_key() -> BoxKey {
    BoxKey::new([8; 32])
}

pub async fn database(folder: &Path) -> Database {
    Database::open(&format!("sqlite:{}", folder.join("clinic.db").display())).await.unwrap()
}

/// An open vault with its key and its photographs in `folder`.
pub async fn vault(database: &Database, clock: Clock, folder: &Path) -> Vault {
    let key = KeySource::Own(folder.join("keys").join("vault.key"));
    let vault = Vault::new(database.clone(), clock, Blobs::folder(&folder.join("photos")), key);
    std::fs::create_dir_all(folder.join("keys")).unwrap();
    vault.start().await.unwrap();
    assert!(vault.is_open(), "{vault:?}");
    vault
}

fn key() -> CardKey {
    CardKey::new([7; 32])
}

pub fn card(n: u32) -> CardId {
    key().id(&card::parse(CardFormat::UidHex, &format!("{:08X}", 0x04A1_0000 + n)).unwrap())
}

pub fn person(n: u32) -> PersonId {
    let mut bytes = [0_u8; 16];
    bytes[..8].copy_from_slice(&(u64::from(n) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    PersonId(bytes)
}

/// What is known before anything happens: zones, points, categories, people and their passes.
pub async fn furnish(database: &Database, now: UtcMillis) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point =
        |name: &str, kind, from: &str, to: &str| Point::new(PointId::new(name).unwrap(), kind, zone(from), zone(to));
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        categories: CATEGORIES.iter().map(|(name, _)| CategoryId::new(name).unwrap()).collect(),
        points: vec![
            point("turnstile-1", PointKind::Turnstile, "street", "hall"),
            point("turnstile-2", PointKind::Turnstile, "street", "hall"),
            point("turnstile-3", PointKind::Turnstile, "street", "hall"),
            point("north-barrier", PointKind::Barrier, "street", "yard"),
            point("surgery-door", PointKind::Door, "hall", "surgery"),
            point("pharmacy-door", PointKind::Door, "hall", "pharmacy"),
        ],
        ..Layout::empty()
    };
    layout.complete_zones();
    policy::put_layout(database, layout, now).await.unwrap();
    let mut sheet = String::from("person,kind,category,card_format,card_number,valid_from,valid_until\n");
    for n in 0..60 {
        let (category, kind) = CATEGORIES[n as usize % CATEGORIES.len()];
        sheet += &format!("{},{kind},{category},uid_hex,{:08X},,\n", person(n), 0x04A1_0000 + n);
    }
    let options = people::Options {
        card_key: key(),
        pin_key: None,
        seal_key: None,
        zone: chrono_tz::Europe::Kyiv,
        dry_run: false,
    };
    let report = people::import_csv(database, std::io::Cursor::new(sheet.into_bytes()), options, now).await.unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
}

const CATEGORIES: &[(&str, &str)] = &[
    ("patient-paying", "patient"),
    ("patient-insured", "patient"),
    ("patient-day", "patient_temporary"),
    ("surgeon", "staff"),
    ("nurse", "staff"),
    ("visitor", "visitor"),
    ("ambulance", "vehicle"),
];

/// Writes the journal of one gateway.
pub struct Recorder {
    database: Database,
    seq: u64,
}

impl Recorder {
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), seq: 0 }
    }

    /// Takes facts in, as the bridge does.
    pub async fn record(&mut self, facts: Vec<Draft>) {
        let entries: Vec<Entry> = facts
            .into_iter()
            .map(|fact| {
                self.seq += 1;
                Entry { gateway: GatewayId::new(GATEWAY).unwrap(), epoch: Epoch([3; 16]), seq: self.seq, fact }
            })
            .collect();
        let at = entries.last().unwrap().fact.at;
        let done = ingest::ingest(&self.database, entries, at).await.unwrap();
        assert!(matches!(done, ingest::Ingested::Committed { .. }), "{done:?}");
    }
}

pub fn fact(
    at: UtcMillis,
    kind: Kind,
    point: &str,
    way: Direction,
    holder: Option<u32>,
    reason: Option<Reason>,
) -> Draft {
    Draft {
        reason,
        point: Some(PointId::new(point).unwrap()),
        reader: Some(ReaderId::new(&format!("{point}-{way}")).unwrap()),
        direction: Some(way),
        card: holder.map(card),
        person: holder.filter(|n| *n < 60).map(person),
        ..Draft::new(at, kind)
    }
}

/// An hour of passages that ends at `now`, the last event a refusal.
pub async fn morning(recorder: &mut Recorder, now: UtcMillis) {
    let points = ["turnstile-1", "turnstile-2", "turnstile-3", "surgery-door", "pharmacy-door", "north-barrier"];
    let mut facts = Vec::new();
    for n in 0..120_u32 {
        let at = now.plus_ms(-30_000 * i64::from(120 - n));
        let point = points[(n * 7 % 13) as usize % points.len()];
        let way = if n % 4 == 3 { Direction::Out } else { Direction::In };
        let holder = n * 17 % 60;
        match n % 15 {
            4 => facts.push(fact(at, Kind::Refused, point, way, Some(900 + n), Some(Reason::UnknownCard))),
            9 => facts.push(fact(at, Kind::Refused, point, way, Some(holder), Some(Reason::OutsideHours))),
            13 => {
                facts.push(fact(at, Kind::Granted, point, way, Some(holder), Some(Reason::Allowed)));
                facts.push(fact(at.plus_ms(3000), Kind::NotTaken, point, way, Some(holder), None));
            }
            _ => {
                facts.push(fact(at, Kind::Granted, point, way, Some(holder), Some(Reason::Allowed)));
                facts.push(fact(at.plus_ms(1400), Kind::Passed, point, way, Some(holder), None));
            }
        }
    }
    let held =
        Draft { point: Some(PointId::new("surgery-door").unwrap()), ..Draft::new(now.plus_ms(-95_000), Kind::Held) };
    let silent = Draft {
        reader: Some(ReaderId::new("north-barrier-in").unwrap()),
        point: Some(PointId::new("north-barrier").unwrap()),
        ..Draft::new(now.plus_ms(-192_000), Kind::Offline)
    };
    facts.push(held);
    facts.push(silent);
    facts.sort_by_key(|fact| fact.at);
    facts.push(fact(now.plus_ms(-2_000), Kind::Refused, "turnstile-2", Direction::In, Some(3), Some(Reason::Expired)));
    recorder.record(facts).await;
}

/// Equipment as reported at `now`.
pub async fn equipment(database: &Database, now: UtcMillis) {
    let name = |text: &str| GatewayId::new(text).unwrap();
    let reader = |point: &str, way: Direction, address: u8, line: &str| Reader {
        id: ReaderId::new(&format!("{point}-{way}")).unwrap(),
        line: LineId::new(line).unwrap(),
        point: Some(PointId::new(point).unwrap()),
        direction: Some(way),
        address,
        at: None,
        state: ReaderState::Online,
        secure: true,
        insecure_accepted: None,
        poll_period_us: 51_200 + u64::from(address) * 130,
        reply_us: 3_900 + u64::from(address) * 210,
        polls: 1_204_512 - u64::from(address) * 1733,
        retries: u64::from(address % 3 == 1) * 4,
        timeouts: 0,
        crc_errors: 0,
        alarms: 0,
        silent_ms: 0,
        model: Some("HID Signo 20".to_owned()),
        serial: Some(format!("00 51 7A {address:02X}")),
        firmware: Some("10.0.2.6".to_owned()),
        tamper: false,
    };
    let mut readers = Vec::new();
    let points = ["turnstile-1", "turnstile-2", "turnstile-3", "surgery-door", "pharmacy-door", "north-barrier"];
    for (n, point) in points.iter().enumerate() {
        let line = if n < 3 { "entrance" } else { "wing-b" };
        for (m, way) in [Direction::In, Direction::Out].into_iter().enumerate() {
            readers.push(reader(point, way, u8::try_from(n * 2 + m + 1).unwrap(), line));
        }
    }
    let find = |readers: &mut Vec<Reader>, id: &str, change: &dyn Fn(&mut Reader)| {
        change(readers.iter_mut().find(|reader| reader.id.as_str() == id).unwrap());
    };
    find(&mut readers, "north-barrier-in", &|reader| {
        reader.state = ReaderState::Offline;
        reader.silent_ms = 192_000;
        reader.timeouts = 3_841;
        reader.secure = false;
    });
    find(&mut readers, "turnstile-3-in", &|reader| {
        reader.reply_us = 39_400;
        reader.crc_errors = 212;
        reader.retries = 230;
    });
    find(&mut readers, "pharmacy-door-out", &|reader| {
        reader.secure = false;
        reader.insecure_accepted = Some("accepted by O. Bondar until 2026-12-31".to_owned());
        reader.model = Some("Legacy OSDP v1".to_owned());
    });
    let door = |point: &str, state, ago_ms: i64| devices::Door {
        point: PointId::new(point).unwrap(),
        state,
        since: now.plus_ms(-ago_ms),
    };
    let line = |id: &str, port: &str, rate: u64, problem: Option<&str>| Line {
        id: LineId::new(id).unwrap(),
        port: port.to_owned(),
        open: true,
        polls_per_1000_s: rate * 1000,
        problem: problem.map(str::to_owned),
        peer: None,
    };
    let controller = |id: &str, n: u8, peer: Peer, problem: Option<&str>| Line {
        id: LineId::new(id).unwrap(),
        port: format!("acs-link {id}"),
        open: peer.connected_since.is_some(),
        polls_per_1000_s: 0,
        problem: problem.map(str::to_owned),
        peer: Some(Peer { software: Some(format!("Gate {n}.2")), ..peer }),
    };
    let lobby = Peer {
        node: Some("lobby-acs".to_owned()),
        secure: true,
        connected_since: Some(now.plus_ms(-(3 * 3_600_000))),
        passes_told: 1_840,
        passes_wanted: 1_842,
        commands_waiting: 2,
        skew_ms: Some(-35),
        ..Peer::new(PeerKind::AcsLink, "10.20.1.7:50112".to_owned())
    };
    let garage = Peer {
        secure: false,
        connected_since: Some(now.plus_ms(-40_000)),
        events_held: 212,
        quarantined: 1,
        skew_ms: Some(185_000),
        ..Peer::new(PeerKind::Hikvision, "http://10.20.1.9".to_owned())
    };
    let annex = Peer {
        events_held: 17,
        passes_told: 900,
        passes_wanted: 900,
        ..Peer::new(PeerKind::Parsec, "acs.clinic.example:10101".to_owned())
    };
    for (point, line, at) in [
        ("lobby-turnstile", "lobby-acs", "clinic-1/main-hall/turnstile-03"),
        ("garage-gate", "garage", "1"),
        ("annex-door", "annex", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
    ] {
        let mut reader = reader(point, Direction::In, 0, line);
        reader.at = Some(at.to_owned());
        reader.secure = line == "lobby-acs";
        (reader.polls, reader.reply_us, reader.poll_period_us) = (0, 0, 0);
        if line == "annex" {
            reader.state = ReaderState::Offline;
            reader.silent_ms = 310_000;
        }
        readers.push(reader);
    }
    let gateway = Gateway {
        started: Some(now.plus_ms(-(26 * 3_600_000 + 720_000))),
        software: Some("0.1.0".to_owned()),
        epoch: Some(Epoch([3; 16])),
        last_seq: Some(48_211),
        acked_seq: Some(48_211),
        policy_version: Some(37),
        policy_age_ms: Some(41_000),
        ..Gateway::new(name(GATEWAY))
    };
    let report = Report {
        gateway,
        lines: vec![
            line("entrance", "/dev/serial/by-id/usb-FTDI-A50285BI", 117, None),
            line("wing-b", "tcp://10.20.0.7:4001", 96, Some("latency timer 16 ms")),
            controller("lobby-acs", 4, lobby, None),
            controller(
                "garage",
                5,
                garage,
                Some("its clock is 3 min behind: what it reports is kept without its time"),
            ),
            controller("annex", 6, annex, Some("the server does not answer: connection refused")),
        ],
        readers,
        doors: vec![
            door("turnstile-1", DoorState::Locked, 4_000),
            door("turnstile-2", DoorState::Locked, 61_000),
            door("turnstile-3", DoorState::Released, 1_000),
            door("surgery-door", DoorState::Held, 95_000),
            door("pharmacy-door", DoorState::Locked, 1_900_000),
            door("north-barrier", DoorState::Unreachable, 192_000),
            door("lobby-turnstile", DoorState::Locked, 9_000),
            door("garage-gate", DoorState::Free, 600_000),
            door("annex-door", DoorState::Unreachable, 310_000),
        ],
    };
    devices::report(database, report, now).await.unwrap();
}
