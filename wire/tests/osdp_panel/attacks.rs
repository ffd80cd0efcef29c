//! One test for each known attack on OSDP (Bishop Fox, "Badge of Shame", and later reports),
//! numbered as in the project's list of attacks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wire::osdp::command::{Command, code};
use wire::osdp::frame::{Check, Direction, Frame, Header, SecurityBlock, encode, scs};
use wire::osdp::panel::{
    Alarm, Bus, BusSettings, CommandError, CommandFailure, EventKind, PinnedIdentity, ProvisionFailure, ReaderCommand,
    ReaderSettings, ReaderState, SessionEnd, SettingsError,
};
use wire::osdp::reply::{NakReason, Reply};
use wire::osdp::secure::{Scbk, SessionKeys, WeakKey};

use crate::peer::{FakeReader, Line, MS, POLL, S, card26, delayed, first, key, random, reply_frame};

/// A handshake block of address 0 with a good CRC and no MAC, for a sequence number.
pub fn forged_handshake_block() -> impl Fn(u8) -> Vec<u8> {
    |sequence| {
        let block = SecurityBlock { kind: scs::INITIAL_RMAC, data: &[1] };
        reply_frame(0, sequence, Some(block), &card26())
    }
}

#[test]
fn attack_01_listening_a_reader_without_a_key_needs_somebodys_name() {
    let nobody = ReaderSettings::insecure(0, " ", "2027-01-01");
    let refused = Bus::new(BusSettings::new(9600), vec![nobody], random());
    assert_eq!(refused.err(), Some(SettingsError::NobodyAccepted(0)));
    // And what such a reader says is marked as not secured, every time.
    let mut line = Line::insecure().online();
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert_eq!(line.cards(), 1);
    assert!(line.events.iter().all(|e| !e.secured));
}

#[test]
fn attack_02_downgrade_by_altered_capabilities() {
    // In clear, after a blocked handshake: the altered list is an alarm and nothing is obeyed.
    let mut line = Line::keyed(1);
    line.readers[0].capabilities.retain(|c| c.function != 9);
    for _ in 0..20 {
        line.readers[0].scripted.push_back((code::CHLNG, Reply::Nak(NakReason::SecurityUnsupported)));
    }
    line.readers[0].events.extend([card26(), card26()]);
    line.run(10 * S);
    assert!(line.alarmed(Alarm::Downgrade));
    assert_eq!(line.cards(), 0);
    assert!(line.sent(POLL).len() <= 2, "no polls in clear for cards");
    assert!(line.sent(code::CHLNG).len() >= 2, "it goes on asking for the session");

    // Inside the session: the reader itself denies it; its cards are not taken.
    let mut line = Line::keyed(1);
    line.readers[0].capabilities.retain(|c| c.function != 9);
    line.run(S);
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert!(line.alarmed(Alarm::Downgrade));
    assert_eq!(line.cards(), 0);
}

#[test]
fn attack_03_refused_or_ignored_handshake_keeps_the_reader_untrusted() {
    for ignored in [false, true] {
        let mut line = Line::keyed(1);
        line.cable(move |heard, reply| match heard.code {
            code::CHLNG if ignored => Vec::new(),
            code::CHLNG => vec![(5 * MS, reply_frame(0, heard.sequence, None, &Reply::Nak(NakReason::UnknownCommand)))],
            _ => delayed(reply),
        });
        for _ in 0..50 {
            line.readers[0].events.push_back(card26());
        }
        line.run(30 * S);
        assert_eq!(line.state(), ReaderState::Connecting, "ignored: {ignored}");
        assert!(line.alarmed(Alarm::HandshakeRefused));
        assert_eq!(line.cards(), 0);
        assert_eq!(line.count(|e| matches!(e, EventKind::Secure)), 0);
        let tries = line.sent(code::CHLNG).len();
        assert!((3..=40).contains(&tries), "back-off, but not for ever: {tries}");
        assert_eq!(line.bus.command(line.now, first(), ReaderCommand::LocalStatus), Err(CommandError::NotConnected));
        // The way is free again: it connects.
        line.cable = None;
        assert!(line.run_for(15 * S, |e| matches!(e, EventKind::Secure)));
    }
}

