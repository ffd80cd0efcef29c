//! What the panel does when all is well, and its bounds.

use std::time::Duration;

use wire::osdp::command::{Blink, Colour, Command, LedControl, OutputAction, OutputControl, TemporaryLed, code};
use wire::osdp::panel::{
    Alarm, BusSettings, CommandError, CommandFailure, EventKind, MAX_EVENTS, MAX_QUEUED_COMMANDS, OUTPUT_MAX_AGE,
    ReaderCommand, ReaderSettings, ReaderState,
};

use crate::peer::{FakeReader, Line, MS, POLL, S, card26, digits, first, key, nth};

pub fn open_relay() -> ReaderCommand {
    ReaderCommand::Output(vec![OutputControl { output: 0, action: OutputAction::OnTimed, timer_100ms: 30 }])
}

pub fn green() -> ReaderCommand {
    let temporary = TemporaryLed::Show { blink: Blink::steady(Colour::Green), timer_100ms: 10 };
    ReaderCommand::Led(vec![LedControl { reader: 0, led: 0, temporary, permanent: None }])
}

#[test]
fn a_keyed_reader_becomes_secure_and_is_inspected() {
    let mut line = Line::keyed(1);
    line.run(S);
    assert_eq!(line.state(), ReaderState::Secure);
    let kinds: Vec<String> =
        line.events.iter().map(|e| format!("{:?}", e.kind).split([' ', '(', '{']).next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Online", "Secure", "Identity", "Capabilities", "LocalStatus", "Inputs", "Outputs"]);
    assert!(line.events[1..].iter().all(|e| e.secured));
}

#[test]
fn a_card_arrives_once_and_with_a_close_bound_on_its_age() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert_eq!(line.cards(), 1);
    let EventKind::Card { card, age_at_most, .. } = &line.events[0].kind else { panic!("{:?}", line.events) };
    assert_eq!((card.bits(), card.expose()), (26, &[0x12, 0x34, 0x56, 0x40][..]));
    assert!(age_at_most.unwrap() < 30 * MS, "{age_at_most:?}");
    assert!(!format!("{:?}", line.events).contains("52"), "no card bytes in Debug");
}

#[test]
fn a_card_kept_during_an_outage_comes_with_its_age() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].silent = true;
    line.run(20 * S);
    line.readers[0].silent = false;
    line.readers[0].power_cycle();
    line.readers[0].strict = true;
    line.readers[0].events.push_back(card26());
    assert!(line.run_for(10 * S, |e| matches!(e, EventKind::Card { .. })));
    let EventKind::Card { age_at_most, .. } = line.events.last().unwrap().kind else { panic!() };
    assert!(age_at_most.unwrap() >= 19 * S, "{age_at_most:?}");
}

#[test]
fn keys_arrive_and_do_not_show() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.push_back(digits(b"4711"));
    line.run(S);
    let [event] = &line.events[..] else { panic!("{:?}", line.events) };
    let EventKind::Keypad { keys, .. } = &event.kind else { panic!() };
    assert_eq!(keys.expose(), b"4711");
    assert!(!format!("{event:?}").contains("4711"));
}

#[test]
fn an_output_command_is_the_next_frame_on_a_line_of_32() {
    let mut line = Line::keyed(32).connected();
    for extra in 0..5 {
        let id = line.bus.command(line.now, nth(extra), green()).unwrap();
        let _ = id;
    }
    line.heard.clear();
    let at = line.now;
    line.bus.command(line.now, nth(20), open_relay()).unwrap();
    line.run(S);
    let first_out = line.heard.iter().position(|h| h.code == code::OUT).unwrap();
    // One exchange may already be on the line.
    assert!(first_out <= 1, "{first_out}");
    assert!(line.heard[first_out].at - at < 15 * MS);
    assert_eq!(line.readers[20].done.iter().filter(|c| matches!(c, Command::Output(_))).count(), 1);
    assert_eq!(line.count(|e| matches!(e, EventKind::CommandDone(_))), 6);
}

