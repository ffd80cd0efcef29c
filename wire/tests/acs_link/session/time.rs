//! Deadlines: silence, slow frames, stalls, heartbeats; clocks that differ; and how much a peer can make us hold.

use super::rig::*;
use crate::samples::{self, at, msg};
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

fn up() -> (Pipe, [Node; 2]) {
    let mut nodes = [Node::new(Role::Acs, 1), Node::new(Role::Gw, 2)];
    let mut pipe = Pipe::new(&nodes, ms(0));
    for _ in 0..4 {
        assert!(pipe.turn(&mut nodes, 1 << 20));
    }
    (pipe, nodes)
}

fn ended(session: &mut Session) -> Option<End> {
    std::iter::from_fn(|| session.poll_event()).find_map(|event| match event {
        Event::Closed(end) => Some(end),
        _ => None,
    })
}

fn code(end: Option<End>) -> Option<Code> {
    end.and_then(|end| end.code())
}

#[test]
fn a_hello_comes_within_five_seconds_even_in_single_bytes() {
    let mut session = Session::accept(Node::new(Role::Gw, 2).settings(), now(ms(0)), counter(1));
    assert_eq!(session.deadline(), Some((ms(5_000), "greeting")));
    let hello = framed(&to_vec(&samples::all()[0].1).unwrap());
    for (second, byte) in hello.iter().enumerate().take(6) {
        session.receive(&[*byte], now(ms(1_000 * second as u64)));
    }
    assert_eq!(code(ended(&mut session)), Some(Code::FrameTimeout));
    let mut silent = Session::accept(Node::new(Role::Gw, 2).settings(), now(ms(0)), counter(1));
    silent.tick(now(ms(4_999)));
    assert!(!silent.is_closed());
    silent.tick(now(ms(5_000)));
    assert_eq!(code(ended(&mut silent)), Some(Code::FrameTimeout));
    let mut waiting =
        Session::connect(Node::new(Role::Acs, 1).settings(), Positions::default(), now(ms(0)), counter(1));
    waiting.tick(now(ms(5_000)));
    assert_eq!(code(ended(&mut waiting)), Some(Code::FrameTimeout));
}

#[test]
fn a_frame_of_one_byte_a_second_ends_after_ten() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let beat = Heartbeat { clock: ClockState::Synced, queued: None, received: vec![] };
    let frame = framed(&to_vec(&msg(Body::Heartbeat(beat), 1)).unwrap());
    for (second, byte) in frame.iter().enumerate() {
        gw.receive(&[*byte], now(ms(1_000 * second as u64)));
        spoken(gw, ms(1_000 * second as u64));
        if gw.is_closed() {
            assert_eq!((second, code(ended(gw))), (10, Some(Code::FrameTimeout)));
            return;
        }
    }
    panic!("it was let go on");
}

#[test]
fn three_missed_heartbeats_end_the_session() {
    let (mut pipe, mut nodes) = up();
    let start = pipe.t;
    // Both keep talking for a minute.
    for step in 0..600 {
        pipe.t = start + ms(100 * step);
        assert!(pipe.turn(&mut nodes, 1 << 20), "{:?}", nodes.map(|node| node.said));
    }
    let last = pipe.t;
    let gw = &mut pipe.sessions[1];
    gw.tick(now(last + ms(9_999)));
    assert!(!gw.is_closed());
    let (at, _) = gw.deadline().unwrap();
    assert!(at <= last + ms(15_000));
    spoken(gw, last + ms(15_000));
    gw.tick(now(last + ms(15_000)));
    assert_eq!(ended(gw), Some(End::Silent(ms(15_000))));
    assert!(spoken(gw, last + ms(15_000)).is_empty(), "nobody is there to be told");
}

