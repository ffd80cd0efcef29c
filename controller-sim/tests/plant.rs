//! The simulator on real pseudo-terminals, against the real control panel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod panel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use controller_sim::{Fault, Hostile, Options, Outcome, Plant, Simulator, Walk};
use domain::card::{self, CardFormat, CardNumber};
use domain::{Clock, LineId, PointId, ReaderId, UtcMillis};
use panel::{Answer, Panel};
use tokio_util::sync::CancellationToken;
use wire::osdp::panel::{Alarm, EventKind, ReaderSettings};
use wire::osdp::secure::Scbk;

const PATIENCE: Duration = Duration::from_secs(4);
const THROUGH: Walk = Walk::Through { after: Duration::from_millis(100), followers: 0, hold: Duration::ZERO };

struct World {
    folder: tempfile::TempDir,
    simulator: Simulator,
    keys: Vec<Scbk>,
}

impl World {
    /// A turnstile with two readers and a door with one, on one line.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plant: Plant = toml::from_str(
            r#"
            point = [{ id = "gate", kind = "turnstile" }, { id = "door", kind = "door" }]
            [[line]]
            id = "line"
            port = "line"
            reader = [
              { id = "gate-in", address = 1, point = "gate", direction = "in" },
              { id = "gate-out", address = 2, point = "gate", direction = "out" },
              { id = "door-in", address = 3, point = "door", direction = "in" },
            ]
            "#,
        )
        .unwrap();
        plant.place_ports(folder.path());
        let mut rng = fastrand::Rng::with_seed(4);
        plant.draw_keys(|bytes| rng.fill(bytes));
        let keys = plant.lines[0].readers.iter().map(|reader| reader.key.clone().unwrap()).collect();
        let options = Options {
            clock: Clock::new(|| UtcMillis(1_700_000_000_000)),
            tap_record: Some(folder.path().join("taps.jsonl")),
            seed: 1,
        };
        let simulator = Simulator::start(&plant, &options, &CancellationToken::new()).await.unwrap();
        Self { folder, simulator, keys }
    }

    fn port(&self) -> PathBuf {
        self.folder.path().join("line")
    }

    /// A panel with the right keys, when all sessions stand.
    async fn panel(&self, answer: Answer) -> Panel {
        let readers = (1..).zip(&self.keys).map(|(address, key)| ReaderSettings::keyed(address, key.clone()));
        let panel = Panel::start(self.port(), readers.collect(), answer);
        for name in ["gate-in", "gate-out", "door-in"] {
            self.simulator.handle().wait_for(&reader(name), |state| state.secure).await.unwrap();
        }
        panel
    }

    async fn tap(&self, name: &str, walk: Walk) -> Outcome {
        self.simulator.handle().tap(&reader(name), &card(), walk, PATIENCE).await.unwrap()
    }

    fn record(&self) -> Vec<String> {
        read_lines(&self.folder.path().join("taps.jsonl"))
    }
}

fn read_lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn reader(name: &str) -> ReaderId {
    ReaderId::new(name).unwrap()
}

fn line() -> LineId {
    LineId::new("line").unwrap()
}

fn card() -> CardNumber {
    card::parse(CardFormat::FacilityNumber, "126,58404").unwrap()
}

/// The passage contact (input 0) became active at that reader.
fn turned(place: usize) -> impl Fn(usize, &EventKind) -> bool {
    move |reader, kind| {
        matches!(kind, EventKind::Inputs(levels) if reader == place
            && levels.get(0).is_some_and(|level| level.active))
    }
}

#[tokio::test]
async fn a_granted_person_turns_the_rotor_and_the_panel_sees_card_and_turn() {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    assert_eq!(world.tap("gate-in", THROUGH).await, Outcome::Passed);
    panel.wait("turn", turned(0)).await;
    let (bits, bytes) = card().to_bits();
    let cards = panel.count(|reader, kind| {
        matches!(kind, EventKind::Card { card, .. } if reader == 0 && card.bits() == bits && card.expose() == bytes)
    });
    assert_eq!(cards, 1);
    // The other reader of the turnstile releases it as well; the rotor is wired to the first.
    assert_eq!(world.tap("gate-out", THROUGH).await, Outcome::Passed);
    assert_eq!(panel.count(turned(1)), 0);
    let report = world.simulator.handle().report();
    assert_eq!((report.taps, report.answered, report.passed), (2, 2, 2));
}

