//! The peripheral device against a panel written by hand on the codec: each rule of the link and of Secure Channel
//! that a reader must keep, named after the attack or pitfall it belongs to where there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use proptest::prelude::*;
use wire::osdp::command::{Command, OutputAction, OutputControl};
use wire::osdp::device::{CARDS_MAX, CardTag, Device, DeviceEvent, DeviceSettings, LOST_AFTER, QueueFull, Step};
use wire::osdp::frame::{self, Check, Direction, Frame, Header, SecurityBlock, scs};
use wire::osdp::reply::{CardBits, NakReason, Reply};
use wire::osdp::secure::{Scbk, Session, SessionKeys};

const TURNAROUND: Duration = Duration::from_millis(3);

fn key() -> Scbk {
    Scbk::from_hex("8f1a2b3c4d5e6f708192a3b4c5d6e7f9").unwrap()
}

fn device(settings: DeviceSettings) -> Device {
    let mut next = 0_u8;
    Device::new(
        settings,
        Box::new(move |bytes| {
            for byte in bytes {
                next = next.wrapping_mul(31).wrapping_add(17);
                *byte = next;
            }
        }),
    )
}

fn keyed() -> Device {
    device(DeviceSettings { key: Some(key()), ..DeviceSettings::new(5) })
}

fn card() -> CardBits {
    CardBits::new(26, vec![0x80, 0x80, 0x01, 0xC0]).unwrap()
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    reply: Reply,
    sequence: u8,
    block: Option<u8>,
    bytes: Vec<u8>,
}

/// A panel that says exactly what it is told to.
struct Panel {
    now: Duration,
    sequence: u8,
    session: Option<Session>,
    sent: Vec<u8>,
}

impl Panel {
    fn new() -> Self {
        Self { now: Duration::ZERO, sequence: 0, session: None, sent: Vec::new() }
    }

    fn header(&self) -> Header {
        Header { address: 5, direction: Direction::Command, sequence: self.sequence, check: Check::Crc }
    }

    fn step(&mut self) {
        self.sequence = self.sequence % 3 + 1;
    }

    /// Sends in the session if there is one, moves the sequence on, and returns the decoded answer.
    fn say(&mut self, device: &mut Device, command: &Command) -> Answer {
        let mut data = Vec::new();
        command.encode_data(&mut data);
        let header = self.header();
        self.sent.clear();
        match &mut self.session {
            Some(session) => session.seal(&mut self.sent, header, command.code(), &data),
            None => frame::encode(&mut self.sent, header, None, command.code(), &data),
        }
        self.step();
        let bytes = self.sent.clone();
        self.exchange(device, &bytes).expect("an answer")
    }

    fn say_block(&mut self, device: &mut Device, command: &Command, kind: u8, key_kind: u8) -> Answer {
        let mut data = Vec::new();
        command.encode_data(&mut data);
        let block = SecurityBlock { kind, data: &[key_kind] };
        let header = self.header();
        self.sent.clear();
        frame::encode(&mut self.sent, header, Some(block), command.code(), &data);
        self.step();
        let bytes = self.sent.clone();
        self.exchange(device, &bytes).expect("an answer")
    }

    /// Puts bytes on the line and waits for the answer, if any.
    fn exchange(&mut self, device: &mut Device, bytes: &[u8]) -> Option<Answer> {
        device.on_bytes(self.now, bytes);
        let answer = match device.next(self.now) {
            Step::WaitUntil(at) if at == self.now + TURNAROUND => {
                self.now = at;
                match device.next(at) {
                    Step::Send(bytes) => bytes.to_vec(),
                    other => panic!("{other:?}"),
                }
            }
            _ => return None,
        };
        assert_eq!(answer[0], frame::MARK, "one mark byte leads");
        let parsed = Frame::parse(&answer[1..]).unwrap();
        assert_eq!(parsed.header.direction, Direction::Reply);
        let mut data = Vec::new();
        match &mut self.session {
            Some(session) if parsed.mac.is_some() => session.open(&parsed, &mut data).unwrap(),
            _ => data.extend_from_slice(parsed.data),
        }
        Some(Answer {
            reply: Reply::decode(parsed.code, &data).unwrap(),
            sequence: parsed.header.sequence,
            block: parsed.security.map(|block| block.kind),
            bytes: answer.clone(),
        })
    }

