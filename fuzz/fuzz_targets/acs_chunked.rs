//! A script of frames, true and false, for a session of either role: in pieces of any size it says and does the same as
//! in one, nothing panics, and neither memory nor time goes beyond what is promised.
#![no_main]

use std::alloc::System;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tapward_fuzz::within;
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Now = Now { mono: Duration::from_secs(1), wall: domain::UtcMillis(1_795_241_730_000) };

/// Our samples, one of each message at least.
static SAMPLES: LazyLock<Vec<Msg>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link-samples");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the samples").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let all: Vec<Msg> =
        files.iter().map(|path| read(&std::fs::read(path).expect("a sample")).expect("a message")).collect();
    assert!(all.len() >= 17);
    all
});

fn framed(document: &[u8]) -> Vec<u8> {
    [&(document.len() as u32).to_be_bytes()[..], document].concat()
}

/// Digits of a durable message's number: a number may have zeros in front.
const DIGITS: usize = 19;

/// A frame that a step says, and where the number in it stands; nothing for what a peer of this role would not say.
type Template = Option<(Vec<u8>, Option<usize>)>;

/// For a peer of either role, what each step below 200 says.
static TEMPLATES: LazyLock<[Vec<Template>; 2]> =
    LazyLock::new(|| [Role::Acs, Role::Gw].map(|peer| (0..200).map(|step| template(step, peer)).collect()));

fn template(step: u8, peer: Role) -> Template {
    let mut msg = SAMPLES[usize::from(step) % SAMPLES.len()].clone();
    if msg.body.kind().from().is_some_and(|from| from != peer) && step % 16 != 0 {
        return None;
    }
    if let Some((_, number)) = &mut msg.stream_seq {
        *number = 1_111_111_111_111_111_111;
    }
    match &mut msg.body {
        Body::Hello(hello) | Body::Welcome(Welcome { hello, .. }) => {
            hello.role = peer;
            hello.received.clear();
        }
        // What the session has, or a little more.
        Body::Heartbeat(Heartbeat { received, .. }) | Body::Ack(received) => {
            *received = vec![Received::of(peer.other().sends(), u64::from(step % 5))];
        }
        _ => {}
    }
    let frame = framed(&to_vec(&msg).expect("a sample"));
    let place = frame.windows(DIGITS).position(|part| part == b"1111111111111111111");
    Some((frame, place))
}

/// The peer's bytes: each step is a sample with a number of its own, bytes in a frame, or bytes alone.
fn script(mut data: &[u8], peer: Role) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut seq = 0;
    while let Some((&step, rest)) = data.split_first() {
        data = rest;
        match step {
            0..=199 => {
                let Some((frame, place)) = &TEMPLATES[peer as usize][usize::from(step)] else { continue };
                let start = bytes.len();
                bytes.extend_from_slice(frame);
                if let Some(place) = place {
                    // Mostly the next one.
                    seq = if step < 180 { seq + 1 } else { u64::from(step - 179) };
                    let digits = format!("{seq:0DIGITS$}");
                    bytes[start + place..start + place + DIGITS].copy_from_slice(digits.as_bytes());
                }
            }
            200..=239 => {
                let (part, rest) = data.split_at(data.len().min(usize::from(step - 199) * 16));
                data = rest;
                bytes.extend(framed(part));
            }
            _ => {
                let (part, rest) = data.split_at(data.len().min(usize::from(step - 239)));
                data = rest;
                bytes.extend(part);
            }
        }
    }
    bytes
}

fn session(role: Role, side: Side) -> Session {
    let settings = Settings { window: 8, ..Settings::new(role, Token::new("n").expect("a token"), Uuid([1; 16])) };
    let random: Random = Box::new(|bytes| bytes.fill(7));
    match side {
        Side::Connector => Session::connect(settings, Positions { last: 3, ..Positions::default() }, NOW, random),
        Side::Acceptor => Session::accept(settings, NOW, random),
    }
}

/// What the session makes of bytes that come in such pieces. Nothing is acknowledged on the way, as that would depend
/// on the pieces. What it says, it says in whole messages.
fn talk(mut session: Session, bytes: &[u8], piece: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for mut part in bytes.chunks(piece) {
        loop {
            let taken = session.receive(part, NOW);
            part = &part[taken..];
            let before = events.len();
            while let Some(event) = session.poll_event() {
                if matches!(event, Event::Hello(_)) {
                    session.welcome(Positions::default(), NOW).expect("a Hello was said");
                }
                events.push(event);
            }
            if part.is_empty() {
                break;
            }
            assert!(taken > 0 || events.len() > before, "neither bytes nor events go");
        }
    }
    let mut out = session.output(NOW);
    while let Some((length, rest)) = out.split_first_chunk::<4>() {
        let (document, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        assert!(read(document).is_ok());
        out = rest;
    }
    assert!(out.is_empty());
    events
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Gw } else { Role::Acs };
    let side = if choice & 2 == 0 { Side::Acceptor } else { Side::Connector };
    let piece = usize::from(choice >> 2) * 11 + 1;
    let bytes = script(data, role.other());
    let whole = talk(session(role, side), &bytes, usize::MAX);
    let pieces = talk(session(role, side), &bytes, piece);
    assert_eq!(whole, pieces);
    // An owner that takes nothing: what waits inside is bounded, however much comes. Every eighth time is enough.
    if piece % 8 != 0 {
        return;
    }
    within(MEMORY, 500_000, 20_000 + 4 * bytes.len() as u64, || session(role, side).receive(&bytes, NOW));
});
