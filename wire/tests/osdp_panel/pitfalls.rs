//! One test for each pitfall that users of other implementations reported, numbered as in the
//! project's list. Those of the serial adapter (28 to 30) are tested where ports are opened.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wire::osdp::command::{Command, Opaque, TextControl, code};
use wire::osdp::frame::{Check, Direction, Header, SecurityBlock, encode, scs};
use wire::osdp::panel::{
    Alarm, BusSettings, CommandError, CommandFailure, EventKind, ReaderCommand, ReaderSettings, ReaderState, SessionEnd,
};
use wire::osdp::reply::{Capability, CardBits, Characters, NakReason, Reply};

use crate::behaviour::{green, open_relay};
use crate::peer::{FakeReader, Line, MS, POLL, S, card, card26, delayed, first, key, nth, reply_frame};

#[test]
fn pitfall_01_no_reply_is_repeated_as_identical_bytes() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.push_back(card26());
    let count = Cell::new(0);
    // The reply with the card is lost.
    line.cable(move |_, reply| {
        count.set(count.get() + 1);
        if (2..=3).contains(&count.get()) { Vec::new() } else { delayed(reply) }
    });
    line.run(3 * S);
    let polls = line.sent(POLL);
    assert_eq!(polls[1].bytes, polls[2].bytes, "same sequence, same MAC");
    assert_eq!(polls[1].bytes, polls[3].bytes);
    assert_ne!(polls[3].bytes, polls[4].bytes);
    assert!(polls[2].at - polls[1].at >= 200 * MS);
    assert_eq!(line.cards(), 1, "the reader's stored reply brought the card");
    assert_eq!(line.lost_sessions(), 0);
}

#[test]
fn pitfall_02_a_reply_at_205_ms_answers_nothing_else() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.extend([card26(), digits()]);
    let count = Cell::new(0);
    line.cable(move |_, reply| {
        count.set(count.get() + 1);
        let late = if count.get() % 7 == 2 { 205 * MS } else { 5 * MS };
        reply.into_iter().map(|r| (late, r)).collect()
    });
    line.run(20 * S);
    assert_eq!(line.lost_sessions(), 0, "no loop of mismatches");
    assert_eq!(line.cards(), 1);
    assert_eq!(line.count(|e| matches!(e, EventKind::Keypad { .. })), 1);
    assert!(line.stats().unexpected > 0 && line.stats().retries > 0);
}

fn digits() -> Reply {
    crate::peer::digits(b"1")
}

#[test]
fn pitfall_03_a_reader_that_boots_later_is_found_soon() {
    let mut line = Line::keyed(1);
    line.readers[0].silent = true;
    line.run(6 * S);
    assert!(line.heard.iter().all(|h| h.sequence == 0 && h.code == POLL), "sequence 0 is repeated");
    line.readers[0].silent = false;
    let there = line.now;
    assert!(line.run_for(5 * S, |e| matches!(e, EventKind::Secure)));
    assert!(line.now - there < 1500 * MS, "{:?}", line.now - there);
}

#[test]
fn pitfall_04_sequence_0_in_mid_session_restarts_the_link() {
    let mut line = Line::keyed(1).connected();
    let once = Cell::new(true);
    line.cable(move |_, reply| {
        if once.replace(false) {
            return vec![(5 * MS, reply_frame(0, 0, None, &Reply::Ack))];
        }
        delayed(reply)
    });
    line.run(S);
    assert_eq!(line.count(|e| *e == EventKind::SessionLost(SessionEnd::Restarted)), 1);
    assert_eq!(line.sent(code::CHLNG)[0].sequence, 0);
    assert_eq!(line.state(), ReaderState::Secure);
    assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 0);
}

