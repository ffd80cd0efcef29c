//! Peers and networks that misbehave: each is found in its time, named to the operator, and harms nobody else.

use std::time::Duration;

use domain::{Kind, Reason};
use gateway::settings::Cache;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use wire::acs_link::message::*;
use wire::acs_link::session::End;
use wire::acs_link::{Body, Instant as At, Msg, Stream, Version, to_vec};

use super::acs::{Acs, Memory, dial, pass_event, uuid};
use super::passing::connected;
use super::rig::*;
use super::site::Site;

/// The gateway in clear on loopback: a test can tear the very socket.
async fn plain() -> Rig {
    let site = std::sync::Arc::new(Site::new("this site"));
    Rig::with(site, settings(None, Cache::Nobody), usual_policy(1)).await
}

async fn socket(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.address().await).await.unwrap()
}

fn frame(msg: &Msg) -> Vec<u8> {
    let document = to_vec(msg).unwrap();
    let mut frame = u32::try_from(document.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&document);
    frame
}

fn event(rig: &Rig, seq: u64, id: &str) -> Msg {
    let at = At::from_utc(rig.clock.now());
    let body = pass_event(id, GATE, Some(ACTIVE), PassCode::Denied, None, Source::Controller, at);
    Msg {
        v: Version::V1_0,
        id: uuid(),
        stream_seq: Some((Stream::Events, seq)),
        re: None,
        sent_at: at,
        replay: false,
        body,
    }
}