#[test]
fn attack_04_an_install_mode_impostor_never_gets_a_key() {
    // The impostor knows SCBK-D only and asks for it.
    let mut line = Line::keyed(1);
    line.readers[0].install_mode = true;
    line.run(30 * S);
    assert_eq!(line.sent(code::KEYSET).len(), 0);
    for challenge in line.sent(code::CHLNG) {
        let frame = Frame::parse(&challenge.bytes).unwrap();
        assert_eq!(frame.security.unwrap().data, [scs::KEY_OWN], "never SCBK-D outside provisioning");
    }
    assert!(line.alarmed(Alarm::HandshakeRefused));
    // Provisioning is for a reader without a key, takes a fresh key only, and is an operation.
    let refused = line.bus.provision(line.now, first(), key(9), 60 * S);
    assert_eq!(refused, Err(CommandError::NotConnected));
    let mut line = Line::unprovisioned();
    line.readers[0].install_mode = true;
    line.run(5 * S);
    assert!(line.sent(code::CHLNG).is_empty(), "not by itself");
    let weak = line.bus.provision(line.now, first(), Scbk::install_default(), 60 * S);
    assert_eq!(weak, Err(CommandError::BadKey));
}

#[test]
fn attack_05_a_key_overheard_at_replacement_is_rotated_and_a_new_serial_is_an_alarm() {
    let pinned = PinnedIdentity { vendor: [0xCA, 0xFE, 1], serial: 76 };
    let settings = ReaderSettings { pinned: Some(pinned), ..ReaderSettings::keyed(0, key(0)) };
    let mut line = Line::with(BusSettings::new(9600), vec![settings], vec![FakeReader::new(0, key(0))]);
    line.run(3 * S);
    assert_eq!(line.state(), ReaderState::Secure);
    assert!(
        line.count(|e| matches!(e, EventKind::Alarm { kind: Alarm::IdentityChanged(id), .. } if id.serial == 77)) > 0
    );
    // Rotation at once, inside the keyed session: the new key is not under the install key.
    line.order(ReaderCommand::RotateKey(key(7)));
    line.run(2 * S);
    assert_eq!(line.count(|e| *e == EventKind::KeyRotated), 1);
    assert_eq!(line.sent(code::KEYSET)[0].scs, Some(scs::COMMAND_DATA));
}

#[test]
fn attack_06_weak_and_shared_keys_are_refused_at_load() {
    let make = |keys: &[Scbk]| {
        let readers = keys.iter().zip(0u8..).map(|(key, n)| ReaderSettings::keyed(n, key.clone())).collect();
        Bus::new(BusSettings::new(9600), readers, random()).err()
    };
    let weak = |reason| Some(SettingsError::WeakKey { address: 0, reason });
    let rising: [u8; 16] = std::array::from_fn(|n| n as u8 + 0xA0);
    let falling: [u8; 16] = std::array::from_fn(|n| 0x0F - n as u8);
    assert_eq!(make(&[Scbk::new([0xA5; 16])]), weak(WeakKey::Repeated));
    assert_eq!(make(&[Scbk::new(rising)]), weak(WeakKey::Counting));
    assert_eq!(make(&[Scbk::new(falling)]), weak(WeakKey::Counting));
    assert_eq!(make(&[Scbk::install_default()]), weak(WeakKey::InstallDefault));
    assert_eq!(make(&[Scbk::new(*b"0123456789ABCDEF")]), weak(WeakKey::Sample));
    assert_eq!(make(&[key(1), key(1)]), Some(SettingsError::SharedKey(0, 1)));
    assert_eq!(make(&[key(1), key(2)]), None);
    // Nor by rotation.
    let mut line = Line::keyed(2).connected();
    let rotate = |key| ReaderCommand::RotateKey(key);
    assert_eq!(line.bus.command(line.now, first(), rotate(key(1))), Err(CommandError::BadKey));
    assert_eq!(line.bus.command(line.now, first(), rotate(Scbk::new([1; 16]))), Err(CommandError::BadKey));
}

