//! The same stories on both engines: what the clinic keeps, told from outside. The PostgreSQL half fails, and does not
//! skip, when its server is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod devices;
mod differential;
mod events;
mod ingest;
mod people;
mod policy;
mod received;

use domain::policy::{Layout, Point, PointKind};
use domain::zone::Zone;
use domain::{
    CardId, CategoryId, Direction, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, ReaderId, UtcMillis, ZoneId,
};

/// 2026-11-21T08:00:00Z, 10:00 in Kyiv.
pub(crate) const NOW: UtcMillis = UtcMillis(1_795_248_000_000);

pub(crate) fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

pub(crate) fn point(id: &str) -> PointId {
    PointId::new(id).unwrap()
}

pub(crate) fn person(number: u8) -> PersonId {
    PersonId([number; 16])
}

pub(crate) fn card(number: u8) -> CardId {
    CardId([number; 16])
}

pub(crate) fn gateway(id: &str) -> GatewayId {
    GatewayId::new(id).unwrap()
}

/// Street, hall inside the clinic, ward inside the clinic; a turnstile, a door and a workstation.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        zones: vec![
            Zone { outside: true, ..Zone::new(zone("street")) },
            Zone::new(zone("clinic")),
            Zone { inside: Some(zone("clinic")), ..Zone::new(zone("hall")) },
            Zone { inside: Some(zone("clinic")), capacity: Some(40), ..Zone::new(zone("ward")) },
        ],
        categories: vec![CategoryId::new("surgeon").unwrap()],
        ..Layout::empty()
    };
    layout.points = vec![
        Point::new(point("turnstile-1"), PointKind::Turnstile, zone("street"), zone("hall")),
        Point::new(point("door-1"), PointKind::Door, zone("hall"), zone("ward")),
        Point::new(point("desk-1"), PointKind::Workstation, zone("hall"), zone("hall")),
    ];
    layout
}

pub(crate) fn entry(at_gateway: &str, seq: u64, fact: Draft) -> Entry {
    Entry { gateway: gateway(at_gateway), epoch: Epoch([5; 16]), seq, fact }
}

/// Somebody went through a point.
pub(crate) fn passed(seconds: i64, who: u8, at_point: &str, direction: Direction) -> Draft {
    Draft {
        point: Some(point(at_point)),
        reader: Some(ReaderId::new(&format!("{at_point}-{direction}")).unwrap()),
        direction: Some(direction),
        card: Some(card(who)),
        person: Some(person(who)),
        ..Draft::new(NOW.plus_ms(seconds * 1000), Kind::Passed)
    }
}
