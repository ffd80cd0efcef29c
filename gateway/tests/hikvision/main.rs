//! A simulated Hikvision terminal, the adapter and the real core: what a person at the turnstile sees, and what the
//! journal says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use std::time::Duration;

use controller_sim::hikvision::{DecidedBy, DeviceSettings, DoorMode};
use domain::{Kind, Reason};
use gateway::settings::{Cache, DeviceEvents};
use rig::*;
use wire::isapi::Syntax;
use wire::isapi::codes;

/// Kinds of the facts about people and doors, after `seq`, up to the first of kind `last`.
async fn story(rig: &Rig, seq: u64, last: Kind) -> Vec<Kind> {
    let people = [
        Kind::Tap,
        Kind::LateTap,
        Kind::Granted,
        Kind::Refused,
        Kind::Passed,
        Kind::NotTaken,
        Kind::Forced,
        Kind::Alarm,
    ];
    let facts = rig.until(seq, last).await;
    facts.into_iter().map(|fact| fact.kind).filter(|kind| people.contains(kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_answered_by_the_core_and_recorded_once() {
    let rig = Rig::start(Setup::default()).await;
    let seq = rig.journal.last_seq();
    let outcome = rig.device.tap(1, 1, GOOD, true).await;
    assert_eq!((outcome.granted, outcome.by), (true, DecidedBy::Server));
    assert!(outcome.waited < Duration::from_secs(2), "{outcome:?}");
    assert_eq!(story(&rig, seq, Kind::Passed).await, [Kind::Tap, Kind::Granted, Kind::Passed]);
    let seq = rig.taken_in().await;
    let refused = rig.device.tap(1, 1, BLOCKED, true).await;
    assert_eq!((refused.granted, refused.by), (false, DecidedBy::Server));
    assert_eq!(story(&rig, seq, Kind::Refused).await, [Kind::Tap, Kind::Refused]);
    let facts = rig.until(seq, Kind::Refused).await;
    assert_eq!(facts.last().unwrap().reason, Some(Reason::Blocked));
    // Nothing follows about the same tap.
    rig.taken_in().await;
    assert_eq!(rig.count(Kind::Refused).await, 1);
    assert_eq!(rig.count(Kind::Granted).await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_alert_stream_the_answer_is_a_call_of_its_own() {
    for syntax in [Syntax::Json, Syntax::Xml] {
        let setup = Setup {
            events: DeviceEvents::Stream,
            device: Box::new(move |device| {
                device.dialect.syntax = syntax;
                device.dialect.old = syntax == Syntax::Xml;
                device.dialect.offset = syntax == Syntax::Json;
                device.dialect.part_length = syntax == Syntax::Xml;
            }),
            ..Setup::default()
        };
        let rig = Rig::start(setup).await;
        let seq = rig.journal.last_seq();
        let outcome = rig.device.tap(1, 1, GOOD, true).await;
        assert_eq!((outcome.granted, outcome.by), (true, DecidedBy::Server), "{syntax:?}");
        assert_eq!(story(&rig, seq, Kind::Passed).await, [Kind::Tap, Kind::Granted, Kind::Passed]);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_turns_away_has_not_passed() {
    let rig = Rig::start(Setup::default()).await;
    let seq = rig.journal.last_seq();
    assert!(rig.device.tap(1, 1, GOOD, false).await.granted);
    assert_eq!(story(&rig, seq, Kind::NotTaken).await, [Kind::Tap, Kind::Granted, Kind::NotTaken]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_pushes_are_fetched_from_the_devices_journal_in_their_order() {
    let rig = Rig::start(Setup { online: false, ..Setup::default() }).await;
    rig.know_staff().await;
    let seq = rig.taken_in().await;
    rig.device.faults(|faults| faults.lose = 75);
    for _ in 0..15 {
        // Five events each: granted, unlocked, opened, closed, locked.
        assert!(rig.device.tap(1, 1, GOOD, true).await.granted);
    }
    rig.device.tap(1, 1, STRANGE, false).await;
    let facts = rig.until(seq, Kind::Refused).await;
    let granted = facts.iter().filter(|fact| fact.kind == Kind::Granted).count();
    let passed = facts.iter().filter(|fact| fact.kind == Kind::Passed).count();
    assert_eq!((granted, passed), (15, 15));
    assert!(facts.iter().all(|fact| fact.reason != Some(Reason::StreamGap)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_is_recorded_once() {
    for form_push in [false, true] {
        let setup = Setup {
            online: false,
            device: Box::new(move |device| device.dialect.form_push = form_push),
            ..Setup::default()
        };
        let rig = Rig::start(setup).await;
        rig.know_staff().await;
        rig.device.faults(|faults| faults.resend = true);
        for _ in 0..3 {
            assert!(rig.device.tap(1, 1, GOOD, true).await.granted);
        }
        rig.taken_in().await;
        assert_eq!((rig.count(Kind::Granted).await, rig.count(Kind::Passed).await), (3, 3), "form {form_push}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_cable_is_out_the_device_decides_and_tells_later_with_its_age() {
    let rig = Rig::start(Setup { cache: Cache::Staff, ..Setup::default() }).await;
    rig.know_staff().await;
    let seq = rig.taken_in().await;
    rig.device.faults(|faults| faults.unplugged = true);
    rig.until(seq, Kind::Offline).await;
    let known = rig.device.tap(1, 1, GOOD, true).await;
    assert_eq!((known.granted, known.by), (true, DecidedBy::Timeout));
    assert!(!rig.device.tap(1, 1, STRANGE, true).await.granted);
    rig.later(Duration::from_secs(3600));
    rig.device.faults(|faults| faults.unplugged = false);
    let facts = rig.until(seq, Kind::Refused).await;
    let Some(granted) = facts.iter().find(|fact| fact.kind == Kind::Granted) else { panic!("{facts:#?}") };
    assert_eq!(granted.reason, Some(Reason::PeerDecision));
    let age = granted.age_ms.expect("it is late");
    assert!((3_590_000..=3_610_000).contains(&age), "{age}");
    assert!(facts.iter().any(|fact| fact.kind == Kind::Passed && fact.age_ms.is_some()));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_decision_channel_is_alarmed() {
    let rig = Rig::start(Setup { cache: Cache::Staff, ..Setup::default() }).await;
    rig.know_staff().await;
    let seq = rig.taken_in().await;
    rig.device.faults(|faults| faults.mute = true);
    let outcome = rig.device.tap(1, 1, GOOD, true).await;
    assert_eq!((outcome.granted, outcome.by), (true, DecidedBy::Timeout));
    let alarm = rig.alarm(seq, Reason::PeerDecision).await;
    assert!(alarm.contains("waited 3 s in vain"), "{alarm}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_began_anew_is_alarmed_and_taken_from_its_beginning() {
    let rig = Rig::start(Setup { online: false, ..Setup::default() }).await;
    rig.know_staff().await;
    for _ in 0..4 {
        rig.device.tap(1, 1, GOOD, true).await;
    }
    let seq = rig.taken_in().await;
    rig.device.faults(|faults| faults.lose = 1);
    rig.device.restart(true);
    rig.device.tap(1, 1, STRANGE, false).await;
    rig.alarm(seq, Reason::StreamReset).await;
    rig.until(seq, Kind::Refused).await;
    rig.taken_in().await;
    assert_eq!(rig.count(Kind::Refused).await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_gateway_neither_loses_nor_doubles_events() {
    let rig = Rig::start(Setup { online: false, ..Setup::default() }).await;
    rig.know_staff().await;
    rig.device.tap(1, 1, GOOD, true).await;
    rig.taken_in().await;
    let (device, folder) = rig.stop().await;
    for _ in 0..2 {
        device.tap(1, 1, GOOD, true).await;
    }
    let rig = Rig::again(device, folder, Setup { online: false, ..Setup::default() }).await;
    rig.device.tap(1, 1, GOOD, true).await;
    rig.taken_in().await;
    assert_eq!((rig.count(Kind::Granted).await, rig.count(Kind::Passed).await), (4, 4));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_without_names_and_taken_back() {
    let rig = Rig::start(Setup { cache: Cache::Staff, ..Setup::default() }).await;
    rig.know_staff().await;
    let holder = rig.device.holder_of(GOOD).unwrap();
    assert_eq!(holder, domain::PersonId([1; 16]).to_string());
    assert_eq!(rig.device.holder_of(BLOCKED), None);
    rig.device.faults(|faults| faults.busy = 5);
    rig.put_policy(2, &[]).await;
    poll(|| rig.device.knows() == (0, 0)).await;
    rig.put_policy(3, &[GOOD]).await;
    poll(|| rig.device.knows() == (1, 1)).await;
    // Somebody resets the device: it is told again.
    rig.device.forget_people();
    rig.put_policy(4, &[GOOD, BLOCKED]).await;
    poll(|| rig.device.knows() == (2, 2)).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_was_told_is_taken_back_after_a_restart() {
    let setup = || Setup { cache: Cache::Staff, ..Setup::default() };
    let rig = Rig::start(setup()).await;
    rig.know_staff().await;
    let (device, folder) = rig.stop().await;
    keep_policy(&folder, 9, &[]);
    let rig = Rig::again(device, folder, setup()).await;
    poll(|| rig.device.knows() == (0, 0)).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_follow_orders_and_their_echo_is_nobody() {
    let rig = Rig::start(Setup::default()).await;
    let seq = rig.taken_in().await;
    rig.command(wire::bus::Action::Open(point())).await;
    poll(|| rig.device.openings() == 1).await;
    for (action, mode) in [
        (wire::bus::Action::FreePassage(point()), DoorMode::Open),
        (wire::bus::Action::Lock(point()), DoorMode::Closed),
        (wire::bus::Action::Normal(point()), DoorMode::Normal),
    ] {
        rig.command(action).await;
        poll(|| rig.device.door(1) == Some(mode)).await;
    }
    rig.taken_in().await;
    let facts = rig.facts(seq).await;
    assert!(facts.iter().all(|fact| !matches!(fact.kind, Kind::Tap | Kind::Granted | Kind::Forced)), "{facts:#?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_few_words_gets_the_ones_it_knows() {
    let setup = Setup {
        device: Box::new(|device| {
            device.dialect.door_words = vec!["open", "close", "remainOpen"];
            device.dialect.abilities = None;
        }),
        ..Setup::default()
    };
    let rig = Rig::start(setup).await;
    let seq = rig.taken_in().await;
    rig.command(wire::bus::Action::FreePassage(point())).await;
    poll(|| rig.device.door(1) == Some(DoorMode::Open)).await;
    rig.command(wire::bus::Action::Lock(point())).await;
    let alarm = rig.alarm(seq, Reason::PassNotTaken).await;
    assert!(alarm.contains("no such order"), "{alarm}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_set_and_alarmed() {
    let rig = Rig::start(Setup::default()).await;
    let seq = rig.journal.last_seq();
    rig.device.faults(|faults| faults.clock_ahead = Duration::from_secs(120));
    let alarm = rig.alarm(seq, Reason::DeviceClock).await;
    assert!(alarm.contains("ahead by 1"), "{alarm}");
    poll(|| rig.device.clock_ahead_ms().abs() < 2000).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_that_grow_old_are_renewed_whether_the_device_says_so_or_not() {
    for silent in [false, true] {
        let rig = Rig::start(Setup { cache: Cache::Staff, ..Setup::default() }).await;
        rig.device.faults(|faults| {
            faults.nonce_uses = 2;
            faults.silent_stale = silent;
        });
        rig.know_staff().await;
        rig.put_policy(2, &[]).await;
        poll(|| rig.device.knows() == (0, 0)).await;
        assert_eq!(rig.device.refusals(), 0);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_once_and_never_locks_the_account() {
    let rig = Rig::start(Setup {
        device: Box::new(|device: &mut DeviceSettings| device.password = zeroize::Zeroizing::new("another".into())),
        present: false,
        ..Setup::default()
    })
    .await;
    let alarm = rig.alarm(0, Reason::PeerRefused).await;
    assert!(alarm.contains("user name or password refused"), "{alarm}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(rig.device.refusals() <= 3, "{} tries", rig.device.refusals());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_of_the_door_reach_the_journal() {
    let rig = Rig::start(Setup::default()).await;
    let seq = rig.taken_in().await;
    rig.device.happen(codes::MAJOR_EVENT, codes::FORCED, 1);
    rig.until(seq, Kind::Forced).await;
    rig.device.happen(codes::MAJOR_ALARM, 0x406, 1);
    rig.until(seq, Kind::Tamper).await;
    rig.device.happen(codes::MAJOR_EVENT, 0x34, 1);
    rig.alarm(seq, Reason::Emergency).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_face_is_decided_by_the_persons_card() {
    let rig = Rig::start(Setup { cache: Cache::Staff, ..Setup::default() }).await;
    rig.know_staff().await;
    let seq = rig.taken_in().await;
    let known = rig.device.show_face(1, 1, &domain::PersonId([1; 16]).to_string(), true).await;
    assert_eq!((known.granted, known.by), (true, DecidedBy::Server));
    assert_eq!(story(&rig, seq, Kind::Passed).await, [Kind::Tap, Kind::Granted, Kind::Passed]);
    let unknown = rig.device.show_face(1, 1, "somebody else", true).await;
    assert_eq!((unknown.granted, unknown.by), (false, DecidedBy::Server));
    assert!(unknown.waited < Duration::from_secs(2), "{unknown:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_knows_no_numbers_still_finds_what_was_lost() {
    for descending in [false, true] {
        let setup = Setup {
            online: false,
            device: Box::new(move |device| {
                device.dialect.serial_search = false;
                device.dialect.newest_first = descending;
                device.dialect.page_max = 7;
            }),
            ..Setup::default()
        };
        let rig = Rig::start(setup).await;
        rig.know_staff().await;
        let seq = rig.taken_in().await;
        rig.device.faults(|faults| faults.lose = 50);
        for _ in 0..10 {
            rig.device.tap(1, 1, GOOD, true).await;
        }
        rig.device.tap(1, 1, STRANGE, false).await;
        rig.until(seq, Kind::Refused).await;
        assert_eq!((rig.count(Kind::Granted).await, rig.count(Kind::Passed).await), (10, 10), "{descending}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_any_more_is_said_and_a_jump_of_the_numbers_ends_nothing() {
    let rig = Rig::start(Setup { online: false, ..Setup::default() }).await;
    let seq = rig.taken_in().await;
    rig.device.jump_to(u64::from(u32::MAX));
    rig.device.tap(1, 1, STRANGE, false).await;
    let alarm = rig.alarm(seq, Reason::StreamGap).await;
    assert!(alarm.contains("are neither received nor in its journal"), "{alarm}");
    rig.until(seq, Kind::Refused).await;
    rig.taken_in().await;
    assert_eq!(rig.count(Kind::Refused).await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_does_not_take_back_is_alarmed_and_tried_again() {
    let rig = Rig::start(Setup { online: false, cache: Cache::Staff, ..Setup::default() }).await;
    rig.know_staff().await;
    let seq = rig.taken_in().await;
    rig.device.faults(|faults| faults.delete_refused = true);
    rig.put_policy(2, &[]).await;
    let alarm = rig.alarm(seq, Reason::PassNotTaken).await;
    assert!(alarm.contains("does not take back 1 people"), "{alarm}");
    rig.device.faults(|faults| faults.delete_refused = false);
    rig.put_policy(3, &[]).await;
    poll(|| rig.device.knows() == (0, 0)).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_in_a_hurry_is_recorded_person_by_person() {
    for events in [DeviceEvents::Push, DeviceEvents::Stream] {
        let rig = Rig::start(Setup { events, ..Setup::default() }).await;
        for _ in 0..100 {
            // Questions and reports overtake each other: the next tap comes while the last one is still being told.
            assert_eq!(rig.device.tap(1, 1, BLOCKED, false).await.by, DecidedBy::Server);
        }
        rig.taken_in().await;
        assert_eq!((rig.count(Kind::Tap).await, rig.count(Kind::Refused).await), (100, 100), "{events:?}");
        rig.stop().await;
    }
}
