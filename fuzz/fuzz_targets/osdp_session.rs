//! An attacker on the line between our panel and a true reader with a key.
//!
//! The script decides what is lost, delayed, repeated, and what the attacker says. He knows no
//! key but may make any frame with a good check value. Whatever he does, a card is reported
//! only if the reader made it.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wire::osdp::device::{self, Device, DeviceSettings};
use wire::osdp::frame::{self, Check, Direction, Header, SecurityBlock};
use wire::osdp::panel::{Bus, BusSettings, EventKind, MAX_EVENTS, ReaderCommand, ReaderSettings, Step};
use wire::osdp::reply::CardBits;
use wire::osdp::secure::Scbk;

const KEY: [u8; 16] = *b"\x91\x7e\x02\xc4\x55\xd8\x3b\xa6\x19\xf0\x6d\x84\x2c\xb7\x40\xee";

fn random(seed: u8) -> Box<dyn FnMut(&mut [u8]) + Send> {
    let mut state = u64::from(seed) + 1;
    Box::new(move |bytes| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    })
}

struct World {
    bus: Bus,
    reader: Device,
    now: Duration,
    presented: u32,
    reported: u32,
    recorded: Vec<Vec<u8>>,
}

impl World {
    fn take_events(&mut self) {
        let mut count = 0;
        while let Some(event) = self.bus.poll_event() {
            count += 1;
            if let EventKind::Card { card, .. } = event.kind {
                assert!(event.secured, "a card outside the session");
                let number = u32::from_be_bytes(card.expose().try_into().expect("a card the reader never made"));
                assert!(number > self.reported && number <= self.presented, "a card twice, late or forged");
                self.reported = number;
            }
        }
        assert!(count <= MAX_EVENTS + 64);
        while self.reader.poll_event().is_some() {}
    }