#[test]
fn attack_07_handshake_block_inside_session() {
    let mut line = Line::keyed(1).connected();
    let forged = forged_handshake_block();
    line.cable(move |heard, reply| {
        let mut out = delayed(reply);
        out.insert(0, (2 * MS, forged(heard.sequence)));
        out
    });
    line.run(5 * S);
    assert_eq!(line.cards(), 0, "a card without a MAC is no card");
    assert!(line.alarmed(Alarm::HandshakeBlockInSession));
    assert!(line.stats().untrusted > 10);
    assert_eq!(line.lost_sessions(), 0, "dropped, nothing torn down");
    line.cable = None;
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert_eq!(line.cards(), 1);
}

#[test]
fn attack_08_plaintext_data_in_session() {
    let mut line = Line::keyed(1).connected();
    let once = Cell::new(true);
    line.cable(move |heard, reply| {
        if once.replace(false) {
            return vec![(2 * MS, reply_frame(0, heard.sequence, None, &card26()))];
        }
        delayed(reply)
    });
    let before = line.now;
    assert!(line.run_for(S, |e| matches!(e, EventKind::Secure)));
    assert!(line.now - before < 300 * MS, "a new handshake at once");
    assert_eq!(line.cards(), 0);
    assert!(line.alarmed(Alarm::PlaintextInSession));
    assert_eq!(line.count(|e| *e == EventKind::SessionLost(SessionEnd::Plaintext)), 1);
    assert!(line.sent(code::CHLNG)[0].at > before);
}

#[test]
fn attack_09_forged_nak_and_busy_cannot_stall_the_reader() {
    // A forged refusal before each true reply, of a reader that takes its time: not one session
    // is lost.
    let mut line = Line::keyed(1);
    line.tau = 60 * MS;
    let mut line = line.connected();
    line.cable(|heard, reply| {
        let mut out = vec![(2 * MS, reply_frame(0, heard.sequence, None, &Reply::Nak(NakReason::SecurityRequired)))];
        out.extend(reply.map(|r| (60 * MS, r)));
        out
    });
    line.readers[0].events.push_back(card26());
    line.run(20 * S);
    assert_eq!(line.lost_sessions(), 0);
    assert_eq!(line.cards(), 1);

    // The true reply suppressed: a few re-handshakes a minute, then an alarm and no more.
    let mut line = Line::keyed(1).connected();
    line.cable(|heard, reply| match heard.scs {
        Some(scs::COMMAND | scs::COMMAND_DATA) => {
            vec![(2 * MS, reply_frame(0, heard.sequence, None, &Reply::Nak(NakReason::SecurityRequired)))]
        }
        _ => delayed(reply),
    });
    line.run(30 * S);
    assert!(line.alarmed(Alarm::BusInterference));
    assert!(line.sent(code::CHLNG).len() <= 8, "{}", line.sent(code::CHLNG).len());

    // BUSY without end: bounded, then an alarm.
    let mut line = Line::keyed(1).connected();
    line.cable(|heard, reply| match heard.scs {
        Some(scs::COMMAND | scs::COMMAND_DATA) => vec![(2 * MS, reply_frame(0, 0, None, &Reply::Busy))],
        _ => delayed(reply),
    });
    line.run(10 * S);
    assert!(line.alarmed(Alarm::StuckBusy));
}

