//! What a sender of HL7 sends: streams of MLLP frames, messages in every charset, each view of them, and our answer to
//! each. The first byte chooses the charset that is supposed, the second where the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::hl7::mllp::{Framed, Framer, frame};
use wire::hl7::out::{AckOut, ack};
use wire::hl7::view::{
    AckCode, AppointmentStatus, Event, Header, Patient, Reply, Schedule, Visit, merges,
};
use wire::hl7::write::{Line, message};
use wire::hl7::{Charset, Code, Message, Place, Value};

const MAX: usize = 4096;

/// The zone of a peer that states none.
fn zone() -> chrono::FixedOffset {
    chrono::FixedOffset::east_opt(10_800).expect("three hours")
}

fn frames(bytes: &[u8], piece: usize) -> Vec<Framed> {
    let mut framer = Framer::new(MAX);
    let mut found = Vec::new();
    for mut chunk in bytes.chunks(piece.max(1)) {
        found.extend(std::iter::from_fn(|| framer.take(&mut chunk)));
        assert!(chunk.is_empty(), "all of it is taken");
    }
    found
}

fn look(read: &Message) {
    let _ = (Header::read(read), Patient::read(read), Visit::read(read), merges(read), Reply::read(read));
    for event in ["S12", "S15", "S26"] {
        let status = AppointmentStatus::of_event(event).expect("a known event");
        if let Ok(schedule) = Schedule::read(read, status) {
            let _ = schedule.starts.map(|at| at.to_utc(&zone()));
        }
    }
    let _ = Event::read(read).occurred.map(|at| at.to_utc(&zone()));
    let shown = format!("{read:?}");
    assert!(shown.len() < 300, "only form is shown");
    // Every text written again is the same text.
    for segment in read.segments().take(20) {
        for field in 3..12 {
            let Value::Text(text) = segment.value(field) else { continue };
            if text.is_empty() {
                continue;
            }
            let lines = [
                Line::new("MSH").put(9, "ADT").put(10, "1").put(12, "2.5.1").put(18, "UNICODE UTF-8"),
                Line::new("ZZZ").put(1, &text),
            ];
            let bytes = message(&lines, Charset::Utf8).expect("UTF-8 has every letter");
            let again = Message::parse(&bytes, 64 * MAX, Charset::Ascii).expect("what is written can be read");
            let segment = again.segment("ZZZ").expect("its segment");
            assert_eq!(segment.value(1), Value::Text(text), "a text comes back as itself");
        }
    }
}

fn one(bytes: &[u8], charset: Charset) {
    let header = Message::salvage(bytes).and_then(|read| Header::lenient(&read));
    let told = AckOut { code: AckCode::Error, error: Some((Code::DataType, Some(Place::of("PID", 7)))), advice: "x" };
    let answer = ack(header.as_ref(), told, "0011", domain::UtcMillis(0), &zone());
    assert!(answer.is_ascii() && !answer.contains(&0x0b) && !answer.contains(&0x1c), "an answer fits into its frame");
    assert_eq!(frames(&frame(&answer), 7), [Framed::Message(answer)]);
    if let Ok(read) = Message::parse(bytes, MAX, charset) {
        assert!(header.is_some(), "what can be read can be answered");
        look(&read);
    }
}

fuzz_target!(|data: &[u8]| {
    let [choice, cut, bytes @ ..] = data else { return };
    let charset = Charset::ALL[usize::from(*choice) % Charset::ALL.len()];
    let whole = frames(bytes, bytes.len());
    assert_eq!(whole, frames(bytes, usize::from(*cut % 61) + 1), "however it is cut");
    for framed in whole {
        if let Framed::Message(bytes) = framed {
            assert!(bytes.len() <= MAX);
            one(&bytes, charset);
        }
    }
    one(bytes, charset);
});