#[test]
fn commands_never_starve_the_polls() {
    let mut line = Line::keyed(4).connected();
    for _ in 0..MAX_QUEUED_COMMANDS {
        line.order(green());
    }
    assert_eq!(line.bus.command(line.now, first(), green()), Err(CommandError::QueueFull));
    line.run(100 * MS);
    let polls = line.sent(POLL).len();
    let commands = line.sent(code::LED).len();
    assert!(polls + 2 >= commands, "{polls} polls, {commands} commands");
}

#[test]
fn an_output_that_waited_too_long_is_not_sent() {
    let mut line = Line::keyed(1).connected();
    line.cable(|_, _| Vec::new());
    line.run(3 * S);
    let id = line.order(open_relay());
    line.run(OUTPUT_MAX_AGE + S);
    line.cable = None;
    line.run(10 * S);
    assert!(!line.readers[0].done.iter().any(|c| matches!(c, Command::Output(_))), "late open");
    let failed = |reason| EventKind::CommandFailed { id, reason };
    let ends = line.count(|e| *e == failed(CommandFailure::Expired) || *e == failed(CommandFailure::Offline));
    assert_eq!(ends, 1, "{:?}", line.events);
}

#[test]
fn an_output_without_an_answer_is_withdrawn_and_never_done_late() {
    let mut line = Line::keyed(1).connected();
    // Everything from OUT on is lost for 3 s.
    let until = line.now + 3 * S;
    let lost = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = lost.clone();
    line.cable(move |heard, reply| {
        if heard.at < until {
            seen.set(seen.get() + 1);
            return Vec::new();
        }
        crate::peer::delayed(reply)
    });
    // The reader hears nothing either.
    line.readers[0].silent = true;
    let id = line.order(open_relay());
    line.run(3 * S);
    line.readers[0].silent = false;
    line.run(5 * S);
    assert!(lost.get() >= 2);
    assert!(!line.readers[0].done.iter().any(|c| matches!(c, Command::Output(_))), "late open");
    assert_eq!(line.count(|e| matches!(e, EventKind::CommandFailed { id: i, .. } if *i == id)), 1);
    assert_eq!(line.state(), ReaderState::Secure);
}

#[test]
fn a_full_event_queue_stops_polling_and_loses_nothing() {
    let mut line = Line::insecure().online();
    for _ in 0..(2 * MAX_EVENTS) {
        line.readers[0].events.push_back(card26());
    }
    // An owner that does not take events.
    let mut sent = 0;
    for _ in 0..10_000 {
        match line.bus.next(line.now) {
            wire::osdp::panel::Step::Send(bytes) => {
                sent += 1;
                let bytes = bytes.to_vec();
                let start = bytes.iter().position(|&b| b != 0xFF).unwrap();
                let frame = wire::osdp::frame::Frame::parse(&bytes[start..]).unwrap();
                let reply = line.readers[0].hear(&frame).unwrap();
                line.now += MS;
                line.bus.on_bytes(line.now, &reply);
            }
            wire::osdp::panel::Step::WaitUntil(until) => line.now = until,
            wire::osdp::panel::Step::SetBaud(_) => unreachable!(),
        }
    }
    assert!(sent <= MAX_EVENTS + 8, "{sent}");
    line.run(20 * S);
    assert_eq!(line.cards(), 2 * MAX_EVENTS);
}

#[test]
fn readers_come_and_go_without_disturbing_the_others() {
    let mut line = Line::keyed(3).connected();
    line.bus.remove_reader(nth(1));
    line.readers.push(FakeReader::new(9, key(9)));
    line.bus.add_reader(line.now, ReaderSettings::keyed(9, key(9))).unwrap();
    assert!(line.run_for(2 * S, |e| matches!(e, EventKind::Secure)));
    line.heard.clear();
    line.run(S);
    assert_eq!(line.lost_sessions(), 0);
    let addresses: std::collections::BTreeSet<u8> = line.heard.iter().map(|h| h.address).collect();
    assert_eq!(addresses.into_iter().collect::<Vec<_>>(), [0, 2, 9]);
}