#[test]
fn pitfall_05_nak_4_5_6_resynchronise_without_going_offline() {
    for reason in [NakReason::Sequence, NakReason::SecurityUnsupported, NakReason::SecurityRequired] {
        let mut line = Line::keyed(1).connected();
        let once = Cell::new(true);
        line.cable(move |heard, reply| {
            if once.replace(false) {
                return vec![(5 * MS, reply_frame(0, heard.sequence, None, &Reply::Nak(reason)))];
            }
            delayed(reply)
        });
        let before = line.now;
        assert!(line.run_for(2 * S, |e| matches!(e, EventKind::Secure)), "{reason:?}");
        assert!(line.now - before < 300 * MS);
        assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 0);
    }
    // In clear.
    let mut line = Line::insecure().online();
    line.readers[0].scripted.push_back((POLL, Reply::Nak(NakReason::Sequence)));
    line.run(S);
    assert!(line.heard.iter().any(|h| h.sequence == 0));
    assert_eq!(line.state(), ReaderState::Insecure);
}

#[test]
fn pitfall_06_failures_over_hours_do_not_add_up() {
    let mut line = Line::keyed(1).connected();
    let count = Cell::new(0u32);
    line.cable(move |_, reply| {
        count.set(count.get() + 1);
        if count.get().is_multiple_of(20) { Vec::new() } else { delayed(reply) }
    });
    line.run(120 * S);
    assert!(line.stats().timeouts > 100, "{}", line.stats().timeouts);
    assert_eq!(line.events, []);
}

#[test]
fn pitfall_07_online_until_8_s_then_tried_each_second_then_each_5_s() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].silent = true;
    line.run(7900 * MS);
    assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 0);
    line.run(200 * MS);
    assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 1);
    line.run(100 * S);
    let gaps: Vec<_> = line.heard.windows(2).map(|w| w[1].at - w[0].at).collect();
    assert!(gaps.iter().all(|gap| *gap < 5300 * MS));
    assert!(gaps[4..8].iter().all(|gap| *gap < 1300 * MS));
    assert!(gaps.last().unwrap() > &(4900 * MS));
    assert_eq!(line.count(|e| matches!(e, EventKind::Offline { .. })), 1, "told once");
}

#[test]
fn pitfall_08_one_bad_crc_keeps_the_card() {
    type Spoil = fn(Vec<u8>) -> Vec<Vec<u8>>;
    let spoils: [Spoil; 5] = [
        // One bit.
        |mut reply| {
            reply[6] ^= 0x10;
            vec![reply]
        },
        // A stray byte in front, looking like a start.
        |reply| vec![[&[0x53][..], &reply].concat()],
        // A byte lost.
        |mut reply| {
            reply.remove(7);
            vec![reply]
        },
        // Cut off.
        |mut reply| {
            reply.truncate(9);
            vec![reply]
        },
        // A foreign frame first.
        |reply| vec![reply_frame(55, 1, None, &Reply::Ack), reply],
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut line = Line::keyed(1).connected();
        line.readers[0].events.push_back(card26());
        let count = Cell::new(0);
        line.cable(move |_, reply| {
            count.set(count.get() + 1);
            match reply {
                Some(reply) if count.get() == 2 => spoil(reply).into_iter().map(|r| (5 * MS, r)).collect(),
                reply => delayed(reply),
            }
        });
        line.run(S);
        assert_eq!(line.cards(), 1, "spoil {number}");
        assert_eq!(line.events.len(), 1, "spoil {number}: {:?}", line.events);
        assert!(line.stats().turnaround_max.unwrap() < 200 * MS);
    }
}

#[test]
fn pitfall_09_one_dead_reader_leaves_the_others_their_pace() {
    let pace = |dead: usize| {
        let mut line = Line::keyed(8).connected();
        for reader in &mut line.readers[..dead] {
            reader.silent = true;
        }
        line.run(10 * S);
        let polls = line.heard.iter().filter(|h| usize::from(h.address) >= dead).count();
        assert_eq!(line.lost_sessions(), dead, "only theirs");
        polls as f64 / (8 - dead) as f64
    };
    let (none, one, four) = (pace(0), pace(1), pace(4));
    assert!(one > 0.8 * none, "{one} of {none}");
    assert!(four > 0.8 * none, "{four} of {none}");
    // Never seen at all: nothing is known of its pace.
    let configured = (0..8).map(|n| ReaderSettings::keyed(n, key(n))).collect();
    let readers = (1..8).map(|n| FakeReader::new(n, key(n))).collect();
    let mut line = Line::with(BusSettings::new(115_200), configured, readers);
    line.run(3 * S);
    line.heard.clear();
    line.run(10 * S);
    let others = line.heard.iter().filter(|h| h.address > 0).count() as f64 / 7.0;
    assert!(others > 0.8 * none, "{others} of {none}");
    let dead_slots = line.heard.iter().filter(|h| h.address == 0).count();
    assert!(dead_slots <= 10, "at most one slot a second: {dead_slots}");
}

