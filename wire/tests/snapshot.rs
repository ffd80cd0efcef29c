//! Policy snapshots as bytes: round trips, damage, limits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::card::SealedNumber;
use domain::pin::PinHash;
use domain::policy::{
    Asked, Credential, Demand, Effect, Grant, Granted, Layout, Mode, PassKind, PassState, Point, PointKind, Rule,
    Verify,
};
use domain::schedule::{LocalDate, MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::{AntiPassback, Zone};
use domain::{
    CardId, CategoryId, ConditionId, Direction, PersonId, PointId, PolicySource, ScheduleId, UtcMillis, ZoneId,
};
use proptest::prelude::*;
use wire::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode, encode};

fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

fn layout() -> Layout {
    let hours = MinuteRange { from: 480, until: 1200 };
    Layout {
        version: u64::MAX,
        built_at: UtcMillis(-1),
        time_zone: "Europe/Kyiv".into(),
        zones: vec![
            Zone { outside: true, ..Zone::new(zone("street")) },
            Zone {
                inside: Some(zone("clinic")),
                anti_passback: AntiPassback::Hard,
                capacity: Some(7),
                ..Zone::new(zone("hall"))
            },
            Zone { anti_passback: AntiPassback::Soft, ..Zone::new(zone("clinic")) },
        ],
        categories: vec![CategoryId::new("surgeon").unwrap(), CategoryId::new("patient-paying").unwrap()],
        schedules: [OnHoliday::Closed, OnHoliday::AsUsual, OnHoliday::Instead(vec![hours])]
            .into_iter()
            .enumerate()
            .map(|(n, on_holiday)| Schedule {
                id: ScheduleId::new(&format!("s{n}")).unwrap(),
                weekly: vec![WeeklyRange { days: Weekdays::WORKING, range: hours }],
                on_holiday,
            })
            .collect(),
        holidays: vec![LocalDate::new(2027, 1, 1).unwrap(), LocalDate(-1)],
        rules: vec![
            Rule::new("все \"можна\"", Effect::Allow),
            Rule {
                categories: vec![CategoryId::new("surgeon").unwrap()],
                kinds: vec![PassKind::Staff, PassKind::Vehicle],
                zone: Some(zone("hall")),
                direction: Some(Direction::Out),
                schedule: Some(ScheduleId::new("s0").unwrap()),
                valid_from: Some(UtcMillis(i64::MIN)),
                valid_until: Some(UtcMillis(i64::MAX)),
                ..Rule::new("x", Effect::Deny)
            },
        ],
        points: vec![
            Point::new(PointId::new("t-1").unwrap(), PointKind::Turnstile, zone("street"), zone("hall")),
            Point {
                mode: Mode::Soft,
                verify: Verify::CardPin,
                reuse_ms: Some(1000),
                ..Point::new(PointId::new("d/1").unwrap(), PointKind::Workstation, zone("hall"), zone("clinic"))
            },
        ],
        demands: Vec::new(),
        allow_all_if_no_rules: false,
    }
}

/// The same with zones that ask.
fn asking() -> Layout {
    let contract = Asked::Condition(ConditionId::new("contract").unwrap());
    let demand = Demand { zone: zone("clinic"), asked: contract, kinds: Vec::new() };
    Layout { demands: vec![Demand::purpose(zone("hall")), demand], ..layout() }
}

fn any_grant() -> impl Strategy<Value = Grant> {
    (any::<[u8; 16]>(), any::<bool>(), 0..1000_u16, any::<i64>(), any::<i64>()).prop_map(
        |(person, is_zone, position, from, until)| Grant {
            person: PersonId(person),
            of: if is_zone { Granted::Zone(position) } else { Granted::Condition(position) },
            from: UtcMillis(from),
            until: UtcMillis(until),
        },
    )
}

fn credential(n: u64) -> Credential {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    Credential {
        card: CardId(id),
        person: PersonId(id),
        category: 1,
        kind: PassKind::Patient,
        state: PassState::Active,
        one_time: false,
        valid_from: Some(UtcMillis(1)),
        valid_until: Some(UtcMillis(2)),
        pin: None,
        duress_pin: None,
        number: None,
    }
}