#[test]
fn a_session_is_renewed_by_age_and_by_frames_without_loss() {
    for settings in [
        BusSettings { session_max_age: 2 * S, ..BusSettings::new(115_200) },
        BusSettings { session_max_frames: 300, ..BusSettings::new(115_200) },
    ] {
        let mut line =
            Line::with(settings, vec![ReaderSettings::keyed(0, key(0))], vec![FakeReader::new(0, key(0))]).connected();
        line.run(10 * S);
        assert!(line.stats().sessions >= 3, "{}", line.stats().sessions);
        assert_eq!(line.lost_sessions(), 0);
        line.readers[0].events.push_back(card26());
        line.run(S);
        assert_eq!(line.cards(), 1);
    }
}

#[test]
fn a_lost_port_puts_all_readers_offline_and_they_return() {
    let mut line = Line::keyed(4).connected();
    line.bus.line_down(line.now);
    line.run(S);
    assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 4);
    assert!(line.heard.is_empty(), "nothing is sent to a port that is gone");
    line.bus.line_up(line.now);
    line.run(2 * S);
    assert_eq!(line.count(|e| matches!(e, EventKind::Secure)), 4);
}

#[test]
fn provisioning_gives_an_install_mode_reader_its_key() {
    let mut line = Line::unprovisioned();
    line.readers[0].install_mode = true;
    line.run(S);
    assert_eq!(line.state(), ReaderState::Connecting);
    line.bus.provision(line.now, first(), key(42), 60 * S).unwrap();
    assert!(line.run_for(5 * S, |e| *e == EventKind::Provisioned));
    assert_eq!(line.readers[0].key, key(42));
    assert_eq!(line.state(), ReaderState::Secure);
    let keyset: Vec<_> = line.sent(code::KEYSET);
    assert_eq!(keyset.len(), 1);
    assert!(!keyset[0].bytes.windows(8).any(|w| w == &key(42).expose()[..8]), "the key does not travel in clear");
}

#[test]
fn provisioning_ends_with_its_time_box() {
    let mut line = Line::unprovisioned();
    line.readers[0].silent = true;
    line.bus.provision(line.now, first(), key(42), 3 * S).unwrap();
    line.run(4 * S);
    assert_eq!(line.count(|e| matches!(e, EventKind::ProvisionFailed(_))), 1);
    line.readers[0].silent = false;
    line.readers[0].install_mode = true;
    line.heard.clear();
    line.run(20 * S);
    assert!(line.sent(code::CHLNG).is_empty(), "SCBK-D outside its time box");
}

#[test]
fn a_key_is_rotated_inside_the_session() {
    let mut line = Line::keyed(1).connected();
    let id = line.order(ReaderCommand::RotateKey(key(50)));
    line.run(S);
    assert!(line.done(id));
    assert_eq!(line.count(|e| *e == EventKind::KeyRotated), 1);
    assert_eq!(line.lost_sessions(), 0);
    assert_eq!(line.readers[0].key, key(50));
    // SIA 060-16-02: nothing but the answer went through the old session afterwards, and the
    // next handshake is with the new key.
    line.readers[0].power_cycle();
    line.run(2 * S);
    assert_eq!(line.state(), ReaderState::Secure);
}

#[test]
fn a_rotation_cut_off_by_a_restart_is_recovered_from_either_key() {
    for reader_has_new in [false, true] {
        let mut reader = FakeReader::new(0, key(if reader_has_new { 61 } else { 60 }));
        reader.strict = true;
        let security = wire::osdp::panel::Security::Keyed { key: key(60), next: Some(key(61)) };
        let settings = ReaderSettings { security, ..ReaderSettings::keyed(0, key(60)) };
        let mut line = Line::with(BusSettings::new(9600), vec![settings], vec![reader]);
        line.run(3 * S);
        assert_eq!(line.state(), ReaderState::Secure);
        assert_eq!(line.count(|e| *e == EventKind::KeyRotated), usize::from(reader_has_new));
    }
}

#[test]
fn forgetting_the_key_ends_the_session() {
    let mut line = Line::keyed(1).connected();
    line.bus.forget_key(first());
    line.readers[0].events.push_back(card26());
    line.run(2 * S);
    assert_eq!(line.lost_sessions(), 1);
    assert_eq!(line.state(), ReaderState::Connecting);
    assert_eq!(line.cards(), 0);
}

