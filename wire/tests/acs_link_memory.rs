//! How many bytes an acs-link peer can make us hold: a session alone in its process, and every allocation counted. A
//! file of its own, because the counter sees the whole process and tests of one file run at the same time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::alloc::System;
use std::time::Duration;

use domain::UtcMillis;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Now = Now { mono: Duration::from_secs(1), wall: UtcMillis(1_795_241_730_412) };

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn settings(role: Role) -> Settings {
    Settings { window: u16::MAX, ..Settings::new(role, token("node"), Uuid([role as u8; 16])) }
}

fn random() -> Random {
    Box::new(|bytes| bytes.fill(7))
}

/// A session of ours in the role of a controller, which takes the longest messages, and standing.
fn up() -> Session {
    let mut session = Session::accept(settings(Role::Acs), NOW, random());
    let mut peer = Session::connect(settings(Role::Gw), Positions::default(), NOW, random());
    session.receive(peer.output(NOW), NOW);
    session.poll_event().unwrap();
    session.welcome(Positions::default(), NOW).unwrap();
    while session.poll_event().is_some() {}
    let waiting = session.output(NOW).len();
    session.wrote(waiting, NOW);
    session
}

fn framed(document: &[u8]) -> Vec<u8> {
    [&(document.len() as u32).to_be_bytes()[..], document].concat()
}

fn issue(seq: u64, levels: usize, ext: usize) -> Vec<u8> {
    let at = Instant::from_utc(NOW.wall);
    let body = Body::CredentialIssue(CredentialIssue {
        key: token("k"),
        rev: 1,
        credential: Credential::new(CredFormat::Qr, "1").unwrap(),
        person: token("p"),
        from: at,
        until: at,
        levels: vec![token("l"); levels],
        ext: vec![Ext { name: token("n"), text: Text::new("").unwrap() }; ext],
    });
    let stream_seq = Some((Stream::Commands, seq));
    let id = Uuid([9; 16]);
    framed(&to_vec(&Msg { v: Version::V1_0, id, stream_seq, re: None, sent_at: at, replay: false, body }).unwrap())
}

/// What is held since the beginning of the region, in bytes.
fn held(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

#[test]
fn the_worst_peer_costs_less_than_400_kb_and_an_idle_one_a_few() {
    drop(up());
    let region = Region::new(MEMORY);
    let session = up();
    let idle = held(&region);
    assert!((0..2_048).contains(&idle), "an idle session holds {idle} bytes");
    drop(session);

    // Messages of the smallest parts cost the most for their length; the owner takes no event and writes nothing.
    for (levels, ext) in [(64, 16), (0, 0), (0, 16), (64, 0)] {
        let frames: Vec<u8> = (1..=2_000).flat_map(|seq| issue(seq, levels, ext)).collect();
        let mut session = up();
        let region = Region::new(MEMORY);
        let taken = session.receive(&frames, NOW);
        assert!(taken < frames.len(), "everything was taken");
        let worst = held(&region);
        assert!((0..200_000).contains(&worst), "{worst} bytes for {taken} with {levels} levels and {ext} ext");
    }

    // The three together are the promise: 200,000 for events, 65,536 for a frame, 132,000 for output.
    // Lengths are not believed, and the longest frame is held once.
    let mut session = up();
    let region = Region::new(MEMORY);
    session.receive(&65_536_u32.to_be_bytes(), NOW);
    assert!(held(&region) < 100, "{} bytes for a length", held(&region));
    session.receive(&[b' '; 65_535], NOW);
    assert!(held(&region) <= 65_536, "{} bytes for a frame", held(&region));
    session.receive(b" ", NOW);
    assert!(session.is_closed(), "blanks are no message");

    // An owner that answers without end is stopped as well.
    let mut session = up();
    let region = Region::new(MEMORY);
    let ask = || {
        Body::AccessRequest(AccessRequest {
            occurred_at: Instant::from_utc(NOW.wall),
            answer_within_ms: 500,
            fallback: Verdict::Deny,
            point: token("p"),
            credential: Credential::new(CredFormat::Qr, "1").unwrap(),
            direction: Direction::In,
            ext: vec![],
        })
    };
    while session.send(None, ask(), NOW).is_ok() {}
    assert!(held(&region) < 132_000, "{} bytes of output", held(&region));
}
