//! Somebody at a gate: questions, answers, and what the controller reports.

use domain::{Kind, PersonId, Reason};
use gateway::settings::Cache;
use wire::acs_link::message::*;

use super::acs::{Acs, Memory, dial};
use super::rig::*;

pub async fn connected(rig: &Rig, memory: Memory) -> Acs {
    let stream = dial(rig.address().await, &rig.site.node(NODE), &rig.clock).await.unwrap();
    let mut acs = Acs::connect(stream, memory, &rig.clock);
    acs.up().await;
    acs
}

#[tokio::test]
async fn a_valid_card_is_granted_durably_and_the_rotor_says_passed() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    rig.ready().await;
    // That its readers are there is recorded beside; on a busy machine later than they can be used.
    let recorded = async {
        while kinds(&rig.facts(0).await).iter().filter(|kind| **kind == Kind::Secure).count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), recorded).await.expect("its readers are recorded");
    let before = rig.journal.last_seq();
    let asked = tokio::time::Instant::now();
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    let answer = acs.answer(request).await;
    // Not with the next heartbeat: somebody stands there.
    assert!(asked.elapsed() < std::time::Duration::from_millis(700), "{:?}", asked.elapsed());
    assert_eq!((answer.decision, answer.reason.as_str()), (Verdict::Grant, "allowed"));
    let left = answer.valid_until.to_utc().since_ms(rig.clock.now());
    assert!((1000..=3000).contains(&left), "{left} ms of the release are left");
    // Durable before visible: when the answer is there, so is the record.
    assert_eq!(kinds(&rig.facts(before).await), [Kind::Tap, Kind::Granted]);
    acs.pass("e:1", Some(ACTIVE), PassCode::Granted, Some(request));
    let last = acs.pass("e:2", Some(ACTIVE), PassCode::Passed, Some(request));
    acs.acked(last).await;
    let facts = rig.facts(before).await;
    assert_eq!(kinds(&facts), [Kind::Tap, Kind::Granted, Kind::Passed], "our own answer is not recorded twice");
    assert_eq!(facts[2].person, Some(PersonId([1; 16])));
    assert_eq!(facts[2].age_ms, None);
    rig.stop().await;
}

#[tokio::test]
async fn unknown_and_blocked_cards_are_denied_with_their_reason_and_nothing_about_the_person() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    for (card, word, reason) in [(UNKNOWN, "unknown-card", Reason::UnknownCard), (BLOCKED, "blocked", Reason::Blocked)]
    {
        let before = rig.journal.last_seq();
        let request = acs.ask(card, Direction::In, 5000);
        let answer = acs.answer(request).await;
        assert_eq!((answer.decision, answer.reason.as_str()), (Verdict::Deny, word));
        assert_eq!(rig.kind(before, Kind::Refused).await.reason, Some(reason));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_grant_that_nobody_took_ends_as_not_taken() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let before = rig.journal.last_seq();
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    acs.answer(request).await;
    let last = acs.pass("e:1", Some(ACTIVE), PassCode::NotTaken, Some(request));
    acs.acked(last).await;
    assert_eq!(rig.kind(before, Kind::NotTaken).await.person, Some(PersonId([1; 16])));
    rig.stop().await;
}

#[tokio::test]
async fn what_the_controller_did_alone_is_recorded_late_and_moves_nothing() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut memory = Memory::new();
    let hour_ago = wire::acs_link::Instant::from_utc(rig.clock.now().plus_ms(-3_600_000));
    for (event, code) in [("o:1", PassCode::Granted), ("o:2", PassCode::Passed)] {
        let body = super::acs::pass_event(event, GATE, Some(ACTIVE), code, None, Source::OfflineCache, hour_ago);
        memory.push(None, body);
    }
    let mut acs = connected(&rig, memory).await;
    acs.acked(2).await;
    let passed = rig.kind(0, Kind::Passed).await;
    assert_eq!(passed.person, Some(PersonId([1; 16])));
    let age = passed.age_ms.unwrap();
    assert!((3_590_000..3_620_000).contains(&age), "{age}");
    let granted = rig.kind(0, Kind::Granted).await;
    assert_eq!((granted.reason, granted.age_ms.is_some()), (Some(Reason::PeerDecision), true));
    rig.stop().await;
}

