//! Whole scenarios on real pseudo-terminals, against the real control panel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod panel;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use controller_sim::plant::Line;
use controller_sim::{Options, Outcome, Plant, Report, Scenario, Simulator, Walk};
use domain::card::{self, CardFormat};
use domain::{Clock, LineId, ReaderId, UtcMillis};
use panel::{Answer, Panel};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use wire::ascii::{Event, Profile, Source};
use wire::osdp::panel::{EventKind, ReaderSettings};

fn options(folder: &Path) -> Options {
    Options { clock: Clock::new(|| UtcMillis(1_700_000_000_000)), tap_record: Some(folder.join("taps.jsonl")), seed: 1 }
}

fn keyed(line: &Line) -> Vec<ReaderSettings> {
    line.readers.iter().map(|reader| ReaderSettings::keyed(reader.address, reader.key.clone().unwrap())).collect()
}

fn panels(plant: &Plant, answer: Answer) -> Vec<Panel> {
    plant.lines.iter().map(|line| Panel::start(line.port.clone().into(), keyed(line), answer)).collect()
}

/// Six people, one turnstile, nothing goes wrong: an hour in a few seconds.
fn small_day(folder: &Path) -> Scenario {
    let mut scenario = Scenario::from_toml(
        r#"
        seed = 3
        speed = 1200
        start = "08:00"
        end = "09:00"
        point = [{ id = "gate", kind = "turnstile" }]
        [manners]
        step_ms = [10, 50]
        patience_ms = 4000
        [[category]]
        name = "nurse"
        kind = "staff"
        people = 6
        card_format = "wiegand26"
        routes = ["work"]
        arrivals = [{ from = "08:00", to = "09:00", per_hour = 3 }]
        [[route]]
        name = "work"
        steps = [{ at = ["gate"], go = "in", stay_minutes = [5, 10] }, { at = ["gate"], go = "out" }]
        [[line]]
        id = "line"
        port = "line"
        reader = [
          { id = "gate-in", address = 1, point = "gate", direction = "in" },
          { id = "gate-out", address = 2, point = "gate", direction = "out" },
        ]
        "#,
    )
    .unwrap();
    scenario.plant.place_ports(folder);
    let mut rng = fastrand::Rng::with_seed(4);
    scenario.plant.draw_keys(|bytes| rng.fill(bytes));
    scenario
}

