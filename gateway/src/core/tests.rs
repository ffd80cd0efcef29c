//! The core by itself: no line is open, the journal is real.

use domain::Epoch;
use domain::card::{self, CardFormat, SealKey};
use domain::ids::{CategoryId, Direction, GatewayId, SiteId, ZoneId};
use domain::pin::PinKey;
use domain::policy::{Credential, Layout, PassKind, PassState, Point, PointKind, PolicySource};
use domain::zone::Zone;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::timeout;
use wire::bus::ReaderState;
use wire::osdp::secure::Scbk;

mod peers;

use super::*;
use crate::line::{self, LineFact, ReaderFact};
use crate::port::Port;
use crate::settings::{Attached, Place, Protocol, Security};
use crate::settings::{LineSettings, OnFault, OsdpReader, PointSettings};

const PATIENCE: Duration = Duration::from_secs(20);
const NOON: i64 = 1_795_608_000_000;
const STAFF: &str = "10,1";
const OTHER: &str = "10,2";
const ONE_TIME: &str = "10,3";
const UNKNOWN: &str = "10,4444";

struct Bench {
    core: Core,
    journal: Journal,
    wall: Arc<AtomicI64>,
    _events: mpsc::Receiver<LineEvent>,
    _folder: tempfile::TempDir,
}

fn point(n: u8) -> PointId {
    PointId::new(&format!("t{n}")).unwrap()
}

fn reader(name: &str) -> ReaderId {
    ReaderId::new(name).unwrap()
}

fn wiring() -> PointSettings {
    PointSettings {
        kind: PointKind::Turnstile,
        on_fault: OnFault::Secure,
        release: Duration::from_secs(3),
        held: Duration::from_secs(30),
        output: 0,
        contact_input: Some(0),
        exit_input: Some(1),
        fire_input: Some(2),
        interlock: None,
    }
}

/// Two turnstiles with two readers each: `t1-in`, `t1-out`, `t2-in`, `t2-out`.
fn settings() -> GatewaySettings {
    let readers = (1..=2_u8).flat_map(|n| {
        [("in", Direction::In), ("out", Direction::Out)].into_iter().enumerate().map(move |(i, (name, direction))| {
            OsdpReader {
                place: Place {
                    reader: reader(&format!("t{n}-{name}")),
                    point: Some(point(n)),
                    direction,
                    uid_reversed: false,
                },
                address: n * 2 + i as u8,
                security: Security::Key(Scbk::from_hex("8b1f7a02c4d9e6335a90bb17f2e8614d").unwrap()),
                offline_after: Duration::from_secs(8),
                serial: None,
                vendor: None,
            }
        })
    });
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points: (1..=2).map(|n| (point(n), wiring())).collect(),
        lines: vec![LineSettings {
            id: LineId::new("line").unwrap(),
            port: Port::Device("/nowhere".into()),
            baud: 115_200,
            protocol: Protocol::Osdp(readers.collect()),
        }],
        journal_stall: Duration::from_secs(10),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
        peers: Vec::new(),
        acs_link: None,
        push: None,
    }
}

fn policy() -> PolicySource {
    let cards = CardKey::new([7; 32]);
    let credential = |text: &str, n: u8| Credential {
        card: cards.id(&card::parse(CardFormat::Wiegand26, text).unwrap()),
        person: PersonId([n; 16]),
        category: 0,
        kind: PassKind::Staff,
        state: PassState::Active,
        one_time: text == ONE_TIME,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    };
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let mut layout = Layout {
        version: 1,
        built_at: UtcMillis(NOON),
        categories: vec![CategoryId::new("staff").unwrap()],
        points: (1..=2).map(|n| Point::new(point(n), PointKind::Turnstile, zone("street"), zone("hall"))).collect(),
        ..Layout::empty()
    };
    layout.zones = vec![Zone { id: zone("street"), inside: None, outside: true, ..Zone::new(zone("street")) }];
    layout.complete_zones();
    PolicySource {
        layout,
        credentials: vec![credential(STAFF, 1), credential(OTHER, 2), credential(ONE_TIME, 3)],
        grants: Vec::new(),
    }
}