#[test]
fn attack_10_forged_plaintext_ack_to_keyset() {
    let mut line = Line::keyed(1).connected();
    // The attacker swallows KEYSET and confirms it himself.
    let swallowed = Rc::new(Cell::new(0));
    let count = swallowed.clone();
    let id = line.order(ReaderCommand::RotateKey(key(33)));
    // Remembers the state of the reader before KEYSET, as it never heard it.
    line.readers[0].scripted.push_back((code::KEYSET, Reply::Nak(NakReason::Unable)));
    line.cable(move |heard, reply| {
        if heard.code == code::KEYSET {
            count.set(count.get() + 1);
            return vec![(2 * MS, reply_frame(0, heard.sequence, None, &Reply::Ack))];
        }
        delayed(reply)
    });
    line.run(3 * S);
    assert!(swallowed.get() >= 1);
    assert!(!line.done(id), "not confirmed by a forgery");
    assert_eq!(line.count(|e| *e == EventKind::KeyRotated), 0);
    assert!(line.alarmed(Alarm::PlaintextInSession));
    assert_eq!(line.state(), ReaderState::Secure, "the old key still works");
    // Had the reader taken the key after all, the new one works too.
    line.cable = None;
    line.readers[0].key = key(33);
    line.readers[0].power_cycle();
    line.readers[0].strict = true;
    line.run(3 * S);
    assert_eq!(line.state(), ReaderState::Secure);
    assert_eq!(line.count(|e| *e == EventKind::KeyRotated), 1);
}

/// A sequence number and the frame that came with it.
type Recording = (u8, Vec<u8>);

#[test]
fn attack_11_replay_of_a_recorded_card() {
    let mut line = Line::keyed(1).connected();
    let recorded: Rc<RefCell<Vec<Recording>>> = Rc::default();
    let tape = recorded.clone();
    line.readers[0].events.push_back(card26());
    line.cable(move |heard, reply| {
        let long = reply.clone().filter(|r| r.len() > 20);
        tape.borrow_mut().extend(long.map(|r| (heard.sequence, r)));
        delayed(reply)
    });
    line.run(S);
    assert_eq!((line.cards(), recorded.borrow().len()), (1, 1));
    let (sequence, frame) = recorded.borrow()[0].clone();
    let once = Cell::new(true);
    line.cable(move |heard, reply| {
        if heard.sequence == sequence && heard.scs.is_some() && once.replace(false) {
            return vec![(2 * MS, frame.clone())];
        }
        delayed(reply)
    });
    line.run(2 * S);
    assert_eq!(line.cards(), 1, "the recorded card is not taken again");
    assert!(line.alarmed(Alarm::BadMac));
    assert_eq!(line.state(), ReaderState::Secure, "a new session stands");
    // RND.A is never used twice.
    let challenges: Vec<_> = line.sent(code::CHLNG).iter().map(|c| c.bytes[9..17].to_vec()).collect();
    assert_eq!(challenges.len(), 1);
}

#[test]
fn attack_11_each_handshake_has_its_own_random_number() {
    let mut line = Line::keyed(1).connected();
    for _ in 0..10 {
        line.order(ReaderCommand::RenewSession);
        line.run(S);
    }
    let mut challenges: Vec<_> = line.sent(code::CHLNG).iter().map(|c| c.bytes[9..17].to_vec()).collect();
    let made = challenges.len();
    challenges.sort();
    challenges.dedup();
    assert_eq!((challenges.len(), made), (10, 10));
}

#[test]
fn attack_12_a_repeated_reply_is_delivered_once() {
    let mut line = Line::keyed(1).connected();
    // Every reply comes twice, and once more after the next question.
    let before: Rc<RefCell<Option<Vec<u8>>>> = Rc::default();
    line.cable(move |_, reply| {
        let mut out = Vec::new();
        out.extend(before.borrow_mut().take().map(|old| (MS, old)));
        out.extend(reply.clone().map(|r| (5 * MS, r)));
        out.extend(reply.clone().map(|r| (6 * MS, r)));
        *before.borrow_mut() = reply;
        out
    });
    line.readers[0].events.push_back(card26());
    line.run(5 * S);
    assert_eq!(line.cards(), 1);
    assert_eq!(line.lost_sessions(), 0);
    // Two taps of one card are two taps.
    line.cable = None;
    line.readers[0].events.extend([card26(), card26()]);
    line.run(S);
    assert_eq!(line.cards(), 3);
}