/// How the gateway ended the connection.
async fn failed(acs: &mut Acs) -> Failure {
    match acs.end().await {
        End::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_frame_loses_nothing_and_doubles_nothing() {
    let rig = plain().await;
    let mut memory = Memory::new();
    for n in 0..20_usize {
        let socket = socket(&rig).await;
        socket.set_zero_linger().unwrap();
        let mut acs = Acs::connect(Box::new(socket), memory, &rig.clock);
        acs.up().await;
        let id = format!("e:{n}");
        acs.pass(&id, Some(ACTIVE), PassCode::Denied, None);
        let seq = acs.memory.events.len() as u64;
        if n % 2 == 0 {
            // Half of the message, then RST. It is sent whole on the next connection.
            let half = event(&rig, seq, &id);
            let half = frame(&half);
            acs.write(&half[..n * 20]).await;
        } else {
            acs.acked(seq).await;
        }
        memory = acs.cut();
    }
    let facts = rig.facts(0).await;
    let refused = facts.iter().filter(|fact| fact.kind == Kind::Refused).count();
    assert_eq!(refused, 20);
    rig.stop().await;
}

#[tokio::test]
async fn a_frame_of_a_hundred_megabytes_is_refused_before_it_comes() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.write(&100_000_000_u32.to_be_bytes()).await;
    assert_eq!(failed(&mut acs).await.code.as_str(), "FRAME_TOO_LARGE");
    assert!(rig.alarm(0, Reason::PeerRefused).await.contains("FRAME_TOO_LARGE"));
    // Also before it has said who it is.
    let rig = plain().await;
    let mut stream = socket(&rig).await;
    stream.write_all(&[0xFF; 4]).await.unwrap();
    let mut told = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut told)).await.expect("closed").unwrap();
    assert!(String::from_utf8_lossy(&told).contains("FRAME_TOO_LARGE"));
    rig.stop().await;
}

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_is_cut_off_after_its_time() {
    let site = std::sync::Arc::new(Site::new("this site"));
    let mut settings = settings(Some(site.node("gw-1")), Cache::Nobody);
    if let gateway::settings::PeerProtocol::AcsLink(peer) = &mut settings.peers[0].protocol {
        // Otherwise the silence would be noticed first.
        peer.heartbeat = Duration::from_secs(5);
    }
    let rig = Rig::with(site, settings, usual_policy(1)).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let began = Instant::now();
    let slow = frame(&event(&rig, 1, "slow"));
    let mut told = Vec::new();
    for byte in slow {
        // The gateway may have closed already; what it said is read all the same.
        let _ = acs.stream.write_all(&[byte]).await;
        let _ = acs.stream.flush().await;
        let more = timeout(Duration::from_millis(500), acs.stream.read_to_end(&mut told)).await;
        if more.is_ok() {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
    }
    assert!(String::from_utf8_lossy(&told).contains("FRAME_TIMEOUT"));
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    rig.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_found_after_three_heartbeats() {
    let rig = Rig::start(Cache::Nobody).await;
    let acs = connected(&rig, Memory::new()).await;
    rig.ready().await;
    let (began, before) = (Instant::now(), rig.journal.last_seq());
    // Open, and silent for ever: as behind a router that forgot the connection.
    let offline = rig.kind(before, Kind::Offline).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3 + 3), "{took:?}");
    assert!(offline.detail.unwrap().contains("silent"));
    rig.line("lost", |line| !line.open && line.problem.as_ref().is_some_and(|why| why.contains("nothing was heard")))
        .await;
    drop(acs);
    rig.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_never_sent_stops_the_peer() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let at = At::from_utc(rig.clock.now());
    let body = Body::Ack(vec![Received::of(Stream::Commands, 77)]);
    let ack = Msg { v: Version::V1_0, id: uuid(), stream_seq: None, re: None, sent_at: at, replay: false, body };
    acs.write(&frame(&ack)).await;
    assert_eq!(failed(&mut acs).await.code.as_str(), "SEQ_AHEAD");
    let alarm = rig.alarm(0, Reason::StreamAhead).await;
    assert!(alarm.contains("77"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_missing_event_is_a_gap_that_is_told_to_both_sides() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.write(&frame(&event(&rig, 5, "gap"))).await;
    let failure = failed(&mut acs).await;
    assert_eq!((failure.code.as_str(), failure.seq), ("SEQ_GAP", Some(5)));
    let alarm = rig.alarm(0, Reason::StreamGap).await;
    assert!(alarm.contains("events are missing"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_controller_restored_behind_what_we_hold_stops_with_an_alarm() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    for n in 0..3 {
        acs.pass(&format!("e:{n}"), Some(ACTIVE), PassCode::Denied, None);
    }
    acs.acked(3).await;
    // Its copy is from after the first event: it never sent what we hold.
    let mut memory = acs.cut();
    memory.events.truncate(1);
    memory.acked = Some(1);
    let stream = dial(rig.address().await, &rig.site.node(NODE), &rig.clock).await.unwrap();
    let mut acs = Acs::connect(stream, memory, &rig.clock);
    assert!(matches!(acs.end().await, End::Refused(refusal) if refusal.code.as_str() == "SEQ_AHEAD"));
    acs.flush().await;
    let alarm = rig.alarm(0, Reason::StreamAhead).await;
    assert!(alarm.contains("it was restored from an older copy"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn strangers_cannot_keep_a_controller_out() {
    let rig = Rig::start(Cache::Nobody).await;
    let address = rig.address().await;
    // Connections that say nothing, more than may be half done from one address.
    let mut idle = Vec::new();
    for _ in 0..gateway::peer::acs_link::listener::HALF_DONE_EACH + 20 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    // Those above the bound are closed at once.
    let mut last = idle.pop().unwrap();
    let mut nothing = Vec::new();
    assert_eq!(timeout(PATIENCE, last.read_to_end(&mut nothing)).await.expect("closed").unwrap_or(0), 0);
    // The others go when their time is over, and the controller gets in by itself.
    let began = Instant::now();
    let stream = loop {
        match dial(address, &rig.site.node(NODE), &rig.clock).await {
            Ok(stream) => break stream,
            Err(_) => assert!(began.elapsed() < PATIENCE),
        }
    };
    let mut acs = Acs::connect(stream, Memory::new(), &rig.clock);
    acs.up().await;
    drop(idle);
    rig.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_keeps_its_events_without_their_time_and_answers_questions_all_the_same() {
    let rig = Rig::start(Cache::Nobody).await;
    let stream = dial(rig.address().await, &rig.site.node(NODE), &rig.clock).await.unwrap();
    let shown = rig.clock.clone();
    // Two hours behind.
    let wrong = domain::Clock::new(move || shown.now().plus_ms(-7_200_000));
    let mut acs = Acs::connect(stream, Memory::new(), &wrong);
    acs.up().await;
    let alarm = rig.alarm(0, Reason::DeviceClock).await;
    assert!(alarm.contains("7200 s behind"), "{alarm}");
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    let answer = acs.answer(request).await;
    assert_eq!(answer.decision, Verdict::Grant);
    let left = answer.valid_until.to_utc().since_ms(wrong.now());
    assert!((1000..=3100).contains(&left), "{left}: told in the controller's own time");
    let last = acs.pass("e:1", Some(BLOCKED), PassCode::Denied, None);
    acs.acked(last).await;
    let refused = rig.kind(0, Kind::Refused).await;
    assert_eq!(refused.age_ms, Some(u32::MAX), "nobody knows when");
    rig.stop().await;
}

#[tokio::test]
async fn too_many_questions_at_once_are_answered_busy() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    // Each waits for the same door; nobody is answered before the journal has written.
    for _ in 0..100 {
        acs.ask(UNKNOWN, Direction::In, 10_000);
    }
    let mut answered = 0;
    let mut busy = 0;
    while answered + busy < 100 {
        match acs.next().await {
            wire::acs_link::session::Event::Message(_) => answered += 1,
            wire::acs_link::session::Event::Complaint(failure) => {
                assert_eq!(failure.code.as_str(), "BUSY");
                busy += 1;
            }
            _ => {}
        }
    }
    assert!(answered >= 64, "{answered} answered, {busy} busy");
    rig.stop().await;
}