#[test]
fn pitfall_09_many_absent_readers_together_take_at_most_a_fifth_of_the_line() {
    let configured = (0..8).map(|n| ReaderSettings::keyed(n, key(n))).collect();
    let readers = (6..8).map(|n| FakeReader::new(n, key(n))).collect();
    let mut line = Line::with(BusSettings::new(115_200), configured, readers);
    line.run(3 * S);
    line.heard.clear();
    line.run(10 * S);
    let absent = line.heard.iter().filter(|h| h.address < 6).count();
    let share = absent as f64 * 0.2 / 10.0;
    assert!(share <= 0.21, "{share}");
    assert!(absent > 5, "and are still looked for");
}

#[test]
fn pitfall_10_a_power_cycle_of_one_reader_leaves_the_others_sessions() {
    let mut line = Line::keyed(3).connected();
    for _ in 0..3 {
        line.readers[1].power_cycle();
        line.run(2 * S);
    }
    assert!(line.events.iter().all(|e| e.reader == nth(1)), "{:?}", line.events);
    assert_eq!(line.lost_sessions(), 3);
    assert_eq!(line.count(|e| matches!(e, EventKind::Secure)), 3);
}

#[test]
fn pitfall_11_a_cable_put_back_gives_a_session_within_2_s_of_the_first_reply() {
    for baud in [9600, 115_200] {
        let configured = (0..16).map(|n| ReaderSettings::keyed(n, key(n))).collect();
        let readers = (0..16).map(|n| FakeReader::new(n, key(n))).collect();
        let mut line = Line::with(BusSettings::new(baud), configured, readers);
        line.run(30 * S);
        line.events.clear();
        line.readers[3].silent = true;
        line.run(30 * S);
        line.readers[3].silent = false;
        assert!(line.run_for(6 * S, |e| *e == EventKind::Online));
        let back = line.now;
        assert!(line.run_for(6 * S, |e| matches!(e, EventKind::Secure)));
        assert!(line.now - back < 2 * S, "{baud}: {:?}", line.now - back);
    }
    // The panel restarts; the reader still believes in the old session.
    let mut line = Line::keyed(1).connected();
    let reader = line.readers.remove(0);
    let configured = vec![ReaderSettings::keyed(0, key(0))];
    let mut line = Line::with(BusSettings::new(115_200), configured, vec![reader]);
    assert!(line.run_for(2 * S, |e| matches!(e, EventKind::Secure)));
}

#[test]
fn pitfall_12_mark_bytes_are_accepted_in_any_number_and_not_needed() {
    let mut line = Line::keyed(1).connected();
    let count = Cell::new(0usize);
    line.cable(move |_, reply| {
        count.set((count.get() + 1) % 9);
        reply.into_iter().map(|r| (5 * MS, [vec![0xFF; count.get()], r].concat())).collect()
    });
    line.readers[0].events.push_back(card26());
    line.run(5 * S);
    assert_eq!(line.cards(), 1);
    assert_eq!(line.stats().retries, 0);
    assert_eq!(line.bus.noise_bytes(), 0);
}

#[test]
fn pitfall_13_own_transmission_echoed_back_is_skipped() {
    let mut line = Line::keyed(2).connected();
    line.cable(|heard, reply| {
        let mut out = vec![(MS / 2, heard.bytes.clone())];
        out.extend(delayed(reply));
        out
    });
    line.readers[0].events.push_back(card26());
    line.run(5 * S);
    assert_eq!(line.cards(), 1);
    assert_eq!((line.stats().retries, line.stats().unexpected), (0, 0));
}