#[tokio::test]
async fn a_refused_person_stays_and_an_unanswered_one_gives_up() {
    let world = World::new().await;
    let panel = world.panel(Answer::Refuse).await;
    assert_eq!(world.tap("door-in", THROUGH).await, Outcome::Refused);
    assert_eq!(panel.count(turned(2)), 0);
    drop(panel);
    let panel = world.panel(Answer::Nothing).await;
    assert_eq!(world.tap("door-in", THROUGH).await, Outcome::Unanswered);
    drop(panel);
    let record = world.record();
    assert_eq!(record.len(), 2);
    assert!(record[0].contains(r#""tap":1,"reader":"door-in","card":"w26:126,58404","answered":true"#), "{record:?}");
    assert!(record[1].contains(r#""tap":2,"#) && record[1].contains(r#""answered":false"#), "{record:?}");
}

#[tokio::test]
async fn a_forced_door_and_a_pressed_button_are_seen_without_a_card() {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    handle.force(&PointId::new("door").unwrap(), Duration::ZERO).await.unwrap();
    panel.wait("forced door", turned(2)).await;
    handle.press_exit(&PointId::new("door").unwrap(), Duration::ZERO).await.unwrap();
    panel
        .wait("button", |reader, kind| {
            matches!(kind, EventKind::Inputs(levels) if reader == 2 && levels.get(1).is_some_and(|level| level.active))
        })
        .await;
    assert_eq!(panel.count(|_, kind| matches!(kind, EventKind::Card { .. })), 0);
    handle.press_keys(&reader("door-in"), "12 34#").await.unwrap();
    panel.wait("keys", |_, kind| matches!(kind, EventKind::Keypad { keys, .. } if keys.expose() == b"1234\r")).await;
}

#[tokio::test]
async fn an_unplugged_line_comes_back_under_its_name() {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    handle.inject_line(&line(), Fault::Unplug).await.unwrap();
    panel.wait("loss", |_, kind| matches!(kind, EventKind::SessionLost(_) | EventKind::Offline { .. })).await;
    assert!(std::fs::symlink_metadata(world.port()).is_err(), "the name is gone");
    assert_eq!(handle.report().taps, 0);
    handle.heal_line(&line()).await.unwrap();
    assert_eq!(world.tap("gate-in", THROUGH).await, Outcome::Passed);
}

#[tokio::test]
async fn on_a_noisy_line_every_tap_is_answered() {
    let world = World::new().await;
    let _panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    for fault in [
        Fault::Noise { rate: 2e-4 },
        Fault::Drop { rate: 1e-3 },
        Fault::Duplicate { rate: 1e-3 },
        Fault::Insert { rate: 1e-3 },
        Fault::Echo,
    ] {
        handle.inject_line(&line(), fault).await.unwrap();
    }
    for _ in 0..3 {
        // A person whose card was lost with a session tries once more.
        let mut outcome = world.tap("door-in", THROUGH).await;
        if outcome == Outcome::Unanswered {
            outcome = world.tap("door-in", THROUGH).await;
        }
        assert_eq!(outcome, Outcome::Passed);
    }
}

#[tokio::test]
async fn power_loss_a_wrong_key_and_silence_are_seen_and_healed() {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    handle.inject_reader(&reader("gate-in"), Fault::PowerCycle { off_ms: 300 }).await.unwrap();
    panel.wait("lost session", |reader, kind| reader == 0 && matches!(kind, EventKind::SessionLost(_))).await;
    handle.wait_for(&reader("gate-in"), |state| state.secure).await.unwrap();

    handle.inject_reader(&reader("gate-in"), Fault::WrongKey).await.unwrap();
    panel.wait("alarm", |reader, kind| reader == 0 && matches!(kind, EventKind::Alarm { .. })).await;
    assert_eq!(world.tap("gate-out", THROUGH).await, Outcome::Passed, "the others go on");
    handle.heal_reader(&reader("gate-in")).await.unwrap();
    handle.wait_for(&reader("gate-in"), |state| state.secure).await.unwrap();

    handle.inject_reader(&reader("gate-in"), Fault::Tamper).await.unwrap();
    panel
        .wait("tamper", |reader, kind| {
            reader == 0 && matches!(kind, EventKind::LocalStatus { tamper, .. } if tamper.active)
        })
        .await;
}

/// One hostile mode at one reader: no card comes in, the others' sessions stand, honesty brings the session back.
async fn hostile_reader(mode: Hostile, alarmed: bool) {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    let hostile = reader("door-in");
    handle.inject_reader(&hostile, Fault::Hostile { mode }).await.unwrap();
    if alarmed {
        panel.wait("alarm", |reader, kind| reader == 2 && matches!(kind, EventKind::Alarm { .. })).await;
    } else {
        assert_eq!(world.tap("gate-in", THROUGH).await, Outcome::Passed, "the others go on");
    }
    let strange = |reader: usize, kind: &EventKind| reader == 2 && matches!(kind, EventKind::Card { .. });
    assert_eq!(panel.count(strange), 0, "{:?}", panel.last());
    handle.heal_reader(&hostile).await.unwrap();
    handle.inject_reader(&hostile, Fault::PowerCycle { off_ms: 1 }).await.unwrap();
    handle.wait_for(&hostile, |state| !state.secure).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), handle.wait_for(&hostile, |state| state.secure))
        .await
        .unwrap_or_else(|_| panic!("no session again: {:?}", panel.last()))
        .unwrap();
    let lost = panel.count(|reader, kind| reader != 2 && matches!(kind, EventKind::SessionLost(_)));
    assert_eq!(lost, 0, "the others' sessions stood");
}

macro_rules! hostile_modes {
    ($($name:ident: $mode:ident, $alarmed:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            hostile_reader(Hostile::$mode, $alarmed).await;
        })*
    };
}

hostile_modes! {
    hostile_card_in_clear: PlainCard, true;
    hostile_wrong_mac: WrongMac, true;
    hostile_ccrypt_that_nobody_asked_for: UnexpectedCcrypt, true;
    hostile_rmac_that_nobody_asked_for: UnexpectedRmac, true;
    hostile_nak_to_everything: NakStorm, true;
    hostile_denial_of_secure_channel: NoSecurity, true;
    hostile_busy_for_ever: BusyForever, true;
    hostile_wrong_sequence: WrongSequence, false;
    hostile_replay: Replay, false;
    hostile_late_answers: Late, false;
}

#[tokio::test]
async fn two_readers_with_one_address_raise_an_alarm() {
    let world = World::new().await;
    let panel = world.panel(Answer::Grant).await;
    let handle = world.simulator.handle();
    handle.inject_reader(&reader("door-in"), Fault::Address { address: 1 }).await.unwrap();
    panel
        .wait("address conflict", |_, kind| matches!(kind, EventKind::Alarm { kind: Alarm::AddressConflict, .. }))
        .await;
}
