//! OSDP under any bytes: nothing panics, nothing grows, chunks do not matter; and our frames
//! and sessions against an implementation we did not write (the `osdp` crate).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use osdp::packet::{Address, ControlByte, CtrlFlags, PacketBuilder, ParsedPacket, Sqn};
use osdp::secure::{Session as TheirSession, frame as their_frame};
use proptest::prelude::*;
use wire::osdp::command::Command;
use wire::osdp::frame::{self, Check, Decoder, Direction, Frame, Header, MAX_FRAME};
use wire::osdp::panel::{Bus, BusSettings, ReaderSettings, Step};
use wire::osdp::reply::Reply;
use wire::osdp::secure::{Scbk, Session, SessionKeys};

const KEY: [u8; 16] = *b"\x91\x7e\x02\xc4\x55\xd8\x3b\xa6\x19\xf0\x6d\x84\x2c\xb7\x40\xee";

/// Bytes with many starts of frames, good frames, and frames with a flipped bit among them.
fn line_bytes() -> impl Strategy<Value = Vec<u8>> {
    let good = (any::<u8>(), any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..60), any::<bool>())
        .prop_map(|(address, sequence, code, data, crc)| encoded(address, sequence, code, &data, crc));
    let bad = (good.clone(), any::<prop::sample::Index>(), 0..8u8).prop_map(|(mut bytes, at, bit)| {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        bytes
    });
    let starts = prop::collection::vec(prop::sample::select(vec![0x53u8, 0x53, 0xFF, 0x00, 0x08, 0x04, 0x0C]), 0..20);
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(prop_oneof![3 => good, 2 => bad, 1 => starts, 1 => noise], 0..12).prop_map(|v| v.concat())
}

fn encoded(address: u8, sequence: u8, code: u8, data: &[u8], crc: bool) -> Vec<u8> {
    let direction = if address & 0x80 != 0 { Direction::Reply } else { Direction::Command };
    let check = if crc { Check::Crc } else { Check::Checksum };
    let header = Header { address: address & 0x7F, direction, sequence: sequence & 3, check };
    let mut out = Vec::new();
    frame::encode(&mut out, header, None, code, data);
    out
}

type Outcome = Result<Vec<u8>, frame::FrameFault>;

fn decode(chunks: &[&[u8]]) -> (Vec<Outcome>, u64, usize) {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for chunk in chunks {
        let mut input = *chunk;
        while let Some(outcome) = decoder.next(Duration::ZERO, &mut input) {
            found.push(outcome.map(|frame| frame.bytes().to_vec()));
        }
        assert!(input.is_empty());
    }
    // Silence ends what is left, the same way in both cases.
    while let Some(outcome) = decoder.next(Duration::from_secs(1), &mut &[][..]) {
        found.push(outcome.map(|frame| frame.bytes().to_vec()));
    }
    (found, decoder.noise(), decoder.pending())
}