#[test]
fn pitfall_14_frames_split_and_glued_anywhere_read_the_same() {
    for size in 1..40usize {
        let mut line = Line::keyed(1).connected();
        line.readers[0].events.push_back(card26());
        line.cable(move |_, reply| {
            let Some(reply) = reply else { return Vec::new() };
            // Another reader's frame glued in front.
            let all = [reply_frame(9, 2, None, &Reply::Ack), reply].concat();
            all.chunks(size).zip(0u32..).map(|(chunk, n)| (5 * MS + MS * n / 4, chunk.to_vec())).collect()
        });
        line.run(S);
        assert_eq!(line.cards(), 1, "chunks of {size}");
        assert_eq!(line.stats().check_errors, 0);
    }
    // A garbage length ends with the character gap, not with its 1440 bytes.
    let mut line = Line::keyed(1).connected();
    let once = Cell::new(true);
    line.cable(move |_, reply| {
        let mut out = Vec::new();
        if once.replace(false) {
            out.push((2 * MS, vec![0x53, 0x80, 0xA0, 0x05, 0x04]));
            out.extend(reply.map(|r| (5 * MS, r)));
            return out;
        }
        delayed(reply)
    });
    line.readers[0].events.push_back(card26());
    let before = line.now;
    assert!(line.run_for(S, |e| matches!(e, EventKind::Card { .. })));
    assert!(line.now - before < 60 * MS, "{:?}", line.now - before);
}

#[test]
fn pitfall_15_replies_from_elsewhere_are_dropped_and_two_at_one_address_alarm() {
    let mut line = Line::keyed(1).connected();
    line.cable(|heard, reply| {
        let mut out = vec![(2 * MS, reply_frame(77, heard.sequence, None, &card26()))];
        out.extend(delayed(reply));
        out
    });
    line.run(5 * S);
    assert_eq!((line.cards(), line.events.len()), (0, 0));
    assert!(line.bus.foreign_frames() > 100);
    // Two readers with one address: each reply is a mixture.
    let mut line = Line::keyed(1).connected();
    line.cable(|_, reply| {
        let mixed = reply.map(|r| r.iter().enumerate().map(|(n, b)| if n > 5 { b & 0xA5 } else { *b }).collect());
        delayed(mixed)
    });
    line.run(5 * S);
    assert!(line.alarmed(Alarm::AddressConflict));
}

#[test]
fn pitfall_16_busy_repeats_the_same_command() {
    // At connect, in the handshake, and in session.
    let mut line = Line::keyed(1);
    let busy = Rc::new(RefCell::new(vec![POLL, code::CHLNG, code::SCRYPT, code::ID, POLL, POLL]));
    line.cable(move |heard, reply| {
        let mut busy = busy.borrow_mut();
        if busy.first() == Some(&heard.code) {
            busy.remove(0);
            return vec![(5 * MS, reply_frame(0, 0, None, &Reply::Busy))];
        }
        delayed(reply)
    });
    line.run(2 * S);
    assert_eq!(line.state(), ReaderState::Secure);
    assert_eq!(line.stats().busy, 6);
    for code in [code::CHLNG, code::SCRYPT, code::ID] {
        let sent = line.sent(code);
        assert_eq!(sent[0].bytes, sent[1].bytes, "same sequence, same RND.A");
    }
    assert_eq!(line.stats().sessions, 1);
    assert!(line.events.iter().all(|e| !matches!(e.kind, EventKind::Alarm { .. })));
}

#[test]
fn pitfall_17_checksum_readers_only_by_configuration_and_only_in_clear() {
    let settings = ReaderSettings { check: Check::Checksum, ..ReaderSettings::insecure(0, "the test", "the end") };
    let mut reader = FakeReader::new(0, key(0));
    reader.check = Check::Checksum;
    let mut line = Line::with(BusSettings::new(9600), vec![settings], vec![reader]).online();
    line.readers[0].events.push_back(card26());
    line.run(S);
    assert_eq!(line.cards(), 1);
    let crc = Line::insecure();
    let mut line = crc;
    line.run(S);
    assert!(line.heard.iter().all(|h| h.bytes[4] & 4 != 0), "CRC unless told otherwise");
}