    /// A handshake from sequence 0 with this key; the status byte is checked by the caller through the reply.
    fn handshake(&mut self, device: &mut Device, key: &Scbk, key_kind: u8) -> Answer {
        self.sequence = 0;
        self.session = None;
        let rnd_a = [0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7];
        let answer = self.say_block(device, &Command::Challenge(rnd_a), scs::CHALLENGE, key_kind);
        let Reply::ClientCryptogram { rnd_b, cryptogram, .. } = answer.reply else { return answer };
        let keys = SessionKeys::derive(key, &rnd_a);
        assert_eq!(answer.block, Some(scs::CLIENT_CRYPTOGRAM));
        if keys.client_cryptogram(&rnd_a, &rnd_b) != cryptogram {
            return answer;
        }
        let server = keys.server_cryptogram(&rnd_a, &rnd_b);
        let answer = self.say_block(device, &Command::ServerCryptogram(server), scs::SERVER_CRYPTOGRAM, key_kind);
        let Reply::InitialRmac(rmac) = answer.reply else { return answer };
        assert_eq!(answer.block, Some(scs::INITIAL_RMAC));
        self.session = Some(Session::new(keys, rmac));
        answer
    }
}

fn events(device: &mut Device) -> Vec<DeviceEvent> {
    std::iter::from_fn(|| device.poll_event()).collect()
}

fn secure() -> (Panel, Device) {
    let (mut panel, mut device) = (Panel::new(), keyed());
    panel.handshake(&mut device, &key(), scs::KEY_OWN);
    assert!(device.is_secure());
    assert_eq!(events(&mut device), [DeviceEvent::Found, DeviceEvent::Secure { install_key: false }]);
    (panel, device)
}

#[test]
fn a_card_travels_encrypted_in_the_session() {
    let (mut panel, mut device) = secure();
    let tag = device.present_card(panel.now, card()).unwrap();
    let answer = panel.say(&mut device, &Command::Poll);
    assert_eq!(answer.reply, Reply::Raw { reader: 0, format: 1, card: card() });
    assert_eq!(answer.block, Some(scs::REPLY_DATA));
    assert!(!answer.bytes.windows(4).any(|four| four == card().expose()));
    assert_eq!(events(&mut device), [DeviceEvent::CardSent(tag)]);
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
}

#[test]
fn reports_come_one_a_poll_card_first() {
    let (mut panel, mut device) = secure();
    device.set_tamper(true);
    device.set_input(0, true);
    device.set_input(0, false);
    device.press_keys(b"1234\r").unwrap();
    device.present_card(panel.now, card()).unwrap();
    let replies: Vec<Reply> = (0..6).map(|_| panel.say(&mut device, &Command::Poll).reply).collect();
    assert!(matches!(replies[0], Reply::Raw { .. }));
    assert!(matches!(&replies[1], Reply::Keypad { keys, .. } if keys.expose() == b"1234\r"));
    // Both edges of a pulse between two polls.
    assert_eq!(replies[2], Reply::Inputs(vec![1, 0, 0, 0]));
    assert_eq!(replies[3], Reply::Inputs(vec![0, 0, 0, 0]));
    assert_eq!(replies[4], Reply::LocalStatus { tamper: true, power_failed: false });
    assert_eq!(replies[5], Reply::Ack);
    assert_eq!(
        panel.say(&mut device, &Command::LocalStatus).reply,
        Reply::LocalStatus { tamper: true, power_failed: false }
    );
}

#[test]
fn attack_12_a_repeated_command_gets_the_stored_reply_and_is_not_carried_out_again() {
    let (mut panel, mut device) = secure();
    device.present_card(panel.now, card()).unwrap();
    let first = panel.say(&mut device, &Command::Poll);
    let repeated = panel.sent.clone();
    device.on_bytes(panel.now, &repeated);
    let Step::WaitUntil(at) = device.next(panel.now) else { panic!() };
    panel.now = at;
    assert_eq!(device.next(at), Step::Send(&first.bytes), "the same bytes");
    assert_eq!(device.stats().repeats, 1);
    // The chain of MACs has not moved twice.
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);

    let on = Command::Output(vec![OutputControl { output: 0, action: OutputAction::OnTimed, timer_100ms: 30 }]);
    panel.say(&mut device, &on);
    let repeated = panel.sent.clone();
    events(&mut device);
    panel.now += Duration::from_secs(2);
    device.on_bytes(panel.now, &repeated);
    assert!(matches!(device.next(panel.now + TURNAROUND), Step::Send(_)));
    let end = panel.now + Duration::from_secs(1);
    device.next(end);
    assert_eq!(events(&mut device), [DeviceEvent::Output { output: 0, on: false }], "not prolonged by the repeat");
}