fn any_credential() -> impl Strategy<Value = Credential> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u16>());
    let shape = (0..PassKind::ALL.len(), 0..PassState::ALL.len(), any::<bool>());
    let dates = (any::<Option<i64>>(), any::<Option<i64>>());
    let secrets = any::<[Option<[u8; 16]>; 3]>();
    (ids, shape, dates, secrets).prop_map(
        |((card, person, category), (kind, state, one_time), (from, until), secrets)| {
            let [pin, duress, number] = secrets;
            Credential {
                card: CardId(card),
                person: PersonId(person),
                category,
                kind: PassKind::ALL[kind],
                state: PassState::ALL[state],
                one_time,
                valid_from: from.map(UtcMillis),
                valid_until: until.map(UtcMillis),
                pin: pin.map(PinHash),
                duress_pin: duress.map(PinHash),
                number: number.map(SealedNumber),
            }
        },
    )
}

fn small() -> PolicySource {
    PolicySource { layout: layout(), credentials: (0..3).map(credential).collect(), grants: Vec::new() }
}

proptest! {
    #[test]
    fn any_policy_round_trips(credentials in proptest::collection::vec(any_credential(), 0..50)) {
        let source = PolicySource { layout: layout(), credentials, grants: Vec::new() };
        prop_assert_eq!(decode(&encode(&source).unwrap()), Ok(source));
    }

    #[test]
    fn any_policy_that_asks_round_trips(
        credentials in proptest::collection::vec(any_credential(), 0..20),
        grants in proptest::collection::vec(any_grant(), 0..20),
        end in 0..4000_usize,
    ) {
        let source = PolicySource { layout: asking(), credentials, grants };
        let bytes = encode(&source).unwrap();
        prop_assert_eq!(bytes[4], 3, "a gateway that does not know what zones ask must not take it");
        if end < bytes.len() {
            let content = sealed(bytes[..end].to_vec());
            prop_assert!(decode(&content).is_err());
        }
        prop_assert_eq!(decode(&bytes), Ok(source));
    }

    #[test]
    fn damage_anywhere_is_noticed(at in 0..10_000_usize, bit in 0..8_u8) {
        let mut bytes = encode(&small()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn rubbish_with_a_right_checksum_is_refused_without_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200), layout_len in 0..200_u32, framed in any::<bool>(),
    ) {
        use sha2::Digest;
        let mut whole = b"TWPS\x01".to_vec();
        if framed { whole.extend(layout_len.to_be_bytes()) }
        whole.append(&mut bytes);
        let digest = sha2::Sha256::digest(&whole);
        whole.extend_from_slice(&digest);
        prop_assert!(decode(&whole).is_err());
    }
}

#[test]
fn a_snapshot_cut_off_anywhere_is_refused() {
    let bytes = encode(&small()).unwrap();
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end]).is_err(), "{end}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(decode(&longer).is_err());
}

fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(&content);
    content.extend_from_slice(&digest);
    content
}