#[test]
fn pitfall_18_the_panel_never_sends_encrypted_frames_without_data() {
    // (That it tolerates them from a reader is tested in the Secure Channel codec.)
    let mut line = Line::keyed(1).connected();
    line.order(ReaderCommand::LocalStatus);
    line.order(green());
    line.run(S);
    for heard in &line.heard {
        let empty = matches!(heard.code, POLL | code::LSTAT);
        assert_eq!(heard.scs, Some(if empty { scs::COMMAND } else { scs::COMMAND_DATA }), "{:#04x}", heard.code);
    }
}

#[test]
fn pitfall_19_the_rmac_status_byte_does_not_decide_unless_it_refuses() {
    for (status, secure) in [(0, true), (1, true), (0xFF, false)] {
        let mut line = Line::keyed(1);
        line.readers[0].rmac_status = status;
        line.run(S);
        assert_eq!(line.state() == ReaderState::Secure, secure, "{status}");
        assert_eq!(line.alarmed(Alarm::HandshakeRefused), !secure);
    }
    // A wrong R-MAC with a friendly status is refused.
    let mut line = Line::keyed(1);
    line.cable(|heard, reply| {
        if heard.code != code::SCRYPT {
            return delayed(reply);
        }
        let block = SecurityBlock { kind: scs::INITIAL_RMAC, data: &[1] };
        vec![(5 * MS, reply_frame(0, heard.sequence, Some(block), &Reply::InitialRmac([5; 16])))]
    });
    line.run(3 * S);
    assert_ne!(line.state(), ReaderState::Secure);
}

#[test]
fn pitfall_20_unasked_replies_to_a_poll_are_events_or_nothing() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].events.extend([
        Reply::Inputs(vec![1, 0]),
        Reply::Outputs(vec![1]),
        Reply::Readers(vec![0]),
        Reply::Manufacturer { vendor: [1, 2, 3], data: Opaque(vec![9]) },
        digits(),
        Reply::LocalStatus { tamper: false, power_failed: true },
        Reply::Other { code: 0x7A, data: Opaque(vec![0; 7]) },
        Reply::Other { code: 0xB1, data: Opaque(vec![]) },
    ]);
    line.run(2 * S);
    assert_eq!(line.events.len(), 6, "{:?}", line.events);
    let EventKind::Inputs(levels) = &line.events[0].kind else { panic!() };
    assert_eq!((levels.active, levels.edges, levels.count), (1, 1, 2));
    assert_eq!(line.state(), ReaderState::Secure);
    // OSTATR in answer to OUT confirms it.
    line.readers[0].scripted.push_back((code::OUT, Reply::Outputs(vec![1])));
    let id = line.order(open_relay());
    line.run(S);
    assert!(line.done(id));
}

#[test]
fn pitfall_21_the_first_frame_is_a_poll() {
    for mut line in [Line::keyed(1), Line::insecure()] {
        line.run(S);
        assert_eq!((line.heard[0].code, line.heard[0].sequence), (POLL, 0));
    }
    // And a reader that refuses polls in clear connects all the same.
    let mut line = Line::keyed(1);
    line.readers[0].strict = true;
    line.run(S);
    assert_eq!(line.state(), ReaderState::Secure);
}

#[test]
fn pitfall_22_a_receive_buffer_of_64_is_obeyed() {
    let mut line = Line::keyed(1);
    line.readers[0].capabilities.retain(|c| c.function != 10);
    line.readers[0].capabilities.push(Capability { function: 10, compliance: 64, count: 0 });
    line.run(S);
    let text = |length| {
        let text = vec![b'x'; length];
        ReaderCommand::Text(TextControl { reader: 0, seconds: None, row: 1, column: 1, text })
    };
    let (short, long) = (line.order(text(20)), line.order(text(60)));
    line.run(S);
    assert!(line.done(short));
    let failed = EventKind::CommandFailed { id: long, reason: CommandFailure::TooLong };
    assert_eq!(line.count(|e| *e == failed), 1);
    assert!(line.heard.iter().all(|h| h.bytes.len() <= 64));
    assert_eq!(line.state(), ReaderState::Secure);
}