impl Bench {
    async fn new(settings: GatewaySettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wall = Arc::new(AtomicI64::new(NOON));
        let shown = Arc::clone(&wall);
        let clock = Clock::new(move || UtcMillis(shown.load(Ordering::SeqCst)));
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
        let (events, queue) = mpsc::channel(line::EVENTS_MAX);
        let policy = crate::snapshot::compile(&wire::snapshot::encode(&policy()).unwrap()).unwrap();
        let keys = SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) };
        let (core, _) = Core::new(
            Arc::new(settings),
            keys,
            journal.clone(),
            Some((Arc::clone(&policy), Presence::new(&policy))),
            clock,
            events,
        );
        let mut bench = Self { core, journal, wall, _events: queue, _folder: folder };
        bench.core.put_doors();
        let attached: Vec<Attached> = bench.core.settings.attached().collect();
        for attached in attached {
            bench.core.add_readers(&attached);
        }
        for unit in bench.core.readers.values_mut() {
            unit.status.secure = true;
            unit.status.state = ReaderState::Online;
        }
        bench
    }

    fn event(&mut self, name: &str, fact: ReaderFact, ago: Duration) {
        let what = LineFact::Reader(reader(name), fact);
        self.core.event(LineEvent { line: LineId::new("line").unwrap(), what, at: Instant::now() - ago });
    }

    fn tap(&mut self, name: &str, text: &str) {
        let number = card::parse(CardFormat::Wiegand26, text);
        self.event(name, ReaderFact::Card { number, age: Duration::ZERO }, Duration::ZERO);
    }

    fn inputs(&mut self, name: &str, inputs: u32) {
        self.event(name, ReaderFact::Inputs(inputs), Duration::ZERO);
    }

    /// Lets everything become durable that is on its way; everything recorded so far, shortly told.
    async fn said(&mut self) -> Vec<String> {
        let last = async {
            while !self.core.recorder.is_idle() {
                let done = self.core.recorder.next().await;
                self.core.recorded(&done);
            }
        };
        timeout(PATIENCE, last).await.expect("everything becomes durable");
        self.journal
            .read_after(0, 5000)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| {
                let fact = entry.fact;
                let words = [
                    Some(fact.kind.as_str().to_owned()),
                    fact.reason.map(|reason| reason.as_str().to_owned()),
                    fact.point.map(|point| point.to_string()),
                ];
                words.into_iter().flatten().collect::<Vec<_>>().join(" ")
            })
            .collect()
    }
}

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|line| line.starts_with(what)).count()
}

#[tokio::test]
async fn a_one_time_pass_at_two_turnstiles_at_once_opens_one() {
    let mut bench = Bench::new(settings()).await;
    // Both before either record is durable.
    bench.tap("t1-in", ONE_TIME);
    bench.tap("t2-in", ONE_TIME);
    let said = bench.said().await;
    assert_eq!(said, ["tap t1", "granted allowed t1", "tap t2", "refused pass_used t2"]);
}

#[tokio::test]
async fn both_readers_of_one_turnstile_at_once_let_one_holder_in() {
    let mut bench = Bench::new(settings()).await;
    bench.tap("t1-in", STAFF);
    bench.tap("t1-out", OTHER);
    let said = bench.said().await;
    assert_eq!(said, ["tap t1", "granted allowed t1", "tap t1", "refused point_busy t1"]);
}

#[tokio::test]
async fn an_interlocked_door_stays_closed_while_the_grant_of_the_other_is_being_recorded() {
    let mut locks = settings();
    locks.points.values_mut().for_each(|point| point.interlock = Some("lobby".into()));
    let mut bench = Bench::new(locks).await;
    bench.tap("t1-in", STAFF);
    bench.tap("t2-in", OTHER);
    let said = bench.said().await;
    assert_eq!(said, ["tap t1", "granted allowed t1", "tap t2", "refused interlock t2"]);
}

#[tokio::test]
async fn a_door_locked_between_a_decision_and_its_record_ends_the_grant_and_stays_closed() {
    let mut bench = Bench::new(settings()).await;
    bench.tap("t1-in", STAFF);
    bench.core.door_input(&point(1), None, domain::door::Input::Order(domain::door::Order::Lock));
    let said = bench.said().await;
    assert_eq!(said, ["tap t1", "granted allowed t1", "not_taken point_locked t1"]);
    assert_eq!(bench.core.doors[&point(1)].door.state(), domain::door::DoorState::Locked);
}