#[test]
fn attack_13_one_bad_mac_ends_the_session_and_sessions_are_renewed() {
    let mut line = Line::keyed(1).connected();
    let once = Cell::new(true);
    line.cable(move |_, reply| {
        let Some(mut bytes) = reply else { return Vec::new() };
        if once.replace(false) {
            // One bit of the MAC, with a CRC that fits.
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
            let end = bytes.len() - 2;
            let crc = wire::osdp::frame::crc16(&bytes[..end]).to_le_bytes();
            bytes[end..].copy_from_slice(&crc);
        }
        delayed(Some(bytes))
    });
    line.run(S);
    assert!(line.alarmed(Alarm::BadMac));
    assert_eq!(line.count(|e| *e == EventKind::SessionLost(SessionEnd::BadMac)), 1, "one guess a handshake");
    assert_eq!(line.state(), ReaderState::Secure);
    assert_eq!(line.sent(code::CHLNG).len(), 1);
    let settings = BusSettings::new(9600);
    assert!(settings.session_max_age <= 8 * 3600 * S && settings.session_max_frames <= 1 << 20);
}

#[test]
fn attack_14_ccrypt_for_the_default_key_is_refused() {
    let mut line = Line::keyed(1);
    let install = Scbk::install_default();
    line.cable(move |heard, reply| {
        if heard.code != code::CHLNG {
            return delayed(reply);
        }
        let frame = Frame::parse(&heard.bytes).unwrap();
        let Command::Challenge(rnd_a) = Command::decode(frame.code, frame.data).unwrap() else { panic!() };
        let keys = SessionKeys::derive(&install, &rnd_a);
        let cryptogram = keys.client_cryptogram(&rnd_a, &[9; 8]);
        let block = SecurityBlock { kind: scs::CLIENT_CRYPTOGRAM, data: &[scs::KEY_DEFAULT] };
        let reply = Reply::ClientCryptogram { uid: [0; 8], rnd_b: [9; 8], cryptogram };
        vec![(5 * MS, reply_frame(0, heard.sequence, Some(block), &reply))]
    });
    line.run(5 * S);
    assert!(line.alarmed(Alarm::DefaultKeyOffered));
    assert!(line.sent(code::SCRYPT).is_empty());
    assert_eq!(line.state(), ReaderState::Connecting);
}

#[test]
fn attack_15_no_key_in_any_debug_text_or_error() {
    let secret = key(5);
    let digits = |text: &str| {
        let bytes = secret.expose();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let list = format!("{:?}", &bytes[..4]);
        let list = list.trim_matches(['[', ']']).to_owned();
        text.to_lowercase().contains(&hex[..8]) || text.contains(&list)
    };
    let settings = ReaderSettings::keyed(0, secret.clone());
    let command = ReaderCommand::RotateKey(secret.clone());
    let wire_command = Command::Keyset(secret.clone());
    let keys = SessionKeys::derive(&secret, &[1; 8]);
    let bus = Bus::new(BusSettings::new(9600), vec![settings.clone()], random()).unwrap();
    for text in [
        format!("{secret:?}"),
        format!("{settings:?}"),
        format!("{command:?}"),
        format!("{wire_command:?}"),
        format!("{keys:?}"),
        format!("{bus:?}"),
    ] {
        assert!(!digits(&text), "{text}");
    }
    // A trace shows that a key was set, and nothing of it.
    let header = Header { address: 0, direction: Direction::Command, sequence: 1, check: Check::Crc };
    let (mut data, mut out) = (Vec::new(), Vec::new());
    wire_command.encode_data(&mut data);
    encode(&mut out, header, None, code::KEYSET, &data);
    let text = wire::osdp::trace::describe(&Frame::parse(&out).unwrap());
    assert!(text.contains("KEYSET") && !digits(&text), "{text}");
}