#[test]
fn other_bytes_under_the_last_sequence_number_get_nak_4_and_change_nothing() {
    let (mut panel, mut device) = secure();
    panel.say(&mut device, &Command::Poll);
    let mut forged = Vec::new();
    let last = if panel.sequence == 1 { 3 } else { panel.sequence - 1 };
    frame::encode(&mut forged, Header { sequence: last, ..panel.header() }, None, 0x60, &[]);
    let answer = panel.exchange(&mut device, &forged).unwrap();
    assert_eq!(answer.reply, Reply::Nak(NakReason::Sequence));
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
}

#[test]
fn pitfall_04_sequence_0_restarts_the_link_and_ends_the_session() {
    let (mut panel, mut device) = secure();
    panel.session = None;
    panel.sequence = 0;
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
    assert!(!device.is_secure());
    assert_eq!(events(&mut device), [DeviceEvent::LinkRestarted, DeviceEvent::SessionLost]);
    // Sequence 0 may be repeated for as long as the panel likes (pitfall 3).
    panel.sequence = 0;
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
}

#[test]
fn a_freshly_started_device_refuses_a_sequence_it_never_began() {
    let (mut panel, mut device) = secure();
    device.restart();
    let answer = panel.say(&mut device, &Command::Poll);
    assert_eq!(answer.reply, Reply::Nak(NakReason::Sequence));
    assert_eq!(answer.block, None);
}

#[test]
fn a_device_with_a_key_tells_nothing_in_clear() {
    let (mut panel, mut device) = (Panel::new(), keyed());
    device.present_card(Duration::ZERO, card()).unwrap();
    device.press_keys(b"1").unwrap();
    device.set_tamper(true);
    for _ in 0..4 {
        assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
    }
    assert!(matches!(panel.say(&mut device, &Command::Id).reply, Reply::Identity(_)));
    assert!(matches!(panel.say(&mut device, &Command::Capabilities).reply, Reply::Capabilities(_)));
    for command in [
        Command::LocalStatus,
        Command::InputStatus,
        Command::Output(vec![OutputControl { output: 0, action: OutputAction::OnPermanent, timer_100ms: 0 }]),
        Command::Keyset(key()),
    ] {
        assert_eq!(panel.say(&mut device, &command).reply, Reply::Nak(NakReason::SecurityRequired), "{command:?}");
    }
    assert!(!events(&mut device).iter().any(|event| matches!(event, DeviceEvent::Output { .. })));
}

#[test]
fn a_command_in_clear_inside_a_session_is_refused_and_the_session_goes_on() {
    let (mut panel, mut device) = secure();
    let mut forged = Vec::new();
    let open = OutputControl { output: 0, action: OutputAction::OnPermanent, timer_100ms: 0 };
    let mut data = Vec::new();
    Command::Output(vec![open]).encode_data(&mut data);
    frame::encode(&mut forged, panel.header(), None, 0x68, &data);
    assert_eq!(panel.exchange(&mut device, &forged).unwrap().reply, Reply::Nak(NakReason::SecurityRequired));
    assert!(device.is_secure());
    assert_eq!(events(&mut device), []);
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
}

#[test]
fn one_wrong_mac_ends_the_session() {
    let (mut panel, mut device) = secure();
    let mut other = Session::new(SessionKeys::derive(&key(), &[1; 8]), [2; 16]);
    let mut forged = Vec::new();
    other.seal(&mut forged, panel.header(), 0x60, &[]);
    assert_eq!(panel.exchange(&mut device, &forged).unwrap().reply, Reply::Nak(NakReason::SecurityRequired));
    assert!(!device.is_secure());
    assert_eq!(device.stats().bad_macs, 1);
}