#[test]
fn bytes_that_never_make_a_message_are_silence() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let mut t = ms(0);
    // A frame every nine seconds that ends as refused would end it anyway; here is one that never ends.
    gw.receive(&60_000_u32.to_be_bytes(), now(t));
    while !gw.is_closed() && t < ms(60_000) {
        t += ms(100);
        gw.receive(b" ", now(t));
        spoken(gw, t);
    }
    assert!(t <= ms(15_000), "{t:?}");
}

#[test]
fn a_peer_that_takes_nothing_is_left() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let beat = |t| {
        let beat = Heartbeat { clock: ClockState::Synced, queued: None, received: vec![] };
        framed(&to_vec(&Msg { sent_at: Instant::from_utc(now(t).wall), ..msg(Body::Heartbeat(beat), 1) }).unwrap())
    };
    let mut t = ms(0);
    while !gw.is_closed() && t < ms(60_000) {
        t += ms(1_000);
        gw.receive(&beat(t), now(t));
        while let Some(event) = gw.poll_event() {
            if let Event::Closed(end) = event {
                assert_eq!(end, End::Stalled(ms(15_000)));
                assert!((ms(15_000)..=ms(21_000)).contains(&t), "{t:?}");
            }
        }
        let _ = gw.output(now(t));
    }
    assert!(gw.is_closed());
}

#[test]
fn an_owner_that_is_slow_to_store_does_not_take_its_own_time_for_silence() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let frame = framed(&to_vec(&msg(Node::new(Role::Acs, 1).body(), 1)).unwrap());
    // Stored after 20 s, in which nobody looked at the socket.
    gw.receive(&frame, now(ms(1_000)));
    gw.committed(1, now(ms(21_000)));
    spoken(gw, ms(21_000));
    gw.tick(now(ms(21_000)));
    assert!(!gw.is_closed());
    // What waited in the socket meanwhile counts, though it is handed over late.
    gw.receive(&framed(&to_vec(&msg(Node::new(Role::Acs, 1).body(), 2)).unwrap()), now(ms(36_000)));
    assert!(!gw.is_closed(), "{:?}", ended(gw));
    // A frame of which the rest waits, as the events do, is not slow.
    let flood = framed(&to_vec(&samples::all()[9].1).unwrap()).repeat(200);
    let mut taken = gw.receive(&flood, now(ms(37_000)));
    taken += gw.receive(&flood[taken..], now(ms(47_500)));
    while gw.poll_event().is_some() {}
    gw.receive(&flood[taken..], now(ms(47_500)));
    assert!(!gw.is_closed(), "{:?}", ended(gw));
}

#[test]
fn heartbeats_go_out_in_their_interval_and_carry_what_is_held() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    gw.set_queued(7);
    gw.set_clock(ClockState::Drifting);
    let mut beats = vec![];
    for t in (0..14_000).step_by(100).map(ms) {
        for said in spoken(gw, t) {
            let Body::Heartbeat(beat) = said.body else { panic!("{said:?}") };
            assert_eq!((beat.clock, beat.queued), (ClockState::Drifting, Some(7)));
            beats.push(t);
        }
    }
    assert_eq!(beats.len(), 2, "{beats:?}");
    assert_eq!(beats[1] - beats[0], ms(5_000));
}

#[test]
fn acknowledgements_wait_for_company_but_not_long() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let event = msg(Node::new(Role::Acs, 1).body(), 1);
    hear(gw, &event, ms(1_000));
    gw.committed(1, now(ms(1_010)));
    assert_eq!(gw.deadline(), Some((ms(1_110), "acknowledgement")));
    assert!(spoken(gw, ms(1_109)).is_empty());
    assert!(matches!(spoken(gw, ms(1_110)).as_slice(), [Msg { body: Body::Ack(_), .. }]));
    // Half of a window of four is company enough.
    for seq in 2..=3 {
        hear(gw, &msg(Node::new(Role::Acs, 1).body(), seq), ms(1_200));
    }
    gw.committed(3, now(ms(1_200)));
    assert_eq!(spoken(gw, ms(1_200)).len(), 1);
}

