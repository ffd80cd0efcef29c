//! OSDP against published vectors: SIA OSDP Annex E (frames, Secure Channel), as also used by
//! the public conformance suites.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use wire::osdp::frame::{self, Check, Direction, Frame, Header};
use wire::osdp::secure::{Scbk, Session, SessionKeys, WeakKey};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn block(text: &str) -> [u8; 16] {
    hex(text).try_into().unwrap()
}

const RND_A: [u8; 8] = [0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7];
const RND_B: [u8; 8] = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7];

#[test]
fn crc_of_annex_e() {
    assert_eq!(frame::crc16(&hex("53 7F 0D 00 04 6E 00 80 25 00 00")).to_le_bytes(), [0x6E, 0x38]);
    assert_eq!(frame::crc16(&hex("53 00 09 00 04 61 00")).to_le_bytes(), [0xC0, 0x66]);
}

#[test]
fn checksum_of_annex_e() {
    assert_eq!(frame::checksum(&hex("53 7F 0C 00 00 6E 00 80 25 00 00")), 0x0F);
    assert_eq!(frame::checksum(&hex("53 00 08 00 00 61 00")), 0x44);
}

#[test]
fn frames_of_annex_e_parse_and_encode() {
    let whole = hex("53 7F 0D 00 04 6E 00 80 25 00 00 6E 38");
    let parsed = Frame::parse(&whole).unwrap();
    assert_eq!(parsed.header.address, 0x7F);
    assert_eq!(parsed.code, 0x6E);
    assert_eq!(parsed.data, hex("00 80 25 00 00"));
    let mut out = Vec::new();
    frame::encode(&mut out, parsed.header, None, parsed.code, parsed.data);
    assert_eq!(out, whole);
    let header = Header { check: Check::Checksum, address: 0, sequence: 0, direction: Direction::Command };
    out.clear();
    frame::encode(&mut out, header, None, 0x61, &[0]);
    assert_eq!(out, hex("53 00 08 00 00 61 00 44"));
}

#[test]
fn cryptograms_of_annex_e() {
    let keys = SessionKeys::derive(&Scbk::install_default(), &RND_A);
    let server = keys.server_cryptogram(&RND_A, &RND_B);
    assert_eq!(server, block("26D3356E07762D262801FC8E6665A891"));
    assert_eq!(keys.client_cryptogram(&RND_A, &RND_B), block("FDE5D2F428EC16312471EA3C02BD7796"));
    assert_eq!(keys.initial_rmac(&server), block("B2A30057EB98BA2229EC1F875662B524"));
}

#[test]
fn session_chain_goes_both_ways() {
    let keys = SessionKeys::derive(&Scbk::install_default(), &RND_A);
    let rmac = keys.initial_rmac(&keys.server_cryptogram(&RND_A, &RND_B));
    let mut panel = Session::new(keys.clone(), rmac);
    let mut reader = Session::new(keys, rmac);
    let mut data = Vec::new();
    for round in 0..40u8 {
        let plain: Vec<u8> = (0..round).collect();
        for direction in [Direction::Command, Direction::Reply] {
            let header = Header { address: 3, direction, sequence: round % 4, check: Check::Crc };
            let mut out = Vec::new();
            let (from, to) =
                if direction == Direction::Command { (&mut panel, &mut reader) } else { (&mut reader, &mut panel) };
            from.seal(&mut out, header, 0x60, &plain);
            to.open(&Frame::parse(&out).unwrap(), &mut data).unwrap();
            assert_eq!(data, plain);
        }
    }
}

#[test]
fn weak_keys_are_refused() {
    let check = |text: &str| Scbk::from_hex(text).unwrap().check_strength();
    assert_eq!(Scbk::install_default().check_strength(), Err(WeakKey::InstallDefault));
    assert_eq!(check("00000000000000000000000000000000"), Err(WeakKey::Repeated));
    assert_eq!(check("000102030405060708090a0b0c0d0e0f"), Err(WeakKey::Counting));
    assert_eq!(check("0F0E0D0C0B0A09080706050403020100"), Err(WeakKey::Counting));
    assert_eq!(check("30313233303132333031323330313233"), Err(WeakKey::Sample));
    assert_eq!(check("9f86d081884c7d659a2feaa0c55ad015"), Ok(()));
}

#[test]
fn keys_do_not_show_in_debug() {
    assert_eq!(format!("{:?}", Scbk::install_default()), "Scbk(..)");
}
