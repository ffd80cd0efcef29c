//! Our readers with a panel we did not write: libosdp's control panel (its Python wheel) behind a real
//! pseudo-terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use wire::osdp::command::{Colour, TemporaryLed};
use wire::osdp::device::{Device, DeviceEvent, DeviceSettings, Step};
use wire::osdp::reply::CardBits;
use wire::osdp::secure::Scbk;

const KEY: &str = "917e02c455d83ba619f06d842cb740ee";
const NEXT_KEY: &str = "5c01e7b83fd2499a60c4112e7f93a8d5";
const S: Duration = Duration::from_secs(1);

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

/// A panel process and our reader on its line.
struct Bench {
    child: Child,
    port: File,
    arriving: Receiver<Vec<u8>>,
    said: Receiver<String>,
    device: Device,
    start: Instant,
    unplugged: bool,
    heard: Vec<String>,
    events: Vec<DeviceEvent>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    fn new(panel_arguments: &[&str], settings: DeviceSettings) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop/panel.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(settings.address.to_string())
            .args(panel_arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the panel process says where its line is; run `make prepare`").unwrap();
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
        let mut seed = 0_u8;
        let device = Device::new(
            settings,
            Box::new(move |bytes| {
                for byte in bytes {
                    seed = seed.wrapping_mul(73).wrapping_add(41);
                    *byte = seed;
                }
            }),
        );
        let start = clock();
        Self { child, port, arriving, said, device, start, unplugged: false, heard: Vec::new(), events: Vec::new() }
    }

    fn keyed() -> Self {
        let key = Scbk::from_hex(KEY);
        let mut bench = Self::new(&[KEY], DeviceSettings { key, ..DeviceSettings::new(7) });
        bench.until_said("secure 1");
        bench
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Runs the line until the panel says a line that begins so; fails after 30 s. What was said before is not
    /// looked at again.
    fn until_said(&mut self, wanted: &str) -> String {
        let end = self.now() + 30 * S;
        loop {
            while let Ok(line) = self.said.try_recv() {
                self.heard.push(line.clone());
                if line.starts_with(wanted) {
                    return line;
                }
            }
            assert!(self.now() < end, "no {wanted:?}: {:?} {:?} {:?}", self.heard, self.events, self.device.stats());
            self.step();
        }
    }

    /// Runs the line until the reader was made to do something; fails after 15 s.
    fn until_done(&mut self, what: &str, wanted: impl Fn(&DeviceEvent) -> bool) {
        let end = self.now() + 15 * S;
        loop {
            if let Some(place) = self.events.iter().position(&wanted) {
                self.events.remove(place);
                return;
            }
            assert!(self.now() < end, "no {what}: {:?} {:?}", self.heard, self.events);
            self.step();
        }
    }

    /// One step of the run loop.
    fn step(&mut self) {
        let now = self.now();
        let wait = match self.device.next(now) {
            Step::Send(bytes) => {
                if !self.unplugged {
                    self.port.write_all(bytes).unwrap();
                }
                return;
            }
            Step::WaitUntil(at) => at.saturating_sub(now).min(Duration::from_millis(20)),
            Step::WaitForBytes => Duration::from_millis(20),
        };
        match self.arriving.recv_timeout(wait) {
            Ok(bytes) if !self.unplugged => self.device.on_bytes(self.start.elapsed(), &bytes),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the panel's line is gone: {:?}", self.heard),
        }
        while let Some(event) = self.device.poll_event() {
            self.events.push(event);
        }
    }
}

#[test]
fn a_card_keys_and_contacts_reach_the_panel_in_the_session() {
    let mut bench = Bench::keyed();
    assert!(bench.device.is_secure());
    let now = bench.now();
    bench.device.present_card(now, CardBits::new(26, vec![0x80, 0x80, 0x01, 0xC0]).unwrap()).unwrap();
    assert_eq!(bench.until_said("card"), "card 26 808001c0");
    let now = bench.now();
    let uid = vec![0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6];
    bench.device.present_card(now, CardBits::new(56, uid).unwrap()).unwrap();
    assert_eq!(bench.until_said("card"), "card 56 04a1b2c3d4e5f6");
    bench.device.press_keys(b"1234\r").unwrap();
    assert_eq!(bench.until_said("keys"), "keys 313233340d");
    bench.device.set_input(0, true);
    assert!(bench.until_said("status input").starts_with("status input 01"), "{:?}", bench.heard);
    bench.device.set_tamper(true);
    assert!(bench.until_said("status local").starts_with("status local 01"), "{:?}", bench.heard);
}

#[test]
fn the_panels_commands_are_carried_out() {
    let mut bench = Bench::keyed();
    bench.tell("led");
    bench.until_done("LED", |event| {
        matches!(event, DeviceEvent::Led(led)
            if matches!(led.temporary, TemporaryLed::Show { blink, .. } if blink.on == Colour::Green))
    });
    bench.tell("buzzer");
    bench.until_done("buzzer", |event| matches!(event, DeviceEvent::Buzzer(buzzer) if buzzer.count == 2));
    bench.tell("text");
    bench.until_done("text", |event| matches!(event, DeviceEvent::Text(text) if text.text == b"WELCOME"));
    bench.tell("output 0 5 5");
    bench.until_done("release", |event| *event == DeviceEvent::Output { output: 0, on: true });
    bench.until_done("end of release", |event| *event == DeviceEvent::Output { output: 0, on: false });
}

#[test]
fn a_key_is_set_in_the_session_and_used_in_the_next() {
    let mut bench = Bench::keyed();
    bench.tell(&format!("keyset {NEXT_KEY}"));
    let next = Scbk::from_hex(NEXT_KEY).unwrap();
    bench.events.clear();
    bench.until_done("key", |event| *event == DeviceEvent::KeySet(next.clone()));
    // This panel proves the new key at once, in a new session.
    bench.until_done("session under the new key", |event| *event == DeviceEvent::Secure { install_key: false });
    assert_eq!(bench.device.stats().sessions, 2);
}

#[test]
fn a_reader_in_install_mode_is_given_its_key() {
    let settings = DeviceSettings { install_mode: true, ..DeviceSettings::new(7) };
    let mut bench = Bench::new(&[KEY, "install"], settings);
    bench.until_said("online 1");
    let secure = |event: &DeviceEvent| matches!(event, DeviceEvent::Secure { install_key: true });
    bench.until_done("session under the installation key", secure);
    // The panel does not wait to be told.
    let key = Scbk::from_hex(KEY).unwrap();
    bench.until_done("key", |event| *event == DeviceEvent::KeySet(key.clone()));
    bench.until_done("session under its own key", |event| *event == DeviceEvent::Secure { install_key: false });
}

#[test]
fn a_reader_lost_and_found_gets_its_session_again_and_its_card_through() {
    let mut bench = Bench::keyed();
    bench.unplugged = true;
    bench.until_said("online 0");
    bench.unplugged = false;
    bench.tell("retry");
    bench.until_said("secure 1");
    let now = bench.now();
    bench.device.present_card(now, CardBits::new(26, vec![0x80, 0x80, 0x01, 0xC0]).unwrap()).unwrap();
    assert_eq!(bench.until_said("card"), "card 26 808001c0");
}