#[test]
fn turnaround_is_measured() {
    let mut line = Line::keyed(1);
    line.tau = 39 * MS;
    line.run(10 * S);
    let mean = line.stats().turnaround_mean.unwrap();
    assert!(mean > 38 * MS && mean < 41 * MS, "{mean:?}");
}

#[test]
fn the_scheduler_reaches_the_pace_of_the_line() {
    for baud in [9600, 38_400, 115_200, 230_400] {
        let count = 8u8;
        let configured = (0..count).map(|n| ReaderSettings::keyed(n, key(n))).collect();
        let readers = (0..count).map(|n| FakeReader::new(n, key(n))).collect();
        let mut line = Line::with(BusSettings::new(baud), configured, readers).connected();
        line.run(10 * S);
        let character = Duration::from_nanos(10_000_000_000 / u64::from(baud));
        let exchange = character * (2 + 1 + 14 + 1 + 14) + line.tau;
        let floor = (10 * S).as_secs_f64() / exchange.as_secs_f64();
        let ratio = line.sent(POLL).len() as f64 / floor;
        assert!(ratio >= 0.95, "{baud}: {ratio}");
    }
}

#[test]
fn alarms_do_not_flood() {
    let mut line = Line::keyed(1).connected();
    let handshake = crate::attacks::forged_handshake_block();
    line.cable(move |heard, reply| {
        let mut out = vec![(2 * MS, handshake(heard.sequence))];
        out.extend(crate::peer::delayed(reply));
        out
    });
    line.run(15 * S);
    let reported = line.count(|e| matches!(e, EventKind::Alarm { kind: Alarm::HandshakeBlockInSession, .. }));
    assert_eq!(reported, 2, "one at once, one after the pause");
    assert!(line.stats().alarms > 100);
}

#[test]
fn thirty_two_readers_at_9600_connect_and_stay() {
    let configured = (0..32).map(|n| ReaderSettings::keyed(n, key(n))).collect();
    let readers = (0..32).map(|n| FakeReader::new(n, key(n))).collect();
    let mut line = Line::with(BusSettings::new(9600), configured, readers);
    line.run(25 * S);
    assert_eq!(line.count(|e| matches!(e, EventKind::Secure)), 32);
    assert_eq!(line.count(|e| matches!(e, EventKind::Outputs(_))), 32, "all inspected");
    assert!(line.heard.iter().position(|h| h.address == 31 && h.code == code::SCRYPT).is_some_and(|at| at < 200));
    line.events.clear();
    line.run(20 * S);
    assert_eq!(line.events, []);
}

#[test]
fn a_full_line_of_126_readers_at_9600_connects_and_stays() {
    let configured = (0..126).map(|n| ReaderSettings::keyed(n, key(n))).collect();
    let readers = (0..126).map(|n| FakeReader::new(n, key(n))).collect();
    let mut line = Line::with(BusSettings::new(9600), configured, readers);
    line.run(180 * S);
    let connected = (0..126).filter(|&n| line.bus.stats(nth(n)).unwrap().state == ReaderState::Secure).count();
    assert_eq!((connected, line.lost_sessions()), (126, 0));
    line.events.clear();
    line.heard.clear();
    line.run(20 * S);
    assert_eq!(line.events, []);
    // A round is 126 x 36 ms; nobody is asked twice in it.
    let polls = line.sent(POLL).len() as f64 / 20.0;
    assert!(polls > 0.95 * 27.5, "{polls}");
    for n in 0..126 {
        let asked = line.heard.iter().filter(|h| h.address == n).count();
        assert!((4..=5).contains(&asked), "{n}: {asked}");
    }
}

#[test]
fn a_rotation_that_was_never_sent_may_be_tried_again_with_its_key() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].silent = true;
    line.order(ReaderCommand::RotateKey(key(70)));
    line.run(10 * S);
    line.readers[0].silent = false;
    line.run(10 * S);
    line.order(ReaderCommand::RotateKey(key(70)));
    line.run(S);
    assert_eq!(line.count(|e| *e == EventKind::KeyRotated), 1);
}
