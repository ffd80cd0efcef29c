//! The clinic of this benchmark: the same lines, readers, keys and cards for the simulator and for the gateway.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use controller_sim::plant;
use domain::card::{self, CardFormat, CardKey, CardNumber, SealKey};
use domain::pin::PinKey;
use domain::policy::{Credential, Layout, PassKind, PassState, Point, PointKind, PolicySource};
use domain::{
    CardId, CategoryId, Clock, Direction, GatewayId, LineId, PersonId, PointId, ReaderId, SiteId, UtcMillis, ZoneId,
};
use gateway::core::SiteKeys;
use gateway::port::Port;
use gateway::settings::{GatewaySettings, LineSettings, OnFault, OsdpReader, Place, PointSettings, Protocol, Security};
use wire::osdp::secure::Scbk;

/// Readers on each line.
pub const READERS: u8 = 32;
/// Cards that the policy lets in.
pub const CARDS: u32 = 4000;
/// The speed that the ports are set to; a pseudo-terminal does not care.
const BAUD: u32 = 115_200;

pub fn line_id(line: u8) -> LineId {
    LineId::new(&format!("line-{line}")).unwrap()
}

pub fn reader_id(line: u8, reader: u8) -> ReaderId {
    ReaderId::new(&format!("reader-{line}-{reader}")).unwrap()
}

fn point_id(line: u8, reader: u8) -> PointId {
    PointId::new(&format!("point-{line}-{reader}")).unwrap()
}

pub fn key(line: u8, reader: u8) -> Scbk {
    let mut bytes = *b"\x91\x7e\x02\xc4\x55\xd8\x3b\xa6\x19\xf0\x6d\x84\x2c\xb7\x40\xee";
    bytes[3] = reader;
    bytes[7] = line;
    Scbk::new(bytes)
}

pub fn card(number: u32) -> CardNumber {
    card::parse(CardFormat::Wiegand26, &format!("10,{number}")).unwrap()
}

pub fn card_key() -> CardKey {
    CardKey::new([7; 32])
}

pub fn card_id(number: u32) -> CardId {
    card_key().id(&card(number))
}

pub fn keys() -> SiteKeys {
    SiteKeys { card: card_key(), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) }
}

pub fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        UtcMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}

/// The readers' end. Desks: they answer, and nobody has to walk through anything.
pub fn plant(folder: &Path, lines: u8) -> plant::Plant {
    let all = || (0..lines).flat_map(|line| (0..READERS).map(move |reader| (line, reader)));
    let points = all().map(|(line, reader)| plant::Point {
        id: point_id(line, reader),
        kind: plant::PointKind::Workstation,
        from: None,
        to: None,
    });
    let reader = |line, reader| plant::Reader {
        id: reader_id(line, reader),
        address: reader,
        key: Some(key(line, reader)),
        install_mode: false,
        point: point_id(line, reader),
        direction: Direction::In,
        serial: u32::from(reader) + 1,
        turnaround_ms: 0,
        release_output: 0,
        passage_input: None,
        exit_input: None,
    };
    let lines = (0..lines).map(|line| plant::Line {
        id: line_id(line),
        port: folder.join(format!("line-{line}")).display().to_string(),
        protocol: plant::Protocol::Osdp,
        baud: BAUD,
        paced: false,
        readers: (0..READERS).map(|number| reader(line, number)).collect(),
    });
    plant::Plant { points: points.collect(), lines: lines.collect(), peers: Vec::new() }
}

/// The gateway's end of the same lines.
pub fn settings(folder: &Path, lines: u8) -> GatewaySettings {
    let reader = |line, number| OsdpReader {
        place: Place {
            reader: reader_id(line, number),
            point: Some(point_id(line, number)),
            direction: Direction::In,
            uid_reversed: false,
        },
        address: number,
        security: Security::Key(key(line, number)),
        offline_after: Duration::from_secs(8),
        serial: None,
        vendor: None,
    };
    let point = PointSettings {
        kind: PointKind::Workstation,
        on_fault: OnFault::Secure,
        release: Duration::from_secs(3),
        held: Duration::from_secs(30),
        output: 0,
        contact_input: None,
        exit_input: None,
        fire_input: None,
        interlock: None,
    };
    let points: BTreeMap<_, _> = (0..lines)
        .flat_map(|line| (0..READERS).map(move |reader| point_id(line, reader)))
        .map(|id| (id, point.clone()))
        .collect();
    let lines = (0..lines).map(|line| LineSettings {
        id: line_id(line),
        port: Port::Device(folder.join(format!("line-{line}"))),
        baud: BAUD,
        protocol: Protocol::Osdp((0..READERS).map(|number| reader(line, number)).collect()),
    });
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points,
        lines: lines.collect(),
        journal_stall: Duration::from_millis(250),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
        peers: Vec::new(),
        acs_link: None,
        push: None,
    }
}

/// Everybody may go everywhere on these lines.
pub fn policy(lines: u8) -> PolicySource {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let points = (0..lines).flat_map(|line| (0..READERS).map(move |reader| point_id(line, reader)));
    let points = points.map(|id| Point::new(id, PointKind::Workstation, zone("street"), zone("hall"))).collect();
    let categories = vec![CategoryId::new("staff").unwrap()];
    let mut layout = Layout { version: 1, built_at: clock().now(), categories, points, ..Layout::empty() };
    layout.complete_zones();
    PolicySource {
        layout,
        credentials: (1..=CARDS).map(|number| credential(card_id(number), number)).collect(),
        grants: Vec::new(),
    }
}

pub fn credential(card: CardId, number: u32) -> Credential {
    Credential {
        card,
        person: PersonId(u128::from(number).to_be_bytes()),
        category: 0,
        kind: PassKind::Staff,
        state: PassState::Active,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    }
}
