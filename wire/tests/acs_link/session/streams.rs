//! Durable messages in a session that stands: gaps, repetitions, the window, and what each role may say.

use super::rig::*;
use crate::samples::{self, msg, token, uuid};
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

/// A gateway's session that stands, with a window of 4.
fn gateway(last: u64) -> Session {
    let mut node = Node::new(Role::Gw, 2);
    node.record(last as usize);
    let mut session = Session::accept(node.settings(), now(ms(0)), counter(1));
    let hello = Session::connect(Node::new(Role::Acs, 1).settings(), Positions::default(), now(ms(0)), counter(9))
        .output(now(ms(0)))
        .to_vec();
    session.receive(&hello, now(ms(0)));
    assert!(matches!(session.poll_event(), Some(Event::Hello(_))));
    session.welcome(node.positions(), now(ms(0))).unwrap();
    assert!(matches!(session.poll_event(), Some(Event::Up(_))));
    spoken(&mut session, ms(0));
    session
}

fn event(seq: u64) -> Msg {
    msg(Node::new(Role::Acs, 1).body(), seq)
}

fn refused(events: &[Event]) -> Option<Code> {
    match events.last() {
        Some(Event::Closed(End::Refused(refusal))) => Some(refusal.code),
        _ => None,
    }
}

#[test]
fn a_gap_ends_the_connection_and_names_the_number() {
    let mut session = gateway(0);
    assert!(matches!(hear(&mut session, &event(1), ms(1)).as_slice(), [Event::Durable(_)]));
    assert_eq!(refused(&hear(&mut session, &event(3), ms(1))), Some(Code::SeqGap));
    let said = spoken(&mut session, ms(1));
    let [Msg { body: Body::Error(error), .. }] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((error.code.as_str(), error.fatal, error.seq), ("SEQ_GAP", true, Some(3)));
    assert_eq!(error.stream, Some(token("events")));
    assert_eq!(error.text.as_ref().unwrap().as_str(), "expected 2");
}

#[test]
fn a_repetition_is_dropped_and_acknowledged_again_at_once() {
    let mut session = gateway(0);
    hear(&mut session, &event(1), ms(1));
    session.committed(1, now(ms(1)));
    assert!(spoken(&mut session, ms(1)).is_empty(), "not in time yet");
    let said = spoken(&mut session, ms(101));
    assert!(matches!(&said[..], [Msg { body: Body::Ack(held), .. }] if held == &[Received::of(Stream::Events, 1)]));
    assert_eq!(hear(&mut session, &Msg { replay: true, ..event(1) }, ms(102)), []);
    let said = spoken(&mut session, ms(102));
    assert!(matches!(&said[..], [Msg { body: Body::Ack(held), .. }] if held == &[Received::of(Stream::Events, 1)]));
}

#[test]
fn nothing_is_acknowledged_before_it_is_stored() {
    let mut session = gateway(0);
    hear(&mut session, &event(1), ms(1));
    hear(&mut session, &event(1), ms(2));
    let said = spoken(&mut session, ms(500));
    assert!(matches!(&said[..], [Msg { body: Body::Ack(held), .. }] if held == &[Received::of(Stream::Events, 0)]));
}

#[test]
fn more_than_the_window_ends_the_connection() {
    let mut session = gateway(0);
    for seq in 1..=4 {
        assert_eq!(hear(&mut session, &event(seq), ms(1)).len(), 1);
    }
    assert_eq!(refused(&hear(&mut session, &event(5), ms(1))), Some(Code::WindowExceeded));
}

#[test]
fn acknowledgements_open_the_window_and_only_what_was_sent_can_be_acknowledged() {
    let mut session = gateway(20);
    let node = Node::new(Role::Gw, 2);
    for seq in 1..=4 {
        assert_eq!(session.wants(), Some(seq));
        session.send_durable(seq, uuid(seq as u8), None, node.body(), now(ms(1))).unwrap();
    }
    assert_eq!(session.wants(), None);
    let full = session.send_durable(5, uuid(5), None, node.body(), now(ms(1)));
    assert_eq!(full, Err(SendError::Full));
    let ack = |seq| msg(Body::Ack(vec![Received::of(Stream::Commands, seq)]), 1);
    assert_eq!(hear(&mut session, &ack(3), ms(2)), [Event::Acked { seq: 3 }]);
    assert_eq!(hear(&mut session, &ack(3), ms(2)), []);
    assert_eq!(session.wants(), Some(5));
    let order = session.send_durable(6, uuid(6), None, node.body(), now(ms(2)));
    assert_eq!(order, Err(SendError::Order { wanted: 5, given: 6 }));
    assert_eq!(refused(&hear(&mut session, &ack(21), ms(3))), Some(Code::SeqAhead));
}