#[test]
fn pitfall_23_raw_bits_are_left_justified_with_a_little_endian_length() {
    for (bits, bytes) in [
        (26u16, vec![0x2B, 0x40, 0x55, 0xC0]),
        (34, vec![0x80, 0x01, 0x02, 0x03, 0x40]),
        (37, vec![0x11, 0x22, 0x33, 0x44, 0x58]),
        (56, vec![0x04, 1, 2, 3, 4, 5, 6]),
        (300, vec![0xAA; 38]),
    ] {
        let mut data = Vec::new();
        card(bits, &bytes).encode_data(&mut data);
        assert_eq!(data[2..4], bits.to_le_bytes());
        assert_eq!(data[4..], bytes);
        let Reply::Raw { card, .. } = Reply::decode(0x50, &data).unwrap() else { panic!() };
        assert_eq!((card.bits(), card.expose()), (bits, &bytes[..]));
        // Padding after the card is cut, a card cut short is refused.
        data.push(0);
        assert!(Reply::decode(0x50, &data).is_ok());
        data.truncate(4 + bytes.len() - 1);
        assert!(Reply::decode(0x50, &data).is_err());
    }
    assert!(CardBits::new(26, vec![0; 5]).is_none());
    // FMT is deprecated and read leniently.
    let Reply::Formatted { characters, .. } = Reply::decode(0x51, b"\x00\x00\x0912345").unwrap() else { panic!() };
    assert_eq!(characters, Characters::new(b"12345".to_vec()));
}

#[test]
fn pitfall_24_comset_is_found_at_either_speed_and_rolled_back() {
    let set = ReaderCommand::SetCommunication { address: 5, baud: 9600 };
    // Done and told.
    let mut line = Line::keyed(1).connected();
    let id = line.order(set.clone());
    line.run(3 * S);
    assert!(line.done(id));
    assert_eq!(line.count(|e| *e == EventKind::Communication { address: 5, baud: 9600 }), 1);
    assert_eq!((line.baud, line.state()), (9600, ReaderState::Secure));
    let sent = line.sent(code::COMSET)[0].clone();
    let after = line.heard.iter().find(|h| h.at > sent.at).unwrap();
    assert_eq!(after.sequence, 0, "the sequence begins anew");
    assert!(after.at - sent.at >= 200 * MS, "time to settle");

    // Done, but the reply got lost.
    let mut line = Line::keyed(1).connected();
    line.cable(|heard, reply| if heard.code == code::COMSET { Vec::new() } else { delayed(reply) });
    let id = line.order(set.clone());
    line.run(10 * S);
    assert!(line.done(id), "{:?}", line.events);
    assert_eq!(line.state(), ReaderState::Secure);

    // Said and not done: found at the old place.
    let mut line = Line::keyed(1).connected();
    line.readers[0].scripted.push_back((code::COMSET, Reply::Communication { address: 5, baud: 9600 }));
    let id = line.order(set.clone());
    line.run(10 * S);
    let back = EventKind::CommandFailed { id, reason: CommandFailure::RolledBack };
    assert_eq!(line.count(|e| *e == back), 1, "{:?}", line.events);
    assert_eq!((line.baud, line.state()), (115_200, ReaderState::Secure));

    // Refused: nothing changes.
    let mut line = Line::keyed(1).connected();
    line.readers[0].scripted.push_back((code::COMSET, Reply::Nak(NakReason::Unable)));
    let id = line.order(set.clone());
    line.run(2 * S);
    let refused = EventKind::CommandFailed { id, reason: CommandFailure::Refused(NakReason::Unable) };
    assert_eq!(line.count(|e| *e == refused), 1);
    assert_eq!((line.baud, line.lost_sessions()), (115_200, 0));

    // Never a speed that cuts off the others, nor a taken address.
    let mut line = Line::keyed(2).connected();
    let taken = ReaderCommand::SetCommunication { address: 1, baud: 115_200 };
    assert_eq!(line.bus.command(line.now, first(), set), Err(CommandError::BadCommunication));
    assert_eq!(line.bus.command(line.now, first(), taken), Err(CommandError::BadCommunication));
    let id = line.order(ReaderCommand::SetCommunication { address: 9, baud: 115_200 });
    line.run(3 * S);
    assert!(line.done(id));
    assert_eq!(line.bus.readers().next().unwrap().1, 9);
}