#[tokio::test]
async fn the_same_event_under_another_number_is_recorded_once_also_after_the_controllers_journal_began_anew() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.pass("e:1", Some(ACTIVE), PassCode::Denied, None);
    let last = acs.pass("e:1", Some(ACTIVE), PassCode::Denied, None);
    acs.acked(last).await;
    let mut memory = Memory::new();
    let again = acs.cut().events.remove(0).2;
    memory.push(None, again);
    let mut acs = connected(&rig, memory).await;
    let last = acs.pass("e:2", Some(BLOCKED), PassCode::Denied, None);
    acs.acked(last).await;
    let refused = rig.facts(0).await.iter().filter(|fact| fact.kind == Kind::Refused).count();
    assert_eq!(refused, 2, "e:1 once, e:2 once");
    assert!(rig.alarm(0, Reason::StreamReset).await.contains("began anew"));
    rig.stop().await;
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_set_aside_and_blocks_nothing() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let at = wire::acs_link::Instant::from_utc(rig.clock.now());
    let elsewhere =
        super::acs::pass_event("p:1", "somebody/elses", Some(ACTIVE), PassCode::Passed, None, Source::Controller, at);
    acs.memory.push(None, elsewhere);
    let last = acs.pass("p:2", Some(BLOCKED), PassCode::Denied, None);
    let complaint = acs
        .until("complaint", |event| match event {
            wire::acs_link::session::Event::Complaint(failure) => Some(failure),
            _ => None,
        })
        .await;
    assert_eq!((complaint.code.as_str(), complaint.fatal, complaint.seq), ("POINT_UNKNOWN", false, Some(1)));
    acs.acked(last).await;
    let alarm = rig.alarm(0, Reason::Quarantined).await;
    assert!(alarm.contains("somebody/elses") && alarm.contains("message 1"), "{alarm}");
    rig.kind(0, Kind::Refused).await;
    let aside = rig.journal.quarantined(None, 10).await.unwrap();
    assert_eq!((aside.len(), aside[0].message.seq), (1, 1));
    let key = domain::card::SealKey::new([9; 32]);
    let bytes = key.open_bytes(&aside[0].message.bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("somebody/elses"), "kept with its bytes");
    rig.stop().await;
}

#[tokio::test]
async fn a_journal_that_takes_nothing_makes_a_secure_gate_refuse() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    rig.journal.close().await;
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    let answer = acs.answer(request).await;
    assert_eq!((answer.decision, answer.reason.as_str()), (Verdict::Deny, "journal-stalled"));
}

#[tokio::test]
async fn who_passed_is_inside_and_is_not_let_in_twice_while_the_exit_stays_open() {
    let mut policy = usual_policy(1);
    for zone in &mut policy.layout.zones {
        if zone.id.as_str() == "hall" {
            zone.anti_passback = domain::zone::AntiPassback::Hard;
        }
    }
    let site = std::sync::Arc::new(super::site::Site::new("this site"));
    let settings = settings(Some(site.node("gw-1")), Cache::Nobody);
    let rig = Rig::with(site, settings, policy).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    assert_eq!(acs.answer(request).await.decision, Verdict::Grant);
    let last = acs.pass("e:1", Some(ACTIVE), PassCode::Passed, Some(request));
    acs.acked(last).await;
    let request = acs.ask(ACTIVE, Direction::In, 5000);
    let again = acs.answer(request).await;
    assert_eq!((again.decision, again.reason.as_str()), (Verdict::Deny, "anti-passback"));
    let request = acs.ask(ACTIVE, Direction::Out, 5000);
    assert_eq!(acs.answer(request).await.decision, Verdict::Grant);
    rig.stop().await;
}

#[tokio::test]
async fn what_a_point_reports_of_itself_is_seen_at_its_readers() {
    let rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    rig.ready().await;
    for (state, kind) in [(PointState::Tamper, Kind::Tamper), (PointState::Offline, Kind::Offline)] {
        let before = rig.journal.last_seq();
        let status = PointStatus {
            point: wire::acs_link::Token::new(GATE).unwrap(),
            state,
            occurred_at: wire::acs_link::Instant::from_utc(rig.clock.now()),
            ext: Vec::new(),
        };
        let last = acs.memory.push(None, wire::acs_link::Body::PointStatus(status));
        acs.acked(last).await;
        rig.kind(before, kind).await;
    }
    rig.stop().await;
}