proptest! {
    #[test]
    fn chunked_is_whole(bytes in line_bytes(), cuts in prop::collection::vec(1..9usize, 1..40)) {
        let whole = decode(&[&bytes]);
        let mut chunks = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(&decode(&chunks), &whole);
        prop_assert_eq!(whole.2, 0);
    }

    #[test]
    fn a_good_frame_after_silence_is_found_whatever_came_before(noise in line_bytes(), data in prop::collection::vec(any::<u8>(), 0..40)) {
        let good = encoded(0x85, 1, 0x40, &data, true);
        let mut decoder = Decoder::new();
        let mut input = &noise[..];
        while decoder.next(Duration::ZERO, &mut input).is_some() {}
        let mut input = &good[..];
        let mut found = false;
        while let Some(outcome) = decoder.next(Duration::from_secs(1), &mut input) {
            found |= outcome.is_ok_and(|frame| frame.bytes() == good);
        }
        prop_assert!(found);
    }

    #[test]
    fn payloads_decode_without_panic_and_what_decodes_encodes_to_itself(code in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut out = Vec::new();
        if let Ok(command) = Command::decode(code, &data) {
            prop_assert_eq!(command.code(), code);
            out.clear();
            command.encode_data(&mut out);
            prop_assert_eq!(Command::decode(code, &out), Ok(command.clone()));
            let _ = format!("{command:?}");
        }
        if let Ok(reply) = Reply::decode(code, &data) {
            prop_assert_eq!(reply.code(), code);
            out.clear();
            reply.encode_data(&mut out);
            prop_assert_eq!(Reply::decode(code, &out), Ok(reply));
        }
    }

    #[test]
    fn any_bytes_leave_the_panel_alive(chunks in prop::collection::vec(line_bytes(), 0..20)) {
        let readers = vec![ReaderSettings::keyed(5, Scbk::new(KEY)), ReaderSettings::insecure(6, "test", "test")];
        let mut bus = Bus::new(BusSettings::new(9600), readers, Box::new(|b| b.fill(3))).unwrap();
        let mut now = Duration::ZERO;
        for chunk in &chunks {
            for _ in 0..4 {
                if let Step::WaitUntil(until) = bus.next(now) {
                    now = until;
                }
            }
            bus.on_bytes(now, chunk);
            let mut events = 0;
            while bus.poll_event().is_some() {
                events += 1;
            }
            prop_assert!(events < 64);
        }
    }

    // ---- differential ----

    #[test]
    fn frames_agree_with_another_implementation(address in 0..0x7Fu8, sequence in 0..4u8, code in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..200), crc in any::<bool>(), reply in any::<bool>()) {
        let ours = encoded(address | if reply { 0x80 } else { 0 }, sequence, code, &data, crc);
        let flags = if crc { CtrlFlags::USE_CRC } else { CtrlFlags::empty() };
        let their_address = if reply { Address::reply(address) } else { Address::pd(address) };
        let control = ControlByte::new(Sqn::new(sequence).unwrap(), flags);
        let theirs = PacketBuilder::plain(their_address.unwrap(), control, code, data.clone()).encode().unwrap();
        prop_assert_eq!(&ours, &theirs);
    }

    #[test]
    fn accepted_frames_are_those_of_another_implementation(bytes in line_bytes()) {
        // Frame by frame at each place where ours finds one.
        for outcome in decode(&[&bytes]).0 {
            let Ok(found) = outcome else { continue };
            prop_assert!(found.len() <= MAX_FRAME);
            let ours = Frame::parse(&found).unwrap();
            // Security blocks of unknown type are theirs to refuse and ours to carry.
            if let Ok((theirs, used)) = ParsedPacket::parse(&found) {
                prop_assert_eq!(used, found.len());
                prop_assert_eq!(theirs.code, ours.code);
                prop_assert_eq!(theirs.data, ours.data);
                prop_assert_eq!(theirs.mac, ours.mac);
            } else {
                prop_assert!(ours.security.is_some() || ours.header.address == 0x7F || found[4] & 0xF0 != 0, "{:02x?}", found);
            }
        }
    }

    #[test]
    fn sessions_agree_with_another_implementation(rnd_a in any::<[u8; 8]>(), rnd_b in any::<[u8; 8]>(), rounds in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 1..8)) {
        let keys = SessionKeys::derive(&Scbk::new(KEY), &rnd_a);
        let server = keys.server_cryptogram(&rnd_a, &rnd_b);
        let rmac = keys.initial_rmac(&server);
        let ccrypt = osdp::reply::CCrypt { cuid: [0; 8], rnd_b, client_cryptogram: keys.client_cryptogram(&rnd_a, &rnd_b) };
        let theirs = TheirSession::new(KEY).challenge(rnd_a).receive_ccrypt(&ccrypt).unwrap();
        prop_assert_eq!(theirs.server_cryptogram(), server);
        let mut theirs = theirs.confirm_rmac_i(&rmac).unwrap();
        // They are the panel, we are the reader.
        let mut reader = Session::new(keys, rmac);
        let mut data = Vec::new();
        for (number, plain) in rounds.iter().enumerate() {
            let sequence = (number % 3 + 1) as u8;
            let sqn = Sqn::new(sequence).unwrap();
            let command = their_frame::seal(&mut theirs, Address::pd(1).unwrap(), sqn, their_frame::Direction::AcuToPd, !plain.is_empty(), 0x60, plain).unwrap();
            reader.open(&Frame::parse(&command).unwrap(), &mut data).unwrap();
            prop_assert_eq!(&data, plain);
            let header = Header { address: 1, direction: Direction::Reply, sequence, check: Check::Crc };
            let mut reply = Vec::new();
            reader.seal(&mut reply, header, 0x50, plain);
            let parsed = ParsedPacket::parse(&reply).unwrap().0;
            prop_assert_eq!(&their_frame::unseal(&mut theirs, &parsed, &reply).unwrap(), plain);
        }
    }
}