#[test]
fn a_panel_with_another_key_gets_no_session() {
    let (mut panel, mut device) = (Panel::new(), keyed());
    let other = Scbk::from_hex("0f1a2b3c4d5e6f708192a3b4c5d6e7f9").unwrap();
    // It sees that the reader's cryptogram is not of its key; if it goes on all the same:
    panel.handshake(&mut device, &other, scs::KEY_OWN);
    let answer =
        panel.say_block(&mut device, &Command::ServerCryptogram([9; 16]), scs::SERVER_CRYPTOGRAM, scs::KEY_OWN);
    assert_eq!(answer.bytes[1 + 5 + 2], 0xFF, "status of SCS_14: refused");
    assert!(!device.is_secure());
    // A proof without a challenge is no proof.
    let answer =
        panel.say_block(&mut device, &Command::ServerCryptogram([9; 16]), scs::SERVER_CRYPTOGRAM, scs::KEY_OWN);
    assert_eq!(answer.reply, Reply::Nak(NakReason::SecurityRequired));
}

#[test]
fn attack_04_the_installation_key_is_taken_in_install_mode_only() {
    let (mut panel, mut device) = (Panel::new(), keyed());
    let answer = panel.handshake(&mut device, &Scbk::install_default(), scs::KEY_DEFAULT);
    assert_eq!(answer.reply, Reply::Nak(NakReason::SecurityRequired));

    let mut device = self::device(DeviceSettings { install_mode: true, ..DeviceSettings::new(5) });
    panel.handshake(&mut device, &Scbk::install_default(), scs::KEY_DEFAULT);
    assert!(device.is_secure());
    assert_eq!(panel.say(&mut device, &Command::Keyset(key())).reply, Reply::Ack);
    // The session it was sent in goes on (SIA 060-16-02).
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
    assert!(events(&mut device).contains(&DeviceEvent::KeySet(key())));
    let answer = panel.handshake(&mut device, &Scbk::install_default(), scs::KEY_DEFAULT);
    assert_eq!(answer.reply, Reply::Nak(NakReason::SecurityRequired), "install mode is over");
    panel.handshake(&mut device, &key(), scs::KEY_OWN);
    assert!(device.is_secure());
}

#[test]
fn a_new_handshake_replaces_the_session_only_when_the_panel_has_proved_itself() {
    let (mut panel, mut device) = secure();
    let before = (panel.sequence, panel.session.clone());
    panel.session = None;
    let answer = panel.say_block(&mut device, &Command::Challenge([7; 8]), scs::CHALLENGE, scs::KEY_OWN);
    assert!(matches!(answer.reply, Reply::ClientCryptogram { .. }));
    panel.say_block(&mut device, &Command::ServerCryptogram([0; 16]), scs::SERVER_CRYPTOGRAM, scs::KEY_OWN);
    assert!(device.is_secure());
    panel.session = before.1;
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack, "the old session is whole");
}

#[test]
fn pitfall_11_a_restarted_panel_gets_a_session_from_a_reader_still_in_one() {
    let (_, mut device) = secure();
    let mut panel = Panel::new();
    panel.handshake(&mut device, &key(), scs::KEY_OWN);
    assert_eq!(panel.say(&mut device, &Command::Poll).reply, Reply::Ack);
    assert_eq!(device.stats().sessions, 2);
}

#[test]
fn pitfall_16_busy_is_plain_with_sequence_0_and_the_command_counts_when_it_comes_again() {
    let (mut panel, mut device) = secure();
    device.present_card(panel.now, card()).unwrap();
    device.set_busy(1);
    let answer = panel.say(&mut device, &Command::Poll);
    assert_eq!((answer.reply, answer.sequence, answer.block), (Reply::Busy, 0, None));
    assert_eq!(answer.bytes.len(), 1 + 8, "minimum length");
    let again = panel.sent.clone();
    assert!(matches!(panel.exchange(&mut device, &again).unwrap().reply, Reply::Raw { .. }));
}

#[test]
fn pitfall_27_id_and_cap_with_or_without_their_data_byte() {
    for data in [&[][..], &[0], &[0, 0, 0]] {
        for (code, sequence) in [(0x61, 0), (0x62, 1)] {
            let (mut panel, mut device) = (Panel::new(), keyed());
            if sequence == 1 {
                panel.say(&mut device, &Command::Poll);
            }
            let mut bytes = Vec::new();
            frame::encode(&mut bytes, Header { sequence, ..panel.header() }, None, code, data);
            let reply = panel.exchange(&mut device, &bytes).unwrap().reply;
            assert!(matches!(reply, Reply::Identity(_) | Reply::Capabilities(_)), "{code:#x} {data:?}");
        }
    }
}