#[test]
fn pitfall_25_discovery_asks_everybody_first_and_can_be_cancelled() {
    use wire::osdp::scan::{Scan, ScanStep};
    // One reader at 38400, address 113: found by the broadcast at the third speed.
    let mut scan = Scan::new(&wire::osdp::BAUD_RATES);
    let mut reader = FakeReader::new(113, key(0));
    let (mut now, mut baud, mut asked) = (S, 0, 0);
    let found = loop {
        if let Some(found) = scan.found().first() {
            break *found;
        }
        match scan.next(now) {
            ScanStep::SetBaud(speed) => baud = speed,
            ScanStep::WaitUntil(until) => now = until,
            ScanStep::Send(bytes) => {
                asked += 1;
                let start = bytes.iter().position(|&b| b != 0xFF).unwrap();
                let mut frame = bytes[start..].to_vec();
                assert_eq!(frame[1], 0x7F, "everybody first");
                if baud == 38_400 {
                    // A reader answers a broadcast with its own address.
                    frame[1] = 113;
                    let end = frame.len() - 2;
                    let crc = wire::osdp::frame::crc16(&frame[..end]).to_le_bytes();
                    frame[end..].copy_from_slice(&crc);
                    let reply = reader.hear(&wire::osdp::frame::Frame::parse(&frame).unwrap()).unwrap();
                    now += 10 * MS;
                    scan.on_bytes(now, &reply);
                }
            }
            ScanStep::Finished => panic!("not found"),
        }
    };
    assert_eq!((found.address, found.baud), (113, 38_400));
    assert_eq!(found.identity.unwrap().serial, 77);
    assert!(asked <= 3);
    assert!(now - S < S, "not 152 s: {:?}", now - S);
    let (done, of) = scan.progress();
    assert!(done < of && of >= 6 * 127);
    scan.cancel();
    assert_eq!(scan.next(now), ScanStep::Finished);
}

#[test]
fn pitfall_26_a_tamper_edge_is_not_overwritten_by_the_next_status() {
    let mut line = Line::keyed(1).connected();
    let status = |tamper| Reply::LocalStatus { tamper, power_failed: false };
    line.readers[0].events.extend([status(true), status(false)]);
    line.run(S);
    let seen: Vec<_> = line
        .events
        .iter()
        .filter_map(|e| match e.kind {
            EventKind::LocalStatus { tamper, .. } => Some((tamper.active, tamper.edge)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [(true, true), (false, true)]);
    // Opened while away: LSTAT after the reconnect tells it.
    line.readers[0].silent = true;
    line.run(10 * S);
    line.readers[0].silent = false;
    line.readers[0].power_cycle();
    line.readers[0].tamper = true;
    line.events.clear();
    line.run(10 * S);
    assert_eq!(line.count(|e| matches!(e, EventKind::LocalStatus { tamper, .. } if tamper.active && tamper.edge)), 1);
}

#[test]
fn pitfall_27_id_and_cap_with_or_without_their_data_byte_decode() {
    // (That the simulated reader answers them is tested with the device role.)
    for data in [&[][..], &[0], &[0, 1, 2]] {
        assert_eq!(Command::decode(code::ID, data), Ok(Command::Id));
        assert_eq!(Command::decode(code::CAP, data), Ok(Command::Capabilities));
    }
    let mut out = Vec::new();
    let header = Header { address: 0, direction: Direction::Command, sequence: 0, check: Check::Crc };
    encode(&mut out, header, None, code::ID, &[0]);
    assert_eq!(out[..7], [0x53, 0x00, 0x09, 0x00, 0x04, 0x61, 0x00]);
}

#[test]
fn commands_are_failed_not_kept_when_the_session_ends() {
    let mut line = Line::keyed(1).connected();
    line.readers[0].silent = true;
    let ids = [line.order(green()), line.order(ReaderCommand::LocalStatus)];
    line.run(12 * S);
    for id in ids {
        assert_eq!(line.count(|e| matches!(e, EventKind::CommandFailed { id: i, .. } if *i == id)), 1);
    }
    line.readers[0].silent = false;
    line.run(10 * S);
    assert_eq!(line.readers[0].done.iter().filter(|c| matches!(c, Command::Led(_))).count(), 0);
}