#[test]
fn attack_16_no_fallback_to_the_checksum() {
    let with_key = ReaderSettings { check: Check::Checksum, ..ReaderSettings::keyed(3, key(0)) };
    let refused = Bus::new(BusSettings::new(9600), vec![with_key], random()).err();
    assert_eq!(refused, Some(SettingsError::ChecksumWithKey(3)));
    // A reader that refuses the CRC gets the CRC again, always.
    let mut line = Line::keyed(1);
    line.readers[0].check = Check::Checksum;
    line.run(20 * S);
    assert_eq!(line.state(), ReaderState::Offline, "what it says with a checksum does not count");
    assert!(line.heard.iter().all(|h| Frame::parse(&h.bytes).unwrap().header.check == Check::Crc));
}

#[test]
fn attack_17_a_cut_cable_is_noticed_within_8_s_and_a_swapped_reader_by_its_serial() {
    for (settings, limit) in
        [(BusSettings::new(9600), 8 * S), (BusSettings { offline_after: S, ..BusSettings::new(9600) }, S)]
    {
        let pinned = PinnedIdentity { vendor: [0xCA, 0xFE, 1], serial: 77 };
        let reader = ReaderSettings { pinned: Some(pinned), ..ReaderSettings::keyed(0, key(0)) };
        let mut line = Line::with(settings, vec![reader], vec![FakeReader::new(0, key(0))]).connected();
        line.readers[0].silent = true;
        let cut = line.now;
        assert!(line.run_for(10 * S, |e| matches!(e, EventKind::Offline { .. })));
        assert!(line.now - cut <= limit + 100 * MS, "{:?}", line.now - cut);
        // Another reader, with the right key.
        line.readers[0] = FakeReader::new(0, key(0));
        line.readers[0].identity.serial = 78;
        assert!(line.run_for(10 * S, |e| matches!(e, EventKind::Alarm { kind: Alarm::IdentityChanged(_), .. })));
    }
}

#[test]
fn attack_18_tamper_and_power_cycle_are_events() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.push_back(Reply::LocalStatus { tamper: true, power_failed: false });
    line.run(S);
    let edges = |line: &Line, active| {
        line.count(|e| matches!(e, EventKind::LocalStatus { tamper, .. } if tamper.edge && tamper.active == active))
    };
    assert_eq!(edges(&line, true), 1);
    // Opened, power-cycled, closed again: the lost session and the other edge are told.
    line.readers[0].tamper = false;
    line.readers[0].power_cycle();
    line.run(3 * S);
    assert_eq!(line.lost_sessions(), 1);
    assert_eq!(edges(&line, false), 1);
    assert!(!line.sent(code::LSTAT).is_empty(), "asked after the reconnect");
}

#[test]
fn attack_19_malformed_frames_neither_panic_nor_grow() {
    let mut line = Line::keyed(2).connected();
    let mut state = 7u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    line.cable(move |heard, reply| {
        let mut out: Vec<_> = (0..3u32)
            .map(|n| {
                let mut bytes: Vec<u8> = (0..200).map(|_| noise()).collect();
                // Headers that promise much, inside.
                bytes[20..26].copy_from_slice(&[0x53, 0x80 | heard.address, 0xA0, 0x05, 0x0F, 0xFF]);
                (MS * n, bytes)
            })
            .collect();
        out.extend(delayed(reply));
        out
    });
    line.run(20 * S);
    line.cable = None;
    line.run(15 * S);
    line.events.clear();
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert_eq!(line.state(), ReaderState::Secure);
    assert_eq!(line.cards(), 1);
}

#[test]
fn provisioning_refused_by_a_reader_outside_install_mode() {
    let mut line = Line::unprovisioned();
    line.run(S);
    line.bus.provision(line.now, first(), key(3), 60 * S).unwrap();
    line.run(5 * S);
    assert_eq!(line.count(|e| *e == EventKind::ProvisionFailed(ProvisionFailure::Refused)), 1);
    assert_eq!(line.count(|e| matches!(e, EventKind::CommandFailed { reason: CommandFailure::Removed, .. })), 0);
}
