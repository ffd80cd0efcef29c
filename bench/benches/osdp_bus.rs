//! The OSDP control panel against the limit of the wire.
//!
//! The line is simulated in virtual time, so its pace is exact and the floor is a formula:
//! `T = (gap 2 + mark 1 + POLL 14 + mark 1 + ACK 14) characters + turnaround`. CPU is real time
//! spent inside the panel alone.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::time::{Duration, Instant};

use bench::{Goal, heading, line as row};
use wire::osdp::device::{self, Device, DeviceSettings};
use wire::osdp::frame::{Decoder, MARK};
use wire::osdp::panel::{Bus, BusSettings, EventKind, ReaderSettings, Step};
use wire::osdp::reply::CardBits;
use wire::osdp::secure::Scbk;

const TURNAROUND: Duration = Duration::from_millis(3);

/// Fills a buffer with bytes that seem random.
type Random = Box<dyn FnMut(&mut [u8]) + Send>;

fn random(seed: u64) -> Random {
    let mut state = seed | 1;
    Box::new(move |bytes| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    })
}

fn key(number: u8) -> Scbk {
    let mut bytes = *b"\x91\x7e\x02\xc4\x55\xd8\x3b\xa6\x19\xf0\x6d\x84\x2c\xb7\x40\xee";
    bytes[3] = number;
    Scbk::new(bytes)
}

/// One bus, its readers and the line between, paced by the characters that cross it.
struct Line {
    bus: Bus,
    devices: Vec<Device>,
    decoder: Decoder,
    character: Duration,
    now: Duration,
    /// Real time spent in the panel.
    panel: Duration,
    sent: u64,
    asked: Vec<u64>,
    cards: u64,
    dead: Option<u8>,
    /// A card that comes to this reader at this time.
    tap: Option<(Duration, usize)>,
}

impl Line {
    fn new(count: u8, baud: u32, turnaround: Duration) -> Self {
        let configured = (0..count).map(|n| ReaderSettings::keyed(n, key(n))).collect();
        let devices = (0..count)
            .map(|n| {
                let settings = DeviceSettings { key: Some(key(n)), turnaround, mark: true, ..DeviceSettings::new(n) };
                Device::new(settings, random(u64::from(n) + 7))
            })
            .collect();
        Self {
            bus: Bus::new(BusSettings::new(baud), configured, random(1)).unwrap(),
            devices,
            decoder: Decoder::new(),
            character: Duration::from_secs(10) / baud,
            now: Duration::from_secs(1),
            panel: Duration::ZERO,
            sent: 0,
            asked: vec![0; usize::from(count)],
            cards: 0,
            dead: None,
            tap: None,
        }
    }

    fn connected(count: u8, baud: u32, turnaround: Duration) -> Self {
        let mut line = Self::new(count, baud, turnaround);
        // 32 readers at 9600 take 20 s to connect and be inspected.
        line.run(Duration::from_secs(60));
        line.reset();
        line
    }

    fn reset(&mut self) {
        self.panel = Duration::ZERO;
        self.sent = 0;
        self.asked.fill(0);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.bus.poll_event() {
            self.cards += u64::from(matches!(event.kind, EventKind::Card { .. }));
        }
    }

    fn step(&mut self, end: Duration) {
        let started = Instant::now();
        self.take_events();
        let sent = match self.bus.next(self.now) {
            Step::Send(bytes) => bytes.to_vec(),
            Step::SetBaud(_) => return,
            Step::WaitUntil(until) => {
                self.panel += started.elapsed();
                self.now = until.clamp(self.now, end);
                return;
            }
        };
        self.panel += started.elapsed();
        self.sent += 1;
        self.now += self.character * u32::try_from(sent.len()).unwrap();
        let start = sent.iter().position(|&byte| byte != MARK).unwrap();
        let address = sent[start + 1] & 0x7F;
        self.asked[usize::from(address)] += 1;
        if self.dead == Some(address) {
            return;
        }
        if let Some((at, reader)) = self.tap.take_if(|(at, _)| *at <= self.now) {
            let card = CardBits::new(26, vec![1, 2, 3, 64]).unwrap();
            self.devices[reader].present_card(at, card).unwrap();
        }
        let device = &mut self.devices[usize::from(address)];
        let mut input = &sent[..];
        if let Some(Ok(frame)) = self.decoder.next(self.now, &mut input) {
            device.on_frame(self.now, &frame);
        }
        let mut at = self.now;
        loop {
            match device.next(at) {
                device::Step::Send(bytes) => {
                    self.now = at + self.character * u32::try_from(bytes.len()).unwrap();
                    let started = Instant::now();
                    self.bus.on_bytes(self.now, bytes);
                    while let Some(event) = self.bus.poll_event() {
                        self.cards += u64::from(matches!(event.kind, EventKind::Card { .. }));
                    }
                    self.panel += started.elapsed();
                    break;
                }
                device::Step::WaitUntil(later) if later <= at + Duration::from_millis(250) => at = later,
                device::Step::WaitUntil(_) | device::Step::WaitForBytes => break,
            }
        }
        while device.poll_event().is_some() {}
    }
}