#[test]
fn clocks_that_differ_are_reported_once_a_grade() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let mut beat = |sent: i64, t: u64| {
        let body = Body::Heartbeat(Heartbeat { clock: ClockState::Unset, queued: None, received: vec![] });
        let sent_at = Instant::from_utc(domain::UtcMillis(WALL_MS + t as i64 + sent));
        let events = hear(gw, &Msg { sent_at, ..msg(body, 1) }, ms(t));
        events.into_iter().find(|event| matches!(event, Event::Skew { .. }))
    };
    assert_eq!(beat(-1_000, 1), None);
    assert_eq!(beat(61_000, 2), Some(Event::Skew { ms: -61_000, grade: Skew::Drifting }));
    assert_eq!(beat(61_000, 3), None);
    // A replay says when it is sent again, but one from an older client may not: it is no measure.
    let old = Msg { sent_at: at("2020-01-01T00:00:00Z"), replay: true, ..msg(Node::new(Role::Acs, 1).body(), 1) };
    assert!(!hear(&mut pipe.sessions[1], &old, ms(4)).iter().any(|event| matches!(event, Event::Skew { .. })));
    assert_eq!(pipe.sessions[1].skew(), Some((-61_000, Skew::Drifting)));
}

#[test]
fn an_announced_monster_is_refused_at_its_length() {
    for length in [0_u32, 65_537, 100_000_000, u32::MAX] {
        let (mut pipe, _) = up();
        let gw = &mut pipe.sessions[1];
        gw.receive(&length.to_be_bytes(), now(ms(1)));
        assert_eq!(code(ended(gw)), Some(Code::FrameTooLarge), "{length}");
        let said = spoken(gw, ms(1));
        assert!(matches!(&said.last().unwrap().body, Body::Error(error) if error.code.as_str() == "FRAME_TOO_LARGE"));
    }
}

#[test]
fn a_flood_waits_at_the_door() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let (_, request) = samples::all().into_iter().find(|(name, _)| *name == "accessRequest").unwrap();
    let flood = framed(&to_vec(&request).unwrap()).repeat(5_000);
    let mut taken = gw.receive(&flood, now(ms(1)));
    assert!(taken < flood.len() / 10, "{taken} of {}", flood.len());
    assert_eq!(gw.receive(&flood[taken..], now(ms(1))), 0, "nothing more while events wait");
    let mut events = 0;
    while taken < flood.len() {
        let mut batch = 0;
        while gw.poll_event().is_some() {
            batch += 1;
        }
        assert!((1..=EVENTS_MAX + 2).contains(&batch), "{batch}");
        events += batch;
        taken += gw.receive(&flood[taken..], now(ms(1)));
    }
    events += std::iter::from_fn(|| gw.poll_event()).count();
    assert!(events >= 5_000);
}

#[test]
fn an_owner_that_sends_without_writing_is_stopped() {
    let (mut pipe, _) = up();
    let gw = &mut pipe.sessions[1];
    let (_, decision) = samples::all().into_iter().find(|(name, _)| *name == "accessDecision").unwrap();
    let mut sent = 0;
    while gw.send(None, decision.body.clone(), now(ms(1))).is_ok() {
        sent += 1;
        assert!(sent < 100_000);
    }
    assert_eq!(gw.send(None, decision.body.clone(), now(ms(1))), Err(SendError::Full));
    let waiting = gw.output(now(ms(1))).len();
    assert!((OUTPUT_MAX_BYTES..OUTPUT_MAX_BYTES + 1_000).contains(&waiting), "{waiting}");
    assert_eq!(gw.wants(), None);
    // Nothing is due before the socket takes something: a deadline that has passed would make the owner spin.
    assert!(gw.deadline().is_some_and(|(at, _)| at > ms(1)), "{:?}", gw.deadline());
    gw.wrote(waiting, now(ms(2)));
    assert!(gw.send(None, decision.body, now(ms(2))).is_ok());
}