#[test]
fn what_was_in_the_journal_before_the_connection_is_marked_as_a_replay() {
    let mut session = gateway(2);
    for seq in 1..=3 {
        session.send_durable(seq, uuid(seq as u8), None, Node::new(Role::Gw, 2).body(), now(ms(1))).unwrap();
    }
    let marks: Vec<(u64, bool)> =
        spoken(&mut session, ms(1)).iter().map(|msg| (msg.stream_seq.unwrap().1, msg.replay)).collect();
    assert_eq!(marks, [(1, true), (2, true), (3, false)]);
}

#[test]
fn streams_that_this_version_does_not_know_are_ignored_in_lists() {
    let mut session = gateway(0);
    let held = vec![Received { stream: token("telemetry"), seq: 9_999 }, Received::of(Stream::Events, 77)];
    assert_eq!(hear(&mut session, &msg(Body::Ack(held), 1), ms(1)), []);
}

#[test]
fn each_role_says_only_its_own() {
    for (_, sample) in samples::all() {
        let kind = sample.body.kind();
        if kind.from() != Some(Role::Gw) {
            continue;
        }
        let mut session = gateway(0);
        assert_eq!(refused(&hear(&mut session, &sample, ms(1))), Some(Code::SchemaInvalid), "{kind}");
    }
    let mut session = gateway(0);
    let wrong = session.send(
        None,
        samples::all().into_iter().find(|(name, _)| *name == "accessRequest").unwrap().1.body,
        now(ms(1)),
    );
    assert!(matches!(wrong, Err(SendError::Misfit(_))), "{wrong:?}");
    let wrong = session.send_durable(1, uuid(1), None, Node::new(Role::Acs, 1).body(), now(ms(1)));
    assert!(matches!(wrong, Err(SendError::Misfit(_))), "{wrong:?}");
}

#[test]
fn requests_and_decisions_pass_and_keep_what_they_answer() {
    let mut session = gateway(0);
    let (_, request) = samples::all().into_iter().find(|(name, _)| *name == "accessRequest").unwrap();
    let events = hear(&mut session, &request, ms(1));
    assert_eq!(events, [Event::Message(Box::new(request.clone()))]);
    let (_, decision) = samples::all().into_iter().find(|(name, _)| *name == "accessDecision").unwrap();
    let id = session.send(Some(request.id), decision.body.clone(), now(ms(2))).unwrap();
    let said = spoken(&mut session, ms(2));
    assert_eq!((said[0].id, said[0].re, &said[0].body), (id, Some(request.id), &decision.body));
}

#[test]
fn a_message_longer_than_the_peer_takes_is_refused_before_it_is_sent() {
    let mut node = Node::new(Role::Gw, 2);
    node.record(1);
    let mut session = Session::accept(node.settings(), now(ms(0)), counter(1));
    let small = Settings { max_frame: 0, ..Node::new(Role::Acs, 1).settings() };
    let hello = Session::connect(small, Positions::default(), now(ms(0)), counter(9)).output(now(ms(0))).to_vec();
    session.receive(&hello, now(ms(0)));
    session.welcome(node.positions(), now(ms(0))).unwrap();
    let points = (0..64).map(|place| token(&format!("{place:064}"))).collect();
    let control = Control {
        action: Action::Lock,
        expires_at: samples::at("2026-11-21T06:15:35Z"),
        actor: token("guard-17"),
        points,
    };
    let sent = session.send_durable(1, uuid(1), None, Body::Control(control), now(ms(1)));
    assert!(matches!(sent, Err(SendError::TooLarge { most: 4_096, .. })), "{sent:?}");
    session.send_durable(1, uuid(1), None, node.body(), now(ms(1))).unwrap();
    assert_eq!(spoken(&mut session, ms(1)).len(), 3, "Welcome, heartbeat and the one that fits");
}

#[test]
fn complaints_say_which_message() {
    let mut session = gateway(0);
    session.complain(Some(uuid(7)), Some((Stream::Events, 7)), Code::PointForbidden, Some("not yours"), now(ms(1)));
    session.complain(None, None, Code::SeqGap, None, now(ms(1)));
    let said = spoken(&mut session, ms(1));
    let [Msg { body: Body::Error(error), re: Some(re), .. }] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((error.code.as_str(), error.fatal, error.seq, *re), ("POINT_FORBIDDEN", false, Some(7), uuid(7)));
}