#[test]
fn pitfall_12_any_number_of_mark_bytes_before_a_command() {
    for marks in [0, 1, 2, 50] {
        let (mut panel, mut device) = (Panel::new(), keyed());
        let mut bytes = vec![frame::MARK; marks];
        frame::encode(&mut bytes, panel.header(), None, 0x60, &[]);
        assert_eq!(panel.exchange(&mut device, &bytes).unwrap().reply, Reply::Ack);
    }
}

#[test]
fn commands_for_others_replies_and_most_broadcasts_are_not_answered() {
    let (mut panel, mut device) = (Panel::new(), keyed());
    let header = panel.header();
    for (header, code) in [
        (Header { address: 6, ..header }, 0x60),
        (Header { direction: Direction::Reply, ..header }, 0x40),
        (Header { address: 0x7F, ..header }, 0x60),
        (Header { address: 0x7F, ..header }, 0x76),
    ] {
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, header, None, code, &[]);
        assert_eq!(panel.exchange(&mut device, &bytes), None, "{header:?}");
    }
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, Header { address: 0x7F, ..header }, None, 0x61, &[0]);
    assert!(matches!(panel.exchange(&mut device, &bytes).unwrap().reply, Reply::Identity(_)));
}

#[test]
fn a_frame_with_a_wrong_crc_is_not_answered_and_its_repetition_is() {
    let (mut panel, mut device) = (Panel::new(), keyed());
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, panel.header(), None, 0x60, &[]);
    let mut broken = bytes.clone();
    broken[6] ^= 1;
    assert_eq!(panel.exchange(&mut device, &broken), None);
    panel.now += Duration::from_millis(200);
    assert_eq!(panel.exchange(&mut device, &bytes).unwrap().reply, Reply::Ack);
}

#[test]
fn a_checksum_panel_is_answered_with_a_checksum_in_clear() {
    let mut device = self::device(DeviceSettings::new(5));
    let mut panel = Panel::new();
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, Header { check: Check::Checksum, ..panel.header() }, None, 0x60, &[]);
    let answer = panel.exchange(&mut device, &bytes).unwrap();
    assert_eq!(Frame::parse(&answer.bytes[1..]).unwrap().header.check, Check::Checksum);
}

#[test]
fn comset_is_answered_at_the_old_settings_and_followed_after() {
    let (mut panel, mut device) = secure();
    let answer = panel.say(&mut device, &Command::Comset { address: 9, baud: 38400 });
    assert_eq!(answer.reply, Reply::Communication { address: 9, baud: 38400 });
    assert_eq!((device.settings().address, device.settings().baud), (9, 38400));
    assert!(events(&mut device).contains(&DeviceEvent::ComSet { address: 9, baud: 38400 }));
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, Header { address: 9, sequence: 0, ..panel.header() }, None, 0x60, &[]);
    assert_eq!(panel.exchange(&mut device, &bytes).unwrap().reply, Reply::Ack);

    let (mut panel, mut device) = secure();
    for bad in [Command::Comset { address: 0x7F, baud: 9600 }, Command::Comset { address: 5, baud: 1234 }] {
        assert_eq!(panel.say(&mut device, &bad).reply, Reply::Nak(NakReason::Unable));
    }
    assert_eq!(device.settings().address, 5);
}

#[test]
fn an_output_is_released_for_its_time_and_reported() {
    let (mut panel, mut device) = secure();
    let open = OutputControl { output: 0, action: OutputAction::OnTimed, timer_100ms: 30 };
    assert_eq!(panel.say(&mut device, &Command::Output(vec![open])).reply, Reply::Ack);
    assert_eq!(events(&mut device), [DeviceEvent::Output { output: 0, on: true }]);
    assert_eq!(panel.say(&mut device, &Command::OutputStatus).reply, Reply::Outputs(vec![1, 0, 0, 0]));
    let end = Duration::from_secs(4);
    device.next(end);
    assert_eq!(events(&mut device), [DeviceEvent::Output { output: 0, on: false }]);
    let nowhere = OutputControl { output: 4, action: OutputAction::OnTimed, timer_100ms: 30 };
    assert_eq!(
        panel.say(&mut device, &Command::Output(vec![open, nowhere])).reply,
        Reply::Nak(NakReason::Unable),
        "all or nothing"
    );
    assert_eq!(events(&mut device), []);
}

