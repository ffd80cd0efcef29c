//! Hello and Welcome: versions, roles, limits, who waits for what, and what each claims to hold.

use super::rig::*;
use crate::samples::{msg, token, uuid};
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

fn gw() -> Settings {
    Settings::new(Role::Gw, token("tapward-1"), uuid(2))
}

fn hello() -> Hello {
    Hello {
        node: token("gate-7"),
        role: Role::Acs,
        epoch: uuid(1),
        min_v: Version::V1_0,
        max_v: Version::V1_0,
        max_frame: None,
        received: vec![],
        caps: vec![],
    }
}

fn welcome() -> Welcome {
    let hello = Hello { node: token("tapward-1"), role: Role::Gw, epoch: uuid(2), ..hello() };
    Welcome { hello, use_v: Version::V1_0, heartbeat_ms: 5_000, window: 256 }
}

fn version(minor: u8) -> Version {
    Version::new(minor).unwrap()
}

/// What an acceptor says to a Hello; with the answer if it asks for one.
fn accept(hello: Hello, positions: Positions) -> (Vec<Event>, Vec<Msg>, Session) {
    let mut session = Session::accept(gw(), now(ms(0)), counter(1));
    let mut events = hear(&mut session, &msg(Body::Hello(hello), 1), ms(0));
    if matches!(events.last(), Some(Event::Hello(_))) {
        session.welcome(positions, now(ms(0))).unwrap();
        events.extend(std::iter::from_fn(|| session.poll_event()));
    }
    let said = spoken(&mut session, ms(0));
    (events, said, session)
}

/// What a connector says to a Welcome.
fn connect(welcome: Welcome, positions: Positions) -> (Vec<Event>, Vec<Msg>, Session) {
    let settings = Settings::new(Role::Acs, token("gate-7"), uuid(1));
    let mut session = Session::connect(settings, positions, now(ms(0)), counter(1));
    let mut said = spoken(&mut session, ms(0));
    assert!(matches!(said[0].body, Body::Hello(_)), "{said:?}");
    let events = hear(&mut session, &msg(Body::Welcome(welcome), 2), ms(0));
    said.extend(spoken(&mut session, ms(0)));
    (events, said, session)
}

fn refused(events: &[Event]) -> Option<Code> {
    match events.last() {
        Some(Event::Closed(End::Refused(refusal))) => Some(refusal.code),
        _ => None,
    }
}

fn told(said: &[Msg]) -> Option<Code> {
    match &said.last()?.body {
        Body::Error(failure) if failure.fatal => Code::of(&failure.code),
        _ => None,
    }
}

