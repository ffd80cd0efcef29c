//! Our control panel with readers we did not write: libosdp's peripheral device (its Python
//! wheel) behind a real pseudo-terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use wire::osdp::command::{Blink, Colour, LedControl, OutputAction, OutputControl, TemporaryLed};
use wire::osdp::panel::{
    Alarm, Bus, BusSettings, EventKind, ReaderCommand, ReaderIndex, ReaderSettings, ReaderState, Security, Step,
};
use wire::osdp::secure::Scbk;

const KEY: &str = "917e02c455d83ba619f06d842cb740ee";
const NEXT_KEY: &str = "5c01e7b83fd2499a60c4112e7f93a8d5";

fn python() -> PathBuf {
    let venv = std::env::var_os("TAPWARD_VENV")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "libosdp's Python environment is missing ({} not found); run `make prepare`",
        python.display()
    );
    python
}

#[expect(clippy::disallowed_methods, reason = "a real line has real time")]
fn clock() -> Instant {
    Instant::now()
}

/// A reader process and our panel on its line.
struct Bench {
    child: Child,
    port: File,
    arriving: Receiver<Vec<u8>>,
    said: Receiver<String>,
    bus: Bus,
    reader: ReaderIndex,
    start: Instant,
    events: Vec<EventKind>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    fn new(script_key: &str, settings: ReaderSettings) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop/reader.py");
        let mut child = Command::new(python())
            .arg(script)
            .args([settings.address.to_string().as_str(), script_key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the reader process says where its line is; run `make prepare`").unwrap();
        let path = first.strip_prefix("slave ").unwrap().to_owned();
        let (tell, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let port = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut reading = port.try_clone().unwrap();
        let (hand, arriving) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok(count @ 1..) = reading.read(&mut buffer) {
                if hand.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let bus_settings = BusSettings { offline_after: 2 * S, ..BusSettings::new(115_200) };
        let mut seed = 0u8;
        let random = Box::new(move |bytes: &mut [u8]| {
            for byte in bytes {
                seed = seed.wrapping_mul(73).wrapping_add(41);
                *byte = seed;
            }
        });
        let bus = Bus::new(bus_settings, vec![settings], random).unwrap();
        let reader = bus.readers().next().unwrap().0;
        Self { child, port, arriving, said, bus, reader, start: clock(), events: Vec::new() }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Runs the line until an event satisfies `wanted`; fails after 15 s.
    fn until(&mut self, what: &str, wanted: impl Fn(&EventKind) -> bool) -> EventKind {
        let end = self.now() + 15 * S;
        loop {
            while let Some(event) = self.bus.poll_event() {
                self.events.push(event.kind.clone());
                if wanted(&event.kind) {
                    return event.kind;
                }
            }
            assert!(self.now() < end, "no {what}; {:?}; {:?}", self.bus.stats(self.reader), self.events);
            self.step();
        }
    }

    /// One step of the run loop.
    fn step(&mut self) {
        let now = self.now();
        match self.bus.next(now) {
            Step::Send(bytes) => self.port.write_all(bytes).unwrap(),
            Step::SetBaud(_) => {}
            Step::WaitUntil(until) => match self.arriving.recv_timeout(until.saturating_sub(now)) {
                Ok(bytes) => {
                    let now = self.now();
                    self.bus.on_bytes(now, &bytes);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the reader process ended"),
            },
        }
    }

    /// Until the inspection is over and polls are answered by "nothing".
    fn settle(&mut self) {
        let polls = self.bus.stats(self.reader).unwrap().polls;
        while self.bus.stats(self.reader).unwrap().polls < polls + 20 {
            self.step();
        }
    }

    fn order(&mut self, command: ReaderCommand) {
        let id = self.bus.command(self.now(), self.reader, command).unwrap();
        self.until("confirmation", |event| *event == EventKind::CommandDone(id));
    }

    fn no_alarms(&self) {
        assert!(!self.events.iter().any(|e| matches!(e, EventKind::Alarm { .. })), "{:?}", self.events);
    }
}

const S: Duration = Duration::from_secs(1);

fn key(hex: &str) -> Scbk {
    Scbk::from_hex(hex).unwrap()
}

#[test]
fn a_libosdp_reader_serves_cards_keys_tamper_inputs_and_commands_in_secure_channel() {
    let mut bench = Bench::new(KEY, ReaderSettings::keyed(5, key(KEY)));
    bench.until("session", |e| matches!(e, EventKind::Secure));
    let identity = bench.until("identity", |e| matches!(e, EventKind::Identity(_)));
    let EventKind::Identity(identity) = identity else { unreachable!() };
    assert_eq!((identity.serial, identity.model), (4711, 7));
    bench.settle();

    bench.tell("card 26 12345640");
    let EventKind::Card { card, format, age_at_most, .. } =
        bench.until("card", |e| matches!(e, EventKind::Card { .. }))
    else {
        unreachable!()
    };
    assert_eq!((card.bits(), card.expose(), format), (26, &[0x12, 0x34, 0x56, 0x40][..], 1));
    assert!(age_at_most.unwrap() < S);

    bench.tell("keypad 4711");
    let EventKind::Keypad { keys, .. } = bench.until("keys", |e| matches!(e, EventKind::Keypad { .. })) else {
        unreachable!()
    };
    assert_eq!(keys.expose(), b"4711");

    bench.tell("tamper 1");
    bench.until("tamper", |e| matches!(e, EventKind::LocalStatus { tamper, .. } if tamper.active && tamper.edge));
    bench.tell("tamper 0");
    bench.until("tamper end", |e| matches!(e, EventKind::LocalStatus { tamper, .. } if !tamper.active && tamper.edge));

    bench.tell("inputs 01000000");
    bench.until("inputs", |e| matches!(e, EventKind::Inputs(levels) if levels.active & 1 == 1));

    let temporary = TemporaryLed::Show { blink: Blink::steady(Colour::Green), timer_100ms: 10 };
    bench.order(ReaderCommand::Led(vec![LedControl { reader: 0, led: 0, temporary, permanent: None }]));
    let relay = OutputControl { output: 0, action: OutputAction::OnTimed, timer_100ms: 30 };
    bench.order(ReaderCommand::Output(vec![relay]));
    // What it says of itself comes by another way than its reply, and may come later.
    let mut obeyed = 0;
    while obeyed < 2 {
        let line = bench.said.recv_timeout(15 * S).expect("the reader says what it obeys");
        obeyed += usize::from(line.starts_with("command "));
    }
    bench.no_alarms();
}

#[test]
fn a_libosdp_reader_that_is_lost_and_returns_has_its_session_again() {
    let mut bench = Bench::new(KEY, ReaderSettings::keyed(0, key(KEY)));
    bench.until("session", |e| matches!(e, EventKind::Secure));
    bench.tell("silent");
    bench.until("offline", |e| matches!(e, EventKind::Offline { .. }));
    bench.tell("resume");
    bench.until("online", |e| *e == EventKind::Online);
    let back = bench.now();
    bench.until("session", |e| matches!(e, EventKind::Secure));
    assert!(bench.now() - back < 2 * S);
    // A power cycle: the reader forgets its session, the panel does not.
    bench.tell("restart");
    bench.until("loss", |e| matches!(e, EventKind::SessionLost(_)));
    bench.until("session", |e| matches!(e, EventKind::Secure));
    bench.tell("card 34 8001020340");
    bench.until("card", |e| matches!(e, EventKind::Card { card, .. } if card.bits() == 34));
    bench.no_alarms();
}

#[test]
fn a_libosdp_reader_takes_a_new_key_inside_its_session() {
    let mut bench = Bench::new(KEY, ReaderSettings::keyed(1, key(KEY)));
    bench.until("session", |e| matches!(e, EventKind::Secure));
    bench.settle();
    bench.order(ReaderCommand::RotateKey(key(NEXT_KEY)));
    bench.until("rotation", |e| *e == EventKind::KeyRotated);
    bench.tell("card 26 12345640");
    bench.until("card", |e| matches!(e, EventKind::Card { .. }));
    bench.no_alarms();
}

#[test]
fn a_libosdp_reader_in_install_mode_is_provisioned() {
    let unprovisioned = ReaderSettings { security: Security::Unprovisioned, ..ReaderSettings::keyed(2, key(KEY)) };
    let mut bench = Bench::new("install", unprovisioned);
    bench.until("online", |e| *e == EventKind::Online);
    bench.bus.provision(bench.now(), bench.reader, key(NEXT_KEY), 60 * S).unwrap();
    bench.until("provisioning", |e| matches!(e, EventKind::Provisioned));
    assert_eq!(bench.bus.stats(bench.reader).unwrap().state, ReaderState::Secure);
    bench.tell("card 26 12345640");
    bench.until("card", |e| matches!(e, EventKind::Card { .. }));
}

#[test]
fn a_libosdp_reader_with_another_key_stays_untrusted() {
    let mut bench = Bench::new(NEXT_KEY, ReaderSettings::keyed(3, key(KEY)));
    bench.until("alarm", |e| matches!(e, EventKind::Alarm { kind: Alarm::WrongKey, .. }));
    assert_eq!(bench.bus.stats(bench.reader).unwrap().state, ReaderState::Connecting);
}