#[test]
fn a_number_of_credentials_that_are_not_there_makes_no_room_for_them() {
    let bytes = encode(&PolicySource { layout: layout(), credentials: vec![], grants: Vec::new() }).unwrap();
    let mut content = bytes[..bytes.len() - 32].to_vec();
    let at = content.len() - 4;
    content[at..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(decode(&sealed(content)), Err(SnapshotError::Length));
}

#[test]
fn flags_and_formats_of_later_versions_are_refused_by_name() {
    let bytes = encode(&small()).unwrap();
    let mut content = bytes[..bytes.len() - 32].to_vec();
    // The flags of the last credential stand before its two dates.
    let at = content.len() - 18;
    content[at] |= 0x80;
    assert_eq!(decode(&sealed(content)), Err(SnapshotError::Credential(2)));
    let mut newer = bytes;
    newer[4] = 4;
    assert_eq!(decode(&newer), Err(SnapshotError::Format(4)));
    assert_eq!(decode(b"{}"), Err(SnapshotError::NotASnapshot));
}

#[test]
fn only_a_policy_with_numbers_needs_a_gateway_that_knows_them() {
    assert_eq!(encode(&small()).unwrap()[4], 1, "as earlier releases write and read it");
    let mut source = small();
    let without = encode(&source).unwrap().len();
    source.credentials[1].number = Some(SealedNumber([7; 16]));
    let bytes = encode(&source).unwrap();
    assert_eq!((bytes[4], bytes.len()), (2, without + 16));
    assert_eq!(decode(&bytes), Ok(source));
    // Format 1 has no such flag.
    let mut content = bytes[..bytes.len() - 32].to_vec();
    content[4] = 1;
    assert_eq!(decode(&sealed(content)), Err(SnapshotError::Credential(1)));
}

#[test]
fn what_zones_ask_cannot_be_hidden_from_an_older_gateway_and_grants_that_are_not_there_make_no_room() {
    let bytes = encode(&PolicySource { layout: asking(), credentials: vec![], grants: vec![] }).unwrap();
    let content = &bytes[..bytes.len() - 32];
    // Without the number of grants it is a snapshot of format 1 whose layout asks.
    let mut older = content[..content.len() - 4].to_vec();
    older[4] = 1;
    assert_eq!(decode(&sealed(older)), Err(SnapshotError::Format(1)));
    let mut many = content.to_vec();
    let at = many.len() - 8;
    many[at..at + 4].copy_from_slice(&1_000_000_u32.to_be_bytes());
    assert_eq!(decode(&sealed(many.clone())), Err(SnapshotError::Length));
    many[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(decode(&sealed(many)), Err(SnapshotError::TooLarge(..))));
    let ignored = PolicySource {
        layout: layout(),
        credentials: vec![],
        grants: vec![Grant {
            person: PersonId([1; 16]),
            of: Granted::Zone(0),
            from: UtcMillis(0),
            until: UtcMillis(1),
        }],
    };
    assert!(decode(&encode(&ignored).unwrap()).unwrap().grants.is_empty(), "no zone asks");
}

#[test]
fn a_layout_that_no_gateway_would_read_is_refused_when_it_is_written() {
    let bad = Layout { time_zone: "x".repeat(300), ..layout() };
    assert!(matches!(SnapshotWriter::new(&bad, 0), Err(SnapshotError::Layout(_))));
}

#[test]
fn a_hundred_thousand_ordinary_credentials_take_52_bytes_each_and_stream_into_a_policy() {
    let mut writer = SnapshotWriter::new(&Layout::empty(), 100_000).unwrap();
    (0..100_000).try_for_each(|n| writer.push(&credential(n))).unwrap();
    let bytes = writer.finish();
    assert!(bytes.len() < 100_000 * 52 + 1024, "{}", bytes.len());
    let snapshot = Snapshot::read(&bytes).unwrap();
    let mut read = 0;
    for (n, row) in (0..).zip(snapshot.credentials()) {
        assert_eq!(row.unwrap(), credential(n));
        read += 1;
    }
    assert_eq!(read, 100_000);
}

/// `cargo test --release -p wire --test snapshot -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: prints figures, asserts nothing about time"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn measure_a_million_credentials() {
    let began = std::time::Instant::now();
    let mut writer = SnapshotWriter::new(&Layout::empty(), 1_000_000).unwrap();
    (0..1_000_000).try_for_each(|n| writer.push(&credential(n))).unwrap();
    let bytes = writer.finish();
    let written = began.elapsed();
    let snapshot = Snapshot::read(&bytes).unwrap();
    let persons = snapshot.credentials().filter(|row| row.as_ref().is_ok_and(|row| row.category == 1)).count();
    let read = began.elapsed() - written;
    println!("1e6 credentials: {} bytes, written in {written:?}, checked and read in {read:?}", bytes.len());
    assert_eq!(persons, 1_000_000);
}