#[tokio::test]
async fn a_card_that_waited_in_the_queue_moves_no_door() {
    let mut bench = Bench::new(settings()).await;
    let number = card::parse(CardFormat::Wiegand26, STAFF);
    bench.event("t1-in", ReaderFact::Card { number, age: Duration::ZERO }, Duration::from_secs(4));
    assert_eq!(bench.said().await, ["late_tap stale_read t1"]);
}

#[tokio::test]
async fn the_first_opening_after_a_start_is_forced_and_a_door_found_open_is_not() {
    let mut bench = Bench::new(settings()).await;
    // Nobody knows yet which of the readers has the contact.
    bench.inputs("t1-out", 0);
    bench.inputs("t1-in", 1);
    bench.inputs("t2-out", 0);
    bench.inputs("t2-in", 0);
    bench.inputs("t2-in", 1);
    tokio::time::sleep_until(bench.core.deadline()).await;
    bench.core.expire();
    assert_eq!(bench.said().await, ["forced t2"]);
}

#[tokio::test]
async fn a_point_wired_anew_ends_its_grant_and_an_emergency_goes_on() {
    let mut bench = Bench::new(settings()).await;
    bench.inputs("t2-in", 0b100);
    bench.tap("t1-in", STAFF);
    bench.said().await;
    let mut changed = settings();
    changed.points.values_mut().for_each(|point| point.release = Duration::from_secs(5));
    bench.core.settings = Arc::new(changed);
    bench.core.put_doors();
    bench.core.look_at_inputs();
    let said = bench.said().await;
    assert_eq!(count(&said, "not_taken t1"), 1, "{said:?}");
    assert_eq!(bench.core.doors[&point(2)].door.state(), domain::door::DoorState::Emergency);
}

#[tokio::test]
async fn a_grant_whose_point_was_taken_out_of_the_settings_ends() {
    let mut bench = Bench::new(settings()).await;
    bench.tap("t1-in", STAFF);
    let mut fewer = settings();
    fewer.points.remove(&point(1));
    bench.core.settings = Arc::new(fewer);
    bench.core.put_doors();
    let said = bench.said().await;
    assert_eq!(said, ["tap t1", "granted allowed t1", "not_taken t1"]);
}

#[tokio::test]
async fn at_the_end_cards_move_nothing_and_a_grant_under_way_gets_its_end() {
    let mut bench = Bench::new(settings()).await;
    bench.core.record(Draft::new(UtcMillis(1), Kind::Tamper));
    bench.tap("t1-in", STAFF);
    let journal = bench.journal.clone();
    let (events, mut queue) = mpsc::channel(4);
    let number = card::parse(CardFormat::Wiegand26, OTHER);
    let what = LineFact::Reader(reader("t2-in"), ReaderFact::Card { number, age: Duration::ZERO });
    events.send(LineEvent { line: LineId::new("line").unwrap(), what, at: Instant::now() }).await.unwrap();
    timeout(Duration::from_secs(9), bench.core.stop(&mut queue)).await.expect("the end comes in time");
    let kinds: Vec<Kind> = journal.read_after(0, 100).await.unwrap().into_iter().map(|entry| entry.fact.kind).collect();
    assert_eq!(kinds, [Kind::Tamper, Kind::Tap, Kind::Granted, Kind::LateTap, Kind::NotTaken, Kind::Stopped]);
}

#[tokio::test]
async fn f11_a_clock_that_jumps_raises_an_alarm_and_moves_no_deadline() {
    for jump in [-3_600_000, 3_600_000, 315_360_000_000] {
        let mut bench = Bench::new(settings()).await;
        bench.tap("t1-in", STAFF);
        bench.said().await;
        let release = bench.core.doors[&point(1)].door.deadline().unwrap().0;
        bench.wall.fetch_add(jump, Ordering::SeqCst);
        bench.core.look();
        bench.core.look();
        let said = bench.said().await;
        assert_eq!(count(&said, "alarm clock_jumped"), 1, "{jump}: {said:?}");
        assert_eq!(bench.core.doors[&point(1)].door.deadline().unwrap().0, release, "{jump}");
    }
}