/// Polls a second against 1/T.
fn pace() {
    for baud in [9600, 19_200, 38_400, 57_600, 115_200, 230_400] {
        let mut line = Line::connected(32, baud, TURNAROUND);
        let time = Duration::from_secs(20);
        line.run(time);
        let exchange = line.character * (2 + 1 + 14 + 1 + 14) + TURNAROUND;
        let floor = 1.0 / exchange.as_secs_f64();
        let measured = line.sent as f64 / time.as_secs_f64();
        let name = format!("polls of 32 readers at {baud} Bd, secure");
        println!("{}", row(&name, measured, floor, "/s", Goal::AtLeast(0.95)));
    }
}

/// CPU of the panel for a poll, 288 readers on 9 buses.
fn cpu() {
    let mut lines: Vec<Line> = (0..9).map(|_| Line::connected(32, 230_400, Duration::ZERO)).collect();
    for line in &mut lines {
        line.run(Duration::from_secs(5));
    }
    let polls: u64 = lines.iter().map(|line| line.sent).sum();
    let spent: Duration = lines.iter().map(|line| line.panel).sum();
    let measured = spent.as_secs_f64() * 1e6 / polls as f64;
    println!("{}", row("panel alone, CPU a poll, 9 buses of 32 readers", measured, 10.0, "us", Goal::AtMost(1.0)));
}

/// What a dead reader costs the others.
fn dead_reader() {
    let rate = |line: &mut Line| {
        line.reset();
        let time = Duration::from_secs(10);
        line.run(time);
        line.asked[1..].iter().sum::<u64>() as f64 / time.as_secs_f64()
    };
    let mut line = Line::connected(32, 115_200, TURNAROUND);
    let alive = rate(&mut line);
    line.dead = Some(0);
    let first = rate(&mut line);
    println!("{}", row("polls of 31 others, one dying, 10 s", first, alive, "/s", Goal::AtLeast(0.8)));
    // Once a second, and the repetition at once of the first.
    let asked = line.asked[0] as f64;
    println!("{}", row("slots lost on the dying one in 10 s", asked, 11.0, "", Goal::AtMost(1.0)));
    line.run(Duration::from_secs(60));
    let later = rate(&mut line);
    println!("{}", row("polls of 31 others, one dead for long", later, alive, "/s", Goal::AtLeast(0.95)));
}

/// Tap to event with the wire as the only limit: 32 readers, 115200, 3 ms.
fn tap_to_event() {
    let mut line = Line::connected(32, 115_200, TURNAROUND);
    let (mut sum, mut worst, taps) = (Duration::ZERO, Duration::ZERO, 4000u32);
    let mut state = 5u64;
    for _ in 0..taps {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let tapped = line.now + Duration::from_micros(10_000 + (state >> 40) % 200_000);
        line.tap = Some((tapped, (state >> 33) as usize % 32));
        let before = line.cards;
        while line.cards == before {
            line.step(tapped + Duration::from_secs(10));
        }
        let took = line.now - tapped;
        sum += took;
        worst = worst.max(took);
    }
    let mean = (sum / taps).as_secs_f64() * 1e3;
    let worst = worst.as_secs_f64() * 1e3;
    // Floor: n T / 2 + R for the mean, n T + R for the worst.
    let exchange = (line.character * 32 + TURNAROUND).as_secs_f64() * 1e3;
    let card = (line.character * 31).as_secs_f64() * 1e3;
    println!("{}", row("  the wire's own mean", mean, 16.0 * exchange + card, "ms", Goal::Shown));
    println!("{}", row("  the wire's own worst", worst, 32.0 * exchange + card, "ms", Goal::Shown));
    println!("{}", row("tap to event, 32 readers at 115200 Bd, mean", mean, 100.0, "ms", Goal::AtMost(1.0)));
    println!("{}", row("tap to event, 32 readers at 115200 Bd, worst", worst, 200.0, "ms", Goal::AtMost(1.0)));
}

fn main() {
    println!("{}", heading("OSDP control panel, against the wire (in virtual time)"));
    pace();
    cpu();
    dead_reader();
    tap_to_event();
}