#[test]
fn a_device_that_hears_nothing_says_so_once_and_again_when_found() {
    let (mut panel, mut device) = secure();
    let lost = panel.now - TURNAROUND + LOST_AFTER;
    assert_eq!(device.next(panel.now), Step::WaitUntil(lost));
    device.next(lost);
    device.next(lost + LOST_AFTER);
    assert_eq!(events(&mut device), [DeviceEvent::Lost]);
    panel.now = lost + LOST_AFTER;
    panel.say(&mut device, &Command::Poll);
    assert_eq!(events(&mut device), [DeviceEvent::Found]);
}

#[test]
fn cards_wait_in_bounded_number_and_for_bounded_time() {
    let mut device = keyed();
    for tag in 1..=CARDS_MAX {
        assert_eq!(device.present_card(Duration::ZERO, card()), Ok(CardTag(tag as u64)));
    }
    assert_eq!(device.present_card(Duration::ZERO, card()), Err(QueueFull));
    device.next(device.settings().card_hold);
    assert_eq!(events(&mut device).len(), CARDS_MAX);
    assert!(device.present_card(Duration::ZERO, card()).is_ok());
}

#[test]
fn switched_off_and_on_it_has_no_session_and_its_outputs_are_off() {
    let (mut panel, mut device) = secure();
    let open = OutputControl { output: 2, action: OutputAction::OnPermanent, timer_100ms: 0 };
    panel.say(&mut device, &Command::Output(vec![open]));
    events(&mut device);
    device.restart();
    assert_eq!(events(&mut device), [DeviceEvent::SessionLost, DeviceEvent::Output { output: 2, on: false }]);
}

#[test]
fn debug_shows_no_key_and_no_card() {
    let (panel, mut device) = secure();
    device.present_card(panel.now, card()).unwrap();
    let shown = format!("{device:?} {:?}", DeviceEvent::KeySet(key())).to_lowercase();
    for secret in ["8f", "143, 26", "128, 128", "8080"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic_and_never_open_anything(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20),
        started: bool,
    ) {
        let (panel, mut device) = secure();
        if started {
            device.restart();
        }
        let mut now = panel.now;
        for piece in pieces {
            now += Duration::from_millis(5);
            device.on_bytes(now, &piece);
            let _ = device.next(now);
        }
        let opened = events(&mut device).iter().any(|event| matches!(event, DeviceEvent::Output { on: true, .. }));
        prop_assert!(!opened);
    }

    #[test]
    fn well_framed_rubbish_never_panics_and_never_opens_anything(
        frames in proptest::collection::vec(
            (0_u8..4, any::<u8>(), proptest::option::of(0x10_u8..0x1A), proptest::collection::vec(any::<u8>(), 0..40)),
            0..30,
        ),
    ) {
        let (panel, mut device) = secure();
        let mut now = panel.now;
        for (sequence, code, block, data) in frames {
            now += Duration::from_millis(5);
            let mut bytes = Vec::new();
            let block = block.map(|kind| SecurityBlock { kind, data: &[1] });
            frame::encode(&mut bytes, Header { sequence, ..panel.header() }, block, code, &data);
            device.on_bytes(now, &bytes);
            let _ = device.next(now + TURNAROUND);
        }
        let opened = events(&mut device).iter().any(|event| matches!(event, DeviceEvent::Output { on: true, .. }));
        prop_assert!(!opened);
    }

    #[test]
    fn commands_cut_anywhere_give_the_same_answer(cut in 1_usize..8) {
        let (mut panel, mut device) = (Panel::new(), keyed());
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, panel.header(), None, 0x60, &[]);
        let (head, tail) = bytes.split_at(cut.min(bytes.len() - 1));
        prop_assert_eq!(panel.exchange(&mut device, head), None);
        prop_assert_eq!(panel.exchange(&mut device, tail).unwrap().reply, Reply::Ack);
    }
}