#[test]
fn a_welcome_says_what_was_agreed_and_answers_the_hello() {
    let theirs = Hello { max_frame: Some(8_192), caps: vec![token("access-request")], ..hello() };
    let (events, said, _) = accept(theirs, Positions::default());
    let [Event::Hello(asked), Event::Up(agreed)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((asked.node.as_str(), asked.epoch, asked.role), ("gate-7", uuid(1), Role::Acs));
    assert_eq!((agreed.max_frame, agreed.window, agreed.heartbeat), (8_192, 256, ms(5_000)));
    let [Msg { body: Body::Welcome(welcome), re, .. }, Msg { body: Body::Heartbeat(_), .. }] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!((*re, welcome.use_v, welcome.heartbeat_ms), (Some(uuid(1)), Version::V1_0, 5_000));
}

#[test]
fn the_highest_common_version_is_used_and_none_is_refused() {
    let (events, said, _) = accept(Hello { max_v: version(7), ..hello() }, Positions::default());
    assert!(matches!(events.last(), Some(Event::Up(agreed)) if agreed.version == Version::V1_0));
    assert!(said.iter().all(|msg| msg.v == Version::V1_0));
    let (events, said, _) = accept(Hello { min_v: version(1), max_v: version(7), ..hello() }, Positions::default());
    assert_eq!((refused(&events), told(&said)), (Some(Code::VersionUnsupported), Some(Code::VersionUnsupported)));
    let (events, ..) = connect(Welcome { use_v: version(1), ..welcome() }, Positions::default());
    assert_eq!(refused(&events), Some(Code::VersionUnsupported));
}

#[test]
fn what_uses_a_later_version_than_agreed_is_refused() {
    let (_, _, mut session) = accept(hello(), Positions::default());
    let beat = Heartbeat { clock: ClockState::Synced, queued: None, received: vec![] };
    let late = Msg { v: version(1), ..msg(Body::Heartbeat(beat), 5) };
    assert_eq!(refused(&hear(&mut session, &late, ms(1))), Some(Code::VersionUnsupported));
}

#[test]
fn two_ends_of_one_role_part() {
    let (events, said, _) = accept(Hello { role: Role::Gw, ..hello() }, Positions::default());
    assert_eq!((refused(&events), told(&said)), (Some(Code::AuthNodeMismatch), Some(Code::AuthNodeMismatch)));
    let same = Hello { role: Role::Acs, ..welcome().hello };
    let (events, ..) = connect(Welcome { hello: same, ..welcome() }, Positions::default());
    assert_eq!(refused(&events), Some(Code::AuthNodeMismatch));
}

#[test]
fn terms_outside_the_limits_are_refused() {
    for max_frame in [0, 4_095] {
        let (events, ..) = accept(Hello { max_frame: Some(max_frame), ..hello() }, Positions::default());
        assert_eq!(refused(&events), Some(Code::SchemaInvalid), "{max_frame}");
    }
    for wrong in [
        Welcome { heartbeat_ms: 999, ..welcome() },
        Welcome { heartbeat_ms: 30_001, ..welcome() },
        Welcome { heartbeat_ms: u32::MAX, ..welcome() },
        Welcome { window: 0, ..welcome() },
    ] {
        let (events, said, _) = connect(wrong, Positions::default());
        assert_eq!((refused(&events), told(&said)), (Some(Code::SchemaInvalid), Some(Code::SchemaInvalid)));
    }
    let huge = Hello { max_frame: Some(u32::MAX), ..welcome().hello };
    let (events, ..) = connect(Welcome { hello: huge, ..welcome() }, Positions::default());
    assert!(matches!(events.last(), Some(Event::Up(agreed)) if agreed.max_frame == 65_536), "{events:?}");
}

#[test]
fn anything_before_the_greeting_is_refused() {
    let beat = Body::Heartbeat(Heartbeat { clock: ClockState::Synced, queued: None, received: vec![] });
    for body in [beat, Node::new(Role::Acs, 1).body(), Body::Welcome(welcome())] {
        let mut session = Session::accept(gw(), now(ms(0)), counter(1));
        let events = hear(&mut session, &msg(body, 1), ms(0));
        assert_eq!(refused(&events), Some(Code::SchemaInvalid));
    }
    let mut session = Session::accept(gw(), now(ms(0)), counter(1));
    let first = hear(&mut session, &msg(Body::Hello(hello()), 1), ms(0));
    assert!(matches!(first.as_slice(), [Event::Hello(_)]));
    let again = framed(&to_vec(&msg(Body::Hello(hello()), 1)).unwrap());
    assert_eq!(session.receive(&again, now(ms(0))), 0, "what follows waits for the answer");
    session.welcome(Positions::default(), now(ms(0))).unwrap();
    let second = hear(&mut session, &msg(Body::Hello(hello()), 1), ms(0));
    assert_eq!(refused(&second), Some(Code::SchemaInvalid), "a second Hello");
}

#[test]
fn an_owner_that_knows_better_refuses_and_the_peer_is_told() {
    let mut session = Session::accept(gw(), now(ms(0)), counter(1));
    hear(&mut session, &msg(Body::Hello(hello()), 1), ms(0));
    session.refuse(Code::AuthNodeMismatch, "the certificate is of another node", now(ms(1)));
    assert_eq!(told(&spoken(&mut session, ms(1))), Some(Code::AuthNodeMismatch));
    assert!(session.is_closed() && session.welcome(Positions::default(), now(ms(1))).is_err());
    // Once is enough.
    session.refuse(Code::Busy, "again", now(ms(1)));
    assert!(spoken(&mut session, ms(1)).is_empty());
}

#[test]
fn a_welcome_goes_on_behind_what_the_peer_holds() {
    let theirs = Hello { received: vec![Received::of(Stream::Commands, 7)], ..hello() };
    let known = Positions { last: 10, acked: Some(5), held: Some((uuid(1), 33)) };
    let (events, said, session) = accept(theirs, known);
    assert_eq!(session.wants(), Some(8));
    assert!(events.contains(&Event::Acked { seq: 7 }), "{events:?}");
    let Body::Welcome(welcome) = &said[0].body else { panic!("{said:?}") };
    assert_eq!(welcome.hello.received, [Received::of(Stream::Events, 33)]);
}

#[test]
fn who_claims_more_than_was_sent_is_stopped() {
    let claims = |seq| vec![Received::of(Stream::Commands, seq)];
    let known = Positions { last: 10, acked: Some(5), held: None };
    let (events, said, _) = accept(Hello { received: claims(11), ..hello() }, known);
    assert_eq!((refused(&events), told(&said)), (Some(Code::SeqAhead), Some(Code::SeqAhead)));
    let theirs = Hello { received: vec![Received::of(Stream::Events, 4)], ..welcome().hello };
    let (events, said, _) =
        connect(Welcome { hello: theirs, ..welcome() }, Positions { last: 3, acked: None, held: None });
    assert_eq!((refused(&events), told(&said)), (Some(Code::SeqAhead), Some(Code::SeqAhead)));
}

#[test]
fn a_claim_that_may_count_an_older_journal_is_not_believed() {
    // Our journal is new: nobody acknowledged anything of it. The claim is of the old one.
    let theirs = Hello { received: vec![Received::of(Stream::Commands, 90_211)], ..hello() };
    let (events, _, session) = accept(theirs.clone(), Positions { last: 100_000, acked: None, held: None });
    assert_eq!((refused(&events), session.wants()), (None, Some(1)));
    // Further ahead than acknowledgements can get lost.
    let (_, _, mut session) = accept(theirs, Positions { last: 100_000, acked: Some(20), held: None });
    assert_eq!(session.wants(), Some(21));
    // Said again in the present epoch, it counts.
    let beat =
        Heartbeat { clock: ClockState::Synced, queued: None, received: vec![Received::of(Stream::Commands, 90_211)] };
    let events = hear(&mut session, &msg(Body::Heartbeat(beat), 9), ms(1));
    assert!(events.contains(&Event::Acked { seq: 90_211 }), "{events:?}");
    assert_eq!(session.wants(), Some(90_212));
}

#[test]
fn a_peer_that_lost_what_it_had_is_reported_and_served() {
    let (events, _, session) = accept(hello(), Positions { last: 10, acked: Some(5), held: None });
    assert!(events.contains(&Event::PeerBehind { held: 0, acked: 5 }), "{events:?}");
    assert_eq!(session.wants(), Some(1));
}

#[test]
fn a_new_epoch_is_reported_and_begins_at_one() {
    let before = Positions { last: 0, acked: None, held: Some((uuid(99), 33)) };
    let (events, said, mut session) = accept(hello(), before);
    assert!(events.contains(&Event::EpochChanged { old: uuid(99), new: uuid(1) }), "{events:?}");
    let Body::Welcome(answer) = &said[0].body else { panic!("{said:?}") };
    assert_eq!(answer.hello.received, []);
    let first = hear(&mut session, &msg(Node::new(Role::Acs, 1).body(), 1), ms(1));
    assert!(matches!(first.as_slice(), [Event::Durable(durable)] if durable.seq == 1), "{first:?}");
    let (events, said, _) = connect(welcome(), Positions { held: Some((uuid(99), 33)), ..before });
    assert!(events.contains(&Event::EpochChanged { old: uuid(99), new: uuid(2) }), "{events:?}");
    // The Hello had to claim what it knew; the first heartbeat corrects it.
    let Body::Heartbeat(beat) = &said[1].body else { panic!("{said:?}") };
    assert_eq!(beat.received, [Received::of(Stream::Commands, 0)]);
}

#[test]
fn the_peers_end_is_an_event_at_any_time() {
    for greeted in [false, true] {
        let mut session = Session::accept(gw(), now(ms(0)), counter(1));
        if greeted {
            session = accept(hello(), Positions::default()).2;
        }
        let bye = Bye { reason: Reason::new("shutdown").unwrap(), retry_after_ms: Some(5) };
        let events = hear(&mut session, &msg(Body::Bye(bye.clone()), 3), ms(1));
        assert_eq!(events.last(), Some(&Event::Closed(End::Left(bye))));
        assert!(session.is_closed() && spoken(&mut session, ms(1)).is_empty());
        assert_eq!(session.receive(b"anything", now(ms(2))), 8, "what comes after the end is not read");
        assert_eq!((session.poll_event(), session.deadline()), (None, None));
    }
}

#[test]
fn a_complaint_goes_on_and_a_fatal_error_ends() {
    let error =
        |code: Code, fatal| Body::Error(Failure { code: code.into(), fatal, stream: None, seq: None, text: None });
    let mut session = accept(hello(), Positions::default()).2;
    let events = hear(&mut session, &msg(error(Code::PointUnknown, false), 1), ms(1));
    assert!(matches!(events.as_slice(), [Event::Complaint(_)]), "{events:?}");
    // A code that is fatal ends it, whatever the flag says.
    let events = hear(&mut session, &msg(error(Code::SeqGap, false), 1), ms(1));
    assert!(matches!(events.as_slice(), [Event::Closed(End::Failed(_))]), "{events:?}");
    assert!(spoken(&mut session, ms(1)).is_empty(), "an error is not answered by an error");
}

#[test]
fn leaving_says_so() {
    let mut session = accept(hello(), Positions::default()).2;
    session.bye(Reason::new("replaced").unwrap(), Some(ms(2_000)), now(ms(1)));
    let said = spoken(&mut session, ms(1));
    assert!(matches!(&said[..], [Msg { body: Body::Bye(bye), .. }] if bye.retry_after_ms == Some(2_000)), "{said:?}");
    assert!(session.is_closed());
}