async fn run_small_day() -> (Report, BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = small_day(folder.path());
    let _panels = panels(&scenario.plant, Answer::Grant);
    let report = controller_sim::run(scenario, &options(folder.path()), &CancellationToken::new()).await.unwrap();
    let record = std::fs::read_to_string(folder.path().join("taps.jsonl")).unwrap();
    let who_where = record.lines().map(|line| {
        let from = line.find(r#""reader""#).unwrap();
        line[from..line.find(r#","answered""#).unwrap()].to_owned()
    });
    (report, who_where.collect())
}

#[tokio::test]
async fn a_small_day_ends_by_itself_with_everybody_home_and_is_the_same_each_time() {
    let (first, first_taps) = run_small_day().await;
    assert_eq!(first.visits, 3);
    assert_eq!((first.taps, first.passed), (6, 6), "{first:?}");
    assert_eq!((first.refused, first.unanswered, first.not_taken, first.forgotten), (0, 0, 0, 0), "{first:?}");
    assert!(first.mean_wait() > Duration::ZERO);
    let (second, second_taps) = run_small_day().await;
    assert_eq!(second.visits, first.visits);
    assert_eq!(second_taps, first_taps, "the same people at the same readers");
}

#[tokio::test]
async fn the_sample_day_fills_the_building_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = Scenario::demo();
    scenario.speed = 20.0;
    scenario.plant.place_ports(folder.path());
    let mut rng = fastrand::Rng::with_seed(4);
    scenario.plant.draw_keys(|bytes| rng.fill(bytes));
    let panels = panels(&scenario.plant, Answer::Grant);
    let shutdown = CancellationToken::new();
    let plant = scenario.plant.clone();
    let running = tokio::spawn({
        let (options, shutdown) = (options(folder.path()), shutdown.clone());
        async move { controller_sim::run(scenario, &options, &shutdown).await }
    });
    for panel in &panels {
        panel.wait("card", |_, kind| matches!(kind, EventKind::Card { .. })).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    shutdown.cancel();
    let report = running.await.unwrap().unwrap();
    assert!(report.passed >= 10, "{report:?}");
    assert_eq!(report.unanswered, 0, "{report:?}");
    for line in &plant.lines {
        assert!(std::fs::symlink_metadata(&line.port).is_err(), "the ports are gone");
    }
}

#[tokio::test]
async fn a_paced_line_is_no_faster_than_its_wire() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = small_day(folder.path()).plant;
    plant.lines[0].paced = true;
    plant.lines[0].baud = 9600;
    let simulator = Simulator::start(&plant, &options(folder.path()), &CancellationToken::new()).await.unwrap();
    let handle = simulator.handle();
    let _panels = panels(&plant, Answer::Grant);
    let readers: Vec<ReaderId> = plant.lines[0].readers.iter().map(|reader| reader.id.clone()).collect();
    for reader in &readers {
        handle.wait_for(reader, |state| state.secure).await.unwrap();
    }
    let before = handle.stats(&readers[0]).await.unwrap().commands + handle.stats(&readers[1]).await.unwrap().commands;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = handle.stats(&readers[0]).await.unwrap().commands + handle.stats(&readers[1]).await.unwrap().commands;
    // Secure, 9600 baud, 3 ms: 36.3 ms an exchange, 28 a second; a little more without the panel's own two marks.
    assert!((20..=62).contains(&(after - before)), "{} exchanges in two seconds", after - before);
}

#[tokio::test]
async fn a_line_over_tcp_is_unplugged_and_comes_back_at_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = small_day(folder.path()).plant;
    plant.lines[0].port = "tcp://127.0.0.1:0".into();
    let simulator = Simulator::start(&plant, &options(folder.path()), &CancellationToken::new()).await.unwrap();
    let handle = simulator.handle();
    let line = LineId::new("line").unwrap();
    let address = handle.port_of(&line).unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    handle.inject_line(&line, controller_sim::Fault::Unplug).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed");
    handle.heal_line(&line).await.unwrap();
    let reader = ReaderId::new("gate-in").unwrap();
    // A POLL, by hand.
    let mut poll = Vec::new();
    let header = wire::osdp::frame::Header {
        address: 1,
        direction: wire::osdp::frame::Direction::Command,
        sequence: 0,
        check: wire::osdp::frame::Check::Crc,
    };
    wire::osdp::frame::encode(&mut poll, header, None, 0x60, &[]);
    let mut stream = loop {
        if let Ok(stream) = tokio::net::TcpStream::connect(address).await {
            break stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    tokio::io::AsyncWriteExt::write_all(&mut stream, &poll).await.unwrap();
    handle.wait_for(&reader, |state| state.found).await.unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer[..2], &[0xFF, 0x53]);
}

#[tokio::test]
async fn a_desktop_reader_prints_a_line_for_each_card() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant: Plant = toml::from_str(
        r#"
        point = [{ id = "desk", kind = "workstation" }]
        [[line]]
        id = "desk"
        port = "desk"
        protocol = "ascii"
        reader = [{ id = "desk-in", point = "desk", direction = "in" }]
        "#,
    )
    .unwrap();
    plant.place_ports(folder.path());
    let simulator = Simulator::start(&plant, &options(folder.path()), &CancellationToken::new()).await.unwrap();
    let mut port = tokio_serial::SerialStream::open(&tokio_serial::new(plant.lines[0].port.clone(), 9600)).unwrap();
    let card = card::parse(CardFormat::FacilityNumber, "126,58404").unwrap();
    let walk = Walk::Through { after: Duration::ZERO, followers: 0, hold: Duration::ZERO };
    let desk = ReaderId::new("desk-in").unwrap();
    let outcome = simulator.handle().tap(&desk, &card, walk, Duration::from_secs(1)).await.unwrap();
    assert_eq!(outcome, Outcome::Printed);
    let mut source = Source::new(Profile::IronLogic);
    let mut events = Vec::new();
    while events.len() < 2 {
        let mut buffer = [0; 64];
        let len = port.read(&mut buffer).await.unwrap();
        assert_eq!(source.on_bytes(Duration::ZERO, &buffer[..len]), len);
        events.extend(std::iter::from_fn(|| source.poll_event()));
    }
    assert!(matches!(&events[..], [Event::Card(_), Event::Removed]), "{events:?}");
}