    /// The reader hears the bytes and answers; the answer is kept, not yet delivered.
    fn reply(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.reader.on_bytes(self.now, bytes);
        let mut said = Vec::new();
        for _ in 0..4 {
            match self.reader.next(self.now) {
                device::Step::Send(bytes) => said.extend_from_slice(bytes),
                device::Step::WaitUntil(at) if at <= self.now + Duration::from_millis(5) => self.now = at,
                device::Step::WaitUntil(_) | device::Step::WaitForBytes => break,
            }
        }
        said
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, script)) = data.split_first() else { return };
    let settings = BusSettings { session_max_frames: 50, ..BusSettings::new(115_200) };
    let bus = Bus::new(settings, vec![ReaderSettings::keyed(5, Scbk::new(KEY))], random(seed)).expect("valid settings");
    let reader = DeviceSettings { key: Some(Scbk::new(KEY)), ..DeviceSettings::new(5) };
    let mut world = World {
        bus,
        reader: Device::new(reader, random(seed ^ 0x55)),
        now: Duration::from_secs(1),
        presented: 0,
        reported: 0,
        recorded: Vec::new(),
    };
    let index = world.bus.readers().next().expect("one reader").0;
    // A session to attack, unless the attack is to begin with the handshake.
    let mut quiet = if seed & 1 == 0 { 40 } else { 0 };
    let mut script = script.iter().copied();
    // Until the attacker acts, every card must come through.
    let mut honest = true;
    loop {
        world.take_events();
        let sent = match world.bus.next(world.now) {
            Step::Send(bytes) => Some(bytes.to_vec()),
            Step::SetBaud(_) => None,
            Step::WaitUntil(until) => {
                world.now = until.max(world.now + Duration::from_micros(1));
                None
            }
        };
        let Some(sent) = sent else {
            if quiet == 0 && script.next().is_none() {
                break;
            }
            continue;
        };
        world.now += Duration::from_millis(1);
        if quiet > 0 {
            quiet -= 1;
            let said = world.reply(&sent);
            world.bus.on_bytes(world.now, &said);
            continue;
        }
        let Some(action) = script.next() else { break };
        honest &= matches!(action, 0..=3 | 11);
        let said = if action & 0x80 == 0 { world.reply(&sent) } else { Vec::new() };
        if world.recorded.len() < 32 && !said.is_empty() {
            world.recorded.push(said.clone());
        }
        match action & 0x0F {
            // The truth.
            0..=3 => world.bus.on_bytes(world.now, &said),
            // A frame of the attacker's, with a good check value, before or instead of it.
            4..=7 => {
                let control = script.next().unwrap_or(0);
                let kind = script.next().unwrap_or(0x16);
                let code = script.next().unwrap_or(0x50);
                let length = usize::from(script.next().unwrap_or(0) % 48);
                let body: Vec<u8> = script.by_ref().take(length).collect();
                let header = Header {
                    address: if control & 0x40 == 0 { 5 } else { control & 0x3F },
                    direction: if control & 0x20 == 0 { Direction::Reply } else { Direction::Command },
                    sequence: control & 3,
                    check: if control & 0x08 == 0 { Check::Crc } else { Check::Checksum },
                };
                let flag = [control >> 4 & 1];
                let block =
                    SecurityBlock { kind: 0x10 | kind & 0x0F, data: if kind & 0x10 == 0 { &[] } else { &flag } };
                let mut forged = Vec::new();
                frame::encode(&mut forged, header, (control & 0x04 == 0).then_some(block), code, &body);
                world.bus.on_bytes(world.now, &forged);
                if action & 1 == 0 {
                    world.bus.on_bytes(world.now, &said);
                }
            }
            // A recorded frame again.
            8 => {
                let which = usize::from(script.next().unwrap_or(0));
                if let Some(old) = world.recorded.get(which % world.recorded.len().max(1)).cloned() {
                    world.bus.on_bytes(world.now, &old);
                }
                world.bus.on_bytes(world.now, &said);
            }
            // One byte changed.
            9 => {
                let mut spoiled = said;
                if let Some(at) = usize::from(script.next().unwrap_or(0)).checked_rem(spoiled.len()) {
                    spoiled[at] ^= script.next().unwrap_or(1);
                }
                world.bus.on_bytes(world.now, &spoiled);
            }
            // Noise.
            10 => {
                let length = usize::from(script.next().unwrap_or(0));
                let noise: Vec<u8> = script.by_ref().take(length).collect();
                world.bus.on_bytes(world.now, &noise);
                world.bus.on_bytes(world.now, &said);
            }
            // A true card.
            11 => {
                let number = world.presented + 1;
                let bits = CardBits::new(32, number.to_be_bytes().to_vec()).expect("32 bits");
                if world.reader.present_card(world.now, bits).is_ok() {
                    world.presented = number;
                }
                world.bus.on_bytes(world.now, &said);
            }
            12 => {
                world.reader.restart();
                world.bus.on_bytes(world.now, &said);
            }
            13 => {
                let command = match script.next().unwrap_or(0) % 3 {
                    0 => ReaderCommand::LocalStatus,
                    1 => ReaderCommand::RenewSession,
                    _ => ReaderCommand::InputStatus,
                };
                let _ = world.bus.command(world.now, index, command);
                world.bus.on_bytes(world.now, &said);
            }
            // Late, or lost for a while.
            14 => {
                world.now += Duration::from_millis(u64::from(script.next().unwrap_or(0)) * 4);
                world.bus.on_bytes(world.now, &said);
            }
            _ => {}
        }
        world.now += Duration::from_micros(200);
    }
    world.take_events();
    if !honest {
        return;
    }
    for _ in 0..1000 {
        let step = match world.bus.next(world.now) {
            Step::Send(bytes) => Ok(bytes.to_vec()),
            Step::SetBaud(_) => return,
            Step::WaitUntil(until) => Err(until),
        };
        match step {
            Ok(sent) => {
                world.now += Duration::from_millis(1);
                let said = world.reply(&sent);
                world.bus.on_bytes(world.now, &said);
            }
            Err(until) => world.now = until.max(world.now + Duration::from_micros(1)),
        }
        world.take_events();
        if world.reported == world.presented {
            return;
        }
    }
    panic!("{} cards of {} came through on a good line", world.reported, world.presented);
});