#[tokio::test]
async fn a_reader_in_clear_is_not_believed_from_the_day_its_acceptance_ends() {
    let mut clear = settings();
    let Protocol::Osdp(readers) = &mut clear.lines[0].protocol else { panic!("an OSDP line") };
    // NOON is on 2026-11-25.
    readers[0].security = Security::Insecure { accepted_by: "A. Person".into(), until: "2026-11-25".into() };
    let mut bench = Bench::new(clear).await;
    bench.core.look();
    bench.tap("t1-in", UNKNOWN);
    bench.wall.fetch_add(86_400_000, Ordering::SeqCst);
    bench.core.look();
    bench.core.look();
    bench.tap("t1-in", STAFF);
    let said = bench.said().await;
    assert_eq!(count(&said, "alarm reader_untrusted t1"), 1, "{said:?}");
    assert_eq!(said[..2], ["tap t1", "refused unknown_card t1"]);
    assert_eq!(said.last().unwrap(), "refused reader_untrusted t1");
}

#[tokio::test]
async fn a_desk_records_who_tapped_and_opens_nothing() {
    let mut desk = settings();
    desk.points.values_mut().for_each(|point| point.kind = PointKind::Workstation);
    let mut bench = Bench::new(desk).await;
    bench.tap("t1-in", STAFF);
    bench.tap("t1-in", UNKNOWN);
    assert_eq!(bench.said().await, ["tap t1", "granted allowed t1", "tap t1", "refused unknown_card t1"]);
    assert!(bench.core.doors.is_empty());
}

/// A desk whose card has a PIN and a PIN under threat.
async fn desk_with_pins() -> Bench {
    let mut desk = settings();
    desk.points.values_mut().for_each(|point| point.kind = PointKind::Workstation);
    let mut bench = Bench::new(desk).await;
    let mut policy = policy();
    let hash =
        |card: domain::CardId, text: &str| PinKey::new([8; 32]).hash(card, &domain::pin::Pin::new(text).unwrap());
    let staff = &mut policy.credentials[0];
    (staff.pin, staff.duress_pin) = (Some(hash(staff.card, "4071")), Some(hash(staff.card, "4072")));
    bench.core.policy = Some(crate::snapshot::compile(&wire::snapshot::encode(&policy).unwrap()).unwrap());
    bench
}

#[tokio::test]
async fn a_pin_typed_after_a_card_at_a_desk_is_told() {
    for (keys, expected) in [
        ("4071#", vec!["pin_entered allowed t1"]),
        ("9999#", vec!["pin_entered pin_wrong t1"]),
        ("4072#", vec!["alarm duress t1", "pin_entered duress t1"]),
    ] {
        let mut bench = desk_with_pins().await;
        bench.tap("t1-in", STAFF);
        assert_eq!(bench.said().await, ["tap t1", "granted allowed t1"]);
        bench.core.keys(&reader("t1-in"), keys);
        assert_eq!(bench.said().await[2..], expected[..], "{keys}");
    }
}

#[tokio::test]
async fn wrong_pins_at_a_desk_may_be_corrected_until_the_card_is_locked() {
    let mut bench = desk_with_pins().await;
    bench.tap("t1-in", STAFF);
    bench.said().await;
    for keys in ["1111#", "2222#", "3333#", "4071#"] {
        bench.core.keys(&reader("t1-in"), keys);
        bench.said().await;
    }
    let said = bench.said().await;
    let expected = [
        "pin_entered pin_wrong t1",
        "pin_entered pin_wrong t1",
        "alarm pin_locked t1",
        "pin_entered pin_wrong t1",
        "pin_entered pin_locked t1",
    ];
    assert_eq!(said[2..], expected);
}

#[tokio::test]
async fn keys_at_a_desk_without_a_card_or_without_a_pin_are_nothing() {
    let mut bench = desk_with_pins().await;
    bench.core.keys(&reader("t1-in"), "4071#");
    bench.tap("t1-in", OTHER);
    bench.said().await;
    bench.core.keys(&reader("t1-in"), "4071#");
    assert_eq!(bench.said().await.iter().filter(|line| line.starts_with("pin_entered")).count(), 0);
}
